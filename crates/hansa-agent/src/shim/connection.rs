//! The shim's end of its socket: lines in, lines out, never blocking.

use super::files;
use super::protocol::{MAX_LINE, Reply};
use crate::launcher::receive_with;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicU64, Ordering};

/// Descriptors that may wait for their requests.
const MAX_FDS: usize = 48;

/// The socket in the current directory.
#[derive(Debug)]
pub(super) struct Listener(UnixListener);

impl Listener {
    pub(super) fn bind() -> io::Result<Self> {
        let _ = std::fs::remove_file(files::SOCKET);
        let listener = UnixListener::bind(files::SOCKET)?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    pub(super) fn accept(&self) -> Option<Connection> {
        self.0.accept().ok().map(|(stream, _)| Connection::new(stream))
    }
}

/// One client.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    token: u64,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Came with requests and were not taken yet.
    fds: Vec<OwnedFd>,
    open: bool,
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> Self {
        static TOKENS: AtomicU64 = AtomicU64::new(1);
        let open = stream.set_nonblocking(true).is_ok();
        let token = TOKENS.fetch_add(1, Ordering::Relaxed);
        Self { stream, token, input: Vec::new(), output: Vec::new(), fds: Vec::new(), open }
    }

    /// Tells it from every other, also from later ones.
    pub(super) fn token(&self) -> u64 {
        self.token
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    pub(super) fn events(&self) -> i16 {
        match self.output.is_empty() {
            true => libc::POLLIN,
            false => libc::POLLIN | libc::POLLOUT,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Whole lines that have arrived. Also sends what is waiting.
    pub(super) fn receive(&mut self) -> Vec<Vec<u8>> {
        self.flush();
        let mut buffer = [0u8; 4096];
        loop {
            match receive_with(self.stream.as_raw_fd(), &mut buffer, &mut self.fds) {
                Ok(0) => {
                    self.open = false;
                    break;
                }
                Ok(length) => self.input.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.open = false;
                    break;
                }
            }
            if self.input.len() > MAX_LINE || self.fds.len() > MAX_FDS {
                self.open = false;
                break;
            }
        }
        let mut lines = Vec::new();
        while let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
            let mut line: Vec<u8> = self.input.drain(..=end).collect();
            line.pop();
            lines.push(line);
        }
        lines
    }

    /// The three descriptors that came with the request that is next to be obeyed.
    pub(super) fn take_streams(&mut self) -> Option<[OwnedFd; 3]> {
        if self.fds.len() < 3 {
            return None;
        }
        let taken: Vec<OwnedFd> = self.fds.drain(..3).collect();
        taken.try_into().ok()
    }

    pub(super) fn send(&mut self, reply: &Reply) {
        let Ok(text) = serde_json::to_vec(reply) else { return };
        self.output.extend_from_slice(&text);
        self.output.push(b'\n');
        self.flush();
        // Somebody who asks and does not listen.
        if self.output.len() > MAX_LINE {
            self.open = false;
        }
    }

    fn flush(&mut self) {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(length) => drop(self.output.drain(..length)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.open &= error.kind() == io::ErrorKind::WouldBlock;
                    return;
                }
            }
        }
    }

    /// Before the end: gives a slow reader a second.
    pub(super) fn flush_blocking(&mut self) {
        self.flush();
        if self.open && !self.output.is_empty() {
            let _ = self.stream.set_nonblocking(false);
            let _ = self.stream.set_write_timeout(Some(std::time::Duration::from_secs(1)));
            let _ = self.stream.write_all(&self.output);
        }
    }
}
