//! `hansa apply`: the cluster made as files say.

use crate::context::{Context, app_path};
use crate::definitions::gather;
use crate::failure::Failure;
use crate::follow::Wait;
use crate::output::{note, write_stdout};
use crate::plan::carry_out::{Deployed, carry_out};
use crate::plan::{Action, Kind, Plan};
use clap::Args;
use serde::Serialize;

/// Makes services and groups be what files say: creates and changes what differs, and nothing else
///
/// Files hold Marathon's JSON or the same in YAML: services, lists of services, groups. Applying them twice changes nothing
/// the second time. For example: hansa apply -f shop/ --prune shop --dry-run
#[derive(Clone, Debug, Args)]
pub struct ApplyArgs {
    /// A file or directory; `-` reads stdin. May be repeated
    #[arg(short, long = "file", value_name = "FILE|DIR", required_unless_present = "more")]
    pub files: Vec<String>,
    /// More of them
    #[arg(value_name = "FILE|DIR")]
    pub more: Vec<String>,
    /// Remove the services of this group that the files do not define. May be repeated
    #[arg(long, value_name = "GROUP")]
    pub prune: Vec<String>,
    /// Show what would be done and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Cancel deployments that are in the way
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub wait: Wait,
}

/// All that is printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Applied<'a> {
    dry_run: bool,
    #[serde(flatten)]
    plan: &'a Plan,
    deployments: Vec<Deployed>,
}

/// Does it.
pub async fn run(args: &ApplyArgs, context: &Context) -> Result<(), Failure> {
    let places: Vec<String> = args.files.iter().chain(&args.more).cloned().collect();
    let definitions = gather(&places)?;
    for doubt in &definitions.doubts {
        note(&format!("warning: {doubt}"));
    }
    let prune: Vec<String> = args.prune.iter().map(|group| app_path(group)).collect();
    let plan = Plan::make(context, &definitions, &prune).await?;
    // People see what is coming before it comes.
    if context.format.is_for_people() {
        write_stdout(&plan.text())?;
    }
    let deployments = match args.dry_run {
        true => Vec::new(),
        false => carry_out(&plan, args.force, &args.wait, context).await?,
    };
    let applied = Applied { dry_run: args.dry_run, plan: &plan, deployments };
    context.format.print(&applied, end)
}

fn end(applied: &Applied<'_>) -> String {
    if applied.plan.is_done() {
        return String::new();
    }
    let count = |action: Action| {
        let steps = &applied.plan.steps;
        steps.iter().filter(|step| step.action == action && step.kind == Kind::Service).count()
    };
    let groups = applied.plan.steps.iter().filter(|step| step.kind == Kind::Group).count();
    let parts: Vec<String> = [
        (count(Action::Create), "created"),
        (count(Action::Change), "changed"),
        (count(Action::Remove), "removed"),
        (groups, "groups set"),
    ]
    .iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, word)| format!("{number} {word}"))
    .collect();
    let parts = parts.join(", ");
    let unfinished = |state: &str| {
        let found: Vec<&str> = applied
            .deployments
            .iter()
            .filter(|one| one.state == state)
            .map(|one| one.deployment_id.as_str())
            .collect();
        (!found.is_empty()).then(|| found.join(", "))
    };
    match (applied.dry_run, unfinished("paused"), unfinished("running")) {
        (true, ..) => format!("nothing was changed; without --dry-run: {parts}\n"),
        (_, Some(ids), _) => format!("{parts}; paused: `hansa deployment resume {ids}` lets it go on\n"),
        (_, _, Some(ids)) => format!("{parts}; under way: {ids} (`hansa deployment list`)\n"),
        _ => format!("{parts}\n"),
    }
}
