//! `hansa compose`: services from a compose file.

use crate::compose::{self, Settings, Translated};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::follow::{Goal, Started, Wait};
use crate::output::note;
use clap::{Args, Subcommand};
use hansa_api::hansa::Services;
use reqwest::Method;
use serde_json::Value;
use std::path::PathBuf;

/// What can be done with a compose file.
#[derive(Clone, Debug, Subcommand)]
pub enum ComposeCommand {
    /// Makes the cluster run what the file says, as services below /PROJECT
    Up {
        #[command(flatten)]
        file: File,
        /// Remove services of the project that the file does not name
        #[arg(long)]
        remove_orphans: bool,
        /// Cancel deployments that are in the way
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Removes the project's services
    Down {
        #[command(flatten)]
        file: File,
        #[command(flatten)]
        wait: Wait,
    },
    /// Prints the definitions that the file becomes, in Marathon's JSON
    Config {
        #[command(flatten)]
        file: File,
    },
}

/// Which file, and how it is read.
#[derive(Clone, Debug, Args)]
pub struct File {
    /// The file [default: compose.yaml in this folder]
    #[arg(short, long)]
    pub file: Option<PathBuf>,
    /// The project's name [default: the file's `name`, else its folder's]
    #[arg(short, long)]
    pub project: Option<String>,
    /// Also services of this profile; can be given several times
    #[arg(long)]
    pub profile: Vec<String>,
}

impl File {
    /// Reads it, and says what of it has no meaning here.
    fn load(&self) -> Result<Translated, Failure> {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let settings =
            Settings { project: self.project.clone(), profiles: self.profile.clone(), environment };
        let translated = compose::load(&compose::find(self.file.as_deref())?, &settings)?;
        for line in &translated.left_out {
            note(&format!("left out: {line}"));
        }
        Ok(translated)
    }
}

/// Does it.
pub async fn run(command: &ComposeCommand, context: &Context) -> Result<(), Failure> {
    match command {
        ComposeCommand::Up { file, remove_orphans, force, wait } => {
            let translated = file.load()?;
            let ids = translated.ids();
            let mut orphans = below(context, &translated.project).await?;
            orphans.retain(|id| !ids.contains(id));
            let force = [("force", if *force { "true" } else { "false" }), ("partialUpdate", "false")];
            let apps = Value::Array(translated.apps);
            let started: Started = context.client.call(Method::PUT, "/v2/apps", &force, Some(&apps)).await?;
            context.follow(started, ids, Goal::Version, wait).await?;
            if !*remove_orphans && !orphans.is_empty() {
                note(&format!("not in the file: {}; --remove-orphans removes them", orphans.join(", ")));
                return Ok(());
            }
            remove(context, orphans, wait).await
        }
        ComposeCommand::Down { file, wait } => {
            let translated = file.load()?;
            let ids = below(context, &translated.project).await?;
            if ids.is_empty() {
                return Err(Failure::new(
                    Exit::NotFound,
                    format!("there is no service below /{}", translated.project),
                ));
            }
            remove(context, ids, wait).await
        }
        ComposeCommand::Config { file } => {
            let translated = file.load()?;
            crate::output::Format::Json.print(&translated.apps, |_| String::new())
        }
    }
}

/// The services of a project that the cluster has, by name, whether a file names them or not.
async fn below(context: &Context, project: &str) -> Result<Vec<String>, Failure> {
    let known: Services = context.client.get("/hansa/v1/services", &[]).await?;
    let below = format!("/{project}/");
    let mut ids: Vec<String> = known.services.iter().map(|service| service.id.to_string()).collect();
    ids.retain(|id| id.starts_with(&below));
    ids.sort();
    Ok(ids)
}

/// Removes services one after the other: what others depend on may go only after them, so whatever is refused is tried
/// again once the rest has gone.
async fn remove(context: &Context, mut ids: Vec<String>, wait: &Wait) -> Result<(), Failure> {
    while !ids.is_empty() {
        let before = ids.len();
        let mut refused = None;
        let mut left = Vec::new();
        for id in ids {
            match context.client.call::<Started>(Method::DELETE, &format!("/v2/apps{id}"), &[], None).await {
                Ok(started) => context.follow(started, vec![id], Goal::Removed, wait).await?,
                Err(failure) => {
                    refused = Some(failure);
                    left.push(id);
                }
            }
        }
        ids = left;
        if ids.len() == before
            && let Some(failure) = refused
        {
            return Err(failure);
        }
    }
    Ok(())
}
