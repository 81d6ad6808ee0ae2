//! What a command says when it could not do its work: cause, place, remedy, and the exit code that scripts read.

use std::fmt;

/// The program's exit codes; `hansa --help` documents them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The operation was tried and failed.
    Failed = 1,
    /// The command line, a file or the request itself is wrong; nothing was changed.
    Usage = 2,
    /// The named thing does not exist.
    NotFound = 3,
    /// Something else is in the way: a deployment, an existing service, another process.
    Conflict = 4,
    /// The master could not be reached, or is not ready.
    Unavailable = 5,
    /// Waiting took longer than `--timeout`; the operation goes on in the cluster.
    TimedOut = 6,
}

/// Why a command ended without doing its work.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What scripts are told.
    pub exit: Exit,
    /// What went wrong, one sentence, lower case.
    pub cause: String,
    /// Where: an address, a file, a field.
    pub place: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Failure {
    /// A failure with nothing but its cause.
    pub fn new(exit: Exit, cause: impl Into<String>) -> Self {
        Self { exit, cause: cause.into(), place: None, remedy: None }
    }

    /// One that has been said already: nothing but the exit code is left to tell.
    pub fn silent(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// The same, with where it happened.
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// The same, with what to do about it.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        if let Some(place) = &self.place {
            write!(f, "\n  where: {place}")?;
        }
        if let Some(remedy) = &self.remedy {
            write!(f, "\n  try:   {remedy}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::new(Exit::Failed, error.to_string())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::new(Exit::Failed, format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_cause_place_and_remedy() {
        let failure =
            Failure::new(Exit::NotFound, "no service '/wbe'").at("http://127.0.0.1:8080").remedy("'/web'");
        assert_eq!(failure.to_string(), "no service '/wbe'\n  where: http://127.0.0.1:8080\n  try:   '/web'");
        assert_eq!(Failure::new(Exit::Failed, "broken").to_string(), "broken");
    }
}
