//! One run: a while of faults, then peace, and checks after every event.

use crate::frameworks::is_of_framework;
use crate::machine::{roomy, version_of};
use crate::master::{Master, Over, StartError};
use crate::report::{Fault, Report};
use crate::world::{Event, World};
use hansa_cell::Input;
use hansa_model::event::AgentState;
use hansa_model::task::TaskState;
use hansa_model::{AppId, InstanceId, TaskId, Timestamp};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// Everything follows from it.
    pub seed: u64,
    /// Machines.
    pub machines: usize,
    /// Virtual milliseconds of faults.
    pub faulty_ms: u64,
    /// Virtual milliseconds in which the cluster must converge afterwards.
    pub converge_ms: u64,
    /// Keep the whole trace.
    pub trace: bool,
}

impl Options {
    /// The usual run for a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, machines: 5, faulty_ms: 120_000, converge_ms: 240_000, trace: false }
    }
}

/// A run's end.
#[derive(Debug)]
pub struct Ended {
    /// The seed.
    pub seed: u64,
    /// What happened.
    pub report: Report,
    /// The trace, if it was kept.
    pub trace: String,
    /// The broken invariant, if any.
    pub broken: Option<String>,
}

/// Runs a world from its seed to its end. A panic of the code under test is a broken invariant like any other.
pub fn run(options: &Options) -> Ended {
    let mut world = World::new(options.seed, options.machines, options.trace);
    let lived = catch_unwind(AssertUnwindSafe(|| world.live(options)));
    if let Err(panic) = lived {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        world.broke(format!("panic: {}", words.unwrap_or_default()));
    }
    world.report.virtual_ms = world.elapsed();
    Ended {
        seed: options.seed,
        report: world.report,
        trace: world.trace.unwrap_or_default(),
        broken: world.broken,
    }
}

impl World {
    fn live(&mut self, options: &Options) {
        self.start_master();
        for machine in 0..options.machines {
            self.after(50 * machine as u64, Event::PowerOn { machine });
        }
        self.after(300, Event::Client);
        self.after(400, Event::Frameworks);
        self.after(1_000, Event::Fault);
        let peace = self.now + options.faulty_ms;
        self.go_on(peace);
        self.calm();
        let end = peace + options.converge_ms;
        while self.broken.is_none() && self.now < end {
            let pause = self.now + 2_000;
            self.go_on(pause);
            self.now = self.now.max(pause);
            self.settle();
            self.settle_frameworks();
            if self.broken.is_none() && self.not_converged().is_none() {
                return;
            }
        }
        if self.broken.is_none()
            && let Some(what) = self.not_converged()
        {
            self.broke(format!("no convergence after {} s of peace: {what}", options.converge_ms / 1000));
        }
    }

    /// Lets things happen until a time, or until something broke.
    pub fn go_on(&mut self, until: Timestamp) {
        while self.broken.is_none()
            && let Some(event) = self.next(until)
        {
            self.note(format_args!("{}", Words(&event)));
            self.happen(event);
            self.check();
        }
    }

    /// One thing happens.
    pub fn happen(&mut self, event: Event) {
        match event {
            Event::MasterStart => self.start_master(),
            Event::MasterTick { .. } => {
                if let Some(master) = &mut self.master {
                    master.tick_at = None;
                    self.master_input(Input::Tick);
                }
            }
            Event::Written { .. } => self.written(),
            Event::ToMaster { link, message } => {
                let Some(state) = self.links.get(&link).filter(|state| state.life == self.life) else {
                    return;
                };
                if state.open || state.lingers_to_master {
                    if !state.open {
                        self.report.count(Fault::LateMessage);
                    }
                    self.master_input(Input::FromAgent { session: link, message: *message });
                }
            }
            Event::ToAgent { link, message } => {
                let passes = |state: &&crate::world::Link| state.open || state.lingers_to_agent;
                let Some(state) = self.links.get(&link).filter(passes) else { return };
                let (machine, epoch, stream, late) = (state.machine, state.epoch, state.stream, !state.open);
                if self.machines[machine].epoch == epoch {
                    if late {
                        self.report.count(Fault::LateMessage);
                    }
                    self.agent_input(machine, hansa_node::Input::Message { stream, message: *message });
                }
            }
            Event::Connect { machine, epoch, stream } => {
                let ms = self.travel_time();
                if self.reaches(machine) {
                    let link = self.open_link(machine, epoch, stream);
                    self.master_input(Input::SessionOpened { session: link });
                    self.after(ms, Event::Connected { link });
                } else {
                    self.after(ms, Event::AgentHearsEnd { machine, epoch, stream });
                }
            }
            Event::Connected { link } => {
                let Some(state) = self.links.get(&link).filter(|state| state.open) else { return };
                let (machine, epoch, stream) = (state.machine, state.epoch, state.stream);
                if self.machines[machine].epoch == epoch {
                    self.agent_input(machine, hansa_node::Input::Connected { stream });
                }
            }
            Event::AgentHearsEnd { machine, stream, .. } => {
                let reason = "the stream broke".into();
                self.agent_input(machine, hansa_node::Input::Disconnected { stream, reason });
            }
            Event::MasterHearsEnd { life, link } => {
                self.links.remove(&link);
                if life == self.life {
                    self.master_input(Input::SessionClosed { session: link });
                }
            }
            Event::AgentTick { machine, .. } => {
                self.machines[machine].tick_at = None;
                self.agent_input(machine, hansa_node::Input::Tick);
            }
            Event::ProcessStarted { machine, instance, failed, .. } => {
                self.process_started(machine, instance, failed);
            }
            Event::ProcessEnds { machine, instance, exit, .. } => {
                self.process_ends(machine, instance, exit);
            }
            Event::DeadlineCheck { machine, instance, .. } => {
                self.deadline_check(machine, instance);
            }
            Event::Executor { machine, container, deed, .. } => {
                self.executor_acts(machine, container, deed);
            }
            Event::Probed { machine, order, .. } => {
                self.probed(machine, *order);
            }
            Event::Furnished { machine, instance, refused, .. } => {
                let kept = Vec::new();
                self.agent_input(machine, hansa_node::Input::Furnished { instance, refused, kept });
            }
            Event::AgentStart { machine } => self.start_agent(machine),
            Event::PowerOn { machine } => self.power_on(machine),
            Event::Client if self.faults => {
                self.client();
                let ms = self.random.u64(50..3_000);
                self.after(ms, Event::Client);
            }
            Event::Frameworks if self.faults => {
                self.framework_acts();
                let ms = self.random.u64(50..3_000);
                self.after(ms, Event::Frameworks);
            }
            Event::FrameworkReacts { number, stream, call } => {
                self.framework_reacts(number, stream, *call);
            }
            Event::ClientTimeout { id } => self.unanswered(id),
            Event::Fault if self.faults => {
                self.fault();
                let ms = self.random.u64(200..6_000);
                self.after(ms, Event::Fault);
            }
            // The faults have ended.
            _ => {}
        }
    }

    /// A master process starts on what the disk holds.
    pub fn start_master(&mut self) {
        if self.master.is_some() {
            return;
        }
        self.life += 1;
        let now = self.master_now();
        match Master::start(&self.disk, now) {
            Ok((master, acts)) => {
                self.note(format_args!("master starts, term {}", master.cell.term()));
                self.master = Some(master);
                self.check_kills_restored();
                self.master_acts(acts);
            }
            Err(StartError::Disk) => {
                self.report.count(Fault::FailedWrite);
                self.disk.crash(&mut self.random);
                self.after(1_000, Event::MasterStart);
            }
            Err(StartError::Unreadable(what)) => self.broke(format!("the master cannot start: {what}")),
        }
    }

    /// What was promised to end, and has not, is being killed by whoever leads next.
    fn check_kills_restored(&mut self) {
        let Some(master) = &self.master else { return };
        let kernel = master.cell.kernel();
        let mut processes = self.machines.iter().flat_map(|machine| &machine.processes);
        let spared = processes.find(|(instance, process)| {
            process.is_alive()
                && self.oracle.is_killed(&process.task)
                && kernel.is_killing(instance) == Some(false)
        });
        if let Some((instance, _)) = spared {
            self.broke(format!("{instance} was promised to end, and a master that starts does not kill it"));
        }
    }

    /// The master process dies.
    pub fn crash_master(&mut self) {
        let Some(master) = self.master.take() else { return };
        self.note(format_args!("master dies"));
        drop(master);
        let torn = self.disk.crash(&mut self.random);
        self.report
            .faults
            .entry(Fault::LostWrite)
            .and_modify(|n| *n += u64::from(torn.lost))
            .or_insert(torn.lost.into());
        self.report
            .faults
            .entry(Fault::TornWrite)
            .and_modify(|n| *n += u64::from(torn.torn))
            .or_insert(torn.torn.into());
        let asked: Vec<_> = self.asked.keys().copied().collect();
        asked.into_iter().for_each(|id| self.unanswered(id));
        for framework in &mut self.frameworks {
            framework.hang_up();
        }
        let links: Vec<_> = self.links.keys().copied().collect();
        for link in links {
            let silent = self.random.u8(0..10) == 0;
            self.cut_link(link, silent);
        }
        if self.faults && self.random.u8(0..3) == 0 {
            self.master_skew = self.random.i64(-30_000..30_000);
            self.report.count(Fault::ClockStep);
        }
        let ms = self.random.u64(100..4_000);
        self.after(ms, Event::MasterStart);
    }

    fn written(&mut self) {
        let now = self.master_now();
        let Some(master) = &mut self.master else { return };
        match master.write(now) {
            Some(acts) => self.master_acts(acts),
            None => {
                self.report.count(Fault::FailedWrite);
                self.crash_master();
            }
        }
    }

    fn fault(&mut self) {
        let machine = self.random.usize(0..self.machines.len());
        match self.random.u8(0..15) {
            12 | 13 => self.copy_store(),
            14 => self.put_back_store(),
            0 | 1 => {
                self.report.count(Fault::MasterCrash);
                self.crash_master();
            }
            2 => self.disk.fail_next_sync(),
            3 | 4 => {
                self.report.count(Fault::AgentCrash);
                self.crash_agent(machine);
            }
            5 => {
                self.report.count(Fault::MachineCrash);
                self.crash_machine(machine);
            }
            6 | 7 => {
                self.report.count(Fault::Partition);
                let ms = self.random.u64(500..20_000);
                self.machines[machine].cut_until = self.now + ms;
                for link in self.links_of(machine) {
                    self.cut_link(link, true);
                }
            }
            8 | 9 => {
                for link in self.links_of(machine) {
                    self.report.count(Fault::StreamSilent);
                    self.cut_link(link, true);
                }
            }
            _ => {
                for link in self.links_of(machine) {
                    self.report.count(Fault::StreamBroken);
                    self.cut_link(link, false);
                }
            }
        }
    }

    /// No more faults; what is broken is mended.
    fn calm(&mut self) {
        self.note(format_args!("peace"));
        self.faults = false;
        for number in 0..self.machines.len() {
            if self.machines[number].resources != roomy() {
                // More memory and another CPU: its agent says so when it starts again.
                self.machines[number].resources = roomy();
                self.crash_agent(number);
            }
        }
        for machine in &mut self.machines {
            machine.cut_until = Timestamp(0);
            for process in machine.processes.values_mut() {
                process.sick_until = Timestamp(0);
            }
        }
    }

    /// What must hold after every event.
    pub fn check(&mut self) {
        // Readers are let in once what was restored is published.
        let Some(master) = self.master.as_ref().filter(|master| master.picture.index > 0) else { return };
        let unreachable: Vec<usize> = self
            .machines
            .iter()
            .filter(|machine| master.picture.agents.get(&machine.id) == Some(&AgentState::Unreachable))
            .map(|machine| machine.number)
            .collect();
        if std::mem::take(&mut self.master_moved) {
            self.look_at_restored();
            self.check_ended();
            self.check_master();
        }
        self.forget_spared_on(&unreachable);
        for machine in unreachable {
            if !self.restored.unseen.contains(&machine) {
                self.check_fence(machine);
            }
        }
    }

    /// What is shown as ended has ended. (What is given up with its machine is shown as removed.)
    fn check_ended(&mut self) {
        let Some(master) = &mut self.master else { return };
        for Over { instance, task, by, state, why } in std::mem::take(&mut master.picture.ended) {
            let mut machines = self.machines.iter();
            if let Some(machine) = machines.find(|machine| machine.has_alive(&instance, &task, by.as_ref())) {
                let what =
                    format!("{task} is shown as {state:?} ({why}) while it lives on node{}", machine.number);
                return self.broke(what);
            }
        }
    }

    /// What must hold after every event in which the master took part.
    fn check_master(&mut self) {
        let Some(master) = &self.master else { return };
        let cell = &master.cell;
        cell.kernel().check();
        let services = cell.services().check();
        let early = master.early.clone();
        // A placement pass for everything that waits takes its time: not after every event.
        let unexplained = if self.report.events.is_multiple_of(8) { self.unexplained() } else { None };
        let lost = self
            .oracle
            .apps()
            .filter(|app| {
                !self.asked.values().any(|asked| asked.intents.iter().any(|(other, _)| other == *app))
            })
            .find_map(|app| {
                let actual = master.picture.apps.get(app).map(|version| &version.spec);
                self.oracle.check(app, actual).err()
            });
        if let Err(what) = services {
            return self.broke(format!("services: {what}"));
        }
        let lost = lost.or_else(|| {
            // What a group command under way makes of it, is shown before it is answered.
            let under_way = self.asked.values().any(|asked| !asked.groups.is_empty());
            if under_way { None } else { self.oracle.check_groups(&master.picture.groups).err() }
        });
        if let Some(what) = early.or(lost).or(unexplained) {
            self.broke(what);
        }
        self.check_frameworks();
        if self.report.events.is_multiple_of(8) {
            (0..self.frameworks.len()).for_each(|number| self.check_idle(number));
        }
    }

    /// Why the cluster is not yet what the clients want; None: it is.
    fn not_converged(&mut self) -> Option<String> {
        let mut running: BTreeMap<AppId, u32> = BTreeMap::new();
        let master = self.master.as_ref()?;
        if self.oracle.apps().any(|app| self.oracle.sure(app).is_none()) {
            return Some("a command has no answer yet".into());
        }
        for machine in &self.machines {
            let state = master.picture.agents.get(&machine.id);
            if state != Some(&AgentState::Active) {
                return Some(format!("{} is {state:?}", machine.id));
            }
            let processes = machine.processes.iter();
            let processes = processes.filter(|(instance, _)| !is_of_framework(instance));
            for (instance, process) in processes.filter(|(_, process)| process.is_alive()) {
                if self.oracle.is_killed(&process.task) {
                    return Some(format!(
                        "{} was promised to end, and lives on {}",
                        process.task, machine.id
                    ));
                }
                let app = app_of(instance);
                let Some(spec) = master.picture.apps.get(&app).map(|version| &version.spec) else {
                    return Some(format!("{instance} runs on {}, and its app is gone", machine.id));
                };
                if process.version != version_of(spec) {
                    return Some(format!("{instance} on {} is of an older version", machine.id));
                }
                *running.entry(app).or_default() += 1;
            }
        }
        for (app, version) in &master.picture.apps {
            let (runs, wanted) = (running.get(app).copied().unwrap_or(0), version.spec.instances);
            if runs != wanted {
                return Some(format!("{app} has {runs} processes of {wanted}"));
            }
        }
        let runs = |instance: &InstanceId| {
            let process = self.machines.iter().find_map(|machine| machine.processes.get(instance));
            process.is_some_and(crate::machine::Process::is_alive)
        };
        let shown = &master.picture.tasks;
        if let Some((instance, state)) = shown.values().find(|(instance, _)| !runs(instance)) {
            return Some(format!("{instance} is shown as {state:?}, and does not run"));
        }
        let all: u32 = running.values().sum();
        if shown.len() != all as usize || shown.values().any(|(_, state)| *state != TaskState::Running) {
            return Some(format!("{all} processes run, and {} are shown: {shown:?}", shown.len()));
        }
        if let Some((deployment, _)) = master.picture.deployments.first_key_value() {
            return Some(format!("deployment {deployment} goes on"));
        }
        self.frameworks_not_converged()
    }
}

/// Whether a task of the services is of this instance.
pub fn is_task_of(task: &TaskId, instance: &InstanceId) -> bool {
    task.as_str().starts_with(instance.as_str())
}

/// The app that an instance is of.
pub fn app_of(instance: &InstanceId) -> AppId {
    let name = instance.as_str().split(".instance-").next().unwrap_or_default();
    AppId::from(format!("/{}", name.replace('_', "/")))
}

/// An event in a line of the trace.
struct Words<'a>(&'a Event);

impl std::fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Event::ToMaster { link, message } => write!(f, "{link} -> master: {:?}", message.body),
            Event::ToAgent { link, message } => write!(f, "{link} -> agent: {:?}", message.body),
            other => write!(f, "{other:?}"),
        }
    }
}
