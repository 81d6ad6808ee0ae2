//! What an agent offers, as Mesos' `--resources` says it: `cpus:4;mem:8192;ports:[31000-32000];cpus(role):2`, or JSON.
//!
//! Mesos asks the machine for the kinds that are not named; so does this. What is said to be kept for a role, or to be on a
//! disk of its own, counts to what the machine offers, and is told apart as well.

use hansa_mesos::codec::from_value;
use hansa_mesos::names::check_role;
use hansa_mesos::proto::v1;
use hansa_model::Resources;
use hansa_model::framework::parts::{self, Amount as Amounts};
use hansa_model::framework::{Part, Reservation};
use hansa_model::resources::{MIB, PortSet, WHOLE_GPU};
use serde_json::Value;
use std::collections::BTreeSet;

/// What was said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// Kinds that were named: the others are the machine's.
    named: BTreeSet<String>,
    /// What is everybody's.
    open: Amounts,
    /// What is kept for roles, or is on disks of their own.
    pub parts: Vec<Part>,
    /// What cannot be had as it was said.
    pub warnings: Vec<String>,
}

/// An amount of one kind, before it is known whether there is such a kind.
enum Amount {
    Scalar(f64),
    Ranges(Vec<(u64, u64)>),
    Set,
}

impl Said {
    /// Reads either form.
    pub fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let mut said = Self::default();
        if text.starts_with('[') {
            let list: Vec<Value> = serde_json::from_str(text)
                .map_err(|error| format!("Some JSON resources were not formatted properly: {error}"))?;
            for resource in &list {
                said.read_json(resource)?;
            }
        } else {
            for token in text.split(';').filter(|token| !token.is_empty()) {
                said.read_token(token)?;
            }
        }
        Ok(said)
    }

    /// What was named, and of the rest what the machine has.
    pub fn on(&self, machine: Resources) -> Resources {
        let all = self.amount();
        let named = |kind: &str| self.named.contains(kind);
        Resources {
            cpus_milli: if named("cpus") { all.cpus_milli } else { machine.cpus_milli },
            mem: if named("mem") { all.mem } else { machine.mem },
            disk: if named("disk") { all.disk } else { machine.disk },
            gpus: if named("gpus") { vec![WHOLE_GPU; usize::from(all.gpus)] } else { machine.gpus },
            ports: if named("ports") { all.ports } else { machine.ports },
        }
    }

    /// What was named, and nothing else.
    pub fn amount(&self) -> Amounts {
        let mut all = parts::sum(&self.parts);
        all.add(&self.open);
        all
    }

    /// What of these resources is nobody's is kept for this role.
    pub fn keep_rest(&mut self, role: &str, of: &Resources) -> Result<(), String> {
        if role == "*" {
            return Ok(());
        }
        let reservations = fixed(role)?;
        let open = Amounts::offerable(of).without(&parts::sum(&self.parts));
        let all = std::mem::take(&mut self.parts).into_iter().chain([Part::unreserved(open)]);
        for mut part in all {
            if part.reservations.is_empty() {
                part.reservations.clone_from(&reservations);
            }
            parts::give(&mut self.parts, &[part]);
        }
        Ok(())
    }

    fn read_token(&mut self, token: &str) -> Result<(), String> {
        let parts: Vec<&str> = token.split(':').filter(|part| !part.is_empty()).collect();
        let [name, value] = parts[..] else {
            return Err(format!("Bad value for resources, missing or extra ':' in {token}"));
        };
        let mismatched = || format!("Bad value for resources, mismatched parentheses in {token}");
        let (name, role) = match name.split_once('(') {
            None => (name.trim(), "*"),
            Some((name, rest)) => (name.trim(), rest.split_once(')').ok_or_else(mismatched)?.0.trim()),
        };
        let amount = amount(value.trim())
            .ok_or_else(|| format!("Failed to parse resource {name} value {}", value.trim()))?;
        let reservations = if role == "*" { Vec::new() } else { fixed(role)? };
        self.add(name, Part { reservations, ..Part::default() }, amount)
    }

    fn read_json(&mut self, resource: &Value) -> Result<(), String> {
        let name = resource["name"].as_str().ok_or("a resource has no name")?;
        let of = set_apart(resource).map_err(|why| format!("{name}: {why}"))?;
        let amount = match resource["type"].as_str() {
            Some("SCALAR") => resource["scalar"]["value"].as_f64().map(Amount::Scalar),
            Some("RANGES") => resource["ranges"]["range"].as_array().and_then(|ranges| {
                let range = |range: &Value| Some((range["begin"].as_u64()?, range["end"].as_u64()?));
                ranges.iter().map(range).collect::<Option<_>>().map(Amount::Ranges)
            }),
            Some("SET") => Some(Amount::Set),
            _ => None,
        };
        self.add(name, of, amount.ok_or_else(|| format!("{name}: its value is not what its type says"))?)
    }

    /// Adds an amount of a kind to what is kept for the same role on the same disk as `of`.
    fn add(&mut self, name: &str, of: Part, amount: Amount) -> Result<(), String> {
        let scalar = |amount: &Amount| match amount {
            // Not more than 10^15 each, so sums of a command line's worth of them fit.
            Amount::Scalar(number) if (0.0..1e12).contains(number) => Ok((number * 1000.0).round() as u64),
            _ => Err(format!("{name}: not an amount")),
        };
        let bytes = |amount: &Amount| scalar(amount).map(|milli| (milli / 1000).saturating_mul(MIB));
        let all = self.amount();
        let mut more = Amounts::default();
        match name {
            "cpus" => more.cpus_milli = scalar(&amount)?,
            "mem" => more.mem = bytes(&amount)?,
            "disk" => more.disk = bytes(&amount)?,
            "gpus" => {
                let milli = scalar(&amount)?;
                let whole = u16::try_from(milli / 1000).ok().filter(|_| milli % 1000 == 0);
                let count = whole.filter(|count| count.saturating_add(all.gpus) <= 1024);
                more.gpus = count.ok_or("gpus: not a whole number up to 1024")?;
            }
            "ports" => {
                let Amount::Ranges(ranges) = amount else { return Err("ports: not ranges".into()) };
                let mut ports = Vec::with_capacity(ranges.len());
                for (low, high) in ranges {
                    match (u16::try_from(low), u16::try_from(high)) {
                        (Ok(low), Ok(high)) if low <= high => ports.push((low, high)),
                        _ => return Err(format!("ports: {low}-{high} is not a range of ports")),
                    }
                }
                more.ports = PortSet::from_ranges(ports);
            }
            other => {
                self.warnings.push(format!("{other}: kinds of resources of one's own are not supported"));
                return Ok(());
            }
        }
        self.named.insert(name.to_owned());
        if of.is_open() {
            self.open.add(&more);
        } else {
            let source = of.source.as_ref();
            if of.is_whole() && self.parts.iter().any(|other| other.source.as_ref() == source) {
                let name = source.map(ToString::to_string).unwrap_or_default();
                return Err(format!("disk: the {name} is named twice; it cannot be divided"));
            }
            parts::give(&mut self.parts, &[Part { amount: more.clone(), ..of.clone() }]);
        }
        self.check_ports(&more.ports, &of)
    }

    /// One port is for everybody or for one role, not for two.
    fn check_ports(&self, ports: &PortSet, of: &Part) -> Result<(), String> {
        let open = Part::unreserved(self.open.clone());
        let mut others = self.parts.iter().chain([&open]).filter(|other| !other.is_like(of));
        let twice = others.find(|other| ports.without(&other.amount.ports) != *ports);
        let name = |part: &Part| part.role().map_or_else(|| "everybody".to_owned(), ToString::to_string);
        twice.map_or(Ok(()), |other| {
            Err(format!("ports: some are for {} and for {}; name each once", name(other), name(of)))
        })
    }
}

/// Kept for a role from the beginning.
fn fixed(role: &str) -> Result<Vec<Reservation>, String> {
    check_role(role).map_err(|why| why.to_string())?;
    Ok(vec![Reservation { role: role.into(), principal: None, labels: Vec::new(), fixed: true }])
}

/// For whom a resource in JSON is kept and on which disk it is, without its amount.
fn set_apart(resource: &Value) -> Result<Part, String> {
    let mut only = resource.clone();
    // Whatever it is an amount of, that is looked at elsewhere.
    let is_disk = resource["name"] == "disk" || !resource["disk"].is_null();
    let plain = ["name", "type", "scalar", "ranges", "set"];
    if let Some(fields) = only.as_object_mut() {
        fields.retain(|field, _| !plain.contains(&field.as_str()));
        fields.insert("name".into(), if is_disk { resource["name"].clone() } else { "cpus".into() });
        fields.insert("type".into(), "SCALAR".into());
        fields.insert("scalar".into(), serde_json::json!({"value": 1.0}));
    }
    let message: v1::Resource = from_value(&only).map_err(|error| error.to_string())?;
    if message.reservation.is_some() || message.disk.as_ref().is_some_and(|disk| disk.persistence.is_some()) {
        return Err("'reservation' and 'disk.persistence' are made by RESERVE_RESOURCES and CREATE_VOLUMES; leave them out".into());
    }
    let parts = hansa_mesos::resources::read(&[message]).map_err(|why| why.to_string())?;
    let part = parts.into_iter().next().unwrap_or_default();
    let ([] | [Reservation { fixed: true, .. }]) = part.reservations[..] else {
        return Err("'reservations': one of type STATIC at most; others are made by RESERVE_RESOURCES".into());
    };
    let reservations = part.role().map_or(Ok(Vec::new()), |role| fixed(role.as_str()))?;
    Ok(Part { reservations, source: part.source, ..Part::default() })
}

/// Reads `2.5`, `[1-2, 5-7]` or `{a, b}`.
fn amount(text: &str) -> Option<Amount> {
    if let Some(list) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let range = |range: &str| {
            let (low, high) = range.trim().split_once('-')?;
            Some((low.trim().parse().ok()?, high.trim().parse().ok()?))
        };
        let ranges = list.split(',').filter(|part| !part.trim().is_empty()).map(range);
        return ranges.collect::<Option<_>>().map(Amount::Ranges);
    }
    if text.starts_with('{') && text.ends_with('}') {
        return Some(Amount::Set);
    }
    text.parse().ok().map(Amount::Scalar)
}

/// Reads `--attributes`: text, numbers and ranges alike are kept as text. Mesos allows a name twice; the last counts.
pub fn attributes(text: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |token: &str| match token.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(format!("Invalid attribute key:value pair '{token}'")),
    };
    text.split(['\n', ';']).filter(|token| !token.trim().is_empty()).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hansa_model::framework::DiskSource;

    fn machine() -> Resources {
        Resources {
            cpus_milli: 8000,
            mem: 64 * MIB,
            disk: 128 * MIB,
            gpus: vec![WHOLE_GPU],
            ports: PortSet::from_ranges([(1, 9)]),
        }
    }

    #[test]
    fn what_is_not_named_is_the_machines() {
        let said = Said::read("cpus:2.5; ports:[31000-32000, 33000-33000]").unwrap();
        let resources = said.on(machine());
        assert_eq!((resources.cpus_milli, resources.mem, resources.gpus.len()), (2500, 64 * MIB, 1));
        assert_eq!(resources.ports.ranges(), [(31000, 32000), (33000, 33000)]);
        assert!(said.warnings.is_empty());
        assert_eq!(Said::read("").unwrap().on(machine()), machine());
    }

    fn kept(role: &str, amount: Amounts) -> Part {
        Part { reservations: fixed(role).unwrap(), amount, ..Part::default() }
    }

    #[test]
    fn what_is_kept_for_roles_counts_and_is_told_apart() {
        let said = Said::read(
            "cpus:4;cpus(web):2;mem( web ):1024;ports(web/a):[5-6];ports:[8-9];widgets:3;bundles:{a,b}",
        )
        .unwrap();
        let resources = said.on(machine());
        assert_eq!((resources.cpus_milli, resources.mem), (6000, 1024 * MIB));
        assert_eq!(resources.ports.ranges(), [(5, 6), (8, 9)]);
        let web = Amounts { cpus_milli: 2000, mem: 1024 * MIB, ..Amounts::default() };
        let ports = Amounts { ports: PortSet::from_ranges([(5, 6)]), ..Amounts::default() };
        assert_eq!(said.parts, [kept("web", web), kept("web/a", ports)]);
        assert_eq!(said.warnings.len(), 2, "{:?}", said.warnings);
        assert!(said.warnings[0].starts_with("widgets: "));
    }

    #[test]
    fn a_default_role_keeps_the_rest() {
        let mut said = Said::read("cpus:4;cpus(web):2;mem:64").unwrap();
        let resources = said.on(machine());
        said.keep_rest("*", &resources).unwrap();
        assert_eq!(said.parts.len(), 1);
        said.keep_rest("web", &resources).unwrap();
        assert_eq!(said.parts, [kept("web", Amounts::offerable(&resources))]);
        assert!(said.keep_rest("a b", &resources).is_err());
    }

    #[test]
    fn disks_of_their_own_are_told_apart() {
        let disk = |value: u64, source: &str, more: &str| {
            format!(
                r#"{{"name": "disk", "type": "SCALAR", "scalar": {{"value": {value}}}, "disk": {{"source": {source}}}{more}}}"#
            )
        };
        let (path, mount) =
            (r#"{"type": "PATH", "path": {"root": "/p"}}"#, r#"{"type": "MOUNT", "mount": {"root": "/m"}}"#);
        let text = format!(
            r#"[{{"name": "disk", "type": "SCALAR", "scalar": {{"value": 1}}}}, {}, {}, {}]"#,
            disk(2, path, ""),
            disk(4, path, r#", "role": "db""#),
            disk(8, mount, r#", "reservations": [{"type": "STATIC", "role": "db"}]"#),
        );
        let said = Said::read(&text).unwrap();
        assert_eq!(said.on(machine()).disk, 15 * MIB);
        let amount = |mib| Amounts { disk: mib * MIB, ..Amounts::default() };
        let (path_disk, mount_disk) =
            (Some(DiskSource::Path("/p".into())), Some(DiskSource::Mount("/m".into())));
        assert_eq!(
            said.parts,
            [
                Part { source: path_disk.clone(), ..Part::unreserved(amount(2)) },
                Part { source: path_disk, ..kept("db", amount(4)) },
                Part { source: mount_disk, ..kept("db", amount(8)) },
            ]
        );
        for (wrong, why) in [
            (format!("[{}, {}]", disk(1, mount, ""), disk(1, mount, "")), "named twice"),
            (format!("[{}]", disk(1, r#"{"type": "BLOCK"}"#, "")), "BLOCK disks are not supported"),
            (format!("[{}]", disk(1, r#"{"type": "RAW"}"#, "")), "RAW disks are not supported"),
            (format!("[{}]", disk(1, r#"{"type": "MOUNT"}"#, "")), "root' is not set"),
            (format!("[{}]", disk(1, mount, "").replacen("disk", "mem", 1)), "DiskInfo is set on 'mem'"),
            (
                format!("[{}]", disk(1, path, r#", "reservations": [{"type": "DYNAMIC", "role": "a"}]"#)),
                "STATIC",
            ),
            (format!("[{}]", disk(1, path, r#", "role": "a", "reservation": {}"#)), "RESERVE_RESOURCES"),
        ] {
            let error = Said::read(&wrong).unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }

    #[test]
    fn both_forms_say_the_same() {
        let json = r#"[
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": 4}},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": 8192}, "role": "*"},
            {"name": "gpus", "type": "SCALAR", "scalar": {"value": 2}},
            {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31000, "end": 32000}]}},
            {"name": "disk", "type": "SCALAR", "scalar": {"value": 10},
             "reservations": [{"type": "STATIC", "role": "db"}]}]"#;
        let text = "cpus:4;mem:8192;gpus:2;ports:[31000-32000];disk(db):10";
        assert_eq!(Said::read(json).unwrap(), Said::read(text).unwrap());
    }

    #[test]
    fn mistakes_are_named() {
        for wrong in [
            "cpus",
            "cpus:1:2",
            "cpus(web:1",
            "cpus:many",
            "cpus:-1",
            "cpus:[1-2]",
            "gpus:1.5",
            "ports:31000",
            "ports:[9-1]",
            "ports:[1-99999]",
            "ports:[1-5];ports(web):[5-6]",
            "ports(a):[1-5];ports(b):[5-6]",
            "cpus(a b):1",
            "cpus():1",
            "[{]",
            r#"[{"name": "cpus", "type": "SCALAR"}]"#,
            r#"[{"type": "SCALAR", "scalar": {"value": 1}}]"#,
            r#"[{"name": "disk", "type": "SCALAR", "scalar": {"value": 1}, "disk": {"source": {"type": "MOUNT"}}}]"#,
        ] {
            assert!(Said::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn attributes_are_text() {
        let pairs = attributes("rack:r1;cores:[1-4];level:10;").unwrap();
        assert_eq!(
            pairs,
            [("rack", "r1"), ("cores", "[1-4]"), ("level", "10")].map(|(n, v)| (n.into(), v.into()))
        );
        assert!(attributes("rack").is_err());
    }
}
