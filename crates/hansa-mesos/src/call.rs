//! What schedulers ask for: from `mesos.v1.scheduler.Call` to our calls.
//!
//! In the order in which an HTTP handler needs it: [`check`] says whether a call is one at all (else 400); a subscription
//! becomes a call by [`subscribe`], whose refusals are told as ERROR events; every other call by [`read`].

pub mod operation;

#[cfg(test)]
mod tests;

use crate::proto::v1;
use crate::proto::v1::scheduler::call::Type;
use crate::proto::v1::scheduler::{self, Call};
use crate::task::span_ms;
use crate::{Invalid, constraints, framework};
use hansa_model::framework::{FrameworkCall, FrameworkInfo, OfferFilter, Raw, StreamId};
use hansa_model::{AgentId, OfferId, RoleName};
use std::collections::BTreeSet;

/// Refused offers stay away for this long at most, in seconds.
const LONGEST_REFUSAL_SECS: f64 = 365.0 * 86_400.0;

/// Why a call is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It makes no sense: status 400.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It is something that there is not, which is named: status 501.
    #[error("{0} not supported")]
    Unsupported(&'static str),
}

/// Whether a call is complete, in the way in which Mesos looks at it before anything else. `principal` is who the
/// connection has logged in as.
///
/// # Errors
/// In Mesos' words.
pub fn check(call: &Call, principal: Option<&str>) -> Result<(), Invalid> {
    if call.r#type.is_none() {
        return Err(Invalid::new("Expecting 'type' to be present"));
    }
    let expect = |present: bool, name: &str| {
        if present { Ok(()) } else { Err(Invalid(format!("Expecting '{name}' to be present"))) }
    };
    if call.r#type() == Type::Subscribe {
        let subscribe =
            call.subscribe.as_ref().ok_or_else(|| Invalid::new("Expecting 'subscribe' to be present"))?;
        let info = &subscribe.framework_info;
        if id_of(call) != info.id.as_ref().map(|id| id.value.as_str()).unwrap_or_default() {
            return Err(Invalid::new("'framework_id' differs from 'subscribe.framework_info.id'"));
        }
        return match (principal, &info.principal) {
            (Some(principal), Some(said)) if principal != said => Err(Invalid(format!(
                "Authenticated principal '{principal}' does not match principal '{said}' set in `FrameworkInfo`"
            ))),
            _ => Ok(()),
        };
    }
    expect(call.framework_id.is_some(), "framework_id")?;
    match call.r#type() {
        Type::Accept => expect(call.accept.is_some(), "accept"),
        Type::Decline => expect(call.decline.is_some(), "decline"),
        Type::AcceptInverseOffers => expect(call.accept_inverse_offers.is_some(), "accept_inverse_offers"),
        Type::DeclineInverseOffers => expect(call.decline_inverse_offers.is_some(), "decline_inverse_offers"),
        Type::Kill => expect(call.kill.is_some(), "kill"),
        Type::Shutdown => expect(call.shutdown.is_some(), "shutdown"),
        Type::Acknowledge => {
            expect(call.acknowledge.is_some(), "acknowledge")?;
            call.acknowledge.as_ref().map_or(Ok(()), |acknowledge| uuid(&acknowledge.uuid).map(drop))
        }
        Type::AcknowledgeOperationStatus => {
            let part = call.acknowledge_operation_status.as_ref();
            expect(part.is_some(), "acknowledge_operation_status")?;
            part.map_or(Ok(()), |part| uuid(&part.uuid).map(drop))?;
            expect(part.is_some_and(|part| part.agent_id.is_some()), "agent_id")
        }
        Type::Reconcile => expect(call.reconcile.is_some(), "reconcile"),
        Type::ReconcileOperations => expect(call.reconcile_operations.is_some(), "reconcile_operations"),
        Type::Message => expect(call.message.is_some(), "message"),
        Type::Request => expect(call.request.is_some(), "request"),
        Type::UpdateFramework => {
            let update = call.update_framework.as_ref();
            expect(update.is_some(), "update_framework")?;
            let id = update.and_then(|update| update.framework_info.id.as_ref());
            if id.map(|id| id.value.as_str()).unwrap_or_default() != id_of(call) {
                return Err(Invalid::new("'framework_id' differs from 'update_framework.framework_info.id'"));
            }
            Ok(())
        }
        Type::Subscribe | Type::Teardown | Type::Revive | Type::Suppress | Type::Unknown => Ok(()),
    }
}

/// Whose call it is; empty: nobody's who is known yet.
pub fn id_of(call: &Call) -> &str {
    call.framework_id.as_ref().map(|id| id.value.as_str()).unwrap_or_default()
}

/// A subscription, heard on this stream from now on.
///
/// # Errors
/// For an ERROR event, after which the stream ends: what the framework says of itself makes no sense.
pub fn subscribe(subscribe: &scheduler::call::Subscribe, stream: StreamId) -> Result<FrameworkCall, Invalid> {
    let info = framework::read(&subscribe.framework_info)?;
    let suppressed = framework::read_subset(&info, &subscribe.suppressed_roles, "Suppressed roles")?;
    let constraints = constraints::read(&info, subscribe.offer_constraints.as_ref())?;
    Ok(FrameworkCall::Subscribe {
        stream,
        info: Box::new(info),
        suppressed,
        constraints: Box::new(constraints),
    })
}

/// Any other call of a framework that is subscribed. None: there is nothing to do.
///
/// # Errors
/// See [`Refusal`]. What is wrong with single tasks or operations stands in them, and fails nothing here.
pub fn read(call: &Call, framework: &FrameworkInfo) -> Result<Option<FrameworkCall>, Refusal> {
    check(call, None)?;
    let call = match (call.r#type(), call) {
        (Type::Teardown, _) => FrameworkCall::Teardown,
        (Type::Accept, Call { accept: Some(accept), .. }) => FrameworkCall::Accept {
            offers: offers(&accept.offer_ids),
            operations: accept.operations.iter().map(|one| operation::read(one, framework)).collect(),
            filter: filter(accept.filters.as_ref()),
        },
        (Type::Decline, Call { decline: Some(decline), .. }) => FrameworkCall::Decline {
            offers: offers(&decline.offer_ids),
            filter: filter(decline.filters.as_ref()),
        },
        (Type::Revive, Call { revive, .. }) => FrameworkCall::Revive {
            roles: revive.as_ref().map(|revive| roles(&revive.roles)).unwrap_or_default(),
        },
        (Type::Suppress, Call { suppress, .. }) => FrameworkCall::Suppress {
            roles: suppress.as_ref().map(|suppress| roles(&suppress.roles)).unwrap_or_default(),
        },
        (Type::Kill, Call { kill: Some(kill), .. }) => FrameworkCall::Kill {
            task: kill.task_id.value.clone(),
            agent: kill.agent_id.as_ref().map(agent),
            grace_ms: kill.kill_policy.as_ref().and_then(|policy| policy.grace_period.as_ref()).map(span_ms),
        },
        (Type::Shutdown, Call { shutdown: Some(shutdown), .. }) => FrameworkCall::Shutdown {
            executor: shutdown.executor_id.value.clone(),
            agent: agent(&shutdown.agent_id),
        },
        (Type::Acknowledge, Call { acknowledge: Some(acknowledge), .. }) => FrameworkCall::Acknowledge {
            agent: agent(&acknowledge.agent_id),
            task: acknowledge.task_id.value.clone(),
            uuid: uuid(&acknowledge.uuid)?,
        },
        (Type::Reconcile, Call { reconcile: Some(reconcile), .. }) => FrameworkCall::Reconcile {
            tasks: reconcile
                .tasks
                .iter()
                .map(|task| (task.task_id.value.clone(), task.agent_id.as_ref().map(agent)))
                .collect(),
        },
        (Type::Message, Call { message: Some(message), .. }) => FrameworkCall::Message {
            agent: agent(&message.agent_id),
            executor: message.executor_id.value.clone(),
            data: Raw::new(message.data.clone()),
        },
        (Type::UpdateFramework, Call { update_framework: Some(update), .. }) => {
            update_framework(update, framework)?
        }
        // Wishes, which nobody ever heeded.
        (Type::Request, _) => return Ok(None),
        (Type::AcceptInverseOffers | Type::DeclineInverseOffers, _) => {
            return Err(Refusal::Unsupported("inverse offers are"));
        }
        (Type::AcknowledgeOperationStatus | Type::ReconcileOperations, _) => {
            return Err(Refusal::Unsupported("operation feedback is"));
        }
        _ => return Err(Refusal::Unsupported("a call of this type is")),
    };
    Ok(Some(call))
}

fn update_framework(
    update: &scheduler::call::UpdateFramework,
    known: &FrameworkInfo,
) -> Result<FrameworkCall, Invalid> {
    let info = framework::read(&update.framework_info)?;
    if info.principal != known.principal {
        return Err(Invalid::new("Changing framework's principal is not allowed."));
    }
    if info.user != known.user {
        return Err(Invalid(format!(
            "Updating 'FrameworkInfo.user' is unsupported; attempted to update from '{}' to '{}'",
            known.user, info.user
        )));
    }
    if info.checkpoint != known.checkpoint {
        return Err(Invalid(format!(
            "Updating 'FrameworkInfo.checkpoint' is unsupported; attempted to update from '{}' to '{}'",
            known.checkpoint, info.checkpoint
        )));
    }
    let suppressed = framework::read_subset(&info, &update.suppressed_roles, "Suppressed roles")?;
    let constraints = constraints::read(&info, update.offer_constraints.as_ref())?;
    Ok(FrameworkCall::UpdateInfo { info: Box::new(info), suppressed, constraints: Box::new(constraints) })
}

/// For how long; what makes no sense is the usual time.
fn filter(filters: Option<&v1::Filters>) -> OfferFilter {
    match filters.and_then(|filters| filters.refuse_seconds) {
        Some(seconds) if seconds >= 0.0 => {
            OfferFilter { refuse_ms: (seconds.min(LONGEST_REFUSAL_SECS) * 1_000.0).round() as u64 }
        }
        _ => OfferFilter::default(),
    }
}

fn uuid(bytes: &[u8]) -> Result<u128, Invalid> {
    let bytes = bytes.try_into();
    bytes.map(u128::from_be_bytes).map_err(|_| Invalid::new("'uuid' must have 16 bytes, not its text's"))
}

fn offers(ids: &[v1::OfferId]) -> Vec<OfferId> {
    ids.iter().map(|id| OfferId::from(id.value.as_str())).collect()
}

fn roles(roles: &[String]) -> BTreeSet<RoleName> {
    roles.iter().map(|role| RoleName::from(role.as_str())).collect()
}

fn agent(id: &v1::AgentId) -> AgentId {
    AgentId::from(id.value.as_str())
}
