//! From a POST to a running container whose image is there already, in turns with programs that do a part of that.

use crate::apps::app;
use crate::others::{Bundle, Docker};
use crate::stream::{Stream, post};
use crate::support::Cluster;
use crate::{ms, print};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Rounds; each starts one container in every way.
const ROUNDS: usize = 100;
/// What each of them runs.
pub const COMMAND: [&str; 2] = ["sleep", "100000"];

/// A container of busybox that does nothing, in a network of its own or in the machine's.
pub fn sleeper(id: &str, bridge: bool) -> Value {
    let mut app = app(id, "busybox:1", 80);
    app["args"] = json!(COMMAND);
    app["cpus"] = json!(0.001);
    if !bridge {
        app["networks"] = json!([{"mode": "host"}]);
        app["container"].as_object_mut().expect("an object").remove("portMappings");
        app["portDefinitions"] = json!([]);
    }
    app
}

pub async fn run() {
    println!("\n-- start: {ROUNDS} containers one after the other, each way in turns");
    let resources = "cpus:8;mem:100000;disk:10000;ports:[20000-20999]";
    let cluster = Cluster::start_with(1, &["--resources", resources]).await;
    let master = cluster.http.base.clone();
    let mut stream = Stream::open(&master);
    let mut start = |id: &str, bridge: bool| {
        let app = sleeper(id, bridge);
        let begun = Instant::now();
        let posted = post(&master, &app);
        stream.running(id, 1);
        let took = begun.elapsed();
        posted.taken();
        took
    };
    println!("the first of all, with the pull of its image: {:.1} ms", ms(start("/first", false)));
    println!("the first with a network, with the agent's bridge: {:.1} ms", ms(start("/second", true)));
    let bundle = Bundle::make(&cluster.directory, &COMMAND);
    let docker = Docker::start(&cluster.directory);
    let mut times: [Vec<Duration>; 5] = Default::default();
    for round in 0..ROUNDS {
        times[0].push(start(&format!("/host{round}"), false));
        times[1].push(start(&format!("/bridge{round}"), true));
        times[2].extend(bundle.run("crun", round));
        times[3].extend(bundle.run("runc", round));
        times[4].extend(docker.as_ref().and_then(|docker| docker.run(&COMMAND)));
    }
    let [host, bridge, crun, runc, docker] = &mut times;
    let base = print("runc run --detach", runc, None).map(|median| ("runc", median));
    print("crun run --detach", crun, base);
    print("docker run --detach, the machine's network", docker, base);
    print("POST to TASK_RUNNING, the machine's network", host, base);
    print("POST to TASK_RUNNING, own network and a mapped port", bridge, base);
    println!("aim: p50 20 ms, p99 50 ms");
}
