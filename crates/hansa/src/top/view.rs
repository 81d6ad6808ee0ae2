//! The screen drawn: sums and trouble on top, a list below, the keys at the bottom.

use super::screen::{Screen, Tab};
use crate::paint::Paint;
use crate::text;
use hansa_model::Timestamp;
use hansa_model::event::AgentState;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Lines over the list and below it.
const HEAD: u16 = 5;
const FOOT: u16 = 1;

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, screen: &mut Screen, now: Timestamp) {
    let area = frame.area();
    if area.height < HEAD + FOOT + 2 || area.width < 30 {
        frame.render_widget(Paragraph::new("the terminal is too small"), area);
        return;
    }
    let width = usize::from(area.width);
    let page = usize::from(area.height - HEAD - FOOT - 1);
    let table = screen.table(page, now);
    let mut lines = head(screen, width);
    let shown = screen.first..(screen.first + page).min(table.len());
    for (number, parts) in table.parts(Some(width), shown.clone()).into_iter().enumerate() {
        let spans =
            parts.into_iter().map(|(part, paint)| Span::styled(part, paint.map_or(Style::new(), style)));
        let line = Line::from(spans.collect::<Vec<_>>());
        let selected = number > 0 && shown.start + number - 1 == screen.selected;
        lines.push(if selected { line.style(Style::new().add_modifier(Modifier::REVERSED)) } else { line });
    }
    if table.len() == 0 {
        lines.push(Line::from(match screen.filter.is_empty() {
            true => "nothing is here yet".to_owned(),
            false => format!("nothing contains '{}'; Esc shows everything", screen.filter),
        }));
    }
    frame.render_widget(Paragraph::new(lines), Rect { height: area.height - FOOT, ..area });
    let foot = Rect { y: area.y + area.height - FOOT, height: FOOT, ..area };
    frame.render_widget(Paragraph::new(foot_line(screen)), foot);
}

fn style(paint: Paint) -> Style {
    match paint {
        Paint::Good => Style::new().fg(Color::Green),
        Paint::Notice => Style::new().fg(Color::Yellow),
        Paint::Bad => Style::new().fg(Color::Red),
        Paint::Dim => Style::new().add_modifier(Modifier::DIM),
        Paint::Bold => Style::new().add_modifier(Modifier::BOLD),
        Paint::Nth(_) => Style::new().fg(Color::Cyan),
    }
}

fn head(screen: &Screen, width: usize) -> Vec<Line<'static>> {
    let picture = &screen.picture;
    let active = picture.nodes.values().filter(|node| node.state == AgentState::Active).count();
    let unwell = picture.nodes.len() - active;
    let mut first = format!(
        "hansa {}   {}{}   {}   {}",
        screen.address,
        text::count(active as u64, "machine"),
        if unwell > 0 { format!(" (and {unwell} not active)") } else { String::new() },
        text::count(picture.services.len() as u64, "service"),
        text::count(picture.tasks.len() as u64, "task"),
    );
    if !picture.deployments.is_empty() {
        first.push_str(&format!("   {}", text::count(picture.deployments.len() as u64, "deployment")));
    }
    let sums = picture.sums();
    let cpus =
        bar("cpus", sums.given.cpus_milli, sums.used.cpus_milli, sums.total.cpus_milli, text::cpus, width);
    let mem = bar("memory", sums.given.mem, sums.used.mem, sums.total.mem, text::bytes, width);
    let trouble = match (&screen.lost, &picture.alarm) {
        (Some(why), _) => Span::styled(format!("not up to date: {why}; trying again"), style(Paint::Bad)),
        (None, Some(alarm)) => Span::styled(alarm.clone(), style(Paint::Bad)),
        _ => Span::raw(""),
    };
    let mut tabs = Vec::new();
    for (number, (tab, name)) in Tab::ALL.iter().enumerate() {
        let on = *tab == screen.tab;
        let paint = if on {
            Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
        } else {
            style(Paint::Dim)
        };
        tabs.push(Span::styled(format!("{} {name}", number + 1), paint));
        tabs.push(Span::raw("   "));
    }
    let (column, reverse) = screen.order();
    tabs.push(Span::raw(format!("by {}{}", column.to_lowercase(), if reverse { ", reversed" } else { "" })));
    if !screen.filter.is_empty() || screen.typing {
        let cursor = if screen.typing { "_" } else { "" };
        tabs.push(Span::styled(format!("   with '{}{cursor}'", screen.filter), style(Paint::Notice)));
    }
    vec![Line::from(text::shorten(&first, width)), cpus, mem, Line::from(trouble), Line::from(tabs)]
}

/// Given and used of all there is: `cpus    ████▒▒▒░░░  4.5 of 12 given (37%), 0.2 used (1%)`.
fn bar(
    name: &str,
    given: u64,
    used: u64,
    total: u64,
    words: fn(u64) -> String,
    width: usize,
) -> Line<'static> {
    let room = width.saturating_sub(62).clamp(10, 40);
    let part = |amount: u64| {
        let cells = u128::from(amount) * room as u128 / u128::from(total.max(1));
        usize::try_from(cells).unwrap_or(room).min(room)
    };
    let (used_cells, given_cells) = (part(used), part(given).max(part(used)));
    let round = |amount: u64| words(if name == "cpus" { amount / 10 * 10 } else { amount });
    Line::from(vec![
        Span::raw(format!("{name:<7} ")),
        Span::styled("█".repeat(used_cells), style(Paint::Good)),
        Span::styled("▒".repeat(given_cells - used_cells), style(Paint::Notice)),
        Span::styled("░".repeat(room - given_cells), style(Paint::Dim)),
        Span::raw(format!(
            "  {} of {} given ({}), {} used ({})",
            round(given),
            words(total),
            text::percent(given, total),
            round(used),
            text::percent(used, total)
        )),
    ])
}

fn foot_line(screen: &Screen) -> Line<'static> {
    let keys = match (screen.typing, screen.tab) {
        (true, _) => "type what rows must contain; Enter keeps it, Esc shows everything",
        (_, Tab::Tasks) => "q end  Tab next list  s sort  r reverse  / search  Esc all",
        _ => "q end  Tab next list  Enter its tasks  s sort  r reverse  / search  Esc all",
    };
    Line::styled(keys, style(Paint::Dim))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use crate::top::picture::Picture;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn drawn(screen: &mut Screen, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, screen, Timestamp(62_000))).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn machines_and_sums_fit_a_small_terminal() {
        let picture = Picture::of(
            vec![samples::node()],
            vec![samples::service()],
            vec![samples::task("demo_web.instance-01234567-89ab-8cde-8000-0123456789ab._app.1")],
            vec![],
            &Picture::default(),
        );
        let mut screen = Screen::new(picture, Tab::Nodes, "http://127.0.0.1:8080");
        let text = drawn(&mut screen, 80, 24);
        for part in [
            "hansa http://127.0.0.1:8080   1 machine   1 service   1 task",
            "0.5 of 2 given (25%), 0.02 used (1%)",
            "1 machines   2 services   3 tasks   by node",
            "node1  active      3     2    25%    1%   1G     25%     3%  z1",
            "q end  Tab next list",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        screen.tab = Tab::Tasks;
        assert!(drawn(&mut screen, 80, 24).contains("456789ab  /demo/web  running, healthy  node1"));
        screen.lost("connection refused".into());
        assert!(drawn(&mut screen, 80, 24).contains("not up to date: connection refused; trying again"));
        assert!(drawn(&mut screen, 20, 5).contains("the terminal is too"), "and nothing breaks");
    }
}
