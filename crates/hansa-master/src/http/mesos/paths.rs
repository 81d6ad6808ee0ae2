//! Which path means what, as Mesos finds out: its processes' names are left away or not, the longest known beginning of a
//! path counts, a slash at the end does not, and `.json` at the end was once usual.

/// Everything that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Scheduler,
    Operator,
    State,
    StateSummary,
    Slaves,
    Frameworks,
    Tasks,
    Roles,
    Metrics,
    Flags,
    Health,
    Version,
    Redirect,
    Logging,
    FilesBrowse,
    FilesRead,
    FilesDownload,
    FilesDebug,
    Reserve,
    Unreserve,
    CreateVolumes,
    DestroyVolumes,
    Quota,
    Weights,
    MaintenanceSchedule,
    MaintenanceStatus,
    MachineDown,
    MachineUp,
    Teardown,
    /// Known and not served.
    Unsupported(&'static str),
}

use Endpoint::*;

const ENDPOINTS: [(&str, Endpoint); 37] = [
    ("api/v1/scheduler", Scheduler),
    ("api/v1/operator", Operator),
    ("api/v1", Operator),
    ("state", State),
    ("state-summary", StateSummary),
    ("slaves", Slaves),
    ("frameworks", Frameworks),
    ("tasks", Tasks),
    ("roles", Roles),
    ("metrics/snapshot", Metrics),
    ("flags", Flags),
    ("health", Health),
    ("version", Version),
    ("redirect", Redirect),
    ("logging/toggle", Logging),
    ("files/browse", FilesBrowse),
    ("files/read", FilesRead),
    ("files/download", FilesDownload),
    ("files/debug", FilesDebug),
    ("reserve", Reserve),
    ("unreserve", Unreserve),
    ("create-volumes", CreateVolumes),
    ("destroy-volumes", DestroyVolumes),
    ("quota", Quota),
    ("weights", Weights),
    ("maintenance/schedule", MaintenanceSchedule),
    ("maintenance/status", MaintenanceStatus),
    ("machine/down", MachineDown),
    ("machine/up", MachineUp),
    ("teardown", Teardown),
    (
        "offer_constraints_debug",
        Unsupported("/offer_constraints_debug: ask /hansa/v1/frameworks/{id}/explain"),
    ),
    ("registrar(1)/registry", Unsupported("/registrar(1)/registry")),
    ("profiler", Unsupported("/profiler")),
    ("memory-profiler", Unsupported("/memory-profiler")),
    ("system/stats", Unsupported("/system/stats.json: ask /metrics/snapshot")),
    ("__processes__", Unsupported("/__processes__")),
    ("registry", Unsupported("/registry")),
];

/// What a path means, and what of it stands behind the endpoint's own name. None: nothing.
pub(super) fn find(path: &str) -> Option<(Endpoint, &str)> {
    let path = without(without(path, "/mesos"), "/master");
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let begins = |name: &str| {
        let rest = path.strip_prefix(name)?;
        let rest = rest.strip_prefix(".json").unwrap_or(rest);
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    };
    let known = ENDPOINTS.iter().filter_map(|(name, endpoint)| Some((name.len(), *endpoint, begins(name)?)));
    known.max_by_key(|(length, ..)| *length).map(|(_, endpoint, rest)| (endpoint, rest.trim_matches('/')))
}

/// The path without the name in front, if it is there as a whole.
fn without<'a>(path: &'a str, name: &str) -> &'a str {
    path.strip_prefix(name).filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_front_and_slashes_behind_do_not_matter() {
        for (path, found) in [
            ("/state", Some((State, ""))),
            ("/master/state", Some((State, ""))),
            ("/mesos/master/state.json", Some((State, ""))),
            ("/mesos/state/", Some((State, ""))),
            ("/state-summary", Some((StateSummary, ""))),
            ("/state.jsonx", None),
            ("/statement", None),
            ("/slaves/abc-S0", Some((Slaves, "abc-S0"))),
            ("/slaves/abc-S0/", Some((Slaves, "abc-S0"))),
            ("/tasks.json", Some((Tasks, ""))),
            ("/files/read.json", Some((FilesRead, ""))),
            ("/files", None),
            ("/api/v1", Some((Operator, ""))),
            ("/api/v1/", Some((Operator, ""))),
            ("/api/v1/operator", Some((Operator, ""))),
            ("/master/api/v1/scheduler/", Some((Scheduler, ""))),
            ("/metrics/snapshot", Some((Metrics, ""))),
            ("/metrics", None),
            ("/redirect/x", Some((Redirect, "x"))),
            ("/master", None),
            ("/master/", None),
            ("/mesos", None),
            ("/", None),
            ("state", None),
            ("/masters/state", None),
        ] {
            assert_eq!(find(path), found, "{path}");
        }
    }
}
