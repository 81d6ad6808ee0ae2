//! `hansa node`: machines.

mod apart;
pub mod list;
mod preview;
pub mod show;
pub mod steer;

use crate::context::Context;
use crate::failure::Failure;
use clap::Subcommand;
use steer::Steering;

/// What can be done with machines.
#[derive(Clone, Debug, Subcommand)]
pub enum NodeCommand {
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    #[command(aliases = ["status", "describe", "inspect", "get", "info"])]
    Show(show::ShowArgs),
    /// Empties a machine: its tasks are started elsewhere, nothing new comes
    Drain(steer::DrainArgs),
    /// Keeps new tasks away from a machine; what runs there runs on
    #[command(alias = "cordon")]
    Deactivate(steer::SteerArgs),
    /// Lets a machine take tasks again
    #[command(aliases = ["activate", "undrain", "uncordon"])]
    Reactivate(steer::SteerArgs),
    /// Gives a machine up that will never come back: what ran there is started elsewhere
    Gone(steer::GoneArgs),
}

/// Does it.
pub async fn run(command: &NodeCommand, context: &Context) -> Result<(), Failure> {
    match command {
        NodeCommand::List(args) => list::run(args, context).await,
        NodeCommand::Show(args) => show::run(args, context).await,
        NodeCommand::Drain(args) => steer::drain(args, context).await,
        NodeCommand::Deactivate(args) => steer::run(args, Steering::Deactivate, context).await,
        NodeCommand::Reactivate(args) => steer::run(args, Steering::Reactivate, context).await,
        NodeCommand::Gone(args) => steer::gone(args, context).await,
    }
}
