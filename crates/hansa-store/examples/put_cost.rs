//! What a durable assignment costs: puts with ascending keys in batches, then loading all of them, then opening after
//! a crash (a copy of the open file) and after a clean end. Prints one line for each batch size. Argument: a directory on the disk to measure.

use hansa_model::record::Table;
use hansa_store::Store;
use hansa_store::redb_store::RedbStore;
use hansa_store::suite::put;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: put_cost DIRECTORY")?;
    for batch_size in [1_u64, 200, 1_000, 5_000] {
        let path = std::path::Path::new(&folder).join(format!("put_cost-{batch_size}.redb"));
        let mut store = RedbStore::open(&path)?;
        let batches = if batch_size == 1 { 5_000 } else { 1_000_000 / batch_size };
        let (begun, mut slowest) = (Instant::now(), std::time::Duration::ZERO);
        for number in 0..batches {
            let keys = number * batch_size..(number + 1) * batch_size;
            let batch: Vec<_> =
                keys.map(|key| put(Table::Assignments, key.to_be_bytes(), vec![1; 150])).collect();
            let one = Instant::now();
            store.commit(&batch)?;
            slowest = slowest.max(one.elapsed());
        }
        let took = begun.elapsed();
        let (syncs, sync_time) = (store.syncs().count(), store.syncs().time());
        let begun = Instant::now();
        let rows = store.load(Table::Assignments)?.len();
        let loaded = begun.elapsed();
        let crashed = path.with_extension("crashed");
        std::fs::copy(&path, &crashed)?;
        let begun = Instant::now();
        let repaired = RedbStore::open(&crashed)?;
        let repair = begun.elapsed();
        drop(repaired);
        std::fs::remove_file(&crashed)?;
        drop(store);
        let begun = Instant::now();
        drop(RedbStore::open(&path)?);
        let opened = begun.elapsed();
        let puts = rows as f64 / took.as_secs_f64();
        let bytes = std::fs::metadata(&path)?.len() / (1 << 20);
        println!(
            "batch {batch_size:>5}: {puts:>9.0} puts/s, slowest batch {slowest:?}, {syncs} fsyncs took {sync_time:.2?}; \
             load {rows} in {loaded:?}; open {opened:?}, after a crash {repair:?}; {bytes} MiB"
        );
        std::fs::remove_file(&path)?;
    }
    Ok(())
}
