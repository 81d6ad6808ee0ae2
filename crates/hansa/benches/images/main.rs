//! What containers of images cost, beside programs that people know, in the same run and on the path of production: a
//! master and agents as processes, a registry on loopback, HTTP.
//!
//! `start`: from a POST to a running container, beside `crun`, `runc` and `docker run`. `many`: 200 at once, and the
//! memory of each. `update`: a rolling update under load. `pull`: a layer of 50 MB, beside skopeo and umoci. No word: all
//! of them. In a network namespace of this program's own, which ends with it.

#[path = "../../tests/images/apps.rs"]
mod apps;
#[expect(dead_code, reason = "tests look closer")]
#[path = "../../tests/images/balancer.rs"]
mod balancer;
#[expect(dead_code, reason = "images of tests need more of it")]
#[path = "../../../hansa-images/tests/support/mod.rs"]
mod images;
#[path = "../../tests/images/machine.rs"]
mod machine;
mod many;
mod others;
#[path = "../../tests/images/packages.rs"]
mod packages;
mod pull;
mod start;
mod stream;
#[path = "../../tests/support/mod.rs"]
mod support;
#[expect(dead_code, reason = "tests say more")]
#[path = "../../tests/images/talk.rs"]
mod talk;
mod update;

use packages::Shop;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let (flags, words): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word.starts_with('-'));
    if !flags.iter().any(|flag| flag == "--bench") {
        // Somebody runs or lists tests of all targets.
        return ExitCode::SUCCESS;
    }
    if let Err(missing) = machine::enter() {
        println!("not to be had here: {missing}");
        return ExitCode::FAILURE;
    }
    let shop = Shop::open();
    apps::buy_from(&shop);
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| word == name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        if wanted("start") {
            start::run().await;
        }
        if wanted("many") {
            many::run().await;
        }
        if wanted("update") {
            update::run().await;
        }
        if wanted("pull") {
            pull::run(&shop).await;
        }
    });
    ExitCode::SUCCESS
}

/// Milliseconds, for people.
fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Prints the median, the 99th percentile (the largest of fewer than 100), and how often a baseline's median the median
/// is. Gives the median.
fn print(what: &str, times: &mut [Duration], base: Option<(&str, Duration)>) -> Option<Duration> {
    times.sort_unstable();
    let median = *times.get(times.len() / 2)?;
    let last = times[(times.len() * 99 / 100).min(times.len() - 1)];
    let ratio = base.map_or(String::new(), |(name, base)| {
        format!(", {:.2} times {name}", median.as_secs_f64() / base.as_secs_f64())
    });
    println!("{what}: p50 {:.1} ms, p99 {:.1} ms of {}{ratio}", ms(median), ms(last), times.len());
    Some(median)
}
