//! What is done with accepted offers.

use crate::Invalid;
use crate::proto::v1;
use crate::proto::v1::offer::operation::Type;
use crate::resources;
use crate::task::{self, Place};
use hansa_model::framework::{ExecutorKind, FrameworkInfo, Operation, Part, TaskAsked};

/// One operation. What makes no sense, or what there is not, becomes one that is dropped, with a name that says why.
pub(super) fn read(operation: &v1::offer::Operation, framework: &FrameworkInfo) -> Operation {
    let name = operation.r#type().as_str_name();
    let read = read_known(operation, framework);
    read.unwrap_or_else(|why| Operation::Unsupported { name: format!("{name}: {why}") })
}

fn read_known(operation: &v1::offer::Operation, framework: &FrameworkInfo) -> Result<Operation, Invalid> {
    let absent = |name: &str| Invalid(format!("Expecting '{name}' to be present"));
    match operation.r#type() {
        Type::Launch => {
            let launch = operation.launch.as_ref().ok_or_else(|| absent("launch"))?;
            let read = |info| with_id(operation, task::read(info, framework, Place::Alone));
            Ok(Operation::Launch { tasks: launch.task_infos.iter().map(read).collect() })
        }
        Type::LaunchGroup => {
            let launch = operation.launch_group.as_ref().ok_or_else(|| absent("launch_group"))?;
            let executor = task::read_executor(&launch.executor, framework, ExecutorKind::Default);
            let read = |info: &v1::TaskInfo| {
                let mut asked = with_id(operation, task::read(info, framework, Place::InGroup));
                if info.executor.as_ref().is_some_and(|own| *own != launch.executor) {
                    asked.spec = Err(format!(
                        "The `ExecutorInfo` of task '{}' is different from executor '{}'",
                        asked.id, executor.id
                    ));
                }
                asked
            };
            let tasks = launch.task_group.tasks.iter().map(read).collect();
            Ok(Operation::LaunchGroup { executor: Box::new(executor), tasks })
        }
        Type::Reserve => {
            let reserve = operation.reserve.as_ref().ok_or_else(|| absent("reserve"))?;
            without_id(operation)?;
            if !reserve.source.is_empty() {
                return Err(Invalid::new("'source' is not supported here: unreserve first"));
            }
            Ok(Operation::Reserve { parts: to_reserve(&reserve.resources, framework.principal.as_deref())? })
        }
        Type::Unreserve => {
            let unreserve = operation.unreserve.as_ref().ok_or_else(|| absent("unreserve"))?;
            without_id(operation)?;
            Ok(Operation::Unreserve { parts: to_unreserve(&unreserve.resources)? })
        }
        Type::Create => {
            let create = operation.create.as_ref().ok_or_else(|| absent("create"))?;
            without_id(operation)?;
            Ok(Operation::Create { parts: to_create(&create.volumes, framework.principal.as_deref())? })
        }
        Type::Destroy => {
            let destroy = operation.destroy.as_ref().ok_or_else(|| absent("destroy"))?;
            without_id(operation)?;
            Ok(Operation::Destroy { parts: volumes(&destroy.volumes)? })
        }
        Type::GrowVolume | Type::ShrinkVolume | Type::CreateDisk | Type::DestroyDisk => {
            Err(Invalid::new("it is not supported"))
        }
        Type::Unknown => Err(Invalid::new("its type is not known")),
    }
}

/// Resources as they are to be reserved, by whoever speaks as `principal`.
///
/// # Errors
/// One of them is not reserved, or by somebody else.
pub fn to_reserve(resources: &[v1::Resource], principal: Option<&str>) -> Result<Vec<Part>, Invalid> {
    let parts = to_unreserve(resources)?;
    for part in &parts {
        let Some(reservation) = part.reservations.last() else { continue };
        match (principal, &reservation.principal) {
            (Some(principal), None) => {
                return Err(Invalid(format!(
                    "A reserve operation was attempted by principal '{principal}', but there is a reserved resource in \
                     the request with no principal set in `ReservationInfo`"
                )));
            }
            (Some(principal), Some(said)) if principal != said => {
                return Err(Invalid(format!(
                    "A reserve operation was attempted by principal '{principal}', but there is a reserved resource in \
                     the request with principal '{said}' set in `ReservationInfo`"
                )));
            }
            _ => {}
        }
    }
    Ok(parts)
}

/// Resources whose last reservation is to be taken back.
///
/// # Errors
/// One of them is not reserved dynamically, or is a volume.
pub fn to_unreserve(resources: &[v1::Resource]) -> Result<Vec<Part>, Invalid> {
    let parts = resources::read(resources)?;
    for part in &parts {
        if part.reservations.last().is_none_or(|last| last.fixed) {
            return Err(Invalid::new("a resource in the request is not dynamically reserved"));
        }
        if part.volume.is_some() {
            return Err(Invalid::new("a resource in the request is a persistent volume"));
        }
    }
    Ok(parts)
}

/// Volumes as they are to be made, by whoever speaks as `principal`.
///
/// # Errors
/// One of the resources is no volume, or somebody else's.
pub fn to_create(resources: &[v1::Resource], principal: Option<&str>) -> Result<Vec<Part>, Invalid> {
    let parts = volumes(resources)?;
    for volume in parts.iter().filter_map(|part| part.volume.as_ref()) {
        match (principal, &volume.principal) {
            (Some(principal), None) => {
                return Err(Invalid(format!(
                    "Create volume operation attempted by principal '{principal}', but there is a volume in the operation \
                     with no principal set in 'disk.persistence'"
                )));
            }
            (Some(principal), Some(said)) if principal != said => {
                return Err(Invalid(format!(
                    "Create volume operation attempted by principal '{principal}', but there is a volume in the operation \
                     with principal '{said}' set in 'disk.persistence'"
                )));
            }
            _ => {}
        }
    }
    Ok(parts)
}

/// Volumes as they are.
///
/// # Errors
/// One of the resources is none.
pub fn volumes(resources: &[v1::Resource]) -> Result<Vec<Part>, Invalid> {
    let parts = resources::read(resources)?;
    if parts.iter().all(|part| part.volume.is_some()) {
        Ok(parts)
    } else {
        Err(Invalid::new("'persistence' is not set in DiskInfo"))
    }
}

fn without_id(operation: &v1::offer::Operation) -> Result<(), Invalid> {
    match &operation.id {
        None => Ok(()),
        Some(_) => Err(Invalid::new("operation feedback is not supported: leave the operation's 'id' out")),
    }
}

fn with_id(operation: &v1::offer::Operation, mut task: TaskAsked) -> TaskAsked {
    if operation.id.is_some() {
        task.spec = Err("The `id` field cannot be set on LAUNCH or LAUNCH_GROUP operations".into());
    }
    task
}
