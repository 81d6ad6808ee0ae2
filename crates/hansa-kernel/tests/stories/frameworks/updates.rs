//! What agents say, on its way to frameworks.

use super::*;
use hansa_kernel::AgentOrder;
use hansa_model::task::TaskState::*;

fn launched() -> World {
    let mut world = offered();
    world.accept("f", "L1-O1", vec![launch([task("t", "a")])]);
    world
}

#[test]
fn one_at_a_time_in_order_and_again_until_it_is_acknowledged() {
    let mut world = launched();
    check(world.says("a", "t", 1, Starting), "stream 1 update t TASK_STARTING !");
    check(world.says("a", "t", 2, Running), "");
    check(world.says("a", "t", 1, Starting), "");
    world.decline_all("f");
    let mut heard = Vec::new();
    for second in 1..=40 {
        world.contact("a");
        if world.pass(1000).contains("update t TASK_STARTING !") {
            heard.push(second);
        }
    }
    assert_eq!(heard, [10, 30], "after 10 s, then twice as long");
    let wrong = FrameworkCall::Acknowledge { agent: "a".into(), task: "t".into(), uuid: 7 };
    check(world.ask("f", wrong), "");
    let id = world.launched("t").tasks[0].clone();
    world.show = "st";
    check(world.ack("f", "t"), &format!("to a acknowledge {id} 1\nstream 1 update t TASK_RUNNING !"));
    check(world.says("a", "t", 1, Starting), &format!("to a acknowledge {id} 1"));
}

#[test]
fn an_update_keeps_its_uuid() {
    let mut world = launched();
    world.says("a", "t", 1, Running);
    let key = (FrameworkId::from("f"), "t".to_string());
    let first = world.updates[&key].clone();
    assert_eq!(first.uuid, Some(world.said("t", 1, Running).uuid()));
    assert_eq!((first.executor.as_deref(), first.source), (Some("t"), Source::SourceExecutor));
    assert_eq!(first.container, Some(world.launched("t").instance.clone()));
    world.subscribe(info("f", "r"));
    assert_eq!(world.updates[&key], first);
}

#[test]
fn an_acknowledgement_that_was_lost_is_said_again() {
    let mut world = launched();
    world.says("a", "t", 1, Running);
    world.ack("f", "t");
    let id = world.launched("t").tasks[0].clone();
    let mut hello = agent("a");
    let status = world.said("t", 1, Running);
    let launch = world.launched("t").clone();
    hello.groups = vec![hansa_model::agent::GroupReport {
        launch,
        statuses: vec![status.clone()],
        unacknowledged: vec![status],
    }];
    world.show = "t";
    check(world.hello(hello), &format!("to a acknowledge {id} 1"));
}

#[test]
fn a_machine_out_of_reach_and_back() {
    let mut world = running();
    world.disconnect("a");
    check(
        world.pass(5_000),
        "stream 1 update t TASK_UNREACHABLE REASON_AGENT_REMOVED
         stream 1 failure a",
    );
    check(world.reconcile("f", &[("t", None)]), "stream 1 update t TASK_UNREACHABLE REASON_RECONCILIATION");
    check(
        world.reconcile("f", &[("x", Some("a"))]),
        "stream 1 update x TASK_UNREACHABLE REASON_RECONCILIATION",
    );
    let mut hello = agent("a");
    hello.groups = vec![hansa_model::agent::GroupReport {
        launch: world.launched("t").clone(),
        statuses: vec![world.said("t", 1, Running)],
        unacknowledged: Vec::new(),
    }];
    let heard = world.hello(hello);
    assert!(heard.starts_with("stream 1 update t TASK_RUNNING REASON_AGENT_REREGISTERED\n"), "{heard}");
}

#[test]
fn a_machine_that_booted_or_is_gone() {
    let mut world = running();
    let mut hello = agent("a");
    hello.boot = Some("b2".into());
    let heard = world.hello(hello);
    assert!(heard.starts_with("stream 1 update t TASK_GONE REASON_AGENT_RESTARTED\n"), "{heard}");
    assert!(world.framework_tasks.is_empty());

    let mut world = running();
    check(
        world.order("a", AgentOrder::Gone),
        "stream 1 update t TASK_GONE_BY_OPERATOR REASON_AGENT_REMOVED
         stream 1 failure a",
    );
    assert!(world.framework_tasks.is_empty());
    check(
        world.reconcile("f", &[("t", Some("a"))]),
        "stream 1 update t TASK_GONE_BY_OPERATOR REASON_RECONCILIATION",
    );
    // Another leader says the same.
    world.restart();
    world.subscribe(info("f", "r"));
    let heard = world.reconcile("f", &[("t", Some("a"))]);
    check(heard, "stream 2 update t TASK_GONE_BY_OPERATOR REASON_RECONCILIATION");
}

#[test]
fn reconciliation_answers_by_what_is_known() {
    let mut world = running();
    world.says("a", "t", 2, Finished);
    world.ack("f", "t");
    world.decline_all("f");
    let f = "stream 1 update";
    check(world.reconcile("f", &[]), "");
    check(world.reconcile("f", &[("t", Some("a"))]), &format!("{f} t TASK_GONE REASON_RECONCILIATION"));
    check(world.reconcile("f", &[("t", None)]), &format!("{f} t TASK_UNKNOWN REASON_RECONCILIATION"));
    check(world.reconcile("f", &[("t", Some("z"))]), &format!("{f} t TASK_UNKNOWN REASON_RECONCILIATION"));
    // A machine that a new leader has not heard of yet may have it.
    world.restart();
    world.subscribe(info("f", "r"));
    check(world.reconcile("f", &[("t", Some("a")), ("u", None)]), "");
    world.pass(5_000);
    check(
        world.reconcile("f", &[("t", Some("a"))]),
        "stream 2 update t TASK_UNREACHABLE REASON_RECONCILIATION",
    );
}

#[test]
fn reconciliation_tells_what_the_framework_has_in_hand() {
    let mut world = launched();
    check(world.reconcile("f", &[]), "stream 1 update t TASK_STAGING REASON_RECONCILIATION");
    world.says("a", "t", 1, Running);
    world.says("a", "t", 2, Finished);
    check(world.reconcile("f", &[("t", None)]), "stream 1 update t TASK_RUNNING REASON_RECONCILIATION");
}

#[test]
fn the_end_of_a_task_that_a_new_leader_does_not_know_is_told() {
    let mut world = running();
    let (id, instance) = (world.launched("t").tasks[0].clone(), world.launched("t").instance.clone());
    let end = world.said("t", 2, Failed);
    world.restart();
    world.subscribe(info("f", "r"));
    let mut hello = agent("a");
    hello.groups = vec![hansa_model::agent::GroupReport {
        launch: world.launched("t").clone(),
        statuses: vec![end.clone()],
        unacknowledged: vec![end],
    }];
    check(world.hello(hello), "stream 2 update t TASK_FAILED !\nstream 2 offers L2-O1 on a for r: 4 4096");
    world.show = "t";
    check(world.ack("f", "t"), &format!("to a acknowledge {id} 2\nto a release {instance}"));
}

#[test]
fn draining_kills_with_a_reason() {
    let mut world = running();
    let instance = world.launched("t").instance.clone();
    world.show = "ts";
    let heard = world.order("a", AgentOrder::Drain);
    assert!(heard.contains(&format!("to a kill {instance}\n")), "{heard}");
    check(world.says("a", "t", 2, Killed), "stream 1 update t TASK_KILLED REASON_AGENT_DRAINING !");
}

#[test]
fn whoever_drains_in_a_hurry_gives_less_grace() {
    let grace = |order: AgentOrder| {
        let mut world = offered();
        let spec = TaskSpec { kill_grace_ms: 3_000, ..TaskSpec::default() };
        let task = TaskAsked { spec: Ok(Box::new(spec)), ..task("t", "a") };
        world.accept("f", "L1-O1", vec![launch([task])]);
        world.says("a", "t", 1, Running);
        let outcome = world.kernel.apply(
            world.now,
            Command::AdminAgent { principal: Principal::loopback(), agent: "a".into(), order },
        );
        outcome.effects.iter().find_map(|effect| match effect {
            hansa_kernel::Effect::Kill { grace_ms, .. } => Some(*grace_ms),
            _ => None,
        })
    };
    assert_eq!(grace(AgentOrder::Drain), Some(None), "its own");
    assert_eq!(grace(AgentOrder::DrainWithin(700)), Some(Some(700)));
    assert_eq!(grace(AgentOrder::DrainWithin(6_000)), Some(Some(3_000)));
}

impl World {
    /// The framework wants nothing of what it is offered for a long time.
    pub fn decline_all(&mut self, framework: &str) {
        for offer in self.offers.keys().cloned().collect::<Vec<_>>() {
            self.decline_offer(framework, offer.as_str(), 1_000_000);
        }
    }
}
