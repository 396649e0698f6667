use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::B256;
use strongroom_protocol::UnixSeconds;

use super::*;
use crate::anchors::{RootId, TrustDomain};
use crate::claims::{Endorsed, MeasuredLog, Platform, Revocation, Tcb};
use crate::evidence::EvidenceKind;
use crate::measurement::ApprovedImage;

fn claims(kind: EvidenceKind, code: Code) -> Claims {
    Claims {
        kind,
        version: 0,
        trust_domain: TrustDomain::Production,
        root: RootId::CertificateSha256(B256::ZERO),
        report_data: FixedBytes::ZERO,
        debug: false,
        code,
        platform: Platform::Nitro { module_id: String::new() },
        tcb: Tcb::NotApplicable,
        endorsed: Endorsed {
            digest: B256::ZERO,
            fetched_at: UnixSeconds(0),
            valid_until: UnixSeconds(0),
            revocation: Revocation::Checked,
        },
        made_at: None,
        verified_at: UnixSeconds(0),
    }
}

fn sgx() -> SgxCode {
    SgxCode {
        mrenclave: B256::repeat_byte(1),
        mrsigner: B256::repeat_byte(2),
        isv_prod_id: 3,
        isv_svn: 4,
        attributes: 0x85,
        xfrm: 3,
        misc_select: 0,
        config_id: FixedBytes::repeat_byte(5),
        config_svn: 6,
        isv_ext_prod_id: FixedBytes::ZERO,
        isv_family_id: FixedBytes::ZERO,
    }
}

fn tdx() -> TdxCode {
    TdxCode {
        mrtd: FixedBytes::repeat_byte(1),
        rtmrs: [2, 3, 4, 5].map(FixedBytes::repeat_byte),
        mr_config_id: FixedBytes::repeat_byte(6),
        mr_owner: FixedBytes::repeat_byte(7),
        mr_owner_config: FixedBytes::repeat_byte(8),
        mr_seam: FixedBytes::ZERO,
        module_svn: 9,
        attributes: 1 << 28,
        xfam: 0x602e7,
        log: Some(MeasuredLog {
            app_id: FixedBytes::ZERO,
            compose_hash: B256::repeat_byte(10),
            instance_id: None,
            boot: vec![],
            application: vec![],
        }),
    }
}

fn snp() -> SnpCode {
    SnpCode {
        measurement: FixedBytes::repeat_byte(1),
        host_data: B256::repeat_byte(2),
        policy: 0x30000,
        id_key_digest: FixedBytes::repeat_byte(3),
        author_key_digest: FixedBytes::ZERO,
        vmpl: 0,
        family_id: FixedBytes::ZERO,
        image_id: FixedBytes::ZERO,
        guest_svn: 0,
    }
}

fn nitro() -> NitroCode {
    let pcrs = [0, 1, 2, 8].map(|index| (index, FixedBytes::repeat_byte(index + 1)));
    NitroCode { pcrs: BTreeMap::from(pcrs), public_key: None, nonce: None }
}

fn image(rtmr0: &[u8]) -> ApprovedImages {
    let code = tdx();
    let image = ApprovedImage {
        name: "guest".into(),
        mrtd: code.mrtd,
        rtmr0: rtmr0.iter().copied().map(FixedBytes::repeat_byte).collect::<BTreeSet<_>>(),
        rtmr1: code.rtmrs[1],
        rtmr2: code.rtmrs[2],
    };
    [image].into_iter().collect()
}

/// The field by which changed code is told from the code that was registered.
fn told_apart(kind: EvidenceKind, registered: Code, changed: Code) -> Option<&'static str> {
    let registered = claims(kind, registered);
    let measurement = Measurement::of(&registered).unwrap();
    assert_eq!(measurement.matches(&registered, &image(&[2])), Ok(()));
    measurement.matches(&claims(kind, changed), &image(&[2])).err().map(|mismatch| mismatch.field)
}

#[test]
fn an_enclave_that_differs_in_any_field_of_its_identity_is_another() {
    let other = |change: fn(&mut SgxCode)| {
        let mut code = sgx();
        change(&mut code);
        told_apart(EvidenceKind::Sgx, Code::Sgx(sgx()), Code::Sgx(code))
    };
    assert_eq!(other(|code| code.mrenclave.0[31] ^= 1), Some("mrenclave"));
    assert_eq!(other(|code| code.mrsigner.0[0] ^= 1), Some("mrsigner"));
    assert_eq!(other(|code| code.isv_prod_id += 1), Some("isvprodid"));
    assert_eq!(other(|code| code.attributes ^= 1 << 63), Some("attributes"));
    assert_eq!(other(|code| code.config_id.0[63] ^= 1), Some("configid"));
    // Versions are policy, not identity.
    assert_eq!(other(|code| code.isv_svn += 1), None);
}

#[test]
fn the_legacy_form_takes_any_signer_but_no_debug_and_no_configuration() {
    let legacy = Measurement::legacy_sgx(sgx().mrenclave);
    let matches = |change: fn(&mut SgxCode)| {
        let mut code = SgxCode { attributes: 0x05, config_id: FixedBytes::ZERO, ..sgx() };
        change(&mut code);
        legacy.matches(&claims(EvidenceKind::Sgx, Code::Sgx(code)), &image(&[])).map_err(|mismatch| mismatch.field)
    };
    assert_eq!(matches(|code| (code.mrsigner, code.isv_prod_id) = (B256::ZERO, 9)), Ok(()));
    assert_eq!(matches(|code| code.attributes |= 1 << 40), Ok(()));
    assert_eq!(matches(|code| code.attributes |= 2), Err("attributes"));
    assert_eq!(matches(|code| code.attributes |= 1 << 7), Err("attributes"));
    assert_eq!(matches(|code| code.config_id = FixedBytes::repeat_byte(1)), Err("configid"));
}

#[test]
fn an_application_on_an_image_that_differs_in_any_field_is_another() {
    let other = |change: fn(&mut TdxCode)| {
        let mut code = tdx();
        change(&mut code);
        told_apart(EvidenceKind::Tdx, Code::Tdx(Box::new(tdx())), Code::Tdx(Box::new(code)))
    };
    assert_eq!(other(|code| code.mrtd.0[0] ^= 1), Some("os-image"));
    assert_eq!(other(|code| code.rtmrs[1].0[0] ^= 1), Some("os-image"));
    assert_eq!(other(|code| code.rtmrs[2].0[0] ^= 1), Some("os-image"));
    assert_eq!(other(|code| code.rtmrs[0].0[0] ^= 1), Some("os-image"));
    assert_eq!(other(|code| code.log.as_mut().unwrap().compose_hash.0[0] ^= 1), Some("compose-hash"));
    assert_eq!(other(|code| code.log = None), Some("compose-hash"));
    assert_eq!(other(|code| code.mr_config_id.0[0] ^= 1), Some("mrconfigid"));
    assert_eq!(other(|code| code.mr_owner.0[0] ^= 1), Some("mrowner"));
    assert_eq!(other(|code| code.mr_owner_config.0[0] ^= 1), Some("mrownerconfig"));
    assert_eq!(other(|code| code.attributes |= 1 << 63), Some("attributes"));
    assert_eq!(other(|code| code.xfam ^= 1), Some("xfam"));
    // RTMR3 is per instance; the log is what counts.
    assert_eq!(other(|code| code.rtmrs[3].0[0] ^= 1), None);
}

#[test]
fn an_image_counts_only_while_it_is_approved_for_the_shape_of_the_machine() {
    let run = claims(EvidenceKind::Tdx, Code::Tdx(Box::new(tdx())));
    let measurement = Measurement::of(&run).unwrap();
    for (approved, matches) in [(&[][..], false), (&[1, 3], false), (&[1, 2], true)] {
        let matched = measurement.matches(&run, &image(approved));
        assert_eq!(matched.is_ok(), matches, "{approved:?}: {matched:?}");
    }
    assert!(measurement.matches(&run, &ApprovedImages::default()).is_err());
    let merged: ApprovedImages = image(&[1]).images().chain(image(&[2]).images()).cloned().collect();
    assert_eq!(measurement.matches(&run, &merged), Ok(()));
    assert_eq!(merged.images().count(), 1);
}

#[test]
fn a_trust_domain_without_log_that_differs_in_any_field_is_another() {
    let other = |change: fn(&mut TdxCode)| {
        let registered = TdxCode { log: None, ..tdx() };
        let mut code = registered.clone();
        change(&mut code);
        told_apart(EvidenceKind::Tdx, Code::Tdx(Box::new(registered)), Code::Tdx(Box::new(code)))
    };
    assert_eq!(other(|code| code.mrtd.0[47] ^= 1), Some("mrtd"));
    assert_eq!(other(|code| code.rtmrs[0].0[47] ^= 1), Some("rtmr0"));
    assert_eq!(other(|code| code.rtmrs[1].0[47] ^= 1), Some("rtmr1"));
    assert_eq!(other(|code| code.rtmrs[2].0[47] ^= 1), Some("rtmr2"));
    assert_eq!(other(|code| code.rtmrs[3].0[47] ^= 1), Some("rtmr3"));
    assert_eq!(other(|code| code.mr_config_id.0[47] ^= 1), Some("mrconfigid"));
    assert_eq!(other(|code| code.mr_owner.0[47] ^= 1), Some("mrowner"));
    assert_eq!(other(|code| code.mr_owner_config.0[47] ^= 1), Some("mrownerconfig"));
    assert_eq!(other(|code| code.attributes |= 1 << 30), Some("attributes"));
    assert_eq!(other(|code| code.xfam ^= 1 << 63), Some("xfam"));
}

#[test]
fn a_guest_that_differs_in_any_field_of_its_identity_is_another() {
    let other = |change: fn(&mut SnpCode)| {
        let mut code = snp();
        change(&mut code);
        told_apart(EvidenceKind::Snp, Code::Snp(Box::new(snp())), Code::Snp(Box::new(code)))
    };
    assert_eq!(other(|code| code.measurement.0[0] ^= 1), Some("measurement"));
    assert_eq!(other(|code| code.host_data.0[0] ^= 1), Some("host-data"));
    assert_eq!(other(|code| code.policy |= 1 << 20), Some("policy"));
    assert_eq!(other(|code| code.id_key_digest.0[0] ^= 1), Some("id-key-digest"));
    assert_eq!(other(|code| code.vmpl = 1), Some("vmpl"));
    // They mean nothing without an ID block.
    assert_eq!(other(|code| code.family_id.0[0] ^= 1), None);
}

#[test]
fn a_nitro_enclave_that_differs_in_or_lacks_a_register_is_another() {
    for (index, name) in [(0, "pcr0"), (1, "pcr1"), (2, "pcr2"), (8, "pcr8")] {
        let told = |change: &dyn Fn(&mut NitroCode)| {
            let mut code = nitro();
            change(&mut code);
            told_apart(EvidenceKind::Nitro, Code::Nitro(nitro()), Code::Nitro(code))
        };
        assert_eq!(told(&|code| code.pcrs.get_mut(&index).unwrap().0[0] ^= 1), Some(name));
        assert_eq!(told(&|code| code.pcrs.retain(|found, _| *found != index)), Some(name));
    }
}

#[test]
fn code_of_another_kind_never_matches() {
    let runs = [
        claims(EvidenceKind::Sgx, Code::Sgx(sgx())),
        claims(EvidenceKind::Tdx, Code::Tdx(Box::new(tdx()))),
        claims(EvidenceKind::Snp, Code::Snp(Box::new(snp()))),
        claims(EvidenceKind::Nitro, Code::Nitro(nitro())),
    ];
    for (index, run) in runs.iter().enumerate() {
        let measurement = Measurement::of(run).unwrap();
        for (other, claims) in runs.iter().enumerate() {
            let matched = measurement.matches(claims, &image(&[2])).map_err(|mismatch| mismatch.field);
            assert_eq!(matched, if index == other { Ok(()) } else { Err("kind") });
        }
    }
}

#[test]
fn code_in_debug_mode_has_no_measurement() {
    for code in [Code::Sgx(SgxCode { attributes: 0x07, ..sgx() }), Code::Nitro(nitro())] {
        let debug = Claims { debug: true, ..claims(EvidenceKind::Sgx, code) };
        assert_eq!(Measurement::of(&debug), None);
    }
}

#[test]
fn a_mismatch_says_what_was_expected_and_found() {
    let legacy = Measurement::legacy_sgx(B256::repeat_byte(9));
    let mismatch = legacy.matches(&claims(EvidenceKind::Sgx, Code::Sgx(sgx())), &image(&[])).unwrap_err();
    let hex = |byte: &str| byte.repeat(32);
    assert_eq!(mismatch.to_string(), format!("mrenclave is 0x{}, expected 0x{}", hex("01"), hex("09")));
}
