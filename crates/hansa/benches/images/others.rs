//! Programs of others that run containers, for comparison. What is not there is told in a line and left out.

use crate::apps::image;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Longest that a daemon may take to come up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs it without a word; whether it went well.
fn quiet(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Programs that have failed once; they are not tried again.
static FAILED: Mutex<BTreeSet<OsString>> = Mutex::new(BTreeSet::new());

/// How long a command takes to its end; None, and a line for each program, if it fails or has failed before.
pub fn timed(command: &mut Command) -> Option<Duration> {
    let mut failed = FAILED.lock().expect("nobody panics with it");
    if failed.contains(command.get_program()) {
        return None;
    }
    // Not a pipe: what it leaves running would keep it open.
    let path = std::env::temp_dir().join(format!("hansa-bench-{}-errors", std::process::id()));
    let errors = std::fs::File::create(&path).expect("a file");
    let begun = Instant::now();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).status();
    let took = begun.elapsed();
    let said = std::fs::read_to_string(&path).unwrap_or_default();
    let _ = std::fs::remove_file(path);
    if status.as_ref().is_ok_and(std::process::ExitStatus::success) {
        return Some(took);
    }
    println!("not to be had here: {command:?}: {status:?} {}", said.trim());
    failed.insert(command.get_program().to_owned());
    None
}

/// An OCI bundle: busybox as it is in the shop's image, in the machine's network.
pub struct Bundle {
    folder: PathBuf,
    state: PathBuf,
}

impl Bundle {
    pub fn make(below: &Path, command: &[&str]) -> Self {
        let folder = below.join("bundle");
        let root = folder.join("rootfs");
        for dir in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
            std::fs::create_dir_all(root.join(dir)).expect("a folder");
        }
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox");
        symlink("busybox", root.join("bin/sleep")).expect("a link");
        let mut spec = Command::new("runc");
        // What it writes is everybody's usual specification.
        if !quiet(spec.arg("spec").arg("--bundle").arg(&folder)) {
            println!("not to be had here: runc spec");
        }
        let file = folder.join("config.json");
        if let Ok(text) = std::fs::read(&file) {
            let mut config: Value = serde_json::from_slice(&text).expect("runc's own");
            config["process"]["args"] = json!(command);
            config["process"]["terminal"] = json!(false);
            let namespaces = config["linux"]["namespaces"].as_array_mut().expect("a list");
            namespaces.retain(|namespace| namespace["type"] != "network");
            std::fs::write(&file, config.to_string()).expect("a file");
        }
        Self { folder, state: below.join("bundle-state") }
    }

    /// Starts a container and gives the time until it runs; it is removed before this returns.
    pub fn run(&self, program: &str, round: usize) -> Option<Duration> {
        let name = format!("hansa-bench-{}-{round}", std::process::id());
        std::fs::create_dir_all(&self.state).expect("a folder");
        let with = || {
            let mut command = Command::new(program);
            if program == "crun" {
                with_own_mounts(&mut command);
            }
            command.arg("--root").arg(self.state.join(program));
            command
        };
        let took = timed(with().args(["run", "--detach", "--bundle"]).arg(&self.folder).arg(&name));
        quiet(with().args(["delete", "--force", &name]));
        took
    }
}

/// Gives a command mounts of its own, which end with it. Among them are no cgroups of the second version where both are
/// mounted: crun refuses to run beside them.
fn with_own_mounts(command: &mut Command) {
    // SAFETY: between fork and exec only system calls are made, with strings that live for ever.
    unsafe {
        command.pre_exec(|| {
            let nothing = std::ptr::null();
            let own = libc::MS_REC | libc::MS_PRIVATE;
            if libc::unshare(libc::CLONE_NEWNS) != 0
                || libc::mount(nothing, c"/".as_ptr(), nothing, own, nothing.cast()) != 0
            {
                return Err(std::io::Error::last_os_error());
            }
            // Fails where there is none.
            libc::umount2(c"/sys/fs/cgroup/unified".as_ptr(), libc::MNT_DETACH);
            Ok(())
        });
    }
}

/// Debian's Docker, with a daemon of its own.
pub struct Docker {
    daemon: Child,
    folder: PathBuf,
}

impl Docker {
    /// Starts it and gives it the image; None, and a line, if it does not come up.
    pub fn start(below: &Path) -> Option<Self> {
        let folder = below.join("docker");
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut command = Command::new("/usr/sbin/dockerd");
        for (flag, name) in [("--data-root", "root"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
            command.arg(flag).arg(folder.join(name));
        }
        command.arg("-H").arg(format!("unix://{}", folder.join("socket").display()));
        command.args(["--iptables=false", "--bridge=none"]);
        with_own_mounts(&mut command);
        let log = std::fs::File::create(folder.join("log")).expect("a file");
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let Ok(daemon) = spawned else {
            println!("not to be had here: docker (Debian: docker.io)");
            return None;
        };
        let docker = Self { daemon, folder };
        let begun = Instant::now();
        while !quiet(docker.command().arg("info")) {
            if begun.elapsed() > PATIENCE {
                println!("not to be had here: dockerd does not come up");
                return None;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        timed(docker.command().args(["pull", &image("busybox:1")])).map(|_| docker)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("/usr/bin/docker");
        command.arg("-H").arg(format!("unix://{}", self.folder.join("socket").display()));
        command
    }

    /// Starts a container and gives the time until it runs; it is removed before this returns.
    pub fn run(&self, words: &[&str]) -> Option<Duration> {
        let mut run = self.command();
        run.args(["run", "--detach", "--network", "host", "--cidfile"]).arg(self.folder.join("id"));
        let took = timed(run.arg(image("busybox:1")).args(words));
        let id = std::fs::read_to_string(self.folder.join("id")).unwrap_or_default();
        quiet(self.command().args(["rm", "--force", id.trim()]));
        let _ = std::fs::remove_file(self.folder.join("id"));
        took
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // It puts away what it has mounted.
        crate::support::signal(self.daemon.id(), libc::SIGTERM);
        let _ = self.daemon.wait();
        // Which it leaves; one that somebody uses stays.
        for hierarchy in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            let _ = std::fs::remove_dir(hierarchy.path().join("docker"));
        }
    }
}
