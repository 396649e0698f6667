//! Intel's collateral for SGX and TDX: parsed when it arrives, so that using it costs nothing but the signatures.

use std::fmt;
use std::str::FromStr;

use alloy_primitives::{B256, FixedBytes};
use der::{DateTime, Decode as _};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use strongroom_protocol::UnixSeconds;
use webpki::EndEntityCert;
use webpki::ring::ECDSA_P256_SHA256;
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::name::Name;

use super::{MAX_ENDORSEMENT_BYTES, check_size, digest_of};
use crate::anchors::{Anchor, TrustAnchors};
use crate::der_signed::SignedDer;
use crate::error::EndorsementFault;

/// Most certificates in one issuer chain.
const MAX_CHAIN_CERTIFICATES: usize = 6;

/// The answers of Intel's provisioning certification service (or a cache of it), bodies as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntelParts {
    /// Header of the PCK CRL answer, URL-decoded: PEM.
    pub pck_crl_issuer_chain: String,
    /// Revocation list of the root, DER.
    pub root_ca_crl: Vec<u8>,
    /// Revocation list of the PCK CA, DER.
    pub pck_crl: Vec<u8>,
    /// Header of the TCB info answer, URL-decoded: PEM.
    pub tcb_info_issuer_chain: String,
    /// The `tcbInfo` member: its exact JSON text.
    pub tcb_info: String,
    /// The `signature` beside it, r ‖ s, 64 bytes.
    pub tcb_info_signature: Vec<u8>,
    /// Header of the identity answer, URL-decoded: PEM.
    pub qe_identity_issuer_chain: String,
    /// The `enclaveIdentity` member: its exact JSON text.
    pub qe_identity: String,
    /// The `signature` beside it, r ‖ s, 64 bytes.
    pub qe_identity_signature: Vec<u8>,
}

impl IntelParts {
    /// Reads the JSON object in which Intel's tools and `dcap-qvl` keep a set: members named as here, binary ones in hex.
    /// An embedded PCK certificate chain is ignored; that one comes from the quote.
    pub fn from_json(json: &[u8]) -> Result<Self, EndorsementFault> {
        check_size("Intel endorsements", json.len(), 2 * MAX_ENDORSEMENT_BYTES)?;
        let set: JsonParts = serde_json::from_slice(json).map_err(|error| invalid("collateral JSON", error))?;
        Ok(Self {
            pck_crl_issuer_chain: set.pck_crl_issuer_chain,
            root_ca_crl: set.root_ca_crl,
            pck_crl: set.pck_crl,
            tcb_info_issuer_chain: set.tcb_info_issuer_chain,
            tcb_info: set.tcb_info,
            tcb_info_signature: set.tcb_info_signature,
            qe_identity_issuer_chain: set.qe_identity_issuer_chain,
            qe_identity: set.qe_identity,
            qe_identity_signature: set.qe_identity_signature,
        })
    }
}

#[derive(Deserialize)]
struct JsonParts {
    pck_crl_issuer_chain: String,
    #[serde(with = "hex::serde")]
    root_ca_crl: Vec<u8>,
    #[serde(with = "hex::serde")]
    pck_crl: Vec<u8>,
    tcb_info_issuer_chain: String,
    tcb_info: String,
    #[serde(with = "hex::serde")]
    tcb_info_signature: Vec<u8>,
    qe_identity_issuer_chain: String,
    qe_identity: String,
    #[serde(with = "hex::serde")]
    qe_identity_signature: Vec<u8>,
}

/// Which kind of enclave a set of Intel endorsements speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IntelTee {
    /// SGX enclaves.
    Sgx,
    /// TDX trust domains.
    Tdx,
}

/// Intel's collateral for one FMSPC, CA and kind of enclave. Parsed and within the caps; not yet authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntelEndorsements {
    /// In the form the verification library takes. Its optional PCK chain stays empty: that one comes from the quote.
    collateral: dcap_qvl::QuoteCollateralV3,
    /// The last certificate of the TCB info chain, DER.
    root: Vec<u8>,
    tee: IntelTee,
    fmspc: FixedBytes<6>,
    pce_id: FixedBytes<2>,
    evaluation_number: u32,
    crl_numbers: CrlNumbers,
    windows: Vec<Window>,
    fetched_at: UnixSeconds,
    digest: B256,
}

/// Serial numbers of the two revocation lists. Neither ever falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrlNumbers {
    /// Of the root's list.
    pub root: u64,
    /// Of the PCK CA's list.
    pub pck: u64,
}

/// When one part of the set is valid, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    what: &'static str,
    from: UnixSeconds,
    until: UnixSeconds,
}

impl IntelEndorsements {
    /// Takes a set as fetched at `fetched_at`.
    ///
    /// Fails if it is larger than [`MAX_ENDORSEMENT_BYTES`] or if a part is not in its format. Signatures and dates are
    /// checked when the set is used, or by [`IntelEndorsements::check`].
    pub fn new(parts: IntelParts, fetched_at: UnixSeconds) -> Result<Self, EndorsementFault> {
        let slices: [&[u8]; 9] = [
            parts.pck_crl_issuer_chain.as_bytes(),
            &parts.root_ca_crl,
            &parts.pck_crl,
            parts.tcb_info_issuer_chain.as_bytes(),
            parts.tcb_info.as_bytes(),
            &parts.tcb_info_signature,
            parts.qe_identity_issuer_chain.as_bytes(),
            parts.qe_identity.as_bytes(),
            &parts.qe_identity_signature,
        ];
        check_size("Intel endorsements", slices.iter().map(|part| part.len()).sum(), MAX_ENDORSEMENT_BYTES)?;
        let digest = digest_of(&slices);

        let tcb_info: dcap_qvl::TcbInfo =
            serde_json::from_str(&parts.tcb_info).map_err(|error| invalid("TCB info", error))?;
        let qe_identity: dcap_qvl::QeIdentity =
            serde_json::from_str(&parts.qe_identity).map_err(|error| invalid("QE identity", error))?;
        let (root_crl, root_crl_number) = crl_facts("root revocation list", &parts.root_ca_crl)?;
        let (pck_crl, pck_crl_number) = crl_facts("PCK revocation list", &parts.pck_crl)?;
        let mut windows = vec![
            json_window("TCB info", &tcb_info.issue_date, &tcb_info.next_update)?,
            json_window("QE identity", &qe_identity.issue_date, &qe_identity.next_update)?,
            root_crl,
            pck_crl,
        ];
        let mut root = Vec::new();
        for (what, pem) in [
            ("PCK revocation list chain", &parts.pck_crl_issuer_chain),
            ("QE identity chain", &parts.qe_identity_issuer_chain),
            ("TCB info chain", &parts.tcb_info_issuer_chain),
        ] {
            let chain = certificates(what, pem)?;
            for certificate in &chain {
                windows.push(certificate_window(what, certificate)?);
            }
            // The TCB info chain is the last one: its last certificate says which anchor the set leads to.
            root = chain.last().map(|certificate| certificate.to_vec()).unwrap_or_default();
        }
        let tee = match tcb_info.id.as_str() {
            "SGX" => IntelTee::Sgx,
            "TDX" => IntelTee::Tdx,
            other => return Err(invalid("TCB info", format!("id {other:?} is neither SGX nor TDX"))),
        };
        let collateral = dcap_qvl::QuoteCollateralV3 {
            pck_crl_issuer_chain: parts.pck_crl_issuer_chain,
            root_ca_crl: parts.root_ca_crl,
            pck_crl: parts.pck_crl,
            tcb_info_issuer_chain: parts.tcb_info_issuer_chain,
            tcb_info: parts.tcb_info,
            tcb_info_signature: parts.tcb_info_signature,
            qe_identity_issuer_chain: parts.qe_identity_issuer_chain,
            qe_identity: parts.qe_identity,
            qe_identity_signature: parts.qe_identity_signature,
            pck_certificate_chain: None,
        };
        Ok(Self {
            collateral,
            root,
            tee,
            fmspc: hex_array("FMSPC of the TCB info", &tcb_info.fmspc)?,
            pce_id: hex_array("PCE id of the TCB info", &tcb_info.pce_id)?,
            evaluation_number: tcb_info.tcb_evaluation_data_number.min(qe_identity.tcb_evaluation_data_number),
            crl_numbers: CrlNumbers { root: root_crl_number, pck: pck_crl_number },
            windows,
            fetched_at,
            digest,
        })
    }

    /// Which kind of enclave the set is for.
    pub fn tee(&self) -> IntelTee {
        self.tee
    }

    /// Which platforms the set is for.
    pub fn fmspc(&self) -> FixedBytes<6> {
        self.fmspc
    }

    /// Which provisioning certification enclave the set is for.
    pub fn pce_id(&self) -> FixedBytes<2> {
        self.pce_id
    }

    /// The lower of the two evaluation numbers. A newer set never has a lower one.
    pub fn evaluation_number(&self) -> u32 {
        self.evaluation_number
    }

    /// Serial numbers of the revocation lists. A newer set never has lower ones.
    pub fn crl_numbers(&self) -> CrlNumbers {
        self.crl_numbers
    }

    /// Last second at which every part of the set is valid.
    pub fn valid_until(&self) -> UnixSeconds {
        self.windows.iter().map(|window| window.until).min().unwrap_or_default()
    }

    /// When the set was fetched.
    pub fn fetched_at(&self) -> UnixSeconds {
        self.fetched_at
    }

    /// SHA-256 over the parts, each behind its length.
    pub fn digest(&self) -> B256 {
        self.digest
    }

    /// In the form the verification library takes.
    pub(crate) fn collateral(&self) -> &dcap_qvl::QuoteCollateralV3 {
        &self.collateral
    }

    /// Name of the authority whose PCK certificates the set can judge: the issuer of its PCK revocation list.
    pub(crate) fn pck_authority(&self) -> Result<Name, EndorsementFault> {
        let list: CertificateList = CertificateList::from_der(&self.collateral.pck_crl)
            .map_err(|error| invalid("PCK revocation list", error))?;
        Ok(list.tbs_cert_list.issuer)
    }

    /// The configured anchor this set leads to. Without one the set is worthless, whatever its signatures say.
    pub(crate) fn anchor<'a>(&self, anchors: &'a TrustAnchors) -> Result<&'a Anchor, EndorsementFault> {
        let anchor = anchors.intel().iter().find(|anchor| *anchor.certificate == *self.root);
        anchor.ok_or(EndorsementFault::UnknownRoot("TCB info chain"))
    }

    /// Whether every part is valid at `now`, by the dates alone.
    pub(crate) fn check_dates(&self, now: UnixSeconds) -> Result<(), EndorsementFault> {
        for Window { what, from, until } in self.windows.iter().copied() {
            if now < from {
                return Err(EndorsementFault::NotYetValid { what, valid_from: from, now });
            }
            if now > until {
                return Err(EndorsementFault::Stale { what, valid_until: until, now });
            }
        }
        Ok(())
    }

    /// Whether the set is authentic and valid at `now`, without any evidence: what a cache asks before it lets a fetched set
    /// replace the one it has.
    ///
    /// Evidence that fails under a set which passes here is bad evidence.
    pub fn check(&self, anchors: &TrustAnchors, now: UnixSeconds) -> Result<(), EndorsementFault> {
        let anchor = self.anchor(anchors)?;
        self.check_dates(now)?;
        let parts = &self.collateral;
        SignedDer::parse(&parts.root_ca_crl)
            .and_then(|crl| crl.check_signature(&anchor.certificate))
            .map_err(|detail| invalid("root revocation list", detail))?;

        let pck_ca = self.issued_by_root("PCK revocation list chain", &parts.pck_crl_issuer_chain, anchor)?;
        SignedDer::parse(&parts.pck_crl)
            .and_then(|crl| crl.check_signature(&pck_ca))
            .map_err(|detail| invalid("PCK revocation list", detail))?;

        let signer = self.issued_by_root("TCB info chain", &parts.tcb_info_issuer_chain, anchor)?;
        check_text_signature("TCB info", &signer, &parts.tcb_info, &parts.tcb_info_signature)?;
        let signer = self.issued_by_root("QE identity chain", &parts.qe_identity_issuer_chain, anchor)?;
        check_text_signature("QE identity", &signer, &parts.qe_identity, &parts.qe_identity_signature)
    }

    /// The first certificate of the chain, DER, if the anchor signed it and its list does not revoke it.
    fn issued_by_root(&self, what: &'static str, pem: &str, anchor: &Anchor) -> Result<Vec<u8>, EndorsementFault> {
        let chain = certificates(what, pem)?;
        let first = chain.first().ok_or_else(|| invalid(what, "it is empty"))?.as_ref();
        SignedDer::parse(first)
            .and_then(|certificate| certificate.check_signature(&anchor.certificate))
            .map_err(|detail| invalid(what, detail))?;
        let certificate = Certificate::from_der(first).map_err(|error| invalid(what, error))?;
        let list: CertificateList = CertificateList::from_der(&self.collateral.root_ca_crl)
            .map_err(|error| invalid("root revocation list", error))?;
        let serial = certificate.tbs_certificate().serial_number();
        if list.tbs_cert_list.revoked_certificates.iter().flatten().any(|revoked| revoked.serial_number == *serial) {
            return Err(invalid(what, "its signer is revoked"));
        }
        Ok(first.to_vec())
    }
}

fn invalid(what: &'static str, detail: impl fmt::Display) -> EndorsementFault {
    EndorsementFault::Invalid { what, detail: format!("{detail}") }
}

fn check_text_signature(
    what: &'static str,
    signer: &[u8],
    text: &str,
    signature: &[u8],
) -> Result<(), EndorsementFault> {
    let signer = CertificateDer::from(signer);
    let signer = EndEntityCert::try_from(&signer).map_err(|error| invalid(what, error))?;
    let signature =
        crate::der_signed::ecdsa_der_from_raw(signature).ok_or_else(|| invalid(what, "signature is not 64 bytes"))?;
    signer
        .verify_signature(ECDSA_P256_SHA256, text.as_bytes(), &signature)
        .map_err(|_| invalid(what, "signature does not verify"))
}

fn certificates(what: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, EndorsementFault> {
    let mut chain = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        chain.push(certificate.map_err(|error| invalid(what, error))?);
        if chain.len() > MAX_CHAIN_CERTIFICATES {
            return Err(invalid(what, "too many certificates"));
        }
    }
    if chain.is_empty() {
        return Err(invalid(what, "no certificate in it"));
    }
    Ok(chain)
}

fn certificate_window(what: &'static str, der: &[u8]) -> Result<Window, EndorsementFault> {
    let certificate = Certificate::from_der(der).map_err(|error| invalid(what, error))?;
    let validity = certificate.tbs_certificate().validity();
    Ok(Window {
        what,
        from: UnixSeconds(validity.not_before.to_unix_duration().as_secs()),
        until: UnixSeconds(validity.not_after.to_unix_duration().as_secs()),
    })
}

fn json_window(what: &'static str, from: &str, until: &str) -> Result<Window, EndorsementFault> {
    let seconds = |text: &str| {
        let time = DateTime::from_str(text).map_err(|_| invalid(what, "a date in it is not YYYY-MM-DDTHH:MM:SSZ"))?;
        Ok::<_, EndorsementFault>(UnixSeconds(time.unix_duration().as_secs()))
    };
    Ok(Window { what, from: seconds(from)?, until: seconds(until)? })
}

/// Window and number of a revocation list. At the second of its `nextUpdate` it counts as expired.
fn crl_facts(what: &'static str, der: &[u8]) -> Result<(Window, u64), EndorsementFault> {
    let list: CertificateList = CertificateList::from_der(der).map_err(|error| invalid(what, error))?;
    let list = &list.tbs_cert_list;
    let next_update =
        list.next_update.ok_or_else(|| invalid(what, "it has no nextUpdate"))?.to_unix_duration().as_secs();
    let window = Window {
        what,
        from: UnixSeconds(list.this_update.to_unix_duration().as_secs()),
        until: UnixSeconds(next_update.saturating_sub(1)),
    };
    let extension = list.crl_extensions.iter().flatten().find(|extension| extension.extn_id == CRL_NUMBER);
    let extension = extension.ok_or_else(|| invalid(what, "it has no number"))?;
    let number = u64::from_der(extension.extn_value.as_bytes()).map_err(|error| invalid(what, error))?;
    Ok((window, number))
}

/// id-ce-cRLNumber, RFC 5280 §5.2.3.
const CRL_NUMBER: der::asn1::ObjectIdentifier = der::asn1::ObjectIdentifier::new_unwrap("2.5.29.20");

fn hex_array<const N: usize>(what: &'static str, text: &str) -> Result<FixedBytes<N>, EndorsementFault> {
    let mut bytes = FixedBytes::ZERO;
    hex::decode_to_slice(text, bytes.as_mut_slice()).map_err(|error| invalid(what, error))?;
    Ok(bytes)
}
