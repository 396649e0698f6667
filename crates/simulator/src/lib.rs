//! Issues simulated evidence of every kind under its own development root, for machines without an enclave.
//!
//! What comes out has the vendors' formats to the bit and goes through the very verifier that real evidence goes through
//! (`strongroom-attest`), which accepts it only where somebody configured [`Simulator::anchors`]. Nothing protects the memory
//! of a simulated enclave: the evidence is worth nothing, and every certificate says so (common name `SIMULATED …`,
//! organisation `Development simulation`).
//!
//! Everything is derived from a seed: keys by hashing, signatures without randomness (RFC 6979), serial numbers and dates
//! from the caller's plain structs. The same seed and arguments give the same bytes. What a test wants to be different or
//! wrong — measurement, debug bit, security versions, dates, revoked serials — is a field of those structs; their defaults
//! make evidence that is accepted with an up-to-date platform.

pub mod agent;
pub mod amd;
mod connections;
pub mod dates;
pub mod event_log;
pub mod files;
pub mod intel;
mod keys;
pub mod nitro;
mod pki;
pub mod vendors;

pub use amd::{AmdMachine, AmdStatements, SnpMeasured};
pub use event_log::{AppIdentity, BootEvent, EventLog, RuntimeEvent};
pub use intel::{IntelMachine, IntelStatements, SgxMeasured, TdxFormat, TdxMeasured};
pub use nitro::NitroMeasured;

use std::sync::OnceLock;

use strongroom_attest::anchors::DevelopmentAnchors;
use strongroom_attest::endorsements::IntelParts;
use strongroom_attest::{EndorsementFault, Endorsements, Evidence, EvidenceFault, EvidenceKind, TrustAnchors};
use strongroom_protocol::UnixSeconds;

use crate::amd::AmdAuthority;
use crate::intel::{IntelAuthority, IntelDates};
use crate::nitro::NitroAuthority;

/// Simulated vendors and one simulated machine of each, all from one seed.
pub struct Simulator {
    name: String,
    intel: IntelAuthority,
    amd: AmdAuthority,
    /// Made when first asked for: most users want one vendor.
    nitro: OnceLock<NitroAuthority>,
    seed: [u8; 32],
}

/// What distinguishes one simulator from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatorSettings {
    /// Everything is derived from it.
    pub seed: [u8; 32],
    /// Shown in every claim: `development:<name>`.
    pub name: String,
    /// Dates of the certificates of the simulated Intel.
    pub intel_dates: IntelDates,
}

impl Default for SimulatorSettings {
    fn default() -> Self {
        Self { seed: [0; 32], name: "simulator".to_owned(), intel_dates: IntelDates::default() }
    }
}

impl Simulator {
    /// The simulator of this seed with default settings. A few milliseconds of work: keep it and use it many times.
    ///
    /// The seed is no secret worth keeping: whoever knows it can forge evidence that only development deployments accept.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self::new(SimulatorSettings { seed, ..SimulatorSettings::default() })
    }

    /// Makes all keys and certificates.
    pub fn new(settings: SimulatorSettings) -> Self {
        let SimulatorSettings { seed, name, intel_dates } = settings;
        Self {
            name,
            intel: IntelAuthority::new(&seed, &intel_dates),
            amd: AmdAuthority::new(&seed),
            nitro: OnceLock::new(),
            seed,
        }
    }

    /// The roots, under the simulator's name.
    pub fn development_anchors(&self) -> DevelopmentAnchors {
        DevelopmentAnchors {
            name: self.name.clone(),
            intel_root: Some(self.intel.root_der().to_vec()),
            amd_roots: AmdAuthority::roots(),
            aws_root: Some(self.nitro_authority().root_der().to_vec()),
        }
    }

    /// The vendors' roots together with those of this simulator.
    pub fn anchors(&self) -> TrustAnchors {
        TrustAnchors::with_development(self.development_anchors())
    }

    /// A TDX quote from the default machine, with the log that explains its registers.
    pub fn tdx(&self, measured: &TdxMeasured, report_data: [u8; 64]) -> SimulatedEvidence {
        self.tdx_on(&IntelMachine::default(), measured, report_data)
    }

    /// A TDX quote from `machine`, with the log that explains its registers.
    pub fn tdx_on(&self, machine: &IntelMachine, measured: &TdxMeasured, report_data: [u8; 64]) -> SimulatedEvidence {
        SimulatedEvidence {
            kind: EvidenceKind::Tdx,
            document: self.intel.tdx_quote(machine, measured, report_data),
            event_log: Some(measured.log.to_json()),
        }
    }

    /// An SGX quote from the default machine.
    pub fn sgx(&self, measured: &SgxMeasured, report_data: [u8; 64]) -> SimulatedEvidence {
        self.sgx_on(&IntelMachine::default(), measured, report_data)
    }

    /// An SGX quote from `machine`.
    pub fn sgx_on(&self, machine: &IntelMachine, measured: &SgxMeasured, report_data: [u8; 64]) -> SimulatedEvidence {
        SimulatedEvidence {
            kind: EvidenceKind::Sgx,
            document: self.intel.sgx_quote(machine, measured, report_data),
            event_log: None,
        }
    }

    /// An SEV-SNP report from the default machine.
    pub fn snp(&self, measured: &SnpMeasured, report_data: [u8; 64]) -> SimulatedEvidence {
        self.snp_on(&AmdMachine::default(), measured, report_data)
    }

    /// An SEV-SNP report from `machine`.
    pub fn snp_on(&self, machine: &AmdMachine, measured: &SnpMeasured, report_data: [u8; 64]) -> SimulatedEvidence {
        let document = self.amd.report(machine, measured, report_data);
        SimulatedEvidence { kind: EvidenceKind::Snp, document, event_log: None }
    }

    /// A Nitro document with `user_data`; 64 bytes of it serve as report data.
    pub fn nitro(&self, measured: &NitroMeasured, user_data: &[u8]) -> SimulatedEvidence {
        let document = self.nitro_authority().document(measured, user_data);
        SimulatedEvidence { kind: EvidenceKind::Nitro, document, event_log: None }
    }

    fn nitro_authority(&self) -> &NitroAuthority {
        self.nitro.get_or_init(|| NitroAuthority::new(&self.seed))
    }

    /// What the simulated Intel says about the default machine, current at `now` and fetched then.
    ///
    /// `kind` is [`EvidenceKind::Sgx`] or [`EvidenceKind::Tdx`]; any other kind gets the endorsements for TDX.
    pub fn intel_endorsements(&self, kind: EvidenceKind, now: UnixSeconds) -> Endorsements {
        self.intel_endorsements_of(kind, &IntelStatements::current_at(now), now)
            .expect("the default statements are well-formed")
    }

    /// What the simulated Intel says when it is made to say `statements`, as if fetched at `fetched_at`.
    ///
    /// Fails if the verifier refuses the set before it is used, for example for a status that it does not know.
    pub fn intel_endorsements_of(
        &self,
        kind: EvidenceKind,
        statements: &IntelStatements,
        fetched_at: UnixSeconds,
    ) -> Result<Endorsements, EndorsementFault> {
        self.intel.endorsements(kind, statements, fetched_at)
    }

    /// The same as the separate answers that the provisioning service of the simulated Intel would give.
    pub fn intel_parts(&self, kind: EvidenceKind, statements: &IntelStatements) -> IntelParts {
        self.intel.parts(kind, statements)
    }

    /// The endorsements that evidence of `kind` from the default machines needs, current at `now`.
    pub fn endorsements(&self, kind: EvidenceKind, now: UnixSeconds) -> Endorsements {
        match kind {
            EvidenceKind::Sgx | EvidenceKind::Tdx => self.intel_endorsements(kind, now),
            EvidenceKind::Snp => self
                .amd_endorsements_of(&AmdMachine::default(), &AmdStatements::current_at(now), now)
                .expect("the default statements are well-formed"),
            EvidenceKind::Nitro => Endorsements::NotNeeded,
        }
    }

    /// What the simulated AMD says about `machine` when it is made to say `statements`, as if fetched at `fetched_at`.
    ///
    /// Signs with RSA keys of 4096 bits: some hundredths of a second. Fails if the verifier refuses the set before it is used.
    pub fn amd_endorsements_of(
        &self,
        machine: &AmdMachine,
        statements: &AmdStatements,
        fetched_at: UnixSeconds,
    ) -> Result<Endorsements, EndorsementFault> {
        self.amd.endorsements(machine, statements, fetched_at)
    }
}

/// Evidence that proves nothing, in the format of evidence that would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedEvidence {
    /// Whose format it has.
    pub kind: EvidenceKind,
    /// Quote, report or signed document.
    pub document: Vec<u8>,
    /// For TDX, the events behind the run-time registers: JSON as the guest agent gives it.
    pub event_log: Option<String>,
}

impl SimulatedEvidence {
    /// As the tagged evidence that the verifier takes. Fails only for a document or log above the verifier's size caps.
    pub fn evidence(&self) -> Result<Evidence, EvidenceFault> {
        let evidence = Evidence::new(self.kind, self.document.clone())?;
        match &self.event_log {
            Some(log) => evidence.with_event_log(log.clone().into_bytes()),
            None => Ok(evidence),
        }
    }
}
