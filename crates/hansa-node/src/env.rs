//! The environment of a task: what Marathon and Mesos promise, derived from spec, allocation and machine at launch.
//!
//! Never stored and never sent: a million tasks of one spec share the spec. The spec's own `env` wins over everything
//! derived.

mod framework;

pub use framework::duration;

use crate::config::Config;
use crate::saved::SavedExecutor;
use hansa_model::container::{NetworkSpec, PortMapping};
use hansa_model::resources::{Allocation, MIB, milli_text};
use hansa_model::spec::{Launch, Origin, TaskSpec};
use hansa_model::{AppId, TaskId, Timestamp};
use std::collections::BTreeMap;

/// Where programs are looked for unless the spec says otherwise.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Marathon leaves out labels whose names (without `MARATHON_APP_LABEL_`) or values are this long.
const LABEL_NAME_LIMIT: usize = 493;
const LABEL_VALUE_LIMIT: usize = 512;

/// The variable with a container's address. Where that is its own, whoever gives it the address sets it.
pub const CONTAINER_IP: &str = "MESOS_CONTAINER_IP";

/// The environment of the launch's task with this index, sorted by name; without [`CONTAINER_IP`] if it has an address of
/// its own.
pub fn environment(config: &Config, launch: &Launch, index: usize) -> Vec<(String, String)> {
    let mut env = BTreeMap::new();
    let (Some(task), Some(id)) = (launch.group.tasks.get(index), launch.tasks.get(index)) else {
        return Vec::new();
    };
    let mut set = |name: &str, value: String| drop(env.insert(name.to_owned(), value));
    match &launch.framework {
        Some(of) => framework::of_task(config, launch, of, index, &mut set),
        None => of_service(config, launch, index, task, id, &mut set),
    }
    finish(env, task)
}

/// The environment of a framework's executor, likewise.
pub fn of_executor(config: &Config, held: &SavedExecutor) -> Vec<(String, String)> {
    let mut env = BTreeMap::new();
    framework::of_executor(config, held, &mut |name, value| drop(env.insert(name.to_owned(), value)));
    finish(env, &held.run.spec)
}

/// What the spec says wins. What the kernel could not pass on is left out rather than failing the task.
fn finish(mut env: BTreeMap<String, String>, task: &TaskSpec) -> Vec<(String, String)> {
    env.extend(task.env.iter().map(|(name, value)| (name.clone(), value.clone())));
    env.into_iter()
        .filter(|(name, value)| !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0'))
        .collect()
}

fn of_service(
    config: &Config,
    launch: &Launch,
    index: usize,
    task: &TaskSpec,
    id: &TaskId,
    set: &mut impl FnMut(&str, String),
) {
    set("PATH", DEFAULT_PATH.into());
    set("HOST", config.hostname.clone());
    set("MESOS_TASK_ID", id.to_string());
    set("MESOS_EXECUTOR_ID", id.to_string());
    set("MESOS_SANDBOX", config.sandbox(id));
    match &task.network {
        NetworkSpec::Host => {
            set("LIBPROCESS_IP", config.ip.clone());
            set(CONTAINER_IP, config.ip.clone());
            ports(task, own_ports(launch, index), set);
        }
        NetworkSpec::Bridge { mappings } => {
            // The machine's address cannot be bound to in there; its own is not known yet.
            set("LIBPROCESS_IP", "0.0.0.0".into());
            mapped_ports(mappings, own_ports(launch, index), set);
        }
        NetworkSpec::None => set("LIBPROCESS_IP", "127.0.0.1".into()),
    }
    gpus(&launch.allocation, set);
    if let Origin::App { id, version } = &launch.group.origin {
        app(id, *version, task, set);
    }
}

/// The ports of the group's allocation that belong to the task with this index: those after the earlier tasks'.
pub(crate) fn own_ports(launch: &Launch, index: usize) -> &[u16] {
    let executor = launch.group.demand().ports.len()
        - launch.group.tasks.iter().map(|task| task.demand.ports.len()).sum::<usize>();
    let earlier: usize = launch.group.tasks.iter().take(index).map(|task| task.demand.ports.len()).sum();
    let wanted = launch.group.tasks.get(index).map_or(0, |task| task.demand.ports.len());
    let ports = &launch.allocation.ports;
    let from = (executor + earlier).min(ports.len());
    &ports[from..(from + wanted).min(ports.len())]
}

fn ports(task: &TaskSpec, ports: &[u16], set: &mut impl FnMut(&str, String)) {
    if let Some(first) = ports.first() {
        set("PORT", first.to_string());
        set("PORTS", ports.iter().map(u16::to_string).collect::<Vec<_>>().join(","));
    }
    for (at, port) in ports.iter().enumerate() {
        if let Some(Some(name)) = task.port_names.get(at)
            && !name.is_empty()
        {
            set(&format!("PORT_{}", shouted(name)), port.to_string());
        }
    }
    for (at, port) in ports.iter().enumerate() {
        if let Some(declared) = task.declared_ports.get(at).filter(|declared| **declared != 0) {
            set(&format!("PORT_{declared}"), port.to_string());
        }
        set(&format!("PORT{at}"), port.to_string());
    }
}

/// As Marathon does it: a port without a number on the machine is known by the container's. Its name is not then, and
/// it is not one of `PORTS`, which nobody would expect.
fn mapped_ports(mappings: &[PortMapping], ports: &[u16], set: &mut impl FnMut(&str, String)) {
    let on_machine: Vec<u16> = mappings.iter().filter_map(|mapping| mapping.allocated(ports)).collect();
    if let Some(first) = on_machine.first() {
        set("PORT", first.to_string());
    }
    if !mappings.is_empty() {
        set("PORTS", on_machine.iter().map(u16::to_string).collect::<Vec<_>>().join(","));
    }
    for (at, mapping) in mappings.iter().enumerate() {
        let name = mapping.name.as_ref().filter(|name| !name.is_empty());
        if let (Some(name), Some(port)) = (name, mapping.allocated(ports)) {
            set(&format!("PORT_{}", shouted(name)), port.to_string());
        }
        if let Some(inside) = mapping.container_port(ports) {
            let effective = mapping.allocated(ports).unwrap_or(inside);
            set(&format!("PORT_{inside}"), effective.to_string());
            set(&format!("PORT{at}"), effective.to_string());
        }
    }
}

/// Which GPUs the task may use, as CUDA and NVIDIA's tools read it.
fn gpus(allocation: &Allocation, set: &mut impl FnMut(&str, String)) {
    if allocation.gpus.is_empty() {
        return;
    }
    let devices = allocation.gpus.iter().map(|(device, _)| device.to_string()).collect::<Vec<_>>().join(",");
    set("CUDA_VISIBLE_DEVICES", devices.clone());
    set("NVIDIA_VISIBLE_DEVICES", devices);
}

fn app(id: &AppId, version: Timestamp, task: &TaskSpec, set: &mut impl FnMut(&str, String)) {
    set("MARATHON_APP_ID", id.to_string());
    set("MARATHON_APP_VERSION", version.to_rfc3339());
    set("MARATHON_APP_RESOURCE_CPUS", decimal(task.demand.cpus_milli));
    set("MARATHON_APP_RESOURCE_MEM", decimal(mib_milli(task.demand.mem)));
    set("MARATHON_APP_RESOURCE_DISK", decimal(mib_milli(task.demand.disk)));
    set("MARATHON_APP_RESOURCE_GPUS", task.demand.gpus.count.to_string());
    let mut names = Vec::new();
    for (name, value) in &task.labels {
        if name.len() < LABEL_NAME_LIMIT && value.len() < LABEL_VALUE_LIMIT {
            let name = shouted(name);
            set(&format!("MARATHON_APP_LABEL_{name}"), value.clone());
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    set("MARATHON_APP_LABELS", names.join(" "));
}

/// Upper case, everything outside `[A-Z0-9_]` as `_`.
fn shouted(name: &str) -> String {
    name.chars()
        .map(|c| c.to_ascii_uppercase())
        .map(|c| if c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_' { c } else { '_' })
        .collect()
}

fn mib_milli(bytes: u64) -> u64 {
    (bytes / MIB).saturating_mul(1000) + bytes % MIB * 1000 / MIB
}

/// A number as Marathon writes its floats: always with a fraction, `1.0`.
fn decimal(milli: u64) -> String {
    let text = milli_text(milli);
    if text.contains('.') { text } else { format!("{text}.0") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hansa_model::app::AppSpec;
    use hansa_model::resources::{Demand, GpuDemand, PortDemand};
    use hansa_model::spec::{Command, ExecutorSpec, GroupSpec};
    use hansa_model::{AgentId, BootId, InstanceId, Owner, RoleName, SpecId};

    fn launch() -> Launch {
        let task = TaskSpec {
            name: "_app".into(),
            command: Command::Shell("true".into()),
            env: [("PORT1", "mine"), ("GREETING", "hi $HOST"), ("bad=name", "x"), ("NUL", "a\0b")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            demand: Demand {
                cpus_milli: 100,
                mem: 128 * MIB + MIB / 2,
                disk: 0,
                gpus: GpuDemand::whole(2),
                ports: vec![PortDemand::Any; 3],
            },
            port_names: vec![Some("http-api".into()), None, Some("admin".into())],
            declared_ports: vec![10_000, 0, 9_000],
            labels: [
                ("a.b".to_owned(), "1".to_owned()),
                ("a-b".to_owned(), "2".to_owned()),
                ("owner".to_owned(), "team x".to_owned()),
                ("long".to_owned(), "v".repeat(512)),
                ("k".repeat(493), "v".to_owned()),
            ]
            .into(),
            ..TaskSpec::default()
        };
        Launch {
            instance: InstanceId::from("shop_web.instance-1"),
            owner: Owner::services(),
            role: RoleName::any(),
            spec: SpecId(1),
            group: GroupSpec {
                origin: Origin::App { id: AppId::from("/shop/web"), version: Timestamp(1_443_604_157_614) },
                executor: ExecutorSpec::None,
                tasks: vec![task],
            }
            .into(),
            tasks: vec![TaskId::from("shop_web.instance-1._app.1")],
            allocation: Allocation {
                cpus_milli: 100,
                mem: 128 * MIB,
                disk: 0,
                gpus: vec![(0, 1000), (3, 1000)],
                ports: vec![31_005, 31_007, 31_001],
            },
            framework: None,
        }
    }

    fn config() -> Config {
        let mut config = Config::new(AgentId::from("a1"), BootId::from("b1"), "node-1");
        config.ip = "10.0.0.7".into();
        config.sandboxes = "/data/sandboxes".into();
        config
    }

    #[test]
    fn what_marathon_and_mesos_promise() {
        let env: BTreeMap<_, _> = environment(&config(), &launch(), 0).into_iter().collect();
        let expected = [
            ("CUDA_VISIBLE_DEVICES", "0,3"),
            ("GREETING", "hi $HOST"),
            ("HOST", "node-1"),
            ("LIBPROCESS_IP", "10.0.0.7"),
            ("MARATHON_APP_ID", "/shop/web"),
            ("MARATHON_APP_LABELS", "A_B OWNER"),
            ("MARATHON_APP_LABEL_A_B", "1"),
            ("MARATHON_APP_LABEL_OWNER", "team x"),
            ("MARATHON_APP_RESOURCE_CPUS", "0.1"),
            ("MARATHON_APP_RESOURCE_DISK", "0.0"),
            ("MARATHON_APP_RESOURCE_GPUS", "2"),
            ("MARATHON_APP_RESOURCE_MEM", "128.5"),
            ("MARATHON_APP_VERSION", "2015-09-30T09:09:17.614Z"),
            ("MESOS_CONTAINER_IP", "10.0.0.7"),
            ("MESOS_EXECUTOR_ID", "shop_web.instance-1._app.1"),
            ("MESOS_SANDBOX", "/data/sandboxes/shop_web.instance-1._app.1"),
            ("MESOS_TASK_ID", "shop_web.instance-1._app.1"),
            ("NVIDIA_VISIBLE_DEVICES", "0,3"),
            ("PATH", DEFAULT_PATH),
            ("PORT", "31005"),
            ("PORT0", "31005"),
            ("PORT1", "mine"),
            ("PORT2", "31001"),
            ("PORTS", "31005,31007,31001"),
            ("PORT_10000", "31005"),
            ("PORT_9000", "31001"),
            ("PORT_ADMIN", "31001"),
            ("PORT_HTTP_API", "31005"),
        ];
        let shown: Vec<(&str, &str)> =
            env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn without_ports_gpus_and_service_there_is_little() {
        let mut launch = launch();
        let mut group = (*launch.group).clone();
        group.origin = Origin::Framework;
        group.tasks[0].env = [("PATH".to_owned(), "/opt".to_owned())].into();
        group.tasks[0].demand = Demand::default();
        launch.group = group.into();
        launch.allocation = Allocation::default();
        let env = environment(&config(), &launch, 0);
        let names: Vec<_> = env.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "HOST",
                "LIBPROCESS_IP",
                "MESOS_CONTAINER_IP",
                "MESOS_EXECUTOR_ID",
                "MESOS_SANDBOX",
                "MESOS_TASK_ID",
                "PATH"
            ]
        );
        assert_eq!(env[6].1, "/opt", "the spec wins");
        assert!(environment(&config(), &launch, 1).is_empty(), "no such task");
    }

    #[test]
    fn mapped_ports_are_known_by_both_numbers() {
        let mut launch = launch();
        let mut group = (*launch.group).clone();
        let mapping = |container_port, host_port, name: &str| PortMapping {
            container_port,
            host_port,
            protocol: "tcp".into(),
            name: Some(name.into()),
        };
        let mappings = vec![
            mapping(80, Some(1), "http-api"),
            mapping(9_000, None, "admin"),
            mapping(0, Some(0), "same"),
            mapping(0, None, "none"),
        ];
        group.tasks[0].network = NetworkSpec::Bridge { mappings };
        group.tasks[0].env.clear();
        launch.group = group.into();
        let env: BTreeMap<_, _> = environment(&config(), &launch, 0).into_iter().collect();
        let shown: Vec<_> = env
            .iter()
            .filter(|(name, _)| name.starts_with("PORT") || name.ends_with("_IP") || *name == "HOST")
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            shown,
            [
                "HOST=node-1",
                "LIBPROCESS_IP=0.0.0.0",
                "PORT=31007",
                "PORT0=31007",
                "PORT1=9000",
                "PORT2=31005",
                "PORTS=31007,31005",
                "PORT_31005=31005",
                "PORT_80=31007",
                "PORT_9000=9000",
                "PORT_HTTP_API=31007",
                "PORT_SAME=31005"
            ]
        );
    }

    #[test]
    fn an_app_version_gives_its_declared_ports() {
        // The path from a service's definition to a task's variables, in one piece.
        let spec: AppSpec = serde_json::from_value(serde_json::json!({
            "id": "/web", "command": {"shell": "true"}, "user": null, "env": {}, "labels": {},
            "cpus_milli": 1500, "mem": 0, "disk": 0, "gpus": 0, "instances": 1, "constraints": [],
            "ports": [{"port": 8080, "name": "http"}], "require_ports": false, "health_checks": [],
            "upgrade": {"minimum_health_milli": 1000, "maximum_over_milli": 1000},
            "backoff": {"initial_ms": 1000, "factor_milli": 1150, "max_ms": 300000},
            "kill_selection": "YOUNGEST_FIRST", "unreachable": "disabled", "kill_grace_ms": 3000,
            "role": "*", "accepted_roles": null
        }))
        .unwrap();
        let mut launch = launch();
        launch.group = spec.group(Timestamp(0)).into();
        launch.allocation.ports = vec![31_000];
        let env: BTreeMap<_, _> = environment(&config(), &launch, 0).into_iter().collect();
        assert_eq!(env["PORT_8080"], "31000");
        assert_eq!(env["PORT_HTTP"], "31000");
        assert_eq!(env["MARATHON_APP_RESOURCE_CPUS"], "1.5");
        assert_eq!(env["MARATHON_APP_LABELS"], "");
    }

    #[test]
    fn too_few_ports_are_no_reason_to_panic() {
        let mut launch = launch();
        launch.allocation.ports.truncate(1);
        let env: BTreeMap<_, _> = environment(&config(), &launch, 0).into_iter().collect();
        assert_eq!(env["PORTS"], "31005");
        launch.allocation.ports.clear();
        assert!(!environment(&config(), &launch, 0).iter().any(|(name, _)| name == "PORT"));
    }
}
