//! `hansa app rollback`: an earlier version of a service again.

use crate::context::{Context, app_path};
use crate::failure::{Exit, Failure};
use crate::follow::{Goal, Started, Wait};
use crate::output::note;
use crate::table::{Table, terminal_width};
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

/// Brings an earlier version of a service back
#[derive(Clone, Debug, Args)]
pub struct RollbackArgs {
    /// The service's path
    pub id: String,
    /// Which version; without it the one before the current
    #[arg(long, value_name = "VERSION")]
    pub to: Option<String>,
    /// List the versions instead, newest first
    #[arg(long, conflicts_with = "to")]
    pub list: bool,
    /// Cancel deployments that are in the way
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub wait: Wait,
}

/// Does it.
pub async fn run(args: &RollbackArgs, context: &Context) -> Result<(), Failure> {
    let id = app_path(&args.id);
    let versions: Value = match context.client.get(&format!("/v2/apps{id}/versions"), &[]).await {
        Ok(versions) => versions,
        Err(failure) => return Err(context.explain_missing_app(&id, failure).await),
    };
    let versions: Vec<String> = versions["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let current = current(&id, context).await?;
    if args.list {
        let mut rows = Vec::new();
        for version in &versions {
            let path = format!("/v2/apps{id}/versions/{version}");
            // One that was dropped meanwhile is named, and that is all.
            rows.push((version.as_str(), context.client.get(&path, &[]).await.unwrap_or(Value::Null)));
        }
        return context
            .format
            .print(&json!({ "versions": versions }), |_| listed(&rows, &current).render(terminal_width()));
    }
    let current = current.as_str();
    let target = choose(&versions, current, args.to.as_deref()).map_err(|failure| failure.at(&id))?;
    note(&format!("{id}: from version {current} back to {target}"));
    let query = [("force", if args.force { "true" } else { "false" })];
    let body = json!({ "version": target });
    let started: Started =
        context.client.call(Method::PUT, &format!("/v2/apps{id}"), &query, Some(&body)).await?;
    context.follow(started, vec![id], Goal::Version, &args.wait).await
}

async fn current(id: &str, context: &Context) -> Result<String, Failure> {
    let app: Value = context.client.get(&format!("/v2/apps{id}"), &[]).await?;
    Ok(app["app"]["version"].as_str().unwrap_or_default().to_owned())
}

/// A line for each, with what tells them apart at a glance, and a mark at the one that holds.
fn listed(versions: &[(&str, Value)], current: &str) -> Table {
    let mut table = Table::new(&["VERSION", ">INSTANCES", "?>CPUS", "?>MEM", "~RUNS"]);
    for (version, app) in versions {
        let number = |field: &str| app[field].as_f64().map(|number| number.to_string()).unwrap_or_default();
        let words = |field: &Value| field.as_str().map(str::to_owned);
        let args =
            app["args"].as_array().map(|args| args.iter().filter_map(Value::as_str).collect::<Vec<_>>());
        let image = words(&app["container"]["docker"]["image"]);
        let command = words(&app["cmd"]).or(args.map(|args| args.join(" ")));
        table.row([
            format!("{version}{}", if *version == current { " (current)" } else { "" }),
            number("instances"),
            number("cpus"),
            app["mem"].as_f64().map(|mebibytes| format!("{mebibytes}M")).unwrap_or_default(),
            image.into_iter().chain(command).collect::<Vec<_>>().join(" "),
        ]);
    }
    table
}

/// The version to go back to: the one that is asked for, or the newest before `current`. Versions are times, so that
/// text order is time order.
fn choose<'a>(versions: &'a [String], current: &str, asked: Option<&str>) -> Result<&'a str, Failure> {
    let found = match asked {
        Some(asked) => versions.iter().find(|version| *version == asked),
        None => versions.iter().filter(|version| version.as_str() < current).max(),
    };
    found.map(String::as_str).ok_or_else(|| match asked {
        Some(asked) => Failure::new(Exit::NotFound, format!("there is no version {asked}"))
            .remedy("`hansa app rollback ID --list` lists the versions"),
        None => Failure::new(Exit::NotFound, "there is no version before the current one"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_that_holds_is_marked() {
        let app = json!({"instances": 2, "cpus": 0.1, "mem": 32.0, "cmd": "sleep 9"});
        let versions = [("2026-03", app), ("2026-01", Value::Null)];
        assert_eq!(
            listed(&versions, "2026-03").render(None),
            "VERSION            INSTANCES  CPUS  MEM  RUNS\n\
             2026-03 (current)          2   0.1  32M  sleep 9\n\
             2026-01                    -     -    -  -\n"
        );
    }

    #[test]
    fn the_version_before_is_chosen() {
        let versions = ["2026-03", "2026-01", "2026-02"].map(str::to_owned);
        assert_eq!(choose(&versions, "2026-03", None), Ok("2026-02"));
        assert_eq!(
            choose(&versions, "2026-02", None),
            Ok("2026-01"),
            "what is newer than the current does not count"
        );
        assert_eq!(choose(&versions, "2026-03", Some("2026-01")), Ok("2026-01"));
        assert_eq!(choose(&versions, "2026-01", None).unwrap_err().exit, Exit::NotFound);
        assert_eq!(choose(&versions, "2026-03", Some("2025")).unwrap_err().exit, Exit::NotFound);
    }
}
