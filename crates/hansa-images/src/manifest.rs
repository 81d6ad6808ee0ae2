//! What registries say of images: indexes, manifests, configurations; OCI's and Docker's, which differ in names only.

use crate::digest::Digest;
use crate::failure::{Failure, Kind, Result};
use crate::limits::Limits;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// Every form of manifest that is understood, for the `Accept` header.
pub(crate) const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// A piece of content: what it is called and how large it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Platform {
    architecture: String,
    os: String,
    variant: String,
}

/// One image: its configuration and its layers, the lowest first.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

/// What a manifest's bytes turned out to be.
#[derive(Debug)]
pub(crate) enum Document {
    Manifest(Manifest),
    /// The digest of the manifest for this machine.
    Index(Digest),
}

/// Both forms' fields.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

/// Reads a manifest or an index.
pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Document> {
    let raw: Raw = serde_json::from_slice(bytes)
        .map_err(|error| Failure::refused(format!("its manifest is not understood: {error}")))?;
    if raw.schema_version != 2 {
        return Err(Failure::refused(format!("its manifest has version {}, not 2", raw.schema_version))
            .remedy("push it again with a current tool"));
    }
    match (raw.config, raw.layers, raw.manifests) {
        (None, None, Some(manifests)) => choose(&manifests).map(Document::Index),
        (Some(config), Some(layers), None) => {
            check(&config, &layers, limits)?;
            Ok(Document::Manifest(Manifest { config, layers }))
        }
        _ => Err(Failure::refused(format!(
            "its manifest is neither an image nor an index: {:?}",
            raw.media_type
        ))),
    }
}

fn check(config: &Descriptor, layers: &[Descriptor], limits: &Limits) -> Result<()> {
    if config.size > limits.config_bytes {
        return Err(Failure::refused(format!("its configuration has {} bytes", config.size)));
    }
    if layers.is_empty() {
        return Err(Failure::refused("it has no layers, so there is nothing to run"));
    }
    if layers.len() > limits.layers {
        return Err(Failure::refused(format!("it has {} layers, more than {}", layers.len(), limits.layers))
            .remedy("squash it"));
    }
    let whole = layers.iter().try_fold(0u64, |sum, layer| sum.checked_add(layer.size));
    if whole.is_none_or(|whole| whole > limits.pulled_bytes) {
        return Err(Failure::refused(format!("its layers have more than {} bytes", limits.pulled_bytes)));
    }
    for layer in layers {
        let kind = layer.media_type.as_str();
        if kind.contains("nondistributable") || kind.contains("foreign") {
            return Err(Failure::refused(format!("layer {} must not be distributed ({kind})", layer.digest)));
        }
        if kind.contains("encrypted") || !kind.is_empty() && !kind.contains("tar") {
            return Err(Failure::refused(format!(
                "layer {} is of a sort that is not supported: {kind}",
                layer.digest
            )));
        }
    }
    Ok(())
}

/// The manifest for this machine.
fn choose(manifests: &[Descriptor]) -> Result<Digest> {
    let own = architecture();
    let rank = |platform: &Platform| match platform.variant.as_str() {
        "" => 0,
        // What every machine of the architecture runs.
        "v1" | "v8" => 1,
        _ => 2,
    };
    let fitting = manifests.iter().filter_map(|manifest| {
        let platform = manifest.platform.as_ref()?;
        (platform.os == "linux" && platform.architecture == own).then_some((rank(platform), manifest))
    });
    match fitting.min_by_key(|(rank, _)| *rank) {
        Some((_, manifest)) => Ok(manifest.digest.clone()),
        None => {
            let mut names: Vec<String> = manifests
                .iter()
                .filter_map(|manifest| manifest.platform.as_ref())
                // Attestations are listed as images for nothing.
                .filter(|platform| platform.os != "unknown")
                .map(|platform| format!("{}/{}", platform.os, platform.architecture))
                .collect();
            names.sort();
            names.dedup();
            Err(wrong_platform(&names.join(", ")))
        }
    }
}

fn wrong_platform(there: &str) -> Failure {
    let there = if there.is_empty() { "nothing" } else { there };
    Failure::new(Kind::Platform, format!("it is for {there}, not for linux/{}", architecture()))
        .remedy("use an image for this machine, or constrain the service to machines that it is for")
}

/// This machine's architecture, as Go (and so every registry) calls it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// What an image says of how it wants to be run. Kept on disk with the image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// What every command line begins with.
    #[serde(rename = "Entrypoint", deserialize_with = "or_default")]
    pub entrypoint: Vec<String>,
    /// The rest of it, unless the user says otherwise.
    #[serde(rename = "Cmd", deserialize_with = "or_default")]
    pub cmd: Vec<String>,
    /// `NAME=VALUE`.
    #[serde(rename = "Env", deserialize_with = "or_default")]
    pub env: Vec<String>,
    /// `user`, `uid`, `user:group`…; empty: root.
    #[serde(rename = "User", deserialize_with = "or_default")]
    pub user: String,
    /// Empty: `/`.
    #[serde(rename = "WorkingDir", deserialize_with = "or_default")]
    pub working_dir: String,
    /// Directories whose content is not the image's affair.
    #[serde(rename = "Volumes", deserialize_with = "or_default")]
    pub volumes: BTreeMap<String, serde_json::Value>,
    /// `SIGQUIT` or a number; empty: SIGTERM.
    #[serde(rename = "StopSignal", deserialize_with = "or_default")]
    pub stop_signal: String,
}

/// Builders write `null` for what is empty.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// The parts of a configuration blob that matter here.
#[derive(Debug, Deserialize)]
pub(crate) struct Configuration {
    #[serde(default, deserialize_with = "or_default")]
    architecture: String,
    #[serde(default, deserialize_with = "or_default")]
    os: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) config: ImageConfig,
    rootfs: RootFs,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    #[serde(default, deserialize_with = "or_default")]
    diff_ids: Vec<Digest>,
}

impl Configuration {
    pub(crate) fn parse(bytes: &[u8], layers: usize) -> Result<Self> {
        let found: Self = serde_json::from_slice(bytes)
            .map_err(|error| Failure::refused(format!("its configuration is not understood: {error}")))?;
        let fits = |own: &str, found: &str| found.is_empty() || found == own;
        if !fits("linux", &found.os) || !fits(architecture(), &found.architecture) {
            return Err(wrong_platform(&format!("{}/{}", found.os, found.architecture)));
        }
        if found.rootfs.diff_ids.len() != layers {
            let said = found.rootfs.diff_ids.len();
            return Err(Failure::refused(format!(
                "it has {layers} layers, but its configuration names {said}"
            )));
        }
        Ok(found)
    }

    /// What the layers are uncompressed, the lowest first.
    pub(crate) fn diff_ids(&self) -> &[Digest] {
        &self.rootfs.diff_ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn digest(of: &str) -> String {
        Digest::of(of.as_bytes()).to_string()
    }

    fn read(value: serde_json::Value) -> Result<Document> {
        parse(value.to_string().as_bytes(), &Limits::default())
    }

    #[test]
    fn an_index_leads_to_this_machines_manifest() {
        let platform = |of: &str, os: &str, architecture: &str, variant: &str| {
            json!({"digest": digest(of), "size": 1, "platform":
                {"os": os, "architecture": architecture, "variant": variant}})
        };
        let own = architecture();
        let index = json!({"schemaVersion": 2, "manifests": [
            platform("windows", "windows", own, ""),
            platform("odd", "linux", own, "v3"),
            platform("own", "linux", own, ""),
            platform("unknown", "unknown", "unknown", ""),
        ]});
        assert!(matches!(read(index).unwrap(), Document::Index(found) if found.as_str() == digest("own")));
        let other = json!({"schemaVersion": 2, "manifests": [
            platform("a", "linux", "s390x", ""), platform("u", "unknown", "unknown", "")]});
        let refused = read(other).unwrap_err();
        assert_eq!(refused.kind, Kind::Platform);
        assert_eq!(refused.cause, format!("it is for linux/s390x, not for linux/{own}"));
    }

    #[test]
    fn odd_manifests_are_refused() {
        let layer = |kind: &str, size: u64| json!({"mediaType": kind, "digest": digest("l"), "size": size});
        let image = |layers: serde_json::Value| json!({"schemaVersion": 2, "config": {"digest": digest("c"), "size": 2}, "layers": layers});
        let gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
        assert!(
            matches!(read(image(json!([layer(gzip, 5)]))).unwrap(), Document::Manifest(m) if m.layers.len() == 1)
        );
        for wrong in [
            json!({"schemaVersion": 1, "fsLayers": []}),
            json!({"schemaVersion": 2}),
            json!([]),
            image(json!([])),
            image(json!(vec![layer(gzip, 1); 200])),
            image(json!([layer(gzip, u64::MAX), layer(gzip, u64::MAX)])),
            image(json!([layer("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", 1)])),
            image(json!([layer("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", 1)])),
            image(json!([layer("application/json", 1)])),
            image(json!([{"mediaType": gzip, "digest": "sha256:../x", "size": 1}])),
        ] {
            assert_eq!(read(wrong.clone()).expect_err(&wrong.to_string()).kind, Kind::Refused);
        }
    }

    #[test]
    fn configurations_with_nulls_are_read() {
        let text = json!({"architecture": architecture(), "os": "linux", "rootfs": {"diff_ids": [digest("d")]},
            "config": {"Entrypoint": null, "Cmd": ["sh"], "Env": null, "Volumes": {"/data": {}}}});
        let found = Configuration::parse(text.to_string().as_bytes(), 1).unwrap();
        assert_eq!((found.config.cmd.len(), found.config.entrypoint.len()), (1, 0));
        assert!(found.config.volumes.contains_key("/data"));
        assert!(Configuration::parse(text.to_string().as_bytes(), 2).is_err());
        let text = json!({"architecture": "vax", "os": "linux", "rootfs": {"diff_ids": []}});
        assert_eq!(Configuration::parse(text.to_string().as_bytes(), 0).unwrap_err().kind, Kind::Platform);
    }
}
