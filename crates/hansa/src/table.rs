//! Tables of text, fitted to the terminal. No lines, no colour: legible in a mail and to `awk`.

use crate::text::shorten;
use std::fmt::Write;

/// How a column behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    /// Left, never shortened.
    Fixed,
    /// Right, never shortened: numbers.
    Number,
    /// Left, shortened when the line is too long.
    Flexible,
}

/// A table under construction.
pub struct Table {
    columns: Vec<(String, Column)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings. `>HEADING` is a column of numbers, `~HEADING` one that may be shortened.
    pub fn new(headings: &[&str]) -> Self {
        let columns = headings
            .iter()
            .map(|heading| match heading.as_bytes().first() {
                Some(b'>') => (heading[1..].to_owned(), Column::Number),
                Some(b'~') => (heading[1..].to_owned(), Column::Flexible),
                _ => ((*heading).to_owned(), Column::Fixed),
            })
            .collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row; an empty cell is shown as `-`.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        assert_eq!(cells.len(), self.columns.len(), "a row has as many cells as the table has columns");
        let shown = |cell: String| {
            if cell.is_empty() { "-".to_owned() } else { cell.replace(['\n', '\r', '\t'], " ") }
        };
        self.rows.push(cells.into_iter().map(shown).collect());
    }

    /// The whole table, lines no longer than `width` if the flexible columns allow it.
    pub fn render(&self, width: Option<usize>) -> String {
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, (heading, _))| {
                self.rows.iter().map(|row| row[at].chars().count()).chain([heading.len()]).max().unwrap_or(0)
            })
            .collect();
        if let Some(limit) = width {
            self.squeeze(&mut widths, limit);
        }
        let mut text = String::new();
        let headings: Vec<String> = self.columns.iter().map(|(heading, _)| heading.clone()).collect();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let mut line = String::new();
            for (at, cell) in row.iter().enumerate() {
                if at > 0 {
                    line.push_str("  ");
                }
                let (cell, width) = (shorten(cell, widths[at]), widths[at]);
                // Writing to a String cannot fail.
                let _ = match self.columns[at].1 {
                    Column::Number => write!(line, "{cell:>width$}"),
                    Column::Fixed | Column::Flexible => write!(line, "{cell:<width$}"),
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// Narrows the widest flexible columns, one character at a time, until the line fits or they are narrow.
    fn squeeze(&self, widths: &mut [usize], limit: usize) {
        const NARROWEST: usize = 8;
        let gaps = 2 * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > limit {
            let widest = (0..widths.len())
                .filter(|&at| self.columns[at].1 == Column::Flexible && widths[at] > NARROWEST)
                .max_by_key(|&at| widths[at]);
            match widest {
                Some(at) => widths[at] -= 1,
                None => return,
            }
        }
    }
}

/// The width of the terminal that stdout is, or None if it is none (then nothing is shortened).
pub fn terminal_width() -> Option<usize> {
    // SAFETY: `winsize` is plain data that the call fills in; nothing else is touched.
    unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        (libc::ioctl(1, libc::TIOCGWINSZ, &raw mut size) == 0 && size.ws_col > 0)
            .then_some(usize::from(size.ws_col))
    }
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
    fn cells_stay_on_their_line() {
        let mut table = Table::new(&["~A"]);
        table.row(["one\ntwo".into()]);
        assert_eq!(table.render(None), "A\none two\n");
    }
}
