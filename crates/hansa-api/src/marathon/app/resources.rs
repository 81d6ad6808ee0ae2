//! What an instance takes: `cpus`, `mem`, `disk`, `gpus`, and `resourceLimits` above that.

use super::Faults;
use super::parts::Parts;
use super::policy::double;
use super::unsupported::refuse;
use crate::marathon::read::Fields;
use hansa_model::app::{ResourceLimit, ResourceLimits};
use hansa_model::resources::MIB;
use serde_json::Value;

/// The most of a resource that a single instance can ask for, in thousandths (of a CPU, of a MiB): enough for every
/// machine, and far from overflowing.
const MOST: u64 = 1_000_000_000_000;

/// What an instance takes.
pub(super) struct Needs {
    /// Thousandths of a CPU.
    pub(super) cpus_milli: u64,
    /// Bytes.
    pub(super) mem: u64,
    /// Bytes.
    pub(super) disk: u64,
    /// Whole GPUs.
    pub(super) gpus: u16,
    /// As given.
    pub(super) limits: ResourceLimits,
}

/// Reads what an instance takes.
pub(super) fn read(parts: &Parts<'_>, faults: &mut Faults) -> Needs {
    let fields = &parts.app;
    let mut milli = |name: &str, low: u64, otherwise: u64| {
        fields.milli(name, low, MOST, &mut faults.types).unwrap_or(otherwise)
    };
    let (cpus_milli, mem_milli, disk_milli) =
        (milli("cpus", 1, 1_000), milli("mem", 0, 128_000), milli("disk", 0, 0));
    let gpus = fields
        .int("gpus", 0, i64::from(u16::MAX), &mut faults.types)
        .and_then(|gpus| u16::try_from(gpus).ok())
        .unwrap_or(0);
    if gpus > 0 && parts.is_docker() {
        faults.rules.add(fields.path(), "GPU resources only work with the Mesos containerizer");
    }
    let limits = read_limits(fields, cpus_milli, mem_milli, faults);
    Needs { cpus_milli, mem: bytes(mem_milli), disk: bytes(disk_milli), gpus, limits }
}

/// MiB in thousandths as bytes. Thousandths of a MiB are coarser than bytes, so that [`crate::marathon::render`] gets them
/// back.
pub(super) fn bytes(milli_mib: u64) -> u64 {
    u64::try_from((u128::from(milli_mib) * u128::from(MIB) + 500) / 1_000).unwrap_or(u64::MAX)
}

/// Limits that say what happens anyway are taken; others are refused by name.
fn read_limits(fields: &Fields<'_>, cpus_milli: u64, mem_milli: u64, faults: &mut Faults) -> ResourceLimits {
    let at = fields.at("resourceLimits");
    let given = fields.get("resourceLimits").and_then(|value| Fields::of(value, &at, &mut faults.types));
    let Some(given) = given else { return ResourceLimits::default() };
    let cpus = read_limit(&given, "cpus", cpus_milli, faults);
    let mem = read_limit(&given, "mem", mem_milli, faults);
    if matches!(cpus, Some(ResourceLimit::Amount(limit)) if limit > cpus_milli) {
        refuse(
            given.at("cpus"),
            "a limit of CPU time above the request (say \"unlimited\", or the request itself)",
            faults,
        );
    }
    if mem.is_some_and(|limit| limit != ResourceLimit::Amount(mem_milli)) {
        refuse(given.at("mem"), "a limit of memory above the request (say the request itself)", faults);
    }
    let mem = mem.map(|limit| match limit {
        ResourceLimit::Amount(milli) => ResourceLimit::Amount(bytes(milli)),
        ResourceLimit::Unlimited => ResourceLimit::Unlimited,
    });
    ResourceLimits { cpus_milli: cpus, mem }
}

fn read_limit(given: &Fields<'_>, name: &str, request: u64, faults: &mut Faults) -> Option<ResourceLimit> {
    match given.get(name)? {
        Value::String(word) if word.eq_ignore_ascii_case("unlimited") => Some(ResourceLimit::Unlimited),
        Value::String(word) => {
            let words = format!("'{word}' is an invalid resource limit. It must be 'unlimited' or a number");
            faults.rules.add(given.at(name), words);
            None
        }
        number => {
            if number.as_f64().is_some_and(|number| number < request as f64 / 1_000.0) {
                let asked = double(request as f64 / 1_000.0);
                faults.rules.add(
                    given.at(name),
                    format!("resource limit must be greater than or equal to requested resource ({asked})"),
                );
                return None;
            }
            given.milli(name, 0, MOST, &mut faults.types).map(ResourceLimit::Amount)
        }
    }
}
