//! `cargo xtask test`: one step after the other, all of them even if one fails, and a summary.

use crate::clients;
use crate::run::{Count, Outcome, run};
use crate::temporary::Temporary;
use crate::{console, system, tidy};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// No step may take longer.
const LIMIT: Duration = Duration::from_secs(25 * 60);

/// What was done, for the summary.
#[derive(Default)]
struct Report {
    lines: Vec<String>,
    total: Count,
}

impl Report {
    fn add(&mut self, name: &str, outcome: Outcome) -> bool {
        let mut count = outcome.count;
        // A step that is not made of tests is one itself; so is a runner that fails without saying which test.
        if count == Count::default() {
            count.passed = u64::from(outcome.ok);
        }
        if !outcome.ok && count.failed == 0 {
            count.failed = 1;
        }
        let verdict = if outcome.ok { "ok" } else { "FAILED" };
        self.lines.push(format!("{name:<12}{verdict:<8}{:>5} s  {count}", outcome.took.as_secs()));
        self.total += count;
        outcome.ok
    }

    /// A step that could not even be begun has failed; no reason to keep the rest from being told.
    fn add_or_tell(&mut self, name: &str, outcome: Result<Outcome>) -> bool {
        let outcome = outcome.unwrap_or_else(|error| {
            println!("{error:#}");
            Outcome { ok: false, count: Count::default(), took: Duration::ZERO }
        });
        self.add(name, outcome)
    }

    /// Prints the summary. The last line is the one that machines read.
    fn close(self, begun: Instant) -> bool {
        println!("\n== summary, after {} s", begun.elapsed().as_secs());
        for line in &self.lines {
            println!("{line}");
        }
        println!("{}", self.total);
        self.total.failed == 0
    }
}

/// The repository's own rules only. Whether all hold.
pub fn tidy_only(root: &Path) -> Result<bool> {
    let begun = Instant::now();
    let mut report = Report::default();
    report.add("tidy", check_rules(root)?);
    Ok(report.close(begun))
}

/// Plants bugs and lets the simulator find them. Whether it found all. In a folder of its own, so that no program with
/// bugs lies beside the others.
pub fn planted(root: &Path) -> Result<bool> {
    let mut command =
        cargo(root, &["run", "-p", "hansa-sim", "--features", "planted-bugs", "--bin", "planted"]);
    command.arg("--target-dir").arg(target(root).join("planted"));
    Ok(run(command, LIMIT)?.ok)
}

/// Reads the examples of Marathon's documentation, from a checkout that lies elsewhere. Whether they could be read.
pub fn marathon_examples(root: &Path) -> Result<bool> {
    let Some(checkout) = std::env::var_os("HANSA_MARATHON").filter(|path| !path.is_empty()) else {
        println!("set HANSA_MARATHON to the folder of a checkout of github mesosphere/marathon");
        return Ok(false);
    };
    let mut command =
        cargo(root, &["run", "--quiet", "-p", "hansa-api", "--example", "marathon_examples", "--"]);
    command.arg(checkout);
    Ok(run(command, LIMIT)?.ok)
}

/// Fuzzes the HTTP surface of a running cluster: so many minutes with schemathesis, then as many with our own fuzzer. Whether
/// nothing was found.
pub fn fuzz(root: &Path, minutes: f64) -> Result<bool> {
    system::provide()?;
    for arguments in
        [["build", "-p", "hansa"].as_slice(), &["build", "-p", "hansa-master", "--example", "fuzz"]]
    {
        anyhow::ensure!(run(cargo(root, arguments), LIMIT)?.ok, "cannot build what is needed");
    }
    Ok(clients::fuzz(root, &target(root), Duration::from_secs_f64(minutes * 60.0))?.ok)
}

/// Clients that other people wrote. Whether all is well.
pub fn clients(root: &Path, names: &[&str]) -> Result<bool> {
    system::provide()?;
    anyhow::ensure!(run(cargo(root, &["build", "-p", "hansa"]), LIMIT)?.ok, "cannot build what is needed");
    clients::only(root, &target(root), names)
}

/// The console's pages in a browser. Whether all is well.
pub fn browser(root: &Path) -> Result<bool> {
    system::provide()?;
    anyhow::ensure!(run(cargo(root, &["build", "-p", "hansa"]), LIMIT)?.ok, "cannot build what is needed");
    anyhow::ensure!(console::logic(root)?.ok, "the console is not well");
    Ok(console::browser(root, &target(root))?.ok)
}

/// Everything that CI runs. Whether all of it is well.
pub fn test(root: &Path) -> Result<bool> {
    let begun = Instant::now();
    system::provide()?;
    let mut report = Report::default();
    report.add("format", run(cargo(root, &["fmt", "--all", "--check"]), LIMIT)?);
    report.add("tidy", check_rules(root)?);
    report.add(
        "lints",
        run(cargo(root, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]), LIMIT)?,
    );
    let built = report.add("build", run(cargo(root, &["build", "--workspace", "--all-targets"]), LIMIT)?);
    if built {
        let temporary = Temporary::make()?;
        let mut tests = cargo(root, &["test", "--workspace", "--no-fail-fast"]);
        tests.env("TMPDIR", temporary.path());
        report.add("tests", run(tests, LIMIT)?);
        report.add_or_tell("clients", clients::all(root, &target(root), &temporary));
    }
    let mut docs = cargo(root, &["doc", "--workspace", "--no-deps"]);
    // Module docs are for whoever reads the code, so they may point at what is private.
    docs.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links");
    report.add("docs", run(docs, LIMIT)?);
    // The pages need what the logic's step installs, and the program that was built above.
    if report.add("console", console::logic(root)?) && built {
        report.add_or_tell("browser", console::browser(root, &target(root)));
    }
    Ok(report.close(begun))
}

fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root).args(arguments);
    // Set while cargo runs us; with it a nested cargo would rebuild what depends on it.
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" || name == "CARGO_MANIFEST_PATH" {
            command.env_remove(name);
        }
    }
    command
}

fn check_rules(root: &Path) -> Result<Outcome> {
    let begun = Instant::now();
    println!("\n$ the repository's own rules");
    let mut count = Count::default();
    for rule in tidy::check(root)? {
        if rule.broken.is_empty() {
            count.passed += 1;
            continue;
        }
        count.failed += 1;
        println!("{}: broken", rule.name);
        for place in &rule.broken {
            println!("  {place}");
        }
    }
    Ok(Outcome { ok: count.failed == 0, count, took: begun.elapsed() })
}

fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_counts_even_if_it_has_no_tests() {
        let mut report = Report::default();
        let outcome = |ok, passed, failed| Outcome {
            ok,
            count: Count { passed, failed, skipped: 0 },
            took: Duration::ZERO,
        };
        assert!(report.add("format", outcome(true, 0, 0)));
        assert!(!report.add("lints", outcome(false, 0, 0)));
        report.add("tests", outcome(false, 10, 2));
        report.add("crashed", outcome(false, 3, 0));
        assert_eq!(report.total, Count { passed: 14, failed: 4, skipped: 0 });
    }
}
