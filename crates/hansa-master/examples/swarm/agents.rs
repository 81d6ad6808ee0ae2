//! Simulated agents: they run at once what they are told to run, and say so.

use anyhow::Context;
use hansa_link::{ToAgent, ToAgentBody, ToMaster, ToMasterBody, grpc};
use hansa_master::{Master, clock};
use hansa_model::agent::{Hello, Usage};
use hansa_model::role::Totals;
use hansa_model::task::{TaskState, TaskStatus};
use hansa_model::{AgentId, TaskId, Term};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Endpoint;

/// What each agent is.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// How many small tasks it has room for.
    pub tasks: usize,
    /// What it says of each.
    pub last: Last,
}

/// The last thing that is said of a task.
#[derive(Clone, Copy, Debug)]
pub enum Last {
    /// It runs.
    Running,
    /// It ran, and has ended well.
    Finished,
    /// It runs if it is a service's, and ends well if it is a framework's.
    OfServicesRunning,
}

/// Agents in the master's process, connected by channels.
pub async fn start_in_process(master: &Master, agents: usize, room: Room) -> anyhow::Result<()> {
    for number in 0..agents {
        let mut session = master.connect().await?;
        session.to_master.send(hello(number, room)).await?;
        tokio::spawn(async move {
            let mut heartbeat = Heartbeat::new(room);
            loop {
                let answer = tokio::select! {
                    beat = heartbeat.next() => beat,
                    message = session.to_agent.recv() => match message {
                        Some(message) => obey(message, room.last),
                        None => return,
                    },
                };
                for message in answer {
                    if session.to_master.send(message).await.is_err() {
                        return;
                    }
                }
            }
        });
    }
    Ok(())
}

/// Agents with a stream each, until stdin ends.
pub async fn serve(master: &str, agents: usize, room: Room) -> anyhow::Result<()> {
    let mut streams = JoinSet::new();
    for number in 0..agents {
        streams.spawn(stream(master.to_owned(), hello(number, room), room));
    }
    let (gone, parent_gone) = oneshot::channel();
    // A thread of its own: what waits for stdin cannot be told to stop.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = gone.send(());
    });
    tokio::select! {
        _ = parent_gone => Ok(()),
        ended = streams.join_next() => match ended {
            Some(ended) => ended?.context("an agent's stream ended"),
            None => Ok(()),
        },
    }
}

/// One agent's life, on a connection of its own.
async fn stream(master: String, hello: ToMaster, room: Room) -> anyhow::Result<()> {
    let channel = Endpoint::from_shared(master)?.tcp_nodelay(true).connect_lazy();
    let (outbox, outgoing) = mpsc::unbounded_channel();
    outbox.send(hello)?;
    let mut incoming = grpc::connect(channel, UnboundedReceiverStream::new(outgoing)).await?;
    let mut heartbeat = Heartbeat::new(room);
    loop {
        tokio::select! {
            beat = heartbeat.next() => {
                for message in beat {
                    outbox.send(message)?;
                }
            }
            message = incoming.message() => match message? {
                Some(message) => {
                    for answer in obey(message, room.last) {
                        outbox.send(answer)?;
                    }
                }
                None => anyhow::bail!("the master ended it"),
            },
        }
    }
}

struct Heartbeat {
    interval: tokio::time::Interval,
    number: u64,
    usage: Usage,
}

impl Heartbeat {
    /// What it says of its use never changes: a third of the CPU and half of the memory that its tasks may have.
    fn new(room: Room) -> Self {
        let tasks = room.tasks as u64;
        let used = Totals { cpus_milli: 33 * tasks, mem: tasks << 23, ..Totals::default() };
        let usage = Usage { used, machine: used, tasks: room.tasks.try_into().unwrap_or(u32::MAX) };
        Self { interval: tokio::time::interval(Duration::from_secs(1)), number: 0, usage }
    }

    /// Every second that it is alive, and as often as machines that nobody watches what it uses.
    async fn next(&mut self) -> Vec<ToMaster> {
        self.interval.tick().await;
        self.number += 1;
        let alive = say(ToMasterBody::Heartbeat { number: self.number });
        match self.number % 15 {
            1 => vec![alive, say(ToMasterBody::Usage(self.usage.clone()))],
            _ => vec![alive],
        }
    }
}

fn hello(number: usize, room: Room) -> ToMaster {
    let hello = Hello {
        agent: Some(AgentId::from(format!("agent-{number}"))),
        boot: Some("boot".into()),
        hostname: format!("machine-{number}"),
        address: "127.0.0.1:1".into(),
        resources: format!(
            "cpus:{0};mem:{1};disk:1000;ports:[31000-32000]",
            room.tasks,
            room.tasks * 32 + 32
        )
        .parse()
        .expect("resources"),
        ..Hello::default()
    };
    say(ToMasterBody::Hello(Box::new(hello)))
}

fn say(body: ToMasterBody) -> ToMaster {
    ToMaster { cluster: None, term: Term(0), body }
}

/// What an agent answers: every task of a launch runs, and perhaps ends; what has ended and was heard of is released.
fn obey(message: ToAgent, last: Last) -> Vec<ToMaster> {
    let launch = match message.body {
        ToAgentBody::Launch { launch, .. } => launch,
        ToAgentBody::Release { instance } => return vec![say(ToMasterBody::Released { instance })],
        _ => return Vec::new(),
    };
    let ends = match last {
        Last::Running => false,
        Last::Finished => true,
        Last::OfServicesRunning => launch.framework.is_some(),
    };
    let states: &[TaskState] =
        if ends { &[TaskState::Running, TaskState::Finished] } else { &[TaskState::Running] };
    let status = |task: &TaskId, sequence, state| {
        TaskStatus::new(task.clone(), launch.instance.clone(), sequence, state, clock::now())
    };
    let statuses = launch
        .tasks
        .iter()
        .flat_map(|task| (1..).zip(states).map(move |(sequence, &state)| status(task, sequence, state)));
    statuses.map(|status| say(ToMasterBody::Update(status))).collect()
}
