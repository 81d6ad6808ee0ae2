//! What [`crate::apart`] looks like on the wire.

use super::hansa::{node, range};
use super::reference;
use super::schema::{Fields, count, list, list_of, object, one_of, or_null, text, with};
use crate::apart::{DiskKind, Holding, ReservationKind};
use serde_json::Value;

/// All of something, and who has it.
fn portion() -> Vec<(&'static str, Value)> {
    ["total", "used", "offered", "free"].map(|name| (name, reference("Amounts"))).into()
}

/// Where a disk is.
fn place() -> Vec<(&'static str, Value)> {
    vec![("kind", one_of(&[DiskKind::Path, DiskKind::Mount].map(DiskKind::name))), ("root", text())]
}

pub(super) fn schemas() -> Fields {
    let mut all = Fields::new();
    let mut put = |name: &str, schema: Value| all.push((name.to_owned(), schema));
    put(
        "NodeDetail",
        with(
            "A machine, and what of it is set apart.",
            node(),
            [
                ("unreserved", reference("Portion")),
                ("reservations", list_of("NodeReservation")),
                ("volumes", list_of("NodeVolume")),
                ("disks", list_of("NodeDisk")),
            ],
        ),
    );
    put("Portion", with("A part of a machine: how much it is, and who has it now.", portion(), [] as [_; 0]));
    put(
        "Amounts",
        object(
            "Amounts with ports, as ranges.",
            [
                ("cpus_milli", count()),
                ("mem", count()),
                ("disk", count()),
                ("gpus_milli", count()),
                ("ports", list(range())),
            ],
        ),
    );
    put(
        "NodeReservation",
        with(
            "What of a machine is kept for a role in one way. Volumes and disks of their own are counted too.",
            portion(),
            [
                ("role", text()),
                (
                    "kind",
                    one_of(&[ReservationKind::Static, ReservationKind::Dynamic].map(ReservationKind::name)),
                ),
                ("within", list(text())),
                ("principal", or_null(text())),
                ("labels", list_of("ReservationLabel")),
            ],
        ),
    );
    put(
        "ReservationLabel",
        object("A label; keys may repeat.", [("key", text()), ("value", or_null(text()))]),
    );
    put(
        "NodeVolume",
        object(
            "A directory on reserved disk that outlives the tasks which use it.",
            [
                ("id", text()),
                ("role", text()),
                ("principal", or_null(text())),
                ("size", count()),
                ("container_path", text()),
                ("disk", or_null(reference("DiskPlace"))),
                ("state", one_of(&[Holding::Free, Holding::Offered, Holding::Used].map(Holding::name))),
                ("framework", or_null(text())),
                ("tasks", list(text())),
            ],
        ),
    );
    put("DiskPlace", with("A disk besides the one that the agent works on.", place(), [] as [_; 0]));
    put(
        "NodeDisk",
        with(
            "A disk besides the one that the agent works on, in bytes.",
            place(),
            [
                ("size", count()),
                ("reserved", count()),
                ("used", count()),
                ("offered", count()),
                ("free", count()),
            ],
        ),
    );
    all
}

#[cfg(test)]
mod tests {
    use crate::apart::*;
    use crate::hansa::Node;
    use crate::openapi::check::check;
    use hansa_model::Timestamp;
    use hansa_model::event::AgentState;
    use hansa_model::resources::PortSet;
    use hansa_model::role::Totals;

    /// Every field is written out, so that a new one does not compile until it stands here, and then in the document.
    #[test]
    fn what_is_set_apart_is_as_described() {
        let totals = Totals { cpus_milli: 1, mem: 2, disk: 3, gpus_milli: 4 };
        let amounts = Amounts { totals, ports: PortSet::from_ranges([(1, 2)]) };
        let portion = Portion {
            total: amounts.clone(),
            used: Amounts::default(),
            offered: amounts,
            free: Amounts::default(),
        };
        let reservation = |kind| NodeReservation {
            role: "a/b".into(),
            kind,
            within: vec!["a".into()],
            principal: Some("p".into()),
            labels: vec![ReservationLabel { key: "k".into(), value: None }],
            portion: portion.clone(),
        };
        let place = |kind| DiskPlace { kind, root: "/d".into() };
        let volume = |state| NodeVolume {
            id: "v".into(),
            role: "a".into(),
            principal: None,
            size: 1,
            container_path: "data".into(),
            disk: (state != Holding::Free).then(|| place(DiskKind::Mount)),
            state,
            framework: Some("f".into()),
            tasks: vec!["t".into()],
        };
        let disk =
            |kind| NodeDisk { place: place(kind), size: 10, reserved: 1, used: 2, offered: 3, free: 4 };
        let node = Node {
            id: "a".into(),
            hostname: "h".into(),
            address: "h:1".into(),
            state: AgentState::Active,
            since: Timestamp(1),
            total: "cpus:1".parse().unwrap(),
            allocated: Totals::default(),
            reserved: totals,
            used: None,
            machine: None,
            tasks: 0,
            attributes: Default::default(),
            region: None,
            zone: None,
            version: "1".into(),
            registered_at: Timestamp(1),
            missing_isolation: Vec::new(),
        };
        let detail = NodeDetail {
            node,
            unreserved: portion.clone(),
            reservations: [ReservationKind::Static, ReservationKind::Dynamic].map(reservation).into(),
            volumes: [Holding::Free, Holding::Offered, Holding::Used].map(volume).into(),
            disks: [DiskKind::Path, DiskKind::Mount].map(disk).into(),
        };
        check("NodeDetail", detail.clone());
        let text = serde_json::to_string(&detail).unwrap();
        assert_eq!(serde_json::from_str::<NodeDetail>(&text).unwrap(), detail, "clients read it back");
    }

    #[test]
    fn a_master_of_before_is_understood() {
        let text = r#"{"id":"a","hostname":"h","address":"h:1","state":"active","since":1,"total":{},
            "allocated":{},"used":null,"machine":null,"tasks":0,"attributes":{},"region":null,"zone":null,
            "version":"0.1.0","registered_at":1,"missing_isolation":[]}"#;
        let detail: NodeDetail = serde_json::from_str(text).unwrap();
        assert_eq!((detail.unreserved, detail.reservations.len()), (Portion::default(), 0));
    }
}
