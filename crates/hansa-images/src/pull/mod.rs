//! Pulls one image: manifest, configuration, then all missing layers side by side, each unpacked while it comes.

mod download;
mod progress;

pub(crate) use progress::Progress;

use crate::digest::Digest;
use crate::failure::{Failure, Kind, Result};
use crate::images::Shared;
use crate::limits::Limits;
use crate::lower::Lower;
use crate::manifest::{self, Configuration, Descriptor, Document, Manifest};
use crate::reference::{Reference, Version};
use crate::registry::{Logins, Repository};
use crate::store::{ImageRecord, LayerRecord, Lease, Store, VERSION, now_ms, remove_any};
use crate::unpack::{self, Orders, UnpackError, Unpacked, at};
use futures_util::future::try_join_all;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Attempts at anything that may work a moment later.
const ATTEMPTS: u32 = 5;

/// Pulls an image, unless all of it is there; gives its digest, and what keeps it until whoever wants it holds it.
pub(crate) async fn pull(
    shared: &Arc<Shared>,
    reference: &Reference,
    logins: &Logins,
    progress: &Arc<Progress>,
    cancelled: &Arc<AtomicBool>,
) -> Result<(Digest, Lease)> {
    let (store, limits) = (&shared.store, &shared.settings.limits);
    let repository = Arc::new(Repository::new(shared.http.clone(), reference, logins));
    let again = Again { pause: shared.settings.retry_pause };
    let (digest, manifest) = find_manifest(&repository, reference, limits, &again).await?;
    if let Some(known) = store.image(&digest) {
        let lease = store.hold("", &digest, &known.layers);
        if store.layer_paths(&known.layers).is_some() {
            store.add_image(known, &reference.to_string())?;
            return Ok((digest, lease));
        }
    }
    let (config, most) = (&manifest.config, limits.config_bytes);
    let bytes = again.and_again(|| repository.small_blob(&config.digest, most)).await?;
    let configuration = Configuration::parse(&bytes, manifest.layers.len())?;
    let chains = chain_ids(configuration.diff_ids());
    let image = ImageRecord {
        version: VERSION,
        digest: digest.clone(),
        references: Default::default(),
        config: configuration.config.clone(),
        layers: chains.clone(),
        pulled_bytes: manifest.layers.iter().map(|layer| layer.size).sum(),
        pulled_at_ms: now_ms(),
        used_at_ms: now_ms(),
    };
    // From now on nothing of it is collected.
    let lease = store.hold("", &digest, &chains);
    let missing = manifest.layers.iter().zip(&chains).filter(|(_, chain)| !store.has_layer(chain));
    progress.begin(missing.map(|(layer, _)| layer.size).sum());

    // Each layer waits for the one below before it takes its place, as directories that it does not describe look as
    // they do below.
    let mut below = None;
    let mut pulls = Vec::new();
    for (at, layer) in manifest.layers.iter().enumerate() {
        let (done, next) = watch::channel(false);
        let job = Job {
            shared: shared.clone(),
            repository: repository.clone(),
            layer: layer.clone(),
            diff: configuration.diff_ids()[at].clone(),
            chain: chains[at].clone(),
            below: chains[..at].to_vec(),
            progress: progress.clone(),
            cancelled: cancelled.clone(),
        };
        pulls.push(job.run(below.replace(next), done));
    }
    try_join_all(pulls).await?;
    store.add_image(image, &reference.to_string())?;
    Ok((digest, lease))
}

async fn find_manifest(
    repository: &Repository,
    reference: &Reference,
    limits: &Limits,
    again: &Again,
) -> Result<(Digest, Manifest)> {
    let mut version = reference.version.clone();
    // An index leads to a manifest, and to nothing else.
    for _ in 0..2 {
        let (bytes, digest) = again.and_again(|| repository.manifest(&version, limits)).await?;
        match manifest::parse(&bytes, limits)? {
            Document::Manifest(manifest) => return Ok((digest, manifest)),
            Document::Index(chosen) => version = Version::Digest(chosen),
        }
    }
    Err(Failure::refused("its index leads to another index"))
}

/// By which a layer is known together with all below it.
fn chain_ids(diffs: &[Digest]) -> Vec<Digest> {
    let mut chains: Vec<Digest> = Vec::new();
    for diff in diffs {
        chains.push(match chains.last() {
            None => diff.clone(),
            Some(below) => Digest::of(format!("{below} {diff}").as_bytes()),
        });
    }
    chains
}

/// Tries what may work a moment later, with growing pauses.
pub(crate) struct Again {
    pub(crate) pause: Duration,
}

impl Again {
    async fn and_again<T, F: Future<Output = Result<T>>>(&self, mut once: impl FnMut() -> F) -> Result<T> {
        let mut attempt = 1;
        loop {
            match once().await {
                Err(failure) if failure.transient && attempt < ATTEMPTS => {
                    self.wait(attempt).await;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    pub(crate) async fn wait(&self, attempt: u32) {
        tokio::time::sleep(self.pause * 2u32.saturating_pow(attempt - 1)).await;
    }
}

/// One layer.
struct Job {
    shared: Arc<Shared>,
    repository: Arc<Repository>,
    layer: Descriptor,
    diff: Digest,
    chain: Digest,
    /// The chain ids of all layers below, the lowest first.
    below: Vec<Digest>,
    progress: Arc<Progress>,
    cancelled: Arc<AtomicBool>,
}

impl Job {
    /// `below` turns true when the layer below is in place; `done` is made so when this one is.
    async fn run(self, below: Option<watch::Receiver<bool>>, done: watch::Sender<bool>) -> Result<()> {
        // Another image's pull may be at the same layer.
        let lock = self.shared.layer_lock(&self.chain);
        let _locked = lock.lock().await;
        if !self.shared.store.has_layer(&self.chain) {
            let made = {
                let _turn = self.shared.downloads.acquire().await;
                self.fetch().await?
            };
            if let Some(mut below) = below
                && below.wait_for(|done| *done).await.is_err()
            {
                // The one below failed, and says why.
                return Err(Failure::cancelled());
            }
            let (shared, chain, lower) = (self.shared.clone(), self.chain.clone(), self.below.clone());
            blocking(move || made.keep(&shared.store, chain, &lower)).await?;
        } else {
            self.progress.skip(self.layer.size);
        }
        let _ = done.send(true);
        Ok(())
    }

    /// Downloads and unpacks at the same time.
    async fn fetch(&self) -> Result<Made> {
        let made = {
            let store = self.shared.store.clone();
            let (inodes, bytes) = (self.shared.settings.limits.reserve_inodes, self.room());
            blocking(move || {
                let (free, nodes) =
                    store.free().map_err(|error| Failure::io("cannot ask the disk", &error))?;
                if free < bytes || nodes < inodes {
                    store.make_room(bytes, inodes);
                }
                Made::begin(&store)
            })
            .await?
        };
        let (feed, source) = download::pipe(self.cancelled.clone());
        let unpacking = {
            let settings = self.shared.settings.clone();
            let (cancelled, size, privileged) =
                (self.cancelled.clone(), self.layer.size, self.shared.store.privileged());
            let (digest, diff) = (self.layer.digest.clone(), self.diff.clone());
            tokio::task::spawn_blocking(move || {
                let orders =
                    Orders { limits: &settings.limits, compressed: size, privileged, cancelled: &cancelled };
                made.fill(source, &orders, &digest, &diff)
            })
        };
        let stop = StopOnDrop(self.cancelled.clone());
        let again = Again { pause: self.shared.settings.retry_pause };
        let downloaded =
            download::download(&self.repository, &self.layer, &feed, &again, &self.progress).await;
        drop(feed);
        let unpacked =
            unpacking.await.unwrap_or_else(|error| Err(Failure::new(Kind::Machine, error.to_string())));
        stop.disarm();
        // What went wrong first is what counts: a source that breaks off breaks the unpacking, too.
        downloaded.and(unpacked)
    }

    /// What the disk should have before it begins: the layer will be about three times its size.
    fn room(&self) -> u64 {
        self.layer.size.saturating_mul(3).saturating_add(self.shared.settings.limits.reserve_bytes)
    }
}

/// If the pull is dropped, its threads are to end, too.
struct StopOnDrop(Arc<AtomicBool>);

impl StopOnDrop {
    fn disarm(self) {
        std::mem::forget(self);
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A layer that is not in its place yet; removed when dropped.
struct Made {
    path: PathBuf,
    diff: Digest,
    unpacked: Option<Unpacked>,
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Err(error) = remove_any(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove a half-made layer");
        }
    }
}

impl Made {
    fn begin(store: &Store) -> Result<Self> {
        let path = store.temporary();
        std::fs::create_dir(&path)
            .and_then(|()| std::fs::create_dir(path.join("fs")))
            .map_err(|error| Failure::io(format!("cannot make {}", path.display()), &error))?;
        Ok(Self { path, diff: Digest::of(b""), unpacked: None })
    }

    fn fill(
        mut self,
        source: download::Source,
        orders: &Orders<'_>,
        layer: &Digest,
        diff: &Digest,
    ) -> Result<Self> {
        let failed = |error: io::Error| Failure::io("cannot unpack", &error);
        let root = std::fs::File::open(self.path.join("fs")).map_err(failed)?;
        let (source, check) = source.split();
        let unpacked = match unpack::unpack(source, root.into(), orders) {
            Ok(unpacked) => {
                check.digest(layer)?;
                unpacked
            }
            // Damage on the way looks like a bad archive; whose fault it is the digest tells.
            Err(error @ UnpackError::Tar(_)) => {
                return Err(check.digest(layer).err().unwrap_or_else(|| error.failure(layer)));
            }
            Err(error) => return Err(error.failure(layer)),
        };
        if unpacked.diff_id != *diff {
            return Err(crate::registry::corrupt(
                &format!("layer {layer}, unpacked,"),
                diff,
                &unpacked.diff_id,
            ));
        }
        if unpacked.devices > 0 {
            tracing::debug!(%layer, devices = unpacked.devices, "device nodes of a layer were left out");
        }
        self.diff = unpacked.diff_id.clone();
        self.unpacked = Some(unpacked);
        Ok(self)
    }

    /// Puts it in its place.
    fn keep(self, store: &Store, chain: Digest, below: &[Digest]) -> Result<()> {
        let Some(unpacked) = &self.unpacked else {
            return Err(Failure::new(Kind::Machine, "a layer was not unpacked"));
        };
        let lower = store.layer_paths(below).unwrap_or_default();
        let dressed = dress_implied(&self.path.join("fs"), unpacked, &lower, store.privileged());
        dressed.map_err(|error| Failure::io("cannot finish a layer", &error))?;
        let record = LayerRecord {
            version: VERSION,
            chain,
            diff: self.diff.clone(),
            bytes: unpacked.bytes,
            entries: unpacked.entries,
            opaque_root: unpacked.opaque_root,
            privileged: store.privileged(),
            boot: String::new(),
            synced: false,
        };
        store.add_layer(&self.path, record)
    }
}

/// Directories that the layer has but does not describe look as those below: otherwise a file in `/tmp` would change who
/// may write there.
fn dress_implied(root: &Path, unpacked: &Unpacked, lower: &[PathBuf], privileged: bool) -> io::Result<()> {
    let lower = Lower::open(lower)?;
    let top = std::fs::File::open(root)?;
    for path in unpacked.implied.iter().rev() {
        let mut dir: std::os::fd::OwnedFd = top.try_clone()?.into();
        for part in path.parts() {
            dir = at::open_dir(dir.as_fd(), part)?;
        }
        let (mode, owner, mtime) = match lower.dir(path.parts())? {
            Some(like) => {
                let mtime = (like.st_mtime, u32::try_from(like.st_mtime_nsec).unwrap_or(0));
                (like.st_mode & 0o7777, Some((like.st_uid, like.st_gid)), Some(mtime))
            }
            None => (0o755, None, None),
        };
        if let Some((uid, gid)) = owner.filter(|_| privileged) {
            at::fchown(dir.as_fd(), uid, gid)?;
        }
        at::fchmod(dir.as_fd(), mode)?;
        if let Some(mtime) = mtime {
            at::fset_mtime(dir.as_fd(), mtime)?;
        }
    }
    Ok(())
}

/// On a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Failure::new(Kind::Machine, error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_those_of_the_specification() {
        let diffs = [Digest::of(b"a"), Digest::of(b"b"), Digest::of(b"c")];
        let chains = chain_ids(&diffs);
        assert_eq!(chains[0], diffs[0]);
        assert_eq!(chains[1], Digest::of(format!("{} {}", diffs[0], diffs[1]).as_bytes()));
        assert_eq!(chains[2], Digest::of(format!("{} {}", chains[1], diffs[2]).as_bytes()));
    }
}
