//! `hansa compose up`: a web server, a database and workers, from one file.

use crate::support::{Cluster, so, until};
use crate::talk::{get, here, redis};
use crate::{apps::image, on_runtime};
use serde_json::Value;

pub fn project() {
    on_runtime(async {
        let cluster = Cluster::start(1).await;
        let port = cluster.agents[0].first_port;
        let (web, store) = (port, port + 1);
        let text = format!(
            r#"
name: shop
services:
  web:
    image: {nginx}
    ports: ["{web}:80"]
    depends_on: [redis]
    healthcheck: {{test: busybox wget -q -O /dev/null http://127.0.0.1/, interval: 1s, start_period: 60s}}
  redis:
    image: {redis}
    ports: ["{store}:6379"]
    healthcheck: {{test: [CMD, redis-cli, ping], interval: 1s, start_period: 60s}}
  worker:
    image: {redis}
    environment: {{STORE_PORT: "{store}"}}
    command:
      - sh
      - -c
      - |
        machine=$$(busybox ip route | busybox awk '/^default/ {{print $$3}}')
        while redis-cli -h $$machine -p $$STORE_PORT lpush done "$$(busybox hostname)"; do sleep 0.2; done
    depends_on: {{redis: {{condition: service_healthy}}}}
    deploy: {{replicas: 2}}
"#,
            nginx = image("nginx:1"),
            redis = image("redis:7"),
        );
        let folder = cluster.directory.join("project");
        std::fs::create_dir(&folder).unwrap();
        let file = folder.join("compose.yaml");
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();

        let output = cluster.cli(&["compose", "up", "--file", file]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(get(here(web), "/").unwrap(), "version 1");
        let apps: Value = cluster.http.get("/v2/apps").await.unwrap();
        let mut ids: Vec<&str> =
            apps["apps"].as_array().unwrap().iter().filter_map(|app| app["id"].as_str()).collect();
        ids.sort_unstable();
        assert_eq!(ids, ["/shop/redis", "/shop/web", "/shop/worker"]);
        assert_eq!(cluster.http.settled("/shop/worker", 2).await.len(), 2);
        until("the workers have done something", async || {
            let done = redis(here(store), "LLEN done")?;
            so(done.parse::<u32>().is_ok_and(|done| done >= 4), done)
        })
        .await;

        let output = cluster.cli(&["compose", "down", "--file", file]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let apps: Value = cluster.http.get("/v2/apps").await.unwrap();
        assert_eq!(apps["apps"], serde_json::json!([]));
        until("nothing runs any more", async || so(cluster.shims(0).is_empty(), cluster.shims(0))).await;
        for port in [web, store] {
            let error = get(here(port), "/").unwrap_err();
            assert!(error.contains("refused"), "{error}");
        }
    });
}
