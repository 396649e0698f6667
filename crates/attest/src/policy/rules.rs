//! The rules and their defaults.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use alloy_primitives::{B256, FixedBytes};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::anchors::{AmdProduct, sha256};
use crate::claims::{SgxType, SnpTcb};
use crate::evidence::EvidenceKind;

/// Rules for evidence. Defaults are those for production.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Version of this format. The one member without a default: a text must say what it is written for.
    pub version: PolicyVersion,
    /// Kinds of evidence accepted. Default: all.
    #[serde(default = "all_kinds")]
    pub kinds: BTreeSet<EvidenceKind>,
    /// Accepts evidence of the simulator with this name, or of any with `*`, beside real one. Simulated evidence protects
    /// nothing. Default: none.
    #[serde(default)]
    pub danger_development: Option<String>,
    /// How long ago endorsements may have been fetched, in seconds, even if they are not expired; no limit if absent.
    /// Default 604,800 (7 days).
    #[serde(default = "seven_days")]
    pub max_endorsement_age_seconds: Option<u64>,
    /// Accepts SEV-SNP evidence judged without AMD's revocation list. Default false. (Intel's lists are always needed, AWS
    /// issues certificates for three hours.)
    #[serde(default)]
    pub danger_without_revocation: bool,
    /// Whether simultaneous multithreading may be on. Default true.
    #[serde(default = "yes")]
    pub allow_smt: bool,
    /// The machines accepted; any if absent, which is the default. Recommended where the machines are known: an attacker with
    /// physical access to *some* machine can extract its keys and then make evidence for any code.
    #[serde(default)]
    pub platforms: Option<BTreeSet<PlatformId>>,
    /// For SGX and TDX.
    #[serde(default)]
    pub intel: IntelRules,
    /// For SEV-SNP.
    #[serde(default)]
    pub amd: AmdRules,
    /// For Nitro.
    #[serde(default)]
    pub nitro: NitroRules,
}

/// The version of the policy format: 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyVersion;

impl Serialize for PolicyVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(1)
    }
}

impl<'de> Deserialize<'de> for PolicyVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            1 => Ok(Self),
            other => Err(D::Error::custom(format_args!("policy version {other} is not known; this program knows 1"))),
        }
    }
}

/// Rules for SGX and TDX.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent switch of a configuration file")]
pub struct IntelRules {
    /// Advisories (`INTEL-SA-…`) whose absence of a firmware fix the enclaves' software makes up for. One that is not listed
    /// here refuses; so `SWHardeningNeeded` passes only with every advisory listed. Default: none.
    pub advisories: BTreeSet<String>,
    /// Accepts any advisory. Default false.
    pub danger_any_advisory: bool,
    /// Accepts platforms whose configuration is not as Intel recommends (`ConfigurationNeeded` and relatives). Default false.
    pub danger_configuration_needed: bool,
    /// How many days after the date of its TCB level a platform may be out of date, or its TD in need of a restart. Default 0:
    /// never.
    pub out_of_date_grace_days: u32,
    /// Lowest evaluation number of TCB info and quoting-enclave identity. Raise it when Intel recovers a TCB; never lower it.
    /// Default 17.
    pub min_evaluation_number: u32,
    /// Whether packages may be added to the platform. Default true: servers with TDX are built so.
    pub allow_dynamic_platform: bool,
    /// Whether Intel may hold platform keys. Default true: servers with TDX are registered so.
    pub allow_cached_keys: bool,
    /// Ways of protecting memory accepted. Default: all.
    pub sgx_types: BTreeSet<SgxType>,
    /// Attributes a TD may have beside SEPT_VE_DISABLE, which it must have. Default: those that protect the guest.
    pub td_attributes: BTreeSet<TdAttribute>,
}

/// Attributes of a TD that are neither required nor forbidden for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TdAttribute {
    /// Defence against single-stepping by counting instructions (bit 16).
    Icssd,
    /// Linear address space separation (bit 27).
    Lass,
    /// Supervisor protection keys (bit 30).
    Pks,
    /// Key locker (bit 31).
    Kl,
    /// The TD is a TDX Connect provisioning agent (bit 62).
    Tpa,
    /// Performance counters inside the TD (bit 63).
    Perfmon,
}

impl TdAttribute {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Icssd, Self::Lass, Self::Pks, Self::Kl, Self::Tpa, Self::Perfmon];

    /// Number of its bit in TDATTRIBUTES.
    pub const fn bit(self) -> u32 {
        match self {
            Self::Icssd => 16,
            Self::Lass => 27,
            Self::Pks => 30,
            Self::Kl => 31,
            Self::Tpa => 62,
            Self::Perfmon => 63,
        }
    }
}

/// Rules for SEV-SNP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AmdRules {
    /// Lowest TCB per product, component by component. A product without one is refused. Default: none, because a number
    /// compiled in would age: take it from AMD's security bulletins.
    pub floors: BTreeMap<AmdProduct, Floor>,
    /// Versions of the report accepted. Default 3 and 5; version 2 does not say which product it comes from.
    #[serde(deserialize_with = "known_report_versions")]
    pub report_versions: BTreeSet<u16>,
    /// Privilege levels accepted. Default 0 only.
    #[serde(deserialize_with = "known_vmpls")]
    pub vmpls: BTreeSet<u8>,
    /// Whether a cloud provider's key (VLEK) may stand in for the chip's. Default true.
    pub allow_vlek: bool,
    /// Accepts version 5 reports of platforms that did not finish the check for aliased memory. Default false.
    pub danger_without_alias_check: bool,
    /// Digests of the author keys accepted (SHA-384); any, or none at all, if absent. Default: absent.
    pub author_keys: Option<BTreeSet<FixedBytes<48>>>,
}

/// Lowest TCB of a product, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// What reported and committed TCB must reach.
    pub minimum: SnpTcb,
    /// The vendor's bulletin that asks for it, such as `AMD-SB-3019`; shown in refusals.
    pub bulletin: String,
}

/// Rules for Nitro.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NitroRules {
    /// How far the document's own time may be from the verifier's, in seconds, either way. Default 300.
    pub max_age_seconds: u64,
}

/// A machine. Written `intel-ppid:…`, `intel-instance:…`, `amd-chip:…` or `aws-instance:…` with the bytes in lower-case hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlatformId {
    /// Protected platform id in the PCK certificate.
    IntelPpid(FixedBytes<16>),
    /// Platform instance id in the PCK certificate.
    IntelInstance(FixedBytes<16>),
    /// CHIP_ID of the report.
    AmdChip(FixedBytes<64>),
    /// PCR4 of the document: SHA-384 over the parent instance's id.
    AwsInstance(FixedBytes<48>),
}

impl fmt::Display for PlatformId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IntelPpid(id) => write!(f, "intel-ppid:{}", hex::encode(id)),
            Self::IntelInstance(id) => write!(f, "intel-instance:{}", hex::encode(id)),
            Self::AmdChip(id) => write!(f, "amd-chip:{}", hex::encode(id)),
            Self::AwsInstance(id) => write!(f, "aws-instance:{}", hex::encode(id)),
        }
    }
}

/// A text that names no machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a platform id; write intel-ppid: or intel-instance: and 32 hex digits, amd-chip: and 128, or aws-instance: and 96"
)]
pub struct ParsePlatformIdError;

impl FromStr for PlatformId {
    type Err = ParsePlatformIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, digits) = text.split_once(':').ok_or(ParsePlatformIdError)?;
        Ok(match kind {
            "intel-ppid" => Self::IntelPpid(fixed(digits)?),
            "intel-instance" => Self::IntelInstance(fixed(digits)?),
            "amd-chip" => Self::AmdChip(fixed(digits)?),
            "aws-instance" => Self::AwsInstance(fixed(digits)?),
            _ => return Err(ParsePlatformIdError),
        })
    }
}

fn fixed<const N: usize>(digits: &str) -> Result<FixedBytes<N>, ParsePlatformIdError> {
    let mut bytes = FixedBytes::ZERO;
    hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_| ParsePlatformIdError)?;
    Ok(bytes)
}

impl Serialize for PlatformId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PlatformId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// SHA-256 over `strongroom/policy/v1` ‖ the policy's JSON: names the exact rules in logs and records.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyHash(B256);

impl PolicyHash {
    /// The hash as 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0.0
    }
}

impl fmt::Display for PolicyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PolicyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyHash({self})")
    }
}

impl Policy {
    /// The defaults: real hardware, up to date, judged with endorsements of this week.
    pub fn production() -> Self {
        Self {
            version: PolicyVersion,
            kinds: all_kinds(),
            danger_development: None,
            max_endorsement_age_seconds: seven_days(),
            danger_without_revocation: false,
            allow_smt: true,
            platforms: None,
            intel: IntelRules::default(),
            amd: AmdRules::default(),
            nitro: NitroRules::default(),
        }
    }

    /// For local work: the simulator of this name beside real hardware of any age. Debug mode stays refused.
    pub fn development(simulator: &str) -> Self {
        Self { danger_development: Some(simulator.to_owned()), ..Self::unrestricted() }
    }

    /// No rule but those that hold for all: merged with another policy it gives that other. Where an owner's rules begin.
    pub fn unrestricted() -> Self {
        let zero = |product| (product, Floor { minimum: SnpTcb::default(), bulletin: String::new() });
        Self {
            danger_development: Some(ANY_DEVELOPMENT.to_owned()),
            max_endorsement_age_seconds: None,
            danger_without_revocation: true,
            intel: IntelRules {
                danger_any_advisory: true,
                danger_configuration_needed: true,
                out_of_date_grace_days: u32::MAX,
                min_evaluation_number: 0,
                td_attributes: TdAttribute::ALL.into(),
                ..IntelRules::default()
            },
            amd: AmdRules {
                floors: AmdProduct::ALL.into_iter().map(zero).collect(),
                report_versions: REPORT_VERSIONS.into(),
                vmpls: VMPLS.into(),
                danger_without_alias_check: true,
                ..AmdRules::default()
            },
            nitro: NitroRules { max_age_seconds: u64::MAX },
            ..Self::production()
        }
    }

    /// The policy's hash.
    pub fn hash(&self) -> PolicyHash {
        let mut text = b"strongroom/policy/v1".to_vec();
        serde_json::to_writer(&mut text, self).expect("rules are numbers, strings and maps keyed by strings");
        PolicyHash(sha256(&text))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::production()
    }
}

impl Default for IntelRules {
    fn default() -> Self {
        Self {
            advisories: BTreeSet::new(),
            danger_any_advisory: false,
            danger_configuration_needed: false,
            out_of_date_grace_days: 0,
            min_evaluation_number: 17,
            allow_dynamic_platform: true,
            allow_cached_keys: true,
            sgx_types: [SgxType::Standard, SgxType::Scalable, SgxType::ScalableWithIntegrity].into(),
            td_attributes: [TdAttribute::Icssd, TdAttribute::Lass, TdAttribute::Pks].into(),
        }
    }
}

impl Default for AmdRules {
    fn default() -> Self {
        Self {
            floors: BTreeMap::new(),
            report_versions: [3, 5].into(),
            vmpls: [0].into(),
            allow_vlek: true,
            danger_without_alias_check: false,
            author_keys: None,
        }
    }
}

impl Default for NitroRules {
    fn default() -> Self {
        Self { max_age_seconds: 300 }
    }
}

/// Every version of the report there is.
const REPORT_VERSIONS: [u16; 3] = [2, 3, 5];
/// Every privilege level there is.
const VMPLS: [u8; 4] = [0, 1, 2, 3];

fn known_report_versions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<u16>, D::Error> {
    let versions = BTreeSet::deserialize(deserializer)?;
    match versions.iter().find(|version| !REPORT_VERSIONS.contains(version)) {
        Some(unknown) => Err(D::Error::custom(format_args!("report version {unknown} is not known; 2, 3 and 5 are"))),
        None => Ok(versions),
    }
}

fn known_vmpls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<u8>, D::Error> {
    let levels = BTreeSet::deserialize(deserializer)?;
    match levels.iter().find(|level| !VMPLS.contains(level)) {
        Some(unknown) => Err(D::Error::custom(format_args!("there is no VMPL {unknown}; they go from 0 to 3"))),
        None => Ok(levels),
    }
}

/// In `danger_development`: the simulator of any name.
pub(super) const ANY_DEVELOPMENT: &str = "*";

fn all_kinds() -> BTreeSet<EvidenceKind> {
    EvidenceKind::ALL.into()
}

// serde takes the default of a field from a function of the field's type.
#[expect(clippy::unnecessary_wraps, reason = "the type is the field's")]
const fn seven_days() -> Option<u64> {
    Some(7 * 24 * 60 * 60)
}

const fn yes() -> bool {
    true
}
