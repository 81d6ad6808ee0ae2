//! Executors: runs with resources of their own.

use super::*;
use hansa_model::InstanceId;
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
    check(world.says("a", "t", 1, Killed), "stream 1 update t TASK_KILLED !");
    let heard = world.says("a", "u", 1, Killed);
    assert!(heard.starts_with("stream 1 update u TASK_KILLED !\n"), "{heard}");
    world.show = "t";
    world.ack("f", "t");
    check(
        world.ack("f", "u"),
        &format!("to a acknowledge {} 1\nto a release {}", launch.tasks[1], launch.instance),
    );
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
