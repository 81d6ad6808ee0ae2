//! Command lines as Mesos reads them: `--name=value`, `--name`, `--no-name`, and `MESOS_NAME` in the environment.
//!
//! The rules are those of Mesos' own parser, so that a unit file or a test bench need not be changed: names are compared
//! in small letters, words that do not begin with `--` are passed over, `--` ends the flags, `--name value` is no form,
//! and a value `file:///path` stands for what is in the file. What each flag does is said in tables elsewhere.

use super::units;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// What a flag's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true`, `false`, `1`, `0`, nothing, or `--no-name`.
    Switch,
    /// Any text.
    Text,
    /// The path of a file that is read when it is needed; `file://` before it is taken away.
    Path,
    /// A whole number.
    Count,
    /// A number.
    Number,
    /// A span of time: `5secs`.
    Time,
    /// An amount of memory: `2GB`.
    Size,
    /// JSON, or the path of a file with it.
    Json,
}

/// What a flag does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What it does with Mesos.
    Taken,
    /// Nothing; why that is well, or what to do instead.
    Moot(&'static str),
    /// It would be dangerous to go on without it. Why it cannot be had.
    Barred(&'static str),
}

/// One flag.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Its name.
    pub name: &'static str,
    /// Its older name.
    pub alias: Option<&'static str>,
    /// What its value is.
    pub kind: Kind,
    /// What it does here.
    pub effect: Effect,
    /// What `--help` says of it.
    pub help: &'static str,
}

impl Flag {
    /// A flag that does what it does with Mesos.
    pub const fn taken(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, alias: None, kind, effect: Effect::Taken, help }
    }

    /// A flag that does nothing.
    pub const fn moot(name: &'static str, kind: Kind, why: &'static str) -> Self {
        Self { name, alias: None, kind, effect: Effect::Moot(why), help: why }
    }

    /// A flag that is refused.
    pub const fn barred(name: &'static str, kind: Kind, why: &'static str) -> Self {
        Self { name, alias: None, kind, effect: Effect::Barred(why), help: why }
    }

    /// The flag with its older name.
    pub const fn or(self, alias: &'static str) -> Self {
        Self { alias: Some(alias), ..self }
    }
}

/// A flag's value, read.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a [`Kind::Switch`].
    Switch(bool),
    /// Of a [`Kind::Text`] or [`Kind::Path`].
    Text(String),
    /// Of a [`Kind::Count`].
    Count(u64),
    /// Of a [`Kind::Number`].
    Number(f64),
    /// Of a [`Kind::Time`]: milliseconds.
    Time(u64),
    /// Of a [`Kind::Size`]: bytes.
    Size(u64),
    /// Of a [`Kind::Json`].
    Json(Json),
}

/// The flags that were given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flags {
    values: BTreeMap<&'static str, Value>,
    /// What should be said to whoever gave them.
    pub warnings: Vec<String>,
}

impl Flags {
    /// A switch, or `default`.
    pub fn switch(&self, name: &str, default: bool) -> bool {
        match self.value(name) {
            Some(Value::Switch(on)) => *on,
            _ => default,
        }
    }

    /// A text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A whole number.
    pub fn count(&self, name: &str) -> Option<u64> {
        match self.value(name) {
            Some(Value::Count(count)) => Some(*count),
            _ => None,
        }
    }

    /// A span of time in milliseconds.
    pub fn time_ms(&self, name: &str) -> Option<u64> {
        match self.value(name) {
            Some(Value::Time(ms)) => Some(*ms),
            _ => None,
        }
    }

    /// Something in JSON.
    pub fn json(&self, name: &str) -> Option<&Json> {
        match self.value(name) {
            Some(Value::Json(json)) => Some(json),
            _ => None,
        }
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }
}

/// Reads the words after the program's name, and the environment, by the flags of `table`. The error is worded as Mesos
/// words it.
pub fn load(
    table: &[Flag],
    words: &[String],
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Flags, String> {
    let mut given = from_words(words);
    for (name, value) in environment {
        let Some(name) = name.strip_prefix("MESOS_").map(str::to_lowercase) else { continue };
        // Other things are named so, too, so an unknown one is no mistake.
        if find(table, name.strip_prefix("no-").unwrap_or(&name)).is_some()
            && !given.iter().any(|(other, _)| *other == name)
        {
            given.push((name, Some(value)));
        }
    }
    given.sort_by(|one, other| one.0.cmp(&other.0));
    let mut flags = Flags::default();
    for (name, value) in given {
        take(table, &mut flags, &name, value)?;
    }
    Ok(flags)
}

fn from_words(words: &[String]) -> Vec<(String, Option<String>)> {
    let mut given = Vec::new();
    for word in words.iter().map(|word| word.trim()).take_while(|word| *word != "--") {
        let Some(flag) = word.strip_prefix("--") else { continue };
        match flag.split_once('=') {
            Some((name, value)) => given.push((name.to_lowercase(), Some(value.to_owned()))),
            None => given.push((flag.to_lowercase(), None)),
        }
    }
    given
}

fn find<'a>(table: &'a [Flag], name: &str) -> Option<&'a Flag> {
    table.iter().find(|flag| flag.name == name || flag.alias == Some(name))
}

fn take(table: &[Flag], flags: &mut Flags, name: &str, value: Option<String>) -> Result<(), String> {
    let negated = name.starts_with("no-");
    let plain = name.strip_prefix("no-").unwrap_or(name);
    let flag = find(table, plain).ok_or_else(|| {
        let via = if negated { format!(" via '{name}'") } else { String::new() };
        format!("Failed to load unknown flag '{plain}'{via}{}", hint(table, plain))
    })?;
    if flags.values.contains_key(flag.name) {
        return Err(format!("Flag '{plain}' is already loaded"));
    }
    let text = match (flag.kind, negated, value) {
        (Kind::Switch, _, None) => (!negated).to_string(),
        (Kind::Switch, _, Some(value)) if value.is_empty() => (!negated).to_string(),
        (Kind::Switch, true, Some(value)) => {
            return Err(format!("Failed to load boolean flag '{plain}' via '{name}' with value '{value}'"));
        }
        (_, true, _) => return Err(format!("Failed to load non-boolean flag '{plain}' via '{name}'")),
        (_, _, None) => return Err(format!("Failed to load non-boolean flag '{plain}': Missing value")),
        (_, _, Some(value)) => value,
    };
    let read = read(flag.kind, &text)
        .map_err(|why| format!("Failed to load flag '{plain}': Failed to load value '{text}': {why}"))?;
    match flag.effect {
        Effect::Taken => {}
        Effect::Moot(why) => flags.warnings.push(format!("--{plain} has no effect here: {why}")),
        Effect::Barred(_) if matches!(read, Value::Switch(false)) => {}
        Effect::Barred(why) => return Err(format!("Failed to load flag '{plain}': {why}")),
    }
    if flag.alias == Some(plain) {
        flags.warnings.push(format!("--{plain} is called --{} now", flag.name));
    }
    flags.values.insert(flag.name, read);
    Ok(())
}

/// The flag that was probably meant.
fn hint(table: &[Flag], name: &str) -> String {
    let names: Vec<&str> = table.iter().map(|flag| flag.name).collect();
    match crate::suggest::nearest(name, names) {
        Some(near) => format!("; there is '{near}'"),
        None => String::new(),
    }
}

fn read(kind: Kind, text: &str) -> Result<Value, String> {
    let file = |path: &str| {
        std::fs::read_to_string(path).map_err(|error| format!("Error reading file '{path}': {error}"))
    };
    if kind == Kind::Path {
        return Ok(Value::Text(text.strip_prefix("file://").unwrap_or(text).to_owned()));
    }
    let content = match text.strip_prefix("file://") {
        Some(path) => file(path)?,
        None if kind == Kind::Json && text.starts_with('/') => file(text)?,
        None => text.to_owned(),
    };
    let text = content.trim_end_matches('\n');
    let not_converted = || "Failed to convert into required type".to_owned();
    Ok(match kind {
        Kind::Switch => match text {
            "true" | "1" => Value::Switch(true),
            "false" | "0" => Value::Switch(false),
            _ => return Err("Expecting a boolean (e.g., true or false)".into()),
        },
        Kind::Text | Kind::Path => Value::Text(text.to_owned()),
        Kind::Count => Value::Count(text.parse().map_err(|_| not_converted())?),
        Kind::Number => Value::Number(text.parse().map_err(|_| not_converted())?),
        Kind::Time => Value::Time(units::duration_ms(text)?),
        Kind::Size => Value::Size(units::bytes(text)?),
        Kind::Json => Value::Json(serde_json::from_str(text).map_err(|error| error.to_string())?),
    })
}

/// What `--help` prints.
pub fn usage(program: &str, table: &[Flag]) -> String {
    let mut flags: Vec<&Flag> = table.iter().collect();
    flags.sort_by_key(|flag| flag.name);
    let shape = |flag: &Flag| match flag.kind {
        Kind::Switch => format!("--[no-]{}", flag.name),
        _ => format!("--{}=VALUE", flag.name),
    };
    let mut text = format!(
        "Usage: {program} [options]\n\n\
         Takes Mesos' flags, and MESOS_<FLAG> in the environment. A value may be file:///path: then it is what the file\n\
         holds. Flags of Mesos that are not among the first are accepted and have no effect; each says why.\n\n"
    );
    let (used, others): (Vec<&Flag>, Vec<&Flag>) =
        flags.into_iter().partition(|flag| flag.effect == Effect::Taken);
    for (heading, flags) in [("", used), ("\nWithout effect, or refused:\n", others)] {
        text.push_str(heading);
        for flag in flags {
            text.push_str(&format!("  {:<44} {}\n", shape(flag), flag.help));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Flag] = &[
        Flag::taken("port", Kind::Count, "Where to listen"),
        Flag::taken("quiet", Kind::Switch, "Say less"),
        Flag::taken("agent_ping_timeout", Kind::Time, "Between heartbeats").or("slave_ping_timeout"),
        Flag::taken("weights", Kind::Text, "Weights"),
        Flag::taken("domain", Kind::Json, "Where it is"),
        Flag::taken("whitelist", Kind::Path, "A file"),
        Flag::moot("zk", Kind::Text, "there is no ZooKeeper"),
        Flag::barred("authenticate", Kind::Switch, "it cannot be had"),
    ];

    fn parse(words: &[&str], environment: &[(&str, &str)]) -> Result<Flags, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        load(TABLE, &words, environment.iter().map(|(name, value)| ((*name).into(), (*value).into())))
    }

    #[test]
    fn all_forms_are_read() {
        let flags = parse(
            &["--PORT=5050", "word", "--no-quiet", "--slave_ping_timeout=15secs", "--", "--nonsense"],
            &[("MESOS_WEIGHTS", "a=2"), ("MESOS_NATIVE_LIBRARY", "x"), ("HOME", "/")],
        )
        .unwrap();
        assert_eq!(flags.count("port"), Some(5050));
        assert!(!flags.switch("quiet", true));
        assert_eq!(flags.time_ms("agent_ping_timeout"), Some(15_000));
        assert_eq!(flags.text("weights"), Some("a=2"));
        assert_eq!(flags.warnings, ["--slave_ping_timeout is called --agent_ping_timeout now"]);
        assert!(parse(&["--quiet"], &[]).unwrap().switch("quiet", false));
        assert!(parse(&["--quiet="], &[]).unwrap().switch("quiet", false));
        assert!(!parse(&["--quiet=0"], &[]).unwrap().switch("quiet", true));
    }

    #[test]
    fn flags_win_over_the_environment() {
        let flags = parse(&["--port=1"], &[("MESOS_PORT", "2"), ("MESOS_quiet", "true")]).unwrap();
        assert_eq!((flags.count("port"), flags.switch("quiet", false)), (Some(1), true));
    }

    #[test]
    fn what_is_wrong_is_said_as_mesos_says_it() {
        for (word, said) in [
            ("--prt=1", "Failed to load unknown flag 'prt'; there is 'port'"),
            ("--no-such", "Failed to load unknown flag 'such' via 'no-such'"),
            ("--port", "Failed to load non-boolean flag 'port': Missing value"),
            ("--no-port", "Failed to load non-boolean flag 'port' via 'no-port'"),
            ("--no-quiet=true", "Failed to load boolean flag 'quiet' via 'no-quiet' with value 'true'"),
            (
                "--quiet=yes",
                "Failed to load flag 'quiet': Failed to load value 'yes': Expecting a boolean (e.g., true or false)",
            ),
            (
                "--port=x",
                "Failed to load flag 'port': Failed to load value 'x': Failed to convert into required type",
            ),
            ("--authenticate", "Failed to load flag 'authenticate': it cannot be had"),
        ] {
            assert_eq!(parse(&[word], &[]).unwrap_err(), said);
        }
        assert!(parse(&["--port=1", "--port=2"], &[]).is_err());
        assert!(parse(&["--agent_ping_timeout=1secs", "--slave_ping_timeout=1secs"], &[]).is_err());
        assert!(parse(&["--authenticate=false"], &[]).is_ok());
    }

    #[test]
    fn what_has_no_effect_is_told() {
        let flags = parse(&["--zk=zk://h/m"], &[]).unwrap();
        assert_eq!(flags.warnings, ["--zk has no effect here: there is no ZooKeeper"]);
    }

    #[test]
    fn values_come_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value");
        std::fs::write(&path, "{\"a\": 1}\n").unwrap();
        let path = path.to_str().unwrap();
        for form in [format!("--domain=file://{path}"), format!("--domain={path}")] {
            assert_eq!(parse(&[&form], &[]).unwrap().json("domain").unwrap()["a"], 1);
        }
        let flags = parse(&[&format!("--weights=file://{path}"), "--whitelist=file:///w"], &[]).unwrap();
        assert_eq!((flags.text("weights"), flags.text("whitelist")), (Some("{\"a\": 1}"), Some("/w")));
        assert!(parse(&["--domain=file:///nonexistent"], &[]).unwrap_err().contains("/nonexistent"));
    }

    #[test]
    fn help_names_every_flag() {
        let text = usage("mesos-master", TABLE);
        for flag in TABLE {
            assert!(text.contains(flag.name) && text.contains(flag.help), "{text}");
        }
    }
}
