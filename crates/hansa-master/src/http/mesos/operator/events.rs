//! SUBSCRIBE of the operator API: everything as it is, and then what changes, as it is published. A client that cannot keep
//! up loses its stream, not the cluster's memory.

use super::super::Mesos;
use super::super::about::Me;
use super::super::answers::Refused;
use super::super::picture::{Picture, Wanted, host_and_port};
use super::shapes::{self, Around};
use crate::Master;
use crate::read_model::{Agent, Told, framework_of};
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hansa_mesos::codec::{Codec, encode};
use hansa_mesos::event::HEARTBEAT_SECS;
use hansa_mesos::proto::v1;
use hansa_mesos::proto::v1::master::Event as Message;
use hansa_mesos::proto::v1::master::event::{self, Type};
use hansa_mesos::{framework, recordio};
use hansa_model::event::{AgentState, AgentView, Event, Published, TaskChange, TaskView};
use hansa_model::framework::FrameworkInfo;
use hansa_model::spec::Origin;
use hansa_model::task::TaskState;
use hansa_model::{AgentId, FrameworkId, TaskId};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

/// Clients at once; the oldest goes for a newer one.
const MOST: usize = 1_000;

/// Those who are subscribed, the oldest first: letting go of one ends its stream.
#[derive(Debug, Default)]
pub(in super::super) struct Subscribers(Mutex<VecDeque<oneshot::Sender<()>>>);

impl Subscribers {
    fn join(&self) -> oneshot::Receiver<()> {
        let (alive, ended) = oneshot::channel();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| !one.is_closed());
        if all.len() >= MOST {
            all.pop_front();
        }
        all.push_back(alive);
        ended
    }

    /// How many there are.
    pub(in super::super) fn count(&self) -> usize {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|one| !one.is_closed()).count()
    }
}

/// The client is too slow, or there are too many.
#[derive(Debug, thiserror::Error)]
#[error("the subscription ends: {0}")]
struct Over(&'static str);

/// Answers SUBSCRIBE.
pub(super) async fn subscribe(mesos: &Mesos, me: Me, form: Codec) -> Result<Response, Refused> {
    let master = mesos.master.clone();
    let ended = mesos.subscribers.join();
    let (first, known, published) = mesos
        .aside(move || {
            let (picture, published) =
                master.subscribe_with(|model| Picture::of(model, &master, me, &Wanted::default()));
            let known = Known::of(&picture);
            let subscribed = event::Subscribed {
                get_state: Some(shapes::state_of(&picture)),
                heartbeat_interval_seconds: Some(HEARTBEAT_SECS as f64),
            };
            let message = Message { subscribed: Some(subscribed), ..of(Type::Subscribed) };
            (record(form, &message), known, published)
        })
        .await?;
    let feed = Feed {
        master: mesos.master.clone(),
        form,
        known,
        published,
        ended,
        stopping: mesos.master.stopping(),
        queue: VecDeque::from([first, record(form, &of(Type::Heartbeat))]),
        heartbeat_at: Instant::now() + Duration::from_secs(HEARTBEAT_SECS),
        over: false,
    };
    let stream = futures_util::stream::unfold(feed, |mut feed| async move {
        let next = feed.next().await?;
        Some((next, feed))
    });
    let mut answer = Response::new(Body::from_stream(stream));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
    Ok(answer)
}

fn of(kind: Type) -> Message {
    Message { r#type: Some(kind as i32), ..Message::default() }
}

fn record(form: Codec, message: &Message) -> Bytes {
    recordio::record(&encode(form, message)).into()
}

/// What a client has been told of, so that it hears of each thing's beginning and end once.
#[derive(Debug, Default)]
struct Known {
    agents: BTreeSet<AgentId>,
    frameworks: BTreeMap<FrameworkId, Arc<FrameworkInfo>>,
    tasks: FxHashMap<TaskId, TaskState>,
}

impl Known {
    fn of(picture: &Picture) -> Self {
        let mut known = Self::default();
        known.agents.extend(picture.registered().map(|agent| agent.view.id.clone()));
        for scene in &picture.scenes {
            if let super::super::picture::Who::Framework(view) = &scene.who {
                known.frameworks.insert(view.info.id.clone(), view.info.clone());
            }
            let task = |told: &Told| (told.view.status.task.clone(), told.view.status.state);
            known.tasks.extend(scene.tasks.iter().map(task));
        }
        known
    }
}

/// One client's stream.
struct Feed {
    master: Master,
    form: Codec,
    known: Known,
    published: Receiver<Arc<Published>>,
    ended: oneshot::Receiver<()>,
    stopping: watch::Receiver<bool>,
    queue: VecDeque<Bytes>,
    heartbeat_at: Instant,
    over: bool,
}

impl Feed {
    async fn next(&mut self) -> Option<Result<Bytes, Over>> {
        loop {
            if let Some(record) = self.queue.pop_front() {
                return Some(Ok(record));
            }
            if self.over {
                return None;
            }
            let mut stopping = self.stopping.clone();
            tokio::select! {
                published = self.published.recv() => match published {
                    Ok(published) => self.take(&published),
                    Err(_) => {
                        self.over = true;
                        return Some(Err(Over("the client reads too slowly")));
                    }
                },
                () = tokio::time::sleep_until(self.heartbeat_at) => self.beat(),
                _ = &mut self.ended => {
                    self.over = true;
                    return Some(Err(Over("there are too many subscribers")));
                }
                _ = stopping.wait_for(|stopping| *stopping) => return None,
            }
        }
    }

    fn beat(&mut self) {
        self.say(&of(Type::Heartbeat));
        self.heartbeat_at = Instant::now() + Duration::from_secs(HEARTBEAT_SECS);
    }

    fn say(&mut self, message: &Message) {
        self.queue.push_back(record(self.form, message));
    }

    fn take(&mut self, published: &Published) {
        for event in &published.events {
            match event {
                Event::Task { view, change } => self.task(view, *change),
                Event::TaskRemoved(id) => drop(self.known.tasks.remove(id)),
                Event::Agent(view) => self.agent(view),
                Event::AgentRemoved(id) => self.agent_removed(id),
                Event::Framework(view) => {
                    let id = view.info.id.clone();
                    let is_new = self.known.frameworks.insert(id, view.info.clone()).is_none();
                    let shown = shapes::framework_of(view, None);
                    let message = if is_new {
                        let added = event::FrameworkAdded { framework: shown };
                        Message { framework_added: Some(added), ..of(Type::FrameworkAdded) }
                    } else {
                        let updated = event::FrameworkUpdated { framework: shown };
                        Message { framework_updated: Some(updated), ..of(Type::FrameworkUpdated) }
                    };
                    self.say(&message);
                }
                Event::FrameworkRemoved(id) => {
                    if let Some(info) = self.known.frameworks.remove(id) {
                        let removed = event::FrameworkRemoved { framework_info: framework::write(&info) };
                        let message =
                            Message { framework_removed: Some(removed), ..of(Type::FrameworkRemoved) };
                        self.say(&message);
                    }
                }
                _ => {}
            }
        }
    }

    fn agent(&mut self, view: &Arc<AgentView>) {
        if view.state == AgentState::Unreachable {
            self.agent_removed(&view.id);
        } else if self.known.agents.insert(view.id.clone()) {
            let agent = Agent { view: view.clone(), usage: None };
            let added = event::AgentAdded { agent: shapes::agent(&agent, None, None) };
            self.say(&Message { agent_added: Some(added), ..of(Type::AgentAdded) });
        }
    }

    fn agent_removed(&mut self, id: &AgentId) {
        if self.known.agents.remove(id) {
            let removed = event::AgentRemoved { agent_id: v1::AgentId { value: id.to_string() } };
            self.say(&Message { agent_removed: Some(removed), ..of(Type::AgentRemoved) });
        }
    }

    /// New ones are told whole; of others it is told when their state changes.
    fn task(&mut self, view: &Arc<TaskView>, change: TaskChange) {
        let before = self.known.tasks.insert(view.status.task.clone(), view.status.state);
        let is_news = before.is_none() || before != Some(view.status.state);
        if !is_news || change == TaskChange::Health && before.is_some() {
            return;
        }
        let services = FrameworkId::from(self.master.identity().cluster.as_str());
        let owner = framework_of(view).unwrap_or(&services);
        let (version, address) = {
            let model = self.master.read();
            let version = match &view.origin {
                Origin::App { id, version } => model.version(id, *version).cloned(),
                Origin::Framework => None,
            };
            (version, model.agent(view.agent.as_str()).map(|agent| agent.view.address.clone()))
        };
        let around = Around {
            framework: owner,
            info: view.framework.as_ref().map(|of| of.launch.framework.as_ref()),
            version: version.as_deref(),
            host: address.as_deref().map(|address| host_and_port(address).0),
        };
        if before.is_none() {
            let told = Told { view: view.clone(), marks: Default::default() };
            let added = event::TaskAdded { task: shapes::task(&told, &around) };
            let message = Message { task_added: Some(added), ..of(Type::TaskAdded) };
            self.say(&message);
        }
        if before.is_some() || view.status.state != TaskState::Staging {
            let status = shapes::newest(view, &around);
            let updated = event::TaskUpdated {
                framework_id: v1::FrameworkId { value: owner.to_string() },
                state: status.state,
                status,
            };
            let message = Message { task_updated: Some(updated), ..of(Type::TaskUpdated) };
            self.say(&message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_subscriber_goes_for_a_newer_one() {
        let subscribers = Subscribers::default();
        let mut first = subscribers.join();
        let others: Vec<_> = (1..MOST).map(|_| subscribers.join()).collect();
        assert_eq!(subscribers.count(), MOST);
        assert!(matches!(first.try_recv(), Err(oneshot::error::TryRecvError::Empty)));
        let _newest = subscribers.join();
        assert!(matches!(first.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        drop(others);
        assert_eq!(subscribers.count(), 1);
    }
}
