//! What would be, without anything being changed: where one more instance would go.
//!
//! | path | answer |
//! |---|---|
//! | GET `/hansa/v1/explain/{service's path}` | [`Explained`] |

use hansa_model::explain::Explanation;
use serde::{Deserialize, Serialize};

/// Where one more instance would go, or why nowhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// One placement pass.
    #[serde(flatten)]
    pub explanation: Explanation,
    /// The name of the machine that it would choose, if any.
    #[serde(default)]
    pub choice_hostname: Option<String>,
}
