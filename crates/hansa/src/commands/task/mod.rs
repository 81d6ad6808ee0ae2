//! `hansa task`: single tasks.

pub mod files;
pub mod kill;
pub mod list;
pub mod logs;
pub mod show;

use crate::context::Context;
use crate::failure::Failure;
use clap::Subcommand;

/// What can be done with tasks.
#[derive(Clone, Debug, Subcommand)]
pub enum TaskCommand {
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    #[command(aliases = ["status", "describe", "inspect", "get", "info"])]
    Show(show::ShowArgs),
    #[command(alias = "log")]
    Logs(logs::LogsArgs),
    Files(files::FilesArgs),
    Cat(files::CatArgs),
    #[command(aliases = ["stop", "rm", "remove", "delete"])]
    Kill(kill::KillArgs),
}

/// Does it.
pub async fn run(command: &TaskCommand, context: &Context) -> Result<(), Failure> {
    match command {
        TaskCommand::List(args) => list::run(args, context).await,
        TaskCommand::Show(args) => show::run(args, context).await,
        TaskCommand::Logs(args) => logs::run(args, context).await,
        TaskCommand::Files(args) => files::run(args, context).await,
        TaskCommand::Cat(args) => files::cat(args, context).await,
        TaskCommand::Kill(args) => kill::run(args, context).await,
    }
}
