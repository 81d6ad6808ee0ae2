//! The one binary: master, agent, shim, development cluster and command line. Wiring only.
//!
//! `shim` is dispatched first, before any thread or runtime starts. Then: [`args`] is the command line, [`known`]
//! words of other tools, [`config`] joins
//! it with the settings file, [`contexts`] are clusters by name, [`commands`] talk to a master over HTTP, [`watch`] does so
//! again and again, [`top`] fills the terminal, [`definitions`] reads files of services and groups, [`plan`] compares them
//! with what runs and carries that out, [`compose`] reads compose files, [`serve`] runs a master or an agent, [`dev`] a
//! whole cluster, [`mesos`] a master or an agent as Mesos' command lines ask for it.

mod args;
mod client;
mod commands;
mod compose;
mod config;
mod confirm;
mod context;
mod contexts;
mod definitions;
mod dev;
mod drain;
mod failure;
mod follow;
mod known;
mod logging;
mod mesos;
mod output;
mod paint;
mod plan;
#[cfg(test)]
mod samples;
mod serve;
mod sse;
mod suggest;
mod table;
mod text;
mod top;
mod watch;
mod workload;

use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use client::Client;
use config::overlay;
use context::Context;
use failure::{Exit, Failure};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    if arguments.nth(1).is_some_and(|verb| verb == "shim") {
        hansa_agent::shim::main(arguments.collect());
    }
    if let Some((daemon, words)) = mesos::asked(std::env::args_os()) {
        return mesos::run(daemon, &words);
    }
    let cli = Cli::try_parse().unwrap_or_else(|error| {
        let line: Vec<String> =
            std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        known::explained(error, &line).exit()
    });
    match &cli.command {
        // Options of our own stood before it.
        Command::MesosMaster(args) => return mesos::run(mesos::Daemon::Master, &args.words),
        Command::MesosAgent(args) => return mesos::run(mesos::Daemon::Agent, &args.words),
        _ => {}
    }
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.cause.is_empty() {
                output::note(&format!("error: {failure}"));
            }
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
        Command::Man(args) => return commands::man::run(args, Cli::command()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "hansa", &mut script);
            return output::write_stdout(&String::from_utf8_lossy(&script));
        }
        _ => {}
    }
    let file = config::load(cli.config.as_deref())?;
    let format = cli.output.or(file.client.output).unwrap_or_default();
    if format == output::Format::Wide {
        table::set_wide();
    }
    let (address, because) = match master(&cli, &file) {
        // What repairs the contexts works without them.
        Err(_) if matches!(&cli.command, Command::Context(_)) => {
            (config::DEFAULT_MASTER.into(), "nothing".into())
        }
        other => other?,
    };
    match &cli.command {
        Command::Master(args) => many_threads()?.block_on(serve::master(overlay(&file.master, args)?)),
        Command::Agent(args) => one_thread()?.block_on(serve::agent(overlay(&file.agent, args)?, &address)),
        Command::Dev(args) => one_thread()?.block_on(dev::run(overlay(&file.dev, args)?)),
        Command::Context(command) => commands::contexts::run(command, format, (&address, &because)),
        command => {
            let context = Context { client: Client::new(&address)?.into(), format };
            if !cli.watch {
                return one_thread()?.block_on(client_command(command, &context));
            }
            if !command.shows() {
                return Err(Failure::new(
                    Exit::Usage,
                    "--watch goes with lists, `status`, `show` and `explain`",
                )
                .remedy("`hansa events` shows everything that happens, `hansa top` the whole cluster"));
            }
            let show = async || client_command(command, &context).await;
            one_thread()?.block_on(watch::watch(context.client.clone(), show))
        }
    }
}

/// The master to talk to, and what names it.
fn master(cli: &Cli, file: &config::File) -> Result<(String, String), Failure> {
    let named = |master: &Option<String>, by: &str| Some((master.clone()?, by.to_owned()));
    if let Some(found) = named(&cli.master, "--master or HANSA_MASTER") {
        return Ok(found);
    }
    // An agent's master is no matter of the person who starts it.
    let daemon = matches!(&cli.command, Command::Master(_) | Command::Agent(_) | Command::Dev(_));
    if !daemon && let Some(found) = commands::contexts::address(cli.context.as_deref())? {
        return Ok(found);
    }
    Ok(named(&file.client.master, "the settings file")
        .unwrap_or_else(|| (config::DEFAULT_MASTER.into(), "default".into())))
}

async fn client_command(command: &Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::App(command) => commands::app::run(command, context).await,
        Command::Apply(args) => commands::apply::run(args, context).await,
        Command::Diff(args) => commands::diff::run(args, context).await,
        Command::Logs(args) => commands::logs::run(args, context).await,
        Command::Explain(args) => commands::explain::run(args, context).await,
        Command::Group(command) => commands::group::run(command, context).await,
        Command::Compose(command) => commands::compose::run(command, context).await,
        Command::Deployment(command) => commands::deployment::run(command, context).await,
        Command::Task(command) => commands::task::run(command, context).await,
        Command::Node(command) => commands::node::run(command, context).await,
        Command::Image(command) => commands::image::run(command, context).await,
        Command::Role(command) => commands::role::run(command, context).await,
        Command::Framework(command) => commands::framework::run(command, context).await,
        Command::Exec(args) => commands::exec::run(args, context).await,
        Command::Events(args) => commands::events::run(args, context).await,
        Command::Top(args) => top::run(args, context).await,
        Command::Status => commands::status::run(context).await,
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
