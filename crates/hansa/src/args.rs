//! The command line.

use crate::commands::{
    app::AppCommand, apply::ApplyArgs, compose::ComposeCommand, contexts::ContextCommand,
    deployment::DeploymentCommand, diff::DiffArgs, events::EventsArgs, exec::ExecArgs, explain::ExplainArgs,
    framework::FrameworkCommand, group::GroupCommand, image::ImageCommand, logs::LogsArgs, man::ManArgs,
    node::NodeCommand, role::RoleCommand, sim::SimArgs, task::TaskCommand,
};
use crate::config::{AgentArgs, MasterArgs};
use crate::dev::{DevArgs, janitor::JanitorArgs};
use crate::output::Format;
use crate::top::TopArgs;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

/// Options that every command understands.
const SHARED: &str = "Shared options";

const AFTER_HELP: &str = "\
First steps:
  hansa dev --demo    starts a cluster here, with a small web service
  hansa status        shows the cluster at a glance, and what needs attention
  hansa app run FILE  starts a service as its definition (JSON or YAML) says
  hansa explain ID    says why anything is as it is, and what would help
  hansa logs ID       shows what a service writes, also of what has crashed

Settings come from one TOML file (--config, else /etc/hansa/hansa.toml), then the environment, then flags.
Which master is talked to: --master, else --context, else the context in use, else the file, else this machine's.
HANSA_LOG sets what master and agent log, such as `debug` or `hansa_master=debug`. NO_COLOR leaves colours out.

Exit codes:
  0  done; of `hansa diff`: nothing differs
  1  tried, and failed; of `hansa diff`: something differs
  2  the command line, a file or the request is wrong; nothing was changed
  3  the named thing does not exist
  4  something is in the way: a deployment, an existing service, another process
  5  the master could not be reached, or is not ready
  6  waiting took longer than --timeout; the operation goes on in the cluster";

/// Many machines, one computer: runs services on a cluster and keeps them running
#[derive(Clone, Debug, Parser)]
#[command(name = "hansa", version, after_help = AFTER_HELP, max_term_width = 100, propagate_version = false,
          disable_version_flag = false, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// The master's address [default: http://127.0.0.1:8080]
    #[arg(long, global = true, env = "HANSA_MASTER", hide_env_values = true, value_name = "URL", help_heading = SHARED)]
    pub master: Option<String>,
    /// Talk to the cluster of this name (`hansa context`)
    #[arg(long, global = true, env = "HANSA_CONTEXT", hide_env_values = true, value_name = "NAME", help_heading = SHARED)]
    pub context: Option<String>,
    /// How to print data [default: table]
    #[arg(short, long, global = true, env = "HANSA_OUTPUT", hide_env_values = true, value_name = "table|wide|json|yaml",
          help_heading = SHARED, hide_possible_values = true)]
    pub output: Option<Format>,
    /// Show it again whenever the cluster changes (lists, `status`, `show` and `explain`)
    #[arg(short, long, global = true, help_heading = SHARED)]
    pub watch: bool,
    /// The settings file
    #[arg(long, global = true, env = "HANSA_CONFIG", hide_env_values = true, value_name = "FILE", help_heading = SHARED)]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Starts a whole cluster on this machine, and ends it with everything it started
    Dev(DevArgs),
    /// Runs a master: it decides what runs where
    Master(MasterArgs),
    /// Runs an agent: it gives this machine to the cluster
    Agent(AgentArgs),
    /// Runs a master with the flags of Mesos' `mesos-master` (`hansa mesos-master --help`)
    #[command(name = "mesos-master", disable_help_flag = true)]
    MesosMaster(MesosArgs),
    /// Runs an agent with the flags of Mesos' `mesos-agent`
    #[command(name = "mesos-agent", disable_help_flag = true)]
    MesosAgent(MesosArgs),
    /// Shows the cluster at a glance, and what needs attention
    Status,
    /// Runs, shows and changes services
    #[command(subcommand, visible_alias = "service", aliases = ["apps", "services"])]
    App(AppCommand),
    Apply(ApplyArgs),
    Diff(DiffArgs),
    #[command(alias = "log")]
    Logs(LogsArgs),
    Explain(ExplainArgs),
    /// Shows and changes groups: services in folders
    #[command(subcommand, alias = "groups")]
    Group(GroupCommand),
    /// Runs what a compose.yaml describes
    #[command(subcommand)]
    Compose(ComposeCommand),
    /// Shows and cancels changes under way
    #[command(subcommand, alias = "deployments")]
    Deployment(DeploymentCommand),
    /// Shows and ends tasks, and shows their output
    #[command(subcommand, alias = "tasks")]
    Task(TaskCommand),
    /// Shows machines, and steers whether they take work
    #[command(subcommand, aliases = ["nodes", "machine", "machines"])]
    Node(NodeCommand),
    /// Shows container images on machines, and removes those that are not used
    #[command(subcommand, alias = "images")]
    Image(ImageCommand),
    /// Shows and sets how teams share the cluster
    #[command(subcommand, alias = "roles")]
    Role(RoleCommand),
    /// Shows schedulers from outside, such as those for Mesos, and explains their offers
    #[command(subcommand, alias = "frameworks")]
    Framework(FrameworkCommand),
    Exec(ExecArgs),
    Events(EventsArgs),
    Top(TopArgs),
    /// Names clusters, and says which one commands talk to
    #[command(subcommand, alias = "contexts")]
    Context(ContextCommand),
    Sim(SimArgs),
    /// Prints the versions of this program and of the master
    Version,
    /// Prints a completion script, such as for `source <(hansa completions bash)`
    #[command(alias = "completion")]
    Completions {
        /// For which shell
        shell: Shell,
    },
    Man(ManArgs),
    /// The demo's web service
    #[command(hide = true)]
    DemoWeb,
    /// The demo's worker
    #[command(hide = true)]
    DemoWorker,
    /// Cleans up behind a `hansa dev` that was killed
    #[command(hide = true)]
    DevJanitor(JanitorArgs),
}

impl Command {
    /// Whether it only shows how things are, and can do so again and again.
    pub fn shows(&self) -> bool {
        match self {
            Command::App(command) => {
                matches!(command, AppCommand::List(_) | AppCommand::Show(_) | AppCommand::Explain(_))
            }
            Command::Group(command) => matches!(command, GroupCommand::List | GroupCommand::Show { .. }),
            Command::Deployment(command) => {
                matches!(command, DeploymentCommand::List | DeploymentCommand::Show(_))
            }
            Command::Task(command) => matches!(command, TaskCommand::List(_) | TaskCommand::Show(_)),
            Command::Node(command) => matches!(command, NodeCommand::List(_) | NodeCommand::Show(_)),
            Command::Image(command) => matches!(command, ImageCommand::List(_)),
            Command::Role(command) => matches!(command, RoleCommand::List),
            Command::Framework(_) | Command::Explain(_) | Command::Diff(_) | Command::Status => true,
            _ => false,
        }
    }
}

/// Words that are read elsewhere.
#[derive(Clone, Debug, Args)]
pub struct MesosArgs {
    /// Mesos' flags: --name=value
    #[arg(allow_hyphen_values = true, trailing_var_arg = true, value_name = "FLAGS")]
    pub words: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn shared_options_stand_anywhere() {
        for line in
            ["hansa -o json app list --master http://x:1", "hansa --master http://x:1 app list --output json"]
        {
            let cli = parse(line).unwrap();
            assert_eq!(
                (cli.output, cli.master.as_deref()),
                (Some(Format::Json), Some("http://x:1")),
                "{line}"
            );
        }
    }

    #[test]
    fn switches_are_switches() {
        let Command::Master(args) = parse("hansa master --insecure --listen 0.0.0.0:80").unwrap().command
        else {
            panic!("not the master")
        };
        assert_eq!((args.insecure, args.listen.as_deref()), (Some(true), Some("0.0.0.0:80")));
        let Command::Agent(args) = parse("hansa agent --drain-on-stop=false").unwrap().command else {
            panic!("not the agent")
        };
        assert_eq!((args.drain_on_stop, args.insecure), (Some(false), None));
    }

    #[test]
    fn a_wrong_flag_or_command_suggests_the_right_one() {
        let wrong = |line: &str| parse(line).unwrap_err().to_string();
        assert!(wrong("hansa conetxt list").contains("'context'"));
        assert!(wrong("hansa app list --outptu json").contains("--output"));
        assert!(wrong("hansa app lst").contains("'list'"));
        assert!(wrong("hansa agent --attribute rack:r1").contains("--attributes"));
    }
}
