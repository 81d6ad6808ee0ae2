//! `hansa image`: container images on the cluster's machines.

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::table::Table;
use crate::text;
use clap::{Args, Subcommand};
use hansa_api::hansa::{ImageOnNode, Images, Pruned, SilentNode};
use hansa_model::Timestamp;
use reqwest::Method;

/// What can be done with images.
#[derive(Clone, Debug, Subcommand)]
pub enum ImageCommand {
    /// Lists images, machine by machine
    #[command(visible_alias = "ls")]
    List(WhichArgs),
    /// Removes images that no task uses
    Prune(WhichArgs),
}

/// Which machines.
#[derive(Clone, Debug, Args)]
pub struct WhichArgs {
    /// Only on this machine
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
}

/// Does it.
pub async fn run(command: &ImageCommand, context: &Context) -> Result<(), Failure> {
    let (ImageCommand::List(which) | ImageCommand::Prune(which)) = command;
    let query: Vec<(&str, &str)> = which.node.iter().map(|node| ("node", node.as_str())).collect();
    match command {
        ImageCommand::List(_) => {
            let images: Images = context.client.get("/hansa/v1/images", &query).await?;
            tell_silent(&images.silent);
            let rows = images.images.len();
            context.format.print(&images, |images| {
                output::table(rows, "no images", &table(text::now(), &images.images))
            })
        }
        ImageCommand::Prune(_) => {
            let path = "/hansa/v1/images/prune";
            let pruned: Pruned = context.client.call(Method::POST, path, &query, None).await?;
            tell_silent(&pruned.silent);
            context.format.print(&pruned, removed)?;
            match pruned.silent.len() {
                0 => Ok(()),
                1 => Err(Failure::new(Exit::Failed, "a machine did not answer")),
                silent => Err(Failure::new(Exit::Failed, format!("{silent} machines did not answer"))),
            }
        }
    }
}

fn tell_silent(silent: &[SilentNode]) {
    for node in silent {
        output::note(&format!("{}: {}", node.node, node.why));
    }
}

fn table(now: Timestamp, images: &[ImageOnNode]) -> Table {
    let mut table = Table::new(&["~NODE", "<IMAGE", "?DIGEST", ">SIZE", "?>PULLED", ">TASKS", "USED"]);
    for image in images {
        let digest = image.digest.strip_prefix("sha256:").unwrap_or(&image.digest);
        table.row([
            image.node.clone(),
            image.references.join(" "),
            digest.chars().take(12).collect(),
            text::bytes(image.bytes),
            text::bytes(image.pulled_bytes),
            image.used_by.len().to_string(),
            if image.used_by.is_empty() { text::age(now, image.used_at) } else { "now".into() },
        ]);
    }
    table
}

fn removed(pruned: &Pruned) -> String {
    let mut lines = String::new();
    for node in pruned.nodes.iter().filter(|node| !node.images.is_empty() || node.bytes > 0) {
        let images = if node.images.len() == 1 { "image" } else { "images" };
        let freed = text::bytes(node.bytes);
        lines.push_str(&format!("{}: {} {images} removed, {freed}\n", node.node, node.images.len()));
        for image in &node.images {
            lines.push_str(&format!("  {image}\n"));
        }
    }
    if lines.is_empty() { "nothing to remove\n".into() } else { lines }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hansa_api::hansa::PrunedNode;

    #[test]
    fn images_are_listed_with_who_uses_them() {
        let image = |references: &[&str], used_by: &[&str]| ImageOnNode {
            node: "node1".into(),
            references: references.iter().map(|name| (*name).to_owned()).collect(),
            digest: format!("sha256:{}", "0123456789abcdef".repeat(4)),
            bytes: 3 << 20,
            pulled_bytes: 1 << 20,
            layers: 2,
            pulled_at: Timestamp(0),
            used_at: Timestamp(0),
            used_by: used_by.iter().map(|task| (*task).into()).collect(),
        };
        let images = [image(&["docker.io/library/nginx:1"], &["a.1", "b.1"]), image(&[], &[])];
        assert_eq!(
            table(Timestamp(60_000), &images).render(None),
            "NODE   IMAGE                      DIGEST        SIZE  PULLED  TASKS  USED\n\
             node1  docker.io/library/nginx:1  0123456789ab    3M      1M      2  now\n\
             node1  -                          0123456789ab    3M      1M      0  1m\n"
        );
        let pruned = Pruned {
            nodes: vec![PrunedNode { node: "node1".into(), images: vec!["a:1".into()], bytes: 1 << 20 }],
            silent: Vec::new(),
        };
        assert_eq!(removed(&pruned), "node1: 1 image removed, 1M\n  a:1\n");
        assert_eq!(removed(&Pruned::default()), "nothing to remove\n");
    }
}
