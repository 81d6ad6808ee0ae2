//! What cgroups the machine has, from `/proc/self/mountinfo`, and what is missing, in words with a remedy.

use super::{CONTROLLERS, Driver};
use crate::mountinfo;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Which interface a hierarchy has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy per controller, files like `memory.limit_in_bytes`.
    V1,
    /// The unified one, files like `memory.max`.
    V2,
}

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its interface.
    pub version: Version,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Controllers bound to it; for systemd's own hierarchy `name=systemd`.
    pub controllers: Vec<String>,
}

impl Hierarchy {
    /// Whether this controller is bound to it.
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }
}

/// What was found.
#[derive(Default, Clone, Debug)]
pub struct Detected {
    /// None if no hierarchy can be used.
    pub driver: Option<Driver>,
    /// What containers will lack, each with how to get it.
    pub missing: Vec<String>,
}

pub(super) fn detect() -> Detected {
    match std::fs::read_to_string("/proc/self/mountinfo") {
        Ok(text) => judge(parse(&text, Path::new("/"))),
        Err(error) => Detected {
            driver: None,
            missing: vec![format!(
                "no limits on cpu, memory and processes: /proc/self/mountinfo cannot be read ({error}); mount /proc"
            )],
        },
    }
}

/// A hierarchy as mounted, usable or not.
#[derive(Clone, Debug)]
struct Mounted {
    hierarchy: Hierarchy,
    read_only: bool,
}

/// The cgroup mounts of a mountinfo text, with mount points taken relative to `root`. Of several mounts of one hierarchy
/// the first writable one counts.
fn parse(mountinfo: &str, root: &Path) -> Vec<Mounted> {
    let mut found: Vec<(String, Mounted)> = Vec::new();
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let (&[_, _, device, _, mount_point, options, ..], &[kind, _, super_options, ..]) =
            (&left[..], &right[..])
        else {
            continue;
        };
        let version = match kind {
            "cgroup" => Version::V1,
            "cgroup2" => Version::V2,
            _ => continue,
        };
        let point = PathBuf::from(mountinfo::unescaped(mount_point.as_bytes()));
        let mount = root.join(point.strip_prefix("/").unwrap_or(&point));
        let controllers = match version {
            Version::V1 => v1_controllers(super_options),
            Version::V2 => std::fs::read_to_string(mount.join("cgroup.controllers"))
                .unwrap_or_default()
                .split_ascii_whitespace()
                .map(str::to_owned)
                .collect(),
        };
        let read_only = options.split(',').any(|option| option == "ro");
        let mounted = Mounted { hierarchy: Hierarchy { version, mount, controllers }, read_only };
        match found.iter_mut().find(|(known, _)| known == device) {
            None => found.push((device.to_owned(), mounted)),
            Some((_, known)) if known.read_only && !read_only => *known = mounted,
            Some(_) => {}
        }
    }
    found.into_iter().map(|(_, mounted)| mounted).collect()
}

/// Among the options of the file system, what is not an option but a controller or a name.
fn v1_controllers(super_options: &str) -> Vec<String> {
    const OPTIONS: [&str; 9] =
        ["rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "none", "seclabel", "all"];
    let is_controller = |word: &&str| !OPTIONS.contains(word) && !word.starts_with("release_agent=");
    super_options.split(',').filter(is_controller).map(str::to_owned).collect()
}

fn judge(mounted: Vec<Mounted>) -> Detected {
    judge_with(mounted, |mount| {
        CString::new(mount.as_os_str().as_bytes()).is_ok_and(|path| {
            // SAFETY: the path is a C string that lives through the call.
            unsafe { libc::access(path.as_ptr(), libc::W_OK) == 0 }
        })
    })
}

fn judge_with(mounted: Vec<Mounted>, writable: impl Fn(&Path) -> bool) -> Detected {
    let what = "no limits on cpu, memory and processes, no accounting";
    if mounted.is_empty() {
        let remedy = "mount -t cgroup2 none /sys/fs/cgroup";
        return Detected { driver: None, missing: vec![format!("{what}: no cgroups are mounted; {remedy}")] };
    }
    let all_read_only = mounted.iter().all(|mounted| mounted.read_only);
    let usable: Vec<Hierarchy> = mounted
        .into_iter()
        .filter(|mounted| !mounted.read_only && writable(&mounted.hierarchy.mount))
        .map(|mounted| mounted.hierarchy)
        .collect();
    if usable.is_empty() {
        let why = match all_read_only {
            true => {
                "cgroups are mounted read-only; run the agent outside a container, or in a privileged one"
            }
            false => "cgroups cannot be written to; run the agent as root",
        };
        return Detected { driver: None, missing: vec![format!("{what}: {why}")] };
    }
    let mut missing = Vec::new();
    for (controller, lost, remedy) in [
        ("cpu", "no shares and quota of cpu", "enable the cpu controller"),
        ("memory", "no limit on memory", "boot with cgroup_enable=memory or enable the memory controller"),
        ("pids", "no limit on processes", "enable the pids controller"),
    ] {
        debug_assert!(CONTROLLERS.contains(&controller));
        if !usable.iter().any(|hierarchy| hierarchy.has(controller)) {
            missing.push(format!(
                "{lost}: no usable cgroup hierarchy has the {controller} controller; {remedy}"
            ));
        }
    }
    Detected { driver: Some(Driver::new(usable)), missing }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
10 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
11 10 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
12 10 0:29 / /other\\040place rw,relatime - cgroup cgroup rw,cpu,cpuacct
14 10 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
19 10 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/x,name=systemd
20 10 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn every_hierarchy_is_found_once() {
        let root = tempfile::tempdir().unwrap();
        let unified = root.path().join("sys/fs/cgroup/unified");
        std::fs::create_dir_all(&unified).unwrap();
        std::fs::write(unified.join("cgroup.controllers"), "hugetlb\n").unwrap();
        let found = parse(HYBRID, root.path());
        let text: Vec<String> = found
            .iter()
            .map(|m| {
                let mount = m.hierarchy.mount.strip_prefix(root.path()).unwrap().display();
                format!("{:?} {mount} {}", m.hierarchy.version, m.hierarchy.controllers.join(" "))
            })
            .collect();
        assert_eq!(
            text,
            [
                "V1 sys/fs/cgroup/cpu,cpuacct cpu cpuacct",
                "V1 sys/fs/cgroup/memory memory",
                "V1 sys/fs/cgroup/systemd name=systemd",
                "V2 sys/fs/cgroup/unified hugetlb",
            ]
        );
    }

    #[test]
    fn a_writable_mount_is_preferred() {
        let text = "1 0 0:5 / /a ro,nosuid - cgroup2 cgroup2 rw\n2 0 0:5 / /b rw - cgroup2 cgroup2 rw\n";
        let found = parse(text, Path::new("/nowhere"));
        assert_eq!(found.len(), 1);
        assert!(found[0].hierarchy.mount.ends_with("b") && !found[0].read_only);
    }

    #[test]
    fn what_is_missing_is_said_with_a_remedy() {
        let none = judge_with(Vec::new(), |_| true);
        assert!(none.driver.is_none() && none.missing[0].contains("mount -t cgroup2"), "{:?}", none.missing);
        let unprivileged = judge_with(parse(HYBRID, Path::new("/nowhere")), |_| false);
        assert!(unprivileged.missing[0].contains("as root"), "{:?}", unprivileged.missing);
        let read_only =
            judge_with(parse(&HYBRID.replace(" rw,relatime", " ro"), Path::new("/nowhere")), |_| true);
        assert!(read_only.missing[0].contains("read-only"), "{:?}", read_only.missing);
        let without_pids = judge_with(parse(HYBRID, Path::new("/nowhere")), |_| true);
        assert_eq!(without_pids.driver.unwrap().hierarchies().len(), 4);
        assert_eq!(without_pids.missing.len(), 1);
        assert!(without_pids.missing[0].contains("pids controller"), "{:?}", without_pids.missing);
    }

    #[test]
    fn nonsense_is_skipped() {
        assert!(parse("", Path::new("/")).is_empty());
        assert!(parse("x - y\n1 2 3 - cgroup\n\n - \n", Path::new("/")).is_empty());
    }
}
