//! `hansa app remove`: services and all their tasks gone.

use crate::context::{Context, app_path};
use crate::failure::Failure;
use crate::follow::{Goal, Started, Wait};
use clap::Args;
use reqwest::Method;

/// Removes a service and ends its tasks
#[derive(Clone, Debug, Args)]
pub struct RemoveArgs {
    /// The service's path
    pub id: String,
    #[command(flatten)]
    pub wait: Wait,
}

/// Does it.
pub async fn run(args: &RemoveArgs, context: &Context) -> Result<(), Failure> {
    let id = app_path(&args.id);
    match context.client.call::<Started>(Method::DELETE, &format!("/v2/apps{id}"), &[], None).await {
        Ok(started) => context.follow(started, vec![id], Goal::Removed, &args.wait).await,
        Err(failure) => Err(context.explain_missing_app(&id, failure).await),
    }
}
