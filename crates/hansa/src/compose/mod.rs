//! Compose files (`compose.yaml`), read as definitions of services.
//!
//! A project becomes a folder of services: service `web` of project `shop` is `/shop/web`. What a compose file says and
//! Hansa means the same by is translated; what has no meaning here is named in [`Translated::left_out`]; what would run
//! something else than was meant (building images, waiting for a service to end) is an error. Steps, a file each:
//! [`variables`] puts values in place of `${…}`, [`document`] reads the YAML, [`service`] turns one service into
//! Marathon's JSON. Not here: talking to the master (`commands::compose`).

mod document;
mod ports;
mod service;
mod units;
mod variables;
mod volumes;

use crate::context::path_part;
use crate::failure::{Exit, Failure};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The names that are looked for, in this order.
const FILE_NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

/// A compose file as services.
#[derive(Clone, Debug, PartialEq)]
pub struct Translated {
    /// The project's name: the folder of its services.
    pub project: String,
    /// Marathon's JSON, one app for each service, by path.
    pub apps: Vec<Value>,
    /// What the file says and has no meaning here, each with its place and why.
    pub left_out: Vec<String>,
}

impl Translated {
    /// The services' paths.
    pub fn ids(&self) -> Vec<String> {
        self.apps.iter().filter_map(|app| app["id"].as_str().map(str::to_owned)).collect()
    }
}

/// What shapes a translation besides the file.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The project's name; else the file's `name`, else its folder's.
    pub project: Option<String>,
    /// Profiles that are on.
    pub profiles: Vec<String>,
    /// The environment, for `${…}`; what `.env` beside the file says comes after it.
    pub environment: BTreeMap<String, String>,
}

/// The file that is meant: the given one, or the first of the usual names here.
pub fn find(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    FILE_NAMES.iter().map(PathBuf::from).find(|path| path.is_file()).ok_or_else(|| {
        Failure::new(Exit::Usage, "there is no compose.yaml here").remedy("name it with --file")
    })
}

/// Reads and translates a file.
pub fn load(path: &Path, settings: &Settings) -> Result<Translated, Failure> {
    let wrong = |cause: String| Failure::new(Exit::Usage, cause).at(path.display().to_string());
    let text =
        std::fs::read_to_string(path).map_err(|error| wrong(format!("cannot read the file: {error}")))?;
    let path = path.canonicalize().map_err(|error| wrong(error.to_string()))?;
    let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
    let mut environment = match std::fs::read_to_string(folder.join(".env")) {
        Ok(text) => variables::read_env_file(&text),
        Err(_) => BTreeMap::new(),
    };
    environment.extend(settings.environment.clone());
    let settings = Settings { environment, ..settings.clone() };
    translate(&text, &folder, &settings).map_err(wrong)
}

/// Translates a file's text; relative paths in it are relative to `folder`.
fn translate(text: &str, folder: &Path, settings: &Settings) -> Result<Translated, String> {
    let mut file = document::read(text)?;
    variables::substitute(&mut file, &settings.environment)?;
    let Value::Object(file) = file else { return Err("a compose file is a map with `services`".into()) };
    let project = project_name(&file, folder, settings)?;
    let mut left_out = Vec::new();
    for name in file.keys().filter(|name| !name.starts_with("x-")) {
        match name.as_str() {
            "services" | "name" | "version" | "volumes" => {}
            "networks" => left_out.push("networks: the services of a machine share one network".into()),
            "secrets" | "configs" => left_out.push(format!("{name}: not read from compose files yet")),
            "include" => return Err("include: not supported; put everything in one file".into()),
            other => return Err(format!("{other}: a compose file has no such field")),
        }
    }
    let services = match file.get("services") {
        Some(Value::Object(services)) if !services.is_empty() => services,
        _ => return Err("services: there are none".into()),
    };
    let on: BTreeMap<&String, &Map<String, Value>> = services
        .iter()
        .map(|(name, value)| match value {
            Value::Object(fields) => Ok((name, fields)),
            _ => Err(format!("services.{name}: not a map")),
        })
        .collect::<Result<BTreeMap<_, _>, _>>()?
        .into_iter()
        .filter(|(_, fields)| is_on(fields, &settings.profiles))
        .collect();
    if on.is_empty() {
        return Err("services: all of them belong to profiles that are off; name one with --profile".into());
    }
    let names: Vec<&str> = on.keys().map(|name| name.as_str()).collect();
    let place = service::Place { project: &project, folder, services: &names };
    let apps = on
        .iter()
        .map(|(name, fields)| service::translate(name, fields, &place, &mut left_out))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Translated { project, apps, left_out })
}

/// Whether a service is wanted: one without profiles always is.
fn is_on(fields: &Map<String, Value>, profiles: &[String]) -> bool {
    match fields.get("profiles") {
        Some(Value::Array(own)) if !own.is_empty() => {
            own.iter().filter_map(Value::as_str).any(|name| profiles.iter().any(|on| on == name || on == "*"))
        }
        _ => true,
    }
}

fn project_name(file: &Map<String, Value>, folder: &Path, settings: &Settings) -> Result<String, String> {
    let named = settings.project.clone().or_else(|| file.get("name")?.as_str().map(str::to_owned));
    let name = named.unwrap_or_else(|| {
        folder.file_name().map_or_else(|| "project".into(), |name| name.to_string_lossy().into_owned())
    });
    let plain = path_part(&name);
    if plain.is_empty() {
        return Err(format!("the project's name {name:?} has no letter or digit; give one with --project"));
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Result<Translated, String> {
        let environment = BTreeMap::from([("TAG".to_owned(), "7".to_owned())]);
        translate(text, Path::new("/home/me/My Shop"), &Settings { environment, ..Settings::default() })
    }

    #[test]
    fn a_usual_file_becomes_services() {
        let translated = read(
            r#"
services:
  web:
    image: nginx:${TAG}
    ports: ["8080:80"]
    depends_on: [redis]
    environment: {MODE: fast, EMPTY: }
    deploy: {replicas: 2, resources: {limits: {cpus: "0.5", memory: 64M}}}
    healthcheck: {test: [CMD, curl, -f, "http://localhost"], interval: 5s, retries: 2}
    logging: {driver: json-file}
  redis:
    image: redis
    command: redis-server --save "60 1"
    volumes: ["data:/data", "./conf:/etc/redis:ro"]
volumes:
  data:
"#,
        )
        .unwrap();
        assert_eq!(
            (translated.project.as_str(), translated.ids()),
            ("my-shop", vec!["/my-shop/redis".to_owned(), "/my-shop/web".to_owned()])
        );
        let (redis, web) = (&translated.apps[0], &translated.apps[1]);
        assert_eq!(web["container"]["docker"]["image"], "nginx:7");
        assert_eq!(
            web["container"]["portMappings"],
            json!([{"containerPort": 80, "hostPort": 8080, "protocol": "tcp"}])
        );
        assert_eq!((&web["instances"], &web["cpus"], &web["mem"]), (&json!(2), &json!(0.5), &json!(64.0)));
        assert_eq!(web["dependencies"], json!(["/my-shop/redis"]));
        assert_eq!(web["env"], json!({"MODE": "fast", "EMPTY": ""}));
        assert_eq!(
            web["healthChecks"],
            json!([{"protocol": "COMMAND", "command": {"value": "curl -f http://localhost"},
                "intervalSeconds": 5, "timeoutSeconds": 30, "maxConsecutiveFailures": 2,
                "gracePeriodSeconds": 0, "delaySeconds": 0}])
        );
        assert_eq!(redis["args"], json!(["redis-server", "--save", "60 1"]));
        assert_eq!(
            redis["container"]["volumes"],
            json!([
                {"containerPath": "/data", "hostPath": "/var/lib/hansa-volumes/my-shop/data", "mode": "RW"},
                {"containerPath": "/etc/redis", "hostPath": "/home/me/My Shop/conf", "mode": "RO"}
            ])
        );
        assert!(translated.left_out.iter().any(|line| line.starts_with("services.web.logging:")));
    }

    #[test]
    fn what_would_run_something_else_is_an_error_with_its_place() {
        for (text, cause) in [
            ("services: {}", "services: there are none"),
            ("servces: {a: {image: x}}", "servces: a compose file has no such field"),
            ("services: {a: {build: .}}", "services.a.build: images are not built here"),
            ("services: {a: {}}", "services.a.image: missing"),
            ("services: {a: {image: x, imgae: y}}", "services.a.imgae: a service has no such field"),
            ("services: {a: {image: \"x:${NONE?say which}\"}}", "NONE: say which"),
            (
                "services: {a: {image: x, depends_on: [b]}}",
                "services.a.depends_on: there is no service \"b\"",
            ),
            ("services: {a: {image: x, ports: [\"80:x\"]}}", "services.a.ports: \"80:x\""),
            ("services: {a: {image: x, mem_limit: much}}", "services.a.mem_limit: \"much\""),
            ("services: {a: {image: x, profiles: [debug]}}", "services: all of them belong to profiles"),
            ("services: [", "line"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(cause), "{text}: {error}");
        }
    }
}
