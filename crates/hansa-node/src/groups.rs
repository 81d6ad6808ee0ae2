//! A group's life on this agent: accepted, started, told to stop, ended.

use crate::env::{environment, own_ports};
use crate::executors::ExecutorEnd;
use crate::health;
use crate::io::{Output, ShimPlan};
use crate::node::Node;
use crate::probing::Rhythm;
use crate::saved::{Kill, KillCause, Record, Released, SavedGroup};
use crate::timers::Timer;
use hansa_link::ToMasterBody;
use hansa_model::framework::{Capability, ExecutorKind};
use hansa_model::planted::{Bug, planted};
use hansa_model::spec::{ExecutorSpec, Launch, TaskSpec};
use hansa_model::task::{
    CheckResult, Exit, HealthResult, Limitation, ReadinessResult, Reason, TaskState, TaskStatus,
};
use hansa_model::{AgentId, BootId, InstanceId, TaskId, Timestamp};

/// A group that outlives its grace by this much is killed once more, shim included, and again each time.
const GRACE_SLACK_MS: u64 = 2_000;

/// What is not stored of a container that the agent itself runs and that has not ended.
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
#[derive(Clone, Debug)]
pub(crate) struct End {
    state: TaskState,
    reason: Option<Reason>,
    message: String,
    exit: Option<Exit>,
    limitation: Option<Limitation>,
}

impl End {
    pub(crate) fn new(state: TaskState, reason: Option<Reason>, message: String) -> Self {
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
        let run = launch.framework.as_ref().and_then(|of| of.executor.clone());
        self.use_volumes(&launch);
        self.save(Record::Group(Box::new(SavedGroup::new(now, self.config.boot.clone(), launch))));
        for task in tasks {
            self.tasks.entry(task).or_insert_with(|| instance.clone());
        }
        if let Some(words) = refusal {
            let end = End::new(TaskState::Error, Some(Reason::ReasonTaskInvalid), words);
            return self.end_all(now, &instance, &end);
        }
        if let Some(run) = run {
            return self.give_to_executor(now, &instance, &run);
        }
        self.live.insert(instance.clone(), Task::default());
        self.report(now, &instance, 0, TaskState::Starting, |_| {});
        let plan = self.plan(&self.saved.groups()[&instance].launch, 0);
        self.out.push(Output::StartGroup(Box::new(plan)));
    }

    /// Why a group cannot be run at all, in words.
    fn refuses(&self, launch: &Launch) -> Option<String> {
        let group = &launch.group;
        if group.tasks.is_empty() || group.tasks.len() != launch.tasks.len() {
            return Some(format!("{} tasks but {} task ids", group.tasks.len(), launch.tasks.len()));
        }
        let of = launch.framework.as_deref();
        if of.is_some_and(|of| of.tasks.len() != launch.tasks.len()) {
            return Some("the framework's tasks are not those of the group".into());
        }
        let run = of.and_then(|of| of.executor.as_deref());
        if run.is_none() && (group.tasks.len() > 1 || group.executor != ExecutorSpec::None) {
            return Some("groups of several tasks need a framework's executor".into());
        }
        let ids = launch.tasks.iter().map(TaskId::as_str).chain([launch.instance.as_str()]);
        let ids = ids.chain(of.into_iter().flat_map(|of| &of.tasks).map(|task| task.id.as_str()));
        for id in ids.chain(run.map(|run| run.container.as_str())) {
            if !is_file_name(id) {
                return Some(format!("{id:?} cannot be an id: it is the name of a directory here"));
            }
        }
        if let Some(task) = launch.tasks.iter().find(|task| self.tasks.contains_key(*task)) {
            return Some(format!("task {task} is already on this agent"));
        }
        match run {
            Some(run) if run.kind == ExecutorKind::Custom => {
                lacks_command(&run.spec).then(|| "the executor has no command that could be executed".into())
            }
            _ => {
                let lacks = group.tasks.iter().any(lacks_command);
                lacks.then(|| "the task has no command that could be executed".into())
            }
        }
    }

    /// How to run the task at this place.
    pub(crate) fn plan(&self, launch: &Launch, index: usize) -> ShimPlan {
        let spec = &launch.group.tasks[index];
        let mut plan = ShimPlan {
            instance: launch.instance.clone(),
            task: launch.tasks[index].clone(),
            inside: None,
            placeholder: false,
            command: spec.command.clone(),
            env: environment(&self.config, launch, index),
            secret_env: spec.secret_env.clone().into_iter().collect(),
            container: spec.container.clone(),
            network: spec.network.clone(),
            ports: own_ports(launch, index).to_vec(),
            artifacts: spec.artifacts.clone(),
            stop_signal: None,
            user: spec.user.clone(),
            sandbox: self.config.sandbox(&launch.tasks[index]),
            limits: launch.allocation.clone(),
            cpu_quota: spec.cpu_quota,
            burst: spec.limits.clone(),
            volumes: Vec::new(),
            deadline: self.session.deadline(),
        };
        self.plan_of_task(launch, index, &mut plan);
        plan
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
        self.end_group(now, instance, KillCause::Asked, grace_ms, message);
    }

    /// Has a group ended; a sooner end than one asked for before wins.
    pub(crate) fn end_group(
        &mut self,
        now: Timestamp,
        instance: &InstanceId,
        cause: KillCause,
        asked_ms: Option<u64>,
        message: String,
    ) {
        let Some(group) = self.saved.groups().get(instance).filter(|group| !group.is_terminal()) else {
            return;
        };
        let longest = group.launch.group.tasks.iter().map(|task| task.kill_grace_ms).max();
        let grace_ms = asked_ms.or(longest).unwrap_or(0);
        let earlier = group.kill.clone();
        let drain_until = match &earlier {
            Some(kill) => kill.drain_until,
            None => drains(group).map(|drain_ms| now + drain_ms),
        };
        let until = drain_until.map_or(now, |drained| drained.max(now)) + grace_ms;
        let custom = group.is_custom();
        let sooner = earlier.as_ref().is_none_or(|kill| kill.until > until);
        if sooner {
            let ran = group.running_since.is_some();
            let kill = Kill {
                at: earlier.as_ref().map_or(now, |kill| kill.at),
                until,
                ran: earlier.as_ref().map_or(ran, |kill| kill.ran),
                message: message.clone(),
                drain_until,
                cause: earlier.as_ref().map_or(cause, |kill| kill.cause),
            };
            self.save(Record::Killing { instance: instance.clone(), kill });
        }
        if custom {
            // It may not have heard, and is told again each time.
            return self.kill_by_executor(now, instance, asked_ms, &message);
        }
        if !sooner {
            return;
        }
        if earlier.is_none() {
            self.say_killing(now, instance, &message);
        }
        let undelivered =
            self.saved.groups().get(instance).is_some_and(|group| group.is_pod() && !group.delivered);
        if undelivered {
            let reason = Some(Reason::ReasonTaskKilledDuringLaunch);
            return self.end_all(now, instance, &End::new(TaskState::Killed, reason, message));
        }
        self.begin_end(now, instance);
    }

    /// Says of each task of a group that it is being ended, if its owner understands that.
    fn say_killing(&mut self, now: Timestamp, instance: &InstanceId, message: &str) {
        let Some(group) = self.saved.groups().get(instance) else { return };
        let of = group.launch.framework.as_ref();
        if of.is_some_and(|of| !of.framework.can(Capability::TaskKillingState)) {
            return;
        }
        for index in 0..group.launch.tasks.len() {
            self.report(now, instance, index, TaskState::Killing, |status| {
                status.message = message.to_owned();
                // Whoever follows the health of instances sends nobody here any more.
                status.healthy = status.healthy.map(|_| false);
                for result in status.health.iter_mut().filter(|result| result.alive == Some(true)) {
                    result.alive = Some(false);
                }
            });
        }
    }

    /// Has a group that is to end stopped, once the world had time to hear of it.
    pub(crate) fn begin_end(&mut self, now: Timestamp, instance: &InstanceId) {
        let Some(group) = self.saved.groups().get(instance) else { return };
        let Some(kill) = group.kill.as_ref() else { return };
        match kill.drain_until.filter(|drained| *drained > now) {
            Some(drained) => self.timers.set(drained, Timer::Drain(instance.clone())),
            None => {
                let grace_ms = kill.until.since(now);
                let containers = (0..group.launch.tasks.len()).map(|index| group.container(index));
                for container in containers.collect::<Vec<_>>() {
                    if self.live.contains_key(&container) {
                        self.stop(now, &container, grace_ms);
                    }
                }
            }
        }
    }

    pub(crate) fn drained(&mut self, now: Timestamp, instance: &InstanceId) {
        // One that was told already is not told again.
        if self.live.get(instance).is_some_and(|live| live.grace_over_at.is_none()) {
            self.begin_end(now, instance);
        }
    }

    /// The task of this container has run for as long as it may.
    pub(crate) fn too_long(&mut self, now: Timestamp, container: &InstanceId) {
        let Some((instance, index)) = self.task_in(container).filter(|_| self.live.contains_key(container))
        else {
            return;
        };
        let group = &self.saved.groups()[&instance];
        let Some(most_ms) = group.launch.group.tasks[index].max_run_ms else { return };
        // Of a framework's tasks nobody waits for one that had its time.
        let message = format!("ran for longer than {most_ms} ms, its longest time");
        self.end_group(now, &instance, KillCause::TooLong, None, message);
    }

    /// Has the task of this container ended when it has run for as long as it may.
    pub(crate) fn limit_time(&mut self, container: &InstanceId) {
        let Some((instance, index)) = self.task_in(container) else { return };
        let group = &self.saved.groups()[&instance];
        if let (Some(since), Some(most_ms)) =
            (group.running_since, group.launch.group.tasks[index].max_run_ms)
        {
            self.timers.set(since + most_ms, Timer::TooLong(container.clone()));
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

    pub(crate) fn preparing(&mut self, now: Timestamp, container: &InstanceId, message: String) {
        if let Some((instance, index)) = self.task_in(container) {
            self.report(now, &instance, index, TaskState::Starting, |status| status.message = message);
        }
    }

    pub(crate) fn started(&mut self, now: Timestamp, container: &InstanceId, addresses: Vec<String>) {
        if self.saved.executors().contains_key(container) {
            return self.executor_started(now, container, addresses);
        }
        let Some((instance, index)) = self.task_in(container) else { return };
        let own = self.saved.groups()[&instance].executor().map(|run| run.container.clone());
        let shared = own.and_then(|own| self.saved.executors().get(&own)).map(|held| held.addresses.clone());
        let addresses = shared.unwrap_or(addresses);
        if self.report(now, &instance, index, TaskState::Running, |status| status.addresses = addresses) {
            self.begin_checks(now, container);
            self.limit_time(container);
        }
    }

    pub(crate) fn launch_failed(&mut self, now: Timestamp, container: &InstanceId, message: String) {
        if self.saved.executors().contains_key(container) {
            return self.executor_ended(now, container, ExecutorEnd::LaunchFailed { message });
        }
        let end = End::new(TaskState::Failed, Some(Reason::ReasonContainerLaunchFailed), message);
        self.end_container(now, container, &end);
    }

    /// A container that the agent runs for a task has ended.
    pub(crate) fn exited(
        &mut self,
        now: Timestamp,
        container: &InstanceId,
        exit: Exit,
        limitation: Option<Limitation>,
        message: String,
    ) {
        let framework = self.task_in(container).is_some_and(|(instance, _)| {
            self.saved.groups().get(&instance).is_some_and(|group| group.launch.framework.is_some())
        });
        // As Mesos does: that its command failed is no failure of what runs it.
        let failed = (!framework).then_some(Reason::ReasonCommandExecutorFailed);
        // Schedulers of Mesos read these words.
        let command = if framework { "Command" } else { "command" };
        let (state, reason, words) = match (exit, &limitation) {
            (_, Some(broken)) => (
                TaskState::Failed,
                Some(Reason::ReasonContainerLimitationMemory),
                format!("memory limit exceeded: used {}, limit {}", mib(broken.used), mib(broken.limit)),
            ),
            (Exit::Code(0), None) => (TaskState::Finished, None, format!("{command} exited with status 0")),
            (Exit::Code(code), None) => {
                (TaskState::Failed, failed, format!("{command} exited with status {code}"))
            }
            (Exit::Signal(signal), None) if framework => (
                TaskState::Failed,
                failed,
                format!("{command} terminated with signal {}", signal_name(signal)),
            ),
            (Exit::Signal(signal), None) => {
                (TaskState::Failed, failed, format!("{command} ended by signal {signal}"))
            }
        };
        let words = if message.is_empty() { words } else { format!("{words}; {message}") };
        let end = End { exit: Some(exit), limitation, ..End::new(state, reason, words) };
        self.end_container(now, container, &end);
    }

    pub(crate) fn shim_gone(&mut self, now: Timestamp, container: &InstanceId, message: String) {
        if self.saved.executors().contains_key(container) {
            return self.executor_ended(now, container, ExecutorEnd::ShimGone { message });
        }
        let words =
            if message.is_empty() { "the task's shim died; what was left was ended".into() } else { message };
        let end = End::new(TaskState::Failed, Some(Reason::ReasonExecutorTerminated), words);
        self.end_container(now, container, &end);
    }

    /// The group is not on this machine, and did not end before our eyes.
    pub(crate) fn lost(&mut self, now: Timestamp, instance: &InstanceId, state: TaskState, words: &str) {
        self.end_all(now, instance, &End::new(state, Some(Reason::ReasonAgentRestarted), words.to_owned()));
    }

    fn end_container(&mut self, now: Timestamp, container: &InstanceId, end: &End) {
        if let Some((instance, index)) = self.task_in(container) {
            self.end_task(now, &instance, index, end);
        }
    }

    /// Ends every task of a group, once.
    pub(crate) fn end_all(&mut self, now: Timestamp, instance: &InstanceId, end: &End) {
        let tasks = self.saved.groups().get(instance).map_or(0, |group| group.launch.tasks.len());
        for index in 0..tasks {
            self.end_task(now, instance, index, end);
        }
    }

    /// Ends a task, once. One that somebody wanted to end counts as killed, however it did.
    pub(crate) fn end_task(&mut self, now: Timestamp, instance: &InstanceId, index: usize, end: &End) {
        let Some(group) = self.saved.groups().get(instance) else { return };
        let ended = |status: &TaskStatus| status.state.is_terminal();
        if group.statuses.get(index).is_none_or(|status| status.as_ref().is_some_and(ended)) {
            return;
        }
        let container = group.container(index);
        let newest = group.statuses[index].as_ref();
        let mut end = end.clone();
        let mut healthy = None;
        // What a framework's own executor did not end is for it to explain.
        if let Some(kill) = group.kill.as_ref().filter(|_| !group.is_custom()) {
            end.state = TaskState::Killed;
            end.reason = (!kill.ran).then_some(Reason::ReasonTaskKilledDuringLaunch);
            match kill.cause {
                KillCause::TooLong => {
                    end.state = TaskState::Failed;
                    end.reason = Some(Reason::ReasonMaxCompletionTimeReached);
                }
                // Of several tasks only the sick one is.
                KillCause::Unhealthy => {
                    healthy = newest.and_then(|newest| newest.healthy).filter(|healthy| !healthy)
                }
                KillCause::Surroundings => {
                    end.state = TaskState::Failed;
                    end.reason = Some(Reason::ReasonExecutorTerminated);
                }
                KillCause::Asked | KillCause::Sibling => {}
            }
            if !kill.message.is_empty() {
                end.message = kill.message.clone();
            }
        }
        let pod = group.is_pod();
        let custom = group.is_custom();
        let started = !custom && self.live.remove(&container).is_some();
        let state = end.state;
        self.report(now, instance, index, state, |status| {
            status.reason = end.reason;
            status.message = end.message;
            status.exit = end.exit;
            status.limitation = end.limitation;
            status.healthy = healthy;
        });
        if started {
            self.out.push(Output::CleanUp { instance: container });
        }
        if pod && state != TaskState::Finished {
            let words = format!("task {} of its group ended as {state}", self.name_in(instance, index));
            self.end_group(now, instance, KillCause::Sibling, None, words);
        }
        self.settle_group(now, instance);
    }

    fn name_in(&self, instance: &InstanceId, index: usize) -> String {
        let of = self.saved.groups().get(instance).and_then(|group| group.launch.framework.as_ref());
        of.and_then(|of| of.tasks.get(index)).map(|task| task.id.clone()).unwrap_or_default()
    }

    /// What follows once a task of a group, or every one, has ended.
    pub(crate) fn settle_group(&mut self, now: Timestamp, instance: &InstanceId) {
        let Some(group) = self.saved.groups().get(instance) else { return };
        let terminal = group.is_terminal();
        match group.executor().map(|run| run.container.clone()) {
            Some(container) if terminal => self.executor_freed(now, &container, instance),
            // What only one of its tasks had goes with that.
            Some(container) => self.furnish(&container),
            None => {}
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
        if let Some(live) = self.live.get(&group.container(index)).filter(|_| !state.is_terminal()) {
            status.healthy = health::healthy(&live.health);
            status.health = live.health.clone();
            status.readiness = live.readiness.iter().map_while(Clone::clone).collect();
            status.check = live.check;
        }
        if !group.is_custom() {
            // What came over the wire may have fewer specs than tasks: such a group ends at once, and says so.
            let check = group.launch.group.tasks.get(index).and_then(|task| task.check.as_ref());
            status.check_kind = check.map(|check| check.question.kind());
        }
        let custom = group.executor().filter(|_| group.is_custom());
        status.addresses = match custom.and_then(|run| self.saved.executors().get(&run.container)) {
            Some(held) => held.addresses.clone(),
            None => newest.map(|newest| newest.addresses.clone()).unwrap_or_default(),
        };
        detail(&mut status);
        if again && status.reason.is_none() && status.executor.is_none() {
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

/// Whether nothing says what to execute.
fn lacks_command(spec: &TaskSpec) -> bool {
    let argv = spec.command.argv();
    if argv.is_empty() && spec.container.image.is_some() {
        // The image says it.
        return false;
    }
    argv.first().is_none_or(String::is_empty) || argv.iter().any(|part| part.contains('\0'))
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

/// A signal as the C library calls it: what schedulers of Mesos show to people.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "Hangup",
        2 => "Interrupt",
        3 => "Quit",
        4 => "Illegal instruction",
        5 => "Trace/breakpoint trap",
        6 => "Aborted",
        7 => "Bus error",
        8 => "Floating point exception",
        9 => "Killed",
        10 => "User defined signal 1",
        11 => "Segmentation fault",
        12 => "User defined signal 2",
        13 => "Broken pipe",
        14 => "Alarm clock",
        15 => "Terminated",
        24 => "CPU time limit exceeded",
        25 => "File size limit exceeded",
        31 => "Bad system call",
        other => return format!("{other}"),
    };
    name.to_owned()
}
