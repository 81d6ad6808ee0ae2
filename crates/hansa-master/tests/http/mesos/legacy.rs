//! The older endpoints, in the shapes that dashboards, name servers and exporters read.

use super::client::{Scheduler, request, scalar};
use crate::agents::{Agent, hello};
use crate::support::Cluster;
use hansa_master::options::Verbosity;
use serde_json::{Value, json};

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

fn has(object: &Value, names: &str) {
    for name in names.split(' ') {
        assert!(object.get(name).is_some(), "{name} in {:?}", keys(object));
    }
}

#[tokio::test]
async fn the_state_has_everything_that_is_read() {
    let cluster = Cluster::start().await;
    let mut machine = hello("a");
    machine.attributes = [("rack".to_owned(), "r1".to_owned()), ("level".to_owned(), "2".to_owned())].into();
    let agent = Agent::join(&cluster, machine).await.work();
    cluster.deploy("/shop/web", 2).await;
    let scheduler =
        Scheduler::subscribe(&cluster, json!({"name": "n", "labels": {"labels": [{"key": "a"}]}})).await;
    super::scheduler::wait_for(&cluster, &scheduler.id, |framework| framework["connected"] == true).await;
    let state = cluster.json("/master/state.json").await;
    has(
        &state,
        "version git_sha build_date build_time build_user start_time elected_time id pid hostname capabilities \
         activated_slaves deactivated_slaves unreachable_slaves leader leader_info cluster flags slaves \
         recovered_slaves frameworks completed_frameworks orphan_tasks unregistered_frameworks",
    );
    let port = cluster.address().port();
    assert_eq!(state["pid"], format!("master@127.0.0.1:{port}"));
    assert_eq!((&state["activated_slaves"], &state["orphan_tasks"]), (&json!(1), &json!([])));
    assert_eq!(state["leader_info"]["port"], port);

    let slave = &state["slaves"][0];
    has(
        slave,
        "id hostname port attributes pid registered_time resources used_resources offered_resources \
         reserved_resources unreserved_resources active deactivated version capabilities",
    );
    assert_eq!(slave["pid"], "slave(1)@127.0.0.1:1");
    assert_eq!(slave["attributes"], json!({"rack": "r1", "level": 2.0}));
    assert_eq!(
        slave["resources"],
        json!({"cpus": 4.0, "gpus": 0.0, "mem": 4096.0, "disk": 10000.0, "ports": "[31000-31100]"})
    );
    assert_eq!((&slave["used_resources"]["cpus"], &slave["active"]), (&json!(0.2), &json!(true)));
    assert!(slave.get("used_resources_full").is_none(), "only in /slaves");

    let services = &state["frameworks"][0];
    assert_eq!((&services["name"], &services["id"]), (&json!("marathon"), &state["id"]));
    assert_eq!(services["id"], cluster.json("/v2/info").await["frameworkId"], "Marathon's own");
    let task = &services["tasks"][0];
    assert_eq!((&task["name"], &task["state"]), (&json!("web.shop"), &json!("TASK_RUNNING")));
    assert_eq!((&task["discovery"]["name"], &task["role"]), (&json!("web.shop"), &json!("*")));
    let addresses = &task["statuses"][0]["container_status"]["network_infos"][0]["ip_addresses"];
    assert_eq!(addresses, &json!([{"protocol": "IPv4", "ip_address": "127.0.0.1"}]));

    let framework = &state["frameworks"][1];
    has(
        framework,
        "id name user hostname webui_url role failover_timeout checkpoint active connected recovered \
         registered_time unregistered_time capabilities resources used_resources offered_resources tasks \
         unreachable_tasks completed_tasks offers executors labels offer_constraints",
    );
    assert_eq!((&framework["name"], &framework["labels"]), (&json!("n"), &json!([{"key": "a"}])));

    let slaves = cluster.json("/slaves?slave_id=a").await;
    has(
        &slaves["slaves"][0],
        "reserved_resources_full unreserved_resources_full used_resources_full offered_resources_full",
    );
    let cpus = &slaves["slaves"][0]["unreserved_resources_full"][0];
    assert_eq!(
        (&cpus["name"], &cpus["scalar"]["value"], &cpus["role"]),
        (&json!("cpus"), &json!(4.0), &json!("*"))
    );
    assert_eq!(cluster.json("/slaves?slave_id=none").await["slaves"], json!([]));
    let summary = cluster.json("/state-summary").await;
    assert_eq!(summary["slaves"][0]["TASK_RUNNING"], 2);
    assert_eq!(summary["slaves"][0]["framework_ids"], json!([state["id"]]));
    assert_eq!(
        (&summary["frameworks"][0]["TASK_RUNNING"], &summary["frameworks"][0]["slave_ids"]),
        (&json!(2), &json!(["a"]))
    );

    let tasks = cluster.json("/tasks?limit=-1&order=asc").await;
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 2);
    assert_eq!(cluster.json("/tasks?limit=1&offset=1").await["tasks"].as_array().unwrap().len(), 1);
    let roles = cluster.json("/roles").await;
    let any = roles["roles"].as_array().unwrap().iter().find(|role| role["name"] == "*").unwrap();
    has(any, "name weight resources frameworks quota allocated offered reserved");
    assert_eq!(any["quota"]["consumed"]["cpus"], 0.2);
    cluster.stop().await;
    agent.await.unwrap();
}

#[tokio::test]
async fn paths_methods_and_plain_answers() {
    let level = Verbosity { get: || 0, set: |_, _| {} };
    let cluster = Cluster::start_with(|options| options.verbosity = Some(level)).await;
    for (method, path, status) in [
        ("GET", "/health", 200),
        ("GET", "/master/health/", 200),
        ("HEAD", "/master/redirect", 307),
        ("GET", "/redirect", 307),
        ("GET", "/redirect/x", 404),
        ("POST", "/slaves/some-id", 200),
        ("POST", "/tasks/?task_id=x", 200),
        ("GET", "/mesos/master/frameworks/", 200),
        ("GET", "/files/read?path=/nothing&offset=0", 404),
        ("GET", "/files/browse", 400),
        ("GET", "/logging/toggle", 200),
        ("GET", "/logging/toggle?level=3&duration=1mins", 200),
        ("GET", "/logging/toggle?level=3", 400),
        ("GET", "/logging/toggle?level=much&duration=1mins", 400),
        ("GET", "/registrar(1)/registry", 501),
        ("GET", "/master", 404),
        ("GET", "/teardown", 405),
        ("POST", "/teardown", 400),
    ] {
        let answer = request(cluster.address(), method, path, &[], b"").await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        if status == 307 {
            let place = format!("//localhost:{}", cluster.address().port());
            assert_eq!(answer.header("location"), Some(place.as_str()));
        }
    }
    let health = request(cluster.address(), "GET", "/health", &[], b"").await;
    assert_eq!(health.body, "");
    let version = cluster.json("/version").await;
    assert_eq!(version["version"], "1.11.0");
    assert!(keys(&version).contains(&"build_time"));
    assert!(cluster.json("/flags").await["flags"]["work_dir"].is_string());
    cluster.stop().await;
}

#[tokio::test]
async fn exporters_find_every_name() {
    let cluster = Cluster::start().await;
    let agent = Agent::join(&cluster, hello("a")).await.work();
    cluster.deploy("/web", 1).await;
    let metrics = cluster.json("/metrics/snapshot?timeout=1secs").await;
    for name in "master/uptime_secs master/elected master/cpus_total master/cpus_used master/cpus_percent \
                 master/mem_total master/disk_used master/gpus_percent master/cpus_revocable_total \
                 master/slaves_connected master/slaves_active master/slaves_unreachable \
                 master/slave_registrations master/slave_removals master/slave_removals/reason_unhealthy \
                 master/frameworks_active master/outstanding_offers master/tasks_staging master/tasks_running \
                 master/tasks_lost master/tasks_gone_by_operator master/messages_register_framework \
                 master/valid_status_updates master/invalid_status_updates master/dropped_messages \
                 master/event_queue_dispatches registrar/state_store_ms registrar/state_store_ms/p9999 \
                 registrar/queued_operations registrar/log/recovered allocator/mesos/allocation_runs \
                 allocator/mesos/allocation_run_latency_ms/p50 allocator/mesos/resources/cpus/total \
                 system/cpus_total system/load_15min system/mem_free_bytes"
        .split_whitespace()
    {
        assert!(metrics[name].is_number(), "{name}");
    }
    assert_eq!(
        (&metrics["master/tasks_running"], &metrics["master/slaves_active"]),
        (&json!(1.0), &json!(1.0))
    );
    assert_eq!(metrics["master/cpus_total"], 4.0);
    let prometheus = cluster.get("/metrics").await.1;
    assert!(prometheus.contains("hansa_services 1"), "ours is where it was");
    cluster.stop().await;
    agent.await.unwrap();
}

#[tokio::test]
async fn forms_change_quota_weights_and_reservations() {
    let cluster = Cluster::start().await;
    let agent = Agent::join(&cluster, hello("a")).await.work();
    wait_for_agent(&cluster).await;
    let send = async |method: &str, path: &str, body: &str| {
        let answer = request(cluster.address(), method, path, &[], body.as_bytes()).await;
        (answer.status, answer.body)
    };
    assert_eq!(send("PUT", "/weights", r#"[{"role":"r","weight":2.5}]"#).await.0, 200);
    assert_eq!(send("PUT", "/weights", r#"[{"role":"r","weight":0}]"#).await.0, 400);
    assert_eq!(cluster.json("/weights").await, json!([{"weight": 2.5, "role": "r"}]));
    let quota = json!({"role": "r", "guarantee": [scalar("cpus", 1.0)]}).to_string();
    assert_eq!(send("POST", "/quota", &quota).await, (200, String::new()));
    let shown = cluster.json("/quota").await;
    assert_eq!(shown["configs"][0]["guarantees"]["cpus"]["value"], 1.0, "{shown}");
    assert_eq!(send("DELETE", "/quota/r", "").await.0, 200);
    assert_eq!(cluster.json("/quota").await, json!({}));
    assert_eq!(cluster.json("/weights").await[0]["weight"], 2.5, "the weight stays");

    let mut kept = scalar("cpus", 1.0);
    kept["reservations"] = json!([{"type": "DYNAMIC", "role": "r", "principal": "p"}]);
    let form = |agent: &str, cpus: f64| {
        let mut kept = kept.clone();
        kept["scalar"]["value"] = json!(cpus);
        let text = json!([kept]).to_string().replace('"', "%22");
        format!("slaveId={agent}&resources={text}")
    };
    assert_eq!(send("POST", "/reserve", &form("none", 1.0)).await.0, 400);
    assert_eq!(send("POST", "/reserve", &form("a", 100.0)).await.0, 409);
    assert_eq!(send("POST", "/reserve", "slaveId=a").await.0, 400);
    assert_eq!(send("POST", "/reserve", &form("a", 1.0)).await, (202, String::new()));
    // What machines have is shown again within a second.
    let slave = wait_for_slave(&cluster, |slave| slave["reserved_resources"]["r"]["cpus"] == 1.0).await;
    assert_eq!(slave["unreserved_resources"]["cpus"], 3.0);
    assert_eq!(send("POST", "/unreserve", &form("a", 1.0)).await, (202, String::new()));
    wait_for_slave(&cluster, |slave| slave["reserved_resources"] == json!({})).await;
    cluster.stop().await;
    agent.await.unwrap();
}

/// Waits until an agent takes work.
pub async fn wait_for_agent(cluster: &Cluster) {
    wait_for_slave(cluster, |slave| slave["active"] == true).await;
}

/// Waits until the first agent is shown so.
async fn wait_for_slave(cluster: &Cluster, wanted: impl Fn(&Value) -> bool) -> Value {
    // The stream is there before it is looked the first time: what changes after that is told.
    let mut events = cluster.events_of("only=node").await;
    loop {
        events.next().await.expect("the stream goes on");
        let slave = cluster.json("/slaves").await["slaves"][0].clone();
        if wanted(&slave) {
            return slave;
        }
    }
}
