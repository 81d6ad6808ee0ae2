//! A.5: persistent volumes, and what keeps them.

use crate::World;
use crate::cases;
use crate::operator::{done, operate, read};
use crate::scheduler::{Scheduler, amount, info_with, launch, scalar, task};
use serde_json::{Value, json};

cases! {
    by_operators: "operators make and remove volumes",
    in_use: "a volume that a task uses cannot be removed",
    one_of_an_id: "an id is one volume's, of a role on an agent",
    malformed: "a volume needs a reservation, an id and a place below the sandbox",
    labelled: "a reservation keeps its labels and its principal, and only what is the same is unreserved",
    below: "what is reserved for a role is offered to those below it",
    sources: "disks of their own are refused by name where there are none",
}

const REFINED: &[&str] = &["MULTI_ROLE", "RESERVATION_REFINEMENT"];

fn reserved(role: &str, mut resource: Value) -> Value {
    resource["reservations"] = json!([{"type": "DYNAMIC", "role": role}]);
    resource
}

fn volume(role: &str, id: &str) -> Value {
    let mut disk = reserved(role, scalar("disk", 64.0));
    disk["disk"] = json!({"persistence": {"id": id}, "volume": {"container_path": "data", "mode": "RW"}});
    disk
}

/// A call of an operator about resources of an agent.
fn of(kind: &str, agent: &Value, resources: &[Value]) -> Value {
    let key = if kind.contains("VOLUMES") { "volumes" } else { "resources" };
    json!({"type": kind, kind.to_lowercase(): {"agent_id": agent, key: resources}})
}

async fn first_agent(world: &World) -> Value {
    read(world, "GET_AGENTS").await["agents"][0]["agent_info"]["id"].clone()
}

fn has(offer: &Value, id: &str) -> bool {
    let all = offer["resources"].as_array().expect("resources");
    all.iter().any(|one| one["disk"]["persistence"]["id"] == id)
}

async fn by_operators(world: &World) {
    let agent = first_agent(world).await;
    let (disk, volume) = (reserved("made", scalar("disk", 64.0)), volume("made", "by-hand"));
    done(world, of("RESERVE_RESOURCES", &agent, std::slice::from_ref(&disk)), 202).await;
    done(world, of("CREATE_VOLUMES", &agent, std::slice::from_ref(&volume)), 202).await;
    let mut framework = Scheduler::subscribe(world, &info_with("volumes", "made", REFINED)).await;
    let offer = framework.offer_where("the volume", |offer| has(offer, "by-hand")).await;
    assert_eq!(offer["agent_id"], agent);
    framework.teardown().await;
    done(world, of("DESTROY_VOLUMES", &agent, std::slice::from_ref(&volume)), 202).await;
    assert_eq!(operate(world, &of("DESTROY_VOLUMES", &agent, &[volume])).await.status(), 409, "it is gone");
    done(world, of("UNRESERVE_RESOURCES", &agent, &[disk]), 202).await;
}

async fn in_use(world: &World) {
    let agent = first_agent(world).await;
    let (disk, volume) = (reserved("used", scalar("disk", 64.0)), volume("used", "in-use"));
    done(world, of("RESERVE_RESOURCES", &agent, std::slice::from_ref(&disk)), 202).await;
    done(world, of("CREATE_VOLUMES", &agent, std::slice::from_ref(&volume)), 202).await;
    let mut framework = Scheduler::subscribe(world, &info_with("volumes", "used", REFINED)).await;
    let offer = framework
        .offer_where("the volume and room", |offer| {
            has(offer, "in-use") && amount(&offer["resources"], "cpus") >= 1.0
        })
        .await;
    let mut holds = task("holds", &offer, "touch data/file; sleep 100000");
    holds["resources"].as_array_mut().expect("a list").push(volume.clone());
    framework.accept(&offer, &[launch(&[holds])]).await;
    framework.until("holds", "TASK_RUNNING").await;
    assert_eq!(
        operate(world, &of("DESTROY_VOLUMES", &agent, std::slice::from_ref(&volume))).await.status(),
        409
    );
    framework.call(json!({"type": "KILL", "kill": {"task_id": {"value": "holds"}}})).await;
    framework.until("holds", "TASK_KILLED").await;
    framework.teardown().await;
    done(world, of("DESTROY_VOLUMES", &agent, &[volume]), 202).await;
    done(world, of("UNRESERVE_RESOURCES", &agent, &[disk]), 202).await;
}

async fn one_of_an_id(world: &World) {
    let agent = first_agent(world).await;
    let disk = reserved("single", scalar("disk", 128.0));
    done(world, of("RESERVE_RESOURCES", &agent, std::slice::from_ref(&disk)), 202).await;
    let volume = volume("single", "single");
    done(world, of("CREATE_VOLUMES", &agent, std::slice::from_ref(&volume)), 202).await;
    let again = operate(world, &of("CREATE_VOLUMES", &agent, std::slice::from_ref(&volume))).await;
    assert!(matches!(again.status(), 400 | 409), "{}: {}", again.status(), again.text());
    done(world, of("DESTROY_VOLUMES", &agent, &[volume]), 202).await;
    done(world, of("UNRESERVE_RESOURCES", &agent, &[disk]), 202).await;
}

async fn malformed(world: &World) {
    let agent = first_agent(world).await;
    let good = volume("malformed", "v");
    let change = |path: &str, value: Value| {
        let mut bad = good.clone();
        *bad.pointer_mut(path).expect("a field") = value;
        bad
    };
    for bad in [
        change("/reservations", json!([])),
        change("/disk/persistence/id", json!("")),
        change("/disk/persistence/id", json!("a/b")),
        change("/disk/volume/mode", json!("RO")),
        change("/disk/volume", Value::Null),
        change("/name", json!("mem")),
    ] {
        let answer = operate(world, &of("CREATE_VOLUMES", &agent, std::slice::from_ref(&bad))).await;
        assert_eq!(answer.status(), 400, "{bad}: {}", answer.text());
    }
    let answer = operate(world, &of("CREATE_VOLUMES", &agent, &[good])).await;
    assert_eq!(answer.status(), 409, "nothing is reserved: {}", answer.text());
}

async fn labelled(world: &World) {
    let mut info = info_with("volumes", "labelled", REFINED);
    info["principal"] = json!("somebody");
    let mut framework = Scheduler::subscribe(world, &info).await;
    let offer = framework.offer().await;
    let labels = json!({"labels": [{"key": "what", "value": "for"}]});
    let mut resource = reserved("labelled", scalar("cpus", 0.25));
    resource["reservations"][0]["principal"] = json!("somebody");
    resource["reservations"][0]["labels"] = labels.clone();
    framework.accept(&offer, &[json!({"type": "RESERVE", "reserve": {"resources": [resource]}})]).await;
    let kept = |offer: &Value| -> Option<Value> {
        let all = offer["resources"].as_array().expect("resources");
        all.iter().find(|one| one["reservations"][0]["role"] == "labelled").cloned()
    };
    let offer = framework.offer_where("the reservation", |offer| kept(offer).is_some()).await;
    let mut found = kept(&offer).expect("it is there");
    let stack = &found["reservations"][0];
    assert_eq!((&stack["labels"], &stack["principal"]), (&labels, &json!("somebody")), "{found}");
    // Without its labels it is another reservation, of which there is nothing.
    let mut other = found.clone();
    other["reservations"][0]["labels"] = Value::Null;
    let unreserve = |resource: &Value| json!({"type": "UNRESERVE", "unreserve": {"resources": [resource]}});
    framework.accept(&offer, &[unreserve(&other)]).await;
    let offer = framework.offer_where("the reservation still", |offer| kept(offer).is_some()).await;
    found = kept(&offer).expect("it is there");
    framework.accept(&offer, &[unreserve(&found)]).await;
    framework
        .offer_where("the agent without it", |other| {
            other["agent_id"] == offer["agent_id"] && kept(other).is_none()
        })
        .await;
    framework.teardown().await;
}

async fn below(world: &World) {
    let agent = first_agent(world).await;
    let cpus = reserved("above", scalar("cpus", 0.5));
    done(world, of("RESERVE_RESOURCES", &agent, std::slice::from_ref(&cpus)), 202).await;
    let mut framework = Scheduler::subscribe(world, &info_with("volumes", "above/below", REFINED)).await;
    let offer = framework
        .offer_where("what is reserved above", |offer| {
            let all = offer["resources"].as_array().expect("resources");
            all.iter().any(|one| one["reservations"][0]["role"] == "above")
        })
        .await;
    assert_eq!(offer["allocation_info"]["role"], "above/below");
    framework.teardown().await;
    done(world, of("UNRESERVE_RESOURCES", &agent, &[cpus]), 202).await;
}

async fn sources(world: &World) {
    let agent = first_agent(world).await;
    let mut disk = reserved("mounted", scalar("disk", 64.0));
    disk["disk"] = json!({"source": {"type": "MOUNT", "mount": {"root": "/mnt/some"}}});
    let answer = operate(world, &of("RESERVE_RESOURCES", &agent, &[disk])).await;
    // Well said, but there is none.
    assert!(answer.status() == 409 && answer.text().contains("MOUNT disk /mnt/some"), "{}", answer.text());
}
