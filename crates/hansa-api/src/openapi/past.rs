//! What [`crate::past`], [`crate::files`] and [`crate::terminal`] look like on the wire.

use super::hansa::{page, time, totals};
use super::schema::{Fields, count, flag, list_of, object, one_of, or_null, text};
use super::{Operation, get, reference};
use crate::series::Span;
use serde_json::{Value, json};

pub(super) fn operations() -> Vec<Operation> {
    let node = |operation: Operation| {
        operation.query("node", text(), "The machine, for a task that the master has forgotten.")
    };
    let spans = Span::ALL.map(Span::name);
    let span = |operation: Operation| operation.query("span", one_of(&spans), "How far back.");
    vec![
        get("/hansa/v1/docs", "This document as a page to read.").gives_text("text/html"),
        get("/hansa/v1/tasks/{task}/history", "The states that a task was in, also while it is remembered.")
            .gives(200, "TaskHistory"),
        get(
            "/hansa/v1/tasks/{task}/terminal",
            "A terminal in a task's container, as a WebSocket. Binary messages are bytes, both ways. Text of the client: \
             `{\"resize\":{\"columns\":80,\"rows\":24}}`. Text of the server, before it closes: \
             `{\"exit\":{\"code\":0}}`, `{\"exit\":{\"signal\":9}}` or `{\"error\":{…}}`.",
        )
        .gives_nothing(101)
        .query("command", text(), "A line for `/bin/sh -c`; empty: a shell.")
        .query("columns", count(), "Characters a line; 80 if absent.")
        .query("rows", count(), "Lines; 24 if absent."),
        node(page(
            get("/hansa/v1/tasks/{task}/files", "A directory of a task's sandbox, from its machine.")
                .gives(200, "Files"),
            "name",
        ))
        .query("path", text(), "Which, relative to the sandbox; empty: the sandbox itself."),
        node(get(
            "/hansa/v1/tasks/{task}/files/content",
            "A file of a task's sandbox. Headers: `x-hansa-size` (bytes of the whole file), `x-hansa-offset` (where the \
             first byte stands in it), `x-hansa-binary` (`true`: its beginning is no text).",
        ))
        .gives_text("application/octet-stream")
        .query("path", text(), "Which, relative to the sandbox.")
        .query("offset", json!({"type": "integer"}), "The first byte; negative: from the end.")
        .query("limit", count(), "Bytes at most; 1 MiB if absent, everything for a download.")
        .query("download", flag(), "As a file for the browser to keep."),
        span(get("/hansa/v1/history", "What was used and given when.").gives(200, "History")).query(
            "of",
            text(),
            "`cluster`, `node:` and an id or host name, `role:` and a name, `service:` and a path, `task:` and an id.",
        ),
        span(
            get(
                "/hansa/v1/usage/{path}",
                "What a service asks for against what its instances use, and what would be enough.",
            )
            .gives(200, "ServiceUsage"),
        ),
        get("/hansa/v1/events/history", "What happened since this master leads, the newest first.")
            .gives(200, "PastEvents")
            .query("q", text(), "Only what has these words in kind, subject, words or machine.")
            .query("only", text(), "Kinds, separated by commas: node, service, task, deployment, role, framework, alarm.")
            .query("before", text(), "Only what happened before this event: what `next` said.")
            .query("limit", count(), "How many at most: 200, and at most 1,000."),
    ]
}

pub(super) fn schemas() -> Fields {
    let mut all = Fields::new();
    let mut put = |name: &str, schema: Value| all.push((name.to_owned(), schema));
    put(
        "Exit",
        json!({"oneOf": [
            object("By itself, with this code.", [("code", json!({"type": "integer"}))]),
            object("By this signal.", [("signal", json!({"type": "integer"}))]),
        ]}),
    );
    put(
        "TaskHistory",
        object(
            "The states of a task, the oldest first.",
            [("task", text()), ("states", list_of("PastState"))],
        ),
    );
    put(
        "PastState",
        object(
            "A state that a task was in, and since when.",
            [
                ("state", text()),
                ("at", time()),
                ("message", text()),
                ("reason", or_null(text())),
                ("healthy", or_null(flag())),
                ("exit", or_null(reference("Exit"))),
            ],
        ),
    );
    put(
        "PastEvents",
        object(
            "What happened, the newest first.",
            [("events", list_of("PastEvent")), ("next", or_null(text()))],
        ),
    );
    put(
        "PastEvent",
        object(
            "Something that happened.",
            [
                ("id", text()),
                ("at", time()),
                ("name", one_of(&["node", "service", "task", "deployment", "role", "framework", "alarm"])),
                ("subject", text()),
                ("words", text()),
                ("service?", text()),
                ("hostname?", text()),
            ],
        ),
    );
    put(
        "Files",
        object(
            "A directory of a sandbox.",
            [("path", text()), ("entries", list_of("File")), ("next", or_null(text()))],
        ),
    );
    put(
        "File",
        object(
            "An entry of a directory.",
            [
                ("name", text()),
                ("kind", one_of(&["file", "directory", "link", "other"])),
                ("size", count()),
                ("modified", time()),
                ("mode", text()),
            ],
        ),
    );
    usage(&mut put);
    all
}

fn usage(put: &mut impl FnMut(&str, Value)) {
    put(
        "History",
        object(
            "What was used and given when.",
            [
                ("of", text()),
                ("step_ms", count()),
                ("until", time()),
                ("total", or_null(totals())),
                ("points", list_of("Point")),
                ("words", text()),
            ],
        ),
    );
    put(
        "Point",
        object(
            "The average over one step.",
            [("at", time()), ("used", or_null(totals())), ("allocated", or_null(totals()))],
        ),
    );
    put(
        "ServiceUsage",
        object(
            "What a service asks for against what it uses.",
            [
                ("service", text()),
                ("span_ms", count()),
                ("until", time()),
                ("cpus_milli", count()),
                ("mem", count()),
                ("used", or_null(reference("Usage"))),
                ("instances", list_of("InstanceUsage")),
                ("running", count()),
                ("silent", list_of("SilentNode")),
                ("suggestion", or_null(reference("Suggestion"))),
                ("words", text()),
            ],
        ),
    );
    let kinds = || [("cpus_milli", reference("Spread")), ("mem", reference("Spread"))];
    put("Usage", object("What was used.", kinds()));
    put("Spread", object("How values are spread.", [("p50", count()), ("p95", count()), ("max", count())]));
    let [cpus, mem] = kinds();
    put(
        "InstanceUsage",
        object(
            "What one instance used.",
            [("task", text()), ("node", text()), ("hostname", text()), ("points", count()), cpus, mem],
        ),
    );
    put(
        "Suggestion",
        object(
            "What would be enough for each instance.",
            [("cpus_milli", count()), ("mem", count()), ("words", text())],
        ),
    );
}

#[cfg(test)]
mod tests {
    use crate::files::{File, Files, Kind};
    use crate::openapi::check::check;
    use crate::past::*;
    use hansa_model::Timestamp;
    use hansa_model::role::Totals;
    use hansa_model::task::{Exit, TaskState};

    #[test]
    fn the_past_is_as_described() {
        let state = PastState {
            state: TaskState::Failed,
            at: Timestamp(1),
            message: "m".into(),
            reason: Some("REASON_TASK_UNHEALTHY".into()),
            healthy: Some(false),
            exit: Some(Exit::Signal(9)),
        };
        check("TaskHistory", TaskHistory { task: "t".into(), states: vec![state] });
        let event = PastEvent {
            id: "1-2".into(),
            at: Timestamp(1),
            name: "task".into(),
            subject: "t".into(),
            words: "w".into(),
            service: Some("/a".into()),
            hostname: None,
        };
        check("PastEvents", PastEvents { events: vec![event], next: Some("1-1".into()) });
        let file = File {
            name: "f".into(),
            kind: Kind::Directory,
            size: 1,
            modified: Timestamp(1),
            mode: "drwxr-xr-x".into(),
        };
        check("Files", Files { path: String::new(), entries: vec![file], next: None });
    }

    #[test]
    fn usage_is_as_described() {
        let point = Point { at: Timestamp(1), used: None, allocated: Some(Totals::default()) };
        let history = History {
            of: "role:a".into(),
            step_ms: 1,
            until: Timestamp(1),
            total: None,
            points: vec![point],
            words: String::new(),
        };
        check("History", history);
        let used = Usage::default();
        let instance =
            InstanceUsage { task: "t".into(), node: "a".into(), hostname: "h".into(), points: 1, used };
        let usage = ServiceUsage {
            service: "/a".into(),
            span_ms: 1,
            until: Timestamp(1),
            cpus_milli: 1,
            mem: 1,
            used: Some(used),
            instances: vec![instance],
            running: 1,
            silent: vec![crate::hansa::SilentNode { node: "n".into(), why: "w".into() }],
            suggestion: Some(Suggestion { cpus_milli: 1, mem: 1, words: "w".into() }),
            words: "w".into(),
        };
        check("ServiceUsage", usage);
    }
}
