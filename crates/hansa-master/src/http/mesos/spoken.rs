//! What frameworks and the master said to each other, counted by framework and kind since the master began to lead: the
//! scheduler API's calls and events, and the operations of accepted offers, as `/metrics/snapshot` tells them.

use hansa_mesos::proto::v1;
use hansa_mesos::proto::v1::scheduler::{Call, Event, call, event};
use hansa_model::FrameworkId;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How often, by kind.
type Counts = BTreeMap<&'static str, u64>;

/// What was counted of a framework.
#[derive(Clone, Debug, Default)]
struct Of {
    calls: Counts,
    events: Counts,
    operations: Counts,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Spoken(Mutex<BTreeMap<FrameworkId, Of>>);

impl Spoken {
    /// A framework has called; of an acceptance, with these operations.
    pub(super) fn called(&self, id: &FrameworkId, call: &Call) {
        self.with(id, |of| {
            *of.calls.entry(call.r#type().as_str_name()).or_default() += 1;
            for operation in call.accept.iter().flat_map(|accept| &accept.operations) {
                *of.operations.entry(operation.r#type().as_str_name()).or_default() += 1;
            }
        });
    }

    /// A framework is subscribed, which was its first call.
    pub(super) fn subscribed(&self, id: &FrameworkId) {
        self.with(id, |of| *of.calls.entry(call::Type::Subscribe.as_str_name()).or_default() += 1);
    }

    /// A framework is told something.
    pub(super) fn told(&self, id: &FrameworkId, event: &Event) {
        if !id.as_str().is_empty() {
            self.with(id, |of| *of.events.entry(event.r#type().as_str_name()).or_default() += 1);
        }
    }

    /// What was counted of a framework, by the ends of the names of metrics: of every kind, also if there was none.
    pub(super) fn numbers(&self, id: &FrameworkId) -> Vec<(String, u64)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = all.get(id).cloned().unwrap_or_default();
        let calls = kinds(|number| call::Type::try_from(number).ok().map(|kind| kind.as_str_name()));
        let events = kinds(|number| event::Type::try_from(number).ok().map(|kind| kind.as_str_name()));
        let operations = kinds(|number| {
            let kind = v1::offer::operation::Type::try_from(number).ok();
            kind.map(|kind| kind.as_str_name())
        });
        let mut numbers = Vec::new();
        for (what, kinds, counts) in [
            ("calls", calls, of.calls),
            ("events", events, of.events),
            ("operations", operations, of.operations),
        ] {
            numbers.push((what.to_owned(), counts.values().sum()));
            for kind in kinds {
                let count = counts.get(kind).copied().unwrap_or_default();
                numbers.push((format!("{what}/{}", kind.to_lowercase()), count));
            }
        }
        numbers
    }

    /// Only these frameworks are still there.
    pub(super) fn keep(&self, is_there: impl Fn(&FrameworkId) -> bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|id, _| is_there(id));
    }

    fn with(&self, id: &FrameworkId, count: impl FnOnce(&mut Of)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(id) {
            all.insert(id.clone(), Of::default());
        }
        if let Some(of) = all.get_mut(id) {
            count(of);
        }
    }
}

/// The names of all kinds of something but the unknown one, which is 0.
fn kinds(name: impl Fn(i32) -> Option<&'static str>) -> Vec<&'static str> {
    /// More than there are kinds of anything.
    const MOST: i32 = 64;
    (1..MOST).filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_counted_by_kind() {
        let spoken = Spoken::default();
        let (id, other) = (FrameworkId::from("f"), FrameworkId::from("g"));
        let operation = |kind: v1::offer::operation::Type| v1::offer::Operation {
            r#type: Some(kind as i32),
            ..Default::default()
        };
        let operations = vec![
            operation(v1::offer::operation::Type::LaunchGroup),
            operation(v1::offer::operation::Type::Reserve),
            operation(v1::offer::operation::Type::Reserve),
        ];
        let accept = call::Accept { operations, ..Default::default() };
        let call =
            Call { r#type: Some(call::Type::Accept as i32), accept: Some(accept), ..Default::default() };
        spoken.subscribed(&id);
        spoken.called(&id, &call);
        spoken.told(&id, &hansa_mesos::event::heartbeat());
        spoken.told(&FrameworkId::from(""), &hansa_mesos::event::heartbeat());
        let numbers: BTreeMap<String, u64> = spoken.numbers(&id).into_iter().collect();
        let some = numbers.iter().filter(|(_, count)| **count > 0);
        let some: Vec<_> = some.map(|(name, count)| format!("{name} {count}")).collect();
        assert_eq!(
            some,
            [
                "calls 2",
                "calls/accept 1",
                "calls/subscribe 1",
                "events 1",
                "events/heartbeat 1",
                "operations 3",
                "operations/launch_group 1",
                "operations/reserve 2",
            ]
        );
        assert!(numbers.contains_key("calls/update_framework") && !numbers.contains_key("calls/unknown"));
        assert!(spoken.numbers(&other).iter().all(|(_, count)| *count == 0));
        spoken.keep(|id| *id == other);
        assert!(spoken.numbers(&id).iter().all(|(_, count)| *count == 0));
    }
}
