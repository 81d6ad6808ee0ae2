//! What a container uses, kind by kind: read when somebody asks, by path. The regular samples are [`super::Stats`].

use super::Version;
use super::container::Container;
use super::stats::field;
use std::path::Path;

/// How the machine counts CPU time in `cpuacct.stat`: Linux has always told user space hundredths of a second.
const MILLIS_PER_TICK: u64 = 10;

/// What a container uses, kind by kind. A field is 0 where nobody counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// CPU time of its programs since its start, in milliseconds.
    pub user_ms: u64,
    /// CPU time of the kernel on their behalf, in milliseconds.
    pub system_ms: u64,
    /// Periods in which it ran, if it has a limit.
    pub periods: u64,
    /// Periods in which it came to its limit.
    pub throttled: u64,
    /// For how long it waited therefore, in milliseconds.
    pub throttled_ms: u64,
    /// Bytes of memory, file cache included.
    pub total_bytes: u64,
    /// Bytes of memory that no file stands behind.
    pub anon_bytes: u64,
    /// Bytes of file cache.
    pub file_bytes: u64,
    /// Bytes of files that are mapped.
    pub mapped_bytes: u64,
    /// Bytes of memory that cannot be given up.
    pub unevictable_bytes: u64,
}

impl Detail {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            user_ms: self.user_ms + other.user_ms,
            system_ms: self.system_ms + other.system_ms,
            periods: self.periods + other.periods,
            throttled: self.throttled + other.throttled,
            throttled_ms: self.throttled_ms + other.throttled_ms,
            total_bytes: self.total_bytes + other.total_bytes,
            anon_bytes: self.anon_bytes + other.anon_bytes,
            file_bytes: self.file_bytes + other.file_bytes,
            mapped_bytes: self.mapped_bytes + other.mapped_bytes,
            unevictable_bytes: self.unevictable_bytes + other.unevictable_bytes,
        }
    }
}

fn text(dir: &Path, file: &str) -> String {
    std::fs::read_to_string(dir.join(file)).unwrap_or_default()
}

impl Container {
    /// What it uses now; of what cannot be read, nothing.
    pub fn detail(&self) -> Detail {
        let mut detail = Detail::default();
        match self.with("cpuacct") {
            Some((Version::V1, dir)) => {
                let times = text(&dir, "cpuacct.stat");
                let millis = |name| field(&times, name).unwrap_or(0) * MILLIS_PER_TICK;
                (detail.user_ms, detail.system_ms) = (millis("user"), millis("system"));
            }
            _ => {
                let times = self.unified().map(|dir| text(&dir, "cpu.stat")).unwrap_or_default();
                let millis = |name| field(&times, name).unwrap_or(0) / 1_000;
                (detail.user_ms, detail.system_ms) = (millis("user_usec"), millis("system_usec"));
            }
        }
        if let Some((version, dir)) = self.with("cpu") {
            let limits = text(&dir, "cpu.stat");
            detail.periods = field(&limits, "nr_periods").unwrap_or(0);
            detail.throttled = field(&limits, "nr_throttled").unwrap_or(0);
            detail.throttled_ms = match version {
                Version::V1 => field(&limits, "throttled_time").unwrap_or(0) / 1_000_000,
                Version::V2 => field(&limits, "throttled_usec").unwrap_or(0) / 1_000,
            };
        }
        if let Some((version, dir)) = self.with("memory") {
            let (usage, [anon, file, mapped, unevictable]) = match version {
                Version::V1 => (
                    "memory.usage_in_bytes",
                    ["total_rss", "total_cache", "total_mapped_file", "total_unevictable"],
                ),
                Version::V2 => ("memory.current", ["anon", "file", "file_mapped", "unevictable"]),
            };
            let pages = text(&dir, "memory.stat");
            let bytes = |name| field(&pages, name).unwrap_or(0);
            detail.total_bytes = text(&dir, usage).trim().parse().unwrap_or(0);
            (detail.anon_bytes, detail.file_bytes) = (bytes(anon), bytes(file));
            (detail.mapped_bytes, detail.unevictable_bytes) = (bytes(mapped), bytes(unevictable));
        }
        detail
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Driver, Hierarchy};
    use super::*;

    fn detail(version: Version, files: &[(&str, &str)]) -> Detail {
        let root = tempfile::tempdir().unwrap();
        let controllers = ["cpu", "cpuacct", "memory"].into_iter();
        let controllers = controllers.filter(|name| version == Version::V1 || *name != "cpuacct");
        let controllers = controllers.map(str::to_owned).collect();
        let driver = Driver::new(vec![Hierarchy { version, mount: root.path().to_owned(), controllers }]);
        let container = driver.container("a", "c");
        container.create().unwrap();
        for (name, text) in files {
            std::fs::write(root.path().join("hansa/a/c").join(name), text).unwrap();
        }
        container.detail()
    }

    #[test]
    fn both_versions_tell_the_same() {
        let expected = Detail {
            user_ms: 120,
            system_ms: 30,
            periods: 9,
            throttled: 2,
            throttled_ms: 7,
            total_bytes: 100,
            anon_bytes: 60,
            file_bytes: 40,
            mapped_bytes: 5,
            unevictable_bytes: 1,
        };
        let older = [
            ("cpuacct.stat", "user 12\nsystem 3\n"),
            ("cpu.stat", "nr_periods 9\nnr_throttled 2\nthrottled_time 7000000\n"),
            ("memory.usage_in_bytes", "100\n"),
            (
                "memory.stat",
                "rss 1\ntotal_rss 60\ntotal_cache 40\ntotal_mapped_file 5\ntotal_unevictable 1\n",
            ),
        ];
        assert_eq!(detail(Version::V1, &older), expected);
        let newer = [
            (
                "cpu.stat",
                "usage_usec 150000\nuser_usec 120000\nsystem_usec 30000\nnr_periods 9\nnr_throttled 2\nthrottled_usec 7000\n",
            ),
            ("memory.current", "100\n"),
            ("memory.stat", "anon 60\nfile 40\nfile_mapped 5\nunevictable 1\n"),
        ];
        assert_eq!(detail(Version::V2, &newer), expected);
        assert_eq!(detail(Version::V2, &[]), Detail::default(), "nothing is no mistake");
    }
}
