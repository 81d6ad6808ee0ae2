//! Pieces of machines as offers and tasks speak of them.
//!
//! An [`Amount`] is a quantity without names for devices: what is offered and asked for. A [`Part`] is an amount together
//! with whom it is kept for: nobody, or a role by a stack of [`Reservation`]s; on which disk it is, if that is one of its
//! own, a [`DiskSource`]; and perhaps what lies on it, a [`PersistentVolume`].

use crate::id::RoleName;
use crate::resources::{Kind, NotEnough, PortSet, Resources, WHOLE_GPU};
use crate::role::Totals;
use serde::{Deserialize, Serialize};

/// A quantity of everything. Memory and disk of offers are whole MiB, so that what a framework reads and sends back is
/// exactly what was offered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Amount {
    /// Thousandths of a CPU.
    pub cpus_milli: u64,
    /// Bytes of memory.
    pub mem: u64,
    /// Bytes of disk.
    pub disk: u64,
    /// Whole GPUs.
    pub gpus: u16,
    /// Host ports.
    pub ports: PortSet,
}

impl Amount {
    /// What of a machine's resources can be offered: whole GPUs only, memory and disk rounded down to MiB.
    pub fn offerable(resources: &Resources) -> Self {
        use crate::resources::MIB;
        let gpus = resources.gpus.iter().filter(|&&milli| milli == WHOLE_GPU).count();
        Self {
            cpus_milli: resources.cpus_milli,
            mem: resources.mem / MIB * MIB,
            disk: resources.disk / MIB * MIB,
            gpus: u16::try_from(gpus).unwrap_or(u16::MAX),
            ports: resources.ports.clone(),
        }
    }

    /// Whether there is nothing of anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether `other` can be taken from here, or the first kind that is short.
    pub fn contains(&self, other: &Self) -> Result<(), NotEnough> {
        let short = if self.cpus_milli < other.cpus_milli {
            Kind::Cpus
        } else if self.mem < other.mem {
            Kind::Mem
        } else if self.disk < other.disk {
            Kind::Disk
        } else if self.gpus < other.gpus {
            Kind::Gpus
        } else if !self.ports.contains_all(&other.ports) {
            Kind::Ports
        } else {
            return Ok(());
        };
        Err(NotEnough(short))
    }

    /// Takes `other` away, all or nothing.
    pub fn take(&mut self, other: &Self) -> Result<(), NotEnough> {
        self.contains(other)?;
        *self = self.without(other);
        Ok(())
    }

    /// What is left without `other`, no kind below zero.
    pub fn without(&self, other: &Self) -> Self {
        Self {
            cpus_milli: self.cpus_milli.saturating_sub(other.cpus_milli),
            mem: self.mem.saturating_sub(other.mem),
            disk: self.disk.saturating_sub(other.disk),
            gpus: self.gpus.saturating_sub(other.gpus),
            ports: self.ports.without(&other.ports),
        }
    }

    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        self.cpus_milli = self.cpus_milli.saturating_add(other.cpus_milli);
        self.mem = self.mem.saturating_add(other.mem);
        self.disk = self.disk.saturating_add(other.disk);
        self.gpus = self.gpus.saturating_add(other.gpus);
        self.ports = self.ports.union(&other.ports);
    }

    /// Its scalar totals.
    pub fn totals(&self) -> Totals {
        Totals {
            cpus_milli: self.cpus_milli,
            mem: self.mem,
            disk: self.disk,
            gpus_milli: u64::from(self.gpus) * u64::from(WHOLE_GPU),
        }
    }
}

/// That resources are kept for a role. Of a stack, each one's role is below the role before it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reservation {
    /// For whom.
    pub role: RoleName,
    /// By whom.
    #[serde(default)]
    pub principal: Option<String>,
    /// Labels: keys may repeat, values may be absent.
    #[serde(default)]
    pub labels: Vec<(String, Option<String>)>,
    /// Made by the machine's configuration, and only changed there.
    #[serde(default)]
    pub fixed: bool,
}

/// A disk of a machine besides the one that its agent works on. It is offered by itself and never taken for ordinary disk:
/// whoever does not ask for this very disk does not get it. A root that is not absolute is seen from the agent's directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskSource {
    /// A directory, by its root: volumes share what there is.
    Path(String),
    /// A file system, by the directory that it is mounted at: somebody has all of it, or nobody.
    Mount(String),
}

impl DiskSource {
    /// The directory.
    pub fn root(&self) -> &str {
        match self {
            DiskSource::Path(root) | DiskSource::Mount(root) => root,
        }
    }
}

impl std::fmt::Display for DiskSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DiskSource::Path(root) => write!(f, "PATH disk {root}"),
            DiskSource::Mount(root) => write!(f, "MOUNT disk {root}"),
        }
    }
}

/// A directory on reserved disk that outlives the tasks which use it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PersistentVolume {
    /// Unique for its role on its machine.
    pub id: String,
    /// Who made it.
    #[serde(default)]
    pub principal: Option<String>,
    /// Where tasks see it, below their sandboxes.
    pub container_path: String,
}

/// An amount, and whom it is kept for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Part {
    /// The stack of reservations, the innermost last; empty: anybody may have it.
    pub reservations: Vec<Reservation>,
    /// The disk that it is on; then the amount is disk only. None: whatever the machine has, of disk that which its agent
    /// works on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<DiskSource>,
    /// What lies on it; then the amount is disk only, and is used as a whole or not at all.
    pub volume: Option<PersistentVolume>,
    /// How much.
    pub amount: Amount,
}

impl Part {
    /// An amount that anybody may have.
    pub fn unreserved(amount: Amount) -> Self {
        Self { amount, ..Self::default() }
    }

    /// The role that it is kept for; None: nobody's.
    pub fn role(&self) -> Option<&RoleName> {
        self.reservations.last().map(|reservation| &reservation.role)
    }

    /// Whether it is what its machine has for everybody: kept for nobody, and on no disk of its own.
    pub fn is_open(&self) -> bool {
        self.reservations.is_empty() && self.source.is_none()
    }

    /// Whether it is used as a whole or not at all: a volume, or a disk that cannot be divided.
    pub fn is_whole(&self) -> bool {
        self.volume.is_some() || matches!(self.source, Some(DiskSource::Mount(_)))
    }

    /// Whether it is kept for the same, on the same disk, and the same lies on it.
    pub fn is_like(&self, other: &Part) -> bool {
        self.reservations == other.reservations && self.source == other.source && self.volume == other.volume
    }

    /// What a machine's configuration says of it, which nobody else can change: for whom it was kept first, and on which
    /// disk it is. None: nothing.
    pub fn origin(&self) -> Option<Part> {
        let fixed = self.reservations.first().filter(|reservation| reservation.fixed);
        let origin = Part {
            reservations: fixed.cloned().into_iter().collect(),
            source: self.source.clone(),
            ..Part::default()
        };
        (!origin.is_open()).then_some(origin)
    }
}

/// The sum of parts, whoever they are kept for.
pub fn sum(parts: &[Part]) -> Amount {
    let mut sum = Amount::default();
    for part in parts {
        sum.add(&part.amount);
    }
    sum
}

/// The sum of those parts that are configured like this: see [`Part::origin`]. On a disk of its own only disk counts.
pub fn sum_of(parts: &[Part], origin: &Part) -> Amount {
    let mut sum = Amount::default();
    for part in parts.iter().filter(|part| part.is_like(origin)) {
        sum.add(&part.amount);
    }
    if origin.source.is_some() { Amount { disk: sum.disk, ..Amount::default() } } else { sum }
}

/// Whether all of `some` can be taken from `parts`, like from like.
pub fn contain(parts: &[Part], some: &[Part]) -> Result<(), NotEnough> {
    let mut left = parts.to_vec();
    take(&mut left, some)
}

/// Takes `some` from `parts`, like from like, all or nothing. Parts that nothing is left of go; what is
/// whole is taken whole.
pub fn take(parts: &mut Vec<Part>, some: &[Part]) -> Result<(), NotEnough> {
    let mut left = parts.clone();
    for part in some.iter().filter(|part| !part.amount.is_empty()) {
        let from = left
            .iter_mut()
            .find(|other| other.is_like(part) && (!part.is_whole() || other.amount == part.amount));
        match from {
            Some(from) => from.amount.take(&part.amount)?,
            None => return Err(NotEnough(first_kind(&part.amount))),
        }
        left.retain(|part| !part.amount.is_empty());
    }
    *parts = left;
    Ok(())
}

/// Adds `some` to `parts`, like to like; what is whole stays by itself.
pub fn give(parts: &mut Vec<Part>, some: &[Part]) {
    for part in some.iter().filter(|part| !part.amount.is_empty()) {
        match parts.iter_mut().find(|other| other.is_like(part) && !part.is_whole()) {
            Some(to) => to.amount.add(&part.amount),
            None => parts.push(part.clone()),
        }
    }
}

fn first_kind(amount: &Amount) -> Kind {
    match amount {
        amount if amount.cpus_milli > 0 => Kind::Cpus,
        amount if amount.mem > 0 => Kind::Mem,
        amount if amount.disk > 0 => Kind::Disk,
        amount if amount.gpus > 0 => Kind::Gpus,
        _ => Kind::Ports,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpus(cpus_milli: u64) -> Amount {
        Amount { cpus_milli, ..Amount::default() }
    }

    fn kept(role: &str, amount: Amount) -> Part {
        let reservation =
            Reservation { role: role.into(), principal: None, labels: Vec::new(), fixed: false };
        Part { reservations: vec![reservation], amount, ..Part::default() }
    }

    #[test]
    fn like_is_taken_from_like() {
        let mut parts = vec![Part::unreserved(cpus(1000)), kept("a", cpus(500))];
        assert_eq!(take(&mut parts, &[kept("b", cpus(1))]), Err(NotEnough(Kind::Cpus)));
        assert_eq!(take(&mut parts, &[kept("a", cpus(500)), kept("a", cpus(1))]), Err(NotEnough(Kind::Cpus)));
        take(&mut parts, &[kept("a", cpus(500)), Part::unreserved(cpus(400))]).unwrap();
        assert_eq!(parts, [Part::unreserved(cpus(600))]);
        give(&mut parts, &[kept("a", cpus(1)), Part::unreserved(cpus(1)), kept("a", Amount::default())]);
        assert_eq!(parts, [Part::unreserved(cpus(601)), kept("a", cpus(1))]);
        assert_eq!(sum(&parts), cpus(602));
    }

    #[test]
    fn volumes_are_taken_whole() {
        let volume = PersistentVolume { id: "v".into(), principal: None, container_path: "data".into() };
        let disk = |disk| Amount { disk, ..Amount::default() };
        let part = Part { volume: Some(volume), ..kept("a", disk(10)) };
        let mut parts = vec![kept("a", disk(5)), part.clone()];
        assert!(take(&mut parts, &[Part { amount: disk(4), ..part.clone() }]).is_err());
        take(&mut parts, std::slice::from_ref(&part)).unwrap();
        give(&mut parts, std::slice::from_ref(&part));
        assert_eq!(parts, [kept("a", disk(5)), part]);
    }

    #[test]
    fn disks_of_their_own_are_like_no_other() {
        let disk = |disk| Part::unreserved(Amount { disk, ..Amount::default() });
        let on = |source: DiskSource, size| Part { source: Some(source), ..disk(size) };
        let path = |size| on(DiskSource::Path("/d".into()), size);
        let mount = |size| on(DiskSource::Mount("/d".into()), size);
        let mut parts = vec![path(10), mount(10)];
        assert!(take(&mut parts, &[disk(1)]).is_err(), "whoever asks for disk gets none of these");
        assert!(take(&mut parts, &[mount(9)]).is_err(), "all of it or nothing");
        take(&mut parts, &[path(4), mount(10)]).unwrap();
        give(&mut parts, &[path(1), disk(3)]);
        assert_eq!(parts, [path(7), disk(3)]);
        give(&mut parts, &[mount(10), mount(10)]);
        assert!(take(&mut parts, &[mount(20)]).is_err(), "two of them are not one twice as large");
        let text = serde_json::to_string(&mount(1)).unwrap();
        assert!(text.contains(r#""source":{"mount":"/d"}"#), "{text}");
        assert_eq!(serde_json::from_str::<Part>(&text).unwrap(), mount(1));
        assert!(!serde_json::to_string(&disk(1)).unwrap().contains("source"));
    }

    #[test]
    fn what_the_configuration_says_of_a_part() {
        let mut part = kept("a", cpus(5));
        assert_eq!((part.origin(), Part::unreserved(cpus(5)).origin()), (None, None));
        part.reservations[0].fixed = true;
        let origin = Part { amount: Amount::default(), ..part.clone() };
        part.reservations.extend(kept("a/b", cpus(5)).reservations);
        assert_eq!(part.origin(), Some(origin));
        let source = Some(DiskSource::Path("/d".into()));
        let on = Part { source: source.clone(), ..kept("b", Amount { disk: 5, ..Amount::default() }) };
        assert_eq!(on.origin(), Some(Part { source, ..Part::default() }));
    }

    #[test]
    fn only_whole_gpus_and_mebibytes_are_offered() {
        let resources =
            Resources { mem: 3 * 1024 * 1024 + 7, gpus: vec![1000, 999, 1000], ..Resources::default() };
        let amount = Amount::offerable(&resources);
        assert_eq!((amount.gpus, amount.mem), (2, 3 * 1024 * 1024));
    }
}
