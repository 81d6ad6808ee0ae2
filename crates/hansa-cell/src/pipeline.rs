//! The one commit order.
//!
//! Every step's records are numbered and handed out to be written; its events, messages and answers are held until they
//! and everything before them is durable. Steps without records are held just as long as the records before them need.

use crate::cell::Output;
use hansa_model::Timestamp;
use hansa_model::event::{Event, Published};
use hansa_model::planted::{Bug, planted};
use hansa_model::record::{Mutation, Table};
use std::collections::VecDeque;

/// Key of the durable clock in [`Table::Cluster`]: the highest time and index that were written.
pub const CLOCK_KEY: &[u8] = b"clock";

/// A batch is sealed at this many records, so that every store can write it in one transaction.
const MAX_RECORDS: usize = 90;

/// And before it gets larger than this.
const MAX_BYTES: usize = 512 * 1024;

/// Collects what one step leads to, seals it into batches and releases it in order.
#[derive(Debug, Default)]
pub struct Pipeline {
    /// Number of the newest batch.
    index: u64,
    /// Number of the newest batch that has records.
    written: u64,
    /// Everything up to here is durable.
    durable: u64,
    open: Batch,
    held: VecDeque<Batch>,
}

#[derive(Debug, Default)]
struct Batch {
    /// Released once everything up to this index is durable.
    waits_for: u64,
    mutations: Vec<Mutation>,
    events: Vec<Event>,
    published: Option<Published>,
    outputs: Vec<Output>,
}

impl Pipeline {
    /// Continues the numbering of an earlier run.
    pub fn starting_at(index: u64) -> Self {
        Self { index, written: index, durable: index, ..Self::default() }
    }

    /// Adds records and events that belong together.
    pub fn add(
        &mut self,
        now: Timestamp,
        mutations: impl IntoIterator<Item = Mutation>,
        events: Vec<Event>,
        out: &mut Vec<Output>,
    ) {
        if self.open.mutations.len() >= MAX_RECORDS {
            self.seal(now, out);
        }
        self.open.mutations.extend(mutations);
        self.open.events.extend(events);
    }

    /// Adds records that need not be written together as long as they are written in this order, with the events that
    /// tell of all of them: batches stay within what every store can write in one transaction.
    pub fn add_in_order(
        &mut self,
        now: Timestamp,
        mutations: impl ExactSizeIterator<Item = Mutation>,
        events: Vec<Event>,
        out: &mut Vec<Output>,
    ) {
        if self.open.mutations.len() + mutations.len() > MAX_RECORDS && !self.open.mutations.is_empty() {
            self.seal(now, out);
        }
        let mut bytes = 0;
        for mutation in mutations {
            let size = mutation.key.len() + mutation.value.as_ref().map_or(0, Vec::len);
            if self.open.mutations.len() >= MAX_RECORDS || (bytes > 0 && bytes + size > MAX_BYTES) {
                self.seal(now, out);
                bytes = 0;
            }
            bytes += size;
            self.open.mutations.push(mutation);
        }
        self.open.events.extend(events);
    }

    /// Adds something to be let out after what was added before it.
    pub fn hold(&mut self, output: Output) {
        self.open.outputs.push(output);
    }

    /// The number that everything added so far will have been published under.
    pub fn next_index(&self) -> u64 {
        if self.open.mutations.is_empty() && self.open.events.is_empty() {
            self.index
        } else {
            self.index + 1
        }
    }

    /// Ends a batch: hands its records out to be written and holds the rest, or lets it out if nothing is outstanding.
    pub fn seal(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let mut batch = std::mem::take(&mut self.open);
        if batch.mutations.is_empty() && batch.events.is_empty() && batch.outputs.is_empty() {
            return;
        }
        if !batch.mutations.is_empty() || !batch.events.is_empty() {
            self.index += 1;
            batch.published =
                Some(Published { index: self.index, at: now, events: std::mem::take(&mut batch.events) });
        }
        if !batch.mutations.is_empty() {
            self.written = self.index;
            let mut mutations = std::mem::take(&mut batch.mutations);
            mutations.push(clock(self.index, now));
            out.push(Output::Commit { index: self.index, mutations });
        }
        if planted(Bug::PublishedEarly) {
            out.extend(batch.published.take().map(Output::Publish));
        }
        batch.waits_for = if planted(Bug::NothingWaits) { 0 } else { self.written };
        self.held.push_back(batch);
        self.release(out);
    }

    /// Everything up to `index` is durable.
    pub fn committed(&mut self, index: u64, out: &mut Vec<Output>) {
        self.durable = self.durable.max(index);
        self.release(out);
    }

    fn release(&mut self, out: &mut Vec<Output>) {
        while self.held.front().is_some_and(|batch| batch.waits_for <= self.durable) {
            let batch = self.held.pop_front().expect("there is a front");
            out.extend(batch.published.map(Output::Publish));
            out.extend(batch.outputs);
        }
    }
}

fn clock(index: u64, now: Timestamp) -> Mutation {
    let mut value = vec![crate::codec::FORMAT];
    value.extend_from_slice(&index.to_be_bytes());
    value.extend_from_slice(&now.0.to_be_bytes());
    Mutation { table: Table::Cluster, key: CLOCK_KEY.to_vec(), value: Some(value) }
}

/// Reads what [`CLOCK_KEY`] holds: index and time.
pub fn read_clock(value: &[u8]) -> Option<(u64, Timestamp)> {
    let (format, rest) = value.split_first()?;
    let index = u64::from_be_bytes(rest.get(..8)?.try_into().ok()?);
    let time = u64::from_be_bytes(rest.get(8..16)?.try_into().ok()?);
    (*format == crate::codec::FORMAT).then_some((index, Timestamp(time)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hansa_model::AgentId;

    fn event() -> Event {
        Event::AgentRemoved(AgentId::from("a"))
    }

    fn record() -> Mutation {
        Mutation { table: Table::Agents, key: b"a".to_vec(), value: None }
    }

    fn names(out: &[Output]) -> Vec<String> {
        out.iter()
            .map(|output| match output {
                Output::Commit { index, mutations } => format!("commit {index} ({})", mutations.len()),
                Output::Publish(published) => format!("publish {}", published.index),
                Output::CloseSession { session } => format!("close {session}"),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn nothing_overtakes_a_write() {
        let (mut pipeline, mut out) = (Pipeline::default(), Vec::new());
        pipeline.add(Timestamp(1), [record()], vec![event()], &mut out);
        pipeline.hold(Output::CloseSession { session: 1 });
        pipeline.seal(Timestamp(1), &mut out);
        // The second step has no record, but rests on the first.
        pipeline.add(Timestamp(2), [], vec![event()], &mut out);
        pipeline.hold(Output::CloseSession { session: 2 });
        pipeline.seal(Timestamp(2), &mut out);
        assert_eq!(names(&out), ["commit 1 (2)"]);
        out.clear();
        pipeline.committed(1, &mut out);
        assert_eq!(names(&out), ["publish 1", "close 1", "publish 2", "close 2"]);
        out.clear();
        // With nothing outstanding, what needs no write leaves at once.
        pipeline.hold(Output::CloseSession { session: 3 });
        assert_eq!(pipeline.next_index(), 2);
        pipeline.seal(Timestamp(3), &mut out);
        assert_eq!(names(&out), ["close 3"]);
    }

    #[test]
    fn large_steps_are_sealed_in_parts() {
        let (mut pipeline, mut out) = (Pipeline::default(), Vec::new());
        for _ in 0..200 {
            pipeline.add(Timestamp(1), [record()], Vec::new(), &mut out);
        }
        pipeline.seal(Timestamp(1), &mut out);
        assert_eq!(names(&out), ["commit 1 (91)", "commit 2 (91)", "commit 3 (21)"]);
    }

    #[test]
    fn one_large_step_is_written_in_order_and_told_at_its_end() {
        let (mut pipeline, mut out) = (Pipeline::default(), Vec::new());
        pipeline.add(Timestamp(1), [record()], Vec::new(), &mut out);
        pipeline.add_in_order(Timestamp(1), (0..200).map(|_| record()), vec![event()], &mut out);
        pipeline.seal(Timestamp(1), &mut out);
        assert_eq!(names(&out), ["commit 1 (2)", "commit 2 (91)", "commit 3 (91)", "commit 4 (21)"]);
        out.clear();
        pipeline.committed(4, &mut out);
        let told =
            |output: &Output| matches!(output, Output::Publish(published) if !published.events.is_empty());
        assert_eq!(out.iter().position(told), Some(3), "not before all of it is durable");

        let large = || Mutation { value: Some(vec![0; 300_000]), ..record() };
        out.clear();
        pipeline.add_in_order(Timestamp(2), (0..3).map(|_| large()), Vec::new(), &mut out);
        pipeline.seal(Timestamp(2), &mut out);
        assert_eq!(names(&out), ["commit 5 (2)", "commit 6 (2)", "commit 7 (2)"]);
    }

    #[test]
    fn the_clock_reads_back() {
        let written = clock(7, Timestamp(9)).value.unwrap();
        assert_eq!(read_clock(&written), Some((7, Timestamp(9))));
        assert_eq!(read_clock(&[]), None);
    }
}
