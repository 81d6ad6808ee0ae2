//! Why an image is not to be had: what went wrong, in words, and what helps.

use std::fmt;

/// What sort of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The reference is not one.
    Reference,
    /// The registry has no such image.
    NotFound,
    /// The registry wants another login, or any.
    Unauthorized,
    /// The registry does not answer, or breaks off again and again.
    Unreachable,
    /// The registry's certificate is not trusted, or it speaks no TLS.
    Tls,
    /// It took too long.
    Timeout,
    /// What came is not what its digest says.
    Corrupt,
    /// There is no variant of the image for this machine.
    Platform,
    /// The disk has no room for it.
    DiskFull,
    /// The image is malformed, hostile, larger than allowed, or of a sort that is not supported.
    Refused,
    /// The registry answers with an error of its own.
    Registry,
    /// Nobody wants it any more.
    Cancelled,
    /// This machine cannot do it.
    Machine,
}

/// Something went wrong. `Display` gives cause and remedy in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which sort.
    pub kind: Kind,
    /// What happened, in words.
    pub cause: String,
    /// What helps; empty: nothing that the user could do.
    pub remedy: String,
    /// Whether the same may succeed a moment later.
    pub(crate) transient: bool,
}

impl Failure {
    pub(crate) fn new(kind: Kind, cause: impl Into<String>) -> Self {
        Self { kind, cause: cause.into(), remedy: String::new(), transient: false }
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    pub(crate) fn transient(mut self) -> Self {
        self.transient = true;
        self
    }

    /// The image itself is at fault.
    pub(crate) fn refused(cause: impl Into<String>) -> Self {
        Self::new(Kind::Refused, cause)
    }

    /// Something on this machine's disk did not work; a full disk is told apart.
    pub(crate) fn io(what: impl fmt::Display, error: &std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => Self::disk_full(what.to_string()),
            _ => Self::new(Kind::Machine, format!("{what}: {error}")),
        }
    }

    pub(crate) fn disk_full(cause: String) -> Self {
        Self::new(Kind::DiskFull, cause)
            .remedy("free some disk on the machine, or remove unused images there with `hansa image prune`")
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(Kind::Cancelled, "not wanted any more")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, " ({})", self.remedy) }
    }
}

impl std::error::Error for Failure {}

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;
