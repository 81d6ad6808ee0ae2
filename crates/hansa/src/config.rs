//! Settings from three places: one TOML file, then the environment, then flags; what comes later wins.
//!
//! Every setting is declared once, as an optional field that clap reads from flags and environment and serde from the
//! file. [`overlay`] joins the two; defaults are filled in where the settings are used.

use crate::dev::DevArgs;
use crate::failure::{Exit, Failure};
use crate::output::Format;
use crate::text;
use clap::Args;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Where the file is if none is named.
const DEFAULT_FILE: &str = "/etc/hansa/hansa.toml";

/// The master that is talked to if none is named.
pub const DEFAULT_MASTER: &str = "http://127.0.0.1:8080";

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// For the client commands (and, its `master`, for the agent).
    pub client: ClientSection,
    /// For `hansa master`.
    pub master: MasterArgs,
    /// For `hansa agent`.
    pub agent: AgentArgs,
    /// For `hansa dev`.
    pub dev: DevArgs,
}

/// The file's `[client]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientSection {
    /// The master's address.
    pub master: Option<String>,
    /// How data is printed.
    pub output: Option<Format>,
}

/// Settings of `hansa master`.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct MasterArgs {
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, env = "HANSA_MASTER_LISTEN", hide_env_values = true, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// Where the cluster's intent is kept [default: /var/lib/hansa/master]
    #[arg(long, env = "HANSA_MASTER_DATA_DIR", hide_env_values = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Listen on other addresses than loopback although there is no login yet
    #[arg(long, env = "HANSA_MASTER_INSECURE", hide_env_values = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_name = "BOOL", hide_possible_values = true)]
    pub insecure: Option<bool>,
    /// How many deployments may go on at once
    #[arg(
        long,
        env = "HANSA_MASTER_MAX_RUNNING_DEPLOYMENTS",
        hide_env_values = true,
        value_name = "N",
        alias = "max_running_deployments"
    )]
    pub max_running_deployments: Option<usize>,
    /// A deployment without progress for this long is failing, unless its service's label says otherwise; 0: never
    #[arg(long, env = "HANSA_MASTER_PROGRESS_DEADLINE", hide_env_values = true, value_name = "TIME")]
    pub progress_deadline: Option<Span>,
    /// An origin whose web pages may use the API from a browser, such as `https://board.example`. May be repeated
    #[arg(
        long,
        env = "HANSA_MASTER_CORS_ORIGIN",
        hide_env_values = true,
        value_name = "URL",
        value_delimiter = ','
    )]
    pub cors_origin: Option<Vec<String>>,
}

/// Settings of `hansa agent`, besides `--master`.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AgentArgs {
    /// Where the agent keeps its id, its tasks' sandboxes and their output [default: /var/lib/hansa/agent]
    #[arg(long, env = "HANSA_AGENT_DATA_DIR", hide_env_values = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Its name in the cluster [default: the machine's]
    #[arg(long, env = "HANSA_AGENT_HOSTNAME", hide_env_values = true, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Where its own HTTP port listens [default: 127.0.0.1:5051]
    #[arg(long, env = "HANSA_AGENT_LISTEN", hide_env_values = true, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// What it offers, such as 'cpus:8;mem:16384;disk:100000;gpus:2;ports:[31000-32000]', mem and disk in MiB;
    /// 'cpus(role):2' keeps some for a Mesos role; JSON as Mesos' agents take it can also name PATH and MOUNT disks
    /// [default: the whole machine]
    #[arg(long, env = "HANSA_AGENT_RESOURCES", hide_env_values = true, value_name = "LIST")]
    pub resources: Option<String>,
    /// What constraints can ask for, such as 'rack:r1;ssd:yes'
    #[arg(long, env = "HANSA_AGENT_ATTRIBUTES", hide_env_values = true, value_name = "LIST")]
    pub attributes: Option<String>,
    /// The region it is in
    #[arg(long, env = "HANSA_AGENT_REGION", hide_env_values = true, value_name = "NAME")]
    pub region: Option<String>,
    /// The zone it is in
    #[arg(long, env = "HANSA_AGENT_ZONE", hide_env_values = true, value_name = "NAME")]
    pub zone: Option<String>,
    /// The subnet of containers with addresses of their own (container/bridge), such as 172.20.4.0/22
    /// [default: one that nothing on the machine uses]
    #[arg(long, env = "HANSA_AGENT_BRIDGE_SUBNET", hide_env_values = true, value_name = "CIDR")]
    pub bridge_subnet: Option<String>,
    /// Listen on other addresses than loopback although there is no login yet
    #[arg(long, env = "HANSA_AGENT_INSECURE", hide_env_values = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_name = "BOOL", hide_possible_values = true)]
    pub insecure: Option<bool>,
    /// When told to stop, have the tasks moved elsewhere first, and end those that are left
    #[arg(long, env = "HANSA_AGENT_DRAIN_ON_STOP", hide_env_values = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_name = "BOOL", hide_possible_values = true)]
    pub drain_on_stop: Option<bool>,
    /// A Docker configuration file with logins for image registries
    #[arg(long, env = "HANSA_AGENT_DOCKER_CONFIG", hide_env_values = true, value_name = "FILE")]
    pub docker_config: Option<PathBuf>,
    /// An image registry that plain HTTP is spoken with; loopback addresses always are. May be repeated
    #[arg(
        long,
        env = "HANSA_AGENT_INSECURE_REGISTRY",
        hide_env_values = true,
        value_name = "HOST[:PORT]",
        value_delimiter = ','
    )]
    pub insecure_registry: Option<Vec<String>>,
    /// A file with certificates (PEM) of authorities that registries and servers of artifacts may have theirs from, besides
    /// those that the machine trusts. May be repeated
    #[arg(
        long,
        env = "HANSA_AGENT_CA_FILE",
        hide_env_values = true,
        value_name = "FILE",
        value_delimiter = ','
    )]
    pub ca_file: Option<Vec<PathBuf>>,
    /// How long pulling an image may take [default: 30m]
    #[arg(long, env = "HANSA_AGENT_PULL_TIMEOUT", hide_env_values = true, value_name = "TIME")]
    pub pull_timeout: Option<Span>,
    /// Percentage of the disk in use above which unused images are removed [default: 90]
    #[arg(long, env = "HANSA_AGENT_IMAGES_HIGH", hide_env_values = true, value_name = "PERCENT",
          value_parser = clap::value_parser!(u64).range(1..=100))]
    pub images_high: Option<u64>,
    /// Percentage of the disk in use at which removing images stops [default: 80]
    #[arg(long, env = "HANSA_AGENT_IMAGES_LOW", hide_env_values = true, value_name = "PERCENT",
          value_parser = clap::value_parser!(u64).range(0..=100))]
    pub images_low: Option<u64>,
    /// End all tasks when the agent or its master has been away for this long [default: never]
    #[arg(long, env = "HANSA_AGENT_STOP_DEADLINE", hide_env_values = true, value_name = "TIME")]
    pub stop_deadline: Option<Span>,
    /// A directory (mode 700) with a file for each secret that tasks of this agent may ask for [default: none]
    #[arg(long, env = "HANSA_AGENT_SECRETS_DIR", hide_env_values = true, value_name = "DIR")]
    pub secrets_dir: Option<PathBuf>,
    /// Let `hansa exec` run commands in containers. Whoever reaches the agent's port may then do so
    #[arg(long, env = "HANSA_AGENT_ALLOW_EXEC", hide_env_values = true, num_args = 0..=1,
          default_missing_value = "true", value_name = "BOOL", hide_possible_values = true)]
    pub allow_exec: Option<bool>,
}

/// A time span such as `10s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text::parse_duration(text).map(Span)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0.as_millis())
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Reads the named file, or the default one if it exists.
pub fn load(named: Option<&Path>) -> Result<File, Failure> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(File::default());
        }
        Err(error) => {
            return Err(Failure::new(Exit::Usage, format!("cannot read the configuration file: {error}"))
                .at(path.display().to_string()));
        }
    };
    parse(&text).map_err(|failure| failure.at(path.display().to_string()))
}

fn parse(text: &str) -> Result<File, Failure> {
    toml::from_str(text).map_err(|error| {
        let place = error.span().map_or(String::new(), |span| {
            let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
            format!("line {line}: ")
        });
        Failure::new(Exit::Usage, format!("the configuration file is wrong: {place}{}", error.message()))
    })
}

/// `flags` where they say something, `file` elsewhere.
pub fn overlay<T: Serialize + DeserializeOwned>(file: &T, flags: &T) -> Result<T, Failure> {
    let broken =
        |error: serde_json::Error| Failure::new(Exit::Failed, format!("cannot join settings: {error}"));
    let mut joined = serde_json::to_value(file).map_err(broken)?;
    let flags = serde_json::to_value(flags).map_err(broken)?;
    if let (Value::Object(joined), Value::Object(flags)) = (&mut joined, flags) {
        for (name, value) in flags {
            if !value.is_null() {
                joined.insert(name, value);
            }
        }
    }
    serde_json::from_value(joined).map_err(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_file() {
        let file =
            parse("[master]\nlisten = \"127.0.0.1:1\"\ninsecure = true\n[agent]\nstop-deadline = \"10s\"")
                .unwrap();
        let flags = MasterArgs { listen: Some("127.0.0.1:2".into()), ..MasterArgs::default() };
        let joined = overlay(&file.master, &flags).unwrap();
        assert_eq!((joined.listen.as_deref(), joined.insecure), (Some("127.0.0.1:2"), Some(true)));
        let agent = overlay(&file.agent, &AgentArgs::default()).unwrap();
        assert_eq!(agent.stop_deadline, Some(Span(Duration::from_secs(10))));
        let off = MasterArgs { insecure: Some(false), ..MasterArgs::default() };
        assert_eq!(overlay(&file.master, &off).unwrap().insecure, Some(false));
    }

    #[test]
    fn mistakes_in_the_file_are_named_with_their_line() {
        let failure = parse("[agent]\n\nlisten = \"x\"\nmistake = 1\n").unwrap_err();
        assert!(failure.cause.contains("line 4") && failure.cause.contains("mistake"), "{failure}");
        assert_eq!(failure.exit, Exit::Usage);
        assert!(parse("[client]\noutput = \"xml\"").is_err());
    }

    #[test]
    fn a_named_file_must_exist() {
        assert_eq!(load(Some(Path::new("/nonexistent/hansa.toml"))).unwrap_err().exit, Exit::Usage);
    }
}
