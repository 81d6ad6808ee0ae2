//! The fields that a service has. The master passes over others, as Marathon does; in a file they are likely typing errors.

use crate::suggest::nearest;

/// Fields of a definition, and those that answers of the API add to it.
const FIELDS: &[&str] = &[
    "acceptedResourceRoles",
    "args",
    "backoffFactor",
    "backoffSeconds",
    "check",
    "cmd",
    "constraints",
    "container",
    "cpus",
    "dependencies",
    "deployments",
    "disk",
    "env",
    "executor",
    "executorResources",
    "fetch",
    "gpus",
    "healthChecks",
    "id",
    "instances",
    "ipAddress",
    "killSelection",
    "labels",
    "lastTaskFailure",
    "maxLaunchDelaySeconds",
    "mem",
    "networks",
    "portDefinitions",
    "ports",
    "readinessCheckResults",
    "readinessChecks",
    "requirePorts",
    "residency",
    "resourceLimits",
    "role",
    "secrets",
    "storeUrls",
    "taskKillGracePeriodSeconds",
    "taskStats",
    "tasks",
    "tasksHealthy",
    "tasksRunning",
    "tasksStaged",
    "tasksUnhealthy",
    "tty",
    "unreachableStrategy",
    "upgradeStrategy",
    "uris",
    "user",
    "version",
    "versionInfo",
];

/// Why a field's name is doubtful; None: a service has such a field.
pub fn doubt(name: &str) -> Option<String> {
    if FIELDS.contains(&name) {
        return None;
    }
    Some(match nearest(name, FIELDS.iter().copied()) {
        Some(known) => format!("a service has no such field; did you mean '{known}'?"),
        None => "a service has no such field; it is passed over".into(),
    })
}
