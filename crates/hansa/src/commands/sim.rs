//! `hansa sim`: whole clusters in virtual time, under faults, from seeds.

use crate::failure::{Exit, Failure};
use crate::output;
use clap::Args;
use hansa_sim::{Options, run, run_many};

/// Runs simulated clusters under faults and checks what must always hold
#[derive(Clone, Debug, Args)]
pub struct SimArgs {
    /// How many seeds to run
    #[arg(long, default_value_t = 300, value_name = "N")]
    seeds: u64,
    /// The first of them; alone: only this one
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Print everything that happens (needs --seed)
    #[arg(long, requires = "seed")]
    trace: bool,
}

/// Runs the command.
pub fn execute(args: &SimArgs) -> Result<(), Failure> {
    if let (Some(seed), true) = (args.seed, args.trace) {
        let ended = run(&Options { trace: true, ..Options::new(seed) });
        output::write_stdout(&ended.trace)?;
        output::note(&ended.report.to_string());
        return ended.broken.map_or(Ok(()), |what| Err(broken(format!("seed {seed}: {what}"))));
    }
    let (first, count) = args.seed.map_or((1, args.seeds), |seed| (seed, 1));
    let summary = run_many(first, count, |ended| {
        if let Some(what) = &ended.broken {
            output::note(&format!(
                "seed {}: {what}\n  replay: hansa sim --seed {} --trace",
                ended.seed, ended.seed
            ));
        }
    });
    output::write_stdout(&format!("{count} seeds, {} failed; {}\n", summary.failed.len(), summary.report))?;
    match summary.failed.first() {
        Some(seed) => Err(broken(format!(
            "{} of {count} seeds broke an invariant; the first is {seed}",
            summary.failed.len()
        ))),
        None => Ok(()),
    }
}

fn broken(what: String) -> Failure {
    Failure::new(Exit::Failed, what)
}
