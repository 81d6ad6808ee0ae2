//! Finds JSON in documentation: blocks of code in Markdown, `example:` in RAML, and whole files.

use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};

/// A piece of JSON, and where it stands.
pub struct Example {
    /// `file:line`, or `file`.
    pub place: String,
    /// As it stands, if it is JSON, or without comments and elisions.
    pub json: Option<Value>,
    /// Whether something had to be taken out for it to be JSON.
    pub mended: bool,
    /// Whether its text looks like JSON of an app at all.
    pub looks_like_app: bool,
}

/// All examples below `folder`, by file and line.
pub fn all(folder: &Path) -> io::Result<Vec<Example>> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let mut examples = Vec::new();
    for file in files {
        let name = file.strip_prefix(folder).unwrap_or(&file).display().to_string();
        let text = String::from_utf8_lossy(&std::fs::read(&file)?).into_owned();
        match file.extension().and_then(|ending| ending.to_str()) {
            Some("json") => examples.push(example(name, &text)),
            Some("md") => {
                let blocks = fenced(&text).into_iter();
                examples.extend(blocks.map(|(line, block)| example(format!("{name}:{line}"), &block)));
            }
            Some("raml") => {
                let blocks = indented(&text).into_iter();
                examples.extend(blocks.map(|(line, block)| example(format!("{name}:{line}"), &block)));
            }
            _ => {}
        }
    }
    Ok(examples)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Blocks between fences that begin like JSON, with the line that they begin in.
fn fenced(text: &str) -> Vec<(usize, String)> {
    let is_fence = |line: &str| {
        let line = line.trim();
        ["```", "~~~", "{% highlight", "{% endhighlight"].iter().any(|fence| line.starts_with(fence))
    };
    let mut blocks = Vec::new();
    let mut open: Option<(usize, Vec<&str>)> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, is_fence(line)) {
            (None, true) => open = Some((number + 2, Vec::new())),
            (Some((_, lines)), false) => lines.push(line),
            (Some(_), true) => {
                let (at, lines) = open.take().unwrap_or_default();
                blocks.push((at, lines.join("\n")));
            }
            (None, false) => {}
        }
    }
    blocks.retain(|(_, block)| block.trim_start().starts_with(['{', '[']));
    blocks
}

/// What is indented below `example: |` and begins like JSON.
fn indented(text: &str) -> Vec<(usize, String)> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = text.lines().collect();
    let mut blocks = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        if let Some(inline) = line.trim().strip_prefix("example: ").filter(|it| it.starts_with(['{', '['])) {
            blocks.push((number + 1, inline.to_owned()));
        }
        if !line.trim().starts_with("example: |") {
            continue;
        }
        let inner = lines[number + 1..]
            .iter()
            .take_while(|inner| inner.trim().is_empty() || depth(inner) > depth(line));
        let block = inner.copied().collect::<Vec<_>>().join("\n");
        if block.trim_start().starts_with(['{', '[']) {
            blocks.push((number + 2, block));
        }
    }
    blocks
}

fn example(place: String, text: &str) -> Example {
    let strict = serde_json::from_str(text).ok();
    let mended = strict.is_none();
    let json = strict.or_else(|| serde_json::from_str(&mend(text)).ok());
    let looks_like_app =
        ["\"cmd\"", "\"container\"", "\"containers\"", "\"instances\"", "\"ipAddress\"", "\"groups\""]
            .iter()
            .any(|name| text.contains(name));
    Example { place, mended: mended && json.is_some(), json, looks_like_app }
}

/// Without comments, elisions (`...`) and commas before a closing bracket.
fn mend(text: &str) -> String {
    let mut kept = String::new();
    let (mut rest, mut in_string) = (text, false);
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            _ if in_string => 0,
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '.' if rest.starts_with("...") => 3,
            _ => 0,
        };
        if skipped == 0 {
            // A quote behind a backslash does not end a string.
            in_string ^= c == '"' && !kept.ends_with('\\');
            kept.push(c);
        }
        rest = &rest[skipped.max(c.len_utf8())..];
    }
    let mut mended = String::with_capacity(kept.len());
    for (at, c) in kept.char_indices() {
        let follows = kept[at + c.len_utf8()..].trim_start();
        // One comma is enough, and none before a bracket.
        if c != ',' || !follows.starts_with(['}', ']', ',']) {
            mended.push(c);
        }
    }
    mended
}
