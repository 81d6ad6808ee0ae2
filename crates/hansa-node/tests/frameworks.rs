//! Frameworks' tasks and executors as stories.

mod common;

use common::*;
use hansa_link::ToAgentBody;
use hansa_model::framework::launch::{ExecutorRun, FrameworkLaunch, FrameworkTask};
use hansa_model::framework::{
    Amount, Capability, DiskSource, ExecutorKind, FrameworkInfo, Part, PersistentVolume, Raw, Reservation,
};
use hansa_model::resources::{Allocation, MIB};
use hansa_model::spec::{Command, GroupSpec, Launch, TaskSpec};
use hansa_model::task::{Exit, TaskState};
use hansa_model::{InstanceId, TaskId};
use hansa_node::{ExecutorUpdate, Found, Input, KeptVolume, Output, Record, Refusal, Thing};
use std::collections::BTreeSet;
use std::sync::Arc;

fn framework(capabilities: &[Capability]) -> Arc<FrameworkInfo> {
    let mut info: FrameworkInfo =
        serde_json::from_value(serde_json::json!({"id": "f-0000", "roles": ["*"], "checkpoint": true}))
            .unwrap();
    info.capabilities = BTreeSet::from_iter(capabilities.iter().copied());
    Arc::new(info)
}

fn task(id: &str) -> FrameworkTask {
    FrameworkTask {
        id: id.into(),
        name: id.into(),
        parts: Vec::new(),
        info: Raw::new(format!("info-{id}").into_bytes()),
    }
}

fn run(kind: ExecutorKind) -> ExecutorRun {
    ExecutorRun {
        id: "default".into(),
        container: InstanceId::from("run"),
        kind,
        parts: Vec::new(),
        allocation: Allocation { cpus_milli: 100, mem: 32 * MIB, ..Allocation::default() },
        spec: TaskSpec { command: Command::Shell("exec ./executor".into()), ..TaskSpec::default() },
        shutdown_grace_ms: None,
        info: Raw::default(),
    }
}

/// A group `<name>` of tasks with these ids (of the framework), `<name>.1` and up to the cluster.
fn group(name: &str, tasks: &[&str], capabilities: &[Capability], run: Option<ExecutorRun>) -> Launch {
    let mut launch = launch(name, vec![]);
    let spec = launch.group.tasks[0].clone();
    launch.group = GroupSpec { tasks: vec![spec; tasks.len()], ..GroupSpec::default() }.into();
    launch.tasks = (1..=tasks.len()).map(|at| TaskId::from(format!("{name}.{at}"))).collect();
    launch.framework = Some(Arc::new(FrameworkLaunch {
        framework: framework(capabilities),
        tasks: tasks.iter().map(|id| task(id)).collect(),
        executor: run.map(Arc::new),
    }));
    launch
}

fn custom(name: &str, id: &str) -> Launch {
    group(name, &[id], &[], Some(run(ExecutorKind::Custom)))
}

fn pod(name: &str, tasks: &[&str]) -> Launch {
    group(name, tasks, &[], Some(run(ExecutorKind::Default)))
}

fn subscribed(stream: u64, tasks: &[&str], updates: Vec<ExecutorUpdate>) -> Input {
    let tasks = tasks.iter().map(|id| (*id).to_owned()).collect();
    Input::ExecutorSubscribed { container: InstanceId::from("run"), stream, tasks, updates }
}

fn update(task: &str, uuid: u128, state: TaskState) -> ExecutorUpdate {
    ExecutorUpdate {
        task: task.into(),
        uuid,
        state,
        message: String::new(),
        healthy: None,
        raw: Raw::default(),
    }
}

fn said(task: &str, uuid: u128, state: TaskState) -> Input {
    Input::ExecutorUpdate { container: InstanceId::from("run"), update: Box::new(update(task, uuid, state)) }
}

fn connected() -> Stage {
    let mut stage = Stage::new();
    stage.connect();
    stage
}

/// With an executor that runs task `one` of group `x`.
fn with_executor() -> Stage {
    let mut stage = connected();
    stage.hear(launch_message(custom("x", "one")));
    stage.input(started("run"));
    stage.input(subscribed(1, &[], vec![]));
    stage.input(said("one", 11, TaskState::Running));
    stage
}

#[test]
fn a_framework_without_the_capability_never_sees_killing() {
    for (capabilities, killing) in [(&[][..], false), (&[Capability::TaskKillingState][..], true)] {
        let mut stage = connected();
        stage.hear(launch_message(group("x", &["one"], capabilities, None)));
        stage.input(started("x"));
        let shown = stage.hear(kill("x", None));
        assert_eq!(shown.contains("TASK_KILLING"), killing, "{shown}");
        assert!(shown.contains("stop x in 3000"), "{shown}");
        let shown = stage.input(exited("x", Exit::Signal(15)));
        assert!(shown.contains("TASK_KILLED 'scaled down'"), "{shown}");
    }
}

#[test]
fn a_failed_command_has_mesos_reason() {
    let mut stage = connected();
    stage.hear(launch_message(group("x", &["one"], &[], None)));
    stage.input(started("x"));
    let shown = stage.input(exited("x", Exit::Code(3)));
    assert!(shown.contains("send #3 TASK_FAILED 'Command exited with status 3'"), "{shown}");
}

#[test]
fn a_task_that_had_its_time_fails() {
    let mut launch = group("x", &["one"], &[], None);
    let mut spec = (*launch.group).clone();
    spec.tasks[0].max_run_ms = Some(10_000);
    launch.group = spec.into();
    let mut stage = connected();
    stage.hear(launch_message(launch));
    stage.wait(1_000);
    stage.input(started("x"));
    assert!(!stage.wait(9_999).contains("stop x"));
    // Also if the agent was away meanwhile.
    let (mut stage, _) = stage.restart("b1", &[("x", Found::Running { addresses: vec![] })]);
    let shown = stage.wait(10);
    assert!(shown.contains("stop x in 3000"), "{shown}");
    stage.connect();
    let shown = stage.input(exited("x", Exit::Code(0)));
    assert!(shown.contains("TASK_FAILED REASON_MAX_COMPLETION_TIME_REACHED"), "{shown}");
}

#[test]
fn a_sick_task_of_a_framework_is_killed_here() {
    let mut launch = group("x", &["one"], &[], None);
    let mut spec = (*launch.group).clone();
    spec.tasks[0].health_checks = vec![tcp_check()];
    launch.group = spec.into();
    let mut stage = connected();
    stage.hear(launch_message(launch));
    stage.input(started("x"));
    stage.wait(500);
    assert!(!stage.input(probed("x", 1, false)).contains("stop"));
    stage.wait(1_000);
    let shown = stage.input(probed("x", 2, false));
    assert!(shown.contains("TASK_HEALTH_CHECK_STATUS_UPDATED unhealthy(2)"), "{shown}");
    assert!(shown.contains("stop x in 3000"), "{shown}");
    stage.input(exited("x", Exit::Signal(15)));
    let last = stage.node.saved().groups()[&InstanceId::from("x")].statuses[0].clone().unwrap();
    assert_eq!((last.state, last.healthy, last.reason), (TaskState::Killed, Some(false), None));
}

#[test]
fn an_executor_s_life() {
    let mut stage = connected();
    check(
        &stage.hear(launch_message(custom("x", "one"))),
        "store group x
         store executor run
         start run Some(10000)",
    );
    // A second task waits with the first.
    check(&stage.hear(launch_message(custom("y", "two"))), "store group y");
    check(
        &stage.input(started("run")),
        "store executor run running
         resize run to 300 cpus, 96 MiB",
    );
    check(
        &stage.input(subscribed(7, &[], vec![])),
        "store executor run running registered
         tell run@7 subscribed
         store delivered x
         tell run@7 launch info-one
         store delivered y
         tell run@7 launch info-two",
    );
    check(
        &stage.input(said("one", 11, TaskState::Running)),
        "store #1 TASK_RUNNING
         send #1 TASK_RUNNING
         tell run@7 acknowledged one 11",
    );
    // Said again: acknowledged again, and nothing else. Other news in the same state are news.
    check(&stage.input(said("one", 11, TaskState::Running)), "tell run@7 acknowledged one 11");
    assert!(stage.input(said("one", 12, TaskState::Running)).contains("send #2 TASK_RUNNING"));
    check(&stage.hear(kill_of("x", "x.1")), "store killing x by 3000\ntell run@7 kill one None");
    check(
        &stage.input(said("one", 13, TaskState::Killed)),
        "store #3 TASK_KILLED
         send #3 TASK_KILLED
         resize run to 200 cpus, 64 MiB
         tell run@7 acknowledged one 13",
    );
    // What follows a last word is no news.
    check(
        &stage.input(said("one", 14, TaskState::Finished)),
        "warn: executor container run tells of task one, which it does not have: ignored
         tell run@7 acknowledged one 14",
    );
    check(
        &stage.input(exited("run", Exit::Code(2))),
        "store #1 TASK_FAILED
         send #1 TASK_FAILED REASON_EXECUTOR_TERMINATED 'executor exited with status 2'
         store ended run
         send ended default run 512
         clean up run",
    );
    assert!(stage.node.saved().executors().is_empty());
    // Its container is never started again.
    let shown = stage.hear(launch_message(custom("z", "three")));
    assert!(shown.contains("TASK_DROPPED REASON_EXECUTOR_TERMINATED") && !shown.contains("start"), "{shown}");
}

fn kill_of(group: &str, task: &str) -> ToAgentBody {
    ToAgentBody::Kill {
        instance: InstanceId::from(group),
        tasks: vec![TaskId::from(task)],
        grace_ms: None,
        message: "told to".into(),
    }
}

#[test]
fn an_executor_that_never_registers_is_ended() {
    let mut stage = connected();
    stage.hear(launch_message(custom("x", "one")));
    stage.wait(100_000);
    stage.input(started("run"));
    assert!(!stage.wait(59_999).contains("stop"));
    let shown = stage.wait(1);
    assert!(shown.contains("stop run in 0"), "{shown}");
    let shown = stage.wait(3_000);
    assert!(shown.contains("kill run"), "{shown}");
    let shown = stage.input(exited("run", Exit::Signal(9)));
    let expected =
        "TASK_FAILED REASON_EXECUTOR_REGISTRATION_TIMEOUT 'executor did not register within 1mins'";
    let stored = stage.node.saved().groups()[&InstanceId::from("x")].statuses[0].clone().unwrap();
    assert_eq!(stored.reason.unwrap().name(), "REASON_EXECUTOR_REGISTRATION_TIMEOUT", "{shown} {expected}");
}

#[test]
fn a_task_killed_before_its_executor_is_there() {
    let mut stage = connected();
    stage.hear(launch_message(custom("x", "one")));
    check(
        &stage.hear(kill("x", None)),
        "store killing x by 3000
         store #1 TASK_KILLED
         send #1 TASK_KILLED REASON_TASK_KILLED_DURING_LAUNCH 'scaled down'
         store executor run ending
         stop run in 0",
    );
    let shown = stage.input(exited("run", Exit::Signal(9)));
    assert!(shown.contains("send ended default run 9"), "{shown}");
}

#[test]
fn an_executor_is_asked_to_end_and_then_ended() {
    let mut stage = with_executor();
    let shutdown = || ToAgentBody::ShutdownExecutor { container: InstanceId::from("run") };
    check(
        &stage.hear(shutdown()),
        "store executor run running registered ending
         tell run@1 shutdown",
    );
    check(&stage.hear(shutdown()), "");
    // Nothing new is given to it.
    assert!(stage.hear(launch_message(custom("y", "two"))).contains("TASK_DROPPED"));
    let shown = stage.wait(5_000);
    assert!(shown.contains("5000 stop run in 0"), "{shown}");
}

#[test]
fn an_executor_outlives_its_agent() {
    let mut stage = with_executor();
    stage.hear(launch_message(custom("y", "two")));
    stage.hear(launch_message(custom("z", "three")));
    let (mut stage, shown) = stage.restart("b1", &[("run", Found::Running { addresses: vec![] })]);
    check(&shown, "");
    let hello = stage.connect();
    assert!(hello.contains("executor run"), "{hello}");
    // Given to it later: waits.
    check(&stage.hear(launch_message(custom("w", "four"))), "store group w\nresize run to 500 cpus, 160 MiB");
    stage.hear(kill_of("x", "x.1"));
    // It had got `two` and never `three`; and an update was never acknowledged to it.
    let shown = stage.input(subscribed(1, &["two"], vec![update("two", 21, TaskState::Running)]));
    check(
        &shown,
        "tell run@1 subscribed
         store #1 TASK_RUNNING
         send #1 TASK_RUNNING
         tell run@1 acknowledged two 21
         store #1 TASK_DROPPED
         send #1 TASK_DROPPED REASON_AGENT_RESTARTED 'the executor was away when it was given the task, and does not have it'
         resize run to 400 cpus, 128 MiB
         store delivered w
         tell run@1 launch info-four
         tell run@1 kill one Some(3000)",
    );
}

#[test]
fn an_executor_that_does_not_come_back_is_ended() {
    let (mut stage, _) = with_executor().restart("b1", &[("run", Found::Running { addresses: vec![] })]);
    let shown = stage.wait(15_000);
    assert!(shown.contains("stop run in 0"), "{shown}");
    stage.input(exited("run", Exit::Signal(9)));
    let stored = stage.node.saved().groups()[&InstanceId::from("x")].statuses[0].clone().unwrap();
    assert_eq!(stored.message, "executor did not reregister within 15secs");
}

#[test]
fn what_became_of_an_executor_while_the_agent_was_away() {
    type Case<'a> = (&'a str, &'a [(&'a str, Found)], &'a str);
    let cases: [Case; 3] = [
        (
            "b1",
            &[("run", Found::Exited { exit: Exit::Code(0), limitation: None, message: String::new() })],
            "TASK_FAILED executor exited with status 0",
        ),
        ("b1", &[], "TASK_FAILED the executor's shim died while no agent looked"),
        ("b2", &[], "TASK_GONE the machine was rebooted"),
    ];
    for (boot, found, expected) in cases {
        let (stage, shown) = with_executor().restart(boot, found);
        let stored = stage.node.saved().groups()[&InstanceId::from("x")].statuses[0].clone().unwrap();
        assert_eq!(format!("{} {}", stored.state, stored.message), expected, "{shown}");
        assert!(stage.node.saved().executors().is_empty());
    }
}

#[test]
fn messages_pass_both_ways() {
    let mut stage = with_executor();
    let container = InstanceId::from("run");
    let data = Raw::new(*b"hello");
    check(
        &stage.hear(ToAgentBody::ToExecutor { container: container.clone(), data: data.clone() }),
        "tell run@1 message hello",
    );
    check(
        &stage.input(Input::ExecutorMessage { container: container.clone(), data }),
        "send from default 5 bytes",
    );
    stage.input(Input::ExecutorLeft { container, stream: 1 });
    let data = Raw::new(*b"lost");
    check(&stage.hear(ToAgentBody::ToExecutor { container: InstanceId::from("run"), data }), "");
}

#[test]
fn a_pod_lives_and_dies_together() {
    let mut stage = connected();
    check(
        &stage.hear(launch_message(pod("x", &["one", "two"]))),
        "store group x
         store executor run
         start run Some(10000)",
    );
    check(
        &stage.input(started("run")),
        "store executor run running registered
         store delivered x
         store #1 TASK_STARTING
         send #1 TASK_STARTING
         start x.1 Some(10000)
         store #1 TASK_STARTING
         send #1 TASK_STARTING
         start x.2 Some(10000)",
    );
    assert!(stage.input(started("x.1")).contains("send #2 TASK_RUNNING"));
    assert!(stage.input(started("x.2")).contains("send #2 TASK_RUNNING"));
    // A second group may come.
    assert!(stage.hear(launch_message(pod("y", &["three"]))).contains("start y.1"));
    check(
        &stage.input(exited("x.1", Exit::Code(1))),
        "store #3 TASK_FAILED
         send #3 TASK_FAILED 'Command exited with status 1'
         clean up x.1
         store killing x by 3000
         stop x.2 in 3000",
    );
    check(
        &stage.input(exited("x.2", Exit::Signal(15))),
        "store #3 TASK_KILLED
         send #3 TASK_KILLED 'task one of its group ended as TASK_FAILED'
         clean up x.2",
    );
    // The surroundings go with the last task.
    stage.input(started("y.1"));
    check(
        &stage.input(exited("y.1", Exit::Code(0))),
        "store #3 TASK_FINISHED
         send #3 TASK_FINISHED 'Command exited with status 0'
         clean up y.1
         store executor run running registered ending
         stop run in 0",
    );
    check(
        &stage.input(exited("run", Exit::Signal(9))),
        "store ended run\nsend ended default run 0\nclean up run",
    );
}

#[test]
fn one_finished_task_leaves_its_pod_alone() {
    let mut stage = connected();
    stage.hear(launch_message(pod("x", &["one", "two"])));
    for container in ["run", "x.1", "x.2"] {
        stage.input(started(container));
    }
    assert!(!stage.input(exited("x.1", Exit::Code(0))).contains("stop"));
    let shown = stage.hear(kill("x", Some(100)));
    assert!(shown.contains("stop x.2 in 100") && !shown.contains("x.1"), "{shown}");
    let shown = stage.input(exited("x.2", Exit::Signal(15)));
    assert!(shown.contains("stop run in 0"), "{shown}");
}

#[test]
fn a_pod_ends_without_its_surroundings() {
    let mut stage = connected();
    stage.hear(launch_message(pod("x", &["one", "two"])));
    for container in ["run", "x.1", "x.2"] {
        stage.input(started(container));
    }
    let shown = stage.input(Input::ShimGone { instance: InstanceId::from("run"), message: String::new() });
    assert!(shown.contains("stop x.1 in 0") && shown.contains("stop x.2 in 0"), "{shown}");
    assert!(!shown.contains("TASK_FAILED") && !shown.contains("send ended"), "they still run: {shown}");
    // Not even a new process takes them for dead.
    let running = Found::Running { addresses: vec![] };
    let (mut stage, shown) = stage.restart("b1", &[("x.1", running.clone()), ("x.2", running)]);
    assert!(shown.contains("stop x.1 in 0") && shown.contains("stop x.2 in 0"), "{shown}");
    stage.connect();
    let shown = stage.input(exited("x.1", Exit::Signal(9)));
    assert!(shown.contains("TASK_FAILED REASON_EXECUTOR_TERMINATED"), "{shown}");
    let shown = stage.input(exited("x.2", Exit::Signal(9)));
    assert!(shown.contains("TASK_FAILED REASON_EXECUTOR_TERMINATED"), "{shown}");
    assert!(shown.ends_with("send ended default run 9\nclean up run\n"), "{shown}");
    assert!(stage.node.saved().executors().is_empty());
}

#[test]
fn a_pod_outlives_its_agent() {
    let mut stage = connected();
    stage.hear(launch_message(pod("x", &["one", "two"])));
    for container in ["run", "x.1", "x.2"] {
        stage.input(started(container));
    }
    let running = Found::Running { addresses: vec![] };
    let gone = Found::Exited { exit: Exit::Code(0), limitation: None, message: String::new() };
    let found = [("run", running.clone()), ("x.1", running), ("x.2", gone)];
    let (mut stage, shown) = stage.restart("b1", &found);
    check(&shown, "store #3 TASK_FINISHED\nclean up x.2");
    let hello = stage.connect();
    assert!(
        hello.contains("[x: is TASK_RUNNING is TASK_FINISHED") && hello.contains("executor run"),
        "{hello}"
    );
    let shown = stage.input(exited("x.1", Exit::Code(0)));
    assert!(shown.contains("send #3 TASK_FINISHED") && shown.contains("stop run in 0"), "{shown}");
}

#[test]
fn volumes_are_known_until_they_are_removed() {
    let reservation = Reservation { role: "db".into(), principal: None, labels: vec![], fixed: false };
    let volume = PersistentVolume { id: "v1".into(), principal: None, container_path: "data".into() };
    let amount = Amount { disk: MIB, ..Amount::default() };
    let source = Some(DiskSource::Mount("/mnt/data".into()));
    let part = Part { reservations: vec![reservation], source, volume: Some(volume), amount };
    let mut launch = group("x", &["one"], &[], None);
    let mut of = (**launch.framework.as_ref().unwrap()).clone();
    of.tasks[0].parts = vec![part];
    launch.framework = Some(of.into());
    let remove = || ToAgentBody::RemoveVolume { role: "db".into(), id: "v1".into() };
    let mut stage = connected();
    check(&stage.hear(remove()), "");
    assert!(stage.hear(launch_message(launch)).contains("store volume db/v1"));
    let (mut stage, _) = stage.restart("b1", &[("x", Found::Running { addresses: vec![] })]);
    let hello = stage.connect();
    assert!(hello.contains("volume db/v1"), "{hello}");
    check(&stage.hear(remove()), "warn: the master removes the volume v1 of db, which is in use: ignored");
    stage.input(exited("x", Exit::Code(0)));
    check(
        &stage.hear(remove()),
        "store volume removed db/v1\nremove volume db/v1 on the MOUNT disk /mnt/data",
    );
    check(&stage.hear(remove()), "");
}

/// A task with these volumes and GPUs for the custom executor.
fn furnished(name: &str, id: &str, volumes: &[&str], gpus: &[u16]) -> Launch {
    let reservation = Reservation { role: "db".into(), principal: None, labels: vec![], fixed: false };
    let part = |id: &&str| {
        let volume = PersistentVolume { id: (*id).into(), principal: None, container_path: (*id).into() };
        let amount = Amount { disk: MIB, ..Amount::default() };
        Part { reservations: vec![reservation.clone()], source: None, volume: Some(volume), amount }
    };
    let mut launch = custom(name, id);
    let mut of = (**launch.framework.as_ref().unwrap()).clone();
    of.tasks[0].parts = volumes.iter().map(part).collect();
    launch.framework = Some(of.into());
    launch.allocation.gpus = gpus.iter().map(|device| (*device, 1_000)).collect();
    launch
}

fn changed(refused: &[(Thing, &str)], kept: &[Thing]) -> Input {
    let refused = refused.iter().map(|(thing, why)| Refusal { thing: thing.clone(), why: (*why).into() });
    Input::Furnished { instance: InstanceId::from("run"), refused: refused.collect(), kept: kept.to_vec() }
}

fn kept_volume(id: &str) -> Thing {
    Thing::Volume("db".into(), id.into())
}

/// A custom executor that runs, and has a task with one volume and one GPU.
fn with_one_task() -> Stage {
    let mut stage = connected();
    stage.hear(launch_message(furnished("x", "one", &["v1"], &[0])));
    stage.input(started("run"));
    let shown = stage.input(subscribed(1, &[], vec![]));
    assert!(shown.contains("tell run@1 launch info-one") && !shown.contains("furnish"), "{shown}");
    stage
}

#[test]
fn a_running_executor_is_given_what_its_tasks_take_and_parted_from_it() {
    let mut stage = with_one_task();
    let shown = stage.hear(launch_message(furnished("y", "two", &["v2", "v1"], &[1])));
    let furnish = "furnish run with the volume v1 of db, the volume v2 of db, the GPU 0, the GPU 1\n";
    assert!(shown.ends_with(furnish) && !shown.contains("launch"), "not before it is there: {shown}");
    // A third that takes nothing more does not wait for that; one that does, waits for its turn.
    let shown = stage.hear(launch_message(furnished("z", "three", &["v1"], &[])));
    assert!(shown.contains("launch info-three") && !shown.contains("furnish"), "{shown}");
    let shown = stage.hear(launch_message(furnished("w", "four", &["v4"], &[])));
    assert!(!shown.contains("launch") && !shown.contains("furnish"), "{shown}");
    check(
        &stage.input(changed(&[], &[])),
        "store executor run running registered
         furnish run with the volume v1 of db, the volume v2 of db, the volume v4 of db, the GPU 0, the GPU 1
         store delivered y
         tell run@1 launch info-two",
    );
    check(&stage.input(changed(&[], &[])), "store delivered w\ntell run@1 launch info-four");
    // What somebody else still takes stays.
    let shown = stage.input(said("one", 1, TaskState::Finished));
    assert!(
        shown.contains(
            "furnish run with the volume v1 of db, the volume v2 of db, the volume v4 of db, the GPU 1, without the GPU 0\n"
        ),
        "{shown}"
    );
    stage.input(changed(&[], &[]));
    let shown = stage.input(said("two", 2, TaskState::Failed));
    let furnish =
        "furnish run with the volume v1 of db, the volume v4 of db, without the volume v2 of db, the GPU 1\n";
    assert!(shown.contains(furnish), "{shown}");
    // The other two end before that is done: then both go at once.
    assert!(!stage.input(said("three", 3, TaskState::Finished)).contains("furnish"));
    assert!(!stage.input(said("four", 4, TaskState::Finished)).contains("furnish"));
    check(
        &stage.input(changed(&[], &[])),
        "store executor run running registered
         furnish run with nothing, without the volume v1 of db, the volume v4 of db",
    );
    check(&stage.input(changed(&[], &[])), "store executor run running registered");
    check(&stage.input(changed(&[], &[])), "");
}

#[test]
fn what_an_executor_cannot_be_given_fails_those_who_need_it() {
    let mut stage = with_one_task();
    stage.hear(launch_message(furnished("y", "two", &["v2"], &[])));
    stage.hear(launch_message(furnished("z", "three", &["v3"], &[1])));
    stage.input(changed(&[], &[]));
    let shown = stage.input(changed(&[(Thing::Gpu(1), "no such device")], &[]));
    let words = "TASK_FAILED REASON_CONTAINER_LAUNCH_FAILED 'executor default runs already and cannot be given the GPU 1: no such device'";
    assert!(shown.contains(words) && shown.matches("TASK_FAILED").count() == 2, "stored and sent: {shown}");
    let furnish =
        "furnish run with the volume v1 of db, the volume v2 of db, the GPU 0, without the volume v3 of db\n";
    assert!(shown.contains(furnish), "what it had been given is taken from it: {shown}");
    // What stays is asked to go with the next change.
    let shown = stage.input(changed(&[], &[kept_volume("v3")]));
    check(&shown, "warn: executor default could not be parted from the volume v3 of db");
    let shown = stage.input(said("two", 2, TaskState::Finished));
    let furnish =
        "furnish run with the volume v1 of db, the GPU 0, without the volume v2 of db, the volume v3 of db\n";
    assert!(shown.contains(furnish), "{shown}");
}

#[test]
fn a_group_that_is_killed_before_its_executor_is_furnished_is_not_given_to_it() {
    let mut stage = with_one_task();
    stage.hear(launch_message(furnished("y", "two", &["v2"], &[])));
    assert!(stage.hear(kill("y", Some(0))).contains("TASK_KILLED"));
    check(
        &stage.input(changed(&[], &[])),
        "furnish run with the volume v1 of db, the GPU 0, without the volume v2 of db",
    );
}

#[test]
fn after_a_restart_an_executor_is_furnished_once_more() {
    let running = || [("run", Found::Running { addresses: vec![] })];
    let mut stage = with_one_task();
    stage.hear(launch_message(furnished("y", "two", &["v2"], &[])));
    let shown = stage.input(said("one", 1, TaskState::Finished));
    assert!(!shown.contains("furnish"), "the first is under way: {shown}");
    // Nobody knows how far it came.
    let (mut stage, shown) = stage.restart("b1", &running());
    let furnish = "furnish run with the volume v2 of db, without the volume v1 of db, the GPU 0\n";
    assert!(shown.contains(furnish), "{shown}");
    stage.connect();
    let shown = stage.input(subscribed(1, &[], vec![]));
    assert!(!shown.contains("launch"), "{shown}");
    assert!(stage.input(changed(&[], &[])).contains("launch info-two"));
    // The next process knows what is there, and says it once more all the same.
    let (mut stage, shown) = stage.restart("b1", &running());
    assert!(shown.contains("furnish run with the volume v2 of db\n"), "{shown}");
    stage.connect();
    check(&stage.input(changed(&[], &[])), "");
    // An executor of which an older agent noted names only.
    let older = |record: &mut Record| {
        if let Record::Executor(held) = record {
            let mut text = serde_json::to_value(&*held).unwrap();
            text["made_with"] = serde_json::json!({"volumes": [["db", "v0"]], "gpus": []});
            *held = serde_json::from_value(text).unwrap();
        }
    };
    stage.stored.iter_mut().for_each(older);
    let (_, shown) = stage.restart("b1", &running());
    assert!(shown.contains("furnish run with the volume v2 of db, without the volume v0 of db\n"), "{shown}");
}

#[test]
fn a_volume_of_a_pods_task_is_where_others_look_for_it() {
    let mut stage = connected();
    let mut launch = pod("x", &["one", "two"]);
    let with = furnished("x", "one", &["v1"], &[]);
    let mut of = (**launch.framework.as_ref().unwrap()).clone();
    of.tasks[0].parts.clone_from(&with.framework.unwrap().tasks[0].parts);
    launch.framework = Some(of.into());
    stage.hear(launch_message(launch));
    let outputs = stage.node.apply(stage.now, started("run"));
    let plans: Vec<_> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::StartGroup(plan) => Some(plan),
            _ => None,
        })
        .collect();
    let ids = |volumes: &[KeptVolume]| volumes.iter().map(|volume| volume.id.clone()).collect::<Vec<_>>();
    assert_eq!((ids(&plans[0].volumes), ids(&plans[1].volumes)), (vec!["v1".to_owned()], vec![]));
    assert_eq!(ids(&plans[1].inside.as_ref().unwrap().volumes), ["v1"]);
}

#[test]
fn each_task_of_a_pod_may_use_its_own_share_of_it() {
    let mut stage = connected();
    let mut launch = pod("x", &["one", "two"]);
    let mut of = (**launch.framework.as_ref().unwrap()).clone();
    let amount = |cpus_milli, gpus| Amount { cpus_milli, mem: 32 * MIB, gpus, ..Amount::default() };
    of.tasks[0].parts = vec![Part::unreserved(amount(100, 1))];
    of.tasks[1].parts = vec![Part::unreserved(amount(300, 2))];
    launch.framework = Some(of.into());
    launch.allocation.gpus = [4, 6, 7].map(|device| (device, 1_000)).into();
    stage.hear(launch_message(launch));
    let outputs = stage.node.apply(stage.now, started("run"));
    let plans = outputs.iter().filter_map(|output| match output {
        Output::StartGroup(plan) => Some(plan),
        _ => None,
    });
    let given: Vec<_> = plans.map(|plan| (plan.limits.cpus_milli, plan.limits.gpus.clone())).collect();
    assert_eq!(given, [(100, vec![(4, 1_000)]), (300, vec![(6, 1_000), (7, 1_000)])]);
}
