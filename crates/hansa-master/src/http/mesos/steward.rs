//! What operators say of machines beyond one agent: maintenance windows, which machines are away for it, and how a drained
//! machine is to be drained. The cell keeps it ([`Maintenance`]) and the read model shows it; here is what may follow what,
//! and what is ordered of agents because of it.
//!
//! Agents are told first, then that is stored: whoever dies in between leaves something that is told again.

use crate::Master;
use crate::cell::{AgentOrder, Request};
use crate::master::SubmitError;
use crate::read_model::Agent;
use hansa_mesos::proto::v1;
use hansa_mesos::proto::v1::maintenance::{ClusterStatus, Schedule, Window, cluster_status::DrainingMachine};
use hansa_model::event::AgentState;
use hansa_model::maintenance::{self, DrainWish, Machine, Maintenance};
use hansa_model::{AgentId, Principal, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tracing::{info, warn};

/// How often it is looked whether a window has begun.
const LOOK: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Steward {
    master: Master,
    /// One change after the other, as each is made of what was said before.
    changing: Mutex<()>,
}

/// Why nothing was changed.
#[derive(Debug)]
pub(super) enum Unchanged {
    /// It is not allowed.
    Improper(Improper),
    /// The cell did not take it.
    Submit(SubmitError),
}

impl From<Improper> for Unchanged {
    fn from(improper: Improper) -> Self {
        Self::Improper(improper)
    }
}

/// Why an order about machines is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Improper(pub(super) String);

/// The machine as it is compared: names in small letters, and nothing said is nothing.
fn key(machine: &Machine) -> Machine {
    let said = |text: &Option<String>| text.as_ref().filter(|text| !text.is_empty()).cloned();
    Machine { hostname: said(&machine.hostname).map(|name| name.to_lowercase()), ip: said(&machine.ip) }
}

fn read_machine(machine: &v1::MachineId) -> Machine {
    Machine { hostname: machine.hostname.clone(), ip: machine.ip.clone() }
}

fn write_machine(machine: &Machine) -> v1::MachineId {
    v1::MachineId { hostname: machine.hostname.clone(), ip: machine.ip.clone() }
}

/// Whether a machine of this name and address is meant.
fn is_it(machine: &Machine, hostname: &str, ip: &str) -> bool {
    let Machine { hostname: name, ip: address } = key(machine);
    name.is_none_or(|name| name == hostname.to_lowercase()) && address.is_none_or(|address| address == ip)
}

/// Whether an agent runs on that machine.
fn is_on(agent: &Agent, machine: &Machine) -> bool {
    let (host, _) = super::picture::host_and_port(&agent.view.address);
    is_it(machine, &agent.view.hostname, host)
}

/// The schedule as it was given.
pub(super) fn schedule(said: &Maintenance) -> Schedule {
    let window = |window: &maintenance::Window| Window {
        machine_ids: window.machines.iter().map(write_machine).collect(),
        unavailability: unavailability_of(window),
    };
    Schedule { windows: said.windows.iter().map(window).collect() }
}

fn unavailability_of(window: &maintenance::Window) -> v1::Unavailability {
    v1::Unavailability {
        start: v1::TimeInfo { nanoseconds: window.start_ns },
        duration: window.duration_ns.map(|nanoseconds| v1::DurationInfo { nanoseconds }),
    }
}

/// When a machine is to be away, if that is scheduled.
fn unavailability(said: &Maintenance, hostname: &str, ip: &str) -> Option<v1::Unavailability> {
    let is_of = |window: &&maintenance::Window| window.machines.iter().any(|one| is_it(one, hostname, ip));
    said.windows.iter().find(is_of).map(unavailability_of)
}

fn scheduled(said: &Maintenance) -> BTreeSet<Machine> {
    said.windows.iter().flat_map(|window| window.machines.iter().map(key)).collect()
}

/// What is being emptied, and what is down.
pub(super) fn status(said: &Maintenance) -> ClusterStatus {
    let scheduled = scheduled(said);
    let draining = scheduled.difference(&said.down);
    ClusterStatus {
        draining_machines: draining
            .map(|one| DrainingMachine { id: write_machine(one), statuses: Vec::new() })
            .collect(),
        down_machines: said.down.iter().map(write_machine).collect(),
    }
}

/// How an agent is to be drained, as it was said.
pub(super) fn drain_config(wish: &DrainWish) -> v1::DrainConfig {
    v1::DrainConfig {
        max_grace_period: wish.max_grace_ns.map(|nanoseconds| v1::DurationInfo { nanoseconds }),
        mark_gone: wish.mark_gone,
    }
}

/// Another schedule as a whole; machines that are down must stay in it. Gives also the machines that are not in it any
/// more although their agents were told to drain.
fn with_schedule(said: &Maintenance, schedule: &Schedule) -> Result<(Maintenance, Vec<Machine>), Improper> {
    let mut seen = BTreeSet::new();
    let mut windows = Vec::new();
    for window in &schedule.windows {
        check(window)?;
        let machines: Vec<Machine> = window.machine_ids.iter().map(read_machine).collect();
        for machine in &machines {
            check_machine(machine)?;
            if !seen.insert(key(machine)) {
                let words = format!("Machine '{}' appears more than once in the schedule", name(machine));
                return Err(Improper(words));
            }
        }
        windows.push(maintenance::Window {
            machines,
            start_ns: window.unavailability.start.nanoseconds,
            duration_ns: window.unavailability.duration.as_ref().map(|duration| duration.nanoseconds),
        });
    }
    if let Some(lost) = said.down.iter().find(|down| !seen.contains(*down)) {
        let words =
            format!("Machine '{}' is deactivated and cannot be removed from the schedule", name(lost));
        return Err(Improper(words));
    }
    let released = said.begun.difference(&seen).cloned().collect();
    let begun = said.begun.intersection(&seen).cloned().collect();
    Ok((Maintenance { windows, begun, ..said.clone() }, released))
}

/// Takes machines down; they must be scheduled and not be down.
fn with_down(said: &Maintenance, machines: &[Machine]) -> Result<Maintenance, Improper> {
    check_list(machines)?;
    let scheduled = scheduled(said);
    for one in machines {
        if !scheduled.contains(&key(one)) {
            let words = format!("Machine '{}' is not part of a maintenance schedule", name(one));
            return Err(Improper(words));
        }
        if said.down.contains(&key(one)) {
            let words = format!("Machine '{}' is not in DRAINING mode and cannot be brought down", name(one));
            return Err(Improper(words));
        }
    }
    let mut said = said.clone();
    said.down.extend(machines.iter().map(key));
    Ok(said)
}

/// Brings machines up again; they must be down, and leave the schedule.
fn with_up(said: &Maintenance, machines: &[Machine]) -> Result<Maintenance, Improper> {
    check_list(machines)?;
    if let Some(one) = machines.iter().find(|one| !said.down.contains(&key(one))) {
        let words = format!("Machine '{}' is not in DOWN mode and cannot be brought up", name(one));
        return Err(Improper(words));
    }
    let up: BTreeSet<Machine> = machines.iter().map(key).collect();
    let mut said = said.clone();
    said.down.retain(|down| !up.contains(down));
    said.begun.retain(|begun| !up.contains(begun));
    for window in &mut said.windows {
        window.machines.retain(|one| !up.contains(&key(one)));
    }
    said.windows.retain(|window| !window.machines.is_empty());
    Ok(said)
}

/// Machines of windows that have begun and whose agents have not been told yet.
fn beginning(said: &Maintenance, now: Timestamp) -> Vec<Machine> {
    let now = i64::try_from(now.0).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    let begun = said.windows.iter().filter(|window| window.start_ns <= now);
    let begun: BTreeSet<Machine> = begun.flat_map(|window| window.machines.iter().map(key)).collect();
    begun.difference(&said.begun).cloned().collect()
}

impl Steward {
    /// Of this master.
    pub(super) fn new(master: Master) -> Self {
        Self { master, changing: Mutex::new(()) }
    }

    /// What holds now.
    pub(super) fn said(&self) -> Arc<Maintenance> {
        self.master.read().maintenance().clone()
    }

    /// When a machine is to be away, if that is scheduled.
    pub(super) fn unavailability(&self, hostname: &str, ip: &str) -> Option<v1::Unavailability> {
        unavailability(&self.said(), hostname, ip)
    }

    /// Stores it; then it holds.
    async fn store(&self, said: Maintenance) -> Result<(), Unchanged> {
        let request = Request::SetMaintenance(Arc::new(said));
        self.master.submit(Principal::loopback(), request).await.map(drop).map_err(Unchanged::Submit)
    }

    /// Sets the schedule as a whole.
    pub(super) async fn set_schedule(&self, schedule: &Schedule) -> Result<(), Unchanged> {
        let _turn = self.changing.lock().await;
        let (said, released) = with_schedule(&self.said(), schedule)?;
        self.order(&released, AgentOrder::Reactivate).await;
        self.store(said).await
    }

    /// Maintenance begins: what is still there has to go.
    pub(super) async fn down(&self, machines: &[v1::MachineId]) -> Result<(), Unchanged> {
        self.change(machines, with_down, AgentOrder::Drain).await
    }

    /// Maintenance is over.
    pub(super) async fn up(&self, machines: &[v1::MachineId]) -> Result<(), Unchanged> {
        self.change(machines, with_up, AgentOrder::Reactivate).await
    }

    /// What is said is changed by some machines, and their agents are told.
    async fn change(
        &self,
        machines: &[v1::MachineId],
        with: fn(&Maintenance, &[Machine]) -> Result<Maintenance, Improper>,
        order: AgentOrder,
    ) -> Result<(), Unchanged> {
        let machines: Vec<Machine> = machines.iter().map(read_machine).collect();
        let _turn = self.changing.lock().await;
        let said = with(&self.said(), &machines)?;
        self.order(&machines, order).await;
        self.store(said).await
    }

    /// Notes how an agent is to be drained; None: it is not any more.
    pub(super) async fn drain(
        &self,
        agent: &AgentId,
        config: Option<v1::DrainConfig>,
    ) -> Result<(), Unchanged> {
        let _turn = self.changing.lock().await;
        let before = self.said();
        let mut said = Maintenance::clone(&before);
        match config {
            Some(config) => {
                let max_grace_ns = config.max_grace_period.map(|period| period.nanoseconds);
                let wish = DrainWish { max_grace_ns, mark_gone: config.mark_gone };
                said.drains.insert(agent.clone(), wish);
            }
            None => drop(said.drains.remove(agent)),
        }
        if said == *before { Ok(()) } else { self.store(said).await }
    }

    /// Gives an order about every agent on these machines. What cannot be obeyed is logged.
    async fn order(&self, machines: &[Machine], order: AgentOrder) {
        let agents: Vec<AgentId> = {
            let model = self.master.read();
            let on_one = model.agents().filter(|agent| machines.iter().any(|one| is_on(agent, one)));
            on_one.map(|agent| agent.view.id.clone()).collect()
        };
        for agent in agents {
            let request = Request::AdminAgent { agent: agent.clone(), order };
            if let Err(error) = self.master.submit(Principal::loopback(), request).await {
                warn!(%agent, ?order, %error, "maintenance: the order was refused");
            }
        }
    }

    /// Drains the machines of windows that have begun.
    async fn begin(&self, now: Timestamp) {
        let _turn = self.changing.lock().await;
        let said = self.said();
        let begun = beginning(&said, now);
        if begun.is_empty() {
            return;
        }
        info!(machines = begun.len(), "a maintenance window begins; its machines are drained");
        self.order(&begun, AgentOrder::Drain).await;
        let mut said = Maintenance::clone(&said);
        said.begun.extend(begun);
        if let Err(error) = self.store(said).await {
            warn!(?error, "that a maintenance window has begun could not be stored; it is tried again");
        }
    }

    /// Agents that are drained by now and were to be declared gone then.
    fn emptied(&self) -> Vec<AgentId> {
        let model = self.master.read();
        let said = model.maintenance();
        let waiting = said.drains.iter().filter(|(_, wish)| wish.mark_gone == Some(true));
        let is_empty = |agent: &AgentId| {
            let known = model.agent(agent.as_str());
            known.is_some_and(|known| known.view.state == AgentState::Draining)
                && model.agent_counts(agent).live() == 0
        };
        waiting.map(|(agent, _)| agent.clone()).filter(is_empty).collect()
    }

    /// Declares them gone.
    async fn dismiss(&self) {
        for agent in self.emptied() {
            info!(%agent, "drained; it is gone for good, as was asked for");
            let request = Request::AdminAgent { agent: agent.clone(), order: AgentOrder::Gone };
            if let Err(error) = self.master.submit(Principal::loopback(), request).await {
                warn!(%agent, %error, "a drained agent could not be declared gone");
            } else if let Err(error) = self.drain(&agent, None).await {
                warn!(%agent, ?error, "how a gone agent was to be drained could not be forgotten");
            }
        }
    }
}

fn check(window: &Window) -> Result<(), Improper> {
    if window.machine_ids.is_empty() {
        return Err(Improper("List of machines in the maintenance window is empty".into()));
    }
    let duration = window.unavailability.duration.as_ref().map_or(0, |duration| duration.nanoseconds);
    if duration < 0 {
        return Err(Improper("Unavailability 'duration' is negative".into()));
    }
    Ok(())
}

fn check_list(machines: &[Machine]) -> Result<(), Improper> {
    if machines.is_empty() {
        return Err(Improper("List of machines is empty".into()));
    }
    let mut seen = BTreeSet::new();
    for one in machines {
        check_machine(one)?;
        if !seen.insert(key(one)) {
            return Err(Improper(format!("Machine '{}' appears more than once", name(one))));
        }
    }
    Ok(())
}

fn check_machine(machine: &Machine) -> Result<(), Improper> {
    if key(machine) == Machine::default() {
        return Err(Improper("Both 'hostname' and 'ip' for a machine are empty".into()));
    }
    match &machine.ip {
        Some(ip) if !ip.is_empty() && ip.parse::<std::net::IpAddr>().is_err() => {
            Err(Improper(format!("'{ip}' is not an IP address")))
        }
        _ => Ok(()),
    }
}

fn name(machine: &Machine) -> String {
    match key(machine) {
        Machine { hostname: Some(hostname), ip: Some(ip) } => format!("{hostname} ({ip})"),
        Machine { hostname, ip } => hostname.or(ip).unwrap_or_default(),
    }
}

/// Drains machines when their windows begin, until the master stops.
pub(super) async fn watch(steward: Arc<Steward>) {
    let mut stopping = steward.master.stopping();
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        steward.begin(crate::clock::now()).await;
        steward.dismiss().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(hostname: &str) -> Machine {
        Machine { hostname: Some(hostname.into()), ip: None }
    }

    fn scheduled(machines: &[&str], start_ms: i64) -> Schedule {
        let unavailability =
            v1::Unavailability { start: v1::TimeInfo { nanoseconds: start_ms * 1_000_000 }, duration: None };
        let machine_ids = machines.iter().map(|name| write_machine(&named(name))).collect();
        Schedule { windows: vec![Window { machine_ids, unavailability }] }
    }

    #[test]
    fn machines_go_down_and_up_by_the_schedule_only() {
        let said = Maintenance::default();
        assert!(with_down(&said, &[named("a")]).is_err(), "not scheduled");
        let (said, _) = with_schedule(&said, &scheduled(&["A", "b"], 10)).unwrap();
        assert_eq!(schedule(&said), scheduled(&["A", "b"], 10), "as it was given");
        assert_eq!(status(&said).draining_machines.len(), 2);
        let said = with_down(&said, &[named("a")]).unwrap();
        assert!(with_down(&said, &[named("a")]).is_err(), "it is");
        assert_eq!(status(&said).down_machines, [write_machine(&named("a"))]);
        assert!(with_schedule(&said, &scheduled(&["b"], 10)).is_err(), "a is down");
        assert!(with_up(&said, &[named("b")]).is_err(), "it is not down");
        let said = with_up(&said, &[named("A")]).unwrap();
        assert_eq!(said.windows[0].machines, [named("b")]);
        for wrong in [scheduled(&[], 1), scheduled(&["a", "A"], 1), scheduled(&[""], 1)] {
            assert!(with_schedule(&said, &wrong).is_err());
        }
    }

    #[test]
    fn a_window_begins_once() {
        let (mut said, _) = with_schedule(&Maintenance::default(), &scheduled(&["A"], 10)).unwrap();
        assert!(beginning(&said, Timestamp(9)).is_empty());
        assert_eq!(beginning(&said, Timestamp(10)), [named("a")]);
        said.begun.insert(named("a"));
        assert!(beginning(&said, Timestamp(11)).is_empty());
        let (said, released) = with_schedule(&said, &Schedule::default()).unwrap();
        assert_eq!((released, said), (vec![named("a")], Maintenance::default()), "it is let go");
    }
}
