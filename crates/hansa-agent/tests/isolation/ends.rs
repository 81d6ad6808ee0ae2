//! How containers end: by themselves, told to, killed, out of time, without their shim or their agent.

use crate::Test;
use crate::fixture::{Fixture, exe};
use hansa_agent::cgroup::Driver;
use hansa_agent::shim::{self, Attached, Cause, Client, LaunchErrorKind, ShimLost};
use hansa_model::task::Exit;
use std::collections::BTreeSet;
use std::time::Duration;

pub fn tests() -> Vec<Test> {
    let test = |name, run| Test { name, needs_root: false, run, plain: false };
    vec![
        test("exit codes and output are kept", exit_code),
        test("what cannot be executed fails the launch in words", launch_errors),
        test("a stop is heard and its grace is waited for", graceful_stop),
        test("who ignores SIGTERM is killed after the grace", stubborn),
        test("a second stop shortens the grace", impatient),
        test("a kill ends everything at once", kill),
        test("a signal reaches the command", signal),
        test("past its deadline a container is killed without grace", deadline),
        test("a deadline is extended by message and by file", extended),
        test("a container dies with its shim and is cleaned up", shim_killed),
        test("a container survives its agent and is found again", agent_killed),
        test("what ended while no agent looked is found", ended_alone),
        test("a clean-up right after the end leaves nothing", cleaned_up_early),
        test("what nobody came back for is swept by another agent", abandoned),
        test("a directory is never used twice", used_twice),
        test("orphans end with the command", orphans),
        test("many containers at once end and leave nothing", many),
    ]
}

fn exit_code() {
    let fixture = Fixture::new();
    let record = fixture.run(&fixture.shell("c", "echo out; echo err >&2; exit 7"));
    assert_eq!((record.cause, record.exit), (Cause::Exited, Some(Exit::Code(7))));
    assert_eq!(fixture.stdout("c"), "out\n");
    assert_eq!(fixture.file("c", "stderr"), "err\n");
    let record = fixture.run(&fixture.shell("d", "kill -USR1 $$"));
    assert_eq!((record.cause, record.exit), (Cause::Exited, Some(Exit::Signal(libc::SIGUSR1))));
    fixture.assert_nothing_left();
}

fn launch_errors() {
    let fixture = Fixture::new();
    let check = |name: &str, argv: &[&str], expected: &str| {
        let error = fixture.try_spawn(&fixture.spec(name, argv)).unwrap_err();
        assert_eq!(error.kind, LaunchErrorKind::Spec, "{error}");
        assert!(error.message.contains(expected), "{error}");
        // An agent that did not hear it finds it written down.
        let Attached::Exited(record) = fixture.within(shim::attach(&fixture.runtime_dir(name))).unwrap()
        else {
            panic!("no record")
        };
        assert_eq!((record.cause, record.launch_error.as_ref()), (Cause::LaunchFailed, Some(&error)));
    };
    check("a", &["no-such-program"], "no such program in PATH /usr/bin:/bin");
    check("b", &["/no/such/program"], "no such file");
    check("c", &["/etc/passwd"], "not executable");
    check("d", &[], "no command");
    let mut stranger = fixture.shell("e", "true");
    stranger.user = Some("no-such-user".into());
    assert!(fixture.try_spawn(&stranger).unwrap_err().message.contains("no user \"no-such-user\""));
    fixture.assert_nothing_left();
}

/// Starts a script that says `ready` once it is set up.
fn spawn_ready(fixture: &Fixture, container: &str, script: &str) -> Client {
    let client = fixture.spawn(&fixture.shell(container, script));
    fixture.until("ready", || fixture.stdout(container).contains("ready"));
    client
}

fn graceful_stop() {
    let fixture = Fixture::new();
    // The command ends at once, its child takes a moment; the container waits for both.
    let script = "(trap 'sleep 0.2; echo child done; exit' TERM; echo ready; while :; do sleep 0.01; done) &
        trap 'echo bye; exit 3' TERM; while :; do sleep 0.01; done";
    let client = spawn_ready(&fixture, "c", script);
    fixture.within(client.stop(Some(Duration::from_secs(30)))).unwrap();
    let record = fixture.wait(&client);
    assert_eq!((record.cause, record.exit), (Cause::Stopped, Some(Exit::Code(3))));
    let output = fixture.stdout("c");
    assert!(output.contains("bye\n") && output.contains("child done\n"), "{output}");
    fixture.assert_nothing_left();
}

const STUBBORN: &str = "trap '' TERM; echo ready; while :; do sleep 0.01; done";

fn stubborn() {
    let fixture = Fixture::new();
    let client = spawn_ready(&fixture, "c", STUBBORN);
    let begin = std::time::Instant::now();
    fixture.within(client.stop(Some(Duration::from_millis(300)))).unwrap();
    let record = fixture.wait(&client);
    assert_eq!((record.cause, record.exit), (Cause::Stopped, Some(Exit::Signal(libc::SIGKILL))));
    assert!(begin.elapsed() >= Duration::from_millis(300), "killed before the grace was over");
    fixture.assert_nothing_left();
}

fn impatient() {
    let fixture = Fixture::new();
    let client = spawn_ready(&fixture, "c", STUBBORN);
    fixture.within(client.stop(Some(Duration::from_secs(3600)))).unwrap();
    fixture.within(client.stop(Some(Duration::from_millis(50)))).unwrap();
    assert_eq!(fixture.wait(&client).exit, Some(Exit::Signal(libc::SIGKILL)));
}

fn kill() {
    let fixture = Fixture::new();
    let client = spawn_ready(&fixture, "c", "setsid sleep 1000 & trap '' TERM; echo ready; wait");
    fixture.within(client.kill()).unwrap();
    let record = fixture.wait(&client);
    assert_eq!((record.cause, record.exit), (Cause::Stopped, Some(Exit::Signal(libc::SIGKILL))));
    assert!(fixture.within(client.kill()).is_err(), "there is nothing left to kill");
    fixture.assert_nothing_left();
}

fn signal() {
    let fixture = Fixture::new();
    let client = spawn_ready(
        &fixture,
        "c",
        "trap 'echo got it; exit 4' USR1; echo ready; while :; do sleep 0.01; done",
    );
    assert!(fixture.within(client.signal(99)).is_err());
    fixture.within(client.signal(libc::SIGUSR1)).unwrap();
    let record = fixture.wait(&client);
    assert_eq!((record.cause, record.exit), (Cause::Exited, Some(Exit::Code(4))));
}

fn deadline() {
    let fixture = Fixture::new();
    let mut spec = fixture.shell("c", "trap '' TERM; sleep 1000");
    let deadline = shim::boottime_ms() + 300;
    spec.deadline_boottime_ms = Some(deadline);
    let record = fixture.run(&spec);
    assert_eq!((record.cause, record.exit), (Cause::Deadline, Some(Exit::Signal(libc::SIGKILL))));
    assert!(shim::boottime_ms() >= deadline);
    fixture.assert_nothing_left();
}

fn extended() {
    let fixture = Fixture::new();
    let mut spec = fixture.shell("c", "sleep 1000");
    let now = shim::boottime_ms();
    let file = fixture.path().join("deadline");
    spec.deadline_boottime_ms = Some(now + 300);
    spec.deadline_file = Some(file.clone());
    let client = fixture.spawn(&spec);
    fixture.within(client.extend(now + 600)).unwrap();
    // An earlier one changes nothing.
    fixture.within(client.extend(now + 1)).unwrap();
    shim::write_deadline(&file, now + 900).unwrap();
    assert_eq!(fixture.wait(&client).cause, Cause::Deadline);
    assert!(shim::boottime_ms() >= now + 900, "ended before the last of three deadlines");
}

fn shim_killed() {
    let fixture = Fixture::new();
    let client = spawn_ready(&fixture, "c", "setsid sleep 1000 & echo ready; wait");
    // SAFETY: no memory is passed; the shim is ours and lives.
    unsafe { libc::kill(client.started().shim.pid, libc::SIGKILL) };
    assert_eq!(fixture.within(client.wait()).unwrap_err(), ShimLost);
    fixture.until("the container died with its shim", || fixture.processes().is_empty());
    let dir = fixture.runtime_dir("c");
    assert!(matches!(fixture.within(shim::attach(&dir)).unwrap(), Attached::Gone));
    for _ in 0..3 {
        fixture.within(shim::cleanup(&dir)).unwrap();
    }
    fixture.assert_nothing_left();
    // Clean-up also takes a container away whose shim lives.
    spawn_ready(&fixture, "d", "echo ready; sleep 1000");
    fixture.within(shim::cleanup(&fixture.runtime_dir("d"))).unwrap();
    fixture.assert_nothing_left();
    fixture.within(shim::cleanup(&fixture.runtime_dir("never"))).unwrap();
}

fn agent_killed() {
    let fixture = Fixture::new();
    let spec = fixture
        .shell("c", "i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); sleep 0.01; done; exit 9");
    let file = fixture.path().join("spec.json");
    std::fs::write(&file, serde_json::to_string(&spec).unwrap()).unwrap();
    // The agent is a process of its own, in a session of its own, and is killed with everything in its group.
    let mut command = std::process::Command::new(exe());
    command.args(["workload", "agent"]).arg(fixture.runtime_dir("c")).arg(&file);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut agent = command.spawn().unwrap();
    fixture.until("started", || fixture.stdout("c").contains("line 3"));
    // SAFETY: no memory is passed; the group is our child's.
    unsafe { libc::kill(-(agent.id() as i32), libc::SIGKILL) };
    agent.wait().unwrap();
    let Attached::Running(client) = fixture.within(shim::attach(&fixture.runtime_dir("c"))).unwrap() else {
        panic!("the container did not survive its agent")
    };
    let record = fixture.wait(&client);
    assert_eq!((record.cause, record.exit), (Cause::Exited, Some(Exit::Code(9))));
    let expected: String = (0..100).map(|n| format!("line {n}\n")).collect();
    assert_eq!(fixture.stdout("c"), expected);
    fixture.assert_nothing_left();
}

fn ended_alone() {
    let fixture = Fixture::new();
    drop(fixture.spawn(&fixture.shell("c", "echo hello; exit 5")));
    let dir = fixture.runtime_dir("c");
    fixture.until("ended", || dir.join("exit.json").exists());
    for _ in 0..2 {
        let Attached::Exited(record) = fixture.within(shim::attach(&dir)).unwrap() else {
            panic!("no record")
        };
        assert_eq!(record.exit, Some(Exit::Code(5)));
    }
    assert_eq!(fixture.stdout("c"), "hello\n");
    assert_eq!(shim::list(&fixture.runtime_root()).unwrap(), [dir]);
    assert!(matches!(fixture.within(shim::attach(&fixture.runtime_dir("never"))).unwrap(), Attached::Gone));
    fixture.assert_nothing_left();
}

fn cleaned_up_early() {
    let fixture = Fixture::new();
    for n in 0..20 {
        let name = format!("c{n}");
        fixture.run(&fixture.shell(&name, "true"));
        // The shim may still be putting things away.
        fixture.within(shim::cleanup(&fixture.runtime_dir(&name))).unwrap();
    }
    fixture.assert_nothing_left();
}

fn abandoned() {
    let Some(driver) = Driver::detect().driver else { return println!("  SKIPPED: there are no cgroups") };
    let (fixture, living) = (Fixture::new(), Fixture::new());
    let (lost, kept) = (fixture.shell("lost", "sleep 1000"), living.shell("kept", "sleep 1000"));
    if !lost.isolation.cgroups {
        return;
    }
    let (lost, kept) = (fixture.spawn(&lost), living.spawn(&kept));
    // SAFETY: no memory is passed; the shim is ours and lives.
    unsafe { libc::kill(lost.started().shim.pid, libc::SIGKILL) };
    fixture.until("all are dead", || fixture.processes().is_empty());
    assert!(!fixture.cgroups().is_empty());
    // The dead shim may still be on its way out of its cgroup.
    fixture.until("it is swept", || {
        driver.sweep("somebody-else", &BTreeSet::new()).unwrap();
        fixture.cgroups().is_empty()
    });
    fixture.assert_nothing_left();
    assert!(driver.container(&living.agent, "kept").pids().unwrap().len() >= 2);
    living.within(kept.kill()).unwrap();
    assert_eq!(living.wait(&kept).cause, Cause::Stopped);
    living.assert_nothing_left();
}

fn used_twice() {
    let fixture = Fixture::new();
    let spec = fixture.shell("c", "echo ready; sleep 1000");
    let client = fixture.spawn(&spec);
    assert!(fixture.try_spawn(&spec).unwrap_err().message.contains("there is or was one"));
    // The first one does not mind.
    fixture.within(client.kill()).unwrap();
    assert_eq!(fixture.wait(&client).cause, Cause::Stopped);
    assert!(fixture.try_spawn(&spec).is_err(), "it has ended here");
    fixture.assert_nothing_left();
}

fn orphans() {
    let fixture = Fixture::new();
    let script = "(setsid sh -c 'trap \"\" TERM HUP; sleep 1000; sleep 1000' &) ; sleep 0.05; exit 0";
    assert_eq!(fixture.run(&fixture.shell("c", script)).exit, Some(Exit::Code(0)));
    fixture.assert_nothing_left();
}

fn many() {
    let fixture = Fixture::new();
    let names: Vec<String> = (0..20).map(|n| format!("c{n}")).collect();
    let (dirs, exe) = (|name: &str| fixture.runtime_dir(name), exe());
    let all = names.iter().enumerate().map(|(n, name)| {
        let (dir, exe, spec) = (dirs(name), exe.clone(), fixture.shell(name, &format!("exit {n}")));
        async move { shim::spawn(&dir, &spec, &exe).await.unwrap().wait().await.unwrap().exit }
    });
    let exits = fixture.within(futures_util::future::join_all(all));
    let expected: Vec<_> = (0..20).map(|n| Some(Exit::Code(n))).collect();
    assert_eq!(exits, expected);
    fixture.assert_nothing_left();
}
