//! `hansa app show`: one service, its definition and its tasks.

use crate::commands::app::list::state;
use crate::commands::task::list::table as task_table;
use crate::context::{Context, app_path};
use crate::failure::Failure;
use crate::table::{pairs, terminal_width};
use crate::text;
use clap::Args;
use hansa_api::hansa::{Health, Service, Task};
use hansa_model::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// Shows a service with its tasks
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// The service's path
    pub id: String,
}

/// All that is shown.
#[derive(Serialize)]
struct Shown {
    service: Service,
    tasks: Vec<Task>,
    /// As `/v2/apps/{id}` gives it.
    definition: Value,
}

/// Does it.
pub async fn run(args: &ShowArgs, context: &Context) -> Result<(), Failure> {
    let id = app_path(&args.id);
    let service: Service = match context.client.get(&format!("/hansa/v1/services{id}"), &[]).await {
        Ok(service) => service,
        Err(failure) => return Err(context.explain_missing_app(&id, failure).await),
    };
    let tasks = context.tasks(&[("app", &id)]).await?;
    let mut definition: Value = context.client.get(&format!("/v2/apps{id}"), &[]).await?;
    let shown = Shown { service, tasks, definition: definition["app"].take() };
    context.format.print(&shown, |shown| render(shown, text::now()))
}

fn render(shown: &Shown, now: Timestamp) -> String {
    let service = &shown.service;
    let mut lines = vec![
        ("service", service.id.to_string()),
        ("state", state(service).into()),
        ("instances", instances(shown)),
        ("each", format!("{} cpus, {} memory", text::cpus(service.cpus_milli), text::bytes(service.mem))),
        ("command", service.command.clone()),
        ("version", service.version.to_string()),
    ];
    if let Some(constraints) = shown.definition["constraints"].as_array().filter(|list| !list.is_empty()) {
        let texts: Vec<String> = constraints.iter().map(Value::to_string).collect();
        lines.push(("constraints", texts.join(" ")));
    }
    for id in &service.deployments {
        lines.push(("deployment", id.to_string()));
    }
    if let Some(waiting) = &service.waiting_for {
        lines.push(("waiting for", text::from_now(waiting, now)));
    }
    if let Some(failing) = &service.failing {
        let since = text::age(now, failing.since);
        let times = text::count(failing.count.into(), "time");
        let last = service.last_failure_at.map(|at| format!(" {} ago", text::age(now, at)));
        let last = last.unwrap_or_default();
        lines.push(("failing", format!("for {since}, {times}; the last one{last}: {}", failing.last)));
    } else if let Some(failure) = &service.last_failure {
        let when =
            service.last_failure_at.map(|at| format!(" ({} ago)", text::age(now, at))).unwrap_or_default();
        lines.push(("last failure", format!("{failure}{when}")));
    }
    if service.failing.is_some() || matches!(service.health, Health::Unhealthy | Health::Waiting) {
        lines.push(("more", format!("`hansa explain {}` says why, and what would help", service.id)));
    }
    let mut shown_text = pairs(&lines, 13);
    if !shown.tasks.is_empty() {
        shown_text.push('\n');
        shown_text.push_str(&task_table(&shown.tasks, now).render(terminal_width()));
    }
    shown_text
}

/// How many there are. That none is healthy is no news of a service whose health nobody checks.
fn instances(shown: &Shown) -> String {
    let service = &shown.service;
    let Service { instances, running, staged, healthy, unhealthy, .. } = service;
    let all = format!("{instances} asked for, {running} running, {staged} starting");
    let has_checks = shown.definition["healthChecks"].as_array().is_some_and(|checks| !checks.is_empty());
    match has_checks || healthy + unhealthy > 0 {
        true => format!("{all}, {healthy} healthy, {unhealthy} unhealthy"),
        false => format!("{all}; it has no health checks"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use hansa_model::event::Failing;
    use serde_json::json;

    #[test]
    fn a_service_is_shown_with_its_tasks() {
        let shown = Shown {
            service: samples::service(),
            tasks: vec![samples::task("demo_web.instance-a._app.1")],
            definition: json!({"constraints": [["rack", "LIKE", "r1"]], "healthChecks": [{}]}),
        };
        let text = render(&shown, Timestamp(62_000));
        assert!(text.starts_with("service      /demo/web\nstate        deploying\n"), "{text}");
        assert!(text.contains("constraints  [\"rack\",\"LIKE\",\"r1\"]\n"), "{text}");
        assert!(text.contains("waiting for  2 machines: 0.5 cpus short\n"), "{text}");
        assert!(text.contains("demo_web.instance-a._app.1"), "{text}");
        assert!(text.contains("2 running, 1 starting, 1 healthy, 0 unhealthy\n"), "{text}");
        assert!(!text.contains("hansa explain"), "{text}");
    }

    #[test]
    fn what_fails_says_where_to_look() {
        let failing = Failing { since: Timestamp(2_000), count: 8, last: "status 3".into(), delay_ms: 1_000 };
        let service = Service {
            failing: Some(failing),
            last_failure: Some("status 3".into()),
            last_failure_at: Some(Timestamp(52_000)),
            healthy: 0,
            ..samples::service()
        };
        let text = render(&Shown { service, tasks: vec![], definition: json!({}) }, Timestamp(62_000));
        assert!(text.contains("failing      for 1m, 8 times; the last one 10s ago: status 3\n"), "{text}");
        assert!(!text.contains("last failure"), "it is told once: {text}");
        assert!(text.contains("more         `hansa explain /demo/web` says why"), "{text}");
        assert!(text.contains("2 running, 1 starting; it has no health checks\n"), "{text}");
    }
}
