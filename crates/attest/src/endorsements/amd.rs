//! AMD's certificates and revocation list for SEV-SNP.

use alloy_primitives::B256;
use der::Decode as _;
use strongroom_protocol::UnixSeconds;
use x509_cert::crl::CertificateList;

use super::{MAX_CERTIFICATE_BYTES, MAX_ENDORSEMENT_BYTES, check_size, digest_of};
use crate::error::EndorsementFault;
use crate::x509::Certificate;

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

    /// Sorts certificates and revocation lists (DER), as they lie in a folder, into sets: one for each VCEK or VLEK whose issuer
    /// is there too, with the list of that issuer's root if it is there. Roots and what belongs to nothing are passed over.
    ///
    /// Only names are looked at; nothing is authentic yet. Fails if one of the documents is neither certificate nor list, or
    /// larger than the caps.
    pub fn assemble(documents: &[Vec<u8>], fetched_at: UnixSeconds) -> Result<Vec<Self>, EndorsementFault> {
        let mut certificates = Vec::new();
        let mut lists = Vec::new();
        for der in documents {
            check_size("AMD certificate or revocation list", der.len(), MAX_ENDORSEMENT_BYTES)?;
            if let Some(certificate) = Certificate::from_der(der) {
                certificates.push((certificate, der));
            } else {
                let list: CertificateList = CertificateList::from_der(der).map_err(|_| EndorsementFault::Invalid {
                    what: "AMD certificate or revocation list",
                    detail: "it is neither a certificate nor a revocation list".to_owned(),
                })?;
                lists.push((list.tbs_cert_list.issuer, der));
            }
        }
        let veks = certificates.iter().filter(|(it, _)| matches!(it.common_name(), Some(b"SEV-VCEK" | b"SEV-VLEK")));
        veks.filter_map(|(vek, vek_der)| {
            let (issuer, issuer_der) = certificates.iter().find(|(it, _)| it.subject() == vek.issuer())?;
            let list = lists.iter().find(|(of, _)| of == issuer.issuer()).map(|(_, der)| Vec::clone(der));
            Some(Self::new(Vec::clone(vek_der), Vec::clone(issuer_der), list, fetched_at))
        })
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_in_any_order_become_one_set_for_each_chip() {
        let [vcek, ask, other_ask, other_vcek, ark] = [
            include_bytes!("../../testdata/snp/milan_vcek.der").as_slice(),
            include_bytes!("../../testdata/snp/milan_ask.der"),
            include_bytes!("../../testdata/snp/turin_ask.der"),
            include_bytes!("../../testdata/snp/turin_vcek.der"),
            include_bytes!("../../roots/amd-ark-milan.der"),
        ]
        .map(<[u8]>::to_vec);
        let now = UnixSeconds(1);
        let milan = AmdEndorsements::new(vcek.clone(), ask.clone(), None, now).unwrap();
        let turin = AmdEndorsements::new(other_vcek.clone(), other_ask.clone(), None, now).unwrap();
        let assemble = |documents: &[&Vec<u8>]| {
            let documents: Vec<Vec<u8>> = documents.iter().copied().cloned().collect();
            AmdEndorsements::assemble(&documents, now)
        };
        assert_eq!(assemble(&[&ark, &ask, &vcek]), Ok(vec![milan.clone()]));
        assert_eq!(assemble(&[&vcek, &other_vcek, &other_ask, &ark, &ask]), Ok(vec![milan, turin]));
        assert_eq!(assemble(&[&vcek, &ark, &other_ask]), Ok(vec![]));
        assert!(matches!(assemble(&[&vcek, &b"no DER".to_vec()]), Err(EndorsementFault::Invalid { .. })));
    }

    #[test]
    fn oversized_certificates_and_lists_are_refused_before_parsing() {
        let amd = |vek, intermediate, crl| {
            AmdEndorsements::new(vec![0; vek], vec![0; intermediate], Some(vec![0; crl]), UnixSeconds(0)).map(|_| ())
        };
        assert_eq!(amd(MAX_CERTIFICATE_BYTES, MAX_CERTIFICATE_BYTES, MAX_ENDORSEMENT_BYTES), Ok(()));
        assert!(matches!(amd(MAX_CERTIFICATE_BYTES + 1, 1, 1), Err(EndorsementFault::TooLarge { .. })));
        assert!(matches!(amd(1, MAX_CERTIFICATE_BYTES + 1, 1), Err(EndorsementFault::TooLarge { .. })));
        assert!(matches!(amd(1, 1, MAX_ENDORSEMENT_BYTES + 1), Err(EndorsementFault::TooLarge { .. })));
    }
}
