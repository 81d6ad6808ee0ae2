//! `hansa top` in a terminal of its own: what it draws, what keys do, another size, the end.

use crate::cardboard::Master;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A terminal and what was drawn on it.
struct Terminal {
    keys: File,
    drawn: Receiver<Vec<u8>>,
    seen: String,
}

fn size(rows: u16, columns: u16) -> libc::winsize {
    libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

impl Terminal {
    /// A terminal and the end of it that a program gets.
    fn open(rows: u16, columns: u16) -> (Self, OwnedFd) {
        let (mut ours, mut theirs) = (0, 0);
        let size = size(rows, columns);
        // SAFETY: the pointers are to values of ours, or null where that is allowed.
        let opened = unsafe {
            libc::openpty(&mut ours, &mut theirs, std::ptr::null_mut(), std::ptr::null_mut(), &size)
        };
        assert_eq!(opened, 0, "a terminal");
        // SAFETY: both were just opened, and nobody else has them.
        let (keys, theirs) = unsafe { (File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) };
        let mut screen = keys.try_clone().expect("a second handle");
        let (send, drawn) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut buffer) {
                if send.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        (Self { keys, drawn, seen: String::new() }, theirs)
    }

    /// Waits until a text was drawn since the last time; escape sequences between its letters do not count.
    fn shows(&mut self, text: &str) {
        let begun = Instant::now();
        while !plain(&self.seen).contains(&text.replace(' ', "")) {
            assert!(begun.elapsed() < Duration::from_secs(60), "'{text}' in {}", plain(&self.seen));
            if let Ok(bytes) = self.drawn.recv_timeout(Duration::from_millis(100)) {
                self.seen.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        self.seen.clear();
    }

    fn resize(&self, rows: u16, columns: u16) {
        let size = size(rows, columns);
        // SAFETY: the pointer is to a value of ours.
        unsafe { libc::ioctl(self.keys.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }
}

/// The text without escape sequences and blanks: a terminal is told to move over those.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\x1b' if letters.peek() == Some(&'[') => {
                letters.next();
                for letter in letters.by_ref() {
                    if letter.is_ascii_alphabetic() {
                        break;
                    }
                }
            }
            letter if letter.is_whitespace() => {}
            letter => out.push(letter),
        }
    }
    out
}

#[test]
fn top_draws_answers_keys_and_ends() {
    let master = Master::start();
    let (mut terminal, theirs) = Terminal::open(24, 80);
    let stdio = || Stdio::from(theirs.try_clone().expect("a second handle"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_hansa"));
    command.env_clear().env("HANSA_MASTER", &master.address).env("TERM", "xterm").arg("top");
    command.stdin(stdio()).stdout(stdio()).stderr(stdio());
    // SAFETY: between fork and exec only system calls are made.
    unsafe {
        command.pre_exec(|| {
            // A session of its own, with this terminal: so it is told of another size.
            // It ends with the thread of this test, however that ends.
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    let mut top = command.spawn().expect("the program runs");
    terminal.shows("node1.example.org");
    // The master of cardboard has no events: that is said, and nothing else breaks.
    terminal.shows("not up to date");
    for (key, rows, text) in
        [("2", 30, "/shop/broken"), ("3", 24, "running, unhealthy"), ("1", 40, "unreachable")]
    {
        terminal.press(key);
        // Another size has everything drawn anew, not only what differs.
        terminal.resize(rows, 100);
        terminal.shows(text);
    }
    terminal.press("q");
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = top.try_wait().expect("our own child") {
            break status;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "q ends it");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "{status}");
    // The usual screen again.
    terminal.seen.clear();
    while let Ok(bytes) = terminal.drawn.recv_timeout(Duration::from_millis(200)) {
        terminal.seen.push_str(&String::from_utf8_lossy(&bytes));
    }
    assert!(terminal.seen.contains("\x1b[?1049l"), "{:?}", terminal.seen);
}
