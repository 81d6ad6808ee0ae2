//! `cargo xtask bench`: how fast and how large, on the same path as production, with a baseline beside it.
//!
//! - `cell`: a master with simulated agents in its process takes a million instances through its HTTP port.
//! - `link`: the same with 1,000 simulated agents in another process, each with its own gRPC stream.
//! - `offers`: a framework over HTTP that fills every offer, with 1,000 simulated agents.
//! - `state`: `/state` of 10,000 simulated agents and 100,000 tasks, and launches beside its readers.
//! - `allocation`: who is offered what: a whole cycle, one freed machine, and a role at its limit among many idle machines.
//! - `placement`: decisions a second, and packing on the openb traces beside first fit.
//! - `store`: what a durable put costs.
//! - `machine`: from a POST to a running process on a real agent, beside starting the same command bare; memory; and how
//!   many short tasks a second come and go by claims, beside `runc run`.
//! - `images`: containers of images: their start beside crun, runc and docker, 200 at once, an update under load, a pull
//!   beside skopeo and umoci.
//! - `console`: the console's pages in Chromium, on 5,000 simulated machines with 100,000 tasks.

mod console;
mod images;

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// All benches.
pub const NAMES: [&str; 10] =
    ["cell", "link", "offers", "state", "allocation", "placement", "store", "machine", "images", "console"];

/// Runs the named benches; all of them if none is named. Whether all of them ran.
pub fn bench(root: &Path, names: &[&str]) -> Result<bool> {
    for name in if names.is_empty() { &NAMES } else { names } {
        println!("\n== {name}; {}", load());
        match *name {
            "cell" => {
                for agents in ["500", "5000", "20000"] {
                    example(root, "hansa-master", "swarm", &["cell", agents, "1000", "1000"])?;
                }
            }
            "link" => example(root, "hansa-master", "swarm", &["link", "1000", "1000", "1000"])?,
            "offers" => example(root, "hansa-master", "swarm", &["offers", "1000", "20"])?,
            "state" => example(root, "hansa-master", "swarm", &["state", "10000", "100000", "20"])?,
            "allocation" => allocation(root)?,
            "placement" => example(root, "hansa-placement", "placement_bench", &[])?,
            "store" => {
                let folder = root.join("target/bench-store");
                std::fs::create_dir_all(&folder)?;
                let folder = folder.display().to_string();
                example(root, "hansa-store", "put_cost", &[&folder])?;
            }
            "machine" => machine(root)?,
            "images" => images::images(root)?,
            "console" => console::console(root)?,
            other => bail!("'{other}' is not a bench; there are {}", NAMES.join(", ")),
        }
        println!("after {name}: {}", load());
    }
    Ok(true)
}

/// Cores and load average, so that a reader can judge the numbers beside it.
fn load() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(3).collect();
    format!("{cores} cores, load average {}", load.join(" "))
}

fn example(root: &Path, package: &str, name: &str, arguments: &[&str]) -> Result<()> {
    println!("$ {name} {}", arguments.join(" "));
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root).args(["run", "--quiet", "--release", "-p", package, "--example", name, "--"]);
    let status = command.args(arguments).status()?;
    if !status.success() {
        bail!("{name} ended with {status}");
    }
    Ok(())
}

fn allocation(root: &Path) -> Result<()> {
    let test = ["allocation_cycles", "--", "--ignored", "--nocapture"];
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root).args(["test", "--quiet", "--release", "-p", "hansa-kernel", "--lib"]);
    if !command.args(test).status()?.success() {
        bail!("the measurement failed");
    }
    Ok(())
}

/// How many services are started one after the other.
const STARTS: usize = 100;

const ADDRESS: &str = "127.0.0.1:18099";

/// A development cluster that ends with this value.
struct Cluster(Child);

impl Drop for Cluster {
    fn drop(&mut self) {
        // SIGTERM: the cluster puts everything away.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

fn machine(root: &Path) -> Result<()> {
    let mut build = Command::new(env!("CARGO"));
    if !build.current_dir(root).args(["build", "--quiet", "--release", "-p", "hansa"]).status()?.success() {
        bail!("the program cannot be built");
    }
    let program = root.join("target/release/hansa");
    let folder = std::env::temp_dir().join(format!("hansa-bench-{}", std::process::id()));
    let cluster = Command::new(&program)
        .args(["dev", "--agents", "1", "--listen", ADDRESS, "--ports", "28000-28999", "--data-dir"])
        .arg(&folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let cluster = Cluster(cluster);
    let begun = Instant::now();
    while !get("/hansa/v1/cluster").is_ok_and(|body| body.contains("\"active\":1")) {
        if begun.elapsed() > Duration::from_secs(20) {
            bail!("the development cluster does not come up");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("idle:");
    memory(cluster.0.id())?;

    // Marathon's stream tells at once; the console's gathers for some milliseconds.
    let stream = request("GET", "/v2/events?event_type=status_update_event", "", "text/event-stream")?;
    let mut events = BufReader::new(stream);
    let mut started = Vec::new();
    let mut bare = Vec::new();
    let mut namespaces = Vec::new();
    for number in 0..STARTS {
        let app = format!(
            "{{\"id\":\"/bench{number}\",\"cmd\":\"exec sleep 1000\",\"cpus\":0.001,\"mem\":16,\"portDefinitions\":[]}}"
        );
        let asked = Instant::now();
        let mut answer = request("POST", "/v2/apps", &app, "application/json")?;
        let wanted = format!("\"appId\":\"/bench{number}\"");
        let mut line = String::new();
        loop {
            line.clear();
            if events.read_line(&mut line)? == 0 {
                bail!("the event stream ended");
            }
            if line.contains(&wanted) && line.contains("TASK_RUNNING") {
                break;
            }
        }
        started.push(asked.elapsed());
        let mut head = [0; 12];
        answer.read_exact(&mut head)?;
        if &head[9..] != b"201" {
            bail!("the service was refused: {}", String::from_utf8_lossy(&head));
        }
        bare.push(timed(Command::new("/bin/true"))?);
        let mut unshare = Command::new("unshare");
        unshare.args(["--fork", "--pid", "--mount", "--ipc", "--uts", "/bin/true"]);
        namespaces.extend(timed(unshare));
    }
    let base = print("fork and exec of /bin/true, to its end", &mut bare, None);
    print("unshare of four namespaces and /bin/true, to its end", &mut namespaces, base);
    print("POST of a service to its task running", &mut started, base);
    println!("with {STARTS} tasks:");
    memory(cluster.0.id())?;
    println!("{}", syncs(&text("/metrics", "text/plain")?)?);
    println!("a framework that fills every offer with tasks of /bin/true:");
    example(root, "hansa-master", "swarm", &["framework", &format!("http://{ADDRESS}"), "10"])?;
    drop(cluster);
    let _ = std::fs::remove_dir_all(folder);
    example(root, "hansa-master", "claims", &[&program.display().to_string(), "1000"])
}

/// What the master's own metrics say of its store.
fn syncs(metrics: &str) -> Result<String> {
    let value = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.trim().parse::<f64>().ok()).with_context(|| format!("no metric {name}"))
    };
    let (count, seconds) = (value("hansa_store_syncs_total")?, value("hansa_store_sync_seconds_total")?);
    Ok(format!("the master's store: {count} fsyncs, {:.1} ms together", seconds * 1000.0))
}

fn timed(mut command: Command) -> Result<Duration> {
    let begun = Instant::now();
    let status = command.stderr(Stdio::null()).status().context("a baseline cannot be started")?;
    if !status.success() {
        bail!("a baseline ended with {status}");
    }
    Ok(begun.elapsed())
}

/// Prints median and 99th percentile, and the ratio of the median to the baseline's; gives the median.
fn print(what: &str, times: &mut [Duration], base: Option<Duration>) -> Option<Duration> {
    times.sort_unstable();
    let Some(&median) = times.get(times.len() / 2) else {
        println!("{what}: not to be had here");
        return None;
    };
    let last = times[(times.len() * 99 / 100).min(times.len() - 1)];
    let ratio = base.map_or(String::new(), |base| {
        format!(", {:.1} times the baseline", median.as_secs_f64() / base.as_secs_f64())
    });
    println!("{what}: p50 {:.1} ms, p99 {:.1} ms{ratio}", ms(median), ms(last));
    Some(median)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn request(method: &str, path: &str, body: &str, accept: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(ADDRESS)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {ADDRESS}\r\nAccept: {accept}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}

fn get(path: &str) -> Result<String> {
    text(path, "application/json")
}

fn text(path: &str, accept: &str) -> Result<String> {
    let mut text = String::new();
    request("GET", path, "", accept)?.read_to_string(&mut text)?;
    Ok(text)
}

/// Prints the memory of the cluster's processes by role: the median of each.
fn memory(parent: u32) -> Result<()> {
    let mut roles: [(&str, Vec<(u64, u64)>); 3] = [("master", vec![]), ("agent", vec![]), ("shim", vec![])];
    for entry in std::fs::read_dir("/proc")? {
        let folder = entry?.path();
        let Ok(line) = std::fs::read(folder.join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let ours = line.contains(&format!("hansa-bench-{}", std::process::id()));
        // Not those that wait for work.
        let ours = ours && !line.contains(" --nursery ");
        let role = roles.iter_mut().find(|(role, _)| line.contains(&format!(" {role} ")));
        let Some((_, sizes)) = role.filter(|_| ours) else { continue };
        let Ok(rollup) = std::fs::read_to_string(folder.join("smaps_rollup")) else { continue };
        let size = |name: &str| {
            let line = rollup.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kb| kb.parse().ok()).unwrap_or(0)
        };
        sizes.push((size("Rss:"), size("Pss:")));
    }
    for (role, mut sizes) in roles {
        sizes.sort_unstable();
        let Some((rss, pss)) = sizes.get(sizes.len() / 2) else { continue };
        println!(
            "  {role:<7} RSS {:.1} MB, PSS {:.1} MB (median of {} under {parent})",
            *rss as f64 / 1000.0,
            *pss as f64 / 1000.0,
            sizes.len()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stores_syncs_are_read_from_the_metrics() {
        let metrics = "# HELP hansa_store_syncs_total x\nhansa_store_syncs_total 7\n\
                       hansa_store_sync_seconds_total 0.0125\nhansa_store_syncs_total_more 9\n";
        assert_eq!(syncs(metrics).unwrap(), "the master's store: 7 fsyncs, 12.5 ms together");
        assert!(syncs("").is_err());
    }
}
