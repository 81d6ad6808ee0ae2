//! What would be, without anything being changed: where more instances would go, and what a drain would do.
//!
//! | path | answer |
//! |---|---|
//! | GET `/hansa/v1/explain/{service's path}?instances=` | [`Explained`] |
//! | GET `/hansa/v1/nodes/{node}/drain-preview` | [`DrainPreview`] |

use hansa_model::event::AgentState;
use hansa_model::explain::Explanation;
use hansa_model::{AgentId, AppId, FrameworkId, TaskId};
use serde::{Deserialize, Serialize};

/// Instances that can be asked about at once.
pub const MOST_INSTANCES: u32 = 1_000;

/// Tasks of a machine that a preview of its drain looks at.
pub const MOST_TASKS: usize = 1_000;

/// Where one more instance would go, or why nowhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// One placement pass.
    #[serde(flatten)]
    pub explanation: Explanation,
    /// The name of the machine that it would choose, if any.
    #[serde(default)]
    pub choice_hostname: Option<String>,
    /// Where several would go; None: only one was asked about.
    #[serde(default)]
    pub several: Option<Several>,
}

/// Where several more instances would go, one after the other, quota included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Several {
    /// How many were asked about.
    pub instances: u32,
    /// How many of them find a place.
    pub fitting: u32,
    /// Where those go, by host name.
    pub places: Vec<Places>,
    /// One placement pass for the first that finds no place, beside those that do; None: all do.
    pub obstacle: Option<Explanation>,
}

/// Instances on one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Places {
    /// The machine.
    pub node: AgentId,
    /// Its name.
    pub hostname: String,
    /// How many.
    pub instances: u32,
}

/// What would become of a machine's tasks if it were drained now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrainPreview {
    /// The machine.
    pub node: AgentId,
    /// Its name.
    pub hostname: String,
    /// How it is now.
    pub state: AgentState,
    /// All of it in one sentence: `3 tasks move to 2 machines, 1 waits for a place`.
    pub summary: String,
    /// Tasks that move.
    pub moving: u32,
    /// Tasks that stay for as long as there is no place for another one.
    pub waiting: u32,
    /// Tasks of frameworks, which are killed.
    pub killed: u32,
    /// Tasks that end and are not replaced.
    pub ending: u32,
    /// Tasks that nobody moves.
    pub staying: u32,
    /// The tasks; those that do not move first, then by service and id.
    pub tasks: Vec<DrainedTask>,
    /// So many more live there and were not looked at: a preview looks at 1,000.
    pub left_out: u32,
}

/// A task of a machine that would be drained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrainedTask {
    /// Which.
    pub task: TaskId,
    /// Its service, if it has one.
    pub service: Option<AppId>,
    /// Its framework, if it has one.
    pub framework: Option<FrameworkId>,
    /// That framework's name.
    pub framework_name: Option<String>,
    /// What becomes of it.
    pub fate: Fate,
    /// Where another one is started for it.
    pub node: Option<AgentId>,
    /// That machine's name.
    pub hostname: Option<String>,
    /// Why it does not move; of one that moves, why what is started for it may not come up.
    pub why: Option<String>,
}

/// What becomes of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It stays for as long as there is no place for another one.
    Waits,
    /// It goes on where it is: nobody moves it.
    Stays,
    /// It is killed; its framework may start another one.
    Killed,
    /// It ends, and none is started for it.
    Ends,
    /// Another one is started elsewhere, and then it ends.
    Moves,
}

impl Fate {
    /// All of them, in their order.
    pub const ALL: [Self; 5] = [Self::Waits, Self::Stays, Self::Killed, Self::Ends, Self::Moves];

    /// As it stands in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waits => "waits",
            Self::Stays => "stays",
            Self::Killed => "killed",
            Self::Ends => "ends",
            Self::Moves => "moves",
        }
    }
}
