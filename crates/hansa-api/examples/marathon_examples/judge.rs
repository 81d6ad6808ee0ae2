//! What becomes of an example here, and what Marathon does with it.
//!
//! Marathon's verdict follows from ours: refusals in Marathon's words are Marathon's; those in our own are not. What we
//! take and Marathon does not is looked for with the rules that we left out.

use crate::find::Example;
use hansa_api::marathon::update::merge;
use hansa_api::marathon::{Defaults, Problem, group, parse_app};
use serde_json::{Map, Value, json};

/// One line of the table.
pub struct Row {
    /// Where it stands.
    pub place: String,
    /// `app`, `part` (some fields of one), `group`, `pod`.
    pub kind: &'static str,
    /// Whether it is accepted here.
    pub here: bool,
    /// Whether Marathon accepts it.
    pub there: bool,
    /// What was wrong, and why the two differ if they do.
    pub why: Vec<String>,
}

/// Fields that only apps have.
const OF_APPS: [&str; 24] = [
    "cmd",
    "args",
    "container",
    "instances",
    "env",
    "healthChecks",
    "portDefinitions",
    "ports",
    "constraints",
    "fetch",
    "uris",
    "upgradeStrategy",
    "backoffSeconds",
    "acceptedResourceRoles",
    "ipAddress",
    "networks",
    "readinessChecks",
    "secrets",
    "check",
    "resourceLimits",
    "taskKillGracePeriodSeconds",
    "unreachableStrategy",
    "killSelection",
    "residency",
];

/// The lines for an example; none if it is about something else.
pub fn judge(example: &Example) -> Vec<Row> {
    let Some(json) = &example.json else {
        // Neither here nor there is it JSON; it counts only if it was meant to be an app.
        let row = Row {
            place: example.place.clone(),
            kind: "text",
            here: false,
            there: false,
            why: vec!["not JSON, also without its comments and elisions".into()],
        };
        return if example.looks_like_app { vec![row] } else { Vec::new() };
    };
    let mut rows = of_value(json, &example.place);
    if example.mended {
        for row in &mut rows {
            row.why.push(
                "read without its comments, elisions and trailing commas; as it stands both refuse it (400)"
                    .into(),
            );
        }
    }
    rows
}

fn of_value(json: &Value, place: &str) -> Vec<Row> {
    match json {
        Value::Array(list) if is_constraint(list) => of_value(&json!({"constraints": [list]}), place),
        Value::Array(list) if list.iter().any(Value::is_array) => {
            of_value(&json!({"constraints": list}), place)
        }
        Value::Array(list) => {
            let inner = list.iter().enumerate();
            inner.flat_map(|(at, value)| of_value(value, &format!("{place}({at})"))).collect()
        }
        Value::Object(fields) => of_object(fields, json, place),
        _ => Vec::new(),
    }
}

/// `["hostname", "UNIQUE"]` and such.
fn is_constraint(list: &[Value]) -> bool {
    let operator = list.get(1).and_then(Value::as_str).unwrap_or_default();
    list.len() < 4 && operator.len() > 1 && operator.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

fn of_object(fields: &Map<String, Value>, json: &Value, place: &str) -> Vec<Row> {
    // Events and answers have what apps have as well, and more that says what they are.
    if ["eventType", "message", "timestamp", "steps", "currentActions", "tasks", "queue", "spec", "slaveId"]
        .iter()
        .any(|name| fields.contains_key(*name))
    {
        return Vec::new();
    }
    if let (Some(app), 1) = (fields.get("app"), fields.len()) {
        return of_value(app, place);
    }
    if fields.contains_key("containers") {
        let why = vec!["pods are another issue: answered with 501 and their name".to_owned()];
        return vec![Row { place: place.into(), kind: "pod", here: false, there: true, why }];
    }
    if fields.contains_key("groups") || fields.contains_key("apps") {
        return of_group(json, place);
    }
    if !OF_APPS.iter().any(|name| fields.contains_key(*name)) {
        return match () {
            () if fields.contains_key("gracePeriodSeconds") => {
                of_value(&json!({"healthChecks": [json]}), place)
            }
            () if fields.contains_key("uri") => of_value(&json!({"fetch": [json]}), place),
            () => Vec::new(),
        };
    }
    let (kind, here, strict) = match fields.get("id") {
        Some(_) if !place.contains("patch") => {
            ("app", parse_app(json, &Defaults::default()), parse_app(json, &strict()))
        }
        _ => ("part", as_part(json, &Defaults::default()), as_part(json, &strict())),
    };
    vec![row(place, kind, json, here.map(drop), strict.map(drop))]
}

/// Some fields of an app, laid over one that has few others.
fn as_part(json: &Value, defaults: &Defaults) -> Result<hansa_model::app::AppSpec, Problem> {
    let base = parse_app(&json!({"id": "/example", "instances": 1, "cmd": "sleep 1"}), defaults)?;
    let mut patch = json.clone();
    // A part that brings a way to start along takes the place of the other.
    if patch.get("args").is_some() {
        patch["id"] = json!("/example");
        return parse_app(&patch, defaults);
    }
    merge(&base, &patch, defaults)
}

/// A group as it would be posted to the root group: its apps, its groups, and how they hang together.
fn of_group(json: &Value, place: &str) -> Vec<Row> {
    let read = |enforces: bool| group::read(json, "/", &Defaults::default(), &|_| enforces).map(drop);
    let mut row = row(place, "group", json, read(false), read(true));
    for app in apps_below(json) {
        if row.here
            && let Some(words) = left_out(app)
        {
            row.there = false;
            row.why.push(words.to_owned());
        }
    }
    vec![row]
}

/// Every app of a group, in it and below.
fn apps_below(group: &Value) -> Vec<&Value> {
    let list = |name: &str| group[name].as_array().map(Vec::as_slice).unwrap_or_default().iter();
    list("apps").chain(list("groups").flat_map(apps_below)).collect()
}

/// Marathon's rule for roles, which is off here.
fn strict() -> Defaults {
    Defaults { enforce_group_role: true, ..Defaults::default() }
}

fn row(
    place: &str,
    kind: &'static str,
    json: &Value,
    here: Result<(), Problem>,
    strict: Result<(), Problem>,
) -> Row {
    let (mut why, mut there) = (Vec::new(), true);
    for (path, words) in here.as_ref().err().into_iter().flat_map(faults) {
        if is_ours(&path, &words) {
            why.push(format!("Marathon takes {path}: {words}"));
        } else {
            there = false;
            why.push(format!("{path}: {words}"));
        }
    }
    if here.is_ok() {
        for (path, words) in strict.as_ref().err().into_iter().flat_map(faults) {
            there = false;
            why.push(format!("Marathon refuses {path}: {words}; here any role may be given"));
        }
        if let Some(words) = left_out(json) {
            there = false;
            why.push(words.to_owned());
        }
    }
    Row { place: place.into(), kind, here: here.is_ok(), there, why }
}

/// Paths and words of a refusal.
fn faults(problem: &Problem) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    for detail in problem.body["details"].as_array().into_iter().flatten() {
        let path = detail["path"].as_str().unwrap_or_default();
        for words in detail["errors"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            faults.push((path.to_owned(), words.to_owned()));
        }
    }
    faults
}

/// Whether a refusal is Hansa's own.
fn is_ours(path: &str, words: &str) -> bool {
    words.starts_with("not supported by this version of Hansa")
        || path.contains("/docker/parameters(")
        || [
            "must not contain '..'",
            "must be a path below the sandbox",
            "must not contain blanks or control characters",
        ]
        .contains(&words)
}

/// Rules of Marathon's that are not kept here, on purpose.
fn left_out(json: &Value) -> Option<&'static str> {
    let ports = json["ports"].as_array().map_or(1, Vec::len);
    let says_ports = json.get("portDefinitions").is_some() || json["container"].get("portMappings").is_some();
    let unaimed = json["healthChecks"].as_array().into_iter().flatten().any(|check| {
        let of_marathon = matches!(check["protocol"].as_str().unwrap_or("HTTP"), "HTTP" | "HTTPS" | "TCP");
        of_marathon && check.get("portIndex").is_none() && check.get("port").is_none()
    });
    (unaimed && !says_ports && ports != 1).then_some(
        "Marathon wants a portIndex of checks of apps with several `ports`; here it is 0 whatever way ports are written",
    )
}
