//! The stricter of two policies, member by member. Whatever passes the result passes both, and the other way round.

use std::collections::{BTreeMap, BTreeSet};

use super::rules::{ANY_DEVELOPMENT, AmdRules, Floor, IntelRules, NitroRules, Policy, PolicyVersion};
use crate::anchors::AmdProduct;
use crate::claims::SnpTcb;

impl Policy {
    /// Merges two policies: the result accepts exactly what both accept.
    #[must_use]
    pub fn stricter_of(&self, other: &Self) -> Self {
        Self {
            version: PolicyVersion,
            kinds: both(&self.kinds, &other.kinds),
            danger_development: development(self.danger_development.as_deref(), other.danger_development.as_deref()),
            max_endorsement_age_seconds: lower(self.max_endorsement_age_seconds, other.max_endorsement_age_seconds),
            danger_without_revocation: self.danger_without_revocation && other.danger_without_revocation,
            allow_smt: self.allow_smt && other.allow_smt,
            platforms: both_if_some(self.platforms.as_ref(), other.platforms.as_ref()),
            intel: intel(&self.intel, &other.intel),
            amd: amd(&self.amd, &other.amd),
            nitro: NitroRules { max_age_seconds: self.nitro.max_age_seconds.min(other.nitro.max_age_seconds) },
        }
    }
}

fn intel(a: &IntelRules, b: &IntelRules) -> IntelRules {
    let advisories = match (a.danger_any_advisory, b.danger_any_advisory) {
        // Any is accepted anyway; the names are kept for the next merge.
        (true, true) => a.advisories.union(&b.advisories).cloned().collect(),
        (true, false) => b.advisories.clone(),
        (false, true) => a.advisories.clone(),
        (false, false) => both(&a.advisories, &b.advisories),
    };
    IntelRules {
        advisories,
        danger_any_advisory: a.danger_any_advisory && b.danger_any_advisory,
        danger_configuration_needed: a.danger_configuration_needed && b.danger_configuration_needed,
        out_of_date_grace_days: a.out_of_date_grace_days.min(b.out_of_date_grace_days),
        min_evaluation_number: a.min_evaluation_number.max(b.min_evaluation_number),
        allow_dynamic_platform: a.allow_dynamic_platform && b.allow_dynamic_platform,
        allow_cached_keys: a.allow_cached_keys && b.allow_cached_keys,
        sgx_types: both(&a.sgx_types, &b.sgx_types),
        td_attributes: both(&a.td_attributes, &b.td_attributes),
    }
}

fn amd(a: &AmdRules, b: &AmdRules) -> AmdRules {
    AmdRules {
        floors: floors(&a.floors, &b.floors),
        report_versions: both(&a.report_versions, &b.report_versions),
        vmpls: both(&a.vmpls, &b.vmpls),
        allow_vlek: a.allow_vlek && b.allow_vlek,
        danger_without_alias_check: a.danger_without_alias_check && b.danger_without_alias_check,
        author_keys: both_if_some(a.author_keys.as_ref(), b.author_keys.as_ref()),
    }
}

/// A product needs a floor in both; each component takes the higher one.
fn floors(a: &BTreeMap<AmdProduct, Floor>, b: &BTreeMap<AmdProduct, Floor>) -> BTreeMap<AmdProduct, Floor> {
    let merge = |(product, a): (&AmdProduct, &Floor)| {
        let b = b.get(product)?;
        let minimum = SnpTcb {
            fmc: a.minimum.fmc.max(b.minimum.fmc),
            bootloader: a.minimum.bootloader.max(b.minimum.bootloader),
            tee: a.minimum.tee.max(b.minimum.tee),
            snp: a.minimum.snp.max(b.minimum.snp),
            microcode: a.minimum.microcode.max(b.minimum.microcode),
        };
        let named = [&a.bulletin, &b.bulletin].map(String::as_str);
        let bulletin = match named {
            [one, other] if one == other || other.is_empty() => one.to_owned(),
            ["", one] => one.to_owned(),
            [one, other] => format!("{one}, {other}"),
        };
        Some((*product, Floor { minimum, bulletin }))
    };
    a.iter().filter_map(merge).collect()
}

fn development(a: Option<&str>, b: Option<&str>) -> Option<String> {
    let (a, b) = (a?, b?);
    let common = if a == ANY_DEVELOPMENT { Some(b) } else { (b == ANY_DEVELOPMENT || a == b).then_some(a) };
    common.map(str::to_owned)
}

fn lower(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

fn both<T: Clone + Ord>(a: &BTreeSet<T>, b: &BTreeSet<T>) -> BTreeSet<T> {
    a.intersection(b).cloned().collect()
}

fn both_if_some<T: Clone + Ord>(a: Option<&BTreeSet<T>>, b: Option<&BTreeSet<T>>) -> Option<BTreeSet<T>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(both(a, b)),
        (one, other) => one.or(other).cloned(),
    }
}
