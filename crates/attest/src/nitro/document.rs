//! The payload of a Nitro document: a CBOR map with fixed names and limits (AWS Nitro Enclaves, "attestation process",
//! syntactical validation).

use std::collections::BTreeMap;

use alloy_primitives::FixedBytes;
use ciborium::Value;
use strongroom_protocol::UnixSeconds;

use crate::error::EvidenceFault;

/// Deepest nesting of a genuine payload is 3: a list or map in the map, and its elements.
const MAX_DEPTH: usize = 4;
/// Registers are numbered 0 to 31.
const MAX_REGISTERS: usize = 32;
/// Most bytes in each certificate and in each of the enclave's own fields.
const MAX_FIELD_BYTES: usize = 1024;
/// Most certificates from root to leaf, the leaf among them.
const MAX_CERTIFICATES: usize = 6;

/// The fields of a document, within their limits but not yet authentic.
pub(super) struct Document {
    pub(super) module_id: String,
    pub(super) made_at: UnixSeconds,
    /// Registers 0, 1 and 2 are always there.
    pub(super) pcrs: BTreeMap<u8, FixedBytes<48>>,
    /// The certificate whose key signed the document, DER.
    pub(super) certificate: Vec<u8>,
    /// Root first, issuer of `certificate` last; at least one.
    pub(super) bundle: Vec<Vec<u8>>,
    /// `user_data`, with zeros after shorter ones and for none at all, as drivers of other vendors fill report data.
    pub(super) report_data: FixedBytes<64>,
    pub(super) public_key: Option<Vec<u8>>,
    pub(super) nonce: Option<Vec<u8>>,
}

impl Document {
    pub(super) fn parse(payload: &[u8]) -> Result<Self, EvidenceFault> {
        let mut fields = Fields::parse(payload)?;
        let document = Self {
            module_id: module_id(fields.take("module_id"))?,
            made_at: made_at(fields.take("timestamp"))?,
            pcrs: pcrs(fields.take("pcrs"))?,
            certificate: certificate(fields.take("certificate"))?,
            bundle: bundle(fields.take("cabundle"))?,
            report_data: report_data(fields.take("user_data"))?,
            public_key: own_field(fields.take("public_key"), "public_key of the Nitro document")?,
            nonce: own_field(fields.take("nonce"), "nonce of the Nitro document")?,
        };
        if fields.take("digest") != Some(Value::Text("SHA384".to_owned())) {
            return Err(EvidenceFault::Malformed("digest of the Nitro document: only SHA384 is accepted"));
        }
        fields.finish()?;
        Ok(document)
    }
}

/// The map's entries by name. What is left at the end is unknown and refused.
struct Fields(BTreeMap<String, Value>);

impl Fields {
    fn parse(mut payload: &[u8]) -> Result<Self, EvidenceFault> {
        let value = ciborium::de::from_reader_with_recursion_limit(&mut payload, MAX_DEPTH)
            .map_err(|_| EvidenceFault::Malformed("Nitro document"))?;
        if !payload.is_empty() {
            return Err(EvidenceFault::TrailingBytes("Nitro document"));
        }
        let Value::Map(entries) = value else {
            return Err(EvidenceFault::Malformed("Nitro document: it is not a map"));
        };
        let mut fields = BTreeMap::new();
        for (name, value) in entries {
            let Value::Text(name) = name else {
                return Err(EvidenceFault::Malformed("Nitro document: a name is not text"));
            };
            if fields.insert(name, value).is_some() {
                return Err(EvidenceFault::Malformed("Nitro document: a field occurs twice"));
            }
        }
        Ok(Self(fields))
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    fn finish(self) -> Result<(), EvidenceFault> {
        if self.0.is_empty() { Ok(()) } else { Err(EvidenceFault::Malformed("Nitro document: unknown field")) }
    }
}

fn module_id(value: Option<Value>) -> Result<String, EvidenceFault> {
    match value {
        Some(Value::Text(id)) if !id.is_empty() => Ok(id),
        _ => Err(EvidenceFault::Malformed("module_id of the Nitro document")),
    }
}

/// Milliseconds since 1970.
fn made_at(value: Option<Value>) -> Result<UnixSeconds, EvidenceFault> {
    match value.and_then(|value| value.as_integer()).and_then(|milliseconds| u64::try_from(milliseconds).ok()) {
        Some(milliseconds) if milliseconds > 0 => Ok(UnixSeconds(milliseconds / 1000)),
        _ => Err(EvidenceFault::Malformed("timestamp of the Nitro document")),
    }
}

fn pcrs(value: Option<Value>) -> Result<BTreeMap<u8, FixedBytes<48>>, EvidenceFault> {
    const MALFORMED: EvidenceFault = EvidenceFault::Malformed("pcrs of the Nitro document");
    let Some(Value::Map(entries)) = value else { return Err(MALFORMED) };
    let mut pcrs = BTreeMap::new();
    for (index, value) in entries {
        let index = index.as_integer().and_then(|index| u8::try_from(index).ok()).ok_or(MALFORMED)?;
        let value = value.as_bytes().and_then(|bytes| <[u8; 48]>::try_from(bytes.as_slice()).ok()).ok_or(MALFORMED)?;
        if usize::from(index) >= MAX_REGISTERS || pcrs.insert(index, value.into()).is_some() {
            return Err(MALFORMED);
        }
    }
    if (0..=2).all(|index| pcrs.contains_key(&index)) { Ok(pcrs) } else { Err(MALFORMED) }
}

fn certificate(value: Option<Value>) -> Result<Vec<u8>, EvidenceFault> {
    match value {
        Some(Value::Bytes(der)) if (1..=MAX_FIELD_BYTES).contains(&der.len()) => Ok(der),
        _ => Err(EvidenceFault::Malformed("certificate of the Nitro document")),
    }
}

fn bundle(value: Option<Value>) -> Result<Vec<Vec<u8>>, EvidenceFault> {
    match value {
        Some(Value::Array(bundle)) if (1..MAX_CERTIFICATES).contains(&bundle.len()) => {
            bundle.into_iter().map(|value| certificate(Some(value))).collect()
        }
        _ => Err(EvidenceFault::Malformed("cabundle of the Nitro document")),
    }
}

fn report_data(value: Option<Value>) -> Result<FixedBytes<64>, EvidenceFault> {
    let data = own_field(value, "user_data of the Nitro document")?.unwrap_or_default();
    let mut report_data = FixedBytes::ZERO;
    match report_data.get_mut(..data.len()) {
        Some(beginning) => beginning.copy_from_slice(&data),
        None => return Err(EvidenceFault::Unsupported { field: "length of user_data", found: data.len() as u64 }),
    }
    Ok(report_data)
}

/// A field that the enclave fills or leaves null.
fn own_field(value: Option<Value>, what: &'static str) -> Result<Option<Vec<u8>>, EvidenceFault> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bytes(bytes)) if bytes.len() <= MAX_FIELD_BYTES => Ok(Some(bytes)),
        _ => Err(EvidenceFault::Malformed(what)),
    }
}
