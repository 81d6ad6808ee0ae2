//! Reads every example of an app, a group or a pod in the documentation and RAML types of a checkout of Marathon, and says
//! which are accepted, which refused, and whether Marathon would do the same.
//!
//! `cargo xtask marathon-examples` runs it. Nothing of the checkout is kept in this repository.

mod find;
mod judge;

use judge::{Row, judge};
use std::path::PathBuf;
use std::process::ExitCode;

/// A checkout has more examples than this; fewer mean that they were not found.
const FEWEST: usize = 60;

fn main() -> ExitCode {
    let Some(checkout) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("error: give the folder of a checkout of Marathon");
        return ExitCode::from(2);
    };
    let examples = match find::all(&checkout.join("docs/docs")) {
        Ok(examples) => examples,
        Err(error) => {
            eprintln!("error: {} is no checkout of Marathon: {error}", checkout.display());
            return ExitCode::FAILURE;
        }
    };
    let judged: Vec<Vec<Row>> = examples.iter().map(judge).collect();
    let others = judged.iter().filter(|rows| rows.is_empty()).count();
    let rows: Vec<Row> = judged.into_iter().flatten().collect();
    print(&rows, others);
    if rows.len() < FEWEST {
        eprintln!("error: only {} examples were found, at least {FEWEST} were expected", rows.len());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn print(rows: &[Row], others: usize) {
    let place = rows.iter().map(|row| row.place.len()).max().unwrap_or(0);
    println!("{:<place$}  {:<8}  {:<8}  {:<8}  why", "example", "kind", "hansa", "marathon");
    for row in rows {
        let verdict = |accepts: bool| if accepts { "accepts" } else { "refuses" };
        println!(
            "{:<place$}  {:<8}  {:<8}  {:<8}  {}",
            row.place,
            row.kind,
            verdict(row.here),
            verdict(row.there),
            row.why.join("; ")
        );
    }
    let count =
        |here: bool, there: bool| rows.iter().filter(|row| (row.here, row.there) == (here, there)).count();
    println!(
        "\n{} examples of apps, groups and pods ({others} others: events, answers, parts of other things)",
        rows.len()
    );
    println!("  {} accepted by both, {} refused by both", count(true, true), count(false, false));
    println!(
        "  {} accepted by Marathon only, {} accepted by Hansa only: the reasons stand in their lines",
        count(false, true),
        count(true, false)
    );
}
