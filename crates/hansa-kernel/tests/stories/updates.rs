//! What agents say about tasks.

use crate::world::*;
use hansa_kernel::Command;
use hansa_model::spec::{GroupSpec, TaskSpec};
use hansa_model::task::TaskState::*;
use hansa_model::task::{HealthResult, TaskState};
use hansa_model::{TaskId, Timestamp};

fn running() -> World {
    let mut world = World::new();
    world.hello(agent("a"));
    let spec = world.spec(cpus(1000));
    world.place("web", spec, "a");
    world.update("a", "web", 1, Running);
    world
}

#[test]
fn a_task_from_claim_to_release() {
    let mut world = World::new();
    check(
        world.hello(agent("a")),
        "record put agent a Active
         event agent a Active 0",
    );
    let spec = world.spec(cpus(1000));
    check(
        world.place("web", spec, "a"),
        "< ok
         record put spec 1
         record put assignment 1 web
         event web.t TASK_STAGING Placed
         to a launch web under b1",
    );
    check(
        world.pass(200),
        "event agent a Active 1000
         event role * 1000",
    );
    check(
        world.update("a", "web", 1, Running),
        "event web.t TASK_RUNNING
         notice services web.t TASK_RUNNING
         to a acknowledge web.t 1",
    );
    check(
        world.update("a", "web", 2, Finished),
        "record delete assignment 1
         event web.t TASK_FINISHED
         event web.t removed
         notice services web.t TASK_FINISHED
         to a acknowledge web.t 2
         to a release web",
    );
    assert_eq!(world.free("a"), "cpus:4;mem:4096;disk:1000;ports:[31000-31009]");
    check(
        world.pass(200),
        "event agent a Active 0
         event role * 0",
    );
    assert!(world.kernel.next_deadline().is_some_and(|at| at > world.now), "no busy ticks");
}

#[test]
fn an_update_twice_is_acknowledged_twice() {
    let mut world = running();
    check(world.update("a", "web", 1, Running), "to a acknowledge web.t 1");
    world.update("a", "web", 2, Failed);
    check(world.update("a", "web", 2, Failed), "to a acknowledge web.t 2\nto a release web");
}

#[test]
fn states_do_not_go_back() {
    let mut world = running();
    world.update("a", "web", 5, Killing);
    check(world.update("a", "web", 3, Running), "to a acknowledge web.t 3");
    check(world.update("a", "web", 6, Running), "to a acknowledge web.t 6");
    assert_eq!(world.tasks["web.t"], "TASK_KILLING");
}

#[test]
fn an_end_counts_whatever_its_number() {
    let mut world = running();
    world.update("a", "web", 7, Killing);
    check(
        world.update("a", "web", 1, Gone),
        "record delete assignment 1
         event web.t TASK_GONE
         event web.t removed
         notice services web.t TASK_GONE
         to a acknowledge web.t 7
         to a release web",
    );
}

#[test]
fn only_the_master_says_unreachable() {
    let mut world = running();
    check(world.update("a", "web", 2, Unreachable), "to a acknowledge web.t 2");
    assert_eq!(world.tasks["web.t"], "TASK_RUNNING");
}

#[test]
fn health_is_told_as_such() {
    let mut world = running();
    let mut news = status("web", 2, Running);
    news.healthy = Some(true);
    news.health = vec![HealthResult { alive: Some(true), ..HealthResult::default() }];
    let update = Command::Update { agent: "a".into(), status: news };
    check(
        world.apply(update.clone()),
        "event web.t TASK_RUNNING Health
         notice services web.t TASK_RUNNING
         to a acknowledge web.t 2",
    );
    check(world.apply(update), "to a acknowledge web.t 2");
}

#[test]
fn strangers() {
    let mut world = running();
    world.hello(agent("b"));
    check(world.update("a", "other", 3, Failed), "to a acknowledge other.t 3\nto a release other");
    check(world.update("a", "other", 3, Running), "to a acknowledge other.t 3");
    // Another machine speaks of our task: that is not ours, and ours lives on.
    check(world.update("b", "web", 9, Failed), "to b acknowledge web.t 9\nto b release web");
    assert_eq!(world.tasks["web.t"], "TASK_RUNNING");
    check(world.update("nobody", "web", 9, Failed), "< Err(UnknownAgent(nobody))");
}

#[test]
fn after_its_stream_ended_nothing_counts() {
    let mut world = running();
    world.disconnect("a");
    check(world.update("a", "web", 2, Failed), "to a refused: it has to say hello again");
    assert_eq!(world.tasks["web.t"], "TASK_RUNNING");
}

#[test]
fn a_group_ends_with_its_last_task() {
    let mut world = World::new();
    world.hello(agent("a"));
    let one = cpus(500).tasks[0].clone();
    let spec =
        world.spec(GroupSpec { tasks: vec![TaskSpec { name: "x".into(), ..one.clone() }, one], ..cpus(0) });
    let mut placement = world.placement("pod", spec, "a");
    placement.allocation.cpus_milli = 1000;
    placement.allocation.mem = 200 * hansa_model::resources::MIB;
    check(
        world.claim("*", false, vec![placement.clone()]),
        "< the allocation does not answer the spec's demand",
    );
    placement.tasks = vec!["x".into(), "y".into()];
    world.claim("*", false, vec![placement]);
    let mut say = |task: &str, sequence: u64, state: TaskState| {
        let mut status = status("pod", sequence, state);
        status.task = TaskId::from(task);
        world.apply(Command::Update { agent: "a".into(), status })
    };
    say("x", 1, Running);
    say("y", 1, Running);
    check(
        say("x", 2, Finished),
        "event x TASK_FINISHED
         notice services x TASK_FINISHED",
    );
    check(say("x", 2, Finished), "");
    check(
        say("y", 2, Failed),
        "record delete assignment 1
         event y TASK_FAILED
         event x removed
         event y removed
         notice services y TASK_FAILED
         to a acknowledge x 2
         to a acknowledge y 2
         to a release pod",
    );
}

#[test]
fn time_does_not_go_back() {
    let mut world = running();
    let before = world.kernel.next_deadline();
    world.now = Timestamp(5);
    check(world.contact("a"), "");
    assert_eq!(world.kernel.next_deadline(), before);
}
