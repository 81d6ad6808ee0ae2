//! What would be: where more instances of an app would go, and where those of a machine that is emptied.
//!
//! The caller lends books on which places can be claimed without anything being changed. Requests, the order of turns and
//! who counts as missing are those of the real thing (`launch`, `balance`); what is left out is time: nothing crashes
//! meanwhile, every instance that finds a place comes up, and no backoff holds it up.

use super::apps::Mode;
use super::instances::Class;
use super::queue::refused;
use super::{AppKey, InstanceKey, Services, Shape};
use hansa_model::app::{AppVersion, Constraint};
use hansa_model::explain::Explanation;
use hansa_model::trial::{Fate, MoreInstances};
use hansa_model::{AgentId, AppId, Demand, InstanceId, RoleName, Timestamp};
use hansa_placement::{Peers, Request};
use std::collections::BTreeMap;

pub use hansa_placement::{Choice, Cluster};

/// After so many rounds it is said what still finds no place, even if the next one might.
const ROUNDS: usize = 16;
/// Whole passes over the machines for the words of one answer. Whoever comes later gets plain words.
const PASSES: usize = 32;

/// Books to try things out on.
pub trait Books {
    /// The machines as they would be by now.
    fn cluster(&self) -> &Cluster;

    /// Claims the place that was chosen for one instance.
    ///
    /// # Errors
    /// Why it would be refused, in words.
    fn claim(
        &mut self,
        role: &RoleName,
        demand: &Demand,
        constraints: &[Constraint],
        choice: &Choice,
    ) -> Result<(), String>;

    /// Time passes until these have ended, and whatever else is ending by then. Whether anything did.
    fn settle(&mut self, ended: &[InstanceId]) -> bool;
}

/// One version of an app that seeks places.
struct Want<'a> {
    version: &'a AppVersion,
    demand: Demand,
    peers: Peers,
    /// There was no place in this round; the words if it was refused one.
    stuck: Option<Option<String>>,
}

impl<'a> Want<'a> {
    fn new(services: &Services, key: AppKey, version: &'a AppVersion, cluster: &Cluster) -> Self {
        Self {
            demand: version.spec.group(version.version).demand(),
            peers: services.peers_under(key, &version.spec.constraints, cluster),
            version,
            stuck: None,
        }
    }

    fn request(&self) -> Request<'_> {
        let spec = &self.version.spec;
        Request {
            demand: &self.demand,
            constraints: &spec.constraints,
            peers: &self.peers,
            role: &spec.role,
            accepted_roles: spec.accepted_roles.as_deref(),
        }
    }

    /// A place for one instance, claimed.
    fn place(&mut self, books: &mut impl Books) -> Option<AgentId> {
        let spec = &self.version.spec;
        let Some(choice) = books.cluster().place(&self.request()) else {
            self.stuck = Some(None);
            return None;
        };
        if let Err(words) = books.claim(&spec.role, &self.demand, &spec.constraints, &choice) {
            self.stuck = Some(Some(words));
            return None;
        }
        Some(choice.agent)
    }

    /// Why it is stuck.
    fn explain(&self, cluster: &Cluster) -> Explanation {
        let mut explanation = cluster.explain(&self.request());
        if let Some(Some(words)) = &self.stuck {
            refused(&mut explanation, words, cluster);
        }
        explanation
    }

    /// What it has in common with others that are stuck for the same reason.
    fn shape(&self) -> Option<Shape> {
        let spec = &self.version.spec;
        let alike = spec.constraints.is_empty() && !matches!(self.stuck, Some(Some(_)));
        alike.then(|| (spec.role.clone(), spec.accepted_roles.clone(), self.demand.clone()))
    }
}

/// A version of an app.
type WantKey = (AppKey, Timestamp);

/// An instance that is to find another place.
struct Mover {
    /// Where its fate is told.
    at: usize,
    instance: InstanceKey,
    want: WantKey,
}

impl Services {
    /// Where so many more instances of an app would go; None: it is not known, or nothing is ever launched of it.
    pub fn try_more(&self, app: &AppId, count: u32, books: &mut impl Books) -> Option<MoreInstances> {
        let key = *self.by_id.get(app)?;
        let mut want = Want::new(self, key, self.apps[key].waits_as()?, books.cluster());
        let mut first = want.explain(books.cluster());
        let mut places: Vec<AgentId> = Vec::new();
        let mut obstacle = None;
        for _ in 0..count {
            let Some(agent) = want.place(books) else {
                let why = want.explain(books.cluster());
                if places.is_empty() {
                    first = why.clone();
                }
                obstacle = Some(why);
                break;
            };
            if let Some(node) = books.cluster().node(&agent) {
                want.peers.add(node);
            }
            places.push(agent);
        }
        Some(MoreInstances { asked: count, places, first, obstacle })
    }

    /// What would become of these instances, whose machine (as the books have it already) takes no work any more. The
    /// answers are in the order of the instances.
    pub fn try_move(&self, instances: &[InstanceId], books: &mut impl Books) -> Vec<Fate> {
        let mut fates: Vec<Fate> = Vec::with_capacity(instances.len());
        let mut by_app: BTreeMap<AppKey, Vec<(usize, InstanceKey)>> = BTreeMap::new();
        for (at, id) in instances.iter().enumerate() {
            fates.push(match self.by_instance.get(id) {
                None => Fate::Stays("it is no service's".into()),
                Some(&key) => {
                    let fate = self.fate_without_place(key);
                    if fate.is_none() {
                        by_app.entry(self.instances[key].app).or_default().push((at, key));
                    }
                    fate.unwrap_or(Fate::Waits(String::new()))
                }
            });
        }
        let mut wants: BTreeMap<WantKey, Want<'_>> = BTreeMap::new();
        // Apps take turns, in the order in which they are told.
        let mut open: Vec<(usize, usize, Mover)> = Vec::new();
        for (&app_key, movers) in &by_app {
            let missing = self.missing_without(app_key, movers);
            let turn = movers.first().map_or(0, |&(at, _)| at);
            for (nth, &(at, instance)) in movers.iter().enumerate() {
                let version = self.replaced_as(app_key, instance).filter(|_| nth < missing);
                let Some(version) = version else {
                    fates[at] = Fate::Ends("there are as many instances as wanted without it".into());
                    continue;
                };
                let want = (app_key, version.version);
                wants.entry(want).or_insert_with(|| Want::new(self, app_key, version, books.cluster()));
                open.push((nth, turn, Mover { at, instance, want }));
            }
        }
        open.sort_by_key(|&(nth, turn, _)| (nth, turn));
        let mut open: Vec<Mover> = open.into_iter().map(|(.., mover)| mover).collect();
        for _ in 0..ROUNDS {
            let (moved, left) = self.try_round(open, &mut wants, &mut fates, books);
            open = left;
            let ended: Vec<InstanceId> =
                moved.iter().map(|&instance| self.instances[instance].id.clone()).collect();
            if open.is_empty() || !books.settle(&ended) {
                break;
            }
            for instance in moved {
                let instance = &self.instances[instance];
                if let Some(node) = books.cluster().node(&instance.agent) {
                    of_app(&mut wants, instance.app).for_each(|want| want.peers.remove(node));
                }
            }
        }
        self.say_why(&open, &wants, &mut fates, books.cluster());
        fates
    }

    /// The app that an instance is of.
    pub fn app_of(&self, instance: &InstanceId) -> Option<&AppId> {
        let key = self.by_instance.get(instance)?;
        Some(&self.apps[self.instances[*key].app].id)
    }

    /// Everybody who is left has a turn: who moves, and who is left now.
    fn try_round(
        &self,
        open: Vec<Mover>,
        wants: &mut BTreeMap<WantKey, Want<'_>>,
        fates: &mut [Fate],
        books: &mut impl Books,
    ) -> (Vec<InstanceKey>, Vec<Mover>) {
        wants.values_mut().for_each(|want| want.stuck = None);
        let (mut moved, mut left) = (Vec::new(), Vec::new());
        for mover in open {
            let want = wants.get_mut(&mover.want).filter(|want| want.stuck.is_none());
            let Some(agent) = want.and_then(|want| want.place(books)) else {
                left.push(mover);
                continue;
            };
            if let Some(node) = books.cluster().node(&agent) {
                of_app(wants, mover.want.0).for_each(|want| want.peers.add(node));
            }
            fates[mover.at] = Fate::Moves(agent);
            moved.push(mover.instance);
        }
        (moved, left)
    }

    /// Why those that are left find no place.
    fn say_why(
        &self,
        left: &[Mover],
        wants: &BTreeMap<WantKey, Want<'_>>,
        fates: &mut [Fate],
        cluster: &Cluster,
    ) {
        let mut known: BTreeMap<WantKey, String> = BTreeMap::new();
        let mut alike: BTreeMap<Shape, String> = BTreeMap::new();
        for mover in left {
            let Some(want) = wants.get(&mover.want) else { continue };
            let shape = want.shape();
            let words = match known.get(&mover.want).or_else(|| alike.get(shape.as_ref()?)) {
                Some(words) => words.clone(),
                None if known.len() >= PASSES => "there is no place for it now".to_owned(),
                None => {
                    let words = want.explain(cluster).summary;
                    known.insert(mover.want, words.clone());
                    alike.extend(shape.map(|shape| (shape, words.clone())));
                    words
                }
            };
            fates[mover.at] = Fate::Waits(words);
        }
    }

    /// What becomes of an instance whatever places there are; None: it wants another place.
    fn fate_without_place(&self, key: InstanceKey) -> Option<Fate> {
        let instance = &self.instances[key];
        let ends = |why: &str| Some(Fate::Ends(why.to_owned()));
        match (self.apps[instance.app].mode, instance.class()) {
            (_, Class::Killing | Class::KillingLost) => ends("it is ending already"),
            (Mode::Held, _) => Some(Fate::Stays("its service does not exist any more".into())),
            (Mode::Stop, _) => ends("its service is being removed"),
            (_, Class::Lost) => ends("it is out of reach and has been replaced"),
            _ => None,
        }
    }

    /// How many instances an app would miss without these.
    fn missing_without(&self, key: AppKey, movers: &[(usize, InstanceKey)]) -> usize {
        let app = &self.apps[key];
        let (fresh, stale) = (app.side(false).present(), app.side(true).present());
        // While two versions stand side by side, the older ones count, too.
        let both = app.limit.is_some() || app.hold.is_some();
        let going = movers.iter().filter(|&&(_, mover)| both || !self.instances[mover].stale).count();
        let there = if both { fresh + stale } else { fresh } as usize;
        (app.wanted() as usize).saturating_sub(there.saturating_sub(going))
    }

    /// The version as which an instance is replaced.
    fn replaced_as(&self, key: AppKey, instance: InstanceKey) -> Option<&AppVersion> {
        let app = &self.apps[key];
        let older = app.keep.as_ref().filter(|_| app.is_older(&self.instances[instance]));
        older.map(|keep| &*keep.version).or(app.active.as_deref())
    }
}

/// All versions of an app that seek places.
fn of_app<'a, 'b>(
    wants: &'a mut BTreeMap<WantKey, Want<'b>>,
    key: AppKey,
) -> impl Iterator<Item = &'a mut Want<'b>> {
    wants.range_mut((key, Timestamp(0))..=(key, Timestamp(u64::MAX))).map(|(_, want)| want)
}
