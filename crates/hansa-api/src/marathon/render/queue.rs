//! What waits for places, in Marathon's shape: fixed reasons, in funnel order, all ten of them.

use super::{app, mib, milli};
use hansa_model::Timestamp;
use hansa_model::app::AppVersion;
use hansa_model::event::AgentView;
use hansa_model::explain::{Explanation, FUNNEL, QueueItem};
use hansa_model::role::Totals;
use serde_json::{Value, json};
use std::sync::Arc;

/// Finds a machine by its name.
pub type FindAgent<'a> = &'a dyn Fn(&str) -> Option<Arc<AgentView>>;

/// An app that waits. Marathon's newest line adds `role`, which is the app's and stands there; the PyPI client fails on a
/// field more. With `unused`, `lastUnusedOffers` is added.
pub fn item(
    waiting: &QueueItem,
    current: &AppVersion,
    now: Timestamp,
    unused: Option<FindAgent<'_>>,
) -> Value {
    let left = waiting.delayed_until.map_or(0, |until| until.since(now));
    let mut shown = json!({
        "count": waiting.count,
        // Rounded up: zero means that nothing is waited for but a place.
        "delay": {"timeLeftSeconds": left.div_ceil(1_000), "overdue": left == 0},
        "since": waiting.since.to_rfc3339(),
        "app": app::version(current),
        "processedOffersSummary": summary(&waiting.explanation, now),
    });
    if let Some(agent) = unused {
        shown["lastUnusedOffers"] = unused_offers(&waiting.explanation, now, agent);
    }
    shown
}

fn summary(explanation: &Explanation, now: Timestamp) -> Value {
    let funnel = explanation.funnel();
    let unused: u32 = funnel.iter().map(|step| step.declined).sum();
    let mut shown = json!({
        "processedOffersCount": explanation.machines,
        "unusedOffersCount": unused,
        "rejectSummaryLastOffers": funnel,
        "rejectSummaryLaunchAttempt": funnel,
    });
    if unused > 0 {
        shown["lastUnusedOfferAt"] = json!(now.to_rfc3339());
    }
    shown
}

/// The machines that are named in the explanation, as the offers that they would make.
fn unused_offers(explanation: &Explanation, now: Timestamp, agent: FindAgent<'_>) -> Value {
    let mut offers = Vec::new();
    for group in &explanation.groups {
        let applies = |reason: &&str| group.obstacles.iter().any(|obstacle| obstacle.reason() == *reason);
        let reasons: Vec<&str> = FUNNEL.into_iter().filter(applies).collect();
        for view in group.examples.iter().filter_map(|hostname| agent(hostname)) {
            offers.push(json!({"offer": offer(&view), "reason": reasons, "timestamp": now.to_rfc3339()}));
        }
    }
    Value::Array(offers)
}

fn offer(agent: &AgentView) -> Value {
    let (total, used) = (Totals::of(&agent.total), &agent.allocated);
    let scalar = |name: &str, value: Value| json!({"name": name, "role": "*", "scalar": value});
    let mut resources = vec![
        scalar("cpus", milli(total.cpus_milli.saturating_sub(used.cpus_milli))),
        scalar("mem", mib(total.mem.saturating_sub(used.mem))),
        scalar("disk", mib(total.disk.saturating_sub(used.disk))),
    ];
    if total.gpus_milli > 0 {
        resources.push(scalar("gpus", milli(total.gpus_milli.saturating_sub(used.gpus_milli))));
    }
    let attributes: Vec<Value> =
        agent.attributes.iter().map(|(name, text)| json!({"name": name, "text": text})).collect();
    json!({
        "id": agent.id,
        "hostname": agent.hostname,
        "agentId": agent.id,
        "resources": resources,
        "attributes": attributes,
    })
}
