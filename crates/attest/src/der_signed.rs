//! Signed DER structures as X.509 has them (certificate, revocation list): the exact bytes that were signed, and a check of the
//! signature with an issuer's key. Says nothing about dates, names or revocation.

use der::asn1::{AnyRef, BitStringRef};
use der::{Decode as _, Encode as _, Reader as _, SliceReader};
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;
use webpki::ring::ECDSA_P256_SHA256;

/// AlgorithmIdentifier of ecdsa-with-SHA256 (RFC 5758 §3.2). This copy of it lies outside the signed part.
const ECDSA_WITH_SHA256: &[u8] = &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

/// SEQUENCE { signed part, algorithm, BIT STRING }, split without re-encoding.
pub(crate) struct SignedDer<'a> {
    signed: &'a [u8],
    signature: &'a [u8],
}

impl<'a> SignedDer<'a> {
    /// Splits; the error says what is wrong.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let outer = AnyRef::from_der(bytes).map_err(|_| "it is not DER")?;
        let mut reader = SliceReader::new(outer.value()).map_err(|_| "it is too long")?;
        let signed = reader.tlv_bytes().map_err(|_| "its signed part is not DER")?;
        let algorithm = reader.tlv_bytes().map_err(|_| "its algorithm is not DER")?;
        if algorithm != ECDSA_WITH_SHA256 {
            return Err("its algorithm is not ECDSA with SHA-256");
        }
        let signature = BitStringRef::decode(&mut reader).map_err(|_| "its signature is not a bit string")?;
        let signature = signature.as_bytes().ok_or("its signature is not whole bytes")?;
        if !reader.is_finished() {
            return Err("it has bytes after its signature");
        }
        Ok(Self { signed, signature })
    }

    /// Checks an ECDSA P-256 SHA-256 signature with the key of `issuer`, a certificate in DER.
    pub(crate) fn check_signature(&self, issuer: &[u8]) -> Result<(), &'static str> {
        let issuer = CertificateDer::from(issuer);
        let issuer = EndEntityCert::try_from(&issuer).map_err(|_| "its issuer's certificate is malformed")?;
        issuer
            .verify_signature(ECDSA_P256_SHA256, self.signed, self.signature)
            .map_err(|_| "its signature does not verify")
    }
}

/// Turns r ‖ s of 32 bytes each into the DER form that signature checks take.
pub(crate) fn ecdsa_der_from_raw(raw: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = raw.split_at_checked(32).filter(|(_, s)| s.len() == 32)?;
    let integer = |bytes: &[u8]| der::asn1::Uint::new(bytes).ok();
    let (r, s) = (integer(r)?, integer(s)?);
    [r, s].to_vec().to_der().ok()
}
