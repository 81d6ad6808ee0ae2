//! Agents say hello, and both sides converge.

use crate::world::*;
use hansa_kernel::AgentOrder;
use hansa_model::task::TaskState::*;
use hansa_model::task::TaskStatus;
use hansa_model::{Owner, SpecId};
use std::sync::Arc;

fn running() -> World {
    let mut world = World::new();
    world.hello(agent("a"));
    let spec = world.spec(cpus(1000));
    world.place("web", spec, "a");
    world.pass(200);
    world.update("a", "web", 1, Running);
    world
}

#[test]
fn a_host_name_belongs_to_one_live_agent() {
    let mut world = World::new();
    world.hello(agent("a"));
    let mut other = agent("b");
    other.hostname = "host-a".into();
    let refused = r#"< Err(HostnameTaken("host-a"))
         to b refused: the host name host-a belongs to another agent that is alive"#;
    check(world.hello(other.clone()), refused);
    world.disconnect("a");
    check(world.hello(other.clone()), refused);
    world.pass(5000);
    check(
        world.hello(other),
        "record put agent b Active
         event agent b Active 0",
    );
    check(
        world.hello(agent("a")),
        r#"< Err(HostnameTaken("host-a"))
         to a refused: the host name host-a belongs to another agent that is alive"#,
    );
    let mut renamed = agent("a");
    renamed.hostname = "host-a2".into();
    check(
        world.hello(renamed),
        "record put agent a Active
         event agent a Active 0",
    );
}

#[test]
fn a_renamed_machine_renames_its_tasks() {
    let mut world = running();
    let mut hello = agent("a");
    hello.hostname = "new".into();
    hello.groups = vec![world.report("web", 1, Running, false)];
    check(
        world.hello(hello),
        "record put agent a Active
         event web.t TASK_RUNNING Restored
         event agent a Active 1000",
    );
    world.hello(agent("b"));
    let mut other = agent("c");
    other.hostname = "host-a".into();
    assert!(world.hello(other).contains("agent c Active"), "the old name is free");
}

#[test]
fn a_hello_needs_its_ids() {
    let mut world = World::new();
    let mut hello = agent("a");
    hello.boot = None;
    check(
        world.hello(hello),
        r#"< Err(Invalid("a hello without a boot id"))
         to a refused: a hello without a boot id"#,
    );
    let mut hello = agent("a");
    hello.agent = None;
    check(world.hello(hello), r#"< Err(Invalid("a hello without an agent id"))"#);
}

#[test]
fn a_returning_agents_word_counts() {
    let mut world = running();
    world.disconnect("a");
    let mut hello = agent("a");
    hello.groups = vec![world.report("web", 1, Running, false)];
    check(world.hello(hello.clone()), "event agent a Active 1000");
    hello.groups = vec![world.report("web", 3, Failed, true)];
    check(
        world.hello(hello.clone()),
        "record delete assignment 1
         event web.t TASK_FAILED
         event web.t removed
         event agent a Active 0
         notice services web.t TASK_FAILED
         to a acknowledge web.t 3
         to a release web",
    );
    check(
        world.hello(hello),
        "event agent a Active 0
         to a acknowledge web.t 3
         to a release web",
    );
}

#[test]
fn unacknowledged_updates_are_dealt_with_in_order() {
    let mut world = World::new();
    world.hello(agent("a"));
    let spec = world.spec(cpus(1000));
    world.place("web", spec, "a");
    let mut report = world.report("web", 3, Finished, false);
    report.unacknowledged =
        vec![status("web", 1, Starting), status("web", 2, Running), status("web", 3, Finished)];
    let mut hello = agent("a");
    hello.groups = vec![report];
    check(
        world.hello(hello),
        "record delete assignment 1
         event web.t TASK_STARTING
         event web.t TASK_RUNNING
         event web.t TASK_FINISHED
         event web.t removed
         event agent a Active 0
         notice services web.t TASK_STARTING
         notice services web.t TASK_RUNNING
         notice services web.t TASK_FINISHED
         to a acknowledge web.t 1
         to a acknowledge web.t 2
         to a acknowledge web.t 3
         to a release web",
    );
}

#[test]
fn a_launch_that_never_arrived_is_sent_again_under_the_same_boot() {
    let mut world = World::new();
    world.hello(agent("a"));
    let spec = world.spec(cpus(1000));
    world.place("web", spec, "a");
    check(
        world.hello(agent("a")),
        "event agent a Active 1000
         to a launch web under b1",
    );
    let mut booted = agent("a");
    booted.boot = Some("b2".into());
    check(
        world.hello(booted),
        "record put agent a Active
         record delete assignment 1
         event web.t TASK_GONE
         event web.t removed
         event agent a Active 0
         notice services web.t TASK_GONE",
    );
}

#[test]
fn what_was_accepted_and_is_not_there_is_gone() {
    let mut world = running();
    check(
        world.hello(agent("a")),
        "record delete assignment 1
         event web.t TASK_GONE
         event web.t removed
         event agent a Active 0
         notice services web.t TASK_GONE",
    );
}

#[test]
fn a_killed_group_that_never_arrived() {
    let mut world = World::new();
    world.hello(agent("a"));
    let spec = world.spec(cpus(1000));
    world.place("web", spec, "a");
    world.kill("web");
    check(
        world.hello(agent("a")),
        "event agent a Active 1000
         to a kill web",
    );
    let mut booted = agent("a");
    booted.boot = Some("b2".into());
    check(
        world.hello(booted),
        "record put agent a Active
         record delete assignment 1
         event web.t TASK_KILLED
         event web.t removed
         event agent a Active 0
         notice services web.t TASK_KILLED",
    );
}

#[test]
fn unknown_groups_are_adopted() {
    let mut old = running();
    let mut hello = agent("a");
    hello.groups = vec![old.report("web", 4, Running, true)];
    // The store is lost.
    let mut world = World::new();
    check(
        world.hello(hello.clone()),
        "record put agent a Active
         record put spec 1
         record put assignment 1 web
         event agent a Active 0
         event web.t TASK_RUNNING Placed
         event agent a Active 1000
         event alarm groups-adopted
         notice services placed web on a adopted
         to a acknowledge web.t 4",
    );
    check(world.hello(hello), "event agent a Active 1000\nto a acknowledge web.t 4");
    check(
        world.update("a", "web", 5, Failed),
        "record delete assignment 1
         record delete spec 1
         event web.t TASK_FAILED
         event web.t removed
         notice services web.t TASK_FAILED
         to a acknowledge web.t 5
         to a release web",
    );
    let _ = old.pass(0);
}

#[test]
fn a_spec_number_that_means_something_else_by_now() {
    let old = running();
    let mut world = World::new();
    world.hello(agent("b"));
    let spec = world.spec(cpus(2000));
    assert_eq!(spec, SpecId(1));
    let mut hello = agent("a");
    hello.groups = vec![old.report("web", 1, Running, false)];
    check(
        world.hello(hello),
        "record put agent a Active
         record put spec 2
         record put assignment 1 web
         event agent a Active 0
         event web.t TASK_RUNNING Placed
         event agent a Active 1000
         event alarm groups-adopted
         notice services placed web on a adopted",
    );
    assert_eq!(world.spec(cpus(1000)), SpecId(2));
}

#[test]
fn groups_of_other_owners_live_on_too() {
    let old = running();
    let mut report = old.report("web", 1, Running, false);
    report.launch.owner = Owner::from("somebody");
    report.statuses.clear();
    let mut hello = agent("a");
    hello.groups = vec![report];
    let mut world = World::new();
    world.show = "n";
    check(world.hello(hello), "notice somebody placed web on a adopted");
    assert_eq!(world.tasks["web.t"], "TASK_STAGING");
}

#[test]
fn what_has_ended_is_not_adopted() {
    let old = running();
    let mut hello = agent("a");
    hello.groups = vec![old.report("web", 4, Failed, true)];
    let mut world = World::new();
    world.show = "t";
    check(world.hello(hello), "to a acknowledge web.t 4\nto a release web");
    assert!(world.tasks.is_empty());
}

#[test]
fn an_adopted_group_may_be_too_big() {
    let old = running();
    let mut small = agent("a");
    small.resources = "cpus:0.5;mem:4096;disk:0;ports:[1-2]".parse().unwrap();
    let mut report = old.report("web", 1, Running, false);
    report.launch.allocation.ports = vec![2, 31009];
    report.launch.allocation.gpus = vec![(3, 500)];
    small.groups = vec![report];
    let mut world = World::new();
    world.hello(small.clone());
    assert_eq!(world.free("a"), "cpus:0;mem:3996;disk:0;ports:[1-1]");
    let spec = world.spec(cpus(1));
    check(world.place("more", spec, "a"), "< not enough cpus is free on the agent");
    check(world.pass(200), "event role * 1000");
    // A second one comes and goes; the first still holds more than there is.
    let mut second = old.report("web", 1, Running, false);
    (second.launch.instance, second.launch.tasks) = ("two".into(), vec!["two.t".into()]);
    second.statuses = vec![status("two", 1, Running)];
    small.groups.push(second);
    world.hello(small);
    world.update("a", "two", 2, Failed);
    assert_eq!(world.free("a"), "cpus:0;mem:3996;disk:0;ports:[1-1]");
    world.update("a", "web", 2, Failed);
    assert_eq!(world.free("a"), "cpus:0.5;mem:4096;disk:0;ports:[1-2]");
}

#[test]
fn a_machine_comes_back_smaller_and_bigger() {
    let mut world = running();
    let mut hello = agent("a");
    hello.groups = vec![world.report("web", 1, Running, false)];
    hello.resources = "cpus:0.25;mem:50".parse().unwrap();
    world.hello(hello.clone());
    assert_eq!(world.free("a"), "cpus:0;mem:0;disk:0");
    hello.resources = "cpus:64;mem:200".parse().unwrap();
    world.hello(hello);
    assert_eq!(world.free("a"), "cpus:63;mem:100;disk:0");
    world.update("a", "web", 2, Finished);
    assert_eq!(world.free("a"), "cpus:64;mem:200;disk:0");
}

#[test]
fn an_instance_that_lives_elsewhere_by_now_is_killed() {
    let old = running();
    let mut world = World::new();
    world.hello(agent("b"));
    let spec = world.spec(cpus(1000));
    world.place("web", spec, "b");
    let mut hello = agent("a");
    hello.groups = vec![old.report("web", 1, Running, false)];
    check(
        world.hello(hello),
        "record put agent a Active
         record put given up 2 web
         event agent a Active 0
         event agent a Active 1000
         to a kill web",
    );
    assert_eq!(world.free("a").split(';').next(), Some("cpus:3"));
    world.show = "rent";
    check(
        world.update("a", "web", 2, Killed),
        "record delete given up 2
         to a acknowledge web.t 2
         to a release web",
    );
    assert_eq!(world.tasks["web.t"], "TASK_STAGING", "the one on b lives");
    // The same with another task id.
    let mut report = old.report("web", 1, Running, false);
    report.launch.tasks = vec!["web.t2".into()];
    let mut hello = agent("a");
    hello.groups = vec![report];
    check(world.hello(hello), "record put given up 3 web\nevent agent a Active 1000\nto a kill web");
}

#[test]
fn senseless_reports_do_no_harm() {
    let old = running();
    let report = old.report("web", 1, Running, false);
    let mut none = report.clone();
    (none.launch.instance, none.launch.tasks) = ("none".into(), vec![]);
    let mut twice = report.clone();
    (twice.launch.instance, twice.launch.tasks) = ("twice".into(), vec!["x".into(), "x".into()]);
    let mut other = report.clone();
    other.launch.instance = "other".into();
    let mut wrong = report.clone();
    wrong.launch.instance = "wrong".into();
    wrong.launch.tasks = vec!["w".into()];
    wrong.launch.group = Arc::new(Default::default());
    wrong.statuses = vec![TaskStatus { task: "unheard".into(), ..status("wrong", 1, Unreachable) }];
    let mut hello = agent("a");
    hello.groups = vec![report.clone(), none, twice, other, wrong, report];
    let mut world = World::new();
    world.hello(hello.clone());
    world.hello(hello);
    world.hello(agent("a"));
}

#[test]
fn an_agent_that_is_drained_stays_so() {
    let mut world = running();
    check(
        world.order("a", AgentOrder::Drain),
        "record put agent a Draining
         event agent a Draining 1000
         notice services web drain",
    );
    check(world.order("a", AgentOrder::Drain), "");
    world.disconnect("a");
    let mut hello = agent("a");
    let mut more = world.report("web", 1, Running, false);
    (more.launch.instance, more.launch.tasks) = ("more".into(), vec!["more.t".into()]);
    more.statuses.clear();
    hello.groups = vec![world.report("web", 1, Running, false), more];
    check(
        world.hello(hello),
        "record put assignment 2 more
         event more.t TASK_STAGING Placed
         event agent a Draining 2000
         event alarm groups-adopted
         notice services placed more on a adopted
         notice services more drain",
    );
    check(
        world.order("a", AgentOrder::Reactivate),
        "record put agent a Active
         event agent a Active 2000",
    );
}
