//! `hansa app restart`: every instance replaced, by the service's upgrade strategy.

use crate::context::{Context, app_path};
use crate::failure::Failure;
use crate::follow::{Goal, Started, Wait};
use clap::Args;
use reqwest::Method;

/// Replaces all instances of a service, a few at a time
#[derive(Clone, Debug, Args)]
pub struct RestartArgs {
    /// The service's path
    pub id: String,
    /// Cancel deployments that are in the way
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub wait: Wait,
}

/// Does it.
pub async fn run(args: &RestartArgs, context: &Context) -> Result<(), Failure> {
    let id = app_path(&args.id);
    let query = [("force", if args.force { "true" } else { "false" })];
    match context.client.call::<Started>(Method::POST, &format!("/v2/apps{id}/restart"), &query, None).await {
        Ok(started) => context.follow(started, vec![id], Goal::Version, &args.wait).await,
        Err(failure) => Err(context.explain_missing_app(&id, failure).await),
    }
}
