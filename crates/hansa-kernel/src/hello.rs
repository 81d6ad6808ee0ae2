//! An agent says hello with everything it holds, and both sides converge from there.
//!
//! - What it holds and is assigned to it: its word counts; a kill that was asked for is sent again.
//! - What it holds and was given up, or belongs to another machine by now: is killed there.
//! - What it holds and nobody knows: is **adopted** (the store may be older than the agents), even if it does not fit.
//! - What is assigned to it and it does not hold: launched again if it never said that it took it and the machine has
//!   not booted since, unless what was adopted needs its place; else it is over.

use crate::agents::Agent;
use crate::book::what_remains;
use crate::command::{Effect, Refusal};
use crate::frameworks::Held as Parts;
use crate::groups::{Group, Task};
use crate::record::{AgentRecord, GivenUpRecord, Record};
use crate::{Kernel, Step};
use hansa_model::agent::{GroupReport, Hello};
use hansa_model::event::{AgentState, Event, TaskChange, TaskView};
use hansa_model::planted::{Bug, planted};
use hansa_model::scheduler::{Answer, Notice};
use hansa_model::spec::Launch;
use hansa_model::task::{Reason, TaskState, TaskStatus};
use hansa_model::words::counted;
use hansa_model::{AgentId, BootId, TaskId};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Kernel {
    /// An agent's stream began.
    pub(crate) fn agent_connected(&mut self, step: &mut Step, mut hello: Hello) -> Result<Answer, Refusal> {
        let Some(id) = hello.agent.clone() else {
            return Err(Refusal::Invalid("a hello without an agent id".into()));
        };
        let Some(boot) = hello.boot.clone() else {
            let reason = "a hello without a boot id".to_string();
            step.effect(Effect::Refuse { agent: id, reason: reason.clone() });
            return Err(Refusal::Invalid(reason));
        };
        if self.is_hostname_taken(&id, &hello.hostname) {
            let reason = format!("the host name {} belongs to another agent that is alive", hello.hostname);
            step.effect(Effect::Refuse { agent: id, reason });
            return Err(Refusal::HostnameTaken(hello.hostname));
        }
        let reports = std::mem::take(&mut hello.groups);
        let (executors, volumes) = (std::mem::take(&mut hello.executors), std::mem::take(&mut hello.volumes));
        let was_told = self.is_told_unreachable(&id);
        let is_new = !self.agents.contains_key(&id);
        self.rescind_on(step, &id);
        self.admit(step, &id, hello);
        if is_new && !(reports.is_empty() && executors.is_empty()) {
            // The world knows a machine before its tasks.
            self.show_agent(step, &id);
        }
        let (mut ours, mut reported) = (BTreeSet::new(), BTreeSet::new());
        let mut adopted = 0_u64;
        for report in reports {
            // A machine holds an instance once; what repeats itself is passed over.
            if !reported.insert(report.launch.instance.clone()) {
                continue;
            }
            match self.converge(step, &id, was_told, report) {
                Held::Assigned(number) => drop(ours.insert(number)),
                Held::Adopted(number) => {
                    ours.insert(number);
                    adopted += 1;
                }
                Held::Unwanted => {}
            }
        }
        for number in self.numbers_on(&id) {
            if !ours.contains(&number) {
                self.not_held(step, number, &boot, was_told, adopted > 0);
            }
        }
        self.converge_executors(step, &id, executors);
        let given_up: Vec<u64> = self.agents[&id].given_up.iter().copied().collect();
        for number in given_up {
            if self.given_up.get(number).is_some_and(|entry| !reported.contains(&entry.record.instance)) {
                self.forget_given_up(step, number);
            }
        }
        self.converge_volumes(step, &id, volumes);
        self.configure_pots(step, &id);
        if let Some(agent) = self.agents.get_mut(&id) {
            agent.settling = false;
        }
        self.recount(&id);
        self.book.touch(&id);
        self.show_agent(step, &id);
        if adopted > 0 {
            step.event(Event::Alarm {
                code: "groups-adopted",
                message: format!(
                    "agent {id} holds {} that nobody here knew; what is in there lives on",
                    counted(adopted, "group")
                ),
            });
        }
        Ok(Answer::Done)
    }

    fn is_hostname_taken(&self, id: &AgentId, hostname: &str) -> bool {
        self.hostnames
            .get(hostname)
            .filter(|other| *other != id)
            .and_then(|other| self.agents.get(other))
            .is_some_and(|other| other.unreachable_since.is_none())
    }

    /// Admits an agent, or takes up what is new about it; its free resources are counted later.
    fn admit(&mut self, step: &mut Step, id: &AgentId, hello: Hello) {
        let now = step.now;
        let before = self.agents.get(id).map(Agent::record);
        if !self.agents.contains_key(id) {
            let record = AgentRecord {
                hello: hello.clone(),
                registered_at: now,
                unreachable_since: None,
                wanted: AgentState::Active,
                drain_grace_ms: None,
            };
            let mut agent = Agent::new(now, record);
            agent.given_up = self
                .given_up
                .iter()
                .filter(|(_, entry)| entry.record.agent == *id)
                .map(|(number, _)| number)
                .collect();
            self.agents.insert(id.clone(), agent);
        }
        let Some(agent) = self.agents.get_mut(id) else { return };
        let state = agent.state();
        if *agent.hostname != *hello.hostname {
            if self.hostnames.get(&agent.hostname) == Some(id) {
                self.hostnames.remove(&agent.hostname);
            }
            agent.hostname = hello.hostname.as_str().into();
            for &number in &agent.groups {
                rename_host(step, self.groups.get_mut(number), &agent.hostname);
            }
        }
        self.hostnames.insert(agent.hostname.clone(), id.clone());
        agent.hello = hello;
        agent.connected = true;
        agent.greeted = true;
        agent.last_contact = now;
        agent.returns_by = None;
        let unreachable_since = agent.unreachable_since.take();
        agent.settling = true;
        if agent.state() != state {
            agent.since = now;
        }
        let record = agent.record();
        let node = agent.node(id);
        if before.as_ref() != Some(&record) {
            step.record(Record::PutAgent(Box::new(record)));
        }
        self.book.upsert(node);
        self.losses.forget(id, unreachable_since);
        self.set_deadline(id);
    }

    /// One group that the agent holds.
    fn converge(&mut self, step: &mut Step, id: &AgentId, was_told: bool, report: GroupReport) -> Held {
        let instance = &report.launch.instance;
        let over = is_over(&report);
        let assigned = self.groups.number_of(instance);
        let here = assigned.and_then(|number| self.groups.get(number)).filter(|group| group.agent() == id);
        if let (Some(number), Some(group)) = (assigned, here)
            && group.has_tasks(&report.launch.tasks)
        {
            self.take_report(step, number, was_told, report);
            return Held::Assigned(number);
        }
        let here = here.is_some();
        if let Some(number) = self.given_up.number_of(id, instance) {
            self.report_given_up(step, id, number, over, report);
        } else if over
            && self.waits_for_framework(&report)
            && let Some(number) = self.adopt_for_framework(step, id, report.clone())
        {
            return Held::Assigned(number);
        } else if over {
            // Its end is known already, or nobody waits for it.
            acknowledge_all(step, id, &report);
            step.effect(Effect::Release { agent: id.clone(), instance: instance.clone() });
        } else if here {
            // Other tasks under the name of a group that is to run here: they make room.
            step.effect(Effect::Kill {
                agent: id.clone(),
                instance: instance.clone(),
                tasks: report.launch.tasks,
                grace_ms: None,
                message: "another group of its name is assigned to this machine".into(),
            });
        } else if assigned.is_some()
            || report.launch.tasks.iter().any(|task| self.groups.is_taken(task))
            || !is_sound(&report.launch)
            || !self.is_adoptable(&report.launch)
        {
            let number = self.new_number();
            let record = GivenUpRecord {
                instance: instance.clone(),
                tasks: report.launch.tasks.clone(),
                agent: id.clone(),
                at: Some(step.now),
            };
            self.remember_given_up(step, number, record, None);
            self.report_given_up(step, id, number, false, report);
        } else {
            if report.launch.framework.is_some() {
                // Nothing of frameworks' groups is stored: all of them are found like this.
                return match self.adopt_for_framework(step, id, report) {
                    Some(number) => Held::Assigned(number),
                    None => Held::Unwanted,
                };
            }
            return Held::Adopted(self.adopt(step, id, report));
        }
        Held::Unwanted
    }

    /// Takes over what an agent says of a group that is assigned to it.
    fn take_report(&mut self, step: &mut Step, number: u64, was_told: bool, report: GroupReport) {
        let Some(group) = self.groups.get_mut(number) else { return };
        group.accepted = true;
        let group_of_framework = group.framework.is_some();
        let (owner, id, instance) = (group.owner().clone(), group.agent().clone(), group.instance().clone());
        if was_told && !is_over(&report) {
            step.notice(owner, Notice::Reachable { instance: instance.clone() });
        }
        let returns = was_told && group_of_framework && !is_over(&report);
        let waiting = report.unacknowledged.len();
        for (at, status) in report.unacknowledged.into_iter().chain(report.statuses).enumerate() {
            let Some(group) = self.groups.get(number) else {
                // It has ended with what came before, and was acknowledged and released then.
                return;
            };
            if let Some(position) = group.position(&status.task) {
                self.task_said(step, number, position, status, at < waiting);
            } else if at < waiting {
                step.effect(Effect::Acknowledge {
                    agent: id.clone(),
                    task: status.task,
                    sequence: status.sequence,
                });
            }
        }
        self.back_to_staging(step, number);
        if returns {
            self.tell_framework_reachable(step, number);
        }
        self.send_kill(step, number);
    }

    /// Whether a framework is still to hear of what an agent holds, and is there to hear it.
    fn waits_for_framework(&self, report: &GroupReport) -> bool {
        let launch = &report.launch;
        !report.unacknowledged.is_empty()
            && launch.framework.is_some()
            && self.groups.number_of(&launch.instance).is_none()
            && !launch.tasks.iter().any(|task| self.groups.is_taken(task))
            && is_sound(launch)
            && self.is_adoptable(launch)
    }

    /// Whether, if the group is a framework's, that is not gone.
    fn is_adoptable(&self, launch: &Launch) -> bool {
        let of_framework = launch.framework.as_ref();
        of_framework.is_none_or(|of_framework| self.can_adopt_for(of_framework, launch.tasks.len()))
    }

    /// Tasks that were shown as out of reach, and of which nothing more is known now than before.
    fn back_to_staging(&mut self, step: &mut Step, number: u64) {
        let Some(group) = self.groups.get(number).filter(|group| group.is_unreachable()) else { return };
        let waiting: Vec<(usize, TaskStatus)> = group
            .tasks
            .iter()
            .enumerate()
            .filter(|(_, task)| task.view.status.state == TaskState::Unreachable)
            .map(|(at, task)| {
                let (task, instance) = (task.view.status.task.clone(), task.view.instance.clone());
                (at, TaskStatus::new(task, instance, 0, TaskState::Staging, step.now))
            })
            .collect();
        for (at, status) in waiting {
            self.move_task(step, number, at, status);
        }
    }

    /// A group that was given up, or that lives elsewhere by now, is still there.
    fn report_given_up(
        &mut self,
        step: &mut Step,
        id: &AgentId,
        number: u64,
        over: bool,
        report: GroupReport,
    ) {
        let Some(entry) = self.given_up.get_mut(number) else { return };
        if over {
            acknowledge_all(step, id, &report);
            let instance = entry.record.instance.clone();
            self.forget_given_up(step, number);
            let state = report.statuses.last().map_or(TaskState::Gone, |status| status.state);
            self.tell_given_up_ended(step, &instance, state);
            step.effect(Effect::Release { agent: id.clone(), instance });
            return;
        }
        let before = entry.held.take();
        let ended = |task: &TaskId| {
            report.statuses.iter().any(|status| status.task == *task && status.state.is_terminal())
        };
        entry.open = entry.record.tasks.clone();
        entry.open.retain(|task| !ended(task));
        if let Some(before) = before {
            self.unhold(step, id, &before);
        }
        let Launch { allocation, tasks, framework, .. } = &report.launch;
        let held = match framework {
            None => self.take_reported(step, id, allocation, &[]),
            Some(of) => {
                let ended: Vec<bool> =
                    (0..of.tasks.len()).map(|at| tasks.get(at).is_some_and(ended)).collect();
                let each = ended.into_iter().enumerate();
                let each = each.filter_map(|which| self.take_reported_task(step, id, allocation, of, which));
                Parts::joined(each.collect::<Vec<_>>())
            }
        };
        if let Some(entry) = self.given_up.get_mut(number) {
            entry.held = Some(held);
        }
        acknowledge_all(step, id, &report);
        self.kill_given_up(step, number);
    }

    /// Nobody knows the group: it lives on as its agent tells, and its owner hears of it.
    fn adopt(&mut self, step: &mut Step, id: &AgentId, report: GroupReport) -> u64 {
        let number = self.new_number();
        let launch = report.launch;
        let spec = self.specs.adopt(launch.group.clone(), launch.spec);
        let agent = self.agents.get_mut(id).expect("it has just been admitted");
        agent.groups.insert(number);
        let (hostname, boot) = (agent.hostname.clone(), agent.boot());
        let draining = agent.wanted == AgentState::Draining;
        let role = self.roles.add(&launch.role, &launch.allocation);
        let allocation = self.specs.share(spec, launch.allocation);
        let owner = self.groups.share_owner(launch.owner);
        let tasks = launch.tasks.iter().map(|task| {
            let mut last = report
                .unacknowledged
                .iter()
                .chain(&report.statuses)
                .filter(|status| status.task == *task && status.state != TaskState::Unreachable);
            let seen = last.clone().map(|status| status.sequence).max().unwrap_or(0);
            let mut status = last.next_back().cloned().unwrap_or_else(|| {
                TaskStatus::new(task.clone(), launch.instance.clone(), 0, TaskState::Staging, step.now)
            });
            status.instance = launch.instance.clone();
            let ran = matches!(status.state, TaskState::Running | TaskState::Killing);
            let view = TaskView {
                instance: launch.instance.clone(),
                owner: owner.clone(),
                role: role.clone(),
                spec,
                origin: launch.group.origin.clone(),
                agent: id.clone(),
                hostname: hostname.clone(),
                allocation: allocation.clone(),
                staged_at: step.now,
                started_at: ran.then_some(status.at),
                status,
                framework: None,
            };
            Task { view: Arc::new(view), seen }
        });
        let tasks = tasks.collect();
        let group = Group { tasks, boot, killing: None, accepted: true, adopted: true, framework: None };
        self.specs.refer(spec, step);
        step.record(Record::PutAssignment(number, Box::new(group.record())));
        step.notice(owner, Notice::Placed(Box::new(group.placed(None))));
        for task in &group.tasks {
            step.event(Event::Task { view: task.view.clone(), change: TaskChange::Placed });
        }
        for status in report.unacknowledged.iter().filter(|status| !status.state.is_terminal()) {
            let (task, sequence) = (status.task.clone(), status.sequence);
            step.effect(Effect::Acknowledge { agent: id.clone(), task, sequence });
        }
        self.groups.insert(number, group);
        self.use_changed(step.now, id, &role);
        if draining {
            self.tell_drain(step, number);
        }
        number
    }

    /// A group that is assigned to the agent and that it does not hold.
    fn not_held(&mut self, step: &mut Step, number: u64, boot: &BootId, was_told: bool, adopted: bool) {
        let Some(group) = self.groups.get(number) else { return };
        if group.is_over() {
            // Of its end its framework has not said that it knows; nobody else is left to ask.
            self.forget_group(step, number);
            return;
        }
        let killing = group.killing.is_some();
        if group.boot != *boot {
            let state = if killing { TaskState::Killed } else { TaskState::Gone };
            self.end_group(step, number, state, |status| {
                status.because(Reason::ReasonAgentRestarted, "the machine booted")
            });
        } else if group.accepted {
            let state = if killing { TaskState::Killed } else { TaskState::Gone };
            self.end_group(step, number, state, |status| {
                status.because(Reason::ReasonAgentRestarted, "its agent does not hold it any more")
            });
        } else if adopted && !killing && self.is_too_full(group.agent()) {
            // Its place was given away in a time that the store knows nothing of; what lives there stays.
            self.end_group(step, number, TaskState::Dropped, |status| {
                status.because(Reason::ReasonAgentRestarted, "its place is taken by tasks that were adopted")
            });
        } else {
            if was_told {
                let (owner, instance) = (group.owner().clone(), group.instance().clone());
                step.notice(owner, Notice::Reachable { instance });
            }
            self.back_to_staging(step, number);
            if killing {
                // Its launch may still be on its way out; the agent's answer settles it.
                self.send_kill(step, number);
            } else if !planted(Bug::LaunchNotRepeated) {
                self.send_launch(step, number);
            }
        }
    }

    /// Whether what a machine is to hold is more than it has.
    fn is_too_full(&self, id: &AgentId) -> bool {
        self.agents.get(id).is_some_and(|agent| {
            let taken = self.held_on(agent).chain(Self::kept_on(agent));
            !what_remains(&agent.hello.resources, taken).1
        })
    }

    /// Sends the launch of a group.
    pub(crate) fn send_launch(&mut self, step: &mut Step, number: u64) {
        let Some(group) = self.groups.get(number) else { return };
        let Some(spec) = self.specs.get(group.spec()) else { return };
        let launch = Launch {
            instance: group.instance().clone(),
            owner: group.owner().clone(),
            role: group.role().clone(),
            spec: group.spec(),
            group: spec.group.clone(),
            tasks: group.task_ids().cloned().collect(),
            allocation: (**group.allocation()).clone(),
            framework: group.framework.as_ref().map(|launched| launched.launch.clone()),
        };
        let (agent, boot) = (group.agent().clone(), group.boot.clone());
        step.effect(Effect::Launch { agent, boot, launch: Box::new(launch) });
    }
}

/// A group's machine has another name now.
fn rename_host(step: &mut Step, group: Option<&mut Group>, hostname: &Arc<str>) {
    for task in group.into_iter().flat_map(|group| &mut group.tasks) {
        Arc::make_mut(&mut task.view).hostname = hostname.clone();
        step.event(Event::Task { view: task.view.clone(), change: TaskChange::Restored });
    }
}

/// What a reported group is to us.
enum Held {
    /// The group of this number.
    Assigned(u64),
    /// A group that nobody knew, under this number now.
    Adopted(u64),
    /// To be killed, or over.
    Unwanted,
}

/// Whether an agent says that nothing of a group runs any more.
fn is_over(report: &GroupReport) -> bool {
    let ended = |task: &TaskId| {
        report
            .statuses
            .iter()
            .chain(&report.unacknowledged)
            .any(|status| status.task == *task && status.state.is_terminal())
    };
    report.launch.tasks.iter().all(ended)
}

/// Whether a group can be taken over as an agent tells it.
fn is_sound(launch: &Launch) -> bool {
    let mut ids: Vec<_> = launch.tasks.iter().collect();
    ids.sort_unstable();
    ids.dedup();
    !ids.is_empty() && ids.len() == launch.tasks.len() && launch.group.tasks.len() == launch.tasks.len()
}

fn acknowledge_all(step: &mut Step, id: &AgentId, report: &GroupReport) {
    for status in &report.unacknowledged {
        let (task, sequence) = (status.task.clone(), status.sequence);
        step.effect(Effect::Acknowledge { agent: id.clone(), task, sequence });
    }
}
