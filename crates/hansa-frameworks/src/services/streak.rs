//! Failures in a row: a restart loop is shown as such, with its count and its growing delay, until the app has held for a
//! while; and instances that never come up are ended and replaced.

use super::apps::App;
use super::instances::{Class, Order};
use super::{AppKey, InstanceKey, Output, Services};
use hansa_model::Timestamp;
use hansa_model::event::{Event, Failing};

/// After so many failures in a row an app is failing, or after one for every ten instances that it wants.
const FAILURES: u32 = 3;
/// An app that has not failed for this long, and twice its delay, has recovered if all of its instances are ready.
const QUIET_MS: u64 = 60_000;

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
    pub(super) fn count_failure(&mut self, now: Timestamp, key: AppKey, config: Timestamp, words: String) {
        let app = &mut self.apps[key];
        let earlier =
            app.streak.take().filter(|streak| streak.config == config && now < app.recovers_at(streak));
        let streak = match earlier {
            Some(streak) => Streak { count: streak.count + 1, last_at: now, last: words, ..streak },
            None => Streak { config, since: now, last_at: now, count: 1, last: words },
        };
        let at = app.recovers_at(&streak);
        let first = streak.count == 1;
        app.streak = Some(streak);
        if first {
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
            app.streak = None;
            out.events.extend(app.view().map(Event::App));
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
