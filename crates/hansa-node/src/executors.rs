//! An executor's life on this agent: started with the first group for it, registered, asked to end, ended.
//!
//! A custom executor is a program of a framework's: it subscribes, is given its tasks over that stream, and says how they
//! stand. The default executor is the agent itself: a container that only holds a network and a sandbox, and a container
//! inside it for each task. Both are one [`SavedExecutor`]; what is done with their tasks stands in `executor_tasks`.

use crate::env;
use crate::furnishing::Furnished;
use crate::groups::End;
use crate::io::{ExecutorEvent, Found, Output, ShimPlan};
use crate::node::Node;
use crate::saved::{Ending, KillCause, Record, SavedExecutor, SavedGroup};
use crate::timers::Timer;
use hansa_link::ToMasterBody;
use hansa_model::framework::ExecutorKind;
use hansa_model::framework::launch::ExecutorRun;
use hansa_model::resources::{Allocation, MIB};
use hansa_model::task::{Exit, Limitation, Reason, TaskState};
use hansa_model::{InstanceId, TaskId, Timestamp};

/// An executor that outlives its grace by this much is killed once more, shim included, and again each time.
const GRACE_SLACK_MS: u64 = 2_000;

/// What is not stored of an executor.
#[derive(Debug, Default)]
pub struct LiveExecutor {
    /// The stream that it listens on.
    pub stream: Option<u64>,
    /// Whether it has ever had one in this process.
    pub met: bool,
    /// Its groups that have not ended, in the order they came.
    pub groups: Vec<InstanceId>,
    /// What it has to have done by when; timers set for another time are stale.
    due: Option<(Timestamp, Due)>,
    /// What its container may use.
    given: Allocation,
    /// What its container has of the machine.
    pub(crate) furnished: Furnished,
}

/// What is due of an executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// To subscribe for the first time.
    Register,
    /// To subscribe again, after the agent was away.
    Reregister,
    /// To end by itself.
    ShutDown,
    /// To be dead.
    Die,
}

/// How an executor's process ended.
pub(crate) enum ExecutorEnd {
    Exited { exit: Exit, limitation: Option<Limitation>, message: String },
    LaunchFailed { message: String },
    ShimGone { message: String },
}

impl Node {
    /// The executor that a framework calls so and that has not ended.
    pub fn executor(&self, framework: &str, executor: &str) -> Option<&SavedExecutor> {
        let named =
            |held: &&SavedExecutor| held.framework.id.as_str() == framework && held.run.id == executor;
        // If there are several, all but the newest are on their way out.
        self.saved.executors().values().filter(named).max_by_key(|held| (held.ending.is_none(), held.at))
    }

    /// Gives a group just accepted to its executor, and starts that first if need be.
    pub(crate) fn give_to_executor(&mut self, now: Timestamp, instance: &InstanceId, run: &ExecutorRun) {
        let container = &run.container;
        let refusal = match self.saved.executors().get(container) {
            Some(held) if held.ending.is_some() => Some("is terminating"),
            None if self.saved.is_released(container) => Some("has terminated"),
            _ => None,
        };
        if let Some(words) = refusal {
            let message = format!("executor {} {words}", run.id);
            let end = End::new(TaskState::Dropped, Some(Reason::ReasonExecutorTerminated), message);
            return self.end_all(now, instance, &end);
        }
        let is_new = !self.saved.executors().contains_key(container);
        self.executors.entry(container.clone()).or_default().groups.push(instance.clone());
        if is_new {
            self.start_executor(now, instance);
        } else {
            self.resize(container);
            self.furnish(container);
        }
        self.deliver(now, container);
    }

    fn start_executor(&mut self, now: Timestamp, instance: &InstanceId) {
        let launch = &self.saved.groups()[instance].launch;
        let Some(of) = launch.framework.clone() else { return };
        let Some(run) = of.executor.clone() else { return };
        let custom = run.kind == ExecutorKind::Custom;
        let executor = SavedExecutor {
            at: now,
            boot: self.config.boot.clone(),
            role: launch.role.clone(),
            framework: of.framework.clone(),
            run: run.clone(),
            running_since: None,
            addresses: Vec::new(),
            registered: false,
            made_with: custom.then(|| self.to_begin_with(&run, instance)),
            ending: None,
            ended: None,
        };
        self.save(Record::Executor(Box::new(executor)));
        let given = self.wanted(&run.container);
        if let Some(live) = self.executors.get_mut(&run.container) {
            live.given = given;
        }
        let plan = self.executor_plan(&run.container);
        self.out.extend(plan.map(Box::new).map(Output::StartGroup));
    }

    /// What an executor's container is to have: its own, and of a custom one what its tasks have.
    fn wanted(&self, container: &InstanceId) -> Allocation {
        let Some(held) = self.saved.executors().get(container) else { return Allocation::default() };
        let mut sum = held.run.allocation.clone();
        let groups = self.executors.get(container).map(|live| live.groups.as_slice()).unwrap_or_default();
        for group in
            groups.iter().filter(|_| held.is_custom()).filter_map(|group| self.saved.groups().get(group))
        {
            let own = &group.launch.allocation;
            sum.cpus_milli = sum.cpus_milli.saturating_add(own.cpus_milli);
            sum.mem = sum.mem.saturating_add(own.mem);
            sum.disk = sum.disk.saturating_add(own.disk);
            sum.gpus.extend(&own.gpus);
            sum.ports.extend(&own.ports);
        }
        sum
    }

    /// Its tasks have come or gone.
    fn resize(&mut self, container: &InstanceId) {
        let limits = self.wanted(container);
        let runs = self.saved.executors().get(container).is_some_and(|held| held.running_since.is_some());
        let Some(live) = self.executors.get_mut(container).filter(|live| runs && live.given != limits) else {
            return;
        };
        live.given = limits.clone();
        self.out.push(Output::ResizeGroup { instance: container.clone(), limits });
    }

    fn executor_plan(&self, container: &InstanceId) -> Option<ShimPlan> {
        let held = self.saved.executors().get(container)?;
        let spec = &held.run.spec;
        let task = TaskId::from(container.as_str());
        Some(ShimPlan {
            instance: container.clone(),
            sandbox: self.config.sandbox(&task),
            task,
            inside: None,
            placeholder: !held.is_custom(),
            command: spec.command.clone(),
            env: env::of_executor(&self.config, held),
            secret_env: spec.secret_env.clone().into_iter().collect(),
            container: spec.container.clone(),
            network: spec.network.clone(),
            ports: held.run.allocation.ports.clone(),
            artifacts: spec.artifacts.clone(),
            stop_signal: None,
            user: spec.user.clone(),
            limits: self.wanted(container),
            cpu_quota: spec.cpu_quota,
            burst: spec.limits.clone(),
            volumes: self.furnishings(container).volumes,
            deadline: self.session.deadline(),
        })
    }

    /// Its process runs (of the default executor: its surroundings are there).
    pub(crate) fn executor_started(
        &mut self,
        now: Timestamp,
        container: &InstanceId,
        addresses: Vec<String>,
    ) {
        let Some(held) = self.saved.executors().get(container).filter(|held| held.running_since.is_none())
        else {
            return;
        };
        let registered = !held.is_custom();
        let wait = held.is_custom() && held.ending.is_none() && !held.registered;
        let held = SavedExecutor {
            running_since: Some(now),
            addresses,
            registered: held.registered || registered,
            ..held.clone()
        };
        if let Some(live) = self.executors.get_mut(container) {
            live.furnished = Furnished::made_with(held.made_with.clone().unwrap_or_default());
        }
        self.save(Record::Executor(Box::new(held)));
        if wait {
            self.expect(container, now + self.config.executor_registration_ms, Due::Register);
        }
        self.resize(container);
        self.furnish(container);
        self.deliver(now, container);
    }

    fn expect(&mut self, container: &InstanceId, at: Timestamp, due: Due) {
        if let Some(live) = self.executors.get_mut(container) {
            live.due = Some((at, due));
            self.timers.set(at, Timer::Executor(container.clone()));
        }
    }

    /// It has done what was expected of it.
    pub(crate) fn expect_nothing(&mut self, container: &InstanceId) {
        let ends = self.saved.executors().get(container).is_some_and(|held| held.ending.is_some());
        if let Some(live) = self.executors.get_mut(container).filter(|_| !ends) {
            live.due = None;
        }
    }

    pub(crate) fn executor_due(&mut self, now: Timestamp, container: &InstanceId) {
        let due = self.executors.get(container).and_then(|live| live.due).filter(|(at, _)| *at <= now);
        match due.map(|(_, due)| due) {
            None => {}
            Some(Due::Register) => {
                let words = format!(
                    "executor did not register within {}",
                    env::duration(self.config.executor_registration_ms)
                );
                self.end_executor(now, container, 0, Some(Reason::ReasonExecutorRegistrationTimeout), words);
            }
            Some(Due::Reregister) => {
                let words = format!(
                    "executor did not reregister within {}",
                    env::duration(self.config.executor_reregistration_ms)
                );
                self.end_executor(
                    now,
                    container,
                    0,
                    Some(Reason::ReasonExecutorReregistrationTimeout),
                    words,
                );
            }
            Some(Due::ShutDown) => self.stop_executor(now, container, 0),
            Some(Due::Die) => {
                self.out.push(Output::KillGroup { instance: container.clone() });
                self.expect(container, now + GRACE_SLACK_MS, Due::Die);
            }
        }
    }

    /// The master wants it to end.
    pub(crate) fn shutdown_executor(&mut self, now: Timestamp, container: &InstanceId) {
        let Some(held) = self.saved.executors().get(container).filter(|held| held.ending.is_none()) else {
            return;
        };
        let grace_ms = held.run.shutdown_grace_ms.unwrap_or(self.config.executor_shutdown_grace_ms);
        self.end_executor(now, container, grace_ms, None, String::new());
    }

    /// Has an executor ended: asked first if there is a grace.
    pub(crate) fn end_executor(
        &mut self,
        now: Timestamp,
        container: &InstanceId,
        grace_ms: u64,
        reason: Option<Reason>,
        message: String,
    ) {
        let Some(held) = self.saved.executors().get(container).filter(|held| held.ending.is_none()) else {
            return;
        };
        let custom = held.is_custom();
        let ending = Ending { until: now + grace_ms, reason, message: message.clone(), done: false };
        self.save(Record::Executor(Box::new(SavedExecutor { ending: Some(ending), ..held.clone() })));
        self.go_on_ending(now, container, custom, grace_ms, &message);
    }

    fn go_on_ending(
        &mut self,
        now: Timestamp,
        container: &InstanceId,
        custom: bool,
        grace_ms: u64,
        message: &str,
    ) {
        let Some(live) = self.executors.get(container) else { return };
        if !custom {
            let groups = live.groups.clone();
            if groups.is_empty() {
                return self.stop_executor(now, container, 0);
            }
            for group in groups {
                self.end_group(now, &group, KillCause::Asked, None, message.to_owned());
            }
        } else if grace_ms > 0 && live.stream.is_some() {
            self.tell(container, ExecutorEvent::Shutdown);
            self.expect(container, now + grace_ms, Due::ShutDown);
        } else {
            self.stop_executor(now, container, grace_ms);
        }
    }

    /// Tells its shim to stop it.
    fn stop_executor(&mut self, now: Timestamp, container: &InstanceId, grace_ms: u64) {
        self.out.push(Output::StopGroup { instance: container.clone(), grace_ms });
        self.expect(container, now + grace_ms + GRACE_SLACK_MS, Due::Die);
    }

    /// Says something to an executor that listens. False: it does not.
    pub(crate) fn tell(&mut self, container: &InstanceId, event: ExecutorEvent) -> bool {
        let Some(stream) = self.executors.get(container).and_then(|live| live.stream) else { return false };
        self.out.push(Output::ToExecutor { container: container.clone(), stream, event });
        true
    }

    /// One of its groups has ended.
    pub(crate) fn executor_freed(&mut self, now: Timestamp, container: &InstanceId, instance: &InstanceId) {
        let Some(live) = self.executors.get_mut(container) else { return };
        live.groups.retain(|group| group != instance);
        let idle = live.groups.is_empty();
        let Some(held) = self.saved.executors().get(container) else { return };
        if held.is_custom() {
            self.resize(container);
            self.furnish(container);
        } else if let Some(wait_status) = held.ended.filter(|_| idle) {
            self.forget_executor(now, container, wait_status);
        } else if idle {
            if held.ending.is_none() {
                let ending = Ending { until: now, reason: None, message: String::new(), done: true };
                self.save(Record::Executor(Box::new(SavedExecutor { ending: Some(ending), ..held.clone() })));
            }
            self.stop_executor(now, container, 0);
        }
    }

    /// Its process is no more, and nothing of it runs.
    pub(crate) fn executor_ended(&mut self, now: Timestamp, container: &InstanceId, how: ExecutorEnd) {
        let Some(held) = self.saved.executors().get(container).cloned() else { return };
        let (mut reason, mut words, mut wait_status) = match how {
            ExecutorEnd::Exited { exit, limitation: Some(broken), .. } => {
                let used = format!("{} of {} MiB", broken.used.div_ceil(MIB), broken.limit / MIB);
                let words = format!("the executor's container used more memory than its limit: {used}");
                (Reason::ReasonContainerLimitationMemory, words, wait_status(exit))
            }
            ExecutorEnd::Exited { exit, limitation: None, message } => {
                let how = match exit {
                    Exit::Code(code) => format!("executor exited with status {code}"),
                    Exit::Signal(signal) => format!("executor ended by signal {signal}"),
                };
                let words = if message.is_empty() { how } else { format!("{how}; {message}") };
                (Reason::ReasonExecutorTerminated, words, wait_status(exit))
            }
            ExecutorEnd::LaunchFailed { message } => {
                (Reason::ReasonContainerLaunchFailed, message, wait_status(Exit::Code(1)))
            }
            ExecutorEnd::ShimGone { message } => {
                let words = if message.is_empty() { "the executor's shim died".to_owned() } else { message };
                (Reason::ReasonExecutorTerminated, words, wait_status(Exit::Signal(9)))
            }
        };
        if let Some(ending) = &held.ending {
            reason = ending.reason.unwrap_or(reason);
            words = if ending.message.is_empty() { words } else { ending.message.clone() };
            wait_status = if ending.done { 0 } else { wait_status };
        }
        let groups = self.executors.get(container).map(|live| live.groups.clone()).unwrap_or_default();
        let runs = |instance: &InstanceId| {
            self.saved.groups().get(instance).is_some_and(|group| {
                (0..group.launch.tasks.len()).any(|index| self.live.contains_key(&group.container(index)))
            })
        };
        let left: Vec<InstanceId> =
            groups.iter().filter(|_| !held.is_custom()).filter(|one| runs(one)).cloned().collect();
        if left.is_empty() {
            self.executors.remove(container);
            for group in groups {
                self.end_all(now, &group, &End::new(TaskState::Failed, Some(reason), words.clone()));
            }
            return self.forget_executor(now, container, wait_status);
        }
        // Each in a container of its own: they run on without their surroundings until they are ended.
        let ending = Ending { until: now, reason: Some(reason), message: words.clone(), done: false };
        let ending = held.ending.clone().or(Some(ending));
        self.save(Record::Executor(Box::new(SavedExecutor { ending, ended: Some(wait_status), ..held })));
        self.out.push(Output::CleanUp { instance: container.clone() });
        for group in groups {
            match left.contains(&group) {
                true => self.end_group(now, &group, KillCause::Surroundings, Some(0), words.clone()),
                false => self.end_all(now, &group, &End::new(TaskState::Failed, Some(reason), words.clone())),
            }
        }
    }

    /// Nothing of it runs any more.
    fn forget_executor(&mut self, now: Timestamp, container: &InstanceId, wait_status: i32) {
        let Some(held) = self.saved.executors().get(container).cloned() else { return };
        self.executors.remove(container);
        self.save(Record::ExecutorEnded { container: container.clone(), at: now });
        self.send(ToMasterBody::ExecutorEnded {
            framework: held.framework.id.clone(),
            executor: held.run.id.clone(),
            container: container.clone(),
            wait_status,
        });
        self.out.push(Output::CleanUp { instance: container.clone() });
        self.collect(now);
    }

    /// After a restart of the agent: what became of an executor. Its groups are in place already.
    pub(crate) fn resume_executor(&mut self, now: Timestamp, container: &InstanceId, found: Option<&Found>) {
        let Some(held) = self.saved.executors().get(container).cloned() else { return };
        let given = self.wanted(container);
        self.executors.entry(container.clone()).or_default().given = given;
        match found {
            _ if held.ended.is_some() && held.boot == self.config.boot => {
                let idle = self.executors.get(container).is_none_or(|live| live.groups.is_empty());
                if let Some(wait_status) = held.ended.filter(|_| idle) {
                    self.forget_executor(now, container, wait_status);
                }
            }
            _ if held.boot != self.config.boot => {
                // Its groups say the same themselves.
                self.executors.remove(container);
                self.save(Record::ExecutorEnded { container: container.clone(), at: now });
                if found.is_some() {
                    self.out.push(Output::CleanUp { instance: container.clone() });
                }
            }
            Some(Found::Exited { exit, limitation, message }) => {
                let (limitation, message) = (limitation.clone(), message.clone());
                self.executor_ended(now, container, ExecutorEnd::Exited { exit: *exit, limitation, message });
            }
            Some(Found::LaunchFailed { message }) => {
                self.executor_ended(now, container, ExecutorEnd::LaunchFailed { message: message.clone() });
            }
            None if held.running_since.is_none() => {
                let groups = self.executors.remove(container).map(|live| live.groups).unwrap_or_default();
                for group in groups {
                    let words = "the agent stopped before it started the executor";
                    self.lost(now, &group, TaskState::Dropped, words);
                }
                self.save(Record::ExecutorEnded { container: container.clone(), at: now });
            }
            None => {
                let message = "the executor's shim died while no agent looked".into();
                self.executor_ended(now, container, ExecutorEnd::ShimGone { message });
            }
            Some(Found::Running { .. } | Found::Starting) => {
                if let Some(Found::Running { addresses }) = found {
                    self.executor_started(now, container, addresses.clone());
                }
                // What an earlier process began may not have been finished.
                self.furnish(container);
                if let Some(ending) = &held.ending {
                    let grace_ms = ending.until.since(now);
                    let idle = self.executors.get(container).is_none_or(|live| live.groups.is_empty());
                    if held.is_custom() || idle {
                        self.stop_executor(now, container, grace_ms);
                    }
                } else if held.registered && held.is_custom() {
                    self.expect(container, now + self.config.executor_reregistration_ms, Due::Reregister);
                } else if held.running_since.is_some() && held.is_custom() {
                    self.expect(container, now + self.config.executor_registration_ms, Due::Register);
                }
                self.deliver(now, container);
            }
        }
    }
}

impl SavedGroup {
    /// Who runs it, if not the agent by itself.
    pub fn executor(&self) -> Option<&ExecutorRun> {
        self.launch.framework.as_ref()?.executor.as_deref()
    }

    /// Whether a program of its framework's runs its tasks.
    pub fn is_custom(&self) -> bool {
        self.executor().is_some_and(|run| run.kind == ExecutorKind::Custom)
    }

    /// Whether each of its tasks has a container inside an executor's surroundings.
    pub fn is_pod(&self) -> bool {
        self.executor().is_some_and(|run| run.kind == ExecutorKind::Default)
    }

    /// The container in which the task at this place runs; of a custom executor's the executor's own.
    pub fn container(&self, index: usize) -> InstanceId {
        match self.executor() {
            Some(run) if run.kind == ExecutorKind::Custom => run.container.clone(),
            Some(_) => InstanceId::from(self.launch.tasks[index].as_str()),
            None => self.launch.instance.clone(),
        }
    }
}

/// As `wait` tells it.
fn wait_status(exit: Exit) -> i32 {
    match exit {
        Exit::Code(code) => (code & 0xff) << 8,
        Exit::Signal(signal) => signal & 0x7f,
    }
}
