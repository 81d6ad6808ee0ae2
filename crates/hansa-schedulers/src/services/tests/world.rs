//! A world for the scheduler: machines that do as they are told, one step at a time, and a store that remembers.

use crate::services::{FailingRecord, Output, Record, Services, Settings};
use hansa_model::app::AppVersion;
use hansa_model::event::{AgentState, DeploymentChange, Event};
use hansa_model::group::GroupVersion;
use hansa_model::resources::MIB;
use hansa_model::scheduler::{Answer, Call, Claim, Notice, Placed, Rejection};
use hansa_model::service::{ServiceAnswer, ServiceCommand, ServiceRefusal};
use hansa_model::spec::{GroupSpec, Origin};
use hansa_model::task::{HealthResult, Limitation, TaskState, TaskStatus};
use hansa_model::{
    AgentId, Allocation, AppId, Demand, DeploymentId, InstanceId, Resources, RoleName, SpecId, TaskId,
    Timestamp,
};
use hansa_placement::{Cluster, Node};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A task crashes so long after it started, if that is its behaviour.
const LIFE_MS: u64 = 100;

/// A group as the kernel knows it.
#[derive(Clone, Debug)]
pub struct Group {
    pub spec: SpecId,
    pub tasks: Vec<TaskId>,
    pub agent: AgentId,
    pub allocation: Allocation,
    pub status: TaskStatus,
    pub placed_at: Timestamp,
    pub adopted: bool,
    pub unreachable_since: Option<Timestamp>,
    pub killing: bool,
    pub draining: bool,
}

#[derive(Default)]
pub struct Store {
    pub apps: BTreeMap<AppId, Timestamp>,
    pub versions: BTreeMap<(AppId, Timestamp), Arc<AppVersion>>,
    pub deployments: BTreeMap<DeploymentId, String>,
    pub groups: BTreeMap<(AppId, Timestamp), Arc<GroupVersion>>,
    pub removals: BTreeSet<(AppId, Timestamp)>,
    pub failing: BTreeMap<AppId, FailingRecord>,
    /// How often it was written that an app fails.
    pub written_failing: usize,
}

impl Store {
    fn apply(&mut self, record: Record) {
        match record {
            Record::PutApp(id, version) => drop(self.apps.insert(id, version)),
            Record::DeleteApp(id) => drop(self.apps.remove(&id)),
            Record::PutVersion(version) => {
                self.versions.insert((version.spec.id.clone(), version.version), version);
            }
            Record::DeleteVersion(id, version) => drop(self.versions.remove(&(id, version))),
            Record::PutDeployment(id, json) => drop(self.deployments.insert(id, json)),
            Record::DeleteDeployment(id) => drop(self.deployments.remove(&id)),
            Record::PutGroup(group) => drop(self.groups.insert((group.id.clone(), group.version), group)),
            Record::DeleteGroup(id, version) => drop(self.groups.remove(&(id, version))),
            Record::PutRemoval(id, at) => drop(self.removals.insert((id, at))),
            Record::DeleteRemoval(id, at) => drop(self.removals.remove(&(id, at))),
            Record::PutFailing(id, record) => {
                self.written_failing += 1;
                self.failing.insert(id, *record);
            }
            Record::DeleteFailing(id) => drop(self.failing.remove(&id)),
        }
    }

    pub fn records(&self) -> Vec<Record> {
        let mut records: Vec<Record> = self
            .deployments
            .iter()
            .map(|(id, json)| Record::PutDeployment(id.clone(), json.clone()))
            .collect();
        records.extend(self.apps.iter().map(|(id, version)| Record::PutApp(id.clone(), *version)));
        records.extend(self.versions.values().cloned().map(Record::PutVersion));
        records.extend(self.groups.values().cloned().map(Record::PutGroup));
        records.extend(self.removals.iter().map(|(id, at)| Record::PutRemoval(id.clone(), *at)));
        let failing = |(id, record): (&AppId, &FailingRecord)| (id.clone(), Box::new(record.clone()));
        records.extend(self.failing.iter().map(failing).map(|(id, record)| Record::PutFailing(id, record)));
        records
    }
}

pub struct World {
    pub services: Services,
    pub settings: Settings,
    pub cluster: Cluster,
    pub now: Timestamp,
    pub specs: BTreeMap<SpecId, Arc<GroupSpec>>,
    next_spec: u64,
    /// How many registrations of a spec are not dropped yet.
    pub holders: BTreeMap<SpecId, u32>,
    pub groups: BTreeMap<InstanceId, Group>,
    pub given_up: Vec<(InstanceId, Group)>,
    pub ended: BTreeSet<InstanceId>,
    pub store: Store,
    pub events: Vec<Event>,
    pub demand: BTreeMap<(RoleName, Demand), u32>,
    /// Every claim is refused for this reason.
    pub refuse: Option<Rejection>,
    /// The master restarts after so many steps; 0: never.
    pub restart_every: usize,
    steps: usize,
    /// After every step.
    pub watch: Option<fn(&World)>,
    pub calls: usize,
}

impl World {
    pub fn with_nodes(nodes: usize) -> Self {
        let mut cluster = Cluster::new();
        for index in 0..nodes {
            cluster.upsert(node(index));
        }
        let settings = Settings { id_seed: 7, ..Settings::default() };
        Self {
            services: Services::new(settings.clone()),
            settings,
            cluster,
            now: Timestamp(1_000_000),
            specs: BTreeMap::new(),
            next_spec: 0,
            holders: BTreeMap::new(),
            groups: BTreeMap::new(),
            given_up: Vec::new(),
            ended: BTreeSet::new(),
            store: Store::default(),
            events: Vec::new(),
            demand: BTreeMap::new(),
            refuse: None,
            restart_every: 0,
            steps: 0,
            watch: None,
            calls: 0,
        }
    }

    /// Another machine.
    pub fn add_node(&mut self, number: usize) {
        self.cluster.upsert(node(number));
    }

    /// Makes an output durable and seen.
    pub fn take_out(&mut self, out: Output) {
        self.take(out);
    }

    fn take(&mut self, out: Output) {
        for record in out.records {
            self.store.apply(record);
        }
        self.events.extend(out.events);
    }

    /// A client's command, and the calls it leads to at once.
    pub fn command(&mut self, command: ServiceCommand) -> Result<ServiceAnswer, ServiceRefusal> {
        self.now = self.now + 1;
        let before = format!("{:?}", self.store.records());
        let (answer, out) = self.services.command(self.now, command);
        self.take(out);
        if answer.is_err() {
            assert_eq!(before, format!("{:?}", self.store.records()), "a refused command changes nothing");
        }
        self.drive();
        answer
    }

    /// A command that must be accepted.
    pub fn order(&mut self, command: ServiceCommand) -> ServiceAnswer {
        self.command(command).expect("accepted")
    }

    /// A change that must be accepted: its deployment.
    pub fn deploy(&mut self, command: ServiceCommand) -> DeploymentId {
        match self.order(command) {
            ServiceAnswer::Deployment { id, .. } => id,
            other => panic!("{other:?}"),
        }
    }

    /// Asks for calls and answers them until there are none.
    pub fn drive(&mut self) {
        for _ in 0..100_000 {
            let (call, out) = self.services.next_call(self.now, &self.cluster);
            self.take(out);
            let Some(call) = call else {
                self.check();
                return;
            };
            self.calls += 1;
            let answer = self.answer(&call);
            let out = self.services.answered(self.now, call, answer, &self.cluster);
            self.take(out);
        }
        panic!("the scheduler never rests");
    }

    fn answer(&mut self, call: &Call) -> Answer {
        match call {
            Call::RegisterSpec { group } => {
                let same = self.specs.iter().find(|(_, known)| *known == group).map(|(&spec, _)| spec);
                let spec = same.unwrap_or_else(|| {
                    self.next_spec += 1;
                    SpecId(self.next_spec)
                });
                self.specs.insert(spec, group.clone());
                *self.holders.entry(spec).or_default() += 1;
                Answer::Spec(spec)
            }
            Call::DropSpec { spec } => {
                let holders = self.holders.get_mut(spec).expect("registered before it is dropped");
                *holders -= 1;
                self.holders.retain(|_, holders| *holders > 0);
                self.collect();
                Answer::Done
            }
            Call::Claim(claim) => Answer::Claim(vec![self.claim(claim)]),
            Call::Kill { instance, .. } => match self.groups.get_mut(instance) {
                Some(group) => {
                    group.killing = true;
                    Answer::Done
                }
                None => Answer::UnknownInstance,
            },
            Call::GiveUp { instance } => match self.groups.get(instance) {
                Some(group) if group.unreachable_since.is_some() => {
                    let group = self.groups.remove(instance).unwrap();
                    self.cluster.give_back(&group.agent, &group.allocation);
                    self.given_up.push((instance.clone(), group));
                    Answer::Done
                }
                Some(_) => panic!("{instance} is within reach and given up"),
                None => Answer::UnknownInstance,
            },
            Call::SetDemand { role, shape, count } => {
                self.demand.insert((role.clone(), shape.clone()), *count);
                self.demand.retain(|_, count| *count > 0);
                Answer::Done
            }
        }
    }

    /// Specs that nobody holds or uses go.
    fn collect(&mut self) {
        let (groups, holders) = (&self.groups, &self.holders);
        self.specs
            .retain(|spec, _| holders.contains_key(spec) || groups.values().any(|group| group.spec == *spec));
    }

    fn claim(&mut self, claim: &Claim) -> Result<(), Rejection> {
        let placement = &claim.placements[0];
        if let Some(rejection) = &self.refuse {
            return Err(rejection.clone());
        }
        let Some(spec) = self.specs.get(&placement.spec) else { return Err(Rejection::UnknownSpec) };
        assert!(placement.allocation.satisfies(&spec.demand()));
        let id = &placement.instance;
        assert!(!self.groups.contains_key(id), "{id} twice");
        if self.ended.contains(id) {
            return Err(Rejection::TaskIdTaken(placement.tasks[0].clone()));
        }
        assert_eq!(self.cluster.node(&placement.agent).unwrap().state, AgentState::Active);
        self.cluster.take(&placement.agent, &placement.allocation).expect("it fits");
        let status = TaskStatus::new(placement.tasks[0].clone(), id.clone(), 0, TaskState::Staging, self.now);
        let group = Group {
            spec: placement.spec,
            tasks: placement.tasks.clone(),
            agent: placement.agent.clone(),
            allocation: placement.allocation.clone(),
            status,
            placed_at: self.now,
            adopted: false,
            unreachable_since: None,
            killing: false,
            draining: false,
        };
        self.groups.insert(id.clone(), group);
        Ok(())
    }

    pub fn notice(&mut self, notice: Notice) {
        let out = self.services.notice(self.now, notice, &self.cluster);
        self.take(out);
    }

    /// A status of a group, as its machine says it.
    pub fn say(&mut self, id: &InstanceId, state: TaskState, change: impl FnOnce(&mut TaskStatus)) {
        let group = self.groups.get_mut(id).expect("it exists");
        let mut status =
            TaskStatus::new(group.tasks[0].clone(), id.clone(), group.status.sequence + 1, state, self.now);
        change(&mut status);
        group.status = status.clone();
        if state.is_terminal() {
            let group = self.groups.remove(id).unwrap();
            self.cluster.give_back(&group.agent, &group.allocation);
            self.ended.insert(id.clone());
            self.collect();
        }
        self.notice(Notice::Status(status));
    }

    /// How the tasks of a group behave.
    fn behaviour(&self, group: &Group) -> (String, bool) {
        let task = &self.specs[&group.spec].tasks[0];
        (task.labels.get("behave").cloned().unwrap_or_default(), !task.health_checks.is_empty())
    }

    /// The next thing that happens on a machine by itself. False: nothing will, now.
    pub fn step(&mut self) -> bool {
        let reachable = |group: &&Group| group.unreachable_since.is_none();
        let next = self.groups.iter().filter(|(_, group)| reachable(group)).find_map(|(id, group)| {
            let (behaviour, checks) = self.behaviour(group);
            let age = self.now.since(group.status.at);
            let what = match (group.status.state, behaviour.as_str()) {
                _ if group.killing => TaskState::Killed,
                (TaskState::Staging, "hang") => return None,
                (TaskState::Staging, "error") => TaskState::Error,
                (TaskState::Staging, _) => TaskState::Running,
                (TaskState::Running, "crash") if age >= LIFE_MS => TaskState::Failed,
                (TaskState::Running, "finish") if age >= LIFE_MS => TaskState::Finished,
                (TaskState::Running, _) if checks && group.status.healthy.is_none() => TaskState::Running,
                _ => return None,
            };
            Some((id.clone(), what, behaviour, group.status.state))
        });
        let Some((id, what, behaviour, before)) = next else { return false };
        self.now = self.now + 1;
        self.say(&id, what, |status| match what {
            TaskState::Running if before == TaskState::Running => {
                let healthy = behaviour != "sick";
                status.healthy = Some(healthy);
                let failures = if healthy { 0 } else { 1 };
                status.health = vec![HealthResult {
                    alive: Some(healthy),
                    consecutive_failures: failures,
                    ..HealthResult::default()
                }];
            }
            TaskState::Error => status.message = "no such user".into(),
            TaskState::Failed => {
                status.message = "Memory limit exceeded".into();
                status.limitation = Some(Limitation { used: 70, limit: 64 });
            }
            _ => {}
        });
        self.steps += 1;
        if self.restart_every > 0 && self.steps.is_multiple_of(self.restart_every) {
            if self.steps.is_multiple_of(2) {
                self.drive();
            }
            self.restart();
        }
        true
    }

    /// Everything that happens by itself, until nothing does.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            self.drive();
            if let Some(watch) = self.watch {
                watch(self);
            }
            if !self.step() {
                return;
            }
        }
        panic!("it never settles");
    }

    /// Everything that happens in this time.
    pub fn run_for(&mut self, ms: u64) {
        let end = self.now + ms;
        for _ in 0..100_000 {
            self.drive();
            if self.now >= end {
                return;
            }
            if self.step() {
                continue;
            }
            let crash = self
                .groups
                .values()
                .filter(|group| matches!(self.behaviour(group).0.as_str(), "crash" | "finish"))
                .filter(|group| group.status.state == TaskState::Running)
                .map(|group| group.status.at + LIFE_MS)
                .min();
            let next = [self.services.next_deadline(), crash, Some(end)].into_iter().flatten().min().unwrap();
            assert!(next > Timestamp(0), "there is something to do after all");
            self.now = next.max(self.now + 1);
        }
        panic!("time does not pass");
    }

    /// The master dies and comes back; the machines notice nothing.
    pub fn restart(&mut self) {
        self.restart_hearing(|_| true);
    }

    /// The same, and only these groups are heard of.
    pub fn restart_hearing(&mut self, heard: impl Fn(&Group) -> bool) {
        self.demand.clear();
        self.holders.clear();
        self.collect();
        self.services = Services::new(self.settings.clone());
        let out = self.services.restore(self.now, self.store.records());
        self.take(out);
        let groups: Vec<(InstanceId, Group)> =
            self.groups.iter().map(|(id, group)| (id.clone(), group.clone())).collect();
        for (id, group) in &groups {
            self.appears(id, group, true);
        }
        // The machines connect again, one after the other.
        for (id, group) in &groups {
            if group.draining {
                self.notice(Notice::Drain { instance: id.clone() });
            }
            if group.unreachable_since.is_none() && heard(group) {
                self.notice(Notice::Status(group.status.clone()));
            }
            self.drive();
        }
    }

    /// A group appears to the scheduler. `stored`: nothing is known yet of how it is.
    pub fn appears(&mut self, id: &InstanceId, group: &Group, stored: bool) {
        let status = match (stored, group.unreachable_since) {
            (true, None) => {
                TaskStatus::new(group.tasks[0].clone(), id.clone(), 0, TaskState::Staging, group.placed_at)
            }
            (true, Some(since)) => {
                TaskStatus::new(group.tasks[0].clone(), id.clone(), 0, TaskState::Unreachable, since)
            }
            (false, _) => group.status.clone(),
        };
        let placed = Placed {
            instance: id.clone(),
            tasks: vec![status],
            spec: group.spec,
            origin: self.specs[&group.spec].origin.clone(),
            agent: group.agent.clone(),
            allocation: group.allocation.clone(),
            placed_at: group.placed_at,
            adopted: group.adopted,
            unreachable_since: group.unreachable_since,
            killing: group.killing,
        };
        self.notice(Notice::Placed(Box::new(placed)));
    }

    /// A machine is out of reach.
    pub fn lose(&mut self, node: usize) {
        let agent = agent(node);
        self.cluster.set_state(&agent, AgentState::Unreachable);
        for (id, _) in self.on(&agent) {
            self.groups.get_mut(&id).unwrap().unreachable_since = Some(self.now);
            self.notice(Notice::Unreachable { instance: id, since: self.now });
        }
        self.drive();
    }

    /// It is back, and what was given up there is killed.
    pub fn return_of(&mut self, node: usize) {
        let agent = agent(node);
        self.cluster.set_state(&agent, AgentState::Active);
        for (id, group) in self.on(&agent) {
            self.groups.get_mut(&id).unwrap().unreachable_since = None;
            self.notice(Notice::Reachable { instance: id.clone() });
            self.notice(Notice::Status(group.status.clone()));
        }
        self.given_up.retain(|(_, group)| group.agent != agent);
        self.drive();
    }

    pub fn drain(&mut self, node: usize) {
        let agent = agent(node);
        self.cluster.set_state(&agent, AgentState::Draining);
        for (id, _) in self.on(&agent) {
            self.groups.get_mut(&id).unwrap().draining = true;
            self.notice(Notice::Drain { instance: id });
        }
        self.drive();
    }

    pub fn on(&self, agent: &AgentId) -> Vec<(InstanceId, Group)> {
        let there = self.groups.iter().filter(|(_, group)| group.agent == *agent);
        there.map(|(id, group)| (id.clone(), group.clone())).collect()
    }

    /// The app's groups, by id.
    pub fn of(&self, app: &str) -> Vec<(InstanceId, Group)> {
        let of = |group: &Group| match &self.specs[&group.spec].origin {
            Origin::App { id, .. } => id.as_str() == app,
            Origin::Framework => false,
        };
        self.groups.iter().filter(|(_, g)| of(g)).map(|(id, group)| (id.clone(), group.clone())).collect()
    }

    /// How many instances of the app are running.
    pub fn running(&self, app: &str) -> usize {
        self.of(app).iter().filter(|(_, group)| group.status.state == TaskState::Running).count()
    }

    /// How many instances of the app run or will, by the command of their spec.
    pub fn commands(&self, app: &str) -> BTreeMap<String, usize> {
        let mut commands = BTreeMap::new();
        for (_, group) in self.of(app) {
            *commands.entry(self.command_of(&group)).or_default() += 1;
        }
        commands
    }

    pub fn command_of(&self, group: &Group) -> String {
        match &self.specs[&group.spec].tasks[0].command {
            hansa_model::spec::Command::Shell(text) => text.clone(),
            hansa_model::spec::Command::Argv(argv) => argv.join(" "),
        }
    }

    pub fn tasks(&self, app: &str) -> Vec<TaskId> {
        self.of(app).into_iter().flat_map(|(_, group)| group.tasks).collect()
    }

    /// What the events say has become of a deployment.
    pub fn changes(&self, wanted: &DeploymentId) -> Vec<DeploymentChange> {
        let changes = self.events.iter().filter_map(|event| match event {
            Event::Deployment { view, change } if view.id == *wanted => Some(change.clone()),
            _ => None,
        });
        changes.filter(|change| *change != DeploymentChange::Progress).collect()
    }

    pub fn has_succeeded(&self, wanted: &DeploymentId) -> bool {
        self.changes(wanted).last() == Some(&DeploymentChange::Succeeded)
            && !self.store.deployments.contains_key(wanted)
    }

    /// What a deployment said last that it waits for.
    pub fn words(&self, wanted: &DeploymentId) -> String {
        let words = self.events.iter().rev().find_map(|event| match event {
            Event::Deployment { view, .. } if view.id == *wanted => Some(view.waiting_for.clone()),
            _ => None,
        });
        words.unwrap_or_default()
    }

    pub fn version(&self, app: &str) -> Arc<AppVersion> {
        let id = AppId::from(app);
        self.store.versions[&(id.clone(), self.store.apps[&id])].clone()
    }

    pub fn check(&self) {
        if let Err(fault) = self.services.check() {
            panic!("{fault}");
        }
    }
}

pub fn agent(node: usize) -> AgentId {
    AgentId::from(format!("agent{node}"))
}

fn node(index: usize) -> Node {
    let total: Resources =
        format!("cpus:4;mem:{};disk:1000;ports:[31000-31099]", 4096 * MIB / MIB).parse().unwrap();
    Node {
        id: agent(index),
        hostname: Arc::from(format!("node{index}")),
        region: None,
        zone: None,
        attributes: BTreeMap::from([("rack".to_string(), Arc::from(format!("r{}", index % 2)))]),
        state: AgentState::Active,
        reserved: None,
        free: total.clone(),
        total,
    }
}
