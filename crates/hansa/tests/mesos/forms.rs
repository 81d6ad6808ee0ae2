//! A.11: the older endpoints that change something.

use crate::World;
use crate::agents::{any_agent, set_logging_level};
use crate::cases;
use crate::scheduler::{Scheduler, info_with, scalar};
use crate::wire::{Answer, Request};
use serde_json::{Value, json};

cases! {
    reserve: "POST /reserve and /unreserve take a form: 202, 400 or 409",
    volumes: "POST /create-volumes and /destroy-volumes take a form",
    weights: "GET and PUT /weights",
    quota: "GET, POST and DELETE /quota",
    maintenance: "a schedule is set and read, machines go down and up by it",
    logging: "/logging/toggle and SET_LOGGING_LEVEL of the master",
    files: "the files of master and agent, and what their paths stand for",
    low: "what is not served is 501 and named",
    versions: "flags, version and health of an agent",
}

/// As forms are written.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

async fn post(world: &World, path: &str, fields: &[(&str, &str)]) -> Answer {
    let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    Request::new("POST", path)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body.join("&"))
        .send(&world.master)
        .await
}

async fn get(world: &World, path: &str) -> Value {
    Request::get(path).send(&world.master).await.json()
}

async fn first_agent(world: &World) -> String {
    get(world, "/slaves").await["slaves"][0]["id"].as_str().expect("an id").to_owned()
}

fn reserved(role: &str, mut resource: Value) -> Value {
    resource["reservations"] = json!([{"type": "DYNAMIC", "role": role}]);
    resource
}

async fn reserve(world: &World) {
    let agent = first_agent(world).await;
    let resources = json!([reserved("formal", scalar("cpus", 0.5))]).to_string();
    let fields = [("slaveId", agent.as_str()), ("resources", resources.as_str())];
    for path in ["/master/reserve", "/master/unreserve"] {
        let answer = post(world, path, &fields).await;
        assert_eq!((answer.status(), answer.text()), (202, String::new()), "{path}");
        let slave = get(world, &format!("/slaves?slave_id={agent}")).await["slaves"][0].clone();
        let cpus = &slave["reserved_resources"]["formal"]["cpus"];
        assert_eq!(
            cpus.as_f64().unwrap_or(0.0),
            if path.ends_with("unreserve") { 0.0 } else { 0.5 },
            "{slave}"
        );
    }
    assert_eq!(post(world, "/unreserve", &fields).await.status(), 409, "nothing is reserved");
    for bad in
        [&fields[..1], &fields[1..], &[("slaveId", "nobody"), fields[1]], &[fields[0], ("resources", "[{]")]]
    {
        assert_eq!(post(world, "/reserve", bad).await.status(), 400, "{bad:?}");
    }
    assert_eq!(Request::get("/reserve").send(&world.master).await.status(), 405);
}

async fn volumes(world: &World) {
    let agent = first_agent(world).await;
    let disk = reserved("shaped", scalar("disk", 64.0));
    let mut volume = disk.clone();
    volume["disk"] = json!({"persistence": {"id": "v"}, "volume": {"container_path": "data", "mode": "RW"}});
    let (disk, volume) = (json!([disk]).to_string(), json!([volume]).to_string());
    for (path, name, value) in [
        ("/reserve", "resources", &disk),
        ("/create-volumes", "volumes", &volume),
        ("/destroy-volumes", "volumes", &volume),
        ("/unreserve", "resources", &disk),
    ] {
        let answer = post(world, path, &[("slaveId", &agent), (name, value)]).await;
        assert_eq!((answer.status(), answer.text()), (202, String::new()), "{path}");
    }
}

async fn weights(world: &World) {
    for weight in [3.5, 1.0] {
        let body = json!([{"role": "heavy", "weight": weight}]).to_string();
        let answer = Request::new("PUT", "/weights").body(body).send(&world.master).await;
        assert_eq!((answer.status(), answer.text()), (200, String::new()));
        let all = get(world, "/weights").await;
        let found = all.as_array().expect("a list").iter().find(|one| one["role"] == "heavy").expect("it");
        assert_eq!(found["weight"], weight);
    }
    let roles = get(world, "/roles").await;
    assert!(roles["roles"].is_array());
    let wrong = Request::new("PUT", "/weights").body("[{\"role\":\"heavy\",\"weight\":0}]");
    assert_eq!(wrong.send(&world.master).await.status(), 400);
}

async fn quota(world: &World) {
    let asked = json!({"role": "sure", "guarantee": [scalar("cpus", 0.5), scalar("mem", 64.0)]});
    let answer = Request::new("POST", "/quota").body(asked.to_string()).send(&world.master).await;
    assert_eq!((answer.status(), answer.text()), (200, String::new()));
    let status = get(world, "/quota").await;
    let info = status["infos"]
        .as_array()
        .expect("infos")
        .iter()
        .find(|one| one["role"] == "sure")
        .expect("it")
        .clone();
    assert_eq!(info["guarantee"].as_array().map(Vec::len), Some(2), "{info}");
    let roles = get(world, "/roles").await;
    let role = roles["roles"]
        .as_array()
        .expect("roles")
        .iter()
        .find(|one| one["name"] == "sure")
        .expect("it")
        .clone();
    assert_eq!(
        (&role["quota"]["guarantee"]["cpus"], &role["quota"]["role"]),
        (&json!(0.5), &json!("sure")),
        "{role}"
    );
    let answer = Request::new("DELETE", "/quota/sure").send(&world.master).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let status = get(world, "/quota").await;
    assert!(!status.to_string().contains("\"sure\""), "{status}");
}

async fn maintenance(world: &World) {
    let slaves = get(world, "/slaves").await;
    let machine = json!({"hostname": slaves["slaves"][1]["hostname"]});
    let far = json!({"start": {"nanoseconds": 4_000_000_000_000_000_000_u64}, "duration": {"nanoseconds": 1_000_000_000}});
    let schedule = json!({"windows": [{"machine_ids": [machine], "unavailability": far}]});
    let put = async |path: &str, body: &Value| {
        Request::new("POST", path).body(body.to_string()).send(&world.master).await.status()
    };
    let machines = json!([machine]);
    assert_eq!(put("/machine/down", &machines).await, 400, "it is not scheduled");
    assert_eq!(put("/maintenance/schedule", &schedule).await, 200);
    let read = get(world, "/maintenance/schedule").await;
    assert_eq!(read["windows"][0]["machine_ids"], machines, "{read}");
    assert_eq!(read["windows"][0]["unavailability"], far);
    let status = get(world, "/maintenance/status").await;
    assert_eq!(status["draining_machines"][0]["id"], machine, "{status}");
    // A framework is told with every offer of that machine.
    let mut framework = Scheduler::subscribe(world, &info_with("forms", "maintained", &["MULTI_ROLE"])).await;
    let offer = framework.offer_where("the machine", |offer| offer["hostname"] == machine["hostname"]).await;
    assert_eq!(offer["unavailability"]["start"], far["start"], "{offer}");
    framework.teardown().await;
    assert_eq!(put("/machine/down", &machines).await, 200);
    let status = get(world, "/maintenance/status").await;
    assert_eq!(status["down_machines"], machines, "{status}");
    assert_eq!(put("/maintenance/schedule", &json!({})).await, 400, "it is down");
    assert_eq!(put("/machine/up", &machines).await, 200);
    assert_eq!(put("/maintenance/schedule", &json!({})).await, 200);
    let status = get(world, "/maintenance/status").await;
    assert!(!status.to_string().contains("hostname"), "{status}");
    let mut framework = Scheduler::subscribe(world, &info_with("forms", "after", &["MULTI_ROLE"])).await;
    framework.offer_where("the machine again", |offer| offer["hostname"] == machine["hostname"]).await;
    framework.teardown().await;
}

async fn logging(world: &World) {
    set_logging_level(&world.master).await;
}

async fn files(world: &World) {
    let agent = any_agent(world).await;
    for (address, path) in [(&world.master, "/master/log"), (&agent, "/slave/log")] {
        let debug = Request::get("/files/debug").send(address).await.json();
        assert!(debug.is_object(), "{debug}");
        if debug[path].is_null() {
            // It logs elsewhere.
            assert_eq!(Request::get(&format!("/files/read?path={path}")).send(address).await.status(), 404);
        }
    }
    for bad in ["/files/read", "/files/browse", "/files/download", "/files/read?path=/x&offset=what"] {
        let status = Request::get(bad).send(&agent).await.status();
        assert!(matches!(status, 400 | 404), "{bad}: {status}");
    }
    for outside in ["/etc/passwd", "/../etc/passwd", "/frameworks/../../etc/passwd"] {
        let answer = Request::get(&format!("/files/download?path={outside}")).send(&agent).await;
        assert!(matches!(answer.status(), 400 | 403 | 404), "{outside}: {}", answer.status());
    }
}

async fn low(world: &World) {
    for path in ["/offer_constraints_debug", "/registrar(1)/registry", "/system/stats.json", "/__processes__"]
    {
        let answer = Request::get(path).send(&world.master).await;
        let name = path.trim_start_matches('/').trim_end_matches(".json");
        let named = answer.status() == 501 && answer.text().contains(name);
        assert!(answer.status() == 200 || named, "{path}: {} {}", answer.status(), answer.text());
    }
}

async fn versions(world: &World) {
    let agent = any_agent(world).await;
    for prefix in ["", "/slave(1)"] {
        let health = Request::get(&format!("{prefix}/health")).send(&agent).await;
        assert_eq!((health.status(), health.text()), (200, String::new()));
        assert!(
            Request::get(&format!("{prefix}/flags")).send(&agent).await.json()["flags"]["work_dir"]
                .is_string()
        );
    }
    assert!(Request::get("/version").send(&agent).await.json()["version"].is_string());
}
