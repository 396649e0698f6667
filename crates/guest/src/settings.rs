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
//! | `STRONGROOM_RELAY` | optional: folder of the relay through which everything is reached |
//! | `STRONGROOM_EVIDENCE_SOCKET` | optional: socket of the guest agent, when not at a platform's own path |
//! | `STRONGROOM_COCO_URL` | optional: address of a confidential-containers attestation agent |
//! | `STRONGROOM_IPFS_GATEWAYS` | optional: addresses of IPFS gateways, with commas between |
//! | `STRONGROOM_APP_SECONDS` | optional: how long the app may run |
//! | `STRONGROOM_APP_ENV` | optional: the image's own variables, a JSON list of `NAME=value` |
//! | `STRONGROOM_APP_WORKDIR` | optional: the image's working folder |
//! | `STRONGROOM_APP_USER` | optional: `uid:gid` of the app; 1000 for each that is absent or 0, which is the guest itself |

use std::path::PathBuf;
use std::time::Duration;

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
    pub(crate) gateways: Vec<Url>,
    pub(crate) app: AppSettings,
}

/// How the app is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AppSettings {
    /// How long it may run; `None` for as long as it likes.
    pub(crate) limit: Option<Duration>,
    /// The image's variables, `NAME=value` each.
    pub(crate) env: Vec<String>,
    /// The image's working folder; empty for `/`.
    pub(crate) working_folder: String,
    /// User and group, neither of them the guest's own.
    pub(crate) user: (u32, u32),
}

impl Settings {
    /// Reads the environment, once.
    pub(crate) fn from_environment() -> Result<Self, Failure> {
        #[expect(clippy::disallowed_methods, reason = "the one place where the guest reads its settings")]
        Self::read(|name| std::env::var(name).ok())
    }

    /// What the app must not reach: the ways out, and whoever makes evidence.
    pub(crate) fn for_the_guest_alone(&self) -> impl Iterator<Item = &PathBuf> {
        self.relay.iter().chain(&self.sources.dstack_sockets)
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
            relay: variable("STRONGROOM_RELAY").map(PathBuf::from),
            sources,
            gateways: variable("STRONGROOM_IPFS_GATEWAYS")
                .unwrap_or_default()
                .split(',')
                .filter(|gateway| !gateway.is_empty())
                .map(|gateway| parsed("STRONGROOM_IPFS_GATEWAYS", gateway.parse()))
                .collect::<Result<_, _>>()?,
            app: AppSettings {
                limit: variable("STRONGROOM_APP_SECONDS")
                    .map(|seconds| parsed("STRONGROOM_APP_SECONDS", seconds.parse()).map(Duration::from_secs))
                    .transpose()?,
                env: match variable("STRONGROOM_APP_ENV") {
                    None => Vec::new(),
                    Some(list) => parsed("STRONGROOM_APP_ENV", serde_json::from_str(&list))?,
                },
                working_folder: variable("STRONGROOM_APP_WORKDIR").unwrap_or_default(),
                user: match variable("STRONGROOM_APP_USER") {
                    None => UNPRIVILEGED,
                    Some(text) => {
                        apart_from_root(parsed("STRONGROOM_APP_USER", parse_user(&text).ok_or("write it as uid:gid"))?)
                    }
                },
            },
        })
    }
}

/// Who runs apps of images that name nobody.
const UNPRIVILEGED: (u32, u32) = (1000, 1000);

fn parse_user(text: &str) -> Option<(u32, u32)> {
    let (user, group) = text.split_once(':')?;
    Some((user.parse().ok()?, group.parse().ok()?))
}

/// An image that asks for root gets an ordinary user: as root the app could go where only the guest may.
fn apart_from_root((user, group): (u32, u32)) -> (u32, u32) {
    let ordinary = |id, instead| if id == 0 { instead } else { id };
    (ordinary(user, UNPRIVILEGED.0), ordinary(group, UNPRIVILEGED.1))
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
        assert_eq!((settings.app.user, settings.app.limit), ((1000, 1000), None));
    }

    #[test]
    fn what_describes_the_app_is_read_or_named() {
        let with = |name: &'static str, value: &'static str| {
            Settings::read(move |asked| if asked == name { Some(value.to_owned()) } else { complete(asked) })
        };
        assert_eq!(with("STRONGROOM_APP_ENV", r#"["A=b"]"#).unwrap().app.env, ["A=b"]);
        assert_eq!(with("STRONGROOM_APP_USER", "7:8").unwrap().app.user, (7, 8));
        for (wanted, given) in [("0:0", (1000, 1000)), ("0:8", (1000, 8)), ("7:0", (7, 1000))] {
            assert_eq!(with("STRONGROOM_APP_USER", wanted).unwrap().app.user, given);
        }
        assert_eq!(with("STRONGROOM_IPFS_GATEWAYS", "http://a,http://b").unwrap().gateways.len(), 2);
        for name in ["STRONGROOM_APP_ENV", "STRONGROOM_APP_USER", "STRONGROOM_APP_SECONDS", "STRONGROOM_IPFS_GATEWAYS"]
        {
            assert!(with(name, "!").unwrap_err().to_string().contains(name), "{name}");
        }
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
