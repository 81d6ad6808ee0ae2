//! Where sandboxes are, in Mesos' words: virtual paths that clients put together from `/state`, and what they lead to.
//!
//! Nothing but sandboxes is reachable: a path is taken apart, and its parts are looked up among what this agent holds.

use super::state::all_groups;
use crate::agent::Shell;
use crate::sandbox::Sandbox;
use hansa_model::InstanceId;
use hansa_node::saved::SavedGroup;
use std::path::Path;

/// One run of an executor, as a virtual path names it. A command task is its own executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) struct Run {
    /// Whose.
    pub(super) framework: String,
    /// The framework's id of it.
    pub(super) executor: String,
    /// Its container.
    pub(super) container: String,
    /// The name of its directory among the sandboxes.
    pub(super) sandbox: String,
}

impl Run {
    /// Of a group that is not run by an executor of its framework's, or of a service.
    pub(super) fn of_group(group: &SavedGroup) -> Option<Self> {
        let launch = &group.launch;
        let sandbox = launch.tasks.first()?.to_string();
        let (framework, executor) = match &launch.framework {
            Some(of) => match &of.executor {
                Some(run) => return Some(Self::of_run(of.framework.id.as_str(), &run.id, &run.container)),
                None => (of.framework.id.to_string(), of.tasks.first()?.id.clone()),
            },
            None => (launch.owner.to_string(), sandbox.clone()),
        };
        Some(Self { framework, executor, container: launch.instance.to_string(), sandbox })
    }

    /// Of an executor.
    pub(super) fn of_run(framework: &str, executor: &str, container: &InstanceId) -> Self {
        let container = container.to_string();
        Self { framework: framework.into(), executor: executor.into(), sandbox: container.clone(), container }
    }

    /// As clients find it: below the agent's own directory.
    pub(super) fn directory(&self, shell: &Shell) -> String {
        let Self { framework, executor, container, .. } = self;
        let agent = &shell.node.config().agent;
        let root = shell.data_dir.root().display();
        format!("{root}/slaves/{agent}/frameworks/{framework}/executors/{executor}/runs/{container}")
    }
}

/// Every run that this agent holds or remembers something of, the newest of an executor last.
pub(in crate::http) fn runs(shell: &Shell) -> Vec<Run> {
    let saved = shell.node.saved();
    let groups = all_groups(shell).filter_map(|group| Some((group.at, Run::of_group(group)?)));
    let executors = saved.executors().values();
    let executors = executors
        .map(|held| (held.at, Run::of_run(held.framework.id.as_str(), &held.run.id, &held.run.container)));
    let mut all: Vec<_> = groups.chain(executors).collect();
    all.sort_by_key(|(at, _)| *at);
    let mut runs: Vec<Run> = Vec::with_capacity(all.len());
    for (_, run) in all {
        if !runs.contains(&run) {
            runs.push(run);
        }
    }
    runs
}

/// A path taken apart; what lies in the sandbox is the last part.
#[derive(Debug, PartialEq, Eq)]
enum Parts<'a> {
    /// A sandbox by its directory's name.
    Real(&'a str, &'a str),
    /// A run by framework, executor and container (or `latest`).
    Run(&'a str, &'a str, &'a str, &'a str),
}

/// Takes a path apart. `root` is the agent's directory, `agent` its id.
fn parts<'a>(path: &'a str, root: &str, agent: &str) -> Option<Parts<'a>> {
    let below = path.strip_prefix(root).filter(|rest| rest.starts_with('/')).unwrap_or(path);
    let below = below.trim_start_matches('/');
    if let Some(rest) = below.strip_prefix("sandboxes/").filter(|_| path.starts_with(root)) {
        let (name, inside) = rest.split_once('/').unwrap_or((rest, ""));
        return Some(Parts::Real(name, inside));
    }
    let below = match below.strip_prefix("slaves/") {
        Some(rest) => rest.strip_prefix(agent)?.strip_prefix('/')?,
        None => below,
    };
    let mut words = below.splitn(7, '/');
    let mut next =
        |wanted: Option<&str>| words.next().filter(|word| wanted.is_none_or(|wanted| wanted == *word));
    next(Some("frameworks"))?;
    let framework = next(None)?;
    next(Some("executors"))?;
    let executor = next(None)?;
    next(Some("runs"))?;
    let run = next(None)?;
    Some(Parts::Run(framework, executor, run, words.next().unwrap_or_default()))
}

/// The sandbox that a path leads to, and what of it.
pub(in crate::http) fn locate(shell: &Shell, path: &str) -> Option<(Sandbox, String)> {
    let root = shell.data_dir.root().to_str()?;
    let sandboxes = shell.data_dir.sandboxes();
    match parts(path, root, shell.node.config().agent.as_str())? {
        Parts::Real(name, inside) => Some((Sandbox::of(&sandboxes, name)?, inside.to_owned())),
        Parts::Run(framework, executor, container, inside) => {
            let name = sandbox_of(shell, framework, executor, container)?;
            Some((Sandbox::of(&sandboxes, &name)?, inside.to_owned()))
        }
    }
}

fn sandbox_of(shell: &Shell, framework: &str, executor: &str, container: &str) -> Option<String> {
    let named = |run: &&Run| {
        run.framework == framework
            && run.executor == executor
            && (container == "latest" || run.container == container)
    };
    let held = runs(shell).iter().rev().find(named).map(|run| run.sandbox.clone());
    held.or_else(|| {
        // One that is over: its directory stays for a while, and is known by its run alone.
        let released = shell.node.saved().released().iter().rev();
        let mut ended = released.filter(|released| released.instance.as_str() == container);
        ended.next()?.tasks.first().map(ToString::to_string)
    })
}

/// All virtual paths, and what each leads to.
pub(in crate::http) fn all(shell: &Shell) -> Vec<(String, String)> {
    let sandboxes = shell.data_dir.sandboxes();
    let mut all = Vec::new();
    for run in runs(shell) {
        let real = sandboxes.join(Path::new(&run.sandbox)).display().to_string();
        let directory = run.directory(shell);
        let latest = directory.strip_suffix(&run.container).map(|runs| format!("{runs}latest"));
        let Run { framework, executor, .. } = &run;
        all.extend(latest.map(|path| (path, real.clone())));
        all.push((format!("/frameworks/{framework}/executors/{executor}/runs/latest"), real.clone()));
        all.push((directory, real));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        let run = |inside| Some(Parts::Run("f-1", "e", "latest", inside));
        for (path, found) in [
            ("/data/sandboxes/t.1/d/f", Some(Parts::Real("t.1", "d/f"))),
            ("/data/sandboxes/t.1", Some(Parts::Real("t.1", ""))),
            ("/data/slaves/a1/frameworks/f-1/executors/e/runs/latest/stdout", run("stdout")),
            ("/slaves/a1/frameworks/f-1/executors/e/runs/latest", run("")),
            ("/frameworks/f-1/executors/e/runs/latest/tasks/t/stdout", run("tasks/t/stdout")),
            ("frameworks/f-1/executors/e/runs/latest", run("")),
            ("/data/slaves/a2/frameworks/f-1/executors/e/runs/latest", None),
            ("/frameworks/f-1/executors/e/runs", None),
            ("/frameworks/f-1/executor/e/runs/latest", None),
            ("/sandboxes/t.1/f", None),
            ("/database/sandboxes/t.1", None),
            ("/data/journal", None),
            ("/etc/passwd", None),
            ("", None),
        ] {
            assert_eq!(parts(path, "/data", "a1"), found, "{path}");
        }
    }
}
