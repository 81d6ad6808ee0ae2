//! Who gets what: shares, weights, quota, turns.

use super::world::*;
use hansa_model::framework::{Amount, Part};
use hansa_model::role::Bound;

/// Everybody takes all that it is offered, until nothing is left that anybody may have.
fn fill(world: &mut World) {
    for _ in 0..100 {
        world.rescind();
        if world.offers.is_empty() {
            return;
        }
        let holders: Vec<String> = world.holders().into_iter().map(str::to_owned).collect();
        for framework in holders {
            world.accept(&framework, &amount(u64::MAX, 1 << 20), 1_000);
        }
    }
    panic!("offers without end");
}

fn many(world: &mut World, count: usize) {
    for at in 0..count {
        world.machine(&format!("m{at:03}"), vec![Part::unreserved(amount(4000, 4096))]);
    }
}

#[test]
fn two_roles_share_alike() {
    let mut world = World::new();
    world.join("f", "a");
    world.join("g", "b");
    world.machines("m1 m2 m3 m4");
    assert_eq!(
        world.propose(),
        ["f a m1 4000/4096", "g b m2 4000/4096", "f a m3 4000/4096", "g b m4 4000/4096"]
    );
}

#[test]
fn three_to_one() {
    let mut world = World::new();
    world.role("a", 3000, Bound::default(), Bound::default());
    world.join("f", "a");
    world.join("g", "b");
    many(&mut world, 40);
    fill(&mut world);
    assert_eq!((world.cpus_of("f"), world.cpus_of("g")), (120_000, 40_000));
    // And so it stays, whoever's tasks end.
    for round in 0..200 {
        world.finish(round * 7 % world.tasks.len());
        fill(&mut world);
    }
    assert_eq!((world.cpus_of("f"), world.cpus_of("g")), (120_000, 40_000));
}

#[test]
fn frameworks_of_a_role_share_what_it_gets() {
    let mut world = World::new();
    world.join("f", "a");
    for at in 0..3 {
        world.join(&format!("g{at}"), "b");
    }
    many(&mut world, 24);
    fill(&mut world);
    assert_eq!(world.cpus_of("f"), 48_000);
    assert_eq!([0, 1, 2].map(|at| world.cpus_of(&format!("g{at}"))), [16_000; 3]);
}

#[test]
fn nested_roles_share_level_by_level() {
    let mut world = World::new();
    world.role("a/x", 2000, Bound::default(), Bound::default());
    world.join("own", "a");
    world.join("x", "a/x");
    world.join("y", "a/y");
    world.join("deep", "a/y/z");
    world.join("b", "b");
    many(&mut world, 80);
    fill(&mut world);
    // 320 CPUs: half to b; of a's 160, its own, x (twice) and y have 1:2:1; y's own and z halve theirs.
    assert_eq!(world.cpus_of("b"), 160_000);
    assert_eq!(["own", "x", "y", "deep"].map(|id| world.cpus_of(id)), [40_000, 80_000, 20_000, 20_000]);
}

#[test]
fn use_by_claims_counts_for_the_share() {
    let mut world = World::new();
    world.join("f", "a");
    world.join("g", "b/c");
    world.machines("m1 m2 m3 m4");
    world.claim("b", "m1", amount(4000, 4096));
    world.claim("b", "m2", amount(1000, 1024));
    assert_eq!(world.propose(), ["f a m2 3000/3072", "f a m3 4000/4096", "g b/c m4 4000/4096"]);
}

#[test]
fn a_guarantee_is_met_while_another_role_floods() {
    let mut world = World::new();
    world.role("prod", 1000, cpus(12_000), Bound::default());
    world.join("flood", "dev");
    many(&mut world, 10);
    fill(&mut world);
    assert_eq!(world.cpus_of("flood"), 28_000, "12 of 40 CPUs are kept");
    assert_eq!(
        world.words("flood", "dev"),
        "3 idle machines: the idle cpus is kept for what other roles are guaranteed"
    );
    world.join("late", "prod");
    fill(&mut world);
    assert_eq!(world.cpus_of("late"), 12_000);
    // What ends is of use to others as soon as the guarantee is met.
    assert_eq!(world.roles.tree().below_guarantee().count(), 0);
    let of_flood = world.tasks.iter().position(|task| task.framework.as_str() == "flood").unwrap();
    world.finish(of_flood);
    world.role("prod", 1000, Bound::default(), Bound::default());
    fill(&mut world);
    assert_eq!(world.cpus_of("flood") + world.cpus_of("late"), 40_000);
}

#[test]
fn who_misses_a_guarantee_comes_first() {
    let mut world = World::new();
    world.role("prod", 1000, cpus(40_000), Bound::default());
    world.join("p", "prod");
    world.join("d", "dev");
    world.machines("m1 m2 m3");
    world.claim("prod", "m1", amount(4000, 4096));
    assert_eq!(world.propose(), ["p prod m2 4000/4096", "p prod m3 4000/4096"]);
    // A guarantee of what the machine does not have gives no precedence on it.
    let gpus = Bound { gpus_milli: Some(1000), ..Bound::default() };
    world.role("prod", 1000, gpus, Bound::default());
    world.decline("p", 5_000);
    assert_eq!(world.propose(), ["d dev m2 4000/4096", "d dev m3 4000/4096"]);
}

#[test]
fn a_new_guarantee_takes_offers_back() {
    let mut world = World::new();
    world.join("flood", "dev");
    world.machines("m1 m2 m3");
    assert_eq!(world.propose().len(), 3);
    world.role("prod", 1000, cpus(6_000), Bound::default());
    assert_eq!(
        world.rescind(),
        ["rescind flood dev m2 4000/4096", "rescind flood dev m3 4000/4096", "flood dev m2 2000/4096"]
    );
    assert_eq!(world.rescind(), [""; 0]);
    world.join("p", "prod");
    assert_eq!(world.rescind(), ["p prod m2 2000/0", "p prod m3 4000/4096"]);
}

#[test]
fn a_guarantee_of_a_branch_is_for_all_of_it() {
    let mut world = World::new();
    world.role("prod", 1000, cpus(8_000), Bound::default());
    world.role("prod/db", 1000, cpus(4_000), Bound::default());
    world.join("web", "prod/web");
    world.join("d", "dev");
    world.machines("m1 m2 m3");
    // 4 CPUs of the branch's 8 are kept for its databases; the web may have the other 4, and the rest is anybody's.
    assert_eq!(world.propose(), ["web prod/web m1 4000/4096", "d dev m2 4000/4096"]);
    world.join("db", "prod/db");
    assert_eq!(world.propose(), ["db prod/db m3 4000/4096"]);
}

#[test]
fn a_limit_is_never_exceeded() {
    let mut world = World::new();
    world.role("a", 1000, Bound::default(), cpus(6_000));
    world.role("a/b", 1000, Bound::default(), cpus(5_000));
    world.join("f", "a/b");
    world.join("g", "a");
    world.machines("m1 m2 m3");
    assert_eq!(world.propose(), ["g a m1 4000/4096", "f a/b m2 2000/4096"]);
    let words = "2 idle machines: the limit of role a on cpus is reached";
    assert_eq!((world.words("f", "a/b").as_str(), world.words("g", "a").as_str()), (words, words));
    world.decline("f", 5_000);
    assert_eq!(world.propose(), ["g a m2 2000/4096"]);
    fill(&mut world);
    assert_eq!(world.cpus_of("g"), 6_000);
    // The limit is raised: at once, up to that of the role below.
    world.role("a", 1000, Bound::default(), cpus(20_000));
    assert_eq!(world.propose(), ["g a m2 2000/0", "f a/b m3 4000/4096"]);
}

#[test]
fn a_lower_limit_takes_offers_back() {
    let mut world = World::new();
    world.join("f", "a");
    world.machines("m1 m2");
    assert_eq!(world.propose().len(), 2);
    world.roles.set(role("a", cpus(3_000)));
    world.allocator.roles_changed();
    assert_eq!(world.rescind(), ["rescind f a m1 4000/4096", "rescind f a m2 4000/4096", "f a m1 3000/4096"]);
}

#[test]
fn a_limit_on_one_kind_leaves_no_bare_memory() {
    let mut world = World::new();
    world.role("a", 1000, Bound::default(), cpus(4_000));
    world.join("f", "a");
    world.machines("m1 m2");
    assert_eq!(world.propose(), ["f a m1 4000/4096"]);
    assert_eq!(world.words("f", "a"), "1 idle machine: the limit of role a on cpus is reached");
    // It has room again when something of it ends, wherever.
    world.accept("f", &amount(4000, 1), 5_000);
    assert_eq!(world.propose(), [""; 0]);
    world.finish(0);
    assert_eq!(world.propose(), ["f a m1 4000/4096"]);
}

#[test]
fn reservations_count_for_quota() {
    let mut world = World::new();
    world.role("a", 1000, Bound::default(), cpus(5_000));
    world.join("f", "a");
    world.machine("m1", vec![kept("a", amount(3000, 1024))]);
    world.machine("m2", vec![Part::unreserved(amount(4000, 4096))]);
    assert_eq!(world.propose(), ["f a m1 3000/1024(a)", "f a m2 2000/4096"]);
}

#[test]
fn ten_greedy_and_one_shy() {
    let mut world = World::new();
    for at in 0..10 {
        world.join(&format!("greedy{at}"), "*");
    }
    many(&mut world, 22);
    fill(&mut world);
    world.join("shy", "*");
    // One machine's worth ends now and then; the shy one has least, so the first that becomes idle is its.
    world.finish(0);
    let lines = world.propose();
    assert!(lines.iter().all(|line| line.starts_with("shy ")) && !lines.is_empty(), "{lines:?}");
    // It declines; it is not asked again about the same, and the others have it.
    world.decline("shy", 5_000);
    let lines = world.propose();
    assert!(lines.iter().all(|line| line.starts_with("greedy")) && !lines.is_empty(), "{lines:?}");
}

#[test]
fn those_that_only_look_do_not_keep_a_machine_from_who_has_much() {
    let mut world = World::new();
    world.join("big", "*");
    world.machines("m1 m2");
    fill(&mut world);
    assert_eq!(world.cpus_of("big"), 8_000);
    for at in 0..10 {
        world.join(&format!("idler{at}"), "*");
    }
    world.finish(0);
    world.propose();
    // Each idler has nothing and comes first; each declines for a second, after two: the refusal of the first has long
    // ended when the last has had its turn. Still each has one turn only before the big one has its own.
    for round in 0..10 {
        let holders: Vec<_> = world.holders().into_iter().map(str::to_owned).collect();
        let [holder] = holders.as_slice() else { panic!("round {round}: {holders:?}") };
        assert!(holder.starts_with("idler"), "round {round}: {holder}");
        world.now = world.now + 2_000;
        world.decline(&holder.clone(), 1_000);
        world.propose();
    }
    assert_eq!(world.holders().into_iter().collect::<Vec<_>>(), ["big"]);
    // A new round.
    world.decline("big", 1_000);
    assert!(world.propose()[0].starts_with("idler"));
}

#[test]
fn what_a_hoarder_lets_run_out_goes_to_others() {
    let mut world = World::new();
    world.join("hoarder", "a");
    world.machines("m1 m2 m3 m4");
    assert_eq!(world.propose().len(), 4);
    world.join("late", "b");
    assert_eq!(world.rescind(), [""; 0], "not yet");
    // Its time runs out.
    world.now = world.now + 4_000;
    world.decline("hoarder", 5_000);
    assert!(world.propose().iter().all(|line| line.starts_with("late ")));
    assert_eq!(world.holders().len(), 1);
}

#[test]
fn old_offers_are_taken_from_who_has_much_for_who_has_nothing() {
    let mut world = World::new();
    world.join("hoarder", "a");
    world.machines("m1 m2 m3 m4");
    assert_eq!(world.propose().len(), 4);
    world.join("late", "b");
    world.propose();
    world.now = world.now + 4_999;
    assert_eq!(world.rescind(), [""; 0]);
    world.now = world.now + 1;
    assert_eq!(world.allocator.next_deadline(), Some(world.now));
    assert_eq!(world.rescind(), ["rescind hoarder a m1 4000/4096", "late b m1 4000/4096"]);
    // Now it has one.
    assert_eq!(world.rescind(), [""; 0]);
    world.now = world.now + 10_000;
    assert_eq!(world.rescind(), [""; 0]);
}

#[test]
fn nobody_starves_who_would_not_take_what_others_hold() {
    let mut world = World::new();
    world.join("hoarder", "a");
    world.machines("m1 m2");
    world.propose();
    let mut picky = World::taker("b");
    picky.min_allocatable.insert("b".into(), vec![amount(64_000, 0)]);
    world.allocator.put(&"picky".into(), picky);
    world.propose();
    world.now = world.now + 60_000;
    assert_eq!(world.rescind(), [""; 0]);
}

#[test]
fn room_is_left_to_claims_whose_role_is_below_its_share() {
    let mut world = World::new();
    world.join("f", "a");
    world.machines("m0 m1 m2");
    world.claim("a", "m0", amount(4000, 4096));
    world.claim("c", "m1", amount(4000, 4096));
    world.demand("b", &amount(3000, 100), 1);
    assert_eq!(world.propose(), ["f a m2 1000/3996"], "b has nothing, and waits for three CPUs");
    world.decline("f", 5_000);
    assert_eq!(world.propose(), [""; 0]);
    // It does not take them in time.
    assert_eq!(world.pass(999), [""; 0]);
    assert_eq!(world.pass(1), ["f a m2 4000/4096"], "there is more than what was refused");
    world.decline("f", 5_000);
    assert_eq!(world.propose(), [""; 0], "and it is not left to it again");
    // Elsewhere it is.
    world.unclaim("c", "m1", amount(4000, 4096));
    assert_eq!(world.propose(), ["f a m1 1000/3996"]);
    let words = format!(
        "1 idle machine: the framework refused as much until {}; 1 idle machine: they are left for a moment to \
         services, whose role is further below its share",
        world.now + 5_000
    );
    assert_eq!(world.words("f", "a"), words);
}

#[test]
fn claims_that_have_more_than_their_share_wait() {
    let mut world = World::new();
    world.join("f", "a");
    world.machines("m1 m2");
    world.claim("b", "m1", amount(4000, 4096));
    world.demand("b", &amount(3000, 100), 1);
    assert_eq!(world.propose(), ["f a m2 4000/4096"]);
}

#[test]
fn a_claim_that_came_elsewhere_needs_no_room_any_more() {
    let mut world = World::new();
    world.join("f", "a");
    world.machines("m1");
    world.demand("b", &amount(3000, 100), 1);
    world.claim("a", "m1", amount(10, 10));
    assert_eq!(world.propose(), ["f a m1 990/3986"]);
    world.demand("b", &amount(3000, 100), 0);
    world.decline("f", 1_000);
    assert_eq!(world.propose(), ["f a m1 3990/4086"]);
    assert_eq!(world.pass(1_000), [""; 0]);
}

#[test]
fn memory_decides_who_has_most_of_it() {
    let mut world = World::new();
    world.join("f", "a");
    world.join("g", "b");
    world.machine("m1", vec![Part::unreserved(Amount { ..amount(1000, 8192) })]);
    world.machine("m2", vec![Part::unreserved(amount(3000, 1024))]);
    world.machine("m3", vec![Part::unreserved(amount(2000, 1024))]);
    // f has most of the memory after the first; g half of the CPUs after the second, which is less.
    assert_eq!(world.propose(), ["f a m1 1000/8192", "g b m2 3000/1024", "g b m3 2000/1024"]);
}
