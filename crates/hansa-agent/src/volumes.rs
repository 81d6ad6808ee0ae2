//! Persistent volumes on disk: a directory for each, made when it is first used, that outlives the tasks which see it.

use crate::shim::{MountKind, MountSpec, SANDBOX_IN_IMAGE, ShimSpec};
use hansa_model::RoleName;
use hansa_node::{KeptVolume, ShimPlan};
use std::path::{Component, Path, PathBuf};

/// The directory of a volume below `volumes`; None: role or id cannot be a path there. (A role may be `a/b`.)
pub(crate) fn directory(volumes: &Path, role: &RoleName, id: &str) -> Option<PathBuf> {
    let plain = |text: &str| {
        let good = |part| matches!(part, Component::Normal(_));
        !text.is_empty() && !text.contains('\0') && Path::new(text).components().all(good)
    };
    let path = plain(role.as_str()) && plain(id) && !id.contains('/');
    path.then(|| volumes.join(role.as_str()).join(id))
}

/// Adds a plan's volumes to what its shim is told, and makes those that are not there.
///
/// # Errors
/// In words: one cannot be made.
pub(crate) fn mount(spec: &mut ShimSpec, plan: &ShimPlan, volumes: &Path) -> Result<(), String> {
    let sandbox = match spec.root {
        Some(_) => PathBuf::from(SANDBOX_IN_IMAGE),
        None => spec.sandbox.clone(),
    };
    for volume in &plan.volumes {
        let target = sandbox.join(&volume.container_path);
        let kind = MountKind::Within { root: made(volumes, volume)? };
        // Made there if it is not there yet, and then the task's user's.
        spec.mounts.push(MountSpec { source: volume.id.clone().into(), target, read_only: false, kind });
    }
    // What an executor's tasks see of its sandbox may be a volume there.
    let around = plan.inside.iter().flat_map(|inside| Some((inside, PathBuf::from(&inside.sandbox))));
    for (inside, sandbox) in around {
        for mount in &mut spec.mounts {
            if mount.kind != (MountKind::Within { root: sandbox.clone() }) {
                continue;
            }
            for volume in &inside.volumes {
                if let Ok(rest) = mount.source.strip_prefix(&volume.container_path) {
                    mount.source = Path::new(&volume.id).join(rest);
                    mount.kind = MountKind::Within { root: made(volumes, volume)? };
                    break;
                }
            }
        }
    }
    Ok(())
}

/// The directory that a volume's lies in.
fn made(volumes: &Path, volume: &KeptVolume) -> Result<PathBuf, String> {
    let KeptVolume { role, id, .. } = volume;
    let path = directory(volumes, role, id);
    let above = path.as_deref().and_then(Path::parent);
    let above =
        above.ok_or_else(|| format!("the volume {id:?} of role {role} cannot be a directory here"))?;
    std::fs::create_dir_all(above).map_err(|error| format!("cannot make {}: {error}", above.display()))?;
    Ok(above.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_stay_below_their_directory() {
        let at = |role: &str, id: &str| directory(Path::new("/v"), &RoleName::from(role), id);
        assert_eq!(at("db/eu", "v1"), Some("/v/db/eu/v1".into()));
        for (role, id) in [("..", "v"), ("/etc", "v"), ("db", ".."), ("db", "a/b"), ("db", ""), ("", "v")] {
            assert_eq!(at(role, id), None, "{role} {id}");
        }
    }
}
