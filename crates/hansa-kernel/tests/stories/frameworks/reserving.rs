//! Reservations and volumes.

use super::*;
use hansa_model::role::{Bound, Role};
use hansa_model::task::TaskState::*;

fn disk(mib: u64) -> Amount {
    Amount { disk: mib * MIB, ..Amount::default() }
}

fn volume(id: &str, mib: u64) -> Part {
    let volume = PersistentVolume { id: id.into(), principal: None, container_path: "data".into() };
    Part { volume: Some(volume), ..reserved("r", disk(mib)) }
}

fn reserve(parts: impl IntoIterator<Item = Part>) -> Operation {
    Operation::Reserve { parts: parts.into_iter().collect() }
}

fn operator(world: &mut World, operation: Operation) -> String {
    world.apply(Command::AgentParts { principal: Principal::loopback(), agent: "a".into(), operation })
}

#[test]
fn what_is_reserved_can_be_used_at_once_and_comes_back_unfiltered() {
    let mut world = offered();
    world.show = "rs";
    let small = TaskAsked { parts: vec![reserved("r", amount(500, 64))], ..task("t", "a") };
    check(
        world.accept("f", "L1-O1", vec![reserve([reserved("r", amount(2000, 256))]), launch([small])]),
        "record put parts a
         stream 1 offers L1-O2 on a for r: 2 3840 + 1.5 192 (r)",
    );
    assert!(world.free("a").starts_with("cpus:2;mem:3840"), "what is reserved is in no claim's way");
    // It counts for the role, used or not; and a new leader knows it.
    world.says("a", "t", 1, Running);
    let report = world.held("t", 1, Running);
    world.show = "s";
    world.restart();
    let mut hello = agent("a");
    hello.groups = vec![report];
    world.hello(hello);
    check(
        world.subscribe(info("f", "r")),
        "stream 2 subscribed f
         stream 2 offers L2-O1 on a for r: 2 3840 + 1.5 192 (r)",
    );
    check(
        world.says("a", "t", 2, Finished),
        "stream 2 update t TASK_FINISHED !
         stream 2 offers L2-O2 on a for r: 0.5 64 (r)",
    );
}

#[test]
fn nobody_else_is_offered_it() {
    let mut world = offered();
    world.accept("f", "L1-O1", vec![reserve([reserved("r", amount(2000, 256))])]);
    world.decline_all("f");
    check(
        world.subscribe(info("g", "other")),
        "stream 2 subscribed g\nstream 2 offers L1-O3 on a for other: 2 3840",
    );
}

#[test]
fn reservations_are_unmade_by_the_last() {
    let mut world = offered();
    world.show = "rs";
    world.accept("f", "L1-O1", vec![reserve([reserved("r", amount(2000, 256))])]);
    check(
        world.accept(
            "f",
            "L1-O2",
            vec![Operation::Unreserve { parts: vec![reserved("r", amount(2000, 256))] }],
        ),
        "record delete parts a
         stream 1 offers L1-O3 on a for r: 4 4096",
    );
    assert!(world.free("a").starts_with("cpus:4;mem:4096"));
}

#[test]
fn what_may_not_be_reserved_is_dropped() {
    let mut world = offered();
    world.show = "rs";
    let mut kept = reserved("r", amount(100, 32));
    kept.reservations[0].principal = Some("eve".into());
    let wrong = vec![
        reserve([reserved("other", amount(100, 32))]),
        reserve([reserved("r", amount(5000, 32))]),
        reserve([open(100, 32)]),
        reserve([kept]),
        Operation::Unreserve { parts: vec![reserved("r", amount(100, 32))] },
        Operation::Create { parts: vec![volume("v", 100)] },
        Operation::Unsupported { name: "GROW_VOLUME".into() },
    ];
    check(world.accept("f", "L1-O1", wrong), "");
    assert!(!world.store.contains_key("parts a"));
}

#[test]
fn a_volume_from_create_to_destroy() {
    let mut world = offered();
    world.show = "rst";
    let create = Operation::Create { parts: vec![volume("v", 200)] };
    check(
        world.accept("f", "L1-O1", vec![reserve([reserved("r", disk(500))]), create.clone()]),
        "record put parts a
         record put parts a
         stream 1 offers L1-O2 on a for r: 4 4096 + disk 300 (r) + disk 200 (r) [v]",
    );
    let with = TaskAsked { parts: vec![volume("v", 200)], ..task("t", "a") };
    let again = Operation::Create { parts: vec![volume("v", 100)] };
    let destroy = || Operation::Destroy { parts: vec![volume("v", 200)] };
    world.show = "rs";
    check(world.accept("f", "L1-O2", vec![launch([with]), again, destroy()]), "");
    let launched = world.launched("t").clone();
    assert_eq!(launched.framework.unwrap().tasks[0].parts, [volume("v", 200)]);
    assert!(operator(&mut world, destroy()).is_empty());
    assert!(world.store.contains_key("parts a"), "it is used");
    world.show = "st";
    let heard = world.says("a", "t", 1, Finished);
    assert!(heard.ends_with("disk 300 (r) + disk 200 (r) [v]\n"), "{heard}");
    check(
        world.accept("f", "L1-O3", vec![destroy()]),
        "to a remove volume v of r
         stream 1 offers L1-O4 on a for r: 4 4096 + disk 500 (r)",
    );
}

#[test]
fn an_agent_loses_volumes_that_nobody_knows() {
    let mut world = offered();
    let create = Operation::Create { parts: vec![volume("v", 200)] };
    world.accept("f", "L1-O1", vec![reserve([reserved("r", disk(500))]), create]);
    world.show = "t";
    let mut hello = agent("a");
    hello.volumes = vec![("r".into(), "v".into()), ("r".into(), "old".into()), ("s".into(), "v".into())];
    check(world.hello(hello), "to a remove volume old of r\nto a remove volume v of s");
}

#[test]
fn an_operator_takes_back_what_is_offered_but_not_what_is_used() {
    let mut world = offered();
    world.show = "<rs";
    check(
        operator(&mut world, reserve([reserved("r", amount(3000, 256))])),
        "record put parts a
         stream 1 rescind L1-O1
         stream 1 offers L1-O2 on a for r: 1 3840 + 3 256 (r)",
    );
    check(
        operator(&mut world, reserve([reserved("r", amount(2000, 256))])),
        r#"< Err(NotFree("there is not enough cpus for the operation"))"#,
    );
    let refined = Part {
        reservations: [reserved("r", amount(1, 1)).reservations, reserved("r/x", amount(1, 1)).reservations]
            .concat(),
        ..reserved("r", amount(1000, 100))
    };
    check(
        operator(&mut world, reserve([refined.clone()])),
        "record put parts a
         stream 1 rescind L1-O2
         stream 1 offers L1-O3 on a for r: 1 3840 + 2 156 (r)",
    );
    check(
        operator(&mut world, Operation::Unreserve { parts: vec![refined] }),
        "record put parts a
         stream 1 offers L1-O4 on a for r: 1 100 (r)",
    );
    let wrong = reserve([reserved("*", amount(1, 1))]);
    assert!(operator(&mut world, wrong).contains("nothing can be reserved for the role '*'"));
    let nobody = Command::AgentParts {
        principal: Principal::loopback(),
        agent: "z".into(),
        operation: reserve([reserved("r", amount(1, 1))]),
    };
    check(world.apply(nobody), "< Err(UnknownAgent(z))");
}

#[test]
fn devices_of_reservations_are_known_by_name() {
    let mut world = World::new();
    world.show = "s";
    let resources = "cpus:4;mem:4096;gpus:3".parse().unwrap();
    world.hello(hansa_model::agent::Hello { resources, ..agent("a") });
    let gpus = |count| Amount { gpus: count, ..amount(1000, 128) };
    let capabilities = BTreeSet::from([Capability::GpuResources]);
    check(
        world.subscribe(FrameworkInfo { capabilities, ..info("f", "r") }),
        "stream 1 subscribed f
         stream 1 offers L1-O1 on a for r: 4 4096 gpus 3",
    );
    let of_pot = TaskAsked { parts: vec![reserved("r", gpus(1))], ..task("pot", "a") };
    let both =
        TaskAsked { parts: vec![Part::unreserved(gpus(1)), reserved("r", gpus(1))], ..task("both", "a") };
    world.accept(
        "f",
        "L1-O1",
        vec![reserve([reserved("r", Amount { gpus: 2, ..amount(2000, 256) })]), launch([of_pot, both])],
    );
    let devices = |world: &World, task: &str| {
        world.launched(task).allocation.gpus.iter().map(|&(device, _)| device).collect::<Vec<_>>()
    };
    assert_eq!((devices(&world, "pot"), devices(&world, "both")), (vec![0], vec![1, 2]));
}

#[test]
fn quota_counts_what_is_reserved() {
    let mut world = offered();
    world.accept("f", "L1-O1", vec![reserve([reserved("r", amount(2000, 256))])]);
    world.show = "<";
    let limit = |cpus_milli| Role {
        name: "r".into(),
        weight_milli: 1000,
        guarantee: Bound::default(),
        limit: Bound { cpus_milli: Some(cpus_milli), ..Bound::default() },
    };
    let set = |roles, force| Command::SetRoles { principal: Principal::loopback(), roles, force };
    let said = world.apply(set(vec![limit(1000)], false));
    assert!(said.contains("role 'r' has 2 of cpus already, more than its new limit of 1"), "{said}");
    assert!(!world.store.contains_key("role r"));
    check(world.apply(set(vec![limit(1000)], true)), "");
    let guarantee = Role {
        name: "s".into(),
        guarantee: Bound { cpus_milli: Some(5000), ..Bound::default() },
        limit: Bound::default(),
        weight_milli: 1000,
    };
    let fine = Role { name: "fine".into(), weight_milli: 2000, ..limit(9000) };
    let said = world.apply(set(vec![fine.clone(), guarantee.clone()], false));
    assert!(said.contains("all guarantees together would be 5 of cpus, and the cluster has 4"), "{said}");
    assert!(!world.store.contains_key("role fine"), "all or none");
    check(world.apply(set(vec![fine, guarantee], true)), "");
    assert!(world.store.contains_key("role fine") && world.store.contains_key("role s"));
}
