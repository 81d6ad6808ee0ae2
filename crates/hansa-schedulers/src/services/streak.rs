//! Failures in a row: a restart loop is shown as such, with its count and its growing delay, until the app has held for a
//! while; and instances that never come up are ended and replaced.
//!
//! That an app is failing is stored, with its delay, so that whoever leads next neither forgets it nor starts the loop
//! afresh. Not each failure: a loop would be written for ever. The first that makes the app failing is, then those that
//! double their number, and otherwise one in half a minute at most.

use super::apps::App;
use super::backoff::Delay;
use super::instances::{Class, Order};
use super::{AppKey, InstanceKey, Output, Record, Services};
use hansa_model::event::{Event, Failing};
use hansa_model::{AppId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// After so many failures in a row an app is failing, or after one for every ten instances that it wants.
const FAILURES: u32 = 3;
/// An app that has not failed for this long, and twice its delay, has recovered if all of its instances are ready.
const QUIET_MS: u64 = 60_000;
/// What is stored of a streak is at most this much older than its last failure, unless their number has doubled since.
const STORED_MS: u64 = 30_000;

/// An app's failures in a row, as they are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingRecord {
    /// Of which configuration.
    pub config: Timestamp,
    /// The first.
    pub since: Timestamp,
    /// The last one stored.
    pub last_at: Timestamp,
    /// How many until then.
    pub count: u32,
    /// How that one ended.
    pub last: String,
    /// Milliseconds that the next attempt waits from then on; 0: not at all.
    pub delay_ms: u64,
}

/// Failures in a row of one configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Streak {
    /// Of which configuration.
    pub config: Timestamp,
    /// The first.
    pub since: Timestamp,
    /// The last.
    pub last_at: Timestamp,
    /// How many.
    pub count: u32,
    /// How the last one ended.
    pub last: String,
}

impl App {
    /// Whether it fails again and again.
    pub(super) fn failing(&self) -> Option<Failing> {
        let config = self.active.as_ref()?.last_config_change_at;
        let streak = self.streak.as_ref().filter(|streak| streak.config == config)?;
        if streak.count < FAILURES.max(self.wanted() / 10) {
            return None;
        }
        let delay_ms = self.delay.length(config);
        Some(Failing { since: streak.since, count: streak.count, last: streak.last.clone(), delay_ms })
    }

    /// When it has recovered if nothing fails until then.
    fn recovers_at(&self, streak: &Streak) -> Timestamp {
        streak.last_at + QUIET_MS + 2 * self.delay.length(streak.config)
    }
}

impl Services {
    /// An instance of the current configuration ended by itself, or for its health.
    pub(super) fn count_failure(
        &mut self,
        now: Timestamp,
        key: AppKey,
        config: Timestamp,
        words: String,
        out: &mut Output,
    ) {
        let app = &mut self.apps[key];
        let earlier =
            app.streak.take().filter(|streak| streak.config == config && now < app.recovers_at(streak));
        let streak = match earlier {
            Some(streak) => Streak { count: streak.count + 1, last_at: now, last: words, ..streak },
            None => Streak { config, since: now, last_at: now, count: 1, last: words },
        };
        let (at, count) = (app.recovers_at(&streak), streak.count);
        if count == 1 {
            self.end_streak(key, out);
            self.recoveries.insert((at, key));
        }
        let app = &mut self.apps[key];
        app.streak = Some(streak);
        let due = match app.streak_stored {
            None => app.failing().is_some(),
            Some((stored, at)) => count >= stored.saturating_mul(2) || now.since(at) >= STORED_MS,
        };
        if due {
            self.store_streak(key, out);
        }
    }

    /// Stores how an app fails.
    pub(super) fn store_streak(&mut self, key: AppKey, out: &mut Output) {
        let app = &mut self.apps[key];
        let Some(streak) = &app.streak else { return };
        let record = FailingRecord {
            config: streak.config,
            since: streak.since,
            last_at: streak.last_at,
            count: streak.count,
            last: streak.last.clone(),
            delay_ms: app.delay.length(streak.config),
        };
        app.streak_stored = Some((record.count, record.last_at));
        out.records.push(Record::PutFailing(app.id.clone(), Box::new(record)));
    }

    /// An app does not fail any more, or is gone.
    pub(super) fn end_streak(&mut self, key: AppKey, out: &mut Output) {
        let app = &mut self.apps[key];
        app.streak = None;
        if app.streak_stored.take().is_some() {
            out.records.push(Record::DeleteFailing(app.id.clone()));
        }
    }

    /// Takes over what is stored of apps that fail.
    pub(super) fn restore_streaks(
        &mut self,
        now: Timestamp,
        stored: BTreeMap<AppId, FailingRecord>,
        out: &mut Output,
    ) {
        for (id, record) in stored {
            let known = self.by_id.get(&id).copied().filter(|&key| self.apps[key].current.is_some());
            let Some(key) = known else {
                out.records.push(Record::DeleteFailing(id));
                continue;
            };
            let app = &mut self.apps[key];
            app.delay = Delay::stored(record.config, record.last_at, record.delay_ms);
            app.streak_stored = Some((record.count, record.last_at));
            let FailingRecord { config, since, last_at, count, last, .. } = record;
            let streak = Streak { config, since, last_at, count, last };
            let at = app.recovers_at(&streak).max(now + QUIET_MS);
            app.streak = Some(streak);
            self.recoveries.insert((at, key));
        }
    }

    /// Looks at one app or instance whose time has come. False: there is none.
    pub(super) fn look_after_streaks(&mut self, now: Timestamp, out: &mut Output) -> bool {
        if let Some(&(at, key)) = self.overdue.first().filter(|(at, _)| *at <= now) {
            self.overdue.remove(&(at, key));
            self.look_for_overdue(now, key);
            return true;
        }
        let Some(&(at, key)) = self.recoveries.first().filter(|(at, _)| *at <= now) else { return false };
        self.recoveries.remove(&(at, key));
        let Some(app) = self.apps.get_mut(key) else { return true };
        let Some(streak) = &app.streak else { return true };
        let at = app.recovers_at(streak);
        let (fresh, stale) = (app.side(false), app.side(true));
        let well = fresh.ready + stale.ready >= app.wanted();
        let other = app.active.as_ref().is_none_or(|active| active.last_config_change_at != streak.config);
        if other || (at <= now && well) {
            self.end_streak(key, out);
            out.events.extend(self.apps[key].view().map(Event::App));
        } else {
            self.recoveries.insert((at.max(now + QUIET_MS), key));
        }
        true
    }

    /// Has it looked at in time whether an app's instances come up.
    pub(super) fn expect_start(&mut self, now: Timestamp, key: AppKey) {
        let timeout = self.settings.launch_timeout_ms;
        let app = &mut self.apps[key];
        if timeout > 0 && !app.expected {
            app.expected = true;
            self.overdue.insert((now + timeout, key));
        }
    }

    /// Ends the instances of an app that have been on their way for too long without a word.
    fn look_for_overdue(&mut self, now: Timestamp, key: AppKey) {
        let timeout = self.settings.launch_timeout_ms;
        let Some(app) = self.apps.get_mut(key).filter(|app| app.expected) else { return };
        app.expected = false;
        let mut late: Vec<InstanceKey> = Vec::new();
        let mut next: Option<Timestamp> = None;
        for stale in [false, true] {
            for member in app.first_to_go(stale, &[Class::Staging, Class::Starting], u32::MAX) {
                let due = self.instances[member].heard_at + timeout;
                if due <= now {
                    late.push(member);
                } else {
                    next = Some(next.map_or(due, |next| next.min(due)));
                }
            }
        }
        if let Some(at) = next {
            app.expected = true;
            self.overdue.insert((at, key));
        }
        for member in late {
            self.instances[member].sick = true;
            let words = format!("it did not start within {} s", timeout / 1000);
            self.kill(member, Order::Kill, false, words.into());
        }
    }
}
