//! The console's own checks: its types, the tests of its logic, and its pages in a browser on a cluster of ours.

use crate::dev::Dev;
use crate::run::{Count, Outcome, run};
use crate::system;
use anyhow::Result;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// No step may take longer.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Types and logic.
pub fn logic(root: &Path) -> Result<Outcome> {
    all(root, &[&["ci", "--no-audit", "--no-fund"], &["run", "check"], &["test"]])
}

/// Every flow, and accessibility on every page, in Chromium. Without Chromium it is left out, and says so.
pub fn browser(root: &Path, target: &Path) -> Result<Outcome> {
    if !system::has_browser() {
        println!("\nMISSING: chromium. The console's pages are not tested in a browser.");
        return Ok(Outcome { ok: true, count: Count::default(), took: Duration::ZERO });
    }
    // Programs that are not released serve what was built here last.
    let built = all(root, &[&["run", "build"]])?;
    if !built.ok {
        return Ok(built);
    }
    let mut dev = Dev::start(target, "console", 3)?;
    let mut tests = npm(root, &["run", "test:e2e"]);
    tests.env("HANSA_CONSOLE_URL", format!("http://{}", dev.address));
    let mut outcome = run(tests, LIMIT)?;
    dev.stop()?;
    outcome.took += built.took;
    Ok(outcome)
}

fn npm(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("npm");
    command.current_dir(root.join("ui")).args(arguments).env("NO_COLOR", "1").env("CI", "true");
    command
}

/// One after the other, until one fails.
fn all(root: &Path, commands: &[&[&str]]) -> Result<Outcome> {
    let mut sum = Outcome { ok: true, count: Count::default(), took: Duration::ZERO };
    for arguments in commands {
        let outcome = run(npm(root, arguments), LIMIT)?;
        sum.took += outcome.took;
        sum.count += outcome.count;
        if !outcome.ok {
            sum.ok = false;
            break;
        }
    }
    Ok(sum)
}
