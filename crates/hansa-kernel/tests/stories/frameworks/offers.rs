//! Offers: who gets them, and how they end.

use super::*;
use hansa_kernel::AgentOrder;
use hansa_model::role::Bound;
use hansa_model::task::TaskState::*;

#[test]
fn what_becomes_idle_is_offered_at_once() {
    let mut world = World::new();
    world.show = "s";
    check(world.subscribe(info("f", "r")), "stream 1 subscribed f");
    check(world.hello(agent("a")), "stream 1 offers L1-O1 on a for r: 4 4096");
    check(world.accept("f", "L1-O1", vec![launch([task("t", "a")])]), "");
    check(
        world.says("a", "t", 1, Finished),
        "stream 1 update t TASK_FINISHED !\nstream 1 offers L1-O2 on a for r: 4 4096",
    );
}

#[test]
fn what_is_declined_comes_again_after_a_while_and_what_grew_at_once() {
    let mut world = offered();
    check(world.decline_offer("f", "L1-O1", 5_000), "");
    world.contact("a");
    check(world.pass(4_900), "");
    world.contact("a");
    check(world.pass(100), "stream 1 offers L1-O2 on a for r: 4 4096");
    check(world.decline_offer("f", "L1-O9", 5_000), "");
    check(world.decline_offer("f", "L1-O2", 5_000), "");
    check(world.hello(agent("b")), "stream 1 offers L1-O3 on b for r: 4 4096");
}

#[test]
fn who_lets_offers_run_out_waits_longer_each_time() {
    let mut world = offered();
    let mut pass = |ms: u64| {
        let mut heard = String::new();
        for _ in 0..ms / 1_000 {
            world.contact("a");
            heard += &world.pass(1_000);
        }
        heard
    };
    check(pass(59_000), "");
    check(pass(1_000), "stream 1 rescind L1-O1");
    check(pass(29_000), "");
    check(pass(1_000), "stream 1 offers L1-O2 on a for r: 4 4096");
    check(pass(60_000), "stream 1 rescind L1-O2");
    check(pass(59_000), "");
    check(pass(1_000), "stream 1 offers L1-O3 on a for r: 4 4096");
}

#[test]
fn a_machine_that_takes_no_more_work_takes_its_offers_back() {
    let mut world = offered();
    check(world.disconnect("a"), "stream 1 rescind L1-O1");
    check(world.hello(agent("a")), "stream 1 offers L1-O2 on a for r: 4 4096");
    check(world.hello(agent("a")), "stream 1 rescind L1-O2\nstream 1 offers L1-O3 on a for r: 4 4096");
    check(world.order("a", AgentOrder::Deactivate), "stream 1 rescind L1-O3");
    check(world.order("a", AgentOrder::Reactivate), "stream 1 offers L1-O4 on a for r: 4 4096");
    check(world.order("a", AgentOrder::Gone), "stream 1 rescind L1-O4\nstream 1 failure a");
}

#[test]
fn a_claim_below_its_share_takes_what_is_offered() {
    let mut world = offered();
    let spec = world.spec(cpus(1000));
    world.show = "<st";
    check(
        world.place("1", spec, "a"),
        "< ok
         to a launch 1 under b1
         stream 1 rescind L1-O1
         stream 1 offers L1-O2 on a for r: 3 3996",
    );
}

#[test]
fn a_claim_above_its_share_does_not_unless_it_is_guaranteed() {
    let mut world = World::new();
    world.hello(agent("a"));
    world.hello(agent("b"));
    world.show = "<st";
    let spec = world.spec(cpus(3000));
    check(world.place("1", spec, "b"), "< ok\nto b launch 1 under b1");
    let small = world.spec(cpus(1000));
    check(world.place("2", small, "a"), "< ok\nto a launch 2 under b1");
    world.order("b", AgentOrder::Deactivate);
    world.show = "<st";
    check(
        world.subscribe(info("f", "data")),
        "stream 1 subscribed f\nstream 1 offers L1-O1 on a for data: 3 3996",
    );
    // 4 of 8 CPUs against 3 that are offered (and much of the memory and disk).
    let refused = "< what is free there is offered to framework f (role data) at the moment; tried again until that offer ends";
    world.role("data", 2000, Bound::default(), Bound::default());
    check(world.place("3", small, "a"), refused);
    world.role("*", 1000, Bound { cpus_milli: Some(5000), ..Bound::default() }, Bound::default());
    check(world.place("3", small, "a"), refused);
    let both = Bound { cpus_milli: Some(5000), mem: Some(600 * MIB), ..Bound::default() };
    world.role("*", 1000, both, Bound::default());
    let heard = world.place("3", small, "a");
    // The quota has taken the offer back already.
    assert!(heard.starts_with("< ok\nto a launch 3 under b1"), "{heard}");
}

#[test]
fn a_gang_that_fails_rescinds_nothing() {
    let mut world = offered();
    let spec = world.spec(cpus(3000));
    let both: Vec<_> = ["1", "2"].map(|name| world.placement(name, spec, "a")).into();
    world.show = "<s";
    check(
        world.claim("*", true, both),
        "< another placement of the gang was refused
         < not enough cpus is free on the agent",
    );
    assert_eq!(world.offers.len(), 1);
}

#[test]
fn who_suppresses_hears_nothing_until_it_revives() {
    let mut world = offered();
    check(world.ask("f", FrameworkCall::Suppress { roles: roles(&["other"]) }), "");
    check(world.ask("f", FrameworkCall::Suppress { roles: BTreeSet::new() }), "");
    assert_eq!(world.offers.len(), 1, "what is offered stays");
    check(world.hello(agent("b")), "");
    check(world.ask("f", FrameworkCall::Revive { roles: roles(&["other"]) }), "");
    check(
        world.ask("f", FrameworkCall::Revive { roles: roles(&["r"]) }),
        "stream 1 offers L1-O2 on b for r: 4 4096",
    );
    world.decline_offer("f", "L1-O2", 500_000);
    check(
        world.ask("f", FrameworkCall::Revive { roles: BTreeSet::new() }),
        "stream 1 offers L1-O3 on b for r: 4 4096",
    );
}
