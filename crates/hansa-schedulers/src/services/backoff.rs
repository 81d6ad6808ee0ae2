//! How failed launches are slowed down: Marathon's rate limiter, one for each app and configuration.

use hansa_model::Timestamp;
use hansa_model::app::Backoff;
use hansa_model::planted::{Bug, planted};

/// The delay of one app's configuration. It belongs to that configuration only: of another one it says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Delay(Option<Entry>);

#[derive(Clone, Copy, Debug)]
struct Entry {
    config: Timestamp,
    /// The delay counts from here.
    reference: Timestamp,
    delay_ms: u64,
}

impl Delay {
    /// An instance of this configuration ended by itself: the first time the initial delay, then longer and longer.
    pub fn failed(&mut self, now: Timestamp, config: Timestamp, rule: &Backoff) {
        let delay_ms = match self.entry(now, config, rule) {
            Some(entry) => {
                let grown = u128::from(entry.delay_ms) * u128::from(rule.factor_milli) / 1000;
                // A delay of 0 stays 0; others grow by at least a millisecond if they grow at all.
                let grown = if rule.factor_milli > 1000 && entry.delay_ms > 0 {
                    grown.max(u128::from(entry.delay_ms) + 1)
                } else {
                    grown
                };
                u64::try_from(grown).unwrap_or(u64::MAX).min(rule.max_ms)
            }
            None => rule.initial_ms.min(rule.max_ms),
        };
        self.0 = Some(Entry { config, reference: now, delay_ms });
    }

    /// An instance of this configuration made progress: a delay that exists counts from now.
    pub fn advance(&mut self, now: Timestamp, config: Timestamp, rule: &Backoff) {
        if let Some(entry) = self.entry(now, config, rule) {
            self.0 = Some(Entry { reference: now, ..entry });
        }
    }

    /// The delay of this configuration as it was stored, counted from `reference`.
    pub fn stored(config: Timestamp, reference: Timestamp, delay_ms: u64) -> Self {
        Self(Some(Entry { config, reference, delay_ms }).filter(|entry| entry.delay_ms > 0))
    }

    /// Forgets the delay.
    pub fn reset(&mut self) {
        self.0 = None;
    }

    /// Until when nothing of this configuration may be launched, if that is later than now.
    pub fn until(&self, now: Timestamp, config: Timestamp) -> Option<Timestamp> {
        let entry = self.0.filter(|entry| entry.config == config)?;
        let factor = if planted(Bug::BackoffForever) { 10_000 } else { 1 };
        Some(entry.reference + entry.delay_ms * factor).filter(|until| *until > now)
    }

    /// How long the delay of this configuration is, whether it is over or not.
    pub fn length(&self, config: Timestamp) -> u64 {
        self.0.filter(|entry| entry.config == config).map_or(0, |entry| entry.delay_ms)
    }

    /// The entry, unless it is of another configuration or so old that it is forgotten.
    fn entry(&self, now: Timestamp, config: Timestamp, rule: &Backoff) -> Option<Entry> {
        self.0.filter(|entry| {
            entry.config == config && now < entry.reference + entry.delay_ms + rule.max_ms.max(1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Backoff = Backoff { initial_ms: 1000, factor_milli: 1150, max_ms: 300_000 };
    const CONFIG: Timestamp = Timestamp(7);

    #[test]
    fn delays_grow_to_the_most_and_are_forgotten() {
        let mut delay = Delay::default();
        let mut now = Timestamp(0);
        let mut seen = Vec::new();
        for _ in 0..60 {
            delay.failed(now, CONFIG, &RULE);
            let until = delay.until(now, CONFIG).unwrap();
            seen.push(until.since(now));
            now = until;
        }
        assert_eq!(seen[..4], [1000, 1150, 1322, 1520]);
        assert_eq!(seen[59], 300_000);
        assert_eq!(delay.until(now, CONFIG), None, "over at the very moment");
        delay.failed(now + 300_000, CONFIG, &RULE);
        assert_eq!(delay.until(now + 300_000, CONFIG), Some(now + 301_000), "the old entry is forgotten");
    }

    #[test]
    fn another_configuration_starts_afresh() {
        let mut delay = Delay::default();
        delay.failed(Timestamp(0), CONFIG, &RULE);
        assert_eq!(delay.until(Timestamp(0), Timestamp(8)), None);
        delay.failed(Timestamp(0), CONFIG, &RULE);
        delay.failed(Timestamp(0), Timestamp(8), &RULE);
        assert_eq!(delay.until(Timestamp(0), Timestamp(8)), Some(Timestamp(1000)));
        delay.reset();
        assert_eq!(delay.until(Timestamp(0), Timestamp(8)), None);
    }

    #[test]
    fn progress_restarts_the_delay_without_growing_it() {
        let mut delay = Delay::default();
        delay.advance(Timestamp(0), CONFIG, &RULE);
        assert_eq!(delay.until(Timestamp(0), CONFIG), None, "nothing to restart");
        delay.failed(Timestamp(0), CONFIG, &RULE);
        delay.advance(Timestamp(900), CONFIG, &RULE);
        assert_eq!(delay.until(Timestamp(1800), CONFIG), Some(Timestamp(1900)));
        delay.failed(Timestamp(250_000), CONFIG, &RULE);
        assert_eq!(
            delay.until(Timestamp(250_000), CONFIG),
            Some(Timestamp(251_150)),
            "remembered while it runs"
        );
    }

    #[test]
    fn no_delay_stays_none_and_huge_factors_do_not_overflow() {
        let mut delay = Delay::default();
        let none = Backoff { initial_ms: 0, factor_milli: 2000, max_ms: 1000 };
        for _ in 0..3 {
            delay.failed(Timestamp(5), CONFIG, &none);
            assert_eq!(delay.until(Timestamp(5), CONFIG), None);
        }
        let huge = Backoff { initial_ms: u64::MAX, factor_milli: u64::MAX, max_ms: u64::MAX };
        for _ in 0..3 {
            delay.failed(Timestamp(5), Timestamp(9), &huge);
        }
        assert_eq!(delay.until(Timestamp(5), Timestamp(9)), Some(Timestamp(u64::MAX)));
    }
}
