//! What an image says about how it wants to be run. Untrusted text: it is data for the sandbox, never for a shell on the host.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// The part of an image's configuration that running it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// Program and first arguments.
    #[serde(rename = "Entrypoint", default, deserialize_with = "null_is_empty")]
    pub entrypoint: Vec<String>,
    /// Arguments used when the task gives none.
    #[serde(rename = "Cmd", default, deserialize_with = "null_is_empty")]
    pub cmd: Vec<String>,
    /// `NAME=value` each.
    #[serde(rename = "Env", default, deserialize_with = "null_is_empty")]
    pub env: Vec<String>,
    /// Folder to start in; empty means `/`.
    #[serde(rename = "WorkingDir", default, deserialize_with = "null_is_empty")]
    pub working_dir: String,
    /// Empty, `uid`, `uid:gid`, `name` or `name:group`; see [`crate::UnpackedImage::user`].
    #[serde(rename = "User", default, deserialize_with = "null_is_empty")]
    pub user: String,
}

impl ImageConfig {
    /// Program and arguments as Docker computes them: the entry point, then the task's arguments or else the image's own.
    #[must_use]
    pub fn command(&self, arguments: &[String]) -> Vec<String> {
        let rest = if arguments.is_empty() { &self.cmd } else { arguments };
        self.entrypoint.iter().chain(rest).cloned().collect()
    }
}

/// The whole configuration blob, as far as we read it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ConfigBlob {
    #[serde(default)]
    pub(crate) architecture: String,
    #[serde(default)]
    pub(crate) os: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) config: ImageConfig,
    pub(crate) rootfs: RootFs,
}

/// Digests of the uncompressed layers, lowest first.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RootFs {
    pub(crate) diff_ids: Vec<Digest>,
}

/// Go writes absent lists and objects as `null`.
pub(crate) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_the_task_replace_cmd_but_not_the_entry_point() {
        let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let config = ImageConfig { entrypoint: words(&["/app"]), cmd: words(&["a", "b"]), ..ImageConfig::default() };
        assert_eq!(config.command(&[]), words(&["/app", "a", "b"]));
        assert_eq!(config.command(&words(&["c"])), words(&["/app", "c"]));
    }

    #[test]
    fn absent_and_null_members_are_empty() {
        let read: ConfigBlob =
            serde_json::from_str(r#"{"config":{"Cmd":null,"Env":["A=b"]},"rootfs":{"diff_ids":[]}}"#).unwrap();
        assert_eq!(read.config, ImageConfig { env: vec!["A=b".to_owned()], ..ImageConfig::default() });
        let read: ConfigBlob = serde_json::from_str(r#"{"config":null,"rootfs":{"diff_ids":[]}}"#).unwrap();
        assert_eq!(read.config, ImageConfig::default());
    }
}
