//! Certificates and revocation lists of the simulated vendors. Each says that it is simulated.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint, CustomExtension,
    DistinguishedName, DnType, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose, PublicKeyData, RevocationReason,
    RevokedCertParams, SerialNumber, SigningKey,
};
use sha2::{Digest as _, Sha256};

use crate::dates::{Validity, date_time};

/// Organisation in every certificate.
pub(crate) const ORGANISATION: &str = "Development simulation";
/// Nobody can serve this name (RFC 2606): simulated lists are handed over, never fetched.
pub(crate) const REVOCATION_URL: &str = "https://simulation.invalid/revocation.crl";

/// What one certificate says about its holder.
pub(crate) struct Subject<'a> {
    /// Common name; begins with `SIMULATED`.
    pub(crate) name: &'a str,
    pub(crate) serial: u64,
    pub(crate) valid: Validity,
    pub(crate) role: Role,
    pub(crate) extensions: Vec<CustomExtension>,
}

/// What the holder of a certificate may sign.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    /// Certificates and revocation lists, with at most this many authorities below it.
    Authority { path_length: u8 },
    /// Documents.
    Signer,
}

/// A key with its certificate, able to issue further ones.
pub(crate) struct Authority<K> {
    pub(crate) key: K,
    pub(crate) certificate: Vec<u8>,
    params: CertificateParams,
}

impl<K: SigningKey> Authority<K> {
    /// Signs its own certificate.
    pub(crate) fn root(subject: Subject<'_>, key: K) -> Self {
        let params = params(subject, &key);
        let certificate = params.self_signed(&key).expect("parameters are complete and the key always signs");
        Self { certificate: certificate.der().to_vec(), key, params }
    }

    /// Is certified by `issuer`.
    pub(crate) fn below<I: SigningKey>(issuer: &Authority<I>, subject: Subject<'_>, key: K) -> Self {
        let params = params(subject, &key);
        let certificate = params
            .signed_by(&key, &Issuer::from_params(&issuer.params, &issuer.key))
            .expect("parameters are complete and the key always signs");
        Self { certificate: certificate.der().to_vec(), key, params }
    }

    /// Certifies somebody else's key; returns the certificate, DER.
    pub(crate) fn certify(&self, subject: Subject<'_>, key: &impl PublicKeyData) -> Vec<u8> {
        let certificate = params(subject, key)
            .signed_by(key, &Issuer::from_params(&self.params, &self.key))
            .expect("parameters are complete and the key always signs");
        certificate.der().to_vec()
    }

    /// The list of revoked serial numbers, DER. Must be valid for at least a second; shorter becomes that.
    pub(crate) fn revocation_list(&self, valid: Validity, number: u64, revoked: &[u64]) -> Vec<u8> {
        let this_update = date_time(valid.from);
        let list = CertificateRevocationListParams {
            this_update,
            next_update: date_time(valid.until).max(this_update.saturating_add(time::Duration::SECOND)),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked
                .iter()
                .map(|serial| RevokedCertParams {
                    serial_number: SerialNumber::from(*serial),
                    revocation_time: this_update,
                    reason_code: Some(RevocationReason::KeyCompromise),
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: self.params.key_identifier_method.clone(),
        };
        let list = list
            .signed_by(&Issuer::from_params(&self.params, &self.key))
            .expect("the list ends after it begins and its issuer may sign lists");
        list.der().to_vec()
    }
}

fn params(subject: Subject<'_>, key: &impl PublicKeyData) -> CertificateParams {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, subject.name);
    name.push(DnType::OrganizationName, ORGANISATION);
    let mut params = CertificateParams::default();
    params.not_before = date_time(subject.valid.from);
    params.not_after = date_time(subject.valid.until);
    params.serial_number = Some(SerialNumber::from(subject.serial));
    params.distinguished_name = name;
    (params.is_ca, params.key_usages) = match subject.role {
        Role::Authority { path_length } => (
            IsCa::Ca(BasicConstraints::Constrained(path_length)),
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign],
        ),
        Role::Signer => {
            (IsCa::ExplicitNoCa, vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment])
        }
    };
    params.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![REVOCATION_URL.to_owned()] }];
    params.custom_extensions = subject.extensions;
    params.use_authority_key_identifier_extension = true;
    params.key_identifier_method = KeyIdMethod::PreSpecified(Sha256::digest(key.der_bytes())[..20].to_vec());
    params
}

/// PEM with LF line ends, as vendors put it into quotes and headers.
pub(crate) fn pem(certificates: &[&[u8]]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for certificate in certificates {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let encoded = base64(certificate);
        for line in encoded.as_bytes().chunks(64) {
            writeln!(text, "{}", String::from_utf8_lossy(line)).expect("a string takes everything");
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
