//! `hansa node drain|deactivate|reactivate|gone`: whether a machine takes work.

use super::preview;
use crate::confirm::confirm;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::follow::{Progress, Wait};
use crate::text;
use clap::Args;
use hansa_api::hansa::{Done, Node, Service};
use hansa_api::plans::{DrainPreview, Explained as Placement};
use reqwest::Method;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// So long no task has left before it is asked why.
const QUIET: Duration = Duration::from_secs(3);

/// Which machine.
#[derive(Clone, Debug, Args)]
pub struct SteerArgs {
    /// Its name or id
    pub node: String,
}

/// Which machine, and whether to wait until it is empty.
#[derive(Clone, Debug, Args)]
pub struct DrainArgs {
    /// Its name or id
    pub node: String,
    /// Only say what would become of its tasks
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub wait: Wait,
}

/// Which machine is lost for good.
#[derive(Clone, Debug, Args)]
pub struct GoneArgs {
    /// Its name or id
    pub node: String,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// What an operator can want of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steering {
    /// Nothing new.
    Deactivate,
    /// Work again.
    Reactivate,
    /// Nothing new, and what runs there moves.
    Drain,
    /// Never to come back: what ran there is lost.
    Gone,
}

impl Steering {
    fn verb(self) -> &'static str {
        match self {
            Steering::Deactivate => "deactivate",
            Steering::Reactivate => "reactivate",
            Steering::Drain => "drain",
            Steering::Gone => "gone",
        }
    }
}

/// Does it.
pub async fn run(args: &SteerArgs, steering: Steering, context: &Context) -> Result<(), Failure> {
    let node = find(&args.node, context).await?;
    let done = order(&node, steering, context).await?;
    context.format.print(&done, |_| format!("{} {}d\n", node.hostname, steering.verb()))
}

/// Gives a machine up, once that is confirmed.
pub async fn gone(args: &GoneArgs, context: &Context) -> Result<(), Failure> {
    let node = find(&args.node, context).await?;
    let tasks = match node.tasks {
        0 => "nothing is known to run there".to_owned(),
        1 => "its task counts as lost and is started elsewhere".to_owned(),
        many => format!("its {many} tasks count as lost and are started elsewhere"),
    };
    confirm(
        &format!("give {} up for good? {tasks}; should it come back, it begins anew", node.hostname),
        args.yes,
    )?;
    let done = order(&node, Steering::Gone, context).await?;
    context.format.print(&done, |_| format!("{} is given up\n", node.hostname))
}

/// Drains and waits until nothing runs there.
pub async fn drain(args: &DrainArgs, context: &Context) -> Result<(), Failure> {
    let node = find(&args.node, context).await?;
    if args.dry_run {
        let path = format!("/hansa/v1/nodes/{}/drain-preview", node.id);
        let preview: DrainPreview = context.client.get(&path, &[]).await?;
        return context.format.print(&preview, preview::render);
    }
    let done = order(&node, Steering::Drain, context).await?;
    if args.wait.no_wait {
        return context.format.print(&done, |_| format!("{} is draining\n", node.hostname));
    }
    let begun = Instant::now();
    let progress = Progress::new();
    let path = format!("/hansa/v1/nodes/{}", node.id);
    let (mut left, mut moved, mut stuck) = (node.tasks, Instant::now(), None);
    loop {
        let now: Node = context.client.get(&path, &[]).await?;
        if now.tasks == 0 {
            break;
        }
        if now.tasks != left {
            (left, moved, stuck) = (now.tasks, Instant::now(), None);
        } else if stuck.is_none() && moved.elapsed() >= QUIET {
            stuck = held(&now, context).await?;
            moved = Instant::now();
        }
        let why = stuck.as_deref().unwrap_or_default();
        progress.say(format!("{}: {} left{why}", now.hostname, text::count(now.tasks.into(), "task")));
        if args.wait.timeout.is_some_and(|limit| begun.elapsed() >= limit) {
            return Err(Failure::new(
                Exit::TimedOut,
                format!("{} still has {}", now.hostname, text::count(now.tasks.into(), "task")),
            )
            .remedy(format!("it goes on draining; `hansa node show {}` shows what is left", now.hostname)));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    progress.clear();
    context.format.print(&done, |_| {
        format!("{0} is empty; `hansa node reactivate {0}` lets it take tasks again\n", node.hostname)
    })
}

/// Why the tasks stay, in words that go on after how many there are; None if some place is found for all of them.
async fn held(node: &Node, context: &Context) -> Result<Option<String>, Failure> {
    let tasks = context.tasks(&[("node", node.id.as_str())]).await?;
    let apps: BTreeSet<_> = tasks.into_iter().filter_map(|task| task.app).collect();
    for app in apps {
        let service: Service = context.client.get(&format!("/hansa/v1/services{app}"), &[]).await?;
        if let Some(failing) = service.failing {
            return Ok(Some(format!(
                "; what is to take their place of {app} fails again and again ({}): they stay until that runs; \
                 `hansa explain {app}` says more",
                failing.last
            )));
        }
        let found: Placement = context.client.get(&format!("/hansa/v1/explain{app}"), &[]).await?;
        if found.explanation.fitting == 0 {
            return Ok(Some(format!(
                "; no place elsewhere for {app} ({}): they stay until there is one, or until `hansa node \
                 reactivate {}`",
                found.explanation.summary, node.hostname
            )));
        }
    }
    Ok(None)
}

/// The paths that change something take ids only: the name is looked up first.
async fn find(typed: &str, context: &Context) -> Result<Node, Failure> {
    match context.client.get(&format!("/hansa/v1/nodes/{typed}"), &[]).await {
        Ok(node) => Ok(node),
        Err(failure) => Err(context.explain_missing_node(typed, failure).await),
    }
}

async fn order(node: &Node, steering: Steering, context: &Context) -> Result<Done, Failure> {
    let path = format!("/hansa/v1/nodes/{}/{}", node.id, steering.verb());
    context.client.call(Method::POST, &path, &[], None).await
}
