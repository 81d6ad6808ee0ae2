//! Definitions of services of the shop's images.

use crate::packages::Shop;
use serde_json::{Value, json};
use std::sync::OnceLock;

/// The web server's path.
pub const WEB: &str = "/web";

/// `127.0.0.1:port` of the registry that all share.
static REGISTRY: OnceLock<String> = OnceLock::new();

/// From now on images are this shop's.
pub fn buy_from(shop: &Shop) {
    REGISTRY.set(shop.server()).expect("there is one shop");
}

/// A reference to one of the shop's images.
pub fn image(name: &str) -> String {
    format!("{}/{name}", REGISTRY.get().expect("the shop is open"))
}

/// An app of an image in a network of its own, with one mapped port.
pub fn app(id: &str, name: &str, port: u16) -> Value {
    json!({
        "id": id, "cpus": 0.01, "mem": 32, "instances": 1,
        "networks": [{"mode": "container/bridge"}],
        "container": {
            "type": "DOCKER", "docker": {"image": image(name)},
            "portMappings": [{"containerPort": port, "hostPort": 0}],
        },
    })
}

/// A web server that can be updated a few instances at a time.
pub fn web(version: u32, instances: usize) -> Value {
    let mut web = app(WEB, &format!("nginx:{version}"), 80);
    web["instances"] = json!(instances);
    web["upgradeStrategy"] = json!({"minimumHealthCapacity": 0.9, "maximumOverCapacity": 0.2});
    web["healthChecks"] = json!([
        {"protocol": "MESOS_HTTP", "path": "/", "delaySeconds": 0, "intervalSeconds": 1, "gracePeriodSeconds": 60}
    ]);
    web
}
