//! The read model as the renderers look things up in it. Each look-up holds the picture only for itself.

use crate::Master;
use hansa_api::marathon::events::Lookup;
use hansa_api::marathon::render::task::World;
use hansa_model::app::AppVersion;
use hansa_model::event::{AgentView, TaskView};
use hansa_model::{AgentId, AppId, TaskId, Timestamp};
use std::sync::Arc;

impl World for Master {
    fn agent(&self, id: &AgentId) -> Option<Arc<AgentView>> {
        self.read().agent(id.as_str()).map(|agent| agent.view.clone())
    }

    fn version(&self, app: &AppId, version: Timestamp) -> Option<Arc<AppVersion>> {
        self.read().version(app, version).cloned()
    }
}

impl Lookup for Master {
    fn task(&self, id: &TaskId) -> Option<Arc<TaskView>> {
        self.read().task(id).cloned()
    }
}
