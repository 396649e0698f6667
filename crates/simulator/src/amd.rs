//! The simulated AMD: one root per product, the intermediates that certify chip keys, and reports of machines below them.
//!
//! The two RSA keys (4096 bits, as AMD's) do not come from the seed, because making them takes seconds: they lie next to the
//! source and are the same in every simulator. The keys that sign reports do come from the seed.

mod certificate;
mod report;

use std::sync::OnceLock;

pub use report::SnpMeasured;
use strongroom_attest::claims::SnpTcb;
use strongroom_attest::endorsements::AmdEndorsements;
use strongroom_attest::{AmdProduct, EndorsementFault, Endorsements};
use strongroom_protocol::UnixSeconds;

use self::certificate::{Intermediate, RsaKey, Vek};
use crate::dates::Validity;
use crate::keys::P384Key;

/// Serial number of the certificates of VCEK issuers.
pub const ASK_SERIAL: u64 = 0x0D5E_0102;
/// Serial number of the certificates of VLEK issuers.
pub const ASVK_SERIAL: u64 = 0x0D5E_0103;

const DAY: u64 = 86_400;

/// One AMD machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmdMachine {
    /// Family of processors.
    pub product: AmdProduct,
    /// CPUID family, model and stepping in the report; `None` stands for one of the product.
    pub cpu: Option<[u8; 3]>,
    /// Id of the chip: 64 bytes, of which Turin uses the first 8 and leaves the rest zero.
    pub chip_id: [u8; 64],
    /// Firmware that the signing key is derived for.
    pub reported: SnpTcb,
    /// Firmware below which the machine cannot be rolled back.
    pub committed: SnpTcb,
    /// Firmware that runs.
    pub current: SnpTcb,
    /// Firmware that ran when the guest was launched.
    pub launch: SnpTcb,
    /// Id of the cloud provider whose key (VLEK) signs; `None` for the chip's own (VCEK).
    pub csp_id: Option<String>,
    /// PLATFORM_INFO: bit 0 SMT, 1 TSME, 2 ECC, 3 RAPL off, 4 ciphertext hiding, 5 alias check complete.
    pub platform_info: u64,
    /// MASK_CHIP_KEY: the chip id is hidden from guests.
    pub mask_chip_key: bool,
}

impl AmdMachine {
    /// A machine of this product with recent firmware.
    pub fn of(product: AmdProduct) -> Self {
        let mut chip_id = [0; 64];
        let used = if product == AmdProduct::Turin { 8 } else { 64 };
        for (byte, value) in chip_id[..used].iter_mut().zip(b"SIMULATED CHIP 1".iter().cycle()) {
            *byte = *value;
        }
        let fmc = u8::from(product == AmdProduct::Turin);
        let tcb = SnpTcb { fmc, bootloader: 4, tee: 1, snp: 24, microcode: 219 };
        Self {
            product,
            cpu: None,
            chip_id,
            reported: tcb,
            committed: tcb,
            current: tcb,
            launch: tcb,
            csp_id: None,
            platform_info: 0b10_0101,
            mask_chip_key: false,
        }
    }
}

impl Default for AmdMachine {
    fn default() -> Self {
        Self::of(AmdProduct::Genoa)
    }
}

/// What the simulated AMD says about a machine. `None` stands for what is true of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmdStatements {
    /// Product in the certificates.
    pub product: Option<AmdProduct>,
    /// Firmware that the key was derived for.
    pub tcb: Option<SnpTcb>,
    /// Chip that the key belongs to.
    pub chip_id: Option<[u8; 64]>,
    /// Dates of the certificate of VCEK or VLEK.
    pub vek_valid: Validity,
    /// The root's revocation list, if one is given.
    pub crl: Option<AmdRevocations>,
}

/// A revocation list of the simulated AMD root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmdRevocations {
    /// Dates of the list.
    pub valid: Validity,
    /// Number of the list.
    pub number: u64,
    /// Revoked serial numbers: [`ASK_SERIAL`], [`ASVK_SERIAL`].
    pub revoked: Vec<u64>,
}

impl AmdStatements {
    /// True statements with an empty revocation list, issued a day before `now` for half a year.
    pub fn current_at(now: UnixSeconds) -> Self {
        let issued = now.0.saturating_sub(DAY);
        let valid = Validity { from: UnixSeconds(issued), until: UnixSeconds(issued.saturating_add(182 * DAY)) };
        Self {
            product: None,
            tcb: None,
            chip_id: None,
            vek_valid: Validity::ALWAYS,
            crl: Some(AmdRevocations { valid, number: 1, revoked: vec![] }),
        }
    }
}

/// All keys of the simulated AMD and of its machines.
pub(crate) struct AmdAuthority {
    /// One key signs the reports of all simulated machines.
    vek: P384Key,
    /// Of all products. Read when first used.
    root: OnceLock<RsaKey>,
    /// Of all intermediates. Read when first used.
    issuing: OnceLock<RsaKey>,
}

impl AmdAuthority {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        Self { vek: P384Key::derive(seed, "amd vek"), root: OnceLock::new(), issuing: OnceLock::new() }
    }

    /// The roots, DER.
    pub(crate) fn roots() -> Vec<(AmdProduct, Vec<u8>)> {
        AmdProduct::ALL.into_iter().map(|product| (product, certificate::root(product).to_vec())).collect()
    }

    /// A report of a guest on `machine`.
    pub(crate) fn report(&self, machine: &AmdMachine, measured: &SnpMeasured, report_data: [u8; 64]) -> Vec<u8> {
        report::signed(machine, measured, report_data, &self.vek)
    }

    pub(crate) fn endorsements(
        &self,
        machine: &AmdMachine,
        statements: &AmdStatements,
        fetched_at: UnixSeconds,
    ) -> Result<Endorsements, EndorsementFault> {
        let product = statements.product.unwrap_or(machine.product);
        let issuer = if machine.csp_id.is_some() { Intermediate::Asvk(product) } else { Intermediate::Ask(product) };
        let vek = Vek {
            product,
            tcb: statements.tcb.unwrap_or(machine.reported),
            chip_id: statements.chip_id.unwrap_or(machine.chip_id),
            csp_id: machine.csp_id.as_deref(),
            valid: statements.vek_valid,
        };
        let issuing_key = self.issuing.get_or_init(RsaKey::issuing);
        let vek = certificate::vek(&vek, issuer, self.vek.point(), issuing_key);
        let crl = statements
            .crl
            .as_ref()
            .map(|list| certificate::revocation_list(product, list, self.root.get_or_init(RsaKey::root)));
        AmdEndorsements::new(vek, issuer.certificate().to_vec(), crl, fetched_at).map(Endorsements::Amd)
    }
}
