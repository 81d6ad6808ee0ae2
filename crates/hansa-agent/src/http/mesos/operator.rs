//! The agent's operator API: `POST /api/v1`.

use super::about;
use super::answers::{bad, body, empty, form_of_body, last, message, must_post, refused, unsupported};
use super::attach::{self, RECORDIO};
use super::disk::Used;
use super::figures::{self, Figure};
use super::places::{self, Run};
use crate::agent::Shell;
use crate::agent_info;
use crate::executors::executor_info;
use crate::http::{Context, files};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use hansa_images::{NotAReference, Reference};
use hansa_mesos::codec::{Codec, decode, from_value};
use hansa_mesos::framework;
use hansa_mesos::logging;
use hansa_mesos::proto::v1;
use hansa_mesos::proto::v1::agent::{Call, call, response};
use hansa_mesos::resources::{self, Form};
use hansa_mesos::status;
use hansa_mesos::task::image_of;
use hansa_model::framework::FrameworkInfo;
use hansa_node::saved::SavedGroup;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) async fn serve(context: Context, request: Request) -> Response {
    match answer(context, request).await {
        Ok(response) | Err(response) => response,
    }
}

async fn answer(context: Context, request: Request) -> Result<Response, Response> {
    let (head, content) = request.into_parts();
    must_post(&head.method)?;
    let of_messages = last(&head.headers, "message-content-type");
    if last(&head.headers, "content-type").is_some_and(|kind| kind.trim() == RECORDIO) {
        let codec = of_messages
            .ok_or_else(|| bad("Expecting 'Message-Content-Type' to be set for streaming requests"))?;
        let codec = Codec::of_media_type(codec).ok_or_else(|| {
            let words = "Expecting 'Message-Content-Type' of application/json or application/x-protobuf";
            refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, words)
        })?;
        return Ok(attach::input(&context, codec, content).await);
    }
    let codec = form_of_body(&head.headers)?;
    if of_messages.is_some() {
        let words = "Expecting 'Message-Content-Type' to be not set for non-streaming requests";
        return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, words));
    }
    let content = body(content).await?;
    let call: Call = decode(codec, &content)
        .map_err(|error| bad(format!("Failed to parse body into Call protobuf: {error}")))?;
    let kind =
        call.r#type.ok_or_else(|| bad("Failed to validate agent::Call: Expecting 'type' to be present"))?;
    let kind = call::Type::try_from(kind).unwrap_or(call::Type::Unknown);
    let form = attach::form(&head.headers, kind)?;
    let said = match kind {
        call::Type::ListFiles => list_files(&context, call).await?,
        call::Type::ReadFile => read_file(&context, call).await?,
        call::Type::GetLoggingLevel => {
            let level = context.verbosity.map_or(0, |verbosity| (verbosity.get)());
            let level = response::GetLoggingLevel { level };
            Said { get_logging_level: Some(level), ..bare(response::Type::GetLoggingLevel) }
        }
        call::Type::SetLoggingLevel => return set_logging_level(&context, &call),
        call::Type::PruneImages => return prune_images(&context, call).await,
        kind => {
            let nested = call.get_containers.as_ref().is_some_and(|asked| asked.show_nested());
            if let Some(response) = attach::answer(&context, kind, call, form).await {
                return Ok(response);
            }
            let used = match kind {
                call::Type::GetContainers => super::disk_used(&context).await,
                _ => Used::new(),
            };
            let written = context.ask(move |shell| write(shell, kind, nested, &used)).await?;
            written.ok_or_else(|| unsupported(format!("the call {}", kind.as_str_name())))?
        }
    };
    Ok(message(form.codec(), &said))
}

type Said = v1::agent::Response;

fn bare(kind: response::Type) -> Said {
    Said { r#type: Some(kind as i32), ..Said::default() }
}

/// The answer of a call that only asks what the loop knows; None: there is no such call here.
fn write(shell: &Shell, kind: call::Type, nested: bool, used: &Used) -> Option<Said> {
    use response::Type;
    Some(match kind {
        call::Type::GetHealth => {
            Said { get_health: Some(response::GetHealth { healthy: true }), ..bare(Type::GetHealth) }
        }
        call::Type::GetFlags => {
            let flag = |(name, value): (&str, String)| v1::Flag { name: name.into(), value: Some(value) };
            let flags = about::flags(shell).into_iter().map(flag).collect();
            Said { get_flags: Some(response::GetFlags { flags }), ..bare(Type::GetFlags) }
        }
        call::Type::GetVersion => {
            let version_info = from_value(&about::version()).unwrap_or_default();
            Said { get_version: Some(response::GetVersion { version_info }), ..bare(Type::GetVersion) }
        }
        call::Type::GetMetrics => {
            let metric =
                |(name, value): (String, serde_json::Value)| v1::Metric { name, value: value.as_f64() };
            let metrics = about::metrics(shell).into_iter().map(metric).collect();
            Said { get_metrics: Some(response::GetMetrics { metrics }), ..bare(Type::GetMetrics) }
        }
        call::Type::GetState => {
            let state = response::GetState {
                get_tasks: Some(tasks(shell)),
                get_executors: Some(executors(shell)),
                get_frameworks: Some(frameworks(shell)),
            };
            Said { get_state: Some(state), ..bare(Type::GetState) }
        }
        call::Type::GetContainers => {
            let containers = figures::all(shell, nested, used).into_iter().map(container).collect();
            Said { get_containers: Some(response::GetContainers { containers }), ..bare(Type::GetContainers) }
        }
        call::Type::GetFrameworks => {
            Said { get_frameworks: Some(frameworks(shell)), ..bare(Type::GetFrameworks) }
        }
        call::Type::GetExecutors => {
            Said { get_executors: Some(executors(shell)), ..bare(Type::GetExecutors) }
        }
        call::Type::GetOperations => {
            Said { get_operations: Some(response::GetOperations::default()), ..bare(Type::GetOperations) }
        }
        call::Type::GetTasks => Said { get_tasks: Some(tasks(shell)), ..bare(Type::GetTasks) },
        call::Type::GetAgent => {
            let agent_info = Some(agent_info::write(shell.node.config()));
            let agent = response::GetAgent { agent_info, ..response::GetAgent::default() };
            Said { get_agent: Some(agent), ..bare(Type::GetAgent) }
        }
        _ => return None,
    })
}

fn container(figure: Figure) -> response::get_containers::Container {
    response::get_containers::Container {
        framework_id: Some(v1::FrameworkId { value: figure.run.framework }),
        executor_id: Some(v1::ExecutorId { value: figure.run.executor }),
        executor_name: Some(figure.name),
        container_id: figure.id,
        container_status: Some(figure.status),
        resource_statistics: Some(figure.statistics),
    }
}

fn frameworks(shell: &Shell) -> response::GetFrameworks {
    let saved = shell.node.saved();
    let groups = saved.groups().values().filter_map(|group| group.launch.framework.as_ref());
    let infos = groups.map(|of| &of.framework).chain(saved.executors().values().map(|held| &held.framework));
    let infos: BTreeMap<&str, &Arc<FrameworkInfo>> = infos.map(|info| (info.id.as_str(), info)).collect();
    let past = shell.node.past().iter().filter_map(|group| group.launch.framework.as_ref());
    let past: BTreeMap<&str, &Arc<FrameworkInfo>> = past
        .map(|of| (of.framework.id.as_str(), &of.framework))
        .filter(|(id, _)| !infos.contains_key(id))
        .collect();
    let framework = |info: &Arc<FrameworkInfo>| response::get_frameworks::Framework {
        framework_info: framework::write(info),
    };
    response::GetFrameworks {
        frameworks: infos.into_values().map(framework).collect(),
        completed_frameworks: past.into_values().map(framework).collect(),
    }
}

fn executors(shell: &Shell) -> response::GetExecutors {
    let of = |executor_info| response::get_executors::Executor { executor_info };
    let saved = shell.node.saved();
    let mut executors: Vec<_> = saved.executors().values().filter_map(executor_info).map(of).collect();
    // A command task is its own executor.
    let commands = saved.groups().values().filter(|group| !group.is_terminal() && group.executor().is_none());
    let named = |run: Run| v1::ExecutorInfo {
        executor_id: v1::ExecutorId { value: run.executor.clone() },
        framework_id: Some(v1::FrameworkId { value: run.framework }),
        source: Some(run.executor),
        ..v1::ExecutorInfo::default()
    };
    executors.extend(commands.filter_map(Run::of_group).map(|run| of(named(run))));
    let mut past: Vec<Run> = Vec::new();
    for run in shell.node.past().iter().filter_map(Run::of_group) {
        if !past.contains(&run) && !saved.executors().contains_key(run.container.as_str()) {
            past.push(run);
        }
    }
    let completed_executors = past.into_iter().map(|run| of(named(run))).collect();
    response::GetExecutors { executors, completed_executors }
}

fn tasks(shell: &Shell) -> response::GetTasks {
    let mut tasks = response::GetTasks::default();
    for group in shell.node.saved().groups().values() {
        for index in 0..group.launch.tasks.len() {
            let status = group.statuses.get(index).and_then(Option::as_ref);
            let Some(shown) = task(shell, group, index) else { continue };
            match status {
                Some(status) if status.state.is_terminal() => tasks.terminated_tasks.push(shown),
                None if group.executor().is_some() && !group.delivered => tasks.queued_tasks.push(shown),
                _ => tasks.launched_tasks.push(shown),
            }
        }
    }
    for group in shell.node.past() {
        tasks
            .completed_tasks
            .extend((0..group.launch.tasks.len()).filter_map(|index| task(shell, group, index)));
    }
    tasks
}

/// A framework's task; services have none here.
fn task(shell: &Shell, group: &SavedGroup, index: usize) -> Option<v1::Task> {
    let of = group.launch.framework.as_ref()?;
    let task = of.tasks.get(index)?;
    let info = decode::<v1::TaskInfo>(Codec::Protobuf, task.info.bytes()).ok()?;
    let newest = group.statuses.get(index).and_then(Option::as_ref);
    let state = newest.map_or(v1::TaskState::TaskStaging, |newest| status::state(newest.state));
    let own = newest.map(|newest| {
        let said = newest.executor.as_ref();
        let said = said.and_then(|said| decode::<v1::TaskStatus>(Codec::Protobuf, said.raw.bytes()).ok());
        let mut shown = said.unwrap_or_else(|| status::ours(newest));
        shown.task_id = v1::TaskId { value: task.id.clone() };
        shown
    });
    Some(v1::Task {
        name: task.name.clone(),
        task_id: v1::TaskId { value: task.id.clone() },
        framework_id: v1::FrameworkId { value: of.framework.id.to_string() },
        executor_id: of.executor.as_ref().map(|run| v1::ExecutorId { value: run.id.clone() }),
        agent_id: v1::AgentId { value: shell.node.config().agent.to_string() },
        state: state as i32,
        resources: resources::write(&task.parts, Form::whole(Some(&group.launch.role))),
        statuses: own.into_iter().collect(),
        labels: info.labels,
        discovery: info.discovery,
        container: info.container,
        ..v1::Task::default()
    })
}

#[expect(clippy::result_large_err, reason = "the error is the answer; there is one for each request")]
fn set_logging_level(context: &Context, call: &Call) -> Result<Response, Response> {
    let asked =
        call.set_logging_level.as_ref().ok_or_else(|| bad("Expecting 'set_logging_level' to be present"))?;
    let time = logging::time(asked.duration.nanoseconds).map_err(|wrong| bad(wrong.to_string()))?;
    let verbosity = context.verbosity.ok_or_else(|| unsupported(about::NO_LEVELS))?;
    (verbosity.set)(asked.level, time);
    Ok(empty())
}

async fn prune_images(context: &Context, call: Call) -> Result<Response, Response> {
    let named = call.prune_images.unwrap_or_default().excluded_images;
    let but = named
        .iter()
        .map(|image| {
            let image = image_of(image).map_err(|why| why.to_string())?;
            image.reference.parse().map_err(|why: NotAReference| why.to_string())
        })
        .collect::<Result<Vec<Reference>, String>>()
        .map_err(|why| bad(format!("Failed to validate agent::Call: 'excluded_images': {why}")))?;
    let images = context.images.images().clone();
    let pruned = tokio::task::spawn_blocking(move || images.prune(&but)).await;
    pruned.map_err(|why| refused(StatusCode::INTERNAL_SERVER_ERROR, why.to_string()))?;
    Ok(empty())
}

fn not_found() -> Response {
    refused(StatusCode::NOT_FOUND, "there is no such file")
}

async fn list_files(context: &Context, call: Call) -> Result<Said, Response> {
    let path = call.list_files.ok_or_else(|| bad("Expecting 'list_files' to be present"))?.path;
    let asked = path.clone();
    let place = context.ask(move |shell| places::locate(shell, &asked)).await?;
    let (sandbox, inside) = place.ok_or_else(not_found)?;
    let entries = sandbox.list(&inside).map_err(|_| not_found())?;
    let base = path.trim_end_matches('/');
    let info = |entry: crate::sandbox::Entry| v1::FileInfo {
        path: format!("{base}/{}", entry.name),
        nlink: i32::try_from(entry.links).ok(),
        size: Some(entry.size),
        mtime: Some(v1::TimeInfo { nanoseconds: entry.modified.saturating_mul(1_000_000_000) }),
        mode: Some(entry.mode),
        uid: Some(entry.uid.to_string()),
        gid: Some(entry.gid.to_string()),
    };
    let file_infos = entries.into_iter().map(info).collect();
    Ok(Said { list_files: Some(response::ListFiles { file_infos }), ..bare(response::Type::ListFiles) })
}

async fn read_file(context: &Context, call: Call) -> Result<Said, Response> {
    let asked = call.read_file.ok_or_else(|| bad("Expecting 'read_file' to be present"))?;
    let path = asked.path;
    let place = context.ask(move |shell| places::locate(shell, &path)).await?;
    let (sandbox, inside) = place.ok_or_else(not_found)?;
    let read = files::piece(&sandbox, &inside, asked.offset, asked.length.unwrap_or(u64::MAX));
    let (data, size) = read.map_err(|error| match error.kind() {
        std::io::ErrorKind::IsADirectory => bad("Cannot read a directory.\n"),
        _ => not_found(),
    })?;
    Ok(Said { read_file: Some(response::ReadFile { size, data }), ..bare(response::Type::ReadFile) })
}
