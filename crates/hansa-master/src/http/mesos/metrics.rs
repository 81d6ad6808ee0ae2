//! `/metrics/snapshot`: numbers by the names that exporters scrape. A name that is missing counts as an error with them, so
//! all are there; what there is nothing of is zero.

use super::Mesos;
use super::spoken::Spoken;
use crate::cell::{Answer, Request};
use crate::metrics::HistogramView;
use crate::read_model::{ReadModel, STATES};
use hansa_model::event::AgentState;
use hansa_model::framework::Source;
use hansa_model::resources::MIB;
use hansa_model::role::Totals;
use hansa_model::task::TaskState;
use hansa_model::{Principal, RoleName};
use std::collections::BTreeMap;

/// What is always zero here: counters of messages of a protocol that is not spoken, and of things that there are not.
const ZERO: [&str; 77] = [
    "master/cpus_revocable_percent",
    "master/cpus_revocable_total",
    "master/cpus_revocable_used",
    "master/disk_revocable_percent",
    "master/disk_revocable_total",
    "master/disk_revocable_used",
    "master/gpus_revocable_percent",
    "master/gpus_revocable_total",
    "master/gpus_revocable_used",
    "master/mem_revocable_percent",
    "master/mem_revocable_total",
    "master/mem_revocable_used",
    "master/dropped_messages",
    "master/event_queue_dispatches",
    "master/event_queue_http_requests",
    "master/event_queue_messages",
    "master/http_cache_hits",
    "master/invalid_executor_to_framework_messages",
    "master/invalid_framework_to_executor_messages",
    "master/invalid_operation_status_update_acknowledgements",
    "master/invalid_status_update_acknowledgements",
    "master/invalid_status_updates",
    "master/messages_authenticate",
    "master/messages_deactivate_framework",
    "master/messages_decline_offers",
    "master/messages_executor_to_framework",
    "master/messages_exited_executor",
    "master/messages_framework_to_executor",
    "master/messages_kill_task",
    "master/messages_launch_tasks",
    "master/messages_operation_status_update",
    "master/messages_operation_status_update_acknowledgement",
    "master/messages_reconcile_operations",
    "master/messages_reconcile_tasks",
    "master/messages_register_framework",
    "master/messages_register_slave",
    "master/messages_reregister_framework",
    "master/messages_reregister_slave",
    "master/messages_resource_request",
    "master/messages_revive_offers",
    "master/messages_status_update",
    "master/messages_status_update_acknowledgement",
    "master/messages_suppress_offers",
    "master/messages_unregister_framework",
    "master/messages_unregister_slave",
    "master/messages_update_slave",
    "master/operations/failed",
    "master/operations/finished",
    "master/operations/pending",
    "master/recovery_slave_removals",
    "master/slave_removals/reason_registered",
    "master/slave_removals/reason_unhealthy",
    "master/slave_removals/reason_unregistered",
    "master/slave_shutdowns_canceled",
    "master/slave_shutdowns_completed",
    "master/slave_shutdowns_scheduled",
    "master/slave_unreachable_canceled",
    "master/tasks_lost",
    "master/valid_executor_to_framework_messages",
    "master/valid_framework_to_executor_messages",
    "master/valid_operation_status_update_acknowledgements",
    "allocator/event_queue_dispatches",
    "allocator/mesos/event_queue_dispatches",
    "allocator/mesos/allocation_runs",
    "allocator/mesos/allocation_run_ms",
    "allocator/mesos/allocation_run_ms/count",
    "allocator/mesos/allocation_run_ms/max",
    "allocator/mesos/allocation_run_ms/min",
    "allocator/mesos/allocation_run_ms/p50",
    "allocator/mesos/allocation_run_ms/p90",
    "allocator/mesos/allocation_run_ms/p95",
    "allocator/mesos/allocation_run_ms/p99",
    "allocator/mesos/allocation_run_ms/p999",
    "allocator/mesos/allocation_run_ms/p9999",
    "registrar/queued_operations",
    "registrar/state_fetch_ms",
    "registrar/registry_size_bytes",
];

/// States of Mesos' that no task is in here.
const NONE: [&str; 2] = ["active/task_unknown", "terminal/task_lost"];

/// All numbers by name.
pub(super) async fn numbers(mesos: &Mesos) -> BTreeMap<String, f64> {
    let filters = filters(mesos).await;
    let mut all = Numbers(ZERO.iter().map(|name| ((*name).to_owned(), 0.0)).collect());
    let master = &mesos.master;
    let now = crate::clock::now();
    all.put("master/uptime_secs", now.since(master.identity().started_at) as f64 / 1000.0);
    all.put("master/elected", 1.0);
    all.put("master/operator_event_stream_subscribers", mesos.subscribers.count() as f64);
    all.put("registrar/log/recovered", 1.0);
    all.put("registrar/log/ensemble_size", 1.0);
    all.times("registrar/state_store_ms", &master.metrics().write_seconds.view());
    for suffix in ["", "/count", "/min", "/max", "/p50", "/p90", "/p95", "/p99", "/p999", "/p9999"] {
        all.put(&format!("allocator/mesos/allocation_run_latency_ms{suffix}"), 0.0);
    }
    {
        let model = master.read();
        agents(&mut all, &model);
        tasks(&mut all, &model);
        mesos.spoken.keep(|id| model.framework(id.as_str()).is_some());
        frameworks(&mut all, &model, &mesos.spoken);
        roles(&mut all, &model);
    }
    for (role, count) in filters {
        let name = encoded(role.as_str());
        all.put(&format!("allocator/mesos/offer_filters/roles/{name}/active"), count as f64);
    }
    system(&mut all);
    all.0
}

/// How many refusals hold, which only the allocator knows. Without an answer (the master ends) there are none.
async fn filters(mesos: &Mesos) -> BTreeMap<RoleName, u64> {
    match mesos.master.submit(Principal::loopback(), Request::CountFilters).await {
        Ok((_, Answer::Filters(filters))) => filters,
        _ => BTreeMap::new(),
    }
}

struct Numbers(BTreeMap<String, f64>);

impl Numbers {
    fn put(&mut self, name: &str, value: f64) {
        self.0.insert(name.to_owned(), value);
    }

    fn add(&mut self, name: &str, value: f64) {
        *self.0.entry(name.to_owned()).or_default() += value;
    }

    /// A histogram as Mesos' timers are told, in milliseconds; percentiles are upper bounds of buckets.
    fn times(&mut self, name: &str, view: &HistogramView) {
        let share = |share: f64| {
            let wanted = (view.count as f64 * share).ceil() as u64;
            let bucket = view.cumulative.iter().find(|(_, count)| view.count > 0 && *count >= wanted);
            bucket.map_or(0.0, |(bound, _)| bound * 1000.0)
        };
        let mean = if view.count == 0 { 0.0 } else { view.sum / view.count as f64 * 1000.0 };
        self.put(name, mean);
        self.put(&format!("{name}/count"), view.count as f64);
        for (suffix, value) in [
            ("min", share(0.0)),
            ("max", share(1.0)),
            ("p50", share(0.5)),
            ("p90", share(0.9)),
            ("p95", share(0.95)),
            ("p99", share(0.99)),
            ("p999", share(0.999)),
            ("p9999", share(0.9999)),
        ] {
            self.put(&format!("{name}/{suffix}"), value);
        }
    }
}

fn agents(all: &mut Numbers, model: &ReadModel) {
    let count = |wanted: fn(AgentState) -> bool| {
        model.agents().filter(|agent| wanted(agent.view.state)).count() as f64
    };
    use AgentState::*;
    all.put("master/slaves_active", count(|state| state == Active));
    all.put("master/slaves_inactive", count(|state| matches!(state, Deactivated | Draining | Disconnected)));
    all.put("master/slaves_connected", count(|state| matches!(state, Active | Deactivated | Draining)));
    all.put("master/slaves_disconnected", count(|state| state == Disconnected));
    all.put("master/slaves_unreachable", count(|state| state == Unreachable));
    let tallies = model.tallies();
    all.put("master/slave_registrations", tallies.agents_registered as f64);
    all.put("master/slave_reregistrations", tallies.agents_reregistered as f64);
    all.put("master/slave_removals", tallies.agents_removed as f64);
    all.put("master/slave_unreachable_scheduled", tallies.agents_unreachable as f64);
    all.put("master/slave_unreachable_completed", tallies.agents_unreachable as f64);
    let (total, allocated, _) = crate::http::views::sums(model);
    let offered = model.offered();
    let kinds = |of: &Totals| {
        [
            ("cpus", of.cpus_milli as f64 / 1000.0),
            ("gpus", of.gpus_milli as f64 / 1000.0),
            ("mem", (of.mem / MIB) as f64),
            ("disk", (of.disk / MIB) as f64),
        ]
    };
    for (((kind, total), (_, used)), (_, offered)) in
        kinds(&total).into_iter().zip(kinds(&allocated)).zip(kinds(&offered))
    {
        all.put(&format!("master/{kind}_total"), total);
        all.put(&format!("master/{kind}_used"), used);
        all.put(&format!("master/{kind}_percent"), if total > 0.0 { used / total } else { 0.0 });
        all.put(&format!("allocator/mesos/resources/{kind}/total"), total);
        all.put(&format!("allocator/mesos/resources/{kind}/offered_or_allocated"), used + offered);
    }
}

fn tasks(all: &mut Numbers, model: &ReadModel) {
    use TaskState::*;
    let counts = model.counts();
    for (name, state) in [
        ("staging", Staging),
        ("starting", Starting),
        ("running", Running),
        ("killing", Killing),
        ("unreachable", Unreachable),
    ] {
        all.put(&format!("master/tasks_{name}"), f64::from(counts.in_state(state)));
    }
    let tallies = model.tallies();
    for (name, state) in [
        ("finished", Finished),
        ("failed", Failed),
        ("killed", Killed),
        ("error", Error),
        ("dropped", Dropped),
        ("gone", Gone),
        ("gone_by_operator", GoneByOperator),
    ] {
        all.put(&format!("master/tasks_{name}"), tallies.ended_in(state) as f64);
    }
    for ((state, source, reason), count) in tallies.reasons() {
        let source = match source {
            Source::SourceMaster => "master",
            // The names of metrics have never followed the change of words.
            Source::SourceAgent => "slave",
            Source::SourceExecutor => "executor",
        };
        let (state, reason) = (state.name().to_lowercase(), reason.name().to_lowercase());
        all.put(&format!("master/{state}/source_{source}/{reason}"), count as f64);
    }
    all.put("master/valid_status_updates", tallies.updates as f64);
    all.put("master/valid_status_update_acknowledgements", tallies.updates as f64);
}

fn frameworks(all: &mut Numbers, model: &ReadModel, spoken: &Spoken) {
    // The services are one, and always there.
    let (mut connected, mut disconnected) = (1.0, 0.0);
    for framework in model.frameworks() {
        let view = &framework.view;
        if view.connected {
            connected += 1.0
        } else {
            disconnected += 1.0
        }
        let name =
            format!("master/frameworks/{}/{}", encoded(&view.info.name), encoded(view.info.id.as_str()));
        all.put(&format!("{name}/subscribed"), f64::from(u8::from(view.connected)));
        let offers = &framework.offers;
        all.put(&format!("{name}/offers/sent"), offers.sent as f64);
        all.put(&format!("{name}/offers/accepted"), offers.accepted as f64);
        all.put(&format!("{name}/offers/declined"), offers.declined as f64);
        all.put(&format!("{name}/offers/rescinded"), offers.rescinded as f64);
        for (what, count) in spoken.numbers(&view.info.id) {
            all.put(&format!("{name}/{what}"), count as f64);
        }
        for state in NONE {
            all.put(&format!("{name}/tasks/{state}"), 0.0);
        }
        for state in STATES {
            let (kind, ended) =
                if state.is_terminal() { ("terminal", framework.ended_in(state)) } else { ("active", 0) };
            all.put(&format!("{name}/tasks/{kind}/{}", state.name().to_lowercase()), ended as f64);
        }
        for role in &view.info.roles {
            // Until the allocator says more.
            all.put(&format!("allocator/mesos/offer_filters/roles/{}/active", encoded(role.as_str())), 0.0);
            let is_suppressed = view.suppressed.contains(role);
            let name = format!("{name}/roles/{}/suppressed", encoded(role.as_str()));
            all.put(&name, f64::from(u8::from(is_suppressed)));
        }
        for told in model.told_of(&view.info.id).filter(|told| !told.view.status.state.is_terminal()) {
            all.add(&format!("{name}/tasks/active/{}", told.view.status.state.name().to_lowercase()), 1.0);
        }
    }
    all.put("master/frameworks_active", connected);
    all.put("master/frameworks_connected", connected);
    all.put("master/frameworks_disconnected", disconnected);
    all.put("master/frameworks_inactive", disconnected);
    all.put("master/outstanding_offers", model.offers().len() as f64);
}

fn roles(all: &mut Numbers, model: &ReadModel) {
    for view in model.roles() {
        let name = encoded(view.role.name.as_str());
        let bounds = [("guarantee", &view.role.guarantee), ("limit", &view.role.limit)];
        let mut has_quota = false;
        for (what, bound) in bounds {
            for (kind, value) in super::legacy::bound(bound) {
                has_quota = true;
                all.put(&format!("allocator/mesos/quota/roles/{name}/resources/{kind}/{what}"), value);
            }
        }
        if has_quota {
            for (kind, value) in super::legacy::sums::named(&view.allocated) {
                let used =
                    format!("allocator/mesos/quota/roles/{name}/resources/{kind}/offered_or_allocated");
                all.put(&used, value);
            }
        }
    }
}

/// Of this machine.
fn system(all: &mut Numbers) {
    let cpus = std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
    all.put("system/cpus_total", cpus);
    let loads = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut loads = loads.split(' ').map(|load| load.parse().unwrap_or(0.0));
    for name in ["system/load_1min", "system/load_5min", "system/load_15min"] {
        all.put(name, loads.next().unwrap_or(0.0));
    }
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let bytes = |name: &str| {
        let line = memory.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
        kib.unwrap_or(0.0) * 1024.0
    };
    all.put("system/mem_total_bytes", bytes("MemTotal"));
    all.put("system/mem_free_bytes", bytes("MemFree"));
}

/// A name as part of a metric's: what would look like a boundary is escaped.
fn encoded(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b'.' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_where_they_would_divide() {
        assert_eq!(encoded("a b/c.d"), "a%20b%2Fc.d");
    }

    #[test]
    fn times_are_told_in_milliseconds() {
        let view =
            HistogramView { cumulative: vec![(0.001, 90), (0.01, 99), (0.1, 100)], count: 100, sum: 0.5 };
        let mut all = Numbers(BTreeMap::new());
        all.times("t", &view);
        assert_eq!((all.0["t"], all.0["t/count"]), (5.0, 100.0));
        assert_eq!((all.0["t/p50"], all.0["t/p95"], all.0["t/p999"]), (1.0, 10.0, 100.0));
    }
}
