//! Amounts as Mesos' older endpoints write them: an object with the four scalars always there, and ranges as text.

use hansa_model::framework::{Amount, Part};
use hansa_model::resources::{Allocation, MIB, PortSet, Resources, WHOLE_GPU};
use hansa_model::role::Totals;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt::Write;

/// A sum of amounts. Ports gather and are put in order once, when they are written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct Sum {
    cpus_milli: u64,
    mem: u64,
    disk: u64,
    gpus_milli: u64,
    ports: Vec<(u16, u16)>,
}

impl Sum {
    /// Adds what a task or offer has.
    pub(in super::super) fn amount(&mut self, amount: &Amount) {
        self.totals(&amount.totals());
        self.ports.extend(amount.ports.ranges());
    }

    /// Adds parts, whoever they are kept for.
    pub(in super::super) fn parts(&mut self, parts: &[Part]) {
        parts.iter().for_each(|part| self.amount(&part.amount));
    }

    /// Adds what a service's task was given.
    pub(in super::super) fn allocation(&mut self, allocation: &Allocation) {
        let gpus = allocation.gpus.iter().map(|&(_, milli)| u64::from(milli)).sum::<u64>();
        self.totals(&Totals {
            cpus_milli: allocation.cpus_milli,
            mem: allocation.mem,
            disk: allocation.disk,
            gpus_milli: gpus,
        });
        self.ports.extend(allocation.ports.iter().map(|&port| (port, port)));
    }

    /// Adds what a machine has; of GPUs only those count that are whole.
    pub(in super::super) fn resources(&mut self, resources: &Resources) {
        self.totals(&Totals {
            cpus_milli: resources.cpus_milli,
            mem: resources.mem,
            disk: resources.disk,
            gpus_milli: resources.gpus.iter().filter(|&&milli| milli == WHOLE_GPU).count() as u64
                * u64::from(WHOLE_GPU),
        });
        self.ports.extend(resources.ports.ranges());
    }

    /// Adds another sum.
    pub(in super::super) fn add(&mut self, other: &Sum) {
        self.totals(&other.scalars());
        self.ports.extend(&other.ports);
    }

    /// Adds scalars.
    pub(in super::super) fn totals(&mut self, totals: &Totals) {
        self.cpus_milli += totals.cpus_milli;
        self.mem += totals.mem;
        self.disk += totals.disk;
        self.gpus_milli += totals.gpus_milli;
    }

    /// What is left of it without parts.
    pub(in super::super) fn without(&self, parts: &[Part]) -> Sum {
        let mut taken = Sum::default();
        taken.parts(parts);
        let ports = PortSet::from_ranges(self.ports.iter().copied())
            .without(&PortSet::from_ranges(taken.ports.iter().copied()));
        Sum {
            cpus_milli: self.cpus_milli.saturating_sub(taken.cpus_milli),
            mem: self.mem.saturating_sub(taken.mem),
            disk: self.disk.saturating_sub(taken.disk),
            gpus_milli: self.gpus_milli.saturating_sub(taken.gpus_milli),
            ports: ports.ranges().to_vec(),
        }
    }

    /// Its scalars.
    pub(in super::super) fn scalars(&self) -> Totals {
        Totals { cpus_milli: self.cpus_milli, mem: self.mem, disk: self.disk, gpus_milli: self.gpus_milli }
    }

    /// Its scalars by name, in Mesos' units: CPUs, MiB, GPUs.
    pub(in super::super) fn named(&self) -> [(&'static str, f64); 4] {
        named(&self.scalars())
    }
}

/// Scalars by name, in Mesos' units: CPUs, MiB, GPUs.
pub(in super::super) fn named(totals: &Totals) -> [(&'static str, f64); 4] {
    [
        ("cpus", milli(totals.cpus_milli)),
        ("gpus", milli(totals.gpus_milli)),
        ("mem", mebibytes(totals.mem)),
        ("disk", mebibytes(totals.disk)),
    ]
}

fn milli(milli: u64) -> f64 {
    milli as f64 / 1000.0
}

/// With three decimals, as all amounts.
pub(in super::super) fn mebibytes(bytes: u64) -> f64 {
    (bytes as f64 / MIB as f64 * 1000.0).round() / 1000.0
}

impl Serialize for Sum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        for (name, value) in self.named() {
            object.serialize_entry(name, &value)?;
        }
        if !self.ports.is_empty() {
            object.serialize_entry("ports", &ranges(&self.ports))?;
        }
        object.end()
    }
}

/// `[31000-31005, 31007-31007]`
fn ranges(ranges: &[(u16, u16)]) -> String {
    let mut text = String::from("[");
    for (at, (low, high)) in PortSet::from_ranges(ranges.iter().copied()).ranges().iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}{low}-{high}");
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_all_scalars_and_ranges_as_text() {
        let mut sum = Sum::default();
        assert_eq!(serde_json::to_string(&sum).unwrap(), r#"{"cpus":0.0,"gpus":0.0,"mem":0.0,"disk":0.0}"#);
        sum.resources(&"cpus:1.5;mem:1024;disk:10;ports:[31000-31005]".parse().unwrap());
        let more = Amount { ports: PortSet::from_ranges([(31007, 31007)]), ..Amount::default() };
        sum.amount(&Amount { cpus_milli: 1, mem: MIB, gpus: 2, ..more });
        assert_eq!(
            serde_json::to_string(&sum).unwrap(),
            r#"{"cpus":1.501,"gpus":2.0,"mem":1025.0,"disk":10.0,"ports":"[31000-31005, 31007-31007]"}"#
        );
        let taken = Amount { ports: PortSet::from_ranges([(31001, 31002)]), mem: MIB, ..Amount::default() };
        let left = sum.without(&[Part::unreserved(taken)]);
        assert_eq!(
            serde_json::to_string(&left).unwrap(),
            r#"{"cpus":1.501,"gpus":2.0,"mem":1024.0,"disk":10.0,"ports":"[31000-31000, 31003-31005, 31007-31007]"}"#
        );
    }
}
