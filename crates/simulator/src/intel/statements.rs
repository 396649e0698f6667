//! What the simulated Intel says about platforms: TCB levels, enclave identities, revoked certificates, and until when.

use serde::Serialize;
use strongroom_attest::EvidenceKind;
use strongroom_protocol::UnixSeconds;

use crate::dates::{Validity, rfc_3339};
use crate::intel::machine::{IntelMachine, PckCa, QuotingEnclave};

/// Seconds in a day.
const DAY: u64 = 86_400;
/// 2024-03-13: since when the default machine's level is the newest.
const NEWEST_SINCE: UnixSeconds = UnixSeconds(1_710_288_000);
/// 2023-02-15: since when the level before it was.
const OLDER_SINCE: UnixSeconds = UnixSeconds(1_676_419_200);

/// One set of statements. [`IntelStatements::current_at`] says that the default machine is up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntelStatements {
    /// Which platforms are spoken of.
    pub fmspc: [u8; 6],
    /// Which provisioning certification enclave is spoken of.
    pub pce_id: [u8; 2],
    /// `tcbEvaluationDataNumber` of the TCB info.
    pub evaluation_number: u32,
    /// `tcbEvaluationDataNumber` of the quoting enclave's identity.
    pub qe_evaluation_number: u32,
    /// Dates of the TCB info.
    pub tcb_info_valid: Validity,
    /// Dates of the quoting enclave's identity.
    pub qe_identity_valid: Validity,
    /// Levels of platforms, best first.
    pub platform_levels: Vec<PlatformLevel>,
    /// Levels of the TDX module with major version 1, best first; empty leaves its identity out.
    pub module_levels: Vec<ModuleLevel>,
    /// Signer that the quoting enclave must have.
    pub qe_mr_signer: [u8; 32],
    /// Product number that the quoting enclave must have; `None` stands for Intel's: 1 for SGX, 2 for TDX.
    pub qe_isv_prod_id: Option<u16>,
    /// Levels of the quoting enclave, best first.
    pub qe_levels: Vec<QeLevel>,
    /// Whose PCK revocation list is given.
    pub pck_ca: PckCa,
    /// Serial numbers of revoked PCK certificates.
    pub revoked_pck: Vec<u64>,
    /// Serial numbers of certificates that the root revoked.
    pub revoked_by_root: Vec<u64>,
    /// Dates of the PCK revocation list; at least a second apart.
    pub pck_crl_valid: Validity,
    /// Dates of the root's revocation list; at least a second apart.
    pub root_crl_valid: Validity,
    /// Number of both revocation lists.
    pub crl_number: u64,
    /// Who signs TCB info and identity.
    pub signer: TcbSigner,
}

/// Signers of TCB info and enclave identities, right and wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcbSigner {
    /// The holder of the TCB signing certificate.
    Genuine,
    /// A machine, with its PCK key and certificate.
    PckKey,
    /// Somebody with a certificate of the right name below a root of the right name, both with other keys; the genuine root
    /// stands in the chain.
    Forged,
    /// Somebody whom the platform authority certified under the right name, not the root.
    BelowPlatformCa,
}

/// What applies at a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advised {
    /// Status as Intel writes it.
    pub status: String,
    /// Since when there is a better level, or this one is the best.
    pub date: UnixSeconds,
    /// Advisories, `INTEL-SA-…`.
    pub advisories: Vec<String>,
}

impl Advised {
    /// A status since 2024-03-13 without advisories.
    pub fn new(status: &str) -> Self {
        Self { status: status.to_owned(), date: NEWEST_SINCE, advisories: vec![] }
    }
}

/// A level of CPU, provisioning enclave and TDX module loader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformLevel {
    /// Least security versions of the CPU's components.
    pub cpu_svn: [u8; 16],
    /// Least security version of the provisioning certification enclave.
    pub pce_svn: u16,
    /// Least TEE_TCB_SVN; bytes 0 and 1 count only for modules without an identity. Not part of SGX TCB info.
    pub tee_tcb_svn: [u8; 16],
    /// What applies.
    pub advised: Advised,
}

/// A level of the TDX module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleLevel {
    /// Least security version.
    pub isv_svn: u8,
    /// What applies.
    pub advised: Advised,
}

/// A level of the quoting enclave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QeLevel {
    /// Least security version.
    pub isv_svn: u16,
    /// What applies.
    pub advised: Advised,
}

impl IntelStatements {
    /// Issued a day before `now`: TCB info, identity and PCK list for 30 days, the root's list for a year. The default machine
    /// is at the first of two levels; the second is `OutOfDate` with INTEL-SA-00960.
    pub fn current_at(now: UnixSeconds) -> Self {
        let machine = IntelMachine::default();
        let issued = now.0.saturating_sub(DAY);
        let valid_for = |days: u64| Validity {
            from: UnixSeconds(issued),
            until: UnixSeconds(issued.saturating_add(days.saturating_mul(DAY))),
        };
        let older = Advised {
            status: "OutOfDate".to_owned(),
            date: OLDER_SINCE,
            advisories: vec!["INTEL-SA-00960".to_owned()],
        };
        let mut older_cpu_svn = machine.cpu_svn;
        older_cpu_svn[0] -= 1;
        Self {
            fmspc: machine.fmspc,
            pce_id: machine.pce_id,
            evaluation_number: 17,
            qe_evaluation_number: 17,
            tcb_info_valid: valid_for(30),
            qe_identity_valid: valid_for(30),
            platform_levels: vec![
                PlatformLevel {
                    cpu_svn: machine.cpu_svn,
                    pce_svn: machine.pce_svn,
                    tee_tcb_svn: [5, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                    advised: Advised::new("UpToDate"),
                },
                PlatformLevel {
                    cpu_svn: older_cpu_svn,
                    pce_svn: machine.pce_svn - 1,
                    tee_tcb_svn: [4, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                    advised: older.clone(),
                },
            ],
            module_levels: vec![
                ModuleLevel { isv_svn: 5, advised: Advised::new("UpToDate") },
                ModuleLevel { isv_svn: 4, advised: older.clone() },
            ],
            qe_mr_signer: QuotingEnclave::simulated_signer(),
            qe_isv_prod_id: None,
            qe_levels: vec![
                QeLevel { isv_svn: 8, advised: Advised::new("UpToDate") },
                QeLevel { isv_svn: 6, advised: older },
            ],
            pck_ca: machine.pck_ca,
            revoked_pck: vec![],
            revoked_by_root: vec![],
            pck_crl_valid: valid_for(30),
            root_crl_valid: valid_for(365),
            crl_number: 1,
            signer: TcbSigner::Genuine,
        }
    }

    /// Makes the best platform level say `status` with `advisories`.
    #[must_use]
    pub fn with_status(mut self, status: &str, advisories: &[&str]) -> Self {
        if let Some(best) = self.platform_levels.first_mut() {
            status.clone_into(&mut best.advised.status);
            best.advised.advisories = advisories.iter().map(|id| (*id).to_owned()).collect();
        }
        self
    }

    /// TCB info as JSON text: the SGX one for SGX, that of TDX otherwise.
    pub(crate) fn tcb_info(&self, kind: EvidenceKind) -> String {
        let tdx = kind != EvidenceKind::Sgx;
        let levels = self.platform_levels.iter().map(|level| {
            let tcb = JsonPlatformTcb {
                sgxtcbcomponents: components(level.cpu_svn),
                pcesvn: level.pce_svn,
                tdxtcbcomponents: tdx.then(|| components(level.tee_tcb_svn)),
            };
            JsonLevel::new(tcb, &level.advised)
        });
        let module =
            JsonModule { mrsigner: "00".repeat(48), attributes: "00".repeat(8), attributes_mask: "FF".repeat(8) };
        let identity = JsonModuleIdentity {
            id: "TDX_01",
            module: module.clone(),
            tcb_levels: self
                .module_levels
                .iter()
                .map(|level| JsonLevel::new(JsonIsvSvn { isvsvn: level.isv_svn.into() }, &level.advised))
                .collect(),
        };
        json(&JsonTcbInfo {
            id: if tdx { "TDX" } else { "SGX" },
            version: 3,
            issue_date: rfc_3339(self.tcb_info_valid.from),
            next_update: rfc_3339(self.tcb_info_valid.until),
            fmspc: hex::encode_upper(self.fmspc),
            pce_id: hex::encode_upper(self.pce_id),
            tcb_type: 0,
            tcb_evaluation_data_number: self.evaluation_number,
            tdx_module: tdx.then_some(module),
            tdx_module_identities: tdx.then(|| if self.module_levels.is_empty() { vec![] } else { vec![identity] }),
            tcb_levels: levels.collect(),
        })
    }

    /// Identity of the quoting enclave as JSON text.
    pub(crate) fn qe_identity(&self, kind: EvidenceKind) -> String {
        let (id, product) = if kind == EvidenceKind::Sgx { ("QE", 1) } else { ("TD_QE", 2) };
        json(&JsonQeIdentity {
            id,
            version: 2,
            issue_date: rfc_3339(self.qe_identity_valid.from),
            next_update: rfc_3339(self.qe_identity_valid.until),
            tcb_evaluation_data_number: self.qe_evaluation_number,
            miscselect: "00000000",
            miscselect_mask: "FFFFFFFF",
            attributes: "11000000000000000000000000000000",
            attributes_mask: "FBFFFFFFFFFFFFFF0000000000000000",
            mrsigner: hex::encode_upper(self.qe_mr_signer),
            isvprodid: self.qe_isv_prod_id.unwrap_or(product),
            tcb_levels: self
                .qe_levels
                .iter()
                .map(|level| JsonLevel::new(JsonIsvSvn { isvsvn: level.isv_svn }, &level.advised))
                .collect(),
        })
    }
}

fn components(svns: [u8; 16]) -> Vec<JsonComponent> {
    svns.into_iter().map(|svn| JsonComponent { svn }).collect()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("numbers and strings always serialise")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonTcbInfo {
    id: &'static str,
    version: u8,
    issue_date: String,
    next_update: String,
    fmspc: String,
    pce_id: String,
    tcb_type: u8,
    tcb_evaluation_data_number: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    tdx_module: Option<JsonModule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tdx_module_identities: Option<Vec<JsonModuleIdentity>>,
    tcb_levels: Vec<JsonLevel<JsonPlatformTcb>>,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonModule {
    mrsigner: String,
    attributes: String,
    attributes_mask: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonModuleIdentity {
    id: &'static str,
    #[serde(flatten)]
    module: JsonModule,
    tcb_levels: Vec<JsonLevel<JsonIsvSvn>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonQeIdentity {
    id: &'static str,
    version: u8,
    issue_date: String,
    next_update: String,
    tcb_evaluation_data_number: u32,
    miscselect: &'static str,
    miscselect_mask: &'static str,
    attributes: &'static str,
    attributes_mask: &'static str,
    mrsigner: String,
    isvprodid: u16,
    tcb_levels: Vec<JsonLevel<JsonIsvSvn>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonLevel<T> {
    tcb: T,
    tcb_date: String,
    tcb_status: String,
    #[serde(rename = "advisoryIDs", skip_serializing_if = "Vec::is_empty")]
    advisory_ids: Vec<String>,
}

impl<T> JsonLevel<T> {
    fn new(tcb: T, advised: &Advised) -> Self {
        Self {
            tcb,
            tcb_date: rfc_3339(advised.date),
            tcb_status: advised.status.clone(),
            advisory_ids: advised.advisories.clone(),
        }
    }
}

#[derive(Serialize)]
struct JsonPlatformTcb {
    sgxtcbcomponents: Vec<JsonComponent>,
    pcesvn: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    tdxtcbcomponents: Option<Vec<JsonComponent>>,
}

#[derive(Serialize)]
struct JsonComponent {
    svn: u8,
}

#[derive(Serialize)]
struct JsonIsvSvn {
    isvsvn: u16,
}
