//! The agent's operator API: whether a call is one, and pieces of its answers.

use crate::Invalid;
use crate::names::check_id;
use crate::proto::v1;
use crate::proto::v1::agent::call::Type;
use crate::proto::v1::agent::response::get_containers::Container;
use crate::proto::v1::agent::response::{self, Type as Answer};
use crate::proto::v1::agent::{Call, ProcessIo, Response, process_io};
use crate::status::network_infos;
use crate::view::TaskOf;
use hansa_model::task::{Exit, TaskState};

/// The longest id of a container, in bytes.
const LONGEST_CONTAINER_ID: usize = 180;

/// Whether a call is complete, as Mesos looks at it before anything else.
///
/// # Errors
/// In Mesos' words, for status 400.
pub fn check(call: &Call) -> Result<(), Invalid> {
    if call.r#type.is_none() {
        return Err(Invalid::new("Expecting 'type' to be present"));
    }
    let expect = |present: bool, name: &str| {
        if present { Ok(()) } else { Err(Invalid(format!("Expecting '{name}' to be present"))) }
    };
    match call.r#type() {
        Type::GetMetrics => return expect(call.get_metrics.is_some(), "get_metrics"),
        Type::SetLoggingLevel => return expect(call.set_logging_level.is_some(), "set_logging_level"),
        Type::ListFiles => return expect(call.list_files.is_some(), "list_files"),
        Type::ReadFile => return expect(call.read_file.is_some(), "read_file"),
        Type::AttachContainerInput => {
            let attach = call.attach_container_input.as_ref();
            expect(attach.is_some(), "attach_container_input")?;
            return attach.map_or(Ok(()), check_input);
        }
        _ => {}
    }
    let Some((name, nested, id)) = container_of(call) else { return Ok(()) };
    expect(id.is_some(), name)?;
    let Some(id) = id else { return Ok(()) };
    check_container_id(id).map_err(|why| Invalid(format!("'{name}.container_id' is invalid: {why}")))?;
    expect(!nested || id.parent.is_some(), &format!("{name}.container_id.parent"))
}

/// For calls about one container: the name of the part, whether it has to be a nested one, and which it is if the part
/// is there.
fn container_of(call: &Call) -> Option<(&'static str, bool, Option<&v1::ContainerId>)> {
    macro_rules! part {
        ($name:ident, $nested:expr) => {
            Some((stringify!($name), $nested, call.$name.as_ref().map(|part| &part.container_id)))
        };
    }
    match call.r#type() {
        Type::LaunchNestedContainer => part!(launch_nested_container, true),
        Type::WaitNestedContainer => part!(wait_nested_container, true),
        Type::KillNestedContainer => part!(kill_nested_container, true),
        Type::RemoveNestedContainer => part!(remove_nested_container, true),
        Type::LaunchNestedContainerSession => part!(launch_nested_container_session, true),
        Type::AttachContainerOutput => part!(attach_container_output, false),
        Type::LaunchContainer => part!(launch_container, false),
        Type::WaitContainer => part!(wait_container, false),
        Type::KillContainer => part!(kill_container, false),
        Type::RemoveContainer => part!(remove_container, false),
        _ => None,
    }
}

fn check_input(attach: &v1::agent::call::AttachContainerInput) -> Result<(), Invalid> {
    use v1::agent::call::attach_container_input::Type;
    match attach.r#type.map(|_| attach.r#type()) {
        None => Err(Invalid::new("Expecting 'attach_container_input.type' to be present")),
        Some(Type::Unknown) => Err(Invalid::new("'attach_container_input.type' is unknown")),
        Some(Type::ContainerId) => {
            let id = attach.container_id.as_ref();
            let id = id.ok_or_else(|| {
                Invalid::new("Expecting 'attach_container_input.container_id' to be present")
            })?;
            check_container_id(id)
                .map_err(|why| Invalid(format!("'attach_container_input.container_id' is invalid: {why}")))
        }
        Some(Type::ProcessIo) => Ok(()),
    }
}

/// Whether a container may be called so, and those around it.
///
/// # Errors
/// In Mesos' words.
pub fn check_container_id(id: &v1::ContainerId) -> Result<(), Invalid> {
    let value = &id.value;
    check_id(value)?;
    if value.len() > LONGEST_CONTAINER_ID {
        return Err(Invalid(format!(
            "'ContainerID.value' '{value}' exceeds the maximum length ({LONGEST_CONTAINER_ID})"
        )));
    }
    if value.contains(['.', ' ']) {
        return Err(Invalid(format!("'ContainerID.value' '{value}' contains invalid characters")));
    }
    match &id.parent {
        Some(parent) => check_container_id(parent)
            .map_err(|why| Invalid(format!("'ContainerID.parent' is invalid: {why}"))),
        None => Ok(()),
    }
}

/// A container's own id and those around it, the outermost first.
pub fn path(id: &v1::ContainerId) -> Vec<&str> {
    let mut path: Vec<&str> =
        std::iter::successors(Some(id), |id| id.parent.as_deref()).map(|id| id.value.as_str()).collect();
    path.reverse();
    path
}

/// The id of a container within others, the outermost first; of an empty path an empty id.
pub fn container_id<'a>(path: impl IntoIterator<Item = &'a str>) -> v1::ContainerId {
    let within = |parent: Option<v1::ContainerId>, value: &str| {
        Some(v1::ContainerId { value: value.to_owned(), parent: parent.map(Box::new) })
    };
    path.into_iter().fold(None, within).unwrap_or_default()
}

/// A container that runs.
#[derive(Clone, Debug, Default)]
pub struct ContainerOf<'a> {
    /// Its id, the outermost first.
    pub path: Vec<&'a str>,
    /// Whose it is, if a framework's.
    pub framework: Option<&'a str>,
    /// The framework's id of its executor.
    pub executor: Option<&'a str>,
    /// The name of its executor.
    pub name: &'a str,
    /// How it is reached.
    pub addresses: &'a [String],
    /// Its first process.
    pub pid: Option<u32>,
    /// What it uses.
    pub statistics: Option<v1::ResourceStatistics>,
}

impl ContainerOf<'_> {
    /// As GET_CONTAINERS tells of it.
    pub fn write(self) -> Container {
        let id = container_id(self.path);
        Container {
            framework_id: self.framework.map(|id| v1::FrameworkId { value: id.to_owned() }),
            executor_id: self.executor.map(|id| v1::ExecutorId { value: id.to_owned() }),
            executor_name: self.executor.map(|_| self.name.to_owned()),
            container_status: Some(v1::ContainerStatus {
                container_id: Some(id.clone()),
                network_infos: network_infos(self.addresses),
                executor_pid: self.pid,
                cgroup_info: None,
            }),
            container_id: id,
            resource_statistics: self.statistics,
        }
    }
}

/// Tasks by how far they are.
pub fn tasks<'a>(tasks: impl IntoIterator<Item = TaskOf<'a>>) -> response::GetTasks {
    let mut all = response::GetTasks::default();
    for task in tasks {
        let list = match task.status.state {
            TaskState::Staging => &mut all.queued_tasks,
            state if state.is_terminal() => &mut all.terminated_tasks,
            _ => &mut all.launched_tasks,
        };
        list.push(task.write());
    }
    all
}

/// How a container ended, as `wait(2)` gives it.
pub fn wait_status(exit: Exit) -> i32 {
    match exit {
        Exit::Code(code) => (code & 0xff) << 8,
        Exit::Signal(signal) => signal & 0x7f,
    }
}

/// The answer to WAIT_CONTAINER; the state is set where an agent ended it for a reason of its own.
pub fn waited(exit: Option<Exit>, message: Option<String>) -> Response {
    let wait = response::WaitContainer { exit_status: exit.map(wait_status), message, ..Default::default() };
    Response { wait_container: Some(wait), ..of(Answer::WaitContainer) }
}

/// The answer to WAIT_NESTED_CONTAINER, the same by its older name.
pub fn waited_nested(exit: Option<Exit>, message: Option<String>) -> Response {
    let wait =
        response::WaitNestedContainer { exit_status: exit.map(wait_status), message, ..Default::default() };
    Response { wait_nested_container: Some(wait), ..of(Answer::WaitNestedContainer) }
}

/// An answer of this type without its part, which the caller adds.
pub fn of(kind: Answer) -> Response {
    Response { r#type: Some(kind as i32), ..Response::default() }
}

/// A piece of what comes out of a container.
pub fn output(stream: process_io::data::Type, bytes: &[u8]) -> ProcessIo {
    ProcessIo {
        r#type: Some(process_io::Type::Data as i32),
        data: Some(process_io::Data { r#type: Some(stream as i32), data: Some(bytes.to_vec()) }),
        control: None,
    }
}

/// What is put into a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Bytes for its standard input; none: its end.
    Bytes(Vec<u8>),
    /// Its terminal has this many rows and columns now.
    Size(u16, u16),
    /// Nothing: the client lives, and says that it will again within these milliseconds if it says.
    Heartbeat(Option<u64>),
}

/// Reads a piece of input; None: it is of a kind that means nothing.
pub fn input(io: &ProcessIo) -> Option<Input> {
    match io.r#type() {
        process_io::Type::Data => {
            let data = io.data.as_ref().filter(|data| data.r#type() == process_io::data::Type::Stdin)?;
            Some(Input::Bytes(data.data.clone().unwrap_or_default()))
        }
        process_io::Type::Control => {
            let control = io.control.as_ref()?;
            match control.r#type() {
                process_io::control::Type::TtyInfo => {
                    let size = control.tty_info.as_ref()?.window_size.as_ref()?;
                    let fit = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
                    Some(Input::Size(fit(size.rows), fit(size.columns)))
                }
                process_io::control::Type::Heartbeat => {
                    let interval =
                        control.heartbeat.as_ref().and_then(|heartbeat| heartbeat.interval.as_ref());
                    Some(Input::Heartbeat(interval.map(crate::task::span_ms)))
                }
                process_io::control::Type::Unknown => None,
            }
        }
        process_io::Type::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, decode, encode};

    fn checked(json: &str) -> Result<(), String> {
        check(&decode(Codec::Json, json.as_bytes()).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn calls_about_containers() {
        assert_eq!(checked("{}"), Err("Expecting 'type' to be present".into()));
        assert_eq!(checked(r#"{"type":"GET_CONTAINERS"}"#), Ok(()));
        for (json, words) in [
            (r#"{"type":"GET_METRICS"}"#, "Expecting 'get_metrics' to be present"),
            (r#"{"type":"WAIT_CONTAINER"}"#, "Expecting 'wait_container' to be present"),
            (
                r#"{"type":"LAUNCH_NESTED_CONTAINER_SESSION","launch_nested_container_session":
                    {"container_id":{"value":"a"}}}"#,
                "Expecting 'launch_nested_container_session.container_id.parent' to be present",
            ),
            (
                r#"{"type":"KILL_CONTAINER","kill_container":{"container_id":{"value":"a.b"}}}"#,
                "'kill_container.container_id' is invalid: 'ContainerID.value' 'a.b' contains invalid characters",
            ),
            (
                r#"{"type":"WAIT_CONTAINER","wait_container":{"container_id":{"value":"a","parent":{"value":"b/"}}}}"#,
                "'wait_container.container_id' is invalid: 'ContainerID.parent' is invalid: 'b/' contains invalid characters",
            ),
            (
                r#"{"type":"ATTACH_CONTAINER_INPUT","attach_container_input":{}}"#,
                "Expecting 'attach_container_input.type' to be present",
            ),
            (
                r#"{"type":"ATTACH_CONTAINER_INPUT","attach_container_input":{"type":"CONTAINER_ID"}}"#,
                "Expecting 'attach_container_input.container_id' to be present",
            ),
        ] {
            assert_eq!(checked(json), Err(words.to_owned()));
        }
        let session = r#"{"type":"LAUNCH_NESTED_CONTAINER_SESSION","launch_nested_container_session":
            {"container_id":{"value":"a","parent":{"value":"b"}},"command":{"value":"sh"}}}"#;
        assert_eq!(checked(session), Ok(()));
        assert_eq!(
            checked(r#"{"type":"ATTACH_CONTAINER_INPUT","attach_container_input":{"type":"PROCESS_IO"}}"#),
            Ok(())
        );
    }

    #[test]
    fn containers_within_containers() {
        let id = container_id(["a", "b", "c"]);
        assert_eq!(path(&id), ["a", "b", "c"]);
        let json = String::from_utf8(encode(Codec::Json, &id)).unwrap();
        assert_eq!(json, r#"{"value":"c","parent":{"value":"b","parent":{"value":"a"}}}"#);
    }

    #[test]
    fn a_container_to_the_byte() {
        let container = ContainerOf {
            path: vec!["c"],
            framework: Some("F"),
            executor: Some("e"),
            name: "",
            addresses: &["10.0.0.1".into()],
            pid: Some(7),
            statistics: Some(v1::ResourceStatistics {
                timestamp: 1.0,
                mem_rss_bytes: Some(5),
                ..Default::default()
            }),
        };
        let containers = response::GetContainers { containers: vec![container.write()] };
        let answer = Response { get_containers: Some(containers), ..of(Answer::GetContainers) };
        assert_eq!(
            String::from_utf8(encode(Codec::Json, &answer)).unwrap(),
            concat!(
                r#"{"type":"GET_CONTAINERS","get_containers":{"containers":[{"framework_id":{"value":"F"},"#,
                r#""executor_id":{"value":"e"},"executor_name":"","container_id":{"value":"c"},"#,
                r#""container_status":{"container_id":{"value":"c"},"network_infos":[{"ip_addresses":"#,
                r#"[{"protocol":"IPv4","ip_address":"10.0.0.1"}]}],"executor_pid":7},"#,
                r#""resource_statistics":{"timestamp":1.0,"mem_rss_bytes":5}}]}}"#
            )
        );
    }

    #[test]
    fn ends_as_wait_gives_them() {
        assert_eq!((wait_status(Exit::Code(1)), wait_status(Exit::Signal(9))), (256, 9));
        let json = String::from_utf8(encode(Codec::Json, &waited(Some(Exit::Code(2)), None))).unwrap();
        assert_eq!(json, r#"{"type":"WAIT_CONTAINER","wait_container":{"exit_status":512}}"#);
        let json = String::from_utf8(encode(Codec::Json, &waited_nested(None, None))).unwrap();
        assert_eq!(json, r#"{"type":"WAIT_NESTED_CONTAINER","wait_nested_container":{}}"#);
    }

    #[test]
    fn what_goes_in_and_comes_out() {
        let read = |json: &str| input(&decode(Codec::Json, json.as_bytes()).unwrap());
        assert_eq!(
            read(r#"{"type":"DATA","data":{"type":"STDIN","data":"aGk="}}"#),
            Some(Input::Bytes(b"hi".to_vec()))
        );
        assert_eq!(read(r#"{"type":"DATA","data":{"type":"STDIN"}}"#), Some(Input::Bytes(Vec::new())));
        assert_eq!(read(r#"{"type":"DATA","data":{"type":"STDOUT","data":"aGk="}}"#), None);
        assert_eq!(
            read(
                r#"{"type":"CONTROL","control":{"type":"TTY_INFO","tty_info":{"window_size":{"rows":40,"columns":120}}}}"#
            ),
            Some(Input::Size(40, 120))
        );
        assert_eq!(
            read(
                r#"{"type":"CONTROL","control":{"type":"HEARTBEAT","heartbeat":{"interval":{"nanoseconds":30000000000}}}}"#
            ),
            Some(Input::Heartbeat(Some(30_000)))
        );
        assert_eq!(read("{}"), None);
        let out = output(process_io::data::Type::Stdout, b"hi");
        let json = String::from_utf8(encode(Codec::Json, &out)).unwrap();
        assert_eq!(json, r#"{"type":"DATA","data":{"type":"STDOUT","data":"aGk="}}"#);
    }
}
