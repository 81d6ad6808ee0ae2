//! What a container cannot do. The test prints everything that it proves denied.

use crate::Test;
use crate::fixture::Fixture;
use crate::fixture::exe;
use hansa_agent::launcher::{KEPT_CAPABILITIES, seccomp};
use hansa_agent::shim::{ClientError, ExecResult, LaunchErrorKind, Rlimit, ShimSpec};
use hansa_model::task::Exit;
use std::collections::BTreeMap;
use std::time::Duration;

pub fn tests() -> Vec<Test> {
    let test = |name, run| Test { name, needs_root: true, run, plain: false };
    vec![
        test("system calls are denied", system_calls),
        test("capabilities are dropped", capabilities),
        test("paths are read-only, masked or not there", paths),
        test("namespaces are its own and the hostname is the machine's", namespaces),
        test("an agent's files are hidden, the sandbox is not", hidden),
        test("users, groups, limits, environment and directory are as given", identity),
        test("a check runs inside the container", exec),
        test("a check is bounded in time and output", exec_bounds),
        test("a check shares the container's fences", exec_fences),
        test("devices are given by name only", devices),
    ]
}

/// What the probe says, by kind.
pub struct Findings(Vec<(String, String, String)>);

impl Findings {
    pub fn of(fixture: &Fixture, spec: &ShimSpec) -> Self {
        let record = fixture.run(spec);
        let output = fixture.stdout(&spec.container);
        let errors = fixture.file(&spec.container, "stderr");
        assert_eq!(record.exit, Some(Exit::Code(0)), "{output}\n{errors}");
        let parse = |line: &str| {
            let (kind, rest) = line.split_once(' ').unwrap();
            let (what, result) = rest.rsplit_once(": ").unwrap();
            (kind.to_owned(), what.to_owned(), result.to_owned())
        };
        Self(output.lines().map(parse).collect())
    }

    fn probe(fixture: &Fixture) -> Self {
        Self::of(fixture, &fixture.workload("probe", &["probe"]))
    }

    pub fn kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .iter()
            .filter(move |(k, _, _)| k == kind)
            .map(|(_, what, result)| (what.as_str(), result.as_str()))
    }

    pub fn get(&self, kind: &str, what: &str) -> &str {
        self.0.iter().find(|(k, w, _)| k == kind && w == what).map_or("absent", |(_, _, result)| result)
    }
}

pub fn proved(what: &str, names: impl IntoIterator<Item = impl AsRef<str>>) {
    let names: Vec<String> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
    println!("  {what} ({}): {}", names.len(), names.join(" "));
}

fn system_calls() {
    let fixture = Fixture::new();
    let found = Findings::probe(&fixture);
    for (name, result) in found.kind("call") {
        assert_eq!(result, "EPERM", "{name}");
    }
    assert_eq!(found.kind("call").count(), seccomp::DENIED.len());
    proved("system calls denied", found.kind("call").map(|(name, _)| name));
    for (name, result) in found.kind("clone") {
        assert_eq!(result, "EPERM", "{name}");
    }
    proved("flags of clone denied", found.kind("clone").map(|(name, _)| name));
    let odd: BTreeMap<&str, &str> = found.kind("odd").collect();
    let expected = BTreeMap::from([
        ("clone3", "ENOSYS"),
        ("a call nobody knows", "ENOSYS"),
        ("x32 getpid", "ENOSYS"),
        ("personality without randomisation", "EPERM"),
        ("personality asked", "done"),
        ("socket to the hypervisor", "EPERM"),
        ("raw socket", "EPERM"),
        ("packet socket", "EPERM"),
        ("making a device", "EPERM"),
        ("32 bit getpid", "signal 31"),
    ]);
    assert_eq!(odd, expected);
    proved("interfaces closed", odd.iter().filter(|(_, result)| **result != "done").map(|(name, _)| name));

    // That the probe can tell: without the filters and with all capabilities most of it is not denied.
    let mut open = fixture.workload("open", &["probe"]);
    open.isolation.seccomp = false;
    open.isolation.drop_capabilities = false;
    let found = Findings::of(&fixture, &open);
    let denied: Vec<&str> = found.kind("call").filter(|(_, r)| *r == "EPERM").map(|(name, _)| name).collect();
    assert!(denied.len() <= 8, "denied without a filter: {denied:?}");
    assert!(found.kind("clone").all(|(_, result)| result == "done"));
    assert_eq!(found.get("status", "Seccomp"), "0");
    fixture.assert_nothing_left();
}

/// From the kernel's capability.h, in order.
const CAPABILITIES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

fn capabilities() {
    let fixture = Fixture::new();
    let found = Findings::probe(&fixture);
    let set = |name: &str| u64::from_str_radix(found.get("status", name), 16).unwrap();
    for name in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(set(name), KEPT_CAPABILITIES, "{name}");
    }
    assert_eq!((set("CapInh"), set("CapAmb")), (0, 0));
    assert_eq!(found.get("status", "NoNewPrivs"), "1");
    assert_eq!((found.get("status", "Seccomp"), found.get("status", "Seccomp_filters")), ("2", "3"));
    let docker = 0xa804_25fb_u64;
    assert_eq!(KEPT_CAPABILITIES & !docker, 0, "more than Docker's default");
    let kept = |(number, _): &(usize, &&str)| KEPT_CAPABILITIES & (1 << number) != 0;
    proved(
        "capabilities dropped",
        CAPABILITIES.iter().enumerate().filter(|c| !kept(c)).map(|(_, name)| name),
    );
    proved("capabilities kept", CAPABILITIES.iter().enumerate().filter(kept).map(|(_, name)| name));

    // Another user has none at all.
    let mut nobody = fixture
        .shell("nobody", "grep -E '^Cap(Inh|Prm|Eff|Amb)' /proc/self/status | grep -vc 0000000000000000");
    nobody.user = Some("nobody".into());
    fixture.run(&nobody);
    assert_eq!(fixture.stdout("nobody"), "0\n");
    fixture.assert_nothing_left();
}

fn paths() {
    let fixture = Fixture::new();
    let found = Findings::probe(&fixture);
    let mut denied = Vec::new();
    for (path, result) in found.kind("write") {
        assert!(matches!(result, "EROFS" | "EACCES" | "ENOENT"), "{path}: {result}");
        denied.extend((result != "ENOENT").then(|| path.to_owned()));
    }
    assert!(denied.len() >= 4, "{denied:?}");
    proved("paths read-only", &denied);
    let mut masked = Vec::new();
    for (path, result) in found.kind("read").chain(found.kind("list")) {
        assert!(!result.ends_with("bytes") || result == "0 bytes", "{path}: {result}");
        assert!(!result.ends_with("entries") || result == "0 entries", "{path}: {result}");
        masked.extend(std::path::Path::new(path).exists().then_some(path));
    }
    proved("paths masked", masked);
    for (path, result) in found.kind("init") {
        assert_eq!(result, "EACCES", "{path}");
    }
    proved("its init's own files denied", found.kind("init").map(|(path, _)| path));
    let mut devices: Vec<&str> = found.kind("device").map(|(path, _)| path).collect();
    devices.sort_unstable();
    let expected = [
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
        "urandom", "zero",
    ];
    assert_eq!(devices, expected.map(|name| format!("/dev/{name}")));
    proved("the only devices", devices);
    let mut cgroup_files = Vec::new();
    for (path, result) in found.kind("cgroup") {
        assert_eq!(result, "EROFS", "{path}");
        cgroup_files.push(path);
    }
    assert!(cgroup_files.iter().any(|path| path.contains("memory.")), "{cgroup_files:?}");
    println!("  files and directories of cgroups read-only: {}", cgroup_files.len());
    for (controllers, path) in found.kind("in-cgroup") {
        assert_eq!(path, "/", "{controllers}");
    }
    fixture.assert_nothing_left();
}

fn namespaces() {
    let fixture = Fixture::new();
    let found = Findings::probe(&fixture);
    for (name, link) in found.kind("namespace") {
        let ours = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap().display().to_string();
        assert_eq!(link == ours, name == "net", "{name}: {link}, and {ours} outside");
    }
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(found.get("status", "hostname"), hostname.trim());
    assert_eq!((found.get("status", "pid"), found.get("status", "processes")), ("2", "2"));
    assert_eq!(found.get("status", "oom_score_adj"), "0");
    // Its /dev/shm is its own.
    let mark = fixture.agent.clone();
    fixture.run(&fixture.shell("shm", &format!("echo > /dev/shm/{mark} && ls /dev/shm")));
    assert_eq!(fixture.stdout("shm"), format!("{mark}\n"));
    assert!(!std::path::Path::new("/dev/shm").join(&mark).exists());
    fixture.assert_nothing_left();
}

fn hidden() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path().join("secret"), "secret").unwrap();
    let script = format!(
        "echo mine > $PWD/file && cat file && ls {0} {0}/sandboxes && ! touch {0}/new",
        fixture.path().display()
    );
    let mut spec = fixture.shell("c", &script);
    spec.hidden_paths = vec![fixture.path().to_owned(), "/no/such/directory".into()];
    let record = fixture.run(&spec);
    let root = fixture.path().display();
    assert_eq!(record.exit, Some(Exit::Code(0)), "{}", fixture.file("c", "stderr"));
    assert_eq!(fixture.stdout("c"), format!("mine\n{root}:\nsandboxes\n\n{root}/sandboxes:\nc\n"));
    assert_eq!(fixture.file("c", "file"), "mine\n");
    fixture.assert_nothing_left();
}

fn identity() {
    let fixture = Fixture::new();
    let script = "test -x $PWD/. || echo shut out; id -u; id -g; id -G; pwd; env | grep -v ^SHLVL | sort; umask; ulimit -n; echo > written; head -c1 | wc -c";
    let check = |container: &str, user: Option<&str>, ids: &str| {
        let mut spec = fixture.shell(container, script);
        spec.user = user.map(str::to_owned);
        spec.env =
            BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into()), ("GREETING".into(), "a b\nc".into())]);
        spec.limits.rlimits = BTreeMap::from([("nofile".into(), Rlimit { soft: Some(77), hard: Some(88) })]);
        let record = fixture.run(&spec);
        assert_eq!(record.exit, Some(Exit::Code(0)), "{}", fixture.file(container, "stderr"));
        let pwd = fixture.sandbox(container).display().to_string();
        let env = format!("GREETING=a b\nPATH=/usr/bin:/bin\nPWD={pwd}\nc\n");
        let output = fixture.stdout(container);
        assert_eq!(output, format!("{ids}{pwd}\n{env}0022\n77\n0\n"));
        assert_eq!(fixture.file(container, "written"), "\n");
    };
    check("root", None, "0\n0\n0\n");
    check("daemon", Some("daemon"), "1\n1\n1\n");
    check("numbers", Some("12345:54321"), "12345\n54321\n54321\n");
    check("number", Some("12345"), "12345\n12345\n12345\n");
    let mut spec = fixture.shell("wrong", "true");
    spec.limits.rlimits = BTreeMap::from([("nofile".into(), Rlimit { soft: Some(9), hard: Some(8) })]);
    assert_eq!(fixture.try_spawn(&spec).unwrap_err().kind, LaunchErrorKind::Spec);
    fixture.assert_nothing_left();
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| word.to_string()).collect()
}

fn exec() {
    let fixture = Fixture::new();
    let mut spec = fixture.shell("c", "readlink /proc/self/ns/pid; echo ready; sleep 1000");
    spec.user = Some("daemon".into());
    let client = fixture.spawn(&spec);
    fixture.until("ready", || fixture.stdout("c").contains("ready"));
    let run = |argv: &[&str]| {
        let env = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        fixture.within(client.exec(words(argv), env, Duration::from_secs(20)))
    };
    let done = |code: i32, output: &str| {
        Ok(ExecResult { exit: Exit::Code(code), timed_out: false, output: output.to_owned() })
    };
    let namespace = fixture.stdout("c").lines().next().unwrap().to_owned();
    assert_eq!(run(&["readlink", "/proc/self/ns/pid"]), done(0, &format!("{namespace}\n")));
    assert_eq!(run(&["sh", "-c", "id -u; echo bad >&2; exit 3"]), done(3, "1\nbad\n"));
    let pwd = format!("{}\n", fixture.sandbox("c").display());
    assert_eq!(run(&["pwd"]), done(0, &pwd));
    // It is counted with the container, and sees its processes.
    let Ok(seen) = run(&["sh", "-c", "cat /proc/self/cgroup | cut -d: -f3 | sort -u; cat /proc/[0-9]*/comm"])
    else {
        panic!("not run")
    };
    assert!(seen.output.starts_with("/\n") && seen.output.contains("\nsleep\n"), "{seen:?}");
    let missing = run(&["no-such-program"]).unwrap();
    assert_eq!(missing.exit, Exit::Code(127));
    assert!(missing.output.contains("no such program"), "{missing:?}");
    assert_eq!(run(&["/etc/passwd"]).unwrap().exit, Exit::Code(126));
    assert!(matches!(run(&[]), Err(ClientError::Refused(_))));
    let long = "x".repeat(2 << 20);
    assert!(matches!(run(&["echo", &long]), Err(ClientError::Refused(_))));
    let signalled = run(&["sh", "-c", "kill -TERM $$"]).unwrap();
    assert_eq!(signalled.exit, Exit::Signal(libc::SIGTERM));
    fixture.within(client.kill()).unwrap();
    fixture.wait(&client);
    assert_eq!(run(&["true"]), Err(ClientError::Gone));
    fixture.assert_nothing_left();
}

fn exec_bounds() {
    let fixture = Fixture::new();
    let client = fixture.spawn(&fixture.shell("c", "sleep 1000"));
    let run = |script: &str, ms: u64| {
        let argv = words(&["/bin/sh", "-c", script]);
        fixture.within(client.exec(argv, BTreeMap::new(), Duration::from_millis(ms))).unwrap()
    };
    let slow = run("echo begun; sleep 1000; sleep 1000", 200);
    assert_eq!(
        (slow.exit, slow.timed_out, slow.output.as_str()),
        (Exit::Signal(libc::SIGKILL), true, "begun\n")
    );
    let loud = run("yes | head -c 10000000", 20_000);
    assert_eq!((loud.exit, loud.output.len()), (Exit::Code(0), 1024));
    // What it leaves behind is not waited for, and ends with the container.
    let leaving = run("setsid sleep 1000 & echo left", 20_000);
    assert_eq!((leaving.exit, leaving.output.as_str()), (Exit::Code(0), "left\n"));
    // Many at once, answered each.
    let argv = |n: usize| words(&["/bin/sh", "-c", &format!("echo {n}")]);
    let all = (0..16).map(|n| client.exec(argv(n), BTreeMap::new(), Duration::from_secs(20)));
    let outputs: Vec<String> =
        fixture.within(futures_util::future::join_all(all)).into_iter().map(|r| r.unwrap().output).collect();
    assert_eq!(outputs, (0..16).map(|n| format!("{n}\n")).collect::<Vec<_>>());
    // One that runs when the container ends.
    let (ended, killed) = fixture.within(async {
        let long = client.exec(words(&["/bin/sleep", "1000"]), BTreeMap::new(), Duration::from_secs(1000));
        let kill = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            client.kill().await
        };
        tokio::join!(long, kill)
    });
    assert!(killed.is_ok() && ended.is_err() || ended.is_ok_and(|r| r.exit == Exit::Signal(9)));
    fixture.wait(&client);
    fixture.assert_nothing_left();
}

fn exec_fences() {
    let fixture = Fixture::new();
    let client = fixture.spawn(&fixture.shell("c", "sleep 1000"));
    let exe = exe();
    let argv = words(&[exe.to_str().unwrap(), "workload", "fences"]);
    let result = fixture.within(client.exec(argv, BTreeMap::new(), Duration::from_secs(20))).unwrap();
    let expected = format!("{KEPT_CAPABILITIES:016x} {KEPT_CAPABILITIES:016x} 1 2 EPERM\n");
    assert_eq!(result.output, expected);
    fixture.within(client.kill()).unwrap();
    fixture.wait(&client);
}

fn devices() {
    let fixture = Fixture::new();
    let mut spec = fixture.shell("c", "test -c /dev/kmsg && echo there");
    spec.isolation.devices = vec!["/dev/kmsg".into()];
    if !std::path::Path::new("/dev/kmsg").exists() {
        return println!("  SKIPPED: this machine has no /dev/kmsg");
    }
    fixture.run(&spec);
    assert_eq!(fixture.stdout("c"), "there\n");
    for (name, device) in [("d", "/etc/passwd"), ("e", "/dev/no-such-device"), ("f", "/dev/shm")] {
        let mut spec = fixture.shell(name, "true");
        spec.isolation.devices = vec![device.into()];
        assert_eq!(fixture.try_spawn(&spec).unwrap_err().kind, LaunchErrorKind::Spec, "{device}");
    }
    fixture.assert_nothing_left();
}
