//! Persistent volumes on disk: a directory for each, made when it is first used, that outlives the tasks which see it; a
//! disk that cannot be divided is one as a whole.

use crate::shim::{MountKind, MountSpec, SANDBOX_IN_IMAGE, ShimSpec};
use hansa_model::RoleName;
use hansa_model::framework::DiskSource;
use hansa_node::{KeptVolume, ShimPlan};
use std::path::{Component, Path, PathBuf};

/// The directory of a volume, seen from the agent's; None: role or id cannot be a path there. A role `a/b` has one of its own
/// beside that of `a`, as in Mesos: below it, it could be a volume's of `a`, and go with that.
pub(crate) fn directory(
    data_dir: &Path,
    role: &RoleName,
    id: &str,
    source: Option<&DiskSource>,
) -> Option<PathBuf> {
    let plain = |text: &str| {
        let good = |part| matches!(part, Component::Normal(_));
        !text.is_empty() && !text.contains('\0') && Path::new(text).components().all(good)
    };
    let path = plain(role.as_str()) && plain(id) && !id.contains('/');
    let below =
        |root: &Path| root.join("volumes").join("roles").join(role.as_str().replace('/', " ")).join(id);
    path.then(|| match source {
        None => below(data_dir),
        Some(DiskSource::Path(root)) => below(&data_dir.join(root)),
        Some(DiskSource::Mount(root)) => data_dir.join(root),
    })
}

/// Takes all that is in a directory out of sight, at once, and says where it is now: in there, for it may be another file
/// system than all others. Whoever is given the directory next finds nothing but that, and it can be removed meanwhile.
pub(crate) fn sweep_up(path: &Path) -> std::io::Result<PathBuf> {
    let mut number = 0_u64;
    let rubbish = loop {
        let rubbish = path.join(format!(".removed-{number}"));
        match std::fs::create_dir(&rubbish) {
            Ok(()) => break rubbish,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    };
    std::fs::set_permissions(&rubbish, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.path() != rubbish {
            std::fs::rename(entry.path(), rubbish.join(entry.file_name()))?;
        }
    }
    Ok(rubbish)
}

/// Adds a plan's volumes to what its shim is told, and makes those that are not there.
///
/// # Errors
/// In words: one cannot be made.
pub(crate) fn mount(spec: &mut ShimSpec, plan: &ShimPlan, data_dir: &Path) -> Result<(), String> {
    let sandbox = seen_sandbox(spec);
    for volume in &plan.volumes {
        spec.mounts.push(shown(&sandbox, volume, made(data_dir, volume)?));
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
                    let (root, source) = made(data_dir, volume)?;
                    mount.source = source.join(rest);
                    mount.kind = MountKind::Within { root };
                    break;
                }
            }
        }
    }
    Ok(())
}

/// A volume of a container that runs, as it would have been in what its shim was told (`spec`); `make`: it will be used.
///
/// # Errors
/// In words: it cannot be made.
pub(crate) fn later(
    spec: &ShimSpec,
    volume: &KeptVolume,
    data_dir: &Path,
    make: bool,
) -> Result<MountSpec, String> {
    let place = if make { made(data_dir, volume)? } else { located(data_dir, volume)? };
    Ok(shown(&seen_sandbox(spec), volume, place))
}

/// Where a container sees its sandbox.
fn seen_sandbox(spec: &ShimSpec) -> PathBuf {
    match spec.root {
        Some(_) => PathBuf::from(SANDBOX_IN_IMAGE),
        None => spec.sandbox.clone(),
    }
}

fn shown(sandbox: &Path, volume: &KeptVolume, (root, source): (PathBuf, PathBuf)) -> MountSpec {
    let target = sandbox.join(&volume.container_path);
    // Made there if it is not there yet, and then the task's user's.
    MountSpec { source, target, read_only: false, kind: MountKind::Within { root } }
}

/// As [`located`], with all above it made.
fn made(data_dir: &Path, volume: &KeptVolume) -> Result<(PathBuf, PathBuf), String> {
    let (above, name) = located(data_dir, volume)?;
    if !name.as_os_str().is_empty() {
        std::fs::create_dir_all(&above)
            .map_err(|error| format!("cannot make {}: {error}", above.display()))?;
    }
    Ok((above, name))
}

/// The directory that a volume's lies in, and its name there; of a disk as a whole that disk's, and none.
fn located(data_dir: &Path, volume: &KeptVolume) -> Result<(PathBuf, PathBuf), String> {
    let KeptVolume { role, id, source, .. } = volume;
    let refused = || format!("the volume {id:?} of role {role} cannot be a directory here");
    let path = directory(data_dir, role, id, source.as_ref()).ok_or_else(refused)?;
    if let Some(DiskSource::Mount(_)) = source {
        return Ok((path, PathBuf::new()));
    }
    let above = path.parent().ok_or_else(refused)?;
    Ok((above.to_owned(), id.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_stay_below_their_directory() {
        let on = |source: Option<DiskSource>, role: &str, id: &str| {
            directory(Path::new("/v"), &RoleName::from(role), id, source.as_ref())
        };
        let at = |role: &str, id: &str| on(None, role, id);
        assert_eq!(at("db/eu", "v1"), Some("/v/volumes/roles/db eu/v1".into()));
        let path = |root: &str| Some(DiskSource::Path(root.into()));
        assert_eq!(on(path("/d"), "db/eu", "v1"), Some("/d/volumes/roles/db eu/v1".into()));
        assert_eq!(on(path("d"), "db", "v1"), Some("/v/d/volumes/roles/db/v1".into()));
        assert_eq!(on(Some(DiskSource::Mount("/m".into())), "db", "v1"), Some("/m".into()));
        for (role, id) in [("..", "v"), ("/etc", "v"), ("db", ".."), ("db", "a/b"), ("db", ""), ("", "v")] {
            assert_eq!(at(role, id), None, "{role} {id}");
        }
    }

    #[test]
    fn what_is_swept_up_is_out_of_sight_and_the_directory_stays() {
        let disk = tempfile::tempdir().unwrap();
        let names = || {
            let mut names: Vec<_> =
                std::fs::read_dir(disk.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        std::fs::create_dir(disk.path().join("d")).unwrap();
        std::fs::write(disk.path().join("d/f"), "x").unwrap();
        std::os::unix::fs::symlink("/etc", disk.path().join("l")).unwrap();
        let first = sweep_up(disk.path()).unwrap();
        assert_eq!(names(), [".removed-0"]);
        std::fs::write(disk.path().join("new"), "y").unwrap();
        let second = sweep_up(disk.path()).unwrap();
        assert_eq!(names(), [".removed-1"], "also what an earlier time left");
        assert!(!first.exists() && second.join(".removed-0/d/f").exists() && Path::new("/etc").exists());
    }
}
