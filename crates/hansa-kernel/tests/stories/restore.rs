//! Another leader takes over.

use crate::world::*;
use hansa_kernel::{AgentOrder, AgentRecord, AssignmentRecord, Command, Record};
use hansa_model::event::AgentState;
use hansa_model::maintenance::{Machine, Maintenance, Window};
use hansa_model::role::Bound;
use hansa_model::spec::GroupSpec;
use hansa_model::task::TaskState::*;
use hansa_model::{Allocation, SpecId, Timestamp};

fn busy() -> World {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.hello(agent(name));
    }
    let spec = world.spec(cpus(1000));
    for (instance, on) in [("1", "a"), ("2", "a"), ("3", "b"), ("4", "c"), ("5", "c")] {
        world.place(instance, spec, on);
        world.update(on, instance, 1, Running);
    }
    world.kill("2");
    world.order("b", AgentOrder::Drain);
    world.role("dev", 2000, Bound::default(), Bound::default());
    world.disconnect("c");
    for _ in 0..5 {
        world.pass(1000);
        world.contact("a");
        world.contact("b");
    }
    world.give_up("5");
    world
}

#[test]
fn a_new_leader_has_the_same_intent() {
    let mut world = busy();
    check(
        world.restart(),
        "event agent a Disconnected 2000
         event agent b Disconnected 1000
         event agent c Unreachable 1000
         event role * 4000
         event role dev 0
         event 1.t TASK_STAGING Restored
         event 2.t TASK_STAGING Restored
         event 3.t TASK_STAGING Restored
         event 4.t TASK_UNREACHABLE Restored
         notice services placed 1 on a
         notice services placed 2 on a killing
         notice services placed 3 on b
         notice services placed 4 on c unreachable
         notice services 3 drain",
    );
    // Five seconds from taking office.
    check(world.pass(4999), "");
    let mut hello = agent("a");
    hello.groups = vec![world.report("1", 1, Running, false), world.report("2", 2, Killing, false)];
    check(
        world.hello(hello),
        "event 1.t TASK_RUNNING
         event 2.t TASK_KILLING
         event agent a Active 2000
         notice services 1.t TASK_RUNNING
         notice services 2.t TASK_KILLING
         to a kill 2",
    );
    check(
        world.pass(1),
        "record put agent b unreachable since 1010000
         event agent b Unreachable 1000
         event 3.t TASK_UNREACHABLE
         notice services 3 unreachable 1010000",
    );
    let mut hello = agent("c");
    hello.groups = vec![world.report("4", 1, Running, false), world.report("5", 1, Running, false)];
    check(
        world.hello(hello),
        "record put agent c Active
         event 4.t TASK_RUNNING
         event agent c Active 2000
         notice services 4 reachable
         notice services 4.t TASK_RUNNING
         to c kill 5",
    );
}

#[test]
fn numbers_go_on() {
    let mut world = busy();
    world.restart();
    world.hello(agent("d"));
    assert_eq!(world.spec(cpus(7)), SpecId(2));
    world.show = "r";
    check(world.place("9", SpecId(1), "d"), "record put assignment 6 9");
}

#[test]
fn an_older_copy_of_the_store_kills_nothing() {
    let mut world = World::new();
    world.hello(agent("a"));
    let spec = world.spec(cpus(1000));
    world.place("1", spec, "a");
    world.update("a", "1", 1, Running);
    let old = world.store.clone();
    world.place("2", spec, "a");
    world.update("a", "2", 1, Running);
    world.update("a", "1", 2, Finished);
    let mut hello = agent("a");
    hello.groups = vec![world.report("2", 1, Running, false)];
    world.store = old;
    world.restart();
    check(
        world.hello(hello),
        "record put assignment 2 2
         event 2.t TASK_RUNNING Placed
         event agent a Active 2000
         event alarm groups-adopted
         notice services placed 2 on a adopted
         to a launch 1 under b1",
    );
    // The agent remembers that it had it.
    check(
        world.apply(Command::AgentReleased { agent: "a".into(), instance: "1".into() }),
        "record delete assignment 1
         event 1.t TASK_GONE
         event 1.t removed
         notice services 1.t TASK_GONE",
    );
}

/// Machine a has room for one such task at a time: what the store says is assigned to it, and what runs there by now.
fn assigned_and_adopted(running: GroupSpec) -> (World, String) {
    let mut world = World::new();
    world.hello(agent("a"));
    let spec = world.spec(cpus(3000));
    world.place("1", spec, "a");
    let old = world.store.clone();
    world.update("a", "1", 1, Finished);
    let running = world.spec(running);
    world.place("2", running, "a");
    let mut hello = agent("a");
    hello.groups = vec![world.report("2", 1, Running, false)];
    world.store = old;
    world.restart();
    let text = world.hello(hello);
    (world, text)
}

#[test]
fn what_is_adopted_keeps_the_place_of_what_was_never_taken() {
    let (mut world, text) = assigned_and_adopted(cpus(3000));
    check(
        text,
        "record put assignment 2 2
         record delete assignment 1
         event 2.t TASK_RUNNING Placed
         event 1.t TASK_DROPPED
         event 1.t removed
         event agent a Active 3000
         event alarm groups-adopted
         notice services placed 2 on a adopted
         notice services 1.t TASK_DROPPED",
    );
    // It is known as adopted under later leaders too.
    world.show = "n";
    check(world.restart(), "notice services placed 2 on a adopted");
}

#[test]
fn what_was_never_taken_is_launched_where_there_is_room_beside_what_is_adopted() {
    let (mut world, text) = assigned_and_adopted(cpus(1000));
    assert!(text.ends_with("to a launch 1 under b1\n"), "{text}");
    assert_eq!(world.tasks["1.t"], "TASK_STAGING");
    world.update("a", "1", 1, Running);
}

#[test]
fn a_store_that_makes_no_sense_is_said_so() {
    let mut world = World::new();
    let record = AssignmentRecord {
        instance: "1".into(),
        owner: "services".into(),
        role: "*".into(),
        spec: SpecId(1),
        tasks: vec!["1.t".into()],
        agent: "a".into(),
        boot: "b1".into(),
        allocation: Allocation::default(),
        placed_at: Timestamp(1),
        adopted: false,
        killing: None,
    };
    let stored = AgentRecord {
        hello: agent("a"),
        registered_at: Timestamp(1),
        unreachable_since: None,
        wanted: AgentState::Active,
        drain_grace_ms: None,
    };
    let outcome = world.kernel.restore(
        world.now,
        vec![
            Record::PutAssignment(1, Box::new(record)),
            Record::PutAgent(Box::new(stored)),
            Record::PutSpec(SpecId(9), cpus(1).into()),
        ],
    );
    world.kernel.check();
    check(
        text(&outcome, "ren"),
        "record delete spec 9
         event alarm store-inconsistent
         event agent a Disconnected 0",
    );
}

#[test]
fn what_was_said_of_machines_in_general_is_kept() {
    let mut world = World::new();
    let machine = Machine { hostname: Some("a".into()), ip: None };
    let window = Window { machines: vec![machine.clone()], start_ns: 5, duration_ns: Some(6) };
    let said = Maintenance {
        windows: vec![window],
        begun: [machine.clone()].into(),
        down: [machine].into(),
        ..Maintenance::default()
    };
    let set = |said: &Maintenance| Command::SetMaintenance {
        principal: "p".into(),
        maintenance: said.clone().into(),
    };
    let told = world.apply(set(&said));
    assert!(told.starts_with("record put maintenance\nevent Maintenance("), "{told}");
    check(world.apply(set(&said)), "");
    let again = world.restart();
    assert!(again.contains("event Maintenance(Maintenance { windows: [Window {"), "{again}");
    check(world.apply(set(&said)), "");
    assert!(world.apply(set(&Maintenance::default())).contains("event Maintenance"));
    check(world.restart(), "");
}
