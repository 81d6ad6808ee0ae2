//! Lives of clusters at random, and what must hold at every step: nothing is offered that is not idle, or twice; no limit
//! is exceeded; what is guaranteed to others stays idle; and nothing idle is kept from anybody without a reason.

use super::world::*;
use crate::allocator::evaluate::Obstacle;
use crate::allocator::quota::Room;
use crate::roles::View;
use hansa_model::framework::{Amount, AttributeConstraint, DiskSource, Part, Predicate, Selector};
use hansa_model::resources::MIB;
use hansa_model::role::{Bound, Role};
use proptest::prelude::*;

const ROLES: [&str; 5] = ["a", "b", "a/x", "a/y", "c"];
const FRAMEWORKS: [&str; 5] = ["f0", "f1", "f2", "f3", "f4"];

#[derive(Clone, Debug)]
enum Step {
    Machine(u8, u64, u8),
    Join(u8, u8, u8),
    Leave(u8, bool),
    Suppress(u8, u8),
    Revive(u8, u8),
    Decline(u8, u64),
    Accept(u8, u64),
    Finish(u8),
    Claim(u8, u8, u64),
    Unclaim(u8),
    Demand(u8, u64, u32),
    Quota(u8, u64, Option<u64>, Option<u64>),
    Active(u8, bool),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..8u8, 1..5u64, 0..6u8).prop_map(|(id, cpus, kind)| Step::Machine(id, cpus, kind)),
        4 => (0..5u8, 0..31u8, 0..8u8).prop_map(|(id, roles, kind)| Step::Join(id, roles, kind)),
        1 => (0..5u8, any::<bool>()).prop_map(|(id, gone)| Step::Leave(id, gone)),
        1 => (0..5u8, 0..6u8).prop_map(|(id, role)| Step::Suppress(id, role)),
        2 => (0..5u8, 0..6u8).prop_map(|(id, role)| Step::Revive(id, role)),
        6 => (0..5u8, 0..20_000u64).prop_map(|(id, ms)| Step::Decline(id, ms)),
        4 => (0..5u8, 0..3u64).prop_map(|(id, cpus)| Step::Accept(id, cpus)),
        3 => any::<u8>().prop_map(Step::Finish),
        2 => (0..8u8, 0..5u8, 1..4u64).prop_map(|(id, role, cpus)| Step::Claim(id, role, cpus)),
        2 => any::<u8>().prop_map(Step::Unclaim),
        1 => (0..5u8, 1..4u64, 0..3u32).prop_map(|(role, cpus, count)| Step::Demand(role, cpus, count)),
        2 => (0..5u8, 1..4u64, prop::option::of(0..12u64), prop::option::of(0..12u64))
            .prop_map(|(role, weight, guarantee, limit)| Step::Quota(role, weight, guarantee, limit)),
        1 => (0..8u8, any::<bool>()).prop_map(|(id, active)| Step::Active(id, active)),
        4 => (0..8_000u64).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..120)
}

fn machine(id: u8) -> String {
    format!("m{id}")
}

/// Claims: whose, where, how many CPUs.
type Claims = Vec<(u8, u8, u64)>;

fn apply(world: &mut World, claims: &mut Claims, step: &Step) {
    let id = |at: u8| FRAMEWORKS[usize::from(at)];
    let role = |at: u8| ROLES[usize::from(at)];
    match *step {
        Step::Machine(at, cpus, kind) => {
            if world.machines.contains_key(machine(at).as_str()) {
                return;
            }
            let mut parts = vec![Part::unreserved(amount(cpus * 1000, 1024))];
            if kind == 5 {
                let disk = |disk| Amount { disk: disk * MIB, ..Amount::default() };
                parts[0].amount.disk = 1024 * MIB;
                let source = Some(DiskSource::Path("/p".into()));
                parts.push(Part { source, amount: disk(cpus * 512), ..Part::default() });
            }
            if kind < 2 {
                parts.push(kept(["a", "a/x"][usize::from(kind)], amount(1000, 512)));
            }
            let machine = world.machine(&machine(at), parts);
            machine.has_gpus = kind == 3;
            if kind == 4 {
                machine.attributes.insert("rack".into(), "r".into());
            }
        }
        Step::Join(at, roles, kind) => {
            let chosen = (0..5).filter(|bit| roles & (1 << bit) != 0).map(|bit| role(bit).into());
            let mut taker = World::taker("");
            taker.roles = chosen.collect();
            (taker.gpus, taker.refined) = (kind & 1 != 0, kind & 2 != 0);
            if kind & 4 != 0 {
                let rack = Selector::Attribute("rack".into());
                let rack = AttributeConstraint { selector: rack, predicate: Predicate::Exists };
                taker.constraints.roles.insert("b".into(), vec![vec![rack]]);
                taker.min_allocatable.insert("c".into(), vec![amount(2000, 0)]);
            }
            world.allocator.put(&id(at).into(), taker);
        }
        Step::Leave(at, gone) => {
            let name = id(at);
            world.allocator.deactivate(&name.into());
            for offer in world.held_by(name) {
                world.end(&offer);
            }
            if gone {
                while let Some(task) = world.tasks.iter().position(|task| task.framework.as_str() == name) {
                    world.finish(task);
                }
                world.allocator.remove(&name.into());
            }
        }
        Step::Suppress(at, which) => {
            let roles = (which < 5).then(|| role(which).into()).into_iter().collect();
            world.allocator.suppress(&id(at).into(), &roles);
        }
        Step::Revive(at, which) => {
            let roles = (which < 5).then(|| role(which).into()).into_iter().collect();
            world.allocator.revive(&id(at).into(), &roles);
        }
        Step::Decline(at, ms) => world.decline(id(at), ms),
        Step::Accept(at, cpus) => {
            world.accept(id(at), &amount(cpus * 1000, 100), 1_000);
        }
        Step::Finish(at) => {
            if !world.tasks.is_empty() {
                world.finish(usize::from(at) % world.tasks.len());
            }
        }
        Step::Claim(at, by, cpus) => {
            // As the kernel: it fits into what is idle, limits, and headroom.
            let want = amount(cpus * 1000, 64);
            let Some(machine_now) = world.machines.get(machine(at).as_str()) else { return };
            let idle = machine_now.idle.iter().find(|part| part.role().is_none());
            if machine_now.inactive || idle.is_none_or(|idle| idle.amount.contains(&want).is_err()) {
                return;
            }
            let free = world.free();
            if world.roles.allows(&role(by).into(), &allocation(&want), free).is_ok() {
                world.claim(role(by), &machine(at), want);
                claims.push((at, by, cpus));
            }
        }
        Step::Unclaim(at) => {
            if !claims.is_empty() {
                let (at, by, cpus) = claims.remove(usize::from(at) % claims.len());
                world.unclaim(role(by), &machine(at), amount(cpus * 1000, 64));
            }
        }
        Step::Demand(at, cpus, count) => world.demand(role(at), &amount(cpus * 1000, 64), count),
        Step::Quota(at, weight, guarantee, limit) => {
            // Not below what is consumed: an operator may, but then nothing could be checked.
            let tree = world.roles.tree();
            let is = tree.find(role(at)).map(|at| tree.node(at).whole.consumed(View::Claims));
            let is = is.unwrap_or_default();
            let disk = limit.filter(|_| weight % 2 == 0).map(|limit| (limit * 512 * MIB).max(is.disk));
            let limit = limit.map(|limit| (limit * 1000).max(is.cpus_milli));
            let guarantee = guarantee.map(|cpus| (cpus * 1000).min(limit.unwrap_or(u64::MAX)));
            world.roles.set(Role {
                name: role(at).into(),
                weight_milli: weight * 1000,
                guarantee: Bound { cpus_milli: guarantee, ..Bound::default() },
                limit: Bound { cpus_milli: limit, disk, ..Bound::default() },
            });
            world.allocator.roles_changed();
        }
        Step::Active(at, active) => {
            let name = machine(at);
            let Some(machine) = world.machines.get_mut(name.as_str()) else { return };
            machine.inactive = !active;
            if !active {
                let there = world.offers.iter().filter(|(_, held)| held.offer.agent.as_str() == name);
                let there: Vec<_> = there.map(|(id, _)| id.clone()).collect();
                for offer in there {
                    world.end(&offer);
                }
            }
            world.allocator.machine_changed(&name.as_str().into());
        }
        Step::Pass(ms) => world.now = world.now + ms,
    }
}

/// Whoever takes offers gets whatever it may have of what is idle.
fn nothing_is_withheld(world: &mut World) {
    let free = world.free();
    let World { allocator, roles, machines, now, .. } = world;
    let mut counts = allocator.filters.counts(*now);
    counts.retain(|_, count| *count > 0);
    assert_eq!(*allocator.filters.held(), counts, "refusals that hold");
    for (agent, machine) in machines.iter().filter(|(_, machine)| !machine.inactive) {
        let idle = machine.idle_now(agent);
        let mut left = idle.parts.clone();
        crate::allocator::propose::lessen(&mut left, &allocator.held_on(roles, agent));
        for (at, seat) in allocator.wanting() {
            let role_at = seat.role_at.expect("counted");
            let room = Room::of(roles, role_at, free);
            let refusals = allocator.filters.on(agent);
            let answer = allocator.evaluate_alone(*now, &idle, refusals, &left, &room, (at, seat));
            let (framework, role) = (&seat.framework, &seat.role);
            assert!(
                answer.is_err(),
                "{framework} in {role} could have {answer:?} of {agent}, idle for nobody"
            );
            if let Err(Obstacle::Refused(until)) = answer {
                assert!(until > *now, "a refusal that ended");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_breaks(steps in steps()) {
        let mut world = World::new();
        let mut claims = Claims::new();
        for step in &steps {
            apply(&mut world, &mut claims, step);
            world.rescind();
            // A second time: what was taken back may have been given again.
            prop_assert_eq!(world.propose(), Vec::<String>::new());
            nothing_is_withheld(&mut world);
        }
    }

    /// Lists of where quota stands in the way spare looks, and change nothing else.
    #[test]
    fn lists_change_nothing(steps in steps()) {
        let (mut world, mut other) = (World::new(), World::new());
        other.allocator.stopped.without_lists = true;
        let (mut claims, mut same) = (Claims::new(), Claims::new());
        for step in &steps {
            apply(&mut world, &mut claims, step);
            apply(&mut other, &mut same, step);
            prop_assert_eq!(world.rescind(), other.rescind());
            prop_assert_eq!(world.allocator.next_deadline(), other.allocator.next_deadline());
        }
    }
}
