//! `hansa events`: what happens, as it happens.

use crate::commands::{app::list::health, node::list::state as node_state, task::list::state as task_state};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Format, note, write_stdout};
use crate::sse::{Events, Frame};
use clap::Args;
use hansa_api::hansa::StreamEvent;
use serde_json::{Value, json};
use std::time::Duration;

/// Shows what happens in the cluster, as it happens
#[derive(Clone, Debug, Args)]
pub struct EventsArgs {
    /// Only these kinds: node, service, task, deployment, alarm, usage, …
    #[arg(long = "type", value_name = "KIND")]
    pub kinds: Vec<String>,
}

/// Does it, until it is interrupted.
pub async fn run(args: &EventsArgs, context: &Context) -> Result<(), Failure> {
    let mut first = true;
    loop {
        match Events::open(&context.client, "/hansa/v1/events").await {
            Ok(mut events) => {
                first = false;
                while let Some(frame) = events.next().await {
                    if wanted(&frame, &args.kinds) {
                        // Of lines of JSON each is YAML, too: a stream of documents.
                        let mark = if context.format == Format::Yaml { "--- " } else { "" };
                        write_stdout(&format!("{mark}{}\n", line(&frame, context.format)))?;
                    }
                }
                note("the stream has ended; connecting again");
            }
            // A master that restarts is waited for, one that never was there is an error.
            Err(failure) if failure.exit == Exit::Unavailable && !first => {}
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn wanted(frame: &Frame, kinds: &[String]) -> bool {
    match kinds {
        // Use changes every second: only for those who ask.
        [] => frame.event != "usage",
        kinds => kinds.contains(&frame.event),
    }
}

fn line(frame: &Frame, format: Format) -> String {
    let data: Value = serde_json::from_str(&frame.data).unwrap_or(Value::Null);
    let whole = json!({ "event": frame.event, "data": data });
    match (format, serde_json::from_value::<StreamEvent>(whole.clone())) {
        (Format::Json | Format::Yaml, _) => match &frame.id {
            Some(id) => json!({ "id": id, "event": frame.event, "data": data }).to_string(),
            None => whole.to_string(),
        },
        (Format::Table | Format::Wide, Ok(event)) => words(&event),
        // Of a kind that this version does not know.
        (Format::Table | Format::Wide, Err(_)) => format!("{} {data}", frame.event),
    }
}

fn words(event: &StreamEvent) -> String {
    match event {
        StreamEvent::Resync { index } => format!("resync      the stream begins after commit {index}"),
        StreamEvent::Node(node) => {
            let tasks = crate::text::count(node.tasks.into(), "task");
            format!("node        {} is {}, {tasks}", node.hostname, node_state(node.state))
        }
        StreamEvent::NodeRemoved { id } => format!("node        {id} is gone"),
        StreamEvent::Usage { id, used, .. } => format!(
            "usage       {id} {} cpus, {} memory",
            crate::text::cpus(used.cpus_milli),
            crate::text::bytes(used.mem)
        ),
        StreamEvent::Service(service) => format!(
            "service     {} is {}: {} of {} running, {} healthy",
            service.id,
            health(service.health),
            service.running,
            service.instances,
            service.healthy
        ),
        StreamEvent::ServiceRemoved { id } => format!("service     {id} is gone"),
        StreamEvent::Task(task) => {
            let message = if task.message.is_empty() { String::new() } else { format!(": {}", task.message) };
            let flat = message.replace('\n', " ");
            format!("task        {} is {} on {}{flat}", task.id, task_state(task), task.hostname)
        }
        StreamEvent::TaskRemoved { id, .. } => format!("task        {id} is gone"),
        StreamEvent::Role(role) => {
            format!("role        {} has other settings or another use", role.role.name)
        }
        StreamEvent::RoleRemoved { name } => format!("role        {name} is gone"),
        StreamEvent::Framework(framework) => {
            let state = serde_json::to_value(framework.state).unwrap_or_default();
            format!("framework   {} is {}", framework.name, state.as_str().unwrap_or_default())
        }
        StreamEvent::FrameworkRemoved { id } => format!("framework   {id} is gone"),
        StreamEvent::Deployment { id, services, step, steps, waiting_for, state } => {
            let names: Vec<&str> = services.iter().map(|id| id.as_str()).collect();
            let waiting = if waiting_for.is_empty() { String::new() } else { format!(", {waiting_for}") };
            format!("deployment  {id} of {} {state}, step {step} of {steps}{waiting}", names.join(", "))
        }
        StreamEvent::Alarm { code, message } => format!("ALARM       {message} ({code})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn frame(event: &StreamEvent, id: Option<&str>) -> Frame {
        let whole = serde_json::to_value(event).unwrap();
        Frame {
            event: whole["event"].as_str().unwrap().into(),
            data: whole["data"].to_string(),
            id: id.map(str::to_owned),
        }
    }

    #[test]
    fn events_are_lines() {
        let task = frame(&StreamEvent::Task(samples::task("web.1")), Some("1-7"));
        assert_eq!(line(&task, Format::Table), "task        web.1 is running, healthy on node1");
        let json: Value = serde_json::from_str(&line(&task, Format::Json)).unwrap();
        assert_eq!((json["id"].as_str(), json["data"]["hostname"].as_str()), (Some("1-7"), Some("node1")));
        let service = frame(&StreamEvent::Service(samples::service()), None);
        assert_eq!(
            line(&service, Format::Table),
            "service     /demo/web is deploying: 2 of 3 running, 1 healthy"
        );
        let strange = Frame { event: "new_kind".into(), data: "{\"a\":1}".into(), id: None };
        assert_eq!(line(&strange, Format::Table), "new_kind {\"a\":1}");
    }

    #[test]
    fn usage_is_shown_only_to_those_who_ask() {
        let usage = Frame { event: "usage".into(), ..Frame::default() };
        assert!(!wanted(&usage, &[]) && wanted(&usage, &["usage".into()]));
        assert!(!wanted(&usage, &["task".into()]));
    }
}
