//! One app as the scheduler keeps it: its versions, what of it is in force, and its instances in order and in numbers.

use super::backoff::Delay;
use super::balance::{Goal, Side};
use super::instances::{Class, Counted, Instance};
use super::keep::Keep;
use super::streak::Streak;
use super::{DeploymentKey, InstanceKey};
use hansa_model::app::{AppVersion, KillSelection};
use hansa_model::event::{AppView, TaskFailure};
use hansa_model::{AppId, Demand, DeploymentId, RoleName, SpecId, Timestamp};
use hansa_placement::Peers;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the scheduler does with an app's instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nothing: the app does not exist, its instances (if any) are held for the operator.
    #[default]
    Held,
    /// As many as wanted.
    Steady,
    /// As many as wanted; a deployment waits for it.
    Scale,
    /// Instances of another configuration, or launched as an earlier version than this, are replaced.
    Restart(Option<Timestamp>),
    /// All instances end.
    Stop,
}

/// Where an app stands in line for places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Queued {
    /// It needs none.
    #[default]
    Out,
    /// Its turn comes.
    Ready,
    /// Not before this time, because of backoff.
    Delayed(Timestamp),
    /// There was no place at this generation of the cluster.
    NoPlace(u64),
    /// There was a place, but the kernel refused, for this reason; tried again then, or at another generation.
    Refused(u64, Timestamp, String),
}

/// An instance's place in the order: its side, its class, its age.
pub(super) type Position = (bool, Class, Timestamp, InstanceKey);

/// One app, or the instances of one that does not exist.
#[derive(Debug)]
pub(super) struct App {
    /// Its id.
    pub id: AppId,
    /// Its id as instance ids begin.
    pub stem: String,
    /// The version that the world is shown; None: the app does not exist.
    pub current: Option<Arc<AppVersion>>,
    /// The version that instances are launched as: the one before `current` until a deployment comes to this app.
    pub active: Option<Arc<AppVersion>>,
    /// Stored versions.
    pub versions: BTreeMap<Timestamp, Arc<AppVersion>>,
    /// When it was removed, as far back as versions are kept.
    pub removals: BTreeSet<Timestamp>,
    /// The highest version that was ever given out.
    pub newest: Timestamp,
    /// What is done with its instances.
    pub mode: Mode,
    /// The deployment that touches it, if any.
    pub deployment: Option<(DeploymentKey, DeploymentId)>,
    /// Its part of the deployment's step under way is not done yet.
    pub in_step: bool,
    /// So many instances of the new version are enough for now: the canary.
    pub limit: Option<u32>,
    /// Its deployment is paused, and so many instances there shall be meanwhile.
    pub hold: Option<u32>,
    /// The version before, of which some instances stay for as long as `limit` or `hold` says.
    pub keep: Option<Keep>,
    /// The best that its part of the step came to, for noticing progress.
    pub best: i64,
    /// It is looked at in time whether its instances come up.
    pub expected: bool,
    /// Failures in a row.
    pub streak: Option<Streak>,
    /// They are stored: as how many, the last of them when.
    pub streak_stored: Option<(u32, Timestamp)>,
    /// Its instances in the order in which they would be killed.
    pub members: BTreeSet<Position>,
    /// How many of each side and class.
    pub counts: [[u32; Class::COUNT]; 2],
    /// How many of the fresh, present ones are spare.
    pub spares: u32,
    /// How many have not been heard of since a restart.
    pub unheard: u32,
    /// Where its instances are, as far as its constraints ask.
    pub peers: Peers,
    /// `peers` has to be counted anew.
    pub peers_stale: bool,
    /// What one instance of `active` takes.
    pub demand: Demand,
    /// The spec that was registered for this version; the kernel keeps it until it is told otherwise. What it may have
    /// known before a restart does not count: registering the same again is cheap, and holds it.
    pub spec: Option<(Timestamp, SpecId)>,
    /// How failures slow it down.
    pub delay: Delay,
    /// Instances to launch now.
    pub launch: u32,
    /// Since when there are instances to launch.
    pub waiting_since: Option<Timestamp>,
    /// Where it stands in line.
    pub queued: Queued,
    /// It has an entry in the queue of those whose turn comes.
    pub in_ready: bool,
    /// It has an entry in the queue of those to be looked at.
    pub dirty: bool,
    /// What it contributes to the demand that the kernel is told.
    pub told: Option<(RoleName, Demand, u32)>,
    /// How a task last failed.
    pub last_failure: Option<Arc<TaskFailure>>,
    /// What the last failed health check said.
    pub last_cause: Option<String>,
    /// Why there was no place, in words, at this generation.
    pub no_place: Option<(u64, String)>,
}

impl App {
    /// An app of which nothing but the id is known yet.
    pub fn new(id: AppId) -> Self {
        Self {
            stem: super::instances::stem(&id),
            id,
            current: None,
            active: None,
            versions: BTreeMap::new(),
            removals: BTreeSet::new(),
            newest: Timestamp(0),
            mode: Mode::Held,
            deployment: None,
            in_step: false,
            limit: None,
            hold: None,
            keep: None,
            best: i64::MIN,
            expected: false,
            streak: None,
            streak_stored: None,
            members: BTreeSet::new(),
            counts: [[0; Class::COUNT]; 2],
            spares: 0,
            unheard: 0,
            peers: Peers::default(),
            peers_stale: false,
            demand: Demand::default(),
            spec: None,
            delay: Delay::default(),
            launch: 0,
            waiting_since: None,
            queued: Queued::Out,
            in_ready: false,
            dirty: false,
            told: None,
            last_failure: None,
            last_cause: None,
            no_place: None,
        }
    }

    /// How many instances there shall be now.
    pub fn wanted(&self) -> u32 {
        if let (Some(hold), Mode::Scale | Mode::Restart(_)) = (self.hold, self.mode) {
            return hold;
        }
        match self.mode {
            Mode::Held | Mode::Stop => 0,
            Mode::Steady | Mode::Scale | Mode::Restart(_) => {
                self.active.as_ref().map_or(0, |active| active.spec.instances)
            }
        }
    }

    /// What it shall come to.
    pub fn goal(&self) -> Goal {
        Goal {
            wanted: self.wanted(),
            tolerated: self.spares,
            rolling: match (self.mode, &self.active) {
                (Mode::Restart(_), Some(active)) if self.hold.is_none() => Some(active.spec.upgrade),
                _ => None,
            },
            limit: self.limit.filter(|_| self.hold.is_none()),
        }
    }

    /// Whether an instance is one to be replaced.
    pub fn is_stale(&self, instance: &Instance) -> bool {
        instance.draining || (self.hold.is_none() && self.is_older(instance))
    }

    /// The counts of one side, as the arithmetic wants them.
    pub fn side(&self, stale: bool) -> Side {
        let count = |class: Class| self.counts[usize::from(stale)][class as usize];
        let present: u32 = Class::ALIVE[1..].iter().map(|&class| count(class)).sum();
        Side {
            ready: count(Class::Ready),
            unready: present - count(Class::Ready),
            killing: count(Class::Killing),
            lost: count(Class::Lost) + count(Class::KillingLost),
        }
    }

    /// Counts an instance in.
    pub fn enter(&mut self, key: InstanceKey, placed_at: Timestamp, as_what: Counted) {
        self.members.insert((as_what.stale, as_what.class, placed_at, key));
        self.counts[usize::from(as_what.stale)][as_what.class as usize] += 1;
        self.spares += u32::from(as_what.spare);
        self.unheard += u32::from(as_what.unheard);
    }

    /// Counts an instance out, as it was counted in.
    pub fn leave(&mut self, key: InstanceKey, placed_at: Timestamp, as_what: Counted) {
        self.members.remove(&(as_what.stale, as_what.class, placed_at, key));
        self.counts[usize::from(as_what.stale)][as_what.class as usize] -= 1;
        self.spares -= u32::from(as_what.spare);
        self.unheard -= u32::from(as_what.unheard);
    }

    /// Up to `count` instances of one side and class range, the first to go first.
    pub fn first_to_go(&self, stale: bool, classes: &[Class], count: u32) -> Vec<InstanceKey> {
        let oldest_first = self
            .active
            .as_ref()
            .is_some_and(|active| active.spec.kill_selection == KillSelection::OldestFirst);
        let mut chosen = Vec::new();
        let most = count as usize;
        for &class in classes {
            let left = most - chosen.len();
            if left == 0 {
                break;
            }
            let range = (stale, class, Timestamp(0), InstanceKey::MIN)
                ..=(stale, class, Timestamp(u64::MAX), InstanceKey::MAX);
            let members = self.members.range(range).map(|&(.., key)| key);
            if oldest_first {
                chosen.extend(members.take(left));
            } else {
                chosen.extend(members.rev().take(left));
            }
        }
        chosen
    }

    /// As the world is shown it; None if it does not exist.
    pub fn view(&self) -> Option<Arc<AppView>> {
        Some(Arc::new(AppView {
            current: self.current.clone()?,
            deployments: self.deployment.iter().map(|(_, id)| id.clone()).collect(),
            last_failure: self.last_failure.clone(),
            failing: self.failing().map(Arc::new),
        }))
    }

    /// The version that an instance was launched as, if it is still known.
    pub fn version(&self, version: Timestamp) -> Option<&Arc<AppVersion>> {
        self.versions
            .get(&version)
            .or_else(|| self.active.as_ref().filter(|active| active.version == version))
    }
}
