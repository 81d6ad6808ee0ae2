//! What would be: `/hansa/v1/explain`, why an instance is (not) placed, and `/hansa/v1/nodes/{node}/drain-preview`.
//!
//! The answers are the deciding code's own, asked on a copy of the books; here they only get names, and what the books
//! cannot know: that a service's instances end again and again, so that what finds a place may still not come up.

use super::error::ApiError;
use super::extract::{Query, app_id};
use super::nodes::find;
use crate::Master;
use crate::cell::{Answer, Request};
use crate::read_model::ReadModel;
use axum::Json;
use axum::extract::{Path, State};
use hansa_api::plans::{
    DrainPreview, DrainedTask, Explained, Fate, MOST_INSTANCES, MOST_TASKS, Places, Several,
};
use hansa_model::trial::{self, DrainTrial, MoreInstances};
use hansa_model::words::counted;
use hansa_model::{AgentId, AppId, Principal};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// How many more.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    instances: Option<u32>,
}

/// `GET /hansa/v1/explain/{path}`: a placement pass for one more instance, made now; for several if that is asked.
pub(super) async fn explain(
    State(master): State<Master>,
    Path(path): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Explained>, ApiError> {
    let app = app_id(&path);
    let Some(instances) = wanted.instances else {
        let (_, answer) = master.submit(Principal::loopback(), Request::Explain(app)).await?;
        let Answer::Explanation(explanation) = answer else { return Err(another(&answer)) };
        let model = master.read();
        let choice_hostname = explanation.choice.as_ref().map(|id| model.hostname(id));
        return Ok(Json(Explained { explanation: *explanation, choice_hostname, several: None }));
    };
    if !(1..=MOST_INSTANCES).contains(&instances) {
        let words = format!("{instances} instances cannot be asked about at once");
        return Err(ApiError::invalid("instances", words).remedy(format!("ask about 1 to {MOST_INSTANCES}")));
    }
    let (_, answer) = master.submit(Principal::loopback(), Request::TryMore { app, instances }).await?;
    let Answer::More(more) = answer else { return Err(another(&answer)) };
    Ok(Json(several(&master.read(), *more)))
}

fn several(model: &ReadModel, more: MoreInstances) -> Explained {
    let fitting = u32::try_from(more.places.len()).unwrap_or(u32::MAX);
    let mut counts: BTreeMap<AgentId, u32> = BTreeMap::new();
    more.places.into_iter().for_each(|agent| *counts.entry(agent).or_default() += 1);
    let named = |(node, instances)| Places { hostname: model.hostname(&node), node, instances };
    let mut places: Vec<Places> = counts.into_iter().map(named).collect();
    places.sort_by(|a, b| (&a.hostname, &a.node).cmp(&(&b.hostname, &b.node)));
    let choice_hostname = more.first.choice.as_ref().map(|id| model.hostname(id));
    let several = Several { instances: more.asked, fitting, places, obstacle: more.obstacle };
    Explained { explanation: more.first, choice_hostname, several: Some(several) }
}

/// `GET /hansa/v1/nodes/{id or host name}/drain-preview`
pub(super) async fn drain(
    State(master): State<Master>,
    Path(name): Path<String>,
) -> Result<Json<DrainPreview>, ApiError> {
    let agent = find(&master.read(), &name)?.view.id.clone();
    let request = Request::TryDrain { agent: agent.clone(), most: MOST_TASKS };
    let (_, answer) = master.submit(Principal::loopback(), request).await?;
    let Answer::Drain(drain) = answer else { return Err(another(&answer)) };
    preview(&master.read(), &name, *drain).map(Json)
}

fn preview(model: &ReadModel, name: &str, drain: DrainTrial) -> Result<DrainPreview, ApiError> {
    let view = &find(model, name)?.view;
    let mut tasks: Vec<DrainedTask> = drain.tasks.into_iter().map(|task| named(model, task)).collect();
    tasks.sort_by(|a, b| {
        let key = |task: &DrainedTask| (task.fate, task.service.clone(), task.framework.clone());
        (key(a), &a.task).cmp(&(key(b), &b.task))
    });
    let count =
        |fate| u32::try_from(tasks.iter().filter(|task| task.fate == fate).count()).unwrap_or(u32::MAX);
    let targets: BTreeSet<&AgentId> = tasks.iter().filter_map(|task| task.node.as_ref()).collect();
    let in_doubt = tasks.iter().filter(|task| task.fate == Fate::Moves && task.why.is_some()).count();
    Ok(DrainPreview {
        node: view.id.clone(),
        hostname: view.hostname.to_string(),
        state: view.state,
        summary: summary(count, targets.len(), in_doubt, drain.left_out),
        moving: count(Fate::Moves),
        waiting: count(Fate::Waits),
        killed: count(Fate::Killed),
        ending: count(Fate::Ends),
        staying: count(Fate::Stays),
        left_out: drain.left_out,
        tasks,
    })
}

fn named(model: &ReadModel, drained: trial::DrainedTask) -> DrainedTask {
    let (fate, node, why) = match drained.fate {
        trial::Fate::Moves(to) => {
            (Fate::Moves, Some(to), drained.app.as_ref().and_then(|app| doubt(model, app)))
        }
        trial::Fate::Waits(why) => (Fate::Waits, None, Some(why)),
        trial::Fate::Ends(why) => (Fate::Ends, None, Some(why)),
        trial::Fate::Stays(why) => (Fate::Stays, None, Some(why)),
        trial::Fate::Killed => (Fate::Killed, None, Some("its framework decides what comes after it".into())),
    };
    let framework = drained.framework.as_ref().and_then(|id| model.framework(id.as_str()));
    DrainedTask {
        task: drained.task,
        service: drained.app,
        framework_name: framework.map(|framework| framework.view.info.name.clone()),
        framework: drained.framework,
        fate,
        hostname: node.as_ref().map(|id| model.hostname(id)),
        node,
        why,
    }
}

/// Why a new instance of a service may not come up where there is a place for it; None: nothing speaks against it.
fn doubt(model: &ReadModel, app: &AppId) -> Option<String> {
    let failing = model.app(app)?.failing.as_ref()?;
    let times = counted(failing.count.into(), "time");
    Some(format!(
        "the service's instances end again and again, {times} in a row; the last: {}; what runs stays until a new one runs",
        failing.last
    ))
}

/// All of it in one sentence; `in_doubt` of those that move may not come up.
fn summary(count: impl Fn(Fate) -> u32, targets: usize, in_doubt: usize, left_out: u32) -> String {
    let tasks = |number: u32| counted(number.into(), "task");
    let verb = |number: u32, one: &'static str, many: &'static str| if number == 1 { one } else { many };
    let mut parts = Vec::new();
    let mut say = |number: u32, words: String| {
        if number > 0 {
            parts.push(words);
        }
    };
    let (moves, waits) = (count(Fate::Moves), count(Fate::Waits));
    let machines = if targets == 1 { "another machine".into() } else { format!("{targets} other machines") };
    let doubt = match in_doubt {
        0 => String::new(),
        all if all == moves as usize => " if new ones come up: at present they end again and again".into(),
        some => format!(" ({some} of them only if new ones come up: at present they end again and again)"),
    };
    say(moves, format!("{} {} to {machines}{doubt}", tasks(moves), verb(moves, "moves", "move")));
    say(
        waits,
        format!(
            "{} {} no place and {} until there is one",
            tasks(waits),
            verb(waits, "finds", "find"),
            verb(waits, "stays", "stay")
        ),
    );
    let killed = count(Fate::Killed);
    say(killed, format!("{} of frameworks {} killed", tasks(killed), verb(killed, "is", "are")));
    let ends = count(Fate::Ends);
    say(ends, format!("{} {} without a replacement", tasks(ends), verb(ends, "ends", "end")));
    let stays = count(Fate::Stays);
    say(stays, format!("{} {} moved by nobody", tasks(stays), verb(stays, "is", "are")));
    say(left_out, format!("{left_out} more were not looked at"));
    if parts.is_empty() {
        return "nothing runs there".into();
    }
    parts.join(", ")
}

fn another(answer: &Answer) -> ApiError {
    ApiError::internal(format!("it was asked what would be, and this came: {answer:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hansa_model::app::{AppSpec, AppVersion};
    use hansa_model::event::{AgentState, AgentView, AppView, Event, Failing, Published};
    use hansa_model::role::Totals;
    use hansa_model::spec::Command;
    use hansa_model::{Resources, Timestamp};
    use std::sync::Arc;

    #[test]
    fn a_drain_is_said_in_one_sentence() {
        let say = |counts: [u32; 5], targets, in_doubt, left_out| {
            let count = |fate| counts[Fate::ALL.iter().position(|own| *own == fate).unwrap()];
            summary(count, targets, in_doubt, left_out)
        };
        assert_eq!(say([0; 5], 0, 0, 0), "nothing runs there");
        assert_eq!(say([0, 0, 0, 0, 1], 1, 0, 0), "1 task moves to another machine");
        assert_eq!(
            say([1, 1, 2, 0, 3], 2, 0, 7),
            "3 tasks move to 2 other machines, 1 task finds no place and stays until there is one, 2 tasks of \
             frameworks are killed, 1 task is moved by nobody, 7 more were not looked at"
        );
        assert_eq!(
            say([0, 0, 0, 0, 2], 1, 2, 0),
            "2 tasks move to another machine if new ones come up: at present they end again and again"
        );
        assert_eq!(
            say([0, 0, 0, 0, 2], 1, 1, 0),
            "2 tasks move to another machine (1 of them only if new ones come up: at present they end again and again)"
        );
    }

    #[test]
    fn what_would_crash_elsewhere_is_not_said_to_move_just_so() {
        let app = |id: &str, failing: Option<Failing>| {
            let version = Timestamp(1);
            let spec = AppSpec::new(id.into(), Command::Shell("exit 3".into()));
            let current = Arc::new(AppVersion {
                version,
                spec,
                last_config_change_at: version,
                last_scaling_at: version,
            });
            let failing = failing.map(Arc::new);
            Event::App(Arc::new(AppView { current, deployments: Vec::new(), last_failure: None, failing }))
        };
        let last = "command exited with status 3".to_owned();
        let failing = Failing { since: Timestamp(1), count: 8, last, delay_ms: 2_000 };
        let mut model = ReadModel::default();
        let agent = Event::Agent(Arc::new(AgentView {
            id: "a".into(),
            hostname: "a.test".into(),
            address: String::new(),
            state: AgentState::Active,
            since: Timestamp(0),
            total: Resources::default(),
            allocated: Totals::default(),
            reserved: Vec::new(),
            attributes: BTreeMap::new(),
            region: None,
            zone: None,
            version: String::new(),
            registered_at: Timestamp(0),
            missing_isolation: Vec::new(),
        }));
        let events = vec![agent, app("/bad", Some(failing)), app("/good", None)];
        model.fold(&Arc::new(Published { index: 1, at: Timestamp(1), events }));
        let drained = |id: &str, fate: trial::Fate| trial::DrainedTask {
            task: format!("{}.1", &id[1..]).into(),
            app: Some(id.into()),
            framework: None,
            fate,
        };
        let waits = trial::Fate::Waits("1 machine: draining".into());
        let tasks = vec![
            drained("/bad", trial::Fate::Moves("b".into())),
            drained("/bad", waits),
            drained("/good", trial::Fate::Moves("b".into())),
        ];
        let drain = DrainTrial { agent: "a".into(), tasks, left_out: 0 };
        let told = preview(&model, "a.test", drain).unwrap();
        assert_eq!(
            told.summary,
            "2 tasks move to another machine (1 of them only if new ones come up: at present they end again and \
             again), 1 task finds no place and stays until there is one"
        );
        let of = |service: &str, fate| {
            let found =
                told.tasks.iter().find(|task| task.fate == fate && task.service == Some(service.into()));
            found.unwrap().why.clone()
        };
        assert_eq!(
            of("/bad", Fate::Moves).as_deref(),
            Some(
                "the service's instances end again and again, 8 times in a row; the last: command exited with status \
                 3; what runs stays until a new one runs"
            )
        );
        assert_eq!(of("/good", Fate::Moves), None);
        assert_eq!(
            of("/bad", Fate::Waits).as_deref(),
            Some("1 machine: draining"),
            "what holds it is no place"
        );
    }
}
