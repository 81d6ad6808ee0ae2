//! The console on a large cluster: 5,000 simulated machines with 100,000 tasks behind a real master, and Chromium in front of it.

use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// Prints what `ui/e2e/measure.ts` finds. Programs that are not released serve what was built in `ui` last, so it is built.
pub fn console(root: &Path) -> Result<()> {
    let ui = root.join("ui");
    for arguments in [["ci", "--no-audit", "--no-fund"].as_slice(), &["run", "build"]] {
        ensure!(Command::new("npm").current_dir(&ui).args(arguments).status()?.success(), "npm failed");
    }
    let mut build = Command::new(env!("CARGO"));
    build.current_dir(root).args(["build", "--release", "-p", "hansa-master", "--example", "swarm"]);
    // What a release embeds is built above.
    ensure!(build.env("HANSA_UI", "skip").status()?.success(), "the swarm cannot be built");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let mut swarm = Command::new(target.join("release/examples/swarm"))
        .args(["serve", "127.0.0.1:0", "5000", "100", "1000"])
        // It ends when this end of its stdin is closed, however this process ends.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the swarm")?;
    let outcome = measure(&ui, swarm.stdout.take().context("the swarm has no output")?);
    drop(swarm.stdin.take());
    let ended = swarm.wait()?;
    outcome?;
    ensure!(ended.success(), "the swarm ended with {ended}");
    Ok(())
}

fn measure(ui: &Path, output: impl std::io::Read) -> Result<()> {
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    print!("{line}");
    let Some((_, address)) = line.trim().rsplit_once(" at ") else { bail!("the swarm does not start") };
    let mut measure = Command::new("npm");
    measure.current_dir(ui).args(["run", "measure"]).env("HANSA_CONSOLE_URL", address);
    ensure!(measure.status()?.success(), "the console could not be measured");
    Ok(())
}
