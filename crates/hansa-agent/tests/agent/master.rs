//! A master of one agent: welcomes, answers heartbeats, and leaves the rest to the test.

use hansa_link::{ToAgent, ToAgentBody, ToMaster, ToMasterBody, grpc};
use hansa_model::agent::Hello;
use hansa_model::spec::Launch;
use hansa_model::task::{TaskState, TaskStatus};
use hansa_model::{AgentId, BootId, ClusterId, InstanceId, TaskId, Term};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;

type Outbox = mpsc::UnboundedSender<Result<ToAgent, tonic::Status>>;

#[derive(Default)]
struct Shared {
    outbox: Option<Outbox>,
    /// Answers nothing any more, as if the network were cut.
    deaf: bool,
}

pub struct Master {
    pub address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    heard: mpsc::UnboundedReceiver<ToMasterBody>,
    pub agent: Option<AgentId>,
    pub boot: Option<BootId>,
}

fn envelope(body: ToAgentBody) -> ToAgent {
    ToAgent { cluster: ClusterId::from("test"), term: Term(1), body }
}

impl Master {
    pub async fn start() -> Self {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let (news, heard) = mpsc::unbounded_channel();
        let state = shared.clone();
        let handler = axum::routing::post(move |request: axum::extract::Request| {
            let (shared, news) = (state.clone(), news.clone());
            async move {
                grpc::serve(request, |incoming| {
                    let (outbox, outgoing) = mpsc::unbounded_channel();
                    shared.lock().unwrap().outbox = Some(outbox.clone());
                    tokio::spawn(listen(incoming, outbox, shared, news));
                    Ok(UnboundedReceiverStream::new(outgoing))
                })
                .await
            }
        });
        let app = axum::Router::new().route(grpc::SESSION_PATH, handler);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, shared, heard, agent: None, boot: None }
    }

    /// From now on nothing is answered.
    pub fn go_deaf(&self) {
        self.shared.lock().unwrap().deaf = true;
    }

    pub fn say(&self, body: ToAgentBody) {
        let shared = self.shared.lock().unwrap();
        shared.outbox.as_ref().expect("an agent").send(Ok(envelope(body))).unwrap();
    }

    pub fn launch(&self, launch: Launch) {
        let (agent, boot) = (self.agent.clone().unwrap(), self.boot.clone().unwrap());
        self.say(ToAgentBody::Launch { agent, boot, launch: Box::new(launch) });
    }

    pub fn kill(&self, name: &str, grace_ms: u64) {
        self.say(ToAgentBody::Kill {
            instance: InstanceId::from(name),
            tasks: vec![TaskId::from(format!("{name}.1"))],
            grace_ms: Some(grace_ms),
            message: "told to".into(),
        });
    }

    /// The next thing heard that is no heartbeat.
    pub async fn next(&mut self) -> ToMasterBody {
        loop {
            match self.heard.recv().await.expect("the listener runs") {
                ToMasterBody::Heartbeat { .. } => {}
                other => return other,
            }
        }
    }

    pub async fn hello(&mut self) -> Hello {
        loop {
            if let ToMasterBody::Hello(hello) = self.next().await {
                self.agent = hello.agent.clone();
                self.boot = hello.boot.clone();
                return *hello;
            }
        }
    }

    /// The next update for which this holds; all on the way are acknowledged.
    pub async fn update(&mut self, mut wanted: impl FnMut(&TaskStatus) -> bool) -> TaskStatus {
        loop {
            if let ToMasterBody::Update(status) = self.next().await {
                let (task, sequence) = (status.task.clone(), status.sequence);
                self.say(ToAgentBody::Acknowledge { task, sequence });
                if wanted(&status) {
                    return status;
                }
            }
        }
    }

    /// The next update with this state.
    pub async fn state(&mut self, state: TaskState) -> TaskStatus {
        self.update(|status| {
            assert!(
                !status.state.is_terminal() || status.state == state,
                "ended instead of {state}: {status:?}"
            );
            status.state == state
        })
        .await
    }
}

async fn listen(
    mut incoming: tonic::Streaming<ToMaster>,
    outbox: Outbox,
    shared: Arc<Mutex<Shared>>,
    news: mpsc::UnboundedSender<ToMasterBody>,
) {
    while let Some(Ok(message)) = incoming.next().await {
        let answer = match &message.body {
            ToMasterBody::Hello(_) => Some(ToAgentBody::Welcome { heartbeat_ms: 100 }),
            ToMasterBody::Heartbeat { number } => Some(ToAgentBody::HeartbeatSeen { number: *number }),
            _ => None,
        };
        let deaf = shared.lock().unwrap().deaf;
        if let Some(answer) = answer.filter(|_| !deaf) {
            let _ = outbox.send(Ok(envelope(answer)));
        }
        if news.send(message.body).is_err() {
            return;
        }
    }
}
