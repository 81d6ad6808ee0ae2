//! What is shown of the picture, and what keys do. Pure.

use super::picture::Picture;
use crate::commands::app::list::{state, why};
use crate::commands::node::list::state as node_state;
use crate::commands::task::list::state as task_state;
use crate::commands::task::logs::short_id;
use crate::paint::of_state;
use crate::table::Table;
use crate::text;
use clap::ValueEnum;
use hansa_api::hansa::StreamEvent;
use hansa_model::role::Totals;
use hansa_model::{TaskId, Timestamp};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Which list is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tab {
    /// Machines.
    Nodes,
    /// Services.
    Services,
    /// Tasks.
    Tasks,
}

impl Tab {
    /// All, in the order of their keys.
    pub const ALL: [(Tab, &'static str); 3] =
        [(Tab::Nodes, "machines"), (Tab::Services, "services"), (Tab::Tasks, "tasks")];

    fn number(self) -> usize {
        Self::ALL.iter().position(|(tab, _)| *tab == self).unwrap_or(0)
    }

    /// Its columns, as [`Table::new`] takes them.
    fn headings(self) -> &'static [&'static str] {
        match self {
            Tab::Nodes => &[
                "NODE", "STATE", ">TASKS", ">CPUS", ">GIVEN", ">USED", ">MEM", ">GIVEN ", ">USED ", "?~ZONE",
            ],
            Tab::Services => &["~SERVICE", "STATE", ">RUNNING", ">CPUS", ">MEM", "~WHY"],
            Tab::Tasks => &["TASK", "~SERVICE", "STATE", "~NODE", ">CPUS", ">MEM", ">AGE", "?PORTS"],
        }
    }
}

/// What rows are ordered by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(u64),
    Text(String),
}

/// A row: what is shown, what it is ordered by, and what its tasks have in common.
struct Row {
    cells: Vec<(String, Key)>,
    of: String,
}

/// What is shown.
pub struct Screen {
    /// Everything that is known.
    pub picture: Picture,
    /// Which list.
    pub tab: Tab,
    /// The master's address.
    pub address: String,
    /// Why nothing new is heard; None: all is well.
    pub lost: Option<String>,
    /// Only rows that contain this.
    pub filter: String,
    /// The filter is being typed.
    pub typing: bool,
    /// The selected row.
    pub selected: usize,
    /// The first row on the screen.
    pub first: usize,
    sort: [(usize, bool); 3],
    rows: usize,
    page: usize,
    subjects: Vec<String>,
}

fn text_key(text: impl Into<String>) -> (String, Key) {
    let text = text.into();
    (text.clone(), Key::Text(text))
}

fn number_key(text: String, number: u64) -> (String, Key) {
    (text, Key::Number(number))
}

impl Screen {
    /// The screen as it begins.
    pub fn new(picture: Picture, tab: Tab, address: &str) -> Self {
        Self {
            picture,
            tab,
            address: address.to_owned(),
            lost: None,
            filter: String::new(),
            typing: false,
            selected: 0,
            first: 0,
            sort: [(0, false); 3],
            rows: 0,
            page: 10,
            subjects: Vec::new(),
        }
    }

    /// Everything was read anew.
    pub fn replace(&mut self, picture: Picture) {
        let alarm = self.picture.alarm.take();
        self.picture = Picture { alarm: picture.alarm.clone().or(alarm), ..picture };
        self.lost = None;
    }

    /// Something changed.
    pub fn apply(&mut self, event: StreamEvent) {
        self.lost = None;
        self.picture.apply(event);
    }

    /// The connection is lost.
    pub fn lost(&mut self, why: String) {
        self.lost = Some(why);
    }

    /// A key; false: it is over.
    pub fn press(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return false,
            _ if self.typing => self.edit(key.code),
            KeyCode::Char('q') => return false,
            KeyCode::Char('/') => {
                self.typing = true;
                self.filter.clear();
            }
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Tab => self.show(Tab::ALL[(self.tab.number() + 1) % 3].0),
            KeyCode::BackTab => self.show(Tab::ALL[(self.tab.number() + 2) % 3].0),
            KeyCode::Char(digit @ '1'..='3') => self.show(Tab::ALL[digit as usize - '1' as usize].0),
            KeyCode::Char('s') => {
                let (column, _) = &mut self.sort[self.tab.number()];
                *column = (*column + 1) % self.tab.headings().len();
            }
            KeyCode::Char('S') => {
                let (column, _) = &mut self.sort[self.tab.number()];
                *column = (*column + self.tab.headings().len() - 1) % self.tab.headings().len();
            }
            KeyCode::Char('r') => {
                let (_, reverse) = &mut self.sort[self.tab.number()];
                *reverse = !*reverse;
            }
            KeyCode::Down | KeyCode::Char('j') => self.selected += 1,
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.selected += self.page,
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(self.page),
            KeyCode::Home | KeyCode::Char('g') => self.selected = 0,
            KeyCode::End | KeyCode::Char('G') => self.selected = self.rows.saturating_sub(1),
            KeyCode::Enter if self.tab != Tab::Tasks => {
                if let Some(subject) = self.subjects.get(self.selected).cloned() {
                    self.show(Tab::Tasks);
                    self.filter = subject;
                }
            }
            _ => {}
        }
        self.selected = self.selected.min(self.rows.saturating_sub(1));
        true
    }

    fn show(&mut self, tab: Tab) {
        if tab != self.tab {
            (self.tab, self.selected, self.first) = (tab, 0, 0);
            self.filter.clear();
            // So that moving at once is possible; drawing counts anew.
            self.rows = usize::MAX;
        }
    }

    fn edit(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(letter) => self.filter.push(letter),
            _ => {}
        }
    }

    /// The name of the column that rows are ordered by, and whether the other way round.
    pub fn order(&self) -> (&'static str, bool) {
        let (column, reverse) = self.sort[self.tab.number()];
        (self.tab.headings()[column].trim_matches(['>', '~', '?', ' ']), reverse)
    }

    /// The rows in order, as a table; at most `page` of them are on the screen at once, the selected one among them.
    pub fn table(&mut self, page: usize, now: Timestamp) -> Table {
        let mut rows = self.build(now);
        let filter = self.filter.to_lowercase();
        if !filter.is_empty() {
            rows.retain(|row| {
                row.of.to_lowercase().contains(&filter)
                    || row.cells.iter().any(|(cell, _)| cell.to_lowercase().contains(&filter))
            });
        }
        let (column, reverse) = self.sort[self.tab.number()];
        rows.sort_by(|one, other| {
            let order = one.cells[column].1.cmp(&other.cells[column].1);
            // The most of something is what is looked for.
            let order = if matches!(one.cells[column].1, Key::Number(_)) { order.reverse() } else { order };
            let order = if reverse { order.reverse() } else { order };
            order.then_with(|| one.cells[0].1.cmp(&other.cells[0].1))
        });
        self.rows = rows.len();
        self.page = page.max(1);
        self.selected = self.selected.min(self.rows.saturating_sub(1));
        self.first = self.first.clamp((self.selected + 1).saturating_sub(self.page), self.selected);
        self.subjects = rows.iter().map(|row| row.of.clone()).collect();
        let mut table = Table::new(self.tab.headings()).paint("STATE", of_state);
        for row in rows {
            table.cells(row.cells.into_iter().map(|(text, _)| text).collect());
        }
        table
    }

    fn build(&self, now: Timestamp) -> Vec<Row> {
        match self.tab {
            Tab::Nodes => self.nodes(),
            Tab::Services => self.services(),
            Tab::Tasks => self.tasks(now),
        }
    }

    fn nodes(&self) -> Vec<Row> {
        let share = |part: u64, total: u64| {
            number_key(text::percent(part, total), part.saturating_mul(1_000_000) / total.max(1))
        };
        let row = |node: &hansa_api::hansa::Node| {
            let total = Totals::of(&node.total);
            let used = |part: fn(&Totals) -> u64| match &node.used {
                Some(used) => share(part(used), part(&total)),
                None => number_key(String::new(), 0),
            };
            let cells = vec![
                text_key(node.hostname.clone()),
                text_key(node_state(node.state)),
                number_key(node.tasks.to_string(), node.tasks.into()),
                number_key(text::cpus(total.cpus_milli), total.cpus_milli),
                share(node.allocated.cpus_milli, total.cpus_milli),
                used(|totals| totals.cpus_milli),
                number_key(text::bytes(total.mem), total.mem),
                share(node.allocated.mem, total.mem),
                used(|totals| totals.mem),
                text_key(node.zone.clone().or_else(|| node.region.clone()).unwrap_or_default()),
            ];
            Row { cells, of: node.hostname.clone() }
        };
        self.picture.nodes.values().map(row).collect()
    }

    fn services(&self) -> Vec<Row> {
        let row = |service: &hansa_api::hansa::Service| {
            let all = |each: u64| each.saturating_mul(service.instances.into());
            let cells = vec![
                text_key(service.id.as_str()),
                text_key(state(service)),
                number_key(format!("{}/{}", service.running, service.instances), service.running.into()),
                number_key(text::cpus(all(service.cpus_milli)), all(service.cpus_milli)),
                number_key(text::bytes(all(service.mem)), all(service.mem)),
                text_key(why(service)),
            ];
            Row { cells, of: service.id.to_string() }
        };
        self.picture.services.values().map(row).collect()
    }

    fn tasks(&self, now: Timestamp) -> Vec<Row> {
        let row = |(id, task): (&TaskId, &hansa_api::hansa::Task)| {
            let since = task.started_at.unwrap_or(task.staged_at);
            let ports: Vec<String> = task.ports.iter().map(u16::to_string).collect();
            let app = task.app.as_ref().map(ToString::to_string).unwrap_or_default();
            let cells = vec![
                text_key(short_id(id)),
                text_key(app),
                text_key(task_state(task)),
                text_key(task.hostname.clone()),
                number_key(text::cpus(task.cpus_milli), task.cpus_milli),
                number_key(text::bytes(task.mem), task.mem),
                number_key(text::age(now, since), now.since(since)),
                text_key(ports.join(",")),
            ];
            Row { cells, of: id.to_string() }
        };
        self.picture.tasks.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use hansa_api::hansa::Node;

    fn screen() -> Screen {
        let small = Node { id: "agent-2".into(), hostname: "node2".into(), tasks: 9, ..samples::node() };
        let nodes = vec![samples::node(), small];
        let tasks = vec![
            samples::task("demo_web.instance-aaaa._app.1"),
            samples::task("demo_web.instance-bbbb._app.1"),
        ];
        let picture = Picture::of(nodes, vec![samples::service()], tasks, vec![], &Picture::default());
        Screen::new(picture, Tab::Nodes, "http://127.0.0.1:8080")
    }

    fn press(screen: &mut Screen, keys: &[KeyCode]) {
        for &key in keys {
            assert!(screen.press(KeyEvent::new(key, KeyModifiers::NONE)));
            screen.table(10, Timestamp(62_000));
        }
    }

    fn names(screen: &mut Screen) -> Vec<String> {
        let text = screen.table(10, Timestamp(62_000)).render(None);
        text.lines().skip(1).map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn rows_are_sorted_by_the_chosen_column() {
        let mut screen = screen();
        assert_eq!(names(&mut screen), ["node1", "node2"]);
        press(&mut screen, &[KeyCode::Char('s'), KeyCode::Char('s')]);
        assert_eq!(screen.order(), ("TASKS", false));
        assert_eq!(names(&mut screen), ["node2", "node1"], "the most first");
        press(&mut screen, &[KeyCode::Char('r')]);
        assert_eq!(names(&mut screen), ["node1", "node2"]);
    }

    #[test]
    fn enter_shows_the_tasks_of_what_is_selected() {
        let mut screen = screen();
        screen.table(10, Timestamp(62_000));
        press(&mut screen, &[KeyCode::Enter]);
        assert_eq!((screen.tab, screen.filter.as_str()), (Tab::Tasks, "node1"));
        assert_eq!(names(&mut screen).len(), 2);
        press(&mut screen, &[KeyCode::Char('/'), KeyCode::Char('b'), KeyCode::Char('b'), KeyCode::Enter]);
        assert_eq!(names(&mut screen).len(), 1);
        press(&mut screen, &[KeyCode::Esc, KeyCode::Down, KeyCode::Down, KeyCode::Down]);
        assert_eq!(screen.selected, 1, "no further than the last row");
        assert!(!screen.press(KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE)));
    }

    #[test]
    fn the_selected_row_is_on_the_screen() {
        let mut screen = screen();
        screen.tab = Tab::Tasks;
        screen.table(1, Timestamp(0));
        press(&mut screen, &[]);
        screen.press(KeyEvent::new(KeyCode::Down, KeyModifiers::NONE));
        screen.table(1, Timestamp(0));
        assert_eq!((screen.first, screen.selected), (1, 1));
    }
}
