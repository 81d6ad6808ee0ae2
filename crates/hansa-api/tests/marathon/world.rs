//! One app, one machine, and tasks of it, for pictures.

use hansa_api::marathon::events::Lookup;
use hansa_api::marathon::parse_app;
use hansa_api::marathon::render::task;
use hansa_model::app::AppVersion;
use hansa_model::event::{
    ActionKind, AgentState, AgentView, AppView, DeploymentAction, DeploymentView, TaskView,
};
use hansa_model::role::Totals;
use hansa_model::spec::Origin;
use hansa_model::task::{TaskState, TaskStatus};
use hansa_model::{AgentId, Allocation, AppId, Owner, RoleName, SpecId, TaskId, Timestamp};
use serde_json::json;
use std::sync::Arc;

/// Version 1 s of `/shop/web`.
pub fn version() -> AppVersion {
    let json = json!({
        "id": "/shop/web", "cmd": "serve $PORT0", "user": "nobody", "env": {"A": "1"}, "labels": {"tier": "web"},
        "cpus": 0.5, "mem": 64, "instances": 2, "constraints": [["hostname", "UNIQUE"]],
        "portDefinitions": [{"port": 10000, "name": "http", "labels": {"VIP_0": "/web:80"}}],
        "healthChecks": [{"path": "/health"}],
        "upgradeStrategy": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0.2},
    });
    AppVersion {
        version: Timestamp(1_000),
        last_scaling_at: Timestamp(1_000),
        last_config_change_at: Timestamp(1_000),
        spec: parse_app(&json, &Default::default()).unwrap(),
    }
}

pub fn app_view() -> AppView {
    AppView {
        current: Arc::new(version()),
        deployments: vec!["d1".into()],
        last_failure: None,
        failing: None,
    }
}

/// A machine of two cpus, half of one given away.
pub fn agent() -> AgentView {
    AgentView {
        id: "a1".into(),
        hostname: "node1".into(),
        address: "10.0.0.1:5051".into(),
        state: AgentState::Active,
        since: Timestamp(0),
        total: "cpus:2;mem:1024;disk:10;ports:[31000-32000]".parse().unwrap(),
        allocated: Totals { cpus_milli: 500, ..Totals::default() },
        reserved: Vec::new(),
        attributes: [("rack".to_owned(), "r1".to_owned())].into(),
        region: Some("eu".into()),
        zone: Some("eu-1".into()),
        version: "0.1.0".into(),
        registered_at: Timestamp(0),
        missing_isolation: vec![],
    }
}

/// A task of the app, placed at 2 s.
pub fn task(id: &str, state: TaskState) -> TaskView {
    let instance = format!("shop_web.instance-{id}");
    TaskView {
        instance: instance.clone().into(),
        owner: Owner::services(),
        role: RoleName::any(),
        spec: SpecId(1),
        origin: Origin::App { id: "/shop/web".into(), version: Timestamp(1_000) },
        agent: "a1".into(),
        hostname: "node1".into(),
        allocation: Arc::new(Allocation { ports: vec![31000], ..Allocation::default() }),
        staged_at: Timestamp(2_000),
        started_at: (state != TaskState::Staging).then_some(Timestamp(2_000)),
        status: TaskStatus::new(id.into(), instance.into(), 1, state, Timestamp(2_000)),
        framework: None,
    }
}

/// A deployment of two steps, at `step`.
pub fn deployment(step: usize) -> DeploymentView {
    let action = |kind| vec![DeploymentAction { kind, app: "/shop/web".into() }];
    DeploymentView {
        id: "d1".into(),
        version: Timestamp(1_000),
        started_at: Timestamp(500),
        affected: vec!["/shop/web".into()],
        steps: vec![action(ActionKind::StartApplication), action(ActionKind::ScaleApplication)],
        current_step: step,
        waiting_for: String::new(),
        progressed_at: Timestamp(600),
        remedy: String::new(),
        paused: None,
        failing: None,
        rolls_back: None,
    }
}

/// Knows the app's version, the machine and a running task `t1`.
pub struct World;

impl task::World for World {
    fn agent(&self, id: &AgentId) -> Option<Arc<AgentView>> {
        (id.as_str() == "a1").then(|| Arc::new(agent()))
    }

    fn version(&self, app: &AppId, at: Timestamp) -> Option<Arc<AppVersion>> {
        (app.as_str() == "/shop/web" && at == Timestamp(1_000)).then(|| Arc::new(version()))
    }
}

impl Lookup for World {
    fn task(&self, id: &TaskId) -> Option<Arc<TaskView>> {
        (id.as_str() == "t1").then(|| Arc::new(task("t1", TaskState::Running)))
    }
}
