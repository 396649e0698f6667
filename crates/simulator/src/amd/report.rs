//! SEV-SNP reports, 1,184 bytes, signed with P-384 in AMD's little-endian form.

use sha2::{Digest as _, Sha256, Sha384};
use strongroom_attest::AmdProduct;
use strongroom_attest::claims::SnpTcb;
use strongroom_attest::evidence::SNP_REPORT_BYTES;

use super::AmdMachine;
use crate::keys::P384Key;

/// The signature covers everything before this offset; it is also where R stands.
const R_OFFSET: usize = 0x2a0;
const S_OFFSET: usize = 0x2e8;

/// What an SEV-SNP guest is measured to be, and the fields of a report that are its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnpMeasured {
    /// Version of the report: 2, 3 or 5.
    pub version: u32,
    /// Security version of the guest.
    pub guest_svn: u32,
    /// POLICY: bit 16 SMT, 17 must be one, 18 migration agent, 19 DEBUG, 20 single socket.
    pub policy: u64,
    /// FAMILY_ID.
    pub family_id: [u8; 16],
    /// IMAGE_ID.
    pub image_id: [u8; 16],
    /// Privilege level that asked for the report.
    pub vmpl: u32,
    /// SIGNATURE_ALGO: 1 is P-384 with SHA-384.
    pub signature_algorithm: u32,
    /// SIGNING_KEY: 0 VCEK, 1 VLEK, 7 none; `None` stands for the key that signs.
    pub signing_key: Option<u32>,
    /// Launch measurement.
    pub measurement: [u8; 48],
    /// Chosen by the host at launch.
    pub host_data: [u8; 32],
    /// SHA-384 of the key that signed the ID block.
    pub id_key_digest: [u8; 48],
    /// SHA-384 of the key that certified the ID key.
    pub author_key_digest: [u8; 48],
}

impl Default for SnpMeasured {
    fn default() -> Self {
        Self {
            version: 5,
            guest_svn: 0,
            policy: 0x3_0000,
            family_id: [0; 16],
            image_id: [0; 16],
            vmpl: 0,
            signature_algorithm: 1,
            signing_key: None,
            measurement: Sha384::digest(b"SIMULATED guest").into(),
            host_data: [0; 32],
            id_key_digest: [0; 48],
            author_key_digest: [0; 48],
        }
    }
}

/// The signed report.
pub(crate) fn signed(machine: &AmdMachine, measured: &SnpMeasured, report_data: [u8; 64], key: &P384Key) -> Vec<u8> {
    let mut report = vec![0; SNP_REPORT_BYTES];
    let mut put = |at: usize, bytes: &[u8]| report[at..at + bytes.len()].copy_from_slice(bytes);
    let signing_key = measured.signing_key.unwrap_or(u32::from(machine.csp_id.is_some()));
    let key_info = u32::from(machine.mask_chip_key) << 1 | (signing_key & 0b111) << 2;
    let tcb = |tcb| raw_tcb(tcb, machine.product);
    put(0x000, &measured.version.to_le_bytes());
    put(0x004, &measured.guest_svn.to_le_bytes());
    put(0x008, &measured.policy.to_le_bytes());
    put(0x010, &measured.family_id);
    put(0x020, &measured.image_id);
    put(0x030, &measured.vmpl.to_le_bytes());
    put(0x034, &measured.signature_algorithm.to_le_bytes());
    put(0x038, &tcb(machine.current));
    put(0x040, &machine.platform_info.to_le_bytes());
    put(0x048, &key_info.to_le_bytes());
    put(0x050, &report_data);
    put(0x090, &measured.measurement);
    put(0x0c0, &measured.host_data);
    put(0x0e0, &measured.id_key_digest);
    put(0x110, &measured.author_key_digest);
    put(0x140, &Sha256::digest(measured.measurement));
    put(0x160, &[0xff; 32]);
    put(0x180, &tcb(machine.reported));
    if measured.version > 2 {
        put(0x188, &machine.cpu.unwrap_or_else(|| cpu(machine.product)));
    }
    if !machine.mask_chip_key {
        put(0x1a0, &machine.chip_id);
    }
    put(0x1e0, &tcb(machine.committed));
    put(0x1e8, &[1, 55, 1]);
    put(0x1ec, &[1, 55, 1]);
    put(0x1f0, &tcb(machine.launch));

    let signature = key.sign_raw(&report[..R_OFFSET]);
    for (at, number) in [R_OFFSET, S_OFFSET].into_iter().zip(signature.chunks(48)) {
        for (to, from) in report[at..].iter_mut().zip(number.iter().rev()) {
            *to = *from;
        }
    }
    report
}

/// Family, model and stepping of a processor of this product.
fn cpu(product: AmdProduct) -> [u8; 3] {
    match product {
        AmdProduct::Milan => [0x19, 0x01, 0x01],
        AmdProduct::Genoa => [0x19, 0x11, 0x01],
        AmdProduct::Turin => [0x1a, 0x02, 0x01],
    }
}

/// Where the components stand depends on the product.
fn raw_tcb(tcb: SnpTcb, product: AmdProduct) -> [u8; 8] {
    let SnpTcb { fmc, bootloader, tee, snp, microcode } = tcb;
    match product {
        AmdProduct::Milan | AmdProduct::Genoa => [bootloader, tee, 0, 0, 0, 0, snp, microcode],
        AmdProduct::Turin => [fmc, bootloader, tee, snp, 0, 0, 0, microcode],
    }
}
