//! Which path means what, as Mesos finds out: the process's name in front is left away or not, the longest known beginning
//! of a path counts, a slash at the end does not, and `.json` at the end was once usual.

/// Everything that is served here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Executor,
    Operator,
    State,
    Containers,
    Statistics,
    Metrics,
    Flags,
    Health,
    Version,
    FilesBrowse,
    FilesRead,
    FilesDownload,
    FilesDebug,
    Logging,
    /// Known and not served.
    Unsupported(&'static str),
}

use Endpoint::*;

const ENDPOINTS: [(&str, Endpoint); 19] = [
    ("api/v1/executor", Executor),
    ("api/v1/resource_provider", Unsupported("/api/v1/resource_provider")),
    ("api/v1", Operator),
    ("state", State),
    ("containers", Containers),
    ("monitor/statistics", Statistics),
    ("metrics/snapshot", Metrics),
    ("flags", Flags),
    ("health", Health),
    ("version", Version),
    ("files/browse", FilesBrowse),
    ("files/read", FilesRead),
    ("files/download", FilesDownload),
    ("files/debug", FilesDebug),
    ("logging/toggle", Logging),
    ("profiler", Unsupported("/profiler")),
    ("memory-profiler", Unsupported("/memory-profiler")),
    ("system/stats", Unsupported("/system/stats.json: ask /metrics/snapshot")),
    ("__processes__", Unsupported("/__processes__")),
];

/// What a path means; None: nothing.
pub(super) fn find(path: &str) -> Option<Endpoint> {
    let named = path.strip_prefix("/slave(1)").filter(|rest| rest.starts_with('/'));
    let path = named.unwrap_or(path).strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let begins = |name: &str| {
        let rest = path.strip_prefix(name)?;
        let rest = rest.strip_prefix(".json").unwrap_or(rest);
        (rest.is_empty() || rest.starts_with('/')).then_some(())
    };
    let known = ENDPOINTS.iter().filter(|(name, _)| begins(name).is_some());
    known.max_by_key(|(name, _)| name.len()).map(|(_, endpoint)| *endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_front_and_slashes_behind_do_not_matter() {
        for (path, found) in [
            ("/state", Some(State)),
            ("/slave(1)/state", Some(State)),
            ("/slave(1)/state.json", Some(State)),
            ("/state/", Some(State)),
            ("/slave(2)/state", None),
            ("/statement", None),
            ("/api/v1", Some(Operator)),
            ("/slave(1)/api/v1/state", Some(Operator)),
            ("/slave(1)/api/v1/executor", Some(Executor)),
            ("/api/v1/executor/", Some(Executor)),
            ("/files/read.json", Some(FilesRead)),
            ("/files", None),
            ("/monitor/statistics.json", Some(Statistics)),
            ("/slave(1)", None),
            ("/slave(1)/", None),
            ("/", None),
            ("state", None),
        ] {
            assert_eq!(find(path), found, "{path}");
        }
    }
}
