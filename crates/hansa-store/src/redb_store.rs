//! The embedded store: one file, nothing to install.
//!
//! One redb table for each [`Table`], and one of our own with the format's version and the term. It is fastest with keys
//! that ascend with time.
//!
//! A commit is one redb transaction with immediate durability: checksummed and flipped by one write of the header, so
//! that after a crash at any moment all of it is there or nothing. Opening after a crash reads the whole file once.

use crate::measured::{Measured, Syncs};
use crate::{Error, MAX_BATCH_MUTATIONS, Rows, Store};
use hansa_model::planted::{Bug, planted};
use hansa_model::record::{Mutation, Table};
use redb::backends::FileBackend;
use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition,
};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The format of the file as this program writes it.
const FORMAT: u32 = 1;

/// Numbers about the file itself: `format` and `term` (see [`RedbStore::open`]).
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("hansa");

/// Bytes of pages that redb keeps in memory. Everything is read once at start and held by the cell from then on; the
/// cache only serves the inner pages of the trees on the way to what is written.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// A store in one file, held open by this process alone.
#[derive(Debug)]
pub struct RedbStore {
    database: Database,
    term: u64,
    failed: bool,
    syncs: Arc<Syncs>,
}

impl RedbStore {
    /// Opens the file, makes it if absent, and raises its term durably.
    ///
    /// Terms are the milliseconds of the clock, or one more than the last if that is behind: so that a leadership begun
    /// from an older copy of the file is higher than those that the copy knows nothing of.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let is_new = !path.exists();
        let name = path.display().to_string();
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let file = FileBackend::new(file.map_err(|error| Error::Io(format!("{name}: {error}")))?);
        let syncs = Arc::new(Syncs::default());
        let backend = Measured { file: file.map_err(|error| opening(&name, error))?, syncs: syncs.clone() };
        let database = builder().create_with_backend(backend).map_err(|error| opening(&name, error))?;
        let mut store = Self::take_office(database, u64::try_from(clock).unwrap_or(0))?;
        store.syncs = syncs;
        if is_new {
            sync_parent(path).map_err(io)?;
        }
        Ok(store)
    }

    /// How often the file was synced since it was opened, and how long that took; nothing over any other backend.
    pub fn syncs(&self) -> &Arc<Syncs> {
        &self.syncs
    }

    /// The same over any backend, with a term of at least `clock`; the simulator brings one that fails.
    pub fn with_backend(backend: impl StorageBackend, clock: u64) -> Result<Self, Error> {
        let database = builder().create_with_backend(backend).map_err(|error| opening("the store", error))?;
        Self::take_office(database, clock)
    }

    /// Writes everything as it is now into a new file, which becomes visible under its name only when it is complete and
    /// durable. The copy has the term of this opening, so that a leadership begun from it is higher than all before the
    /// copy was made.
    pub fn copy_to(&self, path: &Path) -> Result<(), Error> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = Path::new(&partial);
        match fs::remove_file(partial) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        let copy =
            builder().create(partial).map_err(|error| opening(&partial.display().to_string(), error))?;
        let from = self.database.begin_read().map_err(io)?;
        let to = begin(&copy)?;
        {
            let mut about = to.open_table(ABOUT).map_err(io)?;
            about.insert("format", u64::from(FORMAT)).map_err(io)?;
            about.insert("term", self.term).map_err(io)?;
            for table in Table::ALL {
                let rows = match from.open_table(definition(table)) {
                    Ok(rows) => rows,
                    Err(redb::TableError::TableDoesNotExist(_)) => continue,
                    Err(error) => return Err(io(error)),
                };
                let mut copied = to.open_table(definition(table)).map_err(io)?;
                for row in rows.iter().map_err(io)? {
                    let (key, value) = row.map_err(io)?;
                    copied.insert(key.value(), value.value()).map_err(io)?;
                }
            }
        }
        to.commit().map_err(io)?;
        copy.close().map_err(io)?;
        fs::rename(partial, path).map_err(io)?;
        sync_parent(path).map_err(io)
    }

    /// Checks the format and begins a new term.
    fn take_office(database: Database, clock: u64) -> Result<Self, Error> {
        let transaction = begin(&database)?;
        let term = {
            let mut about = transaction.open_table(ABOUT).map_err(io)?;
            let found = about.get("format").map_err(io)?.map(|number| number.value());
            match found {
                Some(found) if found > u64::from(FORMAT) => {
                    let found = u32::try_from(found).unwrap_or(u32::MAX);
                    return Err(Error::NewerFormat { found, known: FORMAT });
                }
                Some(_) => {}
                None => drop(about.insert("format", u64::from(FORMAT)).map_err(io)?),
            }
            let last = about.get("term").map_err(io)?.map_or(0, |number| number.value());
            let term = clock.max(last + 1);
            about.insert("term", term).map_err(io)?;
            term
        };
        transaction.commit().map_err(io)?;
        Ok(Self { database, term, failed: false, syncs: Arc::default() })
    }

    fn write(&self, mutations: &[Mutation]) -> Result<(), Error> {
        let transaction = begin(&self.database)?;
        for table in Table::ALL {
            // Tables are independent of each other, so order matters only within one.
            let mut own = mutations.iter().filter(|mutation| mutation.table == table).peekable();
            if own.peek().is_none() {
                continue;
            }
            let mut rows = transaction.open_table(definition(table)).map_err(io)?;
            for mutation in own {
                match &mutation.value {
                    Some(value) => drop(rows.insert(mutation.key.as_slice(), value.as_slice()).map_err(io)?),
                    None => drop(rows.remove(mutation.key.as_slice()).map_err(io)?),
                }
            }
        }
        transaction.commit().map_err(io)
    }
}

impl Store for RedbStore {
    fn term(&self) -> u64 {
        self.term
    }

    fn load(&mut self, table: Table) -> Result<Rows, Error> {
        let transaction = self.database.begin_read().map_err(io)?;
        let rows = match transaction.open_table(definition(table)) {
            Ok(rows) => rows,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(error) => return Err(io(error)),
        };
        let rows = rows.iter().map_err(io)?;
        rows.map(|row| row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).map_err(io))
            .collect()
    }

    fn commit(&mut self, mutations: &[Mutation]) -> Result<(), Error> {
        if mutations.len() > MAX_BATCH_MUTATIONS {
            return Err(Error::TooLarge(mutations.len()));
        }
        if self.failed {
            return Err(Error::Io("an earlier write failed; what is durable is unknown".into()));
        }
        let result = self.write(mutations);
        self.failed = result.is_err();
        result
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn begin(database: &Database) -> Result<redb::WriteTransaction, Error> {
    let mut transaction = database.begin_write().map_err(io)?;
    let durability = if planted(Bug::WritesNotSynced) { Durability::None } else { Durability::Immediate };
    transaction.set_durability(durability).map_err(io)?;
    Ok(transaction)
}

fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

fn opening(what: &str, error: DatabaseError) -> Error {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => Error::InUse(what.into()),
        other => Error::Io(format!("{what}: {other}")),
    }
}

fn io(error: impl std::fmt::Display) -> Error {
    Error::Io(error.to_string())
}

/// Makes a new name in a directory durable.
fn sync_parent(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}
