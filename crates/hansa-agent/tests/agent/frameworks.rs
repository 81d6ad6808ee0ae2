//! Frameworks' tasks without executors of their own: command tasks and groups that share surroundings.

use crate::Test;
use crate::fixture::{Fixture, shell};
use crate::http::Http;
use hansa_link::{ToAgentBody, ToMasterBody};
use hansa_mesos::codec::{Codec, encode};
use hansa_mesos::proto::v1;
use hansa_model::container::Volume;
use hansa_model::framework::launch::{ExecutorRun, FrameworkLaunch, FrameworkTask};
use hansa_model::framework::{
    Amount, DiskSource, ExecutorKind, FrameworkInfo, Part, PersistentVolume, Raw, Reservation,
};
use hansa_model::resources::{Allocation, MIB};
use hansa_model::spec::{Command, GroupSpec, Launch, TaskSpec};
use hansa_model::task::TaskState;
use hansa_model::{InstanceId, TaskId};
use serde_json::json;
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test { name: "a command task has Mesos' environment and paths", run: command },
        Test { name: "a command task ends when its time is over", run: too_long },
        Test { name: "tasks of a group share a directory and their fate", run: pod },
        Test { name: "a persistent volume outlives its tasks", run: volume },
        Test { name: "volumes on disks of their own lie there and go from there", run: volumes_on_disks },
    ]
}

pub(crate) fn framework() -> Arc<FrameworkInfo> {
    let info = json!({"id": "f-0000", "name": "test", "roles": ["*"], "checkpoint": true});
    Arc::new(serde_json::from_value(info).unwrap())
}

pub(crate) fn task(id: &str) -> FrameworkTask {
    let info = v1::TaskInfo {
        name: id.into(),
        task_id: v1::TaskId { value: id.into() },
        agent_id: v1::AgentId { value: "a".into() },
        ..v1::TaskInfo::default()
    };
    FrameworkTask {
        id: id.into(),
        name: id.into(),
        parts: Vec::new(),
        info: Raw::new(encode(Codec::Protobuf, &info)),
    }
}

/// A group `<name>` of these tasks (the framework's ids and scripts).
pub(crate) fn group(name: &str, tasks: &[(&str, &str)], executor: Option<ExecutorRun>) -> Launch {
    let mut launch = shell(name, "");
    let spec =
        |script: &str| TaskSpec { command: Command::Shell(script.into()), ..launch.group.tasks[0].clone() };
    let specs: Vec<TaskSpec> = tasks.iter().map(|(_, script)| spec(script)).collect();
    launch.group = GroupSpec { tasks: specs, ..GroupSpec::default() }.into();
    launch.tasks = (1..=tasks.len()).map(|at| TaskId::from(format!("{name}.{at}"))).collect();
    launch.framework = Some(Arc::new(FrameworkLaunch {
        framework: framework(),
        tasks: tasks.iter().map(|(id, _)| task(id)).collect(),
        executor: executor.map(Arc::new),
    }));
    launch
}

/// An executor with this container and program.
pub(crate) fn executor(container: &str, kind: ExecutorKind, script: &str) -> ExecutorRun {
    let info = v1::ExecutorInfo {
        executor_id: v1::ExecutorId { value: "e1".into() },
        name: Some("an executor".into()),
        ..v1::ExecutorInfo::default()
    };
    ExecutorRun {
        id: "e1".into(),
        container: InstanceId::from(container),
        kind,
        parts: Vec::new(),
        allocation: Allocation { cpus_milli: 100, mem: 64 * MIB, ..Allocation::default() },
        spec: TaskSpec { command: Command::Shell(script.into()), ..TaskSpec::default() },
        shutdown_grace_ms: Some(300),
        info: Raw::new(encode(Codec::Protobuf, &info)),
    }
}

fn command() {
    let mut fixture = Fixture::new();
    let hello = fixture.start_agent();
    let agent = hello.agent.unwrap().to_string();
    fixture.with_master(async |master| {
        master.launch(group("x", &[("task-1", "env; sleep 1000")], None));
        master.state(TaskState::Running).await;
    });
    fixture.until("it has told its environment", || fixture.read("x", "stdout").contains("MESOS_TASK_ID"));
    let env = fixture.read("x", "stdout");
    let sandbox = fixture.sandbox("x").display().to_string();
    for (name, value) in [
        ("MESOS_TASK_ID", "task-1"),
        ("MESOS_EXECUTOR_ID", "task-1"),
        ("MESOS_FRAMEWORK_ID", "f-0000"),
        ("MESOS_SLAVE_ID", &agent),
        ("MESOS_SANDBOX", &sandbox),
        ("MESOS_DIRECTORY", &sandbox),
        ("MESOS_ALLOCATION_ROLE", "*"),
        ("MESOS_CONTAINER_IP", "127.0.0.1"),
        ("LIBPROCESS_IP", "127.0.0.1"),
    ] {
        assert!(env.lines().any(|line| line == format!("{name}={value}")), "{name}={value}: {env}");
    }
    assert!(!env.contains("MARATHON") && !env.contains("PORT0"), "{env}");

    let http = Http::new(&fixture, &hello.address);
    let state = http.json("/slave(1)/state.json");
    let executor = &state["frameworks"][0]["executors"][0];
    assert_eq!(executor["id"], "task-1");
    assert_eq!(executor["tasks"][0]["executor_id"], "");
    let directory = executor["directory"].as_str().unwrap();
    let data = fixture.data_dir().display().to_string();
    assert_eq!(directory, format!("{data}/slaves/{agent}/frameworks/f-0000/executors/task-1/runs/x"));
    for path in [
        directory.to_owned(),
        format!("{data}/slaves/{agent}/frameworks/f-0000/executors/task-1/runs/latest"),
        "/frameworks/f-0000/executors/task-1/runs/latest".into(),
    ] {
        let listed = http.json(&format!("/files/browse?path={path}"));
        let names: Vec<&str> =
            listed.as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
        assert!(names.contains(&format!("{path}/stdout").as_str()), "{names:?}");
        let read = http.json(&format!("/slave(1)/files/read.json/?path={path}/stdout&offset=0&length=6"));
        assert_eq!(read["data"].as_str().unwrap().len(), 6);
        assert_eq!(http.get(&format!("/files/download?path={path}/stdout")).1, env);
        assert_eq!(http.get(&format!("/files/read?path={path}/../../stdout&offset=0")).0, 404);
        assert_eq!(http.get(&format!("/files/read?path={path}&offset=0")).0, 400);
    }
    let debug = http.json("/files/debug");
    assert_eq!(debug[directory], sandbox);
    assert_eq!(http.get("/files/read?offset=0"), (400, "Expecting 'path=value' in query.\n".into()));
    assert_eq!(http.json("/version")["version"], "1.11.0");
    assert_eq!(http.get("/slave(1)/health/"), (200, String::new()));
    let metrics = http.json("/metrics/snapshot");
    assert_eq!(metrics["slave/tasks_running"], 1.0);
    assert_eq!(metrics["slave/frameworks_active"], 1.0);
    let containers = http.json("/containers");
    assert_eq!(containers[0]["container_id"], "x");
    let answered = http.post("/api/v1", r#"{"type":"GET_TASKS"}"#);
    let tasks: serde_json::Value = serde_json::from_str(&answered.1).unwrap();
    assert_eq!(tasks["get_tasks"]["launched_tasks"][0]["task_id"]["value"], "task-1");
    let read = json!({"type": "READ_FILE", "read_file": {"path": format!("{directory}/stdout"), "offset": 0, "length": 3}});
    let answered: serde_json::Value =
        serde_json::from_str(&http.post("/api/v1", &read.to_string()).1).unwrap();
    assert_eq!(answered["read_file"]["size"], env.len());
}

fn too_long() {
    let mut launch = group("x", &[("task-1", "sleep 1000")], None);
    let mut spec = (*launch.group).clone();
    spec.tasks[0].max_run_ms = Some(200);
    launch.group = spec.into();
    let mut fixture = Fixture::new();
    fixture.start_agent();
    let last = fixture.with_master(async |master| {
        master.launch(launch);
        master.update(|status| status.state.is_terminal()).await
    });
    assert_eq!(last.state, TaskState::Failed);
    assert_eq!(last.reason.unwrap().name(), "REASON_MAX_COMPLETION_TIME_REACHED");
}

pub(crate) fn is_root() -> bool {
    let root =
        std::fs::metadata("/proc/self").is_ok_and(|data| std::os::unix::fs::MetadataExt::uid(&data) == 0);
    if !root {
        println!("  not root: volumes are not tested");
    }
    root
}

fn pod() {
    if !is_root() {
        return;
    }
    let tasks = [
        ("writer", "echo shared > common/file; while [ ! -e common/end ]; do sleep 0.05; done; exit 3"),
        ("reader", "while [ ! -s common/file ]; do sleep 0.05; done; cat common/file; env; sleep 1000"),
    ];
    let mut launch = group("x", &tasks, Some(executor("run-1", ExecutorKind::Default, "")));
    let mut spec = (*launch.group).clone();
    for task in &mut spec.tasks {
        let (container_path, path) = ("common".to_owned(), "shared".to_owned());
        task.container.volumes = vec![Volume::Parent { container_path, path, read_only: false }];
    }
    launch.group = spec.into();
    let mut fixture = Fixture::new();
    let address = fixture.start_agent().address;
    fixture.with_master(async |master| {
        master.launch(launch);
        for _ in 0..2 {
            master.state(TaskState::Running).await;
        }
    });
    let run = fixture.data_dir().join("sandboxes/run-1");
    let stdout = run.join("tasks/reader/stdout");
    let read = || std::fs::read_to_string(&stdout).unwrap_or_default();
    fixture.until("one reads what the other wrote", || read().contains("MESOS_TASK_ID=reader"));
    assert!(read().starts_with("shared\n"), "{}", read());
    assert!(read().contains("MESOS_EXECUTOR_ID=e1\n"), "{}", read());
    let http = Http::new(&fixture, &address);
    let path = "/frameworks/f-0000/executors/e1/runs/latest/tasks/reader/stdout";
    assert!(
        http.json(&format!("/files/read?path={path}&offset=0"))["data"]
            .as_str()
            .unwrap()
            .starts_with("shared")
    );
    let state = http.json("/state");
    let shown = &state["frameworks"][0]["executors"][0];
    assert_eq!((&shown["type"], shown["tasks"].as_array().unwrap().len()), (&json!("DEFAULT"), 2));
    std::fs::write(run.join("shared/end"), "").unwrap();
    let ended = fixture.with_master(async |master| {
        let mut ends = Vec::new();
        loop {
            match master.next().await {
                ToMasterBody::Update(status) => {
                    master.say(ToAgentBody::Acknowledge {
                        task: status.task.clone(),
                        sequence: status.sequence,
                    });
                    if status.state.is_terminal() {
                        ends.push(format!("{} {}", status.task, status.state));
                    }
                }
                ToMasterBody::ExecutorEnded { executor, wait_status, .. } => {
                    ends.push(format!("{executor} {wait_status}"));
                    return ends;
                }
                _ => {}
            }
        }
    });
    assert_eq!(ended, ["x.1 TASK_FAILED", "x.2 TASK_KILLED", "e1 0"]);
    fixture.until("nothing of it is left", || fixture.shims().is_empty());
}

fn volume() {
    if !is_root() {
        return;
    }
    let reservation = Reservation { role: "db".into(), principal: None, labels: vec![], fixed: false };
    let volume = PersistentVolume { id: "v1".into(), principal: None, container_path: "data".into() };
    let part = Part {
        reservations: vec![reservation],
        volume: Some(volume),
        amount: Amount { disk: MIB, ..Amount::default() },
        ..Part::default()
    };
    let with = |name: &str, script: &str| {
        let mut launch = group(name, &[("task", script)], None);
        let mut of = (**launch.framework.as_ref().unwrap()).clone();
        of.tasks[0].parts = vec![part.clone()];
        launch.framework = Some(Arc::new(of));
        launch
    };
    let mut fixture = Fixture::new();
    fixture.start_agent();
    fixture.with_master(async |master| {
        master.launch(with("x", "echo kept > data/file"));
        master.update(|status| status.state == TaskState::Finished).await;
        master.launch(with("y", "cat data/file"));
        master.update(|status| status.state == TaskState::Finished).await;
    });
    assert_eq!(fixture.read("y", "stdout"), "kept\n");
    let directory = fixture.data_dir().join("volumes/roles/db/v1");
    assert!(directory.join("file").exists());
    fixture.kill_agent();
    let hello = fixture.start_agent();
    assert_eq!(hello.volumes, [("db".into(), "v1".to_owned())]);
    fixture.with_master(async |master| {
        master.say(ToAgentBody::RemoveVolume { role: "db".into(), id: "v1".into() });
    });
    fixture.until("it is removed", || !directory.exists());
}

/// Takes away what was mounted for a test.
struct Mounted(PathBuf);

impl Mounted {
    fn at(path: PathBuf) -> Self {
        let target = CString::new(path.as_os_str().as_encoded_bytes()).expect("no zeros");
        // SAFETY: all of them are C strings.
        let done = unsafe {
            libc::mount(c"tmpfs".as_ptr(), target.as_ptr(), c"tmpfs".as_ptr(), 0, c"size=8m".as_ptr().cast())
        };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
        Self(path)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let target = CString::new(self.0.as_os_str().as_encoded_bytes()).expect("no zeros");
        // SAFETY: the path is a C string.
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    }
}

fn volumes_on_disks() {
    if !is_root() {
        return;
    }
    let disks = tempfile::tempdir().unwrap();
    let (path, mount) = (disks.path().join("p"), disks.path().join("m"));
    std::fs::create_dir(&mount).unwrap();
    let _mounted = Mounted::at(mount.clone());
    std::fs::create_dir(mount.join("old")).unwrap();
    std::fs::write(mount.join("old/file"), "from before\n").unwrap();
    let part = |id: &str, source: DiskSource| Part {
        reservations: vec![Reservation {
            role: "db/x".into(),
            principal: None,
            labels: vec![],
            fixed: false,
        }],
        source: Some(source),
        volume: Some(PersistentVolume { id: id.into(), principal: None, container_path: id.into() }),
        amount: Amount { disk: MIB, ..Amount::default() },
    };
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let parts = vec![part("v1", DiskSource::Path(text(&path))), part("v2", DiskSource::Mount(text(&mount)))];
    let with = |name: &str, script: &str, parts: &[Part]| {
        let mut launch = group(name, &[("task", script)], None);
        let mut of = (**launch.framework.as_ref().unwrap()).clone();
        of.tasks[0].parts = parts.to_vec();
        launch.framework = Some(Arc::new(of));
        launch
    };
    let mut fixture = Fixture::new();
    fixture.start_agent();
    fixture.with_master(async |master| {
        master.launch(with("x", "cat v2/old/file; echo a > v1/file; echo b > v2/file", &parts));
        master.update(|status| status.state == TaskState::Finished).await;
    });
    assert_eq!(fixture.read("x", "stdout"), "from before\n");
    let directory = path.join("volumes/roles/db x/v1");
    assert!(directory.join("file").exists() && mount.join("file").exists());
    fixture.kill_agent();
    let hello = fixture.start_agent();
    let key = |id: &str| (hansa_model::RoleName::from("db/x"), id.to_owned());
    assert_eq!(hello.volumes, [key("v1"), key("v2")]);
    let remove = |id: &str| ToAgentBody::RemoveVolume { role: "db/x".into(), id: id.into() };
    fixture.with_master(async |master| {
        master.say(remove("v1"));
        master.say(remove("v2"));
        // Whoever has the disk next finds nothing, however long removing takes.
        let next = part("v3", DiskSource::Mount(text(&mount)));
        master.launch(with("y", "ls v3; echo new > v3/new", &[next]));
        master.update(|status| status.state == TaskState::Finished).await;
    });
    assert_eq!(fixture.read("y", "stdout"), "");
    let names = || {
        let entries = std::fs::read_dir(&mount).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
    };
    fixture.until("what was there goes, and nothing else", || names() == ["new"] && !directory.exists());
}
