//! Tables of text, fitted to the terminal. No lines, and colour only as a hint: legible in a mail and to `awk`.
//!
//! When a table is wider than the terminal it gives way in this order: flexible columns are shortened to something
//! readable; columns with a brief form take it; optional columns go, the last first; flexible columns are shortened to
//! little. Where there is no terminal, or `--output wide` is asked for, nothing gives way.

use crate::paint::{self, Paint};
use crate::text::{shorten, shorten_front};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// How a column behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Left, never shortened.
    Fixed,
    /// Right, never shortened: numbers.
    Number,
    /// Left, shortened when the line is too long.
    Flexible,
    /// The same, but what is shortened is its beginning: paths, whose end says more.
    Path,
}

impl Kind {
    fn is_flexible(self) -> bool {
        matches!(self, Kind::Flexible | Kind::Path)
    }
}

struct Column {
    heading: String,
    kind: Kind,
    /// It may go when the line is too long.
    optional: bool,
    /// It is there only where nothing gives way for width.
    wide: bool,
    brief: Option<fn(&str) -> String>,
    paint: Option<fn(&str) -> Option<Paint>>,
}

/// A table under construction.
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

/// A flexible column is readable so wide, and still there so wide.
const READABLE: usize = 18;
const NARROWEST: usize = 8;

/// The widths of the columns that are shown, and whether each is brief.
struct Layout {
    shown: Vec<(usize, usize)>,
    brief: bool,
}

impl Table {
    /// A table with these headings. `>HEADING` is a column of numbers, `~HEADING` one that may be shortened, `<HEADING` one
    /// whose beginning may go; before that, `?` marks a column that may go and `+` one for `--output wide` alone.
    pub fn new(headings: &[&str]) -> Self {
        let columns = headings.iter().map(|heading| {
            let (optional, rest) = heading.strip_prefix('?').map_or((false, *heading), |rest| (true, rest));
            let (wide, rest) = rest.strip_prefix('+').map_or((false, rest), |rest| (true, rest));
            let (kind, heading) = match rest.as_bytes().first() {
                Some(b'>') => (Kind::Number, &rest[1..]),
                Some(b'~') => (Kind::Flexible, &rest[1..]),
                Some(b'<') => (Kind::Path, &rest[1..]),
                _ => (Kind::Fixed, rest),
            };
            Column { heading: heading.to_owned(), kind, optional, wide, brief: None, paint: None }
        });
        Self { columns: columns.collect(), rows: Vec::new() }
    }

    /// Gives the column a form for narrow terminals.
    pub fn brief(mut self, heading: &str, brief: fn(&str) -> String) -> Self {
        self.column(heading).brief = Some(brief);
        self
    }

    /// Gives the column's cells a colour by what they say.
    pub fn paint(mut self, heading: &str, paint: fn(&str) -> Option<Paint>) -> Self {
        self.column(heading).paint = Some(paint);
        self
    }

    fn column(&mut self, heading: &str) -> &mut Column {
        self.columns.iter_mut().find(|column| column.heading == heading).expect("the table has this column")
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Adds a row; an empty cell is shown as `-`.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.cells(cells.into());
    }

    /// The same for rows whose length is only known when the program runs.
    pub fn cells(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.columns.len(), "a row has as many cells as the table has columns");
        let shown = |cell: String| {
            if cell.is_empty() { "-".to_owned() } else { cell.replace(['\n', '\r', '\t'], " ") }
        };
        self.rows.push(cells.into_iter().map(shown).collect());
    }

    /// The whole table, lines no longer than `width` if the columns allow it.
    pub fn render(&self, width: Option<usize>) -> String {
        let coloured = paint::stdout();
        let mut text = String::new();
        for parts in self.parts(width, 0..self.rows.len()) {
            let line: String = parts
                .iter()
                .map(|(part, paint)| paint.map_or_else(|| part.clone(), |paint| paint.on(coloured, part)))
                .collect();
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// The line of headings and those of some rows, each in parts with their colours.
    pub fn parts(&self, width: Option<usize>, rows: Range<usize>) -> Vec<Vec<(String, Option<Paint>)>> {
        let layout = self.layout(width);
        let headings: Vec<String> = self.columns.iter().map(|column| column.heading.clone()).collect();
        let line = |row: &[String], heading: bool| {
            let mut parts = Vec::new();
            for (place, &(at, width)) in layout.shown.iter().enumerate() {
                if place > 0 {
                    parts.push(("  ".to_owned(), None));
                }
                let column = &self.columns[at];
                let whole = match column.brief {
                    Some(brief) if layout.brief && !heading => brief(&row[at]),
                    _ => row[at].clone(),
                };
                let cell = match column.kind {
                    Kind::Path => shorten_front(&whole, width),
                    _ => shorten(&whole, width),
                };
                let gap = (" ".repeat(width.saturating_sub(cell.chars().count())), None);
                let paint = match heading {
                    true => Some(Paint::Bold),
                    false => column.paint.and_then(|paint| paint(&row[at])),
                };
                match column.kind {
                    Kind::Number => parts.extend([gap, (cell, paint)]),
                    _ => parts.extend([(cell, paint), gap]),
                }
            }
            parts
        };
        std::iter::once(line(&headings, true))
            .chain(self.rows[rows].iter().map(|row| line(row, false)))
            .collect()
    }

    /// Which columns are shown how wide.
    fn layout(&self, limit: Option<usize>) -> Layout {
        let all: Vec<usize> =
            (0..self.columns.len()).filter(|&at| !self.columns[at].wide || is_wide()).collect();
        let Some(limit) = limit else { return self.natural(&all, false) };
        let optional: Vec<usize> =
            all.iter().rev().copied().filter(|&at| self.columns[at].optional).collect();
        // From what is best to what is worst: how narrow flexible columns may become, brief or not, how many columns go.
        let mut tries = vec![(READABLE, false, 0)];
        tries.extend((0..=optional.len()).map(|gone| (READABLE, true, gone)));
        tries.push((NARROWEST, true, optional.len()));
        let mut layout = self.natural(&all, false);
        for (least, brief, gone) in tries {
            let shown: Vec<usize> = all.iter().copied().filter(|at| !optional[..gone].contains(at)).collect();
            layout = self.natural(&shown, brief);
            if self.squeeze(&mut layout.shown, limit, least) {
                break;
            }
        }
        layout
    }

    /// The columns as wide as their content.
    fn natural(&self, shown: &[usize], brief: bool) -> Layout {
        let width = |at: usize| {
            let column = &self.columns[at];
            let cell = |row: &Vec<String>| match column.brief {
                Some(brief_form) if brief => brief_form(&row[at]).chars().count(),
                _ => row[at].chars().count(),
            };
            self.rows.iter().map(cell).chain([column.heading.chars().count()]).max().unwrap_or(0)
        };
        Layout { shown: shown.iter().map(|&at| (at, width(at))).collect(), brief }
    }

    /// Narrows the widest flexible columns, one character at a time, to no less than `least`; whether the line fits then.
    fn squeeze(&self, shown: &mut [(usize, usize)], limit: usize, least: usize) -> bool {
        let gaps = 2 * shown.len().saturating_sub(1);
        while shown.iter().map(|(_, width)| width).sum::<usize>() + gaps > limit {
            let widest = shown
                .iter_mut()
                .filter(|(at, width)| self.columns[*at].kind.is_flexible() && *width > least)
                .max_by_key(|(_, width)| *width);
            match widest {
                Some((_, width)) => *width -= 1,
                None => return false,
            }
        }
        true
    }
}

static WIDE: AtomicBool = AtomicBool::new(false);

/// Tables have all columns in full from now on.
pub fn set_wide() {
    WIDE.store(true, Ordering::Relaxed);
}

/// Whether tables have all columns in full.
fn is_wide() -> bool {
    WIDE.load(Ordering::Relaxed)
}

/// The width of the terminal that stdout is, else what `COLUMNS` says; None: nothing is shortened.
pub fn terminal_width() -> Option<usize> {
    // Tests compare whole text, wherever they run.
    if is_wide() || cfg!(test) {
        return None;
    }
    // SAFETY: `winsize` is plain data that the call fills in; nothing else is touched.
    let columns = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        (libc::ioctl(1, libc::TIOCGWINSZ, &raw mut size) == 0 && size.ws_col > 0)
            .then_some(usize::from(size.ws_col))
    };
    columns.or_else(|| std::env::var("COLUMNS").ok()?.parse().ok().filter(|&columns| columns > 0))
}

/// Names and values below each other, long values continued below where they began.
pub fn pairs<N: AsRef<str>>(lines: &[(N, String)], indent: usize) -> String {
    let room = terminal_width().map(|width| width.saturating_sub(indent).max(20));
    let mut text = String::new();
    for (name, value) in lines {
        let name = name.as_ref();
        let value = value.replace('\n', " ");
        let painted = match name {
            "state" => paint::of_state(&value).map_or(value.clone(), |paint| paint.out(&value)),
            _ => value.clone(),
        };
        let parts = match room {
            Some(room) if value.chars().count() > room => wrap(&value, room),
            _ => vec![painted],
        };
        for (at, part) in parts.iter().enumerate() {
            let name = if at == 0 { name } else { "" };
            text.push_str(&format!("{name:<indent$}{part}\n"));
        }
    }
    text
}

/// The text in lines of at most `width`, broken at blanks where there are some.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word = word;
        loop {
            let line = lines.last_mut().expect("there is a line");
            let used = line.chars().count();
            let blank = usize::from(used > 0);
            if used + blank + word.chars().count() <= width {
                if blank > 0 {
                    line.push(' ');
                }
                line.push_str(word);
                break;
            }
            if used > 0 {
                lines.push(String::new());
                continue;
            }
            let end = word.char_indices().nth(width.max(1)).map_or(word.len(), |(at, _)| at);
            line.push_str(&word[..end]);
            word = &word[end..];
            lines.push(String::new());
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&["ID", ">CPUS", "~COMMAND"]);
        table.row(["/web".into(), "0.5".into(), "python3 -m http.server $PORT0".into()]);
        table.row(["/demo/worker".into(), "12".into(), String::new()]);
        table
    }

    #[test]
    fn columns_line_up() {
        assert_eq!(
            sample().render(None),
            "ID            CPUS  COMMAND\n\
             /web           0.5  python3 -m http.server $PORT0\n\
             /demo/worker    12  -\n"
        );
    }

    #[test]
    fn only_flexible_columns_shrink() {
        let text = sample().render(Some(36));
        assert!(text.contains("/demo/worker") && text.contains("python3 -m http…"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 36), "{text}");
        // Too narrow for everything: the columns stay readable rather than vanish.
        assert!(sample().render(Some(5)).contains("python3…"));
    }

    #[test]
    fn what_matters_less_gives_way_first() {
        let mut table = Table::new(&["ID", "STATE", "?ZONE", "~MESSAGE"])
            .brief("ID", |id| id.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect());
        table.row(["instance-0123456789".into(), "running".into(), "zone-1".into(), "m".repeat(40)]);
        let at = |width| table.render(Some(width));
        assert!(at(90).contains("instance-0123456789  running  zone-1  mmm"), "{}", at(90));
        assert!(at(56).contains("instance-0123456789  running  zone-1  mmmmmmmmmmmmm"), "{}", at(56));
        assert!(at(44).contains("\n6789  running  zone-1  mmmmmmmmmm"), "{}", at(44));
        assert!(at(34).contains("\n6789  running  mmmmmmmmmm"), "{}", at(34));
        assert!(at(24).contains("\n6789  running  mmmmmmmm…"), "{}", at(24));
    }

    #[test]
    fn cells_stay_on_their_line() {
        let mut table = Table::new(&["~A"]);
        table.row(["one\ntwo".into()]);
        assert_eq!(table.render(None), "A\none two\n");
    }

    #[test]
    fn text_is_broken_at_blanks() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a 0123456789", 5), ["a", "01234", "56789"]);
    }
}
