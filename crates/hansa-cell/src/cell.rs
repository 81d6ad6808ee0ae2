//! The machine itself: one input in, everything that follows from it out.

use crate::codec::{self, DecodeError, Decoded};
use crate::outsider::Outsider;
use crate::pipeline::{self, Pipeline};
use crate::sessions::{Sessions, Verdict};
use crate::trial;
use hansa_kernel::{self as kernel, Effect, Kernel, ToStream};
use hansa_link::{ToAgent, ToAgentBody, ToMaster, ToMasterBody};
use hansa_model::agent::Usage;
use hansa_model::event::Published;
use hansa_model::explain::{Explanation, QueueItem};
use hansa_model::framework::{FrameworkCall, FrameworkExplanation, Operation, StreamId};
use hansa_model::id::uuid_text;
use hansa_model::maintenance::Maintenance;
use hansa_model::record::{Mutation, Table};
use hansa_model::role::Role;
use hansa_model::scheduler::{self, Call, Notice};
use hansa_model::service::{ServiceAnswer, ServiceCommand, ServiceRefusal};
use hansa_model::trial::{DrainTrial, MoreInstances};
use hansa_model::{AgentId, AppId, ClusterId, FrameworkId, Owner, Principal, RoleName, Term, Timestamp};
use hansa_schedulers::services::{self, Services};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// One agent stream, numbered by the shell; never used twice.
pub type SessionId = u64;

/// One client request, numbered by the shell; never used twice.
pub type RequestId = u64;

/// Key of the cluster's id in [`Table::Cluster`].
const CLUSTER_ID_KEY: &[u8] = b"id";

/// What can be fixed about a cell.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The id that a new cluster gets; ignored if the store has one.
    pub new_cluster_id: ClusterId,
    /// Milliseconds between an agent's heartbeats.
    pub heartbeat_ms: u64,
    /// The kernel's.
    pub kernel: kernel::Settings,
    /// The services scheduler's.
    pub services: services::Settings,
    /// Calls of the built-in schedulers in one step; what is left goes on in the next, so that nobody waits long.
    pub calls_per_step: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            new_cluster_id: ClusterId::from("cluster"),
            heartbeat_ms: 1_000,
            kernel: kernel::Settings::default(),
            services: services::Settings::default(),
            calls_per_step: 500,
        }
    }
}

/// Everything that changes a cell.
#[derive(Debug)]
pub enum Input {
    /// Time passed.
    Tick,
    /// An agent opened a stream.
    SessionOpened {
        /// Which.
        session: SessionId,
    },
    /// It said something.
    FromAgent {
        /// On which stream.
        session: SessionId,
        /// What.
        message: ToMaster,
    },
    /// The stream ended.
    SessionClosed {
        /// Which.
        session: SessionId,
    },
    /// A client asks for something.
    Request {
        /// The reply bears the same number.
        id: RequestId,
        /// Who asks.
        principal: Principal,
        /// What for.
        request: Request,
    },
    /// Every commit up to this index is durable.
    Committed {
        /// The index.
        index: u64,
    },
    /// A framework's stream ended; which framework's it was, the cell knows.
    FrameworkGone {
        /// The stream.
        stream: StreamId,
    },
    /// Whether somebody watches the machines' usage.
    Watching(bool),
}

/// What a client can ask for.
#[derive(Clone, Debug)]
pub enum Request {
    /// A command to the services scheduler.
    Service(ServiceCommand),
    /// The call of a scheduler that is not built in. It hears of its tasks from what is published.
    Call {
        /// Whose.
        by: Outsider,
        /// What.
        call: Call,
    },
    /// A framework's call.
    Framework {
        /// Which; None: it subscribes for the first time.
        framework: Option<FrameworkId>,
        /// What.
        call: Box<FrameworkCall>,
    },
    /// What an operator reserves, unreserves, makes or removes on a machine.
    AgentParts {
        /// Where.
        agent: AgentId,
        /// What.
        operation: Operation,
    },
    /// Several roles' settings, all or none.
    SetRoles {
        /// The settings.
        roles: Vec<Role>,
        /// Whether to look away if guarantees exceed the cluster or use exceeds the limits.
        force: bool,
    },
    /// A role's settings.
    SetRole(Role),
    /// What operators say of machines in general, in the place of all that they said before.
    SetMaintenance(Arc<Maintenance>),
    /// An order about an agent.
    AdminAgent {
        /// Which.
        agent: AgentId,
        /// What.
        order: kernel::AgentOrder,
    },
    /// Every app that waits, and why.
    Queue,
    /// Where one more instance of the app would go, or why nowhere.
    Explain(AppId),
    /// Where so many more instances of the app would go.
    TryMore {
        /// The app.
        app: AppId,
        /// How many; the answer takes as long as there are.
        instances: u32,
    },
    /// What would become of the tasks of a machine if it were drained.
    TryDrain {
        /// The machine.
        agent: AgentId,
        /// So many groups of tasks are looked at, at most.
        most: usize,
    },
    /// Why a framework is offered what it is offered, or nothing.
    ExplainFramework(FrameworkId),
    /// How many refusals of frameworks hold, by role.
    CountFilters,
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// By the services scheduler.
    Service(ServiceAnswer),
    /// By the kernel, to a scheduler.
    Call(scheduler::Answer),
    /// It is done.
    Done,
    /// The queue.
    Queue(Vec<QueueItem>),
    /// The explanation.
    Explanation(Box<Explanation>),
    /// Where more instances would go.
    More(Box<MoreInstances>),
    /// What a drain would lead to.
    Drain(Box<DrainTrial>),
    /// How a framework stands with the allocator.
    Framework(Box<FrameworkExplanation>),
    /// So many refusals in each role that has a framework.
    Filters(BTreeMap<RoleName, u64>),
}

/// Why a request was refused; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// By the services scheduler.
    Service(ServiceRefusal),
    /// By the kernel.
    Kernel(kernel::Refusal),
}

/// What a step leads to.
#[derive(Debug)]
pub enum Output {
    /// To be written durably, in the order of indices, then reported by [`Input::Committed`]; several may be written as
    /// one.
    Commit {
        /// The number of the commit.
        index: u64,
        /// In order.
        mutations: Vec<Mutation>,
    },
    /// To the read model, in order.
    Publish(Published),
    /// To a client, once the read model holds `index`.
    Reply {
        /// Which request.
        id: RequestId,
        /// The newest commit that the answer rests on.
        index: u64,
        /// The answer.
        answer: Result<Answer, Failure>,
    },
    /// To an agent.
    Send {
        /// On which stream.
        session: SessionId,
        /// What.
        message: Box<ToAgent>,
    },
    /// A stream is to be ended, after what was sent on it.
    CloseSession {
        /// Which.
        session: SessionId,
    },
    /// To a framework, on one of its streams.
    ToFramework {
        /// Which.
        stream: StreamId,
        /// What.
        message: ToStream,
    },
    /// A machine's usage, not durable, straight to the read model.
    Usage {
        /// Whose.
        agent: AgentId,
        /// How much.
        usage: Usage,
    },
}

/// Why a cell cannot open a store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A record cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// A whole control plane.
#[derive(Debug)]
pub struct Cell {
    cluster: ClusterId,
    term: Term,
    settings: Settings,
    /// The newest time seen; wall clocks step back, this does not.
    now: Timestamp,
    /// Milliseconds that the wall clock was behind what is durable when this leadership began. Time goes on from there: if
    /// it stood still until the clock has caught up, so would everything that waits.
    ahead_ms: u64,
    kernel: Kernel,
    services: Services,
    sessions: Sessions,
    pipeline: Pipeline,
    notices: VecDeque<(Owner, Notice)>,
    /// Whether the schedulers have more to do than fitted into the last step.
    unfinished: bool,
    watching: bool,
}

/// One table's stored rows.
pub type TableRows = (Table, Vec<(Vec<u8>, Vec<u8>)>);

impl Cell {
    /// Takes over what is stored. The outputs publish the restored state.
    pub fn open(
        now: Timestamp,
        mut settings: Settings,
        term: Term,
        tables: Vec<TableRows>,
    ) -> Result<(Self, Vec<Output>), OpenError> {
        let mut cluster = None;
        let (mut index, mut durable_time) = (0, Timestamp(0));
        let (mut kernel_records, mut service_records) = (Vec::new(), Vec::new());
        for (table, rows) in tables {
            for (key, value) in rows {
                match codec::decode(table, &key, &value)? {
                    Decoded::Kernel(record) => kernel_records.push(record),
                    Decoded::Services(record) => service_records.push(record),
                    Decoded::Cell if key == CLUSTER_ID_KEY => {
                        let text = String::from_utf8_lossy(&value[1..]).into_owned();
                        cluster = Some(ClusterId::from(text));
                    }
                    Decoded::Cell => {
                        if let Some(clock) = pipeline::read_clock(&value) {
                            (index, durable_time) = clock;
                        }
                    }
                }
            }
        }
        let is_new = cluster.is_none();
        let cluster = cluster.unwrap_or_else(|| settings.new_cluster_id.clone());
        let ahead_ms = durable_time.since(now);
        let now = now + ahead_ms;
        settings.services.id_seed = seed(cluster.as_str(), term);
        settings.kernel.leadership = uuid_text(seed(cluster.as_str(), term), term.0);
        let mut cell = Self {
            kernel: Kernel::new(settings.kernel.clone()),
            services: Services::new(settings.services.clone()),
            cluster,
            term,
            now,
            ahead_ms,
            settings,
            sessions: Sessions::default(),
            pipeline: Pipeline::starting_at(index),
            notices: VecDeque::new(),
            unfinished: false,
            watching: false,
        };
        let mut out = Vec::new();
        if is_new {
            let mut value = vec![codec::FORMAT];
            value.extend_from_slice(cell.cluster.as_str().as_bytes());
            let id = Mutation { table: Table::Cluster, key: CLUSTER_ID_KEY.to_vec(), value: Some(value) };
            cell.pipeline.add(now, [id], Vec::new(), &mut out);
        }
        let restored = cell.services.restore(now, service_records);
        cell.take_services(restored, &mut out);
        let restored = cell.kernel.restore(now, kernel_records);
        cell.take_kernel(restored, &mut out);
        // What is restored is durable: it is published at once, before anything new that has to be written first.
        cell.pipeline.seal(now, &mut out);
        cell.drive(&mut out);
        cell.pipeline.seal(now, &mut out);
        Ok((cell, out))
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> &ClusterId {
        &self.cluster
    }

    /// The leadership's number.
    pub fn term(&self) -> Term {
        self.term
    }

    /// The kernel, for invariant checks.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The services scheduler, for invariant checks.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// When [`Input::Tick`] should be applied although nothing else happened, by the clock that `now` is read from.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let by_the_clock = |at: Timestamp| Timestamp(at.0.saturating_sub(self.ahead_ms));
        if self.unfinished {
            return Some(by_the_clock(self.now));
        }
        let deadlines = [self.kernel.next_deadline(), self.services.next_deadline()];
        deadlines.into_iter().flatten().min().map(by_the_clock)
    }

    /// The time here: never below what is durable.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The only way state changes.
    pub fn apply(&mut self, now: Timestamp, input: Input) -> Vec<Output> {
        self.now = self.now.max(now + self.ahead_ms);
        let mut out = Vec::new();
        match input {
            Input::Tick => {}
            Input::SessionOpened { session } => self.sessions.opened(session),
            Input::FromAgent { session, message } => self.message(session, message, &mut out),
            Input::SessionClosed { session } => {
                if let Some(agent) = self.sessions.closed(session) {
                    self.kernel_command(kernel::Command::AgentDisconnected { agent }, &mut out);
                }
            }
            Input::FrameworkGone { stream } => {
                let call = FrameworkCall::Disconnected { stream };
                let principal = Principal::from("hansa");
                self.kernel_command(
                    kernel::Command::Framework { framework: None, principal, call },
                    &mut out,
                );
            }
            Input::Request { id, principal, request } => self.request(id, principal, request, &mut out),
            Input::Committed { index } => self.pipeline.committed(index, &mut out),
            Input::Watching(on) => {
                self.watching = on;
                let sessions: Vec<_> = self.sessions.all().collect();
                for session in sessions {
                    out.push(self.to_agent(session, ToAgentBody::Watch { on }));
                }
            }
        }
        if self.kernel.next_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.kernel_command(kernel::Command::Tick, &mut out);
        }
        self.drive(&mut out);
        self.pipeline.seal(self.now, &mut out);
        out
    }

    fn to_agent(&self, session: SessionId, body: ToAgentBody) -> Output {
        let message = ToAgent { cluster: self.cluster.clone(), term: self.term, body };
        Output::Send { session, message: Box::new(message) }
    }

    fn message(&mut self, session: SessionId, message: ToMaster, out: &mut Vec<Output>) {
        match self.sessions.judge(session, message, &self.cluster, self.term) {
            Verdict::Ignore => {}
            Verdict::Refuse(reason) => {
                out.push(self.to_agent(session, ToAgentBody::Refused { reason }));
                out.push(Output::CloseSession { session });
            }
            Verdict::Hello { replaced, hello, .. } => {
                out.extend(replaced.map(|session| Output::CloseSession { session }));
                let outcome = self.kernel.apply(self.now, kernel::Command::AgentConnected { hello });
                let refused = outcome.effects.iter().any(|effect| matches!(effect, Effect::Refuse { .. }));
                if !refused {
                    let heartbeat_ms = self.settings.heartbeat_ms;
                    self.pipeline.hold(self.to_agent(session, ToAgentBody::Welcome { heartbeat_ms }));
                    if self.watching {
                        self.pipeline.hold(self.to_agent(session, ToAgentBody::Watch { on: true }));
                    }
                }
                self.take_kernel(outcome, out);
            }
            Verdict::Message(agent, body) => self.agent_says(session, agent, body, out),
        }
    }

    fn agent_says(&mut self, session: SessionId, agent: AgentId, body: ToMasterBody, out: &mut Vec<Output>) {
        let command = match body {
            ToMasterBody::Hello(_) => return,
            ToMasterBody::Update(status) => kernel::Command::Update { agent, status },
            ToMasterBody::Released { instance } => kernel::Command::AgentReleased { agent, instance },
            ToMasterBody::ExecutorEnded { container, wait_status, .. } => {
                kernel::Command::ExecutorEnded { agent, container, wait_status }
            }
            ToMasterBody::FromExecutor { framework, executor, data } => {
                kernel::Command::FromExecutor { agent, framework, executor, data }
            }
            ToMasterBody::Heartbeat { number } => {
                out.push(self.to_agent(session, ToAgentBody::HeartbeatSeen { number }));
                kernel::Command::AgentContact { agent }
            }
            ToMasterBody::Usage(usage) => {
                out.push(Output::Usage { agent: agent.clone(), usage });
                kernel::Command::AgentContact { agent }
            }
            ToMasterBody::Leaving { returns_in_ms } => kernel::Command::AgentLeaving { agent, returns_in_ms },
        };
        self.kernel_command(command, out);
    }

    fn request(&mut self, id: RequestId, principal: Principal, request: Request, out: &mut Vec<Output>) {
        let answer = match request {
            Request::Service(command) => {
                let (answer, output) = self.services.command(self.now, command);
                self.take_services(output, out);
                answer.map(Answer::Service).map_err(Failure::Service)
            }
            // The kernel does not know who has registered a spec: it could be another's.
            Request::Call { by, call: Call::DropSpec { .. } } => {
                let why = format!("{} is not built in: it drops no specs", by.owner());
                Err(Failure::Kernel(kernel::Refusal::Invalid(why)))
            }
            Request::Call { by, call } => {
                let owner = by.owner().clone();
                self.order(kernel::Command::Call { owner, principal, call }, out)
            }
            Request::Framework { framework, call } => {
                self.order(kernel::Command::Framework { framework, principal, call: *call }, out)
            }
            Request::AgentParts { agent, operation } => {
                self.order(kernel::Command::AgentParts { principal, agent, operation }, out)
            }
            Request::SetRoles { roles, force } => {
                self.order(kernel::Command::SetRoles { principal, roles, force }, out)
            }
            Request::SetRole(role) => self.order(kernel::Command::SetRole { principal, role }, out),
            Request::SetMaintenance(maintenance) => {
                self.order(kernel::Command::SetMaintenance { principal, maintenance }, out)
            }
            Request::AdminAgent { agent, order } => {
                self.order(kernel::Command::AdminAgent { principal, agent, order }, out)
            }
            Request::Queue => Ok(Answer::Queue(self.services.queue(self.now, self.kernel.cluster()))),
            Request::Explain(app) => match self.services.explain(&app, self.kernel.cluster()) {
                Some(explanation) => Ok(Answer::Explanation(Box::new(explanation))),
                None => Err(Failure::Service(ServiceRefusal::UnknownApp(app))),
            },
            Request::TryMore { app, instances } => trial::more(&self.kernel, &self.services, app, instances),
            Request::TryDrain { agent, most } => trial::drain(&self.kernel, &self.services, agent, most),
            Request::CountFilters => Ok(Answer::Filters(self.kernel.filters_in_force())),
            Request::ExplainFramework(id) => match self.kernel.explain_framework(&id) {
                Some(explanation) => Ok(Answer::Framework(Box::new(explanation))),
                None => Err(Failure::Kernel(kernel::Refusal::UnknownFramework)),
            },
        };
        let index = self.pipeline.next_index();
        self.pipeline.hold(Output::Reply { id, index, answer });
    }

    fn order(&mut self, command: kernel::Command, out: &mut Vec<Output>) -> Result<Answer, Failure> {
        let mut outcome = self.kernel.apply(self.now, command);
        let answer = outcome.answer.take();
        self.take_kernel(outcome, out);
        match answer {
            Some(Err(refusal)) => Err(Failure::Kernel(refusal)),
            Some(Ok(scheduler::Answer::Done)) | None => Ok(Answer::Done),
            Some(Ok(answer)) => Ok(Answer::Call(answer)),
        }
    }

    fn kernel_command(&mut self, command: kernel::Command, out: &mut Vec<Output>) {
        let outcome = self.kernel.apply(self.now, command);
        self.take_kernel(outcome, out);
    }

    /// Lets the schedulers hear what happened and do what they want, until they want nothing more or the step is full.
    fn drive(&mut self, out: &mut Vec<Output>) {
        let services = Owner::services();
        self.unfinished = false;
        for _ in 0..self.settings.calls_per_step {
            self.deliver(&services, out);
            let (call, output) = self.services.next_call(self.now, self.kernel.cluster());
            self.take_services(output, out);
            let Some(call) = call else { return };
            self.call(&services, call, out);
        }
        self.deliver(&services, out);
        self.unfinished = true;
    }

    /// Notices to the scheduler; those of owners that do not run here are nobody's.
    fn deliver(&mut self, services: &Owner, out: &mut Vec<Output>) {
        while let Some((owner, notice)) = self.notices.pop_front() {
            if owner == *services {
                let output = self.services.notice(self.now, notice, self.kernel.cluster());
                self.take_services(output, out);
            }
        }
    }

    fn call(&mut self, owner: &Owner, call: Call, out: &mut Vec<Output>) {
        let command = kernel::Command::Call {
            owner: owner.clone(),
            principal: Principal::from("hansa"),
            call: call.clone(),
        };
        let mut outcome = self.kernel.apply(self.now, command);
        let answer = outcome.answer.take();
        self.take_kernel(outcome, out);
        if let Some(Ok(answer)) = answer {
            let output = self.services.answered(self.now, call, answer, self.kernel.cluster());
            self.take_services(output, out);
        }
    }

    fn take_services(&mut self, output: services::Output, out: &mut Vec<Output>) {
        let mutations = output.records.into_iter().map(codec::encode_services);
        self.pipeline.add_in_order(self.now, mutations, output.events, out);
    }

    fn take_kernel(&mut self, outcome: kernel::Outcome, out: &mut Vec<Output>) {
        let mutations = outcome.records.into_iter().map(codec::encode_kernel);
        self.pipeline.add(self.now, mutations, outcome.events, out);
        self.notices.extend(outcome.notices);
        for effect in outcome.effects {
            self.hold_effect(effect);
        }
        for (stream, message) in outcome.streams {
            self.pipeline.hold(Output::ToFramework { stream, message });
        }
    }

    /// Messages to an agent without a stream are dropped: its next hello brings both sides together.
    fn hold_effect(&mut self, effect: Effect) {
        let (agent, body, close) = match effect {
            Effect::Launch { agent, boot, launch } => {
                (agent.clone(), ToAgentBody::Launch { agent, boot, launch }, false)
            }
            Effect::Kill { agent, instance, tasks, grace_ms, message } => {
                (agent, ToAgentBody::Kill { instance, tasks, grace_ms, message }, false)
            }
            Effect::Acknowledge { agent, task, sequence } => {
                (agent, ToAgentBody::Acknowledge { task, sequence }, false)
            }
            Effect::Release { agent, instance } => (agent, ToAgentBody::Release { instance }, false),
            Effect::ShutdownExecutor { agent, container } => {
                (agent, ToAgentBody::ShutdownExecutor { container }, false)
            }
            Effect::ToExecutor { agent, container, data } => {
                (agent, ToAgentBody::ToExecutor { container, data }, false)
            }
            Effect::RemoveVolume { agent, role, id } => {
                (agent, ToAgentBody::RemoveVolume { role, id }, false)
            }
            Effect::Refuse { agent, reason } => (agent, ToAgentBody::Refused { reason }, true),
        };
        if let Some(session) = self.sessions.of(&agent) {
            self.pipeline.hold(self.to_agent(session, body));
            if close {
                self.pipeline.hold(Output::CloseSession { session });
            }
        }
    }
}

/// A number that no other leadership of any cluster has, as far as 64 bits go: ids are made unique with it (FNV-1a).
fn seed(cluster: &str, term: Term) -> u64 {
    cluster
        .bytes()
        .chain(term.0.to_be_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
