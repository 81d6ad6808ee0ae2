//! Rules that only show when several apps meet: dependencies, names, ports, compare and set.

use super::world::World;
use super::*;
use hansa_model::Timestamp;
use hansa_model::app::PortDefinition;
use hansa_model::event::{ActionKind, Event};
use hansa_model::service::ServiceRefusal;

fn depending(mut spec: AppSpec, on: &[&str]) -> AppSpec {
    spec.dependencies = on.iter().map(|id| AppId::from(*id)).collect();
    spec
}

fn with_ports(mut spec: AppSpec, ports: &[u16]) -> AppSpec {
    let port = |&port: &u16| PortDefinition { port, protocol: "tcp".into(), ..PortDefinition::default() };
    spec.ports = ports.iter().map(port).collect();
    spec
}

fn ports(world: &World, app: &str) -> Vec<u16> {
    world.version(app).spec.ports.iter().map(|port| port.port).collect()
}

#[test]
fn dependencies_come_first() {
    told_with_restarts(|world| {
        let id = world.deploy(change(vec![
            put(depending(checked(app("/shop/web", 2)), &["/shop/data"])),
            put(checked(app("/shop/data/db", 1))),
            put(depending(app("/shop/data/cache", 1), &["/shop/data/db", "/not/there"])),
        ]));
        assert_eq!((world.of("/shop/data/db").len(), world.of("/shop/web").len()), (1, 0));
        world.settle();
        assert!(world.has_succeeded(&id));
        let steps = world.events.iter().find_map(|event| match event {
            Event::Deployment { view, .. } => Some(view.steps.clone()),
            _ => None,
        });
        let text: Vec<Vec<String>> = steps
            .unwrap()
            .iter()
            .map(|step| step.iter().map(|action| format!("{:?} {}", action.kind, action.app)).collect())
            .collect();
        assert_eq!(
            text,
            [
                vec![
                    "StartApplication /shop/data/cache",
                    "StartApplication /shop/data/db",
                    "StartApplication /shop/web"
                ],
                vec!["ScaleApplication /shop/data/db"],
                vec!["ScaleApplication /shop/data/cache"],
                vec!["ScaleApplication /shop/web"],
            ]
        );
        let first = |app: &str| world.of(app).iter().map(|(_, group)| group.placed_at).min().unwrap();
        assert!(first("/shop/data/db") < first("/shop/data/cache"));
        assert!(first("/shop/data/cache") < first("/shop/web"));
    });
}

#[test]
fn until_its_turn_an_app_runs_as_before() {
    told_with_restarts(|world| {
        world.deploy(change(vec![put(checked(app("/db", 1))), put(depending(app("/web", 2), &["/db"]))]));
        world.settle();
        let mut db = behaving(checked(app("/db", 1)), "sick");
        db.cpus_milli = 200;
        let mut web = depending(app("/web", 3), &["/db"]);
        web.command = Command::Shell("two".into());
        let id = world.deploy(change(vec![put(db), put(web)]));
        world.settle();
        assert!(!world.has_succeeded(&id));
        assert_eq!(world.commands("/web"), BTreeMap::from([("sleep 1000".to_string(), 2)]));
        let victim = world.of("/web")[0].0.clone();
        world.say(&victim, hansa_model::task::TaskState::Failed, |_| {});
        world.run_for(2000);
        assert_eq!(world.commands("/web"), BTreeMap::from([("sleep 1000".to_string(), 2)]), "replaced alike");
        world.order(ServiceCommand::CancelDeployment { id, force: true });
        world.settle();
        assert_eq!(world.of("/web").len(), 3, "stopped where it was: the new definition holds");
    });
}

#[test]
fn a_deployment_goes_on_in_the_step_it_was_in() {
    let mut world = World::with_nodes(2);
    let two = |spec: AppSpec| AppSpec { command: Command::Shell("two".into()), ..spec };
    let (db, web) = (app("/db", 1), depending(behaving(app("/web", 1), "hang"), &["/db"]));
    world.deploy(change(vec![put(db.clone()), put(web.clone())]));
    world.settle();
    let id = world.deploy(forced(vec![put(two(db)), put(two(web))]));
    world.settle();
    assert_eq!(world.commands("/db"), BTreeMap::from([("two".to_string(), 1)]));
    world.events.clear();
    assert_eq!(world.of("/web").len(), 2, "the old one and the new one");
    world.restart();
    let told = world.events.iter().find_map(|event| match event {
        Event::Deployment { view, change } if view.id == id => Some((view.current_step, change.clone())),
        _ => None,
    });
    assert_eq!(told, Some((1, hansa_model::event::DeploymentChange::Restored)));
    // Whatever ends now is replaced by the new version, though its deployment is not done.
    for (id, _) in world.of("/web") {
        world.say(&id, hansa_model::task::TaskState::Killed, |_| {});
    }
    world.settle();
    assert_eq!(world.commands("/web"), BTreeMap::from([("two".to_string(), 1)]));
}

#[test]
fn cycles_are_refused() {
    let mut world = World::with_nodes(1);
    let cyclic = |result| {
        assert_eq!(result, Err(ServiceRefusal::Invalid("Dependency graph has cyclic dependencies.".into())));
    };
    cyclic(world.command(change(vec![put(depending(app("/a", 1), &["/a"]))])));
    cyclic(
        world.command(change(vec![
            put(depending(app("/a", 1), &["/b"])),
            put(depending(app("/b", 1), &["/a"])),
        ])),
    );
    world.deploy(change(vec![put(depending(app("/a", 1), &["/b"]))]));
    world.settle();
    cyclic(world.command(change(vec![put(depending(app("/b", 1), &["/a"]))])));
    cyclic(world.command(change(vec![put(depending(app("/g/x", 1), &["/g"]))])));
}

#[test]
fn a_long_chain_of_dependencies() {
    let mut world = World::with_nodes(1);
    let name = |index: usize| format!("/chain/a{index:05}");
    let apps = (0..3000).map(|index| {
        let spec = app(&name(index), 0);
        put(if index == 0 { spec } else { depending(spec, &[name(index - 1).as_str()]) })
    });
    let id = world.deploy(change(apps.collect()));
    assert!(world.has_succeeded(&id));
}

#[test]
fn apps_and_groups_have_different_names() {
    let mut world = World::with_nodes(1);
    let words = "Groups and Applications may not have the same identifier.";
    let refused = |result| assert_eq!(result, Err(ServiceRefusal::Invalid(words.into())));
    world.deploy(change(vec![put(app("/shop/web", 1))]));
    world.settle();
    refused(world.command(change(vec![put(app("/shop", 1))])));
    refused(world.command(change(vec![put(app("/shop/web/front", 1))])));
    refused(world.command(change(vec![put(app("/x", 1)), put(app("/x/y/z", 1))])));
    world.deploy(change(vec![put(app("/shop2", 1))]));
    world.deploy(forced(vec![to("/shop/web", Target::Removed), put(app("/shop", 1))]));
    world.settle();
    assert_eq!((world.running("/shop"), world.running("/shop/web")), (1, 0));
}

#[test]
fn service_ports_are_unique_and_stay() {
    let mut world = World::with_nodes(1);
    world.settings.local_port_max = 10_004;
    world.services = crate::services::Services::new(world.settings.clone());
    world.deploy(change(vec![put(with_ports(app("/a", 1), &[0, 0])), put(with_ports(app("/b", 1), &[0]))]));
    world.settle();
    assert_eq!((ports(&world, "/a"), ports(&world, "/b")), (vec![10_000, 10_001], vec![10_002]));
    let mut update = with_ports(app("/a", 1), &[0, 8080, 0]);
    update.cpus_milli = 200;
    world.deploy(change(vec![put(update)]));
    world.settle();
    assert_eq!(ports(&world, "/a")[..2], [10_000, 8080]);
    world.restart();
    world.deploy(change(vec![put(with_ports(app("/c", 1), &[0]))]));
    world.settle();
    let mut all: Vec<u16> = ["/a", "/b", "/c"].iter().flat_map(|id| ports(&world, id)).collect();
    all.sort_unstable();
    let count = all.len();
    all.dedup();
    assert_eq!(all.len(), count, "{all:?}");
    let full = world.command(change(vec![put(with_ports(app("/d", 1), &[0, 0, 0]))]));
    assert!(matches!(full, Err(ServiceRefusal::Invalid(_))), "{full:?}");
    let same = world.deploy(change(vec![put(with_ports(app("/b", 1), &[0]))]));
    assert!(world.has_succeeded(&same), "asking for any again is no change");
}

#[test]
fn compare_and_set() {
    let mut world = World::with_nodes(1);
    let with = |expected, to| change(vec![AppChange { id: AppId::from("/web"), expected, to }]);
    let spec = || Target::Spec(Arc::new(app("/web", 0)));
    let id = AppId::from("/web");
    let seen = Expected::Version(Timestamp(5));
    assert_eq!(world.command(with(seen, spec())), Err(ServiceRefusal::Changed(id.clone())));
    assert_eq!(world.command(with(seen, Target::Removed)), Err(ServiceRefusal::UnknownApp(id.clone())));
    world.deploy(with(Expected::Absent, spec()));
    world.settle();
    assert_eq!(world.command(with(Expected::Absent, spec())), Err(ServiceRefusal::Exists(id.clone())));
    assert_eq!(world.command(with(seen, spec())), Err(ServiceRefusal::Changed(id)));
    let now = Expected::Version(world.version("/web").version);
    world.deploy(with(now, Target::Scale(1)));
    for target in [Target::Restart, Target::Scale(1), Target::Removed, Target::Version(Timestamp(1))] {
        let unknown = Err(ServiceRefusal::UnknownApp(AppId::from("/no")));
        assert_eq!(world.command(change(vec![to("/no", target)])), unknown);
    }
    let twice = change(vec![to("/web", Target::Restart), to("/web", Target::Removed)]);
    assert!(matches!(world.command(twice), Err(ServiceRefusal::Invalid(_))));
}

#[test]
fn many_apps_change_in_one_deployment() {
    told_with_restarts(|world| {
        world.deploy(change((0..20).map(|n| put(app(&format!("/g/a{n:02}"), 1))).collect()));
        world.settle();
        let mixed = (0..20).map(|n| {
            let id = format!("/g/a{n:02}");
            match n % 4 {
                0 => to(&id, Target::Removed),
                1 => to(&id, Target::Scale(2)),
                2 => to(&id, Target::Restart),
                _ => put(checked(app(&id, 1))),
            }
        });
        let id = world.deploy(change(mixed.collect()));
        world.settle();
        assert!(world.has_succeeded(&id));
        assert_eq!(world.groups.len(), 5 * 2 + 5 + 5);
        let kinds: Vec<ActionKind> = world
            .events
            .iter()
            .find_map(|event| match event {
                Event::Deployment { view, .. } if view.id == id => {
                    Some(view.steps.iter().flatten().map(|action| action.kind).collect())
                }
                _ => None,
            })
            .unwrap();
        let count = |kind| kinds.iter().filter(|other| **other == kind).count();
        assert_eq!(count(ActionKind::StopApplication), 5);
        assert_eq!(count(ActionKind::ScaleApplication), 5);
        assert_eq!(count(ActionKind::RestartApplication), 10);
    });
}
