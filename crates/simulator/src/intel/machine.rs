//! A simulated Intel machine: what its PCK certificate says and how its quoting enclave behaves.

use sha2::{Digest as _, Sha256};

use crate::dates::Validity;

/// Identity, firmware level and quoting enclave of one machine. The default is up to date under
/// [`IntelStatements::current_at`](crate::IntelStatements::current_at).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntelMachine {
    /// Family, model, stepping, platform. The default is a value that Intel does not use.
    pub fmspc: [u8; 6],
    /// Id of the provisioning certification enclave.
    pub pce_id: [u8; 2],
    /// Security version of the provisioning certification enclave.
    pub pce_svn: u16,
    /// Security versions of the CPU's sixteen components.
    pub cpu_svn: [u8; 16],
    /// Protected platform id.
    pub ppid: [u8; 16],
    /// Instance id of a multi-package platform; written only into certificates of [`PckCa::Platform`].
    pub instance_id: [u8; 16],
    /// Configuration; written only into certificates of [`PckCa::Platform`].
    pub flags: PlatformFlags,
    /// How memory is protected: 0 standard, 1 scalable, 2 scalable with integrity.
    pub sgx_type: u8,
    /// Which authority certifies the machine.
    pub pck_ca: PckCa,
    /// What the certificate chain in the quote is like.
    pub pck_chain: PckChain,
    /// Serial number of the PCK certificate.
    pub pck_serial: u64,
    /// Dates of the PCK certificate.
    pub pck_valid: Validity,
    /// The enclave that signs quotes.
    pub quoting: QuotingEnclave,
}

/// Intel's two kinds of platform authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PckCa {
    /// For platforms registered as multi-package: all that have TDX.
    Platform,
    /// For single-package platforms.
    Processor,
}

/// Chains in a quote, right and wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PckChain {
    /// Leaf, issuing authority, root.
    Genuine,
    /// The issuing authority signs for the machine itself: no leaf.
    AuthorityAsLeaf,
    /// The leaf comes from an authority of the right name with a key that the root never certified.
    ForgedAuthority,
    /// The leaf was issued with the key that signs TCB info, which may not issue.
    IssuedByTcbSigning,
    /// The genuine chain, with the authority repeated this many times more.
    Padded(u8),
}

/// Configuration of a multi-package platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlatformFlags {
    /// Packages can be added.
    pub dynamic_platform: bool,
    /// Platform keys are kept by Intel.
    pub cached_keys: bool,
    /// Simultaneous multithreading is on.
    pub smt_enabled: bool,
}

impl Default for IntelMachine {
    fn default() -> Self {
        Self {
            fmspc: [0xDE, 0xF0, 0x51, 0x4D, 0x00, 0x00],
            pce_id: [0, 0],
            pce_svn: 13,
            cpu_svn: [7, 7, 2, 2, 3, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0],
            ppid: *b"SIMULATED PPID 1",
            instance_id: *b"SIMULATED INST 1",
            flags: PlatformFlags { dynamic_platform: true, cached_keys: true, smt_enabled: true },
            sgx_type: 1,
            pck_ca: PckCa::Platform,
            pck_chain: PckChain::Genuine,
            pck_serial: 0x0D5E_1000,
            pck_valid: Validity::ALWAYS,
            quoting: QuotingEnclave::default(),
        }
    }
}

/// The quoting enclave and the parts of a quote that are its alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotingEnclave {
    /// SHA-256 of the key that signed the quoting enclave.
    pub mr_signer: [u8; 32],
    /// Product number; `None` stands for Intel's: 1 for SGX, 2 for TDX.
    pub isv_prod_id: Option<u16>,
    /// Security version.
    pub isv_svn: u16,
    /// ATTRIBUTES flags; bit 1 is DEBUG.
    pub attributes: u64,
    /// Version field of the quote; `None` stands for that of the chosen format.
    pub quote_version: Option<u16>,
    /// TEE type in the header; `None` stands for that of the evidence.
    pub tee_type: Option<u32>,
    /// Attestation key type: 2 is ECDSA with P-256.
    pub key_type: u16,
    /// QE vendor id in the header.
    pub vendor_id: [u8; 16],
    /// Data hashed into the QE report behind the attestation key; 32 bytes in practice.
    pub auth_data: Vec<u8>,
    /// Type of the outer certification data in version 4 and 5: 6 is a QE report.
    pub outer_certification_type: u16,
    /// Type of the certification data: 5 is a PCK chain in PEM.
    pub certification_type: u16,
}

impl QuotingEnclave {
    /// Intel's id in the header of quotes.
    pub const INTEL_VENDOR_ID: [u8; 16] =
        [0x93, 0x9A, 0x72, 0x33, 0xF7, 0x9C, 0x4C, 0xA9, 0x94, 0x0A, 0x0D, 0xB3, 0x95, 0x7F, 0x06, 0x07];

    /// The signer of the simulated quoting enclave.
    pub fn simulated_signer() -> [u8; 32] {
        Sha256::digest(b"SIMULATED quoting enclave signer").into()
    }
}

impl Default for QuotingEnclave {
    fn default() -> Self {
        Self {
            mr_signer: Self::simulated_signer(),
            isv_prod_id: None,
            isv_svn: 8,
            attributes: 0x11,
            quote_version: None,
            tee_type: None,
            key_type: 2,
            vendor_id: Self::INTEL_VENDOR_ID,
            auth_data: (0..32).collect(),
            outer_certification_type: 6,
            certification_type: 5,
        }
    }
}
