//! Persistent volumes: which of them this agent has, and who uses them. They belong to the master; the agent only has
//! their directories.

use crate::io::{KeptVolume, Output};
use crate::node::Node;
use crate::saved::Record;
use hansa_model::RoleName;
use hansa_model::framework::Part;
use hansa_model::framework::launch::FrameworkLaunch;
use hansa_model::spec::Launch;

/// The volumes that lie on these parts, as a container sees them.
pub(crate) fn seen<'a>(parts: impl Iterator<Item = &'a Part>, role: &RoleName) -> Vec<KeptVolume> {
    let mut seen: Vec<KeptVolume> = Vec::new();
    for part in parts {
        let Some(volume) = &part.volume else { continue };
        let role = part.role().unwrap_or(role).clone();
        if !seen.iter().any(|other| other.role == role && other.id == volume.id) {
            let (id, container_path) = (volume.id.clone(), volume.container_path.clone());
            seen.push(KeptVolume { role, id, source: part.source.clone(), container_path });
        }
    }
    seen
}

/// Everything that a launch takes, its executor's included.
fn all_parts(of: &FrameworkLaunch) -> impl Iterator<Item = &Part> {
    of.tasks.iter().flat_map(|task| &task.parts).chain(of.executor.iter().flat_map(|run| &run.parts))
}

impl Node {
    /// From now on the volumes of this launch are known.
    pub(crate) fn use_volumes(&mut self, launch: &Launch) {
        let Some(of) = &launch.framework else { return };
        for volume in seen(all_parts(of), &launch.role) {
            let KeptVolume { role, id, source, .. } = volume;
            if self.saved.volumes().get(&(role.clone(), id.clone())) != Some(&source) {
                self.save(Record::Volume { role, id, source });
            }
        }
    }

    fn is_used(&self, role: &RoleName, id: &str) -> bool {
        let has = |parts: &mut dyn Iterator<Item = &Part>, owner: &RoleName| {
            seen(parts, owner).iter().any(|volume| volume.role == *role && volume.id == id)
        };
        self.saved.groups().values().any(|group| has(&mut group.parts(), &group.launch.role))
            || self.saved.executors().values().any(|held| has(&mut held.run.parts.iter(), &held.role))
    }

    pub(crate) fn remove_volume(&mut self, role: RoleName, id: String) {
        if self.is_used(&role, &id) {
            return self
                .warn(format!("the master removes the volume {id} of {role}, which is in use: ignored"));
        }
        if let Some(source) = self.saved.volumes().get(&(role.clone(), id.clone())).cloned() {
            self.save(Record::VolumeRemoved { role: role.clone(), id: id.clone() });
            self.out.push(Output::RemoveVolume { role, id, source });
        }
    }
}
