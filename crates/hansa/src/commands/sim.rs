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
    /// Plant bugs, and show that each is found within 1000 seeds
    #[cfg(feature = "planted-bugs")]
    #[arg(long, conflicts_with_all = ["seed", "seeds"])]
    planted: bool,
}

/// Runs the command.
pub fn execute(args: &SimArgs) -> Result<(), Failure> {
    #[cfg(feature = "planted-bugs")]
    if args.planted {
        return planted();
    }
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

#[cfg(feature = "planted-bugs")]
fn planted() -> Result<(), Failure> {
    let line = |hunt: &hansa_sim::Hunt| {
        let (seed, what) = match &hunt.found {
            Some((seed, what)) => (seed.to_string(), what.lines().next().unwrap_or_default()),
            None => ("-".into(), "NOT FOUND"),
        };
        let what: String = what.chars().take(100).collect();
        // A closed pipe ends the table, not the hunt.
        let _ = output::write_stdout(&format!("{:<20} {seed:>5}  {what}\n", format!("{:?}", hunt.bug)));
    };
    output::write_stdout("BUG                   SEED  SHOWN BY\n")?;
    let missed = hansa_sim::hunt(1_000, line).iter().filter(|hunt| hunt.found.is_none()).count();
    if missed > 0 {
        return Err(broken(format!("{missed} planted bugs were not found")));
    }
    Ok(())
}
