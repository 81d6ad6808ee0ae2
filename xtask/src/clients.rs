//! Clients that other people wrote, unchanged, against clusters of ours: Marathon's and Mesos'.
//!
//! They come from their registries, pinned, when they are needed. What some of them run on is not on every machine: then that
//! one is skipped, counted as skipped, and loudly.

use crate::fuzz::{self, Tools};
use crate::run::{Outcome, run};
use crate::temporary::Temporary;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// No step may take longer.
const LIMIT: Duration = Duration::from_secs(25 * 60);

/// Where the clients' scripts are.
pub const CLIENTS: &str = "crates/hansa/tests/clients";

/// How long each half of the fuzzing takes that is part of the tests.
const SHORT_FUZZ: Duration = Duration::from_secs(12);

/// Versions of CPython that pymesos runs on.
const PYMESOS_PYTHONS: [&str; 3] = ["3.10", "3.9", "3.8"];

/// mesos-go's programs.
const GO_PROGRAMS: [&str; 4] = ["example-scheduler", "example-executor", "msh", "mwatch"];

/// What CI runs: all of them, and a short fuzzing.
pub fn all(root: &Path, target: &Path, temporary: &Temporary) -> Result<Outcome> {
    let mut sum = marathon(root, target, temporary)?;
    sum.add(mesos(root, target, temporary)?);
    sum.add(fuzz(root, target, SHORT_FUZZ)?);
    Ok(sum)
}

/// Marathon's.
pub fn marathon(root: &Path, target: &Path, temporary: &Temporary) -> Result<Outcome> {
    let python = environment(root, target, "clients-venv", Path::new("python3"), "requirements.txt")?;
    let mut sum = Outcome::nothing();
    for script in ["marathon_client.py", "marathon_tools.py"] {
        sum.add(run(Script::new(root, target, temporary, &python, script).command, LIMIT)?);
    }
    Ok(sum)
}

/// Mesos', all of them.
pub fn mesos(root: &Path, target: &Path, temporary: &Temporary) -> Result<Outcome> {
    let mut sum = Outcome::nothing();
    match PYMESOS_PYTHONS.iter().find_map(|version| Some((*version, python(version)?))) {
        Some((version, found)) => {
            let name = format!("pymesos-venv-{version}");
            let python = environment(root, target, &name, &found, "requirements-pymesos.txt")?;
            let script = Script::new(root, target, temporary, &python, "mesos_pymesos.py");
            sum.add(run(script.command, LIMIT)?);
        }
        None => sum.add(Outcome::missing("pymesos", "CPython 3.8, 3.9 or 3.10 (on PATH, or from pyenv)")),
    }
    sum.add(avmesos(root, target, temporary)?);
    match go_programs(root, target)? {
        Ok(programs) => {
            let python = Path::new("python3");
            let mut script = Script::new(root, target, temporary, python, "mesos_go.py");
            script.command.env("MESOS_GO", programs);
            sum.add(run(script.command, LIMIT)?);
        }
        Err(what) => sum.add(Outcome::missing("mesos-go", what)),
    }
    Ok(sum)
}

/// avmesos and mesoshttp, which run on any Python.
fn avmesos(root: &Path, target: &Path, temporary: &Temporary) -> Result<Outcome> {
    let python = environment(root, target, "avmesos-venv", Path::new("python3"), "requirements-avmesos.txt")?;
    run(Script::new(root, target, temporary, &python, "mesos_av.py").command, LIMIT)
}

/// Schemathesis and our own fuzzer, each for so long.
pub fn fuzz(root: &Path, target: &Path, each: Duration) -> Result<Outcome> {
    let python = environment(root, target, "fuzz-venv", Path::new("python3"), "requirements-fuzz.txt")?;
    fuzz::fuzz(&Tools { target: target.to_owned(), clients: root.join(CLIENTS), python }, each)
}

/// One of the scripts, to be run.
struct Script {
    command: Command,
}

impl Script {
    fn new(root: &Path, target: &Path, temporary: &Temporary, python: &Path, name: &str) -> Self {
        let mut command = Command::new(python);
        command.arg(root.join(CLIENTS).join(name)).env("HANSA_BIN", target.join("debug/hansa"));
        command.env("TMPDIR", temporary.path()).env("PYTHONDONTWRITEBYTECODE", "1");
        Self { command }
    }
}

/// A CPython of this version that really runs: from PATH, or one of pyenv's, whose names on PATH may lead nowhere.
fn python(version: &str) -> Option<PathBuf> {
    let mut candidates = vec![PathBuf::from(format!("python{version}"))];
    let home = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let pyenv = home("PYENV_ROOT").or_else(|| home("HOME").map(|home| home.join(".pyenv")));
    if let Some(versions) = pyenv.and_then(|root| std::fs::read_dir(root.join("versions")).ok()) {
        let prefix = format!("{version}.");
        let found =
            versions.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
        candidates.extend(found.map(|entry| entry.path().join("bin/python")));
    }
    candidates.into_iter().find(|candidate| {
        let asked = Command::new(candidate)
            .args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
            .output();
        asked.is_ok_and(|output| output.status.success() && output.stdout.trim_ascii() == version.as_bytes())
    })
}

/// The folder with mesos-go's programs, built if they are not there, or what is missing for that.
fn go_programs(root: &Path, target: &Path) -> Result<Result<PathBuf, &'static str>> {
    let folder = target.join("mesos-go");
    if GO_PROGRAMS.iter().all(|program| folder.join(program).exists()) {
        return Ok(Ok(folder));
    }
    let runs = |program: &str, argument: &str| {
        Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
    };
    if !runs("go", "version") {
        return Ok(Err("Go"));
    }
    // `msh` handles terminals in C.
    if !runs("cc", "--version") {
        return Ok(Err("a C compiler"));
    }
    let mut build = Command::new("go");
    build.current_dir(root.join(CLIENTS).join("go")).args(["build", "-mod=readonly", "-o"]).arg(&folder);
    build.env("CGO_ENABLED", "1");
    build.args(GO_PROGRAMS.map(|program| format!("github.com/mesos/mesos-go/api/v1/cmd/{program}")));
    std::fs::create_dir_all(&folder)?;
    anyhow::ensure!(run(build, LIMIT)?.ok, "cannot build mesos-go's programs");
    Ok(Ok(folder))
}

/// A Python environment with what a file of requirements names, from PyPI; its Python.
fn environment(root: &Path, target: &Path, name: &str, base: &Path, requirements: &str) -> Result<PathBuf> {
    let venv = target.join(name);
    let python = venv.join("bin/python");
    if !python.exists() {
        let mut make = Command::new(base);
        make.arg("-m").arg("venv").arg(&venv);
        anyhow::ensure!(run(make, LIMIT)?.ok, "cannot make a Python environment in {}", venv.display());
    }
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"]);
    install.arg(root.join(CLIENTS).join(requirements));
    anyhow::ensure!(run(install, LIMIT)?.ok, "cannot install what {requirements} names from PyPI");
    Ok(python)
}

/// Only the clients that are named (`marathon`, `mesos`), or all. Whether all is well.
pub fn only(root: &Path, target: &Path, names: &[&str]) -> Result<bool> {
    let begun = Instant::now();
    let temporary = Temporary::make()?;
    let mut sum = Outcome::nothing();
    for name in if names.is_empty() { &["marathon", "mesos"][..] } else { names } {
        sum.add(match *name {
            "marathon" => marathon(root, target, &temporary)?,
            "mesos" => mesos(root, target, &temporary)?,
            other => anyhow::bail!("'{other}' is none of the clients: marathon, mesos"),
        });
    }
    println!("\nafter {} s: {}", begun.elapsed().as_secs(), if sum.ok { "ok" } else { "FAILED" });
    println!("{}", sum.count);
    Ok(sum.ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Count;

    #[test]
    fn what_is_missing_is_counted_as_skipped() {
        let mut sum = Outcome::nothing();
        sum.add(Outcome::missing("a client", "what it needs"));
        assert!(sum.ok);
        assert_eq!(sum.count.to_string(), "0 passed, 0 failed, 1 skipped");
        assert_eq!(Count { passed: 1, ..Count::default() }.to_string(), "1 passed, 0 failed");
    }

    #[test]
    fn a_python_that_does_not_run_is_none() {
        assert_eq!(python("1.0"), None);
    }
}
