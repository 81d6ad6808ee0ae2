//! A group's life on this agent: accepted, started, told to stop, ended.

use crate::env::{environment, own_ports};
use crate::health;
use crate::io::{Output, ShimPlan};
use crate::node::Node;
use crate::probing::Rhythm;
use crate::saved::{Kill, Record, Released, SavedGroup};
use crate::timers::Timer;
use hansa_link::ToMasterBody;
use hansa_model::planted::{Bug, planted};
use hansa_model::spec::{ExecutorSpec, Launch};
use hansa_model::task::{
    CheckResult, Exit, HealthResult, Limitation, ReadinessResult, Reason, TaskState, TaskStatus,
};
use hansa_model::{AgentId, BootId, InstanceId, TaskId, Timestamp};

/// A group that outlives its grace by this much is killed once more, shim included, and again each time.
const GRACE_SLACK_MS: u64 = 2_000;

/// What is not stored of a group that has not ended.
#[derive(Clone, Debug, Default)]
pub struct Task {
    /// When each of its probes is due, once it runs.
    pub rhythms: Vec<Rhythm>,
    /// How each health check stands, once it runs.
    pub health: Vec<HealthResult>,
    /// What each readiness check said last, once it runs; None: nothing yet.
    pub readiness: Vec<Option<ReadinessResult>>,
    /// What its general check said last; None: nothing yet.
    pub check: Option<CheckResult>,
    /// When to look whether it obeyed; timers set for another time are stale.
    grace_over_at: Option<Timestamp>,
}

/// How a task ended, before it is known whether somebody wanted it to.
struct End {
    state: TaskState,
    reason: Option<Reason>,
    message: String,
    exit: Option<Exit>,
    limitation: Option<Limitation>,
}

impl End {
    fn new(state: TaskState, reason: Option<Reason>, message: String) -> Self {
        Self { state, reason, message, exit: None, limitation: None }
    }
}

impl Node {
    pub(crate) fn launch(&mut self, now: Timestamp, agent: &AgentId, boot: &BootId, launch: Launch) {
        let instance = launch.instance.clone();
        if *agent != self.config.agent || *boot != self.config.boot {
            self.warn(format!("launch of {instance} is meant for agent {agent} in boot {boot}: ignored"));
            return;
        }
        if self.saved.groups().contains_key(&instance) && !planted(Bug::LaunchedTwice) {
            self.repeat_updates(&instance);
            return;
        }
        if self.saved.is_released(&instance) && !planted(Bug::ReleasedForgotten) {
            self.send(ToMasterBody::Released { instance });
            return;
        }
        let refusal = self.refuses(&launch).filter(|_| !planted(Bug::LaunchedTwice));
        let tasks = launch.tasks.clone();
        self.save(Record::Group(Box::new(SavedGroup::new(now, self.config.boot.clone(), launch))));
        for task in tasks {
            self.tasks.entry(task).or_insert_with(|| instance.clone());
        }
        if let Some(words) = refusal {
            self.end_all(now, &instance, |_| {
                End::new(TaskState::Error, Some(Reason::ReasonTaskInvalid), words.clone())
            });
            return;
        }
        self.live.insert(instance.clone(), Task::default());
        self.report(now, &instance, 0, TaskState::Starting, |_| {});
        let plan = self.plan(&self.saved.groups()[&instance].launch);
        self.out.push(Output::StartGroup(Box::new(plan)));
    }

    /// Why a group cannot be run at all, in words.
    fn refuses(&self, launch: &Launch) -> Option<String> {
        let group = &launch.group;
        if group.tasks.is_empty() || group.tasks.len() != launch.tasks.len() {
            return Some(format!("{} tasks but {} task ids", group.tasks.len(), launch.tasks.len()));
        }
        if group.tasks.len() > 1 || group.executor != ExecutorSpec::None {
            return Some("groups of several tasks are not supported yet".into());
        }
        let ids = launch.tasks.iter().map(TaskId::as_str).chain([launch.instance.as_str()]);
        for id in ids {
            if !is_file_name(id) {
                return Some(format!("{id:?} cannot be an id: it is the name of a directory here"));
            }
        }
        if let Some(task) = launch.tasks.iter().find(|task| self.tasks.contains_key(*task)) {
            return Some(format!("task {task} is already on this agent"));
        }
        let argv = group.tasks[0].command.argv();
        let image_says = argv.is_empty() && group.tasks[0].container.image.is_some();
        if image_says {
            return None;
        }
        if argv.first().is_none_or(String::is_empty) || argv.iter().any(|part| part.contains('\0')) {
            return Some("the task has no command that could be executed".into());
        }
        None
    }

    fn plan(&self, launch: &Launch) -> ShimPlan {
        let spec = &launch.group.tasks[0];
        ShimPlan {
            instance: launch.instance.clone(),
            task: launch.tasks[0].clone(),
            command: spec.command.clone(),
            env: environment(&self.config, launch, 0),
            secret_env: spec.secret_env.clone().into_iter().collect(),
            container: spec.container.clone(),
            network: spec.network.clone(),
            ports: own_ports(launch, 0).to_vec(),
            artifacts: spec.artifacts.clone(),
            stop_signal: None,
            user: spec.user.clone(),
            sandbox: self.config.sandbox(&launch.tasks[0]),
            limits: launch.allocation.clone(),
            cpu_quota: spec.cpu_quota,
            deadline: self.session.deadline(),
        }
    }

    pub(crate) fn kill(
        &mut self,
        now: Timestamp,
        instance: &InstanceId,
        tasks: Vec<TaskId>,
        grace_ms: Option<u64>,
        message: String,
    ) {
        let Some(group) = self.saved.groups().get(instance) else {
            if !self.saved.is_released(instance) {
                // What is said to be gone must stay so, even if its launch is still on its way.
                let (instance, tasks) = (instance.clone(), tasks.clone());
                self.save(Record::Released(Released { instance, tasks, at: now }));
                self.collect(now);
            }
            for task in tasks {
                // Not kept: whoever asks again is answered again. No sequence of the task is known any more, so the time
                // stands for it: higher than any count.
                let status = TaskStatus::new(task, instance.clone(), now.0, TaskState::Gone, now)
                    .because(Reason::ReasonTaskUnknown, "this agent does not hold the task");
                self.send(ToMasterBody::Update(status));
            }
            return;
        };
        if group.is_terminal() {
            self.repeat_updates(instance);
            return;
        }
        let grace_ms = grace_ms.unwrap_or(group.launch.group.tasks[0].kill_grace_ms);
        let earlier = group.kill.clone();
        let drain_until = match &earlier {
            Some(kill) => kill.drain_until,
            None => drains(group).map(|drain_ms| now + drain_ms),
        };
        let until = drain_until.map_or(now, |drained| drained.max(now)) + grace_ms;
        if earlier.as_ref().is_some_and(|kill| kill.until <= until) {
            return;
        }
        let ran = group.running_since.is_some();
        let kill = Kill {
            at: earlier.as_ref().map_or(now, |kill| kill.at),
            until,
            ran: earlier.as_ref().map_or(ran, |kill| kill.ran),
            message: message.clone(),
            drain_until,
        };
        self.save(Record::Killing { instance: instance.clone(), kill });
        if earlier.is_none() {
            self.report(now, instance, 0, TaskState::Killing, |status| {
                status.message = message;
                // Whoever follows the health of instances sends nobody here any more.
                status.healthy = status.healthy.map(|_| false);
                for result in status.health.iter_mut().filter(|result| result.alive == Some(true)) {
                    result.alive = Some(false);
                }
            });
        }
        self.begin_end(now, instance);
    }

    /// Has a group that is to end stopped, once the world had time to hear of it.
    pub(crate) fn begin_end(&mut self, now: Timestamp, instance: &InstanceId) {
        let Some(kill) = self.saved.groups().get(instance).and_then(|group| group.kill.as_ref()) else {
            return;
        };
        match kill.drain_until.filter(|drained| *drained > now) {
            Some(drained) => self.timers.set(drained, Timer::Drain(instance.clone())),
            None => self.stop(now, instance, kill.until.since(now)),
        }
    }

    pub(crate) fn drained(&mut self, now: Timestamp, instance: &InstanceId) {
        // One that was told already is not told again.
        if self.live.get(instance).is_some_and(|live| live.grace_over_at.is_none()) {
            self.begin_end(now, instance);
        }
    }

    /// Tells the shim to stop the group, and looks after it.
    pub(crate) fn stop(&mut self, now: Timestamp, instance: &InstanceId, grace_ms: u64) {
        self.out.push(Output::StopGroup { instance: instance.clone(), grace_ms });
        self.look_again(now + grace_ms + GRACE_SLACK_MS, instance);
    }

    fn look_again(&mut self, at: Timestamp, instance: &InstanceId) {
        if let Some(live) = self.live.get_mut(instance) {
            live.grace_over_at = Some(at);
            self.timers.set(at, Timer::Grace(instance.clone()));
        }
    }

    pub(crate) fn grace_over(&mut self, now: Timestamp, instance: &InstanceId) {
        if self.live.get(instance).is_some_and(|live| live.grace_over_at.is_some_and(|at| at <= now)) {
            self.out.push(Output::KillGroup { instance: instance.clone() });
            self.look_again(now + GRACE_SLACK_MS, instance);
        }
    }

    pub(crate) fn preparing(&mut self, now: Timestamp, instance: &InstanceId, message: String) {
        self.report(now, instance, 0, TaskState::Starting, |status| status.message = message);
    }

    pub(crate) fn started(&mut self, now: Timestamp, instance: &InstanceId, addresses: Vec<String>) {
        if self.report(now, instance, 0, TaskState::Running, |status| status.addresses = addresses) {
            self.begin_checks(now, instance);
        }
    }

    pub(crate) fn launch_failed(&mut self, now: Timestamp, instance: &InstanceId, message: String) {
        let end = |_: &SavedGroup| {
            End::new(TaskState::Failed, Some(Reason::ReasonContainerLaunchFailed), message.clone())
        };
        self.end_all(now, instance, end);
    }

    pub(crate) fn exited(
        &mut self,
        now: Timestamp,
        instance: &InstanceId,
        exit: Exit,
        limitation: Option<Limitation>,
        message: String,
    ) {
        let (state, reason, words) = match (exit, &limitation) {
            (_, Some(broken)) => (
                TaskState::Failed,
                Some(Reason::ReasonContainerLimitationMemory),
                format!("memory limit exceeded: used {}, limit {}", mib(broken.used), mib(broken.limit)),
            ),
            (Exit::Code(0), None) => (TaskState::Finished, None, "command exited with status 0".to_owned()),
            (Exit::Code(code), None) => (
                TaskState::Failed,
                Some(Reason::ReasonCommandExecutorFailed),
                format!("command exited with status {code}"),
            ),
            (Exit::Signal(signal), None) => (
                TaskState::Failed,
                Some(Reason::ReasonCommandExecutorFailed),
                format!("command ended by signal {signal}"),
            ),
        };
        let words = if message.is_empty() { words } else { format!("{words}: {message}") };
        self.end_all(now, instance, |_| End {
            exit: Some(exit),
            limitation: limitation.clone(),
            ..End::new(state, reason, words.clone())
        });
    }

    pub(crate) fn shim_gone(&mut self, now: Timestamp, instance: &InstanceId, message: String) {
        let words =
            if message.is_empty() { "the task's shim died; what was left was ended".into() } else { message };
        let end = |_: &SavedGroup| {
            End::new(TaskState::Failed, Some(Reason::ReasonExecutorTerminated), words.clone())
        };
        self.end_all(now, instance, end);
    }

    /// The group is not on this machine, and did not end before our eyes.
    pub(crate) fn lost(&mut self, now: Timestamp, instance: &InstanceId, state: TaskState, words: &str) {
        self.end_all(now, instance, |_| {
            End::new(state, Some(Reason::ReasonAgentRestarted), words.to_owned())
        });
    }

    /// Ends every task of a group, once. One that somebody wanted to end counts as killed, however it did.
    fn end_all(&mut self, now: Timestamp, instance: &InstanceId, end: impl Fn(&SavedGroup) -> End) {
        let Some(group) = self.saved.groups().get(instance).filter(|group| !group.is_terminal()) else {
            return;
        };
        let mut end = end(group);
        if let Some(kill) = &group.kill {
            end.state = TaskState::Killed;
            end.reason = (!kill.ran).then_some(Reason::ReasonTaskKilledDuringLaunch);
            if !kill.message.is_empty() {
                end.message = kill.message.clone();
            }
        }
        let started = self.live.remove(instance).is_some();
        for index in 0..group.launch.tasks.len() {
            self.report(now, instance, index, end.state, |status| {
                status.reason = end.reason;
                status.message = end.message.clone();
                status.exit = end.exit;
                status.limitation = end.limitation.clone();
            });
        }
        if started {
            self.out.push(Output::CleanUp { instance: instance.clone() });
        }
    }

    /// The one place where a task's state changes: makes, stores and sends an update. False if the task cannot come into
    /// that state any more.
    pub(crate) fn report(
        &mut self,
        now: Timestamp,
        instance: &InstanceId,
        index: usize,
        state: TaskState,
        detail: impl FnOnce(&mut TaskStatus),
    ) -> bool {
        let Some(group) = self.saved.groups().get(instance) else { return false };
        let newest = group.statuses[index].as_ref();
        let again = state == TaskState::Running && newest.is_some_and(|newest| newest.state == state);
        let allowed = newest.map_or(TaskState::Staging, |newest| newest.state).may_become(state);
        if !allowed {
            return false;
        }
        let sequence =
            newest.filter(|_| !planted(Bug::UpdatesNotNumbered)).map_or(0, |newest| newest.sequence) + 1;
        let task = group.launch.tasks[index].clone();
        let mut status = TaskStatus::new(task, instance.clone(), sequence, state, now);
        if let Some(live) = self.live.get(instance).filter(|_| !state.is_terminal()) {
            status.healthy = health::healthy(&live.health);
            status.health = live.health.clone();
            status.readiness = live.readiness.iter().map_while(Clone::clone).collect();
            status.check = live.check;
        }
        status.addresses = newest.map(|newest| newest.addresses.clone()).unwrap_or_default();
        detail(&mut status);
        if again && status.reason.is_none() {
            // Said before, and nothing new.
            return false;
        }
        self.save(Record::Status(Box::new(status.clone())));
        self.send(ToMasterBody::Update(status));
        true
    }

    fn repeat_updates(&mut self, instance: &InstanceId) {
        for update in self.saved.groups()[instance].unacknowledged.clone() {
            self.send(ToMasterBody::Update(update));
        }
    }
}

/// How long a group that shall end goes on so that others can turn away from it first; None: nobody has to.
fn drains(group: &SavedGroup) -> Option<u64> {
    let spec = &group.launch.group.tasks[0];
    let status = group.statuses[0].as_ref()?;
    let wanted = status.state == TaskState::Running && status.healthy != Some(false);
    Some(spec.drain_ms).filter(|drain_ms| wanted && *drain_ms > 0)
}

/// Whether an id can be the name of a directory and means nothing else as one.
fn is_file_name(id: &str) -> bool {
    !id.is_empty() && id.len() <= 255 && id != "." && id != ".." && !id.contains(['/', '\0'])
}

/// Bytes in MiB with one decimal.
fn mib(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) / hansa_model::resources::MIB;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
