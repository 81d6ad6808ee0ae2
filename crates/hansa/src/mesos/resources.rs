//! What an agent offers, as Mesos' `--resources` says it: `cpus:4;mem:8192;ports:[31000-32000];cpus(role):2`, or JSON.
//!
//! Mesos asks the machine for the kinds that are not named; so does this.

use hansa_model::Resources;
use hansa_model::framework::parts::Amount as Amounts;
use hansa_model::resources::{MIB, PortSet, WHOLE_GPU};
use serde_json::Value;

/// What was said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// Kinds that were named: the others are the machine's.
    cpus_milli: Option<u64>,
    mem: Option<u64>,
    disk: Option<u64>,
    gpus: Option<u16>,
    ports: Option<Vec<(u16, u16)>>,
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
        Resources {
            cpus_milli: self.cpus_milli.unwrap_or(machine.cpus_milli),
            mem: self.mem.unwrap_or(machine.mem),
            disk: self.disk.unwrap_or(machine.disk),
            gpus: self.gpus.map_or(machine.gpus, |count| vec![WHOLE_GPU; usize::from(count)]),
            ports: match &self.ports {
                Some(ranges) => PortSet::from_ranges(ranges.iter().copied()),
                None => machine.ports,
            },
        }
    }

    /// What was named, and nothing else.
    pub fn amount(&self) -> Amounts {
        Amounts {
            cpus_milli: self.cpus_milli.unwrap_or(0),
            mem: self.mem.unwrap_or(0),
            disk: self.disk.unwrap_or(0),
            gpus: self.gpus.unwrap_or(0),
            ports: PortSet::from_ranges(self.ports.iter().flatten().copied()),
        }
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
        self.add(name, role, amount)
    }

    fn read_json(&mut self, resource: &Value) -> Result<(), String> {
        let name = resource["name"].as_str().ok_or("a resource has no name")?;
        let stack = resource["reservations"].as_array().map_or(&[][..], Vec::as_slice);
        let role = stack.last().map_or(&resource["role"], |reservation| &reservation["role"]);
        let role = role.as_str().unwrap_or("*");
        if !resource["disk"]["source"].is_null() {
            return Err(format!("{name}: disks of their own (disk.source) are not supported"));
        }
        let amount = match resource["type"].as_str() {
            Some("SCALAR") => resource["scalar"]["value"].as_f64().map(Amount::Scalar),
            Some("RANGES") => resource["ranges"]["range"].as_array().and_then(|ranges| {
                let range = |range: &Value| Some((range["begin"].as_u64()?, range["end"].as_u64()?));
                ranges.iter().map(range).collect::<Option<_>>().map(Amount::Ranges)
            }),
            Some("SET") => Some(Amount::Set),
            _ => None,
        };
        self.add(name, role, amount.ok_or_else(|| format!("{name}: its value is not what its type says"))?)
    }

    fn add(&mut self, name: &str, role: &str, amount: Amount) -> Result<(), String> {
        if role != "*" {
            self.warnings.push(format!(
                "{name}({role}): resources cannot be reserved here; they are everybody's until RESERVE_RESOURCES reserves \
                 them for {role}"
            ));
        }
        let scalar = |amount: &Amount| match amount {
            Amount::Scalar(number) if (0.0..1e12).contains(number) => Ok((number * 1000.0).round() as u64),
            _ => Err(format!("{name}: not an amount")),
        };
        // Not more than 10^15 each, so sums of a command line's worth of them fit.
        let more = |have: Option<u64>, milli: u64| Some(have.unwrap_or(0).saturating_add(milli));
        match name {
            "cpus" => self.cpus_milli = more(self.cpus_milli, scalar(&amount)?),
            "mem" => self.mem = more(self.mem, (scalar(&amount)? / 1000).saturating_mul(MIB)),
            "disk" => self.disk = more(self.disk, (scalar(&amount)? / 1000).saturating_mul(MIB)),
            "gpus" => {
                let milli = scalar(&amount)?;
                let count =
                    u16::try_from(milli / 1000).ok().filter(|count| *count <= 1024 && milli % 1000 == 0);
                let count = count.ok_or("gpus: not a whole number up to 1024")?;
                self.gpus = Some(self.gpus.unwrap_or(0) + count);
            }
            "ports" => {
                let Amount::Ranges(ranges) = amount else { return Err("ports: not ranges".into()) };
                let ports = self.ports.get_or_insert_default();
                for (low, high) in ranges {
                    match (u16::try_from(low), u16::try_from(high)) {
                        (Ok(low), Ok(high)) if low <= high => ports.push((low, high)),
                        _ => return Err(format!("ports: {low}-{high} is not a range of ports")),
                    }
                }
            }
            other => {
                self.warnings.push(format!("{other}: kinds of resources of one's own are not supported"))
            }
        }
        Ok(())
    }
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

    #[test]
    fn reserved_parts_count_and_are_told() {
        let said = Said::read("cpus:4;cpus(web):2;mem( web ):1024;widgets:3;bundles:{a,b}").unwrap();
        let resources = said.on(machine());
        assert_eq!((resources.cpus_milli, resources.mem), (6000, 1024 * MIB));
        assert_eq!(said.warnings.len(), 4, "{:?}", said.warnings);
        assert!(said.warnings[0].starts_with("cpus(web): ") && said.warnings[2].starts_with("widgets: "));
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
