//! What a drain would do, for people.

use crate::commands::task::logs::short_id;
use crate::paint::Paint;
use crate::table::{Table, terminal_width, wrap};
use hansa_api::plans::{DrainPreview, DrainedTask, Fate};
use std::collections::BTreeMap;

/// What would become of the machine's tasks, why some of them do not move, and what is in doubt about others.
pub fn render(preview: &DrainPreview) -> String {
    let width = terminal_width().unwrap_or(usize::MAX);
    let mut out = String::new();
    let mut say = |text: &str, indent: &str| {
        for line in wrap(text, width.saturating_sub(indent.len()).max(20)) {
            out.push_str(&format!("{indent}{line}\n"));
        }
    };
    say(&format!("if {} were drained now: {}", preview.hostname, preview.summary), "");
    // Many tasks have one reason: each is told once.
    let mut reasons: BTreeMap<(Fate, &str), Vec<&DrainedTask>> = BTreeMap::new();
    for task in &preview.tasks {
        if let Some(why) = &task.why {
            reasons.entry((task.fate, why)).or_default().push(task);
        }
    }
    for ((fate, why), tasks) in reasons {
        let mut owners: Vec<&str> = tasks.iter().map(|task| owner(task)).collect();
        owners.dedup();
        let link = if fate == Fate::Moves { ", but" } else { ":" };
        say(&format!("{} {}{link} {why}", owners.join(", "), fate.name()), "  ");
    }
    if preview.tasks.is_empty() {
        return out;
    }
    // What frameworks call their tasks has no part that stands for the whole.
    let brief = |id: &str| if id.contains(".instance-") { short_id(&id.into()) } else { id.to_owned() };
    let table = Table::new(&["TASK", "~OF", "BECOMES", "~ON"]).brief("TASK", brief);
    let mut table = table.paint("BECOMES", |fate| match fate {
        "waits" => Some(Paint::Bad),
        "killed" | "ends" => Some(Paint::Notice),
        _ => None,
    });
    for task in &preview.tasks {
        let target = task.hostname.clone().unwrap_or_default();
        table.row([task.task.to_string(), owner(task).to_owned(), task.fate.name().to_owned(), target]);
    }
    format!("{out}\n{}", table.render(terminal_width()))
}

/// The service or framework of a task.
fn owner(task: &DrainedTask) -> &str {
    let service = task.service.as_ref().map(|service| service.as_str());
    let framework = || task.framework_name.as_deref().or(task.framework.as_ref().map(|id| id.as_str()));
    service.or_else(framework).unwrap_or("-")
}
