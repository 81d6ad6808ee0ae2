//! Machines get out of reach: alone, late, together.

use crate::world::*;
use hansa_kernel::Command;
use hansa_model::task::TaskState::*;

#[test]
fn a_stream_that_falls_silent_is_ended() {
    let mut world = World::new();
    world.hello(agent("a"));
    world.pass(4000);
    world.contact("a");
    check(world.pass(4999), "");
    check(
        world.pass(1),
        "record put agent a unreachable since 1009000
         event agent a Unreachable 0
         to a refused: nothing was heard of the agent for too long",
    );
    check(world.contact("a"), "to a refused: it has to say hello again");
}

#[test]
fn an_announced_return_is_waited_for() {
    let mut world = World::new();
    world.hello(agent("a"));
    world.apply(Command::AgentLeaving { agent: "a".into(), returns_in_ms: 20_000 });
    check(world.contact("a"), "");
    check(world.pass(19_999), "");
    assert!(!world.pass(1).is_empty());
    world.hello(agent("a"));
    world.apply(Command::AgentLeaving { agent: "a".into(), returns_in_ms: u64::MAX });
    check(world.pass(59_999), "");
    assert!(!world.pass(1).is_empty(), "a minute at most");
    world.hello(agent("a"));
    world.apply(Command::AgentLeaving { agent: "a".into(), returns_in_ms: 0 });
    check(world.pass(4_999), "");
    assert!(!world.pass(1).is_empty());
}

#[test]
fn not_before_its_shims_have_stopped_everything() {
    let mut world = World::new();
    let mut hello = agent("a");
    hello.stop_deadline_ms = Some(8_000);
    world.hello(hello);
    world.disconnect("a");
    check(world.pass(8_499), "");
    assert!(!world.pass(1).is_empty());
}

#[test]
fn silence_while_the_master_slept_does_not_count() {
    let mut world = World::new();
    world.hello(agent("a"));
    world.now = world.now + 60_000;
    check(world.apply(Command::Tick), "");
    check(world.pass(4_999), "");
    assert!(!world.pass(1).is_empty());
}

/// Ten machines with a task each.
fn ten() -> World {
    let mut world = World::new();
    for name in 0..10 {
        world.hello(agent(&format!("a{name}")));
    }
    let spec = world.spec(cpus(1000));
    for name in 0..10 {
        world.place(&format!("t{name}"), spec, &format!("a{name}"));
        world.update(&format!("a{name}"), &format!("t{name}"), 1, Running);
    }
    world.pass(200);
    world
}

fn stays(world: &mut World, lost: usize, ms: u64) -> String {
    let mut text = String::new();
    for _ in 0..ms / 1000 {
        text += &world.pass(1000);
        for name in lost..10 {
            world.contact(&format!("a{name}"));
        }
    }
    text
}

#[test]
fn machines_that_are_lost_together_are_replaced_slowly() {
    let mut world = ten();
    for name in 0..4 {
        world.disconnect(&format!("a{name}"));
    }
    world.show = "ren";
    let text = stays(&mut world, 4, 6000);
    assert_eq!(text.matches("alarm agents-lost-together").count(), 1, "{text}");
    assert_eq!(text.matches("TASK_UNREACHABLE").count(), 4, "it is shown at once: {text}");
    assert_eq!(text.matches("notice").count(), 0, "but replaced later: {text}");
    world.show = "n";
    check(stays(&mut world, 4, 8000), "");
    check(stays(&mut world, 4, 2000), "notice services t0 unreachable 1005000");
    // One is back in time: its owner never hears that it was away.
    let mut back = agent("a2");
    back.groups = vec![world.report("t2", 1, Running, false)];
    check(world.hello(back), "notice services t2.t TASK_RUNNING");
    world.contact("a2");
    check(stays(&mut world, 2, 9000), "notice services t1 unreachable 1005000");
    world.contact("a2");
    let text = stays(&mut world, 2, 10_000);
    assert!(text.contains("t3 unreachable 1005000"), "{text}");
}

#[test]
fn two_of_three_are_not_many() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.hello(agent(name));
    }
    world.disconnect("a");
    world.disconnect("b");
    world.show = "e";
    let mut text = String::new();
    for _ in 0..6 {
        text += &world.pass(1000);
        world.contact("c");
    }
    check(text, "event agent a Unreachable 0\nevent agent b Unreachable 0");
}

#[test]
fn losses_far_apart_are_not_together() {
    let mut world = ten();
    world.show = "n";
    for name in 0..5 {
        world.disconnect(&format!("a{name}"));
        let text = stays(&mut world, name + 1, 61_000);
        assert_eq!(text.lines().count(), 1, "told at once: {text}");
    }
}

#[test]
fn a_new_leader_is_as_careful() {
    let mut world = ten();
    world.restart();
    for name in 4..10 {
        world.hello(agent(&format!("a{name}")));
    }
    world.show = "en";
    let text = stays(&mut world, 4, 6000);
    assert_eq!(text.matches("alarm agents-lost-together").count(), 1, "{text}");
    assert_eq!(text.matches("notice").count(), 0, "{text}");
}

#[test]
fn who_comes_back_is_as_it_was_last_whatever_was_not_acknowledged_before() {
    let mut world = World::new();
    world.hello(agent("a"));
    let spec = world.spec(cpus(1000));
    world.place("web", spec, "a");
    world.update("a", "web", 1, Starting);
    world.update("a", "web", 2, Running);
    world.disconnect("a");
    world.pass(5_000);
    // The acknowledgements did not arrive: both updates come again, the older one first.
    let mut report = world.report("web", 2, Running, true);
    report.unacknowledged.insert(0, status("web", 1, Starting));
    let mut hello = agent("a");
    hello.groups = vec![report];
    let heard = world.hello(hello);
    assert!(!heard.contains("TASK_STARTING"), "{heard}");
    assert!(heard.contains("event web.t TASK_RUNNING"), "{heard}");
}
