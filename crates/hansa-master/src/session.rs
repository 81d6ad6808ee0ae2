//! An agent's stream as the loop knows it, whatever carries it: gRPC ([`crate::http`]), or a channel of this process (simulated
//! agents of the benches).

use crate::Master;
use crate::engine::{Event, Outbox};
use hansa_link::{ToAgent, ToMaster};
use tokio::sync::{mpsc, oneshot};

/// Messages that may wait for one agent. An agent that is further behind loses its stream, and says hello again.
const OUTBOX: usize = 16_384;

/// The master has ended the stream, or is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the master has ended the session")]
pub struct Ended;

/// The agent's end of a stream, from the moment it opened.
#[derive(Debug)]
pub struct Session {
    /// What the agent says.
    pub to_master: SessionSender,
    /// What the agent hears; ends when the master ends the stream.
    pub to_agent: mpsc::Receiver<ToAgent>,
}

/// Says things as an agent. Dropping it ends the stream.
#[derive(Debug)]
pub struct SessionSender {
    id: u64,
    events: mpsc::Sender<Event>,
    cut: oneshot::Receiver<()>,
}

impl Master {
    /// Opens a stream as an agent does; the agent's hello is the first message to send.
    pub async fn connect(&self) -> Result<Session, Ended> {
        let id = self.new_session_id();
        let (outbox, to_agent) = mpsc::channel(OUTBOX);
        let (alive, cut) = oneshot::channel();
        let events = self.inner().events.clone();
        let opened = Event::SessionOpened { session: id, outbox: Outbox { messages: outbox, _alive: alive } };
        events.send(opened).await.map_err(|_| Ended)?;
        Ok(Session { to_master: SessionSender { id, events, cut }, to_agent })
    }
}

impl SessionSender {
    /// Says something; waits while the loop is behind.
    pub async fn send(&mut self, message: ToMaster) -> Result<(), Ended> {
        if !matches!(self.cut.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
            return Err(Ended);
        }
        let event = Event::FromAgent { session: self.id, message: Box::new(message) };
        self.events.send(event).await.map_err(|_| Ended)
    }

    /// Returns once the master has ended the stream.
    pub async fn ended(&mut self) {
        // A receiver that has given its one result must not be asked again.
        if !self.cut.is_terminated() {
            let _ = (&mut self.cut).await;
        }
    }
}

impl Drop for SessionSender {
    fn drop(&mut self) {
        let closed = Event::SessionClosed { session: self.id };
        if let Err(mpsc::error::TrySendError::Full(closed)) = self.events.try_send(closed)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let events = self.events.clone();
            runtime.spawn(async move { events.send(closed).await });
        }
    }
}
