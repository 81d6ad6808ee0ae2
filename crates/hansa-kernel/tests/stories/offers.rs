//! Offers and claims share one book.

use crate::world::*;
use hansa_kernel::{AgentOrder, Command, OfferId};
use hansa_model::role::Bound;

fn offered() -> World {
    let mut world = World::new();
    world.hello(agent("a"));
    world.hello(agent("b"));
    world.show = "<ot";
    world
}

fn offer(world: &mut World, role: &str, agent: &str) -> String {
    world.apply(Command::Offer {
        framework: "spark".into(),
        role: role.into(),
        agent: agent.into(),
        lease_ms: 3000,
    })
}

#[test]
fn a_lease_ends() {
    let mut world = offered();
    let whole = "offer to spark cpus:4;mem:4096;disk:1000;ports:[31000-31009]";
    check(offer(&mut world, "data", "a"), whole);
    check(offer(&mut world, "data", "a"), r#"< Err(Invalid("nothing is left to offer on agent a"))"#);
    check(world.pass(2999), "");
    check(world.pass(1), "offer to spark rescinded");
    check(offer(&mut world, "data", "a"), whole);
    let decline = |by: &str| Command::DeclineOffer { framework: by.into(), offer: OfferId(2) };
    check(world.apply(decline("somebody")), "");
    check(offer(&mut world, "data", "a"), r#"< Err(Invalid("nothing is left to offer on agent a"))"#);
    check(world.apply(decline("spark")), "");
    check(world.apply(decline("spark")), "");
    check(offer(&mut world, "data", "a"), whole);
}

#[test]
fn a_claim_below_its_share_takes_what_is_offered() {
    let mut world = offered();
    offer(&mut world, "data", "a");
    let spec = world.spec(cpus(1000));
    check(
        world.place("1", spec, "a"),
        "< ok
         to a launch 1 under b1
         offer to spark rescinded",
    );
    check(offer(&mut world, "data", "a"), "offer to spark cpus:3;mem:3996;disk:1000;ports:[31000-31009]");
    world.order("a", AgentOrder::Deactivate);
    check(offer(&mut world, "data", "a"), r#"< Err(Invalid("agent a takes no new work"))"#);
    check(offer(&mut world, "data", "z"), "< Err(UnknownAgent(z))");
}

#[test]
fn a_claim_above_its_share_does_not_unless_it_is_guaranteed() {
    let mut world = offered();
    let spec = world.spec(cpus(3000));
    check(world.place("1", spec, "b"), "< ok\nto b launch 1 under b1");
    let small = world.spec(cpus(1000));
    check(world.place("2", small, "a"), "< ok\nto a launch 2 under b1");
    check(offer(&mut world, "data", "a"), "offer to spark cpus:3;mem:3996;disk:1000;ports:[31000-31009]");
    // 4 of 8 CPUs against 3 that are offered (and much of the memory and disk).
    world.role("data", 2000, Bound::default(), Bound::default());
    check(world.place("3", small, "a"), "< the resources are offered to a role that is below its share");
    world.role("*", 1000, Bound { cpus_milli: Some(5000), ..Bound::default() }, Bound::default());
    check(world.place("3", small, "a"), "< the resources are offered to a role that is below its share");
    let both = Bound { cpus_milli: Some(5000), mem: Some(u64::MAX), ..Bound::default() };
    world.role("*", 1000, both, Bound::default());
    check(
        world.place("3", small, "a"),
        "< ok
         to a launch 3 under b1
         offer to spark rescinded",
    );
}

#[test]
fn a_machine_that_changes_takes_its_offers_back() {
    let mut world = offered();
    offer(&mut world, "data", "a");
    check(world.disconnect("a"), "offer to spark rescinded");
    world.hello(agent("a"));
    offer(&mut world, "data", "a");
    check(world.hello(agent("a")), "offer to spark rescinded");
    offer(&mut world, "data", "a");
    check(
        world.order("a", AgentOrder::Gone),
        "to a refused: an operator declared this agent gone\noffer to spark rescinded",
    );
}

#[test]
fn a_gang_that_fails_rescinds_nothing() {
    let mut world = offered();
    offer(&mut world, "data", "a");
    let spec = world.spec(cpus(3000));
    let both: Vec<_> = ["1", "2"].map(|name| world.placement(name, spec, "a")).into();
    check(
        world.claim("*", true, both),
        "< another placement of the gang was refused
         < not enough cpus is free on the agent",
    );
    check(offer(&mut world, "data", "a"), r#"< Err(Invalid("nothing is left to offer on agent a"))"#);
}
