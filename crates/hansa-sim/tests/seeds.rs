//! Some hundred worlds, and the promise that a seed is a world.

use hansa_sim::{Options, run, run_many};

/// How many seeds the tests run; `hansa sim --seeds N` runs more.
const SEEDS: u64 = 300;

#[test]
fn worlds_converge_and_break_no_invariant() {
    let summary = run_many(1, SEEDS, |ended| {
        if let Some(what) = &ended.broken {
            eprintln!("seed {}: {what}\n  hansa sim --seed {} --trace", ended.seed, ended.seed);
        }
    });
    println!("{} seeds: {}", SEEDS, summary.report);
    assert_eq!(summary.failed, Vec::<u64>::new(), "failing seeds");
}

#[test]
fn a_seed_is_a_world() {
    for seed in [7, 8, 9] {
        let options = Options { trace: true, faulty_ms: 60_000, ..Options::new(seed) };
        let (first, second) = (run(&options), run(&options));
        assert_eq!(first.report.fingerprint, second.report.fingerprint);
        assert!(first.trace == second.trace, "the traces of seed {seed} differ");
        assert!(first.trace.len() > 10_000, "something happened");
    }
}
