//! What is kept on disk of images and layers. Versioned; new fields get defaults.

use crate::digest::Digest;
use crate::manifest::ImageConfig;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

/// The version of all records.
pub(crate) const VERSION: u32 = 1;

/// `layer.json` beside an unpacked layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerRecord {
    pub(crate) version: u32,
    /// Of the layer and all below it.
    pub(crate) chain: Digest,
    /// Of the layer's archive, uncompressed.
    pub(crate) diff: Digest,
    /// Of all its files.
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
    /// Nothing of the layers below is seen.
    #[serde(default)]
    pub(crate) opaque_root: bool,
    /// Whether owners and whiteouts could be set.
    pub(crate) privileged: bool,
    /// In which boot of the machine it was unpacked.
    pub(crate) boot: String,
    /// Whether all of it is known to be on the disk. Until then it is good in that boot only.
    #[serde(default)]
    pub(crate) synced: bool,
}

/// `images/<digest>.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageRecord {
    pub(crate) version: u32,
    /// Of its manifest.
    pub(crate) digest: Digest,
    /// The names that it was asked for by, in their whole form.
    pub(crate) references: BTreeSet<String>,
    pub(crate) config: ImageConfig,
    /// Their chain ids, the lowest first.
    pub(crate) layers: Vec<Digest>,
    /// Of all layers, compressed.
    pub(crate) pulled_bytes: u64,
    pub(crate) pulled_at_ms: u64,
    #[serde(default)]
    pub(crate) used_at_ms: u64,
}

/// Reads a record; None: it is not there, or not one of this version.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let bytes = std::fs::read(path).ok()?;
    let versioned: Versioned = serde_json::from_slice(&bytes).ok()?;
    if versioned.version != VERSION {
        return None;
    }
    serde_json::from_slice(&bytes).ok()
}

/// Replaces a record in one step. A crash of the machine may lose it, or bring the old one back: what it says is then
/// found out or pulled again.
pub(crate) fn write<T: Serialize>(path: &Path, record: &T) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = std::fs::File::create(&new)?;
    file.write_all(&serde_json::to_vec(record)?)?;
    std::fs::rename(new, path)
}
