//! Deployments that are steered: paused, resumed, by canary, and those that do not move.

use super::world::World;
use super::*;
use hansa_model::DeploymentId;
use hansa_model::app::ReadinessCheck;
use hansa_model::event::{DeploymentChange, DeploymentView, Event, Failing};
use hansa_model::service::Deploy;
use hansa_model::task::{ReadinessResult, TaskState};

fn two(mut spec: AppSpec) -> AppSpec {
    spec.command = Command::Shell("two".into());
    spec
}

fn labelled(mut spec: AppSpec, name: &str, value: &str) -> AppSpec {
    spec.labels.insert(name.into(), value.into());
    spec
}

fn pause(id: &DeploymentId) -> ServiceCommand {
    ServiceCommand::PauseDeployment { id: id.clone() }
}

fn resume(id: &DeploymentId) -> ServiceCommand {
    ServiceCommand::ResumeDeployment { id: id.clone() }
}

fn view(world: &World, id: &DeploymentId) -> DeploymentView {
    let last = world.events.iter().rev().find_map(|event| match event {
        Event::Deployment { view, .. } if view.id == *id => Some(DeploymentView::clone(view)),
        _ => None,
    });
    last.expect("it was told of")
}

fn failing(world: &World, app: &str) -> Option<Failing> {
    let last = world.events.iter().rev().find_map(|event| match event {
        Event::App(view) if view.current.spec.id.as_str() == app => Some(view.failing.clone()),
        _ => None,
    });
    last.flatten().map(|failing| Failing::clone(&failing))
}

fn commands(of: &[(&str, u32)]) -> BTreeMap<String, usize> {
    of.iter().map(|(command, count)| ((*command).to_string(), *count as usize)).collect()
}

fn canary(spec: AppSpec, milli: u16) -> ServiceCommand {
    let deploy = Deploy { changes: vec![put(spec)], canary_milli: Some(milli), ..Deploy::default() };
    ServiceCommand::Deploy(Box::new(deploy))
}

#[test]
fn a_canary_stands_until_it_is_resumed() {
    for (min, over) in [(1000, 1000), (500, 0), (0, 0), (1000, 0)] {
        told_with_restarts(|world| {
            let spec = with_upgrade(checked(app("/web", 10)), min, over);
            world.deploy(change(vec![put(spec.clone())]));
            world.settle();
            let id = world.deploy(canary(two(spec), 200));
            world.settle();
            world.run_for(2_000);
            assert_eq!(world.commands("/web"), commands(&[("sleep 1000", 8), ("two", 2)]));
            let told = view(world, &id);
            let words = "the canary stands: 2 of 10 instances of /web are of the new version";
            assert_eq!(told.paused.as_ref().map(|at| at.words.as_str()), Some(words));
            assert_eq!(told.waiting_for, words);
            assert!(told.remedy.contains(&format!("hansa deployment resume {id}")), "{}", told.remedy);
            world.restart();
            world.settle();
            assert_eq!(world.commands("/web"), commands(&[("sleep 1000", 8), ("two", 2)]));
            assert!(!world.has_succeeded(&id));
            world.order(resume(&id));
            world.settle();
            assert!(world.has_succeeded(&id), "{}", world.words(&id));
            assert_eq!(world.commands("/web"), commands(&[("two", 10)]));
        });
    }
}

#[test]
fn a_canary_that_is_cancelled_goes_back() {
    told_with_restarts(|world| {
        let spec = checked(app("/web", 4));
        world.deploy(change(vec![put(spec.clone())]));
        world.settle();
        let old: Vec<_> = world.of("/web").into_iter().map(|(id, _)| id).collect();
        // By label this time.
        let id = world.deploy(change(vec![put(labelled(two(spec), "HANSA_CANARY", "25%"))]));
        world.settle();
        assert_eq!(world.commands("/web"), commands(&[("sleep 1000", 3), ("two", 1)]));
        let undo = world.deploy(ServiceCommand::CancelDeployment { id: id.clone(), force: false });
        world.settle();
        assert!(world.has_succeeded(&undo));
        assert_eq!(world.commands("/web"), commands(&[("sleep 1000", 4)]));
        let stayed = world.of("/web").into_iter().filter(|(id, _)| old.contains(id)).count();
        assert_eq!(stayed, 3, "those that had not been replaced are the same");
        assert_eq!(view(world, &undo).rolls_back, Some(id));
    });
}

#[test]
fn what_ends_beside_a_canary_is_replaced() {
    let mut world = World::with_nodes(4);
    let spec = checked(app("/web", 4));
    world.deploy(change(vec![put(spec.clone())]));
    world.settle();
    let id = world.deploy(canary(two(spec), 250));
    world.settle();
    let (victim, _) = world.of("/web").remove(0);
    world.say(&victim, TaskState::Failed, |_| {});
    world.run_for(5_000);
    assert_eq!(world.running("/web"), 4);
    world.drain(0);
    world.run_for(5_000);
    assert_eq!(world.running("/web"), 4);
    assert!(world.of("/web").iter().all(|(_, group)| !group.draining), "a machine can be emptied meanwhile");
    assert!(view(&world, &id).paused.is_some());
}

#[test]
fn a_paused_deployment_holds_and_goes_on() {
    told_with_restarts(|world| {
        let spec = with_upgrade(checked(app("/web", 4)), 500, 0);
        world.deploy(change(vec![put(spec.clone())]));
        world.settle();
        let id = world.deploy(change(vec![put(two(spec))]));
        world.drive();
        world.order(pause(&id));
        world.order(pause(&id));
        world.settle();
        world.run_for(700_000);
        let held = world.commands("/web");
        assert!(held.get("sleep 1000").is_some_and(|old| *old >= 2), "{held:?}");
        let told = view(world, &id);
        assert_eq!(
            (told.waiting_for.as_str(), told.failing),
            ("it was paused", None),
            "holding is not failing"
        );
        world.restart();
        world.run_for(20_000);
        assert_eq!(world.commands("/web"), held);
        world.order(resume(&id));
        world.order(resume(&id));
        world.settle();
        assert!(world.has_succeeded(&id), "{}", world.words(&id));
        assert_eq!(world.commands("/web"), commands(&[("two", 4)]));
    });
}

#[test]
fn scaling_and_removing_can_be_paused_too() {
    let mut world = World::with_nodes(4);
    world.deploy(change(vec![put(app("/web", 2))]));
    world.settle();
    let id = world.deploy(change(vec![to("/web", Target::Scale(4))]));
    world.order(pause(&id));
    world.settle();
    let (victim, _) = world.of("/web").remove(0);
    world.say(&victim, TaskState::Failed, |_| {});
    world.run_for(10_000);
    assert_eq!(world.running("/web"), 4, "all were on their way; the one that ended is replaced");
    world.order(resume(&id));
    world.settle();
    assert!(world.has_succeeded(&id));
    let (_, out) = world.services.command(world.now, change(vec![to("/web", Target::Removed)]));
    let id = out.events.iter().find_map(|event| match event {
        Event::Deployment { view, .. } => Some(view.id.clone()),
        _ => None,
    });
    let id = id.unwrap();
    world.take_out(out);
    let (_, out) = world.services.command(world.now, pause(&id));
    world.take_out(out);
    world.run_for(10_000);
    assert_eq!(world.running("/web"), 4);
    world.order(resume(&id));
    world.settle();
    assert!(world.has_succeeded(&id) && world.groups.is_empty());
}

#[test]
fn a_deployment_without_progress_is_shown_as_failing() {
    told_with_restarts(|world| {
        let spec = with_upgrade(checked(app("/web", 4)), 500, 0);
        world.deploy(change(vec![put(spec.clone())]));
        world.settle();
        let bad = behaving(labelled(two(spec), "HANSA_PROGRESS_DEADLINE", "30s"), "sick");
        let id = world.deploy(change(vec![put(bad)]));
        world.settle();
        world.run_for(29_000);
        assert_eq!(view(world, &id).failing, None);
        world.run_for(5_000);
        let told = view(world, &id);
        let words = told.failing.expect("it is failing").words;
        assert!(words.starts_with("no progress for 30 s: "), "{words}");
        assert!(words.contains("not healthy yet"), "{words}");
        assert!(told.remedy.contains("hansa logs /web"), "{}", told.remedy);
        assert!(world.changes(&id).iter().any(|change| matches!(change, DeploymentChange::Failing(_))));
        assert!(
            world.events.iter().any(|event| matches!(event, Event::Alarm { code: "deployment-failing", .. }))
        );
        world.restart();
        world.run_for(20_000);
        assert!(view(world, &id).failing.is_some(), "also after a restart");
        // The checks come round: it goes on, and is not failing any more.
        for (instance, _) in world.of("/web") {
            world.say(&instance, TaskState::Running, |status| status.healthy = Some(true));
            world.drive();
        }
        assert_eq!(view(world, &id).failing, None);
    });
}

#[test]
fn a_failing_deployment_goes_back_if_its_app_says_so() {
    told_with_restarts(|world| {
        let spec = with_upgrade(checked(app("/web", 4)), 500, 0);
        world.deploy(change(vec![put(spec.clone())]));
        world.settle();
        let bad = labelled(two(spec), "HANSA_PROGRESS_DEADLINE", "30s");
        let bad = behaving(labelled(bad, "HANSA_AUTO_ROLLBACK", "true"), "sick");
        let id = world.deploy(change(vec![put(bad)]));
        world.settle();
        world.run_for(60_000);
        assert!(matches!(world.changes(&id).last(), Some(DeploymentChange::Failed(_))));
        assert_eq!(world.commands("/web"), commands(&[("sleep 1000", 4)]));
        assert!(world.store.deployments.is_empty());
    });
}

#[test]
fn what_waits_for_a_place_says_what_would_help() {
    let mut world = World::with_nodes(1);
    let mut spec = app("/web", 2);
    spec.cpus_milli = 3_000;
    let id = world.deploy(change(vec![put(spec)]));
    world.settle();
    world.run_for(1_000);
    let told = view(&world, &id);
    assert!(told.waiting_for.contains("1 instance waits for a place"), "{}", told.waiting_for);
    assert!(told.remedy.contains("hansa explain /web"), "{}", told.remedy);
    assert!(told.progressed_at > told.started_at);
}

/// Ends one instance with this command by itself, so often.
fn crash(world: &mut World, command: &str, times: usize) {
    for _ in 0..times {
        let victim = world.of("/web").into_iter().find(|(_, group)| world.command_of(group) == command);
        let (instance, _) = victim.expect("one of them runs");
        world.say(&instance, TaskState::Failed, |_| {});
        world.settle();
        world.run_for(20_000);
    }
}

#[test]
fn what_ends_beside_a_canary_keeps_its_version() {
    told_with_restarts(|world| {
        let spec = with_upgrade(checked(app("/web", 10)), 500, 500);
        world.deploy(change(vec![put(spec.clone())]));
        world.settle();
        let id = world.deploy(canary(two(spec), 200));
        world.settle();
        world.run_for(2_000);
        let shares = commands(&[("sleep 1000", 8), ("two", 2)]);
        assert_eq!(world.commands("/web"), shares);
        crash(world, "sleep 1000", 3);
        assert_eq!(world.commands("/web"), shares, "old ones are replaced by old ones");
        crash(world, "two", 3);
        assert_eq!(world.commands("/web"), shares, "and new ones by new ones");
        world.restart();
        world.settle();
        crash(world, "sleep 1000", 1);
        assert_eq!(world.commands("/web"), shares, "also after a restart");
        world.order(resume(&id));
        world.settle();
        // New ones have crashed, so that the next waits a little.
        world.run_for(30_000);
        assert!(world.has_succeeded(&id), "{}", world.words(&id));
        assert_eq!(world.commands("/web"), commands(&[("two", 10)]));
    });
}

#[test]
fn what_ends_while_a_canary_comes_up_keeps_its_version() {
    told_with_restarts(|world| {
        let spec = with_upgrade(checked(app("/web", 10)), 500, 500);
        world.deploy(change(vec![put(spec.clone())]));
        world.settle();
        let id = world.deploy(canary(behaving(two(spec), "sick"), 200));
        world.settle();
        assert_eq!(view(world, &id).paused, None, "the canary is not healthy");
        crash(world, "sleep 1000", 3);
        assert_eq!(world.commands("/web"), commands(&[("sleep 1000", 8), ("two", 2)]));
    });
}

#[test]
fn what_is_emptied_while_a_deployment_holds_keeps_its_version() {
    let mut world = World::with_nodes(3);
    let spec = with_upgrade(checked(app("/web", 6)), 500, 500);
    world.deploy(change(vec![put(spec.clone())]));
    world.settle();
    let id = world.deploy(canary(two(spec), 200));
    world.settle();
    world.run_for(2_000);
    assert!(view(&world, &id).paused.is_some());
    let before = world.commands("/web");
    world.drain(0);
    world.settle();
    world.run_for(2_000);
    assert_eq!(world.commands("/web"), before);
    assert!(world.on(&super::world::agent(0)).is_empty(), "it was emptied");
}

#[test]
fn a_restart_loop_is_shown_until_it_is_over() {
    let mut world = World::with_nodes(2);
    let id = world.deploy(change(vec![put(behaving(app("/web", 1), "crash"))]));
    world.run_for(30_000);
    let first = failing(&world, "/web").expect("it fails again and again");
    assert!(first.count >= 3 && first.delay_ms > 1_000, "{first:?}");
    assert!(first.last.contains("Memory limit exceeded"), "{first:?}");
    world.run_for(30_000);
    let later = failing(&world, "/web").unwrap();
    assert!(later.count > first.count && later.delay_ms > first.delay_ms, "{first:?} {later:?}");
    assert_eq!(later.since, first.since);
    drop(id);
    // Whoever leads next knows of it, and does not try again at once.
    let started = |world: &World| world.of("/web").len();
    world.restart();
    let restored = failing(&world, "/web").expect("also after a restart");
    assert_eq!(restored.since, first.since);
    assert!(restored.count >= later.count / 2 && restored.delay_ms >= first.delay_ms, "{restored:?}");
    assert!(started(&world) <= 1);
    world.run_for(60_000);
    let last = failing(&world, "/web").unwrap();
    assert!(last.count > restored.count && last.delay_ms > later.delay_ms, "{last:?}");
    // A new version has failed at nothing yet.
    world.deploy(forced(vec![put(app("/web", 1))]));
    world.settle();
    assert_eq!(failing(&world, "/web"), None);
    world.run_for(300_000);
    assert!(world.store.failing.is_empty(), "nothing is left of it");
}

#[test]
fn a_restart_loop_is_written_now_and_then() {
    let mut world = World::with_nodes(2);
    let mut spec = behaving(app("/web", 1), "crash");
    spec.backoff.max_ms = 1_000;
    world.deploy(change(vec![put(spec)]));
    world.run_for(600_000);
    let told = failing(&world, "/web").unwrap();
    assert!(told.count > 300, "{told:?}");
    let written = world.store.written_failing;
    assert!((5..40).contains(&written), "{written} times");
    // What is removed while it fails leaves nothing.
    world.deploy(forced(vec![to("/web", Target::Removed)]));
    world.settle();
    assert!(world.store.failing.is_empty());
}

#[test]
fn an_app_that_holds_for_a_while_has_recovered() {
    let mut world = World::with_nodes(2);
    world.deploy(change(vec![put(app("/web", 1))]));
    world.settle();
    for _ in 0..4 {
        let (instance, _) = world.of("/web").remove(0);
        world.say(&instance, TaskState::Failed, |_| {});
        world.run_for(5_000);
    }
    assert_eq!(failing(&world, "/web").map(|failing| failing.count), Some(4));
    world.run_for(200_000);
    assert_eq!(failing(&world, "/web"), None);
}

#[test]
fn what_never_comes_up_is_replaced() {
    let mut world = World::with_nodes(2);
    world.settings.launch_timeout_ms = 60_000;
    world.services = crate::services::Services::new(world.settings.clone());
    world.deploy(change(vec![put(behaving(app("/web", 1), "hang"))]));
    world.settle();
    let (first, _) = world.of("/web").remove(0);
    world.run_for(50_000);
    // An image is being pulled: that is progress.
    world.say(&first, TaskState::Starting, |status| status.message = "pulling: 10 of 20 MB".into());
    world.run_for(50_000);
    assert_eq!(world.of("/web")[0].0, first);
    world.run_for(20_000);
    let (second, _) = world.of("/web").remove(0);
    assert_ne!(second, first);
    let last = world.events.iter().rev().find_map(|event| match event {
        Event::App(view) => view.last_failure.clone(),
        _ => None,
    });
    drop(last.expect("it is remembered as a failure"));
}

#[test]
fn an_old_instance_stays_until_a_new_one_is_healthy_and_ready() {
    let mut world = World::with_nodes(4);
    let spec = with_upgrade(checked(app("/web", 2)), 1000, 1000);
    world.deploy(change(vec![put(spec.clone())]));
    world.settle();
    let mut next = two(spec);
    next.readiness_checks = vec![ReadinessCheck {
        name: "migrated".into(),
        tls: false,
        path: "/".into(),
        port_name: "api".into(),
        interval_ms: 1_000,
        timeout_ms: 500,
        ready_codes: vec![200],
        preserve_last_response: false,
    }];
    let id = world.deploy(change(vec![put(next)]));
    world.settle();
    world.run_for(1_000);
    assert_eq!(world.commands("/web"), commands(&[("sleep 1000", 2), ("two", 2)]));
    assert!(
        world.words(&id).starts_with("2 of 2 instances are not healthy and ready yet"),
        "{}",
        world.words(&id)
    );
    let of = |world: &World, ready: bool| -> Vec<_> {
        let groups = world.of("/web").into_iter();
        let new = groups.filter(|(_, group)| world.specs[&group.spec].tasks[0].readiness_checks.len() == 1);
        new.filter(|(_, group)| group.status.is_ready(1) == ready).map(|(id, _)| id).collect()
    };
    let result = |ready| vec![ReadinessResult { name: "migrated".into(), ready, last_response: None }];
    let first = of(&world, false).remove(0);
    world.say(&first, TaskState::Running, |status| {
        status.healthy = Some(true);
        status.readiness = result(false);
    });
    world.run_for(1_000);
    assert_eq!(world.commands("/web"), commands(&[("sleep 1000", 2), ("two", 2)]));
    world.say(&first, TaskState::Running, |status| {
        status.healthy = Some(true);
        status.readiness = result(true);
    });
    world.run_for(1_000);
    assert_eq!(world.commands("/web"), commands(&[("sleep 1000", 1), ("two", 2)]));
    world.restart();
    world.run_for(20_000);
    assert_eq!(world.commands("/web"), commands(&[("sleep 1000", 1), ("two", 2)]), "also after a restart");
    for id in of(&world, false) {
        world.say(&id, TaskState::Running, |status| {
            status.healthy = Some(true);
            status.readiness = result(true);
        });
    }
    world.settle();
    assert!(world.has_succeeded(&id), "{}", world.words(&id));
    assert_eq!(world.commands("/web"), commands(&[("two", 2)]));
}
