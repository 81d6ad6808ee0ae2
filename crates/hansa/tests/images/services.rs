//! The life of two services: started, grown, updated, taken back and moved, while somebody uses them.

use crate::apps::{WEB, app, image, web};
use crate::balancer::{Balancer, Tally};
use crate::on_runtime;
use crate::support::{Cluster, so, until};
use crate::talk::{get, here, redis};
use hansa_api::hansa::Task;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const CACHE: &str = "/cache";
const MANY: usize = 20;

fn cache() -> Value {
    let mut cache = app(CACHE, "redis:7", 6379);
    cache["healthChecks"] = json!([
        {"protocol": "COMMAND", "command": {"value": "redis-cli ping"}, "delaySeconds": 0, "intervalSeconds": 1,
         "gracePeriodSeconds": 60}
    ]);
    cache
}

fn ids(tasks: &[Task]) -> BTreeSet<String> {
    tasks.iter().map(|task| task.id.to_string()).collect()
}

/// Waits until the client has had an answer of every one of the instances that it takes for healthy, all of this text,
/// and gives everything since the last look.
async fn heard(balancer: &Balancer, text: &str, earlier: &mut Tally) {
    *earlier = balancer.take();
    until(&format!("only {text:?} is heard"), async || {
        let tally = balancer.take();
        earlier.add(&tally);
        let alone = tally.answers.len() == 1 && tally.answers.contains_key(text);
        so(alone && balancer.healthy() == MANY, (&tally, balancer.healthy()))
    })
    .await;
}

/// That the client lost nothing, and was never without anybody to ask.
fn nothing_lost(during: &str, tally: &Tally) {
    println!("{during}: {} requests answered, {} failed", tally.answered, tally.failed);
    assert_eq!(tally.failed, 0, "{during}: {:#?}", tally.failures);
    assert_eq!(tally.idle, 0, "{during}: nobody was healthy");
    assert!(tally.answered > 0, "{during}: nobody asked");
}

pub fn life() {
    on_runtime(async {
        let cluster = Cluster::start(3).await;
        let http = &cluster.http;
        let balancer = Balancer::start(&http.base, WEB);
        for definition in [web(1, 2), cache()] {
            let _: Value = http.post("/v2/apps", &definition).await.unwrap();
        }
        let pair = http.settled(WEB, 2).await;
        for task in &pair {
            assert_eq!(get(here(task.ports[0]), "/").unwrap(), "version 1");
        }
        let cached = http.settled(CACHE, 1).await.remove(0);
        let port = here(cached.ports[0]);
        assert_eq!(redis(port, "PING").unwrap(), "PONG");
        assert_eq!(redis(port, "SET key value").unwrap(), "OK");
        assert_eq!(redis(port, "GET key").unwrap(), "value");
        until("both are healthy", async || so(balancer.healthy() == 2, balancer.healthy())).await;
        let mut tally = balancer.take();
        assert_eq!(tally.failed, 0, "{tally:?}");

        cluster.cli_json(&["app", "scale", "web", "20"]);
        let first = ids(&http.settled(WEB, MANY).await);
        assert!(ids(&pair).is_subset(&first), "growing replaces nothing");
        heard(&balancer, "version 1", &mut tally).await;
        nothing_lost("growing to 20", &tally);

        let update = json!({"container": web(2, MANY)["container"]});
        let _: Value = http.put(&format!("/v2/apps{WEB}"), &update).await.unwrap();
        let second = ids(&http.settled(WEB, MANY).await);
        assert!(second.is_disjoint(&first), "every instance is a new one");
        heard(&balancer, "version 2", &mut tally).await;
        nothing_lost("updating 20", &tally);
        assert!(tally.answers.contains_key("version 1"), "it was asked meanwhile: {tally:?}");

        let output = cluster.cli(&["app", "rollback", "web"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let third = http.settled(WEB, MANY).await;
        let shown: Value = http.get(&format!("/v2/apps{WEB}")).await.unwrap();
        assert_eq!(shown["app"]["container"]["docker"]["image"], image("nginx:1"), "{shown}");
        heard(&balancer, "version 1", &mut tally).await;
        nothing_lost("going back", &tally);

        // The machine with the cache, which has to move, too.
        let cached = http.settled(CACHE, 1).await.remove(0);
        let machine = cached.hostname.clone();
        assert!(third.iter().any(|task| task.hostname == machine), "{third:?}");
        cluster.cli_json(&["node", "drain", &machine]);
        let rest = http.settled(WEB, MANY).await;
        assert!(rest.iter().all(|task| task.hostname != machine), "{rest:?}");
        let stayed = third.iter().filter(|task| task.hostname != machine).cloned().collect::<Vec<_>>();
        assert!(ids(&stayed).is_subset(&ids(&rest)), "what ran elsewhere was not touched");
        heard(&balancer, "version 1", &mut tally).await;
        nothing_lost("draining a machine", &tally);
        let drained = cluster.agents.iter().position(|agent| agent.name == machine).expect("one of ours");
        until("nothing runs there", async || so(cluster.shims(drained).is_empty(), cluster.shims(drained)))
            .await;
        let moved = http.settled(CACHE, 1).await.remove(0);
        assert_ne!(moved.hostname, machine);
        assert_eq!(redis(here(moved.ports[0]), "PING").unwrap(), "PONG");
    });
}
