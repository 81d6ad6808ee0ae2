//! What an agent's configuration sets apart: resources kept for roles, and disks of their own.

use super::*;
use hansa_model::agent::Hello;
use hansa_model::role::{Bound, Role};
use hansa_model::task::TaskState::*;

fn disk(mib: u64) -> Amount {
    Amount { disk: mib * MIB, ..Amount::default() }
}

fn fixed(role: &str, amount: Amount) -> Part {
    let mut part = reserved(role, amount);
    part.reservations[0].fixed = true;
    part
}

fn on(source: DiskSource, mib: u64) -> Part {
    Part { source: Some(source), ..Part::unreserved(disk(mib)) }
}

fn mount(mib: u64) -> Part {
    on(DiskSource::Mount("/m".into()), mib)
}

fn path(mib: u64) -> Part {
    on(DiskSource::Path("/p".into()), mib)
}

fn with(parts: &[Part]) -> Hello {
    Hello { parts: parts.to_vec(), ..agent("a") }
}

/// For a role, on top of what it is kept for already.
fn refined(part: Part, role: &str) -> Part {
    let reservations = [part.reservations, reserved(role, amount(0, 0)).reservations].concat();
    Part { reservations, ..part }
}

fn volume(part: Part) -> Part {
    let volume = PersistentVolume { id: "v".into(), principal: None, container_path: "data".into() };
    Part { volume: Some(volume), ..part }
}

fn reserve(part: Part) -> Operation {
    Operation::Reserve { parts: vec![part] }
}

fn unreserve(part: Part) -> Operation {
    Operation::Unreserve { parts: vec![part] }
}

fn operator(world: &mut World, operation: Operation) -> String {
    world.apply(Command::AgentParts { principal: Principal::loopback(), agent: "a".into(), operation })
}

/// A machine that sets this apart, and a framework of a role that reads stacks of reservations.
fn world(parts: &[Part], role: &str) -> (World, String) {
    let mut world = World::new();
    world.show = "<st";
    world.hello(with(parts));
    let capabilities = BTreeSet::from([Capability::ReservationRefinement, Capability::PartitionAware]);
    let heard = world.subscribe(FrameworkInfo { capabilities, ..info("f", role) });
    (world, heard)
}

#[test]
fn what_is_kept_for_a_role_is_offered_to_it_and_those_below_alone() {
    let parts = [fixed("r", amount(1000, 512))];
    let (mut own, heard) = world(&parts, "r");
    check(heard, "stream 1 subscribed f\nstream 1 offers L1-O1 on a for r: 3 3584 + 1 512 (=r)");
    let (_, heard) = world(&parts, "r/b");
    assert!(heard.ends_with("for r/b: 3 3584 + 1 512 (=r)\n"), "{heard}");
    for other in ["*", "q", "rr"] {
        let (_, heard) = world(&parts, other);
        assert!(heard.ends_with(&format!("for {other}: 3 3584\n")), "{heard}");
    }
    assert!(own.free("a").starts_with("cpus:3;mem:3584"), "it is in no claim's way: {}", own.free("a"));
    // A task uses it, the agent comes back, a new leader comes: it is all there once.
    let of_it = TaskAsked { parts: vec![fixed("r", amount(600, 100))], ..task("t", "a") };
    own.accept("f", "L1-O1", vec![launch([of_it])]);
    own.says("a", "t", 1, Running);
    let report = own.held("t", 1, Running);
    own.restart();
    own.hello(Hello { groups: vec![report], ..with(&parts) });
    check(
        own.subscribe(info("f", "r")),
        "stream 2 subscribed f\nstream 2 offers L2-O1 on a for r: 3 3584 + 0.4 412 (=r)",
    );
}

#[test]
fn nobody_takes_the_configurations_reservation_back() {
    let kept = fixed("r", amount(1000, 512));
    let (mut world, _) = world(std::slice::from_ref(&kept), "r");
    world.show = "<rs";
    let said = operator(&mut world, unreserve(kept.clone()));
    assert!(said.contains("a STATIC one can only be changed by the agent's --resources"), "{said}");
    let said = operator(&mut world, reserve(fixed("s", amount(1, 1))));
    assert!(said.contains("a STATIC one can only be made by the agent's --resources"), "{said}");
    // On top of it there may be others, which can be taken back.
    let top = refined(kept.clone(), "r/x");
    check(
        operator(&mut world, reserve(top.clone())),
        "record put parts a
         stream 1 rescind L1-O1
         stream 1 offers L1-O2 on a for r: 3 3584",
    );
    check(
        operator(&mut world, unreserve(top)),
        "record put parts a
         stream 1 offers L1-O3 on a for r: 1 512 (=r)",
    );
    check(world.accept("f", "L1-O3", vec![unreserve(kept)]), "");
    assert!(world.store.contains_key("parts a"));
}

#[test]
fn another_configuration_counts_when_the_agent_comes_back() {
    let (mut world, _) = world(&[fixed("r", amount(1000, 512)), mount(300)], "r");
    let used = TaskAsked { parts: vec![fixed("r", amount(700, 100))], ..task("t", "a") };
    world.accept("f", "L1-O1", vec![launch([used])]);
    world.says("a", "t", 1, Running);
    world.ack("f", "t");
    let held = |world: &World| vec![world.held("t", 1, Running)];
    let groups = held(&world);
    check(
        world.hello(Hello { groups, ..with(&[fixed("r", amount(2000, 512)), fixed("q", amount(100, 100))]) }),
        "stream 1 offers L1-O2 on a for r: 1.9 3484 + 1.3 412 (=r)",
    );
    // What is used of what is no more configured stays until nobody uses it.
    let groups = held(&world);
    check(
        world.hello(Hello { groups, ..with(&[]) }),
        "stream 1 rescind L1-O2\nstream 1 offers L1-O3 on a for r: 3.3 3996",
    );
    check(world.says("a", "t", 2, Finished), "stream 1 update t TASK_FINISHED !");
    assert!(world.free("a").starts_with("cpus:4;mem:4096;disk:1000"), "{}", world.free("a"));
    assert!(!world.store.contains_key("parts a"));
}

#[test]
fn what_is_kept_counts_as_consumed_quota() {
    let (mut world, _) = world(&[fixed("r", amount(2000, 512))], "r");
    world.decline_all("f");
    let limit = |cpus_milli| Role {
        name: "r".into(),
        weight_milli: 1000,
        guarantee: Bound::default(),
        limit: Bound { cpus_milli: Some(cpus_milli), ..Bound::default() },
    };
    let set = |role| Command::SetRoles { principal: Principal::loopback(), roles: vec![role], force: false };
    let said = world.apply(set(limit(1000)));
    assert!(said.contains("role 'r' has 2 of cpus already"), "{said}");
    check(world.apply(set(limit(2500))), "");
    let heard = world.ask("f", FrameworkCall::Revive { roles: BTreeSet::new() });
    assert!(heard.ends_with("for r: 0.5 3584 + 2 512 (=r)\n"), "{heard}");
}

#[test]
fn a_disk_of_its_own_is_offered_by_itself_and_no_claim_gets_it() {
    let (mut world, heard) = world(&[mount(300), path(200)], "r");
    check(
        heard,
        "stream 1 subscribed f
         stream 1 offers L1-O1 on a for r: 4 4096 + disk 200 on /p + disk 300 on /m",
    );
    assert!(world.free("a").contains("disk:500"), "{}", world.free("a"));
    // A part of MOUNT is nothing that there is, whatever is done with it; a part of PATH is.
    world.show = "<rs";
    let some = TaskAsked { parts: vec![open(1000, 128), mount(100)], ..task("t", "a") };
    let heard = world.accept("f", "L1-O1", vec![reserve(refined(mount(299), "r")), launch([some])]);
    assert!(heard.contains("update t TASK_ERROR"), "{heard}");
    let said = operator(&mut world, reserve(refined(mount(100), "r")));
    assert!(said.contains("MOUNT disk /m is not free, or of another size: it is taken whole"), "{said}");
    let said = operator(&mut world, reserve(Part { amount: amount(1, 1), ..refined(mount(1), "r") }));
    assert!(said.contains("on the MOUNT disk /m there is disk only"), "{said}");
    let heard = operator(&mut world, reserve(refined(path(50), "r")));
    assert!(heard.ends_with("4 4096 + disk 150 on /p + disk 300 on /m + disk 50 on /p (r)\n"), "{heard}");
}

#[test]
fn a_volume_on_a_disk_of_its_own() {
    let (mut world, _) = world(&[mount(300)], "r");
    world.show = "<st";
    let kept = refined(mount(300), "r");
    let create = |part: Part| Operation::Create { parts: vec![volume(part)] };
    let small = Part { amount: disk(100), ..kept.clone() };
    check(
        world.accept("f", "L1-O1", vec![reserve(kept.clone()), create(small), create(kept.clone())]),
        "stream 1 offers L1-O2 on a for r: 4 4096 + disk 300 on /m (r) [v]",
    );
    let with_it = TaskAsked { parts: vec![open(1000, 128), volume(kept.clone())], ..task("t", "a") };
    world.show = "s";
    world.accept("f", "L1-O2", vec![launch([with_it])]);
    assert_eq!(world.launched("t").framework.as_ref().unwrap().tasks[0].parts[1], volume(kept.clone()));
    // A master that lost its store learns of it from the agent, and the disk is there once.
    world.says("a", "t", 1, Running);
    let report = world.held("t", 1, Running);
    let mut world = World { launches: world.launches.clone(), ..World::new() };
    world.show = "st";
    world.hello(Hello {
        groups: vec![report],
        volumes: vec![("r".into(), "v".into())],
        ..with(&[mount(300)])
    });
    let heard = world.subscribe(info("f", "r"));
    assert!(heard.ends_with("offers L1-O1 on a for r: 3 3968\n"), "{heard}");
    let heard = world.says("a", "t", 2, Finished);
    assert!(heard.ends_with("disk 300 on /m (r) [v]\n"), "{heard}");
    let destroy = Operation::Destroy { parts: vec![volume(kept.clone())] };
    let heard = world.accept("f", "L1-O2", vec![destroy, unreserve(kept)]);
    assert!(heard.starts_with("to a remove volume v of r\n"), "{heard}");
    assert!(heard.ends_with("+ disk 300 on /m\n"), "{heard}");
}

#[test]
fn quota_divides_path_and_never_mount() {
    let limit = |disk: u64| Role {
        name: "r".into(),
        weight_milli: 1000,
        guarantee: Bound::default(),
        limit: Bound { disk: Some(disk * MIB), ..Bound::default() },
    };
    let offered = |most: u64| {
        let mut world = World::new();
        world.show = "s";
        world.hello(Hello {
            resources: "cpus:4;mem:4096;disk:600".parse().unwrap(),
            ..with(&[path(200), mount(300)])
        });
        world.apply(Command::SetRoles {
            principal: Principal::loopback(),
            roles: vec![limit(most)],
            force: false,
        });
        let heard = world.subscribe(info("f", "r"));
        let disk = world.offers.values().flat_map(|offer| &offer.parts).map(|part| part.amount.disk / MIB);
        (heard.split(": ").last().unwrap().trim().to_owned(), disk.sum::<u64>())
    };
    // 100 MiB are the agent's own disk.
    assert_eq!(offered(600), ("4 4096 + disk 200 on /p + disk 300 on /m".into(), 600));
    assert_eq!(offered(599), ("4 4096 + disk 200 on /p".into(), 300));
    assert_eq!(offered(250), ("4 4096 + disk 150 on /p".into(), 250));
    assert_eq!(offered(50), ("4 4096".into(), 50));
}

#[test]
fn guarantees_are_kept_on_the_agents_own_disk() {
    let (mut world, _) = world(&[mount(300)], "r");
    world.decline_all("f");
    let other = Role {
        name: "q".into(),
        weight_milli: 1000,
        guarantee: Bound { disk: Some(600 * MIB), ..Bound::default() },
        limit: Bound::default(),
    };
    world.apply(Command::SetRoles { principal: Principal::loopback(), roles: vec![other], force: false });
    world.ask("f", FrameworkCall::Revive { roles: BTreeSet::new() });
    let offer = world.offers.values().next().expect("it is offered something").clone();
    let disks: Vec<u64> = offer.parts.iter().map(|part| part.amount.disk / MIB).collect();
    assert_eq!(disks, [100, 300], "600 of 700 are kept, and the other disk is nothing of that");
    // That it is offered makes nobody's headroom less: no offer is taken back for it.
    assert!(!world.pass(2_000).contains("rescind"));
}
