//! What machines have and what tasks take, and the arithmetic between the two.
//!
//! Integers only: thousandths of a CPU and of each GPU, bytes of memory and disk, single ports.
//!
//! - [`Resources`]: an amount that exists somewhere: a machine's capacity, or what is free on it.
//! - [`Demand`]: what a task asks for, before a machine is chosen.
//! - [`Allocation`]: what a task was given on its machine: the devices and ports by name.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One MiB in bytes; Mesos and Marathon speak in MiB.
pub const MIB: u64 = 1024 * 1024;

/// A whole GPU, in thousandths.
pub const WHOLE_GPU: u16 = 1000;

/// A set of ports as sorted, disjoint, non-adjacent inclusive ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PortSet(Vec<(u16, u16)>);

impl PortSet {
    /// The set of the given inclusive ranges, in any order; reversed ones are empty.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u16, u16)>) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().filter(|(low, high)| low <= high).collect();
        ranges.sort_unstable();
        let mut set: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match set.last_mut() {
                Some(last) if u32::from(low) <= u32::from(last.1) + 1 => last.1 = last.1.max(high),
                _ => set.push((low, high)),
            }
        }
        Self(set)
    }

    /// The inclusive ranges, ascending.
    pub fn ranges(&self) -> &[(u16, u16)] {
        &self.0
    }

    /// All ports, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().flat_map(|&(low, high)| low..=high)
    }

    /// How many ports.
    pub fn len(&self) -> usize {
        self.0.iter().map(|&(low, high)| usize::from(high - low) + 1).sum()
    }

    /// Whether there is no port.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `port` is in the set.
    pub fn contains(&self, port: u16) -> bool {
        let after = self.0.partition_point(|&(low, _)| low <= port);
        after > 0 && self.0[after - 1].1 >= port
    }

    /// Whether all of `others` are in the set.
    pub fn contains_all(&self, others: &PortSet) -> bool {
        others.0.iter().all(|&(low, high)| {
            let after = self.0.partition_point(|&(own, _)| own <= low);
            after > 0 && self.0[after - 1].1 >= high
        })
    }

    /// The ports of either.
    pub fn union(&self, others: &PortSet) -> PortSet {
        Self::from_ranges(self.0.iter().chain(&others.0).copied())
    }

    /// The ports that are not in `others`.
    pub fn without(&self, others: &PortSet) -> PortSet {
        let mut left = Vec::with_capacity(self.0.len());
        for &(low, high) in &self.0 {
            let (mut from, high) = (u32::from(low), u32::from(high));
            for &(gone_from, gone_to) in &others.0 {
                let (gone_from, gone_to) = (u32::from(gone_from), u32::from(gone_to));
                if gone_to < from || gone_from > high {
                    continue;
                }
                if gone_from > from {
                    left.push((from, gone_from - 1));
                }
                from = gone_to + 1;
            }
            if from <= high {
                left.push((from, high));
            }
        }
        // All of them were ports before.
        Self(left.into_iter().map(|(low, high)| (low as u16, high as u16)).collect())
    }

    /// Adds one port. False if it was there.
    pub fn insert(&mut self, port: u16) -> bool {
        if self.contains(port) {
            return false;
        }
        let at = self.0.partition_point(|&(low, _)| low <= port);
        let joins_left = at > 0 && self.0[at - 1].1.checked_add(1) == Some(port);
        let joins_right = at < self.0.len() && port.checked_add(1) == Some(self.0[at].0);
        match (joins_left, joins_right) {
            (true, true) => {
                self.0[at - 1].1 = self.0[at].1;
                self.0.remove(at);
            }
            (true, false) => self.0[at - 1].1 = port,
            (false, true) => self.0[at].0 = port,
            (false, false) => self.0.insert(at, (port, port)),
        }
        true
    }

    /// Removes one port. False if it was not there.
    pub fn remove(&mut self, port: u16) -> bool {
        if !self.contains(port) {
            return false;
        }
        let at = self.0.partition_point(|&(low, _)| low <= port) - 1;
        let (low, high) = self.0[at];
        match (low == port, high == port) {
            (true, true) => drop(self.0.remove(at)),
            (true, false) => self.0[at].0 = port + 1,
            (false, true) => self.0[at].1 = port - 1,
            (false, false) => {
                self.0[at].1 = port - 1;
                self.0.insert(at + 1, (port + 1, high));
            }
        }
        true
    }
}

/// An amount that exists somewhere: a machine's capacity, or what is free on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Thousandths of a CPU.
    pub cpus_milli: u64,
    /// Bytes of memory.
    pub mem: u64,
    /// Bytes of disk.
    pub disk: u64,
    /// Thousandths of each GPU, by device.
    pub gpus: Vec<u16>,
    /// Host ports.
    pub ports: PortSet,
}

/// GPUs asked for: `count` devices with `milli` thousandths of each. Sharing (`milli` < 1000) goes with `count` 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct GpuDemand {
    /// Devices; 0 asks for none.
    pub count: u16,
    /// Thousandths of each.
    pub milli: u16,
}

impl GpuDemand {
    /// `count` whole devices.
    pub fn whole(count: u16) -> Self {
        Self { count, milli: if count == 0 { 0 } else { WHOLE_GPU } }
    }
}

/// One host port asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortDemand {
    /// Any free one.
    Any,
    /// Just this one.
    Exact(u16),
}

/// What a task (or a whole group) asks for, before a machine is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Demand {
    /// Thousandths of a CPU.
    pub cpus_milli: u64,
    /// Bytes of memory.
    pub mem: u64,
    /// Bytes of disk.
    pub disk: u64,
    /// GPUs.
    pub gpus: GpuDemand,
    /// Host ports, in the order of the spec; the allocation's ports stand in the same order.
    pub ports: Vec<PortDemand>,
}

/// What a task was given on its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Allocation {
    /// Thousandths of a CPU.
    pub cpus_milli: u64,
    /// Bytes of memory.
    pub mem: u64,
    /// Bytes of disk.
    pub disk: u64,
    /// (device, thousandths) of each GPU.
    pub gpus: Vec<(u16, u16)>,
    /// Host ports, in the order they were asked for.
    pub ports: Vec<u16>,
}

impl Allocation {
    /// Whether this is an answer to `demand`: as much of everything, the right devices' shares, the right ports.
    pub fn satisfies(&self, demand: &Demand) -> bool {
        self.cpus_milli == demand.cpus_milli
            && self.mem == demand.mem
            && self.disk == demand.disk
            && self.gpus.len() == usize::from(demand.gpus.count)
            && self.gpus.iter().all(|&(_, milli)| milli == demand.gpus.milli)
            && self.ports.len() == demand.ports.len()
            && self.ports.iter().zip(&demand.ports).all(|(port, asked)| match asked {
                PortDemand::Any => true,
                PortDemand::Exact(exact) => port == exact,
            })
    }
}

/// The amount is not there. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not enough {0}")]
pub struct NotEnough(pub Kind);

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// CPU time.
    Cpus,
    /// Memory.
    Mem,
    /// Disk.
    Disk,
    /// GPUs.
    Gpus,
    /// Host ports.
    Ports,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Cpus => "cpus",
            Kind::Mem => "mem",
            Kind::Disk => "disk",
            Kind::Gpus => "gpus",
            Kind::Ports => "ports",
        })
    }
}

impl Resources {
    /// Whether `allocation` can be taken from here.
    pub fn contains(&self, allocation: &Allocation) -> Result<(), NotEnough> {
        if self.cpus_milli < allocation.cpus_milli {
            return Err(NotEnough(Kind::Cpus));
        }
        if self.mem < allocation.mem {
            return Err(NotEnough(Kind::Mem));
        }
        if self.disk < allocation.disk {
            return Err(NotEnough(Kind::Disk));
        }
        for (at, &(device, _)) in allocation.gpus.iter().enumerate() {
            let wanted: u64 = allocation
                .gpus
                .iter()
                .filter(|&&(other, _)| other == device)
                .map(|&(_, m)| u64::from(m))
                .sum();
            let twice = allocation.gpus[..at].iter().any(|&(other, _)| other == device);
            if twice || u64::from(self.gpus.get(usize::from(device)).copied().unwrap_or(0)) < wanted {
                return Err(NotEnough(Kind::Gpus));
            }
        }
        for (at, port) in allocation.ports.iter().enumerate() {
            if !self.ports.contains(*port) || allocation.ports[..at].contains(port) {
                return Err(NotEnough(Kind::Ports));
            }
        }
        Ok(())
    }

    /// Takes `allocation` away, all or nothing.
    pub fn take(&mut self, allocation: &Allocation) -> Result<(), NotEnough> {
        self.contains(allocation)?;
        self.cpus_milli -= allocation.cpus_milli;
        self.mem -= allocation.mem;
        self.disk -= allocation.disk;
        for &(device, milli) in &allocation.gpus {
            self.gpus[usize::from(device)] -= milli;
        }
        for &port in &allocation.ports {
            self.ports.remove(port);
        }
        Ok(())
    }

    /// Gives `allocation` back. The caller took it from here before.
    pub fn give_back(&mut self, allocation: &Allocation) {
        self.cpus_milli += allocation.cpus_milli;
        self.mem += allocation.mem;
        self.disk += allocation.disk;
        for &(device, milli) in &allocation.gpus {
            self.gpus[usize::from(device)] += milli;
        }
        for &port in &allocation.ports {
            self.ports.insert(port);
        }
    }

    /// An allocation that answers `demand` from what is here, or the first kind that is short. Of the GPUs the fullest
    /// that still has room is taken, the lowest device between equals; of the ports the lowest.
    pub fn pick(&self, demand: &Demand) -> Result<Allocation, NotEnough> {
        let mut allocation = Allocation {
            cpus_milli: demand.cpus_milli,
            mem: demand.mem,
            disk: demand.disk,
            ..Allocation::default()
        };
        if demand.gpus.count > 0 {
            let mut devices: Vec<(u16, u16)> = (0u16..)
                .zip(&self.gpus)
                .filter(|&(_, &free)| free >= demand.gpus.milli)
                .map(|(device, &free)| (free, device))
                .collect();
            devices.sort_unstable();
            if devices.len() < usize::from(demand.gpus.count) {
                return Err(NotEnough(Kind::Gpus));
            }
            devices.truncate(usize::from(demand.gpus.count));
            allocation.gpus = devices.into_iter().map(|(_, device)| (device, demand.gpus.milli)).collect();
            allocation.gpus.sort_unstable();
        }
        let exact: Vec<u16> = demand
            .ports
            .iter()
            .filter_map(|asked| if let PortDemand::Exact(port) = asked { Some(*port) } else { None })
            .collect();
        let mut any = self.ports.iter().filter(|port| !exact.contains(port));
        for asked in &demand.ports {
            let port = match asked {
                PortDemand::Exact(port) => Some(*port),
                PortDemand::Any => any.next(),
            };
            allocation.ports.push(port.ok_or(NotEnough(Kind::Ports))?);
        }
        drop(any);
        self.contains(&allocation)?;
        Ok(allocation)
    }
}

impl Demand {
    /// The demand of two things together.
    pub fn plus(mut self, other: &Demand) -> Demand {
        self.cpus_milli += other.cpus_milli;
        self.mem += other.mem;
        self.disk += other.disk;
        if other.gpus.count > 0 {
            self.gpus = GpuDemand { count: self.gpus.count + other.gpus.count, milli: other.gpus.milli };
        }
        self.ports.extend_from_slice(&other.ports);
        self
    }
}

/// The text is not a resource list in Mesos' notation.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "resources: {0} (expected for example 'cpus:8;mem:16384;disk:100000;gpus:2;ports:[31000-32000]', mem and disk in MiB)"
)]
pub struct ParseResourcesError(String);

impl FromStr for Resources {
    type Err = ParseResourcesError;

    /// Reads Mesos' notation, `cpus:8;mem:16384;disk:100000;gpus:2;ports:[31000-32000,33000-33000]`; `mem` and `disk`
    /// in MiB. A kind that is not named is zero.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |what: String| ParseResourcesError(what);
        let mut resources = Resources::default();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) =
                part.split_once(':').ok_or_else(|| wrong(format!("'{part}' has no colon")))?;
            let (name, value) = (name.trim(), value.trim());
            let thousandths = || {
                value
                    .parse::<f64>()
                    .ok()
                    .filter(|number| number.is_finite() && *number >= 0.0 && *number < 1e12)
                    .map(|number| (number * 1000.0).round() as u64)
                    .ok_or_else(|| wrong(format!("{name}: '{value}' is not an amount")))
            };
            match name {
                "cpus" => resources.cpus_milli = thousandths()?,
                "mem" => resources.mem = thousandths()? / 1000 * MIB,
                "disk" => resources.disk = thousandths()? / 1000 * MIB,
                "gpus" => {
                    let count: u16 =
                        value.parse().ok().filter(|count| *count <= 1024).ok_or_else(|| {
                            wrong(format!("gpus: '{value}' is not a whole number up to 1024"))
                        })?;
                    resources.gpus = vec![WHOLE_GPU; usize::from(count)];
                }
                "ports" => {
                    let list = value
                        .strip_prefix('[')
                        .and_then(|rest| rest.strip_suffix(']'))
                        .ok_or_else(|| wrong(format!("ports: '{value}' is not a list in brackets")))?;
                    let mut ranges = Vec::new();
                    for range in list.split(',').map(str::trim).filter(|range| !range.is_empty()) {
                        let (low, high) = range.split_once('-').unwrap_or((range, range));
                        match (low.trim().parse::<u16>(), high.trim().parse::<u16>()) {
                            (Ok(low), Ok(high)) if low <= high => ranges.push((low, high)),
                            _ => return Err(wrong(format!("ports: '{range}' is not a range of ports"))),
                        }
                    }
                    resources.ports = PortSet::from_ranges(ranges);
                }
                other => return Err(wrong(format!("'{other}' is not a kind of resource"))),
            }
        }
        Ok(resources)
    }
}

/// Thousandths as a decimal number without superfluous digits: 1500 is `1.5`.
pub fn milli_text(milli: u64) -> String {
    let fraction = format!("{:03}", milli % 1000);
    match fraction.trim_end_matches('0') {
        "" => (milli / 1000).to_string(),
        digits => format!("{}.{digits}", milli / 1000),
    }
}

impl fmt::Display for Resources {
    /// Mesos' notation, as [`FromStr`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cpus:{};mem:{};disk:{}", milli_text(self.cpus_milli), self.mem / MIB, self.disk / MIB)?;
        if !self.gpus.is_empty() {
            write!(f, ";gpus:{}", self.gpus.len())?;
        }
        if !self.ports.is_empty() {
            let ranges: Vec<_> =
                self.ports.ranges().iter().map(|(low, high)| format!("{low}-{high}")).collect();
            write!(f, ";ports:[{}]", ranges.join(","))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mesos_notation_reads_and_prints() {
        let text = "cpus:1.5;mem:512;disk:100;gpus:2;ports:[31000-31009,32000-32000]";
        assert_eq!(text.parse::<Resources>().unwrap().to_string(), text);
        for bad in ["cpus", "cpus:x", "gpus:1.5", "ports:31000", "ports:[5-1]", "memory:5", "cpus:-1"] {
            assert!(bad.parse::<Resources>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ports_come_and_go() {
        let mut set = PortSet::from_ranges([(5, 9), (1, 2), (3, 3)]);
        assert_eq!(set.ranges(), [(1, 3), (5, 9)]);
        assert!(set.remove(7) && !set.remove(7) && !set.contains(7));
        assert_eq!(set.ranges(), [(1, 3), (5, 6), (8, 9)]);
        assert!(set.insert(4) && set.insert(7) && !set.insert(7));
        assert_eq!(set.ranges(), [(1, 9)]);
        assert_eq!((set.len(), set.iter().count()), (9, 9));
        let mut top = PortSet::from_ranges([(65534, 65534)]);
        assert!(top.insert(65535) && top.contains(65535));
    }

    #[test]
    fn what_is_taken_comes_back() {
        let full: Resources = "cpus:4;mem:1024;disk:10;gpus:2;ports:[31000-31003]".parse().unwrap();
        let mut free = full.clone();
        let shared = Demand {
            cpus_milli: 500,
            mem: 100 * MIB,
            disk: 0,
            gpus: GpuDemand { count: 1, milli: 600 },
            ports: vec![PortDemand::Any, PortDemand::Exact(31000)],
        };
        let first = free.pick(&shared).unwrap();
        assert_eq!(
            (first.gpus.as_slice(), first.ports.as_slice()),
            ([(0, 600)].as_slice(), [31001, 31000].as_slice())
        );
        assert!(first.satisfies(&shared));
        free.take(&first).unwrap();
        assert_eq!(free.pick(&shared), Err(NotEnough(Kind::Ports)), "31000 is taken");
        let whole = Demand { gpus: GpuDemand::whole(1), ..Demand::default() };
        assert_eq!(free.pick(&whole).unwrap().gpus, [(1, 1000)]);
        assert_eq!(
            free.pick(&Demand { gpus: GpuDemand::whole(2), ..Demand::default() }),
            Err(NotEnough(Kind::Gpus))
        );
        assert_eq!(free.take(&first), Err(NotEnough(Kind::Gpus)), "never twice");
        free.give_back(&first);
        assert_eq!(free, full);
    }
}
