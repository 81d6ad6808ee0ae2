//! Containers with real processes: limits, fences, ends, and what survives whom.
//!
//! This binary is test runner, shim and workload in one: `shim <dir>` and `workload <what>` are what the tests start of
//! it; `bench` prints how long starts and ends take. Whatever a test starts holds a stop deadline, so that nothing survives a killed test for long.

mod chrooted;
mod ends;
mod fences;
mod fixture;
mod guest;
mod image;
mod later;
mod limits;
mod ordinary;
mod prepared;
mod probe;
mod roots;
mod sessions;
mod volumes;
mod workload;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

/// A test: its name, what it needs, what it does.
struct Test {
    name: &'static str,
    needs_root: bool,
    run: fn(),
    /// Without namespaces and cgroups, as where neither is allowed.
    plain: bool,
}

impl Test {
    fn plain(self) -> Self {
        Self { plain: true, ..self }
    }

    fn name(&self) -> String {
        if self.plain { format!("{} (plain process)", self.name) } else { self.name.to_owned() }
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let _ = args.next();
    let rest: Vec<_> = args.collect();
    match rest.first().and_then(|word| word.to_str()) {
        Some("shim") => hansa_agent::shim::main(rest[1..].to_vec()),
        Some("bench") => {
            limits::bench();
            return ExitCode::SUCCESS;
        }
        Some("workload") => workload::main(&rest[1..]),
        _ => {}
    }
    let filters: Vec<&str> =
        rest.iter().filter_map(|word| word.to_str()).filter(|word| !word.starts_with('-')).collect();
    let plain = ends::tests().into_iter().map(Test::plain).collect();
    let mut tests = vec![ends::tests(), limits::tests(), fences::tests(), later::ordinary()];
    match std::env::var_os(guest::INSIDE) {
        // Spare shims are for version 1.
        None => tests.extend([
            prepared::tests(),
            roots::tests(),
            volumes::tests(),
            sessions::tests(),
            later::tests(),
        ]),
        Some(_) if guest::has_overlays() => {
            tests.extend([roots::tests(), volumes::tests(), sessions::tests(), later::tests()])
        }
        Some(_) => println!("test roots of images ... SKIPPED: the guest's kernel has no overlays"),
    }
    if [guest::INSIDE, chrooted::INSIDE].iter().all(|inside| std::env::var_os(inside).is_none()) {
        tests.extend([plain, ordinary::tests(), chrooted::tests(), guest::tests()]);
    }
    let tests: Vec<Test> = tests.into_iter().flatten().collect();
    if rest.iter().any(|word| word == "--list") {
        tests.iter().for_each(|test| println!("{}: test", test.name()));
        return ExitCode::SUCCESS;
    }
    run(&tests, &filters)
}

fn run(tests: &[Test], filters: &[&str]) -> ExitCode {
    // SAFETY: no memory is passed.
    let root = unsafe { libc::geteuid() } == 0;
    let (mut passed, mut failed, mut skipped) = (0, Vec::new(), 0);
    for test in tests {
        let name = test.name();
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter)) {
            continue;
        }
        if test.needs_root && !root {
            println!("test {name} ... SKIPPED: it needs root and cgroups");
            skipped += 1;
            continue;
        }
        let begin = std::time::Instant::now();
        fixture::PLAIN.store(test.plain, Ordering::Relaxed);
        let outcome = catch_unwind(AssertUnwindSafe(test.run));
        let verdict = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("test {name} ... {verdict} ({} ms)", begin.elapsed().as_millis());
        match outcome {
            Ok(()) => passed += 1,
            Err(_) => failed.push(name),
        }
    }
    failed.iter().for_each(|name| println!("failed: {name}"));
    let verdict = if failed.is_empty() { "ok" } else { "FAILED" };
    println!("\ntest result: {verdict}. {passed} passed; {} failed; {skipped} ignored", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
