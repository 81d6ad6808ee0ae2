//! Services of images, as people run them: a real registry filled with images of Debian's packages, a real master, real
//! agents, containers with addresses of their own, and clients that talk to them through mapped ports.
//!
//! All of it happens in a network namespace of this program's own, so that no port, bridge or rule of the machine is
//! touched, and whatever becomes of a test, they are gone with it. The tests run beside each other, one thread each.

mod apps;
mod balancer;
mod compose;
mod ends;
mod exec;
#[expect(dead_code, reason = "images of other tests need more of it")]
#[path = "../../../hansa-images/tests/support/mod.rs"]
mod images;
mod machine;
mod packages;
mod services;
#[path = "../support/mod.rs"]
mod support;
mod talk;

use packages::Shop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// A test: its name and what it does.
struct Test {
    name: &'static str,
    run: fn(),
}

const TESTS: &[Test] = &[
    Test { name: "services of images, from their first to their last day", run: services::life },
    Test { name: "containers of images outlive their agent, not their shim", run: ends::kills },
    Test { name: "a command in a container, with and without a terminal", run: exec::commands },
    Test { name: "a compose file comes up with one command, and goes with one", run: compose::project },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--list") {
        TESTS.iter().for_each(|test| println!("{}: test", test.name));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let chosen =
        |test: &&Test| filters.is_empty() || filters.iter().any(|filter| test.name.contains(*filter));
    let chosen: Vec<&Test> = TESTS.iter().filter(chosen).collect();
    if chosen.is_empty() {
        return ExitCode::SUCCESS;
    }
    if let Err(missing) = machine::enter() {
        println!("images: {} tests SKIPPED: {missing}", chosen.len());
        return ExitCode::SUCCESS;
    }
    let shop = Shop::open();
    apps::buy_from(&shop);
    let run = |test: &Test| {
        let begun = std::time::Instant::now();
        let good = catch_unwind(AssertUnwindSafe(test.run)).is_ok();
        let verdict = if good { "ok" } else { "FAILED" };
        println!("test {} ... {verdict} ({} ms)", test.name, begun.elapsed().as_millis());
        good
    };
    let passed = std::thread::scope(|scope| {
        let spawn = |test: &'static Test| {
            let builder = std::thread::Builder::new().name(test.name.into());
            builder.spawn_scoped(scope, move || run(test)).expect("a thread")
        };
        let threads: Vec<_> = chosen.iter().map(|test| spawn(test)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|good| *good).count()
    });
    drop(shop);
    println!("\n{passed} passed, {} failed", chosen.len() - passed);
    if passed == chosen.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a test's steps on a runtime of its own.
fn on_runtime(steps: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(steps);
}
