//! `/hansa/v1/tasks/{id}/terminal`: a terminal in a task's container for a browser, over a WebSocket.
//!
//! What the two sides say to each other stands in [`hansa_api::terminal`]; here it is translated to what agents speak
//! ([`hansa_api::exec`]) and back. Browsers show no answer to a refused handshake, so whatever goes wrong after it is said in
//! the socket. Input and output run side by side: a command that reads nothing must not hold up what it writes.

use super::agents::Machine;
use super::error::ApiError;
use super::extract::Query;
use super::{cors, exec};
use crate::Master;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseCode, CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::{HOST, ORIGIN};
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hansa_api::exec::{End, Frame, MOST, Size, Start};
use hansa_api::terminal::{Asks, Says};
use hansa_model::TaskId;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How often the client is asked whether it is there, and after which silence it is not.
const PING: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(70);

/// How long a client may take for one message.
const SEND: Duration = Duration::from_secs(30);

/// How long a client may take to end its side after the last word.
const GOODBYE: Duration = Duration::from_secs(2);

/// Bytes of a message: more than anybody pastes.
const MAX_MESSAGE: usize = 1 << 20;

/// Messages on their way to the client.
const WAITING: usize = 8;

/// A shell of the container's own: bash, if it has that.
const SHELL: &str = "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi";

/// What is wanted.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    command: String,
    columns: Option<u16>,
    rows: Option<u16>,
}

/// `GET /hansa/v1/tasks/{id}/terminal` as a WebSocket.
pub(super) async fn open(
    State(master): State<Master>,
    Path(task): Path<TaskId>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    own_page(&master, &headers)?;
    let upgrade = upgrade.map_err(|why| {
        let words = format!("this path is a WebSocket: {}", why.body_text());
        ApiError::new(StatusCode::UPGRADE_REQUIRED, "invalid", words)
    })?;
    let start = wanted.start();
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| async move { serve(&master, &task, start, socket).await }))
}

/// Browsers let any page open a WebSocket to anywhere and send what they know of the user along, so here, unlike
/// elsewhere, the origin counts on every address: this master's own pages and those that the operator has named.
fn own_page(master: &Master, headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    if cors::named(headers, &master.options().cors_origins).is_some() {
        return Ok(());
    }
    let of_page = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    if of_page.is_some() && headers.get_all(ORIGIN).iter().count() == 1 && of_page == text(HOST) {
        return Ok(());
    }
    Err(ApiError::forbidden("the page that asks for a terminal is not this master's own")
        .remedy("--cors-origin lets pages of another origin in"))
}

impl Wanted {
    fn start(self) -> Start {
        let line = if self.command.trim().is_empty() { SHELL.to_owned() } else { self.command };
        Start {
            argv: vec!["/bin/sh".into(), "-c".into(), line],
            env: BTreeMap::from([("TERM".into(), "xterm-256color".into())]),
            terminal: Some(Size {
                rows: self.rows.unwrap_or(24).max(1),
                columns: self.columns.unwrap_or(80).max(1),
            }),
        }
    }
}

/// Serves a WebSocket to its end.
async fn serve(master: &Master, task: &TaskId, start: Start, socket: WebSocket) {
    let (mut to_client, mut client) = socket.split();
    let opened = async {
        let machine = Machine::of(master, task, None)?;
        if master.read().task(task).is_none_or(|view| view.status.state.is_terminal()) {
            let words = format!("task '{task}' has ended: there is no container to be in");
            return Err(ApiError::not_found(words).remedy("its files are at /hansa/v1/tasks/{id}/files"));
        }
        exec::open(master, task, &machine).await
    };
    // Ten seconds at most.
    match opened.await {
        Ok(agent) => talk(master, agent, start, &mut client, &mut to_client).await,
        Err(refusal) => {
            let say = async {
                to_client.send(last_word(&Says::Error(refusal.body()))).await?;
                to_client.send(close(close_code::NORMAL)).await
            };
            let _ = tokio::time::timeout(SEND, say).await;
        }
    }
    // The client's own closing, so that the connection ends without a reset that could overtake the last word.
    let drain = async { while let Some(Ok(_)) = client.next().await {} };
    let _ = tokio::time::timeout(GOODBYE, drain).await;
}

fn last_word(says: &Says) -> Message {
    Message::Text(serde_json::to_string(says).unwrap_or_default().into())
}

fn close(code: CloseCode) -> Message {
    Message::Close(Some(CloseFrame { code, reason: "".into() }))
}

/// Passes on both ways until either side ends.
async fn talk(
    master: &Master,
    agent: impl AsyncRead + AsyncWrite + Send + 'static,
    start: Start,
    client: &mut SplitStream<WebSocket>,
    to_client: &mut SplitSink<WebSocket, Message>,
) {
    let (mut from_agent, mut to_agent) = tokio::io::split(agent);
    let (out, mut waiting) = mpsc::channel::<Message>(WAITING);
    let begun = Instant::now();
    // Milliseconds after the beginning when something was heard of the client last.
    let heard = AtomicU64::new(0);
    let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);

    let input = async {
        let closing = pass_input(client, &mut to_agent, start, || {
            heard.store(milliseconds(begun.elapsed()), Relaxed);
        });
        let last = match closing.await {
            Over::Client => return,
            // What the agent said last is still to be read.
            Over::Agent => Vec::new(),
            Over::Say(last) => last,
        };
        for message in last {
            let _ = out.send(message).await;
        }
        // The writer ends it all, with the closing.
        std::future::pending::<()>().await;
    };
    let output = async {
        let says = loop {
            match Frame::read(&mut from_agent).await {
                Ok(Some(Frame::Stdout(bytes) | Frame::Stderr(bytes))) => {
                    if out.send(Message::Binary(bytes.into())).await.is_err() {
                        return;
                    }
                }
                Ok(Some(Frame::End(end))) => break ended(end),
                Ok(Some(_)) => {}
                Ok(None) => break lost("the machine ended the connection"),
                Err(error) => break lost(&format!("the connection to the machine broke: {error}")),
            }
        };
        let _ = out.send(last_word(&says)).await;
        let _ = out.send(close(close_code::NORMAL)).await;
        // As above.
        std::future::pending::<()>().await;
    };
    let pings = async {
        let mut ticks = tokio::time::interval_at(begun + PING, PING);
        loop {
            ticks.tick().await;
            let silent = milliseconds(begun.elapsed()).saturating_sub(heard.load(Relaxed));
            if silent > milliseconds(SILENCE) || out.send(Message::Ping(Default::default())).await.is_err() {
                return;
            }
        }
    };
    let writer = async {
        while let Some(message) = waiting.recv().await {
            let is_last = matches!(message, Message::Close(_));
            let sent = tokio::time::timeout(SEND, to_client.send(message)).await;
            if !matches!(sent, Ok(Ok(()))) || is_last {
                return;
            }
        }
    };
    let mut stopping = master.stopping();
    tokio::select! {
        // Whichever ends first ends all of it. The agent sees its connection end, and the command its terminal.
        () = input => {}
        () = output => {}
        () = pings => {}
        () = writer => {}
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
}

/// Why no more input is passed on.
enum Over {
    /// The client has gone.
    Client,
    /// The agent takes no more.
    Agent,
    /// The connection is to end with these words.
    Say(Vec<Message>),
}

/// Passes on what the client says.
async fn pass_input(
    client: &mut SplitStream<WebSocket>,
    to_agent: &mut (impl AsyncWrite + Unpin),
    start: Start,
    hear: impl Fn(),
) -> Over {
    if Frame::Start(start).write(to_agent).await.is_err() {
        return Over::Agent;
    }
    loop {
        let message = match client.next().await {
            Some(Ok(message)) => message,
            // Of a broken protocol the client is told, of a broken connection nobody can be.
            Some(Err(error)) => {
                let refusal = ApiError::invalid("message", error.to_string());
                return Over::Say(vec![last_word(&Says::Error(refusal.body())), close(close_code::PROTOCOL)]);
            }
            None => return Over::Client,
        };
        hear();
        let frames: Vec<Frame> = match message {
            Message::Binary(bytes) => bytes.chunks(MOST).map(|part| Frame::Stdin(part.to_vec())).collect(),
            Message::Text(text) => match serde_json::from_str::<Asks>(&text) {
                Ok(Asks::Resize(size)) => vec![Frame::Resize(size)],
                Err(fault) => {
                    let refusal = ApiError::invalid("message", format!("a message cannot be read: {fault}"))
                        .remedy(r#"text messages are {"resize":{"columns":80,"rows":24}}; input is binary"#);
                    return Over::Say(vec![
                        last_word(&Says::Error(refusal.body())),
                        close(close_code::NORMAL),
                    ]);
                }
            },
            // Pings are answered before they come here.
            Message::Ping(_) | Message::Pong(_) => continue,
            Message::Close(_) => return Over::Client,
        };
        for frame in frames {
            if frame.write(to_agent).await.is_err() {
                return Over::Agent;
            }
        }
    }
}

fn ended(end: End) -> Says {
    match end {
        End { exit: Some(exit), .. } => Says::Exit(exit),
        End { exit: None, error } => lost(&error.unwrap_or_else(|| "the command did not run".into())),
    }
}

fn lost(words: &str) -> Says {
    Says::Error(ApiError::unavailable(words).body())
}
