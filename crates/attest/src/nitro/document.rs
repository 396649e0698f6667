//! The payload of a Nitro document: a CBOR map with fixed names and limits (AWS Nitro Enclaves, "attestation process",
//! syntactical validation).

use std::collections::BTreeMap;

use alloy_primitives::FixedBytes;
use strongroom_protocol::UnixSeconds;

use super::cbor::Reader;
use crate::error::EvidenceFault;

/// Registers are numbered 0 to 31.
const MAX_REGISTERS: u8 = 32;
/// Most bytes in each certificate and in each of the enclave's own fields.
const MAX_FIELD_BYTES: usize = 1024;
/// Most certificates from root to leaf, the leaf among them.
const MAX_CERTIFICATES: u64 = 6;

/// The fields of a document, within their limits but not yet authentic.
pub(super) struct Document<'a> {
    pub(super) module_id: &'a str,
    pub(super) made_at: UnixSeconds,
    /// Registers 0, 1 and 2 are always there.
    pub(super) pcrs: BTreeMap<u8, FixedBytes<48>>,
    /// The certificate whose key signed the document, DER.
    pub(super) certificate: &'a [u8],
    /// Root first, issuer of `certificate` last; at least one.
    pub(super) bundle: Vec<&'a [u8]>,
    /// `user_data`, with zeros after shorter ones and for none at all, as drivers of other vendors fill report data.
    pub(super) report_data: FixedBytes<64>,
    pub(super) public_key: Option<&'a [u8]>,
    pub(super) nonce: Option<&'a [u8]>,
}

impl<'a> Document<'a> {
    pub(super) fn parse(payload: &'a [u8]) -> Result<Self, EvidenceFault> {
        let mut reader = Reader::new(payload);
        let mut fields = Fields::default();
        for _ in 0..reader.map().ok_or(EvidenceFault::Malformed("Nitro document: it is not a map"))? {
            fields.read_one(&mut reader)?;
        }
        if !reader.rest().is_empty() {
            return Err(EvidenceFault::TrailingBytes("Nitro document"));
        }
        let missing = || EvidenceFault::Malformed("Nitro document: a field is missing");
        fields.digest.ok_or_else(missing)?;
        Ok(Self {
            module_id: fields.module_id.ok_or_else(missing)?,
            made_at: fields.made_at.ok_or_else(missing)?,
            pcrs: fields.pcrs.ok_or_else(missing)?,
            certificate: fields.certificate.ok_or_else(missing)?,
            bundle: fields.bundle.ok_or_else(missing)?,
            report_data: report_data(fields.user_data.unwrap_or_default())?,
            public_key: fields.public_key.filter(|key| !key.is_empty()),
            nonce: fields.nonce.filter(|nonce| !nonce.is_empty()),
        })
    }
}

/// What was read so far.
#[derive(Default)]
struct Fields<'a> {
    module_id: Option<&'a str>,
    digest: Option<()>,
    made_at: Option<UnixSeconds>,
    pcrs: Option<BTreeMap<u8, FixedBytes<48>>>,
    certificate: Option<&'a [u8]>,
    bundle: Option<Vec<&'a [u8]>>,
    user_data: Option<&'a [u8]>,
    public_key: Option<&'a [u8]>,
    nonce: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    /// Reads a name and the value that belongs to it. Each name may come once, and no other may come.
    fn read_one(&mut self, reader: &mut Reader<'a>) -> Result<(), EvidenceFault> {
        match reader.text().ok_or(EvidenceFault::Malformed("Nitro document: a name is not text"))? {
            "module_id" => put(&mut self.module_id, module_id(reader), "module_id of the Nitro document"),
            "digest" => {
                let digest = reader.text().filter(|digest| *digest == "SHA384").map(|_| ());
                put(&mut self.digest, digest, "digest of the Nitro document: only SHA384 is accepted")
            }
            "timestamp" => put(&mut self.made_at, made_at(reader), "timestamp of the Nitro document"),
            "pcrs" => put(&mut self.pcrs, pcrs(reader), "pcrs of the Nitro document"),
            "certificate" => put(&mut self.certificate, certificate(reader), "certificate of the Nitro document"),
            "cabundle" => put(&mut self.bundle, bundle(reader), "cabundle of the Nitro document"),
            "user_data" => put(&mut self.user_data, own_field(reader), "user_data of the Nitro document"),
            "public_key" => put(&mut self.public_key, own_field(reader), "public_key of the Nitro document"),
            "nonce" => put(&mut self.nonce, own_field(reader), "nonce of the Nitro document"),
            _ => Err(EvidenceFault::Malformed("Nitro document: unknown field")),
        }
    }
}

/// Keeps what was read under a name, unless it is not what belongs there or the name came before.
fn put<T>(field: &mut Option<T>, value: Option<T>, what: &'static str) -> Result<(), EvidenceFault> {
    let value = value.ok_or(EvidenceFault::Malformed(what))?;
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(EvidenceFault::Malformed("Nitro document: a field occurs twice")),
    }
}

fn module_id<'a>(reader: &mut Reader<'a>) -> Option<&'a str> {
    reader.text().filter(|id| !id.is_empty())
}

/// Milliseconds since 1970.
fn made_at(reader: &mut Reader<'_>) -> Option<UnixSeconds> {
    let milliseconds = reader.unsigned().filter(|milliseconds| *milliseconds > 0)?;
    Some(UnixSeconds(milliseconds / 1000))
}

fn pcrs(reader: &mut Reader<'_>) -> Option<BTreeMap<u8, FixedBytes<48>>> {
    let mut pcrs = BTreeMap::new();
    for _ in 0..reader.map()? {
        let index = u8::try_from(reader.unsigned()?).ok().filter(|index| *index < MAX_REGISTERS)?;
        let value: [u8; 48] = reader.bytes()?.try_into().ok()?;
        if pcrs.insert(index, value.into()).is_some() {
            return None;
        }
    }
    (0..=2).all(|index| pcrs.contains_key(&index)).then_some(pcrs)
}

fn certificate<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    reader.bytes().filter(|der| (1..=MAX_FIELD_BYTES).contains(&der.len()))
}

fn bundle<'a>(reader: &mut Reader<'a>) -> Option<Vec<&'a [u8]>> {
    let count = reader.array().filter(|count| (1..MAX_CERTIFICATES).contains(count))?;
    (0..count).map(|_| certificate(reader)).collect()
}

/// A field that the enclave fills or leaves null, which is the same as empty.
fn own_field<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    match reader.null() {
        Some(()) => Some(&[]),
        None => reader.bytes().filter(|bytes| bytes.len() <= MAX_FIELD_BYTES),
    }
}

fn report_data(user_data: &[u8]) -> Result<FixedBytes<64>, EvidenceFault> {
    let mut report_data = FixedBytes::ZERO;
    match report_data.get_mut(..user_data.len()) {
        Some(beginning) => beginning.copy_from_slice(user_data),
        None => return Err(EvidenceFault::Unsupported { field: "length of user_data", found: user_data.len() as u64 }),
    }
    Ok(report_data)
}
