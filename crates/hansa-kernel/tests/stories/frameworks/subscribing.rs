//! Who is there.

use super::*;
use hansa_model::task::TaskState::*;

#[test]
fn a_first_subscription_gets_an_id_that_is_stored_before_anybody_hears_it() {
    let mut world = World::new();
    check(
        world.subscribe(info("", "r")),
        "record put framework L1-0000
         event framework L1-0000 connected
         stream 1 subscribed L1-0000",
    );
    check(
        world.subscribe(info("", "r")),
        "record put framework L1-0001
         event framework L1-0001 connected
         stream 2 subscribed L1-0001",
    );
    world.show = "s";
    check(world.subscribe(info("chosen", "r")), "stream 3 subscribed chosen");
}

#[test]
fn what_cannot_subscribe_is_told_why_and_closed() {
    let mut world = World::new();
    let mut wrong = |role: &str, words: &str| {
        let stream = world.last_stream + 1;
        let expected = format!(
            "stream {stream} error: 'FrameworkInfo.roles' is invalid: {words}\nstream {stream} closed"
        );
        check(world.subscribe(info("", role)), &expected);
    };
    wrong("/a", "Role '/a' cannot start with a slash");
    wrong("a/", "Role 'a/' cannot end with a slash");
    wrong("a//b", "Role 'a//b' cannot contain two adjacent slashes");
    wrong("a/..", "Role 'a/..' cannot include '..' as a component");
    wrong("", "Role names cannot be the empty string");
    let nobody = FrameworkInfo { roles: BTreeSet::new(), ..info("", "r") };
    assert!(world.subscribe(nobody).contains("at least one role"));
    assert!(world.streams.is_empty() && world.store.is_empty(), "nothing is known of them");
}

#[test]
fn the_newest_subscription_wins_and_sees_no_old_offers() {
    let mut world = offered();
    world.show = "se";
    check(
        world.subscribe(info("f", "r")),
        "event offer L1-O1 Discarded
         event framework f connected
         event offer L1-O2
         stream 1 error: Framework failed over
         stream 1 closed
         stream 2 subscribed f
         stream 2 offers L1-O2 on a for r: 4 4096",
    );
    // The old connection's end is no news, and its offers are no good.
    let call = FrameworkCall::Disconnected { stream: 1 };
    check(world.apply(Command::Framework { framework: None, principal: Principal::loopback(), call }), "");
    check(
        world.accept("f", "L1-O1", vec![launch([task("t", "a")])]),
        "stream 2 update t TASK_DROPPED REASON_INVALID_OFFERS",
    );
}

#[test]
fn what_cannot_change_does_not() {
    let mut world = offered();
    world.hang_up("f");
    let other = FrameworkInfo { user: "root".into(), checkpoint: false, ..info("f", "r") };
    world.subscribe(other);
    let Record::PutFramework(record) = &world.store["framework f"] else { panic!("it is stored") };
    assert_eq!((record.info.user.as_str(), record.info.checkpoint), ("nobody", true));
    let other = FrameworkInfo { principal: Some("eve".into()), ..info("f", "r") };
    check(
        world.subscribe(other),
        "stream 3 error: Changing framework's principal is not allowed.
         stream 3 closed",
    );
    assert_eq!(world.streams[&FrameworkId::from("f")], 2, "whoever was there stays");
    let teardown = || FrameworkCall::Reconcile { tasks: Vec::new() };
    assert_eq!(refused(&mut world, "f", "eve", teardown()), Some(Refusal::WrongPrincipal));
    assert_eq!(refused(&mut world, "g", "loopback", teardown()), Some(Refusal::UnknownFramework));
}

#[test]
fn what_is_said_later_counts() {
    let mut world = offered();
    let update = |info: FrameworkInfo| FrameworkCall::UpdateInfo {
        info: Box::new(info),
        suppressed: BTreeSet::new(),
        constraints: Box::default(),
    };
    world.show = "rs";
    check(
        world.ask("f", update(info("f", "other"))),
        "record put framework f
         stream 1 rescind L1-O1
         stream 1 offers L1-O2 on a for other: 4 4096",
    );
    let root = FrameworkInfo { user: "root".into(), ..info("f", "other") };
    assert!(matches!(refused(&mut world, "f", "loopback", update(root)), Some(Refusal::Invalid(_))));
}

#[test]
fn a_framework_that_goes_away_has_its_time_to_come_back() {
    let mut world = running();
    world.show = "erst";
    let offer = world.offers.keys().next().cloned();
    check(
        world.hang_up("f"),
        &match offer {
            Some(offer) => format!("event offer {offer} Discarded\nevent framework f disconnected"),
            None => "event framework f disconnected".into(),
        },
    );
    // What its tasks say waits for it.
    check(
        world.says("a", "t", 2, Finished),
        &format!("event {} TASK_FINISHED", world.launched("t").tasks[0]),
    );
    assert_eq!(world.free("a").split(';').next(), Some("cpus:4"), "what it had is free at once");
    for _ in 0..59 {
        world.contact("a");
        world.pass(1000);
    }
    world.show = "s";
    check(
        world.subscribe(info("f", "r")),
        "stream 2 subscribed f
         stream 2 update t TASK_FINISHED !
         stream 2 offers L1-O2 on a for r: 4 4096",
    );
    world.show = "et";
    let (id, instance) = (world.launched("t").tasks[0].clone(), world.launched("t").instance.clone());
    check(
        world.ack("f", "t"),
        &format!("event {id} removed\nto a acknowledge {id} 2\nto a release {instance}"),
    );
}

#[test]
fn a_framework_that_does_not_come_back_is_gone_for_ever() {
    let mut world = running();
    world.hang_up("f");
    world.show = "erst";
    let mut heard = String::new();
    for _ in 0..60 {
        world.contact("a");
        heard += &world.pass(1000);
    }
    let (id, instance) = (world.launched("t").tasks[0].clone(), world.launched("t").instance.clone());
    for line in [
        format!("record put given up 1 {instance}\n"),
        format!("event {id} TASK_KILLED\nevent {id} removed\n"),
        "event framework f removed\n".into(),
        format!("to a kill {instance}\n"),
    ] {
        assert!(heard.contains(&line), "{line} in {heard}");
    }
    assert_eq!(world.free("a").split(';').next(), Some("cpus:3"), "it has what it has until it has ended");
    world.show = "s";
    check(
        world.subscribe(info("f", "r")),
        "stream 2 error: Framework has been removed
         stream 2 closed",
    );
    world.restart();
    check(
        world.subscribe(info("f", "r")),
        "stream 3 error: Framework has been removed
         stream 3 closed",
    );
    // Its task shows where it runs, and is ended there.
    let mut hello = agent("a");
    hello.groups = vec![world.report(instance.as_str(), 1, Running, false)];
    world.show = "t";
    check(world.hello(hello), &format!("to a kill {instance}"));
    let status = TaskStatus::new(id.clone(), instance.clone(), 2, Killed, Timestamp(2));
    check(
        world.apply(Command::Update { agent: "a".into(), status }),
        &format!("to a acknowledge {id} 2\nto a release {instance}"),
    );
    assert_eq!(world.free("a").split(';').next(), Some("cpus:4"));
}

#[test]
fn a_teardown_ends_everything_at_once() {
    let mut world = running();
    world.show = "s";
    check(world.ask("f", FrameworkCall::Teardown), "stream 1 closed");
    assert!(world.framework_tasks.is_empty() && world.offers.is_empty());
    assert_eq!(
        refused(&mut world, "f", "loopback", FrameworkCall::Teardown),
        Some(Refusal::UnknownFramework)
    );
    let mut none = offered();
    none.hang_up("f");
    none.show = "e";
    check(
        none.ask("f", FrameworkCall::Teardown),
        "event framework f disconnected\nevent framework f removed",
    );
}

#[test]
fn without_a_time_to_come_back_it_ends_when_it_goes() {
    let mut world = World::new();
    world.subscribe(FrameworkInfo { failover_timeout_ms: 0, ..info("f", "r") });
    world.show = "e";
    check(
        world.hang_up("f"),
        "event framework f disconnected
         event framework f disconnected
         event framework f removed",
    );
}

#[test]
fn only_the_newest_thousand_of_the_removed_are_remembered() {
    let mut world = World::new();
    for number in 0..1_001 {
        let id = format!("f{number}");
        world.subscribe(info(&id, "r"));
        world.now = world.now + 1;
        world.ask(&id, FrameworkCall::Teardown);
    }
    assert_eq!(world.store.len(), 1_000);
    assert!(!world.store.contains_key("framework f0") && world.store.contains_key("framework f1"));
}

#[test]
fn a_new_leader_knows_its_frameworks_and_gives_them_time() {
    let mut world = running();
    let report = world.held("t", 1, Running);
    world.show = "e";
    check(world.restart(), "event framework f recovered\nevent agent a Disconnected 0");
    let mut hello = agent("a");
    hello.groups = vec![report];
    let id = world.launched("t").tasks[0].clone();
    check(world.hello(hello), &format!("event {id} TASK_RUNNING Placed\nevent agent a Active 1000"));
    world.show = "s";
    check(
        world.subscribe(info("f", "r")),
        "stream 2 subscribed f
         stream 2 offers L2-O1 on a for r: 3 3968",
    );
    check(world.reconcile("f", &[]), "stream 2 update t TASK_RUNNING REASON_RECONCILIATION");
    // And if it does not come, its tasks end.
    world.restart();
    world.show = "e";
    let mut heard = String::new();
    for _ in 0..120 {
        heard += &world.pass(1000);
    }
    assert!(heard.contains("event framework f removed"), "{heard}");
}
