//! Every metric that the master measures itself, with unit and help; what can be counted in the read model is counted
//! there. No per-task series: those live on the agents.

use axum::http::StatusCode;
use hansa_store::Syncs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Upper bounds of a histogram's buckets in microseconds.
const BUCKETS_US: [u64; 14] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    5_000_000,
];

/// A number and what it means.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Prometheus' name without labels.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// Whether it only rises.
    pub is_counter: bool,
    /// A label and its value, if the metric has one.
    pub label: Option<(&'static str, String)>,
    /// The number.
    pub value: f64,
}

/// Durations, counted by bucket.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS_US.len()],
    count: AtomicU64,
    sum_us: AtomicU64,
}

/// A histogram at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramView {
    /// (upper bound in seconds, how many were not longer), ascending.
    pub cumulative: Vec<(f64, u64)>,
    /// How many.
    pub count: u64,
    /// All together, in seconds.
    pub sum: f64,
}

impl Histogram {
    fn add(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = BUCKETS_US.iter().position(|&bound| us <= bound) {
            self.buckets[bucket].fetch_add(1, Relaxed);
        }
        self.count.fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
    }

    /// As it is now.
    pub fn view(&self) -> HistogramView {
        let mut sum = 0;
        let mut cumulative = Vec::with_capacity(BUCKETS_US.len());
        for (bound, bucket) in BUCKETS_US.iter().zip(&self.buckets) {
            sum += bucket.load(Relaxed);
            cumulative.push((*bound as f64 / 1e6, sum));
        }
        HistogramView {
            cumulative,
            count: self.count.load(Relaxed),
            sum: self.sum_us.load(Relaxed) as f64 / 1e6,
        }
    }
}

/// The master's measurements.
#[derive(Debug)]
pub struct Metrics {
    begun: Instant,
    answers: [AtomicU64; 5],
    /// Time from a request's head to the head of its answer.
    pub http_seconds: Histogram,
    /// Time that one durable write took.
    pub write_seconds: Histogram,
    /// The syncs of the store's file.
    pub syncs: Arc<Syncs>,
    mutations: AtomicU64,
    sessions: AtomicU64,
    unwritten: AtomicU64,
    event_streams: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            answers: Default::default(),
            http_seconds: Histogram::default(),
            write_seconds: Histogram::default(),
            syncs: Arc::default(),
            mutations: AtomicU64::default(),
            sessions: AtomicU64::default(),
            unwritten: AtomicU64::default(),
            event_streams: AtomicU64::default(),
        }
    }
}

impl Metrics {
    /// All at zero, with the syncs of a store that is open already.
    pub(crate) fn of(syncs: Arc<Syncs>) -> Self {
        Self { syncs, ..Self::default() }
    }

    /// Everything but the histograms.
    pub fn samples(&self) -> Vec<Sample> {
        let gauge = |name, help, value: &AtomicU64| Sample {
            name,
            help,
            is_counter: false,
            label: None,
            value: value.load(Relaxed) as f64,
        };
        let mut samples = vec![
            Sample {
                name: "hansa_uptime_seconds",
                help: "Time since this master started.",
                is_counter: false,
                label: None,
                value: self.begun.elapsed().as_secs_f64(),
            },
            gauge("hansa_agent_sessions", "Open streams of agents.", &self.sessions),
            gauge("hansa_store_unwritten_mutations", "Mutations on their way to the disk.", &self.unwritten),
            gauge("hansa_event_streams", "Clients that follow the events.", &self.event_streams),
            Sample {
                name: "hansa_store_mutations_total",
                help: "Mutations written durably.",
                is_counter: true,
                label: None,
                value: self.mutations.load(Relaxed) as f64,
            },
            Sample {
                name: "hansa_store_syncs_total",
                help: "Syncs of the store's file.",
                is_counter: true,
                label: None,
                value: self.syncs.count() as f64,
            },
            Sample {
                name: "hansa_store_sync_seconds_total",
                help: "Time that syncs of the store's file took.",
                is_counter: true,
                label: None,
                value: self.syncs.time().as_secs_f64(),
            },
        ];
        samples.extend((1..).zip(&self.answers).map(|(class, count)| Sample {
            name: "hansa_http_answers_total",
            help: "Answers by class of status.",
            is_counter: true,
            label: Some(("status", format!("{class}xx"))),
            value: count.load(Relaxed) as f64,
        }));
        samples
    }

    /// Counts a client that follows the events, for as long as the result is held.
    pub fn event_stream(self: &Arc<Self>) -> EventStream {
        self.event_streams.fetch_add(1, Relaxed);
        EventStream(self.clone())
    }

    pub(crate) fn answered(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.answers[class].fetch_add(1, Relaxed);
        self.http_seconds.add(took);
    }

    pub(crate) fn wrote(&self, mutations: usize, took: Duration) {
        self.mutations.fetch_add(mutations as u64, Relaxed);
        self.write_seconds.add(took);
    }

    pub(crate) fn loop_turned(&self, sessions: usize, unwritten: usize) {
        self.sessions.store(sessions as u64, Relaxed);
        self.unwritten.store(unwritten as u64, Relaxed);
    }
}

/// See [`Metrics::event_stream`].
#[derive(Debug)]
pub struct EventStream(Arc<Metrics>);

impl Drop for EventStream {
    fn drop(&mut self) {
        self.0.event_streams.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative() {
        let histogram = Histogram::default();
        for us in [1, 100, 101, 1_000_000, 60_000_000] {
            histogram.add(Duration::from_micros(us));
        }
        let view = histogram.view();
        assert_eq!(view.cumulative[0], (0.0001, 2));
        assert_eq!(view.cumulative[1], (0.00025, 3));
        assert_eq!(view.cumulative[12], (1.0, 4));
        assert_eq!((view.cumulative[13].1, view.count), (4, 5));
        assert!((view.sum - 61.000202).abs() < 1e-6);
    }
}
