//! What is done with offers.

use super::*;
use hansa_model::task::TaskState::*;

#[test]
fn a_task_from_offer_to_release() {
    let mut world = offered();
    world.show = "erst";
    let heard = world.accept("f", "L1-O1", vec![launch([task("t", "a")])]);
    let launch = world.launched("t").clone();
    let (id, instance) = (launch.tasks[0].clone(), launch.instance.clone());
    check(
        heard,
        &format!(
            "event offer L1-O1 Accepted
             event {id} TASK_STAGING Placed
             to a launch {instance} under b1"
        ),
    );
    let of_framework = launch.framework.as_ref().unwrap();
    assert_eq!((of_framework.framework.id.as_str(), of_framework.tasks[0].id.as_str()), ("f", "t"));
    assert_eq!((launch.allocation.cpus_milli, launch.allocation.mem), (1000, 128 * MIB));
    assert_eq!(launch.group.tasks[0].demand.cpus_milli, 1000, "its demand is its parts");
    assert!(instance.as_str().len() == 36, "{instance} is a UUID");
    world.show = "est";
    check(
        world.says("a", "t", 1, Running),
        &format!("event {id} TASK_RUNNING\nstream 1 update t TASK_RUNNING !"),
    );
    check(world.ack("f", "t"), &format!("to a acknowledge {id} 1"));
    check(
        world.says("a", "t", 2, Finished),
        &format!(
            "event {id} TASK_FINISHED
             event offer L1-O2
             stream 1 update t TASK_FINISHED !
             stream 1 offers L1-O2 on a for r: 4 4096"
        ),
    );
    check(
        world.ack("f", "t"),
        &format!("event {id} removed\nto a acknowledge {id} 2\nto a release {instance}"),
    );
}

#[test]
fn what_is_left_is_declined() {
    let mut world = offered();
    check(world.accept("f", "L1-O1", vec![launch([task("t", "a")])]), "");
    world.contact("a");
    check(world.pass(4_900), "");
    world.contact("a");
    check(world.pass(100), "stream 1 offers L1-O2 on a for r: 3 3968");
}

#[test]
fn launching_nothing_declines() {
    let mut world = offered();
    world.show = "es";
    check(world.accept("f", "L1-O1", vec![launch([])]), "event offer L1-O1 Declined");
}

#[test]
fn each_task_is_judged_by_itself() {
    let mut world = offered();
    let broken = TaskAsked { spec: Err("command.value: it is missing".into()), ..task("broken", "a") };
    let large = TaskAsked { parts: vec![open(3000, 5000)], ..task("large", "a") };
    let kept = TaskAsked { parts: vec![reserved("r", amount(100, 32))], ..task("kept", "a") };
    check(
        world.accept(
            "f",
            "L1-O1",
            vec![launch([
                task("t", "a"),
                broken,
                task("t", "a"),
                task("far", "b"),
                large,
                kept,
                task("u", "a"),
            ])],
        ),
        "stream 1 update broken TASK_ERROR REASON_TASK_INVALID
         stream 1 update t TASK_ERROR REASON_TASK_INVALID
         stream 1 update far TASK_ERROR REASON_TASK_INVALID
         stream 1 update large TASK_ERROR REASON_TASK_INVALID
         stream 1 update kept TASK_ERROR REASON_TASK_INVALID",
    );
    assert_eq!(world.framework_tasks.len(), 2, "t and u");
}

#[test]
fn offers_that_cannot_be_used_drop_what_was_to_be_launched() {
    let mut world = offered();
    check(world.hello(agent("b")), "stream 1 offers L1-O2 on b for r: 4 4096");
    check(
        world.accept("f", "L1-O1 L1-O7", vec![launch([task("t", "a")])]),
        "stream 1 update t TASK_DROPPED REASON_INVALID_OFFERS
         stream 1 offers L1-O3 on a for r: 4 4096",
    );
    check(
        world.accept("f", "L1-O2 L1-O3", vec![launch([task("t", "a")])]),
        "stream 1 update t TASK_DROPPED REASON_INVALID_OFFERS
         stream 1 offers L1-O4 on a for r: 4 4096 | L1-O5 on b for r: 4 4096",
    );
    check(
        world.accept("f", "L1-O4 L1-O4", vec![launch([task("t", "a")]), launch([task("u", "a")])]),
        "stream 1 update t TASK_DROPPED REASON_INVALID_OFFERS
         stream 1 update u TASK_DROPPED REASON_INVALID_OFFERS
         stream 1 offers L1-O6 on a for r: 4 4096",
    );
    assert!(world.framework_tasks.is_empty());
}

#[test]
fn a_kill_is_told_and_repeated() {
    let mut world = running();
    let instance = world.launched("t").instance.clone();
    world.show = "tsr";
    check(world.kill_task("f", "t"), &format!("to a kill {instance}"));
    check(world.kill_task("f", "t"), &format!("to a kill {instance}"));
    let elsewhere = FrameworkCall::Kill { task: "t".into(), agent: Some("b".into()), grace_ms: None };
    check(world.ask("f", elsewhere), "");
    world.show = "s";
    check(world.says("a", "t", 2, Killing), "stream 1 update t TASK_KILLING !");
    world.says("a", "t", 3, Killed);
    check(world.ack("f", "t"), "stream 1 update t TASK_KILLED !");
    check(world.kill_task("f", "t"), "");
    world.ack("f", "t");
    check(world.kill_task("f", "t"), "stream 1 update t TASK_UNKNOWN REASON_RECONCILIATION");
    let there = FrameworkCall::Kill { task: "t".into(), agent: Some("a".into()), grace_ms: None };
    check(world.ask("f", there), "stream 1 update t TASK_GONE REASON_RECONCILIATION");
}

#[test]
fn a_kill_while_staging_gives_one_end() {
    let mut world = offered();
    world.accept("f", "L1-O1", vec![launch([task("t", "a")])]);
    world.kill_task("f", "t");
    check(
        world.says("a", "t", 1, Killed),
        "stream 1 update t TASK_KILLED !\nstream 1 offers L1-O2 on a for r: 4 4096",
    );
    check(world.says("a", "t", 1, Killed), "");
    world.ack("f", "t");
    assert!(world.framework_tasks.is_empty());
}
