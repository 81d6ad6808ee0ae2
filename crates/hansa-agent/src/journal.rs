//! The core's records on disk: one file, a JSON line each, appended; rewritten when it has grown far beyond what it says.
//!
//! What stored means here: written to the file, so that it survives the death of the agent. Only the identity (cluster and
//! term) is also forced onto the disk. Records of groups need not be: they matter only in the same boot of the machine, as
//! the core says; after a crash of the machine the end of the file may be missing or broken, and is cut off.

use crate::data_dir::write_durably;
use anyhow::{Context, Result, bail};
use hansa_node::{Record, Saved};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The format of this file.
const VERSION: u32 = 1;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Header {
    hansa_agent_journal: u32,
}

/// Rewritten when larger than this and than four times its size after the last rewriting.
const REWRITE_BYTES: u64 = 1 << 20;

/// The open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    size: u64,
    rewrite_at: u64,
    buffer: Vec<u8>,
}

impl Journal {
    /// Opens (or makes) the journal and reads what it adds up to.
    ///
    /// # Errors
    /// It cannot be read or written, or a newer program wrote it.
    pub fn open(path: &Path) -> Result<(Self, Saved)> {
        let what = || format!("journal {}", path.display());
        if !path.exists() {
            write_durably(path, &line(&Header { hansa_agent_journal: VERSION })?).with_context(what)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).open(path).with_context(what)?;
        let (saved, good) = read(&file).with_context(what)?;
        let size = file.metadata().with_context(what)?.len();
        if good < size {
            tracing::warn!(path = %path.display(), bytes = size - good, "the journal's end is broken and was cut off");
            file.set_len(good).with_context(what)?;
        }
        file.seek(SeekFrom::End(0)).with_context(what)?;
        let rewrite_at = (4 * good).max(REWRITE_BYTES);
        Ok((Self { path: path.to_owned(), file, size: good, rewrite_at, buffer: Vec::new() }, saved))
    }

    /// Appends records. When this returns, they survive the death of the agent.
    ///
    /// # Errors
    /// They could not be written: nothing that depends on them may happen, and the journal must not be used any more.
    pub fn append<'a>(&mut self, records: impl IntoIterator<Item = &'a Record>) -> Result<()> {
        self.buffer.clear();
        let mut identity = false;
        for record in records {
            identity |= matches!(record, Record::Identity { .. } | Record::Volume { .. });
            serde_json::to_writer(&mut self.buffer, record)?;
            self.buffer.push(b'\n');
        }
        if self.buffer.is_empty() {
            return Ok(());
        }
        let what = || format!("cannot write the journal {}", self.path.display());
        self.file.write_all(&self.buffer).with_context(what)?;
        if identity {
            self.file.sync_data().with_context(what)?;
        }
        self.size += self.buffer.len() as u64;
        // A burst does not keep its memory for ever.
        self.buffer.shrink_to(64 * 1024);
        Ok(())
    }

    /// Whether [`Journal::rewrite`] is worth its while.
    pub fn is_bloated(&self) -> bool {
        self.size > self.rewrite_at
    }

    /// Replaces the journal by a short one that says the same.
    ///
    /// # Errors
    /// It could not be written; the old one stays.
    pub fn rewrite(&mut self, saved: &Saved) -> Result<()> {
        let mut bytes = line(&Header { hansa_agent_journal: VERSION })?;
        for record in saved.records() {
            bytes.extend(line(&record)?);
        }
        let what = || format!("cannot rewrite the journal {}", self.path.display());
        write_durably(&self.path, &bytes).with_context(what)?;
        self.file = OpenOptions::new().append(true).open(&self.path).with_context(what)?;
        self.size = bytes.len() as u64;
        self.rewrite_at = (4 * self.size).max(REWRITE_BYTES);
        Ok(())
    }
}

fn line(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

/// What the file says, and how many bytes of it are whole.
fn read(file: &File) -> Result<(Saved, u64)> {
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    let mut saved = Saved::default();
    let mut good = 0;
    let mut text = Vec::new();
    loop {
        text.clear();
        let bytes = reader.read_until(b'\n', &mut text)?;
        if bytes == 0 || text.last() != Some(&b'\n') {
            break;
        }
        if good == 0 {
            match serde_json::from_slice::<Header>(&text) {
                Ok(Header { hansa_agent_journal: VERSION }) => {}
                Ok(Header { hansa_agent_journal: other }) => {
                    bail!("it has format {other}, this program knows {VERSION}: use a newer program")
                }
                Err(_) => bail!("it is not an agent's journal"),
            }
        } else {
            match serde_json::from_slice::<Record>(&text) {
                Ok(record) => saved.apply(&record),
                Err(_) => break,
            }
        }
        good += bytes as u64;
    }
    if good == 0 {
        bail!("it is empty or not an agent's journal; remove it to forget all groups");
    }
    Ok((saved, good))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hansa_model::{ClusterId, InstanceId, TaskId, Term, Timestamp};
    use hansa_node::saved::Released;

    fn identity(term: u64) -> Record {
        Record::Identity { cluster: ClusterId::from("c"), term: Term(term) }
    }

    fn released(number: u64) -> Record {
        let (instance, tasks) = (InstanceId::from(format!("i{number}")), vec![TaskId::from("t")]);
        Record::Released(Released { instance, tasks, at: Timestamp(number) })
    }

    #[test]
    fn what_was_appended_is_read_again() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("journal");
        let (mut journal, saved) = Journal::open(&path).unwrap();
        assert_eq!(saved, Saved::default());
        journal.append(&[identity(1), released(1)]).unwrap();
        journal.append(&[identity(2)]).unwrap();
        drop(journal);
        let (mut journal, saved) = Journal::open(&path).unwrap();
        assert_eq!((saved.term(), saved.released().len()), (Term(2), 1));
        journal.append(&[released(2)]).unwrap();
        journal.rewrite(&Journal::open(&path).unwrap().1).unwrap();
        journal.append(&[released(3)]).unwrap();
        let (_, saved) = Journal::open(&path).unwrap();
        assert_eq!((saved.term(), saved.released().len()), (Term(2), 3));
    }

    #[test]
    fn a_broken_end_is_cut_off_wherever_it_breaks() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("journal");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&[identity(1)]).unwrap();
        let whole = std::fs::metadata(&path).unwrap().len();
        journal.append(&[identity(2)]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for end in usize::try_from(whole).unwrap()..bytes.len() {
            for garbage in [&b""[..], &b"\0\0\0\n"[..], &b"\0\0\0"[..]] {
                let mut broken = bytes[..end].to_vec();
                broken.extend_from_slice(garbage);
                std::fs::write(&path, &broken).unwrap();
                let (mut journal, saved) = Journal::open(&path).unwrap();
                assert_eq!(saved.term(), Term(1), "cut at {end}");
                journal.append(&[identity(3)]).unwrap();
                assert_eq!(Journal::open(&path).unwrap().1.term(), Term(3), "cut at {end}");
            }
        }
    }

    #[test]
    fn what_is_not_a_journal_is_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("journal");
        for text in ["", "hello\n", "{\"hansa_agent_journal\":9}\n"] {
            std::fs::write(&path, text).unwrap();
            assert!(Journal::open(&path).is_err(), "{text:?}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn it_stays_small() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("journal");
        let (mut journal, mut saved) = Journal::open(&path).unwrap();
        for number in 0..50_000 {
            let record = released(number);
            saved.apply(&record);
            let forget = Record::Forgotten { instance: InstanceId::from(format!("i{number}")) };
            saved.apply(&forget);
            journal.append(&[record, forget]).unwrap();
            if journal.is_bloated() {
                journal.rewrite(&saved).unwrap();
            }
        }
        assert!(std::fs::metadata(&path).unwrap().len() <= REWRITE_BYTES + 1000);
    }
}
