//! What makes a service believe simulated evidence, as files: the roots of the simulator, its endorsements, and the images of
//! guests that are approved. For local networks only; nothing that is released to simulated enclaves is protected.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Serialize;
use strongroom_attest::EvidenceKind;
use strongroom_protocol::UnixSeconds;
use strongroom_simulator::{Simulator, TdxMeasured, files};

/// Where the files are.
#[derive(Clone, Debug)]
pub struct SimulatedTrust {
    /// Folder of the root certificates.
    pub roots: PathBuf,
    /// Folder of endorsements.
    pub endorsements: PathBuf,
    /// The approved images (TOML).
    pub images: PathBuf,
}

#[derive(Serialize)]
struct Images {
    images: Vec<Image>,
}

#[derive(Serialize)]
struct Image {
    name: String,
    mrtd: String,
    rtmr0: Vec<String>,
    rtmr1: String,
    rtmr2: String,
}

impl SimulatedTrust {
    /// Writes the files into `folder`: endorsements that are current at `now`, and these images, by name, as the approved ones.
    pub fn write(
        folder: &Path,
        simulator: &Simulator,
        approved: &[(&str, &TdxMeasured)],
        now: UnixSeconds,
    ) -> io::Result<Self> {
        let trust = Self {
            roots: folder.join("roots"),
            endorsements: folder.join("endorsements"),
            images: folder.join("images.toml"),
        };
        files::write_roots(simulator, &trust.roots)?;
        fs::create_dir_all(&trust.endorsements)?;
        let set = files::intel_set(simulator, EvidenceKind::Tdx, now);
        fs::write(trust.endorsements.join("simulated.json"), set.to_string())?;
        let images = Images { images: approved.iter().map(|(name, measured)| image(name, measured)).collect() };
        fs::write(&trust.images, toml::to_string(&images).map_err(io::Error::other)?)?;
        Ok(trust)
    }
}

fn image(name: &str, measured: &TdxMeasured) -> Image {
    let [rtmr0, rtmr1, rtmr2, _] = measured.log.registers().map(hex::encode);
    Image { name: name.to_owned(), mrtd: hex::encode(measured.mrtd), rtmr0: vec![rtmr0], rtmr1, rtmr2 }
}
