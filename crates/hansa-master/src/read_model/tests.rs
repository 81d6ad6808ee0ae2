//! The counters and indexes equal a recount after any history.

use super::*;
use hansa_model::event::TaskChange;
use hansa_model::resources::Allocation;
use hansa_model::task::{TaskState, TaskStatus};
use hansa_model::{Owner, SpecId};
use proptest::prelude::*;

fn published(index: u64, events: Vec<Event>) -> Arc<Published> {
    Arc::new(Published { index, at: Timestamp(index), events })
}

/// A task event; the number of its app 9 means a framework's task.
fn task(id: u8, app: u8, agent: u8, state: usize, healthy: Option<bool>) -> Event {
    let id = TaskId::from(format!("t{id:03}"));
    let mut status = TaskStatus::new(id, "i".into(), 1, STATES[state], Timestamp(0));
    status.healthy = healthy;
    let origin = match app {
        9 => Origin::Framework,
        app => Origin::App { id: AppId::from(format!("/app{app}")), version: Timestamp(1) },
    };
    let view = TaskView {
        instance: "i".into(),
        owner: Owner::services(),
        role: RoleName::any(),
        spec: SpecId(1),
        origin,
        agent: AgentId::from(format!("a{agent}")),
        hostname: "h".into(),
        allocation: Arc::new(Allocation::default()),
        staged_at: Timestamp(0),
        started_at: None,
        status,
        framework: None,
    };
    Event::Task { view: Arc::new(view), change: TaskChange::State }
}

fn agent(id: &str, hostname: &str) -> Event {
    Event::Agent(Arc::new(AgentView {
        id: id.into(),
        hostname: hostname.into(),
        address: String::new(),
        state: hansa_model::event::AgentState::Active,
        since: Timestamp(0),
        total: Default::default(),
        allocated: Default::default(),
        reserved: Vec::new(),
        attributes: BTreeMap::new(),
        region: None,
        zone: None,
        version: String::new(),
        registered_at: Timestamp(0),
        missing_isolation: Vec::new(),
    }))
}

fn some_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        9 => (0..20_u8, prop_oneof![0..3_u8, Just(9)], 0..4_u8, 0..STATES.len(), any::<Option<bool>>())
            .prop_map(|(id, app, agent, state, healthy)| task(id, app, agent, state, healthy)),
        2 => (0..20_u8).prop_map(|id| Event::TaskRemoved(TaskId::from(format!("t{id:03}")))),
    ]
}

fn recount<'a>(tasks: impl Iterator<Item = &'a Arc<TaskView>>) -> Counts {
    let mut counts = Counts::default();
    tasks.for_each(|task| counts.add(task));
    counts
}

fn views(model: &ReadModel) -> impl Iterator<Item = &Arc<TaskView>> {
    model.tasks.values().map(|told| &told.view)
}

fn ids<'a>(tasks: impl Iterator<Item = &'a Arc<TaskView>>) -> Vec<&'a str> {
    tasks.map(|task| task.status.task.as_str()).collect()
}

/// Everything that is kept besides the tasks themselves, recomputed from them.
fn check(model: &ReadModel) {
    assert_eq!(model.counts(), recount(views(model)));
    let mut all = ids(views(model));
    all.sort_unstable();
    assert_eq!(ids(model.tasks_where(None, None, None)), all);
    for number in 0..4 {
        let (app, agent) = (AppId::from(format!("/app{number}")), AgentId::from(format!("a{number}")));
        let of_app: Vec<_> = views(model).filter(|task| app_of(task) == Some(&app)).collect();
        assert_eq!(model.app_counts(&app), recount(of_app.iter().copied()));
        let mut expected = ids(of_app.into_iter());
        expected.sort_unstable();
        assert_eq!(ids(model.app_tasks(&app)), expected);
        assert_eq!(ids(model.tasks_where(Some(&app), None, None)), expected);

        let on_agent: Vec<_> = views(model).filter(|task| task.agent == agent).collect();
        assert_eq!(model.agent_counts(&agent), recount(on_agent.iter().copied()));
        let mut expected = ids(on_agent.iter().copied());
        expected.sort_unstable();
        assert_eq!(ids(model.agent_tasks(&agent)), expected);
        let mut both = ids(on_agent.into_iter().filter(|task| app_of(task) == Some(&app)));
        both.sort_unstable();
        assert_eq!(ids(model.tasks_where(Some(&app), Some(&agent), None)), both);
    }
    assert!(
        model.by_app.values().chain(model.by_agent.values()).all(|set| !set.ids.is_empty()),
        "empty sets go"
    );
}

proptest! {
    #[test]
    fn counters_equal_a_recount(batches in prop::collection::vec(prop::collection::vec(some_event(), 0..8), 0..30)) {
        let mut model = ReadModel::default();
        for (index, events) in (1..).zip(batches) {
            model.fold(&published(index, events));
            check(&model);
        }
    }
}

#[test]
fn pages_cover_everything_once() {
    let mut model = ReadModel::default();
    model.fold(&published(1, (0..100).map(|id| task(id, id % 3, id % 2, 2, None)).collect()));
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page: Vec<_> = model.tasks_where(None, None, after.as_ref()).take(7).collect();
        let Some(last) = page.last() else { break };
        after = Some(last.status.task.clone());
        seen.extend(ids(page.into_iter()));
    }
    assert_eq!(seen, ids(model.tasks_where(None, None, None)));
    assert_eq!(seen.len(), 100);
}

#[test]
fn what_was_missed_is_given_while_it_is_held() {
    let mut model = ReadModel::default();
    assert_eq!(model.since(0).unwrap().len(), 0);
    assert!(model.since(1).is_none(), "the future");
    // After a restart the numbering goes on.
    for index in 101..=110 {
        model.fold(&published(index, vec![]));
    }
    let indices =
        |since: u64| model.since(since).map(|missed| missed.iter().map(|one| one.index).collect::<Vec<_>>());
    assert_eq!(indices(110), Some(vec![]));
    assert_eq!(indices(107), Some(vec![108, 109, 110]));
    assert_eq!(indices(100).unwrap().len(), 10);
    assert_eq!(indices(99), None, "100 may have said something");
    assert_eq!(indices(111), None);
}

#[test]
fn what_is_held_is_bounded() {
    let mut model = ReadModel::default();
    for index in 1..=40 {
        let events = (0..1_000).map(|_| Event::TaskRemoved("none".into())).collect();
        model.fold(&published(index, events));
    }
    assert!(model.recent_events <= RECENT_EVENTS);
    assert!(model.since(30).is_some() && model.since(10).is_none());
    // One commit that is larger than all that may be held is not held either.
    let events = (0..RECENT_EVENTS + 1).map(|_| Event::TaskRemoved("none".into())).collect();
    model.fold(&published(41, events));
    assert_eq!((model.recent.len(), model.recent_events), (0, 0));
    assert!(model.since(40).is_none() && model.since(41).is_some());
}

#[test]
fn a_host_name_belongs_to_its_last_owner() {
    let mut model = ReadModel::default();
    model.fold(&published(1, vec![agent("a", "one"), agent("b", "two")]));
    model.fold(&published(2, vec![agent("a", "three")]));
    let owner =
        |model: &ReadModel, name| model.agent_by_hostname(name).map(|agent| agent.view.id.to_string());
    assert_eq!(owner(&model, "one"), None);
    assert_eq!(owner(&model, "three").as_deref(), Some("a"));
    // A new agent takes over the name of one that is forgotten later.
    model.fold(&published(3, vec![agent("c", "three"), Event::AgentRemoved("a".into())]));
    assert_eq!(owner(&model, "three").as_deref(), Some("c"));
    assert!(model.fold_usage(&"c".into(), Usage::default()));
    assert!(!model.fold_usage(&"a".into(), Usage::default()));
    model.fold(&published(4, vec![agent("c", "three")]));
    assert!(model.agent("c").unwrap().usage.is_some(), "usage outlives a new view");
}

#[test]
fn health_counts_running_tasks_only() {
    let mut model = ReadModel::default();
    let running = STATES.iter().position(|state| *state == TaskState::Running).unwrap();
    model.fold(&published(
        1,
        vec![task(1, 1, 1, running, Some(true)), task(2, 1, 1, running + 1, Some(true))],
    ));
    let counts = model.app_counts(&"/app1".into());
    assert_eq!((counts.healthy(), counts.unhealthy(), counts.running(), counts.live()), (1, 0, 1, 2));
}

#[test]
fn a_flood_of_unhealthy_tasks_does_not_push_out_what_happened_to_machines() {
    let mut model = ReadModel::default();
    model.fold(&published(1, vec![task(1, 1, 1, 2, None)]));
    model.fold(&published(2, vec![agent("a", "one")]));
    let kill = || Event::UnhealthyKill { task: "t001".into(), reason: "refused".into() };
    model.fold(&published(3, (0..20_000).map(|_| kill()).collect()));
    let past: Vec<Past> = model.past().collect();
    assert!(past.iter().any(|past| past.words == "node one joined"), "{} others", past.len());
    assert!(past.is_sorted_by(|newer, older| newer.number > older.number), "the newest first");
    let killed = &past[0];
    assert_eq!((killed.kind, killed.subject.as_str()), (PastKind::Task, "t001"));
    assert_eq!(killed.words, "is killed because it is unhealthy: refused");
    assert_eq!(killed.service.as_ref().map(AppId::as_str), Some("/app1"));
}
