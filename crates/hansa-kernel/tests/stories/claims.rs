//! Claims: granted, refused, repeated, ganged.

use crate::world::*;
use hansa_kernel::{AgentOrder, Command};
use hansa_model::agent::Hello;
use hansa_model::app::{Constraint, Operator};
use hansa_model::resources::PortDemand;
use hansa_model::scheduler::{Call, Claim};
use hansa_model::spec::GroupSpec;
use hansa_model::task::TaskState::*;
use hansa_model::{Owner, Principal, SpecId};
use hansa_placement::{Peers, Request};

fn ready() -> (World, SpecId) {
    let mut world = World::new();
    world.hello(agent("a"));
    world.hello(agent("b"));
    let spec = world.spec(cpus(1500));
    (world, spec)
}

#[test]
fn the_same_claim_again_has_the_same_answer() {
    let (mut world, spec) = ready();
    let placement = world.placement("web", spec, "a");
    world.claim("*", false, vec![placement.clone()]);
    check(world.claim("*", false, vec![placement.clone()]), "< ok");
    let elsewhere = world.placement("web", spec, "b");
    check(world.claim("*", false, vec![elsewhere]), "< instance web has a live task already");
    check(world.claim("other", false, vec![placement]), "< instance web has a live task already");
    assert_eq!(world.free("a").split(';').next(), Some("cpus:2.5"));
}

#[test]
fn every_refusal_says_why() {
    let (mut world, spec) = ready();
    let good = world.placement("web", spec, "a");
    let refused = |world: &mut World, change: fn(&mut hansa_model::scheduler::Placement)| {
        let mut placement = good.clone();
        change(&mut placement);
        world.claim("*", false, vec![placement])
    };
    check(refused(&mut world, |p| p.agent = "z".into()), "< agent z is not known");
    check(refused(&mut world, |p| p.spec = SpecId(99)), "< the spec is not registered");
    let wrong = "< the allocation does not answer the spec's demand";
    check(refused(&mut world, |p| p.allocation.cpus_milli += 1), wrong);
    check(refused(&mut world, |p| p.allocation.ports.push(31000)), wrong);
    check(refused(&mut world, |p| p.tasks.push("more".into())), wrong);
    check(refused(&mut world, |p| p.tasks.clear()), wrong);
    world.order("a", AgentOrder::Deactivate);
    check(refused(&mut world, |_| {}), "< agent a takes no new work");
    world.order("a", AgentOrder::Reactivate);
    world.disconnect("a");
    check(refused(&mut world, |_| {}), "< agent a takes no new work");
    world.hello(agent("a"));
    world.place("web", spec, "a");
    world.place("web2", spec, "a");
    check(world.place("web3", spec, "a"), "< not enough cpus is free on the agent");
    check(refused(&mut world, |p| p.instance = "web4".into()), "< task id web.t is taken");
}

#[test]
fn ended_task_ids_are_not_used_again() {
    let (mut world, spec) = ready();
    world.place("web", spec, "a");
    world.update("a", "web", 1, Failed);
    check(world.place("web", spec, "a"), "< task id web.t is taken");
}

#[test]
fn nobody_claims_for_others() {
    let (mut world, spec) = ready();
    let claim = Claim {
        owner: "somebody".into(),
        role: "*".into(),
        principal: Principal::loopback(),
        gang: false,
        constraints: vec![],
        placements: vec![world.placement("web", spec, "a")],
    };
    check(world.call(Call::Claim(claim)), r#"< Err(Invalid("services cannot claim for somebody"))"#);
    world.place("web", spec, "a");
    let call = Call::Kill { instance: "web".into(), grace_ms: None, message: String::new() };
    let command = Command::Call { owner: Owner::from("x"), principal: Principal::loopback(), call };
    check(world.apply(command), "< Ok(UnknownInstance)");
}

#[test]
fn each_placement_is_decided_by_itself() {
    let (mut world, spec) = ready();
    let all: Vec<_> = ["1", "2", "3", "4"].map(|name| world.placement(name, spec, "a")).into();
    check(
        world.claim("*", false, all),
        "< ok
         < ok
         < not enough cpus is free on the agent
         < not enough cpus is free on the agent
         record put spec 1
         record put assignment 1 1
         record put assignment 2 2
         event 1.t TASK_STAGING Placed
         event 2.t TASK_STAGING Placed
         to a launch 1 under b1
         to a launch 2 under b1",
    );
}

#[test]
fn a_gang_gets_all_or_nothing() {
    let (mut world, spec) = ready();
    let mut gang: Vec<_> = ["1", "2", "3"].map(|name| world.placement(name, spec, "a")).into();
    let before = world.free("a");
    check(
        world.claim("*", true, gang.clone()),
        "< another placement of the gang was refused
         < another placement of the gang was refused
         < not enough cpus is free on the agent",
    );
    assert_eq!(world.free("a"), before);
    assert_eq!(world.kernel.stored().len(), 2, "just the agents");
    gang[2].agent = "b".into();
    check(
        world.claim("*", true, gang.clone()),
        "< ok
         < ok
         < ok
         record put spec 1
         record put assignment 3 1
         record put assignment 4 2
         record put assignment 5 3
         event 1.t TASK_STAGING Placed
         event 2.t TASK_STAGING Placed
         event 3.t TASK_STAGING Placed
         to a launch 1 under b1
         to a launch 2 under b1
         to b launch 3 under b1",
    );
    check(world.claim("*", true, gang), "< ok\n< ok\n< ok");
}

#[test]
fn an_instance_twice_in_one_gang() {
    let (mut world, spec) = ready();
    let one = world.placement("1", spec, "a");
    let mut two = world.placement("2", spec, "a");
    two.tasks = one.tasks.clone();
    check(
        world.claim("*", true, vec![one.clone(), two]),
        "< another placement of the gang was refused\n< task id 1.t is taken",
    );
    check(world.claim("*", false, vec![one]).lines().next().unwrap_or_default().to_string(), "< ok");
}

#[test]
fn ports_are_given_once() {
    let (mut world, _) = ready();
    let mut group = cpus(100);
    group.tasks[0].demand.ports = vec![PortDemand::Any, PortDemand::Exact(31005)];
    let spec = world.spec(group);
    let mut one = world.placement("1", spec, "a");
    (one.allocation.ports, one.allocation.mem) = (vec![31000, 31005], 100 * hansa_model::resources::MIB);
    one.allocation.cpus_milli = 100;
    let mut two = one.clone();
    (two.instance, two.tasks) = ("2".into(), vec!["2.t".into()]);
    check(
        world.claim("*", false, vec![one, two]),
        "< ok
         < not enough ports is free on the agent
         record put spec 2
         record put assignment 1 1
         event 1.t TASK_STAGING Placed
         to a launch 1 under b1",
    );
    assert_eq!(world.free("a"), "cpus:3.9;mem:3996;disk:1000;ports:[31001-31004,31006-31009]");
}

#[test]
fn a_spec_lives_as_long_as_it_is_needed() {
    let (mut world, spec) = ready();
    assert_eq!(world.spec(cpus(1500)), spec, "the same content is the same spec");
    world.place("web", spec, "a");
    check(world.call(Call::DropSpec { spec }), "");
    check(world.call(Call::DropSpec { spec }), "");
    check(
        world.update("a", "web", 1, Finished),
        "record delete assignment 1
         record delete spec 1
         event web.t TASK_FINISHED
         event web.t removed
         notice services web.t TASK_FINISHED
         to a acknowledge web.t 1
         to a release web",
    );
    check(world.place("web2", spec, "a"), "< the spec is not registered");
    assert_ne!(world.spec(cpus(1500)), spec, "numbers are not used again");
}

#[test]
fn a_spec_needs_tasks() {
    let (mut world, _) = ready();
    let call = Call::RegisterSpec { group: GroupSpec::default().into() };
    check(world.call(call), r#"< Err(Invalid("a spec needs at least one task"))"#);
}

#[test]
fn room_is_kept_for_claims_that_only_some_machines_can_answer() {
    let mut world = World::new();
    for (name, kind) in [("a", "ssd"), ("b", "hdd")] {
        let attributes = [("disk".to_owned(), kind.to_owned())].into();
        world.hello(Hello { attributes, ..agent(name) });
    }
    let spec = world.spec(cpus(1500));
    let ssd = [Constraint { field: "disk".into(), operator: Operator::Cluster, value: Some("ssd".into()) }];
    for number in 0..40 {
        let instance = format!("i{number}");
        let claim = Claim {
            owner: Owner::services(),
            role: "*".into(),
            principal: Principal::loopback(),
            gang: false,
            constraints: ssd.to_vec(),
            placements: vec![world.placement(&instance, spec, "a")],
        };
        assert!(world.call(Call::Claim(claim)).starts_with("< ok"));
        world.update("a", &instance, 1, Failed);
    }
    let place = |constraints: &[Constraint]| {
        let demand = cpus(1500).demand();
        let (peers, role) = (Peers::new(constraints), "*".into());
        let request =
            Request { demand: &demand, constraints, peers: &peers, role: &role, accepted_roles: None };
        world.kernel.cluster().place(&request).map(|choice| choice.agent.to_string())
    };
    assert_eq!(place(&[]).as_deref(), Some("b"), "whoever can go elsewhere leaves the room alone");
    assert_eq!(place(&ssd).as_deref(), Some("a"));
}
