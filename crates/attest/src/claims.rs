//! What evidence proves, in one form for every vendor. Every field was covered by a verified signature; what a vendor does not
//! authenticate is absent.
//!
//! [`Claims`] say what is true, not whether it is good enough: that is for a policy. [`Verified`] is the proof that claims
//! came out of [`verify`](crate::verify()); nothing outside this crate can make either.

use std::collections::BTreeMap;

use alloy_primitives::{B256, FixedBytes};
use serde::{Serialize, Serializer};
use strongroom_protocol::UnixSeconds;

use crate::anchors::{AmdProduct, RootId, TrustDomain};
use crate::evidence::EvidenceKind;

/// Claims together with the proof that they were verified and that the evidence was made for the expected binding.
///
/// Only [`verify`](crate::verify()) makes one; not even somebody who holds claims can:
///
/// ```compile_fail,E0451
/// fn forge(claims: strongroom_attest::Claims) -> strongroom_attest::Verified {
///     strongroom_attest::Verified { claims }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    claims: Claims,
}

impl Verified {
    /// To be called by `verify` alone, after the binding was compared.
    pub(crate) fn new(claims: Claims) -> Self {
        Self { claims }
    }

    /// What was proven.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }
}

/// What evidence says about enclave, platform and endorsements. Made here alone:
///
/// ```compile_fail,E0639
/// fn forge(genuine: strongroom_attest::Claims) -> strongroom_attest::Claims {
///     strongroom_attest::Claims { debug: false, ..genuine }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Claims {
    /// Vendor's format.
    pub kind: EvidenceKind,
    /// Version field of the format: quote 3, 4, 5; SNP report 2, 3, 5; Nitro 1.
    pub version: u16,
    /// Follows from the root that verified the evidence.
    pub trust_domain: TrustDomain,
    /// The root that verified the evidence.
    pub root: RootId,
    /// The 64 bytes the enclave chose: what it is bound to.
    pub report_data: FixedBytes<64>,
    /// Whether the memory of the enclave can be read from outside.
    pub debug: bool,
    /// The measured code.
    pub code: Code,
    /// The machine it runs on.
    pub platform: Platform,
    /// How current the machine's firmware and microcode are.
    pub tcb: Tcb,
    /// What vouched for the machine, and until when.
    pub endorsed: Endorsed,
    /// When the evidence was made, if it says so (Nitro only).
    #[serde(serialize_with = "optional_seconds")]
    pub made_at: Option<UnixSeconds>,
    /// The time given to the verifier.
    #[serde(serialize_with = "seconds")]
    pub verified_at: UnixSeconds,
}

/// The measured code, by vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Code {
    /// Intel SGX enclave.
    Sgx(SgxCode),
    /// Intel TDX trust domain.
    Tdx(Box<TdxCode>),
    /// AMD SEV-SNP guest.
    Snp(Box<SnpCode>),
    /// AWS Nitro enclave.
    Nitro(NitroCode),
}

/// Fields of the SGX report body that say what runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SgxCode {
    /// Measurement of the enclave's initial pages.
    pub mrenclave: B256,
    /// SHA-256 of the key that signed the enclave.
    pub mrsigner: B256,
    /// Product number given by the signer.
    pub isv_prod_id: u16,
    /// Security version given by the signer.
    pub isv_svn: u16,
    /// ATTRIBUTES flags, bits numbered from the least significant.
    #[serde(serialize_with = "bits")]
    pub attributes: u64,
    /// Extended features enabled (XFRM).
    #[serde(serialize_with = "bits")]
    pub xfrm: u64,
    /// MISCSELECT.
    pub misc_select: u32,
    /// CONFIGID; zero without KSS.
    pub config_id: FixedBytes<64>,
    /// CONFIGSVN; zero without KSS.
    pub config_svn: u16,
    /// ISVEXTPRODID; zero without KSS.
    pub isv_ext_prod_id: FixedBytes<16>,
    /// ISVFAMILYID; zero without KSS.
    pub isv_family_id: FixedBytes<16>,
}

/// Fields of the TD report that say what runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TdxCode {
    /// Measurement of the TD's initial memory: the virtual firmware.
    pub mrtd: FixedBytes<48>,
    /// Run-time registers 0 to 3: VM shape, kernel, command line and initrd, events at run time.
    pub rtmrs: [FixedBytes<48>; 4],
    /// MRCONFIGID, chosen by the host at launch.
    pub mr_config_id: FixedBytes<48>,
    /// MROWNER.
    pub mr_owner: FixedBytes<48>,
    /// MROWNERCONFIG.
    pub mr_owner_config: FixedBytes<48>,
    /// Measurement of the TDX module.
    pub mr_seam: FixedBytes<48>,
    /// Security version of the TDX module.
    pub module_svn: u8,
    /// TDATTRIBUTES, bits numbered from the least significant.
    #[serde(serialize_with = "bits")]
    pub attributes: u64,
    /// Extended features enabled (XFAM).
    #[serde(serialize_with = "bits")]
    pub xfam: u64,
    /// The events behind the registers, if a log came with the quote and explains all four of them.
    pub log: Option<MeasuredLog>,
}

/// The run-time events of a TD, each digest recomputed, in the order they were measured into RTMR3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MeasuredLog {
    /// Application id.
    pub app_id: FixedBytes<20>,
    /// SHA-256 of the application's compose file.
    pub compose_hash: B256,
    /// Instance id; absent for applications that asked for none.
    pub instance_id: Option<FixedBytes<20>>,
    /// Events before `system-ready`, with the ones above.
    pub boot: Vec<MeasuredEvent>,
    /// Events after `system-ready`: the application's own.
    pub application: Vec<MeasuredEvent>,
}

impl MeasuredLog {
    /// The payload of the application's event with this name, if there is exactly one.
    pub fn application_event(&self, name: &str) -> Option<&[u8]> {
        let mut found = self.application.iter().filter(|event| event.name == name);
        match (found.next(), found.next()) {
            (Some(event), None) => Some(&event.payload),
            _ => None,
        }
    }
}

/// One event whose digest was recomputed from name and payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MeasuredEvent {
    /// Name: letters, digits, `_`, `.`, `-`.
    pub name: String,
    /// Payload as measured.
    #[serde(with = "hex::serde")]
    pub payload: Vec<u8>,
}

/// Fields of the SNP report that say what runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SnpCode {
    /// Launch measurement.
    pub measurement: FixedBytes<48>,
    /// Chosen by the host at launch.
    pub host_data: B256,
    /// Guest policy, bits numbered from the least significant.
    #[serde(serialize_with = "bits")]
    pub policy: u64,
    /// SHA-384 of the key that signed the ID block; zero without one.
    pub id_key_digest: FixedBytes<48>,
    /// SHA-384 of the key that certified the ID key; zero without one.
    pub author_key_digest: FixedBytes<48>,
    /// Privilege level that asked for the report: 0 is the highest.
    pub vmpl: u8,
    /// FAMILY_ID; means nothing without an ID block signed by a known key.
    pub family_id: FixedBytes<16>,
    /// IMAGE_ID; means nothing without an ID block signed by a known key.
    pub image_id: FixedBytes<16>,
    /// Security version of the guest.
    pub guest_svn: u32,
}

/// Fields of the Nitro document that say what runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NitroCode {
    /// Platform configuration registers by index: 0 image, 1 kernel, 2 application, 3 parent role, 4 parent instance, 8 signer.
    pub pcrs: BTreeMap<u8, FixedBytes<48>>,
    /// `public_key` of the document, if any.
    pub public_key: Option<alloy_primitives::Bytes>,
    /// `nonce` of the document, if any.
    pub nonce: Option<alloy_primitives::Bytes>,
}

/// The machine, by vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// Intel, from the PCK certificate.
    Intel(IntelPlatform),
    /// AMD, from report and VCEK or VLEK certificate.
    Amd(AmdPlatform),
    /// An EC2 instance.
    Nitro {
        /// Instance and enclave id.
        module_id: String,
    },
}

/// Identity and configuration of an Intel platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IntelPlatform {
    /// Protected platform id.
    pub ppid: FixedBytes<16>,
    /// Instance id, on platforms registered as multi-package.
    pub instance_id: Option<FixedBytes<16>>,
    /// Family, model, stepping, platform: which TCB info applies.
    pub fmspc: FixedBytes<6>,
    /// Id of the provisioning certification enclave.
    pub pce_id: FixedBytes<2>,
    /// Security version of the provisioning certification enclave.
    pub pce_svn: u16,
    /// Security versions of the CPU's components.
    pub cpu_svn: FixedBytes<16>,
    /// How memory is protected.
    pub sgx_type: SgxType,
    /// Whether packages can be added; absent when the certificate does not say.
    pub dynamic_platform: Option<bool>,
    /// Whether platform keys are kept by Intel; absent when the certificate does not say.
    pub cached_keys: Option<bool>,
    /// Whether simultaneous multithreading is on; absent when the certificate does not say.
    pub smt_enabled: Option<bool>,
}

/// How an Intel platform protects enclave memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SgxType {
    /// Encryption with an integrity tree.
    Standard,
    /// Encryption only.
    Scalable,
    /// Encryption with integrity by message authentication codes.
    ScalableWithIntegrity,
}

/// Identity and configuration of an AMD platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AmdPlatform {
    /// Which family of processors.
    pub product: AmdProduct,
    /// Id of the chip; zero when the platform masks it.
    pub chip_id: FixedBytes<64>,
    /// Which kind of key signed the report.
    pub signing_key: AmdSigningKey,
    /// PLATFORM_INFO, bits numbered from the least significant.
    #[serde(serialize_with = "bits")]
    pub platform_info: u64,
    /// Whether the chip id is hidden from the guest.
    pub mask_chip_key: bool,
}

/// The key that signs SNP reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AmdSigningKey {
    /// Derived from the chip.
    Vcek,
    /// Handed by AMD to a cloud provider.
    Vlek {
        /// The provider's id in the certificate.
        csp_id: String,
    },
}

/// How current firmware and microcode are, by vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tcb {
    /// Judged by Intel.
    Intel(IntelTcb),
    /// To be judged against the policy's floors.
    Amd(AmdTcb),
    /// AWS does not tell.
    #[serde(rename = "not-applicable")]
    NotApplicable,
}

/// Intel's judgement of the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IntelTcb {
    /// The merged status of CPU, quoting enclave and TDX module.
    pub status: IntelTcbStatus,
    /// Advisories that apply at this level, as Intel lists them.
    pub advisories: Vec<String>,
    /// The lower of the evaluation numbers of TCB info and quoting-enclave identity.
    pub evaluation_number: u32,
    /// Date of the platform's TCB level: when it began to be the newest.
    #[serde(serialize_with = "seconds")]
    pub date: UnixSeconds,
}

/// Intel's words for how current a platform is. Written as Intel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
pub enum IntelTcbStatus {
    /// Nothing to do.
    UpToDate,
    /// The enclave's software must mitigate the advisories.
    SWHardeningNeeded,
    /// The platform's configuration must change.
    ConfigurationNeeded,
    /// Both of the above.
    ConfigurationAndSWHardeningNeeded,
    /// Updates are missing.
    OutOfDate,
    /// Updates are missing and the configuration must change.
    OutOfDateConfigurationNeeded,
    /// The TD must be restarted to profit from an update that was made under it.
    TDRelaunchAdvised,
    /// The same, and the configuration must change.
    TDRelaunchAdvisedConfigurationNeeded,
}

impl IntelTcbStatus {
    /// All statuses. `Revoked` is none: such evidence does not verify.
    pub const ALL: [Self; 8] = [
        Self::UpToDate,
        Self::SWHardeningNeeded,
        Self::ConfigurationNeeded,
        Self::ConfigurationAndSWHardeningNeeded,
        Self::OutOfDate,
        Self::OutOfDateConfigurationNeeded,
        Self::TDRelaunchAdvised,
        Self::TDRelaunchAdvisedConfigurationNeeded,
    ];

    /// The status as Intel writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UpToDate => "UpToDate",
            Self::SWHardeningNeeded => "SWHardeningNeeded",
            Self::ConfigurationNeeded => "ConfigurationNeeded",
            Self::ConfigurationAndSWHardeningNeeded => "ConfigurationAndSWHardeningNeeded",
            Self::OutOfDate => "OutOfDate",
            Self::OutOfDateConfigurationNeeded => "OutOfDateConfigurationNeeded",
            Self::TDRelaunchAdvised => "TDRelaunchAdvised",
            Self::TDRelaunchAdvisedConfigurationNeeded => "TDRelaunchAdvisedConfigurationNeeded",
        }
    }
}

impl std::fmt::Display for IntelTcbStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The four TCB versions in an SNP report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AmdTcb {
    /// What the signing key was derived for.
    pub reported: SnpTcb,
    /// Below this the platform can no longer be rolled back.
    pub committed: SnpTcb,
    /// What runs now.
    pub current: SnpTcb,
    /// What ran when the guest was launched.
    pub launch: SnpTcb,
}

/// Security versions of an AMD platform's components. Never compared as one number: each component counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnpTcb {
    /// Firmware of the chiplet fabric; only Turin has it, 0 elsewhere.
    #[serde(default)]
    pub fmc: u8,
    /// Boot loader of the security processor.
    pub bootloader: u8,
    /// Operating system of the security processor.
    pub tee: u8,
    /// SNP firmware.
    pub snp: u8,
    /// Microcode.
    pub microcode: u8,
}

impl SnpTcb {
    /// Whether every component is at least that of `floor`.
    pub fn reaches(&self, floor: &Self) -> bool {
        self.fmc >= floor.fmc
            && self.bootloader >= floor.bootloader
            && self.tee >= floor.tee
            && self.snp >= floor.snp
            && self.microcode >= floor.microcode
    }
}

/// What vouched for the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endorsed {
    /// SHA-256 over the endorsements used, so that a record can name them.
    pub digest: B256,
    /// When they were fetched, as told by who fetched them.
    #[serde(serialize_with = "seconds")]
    pub fetched_at: UnixSeconds,
    /// First end of validity among everything that was relied on.
    #[serde(serialize_with = "seconds")]
    pub valid_until: UnixSeconds,
    /// Whether the vendor's revocation lists were consulted.
    pub revocation: Revocation,
}

/// Whether revocation lists were consulted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Revocation {
    /// Every certificate below the root was looked up in an authentic, current list.
    Checked,
    /// No list was given.
    NotChecked,
}

/// Bit fields are written as `0x` and 16 digits: not every JSON reader keeps 64 bits of a number.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn bits<S: Serializer>(field: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{field:#018x}"))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn seconds<S: Serializer>(time: &UnixSeconds, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.0)
}

// serde hands over a reference to the field, whatever its type.
#[expect(clippy::ref_option, reason = "the signature is serde's")]
pub(crate) fn optional_seconds<S: Serializer>(time: &Option<UnixSeconds>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.0).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amd_tcb_below_the_floor_in_one_component_does_not_reach_it() {
        let floor = SnpTcb { fmc: 1, bootloader: 2, tee: 3, snp: 4, microcode: 5 };
        assert!(floor.reaches(&floor));
        let high = SnpTcb { fmc: 9, bootloader: 9, tee: 9, snp: 9, microcode: 9 };
        assert!(high.reaches(&floor));
        for lower in [
            SnpTcb { fmc: 0, ..high },
            SnpTcb { bootloader: 1, ..high },
            SnpTcb { tee: 2, ..high },
            SnpTcb { snp: 3, ..high },
            SnpTcb { microcode: 4, ..high },
        ] {
            assert!(!lower.reaches(&floor), "{lower:?}");
        }
    }
}
