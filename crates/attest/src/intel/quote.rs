//! The frame of a DCAP quote: which parts it has and that they fill it exactly. Costs well under a microsecond, so garbage is
//! turned away before any signature is looked at. Signs and authenticates nothing.
//!
//! ```text
//! v3   header 48 ‖ SGX report body 384                       ‖ u32 n ‖ signature data n
//! v4   header 48 ‖ TD report body 584                        ‖ u32 n ‖ signature data n
//! v5   header 48 ‖ u16 body type, u32 body size ‖ body       ‖ u32 n ‖ signature data n
//!
//! v3 signature data      signature 64 ‖ key 64 ‖ QE part ‖ u16 5, u32 m ‖ PEM m
//! v4, v5 signature data  signature 64 ‖ key 64 ‖ u16 6, u32 k ‖ (QE part ‖ u16 5, u32 m ‖ PEM m) of k bytes
//! QE part                QE report 384 ‖ its signature 64 ‖ u16 32 ‖ authentication data 32
//! ```
//!
//! Real TDX quotes come padded with zero bytes; nothing else may follow. All numbers little-endian.

use crate::endorsements::IntelTee;
use crate::error::EvidenceFault;

/// What the frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Which kind of enclave the quote is of.
    pub(super) tee: IntelTee,
    /// Length of the quote without its padding.
    pub(super) signed_and_signature_bytes: usize,
}

impl Layout {
    /// Reads the frame; every length must fit exactly.
    pub(super) fn parse(quote: &[u8]) -> Result<Self, EvidenceFault> {
        let mut input = Input { what: "quote", rest: quote };
        let version = input.u16()?;
        let key_type = input.u16()?;
        let tee_type = input.u32()?;
        input.take(4)?; // QE and PCE SVN in v3, reserved after
        let vendor = input.take(16)?;
        input.take(20)?; // user data
        let tee = match tee_type {
            0 => IntelTee::Sgx,
            0x81 => IntelTee::Tdx,
            other => return Err(EvidenceFault::Unsupported { field: "TEE type", found: other.into() }),
        };
        let body_bytes = match (tee, version) {
            (IntelTee::Sgx, 3) => SGX_BODY_BYTES,
            (IntelTee::Tdx, 4) => TD10_BODY_BYTES,
            (IntelTee::Tdx, 5) => v5_body_bytes(&mut input)?,
            _ => return Err(EvidenceFault::UnsupportedVersion { what: "quote", version: version.into() }),
        };
        if key_type != 2 {
            return Err(EvidenceFault::Unsupported { field: "attestation key type", found: key_type.into() });
        }
        if vendor != dcap_qvl::INTEL_QE_VENDOR_ID {
            return Err(EvidenceFault::Malformed("quoting enclave vendor"));
        }
        input.take(body_bytes)?;

        let signature_bytes = input.length()?;
        let mut signature = Input { what: "quote's signature data", rest: input.take(signature_bytes)? };
        signature.take(64 + 64)?;
        if version == 3 {
            quoting_enclave_part(&mut signature)?;
        } else {
            let certification = signature.certification(6)?;
            signature.end()?;
            signature = Input { what: "quote's certification data", rest: certification };
            quoting_enclave_part(&mut signature)?;
        }
        signature.certification(5)?;
        signature.end()?;

        if input.rest.iter().any(|&byte| byte != 0) {
            return Err(EvidenceFault::TrailingBytes("quote"));
        }
        Ok(Self { tee, signed_and_signature_bytes: quote.len() - input.rest.len() })
    }
}

const SGX_BODY_BYTES: usize = 384;
const TD10_BODY_BYTES: usize = 584;
const TD15_BODY_BYTES: usize = 648;
const TD15EX_BODY_BYTES: usize = 885;

fn v5_body_bytes(input: &mut Input<'_>) -> Result<usize, EvidenceFault> {
    let body_type = input.u16()?;
    let size = input.length()?;
    let expected = match body_type {
        2 => TD10_BODY_BYTES,
        3 => TD15_BODY_BYTES,
        4 => TD15EX_BODY_BYTES,
        other => return Err(EvidenceFault::Unsupported { field: "quote body type", found: other.into() }),
    };
    if size == expected { Ok(size) } else { Err(EvidenceFault::Malformed("quote body size")) }
}

fn quoting_enclave_part(input: &mut Input<'_>) -> Result<(), EvidenceFault> {
    input.take(384 + 64)?;
    let authentication_bytes = input.u16()?;
    if authentication_bytes != 32 {
        return Err(EvidenceFault::Malformed("quoting enclave's authentication data"));
    }
    input.take(32).map(drop)
}

/// What is left to read of one structure.
struct Input<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], EvidenceFault> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(EvidenceFault::Truncated { what: self.what })?;
        self.rest = rest;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16, EvidenceFault> {
        let bytes = self.take(2)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self) -> Result<u32, EvidenceFault> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn length(&mut self) -> Result<usize, EvidenceFault> {
        usize::try_from(self.u32()?).map_err(|_| EvidenceFault::Truncated { what: self.what })
    }

    /// A block of certification data of the type expected here.
    fn certification(&mut self, expected: u16) -> Result<&'a [u8], EvidenceFault> {
        let found = self.u16()?;
        if found != expected {
            return Err(EvidenceFault::Unsupported { field: "certification data type", found: found.into() });
        }
        let length = self.length()?;
        self.take(length)
    }

    fn end(&self) -> Result<(), EvidenceFault> {
        if self.rest.is_empty() { Ok(()) } else { Err(EvidenceFault::TrailingBytes(self.what)) }
    }
}
