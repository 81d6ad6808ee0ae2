//! From an image's configuration and the user's wishes to what is executed: Docker's rules, and Mesos'.

use crate::manifest::ImageConfig;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// What the user says of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Given to the image's `/bin/sh -c`, whatever the image says.
    Shell(String),
    /// Arguments; none: what the image says.
    Arguments(Vec<String>),
}

/// Whose rules put entry point, command and arguments together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// The entry point stays; arguments take the place of the image's.
    Docker,
    /// Likewise; but without an entry point the first word of the image's command stays, too.
    Mesos,
}

/// An image and what the user says cannot be brought together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Nobody says what to run.
    #[error("the image has neither an entry point nor a command: give the service a cmd or args")]
    NothingToRun,
    /// The image's `STOPSIGNAL` is none.
    #[error("the image's stop signal {0:?} is not one")]
    Signal(String),
}

impl ImageConfig {
    /// Program and arguments.
    ///
    /// # Errors
    /// [`RunError::NothingToRun`].
    pub fn argv(&self, said: &Said, rules: Rules) -> Result<Vec<String>, RunError> {
        let argv: Vec<String> = match said {
            Said::Shell(line) => vec!["/bin/sh".into(), "-c".into(), line.clone()],
            Said::Arguments(none) if none.is_empty() => {
                self.entrypoint.iter().chain(&self.cmd).cloned().collect()
            }
            Said::Arguments(own) => {
                let kept = match (rules, self.entrypoint.as_slice()) {
                    (Rules::Mesos, []) => &self.cmd[..self.cmd.len().min(1)],
                    (_, entrypoint) => entrypoint,
                };
                kept.iter().chain(own).cloned().collect()
            }
        };
        if argv.first().is_none_or(String::is_empty) { Err(RunError::NothingToRun) } else { Ok(argv) }
    }

    /// The image's environment. Later ones win; what the kernel could not pass on is left out.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let pairs = self.env.iter().filter_map(|line| line.split_once('='));
        pairs
            .filter(|(name, value)| !name.is_empty() && !name.contains('\0') && !value.contains('\0'))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Where the command starts, if the image says so: absolute and without `..`.
    pub fn working_dir(&self) -> Option<PathBuf> {
        if self.working_dir.is_empty() || self.working_dir.contains('\0') {
            return None;
        }
        let mut clean = PathBuf::from("/");
        for part in Path::new(&self.working_dir).components() {
            match part {
                Component::Normal(part) => clean.push(part),
                Component::ParentDir => drop(clean.pop()),
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        Some(clean)
    }

    /// Where the image's volumes are; the root is none.
    pub fn volume_paths(&self) -> impl Iterator<Item = PathBuf> {
        let absolute = self.volumes.keys().filter(|path| path.starts_with('/') && !path.contains('\0'));
        absolute
            .map(PathBuf::from)
            .filter(|path| path.components().any(|part| matches!(part, Component::Normal(_))))
    }

    /// The signal that asks it to stop; None: the usual one.
    ///
    /// # Errors
    /// [`RunError::Signal`].
    pub fn stop_signal(&self) -> Result<Option<i32>, RunError> {
        match self.stop_signal.trim() {
            "" => Ok(None),
            text => signal(text).map(Some).ok_or_else(|| RunError::Signal(text.chars().take(50).collect())),
        }
    }
}

/// A signal's number, of its name (with or without `SIG`) or number.
pub fn signal(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    // As glibc counts them; the kernel's first two are its own.
    let (first, last) = (34, 64);
    if let Some(rest) = name.strip_prefix("RTMIN") {
        let more = if rest.is_empty() { 0 } else { rest.strip_prefix('+')?.parse::<i32>().ok()? };
        return (0..=last - first).contains(&more).then_some(first + more);
    }
    if let Some(rest) = name.strip_prefix("RTMAX") {
        let less = if rest.is_empty() { 0 } else { rest.strip_prefix('-')?.parse::<i32>().ok()? };
        return (0..=last - first).contains(&less).then_some(last - less);
    }
    const NAMES: &[(&str, i32)] = &[
        ("HUP", libc::SIGHUP),
        ("INT", libc::SIGINT),
        ("QUIT", libc::SIGQUIT),
        ("ILL", libc::SIGILL),
        ("TRAP", libc::SIGTRAP),
        ("ABRT", libc::SIGABRT),
        ("IOT", libc::SIGABRT),
        ("BUS", libc::SIGBUS),
        ("FPE", libc::SIGFPE),
        ("KILL", libc::SIGKILL),
        ("USR1", libc::SIGUSR1),
        ("SEGV", libc::SIGSEGV),
        ("USR2", libc::SIGUSR2),
        ("PIPE", libc::SIGPIPE),
        ("ALRM", libc::SIGALRM),
        ("TERM", libc::SIGTERM),
        ("CHLD", libc::SIGCHLD),
        ("CONT", libc::SIGCONT),
        ("STOP", libc::SIGSTOP),
        ("TSTP", libc::SIGTSTP),
        ("TTIN", libc::SIGTTIN),
        ("TTOU", libc::SIGTTOU),
        ("URG", libc::SIGURG),
        ("XCPU", libc::SIGXCPU),
        ("XFSZ", libc::SIGXFSZ),
        ("VTALRM", libc::SIGVTALRM),
        ("PROF", libc::SIGPROF),
        ("WINCH", libc::SIGWINCH),
        ("IO", libc::SIGIO),
        ("POLL", libc::SIGIO),
        ("PWR", libc::SIGPWR),
        ("SYS", libc::SIGSYS),
    ];
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// What is run, of an entry point, a command, and what the user says.
    fn run(entrypoint: &str, cmd: &str, said: Said, rules: Rules) -> String {
        let config = ImageConfig { entrypoint: words(entrypoint), cmd: words(cmd), ..ImageConfig::default() };
        config.argv(&said, rules).map_or_else(|_| "-".into(), |argv| argv.join(" "))
    }

    #[test]
    fn command_lines_by_both_rules() {
        let args = |text: &str| Said::Arguments(words(text));
        for (entrypoint, cmd, own, docker, mesos) in [
            ("", "", "", "-", "-"),
            ("", "sh -l", "", "sh -l", "sh -l"),
            ("e f", "", "", "e f", "e f"),
            ("e f", "c d", "", "e f c d", "e f c d"),
            ("", "", "a b", "a b", "a b"),
            ("", "sh -l", "a b", "a b", "sh a b"),
            ("e f", "", "a b", "e f a b", "e f a b"),
            ("e f", "c d", "a b", "e f a b", "e f a b"),
        ] {
            assert_eq!(
                run(entrypoint, cmd, args(own), Rules::Docker),
                docker,
                "docker {entrypoint:?} {cmd:?} {own:?}"
            );
            assert_eq!(
                run(entrypoint, cmd, args(own), Rules::Mesos),
                mesos,
                "mesos {entrypoint:?} {cmd:?} {own:?}"
            );
        }
        for rules in [Rules::Docker, Rules::Mesos] {
            assert_eq!(run("e", "c", Said::Shell("x | y".into()), rules), "/bin/sh -c x | y");
        }
    }

    #[test]
    fn the_rest_of_a_configuration() {
        let config = ImageConfig {
            env: vec!["A=1".into(), "B=x=y".into(), "A=2".into(), "odd".into(), "=z".into(), "N=\0".into()],
            working_dir: "/srv/../data/./x".into(),
            volumes: ["/data", "/", "rel", "/a/b"]
                .map(|path| (path.to_owned(), serde_json::json!({})))
                .into(),
            stop_signal: "SIGQUIT".into(),
            ..ImageConfig::default()
        };
        let env = [("A", "2"), ("B", "x=y")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(config.environment(), BTreeMap::from(env));
        assert_eq!(config.working_dir(), Some("/data/x".into()));
        assert_eq!(config.volume_paths().collect::<Vec<_>>(), [Path::new("/a/b"), Path::new("/data")]);
        assert_eq!(config.stop_signal(), Ok(Some(libc::SIGQUIT)));
        assert_eq!(ImageConfig::default().working_dir(), None);
        let climbing = ImageConfig { working_dir: "../../x".into(), ..ImageConfig::default() };
        assert_eq!(climbing.working_dir(), Some("/x".into()));
    }

    #[test]
    fn signals_by_name_and_number() {
        for (text, number) in [
            ("15", 15),
            ("SIGTERM", 15),
            ("term", 15),
            ("RTMIN+3", 37),
            ("SIGRTMIN", 34),
            ("RTMAX-1", 63),
            ("64", 64),
        ] {
            assert_eq!(signal(text), Some(number), "{text}");
        }
        for none in ["", "0", "65", "-1", "SIGNOTHING", "RTMIN+31", "RTMIN-1"] {
            assert_eq!(signal(none), None, "{none}");
        }
    }
}
