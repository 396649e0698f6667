use std::collections::BTreeMap;

use alloy_primitives::{B256, FixedBytes};
use proptest::prelude::*;
use strongroom_protocol::UnixSeconds;

use super::*;
use crate::anchors::{AmdProduct, RootId, TrustDomain};
use crate::claims::*;
use crate::evidence::EvidenceKind;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const DAY: u64 = 86_400;

/// An SGX enclave on a platform without a flaw.
fn sgx() -> Claims {
    Claims {
        kind: EvidenceKind::Sgx,
        version: 3,
        trust_domain: TrustDomain::Production,
        root: RootId::CertificateSha256(B256::ZERO),
        report_data: FixedBytes::ZERO,
        debug: false,
        code: Code::Sgx(SgxCode {
            mrenclave: B256::ZERO,
            mrsigner: B256::ZERO,
            isv_prod_id: 0,
            isv_svn: 0,
            attributes: 5,
            xfrm: 3,
            misc_select: 0,
            config_id: FixedBytes::ZERO,
            config_svn: 0,
            isv_ext_prod_id: FixedBytes::ZERO,
            isv_family_id: FixedBytes::ZERO,
        }),
        platform: Platform::Intel(IntelPlatform {
            ppid: FixedBytes::repeat_byte(1),
            instance_id: Some(FixedBytes::repeat_byte(2)),
            fmspc: FixedBytes::ZERO,
            pce_id: FixedBytes::ZERO,
            pce_svn: 0,
            cpu_svn: FixedBytes::ZERO,
            sgx_type: SgxType::ScalableWithIntegrity,
            dynamic_platform: Some(true),
            cached_keys: Some(true),
            smt_enabled: Some(true),
        }),
        tcb: Tcb::Intel(IntelTcb {
            status: IntelTcbStatus::UpToDate,
            advisories: vec![],
            evaluation_number: 20,
            date: UnixSeconds(NOW.0 - 100 * DAY),
        }),
        endorsed: Endorsed { digest: B256::ZERO, fetched_at: NOW, valid_until: NOW, revocation: Revocation::Checked },
        made_at: None,
        verified_at: NOW,
    }
}

fn tdx() -> Claims {
    let code = TdxCode {
        mrtd: FixedBytes::ZERO,
        rtmrs: [FixedBytes::ZERO; 4],
        mr_config_id: FixedBytes::ZERO,
        mr_owner: FixedBytes::ZERO,
        mr_owner_config: FixedBytes::ZERO,
        mr_seam: FixedBytes::ZERO,
        module_svn: 6,
        attributes: 1 << 28,
        xfam: 0,
        log: None,
    };
    Claims { kind: EvidenceKind::Tdx, version: 4, code: Code::Tdx(Box::new(code)), ..sgx() }
}

const TCB: SnpTcb = SnpTcb { fmc: 0, bootloader: 4, tee: 1, snp: 24, microcode: 219 };

fn snp() -> Claims {
    let code = SnpCode {
        measurement: FixedBytes::ZERO,
        host_data: B256::ZERO,
        policy: 1 << 17,
        id_key_digest: FixedBytes::ZERO,
        author_key_digest: FixedBytes::ZERO,
        vmpl: 0,
        family_id: FixedBytes::ZERO,
        image_id: FixedBytes::ZERO,
        guest_svn: 0,
    };
    let platform = AmdPlatform {
        product: AmdProduct::Genoa,
        chip_id: FixedBytes::repeat_byte(3),
        signing_key: AmdSigningKey::Vcek,
        platform_info: 1 | 1 << 5,
        mask_chip_key: false,
    };
    Claims {
        kind: EvidenceKind::Snp,
        version: 5,
        code: Code::Snp(Box::new(code)),
        platform: Platform::Amd(platform),
        tcb: Tcb::Amd(AmdTcb { reported: TCB, committed: TCB, current: TCB, launch: TCB }),
        ..sgx()
    }
}

fn nitro() -> Claims {
    let pcrs = BTreeMap::from([(4, FixedBytes::repeat_byte(4))]);
    Claims {
        kind: EvidenceKind::Nitro,
        version: 1,
        code: Code::Nitro(NitroCode { pcrs, public_key: None, nonce: None }),
        platform: Platform::Nitro { module_id: "i-0".into() },
        tcb: Tcb::NotApplicable,
        made_at: Some(NOW),
        ..sgx()
    }
}

/// Production, with a floor for the SNP claims above.
fn policy() -> Policy {
    let mut policy = Policy::production();
    let floor = Floor { minimum: TCB, bulletin: "AMD-SB-0000".into() };
    policy.amd.floors.insert(AmdProduct::Genoa, floor);
    policy
}

fn failing_rule(policy: &Policy, claims: Claims) -> Option<Rule> {
    policy.evaluate(&Verified::new(claims)).err().map(|refusal| refusal.rule)
}

fn intel_tcb(mut claims: Claims, change: impl FnOnce(&mut IntelTcb)) -> Claims {
    if let Tcb::Intel(tcb) = &mut claims.tcb {
        change(tcb);
    }
    claims
}

fn intel_platform(mut claims: Claims, change: impl FnOnce(&mut IntelPlatform)) -> Claims {
    if let Platform::Intel(platform) = &mut claims.platform {
        change(platform);
    }
    claims
}

fn amd_platform(change: impl FnOnce(&mut AmdPlatform)) -> Claims {
    let mut claims = snp();
    if let Platform::Amd(platform) = &mut claims.platform {
        change(platform);
    }
    claims
}

fn amd_tcb(change: impl FnOnce(&mut AmdTcb)) -> Claims {
    let mut claims = snp();
    if let Tcb::Amd(tcb) = &mut claims.tcb {
        change(tcb);
    }
    claims
}

fn snp_code(change: impl FnOnce(&mut SnpCode)) -> Claims {
    let mut claims = snp();
    if let Code::Snp(code) = &mut claims.code {
        change(code);
    }
    claims
}

fn td_attributes(attributes: u64) -> Claims {
    let mut claims = tdx();
    if let Code::Tdx(code) = &mut claims.code {
        code.attributes = attributes;
    }
    claims
}

#[test]
fn flawless_evidence_of_every_kind_passes_the_production_policy() {
    for claims in [sgx(), tdx(), snp(), nitro()] {
        let accepted = policy().evaluate(&Verified::new(claims.clone())).unwrap();
        assert_eq!(accepted.claims(), &claims);
        assert_eq!(accepted.policy(), policy().hash());
    }
}

#[test]
fn debug_mode_is_refused_by_every_policy() {
    for policy in [policy(), Policy::development("x"), Policy::unrestricted()] {
        for claims in [sgx(), tdx(), snp(), nitro()] {
            assert_eq!(failing_rule(&policy, Claims { debug: true, ..claims }), Some(Rule::Debug));
        }
    }
}

#[test]
fn simulated_evidence_passes_only_where_its_simulator_is_named() {
    let simulated = || Claims { trust_domain: TrustDomain::Development("devnet".into()), ..sgx() };
    assert_eq!(failing_rule(&Policy::production(), simulated()), Some(Rule::TrustDomain));
    assert_eq!(failing_rule(&Policy::development("devnet"), simulated()), None);
    assert_eq!(failing_rule(&Policy::development("other"), simulated()), Some(Rule::TrustDomain));
    assert_eq!(failing_rule(&Policy::unrestricted(), simulated()), None);
}

#[test]
fn every_tcb_status_is_judged_as_the_policy_says() {
    use IntelTcbStatus::{
        ConfigurationAndSWHardeningNeeded, ConfigurationNeeded, OutOfDate, OutOfDateConfigurationNeeded,
        SWHardeningNeeded, TDRelaunchAdvised, TDRelaunchAdvisedConfigurationNeeded, UpToDate,
    };
    let mut hardened = policy();
    hardened.intel.advisories.insert("INTEL-SA-1".into());
    let mut configuration = hardened.clone();
    configuration.intel.danger_configuration_needed = true;
    let mut grace = hardened.clone();
    grace.intel.out_of_date_grace_days = 100;
    let mut grace_and_configuration = configuration.clone();
    grace_and_configuration.intel.out_of_date_grace_days = 100;

    let accepted = |policy: &Policy| {
        let judged = |status| {
            intel_tcb(tdx(), |tcb| {
                tcb.status = status;
                tcb.advisories = vec!["INTEL-SA-1".into()];
            })
        };
        IntelTcbStatus::ALL
            .into_iter()
            .filter(|status| failing_rule(policy, judged(*status)).is_none())
            .collect::<Vec<_>>()
    };
    assert_eq!(accepted(&policy()), []);
    assert_eq!(accepted(&hardened), [UpToDate, SWHardeningNeeded]);
    assert_eq!(
        accepted(&configuration),
        [UpToDate, SWHardeningNeeded, ConfigurationNeeded, ConfigurationAndSWHardeningNeeded]
    );
    assert_eq!(accepted(&grace), [UpToDate, SWHardeningNeeded, OutOfDate, TDRelaunchAdvised]);
    assert_eq!(
        accepted(&grace_and_configuration),
        [
            UpToDate,
            SWHardeningNeeded,
            ConfigurationNeeded,
            ConfigurationAndSWHardeningNeeded,
            OutOfDate,
            OutOfDateConfigurationNeeded,
            TDRelaunchAdvised,
            TDRelaunchAdvisedConfigurationNeeded
        ]
    );
    assert_eq!(accepted(&Policy::development("x")), IntelTcbStatus::ALL);
}

#[test]
fn the_grace_for_an_outdated_platform_ends_to_the_second() {
    let mut policy = policy();
    policy.intel.out_of_date_grace_days = 100;
    let at = |seconds_later| {
        let outdated = intel_tcb(sgx(), |tcb| tcb.status = IntelTcbStatus::OutOfDate);
        let verified_at = UnixSeconds(NOW.0 + seconds_later);
        let endorsed = Endorsed { fetched_at: verified_at, ..outdated.endorsed.clone() };
        failing_rule(&policy, Claims { endorsed, verified_at, ..outdated })
    };
    assert_eq!(at(0), None);
    assert_eq!(at(1), Some(Rule::TcbStatus));
}

#[test]
fn an_advisory_that_is_not_listed_refuses_whatever_the_status() {
    let mut policy = policy();
    policy.intel.advisories.insert("INTEL-SA-1".into());
    let with = |advisories: &[&str]| {
        let advisories = advisories.iter().map(ToString::to_string).collect();
        failing_rule(&policy, intel_tcb(sgx(), |tcb| tcb.advisories = advisories))
    };
    assert_eq!(with(&["INTEL-SA-1"]), None);
    assert_eq!(with(&["INTEL-SA-1", "INTEL-SA-2"]), Some(Rule::Advisories));
    assert_eq!(with(&["INTEL-SA-1", "intel-sa-1"]), Some(Rule::Advisories));
}

#[test]
fn a_lower_evaluation_number_than_configured_is_refused() {
    let number = |number| intel_tcb(sgx(), |tcb| tcb.evaluation_number = number);
    assert_eq!(failing_rule(&policy(), number(17)), None);
    assert_eq!(failing_rule(&policy(), number(16)), Some(Rule::EvaluationNumber));
}

#[test]
fn an_snp_tcb_below_the_floor_in_one_component_is_refused_reported_or_committed() {
    let lower = [
        SnpTcb { bootloader: 3, ..TCB },
        SnpTcb { tee: 0, ..TCB },
        SnpTcb { snp: 23, microcode: 255, ..TCB },
        SnpTcb { microcode: 218, ..TCB },
    ];
    for lower in lower {
        assert_eq!(failing_rule(&policy(), amd_tcb(|tcb| tcb.reported = lower)), Some(Rule::TcbFloor), "{lower:?}");
        assert_eq!(failing_rule(&policy(), amd_tcb(|tcb| tcb.committed = lower)), Some(Rule::TcbFloor), "{lower:?}");
        assert_eq!(failing_rule(&policy(), amd_tcb(|tcb| tcb.launch = lower)), None, "{lower:?}");
    }
}

#[test]
fn a_product_without_a_floor_is_refused() {
    assert_eq!(failing_rule(&Policy::production(), snp()), Some(Rule::TcbFloor));
    let milan = || amd_platform(|platform| platform.product = AmdProduct::Milan);
    assert_eq!(failing_rule(&policy(), milan()), Some(Rule::TcbFloor));
    assert_eq!(failing_rule(&Policy::unrestricted(), milan()), None);
}

#[test]
fn revocation_lists_must_have_been_consulted_except_for_nitro() {
    let unchecked = |claims: Claims| {
        let endorsed = Endorsed { revocation: Revocation::NotChecked, ..claims.endorsed.clone() };
        Claims { endorsed, ..claims }
    };
    assert_eq!(failing_rule(&policy(), unchecked(snp())), Some(Rule::Revocation));
    assert_eq!(failing_rule(&policy(), unchecked(nitro())), None);
    let lenient = Policy { danger_without_revocation: true, ..policy() };
    assert_eq!(failing_rule(&lenient, unchecked(snp())), None);
    assert_eq!(failing_rule(&lenient, unchecked(sgx())), Some(Rule::Revocation));
}

#[test]
fn endorsements_older_than_configured_are_refused_even_if_unexpired() {
    let fetched = |seconds_ago| {
        let claims = sgx();
        let endorsed = Endorsed { fetched_at: UnixSeconds(NOW.0 - seconds_ago), ..claims.endorsed.clone() };
        Claims { endorsed, ..claims }
    };
    assert_eq!(failing_rule(&policy(), fetched(7 * DAY)), None);
    assert_eq!(failing_rule(&policy(), fetched(7 * DAY + 1)), Some(Rule::EndorsementAge));
    assert_eq!(failing_rule(&Policy::unrestricted(), fetched(7 * DAY + 1)), None);
}

#[test]
fn machines_configured_otherwise_than_allowed_are_refused() {
    let refused = Some(Rule::Configuration);
    let no_smt = Policy { allow_smt: false, ..policy() };
    assert_eq!(failing_rule(&no_smt, sgx()), refused);
    assert_eq!(failing_rule(&no_smt, intel_platform(sgx(), |platform| platform.smt_enabled = Some(false))), None);
    assert_eq!(failing_rule(&no_smt, snp()), refused);
    assert_eq!(failing_rule(&no_smt, amd_platform(|platform| platform.platform_info = 1 << 5)), None);

    let mut fixed = policy();
    fixed.intel.allow_dynamic_platform = false;
    assert_eq!(failing_rule(&fixed, sgx()), refused);
    let mut own_keys = policy();
    own_keys.intel.allow_cached_keys = false;
    assert_eq!(failing_rule(&own_keys, sgx()), refused);
    let mut integrity = policy();
    integrity.intel.sgx_types.remove(&SgxType::Scalable);
    assert_eq!(failing_rule(&integrity, sgx()), None);
    assert_eq!(
        failing_rule(&integrity, intel_platform(sgx(), |platform| platform.sgx_type = SgxType::Scalable)),
        refused
    );

    assert_eq!(failing_rule(&policy(), amd_platform(|platform| platform.platform_info = 1)), refused);
    let version_3 = Claims { version: 3, ..amd_platform(|platform| platform.platform_info = 1) };
    assert_eq!(failing_rule(&policy(), version_3), None);
    assert_eq!(failing_rule(&policy(), amd_platform(|platform| platform.mask_chip_key = true)), refused);
    let vlek = || amd_platform(|platform| platform.signing_key = AmdSigningKey::Vlek { csp_id: "cloud".into() });
    assert_eq!(failing_rule(&policy(), vlek()), None);
    let mut chips_only = policy();
    chips_only.amd.allow_vlek = false;
    assert_eq!(failing_rule(&chips_only, vlek()), refused);
}

#[test]
fn td_attributes_outside_the_allowed_ones_are_refused() {
    for attribute in TdAttribute::ALL {
        let with = td_attributes(1 << 28 | 1 << attribute.bit());
        let accepted = [TdAttribute::Icssd, TdAttribute::Lass, TdAttribute::Pks].contains(&attribute);
        assert_eq!(failing_rule(&policy(), with.clone()).is_none(), accepted, "{attribute:?}");
        assert_eq!(failing_rule(&Policy::unrestricted(), with), None, "{attribute:?}");
    }
    for bit in 18..=22 {
        let undefined = td_attributes(1 << 28 | 1 << bit);
        assert_eq!(failing_rule(&Policy::unrestricted(), undefined), Some(Rule::Attributes), "bit {bit}");
    }
}

#[test]
fn snp_reports_of_other_versions_levels_migration_or_authors_are_refused() {
    let refused = Some(Rule::Attributes);
    assert_eq!(failing_rule(&policy(), Claims { version: 2, ..snp() }), refused);
    for vmpl in 1..=3 {
        assert_eq!(failing_rule(&policy(), snp_code(|code| code.vmpl = vmpl)), refused);
    }
    assert_eq!(failing_rule(&policy(), snp_code(|code| code.policy = 0)), refused);
    assert_eq!(failing_rule(&policy(), snp_code(|code| code.policy |= 1 << 18)), refused);
    let mut authors = policy();
    authors.amd.author_keys = Some([FixedBytes::repeat_byte(9)].into());
    assert_eq!(failing_rule(&authors, snp()), refused);
    assert_eq!(failing_rule(&authors, snp_code(|code| code.author_key_digest = FixedBytes::repeat_byte(9))), None);
}

#[test]
fn only_listed_machines_pass_once_there_is_a_list() {
    let ids = ["intel-ppid:", "intel-instance:", "amd-chip:", "aws-instance:"]
        .into_iter()
        .zip([("01", 16), ("02", 16), ("03", 64), ("04", 48)])
        .map(|(kind, (byte, count))| format!("{kind}{}", byte.repeat(count)).parse::<PlatformId>().unwrap());
    let cases = [(sgx(), 0), (sgx(), 1), (tdx(), 0), (snp(), 2), (nitro(), 3)];
    let ids: Vec<_> = ids.collect();
    for (claims, listed) in cases {
        for (index, id) in ids.iter().enumerate() {
            let policy = Policy { platforms: Some([*id].into()), ..policy() };
            let both_intel = index < 2 && listed < 2;
            let expected = (index != listed && !both_intel).then_some(Rule::Platform);
            assert_eq!(failing_rule(&policy, claims.clone()), expected, "{id} for {}", claims.kind);
        }
        let nobody = Policy { platforms: Some([].into()), ..policy() };
        assert_eq!(failing_rule(&nobody, claims), Some(Rule::Platform));
    }
}

#[test]
fn a_masked_chip_id_names_no_machine() {
    let zero = PlatformId::AmdChip(FixedBytes::ZERO);
    let listed = Policy { platforms: Some([zero].into()), ..Policy::unrestricted() };
    let masked = amd_platform(|platform| platform.chip_id = FixedBytes::ZERO);
    assert_eq!(failing_rule(&listed, masked), Some(Rule::Platform));
}

#[test]
fn evidence_that_tells_its_time_must_be_recent_either_way() {
    for (made_at, refused) in [(0, false), (300, false), (-300, false), (301, true), (-301, true)] {
        let claims = Claims { made_at: Some(UnixSeconds(NOW.0.saturating_add_signed(made_at))), ..nitro() };
        assert_eq!(failing_rule(&policy(), claims), refused.then_some(Rule::EvidenceAge), "{made_at}");
    }
}

#[test]
fn a_kind_that_is_not_configured_is_refused_first() {
    let policy = Policy { kinds: [EvidenceKind::Snp].into(), ..policy() };
    assert_eq!(failing_rule(&policy, Claims { debug: true, ..sgx() }), Some(Rule::Kind));
}

#[test]
fn the_first_failing_rule_is_reported_and_verdicts_list_all() {
    let mut claims = intel_tcb(sgx(), |tcb| tcb.status = IntelTcbStatus::OutOfDate);
    claims.debug = true;
    claims.trust_domain = TrustDomain::Development("x".into());
    let verified = Verified::new(claims);
    let refusal = policy().evaluate(&verified).unwrap_err();
    assert_eq!(refusal.rule, Rule::TrustDomain);
    assert_eq!(
        refusal.to_string(),
        "trust-domain: development:x is simulated evidence; only real hardware is accepted"
    );
    let failed: Vec<_> = policy()
        .verdicts(verified.claims())
        .into_iter()
        .filter_map(|(rule, verdict)| verdict.err().map(|_| rule))
        .collect();
    assert_eq!(failed, [Rule::TrustDomain, Rule::Debug, Rule::TcbStatus]);
}

#[test]
fn a_policy_text_without_its_version_or_with_unknown_words_is_refused() {
    let parse = |text: &str| serde_json::from_str::<Policy>(text);
    assert_eq!(parse(r#"{"version":1}"#).unwrap(), Policy::production());
    assert!(parse("{}").unwrap_err().to_string().contains("missing field `version`"));
    assert!(parse(r#"{"version":2}"#).unwrap_err().to_string().contains("policy version 2 is not known"));
    for text in [
        r#"{"version":1,"alow_smt":false}"#,
        r#"{"version":1,"intel":{"status":["OutOfDate"]}}"#,
        r#"{"version":1,"amd":{"floors":{"Rome":{"minimum":{"bootloader":0,"tee":0,"snp":0,"microcode":0},"bulletin":""}}}}"#,
        r#"{"version":1,"amd":{"floors":{"Genoa":{"minimum":{"bootloader":0},"bulletin":""}}}}"#,
        r#"{"version":1,"platforms":["intel-ppid:00"]}"#,
        r#"{"version":1,"kinds":["tpm"]}"#,
        // Found by fuzzing: what cannot exist would be lost in a merge.
        r#"{"version":1,"amd":{"report_versions":[6,5]}}"#,
        r#"{"version":1,"amd":{"vmpls":[4]}}"#,
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
    let some = parse(r#"{"version":1,"intel":{"min_evaluation_number":20},"platforms":[]}"#).unwrap();
    assert_eq!(some.intel, IntelRules { min_evaluation_number: 20, ..IntelRules::default() });
    assert_eq!(some.platforms, Some([].into()));
}

#[test]
fn policies_survive_a_round_trip_and_hash_to_their_published_values() {
    for policy in [policy(), Policy::development("devnet"), Policy::unrestricted()] {
        let text = serde_json::to_string(&policy).unwrap();
        let read: Policy = serde_json::from_str(&text).unwrap();
        assert_eq!(read, policy);
        assert_eq!(read.hash(), policy.hash());
    }
    assert_eq!(
        serde_json::to_string(&Policy::production()).unwrap(),
        "{\"version\":1,\"kinds\":[\"sgx\",\"tdx\",\"snp\",\"nitro\"],\"danger_development\":null,\
         \"max_endorsement_age_seconds\":604800,\"danger_without_revocation\":false,\"allow_smt\":true,\
         \"platforms\":null,\"intel\":{\"advisories\":[],\"danger_any_advisory\":false,\
         \"danger_configuration_needed\":false,\"out_of_date_grace_days\":0,\"min_evaluation_number\":17,\
         \"allow_dynamic_platform\":true,\"allow_cached_keys\":true,\
         \"sgx_types\":[\"standard\",\"scalable\",\"scalable-with-integrity\"],\
         \"td_attributes\":[\"icssd\",\"lass\",\"pks\"]},\"amd\":{\"floors\":{},\"report_versions\":[3,5],\
         \"vmpls\":[0],\"allow_vlek\":true,\"danger_without_alias_check\":false,\"author_keys\":null},\
         \"nitro\":{\"max_age_seconds\":300}}"
    );
    assert_eq!(
        Policy::production().hash().to_string(),
        "93df0af6e3e4c7744f460c5709506bb5fa8fe1910b3367a4455ec67ffaf9fd0f"
    );
}

fn arbitrary_policy() -> impl Strategy<Value = Policy> {
    let top = (
        prop::collection::btree_set(prop::sample::select(EvidenceKind::ALL.to_vec()), 1..=4),
        prop::sample::select(vec![None, Some("a".to_owned()), Some("b".to_owned()), Some("*".to_owned())]),
        prop::sample::select(vec![None, Some(0), Some(DAY), Some(7 * DAY)]),
        any::<[bool; 3]>(),
    );
    let advisories = prop::collection::btree_set(prop::sample::select(vec!["A".to_owned(), "B".to_owned()]), 0..=2);
    let intel = (
        advisories,
        any::<[bool; 4]>(),
        prop::sample::select(vec![0, 50, 150, u32::MAX]),
        18_u32..22,
        prop::collection::btree_set(prop::sample::select(TdAttribute::ALL.to_vec()), 0..=6),
    );
    let amd = (any::<[bool; 3]>(), 210_u8..225, prop::collection::btree_set(0_u8..4, 0..=4));
    (top, intel, amd, 0_u64..600).prop_map(|(top, intel, amd, max_age_seconds)| {
        let (kinds, danger_development, max_endorsement_age_seconds, [no_crl, smt, listed]) = top;
        let (advisories, [any, configuration, dynamic, cached], grace, minimum, td_attributes) = intel;
        let ([floor, alias, vlek], microcode, vmpls) = amd;
        let mut policy = Policy {
            kinds,
            danger_development,
            max_endorsement_age_seconds,
            danger_without_revocation: no_crl,
            allow_smt: smt,
            platforms: listed.then(|| [PlatformId::IntelPpid(FixedBytes::repeat_byte(1))].into()),
            intel: IntelRules {
                advisories,
                danger_any_advisory: any,
                danger_configuration_needed: configuration,
                out_of_date_grace_days: grace,
                min_evaluation_number: minimum,
                allow_dynamic_platform: dynamic,
                allow_cached_keys: cached,
                td_attributes,
                ..IntelRules::default()
            },
            amd: AmdRules { allow_vlek: vlek, danger_without_alias_check: alias, vmpls, ..AmdRules::default() },
            nitro: NitroRules { max_age_seconds },
            ..Policy::production()
        };
        if floor {
            let minimum = SnpTcb { microcode, ..SnpTcb::default() };
            policy.amd.floors.insert(AmdProduct::Genoa, Floor { minimum, bulletin: String::new() });
        }
        policy
    })
}

fn arbitrary_claims() -> impl Strategy<Value = Claims> {
    let kind = prop::sample::select(vec![sgx(), tdx(), snp(), nitro()]);
    let domain = prop::sample::select(vec![
        TrustDomain::Production,
        TrustDomain::Production,
        TrustDomain::Development("a".into()),
        TrustDomain::Development("c".into()),
    ]);
    let status = prop::sample::select(IntelTcbStatus::ALL.to_vec());
    let advisories = prop::sample::select(vec![vec![], vec!["A".to_owned()], vec!["A".into(), "B".into()]]);
    let fetched = prop::sample::select(vec![0, DAY, 2 * DAY]);
    let attribute = prop::sample::select(TdAttribute::ALL.to_vec());
    (
        kind,
        domain,
        (status, advisories, 17_u32..22),
        fetched,
        (attribute, 210_u8..225, 0_u8..4),
        any::<[bool; 3]>(),
        0_u64..600,
    )
        .prop_map(
            |(
                claims,
                trust_domain,
                (status, advisories, number),
                fetched,
                (attribute, microcode, vmpl),
                flags,
                made,
            )| {
                let [smt, vlek, checked] = flags;
                let mut claims = intel_tcb(Claims { trust_domain, ..claims }, |tcb| {
                    *tcb = IntelTcb { status, advisories, evaluation_number: number, date: tcb.date };
                });
                claims.endorsed.fetched_at = UnixSeconds(NOW.0 - fetched);
                if !checked && claims.kind == EvidenceKind::Snp {
                    claims.endorsed.revocation = Revocation::NotChecked;
                }
                claims.made_at = claims.made_at.map(|now| UnixSeconds(now.0 - made));
                match &mut claims.platform {
                    Platform::Intel(platform) => platform.smt_enabled = Some(smt),
                    Platform::Amd(platform) if vlek => {
                        platform.signing_key = AmdSigningKey::Vlek { csp_id: String::new() }
                    }
                    Platform::Amd(_) | Platform::Nitro { .. } => {}
                }
                match &mut claims.code {
                    Code::Tdx(code) => code.attributes |= 1 << attribute.bit(),
                    Code::Snp(code) => code.vmpl = vmpl,
                    Code::Sgx(_) | Code::Nitro(_) => {}
                }
                if let Tcb::Amd(tcb) = &mut claims.tcb {
                    tcb.reported.microcode = microcode;
                }
                claims
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_stricter_of_two_policies_accepts_what_both_accept(
        a in arbitrary_policy(),
        b in arbitrary_policy(),
        claims in arbitrary_claims(),
    ) {
        let verified = Verified::new(claims);
        let both = a.evaluate(&verified).is_ok() && b.evaluate(&verified).is_ok();
        prop_assert_eq!(a.stricter_of(&b).evaluate(&verified).is_ok(), both);
        prop_assert_eq!(b.stricter_of(&a).evaluate(&verified).is_ok(), both);
    }

    #[test]
    fn a_policy_merged_with_itself_or_with_no_rules_stays_what_it_is(a in arbitrary_policy()) {
        prop_assert_eq!(&a.stricter_of(&a), &a);
        prop_assert_eq!(&a.stricter_of(&Policy::unrestricted()), &a);
        prop_assert_eq!(&Policy::unrestricted().stricter_of(&a), &a);
    }

    #[test]
    fn different_policies_have_different_hashes(a in arbitrary_policy(), b in arbitrary_policy()) {
        prop_assert_eq!(a.hash() == b.hash(), a == b);
    }
}
