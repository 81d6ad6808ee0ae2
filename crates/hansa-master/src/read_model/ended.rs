//! Tasks that ended and are remembered for a while: the newest of each service, so that one that fails again and again
//! does not push out all others, and the newest of all.

use super::frameworks::Told;
use hansa_model::{AppId, TaskId};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, VecDeque};

/// Ended tasks that are remembered of one service.
pub const ENDED_OF_SERVICE: usize = 50;

/// Ended tasks that are remembered of all services together: some 5 MB.
pub const ENDED_OF_SERVICES: usize = 5_000;

/// Ended tasks of services, in the order in which they were forgotten by the kernel.
#[derive(Debug, Default)]
pub(super) struct EndedOfServices {
    next: u64,
    in_order: BTreeMap<u64, Told>,
    by_service: FxHashMap<AppId, VecDeque<u64>>,
}

impl EndedOfServices {
    /// Puts one behind the others; gives those that had to go for it.
    pub(super) fn push(&mut self, service: &AppId, told: Told) -> Vec<TaskId> {
        let number = self.next;
        self.next += 1;
        self.in_order.insert(number, told);
        let of_service = self.by_service.entry(service.clone()).or_default();
        of_service.push_back(number);
        let mut gone = Vec::new();
        if of_service.len() > ENDED_OF_SERVICE
            && let Some(oldest) = of_service.pop_front()
        {
            gone.extend(self.in_order.remove(&oldest));
        }
        if self.in_order.len() > ENDED_OF_SERVICES
            && let Some((number, oldest)) = self.in_order.pop_first()
        {
            self.left(number, &oldest);
            gone.push(oldest);
        }
        gone.into_iter().map(|told| told.view.status.task.clone()).collect()
    }

    fn left(&mut self, number: u64, told: &Told) {
        let Some(service) = super::app_of(&told.view) else { return };
        let Some(of_service) = self.by_service.get_mut(service) else { return };
        of_service.retain(|other| *other != number);
        if of_service.is_empty() {
            self.by_service.remove(service);
        }
    }

    /// The oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Told> {
        self.in_order.values()
    }
}
