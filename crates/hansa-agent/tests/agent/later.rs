//! Volumes of later tasks in the container of a custom executor that runs: a real agent, its restart, and who is next.

use crate::Test;
use crate::executors::{Stream, call};
use crate::fixture::{Fixture, limited};
use crate::frameworks::{executor, group, is_root};
use hansa_link::ToAgentBody;
use hansa_model::framework::{Amount, ExecutorKind, Part, PersistentVolume, Reservation};
use hansa_model::resources::MIB;
use hansa_model::spec::Launch;
use hansa_model::task::TaskState;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test { name: "a running executor is given a later task's volume, and parted from it", run: life },
        Test { name: "a volume that a running executor cannot be given fails its task alone", run: refused },
    ]
}

/// Runs what is asked, and answers.
const ASKED: &str = "echo ready; while sleep 0.02; do if [ -e ask ]; then sh ./ask > said 2>&1; rm ask; mv said answer; fi; done";

/// With a volume of the role `db`, seen by its id.
fn with(mut launch: Launch, id: &str) -> Launch {
    let part = Part {
        reservations: vec![Reservation { role: "db".into(), principal: None, labels: vec![], fixed: false }],
        volume: Some(PersistentVolume { id: id.into(), principal: None, container_path: id.into() }),
        amount: Amount { disk: MIB, ..Amount::default() },
        ..Part::default()
    };
    let mut of = (**launch.framework.as_ref().unwrap()).clone();
    of.tasks[0].parts = vec![part];
    launch.framework = Some(Arc::new(of));
    launch
}

fn for_executor(name: &str, task: &str) -> Launch {
    group(name, &[(task, "")], Some(executor("run-1", ExecutorKind::Custom, ASKED)))
}

/// An agent with an executor that has one task without a volume, and the executor's stream after that is heard.
fn started() -> (Fixture, String, Stream) {
    let mut fixture = Fixture::new();
    let address = fixture.start_agent().address;
    fixture.with_master(async |master| master.launch(for_executor("x", "task-1")));
    let stdout = sandbox(&fixture).join("stdout");
    fixture
        .until("the executor runs", || std::fs::read_to_string(&stdout).is_ok_and(|text| text == "ready\n"));
    let mut stream = Stream::open(&fixture, &address, json!({}));
    assert_eq!(stream.next(&fixture)["type"], "SUBSCRIBED");
    assert_eq!(stream.next(&fixture)["launch"]["task"]["task_id"]["value"], "task-1");
    (fixture, address, stream)
}

fn sandbox(fixture: &Fixture) -> PathBuf {
    fixture.data_dir().join("sandboxes/run-1")
}

/// What the executor's program says to this.
fn ask(fixture: &Fixture, script: &str) -> String {
    let (new, answer) = (sandbox(fixture).join("new"), sandbox(fixture).join("answer"));
    let _ = std::fs::remove_file(&answer);
    std::fs::write(&new, script).unwrap();
    std::fs::rename(&new, sandbox(fixture).join("ask")).unwrap();
    fixture.until("it answers", || answer.exists());
    std::fs::read_to_string(&answer).unwrap()
}

fn update(task: &str, state: &str, uuid: &str) -> Value {
    let status =
        json!({"task_id": {"value": task}, "state": state, "source": "SOURCE_EXECUTOR", "uuid": uuid});
    json!({"type": "UPDATE", "update": {"status": status}})
}

fn life() {
    if !is_root() {
        return;
    }
    let (mut fixture, _, mut stream) = started();
    fixture.with_master(async |master| {
        master.launch(with(group("w", &[("writes", "echo kept > v1/file")], None), "v1"));
        master.update(|status| status.state == TaskState::Finished).await;
        master.launch(with(for_executor("y", "task-2"), "v1"));
    });
    // Whoever hears of the task finds the volume there.
    assert_eq!(stream.next(&fixture)["launch"]["task"]["task_id"]["value"], "task-2");
    assert_eq!(ask(&fixture, "cat v1/file; echo new > v1/new"), "kept\n");
    let directory = fixture.data_dir().join("volumes/roles/db/v1");
    assert_eq!(std::fs::read_to_string(directory.join("new")).unwrap(), "new\n");
    // An agent that comes back knows of it, and leaves it as it is.
    fixture.kill_agent();
    let again = fixture.start_agent().address;
    let task = |id: &str| json!({"name": "t", "task_id": {"value": id}, "agent_id": {"value": "a"}});
    let mut stream =
        Stream::open(&fixture, &again, json!({"unacknowledged_tasks": [task("task-1"), task("task-2")]}));
    assert_eq!(stream.next(&fixture)["type"], "SUBSCRIBED");
    fixture.with_master(async |master| master.launch(with(for_executor("z", "task-3"), "v2")));
    assert_eq!(stream.next(&fixture)["launch"]["task"]["task_id"]["value"], "task-3");
    assert_eq!(ask(&fixture, "cat v1/new; grep -c run-1/v1 /proc/self/mountinfo; ls v2"), "new\n1\n");
    let remove = || ToAgentBody::RemoveVolume { role: "db".into(), id: "v1".into() };
    fixture.with_master(async |master| master.say(remove()));
    assert_eq!(ask(&fixture, "cat v1/new"), "new\n", "what is in use is not removed");
    // Its end is told, and at once somebody else has the volume; then it is removed.
    let done = update("task-2", "TASK_FINISHED", "AAAAAAAAAAAAAAAAAAAABw==");
    assert_eq!(call(&fixture, &again, done), (202, String::new()));
    fixture.with_master(async |master| {
        master.update(|status| status.state == TaskState::Finished).await;
        master.launch(with(group("r", &[("reads", "cat v1/new")], None), "v1"));
        master.update(|status| status.state == TaskState::Finished).await;
        master.say(remove());
    });
    assert_eq!(fixture.read("r", "stdout"), "new\n");
    fixture.until("it is removed", || !directory.exists());
    assert_eq!(
        ask(&fixture, "ls -d v1 2>&- || echo gone; ls -d v2; echo 2 > v2/file; cat v2/file"),
        "gone\nv2\n2\n"
    );
    assert!(!sandbox(&fixture).join("v2/file").exists());
}

fn refused() {
    if !is_root() {
        return;
    }
    let (mut fixture, address, mut stream) = started();
    assert_eq!(ask(&fixture, "ln -s /tmp v1"), "");
    let status = fixture.with_master(async |master| {
        master.launch(with(for_executor("y", "task-2"), "v1"));
        master.update(|status| status.state.is_terminal()).await
    });
    assert_eq!(status.state, TaskState::Failed);
    let words = "executor e1 runs already and cannot be given the volume v1 of db";
    assert!(
        status.message.contains(words) && status.message.contains("a link on the way"),
        "{}",
        status.message
    );
    // The executor and its other tasks go on.
    assert_eq!(ask(&fixture, "rm v1"), "");
    fixture.with_master(async |master| master.launch(with(for_executor("z", "task-3"), "v1")));
    assert_eq!(stream.next(&fixture)["launch"]["task"]["task_id"]["value"], "task-3");
    assert_eq!(ask(&fixture, "echo 1 > v1/file; cat v1/file"), "1\n");
    let running = update("task-1", "TASK_RUNNING", "AAAAAAAAAAAAAAAAAAAACA==");
    assert_eq!(call(&fixture, &address, running), (202, String::new()));
    fixture.with_master(async |master| limited(master.state(TaskState::Running)).await);
}
