//! AWS Nitro attestation documents.
//!
//! A document is a COSE_Sign1 message (ES384) whose payload carries measurements, the signing certificate and the whole chain
//! up to AWS's root, so it needs no endorsements. The signature is checked over the bytes as received.
//!
//! A document of a debug enclave verifies: its first three registers are zero, the claims say so, and the policy refuses it.
//! Documents of NitroTPM have the same outer form and other registers; they are refused as malformed. Revocation lists are not
//! consulted: the signing certificate lives three hours.

mod chain;
mod document;

use alloy_primitives::FixedBytes;
use coset::{CborSerializable as _, CoseSign1, HeaderBuilder, iana};
use strongroom_protocol::UnixSeconds;

use self::chain::Chain;
use self::document::Document;
use crate::anchors::{RootId, TrustAnchors};
use crate::claims::{Claims, Code, Endorsed, NitroCode, Platform, Revocation, Tcb};
use crate::error::{EvidenceFault, VerifyError};
use crate::evidence::{EvidenceKind, MAX_NITRO_BYTES};
use crate::x509::{P384_SIGNATURE_BYTES, p384_signature_is_valid};

/// Tag 18 of CBOR: what follows is COSE_Sign1. Usually absent.
const COSE_SIGN1_TAG: u8 = 0xd2;

/// Verifies a COSE_Sign1 document up to a Nitro root.
pub(crate) fn verify(document: &[u8], anchors: &TrustAnchors, now: UnixSeconds) -> Result<Claims, VerifyError> {
    let message = parse_message(document)?;
    let signature: &[u8; P384_SIGNATURE_BYTES] =
        message.signature.as_slice().try_into().map_err(|_| EvidenceFault::Malformed("Nitro signature"))?;
    let payload = message.payload.as_deref().ok_or(EvidenceFault::Malformed("Nitro message without payload"))?;
    let document = Document::parse(payload)?;
    let chain = Chain::read(&document, anchors, now)?;
    // First the one signature that a changed document cannot have, then the four that every document of the day shares.
    if !p384_signature_is_valid(&chain.key, &message.tbs_data(&[]), signature) {
        return Err(EvidenceFault::Signature("Nitro document").into());
    }
    chain.verify_signatures(now)?;
    let Chain { trust_domain, root, valid_until, digest, .. } = chain;
    let debug = (0..=2).all(|index| document.pcrs.get(&index).is_none_or(FixedBytes::is_zero));
    Ok(Claims {
        kind: EvidenceKind::Nitro,
        version: 1,
        trust_domain,
        root: RootId::CertificateSha256(root),
        report_data: document.report_data,
        debug,
        code: Code::Nitro(NitroCode {
            pcrs: document.pcrs,
            public_key: document.public_key.map(Into::into),
            nonce: document.nonce.map(Into::into),
        }),
        platform: Platform::Nitro { module_id: document.module_id },
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

/// Reads the outer form: algorithm ES384 and nothing else in the protected header, nothing at all in the other.
fn parse_message(document: &[u8]) -> Result<CoseSign1, EvidenceFault> {
    const MALFORMED: EvidenceFault = EvidenceFault::Malformed("Nitro message");
    if document.len() > MAX_NITRO_BYTES {
        return Err(EvidenceFault::TooLarge { what: "nitro", size_bytes: document.len(), max_bytes: MAX_NITRO_BYTES });
    }
    let untagged = document.strip_prefix(&[COSE_SIGN1_TAG]).unwrap_or(document);
    let message = CoseSign1::from_slice(untagged).map_err(|error| match error {
        coset::CoseError::ExtraneousData => EvidenceFault::TrailingBytes("Nitro message"),
        _ => MALFORMED,
    })?;
    if message.protected.header != HeaderBuilder::new().algorithm(iana::Algorithm::ES384).build() {
        return Err(EvidenceFault::Malformed("protected header of the Nitro message: only ES384 is accepted"));
    }
    if !message.unprotected.is_empty() {
        return Err(EvidenceFault::Malformed("unprotected header of the Nitro message: it must be empty"));
    }
    Ok(message)
}
