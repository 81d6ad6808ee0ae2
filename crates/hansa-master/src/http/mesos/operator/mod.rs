//! The operator API: `POST /api/v1`. One call, one answer of the same name; only SUBSCRIBE goes on.

mod events;
mod shapes;

use super::about::{self, Me};
use super::answers::{self, Refused};
use super::changes::{Act, scalars_of};
use super::picture::{Picture, Wanted};
use super::scheduler::read;
use super::{Mesos, files, metrics, negotiate, steward};
use crate::cell::AgentOrder;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use hansa_mesos::codec::{self, Codec};
use hansa_mesos::logging;
use hansa_mesos::proto::v1;
use hansa_mesos::proto::v1::master::call::Type;
use hansa_mesos::proto::v1::master::response::{self, Type as Kind};
use hansa_mesos::proto::v1::master::{Call, Response as Message};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

pub(super) use events::Subscribers;

/// Answers a call.
pub(super) async fn answer(mesos: &Mesos, me: Me, request: Request) -> Result<Response, Refused> {
    let (headers, call): (_, Call) = read(request).await?;
    if call.r#type.is_none() || call.r#type() == Type::Unknown {
        return Err(Refused::bad("Failed to validate master::Call: Expecting 'type' to be present"));
    }
    let form = negotiate::of_answer(&headers)?;
    if let Some(answer) = change(mesos, &call).await? {
        return Ok(answer);
    }
    if call.r#type() == Type::Subscribe {
        return events::subscribe(mesos, me, form).await;
    }
    mesos.master.read_what_was_told().await;
    if let Some(told) = short(mesos, &me, &call).await? {
        return Ok(written(form, &told));
    }
    let kind = call.r#type();
    // Roles and agents show what their tasks have, so all of them are needed.
    let master = mesos.master.clone();
    mesos
        .aside(move || {
            let picture = Picture::take(&master, me, &Wanted::default());
            written(form, &long(&picture, kind))
        })
        .await
}

/// An answer, written down.
fn written(form: Codec, message: &Message) -> Response {
    answers::whole(StatusCode::OK, form.media_type(), codec::encode(form, message))
}

fn of(kind: Kind) -> Message {
    Message { r#type: Some(kind as i32), ..Message::default() }
}

/// What tells of machines, frameworks and tasks.
fn long(picture: &Picture, kind: Type) -> Message {
    match kind {
        Type::GetAgents => Message { get_agents: Some(shapes::agents(picture)), ..of(Kind::GetAgents) },
        Type::GetFrameworks => {
            Message { get_frameworks: Some(shapes::frameworks(picture)), ..of(Kind::GetFrameworks) }
        }
        Type::GetExecutors => {
            Message { get_executors: Some(shapes::executors(picture)), ..of(Kind::GetExecutors) }
        }
        Type::GetTasks => Message { get_tasks: Some(shapes::tasks(picture)), ..of(Kind::GetTasks) },
        Type::GetRoles => Message { get_roles: Some(shapes::roles(picture)), ..of(Kind::GetRoles) },
        _ => Message { get_state: Some(shapes::state_of(picture)), ..of(Kind::GetState) },
    }
}

/// What is told at once. None: it is long, or an error names what is not supported.
async fn short(mesos: &Mesos, me: &Me, call: &Call) -> Result<Option<Message>, Refused> {
    Ok(Some(match call.r#type() {
        Type::GetHealth => {
            Message { get_health: Some(response::GetHealth { healthy: true }), ..of(Kind::GetHealth) }
        }
        Type::GetFlags => {
            let flag = |(name, value): &(&str, String)| v1::Flag {
                name: (*name).to_owned(),
                value: Some(value.clone()),
            };
            let flags = me.flags.iter().map(flag).collect();
            Message { get_flags: Some(response::GetFlags { flags }), ..of(Kind::GetFlags) }
        }
        Type::GetVersion => {
            let version_info = codec::from_value(&about::version())
                .map_err(|error| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
            Message { get_version: Some(response::GetVersion { version_info }), ..of(Kind::GetVersion) }
        }
        Type::GetMetrics => {
            let number = |(name, value)| v1::Metric { name, value: Some(value) };
            let metrics = metrics::numbers(mesos).await.into_iter().map(number).collect();
            Message { get_metrics: Some(response::GetMetrics { metrics }), ..of(Kind::GetMetrics) }
        }
        Type::GetLoggingLevel => Message {
            get_logging_level: Some(response::GetLoggingLevel {
                level: mesos.master.options().verbosity.map_or(0, |verbosity| (verbosity.get)()),
            }),
            ..of(Kind::GetLoggingLevel)
        },
        Type::ListFiles => {
            let path = call.list_files.as_ref().map(|list| list.path.as_str());
            let path = path.ok_or_else(|| missing("list_files"))?;
            let file_infos = files::list(Some(path))?.iter().map(file_info).collect();
            Message { list_files: Some(response::ListFiles { file_infos }), ..of(Kind::ListFiles) }
        }
        Type::ReadFile => {
            let asked = call.read_file.as_ref().ok_or_else(|| missing("read_file"))?;
            let offset = i64::try_from(asked.offset).unwrap_or(i64::MAX);
            let part = files::part(&asked.path, Some(offset), asked.length)?;
            let read = response::ReadFile { size: part.size, data: part.data };
            Message { read_file: Some(read), ..of(Kind::ReadFile) }
        }
        Type::GetOperations => {
            Message { get_operations: Some(response::GetOperations::default()), ..of(Kind::GetOperations) }
        }
        Type::GetWeights => Message {
            get_weights: Some(response::GetWeights { weight_infos: mesos.weights() }),
            ..of(Kind::GetWeights)
        },
        Type::GetMaster => Message {
            get_master: Some(response::GetMaster {
                master_info: Some(me.info()),
                start_time: Some(about::seconds(me.started_at)),
                elected_time: Some(about::seconds(me.started_at)),
            }),
            ..of(Kind::GetMaster)
        },
        Type::GetMaintenanceStatus => Message {
            get_maintenance_status: Some(response::GetMaintenanceStatus {
                status: steward::status(&mesos.steward.said()),
            }),
            ..of(Kind::GetMaintenanceStatus)
        },
        Type::GetMaintenanceSchedule => Message {
            get_maintenance_schedule: Some(response::GetMaintenanceSchedule {
                schedule: steward::schedule(&mesos.steward.said()),
            }),
            ..of(Kind::GetMaintenanceSchedule)
        },
        Type::GetQuota => {
            Message { get_quota: Some(response::GetQuota { status: mesos.quota() }), ..of(Kind::GetQuota) }
        }
        Type::GetAgents
        | Type::GetFrameworks
        | Type::GetExecutors
        | Type::GetTasks
        | Type::GetRoles
        | Type::GetState => return Ok(None),
        other => return Err(Refused::unsupported(format!("a call of type {}", other.as_str_name()))),
    }))
}

fn file_info((path, metadata): &(String, std::fs::Metadata)) -> v1::FileInfo {
    v1::FileInfo {
        path: path.clone(),
        nlink: i32::try_from(metadata.nlink()).ok(),
        size: Some(metadata.len()),
        mtime: Some(v1::TimeInfo { nanoseconds: metadata.mtime().saturating_mul(1_000_000_000) }),
        mode: Some(metadata.permissions().mode()),
        uid: Some(metadata.uid().to_string()),
        gid: Some(metadata.gid().to_string()),
    }
}

fn missing(name: &str) -> Refused {
    Refused::bad(format!("Failed to validate master::Call: Expecting '{name}' to be present"))
}

/// The part of a call that its type says must be there.
fn part<'a, T>(part: &'a Option<T>, name: &str) -> Result<&'a T, Refused> {
    part.as_ref().ok_or_else(|| missing(name))
}

/// What changes something. None: the call changes nothing.
async fn change(mesos: &Mesos, call: &Call) -> Result<Option<Response>, Refused> {
    let mut status = StatusCode::OK;
    match call.r#type() {
        Type::UpdateWeights => {
            mesos.set_weights(&part(&call.update_weights, "update_weights")?.weight_infos).await?;
        }
        Type::UpdateQuota => {
            let asked = part(&call.update_quota, "update_quota")?;
            let quotas: Vec<_> = asked
                .quota_configs
                .iter()
                .map(|config| (config.role.clone(), config.guarantees.clone(), config.limits.clone()))
                .collect();
            mesos.set_quota(asked.force.unwrap_or(false), &quotas).await?;
        }
        Type::SetQuota => {
            let asked = &part(&call.set_quota, "set_quota")?.quota_request;
            let guarantee = scalars_of(&asked.guarantee)?;
            let quota = (asked.role.clone().unwrap_or_default(), guarantee.clone(), guarantee);
            mesos.set_quota(asked.force.unwrap_or(false), &[quota]).await?;
        }
        Type::RemoveQuota => {
            let role = part(&call.remove_quota, "remove_quota")?.role.clone();
            mesos.set_quota(true, &[(role, Default::default(), Default::default())]).await?;
        }
        Type::ReserveResources => {
            let asked = part(&call.reserve_resources, "reserve_resources")?;
            if !asked.source.is_empty() {
                return Err(Refused::unsupported("RESERVE_RESOURCES with a source: unreserve, then reserve"));
            }
            mesos.act(&asked.agent_id.value, Act::Reserve, &asked.resources).await?;
            status = StatusCode::ACCEPTED;
        }
        Type::UnreserveResources => {
            let asked = part(&call.unreserve_resources, "unreserve_resources")?;
            mesos.act(&asked.agent_id.value, Act::Unreserve, &asked.resources).await?;
            status = StatusCode::ACCEPTED;
        }
        Type::CreateVolumes => {
            let asked = part(&call.create_volumes, "create_volumes")?;
            mesos.act(&asked.agent_id.value, Act::Create, &asked.volumes).await?;
            status = StatusCode::ACCEPTED;
        }
        Type::DestroyVolumes => {
            let asked = part(&call.destroy_volumes, "destroy_volumes")?;
            mesos.act(&asked.agent_id.value, Act::Destroy, &asked.volumes).await?;
            status = StatusCode::ACCEPTED;
        }
        Type::UpdateMaintenanceSchedule => {
            let asked = part(&call.update_maintenance_schedule, "update_maintenance_schedule")?;
            mesos.steward.set_schedule(&asked.schedule).await?;
        }
        Type::StartMaintenance => {
            mesos.steward.down(&part(&call.start_maintenance, "start_maintenance")?.machines).await?;
        }
        Type::StopMaintenance => {
            mesos.steward.up(&part(&call.stop_maintenance, "stop_maintenance")?.machines).await?;
        }
        Type::DrainAgent => {
            let asked = part(&call.drain_agent, "drain_agent")?;
            let grace = asked
                .max_grace_period
                .as_ref()
                .map(|span| span.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(span.nanos)));
            if grace.is_some_and(|grace| grace < 0) {
                return Err(Refused::bad("Expecting 'max_grace_period' to be non-negative"));
            }
            let config = v1::DrainConfig {
                max_grace_period: grace.map(|nanoseconds| v1::DurationInfo { nanoseconds }),
                mark_gone: Some(asked.mark_gone()),
            };
            mesos.drain(&asked.agent_id.value, config).await?;
        }
        Type::DeactivateAgent => {
            let asked = part(&call.deactivate_agent, "deactivate_agent")?;
            mesos.order(&asked.agent_id.value, AgentOrder::Deactivate).await?;
        }
        Type::ReactivateAgent => {
            let asked = part(&call.reactivate_agent, "reactivate_agent")?;
            mesos.order(&asked.agent_id.value, AgentOrder::Reactivate).await?;
        }
        Type::MarkAgentGone => {
            let asked = part(&call.mark_agent_gone, "mark_agent_gone")?;
            mesos.order(&asked.agent_id.value, AgentOrder::Gone).await?;
        }
        Type::Teardown => {
            mesos.teardown(&part(&call.teardown, "teardown")?.framework_id.value).await?;
        }
        Type::SetLoggingLevel => {
            let asked = part(&call.set_logging_level, "set_logging_level")?;
            let time =
                logging::time(asked.duration.nanoseconds).map_err(|wrong| Refused::bad(wrong.to_string()))?;
            let verbosity = mesos.master.options().verbosity;
            let verbosity = verbosity.ok_or_else(|| Refused::unsupported(about::NO_LEVELS))?;
            (verbosity.set)(asked.level, time);
        }
        _ => return Ok(None),
    }
    Ok(Some(answers::empty(status)))
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn the_version_is_one_that_clients_compare() {
        let version: v1::VersionInfo = codec::from_value(&about::version()).unwrap();
        assert!(version.version.split('.').all(|part| part.parse::<u32>().is_ok()));
    }
}
