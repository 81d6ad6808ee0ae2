//! Tasks' lives, whatever happens to their agent.

use crate::Test;
use crate::fixture::{Fixture, shell, signal};
use hansa_link::{ToAgentBody, ToMasterBody};
use hansa_model::InstanceId;
use hansa_model::app::{HealthCheck, Probe};
use hansa_model::task::{Exit, Reason, TaskState};
use std::time::{Duration, Instant};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test { name: "a task runs, ends, is acknowledged and released", run: a_life },
        Test {
            name: "a killed agent's tasks run on and their exit is not missed",
            run: exit_while_nobody_looks,
        },
        Test { name: "a new agent takes over what still runs, once", run: taken_over },
        Test { name: "a killed shim takes its task along, and that is reported", run: killed_shim },
        Test { name: "a kill is SIGTERM, then SIGKILL", run: kills },
        Test { name: "an agent told to stop announces its return and leaves tasks alone", run: leaving },
        Test { name: "without a master the stop deadline ends tasks", run: stop_deadline },
        Test { name: "commands check health inside the container", run: command_check },
        Test { name: "what cannot be started says why", run: launch_failure },
        Test {
            name: "an agent killed at any moment of a start starts nothing twice",
            run: killed_while_starting,
        },
        Test { name: "two agents never share a data directory", run: one_agent_a_directory },
        Test { name: "twenty tasks at once", run: many },
    ]
}

fn a_life() {
    let mut fixture = Fixture::new();
    let hello = fixture.start_agent();
    assert_eq!((hello.hostname.as_str(), hello.groups.len()), ("test-node", 0));
    assert!(hello.address.starts_with("127.0.0.1:") && hello.boot.is_some());
    let script = "echo out $HOST $PORT0 $MESOS_TASK_ID; echo err >&2; pwd; exit 3";
    let ended = fixture.with_master(async |master| {
        master.launch(shell("life", script));
        master.state(TaskState::Running).await;
        master.state(TaskState::Failed).await
    });
    assert_eq!((ended.exit, ended.reason), (Some(Exit::Code(3)), Some(Reason::ReasonCommandExecutorFailed)));
    assert_eq!(ended.message, "command exited with status 3; it wrote to stderr: err");
    let sandbox = fixture.sandbox("life");
    assert_eq!(
        fixture.read("life", "stdout"),
        format!("out test-node 31000 life.1\n{}\n", sandbox.display())
    );
    assert_eq!(fixture.read("life", "stderr"), "err\n");
    fixture.with_master(async |master| {
        master.say(ToAgentBody::Release { instance: InstanceId::from("life") });
        while !matches!(master.next().await, ToMasterBody::Released { .. }) {}
    });
    // Accepted once, never again: the answer says so, and nothing ran.
    fixture.with_master(async |master| {
        master.launch(shell("life", script));
        while !matches!(master.next().await, ToMasterBody::Released { .. }) {}
    });
    assert_eq!(fixture.read("life", "stderr"), "err\n");
    fixture.until("its runtime directory is gone", || {
        std::fs::read_dir(fixture.data_dir().join("runtime")).unwrap().count() == 0
    });
}

fn exit_while_nobody_looks() {
    let mut fixture = Fixture::new();
    fixture.start_agent();
    fixture.with_master(async |master| {
        master.launch(shell("x", "echo before; while [ ! -e go ]; do sleep 0.02; done; echo after; exit 7"));
        master.state(TaskState::Running).await;
    });
    fixture.kill_agent();
    std::fs::write(fixture.sandbox("x").join("go"), "").unwrap();
    fixture.until("it has ended", || fixture.shims().is_empty());
    let hello = fixture.start_agent();
    let [group] = &hello.groups[..] else { panic!("one group: {:?}", hello.groups) };
    let ended = group.unacknowledged.last().expect("its end is not acknowledged");
    assert_eq!((ended.state, ended.exit), (TaskState::Failed, Some(Exit::Code(7))));
    assert_eq!(fixture.read("x", "stdout"), "before\nafter\n");
}

fn taken_over() {
    let mut fixture = Fixture::new();
    fixture.start_agent();
    fixture.with_master(async |master| {
        master.launch(shell("x", "echo start >> starts; exec sleep 1000"));
        master.state(TaskState::Running).await;
    });
    for _ in 0..3 {
        fixture.kill_agent();
        let hello = fixture.start_agent();
        assert_eq!(hello.groups[0].statuses[0].state, TaskState::Running);
        // A repeat starts nothing.
        fixture.with_master(async |master| master.launch(shell("x", "echo start >> starts")));
    }
    let killed = fixture.with_master(async |master| {
        master.kill("x", 0);
        master.state(TaskState::Killed).await
    });
    assert_eq!(killed.message, "told to");
    assert_eq!(fixture.read("x", "starts"), "start\n");
    fixture.until("its shim has ended", || fixture.shims().is_empty());
}

fn killed_shim() {
    let mut fixture = Fixture::new();
    fixture.start_agent();
    fixture.with_master(async |master| {
        master.launch(shell("x", "exec sleep 98761"));
        master.state(TaskState::Running).await;
    });
    fixture.until("it sleeps", || fixture.processes("sleep 98761").len() == 1);
    let shims = fixture.shims();
    assert!(!shims.is_empty());
    for shim in shims {
        signal(shim, libc::SIGKILL);
    }
    let ended = fixture.with_master(async |master| master.state(TaskState::Failed).await);
    assert_eq!(ended.reason, Some(Reason::ReasonExecutorTerminated));
    assert!(fixture.processes("sleep 98761").is_empty(), "its end was reported while it ran");
    // And the same while no agent looks.
    fixture.with_master(async |master| {
        master.launch(shell("y", "exec sleep 98762"));
        master.state(TaskState::Running).await;
    });
    fixture.kill_agent();
    fixture.shims().into_iter().for_each(|shim| signal(shim, libc::SIGKILL));
    let hello = fixture.start_agent();
    let group = hello.groups.iter().find(|group| group.launch.instance.as_str() == "y").unwrap();
    let ended = group.unacknowledged.last().unwrap();
    assert_eq!((ended.state, ended.reason), (TaskState::Failed, Some(Reason::ReasonExecutorTerminated)));
    assert!(fixture.processes("sleep 98762").is_empty());
}

fn kills() {
    let mut fixture = Fixture::new();
    fixture.start_agent();
    // One that obeys, one that does not.
    let polite = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done";
    let stubborn = "trap '' TERM; echo up; while :; do sleep 0.01; done";
    for (name, script, grace_ms) in [("polite", polite, 30_000), ("stubborn", stubborn, 300)] {
        fixture.with_master(async |master| {
            master.launch(shell(name, script));
            master.state(TaskState::Running).await;
        });
        fixture.until("it has set its trap", || fixture.read(name, "stdout") == "up\n");
        let begin = Instant::now();
        let killed = fixture.with_master(async |master| {
            master.kill(name, grace_ms);
            master.update(|status| status.state == TaskState::Killed).await
        });
        let took = begin.elapsed();
        match name {
            "polite" => {
                assert_eq!(killed.exit, Some(Exit::Code(0)));
                assert!(took < Duration::from_secs(20), "{took:?}");
            }
            _ => {
                assert_eq!(killed.exit, Some(Exit::Signal(libc::SIGKILL)));
                assert!(took >= Duration::from_millis(300), "{took:?}");
            }
        }
    }
    assert_eq!(fixture.read("polite", "stdout"), "up\nbye\n");
}

fn leaving() {
    let mut fixture = Fixture::new();
    fixture.start_agent();
    fixture.with_master(async |master| {
        master.launch(shell("x", "exec sleep 98763"));
        master.state(TaskState::Running).await;
    });
    let took = fixture.stop_agent();
    assert!(took < Duration::from_secs(5), "{took:?}");
    fixture.with_master(async |master| {
        while !matches!(master.next().await, ToMasterBody::Leaving { returns_in_ms: 60_000 }) {}
    });
    assert_eq!(fixture.processes("sleep 98763").len(), 1);
    let hello = fixture.start_agent();
    assert_eq!(hello.groups[0].statuses[0].state, TaskState::Running);
}

fn stop_deadline() {
    let mut fixture = Fixture::new();
    fixture.deadline_ms = 1_500;
    fixture.start_agent();
    fixture.with_master(async |master| {
        master.launch(shell("x", "exec sleep 98764"));
        master.state(TaskState::Running).await;
    });
    fixture.until("it sleeps", || fixture.processes("sleep 98764").len() == 1);
    // Longer than the deadline: heartbeats keep it alive.
    let begin = Instant::now();
    fixture.until("time passes", || begin.elapsed() > Duration::from_millis(2_500));
    assert_eq!(fixture.processes("sleep 98764").len(), 1);
    fixture.master.go_deaf();
    let begin = Instant::now();
    fixture.until("it is ended", || fixture.processes("sleep 98764").is_empty());
    assert!(begin.elapsed() > Duration::from_millis(1_000), "{:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

fn command_check() {
    let mut fixture = Fixture::new();
    fixture.start_agent();
    let mut launch = shell("x", "exec sleep 1000");
    let mut group = (*launch.group).clone();
    group.tasks[0].env.insert("FLAG".into(), "flag".into());
    group.tasks[0].health_checks = vec![HealthCheck {
        protocol: "COMMAND".into(),
        probe: Probe::Command { command: "test -e $FLAG || { echo no flag; false; }".into() },
        port: None,
        grace_ms: 0,
        interval_ms: 100,
        timeout_ms: 5_000,
        max_consecutive_failures: 3,
        delay_ms: 0,
        ip_protocol: "IPv4".into(),
    }];
    launch.group = group.into();
    let unhealthy = fixture.with_master(async |master| {
        master.launch(launch);
        master.update(|status| status.healthy == Some(false)).await
    });
    assert_eq!(unhealthy.message, "the command exited with status 1: no flag");
    std::fs::write(fixture.sandbox("x").join("flag"), "").unwrap();
    let healthy =
        fixture.with_master(async |master| master.update(|status| status.healthy == Some(true)).await);
    assert_eq!(healthy.health[0].consecutive_failures, 0);
}

fn launch_failure() {
    let mut fixture = Fixture::new();
    fixture.start_agent();
    let mut launch = shell("x", "true");
    let mut group = (*launch.group).clone();
    group.tasks[0].user = Some("nobody-of-this-name".into());
    launch.group = group.into();
    let failed = fixture.with_master(async |master| {
        master.launch(launch);
        master.state(TaskState::Failed).await
    });
    assert_eq!(failed.reason, Some(Reason::ReasonContainerLaunchFailed));
    assert!(failed.message.contains("nobody-of-this-name"), "{}", failed.message);
}

fn killed_while_starting() {
    let mut fixture = Fixture::new();
    fixture.start_agent();
    for round in 0..10u64 {
        let name = format!("r{round}");
        let argument = 98_770 + round;
        let script = format!("echo start >> starts; exec sleep {argument}");
        fixture.with_master(async |master| master.launch(shell(&name, &script)));
        std::thread::sleep(Duration::from_millis(round * 3));
        fixture.kill_agent();
        fixture.start_agent();
        // As a master does that does not know whether the first arrived.
        let status = fixture.with_master(async |master| {
            master.launch(shell(&name, &script));
            let own = |status: &hansa_model::task::TaskStatus| status.instance.as_str() == name;
            master
                .update(|status| {
                    own(status) && (status.state == TaskState::Running || status.state.is_terminal())
                })
                .await
        });
        let running = fixture.processes(&format!("sleep {argument}")).len();
        let starts = fixture.read(&name, "starts").lines().count();
        match status.state {
            // Its shell may not have come to its first line yet.
            TaskState::Running => assert!(starts <= 1, "round {round}: {starts} starts"),
            TaskState::Dropped | TaskState::Failed => {
                assert_eq!(running, 0, "round {round}: {status:?} but it runs");
                assert!(starts <= 1, "round {round}: {starts} starts");
            }
            other => panic!("round {round}: {other}: {status:?}"),
        }
    }
}

fn one_agent_a_directory() {
    let mut fixture = Fixture::new();
    fixture.start_agent();
    let second = fixture.spawn_agent();
    let mut said = String::new();
    let status = second.wait().unwrap();
    std::io::Read::read_to_string(second.stderr.as_mut().unwrap(), &mut said).unwrap();
    assert!(!status.success());
    assert!(said.contains("another agent uses the data directory"), "{said}");
}

fn many() {
    let mut fixture = Fixture::new();
    fixture.start_agent();
    let running = fixture.with_master(async |master| {
        for number in 0..20 {
            master.launch(shell(&format!("m{number}"), "echo $$ >> pids; exec sleep 1000"));
        }
        let mut running = std::collections::BTreeSet::new();
        while running.len() < 20 {
            running.insert(master.state(TaskState::Running).await.task);
        }
        running
    });
    assert_eq!(running.len(), 20);
    fixture.kill_agent();
    let hello = fixture.start_agent();
    assert!(hello.groups.iter().all(|group| group.statuses[0].state == TaskState::Running));
    fixture.with_master(async |master| {
        for number in 0..20 {
            master.kill(&format!("m{number}"), 0);
        }
        for _ in 0..20 {
            master.state(TaskState::Killed).await;
        }
    });
    fixture.until("all shims have ended", || fixture.shims().is_empty());
}
