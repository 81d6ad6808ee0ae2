//! Who gets how much: frameworks against each other, for minutes of virtual time.

use hansa_model::resources::MIB;
use hansa_model::role::{Bound, Role};
use hansa_sim::scenario::{Appetite, Habit, Scenario, greedy};

/// Ten machines, forty CPUs.
fn cluster() -> Scenario {
    Scenario::new(10, "cpus:4;mem:8192;disk:10000;ports:[31000-31050]")
}

const ALL: u64 = 40_000;

fn role(name: &str) -> Role {
    Role { name: name.into(), weight_milli: 1_000, guarantee: Bound::default(), limit: Bound::default() }
}

fn cpus(cpus: u64) -> Bound {
    Bound { cpus_milli: Some(cpus * 1_000), ..Bound::default() }
}

/// As many tasks of one CPU as this, which never end.
fn forever(tasks: usize) -> Habit {
    Habit::Takes(Appetite { cpus_milli: 1_000, mem: 512 * MIB, tasks, lasts_ms: None })
}

/// What two roles have on average in the second of two minutes, in hundredths of all CPUs.
fn shares(world: &mut Scenario) -> (u64, u64) {
    world.pass(60_000);
    // One after the other: each average is over time of its own.
    let (one, other) = (world.average(60_000, "one"), world.average(60_000, "other"));
    (one * 100 / ALL, other * 100 / ALL)
}

#[test]
fn two_roles_of_the_same_weight_have_the_same() {
    let mut world = cluster();
    world.comes("one", greedy());
    world.pass(20_000);
    assert!(world.cpus("one") > ALL * 9 / 10, "alone it has all: {}", world.cpus("one"));
    world.comes("other", greedy());
    let (one, other) = shares(&mut world);
    assert!((45..=52).contains(&one) && (45..=52).contains(&other), "{one} : {other}");
}

#[test]
fn a_role_of_three_times_the_weight_has_three_times_as_much() {
    let mut world = cluster();
    world.set_role(Role { weight_milli: 3_000, ..role("one") });
    world.comes("one", greedy());
    world.comes("other", greedy());
    let (one, other) = shares(&mut world);
    assert!((70..=78).contains(&one) && (22..=28).contains(&other), "{one} : {other}");
}

#[test]
fn a_guarantee_is_met_while_another_role_floods_the_cluster() {
    let mut world = cluster();
    world.set_role(Role { guarantee: cpus(16), ..role("one") });
    world.comes("other", forever(usize::MAX));
    world.pass(30_000);
    assert_eq!(world.cpus("other"), ALL - 16_000, "all that is not guaranteed, and no more");
    let late = world.comes("one", forever(16));
    let took = world.until(10_000, |world| world.cpus_of(late) == 16_000);
    assert!(took.is_some_and(|ms| ms < 2_000), "what is guaranteed is there at once: {took:?}");
    assert_eq!(world.cpus("other"), ALL - 16_000, "and nobody else had to give way");
}

#[test]
fn a_limit_is_never_exceeded() {
    let mut world = cluster();
    world.set_role(Role { limit: cpus(10), ..role("one") });
    world.comes("one", greedy());
    world.comes("one", greedy());
    let mut most = 0;
    world.until(120_000, |world| {
        most = most.max(world.cpus("one"));
        most > 10_000
    });
    assert_eq!(most, 10_000, "it is reached, and that is all");
    // Set while more is in use: nothing is killed for it, and nothing more comes.
    world.set_role(Role { limit: cpus(4), ..role("one") });
    world.pass(20_000);
    let exceeded = world.until(60_000, |world| world.cpus("one") > 4_000);
    assert_eq!(exceeded, None);
    assert_eq!(world.cpus("one").div_ceil(1_000), 4);
}

#[test]
fn one_shy_framework_among_ten_greedy_ones_has_what_it_needs() {
    let mut world = cluster();
    for number in 0..10 {
        world.comes(&format!("greedy{number}"), greedy());
    }
    world.pass(60_000);
    let shy = world.comes("shy", forever(2));
    let took = world.until(60_000, |world| world.cpus_of(shy) == 2_000);
    // The first task of anybody that ends makes room.
    assert!(took.is_some_and(|ms| ms < 3_000), "it waited for {took:?} ms");
    let used = |world: &Scenario| (0..10).map(|number| world.cpus(&format!("greedy{number}"))).collect();
    let greedy: Vec<u64> = used(&world);
    assert!(greedy.iter().sum::<u64>() > ALL * 8 / 10, "nobody else waits for it: {greedy:?}");
}

#[test]
fn who_neither_accepts_nor_declines_starves_nobody() {
    let mut world = cluster();
    let hoarder = world.comes("hoards", Habit::Hoards);
    world.pass(1_000);
    assert_eq!(world.in_hand(hoarder), 10, "it has all there is");
    let other = world.comes("works", forever(usize::MAX));
    let first = world.until(60_000, |world| world.cpus_of(other) > 0);
    assert!(first.is_some_and(|ms| ms < 7_000), "its first task waited for {first:?} ms");
    let half = world.until(60_000, |world| world.cpus_of(other) >= ALL / 2);
    assert!(half.is_some_and(|ms| ms < 15_000), "half of all took {half:?} ms");
    let most = world.until(120_000, |world| world.cpus_of(other) == ALL);
    assert!(most.is_some_and(|ms| ms < 75_000), "the hoarder's leases end: {most:?} ms");
}

#[test]
fn what_a_framework_has_in_hand_when_it_dies_goes_to_others() {
    let mut world = cluster();
    let first = world.comes("one", Habit::Hoards);
    world.pass(1_000);
    let second = world.comes("other", forever(usize::MAX));
    world.pass(1_000);
    assert_eq!((world.in_hand(first), world.in_hand(second)), (10, 0));
    world.dies(first);
    let took = world.until(10_000, |world| world.cpus_of(second) == ALL);
    assert!(took.is_some_and(|ms| ms < 1_000), "{took:?} ms");
}

#[test]
fn who_refused_everything_for_a_year_and_calls_revive_is_offered_everything_at_once() {
    let year = 365 * 24 * 3_600_000;
    let mut world = cluster();
    let decliner = world.comes("one", Habit::Declines(year));
    world.pass(5_000);
    assert_eq!(world.in_hand(decliner), 0);
    world.changes(decliner, Habit::Hoards);
    world.pass(600_000);
    assert_eq!(world.in_hand(decliner), 0, "it refused that");
    world.revives(decliner);
    let took = world.until(5_000, |world| world.in_hand(decliner) == 10);
    assert!(took.is_some_and(|ms| ms < 50), "{took:?} ms");
}

#[test]
fn revive_helps_whoever_is_not_alone() {
    let mut world = cluster();
    let greedy = world.comes("one", forever(20));
    let decliner = world.comes("other", Habit::Declines(3_600_000));
    world.pass(5_000);
    assert_eq!(world.cpus_of(greedy), 20_000);
    world.changes(decliner, forever(10));
    world.revives(decliner);
    let took = world.until(5_000, |world| world.cpus_of(decliner) == 10_000);
    assert!(took.is_some_and(|ms| ms < 1_000), "{took:?} ms");
}
