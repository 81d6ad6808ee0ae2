//! What the event stream says.

use crate::world::{World, app_view, deployment, task, version};
use hansa_api::marathon::events::{Frame, Translator};
use hansa_model::Timestamp;
use hansa_model::app::AppVersion;
use hansa_model::event::{AppView, DeploymentChange, Event, Published, TaskChange};
use hansa_model::task::{HealthResult, Reason, TaskState};
use serde_json::{Value, json};
use std::sync::Arc;

fn told(translator: &mut Translator, events: Vec<Event>) -> Vec<Frame> {
    translator.translate(&Published { index: 1, at: Timestamp(9_000), events }, &World)
}

/// The frames' kinds, after checking what every frame has.
fn kinds(frames: &[Frame]) -> Vec<&'static str> {
    for frame in frames {
        let data = data(frame);
        assert_eq!(
            (&data["eventType"], &data["timestamp"]),
            (&json!(frame.kind), &json!("1970-01-01T00:00:09.000Z"))
        );
        assert!(!frame.data.contains('\n'), "{}", frame.data);
    }
    frames.iter().map(|frame| frame.kind).collect()
}

fn data(frame: &Frame) -> Value {
    serde_json::from_str(&frame.data).unwrap()
}

fn task_event(state: TaskState, change: TaskChange) -> Event {
    Event::Task { view: Arc::new(task("t1", state)), change }
}

#[test]
fn a_task_on_its_way() {
    let mut translator = Translator::default();
    let frames = told(&mut translator, vec![task_event(TaskState::Staging, TaskChange::Placed)]);
    assert_eq!(kinds(&frames), ["instance_changed_event"]);
    assert_eq!(data(&frames[0])["condition"], "Provisioned");
    let mut failed = task("t1", TaskState::Failed);
    failed.status.message = "memory limit exceeded".into();
    failed.status.reason = Some(Reason::ReasonContainerLimitationMemory);
    let frames =
        told(&mut translator, vec![Event::Task { view: Arc::new(failed), change: TaskChange::State }]);
    assert_eq!(kinds(&frames), ["status_update_event", "instance_changed_event"]);
    assert_eq!(
        data(&frames[0]),
        json!({
            "eventType": "status_update_event", "timestamp": "1970-01-01T00:00:09.000Z", "slaveId": "a1", "taskId": "t1",
            "taskStatus": "TASK_FAILED", "message": "memory limit exceeded", "reason": "REASON_CONTAINER_LIMITATION_MEMORY", "appId": "/shop/web", "host": "node1",
            "ipAddresses": [{"ipAddress": "10.0.0.1", "protocol": "IPv4"}], "ports": [31000],
            "version": "1970-01-01T00:00:01.000Z",
        })
    );
    assert_eq!(
        data(&frames[1]),
        json!({
            "eventType": "instance_changed_event", "timestamp": "1970-01-01T00:00:09.000Z",
            "instanceId": "shop_web.instance-t1", "condition": "Failed", "runSpecId": "/shop/web", "agentId": "a1",
            "host": "node1", "runSpecVersion": "1970-01-01T00:00:01.000Z",
        })
    );
    assert_eq!(told(&mut translator, vec![task_event(TaskState::Running, TaskChange::Restored)]), []);
}

#[test]
fn a_task_that_gets_sick() {
    let mut sick = task("t1", TaskState::Running);
    sick.status.healthy = Some(false);
    sick.status.health =
        vec![HealthResult { alive: Some(false), consecutive_failures: 3, ..HealthResult::default() }];
    let events = vec![
        Event::Task { view: Arc::new(sick), change: TaskChange::Health },
        Event::UnhealthyKill { task: "t1".into(), reason: "500 Internal Server Error".into() },
        Event::UnhealthyKill { task: "unknown".into(), reason: String::new() },
    ];
    let frames = told(&mut Translator::default(), events);
    assert_eq!(
        kinds(&frames),
        [
            "failed_health_check_event",
            "health_status_changed_event",
            "instance_health_changed_event",
            "unhealthy_instance_kill_event",
        ]
    );
    assert_eq!(data(&frames[0])["healthCheck"]["path"], "/health");
    assert_eq!(data(&frames[1])["alive"], false);
    assert_eq!(data(&frames[2])["healthy"], false);
    let kill = data(&frames[3]);
    assert_eq!((&kill["reason"], &kill["host"]), (&json!("500 Internal Server Error"), &json!("node1")));
    assert_eq!((&kill["instanceId"], &kill["slaveId"]), (&json!("shop_web.instance-t1"), &json!("a1")));
}

fn app_event(version: AppVersion) -> Event {
    Event::App(Arc::new(AppView { current: Arc::new(version), ..app_view() }))
}

fn without_checks(at: u64) -> AppVersion {
    let mut version = version();
    version.version = Timestamp(at);
    version.spec.health_checks.clear();
    version
}

#[test]
fn health_checks_come_and_go_with_versions() {
    let mut translator = Translator::default();
    let mut kinds_of = |event: Event| kinds(&told(&mut translator, vec![event]));
    assert_eq!(kinds_of(app_event(version())), ["add_health_check_event"]);
    assert_eq!(kinds_of(app_event(version())), [""; 0], "the same version again is no news");
    assert_eq!(kinds_of(app_event(without_checks(2_000))), ["remove_health_check_event"]);
    assert_eq!(kinds_of(app_event(without_checks(3_000))), [""; 0]);
    assert_eq!(kinds_of(Event::AppRemoved("/shop/web".into())), ["app_terminated_event"]);
    assert_eq!(kinds_of(app_event(version())), ["add_health_check_event"]);
    let removed = kinds_of(Event::AppRemoved("/shop/web".into()));
    assert_eq!(removed, ["remove_health_check_event", "app_terminated_event"]);
}

#[test]
fn what_happened_while_nobody_listened_is_not_told_later() {
    let mut translator = Translator::default();
    translator.know(&version());
    assert_eq!(told(&mut translator, vec![app_event(version())]), []);
    let commit = |events| Published { index: 1, at: Timestamp(0), events };
    translator.follow(&commit(vec![app_event(without_checks(2_000))]));
    assert_eq!(
        kinds(&told(&mut translator, vec![Event::AppRemoved("/shop/web".into())])),
        ["app_terminated_event"]
    );
}

#[test]
fn a_deployment_from_begin_to_end() {
    let at = |step, change| Event::Deployment { view: Arc::new(deployment(step)), change };
    let events = vec![
        at(0, DeploymentChange::Started),
        at(0, DeploymentChange::StepStarted),
        at(1, DeploymentChange::StepSucceeded),
        at(1, DeploymentChange::StepStarted),
        at(1, DeploymentChange::Progress),
        at(2, DeploymentChange::StepSucceeded),
        at(2, DeploymentChange::Succeeded),
    ];
    let frames = told(&mut Translator::default(), events);
    assert_eq!(
        kinds(&frames),
        [
            "group_change_success",
            "deployment_info",
            "deployment_step_success",
            "deployment_info",
            "deployment_step_success",
            "deployment_success",
        ]
    );
    let step = |at: usize| data(&frames[at])["currentStep"]["actions"][0]["action"].clone();
    assert_eq!(
        [step(1), step(2), step(3), step(4)],
        ["StartApplication", "StartApplication", "ScaleApplication", "ScaleApplication"]
    );
    let last = data(&frames[5]);
    assert_eq!((&last["id"], &last["plan"]["id"]), (&json!("d1"), &json!("d1")));
    assert_eq!(last["plan"]["target"]["id"], "/", "the PyPI client fails on a plan without a target");
    let light: Value = serde_json::from_str(frames[5].light.as_ref().unwrap()).unwrap();
    assert!(light["plan"].get("target").is_none());
    assert_eq!(light["plan"]["steps"].as_array().unwrap().len(), 2);
}

#[test]
fn a_deployment_that_fails_says_why() {
    let change = DeploymentChange::Failed("cancelled".into());
    let frames =
        told(&mut Translator::default(), vec![Event::Deployment { view: Arc::new(deployment(1)), change }]);
    assert_eq!(kinds(&frames), ["deployment_step_failure", "deployment_failed"]);
    assert_eq!(data(&frames[1])["reason"], "cancelled");
}

#[test]
fn frames_that_do_not_come_from_the_cluster() {
    let at = Timestamp(9_000);
    let frames = [
        Frame::attached(at, "127.0.0.1"),
        Frame::detached(at, "127.0.0.1"),
        Frame::api_post(at, "127.0.0.1", "/v2/apps", &version()),
    ];
    assert_eq!(kinds(&frames), ["event_stream_attached", "event_stream_detached", "api_post_event"]);
    assert_eq!(data(&frames[0])["remoteAddress"], "127.0.0.1");
    let post = data(&frames[2]);
    assert_eq!((&post["clientIp"], &post["uri"]), (&json!("127.0.0.1"), &json!("/v2/apps")));
    assert_eq!(post["appDefinition"]["id"], "/shop/web");
}

#[test]
fn what_was_given_up_ends_after_all() {
    let event = Event::GivenUpEnded { instance: "shop_web.instance-1".into(), state: TaskState::Killed };
    let frames = told(&mut Translator::default(), vec![event]);
    assert_eq!(kinds(&frames), ["unknown_instance_terminated_event"]);
    let told = data(&frames[0]);
    assert_eq!(
        (&told["instanceId"], &told["runSpecId"]),
        (&json!("shop_web.instance-1"), &json!("/shop/web"))
    );
    assert_eq!(told["condition"], "Killed");
}
