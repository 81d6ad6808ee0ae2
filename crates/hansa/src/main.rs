//! The one binary: master, agent, shim, development cluster and command line. Wiring only.
//!
//! `shim` is dispatched first, before any thread or runtime starts. Then: [`args`] is the command line, [`config`] joins
//! it with the settings file, [`commands`] talk to a master over HTTP, [`compose`] reads compose files, [`serve`] runs a master or an agent, [`dev`] a
//! whole cluster, [`mesos`] a master or an agent as Mesos' command lines ask for it.

mod args;
mod client;
mod commands;
mod compose;
mod config;
mod context;
mod dev;
mod drain;
mod failure;
mod follow;
mod mesos;
mod output;
#[cfg(test)]
mod samples;
mod serve;
mod sse;
mod suggest;
mod table;
mod text;
mod workload;

use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use client::Client;
use config::overlay;
use context::Context;
use failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    if arguments.nth(1).is_some_and(|verb| verb == "shim") {
        hansa_agent::shim::main(arguments.collect());
    }
    if let Some((daemon, words)) = mesos::asked(std::env::args_os()) {
        return mesos::run(daemon, &words);
    }
    let cli = Cli::parse();
    match &cli.command {
        // Options of our own stood before it.
        Command::MesosMaster(args) => return mesos::run(mesos::Daemon::Master, &args.words),
        Command::MesosAgent(args) => return mesos::run(mesos::Daemon::Agent, &args.words),
        _ => {}
    }
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::note(&format!("error: {failure}"));
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    match &cli.command {
        Command::DemoWeb => return Ok(workload::web()?),
        Command::DemoWorker => return Ok(workload::worker()?),
        Command::Sim(args) => return commands::sim::execute(args),
        Command::DevJanitor(args) => {
            dev::janitor::run(args);
            return Ok(());
        }
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "hansa", &mut script);
            return output::write_stdout(&String::from_utf8_lossy(&script));
        }
        _ => {}
    }
    let file = config::load(cli.config.as_deref())?;
    let master = cli.master.clone().or_else(|| file.client.master.clone());
    let address = master.unwrap_or_else(|| config::DEFAULT_MASTER.into());
    let format = cli.output.or(file.client.output).unwrap_or_default();
    match &cli.command {
        Command::Master(args) => many_threads()?.block_on(serve::master(overlay(&file.master, args)?)),
        Command::Agent(args) => one_thread()?.block_on(serve::agent(overlay(&file.agent, args)?, &address)),
        Command::Dev(args) => one_thread()?.block_on(dev::run(overlay(&file.dev, args)?)),
        command => {
            let context = Context { client: Client::new(&address)?.into(), format };
            one_thread()?.block_on(client_command(command, &context))
        }
    }
}

async fn client_command(command: &Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::App(command) => commands::app::run(command, context).await,
        Command::Compose(command) => commands::compose::run(command, context).await,
        Command::Deployment(command) => commands::deployment::run(command, context).await,
        Command::Task(command) => commands::task::run(command, context).await,
        Command::Node(command) => commands::node::run(command, context).await,
        Command::Image(command) => commands::image::run(command, context).await,
        Command::Role(command) => commands::role::run(command, context).await,
        Command::Framework(command) => commands::framework::run(command, context).await,
        Command::Exec(args) => commands::exec::run(args, context).await,
        Command::Events(args) => commands::events::run(args, context).await,
        Command::Version => commands::version::run(context).await,
        other => unreachable!("{other:?} does not talk to a master"),
    }
}

fn many_threads() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// For programs that mostly wait; and children that shall die with the thread that started them are started on the
/// main thread, which lives as long as the process.
fn one_thread() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
