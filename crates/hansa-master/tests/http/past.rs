//! Tasks that ended, what happened, and files: what the console asks for besides what is.

use crate::agents::{Agent, hello};
use crate::support::{Cluster, ask};
use axum::Router;
use axum::extract::RawQuery;
use axum::routing::get;
use hansa_model::agent::Hello;
use serde_json::json;

#[tokio::test]
async fn a_task_that_ended_is_remembered() {
    let cluster = Cluster::start().await;
    Agent::join(&cluster, hello("a")).await.work();
    cluster.deploy("/web", 2).await;
    let before = cluster.json("/hansa/v1/tasks").await;
    let id = before["tasks"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(cluster.json("/hansa/v1/tasks?ended=true").await["tasks"], json!([]));
    let mut events = cluster.events_of("only=task").await;
    events.find(|frame| frame.name == "resync").await;
    assert_eq!(cluster.send("DELETE", "/v2/apps/web", json!({})).await.0, 200);
    let gone = events.find(|frame| frame.name == "task_removed" && frame.data["id"] == id.as_str()).await;
    assert_eq!(gone.data["last"]["state"], "TASK_KILLED", "the frame says how it ended");
    let shown = cluster.json(&format!("/hansa/v1/tasks/{id}")).await;
    assert_eq!((&shown["state"], &shown["hostname"]), (&json!("TASK_KILLED"), &json!("a.test")));
    assert!(shown["ended_at"].is_u64(), "{shown}");
    let history = cluster.json(&format!("/hansa/v1/tasks/{id}/history")).await;
    let states: Vec<_> = history["states"].as_array().unwrap().iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["TASK_STAGING", "TASK_RUNNING", "TASK_KILLED"]);
    let ended = |query: &'static str| {
        let cluster = &cluster;
        async move {
            let list = cluster.json(&format!("/hansa/v1/tasks?ended=true{query}")).await;
            (list["tasks"].as_array().unwrap().len(), list["next"].clone())
        }
    };
    while ended("").await.0 < 2 {
        events.find(|frame| frame.name == "task_removed").await;
    }
    assert_eq!(ended("&app=/web&node=a.test&state=killed").await.0, 2);
    assert_eq!(ended("&app=/other").await.0, 0);
    assert_eq!(ended("&q=WEB+killed").await.0, 2);
    assert_eq!(ended("&q=running").await.0, 0);
    let (count, next) = ended("&limit=1").await;
    assert_eq!(count, 1);
    let rest = cluster.json(&format!("/hansa/v1/tasks?ended=true&after={}", next.as_str().unwrap())).await;
    assert_eq!(rest["tasks"].as_array().unwrap().len(), 1);
    assert_eq!(cluster.get("/hansa/v1/tasks/nobody/history").await.0, 404);
    cluster.stop().await;
}

#[tokio::test]
async fn tasks_services_and_nodes_are_found_and_sorted() {
    let cluster = Cluster::start().await;
    for name in ["a", "b"] {
        let attributes = [("rack".to_owned(), name.to_owned())].into();
        Agent::join(&cluster, Hello { attributes, ..hello(name) }).await.work();
    }
    for (id, tier) in [("/shop/web", "front"), ("/shop/db", "back")] {
        let mut events = cluster.events(None).await;
        let app = json!({"id": id, "cmd": "sleep 9", "cpus": 0.1, "mem": 32, "instances": 2, "labels": {"tier": tier}});
        assert_eq!(cluster.send("POST", "/v2/apps", app).await.0, 201);
        events.find(|frame| frame.is_service(id, "running", 2)).await;
    }
    let apps = |path: &'static str| {
        let cluster = &cluster;
        async move {
            let tasks = cluster.json(&format!("/hansa/v1/tasks?{path}")).await;
            let apps: Vec<_> =
                tasks["tasks"].as_array().unwrap().iter().map(|task| task["app"].clone()).collect();
            apps
        }
    };
    // Not only `db`: ids have hexadecimal digits.
    assert_eq!(apps("q=P/DB").await, ["/shop/db", "/shop/db"]);
    assert_eq!(apps("q=shop+/db&limit=1").await.len(), 1);
    assert_eq!(apps("label=tier=front").await, ["/shop/web", "/shop/web"]);
    assert_eq!(apps("label=tier!=front").await, ["/shop/db", "/shop/db"]);
    assert_eq!(apps("label=!tier").await.len(), 0);
    assert_eq!(apps("sort=-app").await, ["/shop/web", "/shop/web", "/shop/db", "/shop/db"]);
    let first = cluster.json("/hansa/v1/tasks?sort=-app&limit=3").await;
    let rest = format!("/hansa/v1/tasks?sort=-app&after={}", first["next"].as_str().unwrap());
    assert_eq!(cluster.json(&rest).await["tasks"].as_array().unwrap().len(), 1);
    let services = cluster.json("/hansa/v1/services?label=tier=back").await;
    assert_eq!(services["services"][0]["id"], "/shop/db");
    assert_eq!(services["services"][0]["labels"], json!({"tier": "back"}));
    assert_eq!(cluster.json("/hansa/v1/services?limit=1").await["next"], "/shop/db");
    assert_eq!(cluster.json("/hansa/v1/services?sort=-id&limit=1").await["services"][0]["id"], "/shop/web");
    let nodes = cluster.json("/hansa/v1/nodes?label=rack=b").await;
    assert_eq!(nodes["nodes"][0]["hostname"], "b.test");
    assert_eq!(cluster.json("/hansa/v1/nodes?fields=+,").await["nodes"][0]["hostname"], "a.test");
    assert_eq!(cluster.json("/hansa/v1/nodes?limit=1").await["next"], "a.test");
    assert_eq!(cluster.json("/hansa/v1/nodes?sort=-hostname").await["nodes"][0]["hostname"], "b.test");
    for bad in ["tasks?sort=colour", "nodes?label==", "services?sort=x", "tasks?sort=app&after=nobody"] {
        let answer = ask(cluster.address(), "GET", &format!("/hansa/v1/{bad}"), &[], "").await;
        assert_eq!(answer.status, 400, "{bad}");
        assert!(answer.body.contains("remedy"), "{bad}: {}", answer.body);
    }
    cluster.stop().await;
}

#[tokio::test]
async fn what_happened_is_told_newest_first() {
    let cluster = Cluster::start().await;
    Agent::join(&cluster, hello("a")).await.work();
    cluster.deploy("/web", 1).await;
    let all = cluster.json("/hansa/v1/events/history").await;
    let words: Vec<_> =
        all["events"].as_array().unwrap().iter().map(|event| event["words"].as_str().unwrap()).collect();
    let at = |wanted: &str| words.iter().position(|words| words.contains(wanted));
    assert!(at("is TASK_RUNNING on a.test") < at("is given to a.test"), "{words:?}");
    assert!(at("is given to a.test") < at("has a new version with 1 instance"), "{words:?}");
    assert!(at("has a new version") < at("node a.test joined"), "{words:?}");
    assert!(at("node a.test joined").is_some(), "{words:?}");
    let only = cluster.json("/hansa/v1/events/history?only=node&q=A.TEST").await;
    assert_eq!(only["events"].as_array().unwrap().len(), 1);
    assert_eq!(only["events"][0]["hostname"], "a.test");
    let first = cluster.json("/hansa/v1/events/history?limit=2").await;
    let next = first["next"].as_str().unwrap();
    assert_eq!(first["events"][1]["id"], next);
    let rest = cluster.json(&format!("/hansa/v1/events/history?before={next}")).await;
    let count = |list: &serde_json::Value| list["events"].as_array().unwrap().len();
    assert_eq!(count(&first) + count(&rest), words.len());
    assert_eq!(cluster.get("/hansa/v1/events/history?only=weather").await.0, 400);
    assert_eq!(cluster.get("/hansa/v1/events/history?before=x").await.0, 400);
    cluster.stop().await;
}

#[tokio::test]
async fn files_are_asked_of_the_machine_also_of_a_task_that_ended() {
    let cluster = Cluster::start().await;
    let list = |RawQuery(query): RawQuery| async move {
        axum::Json(json!({"path": query.unwrap_or_default(), "entries": [], "next": null}))
    };
    let content = || async { ([("x-hansa-size", "3"), ("content-type", "text/plain")], "abc") };
    let machine = Router::new()
        .route("/hansa/v1/tasks/{task}/files", get(list))
        .route("/hansa/v1/tasks/{task}/files/content", get(content));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, machine).await.unwrap() });
    Agent::join(&cluster, Hello { address, ..hello("a") }).await.work();
    cluster.deploy("/web", 1).await;
    let task = cluster.json("/hansa/v1/tasks").await["tasks"][0]["id"].as_str().unwrap().to_owned();
    let mut events = cluster.events_of("only=task").await;
    events.find(|frame| frame.name == "resync").await;
    cluster.send("DELETE", "/v2/apps/web", json!({})).await;
    events.find(|frame| frame.name == "task_removed").await;
    let files = cluster.json(&format!("/hansa/v1/tasks/{task}/files?path=a%20b&limit=5")).await;
    assert_eq!(files["path"], "path=a+b&limit=5");
    let path = format!("/hansa/v1/tasks/{task}/files/content?path=f");
    let answer = ask(cluster.address(), "GET", &path, &[], "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "abc"));
    assert_eq!(answer.header("x-hansa-size"), Some("3"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    cluster.stop().await;
}

#[tokio::test]
async fn an_agent_that_knows_no_files_is_to_be_updated() {
    let cluster = Cluster::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, Router::new()).await.unwrap() });
    let old = Hello { address, version: "0.0.1".into(), ..hello("a") };
    Agent::join(&cluster, old).await.work();
    cluster.deploy("/web", 1).await;
    let task = cluster.json("/hansa/v1/tasks").await["tasks"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/hansa/v1/tasks/{task}/files");
    let answer = ask(cluster.address(), "GET", &path, &[], "").await;
    assert_eq!(answer.status, 502);
    for word in ["a.test", "0.0.1", "update Hansa"] {
        assert!(answer.body.contains(word), "{word}: {}", answer.body);
    }
    cluster.stop().await;
}

/// A machine that says of every task that it used this much, a quarter of what it may.
async fn metered() -> String {
    let told = |axum::extract::Path(task): axum::extract::Path<String>| async move {
        let point = |at: u64, mem: u64| json!({"at": at, "cpus_milli": 25, "cpus_milli_max": 50, "mem": mem, "mem_max": mem});
        axum::Json(json!({
            "task": task,
            "limits": {"cpus_milli": 100, "mem": 32 << 20},
            "step_ms": 15_000,
            "until": 600_000,
            "points": [point(0, 1 << 20), point(300_000, 20 << 20)],
        }))
    };
    let machine = Router::new().route("/hansa/v1/tasks/{task}/history", get(told));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, machine).await.unwrap() });
    address
}

#[tokio::test]
async fn what_a_service_uses_is_asked_of_its_machines() {
    let cluster = Cluster::start().await;
    Agent::join(&cluster, Hello { address: metered().await, ..hello("a") }).await.work();
    cluster.deploy("/web", 2).await;
    let usage = cluster.json("/hansa/v1/usage/web").await;
    assert_eq!(usage["used"]["cpus_milli"], json!({"p50": 25, "p95": 25, "max": 50}), "{usage}");
    assert_eq!(usage["instances"].as_array().unwrap().len(), 2);
    assert_eq!(usage["instances"][0]["hostname"], "a.test");
    assert_eq!(usage["suggestion"]["cpus_milli"], 30, "a fifth more than 25, in whole hundredths");
    assert_eq!(usage["suggestion"]["mem"], 24 << 20);
    let history = cluster.json("/hansa/v1/history?of=service:/web&span=15m").await;
    assert_eq!(history["points"][0]["used"]["cpus_milli"], 50, "two of them: {history}");
    assert_eq!(history["total"]["cpus_milli"], 200);
    let task = cluster.json("/hansa/v1/tasks").await["tasks"][0]["id"].as_str().unwrap().to_owned();
    let history = cluster.json(&format!("/hansa/v1/history?of=task:{task}")).await;
    assert_eq!(history["points"][1]["used"]["mem"], 20 << 20);
    for (bad, status) in [
        ("usage/nothing", 404),
        ("usage/web?span=1y", 400),
        ("history?of=weather", 400),
        ("history?of=node:nobody", 404),
        ("history?of=role:nobody", 404),
        ("history?of=service:/nothing", 404),
        ("history?of=task:nobody", 404),
    ] {
        assert_eq!(cluster.get(&format!("/hansa/v1/{bad}")).await.0, status, "{bad}");
    }
    cluster.stop().await;
}

#[tokio::test]
async fn the_master_keeps_what_machines_used() {
    let cluster = Cluster::start().await;
    let mut agent = Agent::join(&cluster, hello("a")).await;
    assert!(agent.hear().await.is_some());
    let mut events = cluster.events_of("only=usage&usage_every=1").await;
    let used = hansa_model::role::Totals { cpus_milli: 1_000, mem: 1 << 30, ..Default::default() };
    let usage = hansa_model::agent::Usage { used, ..Default::default() };
    agent.say(hansa_link::ToMasterBody::Usage(usage)).await;
    let told = events.find(|frame| frame.name == "usage").await;
    assert_eq!(told.data["used"]["cpus_milli"], 1_000);
    let point = async |of: &str| {
        // It is looked at every five seconds.
        let mut looked = cluster.master().looked();
        loop {
            let history = cluster.json(&format!("/hansa/v1/history?of={of}")).await;
            match history["points"].as_array().unwrap().last() {
                Some(last) if last["used"]["cpus_milli"] != 0 => {
                    return (history["total"].clone(), last.clone());
                }
                _ => looked.changed().await.unwrap(),
            }
        }
    };
    let found = tokio::time::timeout(crate::support::LONG, point("node:a.test")).await.unwrap();
    assert_eq!(found.0["cpus_milli"], 4_000);
    assert!(found.1["used"]["cpus_milli"].as_u64().unwrap().abs_diff(1_000) <= 1, "{found:?}");
    let found = tokio::time::timeout(crate::support::LONG, point("cluster")).await.unwrap();
    assert!(found.1["allocated"].is_object(), "{found:?}");
    cluster.stop().await;
}

#[tokio::test]
async fn only_the_fields_that_are_wanted_are_sent() {
    let cluster = Cluster::start().await;
    Agent::join(&cluster, hello("a")).await.work();
    cluster.deploy("/web", 1).await;
    let nodes = cluster.json("/hansa/v1/nodes?fields=hostname,total.mem").await;
    assert_eq!(
        nodes,
        json!({"nodes": [{"hostname": "a.test", "total": {"mem": 4_096_u64 << 20}}], "next": null})
    );
    let service = cluster.json("/hansa/v1/services/web?fields=id,running").await;
    assert_eq!(service, json!({"id": "/web", "running": 1}));
    let tasks = cluster.json("/hansa/v1/tasks?fields=app&app=/web").await;
    assert_eq!(tasks, json!({"tasks": [{"app": "/web"}], "next": null}));
    let answer = ask(cluster.address(), "GET", "/hansa/v1/tasks?fields=colour", &[], "").await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("Task has app"), "{}", answer.body);
    let explained = cluster.json("/hansa/v1/explain/web").await;
    assert_eq!(explained["choice_hostname"], "a.test");
    cluster.stop().await;
}

#[tokio::test]
async fn roles_are_told_and_forgotten() {
    let cluster = Cluster::start().await;
    let mut events = cluster.events_of("only=role").await;
    events.find(|frame| frame.name == "resync").await;
    assert_eq!(cluster.send("PUT", "/hansa/v1/roles/team", json!({"weight_milli": 2_000})).await.0, 200);
    let told = events.find(|frame| frame.name == "role" && frame.data["name"] == "team").await;
    assert_eq!(told.data["weight_milli"], 2_000);
    assert_eq!(cluster.send("DELETE", "/hansa/v1/roles/team", json!({})).await.0, 200);
    let gone = events.next().await.unwrap();
    assert_eq!((gone.name.as_str(), gone.data), ("role_removed", json!({"name": "team"})));
    assert_eq!(cluster.send("DELETE", "/hansa/v1/roles/nobody", json!({})).await.0, 404);
    assert_eq!(cluster.send("DELETE", "/hansa/v1/frameworks/nobody", json!({})).await.0, 404);
    cluster.stop().await;
}

#[tokio::test]
async fn the_page_to_read_is_served() {
    let cluster = Cluster::start().await;
    let answer = ask(cluster.address(), "GET", "/hansa/v1/docs", &[], "").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("text/html"));
    assert!(answer.body.contains("/hansa/v1/tasks/{task}/terminal"));
    cluster.stop().await;
}
