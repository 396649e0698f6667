//! The enclave as a decision sees it: only what was proven, reduced to what the chain can name and a policy has judged.

use std::fmt;

use alloy_primitives::B256;
use strongroom_attest::claims::{Code, TdxCode};
use strongroom_attest::measurement::{ApprovedImages, OsImageId};
use strongroom_attest::policy::PolicyHash;
use strongroom_attest::{EvidenceKind, Policy, PolicyRefusal, TrustDomain, Verified};

pub use strongroom_protocol::release::APP_IMAGE_EVENT;

/// What code an enclave was proven to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// An SGX enclave, identified by its measurement.
    Sgx {
        /// MRENCLAVE.
        mrenclave: B256,
    },
    /// A TDX guest: the platform is one thing, the app image it measured another.
    Tdx {
        /// Its operating-system image.
        image: OsImageId,
        /// Whether the operator approved that image with this RTMR0.
        approved: bool,
        /// Digest of the app's image in the replayed log, if exactly one was measured.
        app_image: Option<B256>,
    },
    /// A kind of enclave that no deal can ask for yet.
    Other(EvidenceKind),
    /// None that we saw: a secret provisioner of the operator, which attests enclaves itself. Never in an [`Enclave`].
    Keeper(String),
}

/// For people and for the journal.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sgx { mrenclave } => write!(f, "sgx mrenclave {mrenclave}"),
            Self::Tdx { image, app_image: Some(app), .. } => write!(f, "tdx image {image} app {app}"),
            Self::Tdx { image, app_image: None, .. } => write!(f, "tdx image {image} without a measured app"),
            Self::Other(kind) => write!(f, "{}", kind.as_str()),
            Self::Keeper(name) => write!(f, "entrusted to {name}"),
        }
    }
}

/// An enclave that proved what it is. Only made from [`Verified`] evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enclave {
    pub(crate) identity: Identity,
    pub(crate) debug: bool,
    pub(crate) report_data: [u8; 64],
    pub(crate) trust_domain: TrustDomain,
    pub(crate) policy: Result<PolicyHash, PolicyRefusal>,
}

impl Enclave {
    /// Reduces verified evidence to what a decision needs, and judges it by the operator's rules.
    pub fn of(verified: &Verified, policy: &Policy, approved: &ApprovedImages) -> Self {
        let claims = verified.claims();
        let identity = match &claims.code {
            Code::Sgx(sgx) => Identity::Sgx { mrenclave: sgx.mrenclave },
            Code::Tdx(tdx) => tdx_identity(tdx, approved),
            Code::Snp(_) | Code::Nitro(_) => Identity::Other(claims.kind),
        };
        let policy = policy.evaluate(verified).map(|accepted| accepted.policy());
        let trust_domain = claims.trust_domain.clone();
        Self { identity, debug: claims.debug, report_data: claims.report_data.0, trust_domain, policy }
    }

    /// What code it runs.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

fn tdx_identity(tdx: &TdxCode, approved: &ApprovedImages) -> Identity {
    let app_image = tdx
        .log
        .as_ref()
        .and_then(|log| log.application_event(APP_IMAGE_EVENT))
        .and_then(|payload| B256::try_from(payload).ok());
    Identity::Tdx { image: OsImageId::of(tdx), approved: approved.find(tdx).is_some(), app_image }
}

#[cfg(test)]
mod tests;
