//! Colour, only where a person looks at it: on a terminal, unless `NO_COLOR` is set or the terminal is a dumb one.

use std::io::IsTerminal;
use std::sync::OnceLock;

/// What a piece of text tells; never the only thing that tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// As it should be; something is added.
    Good,
    /// On its way; something changes.
    Notice,
    /// Needs a person; something goes.
    Bad,
    /// Of less interest.
    Dim,
    /// A heading.
    Bold,
    /// One of several, told apart by colour.
    Nth(usize),
}

/// Colours that stand out from each other on dark and on light, and are none of the above.
const APART: [&str; 6] = ["36", "35", "34", "96", "95", "94"];

impl Paint {
    /// The text in its colour if `on`.
    pub fn on(self, on: bool, text: &str) -> String {
        if !on || text.is_empty() {
            return text.to_owned();
        }
        let code = match self {
            Paint::Good => "32",
            Paint::Notice => "33",
            Paint::Bad => "31",
            Paint::Dim => "2",
            Paint::Bold => "1",
            Paint::Nth(number) => APART[number % APART.len()],
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// The text in its colour if stdout takes colours.
    pub fn out(self, text: &str) -> String {
        self.on(stdout(), text)
    }
}

/// Whether stdout takes colours.
pub fn stdout() -> bool {
    static ON: OnceLock<bool> = OnceLock::new();
    // Tests compare text, wherever they run.
    *ON.get_or_init(|| !cfg!(test) && wanted() && std::io::stdout().is_terminal())
}

fn wanted() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

/// What a state's first word tells; None: nothing special.
pub fn of_state(state: &str) -> Option<Paint> {
    let word = state.split([' ', ',']).next().unwrap_or_default();
    if state.contains("unhealthy") {
        return Some(Paint::Bad);
    }
    match word {
        "healthy" | "running" | "active" | "succeeded" | "connected" => Some(Paint::Good),
        "deploying" | "waiting" | "staging" | "starting" | "killing" | "draining" | "deactivated"
        | "paused" | "suspended" => Some(Paint::Notice),
        "failing" | "failed" | "lost" | "unreachable" | "disconnected" | "error" | "dropped" | "gone"
        | "gone_by_operator" => Some(Paint::Bad),
        "finished" | "killed" => Some(Paint::Dim),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_left_out_where_nobody_sees_it() {
        assert_eq!(Paint::Bad.on(false, "x"), "x");
        assert_eq!(Paint::Bad.on(true, "x"), "\x1b[31mx\x1b[0m");
        assert_eq!(Paint::Bad.on(true, ""), "");
    }

    #[test]
    fn states_are_judged_by_their_words() {
        assert_eq!(of_state("running, unhealthy"), Some(Paint::Bad));
        assert_eq!(of_state("running, healthy"), Some(Paint::Good));
        assert_eq!(of_state("away for 1m"), None);
    }
}
