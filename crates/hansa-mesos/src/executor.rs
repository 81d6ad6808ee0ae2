//! The executor API: what executors say to their agent and what it tells them.

use crate::Invalid;
use crate::codec::{Codec, decode};
use crate::framework;
use crate::proto::v1;
use crate::proto::v1::executor::call::Type as CallType;
use crate::proto::v1::executor::event::{self, Type};
use crate::proto::v1::executor::{Call, Event};
use crate::status::read_state;
use hansa_model::framework::{FrameworkInfo, Raw};
use hansa_model::task::TaskState;
use prost::{Message, Name};

/// Seconds between heartbeats to executors. Some end at the first, so it had better be late.
pub const HEARTBEAT_SECS: u64 = 30 * 60;

/// News about a task, as an executor tells them.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The framework's id of the task.
    pub task: String,
    /// Unlike that of every other update; the framework acknowledges it.
    pub uuid: u128,
    /// The task's state. (`TASK_LOST` is [`TaskState::Dropped`] here.)
    pub state: TaskState,
    /// In words; may be empty.
    pub message: String,
    /// Whether the task is healthy, if the executor knows.
    pub healthy: Option<bool>,
    /// As it came: mesos.v1.TaskStatus.
    pub raw: Raw,
}

/// What an executor says.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// It is there.
    Subscribe {
        /// The framework's ids of tasks that it has not heard an acknowledgement of.
        tasks: Vec<String>,
        /// Updates that it has not heard an acknowledgement of.
        updates: Vec<Update>,
    },
    /// How a task stands.
    Update(Box<Update>),
    /// Something for its framework.
    Message(Raw),
    /// It is still there.
    Heartbeat,
}

/// Reads a call.
///
/// # Errors
/// In Mesos' words, for status 400: a part is missing, or an update is not one that an executor may send. A call of a type
/// that there is not has status 501, and is None.
pub fn read(call: &Call) -> Result<Option<Said>, Invalid> {
    let absent = |name: &str| Invalid(format!("Expecting '{name}' to be present"));
    if call.r#type.is_none() {
        return Err(absent("type"));
    }
    Ok(Some(match call.r#type() {
        CallType::Subscribe => {
            let subscribe = call.subscribe.as_ref().ok_or_else(|| absent("subscribe"))?;
            let update = |update: &v1::executor::call::Update| read_update(call, &update.status);
            Said::Subscribe {
                tasks: subscribe.unacknowledged_tasks.iter().map(|task| task.task_id.value.clone()).collect(),
                updates: subscribe.unacknowledged_updates.iter().map(update).collect::<Result<_, _>>()?,
            }
        }
        CallType::Update => {
            let update = call.update.as_ref().ok_or_else(|| absent("update"))?;
            Said::Update(Box::new(read_update(call, &update.status)?))
        }
        CallType::Message => {
            let message = call.message.as_ref().ok_or_else(|| absent("message"))?;
            Said::Message(Raw::new(message.data.clone()))
        }
        CallType::Heartbeat => Said::Heartbeat,
        CallType::Unknown => return Ok(None),
    }))
}

fn read_update(call: &Call, status: &v1::TaskStatus) -> Result<Update, Invalid> {
    let uuid = status.uuid.as_deref().ok_or_else(|| Invalid::new("Expecting 'uuid' to be present"))?;
    let uuid = uuid.try_into().map(u128::from_be_bytes);
    let uuid = uuid.map_err(|_| Invalid::new("'uuid' must have 16 bytes, not its text's"))?;
    let own = &call.executor_id.value;
    if let Some(said) = status.executor_id.as_ref().filter(|said| said.value != *own) {
        return Err(Invalid(format!(
            "ExecutorID in Call: {own} does not match ExecutorID in TaskStatus: {}",
            said.value
        )));
    }
    let who = || format!("executor {own} of framework {}", call.framework_id.value);
    if status.source != Some(v1::task_status::Source::Executor as i32) {
        return Err(Invalid(format!(
            "Received Call from {} with invalid source, expecting 'SOURCE_EXECUTOR'",
            who()
        )));
    }
    if status.state() == v1::TaskState::TaskStaging {
        return Err(Invalid(format!("Received TASK_STAGING from {} which is not allowed", who())));
    }
    if let Some(check) = &status.check_status {
        check_status(check)?;
    }
    Ok(Update {
        task: status.task_id.value.clone(),
        uuid,
        state: read_state(status.state()),
        message: status.message().to_owned(),
        healthy: status.healthy,
        raw: Raw::new(status.encode_to_vec()),
    })
}

fn check_status(check: &v1::CheckStatusInfo) -> Result<(), Invalid> {
    use v1::check_info::Type;
    let (present, name, kind) = match check.r#type.map(|_| check.r#type()) {
        None => return Err(Invalid::new("CheckStatusInfo must specify 'type'")),
        Some(Type::Unknown) => return Err(Invalid::new("'UNKNOWN' is not a valid check's status type")),
        Some(Type::Command) => (check.command.is_some(), "command", "COMMAND"),
        Some(Type::Http) => (check.http.is_some(), "http", "HTTP"),
        Some(Type::Tcp) => (check.tcp.is_some(), "tcp", "TCP"),
    };
    if present {
        Ok(())
    } else {
        Err(Invalid(format!("Expecting '{name}' to be set for {kind} check's status")))
    }
}

/// The first event: who the executor is, for whom, where, and in which container. (`executor` is its
/// mesos.v1.ExecutorInfo.)
pub fn subscribed(executor: &Raw, framework: &FrameworkInfo, agent: v1::AgentInfo, container: &str) -> Event {
    Event {
        subscribed: Some(event::Subscribed {
            executor_info: unwrapped(executor),
            framework_info: framework::write(framework),
            agent_info: agent,
            container_id: Some(v1::ContainerId { value: container.to_owned(), parent: None }),
        }),
        ..of(Type::Subscribed)
    }
}

/// Run a task (a mesos.v1.TaskInfo).
pub fn launch(task: &Raw) -> Event {
    Event { launch: Some(event::Launch { task: unwrapped(task) }), ..of(Type::Launch) }
}

/// Run tasks that belong together.
pub fn launch_group(tasks: &[Raw]) -> Event {
    let task_group = v1::TaskGroupInfo { tasks: tasks.iter().map(unwrapped).collect() };
    Event { launch_group: Some(event::LaunchGroup { task_group }), ..of(Type::LaunchGroup) }
}

/// End a task, within this time if whoever kills says so.
pub fn kill(task: &str, grace_ms: Option<u64>) -> Event {
    let grace = |ms: u64| v1::DurationInfo {
        nanoseconds: i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000_000),
    };
    let kill_policy = grace_ms.map(|ms| v1::KillPolicy { grace_period: Some(grace(ms)) });
    let task_id = v1::TaskId { value: task.to_owned() };
    Event { kill: Some(event::Kill { task_id, kill_policy }), ..of(Type::Kill) }
}

/// An update need not be said again.
pub fn acknowledged(task: &str, uuid: u128) -> Event {
    let task_id = v1::TaskId { value: task.to_owned() };
    let acknowledged = event::Acknowledged { task_id, uuid: uuid.to_be_bytes().to_vec() };
    Event { acknowledged: Some(acknowledged), ..of(Type::Acknowledged) }
}

/// The framework says something.
pub fn message(data: &[u8]) -> Event {
    Event { message: Some(event::Message { data: data.to_vec() }), ..of(Type::Message) }
}

/// End every task, and end.
pub fn shutdown() -> Event {
    of(Type::Shutdown)
}

/// Why the stream ends.
pub fn error(message: &str) -> Event {
    Event { error: Some(event::Error { message: message.to_owned() }), ..of(Type::Error) }
}

/// The agent is there.
pub fn heartbeat() -> Event {
    of(Type::Heartbeat)
}

/// What was kept as it came. It was a message then, so it is one now.
pub(crate) fn unwrapped<M: Message + Name + Default>(raw: &Raw) -> M {
    decode(Codec::Protobuf, raw.bytes()).unwrap_or_default()
}

fn of(kind: Type) -> Event {
    Event { r#type: Some(kind as i32), ..Event::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::encode;

    const UUID: &str = "AAECAwQFBgcICQoLDA0ODw==";

    fn said(rest: &str) -> Result<Option<Said>, String> {
        let json = format!(r#"{{"executor_id":{{"value":"e"}},"framework_id":{{"value":"F"}},{rest}}}"#);
        read(&decode(Codec::Json, json.as_bytes()).unwrap()).map_err(|error| error.to_string())
    }

    fn update(rest: &str) -> Result<Option<Said>, String> {
        said(&format!(r#""type":"UPDATE","update":{{"status":{{"task_id":{{"value":"t"}},{rest}}}}}"#))
    }

    fn json(event: &Event) -> String {
        String::from_utf8(encode(Codec::Json, event)).unwrap()
    }

    #[test]
    fn what_executors_say() {
        let whole = format!(
            r#""state":"TASK_RUNNING","source":"SOURCE_EXECUTOR","uuid":"{UUID}","message":"m","healthy":true,
                "labels":{{"labels":[{{"key":"k"}}]}}"#
        );
        let Ok(Some(Said::Update(news))) = update(&whole) else { panic!("an update") };
        assert_eq!((news.task.as_str(), news.state, news.message.as_str()), ("t", TaskState::Running, "m"));
        assert_eq!((news.healthy, news.uuid), (Some(true), 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f));
        let kept: v1::TaskStatus = unwrapped(&news.raw);
        assert!(kept.labels.is_some(), "all of it is kept");
        let subscribe = format!(
            r#""type":"SUBSCRIBE","subscribe":{{"unacknowledged_tasks":[{{"name":"n","task_id":{{"value":"t"}},
                "agent_id":{{"value":"S"}}}}],
                "unacknowledged_updates":[{{"status":{{"task_id":{{"value":"t"}},{whole}}}}}]}}"#
        );
        let expected = Said::Subscribe { tasks: vec!["t".into()], updates: vec![*news] };
        assert_eq!(said(&subscribe), Ok(Some(expected)));
        assert_eq!(
            said(r#""type":"MESSAGE","message":{"data":"aGk="}"#),
            Ok(Some(Said::Message(Raw::new(*b"hi"))))
        );
        assert_eq!(said(r#""type":"HEARTBEAT""#), Ok(Some(Said::Heartbeat)));
        assert_eq!(said(r#""type":"UNKNOWN""#), Ok(None));
    }

    #[test]
    fn what_they_must_not_say() {
        let source = r#""source":"SOURCE_EXECUTOR""#;
        for (rest, words) in [
            (format!(r#""state":"TASK_RUNNING",{source}"#), "Expecting 'uuid' to be present"),
            (format!(r#""state":"TASK_RUNNING",{source},"uuid":"AAEC""#), "'uuid' must have 16 bytes"),
            (
                format!(r#""state":"TASK_RUNNING","uuid":"{UUID}""#),
                "Received Call from executor e of framework F with invalid source, expecting 'SOURCE_EXECUTOR'",
            ),
            (
                format!(r#""state":"TASK_RUNNING","source":"SOURCE_AGENT","uuid":"{UUID}""#),
                "Received Call from executor e of framework F with invalid source",
            ),
            (
                format!(r#""state":"TASK_STAGING",{source},"uuid":"{UUID}""#),
                "Received TASK_STAGING from executor e of framework F which is not allowed",
            ),
            (
                format!(r#""state":"TASK_RUNNING",{source},"uuid":"{UUID}","executor_id":{{"value":"x"}}"#),
                "ExecutorID in Call: e does not match ExecutorID in TaskStatus: x",
            ),
            (
                format!(r#""state":"TASK_RUNNING",{source},"uuid":"{UUID}","check_status":{{"type":"TCP"}}"#),
                "Expecting 'tcp' to be set for TCP check's status",
            ),
        ] {
            let error = update(&rest).unwrap_err();
            assert!(error.starts_with(words), "{error}");
        }
        for part in ["subscribe", "update", "message"] {
            let error = said(&format!(r#""type":"{}""#, part.to_uppercase()));
            assert_eq!(error, Err(format!("Expecting '{part}' to be present")));
        }
    }

    #[test]
    fn what_they_are_told_to_the_byte() {
        let info = decode(Codec::Json, br#"{"user":"u","name":"n","id":{"value":"F"}}"#).unwrap();
        let framework = framework::read(&info).unwrap();
        let executor: v1::ExecutorInfo =
            decode(Codec::Json, br#"{"executor_id":{"value":"e"},"command":{"value":"x"}}"#).unwrap();
        let agent = v1::AgentInfo { hostname: "h".into(), port: Some(5051), ..v1::AgentInfo::default() };
        let raw = Raw::new(executor.encode_to_vec());
        assert_eq!(
            json(&subscribed(&raw, &framework, agent, "c")),
            concat!(
                r#"{"type":"SUBSCRIBED","subscribed":{"executor_info":{"executor_id":{"value":"e"},"#,
                r#""command":{"shell":true,"value":"x"}},"framework_info":{"user":"u","name":"n","#,
                r#""id":{"value":"F"},"failover_timeout":0.0,"checkpoint":false,"role":"*"},"#,
                r#""agent_info":{"hostname":"h","port":5051},"container_id":{"value":"c"}}}"#
            )
        );
        let task = br#"{"name":"n","task_id":{"value":"t"},"agent_id":{"value":"S"},"data":"aGk="}"#;
        let task: v1::TaskInfo = decode(Codec::Json, task).unwrap();
        let raw = Raw::new(task.encode_to_vec());
        let told = r#"{"name":"n","task_id":{"value":"t"},"agent_id":{"value":"S"},"data":"aGk="}"#;
        assert_eq!(json(&launch(&raw)), format!(r#"{{"type":"LAUNCH","launch":{{"task":{told}}}}}"#));
        assert_eq!(
            json(&launch_group(&[raw])),
            format!(r#"{{"type":"LAUNCH_GROUP","launch_group":{{"task_group":{{"tasks":[{told}]}}}}}}"#)
        );
        assert_eq!(json(&kill("t", None)), r#"{"type":"KILL","kill":{"task_id":{"value":"t"}}}"#);
        assert!(
            json(&kill("t", Some(3))).contains(r#""kill_policy":{"grace_period":{"nanoseconds":3000000}}"#)
        );
        assert_eq!(
            json(&acknowledged("t", 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f)),
            format!(
                r#"{{"type":"ACKNOWLEDGED","acknowledged":{{"task_id":{{"value":"t"}},"uuid":"{UUID}"}}}}"#
            )
        );
        assert_eq!(json(&message(b"hi")), r#"{"type":"MESSAGE","message":{"data":"aGk="}}"#);
        assert_eq!(json(&shutdown()), r#"{"type":"SHUTDOWN"}"#);
        assert_eq!(json(&heartbeat()), r#"{"type":"HEARTBEAT"}"#);
        assert_eq!(json(&error("no")), r#"{"type":"ERROR","error":{"message":"no"}}"#);
    }
}
