//! `cargo xtask fuzz`: schemathesis over both OpenAPI documents, then our own fuzzer over Marathon's surface, against a
//! cluster of processes as users start it. No answer may be a server's error, nothing may panic, and the master's memory
//! must not grow.

use crate::dev::Dev;
use crate::run::{Count, Outcome};
use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How much a step may take beyond its time: schemathesis ends what it has begun.
const SLACK: Duration = Duration::from_secs(120);

/// What schemathesis looks at. That wrong data is refused, and right data accepted, is not among it: Marathon ignores what
/// it does not know, and an app may be described rightly and still have no meaning.
const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// Streams have no end; our own fuzzer asks for them.
const STREAMS: [&str; 2] = ["/v2/events", "/hansa/v1/events"];

/// The rule for memory: what it is at the end may be above what it was after a quarter of the fuzzing by a quarter and this
/// many bytes. In the first quarter everything fills that has a bound: recent events, versions, the store's cache.
const ROOM: u64 = 16 << 20;

/// The programs, and where schemathesis is.
pub struct Tools {
    /// The folder that cargo builds into.
    pub target: PathBuf,
    /// The folder with hooks and requirements.
    pub clients: PathBuf,
    /// The Python of an environment that has schemathesis.
    pub python: PathBuf,
}

/// Fuzzes for about so long: half of it each. Prints what came of it; not ok if anything was wrong.
pub fn fuzz(tools: &Tools, each: Duration) -> Result<Outcome> {
    let begun = Instant::now();
    let mut count = Count::default();
    let mut step = |name: &str, outcome: Result<String>| match outcome {
        Ok(words) => {
            count.passed += 1;
            println!("test fuzz_{name} ... ok ({words})");
        }
        Err(error) => {
            count.failed += 1;
            println!("test fuzz_{name} ... FAILED: {error:#}");
        }
    };
    let mut cluster = Cluster::start(tools)?;
    let memory = Memory::watch(cluster.master, each * 2)?;
    for document in ["openapi.json", "openapi-marathon.json"] {
        let name = document.trim_end_matches(".json").replace('-', "_");
        step(&format!("schemathesis_{name}"), cluster.schemathesis(tools, document, each / 2));
    }
    step("answers", cluster.errors_of_the_master(0));
    let own = cluster.own(tools, each);
    let unsupported = own.as_ref().map(|(_, unsupported)| *unsupported).ok();
    step("marathon", own.map(|(words, _)| words));
    if let Some(unsupported) = unsupported {
        step("answers_after", cluster.errors_of_the_master(unsupported));
    }
    step("memory", memory.judged());
    step("panics", cluster.panics());
    step("end", cluster.dev.stop());
    let ok = count.failed == 0;
    println!("{} passed, {} failed", count.passed, count.failed);
    Ok(Outcome { ok, count, took: begun.elapsed() })
}

/// A cluster, and its master's process.
struct Cluster {
    dev: Dev,
    master: u32,
}

impl Cluster {
    fn start(tools: &Tools) -> Result<Self> {
        let mut cluster = Self { dev: Dev::start(&tools.target, "fuzz", 2)?, master: 0 };
        cluster.master = cluster.master_of_dev().context("there is no process of the master")?;
        println!("\nfuzzing {}, master {}", cluster.dev.address, cluster.master);
        Ok(cluster)
    }

    /// The child that was started with `master`.
    fn master_of_dev(&self) -> Option<u32> {
        let dev = self.dev.id();
        let children = std::fs::read_to_string(format!("/proc/{dev}/task/{dev}/children"));
        let threads = std::fs::read_dir(format!("/proc/{dev}/task")).ok()?;
        // Any thread may have started it.
        let of_threads =
            threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok());
        let all: Vec<String> = children.into_iter().chain(of_threads).collect();
        all.iter().flat_map(|list| list.split(' ')).filter_map(|pid| pid.trim().parse().ok()).find(
            |pid: &u32| {
                let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                line.split('\0').nth(1) == Some("master")
            },
        )
    }

    fn schemathesis(&self, tools: &Tools, document: &str, time: Duration) -> Result<String> {
        let url = format!("http://{}", self.dev.address);
        let mut command = Command::new(&tools.python);
        command.args(["-m", "schemathesis.cli", "run", &format!("{url}/hansa/v1/{document}"), "--url", &url]);
        command.args(["--checks", CHECKS, "--continue-on-failure", "--warnings", "off", "--no-color"]);
        command.args(["--workers", "1", "--request-timeout", "45", "--generation-database", "none"]);
        // What schemathesis thinks of its own generators is no finding.
        command.args(["--suppress-health-check", "all"]);
        command.args(["--max-time", &time.as_secs().max(1).to_string()]);
        for stream in STREAMS {
            command.args(["--exclude-path", stream]);
        }
        command
            .current_dir(&self.dev.folder)
            .env("SCHEMATHESIS_HOOKS", "fuzz_hooks")
            .env("PYTHONPATH", &tools.clients);
        let (ok, lines, took) = listened(command, time + SLACK)?;
        let cases =
            lines.iter().find(|line| line.contains(" generated,")).context("no number of cases was told")?;
        let cases = cases.split_whitespace().next().unwrap_or("?");
        let words = format!("{} s, {cases} cases", took.as_secs());
        ensure!(ok, "{words}: something was found, see above");
        Ok(words)
    }

    /// Our own fuzzer; also how many answers said that Hansa cannot do it yet.
    fn own(&self, tools: &Tools, time: Duration) -> Result<(String, u64)> {
        let mut command = Command::new(tools.target.join("debug/examples/fuzz"));
        command.args([self.dev.address.to_string(), time.as_secs().max(1).to_string()]);
        let (ok, lines, _) = listened(command, time + SLACK)?;
        let summary =
            lines.iter().find_map(|line| line.strip_prefix("fuzz: ")).context("the fuzzer broke off")?;
        ensure!(ok, "{summary}");
        let unsupported =
            summary.split_once(" times 501").and_then(|(before, _)| before.rsplit('(').next()?.parse().ok());
        Ok((summary.split(';').next().unwrap_or_default().to_owned(), unsupported.unwrap_or(0)))
    }

    /// The master counts its answers itself: server's errors besides those that say that Hansa cannot do it yet.
    fn errors_of_the_master(&self, unsupported: u64) -> Result<String> {
        let metrics = self.dev.get("/metrics")?;
        let line = metrics
            .lines()
            .find(|line| line.starts_with("hansa_http_answers_total{") && line.contains("5xx"));
        let errors: f64 =
            line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).context("no such metric")?;
        let errors = errors as u64;
        ensure!(
            errors == unsupported,
            "the master counts {errors} answers with 5xx, {unsupported} of them 501"
        );
        Ok(format!("the master counts {errors} answers with 5xx, {unsupported} of them 501"))
    }

    fn panics(&self) -> Result<String> {
        let mut logs = 0;
        for entry in std::fs::read_dir(self.dev.folder.join("data"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|kind| kind == "log") {
                logs += 1;
                let log = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
                if let Some(line) = log.lines().find(|line| line.contains("panicked at")) {
                    anyhow::bail!("{}: {line}", path.display());
                }
            }
        }
        ensure!(logs >= 3, "only {logs} logs were found");
        let still = std::fs::read_to_string(format!("/proc/{}/cmdline", self.master)).unwrap_or_default();
        ensure!(still.contains("master"), "the master has ended");
        Ok(format!("0 in {logs} logs"))
    }
}

/// Runs a command; whether it ended well, what it printed, and how long it took.
fn listened(mut command: Command, limit: Duration) -> Result<(bool, Vec<String>, Duration)> {
    let begun = Instant::now();
    println!("\n$ {}", format!("{command:?}").replace('"', ""));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().context("its output is not piped")?;
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(out).lines().map_while(|line| line.ok());
        lines.inspect(|line| println!("{line}")).collect::<Vec<String>>()
    });
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begun.elapsed() > limit {
            child.kill()?;
            println!("ended after {} s: it took too long", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let lines = reader.join().map_err(|_| anyhow::anyhow!("its output cannot be read"))?;
    Ok((status.success(), lines, begun.elapsed()))
}

/// Looks at a process's memory now and then.
struct Memory {
    pid: u32,
    over: Arc<AtomicBool>,
    samples: std::thread::JoinHandle<Vec<u64>>,
}

impl Memory {
    /// Every minute, and at least eight times.
    fn watch(pid: u32, whole: Duration) -> Result<Self> {
        let pause = (whole / 8).min(Duration::from_secs(60));
        let over = Arc::new(AtomicBool::new(false));
        let first = resident(pid)?;
        println!("memory of the master at the start: {} KiB", first >> 10);
        let end = over.clone();
        let samples = std::thread::spawn(move || {
            let (mut samples, begun, mut last) = (vec![first], Instant::now(), Instant::now());
            while !end.load(Ordering::Relaxed) {
                if last.elapsed() >= pause
                    && let Ok(bytes) = resident(pid)
                {
                    println!(
                        "memory of the master after {} s: {} KiB",
                        begun.elapsed().as_secs(),
                        bytes >> 10
                    );
                    samples.push(bytes);
                    last = Instant::now();
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            samples
        });
        Ok(Self { pid, over, samples })
    }

    fn judged(self) -> Result<String> {
        let end = resident(self.pid)?;
        self.over.store(true, Ordering::Relaxed);
        let mut samples = self.samples.join().map_err(|_| anyhow::anyhow!("its memory cannot be read"))?;
        samples.push(end);
        is_flat(&samples)
    }
}

/// See [`ROOM`].
fn is_flat(samples: &[u64]) -> Result<String> {
    let (first, end) = (samples.first().copied().unwrap_or(0), samples.last().copied().unwrap_or(0));
    let quarter = samples.get(samples.len() / 4).copied().unwrap_or(0).max(first);
    let most = quarter + quarter / 4 + ROOM;
    let words = format!(
        "{} KiB at the start, {} after a quarter, {} at the end, at most {}",
        first >> 10,
        quarter >> 10,
        end >> 10,
        most >> 10
    );
    ensure!(end <= most, "it grows: {words}");
    Ok(words)
}

/// Bytes of a process that are in RAM.
fn resident(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the master has ended")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no such line")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_grows_is_noticed() {
        const MIB: u64 = 1 << 20;
        let flat = [20, 60, 80, 90, 85, 95, 100, 90].map(|mib| mib * MIB);
        assert!(is_flat(&flat).is_ok());
        let grows = [20, 60, 80, 100, 120, 140, 160, 180].map(|mib| mib * MIB);
        assert!(is_flat(&grows).is_err());
        assert!(is_flat(&[20 * MIB]).is_ok());
        assert!(resident(std::process::id()).unwrap() > 0 && resident(u32::MAX).is_err());
    }
}
