//! Mesos' older endpoints that only tell: `/state`, `/state-summary`, `/slaves`, `/frameworks`, `/tasks`, `/roles`. Every
//! piece is made when it is written, none is held.

pub(super) mod agents;
mod frameworks;
pub(super) mod sums;
pub(super) mod tasks;

use super::about::{self, CAPABILITIES, seconds};
use super::answers::Query;
use super::picture::{Picture, Scene, Who};
use crate::read_model::{Agent, Told};
use agents::{Detail, Use};
use hansa_model::event::{AgentState, RoleView};
use hansa_model::role::Bound;
use hansa_model::{AgentId, RoleName};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use sums::Sum;

/// Tasks that `/tasks` shows unless it is asked for more.
const TASKS: usize = 100;

/// A list that is written piece by piece, once.
struct List<I>(RefCell<Option<I>>);

impl<I: Iterator<Item: Serialize>> Serialize for List<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.borrow_mut().take().into_iter().flatten())
    }
}

fn list<I: Iterator>(pieces: I) -> List<I> {
    List(RefCell::new(Some(pieces)))
}

/// `/state`
pub(super) struct State(pub(super) Picture);

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(picture) = self;
        let me = &picture.me;
        let used = Use::of_all(picture);
        let mut state = serializer.serialize_map(None)?;
        for (name, value) in about::version().as_object().into_iter().flatten() {
            state.serialize_entry(name, value)?;
        }
        state.serialize_entry("start_time", &seconds(me.started_at))?;
        state.serialize_entry("elected_time", &seconds(me.started_at))?;
        state.serialize_entry("id", &me.id)?;
        state.serialize_entry("pid", &me.pid())?;
        state.serialize_entry("hostname", &me.hostname)?;
        state.serialize_entry("capabilities", &CAPABILITIES)?;
        for (name, count) in agents_by_activity(picture) {
            state.serialize_entry(name, &count)?;
        }
        state.serialize_entry("leader", &me.pid())?;
        let leader = json!({"id": me.id, "pid": me.pid(), "port": me.port, "hostname": me.hostname});
        state.serialize_entry("leader_info", &leader)?;
        state.serialize_entry("cluster", &me.cluster)?;
        state.serialize_entry("flags", &about::flags(me)["flags"])?;
        let agents = picture.registered();
        let agents =
            agents.map(|agent| agents::agent(picture, agent, used.get(&agent.view.id), Detail::Plain));
        state.serialize_entry("slaves", &list(agents))?;
        state.serialize_entry("recovered_slaves", &[(); 0])?;
        let framework = |scene| frameworks::framework(picture, scene);
        state.serialize_entry("frameworks", &list(picture.scenes.iter().map(framework)))?;
        state.serialize_entry("completed_frameworks", &list(picture.completed.iter().map(framework)))?;
        state.serialize_entry("orphan_tasks", &[(); 0])?;
        state.serialize_entry("unregistered_frameworks", &[(); 0])?;
        state.end()
    }
}

/// How many agents take work, do not, and are out of reach.
pub(super) fn agents_by_activity(picture: &Picture) -> [(&'static str, usize); 3] {
    let count = |wanted: fn(AgentState) -> bool| {
        picture.agents.values().filter(|agent| wanted(agent.view.state)).count()
    };
    [
        ("activated_slaves", count(|state| state == AgentState::Active)),
        ("deactivated_slaves", count(|state| !matches!(state, AgentState::Active | AgentState::Unreachable))),
        ("unreachable_slaves", count(|state| state == AgentState::Unreachable)),
    ]
}

/// `/state-summary`
pub(super) struct Summary(pub(super) Picture);

impl Serialize for Summary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(picture) = self;
        let mut used: BTreeMap<AgentId, Use> = Use::of_all(picture);
        agents::count_states(picture, &mut used);
        let agents = picture.registered();
        let agents =
            agents.map(|agent| agents::agent(picture, agent, used.get(&agent.view.id), Detail::Summary));
        let mut summary = serializer.serialize_map(None)?;
        summary.serialize_entry("hostname", &picture.me.hostname)?;
        summary.serialize_entry("cluster", &picture.me.cluster)?;
        summary.serialize_entry("slaves", &list(agents))?;
        summary.serialize_entry("frameworks", &list(picture.scenes.iter().map(frameworks::summary)))?;
        summary.end()
    }
}

/// `/slaves`
pub(super) struct Slaves {
    /// Everything.
    pub(super) picture: Picture,
    /// Only this one.
    pub(super) only: Option<String>,
}

impl Serialize for Slaves {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let used = Use::of_all(&self.picture);
        let wanted = |agent: &&Agent| self.only.as_deref().is_none_or(|only| only == agent.view.id.as_str());
        let agents = self.picture.registered().filter(wanted);
        let agents =
            agents.map(|agent| agents::agent(&self.picture, agent, used.get(&agent.view.id), Detail::Full));
        let mut slaves = serializer.serialize_map(None)?;
        slaves.serialize_entry("slaves", &list(agents))?;
        slaves.serialize_entry("recovered_slaves", &[(); 0])?;
        slaves.end()
    }
}

/// `/frameworks`
pub(super) struct Frameworks(pub(super) Picture);

impl Serialize for Frameworks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(picture) = self;
        let framework = |scene| frameworks::framework(picture, scene);
        let mut all = serializer.serialize_map(None)?;
        all.serialize_entry("frameworks", &list(picture.scenes.iter().map(framework)))?;
        all.serialize_entry("completed_frameworks", &list(picture.completed.iter().map(framework)))?;
        all.serialize_entry("unregistered_frameworks", &[(); 0])?;
        all.end()
    }
}

/// Which tasks `/tasks` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    limit: usize,
    offset: usize,
    ascending: bool,
}

impl Page {
    /// As the query says; what is no number means what is usual.
    pub(super) fn of(query: &Query) -> Self {
        let number = |name: &str| query.get(name).and_then(|text| text.parse::<i64>().ok());
        // A negative limit wraps around to a very large one.
        let size = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
        Self {
            limit: number("limit").map_or(TASKS, size),
            offset: number("offset").map_or(0, size),
            ascending: query.get("order") == Some("asc"),
        }
    }
}

/// `/tasks`
pub(super) struct Tasks {
    /// Everything.
    pub(super) picture: Picture,
    /// Which part of it.
    pub(super) page: Page,
}

impl Serialize for Tasks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let scenes = self.picture.scenes.iter().chain(&self.picture.completed);
        let mut tasks: Vec<(&Scene, &Told)> = scenes
            .flat_map(|scene| scene.tasks.iter().chain(&scene.ended).map(move |told| (scene, told)))
            .collect();
        // By the first thing that was heard of a task; nothing is the oldest.
        match self.page.ascending {
            true => tasks.sort_by_key(|(_, told)| told.marks.first_at()),
            false => tasks.sort_by_key(|(_, told)| Reverse(told.marks.first_at())),
        }
        let page = tasks.into_iter().skip(self.page.offset).take(self.page.limit);
        let page = page.map(|(scene, told)| tasks::task(&self.picture, scene, told));
        let mut all = serializer.serialize_map(Some(1))?;
        all.serialize_entry("tasks", &list(page))?;
        all.end()
    }
}

/// What a role's members have, and who they are.
#[derive(Default)]
pub(super) struct RoleUse {
    /// What tasks and executors have.
    pub(super) allocated: Sum,
    /// What is offered.
    pub(super) offered: Sum,
    /// What is kept for it, used or not.
    pub(super) reserved: Sum,
    /// Frameworks in it.
    pub(super) frameworks: Vec<String>,
}

/// All roles that are configured, used or subscribed in.
pub(super) fn roles_in_use(picture: &Picture) -> BTreeMap<RoleName, RoleUse> {
    let mut roles: BTreeMap<RoleName, RoleUse> = BTreeMap::new();
    for view in &picture.roles {
        roles.entry(view.role.name.clone()).or_default();
    }
    for scene in &picture.scenes {
        if let Who::Framework(view) = &scene.who {
            for role in &view.info.roles {
                roles.entry(role.clone()).or_default().frameworks.push(view.info.id.to_string());
            }
        }
        for told in scene.tasks.iter().filter(|told| !told.view.status.state.is_terminal()) {
            let role = match roles.get_mut(&told.view.role) {
                Some(role) => role,
                None => roles.entry(told.view.role.clone()).or_default(),
            };
            match &told.view.framework {
                Some(of) => role.allocated.parts(&of.task().parts),
                None => role.allocated.allocation(&told.view.allocation),
            }
            if matches!(scene.who, Who::Services { .. }) && role.frameworks.is_empty() {
                role.frameworks.push(scene.who.id().to_string());
            }
        }
        for executor in &scene.executors {
            roles.entry(executor.role.clone()).or_default().allocated.parts(&executor.run.parts);
        }
        for offer in &scene.offers {
            roles.entry(offer.role.clone()).or_default().offered.parts(&offer.parts);
        }
    }
    for agent in picture.registered() {
        for part in &agent.view.reserved {
            if let Some(reservation) = part.reservations.last() {
                roles.entry(reservation.role.clone()).or_default().reserved.amount(&part.amount);
            }
        }
    }
    roles
}

/// A bound by name, in Mesos' units.
pub(super) fn bound(bound: &Bound) -> BTreeMap<&'static str, f64> {
    let milli = |milli: u64| milli as f64 / 1000.0;
    [
        ("cpus", bound.cpus_milli.map(milli)),
        ("gpus", bound.gpus_milli.map(milli)),
        ("mem", bound.mem.map(sums::mebibytes)),
        ("disk", bound.disk.map(sums::mebibytes)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// Amounts by name, without those that are nothing.
fn quantities(sum: &Sum) -> Value {
    let some = sum.named().into_iter().filter(|(_, value)| *value > 0.0);
    Value::Object(some.map(|(name, value)| (name.to_owned(), json!(value))).collect::<Map<_, _>>())
}

/// `/roles`
pub(super) fn roles(picture: &Picture) -> Value {
    let settings: BTreeMap<&RoleName, &RoleView> =
        picture.roles.iter().map(|view| (&view.role.name, view.as_ref())).collect();
    let roles = roles_in_use(picture);
    let shown = roles.iter().map(|(name, used)| {
        let role = settings.get(name).map(|view| &view.role);
        let mut both = used.allocated.clone();
        both.add(&used.offered);
        let mut consumed = used.allocated.clone();
        consumed.add(&used.reserved);
        json!({
            "name": name.as_str(),
            "weight": role.map_or(1.0, |role| role.weight_milli as f64 / 1000.0),
            "quota": {
                "role": name.as_str(),
                "guarantee": role.map(|role| bound(&role.guarantee)).unwrap_or_default(),
                "limit": role.map(|role| bound(&role.limit)).unwrap_or_default(),
                "consumed": quantities(&consumed),
            },
            "resources": quantities(&both),
            "allocated": quantities(&used.allocated),
            "offered": quantities(&used.offered),
            "reserved": quantities(&used.reserved),
            "frameworks": used.frameworks,
        })
    });
    json!({"roles": shown.collect::<Vec<_>>()})
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn pages_are_as_clients_ask_for_them() {
        let page = |query| {
            let Page { limit, offset, ascending } = Page::of(&Query::parse(query));
            (limit, offset, ascending)
        };
        assert_eq!(page(""), (100, 0, false));
        assert_eq!(page("limit=-1&order=des"), (usize::MAX, 0, false));
        assert_eq!(page("limit=10&offset=5&order=asc"), (10, 5, true));
        assert_eq!(page("limit=many&order=dsc"), (100, 0, false));
    }
}
