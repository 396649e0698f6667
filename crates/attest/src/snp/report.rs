//! The attestation report, field by field (AMD SEV-SNP firmware ABI, table "ATTESTATION_REPORT"). Numbers are little-endian.
//!
//! Checks only what can be said without a certificate: known formats and algorithms, and zeros where the layout has no field
//! near the signature, so that no byte of a report can change without the change being noticed.

use crate::anchors::AmdProduct;
use crate::claims::SnpTcb;
use crate::error::EvidenceFault;
use crate::evidence::SNP_REPORT_BYTES;
use crate::x509::P384_SIGNATURE_BYTES;

/// The signature covers everything before this offset.
const SIGNED_BYTES: usize = 0x2a0;
/// Where S begins; R stands right before.
const S_OFFSET: usize = 0x2e8;
/// After S only zeros follow.
const PADDING_OFFSET: usize = 0x330;
/// Bytes of R and S that a P-384 number can fill; the other 24 must be zero.
const P384_NUMBER_BYTES: usize = 48;

/// Bit 17 of POLICY must be one.
const POLICY_RESERVED_ONE: u64 = 1 << 17;

/// Who signed the report, as the report says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    Vcek,
    Vlek,
}

/// A report's fields. Authentic only once [`Report::signature`] was verified over [`Report::signed`].
pub(super) struct Report<'a> {
    bytes: &'a [u8; SNP_REPORT_BYTES],
    pub(super) version: u16,
    pub(super) vmpl: u8,
    pub(super) key_kind: KeyKind,
    /// From CPUID, which reports carry from version 3 on.
    pub(super) product: Option<AmdProduct>,
    /// r ‖ s, big-endian.
    pub(super) signature: [u8; P384_SIGNATURE_BYTES],
}

impl<'a> Report<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, EvidenceFault> {
        let bytes: &[u8; SNP_REPORT_BYTES] =
            bytes.try_into().map_err(|_| EvidenceFault::Truncated { what: "SEV-SNP report" })?;
        let raw = Raw(bytes);
        let version = match raw.u32(0) {
            2 => 2,
            3 => 3,
            5 => 5,
            version => return Err(EvidenceFault::UnsupportedVersion { what: "SEV-SNP report", version }),
        };
        let algorithm = raw.u32(0x34);
        if algorithm != 1 {
            return Err(EvidenceFault::Unsupported { field: "SIGNATURE_ALGO", found: algorithm.into() });
        }
        let key_kind = match raw.u32(0x48) >> 2 & 0b111 {
            0 => KeyKind::Vcek,
            1 => KeyKind::Vlek,
            kind => return Err(EvidenceFault::Unsupported { field: "SIGNING_KEY", found: kind.into() }),
        };
        let vmpl = match raw.u32(0x30) {
            level @ 0..=3 => level.to_le_bytes()[0],
            level => return Err(EvidenceFault::Unsupported { field: "VMPL", found: level.into() }),
        };
        if raw.u64(0x08) & POLICY_RESERVED_ONE == 0 {
            return Err(EvidenceFault::Attribute("POLICY bit 17"));
        }
        let product = if version == 2 { None } else { Some(product_of_cpu(raw.array(0x188))?) };
        let signature = raw.signature()?;
        Ok(Self { bytes, version, vmpl, key_kind, product, signature })
    }

    /// The bytes that the signature covers, as received.
    pub(super) fn signed(&self) -> &[u8] {
        &self.bytes[..SIGNED_BYTES]
    }

    pub(super) fn guest_svn(&self) -> u32 {
        self.raw().u32(0x04)
    }

    pub(super) fn policy(&self) -> u64 {
        self.raw().u64(0x08)
    }

    pub(super) fn family_id(&self) -> [u8; 16] {
        self.raw().array(0x10)
    }

    pub(super) fn image_id(&self) -> [u8; 16] {
        self.raw().array(0x20)
    }

    pub(super) fn current_tcb(&self, product: AmdProduct) -> SnpTcb {
        tcb(self.raw().array(0x38), product)
    }

    pub(super) fn platform_info(&self) -> u64 {
        self.raw().u64(0x40)
    }

    pub(super) fn mask_chip_key(&self) -> bool {
        self.raw().u32(0x48) & 0b10 != 0
    }

    pub(super) fn report_data(&self) -> [u8; 64] {
        self.raw().array(0x50)
    }

    pub(super) fn measurement(&self) -> [u8; 48] {
        self.raw().array(0x90)
    }

    pub(super) fn host_data(&self) -> [u8; 32] {
        self.raw().array(0xc0)
    }

    pub(super) fn id_key_digest(&self) -> [u8; 48] {
        self.raw().array(0xe0)
    }

    pub(super) fn author_key_digest(&self) -> [u8; 48] {
        self.raw().array(0x110)
    }

    pub(super) fn reported_tcb(&self, product: AmdProduct) -> SnpTcb {
        tcb(self.raw().array(0x180), product)
    }

    pub(super) fn chip_id(&self) -> [u8; 64] {
        self.raw().array(0x1a0)
    }

    pub(super) fn committed_tcb(&self, product: AmdProduct) -> SnpTcb {
        tcb(self.raw().array(0x1e0), product)
    }

    pub(super) fn launch_tcb(&self, product: AmdProduct) -> SnpTcb {
        tcb(self.raw().array(0x1f0), product)
    }

    fn raw(&self) -> Raw<'a> {
        Raw(self.bytes)
    }
}

/// Reads at offsets that this file alone chooses, all within the report.
#[derive(Clone, Copy)]
struct Raw<'a>(&'a [u8; SNP_REPORT_BYTES]);

impl Raw<'_> {
    fn array<const N: usize>(self, at: usize) -> [u8; N] {
        self.0[at..at + N].try_into().expect("the slice has N bytes")
    }

    fn u32(self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    fn u64(self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }

    /// Turns R and S, 72 little-endian bytes each, into r ‖ s of 48 big-endian bytes each.
    fn signature(self) -> Result<[u8; P384_SIGNATURE_BYTES], EvidenceFault> {
        let [r, s] = [&self.0[SIGNED_BYTES..S_OFFSET], &self.0[S_OFFSET..PADDING_OFFSET]];
        let padding = [&r[P384_NUMBER_BYTES..], &s[P384_NUMBER_BYTES..], &self.0[PADDING_OFFSET..]];
        if padding.into_iter().flatten().any(|byte| *byte != 0) {
            return Err(EvidenceFault::Malformed("padding of the SEV-SNP signature"));
        }
        let mut signature = [0; P384_SIGNATURE_BYTES];
        let little_endian = r[..P384_NUMBER_BYTES].iter().rev().chain(s[..P384_NUMBER_BYTES].iter().rev());
        for (to, from) in signature.iter_mut().zip(little_endian) {
            *to = *from;
        }
        Ok(signature)
    }
}

/// Which product a CPU belongs to, by family, model and stepping as CPUID reports them combined.
fn product_of_cpu([family, model, stepping]: [u8; 3]) -> Result<AmdProduct, EvidenceFault> {
    match (family, model) {
        (0x19, 0x00..=0x0f) => Ok(AmdProduct::Milan),
        (0x19, 0x10..=0x1f | 0xa0..=0xaf) => Ok(AmdProduct::Genoa),
        (0x1a, 0x00..=0x11) => Ok(AmdProduct::Turin),
        _ => {
            let found = u32::from_be_bytes([0, family, model, stepping]);
            Err(EvidenceFault::Unsupported { field: "CPU family, model, stepping", found: found.into() })
        }
    }
}

/// Where the components stand in the eight bytes of a TCB version depends on the product.
fn tcb(raw: [u8; 8], product: AmdProduct) -> SnpTcb {
    match product {
        AmdProduct::Milan | AmdProduct::Genoa => {
            SnpTcb { fmc: 0, bootloader: raw[0], tee: raw[1], snp: raw[6], microcode: raw[7] }
        }
        AmdProduct::Turin => SnpTcb { fmc: raw[0], bootloader: raw[1], tee: raw[2], snp: raw[3], microcode: raw[7] },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_product_is_known_by_its_cpu_family_and_model_and_others_are_refused() {
        for (family, models, product) in [
            (0x19, 0x00..=0x0f, AmdProduct::Milan),
            (0x19, 0x10..=0x1f, AmdProduct::Genoa),
            (0x19, 0xa0..=0xaf, AmdProduct::Genoa),
            (0x1a, 0x00..=0x11, AmdProduct::Turin),
        ] {
            for model in models {
                assert_eq!(product_of_cpu([family, model, 1]), Ok(product), "{family:#x} {model:#x}");
            }
        }
        for (family, model) in [(0x17, 0x31), (0x19, 0x20), (0x19, 0x9f), (0x19, 0xb0), (0x1a, 0x12), (0, 0)] {
            assert!(product_of_cpu([family, model, 0]).is_err(), "{family:#x} {model:#x}");
        }
    }

    #[test]
    fn turin_orders_its_tcb_components_differently() {
        let raw = [1, 2, 3, 4, 5, 6, 7, 8];
        let milan = SnpTcb { fmc: 0, bootloader: 1, tee: 2, snp: 7, microcode: 8 };
        assert_eq!(tcb(raw, AmdProduct::Milan), milan);
        assert_eq!(tcb(raw, AmdProduct::Genoa), milan);
        assert_eq!(tcb(raw, AmdProduct::Turin), SnpTcb { fmc: 1, bootloader: 2, tee: 3, snp: 4, microcode: 8 });
    }
}
