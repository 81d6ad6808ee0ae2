//! `hansa app show`: one service, its definition and its tasks.

use crate::commands::app::list::state;
use crate::commands::task::list::table as task_table;
use crate::context::{Context, app_path};
use crate::failure::Failure;
use crate::table::{pairs, terminal_width};
use crate::text;
use clap::Args;
use hansa_api::hansa::{Service, Task};
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
        (
            "instances",
            format!(
                "{} asked for, {} running, {} starting, {} healthy, {} unhealthy",
                service.instances, service.running, service.staged, service.healthy, service.unhealthy
            ),
        ),
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
        lines.push(("failing", format!("for {since}, {times}; last: {}", failing.last)));
    }
    if let Some(failure) = &service.last_failure {
        let when =
            service.last_failure_at.map(|at| format!(" ({} ago)", text::age(now, at))).unwrap_or_default();
        lines.push(("last failure", format!("{failure}{when}")));
    }
    let mut shown_text = pairs(&lines, 13);
    if !shown.tasks.is_empty() {
        shown_text.push('\n');
        shown_text.push_str(&task_table(&shown.tasks, now).render(terminal_width()));
    }
    shown_text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use serde_json::json;

    #[test]
    fn a_service_is_shown_with_its_tasks() {
        let shown = Shown {
            service: samples::service(),
            tasks: vec![samples::task("demo_web.instance-a._app.1")],
            definition: json!({"constraints": [["rack", "LIKE", "r1"]]}),
        };
        let text = render(&shown, Timestamp(62_000));
        assert!(text.starts_with("service      /demo/web\nstate        deploying\n"), "{text}");
        assert!(text.contains("constraints  [\"rack\",\"LIKE\",\"r1\"]\n"), "{text}");
        assert!(text.contains("waiting for  2 machines: 0.5 cpus short\n"), "{text}");
        assert!(text.contains("demo_web.instance-a._app.1"), "{text}");
    }
}
