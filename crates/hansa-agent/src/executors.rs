//! The streams on which executors of frameworks are told things.
//!
//! What is said, and to whom, the core decides; here it is written as Mesos' executor API has it. A stream that is not read
//! fast enough is closed: its executor comes back and is told again what matters.

use crate::agent_info;
use bytes::Bytes;
use hansa_mesos::codec::{Codec, decode, encode};
use hansa_mesos::proto::v1::{self, executor};
use hansa_mesos::{framework, recordio};
use hansa_model::InstanceId;
use hansa_model::framework::Raw;
use hansa_node::saved::SavedExecutor;
use hansa_node::{Config, ExecutorEvent};
use std::collections::BTreeMap;
use tokio::sync::mpsc;

/// Events that wait for a slow executor at most.
pub(crate) const MOST_WAITING: usize = 1_024;

/// One open stream.
#[derive(Debug)]
pub(crate) struct ExecutorStream {
    /// Its number; never used twice in a process.
    pub number: u64,
    /// How its events are written.
    pub codec: Codec,
    /// Takes whole records.
    pub sender: mpsc::Sender<Bytes>,
}

/// The newest stream of each executor, by its container.
#[derive(Debug, Default)]
pub(crate) struct Streams(BTreeMap<InstanceId, ExecutorStream>);

impl Streams {
    /// From now on this is the executor's stream; an older one ends.
    pub(crate) fn open(&mut self, container: InstanceId, stream: ExecutorStream) {
        self.0.insert(container, stream);
    }

    /// The executor is gone, or its stream.
    pub(crate) fn close(&mut self, container: &InstanceId, number: Option<u64>) {
        if self.0.get(container).is_some_and(|stream| number.is_none_or(|number| stream.number == number)) {
            self.0.remove(container);
        }
    }

    /// Says something on a stream, if it is still open.
    pub(crate) fn say(
        &mut self,
        config: &Config,
        held: Option<&SavedExecutor>,
        container: &InstanceId,
        number: u64,
        event: ExecutorEvent,
    ) {
        let Some(stream) = self.0.get(container).filter(|stream| stream.number == number) else { return };
        let Some(event) = held.and_then(|held| written(config, held, event)) else { return };
        let record = recordio::record(&encode(stream.codec, &event));
        if stream.sender.try_send(record.into()).is_err() {
            tracing::warn!(%container, "an executor does not read what it is told: its stream is closed");
            self.0.remove(container);
        }
    }
}

/// A heartbeat, as one record.
pub(crate) fn heartbeat(codec: Codec) -> Bytes {
    recordio::record(&encode(codec, &bare(executor::event::Type::Heartbeat))).into()
}

fn bare(kind: executor::event::Type) -> executor::Event {
    executor::Event { r#type: Some(kind as i32), ..executor::Event::default() }
}

/// An event in Mesos' words; None: what it is about cannot be read (it was checked when it came).
fn written(config: &Config, held: &SavedExecutor, event: ExecutorEvent) -> Option<executor::Event> {
    use executor::event::{self, Type};
    let task_id = |value: String| v1::TaskId { value };
    let info = |raw: &Raw| decode::<v1::TaskInfo>(Codec::Protobuf, raw.bytes()).ok();
    Some(match event {
        ExecutorEvent::Subscribed => executor::Event {
            subscribed: Some(event::Subscribed {
                executor_info: executor_info(held)?,
                framework_info: framework::write(&held.framework),
                agent_info: agent_info::write(config),
                container_id: Some(v1::ContainerId { value: held.run.container.to_string(), parent: None }),
            }),
            ..bare(Type::Subscribed)
        },
        ExecutorEvent::Launch { task } => {
            executor::Event { launch: Some(event::Launch { task: info(&task)? }), ..bare(Type::Launch) }
        }
        ExecutorEvent::LaunchGroup { tasks } => {
            let task_group = v1::TaskGroupInfo { tasks: tasks.iter().filter_map(info).collect() };
            executor::Event {
                launch_group: Some(event::LaunchGroup { task_group }),
                ..bare(Type::LaunchGroup)
            }
        }
        ExecutorEvent::Kill { task, grace_ms } => {
            let span = |ms: u64| v1::DurationInfo { nanoseconds: i64::try_from(ms).unwrap_or(0) * 1_000_000 };
            let kill_policy = grace_ms.map(|ms| v1::KillPolicy { grace_period: Some(span(ms)) });
            executor::Event {
                kill: Some(event::Kill { task_id: task_id(task), kill_policy }),
                ..bare(Type::Kill)
            }
        }
        ExecutorEvent::Acknowledged { task, uuid } => executor::Event {
            acknowledged: Some(event::Acknowledged {
                task_id: task_id(task),
                uuid: uuid.to_be_bytes().to_vec(),
            }),
            ..bare(Type::Acknowledged)
        },
        ExecutorEvent::Message(data) => executor::Event {
            message: Some(event::Message { data: data.bytes().to_vec() }),
            ..bare(Type::Message)
        },
        ExecutorEvent::Shutdown => bare(Type::Shutdown),
    })
}

/// What its framework said of an executor.
pub(crate) fn executor_info(held: &SavedExecutor) -> Option<v1::ExecutorInfo> {
    let mut info = decode::<v1::ExecutorInfo>(Codec::Protobuf, held.run.info.bytes()).ok()?;
    info.framework_id.get_or_insert_with(|| v1::FrameworkId { value: held.framework.id.to_string() });
    Some(info)
}
