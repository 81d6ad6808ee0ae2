//! What executors do for their tasks: which they are given, how those stand, and how they are ended.
//!
//! A task is given to an executor once. If an executor comes back and does not have what it was given, it never got it:
//! that task is dropped, not given again, as nobody can say whether it was begun.

use crate::executors::ExecutorEnd;
use crate::groups::{End, Task};
use crate::io::{ExecutorEvent, ExecutorUpdate, Output, ShimPlan, Surroundings};
use crate::node::Node;
use crate::saved::{Record, SavedExecutor, SavedGroup};
use hansa_link::ToMasterBody;
use hansa_model::framework::{FrameworkStatus, Raw};
use hansa_model::planted::{Bug, planted};
use hansa_model::spec::Launch;
use hansa_model::task::{Exit, Limitation, Reason, TaskState, TaskStatus};
use hansa_model::{InstanceId, TaskId, Timestamp};

impl Node {
    /// Gives an executor the groups that wait for it, if it is there.
    pub(crate) fn deliver(&mut self, now: Timestamp, container: &InstanceId) {
        let Some(held) = self.saved.executors().get(container) else { return };
        let custom = held.is_custom();
        let Some(live) = self.executors.get(container) else { return };
        if held.ending.is_some() || !held.registered || custom && live.stream.is_none() {
            return;
        }
        let again = planted(Bug::GivenAgain);
        let waits = |group: &SavedGroup| {
            (!group.delivered || again)
                && !group.is_terminal()
                && (!custom || self.is_furnished(container, group))
        };
        let waiting: Vec<InstanceId> = live
            .groups
            .iter()
            .filter(|one| self.saved.groups().get(*one).is_some_and(waits))
            .cloned()
            .collect();
        for instance in waiting {
            self.save(Record::Delivered { instance: instance.clone() });
            let launch = self.saved.groups()[&instance].launch.clone();
            if custom {
                let tasks = launch.framework.iter().flat_map(|of| &of.tasks);
                let mut tasks: Vec<Raw> = tasks.map(|task| task.info.clone()).collect();
                let event = match tasks.len() {
                    1 => ExecutorEvent::Launch { task: tasks.remove(0) },
                    _ => ExecutorEvent::LaunchGroup { tasks },
                };
                self.tell(container, event);
            } else {
                self.start_pod(now, &launch);
            }
        }
    }

    /// Starts a container for each task of a group.
    fn start_pod(&mut self, now: Timestamp, launch: &Launch) {
        for (index, task) in launch.tasks.iter().enumerate() {
            self.live.insert(InstanceId::from(task.as_str()), Task::default());
            self.report(now, &launch.instance, index, TaskState::Starting, |_| {});
            let plan = self.plan(launch, index);
            self.out.push(Output::StartGroup(Box::new(plan)));
        }
    }

    /// An executor has opened a stream.
    pub(crate) fn executor_subscribed(
        &mut self,
        now: Timestamp,
        container: &InstanceId,
        stream: u64,
        tasks: &[String],
        updates: Vec<ExecutorUpdate>,
    ) {
        let Some(held) = self.saved.executors().get(container).filter(|held| held.is_custom()) else {
            return;
        };
        let again = held.registered;
        let ends = held.ending.is_some();
        if !again {
            let held = SavedExecutor { registered: true, ..held.clone() };
            self.save(Record::Executor(Box::new(held)));
        }
        let live = self.executors.entry(container.clone()).or_default();
        live.stream = Some(stream);
        live.met = true;
        self.expect_nothing(container);
        self.tell(container, ExecutorEvent::Subscribed);
        for update in updates {
            self.executor_update(now, container, update);
        }
        if again {
            self.drop_unheard(now, container, tasks);
        }
        self.deliver(now, container);
        for (task, grace_ms) in self.killed(now, container) {
            self.tell(container, ExecutorEvent::Kill { task, grace_ms });
        }
        if ends {
            self.tell(container, ExecutorEvent::Shutdown);
        }
    }

    /// Whether an executor has subscribed since this process began.
    pub fn has_met(&self, container: &InstanceId) -> bool {
        self.executors.get(container).is_some_and(|live| live.met)
    }

    /// Tasks that an executor was given, that it has never said anything of and that it does not have.
    fn drop_unheard(&mut self, now: Timestamp, container: &InstanceId, has: &[String]) {
        let mut unheard = Vec::new();
        for (instance, group) in self.groups_of(container).filter(|(_, group)| group.delivered) {
            for (index, task) in group.launch.framework.iter().flat_map(|of| &of.tasks).enumerate() {
                if group.statuses.get(index).is_some_and(Option::is_none) && !has.contains(&task.id) {
                    unheard.push((instance.clone(), index));
                }
            }
        }
        for (instance, index) in unheard {
            let words = "the executor was away when it was given the task, and does not have it".to_owned();
            let end = End::new(TaskState::Dropped, Some(Reason::ReasonAgentRestarted), words);
            self.end_task(now, &instance, index, &end);
        }
    }

    /// Tasks that are to end and have not: the framework's ids, and the milliseconds that they still may take.
    fn killed(&self, now: Timestamp, container: &InstanceId) -> Vec<(String, Option<u64>)> {
        let mut killed = Vec::new();
        for (_, group) in self.groups_of(container).filter(|(_, group)| group.delivered) {
            let Some(kill) = &group.kill else { continue };
            for (task, status) in group.launch.framework.iter().flat_map(|of| &of.tasks).zip(&group.statuses)
            {
                if !status.as_ref().is_some_and(|status| status.state.is_terminal()) {
                    killed.push((task.id.clone(), Some(kill.until.since(now))));
                }
            }
        }
        killed
    }

    pub(crate) fn groups_of(
        &self,
        container: &InstanceId,
    ) -> impl Iterator<Item = (&InstanceId, &SavedGroup)> {
        let groups = self.executors.get(container).map(|live| live.groups.as_slice()).unwrap_or_default();
        groups.iter().filter_map(|one| self.saved.groups().get_key_value(one))
    }

    /// An executor says how a task stands. It is told at once that this is safe: it is stored now.
    pub(crate) fn executor_update(&mut self, now: Timestamp, container: &InstanceId, update: ExecutorUpdate) {
        let acknowledged = ExecutorEvent::Acknowledged { task: update.task.clone(), uuid: update.uuid };
        match self.find_task(container, &update.task) {
            Some((instance, index)) if !self.is_known(&instance, index, update.uuid) => {
                let newest = self.saved.groups()[&instance].statuses[index].as_ref();
                let before = newest.map_or(TaskState::Staging, |newest| newest.state);
                // Whatever it says is passed on; that our own word for it never goes back is what others rely on.
                let state = if before.may_become(update.state) { update.state } else { before };
                self.report(now, &instance, index, state, |status| {
                    status.message = update.message;
                    status.healthy = update.healthy;
                    status.executor = Some(Box::new(FrameworkStatus { uuid: update.uuid, raw: update.raw }));
                });
                self.settle_group(now, &instance);
            }
            Some(_) => {}
            None => self.warn(format!(
                "executor container {container} tells of task {}, which it does not have: ignored",
                update.task
            )),
        }
        self.tell(container, acknowledged);
    }

    fn find_task(&self, container: &InstanceId, task: &str) -> Option<(InstanceId, usize)> {
        let place = |(instance, group): (&InstanceId, &SavedGroup)| {
            let of = group.launch.framework.as_ref()?;
            let index = of.tasks.iter().position(|one| one.id == task)?;
            group.statuses.get(index)?;
            Some((instance.clone(), index))
        };
        // The newest first: an id may be used again once its task has ended.
        let mut own: Vec<_> = self.groups_of(container).filter_map(place).collect();
        own.pop()
    }

    fn is_known(&self, instance: &InstanceId, index: usize, uuid: u128) -> bool {
        let group = &self.saved.groups()[instance];
        let same = |status: &TaskStatus| status.executor.as_ref().is_some_and(|said| said.uuid == uuid);
        let ended = |status: &TaskStatus| status.state.is_terminal();
        group.statuses[index].as_ref().is_some_and(|newest| same(newest) || ended(newest))
            || group.unacknowledged.iter().any(same)
    }

    /// Ends tasks that a custom executor has, or is to have.
    pub(crate) fn kill_by_executor(
        &mut self,
        now: Timestamp,
        instance: &InstanceId,
        grace_ms: Option<u64>,
        message: &str,
    ) {
        let group = &self.saved.groups()[instance];
        let Some(container) = group.executor().map(|run| run.container.clone()) else { return };
        if group.delivered {
            let tasks: Vec<String> =
                group.launch.framework.iter().flat_map(|of| &of.tasks).map(|task| task.id.clone()).collect();
            for task in tasks {
                self.tell(&container, ExecutorEvent::Kill { task, grace_ms });
            }
            return;
        }
        let words = if message.is_empty() { "killed before it was given to its executor" } else { message };
        let reason = Some(Reason::ReasonTaskKilledDuringLaunch);
        self.end_all(now, instance, &End::new(TaskState::Killed, reason, words.to_owned()));
        let idle = self.executors.get(&container).is_some_and(|live| live.groups.is_empty());
        if idle && self.saved.executors().get(&container).is_some_and(|held| !held.registered) {
            // It was only wanted for what is not wanted any more.
            self.end_executor(now, &container, 0, None, "its tasks were killed before it registered".into());
        }
    }

    /// The framework says something to its executor.
    pub(crate) fn tell_executor(&mut self, container: &InstanceId, data: Raw) {
        self.tell(container, ExecutorEvent::Message(data));
    }

    /// An executor says something to its framework.
    pub(crate) fn executor_message(&mut self, container: &InstanceId, data: Raw) {
        let Some(held) = self.saved.executors().get(container) else { return };
        let (framework, executor) = (held.framework.id.clone(), held.run.id.clone());
        self.send(ToMasterBody::FromExecutor { framework, executor, data });
    }

    /// An executor's stream has ended. It may come back; if its process ends, its shim says so.
    pub(crate) fn executor_left(&mut self, container: &InstanceId, stream: u64) {
        if let Some(live) = self.executors.get_mut(container).filter(|live| live.stream == Some(stream)) {
            live.stream = None;
        }
    }

    /// The task that a container of this agent's runs: its group, and its place there.
    pub fn task_in(&self, container: &InstanceId) -> Option<(InstanceId, usize)> {
        if let Some(group) = self.saved.groups().get(container) {
            return group.executor().is_none().then(|| (container.clone(), 0));
        }
        let task = TaskId::from(container.as_str());
        let instance = self.tasks.get(&task)?;
        let group = self.saved.groups().get(instance).filter(|group| group.is_pod())?;
        let index = group.launch.tasks.iter().position(|one| *one == task)?;
        Some((instance.clone(), index))
    }

    /// A container has ended, whoever's it is.
    pub(crate) fn ended(
        &mut self,
        now: Timestamp,
        container: &InstanceId,
        exit: Exit,
        limitation: Option<Limitation>,
        message: String,
    ) {
        if self.saved.executors().contains_key(container) {
            return self.executor_ended(now, container, ExecutorEnd::Exited { exit, limitation, message });
        }
        self.exited(now, container, exit, limitation, message);
    }

    /// What a task in an executor's surroundings may use: its own share of what its group was given.
    pub(crate) fn plan_of_task(&self, launch: &Launch, index: usize, plan: &mut ShimPlan) {
        let Some(of) = &launch.framework else { return };
        plan.volumes = of
            .tasks
            .get(index)
            .map(|task| crate::volumes::seen(task.parts.iter(), &launch.role))
            .unwrap_or_default();
        let Some(run) = &of.executor else { return };
        let own = of.own(&launch.allocation, index);
        // As in Mesos, where the volumes of an executor's tasks lie in its sandbox.
        let others = self.groups_of(&run.container).flat_map(|(_, group)| group.parts());
        plan.instance = InstanceId::from(launch.tasks[index].as_str());
        plan.inside = Some(Surroundings {
            executor: run.container.clone(),
            sandbox: self.config.sandbox(&TaskId::from(run.container.as_str())),
            volumes: crate::volumes::seen(run.parts.iter().chain(others), &launch.role),
        });
        plan.sandbox = self.config.sandbox_within(&run.container, &of.tasks[index].id);
        plan.limits.cpus_milli = own.cpus_milli;
        plan.limits.mem = own.mem;
        plan.limits.disk = own.disk;
        plan.limits.gpus = own.gpus;
        plan.limits.ports.clone_from(&plan.ports);
    }
}
