//! What is shown of apps, tasks, deployments, the queue and the server.

use crate::world::{World, agent, app_view, deployment, task, version};
use hansa_api::marathon::events::Translator;
use hansa_api::marathon::render::app::{Counts, Running, created, info, versions};
use hansa_api::marathon::render::{self, queue};
use hansa_api::marathon::select::Embed;
use hansa_model::event::{Event, Published, TaskChange, TaskFailure};
use hansa_model::explain::{Explanation, Obstacle, ObstacleGroup, QueueItem};
use hansa_model::resources::Demand;
use hansa_model::task::{CheckResult, HealthResult, TaskState};
use hansa_model::{Timestamp, event::AppView};
use serde_json::{Value, json};
use std::sync::Arc;

/// The fields that the PyPI client's `MarathonApp` takes; any other is an error there.
const APP_FIELDS: &str = "acceptedResourceRoles args backoffFactor backoffSeconds cmd constraints container cpus \
    dependencies deployments disk env executor healthChecks id role instances killSelection labels lastTaskFailure \
    maxLaunchDelaySeconds mem ports requirePorts storeUrls taskRateLimit tasks tasksRunning tasksStaged tasksHealthy \
    taskKillGracePeriodSeconds tasksUnhealthy upgradeStrategy unreachableStrategy uris user version versionInfo \
    ipAddress fetch taskStats readinessChecks readinessCheckResults secrets portDefinitions residency gpus networks";

/// The same for `MarathonTask`.
const TASK_FIELDS: &str = "appId healthCheckResults host id ports servicePorts slaveId stagedAt startedAt version \
    ipAddresses state localVolumes region zone role";

fn known(value: &Value, fields: &str) {
    for name in value.as_object().unwrap().keys() {
        assert!(fields.split_whitespace().any(|field| field == name), "{name} in {value}");
    }
}

#[test]
fn an_app_with_everything() {
    let world = World;
    let mut healthy = task("t1", TaskState::Running);
    healthy.status.healthy = Some(true);
    healthy.status.health = vec![HealthResult {
        alive: Some(true),
        first_success: Some(Timestamp(3_000)),
        last_success: Some(Timestamp(4_000)),
        ..HealthResult::default()
    }];
    let staged = task("t2", TaskState::Staging);
    let view = AppView {
        failing: None,
        last_failure: Some(Arc::new(TaskFailure {
            app: "/shop/web".into(),
            task: "t0".into(),
            version: Timestamp(1_000),
            state: TaskState::Failed,
            message: "Memory limit exceeded: used 64 MiB of 64 MiB".into(),
            hostname: "node1".into(),
            agent: "a1".into(),
            at: Timestamp(2_000),
        })),
        ..app_view()
    };
    let running = Running {
        app: &view,
        counts: Counts::of([&healthy, &staged]),
        tasks: vec![&healthy, &staged],
        world: &world,
        now: Timestamp(12_000),
    };
    let everything = Embed::SINGLE.with([
        "apps.taskStats",
        "apps.readiness",
        "apps.failures",
        "apps.counts",
        "apps.deployments",
    ]);
    let shown = Value::Object(info(&running, everything));
    known(&shown, APP_FIELDS);
    shown["tasks"].as_array().unwrap().iter().for_each(|task| known(task, TASK_FIELDS));
    assert_eq!(
        shown,
        json!({
            "id": "/shop/web", "cmd": "serve $PORT0", "user": "nobody", "env": {"A": "1"}, "labels": {"tier": "web"},
            "cpus": 0.5, "mem": 64, "disk": 0, "gpus": 0, "instances": 2, "executor": "", "networks": [{"mode": "host"}],
            "constraints": [["hostname", "UNIQUE"]],
            "portDefinitions": [{"port": 10000, "protocol": "tcp", "name": "http", "labels": {"VIP_0": "/web:80"}}],
            "requirePorts": false,
            "healthChecks": [{
                "protocol": "HTTP", "path": "/health", "portIndex": 0, "ipProtocol": "IPv4", "ignoreHttp1xx": false,
                "gracePeriodSeconds": 300, "intervalSeconds": 60, "timeoutSeconds": 20, "delaySeconds": 15,
                "maxConsecutiveFailures": 3,
            }],
            "upgradeStrategy": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0.2},
            "backoffSeconds": 1, "backoffFactor": 1.15, "maxLaunchDelaySeconds": 300,
            "killSelection": "YOUNGEST_FIRST",
            "unreachableStrategy": {"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0},
            "role": "*",
            "version": "1970-01-01T00:00:01.000Z",
            "versionInfo": {
                "lastScalingAt": "1970-01-01T00:00:01.000Z", "lastConfigChangeAt": "1970-01-01T00:00:01.000Z",
            },
            "tasksStaged": 1, "tasksRunning": 1, "tasksHealthy": 1, "tasksUnhealthy": 0,
            "deployments": [{"id": "d1"}],
            "tasks": [
                {
                    "id": "t1", "appId": "/shop/web", "host": "node1", "slaveId": "a1", "state": "TASK_RUNNING",
                    "ports": [31000], "servicePorts": [10000], "version": "1970-01-01T00:00:01.000Z",
                    "stagedAt": "1970-01-01T00:00:02.000Z", "startedAt": "1970-01-01T00:00:02.000Z", "role": "*",
                    "ipAddresses": [{"ipAddress": "10.0.0.1", "protocol": "IPv4"}], "region": "eu", "zone": "eu-1",
                    "healthCheckResults": [{
                        "alive": true, "consecutiveFailures": 0, "instanceId": "shop_web.instance-t1",
                        "firstSuccess": "1970-01-01T00:00:03.000Z", "lastSuccess": "1970-01-01T00:00:04.000Z",
                    }],
                },
                {
                    "id": "t2", "appId": "/shop/web", "host": "node1", "slaveId": "a1", "state": "TASK_STAGING",
                    "ports": [31000], "servicePorts": [10000], "version": "1970-01-01T00:00:01.000Z",
                    "stagedAt": "1970-01-01T00:00:02.000Z", "role": "*",
                    "ipAddresses": [{"ipAddress": "10.0.0.1", "protocol": "IPv4"}], "region": "eu", "zone": "eu-1",
                },
            ],
            "readinessCheckResults": [],
            "lastTaskFailure": {
                "appId": "/shop/web", "taskId": "t0", "state": "TASK_FAILED",
                "message": "Memory limit exceeded: used 64 MiB of 64 MiB", "host": "node1", "slaveId": "a1",
                "timestamp": "1970-01-01T00:00:02.000Z", "version": "1970-01-01T00:00:01.000Z",
            },
            "taskStats": {
                "startedAfterLastScaling": {"stats": {
                    "counts": {"staged": 1, "running": 1, "healthy": 1, "unhealthy": 0},
                    "lifeTime": {"averageSeconds": 10, "medianSeconds": 10},
                }},
                "withLatestConfig": {"stats": {
                    "counts": {"staged": 1, "running": 1, "healthy": 1, "unhealthy": 0},
                    "lifeTime": {"averageSeconds": 10, "medianSeconds": 10},
                }},
                "totalSummary": {"stats": {
                    "counts": {"staged": 1, "running": 1, "healthy": 1, "unhealthy": 0},
                    "lifeTime": {"averageSeconds": 10, "medianSeconds": 10},
                }},
            },
        })
    );
}

#[test]
fn a_new_app_has_its_deployment_and_no_tasks() {
    let shown = Value::Object(created(&version(), &"d1".into()));
    known(&shown, APP_FIELDS);
    assert_eq!(shown["deployments"], json!([{"id": "d1"}]));
    for name in ["tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy"] {
        assert_eq!(shown[name], 0, "{name}");
    }
}

#[test]
fn a_task_with_an_address_of_its_own_shows_it() {
    let on_machine = render::task::task(&task("t1", TaskState::Running), &World);
    assert_eq!(on_machine["ipAddresses"], json!([{"ipAddress": "10.0.0.1", "protocol": "IPv4"}]));
    let mut own = task("t1", TaskState::Running);
    own.status.addresses = vec!["172.31.0.5".into(), "fd00::5".into()];
    let shown = render::task::task(&own, &World);
    assert_eq!(
        shown["ipAddresses"],
        json!([{"ipAddress": "172.31.0.5", "protocol": "IPv4"}, {"ipAddress": "fd00::5", "protocol": "IPv6"}])
    );
    // What marathon-lb puts side by side: service ports and the machine's ports, by index.
    assert_eq!((&shown["servicePorts"], &shown["ports"]), (&json!([10000]), &json!([31000])));
    let event = Translator::default().translate(
        &Published {
            index: 1,
            at: Timestamp(1),
            events: vec![Event::Task { view: Arc::new(own), change: TaskChange::State }],
        },
        &World,
    );
    let event: Value = serde_json::from_str(&event[0].data).unwrap();
    assert_eq!(event["ipAddresses"], shown["ipAddresses"]);
}

#[test]
fn what_a_general_check_said() {
    let shown = |check| {
        let mut task = task("t1", TaskState::Running);
        task.status.check = check;
        render::task::task(&task, &World).get("checkResult").cloned()
    };
    assert_eq!(shown(None), None);
    assert_eq!(shown(Some(CheckResult::Silent)), Some(json!({})));
    assert_eq!(shown(Some(CheckResult::HttpStatus(503))), Some(json!({"http": {"statusCode": 503}})));
    assert_eq!(shown(Some(CheckResult::Connected(false))), Some(json!({"tcp": {"succeeded": false}})));
    assert_eq!(shown(Some(CheckResult::ExitCode(7))), Some(json!({"command": {"exitCode": 7}})));
}

#[test]
fn the_median_of_ages_is_between_the_middle_two() {
    let world = World;
    let tasks: Vec<_> = [2_000, 4_000, 9_000, 9_500]
        .into_iter()
        .map(|started| {
            let mut task = task("t", TaskState::Running);
            task.started_at = Some(Timestamp(started));
            task
        })
        .collect();
    let view = app_view();
    let running = Running {
        app: &view,
        counts: Counts::default(),
        tasks: tasks.iter().collect(),
        world: &world,
        now: Timestamp(10_000),
    };
    let shown = info(&running, Embed { task_stats: true, ..Embed::default() });
    let life_time = &shown["taskStats"]["totalSummary"]["stats"]["lifeTime"];
    assert_eq!(*life_time, json!({"averageSeconds": 3.875, "medianSeconds": 3.5}));
}

#[test]
fn versions_are_listed_newest_first() {
    assert_eq!(
        versions([Timestamp(1_000), Timestamp(3_000), Timestamp(2_000)]),
        json!({"versions": ["1970-01-01T00:00:03.000Z", "1970-01-01T00:00:02.000Z", "1970-01-01T00:00:01.000Z"]})
    );
}

#[test]
fn a_deployment_under_way() {
    let shown = render::deployment::deployment(&deployment(1), &|app| json!([app]));
    assert_eq!(
        shown,
        json!({
            "id": "d1", "version": "1970-01-01T00:00:01.000Z", "affectedApps": ["/shop/web"], "affectedPods": [],
            "steps": [
                {"actions": [{"action": "StartApplication", "app": "/shop/web"}]},
                {"actions": [{"action": "ScaleApplication", "app": "/shop/web"}]},
            ],
            "currentActions": [{"action": "ScaleApplication", "app": "/shop/web", "readinessCheckResults": ["/shop/web"]}],
            "currentStep": 2, "totalSteps": 2,
        })
    );
    assert_eq!(render::deployment::deployment(&deployment(2), &|_| json!([]))["currentStep"], 2);
}

fn explanation() -> Explanation {
    let group = |machines, example: &str, obstacles| ObstacleGroup {
        machines,
        examples: vec![example.into()],
        obstacles,
        words: String::new(),
    };
    Explanation {
        demand: Demand::default(),
        machines: 6,
        fitting: 1,
        choice: None,
        groups: vec![
            group(3, "node1", vec![Obstacle::Cpus { short: 500 }, Obstacle::Mem { short: 1 }]),
            group(2, "gone", vec![Obstacle::Constraint { constraint: String::new(), words: String::new() }]),
        ],
        nearest: None,
        summary: String::new(),
    }
}

#[test]
fn the_queue_has_all_ten_reasons_in_order() {
    let item = QueueItem {
        app: "/shop/web".into(),
        count: 2,
        since: Timestamp(5_000),
        delayed_until: Some(Timestamp(11_500)),
        explanation: explanation(),
    };
    let shown = queue::item(&item, &version(), Timestamp(10_000), None);
    known(&shown, "app overdue count delay since processedOffersSummary lastUnusedOffers");
    assert_eq!(shown["count"], 2);
    assert_eq!(shown["delay"], json!({"timeLeftSeconds": 2, "overdue": false}));
    assert_eq!(shown["since"], "1970-01-01T00:00:05.000Z");
    assert_eq!(shown["app"]["id"], "/shop/web");
    let summary = &shown["processedOffersSummary"];
    assert_eq!((&summary["processedOffersCount"], &summary["unusedOffersCount"]), (&json!(6), &json!(5)));
    let funnel: Vec<(&str, u64, u64)> = summary["rejectSummaryLastOffers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            let number = |name: &str| step[name].as_u64().unwrap();
            (step["reason"].as_str().unwrap(), number("declined"), number("processed"))
        })
        .collect();
    assert_eq!(
        funnel,
        [
            ("UnfulfilledRole", 0, 6),
            ("UnfulfilledConstraint", 2, 6),
            ("NoCorrespondingReservationFound", 0, 4),
            ("AgentMaintenance", 0, 4),
            ("InsufficientCpus", 3, 4),
            ("InsufficientMemory", 0, 1),
            ("InsufficientDisk", 0, 1),
            ("InsufficientGpus", 0, 1),
            ("InsufficientPorts", 0, 1),
            ("DeclinedScarceResources", 0, 1),
        ]
    );
    assert!(shown.get("lastUnusedOffers").is_none());
}

#[test]
fn unused_offers_name_machines_and_all_their_reasons() {
    let item = QueueItem {
        app: "/shop/web".into(),
        count: 1,
        since: Timestamp(0),
        delayed_until: None,
        explanation: explanation(),
    };
    let find = |name: &str| (name == "node1").then(|| Arc::new(agent()));
    let shown = queue::item(&item, &version(), Timestamp(10_000), Some(&find));
    assert_eq!(shown["delay"], json!({"timeLeftSeconds": 0, "overdue": true}));
    assert_eq!(
        shown["lastUnusedOffers"],
        json!([{
            "offer": {
                "id": "a1", "hostname": "node1", "agentId": "a1",
                "resources": [
                    {"name": "cpus", "role": "*", "scalar": 1.5},
                    {"name": "mem", "role": "*", "scalar": 1024},
                    {"name": "disk", "role": "*", "scalar": 10},
                ],
                "attributes": [{"name": "rack", "text": "r1"}],
            },
            "reason": ["InsufficientCpus", "InsufficientMemory"],
            "timestamp": "1970-01-01T00:00:10.000Z",
        }])
    );
}

#[test]
fn info_has_what_clients_read() {
    let shown = render::info::info(&render::info::Info {
        cluster: "c1".into(),
        leader: Some("localhost:8080".into()),
        elected: true,
        build: "0.1.0".into(),
        hostname: "localhost".into(),
        http_port: 8080,
        role: "*".into(),
        local_port_min: 10_000,
        local_port_max: 20_000,
        max_versions: 50,
    });
    assert_eq!((&shown["name"], &shown["leader"]), (&json!("marathon"), &json!("localhost:8080")));
    assert_eq!(shown["frameworkId"], "c1");
    for part in ["marathon_config", "zookeeper_config", "http_config"] {
        assert!(shown[part].is_object(), "{part}");
    }
}
