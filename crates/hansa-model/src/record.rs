//! What a store holds: tables of keys and values, changed by mutations in one order.
//!
//! The bytes of a value begin with a format version; what follows is the business of whoever wrote it.

use serde::{Deserialize, Serialize};

/// The tables. Names are stored; never reuse one for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Single values of the whole cluster: its id, the last durable time and index.
    Cluster,
    /// Agents that were admitted, by agent id; with "unreachable since".
    Agents,
    /// Immutable launch specs, by number.
    Specs,
    /// Assignments, by number: keys rise with time, which the store is fastest with.
    Assignments,
    /// Tasks that were given up, by assignment number; killed when their agent returns.
    GivenUp,
    /// Roles, by name.
    Roles,
    /// Services: which version is current, by app id.
    Apps,
    /// Versions of services, by app id, 0 byte, version.
    AppVersions,
    /// Deployments under way, by id.
    Deployments,
    /// Versions of groups, by path, 0 byte, version.
    Groups,
    /// When apps were removed whose versions are kept, by app id, 0 byte, time.
    Removals,
    /// Apps that fail again and again, by app id.
    Failing,
    /// Frameworks, also removed ones, by framework id.
    Frameworks,
    /// Reservations and volumes of machines, by agent id.
    Reservations,
    /// What operators said of machines in general; one row.
    Maintenance,
    /// Agents that operators declared gone, by agent id.
    GoneAgents,
}

impl Table {
    /// Every table.
    pub const ALL: [Table; 16] = [
        Table::Cluster,
        Table::Agents,
        Table::Specs,
        Table::Assignments,
        Table::GivenUp,
        Table::Roles,
        Table::Apps,
        Table::AppVersions,
        Table::Deployments,
        Table::Groups,
        Table::Removals,
        Table::Failing,
        Table::Frameworks,
        Table::Reservations,
        Table::Maintenance,
        Table::GoneAgents,
    ];

    /// The stored name.
    pub fn name(self) -> &'static str {
        match self {
            Table::Cluster => "cluster",
            Table::Agents => "agents",
            Table::Specs => "specs",
            Table::Assignments => "assignments",
            Table::GivenUp => "given_up",
            Table::Roles => "roles",
            Table::Apps => "apps",
            Table::AppVersions => "app_versions",
            Table::Deployments => "deployments",
            Table::Groups => "groups",
            Table::Removals => "removals",
            Table::Failing => "failing",
            Table::Frameworks => "frameworks",
            Table::Reservations => "reservations",
            Table::Maintenance => "maintenance",
            Table::GoneAgents => "gone_agents",
        }
    }
}

/// One change of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// Where.
    pub table: Table,
    /// Which; numbers in big-endian, so that order of bytes is order of numbers.
    pub key: Vec<u8>,
    /// The new value; None deletes.
    pub value: Option<Vec<u8>>,
}
