//! What would be: the answers to questions that change nothing, asked of the code that decides.

use crate::explain::Explanation;
use crate::id::{AgentId, AppId, FrameworkId, TaskId};

/// Where several more instances of an app would go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoreInstances {
    /// How many were asked about.
    pub asked: u32,
    /// Where those go that find a place, in the order in which they would be placed; as many as `asked` or fewer.
    pub places: Vec<AgentId>,
    /// One pass for the first of them, on the cluster as it is.
    pub first: Explanation,
    /// One pass for the first that finds no place, beside those that do; None: all do.
    pub obstacle: Option<Explanation>,
}

/// What would become of the tasks of a machine if it were drained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainTrial {
    /// The machine.
    pub agent: AgentId,
    /// Its live tasks, in the order in which they would be seen to.
    pub tasks: Vec<DrainedTask>,
    /// So many more live there, and were not looked at.
    pub left_out: u32,
}

/// A task of a machine that would be drained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainedTask {
    /// Which.
    pub task: TaskId,
    /// Its service, if it has one.
    pub app: Option<AppId>,
    /// Its framework, if it has one.
    pub framework: Option<FrameworkId>,
    /// What would become of it.
    pub fate: Fate,
}

/// What would become of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Another one is started there, and then it ends.
    Moves(AgentId),
    /// It stays for as long as there is no place for another one, for this reason.
    Waits(String),
    /// It ends, and none is started for it, for this reason.
    Ends(String),
    /// It goes on where it is: nobody would move it, for this reason.
    Stays(String),
    /// It is killed; its framework may start another one.
    Killed,
}
