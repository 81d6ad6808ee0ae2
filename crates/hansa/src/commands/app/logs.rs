//! `hansa app logs`: the output of all instances of a service, line by line.

use crate::commands::task::logs::{Source, short_id, tail};
use crate::context::{Context, app_path};
use crate::failure::{Exit, Failure};
use crate::output::{note, write_stdout};
use clap::Args;
use hansa_api::hansa::Service;
use hansa_model::TaskId;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;

/// Shows the output of a service's tasks
#[derive(Clone, Debug, Args)]
pub struct LogsArgs {
    /// The service's path
    pub id: String,
    /// Stay, and show what is written from now on, also by new instances
    #[arg(short, long)]
    pub follow: bool,
    /// How many lines of each task to begin with
    #[arg(short = 'n', long, default_value_t = 20)]
    pub lines: usize,
    /// Only what was written to stderr
    #[arg(long)]
    pub stderr: bool,
    /// Only what was written to stdout
    #[arg(long, conflicts_with = "stderr")]
    pub stdout: bool,
}

/// Does it.
pub async fn run(args: &LogsArgs, context: &Context) -> Result<(), Failure> {
    let id = app_path(&args.id);
    if let Err(failure) = context.client.get::<Service>(&format!("/hansa/v1/services{id}"), &[]).await {
        return Err(context.explain_missing_app(&id, failure).await);
    }
    let files: &[&'static str] = match (args.stdout, args.stderr) {
        (true, _) => &["stdout"],
        (_, true) => &["stderr"],
        _ => &["stdout", "stderr"],
    };
    let (send, mut receive) = mpsc::channel::<String>(1024);
    let mut known: BTreeMap<TaskId, ()> = BTreeMap::new();
    let mut first = true;
    loop {
        let tasks = match context.tasks(&[("app", &id)]).await {
            Ok(tasks) => tasks,
            // While following, a master that restarts is waited for.
            Err(failure) if failure.exit == Exit::Unavailable && !first => Vec::new(),
            Err(failure) => return Err(failure),
        };
        if first && tasks.is_empty() {
            note(&format!("{id} has no tasks yet"));
        }
        for task in tasks {
            if known.insert(task.id.clone(), ()).is_some() {
                continue;
            }
            for &file in files {
                let source = Source { task: task.id.clone(), file };
                // A task that appears later is shown from its beginning.
                let lines = if first { args.lines } else { usize::MAX };
                let prefix = format!("{} {} | ", short_id(&task.id), task.hostname);
                tokio::spawn(copy(context.client.clone(), source, lines, args.follow, prefix, send.clone()));
            }
        }
        first = false;
        if !args.follow {
            drop(send);
            while let Some(line) = receive.recv().await {
                write_stdout(&line)?;
            }
            return Ok(());
        }
        let look_again = tokio::time::sleep(Duration::from_secs(1));
        tokio::pin!(look_again);
        loop {
            tokio::select! {
                () = &mut look_again => break,
                Some(line) = receive.recv() => write_stdout(&line)?,
            }
        }
    }
}

/// Sends the lines of one file, each with the prefix that says whose it is.
async fn copy(
    client: std::sync::Arc<crate::client::Client>,
    source: Source,
    lines: usize,
    follow: bool,
    prefix: String,
    send: mpsc::Sender<String>,
) {
    let (lines_in, mut lines_out) = mpsc::channel::<String>(64);
    let forward = async {
        while let Some(line) = lines_out.recv().await {
            if send.send(format!("{prefix}{line}\n")).await.is_err() {
                return;
            }
        }
    };
    let (result, ()) = tokio::join!(tail(&client, &source, lines, follow, lines_in), forward);
    if let Err(failure) = result
        && failure.exit != Exit::NotFound
    {
        note(&format!("{prefix}{}: {}", source.file, failure.cause));
    }
}
