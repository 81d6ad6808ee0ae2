//! `hansa deployment`: changes of services under way.

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::follow::{Goal, Started, Wait};
use crate::output;
use crate::suggest::nearest;
use crate::table::Table;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

/// What can be done with deployments.
#[derive(Clone, Debug, Subcommand)]
pub enum DeploymentCommand {
    /// Lists deployments under way
    #[command(visible_alias = "ls")]
    List,
    Cancel(CancelArgs),
}

/// Cancels a deployment by one that brings back what was before
#[derive(Clone, Debug, Args)]
pub struct CancelArgs {
    /// The deployment's id
    pub id: String,
    /// Stop where it is instead of going back
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub wait: Wait,
}

/// Does it.
pub async fn run(command: &DeploymentCommand, context: &Context) -> Result<(), Failure> {
    let deployments: Vec<Value> = context.client.get("/v2/deployments", &[]).await?;
    match command {
        DeploymentCommand::List => context.format.print(&deployments, |deployments| {
            output::table(deployments.len(), "no deployment is under way", &table(deployments))
        }),
        DeploymentCommand::Cancel(args) => cancel(args, &deployments, context).await,
    }
}

async fn cancel(args: &CancelArgs, deployments: &[Value], context: &Context) -> Result<(), Failure> {
    let Some(deployment) = deployments.iter().find(|deployment| deployment["id"] == args.id.as_str()) else {
        let missing = Failure::new(Exit::NotFound, format!("there is no deployment '{}' under way", args.id));
        let ids = deployments.iter().filter_map(|deployment| deployment["id"].as_str());
        return Err(match nearest(&args.id, ids) {
            Some(id) => missing.remedy(format!("did you mean '{id}'?")),
            None => missing.remedy("`hansa deployment list` shows all"),
        });
    };
    let apps = texts(&deployment["affectedApps"]);
    let query = [("force", if args.force { "true" } else { "false" })];
    let path = format!("/v2/deployments/{}", args.id);
    let answer: Value = context.client.call(Method::DELETE, &path, &query, None).await?;
    match serde_json::from_value::<Started>(answer) {
        Ok(started) => context.follow(started, apps, Goal::Over, &args.wait).await,
        Err(_) => {
            context.format.print(&json!({ "cancelled": args.id }), |_| format!("{} stopped\n", args.id))
        }
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn table(deployments: &[Value]) -> Table {
    let mut table = Table::new(&["ID", ">STEP", "~SERVICES", "~DOING", "SINCE"]);
    for deployment in deployments {
        let doing: Vec<String> = deployment["currentActions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|action| {
                let of = |name: &str| action[name].as_str().unwrap_or_default().to_owned();
                format!("{} {}", of("action"), of("app"))
            })
            .collect();
        table.row([
            deployment["id"].as_str().unwrap_or_default().into(),
            format!("{}/{}", deployment["currentStep"], deployment["totalSteps"]),
            texts(&deployment["affectedApps"]).join(", "),
            doing.join(", "),
            deployment["version"].as_str().unwrap_or_default().into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marathons_deployments_are_listed() {
        let deployments = [json!({
            "id": "d-1", "version": "2026-01-01T00:00:00.000Z", "affectedApps": ["/a", "/b"], "currentStep": 1,
            "totalSteps": 2, "currentActions": [{"action": "ScaleApplication", "app": "/a"}]
        })];
        assert_eq!(
            table(&deployments).render(None),
            "ID   STEP  SERVICES  DOING                SINCE\n\
             d-1   1/2  /a, /b    ScaleApplication /a  2026-01-01T00:00:00.000Z\n"
        );
    }
}
