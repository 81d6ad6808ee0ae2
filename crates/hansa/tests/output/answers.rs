//! What the master of cardboard answers. Ages are in hours and more, so that they read the same while the test runs.

use crate::apart;
use hansa_api::files::{File, Files, Kind};
use hansa_api::framework::{
    FrameworkDetail, FrameworkExplanation, FrameworkFilter, FrameworkOffer, FrameworkRole, FrameworkState,
    FrameworkSummary, Frameworks, LastOffer, OfferObstacle, RoleExplanation,
};
use hansa_api::hansa::{
    Cluster, Deployment, Deployments, Done, Health, ImageOnNode, Images, Node, Nodes, Pruned, PrunedNode,
    RoleStatus, Roles, Service, Services, SilentNode, Steered, Task, Tasks,
};
use hansa_api::plans::{DrainPreview, DrainedTask, Explained, Fate, Places, Several};
use hansa_model::Timestamp;
use hansa_model::event::{AgentState, Failing, Standstill};
use hansa_model::explain::{Explanation, Obstacle, ObstacleGroup};
use hansa_model::resources::{Demand, MIB, PortDemand};
use hansa_model::role::{Bound, Role, Totals};
use hansa_model::task::{HealthResult, TaskState};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Files that commands are given.
pub fn write_files(directory: &Path) {
    let write = |name: &str, text: String| {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    };
    let mut web = app("/shop/web");
    write("FILES/same.json", app("/shop/broken").to_string());
    web["cpus"] = json!(0.5);
    web["env"] = json!({"GREETING": "hello", "REGION": "eu"});
    web["cmd"] = json!("exec bin/web --listen 0.0.0.0:$PORT0 --log /var/log/web/access.log --workers 8");
    write("FILES/web.json", web.to_string());
    write("FILES/new.yaml", "id: /shop/new\ncmd: exec sleep 1000\ncpus: 0.1\nmem: 64\ninstances: 2\n".into());
    write(
        "compose.yaml",
        "name: shop\nservices:\n  web:\n    image: nginx:1.27\n    ports: ['8080:80']\n    container_name: w\n".into(),
    );
    write("BAD/typo.yaml", "id: /shop/web\ncmd: x\ninstnaces: 3\ncpus: many\n".into());
    write("BAD/twice.json", r#"[{"id": "/a", "cmd": "x"}, {"id": "a", "cmd": "y"}]"#.into());
}

/// The status and the text.
pub fn answer(method: &str, target: &str) -> (u16, String) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let answer = match method {
        "GET" => get(path, query),
        _ => change(method, path),
    };
    match answer {
        Some(Value::String(text)) => (200, text),
        Some(value) => (200, value.to_string()),
        None if path.starts_with("/v2") => {
            (404, json!({"message": format!("'{path}' does not exist")}).to_string())
        }
        None => {
            let error = json!({"code": "not-found", "message": format!("there is nothing at {path}")});
            (404, json!({ "error": error }).to_string())
        }
    }
}

fn value<T: Serialize>(data: &T) -> Option<Value> {
    Some(serde_json::to_value(data).expect("JSON"))
}

fn change(method: &str, path: &str) -> Option<Value> {
    let started = json!({"version": VERSION, "deploymentId": "9a000000-0000-4000-8000-000000000001"});
    match (method, path) {
        ("PUT" | "PATCH" | "POST" | "DELETE", path)
            if path.starts_with("/v2/apps/shop/web") || path.starts_with("/v2/groups/shop") =>
        {
            Some(started)
        }
        ("PUT", "/v2/apps") | ("DELETE", "/v2/deployments/5f0c8f6e-0001-4000-8000-0123456789ab") => {
            Some(started)
        }
        (
            "DELETE",
            "/hansa/v1/roles/web" | "/hansa/v1/frameworks/5f0c8f6e-0009-4000-8000-0123456789ab-0000",
        ) => value(&Done { index: 7 }),
        ("POST", "/v2/tasks/delete") => Some(json!({"tasks": []})),
        ("PUT", path) if path.starts_with("/hansa/v1/roles/") => value(&Done { index: 7 }),
        ("POST", "/hansa/v1/images/prune") => value(&Pruned {
            nodes: vec![PrunedNode {
                node: "node1.example.org".into(),
                images: vec!["docker.io/library/nginx:1.27".into()],
                bytes: 190 * MIB,
            }],
            silent: vec![],
        }),
        ("POST", path) if path.starts_with("/hansa/v1/nodes/") => value(&Done { index: 7 }),
        ("POST", path) if path.starts_with("/hansa/v1/deployments/") => {
            value(&Steered { index: 7, deployment: None })
        }
        _ => None,
    }
}

fn get(path: &str, query: &str) -> Option<Value> {
    let below = |prefix: &str| path.strip_prefix(prefix).filter(|rest| !rest.is_empty());
    if let Some(rest) = below("/hansa/v1/tasks/") {
        if let Some((task, stream)) = rest.split_once("/logs/") {
            return logs(task, stream).map(Value::from);
        }
        if let Some((_, what)) = rest.split_once("/files") {
            return match what {
                "" => value(&files()),
                _ => Some("port = 8080\n".into()),
            };
        }
        return value(&tasks().into_iter().find(|task| task.id.as_str() == rest)?);
    }
    if let Some(id) = below("/hansa/v1/services") {
        return value(&services().into_iter().find(|service| service.id.as_str() == id)?);
    }
    if path.ends_with("/drain-preview") {
        return value(&drain_preview());
    }
    if let Some(id) = below("/hansa/v1/nodes/") {
        let node = nodes().into_iter().find(|node| node.id.as_str() == id || node.hostname == id)?;
        return value(&apart::detail(node));
    }
    if let Some(id) = below("/hansa/v1/explain") {
        let explanation = explanation(id)?;
        let choice_hostname = explanation.choice.is_some().then(|| "node1.example.org".to_owned());
        let instances = query.strip_prefix("instances=").and_then(|number| number.parse().ok());
        let several = instances.map(|instances| Several {
            instances,
            fitting: 1,
            places: vec![Places { node: "n1".into(), hostname: "node1.example.org".into(), instances: 1 }],
            obstacle: Some(explanation.clone()),
        });
        return value(&Explained { explanation, choice_hostname, several });
    }
    if let Some(id) = below("/v2/apps") {
        if let Some(id) = id.strip_suffix("/versions") {
            services().into_iter().find(|service| service.id.as_str() == id)?;
            return Some(
                json!({"versions": [VERSION, "2026-01-02T03:04:05.678Z", "2026-01-01T03:04:05.678Z"]}),
            );
        }
        if let Some((id, version)) = id.split_once("/versions/") {
            let mut app = app(id);
            // An earlier one asked for less.
            if version != VERSION {
                app["instances"] = json!(1);
            }
            return Some(app);
        }
        services().into_iter().find(|service| service.id.as_str() == id)?;
        return Some(json!({"app": app(id)}));
    }
    match path {
        "/hansa/v1/cluster" => value(&Cluster {
            id: "c0ffee00-0000-4000-8000-000000000001".into(),
            version: "0.1.0".into(),
            term: 1,
            index: 7,
            started_at: ago(3),
            nodes: [("active", 2), ("unreachable", 1), ("draining", 1)]
                .map(|(s, n)| (s.to_owned(), n))
                .into(),
            tasks: [("TASK_RUNNING", 3), ("TASK_UNREACHABLE", 1)].map(|(s, n)| (s.to_owned(), n)).into(),
            services: 4,
            deployments: 1,
            total: Totals { cpus_milli: 24_000, mem: 80 * GIB, disk: 0, gpus_milli: 2_000 },
            allocated: Totals { cpus_milli: 10_000, mem: 41 * GIB, disk: 0, gpus_milli: 1_000 },
            used: Totals { cpus_milli: 2_200, mem: 11 * GIB, disk: 0, gpus_milli: 0 },
        }),
        "/hansa/v1/services" => value(&Services { services: services(), next: None }),
        "/hansa/v1/nodes" => value(&Nodes { nodes: nodes(), next: None }),
        "/hansa/v1/deployments" => value(&Deployments { deployments: vec![deployment()], next: None }),
        "/hansa/v1/tasks" => {
            let decoded = query.replace("%2F", "/");
            let asked = |name: &str| {
                decoded.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")).map(str::to_owned))
            };
            let (app, node, ended) = (asked("app"), asked("node"), asked("ended").is_some());
            let mut tasks = tasks();
            tasks.retain(|task| !ended || task.state.is_terminal());
            tasks.retain(|task| {
                app.as_deref().is_none_or(|app| task.app.as_ref().is_some_and(|own| own.as_str() == app))
                    && node.as_deref().is_none_or(|node| task.node.as_str() == node)
            });
            value(&Tasks { tasks, next: None })
        }
        "/hansa/v1/roles" => value(&roles()),
        "/hansa/v1/images" => value(&images()),
        "/hansa/v1/frameworks" => value(&Frameworks { frameworks: vec![framework()], next: None }),
        "/hansa/v1/frameworks/5f0c8f6e-0009-4000-8000-0123456789ab-0000" => value(&framework_detail()),
        "/hansa/v1/frameworks/5f0c8f6e-0009-4000-8000-0123456789ab-0000/explain" => {
            value(&framework_explanation())
        }
        "/v2/groups" => Some(json!({"id": "/", "dependencies": [], "groups": [
            {"id": "/shop", "dependencies": ["/db"], "enforceRole": true, "groups": [
                {"id": "/shop/team", "dependencies": [], "groups": []}]}]})),
        "/v2/groups/shop" => Some(json!({"id": "/shop", "dependencies": ["/db"]})),
        _ => None,
    }
}

const GIB: u64 = 1024 * MIB;

const VERSION: &str = "2026-01-03T03:04:05.678Z";

/// So many hours ago, and half an hour.
fn ago(hours: u64) -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    let now = u64::try_from(now).expect("before the year 500 million");
    // The twenty seconds: so that the minute does not end while the test runs.
    Timestamp(now - hours * 3_600_000 - 1_820_000)
}

fn app(id: &str) -> Value {
    json!({"id": id, "cmd": "exec bin/web --listen 0.0.0.0:$PORT0", "cpus": 0.25, "mem": 128, "instances": 3,
        "env": {"GREETING": "hello", "OLD": "1"}, "constraints": [["rack", "LIKE", "r1|r2"]], "version": VERSION,
        "portDefinitions": [{"port": 0, "protocol": "tcp", "name": "http"}]})
}

fn services() -> Vec<Service> {
    let web = Service {
        id: "/shop/web".into(),
        health: Health::Healthy,
        instances: 3,
        running: 3,
        staged: 0,
        healthy: 3,
        unhealthy: 0,
        version: VERSION.parse().expect("a time"),
        cpus_milli: 250,
        mem: 128 * MIB,
        role: "*".into(),
        labels: [].into(),
        command: "exec bin/web --listen 0.0.0.0:$PORT0".into(),
        deployments: vec![],
        waiting_for: None,
        last_failure: Some("command exited with status 137".into()),
        last_failure_at: Some(ago(30)),
        failing: None,
    };
    let big = Service {
        id: "/shop/big".into(),
        health: Health::Deploying,
        instances: 2,
        running: 0,
        healthy: 0,
        cpus_milli: 16_000,
        mem: 64 * GIB,
        command: "docker.io/library/postgres:17".into(),
        deployments: vec!["5f0c8f6e-0001-4000-8000-0123456789ab".into()],
        waiting_for: Some("2 machines: 12.5 cpus short; 1: attribute rack is not r1".into()),
        last_failure: None,
        last_failure_at: None,
        ..web.clone()
    };
    let last = "command exited with status 3".to_owned();
    let broken = Service {
        id: "/shop/broken".into(),
        health: Health::Unhealthy,
        running: 0,
        healthy: 0,
        instances: 1,
        command: "exec bin/broken".into(),
        last_failure: Some(last.clone()),
        last_failure_at: Some(ago(1)),
        failing: Some(Failing { since: ago(5), count: 48, last, delay_ms: 300_000 }),
        ..web.clone()
    };
    let long = Service {
        id: "/shop/team/with-a-long-name/and/a-service-with-a-longer-one".into(),
        health: Health::Suspended,
        instances: 0,
        running: 0,
        healthy: 0,
        command: "/usr/local/bin/python3 -m very.long.module.path --with --many --flags".into(),
        ..big.clone()
    };
    vec![big, broken, Service { deployments: vec![], waiting_for: None, ..long }, web]
}

fn task_id(app: &str, number: u8) -> String {
    format!("{app}.instance-5f0c8f6e-0000-4000-8000-0a1b2c3d4e{number:02x}._app.1")
}

fn tasks() -> Vec<Task> {
    let node = |number: u8| {
        let node = nodes().swap_remove(usize::from(number) - 1);
        (node.id, node.hostname)
    };
    let task = |app: &str, number: u8, on: u8| Task {
        id: task_id(&app.trim_matches('/').replace('/', "_"), number).as_str().into(),
        app: Some(app.into()),
        version: Some(VERSION.parse().expect("a time")),
        framework: None,
        framework_task: None,
        role: "*".into(),
        state: TaskState::Running,
        healthy: Some(true),
        health: vec![],
        reason: None,
        message: String::new(),
        node: node(on).0,
        hostname: node(on).1,
        ports: vec![31_000 + u16::from(number)],
        cpus_milli: 250,
        mem: 128 * MIB,
        staged_at: ago(30),
        started_at: Some(ago(30)),
        updated_at: ago(1),
        ended_at: None,
        exit: None,
    };
    let failing = HealthResult {
        alive: Some(false),
        consecutive_failures: 4,
        last_failure_cause: Some("connection refused on port 31002".into()),
        ..HealthResult::default()
    };
    vec![
        Task {
            state: TaskState::Failed,
            healthy: None,
            reason: Some("REASON_COMMAND_EXECUTOR_FAILED".into()),
            message: "command exited with status 3; it wrote to stderr: cannot open /etc/shop/broken.conf"
                .into(),
            started_at: Some(ago(1)),
            ..task("/shop/broken", 5, 1)
        },
        task("/shop/web", 1, 1),
        Task { healthy: Some(false), health: vec![failing], ..task("/shop/web", 2, 2) },
        Task { state: TaskState::Unreachable, healthy: None, ..task("/shop/web", 3, 3) },
    ]
}

fn logs(task: &str, stream: &str) -> Option<String> {
    Some(match (task.contains("broken"), stream) {
        (true, "stderr") => "starting\ncannot open /etc/shop/broken.conf\n".into(),
        (true, _) => return None,
        (false, "stdout") => "listening on port 31001\nGET / 200\n".into(),
        _ => String::new(),
    })
}

fn files() -> Files {
    let file = |name: &str, kind, size, mode: &str| File {
        name: name.into(),
        kind,
        size,
        modified: ago(30),
        mode: mode.into(),
    };
    Files {
        path: String::new(),
        entries: vec![
            file("conf", Kind::Directory, 4096, "drwxr-xr-x"),
            file("current", Kind::Link, 12, "lrwxrwxrwx"),
            file("stderr", Kind::File, 0, "-rw-r--r--"),
            file("stdout", Kind::File, 1_800_000, "-rw-r--r--"),
        ],
        next: None,
    }
}

fn nodes() -> Vec<Node> {
    let one = Node {
        id: "0a1b2c3d-0000-S1".into(),
        hostname: "node1.example.org".into(),
        address: "10.0.0.1:5051".into(),
        state: AgentState::Active,
        since: ago(50),
        total: "cpus:16;mem:65536;disk:900000;gpus:2;ports:[31000-32000]".parse().expect("resources"),
        allocated: Totals { cpus_milli: 9_500, mem: 40 * GIB, disk: 0, gpus_milli: 1_000 },
        reserved: apart::kept(),
        used: Some(Totals { cpus_milli: 2_200, mem: 11 * GIB, disk: 0, gpus_milli: 0 }),
        machine: Some(Totals { cpus_milli: 2_900, mem: 14 * GIB, disk: 0, gpus_milli: 0 }),
        tasks: 2,
        attributes: BTreeMap::from([
            ("rack".to_owned(), "r1".to_owned()),
            ("ssd".to_owned(), "yes".to_owned()),
        ]),
        region: Some("eu".into()),
        zone: Some("eu-1".into()),
        version: "0.1.0".into(),
        registered_at: ago(50),
        missing_isolation: vec![],
    };
    let other = |number: u8, state: AgentState, tasks: u32| Node {
        id: format!("0a1b2c3d-0000-S{number}").as_str().into(),
        hostname: format!("node{number}"),
        address: format!("10.0.0.{number}:5051"),
        state,
        total: "cpus:4;mem:8192;ports:[31000-32000]".parse().expect("resources"),
        allocated: Totals { cpus_milli: 250, mem: 128 * MIB, disk: 0, gpus_milli: 0 },
        reserved: Totals::default(),
        used: None,
        machine: None,
        tasks,
        attributes: BTreeMap::new(),
        ..one.clone()
    };
    let less = "no memory limits: the agent has no cgroup of its own".to_owned();
    vec![
        one.clone(),
        Node { missing_isolation: vec![less], ..other(2, AgentState::Active, 1) },
        Node { zone: None, region: None, ..other(3, AgentState::Unreachable, 1) },
        other(4, AgentState::Draining, 0),
    ]
}

fn deployment() -> Deployment {
    Deployment {
        id: "5f0c8f6e-0001-4000-8000-0123456789ab".into(),
        version: VERSION.parse().expect("a time"),
        started_at: ago(2),
        services: vec!["/shop/big".into()],
        doing: vec!["ScaleApplication /shop/big".into()],
        step: 1,
        steps: 2,
        waiting_for: "2 of 2 instances do not run yet: 2 machines: 12.5 cpus short".into(),
        waiting_since: ago(2),
        remedy: "`hansa explain /shop/big` shows what is in the way".into(),
        paused: None,
        failing: Some(Standstill { since: ago(1), words: "no progress for 1 h".into() }),
        rolls_back: None,
    }
}

fn drain_preview() -> DrainPreview {
    let task = |number: u32, service: &str, fate, target: Option<&str>, why: Option<&str>| DrainedTask {
        task: format!("{}.instance-5f0c8f6e-0000-4000-8000-0a1b2c3d4e{number:02}._app.1", &service[1..])
            .into(),
        service: Some(service.into()),
        framework: None,
        framework_name: None,
        fate,
        node: target.map(|_| "n2".into()),
        hostname: target.map(str::to_owned),
        why: why.map(str::to_owned),
    };
    let spark = DrainedTask {
        task: "spark-executor-0".into(),
        service: None,
        framework: Some("5f0c8f6e-0009-4000-8000-0123456789ab-0000".into()),
        framework_name: Some("spark".into()),
        ..task(0, "/spark", Fate::Killed, None, Some("its framework decides what comes after it"))
    };
    let doubt = "the service's instances end again and again, 8 times in a row; the last: command exited with status 3; \
                 what runs stays until a new one runs";
    DrainPreview {
        node: "n1".into(),
        hostname: "node1.example.org".into(),
        state: AgentState::Active,
        summary:
            "2 tasks move to another machine (1 of them only if new ones come up: at present they end again and \
                  again), 2 tasks find no place and stay until there is one, 1 task of frameworks is killed"
                .into(),
        moving: 2,
        waiting: 2,
        killed: 1,
        ending: 0,
        staying: 0,
        tasks: vec![
            task(6, "/big", Fate::Waits, None, Some("2 machines: 12.5 cpus short; 1: draining")),
            task(7, "/big", Fate::Waits, None, Some("2 machines: 12.5 cpus short; 1: draining")),
            spark,
            task(2, "/shop/bad", Fate::Moves, Some("node2"), Some(doubt)),
            task(1, "/web", Fate::Moves, Some("node2"), None),
        ],
        left_out: 0,
    }
}

fn explanation(id: &str) -> Option<Explanation> {
    let service = services().into_iter().find(|service| service.id.as_str() == id)?;
    let fits = Explanation {
        demand: Demand {
            cpus_milli: service.cpus_milli,
            mem: service.mem,
            ports: vec![PortDemand::Any],
            ..Demand::default()
        },
        machines: 4,
        fitting: 2,
        choice: Some("0a1b2c3d-0000-S1".into()),
        groups: vec![ObstacleGroup {
            machines: 2,
            examples: vec!["node3".into(), "node4".into()],
            obstacles: vec![Obstacle::NotActive { state: "draining".into() }],
            words: "not active".into(),
        }],
        nearest: None,
        summary: "2 machines: not active".into(),
    };
    if id != "/shop/big" {
        return Some(fits);
    }
    Some(Explanation {
        fitting: 0,
        choice: None,
        groups: vec![
            ObstacleGroup {
                machines: 3,
                examples: vec!["node1.example.org".into(), "node2".into(), "node4".into()],
                obstacles: vec![Obstacle::Cpus { short: 12_500 }],
                words: "12.5 cpus short".into(),
            },
            ObstacleGroup {
                machines: 1,
                examples: vec!["node3".into()],
                obstacles: vec![Obstacle::NotActive { state: "unreachable".into() }],
                words: "out of reach; constraint [\"rack\",\"LIKE\",\"r1|r2\"]: attribute rack is not set"
                    .into(),
            },
        ],
        nearest: Some("node1.example.org lacks 9.5 cpus".into()),
        summary: "3 machines: 12.5 cpus short; 1: out of reach".into(),
        ..fits
    })
}

fn roles() -> Roles {
    let role = |name: &str, guarantee: Bound| Role {
        name: name.into(),
        weight_milli: 2_000,
        guarantee,
        limit: Bound::default(),
    };
    let guarantee = Bound { cpus_milli: Some(4_000), mem: Some(8 * GIB), ..Bound::default() };
    let allocated = Totals { cpus_milli: 1_500, mem: 640 * MIB, ..Totals::default() };
    Roles {
        roles: vec![
            RoleStatus {
                role: role("batch/nightly", Bound::default()),
                allocated: Totals::default(),
                offered: Totals { cpus_milli: 2_000, mem: GIB, ..Totals::default() },
                reserved: Totals { cpus_milli: 4_000, mem: 2 * GIB, disk: 10 * GIB, ..Totals::default() },
            },
            RoleStatus {
                role: role("web", guarantee),
                allocated,
                offered: Totals::default(),
                reserved: Totals::default(),
            },
        ],
        next: None,
    }
}

fn images() -> Images {
    let image = |name: &str, used_by: Vec<String>| ImageOnNode {
        node: "node1.example.org".into(),
        references: vec![name.into()],
        digest: format!("sha256:{}", "0123456789abcdef".repeat(4)),
        bytes: 190 * MIB,
        pulled_bytes: 70 * MIB,
        layers: 7,
        pulled_at: ago(50),
        used_at: ago(40),
        used_by: used_by.iter().map(|id| id.as_str().into()).collect(),
    };
    Images {
        images: vec![
            image("docker.io/library/nginx:1.27", vec![task_id("shop_web", 1)]),
            image("registry.example.org:5000/a/long/path/to/an/image-of-the-team:2026.11.22-rc1", vec![]),
        ],
        silent: vec![SilentNode { node: "node3".into(), why: "it is out of reach".into() }],
    }
}

fn framework() -> FrameworkSummary {
    FrameworkSummary {
        id: "5f0c8f6e-0009-4000-8000-0123456789ab-0000".into(),
        name: "spark".into(),
        principal: Some("ops".into()),
        user: "root".into(),
        roles: vec!["batch".into(), "web".into()],
        suppressed: vec!["web".into()],
        state: FrameworkState::Connected,
        since: ago(3),
        given_up_at: None,
        tasks: 3,
        offers: 1,
        allocated: Totals { cpus_milli: 1_500, mem: 64 * MIB, ..Totals::default() },
        share_ppm: 125_000,
        dominant: Some("cpus".into()),
    }
}

fn standing(role: &str) -> FrameworkRole {
    FrameworkRole {
        role: role.into(),
        suppressed: role == "web",
        allocated: framework().allocated,
        offered: Totals::default(),
        share_ppm: 125_000,
        weight_milli: 1_000,
        guarantee: Bound::default(),
        limit: Bound::default(),
        role_used: Totals { cpus_milli: 2_000, ..Totals::default() },
        role_share_ppm: 166_666,
    }
}

fn framework_detail() -> FrameworkDetail {
    FrameworkDetail {
        summary: framework(),
        hostname: "host1".into(),
        webui_url: Some("http://host1:4040".into()),
        capabilities: vec!["PARTITION_AWARE".into(), "TASK_KILLING_STATE".into()],
        checkpoint: true,
        failover_timeout_ms: 100_000,
        registered_at: ago(3),
        reregistered_at: None,
        executors: 1,
        unreachable_tasks: 0,
        completed_tasks: 9,
        in_roles: vec![standing("batch"), standing("web")],
        outstanding: vec![FrameworkOffer {
            id: "2-O1".into(),
            role: "batch".into(),
            node: "0a1b2c3d-0000-S1".into(),
            hostname: "node1.example.org".into(),
            resources: "cpus:1;mem:32".into(),
            expires_at: None,
        }],
        filters: vec![FrameworkFilter {
            role: "batch".into(),
            node: "0a1b2c3d-0000-S2".into(),
            hostname: "node2".into(),
            refused: "cpus:2;mem:64".into(),
            until: ago(0),
        }],
    }
}

fn framework_explanation() -> FrameworkExplanation {
    let last_offer =
        LastOffer { at: ago(1), node: "0a1b2c3d-0000-S1".into(), hostname: "node1.example.org".into() };
    let obstacle = OfferObstacle {
        words: "the framework declined what is there".into(),
        machines: 1,
        examples: vec!["node2".into()],
    };
    FrameworkExplanation {
        id: "5f0c8f6e-0009-4000-8000-0123456789ab-0000".into(),
        name: "spark".into(),
        summary: "is offered nothing in batch; web is suppressed".into(),
        roles: vec![
            RoleExplanation {
                standing: standing("batch"),
                words: "is offered nothing: every machine is filtered".into(),
                last_offer: Some(last_offer),
                obstacles: vec![obstacle],
            },
            RoleExplanation {
                standing: standing("web"),
                words: "suppressed by the framework; REVIVE ends that".into(),
                last_offer: None,
                obstacles: vec![],
            },
        ],
    }
}
