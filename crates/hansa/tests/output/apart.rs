//! What of the machines of cardboard is set apart.

use hansa_api::apart::{
    Amounts, DiskKind, DiskPlace, Holding, NodeDetail, NodeDisk, NodeReservation, NodeVolume, Portion,
    ReservationKind, ReservationLabel,
};
use hansa_api::hansa::Node;
use hansa_model::resources::{MIB, PortSet};
use hansa_model::role::Totals;

const GIB: u64 = 1024 * MIB;

/// What of the first machine is kept for roles.
pub fn kept() -> Totals {
    Totals { cpus_milli: 6_000, mem: 20 * GIB, disk: 300 * GIB, gpus_milli: 1_000 }
}

/// A machine; of the first much is set apart.
pub fn detail(node: Node) -> NodeDetail {
    if node.reserved == Totals::default() {
        let total = Amounts { totals: Totals::of(&node.total), ports: node.total.ports.clone() };
        let unreserved = Portion { free: total.clone(), total, ..Portion::default() };
        return NodeDetail { node, unreserved, reservations: vec![], volumes: vec![], disks: vec![] };
    }
    NodeDetail {
        node,
        unreserved: unreserved(),
        reservations: reservations(),
        volumes: volumes(),
        disks: disks(),
    }
}

fn amounts(cpus_milli: u64, mem: u64, disk: u64, gpus: u64, ports: &[(u16, u16)]) -> Amounts {
    Amounts {
        totals: Totals { cpus_milli, mem: mem * GIB, disk: disk * GIB, gpus_milli: gpus * 1_000 },
        ports: PortSet::from_ranges(ports.iter().copied()),
    }
}

fn unreserved() -> Portion {
    Portion {
        total: amounts(10_000, 44, 360, 1, &[(31_000, 31_899)]),
        used: amounts(5_500, 30, 0, 1, &[(31_001, 31_001), (31_005, 31_005)]),
        offered: Amounts::default(),
        free: amounts(4_500, 14, 360, 0, &[(31_000, 31_000), (31_002, 31_004), (31_006, 31_899)]),
    }
}

fn reservations() -> Vec<NodeReservation> {
    let label = |key: &str, value: Option<&str>| ReservationLabel {
        key: key.into(),
        value: value.map(str::to_owned),
    };
    vec![
        NodeReservation {
            role: "batch/nightly".into(),
            kind: ReservationKind::Dynamic,
            within: vec!["batch".into()],
            principal: Some("spark".into()),
            labels: vec![label("purpose", Some("shuffle")), label("temporary", None)],
            portion: Portion {
                total: amounts(4_000, 16, 300, 1, &[]),
                used: amounts(4_000, 10, 200, 0, &[]),
                offered: amounts(0, 6, 100, 1, &[]),
                free: Amounts::default(),
            },
        },
        NodeReservation {
            role: "web".into(),
            kind: ReservationKind::Static,
            within: vec![],
            principal: None,
            labels: vec![],
            portion: Portion {
                total: amounts(2_000, 4, 0, 0, &[(31_900, 32_000)]),
                free: amounts(2_000, 4, 0, 0, &[(31_900, 32_000)]),
                ..Portion::default()
            },
        },
    ]
}

fn volumes() -> Vec<NodeVolume> {
    let fast = DiskPlace { kind: DiskKind::Mount, root: "/mnt/fast".into() };
    let volume = |id: &str, size: u64, state| NodeVolume {
        id: id.into(),
        role: "batch/nightly".into(),
        principal: Some("spark".into()),
        size: size * GIB,
        container_path: "scratch".into(),
        disk: None,
        state,
        framework: Some("5f0c8f6e-0009-4000-8000-0123456789ab-0000".into()),
        tasks: vec![],
    };
    vec![
        NodeVolume {
            disk: Some(fast),
            tasks: vec!["spark-executor-0".into()],
            ..volume("5f0c8f6e-shuffle-0", 200, Holding::Used)
        },
        volume("5f0c8f6e-shuffle-1", 100, Holding::Offered),
    ]
}

fn disks() -> Vec<NodeDisk> {
    let place = |kind, root: &str| DiskPlace { kind, root: root.into() };
    vec![
        NodeDisk {
            place: place(DiskKind::Path, "/data"),
            size: 218 * GIB,
            reserved: 0,
            used: 0,
            offered: 0,
            free: 218 * GIB,
        },
        NodeDisk {
            place: place(DiskKind::Mount, "/mnt/fast"),
            size: 200 * GIB,
            reserved: 200 * GIB,
            used: 200 * GIB,
            offered: 0,
            free: 0,
        },
    ]
}
