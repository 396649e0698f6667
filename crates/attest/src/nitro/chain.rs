//! The certificates in a Nitro document: exactly the bundle, in its order, from a configured root to the key that signed.

use alloy_primitives::B256;
use rustls_pki_types::{CertificateDer, UnixTime};
use strongroom_protocol::UnixSeconds;
use webpki::ring::ECDSA_P384_SHA384;
use webpki::{EndEntityCert, anchor_from_trusted_cert};

use super::document::Document;
use crate::anchors::{TrustAnchors, TrustDomain, sha256};
use crate::error::EvidenceFault;
use crate::x509::{Certificate, NO_SPECIAL_PURPOSE};

/// A chain that is complete, in order, within its dates, and begins with a configured root. Its signatures are not yet
/// verified.
pub(super) struct Chain<'a> {
    document: &'a Document<'a>,
    pub(super) trust_domain: TrustDomain,
    /// SHA-256 of the root certificate.
    pub(super) root: B256,
    /// The key that signs the document, an uncompressed point of P-384.
    pub(super) key: Vec<u8>,
    /// First end of validity in the chain.
    pub(super) valid_until: UnixSeconds,
    /// SHA-256 over all certificates, root first. Their DER says where each ends.
    pub(super) digest: B256,
}

impl<'a> Chain<'a> {
    /// The first certificate of the bundle must be, byte for byte, one of `anchors`, and every one valid at `now`.
    pub(super) fn read(
        document: &'a Document<'a>,
        anchors: &TrustAnchors,
        now: UnixSeconds,
    ) -> Result<Self, EvidenceFault> {
        let root = document.bundle.first().ok_or_else(|| fault("the bundle is empty"))?;
        let anchor = anchors
            .aws()
            .iter()
            .find(|anchor| anchor.certificate.as_ref() == *root)
            .ok_or_else(|| fault("the root is not one of the configured ones"))?;
        let certificates: Vec<Certificate> = document
            .bundle
            .iter()
            .chain([&document.certificate])
            .map(|der| Certificate::from_der(der).ok_or_else(|| fault("a certificate is malformed")))
            .collect::<Result<_, _>>()?;
        let valid_until = check_order_and_dates(&certificates, now)?;
        let key = certificates.last().and_then(Certificate::p384_key);
        Ok(Self {
            document,
            trust_domain: anchor.domain.clone(),
            root: anchor.fingerprint(),
            key: key.ok_or_else(|| fault("the key is not on P-384"))?.to_vec(),
            valid_until,
            digest: sha256(&[document.bundle.concat().as_slice(), document.certificate].concat()),
        })
    }

    /// Signatures (P-384 with SHA-384 only), uses of keys and constraints, over every certificate of the bundle.
    pub(super) fn verify_signatures(&self, now: UnixSeconds) -> Result<(), EvidenceFault> {
        let (root, intermediates) = self.document.bundle.split_first().ok_or_else(|| fault("the bundle is empty"))?;
        let root = CertificateDer::from(*root);
        let anchor = [anchor_from_trusted_cert(&root).map_err(|error| fault(&error))?];
        let intermediates: Vec<CertificateDer<'_>> =
            intermediates.iter().map(|der| CertificateDer::from(*der)).collect();
        let leaf = CertificateDer::from(self.document.certificate);
        let leaf = EndEntityCert::try_from(&leaf).map_err(|error| fault(&error))?;
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.0));
        let path = leaf
            .verify_for_usage(&[ECDSA_P384_SHA384], &anchor, &intermediates, now, NO_SPECIAL_PURPOSE, None, None)
            .map_err(|error| fault(&error))?;
        if path.intermediate_certificates().count() != intermediates.len() {
            return Err(fault("the bundle has certificates beside the path"));
        }
        Ok(())
    }
}

/// Each certificate is issued by the one before it and valid at `now`; its last second belongs to it. Returns the first end.
fn check_order_and_dates(certificates: &[Certificate], now: UnixSeconds) -> Result<UnixSeconds, EvidenceFault> {
    if certificates.windows(2).any(|pair| pair[1].issuer() != pair[0].subject()) {
        return Err(fault("the bundle is not in order"));
    }
    let mut end = UnixSeconds(u64::MAX);
    for certificate in certificates {
        let (valid_from, valid_until) = certificate.validity();
        if now < valid_from {
            return Err(EvidenceFault::Chain(format!(
                "a certificate is not valid before {valid_from}, and it is {now}"
            )));
        }
        if now > valid_until {
            return Err(EvidenceFault::Chain(format!("a certificate expired at {valid_until}, before {now}")));
        }
        end = end.min(valid_until);
    }
    Ok(end)
}

fn fault(reason: &(impl ToString + ?Sized)) -> EvidenceFault {
    EvidenceFault::Chain(reason.to_string())
}
