//! Deployments: new apps, scaling, rolling updates, restarts, going back, force and locks.

use super::world::World;
use super::*;
use hansa_model::Timestamp;
use hansa_model::event::{DeploymentChange, Event};
use hansa_model::service::{ServiceAnswer, ServiceRefusal};
use hansa_model::task::TaskState;

fn version_two(mut spec: AppSpec) -> AppSpec {
    spec.command = Command::Shell("two".into());
    spec
}

#[test]
fn a_new_app_starts_and_its_deployment_ends() {
    told_with_restarts(|world| {
        let id = world.deploy(change(vec![put(app("/shop/web", 3))]));
        assert!(!world.has_succeeded(&id), "nothing runs yet");
        world.settle();
        assert!(world.has_succeeded(&id));
        assert_eq!(world.running("/shop/web"), 3);
        for (instance, group) in world.of("/shop/web") {
            assert!(instance.as_str().starts_with("shop_web.instance-"), "{instance}");
            assert_eq!(group.tasks[0].as_str(), format!("{instance}._app.1"));
        }
        assert!(world.demand.is_empty());
    });
}

#[test]
fn its_events_tell_the_story() {
    let mut world = World::with_nodes(2);
    let id = world.deploy(change(vec![put(checked(app("/web", 2)))]));
    world.settle();
    use DeploymentChange::*;
    assert_eq!(
        world.changes(&id),
        [Started, StepStarted, StepSucceeded, StepStarted, StepSucceeded, Succeeded]
    );
    let kinds: Vec<&str> = world
        .events
        .iter()
        .map(|event| match event {
            Event::AppVersion(_) => "version",
            Event::App(view) if view.deployments.is_empty() => "app",
            Event::App(_) => "app deploying",
            Event::Deployment { .. } => "deployment",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds[..3], ["version", "app deploying", "deployment"]);
    assert_eq!(kinds.last(), Some(&"app"));
    assert_eq!(
        kinds.iter().filter(|kind| kind.starts_with("app")).count(),
        2,
        "only when it changes: {kinds:?}"
    );
}

#[test]
fn a_deployment_waits_for_health_and_says_so() {
    let mut world = World::with_nodes(2);
    let id = world.deploy(change(vec![put(behaving(checked(app("/web", 3)), "sick"))]));
    world.settle();
    world.run_for(1000);
    assert!(!world.has_succeeded(&id));
    assert_eq!(world.words(&id), "3 of 3 instances are not healthy yet");
    let first = world.of("/web")[0].0.clone();
    world.say(&first, TaskState::Running, |status| status.healthy = Some(true));
    world.run_for(1000);
    assert_eq!(world.words(&id), "2 of 3 instances are not healthy yet");
}

#[test]
fn scaling_up_and_down_keeps_the_configuration() {
    told_with_restarts(|world| {
        world.deploy(change(vec![put(app("/web", 2))]));
        world.settle();
        let first = world.version("/web");
        let before = world.of("/web");
        let id = world.deploy(change(vec![to("/web", Target::Scale(5))]));
        world.settle();
        assert!(world.has_succeeded(&id));
        assert_eq!(world.running("/web"), 5);
        let second = world.version("/web");
        assert!(second.version > first.version);
        assert_eq!(second.last_scaling_at, second.version);
        assert_eq!(second.last_config_change_at, first.last_config_change_at);

        let id = world.deploy(change(vec![to("/web", Target::Scale(2))]));
        world.settle();
        assert!(world.has_succeeded(&id));
        let names = |groups: Vec<(hansa_model::InstanceId, super::world::Group)>| -> Vec<_> {
            groups.into_iter().map(|(id, _)| id).collect()
        };
        assert_eq!(names(world.of("/web")), names(before), "the youngest went");
        world.deploy(change(vec![to("/web", Target::Scale(0))]));
        world.settle();
        assert_eq!(world.of("/web").len(), 0);
    });
}

#[test]
fn the_oldest_goes_first_if_asked() {
    let mut world = World::with_nodes(2);
    let mut spec = app("/web", 1);
    spec.kill_selection = KillSelection::OldestFirst;
    world.deploy(change(vec![put(spec)]));
    world.settle();
    let oldest = world.of("/web")[0].0.clone();
    world.deploy(change(vec![to("/web", Target::Scale(2))]));
    world.settle();
    world.deploy(change(vec![to("/web", Target::Scale(1))]));
    world.settle();
    assert_ne!(world.of("/web")[0].0, oldest);
}

#[test]
fn what_does_not_run_yet_goes_before_what_runs() {
    let mut world = World::with_nodes(2);
    world.deploy(change(vec![put(app("/web", 2))]));
    world.settle();
    world.deploy(change(vec![to("/web", Target::Scale(3))]));
    let staging: Vec<_> =
        world.of("/web").into_iter().filter(|(_, g)| g.status.state == TaskState::Staging).collect();
    assert_eq!(staging.len(), 1);
    world.deploy(forced(vec![to("/web", Target::Scale(2))]));
    world.settle();
    assert!(world.of("/web").iter().all(|(id, _)| *id != staging[0].0));
}

fn rolls(min: u16, over: u16, watch: fn(&World)) {
    told_with_restarts(|world| {
        let spec = with_upgrade(checked(app("/web", 4)), min, over);
        world.deploy(change(vec![put(spec.clone())]));
        world.settle();
        let first = world.version("/web");
        world.watch = Some(watch);
        let id = world.deploy(change(vec![put(version_two(spec))]));
        world.settle();
        assert!(world.has_succeeded(&id), "{:?}", world.words(&id));
        assert_eq!(world.commands("/web"), BTreeMap::from([("two".to_string(), 4)]));
        let second = world.version("/web");
        assert_eq!(second.last_config_change_at, second.version);
        assert!(second.version > first.version);
    });
}

fn healthy(world: &World) -> usize {
    world.of("/web").iter().filter(|(_, g)| g.status.healthy == Some(true) && !g.killing).count()
}

#[test]
fn a_rolling_update_starts_all_before_it_kills() {
    rolls(1000, 1000, |world| {
        assert!(healthy(world) >= 4 && world.of("/web").len() <= 8, "{}", healthy(world));
    });
}

#[test]
fn a_rolling_update_keeps_half_without_over_capacity() {
    rolls(500, 0, |world| {
        assert!(healthy(world) >= 2 && world.of("/web").len() <= 4);
    });
}

#[test]
fn a_rolling_update_takes_one_more_when_it_may_neither_below_nor_above() {
    rolls(1000, 0, |world| {
        assert!(healthy(world) >= 4 && world.of("/web").len() <= 5);
    });
}

#[test]
fn a_rolling_update_may_kill_everything_first() {
    rolls(0, 0, |world| assert!(world.of("/web").len() <= 4));
}

#[test]
fn a_rolling_update_between_the_bounds() {
    rolls(750, 250, |world| {
        assert!(healthy(world) >= 3 && world.of("/web").len() <= 5);
    });
}

#[test]
fn a_bad_update_stops_at_its_bounds() {
    let mut world = World::with_nodes(4);
    let spec = with_upgrade(checked(app("/web", 4)), 500, 0);
    world.deploy(change(vec![put(spec.clone())]));
    world.settle();
    let id = world.deploy(change(vec![put(behaving(version_two(spec), "sick"))]));
    world.settle();
    assert!(!world.has_succeeded(&id));
    assert_eq!(world.commands("/web"), BTreeMap::from([("sleep 1000".to_string(), 2), ("two".into(), 2)]));
}

#[test]
fn an_update_with_fewer_instances() {
    told_with_restarts(|world| {
        world.deploy(change(vec![put(app("/web", 6))]));
        world.settle();
        let id = world.deploy(change(vec![put(version_two(app("/web", 2)))]));
        world.settle();
        assert!(world.has_succeeded(&id));
        assert_eq!(world.commands("/web"), BTreeMap::from([("two".to_string(), 2)]));
        let id = world.deploy(change(vec![put(app("/web", 0))]));
        world.settle();
        assert!(world.has_succeeded(&id), "to nothing at all");
        assert_eq!(world.of("/web").len(), 0);
    });
}

#[test]
fn a_restart_replaces_every_instance_of_the_same_definition() {
    told_with_restarts(|world| {
        world.deploy(change(vec![put(app("/web", 3))]));
        world.settle();
        let (before, first) = (world.of("/web"), world.version("/web"));
        let id = world.deploy(change(vec![to("/web", Target::Restart)]));
        world.settle();
        assert!(world.has_succeeded(&id));
        assert_eq!(world.running("/web"), 3);
        assert!(world.of("/web").iter().all(|(id, _)| before.iter().all(|(old, _)| old != id)));
        let second = world.version("/web");
        assert!(second.version > first.version);
        assert_eq!(
            (second.last_config_change_at, second.last_scaling_at),
            (first.last_config_change_at, first.last_scaling_at),
            "as Marathon does"
        );
    });
}

/// What is left of the old version while none is wanted: not heard of yet, or out of reach for long.
#[test]
fn what_is_left_when_none_was_wanted_is_replaced_when_some_are_wanted_again() {
    for out_of_reach in [false, true] {
        for restarted in [false, true] {
            let mut world = World::with_nodes(3);
            world.deploy(change(vec![put(app("/web", 3))]));
            world.settle();
            let before = world.tasks("/web");
            let left = world.of("/web")[0].1.agent.clone();
            let node = (0..3).find(|node| super::world::agent(*node) == left).unwrap();
            if out_of_reach {
                world.lose(node);
                world.run_for(400_000);
            } else {
                world.restart_hearing(|group| group.agent != left);
            }
            let (none, some) = if restarted {
                world.deploy(change(vec![to("/web", Target::Restart)]));
                (to("/web", Target::Scale(0)), to("/web", Target::Scale(2)))
            } else {
                (put(version_two(app("/web", 0))), to("/web", Target::Scale(2)))
            };
            world.deploy(forced(vec![none]));
            let id = world.deploy(forced(vec![some]));
            world.settle();
            world.return_of(node);
            world.settle();
            world.run_for(10_000);
            assert!(world.has_succeeded(&id));
            assert_eq!(world.running("/web"), 2);
            let old: Vec<_> = world.tasks("/web").into_iter().filter(|task| before.contains(task)).collect();
            assert_eq!(old, [], "out of reach: {out_of_reach}, restarted: {restarted}");
        }
    }
}

#[test]
fn back_to_an_earlier_version() {
    told_with_restarts(|world| {
        world.deploy(change(vec![put(app("/web", 2))]));
        world.settle();
        let first = world.version("/web").version;
        world.deploy(change(vec![put(version_two(app("/web", 3)))]));
        world.settle();
        let id = world.deploy(change(vec![to("/web", Target::Version(first))]));
        world.settle();
        assert!(world.has_succeeded(&id));
        assert_eq!(world.commands("/web"), BTreeMap::from([("sleep 1000".to_string(), 2)]));
        let now = world.version("/web");
        assert_eq!(now.last_config_change_at, now.version, "nothing of it ran any more");
        let unknown = to("/web", Target::Version(Timestamp(5)));
        assert_eq!(
            world.command(change(vec![unknown])),
            Err(ServiceRefusal::UnknownVersion(AppId::from("/web"), Timestamp(5)))
        );
    });
}

#[test]
fn a_cancelled_update_goes_back_and_spares_what_still_runs() {
    told_with_restarts(|world| {
        let spec = with_upgrade(checked(app("/web", 4)), 500, 0);
        world.deploy(change(vec![put(spec.clone())]));
        world.settle();
        let bad = world.deploy(change(vec![put(behaving(version_two(spec), "sick"))]));
        world.settle();
        let survivors: Vec<_> =
            world.of("/web").into_iter().filter(|(_, g)| g.status.healthy == Some(true)).collect();
        assert_eq!(survivors.len(), 2);
        let cancel = ServiceCommand::CancelDeployment { id: bad.clone(), force: false };
        let back = world.deploy(cancel.clone());
        world.settle();
        assert!(world.has_succeeded(&back));
        assert!(matches!(world.changes(&bad).last(), Some(DeploymentChange::Failed(_))));
        assert_eq!(world.commands("/web"), BTreeMap::from([("sleep 1000".to_string(), 4)]));
        assert!(survivors.iter().all(|(id, _)| world.groups.contains_key(id)), "they were not restarted");
        assert_eq!(world.command(cancel), Err(ServiceRefusal::UnknownDeployment(bad)));
    });
}

#[test]
fn cancelling_the_creation_removes_and_cancelling_the_removal_creates() {
    told_with_restarts(|world| {
        let create = world.deploy(change(vec![put(behaving(app("/web", 2), "hang"))]));
        world.settle();
        let undo = world.deploy(ServiceCommand::CancelDeployment { id: create, force: false });
        world.settle();
        assert!(world.has_succeeded(&undo));
        assert!(world.groups.is_empty() && world.store.apps.is_empty());

        world.deploy(change(vec![put(app("/web", 2))]));
        world.settle();
        let remove = world.deploy(change(vec![to("/web", Target::Removed)]));
        let undo = world.deploy(ServiceCommand::CancelDeployment { id: remove, force: false });
        world.settle();
        assert!(world.has_succeeded(&undo));
        assert_eq!(world.running("/web"), 2);
    });
}

#[test]
fn a_deployment_can_be_stopped_where_it_is() {
    told_with_restarts(|world| {
        let spec = with_upgrade(checked(app("/web", 4)), 500, 0);
        world.deploy(change(vec![put(spec.clone())]));
        world.settle();
        let bad = world.deploy(change(vec![put(behaving(version_two(spec.clone()), "sick"))]));
        world.settle();
        let cancel = ServiceCommand::CancelDeployment { id: bad.clone(), force: true };
        assert_eq!(world.order(cancel), ServiceAnswer::Done);
        world.settle();
        assert!(world.store.deployments.is_empty());
        assert_eq!(world.of("/web").len(), 4, "half of each");
        let id = world.deploy(change(vec![put(with_upgrade(version_two(spec), 1000, 1000))]));
        world.settle();
        assert!(world.has_succeeded(&id));
        assert_eq!(world.commands("/web"), BTreeMap::from([("two".to_string(), 4)]));
    });
}

#[test]
fn a_removed_app_ends_and_only_its_versions_are_remembered() {
    told_with_restarts(|world| {
        world.deploy(change(vec![put(app("/web", 3))]));
        world.settle();
        let id = world.deploy(change(vec![to("/web", Target::Removed)]));
        assert!(world.events.contains(&Event::AppRemoved(AppId::from("/web"))), "at once");
        assert!(world.store.apps.is_empty());
        assert!(matches!(
            world.command(change(vec![to("/web", Target::Scale(1))])),
            Err(ServiceRefusal::UnknownApp(_))
        ));
        world.settle();
        assert!(world.has_succeeded(&id));
        assert!(world.groups.is_empty() && world.specs.is_empty());
        assert_eq!((world.store.versions.len(), world.store.removals.len()), (1, 1));
    });
}

#[test]
fn of_removed_apps_only_the_last_are_remembered() {
    let mut world = World::with_nodes(2);
    world.settings.max_removed = 2;
    world.services = crate::services::Services::new(world.settings.clone());
    for name in ["/a", "/b", "/c", "/d"] {
        world.deploy(change(vec![put(app(name, 1))]));
        world.settle();
        world.deploy(change(vec![to(name, Target::Removed)]));
        world.settle();
    }
    let remembered = |world: &World| -> Vec<String> {
        world.store.removals.iter().map(|(id, _)| id.to_string()).collect()
    };
    assert_eq!(remembered(&world), ["/c", "/d"]);
    assert_eq!(world.store.versions.len(), 2);
    // One that comes back is not forgotten.
    world.deploy(change(vec![put(app("/c", 1))]));
    world.settle();
    world.restart();
    world.deploy(change(vec![put(app("/e", 1))]));
    world.settle();
    world.deploy(change(vec![to("/e", Target::Removed)]));
    world.settle();
    assert_eq!(world.running("/c"), 1);
    assert_eq!(remembered(&world), ["/c", "/d", "/e"]);
    assert_eq!(world.store.versions.len(), 4);
}

#[test]
fn a_running_deployment_locks_its_apps_unless_forced() {
    told_with_restarts(|world| {
        let first = world.deploy(change(vec![put(behaving(app("/web", 2), "hang")), put(app("/other", 1))]));
        world.settle();
        let locked = Err(ServiceRefusal::Locked(vec![first.clone()]));
        assert_eq!(world.command(change(vec![to("/web", Target::Scale(3))])), locked);
        assert_eq!(world.command(change(vec![to("/other", Target::Restart)])), locked);
        assert!(world.command(change(vec![put(app("/third", 1))])).is_ok());
        let second = world.deploy(forced(vec![put(version_two(app("/web", 2)))]));
        world.settle();
        assert!(matches!(world.changes(&first).last(), Some(DeploymentChange::Failed(_))));
        assert!(world.has_succeeded(&second));
        assert_eq!(world.commands("/web"), BTreeMap::from([("two".to_string(), 2)]));
        assert_eq!(world.running("/other"), 1, "what is half done stays, and steady");
    });
}

#[test]
fn scaling_by_force_goes_on_with_an_unfinished_update() {
    told_with_restarts(|world| {
        let spec = with_upgrade(checked(app("/web", 4)), 500, 0);
        world.deploy(change(vec![put(spec.clone())]));
        world.settle();
        world.deploy(change(vec![put(version_two(spec))]));
        world.drive();
        world.step();
        let id = world.deploy(forced(vec![to("/web", Target::Scale(3))]));
        world.settle();
        assert!(world.has_succeeded(&id));
        assert_eq!(world.commands("/web"), BTreeMap::from([("two".to_string(), 3)]));

        let before = world.of("/web");
        world.deploy(change(vec![to("/web", Target::Restart)]));
        world.deploy(forced(vec![to("/web", Target::Scale(4))]));
        world.settle();
        assert_eq!(world.running("/web"), 4);
        assert!(before.iter().all(|(id, _)| !world.groups.contains_key(id)), "restarted all the same");
    });
}

#[test]
fn the_number_of_deployments_is_limited() {
    let mut world = World::with_nodes(1);
    world.settings.max_running_deployments = 2;
    world.services = crate::services::Services::new(world.settings.clone());
    for id in ["/a", "/b"] {
        world.deploy(change(vec![put(behaving(app(id, 1), "hang"))]));
    }
    let third = change(vec![put(app("/c", 1))]);
    assert_eq!(world.command(third), Err(ServiceRefusal::TooManyDeployments(2)));
    world.deploy(forced(vec![put(app("/a", 2))]));
}

#[test]
fn nothing_to_change_is_done_at_once() {
    let mut world = World::with_nodes(1);
    world.deploy(change(vec![put(behaving(app("/web", 1), "hang"))]));
    let before = world.version("/web");
    let id = world.deploy(change(vec![put(behaving(app("/web", 1), "hang"))]));
    assert!(world.has_succeeded(&id), "no lock is needed for it");
    assert_eq!(world.version("/web"), before);
    let id = world.deploy(change(Vec::new()));
    assert!(world.has_succeeded(&id));
    let id = world.deploy(change(vec![put(app("/none", 0))]));
    assert!(world.has_succeeded(&id));
}

#[test]
fn old_versions_are_dropped() {
    let mut world = World::with_nodes(1);
    world.settings.max_versions = 3;
    world.services = crate::services::Services::new(world.settings.clone());
    for instances in [1, 2, 3, 4, 5] {
        world.deploy(change(vec![put(app("/web", instances))]));
        world.settle();
    }
    assert_eq!(world.store.versions.len(), 3);
    let dropped = world.events.iter().filter(|event| matches!(event, Event::AppVersionDropped(..))).count();
    assert_eq!(dropped, 2);
    world.restart();
    world.settle();
    assert_eq!(world.running("/web"), 5);
}

#[test]
fn versions_rise_even_within_a_millisecond() {
    let mut world = World::with_nodes(1);
    let mut last = Timestamp(0);
    for instances in 0..5 {
        let (answer, out) = world.services.command(world.now, forced(vec![put(app("/web", instances))]));
        world.take_out(out);
        let Ok(ServiceAnswer::Deployment { version, .. }) = answer else { panic!("{answer:?}") };
        assert!(version > last);
        last = version;
    }
    assert_eq!(last, world.now + 4);
    let (answer, _) = world.services.command(world.now, change(vec![put(app("/other", 1))]));
    let Ok(ServiceAnswer::Deployment { version, .. }) = answer else { panic!("{answer:?}") };
    assert_eq!(version, world.now, "each app counts for itself");
}
