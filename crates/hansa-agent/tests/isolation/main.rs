//! Containers with real processes: limits, fences, ends, and what survives whom.
//!
//! This binary is test runner, shim and workload in one: `shim <dir>` and `workload <what>` are what the tests start of
//! it. Whatever a test starts holds a stop deadline, so that nothing survives a killed test for long.

mod ends;
mod fences;
mod fixture;
mod limits;
mod probe;
mod workload;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// A test: its name, what it needs, what it does.
struct Test {
    name: &'static str,
    needs_root: bool,
    run: fn(),
}

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let _ = args.next();
    let rest: Vec<_> = args.collect();
    match rest.first().and_then(|word| word.to_str()) {
        Some("shim") => hansa_agent::shim::main(rest[1..].to_vec()),
        Some("workload") => workload::main(&rest[1..]),
        _ => {}
    }
    let filters: Vec<&str> =
        rest.iter().filter_map(|word| word.to_str()).filter(|word| !word.starts_with('-')).collect();
    let tests: Vec<Test> = [ends::tests(), limits::tests(), fences::tests()].into_iter().flatten().collect();
    if rest.iter().any(|word| word == "--list") {
        tests.iter().for_each(|test| println!("{}: test", test.name));
        return ExitCode::SUCCESS;
    }
    run(&tests, &filters)
}

fn run(tests: &[Test], filters: &[&str]) -> ExitCode {
    // SAFETY: no memory is passed.
    let root = unsafe { libc::geteuid() } == 0;
    let (mut passed, mut failed, mut skipped) = (0, Vec::new(), 0);
    for test in tests {
        if !filters.is_empty() && !filters.iter().any(|filter| test.name.contains(filter)) {
            continue;
        }
        if test.needs_root && !root {
            println!("test {} ... SKIPPED: it needs root and cgroups", test.name);
            skipped += 1;
            continue;
        }
        let begin = std::time::Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(test.run));
        let verdict = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("test {} ... {verdict} ({} ms)", test.name, begin.elapsed().as_millis());
        match outcome {
            Ok(()) => passed += 1,
            Err(_) => failed.push(test.name),
        }
    }
    println!("\nisolation: {passed} passed, {} failed, {skipped} skipped", failed.len());
    failed.iter().for_each(|name| println!("failed: {name}"));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
