//! How values of the past are kept for charts: a quarter of an hour, three hours and a day, each in as many steps, so that
//! what is older is coarser and all of it together takes a fixed amount of memory.
//!
//! Plain data: whoever records says when. Of a step are kept the averages of its samples, or the largest.

use hansa_model::Timestamp;

/// How far back, and at which resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// A quarter of an hour.
    Minutes15,
    /// Three hours.
    Hours3,
    /// A day.
    Day,
}

impl Span {
    /// All of them, the shortest first.
    pub const ALL: [Self; 3] = [Self::Minutes15, Self::Hours3, Self::Day];

    /// `15m`, `3h` or `1d`; None: something else.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|span| span.name() == text)
    }

    /// As clients write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Minutes15 => "15m",
            Self::Hours3 => "3h",
            Self::Day => "1d",
        }
    }

    /// Its length in milliseconds.
    pub fn ms(self) -> u64 {
        match self {
            Self::Minutes15 => 15 * 60_000,
            Self::Hours3 => 3 * 3_600_000,
            Self::Day => 24 * 3_600_000,
        }
    }
}

/// A number as it is kept. The largest stands for "nothing".
pub trait Kept: Copy + PartialEq {
    /// Nothing.
    const NOTHING: Self;
    /// A value, cut to what can be kept.
    fn of(value: u64) -> Self;
    /// It again.
    fn value(self) -> u64;
}

macro_rules! kept {
    ($($number:ty),*) => {$(
        impl Kept for $number {
            const NOTHING: Self = <$number>::MAX;

            fn of(value: u64) -> Self {
                <$number>::try_from(value).unwrap_or(<$number>::MAX).min(<$number>::MAX - 1)
            }

            fn value(self) -> u64 {
                u64::from(self)
            }
        }
    )*};
}

kept!(u16, u32, u64);

/// `K` values over time, of which the last `MAXIMA` are the largest of a step instead of its average.
#[derive(Clone, Debug)]
pub struct Series<T, const K: usize, const MAXIMA: usize = 0> {
    levels: [Level<T, K>; 3],
}

#[derive(Clone, Debug)]
struct Level<T, const K: usize> {
    step_ms: u64,
    /// The number of the step under way: its time divided by the step.
    slot: u64,
    samples: u32,
    /// Sums and maxima of the step under way.
    now: [u64; K],
    /// Steps that are over, each at its number modulo their count.
    past: Box<[[T; K]]>,
}

impl<T: Kept, const K: usize, const MAXIMA: usize> Series<T, K, MAXIMA> {
    /// Empty, with `steps` steps for each span. Takes `3 * steps * K` values.
    pub fn new(steps: usize) -> Self {
        let level = |span: Span| Level {
            step_ms: (span.ms() / steps.max(1) as u64).max(1),
            slot: 0,
            samples: 0,
            now: [0; K],
            past: vec![[T::NOTHING; K]; steps.max(1)].into(),
        };
        Self { levels: Span::ALL.map(level) }
    }

    /// Takes a sample. One that is older than the step under way counts for that.
    pub fn record(&mut self, at: Timestamp, values: [u64; K]) {
        for level in &mut self.levels {
            level.advance(at.0 / level.step_ms, MAXIMA);
            level.samples += 1;
            for (index, (kept, value)) in level.now.iter_mut().zip(values).enumerate() {
                *kept = if index + MAXIMA >= K { (*kept).max(value) } else { kept.saturating_add(value) };
            }
        }
    }

    /// Milliseconds from one point to the next.
    pub fn step_ms(&self, span: Span) -> u64 {
        self.levels[span as usize].step_ms
    }

    /// What is known of the time before `now`, the oldest first, each with when its step began.
    pub fn points(&self, span: Span, now: Timestamp) -> impl Iterator<Item = (Timestamp, [u64; K])> {
        let level = &self.levels[span as usize];
        let steps = level.past.len() as u64;
        let last = (now.0 / level.step_ms).max(level.slot);
        let first = (last + 1).saturating_sub(steps);
        (first..=level.slot).filter_map(move |slot| {
            let values = if slot == level.slot { level.current(MAXIMA)? } else { level.at(slot)? };
            Some((Timestamp(slot * level.step_ms), values.map(T::value)))
        })
    }
}

impl<T: Kept, const K: usize> Level<T, K> {
    fn index(&self, slot: u64) -> usize {
        (slot % self.past.len() as u64) as usize
    }

    fn at(&self, slot: u64) -> Option<[T; K]> {
        let in_reach = slot < self.slot && self.slot - slot < self.past.len() as u64;
        let values = self.past[self.index(slot)];
        (in_reach && values.first() != Some(&T::NOTHING)).then_some(values)
    }

    fn current(&self, maxima: usize) -> Option<[T; K]> {
        if self.samples == 0 {
            return None;
        }
        let mut values = [T::NOTHING; K];
        for (index, (value, kept)) in values.iter_mut().zip(self.now).enumerate() {
            *value = T::of(if index + maxima >= K { kept } else { kept / u64::from(self.samples) });
        }
        Some(values)
    }

    /// Makes `slot` the step under way. Those that were left out hold nothing.
    fn advance(&mut self, slot: u64, maxima: usize) {
        if slot <= self.slot {
            return;
        }
        let ended = self.current(maxima).unwrap_or([T::NOTHING; K]);
        let index = self.index(self.slot);
        self.past[index] = ended;
        let left_out = (slot - self.slot - 1).min(self.past.len() as u64);
        for skipped in slot - left_out..slot {
            let index = self.index(skipped);
            self.past[index] = [T::NOTHING; K];
        }
        (self.slot, self.samples, self.now) = (slot, 0, [0; K]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(series: &Series<u16, 2, 1>, span: Span, now: u64) -> Vec<(u64, [u64; 2])> {
        series.points(span, Timestamp(now)).map(|(at, values)| (at.0 / 1_000, values)).collect()
    }

    #[test]
    fn steps_are_averages_and_maxima() {
        let mut series = Series::<u16, 2, 1>::new(60);
        assert_eq!(series.step_ms(Span::Minutes15), 15_000);
        for (second, value) in [(900, 10), (905, 20), (914, 30), (915, 7), (960, 100_000)] {
            series.record(Timestamp(second * 1_000), [value, value]);
        }
        let quarter = points(&series, Span::Minutes15, 961_000);
        assert_eq!(quarter, [(900, [20, 30]), (915, [7, 7]), (960, [65_534, 65_534])], "with a gap");
        assert_eq!(points(&series, Span::Hours3, 961_000), [(900, [20_013, 65_534])]);
    }

    #[test]
    fn the_past_ends_where_the_span_does() {
        let mut series = Series::<u16, 2, 1>::new(60);
        for second in 0..10_000 {
            series.record(Timestamp(second * 1_000), [second, second]);
        }
        let quarter = points(&series, Span::Minutes15, 9_999_000);
        assert_eq!(quarter.len(), 60);
        assert_eq!((quarter[0].0, quarter[59].0), (9_105, 9_990));
        // Long afterwards nothing of it is left of the shorter spans, and the longer still have it.
        assert_eq!(points(&series, Span::Minutes15, 20_000_000), []);
        assert!(points(&series, Span::Day, 20_000_000).len() > 5);
        // A sample after a long silence does not bring back what lies before it.
        series.record(Timestamp(20_000_000), [1, 1]);
        assert_eq!(points(&series, Span::Minutes15, 20_000_000), [(19_995, [1, 1])]);
    }

    #[test]
    fn a_clock_that_goes_back_breaks_nothing() {
        let mut series = Series::<u16, 2, 1>::new(60);
        series.record(Timestamp(1_000_000), [4, 4]);
        series.record(Timestamp(10_000), [8, 8]);
        assert_eq!(points(&series, Span::Minutes15, 10_000), [(990, [6, 8])]);
    }
}
