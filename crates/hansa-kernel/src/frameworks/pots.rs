//! Reservations, volumes and disks of their own of one machine: pots beside what anybody may have.
//!
//! A pot is what is kept for one stack of reservations (or lies under one volume), or is on one disk of its own, the devices
//! by name, and what of it is free. In the machine's book it is held, whether used or not.
//!
//! What the machine's configuration sets apart has an origin ([`Part::origin`]), which whatever is made of it keeps: the sum
//! of all pots of an origin is what is configured, or more while something is left of what was configured before.

use hansa_model::framework::{Amount, DiskSource, Part, PersistentVolume, Reservation, parts};
use hansa_model::planted::{Bug, planted};
use hansa_model::resources::{Kind, NotEnough, WHOLE_GPU};
use hansa_model::{Allocation, RoleName};
use serde::{Deserialize, Serialize};

/// A stored pot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PotRecord {
    /// For whom it is kept, what lies on it, and how much it is.
    pub part: Part,
    /// Its GPUs.
    #[serde(default)]
    pub devices: Vec<u16>,
}

/// One pot.
#[derive(Clone, Debug)]
pub(crate) struct Pot {
    /// All of it.
    pub part: Part,
    /// The same with devices by name: what it holds in its machine's book.
    pub allocation: Allocation,
    free: Amount,
    free_devices: Vec<u16>,
}

/// A piece of a pot that somebody uses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Taken {
    /// Of which pot, and how much.
    pub part: Part,
    /// Its GPUs.
    pub devices: Vec<u16>,
}

impl Pot {
    fn new(part: Part, devices: Vec<u16>) -> Self {
        let allocation = allocation_of(&part.amount, &devices);
        let free = part.amount.clone();
        Self { part, allocation, free, free_devices: devices }
    }

    /// The role that it is kept for, innermost.
    pub fn role(&self) -> Option<&RoleName> {
        self.part.role()
    }

    /// What of it is free.
    pub fn free(&self) -> &Amount {
        &self.free
    }

    fn key(&self) -> (&[Reservation], Option<&DiskSource>, Option<&PersistentVolume>) {
        (&self.part.reservations, self.part.source.as_ref(), self.part.volume.as_ref())
    }

    fn resize(&mut self, amount: Amount, free: Amount, devices: Vec<u16>) {
        self.allocation = allocation_of(&amount, &devices);
        self.part.amount = amount;
        self.free = free;
    }

    fn devices(&self) -> Vec<u16> {
        self.allocation.gpus.iter().map(|&(device, _)| device).collect()
    }
}

/// All pots of a machine, in the order of what they are kept for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pots(Vec<Pot>);

impl Pots {
    /// As they were stored.
    pub fn restored(records: Vec<PotRecord>) -> Self {
        let mut pots = Self::default();
        for record in records {
            pots.grow(&record.part, record.devices);
        }
        pots
    }

    /// As they are to be stored.
    pub fn records(&self) -> Vec<PotRecord> {
        self.0.iter().map(|pot| PotRecord { part: pot.part.clone(), devices: pot.devices() }).collect()
    }

    /// All.
    pub fn iter(&self) -> impl Iterator<Item = &Pot> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pot that this part is of.
    pub fn get(&self, part: &Part) -> Option<&Pot> {
        self.0.iter().find(|pot| pot.part.is_like(part))
    }

    /// What is free, in parts.
    pub fn free(&self) -> impl Iterator<Item = Part> + '_ {
        self.0
            .iter()
            .filter(|pot| !pot.free.is_empty())
            .map(|pot| Part { amount: pot.free.clone(), ..pot.part.clone() })
            .map(|part| match planted(Bug::WholeDivided) && part.is_whole() && part.volume.is_none() {
                true => Part { amount: Amount { disk: part.amount.disk / 2, ..part.amount }, ..part },
                false => part,
            })
    }

    /// All of it, in parts.
    pub fn parts(&self) -> Vec<Part> {
        self.0.iter().map(|pot| pot.part.clone()).collect()
    }

    /// Whether a volume of this id is kept for the role.
    pub fn has_volume(&self, role: &RoleName, id: &str) -> bool {
        self.0.iter().any(|pot| {
            pot.role() == Some(role) && pot.part.volume.as_ref().is_some_and(|volume| volume.id == id)
        })
    }

    /// What could be taken for this part now, the lowest devices first.
    pub fn pick(&self, part: &Part) -> Result<Taken, NotEnough> {
        let Some(pot) = self.get(part) else { return Err(NotEnough(first_kind(&part.amount))) };
        pot.free.contains(&part.amount)?;
        if part.is_whole() && pot.part.amount != part.amount {
            return Err(NotEnough(first_kind(&part.amount)));
        }
        let devices = pot.free_devices.iter().take(usize::from(part.amount.gpus)).copied().collect();
        Ok(Taken { part: part.clone(), devices })
    }

    /// Somebody uses this from now on. It was picked, or is used already by the word of its agent: then the pot grows if
    /// it is too small. Whether it did.
    pub fn take(&mut self, taken: &Taken) -> bool {
        let short = match self.get(&taken.part) {
            None => taken.part.amount.clone(),
            Some(pot) => taken.part.amount.without(&pot.free),
        };
        let unknown: Vec<u16> = match self.get(&taken.part) {
            None => taken.devices.clone(),
            Some(pot) => {
                let known = pot.devices();
                taken.devices.iter().filter(|device| !known.contains(device)).copied().collect()
            }
        };
        let grows = !short.is_empty() || !unknown.is_empty();
        if grows {
            self.forget_others(&taken.part);
            self.grow(&Part { amount: short, ..taken.part.clone() }, unknown);
        }
        if let Some(pot) = self.get_mut(&taken.part) {
            pot.free = pot.free.without(&taken.part.amount);
            pot.free_devices.retain(|device| !taken.devices.contains(device));
        }
        grows
    }

    /// A disk that cannot be divided is what its agent says: what else was made of it, and nobody uses, an older store tells of.
    fn forget_others(&mut self, part: &Part) {
        if matches!(part.source, Some(DiskSource::Mount(_))) {
            let stays = |pot: &Pot| {
                pot.part.source != part.source || pot.part.is_like(part) || pot.free != pot.part.amount
            };
            self.0.retain(stays);
        }
    }

    /// Nobody uses it any more.
    pub fn give_back(&mut self, taken: &Taken) {
        if let Some(pot) = self.get_mut(&taken.part) {
            pot.free.add(&taken.part.amount);
            pot.free_devices.extend(&taken.devices);
            pot.free_devices.sort_unstable();
        }
    }

    /// So much more is kept: all of it is free.
    pub fn grow(&mut self, part: &Part, mut devices: Vec<u16>) {
        match self.get_mut(part) {
            Some(pot) => {
                let (mut amount, mut free) = (pot.part.amount.clone(), pot.free.clone());
                amount.add(&part.amount);
                free.add(&part.amount);
                pot.free_devices.extend(&devices);
                pot.free_devices.sort_unstable();
                devices.extend(pot.devices());
                devices.sort_unstable();
                pot.resize(amount, free, devices);
            }
            None => {
                devices.sort_unstable();
                let pot = Pot::new(part.clone(), devices);
                let at = self.0.partition_point(|other| other.key() < pot.key());
                self.0.insert(at, pot);
            }
        }
    }

    /// So much less is kept; it was free. What it had of devices; None: it was not free.
    pub fn shrink(&mut self, part: &Part) -> Option<Vec<u16>> {
        let taken = self.pick(part).ok()?;
        let pot = self.get_mut(part)?;
        let (amount, free) = (pot.part.amount.without(&part.amount), pot.free.without(&part.amount));
        pot.free_devices.retain(|device| !taken.devices.contains(device));
        let mut devices = pot.devices();
        devices.retain(|device| !taken.devices.contains(device));
        pot.resize(amount, free, devices);
        self.0.retain(|pot| !pot.part.amount.is_empty());
        Some(taken.devices)
    }

    /// How much there is of an origin in all pots, however it is kept by now.
    pub fn of_origin(&self, origin: &Part) -> Amount {
        let mut sum = Amount::default();
        for pot in self.0.iter().filter(|pot| pot.part.origin().as_ref() == Some(origin)) {
            sum.add(&pot.part.amount);
        }
        sum
    }

    /// All origins, of what is configured and of what there is.
    fn origins(&self, configured: &[Part]) -> Vec<Part> {
        let mut origins: Vec<Part> = Vec::new();
        for origin in configured.iter().chain(self.0.iter().map(|pot| &pot.part)).filter_map(Part::origin) {
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
        origins
    }

    /// What is there of an origin beyond what is configured, and not used or made something of.
    pub fn superfluous(&self, origin: &Part, configured: &Amount) -> Amount {
        let Some(pot) = self.get(origin) else { return Amount::default() };
        let has = self.of_origin(origin);
        let over = has.without(configured);
        let free = pot.free();
        let less = Amount {
            cpus_milli: over.cpus_milli.min(free.cpus_milli),
            mem: over.mem.min(free.mem),
            disk: over.disk.min(free.disk),
            gpus: over.gpus.min(free.gpus),
            ports: over.ports.without(&over.ports.without(&free.ports)),
        };
        match origin.is_whole() {
            // A disk that cannot be divided goes as a whole, if nobody has it, also to come again larger.
            true if has != *configured && *free == pot.part.amount => free.clone(),
            true => Amount::default(),
            false => less,
        }
    }

    /// Sets apart what the machine's configuration says, if that is not so already: what is missing comes, what is too
    /// much goes as far as nobody has it. `devices` are the machine's GPUs that are in no pot, those that are free first.
    /// Whether anything changed.
    pub fn configure(&mut self, configured: &[Part], mut devices: Vec<u16>) -> bool {
        let mut changed = false;
        for origin in self.origins(configured) {
            let wanted = parts::sum_of(configured, &origin);
            let less = self.superfluous(&origin, &wanted);
            if !less.is_empty() {
                devices.extend(self.shrink(&Part { amount: less, ..origin.clone() }).unwrap_or_default());
                changed = true;
            }
            let has = self.of_origin(&origin);
            if origin.is_whole() && !has.is_empty() {
                continue;
            }
            let mut more = wanted.without(&has);
            more.gpus = more.gpus.min(u16::try_from(devices.len()).unwrap_or(u16::MAX));
            if !more.is_empty() {
                let taken = devices.drain(..usize::from(more.gpus)).collect();
                self.grow(&Part { amount: more, ..origin }, taken);
                changed = true;
            }
        }
        changed
    }

    fn get_mut(&mut self, part: &Part) -> Option<&mut Pot> {
        self.0.iter_mut().find(|pot| pot.part.is_like(part))
    }

    /// What of an allocation that covers these parts is of pots, and what of it is not.
    pub fn split(&self, all: &Allocation, parts: &[Part]) -> Held {
        let mut open = all.clone();
        let mut pots: Vec<Taken> = Vec::new();
        for part in parts.iter().filter(|part| !part.is_open()) {
            let own = self.get(part).map(Pot::devices);
            let mut devices: Vec<u16> = Vec::new();
            while devices.len() < usize::from(part.amount.gpus) {
                let of_pot =
                    |&(device, _): &(u16, u16)| own.as_ref().is_some_and(|own| own.contains(&device));
                let at = open.gpus.iter().position(of_pot).or(open.gpus.len().checked_sub(1));
                let Some(at) = at else { break };
                devices.push(open.gpus.remove(at).0);
            }
            open.cpus_milli = open.cpus_milli.saturating_sub(part.amount.cpus_milli);
            open.mem = open.mem.saturating_sub(part.amount.mem);
            open.disk = open.disk.saturating_sub(part.amount.disk);
            open.ports.retain(|&port| !part.amount.ports.contains(port));
            pots.push(Taken { part: part.clone(), devices });
        }
        Held { open, pots }
    }
}

/// What somebody has on a machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Held {
    /// Of what is nobody's in particular.
    pub open: Allocation,
    /// Of pots.
    pub pots: Vec<Taken>,
}

impl Held {
    /// Nothing of pots.
    pub fn open(open: Allocation) -> Self {
        Self { open, pots: Vec::new() }
    }

    /// What several have, as one.
    pub fn joined(all: impl IntoIterator<Item = Held>) -> Self {
        all.into_iter().fold(Self::default(), |mut sum, held| {
            let Allocation { cpus_milli, mem, disk, gpus, ports } = held.open;
            sum.open.cpus_milli = sum.open.cpus_milli.saturating_add(cpus_milli);
            sum.open.mem = sum.open.mem.saturating_add(mem);
            sum.open.disk = sum.open.disk.saturating_add(disk);
            sum.open.gpus.extend(gpus);
            sum.open.ports.extend(ports);
            sum.pots.extend(held.pots);
            sum
        })
    }

    /// Takes out what is of volumes; None: there is nothing.
    pub fn take_volumes(&mut self) -> Option<Held> {
        let (pots, others) =
            std::mem::take(&mut self.pots).into_iter().partition(|taken| taken.part.volume.is_some());
        self.pots = others;
        Some(Held { pots, ..Held::default() }).filter(|held| !held.pots.is_empty())
    }

    /// As parts, for shares and quota: ports do not count.
    pub fn parts(&self) -> Vec<Part> {
        let gpus = u16::try_from(self.open.gpus.len()).unwrap_or(u16::MAX);
        let Allocation { cpus_milli, mem, disk, .. } = self.open;
        let open = Part::unreserved(Amount { cpus_milli, mem, disk, gpus, ..Amount::default() });
        std::iter::once(open).chain(self.pots.iter().map(|taken| taken.part.clone())).collect()
    }
}

/// An amount with devices by name; the ports ascending.
pub(crate) fn allocation_of(amount: &Amount, devices: &[u16]) -> Allocation {
    Allocation {
        cpus_milli: amount.cpus_milli,
        mem: amount.mem,
        disk: amount.disk,
        gpus: devices.iter().map(|&device| (device, WHOLE_GPU)).collect(),
        ports: amount.ports.iter().collect(),
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
    use hansa_model::resources::PortSet;

    fn kept(role: &str, cpus_milli: u64, gpus: u16) -> Part {
        let reservation =
            Reservation { role: role.into(), principal: None, labels: Vec::new(), fixed: false };
        Part {
            reservations: vec![reservation],
            amount: Amount { cpus_milli, gpus, ..Amount::default() },
            ..Part::default()
        }
    }

    #[test]
    fn what_is_taken_comes_back() {
        let mut pots = Pots::default();
        pots.grow(&kept("b", 1000, 2), vec![3, 1]);
        pots.grow(&kept("a", 500, 0), vec![]);
        let before = pots.records();
        assert_eq!(pots.iter().map(|pot| pot.role().unwrap().to_string()).collect::<Vec<_>>(), ["a", "b"]);
        let taken = pots.pick(&kept("b", 400, 1)).unwrap();
        assert_eq!(taken.devices, [1]);
        assert!(!pots.take(&taken));
        assert!(pots.pick(&kept("b", 700, 0)).is_err() && pots.pick(&kept("b", 0, 2)).is_err());
        assert!(pots.shrink(&kept("b", 1000, 2)).is_none(), "some of it is used");
        pots.give_back(&taken);
        assert_eq!(pots.records(), before);
        assert_eq!(pots.shrink(&kept("b", 1000, 1)), Some(vec![1]));
        assert_eq!(pots.records()[1].devices, [3]);
        assert_eq!(pots.shrink(&kept("b", 0, 1)), Some(vec![3]));
        assert_eq!(pots.records().len(), 1, "an empty pot goes");
    }

    fn fixed(role: &str, cpus_milli: u64, gpus: u16) -> Part {
        let mut part = kept(role, cpus_milli, gpus);
        part.reservations[0].fixed = true;
        part
    }

    #[test]
    fn what_is_configured_is_set_apart_and_goes_when_nobody_has_it() {
        let mut pots = Pots::default();
        pots.grow(&kept("b", 100, 0), vec![]);
        assert!(pots.configure(&[fixed("a", 1000, 1)], vec![4, 5]));
        assert!(!pots.configure(&[fixed("a", 1000, 1)], vec![5]), "it is so already");
        assert_eq!(pots.get(&fixed("a", 0, 0)).unwrap().devices(), [4]);
        // Some of it is refined, and some of that is used: both stay the configuration's.
        let mut refined = fixed("a", 600, 1);
        refined.reservations.extend(kept("a/b", 0, 0).reservations);
        let devices = pots.shrink(&fixed("a", 600, 1)).unwrap();
        pots.grow(&refined, devices);
        let taken = pots.pick(&Part { amount: fixed("", 200, 0).amount, ..refined.clone() }).unwrap();
        pots.take(&taken);
        assert!(!pots.configure(&[fixed("a", 1000, 1)], vec![5]));
        assert!(pots.configure(&[fixed("a", 700, 0)], vec![5]));
        assert_eq!(pots.get(&fixed("a", 0, 0)).unwrap().free().cpus_milli, 100);
        assert!(pots.configure(&[], vec![5]), "what nobody has goes, the rest stays");
        assert_eq!(pots.of_origin(&fixed("a", 0, 0)), refined.amount);
        pots.give_back(&taken);
        let devices = pots.shrink(&refined).unwrap();
        pots.grow(&fixed("a", 600, 1), devices);
        assert!(pots.configure(&[], vec![5]));
        assert_eq!(pots.parts(), [kept("b", 100, 0)]);
    }

    #[test]
    fn a_disk_that_cannot_be_divided_goes_and_comes_as_a_whole() {
        let mount = |disk| Part {
            source: Some(DiskSource::Mount("/m".into())),
            amount: Amount { disk, ..Amount::default() },
            ..Part::default()
        };
        let mut pots = Pots::default();
        assert!(pots.configure(&[mount(10)], vec![]));
        assert!(pots.pick(&mount(9)).is_err() && pots.shrink(&mount(9)).is_none());
        let taken = pots.pick(&mount(10)).unwrap();
        pots.take(&taken);
        assert!(!pots.configure(&[mount(12)], vec![]) && !pots.configure(&[mount(5)], vec![]), "it is used");
        pots.give_back(&taken);
        for other in [12, 5] {
            assert!(pots.configure(&[mount(other)], vec![]));
            assert_eq!(pots.parts(), [mount(other)]);
            assert!(!pots.configure(&[mount(other)], vec![]));
        }
    }

    #[test]
    fn what_an_agent_uses_of_a_disk_that_cannot_be_divided_is_all_that_is_on_it() {
        let volume = |id: &str| Part {
            reservations: kept("a", 0, 0).reservations,
            source: Some(DiskSource::Mount("/m".into())),
            volume: Some(PersistentVolume { id: id.into(), principal: None, container_path: "d".into() }),
            amount: Amount { disk: 10, ..Amount::default() },
        };
        let used = |id: &str| Taken { part: volume(id), devices: Vec::new() };
        let mut pots = Pots::default();
        pots.grow(&kept("a", 400, 0), vec![]);
        pots.grow(&volume("old"), vec![]);
        assert!(pots.take(&used("new")));
        assert_eq!(pots.parts(), [kept("a", 400, 0), volume("new")], "an older store told of the other one");
        // What somebody uses stays, whatever the configuration says.
        pots.grow(&volume("old"), vec![]);
        assert!(!pots.take(&used("old")) && pots.take(&used("third")));
        assert_eq!(pots.parts().len(), 4);
    }

    #[test]
    fn a_pot_grows_to_what_is_used_of_it() {
        let mut pots = Pots::default();
        let taken = Taken { part: kept("a", 400, 1), devices: vec![2] };
        assert!(pots.take(&taken));
        assert_eq!(pots.free().count(), 0);
        pots.give_back(&taken);
        assert_eq!(pots.free().collect::<Vec<_>>(), [kept("a", 400, 1)]);
        assert!(!pots.take(&taken));
    }

    #[test]
    fn an_allocation_is_split_into_pots_and_the_rest() {
        let mut pots = Pots::default();
        pots.grow(&kept("a", 400, 1), vec![2]);
        let ports = |low, high| PortSet::from_ranges([(low, high)]);
        let open =
            Part::unreserved(Amount { cpus_milli: 100, gpus: 1, ports: ports(5, 6), ..Amount::default() });
        let all = Allocation {
            cpus_milli: 500,
            gpus: vec![(1, 1000), (2, 1000)],
            ports: vec![5, 6],
            ..Allocation::default()
        };
        let held = pots.split(&all, &[kept("a", 400, 1), open]);
        assert_eq!(held.open.gpus, [(1, 1000)]);
        assert_eq!((held.open.cpus_milli, held.open.ports.as_slice()), (100, [5, 6].as_slice()));
        assert_eq!(held.pots, [Taken { part: kept("a", 400, 1), devices: vec![2] }]);
    }
}
