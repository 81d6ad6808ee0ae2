//! What is large stays possible: the state of many tasks is taken out of the picture quickly, and written at leisure.
//!
//! `cargo xtask bench state` measures how long it takes, and what launches beside it feel of it.

use super::legacy::State;
use super::picture::{Picture, Wanted};
use super::{Me, answers};
use crate::http::tests::{Running, serving};
use axum::http::HeaderMap;
use hansa_model::event::{AgentState, AgentView, Event, Published, TaskChange, TaskView};
use hansa_model::resources::Allocation;
use hansa_model::spec::Origin;
use hansa_model::task::{TaskState, TaskStatus};
use hansa_model::{Owner, RoleName, SpecId, Timestamp};
use std::sync::Arc;

fn agent(number: usize) -> Event {
    Event::Agent(Arc::new(AgentView {
        id: format!("agent-{number}").into(),
        hostname: format!("host-{number}").into(),
        address: "10.0.0.1:5051".into(),
        state: AgentState::Active,
        since: Timestamp(1),
        total: "cpus:64;mem:262144;disk:1000000;ports:[31000-32000]".parse().unwrap(),
        allocated: Default::default(),
        reserved: Vec::new(),
        attributes: [("rack".to_owned(), "r1".to_owned())].into(),
        region: None,
        zone: None,
        version: "1".into(),
        registered_at: Timestamp(1),
        missing_isolation: Vec::new(),
    }))
}

fn task(number: usize, agents: usize) -> Event {
    let id = format!("shop_web.instance-{number}._app.1");
    let mut status = TaskStatus::new(id.as_str().into(), id.into(), 2, TaskState::Running, Timestamp(5));
    status.healthy = Some(true);
    let allocation =
        Allocation { cpus_milli: 100, mem: 1 << 27, ports: vec![31_000], ..Allocation::default() };
    let view = TaskView {
        instance: status.instance.clone(),
        owner: Owner::services(),
        role: RoleName::any(),
        spec: SpecId(1),
        origin: Origin::App { id: "/shop/web".into(), version: Timestamp(1) },
        agent: format!("agent-{}", number % agents).into(),
        hostname: "h".into(),
        allocation: Arc::new(allocation),
        staged_at: Timestamp(1),
        started_at: Some(Timestamp(2)),
        status,
        framework: None,
    };
    Event::Task { view: Arc::new(view), change: TaskChange::State }
}

#[tokio::test]
async fn the_state_of_many_tasks_is_written_from_pointers() {
    let (agents, tasks) = (200, 2_000);
    let Running { running, .. } = serving().await;
    let master = running.master();
    let events = (0..agents).map(agent).chain((0..tasks).map(|number| task(number, agents))).collect();
    let published = Arc::new(Published { index: 1_000, at: Timestamp(9), events });
    master.inner().shared.model.write().unwrap().fold(&published);

    let me = Me::of(master, &HeaderMap::new());
    let picture = Picture::take(master, me, &Wanted::default());
    let answer = answers::json(&State(picture));
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    let state: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(state["slaves"].as_array().unwrap().len(), agents);
    assert_eq!(state["frameworks"][0]["tasks"].as_array().unwrap().len(), tasks);
    assert_eq!(state["frameworks"][0]["used_resources"]["ports"], "[31000-31000]");
    running.stop().await.unwrap();
}
