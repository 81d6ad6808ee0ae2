//! What needs agents, images or times of its own; for clusters of ours only.

use crate::World;
use crate::cases;
use crate::containers::{agent_of, is_offered, output};
use crate::images::image::TestImage;
use crate::images::registry::Registry;
use crate::scheduler::{Scheduler, amount, info, info_with, launch, scalar, task};
use crate::support::{Cluster, free_port, hansa, so, until};
use crate::wire::Request;
use serde_json::{Value, json};
use std::process::{Child, Stdio};

cases! {
    mesos_image: "A.7 a MESOS container of a Docker image has its root file system, variables and entry point",
    docker_image: "A.7 a DOCKER container: image, parameters, sandbox, name",
    no_network: "A.7 a DOCKER container of the network NONE has a loopback, and nobody else's",
    prune_images: "A.7 PRUNE_IMAGES removes images that nothing uses, but those that it names",
    no_image: "A.7 an image that is not there is the end of the task",
    gpus: "A.7 GPUs go to frameworks that know of them, and to one task each",
    registration: "A.8 an executor that does not register in time is the end of its tasks",
}

/// A registry with `busybox:1`; None: this machine has none, or containers of images cannot be had.
async fn shop(world: &World) -> Option<Registry> {
    world.cluster.as_ref()?;
    // SAFETY: no memory is passed.
    if unsafe { libc::geteuid() } != 0 {
        println!("not tested: containers of images need root");
        return None;
    }
    let registry = Registry::start("")?;
    let config = json!({"Cmd": ["sh"], "Env": ["PATH=/bin:/usr/bin", "OF_IMAGE=yes"], "WorkingDir": "/tmp"});
    registry.push("busybox:1", &TestImage::busybox(config)).await;
    let config = json!({"Entrypoint": ["echo", "entered"], "Cmd": ["usual"], "Env": ["PATH=/bin:/usr/bin"]});
    registry.push("enters:1", &TestImage::busybox(config)).await;
    Some(registry)
}

fn mesos_container(image: &str) -> Value {
    json!({"type": "MESOS", "mesos": {"image": {"type": "DOCKER", "docker": {"name": image}}}})
}

async fn mesos_image(world: &World) {
    let Some(registry) = shop(world).await else { return };
    let mut framework = Scheduler::subscribe(world, &info("apart")).await;
    let text = output(&mut framework, "in-image", |task| {
        task["command"]["value"] =
            json!("echo $OF_IMAGE; pwd; ls /; echo into > $MESOS_SANDBOX/file && echo wrote");
        task["container"] = mesos_container(&registry.reference("busybox:1"));
    })
    .await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.first(), Some(&"yes"), "{text}");
    assert!(lines.contains(&"srv") && !lines.contains(&"usr"), "the image has no such directory: {text}");
    assert_eq!(lines.last(), Some(&"wrote"), "{text}");
    // Without a command the image says it; with arguments only, its entry point gets them.
    for (id, command, said) in [
        ("its-own", json!({"shell": false}), "entered usual\n"),
        ("with-more", json!({"shell": false, "arguments": ["x", "y"]}), "entered x y\n"),
    ] {
        let text = output(&mut framework, id, |task| {
            task["command"] = command;
            task["container"] = mesos_container(&registry.reference("enters:1"));
        })
        .await;
        assert!(text.ends_with(said), "{id}: {text}");
    }
    framework.teardown().await;
}

fn docker_container(image: &str, more: Value) -> Value {
    let mut docker = json!({"image": image});
    docker.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    json!({"type": "DOCKER", "docker": docker})
}

async fn docker_image(world: &World) {
    let Some(registry) = shop(world).await else { return };
    let mut framework = Scheduler::subscribe(world, &info("apart")).await;
    let parameters = json!({"network": "HOST", "parameters": [
        {"key": "env", "value": "MORE=more"}, {"key": "workdir", "value": "/srv"},
    ]});
    let text = output(&mut framework, "docked", |task| {
        task["command"]["value"] = json!(
            "echo $OF_IMAGE $MORE; pwd; echo $MESOS_SANDBOX; echo $MESOS_CONTAINER_NAME; ls -d $MESOS_SANDBOX"
        );
        task["container"] = docker_container(&registry.reference("busybox:1"), parameters);
    })
    .await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..3], ["yes more", "/srv", "/mnt/mesos/sandbox"], "{text}");
    assert!(lines[3].starts_with("mesos-") && lines[4] == "/mnt/mesos/sandbox", "{text}");
    framework.teardown().await;
}

async fn no_network(world: &World) {
    let Some(registry) = shop(world).await else { return };
    let mut framework = Scheduler::subscribe(world, &info("apart")).await;
    // What listens on this machine's loopback is out of reach.
    let (host, port) = world.master.split_once(':').expect("a port");
    let command =
        format!("ls /sys/class/net; nc -w 1 {host} {port} </dev/null && echo reached || echo alone");
    for (id, network) in [
        ("none", json!({"network": "NONE"})),
        ("by-parameter", json!({"network": "HOST", "parameters": [{"key": "network", "value": "none"}]})),
    ] {
        let text = output(&mut framework, id, |task| {
            task["command"]["value"] = json!(command);
            task["container"] = docker_container(&registry.reference("busybox:1"), network);
        })
        .await;
        assert!(text.ends_with("lo\nalone\n"), "{id}: {text}");
    }
    // As Mesos does, it is told with the machine's address; ports cannot be mapped.
    let offer = framework.offer().await;
    let image = registry.reference("busybox:1");
    let mut sleeper = task("sleeps", &offer, "sleep 100000");
    sleeper["container"] = docker_container(&image, json!({"network": "NONE"}));
    let mappings = json!([{"host_port": 31_000, "container_port": 80}]);
    let mut mapped = task("mapped", &offer, "true");
    mapped["container"] = docker_container(&image, json!({"network": "NONE", "port_mappings": mappings}));
    framework.accept(&offer, &[launch(&[sleeper, mapped])]).await;
    let status = framework.until("mapped", "TASK_ERROR").await;
    assert!(
        status["message"].as_str().is_some_and(|text| text.contains("Port mappings are only")),
        "{status}"
    );
    let status = framework.until("sleeps", "TASK_RUNNING").await;
    let told = &status["container_status"]["network_infos"][0]["ip_addresses"][0]["ip_address"];
    assert_eq!(told, host, "{status}");
    framework.teardown().await;
}

async fn prune_images(world: &World) {
    let Some(registry) = shop(world).await else { return };
    let cluster = Cluster::start(1).await;
    let world = World { master: cluster.http.base.replace("http://", ""), cluster: None };
    let mut framework = Scheduler::subscribe(&world, &info("apart")).await;
    let (used, over) = (registry.reference("busybox:1"), registry.reference("enters:1"));
    output(&mut framework, "over", |task| {
        task["command"] = json!({"shell": false});
        task["container"] = mesos_container(&over);
    })
    .await;
    let offer = framework.offer().await;
    let agent = agent_of(&offer);
    let mut stays = task("stays", &offer, "sleep 100000");
    stays["container"] = mesos_container(&used);
    framework.accept(&offer, &[launch(&[stays])]).await;
    framework.until("stays", "TASK_RUNNING").await;
    let prune = async |excluded: &[Value]| {
        let call = json!({"type": "PRUNE_IMAGES", "prune_images": {"excluded_images": excluded}});
        Request::json("/api/v1", &call).send(&agent).await
    };
    let images = async || {
        let images: Value = cluster.http.get("/hansa/v1/images").await.expect("images");
        let names =
            images["images"].as_array().expect("a list").iter().map(|image| image["references"][0].clone());
        let mut names: Vec<String> = names.map(|name| name.as_str().expect("a name").to_owned()).collect();
        names.sort();
        names
    };
    let answer = prune(&[json!({"type": "APPC", "appc": {"name": "x"}})]).await;
    assert_eq!(answer.status(), 400, "{}", answer.text());
    assert_eq!(prune(&[json!({"type": "DOCKER", "docker": {"name": over}})]).await.status(), 200);
    assert_eq!(images().await, [used.clone(), over.clone()], "one is used, the other named");
    // Whatever has ended lets go of its image a moment later.
    until("the image that nothing uses is gone", async || {
        assert_eq!(prune(&[]).await.status(), 200);
        let left = images().await;
        so(left == [used.clone()], left)
    })
    .await;
    framework.teardown().await;
}

async fn no_image(world: &World) {
    let Some(registry) = shop(world).await else { return };
    let mut framework = Scheduler::subscribe(world, &info("apart")).await;
    let offer = framework.offer().await;
    let mut nothing = task("nothing", &offer, "true");
    nothing["container"] = mesos_container(&registry.reference("no-such-image:1"));
    framework.accept(&offer, &[launch(&[nothing])]).await;
    let status = framework.until("nothing", "TASK_FAILED").await;
    assert_eq!(status["reason"], "REASON_CONTAINER_LAUNCH_FAILED", "{status}");
    assert!(status["message"].as_str().is_some_and(|text| text.contains("no-such-image")), "{status}");
    framework.teardown().await;
}

async fn gpus(world: &World) {
    if world.cluster.is_none() {
        return;
    }
    let resources = "cpus:4;mem:4096;disk:10000;gpus:2;ports:[31000-31010]";
    let cluster = Cluster::start_with(1, &["--resources", resources]).await;
    let world = World { master: cluster.http.base.replace("http://", ""), cluster: None };
    let mut plain = Scheduler::subscribe(&world, &info("plain")).await;
    plain.quiet("OFFERS", std::time::Duration::from_millis(500)).await;
    let mut framework = Scheduler::subscribe(&world, &info_with("gpus", "*", &["GPU_RESOURCES"])).await;
    let offer = framework.offer().await;
    assert_eq!(amount(&offer["resources"], "gpus"), 2.0, "{offer}");
    let with_gpus = |id: &str, count: f64, command: &str| {
        let mut task = task(id, &offer, command);
        task["resources"] = json!([scalar("cpus", 0.1), scalar("mem", 32.0), scalar("gpus", count)]);
        task
    };
    let tell = "echo $NVIDIA_VISIBLE_DEVICES$CUDA_VISIBLE_DEVICES; sleep 100000";
    let tasks = [with_gpus("one", 1.0, tell), with_gpus("half", 0.5, tell), with_gpus("many", 2.0, tell)];
    framework.accept(&offer, &[launch(&tasks)]).await;
    let status = framework.until("half", "TASK_ERROR").await;
    assert_eq!(status["reason"], "REASON_TASK_INVALID", "{status}");
    framework.until("many", "TASK_ERROR").await;
    framework.until("one", "TASK_RUNNING").await;
    // What is left is offered with the other one.
    let rest = framework.offer_where("the rest", |rest| amount(&rest["resources"], "gpus") == 1.0).await;
    assert!(amount(&rest["resources"], "cpus") < 4.0, "{rest}");
    framework.teardown().await;
    plain.teardown().await;
}

/// An agent that goes with this value.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn registration(world: &World) {
    if world.cluster.is_none() {
        return;
    }
    let cluster = Cluster::start(0).await;
    let world = World { master: cluster.http.base.replace("http://", ""), cluster: None };
    let daemon = hansa()
        .args(["mesos-agent", "--ip=127.0.0.1", "--hostname=hasty"])
        .arg(format!("--port={}", free_port()))
        .arg(format!("--master={}", world.master))
        .arg(format!("--work_dir={}", cluster.directory.join("hasty").display()))
        .args(["--resources=cpus:2;mem:1024;disk:1024", "--executor_registration_timeout=1secs"])
        .stderr(Stdio::null())
        .spawn()
        .expect("an agent");
    let _daemon = Daemon(daemon);
    let mut framework = Scheduler::subscribe(&world, &info("apart")).await;
    let offer = framework.offer().await;
    let mut late = task("late", &offer, "");
    late["command"] = Value::Null;
    late["executor"] = json!({
        "executor_id": {"value": "says-nothing"},
        "command": {"value": "exec sleep 100000"},
        "resources": [scalar("cpus", 0.1), scalar("mem", 32.0)],
    });
    framework.accept(&offer, &[launch(&[late])]).await;
    let status = framework.until("late", "TASK_FAILED").await;
    assert_eq!(status["reason"], "REASON_EXECUTOR_REGISTRATION_TIMEOUT", "{status}");
    assert_eq!(status["source"], "SOURCE_AGENT", "{status}");
    let failure = framework.event("FAILURE").await;
    assert_eq!(failure["failure"]["executor_id"], json!({"value": "says-nothing"}), "{failure}");
    // It is gone, and all that it had is offered again.
    is_offered(&mut framework, &offer, 0.0).await;
    let address = &offer["url"]["address"];
    let agent = format!("{}:{}", address["ip"].as_str().expect("an ip"), address["port"]);
    let flags = Request::get("/flags").send(&agent).await.json();
    assert_eq!(flags["flags"]["executor_registration_timeout"], "1secs", "{flags}");
    framework.teardown().await;
}
