//! How `hansa dev` deals one machine to several agents.

use hansa_model::Resources;
use hansa_model::resources::{MIB, PortSet};

/// Never less than this for an agent, whatever the machine has.
const LEAST_CPUS_MILLI: u64 = 1000;
const LEAST_MEM: u64 = 512 * MIB;

/// What a machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Thousandths of a CPU.
    pub cpus_milli: u64,
    /// Bytes of memory.
    pub mem: u64,
    /// Bytes free on the disk that holds the data directory.
    pub disk: u64,
}

impl Machine {
    /// This one; `data_dir` decides which disk counts.
    pub fn here(data_dir: &std::path::Path) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            cpus_milli: cpus as u64 * 1000,
            mem: total_memory().unwrap_or(LEAST_MEM),
            disk: free_disk(data_dir),
        }
    }
}

fn total_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

fn free_disk(path: &std::path::Path) -> u64 {
    use std::os::unix::ffi::OsStrExt;
    let Ok(path) = std::ffi::CString::new(path.as_os_str().as_bytes()) else { return 0 };
    // SAFETY: `statvfs` is plain data that the call fills in; the path ends with a zero byte.
    unsafe {
        let mut stats: libc::statvfs = std::mem::zeroed();
        match libc::statvfs(path.as_ptr(), &raw mut stats) {
            0 => stats.f_bavail.saturating_mul(stats.f_frsize),
            _ => 0,
        }
    }
}

/// Deals the machine to `agents` (at least one): equal shares, whole MiB, disjoint ports.
pub fn deal(machine: Machine, agents: u16, ports: (u16, u16)) -> Vec<Resources> {
    let count = u64::from(agents.max(1));
    // Hundredths of a CPU are fine enough, and nobody has to read 0.667.
    let cpus_milli = (machine.cpus_milli / count / 10 * 10).max(LEAST_CPUS_MILLI);
    let mem = (machine.mem / count / MIB * MIB).max(LEAST_MEM);
    let disk = machine.disk / count / MIB * MIB;
    let (low, high) = (u64::from(ports.0), u64::from(ports.1) + 1);
    let border = |at: u64| low + (high.saturating_sub(low)) * at / count;
    (0..count)
        .map(|at| {
            let (first, after) = (border(at), border(at + 1));
            let range = (first < after).then_some((first as u16, (after - 1) as u16));
            Resources { cpus_milli, mem, disk, gpus: Vec::new(), ports: PortSet::from_ranges(range) }
        })
        .collect()
}

/// What is dealt more often than it exists, in words; None if nothing is.
pub fn excess(machine: Machine, shares: &[Resources]) -> Option<String> {
    let cpus_milli: u64 = shares.iter().map(|share| share.cpus_milli).sum();
    let mem: u64 = shares.iter().map(|share| share.mem).sum();
    let mut parts = Vec::new();
    if cpus_milli > machine.cpus_milli {
        parts.push(format!(
            "{} of {} cpus",
            crate::text::cpus(cpus_milli),
            crate::text::cpus(machine.cpus_milli)
        ));
    }
    if mem > machine.mem {
        parts.push(format!("{} of {} memory", crate::text::bytes(mem), crate::text::bytes(machine.mem)));
    }
    (!parts.is_empty())
        .then(|| format!("the agents are dealt more than this machine has: {}", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_equal_and_ports_disjoint() {
        let machine = Machine { cpus_milli: 8000, mem: 16 << 30, disk: 100 << 30 };
        let shares = deal(machine, 3, (31000, 32000));
        assert!(shares.iter().all(|share| share.cpus_milli == 2660 && share.mem == 5461 * MIB));
        let ports: Vec<u16> =
            shares.iter().flat_map(|share| share.ports.iter().collect::<Vec<_>>()).collect();
        assert_eq!(ports, (31000..=32000).collect::<Vec<u16>>(), "all of them, each once, in order");
        assert_eq!(excess(machine, &shares), None);
    }

    #[test]
    fn small_machines_are_dealt_more_than_they_have_and_it_is_said() {
        let machine = Machine { cpus_milli: 2000, mem: 1 << 30, disk: 0 };
        let shares = deal(machine, 3, (31000, 32000));
        assert!(shares.iter().all(|share| share.cpus_milli == 1000 && share.mem == 512 * MIB));
        assert_eq!(
            excess(machine, &shares).unwrap(),
            "the agents are dealt more than this machine has: 3 of 2 cpus, 1.5G of 1G memory"
        );
    }

    #[test]
    fn few_ports_for_many_agents() {
        let shares = deal(Machine { cpus_milli: 64_000, mem: 64 << 30, disk: 0 }, 5, (65534, 65535));
        assert_eq!(shares.iter().map(|share| share.ports.len()).sum::<usize>(), 2);
        assert_eq!(deal(Machine { cpus_milli: 0, mem: 0, disk: 0 }, 0, (1, 0)).len(), 1);
    }
}
