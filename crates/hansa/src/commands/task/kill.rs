//! `hansa task kill`: tasks ended; their services replace them unless told to shrink.

use crate::context::Context;
use crate::failure::Failure;
use crate::follow::{Goal, Started, Wait};
use crate::text;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

/// Ends tasks; their services start new ones instead
#[derive(Clone, Debug, Args)]
pub struct KillArgs {
    /// The tasks' ids, or pieces of them that no other has
    #[arg(required = true)]
    pub ids: Vec<String>,
    /// Lower the services' number of instances too, so that nothing replaces them
    #[arg(long)]
    pub scale: bool,
    /// Forget the instances, also those on machines that are out of reach
    #[arg(long, conflicts_with = "scale")]
    pub wipe: bool,
    /// Cancel deployments that are in the way (with --scale)
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub wait: Wait,
}

/// Does it.
pub async fn run(args: &KillArgs, context: &Context) -> Result<(), Failure> {
    let mut ids = Vec::new();
    let mut apps = Vec::new();
    for typed in &args.ids {
        let task = context.task(typed).await?;
        ids.push(task.id);
        if let Some(app) = task.app.map(|app| app.to_string()).filter(|app| !apps.contains(app)) {
            apps.push(app);
        }
    }
    let flag = |set: bool| if set { "true" } else { "false" };
    let query = [("scale", flag(args.scale)), ("wipe", flag(args.wipe)), ("force", flag(args.force))];
    let body = json!({ "ids": ids });
    let answer: Value = context.client.call(Method::POST, "/v2/tasks/delete", &query, Some(&body)).await?;
    match serde_json::from_value::<Started>(answer) {
        Ok(started) => context.follow(started, apps, Goal::Over, &args.wait).await,
        Err(_) => context.format.print(&json!({ "killed": ids }), |_| {
            let told: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
            format!("{} told to end: {}\n", text::count(ids.len() as u64, "task"), told.join(", "))
        }),
    }
}
