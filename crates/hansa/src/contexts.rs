//! Clusters by name: `contexts.toml` in the user's configuration directory, and which of them is in use.
//!
//! What names the master, the first that says something: `--master` or `HANSA_MASTER`; `--context` or `HANSA_CONTEXT`; the
//! context in use; the settings file. Not here: the commands (`commands::contexts`).

use crate::failure::{Exit, Failure};
use crate::suggest::nearest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Contexts {
    /// The one in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// All, by name.
    pub contexts: BTreeMap<String, Cluster>,
}

/// A cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Its master's address.
    pub master: String,
}

/// Where the file is; None: there is no home directory.
pub fn path() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(directory.join("hansa").join("contexts.toml"))
}

fn homeless() -> Failure {
    Failure::new(Exit::Usage, "there is no place for contexts").remedy("set HOME or XDG_CONFIG_HOME")
}

impl Contexts {
    /// Reads the user's file; nothing if there is none.
    pub fn load() -> Result<Self, Failure> {
        path().map_or(Ok(Self::default()), |path| Self::read(&path))
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let wrong = |cause: String| Failure::new(Exit::Usage, cause).at(path.display().to_string());
        match std::fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text)
                .map_err(|error| wrong(format!("the file of contexts is wrong: {}", error.message()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(wrong(format!("cannot read the file of contexts: {error}"))),
        }
    }

    /// Writes the user's file, whole or not at all.
    pub fn save(&self) -> Result<(), Failure> {
        self.write(&path().ok_or_else(homeless)?)
    }

    fn write(&self, path: &Path) -> Result<(), Failure> {
        let wrong = |error: std::io::Error| {
            Failure::new(Exit::Failed, format!("cannot write the file of contexts: {error}"))
                .at(path.display().to_string())
        };
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).map_err(wrong)?;
        let beside = path.with_extension(format!("{}.new", std::process::id()));
        std::fs::write(&beside, self.text()).map_err(wrong)?;
        std::fs::rename(&beside, path).map_err(wrong)
    }

    /// As TOML. A string of JSON is one of TOML, too.
    fn text(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut text = String::new();
        if let Some(current) = &self.current {
            text.push_str(&format!("current = {}\n", quoted(current)));
        }
        for (name, cluster) in &self.contexts {
            text.push_str(&format!("\n[contexts.{}]\nmaster = {}\n", quoted(name), quoted(&cluster.master)));
        }
        text
    }

    /// The cluster of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, name: &str) -> Result<&Cluster, Failure> {
        self.contexts.get(name).ok_or_else(|| {
            let missing = Failure::new(Exit::NotFound, format!("there is no context '{name}'"));
            match nearest(name, self.contexts.keys().map(String::as_str)) {
                Some(known) => missing.remedy(format!("did you mean '{known}'?")),
                None => missing.remedy(format!("`hansa context add {name} http://HOST:PORT` makes it")),
            }
        })
    }
}

/// Whether a context may have this name.
pub fn check_name(name: &str) -> Result<(), Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match !name.is_empty() && name.chars().all(plain) {
        true => Ok(()),
        false => Err(Failure::new(
            Exit::Usage,
            format!("'{name}' is no name for a context: letters, digits, '-', '_' and '.' are"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hansa/contexts.toml");
        assert_eq!(Contexts::read(&path).unwrap(), Contexts::default());
        let cluster = Cluster { master: "http://\"odd\\host:1".into() };
        let contexts = Contexts {
            current: Some("eu.1".into()),
            contexts: BTreeMap::from([("eu.1".to_owned(), cluster.clone()), ("us".to_owned(), cluster)]),
        };
        contexts.write(&path).unwrap();
        assert_eq!(Contexts::read(&path).unwrap(), contexts);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
        let failure = contexts.get("eu1").unwrap_err();
        assert_eq!((failure.exit, failure.remedy.as_deref()), (Exit::NotFound, Some("did you mean 'eu.1'?")));
        std::fs::write(&path, "curent = 1").unwrap();
        assert!(Contexts::read(&path).unwrap_err().cause.contains("curent"));
    }

    #[test]
    fn names_are_plain() {
        assert!(check_name("eu-1.prod_x").is_ok());
        assert!(check_name("").is_err() && check_name("a b").is_err() && check_name("a/b").is_err());
    }
}
