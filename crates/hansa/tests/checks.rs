//! Checks of real tasks, seen from Marathon's API.

mod support;

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use support::{Cluster, app, free_port, so, until};

/// Waits until the only task of an app shows this as its check's result, in both places.
async fn shows(cluster: &Cluster, app: &str, result: Value) {
    until(&format!("{app} shows {result}"), async || {
        let shown: Value = cluster.http.get(&format!("/v2/apps{app}?embed=app.tasks")).await?;
        let tasks: Value = cluster.http.get("/v2/tasks").await?;
        let listed = tasks["tasks"].as_array().unwrap().iter().find(|task| task["appId"] == app).cloned();
        let both = [
            shown["app"]["tasks"][0]["checkResult"].clone(),
            listed.unwrap_or_default()["checkResult"].clone(),
        ];
        so(both == [result.clone(), result.clone()], both)
    })
    .await;
}

fn with_check(id: &str, check: &Value) -> Value {
    let mut definition = app(id, "exec sleep 1000", 1);
    definition["check"] = check.clone();
    definition["check"]["intervalSeconds"] = json!(1);
    definition["check"]["delaySeconds"] = json!(0);
    definition
}

#[tokio::test]
async fn general_checks_are_asked_and_told() {
    let cluster = Cluster::start(1).await;
    // Somebody who answers with the status of the day.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let status = Arc::new(AtomicU16::new(418));
    let today = status.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.read(&mut [0; 4096]);
            let status = today.load(Ordering::SeqCst);
            let _ = stream.write_all(format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n").as_bytes());
        }
    });
    let flag = cluster.directory.join("flag");
    let command = format!("test -e {} || exit 7", flag.display());
    for (id, check) in [
        ("/web", json!({"http": {"port": port, "path": "/x"}})),
        ("/open", json!({"tcp": {"port": port}})),
        ("/shut", json!({"tcp": {"port": free_port()}})),
        ("/flag", json!({"exec": {"command": {"shell": command}}})),
    ] {
        let _: Value = cluster.http.post("/v2/apps", &with_check(id, &check)).await.unwrap();
    }
    shows(&cluster, "/web", json!({"http": {"statusCode": 418}})).await;
    shows(&cluster, "/open", json!({"tcp": {"succeeded": true}})).await;
    shows(&cluster, "/shut", json!({"tcp": {"succeeded": false}})).await;
    shows(&cluster, "/flag", json!({"command": {"exitCode": 7}})).await;
    status.store(503, Ordering::SeqCst);
    std::fs::write(&flag, "").unwrap();
    shows(&cluster, "/web", json!({"http": {"statusCode": 503}})).await;
    shows(&cluster, "/flag", json!({"command": {"exitCode": 0}})).await;
}
