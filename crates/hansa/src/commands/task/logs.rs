//! `hansa task logs`: a task's output, from its end and as it grows.

use crate::client::Client;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{note, write_stdout};
use clap::Args;
use hansa_model::TaskId;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;

/// Shows a task's output
#[derive(Clone, Debug, Args)]
pub struct LogsArgs {
    /// The task's id, or a piece of it that no other has
    pub id: String,
    /// Stay, and show what is written from now on
    #[arg(short, long)]
    pub follow: bool,
    /// How many lines to begin with
    #[arg(short = 'n', long, alias = "tail", default_value_t = 100)]
    pub lines: usize,
    /// What was written to stderr instead of stdout
    #[arg(long)]
    pub stderr: bool,
}

/// Does it.
pub async fn run(args: &LogsArgs, context: &Context) -> Result<(), Failure> {
    let task = context.task(&args.id).await?;
    let source = Source { task: task.id, file: if args.stderr { "stderr" } else { "stdout" } };
    let (send, mut lines) = mpsc::channel(256);
    let print = async move {
        let mut some = false;
        while let Some(line) = lines.recv().await {
            some = true;
            write_stdout(&format!("{line}\n"))?;
        }
        Ok::<bool, Failure>(some)
    };
    let from = From::Last(args.lines);
    let (read, printed) = tokio::join!(tail(&context.client, &source, from, args.follow, send), print);
    read?;
    // Crashes are told on stderr, and silence is no answer to whoever looks for one.
    if !printed? && !args.stderr && args.lines > 0 {
        note(&format!("it wrote nothing to stdout; `hansa task logs {} --stderr` shows the rest", args.id));
    }
    Ok(())
}

/// One file of a task.
pub struct Source {
    /// Whose.
    pub task: TaskId,
    /// `stdout` or `stderr`.
    pub file: &'static str,
}

/// Where to begin.
pub enum From {
    /// With so many lines from the end.
    Last(usize),
    /// After these, which were the last that were seen before the line broke.
    After(VecDeque<String>),
}

/// How many lines are looked through for those that were seen already.
const LOOK_BACK: usize = 2_000;

/// What comes after those that were seen: after the last place where they stand in a row; everything if there is none.
fn after(seen: &VecDeque<String>, mut lines: VecDeque<String>) -> VecDeque<String> {
    if seen.is_empty() {
        return lines;
    }
    let ends = (seen.len()..=lines.len()).rev();
    let found = ends.into_iter().find(|&end| lines.range(end - seen.len()..end).eq(seen.iter()));
    lines.drain(..found.unwrap_or(0));
    lines
}

/// Sends lines of a file to `take`, and with `follow` every line that is added, until nobody receives them any more.
pub async fn tail(
    client: &Client,
    source: &Source,
    from: From,
    follow: bool,
    take: mpsc::Sender<String>,
) -> Result<(), Failure> {
    let lines = match &from {
        From::Last(lines) => *lines,
        From::After(_) => LOOK_BACK,
    };
    let path = format!("/hansa/v1/tasks/{}/logs/{}", source.task, source.file);
    // So many bytes from the end hold enough lines, unless they are long; then fewer lines are shown.
    let from_end = if lines == usize::MAX { 0 } else { lines.saturating_mul(256).min(8 << 20) };
    let offset = if from_end == 0 && lines != 0 { "0".to_owned() } else { format!("-{from_end}") };
    let mut query = vec![("offset", offset.as_str())];
    if follow {
        query.push(("follow", "true"));
    }
    let mut response = client.stream(&path, &query).await?;
    let mut text = Vec::new();
    loop {
        // Nothing marks the end of what was there before when following: a moment of silence does, or enough bytes.
        let next = match follow {
            true if text.len() > from_end => break,
            true => match tokio::time::timeout(SILENCE, chunk(&mut response)).await {
                Ok(next) => next?,
                Err(_) => break,
            },
            false => chunk(&mut response).await?,
        };
        match next {
            Some(bytes) => text.extend_from_slice(&bytes),
            None => break,
        }
    }
    let mut splitter = Lines::default();
    let mut seen: VecDeque<String> = splitter.push(&text).into();
    if !follow {
        seen.extend(splitter.rest());
    }
    if from_end > 0 && text.len() >= from_end && seen.len() > 1 {
        // It began in the middle of a line.
        seen.pop_front();
    }
    while seen.len() > lines {
        seen.pop_front();
    }
    if let From::After(known) = &from {
        seen = after(known, seen);
    }
    for line in seen {
        if take.send(line).await.is_err() {
            return Ok(());
        }
    }
    while let Some(bytes) = if follow { chunk(&mut response).await? } else { None } {
        for line in splitter.push(&bytes) {
            if take.send(line).await.is_err() {
                return Ok(());
            }
        }
    }
    if let (true, Some(line)) = (follow, splitter.rest()) {
        let _ = take.send(line).await;
    }
    Ok(())
}

/// So long without a byte means that all of the past has been sent. Only the number of lines at the beginning hangs on it.
const SILENCE: Duration = Duration::from_millis(150);

async fn chunk(response: &mut reqwest::Response) -> Result<Option<Vec<u8>>, Failure> {
    match response.chunk().await {
        Ok(bytes) => Ok(bytes.map(|bytes| bytes.to_vec())),
        Err(error) => Err(Failure::new(Exit::Unavailable, format!("the output broke off: {error}"))),
    }
}

/// A task's id as short as people can still use it: the last digits of its instance.
pub fn short_id(id: &TaskId) -> String {
    let id = id.as_str();
    let instance = id.split("._app").next().unwrap_or(id);
    let start = instance.char_indices().rev().nth(7).map_or(0, |(at, _)| at);
    instance[start..].to_owned()
}

/// Collects bytes until lines are whole.
#[derive(Default)]
struct Lines {
    pending: Vec<u8>,
}

impl Lines {
    /// Takes the next bytes and hands back the lines that they complete, without their ends.
    fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        self.pending.extend_from_slice(bytes);
        let Some(end) = self.pending.iter().rposition(|&byte| byte == b'\n') else { return Vec::new() };
        let whole: Vec<u8> = self.pending.drain(..=end).collect();
        String::from_utf8_lossy(&whole[..end]).split('\n').map(str::to_owned).collect()
    }

    /// What is left without an end of line.
    fn rest(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.pending);
        (!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole() {
        for size in 1..12 {
            let mut lines = Lines::default();
            let seen: Vec<String> =
                "a\nbä\n\nrest".as_bytes().chunks(size).flat_map(|piece| lines.push(piece)).collect();
            assert_eq!(
                (seen.as_slice(), lines.rest().as_deref()),
                (["a", "bä", ""].map(str::to_owned).as_slice(), Some("rest"))
            );
        }
    }

    #[test]
    fn what_was_seen_before_the_line_broke_is_not_shown_again() {
        let list = |text: &str| text.chars().map(String::from).collect::<VecDeque<String>>();
        assert_eq!(after(&list("bc"), list("abcbcd")), list("d"));
        assert_eq!(after(&list("bc"), list("abc")), list(""));
        assert_eq!(after(&list("xy"), list("abc")), list("abc"), "it was rotated away");
        assert_eq!(after(&list(""), list("a")), list("a"));
        assert_eq!(after(&list("abcd"), list("cd")), list("cd"));
    }

    #[test]
    fn ids_are_shortened_to_their_instance() {
        assert_eq!(short_id(&"web.instance-01234567-89ab-8cde-8000-0123456789ab._app.1".into()), "456789ab");
        assert_eq!(short_id(&"x".into()), "x");
    }
}
