//! The executor API: `POST /api/v1/executor`. What an executor says is checked here and handed to the loop; what it is
//! told comes on the stream that its SUBSCRIBE opens.

use super::answers::{accepted, bad, body, form_of_answer, form_of_body, must_post, refused, typed};
use crate::agent::{Event, Subscription};
use crate::executors::{ExecutorStream, MOST_WAITING, heartbeat};
use crate::http::Context;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use hansa_mesos::codec::{Codec, decode, encode};
use hansa_mesos::proto::v1;
use hansa_mesos::proto::v1::executor::{Call, call};
use hansa_mesos::status;
use hansa_model::InstanceId;
use hansa_model::framework::Raw;
use hansa_node::{ExecutorUpdate, Input};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// Mesos' interval; clients exist that take the first heartbeat for an error.
const HEARTBEAT: Duration = Duration::from_secs(30 * 60);

/// Streams are numbered from 1.
static STREAMS: AtomicU64 = AtomicU64::new(1);

pub(super) async fn serve(context: Context, request: Request) -> Response {
    match answer(context, request).await {
        Ok(response) | Err(response) => response,
    }
}

async fn answer(context: Context, request: Request) -> Result<Response, Response> {
    let (head, content) = request.into_parts();
    must_post(&head.method)?;
    let codec = form_of_body(&head.headers)?;
    let content = body(content).await?;
    let call: Call = decode(codec, &content)
        .map_err(|error| bad(format!("Failed to parse body into Call protobuf: {error}")))?;
    let kind = validate(&call).map_err(|why| bad(format!("Failed to validate Executor::Call: {why}")))?;
    let takes = match kind {
        call::Type::Subscribe => form_of_answer(&head.headers)?,
        // Without looking at who says it: what says so may hold dummies.
        call::Type::Heartbeat => return Ok(accepted()),
        _ => Codec::Json,
    };
    let (container, met) = find(&context, &call).await?;
    if kind != call::Type::Subscribe && !met {
        return Err(refused(StatusCode::FORBIDDEN, "Executor is not subscribed"));
    }
    match kind {
        call::Type::Subscribe => subscribe(&context, container, takes, call).await,
        call::Type::Update => {
            let update = call.update.map(|update| read_update(update.status));
            let update = Box::new(update.ok_or_else(|| bad("Expecting 'update' to be present"))?);
            tell(&context, Input::ExecutorUpdate { container, update }).await
        }
        call::Type::Message => {
            let data = Raw::new(call.message.map(|message| message.data).unwrap_or_default());
            tell(&context, Input::ExecutorMessage { container, data }).await
        }
        call::Type::Heartbeat => Ok(accepted()),
        call::Type::Unknown => Err(super::answers::unsupported("calls of type UNKNOWN")),
    }
}

async fn tell(context: &Context, input: Input) -> Result<Response, Response> {
    let ending = || refused(StatusCode::SERVICE_UNAVAILABLE, "Agent is shutting down");
    context.events.send(Event::Node(input)).await.map_err(|_| ending())?;
    Ok(accepted())
}

/// The executor's container, and whether it has subscribed.
async fn find(context: &Context, call: &Call) -> Result<(InstanceId, bool), Response> {
    let (framework, executor) = (call.framework_id.value.clone(), call.executor_id.value.clone());
    let found = context.ask(move |shell| {
        let node = &shell.node;
        let of = |id: &str| id == framework;
        let groups = node.saved().groups().values().filter_map(|group| group.launch.framework.as_ref());
        let known = groups
            .map(|of| &of.framework)
            .chain(node.saved().executors().values().map(|held| &held.framework));
        let mut known = known.map(|info| info.id.as_str());
        if !known.any(of) {
            return Err("Framework cannot be found");
        }
        let held = node.executor(&framework, &executor).filter(|held| held.is_custom());
        let held = held.ok_or("Executor cannot be found")?;
        Ok((held.run.container.clone(), node.has_met(&held.run.container)))
    });
    found.await?.map_err(bad)
}

async fn subscribe(
    context: &Context,
    container: InstanceId,
    codec: Codec,
    call: Call,
) -> Result<Response, Response> {
    let said = call.subscribe.unwrap_or_default();
    let number = STREAMS.fetch_add(1, Ordering::Relaxed);
    let (sender, receiver) = mpsc::channel(MOST_WAITING);
    let subscription = Subscription {
        container: container.clone(),
        stream: ExecutorStream { number, codec, sender },
        tasks: said.unacknowledged_tasks.into_iter().map(|task| task.task_id.value).collect(),
        updates: said.unacknowledged_updates.into_iter().map(|update| read_update(update.status)).collect(),
    };
    let ending = || refused(StatusCode::SERVICE_UNAVAILABLE, "Agent is shutting down");
    context.events.send(Event::Subscribed(Box::new(subscription))).await.map_err(|_| ending())?;
    let open = Open { context: context.clone(), container, number };
    let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let state = (receiver, beat, open);
    let records = futures_util::stream::unfold(state, move |(mut receiver, mut beat, open)| async move {
        let record: Bytes = tokio::select! {
            biased;
            record = receiver.recv() => record?,
            _ = beat.tick() => heartbeat(codec),
        };
        Some((Ok::<_, std::convert::Infallible>(record), (receiver, beat, open)))
    });
    Ok(typed(codec.media_type(), Body::from_stream(records)))
}

/// A stream that somebody reads. When he does no more, the loop is told.
struct Open {
    context: Context,
    container: InstanceId,
    number: u64,
}

impl Drop for Open {
    fn drop(&mut self) {
        let events = self.context.events.clone();
        let input = Input::ExecutorLeft { container: self.container.clone(), stream: self.number };
        // Where there is no runtime any more, there is no loop either.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { events.send(Event::Node(input)).await });
        }
    }
}

/// An executor's word for a task, as the core takes it. That it has a uuid was checked.
fn read_update(status: v1::TaskStatus) -> ExecutorUpdate {
    let uuid = <[u8; 16]>::try_from(status.uuid()).map(u128::from_be_bytes).unwrap_or_default();
    ExecutorUpdate {
        task: status.task_id.value.clone(),
        uuid,
        state: status::read_state(status.state()),
        message: status.message().to_owned(),
        healthy: status.healthy,
        raw: Raw::new(encode(Codec::Protobuf, &status)),
    }
}

/// Mesos' checks, in its order and words.
fn validate(call: &Call) -> Result<call::Type, String> {
    let kind = call.r#type.ok_or("Expecting 'type' to be present")?;
    let kind = call::Type::try_from(kind).unwrap_or(call::Type::Unknown);
    match kind {
        call::Type::Subscribe => {
            let said = call.subscribe.as_ref().ok_or("Expecting 'subscribe' to be present")?;
            for update in &said.unacknowledged_updates {
                check_uuid(&update.status)?;
            }
        }
        call::Type::Update => {
            let update = call.update.as_ref().ok_or("Expecting 'update' to be present")?;
            validate_status(call, &update.status)?;
        }
        call::Type::Message => {
            call.message.as_ref().ok_or("Expecting 'message' to be present")?;
        }
        call::Type::Heartbeat | call::Type::Unknown => {}
    }
    Ok(kind)
}

fn check_uuid(status: &v1::TaskStatus) -> Result<(), String> {
    let uuid = status.uuid.as_ref().ok_or("Expecting 'uuid' to be present")?;
    match uuid.len() {
        16 => Ok(()),
        length => Err(format!("Not a valid UUID: it has {length} bytes and not 16")),
    }
}

fn validate_status(call: &Call, status: &v1::TaskStatus) -> Result<(), String> {
    check_uuid(status)?;
    let (executor, framework) = (&call.executor_id.value, &call.framework_id.value);
    if let Some(other) = status.executor_id.as_ref().filter(|other| other.value != *executor) {
        return Err(format!(
            "ExecutorID in Call: {executor} does not match ExecutorID in TaskStatus: {}",
            other.value
        ));
    }
    // What says nothing is the master's.
    if status.source != Some(v1::task_status::Source::Executor as i32) {
        return Err(format!(
            "Received Call from executor {executor} of framework {framework} with invalid source, expecting 'SOURCE_EXECUTOR'"
        ));
    }
    if status.state() == v1::TaskState::TaskStaging {
        return Err(format!(
            "Received TASK_STAGING from executor {executor} of framework {framework} which is not allowed"
        ));
    }
    status.check_status.as_ref().map_or(Ok(()), validate_check)
}

fn validate_check(status: &v1::CheckStatusInfo) -> Result<(), String> {
    use v1::check_info::Type;
    let kind = status.r#type.ok_or("CheckStatusInfo must specify 'type'")?;
    let (is_said, name, kind) = match Type::try_from(kind).unwrap_or(Type::Unknown) {
        Type::Command => (status.command.is_some(), "command", "COMMAND"),
        Type::Http => (status.http.is_some(), "http", "HTTP"),
        Type::Tcp => (status.tcp.is_some(), "tcp", "TCP"),
        Type::Unknown => return Err("'UNKNOWN' is not a valid check's status type".into()),
    };
    if is_said { Ok(()) } else { Err(format!("Expecting '{name}' to be set for {kind} check's status")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(call: &Value) -> Result<call::Type, String> {
        let call: Call =
            decode(Codec::Json, call.to_string().as_bytes()).map_err(|error| error.to_string())?;
        validate(&call)
    }

    #[test]
    fn calls_are_checked_as_mesos_does_it() {
        let who = json!({"executor_id": {"value": "e"}, "framework_id": {"value": "f"}});
        let with = |more: Value| {
            let mut call = who.clone();
            call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            check(&call)
        };
        let status = json!({
            "task_id": {"value": "t"}, "state": "TASK_RUNNING", "source": "SOURCE_EXECUTOR",
            "uuid": "AAAAAAAAAAAAAAAAAAAAAA==",
        });
        let update = |changes: Value| {
            let mut status = status.clone();
            status.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            with(json!({"type": "UPDATE", "update": {"status": status}}))
        };
        assert_eq!(update(json!({})), Ok(call::Type::Update));
        assert_eq!(update(json!({"executor_id": {"value": "e"}})), Ok(call::Type::Update));
        let checked = json!({"check_status": {"type": "COMMAND", "command": {"exit_code": 0}}});
        assert_eq!(update(checked), Ok(call::Type::Update));
        assert_eq!(with(json!({"type": "SUBSCRIBE", "subscribe": {}})), Ok(call::Type::Subscribe));
        assert_eq!(with(json!({"type": "HEARTBEAT"})), Ok(call::Type::Heartbeat));
        for (result, words) in [
            (with(json!({})), "Expecting 'type'"),
            (with(json!({"type": "SUBSCRIBE"})), "Expecting 'subscribe'"),
            (with(json!({"type": "UPDATE"})), "Expecting 'update'"),
            (with(json!({"type": "MESSAGE"})), "Expecting 'message'"),
            (update(json!({"uuid": null})), "Expecting 'uuid'"),
            (update(json!({"uuid": "AAAA"})), "Not a valid UUID"),
            (update(json!({"source": null})), "invalid source"),
            (update(json!({"source": "SOURCE_AGENT"})), "invalid source"),
            (update(json!({"state": "TASK_STAGING"})), "TASK_STAGING"),
            (update(json!({"executor_id": {"value": "x"}})), "does not match"),
            (update(json!({"check_status": {}})), "must specify 'type'"),
            (update(json!({"check_status": {"type": "HTTP", "tcp": {}}})), "Expecting 'http'"),
            (check(&json!({"type": "HEARTBEAT", "executor_id": {"value": "e"}})), "framework_id"),
        ] {
            assert!(result.as_ref().is_err_and(|error| error.contains(words)), "{result:?}: {words}");
        }
    }
}
