//! Every kind of death that a cluster must survive, with real processes. Tasks write their starts to a file, and the
//! tests read from it that nothing ran twice.

mod support;

use hansa_model::event::AgentState;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::{Cluster, app, signal, so, until};

const APP: &str = "/heal";

/// A cluster of so many agents on which so many sleepers run.
async fn sleepers(agents: usize, instances: u32) -> Cluster {
    let cluster = Cluster::start(agents).await;
    let definition = app(APP, &cluster.journal().sleeper(), instances);
    let _: Value = cluster.http.post("/v2/apps", &definition).await.unwrap();
    cluster.http.settled(APP, instances as usize).await;
    // A task runs a moment before its first line is written.
    until("all have written their start", async || {
        so(cluster.journal().starts().len() == instances as usize, ())
    })
    .await;
    cluster
}

fn ids(tasks: &[hansa_api::hansa::Task]) -> BTreeSet<String> {
    tasks.iter().map(|task| task.id.to_string()).collect()
}

#[tokio::test]
async fn a_killed_task_is_replaced() {
    let cluster = sleepers(1, 2).await;
    let before = ids(&cluster.http.running(APP).await.unwrap());
    let (pid, victim) = cluster.processes().into_iter().next().expect("a task's process");
    signal(pid, libc::SIGKILL);
    until("the victim is gone", async || {
        let now = ids(&cluster.http.running(APP).await?);
        so(!now.contains(&victim), now)
    })
    .await;
    let after = ids(&cluster.http.settled(APP, 2).await);
    assert_eq!(before.intersection(&after).count(), 1, "the other was not touched");
    until("the replacement has started", async || so(cluster.journal().starts().len() == 3, ())).await;
    cluster.journal().nothing_ran_twice();
    let shown: Value = cluster.http.get(&format!("/v2/apps{APP}")).await.unwrap();
    assert_eq!(shown["app"]["lastTaskFailure"]["taskId"], victim.as_str(), "{shown}");
}

#[tokio::test]
async fn a_task_whose_shim_is_killed_is_cleaned_up_and_replaced() {
    let cluster = sleepers(1, 2).await;
    let before = ids(&cluster.http.running(APP).await.unwrap());
    let shims = cluster.shims(0);
    assert_eq!(shims.len(), 2, "a shim for each task");
    signal(shims[0], libc::SIGKILL);
    until("a task is replaced", async || {
        let now = ids(&cluster.http.running(APP).await?);
        so(now != before && now.len() == 2, now)
    })
    .await;
    let after = ids(&cluster.http.settled(APP, 2).await);
    until("the replacement has started", async || so(cluster.journal().starts().len() == 3, ())).await;
    cluster.journal().nothing_ran_twice();
    // No process of the first task survives its shim.
    until("only the running tasks have processes", async || {
        let alive: BTreeSet<String> = cluster.processes().into_values().collect();
        so(alive == after, alive)
    })
    .await;
}

#[tokio::test]
async fn tasks_outlive_their_agent_and_nothing_is_missed() {
    let mut cluster = sleepers(1, 3).await;
    // A task that ends with 7 after it was told to, by a file, with a last word.
    let flag = cluster.directory.join("now");
    let command = format!("while ! [ -e {} ]; do sleep 0.05; done; echo last word; exit 7", flag.display());
    let mut definition = app("/ends", &command, 1);
    definition["backoffSeconds"] = json!(3600);
    definition["maxLaunchDelaySeconds"] = json!(3600);
    let _: Value = cluster.http.post("/v2/apps", &definition).await.unwrap();
    let ending = cluster.http.settled("/ends", 1).await.remove(0);
    let before = ids(&cluster.http.running(APP).await.unwrap());
    let processes = cluster.processes();
    let sleepers = |all: &std::collections::BTreeMap<u32, String>| -> BTreeSet<u32> {
        all.iter().filter(|(_, task)| before.contains(*task)).map(|(pid, _)| *pid).collect()
    };

    cluster.kill_agent(0).await;
    assert_eq!(sleepers(&cluster.processes()), sleepers(&processes), "the tasks run on");
    std::fs::write(&flag, "").unwrap();
    until("the task has ended behind the agent's back", async || {
        let alive = cluster.processes();
        so(!alive.values().any(|task| *task == ending.id.as_str()), alive)
    })
    .await;
    cluster.start_agent(0);
    cluster.all_active().await;

    let failure = until("the exit is reported", async || {
        let shown: Value = cluster.http.get("/v2/apps/ends").await?;
        let failure = shown["app"]["lastTaskFailure"].clone();
        so(failure["taskId"] == ending.id.as_str(), &shown)?;
        Ok(failure)
    })
    .await;
    assert_eq!(failure["state"], "TASK_FAILED", "{failure}");
    assert!(failure["message"].as_str().unwrap().contains('7'), "{failure}");
    let output = std::process::Command::new("grep")
        .args(["-rl", "--include=stdout", "last word"])
        .arg(&cluster.agents[0].data_dir)
        .output()
        .unwrap();
    assert!(!output.stdout.is_empty(), "the output is kept");

    assert_eq!(ids(&cluster.http.settled(APP, 3).await), before, "the same tasks");
    assert_eq!(sleepers(&cluster.processes()), sleepers(&processes), "and the same processes");
    assert_eq!(cluster.journal().nothing_ran_twice(), 3);
}

#[tokio::test]
async fn an_agent_that_stops_cleanly_leaves_its_tasks() {
    let mut cluster = sleepers(1, 2).await;
    let before = (ids(&cluster.http.running(APP).await.unwrap()), cluster.processes());
    cluster.stop_agent(0).await;
    until("the master knows", async || {
        let nodes = cluster.http.nodes().await?;
        so(nodes[0].state == AgentState::Disconnected, nodes)
    })
    .await;
    cluster.start_agent(0);
    cluster.all_active().await;
    let after = (ids(&cluster.http.settled(APP, 2).await), cluster.processes());
    assert_eq!(before, after, "the same tasks and processes");
    assert_eq!(cluster.journal().nothing_ran_twice(), 2);
}

#[tokio::test]
async fn an_agent_that_drains_on_stop_leaves_nothing_and_takes_work_again() {
    let mut cluster = sleepers(2, 4).await;
    cluster.stop_agent(0).await;
    cluster.add_argument(0, "--drain-on-stop");
    cluster.start_agent(0);
    cluster.all_active().await;
    cluster.http.settled(APP, 4).await;
    cluster.stop_agent(0).await;
    let sandboxes = support::processes_with("MESOS_SANDBOX");
    let left =
        sandboxes.values().filter(|path| std::path::Path::new(path).starts_with(&cluster.agents[0].data_dir));
    assert_eq!(left.count(), 0, "nothing runs there any more");
    let running = cluster.http.settled(APP, 4).await;
    assert!(running.iter().all(|task| task.hostname == "node2"), "{running:?}");
    cluster.journal().nothing_ran_twice();
    cluster.start_agent(0);
    cluster.all_active().await;
}

#[tokio::test]
async fn a_lost_machine_is_replaced_by_the_others_and_may_return() {
    let mut cluster = sleepers(3, 6).await;
    let before = cluster.http.running(APP).await.unwrap();
    let lost_name = before[0].hostname.clone();
    let lost = cluster.agents.iter().position(|agent| agent.name == lost_name).expect("one of ours");
    let (there, elsewhere): (Vec<_>, Vec<_>) =
        before.into_iter().partition(|task| task.hostname == lost_name);

    cluster.kill_machine(lost).await;
    let after = until("six run on the other machines", async || {
        let running = cluster.http.running(APP).await?;
        let good = running.iter().filter(|task| task.hostname != lost_name).count();
        so(good == 6, &running)?;
        Ok(running)
    })
    .await;
    let after = ids(&after);
    assert!(ids(&elsewhere).is_subset(&after), "what ran elsewhere was not touched");
    assert!(ids(&there).is_disjoint(&after));

    cluster.start_agent(lost);
    cluster.all_active().await;
    assert_eq!(ids(&cluster.http.settled(APP, 6).await), after, "its return changes nothing");
    assert_eq!(cluster.journal().nothing_ran_twice(), 6 + there.len());
    until("only what should run has processes", async || {
        let alive: BTreeSet<String> = cluster.processes().into_values().collect();
        so(alive == after, alive)
    })
    .await;
}

#[tokio::test]
async fn a_master_killed_in_the_middle_of_a_deployment_goes_on_with_it() {
    const INSTANCES: u32 = 500;
    let mut cluster = Cluster::start(4).await;
    let definition = app(APP, &cluster.journal().sleeper(), INSTANCES);
    let started: Value = cluster.http.post("/v2/apps", &definition).await.unwrap();
    // Kill it three times, as soon as something has been started each time; whatever is half done then stays so.
    for least in [1, 100, 300] {
        until("some have started", async || so(cluster.journal().starts().len() >= least, ())).await;
        cluster.kill_master().await;
        cluster.start_master();
        until("the intent is there", async || {
            let service = cluster.http.service(APP).await?;
            so(service.instances == INSTANCES, service)
        })
        .await;
    }
    let tasks = cluster.http.settled(APP, INSTANCES as usize).await;
    until("all have written their start", async || {
        so(cluster.journal().starts().len() >= INSTANCES as usize, ())
    })
    .await;
    assert_eq!(cluster.journal().nothing_ran_twice(), INSTANCES as usize, "no instance was started in vain");
    assert_eq!(
        ids(&tasks),
        cluster.journal().starts().into_iter().collect(),
        "what was started is what runs"
    );
    assert!(started["deployments"][0]["id"].is_string(), "{started}");
}

#[tokio::test]
async fn an_older_copy_of_the_store_costs_no_running_task() {
    let mut cluster = sleepers(2, 4).await;
    cluster.kill_master().await;
    let copy = cluster.directory.join("copy");
    copy_directory(&cluster.store(), &copy);
    cluster.start_master();
    cluster.all_active().await;
    // What the copy does not know: more instances.
    let _: Value = cluster.http.put(&format!("/v2/apps{APP}"), &json!({"instances": 7})).await.unwrap();
    cluster.http.settled(APP, 7).await;
    until("all have written their start", async || so(cluster.journal().starts().len() == 7, ())).await;
    let processes = cluster.processes();

    cluster.kill_master().await;
    std::fs::remove_dir_all(cluster.store()).unwrap();
    copy_directory(&copy, &cluster.store());
    cluster.start_master();
    cluster.all_active().await;
    until("the running tasks are adopted", async || {
        let running = cluster.http.running(APP).await?;
        so(running.len() == 7, running)
    })
    .await;
    assert_eq!(cluster.processes(), processes, "no task was killed, none was started");
    assert_eq!(cluster.journal().nothing_ran_twice(), 7);
}

fn copy_directory(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
