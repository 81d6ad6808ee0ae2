//! What the machine has, and how much of it is used.

use hansa_model::resources::{MIB, PortSet, Resources, WHOLE_GPU};
use hansa_model::role::Totals;
use std::ffi::CString;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Everything the machine has, less what the system needs: of memory 1 GiB (an eighth on machines under 8 GiB), of the disk
/// with `data_dir` 5 GiB or at most half.
pub fn whole(data_dir: &Path) -> Resources {
    let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64);
    let memory = meminfo().map_or(0, |(total, _)| total);
    let (disk, _) = disk(data_dir).unwrap_or((0, 0));
    Resources {
        cpus_milli: cpus * 1000,
        mem: whole_mib(memory - (memory / 8).min(1024 * MIB)),
        disk: whole_mib(disk - (disk / 2).min(5 * 1024 * MIB)),
        gpus: vec![WHOLE_GPU; gpus()],
        ports: PortSet::from_ranges([(31_000, 32_000)]),
    }
}

fn whole_mib(bytes: u64) -> u64 {
    bytes / MIB * MIB
}

/// NVIDIA devices, counted by their nodes.
fn gpus() -> usize {
    (0..64).take_while(|device| Path::new(&format!("/dev/nvidia{device}")).exists()).count()
}

/// The machine's own name.
pub fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".into())
}

/// The address others reach this machine at: the one listened on, or, for "any", the one that packets to the master leave
/// from.
pub fn address(listen: IpAddr, master: &str) -> IpAddr {
    if !listen.is_unspecified() {
        return listen;
    }
    let towards = || -> Option<IpAddr> {
        let uri: http::Uri = master.parse().ok()?;
        let target = (uri.host()?, uri.port_u16().unwrap_or(80));
        // Connecting a datagram socket sends nothing; it only asks for the route.
        let socket = UdpSocket::bind(SocketAddr::new(listen, 0)).ok()?;
        socket.connect(target).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    towards().unwrap_or(IpAddr::from([127, 0, 0, 1]))
}

/// Bytes of memory: all, and in use (not available for new programs).
fn meminfo() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
    };
    let (total, available) = (field("MemTotal:")?, field("MemAvailable:")?);
    Some((total, total.saturating_sub(available)))
}

/// Bytes of the file system with this path: all, and in use.
fn disk(path: &Path) -> Option<(u64, u64)> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: the structure is plain numbers; the path ends with a zero.
    let stat = unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        if libc::statvfs(path.as_ptr(), &mut stat) != 0 {
            return None;
        }
        stat
    };
    let total = stat.f_blocks.saturating_mul(stat.f_frsize);
    Some((total, total.saturating_sub(stat.f_bfree.saturating_mul(stat.f_frsize))))
}

/// Measures the use of the whole machine, from one call to the next.
#[derive(Debug, Default)]
pub struct Meter {
    /// CPU ticks of all cores at the last call: busy and all.
    last: Option<(u64, u64)>,
}

impl Meter {
    /// What is used now; CPU on average since the last call, 0 at the first.
    pub fn sample(&mut self, data_dir: &Path) -> Totals {
        let ticks = std::fs::read_to_string("/proc/stat").ok().and_then(|text| ticks(&text));
        let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64);
        let cpus_milli = match (self.last, ticks) {
            (Some((busy_before, all_before)), Some((busy, all))) if all > all_before => {
                busy.saturating_sub(busy_before) * cpus * 1000 / (all - all_before)
            }
            _ => 0,
        };
        self.last = ticks;
        Totals {
            cpus_milli,
            mem: meminfo().map_or(0, |(_, used)| used),
            disk: disk(data_dir).map_or(0, |(_, used)| used),
            gpus_milli: 0,
        }
    }
}

/// Busy and all ticks from `/proc/stat`'s first line.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let numbers: Vec<u64> = stat
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        .filter_map(|n| n.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal; guest time is in user time.
    let all = numbers.iter().take(8).sum();
    let idle = numbers.get(3)? + numbers.get(4)?;
    Some((u64::saturating_sub(all, idle), all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_something() {
        let whole = whole(Path::new("/"));
        assert!(whole.cpus_milli >= 1000 && whole.mem >= 64 * MIB && whole.disk > 0, "{whole}");
        assert_eq!(whole.ports.len(), 1001);
        let (total, used) = meminfo().unwrap();
        assert!(used < total && whole.mem < total);
        assert!(!hostname().is_empty());
    }

    #[test]
    fn ticks_of_a_known_line() {
        assert_eq!(ticks("cpu  10 1 20 100 5 0 3 1 9 9\ncpu0 1"), Some((35, 140)));
        assert_eq!(ticks("intr 1"), None);
        let mut meter = Meter::default();
        assert_eq!(meter.sample(Path::new("/")).cpus_milli, 0);
    }

    #[test]
    fn the_address_for_others() {
        let own = IpAddr::from([10, 1, 2, 3]);
        assert_eq!(address(own, "http://10.9.9.9:8080"), own);
        let any = IpAddr::from([0, 0, 0, 0]);
        assert_eq!(address(any, "http://127.0.0.1:8080"), IpAddr::from([127, 0, 0, 1]));
        assert_eq!(address(any, "nonsense"), IpAddr::from([127, 0, 0, 1]));
    }
}
