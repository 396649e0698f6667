//! How much of a stranger's image we are willing to read, write and remember.

/// Bounds on an image. Whatever exceeds one is refused, and nothing of the image stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Size of an index, a manifest or a configuration.
    pub manifest_bytes: u64,
    /// Number of layers.
    pub layers: usize,
    /// Size of all layers as they are stored and transferred.
    pub layer_bytes: u64,
    /// Size of all layers after decompression: what a small compressed file may grow to.
    pub unpacked_bytes: u64,
    /// Files, folders and links in all layers together.
    pub entries: u64,
    /// Length of one path.
    pub path_bytes: usize,
    /// Length of all paths of one layer together; they are remembered while it is unpacked.
    pub all_paths_bytes: usize,
    /// Architecture of the machine that will run it, as Go names it.
    pub architecture: String,
}

impl Default for Bounds {
    /// 4 MiB manifests, 128 layers, 8 GiB compressed, 16 GiB unpacked, a million entries, paths of 4096 bytes and 128 MiB of them,
    /// this machine's architecture.
    fn default() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self {
            manifest_bytes: 4 << 20,
            layers: 128,
            layer_bytes: 8 << 30,
            unpacked_bytes: 16 << 30,
            entries: 1_000_000,
            path_bytes: 4096,
            all_paths_bytes: 128 << 20,
            architecture: architecture.to_owned(),
        }
    }
}
