//! A task's output, passed through from its machine.

use crate::agents::{Agent, hello};
use crate::support::{Cluster, LONG, ask};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::RawQuery;
use axum::routing::get;
use hansa_model::agent::Hello;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// A machine's HTTP port that knows the output of every task: the request itself. Followed output is what the test
/// sends.
async fn machine() -> (String, mpsc::Sender<&'static str>) {
    let (output, followed) = mpsc::channel(4);
    let followed = std::sync::Arc::new(std::sync::Mutex::new(Some(followed)));
    let files = move |axum::extract::Path((_, stream)): axum::extract::Path<(String, String)>,
                      RawQuery(query): RawQuery| async move {
        let query = query.unwrap_or_default();
        if query.contains("follow=true") {
            let lines = ReceiverStream::new(followed.lock().unwrap().take().unwrap());
            return Body::from_stream(lines.map(|line| Ok::<_, std::io::Error>(Bytes::from(line))));
        }
        Body::from(format!("{stream}?{query}"))
    };
    let router = Router::new().route("/files/{task}/{stream}", get(files));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, output)
}

async fn running_task(cluster: &Cluster, address: String) -> String {
    Agent::join(cluster, Hello { address, ..hello("a") }).await.work();
    cluster.deploy("/web", 1).await;
    cluster.json("/hansa/v1/tasks").await["tasks"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_part_is_asked_of_the_machine() {
    let cluster = Cluster::start().await;
    let (address, _output) = machine().await;
    let task = running_task(&cluster, address).await;
    let (status, body) =
        cluster.get(&format!("/hansa/v1/tasks/{task}/logs/stderr?offset=-100&limit=50")).await;
    assert_eq!((status, body.as_str()), (200, "stderr?offset=-100&limit=50"));
    // Also of a task that the master does not know any more, if the machine is named.
    let (status, _) = cluster.get("/hansa/v1/tasks/old/logs/stdout?node=a.test").await;
    assert_eq!(status, 200);
    assert_eq!(cluster.get("/hansa/v1/tasks/old/logs/stdout?node=other").await.0, 404);
    assert_eq!(cluster.get(&format!("/hansa/v1/tasks/{task}/logs/stdout?offset=x")).await.0, 400);
    cluster.stop().await;
}

/// Why a machine says nothing is told in short, without the addresses that were tried.
#[tokio::test]
async fn a_machine_that_nobody_reaches_is_named() {
    let cluster = Cluster::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let task = running_task(&cluster, address.clone()).await;
    let (status, body) = cluster.get(&format!("/hansa/v1/tasks/{task}/logs/stdout")).await;
    let told = format!("node a.test at {address} does not answer: Connection refused");
    assert!(status == 503 && body.contains(&told), "{status}: {body}");
    let images = cluster.json("/hansa/v1/images").await;
    let why = images["silent"][0]["why"].as_str().unwrap_or_default();
    assert!(why.starts_with("Connection refused"), "{images}");
    cluster.stop().await;
}

#[tokio::test]
async fn followed_output_comes_as_it_is_written() {
    let cluster = Cluster::start().await;
    let (address, output) = machine().await;
    let task = running_task(&cluster, address).await;
    let mut stream = TcpStream::connect(cluster.address()).await.unwrap();
    let head =
        format!("GET /hansa/v1/tasks/{task}/logs/stdout?follow=true HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    for line in ["first line\n", "second line\n"] {
        output.send(line).await.unwrap();
        let found = async {
            while let Some(read) = lines.next_line().await.unwrap() {
                if read == line.trim_end() {
                    return true;
                }
            }
            false
        };
        assert!(tokio::time::timeout(LONG, found).await.unwrap(), "{line}");
    }
    // An open stream does not hold up the end.
    cluster.stop().await;
}

#[tokio::test]
async fn a_machine_that_does_not_answer_is_named() {
    let cluster = Cluster::start().await;
    // Bound and dropped: nobody is there.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let task = running_task(&cluster, free.to_string()).await;
    let answer = ask(cluster.address(), "GET", &format!("/hansa/v1/tasks/{task}/logs/stdout"), &[], "").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("a.test"), "{}", answer.body);
    cluster.stop().await;
}
