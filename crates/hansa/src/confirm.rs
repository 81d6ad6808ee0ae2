//! Asking before what cannot be undone.

use crate::failure::{Exit, Failure};
use std::io::{BufRead, IsTerminal, Write};

/// Asks on the terminal whether it is really to be done; `yes` has answered already.
///
/// # Errors
/// The answer is no, or there is no terminal to ask on.
pub fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::new(Exit::Usage, format!("nobody is there to be asked: {question}"))
            .remedy("--yes says so beforehand"));
    }
    eprint!("{question} [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Failed, "nothing was done")),
    }
}
