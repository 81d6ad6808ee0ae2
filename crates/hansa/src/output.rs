//! Where commands put what they found: data on stdout, for people or for programs; everything else goes to stderr.

use crate::failure::{Exit, Failure};
use crate::table::{Table, terminal_width};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_transcode::Transcoder;
use std::cell::RefCell;
use std::io::{self, Write};

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people, fitted to the terminal.
    #[default]
    Table,
    /// For people with room: all columns, nothing shortened.
    Wide,
    /// For programs.
    Json,
    /// For programs and people.
    Yaml,
}

impl Format {
    /// Prints `data` as JSON or YAML, or what `text` makes of it.
    pub fn print<T: Serialize>(self, data: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        let broken = |error: &dyn std::fmt::Display| {
            Failure::new(Exit::Failed, format!("cannot write the answer in this format: {error}"))
        };
        match self {
            Format::Json => {
                let json = serde_json::to_string_pretty(data).map_err(|error| broken(&error))?;
                write_stdout(&format!("{json}\n"))
            }
            Format::Yaml => {
                let json = serde_json::to_string(data).map_err(|error| broken(&error))?;
                let yaml = yaml(&json).map_err(|error| broken(&error))?;
                write_stdout(&format!("{}\n", yaml.trim_end()))
            }
            Format::Table | Format::Wide => write_stdout(&text(data)),
        }
    }

    /// Whether it is meant for people.
    pub fn is_for_people(self) -> bool {
        matches!(self, Format::Table | Format::Wide)
    }
}

/// JSON as YAML, so that both say the same, in the same order: what an answer is about stands first, and what is said of it
/// (`next`) behind it.
fn yaml(json: &str) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(&Transcoder::new(&mut serde_json::Deserializer::from_str(json)))
}

/// Renders a table as wide as the terminal; `nothing` is said instead of a table without rows.
pub fn table(rows: usize, nothing: &str, table: &Table) -> String {
    if rows == 0 { format!("{nothing}\n") } else { table.render(terminal_width()) }
}

thread_local! {
    /// What goes to stdout is kept here instead while somebody collects it.
    static COLLECTED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps what would go to stdout from now on, until [`collected`].
pub fn collect() {
    COLLECTED.with_borrow_mut(|text| *text = Some(String::new()));
}

/// What was kept since [`collect`]; from now on stdout is stdout again.
pub fn collected() -> String {
    COLLECTED.with_borrow_mut(Option::take).unwrap_or_default()
}

/// Writes to stdout. A reader that has gone away ends the program quietly, as `head` expects.
pub fn write_stdout(text: &str) -> Result<(), Failure> {
    let kept = COLLECTED.with_borrow_mut(|kept| kept.as_mut().map(|kept| kept.push_str(text)).is_some());
    if kept {
        return Ok(());
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_keeps_fields_where_they_are() {
        let json = r#"{"tasks":[{"b":1,"a":-2.5},null],"next":null,"empty":[],"none":{},"all":{"z":true,"y":"x: 1"}}"#;
        let text = yaml(json).unwrap();
        let places = ["tasks:", "next:", "all:"].map(|name| text.find(name).unwrap());
        assert!(places.is_sorted(), "{text}");
        let back: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(back, serde_json::from_str::<serde_json::Value>(json).unwrap(), "{text}");
    }
}
