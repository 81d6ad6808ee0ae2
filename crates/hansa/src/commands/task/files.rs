//! `hansa task files` and `hansa task cat`: what lies in a task's sandbox, also after its end.

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::table::Table;
use crate::text;
use clap::Args;
use hansa_api::files::{File, Files, Kind};
use hansa_model::Timestamp;
use std::io::Write;

/// Lists files in a task's sandbox
#[derive(Clone, Debug, Args)]
pub struct FilesArgs {
    /// The task's id, or a piece of it that no other has
    pub id: String,
    /// A directory in the sandbox [default: the sandbox itself]
    #[arg(default_value = "", hide_default_value = true)]
    pub path: String,
}

/// Prints a file of a task's sandbox
#[derive(Clone, Debug, Args)]
pub struct CatArgs {
    /// The task's id, or a piece of it that no other has
    pub id: String,
    /// The file's path in the sandbox, such as `stdout`
    pub path: String,
}

/// Lists.
pub async fn run(args: &FilesArgs, context: &Context) -> Result<(), Failure> {
    let task = context.task(&args.id).await?;
    let path = format!("/hansa/v1/tasks/{}/files", task.id);
    let query = [("path", args.path.as_str()), ("node", task.node.as_str())];
    let entries = context.pages(&path, &query, |page: Files| (page.entries, page.next)).await?;
    let all = Files { path: args.path.clone(), entries, next: None };
    context
        .format
        .print(&all, |all| output::table(all.entries.len(), "no files", &table(&all.entries, text::now())))
}

fn table(files: &[File], now: Timestamp) -> Table {
    let mut table = Table::new(&["MODE", ">SIZE", ">AGE", "~NAME"]);
    for file in files {
        let (size, mark) = match file.kind {
            Kind::File => (text::bytes(file.size), ""),
            Kind::Directory => (String::new(), "/"),
            Kind::Link => (String::new(), "@"),
            Kind::Other => (String::new(), ""),
        };
        table.row([file.mode.clone(), size, text::age(now, file.modified), format!("{}{mark}", file.name)]);
    }
    table
}

/// Prints a file, byte for byte.
pub async fn cat(args: &CatArgs, context: &Context) -> Result<(), Failure> {
    let task = context.task(&args.id).await?;
    let path = format!("/hansa/v1/tasks/{}/files/content", task.id);
    // A download is the whole file, however large.
    let query = [("path", args.path.as_str()), ("node", task.node.as_str()), ("download", "true")];
    let mut response = context.client.stream(&path, &query).await?;
    let mut out = std::io::stdout().lock();
    loop {
        let bytes = response.chunk().await.map_err(|error| {
            Failure::new(Exit::Unavailable, format!("the file ends before its end: {error}"))
        })?;
        match bytes {
            Some(bytes) => match out.write_all(&bytes) {
                // Whoever reads has had enough.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
                done => done?,
            },
            None => return Ok(out.flush()?),
        }
    }
}
