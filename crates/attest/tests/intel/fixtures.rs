//! The fixtures of `testdata/intel` (see its ORIGIN.md) and how tests verify them.

use std::fs;
use std::path::PathBuf;

use strongroom_attest::endorsements::{Endorsements, IntelEndorsements, IntelParts};
use strongroom_attest::{Claims, Evidence, EvidenceKind, ExpectedBinding, TrustAnchors, VerifyError, verify};
use strongroom_protocol::UnixSeconds;

/// A real quote and the time at which it is verified.
#[derive(Clone, Copy)]
pub(crate) struct Fixture {
    pub(crate) name: &'static str,
    pub(crate) kind: EvidenceKind,
    pub(crate) now: UnixSeconds,
    /// Where the 64 bytes of report data are.
    pub(crate) report_data: usize,
}

pub(crate) const SGX: Fixture =
    Fixture { name: "sgx_quote", kind: EvidenceKind::Sgx, now: UnixSeconds(1_752_900_000), report_data: 48 + 320 };
pub(crate) const TDX_V4: Fixture =
    Fixture { name: "tdx_quote", kind: EvidenceKind::Tdx, now: UnixSeconds(1_752_900_000), report_data: 48 + 520 };
pub(crate) const TDX_V5: Fixture = Fixture {
    name: "tdx_quote_td15ex",
    kind: EvidenceKind::Tdx,
    now: UnixSeconds(1_793_900_000),
    report_data: 54 + 520,
};
pub(crate) const TDX_OUTDATED: Fixture = Fixture {
    name: "tdx_quote_outdated",
    kind: EvidenceKind::Tdx,
    now: UnixSeconds(1_771_500_000),
    report_data: 54 + 520,
};

/// The fixtures that verify.
pub(crate) const GOOD: [Fixture; 3] = [SGX, TDX_V4, TDX_V5];

impl Fixture {
    pub(crate) fn quote(&self) -> Vec<u8> {
        read(&format!("{}.bin", self.name))
    }

    pub(crate) fn collateral_json(&self) -> Vec<u8> {
        read(&format!("{}_collateral.json", self.name))
    }

    pub(crate) fn parts(&self) -> IntelParts {
        IntelParts::from_json(&self.collateral_json()).unwrap()
    }

    pub(crate) fn endorsements(&self) -> Endorsements {
        Endorsements::Intel(IntelEndorsements::new(self.parts(), self.now).unwrap())
    }

    pub(crate) fn binding(&self) -> ExpectedBinding {
        let bytes = self.quote()[self.report_data..self.report_data + 64].try_into().unwrap();
        ExpectedBinding::new(bytes)
    }

    /// Verifies the fixture itself.
    pub(crate) fn verify(&self) -> Result<Claims, VerifyError> {
        self.verify_with(&self.quote(), &self.endorsements(), self.now)
    }

    /// Verifies other bytes, with other endorsements, at another time, against the binding of the fixture.
    pub(crate) fn verify_with(
        &self,
        quote: &[u8],
        endorsements: &Endorsements,
        now: UnixSeconds,
    ) -> Result<Claims, VerifyError> {
        let evidence = Evidence::new(self.kind, quote.to_vec())?;
        let verified = verify(&evidence, endorsements, &self.binding(), &TrustAnchors::production(), now)?;
        Ok(verified.claims().clone())
    }
}

pub(crate) fn read(file: &str) -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "testdata", "intel", file].iter().collect();
    fs::read(path).unwrap()
}
