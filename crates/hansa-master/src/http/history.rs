//! `/hansa/v1/history` and `/hansa/v1/usage`: what was used and given when, for charts, and what a service asks for against
//! what it uses.
//!
//! Of the cluster, machines and roles the master knows itself ([`crate::history`]). Of tasks the machines know; they are
//! asked, of a service at most 50 instances, 16 at a time and 10 seconds each.

use super::agents::Machine;
use super::error::ApiError;
use super::extract::{Query, app_id};
use super::{nodes, views};
use crate::Master;
use crate::history::Step;
use axum::Json;
use axum::extract::{Path, State};
use futures_util::StreamExt;
use hansa_api::hansa::SilentNode;
use hansa_api::past::{
    History, InstanceUsage, Point, ServiceUsage, Spread, Suggestion, TaskUse, Usage, UsePoint,
};
use hansa_api::series::Span;
use hansa_model::event::TaskView;
use hansa_model::role::Totals;
use hansa_model::task::TaskState;
use hansa_model::{AppId, RoleName, TaskId, Timestamp};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Instances of a service that are asked about.
const ASKED: usize = 50;

/// Machines asked at the same time.
const AT_ONCE: usize = 16;

/// Less than this is too short to suggest anything: five minutes.
const ENOUGH_MS: u64 = 5 * 60_000;

/// What suggestions are rounded up to: hundredths of a CPU, and MiB.
const CPUS_STEP: u64 = 10;
const MEM_STEP: u64 = 1 << 20;

/// The least that is suggested.
const LEAST_MEM: u64 = 16 << 20;

/// Of what, and how far back.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    of: Option<String>,
    span: Option<String>,
}

/// `GET /hansa/v1/history?of=&span=`
pub(super) async fn show(
    State(master): State<Master>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<History>, ApiError> {
    let span = span(wanted.span.as_deref())?;
    let of = wanted.of.as_deref().unwrap_or("cluster").to_owned();
    let now = crate::clock::now();
    let answer = |(step_ms, steps): (u64, Vec<Step>), total, words: &str| {
        let point = |(at, used, given)| Point { at, used, allocated: Some(given) };
        let points = steps.into_iter().map(point).collect();
        Ok(Json(History { of: of.clone(), step_ms, until: now, total, points, words: words.into() }))
    };
    match of.split_once(':') {
        None if of == "cluster" => {
            let total = views::sums(&master.read()).0;
            answer(master.history().of_cluster(span, now), Some(total), "")
        }
        Some(("node", name)) => {
            let (id, total) = {
                let model = master.read();
                let agent = nodes::find(&model, name)?;
                (agent.view.id.clone(), Totals::of(&agent.view.total))
            };
            let words = "of machines, CPU and memory are kept";
            answer(master.history().of_node(&id, &total, span, now), Some(total), words)
        }
        Some(("role", name)) => {
            let name = RoleName::from(name);
            if !master.read().is_listed(&name) {
                return Err(ApiError::not_found(format!("there is no role '{name}'")));
            }
            let words = "what a role's tasks really use is not measured";
            answer(master.history().of_role(&name, span, now), None, words)
        }
        Some(("task", id)) => {
            let task = TaskId::from(id);
            let machine = Machine::of(&master, &task, None)?;
            let told = ask(&master, &machine, &task, span).await?;
            Ok(Json(of_tasks(of, &[told], 1)))
        }
        Some(("service", path)) => {
            let id = app_id(path);
            let (tasks, running) = instances(&master, &id)?;
            let (told, silent) = ask_all(&master, tasks, span).await;
            let told: Vec<TaskUse> = told.into_iter().map(|(_, told)| told).collect();
            let mut history = of_tasks(of, &told, running);
            if told.is_empty() {
                history = History { step_ms: span.ms() / 60, until: now, ..history };
            }
            history.words = words_about(told.len(), running, &silent);
            Ok(Json(history))
        }
        _ => Err(ApiError::invalid("of", format!("there is no history of '{of}'"))
            .remedy("cluster, node:ID, role:NAME, service:/path or task:ID")),
    }
}

fn span(text: Option<&str>) -> Result<Span, ApiError> {
    let text = text.unwrap_or("15m");
    Span::parse(text).ok_or_else(|| {
        let names = Span::ALL.map(Span::name).join(", ");
        ApiError::invalid("span", format!("there is no history of '{text}'"))
            .remedy(format!("one of {names}"))
    })
}

/// The running instances of a service that are asked about, spread evenly, and how many run.
fn instances(master: &Master, id: &AppId) -> Result<(Vec<Arc<TaskView>>, usize), ApiError> {
    let model = master.read();
    if model.app(id).is_none() {
        return Err(ApiError::not_found(format!("there is no service '{id}'")));
    }
    let running: Vec<&Arc<TaskView>> =
        model.app_tasks(id).filter(|task| task.status.state == TaskState::Running).collect();
    let every = running.len().div_ceil(ASKED).max(1);
    Ok((running.iter().step_by(every).map(|task| Arc::clone(task)).collect(), running.len()))
}

async fn ask(master: &Master, machine: &Machine, task: &TaskId, span: Span) -> Result<TaskUse, ApiError> {
    let path = ["hansa", "v1", "tasks", task.as_str(), "history"];
    let answer = machine.get(master, &path, &[("span", Some(span.name().to_owned()))]).await?;
    machine.whole(answer).await
}

type Told = (Arc<TaskView>, TaskUse);

async fn ask_all(master: &Master, tasks: Vec<Arc<TaskView>>, span: Span) -> (Vec<Told>, Vec<SilentNode>) {
    let asking = tasks.into_iter().map(|task| async move {
        let id = &task.status.task;
        let answer = match Machine::of(master, id, None) {
            Ok(machine) => ask(master, &machine, id, span).await,
            Err(refusal) => Err(refusal),
        };
        (task, answer)
    });
    let answers: Vec<_> = futures_util::stream::iter(asking).buffer_unordered(AT_ONCE).collect().await;
    let (mut told, mut silent) = (Vec::new(), BTreeMap::new());
    for (task, answer) in answers {
        match answer {
            Ok(answer) => told.push((task, answer)),
            Err(refusal) => drop(silent.insert(task.hostname.to_string(), refusal.words())),
        }
    }
    told.sort_by(|(a, _), (b, _)| a.status.task.cmp(&b.status.task));
    (told, silent.into_iter().map(|(node, why)| SilentNode { node, why }).collect())
}

/// The sum of what tasks used, for as many as there are of them.
fn of_tasks(of: String, told: &[TaskUse], all: usize) -> History {
    let mut sums: BTreeMap<Timestamp, (u64, u64, u64)> = BTreeMap::new();
    for point in told.iter().flat_map(|told| &told.points) {
        let (cpus, mem, tasks) = sums.entry(point.at).or_default();
        *cpus += point.cpus_milli;
        *mem += point.mem;
        *tasks += 1;
    }
    // Of those that were not asked the same is taken as of those that were.
    let asked = told.len().max(1) as u64;
    let scaled = |value: u64| value.saturating_mul(all as u64) / asked;
    let limit = |kind: fn(&Totals) -> u64| scaled(told.iter().map(|told| kind(&told.limits)).sum());
    let total = Totals {
        cpus_milli: limit(|limits| limits.cpus_milli),
        mem: limit(|limits| limits.mem),
        disk: limit(|limits| limits.disk),
        gpus_milli: limit(|limits| limits.gpus_milli),
    };
    let points = sums.into_iter().map(|(at, (cpus, mem, tasks))| Point {
        at,
        used: Some(Totals { cpus_milli: scaled(cpus), mem: scaled(mem), ..Totals::default() }),
        allocated: Some(Totals {
            cpus_milli: total.cpus_milli * tasks / asked,
            mem: total.mem * tasks / asked,
            disk: total.disk * tasks / asked,
            gpus_milli: total.gpus_milli * tasks / asked,
        }),
    });
    History {
        of,
        step_ms: told.first().map_or(0, |told| told.step_ms),
        until: told.iter().map(|told| told.until).max().unwrap_or_default(),
        total: (!told.is_empty()).then_some(total),
        points: points.collect(),
        words: String::new(),
    }
}

fn words_about(answered: usize, running: usize, silent: &[SilentNode]) -> String {
    if running == 0 {
        return "no instance runs".into();
    }
    let mut words = match answered {
        0 if running == 1 => "the instance that runs could not be asked".to_owned(),
        0 => format!("none of the {running} instances that run could be asked"),
        1 if running == 1 => "the one instance that runs now".to_owned(),
        _ if answered == running => format!("all {running} instances that run now"),
        _ => format!(
            "{answered} of {running} instances that run now were asked; sums are scaled up to all of them"
        ),
    };
    if let Some(first) = silent.first() {
        let more = silent.len() - 1;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        words += &format!("; node {} did not answer{more}", first.node);
    }
    words
}

/// How far back.
#[derive(Debug, Deserialize)]
pub(super) struct Reach {
    span: Option<String>,
}

/// `GET /hansa/v1/usage/{service's path}?span=`
pub(super) async fn usage(
    State(master): State<Master>,
    Path(path): Path<String>,
    Query(reach): Query<Reach>,
) -> Result<Json<ServiceUsage>, ApiError> {
    let span = span(Some(reach.span.as_deref().unwrap_or("1d")))?;
    let service = app_id(&path);
    let (tasks, running) = instances(&master, &service)?;
    let (told, silent) = ask_all(&master, tasks, span).await;
    let (cpus_milli, mem) = {
        let model = master.read();
        let app = model.app(&service);
        app.map_or((0, 0), |app| (app.current.spec.cpus_milli, app.current.spec.mem))
    };
    let all: Vec<UsePoint> = told.iter().flat_map(|(_, told)| told.points.iter().copied()).collect();
    let step_ms = told.first().map_or(0, |(_, told)| told.step_ms);
    let known_ms = known_ms(&all, step_ms);
    let instances = told.iter().map(|(task, told)| InstanceUsage {
        task: task.status.task.clone(),
        node: task.agent.clone(),
        hostname: task.hostname.to_string(),
        points: u32::try_from(told.points.len()).unwrap_or(u32::MAX),
        used: used(&told.points),
    });
    let spread = (!all.is_empty()).then(|| used(&all));
    let mut words = words_about(told.len(), running, &silent);
    let suggestion =
        spread.filter(|_| known_ms >= ENOUGH_MS).map(|spread| suggest(&spread, cpus_milli, mem, running));
    if suggestion.is_none() && running > 0 {
        words += &format!(
            "; nothing is suggested before five minutes of use are known ({} s are)",
            known_ms / 1_000
        );
    }
    Ok(Json(ServiceUsage {
        service,
        span_ms: span.ms(),
        until: crate::clock::now(),
        cpus_milli,
        mem,
        used: spread,
        instances: instances.collect(),
        running: u32::try_from(running).unwrap_or(u32::MAX),
        silent,
        suggestion,
        words,
    }))
}

fn known_ms(points: &[UsePoint], step_ms: u64) -> u64 {
    let times = || points.iter().map(|point| point.at.0);
    match (times().min(), times().max()) {
        (Some(first), Some(last)) => last - first + step_ms.min(15_000),
        _ => 0,
    }
}

fn used(points: &[UsePoint]) -> Usage {
    let spread = |value: fn(&UsePoint) -> u64, most: fn(&UsePoint) -> u64| {
        let mut values: Vec<u64> = points.iter().map(value).collect();
        values.sort_unstable();
        // The smallest value that so many of 100 are at most.
        let at =
            |percent: usize| values.get((values.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Spread {
            p50: at(50).unwrap_or(0),
            p95: at(95).unwrap_or(0),
            max: points.iter().map(most).max().unwrap_or(0),
        }
    };
    Usage {
        cpus_milli: spread(|point| point.cpus_milli, |point| point.cpus_milli_max),
        mem: spread(|point| point.mem, |point| point.mem_max),
    }
}

/// A fifth more than what was needed. A CPU that is short makes slow, so that 95 of 100 steps count; memory that is short
/// kills, so that the most ever counts.
fn suggest(used: &Usage, cpus_milli: u64, mem: u64, running: usize) -> Suggestion {
    let with_room = |value: u64, step: u64| (value + value.div_ceil(5)).div_ceil(step) * step;
    let cpus = with_room(used.cpus_milli.p95, CPUS_STEP).max(CPUS_STEP);
    let memory = with_room(used.mem.max, MEM_STEP).max(LEAST_MEM);
    let mib = |bytes: u64| bytes >> 20;
    let change = |now: u64, then: u64| match (now.saturating_sub(then), then.saturating_sub(now)) {
        (0, 0) => (0, "as now"),
        (less, 0) => (less, "less"),
        (_, more) => (more, "more"),
    };
    let (cpus_changed, cpus_way) = change(cpus_milli, cpus);
    let (mem_changed, mem_way) = change(mem, memory);
    let all = running as u64;
    let words = format!(
        "CPU: 95 of 100 steps used at most {}.{:03} CPUs, and a fifth is added; memory: the most was {} MiB, and a fifth is \
         added. For {all} instances that is {}.{:03} CPUs {cpus_way} and {} MiB {mem_way} than is asked for now.",
        used.cpus_milli.p95 / 1_000,
        used.cpus_milli.p95 % 1_000,
        mib(used.mem.max),
        cpus_changed * all / 1_000,
        cpus_changed * all % 1_000,
        mib(mem_changed * all),
    );
    Suggestion { cpus_milli: cpus, mem: memory, words }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at: u64, cpus_milli: u64, mem: u64) -> UsePoint {
        UsePoint { at: Timestamp(at), cpus_milli, cpus_milli_max: cpus_milli * 2, mem, mem_max: mem + 1 }
    }

    fn told(points: Vec<UsePoint>) -> TaskUse {
        let limits = Totals { cpus_milli: 500, mem: 100, ..Totals::default() };
        TaskUse { task: "t".into(), limits, step_ms: 15_000, until: Timestamp(60_000), points }
    }

    #[test]
    fn spreads_are_of_what_was() {
        let points: Vec<UsePoint> = (1..=100).map(|n| point(n, n, n * 10)).collect();
        let used = used(&points);
        assert_eq!(used.cpus_milli, Spread { p50: 50, p95: 95, max: 200 });
        assert_eq!(used.mem, Spread { p50: 500, p95: 950, max: 1_001 });
        assert_eq!(super::used(&points[..1]).cpus_milli, Spread { p50: 1, p95: 1, max: 2 });
        assert_eq!(super::used(&[]), Usage::default());
    }

    #[test]
    fn a_suggestion_says_how_it_was_made() {
        let cpus_milli = Spread { p50: 20, p95: 100, max: 900 };
        let used = Usage { cpus_milli, mem: Spread { p50: 1, p95: 1, max: 100 << 20 } };
        let made = suggest(&used, 1_000, 64 << 20, 3);
        assert_eq!((made.cpus_milli, made.mem), (120, 120 << 20));
        assert!(made.words.contains("2.640 CPUs less"), "{}", made.words);
        assert!(made.words.contains("168 MiB more"), "{}", made.words);
        let idle = suggest(&Usage::default(), 10, 16 << 20, 1);
        assert_eq!((idle.cpus_milli, idle.mem), (10, 16 << 20));
    }

    #[test]
    fn sums_are_scaled_to_those_that_were_not_asked() {
        let two = [told(vec![point(0, 10, 5), point(15_000, 20, 5)]), told(vec![point(15_000, 40, 5)])];
        let history = of_tasks("service:/a".into(), &two, 4);
        let used: Vec<u64> = history.points.iter().map(|point| point.used.unwrap().cpus_milli).collect();
        assert_eq!(used, [20, 120]);
        let given: Vec<u64> = history.points.iter().map(|point| point.allocated.unwrap().mem).collect();
        assert_eq!(given, [200, 400], "the second began later");
        assert_eq!(history.total.unwrap().cpus_milli, 2_000);
        assert_eq!(of_tasks("task:t".into(), &[], 1).total, None);
    }
}
