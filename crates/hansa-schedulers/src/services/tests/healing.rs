//! Failures: tasks that end, machines out of reach, machines to be emptied.

use super::world::{World, agent};
use super::*;
use hansa_model::event::{AgentState, Event, TaskFailure};
use hansa_model::scheduler::Notice;
use hansa_model::service::{ServiceAnswer, ServiceRefusal};
use hansa_model::task::{HealthResult, TaskState};
use hansa_model::{InstanceId, Timestamp};

fn started(instances: u32) -> World {
    let mut world = World::with_nodes(4);
    world.deploy(change(vec![put(app("/web", instances))]));
    world.settle();
    world
}

fn last_failure(world: &World) -> Option<Arc<TaskFailure>> {
    world.events.iter().rev().find_map(|event| match event {
        Event::App(view) => Some(view.last_failure.clone()),
        _ => None,
    })?
}

fn kill(world: &mut World, tasks: Vec<hansa_model::TaskId>, scale: bool, wipe: bool) -> ServiceAnswer {
    world.order(ServiceCommand::Kill { tasks, scale, wipe, force: false })
}

#[test]
fn a_killed_task_is_replaced_when_it_is_gone() {
    told_with_restarts(|world| {
        world.deploy(change(vec![put(app("/web", 3))]));
        world.settle();
        let victim = world.tasks("/web")[1].clone();
        let answer =
            kill(world, vec![victim.clone(), "unknown.instance-x._app.1".into(), "x".into()], false, false);
        let ServiceAnswer::Killed(killed) = answer else { panic!("{answer:?}") };
        assert_eq!(killed.len(), 1);
        assert_eq!(world.of("/web").len(), 3, "not before it is gone");
        world.settle();
        assert_eq!(world.running("/web"), 3);
        assert!(!world.tasks("/web").contains(&victim));
        assert!(last_failure(world).is_none() && world.store.deployments.is_empty());
    });
}

#[test]
fn killing_with_scale_shrinks_the_app() {
    told_with_restarts(|world| {
        world.deploy(change(vec![put(app("/web", 4)), put(app("/api", 2))]));
        world.settle();
        let victims = vec![world.tasks("/web")[0].clone(), world.tasks("/api")[1].clone()];
        let answer = kill(world, victims.clone(), true, false);
        let ServiceAnswer::Deployment { id, .. } = answer else { panic!("{answer:?}") };
        world.settle();
        assert!(world.has_succeeded(&id));
        assert_eq!((world.running("/web"), world.running("/api")), (3, 1));
        assert_eq!(world.version("/web").spec.instances, 3);
        assert!(victims.iter().all(|task| !world.tasks("/web").contains(task)));
    });
}

#[test]
fn killing_with_scale_respects_locks() {
    let mut world = started(2);
    world.deploy(change(vec![to("/web", Target::Restart)]));
    let tasks = world.tasks("/web");
    let locked = ServiceCommand::Kill { tasks: tasks.clone(), scale: true, wipe: false, force: false };
    assert!(matches!(world.command(locked), Err(ServiceRefusal::Locked(_))));
    assert!(world.of("/web").iter().all(|(_, group)| !group.killing), "refused means nothing happened");
    world.order(ServiceCommand::Kill { tasks: tasks[..1].to_vec(), scale: true, wipe: false, force: true });
    world.settle();
    assert_eq!(world.running("/web"), 1);
}

#[test]
fn failures_are_slowed_down_more_and_more() {
    let mut world = World::with_nodes(2);
    world.deploy(change(vec![put(behaving(app("/web", 1), "crash"))]));
    let start = world.now;
    let mut starts = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    while starts.len() < 5 {
        world.run_for(10);
        for (id, group) in world.of("/web") {
            if seen.insert(id) {
                starts.push(group.placed_at.since(start));
            }
        }
        assert!(world.now.since(start) < 60_000, "{starts:?}");
    }
    let gaps: Vec<u64> = starts.windows(2).map(|pair| (pair[1] - pair[0]) / 10 * 10).collect();
    assert!((1100..1130).contains(&gaps[0]), "{gaps:?}");
    assert!((1250..1280).contains(&gaps[1]), "{gaps:?}");
    assert!((1420..1450).contains(&gaps[2]), "{gaps:?}");
    let failure = last_failure(&world).expect("a restart loop is never silent");
    assert_eq!(failure.message, "Memory limit exceeded (used 70 of 64 bytes)");
    assert_eq!((failure.state, &*failure.hostname), (TaskState::Failed, "node0"));
    world.run_for(150);
    let item = &world.services.queue(world.now, &world.cluster)[0];
    assert_eq!(item.count, 1);
    assert!(item.delayed_until.is_some_and(|until| until > world.now));

    assert_eq!(world.order(ServiceCommand::ResetDelay { app: "/web".into() }), ServiceAnswer::Done);
    assert_eq!(world.of("/web").len(), 1, "at once");
    let not_queued = world.command(ServiceCommand::ResetDelay { app: "/web".into() });
    assert_eq!(not_queued, Err(ServiceRefusal::NotQueued("/web".into())));
}

#[test]
fn a_task_that_ends_well_is_started_again_but_not_silently() {
    let mut world = World::with_nodes(2);
    world.deploy(change(vec![put(behaving(app("/web", 1), "finish"))]));
    world.run_for(500);
    assert_eq!(world.of("/web").len(), 0, "delayed like a failure");
    assert_eq!(last_failure(&world).map(|failure| failure.state), Some(TaskState::Finished));
    world.run_for(650);
    assert_eq!(world.of("/web").len(), 1);
}

#[test]
fn a_deployment_says_that_it_waits_because_of_failures() {
    let mut world = World::with_nodes(2);
    let id = world.deploy(change(vec![put(behaving(app("/web", 1), "error"))]));
    world.run_for(10_000);
    let words = world.words(&id);
    assert!(words.starts_with("its instance does not run yet, 1 instance waits until 19"), "{words}");
    assert!(words.ends_with(" because of failures, last: no such user"), "{words}");
}

#[test]
fn a_new_deployment_forgets_the_delay() {
    let mut world = World::with_nodes(2);
    world.deploy(change(vec![put(behaving(app("/web", 2), "crash"))]));
    world.run_for(20_000);
    let id = world.deploy(forced(vec![put(app("/web", 2))]));
    let before = world.now;
    world.settle();
    assert!(world.has_succeeded(&id));
    assert!(world.now.since(before) < 100);
}

#[test]
fn an_unhealthy_task_is_killed_and_replaced() {
    told_with_restarts(|world| {
        world.deploy(change(vec![put(checked(app("/web", 2)))]));
        world.settle();
        let (sick, group) = world.of("/web")[0].clone();
        let failing = |world: &mut World, failures| {
            if world.groups.contains_key(&sick) {
                world.say(&sick, TaskState::Running, |status| {
                    status.healthy = Some(false);
                    status.health = vec![HealthResult {
                        alive: Some(false),
                        consecutive_failures: failures,
                        last_failure_cause: Some("connection refused".into()),
                        ..HealthResult::default()
                    }];
                });
            }
            world.drive();
        };
        failing(world, 2);
        assert!(!world.groups[&sick].killing);
        failing(world, 3);
        assert!(world.groups[&sick].killing);
        let reason = "HTTP health check failed 3 times in a row: connection refused".to_string();
        assert!(world.events.contains(&Event::UnhealthyKill { task: group.tasks[0].clone(), reason }));
        failing(world, 4);
        let kills = |world: &World| {
            world.events.iter().filter(|event| matches!(event, Event::UnhealthyKill { .. })).count()
        };
        assert_eq!(kills(world), 1, "said once");
        world.settle();
        assert_eq!(world.running("/web"), 2);
        assert!(!world.groups.contains_key(&sick));
        if world.restart_every == 0 {
            assert_eq!(last_failure(world).map(|failure| failure.state), Some(TaskState::Killed));
        }
    });
}

#[test]
fn a_lost_machine_is_replaced_at_once_by_default() {
    told_with_restarts(|world| {
        world.deploy(change(vec![put(app("/web", 6))]));
        world.settle();
        let lost = world.of("/web")[0].1.agent.clone();
        let number = (0..4).find(|&n| agent(n) == lost).unwrap();
        let there = world.on(&lost).len();
        world.lose(number);
        world.settle();
        assert_eq!(world.running("/web"), 6);
        assert_eq!((world.on(&lost).len(), world.given_up.len()), (0, there));
        assert!(last_failure(world).is_none(), "no fault of theirs");
    });
}

fn patient(inactive_ms: u64, expunge_ms: u64) -> AppSpec {
    let mut spec = app("/web", 2);
    spec.constraints = vec![hansa_model::app::Constraint {
        field: "hostname".into(),
        operator: hansa_model::app::Operator::Unique,
        value: None,
    }];
    spec.unreachable = UnreachableStrategy::After { inactive_ms, expunge_ms };
    spec
}

fn node_of(world: &World, id: &InstanceId) -> usize {
    (0..4).find(|&n| agent(n) == world.groups[id].agent).unwrap()
}

#[test]
fn a_patient_app_waits_replaces_and_forgets() {
    for restart in [false, true] {
        let mut world = World::with_nodes(4);
        world.deploy(change(vec![put(patient(10_000, 60_000))]));
        world.settle();
        let id = world.of("/web")[0].0.clone();
        let node = node_of(&world, &id);
        world.lose(node);
        world.run_for(9_000);
        assert_eq!(world.of("/web").len(), 2, "it waits");
        if restart {
            world.restart();
        }
        world.run_for(2_000);
        assert_eq!((world.of("/web").len(), world.given_up.len()), (3, 0), "replaced, not given up");
        if restart {
            world.restart();
        }
        world.run_for(50_000);
        assert_eq!((world.of("/web").len(), world.given_up.len()), (2, 1));
    }
}

#[test]
fn who_returns_in_time_makes_one_too_many() {
    told_with_restarts(|world| {
        world.deploy(change(vec![put(patient(1_000, 60_000))]));
        world.settle();
        let id = world.of("/web")[0].0.clone();
        let node = node_of(world, &id);
        world.lose(node);
        world.run_for(2_000);
        assert_eq!(world.of("/web").len(), 3);
        world.return_of(node);
        world.settle();
        assert_eq!(world.running("/web"), 2);
        assert!(world.groups.contains_key(&id), "the youngest went: the replacement");
    });
}

#[test]
fn who_returns_before_anything_happened_stays() {
    let mut world = World::with_nodes(4);
    world.deploy(change(vec![put(patient(10_000, 60_000))]));
    world.settle();
    let before = world.tasks("/web");
    let node = node_of(&world, &world.of("/web")[0].0.clone());
    world.lose(node);
    world.run_for(5_000);
    world.return_of(node);
    world.run_for(100_000);
    assert_eq!(world.tasks("/web"), before);
}

#[test]
fn with_the_strategy_disabled_it_waits_for_ever() {
    let mut world = World::with_nodes(4);
    let mut spec = patient(0, 0);
    spec.unreachable = UnreachableStrategy::Disabled;
    world.deploy(change(vec![put(spec.clone())]));
    world.settle();
    let before = world.tasks("/web");
    let node = node_of(&world, &world.of("/web")[0].0.clone());
    world.lose(node);
    world.run_for(1_000_000);
    assert_eq!(world.tasks("/web"), before);
    // A stricter strategy counts from "unreachable since".
    spec.unreachable = UnreachableStrategy::After { inactive_ms: 0, expunge_ms: 0 };
    world.deploy(change(vec![put(spec)]));
    world.settle();
    assert_eq!((world.running("/web"), world.given_up.len()), (2, 1));
}

#[test]
fn wiping_forgets_what_is_out_of_reach() {
    let mut world = World::with_nodes(4);
    let mut spec = patient(0, 0);
    spec.unreachable = UnreachableStrategy::Disabled;
    world.deploy(change(vec![put(spec)]));
    world.settle();
    let (id, group) = world.of("/web")[0].clone();
    let node = node_of(&world, &id);
    world.lose(node);
    kill(&mut world, group.tasks.clone(), false, false);
    world.settle();
    assert!(world.groups.contains_key(&id), "it will be killed when it returns");
    kill(&mut world, group.tasks.clone(), false, true);
    world.settle();
    assert_eq!((world.running("/web"), world.given_up.len()), (2, 1));
}

#[test]
fn removing_an_app_gives_up_what_is_out_of_reach() {
    told_with_restarts(|world| {
        let mut spec = patient(0, 0);
        spec.unreachable = UnreachableStrategy::Disabled;
        world.deploy(change(vec![put(spec)]));
        world.settle();
        let ids: Vec<InstanceId> = world.of("/web").into_iter().map(|(id, _)| id).collect();
        let (first, second) = (node_of(world, &ids[0]), node_of(world, &ids[1]));
        world.lose(first);
        let id = world.deploy(change(vec![to("/web", Target::Removed)]));
        world.lose(second);
        world.settle();
        assert!(world.has_succeeded(&id), "{}", world.words(&id));
        assert!(world.groups.is_empty());
    });
}

#[test]
fn scaling_down_takes_what_is_out_of_reach_first() {
    let mut world = World::with_nodes(4);
    world.deploy(change(vec![put(patient(1_000_000, 2_000_000))]));
    world.settle();
    let id = world.of("/web")[0].0.clone();
    let node = node_of(&world, &id);
    world.lose(node);
    let down = world.deploy(change(vec![to("/web", Target::Scale(1))]));
    world.settle();
    assert!(world.has_succeeded(&down));
    assert!(!world.groups.contains_key(&id) && world.running("/web") == 1);
}

#[test]
fn a_drained_machine_is_emptied_without_a_gap() {
    told_with_restarts(|world| {
        world.deploy(change(vec![put(checked(app("/web", 4)))]));
        world.settle();
        world.watch = Some(|world| {
            let healthy = |group: &&(InstanceId, super::world::Group)| {
                group.1.status.healthy == Some(true) && !group.1.killing
            };
            assert!(world.of("/web").iter().filter(healthy).count() >= 4);
        });
        let from = world.of("/web")[0].1.agent.clone();
        let number = (0..4).find(|&n| agent(n) == from).unwrap();
        world.drain(number);
        world.settle();
        assert_eq!((world.on(&from).len(), world.running("/web")), (0, 4));
    });
}

#[test]
fn a_drain_without_room_elsewhere_waits() {
    let mut world = World::with_nodes(1);
    world.deploy(change(vec![put(app("/web", 2))]));
    world.settle();
    world.drain(0);
    world.run_for(10_000);
    assert_eq!(world.running("/web"), 2, "nobody is killed for nothing");
    assert_eq!(world.services.queue(world.now, &world.cluster).len(), 1);
}

#[test]
fn tasks_of_an_app_that_does_not_exist_are_held() {
    let mut world = started(3);
    let before = world.tasks("/web");
    world.store = Default::default();
    world.restart();
    world.run_for(100_000);
    assert_eq!(world.tasks("/web"), before);
    let number = node_of(&world, &world.of("/web")[0].0.clone());
    world.lose(number);
    world.run_for(100_000);
    world.return_of(number);
    assert_eq!(world.tasks("/web"), before);
    assert!(matches!(
        world.command(change(vec![to("/web", Target::Removed)])),
        Err(ServiceRefusal::UnknownApp(_))
    ));
    // The operator may end one, and define the app again: then they belong to it.
    kill(&mut world, before[..1].to_vec(), false, false);
    world.settle();
    assert_eq!(world.tasks("/web"), before[1..]);
    let id = world.deploy(change(vec![put(app("/web", 3))]));
    world.settle();
    assert!(world.has_succeeded(&id));
    assert_eq!(world.running("/web"), 3);
    assert!(before[1..].iter().all(|task| world.tasks("/web").contains(task)));
}

#[test]
fn nobody_is_killed_before_all_were_heard_of() {
    let mut world = World::with_nodes(4);
    let spec = with_upgrade(checked(app("/web", 4)), 500, 0);
    world.deploy(change(vec![put(spec.clone())]));
    world.settle();
    let mut bad = behaving(spec, "sick");
    bad.command = Command::Shell("two".into());
    world.deploy(change(vec![put(bad)]));
    world.settle();
    // The master restarts, and hears of nobody at first.
    world.services = crate::services::Services::new(world.settings.clone());
    let out = world.services.restore(world.now, world.store.records());
    world.take_out(out);
    let groups: Vec<_> = world.of("/web");
    for (id, group) in &groups {
        world.appears(id, group, true);
    }
    world.run_for(1_000);
    assert!(world.groups.values().all(|group| !group.killing));
    for (id, group) in &groups {
        assert!(world.groups.contains_key(id));
        world.notice(Notice::Status(group.status.clone()));
        world.drive();
    }
    world.settle();
    let old = world.of("/web").iter().filter(|(_, g)| g.status.healthy == Some(true)).count();
    assert_eq!(old, 2);
}

#[test]
fn who_is_never_heard_of_holds_nothing_up_for_ever() {
    let mut world = World::with_nodes(4);
    world.deploy(change(vec![put(behaving(app("/web", 2), "hang"))]));
    let id = world.deploy(forced(vec![put(with_upgrade(app("/web", 2), 1000, 0))]));
    world.services = crate::services::Services::new(world.settings.clone());
    let out = world.services.restore(world.now, world.store.records());
    world.take_out(out);
    for (id, group) in world.of("/web") {
        world.appears(&id, &group, true);
    }
    world.run_for(11_000);
    assert!(world.has_succeeded(&id));
}

#[test]
fn after_a_restart_within_a_millisecond_no_id_is_used_twice() {
    let mut world = World::with_nodes(2);
    world.deploy(change(vec![put(app("/web", 2))]));
    let first = world.of("/web")[0].0.clone();
    world.say(&first, TaskState::Killed, |_| {});
    world.restart();
    assert_eq!(world.of("/web").len(), 2);
    assert!(!world.groups.contains_key(&first));
}

#[test]
fn the_only_instance_is_replaced_without_delay_after_a_restart() {
    let mut world = started(1);
    world.restart();
    let victim = world.of("/web")[0].0.clone();
    world.say(&victim, TaskState::Killed, |_| {});
    world.drive();
    assert_eq!(world.of("/web").len(), 1, "though the kernel has forgotten its spec");
}

#[test]
fn a_machine_that_is_back_before_anything_was_given_up_loses_nothing() {
    let mut world = started(2);
    let before = world.tasks("/web");
    let (id, _) = world.of("/web")[0].clone();
    world.notice(Notice::Unreachable { instance: id.clone(), since: world.now });
    world.notice(Notice::Reachable { instance: id });
    world.run_for(10_000);
    assert_eq!(world.tasks("/web"), before);
    assert!(world.groups.values().all(|group| !group.killing));
}

#[test]
fn a_delay_is_remembered_while_the_next_instance_runs() {
    let mut world = started(1);
    let fail = |world: &mut World| {
        let (id, _) = world.of("/web")[0].clone();
        world.say(&id, TaskState::Failed, |_| {});
        world.drive();
        let until = world.services.queue(world.now, &world.cluster)[0].delayed_until.unwrap();
        until.since(world.now)
    };
    assert_eq!(fail(&mut world), 1000);
    world.run_for(301_500);
    assert_eq!(fail(&mut world), 1150, "it ran for less than the longest delay");
    world.run_for(310_000);
    assert_eq!(fail(&mut world), 1000, "it ran for longer");
}

#[test]
fn whatever_is_told_twice_or_late_does_no_harm() {
    let mut world = started(2);
    let (id, group) = world.of("/web")[0].clone();
    world.say(&id, TaskState::Failed, |_| {});
    let late = [
        Notice::Status(group.status.clone()),
        Notice::Unreachable { instance: id.clone(), since: Timestamp(1) },
        Notice::Reachable { instance: id.clone() },
        Notice::Drain { instance: id.clone() },
    ];
    for notice in late {
        world.notice(notice);
        world.drive();
    }
    let (id, group) = world.of("/web")[0].clone();
    for _ in 0..2 {
        world.notice(Notice::Unreachable { instance: id.clone(), since: world.now });
        world.notice(Notice::Reachable { instance: id.clone() });
        world.appears(&id, &group, false);
    }
    world.run_for(10_000);
    assert_eq!(world.running("/web"), 2);
    world.cluster.set_state(&agent(0), AgentState::Active);
}
