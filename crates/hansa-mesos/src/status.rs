//! How a task stands: from our updates to `mesos.v1.TaskStatus`.

use crate::codec::{Codec, decode};
use crate::offer;
use crate::proto::v1;
use crate::proto::v1::check_status_info::{Command, Http, Tcp};
use crate::proto::v1::network_info::{IpAddress, Protocol};
use crate::proto::v1::task_status;
use crate::proto::v1::value::{Scalar, Type as ValueType};
use crate::resources::mib_of_bytes;
use core::net::IpAddr;
use hansa_model::Timestamp;
use hansa_model::framework::{Capability, FrameworkInfo, FrameworkUpdate, Source};
use hansa_model::task::{CheckKind, CheckResult, Reason, TaskState, TaskStatus};

/// An update as this framework is able to read it. What an executor of its own said is passed on; who, where and which
/// container is ours to say.
pub fn write(update: &FrameworkUpdate, framework: &FrameworkInfo) -> v1::TaskStatus {
    let own = update.status.executor.as_ref();
    let own = own.and_then(|own| decode::<v1::TaskStatus>(Codec::Protobuf, own.raw.bytes()).ok());
    let mut status = match own {
        Some(own) if update.source == Source::SourceExecutor => own,
        own => {
            let own = own.unwrap_or_default();
            let ours = ours(&update.status);
            v1::TaskStatus {
                // Of an executor's last word, what still holds when others speak of the task.
                healthy: ours.healthy.or(own.healthy),
                check_status: ours.check_status.or(own.check_status),
                container_status: own.container_status,
                ..ours
            }
        }
    };
    status.task_id = v1::TaskId { value: update.task.clone() };
    status.state = state_for(status.state(), framework) as i32;
    status.source = Some(source(update.source) as i32);
    status.agent_id = update.agent.as_ref().map(|agent| v1::AgentId { value: agent.to_string() });
    status.executor_id = update.executor.as_ref().map(|id| v1::ExecutorId { value: id.clone() });
    status.uuid = update.uuid.map(|uuid| uuid.to_be_bytes().to_vec());
    status.timestamp.get_or_insert_with(|| seconds(update.status.at));
    status.unreachable_time = update.unreachable_since.map(time);
    if let Some(container) = &update.container {
        complete(status.container_status.get_or_insert_default(), container.as_str(), update);
    }
    status
}

/// A status without what only a framework's view of it has: as our agents and masters make it.
pub fn ours(status: &TaskStatus) -> v1::TaskStatus {
    let unhealthy = status.reason == Some(Reason::ReasonTaskUnhealthy);
    v1::TaskStatus {
        task_id: v1::TaskId { value: status.task.to_string() },
        state: state(status.state) as i32,
        message: Some(status.message.clone()).filter(|message| !message.is_empty()),
        reason: status.reason.and_then(reason).map(|reason| reason as i32),
        timestamp: Some(seconds(status.at)),
        // Mesos has no reason for that end, but says so.
        healthy: if unhealthy { Some(false) } else { status.healthy },
        check_status: check(status),
        limitation: limitation(status),
        ..v1::TaskStatus::default()
    }
}

/// A state by Mesos' number.
pub fn state(state: TaskState) -> v1::TaskState {
    match state {
        TaskState::Staging => v1::TaskState::TaskStaging,
        TaskState::Starting => v1::TaskState::TaskStarting,
        TaskState::Running => v1::TaskState::TaskRunning,
        TaskState::Killing => v1::TaskState::TaskKilling,
        TaskState::Unreachable => v1::TaskState::TaskUnreachable,
        TaskState::Finished => v1::TaskState::TaskFinished,
        TaskState::Failed => v1::TaskState::TaskFailed,
        TaskState::Killed => v1::TaskState::TaskKilled,
        TaskState::Error => v1::TaskState::TaskError,
        TaskState::Dropped => v1::TaskState::TaskDropped,
        TaskState::Gone => v1::TaskState::TaskGone,
        TaskState::GoneByOperator => v1::TaskState::TaskGoneByOperator,
        TaskState::Unknown => v1::TaskState::TaskUnknown,
    }
}

/// A state by our name; what executors call lost is dropped: it does not run, and will not.
pub fn read_state(state: v1::TaskState) -> TaskState {
    match state {
        v1::TaskState::TaskStaging => TaskState::Staging,
        v1::TaskState::TaskStarting => TaskState::Starting,
        v1::TaskState::TaskRunning => TaskState::Running,
        v1::TaskState::TaskKilling => TaskState::Killing,
        v1::TaskState::TaskUnreachable => TaskState::Unreachable,
        v1::TaskState::TaskFinished => TaskState::Finished,
        v1::TaskState::TaskFailed => TaskState::Failed,
        v1::TaskState::TaskKilled => TaskState::Killed,
        v1::TaskState::TaskError => TaskState::Error,
        v1::TaskState::TaskDropped | v1::TaskState::TaskLost => TaskState::Dropped,
        v1::TaskState::TaskGone => TaskState::Gone,
        v1::TaskState::TaskGoneByOperator => TaskState::GoneByOperator,
        v1::TaskState::TaskUnknown => TaskState::Unknown,
    }
}

/// The state that a framework is told: some it does not know.
pub fn state_for(state: v1::TaskState, framework: &FrameworkInfo) -> v1::TaskState {
    use v1::TaskState::*;
    match state {
        TaskUnreachable | TaskDropped | TaskGone | TaskGoneByOperator | TaskUnknown
            if !framework.can(Capability::PartitionAware) =>
        {
            TaskLost
        }
        TaskKilling if !framework.can(Capability::TaskKillingState) => TaskRunning,
        state => state,
    }
}

/// Mesos' reason of that name; None if it has none.
pub fn reason(reason: Reason) -> Option<task_status::Reason> {
    task_status::Reason::from_str_name(&reason.name())
}

fn source(source: Source) -> task_status::Source {
    match source {
        Source::SourceMaster => task_status::Source::Master,
        Source::SourceAgent => task_status::Source::Agent,
        Source::SourceExecutor => task_status::Source::Executor,
    }
}

/// A moment in nanoseconds.
pub fn time(at: Timestamp) -> v1::TimeInfo {
    v1::TimeInfo { nanoseconds: i64::try_from(at.0).unwrap_or(i64::MAX).saturating_mul(1_000_000) }
}

/// A moment in seconds.
pub fn seconds(at: Timestamp) -> f64 {
    at.0 as f64 / 1_000.0
}

/// Which container, and how it is reached, unless that is said already.
fn complete(status: &mut v1::ContainerStatus, container: &str, update: &FrameworkUpdate) {
    status.container_id.get_or_insert_with(|| v1::ContainerId { value: container.to_owned(), parent: None });
    if status.network_infos.iter().all(|info| info.ip_addresses.is_empty()) {
        let machine = offer::split(&update.address).map(|(host, _)| host.to_owned());
        let own = &update.status.addresses;
        let all = if own.is_empty() { machine.as_slice() } else { own.as_slice() };
        status.network_infos = network_infos(all);
    }
}

/// Addresses as a container's status has them; what is none is left out.
pub fn network_infos(addresses: &[String]) -> Vec<v1::NetworkInfo> {
    let ip_addresses: Vec<IpAddress> = addresses
        .iter()
        .filter_map(|text| text.parse::<IpAddr>().ok())
        .map(|ip| IpAddress {
            protocol: Some(if ip.is_ipv4() { Protocol::IPv4 } else { Protocol::IPv6 } as i32),
            ip_address: Some(ip.to_string()),
        })
        .collect();
    match ip_addresses.is_empty() {
        true => Vec::new(),
        false => vec![v1::NetworkInfo { ip_addresses, ..v1::NetworkInfo::default() }],
    }
}

/// What its check said last. Whoever has a check is told of which kind it is before there is an answer, and when there was
/// none.
fn check(status: &TaskStatus) -> Option<v1::CheckStatusInfo> {
    use v1::check_info::Type;
    let of = |kind: Type| v1::CheckStatusInfo { r#type: Some(kind as i32), ..v1::CheckStatusInfo::default() };
    let http = |status_code| v1::CheckStatusInfo { http: Some(Http { status_code }), ..of(Type::Http) };
    let tcp = |succeeded| v1::CheckStatusInfo { tcp: Some(Tcp { succeeded }), ..of(Type::Tcp) };
    let command =
        |exit_code| v1::CheckStatusInfo { command: Some(Command { exit_code }), ..of(Type::Command) };
    Some(match status.check {
        Some(CheckResult::HttpStatus(code)) => http(Some(code.into())),
        Some(CheckResult::Connected(succeeded)) => tcp(Some(succeeded)),
        Some(CheckResult::ExitCode(code)) => command(Some(code)),
        None | Some(CheckResult::Silent) => match status.check_kind? {
            CheckKind::Http => http(None),
            CheckKind::Tcp => tcp(None),
            CheckKind::Command => command(None),
        },
    })
}

/// What it took too much of, and how much that was.
fn limitation(status: &TaskStatus) -> Option<v1::TaskResourceLimitation> {
    let broken = status.limitation.as_ref()?;
    let name = match status.reason {
        Some(Reason::ReasonContainerLimitationDisk) => "disk",
        _ => "mem",
    };
    let resource = v1::Resource {
        name: name.into(),
        r#type: ValueType::Scalar as i32,
        scalar: Some(Scalar { value: mib_of_bytes(broken.used) }),
        role: Some("*".into()),
        ..v1::Resource::default()
    };
    Some(v1::TaskResourceLimitation { resources: vec![resource] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::encode;
    use crate::framework;
    use hansa_model::framework::{FrameworkStatus, Raw};
    use hansa_model::task::Limitation;
    use prost::Message;

    fn update(state: TaskState) -> FrameworkUpdate {
        let status = TaskStatus::new("c-1".into(), "c".into(), 1, state, Timestamp(1_500));
        FrameworkUpdate {
            task: "t1".into(),
            agent: Some("S0".into()),
            address: "10.0.0.1:5051".into(),
            executor: Some("t1".into()),
            container: Some("c".into()),
            source: Source::SourceExecutor,
            status,
            unreachable_since: None,
            uuid: Some(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f),
        }
    }

    fn written(update: &FrameworkUpdate, capabilities: &str) -> v1::TaskStatus {
        let info = format!(r#"{{"user":"u","name":"n","capabilities":[{capabilities}]}}"#);
        write(update, &framework::read(&decode(Codec::Json, info.as_bytes()).unwrap()).unwrap())
    }

    fn json(status: &v1::TaskStatus) -> String {
        String::from_utf8(encode(Codec::Json, status)).unwrap()
    }

    #[test]
    fn running_to_the_byte() {
        assert_eq!(
            json(&written(&update(TaskState::Running), "")),
            concat!(
                r#"{"task_id":{"value":"t1"},"state":"TASK_RUNNING","source":"SOURCE_EXECUTOR","#,
                r#""agent_id":{"value":"S0"},"executor_id":{"value":"t1"},"timestamp":1.5,"#,
                r#""uuid":"AAECAwQFBgcICQoLDA0ODw==","container_status":{"container_id":{"value":"c"},"#,
                r#""network_infos":[{"ip_addresses":[{"protocol":"IPv4","ip_address":"10.0.0.1"}]}]}}"#
            )
        );
        let mut own = update(TaskState::Running);
        own.status.addresses = vec!["172.17.0.2".into(), "fd00::2".into()];
        let status = written(&own, "").container_status.unwrap();
        let ips: Vec<_> = status.network_infos[0].ip_addresses.iter().map(|ip| ip.ip_address()).collect();
        assert_eq!(ips, ["172.17.0.2", "fd00::2"]);
    }

    #[test]
    fn states_that_a_framework_does_not_know_are_told_as_others() {
        use TaskState::*;
        for state in [Unreachable, Dropped, Gone, GoneByOperator, Unknown] {
            assert_eq!(written(&update(state), "").state(), v1::TaskState::TaskLost);
            let aware = written(&update(state), r#"{"type":"PARTITION_AWARE"}"#);
            assert_eq!(aware.state().as_str_name(), state.name());
        }
        assert_eq!(written(&update(Killing), "").state(), v1::TaskState::TaskRunning);
        let knows = written(&update(Killing), r#"{"type":"TASK_KILLING_STATE"}"#);
        assert_eq!(knows.state(), v1::TaskState::TaskKilling);
        for state in [Staging, Starting, Running, Finished, Failed, Killed, Error] {
            assert_eq!(written(&update(state), "").state().as_str_name(), state.name());
        }
    }

    #[test]
    fn a_masters_word_has_no_uuid_and_says_when_the_machine_was_lost() {
        let mut lost = update(TaskState::Unreachable);
        lost.status = lost.status.because(Reason::ReasonAgentRemoved, "away");
        lost.source = Source::SourceMaster;
        lost.uuid = None;
        lost.container = None;
        lost.unreachable_since = Some(Timestamp(2));
        assert_eq!(
            json(&written(&lost, r#"{"type":"PARTITION_AWARE"}"#)),
            concat!(
                r#"{"task_id":{"value":"t1"},"state":"TASK_UNREACHABLE","message":"away","source":"SOURCE_MASTER","#,
                r#""reason":"REASON_AGENT_REMOVED","agent_id":{"value":"S0"},"executor_id":{"value":"t1"},"#,
                r#""timestamp":1.5,"unreachable_time":{"nanoseconds":2000000}}"#
            )
        );
    }

    #[test]
    fn what_an_executor_said_is_passed_on() {
        let said = v1::TaskStatus {
            task_id: v1::TaskId { value: "t1".into() },
            state: v1::TaskState::TaskRunning as i32,
            message: Some("hello".into()),
            data: Some(b"hi".to_vec()),
            healthy: Some(true),
            timestamp: Some(7.25),
            labels: Some(v1::Labels { labels: vec![v1::Label { key: "k".into(), value: None }] }),
            ..v1::TaskStatus::default()
        };
        let mut update = update(TaskState::Running);
        update.status.executor =
            Some(Box::new(FrameworkStatus { uuid: 5, raw: Raw::new(said.encode_to_vec()) }));
        let status = written(&update, "");
        assert_eq!((status.message(), status.data(), status.timestamp()), ("hello", &b"hi"[..], 7.25));
        assert!(status.labels.is_some() && status.container_status.is_some());
        // When the master answers for it, its words are not the executor's.
        update.source = Source::SourceMaster;
        update.status =
            update.status.because(Reason::ReasonReconciliation, "Reconciliation: Latest task state");
        let status = written(&update, "");
        assert_eq!((status.message(), status.data.as_ref()), ("Reconciliation: Latest task state", None));
        assert_eq!((status.healthy, status.reason()), (Some(true), task_status::Reason::Reconciliation));
    }

    #[test]
    fn ends_say_why() {
        let mut killed = update(TaskState::Killed);
        killed.status = killed.status.because(Reason::ReasonTaskUnhealthy, "unhealthy");
        let status = written(&killed, "");
        assert_eq!((status.healthy, status.reason), (Some(false), None));
        let mut failed = update(TaskState::Failed);
        failed.status = failed.status.because(Reason::ReasonContainerLimitationMemory, "too much");
        failed.status.limitation = Some(Limitation { used: 64 << 20, limit: 32 << 20 });
        failed.status.check = Some(CheckResult::ExitCode(3));
        failed.status.check_kind = Some(CheckKind::Command);
        let text = json(&written(&failed, ""));
        for part in [
            r#""reason":"REASON_CONTAINER_LIMITATION_MEMORY""#,
            r#""check_status":{"type":"COMMAND","command":{"exit_code":3}}"#,
            r#""limitation":{"resources":[{"name":"mem","type":"SCALAR","scalar":{"value":64.0},"role":"*"}]}"#,
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_check_has_a_kind_before_it_has_an_answer() {
        for (kind, text) in [
            (CheckKind::Http, r#""check_status":{"type":"HTTP","http":{}}"#),
            (CheckKind::Tcp, r#""check_status":{"type":"TCP","tcp":{}}"#),
            (CheckKind::Command, r#""check_status":{"type":"COMMAND","command":{}}"#),
        ] {
            for said in [None, Some(CheckResult::Silent)] {
                let mut running = update(TaskState::Running);
                running.status.check_kind = Some(kind);
                running.status.check = said;
                let json = json(&written(&running, ""));
                assert!(json.contains(text), "{json}");
            }
        }
        assert_eq!(written(&update(TaskState::Running), "").check_status, None);
    }

    #[test]
    fn every_reason_but_one_is_mesos_own() {
        for kind in [
            Reason::ReasonCommandExecutorFailed,
            Reason::ReasonContainerLaunchFailed,
            Reason::ReasonTaskKilledDuringLaunch,
            Reason::ReasonAgentRestarted,
            Reason::ReasonExecutorTerminated,
            Reason::ReasonInvalidOffers,
            Reason::ReasonTaskGroupInvalid,
            Reason::ReasonAgentDraining,
            Reason::ReasonMaxCompletionTimeReached,
            Reason::ReasonTaskUnauthorized,
        ] {
            assert_eq!(reason(kind).unwrap().as_str_name(), kind.name());
        }
        assert_eq!(reason(Reason::ReasonTaskUnhealthy), None);
    }
}
