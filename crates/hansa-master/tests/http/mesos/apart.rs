//! What of a machine is set apart, as `/hansa/v1/nodes/{node}` tells it: by its configuration and by frameworks, on its own
//! disk and on others, and who has what of it.

use super::client::{Scheduler, scalar};
use crate::agents::{Agent, hello};
use crate::support::{Cluster, Frame};
use hansa_model::agent::Hello;
use hansa_model::framework::{Amount, DiskSource, Part, Reservation};
use hansa_model::resources::{MIB, PortSet};
use serde_json::{Value, json};

/// A machine that keeps something for a role, and has two disks of their own.
fn divided() -> Hello {
    let kept = Reservation { role: "web".into(), principal: None, labels: Vec::new(), fixed: true };
    let disk = |mebibytes: u64| Amount { disk: mebibytes * MIB, ..Amount::default() };
    let on = |source| Part { source: Some(source), ..Part::default() };
    let mount = Part { amount: disk(2_000), ..on(DiskSource::Mount("/mnt/fast".into())) };
    let path = Part {
        reservations: vec![kept.clone()],
        amount: disk(1_000),
        ..on(DiskSource::Path("/data".into()))
    };
    let ports = [(31_000, 31_009)];
    let amount =
        Amount { cpus_milli: 1_000, mem: 512 * MIB, ports: PortSet::from_ranges(ports), ..Amount::default() };
    let web = Part { reservations: vec![kept], amount, ..Part::default() };
    Hello { parts: vec![web, path, mount], ..hello("a") }
}

#[tokio::test]
async fn what_is_configured_is_told() {
    let cluster = Cluster::start().await;
    let mut events = cluster.events_of("only=node").await;
    Agent::join(&cluster, divided()).await.work();
    let told =
        events.find(|frame| frame.name == "node" && frame.data["reserved"]["cpus_milli"] == 1_000).await;
    assert_eq!(told.data["reserved"]["disk"], 1_000 * MIB, "what nobody reserved is not reserved");
    let listed = cluster.json("/hansa/v1/nodes?fields=reserved").await;
    assert_eq!(listed["nodes"][0]["reserved"]["mem"], 512 * MIB);
    let role = &cluster.json("/hansa/v1/roles").await["roles"][0];
    let kept = json!({"cpus_milli": 1_000, "mem": 512 * MIB, "disk": 1_000 * MIB, "gpus_milli": 0});
    assert_eq!(
        (&role["name"], &role["reserved"]),
        (&json!("web"), &kept),
        "nobody is in it, and it has something"
    );
    assert_eq!(cluster.json("/hansa/v1/history?of=role:web").await["of"], "role:web");

    let node = cluster.json("/hansa/v1/nodes/a.test").await;
    assert_eq!(node["hostname"], "a.test", "all that lists tell");
    assert_eq!(
        node["unreserved"]["free"],
        json!({"cpus_milli": 3_000, "mem": 3_584 * MIB, "disk": 7_000 * MIB, "gpus_milli": 0, "ports": [[31_010, 31_100]]})
    );
    let web = &node["reservations"][0];
    assert_eq!(
        (&web["role"], &web["kind"], &web["within"], &web["labels"]),
        (&json!("web"), &json!("static"), &json!([]), &json!([]))
    );
    let all = json!({"cpus_milli": 1_000, "mem": 512 * MIB, "disk": 1_000 * MIB, "gpus_milli": 0, "ports": [[31_000, 31_009]]});
    assert_eq!((&web["total"], &web["free"]), (&all, &all), "also what is on other disks");
    let disk = |kind: &str, root: &str, size: u64, reserved: u64| {
        json!({
            "kind": kind, "root": root, "size": size * MIB, "reserved": reserved * MIB,
            "used": 0, "offered": 0, "free": size * MIB,
        })
    };
    assert_eq!(
        node["disks"],
        json!([disk("path", "/data", 1_000, 1_000), disk("mount", "/mnt/fast", 2_000, 0)])
    );
    assert_eq!(node["volumes"], json!([]));
    cluster.deploy("/any", 2).await;
    let node = cluster.json("/hansa/v1/nodes/a").await;
    assert_eq!(node["unreserved"]["used"]["cpus_milli"], 200, "services use what is anybody's: {node}");
    assert_eq!(node["unreserved"]["free"]["cpus_milli"], 2_800);
    assert_eq!(node["reservations"][0]["used"]["cpus_milli"], 0);
    cluster.stop().await;
}

#[tokio::test]
async fn who_has_it_is_told() {
    let cluster = Cluster::start().await;
    let mut events = cluster.events_of("only=framework,node").await;
    Agent::join(&cluster, divided()).await.work();
    let capabilities = json!([{"type": "MULTI_ROLE"}, {"type": "RESERVATION_REFINEMENT"}]);
    let info = json!({"roles": ["web"], "capabilities": capabilities, "failover_timeout": 60.0});
    let mut scheduler = Scheduler::subscribe(&cluster, info).await;
    let offer = scheduler.offer().await;
    events.find(|frame| frame.name == "framework" && frame.data["offers"] == 1).await;
    let node = cluster.json("/hansa/v1/nodes/a").await;
    let web = &node["reservations"][0];
    assert_eq!((&web["offered"], &web["free"]["cpus_milli"]), (&web["total"], &json!(0)), "{node}");
    assert_eq!(node["disks"][1]["offered"], 2_000 * MIB);
    assert_eq!(node["unreserved"]["free"]["mem"], 0);

    let dynamic = |name: &str, value: f64| {
        let mut resource = scalar(name, value);
        let labels = json!({"labels": [{"key": "team", "value": "blue"}, {"key": "bare"}]});
        resource["reservations"] = json!([{"type": "DYNAMIC", "role": "web", "labels": labels}]);
        resource
    };
    let disk = dynamic("disk", 64.0);
    let mut volume = disk.clone();
    volume["disk"] = json!({"persistence": {"id": "db"}, "volume": {"container_path": "data", "mode": "RW"}});
    let fixed = |mut resource: Value| {
        resource["reservations"] = json!([{"type": "STATIC", "role": "web"}]);
        resource
    };
    let task = json!({
        "name": "keeps", "task_id": {"value": "keeps"}, "agent_id": offer["agent_id"],
        "resources": [fixed(scalar("cpus", 0.5)), fixed(scalar("mem", 64.0)), volume],
        "command": {"value": "sleep 1000"},
    });
    let operations = json!([
        {"type": "RESERVE", "reserve": {"resources": [disk]}},
        {"type": "CREATE", "create": {"volumes": [volume]}},
        {"type": "LAUNCH", "launch": {"task_infos": [task]}},
    ]);
    let accept =
        json!({"offer_ids": [offer["id"]], "operations": operations, "filters": {"refuse_seconds": 3_600}});
    scheduler.tell(json!({"type": "ACCEPT", "accept": accept})).await;
    let running = scheduler.update("keeps").await;
    assert_eq!(running["state"], "TASK_RUNNING", "{running}");
    scheduler.acknowledge(&running).await;

    let has = |frame: &Frame| frame.name == "node" && frame.data["tasks"] == 1;
    events.find(has).await;
    let node = cluster.json("/hansa/v1/nodes/a").await;
    let id = cluster.json("/hansa/v1/tasks").await["tasks"][0]["id"].clone();
    let made = json!({
        "id": "db", "role": "web", "principal": null, "size": 64 * MIB, "container_path": "data", "disk": null,
        "state": "used", "framework": scheduler.id, "tasks": [id],
    });
    assert_eq!(node["volumes"], json!([made]), "{node}");
    let kinds: Vec<(&Value, &Value)> = node["reservations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["kind"], &one["used"]["disk"]))
        .collect();
    let (fixed, dynamic) = (json!("static"), json!("dynamic"));
    let (none, all) = (json!(0), json!(64 * MIB));
    assert_eq!(kinds, [(&fixed, &none), (&dynamic, &all)]);
    assert_eq!(
        node["reservations"][1]["labels"],
        json!([{"key": "team", "value": "blue"}, {"key": "bare", "value": null}])
    );
    assert_eq!(node["reservations"][0]["used"]["cpus_milli"], 500);

    let kill = json!({"type": "KILL", "kill": {"task_id": {"value": "keeps"}}});
    scheduler.tell(kill).await;
    let killed = scheduler.update("keeps").await;
    scheduler.acknowledge(&killed).await;
    events.find(|frame| frame.name == "node" && frame.data["tasks"] == 0).await;
    let node = cluster.json("/hansa/v1/nodes/a").await;
    assert_eq!(node["volumes"][0]["id"], "db", "it outlives the task");
    assert_eq!(node["volumes"][0]["tasks"], json!([]));
    cluster.stop().await;
}
