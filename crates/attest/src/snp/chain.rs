//! The certificates behind a report: what VCEK or VLEK say about the platform, and the path from there over ASK or ASVK to one
//! of AMD's roots (ARK), with dates and the root's revocation list.
//!
//! AMD signs with RSASSA-PSS, SHA-384, salt of 48 bytes, and writes the parameters in two ways of its own (RFC 4055 allows
//! both): hash algorithms with NULL parameters, with and without the default trailer field.

use alloy_primitives::B256;
use der::asn1::{AnyRef, Ia5StringRef, ObjectIdentifier};
use der::{Decode as _, Reader as _, SliceReader};
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm, UnixTime, alg_id,
};
use strongroom_protocol::UnixSeconds;
use webpki::ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY;
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, ExpirationPolicy, RevocationOptionsBuilder,
    UnknownStatusPolicy, anchor_from_trusted_cert,
};
use x509_cert::time::Time;

use super::report::KeyKind;
use crate::anchors::{AmdProduct, Anchor, TrustAnchors, TrustDomain};
use crate::claims::{AmdSigningKey, Revocation, SnpTcb};
use crate::endorsements::AmdEndorsements;
use crate::error::{EndorsementFault, EvidenceFault, VerifyError};
use crate::x509::{Certificate, NO_SPECIAL_PURPOSE, unix_seconds};

const VEK: &str = "VCEK or VLEK certificate";
const INTERMEDIATE: &str = "ASK or ASVK certificate";
const ROOT: &str = "AMD root certificate";
const CRL: &str = "AMD revocation list";

/// AMD's arc for extensions of VCEK and VLEK certificates (KDS specification, document 57230).
const PRODUCT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.2");
const BOOTLOADER_SPL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.1");
const TEE_SPL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.2");
const SNP_SPL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.3");
const MICROCODE_SPL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.8");
const FMC_SPL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.9");
const HARDWARE_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.4");
const CSP_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.5");

/// A VCEK or VLEK certificate, read but not yet authentic.
pub(super) struct Vek {
    certificate: Certificate,
    key: Vec<u8>,
    pub(super) signing_key: AmdSigningKey,
    pub(super) product: AmdProduct,
    /// The firmware versions that the key was derived for.
    pub(super) tcb: SnpTcb,
    /// The chip of a VCEK, with zeros after shorter ids. A VLEK belongs to no chip.
    pub(super) chip_id: Option<[u8; 64]>,
}

/// What a verified path says.
pub(super) struct Path {
    pub(super) trust_domain: TrustDomain,
    /// SHA-256 of the root certificate.
    pub(super) root: B256,
    /// First end of validity on the path and of the list.
    pub(super) valid_until: UnixSeconds,
    pub(super) revocation: Revocation,
}

impl Vek {
    pub(super) fn parse(der: &[u8]) -> Result<Self, EndorsementFault> {
        let certificate = Certificate::from_der(der).ok_or_else(|| invalid(VEK, "it is not a certificate"))?;
        let key = certificate.p384_key().ok_or_else(|| invalid(VEK, "its key is not on P-384"))?.to_vec();
        let product = product(&certificate).ok_or_else(|| invalid(VEK, "it names no known product"))?;
        let tcb = tcb(&certificate, product).ok_or_else(|| invalid(VEK, "it lacks a firmware version"))?;
        let (signing_key, chip_id) = match role(&certificate) {
            Some(b"SEV-VCEK") => {
                let chip = chip_id(&certificate, product).ok_or_else(|| invalid(VEK, "it lacks a hardware id"))?;
                (AmdSigningKey::Vcek, Some(chip))
            }
            Some(b"SEV-VLEK") => {
                let csp_id = csp_id(&certificate).ok_or_else(|| invalid(VEK, "it lacks a provider id"))?;
                (AmdSigningKey::Vlek { csp_id }, None)
            }
            _ => return Err(invalid(VEK, "its common name is neither SEV-VCEK nor SEV-VLEK")),
        };
        Ok(Self { certificate, key, signing_key, product, tcb, chip_id })
    }

    /// The key that signs reports, an uncompressed point of P-384.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(super) fn kind(&self) -> KeyKind {
        match self.signing_key {
            AmdSigningKey::Vcek => KeyKind::Vcek,
            AmdSigningKey::Vlek { .. } => KeyKind::Vlek,
        }
    }

    /// The only common name that this key's issuer may have.
    fn issuer_name(&self) -> String {
        match self.kind() {
            KeyKind::Vcek => format!("SEV-{}", self.product),
            KeyKind::Vlek => format!("SEV-VLEK-{}", self.product),
        }
    }
}

/// Verifies that `vek`, parsed from the same `endorsements`, leads to a root of its product at `now`.
///
/// The revocation list is the root's: it says whether ASK or ASVK are revoked. AMD publishes none for single chips, whose
/// certificates all have serial number 0; those are excluded by platform id or by raising the floor of firmware versions.
pub(super) fn verify_path(
    vek: &Vek,
    endorsements: &AmdEndorsements,
    anchors: &TrustAnchors,
    now: UnixSeconds,
) -> Result<Path, VerifyError> {
    let intermediate = Certificate::from_der(endorsements.intermediate())
        .ok_or_else(|| invalid(INTERMEDIATE, "it is not a certificate"))?;
    if role(&intermediate) != Some(vek.issuer_name().as_bytes()) {
        return Err(EndorsementFault::ForAnother("product or kind of signing key").into());
    }
    let mut valid_until = check_dates(VEK, &vek.certificate, now)?.min(check_dates(INTERMEDIATE, &intermediate, now)?);
    let revocation = match endorsements.crl() {
        Some(crl) => {
            valid_until = valid_until.min(crl_valid_until(crl, now)?);
            Revocation::Checked
        }
        None => Revocation::NotChecked,
    };
    let mut refusal = VerifyError::from(EndorsementFault::UnknownRoot(VEK));
    for anchor in anchors.amd(vek.product) {
        let root =
            Certificate::from_der(&anchor.certificate).ok_or_else(|| invalid(ROOT, "it is not a certificate"))?;
        if root.subject() != intermediate.issuer() {
            continue;
        }
        valid_until = valid_until.min(check_dates(ROOT, &root, now)?);
        match verify_signatures(endorsements, anchor, now) {
            Ok(()) => {
                return Ok(Path {
                    trust_domain: anchor.domain.clone(),
                    root: anchor.fingerprint(),
                    valid_until,
                    revocation,
                });
            }
            Err(reason) => refusal = reason,
        }
    }
    Err(refusal)
}

/// Signatures, uses of keys, constraints and revocation along root, intermediate, VEK.
fn verify_signatures(endorsements: &AmdEndorsements, anchor: &Anchor, now: UnixSeconds) -> Result<(), VerifyError> {
    let root = CertificateDer::from(anchor.certificate.as_ref());
    let root = anchor_from_trusted_cert(&root).map_err(|error| invalid(ROOT, &error))?;
    let vek = CertificateDer::from(endorsements.vek());
    let vek = EndEntityCert::try_from(&vek).map_err(|error| invalid(VEK, &error))?;
    let crl = endorsements.crl().map(|der| revocation_list(der, root.subject.as_ref())).transpose()?;
    let lists: Vec<&CertRevocationList<'_>> = crl.iter().collect();
    let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
        options
            // The list speaks of what the root issued; it covers all of that, or `revocation_list` had refused it.
            .with_status_policy(UnknownStatusPolicy::Allow)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build()
    });
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.0));
    vek.verify_for_usage(
        &[&PSS_WITH_TRAILER, &PSS_WITHOUT_TRAILER],
        &[root],
        &[CertificateDer::from(endorsements.intermediate())],
        now,
        NO_SPECIAL_PURPOSE,
        revocation,
        None,
    )
    .map(|_| ())
    .map_err(path_fault)
}

/// A list that its issuer `root_subject` (content of the DER name) made for everything it issues.
fn revocation_list<'a>(der: &'a [u8], root_subject: &[u8]) -> Result<CertRevocationList<'a>, EndorsementFault> {
    let list = BorrowedCertRevocationList::from_der(der).map_err(|error| invalid(CRL, &error))?;
    let list = CertRevocationList::from(list);
    if list.issuer() != root_subject {
        return Err(EndorsementFault::ForAnother("root: the revocation list has another issuer"));
    }
    if list.issuing_distribution_point().is_some() {
        return Err(invalid(CRL, "it covers only part of what its issuer issued"));
    }
    Ok(list)
}

/// Refuses a list from the future, which the path library accepts, and tells until when it may be used.
fn crl_valid_until(der: &[u8], now: UnixSeconds) -> Result<UnixSeconds, EndorsementFault> {
    let (this_update, next_update) = crl_dates(der).map_err(|error| invalid(CRL, &error))?;
    if now < this_update {
        return Err(EndorsementFault::NotYetValid { what: CRL, valid_from: this_update, now });
    }
    if now >= next_update {
        return Err(EndorsementFault::Stale { what: CRL, valid_until: next_update, now });
    }
    Ok(next_update)
}

/// TBSCertList ::= SEQUENCE { version, signature, issuer, thisUpdate, nextUpdate, … } as the first element of the list.
fn crl_dates(der: &[u8]) -> der::Result<(UnixSeconds, UnixSeconds)> {
    let list = AnyRef::from_der(der)?;
    let signed = AnyRef::decode(&mut SliceReader::new(list.value())?)?;
    let mut fields = SliceReader::new(signed.value())?;
    for _ in ["version", "signature", "issuer"] {
        fields.tlv_bytes()?;
    }
    Ok((unix_seconds(Time::decode(&mut fields)?), unix_seconds(Time::decode(&mut fields)?)))
}

/// The end of validity, unless `now` is outside it. The last second belongs to it.
fn check_dates(
    what: &'static str,
    certificate: &Certificate,
    now: UnixSeconds,
) -> Result<UnixSeconds, EndorsementFault> {
    let (valid_from, valid_until) = certificate.validity();
    if now < valid_from {
        return Err(EndorsementFault::NotYetValid { what, valid_from, now });
    }
    if now > valid_until {
        return Err(EndorsementFault::Stale { what, valid_until, now });
    }
    Ok(valid_until)
}

fn path_fault(error: webpki::Error) -> VerifyError {
    match error {
        webpki::Error::UnknownIssuer => EndorsementFault::UnknownRoot(VEK).into(),
        webpki::Error::CertRevoked => EvidenceFault::Chain("the issuer of VCEK or VLEK is revoked".to_owned()).into(),
        error @ (webpki::Error::InvalidCrlSignatureForPublicKey
        | webpki::Error::UnsupportedCrlSignatureAlgorithmContext(_)
        | webpki::Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_)
        | webpki::Error::IssuerNotCrlSigner) => invalid(CRL, &error).into(),
        error => invalid("AMD certificate chain", &error).into(),
    }
}

fn invalid(what: &'static str, detail: &(impl ToString + ?Sized)) -> EndorsementFault {
    EndorsementFault::Invalid { what, detail: detail.to_string() }
}

/// The common name, which says what the certificate is for. A simulator writes `SIMULATED ` before it; that makes no difference
/// here, because what everything below a root belongs to follows from the root.
fn role(certificate: &Certificate) -> Option<&[u8]> {
    let name = certificate.common_name()?;
    Some(name.strip_prefix(b"SIMULATED ").unwrap_or(name))
}

/// Written as product or product-stepping: `Milan-B0`, `Turin`.
fn product(certificate: &Certificate) -> Option<AmdProduct> {
    let name = Ia5StringRef::from_der(certificate.extension(PRODUCT_NAME)?).ok()?;
    name.as_str().split('-').next()?.parse().ok()
}

fn tcb(certificate: &Certificate, product: AmdProduct) -> Option<SnpTcb> {
    let version = |id| u8::from_der(certificate.extension(id)?).ok();
    Some(SnpTcb {
        fmc: if product == AmdProduct::Turin { version(FMC_SPL)? } else { 0 },
        bootloader: version(BOOTLOADER_SPL)?,
        tee: version(TEE_SPL)?,
        snp: version(SNP_SPL)?,
        microcode: version(MICROCODE_SPL)?,
    })
}

/// The id is 8 bytes on Turin, 64 elsewhere; raw, or (both occur) as a DER OCTET STRING, two bytes longer.
fn chip_id(certificate: &Certificate, product: AmdProduct) -> Option<[u8; 64]> {
    let length = if product == AmdProduct::Turin { 8 } else { 64 };
    let extension = certificate.extension(HARDWARE_ID)?;
    let id = match extension.len().checked_sub(length)? {
        0 => extension,
        2 => AnyRef::from_der(extension).ok().filter(|any| any.header().tag() == der::Tag::OctetString)?.value(),
        _ => return None,
    };
    let mut chip_id = [0; 64];
    chip_id.get_mut(..id.len())?.copy_from_slice(id);
    Some(chip_id)
}

fn csp_id(certificate: &Certificate) -> Option<String> {
    let id = Ia5StringRef::from_der(certificate.extension(CSP_ID)?).ok()?;
    Some(id.as_str().to_owned())
}

/// RSASSA-PSS with SHA-384 under one of AMD's ways to write its parameters.
#[derive(Debug)]
struct AmdPss(AlgorithmIdentifier);

impl SignatureVerificationAlgorithm for AmdPss {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.0
    }

    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        RSA_PSS_2048_8192_SHA384_LEGACY_KEY.verify_signature(key, message, signature)
    }
}

/// { id-RSASSA-PSS, { [0] SHA-384 with NULL, [1] MGF1 over the same, [2] 48, [3] 1 } } without the outermost header.
static PSS_WITH_TRAILER: AmdPss = AmdPss(AlgorithmIdentifier::from_slice(&[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30, 0x39, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09,
    0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86,
    0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
    0x02, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x30, 0xa3, 0x03, 0x02, 0x01, 0x01,
]));

/// The same without [3].
static PSS_WITHOUT_TRAILER: AmdPss = AmdPss(AlgorithmIdentifier::from_slice(&[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30, 0x34, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09,
    0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86,
    0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
    0x02, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x30,
]));

#[cfg(test)]
mod tests {
    use super::*;

    const TURIN_VCEK: &[u8] = include_bytes!("../../testdata/snp/turin_vcek.der");
    const TURIN_ASK: &[u8] = include_bytes!("../../testdata/snp/turin_ask.der");
    const GENOA_ASK: &[u8] = include_bytes!("../../testdata/snp/genoa_ask.der");

    /// Dates of the Turin VCEK, the shortest on its path.
    const VALID_FROM: UnixSeconds = UnixSeconds(1_730_927_640);
    const VALID_UNTIL: UnixSeconds = UnixSeconds(1_951_766_040);

    fn verify(ask: &[u8], now: UnixSeconds) -> Result<Path, VerifyError> {
        let endorsements = AmdEndorsements::new(TURIN_VCEK.to_vec(), ask.to_vec(), None, now).unwrap();
        let vek = Vek::parse(TURIN_VCEK).unwrap();
        verify_path(&vek, &endorsements, &TrustAnchors::production(), now)
    }

    #[test]
    fn a_real_turin_certificate_states_chip_and_firmware() {
        let vek = Vek::parse(TURIN_VCEK).unwrap();
        assert_eq!((vek.product, vek.kind()), (AmdProduct::Turin, KeyKind::Vcek));
        assert_eq!(vek.tcb, SnpTcb { microcode: 9, ..SnpTcb::default() });
        let mut chip_id = [0; 64];
        chip_id[..8].copy_from_slice(&[0x1e, 0x55, 0x0a, 0x8e, 0xe5, 0xcf, 0x9f, 0x4d]);
        assert_eq!(vek.chip_id, Some(chip_id));
    }

    #[test]
    fn a_real_turin_certificate_leads_to_the_turin_root_within_its_dates() {
        for now in [VALID_FROM, VALID_UNTIL] {
            let path = verify(TURIN_ASK, now).unwrap();
            assert_eq!(path.trust_domain, TrustDomain::Production);
            assert_eq!(hex::encode(path.root), "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a");
            assert_eq!(path.valid_until, VALID_UNTIL);
        }
        for now in [VALID_FROM.0 - 1, VALID_UNTIL.0 + 1] {
            assert!(verify(TURIN_ASK, UnixSeconds(now)).is_err());
        }
    }

    #[test]
    fn a_real_turin_certificate_does_not_lead_to_the_root_of_another_product() {
        assert!(verify(GENOA_ASK, VALID_FROM).is_err());
    }
}
