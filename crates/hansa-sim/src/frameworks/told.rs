//! What frameworks are told of their tasks: each update until it is acknowledged, one of a task at a time, and nothing
//! after the last.

use crate::world::World;
use hansa_model::framework::{FrameworkCall, FrameworkUpdate, StreamId};
use hansa_model::task::TaskState;
use hansa_model::{AgentId, Timestamp};
use std::collections::BTreeMap;

/// An update that is not acknowledged is told again after so many milliseconds; each time the double of it.
const FIRST_PAUSE_MS: u64 = 10_000;

/// What a framework was told of one of its tasks.
#[derive(Debug)]
pub struct Told {
    /// Where it is.
    pub agent: AgentId,
    /// How it is, as far as its framework knows.
    pub state: TaskState,
    /// The update that it has not acknowledged.
    in_hand: Option<InHand>,
    /// The updates that it acknowledged, and in which life of the master.
    acknowledged: BTreeMap<u128, u64>,
    /// Whether it acknowledged an end.
    over: bool,
    /// Whether it wants it to end.
    pub killed: bool,
}

/// An update that waits to be acknowledged.
#[derive(Clone, Copy, Debug)]
struct InHand {
    uuid: u128,
    /// Where and when it was told last, and how long it is then until it is told again.
    stream: StreamId,
    at: Timestamp,
    pause_ms: u64,
}

impl Told {
    /// A task that was asked for, there.
    pub fn new(agent: AgentId) -> Self {
        Self {
            agent,
            state: TaskState::Staging,
            in_hand: None,
            acknowledged: BTreeMap::new(),
            over: false,
            killed: false,
        }
    }

    /// Whether the framework believes that it may run.
    pub fn is_open(&self) -> bool {
        !self.state.is_terminal() && self.state != TaskState::Unknown
    }
}

impl World {
    /// A framework is told how a task stands.
    pub(super) fn framework_told(&mut self, number: usize, stream: StreamId, update: &FrameworkUpdate) {
        let (id, state, now, life) = (update.task.clone(), update.state(), self.now, self.life);
        let forgets = self.faults && self.random.u8(0..10) == 0;
        let Some(told) = self.frameworks[number].tasks.get_mut(&id) else {
            return self.broke(format!("an update of {id}, which fw-{number} never launched: {update:?}"));
        };
        let Some(uuid) = update.uuid else {
            let is_news = told.in_hand.is_none() || state.is_terminal();
            if !told.over && is_news {
                told.state = state;
            }
            if state.is_terminal() {
                // The master's own last word: nothing more of it is told again.
                told.in_hand = None;
            }
            return;
        };
        let known = told.acknowledged.get(&uuid).copied();
        if told.over && known.is_none() {
            return self
                .broke(format!("{id} has ended, that was acknowledged, and there is more of it: {state:?}"));
        }
        if known == Some(life) && !told.over {
            return self.broke(format!("{state:?} of {id} was acknowledged, and is told again"));
        }
        let before = told.in_hand;
        if known.is_none() && before.is_some_and(|in_hand| in_hand.uuid != uuid) {
            return self
                .broke(format!("{state:?} of {id} comes before the update before it is acknowledged"));
        }
        if known.is_none() {
            let again = before.filter(|in_hand| in_hand.stream == stream);
            let pause_ms = again.map_or(FIRST_PAUSE_MS, |in_hand| in_hand.pause_ms * 2);
            told.in_hand = Some(InHand { uuid, stream, at: now, pause_ms });
            told.state = state;
        }
        if forgets {
            // It will be told again.
            return;
        }
        let Some(agent) = update.agent.clone() else {
            return self.broke(format!("an update of {id} is to be acknowledged and names no agent"));
        };
        let ms = self.random.u64(1..100);
        self.framework_will(number, stream, ms, FrameworkCall::Acknowledge { agent, task: id, uuid });
    }

    /// A framework's acknowledgement leaves it.
    pub(super) fn framework_acknowledges(&mut self, number: usize, call: &FrameworkCall) {
        let life = self.life;
        if let FrameworkCall::Acknowledge { task, uuid, .. } = call
            && self.frameworks[number].subscribed
            && let Some(told) = self.frameworks[number].tasks.get_mut(task)
        {
            told.acknowledged.insert(*uuid, life);
            if told.in_hand.is_some_and(|in_hand| in_hand.uuid == *uuid) {
                told.in_hand = None;
                told.over |= told.state.is_terminal();
            }
        }
    }

    /// The first update that a framework has not acknowledged, and that it should have been told again.
    pub(super) fn not_repeated(&self) -> Option<String> {
        for framework in &self.frameworks {
            for (task, told) in &framework.tasks {
                if let Some(in_hand) = told.in_hand
                    && framework.stream == Some(in_hand.stream)
                    && self.is_late(in_hand.at, in_hand.pause_ms)
                {
                    let id = framework.id();
                    return Some(format!(
                        "{:?} of {task} of {id} is not acknowledged, and is not told again after {} ms",
                        told.state, in_hand.pause_ms
                    ));
                }
            }
        }
        None
    }
}
