//! How records are stored: bytes that begin with a format version.
//!
//! Intent that is few and read by people when things go wrong (agents, specs, apps, roles, deployments) is JSON, which
//! evolves by optional fields. Assignments are many, and compact: UUIDs are stored as 16 bytes, task ids as what they add
//! to their instance's.

use hansa_kernel::{self as kernel, AssignmentRecord};
use hansa_model::app::AppVersion;
use hansa_model::group::GroupVersion;
use hansa_model::maintenance::Maintenance;
use hansa_model::record::{Mutation, Table};
use hansa_model::{AgentId, Allocation, AppId, DeploymentId, SpecId, Timestamp};
use hansa_schedulers::services;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::sync::Arc;

/// The format that this program writes, and the newest that it reads.
pub const FORMAT: u8 = 1;

/// The key of the one row of a table that has one.
const ALL: &str = "all";

/// A stored value that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("table {}: a record cannot be read: {why}", table.name())]
pub struct DecodeError {
    /// Where.
    pub table: Table,
    /// What is wrong with it.
    pub why: String,
}

/// What a stored row is for.
#[derive(Debug)]
pub enum Decoded {
    /// The kernel's.
    Kernel(kernel::Record),
    /// The services scheduler's.
    Services(services::Record),
    /// The cell's own.
    Cell,
}

fn put(table: Table, key: impl Into<Vec<u8>>, value: Vec<u8>) -> Mutation {
    Mutation { table, key: key.into(), value: Some(value) }
}

fn delete(table: Table, key: impl Into<Vec<u8>>) -> Mutation {
    Mutation { table, key: key.into(), value: None }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    serde_json::to_writer(&mut bytes, value).expect("our own types are written as JSON");
    bytes
}

fn version_key(app: &AppId, version: Timestamp) -> Vec<u8> {
    let mut key = app.as_str().as_bytes().to_vec();
    key.push(0);
    key.extend_from_slice(&version.0.to_be_bytes());
    key
}

fn read_version_key(key: &[u8]) -> Option<(AppId, Timestamp)> {
    let (app, rest) = key.split_at_checked(key.len().checked_sub(9)?)?;
    let (&[0], time) = rest.split_first_chunk::<1>()? else { return None };
    let app = std::str::from_utf8(app).ok()?;
    Some((AppId::from(app), Timestamp(u64::from_be_bytes(time.try_into().ok()?))))
}

/// A kernel record as a change of the store.
pub fn encode_kernel(record: kernel::Record) -> Mutation {
    use kernel::Record::*;
    match record {
        PutAgent(agent) => {
            let key =
                agent.hello.agent.as_ref().map(|id| id.as_str().as_bytes().to_vec()).unwrap_or_default();
            put(Table::Agents, key, json(&agent))
        }
        DeleteAgent(id) => delete(Table::Agents, id.as_str()),
        PutSpec(id, spec) => put(Table::Specs, id.0.to_be_bytes(), json(&spec)),
        DeleteSpec(id) => delete(Table::Specs, id.0.to_be_bytes()),
        PutAssignment(number, record) => put(Table::Assignments, number.to_be_bytes(), compact(&record)),
        DeleteAssignment(number) => delete(Table::Assignments, number.to_be_bytes()),
        PutGivenUp(number, record) => put(Table::GivenUp, number.to_be_bytes(), json(&record)),
        DeleteGivenUp(number) => delete(Table::GivenUp, number.to_be_bytes()),
        PutRole(role) => put(Table::Roles, role.name.as_str(), json(&role)),
        DeleteRole(name) => delete(Table::Roles, name.as_str()),
        PutFramework(record) => put(Table::Frameworks, record.info.id.as_str(), json(&record)),
        DeleteFramework(id) => delete(Table::Frameworks, id.as_str()),
        PutParts(agent, parts) if parts.is_empty() => delete(Table::Reservations, agent.as_str()),
        PutParts(agent, parts) => put(Table::Reservations, agent.as_str(), json(&parts)),
        PutMaintenance(said) if *said == Maintenance::default() => delete(Table::Maintenance, ALL),
        PutMaintenance(said) => put(Table::Maintenance, ALL, json(&said)),
        PutGone(agent, record) => put(Table::GoneAgents, agent.as_str(), json(&record)),
        DeleteGone(agent) => delete(Table::GoneAgents, agent.as_str()),
    }
}

/// A services record as a change of the store.
pub fn encode_services(record: services::Record) -> Mutation {
    use services::Record::*;
    match record {
        PutApp(id, version) => put(Table::Apps, id.as_str(), json(&version)),
        DeleteApp(id) => delete(Table::Apps, id.as_str()),
        PutVersion(version) => {
            put(Table::AppVersions, version_key(&version.spec.id, version.version), json(&version))
        }
        DeleteVersion(id, version) => delete(Table::AppVersions, version_key(&id, version)),
        PutDeployment(id, text) => {
            let mut value = vec![FORMAT];
            value.extend_from_slice(text.as_bytes());
            put(Table::Deployments, id.as_str(), value)
        }
        DeleteDeployment(id) => delete(Table::Deployments, id.as_str()),
        PutGroup(group) => put(Table::Groups, version_key(&group.id, group.version), json(&group)),
        DeleteGroup(id, version) => delete(Table::Groups, version_key(&id, version)),
        PutRemoval(id, at) => put(Table::Removals, version_key(&id, at), json(&())),
        DeleteRemoval(id, at) => delete(Table::Removals, version_key(&id, at)),
        PutFailing(id, record) => put(Table::Failing, id.as_str(), json(&record)),
        DeleteFailing(id) => delete(Table::Failing, id.as_str()),
    }
}

/// Reads a stored row.
pub fn decode(table: Table, key: &[u8], value: &[u8]) -> Result<Decoded, DecodeError> {
    let wrong = |why: String| DecodeError { table, why };
    let (format, body) = value.split_first().ok_or_else(|| wrong("it is empty".into()))?;
    if *format != FORMAT {
        return Err(wrong(format!("it has format {format}, this program knows {FORMAT}")));
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|error| wrong(error.to_string()));
    let number =
        || key.try_into().map(u64::from_be_bytes).map_err(|_| wrong("its key is not a number".into()));
    Ok(match table {
        Table::Cluster => Decoded::Cell,
        Table::Agents => Decoded::Kernel(kernel::Record::PutAgent(from_json(table, body)?)),
        Table::Specs => Decoded::Kernel(kernel::Record::PutSpec(SpecId(number()?), from_json(table, body)?)),
        Table::Assignments => {
            let record = expand(body).map_err(wrong)?;
            Decoded::Kernel(kernel::Record::PutAssignment(number()?, Box::new(record)))
        }
        Table::GivenUp => Decoded::Kernel(kernel::Record::PutGivenUp(number()?, from_json(table, body)?)),
        Table::Roles => Decoded::Kernel(kernel::Record::PutRole(from_json(table, body)?)),
        Table::Apps => {
            Decoded::Services(services::Record::PutApp(AppId::from(text(key)?), from_json(table, body)?))
        }
        Table::AppVersions => {
            let version: Arc<AppVersion> = from_json(table, body)?;
            Decoded::Services(services::Record::PutVersion(version))
        }
        Table::Deployments => {
            Decoded::Services(services::Record::PutDeployment(DeploymentId::from(text(key)?), text(body)?))
        }
        Table::Groups => {
            let group: Arc<GroupVersion> = from_json(table, body)?;
            Decoded::Services(services::Record::PutGroup(group))
        }
        Table::Removals => {
            let (app, at) =
                read_version_key(key).ok_or_else(|| wrong("its key is not an app and a time".into()))?;
            Decoded::Services(services::Record::PutRemoval(app, at))
        }
        Table::Frameworks => Decoded::Kernel(kernel::Record::PutFramework(from_json(table, body)?)),
        Table::Reservations => {
            let agent = AgentId::from(text(key)?);
            Decoded::Kernel(kernel::Record::PutParts(agent, from_json(table, body)?))
        }
        Table::Maintenance => Decoded::Kernel(kernel::Record::PutMaintenance(from_json(table, body)?)),
        Table::GoneAgents => {
            let agent = AgentId::from(text(key)?);
            Decoded::Kernel(kernel::Record::PutGone(agent, from_json(table, body)?))
        }
        Table::Failing => {
            Decoded::Services(services::Record::PutFailing(AppId::from(text(key)?), from_json(table, body)?))
        }
    })
}

fn from_json<T: DeserializeOwned>(table: Table, body: &[u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(body).map_err(|error| DecodeError { table, why: error.to_string() })
}

/// Text in which the last UUID, if any, is stored as 16 bytes.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Text {
    before: String,
    uuid: Option<[u8; 16]>,
    after: String,
}

const UUID_LENGTH: usize = 36;

impl Text {
    fn of(text: &str) -> Self {
        let at = (0..=text.len().saturating_sub(UUID_LENGTH)).rev().find_map(|at| {
            let uuid = read_uuid(text.get(at..at + UUID_LENGTH)?)?;
            Some((at, uuid))
        });
        match at {
            Some((at, uuid)) => {
                Self { before: text[..at].into(), uuid: Some(uuid), after: text[at + UUID_LENGTH..].into() }
            }
            None => Self { before: text.into(), uuid: None, after: String::new() },
        }
    }

    fn text(&self) -> String {
        let uuid = self.uuid.map(write_uuid).unwrap_or_default();
        format!("{}{uuid}{}", self.before, self.after)
    }
}

/// Reads the canonical form only (lower case, dashes), so that writing it again gives the same text.
fn read_uuid(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    if [8, 13, 18, 23].iter().any(|&at| bytes[at] != b'-') {
        return None;
    }
    let digits: Vec<u8> = bytes.iter().filter(|&&byte| byte != b'-').copied().collect();
    if digits.len() != 32 || !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let value = |digit: u8| if digit <= b'9' { digit - b'0' } else { digit - b'a' + 10 };
    let mut uuid = [0; 16];
    for (byte, pair) in uuid.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0]) << 4 | value(pair[1]);
    }
    Some(uuid)
}

fn write_uuid(uuid: [u8; 16]) -> String {
    let number = u128::from_be_bytes(uuid);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        number >> 96,
        (number >> 80) & 0xffff,
        (number >> 64) & 0xffff,
        (number >> 48) & 0xffff,
        number & 0xffff_ffff_ffff,
    )
}

/// An assignment as it is stored. Fields are only ever added, with a new format number; those that are rarely there follow
/// as [`Rare`], which older programs pass over.
#[derive(Serialize, Deserialize)]
struct Compact {
    instance: Text,
    owner: String,
    role: String,
    spec: u64,
    /// What follows the instance's text, or (false) the whole id.
    tasks: Vec<(bool, String)>,
    agent: Text,
    boot: Text,
    allocation: Allocation,
    placed_at: u64,
    killing: Option<(Option<u64>, String)>,
}

/// What few assignments have; absent if it is as usual.
#[derive(Default, Serialize, Deserialize)]
struct Rare {
    adopted: bool,
}

fn compact(record: &AssignmentRecord) -> Vec<u8> {
    let task = |task: &hansa_model::TaskId| match task.as_str().strip_prefix(record.instance.as_str()) {
        Some(rest) => (true, rest.to_string()),
        None => (false, task.to_string()),
    };
    let compact = Compact {
        instance: Text::of(record.instance.as_str()),
        owner: record.owner.to_string(),
        role: record.role.to_string(),
        spec: record.spec.0,
        tasks: record.tasks.iter().map(task).collect(),
        agent: Text::of(record.agent.as_str()),
        boot: Text::of(record.boot.as_str()),
        allocation: record.allocation.clone(),
        placed_at: record.placed_at.0,
        killing: record.killing.clone(),
    };
    let written = postcard::to_extend(&compact, vec![FORMAT]);
    let rare = Rare { adopted: record.adopted };
    let written =
        written.and_then(|row| if rare.adopted { postcard::to_extend(&rare, row) } else { Ok(row) });
    written.expect("our own types are written in memory")
}

fn expand(body: &[u8]) -> Result<AssignmentRecord, String> {
    let (compact, rest): (Compact, _) = postcard::take_from_bytes(body).map_err(|error| error.to_string())?;
    let rare = if rest.is_empty() { Ok(Rare::default()) } else { postcard::from_bytes::<Rare>(rest) };
    let rare = rare.map_err(|error| error.to_string())?;
    let instance = compact.instance.text();
    let task =
        |(follows, text): &(bool, String)| if *follows { format!("{instance}{text}") } else { text.clone() };
    Ok(AssignmentRecord {
        tasks: compact.tasks.iter().map(|text| task(text).into()).collect(),
        owner: compact.owner.into(),
        role: compact.role.into(),
        spec: SpecId(compact.spec),
        agent: compact.agent.text().into(),
        boot: compact.boot.text().into(),
        allocation: compact.allocation,
        placed_at: Timestamp(compact.placed_at),
        killing: compact.killing,
        adopted: rare.adopted,
        instance: instance.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hansa_model::event::AgentState;
    use hansa_model::framework::{
        Amount, Capability, DiskSource, FrameworkInfo, Part, PersistentVolume, Reservation,
    };
    use hansa_model::id::uuid_text;
    use hansa_model::maintenance::{DrainWish, Machine, Window};
    use hansa_model::resources::PortSet;
    use std::collections::{BTreeMap, BTreeSet};

    fn record(instance: &str, tasks: &[&str]) -> AssignmentRecord {
        AssignmentRecord {
            instance: instance.into(),
            owner: "services".into(),
            role: "*".into(),
            spec: SpecId(123_456),
            tasks: tasks.iter().map(|&task| task.into()).collect(),
            agent: uuid_text(7, 8).into(),
            boot: uuid_text(9, 10).into(),
            allocation: Allocation {
                cpus_milli: 100,
                mem: 1 << 30,
                ports: vec![31000],
                ..Allocation::default()
            },
            placed_at: Timestamp(1_700_000_000_000),
            adopted: false,
            killing: None,
        }
    }

    #[test]
    fn assignments_are_small_and_read_back() {
        let instance = format!("shop_warehouse_frontend.instance-{}", uuid_text(u64::MAX, 12345));
        let whole = record(&instance, &[&format!("{instance}._app.1")]);
        for record in [
            whole.clone(),
            record("", &[]),
            record("no-uuid", &["other", "no-uuid.a"]),
            record(&"é".repeat(50), &[&"é".repeat(60)]),
            AssignmentRecord { killing: Some((Some(3000), "scaled".into())), ..whole.clone() },
            AssignmentRecord { adopted: true, ..whole },
        ] {
            let Mutation { table, key, value } =
                encode_kernel(kernel::Record::PutAssignment(5, Box::new(record.clone())));
            let value = value.unwrap();
            assert!(value.len() <= 200, "{} bytes", value.len());
            match decode(table, &key, &value).unwrap() {
                Decoded::Kernel(kernel::Record::PutAssignment(5, read)) => assert_eq!(*read, record),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_else_services_store_reads_back() {
        let group = Arc::new(GroupVersion {
            id: "/shop".into(),
            version: Timestamp(9),
            exists: true,
            dependencies: vec!["/db".into()],
            enforce_role: Some(true),
        });
        let Mutation { table, key, value } = encode_services(services::Record::PutGroup(group.clone()));
        match decode(table, &key, &value.unwrap()).unwrap() {
            Decoded::Services(services::Record::PutGroup(read)) => assert_eq!(read, group),
            other => panic!("{other:?}"),
        }
        let failing = services::FailingRecord {
            config: Timestamp(1),
            since: Timestamp(2),
            last_at: Timestamp(3),
            count: 4,
            last: "command exited with status 7".into(),
            delay_ms: 5,
        };
        for record in [
            services::Record::PutRemoval("/shop/web".into(), Timestamp(u64::MAX - 255)),
            services::Record::PutFailing("/shop/web".into(), Box::new(failing)),
        ] {
            let Mutation { table, key, value } = encode_services(record.clone());
            match decode(table, &key, &value.unwrap()).unwrap() {
                Decoded::Services(read) => assert_eq!(read, record),
                other => panic!("{other:?}"),
            }
        }
        assert!(decode(Table::Removals, b"short", &json(&())).is_err());
    }

    /// A framework that says everything that can be said.
    fn framework() -> FrameworkInfo {
        let some = |cpus_milli| Amount {
            cpus_milli,
            mem: 5 << 20,
            disk: u64::MAX >> 12 << 12,
            gpus: 3,
            ports: PortSet::from_ranges([(31_000, 31_005), (40_000, 40_000)]),
        };
        FrameworkInfo {
            id: "L-0001".into(),
            name: "späte \"Wörter\"\n".into(),
            user: "nobody".into(),
            roles: BTreeSet::from(["*".into(), "data/spark".into()]),
            capabilities: BTreeSet::from([Capability::PartitionAware, Capability::ReservationRefinement]),
            failover_timeout_ms: u64::MAX,
            checkpoint: true,
            hostname: "somewhere".into(),
            webui_url: Some("http://somewhere/".into()),
            principal: Some("spark".into()),
            labels: vec![("a".into(), None), ("a".into(), Some(String::new()))],
            min_allocatable: BTreeMap::from([("data/spark".into(), vec![some(1), some(1_000)])]),
        }
    }

    fn pots() -> Vec<kernel::PotRecord> {
        let reservation = |role: &str, labels: &[(&str, Option<&str>)]| Reservation {
            role: role.into(),
            principal: Some("ops".into()),
            labels: labels.iter().map(|(key, value)| ((*key).into(), value.map(Into::into))).collect(),
            fixed: role == "data",
        };
        let amount = Amount { disk: 10 << 20, ..Amount::default() };
        let stack =
            vec![reservation("data", &[]), reservation("data/spark", &[("k", Some("v")), ("k", None)])];
        let volume =
            PersistentVolume { id: "v/1".into(), principal: None, container_path: "daten/ä".into() };
        let gpus = Amount { gpus: 2, cpus_milli: 1, ..Amount::default() };
        let on = |source| Part { source: Some(source), amount: amount.clone(), ..Part::default() };
        let kept = Part { reservations: stack.clone(), ..on(DiskSource::Path("daten/ä".into())) };
        vec![
            kernel::PotRecord { part: on(DiskSource::Mount("/mnt/a b".into())), devices: Vec::new() },
            kernel::PotRecord { part: Part { volume: Some(volume.clone()), ..kept }, devices: Vec::new() },
            kernel::PotRecord {
                part: Part {
                    reservations: stack.clone(),
                    volume: Some(volume),
                    amount: amount.clone(),
                    ..Part::default()
                },
                devices: Vec::new(),
            },
            kernel::PotRecord {
                part: Part { reservations: stack, amount: gpus, ..Part::default() },
                devices: vec![0, 7],
            },
        ]
    }

    #[test]
    fn what_is_stored_of_frameworks_and_reservations_reads_back() {
        let record = |removed_at| {
            kernel::Record::PutFramework(Box::new(kernel::FrameworkRecord {
                info: framework(),
                principal: "somebody".into(),
                registered_at: Timestamp(1),
                removed_at,
            }))
        };
        let bare: FrameworkInfo = serde_json::from_str(r#"{"id": "f", "roles": ["*"]}"#).unwrap();
        let bare = kernel::FrameworkRecord {
            info: bare,
            principal: "p".into(),
            registered_at: Timestamp(0),
            removed_at: None,
        };
        for record in [
            record(None),
            record(Some(Timestamp(u64::MAX))),
            kernel::Record::PutFramework(Box::new(bare)),
            kernel::Record::PutParts("agent".into(), pots()),
            kernel::Record::PutParts("agent".into(), pots().split_off(1)),
            kernel::Record::PutMaintenance(maintenance()),
            kernel::Record::PutGone("agent".into(), kernel::GoneRecord { at: Timestamp(7) }),
        ] {
            let Mutation { table, key, value } = encode_kernel(record.clone());
            match decode(table, &key, &value.unwrap()).unwrap() {
                Decoded::Kernel(read) => assert_eq!(read, record),
                other => panic!("{other:?}"),
            }
        }
    }

    fn maintenance() -> Arc<Maintenance> {
        let machine = Machine { hostname: Some("a".into()), ip: None };
        let wish = DrainWish { max_grace_ns: Some(1), mark_gone: Some(true) };
        Arc::new(Maintenance {
            windows: vec![Window { machines: vec![machine.clone()], start_ns: 5, duration_ns: None }],
            begun: [machine.clone()].into(),
            down: [machine].into(),
            drains: [("agent".into(), wish)].into(),
        })
    }

    #[test]
    fn nothing_kept_on_a_machine_is_nothing_stored() {
        let nothing = kernel::Record::PutMaintenance(Arc::default());
        assert_eq!(encode_kernel(nothing).value, None);
        let Mutation { table, key, value } = encode_kernel(kernel::Record::PutParts("a".into(), Vec::new()));
        assert_eq!((table, key.as_slice(), value), (Table::Reservations, &b"a"[..], None));
        let Mutation { table, key, value } = encode_kernel(kernel::Record::DeleteFramework("f".into()));
        assert_eq!((table, key.as_slice(), value), (Table::Frameworks, &b"f"[..], None));
    }

    #[test]
    fn what_older_programs_stored_of_frameworks_and_agents_is_read() {
        let read = |table, key: &[u8], json: &str| {
            let mut value = vec![FORMAT];
            value.extend_from_slice(json.as_bytes());
            match decode(table, key, &value).unwrap() {
                Decoded::Kernel(record) => record,
                other => panic!("{other:?}"),
            }
        };
        let framework = r#"{"info": {"id": "f", "roles": ["r"]}, "principal": "p", "registered_at": 7}"#;
        match read(Table::Frameworks, b"f", framework) {
            kernel::Record::PutFramework(record) => {
                assert_eq!((record.removed_at, record.registered_at), (None, Timestamp(7)));
                assert_eq!(record.info.failover_timeout_ms, 0);
            }
            other => panic!("{other:?}"),
        }
        let parts = r#"[{"part": {"reservations": [{"role": "r"}], "amount": {"disk": 5}}}]"#;
        match read(Table::Reservations, b"a", parts) {
            kernel::Record::PutParts(agent, parts) => {
                assert_eq!((agent, parts.len()), ("a".into(), 1));
                assert_eq!(parts[0].part.role(), Some(&"r".into()));
                assert!(parts[0].devices.is_empty() && parts[0].part.volume.is_none());
                assert_eq!(parts[0].part.source, None, "of before there were disks of their own");
            }
            other => panic!("{other:?}"),
        }
        let agent = r#"{"hello": {"agent": "a"}, "registered_at": 1, "unreachable_since": null, "wanted": "draining"}"#;
        match read(Table::Agents, b"a", agent) {
            kernel::Record::PutAgent(record) => {
                assert_eq!((record.wanted, record.drain_grace_ms), (AgentState::Draining, None));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn newer_formats_are_refused() {
        let error = decode(Table::Apps, b"/a", &[9, b'1']).unwrap_err();
        assert_eq!(
            error.to_string(),
            "table apps: a record cannot be read: it has format 9, this program knows 1"
        );
        assert!(decode(Table::Assignments, b"short", &[FORMAT]).is_err());
        assert!(decode(Table::Roles, b"a", &[]).is_err());
    }

    #[test]
    fn upper_case_uuids_stay_as_they_are() {
        let text = "A.instance-0123ABCD-0000-0000-0000-000000000000";
        assert_eq!(Text::of(text).text(), text);
    }
}
