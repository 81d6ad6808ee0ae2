//! Executors: runs with resources of their own.

use super::*;
use hansa_model::InstanceId;
use hansa_model::agent::Hello;
use hansa_model::task::TaskState::*;

fn with(executor: ExecutorAsked, task: TaskAsked) -> TaskAsked {
    TaskAsked { executor: Some(Box::new(executor)), ..task }
}

fn custom(id: &str) -> ExecutorAsked {
    executor(id, ExecutorKind::Custom)
}

fn run(world: &World, task: &str) -> std::sync::Arc<ExecutorRun> {
    world.launched(task).framework.as_ref().unwrap().executor.clone().expect("it has an executor")
}

fn report(world: &World, task: &str) -> ExecutorReport {
    let framework = world.launched(task).framework.as_ref().unwrap().framework.clone();
    ExecutorReport { framework, role: "r".into(), run: run(world, task) }
}

#[test]
fn tasks_share_a_run_which_begins_with_the_first() {
    let mut world = offered();
    world.show = "es";
    let heard = world.accept(
        "f",
        "L1-O1",
        vec![launch([with(custom("e"), task("t", "a")), with(custom("e"), task("u", "a"))])],
    );
    assert!(heard.contains("event executor e of f on a\n"), "{heard}");
    assert_eq!(run(&world, "t"), run(&world, "u"));
    assert_eq!(world.free("a").split(';').next(), Some("cpus:1.9"));
    world.says("a", "t", 1, Running);
    let update = &world.updates[&(FrameworkId::from("f"), "t".to_string())];
    assert_eq!(update.executor.as_deref(), Some("e"));
    assert_eq!(update.container.as_ref(), Some(&run(&world, "t").container));
    // It lives on when its tasks have ended, and is named in offers.
    world.says("a", "t", 2, Finished);
    world.says("a", "u", 1, Finished);
    assert_eq!(world.free("a").split(';').next(), Some("cpus:3.9"));
    assert!(world.offers.values().all(|offer| offer.executors == ["e"]), "{:?}", world.offers);
    let container = run(&world, "t").container.clone();
    check(
        world.apply(Command::ExecutorEnded { agent: "a".into(), container, wait_status: 256 }),
        "event executor removed
         stream 1 failure a e 256",
    );
    assert_eq!(world.free("a").split(';').next(), Some("cpus:4"));
}

#[test]
fn an_executor_of_another_description_is_refused() {
    let mut world = offered();
    world.accept("f", "L1-O1", vec![launch([with(custom("e"), task("t", "a"))])]);
    world.says("a", "t", 1, Finished);
    let other = ExecutorAsked { info: Raw::new(b"other".to_vec()), ..custom("e") };
    let offer = world.offers.keys().next().unwrap().to_string();
    world.show = "s";
    check(
        world.accept("f", &offer, vec![launch([with(other, task("u", "a"))])]),
        "stream 1 update u TASK_ERROR REASON_TASK_INVALID",
    );
}

#[test]
fn a_group_is_launched_as_a_whole_or_not_at_all() {
    let mut world = offered();
    let group = |tasks: Vec<TaskAsked>| Operation::LaunchGroup {
        executor: Box::new(executor("e", ExecutorKind::Default)),
        tasks,
    };
    check(
        world.accept("f", "L1-O1", vec![group(vec![task("t", "a"), task("u", "b")])]),
        "stream 1 update t TASK_ERROR REASON_TASK_GROUP_INVALID
         stream 1 update u TASK_ERROR REASON_TASK_GROUP_INVALID",
    );
    world.ask("f", FrameworkCall::Revive { roles: BTreeSet::new() });
    check(world.accept("f", "L1-O2", vec![group(vec![task("t", "a"), task("u", "a")])]), "");
    let launch = world.launched("t").clone();
    assert_eq!((launch.tasks.len(), launch.group.tasks.len(), launch.allocation.cpus_milli), (2, 2, 2000));
    assert_eq!(launch.framework.as_ref().unwrap().executor.as_ref().unwrap().kind, ExecutorKind::Default);
    world.show = "t";
    check(world.kill_task("f", "u"), &format!("to a kill {}", launch.instance));
    world.show = "s";
    check(
        world.says("a", "t", 1, Killed),
        "stream 1 update t TASK_KILLED !
         stream 1 offers L1-O3 on a for r: 2.9 3936",
    );
    let heard = world.says("a", "u", 1, Killed);
    assert!(heard.starts_with("stream 1 update u TASK_KILLED !\n"), "{heard}");
    world.show = "t";
    world.ack("f", "t");
    check(
        world.ack("f", "u"),
        &format!("to a acknowledge {} 1\nto a release {}", launch.tasks[1], launch.instance),
    );
}

fn group(tasks: Vec<TaskAsked>) -> Operation {
    Operation::LaunchGroup { executor: Box::new(executor("e", ExecutorKind::Default)), tasks }
}

/// What the agent holds of the group that has these tasks: what it said last of each, the ends unacknowledged.
fn holds(world: &World, tasks: &[(&str, u64, hansa_model::task::TaskState)]) -> Hello {
    let said = |&(task, sequence, state)| world.said(task, sequence, state);
    let statuses: Vec<_> = tasks.iter().map(said).collect();
    let unacknowledged = statuses.iter().filter(|status| status.state.is_terminal()).cloned().collect();
    let launch = world.launched(tasks[0].0).clone();
    let mut hello = agent("a");
    hello.groups = vec![GroupReport { launch, statuses, unacknowledged }];
    hello.executors = vec![report(world, tasks[0].0)];
    hello
}

fn cpus(world: &World) -> String {
    world.free("a").split(';').next().unwrap_or_default().to_owned()
}

#[test]
fn what_was_a_tasks_alone_is_free_when_it_ends() {
    let mut world = offered();
    world.accept("f", "L1-O1", vec![group(vec![task("t", "a"), task("u", "a")])]);
    world.says("a", "t", 1, Running);
    world.says("a", "u", 1, Running);
    assert_eq!(cpus(&world), "cpus:1.9");
    world.show = "e";
    let heard = world.says("a", "t", 2, Finished);
    assert!(heard.contains("event offer"), "it is offered at once, unacknowledged: {heard}");
    assert_eq!(cpus(&world), "cpus:2.9");
    // Said again, and acknowledged, it is free once.
    world.says("a", "t", 2, Finished);
    world.ack("f", "t");
    assert_eq!(cpus(&world), "cpus:2.9");
    // A new leader, and one that knows the group, count it the same way, in whatever order the tasks are told.
    world.restart();
    world.hello(holds(&world, &[("u", 1, Running), ("t", 2, Finished)]));
    assert_eq!(cpus(&world), "cpus:2.9");
    world.hello(holds(&world, &[("t", 2, Finished), ("u", 1, Running)]));
    assert_eq!(cpus(&world), "cpus:2.9");
    world.says("a", "u", 2, Finished);
    assert_eq!(cpus(&world), "cpus:3.9");
}

#[test]
fn an_end_out_of_order_and_one_in_a_hello_free_once() {
    let mut world = offered();
    world.accept("f", "L1-O1", vec![group(vec![task("t", "a"), task("u", "a")])]);
    world.says("a", "t", 5, Finished);
    assert_eq!(cpus(&world), "cpus:2.9");
    world.says("a", "t", 4, Running);
    assert_eq!(cpus(&world), "cpus:2.9");
    world.hello(holds(&world, &[("t", 5, Finished), ("u", 1, Failed)]));
    assert_eq!(cpus(&world), "cpus:3.9");
}

#[test]
fn what_is_given_up_holds_what_still_runs() {
    let mut world = offered();
    world.accept("f", "L1-O1", vec![group(vec![task("t", "a"), task("u", "a")])]);
    world.says("a", "t", 1, Finished);
    world.ask("f", FrameworkCall::Teardown);
    assert_eq!(cpus(&world), "cpus:2.9", "one task and the executor are to end");
    world.hello(holds(&world, &[("t", 1, Finished), ("u", 1, Running)]));
    assert_eq!(cpus(&world), "cpus:2.9", "the agent says the same");
    world.says("a", "u", 2, Killed);
    assert_eq!(cpus(&world), "cpus:3.9");
}

#[test]
fn a_tasks_devices_are_free_with_it_and_volumes_with_the_group() {
    let mut world = World::new();
    let mut hello = agent("a");
    hello.resources = "cpus:4;mem:4096;disk:1000;gpus:4".parse().unwrap();
    world.hello(hello.clone());
    let mut framework = info("f", "r");
    framework.capabilities.extend([Capability::GpuResources, Capability::ReservationRefinement]);
    world.subscribe(framework);
    let kept = |volume: Option<&str>, amount| Part {
        volume: volume.map(|id| PersistentVolume {
            id: id.into(),
            container_path: "data".into(),
            principal: None,
        }),
        ..reserved("r", amount)
    };
    let gpu = |count| Amount { gpus: count, ..Amount::default() };
    let disk = Amount { disk: 100 * MIB, ..Amount::default() };
    let wants = |id: &str, parts: Vec<Part>| TaskAsked { parts, ..task(id, "a") };
    let (volume, rest) = (kept(Some("v"), disk.clone()), kept(None, amount(500, 0)));
    let operations = vec![
        Operation::Reserve { parts: vec![kept(None, gpu(1)), kept(None, disk), rest.clone()] },
        Operation::Create { parts: vec![volume.clone()] },
        group(vec![
            wants("t", vec![open(1000, 128), Part::unreserved(gpu(2)), volume]),
            wants("u", vec![rest, kept(None, gpu(1))]),
        ]),
    ];
    world.accept("f", "L1-O1", operations);
    let launch = world.launched("t").clone();
    // The reserved device is the lowest, and the second task's: they are told in the order of the tasks.
    assert_eq!(launch.allocation.gpus, [(1, 1000), (2, 1000), (0, 1000)]);
    world.show = "s";
    let heard = world.says("a", "t", 1, Finished);
    assert!(heard.contains("gpus 3") && !heard.contains("[v]"), "{heard}");
    let mut again = holds(&world, &[("t", 1, Finished), ("u", 1, Running)]);
    again.resources = hello.resources.clone();
    world.restart();
    world.hello(again);
    let mut framework = info("f", "r");
    framework.capabilities.extend([Capability::GpuResources, Capability::ReservationRefinement]);
    let heard = world.subscribe(framework);
    assert!(heard.contains("gpus 3") && !heard.contains("[v]"), "{heard}");
    let heard = world.says("a", "u", 2, Finished);
    assert!(heard.contains("[v]"), "{heard}");
}

#[test]
fn messages_go_both_ways() {
    let mut world = offered();
    world.accept("f", "L1-O1", vec![launch([with(custom("e"), task("t", "a"))])]);
    let container = run(&world, "t").container.clone();
    world.show = "st";
    let data = Raw::new(b"hi".to_vec());
    let to = |executor: &str| FrameworkCall::Message {
        agent: "a".into(),
        executor: executor.into(),
        data: data.clone(),
    };
    check(world.ask("f", to("e")), &format!("to a tell {container} 2 bytes"));
    check(world.ask("f", to("x")), "");
    let from = Command::FromExecutor { agent: "a".into(), framework: "f".into(), executor: "e".into(), data };
    check(world.apply(from), "stream 1 message from e on a: 2 bytes");
    let shut_down = FrameworkCall::Shutdown { executor: "e".into(), agent: "a".into() };
    check(world.ask("f", shut_down), &format!("to a shut down {container}"));
}

#[test]
fn a_new_leader_takes_runs_over() {
    let mut world = offered();
    world.accept("f", "L1-O1", vec![launch([with(custom("e"), task("t", "a"))])]);
    world.says("a", "t", 1, Running);
    let (group, executor) = (world.held("t", 1, Running), report(&world, "t"));
    world.restart();
    let mut hello = agent("a");
    hello.groups = vec![group];
    hello.executors = vec![executor];
    world.show = "e";
    let heard = world.hello(hello.clone());
    assert!(heard.contains("event executor e of f on a\n"), "{heard}");
    assert_eq!(world.free("a").split(';').next(), Some("cpus:2.9"));
    // What an agent does not name any more has ended.
    hello.executors.clear();
    let heard = world.hello(hello);
    assert!(heard.contains("event executor removed\n"), "{heard}");
    assert_eq!(world.free("a").split(';').next(), Some("cpus:3"));
}

#[test]
fn runs_of_a_framework_that_is_gone_end() {
    let mut world = offered();
    world.accept("f", "L1-O1", vec![launch([with(custom("e"), task("t", "a"))])]);
    world.says("a", "t", 1, Running);
    let (group, executor) = (world.held("t", 1, Running), report(&world, "t"));
    let container = executor.run.container.clone();
    world.show = "t";
    let heard = world.ask("f", FrameworkCall::Teardown);
    assert!(heard.contains(&format!("to a shut down {container}\n")), "{heard}");
    assert_eq!(world.free("a").split(';').next(), Some("cpus:2.9"), "until they have ended");
    world.restart();
    let mut hello = agent("a");
    hello.groups = vec![group];
    hello.executors = vec![executor];
    let heard = world.hello(hello);
    assert!(heard.contains(&format!("to a shut down {container}\n")), "{heard}");
    assert_eq!(world.free("a").split(';').next(), Some("cpus:2.9"));
    world.apply(Command::ExecutorEnded { agent: "a".into(), container, wait_status: 0 });
    assert_eq!(world.free("a").split(';').next(), Some("cpus:3"));
}

#[test]
fn a_run_whose_launch_is_lost_is_forgotten_with_its_task() {
    let mut world = offered();
    world.accept("f", "L1-O1", vec![launch([with(custom("e"), task("t", "a"))])]);
    world.disconnect("a");
    world.show = "t";
    let instance: InstanceId = world.launched("t").instance.clone();
    check(world.hello(agent("a")), &format!("to a launch {instance} under b1"));
    assert_eq!(world.free("a").split(';').next(), Some("cpus:2.9"));
    world.kill_task("f", "t");
    world.says("a", "t", 9_000, Gone);
    assert_eq!(world.free("a").split(';').next(), Some("cpus:4"));
}

#[test]
fn a_run_that_ended_unseen_is_over_although_a_launch_for_it_is_on_its_way() {
    let mut world = offered();
    let tasks = [with(custom("e"), task("t", "a")), with(custom("e"), task("u", "a"))];
    world.accept("f", "L1-O1", vec![launch(tasks)]);
    world.says("a", "t", 1, Running);
    world.disconnect("a");
    // The second task never arrived, and the executor has ended with the first.
    let mut hello = agent("a");
    hello.groups = vec![world.held("t", 2, Failed)];
    world.show = "es";
    let heard = world.hello(hello);
    assert!(heard.contains("event executor removed\n"), "{heard}");
    assert_eq!(world.free("a").split(';').next(), Some("cpus:3"));
    world.says("a", "u", 1, Dropped);
    assert_eq!(world.free("a").split(';').next(), Some("cpus:4"));
}
