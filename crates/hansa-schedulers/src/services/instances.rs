//! One instance as the scheduler remembers it, and the class it counts under.

use super::AppKey;
use hansa_model::task::TaskState;
use hansa_model::{AgentId, AppId, InstanceId, TaskId, Timestamp};

/// Every class an instance can be in, in the order in which instances are given up when there are too many. Each
/// instance is in exactly one; the app counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Class {
    /// Out of reach for so long that it has been replaced.
    Lost,
    /// Out of reach.
    Unreachable,
    /// Assigned; the agent has said nothing yet.
    Staging,
    /// Being set up.
    Starting,
    /// Running, and a check says no.
    Unhealthy,
    /// Running; the checks have not decided yet.
    Undecided,
    /// Running, and healthy if it has checks.
    Ready,
    /// Told to end.
    Killing,
    /// Told to end, but out of reach for so long that it has been replaced.
    KillingLost,
}

impl Class {
    /// How many there are.
    pub const COUNT: usize = 9;
    /// Those that a decision can still kill, in the order in which they go.
    pub const ALIVE: [Class; 7] = [
        Class::Lost,
        Class::Unreachable,
        Class::Staging,
        Class::Starting,
        Class::Unhealthy,
        Class::Undecided,
        Class::Ready,
    ];
}

/// What the kernel is to be told about an instance that shall end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// End it.
    Kill,
    /// It is out of reach: forget it for good.
    GiveUp,
}

/// One instance.
#[derive(Debug)]
pub(super) struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Its app.
    pub app: AppKey,
    /// The app's version it was launched as.
    pub version: Timestamp,
    /// That version's `last_config_change_at`; None if the version is not known (any more).
    pub config: Option<Timestamp>,
    /// Where it is.
    pub agent: AgentId,
    /// When it was claimed.
    pub placed_at: Timestamp,
    /// When its agent last said that it comes nearer to running.
    pub heard_at: Timestamp,
    /// Since when its agent is out of reach, if it is.
    pub unreachable_since: Option<Timestamp>,
    /// The alarm that is set for it: it is lost from then on, or to be given up.
    pub timer: Option<Timestamp>,
    /// The last state that its agent said.
    pub state: TaskState,
    /// What its checks said last.
    pub healthy: Option<bool>,
    /// Whether its version has checks, as far as is known.
    pub checks: bool,
    /// It has readiness checks, and they have not said yet that it is ready.
    pub awaited: bool,
    /// It is told to end.
    pub killing: bool,
    /// What the kernel still has to be told.
    pub order: Option<Order>,
    /// It was told to end with no wish to hear of it again: given up as soon as it is out of reach.
    pub unwanted: bool,
    /// It was there before a restart, and its agent has not said yet how it is.
    pub unheard: bool,
    /// It is ended because its checks failed.
    pub sick: bool,
    /// Out of reach for longer than the app waits.
    pub lost: bool,
    /// Its machine is being emptied.
    pub draining: bool,
    /// It appeared from outside what is stored: there may be one more than wanted for it.
    pub spare: bool,
    /// Whether it counts as one to be replaced.
    pub stale: bool,
}

/// What an instance counts as in its app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    /// Its side.
    pub stale: bool,
    /// Its class.
    pub class: Class,
    /// There may be one more than wanted for it.
    pub spare: bool,
    /// Nothing should end before it has been heard of.
    pub unheard: bool,
}

impl Instance {
    /// What it counts as.
    pub fn counted(&self) -> Counted {
        let class = self.class();
        let present = class > Class::Lost && class < Class::Killing;
        Counted {
            stale: self.stale,
            class,
            spare: self.spare && !self.stale && present,
            unheard: self.unheard && present && self.unreachable_since.is_none(),
        }
    }

    /// The class it counts under.
    pub fn class(&self) -> Class {
        match (self.killing, self.lost) {
            (true, true) => return Class::KillingLost,
            (true, false) => return Class::Killing,
            (false, true) => return Class::Lost,
            (false, false) => {}
        }
        if self.unreachable_since.is_some() {
            return Class::Unreachable;
        }
        match self.state {
            TaskState::Staging => Class::Staging,
            TaskState::Starting => Class::Starting,
            TaskState::Running => match self.healthy {
                Some(false) if self.checks => Class::Unhealthy,
                _ if self.awaited => Class::Undecided,
                _ if !self.checks => Class::Ready,
                Some(true) => Class::Ready,
                Some(false) => Class::Unhealthy,
                None => Class::Undecided,
            },
            // It ends, for whatever reason; or nobody knows.
            _ => Class::Starting,
        }
    }
}

/// `/shop/web` as it stands in instance ids: `shop_web`.
pub(super) fn stem(app: &AppId) -> String {
    app.as_str().trim_start_matches('/').replace('/', "_")
}

/// The id of an instance's only task.
pub(super) fn task_of(instance: &InstanceId) -> TaskId {
    TaskId::from(format!("{instance}._app.1"))
}

/// The instance that a task belongs to: everything before `._app`.
pub(super) fn instance_of(task: &TaskId) -> Option<InstanceId> {
    let text = task.as_str();
    text.rfind("._app").map(|end| InstanceId::from(&text[..end]))
}

/// Spreads the bits of a number (the finaliser of splitmix64).
pub(super) fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_marathons_form() {
        let instance = InstanceId::from(format!("{}.instance-x", stem(&AppId::from("/shop/web"))));
        assert_eq!(instance.as_str(), "shop_web.instance-x");
        let task = task_of(&instance);
        assert_eq!(task.as_str(), "shop_web.instance-x._app.1");
        assert_eq!(instance_of(&task), Some(instance));
        assert_eq!(instance_of(&TaskId::from("whatever")), None);
    }
}
