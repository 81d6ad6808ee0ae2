//! `--watch`: a list or show again whenever the cluster changes. The stream of events says when; nothing is asked more
//! often than once a second, and what only time changes is refreshed every few seconds.

use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::paint::{self, Paint};
use crate::sse::Events;
use crate::text;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

/// At most so often.
const SOONEST: Duration = Duration::from_secs(1);

/// At least so often: ages grow, machines are used more or less.
const LATEST: Duration = Duration::from_secs(5);

/// Does `show` again and again until it is interrupted, or what it shows is gone.
pub async fn watch(client: Arc<Client>, show: impl AsyncFn() -> Result<(), Failure>) -> Result<(), Failure> {
    let terminal = std::io::stdout().is_terminal();
    let mut changes = listen(client.clone());
    let mut last = None;
    loop {
        let begun = Instant::now();
        output::collect();
        let result = show().await;
        let mut shown = output::collected();
        match result {
            Ok(()) => {}
            // A master that restarts is waited for, one that never was there is an error.
            Err(failure) if failure.exit == Exit::Unavailable && last.is_some() => {
                let trouble = format!("{}; trying again", failure.cause);
                if terminal {
                    shown = format!(
                        "{}\n{}",
                        Paint::Bad.on(paint::stdout(), &trouble),
                        last.clone().unwrap_or_default()
                    );
                } else {
                    output::note(&trouble);
                    shown = last.clone().unwrap_or_default();
                }
            }
            Err(failure) => return Err(failure),
        }
        if terminal {
            let foot = format!("watching {}; Ctrl-C ends", client.address());
            output::write_stdout(&screen(&shown, &foot, text::terminal_height()))?;
        } else if last.as_ref() != Some(&shown) {
            output::write_stdout(&shown)?;
        }
        last = Some(shown);
        tokio::select! {
            Some(()) = changes.recv() => sleep_until(begun + SOONEST).await,
            () = sleep(LATEST) => {}
        }
    }
}

/// The text over what was on the screen, line by line so that nothing flickers, cut to what fits.
fn screen(text: &str, foot: &str, height: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let room = height.saturating_sub(2).max(1);
    let mut out = String::from("\x1b[H");
    for line in lines.iter().take(room) {
        out.push_str(&format!("{line}\x1b[K\r\n"));
    }
    let more = match lines.len().checked_sub(room) {
        Some(more) if more > 0 => format!("… {} more; ", text::count(more as u64, "line")),
        _ => String::new(),
    };
    out.push_str(&format!("{}\x1b[K\x1b[J", Paint::Dim.on(paint::stdout(), &format!("{more}{foot}"))));
    out
}

/// A word whenever something has changed.
fn listen(client: Arc<Client>) -> mpsc::Receiver<()> {
    let (send, changes) = mpsc::channel(1);
    tokio::spawn(async move {
        while !send.is_closed() {
            if let Ok(mut events) = Events::of(&client, "node,service,task,deployment").await {
                while events.next().await.is_some() {
                    // A word that has not been heard yet says enough.
                    if let Err(mpsc::error::TrySendError::Closed(())) = send.try_send(()) {
                        return;
                    }
                }
            }
            sleep(SOONEST).await;
        }
    });
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_is_overwritten_and_cut() {
        assert_eq!(
            screen("a\nb\nc\nd\n", "foot", 5),
            "\x1b[Ha\x1b[K\r\nb\x1b[K\r\nc\x1b[K\r\n… 1 line more; foot\x1b[K\x1b[J"
        );
        assert_eq!(screen("a\n", "foot", 24), "\x1b[Ha\x1b[K\r\nfoot\x1b[K\x1b[J");
    }
}
