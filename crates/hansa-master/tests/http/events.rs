//! Event streams: where they begin, how they resume, what they leave out.

use crate::agents::{Agent, hello};
use crate::support::Cluster;
use serde_json::json;

#[tokio::test]
async fn a_stream_resumes_where_it_broke() {
    let cluster = Cluster::start().await;
    Agent::join(&cluster, hello("a")).await.work();
    cluster.deploy("/web", 1).await;
    let mut events = cluster.events(None).await;
    let begun = events.next().await.unwrap();
    assert_eq!(begun.name, "resync");
    let id = begun.id.unwrap();
    assert_eq!(id, format!("{}-{}", cluster.master().identity().term, begun.data["index"]));
    drop(events);

    assert_eq!(cluster.send("PUT", "/v2/apps/web", json!({ "instances": 4 })).await.0, 200);
    let mut resumed = cluster.events(Some(&id)).await;
    let first = resumed.next().await.unwrap();
    assert_ne!(first.name, "resync", "{first:?}");
    let last = resumed.find(|frame| frame.is_service("/web", "running", 4)).await;

    // From the newest id there is nothing to catch up with, and what comes later comes.
    let newest = match last.id {
        Some(id) => id,
        None => resumed.find(|frame| frame.id.is_some()).await.id.unwrap(),
    };
    let mut after = cluster.events(Some(&newest)).await;
    assert_eq!(cluster.send("DELETE", "/v2/apps/web", json!(null)).await.0, 200);
    let gone = after.find(|frame| frame.name == "resync" || frame.name == "service_removed").await;
    assert_eq!((gone.name.as_str(), &gone.data["id"]), ("service_removed", &json!("/web")));
    cluster.stop().await;
}

#[tokio::test]
async fn an_id_that_is_not_held_gets_the_current_state() {
    let cluster = Cluster::start().await;
    let term = cluster.master().identity().term;
    for id in [format!("{}-1", term.0 + 1), format!("{term}-999999"), "nonsense".into()] {
        let frame = cluster.events(Some(&id)).await.next().await.unwrap();
        assert_eq!(frame.name, "resync", "{id}");
        assert_eq!(frame.data["index"], cluster.json("/hansa/v1/cluster").await["index"]);
    }
    let old = cluster.events(None).await.next().await.unwrap().id.unwrap();
    let cluster = cluster.restart().await;
    assert_eq!(cluster.events(Some(&old)).await.next().await.unwrap().name, "resync", "another term");
    cluster.stop().await;
}

#[tokio::test]
async fn only_what_is_wanted_is_sent() {
    let cluster = Cluster::start().await;
    let mut nodes = cluster.events_of("only=node").await;
    assert_eq!(nodes.next().await.unwrap().name, "resync");
    Agent::join(&cluster, hello("a")).await.work();
    cluster.deploy("/web", 2).await;
    let mut names = std::collections::BTreeSet::new();
    loop {
        let frame = nodes.next().await.unwrap();
        names.insert(frame.name.clone());
        if frame.data["tasks"] == 2 {
            break;
        }
    }
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["node"]);
    cluster.stop().await;
}
