//! `hansa mesos-master` and `hansa mesos-agent`: Mesos' daemons as their command lines know them.
//!
//! Also when the program is started through a link of one of these names (`mesos-slave`, too), so that unit files and test
//! benches find what they look for: Mesos' flags and variables, its words when they are wrong, its exit codes. What runs is
//! an ordinary master or agent.
//!
//! [`flags`] reads command lines, [`tables`] says what each flag does here, [`units`] and [`resources`] read values, and
//! [`master`] and [`agent`] make options of them.

mod agent;
mod flags;
mod master;
pub mod resources;
mod tables;
mod units;

use crate::output;
use flags::{Flag, Flags};
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

/// The version of Mesos whose API is spoken, as `--version` and `/version` say it.
pub const VERSION: &str = "1.11.0";

/// Which daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Daemon {
    /// `mesos-master`.
    Master,
    /// `mesos-agent`.
    Agent,
}

impl Daemon {
    fn named(name: &str) -> Option<Self> {
        match name {
            "mesos-master" => Some(Self::Master),
            "mesos-agent" | "mesos-slave" => Some(Self::Agent),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Master => "mesos-master",
            Self::Agent => "mesos-agent",
        }
    }

    fn table(self) -> Vec<Flag> {
        match self {
            Self::Master => tables::master(),
            Self::Agent => tables::agent(),
        }
    }
}

/// The daemon that a whole command line asks for, and the words for it: by the name that the program was started under, or
/// by its first word.
pub fn asked(mut arguments: impl Iterator<Item = OsString>) -> Option<(Daemon, Vec<String>)> {
    let program = arguments.next()?;
    let program = Path::new(&program).file_name()?.to_string_lossy().into_owned();
    let mut words: Vec<String> = arguments.map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(daemon) = Daemon::named(&program) {
        return Some((daemon, words));
    }
    let daemon = Daemon::named(words.first()?)?;
    words.remove(0);
    Some((daemon, words))
}

/// Runs the daemon until it is told to stop.
pub fn run(daemon: Daemon, words: &[String]) -> ExitCode {
    let table = daemon.table();
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let loaded = flags::load(&table, words, environment);
    let asks = |what: &str| match &loaded {
        Ok(flags) => flags.switch(what, false),
        // With Mesos a wrong flag does not stand in the way of help.
        Err(_) => words.iter().any(|word| word.trim_start_matches('-') == what && word.starts_with("--")),
    };
    let said = if asks("help") {
        output::write_stdout(&flags::usage(daemon.name(), &table))
    } else if asks("version") {
        output::write_stdout(&format!("mesos {VERSION}\n"))
    } else {
        let outcome = loaded
            .map_err(|why| format!("{why}\n\nSee `{} --help` for a list of supported flags.", daemon.name()))
            .and_then(|flags| serve(daemon, &flags));
        return match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                output::note(&why);
                ExitCode::FAILURE
            }
        };
    };
    if said.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn serve(daemon: Daemon, flags: &Flags) -> Result<(), String> {
    for warning in &flags.warnings {
        output::note(&format!("warning: {warning}"));
    }
    let filter = log_filter(flags)?;
    crate::logging::start(filter);
    let runtime = match daemon {
        Daemon::Master => crate::many_threads(),
        Daemon::Agent => crate::one_thread(),
    };
    let runtime = runtime.map_err(|failure| failure.to_string())?;
    let outcome = match daemon {
        Daemon::Master => runtime.block_on(master::run(flags)),
        Daemon::Agent => runtime.block_on(agent::run(flags)),
    };
    outcome.map_err(|error| format!("{error:#}"))
}

/// What is logged, unless `HANSA_LOG` says it.
fn log_filter(flags: &Flags) -> Result<&'static str, String> {
    if flags.switch("quiet", false) {
        return Ok("off");
    }
    match flags.text("logging_level") {
        None | Some("INFO") => Ok(crate::logging::FILTER),
        Some("WARNING") => Ok("warn"),
        Some("ERROR") => Ok("error"),
        Some(other) => {
            Err(format!("'{other}' is not a valid logging level. Possible values are INFO, WARNING, ERROR"))
        }
    }
}

/// Where to listen. Mesos listens everywhere unless it is told otherwise.
fn listen(flags: &Flags, default_port: u16) -> Result<SocketAddr, String> {
    let ip = match flags.text("ip") {
        Some(text) => {
            text.parse::<IpAddr>().map_err(|_| format!("Failed to parse --ip: '{text}' is not an address"))?
        }
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    let port = match flags.count("port") {
        Some(port) => {
            u16::try_from(port).map_err(|_| format!("Failed to load flag 'port': {port} is not a port"))?
        }
        None => default_port,
    };
    let address = SocketAddr::new(ip, port);
    if !ip.is_loopback() {
        output::note(&format!(
            "warning: whoever reaches {address} can use it: there is no login yet; --ip=127.0.0.1 keeps it to this machine"
        ));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Option<(Daemon, Vec<String>)> {
        asked(text.split(' ').map(OsString::from))
    }

    #[test]
    fn the_name_or_the_first_word_chooses() {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(line("/usr/sbin/mesos-master --port=1"), Some((Daemon::Master, words(&["--port=1"]))));
        assert_eq!(line("mesos-slave"), Some((Daemon::Agent, words(&[]))));
        assert_eq!(line("hansa mesos-agent --port=1"), Some((Daemon::Agent, words(&["--port=1"]))));
        assert_eq!(line("mesos-agent mesos-master"), Some((Daemon::Agent, words(&["mesos-master"]))));
        for other in ["hansa", "hansa dev", "hansa master mesos-master", "mesos"] {
            assert_eq!(line(other), None, "{other}");
        }
    }

    #[test]
    fn listening_is_everywhere_unless_said() {
        let at = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            flags::load(&tables::master(), &words, []).and_then(|flags| listen(&flags, 5050))
        };
        assert_eq!(at(&[]).unwrap().to_string(), "0.0.0.0:5050");
        assert_eq!(at(&["--ip=127.0.0.1", "--port=0"]).unwrap().to_string(), "127.0.0.1:0");
        assert_eq!(at(&["--ip=::1"]).unwrap().to_string(), "[::1]:5050");
        assert!(at(&["--ip=here"]).is_err() && at(&["--port=70000"]).is_err());
    }

    #[test]
    fn logging_has_three_levels_and_silence() {
        let filter =
            |word: &str| flags::load(&tables::agent(), &[word.to_owned()], []).and_then(|f| log_filter(&f));
        assert_eq!(filter("--logging_level=WARNING").unwrap(), "warn");
        assert_eq!(filter("--quiet").unwrap(), "off");
        assert!(filter("--logging_level=DEBUG").is_err());
    }
}
