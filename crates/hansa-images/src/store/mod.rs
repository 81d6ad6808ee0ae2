//! Where images lie: unpacked layers by content, records of images, and who holds what.
//!
//! ```text
//! layers/<chain id>/fs          an unpacked layer; never changed once it is there
//! layers/<chain id>/layer.json  what it is
//! images/<digest>.json          an image: its names, its configuration, its layers
//! tmp/                          half-made and half-removed things; swept at the start
//! ```
//!
//! Invariants: a layer appears under its name by a rename, whole; one that somebody holds ([`Lease`]) is not removed; the
//! index in memory is what counts, and what is not in it is not on the disk under a layer's name.

mod collect;
mod record;

pub use collect::Removed;
pub(crate) use record::{ImageRecord, LayerRecord, VERSION};

use crate::digest::Digest;
use crate::failure::{Failure, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

/// All images of one agent.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    boot: String,
    /// Whether layers can be unpacked as containers need them.
    privileged: bool,
    next: AtomicU64,
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
struct Index {
    images: BTreeMap<Digest, ImageRecord>,
    layers: BTreeMap<Digest, LayerRecord>,
    holds: BTreeMap<u64, Hold>,
}

#[derive(Debug)]
struct Hold {
    holder: String,
    image: Digest,
    layers: Vec<Digest>,
}

/// Keeps an image's layers from being removed, as long as it lives.
#[derive(Debug)]
pub struct Lease {
    store: Arc<Store>,
    number: u64,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut index = self.store.index();
        if let Some(hold) = index.holds.remove(&self.number)
            && let Some(image) = index.images.get_mut(&hold.image)
        {
            // The order of use is all that it is for; a crash may lose it.
            image.used_at_ms = now_ms();
        }
    }
}

/// An image as `list` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Of its manifest.
    pub digest: Digest,
    /// Its names in their whole form; none: another image has taken them over.
    pub references: Vec<String>,
    /// Bytes of its files on the disk; layers that it shares with others count for each.
    pub bytes: u64,
    /// Bytes that came over the network.
    pub pulled_bytes: u64,
    /// How many layers it has.
    pub layers: usize,
    /// Milliseconds since 1970.
    pub pulled_at_ms: u64,
    /// When it was last taken or given back; milliseconds since 1970.
    pub used_at_ms: u64,
    /// Who holds it now, in the words of whoever took it.
    pub used_by: Vec<String>,
}

impl Store {
    /// Opens a store, making it if need be, and removes what an earlier life left half-made or a crash of the machine may
    /// have damaged.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        // SAFETY: no memory is passed.
        let privileged = unsafe { libc::geteuid() } == 0 && may_make_whiteouts();
        let boot =
            fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
        let store = Self {
            root: root.to_owned(),
            boot,
            privileged,
            next: AtomicU64::new(1),
            index: Mutex::default(),
        };
        for dir in ["layers", "images", "tmp"] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(root.join(dir))?;
        }
        for entry in fs::read_dir(store.root.join("tmp"))? {
            remove_any(&entry?.path())?;
        }
        store.read_layers()?;
        store.read_images()?;
        Ok(store)
    }

    fn read_layers(&self) -> io::Result<()> {
        let mut index = self.index();
        for entry in fs::read_dir(self.root.join("layers"))? {
            let path = entry?.path();
            let record: Option<LayerRecord> = record::read(&path.join("layer.json"));
            let good = record.filter(|record| {
                let is_here = path.file_name().is_some_and(|name| name == record.chain.short());
                is_here && record.privileged == self.privileged && (record.synced || record.boot == self.boot)
            });
            match good {
                Some(record) => drop(index.layers.insert(record.chain.clone(), record)),
                None => {
                    tracing::warn!(path = %path.display(), "removing a layer that is incomplete or not ours");
                    remove_any(&path)?;
                }
            }
        }
        Ok(())
    }

    fn read_images(&self) -> io::Result<()> {
        let mut index = self.index();
        for entry in fs::read_dir(self.root.join("images"))? {
            let path = entry?.path();
            let record: Option<ImageRecord> = record::read(&path);
            let whole =
                |record: &ImageRecord| record.layers.iter().all(|chain| index.layers.contains_key(chain));
            match record.filter(whole) {
                Some(record) => drop(index.images.insert(record.digest.clone(), record)),
                None => remove_any(&path)?,
            }
        }
        Ok(())
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn privileged(&self) -> bool {
        self.privileged
    }

    /// A path that nothing has yet, in the place for half-made things.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.root.join("tmp").join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }

    fn layer_dir(&self, chain: &Digest) -> PathBuf {
        self.root.join("layers").join(chain.short())
    }

    fn image_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("images").join(digest.short()).with_extension("json")
    }

    /// The unpacked layers' directories, the uppermost first; None: not all are there. Layers that are hidden whole are
    /// left out.
    pub(crate) fn layer_paths(&self, chains: &[Digest]) -> Option<Vec<PathBuf>> {
        let index = self.index();
        let mut paths = Vec::new();
        for chain in chains.iter().rev() {
            let record = index.layers.get(chain)?;
            paths.push(self.layer_dir(chain).join("fs"));
            if record.opaque_root {
                break;
            }
        }
        Some(paths)
    }

    pub(crate) fn has_layer(&self, chain: &Digest) -> bool {
        self.index().layers.contains_key(chain)
    }

    /// Puts an unpacked layer (`fs` in the directory `from`) in its place.
    pub(crate) fn add_layer(&self, from: &Path, mut record: LayerRecord) -> Result<()> {
        record.boot.clone_from(&self.boot);
        record.privileged = self.privileged;
        let failed = |error: io::Error| Failure::io("cannot keep a layer", &error);
        record::write(&from.join("layer.json"), &record).map_err(failed)?;
        let mut index = self.index();
        let place = self.layer_dir(&record.chain);
        if index.layers.contains_key(&record.chain) {
            return Ok(());
        }
        if let Some(other) = index.layers.keys().find(|other| other.short() == record.chain.short()) {
            return Err(Failure::refused(format!(
                "layers {other} and {} cannot be told apart",
                record.chain
            )));
        }
        fs::rename(from, place).map_err(failed)?;
        index.layers.insert(record.chain.clone(), record);
        Ok(())
    }

    /// Waits until all layers are on the disk, and writes that down: from then on they outlive a crash of the machine.
    /// Blocks.
    pub(crate) fn sync(&self) {
        let unsynced: Vec<LayerRecord> =
            self.index().layers.values().filter(|record| !record.synced).cloned().collect();
        if unsynced.is_empty() {
            return;
        }
        let Ok(dir) = fs::File::open(&self.root) else { return };
        // SAFETY: no memory is passed.
        if unsafe { libc::syncfs(dir.as_fd().as_raw_fd()) } != 0 {
            return;
        }
        for mut record in unsynced {
            record.synced = true;
            let path = self.layer_dir(&record.chain).join("layer.json");
            let mut index = self.index();
            // It may have been removed meanwhile.
            if let Some(known) = index.layers.get_mut(&record.chain)
                && record::write(&path, &record).is_ok()
            {
                known.synced = true;
            }
        }
    }

    /// Remembers an image, and that this name means it. Other images lose the name.
    pub(crate) fn add_image(&self, mut image: ImageRecord, reference: &str) -> Result<()> {
        let failed = |error: io::Error| Failure::io("cannot keep the image's record", &error);
        let mut index = self.index();
        if let Some(known) = index.images.get(&image.digest) {
            image.references.extend(known.references.iter().cloned());
        }
        image.references.insert(reference.to_owned());
        image.used_at_ms = now_ms();
        record::write(&self.image_path(&image.digest), &image).map_err(failed)?;
        for other in index.images.values_mut().filter(|other| other.digest != image.digest) {
            if other.references.remove(reference) {
                record::write(&self.image_path(&other.digest), other).map_err(failed)?;
            }
        }
        index.images.insert(image.digest.clone(), image);
        Ok(())
    }

    /// The image that a name means.
    pub(crate) fn image_of(&self, reference: &str) -> Option<ImageRecord> {
        self.index().images.values().find(|image| image.references.contains(reference)).cloned()
    }

    pub(crate) fn image(&self, digest: &Digest) -> Option<ImageRecord> {
        self.index().images.get(digest).cloned()
    }

    /// Keeps layers from being removed, whether they are there already or not. The holder is for people to read; empty:
    /// nobody of interest.
    pub(crate) fn hold(self: &Arc<Self>, holder: &str, image: &Digest, layers: &[Digest]) -> Lease {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let hold = Hold { holder: holder.to_owned(), image: image.clone(), layers: layers.to_vec() };
        let mut index = self.index();
        index.holds.insert(number, hold);
        if let Some(image) = index.images.get_mut(image) {
            image.used_at_ms = now_ms();
            // Only the order of use is lost if this is.
            let _ = record::write(&self.image_path(&image.digest), image);
        }
        Lease { store: self.clone(), number }
    }

    /// All images, the one used last first.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let index = self.index();
        let mut all: Vec<Listed> = index
            .images
            .values()
            .map(|image| {
                let holds = index.holds.values().filter(|hold| hold.image == image.digest);
                let used_by: BTreeSet<&str> =
                    holds.map(|hold| hold.holder.as_str()).filter(|holder| !holder.is_empty()).collect();
                Listed {
                    digest: image.digest.clone(),
                    references: image.references.iter().cloned().collect(),
                    bytes: image
                        .layers
                        .iter()
                        .filter_map(|chain| index.layers.get(chain))
                        .map(|l| l.bytes)
                        .sum(),
                    pulled_bytes: image.pulled_bytes,
                    layers: image.layers.len(),
                    pulled_at_ms: image.pulled_at_ms,
                    used_at_ms: image.used_at_ms,
                    used_by: used_by.into_iter().map(str::to_owned).collect(),
                }
            })
            .collect();
        all.sort_by(|a, b| b.used_at_ms.cmp(&a.used_at_ms).then_with(|| a.digest.cmp(&b.digest)));
        all
    }
}

/// Root in a container may lack what is needed.
fn may_make_whiteouts() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    const SYS_ADMIN: u32 = 21;
    const MKNOD: u32 = 27;
    set & (1 << SYS_ADMIN) != 0 && set & (1 << MKNOD) != 0
}

/// Removes a file or a directory with everything in it.
pub(crate) fn remove_any(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(data) if data.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
