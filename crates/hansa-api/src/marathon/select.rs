//! Choosing what a listing shows: label selectors, filters and embeds.

use super::problem::Problem;
use hansa_model::app::AppSpec;
use hansa_model::spec::Command;
use std::collections::BTreeMap;

/// A label selector such as `tier==web, zone in (a, b), canary`: all parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    Exists(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

impl LabelSelector {
    /// Reads a selector; 422 if it is malformed.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let mut parser = Parser { rest: text };
        let mut requirements = Vec::new();
        loop {
            requirements.push(parser.requirement().ok_or_else(|| parser.fault(text))?);
            parser.blanks();
            if parser.rest.is_empty() {
                return Ok(Self(requirements));
            }
            if !parser.eat(",") {
                return Err(parser.fault(text));
            }
        }
    }

    /// Whether it accepts these labels.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(key, values) => !labels.get(key).is_some_and(|value| values.contains(value)),
        })
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn fault(&self, text: &str) -> Problem {
        let at = text.len() - self.rest.len();
        Problem::new(422, format!("Can not parse label selector '{text}' at character {at}"))
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.blanks();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A key or value: letters, digits, `.`, `_`, `-`, and anything behind a backslash.
    fn word(&mut self) -> Option<String> {
        self.blanks();
        let mut word = String::new();
        let mut chars = self.rest.char_indices();
        let mut end = self.rest.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => word.push(chars.next()?.1),
                c if c.is_alphanumeric() || matches!(c, '.' | '_' | '-') => word.push(c),
                _ => {
                    end = at;
                    break;
                }
            }
        }
        self.rest = &self.rest[end..];
        (!word.is_empty()).then_some(word)
    }

    /// `(a, b)`
    fn set(&mut self) -> Option<Vec<String>> {
        let mut values = Vec::new();
        if !self.eat("(") {
            return None;
        }
        loop {
            values.push(self.word()?);
            if self.eat(")") {
                return Some(values);
            }
            if !self.eat(",") {
                return None;
            }
        }
    }

    fn requirement(&mut self) -> Option<Requirement> {
        let key = self.word()?;
        if self.eat("==") {
            return Some(Requirement::In(key, vec![self.word()?]));
        }
        if self.eat("!=") {
            return Some(Requirement::NotIn(key, vec![self.word()?]));
        }
        self.blanks();
        if self.rest.is_empty() || self.rest.starts_with(',') {
            return Some(Requirement::Exists(key));
        }
        match self.word()?.as_str() {
            "in" => Some(Requirement::In(key, self.set()?)),
            "notin" => Some(Requirement::NotIn(key, self.set()?)),
            _ => None,
        }
    }
}

/// What a listing of apps shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Part of the command, in any case of letters.
    pub cmd: Option<String>,
    /// Part of the id, in any case of letters.
    pub id: Option<String>,
    /// Labels.
    pub labels: Option<LabelSelector>,
}

impl Filter {
    /// Reads the parameters of a listing; empty ones do not count.
    pub fn parse(cmd: Option<&str>, id: Option<&str>, label: Option<&str>) -> Result<Self, Problem> {
        let given = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_lowercase);
        Ok(Self {
            cmd: given(cmd),
            id: given(id),
            labels: label.filter(|text| !text.trim().is_empty()).map(LabelSelector::parse).transpose()?,
        })
    }

    /// Whether the app is shown.
    pub fn matches(&self, app: &AppSpec) -> bool {
        let in_id = |part: &String| app.id.as_str().to_lowercase().contains(part);
        let in_cmd = |part: &String| match &app.command {
            Command::Shell(cmd) => cmd.to_lowercase().contains(part),
            Command::Argv(_) => false,
        };
        self.id.as_ref().is_none_or(in_id)
            && self.cmd.as_ref().is_none_or(in_cmd)
            && self.labels.as_ref().is_none_or(|labels| labels.matches(&app.labels))
    }
}

/// What of an app is shown besides its definition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Embed {
    /// Its tasks.
    pub tasks: bool,
    /// How many of them are staged, running, healthy and unhealthy.
    pub counts: bool,
    /// Deployments that touch it.
    pub deployments: bool,
    /// Results of readiness checks.
    pub readiness: bool,
    /// How a task last failed.
    pub last_task_failure: bool,
    /// Numbers and ages of tasks by version.
    pub task_stats: bool,
    /// The same under the name that Marathon's newest line has for it.
    pub tasks_stats: bool,
}

impl Embed {
    /// What every listing shows.
    pub const LISTING: Self = Self {
        tasks: false,
        counts: true,
        deployments: true,
        readiness: false,
        last_task_failure: false,
        task_stats: false,
        tasks_stats: false,
    };

    /// What the page of a single app shows.
    pub const SINGLE: Self = Self { tasks: true, last_task_failure: true, ..Self::LISTING };

    /// This and what the `embed` parameters ask for. Unknown ones do not count.
    pub fn with<'a>(mut self, embeds: impl IntoIterator<Item = &'a str>) -> Self {
        for embed in embeds {
            let name = ["group.apps.", "apps.", "app."].iter().find_map(|prefix| embed.strip_prefix(prefix));
            match name.unwrap_or(embed) {
                "tasks" => {
                    self.tasks = true;
                    self.deployments = true;
                }
                "counts" | "count" => self.counts = true,
                "deployments" => self.deployments = true,
                "readiness" => self.readiness = true,
                "lastTaskFailure" => self.last_task_failure = true,
                "failures" => {
                    self.last_task_failure = true;
                    self.tasks = true;
                    self.deployments = true;
                }
                "taskStats" => self.task_stats = true,
                "tasksStats" => {
                    self.task_stats = true;
                    self.tasks_stats = true;
                }
                _ => {}
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(selector: &str, labels: &[(&str, &str)], expected: bool) {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        assert_eq!(
            LabelSelector::parse(selector).unwrap().matches(&labels),
            expected,
            "{selector} on {labels:?}"
        );
    }

    #[test]
    fn selectors_choose_by_labels() {
        let labels = [("tier", "web"), ("zone", "a"), ("we ird", "x,y")];
        for (selector, expected) in [
            ("tier", true),
            ("nothing", false),
            ("tier==web", true),
            (" tier == web , zone==a ", true),
            ("tier==db", false),
            ("tier!=db", true),
            ("nothing!=db", true),
            ("tier!=web", false),
            ("zone in (a, b)", true),
            ("zone in(b)", false),
            ("zone notin (b,c)", true),
            ("zone notin (a)", false),
            ("tier==web,zone==b", false),
            (r"we\ ird==x\,y", true),
        ] {
            check(selector, &labels, expected);
        }
    }

    #[test]
    fn malformed_selectors_are_refused() {
        for bad in ["", "==", "a==", "a in", "a in (", "a in ()", "a b", "a,", ",a", "a=b", "a\\"] {
            let problem = LabelSelector::parse(bad).expect_err(bad);
            assert_eq!(problem.status, 422, "{bad}");
        }
    }

    #[test]
    fn embeds_in_all_spellings() {
        assert_eq!(
            Embed::default().with(["apps.tasks"]),
            Embed { tasks: true, deployments: true, ..Embed::default() }
        );
        for text in ["counts", "app.counts", "apps.counts", "group.apps.counts", "apps.count"] {
            assert!(Embed::default().with([text]).counts, "{text}");
        }
        assert!(Embed::default().with(["apps.failures"]).last_task_failure);
        let newest = Embed::default().with(["apps.tasksStats"]);
        assert!(
            newest.task_stats && newest.tasks_stats && !Embed::default().with(["apps.taskStats"]).tasks_stats
        );
        assert_eq!(Embed::LISTING.with(["group.pods", "wrong"]), Embed::LISTING);
    }
}
