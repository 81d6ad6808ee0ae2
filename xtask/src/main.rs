//! Build automation and the repository's own tidy checks.
//!
//! `cargo xtask test` is what CI runs; `cargo xtask tidy` only the repository's own rules, which take a second.

mod arrows;
mod bench;
mod clients;
mod console;
mod dev;
mod fuzz;
mod run;
mod system;
mod temporary;
mod test;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test    everything that CI runs: format, rules, lints, build, tests, docs, console, clients
  tidy    the repository's own rules only
  clients [marathon] [mesos]
          clients that other people wrote, unchanged, against clusters of ours; both kinds if none is named. With the
          folder of a checkout of github douban/pymesos in $HANSA_PYMESOS its examples run, too
  bench [cell] [link] [offers] [state] [allocation] [placement] [store] [machine] [images] [console]
          how fast and how large, with baselines; all of them if none is named
  marathon-examples
          reads the examples of apps, groups and pods in the checkout of Marathon at $HANSA_MARATHON
  fuzz [--minutes N]
          schemathesis over both OpenAPI documents, then our own fuzzer, N minutes each (10 if not said)
  browser every flow of the console, and its accessibility, in Chromium on a cluster
  planted plants bugs one by one and shows which seed of the simulator finds each";

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["test"] => test::test(&root),
        ["tidy"] => test::tidy_only(&root),
        ["clients", names @ ..] => test::clients(&root, names),
        ["bench", names @ ..] => bench::bench(&root, names),
        ["marathon-examples"] => test::marathon_examples(&root),
        ["fuzz"] => test::fuzz(&root, 10.0),
        ["fuzz", "--minutes", minutes] => match minutes.parse() {
            Ok(minutes) if minutes > 0.0 => test::fuzz(&root, minutes),
            _ => {
                eprintln!("error: '{minutes}' is not a number of minutes\n\n{USAGE}");
                return ExitCode::from(2);
            }
        },
        ["browser"] => test::browser(&root),
        ["planted"] => test::planted(&root),
        [] | ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        other => {
            eprintln!("error: '{}' is not a command\n\n{USAGE}", other.join(" "));
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
