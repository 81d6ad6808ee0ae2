//! Groups: what is stored of them, what their dependencies mean, and that a change of many apps holds whole or not at all.

use super::world::World;
use super::*;
use hansa_model::Timestamp;
use hansa_model::event::{ActionKind, Event};
use hansa_model::group::{GroupChange, GroupTarget};
use hansa_model::service::{Deploy, ServiceAnswer, ServiceRefusal};
use std::collections::BTreeMap;

fn group(id: &str, dependencies: &[&str]) -> GroupChange {
    let dependencies = dependencies.iter().map(|&id| AppId::from(id)).collect();
    let to = GroupTarget::Put { dependencies, enforce_role: None };
    GroupChange { id: AppId::from(id), must_be_new: false, to }
}

fn gone(id: &str) -> GroupChange {
    GroupChange { id: AppId::from(id), must_be_new: false, to: GroupTarget::Removed }
}

fn deploy(groups: Vec<GroupChange>, changes: Vec<AppChange>) -> Deploy {
    Deploy { groups, changes, ..Deploy::default() }
}

fn command(groups: Vec<GroupChange>, changes: Vec<AppChange>) -> ServiceCommand {
    ServiceCommand::Deploy(Box::new(deploy(groups, changes)))
}

/// The groups that are stored and exist.
fn stored(world: &World) -> Vec<String> {
    let mut newest = BTreeMap::new();
    for ((id, _), group) in &world.store.groups {
        newest.insert(id.clone(), group.exists);
    }
    newest.into_iter().filter(|(_, exists)| *exists).map(|(id, _)| id.to_string()).collect()
}

#[test]
fn a_group_waits_for_the_groups_that_it_depends_on() {
    told_with_restarts(|world| {
        let id = world.deploy(command(
            vec![group("/shop", &[]), group("/shop/front", &["/shop/back"]), group("/shop/back", &["/db"])],
            vec![
                put(checked(app("/shop/front/web", 2))),
                put(app("/shop/front/inner/api", 1)),
                put(checked(app("/shop/back/orders", 1))),
                put(app("/shop/back/users", 1)),
                put(checked(app("/db", 1))),
            ],
        ));
        assert_eq!((world.of("/db").len(), world.of("/shop/back/users").len()), (1, 0));
        world.settle();
        assert!(world.has_succeeded(&id));
        let first = |app: &str| world.of(app).iter().map(|(_, group)| group.placed_at).min().unwrap();
        let last = |app: &str| world.of(app).iter().map(|(_, group)| group.placed_at).max().unwrap();
        assert!(last("/db") < first("/shop/back/orders").min(first("/shop/back/users")));
        let back = last("/shop/back/orders").max(last("/shop/back/users"));
        assert!(back < first("/shop/front/web").min(first("/shop/front/inner/api")));
        assert_eq!(stored(world), ["/shop", "/shop/back", "/shop/front"]);
    });
}

#[test]
fn groups_that_wait_for_each_other_are_refused() {
    let mut world = World::with_nodes(2);
    let cyclic = Err(ServiceRefusal::Invalid("Dependency graph has cyclic dependencies.".into()));
    let apps = || vec![put(app("/a/x", 1)), put(app("/b/x", 1))];
    assert_eq!(world.command(command(vec![group("/a", &["/b"]), group("/b", &["/a"])], apps())), cyclic);
    assert_eq!(world.command(command(vec![group("/a", &["/a"])], apps())), cyclic);
    world.deploy(command(vec![group("/a", &["/b"])], apps()));
    world.settle();
    // Also when only the group changes.
    assert_eq!(world.command(command(vec![group("/b", &["/a"])], Vec::new())), cyclic);
}

#[test]
fn groups_and_apps_do_not_share_an_id() {
    let mut world = World::with_nodes(2);
    let shared =
        Err(ServiceRefusal::Invalid("Groups and Applications may not have the same identifier.".into()));
    world.deploy(command(vec![group("/empty", &[])], vec![put(app("/web", 1))]));
    world.settle();
    assert_eq!(world.command(change(vec![put(app("/empty", 1))])), shared);
    assert_eq!(world.command(command(vec![group("/web", &[])], Vec::new())), shared);
    assert_eq!(world.command(command(vec![group("/web/inner", &[])], Vec::new())), shared);
    // In one change one may take the other's place.
    world.deploy(command(vec![gone("/empty")], vec![put(app("/empty", 1))]));
    world.settle();
    assert_eq!(world.running("/empty"), 1);
}

#[test]
fn empty_groups_are_kept_until_they_are_removed() {
    told_with_restarts(|world| {
        let id = world.deploy(command(vec![group("/a", &[]), group("/a/b", &["/c"])], Vec::new()));
        assert!(world.has_succeeded(&id));
        world.restart();
        assert_eq!(stored(world), ["/a", "/a/b"]);
        // The same again is no new version.
        world.deploy(command(vec![group("/a/b", &["/c"])], Vec::new()));
        assert_eq!(world.store.groups.len(), 2);
        let taken = GroupChange { must_be_new: true, ..group("/a", &[]) };
        assert_eq!(
            world.command(command(vec![taken], Vec::new())),
            Err(ServiceRefusal::Changed("/a".into()))
        );
        world.deploy(command(vec![gone("/a/b")], Vec::new()));
        world.restart();
        assert_eq!(stored(world), ["/a"]);
        assert_eq!(world.store.groups.len(), 3, "removal is a version, too");
    });
}

#[test]
fn a_dry_run_changes_nothing() {
    let mut world = World::with_nodes(2);
    let before = format!("{:?}", world.store.records());
    let mut plan = deploy(vec![group("/a", &["/b"])], vec![put(app("/a/x", 1)), put(app("/b/x", 2))]);
    plan.dry_run = true;
    let ServiceAnswer::Plan(steps) = world.order(ServiceCommand::Deploy(Box::new(plan))) else { panic!() };
    let text: Vec<String> =
        steps.iter().flatten().map(|action| format!("{:?} {}", action.kind, action.app)).collect();
    assert_eq!(
        text,
        ["StartApplication /a/x", "StartApplication /b/x", "ScaleApplication /b/x", "ScaleApplication /a/x"]
    );
    assert_eq!(before, format!("{:?}", world.store.records()));
    assert!(world.events.is_empty() && world.groups.is_empty());
}

#[test]
fn cancelling_brings_groups_back_as_well() {
    told_with_restarts(|world| {
        world.deploy(command(vec![group("/a", &["/b"])], vec![put(app("/a/x", 1)), put(app("/b/x", 1))]));
        world.settle();
        let id = world.deploy(command(
            vec![group("/a", &[]), group("/new", &[])],
            vec![put(behaving(app("/a/x", 3), "hang"))],
        ));
        world.settle();
        assert_eq!(stored(world), ["/a", "/new"]);
        let undo = world.deploy(ServiceCommand::CancelDeployment { id, force: false });
        world.settle();
        assert!(world.has_succeeded(&undo));
        assert_eq!(stored(world), ["/a"]);
        let newest = world.store.groups.values().rfind(|group| group.id.as_str() == "/a").unwrap();
        assert_eq!(newest.dependencies, [AppId::from("/b")]);
        assert_eq!(world.running("/a/x"), 1);
    });
}

#[test]
fn a_removed_app_comes_back_as_a_version_of_it_was() {
    told_with_restarts(|world| {
        world.deploy(change(vec![put(app("/a/x", 1))]));
        world.settle();
        let version = world.version("/a/x").version;
        world.deploy(change(vec![put(app("/a/x", 3))]));
        world.settle();
        world.deploy(change(vec![to("/a/x", Target::Removed)]));
        world.settle();
        // An app alone is not there; whoever saw that, means its history.
        let back = to("/a/x", Target::Version(version));
        assert_eq!(world.command(change(vec![back.clone()])), Err(ServiceRefusal::UnknownApp("/a/x".into())));
        world.deploy(change(vec![AppChange { expected: Expected::Absent, ..back }]));
        world.settle();
        assert_eq!(world.running("/a/x"), 1);
        assert_eq!(world.store.versions.len(), 3);
        assert!(world.version("/a/x").version > version);
    });
}

/// What a store holds after a crash in the middle: the deployment, or what was before.
#[test]
fn a_change_of_many_apps_holds_whole_or_not_at_all() {
    let prepared = || {
        let mut world = World::with_nodes(4);
        world.deploy(command(
            vec![group("/g", &[])],
            (0..5).map(|n| put(app(&format!("/g/old{n}"), 1))).collect(),
        ));
        world.settle();
        // Another deployment is in the way, and is replaced.
        world.deploy(change(vec![put(behaving(app("/g/old0", 2), "hang"))]));
        world.settle();
        world
    };
    let big = || {
        let mut changes: Vec<AppChange> =
            (0..5).map(|n| to(&format!("/g/old{n}"), Target::Removed)).collect();
        changes.extend((0..5).map(|n| put(app(&format!("/g/new{n}"), 1))));
        let groups = vec![group("/g", &["/x"]), group("/g/sub", &[])];
        ServiceCommand::Deploy(Box::new(Deploy { force: true, ..deploy(groups, changes) }))
    };
    let records = {
        let mut world = prepared();
        let (answer, out) = world.services.command(world.now + 1, big());
        assert!(answer.is_ok());
        out.records.len()
    };
    let (mut before, mut after) = (0, 0);
    for written in 0..=records {
        let mut world = prepared();
        let (_, mut out) = world.services.command(world.now + 1, big());
        out.records.truncate(written);
        out.events.clear();
        world.take_out(out);
        world.restart();
        // The same twice: what was made good stays good.
        world.restart();
        world.run_for(60_000);
        let apps: Vec<String> = world.store.apps.keys().map(ToString::to_string).collect();
        let is_new = apps.iter().any(|app| app.contains("new"));
        let name = if is_new { "new" } else { "old" };
        let whole: Vec<String> = (0..5).map(|n| format!("/g/{name}{n}")).collect();
        assert_eq!(apps, whole, "after {written} of {records} records");
        let groups: &[&str] = if is_new { &["/g", "/g/sub"] } else { &["/g"] };
        assert_eq!(stored(&world), groups, "after {written} of {records} records");
        if is_new {
            after += 1;
            assert!(world.store.deployments.is_empty(), "nothing is left of either deployment");
            assert_eq!(world.groups.len(), 5, "what was removed has ended");
            assert_eq!(world.store.removals.len(), 5);
        } else {
            before += 1;
            assert_eq!(world.store.deployments.len(), 1, "the one before goes on");
        }
    }
    assert!(before > 0 && after > 10, "{before} before, {after} after");
}

#[test]
fn hundreds_of_apps_are_one_deployment() {
    let mut world = World::with_nodes(40);
    let changes = (0..300).map(|n| put(app(&format!("/big/app{n}"), 1))).collect();
    let id = world.deploy(command(vec![group("/big", &[])], changes));
    world.settle();
    assert!(world.has_succeeded(&id));
    assert_eq!(world.groups.len(), 300);
    let version = world.version("/big/app7").version;
    assert!(world.store.apps.values().all(|current| *current == version));
    let removed = (0..300).map(|n| to(&format!("/big/app{n}"), Target::Removed)).collect();
    let id = world.deploy(command(vec![gone("/big")], removed));
    world.settle();
    assert!(world.has_succeeded(&id) && world.groups.is_empty());
    let stops = world.events.iter().find_map(|event| match event {
        Event::Deployment { view, .. } if view.id == id => Some(view.steps.clone()),
        _ => None,
    });
    let stops = stops.unwrap();
    assert!(stops[0].len() == 300 && stops[0].iter().all(|a| a.kind == ActionKind::StopApplication));
    assert!(world.store.removals.iter().all(|(_, at)| *at > Timestamp(0)));
}
