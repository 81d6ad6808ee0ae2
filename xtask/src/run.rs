//! Running a step: its output is passed on as it comes, and the tests that it reports are counted.

use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Passed.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// Not run, because the machine does not have what they need.
    pub skipped: u64,
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// What became of a step.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whether it ended well.
    pub ok: bool,
    /// The tests that it reported.
    pub count: Count,
    /// How long it took.
    pub took: Duration,
}

impl Outcome {
    /// What comes before the first of several.
    pub fn nothing() -> Self {
        Self { ok: true, count: Count::default(), took: Duration::ZERO }
    }

    /// One more after it.
    pub fn add(&mut self, other: Outcome) {
        self.ok &= other.ok;
        self.count += other.count;
        self.took += other.took;
    }

    /// Something is left out, as this machine does not have what it needs.
    pub fn missing(step: &str, what: &str) -> Self {
        println!("\n{}\n{step} SKIPPED: this machine does not have {what}\n{0}", "!".repeat(80));
        Self { count: Count { skipped: 1, ..Count::default() }, ..Self::nothing() }
    }
}

/// Runs a command with a time limit; what it starts ends with it.
pub fn run(command: Command, limit: Duration) -> Result<Outcome> {
    run_into(command, limit, std::io::stdout(), std::io::stderr())
}

/// The same, with its output passed on to elsewhere.
fn run_into(
    mut command: Command,
    limit: Duration,
    out: impl Write + Send + 'static,
    err: impl Write + Send + 'static,
) -> Result<Outcome> {
    let begun = Instant::now();
    let shown = format!("{command:?}").replace('"', "");
    println!("\n$ {shown}");
    // A group of its own, so that a hanging step can be ended with all its children.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {shown}"))?;
    let group = child.id();
    let count = Arc::new(Mutex::new(Count::default()));
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        anyhow::bail!("the step's output is not piped")
    };
    let readers = [pass_on(stdout, out, &count), pass_on(stderr, err, &count)];
    let timed_out = Arc::new(AtomicBool::new(false));
    let (ended, watch) = mpsc::channel::<()>();
    let watchdog = {
        let timed_out = timed_out.clone();
        std::thread::spawn(move || {
            if watch.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                timed_out.store(true, Ordering::SeqCst);
                // std has no way to signal a group; `kill` is everywhere.
                let _ = Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).status();
            }
        })
    };
    let status = child.wait()?;
    drop(ended);
    for thread in readers {
        let _ = thread.join();
    }
    let _ = watchdog.join();
    if timed_out.load(Ordering::SeqCst) {
        println!("ended after {} s: it took too long", limit.as_secs());
    }
    let count = *count.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(Outcome { ok: status.success(), count, took: begun.elapsed() })
}

fn pass_on(
    from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
    count: &Arc<Mutex<Count>>,
) -> std::thread::JoinHandle<()> {
    let count = count.clone();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(from);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(read) if read > 0) {
            let _ = to.write_all(&line);
            if let Some(more) = counted(&String::from_utf8_lossy(&line)) {
                *count.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += more;
            }
            line.clear();
        }
    })
}

/// The tests that a runner's summary line reports: libtest's, vitest's, and the plain `N passed, N failed`.
fn counted(line: &str) -> Option<Count> {
    let line = line.trim();
    let vitest = line.strip_prefix("Tests ").map(str::trim_start);
    let summary = line.strip_prefix("test result: ").or(vitest).or_else(|| {
        // Nothing but the two numbers: `12 passed, 0 failed`.
        let words: Vec<&str> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        matches!(words.as_slice(), [_, "passed", _, "failed"]).then_some(line)
    })?;
    let number_before = |word: &str| -> u64 {
        let words: Vec<&str> = summary.split([' ', ';', ',', '|']).filter(|part| !part.is_empty()).collect();
        words.windows(2).find(|pair| pair[1] == word).and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
    };
    Some(Count { passed: number_before("passed"), failed: number_before("failed"), skipped: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runners_summary_is_understood() {
        let count = |passed, failed| Some(Count { passed, failed, skipped: 0 });
        assert_eq!(
            counted("test result: ok. 59 passed; 1 failed; 0 ignored; 0 measured; finished in 0.12s"),
            count(59, 1)
        );
        assert_eq!(counted("      Tests  1 failed | 11 passed (12)"), count(11, 1));
        assert_eq!(counted("      Tests  12 passed (12)"), count(12, 0));
        assert_eq!(counted("7 passed, 0 failed"), count(7, 0));
        assert_eq!(counted(" Test Files  2 passed (2)"), None);
        assert_eq!(counted("test a_word_passed ... ok"), None);
    }

    #[test]
    fn output_is_counted_and_the_status_kept() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo '3 passed, 1 failed'; echo '1 passed, 0 failed' >&2; exit 1"]);
        // Not to our own output: a runner above us would count the lines as its own.
        let (out, err) = (std::io::sink(), std::io::sink());
        let outcome = run_into(command, Duration::from_secs(60), out, err).unwrap();
        assert_eq!((outcome.ok, outcome.count), (false, Count { passed: 4, failed: 1, skipped: 0 }));
    }

    #[test]
    fn a_step_that_hangs_is_ended_with_its_children() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & sleep 1000"]);
        assert!(!run(command, Duration::from_millis(100)).unwrap().ok);
    }
}
