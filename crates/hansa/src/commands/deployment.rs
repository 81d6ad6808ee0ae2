//! `hansa deployment`: changes of services under way, and steering them.

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::follow::{Goal, Started, Wait};
use crate::output;
use crate::paint::of_state;
use crate::suggest::nearest;
use crate::table::{Table, pairs};
use crate::text;
use clap::{Args, Subcommand};
use hansa_api::hansa::{Deployment, Deployments, Steered};
use hansa_model::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

/// What can be done with deployments.
#[derive(Clone, Debug, Subcommand)]
pub enum DeploymentCommand {
    /// Lists deployments under way
    #[command(visible_alias = "ls")]
    List,
    /// Shows what a deployment does, what it waits for and what would help
    Show(OneArgs),
    /// Holds a deployment where it is
    Pause(OneArgs),
    /// Lets a paused deployment go on
    Resume(ResumeArgs),
    Cancel(CancelArgs),
}

/// One deployment.
#[derive(Clone, Debug, Args)]
pub struct OneArgs {
    /// The deployment's id, or its beginning if no other begins so
    pub id: String,
}

/// Lets a paused deployment go on
#[derive(Clone, Debug, Args)]
pub struct ResumeArgs {
    /// The deployment's id, or its beginning if no other begins so
    pub id: String,
    #[command(flatten)]
    pub wait: Wait,
}

/// Cancels a deployment by one that brings back what was before
#[derive(Clone, Debug, Args)]
pub struct CancelArgs {
    /// The deployment's id, or its beginning if no other begins so
    pub id: String,
    /// Stop where it is instead of going back
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub wait: Wait,
}

/// Does it.
pub async fn run(command: &DeploymentCommand, context: &Context) -> Result<(), Failure> {
    let all: Deployments = context.client.get("/hansa/v1/deployments", &[]).await?;
    match command {
        DeploymentCommand::List => context.format.print(&all, |all| {
            let empty = "no deployment is under way";
            output::table(all.deployments.len(), empty, &table(&all.deployments, text::now()))
        }),
        DeploymentCommand::Show(args) => {
            let deployment = find(&args.id, &all)?;
            context.format.print(deployment, |deployment| render(deployment, text::now()))
        }
        DeploymentCommand::Pause(args) => {
            let id = find(&args.id, &all)?.id.as_str();
            let steered = steer(id, "pause", context).await?;
            context.format.print(&steered, |_| {
                format!("deployment {id} holds; `hansa deployment resume {id}` lets it go on\n")
            })
        }
        DeploymentCommand::Resume(args) => resume(args, &all, context).await,
        DeploymentCommand::Cancel(args) => cancel(args, &all, context).await,
    }
}

async fn steer(id: &str, order: &str, context: &Context) -> Result<Steered, Failure> {
    let path = format!("/hansa/v1/deployments/{id}/{order}");
    context.client.call(Method::POST, &path, &[], None).await
}

fn find<'a>(id: &str, all: &'a Deployments) -> Result<&'a Deployment, Failure> {
    let exact = all.deployments.iter().find(|deployment| deployment.id.as_str() == id);
    // Its beginning is enough if no other has it: that is what narrow lists show.
    let begins = |one: &&Deployment| id.len() >= 4 && one.id.as_str().starts_with(id);
    let mut beginning = all.deployments.iter().filter(begins);
    let only = beginning.next().filter(|_| beginning.next().is_none());
    exact.or(only).ok_or_else(|| {
        let missing = Failure::new(Exit::NotFound, format!("there is no deployment '{id}' under way"));
        match nearest(id, all.deployments.iter().map(|deployment| deployment.id.as_str())) {
            Some(known) => missing.remedy(format!("did you mean '{known}'?")),
            None => missing.remedy("`hansa deployment list` shows all"),
        }
    })
}

fn services(deployment: &Deployment) -> Vec<String> {
    deployment.services.iter().map(ToString::to_string).collect()
}

async fn resume(args: &ResumeArgs, all: &Deployments, context: &Context) -> Result<(), Failure> {
    let deployment = find(&args.id, all)?;
    steer(deployment.id.as_str(), "resume", context).await?;
    let started =
        Started { version: deployment.version.to_string(), deployment_id: deployment.id.to_string() };
    context.follow(started, services(deployment), Goal::Version, &args.wait).await
}

async fn cancel(args: &CancelArgs, all: &Deployments, context: &Context) -> Result<(), Failure> {
    let deployment = find(&args.id, all)?;
    let query = [("force", if args.force { "true" } else { "false" })];
    let path = format!("/v2/deployments/{}", deployment.id);
    let answer: Value = context.client.call(Method::DELETE, &path, &query, None).await?;
    match serde_json::from_value::<Started>(answer) {
        Ok(started) => context.follow(started, services(deployment), Goal::Over, &args.wait).await,
        Err(_) => {
            let id = deployment.id.as_str();
            context.format.print(&json!({ "cancelled": id }), |_| format!("deployment {id} stopped\n"))
        }
    }
}

/// `running`, `paused` or `failing`.
fn state(deployment: &Deployment) -> &'static str {
    match (&deployment.paused, &deployment.failing) {
        (Some(_), _) => "paused",
        (None, Some(_)) => "failing",
        (None, None) => "running",
    }
}

fn table(deployments: &[Deployment], now: Timestamp) -> Table {
    let mut table = Table::new(&["ID", "STATE", ">STEP", ">AGE", "~SERVICES", "~WAITING FOR"])
        .brief("ID", |id| id.chars().take(8).collect())
        .paint("STATE", of_state);
    for deployment in deployments {
        table.row([
            deployment.id.to_string(),
            state(deployment).into(),
            format!("{}/{}", (deployment.step + 1).min(deployment.steps), deployment.steps),
            text::age(now, deployment.started_at),
            services(deployment).join(", "),
            deployment.waiting_for.clone(),
        ]);
    }
    table
}

fn render(deployment: &Deployment, now: Timestamp) -> String {
    let step = (deployment.step + 1).min(deployment.steps);
    let mut lines = vec![
        ("deployment", deployment.id.to_string()),
        ("state", state(deployment).to_owned()),
        ("services", services(deployment).join(", ")),
        ("step", format!("{step} of {}: {}", deployment.steps, deployment.doing.join(", "))),
        ("started", format!("{} ago", text::age(now, deployment.started_at))),
    ];
    if let Some(of) = &deployment.rolls_back {
        lines.push(("goes back on", of.to_string()));
    }
    for (name, at) in [("paused", &deployment.paused), ("failing", &deployment.failing)] {
        if let Some(at) = at {
            lines.push((name, format!("for {}: {}", text::age(now, at.since), at.words)));
        }
    }
    if !deployment.waiting_for.is_empty() {
        let since = text::age(now, deployment.waiting_since);
        lines.push(("waiting for", format!("{} (no progress for {since})", deployment.waiting_for)));
    }
    if !deployment.remedy.is_empty() {
        lines.push(("what helps", deployment.remedy.clone()));
    }
    pairs(&lines, 14)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hansa_model::event::Standstill;

    fn sample() -> Deployment {
        Deployment {
            id: "d-1".into(),
            version: Timestamp(1_000),
            started_at: Timestamp(1_000),
            services: vec!["/a".into(), "/b".into()],
            doing: vec!["RestartApplication /a".into()],
            step: 1,
            steps: 2,
            waiting_for: "1 of 2 instances is not healthy yet".into(),
            waiting_since: Timestamp(31_000),
            remedy: "its checks fail".into(),
            paused: None,
            failing: Some(Standstill { since: Timestamp(31_000), words: "no progress for 30 s".into() }),
            rolls_back: None,
        }
    }

    #[test]
    fn deployments_are_listed_with_what_they_wait_for() {
        assert_eq!(
            table(&[sample()], Timestamp(61_000)).render(None),
            "ID   STATE    STEP  AGE  SERVICES  WAITING FOR\n\
             d-1  failing   2/2   1m  /a, /b    1 of 2 instances is not healthy yet\n"
        );
    }

    #[test]
    fn a_deployment_says_what_would_help() {
        let text = render(&sample(), Timestamp(61_000));
        assert!(text.contains("step          2 of 2: RestartApplication /a\n"), "{text}");
        assert!(text.contains("failing       for 30s: no progress for 30 s\n"), "{text}");
        assert!(text.contains("not healthy yet (no progress for 30s)\n"), "{text}");
        assert!(text.contains("what helps    its checks fail\n"), "{text}");
    }
}
