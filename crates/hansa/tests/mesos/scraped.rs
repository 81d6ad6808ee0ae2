//! A.12: the names of metrics that exporters ask for. One that is missing is an error with them.

use crate::World;
use crate::agents::any_agent;
use crate::cases;
use crate::scheduler::{Scheduler, info, info_with, launch, task};
use crate::wire::Request;
use serde_json::Value;

cases! {
    of_masters: "every name of a master's that is scraped",
    of_frameworks: "a framework's own names come and go with it",
    of_allocators: "names of registrar and allocator",
    of_agents: "every name of an agent's that is scraped",
    counting: "what is counted is counted",
    filters: "filters are counted by role, for as long as they hold",
    reasons: "tasks that end for a reason are counted by state, source and reason",
}

async fn snapshot(address: &str) -> Value {
    let all = Request::get("/metrics/snapshot").send(address).await.json();
    for (name, value) in all.as_object().expect("an object") {
        assert!(value.is_number(), "{name} is {value}");
    }
    all
}

/// All of these are there; `{a,b}` stands for either, one after the other.
fn has(all: &Value, names: &str) {
    for pattern in names.split_whitespace() {
        let mut names = vec![String::new()];
        let mut rest = pattern;
        while let Some((before, more)) = rest.split_once('{') {
            let (inside, after) = more.split_once('}').expect("a closing brace");
            let each = |name: &String| -> Vec<String> {
                inside.split(',').map(|word| format!("{name}{before}{word}")).collect()
            };
            names = names.iter().flat_map(each).collect();
            rest = after;
        }
        for name in names {
            let name = format!("{name}{rest}");
            assert!(all[&name].is_number(), "{name}");
        }
    }
}

async fn of_masters(world: &World) {
    let all = snapshot(&world.master).await;
    has(
        &all,
        "master/{uptime_secs,elected} master/{cpus,gpus,mem,disk}_{total,used,percent} \
         master/{cpus,gpus,mem,disk}_revocable_{total,used,percent} \
         master/slaves_{connected,disconnected,active,inactive,unreachable} \
         master/slave_{registrations,reregistrations,removals} \
         master/slave_removals/reason_{registered,unhealthy,unregistered} master/recovery_slave_removals \
         master/slave_unreachable_{scheduled,canceled,completed} master/slave_shutdowns_{scheduled,canceled,completed} \
         master/frameworks_{active,connected,disconnected,inactive} master/outstanding_offers \
         master/tasks_{staging,starting,running,killing,finished,failed,killed,error,lost,dropped,unreachable,gone,gone_by_operator} \
         master/{valid,invalid}_{status_updates,status_update_acknowledgements,framework_to_executor_messages,executor_to_framework_messages,operation_status_update_acknowledgements} \
         master/messages_{authenticate,deactivate_framework,decline_offers,executor_to_framework,exited_executor,framework_to_executor,kill_task,launch_tasks,reconcile_tasks,register_framework,register_slave,reregister_framework,reregister_slave,resource_request,revive_offers,status_update,status_update_acknowledgement,suppress_offers,unregister_framework,unregister_slave,update_slave} \
         master/dropped_messages master/event_queue_{dispatches,http_requests,messages} \
         master/operator_event_stream_subscribers system/cpus_total system/load_{1min,5min,15min} \
         system/mem_{free,total}_bytes",
    );
}

async fn of_frameworks(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("scraped by name")).await;
    let all = snapshot(&world.master).await;
    let prefix = format!("master/frameworks/scraped%20by%20name/{}", framework.id);
    let names = "subscribed offers/{sent,accepted,declined,rescinded} calls events operations \
                 calls/{subscribe,teardown,accept,decline,accept_inverse_offers,decline_inverse_offers,revive,kill} \
                 calls/{shutdown,acknowledge,acknowledge_operation_status,reconcile,reconcile_operations,message} \
                 calls/{request,suppress,update_framework} \
                 events/{subscribed,offers,inverse_offers,rescind,rescind_inverse_offer,update} \
                 events/{update_operation_status,message,failure,error,heartbeat} \
                 operations/{launch,launch_group,reserve,unreserve,create,destroy,grow_volume,shrink_volume} \
                 operations/{create_disk,destroy_disk} \
                 tasks/active/task_{staging,starting,running,killing,unreachable,unknown} \
                 tasks/terminal/task_{finished,failed,killed,error,lost,dropped,gone,gone_by_operator}";
    let names: Vec<String> = names.split_whitespace().map(|name| format!("{prefix}/{name}")).collect();
    has(&all, &names.join(" "));
    let number = |all: &Value, name: &str| all[format!("{prefix}/{name}")].as_f64();
    assert_eq!((number(&all, "subscribed"), number(&all, "calls/subscribe")), (Some(1.0), Some(1.0)));
    assert_eq!((number(&all, "calls"), number(&all, "events/subscribed")), (Some(1.0), Some(1.0)));
    // What it says and what it is told is counted by kind.
    framework.run("scraped-by-name", "sleep 0.1").await;
    framework.until("scraped-by-name", "TASK_FINISHED").await;
    framework.call(serde_json::json!({"type": "SUPPRESS"})).await;
    let all = snapshot(&world.master).await;
    let counted =
        ["calls/accept", "calls/suppress", "operations", "operations/launch", "tasks/terminal/task_finished"];
    for name in counted {
        assert_eq!(number(&all, name), Some(1.0), "{name}");
    }
    assert!(
        number(&all, "calls/acknowledge") >= Some(2.0) && number(&all, "events/update") >= Some(2.0),
        "{all}"
    );
    assert_eq!(number(&all, "calls/revive"), Some(0.0));
    framework.teardown().await;
    let begun = std::time::Instant::now();
    while !snapshot(&world.master).await[format!("{prefix}/calls")].is_null() {
        assert!(begun.elapsed() < crate::PATIENCE, "it goes with its framework");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn of_allocators(world: &World) {
    let framework = Scheduler::subscribe(world, &info_with("scraped", "scraped", &["MULTI_ROLE"])).await;
    let all = snapshot(&world.master).await;
    has(
        &all,
        "registrar/state_store_ms registrar/state_store_ms/{count,min,max,p50,p90,p95,p99,p999,p9999} \
         registrar/{state_fetch_ms,queued_operations,registry_size_bytes} registrar/log/{recovered,ensemble_size} \
         allocator/mesos/{allocation_runs,event_queue_dispatches,allocation_run_ms,allocation_run_latency_ms} \
         allocator/mesos/{allocation_run_ms,allocation_run_latency_ms}/{count,min,max,p50,p90,p95,p99,p999,p9999} \
         allocator/mesos/resources/{cpus,mem,disk}/{total,offered_or_allocated} \
         allocator/mesos/offer_filters/roles/scraped/active",
    );
    framework.teardown().await;
}

async fn of_agents(world: &World) {
    let all = snapshot(&any_agent(world).await).await;
    has(
        &all,
        "slave/{uptime_secs,registered,recovery_errors,recovery_time_secs} \
         slave/{cpus,gpus,mem,disk}_{total,used,percent} slave/{cpus,gpus,mem,disk}_revocable_{total,used,percent} \
         slave/executors_{registering,running,terminating,terminated,preempted} \
         slave/executor_directory_max_allowed_age_secs slave/frameworks_active slave/container_launch_errors \
         slave/tasks_{staging,starting,running,killing,finished,failed,killed,lost,gone} \
         slave/{valid,invalid}_{status_updates,framework_messages} gc/path_removals_{pending,succeeded,failed} \
         containerizer/mesos/container_destroy_errors containerizer/fetcher/task_fetches/{succeeded,failed} \
         containerizer/fetcher/cache_size_{total,used}_bytes system/cpus_total system/load_{1min,5min,15min} \
         system/mem_{free,total}_bytes",
    );
    assert_eq!(all["slave/registered"], 1.0);
}

async fn counting(world: &World) {
    let number = |all: &Value, name: &str| all[name].as_f64().unwrap_or_else(|| panic!("{name}"));
    let mut framework = Scheduler::subscribe(world, &info("scraped")).await;
    // What others left behind may still be ending, and what is used is told with a little delay.
    let until = async |what: &str, is: &dyn Fn(&Value) -> bool| {
        let begun = std::time::Instant::now();
        loop {
            let all = snapshot(&world.master).await;
            if is(&all) {
                return all;
            }
            assert!(begun.elapsed() < crate::PATIENCE, "{what}: {all}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let idle = |all: &Value| all["master/tasks_running"] == 0.0 && number(all, "master/cpus_used") == 0.0;
    let before = until("nothing runs", &idle).await;
    framework.run("counted", "sleep 100000").await;
    let after = until("it is used", &|all| (number(all, "master/cpus_used") - 0.1).abs() < 1e-6).await;
    assert_eq!(
        (&after["master/tasks_running"], &after["master/tasks_starting"]),
        (&Value::from(1.0), &Value::from(0.0))
    );
    let more = number(&after, "master/valid_status_updates") - number(&before, "master/valid_status_updates");
    assert!(more >= 2.0, "{more}");
    framework.teardown().await;
}

async fn filters(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info_with("scraped", "declines", &["MULTI_ROLE"])).await;
    let name = "allocator/mesos/offer_filters/roles/declines/active";
    assert_eq!(snapshot(&world.master).await[name], 0.0);
    let offer = framework.offer().await;
    framework.decline(&offer, 1000.0).await;
    let until = async |wanted: f64| {
        let begun = std::time::Instant::now();
        loop {
            let all = snapshot(&world.master).await;
            if all[name] == wanted {
                break;
            }
            assert!(begun.elapsed() < crate::PATIENCE, "{wanted}: {all}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    until(1.0).await;
    framework.call(serde_json::json!({"type": "REVIVE"})).await;
    until(0.0).await;
    framework.teardown().await;
}

async fn reasons(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("scraped")).await;
    let offer = framework.offer().await;
    let mut task = task("fails", &offer, "true");
    task["command"]["uris"] = serde_json::json!([{"value": "/no/such/file"}]);
    framework.accept(&offer, &[launch(&[task])]).await;
    framework.until("fails", "TASK_FAILED").await;
    let all = snapshot(&world.master).await;
    let name = "master/task_failed/source_slave/reason_container_launch_failed";
    assert!(all[name].as_f64() >= Some(1.0), "{all}");
    framework.teardown().await;
}
