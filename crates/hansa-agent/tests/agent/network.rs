//! Containers with addresses of their own, on machines of their own.

use crate::Test;
use crate::fixture::{Fixture, shell};
use crate::machine::{ip, links};
use crate::workload::{ask, ask_udp};
use hansa_link::ToAgentBody;
use hansa_model::InstanceId;
use hansa_model::app::{CheckPort, HealthCheck, Probe};
use hansa_model::container::{NetworkSpec, PortMapping};
use hansa_model::resources::PortDemand;
use hansa_model::spec::{Command, Launch};
use hansa_model::task::TaskState;
use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Stdio};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test { name: "two containers with mapped ports are reached from the machine", run: two_containers },
        Test { name: "a container reaches itself and others by the machine's ports", run: hairpin },
        Test { name: "containers and the world outside", run: outside },
        Test { name: "a port of the machine has one owner", run: conflicts },
        Test { name: "fifty containers with addresses at once", run: fifty },
        Test { name: "networks survive their agent and nothing else", run: survival },
        Test { name: "two agents on one machine", run: two_agents },
        Test { name: "datagrams follow a port to its next container", run: datagrams },
        Test { name: "checks find containers with addresses", run: checks },
        Test { name: "a container with nothing but a loopback", run: alone },
    ]
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
    let exe = crate::machine::program();
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

/// This program as a shell writes it.
fn exe() -> String {
    crate::machine::program()
}

/// What a new container hears when it asks these, each `<protocol> <address>`.
fn heard_inside(fixture: &mut Fixture, name: &str, asked: &[String]) -> Vec<String> {
    let lines = asked.iter().map(|words| format!("{} workload ask {words}; ", exe())).collect::<String>();
    fixture.with_master(async |master| {
        master.launch(bridged(name, &lines, &[], Vec::new()));
        master.state(TaskState::Finished).await;
    });
    fixture.read(name, "stdout").lines().map(str::to_owned).collect()
}

fn kill_all(fixture: &mut Fixture, names: &[&str]) {
    fixture.with_master(async |master| {
        for name in names {
            master.kill(name, 0);
        }
        for _ in names {
            master.state(TaskState::Killed).await;
        }
    });
}

fn release(fixture: &mut Fixture, name: &str) {
    fixture.with_master(async |master| master.say(ToAgentBody::Release { instance: InstanceId::from(name) }));
}

/// Packets that stay in a bridge pass the rules for others or not, as the machine likes.
fn bridge_filter(on: bool) -> bool {
    std::fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", if on { "1" } else { "0" }).is_ok()
}

fn hairpin() {
    ip("addr add 10.77.0.1/32 dev lo");
    let mut fixture = Fixture::new();
    fixture.start_agent();
    let addresses = serve(&mut fixture, &[("a", &[31_000])]);
    let script = format!(
        "{exe} workload serve 80 self & while [ ! -e go ]; do sleep 0.02; done; \
         for where in 10.77.0.1:31001 10.77.0.1:31000 {}:80; do for how in tcp udp; do \
         {exe} workload ask $how $where; done; done > said; mv said heard; wait",
        addresses[0],
        exe = exe(),
    );
    for on in [true, false] {
        if !bridge_filter(on) {
            println!("  bridge-nf-call-iptables is not there: one way less");
        }
        let name = if on { "filtered" } else { "unfiltered" };
        fixture.with_master(async |master| {
            master.launch(bridged(name, &script, &[31_001], vec![mapping(80, Some(0), "udp,tcp")]));
            master.state(TaskState::Running).await
        });
        fixture.until("it serves", || fixture.read(name, "stdout").contains("serves"));
        std::fs::write(fixture.sandbox(name).join("go"), "").unwrap();
        fixture.until("it has heard", || fixture.sandbox(name).join("heard").exists());
        let heard = fixture.read(name, "heard");
        let who: Vec<&str> = heard.lines().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(who, ["self", "self", "a", "a", "a", "a"], "{name}: {heard}");
        kill_all(&mut fixture, &[name]);
    }
}

/// A process outside the machine, ended with the test.
struct Outside(Child);

impl Outside {
    fn run(words: &str) -> Self {
        let line = format!("netns exec outside {} workload {words}", exe());
        let child = std::process::Command::new("ip")
            .args(line.split(' '))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        Self(child.unwrap())
    }

    /// What it says in all.
    fn heard(mut self) -> String {
        let mut said = String::new();
        std::io::Read::read_to_string(self.0.stdout.as_mut().unwrap(), &mut said).unwrap();
        said.trim().to_owned()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn outside() {
    if !crate::machine::has_elsewhere() {
        return println!("  SKIPPED: in a chroot `ip` cannot enter other network namespaces");
    }
    for words in [
        "netns add outside",
        "link add uplink type veth peer name wire netns outside",
        "addr add 10.88.0.1/24 dev uplink",
        "link set uplink up mtu 1400",
        "-n outside addr add 10.88.0.2/24 dev wire",
        "-n outside link set wire up",
        "-n outside route add default via 10.88.0.1",
        "route add default via 10.88.0.2",
    ] {
        ip(words);
    }
    let mut server = Outside::run("serve 90 world");
    std::io::Read::read_exact(server.0.stdout.as_mut().unwrap(), &mut [0; 6]).unwrap();
    let mut fixture = Fixture::new();
    fixture.start_agent();
    let [address] = &serve(&mut fixture, &[("a", &[31_000])])[..] else { panic!() };
    for protocol in ["tcp", "udp"] {
        let heard = Outside::run(&format!("ask {protocol} 10.88.0.1:31000")).heard();
        assert_eq!(heard, "a 10.88.0.2", "{protocol}: by the mapped port, and its address is seen");
    }
    let heard = Outside::run(&format!("ask tcp {address}:80")).heard();
    assert_eq!(heard, "TimedOut", "past the mapped port");
    let asked = ["tcp 10.88.0.2:90".to_owned(), "udp 10.88.0.2:90".to_owned()];
    assert_eq!(heard_inside(&mut fixture, "asks", &asked), ["world 10.88.0.1"; 2], "as the machine");
    let bridge = ip("-br link").lines().find(|line| line.starts_with("hansa")).unwrap().to_owned();
    let name = bridge.split_whitespace().next().unwrap();
    assert!(ip(&format!("link show {name}")).contains("mtu 1400"), "as large as the way out");
}

fn conflicts() {
    let mut fixture = Fixture::new();
    fixture.start_agent();
    let refused = |fixture: &mut Fixture, name: &str| {
        fixture.with_master(async |master| {
            master.launch(server(name, &[31_005]));
            master.state(TaskState::Failed).await.message
        })
    };
    let (tcp, udp) =
        (TcpListener::bind("127.0.0.1:31005").unwrap(), UdpSocket::bind("0.0.0.0:31006").unwrap());
    let message = refused(&mut fixture, "first");
    assert!(message.contains("port 31005/tcp of the machine is already in use"), "{message}");
    drop(tcp);
    let addresses = serve(&mut fixture, &[("second", &[31_005])]);
    assert!(ask("tcp", "127.0.0.1:31005").starts_with("second "), "{addresses:?}");
    let taken = TcpListener::bind("127.0.0.1:31005").unwrap_err();
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse, "nobody takes a mapped port unseen");
    // The other's port is not lost by the refusal, nor by its clean-up.
    let message = refused(&mut fixture, "third");
    assert!(message.contains("31005/udp") || message.contains("31005/tcp"), "{message}");
    release(&mut fixture, "third");
    assert!(ask("tcp", "127.0.0.1:31005").starts_with("second "));
    // What a refused container had got is free again.
    let message = fixture.with_master(async |master| {
        master.launch(server("fourth", &[31_007, 31_006]));
        master.state(TaskState::Failed).await.message
    });
    assert!(message.contains("31006/udp"), "{message}");
    drop(udp);
    kill_all(&mut fixture, &["second"]);
    assert_eq!(ask("tcp", "127.0.0.1:31005"), "ConnectionRefused", "when its end is known its port is free");
    serve(&mut fixture, &[("fifth", &[31_005, 31_006, 31_007])]);
}

fn fifty() {
    let mut fixture = Fixture::new();
    fixture.start_agent();
    let names: Vec<String> = (0..50).map(|number| format!("c{number}")).collect();
    let begin = std::time::Instant::now();
    let addresses = fixture.with_master(async |master| {
        for (port, name) in (31_000..).zip(&names) {
            master.launch(server(name, &[port]));
        }
        let mut addresses = std::collections::BTreeSet::new();
        for _ in &names {
            addresses.extend(master.state(TaskState::Running).await.addresses);
        }
        addresses
    });
    println!("  fifty run after {} ms", begin.elapsed().as_millis());
    assert_eq!(addresses.len(), 50, "each has its own");
    for (port, name) in (31_000..).zip(&names) {
        fixture.until("it serves", || fixture.read(name, "stdout").contains("serves"));
        assert!(ask("tcp", &format!("127.0.0.1:{port}")).starts_with(&format!("{name} ")));
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    kill_all(&mut fixture, &names);
    for port in 31_000..31_050 {
        assert_eq!(ask("tcp", &format!("127.0.0.1:{port}")), "ConnectionRefused");
    }
    fixture.until("all links are gone", || links("h").len() == 1);
    fixture.stop_agent();
    assert_eq!(links("h"), [""; 0], "an agent that stops without containers takes its bridge along");
}

fn survival() {
    let mut fixture = Fixture::new();
    fixture.start_agent();
    let addresses = serve(&mut fixture, &[("stays", &[31_000]), ("goes", &[31_001])]);
    assert_eq!(links("h").len(), 3, "{:?}", links("h"));
    fixture.kill_agent();
    for port in [31_000, 31_001] {
        assert!(!ask("tcp", &format!("127.0.0.1:{port}")).contains("Refused"), "without an agent");
    }
    // A shim dies while nobody looks, and links that no container has are in the way.
    // (Its container's first process is its copy.)
    for shim in fixture.processes(&fixture.data_dir().join("runtime/goes").display().to_string()) {
        crate::fixture::signal(shim, libc::SIGKILL);
    }
    let stale = format!("{}ffffff", &links("hansa")[0].replacen("hansa", "h", 1));
    ip(&format!("link add {stale} type veth peer name other"));
    ip("link add hother type veth peer name hothers");
    let hello = fixture.start_agent();
    let group = hello.groups.iter().find(|group| group.launch.instance.as_str() == "stays").unwrap();
    assert_eq!(group.statuses[0].addresses, addresses[..1]);
    assert!(ask("tcp", "127.0.0.1:31000").starts_with("stays "));
    assert_eq!(ask("tcp", "127.0.0.1:31001"), "ConnectionRefused");
    assert!(
        !links("h").contains(&stale) && links("h").contains(&"hother".into()),
        "its own, and nothing else"
    );
    let later = serve(&mut fixture, &[("later", &[31_001])]);
    assert!(!addresses.contains(&later[0]), "an address is not used again at once");
    assert!(TcpListener::bind("0.0.0.0:31000").is_err(), "taken over ports are held again");
    // The whole machine goes down: nothing of the containers is left, the agent's files are.
    fixture.kill_agent();
    fixture.shims().into_iter().for_each(|shim| crate::fixture::signal(shim, libc::SIGKILL));
    fixture.until("its containers' links are gone", || links("h").len() == 3);
    fixture.start_agent();
    assert_eq!(links("hansa"), [""; 0]);
    for port in [31_000, 31_001] {
        assert_eq!(ask("tcp", &format!("127.0.0.1:{port}")), "ConnectionRefused");
    }
    assert_eq!(serve(&mut fixture, &[("again", &[31_000])]).len(), 1);
}

fn two_agents() {
    ip("addr add 10.77.0.1/32 dev lo");
    // A route that nobody's subnet may hide.
    ip("link add wide type veth peer name wider");
    ip("addr add 172.16.0.1/13 dev wide");
    ip("link set wide up");
    let (mut one, mut other) = (Fixture::new(), Fixture::new());
    other.bridge_subnet = Some("10.200.0.0/24".into());
    one.start_agent();
    other.start_agent();
    let first = serve(&mut one, &[("one", &[31_000])]);
    let second = serve(&mut other, &[("other", &[31_050])]);
    assert!(second[0].starts_with("10.200.0."), "{second:?}");
    assert!(!first[0].starts_with("10.200.0.") && !first[0].starts_with("172.1"), "{first:?}");
    let asked = ["tcp 10.77.0.1:31050".to_owned(), "udp 10.77.0.1:31050".to_owned()];
    for said in heard_inside(&mut one, "asks", &asked) {
        assert!(said.starts_with("other "), "across bridges by the machine's port: {said}");
    }
    let message = other.with_master(async |master| {
        master.launch(server("thief", &[31_000]));
        master.state(TaskState::Failed).await.message
    });
    assert!(message.contains("31000"), "{message}");
    one.kill_agent();
    one.start_agent();
    kill_all(&mut one, &["one"]);
    one.stop_agent();
    assert!(ask("tcp", "127.0.0.1:31050").starts_with("other "), "one's end is nothing to the other");
    // A third wants what is in use.
    let mut third = Fixture::new();
    third.bridge_subnet = Some("10.200.0.0/16".into());
    third.start_agent();
    let message = third.with_master(async |master| {
        master.launch(server("third", &[31_090]));
        master.state(TaskState::Failed).await.message
    });
    assert!(message.contains("--bridge-subnet 10.200.0.0/16 overlaps 10.200.0.0/24"), "{message}");
}

fn datagrams() {
    let mut fixture = Fixture::new();
    fixture.start_agent();
    let client = UdpSocket::bind("0.0.0.0:0").unwrap();
    let early = UdpSocket::bind("0.0.0.0:0").unwrap();
    early.send_to(b"anybody?", "127.0.0.1:31000").unwrap();
    for name in ["a", "b", "c"] {
        serve(&mut fixture, &[(name, &[31_000])]);
        for socket in [&client, &early] {
            let said = ask_udp(socket, "127.0.0.1:31000").unwrap_or_else(|error| error.to_string());
            assert!(said.starts_with(&format!("{name} ")), "{said} instead of {name}");
        }
        kill_all(&mut fixture, &[name]);
    }
}

fn checks() {
    let mut fixture = Fixture::new();
    fixture.start_agent();
    let check = |protocol: &str, port, probe| HealthCheck {
        protocol: protocol.into(),
        probe,
        port: Some(CheckPort::Index(port)),
        grace_ms: 10_000,
        interval_ms: 200,
        timeout_ms: 500,
        max_consecutive_failures: 3,
        delay_ms: 0,
        ip_protocol: "IPv4".into(),
    };
    let http = Probe::Http { path: "/".into(), ignore_1xx: false, tls: false };
    let line = "test \"$PORT0 $PORT_80 $PORT1 $PORTS\" = \"31000 80 80 31000\" && \
                ip -br addr show eth0 | grep -q \" $MESOS_CONTAINER_IP/\" && test ! -e /sys/class/net/hother";
    let command = Probe::Command { command: line.into() };
    ip("link add hother type veth peer name hothers");
    let checks = vec![
        check("HTTP", 0, http.clone()),
        check("TCP", 1, Probe::Tcp),
        check("MESOS_HTTP", 0, http),
        HealthCheck { port: None, ..check("COMMAND", 0, command) },
    ];
    let mut launch = server("a", &[31_000]);
    let mut group = (*launch.group).clone();
    group.tasks[0].health_checks = checks;
    group.tasks[0].network =
        NetworkSpec::Bridge { mappings: vec![mapping(80, Some(0), "tcp"), mapping(80, None, "tcp")] };
    launch.group = group.into();
    let status = fixture.with_master(async |master| {
        master.launch(launch);
        master.update(|status| status.healthy == Some(true)).await
    });
    assert_eq!((status.addresses.len(), status.health.len()), (1, 4), "{status:?}");
    // An agent that has just started knows the address from its journal.
    fixture.kill_agent();
    let hello = fixture.start_agent();
    assert_eq!(hello.groups[0].statuses[0].addresses, status.addresses);
    // Its checks go on: a server that is stopped answers nobody.
    for pid in fixture.processes("workload serve 80 a") {
        crate::fixture::signal(pid, libc::SIGSTOP);
    }
    let status =
        fixture.with_master(async |master| master.update(|status| status.healthy == Some(false)).await);
    assert_eq!(status.addresses.len(), 1, "{status:?}");
}

fn alone() {
    let mut fixture = Fixture::new();
    fixture.start_agent();
    // Something of the machine's that answers on every address.
    let (_outside, port) = {
        let listener = TcpListener::bind(("0.0.0.0", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    };
    let tries =
        format!("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}' 2>/dev/null && echo reached || echo refused");
    let script = format!(
        "ls /sys/class/net; {tries}; ip -br addr show lo; echo $LIBPROCESS_IP; hostname; echo done; \
         exec {} workload serve 80 alone",
        crate::machine::program()
    );
    let mut launch = shell("alone", &script);
    let mut group = (*launch.group).clone();
    group.tasks[0].network = NetworkSpec::None;
    group.tasks[0].demand.ports = vec![PortDemand::Any];
    launch.group = group.into();
    launch.allocation.ports = vec![31_000];
    let running = fixture.with_master(async |master| {
        master.launch(launch);
        master.state(TaskState::Running).await
    });
    assert_eq!(running.addresses, [""; 0]);
    fixture.until("it serves", || fixture.read("alone", "stdout").contains("serves"));
    let said = fixture.read("alone", "stdout");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((lines[0], lines[1]), ("lo", "refused"), "{said}");
    assert!(lines[2].contains("127.0.0.1/8") && lines[3] == "127.0.0.1" && lines[4] == "alone", "{said}");
    assert_eq!(links("h"), [""; 0], "no bridge for that");
    // It serves its own loopback only.
    assert!(std::net::TcpStream::connect(("127.0.0.1", 80)).is_err());
    // Its agent comes and goes; the container stays where it is, and what runs beside it is there, too.
    fixture.kill_agent();
    let hello = fixture.start_agent();
    assert_eq!(hello.groups[0].statuses[0].state, TaskState::Running);
}
