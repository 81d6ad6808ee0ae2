//! What all probes of a task share, be they health checks, readiness checks or the general check: each is asked in its own
//! rhythm, one question at a time, and an answer that comes too late is none.
//!
//! Where a question goes and what follows from an answer stands in `health`, `readiness` and `general`. A probe is known by
//! one number: health checks come first, then readiness checks, then the general check.

use crate::env::own_ports;
use crate::io::{Output, ProbeOrder, ProbeOutcome, ProbeTarget};
use crate::node::Node;
use crate::reach::Reach;
use crate::saved::{KillCause, SavedGroup};
use crate::timers::Timer;
use crate::{general, health, readiness};
use hansa_model::spec::TaskSpec;
use hansa_model::task::{Reason, TaskState};
use hansa_model::{InstanceId, Timestamp};

/// Nothing is asked more often than this, whatever the spec says.
const MIN_INTERVAL_MS: u64 = 100;

/// When one probe is asked.
#[derive(Clone, Debug)]
pub struct Rhythm {
    /// When the next question is due.
    next_at: Timestamp,
    /// The question under way: its number, and when it has failed.
    under_way: Option<(u64, Timestamp)>,
    /// Questions asked by this process.
    asked: u64,
}

/// What a due probe wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Ask, with this number; look again at the time.
    Ask(u64, Timestamp),
    /// The question under way took too long; look again at once.
    TimedOut,
    /// Nothing yet; look again then.
    Later(Timestamp),
}

impl Rhythm {
    /// The first question is due at `first_at`.
    pub fn new(first_at: Timestamp) -> Self {
        Self { next_at: first_at, under_way: None, asked: 0 }
    }

    /// When to look again.
    pub fn due_at(&self) -> Timestamp {
        self.under_way.map_or(self.next_at, |(_, until)| until)
    }

    /// What to do at `now`.
    pub fn due(&mut self, interval_ms: u64, timeout_ms: u64, now: Timestamp) -> Due {
        match self.under_way {
            Some((_, until)) if now >= until => Due::TimedOut,
            Some((_, until)) => Due::Later(until),
            None if now >= self.next_at => {
                self.asked += 1;
                let until = now + timeout_ms.max(1);
                self.under_way = Some((self.asked, until));
                self.next_at = now + interval_ms.max(MIN_INTERVAL_MS);
                Due::Ask(self.asked, until)
            }
            None => Due::Later(self.next_at),
        }
    }

    /// Ends the question under way if it has this number. False: the answer is stale.
    pub fn finish(&mut self, number: u64) -> bool {
        let current = self.under_way.is_some_and(|(under_way, _)| under_way == number);
        if current {
            self.under_way = None;
        }
        current
    }

    /// Ends the question under way, whichever it is.
    pub fn abandon(&mut self) {
        self.under_way = None;
    }
}

/// Which of a task's probes, by its place among those of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Health(usize),
    Readiness(usize),
    General,
}

impl Which {
    fn of(task: &TaskSpec, index: usize) -> Option<Self> {
        let (health, readiness) = (task.health_checks.len(), task.readiness_checks.len());
        match index {
            _ if index < health => Some(Self::Health(index)),
            _ if index < health + readiness => Some(Self::Readiness(index - health)),
            _ if index == health + readiness && task.check.is_some() => Some(Self::General),
            _ => None,
        }
    }

    /// Milliseconds before the first question, from one to the next, and until an answer is too late.
    fn timing(self, task: &TaskSpec) -> (u64, u64, u64) {
        match self {
            Self::Health(at) => {
                let check = &task.health_checks[at];
                (check.delay_ms, check.interval_ms, check.timeout_ms)
            }
            Self::Readiness(at) => {
                let check = &task.readiness_checks[at];
                (0, check.interval_ms, check.timeout_ms)
            }
            Self::General => task
                .check
                .as_ref()
                .map_or((0, 0, 0), |check| (check.delay_ms, check.interval_ms, check.timeout_ms)),
        }
    }

    fn target(self, group: &SavedGroup, at: usize, machine: &str) -> Result<ProbeTarget, String> {
        let task = &group.launch.group.tasks[at];
        // Inside an executor's surroundings the network is the executor's.
        let shared = group.executor().filter(|_| group.is_pod());
        let reach = Reach {
            network: shared.map_or(&task.network, |run| &run.spec.network),
            ports: own_ports(&group.launch, at),
            machine,
            own: group.statuses[at].as_ref().and_then(|status| status.addresses.first()).map(String::as_str),
        };
        match self {
            Self::Health(at) => health::target(&task.health_checks[at], reach),
            Self::Readiness(at) => readiness::target(&task.readiness_checks[at], &group.launch, machine),
            Self::General => general::target(task.check.as_ref().ok_or("there is no check")?, reach),
        }
    }
}

impl Node {
    /// Starts (or, after a restart, continues) the probes of a task that runs.
    pub(crate) fn begin_checks(&mut self, now: Timestamp, instance: &InstanceId) {
        let Some((of, place)) = self.task_in(instance) else { return };
        let group = &self.saved.groups()[&of];
        let Some(live) = self.live.get_mut(instance) else { return };
        let task = &group.launch.group.tasks[place];
        let since = group.running_since.unwrap_or(now);
        let known = group.statuses[place].as_ref();
        let health = known.map(|status| status.health.as_slice()).unwrap_or_default();
        let readiness = known.map(|status| status.readiness.as_slice()).unwrap_or_default();
        let places = |count: usize| 0..count;
        live.health =
            places(task.health_checks.len()).map(|at| health.get(at).cloned().unwrap_or_default()).collect();
        live.readiness = places(task.readiness_checks.len()).map(|at| readiness.get(at).cloned()).collect();
        live.check = known.and_then(|status| status.check);
        live.rhythms.clear();
        for (index, which) in (0..).map_while(|index| Some((index, Which::of(task, index)?))) {
            let (delay_ms, _, _) = which.timing(task);
            let rhythm = Rhythm::new(now.max(since + delay_ms));
            self.timers.set(rhythm.due_at(), Timer::Check(instance.clone(), index));
            live.rhythms.push(rhythm);
        }
    }

    /// It is time for a probe, or for its answer.
    pub(crate) fn probe_due(&mut self, now: Timestamp, instance: &InstanceId, index: usize) {
        let Some((of, place)) = self.task_in(instance) else { return };
        let group = &self.saved.groups()[&of];
        if group.kill.is_some() {
            return;
        }
        let task = &group.launch.group.tasks[place];
        let (Some(which), Some(live)) = (Which::of(task, index), self.live.get_mut(instance)) else { return };
        if matches!(which, Which::Readiness(at) if readiness::is_there(live, at)) {
            return;
        }
        let Some(rhythm) = live.rhythms.get_mut(index) else { return };
        let again = Timer::Check(instance.clone(), index);
        let (_, interval_ms, timeout_ms) = which.timing(task);
        let failure = match rhythm.due(interval_ms, timeout_ms, now) {
            Due::Later(then) => return self.timers.set(then, again),
            Due::Ask(number, until) => match which.target(group, place, &self.config.ip) {
                Ok(target) => {
                    self.timers.set(until, again);
                    return self.out.push(Output::RunProbe(Box::new(ProbeOrder {
                        instance: instance.clone(),
                        task: group.launch.tasks[place].clone(),
                        check: index,
                        number,
                        target,
                        timeout_ms,
                    })));
                }
                Err(cause) => cause,
            },
            Due::TimedOut => format!("no answer within {timeout_ms} ms"),
        };
        rhythm.abandon();
        self.timers.set(rhythm.due_at().max(now), again);
        self.conclude(now, instance, which, ProbeOutcome::Unhealthy { cause: failure });
    }

    /// A probe came back.
    pub(crate) fn probed(
        &mut self,
        now: Timestamp,
        instance: &InstanceId,
        index: usize,
        number: u64,
        outcome: ProbeOutcome,
    ) {
        let Some((of, place)) = self.task_in(instance) else { return };
        let Some(which) = Which::of(&self.saved.groups()[&of].launch.group.tasks[place], index) else {
            return;
        };
        let Some(rhythm) = self.live.get_mut(instance).and_then(|live| live.rhythms.get_mut(index)) else {
            return;
        };
        if rhythm.finish(number) {
            self.timers.set(rhythm.due_at().max(now), Timer::Check(instance.clone(), index));
            self.conclude(now, instance, which, outcome);
        }
    }

    /// Takes an outcome, and reports it if it says something new.
    fn conclude(&mut self, now: Timestamp, instance: &InstanceId, which: Which, outcome: ProbeOutcome) {
        let Some((of, place)) = self.task_in(instance) else { return };
        let group = &self.saved.groups()[&of];
        let Some(live) = self.live.get_mut(instance).filter(|_| group.kill.is_none()) else { return };
        let task = &group.launch.group.tasks[place];
        let words = match &outcome {
            ProbeOutcome::Unhealthy { cause } => cause.clone(),
            _ => String::new(),
        };
        let mut hopeless = false;
        let (news, reason) = match which {
            Which::Health(at) => {
                let since = group.running_since.unwrap_or(now);
                let check = &task.health_checks[at];
                let news = health::judge(&mut live.health[at], check, since, now, outcome);
                // A service's scheduler decides for itself; for a framework's task nobody else would.
                hopeless = group.launch.framework.is_some() && health::is_hopeless(&live.health[at], check);
                (news, Reason::ReasonTaskHealthCheckStatusUpdated)
            }
            Which::Readiness(at) => {
                let news = readiness::judge(&mut live.readiness[at], &task.readiness_checks[at], outcome);
                (news, Reason::ReasonTaskCheckStatusUpdated)
            }
            Which::General => {
                (general::judge(&mut live.check, outcome), Reason::ReasonTaskCheckStatusUpdated)
            }
        };
        if news {
            let message = words.clone();
            self.report(now, &of, place, TaskState::Running, |status| {
                status.reason = Some(reason);
                status.message = message;
            });
        }
        if hopeless {
            let message = format!("its health check failed too often: {words}");
            self.end_group(now, &of, KillCause::Unhealthy, None, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hansa_model::app::{GeneralCheck, Question};

    #[test]
    fn questions_come_at_their_interval_one_at_a_time() {
        let mut rhythm = Rhythm::new(Timestamp(5_000));
        let due = |rhythm: &mut Rhythm, at| rhythm.due(1_000, 300, Timestamp(at));
        assert_eq!(due(&mut rhythm, 1_000), Due::Later(Timestamp(5_000)));
        assert_eq!(due(&mut rhythm, 5_000), Due::Ask(1, Timestamp(5_300)));
        assert_eq!(due(&mut rhythm, 5_100), Due::Later(Timestamp(5_300)));
        assert!(rhythm.finish(1) && !rhythm.finish(1));
        assert_eq!(rhythm.due_at(), Timestamp(6_000), "counted from the question");
        assert_eq!(due(&mut rhythm, 6_050), Due::Ask(2, Timestamp(6_350)));
        assert_eq!(due(&mut rhythm, 6_350), Due::TimedOut);
        rhythm.abandon();
        assert!(!rhythm.finish(2), "its answer comes too late");
    }

    #[test]
    fn one_number_for_each_probe() {
        let check =
            GeneralCheck { question: Question::Tcp, port: None, interval_ms: 3, timeout_ms: 2, delay_ms: 1 };
        let task = TaskSpec { check: Some(check), ..TaskSpec::default() };
        assert_eq!(Which::of(&task, 0), Some(Which::General));
        assert_eq!(Which::General.timing(&task), (1, 3, 2));
        assert_eq!(Which::of(&task, 1), None);
        assert_eq!(Which::of(&TaskSpec::default(), 0), None);
    }
}
