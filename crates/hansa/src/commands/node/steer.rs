//! `hansa node drain|deactivate|reactivate`: whether a machine takes work.

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::follow::{Progress, Wait};
use crate::text;
use clap::Args;
use hansa_api::hansa::{Done, Node};
use reqwest::Method;
use std::time::{Duration, Instant};

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
    #[command(flatten)]
    pub wait: Wait,
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
}

impl Steering {
    fn verb(self) -> &'static str {
        match self {
            Steering::Deactivate => "deactivate",
            Steering::Reactivate => "reactivate",
            Steering::Drain => "drain",
        }
    }
}

/// Does it.
pub async fn run(args: &SteerArgs, steering: Steering, context: &Context) -> Result<(), Failure> {
    let (node, done) = order(&args.node, steering, context).await?;
    context.format.print(&done, |_| format!("{} {}d\n", node.hostname, steering.verb()))
}

/// Drains and waits until nothing runs there.
pub async fn drain(args: &DrainArgs, context: &Context) -> Result<(), Failure> {
    let (node, done) = order(&args.node, Steering::Drain, context).await?;
    if args.wait.no_wait {
        return context.format.print(&done, |_| format!("{} is draining\n", node.hostname));
    }
    let begun = Instant::now();
    let progress = Progress::new();
    let path = format!("/hansa/v1/nodes/{}", node.id);
    loop {
        let now: Node = context.client.get(&path, &[]).await?;
        if now.tasks == 0 {
            break;
        }
        progress.say(format!("{}: {} left", now.hostname, text::count(now.tasks.into(), "task")));
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
    context.format.print(&done, |_| format!("{} is empty\n", node.hostname))
}

async fn order(typed: &str, steering: Steering, context: &Context) -> Result<(Node, Done), Failure> {
    // The paths that change something take ids only: look the name up first.
    let node: Node = match context.client.get(&format!("/hansa/v1/nodes/{typed}"), &[]).await {
        Ok(node) => node,
        Err(failure) => return Err(context.explain_missing_node(typed, failure).await),
    };
    let path = format!("/hansa/v1/nodes/{}/{}", node.id, steering.verb());
    let done = context.client.call(Method::POST, &path, &[], None).await?;
    Ok((node, done))
}
