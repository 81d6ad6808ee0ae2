//! Shims that are ready before they are needed: they run what any shim runs, and leave nothing when nobody needs them.

use crate::Test;
use crate::fixture::{Fixture, exe};
use hansa_agent::launcher::KEPT_CAPABILITIES;
use hansa_agent::shim::{self, Attached, Cause, LaunchErrorKind, Pool, ShimSpec};
use hansa_model::task::Exit;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

pub fn tests() -> Vec<Test> {
    let test = |name, run| Test { name, needs_root: true, run, plain: false };
    vec![
        test("a spare shim runs a container like any other", run),
        test("a spare shim takes what was prepared, and gives what is unusual", unusual),
        test("a launch by a spare shim fails in words, and the next one works", failing),
        test("a container of a spare shim survives its agent and is cleaned up after its shim", survives),
        test("spare shims and their nursery may die at any time", killed),
    ]
}

fn spares(fixture: &Fixture) -> PathBuf {
    fixture.path().join("spares")
}

fn pool(fixture: &Fixture) -> Pool {
    for dir in [spares(fixture), fixture.runtime_root()] {
        std::fs::create_dir_all(dir).unwrap();
    }
    fixture.within(async { Pool::start(&fixture.agent, &exe(), &spares(fixture)) })
}

/// The nursery and the shims that wait, with their containers' first processes.
fn waiting(fixture: &Fixture) -> Vec<i32> {
    let processes = fixture.processes();
    let waiting = processes.iter().filter(|line| line.contains(" --nursery "));
    waiting.map(|line| line.split(':').next().unwrap().parse().unwrap()).collect()
}

fn close(fixture: &Fixture, pool: Pool) {
    drop(pool);
    fixture.until("the nursery and its shims have ended", || {
        fixture.within(tokio::task::yield_now());
        waiting(fixture).is_empty()
    });
    assert_eq!(shim::list(&spares(fixture)).unwrap(), Vec::<PathBuf>::new());
}

fn run() {
    let fixture = Fixture::new();
    let pool = pool(&fixture);
    for n in 0..6 {
        let name = format!("c{n}");
        let spec = fixture.shell(&name, &format!("echo out; tr '\\0' ' ' < /proc/1/cmdline; exit {n}"));
        let client = fixture.within(pool.spawn(&fixture.runtime_dir(&name), &spec)).unwrap();
        assert!(client.started().cgroup().starts_with('_'), "{:?}", client.started());
        assert_eq!(client.started().container, name);
        let record = fixture.wait(&client);
        assert_eq!((record.cause, record.exit), (Cause::Exited, Some(Exit::Code(n))));
        assert!(record.cpu_ns.is_some() && fixture.stdout(&name).starts_with("out\n"));
    }
    let spec = fixture.shell("c0", "true");
    let again = fixture.within(pool.spawn(&fixture.runtime_dir("c0"), &spec)).unwrap_err();
    assert!(
        again.message.contains("there is or was one already"),
        "a directory is never used twice: {again}"
    );
    close(&fixture, pool);
    fixture.assert_nothing_left();
}

fn unusual() {
    const SAY: &str = "hostname=$(cat /proc/sys/kernel/hostname); net=$(ls /sys/class/net | grep -vc '^lo$'); \
        echo $hostname $net $(sed -n 's/^Seccomp:[^0-9]*//p' /proc/self/status) \
        $(sed -n 's/^CapEff:[^0-9a-f]*//p' /proc/self/status)";
    let fixture = Fixture::new();
    let pool = pool(&fixture);
    // A network namespace with nothing but its loopback; it lives as long as this descriptor.
    let network = std::thread::spawn(|| {
        // SAFETY: no memory is passed; only this thread moves, and it ends here.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
        std::fs::File::open("/proc/thread-self/ns/net").unwrap()
    });
    let network = network.join().unwrap();
    let run = |name: &str, change: &dyn Fn(&mut ShimSpec)| {
        let dir = fixture.runtime_dir(name);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("prepared.json"), name).unwrap();
        let mut spec = fixture.shell(name, SAY);
        change(&mut spec);
        let client = fixture.within(pool.spawn(&dir, &spec)).unwrap();
        assert!(client.started().cgroup().starts_with('_'), "not by a spare shim: {:?}", client.started());
        assert_eq!(fixture.wait(&client).exit, Some(Exit::Code(0)), "{}", fixture.stdout(name));
        assert_eq!(std::fs::read_to_string(dir.join("prepared.json")).unwrap(), name);
        let said: Vec<String> = fixture.stdout(name).split_whitespace().map(str::to_owned).collect();
        let [hostname, links, seccomp, capabilities] = &said[..] else { panic!("{name}: {said:?}") };
        (hostname.clone(), links.clone(), seccomp.clone(), u64::from_str_radix(capabilities, 16).unwrap())
    };
    let (usual_name, _, seccomp, usual) = run("usual", &|_| ());
    assert_eq!((seccomp.as_str(), usual & !KEPT_CAPABILITIES), ("2", 0));
    let path = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), network.as_raw_fd()));
    let (name, links, ..) = run("networked", &|spec| {
        spec.network = Some(path.clone());
        spec.hostname = Some("inside".into());
    });
    assert_eq!((name.as_str(), links.as_str()), ("inside", "0"));
    let (name, _, seccomp, more) = run("more", &|spec| spec.cap_add = vec!["SYS_NICE".into()]);
    assert_eq!((name, seccomp.as_str(), more), (usual_name, "2", usual | 1 << 23));
    let (_, _, seccomp, _) = run("privileged", &|spec| spec.privileged = true);
    assert_eq!(seccomp, "0", "a privileged container has no filter");
    close(&fixture, pool);
    fixture.assert_nothing_left();
}

fn failing() {
    let fixture = Fixture::new();
    let pool = pool(&fixture);
    let dir = fixture.runtime_dir("c");
    let error = fixture.within(pool.spawn(&dir, &fixture.spec("c", &["no-such-program"]))).unwrap_err();
    assert_eq!(error.kind, LaunchErrorKind::Spec);
    assert!(error.message.contains("no such program in PATH"), "{error}");
    let Attached::Exited(record) = fixture.within(shim::attach(&dir)).unwrap() else { panic!("no record") };
    assert_eq!((record.cause, record.launch_error.as_ref()), (Cause::LaunchFailed, Some(&error)));
    let mut stranger = fixture.shell("d", "true");
    stranger.user = Some("no-such-user".into());
    let error = fixture.within(pool.spawn(&fixture.runtime_dir("d"), &stranger)).unwrap_err();
    assert!(error.message.contains("no user"), "{error}");
    let client =
        fixture.within(pool.spawn(&fixture.runtime_dir("e"), &fixture.shell("e", "exit 3"))).unwrap();
    assert_eq!(fixture.wait(&client).exit, Some(Exit::Code(3)));
    close(&fixture, pool);
    fixture.assert_nothing_left();
}

fn killed() {
    let fixture = Fixture::new();
    let pool = pool(&fixture);
    let running = fixture.shell("kept", "sleep 1000");
    let kept = fixture.within(pool.spawn(&fixture.runtime_dir("kept"), &running)).unwrap();
    for round in 0..3 {
        let victims = waiting(&fixture);
        assert!(!victims.is_empty());
        for &pid in &victims {
            // SAFETY: no memory is passed; they belong to this test.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        // A shim that dies after it was told to start has failed its launch; those here die before.
        fixture.until("they are dead", || waiting(&fixture).iter().all(|pid| !victims.contains(pid)));
        // By a shim of a new nursery, or by one of its own.
        let name = format!("c{round}");
        let spec = fixture.shell(&name, "exit 4");
        let client = fixture.within(pool.spawn(&fixture.runtime_dir(&name), &spec)).unwrap();
        assert_eq!(fixture.wait(&client).exit, Some(Exit::Code(4)));
        fixture.until("there is a nursery again", || {
            fixture.within(tokio::task::yield_now());
            waiting(&fixture).len() > 1
        });
    }
    fixture.within(kept.kill()).unwrap();
    assert_eq!(fixture.wait(&kept).cause, Cause::Stopped);
    drop(pool);
    fixture.until("all have ended", || {
        fixture.within(tokio::task::yield_now());
        waiting(&fixture).is_empty()
    });
    // As an agent does when it starts: those that were killed could not clean up.
    for dir in shim::list(&spares(&fixture)).unwrap() {
        fixture.within(shim::cleanup(&dir)).unwrap();
    }
    fixture.assert_nothing_left();
}

fn survives() {
    let fixture = Fixture::new();
    let pool = pool(&fixture);
    let dir = fixture.runtime_dir("c");
    let script = "setsid sleep 1000 & echo ready; wait";
    drop(fixture.within(pool.spawn(&dir, &fixture.shell("c", script))).unwrap());
    close(&fixture, pool);
    let Attached::Running(client) = fixture.within(shim::attach(&dir)).unwrap() else {
        panic!("the container did not survive its agent")
    };
    let line = std::fs::read_to_string(format!("/proc/{}/cmdline", client.started().shim.pid)).unwrap();
    assert!(line.contains(&format!("shim\0{}\0", dir.display())), "`ps` tells which container: {line:?}");
    // SAFETY: no memory is passed; the shim is ours and lives.
    unsafe { libc::kill(client.started().shim.pid, libc::SIGKILL) };
    fixture.within(client.wait()).unwrap_err();
    fixture.within(shim::cleanup(&dir)).unwrap();
    fixture.until("the container died with its shim", || fixture.processes().is_empty());
    fixture.assert_nothing_left();
}
