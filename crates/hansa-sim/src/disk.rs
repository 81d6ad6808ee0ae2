//! A disk that forgets what was not synced, tears what was half written, and fails when told to.
//!
//! It stands below the real store (redb), so that the store's own recovery is what brings a crashed master back.

use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Mutex};

/// A write that a crash cuts is cut at a multiple of this.
const SECTOR: usize = 512;

/// A disk in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What a read returns.
    current: Vec<u8>,
    /// What a crash cannot take away.
    durable: Vec<u8>,
    /// Changes since the last sync, in order.
    pending: Vec<Change>,
    /// The next so many syncs fail.
    failing_syncs: u32,
    /// Syncs that succeeded.
    syncs: u64,
    /// Whether the machine is down: everything fails until the next [`Disk::crash`].
    off: bool,
}

#[derive(Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Length(length) => bytes.resize(*length, 0),
            Change::Write(at, data) => {
                let end = at + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*at..end].copy_from_slice(data);
            }
        }
    }
}

/// What a crash did to the writes that were not synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CrashReport {
    /// Lost altogether.
    pub lost: u32,
    /// Written in part.
    pub torn: u32,
}

impl Disk {
    /// The power goes: each write that was not synced is kept, lost or torn, as the dice say.
    pub fn crash(&self, random: &mut fastrand::Rng) -> CrashReport {
        let mut state = self.lock();
        let mut report = CrashReport::default();
        let pending = std::mem::take(&mut state.pending);
        let mut durable = std::mem::take(&mut state.durable);
        for change in pending {
            match (random.u8(0..3), change) {
                (0, change) => change.apply(&mut durable),
                (1, Change::Write(at, mut data)) if data.len() > SECTOR => {
                    data.truncate(SECTOR * random.usize(1..=(data.len() - 1) / SECTOR));
                    Change::Write(at, data).apply(&mut durable);
                    report.torn += 1;
                }
                (_, Change::Length(length)) if length >= durable.len() => durable.resize(length, 0),
                _ => report.lost += 1,
            }
        }
        state.current.clone_from(&durable);
        state.durable = durable;
        state.failing_syncs = 0;
        state.off = false;
        report
    }

    /// The next sync fails, and everything after it until the machine starts again.
    pub fn fail_next_sync(&self) {
        self.lock().failing_syncs = 1;
    }

    /// A copy of what a crash cannot take away, as a backup would be.
    pub fn copy(&self) -> Vec<u8> {
        self.lock().durable.clone()
    }

    /// Puts a copy in the place of everything.
    pub fn put_back(&self, copy: Vec<u8>) {
        let mut state = self.lock();
        state.pending.clear();
        state.current.clone_from(&copy);
        state.durable = copy;
    }

    /// Syncs that succeeded so far.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn broken() -> io::Error {
    io::Error::other("the simulated disk failed")
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.lock();
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = state.current.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.lock();
        if state.off {
            return Err(broken());
        }
        let change = Change::Length(usize::try_from(len).map_err(io::Error::other)?);
        change.apply(&mut state.current);
        state.pending.push(change);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.lock();
        if state.off {
            return Err(broken());
        }
        if state.failing_syncs > 0 {
            state.failing_syncs -= 1;
            state.off = true;
            return Err(broken());
        }
        let pending = std::mem::take(&mut state.pending);
        for change in &pending {
            change.apply(&mut state.durable);
        }
        state.syncs += 1;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        if state.off {
            return Err(broken());
        }
        let change = Change::Write(usize::try_from(offset).map_err(io::Error::other)?, data.to_vec());
        change.apply(&mut state.current);
        state.pending.push(change);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

    const ROWS: TableDefinition<'_, u64, u64> = TableDefinition::new("rows");

    fn open(disk: &Disk) -> Database {
        Database::builder().create_with_backend(disk.clone()).unwrap()
    }

    /// Redb over this disk keeps what it called durable, whatever the crash does to the rest.
    #[test]
    fn a_crash_takes_only_what_was_not_synced() {
        for seed in 0..50 {
            let mut random = fastrand::Rng::with_seed(seed);
            let disk = Disk::default();
            let database = open(&disk);
            let mut written = 0;
            for _ in 0..random.u32(1..10) {
                let transaction = database.begin_write().unwrap();
                transaction.open_table(ROWS).unwrap().insert(written, written).unwrap();
                transaction.commit().unwrap();
                written += 1;
            }
            disk.fail_next_sync();
            let transaction = database.begin_write().unwrap();
            transaction.open_table(ROWS).unwrap().insert(written, written).unwrap();
            assert!(transaction.commit().is_err());
            drop(database);
            disk.crash(&mut random);
            let database = open(&disk);
            let table = database.begin_read().unwrap().open_table(ROWS).unwrap();
            let rows: Vec<u64> = table.iter().unwrap().map(|row| row.unwrap().0.value()).collect();
            assert!(rows.len() as u64 >= written, "seed {seed}: {rows:?}");
        }
    }
}
