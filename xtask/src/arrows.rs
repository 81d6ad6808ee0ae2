//! Which crate may see which. Two arrows matter by their absence: the built-in schedulers cannot see the kernel, so
//! that they prove the protocol that any outside scheduler uses; and the kernel cannot see store or API, so that
//! neither storage nor HTTP shapes it.

use serde_json::Value;

/// A crate and those of ours that it may depend on, besides `hansa-model`, which all but itself may.
const ALLOWED: &[(&str, &[&str])] = &[
    ("hansa-model", &[]),
    ("hansa-placement", &[]),
    ("hansa-kernel", &["hansa-placement"]),
    ("hansa-schedulers", &["hansa-placement"]),
    ("hansa-link", &[]),
    ("hansa-cell", &["hansa-kernel", "hansa-schedulers", "hansa-link", "hansa-placement"]),
    ("hansa-node", &["hansa-link"]),
    ("hansa-store", &[]),
    ("hansa-api", &[]),
    ("hansa-images", &[]),
    ("hansa-mesos", &[]),
    ("hansa-agent", &["hansa-node", "hansa-link", "hansa-api", "hansa-images", "hansa-mesos"]),
    ("hansa-console", &[]),
    (
        "hansa-master",
        &["hansa-cell", "hansa-store", "hansa-api", "hansa-link", "hansa-console", "hansa-mesos"],
    ),
    (
        "hansa-sim",
        &[
            "hansa-cell",
            "hansa-node",
            "hansa-store",
            // What it stands between: it carries the messages itself.
            "hansa-link",
        ],
    ),
    ("hansa", &["hansa-master", "hansa-agent", "hansa-sim", "hansa-console", "hansa-api", "hansa-mesos"]),
    ("xtask", &[]),
];

/// Arrows that `cargo metadata` shows and [`ALLOWED`] does not, in words. Dependencies of tests are free.
pub fn forbidden(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
            wrong.push(format!("crate {name} is not in xtask/src/arrows.rs: decide what it may see"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let on = dependency["name"].as_str().unwrap_or_default();
            let everywhere = on == "hansa-model" && name != "hansa-model" && name != "xtask";
            if names.contains(&on) && dependency["kind"] != "dev" && !everywhere && !allowed.contains(&on) {
                wrong.push(format!("{name} must not see {on}"));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arrows_that_are_not_allowed_are_named() {
        let metadata = json!({"packages": [
            {"name": "hansa-model", "dependencies": [{"name": "serde", "kind": null}]},
            {"name": "hansa-kernel", "dependencies": [{"name": "hansa-model", "kind": null}]},
            {"name": "hansa-schedulers", "dependencies": [
                {"name": "hansa-kernel", "kind": null}, {"name": "hansa-model", "kind": null}]},
            {"name": "hansa-node", "dependencies": [{"name": "hansa-kernel", "kind": "dev"}]},
            {"name": "hansa-common", "dependencies": []},
        ]});
        assert_eq!(
            forbidden(&metadata),
            [
                "hansa-schedulers must not see hansa-kernel",
                "crate hansa-common is not in xtask/src/arrows.rs: decide what it may see"
            ]
        );
    }
}
