//! What every command prints, in terminals of 80 and of 160 columns, held against files.
//!
//! The program talks to a master of cardboard: fixed answers, of the same types as the real ones, with everything that is rare
//! in a healthy cluster. `HANSA_SNAPSHOTS=write cargo test -p hansa --test output` writes the files anew; the diff is then to
//! be read as a newcomer would. What commands do is tested elsewhere, against real clusters.

mod answers;
mod apart;
mod cardboard;
mod top;

use cardboard::Master;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The commands, by the file that has their output.
const COMMANDS: &[(&str, &[&str])] = &[
    (
        "apps",
        &[
            "app list",
            "app list web",
            "app list nothing",
            "app show shop/web",
            "app show shop/broken",
            "app explain shop/big",
            "app explain shop/big --instances 3",
            "app rollback shop/web --list",
            "app diff FILES/web.json",
            "app logs shop/web --stdout",
            "app scale shop/web 4",
            "app scale shop/web 4 --no-wait",
            "service scale shop/web --instances 4",
            "app update shop/web cpus=0.5",
            "app restart shop/web",
            "app rollback shop/web",
            "app remove shop/web",
            "app run FILES/web.json",
            "app show shop/wbe",
            "app update shop/web cpsu=1",
        ],
    ),
    (
        "tasks",
        &[
            "task list",
            "task list --app shop/broken",
            "task list --ended",
            "task files 0a1b2c3d4e01",
            "task cat 0a1b2c3d4e01 conf/web.conf",
            "task show 0a1b2c3d4e01",
            "task show 0a1b2c3d4e05",
            "task kill 0a1b2c3d4e01",
            "task logs 0a1b2c3d4e01",
            "task show nothing",
        ],
    ),
    ("logs", &["logs shop/web --stdout", "logs shop/broken -n 1", "logs 0a1b2c3d4e01", "logs nothing"]),
    (
        "nodes",
        &[
            "node list",
            "node show node1.example.org",
            "node show node3",
            "node show node1.example.org --output wide",
            "node drain node1.example.org --dry-run",
            "node drain node1.example.org --dry-run --output json",
            "node drain node4",
            "node deactivate node1.example.org",
            "node reactivate node1.example.org",
            "node gone node3",
            "node gone node3 --yes",
            "node show nod3",
        ],
    ),
    (
        "explain",
        &[
            "explain shop/web",
            "explain shop/broken",
            "explain shop/big",
            "explain node1.example.org",
            "explain node3",
            "explain 0a1b2c3d4e01",
            "explain 0a1b2c3d4e05",
            "explain 5f0c8f6e-0001-4000-8000-0123456789ab",
            "explain spark",
            "explain shop/bgi",
        ],
    ),
    (
        "deployments",
        &[
            "deployment list",
            "deployment show 5f0c8f6e",
            "deployment pause 5f0c8f6e",
            "deployment resume 5f0c8f6e --no-wait",
            "deployment cancel 5f0c8f6e --no-wait",
            "deployment show nothing",
        ],
    ),
    (
        "groups",
        &[
            "group list",
            "group show shop",
            "group put shop --depends-on db",
            "group remove shop",
            "group show shpo",
        ],
    ),
    (
        "files",
        &[
            "diff FILES/web.json",
            "diff FILES/same.json",
            "diff FILES",
            "apply -f FILES --dry-run",
            "apply -f FILES/web.json",
            "apply -f FILES --prune shop --dry-run",
            "apply -f FILES/web.json --prune nothing --prune shop/team --dry-run",
            "apply -f MISSING",
            "apply -f BAD/typo.yaml --dry-run",
            "apply -f BAD/twice.json",
        ],
    ),
    (
        "roles",
        &[
            "role list",
            "role set web --weight 2 --limit cpus:4",
            "role set web --weight 0",
            "role remove web",
        ],
    ),
    ("images", &["image list", "image prune"]),
    (
        "frameworks",
        &[
            "framework list",
            "framework show spark",
            "framework explain spark",
            "framework remove spark --yes",
            "framework show sprak",
        ],
    ),
    (
        "contexts",
        &[
            "context list",
            "context add eu http://10.0.0.1:8080",
            "context add us 10.1.0.1:8080",
            "context list",
            "context use us",
            "context use uss",
            "context show",
            "context remove us",
        ],
    ),
    (
        "formats",
        &[
            "app list --output wide",
            "task list --output wide",
            "node list --output wide",
            "role list --output yaml",
            "role list --output json",
            "app scale shop/web 4 --output json",
            "app list --output xml",
            "app remove shop/web --watch",
        ],
    ),
    (
        "compose",
        &["compose config", "compose up --no-wait", "compose down --no-wait", "compose config -f MISSING"],
    ),
    ("status", &["status"]),
    (
        "program",
        &[
            "version",
            "help",
            "apply --help",
            "lst",
            "ps",
            "app stop shop/web",
            "app update shop/web --cpus 2",
            "diff",
            "nodes",
        ],
    ),
];

/// Commands whose every line fits: those that show how things are. What others say may have ids and texts in full.
const FITTING: &[&str] = &[" list", " show ", "explain ", "status"];

/// Commands whose output is not a text of a moment: what runs until it is ended, or is written for other programs. They are
/// tested where what they do is.
const ELSEWHERE: &[&str] = &[
    "dev",
    "master",
    "agent",
    "mesos-master",
    "mesos-agent",
    "sim",
    "events",
    "exec",
    "top",
    "completions",
    "man",
];

#[test]
fn every_command_prints_what_it_should() {
    let master = Master::start();
    let directory = tempfile::tempdir().expect("a directory");
    let mut wrong = Vec::new();
    answers::write_files(directory.path());
    for (name, commands) in COMMANDS {
        let mut all = String::new();
        for width in [80, 160] {
            let home = directory.path().join(format!("{name}-{width}"));
            for line in *commands {
                let shown = run(&master, directory.path(), &home, line, width);
                let strict = FITTING.iter().any(|verb| line.contains(verb)) && !line.contains("--");
                if let Some(long) = shown.lines().find(|text| strict && text.chars().count() > width) {
                    wrong.push(format!("{line}: longer than {width} columns: {long}"));
                }
                all.push_str(&format!("[{width}] $ hansa {line}\n{shown}\n"));
            }
        }
        wrong.extend(hold(name, &all));
    }
    assert!(wrong.is_empty(), "{}\nHANSA_SNAPSHOTS=write writes the files anew", wrong.join("\n"));
}

#[test]
fn every_command_has_a_page_in_the_manual_and_help() {
    let master = Master::start();
    let directory = tempfile::tempdir().expect("a directory");
    let said = run(&master, directory.path(), directory.path(), "man pages", 80);
    let pages = std::fs::read_dir(directory.path().join("pages")).expect("the manual");
    let mut names: Vec<String> = pages
        .map(|page| page.expect("a page").file_name().to_string_lossy().trim_end_matches(".1").to_owned())
        .collect();
    names.sort();
    assert_eq!(said, format!("{} pages written to pages\n", names.len()));
    let mut wrong = Vec::new();
    let mut all = String::new();
    for name in &names {
        let page = std::fs::read_to_string(directory.path().join(format!("pages/{name}.1"))).expect("text");
        let head = page.lines().find(|line| line.starts_with(".TH ")).unwrap_or_default();
        if !head.starts_with(&format!(".TH {name} 1")) {
            wrong.push(format!("{name}.1 begins with {head:?}"));
        }
        // `hansa-app-list` is `hansa app list`; only of Mesos' daemons the name has a hyphen.
        let words = name.replace('-', " ").replace("mesos ", "mesos-");
        let command = words.strip_prefix("hansa").expect("a page of this program").trim();
        let is_leaf = !names.iter().any(|other| other.starts_with(&format!("{name}-")));
        let shown = COMMANDS.iter().flat_map(|(_, lines)| *lines).any(|line| {
            line.strip_prefix(command).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        });
        if is_leaf && shown == ELSEWHERE.contains(&command) {
            wrong.push(format!("'{command}' is to be in one of COMMANDS and ELSEWHERE"));
        }
        // Mesos' daemons read their flags themselves, and their help has Mesos' shape.
        if command.is_empty() || command.starts_with("mesos-") {
            continue;
        }
        for width in [80, 160] {
            let shown = run(&master, directory.path(), directory.path(), &format!("{command} -h"), width);
            if let Some(long) = shown.lines().find(|text| text.chars().count() > width) {
                wrong.push(format!("{command} -h: longer than {width} columns: {long}"));
            }
            // What all commands share is shown once, by `hansa help`.
            let own = shown.split("\nShared options:").next().unwrap_or_default();
            all.push_str(&format!("[{width}] $ hansa {command} -h\n{}\n\n", own.trim_end()));
        }
    }
    wrong.extend(hold("help", &all));
    assert!(wrong.is_empty(), "{}\nHANSA_SNAPSHOTS=write writes the files anew", wrong.join("\n"));
}

#[test]
fn completions_are_read_by_the_shell() {
    let directory = tempfile::tempdir().expect("a directory");
    let master = Master::start();
    let script = run(&master, directory.path(), directory.path(), "completions bash", 80);
    let asked = "COMP_WORDS=(hansa app sc); COMP_CWORD=2; _hansa hansa sc app; echo \"${COMPREPLY[@]}\"";
    let file = directory.path().join("asked.sh");
    std::fs::write(&file, format!("{script}\n{asked}\n")).expect("a file");
    let output = Command::new("bash").args(["--noprofile", "--norc"]).arg(&file).output().expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "scale", "{output:?}");
}

/// Holds a text against its file, or writes the file; what is wrong.
fn hold(name: &str, text: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/snapshots/{name}.txt"));
    if std::env::var("HANSA_SNAPSHOTS").is_ok_and(|what| what == "write") {
        std::fs::write(&path, text).expect("the snapshot can be written");
        return None;
    }
    difference(&path, text)
}

/// The first line that is not as in the file.
fn difference(path: &PathBuf, shown: &str) -> Option<String> {
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    if expected == shown {
        return None;
    }
    let mut lines = expected.lines().zip(shown.lines()).enumerate();
    let (at, (old, new)) = lines.find(|(_, (old, new))| old != new).unwrap_or((0, ("", "its length")));
    Some(format!("{}:{}\n  expected: {old}\n  printed:  {new}", path.display(), at + 1))
}

/// What a command prints: stdout, then stderr with a mark, then the exit code if it is one.
fn run(master: &Master, directory: &Path, home: &Path, line: &str, width: usize) -> String {
    let place = directory.display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hansa"));
    command.env_clear().env("HOME", home).env("COLUMNS", width.to_string()).current_dir(directory);
    if !line.starts_with("context") {
        command.env("HANSA_MASTER", &master.address);
    }
    let output = command.args(line.split(' ')).output().expect("the program runs");
    let mut shown = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        shown.push_str(&format!("! {line}\n"));
    }
    if let Some(code) = output.status.code().filter(|code| *code != 0) {
        shown.push_str(&format!("exit code {code}\n"));
    }
    // Times have always the same length.
    let shown = shown.replace(&master.address, "http://MASTER").replace(&place, "DIRECTORY");
    mask_times(&shown)
}

/// `2026-11-22T08:12:12.123Z` with nothing but its form.
fn mask_times(text: &str) -> String {
    let form = b"dddd-dd-ddTdd:dd:dd.dddZ";
    let bytes = text.as_bytes();
    let fits = |at: usize| {
        bytes.len() >= at + form.len()
            && form.iter().zip(&bytes[at..]).all(|(form, byte)| match form {
                b'd' => byte.is_ascii_digit(),
                other => byte == other,
            })
    };
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        if fits(at) {
            out.extend_from_slice(b"YYYY-MM-DDTHH:MM:SS.mmmZ");
            at += form.len();
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).expect("only digits were replaced")
}
