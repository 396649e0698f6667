//! What a simulated enclave or trust domain is measured to be, and the report bodies that say so.

use sha2::{Digest as _, Sha256, Sha384};

use crate::event_log::{AppIdentity, EventLog};
use crate::intel::quote::Layout;

/// Bytes of an SGX report body.
const SGX_BODY_BYTES: usize = 384;

/// The measured fields of an SGX enclave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SgxMeasured {
    /// Measurement of the enclave's initial pages.
    pub mrenclave: [u8; 32],
    /// SHA-256 of the signer's key.
    pub mrsigner: [u8; 32],
    /// Product number given by the signer.
    pub isv_prod_id: u16,
    /// Security version given by the signer.
    pub isv_svn: u16,
    /// ATTRIBUTES flags: bit 0 INIT, 1 DEBUG, 2 MODE64BIT, 4 PROVISION_KEY, 5 EINITTOKEN_KEY, 7 KSS.
    pub attributes: u64,
    /// Extended features enabled.
    pub xfrm: u64,
    /// MISCSELECT.
    pub misc_select: u32,
    /// CPUSVN as the report says it; the verifier goes by the certificate.
    pub cpu_svn: [u8; 16],
    /// CONFIGID.
    pub config_id: [u8; 64],
    /// CONFIGSVN.
    pub config_svn: u16,
    /// ISVEXTPRODID.
    pub isv_ext_prod_id: [u8; 16],
    /// ISVFAMILYID.
    pub isv_family_id: [u8; 16],
}

impl Default for SgxMeasured {
    fn default() -> Self {
        Self {
            mrenclave: Sha256::digest(b"SIMULATED enclave").into(),
            mrsigner: Sha256::digest(b"SIMULATED enclave signer").into(),
            isv_prod_id: 0,
            isv_svn: 1,
            attributes: 0x05,
            xfrm: 0xe7,
            misc_select: 0,
            cpu_svn: [7, 7, 2, 2, 3, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0],
            config_id: [0; 64],
            config_svn: 0,
            isv_ext_prod_id: [0; 16],
            isv_family_id: [0; 16],
        }
    }
}

impl SgxMeasured {
    /// The report body with `report_data`.
    pub(crate) fn body(&self, report_data: [u8; 64]) -> [u8; SGX_BODY_BYTES] {
        let mut body = [0; SGX_BODY_BYTES];
        let mut put = |at: usize, bytes: &[u8]| body[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.cpu_svn);
        put(16, &self.misc_select.to_le_bytes());
        put(32, &self.isv_ext_prod_id);
        put(48, &self.attributes.to_le_bytes());
        put(56, &self.xfrm.to_le_bytes());
        put(64, &self.mrenclave);
        put(128, &self.mrsigner);
        put(192, &self.config_id);
        put(256, &self.isv_prod_id.to_le_bytes());
        put(258, &self.isv_svn.to_le_bytes());
        put(260, &self.config_svn.to_le_bytes());
        put(304, &self.isv_family_id);
        put(320, &report_data);
        body
    }
}

/// Which quote a trust domain gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TdxFormat {
    /// Quote version 4: what today's machines give.
    V4,
    /// Quote version 5 with the report of TDX 1.0.
    V5Td10,
    /// Quote version 5 with the report of TDX 1.5.
    V5Td15,
}

impl TdxFormat {
    /// All formats, for tables and tests.
    pub const ALL: [Self; 3] = [Self::V4, Self::V5Td10, Self::V5Td15];

    pub(crate) fn layout(self) -> Layout {
        match self {
            Self::V4 => Layout::V4,
            Self::V5Td10 => Layout::V5 { body_type: 2 },
            Self::V5Td15 => Layout::V5 { body_type: 3 },
        }
    }
}

/// The measured fields of a trust domain. RTMR0 to 3 follow from the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TdxMeasured {
    /// Format of the quote.
    pub format: TdxFormat,
    /// Measurement of the initial memory: the virtual firmware.
    pub mrtd: [u8; 48],
    /// Everything extended into the run-time registers.
    pub log: EventLog,
    /// MRCONFIGID.
    pub mr_config_id: [u8; 48],
    /// MROWNER.
    pub mr_owner: [u8; 48],
    /// MROWNERCONFIG.
    pub mr_owner_config: [u8; 48],
    /// TDATTRIBUTES: bit 0 DEBUG, 4–6 profiling, 17 SERVTD_EXT, 28 SEPT_VE_DISABLE, 29 MIGRATABLE, 30 PKS, 63 PERFMON.
    pub attributes: u64,
    /// Extended features enabled.
    pub xfam: u64,
    /// Measurement of the TDX module.
    pub mr_seam: [u8; 48],
    /// Signer of the TDX module; zero is Intel.
    pub mr_signer_seam: [u8; 48],
    /// SEAMATTRIBUTES.
    pub seam_attributes: u64,
    /// Security versions at launch: byte 0 of the TDX module, byte 1 its major version, byte 2 of its loader.
    pub tee_tcb_svn: [u8; 16],
    /// Security versions now; only in the report of TDX 1.5.
    pub tee_tcb_svn_2: [u8; 16],
    /// Hash of bound service TDs; only in the report of TDX 1.5.
    pub mr_service_td: [u8; 48],
}

impl Default for TdxMeasured {
    fn default() -> Self {
        let tee_tcb_svn = [5, 1, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        Self {
            format: TdxFormat::V4,
            mrtd: Sha384::digest(b"SIMULATED virtual firmware").into(),
            log: EventLog::of_app(&AppIdentity::default()),
            mr_config_id: [0; 48],
            mr_owner: [0; 48],
            mr_owner_config: [0; 48],
            attributes: 0x1000_0000,
            xfam: 0x0006_02e7,
            mr_seam: Sha384::digest(b"SIMULATED TDX module").into(),
            mr_signer_seam: [0; 48],
            seam_attributes: 0,
            tee_tcb_svn,
            tee_tcb_svn_2: tee_tcb_svn,
            mr_service_td: [0; 48],
        }
    }
}

impl TdxMeasured {
    /// The default machine image running `app`.
    pub fn of_app(app: &AppIdentity) -> Self {
        Self { log: EventLog::of_app(app), ..Self::default() }
    }

    /// The report body with `report_data`: 584 bytes, or 648 in the format of TDX 1.5.
    pub(crate) fn body(&self, report_data: [u8; 64]) -> Vec<u8> {
        let mut body = Vec::with_capacity(648);
        body.extend(self.tee_tcb_svn);
        body.extend(self.mr_seam);
        body.extend(self.mr_signer_seam);
        body.extend(self.seam_attributes.to_le_bytes());
        body.extend(self.attributes.to_le_bytes());
        body.extend(self.xfam.to_le_bytes());
        body.extend(self.mrtd);
        body.extend(self.mr_config_id);
        body.extend(self.mr_owner);
        body.extend(self.mr_owner_config);
        body.extend(self.log.registers().concat());
        body.extend(report_data);
        if self.format == TdxFormat::V5Td15 {
            body.extend(self.tee_tcb_svn_2);
            body.extend(self.mr_service_td);
        }
        body
    }
}
