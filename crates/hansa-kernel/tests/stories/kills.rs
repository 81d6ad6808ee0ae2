//! Kills and giving up.

use crate::world::*;
use hansa_kernel::{AgentOrder, Command};
use hansa_model::scheduler::Call;
use hansa_model::task::TaskState::*;

fn running() -> World {
    let mut world = World::new();
    world.hello(agent("a"));
    let spec = world.spec(cpus(1000));
    world.place("web", spec, "a");
    world.update("a", "web", 1, Running);
    world.pass(200);
    world
}

#[test]
fn a_kill_is_stored_and_repeated_until_it_is_over() {
    let mut world = running();
    check(
        world.kill("web"),
        "record put assignment 1 web killing None enough
         to a kill web",
    );
    check(world.kill("web"), "");
    for _ in 0..9 {
        check(world.pass(1000), "");
        world.contact("a");
    }
    check(world.pass(1000), "to a kill web");
    world.update("a", "web", 2, Killing);
    world.contact("a");
    world.update("a", "web", 3, Killed);
    check(world.pass(200), "event agent a Active 0\nevent role * 0");
    for _ in 0..30 {
        world.contact("a");
        check(world.pass(1000), "");
    }
    check(world.kill("web"), "< Ok(UnknownInstance)");
}

#[test]
fn less_grace_is_news() {
    let mut world = running();
    world.kill("web");
    let within =
        |grace_ms| Call::Kill { instance: "web".into(), grace_ms: Some(grace_ms), message: "now".into() };
    check(
        world.call(within(500)),
        "record put assignment 1 web killing Some(500) enough
         to a kill web within 500",
    );
    check(world.call(within(900)), "");
}

#[test]
fn a_kill_waits_for_its_agent() {
    let mut world = running();
    world.disconnect("a");
    check(world.kill("web"), "record put assignment 1 web killing None enough");
    let mut hello = agent("a");
    hello.groups = vec![world.report("web", 1, Running, false)];
    check(
        world.hello(hello),
        "event agent a Active 1000
         to a kill web",
    );
}

#[test]
fn what_is_given_up_is_killed_when_it_returns() {
    let mut world = running();
    world.disconnect("a");
    world.pass(5000);
    check(
        world.give_up("web"),
        "record put given up 1 web
         record delete assignment 1
         event web.t removed",
    );
    check(world.give_up("web"), "< Ok(UnknownInstance)");
    let mut hello = agent("a");
    hello.groups = vec![world.report("web", 1, Running, true)];
    check(
        world.hello(hello.clone()),
        "record put agent a Active
         event agent a Active 1000
         to a acknowledge web.t 1
         to a kill web",
    );
    assert_eq!(world.free("a").split(';').next(), Some("cpus:3"), "it still holds its place");
    check(world.update("a", "web", 2, Killing), "to a acknowledge web.t 2\nto a kill web");
    check(
        world.update("a", "web", 3, Killed),
        "record delete given up 1
         event given up web ended: TASK_KILLED
         to a acknowledge web.t 3
         to a release web",
    );
    assert_eq!(world.free("a").split(';').next(), Some("cpus:4"));
}

#[test]
fn what_is_given_up_and_gone_is_forgotten() {
    let mut world = running();
    world.disconnect("a");
    world.pass(5000);
    world.give_up("web");
    let mut hello = agent("a");
    hello.groups = vec![world.report("web", 2, Failed, true)];
    check(
        world.hello(hello),
        "record put agent a Active
         record delete given up 1
         event given up web ended: TASK_FAILED
         event agent a Active 0
         to a acknowledge web.t 2
         to a release web",
    );

    let mut world = running();
    world.disconnect("a");
    world.pass(5000);
    world.give_up("web");
    check(
        world.hello(agent("a")),
        "record put agent a Active
         record delete given up 1
         event agent a Active 0",
    );
}

#[test]
fn a_release_ends_a_given_up_group() {
    let mut world = running();
    world.disconnect("a");
    world.pass(5000);
    world.give_up("web");
    let mut hello = agent("a");
    hello.groups = vec![world.report("web", 1, Running, false)];
    world.hello(hello);
    let released = Command::AgentReleased { agent: "a".into(), instance: "web".into() };
    check(world.apply(released.clone()), "record delete given up 1");
    check(world.apply(released), "");
    assert_eq!(world.free("a").split(';').next(), Some("cpus:4"));
}

#[test]
fn giving_up_what_is_in_reach_kills_it() {
    let mut world = running();
    check(
        world.give_up("web"),
        "record put assignment 1 web killing None given up by its scheduler
         to a kill web",
    );
}

#[test]
fn the_kill_of_a_given_up_group_is_repeated() {
    let mut world = running();
    world.disconnect("a");
    world.pass(5000);
    world.give_up("web");
    let mut hello = agent("a");
    hello.groups = vec![world.report("web", 1, Running, false)];
    world.hello(hello);
    for _ in 0..10 {
        world.contact("a");
        world.show = "t";
        if !world.pass(1000).is_empty() {
            return;
        }
    }
    panic!("it was not repeated");
}

/// Two weeks, in milliseconds.
const TWO_WEEKS: u64 = 14 * 86_400_000;

#[test]
fn what_was_given_up_on_a_machine_that_never_returns_is_forgotten() {
    let mut world = running();
    world.disconnect("a");
    world.pass(5000);
    world.give_up("web");
    world.show = "r";
    check(world.pass(TWO_WEEKS - 1), "");
    world.restart();
    check(world.pass(1), "record delete given up 1");
    check(world.pass(TWO_WEEKS), "");
}

#[test]
fn a_machine_that_is_gone_for_good_leaves_nothing() {
    let mut world = running();
    world.show = "r";
    assert!(world.order("a", AgentOrder::Gone).contains("record put given up 1 web"));
    check(world.pass(TWO_WEEKS), "record delete given up 1");
}

#[test]
fn what_is_being_killed_is_not_forgotten() {
    let mut world = running();
    world.disconnect("a");
    world.pass(5000);
    world.give_up("web");
    world.pass(TWO_WEEKS - 5_000);
    let mut hello = agent("a");
    hello.groups = vec![world.report("web", 1, Running, false)];
    world.hello(hello);
    world.show = "r";
    for _ in 0..15 {
        world.contact("a");
        check(world.pass(1_000), "");
    }
    assert!(world.free("a").starts_with("cpus:3"), "it holds its place");
}
