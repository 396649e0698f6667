//! The enclave as a decision sees it: only what was proven, reduced to what the chain can name.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{B256, FixedBytes, keccak256};
use strongroom_attest::claims::{Code, TdxCode};
use strongroom_attest::{EvidenceKind, Verified};

/// Name of the run-time event by which the guest measures the digest of the app's image (32 bytes) into RTMR3.
pub const APP_IMAGE_EVENT: &str = "strongroom-app-image";

/// Operating-system images of TDX guests that the operator approved: image id → allowed values of RTMR0, which depends on
/// the shape of the VM. The image id is keccak256(MRTD ‖ RTMR1 ‖ RTMR2).
pub type ApprovedImages = BTreeMap<B256, BTreeSet<FixedBytes<48>>>;

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
        /// keccak256(MRTD ‖ RTMR1 ‖ RTMR2).
        image: B256,
        /// Whether the operator approved that image with this RTMR0.
        approved: bool,
        /// Digest of the app's image in the replayed log, if exactly one was measured.
        app_image: Option<B256>,
    },
    /// A kind of enclave that no deal can ask for yet.
    Other(EvidenceKind),
}

/// An enclave that proved what it is. Only made from [`Verified`] evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enclave {
    pub(crate) identity: Identity,
    pub(crate) debug: bool,
    pub(crate) report_data: [u8; 64],
}

impl Enclave {
    /// Reduces verified evidence to what a decision needs.
    pub fn of(verified: &Verified, approved: &ApprovedImages) -> Self {
        let claims = verified.claims();
        let identity = match &claims.code {
            Code::Sgx(sgx) => Identity::Sgx { mrenclave: sgx.mrenclave },
            Code::Tdx(tdx) => tdx_identity(tdx, approved),
            Code::Snp(_) | Code::Nitro(_) => Identity::Other(claims.kind),
        };
        Self { identity, debug: claims.debug, report_data: claims.report_data.0 }
    }

    /// What code it runs.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

fn tdx_identity(tdx: &TdxCode, approved: &ApprovedImages) -> Identity {
    let [rtmr0, rtmr1, rtmr2, _] = &tdx.rtmrs;
    let image = keccak256([tdx.mrtd.as_slice(), rtmr1.as_slice(), rtmr2.as_slice()].concat());
    let app_image = tdx
        .log
        .as_ref()
        .and_then(|log| log.application_event(APP_IMAGE_EVENT))
        .and_then(|payload| B256::try_from(payload).ok());
    let approved = approved.get(&image).is_some_and(|shapes| shapes.contains(rtmr0));
    Identity::Tdx { image, approved, app_image }
}
