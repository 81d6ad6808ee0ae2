//! The console's own checks: its types, the tests of its logic, and its pages in a browser on a cluster of ours.

use crate::dev::Dev;
use crate::run::{Outcome, run};
use crate::system;
use anyhow::Result;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// No step may take longer.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Nor all tests in the browser; on two cores that do nothing else they take one minute.
const BROWSER_LIMIT: Duration = Duration::from_secs(8 * 60);

/// Types and logic.
pub fn logic(root: &Path) -> Result<Outcome> {
    all(root, &[&["ci", "--no-audit", "--no-fund"], &["run", "check"], &["test"]])
}

/// Every flow, and accessibility on every page, in Chromium. Without Chromium it is left out, and says so.
pub fn browser(root: &Path, target: &Path) -> Result<Outcome> {
    if !system::has_browser() {
        return Ok(Outcome::missing("the console in a browser", "Chromium"));
    }
    // Programs that are not released serve what was built here last.
    let built = all(root, &[&["run", "build"]])?;
    if !built.ok {
        return Ok(built);
    }
    let mut dev = Dev::start(target, "console", 3)?;
    let mut tests = npm(root, &["run", "test:e2e"]);
    tests.env("HANSA_CONSOLE_URL", format!("http://{}", dev.address));
    let mut sum = built;
    sum.add(run(tests, BROWSER_LIMIT)?);
    dev.stop()?;
    Ok(sum)
}

fn npm(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("npm");
    command.current_dir(root.join("ui")).args(arguments).env("NO_COLOR", "1").env("CI", "true");
    command
}

/// One after the other, until one fails.
fn all(root: &Path, commands: &[&[&str]]) -> Result<Outcome> {
    let mut sum = Outcome::nothing();
    for arguments in commands {
        sum.add(run(npm(root, arguments), LIMIT)?);
        if !sum.ok {
            break;
        }
    }
    Ok(sum)
}
