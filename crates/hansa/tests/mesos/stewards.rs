//! A.9: what else operators do.

use crate::World;
use crate::agents::set_logging_level;
use crate::cases;
use crate::operator::{done, operate, read};
use crate::scheduler::{Scheduler, info, launch, scalar, task};
use crate::wire::Request;
use serde_json::{Value, json};

cases! {
    executors: "GET_EXECUTORS tells executors with their agents",
    completed: "what has ended stays among the completed",
    logging: "SET_LOGGING_LEVEL holds for the time that it says",
    files: "LIST_FILES and READ_FILE of what the master does not have are 404",
    maintenance: "UPDATE_MAINTENANCE_SCHEDULE, START_ and STOP_MAINTENANCE",
    deactivation: "DEACTIVATE_AGENT and REACTIVATE_AGENT are told by GET_AGENTS",
    older_quota: "SET_QUOTA and REMOVE_QUOTA still work",
    roles: "GET_ROLES tells weight, frameworks and what they have",
    unknown_agents: "orders about agents that nobody knows are refused",
    framework_updated: "SUBSCRIBE tells of frameworks that come back and go",
    low: "calls that are not served are 501 and named",
}

async fn executors(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("stewards")).await;
    let offer = framework.offer().await;
    let mut own = task("own", &offer, "");
    own["command"] = Value::Null;
    own["executor"] = json!({
        "executor_id": {"value": "mine"},
        "command": {"value": "sleep 100000"},
        "resources": [scalar("cpus", 0.1), scalar("mem", 32.0)],
    });
    framework.accept(&offer, &[launch(&[own])]).await;
    // It is known as soon as its resources are taken.
    framework.offer_where("the rest", |rest| rest["executor_ids"] == json!([{"value": "mine"}])).await;
    let all = read(world, "GET_EXECUTORS").await;
    let mut mine = all["executors"].as_array().expect("executors").iter();
    let mine = mine.find(|one| one["executor_info"]["framework_id"]["value"] == framework.id).expect("it");
    assert_eq!(mine["executor_info"]["executor_id"], json!({"value": "mine"}), "{mine}");
    assert_eq!(mine["agent_id"], offer["agent_id"]);
    framework.teardown().await;
}

async fn completed(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("stewards")).await;
    let offer = framework.offer().await;
    framework.accept(&offer, &[launch(&[task("over", &offer, "exit 0")])]).await;
    framework.until("over", "TASK_FINISHED").await;
    let of_it = |list: &Value| -> Vec<Value> {
        let all = list.as_array().map_or(&[][..], Vec::as_slice).iter();
        all.filter(|one| one["framework_id"]["value"] == framework.id).cloned().collect()
    };
    let begun = std::time::Instant::now();
    loop {
        let tasks = read(world, "GET_TASKS").await;
        if of_it(&tasks["completed_tasks"]).len() == 1 {
            break;
        }
        assert!(begun.elapsed() < crate::PATIENCE, "{tasks}");
    }
    let id = framework.id.clone();
    framework.teardown().await;
    let begun = std::time::Instant::now();
    loop {
        let all = read(world, "GET_FRAMEWORKS").await;
        let mut gone = all["completed_frameworks"].as_array().into_iter().flatten();
        if let Some(gone) = gone.find(|one| one["framework_info"]["id"]["value"] == id.as_str()) {
            assert_eq!((&gone["active"], &gone["connected"]), (&json!(false), &json!(false)), "{gone}");
            break assert!(gone["unregistered_time"]["nanoseconds"].is_u64(), "{gone}");
        }
        assert!(begun.elapsed() < crate::PATIENCE, "{all}");
    }
}

async fn logging(world: &World) {
    set_logging_level(&world.master).await;
}

async fn files(world: &World) {
    let path = json!({"path": "/no/such/path"});
    let call = json!({"type": "LIST_FILES", "list_files": path});
    assert_eq!(operate(world, &call).await.status(), 404);
    let call = json!({"type": "READ_FILE", "read_file": {"path": "/no/such/path", "offset": 0}});
    assert_eq!(operate(world, &call).await.status(), 404);
    assert_eq!(operate(world, &json!({"type": "LIST_FILES"})).await.status(), 400);
}

async fn maintenance(world: &World) {
    let agents = read(world, "GET_AGENTS").await;
    let name = agents["agents"][0]["agent_info"]["hostname"].as_str().expect("a name").to_owned();
    let machine = json!({"hostname": name});
    let far = json!({"start": {"nanoseconds": 4_000_000_000_000_000_000_u64}});
    let set = |windows: Value| json!({"type": "UPDATE_MAINTENANCE_SCHEDULE", "update_maintenance_schedule": {"schedule": {"windows": windows}}});
    let order = |kind: &str| json!({"type": kind, kind.to_lowercase(): {"machines": [machine]}});
    assert_eq!(operate(world, &order("START_MAINTENANCE")).await.status(), 400, "it is not scheduled");
    assert_eq!(operate(world, &order("STOP_MAINTENANCE")).await.status(), 400, "it is not down");
    // Names are compared without regard to capitals.
    let shouted = json!({"hostname": name.to_uppercase()});
    done(world, set(json!([{"machine_ids": [shouted], "unavailability": far}])), 200).await;
    let schedule = read(world, "GET_MAINTENANCE_SCHEDULE").await;
    assert_eq!(schedule["schedule"]["windows"].as_array().map(Vec::len), Some(1), "{schedule}");
    let status = read(world, "GET_MAINTENANCE_STATUS").await;
    assert_eq!(status["status"]["draining_machines"].as_array().map(Vec::len), Some(1), "{status}");
    done(world, order("START_MAINTENANCE"), 200).await;
    let status = read(world, "GET_MAINTENANCE_STATUS").await;
    assert_eq!(status["status"]["down_machines"].as_array().map(Vec::len), Some(1), "{status}");
    done(world, order("STOP_MAINTENANCE"), 200).await;
    let status = read(world, "GET_MAINTENANCE_STATUS").await;
    assert_eq!(status["status"], json!({}), "it left the schedule, too");
    for bad in [
        json!([{"machine_ids": [], "unavailability": far}]),
        json!([{"machine_ids": [{}], "unavailability": far}]),
    ] {
        assert_eq!(operate(world, &set(bad.clone())).await.status(), 400, "{bad}");
    }
    let mut framework = Scheduler::subscribe(world, &info("stewards")).await;
    framework.offer_where("the machine again", |offer| offer["hostname"] == name.as_str()).await;
    framework.teardown().await;
}

async fn deactivation(world: &World) {
    let id = read(world, "GET_AGENTS").await["agents"][0]["agent_info"]["id"].clone();
    let order = |kind: &str| json!({"type": kind, kind.to_lowercase(): {"agent_id": id}});
    let told = async || {
        let agents = read(world, "GET_AGENTS").await;
        let all = agents["agents"].as_array().expect("agents").iter();
        let one = all.clone().find(|one| one["agent_info"]["id"] == id).expect("it").clone();
        (one["active"] == true, one["deactivated"] == true)
    };
    done(world, order("DEACTIVATE_AGENT"), 200).await;
    assert_eq!(told().await, (false, true));
    let slaves = Request::get("/slaves").send(&world.master).await.json();
    let mut slaves = slaves["slaves"].as_array().expect("slaves").iter();
    let slave = slaves.find(|one| one["id"] == id["value"]).expect("it");
    assert_eq!((&slave["active"], &slave["deactivated"]), (&json!(false), &json!(true)));
    done(world, order("REACTIVATE_AGENT"), 200).await;
    assert_eq!(told().await, (true, false));
}

async fn older_quota(world: &World) {
    let asked = json!({"role": "older", "guarantee": [scalar("cpus", 0.5)]});
    done(world, json!({"type": "SET_QUOTA", "set_quota": {"quota_request": asked}}), 200).await;
    let quota = read(world, "GET_QUOTA").await;
    let mut infos = quota["status"]["infos"].as_array().expect("infos").iter();
    assert!(infos.any(|one| one["role"] == "older"), "{quota}");
    done(world, json!({"type": "REMOVE_QUOTA", "remove_quota": {"role": "older"}}), 200).await;
    let quota = read(world, "GET_QUOTA").await;
    assert!(!quota.to_string().contains("\"older\""), "{quota}");
}

async fn roles(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("stewards")).await;
    framework.run("counts", "sleep 100000").await;
    let roles = read(world, "GET_ROLES").await;
    let mut all = roles["roles"].as_array().expect("roles").iter();
    let any = all.find(|role| role["name"] == "*").expect("everybody's");
    assert_eq!(any["weight"], 1.0);
    assert!(any["frameworks"].as_array().expect("ids").contains(&json!({"value": framework.id})), "{any}");
    assert!(crate::scheduler::amount(&any["resources"], "cpus") >= 0.1, "{any}");
    framework.teardown().await;
}

async fn unknown_agents(world: &World) {
    let nobody = json!({"value": "nobody"});
    for kind in ["DRAIN_AGENT", "DEACTIVATE_AGENT", "REACTIVATE_AGENT", "MARK_AGENT_GONE"] {
        let call = json!({"type": kind, kind.to_lowercase(): {"agent_id": nobody}});
        let answer = operate(world, &call).await;
        assert!(matches!(answer.status(), 400 | 404), "{kind}: {}", answer.text());
        assert_eq!(operate(world, &json!({"type": kind})).await.status(), 400, "{kind}");
    }
    let call = json!({"type": "TEARDOWN", "teardown": {"framework_id": nobody}});
    assert_eq!(operate(world, &call).await.status(), 400);
}

async fn framework_updated(world: &World) {
    let mut stream = Request::json("/api/v1", &json!({"type": "SUBSCRIBE"})).open(&world.master).await;
    let mut information = info("stewards");
    information["failover_timeout"] = json!(600.0);
    let framework = Scheduler::subscribe(world, &information).await;
    information["id"] = json!({"value": framework.vanish()});
    let framework = Scheduler::subscribe(world, &information).await;
    let mut kinds = Vec::new();
    loop {
        let event = stream.json().await.expect("it goes on");
        let kind = event["type"].as_str().expect("a type").to_owned();
        let shown = &event[kind.to_lowercase()]["framework"];
        if shown["framework_info"]["id"]["value"] == framework.id {
            // That it was away is told only if that was noticed before it came back.
            let is_back = kind == "FRAMEWORK_UPDATED" && shown["connected"] == true;
            kinds.push(kind);
            if is_back {
                break;
            }
        }
    }
    assert_eq!(kinds[0], "FRAMEWORK_ADDED");
    assert!(kinds[1..].iter().all(|kind| kind == "FRAMEWORK_UPDATED"), "{kinds:?}");
    framework.teardown().await;
}

async fn low(world: &World) {
    for kind in ["GROW_VOLUME", "SHRINK_VOLUME", "MARK_RESOURCE_PROVIDER_GONE"] {
        let answer = operate(world, &json!({"type": kind})).await;
        let named = answer.status() == 501 && answer.text().contains(kind);
        assert!(
            named || matches!(answer.status(), 200 | 202 | 400),
            "{kind}: {} {}",
            answer.status(),
            answer.text()
        );
    }
}
