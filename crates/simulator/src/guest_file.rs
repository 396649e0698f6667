//! The file in which whoever starts a simulated guest says what is measured.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use strongroom_simulator::agent::SimulatedGuest;
use strongroom_simulator::{AppIdentity, BootEvent, TdxMeasured};

/// All members are optional; bytes are hex.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GuestFile {
    /// Measurement of the virtual firmware.
    #[serde(with = "hex::serde")]
    mrtd: [u8; 48],
    /// Digests extended into registers 0, 1 and 2.
    boot: Option<[Vec<Digest>; 3]>,
    /// Text of the compose file; its hash is measured.
    app_compose: Option<String>,
    /// Hash of the compose file, for those who do not give its text.
    compose_hash: Option<Bytes<32>>,
    app_id: Option<Bytes<20>>,
    instance_id: Option<Bytes<20>>,
    os_image_hash: Option<Bytes<32>>,
    key_provider: Option<String>,
    app_name: String,
    vm_config: String,
}

type Digest = Bytes<48>;

#[derive(Deserialize)]
#[serde(transparent)]
struct Bytes<const N: usize>(#[serde(with = "hex::serde")] [u8; N])
where
    [u8; N]: hex::FromHex<Error = hex::FromHexError>;

impl Default for GuestFile {
    fn default() -> Self {
        Self {
            mrtd: TdxMeasured::default().mrtd,
            boot: None,
            app_compose: None,
            compose_hash: None,
            app_id: None,
            instance_id: None,
            os_image_hash: None,
            key_provider: None,
            app_name: String::new(),
            vm_config: "{}".to_owned(),
        }
    }
}

impl From<GuestFile> for SimulatedGuest {
    fn from(file: GuestFile) -> Self {
        let mut image = TdxMeasured { mrtd: file.mrtd, ..TdxMeasured::default() };
        if let Some(boot) = file.boot {
            image.log.boot =
                boot.map(|digests| digests.into_iter().map(|digest| BootEvent::extended(digest.0)).collect());
        }
        let default = AppIdentity::default();
        let hashed = file.app_compose.as_ref().map(|text| Sha256::digest(text).into());
        let app = AppIdentity {
            compose_hash: file.compose_hash.map(|hash| hash.0).or(hashed).unwrap_or(default.compose_hash),
            app_id: file.app_id.map(|id| id.0),
            instance_id: file.instance_id.map_or(default.instance_id, |id| id.0),
            os_image_hash: file.os_image_hash.map(|hash| hash.0),
            key_provider: file.key_provider.unwrap_or(default.key_provider),
        };
        Self {
            image,
            app,
            app_name: file.app_name,
            app_compose: file.app_compose.unwrap_or_default(),
            vm_config: file.vm_config,
        }
    }
}
