//! Launching: what a framework asks for with offers becomes a group on their machine.

use super::Launched;
use super::accept::Accepted;
use super::pots::{Held, Pots};
use crate::groups::{Group, Task};
use crate::{Kernel, Step};
use hansa_model::event::{Event, TaskChange, TaskView};
use hansa_model::framework::{
    ExecutorAsked, ExecutorKind, ExecutorRun, FrameworkLaunch, FrameworkTask, Part, TaskAsked, parts,
};
use hansa_model::resources::{GpuDemand, NotEnough, PortDemand, Resources, WHOLE_GPU};
use hansa_model::spec::{ExecutorSpec, GroupSpec, Origin, TaskSpec};
use hansa_model::task::{Reason, TaskState, TaskStatus};
use hansa_model::{AgentId, Allocation, Demand, Owner, TaskId};
use std::sync::Arc;

impl Kernel {
    /// Launches one task, or says why not.
    pub(super) fn launch_task(&mut self, step: &mut Step, accepted: &mut Accepted, mut asked: TaskAsked) {
        let executor = asked.executor.take();
        let problem = self.task_problem(accepted, &asked).or_else(|| {
            let executor = executor.as_deref()?;
            self.executor_problem(accepted, executor)
        });
        let needed = needed(&[&asked], self.new_executor(accepted, executor.as_deref()));
        let problem = problem.or_else(|| fits(&accepted.left, &needed, "Task and its executor use").err());
        if let Some(problem) = problem {
            let (state, reason) = (TaskState::Error, Reason::ReasonTaskInvalid);
            return self.refuse_task(step, &accepted.id, &asked, state, reason, &problem);
        }
        let run = match executor.map(|executor| self.run_of(step, accepted, *executor)) {
            None => None,
            Some(Some(run)) => Some(run),
            Some(None) => return self.is_not_there(step, accepted, &asked),
        };
        self.launch(step, accepted, vec![asked], run);
    }

    /// Launches tasks together on one executor: all of them, or none.
    pub(super) fn launch_group(
        &mut self,
        step: &mut Step,
        accepted: &mut Accepted,
        executor: ExecutorAsked,
        tasks: Vec<TaskAsked>,
    ) {
        if tasks.is_empty() {
            return;
        }
        let twice = (1..tasks.len()).find(|&at| tasks[..at].iter().any(|task| task.id == tasks[at].id));
        let twice = twice.map(|at| format!("Task has duplicate ID: {}", tasks[at].id));
        let invalid = twice.or_else(|| {
            tasks.iter().find_map(|task| {
                let own = task.executor.as_ref().map(|_| "'TaskInfo.executor' must not be set".to_owned());
                let problem = own.or_else(|| self.task_problem(accepted, task))?;
                Some(format!("Task '{}' is invalid: {problem}", task.id))
            })
        });
        let kind = (executor.kind != ExecutorKind::Default)
            .then(|| "'ExecutorInfo.type' must be 'DEFAULT' for a task group".to_owned());
        let problem = kind.or_else(|| self.executor_problem(accepted, &executor)).or(invalid);
        let all: Vec<&TaskAsked> = tasks.iter().collect();
        let needed = needed(&all, self.new_executor(accepted, Some(&executor)));
        let problem =
            problem.or_else(|| fits(&accepted.left, &needed, "Task group and its executor use").err());
        if let Some(problem) = problem {
            let (state, reason) = (TaskState::Error, Reason::ReasonTaskGroupInvalid);
            return tasks
                .iter()
                .for_each(|task| self.refuse_task(step, &accepted.id, task, state, reason, &problem));
        }
        let Some(run) = self.run_of(step, accepted, executor) else {
            return tasks.iter().for_each(|task| self.is_not_there(step, accepted, task));
        };
        self.launch(step, accepted, tasks, Some(run));
    }

    /// What is wrong with a task here and now, in Mesos' words.
    fn task_problem(&self, accepted: &Accepted, task: &TaskAsked) -> Option<String> {
        if let Err(problem) = &task.spec {
            return Some(problem.clone());
        }
        if let Some(number) = self.find_framework_task(&accepted.id, &task.id, None) {
            let unreachable = self.groups.get(number).is_some_and(Group::is_unreachable);
            return Some(match unreachable {
                true => format!("Task reuses the ID of an unreachable task: {}", task.id),
                false => format!("Task has duplicate ID: {}", task.id),
            });
        }
        (task.agent != accepted.agent).then(|| {
            format!("Task uses invalid agent {} while agent {} is expected", task.agent, accepted.agent)
        })
    }

    /// What is wrong with an executor here and now.
    fn executor_problem(&self, accepted: &Accepted, executor: &ExecutorAsked) -> Option<String> {
        if let Err(problem) = &executor.spec {
            return Some(problem.clone());
        }
        let running = self.find_executor(&accepted.id, &accepted.agent, &executor.id)?;
        (running.view.run.info != executor.info).then(|| {
            format!(
                "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID '{}': give it \
                 another executor_id, or exactly the ExecutorInfo that it was started with",
                executor.id
            )
        })
    }

    /// The executor, if it does not run yet.
    fn new_executor<'a>(
        &self,
        accepted: &Accepted,
        executor: Option<&'a ExecutorAsked>,
    ) -> Option<&'a ExecutorAsked> {
        executor.filter(|executor| self.find_executor(&accepted.id, &accepted.agent, &executor.id).is_none())
    }

    /// The run of an executor there; it begins if there is none. None: what it needs is not there after all.
    fn run_of(
        &mut self,
        step: &mut Step,
        accepted: &mut Accepted,
        asked: ExecutorAsked,
    ) -> Option<Arc<ExecutorRun>> {
        if let Some(running) = self.find_executor(&accepted.id, &accepted.agent, &asked.id) {
            return Some(running.view.run.clone());
        }
        let taking = self.pick(&accepted.agent, &asked.parts).ok()?;
        parts::take(&mut accepted.left, &asked.parts).ok()?;
        let (id, role, agent) = (&accepted.id, &accepted.role, &accepted.agent);
        self.start_executor(step, id, role, agent, asked, taking)
    }

    /// The machine's book says that offered resources are not there. It never should; the task does not run for it.
    fn is_not_there(&self, step: &mut Step, accepted: &Accepted, task: &TaskAsked) {
        let message = "the offered resources are not free on the agent any more";
        let (state, reason) = (TaskState::Dropped, Reason::ReasonInvalidOffers);
        self.refuse_task(step, &accepted.id, task, state, reason, message);
    }

    /// Launches tasks as one group. All that could be wrong with them was looked at.
    fn launch(
        &mut self,
        step: &mut Step,
        accepted: &mut Accepted,
        asked: Vec<TaskAsked>,
        run: Option<Arc<ExecutorRun>>,
    ) {
        let all: Vec<Part> = asked.iter().flat_map(|task| task.parts.iter().cloned()).collect();
        let picked = self.pick_each(&accepted.agent, asked.iter().map(|task| task.parts.as_slice())).ok();
        let picked = picked.filter(|_| parts::take(&mut accepted.left, &all).is_ok());
        let (Some((each, allocation)), Some(framework)) = (picked, self.frameworks.get(&accepted.id)) else {
            return asked.iter().for_each(|task| self.is_not_there(step, accepted, task));
        };
        let info = framework.info.clone();
        let (number, instance) = self.new_uuid();
        let Some((agent, host)) = self.agents.get_key_value(&accepted.agent) else { return };
        let (agent, hostname, boot) = (agent.clone(), host.hostname.clone(), host.boot());
        let mut role = accepted.role.clone();
        for held in &each {
            self.hold(&agent, held);
            role = self.charge(&accepted.id, &role, held);
        }
        let (specs, tasks): (Vec<TaskSpec>, Vec<FrameworkTask>) = asked.into_iter().map(split).unzip();
        let ids: Vec<TaskId> = (0..tasks.len()).map(|at| TaskId::from(format!("{instance}.{at}"))).collect();
        let group = GroupSpec { origin: Origin::Framework, executor: ExecutorSpec::None, tasks: specs };
        let spec = self.specs.pass(Arc::new(group));
        let launch = FrameworkLaunch { framework: info, tasks, executor: run };
        let launched = Launched::new(Arc::new(launch), each.into_iter().map(Some).collect());
        let owner = self.groups.share_owner(Owner::framework(&accepted.id));
        let (instance, allocation) = (instance.into(), Arc::new(allocation));
        let tasks = ids.into_iter().enumerate().map(|(index, task)| {
            let view = TaskView {
                instance: hansa_model::InstanceId::clone(&instance),
                owner: owner.clone(),
                role: role.clone(),
                spec,
                origin: Origin::Framework,
                agent: agent.clone(),
                hostname: hostname.clone(),
                allocation: allocation.clone(),
                staged_at: step.now,
                started_at: None,
                status: TaskStatus::new(task, instance.clone(), 0, TaskState::Staging, step.now),
                framework: Some(launched.of_task(index)),
            };
            Task { view: Arc::new(view), seen: 0 }
        });
        let tasks: Box<[Task]> = tasks.collect();
        for task in &tasks {
            step.event(Event::Task { view: task.view.clone(), change: TaskChange::Placed });
        }
        let framework = Some(Box::new(launched));
        let group = Group { tasks, boot, killing: None, accepted: false, adopted: false, framework };
        self.groups.insert(number, group);
        if let Some(agent) = self.agents.get_mut(&agent) {
            agent.groups.insert(number);
        }
        self.specs.refer(spec, step);
        self.join_framework(number);
        self.send_launch(step, number);
        self.use_changed(step.now, &agent, &role);
    }

    /// Devices for these parts, of what is free there: what is held, and the whole with the ports in the order of the
    /// parts.
    pub(super) fn pick(&self, id: &AgentId, parts: &[Part]) -> Result<(Held, Allocation), NotEnough> {
        let (held, all) = self.pick_each(id, std::iter::once(parts))?;
        Ok((Held::joined(held), all))
    }

    /// The same for several together: what each holds, and the whole, ports and devices in their order.
    fn pick_each<'p>(
        &self,
        id: &AgentId,
        several: impl Iterator<Item = &'p [Part]>,
    ) -> Result<(Vec<Held>, Allocation), NotEnough> {
        let free = self.book.cluster().node(id).map(|node| node.free.clone());
        let mut free = free.ok_or(NotEnough(hansa_model::resources::Kind::Cpus))?;
        let mut pots = self.agents.get(id).map(|agent| agent.pots.clone()).unwrap_or_default();
        let mut all = Allocation::default();
        let mut each = Vec::new();
        for parts in several {
            each.push(pick_one(&mut free, &mut pots, parts, &mut all)?);
        }
        Ok((each, all))
    }
}

/// Takes devices for these parts from what is free, and adds all of it to `all`.
fn pick_one(
    free: &mut Resources,
    pots: &mut Pots,
    parts: &[Part],
    all: &mut Allocation,
) -> Result<Held, NotEnough> {
    let mut open = Demand::default();
    let mut held = Held::default();
    let mut devices = Vec::new();
    for part in parts {
        let demand = demand_of(std::slice::from_ref(part));
        all.cpus_milli += demand.cpus_milli;
        all.mem += demand.mem;
        all.disk += demand.disk;
        all.ports.extend(part.amount.ports.iter());
        if part.is_open() {
            open = open.plus(&demand);
        } else {
            let taken = pots.pick(part)?;
            pots.take(&taken);
            devices.extend(taken.devices.iter().map(|&device| (device, WHOLE_GPU)));
            held.pots.push(taken);
        }
    }
    held.open = free.pick(&open)?;
    free.take(&held.open)?;
    devices.extend(&held.open.gpus);
    devices.sort_unstable();
    all.gpus.extend(devices);
    Ok(held)
}

/// All that has to be in what is left: the tasks' parts, and those of an executor that begins with them.
fn needed(tasks: &[&TaskAsked], executor: Option<&ExecutorAsked>) -> Vec<Part> {
    let tasks = tasks.iter().flat_map(|task| &task.parts);
    tasks.chain(executor.into_iter().flat_map(|executor| &executor.parts)).cloned().collect()
}

fn fits(left: &[Part], needed: &[Part], who: &str) -> Result<(), String> {
    parts::contain(left, needed).map_err(|NotEnough(kind)| {
        format!("{who} more {kind} than is available in the offers (what is reserved, and each volume, counts by itself)")
    })
}

/// What a task asks for, taken apart: how to run it, its demand being its parts, and what it is to its framework.
fn split(asked: TaskAsked) -> (TaskSpec, FrameworkTask) {
    let mut spec = asked.spec.map(|spec| *spec).unwrap_or_default();
    spec.demand = demand_of(&asked.parts);
    let ports = spec.demand.ports.len();
    if !spec.port_names.is_empty() {
        spec.port_names.resize(ports, None);
    }
    if !spec.declared_ports.is_empty() {
        spec.declared_ports.resize(ports, 0);
    }
    let task = FrameworkTask { id: asked.id, name: asked.name, parts: asked.parts, info: asked.info };
    (spec, task)
}

/// Parts as a demand: whole GPUs, these ports.
fn demand_of(parts: &[Part]) -> Demand {
    parts.iter().fold(Demand::default(), |sum, part| {
        let amount = &part.amount;
        sum.plus(&Demand {
            cpus_milli: amount.cpus_milli,
            mem: amount.mem,
            disk: amount.disk,
            gpus: GpuDemand::whole(amount.gpus),
            ports: amount.ports.iter().map(PortDemand::Exact).collect(),
        })
    })
}
