//! Assembles and signs quotes, versions 3, 4 and 5.
//!
//! The attestation key signs header and body; the PCK key signs the report of the quoting enclave, whose report data is the
//! hash of the attestation key and the QE's own data; the PCK certificate chain comes last.

use sha2::{Digest as _, Sha256};

use crate::intel::machine::QuotingEnclave;
use crate::intel::measured::SgxMeasured;
use crate::keys::P256Key;

/// TEE type of SGX in the header.
pub(crate) const TEE_TYPE_SGX: u32 = 0;
/// TEE type of TDX in the header.
pub(crate) const TEE_TYPE_TDX: u32 = 0x81;

/// How a quote is laid out.
#[derive(Clone, Copy)]
pub(crate) enum Layout {
    /// Body at 48; QE report right behind the attestation key.
    V3,
    /// Body at 48; QE report inside certification data of type 6.
    V4,
    /// As version 4, with type and size of the body before it.
    V5 { body_type: u16 },
}

/// A quote before it is signed.
pub(crate) struct Quote {
    pub(crate) layout: Layout,
    pub(crate) tee_type: u32,
    /// Product number of Intel's quoting enclave for this kind.
    pub(crate) qe_product: u16,
    pub(crate) body: Vec<u8>,
}

impl Quote {
    /// The complete quote.
    pub(crate) fn signed(
        &self,
        qe: &QuotingEnclave,
        attestation_key: &P256Key,
        pck_key: &P256Key,
        pck_chain: &str,
    ) -> Vec<u8> {
        let mut quote = self.header(qe);
        if let Layout::V5 { body_type } = self.layout {
            quote.extend(body_type.to_le_bytes());
            quote.extend(size_of_part(&self.body));
        }
        quote.extend(&self.body);

        let mut chain = pck_chain.as_bytes().to_vec();
        chain.push(0);
        let mut endorsed_qe = self.qe_report(qe, attestation_key).to_vec();
        endorsed_qe.extend(pck_key.sign_raw(&endorsed_qe));
        endorsed_qe.extend(u16::try_from(qe.auth_data.len()).unwrap_or(u16::MAX).to_le_bytes());
        endorsed_qe.extend(&qe.auth_data);
        endorsed_qe.extend(certification_data(qe.certification_type, &chain));

        let mut signature = attestation_key.sign_raw(&quote).to_vec();
        signature.extend(attestation_key.coordinates());
        match self.layout {
            Layout::V3 => signature.extend(endorsed_qe),
            Layout::V4 | Layout::V5 { .. } => {
                signature.extend(certification_data(qe.outer_certification_type, &endorsed_qe));
            }
        }
        quote.extend(size_of_part(&signature));
        quote.extend(signature);
        quote
    }

    /// 48 bytes.
    fn header(&self, qe: &QuotingEnclave) -> Vec<u8> {
        let (version, svns): (u16, [u8; 4]) = match self.layout {
            Layout::V3 => (3, [8, 0, 13, 0]), // security versions of QE and PCE, which nobody relies on
            Layout::V4 => (4, [0; 4]),
            Layout::V5 { .. } => (5, [0; 4]),
        };
        let mut header = Vec::with_capacity(2048);
        header.extend(qe.quote_version.unwrap_or(version).to_le_bytes());
        header.extend(qe.key_type.to_le_bytes());
        header.extend(qe.tee_type.unwrap_or(self.tee_type).to_le_bytes());
        header.extend(svns);
        header.extend(qe.vendor_id);
        header.extend(*b"SIMULATED QE ID 1\0\0\0");
        header
    }

    fn qe_report(&self, qe: &QuotingEnclave, attestation_key: &P256Key) -> [u8; 384] {
        let mut report_data = [0; 64];
        let bound = Sha256::new().chain_update(attestation_key.coordinates()).chain_update(&qe.auth_data).finalize();
        report_data[..32].copy_from_slice(&bound);
        let measured = SgxMeasured {
            mrenclave: Sha256::digest(b"SIMULATED quoting enclave").into(),
            mrsigner: qe.mr_signer,
            isv_prod_id: qe.isv_prod_id.unwrap_or(self.qe_product),
            isv_svn: qe.isv_svn,
            attributes: qe.attributes,
            ..SgxMeasured::default()
        };
        measured.body(report_data)
    }
}

/// Type, size, data.
fn certification_data(kind: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend(size_of_part(data));
    bytes.extend(data);
    bytes
}

fn size_of_part(part: &[u8]) -> [u8; 4] {
    u32::try_from(part.len()).expect("parts of a quote have some kilobytes").to_le_bytes()
}
