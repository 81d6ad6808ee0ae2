//! A real agent process with real shims, and a small master that speaks the real protocol.
//!
//! This binary is test runner, agent and shim in one: `agent <settings>` and `shim <dir>` are what the tests start of it.
//! Tests of networks run each on a machine of its own: network and mount namespaces made for it.
//!
//! Every agent here arms a stop deadline, so that nothing survives a killed test for long.

mod executors;
mod fixture;
mod frameworks;
mod http;
mod images;
mod later;
mod lives;
mod machine;
mod master;
mod nested;
mod network;
#[path = "../../../hansa-images/tests/support/mod.rs"]
mod support;
mod workload;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// A test: its name and what it does.
struct Test {
    name: &'static str,
    run: fn(),
}

fn main() -> ExitCode {
    let rest: Vec<_> = std::env::args_os().skip(1).collect();
    match rest.first().and_then(|word| word.to_str()) {
        Some("shim") => hansa_agent::shim::main(rest[1..].to_vec()),
        Some("agent") => return fixture::agent_main(&rest[1..]),
        Some("workload") => workload::main(&rest[1..]),
        Some("machine") => return machine::main(&rest[1..], &network::tests()),
        _ => {}
    }
    let words: Vec<&str> = rest.iter().filter_map(|word| word.to_str()).collect();
    let mut tests: Vec<Test> = lives::tests()
        .into_iter()
        .chain(http::tests())
        .chain(frameworks::tests())
        .chain(executors::tests())
        .chain(later::tests())
        .chain(nested::tests())
        .chain(images::tests())
        .collect();
    let on_machines = tests.len()..tests.len() + network::tests().len();
    tests.extend(network::tests());
    if words.contains(&"--list") {
        tests.iter().for_each(|test| println!("{}: test", test.name));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&str> = words.into_iter().filter(|word| !word.starts_with('-')).collect();
    let mut failed = Vec::new();
    for (at, test) in tests.iter().enumerate() {
        if !filters.is_empty() && !filters.iter().any(|filter| test.name.contains(filter)) {
            continue;
        }
        let own_machine = on_machines.contains(&at);
        if let Some(missing) = machine::missing().filter(|_| own_machine) {
            println!("test {} ... SKIPPED: {missing}", test.name);
            continue;
        }
        let begin = std::time::Instant::now();
        let run = || if own_machine { machine::run(test) } else { (test.run)() };
        let verdict = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(()) => "ok",
            Err(_) => {
                failed.push(test.name);
                "FAILED"
            }
        };
        println!("test {} ... {verdict} ({} ms)", test.name, begin.elapsed().as_millis());
    }
    println!("\nagent: {} failed", failed.len());
    failed.iter().for_each(|name| println!("failed: {name}"));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
