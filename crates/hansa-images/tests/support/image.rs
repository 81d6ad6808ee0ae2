//! Images made by the test itself.

use super::archive::Archive;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;

/// An image as it is pushed: its blobs, and the manifest that names them.
#[derive(Clone)]
pub struct TestImage {
    pub config: Vec<u8>,
    /// Compressed, the lowest first.
    pub layers: Vec<Vec<u8>>,
    pub manifest: Vec<u8>,
}

/// The type of an OCI manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Go's name of this machine's architecture.
pub fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

impl TestImage {
    /// Of these archives, the lowest first, each compressed with gzip.
    pub fn new(config: Value, archives: &[Vec<u8>]) -> Self {
        let diffs: Vec<String> = archives.iter().map(|archive| digest(archive)).collect();
        let layers = archives.iter().map(|archive| gzip(archive)).collect();
        Self::of_blobs(config, &diffs, layers)
    }

    /// Of blobs that are already compressed somehow, and what they are uncompressed.
    pub fn of_blobs(config: Value, diffs: &[String], layers: Vec<Vec<u8>>) -> Self {
        let config = json!({
            "architecture": architecture(), "os": "linux", "config": config,
            "rootfs": {"type": "layers", "diff_ids": diffs},
        })
        .to_string()
        .into_bytes();
        let named: Vec<Value> = layers
            .iter()
            .map(|layer| json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest(layer), "size": layer.len()}))
            .collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(&config), "size": config.len()},
            "layers": named,
        });
        Self { config, layers, manifest: manifest.to_string().into_bytes() }
    }

    /// A system of busybox alone, with the usual directories and users.
    pub fn busybox(config: Value) -> Self {
        Self::new(config, &[busybox_layer()])
    }

    /// All blobs with their digests.
    pub fn blobs(&self) -> impl Iterator<Item = (String, &Vec<u8>)> {
        self.layers.iter().chain([&self.config]).map(|blob| (digest(blob), blob))
    }
}

/// The lowest layer of most images here.
pub fn busybox_layer() -> Vec<u8> {
    let busybox = std::fs::read("/bin/busybox").expect("a static busybox in /bin (package busybox-static)");
    let mut archive = Archive::new();
    for dir in ["bin", "etc", "srv", "var"] {
        archive = archive.dir(dir, 0o755);
    }
    archive = archive.dir("tmp", 0o1777).dir("root", 0o700).program("bin/busybox", &busybox);
    for tool in
        ["sh", "cat", "echo", "env", "grep", "httpd", "id", "ls", "nc", "pwd", "sleep", "stat", "true", "wc"]
    {
        archive = archive.hard_link(&format!("bin/{tool}"), "bin/busybox");
    }
    archive = archive.symlink("bin/ash", "busybox");
    let passwd = b"root:x:0:0:root:/root:/bin/sh\nweb:x:1234:1235::/srv:/bin/sh\n";
    archive.file("etc/passwd", passwd).file("etc/group", b"root:x:0:\nweb:x:1235:\nlog:x:77:web\n").finish()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// `sha256:…`
pub fn digest(bytes: &[u8]) -> String {
    let mut text = "sha256:".to_owned();
    for byte in ring::digest::digest(&ring::digest::SHA256, bytes).as_ref() {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}
