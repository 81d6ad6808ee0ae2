//! Readiness checks of one task: asked from the moment that it runs until they say "ready", and not again.
//!
//! They are probes like health checks, numbered after them. Nothing ends for what they say; a deployment waits for it.

use crate::env::own_ports;
use crate::health::{Check, Due};
use crate::io::{Output, ProbeOrder, ProbeOutcome, ProbeTarget};
use crate::node::Node;
use crate::timers::Timer;
use hansa_model::app::{HealthCheck, Probe, ReadinessCheck};
use hansa_model::spec::Launch;
use hansa_model::task::{CheckResponse, HealthResult, ReadinessResult, Reason, TaskState};
use hansa_model::{InstanceId, Timestamp};

/// One readiness check's state.
#[derive(Clone, Debug)]
pub struct Asking {
    /// When it is asked.
    check: Check,
    /// What it said last; None: nothing yet.
    pub result: Option<ReadinessResult>,
}

/// What of a readiness check says when it is asked.
fn timing(check: &ReadinessCheck) -> HealthCheck {
    HealthCheck {
        protocol: String::new(),
        probe: Probe::Tcp,
        port: None,
        grace_ms: 0,
        interval_ms: check.interval_ms,
        timeout_ms: check.timeout_ms,
        max_consecutive_failures: 0,
        delay_ms: 0,
        ip_protocol: String::new(),
    }
}

/// Where a readiness check goes.
fn target(check: &ReadinessCheck, launch: &Launch, ip: &str) -> Result<ProbeTarget, String> {
    let names = &launch.group.tasks[0].port_names;
    let named = names.iter().position(|name| name.as_deref() == Some(check.port_name.as_str()));
    let port = named.and_then(|index| own_ports(launch, 0).get(index).copied());
    let port = port.ok_or_else(|| format!("the task has no port named {}", check.port_name))?;
    let path = if check.path.starts_with('/') { check.path.clone() } else { format!("/{}", check.path) };
    Ok(ProbeTarget::Ready {
        host: ip.to_owned(),
        port,
        path,
        tls: check.tls,
        codes: check.ready_codes.clone(),
        keep: check.preserve_last_response,
    })
}

impl Node {
    /// Starts (or, after a restart, continues) to ask a task that runs.
    pub(crate) fn begin_readiness(&mut self, now: Timestamp, instance: &InstanceId) {
        let Some(group) = self.saved.groups().get(instance) else { return };
        let task = &group.launch.group.tasks[0];
        let known = group.statuses[0].as_ref().map(|status| status.readiness.as_slice()).unwrap_or_default();
        let Some(live) = self.live.get_mut(instance) else { return };
        live.readiness.clear();
        for (at, _) in task.readiness_checks.iter().enumerate() {
            let result = known.get(at).cloned();
            if !result.as_ref().is_some_and(|result| result.ready) {
                self.timers.set(now, Timer::Check(instance.clone(), task.health_checks.len() + at));
            }
            live.readiness.push(Asking { check: Check::new(now, HealthResult::default()), result });
        }
    }

    /// It is time for the check with this place among the readiness checks.
    pub(crate) fn readiness_due(&mut self, now: Timestamp, instance: &InstanceId, at: usize) {
        let Some(group) = self.saved.groups().get(instance).filter(|group| group.kill.is_none()) else {
            return;
        };
        let task = &group.launch.group.tasks[0];
        let index = task.health_checks.len() + at;
        let (Some(spec), Some(asking)) = (
            task.readiness_checks.get(at),
            self.live.get_mut(instance).and_then(|live| live.readiness.get_mut(at)),
        ) else {
            return;
        };
        if asking.result.as_ref().is_some_and(|result| result.ready) {
            return;
        }
        let again = Timer::Check(instance.clone(), index);
        match asking.check.due(&timing(spec), now) {
            Due::Later(then) => self.timers.set(then, again),
            Due::TimedOut => {
                asking.check.abandon();
                self.timers.set(asking.check.due_at().max(now), again);
                self.answered(now, instance, at, false, None);
            }
            Due::Probe(number, until) => match target(spec, &group.launch, &self.config.ip) {
                Ok(target) => {
                    self.timers.set(until, again);
                    self.out.push(Output::RunProbe(Box::new(ProbeOrder {
                        instance: instance.clone(),
                        task: group.launch.tasks[0].clone(),
                        check: index,
                        number,
                        target,
                        timeout_ms: spec.timeout_ms,
                    })));
                }
                Err(_) => {
                    asking.check.abandon();
                    self.timers.set(asking.check.due_at(), again);
                    self.answered(now, instance, at, false, None);
                }
            },
        }
    }

    /// A readiness check's probe came back.
    pub(crate) fn readiness_probed(
        &mut self,
        now: Timestamp,
        instance: &InstanceId,
        at: usize,
        number: u64,
        outcome: ProbeOutcome,
    ) {
        let Some(group) = self.saved.groups().get(instance) else { return };
        let index = group.launch.group.tasks[0].health_checks.len() + at;
        let Some(asking) = self.live.get_mut(instance).and_then(|live| live.readiness.get_mut(at)) else {
            return;
        };
        if !asking.check.finish(number) {
            return;
        }
        self.timers.set(asking.check.due_at().max(now), Timer::Check(instance.clone(), index));
        match outcome {
            ProbeOutcome::Answered { ready, response } => self.answered(now, instance, at, ready, response),
            outcome => self.answered(now, instance, at, outcome == ProbeOutcome::Healthy, None),
        }
    }

    /// Takes an answer, and reports it if it is another one than before.
    fn answered(
        &mut self,
        now: Timestamp,
        instance: &InstanceId,
        at: usize,
        ready: bool,
        response: Option<CheckResponse>,
    ) {
        let Some(group) = self.saved.groups().get(instance).filter(|group| group.kill.is_none()) else {
            return;
        };
        let Some(spec) = group.launch.group.tasks[0].readiness_checks.get(at) else { return };
        let name = spec.name.clone();
        let Some(asking) = self.live.get_mut(instance).and_then(|live| live.readiness.get_mut(at)) else {
            return;
        };
        let said = |result: &ReadinessResult| {
            (result.ready, result.last_response.as_ref().map(|response| response.status))
        };
        let result = ReadinessResult { name, ready, last_response: response };
        let news = asking.result.as_ref().map(said) != Some(said(&result));
        asking.result = Some(result);
        if news {
            self.report(now, instance, 0, TaskState::Running, |status| {
                status.reason = Some(Reason::ReasonTaskCheckStatusUpdated);
            });
        }
    }
}
