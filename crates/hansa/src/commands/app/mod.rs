//! `hansa app`: services.

pub mod list;
pub mod one_liner;
pub mod remove;
pub mod restart;
pub mod rollback;
pub mod run;
pub mod scale;
pub mod show;
pub mod update;

use crate::context::Context;
use crate::failure::Failure;
use clap::Subcommand;

/// What can be done with services.
#[derive(Clone, Debug, Subcommand)]
pub enum AppCommand {
    // What other tools call it.
    #[command(visible_alias = "create", alias = "add")]
    Run(run::RunArgs),
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    #[command(aliases = ["status", "describe", "inspect", "get", "info"])]
    Show(show::ShowArgs),
    Scale(scale::ScaleArgs),
    #[command(alias = "set")]
    Update(update::UpdateArgs),
    Restart(restart::RestartArgs),
    Rollback(rollback::RollbackArgs),
    #[command(visible_alias = "rm", aliases = ["delete", "destroy"])]
    Remove(remove::RemoveArgs),
    Diff(crate::commands::diff::DiffArgs),
    Explain(crate::commands::explain::ServiceArgs),
    Logs(crate::commands::logs::LogsArgs),
}

/// Does it.
pub async fn run(command: &AppCommand, context: &Context) -> Result<(), Failure> {
    match command {
        AppCommand::Run(args) => run::run(args, context).await,
        AppCommand::List(args) => list::run(args, context).await,
        AppCommand::Show(args) => show::run(args, context).await,
        AppCommand::Scale(args) => scale::run(args, context).await,
        AppCommand::Update(args) => update::run(args, context).await,
        AppCommand::Restart(args) => restart::run(args, context).await,
        AppCommand::Rollback(args) => rollback::run(args, context).await,
        AppCommand::Remove(args) => remove::run(args, context).await,
        AppCommand::Diff(args) => crate::commands::diff::run(args, context).await,
        AppCommand::Explain(args) => crate::commands::explain::service(args, context).await,
        AppCommand::Logs(args) => crate::commands::logs::run(args, context).await,
    }
}
