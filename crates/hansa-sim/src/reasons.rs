//! Whoever waits for a place has a reason, from a placement pass over the machines as they are.

use crate::world::World;
use hansa_model::AppId;
use hansa_model::explain::QueueItem;

impl World {
    /// The first thing about the queue that explains nothing.
    pub fn unexplained(&self) -> Option<String> {
        let cell = &self.master.as_ref()?.cell;
        let waiting: Vec<&AppId> = cell.services().waiting().collect();
        if waiting.is_empty() {
            return None;
        }
        let cluster = cell.kernel().cluster();
        let queue = cell.services().queue(cell.now(), cluster);
        let missing = waiting.iter().find(|app| !queue.iter().any(|item| item.app == ***app));
        if let Some(app) = missing {
            return Some(format!("{app} waits, and the queue does not say so"));
        }
        let machines = u32::try_from(cluster.nodes().count()).unwrap_or(u32::MAX);
        let offered = cell.kernel().has_offers();
        let fault = |item: &QueueItem| fault_of(item, machines, offered);
        queue.iter().find_map(|item| Some(format!("{} waits, and {}", item.app, fault(item)?)))
    }
}

/// What is wrong with a reason. Room that is offered is room, and may be refused to who waits.
fn fault_of(item: &QueueItem, machines: u32, offered: bool) -> Option<String> {
    let why = &item.explanation;
    let grouped: u32 = why.groups.iter().map(|group| group.machines).sum();
    if why.machines != machines || why.fitting + grouped != machines {
        let (seen, fitting) = (why.machines, why.fitting);
        return Some(format!(
            "of {machines} machines {seen} are seen, {fitting} fit, {grouped} have obstacles"
        ));
    }
    if why.summary.is_empty() || why.groups.iter().any(|group| group.words.is_empty()) {
        return Some("the reason has no words".into());
    }
    if let Some(group) = why.groups.iter().find(|group| group.obstacles.is_empty()) {
        return Some(format!("{} machines are said to be unfit for nothing", group.machines));
    }
    (why.fitting > 0 && item.delayed_until.is_none() && !offered)
        .then(|| format!("{} machines have room for it: {}", why.fitting, why.summary))
}
