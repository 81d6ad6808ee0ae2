//! Durable intent behind one small trait. Not here: what is stored and how it is encoded (that is `hansa-cell`), and
//! when to write (that is the master's shell).
//!
//! Every implementation passes the one suite in [`suite`].

use hansa_model::record::{Mutation, Table};

mod measured;
pub mod memory;
pub mod redb_store;
pub mod suite;

pub use measured::Syncs;

/// The most mutations in one batch; larger intents write immutable versions first and one pointer last.
pub const MAX_BATCH_MUTATIONS: usize = 100_000;

/// A table's contents in the order of keys.
pub type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// What can go wrong. After `Fenced` and `Io` the process ends: what is durable is unknown until it loads again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has the store open.
    #[error("{0} is in use by another process")]
    InUse(String),
    /// The file was written by a newer program.
    #[error("the store has format {found}, this program knows up to {known}")]
    NewerFormat {
        /// What the file says.
        found: u32,
        /// What we can read.
        known: u32,
    },
    /// Another leader holds the store.
    #[error("fenced: another leader holds the store")]
    Fenced,
    /// The batch has too many mutations; nothing was written.
    #[error("a batch of {0} mutations is more than {max}", max = MAX_BATCH_MUTATIONS)]
    TooLarge(usize),
    /// Reading or writing failed.
    #[error("store: {0}")]
    Io(String),
}

/// A durable, ordered key-value store with one writer.
pub trait Store: Send {
    /// The term of this opening: higher than that of every earlier one.
    fn term(&self) -> u64;

    /// Everything in a table.
    fn load(&mut self, table: Table) -> Result<Rows, Error>;

    /// Applies the mutations in order, all or nothing, and returns once they are durable.
    fn commit(&mut self, mutations: &[Mutation]) -> Result<(), Error>;
}
