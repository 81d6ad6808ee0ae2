//! Answers of a master as tests of the printing need them.

use hansa_api::apart::{
    Amounts, DiskKind, DiskPlace, Holding, NodeDetail, NodeDisk, NodeReservation, NodeVolume, Portion,
    ReservationKind,
};
use hansa_api::framework::{
    FrameworkDetail, FrameworkFilter, FrameworkOffer, FrameworkRole, FrameworkState, FrameworkSummary,
};
use hansa_api::hansa::{Health, Node, Service, Task};
use hansa_model::Timestamp;
use hansa_model::event::AgentState;
use hansa_model::resources::{MIB, PortSet};
use hansa_model::role::{Bound, Totals};
use hansa_model::task::TaskState;
use std::collections::BTreeMap;

/// A running task of `/demo/web` on `node1`.
pub fn task(id: &str) -> Task {
    Task {
        id: id.into(),
        app: Some("/demo/web".into()),
        version: Some(Timestamp(1_000)),
        framework: None,
        framework_task: None,
        role: "*".into(),
        state: TaskState::Running,
        healthy: Some(true),
        health: Vec::new(),
        reason: None,
        message: String::new(),
        node: "agent-1".into(),
        hostname: "node1".into(),
        ports: vec![31_000],
        cpus_milli: 100,
        mem: 32 * MIB,
        staged_at: Timestamp(1_000),
        started_at: Some(Timestamp(2_000)),
        updated_at: Timestamp(3_000),
        ended_at: None,
        exit: None,
    }
}

/// `/demo/web` with two of three instances running.
pub fn service() -> Service {
    Service {
        id: "/demo/web".into(),
        health: Health::Deploying,
        instances: 3,
        running: 2,
        staged: 1,
        healthy: 1,
        unhealthy: 0,
        version: Timestamp(1_000),
        cpus_milli: 100,
        mem: 32 * MIB,
        role: "*".into(),
        labels: BTreeMap::new(),
        command: "hansa demo-web".into(),
        deployments: vec!["d-1".into()],
        waiting_for: Some("2 machines: 0.5 cpus short".into()),
        last_failure: None,
        last_failure_at: None,
        failing: None,
    }
}

/// `node1`, a quarter full.
pub fn node() -> Node {
    Node {
        id: "agent-1".into(),
        hostname: "node1".into(),
        address: "127.0.0.1:5051".into(),
        state: AgentState::Active,
        since: Timestamp(1_000),
        total: "cpus:2;mem:1024;disk:1000;ports:[31000-31099]".parse().expect("a resource list"),
        allocated: Totals { cpus_milli: 500, mem: 256 * MIB, disk: 0, gpus_milli: 0 },
        reserved: Totals::default(),
        used: Some(Totals { cpus_milli: 20, mem: 30 * MIB, disk: 0, gpus_milli: 0 }),
        machine: None,
        tasks: 3,
        attributes: BTreeMap::from([("rack".into(), "r1".into())]),
        region: None,
        zone: Some("z1".into()),
        version: "0.1.0".into(),
        registered_at: Timestamp(1_000),
        missing_isolation: Vec::new(),
    }
}

/// The same, with something kept for a role, a volume, and a disk of its own.
pub fn divided() -> NodeDetail {
    let amounts = |cpus_milli: u64, mem: u64, disk: u64, ports: &[(u16, u16)]| Amounts {
        totals: Totals { cpus_milli, mem: mem * MIB, disk: disk * MIB, gpus_milli: 0 },
        ports: PortSet::from_ranges(ports.iter().copied()),
    };
    let kept = NodeReservation {
        role: "db".into(),
        kind: ReservationKind::Dynamic,
        within: Vec::new(),
        principal: Some("ops".into()),
        labels: Vec::new(),
        portion: Portion {
            total: amounts(1_000, 512, 300, &[(31_090, 31_099)]),
            used: amounts(0, 0, 100, &[]),
            offered: Amounts::default(),
            free: amounts(1_000, 512, 200, &[(31_090, 31_099)]),
        },
    };
    let volume = NodeVolume {
        id: "data".into(),
        role: "db".into(),
        principal: None,
        size: 100 * MIB,
        container_path: "data".into(),
        disk: None,
        state: Holding::Used,
        framework: Some("f".into()),
        tasks: vec!["db.1".into()],
    };
    let disk = NodeDisk {
        place: DiskPlace { kind: DiskKind::Mount, root: "/mnt/fast".into() },
        size: 200 * MIB,
        reserved: 0,
        used: 0,
        offered: 200 * MIB,
        free: 0,
    };
    NodeDetail {
        node: node(),
        unreserved: Portion {
            total: amounts(1_000, 512, 500, &[(31_000, 31_089)]),
            used: amounts(500, 256, 0, &[(31_005, 31_005)]),
            offered: Amounts::default(),
            free: amounts(500, 256, 500, &[(31_000, 31_004), (31_006, 31_089)]),
        },
        reservations: vec![kept],
        volumes: vec![volume],
        disks: vec![disk],
    }
}

/// `spark`, connected, in two roles of which it suppresses one.
pub fn framework() -> FrameworkSummary {
    FrameworkSummary {
        id: "0aaa-0000".into(),
        name: "spark".into(),
        principal: Some("ops".into()),
        user: "root".into(),
        roles: vec!["batch".into(), "web".into()],
        suppressed: vec!["web".into()],
        state: FrameworkState::Connected,
        since: Timestamp(2_000),
        given_up_at: None,
        tasks: 3,
        offers: 1,
        allocated: Totals { cpus_milli: 1500, mem: 64 * MIB, ..Totals::default() },
        share_ppm: 125_000,
        dominant: Some("cpus".into()),
    }
}

/// The same with everything that is in force for it.
pub fn framework_detail() -> FrameworkDetail {
    let nothing = FrameworkRole {
        role: "web".into(),
        suppressed: true,
        allocated: Totals::default(),
        offered: Totals::default(),
        share_ppm: 0,
        weight_milli: 1000,
        guarantee: Bound::default(),
        limit: Bound::default(),
        role_used: Totals::default(),
        role_share_ppm: 0,
    };
    let batch = FrameworkRole {
        role: "batch".into(),
        suppressed: false,
        allocated: framework().allocated,
        offered: Totals { cpus_milli: 1000, mem: 32 * MIB, ..Totals::default() },
        share_ppm: 125_000,
        weight_milli: 2000,
        guarantee: Bound { cpus_milli: Some(4000), ..Bound::default() },
        role_used: Totals { cpus_milli: 2000, ..Totals::default() },
        role_share_ppm: 166_666,
        ..nothing.clone()
    };
    FrameworkDetail {
        summary: framework(),
        hostname: "host1".into(),
        webui_url: None,
        capabilities: vec!["PARTITION_AWARE".into(), "TASK_KILLING_STATE".into()],
        checkpoint: true,
        failover_timeout_ms: 100_000,
        registered_at: Timestamp(2_000),
        reregistered_at: None,
        executors: 1,
        unreachable_tasks: 2,
        completed_tasks: 9,
        in_roles: vec![batch, nothing],
        outstanding: vec![FrameworkOffer {
            id: "2-O1".into(),
            role: "batch".into(),
            node: "agent-1".into(),
            hostname: "node1".into(),
            resources: "cpus:1;mem:32".into(),
            expires_at: Some(Timestamp(120_000)),
        }],
        filters: vec![FrameworkFilter {
            role: "batch".into(),
            node: "agent-2".into(),
            hostname: "node2".into(),
            refused: "cpus:2;mem:64".into(),
            until: Timestamp(65_000),
        }],
    }
}
