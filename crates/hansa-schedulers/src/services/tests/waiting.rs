//! Waiting for places: reasons, demand, refusals, constraints.

use super::world::{World, agent};
use super::*;
use hansa_model::app::{Constraint, Operator};
use hansa_model::explain::Obstacle;
use hansa_model::scheduler::Rejection;

fn big(id: &str, instances: u32) -> AppSpec {
    let mut spec = app(id, instances);
    spec.cpus_milli = 3000;
    spec
}

#[test]
fn what_does_not_fit_waits_with_a_reason_and_counts_as_demand() {
    told_with_restarts(|world| {
        let id = world.deploy(change(vec![put(big("/big", 6))]));
        world.settle();
        assert_eq!(world.running("/big"), 4);
        let queue = world.services.queue(world.now, &world.cluster);
        assert_eq!((queue.len(), queue[0].count, queue[0].delayed_until), (1, 2, None));
        assert_eq!((queue[0].explanation.machines, queue[0].explanation.fitting), (4, 0));
        assert_eq!(world.demand.values().sum::<u32>(), 2);
        world.run_for(1000);
        let words = world.words(&id);
        assert!(words.contains("2 of 6 instances do not run yet"), "{words}");
        assert!(words.contains("2 instances wait for a place: "), "{words}");

        let calls = world.calls;
        world.run_for(100_000);
        assert_eq!(world.calls, calls, "nobody asks in vain");
        assert!(world.services.explain(&AppId::from("/big"), &world.cluster).is_some());

        world.deploy(forced(vec![to("/big", Target::Scale(4))]));
        world.settle();
        assert!(world.demand.is_empty() && world.services.queue(world.now, &world.cluster).is_empty());
    });
}

#[test]
fn room_that_comes_free_goes_to_who_waits() {
    let mut world = World::with_nodes(2);
    world.deploy(change(vec![put(big("/a", 2))]));
    world.settle();
    world.deploy(change(vec![put(big("/b", 1))]));
    world.settle();
    assert_eq!(world.running("/b"), 0);
    world.deploy(change(vec![to("/a", Target::Scale(1))]));
    world.settle();
    assert_eq!((world.running("/a"), world.running("/b")), (1, 1));
    assert!(world.demand.is_empty());
}

#[test]
fn the_demand_of_equal_shapes_adds_up() {
    let mut world = World::with_nodes(1);
    world.deploy(change(vec![put(big("/a", 3)), put(big("/b", 3))]));
    world.settle();
    assert_eq!(world.demand.len(), 1);
    assert_eq!(world.demand.values().sum::<u32>(), 5);
    world.deploy(forced(vec![to("/a", Target::Removed)]));
    world.settle();
    assert_eq!(world.running("/b"), 1);
    assert_eq!(world.demand.values().sum::<u32>(), 2);
}

#[test]
fn many_of_one_shape_wait_and_leave_together() {
    let mut world = World::with_nodes(1);
    let ids: Vec<String> = (0..30).map(|n| format!("/many/a{n:02}")).collect();
    world.deploy(change(ids.iter().map(|id| put(big(id, 1))).collect()));
    world.settle();
    let queue = world.services.queue(world.now, &world.cluster);
    assert_eq!(queue.len(), 29);
    assert!(queue.iter().all(|item| item.explanation == queue[0].explanation && item.count == 1));
    // One that fits in the meantime takes nothing that the others could use.
    world.deploy(change(vec![put(app("/small", 1))]));
    world.settle();
    assert_eq!(world.running("/small"), 1);
    for node in 1..30 {
        world.add_node(node);
    }
    world.settle();
    assert!(ids.iter().all(|id| world.running(id) == 1));
}

#[test]
fn a_refused_claim_is_tried_again_later_and_explained() {
    let mut world = World::with_nodes(2);
    let limit = Rejection::OverLimit { role: RoleName::any(), kind: hansa_model::resources::Kind::Cpus };
    world.refuse = Some(limit.clone());
    let id = world.deploy(change(vec![put(app("/web", 3))]));
    assert!(world.groups.is_empty());
    let calls = world.calls;
    world.drive();
    assert_eq!(world.calls, calls, "not at once");
    let explanation = world.services.explain(&AppId::from("/web"), &world.cluster).unwrap();
    assert_eq!(explanation.fitting, 0);
    let quota =
        |obstacle: &Obstacle| matches!(obstacle, Obstacle::Quota { words } if *words == limit.to_string());
    let stopped = explanation.groups.iter().find(|group| group.obstacles.iter().any(quota));
    let examples = stopped.map(|group| group.examples.clone()).unwrap_or_default();
    let names: Vec<String> = world.cluster.nodes().map(|node| node.hostname.to_string()).collect();
    assert!(examples.len() == 1 && names.contains(&examples[0]), "{examples:?} of {names:?}");
    world.run_for(300);
    assert!(
        world.words(&id).contains("the quota limit of role * on cpus is reached"),
        "{}",
        world.words(&id)
    );
    world.run_for(5_000);
    assert!(world.calls - calls < 30, "{}", world.calls - calls);
    world.refuse = None;
    world.run_for(1_100);
    world.settle();
    assert!(world.has_succeeded(&id));
}

#[test]
fn a_spec_the_kernel_does_not_know_is_registered_again() {
    let mut world = World::with_nodes(2);
    world.deploy(change(vec![put(app("/web", 1))]));
    world.settle();
    world.groups.clear();
    world.specs.clear();
    world.refuse = None;
    world.restart();
    world.settle();
    assert_eq!(world.running("/web"), 1);
}

#[test]
fn apps_take_turns() {
    let mut world = World::with_nodes(1);
    world.deploy(change(vec![put(app("/a", 30)), put(app("/b", 30))]));
    world.settle();
    let (a, b) = (world.running("/a"), world.running("/b"));
    assert!(a + b >= 38 && a.abs_diff(b) <= 1, "{a} {b}");
}

fn constrained(mut spec: AppSpec, field: &str, operator: Operator) -> AppSpec {
    spec.constraints = vec![Constraint { field: field.into(), operator, value: None }];
    spec
}

#[test]
fn unique_instances_wait_for_another_machine() {
    told_with_restarts(|world| {
        let id = world.deploy(change(vec![put(constrained(app("/web", 5), "hostname", Operator::Unique))]));
        world.settle();
        assert_eq!(world.running("/web"), 4);
        for node in 0..4 {
            assert_eq!(world.on(&agent(node)).len(), 1);
        }
        world.run_for(1_000);
        assert!(world.words(&id).contains("1 instance waits for a place: "), "{}", world.words(&id));
        let queue = world.services.queue(world.now, &world.cluster);
        assert!(queue[0].explanation.summary.contains("hostname"), "{:?}", queue[0].explanation.summary);
        // One ends: another takes its machine, in the knowledge of who is where.
        let victim = world.of("/web")[0].0.clone();
        world.say(&victim, hansa_model::task::TaskState::Killed, |_| {});
        world.settle();
        assert_eq!(world.running("/web"), 4);
    });
}

#[test]
fn a_machine_that_was_forgotten_and_comes_back_counts_anew() {
    let mut world = World::with_nodes(1);
    world.deploy(change(vec![put(constrained(app("/web", 1), "hostname", Operator::Unique))]));
    world.settle();
    let (id, _) = world.of("/web")[0].clone();
    world.cluster.remove(&agent(0));
    world.say(&id, hansa_model::task::TaskState::GoneByOperator, |_| {});
    world.settle();
    assert_eq!(world.of("/web").len(), 0);
    world.add_node(0);
    world.settle();
    assert_eq!(world.running("/web"), 1);
}

#[test]
fn scaling_down_keeps_groups_even() {
    told_with_restarts(|world| {
        world.deploy(change(vec![put(constrained(app("/web", 8), "rack", Operator::GroupBy))]));
        world.settle();
        let racks = |world: &World| {
            let mut racks = [0usize; 2];
            for (_, group) in world.of("/web") {
                let number = (0..4).find(|&n| agent(n) == group.agent).unwrap();
                racks[number % 2] += 1;
            }
            racks
        };
        assert_eq!(racks(world), [4, 4]);
        world.deploy(change(vec![to("/web", Target::Scale(4))]));
        world.settle();
        assert_eq!(racks(world), [2, 2]);
    });
}
