//! Quota, headroom, weights.

use crate::world::*;
use hansa_kernel::Command;
use hansa_model::Principal;
use hansa_model::role::{Bound, Role};
use hansa_model::task::TaskState::*;

fn cpu_bound(milli: u64) -> Bound {
    Bound { cpus_milli: Some(milli), ..Bound::default() }
}

#[test]
fn a_limit_is_never_exceeded() {
    let mut world = World::new();
    world.hello(agent("a"));
    check(
        world.role("dev", 1000, Bound::default(), cpu_bound(2500)),
        "record put role dev
         event role dev 0",
    );
    let spec = world.spec(cpus(1000));
    let all: Vec<_> = ["1", "2", "3"].map(|name| world.placement(name, spec, "a")).into();
    world.show = "<";
    check(
        world.claim("dev", false, all),
        "< ok
         < ok
         < the quota limit of role dev on cpus is reached",
    );
    world.update("a", "1", 1, Finished);
    let next = world.placement("4", spec, "a");
    check(world.claim("dev", false, vec![next]), "< ok");
    // A lower limit ends nothing, and lets nothing new in.
    world.role("dev", 1000, Bound::default(), cpu_bound(0));
    let next = world.placement("5", spec, "a");
    check(world.claim("dev", false, vec![next]), "< the quota limit of role dev on cpus is reached");
    let next = world.placement("6", spec, "a");
    check(world.claim("other", false, vec![next]), "< ok");
}

#[test]
fn what_is_guaranteed_to_others_stays_free() {
    let mut world = World::new();
    world.hello(agent("a"));
    world.role("prod", 1000, cpu_bound(2000), Bound::default());
    let spec = world.spec(cpus(1000));
    world.show = "<";
    let mut claim = |role: &str, name: &str| {
        let next = world.placement(name, spec, "a");
        world.claim(role, false, vec![next])
    };
    check(claim("dev", "1"), "< ok");
    check(claim("dev", "2"), "< ok");
    check(claim("dev", "3"), "< the free cpus is kept for the guarantees of other roles");
    check(claim("prod", "4"), "< ok");
    check(claim("dev", "3"), "< the free cpus is kept for the guarantees of other roles");
    check(claim("prod", "5"), "< ok");
    check(claim("prod", "6"), "< not enough cpus is free on the agent");
}

#[test]
fn machines_that_take_no_work_have_no_headroom() {
    let mut world = World::new();
    world.hello(agent("a"));
    world.hello(agent("b"));
    world.role("prod", 1000, cpu_bound(4000), Bound::default());
    let spec = world.spec(cpus(1000));
    world.show = "<";
    let next = world.placement("1", spec, "a");
    check(world.claim("dev", false, vec![next]), "< ok");
    world.disconnect("b");
    let next = world.placement("2", spec, "a");
    check(world.claim("dev", false, vec![next]), "< the free cpus is kept for the guarantees of other roles");
}

#[test]
fn settings_come_and_go() {
    let mut world = World::new();
    world.role("dev", 2000, Bound::default(), Bound::default());
    check(
        world.role("dev", 1000, Bound::default(), Bound::default()),
        "record delete role dev
         event role dev 0",
    );
    check(world.role("dev", 1000, Bound::default(), Bound::default()), "event role dev 0");
    let mut wrong = |name: &str, weight_milli, guarantee, limit| {
        let role = Role { name: name.into(), weight_milli, guarantee, limit };
        world.apply(Command::SetRole { principal: Principal::loopback(), role })
    };
    check(wrong("", 1, Bound::default(), Bound::default()), r#"< Err(Invalid("a role needs a name"))"#);
    check(
        wrong("x", 0, Bound::default(), Bound::default()),
        r#"< Err(Invalid("a role's weight must be more than 0"))"#,
    );
    check(
        wrong("x", 1, cpu_bound(2), cpu_bound(1)),
        r#"< Err(Invalid("a role's guarantee must not exceed its limit"))"#,
    );
}
