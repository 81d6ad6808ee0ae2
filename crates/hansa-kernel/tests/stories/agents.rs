//! Streams and operators' orders.

use crate::world::*;
use hansa_kernel::{AgentOrder, Command};
use hansa_model::task::TaskState::*;

fn running() -> World {
    let mut world = World::new();
    world.hello(agent("a"));
    let spec = world.spec(cpus(1000));
    world.place("web", spec, "a");
    world.pass(200);
    world.update("a", "web", 1, Running);
    world
}

#[test]
fn a_broken_stream_is_not_a_loss() {
    let mut world = running();
    check(world.disconnect("a"), "event agent a Disconnected 1000");
    check(world.disconnect("a"), "");
    check(world.pass(4999), "");
    check(
        world.pass(1),
        "record put agent a unreachable since 1005200
         event agent a Unreachable 1000
         event web.t TASK_UNREACHABLE
         notice services web unreachable 1005200",
    );
    assert_eq!(world.kernel.next_deadline(), None);
    let mut hello = agent("a");
    hello.groups = vec![world.report("web", 1, Running, false)];
    check(
        world.hello(hello),
        "record put agent a Active
         event web.t TASK_RUNNING
         event agent a Active 1000
         notice services web reachable
         notice services web.t TASK_RUNNING",
    );
}

#[test]
fn an_operator_takes_a_machine_out_and_in() {
    let mut world = running();
    check(
        world.order("a", AgentOrder::Deactivate),
        "record put agent a Deactivated
         event agent a Deactivated 1000",
    );
    world.disconnect("a");
    check(world.order("a", AgentOrder::Reactivate), "record put agent a Active");
    check(world.order("z", AgentOrder::Drain), "< Err(UnknownAgent(z))");
    check(world.apply(Command::AgentDisconnected { agent: "z".into() }), "< Err(UnknownAgent(z))");
}

#[test]
fn a_machine_that_is_gone_loses_everything() {
    let mut world = running();
    let report = world.report("web", 1, Running, false);
    world.disconnect("a");
    world.pass(5000);
    check(
        world.order("a", AgentOrder::Gone),
        "record put given up 1 web
         record delete assignment 1
         record put gone a
         record delete agent a
         event web.t TASK_GONE_BY_OPERATOR
         event web.t removed
         event agent a removed
         notice services web.t TASK_GONE_BY_OPERATOR",
    );
    check(world.pass(1000), "event role * 0");
    check(world.order("a", AgentOrder::Gone), "< Err(UnknownAgent(a))");
    // It was not: what it still runs is killed, and it is a new machine.
    let mut hello = agent("a");
    hello.groups = vec![report];
    check(
        world.hello(hello),
        "record put agent a Active
         event agent a Active 0
         event agent a Active 1000
         to a kill web",
    );
    check(
        world.update("a", "web", 2, Killed),
        "record delete given up 1
         event given up web ended: TASK_KILLED
         to a acknowledge web.t 2
         to a release web",
    );
}

#[test]
fn a_connected_machine_that_is_gone_is_shown_the_door() {
    let mut world = running();
    world.show = "t";
    check(world.order("a", AgentOrder::Gone), "to a refused: an operator declared this agent gone");
}
