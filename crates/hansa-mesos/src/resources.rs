//! Mesos' lists of resources and our parts of machines.
//!
//! Mesos has a list entry for each name and reservation, in one of two forms: schedulers that know of refinement read
//! and write reservations as a stack, all others as one role. We have one [`Part`] for each reservation, with all of
//! its amounts. Memory and disk are MiB there and bytes here; every scalar counts in thousandths.

use crate::Invalid;
use crate::names::{check_id, check_role, is_below, labels_in, labels_out};
use crate::proto::v1::resource::disk_info::source::{Mount, Path, Type as SourceType};
use crate::proto::v1::resource::disk_info::{Persistence, Source};
use crate::proto::v1::resource::reservation_info::Type as ReservationType;
use crate::proto::v1::resource::{AllocationInfo, DiskInfo, ReservationInfo};
use crate::proto::v1::value::{Range, Ranges, Scalar, Type};
use crate::proto::v1::{self, volume};
use hansa_model::RoleName;
use hansa_model::framework::{
    Amount, Capability, DiskSource, FrameworkInfo, Part, PersistentVolume, Reservation, parts,
};
use hansa_model::resources::{MIB, PortSet};

/// More thousandths than this are a mistake, and would not survive being a double.
const MOST_MILLI: f64 = 9_007_199_254_740_992.0;

/// How resources are told to somebody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Form<'a> {
    /// Reservations as a stack.
    pub refined: bool,
    /// To which role they are allocated, for those who need to know.
    pub allocated_to: Option<&'a RoleName>,
}

impl<'a> Form<'a> {
    /// For a framework that is offered them under a role.
    pub fn of(framework: &FrameworkInfo, role: &'a RoleName) -> Self {
        Self {
            refined: framework.can(Capability::ReservationRefinement),
            allocated_to: framework.can(Capability::MultiRole).then_some(role),
        }
    }

    /// For operators and executors, to whom everything is told.
    pub fn whole(allocated_to: Option<&'a RoleName>) -> Self {
        Self { refined: true, allocated_to }
    }
}

/// What a list of resources means; amounts of one reservation together, volumes by themselves.
///
/// # Errors
/// A resource makes no sense in itself, or is of a kind that there is not.
pub fn read(resources: &[v1::Resource]) -> Result<Vec<Part>, Invalid> {
    let mut all: Vec<Part> = Vec::new();
    for resource in resources {
        let wrong = |why: Invalid| Invalid(format!("resource '{}': {why}", resource.name));
        let part = read_one(resource).map_err(wrong)?;
        if let Some(volume) = &part.volume {
            let same = |other: &&Part| {
                other.role() == part.role()
                    && other.volume.as_ref().is_some_and(|other| other.id == volume.id)
            };
            if all.iter().any(|other| same(&other)) {
                return Err(wrong(Invalid(format!("Persistence ID '{}' is not unique", volume.id))));
            }
        }
        parts::give(&mut all, &[part]);
    }
    Ok(all)
}

/// Parts as a list of resources. Nothing of nothing is left out.
pub fn write(parts: &[Part], form: Form<'_>) -> Vec<v1::Resource> {
    parts.iter().flat_map(|part| write_one(part, form)).collect()
}

/// A map of named scalars, as quota and filters have them; other names are refused.
///
/// # Errors
/// A name or a number is not one of a scalar resource.
pub fn read_quantities<'a>(
    quantities: impl IntoIterator<Item = (&'a String, &'a Scalar)>,
) -> Result<Amount, Invalid> {
    let mut amount = Amount::default();
    for (name, scalar) in quantities {
        add(&mut amount, name, scalar.value).map_err(|why| Invalid(format!("resource '{name}': {why}")))?;
    }
    Ok(amount)
}

/// Thousandths of a scalar.
///
/// # Errors
/// It is negative, too large, or no number.
pub fn milli(value: f64) -> Result<u64, Invalid> {
    let milli = (value * 1_000.0).round();
    if value.is_nan() || milli < 0.0 {
        return Err(Invalid(format!("{value} is not a positive number or zero")));
    }
    // Also refuses infinity.
    if milli > MOST_MILLI { Err(Invalid(format!("{value} is too large"))) } else { Ok(milli as u64) }
}

/// A scalar of thousandths.
pub fn from_milli(milli: u64) -> f64 {
    milli as f64 / 1_000.0
}

/// Bytes of a number of MiB.
///
/// # Errors
/// As [`milli`].
pub fn bytes_of_mib(value: f64) -> Result<u64, Invalid> {
    let bytes = u128::from(milli(value)?) * u128::from(MIB) / 1_000;
    u64::try_from(bytes).map_err(|_| Invalid(format!("{value} is too large")))
}

/// MiB of a number of bytes, to the thousandth.
pub fn mib_of_bytes(bytes: u64) -> f64 {
    let milli = u128::from(bytes) * 1_000 / u128::from(MIB);
    milli as f64 / 1_000.0
}

fn add(amount: &mut Amount, name: &str, value: f64) -> Result<(), Invalid> {
    match name {
        "cpus" => amount.cpus_milli = amount.cpus_milli.saturating_add(milli(value)?),
        "mem" => amount.mem = amount.mem.saturating_add(bytes_of_mib(value)?),
        "disk" => amount.disk = amount.disk.saturating_add(bytes_of_mib(value)?),
        "gpus" => {
            let milli = milli(value)?;
            let whole = u16::try_from(milli / 1_000).ok().filter(|_| milli % 1_000 == 0);
            let whole =
                whole.ok_or_else(|| Invalid::new("The 'gpus' resource must be an unsigned integer"))?;
            amount.gpus = amount.gpus.saturating_add(whole);
        }
        "ports" => return Err(Invalid::new("expected RANGES, found SCALAR")),
        _ => {
            return Err(Invalid::new("there is no such kind; cpus, mem, disk, gpus and ports are supported"));
        }
    }
    Ok(())
}

fn read_one(resource: &v1::Resource) -> Result<Part, Invalid> {
    for (given, feature) in [
        (resource.revocable.is_some(), "revocable resources are"),
        (resource.shared.is_some(), "shared volumes are"),
        (resource.provider_id.is_some(), "resource providers (CSI) are"),
    ] {
        if given {
            return Err(Invalid(format!("{feature} not supported")));
        }
    }
    let mut amount = Amount::default();
    match (Type::try_from(resource.r#type), resource.name.as_str()) {
        (Ok(Type::Scalar), name) => {
            let scalar = resource.scalar.as_ref().ok_or_else(|| Invalid::new("'scalar' is not set"))?;
            add(&mut amount, name, scalar.value)?;
        }
        (Ok(Type::Ranges), "ports") => {
            let ranges = resource.ranges.as_ref().ok_or_else(|| Invalid::new("'ranges' is not set"))?;
            amount.ports = read_ports(ranges)?;
        }
        (Ok(kind), "cpus" | "mem" | "disk" | "gpus") => {
            return Err(Invalid(format!("expected SCALAR, found {}", kind.as_str_name())));
        }
        (Ok(kind), "ports") => return Err(Invalid(format!("expected RANGES, found {}", kind.as_str_name()))),
        _ => {
            return Err(Invalid::new("there is no such kind; cpus, mem, disk, gpus and ports are supported"));
        }
    }
    let reservations = read_reservations(resource)?;
    let (source, volume) = match &resource.disk {
        Some(_) if resource.name != "disk" => {
            return Err(Invalid(format!("DiskInfo is set on '{}'", resource.name)));
        }
        Some(disk) => (disk.source.as_ref().map(read_source).transpose()?, read_volume(disk)?),
        None => (None, None),
    };
    if volume.is_some() && reservations.is_empty() {
        return Err(Invalid::new("Persistent volumes cannot be created from unreserved resources"));
    }
    Ok(Part { reservations, source, volume, amount })
}

fn read_ports(ranges: &Ranges) -> Result<PortSet, Invalid> {
    let port = |number: u64| u16::try_from(number).map_err(|_| Invalid(format!("{number} is no port")));
    let mut read = Vec::with_capacity(ranges.range.len());
    for range in &ranges.range {
        if range.begin > range.end {
            return Err(Invalid(format!("the range {}-{} is empty", range.begin, range.end)));
        }
        read.push((port(range.begin)?, port(range.end)?));
    }
    let set = PortSet::from_ranges(read.iter().copied());
    let counted: usize = read.iter().map(|(begin, end)| usize::from(end - begin) + 1).sum();
    if counted > set.len() {
        return Err(Invalid::new("ranges overlap"));
    }
    Ok(set)
}

/// In either form; a stack, if there is one, says it all.
fn read_reservations(resource: &v1::Resource) -> Result<Vec<Reservation>, Invalid> {
    let mut stack = Vec::new();
    if resource.reservations.is_empty() {
        let role = resource.role.as_deref().unwrap_or("*");
        match (&resource.reservation, role) {
            (None, "*") => {}
            (Some(_), "*") => return Err(Invalid::new("unreserved resources cannot have a 'reservation'")),
            (reservation, role) => stack.push(Reservation {
                role: role.into(),
                principal: reservation.as_ref().and_then(|reservation| reservation.principal.clone()),
                labels: labels_in(reservation.as_ref().and_then(|reservation| reservation.labels.as_ref())),
                fixed: reservation.is_none(),
            }),
        }
    }
    for info in &resource.reservations {
        let fixed = match info.r#type() {
            ReservationType::Static => true,
            ReservationType::Dynamic => false,
            ReservationType::Unknown => {
                return Err(Invalid::new("the type of a reservation is neither STATIC nor DYNAMIC"));
            }
        };
        stack.push(Reservation {
            role: info.role().into(),
            principal: info.principal.clone(),
            labels: labels_in(info.labels.as_ref()),
            fixed,
        });
    }
    for reservation in &stack {
        check_role(reservation.role.as_str())?;
        if reservation.role == RoleName::any() {
            return Err(Invalid::new("resources cannot be reserved for role '*'"));
        }
    }
    for pair in stack.windows(2) {
        if !is_below(pair[1].role.as_str(), pair[0].role.as_str()) {
            let (role, above) = (&pair[1].role, &pair[0].role);
            return Err(Invalid(format!("role '{role}' of a refined reservation is not below '{above}'")));
        }
        if pair[1].fixed {
            return Err(Invalid::new("only the first of a stack of reservations can be STATIC"));
        }
    }
    Ok(stack)
}

/// A disk of its own, if it is of a kind that there is.
fn read_source(source: &Source) -> Result<DiskSource, Invalid> {
    let named = |root: Option<&String>, field: &str| match root {
        Some(root) if !root.is_empty() && !root.contains('\0') => Ok(root.clone()),
        _ => Err(Invalid(format!("'disk.source.{field}.root' is not set; name the disk's directory"))),
    };
    if source.id.is_some() || source.profile.is_some() {
        return Err(Invalid::new(
            "disks of resource providers ('disk.source' with an id or profile) are not supported",
        ));
    }
    match source.r#type() {
        SourceType::Path => {
            named(source.path.as_ref().and_then(|path| path.root.as_ref()), "path").map(DiskSource::Path)
        }
        SourceType::Mount => {
            named(source.mount.as_ref().and_then(|mount| mount.root.as_ref()), "mount").map(DiskSource::Mount)
        }
        SourceType::Block => Err(Invalid::new("BLOCK disks are not supported; PATH and MOUNT are")),
        SourceType::Raw => Err(Invalid::new("RAW disks are not supported; PATH and MOUNT are")),
        SourceType::Unknown => Err(Invalid::new("'disk.source.type' is none of PATH and MOUNT")),
    }
}

fn write_source(source: &DiskSource) -> Source {
    let root = Some(source.root().to_owned());
    match source {
        DiskSource::Path(_) => {
            Source { r#type: SourceType::Path as i32, path: Some(Path { root }), ..Source::default() }
        }
        DiskSource::Mount(_) => {
            Source { r#type: SourceType::Mount as i32, mount: Some(Mount { root }), ..Source::default() }
        }
    }
}

fn read_volume(disk: &DiskInfo) -> Result<Option<PersistentVolume>, Invalid> {
    let (persistence, volume) = match (&disk.persistence, &disk.volume) {
        (Some(persistence), Some(volume)) => (persistence, volume),
        (Some(_), None) => return Err(Invalid::new("Expecting 'volume' to be set for persistent volume")),
        (None, Some(_)) => return Err(Invalid::new("Non-persistent volume not supported")),
        (None, None) if disk.source.is_some() => return Ok(None),
        (None, None) => return Err(Invalid::new("DiskInfo is set but empty")),
    };
    check_id(&persistence.id)
        .map_err(|why| Invalid(format!("Invalid persistence ID for persistent volume: {why}")))?;
    if volume.host_path.is_some() {
        return Err(Invalid::new("Expecting 'host_path' to be unset for persistent volume"));
    }
    if volume.mode == volume::Mode::Ro as i32 {
        return Err(Invalid::new("Read-only persistent volume not supported"));
    }
    if volume.container_path.is_empty() || volume.container_path.split('/').any(|part| part == "..") {
        return Err(Invalid::new("the 'container_path' of a persistent volume is empty or has '..'"));
    }
    Ok(Some(PersistentVolume {
        id: persistence.id.clone(),
        principal: persistence.principal.clone(),
        container_path: volume.container_path.clone(),
    }))
}

fn write_one(part: &Part, form: Form<'_>) -> Vec<v1::Resource> {
    let amount = &part.amount;
    let scalars = [
        ("cpus", amount.cpus_milli > 0, from_milli(amount.cpus_milli)),
        ("mem", amount.mem > 0, mib_of_bytes(amount.mem)),
        ("disk", amount.disk > 0, mib_of_bytes(amount.disk)),
        ("gpus", amount.gpus > 0, f64::from(amount.gpus)),
    ];
    let mut resources: Vec<v1::Resource> = scalars
        .into_iter()
        .filter(|(_, any, _)| *any)
        .map(|(name, _, value)| v1::Resource {
            r#type: Type::Scalar as i32,
            scalar: Some(Scalar { value }),
            ..written(name, part, form)
        })
        .collect();
    if !amount.ports.is_empty() {
        let range = |&(begin, end): &(u16, u16)| Range { begin: begin.into(), end: end.into() };
        resources.push(v1::Resource {
            r#type: Type::Ranges as i32,
            ranges: Some(Ranges { range: amount.ports.ranges().iter().map(range).collect() }),
            ..written("ports", part, form)
        });
    }
    resources
}

/// A resource of this name without its amount.
fn written(name: &str, part: &Part, form: Form<'_>) -> v1::Resource {
    let mut resource = v1::Resource {
        name: name.to_owned(),
        allocation_info: form.allocated_to.map(|role| AllocationInfo { role: Some(role.to_string()) }),
        ..v1::Resource::default()
    };
    if form.refined {
        resource.reservations = part.reservations.iter().map(write_reservation).collect();
    } else {
        // Nobody without refinement is offered more than one; what counts of a stack is its last.
        resource.role = Some(part.role().map_or("*", RoleName::as_str).to_owned());
        resource.reservation =
            part.reservations.last().filter(|reservation| !reservation.fixed).map(|reservation| {
                ReservationInfo { r#type: None, role: None, ..write_reservation(reservation) }
            });
    }
    let persistence = |volume: &PersistentVolume| Persistence {
        id: volume.id.clone(),
        principal: volume.principal.clone(),
    };
    let seen = |volume: &PersistentVolume| v1::Volume {
        mode: volume::Mode::Rw as i32,
        container_path: volume.container_path.clone(),
        ..v1::Volume::default()
    };
    if name == "disk" && (part.volume.is_some() || part.source.is_some()) {
        resource.disk = Some(DiskInfo {
            persistence: part.volume.as_ref().map(persistence),
            volume: part.volume.as_ref().map(seen),
            source: part.source.as_ref().map(write_source),
        });
    }
    resource
}

fn write_reservation(reservation: &Reservation) -> ReservationInfo {
    let kind = if reservation.fixed { ReservationType::Static } else { ReservationType::Dynamic };
    ReservationInfo {
        r#type: Some(kind as i32),
        role: Some(reservation.role.to_string()),
        principal: reservation.principal.clone(),
        labels: labels_out(&reservation.labels),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, decode_list, encode};

    fn parts(json: &str) -> Result<Vec<Part>, String> {
        read(&decode_list(json.as_bytes()).unwrap()).map_err(|error| error.to_string())
    }

    fn json(parts: &[Part], form: Form<'_>) -> String {
        let texts =
            write(parts, form).iter().map(|resource| encode(Codec::Json, resource)).collect::<Vec<_>>();
        String::from_utf8(texts.join(&b","[..])).unwrap()
    }

    fn kept(role: &str, amount: Amount) -> Part {
        let reservation =
            Reservation { role: role.into(), principal: Some("p".into()), labels: Vec::new(), fixed: false };
        Part { reservations: vec![reservation], amount, ..Part::default() }
    }

    #[test]
    fn unreserved_resources_in_both_forms() {
        let amount = Amount {
            cpus_milli: 1_500,
            mem: 512 * MIB,
            disk: MIB / 2,
            gpus: 2,
            ports: PortSet::from_ranges([(31_000, 31_009), (32_000, 32_000)]),
        };
        let all = vec![Part::unreserved(amount)];
        let old = concat!(
            r#"{"name":"cpus","type":"SCALAR","scalar":{"value":1.5},"role":"*"},"#,
            r#"{"name":"mem","type":"SCALAR","scalar":{"value":512.0},"role":"*"},"#,
            r#"{"name":"disk","type":"SCALAR","scalar":{"value":0.5},"role":"*"},"#,
            r#"{"name":"gpus","type":"SCALAR","scalar":{"value":2.0},"role":"*"},"#,
            r#"{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":31000,"end":31009},"#,
            r#"{"begin":32000,"end":32000}]},"role":"*"}"#
        );
        assert_eq!(json(&all, Form::default()), old);
        assert_eq!(parts(&format!("[{old}]")), Ok(all.clone()));
        let role = RoleName::from("web");
        let new = json(&all, Form::whole(Some(&role)));
        assert!(
            new.starts_with(
                r#"{"name":"cpus","type":"SCALAR","scalar":{"value":1.5},"allocation_info":{"role":"web"}},"#
            ),
            "{new}"
        );
        assert_eq!(parts(&format!("[{new}]")), Ok(all));
    }

    #[test]
    fn reservations_in_both_forms() {
        let cpus = Amount { cpus_milli: 1_000, ..Amount::default() };
        let dynamic = vec![kept("a/b", cpus.clone())];
        let old = concat!(
            r#"{"name":"cpus","type":"SCALAR","scalar":{"value":1.0},"role":"a/b","#,
            r#""reservation":{"principal":"p"}}"#
        );
        assert_eq!(json(&dynamic, Form::default()), old);
        assert_eq!(parts(&format!("[{old}]")), Ok(dynamic.clone()));
        let new = concat!(
            r#"{"name":"cpus","type":"SCALAR","scalar":{"value":1.0},"#,
            r#""reservations":[{"type":"DYNAMIC","role":"a/b","principal":"p"}]}"#
        );
        assert_eq!(json(&dynamic, Form::whole(None)), new);
        assert_eq!(parts(&format!("[{new}]")), Ok(dynamic.clone()));

        let mut fixed = kept("a", cpus);
        fixed.reservations[0].fixed = true;
        fixed.reservations[0].principal = None;
        let old = r#"{"name":"cpus","type":"SCALAR","scalar":{"value":1.0},"role":"a"}"#;
        assert_eq!(json(&[fixed.clone()], Form::default()), old);
        assert_eq!(parts(&format!("[{old}]")), Ok(vec![fixed.clone()]));
        fixed.reservations.extend(dynamic[0].reservations.clone());
        fixed.reservations[1].labels = vec![("k".into(), Some("v".into())), ("bare".into(), None)];
        let stack = json(&[fixed.clone()], Form::whole(None));
        assert!(stack.contains(r#""labels":{"labels":[{"key":"k","value":"v"},{"key":"bare"}]}"#), "{stack}");
        assert_eq!(parts(&format!("[{stack}]")), Ok(vec![fixed]));
    }

    #[test]
    fn volumes_stay_by_themselves() {
        let disk = |mib: u64| Amount { disk: mib * MIB, ..Amount::default() };
        let volume = |id: &str| {
            let container_path = "data".into();
            Some(PersistentVolume { id: id.into(), principal: Some("p".into()), container_path })
        };
        let all = vec![
            kept("a", disk(5)),
            Part { volume: volume("v1"), ..kept("a", disk(10)) },
            Part { volume: volume("v2"), ..kept("a", disk(10)) },
        ];
        let text = json(&all, Form::default());
        let disk = concat!(
            r#""disk":{"persistence":{"id":"v1","principal":"p"},"#,
            r#""volume":{"mode":"RW","container_path":"data"}}}"#
        );
        assert!(text.contains(disk), "{text}");
        assert_eq!(parts(&format!("[{text}]")), Ok(all));
    }

    #[test]
    fn disks_of_their_own_in_both_forms() {
        let amount = |mib: u64| Amount { disk: mib * MIB, ..Amount::default() };
        let on = |source: DiskSource, part: Part| Part { source: Some(source), ..part };
        let (path, mount) = (DiskSource::Path("/p".into()), DiskSource::Mount("/m".into()));
        let volume = PersistentVolume { id: "v".into(), principal: None, container_path: "data".into() };
        let all = vec![
            Part::unreserved(amount(1)),
            on(path.clone(), Part::unreserved(amount(2))),
            on(path, Part { volume: Some(volume), ..kept("a", amount(3)) }),
            on(mount, kept("a", amount(4))),
        ];
        for form in [Form::default(), Form::whole(None)] {
            let text = json(&all, form);
            assert!(text.contains(r#""disk":{"source":{"type":"MOUNT","mount":{"root":"/m"}}}"#), "{text}");
            assert_eq!(parts(&format!("[{text}]")), Ok(all.clone()));
        }
    }

    #[test]
    fn zeros_are_legal_and_fractions_are_thousandths() {
        let json = r#"[{"name":"gpus","type":"SCALAR","scalar":{"value":0}},
            {"name":"cpus","type":"SCALAR","scalar":{"value":0.1}},{"name":"cpus","type":"SCALAR","scalar":{"value":0.2}},
            {"name":"mem","type":"SCALAR","scalar":{"value":0.25}}]"#;
        let amount = Amount { cpus_milli: 300, mem: MIB / 4, ..Amount::default() };
        assert_eq!(parts(json), Ok(vec![Part::unreserved(amount)]));
        assert_eq!(mib_of_bytes(bytes_of_mib(123.456).unwrap()), 123.455, "bytes are whole");
        assert_eq!(mib_of_bytes(bytes_of_mib(1e9).unwrap()), 1e9);
    }

    #[test]
    fn nonsense_is_named() {
        for (json, words) in [
            (r#"{"name":"cpus","type":"SCALAR"}"#, "resource 'cpus': 'scalar' is not set"),
            (r#"{"name":"cpus","type":"SCALAR","scalar":{"value":-1}}"#, "resource 'cpus': -1 is not"),
            (
                r#"{"name":"mem","type":"SCALAR","scalar":{"value":"Infinity"}}"#,
                "resource 'mem': inf is too large",
            ),
            (
                r#"{"name":"gpus","type":"SCALAR","scalar":{"value":0.5}}"#,
                "resource 'gpus': The 'gpus' resource must",
            ),
            (
                r#"{"name":"cpus","type":"SET","set":{"item":["a"]}}"#,
                "resource 'cpus': expected SCALAR, found SET",
            ),
            (r#"{"name":"ports","type":"SCALAR","scalar":{"value":1}}"#, "resource 'ports': expected RANGES"),
            (
                r#"{"name":"bugs","type":"SET","set":{"item":["a"]}}"#,
                "resource 'bugs': there is no such kind",
            ),
            (
                r#"{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":1,"end":70000}]}}"#,
                "resource 'ports': 70000 is no port",
            ),
            (
                r#"{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":1,"end":5},{"begin":5,"end":6}]}}"#,
                "resource 'ports': ranges overlap",
            ),
            (
                r#"{"name":"cpus","type":"SCALAR","scalar":{"value":1},"revocable":{}}"#,
                "resource 'cpus': revocable resources are not supported",
            ),
            (
                r#"{"name":"disk","type":"SCALAR","scalar":{"value":1},"disk":{"source":{"type":"MOUNT"}}}"#,
                "resource 'disk': 'disk.source.mount.root' is not set",
            ),
            (
                r#"{"name":"disk","type":"SCALAR","scalar":{"value":1},"disk":{"source":{"type":"BLOCK"}}}"#,
                "resource 'disk': BLOCK disks are not supported",
            ),
            (
                r#"{"name":"disk","type":"SCALAR","scalar":{"value":1},"disk":{"source":{"type":"RAW"}}}"#,
                "resource 'disk': RAW disks are not supported",
            ),
            (
                r#"{"name":"disk","type":"SCALAR","scalar":{"value":1},
                    "disk":{"source":{"type":"MOUNT","id":"i","mount":{"root":"/m"}}}}"#,
                "resource 'disk': disks of resource providers",
            ),
            (
                r#"{"name":"mem","type":"SCALAR","scalar":{"value":1},
                    "disk":{"source":{"type":"PATH","path":{"root":"/p"}}}}"#,
                "resource 'mem': DiskInfo is set on 'mem'",
            ),
            (
                r#"{"name":"cpus","type":"SCALAR","scalar":{"value":1},"role":"a b"}"#,
                "resource 'cpus': Role component 'a b'",
            ),
            (
                r#"{"name":"cpus","type":"SCALAR","scalar":{"value":1},"reservation":{"principal":"p"}}"#,
                "resource 'cpus': unreserved resources cannot",
            ),
            (
                r#"{"name":"cpus","type":"SCALAR","scalar":{"value":1},
                    "reservations":[{"type":"DYNAMIC","role":"a"},{"type":"DYNAMIC","role":"ab"}]}"#,
                "resource 'cpus': role 'ab' of a refined reservation is not below 'a'",
            ),
            (
                r#"{"name":"disk","type":"SCALAR","scalar":{"value":1},
                    "disk":{"persistence":{"id":"v"},"volume":{"mode":"RW","container_path":"p"}}}"#,
                "resource 'disk': Persistent volumes cannot be created from unreserved",
            ),
        ] {
            let error = parts(&format!("[{json}]")).unwrap_err();
            assert!(error.starts_with(words), "{json}: {error}");
        }
    }
}
