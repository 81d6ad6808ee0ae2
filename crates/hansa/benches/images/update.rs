//! A rolling update of 20 web servers under the load of a client that behaves as a load balancer.

use crate::apps::{WEB, web};
use crate::balancer::Balancer;
use crate::support::{Cluster, so, until};
use serde_json::{Value, json};
use std::time::Instant;

const MANY: usize = 20;

pub async fn run() {
    println!("\n-- update: {MANY} nginx on three agents, under load");
    let cluster = Cluster::start(3).await;
    let http = &cluster.http;
    let balancer = Balancer::start(&http.base, WEB);
    let _: Value = http.post("/v2/apps", &web(1, MANY)).await.expect("it is taken");
    http.settled(WEB, MANY).await;
    until("all are healthy", async || so(balancer.healthy() == MANY, balancer.healthy())).await;
    // The pull of the second version is part of it, as it is for everybody.
    let _ = balancer.take();
    let begun = Instant::now();
    let update = json!({"container": web(2, MANY)["container"]});
    let _: Value = http.put(&format!("/v2/apps{WEB}"), &update).await.expect("it is taken");
    http.settled(WEB, MANY).await;
    let took = begun.elapsed();
    until("all are healthy", async || so(balancer.healthy() == MANY, balancer.healthy())).await;
    let tally = balancer.take();
    println!(
        "{:.1} s; {} requests answered, {} failed (aim: 0), {} found nobody healthy",
        took.as_secs_f64(),
        tally.answered,
        tally.failed,
        tally.idle
    );
    for failure in &tally.failures {
        println!("  {failure}");
    }
}
