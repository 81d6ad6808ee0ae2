//! `hansa version`: this program's and the master's.

use crate::context::Context;
use crate::failure::Failure;
use hansa_api::hansa::Cluster;
use serde_json::json;

/// Does it. A master that cannot be reached is said, and is no failure.
pub async fn run(context: &Context) -> Result<(), Failure> {
    let own = env!("CARGO_PKG_VERSION");
    let cluster = context.client.get::<Cluster>("/hansa/v1/cluster", &[]).await;
    let master =
        cluster.as_ref().ok().map(|cluster| json!({ "version": cluster.version, "cluster": cluster.id }));
    let data = json!({ "version": own, "master": master, "address": context.client.address() });
    context.format.print(&data, |_| match &cluster {
        Ok(cluster) => format!(
            "hansa {own}\nmaster {} at {}, cluster {}\n",
            cluster.version,
            context.client.address(),
            cluster.id
        ),
        Err(failure) => format!("hansa {own}\nno master: {} ({})\n", failure.cause, context.client.address()),
    })
}
