//! What operators told this master about machines beyond what the kernel keeps: maintenance windows, which machines are
//! down for it, and how a drained machine is to be drained. Kept in memory: after a restart schedules are set again, as the
//! tools that set them do; that a machine is being drained is durable.

use crate::Master;
use crate::cell::{AgentOrder, Request};
use crate::read_model::Agent;
use hansa_mesos::proto::v1;
use hansa_mesos::proto::v1::maintenance::{ClusterStatus, Schedule, Window, cluster_status::DrainingMachine};
use hansa_model::event::AgentState;
use hansa_model::{AgentId, Principal, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing::{info, warn};

/// How often it is looked whether a window has begun.
const LOOK: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Steward(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    schedule: Schedule,
    /// Machines of windows that have begun, which were told to drain.
    begun: BTreeSet<Key>,
    down: BTreeSet<Key>,
    drains: BTreeMap<AgentId, v1::DrainConfig>,
}

/// A machine as maintenance names it: host name in small letters, address.
type Key = (String, String);

/// Why an order about machines is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Improper(pub(super) String);

fn key(machine: &v1::MachineId) -> Key {
    (machine.hostname.clone().unwrap_or_default().to_lowercase(), machine.ip.clone().unwrap_or_default())
}

fn machine((hostname, ip): &Key) -> v1::MachineId {
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    v1::MachineId { hostname: some(hostname), ip: some(ip) }
}

/// Whether an agent runs on that machine.
fn is_on(agent: &Agent, (hostname, ip): &Key) -> bool {
    let name = agent.view.hostname.to_lowercase();
    let (host, _) = super::picture::host_and_port(&agent.view.address);
    (hostname.is_empty() || *hostname == name) && (ip.is_empty() || ip == host)
}

impl Steward {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How machines are being drained, where it was said.
    pub(super) fn drains(&self) -> BTreeMap<AgentId, v1::DrainConfig> {
        self.lock().drains.clone()
    }

    /// Notes how a machine is to be drained; None: it is not any more.
    pub(super) fn drain(&self, agent: &AgentId, config: Option<v1::DrainConfig>) {
        let mut state = self.lock();
        match config {
            Some(config) => state.drains.insert(agent.clone(), config),
            None => state.drains.remove(agent),
        };
    }

    /// Agents that are drained by now and were to be declared gone then; each is given once.
    fn emptied(&self, master: &Master) -> Vec<AgentId> {
        let mut state = self.lock();
        let waiting = state.drains.iter().filter(|(_, config)| config.mark_gone());
        let waiting: Vec<AgentId> = waiting.map(|(agent, _)| agent.clone()).collect();
        if waiting.is_empty() {
            return waiting;
        }
        let model = master.read();
        let is_empty = |agent: &AgentId| {
            let known = model.agent(agent.as_str());
            known.is_some_and(|known| known.view.state == AgentState::Draining)
                && model.agent_counts(agent).live() == 0
        };
        let emptied: Vec<AgentId> = waiting.into_iter().filter(is_empty).collect();
        state.drains.retain(|agent, _| !emptied.contains(agent));
        emptied
    }

    /// The schedule.
    pub(super) fn schedule(&self) -> Schedule {
        self.lock().schedule.clone()
    }

    /// When a machine is to be away, if that is scheduled.
    pub(super) fn unavailability(&self, hostname: &str, ip: &str) -> Option<v1::Unavailability> {
        let hostname = hostname.to_lowercase();
        let is_it = |machine: &v1::MachineId| {
            let (name, address) = key(machine);
            (name.is_empty() || name == hostname) && (address.is_empty() || address == ip)
        };
        let state = self.lock();
        let window = state.schedule.windows.iter().find(|window| window.machine_ids.iter().any(is_it));
        window.map(|window| window.unavailability)
    }

    /// What is being emptied, and what is down.
    pub(super) fn status(&self) -> ClusterStatus {
        let state = self.lock();
        let scheduled: BTreeSet<Key> =
            state.schedule.windows.iter().flat_map(|window| window.machine_ids.iter().map(key)).collect();
        let draining = scheduled.difference(&state.down);
        ClusterStatus {
            draining_machines: draining
                .map(|one| DrainingMachine { id: machine(one), statuses: Vec::new() })
                .collect(),
            down_machines: state.down.iter().map(machine).collect(),
        }
    }

    /// Sets the schedule as a whole; machines that are down must stay in it. Gives the machines that are not in it any
    /// more although they were told to drain.
    pub(super) fn set_schedule(&self, schedule: Schedule) -> Result<Vec<v1::MachineId>, Improper> {
        let mut seen = BTreeSet::new();
        for window in &schedule.windows {
            check(window)?;
            for machine in &window.machine_ids {
                check_machine(machine)?;
                if !seen.insert(key(machine)) {
                    let words = format!("Machine '{}' appears more than once in the schedule", name(machine));
                    return Err(Improper(words));
                }
            }
        }
        let mut state = self.lock();
        if let Some(lost) = state.down.iter().find(|down| !seen.contains(*down)) {
            let words = format!(
                "Machine '{}' is deactivated and cannot be removed from the schedule",
                name(&machine(lost))
            );
            return Err(Improper(words));
        }
        let released: Vec<_> = state.begun.iter().filter(|begun| !seen.contains(*begun)).cloned().collect();
        state.begun.retain(|begun| seen.contains(begun));
        state.schedule = schedule;
        Ok(released.iter().map(machine).collect())
    }

    /// Takes machines down; they must be scheduled and not be down.
    pub(super) fn down(&self, machines: &[v1::MachineId]) -> Result<(), Improper> {
        check_list(machines)?;
        let mut state = self.lock();
        for one in machines {
            let scheduled = state.schedule.windows.iter().flat_map(|window| &window.machine_ids);
            if !scheduled.map(key).any(|known| known == key(one)) {
                let words = format!("Machine '{}' is not part of a maintenance schedule", name(one));
                return Err(Improper(words));
            }
            if state.down.contains(&key(one)) {
                let words =
                    format!("Machine '{}' is not in DRAINING mode and cannot be brought down", name(one));
                return Err(Improper(words));
            }
        }
        state.down.extend(machines.iter().map(key));
        Ok(())
    }

    /// Brings machines up again; they must be down, and leave the schedule.
    pub(super) fn up(&self, machines: &[v1::MachineId]) -> Result<(), Improper> {
        check_list(machines)?;
        let mut state = self.lock();
        if let Some(one) = machines.iter().find(|one| !state.down.contains(&key(one))) {
            let words = format!("Machine '{}' is not in DOWN mode and cannot be brought up", name(one));
            return Err(Improper(words));
        }
        let up: BTreeSet<Key> = machines.iter().map(key).collect();
        state.down.retain(|down| !up.contains(down));
        state.begun.retain(|begun| !up.contains(begun));
        for window in &mut state.schedule.windows {
            window.machine_ids.retain(|one| !up.contains(&key(one)));
        }
        state.schedule.windows.retain(|window| !window.machine_ids.is_empty());
        Ok(())
    }

    /// Machines of windows that have begun since it was last asked.
    fn beginning(&self, now: Timestamp) -> Vec<Key> {
        let mut state = self.lock();
        let now = i64::try_from(now.0).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let begun =
            state.schedule.windows.iter().filter(|window| window.unavailability.start.nanoseconds <= now);
        let begun: Vec<Key> = begun.flat_map(|window| window.machine_ids.iter().map(key)).collect();
        begun.into_iter().filter(|one| state.begun.insert(one.clone())).collect()
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

fn check_list(machines: &[v1::MachineId]) -> Result<(), Improper> {
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

fn check_machine(machine: &v1::MachineId) -> Result<(), Improper> {
    if key(machine) == Key::default() {
        return Err(Improper("Both 'hostname' and 'ip' for a machine are empty".into()));
    }
    match &machine.ip {
        Some(ip) if !ip.is_empty() && ip.parse::<std::net::IpAddr>().is_err() => {
            Err(Improper(format!("'{ip}' is not an IP address")))
        }
        _ => Ok(()),
    }
}

fn name(machine: &v1::MachineId) -> String {
    match key(machine) {
        (hostname, ip) if hostname.is_empty() => ip,
        (hostname, ip) if ip.is_empty() => hostname,
        (hostname, ip) => format!("{hostname} ({ip})"),
    }
}

/// Gives an order about every agent on these machines. What cannot be obeyed is logged.
pub(super) async fn order(master: &Master, machines: &[v1::MachineId], order: AgentOrder) {
    let keys: Vec<Key> = machines.iter().map(key).collect();
    let agents: Vec<AgentId> = {
        let model = master.read();
        let on_one = model.agents().filter(|agent| keys.iter().any(|key| is_on(agent, key)));
        on_one.map(|agent| agent.view.id.clone()).collect()
    };
    for agent in agents {
        let request = Request::AdminAgent { agent: agent.clone(), order };
        if let Err(error) = master.submit(Principal::loopback(), request).await {
            warn!(%agent, ?order, %error, "maintenance: the order was refused");
        }
    }
}

/// Drains machines when their windows begin, until the master stops.
pub(super) async fn watch(master: Master, steward: std::sync::Arc<Steward>) {
    let mut stopping = master.stopping();
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        let begun = steward.beginning(crate::clock::now());
        if !begun.is_empty() {
            info!(machines = begun.len(), "a maintenance window begins; its machines are drained");
            let machines: Vec<_> = begun.iter().map(machine).collect();
            order(&master, &machines, AgentOrder::Drain).await;
        }
        for agent in steward.emptied(&master) {
            info!(%agent, "drained; it is gone for good, as was asked for");
            let request = Request::AdminAgent { agent: agent.clone(), order: AgentOrder::Gone };
            if let Err(error) = master.submit(Principal::loopback(), request).await {
                warn!(%agent, %error, "a drained agent could not be declared gone");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(hostname: &str) -> v1::MachineId {
        v1::MachineId { hostname: Some(hostname.into()), ip: None }
    }

    fn schedule(machines: &[&str], start_ms: i64) -> Schedule {
        let unavailability =
            v1::Unavailability { start: v1::TimeInfo { nanoseconds: start_ms * 1_000_000 }, duration: None };
        let machine_ids = machines.iter().map(|name| named(name)).collect();
        Schedule { windows: vec![Window { machine_ids, unavailability }] }
    }

    #[test]
    fn machines_go_down_and_up_by_the_schedule_only() {
        let steward = Steward::default();
        assert!(steward.down(&[named("a")]).is_err(), "not scheduled");
        steward.set_schedule(schedule(&["A", "b"], 10)).unwrap();
        assert_eq!(steward.status().draining_machines.len(), 2);
        steward.down(&[named("a")]).unwrap();
        assert!(steward.down(&[named("a")]).is_err(), "it is");
        assert_eq!(steward.status().down_machines, [named("a")]);
        assert!(steward.set_schedule(schedule(&["b"], 10)).is_err(), "a is down");
        assert!(steward.up(&[named("b")]).is_err(), "it is not down");
        steward.up(&[named("A")]).unwrap();
        assert_eq!(steward.schedule().windows[0].machine_ids, [named("b")]);
        for wrong in [schedule(&[], 1), schedule(&["a", "A"], 1), schedule(&[""], 1)] {
            assert!(steward.set_schedule(wrong).is_err());
        }
    }

    #[test]
    fn a_window_begins_once() {
        let steward = Steward::default();
        steward.set_schedule(schedule(&["a"], 10)).unwrap();
        assert!(steward.beginning(Timestamp(9)).is_empty());
        assert_eq!(steward.beginning(Timestamp(10)).len(), 1);
        assert!(steward.beginning(Timestamp(11)).is_empty());
        assert_eq!(steward.set_schedule(Schedule::default()).unwrap(), [named("a")], "it is let go");
    }
}
