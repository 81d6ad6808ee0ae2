//! Containers with addresses of their own, on machines of their own.

use crate::Test;
use crate::fixture::{Fixture, shell};
use crate::machine::links;
use crate::workload::ask;
use hansa_model::container::{NetworkSpec, PortMapping};
use hansa_model::resources::PortDemand;
use hansa_model::spec::{Command, Launch};
use hansa_model::task::TaskState;

pub(crate) fn tests() -> Vec<Test> {
    vec![Test { name: "two containers with mapped ports are reached from the machine", run: two_containers }]
}

/// A port mapping to the task's port with this index.
fn mapping(container_port: u16, host_port: Option<u16>, protocol: &str) -> PortMapping {
    PortMapping { container_port, host_port, protocol: protocol.into(), name: None }
}

/// A group of one container in a bridge network that runs a shell script, with these ports of the machine.
fn bridged(name: &str, script: &str, ports: &[u16], mappings: Vec<PortMapping>) -> Launch {
    let mut launch = shell(name, script);
    let mut group = (*launch.group).clone();
    group.tasks[0].network = NetworkSpec::Bridge { mappings };
    group.tasks[0].demand.ports = vec![PortDemand::Any; ports.len()];
    launch.group = group.into();
    launch.allocation.ports = ports.to_vec();
    launch
}

/// The same with a server on port 80.
fn server(name: &str, ports: &[u16]) -> Launch {
    let mappings = (0..ports.len()).map(|at| mapping(80, Some(at as u16), "udp,tcp")).collect();
    let mut launch = bridged(name, "", ports, mappings);
    let mut group = (*launch.group).clone();
    let exe = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    group.tasks[0].command = Command::Argv([&exe, "workload", "serve", "80", name].map(str::to_owned).into());
    launch.group = group.into();
    launch
}

/// Starts servers and waits until they serve; gives their addresses.
fn serve(fixture: &mut Fixture, servers: &[(&str, &[u16])]) -> Vec<String> {
    let mut addresses = Vec::new();
    for (name, ports) in servers {
        let running = fixture.with_master(async |master| {
            master.launch(server(name, ports));
            master.state(TaskState::Running).await
        });
        let [address] = &running.addresses[..] else { panic!("one address: {running:?}") };
        addresses.push(address.clone());
        fixture.until("it serves", || fixture.read(name, "stdout").contains("serves"));
    }
    addresses
}

fn two_containers() {
    let mut fixture = Fixture::new();
    let hello = fixture.start_agent();
    assert!(!hello.missing_isolation.iter().any(|missing| missing.contains("bridge")), "{hello:?}");
    assert_eq!(links("h"), [""; 0], "nothing is made before it is needed");
    let addresses = serve(&mut fixture, &[("a", &[31_000]), ("b", &[31_001, 31_002])]);
    assert_ne!(addresses[0], addresses[1]);
    for protocol in ["tcp", "udp"] {
        for (port, name) in [(31_000, "a"), (31_001, "b"), (31_002, "b")] {
            let said = ask(protocol, &format!("127.0.0.1:{port}"));
            assert!(said.starts_with(&format!("{name} ")), "{protocol} {port}: {said}");
        }
        let said = ask(protocol, &format!("{}:80", addresses[1]));
        assert!(said.starts_with("b "), "by its own address: {said}");
    }
}
