//! What happens when the disk fails: the process learns it, and nobody is told what is not durable.

use crate::support::{LONG, ask};
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

/// The disk fails at every possible commit of a few requests: what was answered is there after a restart, and the
/// master says why it ends.
#[tokio::test]
async fn nobody_is_told_what_is_not_durable() {
    let mut failed_within_requests = 0;
    for commits_left in 1..8 {
        let disk = MemoryDisk::new();
        let below = MemoryStore::open(&disk).unwrap();
        let started = start_with_store(options(), Box::new(Failing { below, commits_left })).await;
        let mut running = started.unwrap();
        let mut accepted = Vec::new();
        for number in 0..6 {
            let app = format!(r#"{{"id": "/app{number}", "cmd": "true"}}"#);
            let request = ask(running.address(), "POST", "/v2/apps", &[], &app);
            if request.await.status != 201 {
                failed_within_requests += 1;
                let error = tokio::time::timeout(LONG, running.failed()).await.unwrap();
                assert!(matches!(error, EngineError::Store(Error::Io(_))), "{error}");
                break;
            }
            accepted.push(format!("/app{number}"));
        }
        drop(running);
        // The next leader sees everything that a client was told.
        let below = loop {
            match MemoryStore::open(&disk) {
                Ok(below) => break below,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let next = start_with_store(options(), Box::new(below)).await.unwrap();
        for id in &accepted {
            assert!(next.master().read().app(&id.as_str().into()).is_some(), "{id} of {accepted:?}");
        }
        next.stop().await.unwrap();
    }
    assert!(failed_within_requests > 2, "the disk failed too late: {failed_within_requests}");
}
