//! Who uses what: samples of each container's cgroup, a short history of each container, and the sum.

use crate::cgroup::{Driver, Stats};
use crate::shim::Client;
use hansa_api::past::UsePoint;
use hansa_api::series::{Series, Span};
use hansa_model::role::Totals;
use hansa_model::{InstanceId, Timestamp};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// Samples kept of each container: two minutes while watched, half an hour otherwise.
const HISTORY: usize = 120;

/// Points kept of each container for each span of a quarter of an hour, three hours and a day: 3 KB in all.
const STEPS: usize = 60;

/// Memory is kept in KiB, so that a number of 32 bits is enough.
const KIB: u64 = 1_024;

/// What a container used at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Thousandths of a CPU, on average since the sample before; 0 in the first.
    pub cpus_milli: u64,
    /// CPU time since its start, in milliseconds.
    pub cpu_ms: u64,
    /// Bytes of memory without file cache.
    pub mem: u64,
    /// Processes and threads.
    pub pids: u32,
}

#[derive(Debug)]
struct Track {
    history: VecDeque<Sample>,
    /// CPU and memory on average, and the most of both.
    past: Series<u32, 4, 2>,
    /// CPU nanoseconds and the time at the last sample.
    last: Option<(u64, Timestamp)>,
}

impl Default for Track {
    fn default() -> Self {
        Self { history: VecDeque::new(), past: Series::new(STEPS), last: None }
    }
}

/// All containers' histories.
#[derive(Debug, Default)]
pub struct Metering {
    tracks: BTreeMap<InstanceId, Track>,
}

impl Metering {
    /// Samples the containers and gives the sum.
    pub fn sample<'a>(
        &mut self,
        now: Timestamp,
        driver: Option<&Driver>,
        containers: impl Iterator<Item = (&'a InstanceId, &'a Client)>,
    ) -> Totals {
        let mut sum = Totals::default();
        let Some(driver) = driver else { return sum };
        for (container, client) in containers {
            if let Some(stats) = client.stats(driver) {
                let sample = self.record(now, container, &stats);
                sum.cpus_milli += sample.cpus_milli;
                sum.mem += sample.mem;
            }
        }
        sum
    }

    fn record(&mut self, now: Timestamp, container: &InstanceId, stats: &Stats) -> Sample {
        let track = self.tracks.entry(container.clone()).or_default();
        let cpu_ns = stats.cpu_ns.unwrap_or(0);
        let cpus_milli = match track.last {
            Some((before_ns, before)) if now > before => {
                // Nanoseconds per millisecond are millionths of a CPU.
                cpu_ns.saturating_sub(before_ns) / now.since(before) / 1000
            }
            _ => 0,
        };
        track.last = Some((cpu_ns, now));
        let sample = Sample {
            at: now,
            cpus_milli,
            cpu_ms: cpu_ns / 1_000_000,
            mem: stats.memory_bytes.unwrap_or(0),
            pids: stats.pids.and_then(|pids| u32::try_from(pids).ok()).unwrap_or(0),
        };
        if track.history.len() == HISTORY {
            track.history.pop_front();
        }
        track.history.push_back(sample);
        let mem = sample.mem.div_ceil(KIB);
        track.past.record(now, [sample.cpus_milli, mem, sample.cpus_milli, mem]);
        sample
    }

    /// A container's samples, oldest first.
    pub fn history(&self, container: &InstanceId) -> Vec<Sample> {
        self.tracks.get(container).map(|track| track.history.iter().copied().collect()).unwrap_or_default()
    }

    /// What a container used in each step of the past: milliseconds of a step, and the steps, the oldest first.
    pub fn past(&self, container: &InstanceId, span: Span, now: Timestamp) -> (u64, Vec<UsePoint>) {
        let Some(track) = self.tracks.get(container) else { return (span.ms() / STEPS as u64, Vec::new()) };
        let points = track.past.points(span, now).map(|(at, [cpus_milli, mem, cpus_milli_max, mem_max])| {
            UsePoint { at, cpus_milli, cpus_milli_max, mem: mem * KIB, mem_max: mem_max * KIB }
        });
        (track.past.step_ms(span), points.collect())
    }

    /// A container's newest sample.
    pub fn newest(&self, container: &InstanceId) -> Option<Sample> {
        self.tracks.get(container)?.history.back().copied()
    }

    /// Drops the histories of containers that are not to be kept.
    pub fn retain(&mut self, keep: impl Fn(&InstanceId) -> bool) {
        self.tracks.retain(|container, _| keep(container));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(cpu_ms: u64) -> Stats {
        Stats { cpu_ns: Some(cpu_ms * 1_000_000), memory_bytes: Some(5), pids: Some(2), ..Stats::default() }
    }

    #[test]
    fn cpu_is_a_rate_and_history_is_bounded() {
        let mut metering = Metering::default();
        let task = InstanceId::from("t");
        assert_eq!(metering.record(Timestamp(1_000), &task, &stats(500)).cpus_milli, 0);
        assert_eq!(metering.record(Timestamp(2_000), &task, &stats(2_000)).cpus_milli, 1_500);
        assert_eq!(metering.record(Timestamp(2_000), &task, &stats(2_000)).cpus_milli, 0, "no time, no rate");
        assert_eq!(metering.record(Timestamp(4_000), &task, &stats(2_001)).cpus_milli, 0);
        for second in 5..1_000 {
            metering.record(Timestamp(second * 1_000), &task, &stats(second));
        }
        assert_eq!(metering.history(&task).len(), HISTORY);
        assert_eq!(metering.newest(&task).map(|sample| sample.at), Some(Timestamp(999_000)));
        let (step_ms, past) = metering.past(&task, Span::Minutes15, Timestamp(999_000));
        assert_eq!((step_ms, past.len()), (15_000, 60));
        assert_eq!((past[59].cpus_milli, past[59].cpus_milli_max, past[59].mem), (1, 1, 1_024));
        metering.retain(|_| false);
        assert!(metering.history(&task).is_empty());
    }
}
