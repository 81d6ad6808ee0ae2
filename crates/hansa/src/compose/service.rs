//! One service of a compose file as Marathon's JSON.

use super::{ports, units, volumes};
use crate::context::path_part;
use serde_json::{Map, Value, json};
use std::path::Path;

/// What a service gets that says nothing about its size: a share of a CPU (it may use more while the machine idles), and
/// this much memory.
const CPUS: f64 = 0.1;
const MEM_MIB: f64 = 256.0;

/// Where a service stands.
pub struct Place<'a> {
    /// The project's name.
    pub project: &'a str,
    /// The file's folder.
    pub folder: &'a Path,
    /// All services that are on.
    pub services: &'a [&'a str],
}

/// Fields that have no meaning here, each with the reason that is told.
const LEFT_OUT: &[(&str, &str)] = &[
    ("container_name", "instances are named by the cluster"),
    ("logging", "output is kept in the task's sandbox"),
    ("networks", "the services of a machine share one network"),
    ("links", "the services of a machine share one network"),
    ("pull_policy", "an image is pulled where it is not yet"),
    ("platform", "the machine's own is taken"),
    ("attach", "`hansa logs -f` shows output"),
    ("stdin_open", "`hansa exec -i` gives a command input"),
    ("secrets", "not read from compose files yet"),
    ("configs", "not read from compose files yet"),
    ("develop", "nothing is watched"),
    ("annotations", "labels say the same"),
];

/// Fields that go to `docker.parameters` under a name of their own, one for each value.
const PARAMETERS: &[(&str, &str)] = &[
    ("cap_add", "cap-add"),
    ("cap_drop", "cap-drop"),
    ("devices", "device"),
    ("dns", "dns"),
    ("domainname", "domainname"),
    ("extra_hosts", "add-host"),
    ("hostname", "hostname"),
    ("init", "init"),
    ("read_only", "read-only"),
    ("shm_size", "shm-size"),
    ("stop_signal", "stop-signal"),
    ("tmpfs", "tmpfs"),
    ("working_dir", "workdir"),
];

/// Translates the service `name`.
///
/// # Errors
/// What it says cannot be had or is wrong: the place in the file and the reason.
pub fn translate(
    name: &str,
    fields: &Map<String, Value>,
    place: &Place<'_>,
    left_out: &mut Vec<String>,
) -> Result<Value, String> {
    let mut service =
        Service { at: format!("services.{name}"), place, app: Map::new(), docker: Map::new(), left_out };
    service.app.insert("id".into(), json!(path(place.project, name)));
    service.app.insert("cpus".into(), json!(CPUS));
    service.app.insert("mem".into(), json!(MEM_MIB));
    service.app.insert("instances".into(), json!(1));
    let (mut parameters, mut mappings, mut mounts) = (Vec::new(), Vec::new(), Vec::new());
    let mut image = None;
    let (mut entrypoint, mut command) = (None, None);
    for (field, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        match field.as_str() {
            "image" => image = Some(service.text(field, value)?),
            "build" => {
                return Err(format!(
                    "{}.build: images are not built here; build it, push it and name it in `image`",
                    service.at
                ));
            }
            "entrypoint" => entrypoint = Some(service.command(field, value)?),
            "command" => command = Some(service.command(field, value)?),
            "environment" => service.put("env", service.pairs(field, value)?),
            "env_file" => service.env_file(value)?,
            "labels" => service.put("labels", service.pairs(field, value)?),
            "user" => service.put("user", json!(service.text(field, value)?)),
            "ports" => {
                for item in list(value) {
                    let mut notes = Vec::new();
                    let read = ports::published(item, &mut notes)
                        .map_err(|why| service.wrong(field, &format!("{}: {why}", shown(item))))?;
                    mappings.extend(read);
                    for what in notes {
                        service.leave_out(field, &format!("{what} has no meaning here"));
                    }
                }
            }
            "expose" => {
                for item in list(value) {
                    mappings.extend(ports::exposed(item).map_err(|why| service.wrong(field, &why))?);
                }
            }
            "volumes" => {
                for item in list(value) {
                    let mut notes = Vec::new();
                    mounts.push(
                        volumes::translate(item, place, &mut notes)
                            .map_err(|why| service.wrong(field, &why))?,
                    );
                    for what in notes {
                        service.leave_out(field, &format!("{what} has no meaning here"));
                    }
                }
            }
            "depends_on" => service.depends_on(value)?,
            "healthcheck" => service.health_check(value)?,
            "deploy" => service.deploy(value)?,
            "scale" => {
                let instances = value.as_u64().ok_or_else(|| service.wrong(field, "not a whole number"))?;
                service.put("instances", json!(instances));
            }
            "cpus" => service.cpus(field, value)?,
            "mem_limit" => service.memory(field, value)?,
            "stop_grace_period" => {
                let seconds = units::seconds(value).ok_or_else(|| service.unit(field, value))?;
                service.put("taskKillGracePeriodSeconds", json!(seconds));
            }
            "privileged" => drop(service.docker.insert("privileged".into(), value.clone())),
            "tty" => service.put("tty", value.clone()),
            "ulimits" => parameters.extend(service.ulimits(value)?),
            "network_mode" => match value.as_str() {
                Some("host") => service.put("networks", json!([{"mode": "host"}])),
                Some("bridge") => {}
                _ => return Err(service.wrong(field, "only host and bridge are known here")),
            },
            "restart" if matches!(value.as_str(), Some("always" | "unless-stopped")) => {}
            "restart" => service.leave_out(field, "a service that ends is started again"),
            "extends" => return Err(service.wrong(field, "not supported; write the fields out")),
            "profiles" => {}
            _ if field.starts_with("x-") => {}
            _ => {
                let known = |table: &[(&'static str, &'static str)]| {
                    table.iter().find(|(name, _)| name == field).map(|(_, said)| *said)
                };
                if let Some(key) = known(PARAMETERS) {
                    parameters.extend(service.parameters(field, key, value)?);
                } else if let Some(reason) = known(LEFT_OUT) {
                    service.leave_out(field, reason);
                } else {
                    return Err(service.wrong(field, "a service has no such field that is known here"));
                }
            }
        }
    }
    let image = image.ok_or_else(|| service.wrong("image", "missing"))?;
    service.docker.insert("image".into(), json!(image));
    // Docker's rule: with an entry point of its own, the image's command does not count.
    let args = match entrypoint {
        Some(words) if !words.is_empty() => {
            parameters.push(json!({"key": "entrypoint", "value": words[0]}));
            words.into_iter().skip(1).chain(command.unwrap_or_default()).collect()
        }
        _ => command.unwrap_or_default(),
    };
    if !args.is_empty() {
        service.put("args", json!(args));
    }
    if !parameters.is_empty() {
        service.docker.insert("parameters".into(), Value::Array(parameters));
    }
    let mut container = json!({"type": "DOCKER", "docker": service.docker});
    if !mounts.is_empty() {
        container["volumes"] = Value::Array(mounts);
    }
    if service.app.contains_key("networks") {
        if !mappings.is_empty() {
            service.leave_out("ports", "on the machine's own network every port is reached as it is");
        }
        service.put("portDefinitions", json!([]));
    } else {
        service.put("networks", json!([{"mode": "container/bridge"}]));
        container["portMappings"] = Value::Array(mappings);
    }
    service.put("container", container);
    Ok(Value::Object(service.app))
}

/// A service's path.
fn path(project: &str, name: &str) -> String {
    format!("/{project}/{}", path_part(name))
}

/// A service on its way.
struct Service<'a> {
    at: String,
    place: &'a Place<'a>,
    app: Map<String, Value>,
    docker: Map<String, Value>,
    left_out: &'a mut Vec<String>,
}

impl Service<'_> {
    fn put(&mut self, name: &str, value: Value) {
        match (self.app.get_mut(name), value) {
            // What stands in a file comes before what was read from another one; both are kept.
            (Some(Value::Object(old)), Value::Object(new)) => old.extend(new),
            (_, value) => drop(self.app.insert(name.to_owned(), value)),
        }
    }

    fn leave_out(&mut self, field: &str, reason: &str) {
        self.left_out.push(format!("{}.{field}: {reason}", self.at));
    }

    fn wrong(&self, field: &str, why: &str) -> String {
        format!("{}.{field}: {why}", self.at)
    }

    fn unit(&self, field: &str, value: &Value) -> String {
        self.wrong(field, &format!("{} is not a quantity", shown(value)))
    }

    fn text(&self, field: &str, value: &Value) -> Result<String, String> {
        units::text(value).filter(|text| !text.is_empty()).ok_or_else(|| self.wrong(field, "not a text"))
    }

    fn command(&self, field: &str, value: &Value) -> Result<Vec<String>, String> {
        match value {
            Value::Array(words) => words
                .iter()
                .map(|word| units::text(word).ok_or_else(|| self.wrong(field, "not a list of texts")))
                .collect(),
            other => units::words(&self.text(field, other)?)
                .ok_or_else(|| self.wrong(field, "a quote is not closed")),
        }
    }

    /// A map, or a list of `NAME=value`; a name alone takes its value from the environment of whoever runs the command.
    fn pairs(&self, field: &str, value: &Value) -> Result<Value, String> {
        let mut pairs = Map::new();
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    let text = units::text(value)
                        .ok_or_else(|| self.wrong(field, &format!("{name} is not a text")))?;
                    pairs.insert(name.clone(), json!(text));
                }
            }
            other => {
                for item in list(other) {
                    let text = self.text(field, item)?;
                    let (name, value) = match text.split_once('=') {
                        Some((name, value)) => (name.to_owned(), value.to_owned()),
                        None if field == "environment" => match std::env::var(&text) {
                            Ok(value) => (text, value),
                            Err(_) => continue,
                        },
                        None => (text, String::new()),
                    };
                    pairs.insert(name, json!(value));
                }
            }
        }
        Ok(Value::Object(pairs))
    }

    fn env_file(&mut self, value: &Value) -> Result<(), String> {
        let mut read = Map::new();
        for item in list(value) {
            let (path, required) = match item {
                Value::Object(fields) => (
                    fields.get("path").and_then(units::text).unwrap_or_default(),
                    fields.get("required").and_then(Value::as_bool).unwrap_or(true),
                ),
                other => (self.text("env_file", other)?, true),
            };
            match std::fs::read_to_string(self.place.folder.join(&path)) {
                Ok(text) => {
                    let file = super::variables::read_env_file(&text);
                    read.extend(file.into_iter().map(|(name, value)| (name, json!(value))));
                }
                Err(error) if required => return Err(self.wrong("env_file", &format!("{path}: {error}"))),
                Err(_) => {}
            }
        }
        if let Some(Value::Object(said)) = self.app.remove("env") {
            read.extend(said);
        }
        self.app.insert("env".into(), Value::Object(read));
        Ok(())
    }

    fn depends_on(&mut self, value: &Value) -> Result<(), String> {
        let mut ids = Vec::new();
        let named: Vec<(&str, &Value)> = match value {
            Value::Object(map) => map.iter().map(|(name, how)| (name.as_str(), how)).collect(),
            other => list(other).iter().filter_map(Value::as_str).map(|name| (name, &Value::Null)).collect(),
        };
        for (name, how) in named {
            if how["condition"] == "service_completed_successfully" {
                return Err(self.wrong("depends_on", &format!("{name}: a service does not end here")));
            }
            match self.place.services.contains(&name) {
                true => ids.push(path(self.place.project, name)),
                false if how["required"] == json!(false) => {}
                false => return Err(self.wrong("depends_on", &format!("there is no service {name:?}"))),
            }
        }
        self.put("dependencies", json!(ids));
        Ok(())
    }

    fn health_check(&mut self, value: &Value) -> Result<(), String> {
        let test = &value["test"];
        let words: Vec<&str> = list(test).iter().filter_map(Value::as_str).collect();
        let command = match words.as_slice() {
            _ if value["disable"] == json!(true) => return Ok(()),
            ["NONE"] => return Ok(()),
            ["CMD-SHELL", line] => (*line).to_owned(),
            ["CMD", words @ ..] if !words.is_empty() => {
                words.iter().map(|word| units::quoted(word)).collect::<Vec<_>>().join(" ")
            }
            [line] if test.is_string() => (*line).to_owned(),
            _ => {
                return Err(
                    self.wrong("healthcheck.test", "neither a command nor a list that starts with CMD")
                );
            }
        };
        let seconds = |name: &str, otherwise: u64| match &value[name] {
            Value::Null => Ok(otherwise),
            given => units::seconds(given).ok_or_else(|| self.unit(&format!("healthcheck.{name}"), given)),
        };
        let check = json!({
            "protocol": "COMMAND",
            "command": {"value": command},
            "intervalSeconds": seconds("interval", 30)?.max(1),
            "timeoutSeconds": seconds("timeout", 30)?.max(1),
            "gracePeriodSeconds": seconds("start_period", 0)?,
            "delaySeconds": 0,
            "maxConsecutiveFailures": value["retries"].as_u64().unwrap_or(3),
        });
        self.put("healthChecks", json!([check]));
        Ok(())
    }

    fn deploy(&mut self, value: &Value) -> Result<(), String> {
        let Value::Object(fields) = value else { return Err(self.wrong("deploy", "not a map")) };
        for (field, value) in fields {
            match field.as_str() {
                "replicas" => {
                    let instances =
                        value.as_u64().ok_or_else(|| self.wrong("deploy.replicas", "not a whole number"))?;
                    self.put("instances", json!(instances));
                }
                "resources" => {
                    // What is reserved is what counts here; a limit alone is taken for both.
                    for kind in ["limits", "reservations"] {
                        if let Some(cpus) = value[kind].get("cpus") {
                            self.cpus(&format!("deploy.resources.{kind}.cpus"), cpus)?;
                        }
                    }
                    for kind in ["reservations", "limits"] {
                        if let Some(memory) = value[kind].get("memory") {
                            self.memory(&format!("deploy.resources.{kind}.memory"), memory)?;
                        }
                    }
                }
                "labels" => self.put("labels", self.pairs("deploy.labels", value)?),
                "placement" => self.placement(value)?,
                "update_config" => {
                    let first = value["order"] == "start-first";
                    let (health, over) = if first { (1.0, 1.0) } else { (0.5, 0.0) };
                    self.put(
                        "upgradeStrategy",
                        json!({"minimumHealthCapacity": health, "maximumOverCapacity": over}),
                    );
                }
                "mode" if value == "replicated" => {}
                other => self.leave_out(&format!("deploy.{other}"), "has no meaning here"),
            }
        }
        Ok(())
    }

    fn placement(&mut self, value: &Value) -> Result<(), String> {
        let at = "deploy.placement.constraints";
        let mut constraints = Vec::new();
        for item in list(&value["constraints"]) {
            let text = self.text(at, item)?;
            let (field, operator, wanted) = match (text.split_once("=="), text.split_once("!=")) {
                (Some((field, wanted)), _) => (field, "LIKE", wanted),
                (None, Some((field, wanted))) => (field, "UNLIKE", wanted),
                _ => return Err(self.wrong(at, &format!("{text:?} is neither == nor !="))),
            };
            let field = match field.trim() {
                "node.hostname" => "hostname",
                other => other
                    .strip_prefix("node.labels.")
                    .ok_or_else(|| self.wrong(at, &format!("{other:?} is not known here")))?,
            };
            constraints.push(json!([field, operator, wanted.trim()]));
        }
        if let Some(most) = value["max_replicas_per_node"].as_u64() {
            constraints.push(json!(["hostname", "MAX_PER", most.to_string()]));
        }
        self.put("constraints", json!(constraints));
        Ok(())
    }

    fn cpus(&mut self, field: &str, value: &Value) -> Result<(), String> {
        let cpus = units::number(value).ok_or_else(|| self.unit(field, value))?;
        self.put("cpus", json!(cpus));
        Ok(())
    }

    fn memory(&mut self, field: &str, value: &Value) -> Result<(), String> {
        let bytes = units::bytes(value).ok_or_else(|| self.unit(field, value))?;
        self.put("mem", json!(bytes as f64 / f64::from(1 << 20)));
        Ok(())
    }

    fn parameters(&self, field: &str, key: &str, value: &Value) -> Result<Vec<Value>, String> {
        let one = |value: String| json!({"key": key, "value": value});
        match value {
            Value::Object(map) => map
                .iter()
                .map(|(name, value)| {
                    units::text(value)
                        .map(|value| one(format!("{name}:{value}")))
                        .ok_or_else(|| self.wrong(field, "not a map of texts"))
                })
                .collect(),
            other => list(other).iter().map(|item| Ok(one(self.text(field, item)?))).collect(),
        }
    }

    fn ulimits(&self, value: &Value) -> Result<Vec<Value>, String> {
        let Value::Object(limits) = value else { return Err(self.wrong("ulimits", "not a map")) };
        limits
            .iter()
            .map(|(name, value)| {
                let (soft, hard) = match value {
                    Value::Object(both) => (&both["soft"], &both["hard"]),
                    one => (one, one),
                };
                match (soft.as_i64(), hard.as_i64()) {
                    (Some(soft), Some(hard)) => {
                        Ok(json!({"key": "ulimit", "value": format!("{name}={soft}:{hard}")}))
                    }
                    _ => Err(self.wrong("ulimits", &format!("{name} is not a number"))),
                }
            })
            .collect()
    }
}

/// A list, or a single value as one.
fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(list) => list,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}
