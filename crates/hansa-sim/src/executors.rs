//! Executors of frameworks on simulated machines: programs that subscribe with their agent, are given tasks, say how they
//! stand until that is acknowledged, and come back when the agent was away.

use crate::machine::{Machine, Process};
use crate::report::Fault;
use crate::world::{Event, World};
use hansa_model::framework::Raw;
use hansa_model::task::{Exit, TaskState};
use hansa_model::{InstanceId, TaskId};
use hansa_node::{ExecutorEvent, ExecutorUpdate, Input};
use std::collections::{BTreeMap, BTreeSet};

/// One program that speaks the executor API.
#[derive(Clone, Debug, Default)]
pub struct Player {
    /// The stream that it listens on.
    stream: Option<u64>,
    /// Its tasks that have not ended.
    tasks: BTreeMap<String, TaskState>,
    /// What was not acknowledged to it.
    said: Vec<ExecutorUpdate>,
    /// Every task that it was ever given.
    given: BTreeSet<String>,
}

impl Player {
    /// Whether it runs the task.
    pub fn has(&self, task: &str) -> bool {
        self.tasks.contains_key(task)
    }
}

/// What an executor does by itself.
#[derive(Clone, Debug)]
pub enum Deed {
    /// It opens a stream to its agent.
    Subscribes,
    /// It tells how a task stands from now on.
    Says(String, TaskState),
    /// It loses its stream.
    HangsUp,
}

impl Machine {
    /// What of a group's task lives here, if anything: a process of its own, or as one of an executor's.
    pub fn has_alive(&self, instance: &InstanceId, task: &TaskId, by: Option<&(InstanceId, String)>) -> bool {
        let alive = |name: &InstanceId| self.processes.get(name).is_some_and(Process::is_alive);
        let played = |(container, own): &(InstanceId, String)| {
            alive(container) && self.players.get(container).is_some_and(|player| player.has(own))
        };
        alive(instance) || alive(&InstanceId::from(task.as_str())) || by.is_some_and(played)
    }
}

impl World {
    fn executor_will(&mut self, number: usize, container: &InstanceId, ms: u64, deed: Deed) {
        let boot = self.machines[number].boots;
        let container = container.clone();
        self.after(ms, Event::Executor { machine: number, boot, container, deed });
    }

    /// A container has started: if it is a program of a framework's, that subscribes.
    pub fn executor_begins(&mut self, number: usize, container: &InstanceId) {
        let machine = &mut self.machines[number];
        if !machine.saved.executors().get(container).is_some_and(hansa_node::SavedExecutor::is_custom) {
            return;
        }
        machine.players.entry(container.clone()).or_default();
        if self.unlucky(30) {
            // It never does.
            return;
        }
        let ms = self.random.u64(1..300);
        self.executor_will(number, container, ms, Deed::Subscribes);
    }

    /// An agent process is gone, and every stream to it.
    pub fn executors_hang_up(&mut self, number: usize) {
        self.machines[number].players.values_mut().for_each(|player| player.stream = None);
    }

    /// An agent process is there: executors come back to it.
    pub fn executors_come_back(&mut self, number: usize) {
        let players: Vec<InstanceId> = self.machines[number].players.keys().cloned().collect();
        for container in players {
            // Some too late.
            let ms =
                if self.unlucky(20) { self.random.u64(10_000..20_000) } else { self.random.u64(10..3_000) };
            self.executor_will(number, &container, ms, Deed::Subscribes);
        }
    }

    /// An executor does something.
    pub fn executor_acts(&mut self, number: usize, container: InstanceId, deed: Deed) {
        let next = self.next_stream;
        let machine = &mut self.machines[number];
        let alive = machine.processes.get(&container).is_some_and(Process::is_alive);
        let listens = machine.node.is_some();
        let Some(player) = machine.players.get_mut(&container).filter(|_| alive) else { return };
        match deed {
            Deed::Subscribes if listens && player.stream.is_none() => {
                player.stream = Some(next);
                let (tasks, updates) = (player.tasks.keys().cloned().collect(), player.said.clone());
                self.next_stream += 1;
                self.note(format_args!("executor {container} subscribes on stream {next}"));
                self.agent_input(
                    number,
                    Input::ExecutorSubscribed { container, stream: next, tasks, updates },
                );
            }
            Deed::Subscribes => {}
            Deed::HangsUp => {
                if let Some(stream) = player.stream.take() {
                    self.note(format_args!("stream {stream} of executor {container} breaks"));
                    let ms = self.random.u64(1..3_000);
                    self.executor_will(number, &container, ms, Deed::Subscribes);
                    self.agent_input(number, Input::ExecutorLeft { container, stream });
                }
            }
            Deed::Says(task, state) => self.executor_says(number, container, task, state),
        }
    }

    fn executor_says(&mut self, number: usize, container: InstanceId, task: String, state: TaskState) {
        let uuid = u128::from(self.next_stream) << 64;
        let Some(player) = self.machines[number].players.get_mut(&container) else { return };
        if player.tasks.remove(&task).is_none() {
            // It has ended.
            return;
        }
        self.next_stream += 1;
        if !state.is_terminal() {
            player.tasks.insert(task.clone(), state);
        }
        let (message, healthy, raw) = (String::new(), None, Raw::default());
        let update = ExecutorUpdate { task, uuid, state, message, healthy, raw };
        player.said.push(update.clone());
        let listens = player.stream.is_some();
        self.note(format_args!("executor {container} says {:?} of {}", update.state, update.task));
        if listens {
            self.agent_input(number, Input::ExecutorUpdate { container, update: Box::new(update) });
        }
    }

    /// An agent says something to an executor.
    pub fn executor_hears(
        &mut self,
        number: usize,
        container: InstanceId,
        stream: u64,
        event: ExecutorEvent,
    ) {
        let Some(player) = self.machines[number].players.get_mut(&container) else { return };
        if player.stream != Some(stream) {
            return;
        }
        match event {
            ExecutorEvent::Subscribed | ExecutorEvent::Message(_) => {}
            ExecutorEvent::Launch { task } => self.executor_given(number, &container, &task),
            ExecutorEvent::LaunchGroup { tasks } => {
                tasks.iter().for_each(|task| self.executor_given(number, &container, task));
            }
            ExecutorEvent::Kill { task, .. } => {
                let ms = self.random.u64(1..50);
                self.executor_will(number, &container, ms, Deed::Says(task, TaskState::Killed));
            }
            ExecutorEvent::Acknowledged { uuid, .. } => player.said.retain(|update| update.uuid != uuid),
            ExecutorEvent::Shutdown => {
                let ms = self.random.u64(1..50);
                self.end_process(number, container, Exit::Code(0), ms);
            }
        }
    }

    fn executor_given(&mut self, number: usize, container: &InstanceId, task: &Raw) {
        let task = String::from_utf8_lossy(task.bytes()).into_owned();
        self.note(format_args!("executor {container} is given {task}"));
        let Some(player) = self.machines[number].players.get_mut(container) else { return };
        if !player.given.insert(task.clone()) {
            return self
                .broke(format!("executor {container} is given {task} a second time, on node{number}"));
        }
        player.tasks.insert(task.clone(), TaskState::Staging);
        let ms = self.random.u64(1..50);
        self.executor_will(number, container, ms, Deed::Says(task.clone(), TaskState::Running));
        if self.unlucky(6) {
            self.report.count(Fault::TaskExit);
            let state = if self.random.bool() { TaskState::Failed } else { TaskState::Finished };
            let ms = self.random.u64(60..60_000);
            self.executor_will(number, container, ms, Deed::Says(task, state));
        }
        if self.unlucky(10) {
            let ms = self.random.u64(1..30_000);
            self.executor_will(number, container, ms, Deed::HangsUp);
        }
    }
}
