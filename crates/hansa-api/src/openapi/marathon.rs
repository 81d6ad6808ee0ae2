//! What [`crate::marathon`] looks like on the wire: paths, parameters, and the bodies of apps, tasks, deployments and the
//! queue. Answers name the fields that Hansa sends.

use super::schema::{Fields, count, flag, list, list_of, map, number, object, one_of, or_null, text};
use super::{Operation, get, operation, reference};
use serde_json::{Value, json};

fn forced(operation: Operation) -> Operation {
    operation.query("force", flag(), "Also when a deployment holds the app.")
}

fn partial(operation: Operation) -> Operation {
    forced(operation).query("partialUpdate", flag(), "Fields that are not given stay; the default.")
}

fn embedding(operation: Operation) -> Operation {
    let words =
        "What to add, such as `apps.tasks`, `apps.counts` or `apps.lastTaskFailure`; may be repeated.";
    operation.query("embed", list(text()), words)
}

/// How tasks are killed.
fn killing(operation: Operation) -> Operation {
    forced(operation).query("scale", flag(), "Also ask for fewer instances; starts a deployment.").query(
        "wipe",
        flag(),
        "Also forget what they kept; not together with `scale`.",
    )
}

pub(super) fn operations() -> Vec<Operation> {
    let post = |path, summary| operation("post", path, summary);
    let put = |path, summary| operation("put", path, summary);
    let patch = |path, summary| operation("patch", path, summary);
    let delete = |path, summary| operation("delete", path, summary);
    vec![
        embedding(get("/v2/apps", "Apps, filtered.").gives(200, "Apps"))
            .query("id", text(), "Part of the id.")
            .query("cmd", text(), "Part of the command.")
            .query("label", text(), "A label selector."),
        forced(post("/v2/apps", "Creates an app.").body("App").gives(201, "AppInfo")),
        partial(put("/v2/apps", "Creates or changes many apps as one deployment.").body("AppList"))
            .gives(200, "Started"),
        forced(patch("/v2/apps", "Changes many apps as one deployment.").body("AppList"))
            .gives(200, "Started"),
        embedding(get("/v2/apps/{app}", "An app.").gives(200, "OneApp")),
        partial(put("/v2/apps/{app}", "Creates or changes an app.").body("AppUpdate"))
            .gives(200, "Started")
            .or(201, "Created."),
        forced(patch("/v2/apps/{app}", "Changes an app.").body("AppUpdate")).gives(200, "Started"),
        forced(delete("/v2/apps/{app}", "Removes an app.").gives(200, "Started")),
        forced(post("/v2/apps/{app}/restart", "Replaces all instances.").gives(200, "Started")),
        get("/v2/apps/{app}/tasks", "An app's tasks.").gives(200, "Tasks"),
        killing(delete("/v2/apps/{app}/tasks", "Kills an app's tasks.").gives(200, "Killed")).query(
            "host",
            text(),
            "Only those on this host.",
        ),
        killing(delete("/v2/apps/{app}/tasks/{task}", "Kills a task.").gives(200, "Killed")),
        get("/v2/apps/{app}/versions", "An app's versions.").gives(200, "Versions"),
        get("/v2/apps/{app}/versions/{version}", "A version of an app.").gives(200, "AppInfo"),
        get("/v2/tasks", "All tasks.").gives(200, "Tasks").query(
            "status",
            list(one_of(&["running", "staging"])),
            "Only those.",
        ),
        killing(post("/v2/tasks/delete", "Kills the named tasks.").body("TaskIds").gives(200, "Killed")),
        get("/v2/deployments", "Deployments under way, oldest first.").gives(200, "Deployments"),
        forced(
            delete("/v2/deployments/{deployment}", "Goes back; with `force` stops where it is.")
                .gives(200, "Started")
                .or_nothing(202, "Stopped where it was."),
        ),
        get("/v2/queue", "What waits, and why.").gives(200, "Queue").query(
            "embed",
            list(text()),
            "`lastUnusedOffers`: also the machines that were looked at.",
        ),
        delete("/v2/queue/{app}/delay", "Ends an app's delay.").gives_nothing(204),
        embedding(get("/v2/groups", "The tree of groups.").gives(200, "Group")),
        embedding(get("/v2/groups/{group}", "A group.").gives(200, "Group")),
        forced(post("/v2/groups/{group}", "Creates a group.").body("GroupUpdate").gives(201, "Started")),
        forced(put("/v2/groups", "Creates or changes groups as one deployment.").body("GroupUpdate"))
            .gives(200, "Started")
            .query("dryRun", flag(), "Only say the steps."),
        forced(delete("/v2/groups", "Removes every group and app.").gives(200, "Started")),
        forced(post("/v2/groups", "Creates a group.").body("GroupUpdate").gives(201, "Started")),
        forced(
            put("/v2/groups/{group}", "Creates or changes a group as one deployment.").body("GroupUpdate"),
        )
        .gives(200, "Started")
        .query("dryRun", flag(), "Only say the steps."),
        patch("/v2/groups/{group}", "Whether a top-level group's apps must have its name as their role.")
            .body("GroupRole")
            .gives_nothing(200),
        forced(delete("/v2/groups/{group}", "Removes a group with everything in it.").gives(200, "Started")),
        get("/v2/groups/{group}/versions", "A group's versions.").gives(200, "Anything"),
        get("/v2/groups/{group}/versions/{version}", "A group as it was.").gives(200, "Group"),
        get("/v2/events", "Server-sent events.").gives_text("text/event-stream").query(
            "event_type",
            list(text()),
            "Only events of this type; may be repeated.",
        ),
        get("/v2/info", "About the server.").gives(200, "Anything"),
        get("/v2/leader", "Who leads.").gives(200, "Leader"),
        delete("/v2/leader", "The leader abdicates; event streams end.").gives(200, "Anything"),
        get("/v2/plugins", "Plugins; there are none.").gives(200, "Anything"),
    ]
}

fn labels() -> Value {
    map(text())
}

/// What an app and a change of one may say. `id` is added by who calls.
fn definition() -> Vec<(&'static str, Value)> {
    vec![
        ("cmd", or_null(text())),
        ("args", or_null(list(text()))),
        ("user", or_null(text())),
        ("env", or_null(map(json!({"anyOf": [text(), object("A secret's value.", [("secret", text())])]})))),
        ("labels", or_null(labels())),
        ("cpus", number()),
        ("mem", number()),
        ("disk", number()),
        ("gpus", count()),
        ("instances", count()),
        ("constraints", list(list(text()))),
        ("portDefinitions", or_null(list_of("PortDefinition"))),
        ("ports", or_null(list(count()))),
        ("requirePorts", flag()),
        ("healthChecks", list_of("HealthCheck")),
        ("upgradeStrategy", reference("UpgradeStrategy")),
        ("backoffSeconds", number()),
        ("backoffFactor", json!({"type": "number", "minimum": 1})),
        ("maxLaunchDelaySeconds", number()),
        ("taskKillGracePeriodSeconds", count()),
        ("killSelection", one_of(&["YOUNGEST_FIRST", "OLDEST_FIRST"])),
        ("unreachableStrategy", reference("UnreachableStrategy")),
        ("role", text()),
        ("acceptedResourceRoles", or_null(list(text()))),
        ("dependencies", list(text())),
        ("resourceLimits", reference("ResourceLimits")),
        ("networks", list_of("Network")),
        ("container", or_null(reference("Container"))),
        ("fetch", list_of("Artifact")),
        ("uris", list(text())),
        ("secrets", map(object("Where it is kept.", [("source", text())]))),
        ("readinessChecks", list_of("ReadinessCheck")),
        ("check", json!({"type": "object"})),
        ("tty", or_null(flag())),
        ("executor", text()),
        ("version", text()),
    ]
}

/// What a running app says besides its definition.
fn state() -> Vec<(&'static str, Value)> {
    vec![
        ("versionInfo", json!({"type": "object"})),
        ("tasksStaged", count()),
        ("tasksRunning", count()),
        ("tasksHealthy", count()),
        ("tasksUnhealthy", count()),
        ("deployments", list(json!({"type": "object"}))),
        ("tasks", list_of("Task")),
        ("lastTaskFailure", json!({"type": "object"})),
        ("taskStats", json!({"type": "object"})),
        ("readinessCheckResults", list(json!({"type": "object"}))),
    ]
}

fn with(words: &str, required: &[&str], fields: Vec<(&'static str, Value)>) -> Value {
    let properties: serde_json::Map<String, Value> =
        fields.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    let mut schema = json!({"type": "object", "description": words, "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn containers(put: &mut impl FnMut(&str, Value)) {
    let limit = || json!({"anyOf": [number(), one_of(&["unlimited"])]});
    put("ResourceLimits", object("Limits above the request.", [("cpus?", limit()), ("mem?", limit())]));
    put(
        "Network",
        object(
            "A network that instances are in.",
            [
                ("mode?", one_of(&["host", "container", "container/bridge"])),
                ("name?", text()),
                ("labels?", labels()),
            ],
        ),
    );
    put(
        "Container",
        object(
            "What instances run in.",
            [
                ("type?", one_of(&["MESOS", "DOCKER"])),
                ("docker?", or_null(reference("Docker"))),
                ("volumes?", list_of("Volume")),
                ("portMappings?", or_null(list_of("PortMapping"))),
            ],
        ),
    );
    put(
        "Docker",
        object(
            "An image, and how it is run. `network` and `portMappings` are the older form.",
            [
                ("image", text()),
                ("forcePullImage?", flag()),
                ("privileged?", flag()),
                ("parameters?", list(object("As of `docker run`.", [("key", text()), ("value", text())]))),
                ("pullConfig?", object("How to log in.", [("secret", text())])),
                ("network?", text()),
                ("portMappings?", or_null(list_of("PortMapping"))),
            ],
        ),
    );
    put(
        "PortMapping",
        object(
            "A port of the container; `hostPort` 0: any.",
            [
                ("containerPort?", count()),
                ("hostPort?", or_null(count())),
                ("servicePort?", count()),
                ("protocol?", one_of(&["tcp", "udp", "udp,tcp"])),
                ("name?", or_null(text())),
                ("labels?", labels()),
                ("networkNames?", list(text())),
            ],
        ),
    );
    put(
        "Volume",
        object(
            "What is seen where.",
            [
                ("containerPath", text()),
                ("hostPath?", text()),
                ("mode?", one_of(&["RO", "RW"])),
                ("secret?", text()),
            ],
        ),
    );
    put(
        "Artifact",
        object(
            "What is fetched into the sandbox.",
            [
                ("uri", text()),
                ("extract?", flag()),
                ("executable?", flag()),
                ("cache?", flag()),
                ("destPath?", text()),
            ],
        ),
    );
    put(
        "ReadinessCheck",
        object(
            "When a deployment may go on.",
            [
                ("name?", text()),
                ("protocol?", one_of(&["HTTP", "HTTPS"])),
                ("path?", text()),
                ("portName?", text()),
                ("intervalSeconds?", count()),
                ("timeoutSeconds?", count()),
                ("httpStatusCodesForReady?", list(count())),
                ("preserveLastResponse?", flag()),
            ],
        ),
    );
}

pub(super) fn schemas() -> Fields {
    let mut all = vec![("Anything".to_owned(), json!({"type": "object"}))];
    let mut put = |name: &str, schema: Value| all.push((name.to_owned(), schema));
    let id = ("id", text());
    let app = |more: Vec<_>| [vec![id.clone()], definition(), more].concat();
    put("App", with("An app's definition.", &["id"], app(vec![])));
    put("AppUpdate", with("A change of an app.", &[], app(vec![])));
    put("AppList", list_of("App"));
    put("AppInfo", with("An app as it is.", &["id", "version"], app(state())));
    put("OneApp", object("An app.", [("app", reference("AppInfo"))]));
    put("Apps", object("Apps.", [("apps", list_of("AppInfo"))]));
    put(
        "PortDefinition",
        object(
            "A host port; 0: any.",
            [
                ("port?", json!({"type": "integer", "minimum": 0, "maximum": 65_535})),
                ("protocol?", one_of(&["tcp", "udp", "udp,tcp"])),
                ("name?", or_null(text())),
                ("labels?", labels()),
            ],
        ),
    );
    containers(&mut put);
    put(
        "HealthCheck",
        object(
            "A health check.",
            [
                (
                    "protocol?",
                    one_of(&["HTTP", "HTTPS", "TCP", "COMMAND", "MESOS_TCP", "MESOS_HTTP", "MESOS_HTTPS"]),
                ),
                ("path?", or_null(text())),
                ("port?", or_null(count())),
                ("portIndex?", or_null(count())),
                ("command?", or_null(object("A command.", [("value", text())]))),
                ("gracePeriodSeconds?", count()),
                ("intervalSeconds?", count()),
                ("timeoutSeconds?", count()),
                ("delaySeconds?", count()),
                ("maxConsecutiveFailures?", count()),
                ("ignoreHttp1xx?", flag()),
                ("ipProtocol?", one_of(&["IPv4", "IPv6"])),
            ],
        ),
    );
    let share = || json!({"type": "number", "minimum": 0, "maximum": 1});
    put(
        "UpgradeStrategy",
        object(
            "How instances are replaced.",
            [("minimumHealthCapacity?", share()), ("maximumOverCapacity?", share())],
        ),
    );
    put(
        "UnreachableStrategy",
        json!({"anyOf": [
            one_of(&["disabled"]),
            object("After a while.", [("inactiveAfterSeconds?", count()), ("expungeAfterSeconds?", count())]),
        ]}),
    );
    put(
        "Task",
        object(
            "A task.",
            [
                ("id", text()),
                ("appId?", text()),
                ("version?", text()),
                ("servicePorts?", list(count())),
                ("host", text()),
                ("slaveId", text()),
                ("state", text()),
                ("ports", list(count())),
                ("stagedAt", text()),
                ("startedAt?", text()),
                ("role", text()),
                ("ipAddresses?", list(json!({"type": "object"}))),
                ("region?", text()),
                ("zone?", text()),
                ("healthCheckResults?", list(json!({"type": "object"}))),
                ("checkResult?", json!({"type": "object"})),
                ("localVolumes?", list(json!({"type": "object"}))),
            ],
        ),
    );
    put("Tasks", object("Tasks.", [("tasks", list_of("Task"))]));
    put("TaskIds", object("Tasks to be killed.", [("ids", list(text()))]));
    put(
        "Killed",
        object(
            "What was killed, or with `scale` the deployment.",
            [
                ("task?", reference("Task")),
                ("tasks?", list_of("Task")),
                ("deploymentId?", text()),
                ("version?", text()),
            ],
        ),
    );
    put("Versions", object("Versions, newest first.", [("versions", list(text()))]));
    put("Started", object("A deployment.", [("deploymentId", text()), ("version", text())]));
    put("Deployments", list_of("Deployment"));
    put(
        "Deployment",
        object(
            "A deployment under way.",
            [
                ("id", text()),
                ("version", text()),
                ("affectedApps", list(text())),
                ("affectedPods", list(text())),
                ("steps", list(json!({"type": "object"}))),
                ("currentActions", list(json!({"type": "object"}))),
                ("currentStep", count()),
                ("totalSteps", count()),
            ],
        ),
    );
    put("Queue", object("What waits.", [("queue", list_of("QueueItem"))]));
    put(
        "QueueItem",
        object(
            "An app that waits.",
            [
                ("count", count()),
                ("delay", object("Until when.", [("timeLeftSeconds", count()), ("overdue", flag())])),
                ("since", text()),
                ("app", reference("AppInfo")),
                ("processedOffersSummary", json!({"type": "object"})),
                ("lastUnusedOffers?", list(json!({"type": "object"}))),
            ],
        ),
    );
    put(
        "Group",
        object(
            "A group.",
            [
                ("id", text()),
                ("version?", text()),
                ("apps?", list_of("AppInfo")),
                ("groups?", list_of("Group")),
                ("pods?", list(json!({"type": "object"}))),
                ("dependencies?", list(text())),
                ("enforceRole?", flag()),
            ],
        ),
    );
    put(
        "GroupUpdate",
        object(
            "A group as it shall be; `apps` and `groups`, each when given, name the whole of that level.",
            [
                ("id?", or_null(text())),
                ("apps?", or_null(list_of("App"))),
                ("groups?", or_null(list_of("GroupUpdate"))),
                ("dependencies?", or_null(list(text()))),
                ("enforceRole?", or_null(flag())),
                ("scaleBy?", or_null(number())),
                ("version?", or_null(text())),
            ],
        ),
    );
    put("GroupRole", object("A top-level group's rule.", [("enforceRole", flag())]));
    put("Leader", object("Who leads.", [("leader", text())]));
    put(
        "Problem",
        object("Why not.", [("message", text()), ("details?", json!({})), ("deployments?", json!({}))]),
    );
    all
}
