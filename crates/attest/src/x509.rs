//! The fields of an X.509 certificate that the path library keeps to itself: dates, names, a P-384 key, vendor extensions.
//!
//! Nothing read here is authentic until a path to a root has been verified over the same bytes.

use der::Decode as _;
use der::asn1::ObjectIdentifier;
use ring::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use strongroom_protocol::UnixSeconds;
use webpki::KeyUsage;
use x509_cert::name::Name;
use x509_cert::time::Time;

/// Certificates in attestation chains state no extended purpose. One that is limited to TLS, mail or the like is refused:
/// only `anyExtendedKeyUsage` (2.5.29.37.0) would be let through.
pub(crate) const NO_SPECIAL_PURPOSE: KeyUsage = KeyUsage::required_if_present(&[0x55, 0x1d, 0x25, 0x00]);

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// Size of a P-384 signature as r ‖ s, big-endian, in bytes.
pub(crate) const P384_SIGNATURE_BYTES: usize = 96;

/// A parsed, not yet authentic certificate.
pub(crate) struct Certificate(x509_cert::Certificate);

impl Certificate {
    /// Reads one DER certificate with nothing after it.
    pub(crate) fn from_der(der: &[u8]) -> Option<Self> {
        x509_cert::Certificate::from_der(der).ok().map(Self)
    }

    /// First and last second of validity.
    pub(crate) fn validity(&self) -> (UnixSeconds, UnixSeconds) {
        let validity = self.0.tbs_certificate().validity();
        (unix_seconds(validity.not_before), unix_seconds(validity.not_after))
    }

    /// The subject.
    pub(crate) fn subject(&self) -> &Name {
        self.0.tbs_certificate().subject()
    }

    /// The issuer.
    pub(crate) fn issuer(&self) -> &Name {
        self.0.tbs_certificate().issuer()
    }

    /// The subject's common name, if it has exactly one.
    pub(crate) fn common_name(&self) -> Option<&[u8]> {
        let mut names = self.subject().iter().filter(|attribute| attribute.oid == COMMON_NAME);
        match (names.next(), names.next()) {
            (Some(name), None) => Some(name.value.value()),
            _ => None,
        }
    }

    /// The subject's key as an uncompressed point of P-384; nothing for a key of another kind.
    pub(crate) fn p384_key(&self) -> Option<&[u8]> {
        let key = self.0.tbs_certificate().subject_public_key_info();
        let curve = key.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok()?;
        if key.algorithm.oid != EC_PUBLIC_KEY || curve != SECP384R1 {
            return None;
        }
        key.subject_public_key.as_bytes()
    }

    /// The content of an extension. Absent and repeated are the same to callers, who need it once.
    pub(crate) fn extension(&self, id: ObjectIdentifier) -> Option<&[u8]> {
        let mut found = self.0.tbs_certificate().extensions()?.iter().filter(|extension| extension.extn_id == id);
        match (found.next(), found.next()) {
            (Some(extension), None) => Some(extension.extn_value.as_bytes()),
            _ => None,
        }
    }
}

/// A certificate's or revocation list's time; both of its encodings begin no earlier than 1950 and dates before 1970 do not
/// parse.
pub(crate) fn unix_seconds(time: Time) -> UnixSeconds {
    UnixSeconds(time.to_unix_duration().as_secs())
}

/// Whether `signature` (r ‖ s) is `key`'s over SHA-384 of `message`. Refuses r or s of 0 or not below the group order.
pub(crate) fn p384_signature_is_valid(key: &[u8], message: &[u8], signature: &[u8; P384_SIGNATURE_BYTES]) -> bool {
    UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key).verify(message, signature).is_ok()
}
