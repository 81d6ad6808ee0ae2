//! Files, directories and stdin as documents.

use super::{Definitions, Origin, wrong};
use crate::failure::{Exit, Failure};
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Directories may nest so deep.
const DEPTH: usize = 16;

/// Reads everything that the named files and directories define; `-` is stdin.
///
/// A directory means all its `.json`, `.yaml` and `.yml` files, also in directories below it; hidden ones are left out.
///
/// # Errors
/// Something cannot be read, or could be meant in two ways.
pub fn gather(places: &[String]) -> Result<Definitions, Failure> {
    let mut all = Definitions::default();
    for place in places {
        if place == "-" {
            let mut text = String::new();
            let origin = Origin { file: "stdin".into(), at: String::new() };
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| wrong(format!("cannot read it: {error}"), &origin))?;
            add_text(&mut all, &text, &origin)?;
            continue;
        }
        for file in files(Path::new(place), DEPTH)? {
            let origin = Origin { file: file.display().to_string(), at: String::new() };
            let text = std::fs::read_to_string(&file)
                .map_err(|error| wrong(format!("cannot read the file: {error}"), &origin))?;
            add_text(&mut all, &text, &origin)?;
        }
    }
    all.check()?;
    Ok(all)
}

/// The files that a path means, in order.
fn files(path: &Path, depth: usize) -> Result<Vec<PathBuf>, Failure> {
    let place = path.display().to_string();
    let unreadable = |error: std::io::Error| {
        Failure::new(Exit::Usage, format!("cannot read the file: {error}")).at(&place)
    };
    if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    walk(path, depth, &mut found).map_err(unreadable)?;
    if found.is_empty() {
        return Err(Failure::new(Exit::Usage, "no file ends with .json, .yaml or .yml here").at(place));
    }
    Ok(found)
}

fn walk(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    for entry in entries {
        let hidden = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if entry.is_dir() {
            if depth > 0 {
                walk(&entry, depth - 1, found)?;
            }
        } else if entry.extension().is_some_and(|end| end == "json" || end == "yaml" || end == "yml") {
            found.push(entry);
        }
    }
    Ok(())
}

/// Reads JSON, else YAML, of one document or several.
fn add_text(all: &mut Definitions, text: &str, origin: &Origin) -> Result<(), Failure> {
    let end = Path::new(&origin.file).extension().and_then(|end| end.to_str());
    // Without a name that says so, what begins like JSON is meant as JSON.
    let json = match end {
        Some("yaml" | "yml") => false,
        Some("json") => true,
        _ => text.trim_start().starts_with(['{', '[']),
    };
    let documents: Vec<Value> = match serde_json::from_str::<Value>(text) {
        Ok(document) => vec![document],
        Err(error) if json => {
            return Err(wrong(format!("this is not JSON: {error}"), origin));
        }
        Err(_) => serde_saphyr::from_multiple(text)
            .map_err(|error| wrong(format!("this is not YAML: {error}"), origin))?,
    };
    let documents: Vec<Value> = documents.into_iter().filter(|document| !document.is_null()).collect();
    if documents.is_empty() {
        return Err(wrong("the file is empty", origin));
    }
    let several = documents.len() > 1;
    for (at, document) in documents.into_iter().enumerate() {
        let origin = if several { origin.below(&format!("document {}", at + 1)) } else { origin.clone() };
        all.add_document(document, &origin)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(file: &str, text: &str) -> Result<Definitions, Failure> {
        let mut all = Definitions::default();
        add_text(&mut all, text, &Origin { file: file.into(), at: String::new() })?;
        Ok(all)
    }

    #[test]
    fn json_and_yaml_are_told_apart() {
        assert_eq!(text("a.json", r#"{"id":"/a","cmd":"x"}"#).unwrap().apps.len(), 1);
        assert_eq!(text("a.yaml", "id: /a\ncmd: x\n---\nid: /b\ncmd: y\n").unwrap().apps.len(), 2);
        assert_eq!(text("stdin", "- {id: /a, cmd: x}\n").unwrap().apps.len(), 1);
        for (file, what, cause) in [
            ("a.json", "id: /a", "this is not JSON"),
            ("a.yaml", "id: [", "this is not YAML"),
            ("a.yaml", "\n", "the file is empty"),
        ] {
            let failure = text(file, what).unwrap_err();
            assert!(failure.cause.contains(cause) && failure.place.as_deref() == Some(file), "{failure}");
        }
    }

    #[test]
    fn directories_are_read_in_order_without_what_is_hidden() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("b.yml", "id: /b\ncmd: x\n");
        write("below/a.json", r#"{"id":"/a","cmd":"x"}"#);
        write(".hidden.json", "{");
        write(".git/x.json", "{");
        write("README.md", "words");
        let place = directory.path().display().to_string();
        let all = gather(std::slice::from_ref(&place)).unwrap();
        assert_eq!(all.apps.keys().map(String::as_str).collect::<Vec<_>>(), ["/a", "/b"]);
        let twice = gather(&[place.clone(), format!("{place}/b.yml")]).unwrap_err();
        assert!(twice.cause.contains("'/b' is defined twice"), "{twice}");
        let empty = tempfile::tempdir().unwrap();
        let nothing = gather(&[empty.path().display().to_string()]).unwrap_err();
        assert!(nothing.cause.contains("no file ends with"), "{nothing}");
    }
}
