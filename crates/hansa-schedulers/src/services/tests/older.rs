//! Stores that are older than the world: what runs and is not in them is adopted, and nobody ends for it.

use super::world::{Group, World};
use super::*;
use hansa_model::InstanceId;

fn started(instances: u32) -> World {
    let mut world = World::with_nodes(4);
    world.deploy(change(vec![put(app("/web", instances))]));
    world.settle();
    world
}

/// The master restarts, and hears at first of so many of the app's instances only.
fn restart_with(world: &mut World, known: usize) -> Vec<(InstanceId, Group)> {
    let later = world.of("/web").split_off(known);
    for (id, _) in &later {
        world.groups.remove(id);
    }
    world.restart();
    world.settle();
    later
}

/// These are told of by their machines.
fn adopt(world: &mut World, later: Vec<(InstanceId, Group)>) {
    for (id, mut group) in later {
        world.now = world.now + 1;
        (group.adopted, group.placed_at) = (true, world.now);
        world.groups.insert(id.clone(), group.clone());
        world.appears(&id, &group, false);
    }
    world.settle();
    world.run_for(100_000);
}

#[test]
fn an_older_store_kills_nobody() {
    let mut world = started(3);
    let old = world.store.records();
    let mut newer = app("/web", 5);
    newer.command = Command::Shell("two".into());
    world.deploy(change(vec![put(newer)]));
    world.settle();
    let before = world.tasks("/web");
    assert_eq!(before.len(), 5);
    // Three are in the old store, two are adopted from their machines later.
    world.store = Default::default();
    world.take_out(crate::services::Output { records: old, events: Vec::new() });
    let later = restart_with(&mut world, 3);
    adopt(&mut world, later);
    assert_eq!(world.tasks("/web"), before);
    assert_eq!(world.version("/web").spec.instances, 3);
    // A later deployment decides about them.
    let id = world.deploy(change(vec![to("/web", Target::Restart)]));
    world.settle();
    assert!(world.has_succeeded(&id));
    assert_eq!(world.commands("/web"), BTreeMap::from([("sleep 1000".to_string(), 3)]));
}

#[test]
fn adopted_instances_stay_whoever_leads() {
    let mut world = started(3);
    // The store knows one of them only; two others are launched before the rest are told of.
    let later = restart_with(&mut world, 1);
    world.run_for(100_000);
    assert_eq!(world.running("/web"), 3);
    adopt(&mut world, later);
    let all = world.tasks("/web");
    assert_eq!(all.len(), 5);
    for _ in 0..3 {
        world.restart();
        world.settle();
        world.run_for(100_000);
        assert_eq!(world.tasks("/web"), all, "nobody has asked for an end");
    }
    // Once a deployment has decided about them they are instances like any other, whoever leads.
    let id = world.deploy(change(vec![to("/web", Target::Scale(4))]));
    world.restart();
    world.settle();
    world.run_for(100_000);
    assert!(world.has_succeeded(&id));
    assert_eq!(world.running("/web"), 4);
}
