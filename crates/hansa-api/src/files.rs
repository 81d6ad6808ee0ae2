//! Files in a task's sandbox, as its agent answers and the master passes on.
//!
//! | path | answer |
//! |---|---|
//! | GET `/hansa/v1/tasks/{id}/files?path=&limit=&after=` | [`Files`] |
//! | GET `/hansa/v1/tasks/{id}/files/content?path=&offset=&limit=&download=` | the bytes, with the headers below |
//!
//! Paths are relative to the sandbox. Nothing outside of it is reachable: links are listed, and never followed.

use hansa_model::Timestamp;
use serde::{Deserialize, Serialize};

/// Header of content: how many bytes the file had when it was opened.
pub const SIZE_HEADER: &str = "x-hansa-size";
/// Header of content: where in the file the first byte stands.
pub const OFFSET_HEADER: &str = "x-hansa-offset";
/// Header of content: `true` if its beginning is no text.
pub const BINARY_HEADER: &str = "x-hansa-binary";

/// A directory of a sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// Which, relative to the sandbox; empty: the sandbox itself.
    pub path: String,
    /// By name.
    pub entries: Vec<File>,
    /// Give this as `after` for the next page; None: this was the last.
    pub next: Option<String>,
}

/// What a directory's entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link; it is not followed.
    Link,
    /// A pipe, a socket, a device.
    Other,
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its name in the directory.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// When it was last written to.
    pub modified: Timestamp,
    /// Its mode as `ls` shows it: `-rw-r--r--`.
    pub mode: String,
}
