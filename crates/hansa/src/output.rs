//! Where commands put what they found: data on stdout, as a table or as JSON; everything else goes to stderr.

use crate::failure::{Exit, Failure};
use crate::table::{Table, terminal_width};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

impl Format {
    /// Prints `data` as JSON, or what `text` makes of it.
    pub fn print<T: Serialize>(self, data: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        match self {
            Format::Json => {
                let json = serde_json::to_string_pretty(data).map_err(|error| {
                    Failure::new(Exit::Failed, format!("cannot write the answer as JSON: {error}"))
                })?;
                write_stdout(&format!("{json}\n"))
            }
            Format::Table => write_stdout(&text(data)),
        }
    }
}

/// Renders a table as wide as the terminal; `nothing` is said instead of a table without rows.
pub fn table(rows: usize, nothing: &str, table: &Table) -> String {
    if rows == 0 { format!("{nothing}\n") } else { table.render(terminal_width()) }
}

/// Writes to stdout. A reader that has gone away ends the program quietly, as `head` expects.
pub fn write_stdout(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}

/// Says something to the person at the terminal.
pub fn note(text: &str) {
    // Nobody is left to hear that stderr is closed.
    let _ = writeln!(io::stderr(), "{text}");
}
