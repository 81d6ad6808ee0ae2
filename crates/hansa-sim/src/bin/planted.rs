//! Plants bugs one by one and shows which seed of the simulator finds each: `planted [BUG [SEED]]`. With a seed it prints
//! everything that happens there.
//!
//! Only with the feature `planted-bugs`; `cargo xtask planted` builds and runs it.

use hansa_model::planted::Bug;
use hansa_sim::Options;
use hansa_sim::hunt::{Hunt, hunt, run_with};
use std::io::Write as _;
use std::process::ExitCode;

/// Every bug must be found within this many seeds.
const MOST: u64 = 1_000;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next();
    let bugs: Vec<Bug> = Bug::ALL
        .into_iter()
        .filter(|bug| name.as_ref().is_none_or(|name| format!("{bug:?}") == *name))
        .collect();
    if bugs.is_empty() {
        eprintln!("no such bug; there are {:?}", Bug::ALL);
        return ExitCode::FAILURE;
    }
    if let Some(seed) = arguments.next() {
        let Ok(seed) = seed.parse() else {
            eprintln!("the seed is a number, not {seed:?}");
            return ExitCode::FAILURE;
        };
        let ended = run_with(bugs[0], &Options { trace: true, ..Options::new(seed) });
        // Whoever closes the pipe has seen enough.
        let _ = std::io::stdout().write_all(ended.trace.as_bytes());
        eprintln!("{}\n{}", ended.report, ended.broken.as_deref().unwrap_or("no invariant broke"));
        return ExitCode::SUCCESS;
    }
    // Panics of planted bugs are what is looked for: one line in the table, no more.
    std::panic::set_hook(Box::new(|_| {}));
    println!("BUG                   SEED  SHOWN BY");
    let hunts = hunt(&bugs, MOST, |hunt| println!("{}", line(hunt)));
    let found = hunts.iter().filter(|hunt| hunt.found.is_some()).count();
    println!("{found} passed, {} failed", hunts.len() - found);
    if found == hunts.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn line(hunt: &Hunt) -> String {
    let (seed, what) = match &hunt.found {
        Some((seed, what)) => (seed.to_string(), what.lines().next().unwrap_or_default()),
        None => ("-".into(), "NOT FOUND"),
    };
    let what: String = what.chars().take(150).collect();
    format!("{:<20} {seed:>5}  {what}", format!("{:?}", hunt.bug))
}
