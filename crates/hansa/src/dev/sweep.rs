//! Ending everything that a development cluster started, and proving that nothing is left.
//!
//! What belongs to a cluster is known by its data directory alone, so that the same code serves the ordinary end, the
//! janitor behind a supervisor that was killed, and the next start: processes of this program that were given a path
//! in it, processes whose environment names a sandbox in it, and the cgroups, bridges and port mappings of the agents that
//! live in it. What containers mount, and their network namespaces, go with their processes.

use hansa_agent::cgroup::Driver;
use hansa_agent::network;
use hansa_agent::shim::{self, Attached};
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What could not be ended, in words; empty is success.
pub type Leftovers = Vec<String>;

/// Kills every process of the cluster in `data_dir` and removes its cgroups and networks, for at most `patience`.
pub fn sweep(data_dir: &Path, patience: Duration) -> Leftovers {
    let deadline = Instant::now() + patience;
    let driver = Driver::detect().driver;
    let agents = agents(data_dir);
    let containers = containers(data_dir);
    loop {
        // First the shims, which would otherwise report and restart nothing but might still write.
        let pids = pids(data_dir);
        for &pid in &pids {
            // SAFETY: no memory is passed. The process was just seen to be of this cluster.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        let mut left: Leftovers = pids.iter().map(|pid| format!("process {pid}")).collect();
        if let Some(driver) = &driver {
            for agent in &agents {
                for pid in driver.shim_pids(agent) {
                    // SAFETY: as above: it is in the agent's own cgroup.
                    unsafe { libc::kill(pid, libc::SIGKILL) };
                    left.push(format!("process {pid}"));
                }
                if let Err(error) = driver.sweep(agent, &BTreeSet::new()) {
                    left.push(format!("cgroups of {agent}: {error}"));
                }
                left.extend(cgroups(driver, agent).iter().map(|dir| format!("cgroup {}", dir.display())));
            }
        }
        if left.is_empty() {
            // Last, as a living agent would make it again.
            for agent in &agents {
                if let Err(error) = network::sweep(agent, &containers) {
                    left.push(format!("network of {agent}: {error}"));
                }
            }
        }
        if left.is_empty() || Instant::now() >= deadline {
            return left;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Tells the tasks of every agent in `data_dir` to end, with SIGTERM and a little later SIGKILL, and waits for it.
pub async fn ask_tasks_to_end(data_dir: &Path) {
    let Ok(agents) = std::fs::read_dir(data_dir) else { return };
    let runtimes: Vec<PathBuf> = agents.flatten().map(|agent| agent.path().join("runtime")).collect();
    ask_to_end(&runtimes, super::TASKS_GRACE).await;
}

/// The same for the containers whose shims have their files in these directories.
pub async fn ask_to_end(runtimes: &[PathBuf], grace: Duration) {
    let mut waiting = tokio::task::JoinSet::new();
    for container in runtimes.iter().filter_map(|runtime| shim::list(runtime).ok()).flatten() {
        waiting.spawn(async move {
            if let Ok(Attached::Running(client)) = shim::attach(&container).await
                && client.stop(Some(grace)).await.is_ok()
            {
                let _ = client.wait().await;
            }
        });
    }
    while waiting.join_next().await.is_some() {}
}

/// The cgroup directories of one agent that exist.
fn cgroups(driver: &Driver, agent: &str) -> Vec<PathBuf> {
    let below = driver.hierarchies().iter().map(|hierarchy| hierarchy.mount.join("hansa").join(agent));
    below.filter(|dir| dir.exists()).collect()
}

/// Directories that are an agent's data directory, or could be: the cluster's own, and those in it.
fn homes(data_dir: &Path) -> Vec<PathBuf> {
    let mut homes = vec![data_dir.to_owned()];
    homes.extend(directories(data_dir));
    homes
}

/// The directories in one; none if it is not there.
fn directories(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    // Not what links lead to.
    let real = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries.flatten().filter(real).map(|entry| entry.path()).collect()
}

/// The runtime directories of all containers, and of shims that wait for one.
fn containers(data_dir: &Path) -> Vec<PathBuf> {
    let places = homes(data_dir).into_iter().flat_map(|home| [home.join("runtime"), home.join("spares")]);
    places.flat_map(|place| directories(&place)).collect()
}

/// The ids of the agents that live in `data_dir`: from what they wrote about themselves and their containers, in the
/// places where nobody but an agent writes. Sandboxes, images and what containers write could name anybody.
fn agents(data_dir: &Path) -> BTreeSet<String> {
    let own = homes(data_dir).into_iter().map(|home| home.join("agent-id"));
    let containers = containers(data_dir).into_iter().map(|container| container.join("shim.json"));
    own.chain(containers).filter_map(|file| agent_of(&file)).collect()
}

/// The agent that one of its files names: its own `agent-id`, or the spec of a container.
fn agent_of(file: &Path) -> Option<String> {
    const LARGEST: u64 = 1 << 20;
    let name = file.file_name()?;
    if !(name == "agent-id" || name == "shim.json") || std::fs::metadata(file).ok()?.len() > LARGEST {
        return None;
    }
    let text = std::fs::read_to_string(file).ok()?;
    let id = if name == "agent-id" {
        text.trim().to_owned()
    } else {
        let spec: serde_json::Value = serde_json::from_str(&text).ok()?;
        spec["agent"].as_str()?.to_owned()
    };
    let plain = !id.is_empty() && !id.starts_with('.') && !id.contains(['/', '\n']);
    plain.then_some(id)
}

/// The cluster's living processes, except the supervisors.
pub fn pids(data_dir: &Path) -> Vec<libc::pid_t> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let is_living = |pid: &libc::pid_t| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The state stands after the name, which ends with the last parenthesis.
        text.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<libc::pid_t>().ok())
        .filter(|pid| belongs(*pid, data_dir) && is_living(pid))
        .collect()
}

fn belongs(pid: libc::pid_t, data_dir: &Path) -> bool {
    let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    is_ours(&read("cmdline"), &read("environ"), data_dir)
}

/// Whether a command line and an environment, as the kernel shows them, are of a process of this cluster.
fn is_ours(cmdline: &[u8], environ: &[u8], data_dir: &Path) -> bool {
    let mut arguments = cmdline.split(|&byte| byte == 0);
    let inside = |text: &[u8]| Path::new(std::ffi::OsStr::from_bytes(text)).starts_with(data_dir);
    let is_program = arguments.next().is_some_and(|program| {
        Path::new(std::ffi::OsStr::from_bytes(program))
            .file_name()
            .is_some_and(|name| name.as_bytes().starts_with(b"hansa"))
    });
    if is_program
        && arguments.next().is_some_and(|verb| [b"master".as_slice(), b"agent", b"shim"].contains(&verb))
    {
        return arguments.any(inside);
    }
    environ.split(|&byte| byte == 0).filter_map(|entry| entry.strip_prefix(b"MESOS_SANDBOX=")).any(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_known_by_their_data_directory() {
        let dir = Path::new("/tmp/hansa-dev-1");
        assert!(is_ours(b"/usr/bin/hansa\0shim\0/tmp/hansa-dev-1/node1/run/x\0", b"", dir));
        assert!(is_ours(b"hansa\0agent\0--data-dir\0/tmp/hansa-dev-1/node1\0", b"", dir));
        assert!(is_ours(b"sleep\x001000\0", b"A=1\0MESOS_SANDBOX=/tmp/hansa-dev-1/node1/s\0", dir));
        for (cmdline, environ) in [
            // Somebody looks at a log, another cluster, the supervisor itself, a name that only begins alike.
            (b"less\0/tmp/hansa-dev-1/master.log\0".as_slice(), b"".as_slice()),
            (b"hansa\0agent\0--data-dir\0/tmp/hansa-dev-2\0", b""),
            (b"hansa\0dev\0--data-dir\0/tmp/hansa-dev-1\0", b""),
            (b"hansa\0agent\0--data-dir\0/tmp/hansa-dev-10\0", b""),
            (b"sleep\x001\0", b"PWD=/tmp/hansa-dev-1\0"),
            (b"", b""),
        ] {
            assert!(!is_ours(cmdline, environ, dir), "{}", String::from_utf8_lossy(cmdline));
        }
    }

    #[test]
    fn agents_are_found_in_what_they_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("node1/runtime/c1/shim.json", r#"{"version":1,"agent":"a-1","container":"c1"}"#);
        write("node2/runtime/c2/shim.json", r#"{"agent":"../../etc"}"#);
        for others in ["sandboxes/x", "images/x", "runtime/c2/scratch", "runtime/c2/scratch/upper/runtime/x"]
        {
            write(&format!("node2/{others}/agent-id"), "not-mine");
            write(&format!("node2/{others}/shim.json"), r#"{"agent":"not-mine"}"#);
        }
        write("node3/agent-id", "a-3\n");
        write("node3/spares/3/shim.json", r#"{"agent":"a-4"}"#);
        assert_eq!(agents(dir.path()), BTreeSet::from(["a-1", "a-3", "a-4"].map(str::to_owned)));
        assert_eq!(agents(&dir.path().join("node3")), BTreeSet::from(["a-3", "a-4"].map(str::to_owned)));
    }

    #[test]
    fn a_process_of_the_cluster_is_found_and_ended() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .env("MESOS_SANDBOX", dir.path().join("node1/s"))
            .spawn()
            .unwrap();
        // A process that has just begun its program has no environment to be read for a moment.
        let begun = std::time::Instant::now();
        while pids(dir.path()).is_empty() && begun.elapsed() < Duration::from_secs(60) {
            std::thread::yield_now();
        }
        assert_eq!(pids(dir.path()), [libc::pid_t::try_from(child.id()).unwrap()]);
        // It stays a zombie until it is waited for, which counts as ended.
        assert_eq!(sweep(dir.path(), Duration::from_secs(10)), Leftovers::new());
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    }
}
