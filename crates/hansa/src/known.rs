//! Words that people bring from other tools, and what they are called here. Where a word means the same it is an alias of the
//! command; here are those that mean something which is done in another way, and what is said then.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Under which noun (none: the first word), which words, and what to type instead.
const INSTEAD: &[(&str, &[&str], &str)] = &[
    ("", &["ps", "pods", "jobs"], "`hansa task list` lists tasks, `hansa app list` services"),
    (
        "",
        &["run", "create", "start", "deploy", "launch", "up"],
        "`hansa app run FILE` starts a service as a file describes it, `hansa app run --image IMAGE` one from an image",
    ),
    ("", &["scale"], "`hansa app scale ID INSTANCES` changes how many instances a service has"),
    ("", &["restart"], "`hansa app restart ID` replaces all instances of a service"),
    ("", &["update", "set", "edit"], "`hansa app update ID FIELD=VALUE` changes a service"),
    ("", &["rollback", "undo"], "`hansa app rollback ID` brings back an earlier version of a service"),
    ("", &["stop", "suspend"], "`hansa app scale ID 0` suspends a service, `hansa app remove ID` removes it"),
    ("", &["rm", "remove", "delete", "destroy"], "`hansa app remove ID` removes a service"),
    ("", &["kill"], "`hansa task kill ID` ends a task; its service starts another"),
    (
        "",
        &["show", "describe", "inspect", "get", "info"],
        "`hansa app show ID`, `hansa task show ID` and `hansa node show NODE` show one thing; `hansa explain ID` says why \
         it is as it is",
    ),
    (
        "",
        &["list", "ls"],
        "`hansa app list`, `hansa task list`, `hansa node list`; `hansa status` shows all at a glance",
    ),
    (
        "",
        &["drain", "cordon"],
        "`hansa node drain NODE` empties a machine, `hansa node deactivate NODE` only keeps tasks away",
    ),
    ("", &["history", "versions"], "`hansa app rollback ID --list` lists the versions of a service"),
    ("", &["shell", "ssh", "attach"], "`hansa exec ID -- sh` opens a shell in a running task"),
    ("", &["quota", "weight"], "`hansa role set ROLE` sets a role's weight, guarantee and limit"),
    ("", &["login"], "there is no login yet; `hansa context add NAME ADDRESS` names a cluster to talk to"),
    ("", &["cluster", "server"], "`hansa status` shows the cluster at a glance, `hansa dev` starts one here"),
    ("app", &["stop", "suspend", "pause"], "`hansa app scale ID 0` suspends a service"),
    (
        "app",
        &["start", "resume"],
        "`hansa app scale ID INSTANCES` says how many instances run; `hansa app run FILE` starts a new service",
    ),
    ("app", &["kill"], "`hansa task kill ID` ends one instance, `hansa app restart ID` replaces all"),
    (
        "app",
        &["edit"],
        "`hansa app update ID FIELD=VALUE` changes fields; `hansa app show ID -o json` has them all",
    ),
    (
        "app",
        &["rollout"],
        "`hansa app restart ID` replaces the instances, `hansa app rollback ID` goes a version back",
    ),
    (
        "app",
        &["versions", "history", "undo"],
        "`hansa app rollback ID --list` lists the versions of a service",
    ),
    (
        "app",
        &["exec", "shell", "ssh", "attach"],
        "`hansa exec ID -- COMMAND` runs a command in one of its tasks",
    ),
    (
        "app",
        &["apply", "deploy"],
        "`hansa apply -f FILE` makes services be what files say; `hansa app run FILE` starts one",
    ),
    ("app", &["events"], "`hansa events --type service,task` shows what happens"),
    ("app", &["tasks", "ps", "instances"], "`hansa task list ID` lists the tasks of a service"),
    ("app", &["export", "config"], "`hansa app show ID -o json` has the whole definition"),
    ("node", &["tasks", "ps"], "`hansa node show NODE` shows a machine with its tasks"),
    ("node", &["stats", "usage", "top"], "`hansa top` shows what machines use, as it changes"),
    ("node", &["remove", "rm", "delete"], "`hansa node gone NODE` gives a machine up that never comes back"),
    (
        "node",
        &["reservations", "volumes", "disks"],
        "`hansa node show NODE` shows what of a machine is kept for roles",
    ),
    ("task", &["exec", "shell", "ssh", "attach"], "`hansa exec ID -- COMMAND` runs a command in a task"),
    ("task", &["restart"], "`hansa task kill ID` ends a task; its service starts another"),
    (
        "task",
        &["run", "create", "start"],
        "tasks belong to services: `hansa app run FILE`, `hansa app scale ID INSTANCES`",
    ),
    ("role", &["show", "get", "describe"], "`hansa role list` shows all roles with what they have"),
];

/// Options that are arguments here: of which command, and what is said then.
const ARGUMENTS: &[(&[&str], &str)] = &[
    (
        &["update", "set"],
        "fields are set by their names in the definition: `hansa app update ID cpus=0.5 mem=256 instances=3`",
    ),
    (&["scale"], "the number stands by itself: `hansa app scale ID 3`"),
];

/// What is meant instead of this word under that noun.
fn instead(noun: &str, word: &str) -> Option<&'static str> {
    let noun = match noun {
        "apps" | "service" | "services" => "app",
        "nodes" => "node",
        "tasks" => "task",
        "roles" => "role",
        noun => noun,
    };
    let found = INSTEAD.iter().find(|(under, words, _)| *under == noun && words.contains(&word));
    found.map(|(_, _, words)| *words)
}

/// The error with what helps: what is typed here instead of a word from elsewhere, and no options in the usage that were not
/// asked for (clap names those that came from the environment).
pub fn explained(mut error: clap::Error, line: &[String]) -> clap::Error {
    if let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) {
        let usage = usage.to_string();
        let shared =
            ["--master <URL>", "--context <NAME>", "--output <table|wide|json|yaml>", "--config <FILE>"];
        let plain = shared.iter().fold(usage, |usage, option| usage.replace(&format!(" {option}"), ""));
        error.insert(ContextKind::Usage, ContextValue::StyledStr(plain.into()));
    }
    let text = |error: &clap::Error, kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let tip = match error.kind() {
        ErrorKind::InvalidSubcommand => text(&error, ContextKind::InvalidSubcommand).and_then(|word| {
            let at = line.iter().position(|other| *other == word)?;
            // Options of before, and their values, are no nouns.
            let noun = line[..at].last().filter(|before| !before.starts_with('-'));
            instead(noun.map_or("", String::as_str), &word).or_else(|| instead("", &word))
        }),
        ErrorKind::UnknownArgument => {
            let said = |verbs: &[&str]| line.iter().any(|word| verbs.contains(&word.as_str()));
            ARGUMENTS.iter().find(|(verbs, _)| said(verbs)).map(|(_, words)| *words)
        }
        _ => None,
    };
    if error.kind() == ErrorKind::MissingSubcommand {
        // The list would have every alias in it.
        error.remove(ContextKind::ValidSubcommand);
        let noun = line.iter().rfind(|word| !word.starts_with('-')).map_or("", String::as_str);
        let tip = format!("`hansa {noun} --help` shows what can be done");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    if let Some(tip) = tip {
        error.remove(ContextKind::SuggestedSubcommand);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::{CommandFactory, Parser};

    fn said(line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        explained(Cli::try_parse_from(&words).unwrap_err(), &words[1..]).to_string()
    }

    #[test]
    fn a_word_from_elsewhere_is_answered_with_what_is_typed_here() {
        assert!(said("hansa ps").contains("tip: `hansa task list`"), "{}", said("hansa ps"));
        assert!(said("hansa app stop web").contains("tip: `hansa app scale ID 0`"));
        assert!(said("hansa services stop web").contains("tip: `hansa app scale ID 0`"));
        assert!(said("hansa --master http://x node usage").contains("`hansa top`"));
        let update = said("hansa app update web --cpus 2");
        assert!(update.contains("cpus=0.5"), "{update}");
        assert!(said("hansa app scale web --instances 3").contains("`hansa app scale ID 3`"));
        let mistyped = said("hansa app lst");
        assert!(mistyped.contains("'list'"), "what is only mistyped is corrected: {mistyped}");
        let never = said("hansa restart web");
        assert!(!never.contains("similar"), "no other guess beside it: {never}");
    }

    #[test]
    fn an_option_of_the_environment_is_not_asked_for() {
        let said = said("hansa --master http://x diff");
        assert!(said.contains("Usage: hansa diff <FILE|DIR>..."), "{said}");
    }

    /// What is there needs no such answer, and every command that is named is there.
    #[test]
    fn only_what_there_is_not_is_answered() {
        let all = Cli::command();
        for (noun, words, said) in INSTEAD {
            let under = match *noun {
                "" => &all,
                noun => all.find_subcommand(noun).unwrap(),
            };
            for word in *words {
                assert!(under.find_subcommand(word).is_none(), "{noun} {word} is a command");
            }
            for named in said.split("`hansa ").skip(1) {
                let typed = named.split('`').next().unwrap_or_default();
                let mut words = typed.split(' ');
                let first = words.next().unwrap_or_default();
                let command = all.find_subcommand(first).unwrap_or_else(|| panic!("hansa {first}"));
                let verb = words.next().filter(|word| word.chars().all(|c| c.is_ascii_lowercase()));
                if let Some(verb) = verb.filter(|_| command.has_subcommands()) {
                    assert!(command.find_subcommand(verb).is_some(), "hansa {first} {verb}");
                }
            }
        }
    }
}
