//! The store in one file: the suite, kills at any moment, copies, and files that are not ours.

use hansa_model::record::Table;
use hansa_store::redb_store::RedbStore;
use hansa_store::suite::{self, put};
use hansa_store::{Error, Store};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// Rows in each batch of the killed writer.
const BATCH: u64 = 40;

/// Where the killed writer finds its store.
const PATH_VARIABLE: &str = "HANSA_TEST_STORE";

#[test]
fn passes_the_suite() {
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    suite::check(|| {
        number += 1;
        let path = folder.path().join(format!("{number}.redb"));
        Box::new(move || Ok(Box::new(RedbStore::open(&path)?) as Box<dyn Store>))
    });
}

/// A child that does not outlive the test, however that ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The writer that [`survives_kills`] kills: batches without end, each number printed once its batch is durable.
#[test]
#[ignore = "run by survives_kills in a process of its own"]
fn killed_writer() {
    let path = std::env::var(PATH_VARIABLE).unwrap();
    let mut store = RedbStore::open(Path::new(&path)).unwrap();
    let mut next = store.load(Table::Assignments).unwrap().len() as u64 / BATCH;
    loop {
        let batch: Vec<_> = (0..BATCH)
            .map(|row| put(Table::Assignments, (next * BATCH + row).to_be_bytes(), vec![row as u8; 100]))
            .chain([put(Table::Cluster, "newest", next.to_be_bytes())])
            .collect();
        store.commit(&batch).unwrap();
        println!("durable {next}");
        std::io::stdout().flush().unwrap();
        next += 1;
    }
}

#[test]
fn survives_kills() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let mut last_term = 0;
    for acknowledged_before_kill in [0, 1, 7, 30, 111] {
        let mut child = Killed(
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "killed_writer", "--ignored", "--nocapture"])
                .env(PATH_VARIABLE, &path)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        let lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut durable =
            lines.filter_map(|line| line.split("durable ").nth(1).map(|n| n.parse::<u64>().unwrap()));
        let mut newest = durable.nth(acknowledged_before_kill).unwrap();
        child.0.kill().unwrap();
        // What it had still printed before it died counts too.
        newest = durable.last().unwrap_or(newest);
        drop(child);

        let mut store = RedbStore::open(&path).unwrap();
        assert!(store.term() > last_term + 1, "the killed writer's term was durable, and ours is higher");
        last_term = store.term();
        let rows = store.load(Table::Assignments).unwrap();
        let batches = rows.len() as u64 / BATCH;
        assert!(batches > newest, "batch {newest} was called durable, {batches} are there");
        assert_eq!(rows.len() as u64 % BATCH, 0, "half a batch is there");
        let noted = store.load(Table::Cluster).unwrap().remove(0).1;
        assert_eq!(noted, (batches - 1).to_be_bytes(), "both tables are of the same batch");
    }
}

#[test]
fn a_copy_holds_everything_and_lets_go() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("store.redb"), folder.path().join("copy.redb"));
    let mut store = RedbStore::open(&path).unwrap();
    store.commit(&[put(Table::Apps, "/a", "1"), put(Table::Specs, "s", "2")]).unwrap();
    store.copy_to(&copy).unwrap();
    store.commit(&[put(Table::Apps, "/later", "1")]).unwrap();
    store.copy_to(&folder.path().join("second.redb")).unwrap();
    let mut copied = RedbStore::open(&copy).unwrap();
    let mut last = copied.term();
    assert_eq!(copied.load(Table::Apps).unwrap(), [(b"/a".to_vec(), b"1".to_vec())]);
    assert_eq!(copied.load(Table::Specs).unwrap(), [(b"s".to_vec(), b"2".to_vec())]);
    assert!(copied.term() > store.term());
    drop((store, copied));
    for file in [&path, &path, &path, &copy] {
        // However often the other was opened since the copy was made, if only the clock has moved on.
        let clock =
            || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        while clock() <= u128::from(last) {
            std::thread::yield_now();
        }
        let store = RedbStore::open(file).unwrap();
        assert!(store.term() > last, "term {} of {file:?}, after {last}", store.term());
        last = store.term();
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "no partial file is left");
}

#[test]
fn a_file_of_something_else_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    std::fs::write(&path, "not a store, but dear to somebody").unwrap();
    assert!(matches!(RedbStore::open(&path), Err(Error::Io(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "not a store, but dear to somebody");
    assert!(matches!(RedbStore::open(&folder.path().join("absent/store.redb")), Err(Error::Io(_))));
}

#[test]
fn a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let newer = redb::Database::create(&path).unwrap();
    let transaction = newer.begin_write().unwrap();
    let about: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("hansa");
    transaction.open_table(about).unwrap().insert("format", 7).unwrap();
    transaction.commit().unwrap();
    newer.close().unwrap();
    assert!(matches!(RedbStore::open(&path), Err(Error::NewerFormat { found: 7, known: 1 })));
}

/// A disk that keeps what was synced apart from what was only written, and stops working when told.
#[derive(Clone, Debug, Default)]
struct FailingDisk(Arc<Mutex<DiskState>>);

#[derive(Debug, Default)]
struct DiskState {
    written: Vec<u8>,
    synced: Vec<u8>,
    /// Writes and syncs that still succeed; None: all.
    operations_left: Option<u32>,
}

impl DiskState {
    fn operation(&mut self) -> std::io::Result<()> {
        match &mut self.operations_left {
            None => Ok(()),
            Some(0) => Err(std::io::Error::other("the disk is gone")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }
}

impl redb::StorageBackend for FailingDisk {
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.0.lock().unwrap().written.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        let from = offset as usize;
        out.copy_from_slice(&self.0.lock().unwrap().written[from..from + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.operation()?;
        state.written.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> std::io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.operation()?;
        state.synced = state.written.clone();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.operation()?;
        let from = offset as usize;
        state.written[from..from + data.len()].copy_from_slice(data);
        Ok(())
    }
}

/// The disk stops after every possible number of operations of one commit. What was durable before is there, the
/// commit that failed is there whole or not at all, and nothing more is accepted until the store is opened again.
#[test]
fn a_failing_disk_tears_nothing() {
    let mut failures = 0;
    for operations in 0.. {
        let disk = FailingDisk::default();
        let mut store = RedbStore::with_backend(disk.clone(), 1).unwrap();
        store.commit(&[put(Table::Apps, "/a", "old"), put(Table::Specs, "s", "old")]).unwrap();
        disk.0.lock().unwrap().operations_left = Some(operations);
        let change: Vec<_> = (0..100_u64)
            .map(|key| put(Table::Assignments, key.to_be_bytes(), vec![1; 1000]))
            .chain([put(Table::Apps, "/a", "new"), put(Table::Specs, "s", "new")])
            .collect();
        let result = store.commit(&change);
        if result.is_err() {
            failures += 1;
            disk.0.lock().unwrap().operations_left = None;
            assert!(matches!(store.commit(&[put(Table::Apps, "/b", "later")]), Err(Error::Io(_))));
        }
        drop(store);

        // Power fails: only what was synced is left.
        let mut state = DiskState::default();
        state.synced.clone_from(&disk.0.lock().unwrap().synced);
        state.written.clone_from(&state.synced);
        let mut store = RedbStore::with_backend(FailingDisk(Arc::new(Mutex::new(state))), 1).unwrap();
        let (app, spec) = (store.load(Table::Apps).unwrap(), store.load(Table::Specs).unwrap());
        assert_eq!((app.len(), spec.len()), (1, 1));
        assert_eq!(app[0].1, spec[0].1, "one half is new, the other old, after {operations} operations");
        let assigned = store.load(Table::Assignments).unwrap().len();
        assert_eq!(assigned, if app[0].1 == b"new" { 100 } else { 0 });
        if result.is_ok() {
            assert_eq!(app[0].1, b"new", "it was called durable");
            break;
        }
    }
    assert!(failures > 2, "only {failures} operations in a commit: the disk was not asked");
}
