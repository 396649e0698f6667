//! What vendors say about platforms: certificates, revocation lists and TCB data, fetched by the verifier, never chosen by the
//! sender of evidence.
//!
//! Sizes are checked when a set is made; signatures and dates when it is used, with the anchors and time of that moment.

use alloy_primitives::B256;
use ring::digest::{Context, SHA256};
use strongroom_protocol::UnixSeconds;

use crate::error::EndorsementFault;

/// Most bytes in one set of endorsements.
pub const MAX_ENDORSEMENT_BYTES: usize = 512 * 1024;
/// Most bytes in one AMD certificate.
pub const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;

/// Endorsements for one platform, by vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endorsements {
    /// For SGX and TDX.
    Intel(IntelEndorsements),
    /// For SEV-SNP.
    Amd(AmdEndorsements),
    /// Nitro documents carry their certificates; nothing is needed.
    NotNeeded,
}

/// Intel's collateral for one FMSPC, CA and kind of enclave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntelEndorsements {
    /// In the form the verification library takes. Its optional PCK chain stays empty: that one comes from the quote.
    pub(crate) collateral: dcap_qvl::QuoteCollateralV3,
    fetched_at: UnixSeconds,
    digest: B256,
}

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

impl IntelEndorsements {
    /// Takes a set as fetched at `fetched_at`. Fails only if it is larger than [`MAX_ENDORSEMENT_BYTES`].
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
        Ok(Self { collateral, fetched_at, digest })
    }

    /// When the set was fetched.
    pub fn fetched_at(&self) -> UnixSeconds {
        self.fetched_at
    }

    /// SHA-256 over the parts, each behind its length.
    pub fn digest(&self) -> B256 {
        self.digest
    }
}

/// AMD's certificates for one chip or cloud provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmdEndorsements {
    vek: Vec<u8>,
    intermediate: Vec<u8>,
    crl: Option<Vec<u8>>,
    fetched_at: UnixSeconds,
    digest: B256,
}

impl AmdEndorsements {
    /// Takes VCEK or VLEK, the ASK or ASVK that issued it, and the root's revocation list, all DER.
    ///
    /// Fails only if one of them is larger than the caps.
    pub fn new(
        vek: Vec<u8>,
        intermediate: Vec<u8>,
        crl: Option<Vec<u8>>,
        fetched_at: UnixSeconds,
    ) -> Result<Self, EndorsementFault> {
        check_size("VCEK or VLEK certificate", vek.len(), MAX_CERTIFICATE_BYTES)?;
        check_size("ASK or ASVK certificate", intermediate.len(), MAX_CERTIFICATE_BYTES)?;
        check_size("AMD revocation list", crl.as_ref().map_or(0, Vec::len), MAX_ENDORSEMENT_BYTES)?;
        let digest = digest_of(&[&vek, &intermediate, crl.as_deref().unwrap_or_default()]);
        Ok(Self { vek, intermediate, crl, fetched_at, digest })
    }

    /// The VCEK or VLEK certificate, DER.
    pub fn vek(&self) -> &[u8] {
        &self.vek
    }

    /// The ASK or ASVK certificate, DER.
    pub fn intermediate(&self) -> &[u8] {
        &self.intermediate
    }

    /// The root's revocation list, DER, if one was fetched.
    pub fn crl(&self) -> Option<&[u8]> {
        self.crl.as_deref()
    }

    /// When the set was fetched.
    pub fn fetched_at(&self) -> UnixSeconds {
        self.fetched_at
    }

    /// SHA-256 over the parts, each behind its length.
    pub fn digest(&self) -> B256 {
        self.digest
    }
}

fn check_size(what: &'static str, size_bytes: usize, max_bytes: usize) -> Result<(), EndorsementFault> {
    if size_bytes > max_bytes {
        return Err(EndorsementFault::TooLarge { what, size_bytes, max_bytes });
    }
    Ok(())
}

/// SHA-256(be64(len p1) ‖ p1 ‖ be64(len p2) ‖ p2 …).
fn digest_of(parts: &[&[u8]]) -> B256 {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    B256::from_slice(context.finish().as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oversized_endorsements_are_refused_before_parsing() {
        let amd = |vek, intermediate, crl| {
            AmdEndorsements::new(vec![0; vek], vec![0; intermediate], Some(vec![0; crl]), UnixSeconds(0)).map(|_| ())
        };
        assert_eq!(amd(MAX_CERTIFICATE_BYTES, MAX_CERTIFICATE_BYTES, MAX_ENDORSEMENT_BYTES), Ok(()));
        assert!(matches!(amd(MAX_CERTIFICATE_BYTES + 1, 1, 1), Err(EndorsementFault::TooLarge { .. })));
        assert!(matches!(amd(1, MAX_CERTIFICATE_BYTES + 1, 1), Err(EndorsementFault::TooLarge { .. })));
        assert!(matches!(amd(1, 1, MAX_ENDORSEMENT_BYTES + 1), Err(EndorsementFault::TooLarge { .. })));
        let intel = IntelParts { root_ca_crl: vec![0; MAX_ENDORSEMENT_BYTES], ..no_parts() };
        assert!(IntelEndorsements::new(intel.clone(), UnixSeconds(0)).is_ok());
        let larger = IntelParts { tcb_info: "x".into(), ..intel };
        assert!(matches!(IntelEndorsements::new(larger, UnixSeconds(0)), Err(EndorsementFault::TooLarge { .. })));
    }

    #[test]
    fn the_digest_tells_where_each_part_ends() {
        let digest = |tcb_info: &str, qe_identity: &str| {
            let parts = IntelParts { tcb_info: tcb_info.into(), qe_identity: qe_identity.into(), ..no_parts() };
            IntelEndorsements::new(parts, UnixSeconds(0)).unwrap().digest()
        };
        assert_eq!(digest("ab", "c"), digest("ab", "c"));
        assert_ne!(digest("ab", "c"), digest("a", "bc"));
    }

    fn no_parts() -> IntelParts {
        IntelParts {
            pck_crl_issuer_chain: String::new(),
            root_ca_crl: vec![],
            pck_crl: vec![],
            tcb_info_issuer_chain: String::new(),
            tcb_info: String::new(),
            tcb_info_signature: vec![],
            qe_identity_issuer_chain: String::new(),
            qe_identity: String::new(),
            qe_identity_signature: vec![],
        }
    }
}
