//! Frameworks whose offers or tasks changed. Such changes come in hundreds a second, so they are told once a second, as
//! things are then, and only of those frameworks that hold more or fewer offers than was told, or whose tasks moved.

use super::super::frameworks;
use crate::read_model::{ReadModel, framework_of};
use hansa_api::hansa::StreamEvent;
use hansa_model::FrameworkId;
use hansa_model::event::{Event, Published};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The time between two such frames of a framework, at least.
const EVERY: Duration = Duration::from_secs(1);

/// Frameworks told of at once; the others a moment later.
const AT_ONCE: usize = 50;

/// What was told of frameworks, and what is to be told.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Offers that each held when it was last looked.
    told: BTreeMap<FrameworkId, usize>,
    /// Those to tell of.
    open: BTreeSet<FrameworkId>,
    /// Offers came or went since it was last looked.
    offers_changed: bool,
    due: Option<Instant>,
}

impl Standing {
    /// What changes from here on is to be told. A client that goes on where it was may have missed something of each.
    pub(super) fn begin(model: &ReadModel, goes_on: bool) -> Self {
        let ids = model.frameworks().map(|framework| framework.view.info.id.clone());
        let open: BTreeSet<FrameworkId> = ids.filter(|_| goes_on).collect();
        let due = (!open.is_empty()).then(|| Instant::now() + EVERY);
        Self { told: held(model), open, offers_changed: false, due }
    }

    /// What happened.
    pub(super) fn notice(&mut self, batch: &[Arc<Published>]) {
        for event in batch.iter().flat_map(|published| &published.events) {
            match event {
                Event::Offer(_) | Event::OfferEnded { .. } => self.offers_changed = true,
                Event::Task { view, .. } => self.open.extend(framework_of(view).cloned()),
                _ => continue,
            }
            if self.offers_changed || !self.open.is_empty() {
                self.due.get_or_insert_with(|| Instant::now() + EVERY);
            }
        }
    }

    /// Comes when it is time for frames; never, if there is nothing to tell.
    pub(super) async fn tick(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// What is to be told now.
    pub(super) fn frames(&mut self, model: &ReadModel) -> Vec<StreamEvent> {
        if std::mem::take(&mut self.offers_changed) {
            let now = held(model);
            let known = |id: &FrameworkId| self.told.get(id).copied().unwrap_or(0);
            let moved = now.iter().filter(|&(id, count)| *count != known(id)).map(|(id, _)| id);
            let emptied = self.told.keys().filter(|id| !now.contains_key(*id));
            self.open.extend(moved.chain(emptied).cloned().collect::<Vec<_>>());
            self.told = now;
        }
        let capacity = frameworks::capacity(model);
        let mut frames = Vec::new();
        while frames.len() < AT_ONCE
            && let Some(id) = self.open.pop_first()
        {
            // Of those that are gone for ever, it was told.
            let framework = model.framework(id.as_str());
            frames.extend(
                framework.map(|framework| {
                    StreamEvent::Framework(frameworks::summary(model, framework, &capacity))
                }),
            );
        }
        self.due = (!self.open.is_empty()).then(|| Instant::now() + EVERY);
        frames
    }
}

/// How many offers each framework holds.
fn held(model: &ReadModel) -> BTreeMap<FrameworkId, usize> {
    model.offers_held().map(|(id, count)| (id.clone(), count)).collect()
}
