//! The general check of a task: what is asked and when, and what is told of the answers.

mod common;

use common::*;
use hansa_model::app::{CheckPort, GeneralCheck, HealthCheck, Question, ReadinessCheck};
use hansa_model::container::{NetworkSpec, PortMapping};
use hansa_model::spec::{Command, GroupSpec, Launch};
use hansa_model::task::{CheckKind, CheckResult, Exit, TaskStatus};
use hansa_model::{InstanceId, Timestamp};
use hansa_node::{Found, Input, ProbeOutcome, Record};

/// A group `x` with a check that is first asked after 2 s, then every 5 s, and has 1 s to answer.
fn with_check(question: Question, port: Option<CheckPort>) -> Launch {
    let mut launch = launch("x", Vec::new());
    let mut group = GroupSpec::clone(&launch.group);
    group.tasks[0].check =
        Some(GeneralCheck { question, port, interval_ms: 5_000, timeout_ms: 1_000, delay_ms: 2_000 });
    launch.group = group.into();
    launch
}

fn running(launch: Launch) -> Stage {
    let mut stage = Stage::new();
    stage.connect();
    stage.hear(launch_message(launch));
    stage.input(started("x"));
    stage
}

fn said(check: usize, number: u64, result: CheckResult) -> Input {
    let outcome = ProbeOutcome::Said(result);
    Input::Probed { instance: InstanceId::from("x"), check, number, outcome }
}

fn newest(stage: &Stage) -> TaskStatus {
    let newest = stage.stored.iter().rev().find_map(|record| match record {
        Record::Status(status) => Some((**status).clone()),
        _ => None,
    });
    newest.unwrap()
}

#[test]
fn each_other_answer_is_told() {
    let http = Question::Http { path: "v?x=1".into(), tls: false };
    let mut stage = running(with_check(http, Some(CheckPort::Index(0))));
    check(&stage.wait(1_999), "1000 sample usage");
    let first = newest(&stage);
    assert_eq!((first.check, first.check_kind), (None, Some(CheckKind::Http)), "not asked yet");
    check(
        &stage.wait(1),
        r#"2000 probe x #1 Status { host: "127.0.0.1", port: 31000, path: "/v?x=1", tls: false }"#,
    );
    check(
        &stage.input(said(0, 1, CheckResult::HttpStatus(200))),
        "store #3 TASK_RUNNING\nsend #3 TASK_RUNNING REASON_TASK_CHECK_STATUS_UPDATED",
    );
    assert_eq!(newest(&stage).check, Some(CheckResult::HttpStatus(200)));
    assert!(stage.wait(5_000).starts_with("7000 probe x #2"));
    check(&stage.input(said(0, 2, CheckResult::HttpStatus(200))), "");
    stage.wait(5_000);
    assert!(stage.input(said(0, 3, CheckResult::HttpStatus(503))).contains("send #4 TASK_RUNNING"));
    let status = newest(&stage);
    assert_eq!(
        (status.check, status.healthy),
        (Some(CheckResult::HttpStatus(503)), None),
        "no more than told"
    );
    // A late answer is none.
    stage.wait(5_000);
    check(
        &stage.wait(1_000),
        "18000 store #5 TASK_RUNNING
        18000 send #5 TASK_RUNNING REASON_TASK_CHECK_STATUS_UPDATED 'no answer within 1000 ms'",
    );
    check(&stage.input(said(0, 4, CheckResult::HttpStatus(503))), "");
    assert_eq!(newest(&stage).check, Some(CheckResult::Silent));
    // A new process of the agent goes on from there.
    let (mut stage, first) = stage.restart("b1", &[("x", Found::Running { addresses: Vec::new() })]);
    check(&first, "");
    stage.connect();
    stage.input(Input::Tick);
    check(&stage.input(said(0, 1, CheckResult::HttpStatus(503))).lines().count().to_string(), "2");
    // Who is to end is not asked any more, and one that has ended has no answer.
    stage.hear(kill("x", Some(60_000)));
    check(&stage.wait(20_000), "19000 sample usage");
    stage.input(exited("x", Exit::Code(0)));
    assert_eq!(newest(&stage).check, None);
}

#[test]
fn each_kind_of_question() {
    let tcp = || with_check(Question::Tcp, Some(CheckPort::Index(0)));
    let shell = Question::Command(Command::Shell("test -e x".into()));
    let mut bridged = tcp();
    let mut group = GroupSpec::clone(&bridged.group);
    let mapping = PortMapping { container_port: 80, host_port: Some(0), protocol: "tcp".into(), name: None };
    group.tasks[0].network = NetworkSpec::Bridge { mappings: vec![mapping] };
    bridged.group = group.into();
    for (launch, asked) in [
        (tcp(), r#"Accepts { host: "127.0.0.1", port: 31000 }"#),
        (bridged, r#"Accepts { host: "172.20.4.2", port: 80 }"#),
        (with_check(shell, None), r#"ExitCode { argv: ["/bin/sh", "-c", "test -e x"] }"#),
    ] {
        let mut stage = Stage::new();
        stage.connect();
        stage.hear(launch_message(launch));
        let addresses = vec!["172.20.4.2".to_owned()];
        stage.input(Input::Started { instance: InstanceId::from("x"), addresses });
        check(&stage.wait(2_000), &format!("1000 sample usage\n2000 probe x #1 {asked}"));
    }
    // A port that is not there.
    let mut stage = running(with_check(Question::Tcp, Some(CheckPort::Index(3))));
    assert!(stage.wait(2_000).contains("'the task has no port with index 3'"));
    assert_eq!(newest(&stage).check, Some(CheckResult::Silent));
    check(&stage.wait(50_000), "");
}

/// Probes are told apart by their numbers: health checks, readiness checks, the general check.
#[test]
fn beside_other_checks() {
    let mut launch = with_check(Question::Tcp, Some(CheckPort::Index(0)));
    let mut group = GroupSpec::clone(&launch.group);
    let task = &mut group.tasks[0];
    task.health_checks = vec![HealthCheck { interval_ms: 60_000, ..tcp_check() }];
    task.port_names = vec![Some("api".into())];
    task.readiness_checks = vec![ReadinessCheck {
        name: "ready".into(),
        tls: false,
        path: "/".into(),
        port_name: "api".into(),
        interval_ms: 60_000,
        timeout_ms: 60_000,
        ready_codes: vec![200],
        preserve_last_response: false,
    }];
    launch.group = group.into();
    let mut stage = running(launch);
    stage.wait(500);
    stage.input(probed("x", 1, true));
    let outcome = ProbeOutcome::Answered { ready: true, response: None };
    stage.input(Input::Probed { instance: InstanceId::from("x"), check: 1, number: 1, outcome });
    stage.wait(1_500);
    stage.input(said(2, 1, CheckResult::Connected(true)));
    let status = newest(&stage);
    assert_eq!(status.at, Timestamp(2_000));
    assert_eq!((status.healthy, status.is_ready(1)), (Some(true), true));
    assert_eq!(status.check, Some(CheckResult::Connected(true)));
}
