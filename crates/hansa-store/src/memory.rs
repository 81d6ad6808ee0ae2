//! A store in memory, for the suite and the simulator. Not durable beyond the process.

use crate::{Error, MAX_BATCH_MUTATIONS, Rows, Store};
use hansa_model::record::{Mutation, Table};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What outlives an opening, as a disk does. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    contents: Arc<Mutex<Contents>>,
}

#[derive(Debug, Default)]
struct Contents {
    open: bool,
    term: u64,
    tables: BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of what is on the disk now, as a disk of its own that nobody has open.
    pub fn copy(&self) -> Self {
        let contents = self.contents();
        let copy = Contents { open: false, term: contents.term, tables: contents.tables.clone() };
        Self { contents: Arc::new(Mutex::new(copy)) }
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // Nothing in here panics while it holds the lock.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One opening of a [`MemoryDisk`].
#[derive(Debug)]
pub struct MemoryStore {
    disk: MemoryDisk,
    term: u64,
}

impl MemoryStore {
    /// Opens the disk; refused while another opening is alive.
    pub fn open(disk: &MemoryDisk) -> Result<Self, Error> {
        let mut contents = disk.contents();
        if contents.open {
            return Err(Error::InUse("the store in memory".into()));
        }
        contents.open = true;
        contents.term += 1;
        let term = contents.term;
        drop(contents);
        Ok(Self { disk: disk.clone(), term })
    }
}

impl Store for MemoryStore {
    fn term(&self) -> u64 {
        self.term
    }

    fn load(&mut self, table: Table) -> Result<Rows, Error> {
        let contents = self.disk.contents();
        let rows = contents.tables.get(&table).into_iter().flatten();
        Ok(rows.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn commit(&mut self, mutations: &[Mutation]) -> Result<(), Error> {
        if mutations.len() > MAX_BATCH_MUTATIONS {
            return Err(Error::TooLarge(mutations.len()));
        }
        let mut contents = self.disk.contents();
        for mutation in mutations {
            let rows = contents.tables.entry(mutation.table).or_default();
            match &mutation.value {
                Some(value) => drop(rows.insert(mutation.key.clone(), value.clone())),
                None => drop(rows.remove(&mutation.key)),
            }
        }
        Ok(())
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        self.disk.contents().open = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_the_suite() {
        crate::suite::check(|| {
            let disk = MemoryDisk::new();
            Box::new(move || Ok(Box::new(MemoryStore::open(&disk)?) as Box<dyn Store>))
        });
    }

    #[test]
    fn a_copy_is_another_disk() {
        let disk = MemoryDisk::new();
        let mut store = MemoryStore::open(&disk).unwrap();
        let copy = disk.copy();
        let put = Mutation { table: Table::Apps, key: b"/a".to_vec(), value: Some(vec![1]) };
        store.commit(&[put]).unwrap();
        assert!(MemoryStore::open(&copy).unwrap().load(Table::Apps).unwrap().is_empty());
    }
}
