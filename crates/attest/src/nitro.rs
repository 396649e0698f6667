//! AWS Nitro attestation documents.
//!
//! A document is a COSE_Sign1 message (ES384) whose payload carries measurements, the signing certificate and the whole chain
//! up to AWS's root, so it needs no endorsements. The signature is checked over the bytes as received.
//!
//! A document of a debug enclave verifies: its first three registers are zero, the claims say so, and the policy refuses it.
//! Documents of NitroTPM have the same outer form and other registers; they are refused as malformed. Revocation lists are not
//! consulted: the signing certificate lives three hours.

mod cbor;
mod chain;
mod document;

use alloy_primitives::{Bytes, FixedBytes};
use strongroom_protocol::UnixSeconds;

use self::cbor::Reader;
use self::chain::Chain;
use self::document::Document;
use crate::anchors::{RootId, TrustAnchors};
use crate::claims::{Claims, Code, Endorsed, NitroCode, Platform, Revocation, Tcb};
use crate::error::{EvidenceFault, VerifyError};
use crate::evidence::EvidenceKind;
use crate::inspect::{Stated, StatedMachine};
use crate::x509::{P384_SIGNATURE_BYTES, p384_signature_is_valid};

/// Tag 18 of CBOR: what follows is COSE_Sign1. Usually absent.
const COSE_SIGN1_TAG: u8 = 0xd2;
/// The protected header { 1: -35 }: the algorithm is ES384, and nothing else is said.
const ES384: [u8; 4] = [0xa1, 0x01, 0x38, 0x22];
/// What the signature covers before the payload: an array of 4, "Signature1", the protected header, no external data.
const SIGNED_BEFORE_PAYLOAD: &[u8] = b"\x84\x6aSignature1\x44\xa1\x01\x38\x22\x40";

/// Verifies a COSE_Sign1 document up to a Nitro root.
pub(crate) fn verify(document: &[u8], anchors: &TrustAnchors, now: UnixSeconds) -> Result<Claims, VerifyError> {
    let message = Message::parse(document)?;
    let document = Document::parse(message.payload)?;
    let chain = Chain::read(&document, anchors, now)?;
    // First the one signature that a changed document cannot have, then the four that every document of the day shares.
    if !p384_signature_is_valid(&chain.key, &message.signed(), message.signature) {
        return Err(EvidenceFault::Signature("Nitro document").into());
    }
    chain.verify_signatures(now)?;
    let Chain { trust_domain, root, valid_until, digest, .. } = chain;
    Ok(Claims {
        kind: EvidenceKind::Nitro,
        version: 1,
        trust_domain,
        root: RootId::CertificateSha256(root),
        report_data: document.report_data,
        debug: is_debug(&document),
        code: code(&document),
        platform: Platform::Nitro { module_id: document.module_id.to_owned() },
        tcb: Tcb::NotApplicable,
        endorsed: Endorsed {
            digest,
            // The certificates came with the document.
            fetched_at: now,
            valid_until,
            revocation: Revocation::NotChecked,
        },
        made_at: Some(document.made_at),
        verified_at: now,
    })
}

/// The registers of an enclave in debug mode are zero.
fn is_debug(document: &Document<'_>) -> bool {
    (0..=2).all(|index| document.pcrs.get(&index).is_none_or(FixedBytes::is_zero))
}

fn code(document: &Document<'_>) -> Code {
    Code::Nitro(NitroCode {
        pcrs: document.pcrs.clone(),
        public_key: document.public_key.map(Bytes::copy_from_slice),
        nonce: document.nonce.map(Bytes::copy_from_slice),
    })
}

/// What a document says, not verified.
pub(crate) fn stated(document: &[u8]) -> Result<Stated, EvidenceFault> {
    let document = Document::parse(Message::parse(document)?.payload)?;
    Ok(Stated {
        kind: EvidenceKind::Nitro,
        version: 1,
        report_data: document.report_data,
        debug: is_debug(&document),
        code: code(&document),
        machine: StatedMachine::Nitro { module_id: document.module_id.to_owned() },
        made_at: Some(document.made_at),
    })
}

/// The outer form, COSE_Sign1 (RFC 9052 §4.2): [protected header, unprotected header, payload, signature].
struct Message<'a> {
    payload: &'a [u8],
    /// The payload with the head that says its length, as received.
    payload_item: &'a [u8],
    signature: &'a [u8; P384_SIGNATURE_BYTES],
}

impl<'a> Message<'a> {
    fn parse(document: &'a [u8]) -> Result<Self, EvidenceFault> {
        let untagged = document.strip_prefix(&[COSE_SIGN1_TAG]).unwrap_or(document);
        let mut reader = Reader::new(untagged);
        if reader.array() != Some(4) {
            return Err(EvidenceFault::Malformed("Nitro message: it is not COSE_Sign1"));
        }
        if reader.bytes() != Some(&ES384) {
            return Err(EvidenceFault::Malformed("protected header of the Nitro message: only ES384 is accepted"));
        }
        if reader.map() != Some(0) {
            return Err(EvidenceFault::Malformed("unprotected header of the Nitro message: it must be empty"));
        }
        let from_payload = reader.rest();
        let payload = reader.bytes().ok_or(EvidenceFault::Malformed("payload of the Nitro message"))?;
        let payload_item = &from_payload[..from_payload.len() - reader.rest().len()];
        let signature = reader.bytes().and_then(|signature| signature.try_into().ok());
        let signature = signature.ok_or(EvidenceFault::Malformed("signature of the Nitro message"))?;
        if !reader.rest().is_empty() {
            return Err(EvidenceFault::TrailingBytes("Nitro message"));
        }
        Ok(Self { payload, payload_item, signature })
    }

    /// The bytes that the signature covers (RFC 9052 §4.4).
    fn signed(&self) -> Vec<u8> {
        [SIGNED_BEFORE_PAYLOAD, self.payload_item].concat()
    }
}
