//! Who is there: frameworks come, come back, say other things of themselves, and go away for a while.

use super::{Framework, FrameworkRecord, names};
use crate::command::{Refusal, ToStream};
use crate::record::Record;
use crate::{Kernel, Step, Timer};
use hansa_model::event::OfferEnd;
use hansa_model::framework::{FrameworkEvent, FrameworkInfo, OfferConstraints, StreamId};
use hansa_model::{FrameworkId, Principal, RoleName, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A framework that is known from the store or from agents has at least so long to come back, however short its own time:
/// it was the master that went away, and the framework's next attempt may be a while off.
const RECOVERED_AT_LEAST_MS: u64 = 120_000;

impl Kernel {
    /// A framework begins to listen on a stream: for the first time, again, or in the place of another connection.
    pub(crate) fn subscribe(
        &mut self,
        step: &mut Step,
        stream: StreamId,
        principal: Principal,
        mut info: FrameworkInfo,
        suppressed: BTreeSet<RoleName>,
        constraints: OfferConstraints,
    ) {
        if let Some(problem) = self.cannot_subscribe(&info, &suppressed) {
            step.stream(stream, ToStream::Event(Box::new(FrameworkEvent::Error(problem))));
            step.stream(stream, ToStream::Close);
            return;
        }
        if info.id.as_str().is_empty() {
            info.id = self.new_framework_id();
        }
        let id = info.id.clone();
        match self.frameworks.by_id.get_mut(&id) {
            None => {
                let framework = Framework::new(Arc::new(info), principal, step.now);
                self.frameworks.by_id.insert(id.clone(), framework);
                self.store_framework(step, &id);
            }
            Some(framework) => {
                let stored = (framework.info.clone(), framework.principal.clone());
                // What cannot be changed stays as it was, without a word.
                info.user.clone_from(&framework.info.user);
                info.checkpoint = framework.info.checkpoint;
                framework.info = Arc::new(info);
                framework.principal = principal;
                framework.reregistered_at = Some(step.now);
                let changed = (&framework.info, &framework.principal) != (&stored.0, &stored.1);
                if let Some(old) = framework.stream.take() {
                    self.frameworks.by_stream.remove(&old);
                    step.stream(
                        old,
                        ToStream::Event(Box::new(FrameworkEvent::Error("Framework failed over".into()))),
                    );
                    step.stream(old, ToStream::Close);
                    // The new stream never saw them.
                    self.end_offers_of(step, &id, OfferEnd::Discarded);
                    self.allocator_deactivate(&id);
                }
                if changed {
                    self.store_framework(step, &id);
                }
            }
        }
        self.cancel_removal(&id);
        self.frameworks.by_stream.insert(stream, id.clone());
        let Some(framework) = self.frameworks.get_mut(&id) else { return };
        framework.stream = Some(stream);
        framework.disconnected_at = None;
        framework.recovered = false;
        framework.hoarded = 0;
        framework.suppressed = suppressed;
        framework.constraints = constraints;
        self.show_framework(step, &id);
        self.tell(step, &id, FrameworkEvent::Subscribed { framework: id.clone() });
        self.allocator_put(&id);
        self.repeat_all(step, &id);
    }

    /// Why a framework cannot subscribe, in Mesos' words where clients look at them.
    fn cannot_subscribe(&self, info: &FrameworkInfo, suppressed: &BTreeSet<RoleName>) -> Option<String> {
        if let Some(problem) = roles_problem(info, suppressed) {
            return Some(problem);
        }
        if self.frameworks.is_removed(&info.id) {
            return Some("Framework has been removed".into());
        }
        let known = self.frameworks.get(&info.id)?;
        (known.info.principal != info.principal)
            .then(|| "Changing framework's principal is not allowed.".to_owned())
    }

    fn new_framework_id(&mut self) -> FrameworkId {
        loop {
            let id = format!("{}-{:04}", self.settings.leadership, self.frameworks.ids_made);
            self.frameworks.ids_made += 1;
            let id = FrameworkId::from(id);
            if self.frameworks.get(&id).is_none() && !self.frameworks.is_removed(&id) {
                return id;
            }
        }
    }

    fn store_framework(&mut self, step: &mut Step, id: &FrameworkId) {
        if let Some(framework) = self.frameworks.get(id) {
            step.record(Record::PutFramework(Box::new(FrameworkRecord::of(framework))));
        }
    }

    /// A framework says other things of itself than before.
    pub(crate) fn update_info(
        &mut self,
        step: &mut Step,
        id: &FrameworkId,
        mut info: FrameworkInfo,
        suppressed: BTreeSet<RoleName>,
        constraints: OfferConstraints,
    ) -> Result<(), Refusal> {
        if let Some(problem) = roles_problem(&info, &suppressed) {
            return Err(Refusal::Invalid(problem));
        }
        let Some(framework) = self.frameworks.get_mut(id) else { return Err(Refusal::UnknownFramework) };
        let old = &framework.info;
        let kept = [
            ("principal", old.principal == info.principal),
            ("user", old.user == info.user),
            ("checkpoint", old.checkpoint == info.checkpoint),
        ];
        if let Some((name, _)) = kept.iter().find(|(_, same)| !same) {
            return Err(Refusal::Invalid(format!(
                "framework_info.{name} cannot be changed; subscribe as another framework instead"
            )));
        }
        info.id = id.clone();
        let left: Vec<RoleName> = old.roles.difference(&info.roles).cloned().collect();
        let changed = *framework.info != info;
        framework.info = Arc::new(info);
        framework.suppressed = suppressed;
        framework.constraints = constraints;
        let offers = framework.offers.clone();
        if changed {
            self.store_framework(step, id);
        }
        for offer in offers {
            if self.frameworks.offers.get(offer).is_some_and(|offer| left.contains(&offer.role)) {
                self.end_offer(step, offer, OfferEnd::Rescinded);
            }
        }
        self.show_framework(step, id);
        self.allocator_put(id);
        Ok(())
    }

    /// A stream ended. If it was a framework's newest, its offers go back and its time runs.
    pub(crate) fn stream_ended(&mut self, step: &mut Step, stream: StreamId) {
        let Some(id) = self.frameworks.by_stream.remove(&stream) else { return };
        let Some(framework) = self.frameworks.get_mut(&id) else { return };
        framework.stream = None;
        framework.disconnected_at = Some(step.now);
        let timeout_ms = framework.info.failover_timeout_ms;
        self.end_offers_of(step, &id, OfferEnd::Discarded);
        self.allocator_deactivate(&id);
        self.stop_repeating(&id);
        self.show_framework(step, &id);
        if timeout_ms == 0 {
            self.remove_framework(step, &id, "its framework disconnected, and its failover timeout is 0");
        } else {
            self.set_removal(&id, step.now + timeout_ms);
        }
    }

    /// Its time to come back is over.
    pub(crate) fn failover_timed_out(&mut self, step: &mut Step, id: &FrameworkId) {
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.removal_at = None;
        }
        self.remove_framework(step, id, "its framework did not come back within its failover timeout");
    }

    /// A framework that is known although it has not subscribed: from the store, or from an agent that holds something of
    /// it. Its time to come back runs from now.
    pub(crate) fn recover_framework(&mut self, now: Timestamp, record: FrameworkRecord) {
        let id = record.info.id.clone();
        let timeout_ms = record.info.failover_timeout_ms.max(RECOVERED_AT_LEAST_MS);
        let mut framework = Framework::new(Arc::new(record.info), record.principal, record.registered_at);
        framework.recovered = true;
        framework.disconnected_at = Some(now);
        self.frameworks.by_id.insert(id.clone(), framework);
        self.allocator_recover(&id);
        self.set_removal(&id, now + timeout_ms);
    }

    fn set_removal(&mut self, id: &FrameworkId, at: Timestamp) {
        self.cancel_removal(id);
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.removal_at = Some(at);
            self.timers.insert((at, Timer::Framework(id.clone())));
        }
    }

    pub(super) fn cancel_removal(&mut self, id: &FrameworkId) {
        if let Some(at) = self.frameworks.get_mut(id).and_then(|framework| framework.removal_at.take()) {
            self.timers.remove(&(at, Timer::Framework(id.clone())));
        }
    }
}

/// What is wrong with the roles that a framework names.
fn roles_problem(info: &FrameworkInfo, suppressed: &BTreeSet<RoleName>) -> Option<String> {
    if info.roles.is_empty() {
        return Some("'FrameworkInfo.roles' is empty: a framework needs at least one role".into());
    }
    if let Some(problem) = info.roles.iter().find_map(names::problem) {
        return Some(format!("'FrameworkInfo.roles' is invalid: {problem}"));
    }
    let other = suppressed.iter().find(|role| !info.roles.contains(*role))?;
    Some(format!("Suppressed role '{other}' is not contained in the list of roles"))
}
