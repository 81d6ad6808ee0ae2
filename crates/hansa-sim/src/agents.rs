//! What agents' outputs do in the world, and what the world does to agents.

use crate::machine::{Process, STOP_DEADLINE_MS};
use crate::report::Fault;
use crate::world::{Event, World};
use hansa_model::resources::Allocation;
use hansa_model::spec::Command;
use hansa_model::task::{CheckResult, Exit};
use hansa_model::{InstanceId, Timestamp};
use hansa_node::{
    Furnishings, Input, KeptVolume, Node, Output, ProbeOrder, ProbeOutcome, ProbeTarget, Record, Refusal,
    ShimPlan,
};

const SIGKILL: Exit = Exit::Signal(9);

impl World {
    fn agent_now(&self, machine: usize) -> Timestamp {
        self.now + self.machines[machine].skew
    }

    /// An agent process starts on what its disk holds.
    pub fn start_agent(&mut self, number: usize) {
        let now = self.agent_now(number);
        let machine = &mut self.machines[number];
        if !machine.up || machine.node.is_some() {
            return;
        }
        machine.epoch += 1;
        machine.tick_at = None;
        let (node, outputs) = Node::restore(machine.config(), machine.saved.clone(), machine.found(), now);
        machine.node = Some(node);
        self.note(format_args!("agent-{number} starts"));
        self.perform(number, outputs);
        self.executors_come_back(number);
    }

    /// An agent process dies.
    pub fn crash_agent(&mut self, number: usize) {
        if self.machines[number].node.take().is_none() {
            return;
        }
        self.note(format_args!("agent-{number} dies"));
        self.machines[number].epoch += 1;
        self.executors_hang_up(number);
        for link in self.links_of(number) {
            self.cut_link(link, false);
        }
        let ms = self.random.u64(200..6_000);
        self.after(ms, Event::AgentStart { machine: number });
    }

    /// A machine dies.
    pub fn crash_machine(&mut self, number: usize) {
        if !self.machines[number].up {
            return;
        }
        self.note(format_args!("node{number} dies"));
        for link in self.links_of(number) {
            let silent = self.random.bool();
            self.cut_link(link, silent);
        }
        self.machines[number].power_off();
        let ms =
            if self.random.bool() { self.random.u64(1_000..8_000) } else { self.random.u64(8_000..60_000) };
        self.after(ms, Event::PowerOn { machine: number });
    }

    /// A machine boots.
    pub fn power_on(&mut self, number: usize) {
        let machine = &mut self.machines[number];
        if machine.up {
            return;
        }
        machine.up = true;
        machine.boots += 1;
        self.start_agent(number);
    }

    /// One input to an agent, if it runs, and everything that follows.
    pub fn agent_input(&mut self, number: usize, input: Input) {
        let now = self.agent_now(number);
        let Some(node) = &mut self.machines[number].node else { return };
        let mut outputs = node.apply(now, input);
        if outputs.len() > 1 && self.unlucky(2_000) {
            outputs.truncate(self.random.usize(0..outputs.len()));
            self.perform(number, outputs);
            self.report.count(Fault::AgentTornStep);
            self.crash_agent(number);
            return;
        }
        self.perform(number, outputs);
    }

    fn perform(&mut self, number: usize, outputs: Vec<Output>) {
        let epoch = self.machines[number].epoch;
        for output in outputs {
            match output {
                Output::Persist(record) => self.persist(number, &record),
                Output::StartGroup(plan) => self.start_group(number, *plan),
                Output::StopGroup { instance, grace_ms } => self.stop_group(number, &instance, grace_ms),
                Output::KillGroup { instance } => self.end_process(number, instance, SIGKILL, 1),
                Output::CleanUp { instance } => self.clean_up(number, &instance),
                Output::RemoveSandbox { .. } | Output::SampleUsage | Output::Warn(_) => {}
                Output::ResizeGroup { instance, limits } => self.resize_group(number, &instance, limits),
                Output::FurnishGroup { instance, has, .. } => self.furnish(number, instance, has),
                Output::ToExecutor { container, stream, event } => {
                    self.executor_hears(number, container, stream, event);
                }
                Output::RemoveVolume { role, id, source } => {
                    self.volume_is_removed(number, &role, &id, source.as_ref());
                }
                Output::RunProbe(order) => {
                    let ms = self.random.u64(1..10);
                    self.after(ms, Event::Probed { machine: number, epoch, order });
                }
                Output::ExtendDeadline { until } => self.extend_deadlines(number, until),
                Output::Open { stream } => {
                    let ms = self.travel_time();
                    self.after(ms, Event::Connect { machine: number, epoch, stream });
                }
                Output::Close { stream } => {
                    if let Some(link) = self.link_of_stream(number, epoch, stream) {
                        self.cut_link(link, false);
                    }
                }
                Output::Send { stream, message } => {
                    if let Some(link) = self.link_of_stream(number, epoch, stream) {
                        self.send_to_master(link, message);
                    }
                }
            }
        }
        self.schedule_agent_tick(number);
    }

    /// Keeps the agent's tick scheduled.
    pub fn schedule_agent_tick(&mut self, number: usize) {
        let now = self.now;
        let machine = &mut self.machines[number];
        let Some(deadline) = machine.node.as_ref().and_then(Node::next_deadline) else { return };
        let at = Timestamp(deadline.0.saturating_sub(machine.skew)).max(now);
        if machine.tick_at.is_none_or(|scheduled| at < scheduled) {
            machine.tick_at = Some(at);
            let epoch = machine.epoch;
            self.at(at, Event::AgentTick { machine: number, epoch });
        }
    }

    fn persist(&mut self, number: usize, record: &Record) {
        self.machines[number].saved.apply(record);
    }

    fn start_group(&mut self, number: usize, plan: ShimPlan) {
        self.report.started += 1;
        if !self.started.insert(plan.instance.clone()) {
            return self.broke(format!("{} is started a second time, on node{number}", plan.instance));
        }
        let lives = |machine: &crate::machine::Machine| {
            machine.processes.get(&plan.instance).is_some_and(Process::is_alive)
        };
        if let Some(other) = self.machines.iter().find(|machine| lives(machine)) {
            let what = format!(
                "{} is started on node{number} while it lives on node{}",
                plan.instance, other.number
            );
            return self.broke(what);
        }
        let version = plan
            .env
            .iter()
            .find(|(name, _)| name == "VERSION")
            .map(|(_, value)| value.clone())
            .unwrap_or_default();
        let around = plan.inside.iter().flat_map(|inside| &inside.volumes);
        let volumes = plan.volumes.iter().chain(around).cloned().collect();
        self.volumes_are_used(number, volumes);
        let failed = self.unlucky(60);
        let process = Process {
            task: plan.task.clone(),
            limits: plan.limits.clone(),
            version,
            starting: true,
            exit: None,
            stubborn: self.random.u8(0..8) == 0,
            deadline: plan.deadline,
            sick_until: Timestamp(0),
            lasts_ms: lasts(&plan.command),
        };
        self.note(format_args!("node{number} starts {}", plan.instance));
        let machine = &mut self.machines[number];
        machine.processes.insert(plan.instance.clone(), process);
        let boot = machine.boots;
        if let Err(what) = machine.check() {
            return self.broke(what);
        }
        let (machine, instance) = (number, plan.instance);
        if let Some(deadline) = plan.deadline {
            let at = self.world_time(number, deadline);
            self.at(at, Event::DeadlineCheck { machine, boot, instance: instance.clone() });
        }
        let ms = self.random.u64(1..15);
        self.after(ms, Event::ProcessStarted { machine, boot, instance, failed });
    }

    /// A container may use more or less than before.
    fn resize_group(&mut self, number: usize, instance: &InstanceId, limits: Allocation) {
        let machine = &mut self.machines[number];
        if let Some(process) = machine.processes.get_mut(instance) {
            process.limits = limits;
            if let Err(what) = machine.check() {
                self.broke(what);
            }
        }
    }

    /// A running container is given what it is to have; now and then one thing of it not.
    fn furnish(&mut self, number: usize, instance: InstanceId, has: Furnishings) {
        let refused: Vec<Refusal> = match has.things().next().filter(|_| self.unlucky(20)) {
            Some(thing) => vec![Refusal { thing, why: "no such device".into() }],
            None => Vec::new(),
        };
        let given = |volume: &KeptVolume| refused.iter().all(|refusal| refusal.thing != volume.thing());
        let volumes = has.volumes.into_iter().filter(given).collect();
        self.volumes_are_used(number, volumes);
        let epoch = self.machines[number].epoch;
        let ms = self.random.u64(1..15);
        self.after(ms, Event::Furnished { machine: number, epoch, instance, refused });
    }

    /// What a group left goes. Nothing may live of it: whoever ends a task says so, and waits.
    fn clean_up(&mut self, number: usize, instance: &InstanceId) {
        if self.machines[number].processes.remove(instance).is_some_and(|process| process.is_alive()) {
            self.broke(format!("node{number} cleans up after {instance}, which lives"));
        }
    }

    fn world_time(&self, number: usize, time: Timestamp) -> Timestamp {
        Timestamp(time.0.saturating_sub(self.machines[number].skew))
    }

    /// A shim has done its work, or not.
    pub fn process_started(&mut self, number: usize, instance: InstanceId, failed: bool) {
        let Some(process) = self.machines[number].processes.get_mut(&instance) else { return };
        if !process.is_alive() {
            return;
        }
        process.starting = false;
        let lasts_ms = process.lasts_ms;
        if failed {
            process.exit = Some(Exit::Code(127));
            self.report.count(Fault::LaunchFailure);
            let message = "no such user".into();
            return self.agent_input(number, Input::LaunchFailed { instance, message });
        }
        if self.unlucky(6) {
            self.report.count(Fault::TaskExit);
            let exit = if self.random.bool() { Exit::Code(1) } else { Exit::Code(0) };
            let ms = self.random.u64(10..60_000);
            self.end_process(number, instance.clone(), exit, ms);
        }
        if let Some(ms) = lasts_ms {
            self.end_process(number, instance.clone(), Exit::Code(0), ms);
        }
        self.agent_input(number, Input::Started { instance: instance.clone(), addresses: Vec::new() });
        self.executor_begins(number, &instance);
    }

    fn stop_group(&mut self, number: usize, instance: &InstanceId, grace_ms: u64) {
        let Some(process) = self.machines[number].processes.get(instance) else { return };
        let (exit, ms) = if process.stubborn {
            (SIGKILL, grace_ms + 1)
        } else {
            (Exit::Signal(15), self.random.u64(1..50).min(grace_ms + 1))
        };
        self.end_process(number, instance.clone(), exit, ms);
    }

    /// A process ends so many milliseconds later, if it lives until then.
    pub fn end_process(&mut self, number: usize, instance: InstanceId, exit: Exit, ms: u64) {
        let boot = self.machines[number].boots;
        self.after(ms, Event::ProcessEnds { machine: number, boot, instance, exit });
    }

    /// A process ends now.
    pub fn process_ends(&mut self, number: usize, instance: InstanceId, exit: Exit) {
        let Some(process) = self.machines[number].processes.get_mut(&instance) else { return };
        if !process.is_alive() {
            return;
        }
        process.exit = Some(exit);
        self.machines[number].players.remove(&instance);
        self.note(format_args!("node{number}: {instance} ends: {exit:?}"));
        let message = String::new();
        self.agent_input(number, Input::Exited { instance, exit, limitation: None, message });
    }

    fn extend_deadlines(&mut self, number: usize, until: Timestamp) {
        for process in self.machines[number].processes.values_mut().filter(|process| process.is_alive()) {
            if process.deadline.is_some() {
                process.deadline = Some(until);
            }
        }
    }

    /// A shim's stop deadline may be over.
    pub fn deadline_check(&mut self, number: usize, instance: InstanceId) {
        let Some(process) = self.machines[number].processes.get(&instance) else { return };
        let Some(deadline) = process.deadline.filter(|_| process.is_alive()) else { return };
        let at = self.world_time(number, deadline);
        if at <= self.now {
            self.process_ends(number, instance, SIGKILL);
        } else {
            let boot = self.machines[number].boots;
            self.at(at, Event::DeadlineCheck { machine: number, boot, instance });
        }
    }

    /// A probe is done.
    pub fn probed(&mut self, number: usize, order: ProbeOrder) {
        let now = self.now;
        let unlucky = self.unlucky(80);
        let sickness = self.random.u64(500..20_000);
        // Most are asked more than once whether they are ready.
        let ready = self.random.u8(0..3) == 0;
        let Some(process) = self.machines[number].processes.get_mut(&order.instance) else { return };
        if unlucky {
            process.sick_until = now + sickness;
            self.report.count(Fault::Unhealthy);
            self.restored.spared.remove(&order.instance);
        }
        let well = process.is_alive() && process.sick_until <= now;
        let outcome = match order.target {
            ProbeTarget::Accepts { .. } => ProbeOutcome::Said(CheckResult::Connected(well)),
            ProbeTarget::Ready { .. } if well => ProbeOutcome::Answered { ready, response: None },
            _ if well => ProbeOutcome::Healthy,
            _ => ProbeOutcome::Unhealthy { cause: "503 Service Unavailable".into() },
        };
        let ProbeOrder { instance, check, number: order, .. } = order;
        self.agent_input(number, Input::Probed { instance, check, number: order, outcome });
    }

    /// On a fenced machine nothing may live once its tasks may be replaced.
    pub fn check_fence(&mut self, number: usize) {
        let machine = &self.machines[number];
        let lives = machine.processes.iter().find(|(_, process)| process.is_alive());
        if let (true, Some((instance, _))) = (machine.fenced, lives) {
            let what = format!(
                "node{number} has a stop deadline of {STOP_DEADLINE_MS} ms, was declared unreachable, and {instance} lives"
            );
            self.broke(what);
        }
    }
}

/// A task that is to `work 5000` ends by itself after so many milliseconds.
fn lasts(command: &Command) -> Option<u64> {
    let Command::Shell(words) = command else { return None };
    words.strip_prefix("work ")?.parse().ok()
}
