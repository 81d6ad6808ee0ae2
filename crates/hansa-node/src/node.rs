//! The machine itself: takes one input, changes state, gives outputs. What the inputs mean stands in `groups` (a group's
//! life), `probing` (checks) and `restore` (the start); here are the session with the master, time, and the book-keeping that
//! all share.

use crate::config::Config;
use crate::executors::LiveExecutor;
use crate::groups::Task;
use crate::io::{Input, Output};
use crate::saved::{Record, Released, Saved, SavedExecutor, SavedGroup};
use crate::timers::{Timer, Timers};
use hansa_link::session::{AgentEnd, Do};
use hansa_link::{ToAgent, ToAgentBody, ToMasterBody};
use hansa_model::agent::{Generation, GroupReport, Hello, Usage};
use hansa_model::framework::ExecutorReport;
use hansa_model::task::TaskStatus;
use hansa_model::{InstanceId, TaskId, Timestamp};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// Released groups of frameworks that are remembered whole.
const MOST_PAST: usize = 500;

/// Milliseconds between usage reports while somebody watches.
const WATCHED_USAGE_MS: u64 = 1_000;

/// One agent.
pub struct Node {
    pub(crate) config: Config,
    pub(crate) session: AgentEnd,
    pub(crate) saved: Saved,
    /// What is not stored of each container that the agent runs for a task. Looked up only.
    pub(crate) live: FxHashMap<InstanceId, Task>,
    /// What is not stored of each executor, by its run. Looked up only.
    pub(crate) executors: FxHashMap<InstanceId, LiveExecutor>,
    /// The group of each task held. Looked up only.
    pub(crate) tasks: FxHashMap<TaskId, InstanceId>,
    /// Groups of frameworks that this process has released, the oldest first.
    past: VecDeque<SavedGroup>,
    pub(crate) timers: Timers,
    pub(crate) out: Vec<Output>,
    /// The latest time seen: time never goes back in here.
    now: Timestamp,
    watched: bool,
    /// When usage is sampled next; older timers are stale.
    usage_at: Timestamp,
    /// Whether a master has ever heard what is used here.
    reported_usage: bool,
}

impl Node {
    /// An agent before [`Node::restore`] has looked at what it holds.
    pub(crate) fn empty(config: Config, saved: Saved, now: Timestamp) -> Self {
        let session = AgentEnd::new(
            config.timing.clone(),
            config.agent.as_str(),
            saved.cluster().cloned(),
            saved.term(),
        );
        let mut node = Self {
            config,
            session,
            saved,
            live: FxHashMap::default(),
            executors: FxHashMap::default(),
            tasks: FxHashMap::default(),
            past: VecDeque::new(),
            timers: Timers::default(),
            out: Vec::new(),
            now,
            watched: false,
            usage_at: now,
            reported_usage: false,
        };
        node.plan_usage(now, 0);
        node
    }

    /// Takes one input at `now` and says what is to be done, in order.
    pub fn apply(&mut self, now: Timestamp, input: Input) -> Vec<Output> {
        self.now = self.now.max(now);
        let now = self.now;
        match input {
            Input::Tick => {}
            Input::Connected { stream } => {
                let todo = self.session.opened(now, stream);
                self.perform(todo);
            }
            Input::Disconnected { stream, reason } => {
                let todo = self.session.closed(now, stream, &reason);
                self.perform(todo);
                self.unwatched_if_alone();
            }
            Input::Message { stream, message } => self.heard(now, stream, message),
            Input::Preparing { instance, message } => self.preparing(now, &instance, message),
            Input::Started { instance, addresses } => self.started(now, &instance, addresses),
            Input::LaunchFailed { instance, message } => self.launch_failed(now, &instance, message),
            Input::Exited { instance, exit, limitation, message } => {
                self.ended(now, &instance, exit, limitation, message);
            }
            Input::ShimGone { instance, message } => self.shim_gone(now, &instance, message),
            Input::Furnished { instance, refused, kept } => self.furnished(now, &instance, &refused, &kept),
            Input::Probed { instance, check, number, outcome } => {
                self.probed(now, &instance, check, number, outcome);
            }
            Input::ExecutorSubscribed { container, stream, tasks, updates } => {
                self.executor_subscribed(now, &container, stream, &tasks, updates);
            }
            Input::ExecutorUpdate { container, update } => self.executor_update(now, &container, *update),
            Input::ExecutorMessage { container, data } => self.executor_message(&container, data),
            Input::ExecutorLeft { container, stream } => self.executor_left(&container, stream),
            Input::Sampled(usage) => self.sampled(usage),
            Input::Leave { returns_in_ms } => {
                self.send(ToMasterBody::Leaving { returns_in_ms: returns_in_ms.min(60_000) });
                let todo = self.session.leave();
                self.perform(todo);
            }
        }
        self.run_due(now);
        std::mem::take(&mut self.out)
    }

    /// When [`Input::Tick`] is next due.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        [self.session.next_deadline(), self.timers.next()].into_iter().flatten().min()
    }

    /// What is stored.
    pub fn saved(&self) -> &Saved {
        &self.saved
    }

    /// Groups of frameworks that were released, the oldest first: for those who ask what was. Not stored, and bounded.
    pub fn past(&self) -> &VecDeque<SavedGroup> {
        &self.past
    }

    /// Who the agent is.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The group that holds this task.
    pub fn group_of(&self, task: &TaskId) -> Option<&SavedGroup> {
        self.saved.groups().get(self.tasks.get(task)?)
    }

    /// Whether a group of this agent has this task.
    pub fn holds(&self, task: &TaskId) -> bool {
        self.tasks.contains_key(task)
    }

    /// Whether the master has welcomed this agent and the stream stands.
    pub fn is_connected(&self) -> bool {
        self.session.is_live()
    }

    /// Whether somebody watches the machine's usage.
    pub fn is_watched(&self) -> bool {
        self.watched
    }

    fn run_due(&mut self, now: Timestamp) {
        let todo = self.session.tick(now);
        self.perform(todo);
        self.unwatched_if_alone();
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Check(instance, check) => self.probe_due(now, &instance, check),
                Timer::Drain(instance) => self.drained(now, &instance),
                Timer::Grace(instance) => self.grace_over(now, &instance),
                Timer::TooLong(container) => self.too_long(now, &container),
                Timer::Executor(container) => self.executor_due(now, &container),
                Timer::Usage if now >= self.usage_at => {
                    self.out.push(Output::SampleUsage);
                    self.plan_usage(now, self.usage_interval());
                }
                Timer::Usage => {}
                Timer::Collect => self.collect(now),
            }
        }
    }

    /// Does what the session says.
    pub(crate) fn perform(&mut self, todo: Vec<Do>) {
        for step in todo {
            match step {
                Do::Open { stream } => self.out.push(Output::Open { stream }),
                Do::Close { stream } => self.out.push(Output::Close { stream }),
                Do::Hello => {
                    let hello = ToMasterBody::Hello(Box::new(self.hello()));
                    self.send(hello);
                }
                Do::Heartbeat { number } => self.send(ToMasterBody::Heartbeat { number }),
                Do::Remember { cluster, term } => self.save(Record::Identity { cluster, term }),
                Do::ExtendDeadline { until } => self.out.push(Output::ExtendDeadline { until }),
                Do::Warn(text) => self.warn(text),
            }
        }
    }

    /// Everything about this agent, as each stream begins with.
    fn hello(&self) -> Hello {
        let config = &self.config;
        Hello {
            agent: Some(config.agent.clone()),
            boot: Some(config.boot.clone()),
            hostname: config.hostname.clone(),
            address: config.address.clone(),
            resources: config.resources.clone(),
            parts: config.parts.clone(),
            attributes: config.attributes.clone(),
            region: config.region.clone(),
            zone: config.zone.clone(),
            version: config.version.clone(),
            missing_isolation: config.missing_isolation.clone(),
            stop_deadline_ms: config.timing.stop_deadline_ms,
            groups: self
                .saved
                .groups()
                .values()
                .map(|group| GroupReport {
                    launch: group.launch.clone(),
                    statuses: group.statuses.iter().flatten().cloned().collect(),
                    unacknowledged: group.unacknowledged.clone(),
                })
                .collect(),
            executors: self
                .saved
                .executors()
                .values()
                .map(|held| ExecutorReport {
                    framework: held.framework.clone(),
                    role: held.role.clone(),
                    run: held.run.clone(),
                })
                .collect(),
            volumes: self.saved.volumes().keys().cloned().collect(),
            generation: Generation { process: self.saved.process(), stream: self.session.stream() },
        }
    }

    fn heard(&mut self, now: Timestamp, stream: u64, message: ToAgent) {
        let (obey, todo) = self.session.heard(now, stream, &message);
        self.perform(todo);
        if !obey {
            return;
        }
        match message.body {
            ToAgentBody::Welcome { .. } => {
                // What is used is soon known of a machine that has just come. Later streams keep the rhythm: a master
                // that comes back shall not hear from all at once for ever.
                if !self.reported_usage {
                    self.plan_usage(now, WATCHED_USAGE_MS);
                }
            }
            // The session's own.
            ToAgentBody::Refused { .. } | ToAgentBody::HeartbeatSeen { .. } => {}
            ToAgentBody::ShutdownExecutor { container } => self.shutdown_executor(now, &container),
            ToAgentBody::ToExecutor { container, data } => self.tell_executor(&container, data),
            ToAgentBody::RemoveVolume { role, id } => self.remove_volume(role, id),
            ToAgentBody::Launch { agent, boot, launch } => self.launch(now, &agent, &boot, *launch),
            ToAgentBody::Kill { instance, tasks, grace_ms, message } => {
                self.kill(now, &instance, tasks, grace_ms, message);
            }
            ToAgentBody::Acknowledge { task, sequence } => self.acknowledged(&task, sequence),
            ToAgentBody::Release { instance } => self.release(now, &instance),
            ToAgentBody::Watch { on } => {
                self.watched = on;
                if on {
                    self.plan_usage(now, 0);
                }
            }
        }
    }

    fn acknowledged(&mut self, task: &TaskId, sequence: u64) {
        let Some(instance) = self.tasks.get(task).cloned() else { return };
        let waits = |update: &TaskStatus| update.task == *task && update.sequence <= sequence;
        if self.saved.groups()[&instance].unacknowledged.iter().any(waits) {
            self.save(Record::Acknowledged { instance, task: task.clone(), sequence });
        }
    }

    fn release(&mut self, now: Timestamp, instance: &InstanceId) {
        if let Some(group) = self.saved.groups().get(instance) {
            if !group.is_terminal() {
                self.warn(format!("the master releases {instance}, which has not ended: ignored"));
                return;
            }
            if group.launch.framework.is_some() {
                if self.past.len() == MOST_PAST {
                    self.past.pop_front();
                }
                self.past.push_back(group.clone());
            }
            let tasks = group.launch.tasks.clone();
            for task in &tasks {
                // Only its own: a twin that was refused for its task id must not hide the first.
                if self.tasks.get(task) == Some(instance) {
                    self.tasks.remove(task);
                }
            }
            let instance = instance.clone();
            self.save(Record::Released(Released { instance, tasks, at: now }));
            self.collect(now);
        }
        self.send(ToMasterBody::Released { instance: instance.clone() });
    }

    /// Forgets released ids and removes their sandboxes when they are too old or too many.
    pub(crate) fn collect(&mut self, now: Timestamp) {
        let keep_ms = self.config.keep_released_ms;
        while let Some(oldest) = self.saved.released().front() {
            if self.saved.released().len() <= self.config.keep_released && now.since(oldest.at) < keep_ms {
                break;
            }
            let (instance, tasks) = (oldest.instance.clone(), oldest.tasks.clone());
            let sandbox = self.saved.oldest_sandbox().is_some_and(|kept| kept.instance == instance);
            self.save(Record::Forgotten { instance });
            if sandbox {
                self.remove_sandboxes(tasks);
            }
        }
        while self.saved.kept_sandboxes() > self.config.keep_sandboxes
            && let Some(oldest) = self.saved.oldest_sandbox()
        {
            let (instance, tasks) = (oldest.instance.clone(), oldest.tasks.clone());
            self.save(Record::SandboxRemoved { instance });
            self.remove_sandboxes(tasks);
        }
        if let Some(oldest) = self.saved.released().front() {
            self.timers.set(oldest.at + keep_ms, Timer::Collect);
        }
    }

    fn remove_sandboxes(&mut self, tasks: Vec<TaskId>) {
        for task in tasks {
            // A framework may use a task's id again, once the first is released.
            if !self.tasks.contains_key(&task) {
                self.out.push(Output::RemoveSandbox { task });
            }
        }
    }

    fn sampled(&mut self, mut usage: Usage) {
        let custom = |(run, live): (&InstanceId, &LiveExecutor)| {
            let custom = self.saved.executors().get(run).is_some_and(SavedExecutor::is_custom);
            if custom { live.groups.len() } else { 0 }
        };
        let tasks = self.live.len() + self.executors.iter().map(custom).sum::<usize>();
        usage.tasks = u32::try_from(tasks).unwrap_or(u32::MAX);
        if self.session.is_live() {
            self.reported_usage = true;
            self.send(ToMasterBody::Usage(usage));
        }
    }

    fn usage_interval(&self) -> u64 {
        if self.watched { WATCHED_USAGE_MS } else { self.config.usage_ms.max(WATCHED_USAGE_MS) }
    }

    fn plan_usage(&mut self, now: Timestamp, in_ms: u64) {
        self.usage_at = now + in_ms;
        self.timers.set(self.usage_at, Timer::Usage);
    }

    /// Whoever watched has to say so again on a new stream.
    fn unwatched_if_alone(&mut self) {
        self.watched &= self.session.is_live();
    }

    /// Changes the durable state, and has it stored.
    pub(crate) fn save(&mut self, record: Record) {
        self.saved.apply(&record);
        self.out.push(Output::Persist(record));
    }

    /// Says something to the master, if there is a stream that began with a hello; what must arrive is in the next hello
    /// otherwise.
    pub(crate) fn send(&mut self, body: ToMasterBody) {
        if self.session.is_open() {
            let message = self.session.envelope(body);
            self.out.push(Output::Send { stream: self.session.stream(), message });
        }
    }

    pub(crate) fn warn(&mut self, text: String) {
        self.out.push(Output::Warn(text));
    }
}
