//! What was: `/hansa/v1/events/history` and `/hansa/v1/tasks/{id}/history`.

use super::error::ApiError;
use super::extract::Query;
use super::lists::Words;
use crate::Master;
use crate::read_model::PastKind;
use axum::Json;
use axum::extract::{Path, State};
use hansa_api::past::{PastEvent, PastEvents, PastState, TaskHistory};
use hansa_model::TaskId;
use serde::Deserialize;

/// Events in an answer unless the client says otherwise, and at most.
const USUAL: usize = 200;
const MOST: usize = 1_000;

const KINDS: [(&str, PastKind); 7] = [
    ("node", PastKind::Node),
    ("service", PastKind::Service),
    ("task", PastKind::Task),
    ("deployment", PastKind::Deployment),
    ("role", PastKind::Role),
    ("framework", PastKind::Framework),
    ("alarm", PastKind::Alarm),
];

/// Which events.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    q: Option<String>,
    only: Option<String>,
    before: Option<String>,
    limit: Option<usize>,
}

/// `GET /hansa/v1/events/history`
pub(super) async fn events(
    State(master): State<Master>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<PastEvents>, ApiError> {
    let term = master.identity().term.0;
    let before = wanted.before.as_deref().map(|id| number_of(id, term)).transpose()?;
    let kinds = wanted.only.as_deref().map(kinds).transpose()?;
    let words = Words::parse(wanted.q.as_deref());
    let limit = wanted.limit.unwrap_or(USUAL).clamp(1, MOST);
    let model = master.read();
    // At most the 12,000 that are remembered are looked at: a millisecond or two.
    let mut found = model.past().filter(|past| {
        before.is_none_or(|before| past.number < before)
            && kinds.as_ref().is_none_or(|kinds| kinds.contains(&past.kind))
            && words.are_in(&[
                name(past.kind),
                &past.subject,
                &past.words,
                past.hostname.as_deref().unwrap_or_default(),
                past.service.as_ref().map_or("", |service| service.as_str()),
            ])
    });
    let events: Vec<PastEvent> = found
        .by_ref()
        .take(limit)
        .map(|past| PastEvent {
            id: format!("{term}-{}", past.number),
            at: past.at,
            name: name(past.kind).into(),
            subject: past.subject.clone(),
            words: past.words.clone(),
            service: past.service.clone(),
            hostname: past.hostname.as_deref().map(str::to_owned),
        })
        .collect();
    let next = found.next().and_then(|_| events.last()).map(|last| last.id.clone());
    Ok(Json(PastEvents { events, next }))
}

fn name(kind: PastKind) -> &'static str {
    KINDS.iter().find(|(_, known)| *known == kind).map_or("", |(name, _)| name)
}

fn kinds(only: &str) -> Result<Vec<PastKind>, ApiError> {
    let names = only.split(',').map(str::trim).filter(|name| !name.is_empty());
    let known = |name: &str| {
        let found = KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        found.ok_or_else(|| {
            ApiError::invalid("only", format!("there are no events of kind '{name}'"))
                .remedy(KINDS.map(|(name, _)| name).join(", "))
        })
    };
    names.map(known).collect()
}

/// The number in an id. One of an earlier leadership is before everything that is remembered.
fn number_of(id: &str, term: u64) -> Result<u64, ApiError> {
    let number = |text: &str| text.parse::<u64>().ok();
    let parts = id.split_once('-').and_then(|(of_term, past)| Some((number(of_term)?, number(past)?)));
    match parts {
        Some((of_term, past)) if of_term == term => Ok(past),
        Some((of_term, _)) if of_term < term => Ok(0),
        _ => Err(ApiError::invalid("before", format!("'{id}' is no event's id"))
            .remedy("give what `next` of the page before said")),
    }
}

/// `GET /hansa/v1/tasks/{id}/history`
pub(super) async fn task(
    State(master): State<Master>,
    Path(id): Path<TaskId>,
) -> Result<Json<TaskHistory>, ApiError> {
    let model = master.read();
    let told = model.told_or_ended(&id).ok_or_else(|| super::tasks::unknown(&id))?;
    let marks = told.marks.iter().map(|mark| PastState {
        state: mark.state,
        at: mark.since,
        message: mark.message.as_deref().unwrap_or_default().to_owned(),
        reason: mark.reason.map(|reason| reason.name()),
        healthy: mark.healthy,
        exit: mark.exit,
    });
    let states = std::iter::once(PastState::staged(&told.view)).chain(marks).collect();
    Ok(Json(TaskHistory { task: id, states }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_other_leaderships_are_before_or_none() {
        assert_eq!(number_of("3-17", 3).unwrap(), 17);
        assert_eq!(number_of("2-17", 3).unwrap(), 0);
        for id in ["4-1", "3", "", "3-x", "x-3"] {
            assert!(number_of(id, 3).is_err(), "{id}");
        }
    }
}
