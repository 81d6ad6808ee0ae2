//! A command that runs inside the container for somebody who asked.

use super::protocol::EXEC_OUTPUT_BYTES;
use crate::launcher::Execution;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, RawFd};

/// What of an [`Execution`] has come back so far.
#[derive(Debug)]
pub(super) struct Running {
    /// Whose connection asked.
    pub token: u64,
    /// The request's number on it.
    pub id: u64,
    output: Option<File>,
    outcome: Option<File>,
    text: Vec<u8>,
    answer: Vec<u8>,
}

impl Running {
    pub(super) fn new(token: u64, id: u64, execution: Execution) -> Self {
        let (output, outcome) = (Some(execution.output.into()), Some(execution.outcome.into()));
        Self { token, id, output, outcome, text: Vec::new(), answer: Vec::new() }
    }

    /// What to wait for.
    pub(super) fn descriptors(&self) -> [Option<RawFd>; 2] {
        [&self.output, &self.outcome].map(|file| file.as_ref().map(AsRawFd::as_raw_fd))
    }

    /// Takes what is there.
    pub(super) fn advance(&mut self) {
        // The outcome first: what was written before it is then surely taken.
        drain(&mut self.outcome, &mut self.answer, usize::MAX);
        drain(&mut self.output, &mut self.text, EXEC_OUTPUT_BYTES);
    }

    /// Whether the command has ended. Its output may still be held by what it left behind; nobody waits for that.
    pub(super) fn is_done(&self) -> bool {
        self.outcome.is_none()
    }

    /// Wait status, whether time was up, output; or why there was none.
    pub(super) fn result(self) -> Result<(i32, bool, String), String> {
        let outcome: crate::launcher::Outcome = serde_json::from_slice(&self.answer)
            .map_err(|_| "the container ended while the command was to run".to_owned())?;
        let (status, timed_out) = outcome.map_err(|error| error.message)?;
        Ok((status, timed_out, String::from_utf8_lossy(&self.text).into_owned()))
    }
}

/// Reads until there is nothing now; keeps the first `most` bytes. None once it has ended.
fn drain(file: &mut Option<File>, kept: &mut Vec<u8>, most: usize) {
    let mut buffer = [0u8; 4096];
    while let Some(source) = file {
        match source.read(&mut buffer) {
            Ok(0) => *file = None,
            Ok(length) => {
                let room = most.saturating_sub(kept.len());
                kept.extend_from_slice(&buffer[..length.min(room)]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => *file = None,
        }
    }
}
