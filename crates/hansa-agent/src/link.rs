//! The stream to the master: opens it, carries messages both ways, reports its end. When to open and what to say is the
//! core's.

use crate::agent::Event;
use hansa_link::{ToAgent, ToMaster, grpc};
use hansa_node::Input;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;
use tonic::transport::Endpoint;

/// How long the master may take to end its direction after the agent has ended its own.
const GOODBYE: Duration = Duration::from_secs(1);

/// One stream, or the attempt to open it. Dropping it ends the agent's direction once everything sent is out.
#[derive(Debug)]
pub struct Stream {
    number: u64,
    outbox: mpsc::UnboundedSender<ToMaster>,
    /// Dropped with the stream: the task then takes no more messages.
    _held: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Stream {
    /// Starts opening a stream; its news arrive as events.
    pub fn open(number: u64, master: &str, events: mpsc::Sender<Event>) -> Self {
        // Unbounded: a master that takes nothing does not answer heartbeats either, and loses the stream in seconds.
        let (outbox, outgoing) = mpsc::unbounded_channel();
        let (held, dropped) = oneshot::channel();
        let task = tokio::spawn(carry(number, master.to_owned(), outgoing, dropped, events));
        Self { number, outbox, _held: held, task }
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Sends a message; lost if the stream has ended, which is reported anyway.
    pub fn send(&self, message: ToMaster) {
        let _ = self.outbox.send(message);
    }

    /// Ends the agent's direction and waits until everything sent is out, or a while.
    pub async fn close(self) {
        let Self { outbox, _held, task, .. } = self;
        drop((outbox, _held));
        let _ = tokio::time::timeout(GOODBYE, task).await;
    }
}

async fn carry(
    number: u64,
    master: String,
    outgoing: mpsc::UnboundedReceiver<ToMaster>,
    mut dropped: oneshot::Receiver<()>,
    events: mpsc::Sender<Event>,
) {
    let opening = open(&master, outgoing);
    let mut incoming = tokio::select! {
        opened = opening => match opened {
            Ok(incoming) => incoming,
            Err(reason) => return report(&events, Input::Disconnected { stream: number, reason }).await,
        },
        _ = &mut dropped => return,
    };
    report(&events, Input::Connected { stream: number }).await;
    let reason = loop {
        let message = tokio::select! {
            message = incoming.message() => message,
            _ = &mut dropped => return say_goodbye(incoming).await,
        };
        match message {
            Ok(Some(message)) => report(&events, Input::Message { stream: number, message }).await,
            Ok(None) => break "the master ended the stream".to_owned(),
            Err(status) => break format!("{master}: {}", status.message()),
        }
    };
    report(&events, Input::Disconnected { stream: number, reason }).await;
}

async fn open(
    master: &str,
    outgoing: mpsc::UnboundedReceiver<ToMaster>,
) -> Result<Streaming<ToAgent>, String> {
    let endpoint = Endpoint::from_shared(master.to_owned())
        .map_err(|error| format!("{master} is not an address: {error}"))?
        .connect_timeout(Duration::from_secs(2))
        .tcp_nodelay(true)
        .tcp_keepalive(Some(Duration::from_secs(10)));
    grpc::connect(endpoint.connect_lazy(), UnboundedReceiverStream::new(outgoing))
        .await
        .map_err(|status| format!("{master}: {}", status.message()))
}

/// The core has let go of the stream: what still comes is for nobody, but what is under way must go out.
async fn say_goodbye(mut incoming: Streaming<ToAgent>) {
    let drain = async { while let Ok(Some(_)) = incoming.message().await {} };
    let _ = tokio::time::timeout(GOODBYE, drain).await;
}

async fn report(events: &mpsc::Sender<Event>, input: Input) {
    // Fails only when the agent ends.
    let _ = events.send(Event::Node(input)).await;
}
