//! Removes images that nobody holds, those first that were used longest ago.

use super::{Index, Store, remove_any};
use crate::digest::Digest;
use crate::unpack::at;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// The images' names, or digests of those without.
    pub images: Vec<String>,
    /// Bytes of files that are gone with them.
    pub bytes: u64,
}

impl Store {
    /// Removes every image that nobody holds but those of these names, and layers that belong to none. Blocks.
    pub(crate) fn prune(&self, but: &BTreeSet<String>) -> Removed {
        self.collect(but, |_| true)
    }

    /// If the disk is fuller than `high` (in percent), removes images until it is not fuller than `low`, or none is left
    /// that nobody holds. Blocks.
    pub(crate) fn relieve(&self, high: u64, low: u64) -> Removed {
        match self.used_percent() {
            Ok(used) if used > high => {
                self.collect(&BTreeSet::new(), |store| store.used_percent().is_ok_and(|used| used > low))
            }
            _ => Removed::default(),
        }
    }

    /// Removes images until so many bytes are free or none is left that nobody holds. Blocks.
    pub(crate) fn make_room(&self, bytes: u64, inodes: u64) -> Removed {
        self.collect(&BTreeSet::new(), |store| {
            store.free().is_ok_and(|(free, nodes)| free < bytes || nodes < inodes)
        })
    }

    fn collect(&self, but: &BTreeSet<String>, wanted: impl Fn(&Self) -> bool) -> Removed {
        let mut removed = Removed::default();
        // Layers of nothing first, as nobody misses them.
        if wanted(self) {
            self.drop_layers(|_| None, &mut removed);
        }
        while wanted(self) && self.drop_layers(|index| oldest(index, but), &mut removed) {}
        removed
    }

    /// Removes the image chosen, if one is, and then all layers that belong to nothing any more. Whether an image was.
    fn drop_layers(&self, choose: impl Fn(&Index) -> Option<Digest>, removed: &mut Removed) -> bool {
        let mut index = self.index();
        let image = choose(&index).and_then(|digest| index.images.remove(&digest));
        if let Some(image) = &image {
            if let Err(error) = remove_any(&self.image_path(&image.digest)) {
                tracing::error!(%error, image = %image.digest, "cannot remove an image's record");
            }
            let names: Vec<&str> = image.references.iter().map(String::as_str).collect();
            removed.images.push(if names.is_empty() { image.digest.to_string() } else { names.join(" ") });
        }
        let of_images = index.images.values().flat_map(|image| &image.layers);
        let wanted: BTreeSet<Digest> =
            of_images.chain(index.holds.values().flat_map(|hold| &hold.layers)).cloned().collect();
        let gone: Vec<Digest> =
            index.layers.keys().filter(|chain| !wanted.contains(chain)).cloned().collect();
        let mut trash = Vec::new();
        for chain in gone {
            match self.put_aside(&chain) {
                Ok(path) => {
                    trash.push(path);
                    removed.bytes += index.layers.remove(&chain).map_or(0, |record| record.bytes);
                }
                Err(error) => tracing::error!(%error, layer = %chain, "cannot remove a layer"),
            }
        }
        drop(index);
        for path in trash {
            if let Err(error) = remove_any(&path) {
                tracing::error!(%error, path = %path.display(), "cannot remove a layer");
            }
        }
        image.is_some()
    }

    /// Under its name it is gone at once; its files take their time.
    fn put_aside(&self, chain: &Digest) -> io::Result<PathBuf> {
        let path = self.temporary();
        std::fs::rename(self.layer_dir(chain), &path)?;
        Ok(path)
    }

    /// Free bytes and inodes of the disk.
    pub(crate) fn free(&self) -> io::Result<(u64, u64)> {
        at::free(std::fs::File::open(&self.root)?.as_fd())
    }

    /// How full the disk is, for whoever is not root: what `df` shows.
    fn used_percent(&self) -> io::Result<u64> {
        let dir = std::fs::File::open(&self.root)?;
        let (used, free) = at::used_and_free(dir.as_fd())?;
        Ok(used.saturating_mul(100).checked_div(used.saturating_add(free)).unwrap_or(0))
    }
}

/// The image that nobody holds, that has none of these names, and that was used longest ago.
fn oldest(index: &Index, but: &BTreeSet<String>) -> Option<Digest> {
    let held: BTreeSet<&Digest> = index.holds.values().map(|hold| &hold.image).collect();
    let free = index
        .images
        .values()
        .filter(|image| !held.contains(&image.digest) && image.references.is_disjoint(but));
    free.min_by_key(|image| image.used_at_ms).map(|image| image.digest.clone())
}
