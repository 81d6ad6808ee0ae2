//! What happens when the disk fails: the process learns it, and nobody is told what is not durable.

use hansa_master::{EngineError, Options, StartError, start_with_store};
use hansa_model::record::{Mutation, Table};
use hansa_store::memory::{MemoryDisk, MemoryStore};
use hansa_store::{Error, Rows, Store};

/// A store whose commits fail after so many.
struct Failing {
    below: MemoryStore,
    commits_left: usize,
}

impl Store for Failing {
    fn term(&self) -> u64 {
        self.below.term()
    }

    fn load(&mut self, table: Table) -> Result<Rows, Error> {
        self.below.load(table)
    }

    fn commit(&mut self, mutations: &[Mutation]) -> Result<(), Error> {
        if self.commits_left == 0 {
            return Err(Error::Io("no space left on device".into()));
        }
        self.commits_left -= 1;
        self.below.commit(mutations)
    }
}

fn options() -> Options {
    Options::new("127.0.0.1:0".parse().unwrap(), "unused")
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_no_start() {
    let below = MemoryStore::open(&MemoryDisk::new()).unwrap();
    let error = start_with_store(options(), Box::new(Failing { below, commits_left: 0 })).await.unwrap_err();
    assert!(matches!(error, StartError::Engine(EngineError::Store(Error::Io(_)))), "{error}");
}
