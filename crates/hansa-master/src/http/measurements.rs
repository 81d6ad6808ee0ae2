//! `/metrics`: Prometheus' text, or JSON in Marathon's shape for clients that ask for JSON. And `/ping`.

use crate::Master;
use crate::metrics::{HistogramView, Sample};
use crate::read_model::STATES;
use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hansa_model::event::AgentState;
use hansa_model::role::Totals;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Bytes in a page of memory, as `/proc/self/statm` counts.
const PAGE: f64 = 4096.0;

/// `GET /ping`
pub(super) async fn ping(headers: HeaderMap) -> Response {
    let accept = accepted(&headers);
    if accept.contains("application/json") {
        Json("pong").into_response()
    } else if accept.is_empty() || accept.contains("text/plain") || accept.contains("*/*") {
        "pong".into_response()
    } else {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// `GET /metrics`
pub(super) async fn show(State(master): State<Master>, headers: HeaderMap) -> Response {
    let mut samples = of_the_picture(&master);
    samples.extend(master.metrics().samples());
    samples.extend(resident_bytes().map(|value| {
        gauge("process_resident_memory_bytes", "Memory of this process that is in RAM.", None, value)
    }));
    let histograms = [
        ("hansa_http_answer_seconds", "Time to the head of an answer.", master.metrics().http_seconds.view()),
        ("hansa_store_write_seconds", "Time of one durable write.", master.metrics().write_seconds.view()),
    ];
    if accepted(&headers).contains("application/json") {
        return Json(as_marathon(&master, &samples, &histograms)).into_response();
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], as_text(&samples, &histograms))
        .into_response()
}

fn accepted(headers: &HeaderMap) -> &str {
    headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default()
}

type NamedHistogram = (&'static str, &'static str, HistogramView);

fn gauge(
    name: &'static str,
    help: &'static str,
    label: Option<(&'static str, String)>,
    value: f64,
) -> Sample {
    Sample { name, help, is_counter: false, label, value }
}

fn of_the_picture(master: &Master) -> Vec<Sample> {
    let model = master.read();
    let mut samples = vec![
        gauge("hansa_term", "The leadership's number.", None, master.identity().term.0 as f64),
        gauge("hansa_index", "The newest commit that the picture shows.", None, model.index() as f64),
        gauge("hansa_services", "Services.", None, model.apps().len() as f64),
        gauge("hansa_deployments", "Deployments under way.", None, model.deployments().len() as f64),
    ];
    let states = [
        AgentState::Active,
        AgentState::Deactivated,
        AgentState::Draining,
        AgentState::Disconnected,
        AgentState::Unreachable,
    ];
    for state in states {
        let count = model.agents().filter(|agent| agent.view.state == state).count();
        let label = ("state", super::views::state_name(state).to_owned());
        samples.push(gauge("hansa_nodes", "Machines by state.", Some(label), count as f64));
    }
    let counts = model.counts();
    for state in STATES {
        let label = ("state", state.name().to_owned());
        samples.push(gauge("hansa_tasks", "Tasks by state.", Some(label), f64::from(counts.in_state(state))));
    }
    let (total, allocated, used) = super::views::sums(&model);
    for (name, help, sum) in [
        ("hansa_resources", "What machines in reach have: cpus, bytes, GPUs.", total),
        ("hansa_resources_allocated", "What of it is given to tasks.", allocated),
        ("hansa_resources_used", "What of it tasks really use, as far as known.", used),
    ] {
        samples
            .extend(kinds(&sum).map(|(kind, value)| gauge(name, help, Some(("kind", kind.into())), value)));
    }
    samples
}

fn kinds(sum: &Totals) -> [(&'static str, f64); 4] {
    [
        ("cpus", sum.cpus_milli as f64 / 1000.0),
        ("mem", sum.mem as f64),
        ("disk", sum.disk as f64),
        ("gpus", sum.gpus_milli as f64 / 1000.0),
    ]
}

fn resident_bytes() -> Option<f64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    statm.split(' ').nth(1)?.parse::<f64>().ok().map(|pages| pages * PAGE)
}

fn as_text(samples: &[Sample], histograms: &[NamedHistogram]) -> String {
    let mut text = String::new();
    let mut last = "";
    for Sample { name, help, is_counter, label, value } in samples {
        if *name != last {
            let kind = if *is_counter { "counter" } else { "gauge" };
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            last = name;
        }
        let _ = match label {
            Some((label, of)) => writeln!(text, "{name}{{{label}=\"{of}\"}} {value}"),
            None => writeln!(text, "{name} {value}"),
        };
    }
    for (name, help, view) in histograms {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} histogram\n");
        for (bound, count) in &view.cumulative {
            let _ = writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {count}");
        }
        let HistogramView { count, sum, .. } = view;
        let _ =
            write!(text, "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {sum}\n{name}_count {count}\n");
    }
    text
}

/// Marathon's base names where it has one for the same thing, ours for the rest.
fn as_marathon(master: &Master, samples: &[Sample], histograms: &[NamedHistogram]) -> Value {
    let (mut gauges, mut counters, mut timers) = (Map::new(), Map::new(), Map::new());
    {
        let model = master.read();
        for (name, value) in [
            ("marathon.apps.active.gauge", model.apps().len() as f64),
            ("marathon.deployments.active.gauge", model.deployments().len() as f64),
            ("marathon.instances.running.gauge", f64::from(model.counts().running())),
            ("marathon.instances.staged.gauge", f64::from(model.counts().staged())),
        ] {
            gauges.insert(name.into(), json!({ "value": value }));
        }
    }
    for sample in samples {
        let name = match &sample.label {
            Some((_, of)) => format!("{}.{of}", sample.name),
            None => sample.name.to_owned(),
        };
        match sample.is_counter {
            true => counters.insert(name, json!({ "count": sample.value })),
            false => gauges.insert(name, json!({ "value": sample.value })),
        };
    }
    for (name, _, view) in histograms {
        let mean = if view.count == 0 { 0.0 } else { view.sum / view.count as f64 };
        timers.insert(
            (*name).into(),
            json!({ "count": view.count, "mean": mean, "duration_units": "seconds" }),
        );
    }
    json!({
        "version": "4.0.0",
        "counters": counters,
        "gauges": gauges,
        "histograms": {},
        "meters": {},
        "timers": timers,
    })
}
