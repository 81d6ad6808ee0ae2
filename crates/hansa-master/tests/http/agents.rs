//! Agents' streams over gRPC on the one port.

use crate::support::{Cluster, LONG, ask};
use hansa_link::{ToAgent, ToAgentBody, ToMaster, ToMasterBody, grpc};
use hansa_model::agent::{Hello, Usage};
use hansa_model::task::{TaskState, TaskStatus};
use hansa_model::{AgentId, ClusterId, InstanceId, TaskId, Term};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

/// An agent that says what a test tells it to.
pub struct Agent {
    cluster: Option<ClusterId>,
    to_master: mpsc::Sender<ToMaster>,
    from_master: tonic::Streaming<ToAgent>,
}

impl Agent {
    /// Opens a stream and says nothing yet.
    pub async fn connect(cluster: &Cluster) -> Self {
        let url = format!("http://{}", cluster.address());
        let channel = tonic::transport::Endpoint::from_shared(url).unwrap().connect_lazy();
        let (to_master, outgoing) = mpsc::channel(64);
        let from_master = grpc::connect(channel, ReceiverStream::new(outgoing)).await.unwrap();
        Self { cluster: None, to_master, from_master }
    }

    /// Opens a stream and says hello.
    pub async fn join(cluster: &Cluster, hello: Hello) -> Self {
        let mut agent = Self::connect(cluster).await;
        agent.say(ToMasterBody::Hello(Box::new(hello))).await;
        agent
    }

    pub async fn say(&mut self, body: ToMasterBody) {
        let message = ToMaster { cluster: self.cluster.clone(), term: Term(0), body };
        self.to_master.send(message).await.unwrap();
    }

    /// The next message; None when the master ended the stream.
    pub async fn hear(&mut self) -> Option<ToAgentBody> {
        let message = timeout(LONG, self.from_master.message()).await.expect("the master says something");
        let message = message.ok()??;
        self.cluster = Some(message.cluster);
        Some(message.body)
    }

    /// Does what it is told from now on, at once: launched tasks run, killed tasks end. Ends with the stream.
    pub fn work(mut self) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move {
            while let Ok(Some(message)) = self.from_master.message().await {
                self.cluster = Some(message.cluster);
                match message.body {
                    ToAgentBody::Launch { launch, .. } => {
                        for task in &launch.tasks {
                            self.report(task.clone(), launch.instance.clone(), 1, TaskState::Running).await;
                        }
                    }
                    ToAgentBody::Kill { instance, tasks, .. } => {
                        for task in tasks {
                            self.report(task, instance.clone(), 2, TaskState::Killed).await;
                        }
                    }
                    ToAgentBody::Release { instance } => self.say(ToMasterBody::Released { instance }).await,
                    _ => {}
                }
            }
        })
    }

    async fn report(&mut self, task: TaskId, instance: InstanceId, sequence: u64, state: TaskState) {
        let status = TaskStatus::new(task, instance, sequence, state, hansa_master::clock::now());
        self.say(ToMasterBody::Update(status)).await;
    }
}

/// A machine with little to say about itself.
pub fn hello(agent: &str) -> Hello {
    Hello {
        agent: Some(AgentId::from(agent)),
        boot: Some("boot".into()),
        hostname: format!("{agent}.test"),
        address: "127.0.0.1:1".into(),
        resources: "cpus:4;mem:4096;disk:10000;ports:[31000-31100]".parse().unwrap(),
        ..Hello::default()
    }
}

#[tokio::test]
async fn hello_is_welcomed_and_heartbeats_are_seen() {
    let cluster = Cluster::start().await;
    let mut agent = Agent::join(&cluster, hello("a")).await;
    assert_eq!(agent.hear().await, Some(ToAgentBody::Welcome { heartbeat_ms: 1_000 }));
    assert_eq!(agent.cluster.as_ref(), Some(&cluster.master().identity().cluster));
    for number in 1..=3 {
        agent.say(ToMasterBody::Heartbeat { number }).await;
        assert_eq!(agent.hear().await, Some(ToAgentBody::HeartbeatSeen { number }));
    }
    cluster.stop().await;
    assert_eq!(agent.hear().await, None);
}

#[tokio::test]
async fn a_stream_without_hello_is_refused_and_ended() {
    let cluster = Cluster::start().await;
    let mut agent = Agent::connect(&cluster).await;
    agent.say(ToMasterBody::Heartbeat { number: 1 }).await;
    assert!(matches!(agent.hear().await, Some(ToAgentBody::Refused { .. })));
    assert_eq!(agent.hear().await, None);
    cluster.stop().await;
}

#[tokio::test]
async fn the_newest_stream_of_an_agent_replaces_the_others() {
    let cluster = Cluster::start().await;
    let mut first = Agent::join(&cluster, hello("a")).await;
    assert!(matches!(first.hear().await, Some(ToAgentBody::Welcome { .. })));
    let mut second = Agent::join(&cluster, hello("a")).await;
    assert!(matches!(second.hear().await, Some(ToAgentBody::Welcome { .. })));
    assert_eq!(first.hear().await, None);
    second.say(ToMasterBody::Heartbeat { number: 7 }).await;
    assert_eq!(second.hear().await, Some(ToAgentBody::HeartbeatSeen { number: 7 }));
    cluster.stop().await;
}

#[tokio::test]
async fn machines_report_every_second_while_somebody_watches() {
    let cluster = Cluster::start().await;
    let mut agent = Agent::join(&cluster, hello("a")).await;
    assert!(matches!(agent.hear().await, Some(ToAgentBody::Welcome { .. })));
    let (first, second) = (cluster.events(None).await, cluster.events(None).await);
    assert_eq!(agent.hear().await, Some(ToAgentBody::Watch { on: true }));
    agent.say(ToMasterBody::Usage(Usage::default())).await;
    drop(first);
    drop(second);
    assert_eq!(agent.hear().await, Some(ToAgentBody::Watch { on: false }));
    cluster.stop().await;
}

#[tokio::test]
async fn garbage_on_the_stream_harms_nobody() {
    let cluster = Cluster::start().await;
    let mut agent = Agent::join(&cluster, hello("a")).await;
    assert!(matches!(agent.hear().await, Some(ToAgentBody::Welcome { .. })));
    let path = grpc::SESSION_PATH;
    for (method, headers) in
        [("POST", vec![("content-type", "application/grpc")]), ("POST", vec![]), ("GET", vec![])]
    {
        let answer = ask(cluster.address(), method, path, &headers, "\u{0}\u{0}garbage").await;
        assert!(answer.status != 0, "an answer came");
    }
    agent.say(ToMasterBody::Heartbeat { number: 1 }).await;
    assert_eq!(agent.hear().await, Some(ToAgentBody::HeartbeatSeen { number: 1 }));
    cluster.stop().await;
}

#[tokio::test]
async fn an_agent_that_does_not_read_loses_its_stream() {
    let cluster = Cluster::start().await;
    let mut session = cluster.master().connect().await.unwrap();
    let say = |body| ToMaster { cluster: None, term: Term(0), body };
    session.to_master.send(say(ToMasterBody::Hello(Box::new(hello("a"))))).await.unwrap();
    // Each is answered, and nobody reads the answers.
    let mut said = 0;
    while session.to_master.send(say(ToMasterBody::Heartbeat { number: said })).await.is_ok() {
        said += 1;
        assert!(said < 100_000, "the outbox has a bound");
    }
    let mut heard = 0;
    while session.to_agent.recv().await.is_some() {
        heard += 1;
    }
    assert!(heard > 1_000 && heard <= said, "{heard} of {said}");
    cluster.stop().await;
}
