//! The repository's own rules, as tests: what a reviewer should not have to look for.

use crate::arrows;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longer files are hard to read; split them.
const MOST_LINES: usize = 800;

/// Files that nobody writes or reads line by line: types that are generated from the API's documents.
const GENERATED: &[&str] = &["ui/src/api/schema.d.ts", "ui/src/api/schema-marathon.d.ts"];

/// Crates that know no clock, no randomness, no I/O and no async.
const PURE: &[&str] = &["model", "placement", "kernel", "schedulers", "link", "cell", "node", "mesos"];

/// Files in pure crates that are for the shells at both ends, beside the pure session: how its messages travel.
const TRANSPORT: &[&str] = &["crates/hansa-link/src/grpc.rs"];

/// What a pure crate does not say.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env::",
    "SystemTime",
    "Instant::now",
    "async fn",
    "tokio::",
    "HashMap<",
    "HashSet<",
];

/// One rule and what breaks it.
pub struct Rule {
    /// What must hold.
    pub name: &'static str,
    /// Where it does not, in words.
    pub broken: Vec<String>,
}

/// A file of the repository.
struct File {
    /// Relative to the root.
    path: PathBuf,
    text: String,
}

impl File {
    fn is(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|found| found == extension)
    }

    fn source_of(&self, name: &str) -> bool {
        self.is("rs") && self.path.starts_with(format!("crates/hansa-{name}/src"))
    }
}

/// Checks every rule.
pub fn check(root: &Path) -> Result<Vec<Rule>> {
    let files = files(root)?;
    let metadata = metadata(root)?;
    let each = |rule: fn(&File) -> Vec<String>| files.iter().flat_map(rule).collect::<Vec<_>>();
    Ok(vec![
        Rule { name: "crates see only what they may", broken: arrows::forbidden(&metadata) },
        Rule { name: "pure crates stay pure", broken: each(impure) },
        Rule { name: "modules open with what they are for", broken: each(no_opening) },
        Rule { name: "files are short", broken: each(too_long) },
        Rule { name: "nothing is left to do", broken: each(unfinished) },
        Rule { name: "text is plain", broken: each(unclean) },
        Rule { name: "crates keep the workspace's lints", broken: each(no_lints) },
    ])
}

/// Text files that git knows, or would add.
fn files(root: &Path) -> Result<Vec<File>> {
    let output = Command::new("git")
        .current_dir(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()
        .context("cannot run git")?;
    if !output.status.success() {
        bail!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let names = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let read = |name: &str| {
        let text = std::fs::read_to_string(root.join(name)).ok()?;
        Some(File { path: name.into(), text })
    };
    Ok(names.split('\0').filter(|name| !name.is_empty()).filter_map(read).collect())
}

fn metadata(root: &Path) -> Result<Value> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["metadata", "--no-deps", "--format-version", "1", "--locked"])
        .output()?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// A place in a file, as editors understand it.
fn at(file: &File, line: usize, what: &str) -> String {
    format!("{}:{}: {what}", file.path.display(), line + 1)
}

fn impure(file: &File) -> Vec<String> {
    // What only tests do (measure themselves, say) shapes nothing.
    let is_test =
        file.path.components().any(|part| part.as_os_str() == "tests") || file.path.ends_with("tests.rs");
    let is_transport = TRANSPORT.iter().any(|path| file.path == Path::new(path));
    if is_test || is_transport || !PURE.iter().any(|name| file.source_of(name)) {
        return Vec::new();
    }
    let is_code = |line: &str| !line.trim_start().starts_with("//");
    let mut broken = Vec::new();
    for (number, line) in file.text.lines().enumerate().filter(|(_, line)| is_code(line)) {
        for word in IMPURE {
            // Lookup-only maps of rustc_hash keep no order that anybody sees; they are named `FxHashMap`.
            if line.contains(word) && !line.contains(&format!("Fx{word}")) {
                broken.push(at(file, number, &format!("'{word}' in a pure crate")));
            }
        }
    }
    broken
}

fn no_opening(file: &File) -> Vec<String> {
    let counts = file.is("rs") && (file.path.starts_with("crates") || file.path.starts_with("xtask"));
    let opens = file.text.starts_with("//!");
    if counts && !opens { vec![at(file, 0, "does not open with //!")] } else { Vec::new() }
}

fn too_long(file: &File) -> Vec<String> {
    let code = ["rs", "ts", "tsx", "py", "css"].iter().any(|extension| file.is(extension));
    let lines = file.text.lines().count();
    let generated = GENERATED.iter().any(|path| file.path == Path::new(path));
    if code && !generated && lines > MOST_LINES {
        vec![at(file, lines - 1, &format!("{lines} lines, more than {MOST_LINES}"))]
    } else {
        Vec::new()
    }
}

fn unfinished(file: &File) -> Vec<String> {
    // Written so that this file does not find itself.
    let words =
        [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("TO", "DO"), concat!("FIX", "ME")];
    let code = ["rs", "ts", "tsx", "py"].iter().any(|extension| file.is(extension));
    if !code {
        return Vec::new();
    }
    let broken = |(number, line): (usize, &str)| {
        words.iter().find(|word| line.contains(**word)).map(|word| at(file, number, &format!("'{word}'")))
    };
    file.text.lines().enumerate().filter_map(broken).collect()
}

fn unclean(file: &File) -> Vec<String> {
    let checked = ["rs", "toml", "md", "ts", "tsx", "py", "html", "css"];
    if !checked.iter().any(|extension| file.is(extension)) {
        return Vec::new();
    }
    let mut broken = Vec::new();
    for (number, line) in file.text.split('\n').enumerate() {
        if line.contains('\t') {
            broken.push(at(file, number, "a tab"));
        }
        if line.ends_with('\r') {
            broken.push(at(file, number, "a carriage return"));
        } else if line.ends_with(' ') {
            broken.push(at(file, number, "a blank at the end"));
        }
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        broken.push(at(file, file.text.lines().count().saturating_sub(1), "no end of line at the end"));
    }
    broken
}

fn no_lints(file: &File) -> Vec<String> {
    let is_manifest =
        file.path.file_name().is_some_and(|name| name == "Cargo.toml") && file.path.components().count() > 1;
    if is_manifest && !file.text.contains("[lints]\nworkspace = true") {
        vec![at(file, 0, "no `[lints] workspace = true`")]
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.into(), text: text.into() }
    }

    #[test]
    fn each_rule_can_be_broken() {
        let pure = file(
            "crates/hansa-kernel/src/x.rs",
            "//! X\nuse std::fs;\nuse x::FxHashMap<A, B>;\n// std::net\n",
        );
        assert_eq!(impure(&pure), ["crates/hansa-kernel/src/x.rs:2: 'std::fs' in a pure crate"]);
        assert_eq!(impure(&file("crates/hansa-agent/src/x.rs", "use std::fs;\n")), [""; 0]);
        assert_eq!(
            no_opening(&file("crates/a/src/x.rs", "use x;\n")),
            ["crates/a/src/x.rs:1: does not open with //!"]
        );
        assert_eq!(too_long(&file("x.rs", &"\n".repeat(801))), ["x.rs:801: 801 lines, more than 800"]);
        assert_eq!(unfinished(&file("x.rs", concat!("a\ntodo", "!()"))).len(), 1);
        assert_eq!(unclean(&file("x.md", "a\t\nb \nc")).len(), 3);
        assert_eq!(unclean(&file("x.md", "a\r\n")).len(), 1);
        assert_eq!(no_lints(&file("crates/a/Cargo.toml", "[package]\n")).len(), 1);
        assert_eq!(no_lints(&file("Cargo.toml", "[workspace]\n")).len(), 0);
    }
}
