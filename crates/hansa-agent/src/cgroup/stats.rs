//! What a container uses, read through descriptors that are kept: a few microseconds a sample, no forks.

use super::Version;
use super::container::Container;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What a container uses. A field is None where no controller counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// CPU time since its start, in nanoseconds.
    pub cpu_ns: Option<u64>,
    /// Bytes of memory without file cache that could be dropped at once.
    pub memory_bytes: Option<u64>,
    /// Bytes of memory at most so far, file cache included; None on version 2 before Linux 5.19.
    pub memory_peak_bytes: Option<u64>,
    /// Processes killed because memory ran out.
    pub oom_kills: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

/// Reads one container's [`Stats`] again and again.
#[derive(Debug)]
pub struct Sampler {
    /// `cpuacct.usage`, or `cpu.stat` of version 2.
    cpu: Option<(Version, File)>,
    memory: Option<Memory>,
    pids: Option<File>,
}

#[derive(Debug)]
struct Memory {
    version: Version,
    usage: File,
    stat: File,
    peak: Option<File>,
    oom: File,
}

impl Sampler {
    pub(super) fn open(container: &Container) -> io::Result<Self> {
        let cpu = match container.with("cpuacct") {
            Some((Version::V1, dir)) => Some((Version::V1, File::open(dir.join("cpuacct.usage"))?)),
            // The cgroup2 counts CPU time even where it has no controllers.
            _ => match container.unified() {
                Some(dir) => Some((Version::V2, File::open(dir.join("cpu.stat"))?)),
                None => None,
            },
        };
        let memory = match container.with("memory") {
            Some((version, dir)) => Memory::open(version, &dir)?,
            None => None,
        };
        let pids = match container.with("pids") {
            Some((_, dir)) => File::open(dir.join("pids.current")).ok(),
            None => None,
        };
        Ok(Self { cpu, memory, pids })
    }

    /// The figures now.
    ///
    /// # Errors
    /// The cgroup is gone.
    pub fn sample(&mut self) -> io::Result<Stats> {
        let mut stats = Stats::default();
        if let Some((version, file)) = &self.cpu {
            let text = read(file)?;
            stats.cpu_ns = match version {
                Version::V1 => number(&text),
                Version::V2 => field(&text, "usage_usec").map(|us| us * 1000),
            };
        }
        if let Some(memory) = &self.memory {
            memory.sample(&mut stats)?;
        }
        if let Some(file) = &self.pids {
            stats.pids = number(&read(file)?);
        }
        Ok(stats)
    }
}

impl Memory {
    /// None where the controller is there but was not passed down to the container.
    fn open(version: Version, dir: &Path) -> io::Result<Option<Self>> {
        let (usage, peak, oom) = match version {
            Version::V1 => ("memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control"),
            Version::V2 => ("memory.current", "memory.peak", "memory.events"),
        };
        let usage = match File::open(dir.join(usage)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && dir.exists() => return Ok(None),
            opened => opened?,
        };
        let stat = File::open(dir.join("memory.stat"))?;
        let oom = File::open(dir.join(oom))?;
        Ok(Some(Self { version, usage, stat, peak: File::open(dir.join(peak)).ok(), oom }))
    }

    fn sample(&self, stats: &mut Stats) -> io::Result<()> {
        let cache = match self.version {
            Version::V1 => "total_inactive_file",
            Version::V2 => "inactive_file",
        };
        let dropable = field(&read(&self.stat)?, cache).unwrap_or(0);
        stats.memory_bytes = number(&read(&self.usage)?).map(|usage| usage.saturating_sub(dropable));
        stats.oom_kills = field(&read(&self.oom)?, "oom_kill");
        if let Some(peak) = &self.peak {
            stats.memory_peak_bytes = number(&read(peak)?);
        }
        Ok(())
    }
}

/// Becomes ready to read (or has an exceptional condition) when a container's memory runs out.
#[derive(Debug)]
pub struct OomWatch {
    descriptor: OwnedFd,
    /// Version 1 keeps these open as long as it shall be told.
    _event: Option<File>,
    events: i16,
}

impl OomWatch {
    pub(super) fn open(container: &Container) -> Option<Self> {
        let (version, dir) = container.with("memory")?;
        match version {
            Version::V1 => {
                // SAFETY: eventfd makes a new descriptor, which nobody else owns.
                let descriptor = unsafe {
                    let fd = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
                    if fd < 0 {
                        return None;
                    }
                    OwnedFd::from_raw_fd(fd)
                };
                let control = File::open(dir.join("memory.oom_control")).ok()?;
                let mut event = OpenOptions::new().write(true).open(dir.join("cgroup.event_control")).ok()?;
                // In one write, as the kernel takes each for a whole request.
                let request = format!("{} {}", descriptor.as_raw_fd(), control.as_raw_fd());
                event.write_all(request.as_bytes()).ok()?;
                Some(Self { descriptor, _event: Some(control), events: libc::POLLIN })
            }
            Version::V2 => {
                let file = File::open(dir.join("memory.events")).ok()?;
                Some(Self { descriptor: file.into(), _event: None, events: libc::POLLPRI })
            }
        }
    }

    /// What to poll.
    pub fn descriptor(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }

    /// What to poll it for.
    pub fn events(&self) -> i16 {
        self.events
    }

    /// Makes it unready again, until the next time.
    pub fn reset(&self) {
        let mut buffer = [0u8; 512];
        // SAFETY: the buffer is ours and as long as we say; pread serves a file, read an eventfd.
        unsafe {
            match self.events {
                libc::POLLIN => libc::read(self.descriptor.as_raw_fd(), buffer.as_mut_ptr().cast(), 8),
                _ => libc::pread(self.descriptor.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0),
            };
        }
    }
}

fn read(file: &File) -> io::Result<String> {
    // memory.stat of version 2 is the longest, with two to three thousand bytes.
    let mut buffer = [0u8; 8192];
    let length = file.read_at(&mut buffer, 0)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// The number behind a word at the start of a line.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::super::{Driver, Hierarchy};
    use super::*;

    fn sample(version: Version, controllers: &str, files: &[(&str, &str)]) -> Stats {
        let root = tempfile::tempdir().unwrap();
        let controllers = controllers.split(' ').map(str::to_owned).collect();
        let driver = Driver::new(vec![Hierarchy { version, mount: root.path().to_owned(), controllers }]);
        let container = driver.container("a", "c");
        assert!(container.sampler().is_err(), "there is no cgroup yet");
        container.create().unwrap();
        for (name, text) in files {
            std::fs::write(root.path().join("hansa/a/c").join(name), text).unwrap();
        }
        container.sampler().unwrap().sample().unwrap()
    }

    #[test]
    fn version_1() {
        let files = [
            ("cpuacct.usage", "123456\n"),
            ("memory.usage_in_bytes", "5000\n"),
            ("memory.max_usage_in_bytes", "9000\n"),
            ("memory.stat", "cache 7\ninactive_file 1\ntotal_inactive_file 1000\n"),
            ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
            ("pids.current", "4\n"),
        ];
        let expected = Stats {
            cpu_ns: Some(123_456),
            memory_bytes: Some(4000),
            memory_peak_bytes: Some(9000),
            oom_kills: Some(3),
            pids: Some(4),
        };
        assert_eq!(sample(Version::V1, "cpuacct memory pids", &files), expected);
    }

    #[test]
    fn version_2_without_peak() {
        let files = [
            ("cpu.stat", "usage_usec 12\nuser_usec 3\n"),
            ("memory.current", "5000\n"),
            ("memory.stat", "anon 1\ninactive_file 6000\n"),
            ("memory.events", "low 0\noom 2\noom_kill 1\noom_group_kill 0\n"),
        ];
        let expected = Stats {
            cpu_ns: Some(12_000),
            memory_bytes: Some(0),
            memory_peak_bytes: None,
            oom_kills: Some(1),
            pids: None,
        };
        assert_eq!(sample(Version::V2, "memory", &files), expected);
    }

    #[test]
    fn without_controllers_only_cpu_time_is_known() {
        let stats = sample(Version::V2, "hugetlb", &[("cpu.stat", "usage_usec 1\n")]);
        assert_eq!(stats, Stats { cpu_ns: Some(1000), ..Stats::default() });
    }
}
