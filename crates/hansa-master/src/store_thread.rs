//! The store's thread: writes what the cell hands out, many commits at once when they queue up.

use crate::metrics::Metrics;
use hansa_model::record::Mutation;
use hansa_store::Store;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;
use tokio::sync::mpsc::UnboundedSender;

/// Mutations after which a group is written although more are waiting: bounds the time that the first one waits (some
/// 20 ms).
const GROUP: usize = 10_000;

/// One commit to be written.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) index: u64,
    pub(crate) mutations: Vec<Mutation>,
}

/// Everything up to here is durable.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) index: u64,
    /// How many mutations became durable with it.
    pub(crate) mutations: usize,
}

/// Writes until nobody can send commits any more; ends at the first failure, after reporting it.
pub(crate) fn run(
    mut store: Box<dyn Store>,
    commits: &Receiver<Commit>,
    written: &UnboundedSender<Result<Written, hansa_store::Error>>,
    metrics: &Arc<Metrics>,
) {
    let mut next = None;
    while let Some(Commit { mut index, mut mutations }) = next.take().or_else(|| commits.recv().ok()) {
        while let Ok(more) = commits.try_recv() {
            if mutations.len() + more.mutations.len() > GROUP {
                next = Some(more);
                break;
            }
            index = more.index;
            mutations.extend(more.mutations);
        }
        let begun = Instant::now();
        let result = store.commit(&mutations).map(|()| Written { index, mutations: mutations.len() });
        metrics.wrote(mutations.len(), begun.elapsed());
        let failed = result.is_err();
        if written.send(result).is_err() || failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hansa_model::record::Table;
    use hansa_store::Rows;
    use std::sync::Mutex;
    use tokio::sync::mpsc::unbounded_channel;

    /// Notes the size of every batch; fails when it has written `works_for`.
    struct Noting {
        batches: Arc<Mutex<Vec<usize>>>,
        works_for: usize,
    }

    impl Store for Noting {
        fn term(&self) -> u64 {
            1
        }
        fn load(&mut self, _: Table) -> Result<Rows, hansa_store::Error> {
            Ok(Rows::new())
        }
        fn commit(&mut self, mutations: &[Mutation]) -> Result<(), hansa_store::Error> {
            let mut batches = self.batches.lock().unwrap();
            if batches.len() == self.works_for {
                return Err(hansa_store::Error::Fenced);
            }
            batches.push(mutations.len());
            Ok(())
        }
    }

    /// Runs commits of the given sizes, all of them waiting when the thread begins. Gives the sizes of the groups, and
    /// the indices reported durable or None for the failure.
    fn groups(sizes: &[usize], works_for: usize) -> (Vec<usize>, Vec<Option<u64>>) {
        let batches = Arc::default();
        let (commits, to_write) = std::sync::mpsc::channel();
        for (at, &size) in sizes.iter().enumerate() {
            let mutation = Mutation { table: Table::Apps, key: vec![], value: None };
            commits.send(Commit { index: at as u64 + 1, mutations: vec![mutation; size] }).unwrap();
        }
        drop(commits);
        let (written, mut reports) = unbounded_channel();
        let store = Noting { batches: Arc::clone(&batches), works_for };
        run(Box::new(store), &to_write, &written, &Arc::default());
        drop(written);
        let reported =
            std::iter::from_fn(|| reports.try_recv().ok()).map(|report| report.ok().map(|w| w.index));
        let reported = reported.collect();
        let batches = batches.lock().unwrap().clone();
        (batches, reported)
    }

    #[test]
    fn what_waits_is_written_together() {
        assert_eq!(groups(&[1, 2, 3], 99), (vec![6], vec![Some(3)]));
        assert_eq!(groups(&[], 99), (vec![], vec![]));
    }

    #[test]
    fn groups_are_bounded_and_nothing_is_lost_between_them() {
        let (batches, reported) = groups(&[GROUP - 1, 1, 1, 2 * GROUP, 1], 99);
        assert_eq!(
            (batches, reported),
            (vec![GROUP, 1, 2 * GROUP, 1], vec![Some(2), Some(3), Some(4), Some(5)])
        );
    }

    #[test]
    fn a_failure_is_the_last_thing_reported() {
        let (batches, reported) = groups(&[GROUP, GROUP, GROUP], 1);
        assert_eq!((batches, reported), (vec![GROUP], vec![Some(1), None]));
    }
}
