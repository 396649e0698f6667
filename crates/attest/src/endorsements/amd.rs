//! AMD's certificates and revocation list for SEV-SNP.

use alloy_primitives::B256;
use strongroom_protocol::UnixSeconds;

use super::{MAX_CERTIFICATE_BYTES, MAX_ENDORSEMENT_BYTES, check_size, digest_of};
use crate::error::EndorsementFault;

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

#[cfg(test)]
mod tests {
    use super::*;

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
