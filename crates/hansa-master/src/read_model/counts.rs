//! Counters over tasks, kept up to date one task at a time.

use hansa_model::event::TaskView;
use hansa_model::task::TaskState;

/// Every state, in the order of [`Counts`].
pub const STATES: [TaskState; 12] = [
    TaskState::Staging,
    TaskState::Starting,
    TaskState::Running,
    TaskState::Killing,
    TaskState::Unreachable,
    TaskState::Finished,
    TaskState::Failed,
    TaskState::Killed,
    TaskState::Error,
    TaskState::Dropped,
    TaskState::Gone,
    TaskState::GoneByOperator,
];

/// How many tasks of some set are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    by_state: [u32; STATES.len()],
    healthy: u32,
    unhealthy: u32,
}

impl Counts {
    /// Tasks in this state.
    pub fn in_state(&self, state: TaskState) -> u32 {
        self.by_state[state as usize]
    }

    /// Tasks that are on their way: assigned or being set up.
    pub fn staged(&self) -> u32 {
        self.in_state(TaskState::Staging) + self.in_state(TaskState::Starting)
    }

    /// Tasks whose process runs and was not told to end.
    pub fn running(&self) -> u32 {
        self.in_state(TaskState::Running)
    }

    /// Running tasks whose checks succeed.
    pub fn healthy(&self) -> u32 {
        self.healthy
    }

    /// Running tasks whose checks fail.
    pub fn unhealthy(&self) -> u32 {
        self.unhealthy
    }

    /// Tasks that are not terminal.
    pub fn live(&self) -> u32 {
        STATES.iter().filter(|state| !state.is_terminal()).map(|&state| self.in_state(state)).sum()
    }

    /// Tasks in any state.
    pub fn all(&self) -> u32 {
        self.by_state.iter().sum()
    }

    pub(super) fn add(&mut self, task: &TaskView) {
        self.by_state[task.status.state as usize] += 1;
        if let Some(health) = self.health_of(task) {
            *health += 1;
        }
    }

    /// Takes a task out that was added in exactly this form.
    pub(super) fn remove(&mut self, task: &TaskView) {
        self.by_state[task.status.state as usize] -= 1;
        if let Some(health) = self.health_of(task) {
            *health -= 1;
        }
    }

    fn health_of(&mut self, task: &TaskView) -> Option<&mut u32> {
        match (task.status.state, task.status.healthy) {
            (TaskState::Running, Some(true)) => Some(&mut self.healthy),
            (TaskState::Running, Some(false)) => Some(&mut self.unhealthy),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_stand_in_their_own_order() {
        for (at, state) in STATES.into_iter().enumerate() {
            assert_eq!(at, state as usize, "{state}");
        }
    }
}
