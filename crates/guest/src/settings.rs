//! What the runtime tells the guest, in public environment variables. None of it is secret, and none of it is trusted beyond
//! what the evidence measures: a wrong service cannot sign an answer, a wrong session is refused.
//!
//! | Variable | Value |
//! | --- | --- |
//! | `STRONGROOM_SMS_URL` | address of the service |
//! | `STRONGROOM_SMS_KEY_ID` | address of the service's identity key: who may answer |
//! | `STRONGROOM_CHAIN_ID` | chain id, decimal |
//! | `STRONGROOM_HUB` | address of the PoCo hub |
//! | `STRONGROOM_SESSION` | session id of `POST /tee/sessions` |
//! | `STRONGROOM_RELAY_SOCKET` | optional: Unix socket through which the service is reached |
//! | `STRONGROOM_EVIDENCE_SOCKET` | optional: socket of the guest agent, when not at a platform's own path |
//! | `STRONGROOM_COCO_URL` | optional: address of a confidential-containers attestation agent |

use std::path::PathBuf;

use strongroom_client::{Pinned, SourcePaths};
use strongroom_protocol::{SessionId, address};
use url::Url;

use crate::failure::Failure;

/// All settings, parsed.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) sms: Url,
    pub(crate) pinned: Pinned,
    pub(crate) session: SessionId,
    pub(crate) relay: Option<PathBuf>,
    pub(crate) sources: SourcePaths,
}

impl Settings {
    /// Reads the environment, once.
    pub(crate) fn from_environment() -> Result<Self, Failure> {
        #[expect(clippy::disallowed_methods, reason = "the one place where the guest reads its settings")]
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(variable: impl Fn(&'static str) -> Option<String>) -> Result<Self, Failure> {
        let required = |name: &'static str| {
            let missing = || Failure::Setting { name, reason: "is missing; the runtime must set it".to_owned() };
            variable(name).filter(|value| !value.is_empty()).ok_or_else(missing)
        };
        let address_of = |name: &'static str| parsed(name, address::parse_any_case(&required(name)?));
        let mut sources = SourcePaths::default();
        if let Some(socket) = variable("STRONGROOM_EVIDENCE_SOCKET") {
            sources.dstack_sockets = vec![socket.into()];
        }
        if let Some(agent) = variable("STRONGROOM_COCO_URL") {
            sources.coco = Some(parsed("STRONGROOM_COCO_URL", agent.parse())?);
        }
        Ok(Self {
            sms: parsed("STRONGROOM_SMS_URL", required("STRONGROOM_SMS_URL")?.parse())?,
            pinned: Pinned {
                chain_id: parsed("STRONGROOM_CHAIN_ID", required("STRONGROOM_CHAIN_ID")?.parse())?,
                hub: address_of("STRONGROOM_HUB")?,
                sms: address_of("STRONGROOM_SMS_KEY_ID")?,
            },
            session: parsed("STRONGROOM_SESSION", required("STRONGROOM_SESSION")?.parse())?,
            relay: variable("STRONGROOM_RELAY_SOCKET").map(PathBuf::from),
            sources,
        })
    }
}

fn parsed<T, E: std::fmt::Display>(name: &'static str, read: Result<T, E>) -> Result<T, Failure> {
    read.map_err(|error| Failure::Setting { name, reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(name: &str) -> Option<String> {
        let value = match name {
            "STRONGROOM_SMS_URL" => "http://127.0.0.1:13300".to_owned(),
            "STRONGROOM_SMS_KEY_ID" | "STRONGROOM_HUB" => format!("0x{}", "ab".repeat(20)),
            "STRONGROOM_CHAIN_ID" => "31337".to_owned(),
            "STRONGROOM_SESSION" => format!("AbCdEf01230000{}", format_args!("0x{}", "22".repeat(32))),
            _ => return None,
        };
        Some(value)
    }

    #[test]
    fn complete_settings_are_read() {
        let settings = Settings::read(complete).unwrap();
        assert_eq!(settings.pinned.chain_id, 31337);
        assert_eq!(settings.relay, None);
    }

    #[test]
    fn each_missing_or_malformed_setting_is_named() {
        for wanted in [
            "STRONGROOM_SMS_URL",
            "STRONGROOM_SMS_KEY_ID",
            "STRONGROOM_CHAIN_ID",
            "STRONGROOM_HUB",
            "STRONGROOM_SESSION",
        ] {
            for value in [None, Some(String::new()), Some("!".to_owned())] {
                let failure = Settings::read(|name| if name == wanted { value.clone() } else { complete(name) });
                let failure = failure.unwrap_err();
                assert!(failure.to_string().contains(wanted), "{failure}");
                assert_eq!(failure.exit_code(), 78);
            }
        }
    }
}
