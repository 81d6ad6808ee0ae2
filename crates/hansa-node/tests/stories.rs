//! The core's behaviour as stories: what comes in, and the lines it causes.

mod common;

use common::*;
use hansa_link::{ToAgent, ToAgentBody};
use hansa_model::agent::Usage;
use hansa_model::app::ReadinessCheck;
use hansa_model::resources::{Demand, MIB};
use hansa_model::spec::{Command, ExecutorSpec, GroupSpec, Launch};
use hansa_model::task::{CheckResponse, Exit, Limitation};
use hansa_model::{AgentId, BootId, ClusterId, InstanceId, TaskId, Term};
use hansa_node::{Found, Input, ProbeOutcome, Record};

/// A stage with a running, fully acknowledged task `x`.
fn running() -> Stage {
    let mut stage = Stage::new();
    stage.connect();
    stage.hear(launch_message(launch("x", vec![])));
    stage.input(started("x"));
    stage.hear(acknowledge("x", 2));
    stage
}

#[test]
fn a_life() {
    let mut stage = Stage::new();
    check(&stage.input(Input::Tick), "open 1\nsample usage");
    check(&stage.input(Input::Connected { stream: 1 }), "send hello");
    let welcome = stage.hear(ToAgentBody::Welcome { heartbeat_ms: 60_000 });
    check(&welcome, "store identity c 1\nextend to 10000");
    check(
        &stage.hear(launch_message(launch("x", vec![]))),
        "store group x
         store #1 TASK_STARTING
         send #1 TASK_STARTING
         start x Some(10000)",
    );
    check(&stage.input(started("x")), "store #2 TASK_RUNNING\nsend #2 TASK_RUNNING");
    check(&stage.input(started("x")), "");
    check(&stage.hear(acknowledge("x", 1)), "store acknowledged x #1");
    check(&stage.hear(acknowledge("x", 1)), "");
    check(
        &stage.input(exited("x", Exit::Code(0))),
        "store #3 TASK_FINISHED
         send #3 TASK_FINISHED 'command exited with status 0'
         clean up x",
    );
    check(&stage.input(exited("x", Exit::Code(1))), "");
    check(&stage.hear(acknowledge("x", 3)), "store acknowledged x #3");
    check(&stage.hear(release("x")), "store released x\nsend released x");
    check(&stage.hear(launch_message(launch("x", vec![]))), "send released x");
    check(&stage.hear(release("x")), "send released x");
}

#[test]
fn endings() {
    let memory = Some(Limitation { used: 34 * MIB, limit: 32 * MIB });
    let cases = [
        (
            exited("x", Exit::Code(3)),
            "TASK_FAILED REASON_COMMAND_EXECUTOR_FAILED 'command exited with status 3'",
        ),
        (
            exited("x", Exit::Signal(9)),
            "TASK_FAILED REASON_COMMAND_EXECUTOR_FAILED 'command ended by signal 9'",
        ),
        (
            Input::Exited {
                instance: InstanceId::from("x"),
                exit: Exit::Signal(9),
                limitation: memory,
                message: String::new(),
            },
            "TASK_FAILED REASON_CONTAINER_LIMITATION_MEMORY 'memory limit exceeded: used 34.0 MiB, limit 32.0 MiB'",
        ),
        (
            Input::LaunchFailed { instance: InstanceId::from("x"), message: "no user zoe".into() },
            "TASK_FAILED REASON_CONTAINER_LAUNCH_FAILED 'no user zoe'",
        ),
        (
            Input::ShimGone { instance: InstanceId::from("x"), message: String::new() },
            "TASK_FAILED REASON_EXECUTOR_TERMINATED 'the task's shim died; what was left was ended'",
        ),
    ];
    for (input, expected) in cases {
        let shown = running().input(input);
        assert!(shown.contains(&format!("send #3 {expected}\nclean up x")), "{shown}");
    }
}

#[test]
fn a_kill_takes_its_time_and_then_not() {
    let mut stage = running();
    check(
        &stage.hear(kill("x", None)),
        "store killing x by 3000
         store #3 TASK_KILLING
         send #3 TASK_KILLING 'scaled down'
         stop x in 3000",
    );
    check(&stage.hear(kill("x", None)), "");
    check(&stage.wait(1_000), "1000 sample usage");
    check(&stage.hear(kill("x", Some(9_000))), "");
    check(&stage.hear(kill("x", Some(500))), "store killing x by 1500\nstop x in 500");
    check(&stage.wait(6_000), "3500 kill x\n5500 kill x");
    check(
        &stage.input(exited("x", Exit::Code(0))),
        "store #4 TASK_KILLED\nsend #4 TASK_KILLED 'scaled down'\nclean up x",
    );
    check(
        &stage.hear(kill("x", None)),
        "send #3 TASK_KILLING 'scaled down'\nsend #4 TASK_KILLED 'scaled down'",
    );
    check(&stage.wait(10_000), "");
}

#[test]
fn a_kill_during_the_start() {
    let mut stage = Stage::new();
    stage.connect();
    stage.hear(launch_message(launch("x", vec![tcp_check()])));
    check(
        &stage.hear(kill("x", Some(0))),
        "store killing x by 0
         store #2 TASK_KILLING
         send #2 TASK_KILLING 'scaled down'
         stop x in 0",
    );
    check(&stage.input(started("x")), "");
    check(
        &stage.input(exited("x", Exit::Signal(15))),
        "store #3 TASK_KILLED
         send #3 TASK_KILLED REASON_TASK_KILLED_DURING_LAUNCH 'scaled down'
         clean up x",
    );
    check(&stage.wait(20_000), "1000 sample usage");
}

#[test]
fn a_kill_of_the_unknown_is_answered_each_time() {
    let mut stage = Stage::new();
    stage.connect();
    stage.now = stage.now + 77;
    let gone = "send #77 TASK_GONE REASON_TASK_UNKNOWN 'this agent does not hold the task'";
    check(&stage.hear(kill("q", None)), &format!("store released q\n{gone}"));
    check(&stage.hear(kill("q", None)), gone);
    // And stays true when a launch overtaken by its kill arrives after all.
    check(&stage.hear(launch_message(launch("q", vec![]))), "send released q");
}

#[test]
fn launches_meant_for_others_are_ignored() {
    let mut stage = Stage::new();
    stage.connect();
    for (agent, boot) in [("a2", "b1"), ("a1", "b0")] {
        let launch = Box::new(launch("x", vec![]));
        let (agent, boot) = (AgentId::from(agent), BootId::from(boot));
        let shown = stage.hear(ToAgentBody::Launch { agent, boot, launch });
        assert!(shown.starts_with("warn: launch of x is meant for"), "{shown}");
        assert_eq!(shown.lines().count(), 1);
    }
}

#[test]
fn what_cannot_be_run_is_an_error_at_once() {
    let with = |change: &dyn Fn(&mut Launch, &mut GroupSpec)| {
        let mut launch = launch("x", vec![]);
        let mut group = (*launch.group).clone();
        change(&mut launch, &mut group);
        launch.group = group.into();
        launch
    };
    let several = with(&|launch, group| {
        group.executor = ExecutorSpec::Builtin { demand: Demand::default() };
        group.tasks.push(group.tasks[0].clone());
        launch.tasks.push(TaskId::from("x.2"));
    });
    let mut stage = Stage::new();
    stage.connect();
    check(
        &stage.hear(launch_message(several)),
        "store group x
         store #1 TASK_ERROR
         send #1 TASK_ERROR REASON_TASK_INVALID 'groups of several tasks need a framework's executor'
         store #1 TASK_ERROR
         send #1 TASK_ERROR REASON_TASK_INVALID 'groups of several tasks need a framework's executor'",
    );
    check(&stage.hear(release("x")), "store released x\nsend released x");
    let wrong = [
        with(&|_, group| group.tasks[0].command = Command::Argv(vec![])),
        with(&|_, group| group.tasks[0].command = Command::Argv(vec!["a\0b".into()])),
        with(&|launch, _| launch.tasks = vec![TaskId::from("../../etc")]),
        with(&|launch, _| launch.tasks = vec![TaskId::from("..")]),
        with(&|launch, _| launch.tasks = vec![TaskId::from("")]),
        with(&|launch, _| launch.instance = InstanceId::from("a/b")),
        with(&|launch, _| launch.tasks.push(TaskId::from("x.2"))),
    ];
    for launch in wrong {
        let mut stage = Stage::new();
        stage.connect();
        let shown = stage.hear(launch_message(launch));
        assert!(shown.contains("TASK_ERROR REASON_TASK_INVALID") && !shown.contains("start"), "{shown}");
    }
    let mut stage = Stage::new();
    stage.connect();
    let nothing = with(&|launch, group| {
        launch.tasks.clear();
        group.tasks.clear();
    });
    check(&stage.hear(launch_message(nothing)), "store group x");
    check(&stage.hear(release("x")), "store released x\nsend released x");
}

#[test]
fn one_task_id_is_never_in_two_groups() {
    let mut stage = running();
    let mut twin = launch("y", vec![]);
    twin.tasks = vec![task_of("x")];
    let shown = stage.hear(launch_message(twin));
    assert!(shown.contains("TASK_ERROR REASON_TASK_INVALID 'task x.1 is already on this agent'"), "{shown}");
    stage.hear(release("y"));
    check(&stage.hear(acknowledge("x", 2)), "");
    stage.input(exited("x", Exit::Code(0)));
    check(&stage.hear(acknowledge("x", 3)), "store acknowledged x #3");
}

#[test]
fn what_nobody_acknowledged_is_in_the_next_hello() {
    let mut stage = running();
    stage.disconnect();
    check(&stage.input(exited("x", Exit::Code(1))), "store #3 TASK_FAILED\nclean up x");
    check(&stage.connect(), "send hello [x: is TASK_FAILED, #3 TASK_FAILED]");
    check(
        &stage.hear(launch_message(launch("x", vec![]))),
        "send #3 TASK_FAILED REASON_COMMAND_EXECUTOR_FAILED 'command exited with status 1'",
    );
    stage.hear(acknowledge("x", 3));
    stage.disconnect();
    check(&stage.connect(), "send hello [x: is TASK_FAILED]");
    stage.hear(release("x"));
    stage.disconnect();
    check(&stage.connect(), "send hello");
}

#[test]
fn an_acknowledgement_reaches_up_to_its_number() {
    let mut stage = Stage::new();
    stage.connect();
    stage.hear(launch_message(launch("x", vec![])));
    stage.input(started("x"));
    stage.hear(kill("x", None));
    check(&stage.hear(acknowledge("x", 2)), "store acknowledged x #2");
    check(&stage.hear(acknowledge("x", 1)), "");
    stage.disconnect();
    check(&stage.connect(), "send hello [x: is TASK_KILLING, #3 TASK_KILLING]");
}

#[test]
fn a_release_too_early_is_ignored() {
    let mut stage = running();
    check(&stage.hear(release("x")), "warn: the master releases x, which has not ended: ignored");
    check(stage.hear(kill("x", None)).lines().last().unwrap_or_default(), "stop x in 3000");
}

#[test]
fn masters_of_other_clusters_and_terms_command_nothing() {
    let mut stage = running();
    let message = |cluster: &str, term| ToAgent {
        cluster: ClusterId::from(cluster),
        term: Term(term),
        body: kill("x", None),
    };
    let stream = stage.stream;
    let shown = stage.input(Input::Message { stream, message: message("d", 9) });
    assert!(shown.starts_with("close 1\nwarn:") && !shown.contains("stop"), "{shown}");
    check(&stage.connect(), "send hello [x: is TASK_RUNNING]");
    let stream = stage.stream;
    let shown = stage.input(Input::Message { stream, message: message("c", 0) });
    assert!(shown.contains("term 0 is over") && !shown.contains("stop"), "{shown}");
    // Nor after a restart.
    let (mut stage, _) = stage.restart("b1", &[("x", Found::Running { addresses: Vec::new() })]);
    stage.connect();
    let stream = stage.stream;
    let shown = stage.input(Input::Message { stream, message: message("c", 0) });
    assert!(shown.contains("term 0 is over") && !shown.contains("stop"), "{shown}");
}

#[test]
fn restarts() {
    let ended = |exit| Found::Exited { exit, limitation: None, message: String::new() };
    let cases = [
        ("b1", Some(Found::Running { addresses: Vec::new() }), ""),
        ("b1", Some(ended(Exit::Code(7))), "store #3 TASK_FAILED\nclean up x"),
        ("b1", None, "store #3 TASK_FAILED\nclean up x"),
        ("b2", None, "store #3 TASK_GONE\nclean up x"),
        ("b2", Some(Found::Running { addresses: Vec::new() }), "store #3 TASK_GONE\nclean up x"),
    ];
    for (boot, found, expected) in cases {
        let found: Vec<_> = found.into_iter().map(|found| ("x", found)).collect();
        let (mut stage, first) = running().restart(boot, &found);
        check(&first, expected);
        let state = expected.split(' ').nth(2).map(|state| state.split('\n').next().unwrap_or_default());
        let hello = match state {
            Some(state) => format!("send hello [x: is {state}, #3 {state}]"),
            None => "send hello [x: is TASK_RUNNING]".into(),
        };
        check(&stage.connect(), &hello);
        // And the same once more: nothing new.
        let (_, first) = stage.restart(boot, &found);
        assert!(!first.contains("store"), "{first}");
    }
}

#[test]
fn a_restart_in_the_middle_of_a_start() {
    let starting = || {
        let mut stage = Stage::new();
        stage.connect();
        stage.hear(launch_message(launch("x", vec![])));
        stage
    };
    let (_, first) = starting().restart("b1", &[]);
    check(&first, "store #2 TASK_DROPPED\nclean up x");
    let (mut stage, first) = starting().restart("b1", &[("x", Found::Starting)]);
    check(&first, "");
    assert!(stage.input(started("x")).starts_with("store #2 TASK_RUNNING"));
    let (_, first) = starting().restart("b1", &[("x", Found::Running { addresses: Vec::new() })]);
    check(&first, "store #2 TASK_RUNNING");
    let failed = Found::LaunchFailed { message: "no such user".into() };
    let (_, first) = starting().restart("b1", &[("x", failed)]);
    check(&first, "store #2 TASK_FAILED\nclean up x");
    let (_, first) = starting()
        .restart("b1", &[("stranger", Found::Running { addresses: Vec::new() }), ("x", Found::Starting)]);
    check(&first, "clean up stranger");
}

#[test]
fn a_restart_in_the_middle_of_a_kill() {
    let mut stage = running();
    stage.hear(kill("x", None));
    stage.wait(1_000);
    let (mut stage, first) = stage.restart("b1", &[("x", Found::Running { addresses: Vec::new() })]);
    check(&first, "stop x in 2000");
    assert!(stage.wait(4_000).contains("5000 kill x"));
    check(&stage.input(exited("x", Exit::Signal(9))), "store #4 TASK_KILLED\nclean up x");
}

#[test]
fn health_is_reported_when_it_changes() {
    let mut stage = Stage::new();
    stage.connect();
    stage.hear(launch_message(launch("x", vec![tcp_check()])));
    stage.input(started("x"));
    check(
        &stage.wait(999),
        "500 probe x #1 tcp 127.0.0.1:31000\n900 store #3 TASK_RUNNING\n900 send #3 TASK_RUNNING REASON_TASK_HEALTH_CHECK_STATUS_UPDATED unhealthy(1) 'no answer within 400 ms'",
    );
    check(&stage.input(probed("x", 1, true)), "");
    check(&stage.wait(501), "1000 sample usage\n1500 probe x #2 tcp 127.0.0.1:31000");
    check(
        &stage.input(probed("x", 2, true)),
        "store #4 TASK_RUNNING\nsend #4 TASK_RUNNING REASON_TASK_HEALTH_CHECK_STATUS_UPDATED healthy(0)",
    );
    check(&stage.input(probed("x", 2, false)), "");
    let mut reports = Vec::new();
    for number in 3..9 {
        check(&stage.wait(1_000), &format!("{}500 probe x #{number} tcp 127.0.0.1:31000", number - 1));
        reports.push(stage.input(probed("x", number, false)).lines().count());
    }
    assert_eq!(reports, [2, 2, 2, 0, 0, 0], "one more than the maximum of 2, since the count before decides");
    // After a restart the count goes on, and with it the check.
    let (mut stage, first) = stage.restart("b1", &[("x", Found::Running { addresses: Vec::new() })]);
    check(&first, "");
    stage.connect();
    check(&stage.wait(10), "");
    check(
        stage.input(probed("x", 1, true)).lines().last().unwrap_or_default(),
        "send #8 TASK_RUNNING REASON_TASK_HEALTH_CHECK_STATUS_UPDATED healthy(0)",
    );
    // Who is to end is not asked any more.
    stage.hear(kill("x", Some(60_000)));
    check(&stage.wait(5_000), "8500 sample usage");
}

#[test]
fn a_check_that_cannot_succeed_fails_with_words() {
    let mut check_ = tcp_check();
    check_.port = Some(hansa_model::app::CheckPort::Index(4));
    let mut stage = Stage::new();
    stage.connect();
    stage.hear(launch_message(launch("x", vec![check_])));
    stage.input(started("x"));
    let shown = stage.wait(5_000);
    assert_eq!(shown.matches("unhealthy").count(), 3, "{shown}");
    assert!(shown.contains("'the task has no port with index 4'"), "{shown}");
}

#[test]
fn released_ids_and_sandboxes_are_kept_for_a_while() {
    let mut stage = running();
    stage.input(exited("x", Exit::Code(0)));
    stage.hear(release("x"));
    stage.disconnect();
    let day = 24 * 3_600_000;
    let shown = stage.wait(day + 1);
    let about_x: Vec<_> = shown.lines().filter(|line| line.contains(" x")).collect();
    assert_eq!(about_x, [format!("{day} store forgotten x"), format!("{day} remove sandbox x.1")]);
    assert_eq!(stage.node.saved().released().len(), 0);
}

#[test]
fn usage_is_sampled_each_second_while_watched() {
    let mut stage = running();
    let shown = stage.hear(ToAgentBody::Watch { on: true });
    check(&shown, "sample usage");
    check(&stage.wait(2_500), "1000 sample usage\n2000 sample usage");
    let shown = stage.input(Input::Sampled(Usage::default()));
    assert!(shown.contains("Usage") && shown.contains("tasks: 1"), "{shown}");
    stage.disconnect();
    assert!(!stage.node.is_watched());
    check(&stage.input(Input::Sampled(Usage::default())), "");
    let sampled = stage.wait(5_000).matches("sample").count();
    assert!(sampled <= 1, "the old rhythm ends: {sampled}");
}

#[test]
fn a_new_machine_soon_says_what_it_uses() {
    let mut stage = Stage::new();
    stage.connect();
    check(&stage.wait(1_500), "1000 sample usage");
    stage.input(Input::Sampled(Usage::default()));
    stage.disconnect();
    stage.connect();
    check(&stage.wait(1_500), "");
}

#[test]
fn leaving_says_so_and_touches_nothing() {
    let mut stage = running();
    let shown = stage.input(Input::Leave { returns_in_ms: 120_000 });
    check(&shown, "send Leaving { returns_in_ms: 60000 }\nclose 1");
    assert!(!stage.wait(100_000).contains("open"));
}

#[test]
fn time_that_goes_back_stands_still() {
    let mut stage = running();
    stage.wait(5_000);
    stage.input(Input::Tick);
    stage.now = hansa_model::Timestamp(10);
    stage.input(exited("x", Exit::Code(0)));
    let group = &stage.node.saved().groups()[&InstanceId::from("x")];
    assert_eq!(group.statuses[0].as_ref().unwrap().at.0, 5_000);
}

/// The world hears of an end a while before the task does.
#[test]
fn a_kill_waits_until_the_world_has_heard_of_it() {
    let drained = |name: &str| {
        let mut launch = launch(name, vec![tcp_check()]);
        let mut group = GroupSpec::clone(&launch.group);
        group.tasks[0].drain_ms = 2_000;
        launch.group = group.into();
        launch
    };
    let begin = || {
        let mut stage = Stage::new();
        stage.connect();
        stage.hear(launch_message(drained("x")));
        stage.input(started("x"));
        stage.wait(500);
        stage.input(probed("x", 1, true));
        stage
    };
    let mut stage = begin();
    let told = stage.hear(kill("x", None));
    assert!(told.contains("TASK_KILLING") && !told.contains("stop x"), "{told}");
    // Asked again, it changes nothing; less grace counts from the same moment.
    check(&stage.hear(kill("x", None)), "");
    let told = stage.wait(1_900);
    assert!(!told.contains("stop x") && !told.contains("probe"), "{told}");
    let told = stage.hear(kill("x", Some(1_000)));
    assert!(!told.contains("stop x"), "{told}");
    let told = stage.wait(200);
    assert!(told.contains("stop x in 1000"), "{told}");
    let told = stage.wait(3_100);
    assert!(told.contains("kill x") && !told.contains("stop x"), "{told}");

    // One that is not healthy, or does not run yet, has nobody to be turned away.
    let mut stage = begin();
    stage.wait(1_000);
    stage.input(probed("x", 2, false));
    assert!(stage.hear(kill("x", None)).contains("stop x in 3000"));
    let mut stage = Stage::new();
    stage.connect();
    stage.hear(launch_message(drained("x")));
    assert!(stage.hear(kill("x", None)).contains("stop x in 3000"));
}

/// A task is asked whether it is ready until it says so, and not again.
#[test]
fn readiness_is_asked_until_it_is_there() {
    let mut launch = launch("x", vec![tcp_check()]);
    let mut group = GroupSpec::clone(&launch.group);
    group.tasks[0].port_names = vec![Some("api".into())];
    group.tasks[0].readiness_checks = vec![ReadinessCheck {
        name: "migrated".into(),
        tls: false,
        path: "ready".into(),
        port_name: "api".into(),
        interval_ms: 5_000,
        timeout_ms: 1_000,
        ready_codes: vec![200],
        preserve_last_response: true,
    }];
    launch.group = group.into();
    let mut stage = Stage::new();
    stage.connect();
    stage.hear(launch_message(launch));
    stage.input(started("x"));
    let answer = |number, ready, status| Input::Probed {
        instance: InstanceId::from("x"),
        check: 1,
        number,
        outcome: ProbeOutcome::Answered {
            ready,
            response: Some(CheckResponse { status, content_type: "text/plain".into(), body: "no".into() }),
        },
    };
    let newest = |stage: &Stage| {
        let status = stage.stored.iter().rev().find_map(|record| match record {
            Record::Status(status) => Some(status.clone()),
            _ => None,
        });
        status.unwrap()
    };
    assert!(newest(&stage).readiness.is_empty());
    assert!(stage.input(answer(1, false, 503)).contains("TASK_RUNNING"), "news");
    let said = newest(&stage).readiness.clone();
    assert_eq!((said.len(), said[0].name.as_str(), said[0].ready), (1, "migrated", false));
    assert_eq!(said[0].last_response.as_ref().map(|response| response.status), Some(503));
    stage.wait(500);
    stage.input(probed("x", 1, true));
    assert!(!newest(&stage).is_ready(1) && newest(&stage).healthy == Some(true));

    let asked = stage.wait(5_000);
    assert!(asked.contains("#2 Ready"), "{asked}");
    assert!(!stage.input(answer(2, false, 503)).contains("send"), "nothing new");
    stage.wait(5_000);
    // No answer in time is none.
    stage.wait(1_500);
    assert_eq!(newest(&stage).readiness[0].last_response, None);
    let asked = stage.wait(3_500);
    assert!(asked.contains("#4 Ready"), "{asked}");
    stage.input(answer(4, true, 200));
    assert!(newest(&stage).is_ready(1));
    for _ in 0..20 {
        let asked = stage.wait(1_000);
        assert!(!asked.contains("Ready"), "{asked}");
    }
}
