//! A plan done: groups, then services as one deployment, then removals.

use super::{Action, Kind, Plan};
use crate::context::Context;
use crate::failure::Failure;
use crate::follow::{Started, Wait};
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

/// A deployment that a plan needed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployed {
    /// Its id.
    pub deployment_id: String,
    /// The services and groups it touches.
    pub of: Vec<String>,
    /// `running` (not waited for), `paused` or `succeeded`.
    pub state: &'static str,
}

/// Does what a plan says. With `force` deployments that are in the way are cancelled.
///
/// # Errors
/// The first thing that was refused or failed; what was done before stays.
pub async fn carry_out(
    plan: &Plan,
    force: bool,
    wait: &Wait,
    context: &Context,
) -> Result<Vec<Deployed>, Failure> {
    let mut done = Vec::new();
    let force = ("force", if force { "true" } else { "false" });
    // A group may depend on something that only comes with the services: then it is tried again after them.
    let mut late = Vec::new();
    for step in plan.with(Kind::Group, &[Action::Create, Action::Change]) {
        match put(context, &format!("/v2/groups{}", step.id), &[force], &step.body).await {
            Ok(started) => done.push(settle(context, started, vec![step.id.clone()], wait).await?),
            Err(_) => late.push(step),
        }
    }
    let services = plan.with(Kind::Service, &[Action::Create, Action::Change]);
    if !services.is_empty() {
        let bodies: Value = services.iter().map(|step| step.body.clone()).collect();
        let ids = services.iter().map(|step| step.id.clone()).collect();
        let started = put(context, "/v2/apps", &[force, ("partialUpdate", "false")], &bodies).await?;
        done.push(settle(context, started, ids, wait).await?);
    }
    for step in late {
        let started = put(context, &format!("/v2/groups{}", step.id), &[force], &step.body).await?;
        done.push(settle(context, started, vec![step.id.clone()], wait).await?);
    }
    let mut left: Vec<String> =
        plan.with(Kind::Service, &[Action::Remove]).into_iter().map(|step| step.id.clone()).collect();
    // What others depend on may go only after them: whatever is refused is tried again once the rest has gone.
    while !left.is_empty() {
        let (before, mut refused, mut again) = (left.len(), None, Vec::new());
        for id in left {
            let path = format!("/v2/apps{id}");
            match context.client.call::<Started>(Method::DELETE, &path, &[force], None).await {
                Ok(started) => done.push(settle(context, started, vec![id], wait).await?),
                Err(failure) => {
                    refused = Some(failure);
                    again.push(id);
                }
            }
        }
        left = again;
        if let Some(failure) = refused.filter(|_| left.len() == before) {
            return Err(failure);
        }
    }
    Ok(done)
}

async fn put(
    context: &Context,
    path: &str,
    query: &[(&str, &str)],
    body: &Value,
) -> Result<Option<Started>, Failure> {
    let answer: Value = context.client.call(Method::PUT, path, query, Some(body)).await?;
    // A group that is already so has no deployment.
    Ok(serde_json::from_value(json!(answer)).ok())
}

async fn settle(
    context: &Context,
    started: impl Into<Option<Started>>,
    of: Vec<String>,
    wait: &Wait,
) -> Result<Deployed, Failure> {
    let Some(started) = started.into() else {
        return Ok(Deployed { deployment_id: String::new(), of, state: "succeeded" });
    };
    let state = context.settle(&started, &of, wait).await?;
    Ok(Deployed { deployment_id: started.deployment_id, of, state })
}
