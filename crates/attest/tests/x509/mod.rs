//! Writes certificates for tests, right ones and wrong ones. Lengths up to 65,535 bytes.

use std::time::Duration;

use der::asn1::ObjectIdentifier;
use der::{DateTime, Encode as _};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
};
use x509_cert::time::Time;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// One DER element whose content is `parts` one after the other.
pub(crate) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).expect("tests write short elements");
    let [high, low] = length.to_be_bytes();
    let header = match length {
        0..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [header, content].concat()
}

pub(crate) fn oid(dotted: &str) -> Vec<u8> {
    element(OBJECT_IDENTIFIER, &[ObjectIdentifier::new(dotted).expect("tests write valid ones").as_bytes()])
}

pub(crate) fn integer(number: u8) -> Vec<u8> {
    if number < 0x80 { element(INTEGER, &[&[number]]) } else { element(INTEGER, &[&[0, number]]) }
}

pub(crate) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    element(BIT_STRING, &[&[0], bytes])
}

/// UTCTime until 2049, GeneralizedTime later.
pub(crate) fn time(seconds: u64) -> Vec<u8> {
    let time = DateTime::from_unix_duration(Duration::from_secs(seconds)).expect("before the year 10000");
    Time::from(time).to_der().expect("a time has a DER form")
}

/// A name that consists of a common name.
pub(crate) fn name(common_name: &str) -> Vec<u8> {
    let attribute = element(SEQUENCE, &[&oid("2.5.4.3"), &element(UTF8_STRING, &[common_name.as_bytes()])]);
    element(SEQUENCE, &[&element(SET, &[&attribute])])
}

pub(crate) fn extension(id: &str, content: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[&oid(id), &element(OCTET_STRING, &[content])])
}

fn critical_extension(id: &str, content: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[&oid(id), &element(BOOLEAN, &[&[0xff]]), &element(OCTET_STRING, &[content])])
}

/// May issue certificates; with `path_length`, only so many others below it may.
pub(crate) fn certificate_authority(path_length: Option<u8>) -> Vec<u8> {
    let path_length = path_length.map(integer).unwrap_or_default();
    let content = element(SEQUENCE, &[&element(BOOLEAN, &[&[0xff]]), &path_length]);
    critical_extension("2.5.29.19", &content)
}

/// keyCertSign and cRLSign.
pub(crate) fn signs_certificates_and_lists() -> Vec<u8> {
    critical_extension("2.5.29.15", &element(BIT_STRING, &[&[1, 0b0000_0110]]))
}

/// What signs certificates.
pub(crate) trait Issue {
    /// AlgorithmIdentifier, as a whole element.
    fn algorithm(&self) -> Vec<u8>;
    fn sign(&self, message: &[u8]) -> Vec<u8>;
}

/// What a certificate says.
#[derive(Clone)]
pub(crate) struct Content {
    pub(crate) serial: u8,
    pub(crate) issuer: String,
    pub(crate) subject: String,
    /// First and last second of validity.
    pub(crate) dates: (u64, u64),
    /// SubjectPublicKeyInfo, as a whole element.
    pub(crate) key: Vec<u8>,
    pub(crate) extensions: Vec<Vec<u8>>,
}

impl Content {
    /// The certificate, DER.
    pub(crate) fn signed_by(&self, issuer: &dyn Issue) -> Vec<u8> {
        let version = element(0xa0, &[&integer(2)]);
        let dates = element(SEQUENCE, &[&time(self.dates.0), &time(self.dates.1)]);
        let extensions = element(0xa3, &[&element(SEQUENCE, &[&self.extensions.concat()])]);
        let content = element(
            SEQUENCE,
            &[
                &version,
                &integer(self.serial),
                &issuer.algorithm(),
                &name(&self.issuer),
                &dates,
                &name(&self.subject),
                &self.key,
                if self.extensions.is_empty() { &[] } else { &extensions },
            ],
        );
        signed(&content, issuer)
    }
}

/// SEQUENCE { content, algorithm, signature }.
pub(crate) fn signed(content: &[u8], issuer: &dyn Issue) -> Vec<u8> {
    element(SEQUENCE, &[content, &issuer.algorithm(), &bit_string(&issuer.sign(content))])
}

/// A new ECDSA key on P-384 with SHA-384, or on P-256 with SHA-256.
pub(crate) struct EcKey {
    asn1: EcdsaKeyPair,
    fixed: EcdsaKeyPair,
    curve: &'static str,
    signature: &'static str,
}

impl EcKey {
    pub(crate) fn p384() -> Self {
        let algorithms = (&ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P384_SHA384_FIXED_SIGNING);
        Self::generate(algorithms, "1.3.132.0.34", "1.2.840.10045.4.3.3")
    }

    pub(crate) fn p256() -> Self {
        let algorithms = (&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P256_SHA256_FIXED_SIGNING);
        Self::generate(algorithms, "1.2.840.10045.3.1.7", "1.2.840.10045.4.3.2")
    }

    fn generate(
        (asn1, fixed): (
            &'static ring::signature::EcdsaSigningAlgorithm,
            &'static ring::signature::EcdsaSigningAlgorithm,
        ),
        curve: &'static str,
        signature: &'static str,
    ) -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(asn1, &random).expect("randomness is there");
        Self {
            asn1: EcdsaKeyPair::from_pkcs8(asn1, key.as_ref(), &random).expect("it was just made"),
            fixed: EcdsaKeyPair::from_pkcs8(fixed, key.as_ref(), &random).expect("it was just made"),
            curve,
            signature,
        }
    }

    /// SubjectPublicKeyInfo.
    pub(crate) fn public(&self) -> Vec<u8> {
        let algorithm = element(SEQUENCE, &[&oid("1.2.840.10045.2.1"), &oid(self.curve)]);
        element(SEQUENCE, &[&algorithm, &bit_string(self.asn1.public_key().as_ref())])
    }

    /// r ‖ s, big-endian.
    pub(crate) fn sign_fixed(&self, message: &[u8]) -> Vec<u8> {
        self.fixed.sign(&SystemRandom::new(), message).expect("randomness is there").as_ref().to_vec()
    }
}

impl Issue for EcKey {
    fn algorithm(&self) -> Vec<u8> {
        element(SEQUENCE, &[&oid(self.signature)])
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.asn1.sign(&SystemRandom::new(), message).expect("randomness is there").as_ref().to_vec()
    }
}
