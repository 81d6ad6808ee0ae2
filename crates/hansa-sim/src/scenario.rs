//! Small worlds without faults, for questions like "who gets how much": the real cell and real agent cores, frameworks
//! with simple habits, and virtual time.
//!
//! Not here: the questions; they are tests. Whatever holds in runs with faults is checked here, too, after every event.

use crate::frameworks::{Framework, Play};
use crate::machine::{Machine, Process};
use crate::world::World;
use hansa_cell::{Input, Request};
use hansa_model::role::Role;
use hansa_model::{FrameworkId, InstanceId, Principal, Resources, RoleName};

pub use crate::frameworks::{Appetite, Play as Habit};

/// A framework of the scenario.
pub type Number = usize;

/// A world.
pub struct Scenario {
    world: World,
}

impl Scenario {
    /// So many machines that have this each, and a master that knows them.
    ///
    /// # Panics
    ///
    /// If the resources cannot be read.
    pub fn new(machines: usize, resources: &str) -> Self {
        let resources: Resources = resources.parse().expect("resources");
        let mut world = World::new(1, 0, false);
        world.faults = false;
        world.frameworks.clear();
        world.machines =
            (0..machines).map(|number| Machine::new(number, false, 0, resources.clone())).collect();
        world.start_master();
        (0..machines).for_each(|number| world.power_on(number));
        let mut scenario = Self { world };
        scenario.pass(2_000);
        scenario
    }

    /// An operator sets a role.
    pub fn set_role(&mut self, role: Role) {
        let id = self.world.next_request;
        self.world.next_request += 1;
        let request = Request::SetRole(role);
        self.world.master_input(Input::Request { id, principal: Principal::loopback(), request });
    }

    /// A framework comes.
    pub fn comes(&mut self, role: &str, habit: Habit) -> Number {
        let number = self.world.frameworks.len();
        self.world.frameworks.push(Framework::new(number, role, habit));
        self.world.framework_subscribes(number);
        number
    }

    /// A framework's process dies: it answers nothing any more, and does not come back.
    pub fn dies(&mut self, number: Number) {
        self.world.framework_hangs_up(number);
    }

    /// A framework does something else with what it is offered from now on.
    pub fn changes(&mut self, number: Number, habit: Habit) {
        self.world.frameworks[number].changes(habit);
    }

    /// A framework calls REVIVE.
    pub fn revives(&mut self, number: Number) {
        self.world.framework_revives(number);
    }

    /// Lets so many milliseconds pass.
    ///
    /// # Panics
    ///
    /// If something breaks that must hold in every world.
    pub fn pass(&mut self, ms: u64) {
        self.until(ms, |_| false);
    }

    /// Lets time pass until something is so, looking after every event; gives the milliseconds that it took, None: it was
    /// not so for as long as this.
    ///
    /// # Panics
    ///
    /// If something breaks that must hold in every world.
    pub fn until(&mut self, most_ms: u64, mut so: impl FnMut(&Self) -> bool) -> Option<u64> {
        let (start, end) = (self.world.now, self.world.now + most_ms);
        while !so(self) {
            let Some(event) = self.world.next(end) else {
                self.world.now = end;
                return None;
            };
            self.world.happen(event);
            self.world.check();
            assert_eq!(self.world.broken, None);
        }
        Some(self.world.now.since(start))
    }

    /// Thousandths of CPUs that a role's tasks use now, on average over so many milliseconds.
    ///
    /// # Panics
    ///
    /// If something breaks that must hold in every world.
    pub fn average(&mut self, ms: u64, role: &str) -> u64 {
        let (start, mut last, mut area) = (self.world.now, (self.world.now, self.cpus(role)), 0);
        self.until(ms, |world| {
            area += last.1 * world.world.now.since(last.0);
            last = (world.world.now, world.cpus(role));
            false
        });
        area += last.1 * self.world.now.since(last.0);
        area / self.world.now.since(start).max(1)
    }

    /// Thousandths of CPUs that the processes of a role's tasks have.
    pub fn cpus(&self, role: &str) -> u64 {
        self.used(|_, own| own.as_str() == role)
    }

    /// Thousandths of CPUs that the processes of a framework's tasks have.
    pub fn cpus_of(&self, number: Number) -> u64 {
        let id = self.world.frameworks[number].id();
        self.used(|framework, _| *framework == id)
    }

    /// How many offers a framework has in hand.
    pub fn in_hand(&self, number: Number) -> usize {
        self.world.frameworks[number].in_hand()
    }

    fn used(&self, counts: impl Fn(&FrameworkId, &RoleName) -> bool) -> u64 {
        let machines = self.world.machines.iter();
        let processes = machines.flat_map(|machine| machine.processes.iter().map(move |own| (machine, own)));
        let own = processes.filter(|(machine, (instance, process))| {
            process.is_alive() && belongs(machine, instance, &counts)
        });
        own.map(|(_, (_, process)): (_, (_, &Process))| process.limits.cpus_milli).sum()
    }
}

fn belongs(
    machine: &Machine,
    instance: &InstanceId,
    counts: &impl Fn(&FrameworkId, &RoleName) -> bool,
) -> bool {
    machine.saved.groups().get(instance).is_some_and(|group| {
        let of = group.launch.framework.as_ref();
        of.is_some_and(|of| counts(&of.framework.id, &group.launch.role))
    })
}

/// A framework that wants as many tasks of one CPU and 512 MiB as it can get, each for about ten seconds.
pub fn greedy() -> Habit {
    Play::Takes(Appetite { cpus_milli: 1_000, mem: 512 << 20, tasks: usize::MAX, lasts_ms: Some(8_000) })
}
