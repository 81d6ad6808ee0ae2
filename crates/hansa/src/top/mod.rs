//! `hansa top`: the whole cluster on one screen, as it changes.
//!
//! [`picture`] is what is known, kept up to date by the stream of events; [`screen`] is what is shown of it and what keys do,
//! both pure; [`view`] draws. Here: the terminal, the keys and the stream. Nothing is polled: the lists are read once when
//! the stream begins, and again when it says that something was missed.

mod picture;
mod screen;
mod view;

use crate::client::Client;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::sse::Events;
use crate::text;
use clap::Args;
use hansa_api::hansa::{Deployments, Nodes, Services, StreamEvent};
use picture::Picture;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use screen::{Screen, Tab};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

/// Shows machines, services and tasks as they change, on the whole terminal
///
/// Keys: Tab or 1, 2, 3: machines, services, tasks; arrows or j, k: move; Enter: the tasks of it; s: sort by the next column;
/// r: the other way round; /: only what contains a text; Esc: everything again; q: end.
#[derive(Clone, Debug, Args)]
pub struct TopArgs {
    /// What to begin with
    #[arg(value_enum, default_value_t = Tab::Nodes)]
    pub tab: Tab,
}

/// What the loop hears.
enum Heard {
    /// Everything, read anew.
    Read(Box<Picture>),
    /// Something changed.
    Event(Box<StreamEvent>),
    /// The connection is lost.
    Lost(String),
    /// A key, or another size.
    Terminal(Event),
    /// There is no terminal any more.
    End,
}

/// The screen is drawn at most so often because of what the cluster does; keys are answered at once.
const FRAME: Duration = Duration::from_millis(250);

/// Does it.
pub async fn run(args: &TopArgs, context: &Context) -> Result<(), Failure> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Usage, "top needs a terminal")
            .remedy("`hansa node list --watch` and `hansa task list --output json` go without"));
    }
    // A master that is not there is an error, not an empty screen.
    let first = read(&Picture::default(), context).await?;
    let (send, mut heard) = mpsc::channel(1024);
    tokio::spawn(feed(context.client.clone(), context.format, send.clone()));
    std::thread::spawn(move || keys(&send));
    let mut terminal = ratatui::try_init()?;
    let outcome = show(&mut terminal, first, args.tab, context.client.address(), &mut heard).await;
    let restored = ratatui::try_restore();
    outcome?;
    Ok(restored?)
}

async fn show(
    terminal: &mut ratatui::DefaultTerminal,
    first: Picture,
    tab: Tab,
    address: &str,
    heard: &mut mpsc::Receiver<Heard>,
) -> Result<(), Failure> {
    let mut screen = Screen::new(first, tab, address);
    let mut due = Some(Instant::now());
    let mut drawn = Instant::now();
    loop {
        if due.is_some_and(|due| due <= Instant::now()) {
            terminal.draw(|frame| view::draw(frame, &mut screen, text::now()))?;
            drawn = Instant::now();
            // Ages grow by themselves.
            due = None;
        }
        let next = due.unwrap_or(drawn + Duration::from_secs(5));
        let heard = tokio::select! {
            heard = heard.recv() => heard,
            () = sleep_until(next) => {
                due = Some(Instant::now());
                continue;
            }
        };
        match heard {
            None | Some(Heard::End) => return Ok(()),
            Some(Heard::Terminal(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                if !screen.press(key) {
                    return Ok(());
                }
                due = Some(Instant::now());
            }
            Some(Heard::Terminal(_)) => due = Some(Instant::now()),
            Some(Heard::Read(picture)) => {
                screen.replace(*picture);
                due = Some(Instant::now());
            }
            Some(Heard::Event(event)) => {
                screen.apply(*event);
                due = due.or(Some(drawn + FRAME));
            }
            Some(Heard::Lost(why)) => {
                screen.lost(why);
                due = Some(Instant::now());
            }
        }
    }
}

/// Keys and sizes, for ever.
fn keys(send: &mpsc::Sender<Heard>) {
    loop {
        let heard = event::read().map_or(Heard::End, Heard::Terminal);
        let end = matches!(heard, Heard::End);
        if send.blocking_send(heard).is_err() || end {
            return;
        }
    }
}

/// What the cluster does, for ever, over broken connections and restarts of the master.
async fn feed(client: Arc<Client>, format: crate::output::Format, send: mpsc::Sender<Heard>) {
    let context = Context { client, format };
    loop {
        let why = match Events::of(&context.client, "node,usage,service,task,deployment,alarm").await {
            Ok(mut events) => {
                while let Some(frame) = events.next().await {
                    let data: Value = serde_json::from_str(&frame.data).unwrap_or(Value::Null);
                    let event = serde_json::from_value(json!({ "event": frame.event, "data": data }));
                    let heard = match event {
                        Ok(StreamEvent::Resync { .. }) => match read(&Picture::default(), &context).await {
                            Ok(picture) => Heard::Read(Box::new(picture)),
                            Err(failure) => Heard::Lost(failure.cause),
                        },
                        Ok(event) => Heard::Event(Box::new(event)),
                        // Of a kind that this version does not know.
                        Err(_) => continue,
                    };
                    if send.send(heard).await.is_err() {
                        return;
                    }
                }
                "the connection ended".to_owned()
            }
            Err(failure) => failure.cause,
        };
        if send.send(Heard::Lost(why)).await.is_err() {
            return;
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// All lists.
async fn read(before: &Picture, context: &Context) -> Result<Picture, Failure> {
    let nodes: Nodes = context.client.get("/hansa/v1/nodes", &[]).await?;
    let services: Services = context.client.get("/hansa/v1/services", &[]).await?;
    let deployments: Deployments = context.client.get("/hansa/v1/deployments", &[]).await?;
    let tasks = context.tasks(&[("limit", "1000")]).await?;
    Ok(Picture::of(nodes.nodes, services.services, tasks, deployments.deployments, before))
}
