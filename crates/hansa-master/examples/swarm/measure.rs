//! What a process weighs and works.

use std::collections::BTreeMap;

/// Memory of a process that is in RAM.
pub fn resident_mib(pid: &str) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096 / (1 << 20)
}

/// User and system time of all threads of the same name.
#[derive(Debug, Default)]
pub struct Threads(BTreeMap<String, f64>);

impl Threads {
    /// Of a process, up to now.
    pub fn of(pid: &str) -> Self {
        let mut seconds = BTreeMap::new();
        for thread in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            let (Some(from), Some(to)) = (stat.find('('), stat.rfind(')')) else { continue };
            let fields = stat.get(to + 2..).unwrap_or_default().split(' ').skip(11).take(2);
            let ticks: u64 = fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
            *seconds.entry(stat[from + 1..to].to_owned()).or_insert(0.0) += ticks as f64 / 100.0;
        }
        Self(seconds)
    }

    /// What was worked since.
    pub fn since(&self, before: &Self) -> Vec<(&str, f64)> {
        let old = |name: &str| before.0.get(name).copied().unwrap_or(0.0);
        self.0.iter().map(|(name, seconds)| (name.as_str(), seconds - old(name))).collect()
    }
}
