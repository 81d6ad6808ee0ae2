//! Stores that are older than the world: what runs and is not in them is adopted, and nobody ends for it.

use super::world::World;
use super::*;
use hansa_model::TaskId;

/// Five instances of a version that the store does not know, of which it wants three; and they, in order. The last two are
/// adopted from their machines, after the others were heard of.
fn put_back() -> (World, Vec<TaskId>) {
    let mut world = World::with_nodes(4);
    world.deploy(change(vec![put(app("/web", 3))]));
    world.settle();
    let old = world.store.records();
    let mut newer = app("/web", 5);
    newer.command = Command::Shell("two".into());
    world.deploy(change(vec![put(newer)]));
    world.settle();
    let before = world.tasks("/web");
    assert_eq!(before.len(), 5);
    world.store = Default::default();
    world.take_out(crate::services::Output { records: old, events: Vec::new() });
    let later = world.of("/web").split_off(3);
    for (id, _) in &later {
        world.groups.remove(id);
    }
    world.restart();
    world.settle();
    for (id, mut group) in later {
        (group.adopted, group.placed_at) = (true, world.now);
        world.groups.insert(id.clone(), group.clone());
        world.appears(&id, &group, false);
    }
    world.settle();
    (world, before)
}

#[test]
fn an_older_store_kills_nobody() {
    let (mut world, before) = put_back();
    world.run_for(100_000);
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
    let (mut world, before) = put_back();
    for _ in 0..3 {
        world.restart();
        world.settle();
        world.run_for(100_000);
        assert_eq!(world.tasks("/web"), before);
    }
    // Once a deployment has decided about them they are instances like any other, whoever leads.
    world.deploy(change(vec![to("/web", Target::Scale(4))]));
    world.restart();
    world.settle();
    world.run_for(100_000);
    assert_eq!(world.running("/web"), 4);
}
