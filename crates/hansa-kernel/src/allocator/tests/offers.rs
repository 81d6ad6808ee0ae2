//! What an offer contains, and who may have it: refusals, suppressing, constraints, reservations, GPUs, smallest offers.

use super::world::*;
use crate::allocator::filters::{LEAST_REFUSAL_MS, LONGEST_REFUSAL_MS};
use crate::allocator::{Allocator, AllocatorSettings};
use hansa_model::framework::{Amount, AttributeConstraint, Part, PersistentVolume, Predicate, Selector};
use hansa_model::role::Bound;
use std::collections::BTreeSet;

#[test]
fn what_is_refused_goes_to_the_next_and_comes_back_in_time() {
    let mut world = World::new();
    world.join("f", "a");
    world.join("g", "b");
    world.machines("m1");
    assert_eq!(world.propose(), ["f a m1 4000/4096"]);
    world.decline("f", 5_000);
    assert_eq!(world.propose(), ["g b m1 4000/4096"]);
    world.decline("g", 20_000);
    assert_eq!(world.propose(), [""; 0]);
    assert_eq!(world.allocator.next_deadline(), Some(world.now + 5_000));
    assert_eq!(world.pass(4_999), [""; 0]);
    assert_eq!(world.pass(1), ["f a m1 4000/4096"]);
}

#[test]
fn a_refusal_is_of_a_second_at_least_and_a_year_at_most() {
    let mut world = World::new();
    world.join("f", "a");
    world.machines("m1");
    world.propose();
    world.decline("f", 0);
    assert_eq!(world.pass(LEAST_REFUSAL_MS - 1), [""; 0]);
    assert_eq!(world.pass(1).len(), 1);
    world.decline("f", u64::MAX);
    assert_eq!(world.pass(LONGEST_REFUSAL_MS - 1), [""; 0]);
    assert_eq!(world.pass(1).len(), 1);
}

#[test]
fn less_than_was_refused_is_refused_and_more_is_not() {
    let mut world = World::new();
    world.join("f", "a");
    world.machines("m1");
    world.claim("x", "m1", amount(1000, 1000));
    assert_eq!(world.propose(), ["f a m1 3000/3096"]);
    world.decline("f", 60_000);
    // Less of both, then less of one and more of the other, then more of both.
    world.claim("x", "m1", amount(1000, 1000));
    world.allocator.machine_changed(&"m1".into());
    assert_eq!(world.propose(), [""; 0]);
    world.unclaim("x", "m1", amount(0, 1500));
    assert_eq!(world.propose(), ["f a m1 2000/3596"]);
    world.decline("f", 30_000);
    assert_eq!(world.propose(), [""; 0]);
    // Each holds for itself.
    world.claim("x", "m1", amount(0, 1000));
    world.allocator.machine_changed(&"m1".into());
    assert_eq!(world.propose(), [""; 0]);
    assert_eq!(world.pass(30_000), [""; 0], "this is refused by the first for another half minute");
    world.unclaim("x", "m1", amount(2000, 1500));
    assert_eq!(world.propose(), ["f a m1 4000/4096"]);
}

#[test]
fn a_refusal_is_of_one_role_and_one_machine() {
    let mut world = World::new();
    world.join("f", "a b");
    world.machines("m1");
    assert_eq!(world.propose(), ["f a m1 4000/4096"]);
    world.decline("f", 60_000);
    assert_eq!(world.propose(), ["f b m1 4000/4096"]);
    world.decline("f", 60_000);
    world.machines("m2");
    assert_eq!(world.propose(), ["f a m2 4000/4096"]);
}

#[test]
fn suppressed_until_revived() {
    let mut world = World::new();
    world.join("f", "a b");
    world.machines("m1 m2");
    world.allocator.suppress(&"f".into(), &["a".into()].into());
    assert_eq!(world.propose(), ["f b m1 4000/4096", "f b m2 4000/4096"]);
    world.decline("f", 3_600_000);
    assert_eq!(world.propose(), [""; 0]);
    assert_eq!(world.words("f", "a"), "it asked for no offers in this role (suppressed)");
    // In just one role; then what was refused in the other is forgotten, too.
    world.allocator.revive(&"f".into(), &["a".into()].into());
    assert_eq!(world.propose().len(), 2);
    assert_eq!(
        world.words("f", "a"),
        "nothing is idle that is not offered; role b is further below its share and comes first"
    );
    world.decline("f", 3_600_000);
    assert_eq!(world.propose(), [""; 0]);
    world.allocator.suppress(&"f".into(), &BTreeSet::new());
    world.machines("m3");
    assert_eq!(world.propose(), [""; 0]);
    world.allocator.revive(&"f".into(), &BTreeSet::new());
    assert_eq!(world.propose().len(), 3);
}

#[test]
fn who_is_away_is_offered_nothing_and_has_forgotten_its_refusals_when_it_returns() {
    let mut world = World::new();
    world.join("f", "a");
    world.machines("m1");
    world.propose();
    world.decline("f", 3_600_000);
    world.allocator.deactivate(&"f".into());
    assert_eq!(world.propose(), [""; 0]);
    assert_eq!(world.words("f", "a"), "it is not connected");
    world.join("f", "a");
    assert_eq!(world.propose(), ["f a m1 4000/4096"]);
    // Gone for good; its place goes to somebody else, its refusals do not.
    world.decline("f", 3_600_000);
    world.allocator.remove(&"f".into());
    world.join("g", "a");
    assert_eq!(world.propose(), ["g a m1 4000/4096"]);
}

#[test]
fn a_framework_that_changes_keeps_its_refusals() {
    let mut world = World::new();
    world.join("f", "a");
    world.machines("m1");
    world.propose();
    world.decline("f", 3_600_000);
    world.join("f", "a b");
    assert_eq!(world.propose(), ["f b m1 4000/4096"]);
    world.join("f", "a");
    assert_eq!(world.words("f", "b"), "it has left the role", "it still has an offer there");
    world.decline("f", 1_000);
    assert_eq!(world.propose(), [""; 0]);
    assert_eq!(world.pass(10_000), [""; 0]);
}

fn constraint(selector: Selector, predicate: Predicate) -> AttributeConstraint {
    AttributeConstraint { selector, predicate }
}

#[test]
fn constraints_choose_machines() {
    let rack = || Selector::Attribute("rack".into());
    let none: [&str; 0] = [];
    let cases: Vec<(Vec<Vec<AttributeConstraint>>, Vec<&str>)> = vec![
        (vec![], vec!["m1", "m2", "m3"]),
        (vec![vec![constraint(rack(), Predicate::Exists)]], vec!["m1", "m2"]),
        (vec![vec![constraint(rack(), Predicate::NotExists)]], vec!["m3"]),
        (vec![vec![constraint(rack(), Predicate::TextEquals("r1".into()))]], vec!["m1"]),
        (vec![vec![constraint(rack(), Predicate::TextNotEquals("r1".into()))]], vec!["m2", "m3"]),
        (vec![vec![constraint(rack(), Predicate::TextMatches("r[23]|x".into()))]], vec!["m2"]),
        (vec![vec![constraint(rack(), Predicate::TextMatches("r".into()))]], none.to_vec()),
        (vec![vec![constraint(rack(), Predicate::TextNotMatches("r.*".into()))]], vec!["m3"]),
        (vec![vec![constraint(rack(), Predicate::TextMatches("(".into()))]], none.to_vec()),
        (vec![vec![constraint(Selector::Hostname, Predicate::TextEquals("m2".into()))]], vec!["m2"]),
        (vec![vec![constraint(Selector::Region, Predicate::TextEquals("eu".into()))]], vec!["m1"]),
        (vec![vec![constraint(Selector::Zone, Predicate::Exists)]], vec!["m2"]),
        (
            vec![
                vec![constraint(Selector::Zone, Predicate::Exists), constraint(rack(), Predicate::NotExists)],
                vec![constraint(Selector::Hostname, Predicate::TextMatches("m[13]".into()))],
            ],
            vec!["m1", "m3"],
        ),
    ];
    for (groups, expected) in cases {
        let mut world = World::new();
        world.machines("m1 m2 m3");
        world.machines.get_mut("m1").unwrap().attributes.insert("rack".into(), "r1".into());
        world.machines.get_mut("m2").unwrap().attributes.insert("rack".into(), "r2".into());
        world.machines.get_mut("m1").unwrap().region = Some("eu".into());
        world.machines.get_mut("m2").unwrap().zone = Some("z1".into());
        let mut taker = World::taker("a");
        taker.constraints.roles.insert("a".into(), groups.clone());
        world.allocator.put(&"f".into(), taker);
        let expected: Vec<String> =
            expected.iter().map(|machine| format!("f a {machine} 4000/4096")).collect();
        assert_eq!(world.propose(), expected, "{groups:?}");
        if expected.is_empty() {
            let words = "3 idle machines: an offer constraint of the framework excludes them";
            assert_eq!(world.words("f", "a"), words);
        }
    }
}

#[test]
fn constraints_are_of_a_role() {
    let mut world = World::new();
    world.machines("m1 m2");
    let mut taker = World::taker("a b");
    let m2 = constraint(Selector::Hostname, Predicate::TextEquals("m2".into()));
    taker.constraints.roles.insert("a".into(), vec![vec![m2]]);
    world.allocator.put(&"f".into(), taker.clone());
    assert_eq!(world.propose(), ["f b m1 4000/4096", "f a m2 4000/4096"]);
    world.decline("f", 1_000);
    // Others from now on.
    taker.constraints.roles.clear();
    taker.roles.remove("b");
    world.allocator.put(&"f".into(), taker);
    assert_eq!(world.propose(), ["f a m1 4000/4096"]);
}

#[test]
fn small_offers_are_not_sent() {
    let mut world = World::new();
    world.join("f", "a");
    world.machine("cpus", vec![Part::unreserved(amount(10, 0))]);
    world.machine("mem", vec![Part::unreserved(amount(0, 32))]);
    world.machine("crumbs", vec![Part::unreserved(amount(9, 31))]);
    assert_eq!(world.propose(), ["f a cpus 10/0", "f a mem 0/32"]);
    let mut choosy = World::taker("a b");
    choosy.min_allocatable.insert("a".into(), vec![amount(2000, 0), amount(0, 8192)]);
    choosy.min_allocatable.insert("b".into(), vec![]);
    world.allocator.suppress(&"f".into(), &BTreeSet::new());
    world.allocator.put(&"choosy".into(), choosy);
    world.machine("m1", vec![Part::unreserved(amount(1000, 8191))]);
    world.machine("m2", vec![Part::unreserved(amount(0, 8192))]);
    world.machine("m3", vec![Part::unreserved(amount(2000, 0))]);
    let lines = world.propose();
    assert!(lines.contains(&"choosy b crumbs 9/31".to_owned()), "{lines:?}");
    assert!(!lines.contains(&"choosy a m1 1000/8191".to_owned()), "{lines:?}");
    assert_eq!(lines.len(), 4);
    assert_eq!(world.words("choosy", "a").split(';').next(), Some("nothing is idle that is not offered"));
}

#[test]
fn machines_with_gpus_are_for_those_that_know_of_them() {
    let mut world = World::new();
    world.join("f", "a");
    world.machine("m1", vec![Part::unreserved(Amount { gpus: 2, ..amount(4000, 4096) })]).has_gpus = true;
    assert_eq!(world.propose(), [""; 0]);
    let words = "1 idle machine: they have GPUs, which the framework does not say that it knows of";
    assert_eq!(world.words("f", "a"), words);
    let settings = AllocatorSettings { filter_gpus: false, ..AllocatorSettings::default() };
    world.allocator.settings = settings;
    world.allocator.machine_changed(&"m1".into());
    world.join("f", "a");
    assert_eq!(world.propose(), ["f a m1 4000/4096 gpus 2"]);
    world.decline("f", 60_000);
    let mut knows = World::taker("a");
    knows.gpus = true;
    world.allocator.put(&"g".into(), knows);
    world.role("a", 1000, Bound::default(), Bound { gpus_milli: Some(1500), ..Bound::default() });
    assert_eq!(world.propose(), ["g a m1 4000/4096 gpus 1"]);
}

#[test]
fn machines_of_other_regions_are_for_those_that_know_of_them() {
    let mut world = World::new();
    let settings = AllocatorSettings { region: Some("here".into()), ..AllocatorSettings::default() };
    world.allocator = Allocator::new(settings);
    world.join("f", "a");
    world.machines("m1 m2 m3");
    world.machines.get_mut("m1").unwrap().region = Some("there".into());
    world.machines.get_mut("m2").unwrap().region = Some("here".into());
    assert_eq!(world.propose(), ["f a m2 4000/4096", "f a m3 4000/4096"]);
    let mut knows = World::taker("b");
    knows.region_aware = true;
    world.allocator.put(&"g".into(), knows);
    assert_eq!(world.propose(), ["g b m1 4000/4096"]);
}

#[test]
fn reserved_parts_are_for_their_role() {
    let mut world = World::new();
    world.join("f", "a");
    world.join("g", "b");
    world.machines("m0");
    world.claim("b", "m0", amount(4000, 4096));
    world.machine(
        "m1",
        vec![
            Part::unreserved(amount(1000, 1000)),
            kept("b", amount(2000, 2000)),
            kept("c", amount(500, 500)),
        ],
    );
    assert_eq!(world.propose(), ["f a m1 1000/1000", "g b m1 2000/2000(b)"]);
    world.decline("g", 1_000);
    assert_eq!(world.propose(), [""; 0]);
    world.decline("f", 60_000);
    assert_eq!(world.propose(), ["g b m1 1000/1000 2000/2000(b)"]);
    assert_eq!(world.words("f", "a"), "1 idle machine: what is idle there is reserved for other roles");
}

#[test]
fn reserved_parts_are_for_those_below_that_read_stacks() {
    let mut world = World::new();
    world.join("old", "a/b");
    world.join("other", "ab");
    world.machine("m1", vec![kept("a", amount(1000, 1000))]);
    let mut stack = kept("a", amount(2000, 2000));
    stack.reservations.extend(kept("a/b", Amount::default()).reservations);
    world.machine("m2", vec![stack]);
    assert_eq!(world.propose(), [""; 0]);
    let mut reads = World::taker("a/b");
    reads.refined = true;
    world.allocator.put(&"new".into(), reads);
    assert_eq!(world.propose(), ["new a/b m1 1000/1000(a)", "new a/b m2 2000/2000(a/b)"]);
}

#[test]
fn reserved_parts_are_not_kept_for_guarantees() {
    let mut world = World::new();
    world.role("prod", 1000, cpus(10_000), Bound::default());
    world.join("f", "a");
    world.machine("m1", vec![Part::unreserved(amount(4000, 4096)), kept("a", amount(1000, 1024))]);
    assert_eq!(world.propose(), ["f a m1 1000/1024(a)"]);
}

#[test]
fn volumes_are_offered_whole() {
    let mut world = World::new();
    world.join("f", "a");
    let volume = PersistentVolume { id: "v".into(), principal: None, container_path: "data".into() };
    let disk = Amount { disk: 1 << 30, ..Amount::default() };
    let volume = Part { volume: Some(volume), ..kept("a", disk) };
    world.machine("m1", vec![kept("a", amount(1000, 1000)), volume.clone()]);
    assert_eq!(world.propose(), ["f a m1 1000/1000(a) 0/0(a)"]);
    world.decline("f", 60_000);
    assert_eq!(world.propose(), [""; 0]);
}

#[test]
fn machines_that_take_no_work_are_not_offered() {
    let mut world = World::new();
    world.join("f", "a");
    world.machines("m1");
    world.machines.get_mut("m1").unwrap().inactive = true;
    assert_eq!(world.propose(), [""; 0]);
    world.machines.get_mut("m1").unwrap().inactive = false;
    world.allocator.machine_changed(&"m1".into());
    assert_eq!(world.propose(), ["f a m1 4000/4096"]);
    world.decline("f", 60_000);
    world.allocator.machine_removed(&"m1".into());
    assert_eq!(world.pass(60_000), [""; 0]);
}

#[test]
fn nothing_is_looked_at_without_cause() {
    let mut world = World::new();
    world.join("f", "a");
    world.machines("m1 m2 m3");
    world.propose();
    world.decline("f", 60_000);
    let looks = std::cell::Cell::new(0);
    let (now, capacity, free) = (world.now, world.capacity(), world.free());
    let machines = world.machines.clone();
    let propose = |world: &mut World, at| {
        looks.set(0);
        let machine = |id: &hansa_model::AgentId| {
            looks.set(looks.get() + 1);
            let machine = &machines[id];
            Some(crate::allocator::Idle {
                parts: machine.idle.clone(),
                attributes: &machine.attributes,
                hostname: "",
                region: None,
                zone: None,
                has_gpus: false,
                rank: 0,
            })
        };
        let proposals = world.allocator.propose(at, &mut world.roles, capacity, free, machine);
        (looks.get(), proposals.len())
    };
    assert_eq!(propose(&mut world, now), (3, 0), "all three were given back");
    assert_eq!(propose(&mut world, now), (0, 0));
    world.allocator.machine_changed(&"m2".into());
    assert_eq!(propose(&mut world, now), (1, 0));
    // Somebody new looks at whatever is idle.
    world.join("g", "b");
    assert_eq!(propose(&mut world, now), (3, 3));
    assert_eq!(propose(&mut world, now + 60_000), (3, 3), "the refusals ended");
    assert_eq!(propose(&mut world, now + 60_000), (0, 0));
}
