//! What is said would be is what then is.

use super::world::{World, agent};
use super::*;
use crate::services::Books;
use hansa_model::app::{Constraint, Operator};
use hansa_model::event::AgentState;
use hansa_model::trial::Fate;
use hansa_model::{AgentId, Demand, InstanceId};
use hansa_placement::{Choice, Cluster};
use proptest::prelude::*;

/// The world's machines, to try things out on. So many claims are granted until something ends.
struct Lent {
    cluster: Cluster,
    granted: usize,
    most: usize,
    settled: usize,
}

impl Lent {
    fn of(world: &World) -> Self {
        Self { cluster: world.cluster.clone(), granted: 0, most: usize::MAX, settled: 0 }
    }
}

impl Books for Lent {
    fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    fn claim(&mut self, _: &RoleName, _: &Demand, _: &[Constraint], choice: &Choice) -> Result<(), String> {
        if self.granted >= self.most {
            return Err("over the limit".into());
        }
        self.granted += 1;
        self.cluster.take(&choice.agent, &choice.allocation).map_err(|short| short.to_string())
    }

    fn settle(&mut self, ended: &[InstanceId]) -> bool {
        self.settled += 1;
        self.granted -= ended.len().min(self.granted);
        !ended.is_empty()
    }
}

/// What would become of everything on a machine.
fn try_drain(world: &World, node: usize) -> Vec<(InstanceId, Fate)> {
    let mut books = Lent::of(world);
    books.cluster.set_state(&agent(node), AgentState::Draining);
    let there: Vec<InstanceId> = world.on(&agent(node)).into_iter().map(|(id, _)| id).collect();
    let fates = world.services.try_move(&there, &mut books);
    there.into_iter().zip(fates).collect()
}

fn constraint(operator: Operator, value: Option<&str>) -> Constraint {
    Constraint { field: "hostname".into(), operator, value: value.map(str::to_owned) }
}

const APPS: [&str; 4] = ["/a", "/b", "/c", "/d"];

fn spec() -> impl Strategy<Value = (u32, u64, u8)> {
    (0..5u32, prop_oneof![Just(300), Just(900), Just(1700), Just(3900)], 0..5u8)
}

fn world(nodes: usize, specs: &[(u32, u64, u8)]) -> World {
    let mut world = World::with_nodes(nodes);
    for (id, &(instances, cpus_milli, limits)) in APPS.iter().zip(specs) {
        let constraints = match limits {
            0 => vec![constraint(Operator::Unique, None)],
            1 => vec![constraint(Operator::MaxPer, Some("2"))],
            2 => vec![constraint(Operator::GroupBy, None)],
            _ => Vec::new(),
        };
        let spec = AppSpec { cpus_milli, constraints, ..app(id, instances) };
        world.order(ServiceCommand::Change { changes: vec![put(spec)], force: false });
    }
    world.settle();
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Where a drain is said to move things is where it moves them.
    #[test]
    fn a_drain_goes_as_it_was_said(nodes in 1..6usize, specs in prop::collection::vec(spec(), 1..=4)) {
        let mut world = world(nodes, &specs);
        let before: Vec<InstanceId> = world.groups.keys().cloned().collect();
        let said = try_drain(&world, 0);
        world.drain(0);
        world.settle();
        let app_of = |world: &World, id: &InstanceId| world.services.app_of(id).cloned();
        let mut promised: Vec<(Option<AppId>, AgentId)> = Vec::new();
        for (id, fate) in &said {
            match fate {
                // Whoever waits is still there.
                Fate::Waits(why) => {
                    prop_assert!(!why.is_empty());
                    prop_assert!(world.groups.contains_key(id) || said.iter().any(|(other, fate)| {
                        // Which of several of an app it is that goes is not said.
                        matches!(fate, Fate::Moves(_)) && world.groups.contains_key(other)
                    }), "{id} waits: {why}");
                }
                Fate::Moves(to) => promised.push((app_of(&world, id).or_else(|| {
                    let stem = id.as_str().split(".instance").next().unwrap_or_default();
                    Some(AppId::from(format!("/{stem}")))
                }), to.clone())),
                other => prop_assert!(false, "{id}: {other:?}"),
            }
        }
        let new = world.groups.iter().filter(|(id, _)| !before.contains(id));
        let mut seen: Vec<(Option<AppId>, AgentId)> =
            new.map(|(id, group)| (app_of(&world, id), group.agent.clone())).collect();
        promised.sort();
        seen.sort();
        prop_assert_eq!(promised, seen);
    }

    /// Where more instances are said to go is where they go.
    #[test]
    fn growth_goes_as_it_was_said(
        nodes in 1..6usize,
        specs in prop::collection::vec(spec(), 1..=3),
        more in 1..9u32,
    ) {
        let mut world = world(nodes, &specs);
        prop_assume!(world.services.queue(world.now, &world.cluster).is_empty());
        let said = world.services.try_more(&AppId::from("/a"), more, &mut Lent::of(&world)).unwrap();
        prop_assert_eq!(said.obstacle.is_none(), said.places.len() == more as usize);
        prop_assert_eq!(said.first.choice.as_ref(), said.places.first());
        let before: Vec<InstanceId> = world.groups.keys().cloned().collect();
        let wanted = specs[0].0 + more;
        let scale = to("/a", Target::Scale(wanted));
        world.order(ServiceCommand::Change { changes: vec![scale], force: false });
        world.settle();
        let new = world.groups.iter().filter(|(id, _)| !before.contains(id));
        let mut seen: Vec<AgentId> = new.map(|(_, group)| group.agent.clone()).collect();
        let mut promised = said.places;
        promised.sort();
        seen.sort();
        prop_assert_eq!(promised, seen);
    }
}

#[test]
fn who_waits_is_told_why_and_nothing_has_changed() {
    // Two machines of four CPUs each, as full as they can be.
    let world = world(2, &[(4, 1700, 9)]);
    let generation = world.cluster.generation();
    for (_, fate) in try_drain(&world, 0) {
        let Fate::Waits(why) = fate else { panic!("there is room: {fate:?}") };
        assert_eq!(why, "1 machine: draining, 1.1 cpus short; 1: 1.1 cpus short");
    }
    assert_eq!(world.cluster.generation(), generation);
    assert_eq!(world.cluster.node(&agent(0)).unwrap().state, AgentState::Active);
    let more = world.services.try_more(&AppId::from("/a"), 3, &mut Lent::of(&world)).unwrap();
    assert_eq!((more.asked, more.places.len()), (3, 0));
    assert_eq!(more.obstacle.unwrap().summary, "2 machines: 1.1 cpus short");
}

#[test]
fn what_was_refused_is_tried_again_once_others_have_ended() {
    let world = world(3, &[(4, 300, 9)]);
    let there: Vec<InstanceId> = world.on(&agent(0)).into_iter().map(|(id, _)| id).collect();
    assert!(there.len() == 4, "they are packed: {there:?}");
    let mut books = Lent { most: 1, ..Lent::of(&world) };
    books.cluster.set_state(&agent(0), AgentState::Draining);
    let fates = world.services.try_move(&there, &mut books);
    assert!(fates.iter().all(|fate| matches!(fate, Fate::Moves(_))), "{fates:?}");
    assert_eq!(books.settled, 3, "one in each round");

    let mut books = Lent { most: 0, ..Lent::of(&world) };
    let fates = world.services.try_move(&there, &mut books);
    let refused = Fate::Waits("3 machines: over the limit".into());
    assert!(fates.iter().all(|fate| *fate == refused), "{fates:?}");
}

#[test]
fn what_ends_anyway_needs_no_place() {
    let mut world = world(2, &[(3, 300, 9)]);
    let there: Vec<InstanceId> = world.on(&agent(0)).into_iter().map(|(id, _)| id).collect();
    assert_eq!(there.len(), 3);
    // Two of the three are too many, and are told so; the third goes on.
    world.order(ServiceCommand::Change { changes: vec![to("/a", Target::Scale(1))], force: false });
    let fates: Vec<Fate> = try_drain(&world, 0).into_iter().map(|(_, fate)| fate).collect();
    let ends = |fate: &&Fate| **fate == Fate::Ends("it is ending already".into());
    assert_eq!(fates.iter().filter(ends).count(), 2, "{fates:?}");
    assert_eq!(fates.iter().filter(|fate| matches!(fate, Fate::Moves(_))).count(), 1, "{fates:?}");
    // Its replacement is on its way: it is not moved twice.
    world.settle();
    world.drain(0);
    let fates = try_drain(&world, 0);
    let expected = Fate::Ends("there are as many instances as wanted without it".into());
    assert!(fates.iter().all(|(_, fate)| *fate == expected), "{fates:?}");
    world.order(ServiceCommand::Change { changes: vec![to("/a", Target::Removed)], force: true });
    let left = try_drain(&world, 0);
    assert!(left.iter().all(|(_, fate)| matches!(fate, Fate::Ends(_))), "{left:?}");
}
