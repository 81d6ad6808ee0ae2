//! What [`crate::hansa`] looks like on the wire.

use super::schema::{Fields, count, flag, list, list_of, map, object, one_of, or_null, text, with};
use super::{Operation, get, operation, reference};
use serde_json::{Value, json};

pub(super) fn operations() -> Vec<Operation> {
    let order = |path, summary| operation("post", path, summary).gives(200, "Done");
    vec![
        get("/hansa/v1/openapi.json", "This document.").gives(200, "Document"),
        get("/hansa/v1/openapi-marathon.json", "The document of Marathon's API.").gives(200, "Document"),
        get("/hansa/v1/cluster", "The cluster at a glance.").gives(200, "Cluster"),
        searched(
            page(get("/hansa/v1/nodes", "Machines, by host name.").gives(200, "Nodes"), "host name"),
            "id, name, address and state",
            "attributes",
            &["hostname", "state", "tasks", "cpus", "mem", "cpus_used", "mem_used", "registered_at"],
        ),
        get("/hansa/v1/nodes/{node}", "A machine, by id or host name, with what of it is set apart.")
            .gives(200, "NodeDetail"),
        order("/hansa/v1/nodes/{node}/{order}", "An operator's order about a machine.")
            .segment("order", &["deactivate", "reactivate", "drain", "gone"]),
        searched(
            page(get("/hansa/v1/services", "Services, by id.").gives(200, "Services"), "id"),
            "id and command",
            "labels",
            &["id", "health", "instances", "cpus", "mem", "version"],
        ),
        get("/hansa/v1/services/{path}", "A service.").gives(200, "Service"),
        searched(
            page(get("/hansa/v1/tasks", "Tasks, by id, in pages.").gives(200, "Tasks"), "id"),
            "id, service, host name, state and message",
            "labels of their services",
            &["id", "state", "app", "hostname", "staged_at", "started_at", "updated_at", "cpus", "mem"],
        )
        .query("app", text(), "Only those of this service.")
        .query("framework", text(), "Only those of this framework, by its id.")
        .query("node", text(), "Only those on this machine, by id or host name.")
        .query("state", text(), "Only those in this state, such as `TASK_RUNNING` or `running`.")
        .query(
            "ended",
            flag(),
            "Those that ended and are remembered, the newest first, instead of those that are.",
        ),
        get("/hansa/v1/tasks/{task}", "A task, also one that ended while it is remembered.")
            .gives(200, "Task"),
        get("/hansa/v1/tasks/{task}/logs/{stream}", "A task's `stdout` or `stderr`, from its machine.")
            .gives_text("text/plain")
            .segment("stream", &["stdout", "stderr"])
            .query("offset", json!({"type": "integer"}), "The first byte; negative: from the end.")
            .query("limit", count(), "Bytes at most.")
            .query("follow", flag(), "Stay open and pass on what comes.")
            .query("node", text(), "The machine, for a task that the master has forgotten."),
        page(
            get("/hansa/v1/deployments", "Deployments under way, the oldest first.")
                .gives(200, "Deployments"),
            "id",
        ),
        get("/hansa/v1/deployments/{deployment}", "A deployment under way.").gives(200, "Deployment"),
        operation("post", "/hansa/v1/deployments/{deployment}/{order}", "Steers a deployment.")
            .segment("order", &["pause", "resume", "cancel"])
            .gives(200, "Steered")
            .query("force", flag(), "With `cancel`: stop where it is instead of going back."),
        get("/hansa/v1/images", "Container images, machine by machine.")
            .query("node", text(), "Only on this machine, by id or host name.")
            .gives(200, "Images"),
        operation("post", "/hansa/v1/images/prune", "Removes container images that no task uses.")
            .query("node", text(), "Only on this machine, by id or host name.")
            .gives(200, "Pruned"),
        page(get("/hansa/v1/roles", "Roles that are configured or used.").gives(200, "Roles"), "name"),
        operation("put", "/hansa/v1/roles/{role}", "Sets a role's weight, guarantee and limit.")
            .body("RoleSettings")
            .gives(200, "Done"),
        operation(
            "delete",
            "/hansa/v1/roles/{role}",
            "Forgets a role's settings: weight 1, no guarantee, no limit.",
        )
        .gives(200, "Done"),
        get("/hansa/v1/events", "Server-sent events: each frame's `event` and `data` are a StreamEvent.")
            .gives_events("StreamEvent")
            .query("last_event_id", text(), "As the header `Last-Event-ID`: go on after this one.")
            .query("only", text(), "Kinds of frames, separated by commas.")
            .query("usage_every", count(), "Seconds between `usage` frames: 1 to 3,600."),
    ]
}

/// A list in pages.
pub(super) fn page(operation: Operation, what: &str) -> Operation {
    let after = format!("Only those after this {what}: what `next` said.");
    operation.query("limit", count(), "How many at most.").query("after", text(), &after).query(
        "fields",
        text(),
        "Only these fields of each, separated by commas; `a.b` is a field within a field. Every answer takes it.",
    )
}

/// A list that can be searched and sorted.
fn searched(operation: Operation, where_: &str, labels: &str, sorts: &[&str]) -> Operation {
    operation
        .query("q", text(), &format!("Only those with these words (in small letters or large) in {where_}."))
        .query(
            "label",
            text(),
            &format!(
                "A selector of {labels}: `k=v`, `k!=v`, `k` (is there), `!k` (is not), separated by commas."
            ),
        )
        .query("sort", text(), &format!("By one of {}; `-` in front: the largest first.", sorts.join(", ")))
}

/// The first and the last of a range of ports.
pub(super) fn range() -> Value {
    let port = || json!({"type": "integer", "minimum": 0, "maximum": 65_535});
    json!({"type": "array", "prefixItems": [port(), port()], "items": port(), "minItems": 2, "maxItems": 2})
}

/// How a machine is.
pub(super) fn agent_state() -> Value {
    one_of(&["active", "deactivated", "draining", "disconnected", "unreachable"])
}

pub(super) fn time() -> Value {
    let mut time = count();
    time["description"] = json!("Milliseconds since 1970-01-01T00:00:00Z.");
    time
}

pub(super) fn totals() -> Value {
    reference("Totals")
}

pub(super) fn schemas() -> Fields {
    let mut all = vec![("Document".to_owned(), json!({"type": "object", "description": "OpenAPI."}))];
    let mut put = |name: &str, schema: Value| all.push((name.to_owned(), schema));
    put("ErrorBody", object("Why not.", [("error", reference("Error"))]));
    put(
        "Error",
        object(
            "What went wrong.",
            [("code", text()), ("message", text()), ("field?", text()), ("remedy?", text())],
        ),
    );
    put("Done", object("It is done.", [("index", count())]));
    put(
        "Totals",
        object(
            "Amounts.",
            [("cpus_milli", count()), ("mem", count()), ("disk", count()), ("gpus_milli", count())],
        ),
    );
    put(
        "Resources",
        object(
            "What a machine has.",
            [
                ("cpus_milli", count()),
                ("mem", count()),
                ("disk", count()),
                ("gpus", list(count())),
                ("ports", list(range())),
            ],
        ),
    );
    let or_none = || or_null(count());
    put(
        "Bound",
        object(
            "A bound for each kind of resource; null: none.",
            [
                ("cpus_milli?", or_none()),
                ("mem?", or_none()),
                ("disk?", or_none()),
                ("gpus_milli?", or_none()),
            ],
        ),
    );
    machines(&mut put);
    services(&mut put);
    explanations(&mut put);
    images(&mut put);
    put("Roles", object("All roles.", [("roles", list_of("RoleStatus")), ("next", or_null(text()))]));
    put(
        "RoleStatus",
        object(
            "A role and what it has.",
            [
                ("name", text()),
                ("weight_milli", count()),
                ("guarantee", reference("Bound")),
                ("limit", reference("Bound")),
                ("allocated", totals()),
                ("offered", totals()),
                ("reserved", totals()),
            ],
        ),
    );
    put(
        "RoleSettings",
        object(
            "A role's settings; the name stands in the path.",
            [
                ("name?", text()),
                ("weight_milli?", json!({"type": "integer", "minimum": 1, "maximum": 1_000_000_000})),
                ("guarantee?", reference("Bound")),
                ("limit?", reference("Bound")),
            ],
        ),
    );
    put("StreamEvent", json!({"oneOf": frames(), "description": "`usage` frames have no id."}));
    all
}

fn images(put: &mut impl FnMut(&str, Value)) {
    let silent = || ("silent", list_of("SilentNode"));
    put("Images", object("Container images.", [("images", list_of("ImageOnNode")), silent()]));
    put("Pruned", object("Removed images.", [("nodes", list_of("PrunedNode")), silent()]));
    let texts = || json!({"type": "array", "items": text()});
    put(
        "ImageOnNode",
        object(
            "A container image on a machine.",
            [
                ("node", text()),
                ("references", texts()),
                ("digest", text()),
                ("bytes", count()),
                ("pulled_bytes", count()),
                ("layers", count()),
                ("pulled_at", time()),
                ("used_at", time()),
                ("used_by", texts()),
            ],
        ),
    );
    put(
        "PrunedNode",
        object("What was removed.", [("node", text()), ("images", texts()), ("bytes", count())]),
    );
    put("SilentNode", object("A machine that did not answer.", [("node", text()), ("why", text())]));
}

fn machines(put: &mut impl FnMut(&str, Value)) {
    let counts = || map(count());
    put(
        "Cluster",
        object(
            "The cluster at a glance.",
            [
                ("id", text()),
                ("version", text()),
                ("term", count()),
                ("index", count()),
                ("started_at", time()),
                ("nodes", counts()),
                ("tasks", counts()),
                ("services", count()),
                ("deployments", count()),
                ("total", totals()),
                ("allocated", totals()),
                ("used", totals()),
            ],
        ),
    );
    put("Nodes", object("Machines.", [("nodes", list_of("Node")), ("next", or_null(text()))]));
    put("Node", with("A machine.", node(), [] as [_; 0]));
}

/// The fields of a machine.
pub(super) fn node() -> Vec<(&'static str, Value)> {
    vec![
        ("id", text()),
        ("hostname", text()),
        ("address", text()),
        ("state", agent_state()),
        ("since", time()),
        ("total", reference("Resources")),
        ("allocated", totals()),
        ("reserved", totals()),
        ("used", or_null(totals())),
        ("machine", or_null(totals())),
        ("tasks", count()),
        ("attributes", map(text())),
        ("region", or_null(text())),
        ("zone", or_null(text())),
        ("version", text()),
        ("registered_at", time()),
        ("missing_isolation", list(text())),
    ]
}

fn services(put: &mut impl FnMut(&str, Value)) {
    put("Services", object("Services.", [("services", list_of("Service")), ("next", or_null(text()))]));
    put(
        "Service",
        object(
            "A service.",
            [
                ("id", text()),
                ("health", one_of(&["healthy", "deploying", "waiting", "unhealthy", "suspended"])),
                ("instances", count()),
                ("running", count()),
                ("staged", count()),
                ("healthy", count()),
                ("unhealthy", count()),
                ("version", time()),
                ("cpus_milli", count()),
                ("mem", count()),
                ("role", text()),
                ("labels", map(text())),
                ("command", text()),
                ("deployments", list(text())),
                ("waiting_for", or_null(text())),
                ("last_failure", or_null(text())),
                ("last_failure_at", or_null(time())),
                ("failing", or_null(reference("Failing"))),
            ],
        ),
    );
    put(
        "Failing",
        object(
            "Instances end again and again.",
            [("since", time()), ("count", count()), ("last", text()), ("delay_ms", count())],
        ),
    );
    put(
        "Standstill",
        object("Since when something does not move, and why.", [("since", time()), ("words", text())]),
    );
    put(
        "Deployments",
        object("Deployments under way.", [("deployments", list_of("Deployment")), ("next", or_null(text()))]),
    );
    put(
        "Deployment",
        object(
            "A deployment under way.",
            [
                ("id", text()),
                ("version", time()),
                ("started_at", time()),
                ("services", list(text())),
                ("doing", list(text())),
                ("step", count()),
                ("steps", count()),
                ("waiting_for", text()),
                ("waiting_since", time()),
                ("remedy", text()),
                ("paused", or_null(reference("Standstill"))),
                ("failing", or_null(reference("Standstill"))),
                ("rolls_back", or_null(text())),
            ],
        ),
    );
    put(
        "Steered",
        object("A deployment was steered.", [("index", count()), ("deployment", or_null(text()))]),
    );
    put("Tasks", object("A page of tasks.", [("tasks", list_of("Task")), ("next", or_null(text()))]));
    put(
        "Task",
        object(
            "A task.",
            [
                ("id", text()),
                ("app", or_null(text())),
                ("version", or_null(time())),
                ("framework", or_null(text())),
                ("framework_task", or_null(text())),
                ("role", text()),
                ("state", text()),
                ("healthy", or_null(flag())),
                ("health", list_of("HealthResult")),
                ("reason", or_null(text())),
                ("message", text()),
                ("node", text()),
                ("hostname", text()),
                ("ports", list(count())),
                ("cpus_milli", count()),
                ("mem", count()),
                ("staged_at", time()),
                ("started_at", or_null(time())),
                ("updated_at", time()),
                ("ended_at", or_null(time())),
                ("exit", or_null(reference("Exit"))),
            ],
        ),
    );
    put(
        "HealthResult",
        object(
            "How one health check of a task stands.",
            [
                ("alive", or_null(flag())),
                ("consecutive_failures", count()),
                ("first_success", or_null(time())),
                ("last_success", or_null(time())),
                ("last_failure", or_null(time())),
                ("last_failure_cause", or_null(text())),
            ],
        ),
    );
}

fn explanations(put: &mut impl FnMut(&str, Value)) {
    put(
        "Demand",
        object(
            "What is asked for; a port is `any` or `{\"exact\": N}`.",
            [
                ("cpus_milli", count()),
                ("mem", count()),
                ("disk", count()),
                ("gpus", object("GPUs.", [("count", count()), ("milli", count())])),
                (
                    "ports",
                    list(json!({"anyOf": [one_of(&["any"]), object("This one.", [("exact", count())])]})),
                ),
            ],
        ),
    );
    put(
        "ObstacleGroup",
        object(
            "Machines with the same obstacles.",
            [
                ("machines", count()),
                ("examples", list(text())),
                ("obstacles", list_of("Obstacle")),
                ("words", text()),
            ],
        ),
    );
    let kind = |kind: &str| ("kind", one_of(&[kind]));
    let short = |name: &str| object("Not enough.", [kind(name), ("short", count())]);
    put(
        "Obstacle",
        json!({"oneOf": [
            object("Reserved.", [kind("role"), ("reserved", text())]),
            object("Not allowed.", [kind("constraint"), ("constraint", text()), ("words", text())]),
            object("Takes no work.", [kind("not_active"), ("state", text())]),
            short("cpus"),
            short("mem"),
            short("disk"),
            short("gpus"),
            object("Ports.", [kind("ports"), ("short", count()), ("taken", list(count()))]),
            object("The role's quota.", [kind("quota"), ("words", text())]),
        ]}),
    );
}

/// The frames of `/hansa/v1/events`.
fn frames() -> Vec<Value> {
    let frame = |name: &str, data: Value| object("A frame.", [("event", one_of(&[name])), ("data", data)]);
    let id = || object("Which.", [("id", text())]);
    vec![
        frame("resync", object("Read the lists anew.", [("index", count())])),
        frame("node", reference("Node")),
        frame("node_removed", id()),
        frame(
            "usage",
            object("A machine's use.", [("id", text()), ("used", totals()), ("machine", totals())]),
        ),
        frame("service", reference("Service")),
        frame("service_removed", id()),
        frame("task", reference("Task")),
        frame(
            "task_removed",
            object("Which, and as it was last.", [("id", text()), ("last", or_null(reference("Task")))]),
        ),
        frame(
            "deployment",
            object(
                "A deployment moved.",
                [
                    ("id", text()),
                    ("services", list(text())),
                    ("step", count()),
                    ("steps", count()),
                    ("waiting_for", text()),
                    ("state", one_of(&["running", "paused", "failing", "succeeded", "failed"])),
                ],
            ),
        ),
        frame("role", reference("RoleStatus")),
        frame("role_removed", object("Which.", [("name", text())])),
        frame("framework", reference("FrameworkSummary")),
        frame("framework_removed", id()),
        frame("alarm", object("Look at this.", [("code", text()), ("message", text())])),
    ]
}

#[cfg(test)]
mod tests {
    use crate::hansa::{Cluster, ErrorBody, StreamEvent};
    use crate::openapi::check::{check, faults};
    use crate::openapi::hansa;
    use hansa_model::Timestamp;
    use hansa_model::event::AgentState;
    use hansa_model::role::{Role, Totals};
    use hansa_model::task::{Exit, HealthResult, TaskState};
    use serde_json::{Value, json};

    /// Every field is written out, so that a new one does not compile until it stands here, and then in the document.
    #[test]
    fn what_is_sent_is_as_described() {
        check(
            "Cluster",
            Cluster {
                id: "c".into(),
                version: "1".into(),
                term: 1,
                index: 2,
                started_at: Timestamp(3),
                nodes: [("active".to_owned(), 3)].into(),
                tasks: [("TASK_RUNNING".to_owned(), 3)].into(),
                services: 1,
                deployments: 0,
                total: Totals::default(),
                allocated: Totals::default(),
                used: Totals::default(),
            },
        );
        let node = crate::hansa::Node {
            id: "a".into(),
            hostname: "h".into(),
            address: "h:1".into(),
            state: AgentState::Unreachable,
            since: Timestamp(1),
            total: "cpus:1;mem:1;gpus:1;ports:[1-2]".parse().unwrap(),
            allocated: Totals::default(),
            reserved: Totals::default(),
            used: None,
            machine: Some(Totals::default()),
            tasks: 0,
            attributes: [("rack".to_owned(), "r1".to_owned())].into(),
            region: None,
            zone: Some("z".into()),
            version: "1".into(),
            registered_at: Timestamp(1),
            missing_isolation: vec!["pids".into()],
        };
        let service = crate::hansa::Service {
            id: "/a".into(),
            health: crate::hansa::Health::Suspended,
            instances: 1,
            running: 1,
            staged: 0,
            healthy: 0,
            unhealthy: 0,
            version: Timestamp(1),
            cpus_milli: 1,
            mem: 1,
            role: "*".into(),
            labels: [("tier".to_owned(), "web".to_owned())].into(),
            command: "true".into(),
            deployments: vec!["d".into()],
            waiting_for: None,
            last_failure: Some("x".into()),
            last_failure_at: Some(Timestamp(1)),
            failing: Some(hansa_model::event::Failing {
                since: Timestamp(1),
                count: 3,
                last: "x".into(),
                delay_ms: 1,
            }),
        };
        let still = hansa_model::event::Standstill { since: Timestamp(1), words: "w".into() };
        let deployment = crate::hansa::Deployment {
            id: "d".into(),
            version: Timestamp(1),
            started_at: Timestamp(1),
            services: vec!["/a".into()],
            doing: vec!["ScaleApplication /a".into()],
            step: 0,
            steps: 1,
            waiting_for: "w".into(),
            waiting_since: Timestamp(1),
            remedy: String::new(),
            paused: Some(still.clone()),
            failing: Some(still),
            rolls_back: None,
        };
        check(
            "Deployments",
            crate::hansa::Deployments { deployments: vec![deployment], next: Some("d".into()) },
        );
        check("Steered", crate::hansa::Steered { index: 1, deployment: Some("d".into()) });
        let health = HealthResult {
            alive: Some(true),
            consecutive_failures: 1,
            first_success: None,
            last_success: Some(Timestamp(1)),
            last_failure: None,
            last_failure_cause: Some("x".into()),
        };
        let task = crate::hansa::Task {
            id: "t".into(),
            app: None,
            version: Some(Timestamp(1)),
            framework: Some("f".into()),
            framework_task: Some("g".into()),
            role: "*".into(),
            state: TaskState::Running,
            healthy: Some(false),
            health: vec![health],
            reason: None,
            message: String::new(),
            node: "a".into(),
            hostname: "h".into(),
            ports: vec![1],
            cpus_milli: 1,
            mem: 1,
            staged_at: Timestamp(1),
            started_at: None,
            updated_at: Timestamp(1),
            ended_at: Some(Timestamp(1)),
            exit: Some(Exit::Code(1)),
        };
        check("Nodes", crate::hansa::Nodes { nodes: vec![node.clone()], next: None });
        check("Services", crate::hansa::Services { services: vec![service.clone()], next: None });
        check("Tasks", crate::hansa::Tasks { tasks: vec![task.clone()], next: Some("t".into()) });
        let role = Role {
            name: "a".into(),
            weight_milli: 1,
            guarantee: Default::default(),
            limit: Default::default(),
        };
        let none = Totals::default();
        let role = crate::hansa::RoleStatus { role, allocated: none, offered: none, reserved: none };
        let image = crate::hansa::ImageOnNode {
            node: "n".into(),
            references: vec!["a:1".into()],
            digest: "sha256:".into(),
            bytes: 1,
            pulled_bytes: 1,
            layers: 1,
            pulled_at: Timestamp(1),
            used_at: Timestamp(1),
            used_by: vec!["t".into()],
        };
        let silent = vec![crate::hansa::SilentNode { node: "n".into(), why: "w".into() }];
        check("Images", crate::hansa::Images { images: vec![image], silent: silent.clone() });
        let pruned = crate::hansa::PrunedNode { node: "n".into(), images: vec!["a:1".into()], bytes: 1 };
        check("Pruned", crate::hansa::Pruned { nodes: vec![pruned], silent });
        check("Roles", crate::hansa::Roles { roles: vec![role.clone()], next: None });
        check("Done", crate::hansa::Done { index: 1 });
        let error = crate::hansa::Error {
            code: "invalid".into(),
            message: "no".into(),
            field: Some("f".into()),
            remedy: Some("r".into()),
        };
        check("ErrorBody", ErrorBody { error });
        for event in [
            StreamEvent::Resync { index: 1 },
            StreamEvent::Node(node),
            StreamEvent::NodeRemoved { id: "a".into() },
            StreamEvent::Usage { id: "a".into(), used: Totals::default(), machine: Totals::default() },
            StreamEvent::Service(service),
            StreamEvent::ServiceRemoved { id: "/a".into() },
            StreamEvent::Task(task.clone()),
            StreamEvent::TaskRemoved { id: "t".into(), last: None },
            StreamEvent::TaskRemoved { id: "t".into(), last: Some(Box::new(task)) },
            StreamEvent::Role(role),
            StreamEvent::RoleRemoved { name: "a".into() },
            StreamEvent::FrameworkRemoved { id: "f".into() },
            StreamEvent::Deployment {
                id: "d".into(),
                services: vec!["/a".into()],
                step: 0,
                steps: 1,
                waiting_for: String::new(),
                state: "running".into(),
            },
            StreamEvent::Alarm { code: "c".into(), message: "m".into() },
        ] {
            check("StreamEvent", event);
        }
    }

    #[test]
    fn what_is_not_described_is_found() {
        let document = hansa();
        let found = |value: Value| faults(&document, "ErrorBody", &value);
        assert_eq!(found(json!({"error": {"code": "c", "message": "m", "more": 1}})).len(), 1);
        assert_eq!(found(json!({"error": {"code": 1}})).len(), 2, "a wrong type, and one that is missing");
        assert_eq!(found(json!([])).len(), 1);
        assert_eq!(faults(&document, "Obstacle", &json!({"kind": "cpus"})).len(), 1);
    }
}
