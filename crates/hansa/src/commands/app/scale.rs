//! `hansa app scale`: more or fewer instances.

use crate::context::{Context, app_path};
use crate::failure::Failure;
use crate::follow::{Goal, Started, Wait};
use clap::Args;
use reqwest::Method;
use serde_json::json;

/// Changes how many instances a service has
#[derive(Clone, Debug, Args)]
pub struct ScaleArgs {
    /// The service's path
    pub id: String,
    /// How many instances; 0 suspends it
    #[arg(value_parser = parse_instances)]
    pub instances: u32,
    /// Cancel deployments that are in the way
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub wait: Wait,
}

fn parse_instances(typed: &str) -> Result<u32, String> {
    typed.parse().map_err(|_| "a number such as 3 is wanted, and 0 suspends the service".into())
}

/// Does it.
pub async fn run(args: &ScaleArgs, context: &Context) -> Result<(), Failure> {
    let id = app_path(&args.id);
    let query = [("force", if args.force { "true" } else { "false" })];
    // PATCH never creates, so that a mistyped name is an error and not a new service.
    let body = json!({ "instances": args.instances });
    match context.client.call::<Started>(Method::PATCH, &format!("/v2/apps{id}"), &query, Some(&body)).await {
        Ok(started) => context.follow(started, vec![id], Goal::Version, &args.wait).await,
        Err(failure) => Err(context.explain_missing_app(&id, failure).await),
    }
}
