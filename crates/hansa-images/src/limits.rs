//! How much of anything an image may have.

/// Limits on images. The defaults let everything through that people really build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a manifest or an index.
    pub manifest_bytes: u64,
    /// Bytes of an image's configuration.
    pub config_bytes: u64,
    /// Layers.
    pub layers: usize,
    /// Compressed bytes of all layers together.
    pub pulled_bytes: u64,
    /// Bytes of files of one layer.
    pub layer_bytes: u64,
    /// Entries of one layer.
    pub entries: u64,
    /// Times that a layer may be larger unpacked than compressed, once it has more than `ratio_from` bytes.
    pub ratio: u64,
    /// See `ratio`.
    pub ratio_from: u64,
    /// Bytes that stay free on the disk, whatever is pulled.
    pub reserve_bytes: u64,
    /// Inodes that stay free on the disk.
    pub reserve_inodes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const GIB: u64 = 1 << 30;
        Self {
            manifest_bytes: 4 << 20,
            config_bytes: 8 << 20,
            layers: 127,
            pulled_bytes: 64 * GIB,
            layer_bytes: 128 * GIB,
            entries: 4_000_000,
            ratio: 200,
            ratio_from: GIB,
            reserve_bytes: GIB,
            reserve_inodes: 10_000,
        }
    }
}
