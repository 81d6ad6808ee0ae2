//! Whatever clients ask and machines do, in whatever order, with restarts in between: the invariants hold at every
//! step, and once everything is quiet, what was asked for last is what runs.

use super::world::{World, agent};
use super::*;
use hansa_model::event::AgentState;
use hansa_model::group::{GroupChange, GroupTarget};
use hansa_model::scheduler::Notice;
use hansa_model::service::{Deploy, ServiceAnswer};
use hansa_model::task::TaskState;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Act {
    Put { app: usize, instances: u32, command: u8, checks: bool, upgrade: (u16, u16), force: bool },
    Scale { app: usize, instances: u32, force: bool },
    Restart { app: usize, force: bool },
    Remove { app: usize, force: bool },
    Back { app: usize },
    Kill { which: usize, scale: bool, wipe: bool },
    Cancel { force: bool },
    Steps(usize),
    Time(u64),
    Fail { which: usize, state: TaskState },
    Sick { which: usize },
    Lose(usize),
    Return(usize),
    Drain(usize),
    Reset(usize),
    Canary { app: usize, milli: u16 },
    Group { depends: bool, exists: bool },
    Pause,
    Resume,
    MasterRestarts,
    Refuse(bool),
}

const APPS: [&str; 3] = ["/a", "/b/c", "/b/d"];

fn act() -> impl Strategy<Value = Act> {
    let app = 0..APPS.len();
    let upgrade =
        prop_oneof![Just((1000, 1000)), Just((500, 0)), Just((0, 0)), Just((1000, 0)), Just((700, 300))];
    prop_oneof![
        4 => (app.clone(), 0..6u32, 0..3u8, any::<bool>(), upgrade, any::<bool>()).prop_map(
            |(app, instances, command, checks, upgrade, force)| Act::Put {
                app, instances, command, checks, upgrade, force
            }
        ),
        2 => (app.clone(), 0..6u32, any::<bool>()).prop_map(|(app, instances, force)| Act::Scale { app, instances, force }),
        2 => (app.clone(), any::<bool>()).prop_map(|(app, force)| Act::Restart { app, force }),
        1 => (app.clone(), any::<bool>()).prop_map(|(app, force)| Act::Remove { app, force }),
        1 => app.clone().prop_map(|app| Act::Back { app }),
        2 => (any::<usize>(), any::<bool>(), any::<bool>()).prop_map(|(which, scale, wipe)| Act::Kill { which, scale, wipe }),
        2 => any::<bool>().prop_map(|force| Act::Cancel { force }),
        8 => (1..8usize).prop_map(Act::Steps),
        2 => (1..5000u64).prop_map(Act::Time),
        2 => (any::<usize>(), prop_oneof![
            Just(TaskState::Failed), Just(TaskState::Finished), Just(TaskState::Gone), Just(TaskState::Dropped),
            Just(TaskState::Killed), Just(TaskState::Error)
        ]).prop_map(|(which, state)| Act::Fail { which, state }),
        1 => any::<usize>().prop_map(|which| Act::Sick { which }),
        1 => (0..4usize).prop_map(Act::Lose),
        1 => (0..4usize).prop_map(Act::Return),
        1 => (0..4usize).prop_map(Act::Drain),
        1 => app.clone().prop_map(Act::Reset),
        1 => (app, 0..1000u16).prop_map(|(app, milli)| Act::Canary { app, milli }),
        1 => any::<(bool, bool)>().prop_map(|(depends, exists)| Act::Group { depends, exists }),
        1 => Just(Act::Pause),
        1 => Just(Act::Resume),
        2 => Just(Act::MasterRestarts),
        1 => any::<bool>().prop_map(Act::Refuse),
    ]
}

fn pick(world: &World, which: usize) -> Option<hansa_model::InstanceId> {
    let count = world.groups.len();
    (count > 0).then(|| world.groups.keys().nth(which % count).cloned())?
}

fn perform(world: &mut World, act: Act) {
    let ask = |world: &mut World, command| {
        let _ = world.command(command);
    };
    let changing = |changes, force| ServiceCommand::Change { changes, force };
    match act {
        Act::Put { app: which, instances, command, checks, upgrade, force } => {
            let mut spec = with_upgrade(app(APPS[which], instances), upgrade.0, upgrade.1);
            spec.command = Command::Shell(format!("version {command}"));
            spec.cpus_milli = 700;
            if command == 2 {
                spec.constraints = vec![hansa_model::app::Constraint {
                    field: "hostname".into(),
                    operator: hansa_model::app::Operator::MaxPer,
                    value: Some("2".into()),
                }];
            }
            if command == 1 {
                spec.unreachable = UnreachableStrategy::After { inactive_ms: 1000, expunge_ms: 4000 };
            }
            let spec = if checks { checked(spec) } else { spec };
            ask(world, changing(vec![put(spec)], force));
        }
        Act::Scale { app, instances, force } => {
            ask(world, changing(vec![to(APPS[app], Target::Scale(instances))], force));
        }
        Act::Restart { app, force } => ask(world, changing(vec![to(APPS[app], Target::Restart)], force)),
        Act::Remove { app, force } => ask(world, changing(vec![to(APPS[app], Target::Removed)], force)),
        Act::Back { app } => {
            let id = AppId::from(APPS[app]);
            let first = world.store.versions.keys().find(|(of, _)| *of == id).map(|(_, version)| *version);
            if let Some(version) = first {
                ask(world, changing(vec![to(APPS[app], Target::Version(version))], true));
            }
        }
        Act::Kill { which, scale, wipe } => {
            if let Some(id) = pick(world, which) {
                let tasks = world.groups[&id].tasks.clone();
                ask(world, ServiceCommand::Kill { tasks, scale, wipe, force: false });
            }
        }
        Act::Cancel { force } => {
            if let Some(id) = world.store.deployments.keys().next().cloned() {
                ask(world, ServiceCommand::CancelDeployment { id, force });
            }
        }
        Act::Steps(count) => {
            for _ in 0..count {
                world.drive();
                world.step();
            }
        }
        Act::Time(ms) => world.run_for(ms),
        Act::Fail { which, state } => {
            if let Some(id) = pick(world, which).filter(|id| world.groups[id].unreachable_since.is_none()) {
                world.say(&id, state, |_| {});
            }
        }
        Act::Sick { which } => {
            if let Some(id) = pick(world, which).filter(|id| world.groups[id].unreachable_since.is_none()) {
                world.say(&id, TaskState::Running, |status| {
                    status.healthy = Some(false);
                    status.health = vec![hansa_model::task::HealthResult {
                        alive: Some(false),
                        consecutive_failures: 3,
                        ..Default::default()
                    }];
                });
            }
        }
        Act::Lose(node) => {
            if world.cluster.node(&agent(node)).is_some_and(|n| n.state == AgentState::Active) {
                world.lose(node);
            }
        }
        Act::Return(node) => world.return_of(node),
        Act::Drain(node) => {
            if world.cluster.node(&agent(node)).is_some_and(|n| n.state == AgentState::Active) {
                world.drain(node);
            }
        }
        Act::Reset(app) => ask(world, ServiceCommand::ResetDelay { app: AppId::from(APPS[app]) }),
        Act::Canary { app: which, milli } => {
            let mut spec = app(APPS[which], 4);
            spec.command = Command::Shell(format!("canary {milli}"));
            let deploy = Deploy { changes: vec![put(spec)], canary_milli: Some(milli), ..Deploy::default() };
            ask(world, ServiceCommand::Deploy(Box::new(deploy)));
        }
        Act::Group { depends, exists } => {
            let dependencies = if depends { vec![AppId::from("/a")] } else { Vec::new() };
            let to = match exists {
                true => GroupTarget::Put { dependencies, enforce_role: None },
                false => GroupTarget::Removed,
            };
            let group = GroupChange { id: AppId::from("/b"), must_be_new: false, to };
            let deploy = Deploy { groups: vec![group], ..Deploy::default() };
            ask(world, ServiceCommand::Deploy(Box::new(deploy)));
        }
        Act::Pause => {
            if let Some(id) = world.store.deployments.keys().next().cloned() {
                ask(world, ServiceCommand::PauseDeployment { id });
            }
        }
        Act::Resume => resume_all(world),
        Act::MasterRestarts => world.restart(),
        Act::Refuse(on) => {
            world.refuse = on.then(|| hansa_model::scheduler::Rejection::Offered {
                framework: "f".into(),
                role: "r".into(),
            });
        }
    }
    world.drive();
}

/// Whatever holds goes on.
fn resume_all(world: &mut World) {
    for id in world.store.deployments.keys().cloned().collect::<Vec<_>>() {
        let _ = world.command(ServiceCommand::ResumeDeployment { id });
    }
}

/// Faults stop, and there is room enough; everything that is asked for comes to be.
fn converges(world: &mut World) {
    world.refuse = None;
    for node in 4..14 {
        world.add_node(node);
    }
    for node in 0..4 {
        world.return_of(node);
    }
    // A canary comes to stand and holds once more; each step of a deployment can have one.
    for _ in 0..10 {
        world.run_for(100_000);
        resume_all(world);
    }
    world.run_for(1_000_000);
    if let Some(id) = world.store.deployments.keys().next() {
        panic!("deployment {id} does not end: {}", world.words(id));
    }
    for (id, version) in world.store.apps.clone() {
        let spec = &world.store.versions[&(id.clone(), version)].spec;
        assert_eq!(world.running(id.as_str()), spec.instances as usize, "{id}");
        assert_eq!(world.of(id.as_str()).len(), spec.instances as usize, "{id}");
    }
    let wanted: usize = world.store.apps.keys().map(|id| world.of(id.as_str()).len()).sum();
    assert_eq!(world.groups.len(), wanted, "what was removed is gone");
    assert!(world.demand.is_empty() && world.services.queue(world.now, &world.cluster).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everything_comes_to_an_end(acts in prop::collection::vec(act(), 1..60)) {
        let mut world = World::with_nodes(4);
        for act in acts {
            perform(&mut world, act);
        }
        converges(&mut world);
    }

    #[test]
    fn the_same_story_twice_is_the_same(acts in prop::collection::vec(act(), 1..30)) {
        let tell = || {
            let mut world = World::with_nodes(4);
            for act in acts.clone() {
                perform(&mut world, act);
            }
            (format!("{:?}", world.events), format!("{:?}", world.groups))
        };
        prop_assert_eq!(tell(), tell());
    }
}

/// A thousand instances: what a step costs does not depend on how many there are.
#[test]
fn calls_stay_few() {
    let mut world = World::with_nodes(40);
    world.deploy(change(vec![put(app("/web", 1000))]));
    world.settle();
    assert_eq!(world.running("/web"), 1000);
    assert_eq!(world.calls, 1000 + 1, "one claim each, one spec");
    world.notice(Notice::Reachable { instance: world.of("/web")[0].0.clone() });
    let answer = world.order(change(vec![to("/web", Target::Removed)]));
    assert!(matches!(answer, ServiceAnswer::Deployment { .. }));
    world.settle();
    assert_eq!(world.calls, 1001 + 1000 + 1, "one kill each, and the spec is dropped");
}
