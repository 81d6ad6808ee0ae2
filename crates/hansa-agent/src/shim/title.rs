//! What `ps` shows of a process that was forked and not executed: its command line, written over.

use serde::{Deserialize, Serialize};

/// The memory that holds the command line, as the kernel shows it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Title {
    start: usize,
    length: usize,
}

impl Title {
    /// Asks the kernel where it is; None if it does not say.
    pub fn find() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // Behind the name in parentheses, which may hold anything, these are the 46th and 47th word.
        let mut words = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(45);
        let (start, end): (usize, usize) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        (start != 0 && start < end).then_some(Self { start, length: end - start })
    }

    /// Replaces the command line, as far as there is room. Nobody may read this process' arguments after that.
    pub fn set(self, words: &[String]) {
        let mut text: Vec<u8> = words.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
        text.resize(self.length, 0);
        // SAFETY: the kernel put the arguments there when it started the program, in memory that is writable and never given
        // back, and says how much of it is theirs; this process has one thread, and does not read them any more.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), self.start as *mut u8, self.length) };
    }
}
