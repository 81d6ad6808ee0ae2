//! `hansa app update`: some fields of a service, from the command line or a file.

use crate::commands::app::run::read;
use crate::context::{Context, app_path};
use crate::failure::{Exit, Failure};
use crate::follow::{Goal, Started, Wait};
use crate::suggest::nearest;
use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value};

/// Changes some fields of a service, leaving the others
///
/// For example: hansa app update web cpus=0.5 mem=128 env.GREETING=hello 'constraints=[["rack","LIKE","r1"]]'
#[derive(Clone, Debug, Args)]
pub struct UpdateArgs {
    /// The service's path
    pub id: String,
    /// Fields as FIELD=VALUE; `env.NAME=` and `labels.NAME=` set single entries (an empty value removes one)
    #[arg(value_name = "FIELD=VALUE", required_unless_present = "file")]
    pub fields: Vec<String>,
    /// A file with the fields as JSON; `-` reads stdin
    #[arg(short, long)]
    pub file: Option<String>,
    /// Cancel deployments that are in the way
    #[arg(long)]
    pub force: bool,
    /// Replace only this share of the instances, such as 10%, then pause until `hansa deployment resume`
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub canary: Option<String>,
    #[command(flatten)]
    pub wait: Wait,
}

fn share(text: &str) -> Result<String, String> {
    match hansa_model::label::share_milli(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("write it as 10%".to_owned()),
    }
}

/// Fields that can be set on the command line: Marathon's.
const FIELDS: &[&str] = &[
    "acceptedResourceRoles",
    "args",
    "backoffFactor",
    "backoffSeconds",
    "cmd",
    "constraints",
    "cpus",
    "dependencies",
    "disk",
    "env",
    "gpus",
    "healthChecks",
    "instances",
    "killSelection",
    "labels",
    "maxLaunchDelaySeconds",
    "mem",
    "portDefinitions",
    "ports",
    "requirePorts",
    "role",
    "taskKillGracePeriodSeconds",
    "unreachableStrategy",
    "upgradeStrategy",
    "user",
];

/// Does it.
pub async fn run(args: &UpdateArgs, context: &Context) -> Result<(), Failure> {
    let id = app_path(&args.id);
    let path = format!("/v2/apps{id}");
    let mut change = match &args.file {
        Some(file) => serde_json::from_str::<Map<String, Value>>(&read(file)?).map_err(|error| {
            Failure::new(Exit::Usage, format!("this is not a JSON object: {error}")).at(file)
        })?,
        None => Map::new(),
    };
    let assignments =
        args.fields.iter().map(|field| Assignment::parse(field)).collect::<Result<Vec<_>, _>>()?;
    let current: Value = if assignments.iter().any(|assignment| assignment.entry.is_some()) {
        match context.client.get(&path, &[]).await {
            Ok(current) => current,
            Err(failure) => return Err(context.explain_missing_app(&id, failure).await),
        }
    } else {
        Value::Null
    };
    for assignment in assignments {
        assignment.apply(&current["app"], &mut change);
    }
    let mut query = vec![("force", if args.force { "true" } else { "false" })];
    query.extend(args.canary.as_deref().map(|share| ("canary", share)));
    match context.client.call::<Started>(Method::PATCH, &path, &query, Some(&Value::Object(change))).await {
        Ok(started) => context.follow(started, vec![id], Goal::Version, &args.wait).await,
        Err(failure) => Err(context.explain_missing_app(&id, failure).await),
    }
}

/// `field=value` or `field.entry=value`.
#[derive(Debug, PartialEq)]
struct Assignment {
    field: String,
    entry: Option<String>,
    value: Value,
}

impl Assignment {
    fn parse(text: &str) -> Result<Self, Failure> {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            Failure::new(Exit::Usage, format!("'{text}' is not FIELD=VALUE")).remedy("for example cpus=0.5")
        })?;
        let (field, entry) = match name.split_once('.') {
            Some((field @ ("env" | "labels"), entry)) if !entry.is_empty() => (field, Some(entry.to_owned())),
            _ => (name, None),
        };
        if !FIELDS.contains(&field) {
            let wrong = Failure::new(Exit::Usage, format!("a service has no field '{field}'"));
            return Err(match nearest(field, FIELDS.iter().copied()) {
                Some(known) => wrong.remedy(format!("did you mean '{known}'?")),
                None => wrong.remedy(FIELDS.join(", ")),
            });
        }
        let value = match (field, &entry) {
            // Text, whatever it looks like.
            ("cmd" | "user" | "role" | "killSelection", _) | (_, Some(_)) => Value::from(value),
            _ => serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)),
        };
        Ok(Self { field: field.to_owned(), entry, value })
    }

    /// Adds itself to `change`. A single entry is added to the map as it is now, for the API replaces whole maps.
    fn apply(self, current: &Value, change: &mut Map<String, Value>) {
        let Some(entry) = self.entry else {
            change.insert(self.field, self.value);
            return;
        };
        let whole = change
            .entry(self.field.clone())
            .or_insert_with(|| current[&self.field].as_object().cloned().unwrap_or_default().into());
        if let Value::Object(map) = whole {
            if self.value == "" {
                map.remove(&entry);
            } else {
                map.insert(entry, self.value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_become_json() {
        let current = json!({"env": {"A": "1", "B": "2"}});
        let mut change = Map::new();
        for text in [
            "cpus=0.5",
            "cmd=1",
            "env.B=",
            "env.C=3",
            "env.D=x=y",
            "constraints=[[\"rack\",\"LIKE\",\"r1\"]]",
        ] {
            Assignment::parse(text).unwrap().apply(&current, &mut change);
        }
        assert_eq!(
            Value::Object(change),
            json!({
                "cpus": 0.5, "cmd": "1", "env": {"A": "1", "C": "3", "D": "x=y"},
                "constraints": [["rack", "LIKE", "r1"]]
            })
        );
    }

    #[test]
    fn unknown_fields_suggest_known_ones() {
        let failure = Assignment::parse("instance=3").unwrap_err();
        assert_eq!(failure.remedy.as_deref(), Some("did you mean 'instances'?"));
        assert_eq!(Assignment::parse("cpus").unwrap_err().exit, Exit::Usage);
    }
}
