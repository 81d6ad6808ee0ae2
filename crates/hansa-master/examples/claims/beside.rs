//! The same command by `runc run`, one after the other and eight at a time.

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Runs /bin/true so many times in containers of runc's own default shape.
pub fn runc(times: usize) -> Result<()> {
    if Command::new("runc").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("runc run: not to be had here; install the package runc");
        return Ok(());
    }
    let folder = std::env::temp_dir().join(format!("hansa-runc-{}", std::process::id()));
    let outcome = bundle(&folder).and_then(|()| {
        for workers in [1, 8] {
            measure(&folder, times, workers)?;
        }
        Ok(())
    });
    let _ = std::fs::remove_dir_all(folder);
    outcome
}

/// A root file system with nothing but /bin/true and what it loads.
fn bundle(folder: &Path) -> Result<()> {
    let root = folder.join("rootfs");
    let loaded = Command::new("ldd").arg("/bin/true").output().context("ldd /bin/true")?;
    let loaded = String::from_utf8_lossy(&loaded.stdout).into_owned();
    let files = loaded.split_whitespace().filter(|word| word.starts_with('/')).chain(["/bin/true"]);
    for file in files {
        let copy = root.join(file.trim_start_matches('/'));
        std::fs::create_dir_all(copy.parent().unwrap_or(&root))?;
        std::fs::copy(file, copy).with_context(|| format!("cannot copy {file}"))?;
    }
    if !Command::new("runc").args(["spec", "--bundle"]).arg(folder).status()?.success() {
        bail!("runc spec failed");
    }
    let config = folder.join("config.json");
    let mut spec: serde_json::Value = serde_json::from_slice(&std::fs::read(&config)?)?;
    spec["process"]["args"] = serde_json::json!(["/bin/true"]);
    spec["process"]["terminal"] = serde_json::json!(false);
    std::fs::write(config, spec.to_string())?;
    Ok(())
}

fn measure(folder: &Path, times: usize, workers: usize) -> Result<()> {
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= times {
                        return;
                    }
                    let name = format!("hansa-bench-{}-{workers}-{number}", std::process::id());
                    let mut run = Command::new("runc");
                    run.args(["run", "--bundle"]).arg(folder).arg(name);
                    let quiet = run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                    if !quiet.status().is_ok_and(|status| status.success()) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let took = begun.elapsed().as_secs_f64();
    println!(
        "{times} times runc run of /bin/true, {workers} at a time: {took:.2} s, {:.0}/s, {} failed",
        times as f64 / took,
        failed.into_inner()
    );
    Ok(())
}
