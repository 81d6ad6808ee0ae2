//! `hansa diff`: how files differ from what runs.

use crate::context::Context;
use crate::definitions::gather;
use crate::failure::{Exit, Failure};
use crate::output::note;
use crate::plan::Plan;
use clap::Args;

/// Shows how files differ from what runs, field by field, without changing anything
///
/// Files hold Marathon's JSON or the same in YAML: services, lists of services, groups. Defaults are filled in on both sides.
/// Exit code 0: everything runs as the files say; 1: something differs; 2 and more: it could not be found out.
#[derive(Clone, Debug, Args)]
pub struct DiffArgs {
    /// Files or directories; `-` reads stdin
    #[arg(required = true, value_name = "FILE|DIR")]
    pub files: Vec<String>,
}

/// Does it.
pub async fn run(args: &DiffArgs, context: &Context) -> Result<(), Failure> {
    let plan = make(args, context).await.map_err(|failure| match failure.exit {
        // That one means that something differs.
        Exit::Failed => Failure { exit: Exit::Unavailable, ..failure },
        _ => failure,
    })?;
    context.format.print(&plan, Plan::text)?;
    if plan.is_done() { Ok(()) } else { Err(Failure::silent(Exit::Failed)) }
}

async fn make(args: &DiffArgs, context: &Context) -> Result<Plan, Failure> {
    let definitions = gather(&args.files)?;
    for doubt in &definitions.doubts {
        note(&format!("warning: {doubt}"));
    }
    Plan::make(context, &definitions, &[]).await
}
