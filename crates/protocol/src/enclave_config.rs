//! The enclave configuration of an SGX app: JSON text in the `mrenclave` bytes of its contract.

use alloy_primitives::B256;
use serde_json::Value;

use crate::tag::Framework;

/// How an SGX app is started and what it measures to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnclaveConfig {
    /// SCONE or Gramine.
    pub framework: Framework,
    /// Version of the framework; chooses the pre- and post-compute images.
    pub version: String,
    /// Command of the enclave; empty for Gramine.
    pub entrypoint: String,
    /// Heap in bytes; 0 for Gramine.
    pub heap_bytes: u64,
    /// MRENCLAVE of the app.
    pub fingerprint: B256,
}

/// Why there is no usable enclave configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnclaveConfigError {
    /// The bytes are empty, not JSON, or have unknown or wrongly typed members.
    #[error("app has no readable enclave configuration: {0}; deploy the app again with one")]
    Unreadable(String),
    /// All members are there, one has a value that cannot be.
    #[error("enclave configuration of the app is invalid: {0}; deploy the app again with a valid one")]
    Invalid(String),
}

impl EnclaveConfig {
    /// Reads the `mrenclave` bytes of an app as the old service did: an unknown member makes the whole unreadable.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnclaveConfigError> {
        let unreadable = |reason: &str| EnclaveConfigError::Unreadable(reason.to_owned());
        let invalid = |reason: &str| EnclaveConfigError::Invalid(reason.to_owned());
        let value: Value = serde_json::from_slice(bytes).map_err(|error| unreadable(&error.to_string()))?;
        let members = value.as_object().ok_or_else(|| unreadable("not a JSON object"))?;
        let known = ["framework", "provider", "version", "entrypoint", "heapSize", "fingerprint"];
        if let Some(unknown) = members.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(unreadable(&format!("unknown member {unknown}")));
        }
        let text = |name: &str| match members.get(name) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(unreadable(&format!("{name} is not a text"))),
        };
        let heap_bytes = match members.get("heapSize") {
            None | Some(Value::Null) => 0,
            Some(size) => size.as_u64().ok_or_else(|| unreadable("heapSize is not a number of bytes"))?,
        };
        let framework =
            Some(text("framework")?).filter(|name| !name.is_empty()).map_or_else(|| text("provider"), Ok)?;
        // Names are upper case on chain; other spellings are unreadable for the other services too.
        let framework = Framework::ALL
            .into_iter()
            .find(|known| known.name() == framework)
            .ok_or_else(|| unreadable("framework is none of SCONE, GRAMINE, TDX"))?;
        let (version, entrypoint) = (text("version")?, text("entrypoint")?);
        if version.trim().is_empty() {
            return Err(invalid("version is empty"));
        }
        if framework != Framework::Gramine && entrypoint.trim().is_empty() {
            return Err(invalid("entrypoint is empty"));
        }
        if framework != Framework::Gramine && heap_bytes == 0 {
            return Err(invalid("heapSize is 0"));
        }
        let fingerprint = text("fingerprint")?;
        let mut measurement = [0; 32];
        hex::decode_to_slice(fingerprint.strip_prefix("0x").unwrap_or(&fingerprint), &mut measurement)
            .map_err(|_| invalid("fingerprint is not 64 hex digits"))?;
        Ok(Self { framework, version, entrypoint, heap_bytes, fingerprint: B256::from(measurement) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINT: &str = "5555555555555555555555555555555555555555555555555555555555555555";

    #[test]
    fn scone_and_gramine_configurations_are_read() {
        let scone = format!(
            r#"{{"framework":"SCONE","version":"v5","entrypoint":"/app","heapSize":1073741824,"fingerprint":"{PRINT}"}}"#
        );
        assert_eq!(
            EnclaveConfig::parse(scone.as_bytes()),
            Ok(EnclaveConfig {
                framework: Framework::Scone,
                version: "v5".into(),
                entrypoint: "/app".into(),
                heap_bytes: 1 << 30,
                fingerprint: B256::repeat_byte(0x55),
            })
        );
        let gramine = format!(r#"{{"provider":"GRAMINE","version":"v0","fingerprint":"{PRINT}"}}"#);
        assert_eq!(EnclaveConfig::parse(gramine.as_bytes()).unwrap().framework, Framework::Gramine);
    }

    #[test]
    fn unreadable_and_invalid_configurations_are_told_apart() {
        let scone = |version: &str, entrypoint: &str, heap: &str, print: &str, more: &str| {
            EnclaveConfig::parse(
                format!(
                    r#"{{"framework":"SCONE","version":"{version}","entrypoint":"{entrypoint}","heapSize":{heap},"fingerprint":"{print}"{more}}}"#
                )
                .as_bytes(),
            )
        };
        assert!(scone("v5", "/app", "1", PRINT, "").is_ok());
        for unreadable in [
            EnclaveConfig::parse(b""),
            EnclaveConfig::parse(b"[]"),
            EnclaveConfig::parse(br#"{"framework":"scone"}"#),
            scone("v5", "/app", "-1", PRINT, ""),
            scone("v5", "/app", "\"1\"", PRINT, ""),
            scone("v5", "/app", "1", PRINT, r#","x":1"#),
        ] {
            assert!(matches!(unreadable, Err(EnclaveConfigError::Unreadable(_))), "{unreadable:?}");
        }
        for invalid in [
            scone("", "/app", "1", PRINT, ""),
            scone("v5", " ", "1", PRINT, ""),
            scone("v5", "/app", "0", PRINT, ""),
            scone("v5", "/app", "1", &PRINT[2..], ""),
        ] {
            assert!(matches!(invalid, Err(EnclaveConfigError::Invalid(_))), "{invalid:?}");
        }
    }
}
