//! Each rule, by a forgery that breaks this one alone.

use strongroom_attest::claims::{AmdSigningKey, Claims, Code, Platform, Revocation, SnpTcb, Tcb};
use strongroom_attest::{AmdProduct, EndorsementFault, EvidenceFault, TrustAnchors, TrustDomain, VerifyError};
use strongroom_protocol::UnixSeconds;

use super::forge::{Forged, Forgery, NOW, Pss, REPORT_DATA, Revocations, tcb, tcb_components, wrapped_chip_id};
use super::mutation::assert_every_bit_flip_is_refused;
use super::x509::{Content, EcKey, certificate_authority, element, extension, integer, signs_certificates_and_lists};

const VEK: &str = "VCEK or VLEK certificate";
const INTERMEDIATE: &str = "ASK or ASVK certificate";
const ROOT: &str = "AMD root certificate";
const CRL: &str = "AMD revocation list";

/// Offset of S.
const S: usize = 0x2e8;

/// A Genoa forgery after `change`, verified.
fn genoa(change: impl FnOnce(&mut Forgery)) -> Result<Claims, VerifyError> {
    let mut forgery = Forgery::of(AmdProduct::Genoa);
    change(&mut forgery);
    forgery.verify()
}

fn for_another(what: &'static str) -> Result<Claims, VerifyError> {
    Err(EndorsementFault::ForAnother(what).into())
}

#[track_caller]
fn assert_invalid(result: Result<Claims, VerifyError>, expected: &str) {
    match result {
        Err(VerifyError::Endorsements(EndorsementFault::Invalid { what, .. })) => assert_eq!(what, expected),
        other => panic!("expected that {expected} is not valid, found {other:?}"),
    }
}

#[test]
fn reports_of_every_product_and_signing_key_verify_under_their_development_root() {
    for product in AmdProduct::ALL {
        for (forgery, signing_key) in [
            (Forgery::of(product), AmdSigningKey::Vcek),
            (Forgery::with_vlek(product), AmdSigningKey::Vlek { csp_id: "cloud".to_owned() }),
        ] {
            let claims = forgery.verify().unwrap();
            assert_eq!(claims.trust_domain, TrustDomain::Development("forge".to_owned()));
            assert_eq!((claims.version, claims.report_data.0), (5, REPORT_DATA));
            let Platform::Amd(platform) = claims.platform else { panic!("the platform is AMD's") };
            assert_eq!((platform.product, platform.signing_key), (product, signing_key));
            assert_eq!(platform.platform_info, 0b10_0101);
            let version = match product {
                AmdProduct::Milan | AmdProduct::Genoa => {
                    SnpTcb { fmc: 0, bootloader: 11, tee: 12, snp: 17, microcode: 218 }
                }
                AmdProduct::Turin => SnpTcb { fmc: 11, bootloader: 12, tee: 13, snp: 14, microcode: 218 },
            };
            let Tcb::Amd(found) = claims.tcb else { panic!("the versions are AMD's") };
            assert_eq!([found.reported, found.committed, found.current, found.launch], [version; 4]);
        }
    }
}

#[test]
fn every_field_comes_from_its_place_in_the_report() {
    let claims = genoa(|forgery| {
        forgery.report[0x30] = 3;
        forgery.report[0x38] += 1;
        forgery.report[0x1e0] += 2;
        forgery.report[0x1f0] += 3;
    })
    .unwrap();
    let Code::Snp(code) = claims.code else { panic!("the code is SNP's") };
    assert_eq!((code.measurement.0, code.host_data.0), ([0xa1; 48], [0xa2; 32]));
    assert_eq!((code.id_key_digest.0, code.author_key_digest.0), ([0xa3; 48], [0xa4; 48]));
    assert_eq!((code.family_id.0, code.image_id.0), ([0x0f; 16], [0x1a; 16]));
    assert_eq!((code.policy, code.vmpl, code.guest_svn), (0x3001f, 3, 7));
    let Tcb::Amd(found) = claims.tcb else { panic!("the versions are AMD's") };
    let boot_loaders = [found.reported, found.current, found.committed, found.launch].map(|version| version.bootloader);
    assert_eq!(boot_loaders, [11, 12, 13, 14]);
}

#[test]
fn production_roots_refuse_forged_evidence() {
    for product in AmdProduct::ALL {
        for forgery in [Forgery::of(product), Forgery::with_vlek(product)] {
            let result = forgery.sign().verify_under(&TrustAnchors::production());
            assert_eq!(result, Err(EndorsementFault::UnknownRoot(VEK).into()));
        }
    }
}

#[test]
fn production_roots_refuse_a_chain_that_borrows_amds_names() {
    for product in AmdProduct::ALL {
        let mut forgery = Forgery::of(product);
        forgery.ask.subject = format!("SEV-{product}");
        forgery.vek.issuer.clone_from(&forgery.ask.subject);
        "SEV-VCEK".clone_into(&mut forgery.vek.subject);
        let result = forgery.sign().verify_under(&TrustAnchors::production());
        assert_eq!(result, Err(EndorsementFault::UnknownRoot(VEK).into()));
    }
}

#[test]
fn another_root_of_the_same_name_is_refused() {
    assert_invalid(genoa(|forgery| forgery.other_root = true), "AMD certificate chain");
}

#[test]
fn the_root_of_another_product_is_refused() {
    let result = Forgery::of(AmdProduct::Genoa).sign().verify_under(&Forgery::of(AmdProduct::Milan).sign().anchors);
    assert_eq!(result, Err(EndorsementFault::UnknownRoot(VEK).into()));
}

#[test]
fn both_of_amds_ways_to_write_pss_parameters_are_read_and_no_other() {
    for pss in [Pss::WithTrailer, Pss::WithoutTrailer] {
        assert!(genoa(|forgery| forgery.pss = pss).is_ok(), "{pss:?}");
    }
    assert_invalid(genoa(|forgery| forgery.pss = Pss::Sha256), "AMD certificate chain");
}

#[test]
fn versions_2_3_and_5_are_read_and_no_other() {
    for version in [2, 3, 5] {
        assert_eq!(genoa(|forgery| forgery.report[0] = version).unwrap().version, u16::from(version));
    }
    for version in [0, 1, 4, 6, 255] {
        let fault = EvidenceFault::UnsupportedVersion { what: "SEV-SNP report", version: version.into() };
        assert_eq!(genoa(|forgery| forgery.report[0] = version), Err(fault.into()));
    }
    let fault = EvidenceFault::UnsupportedVersion { what: "SEV-SNP report", version: 0x0100_0005 };
    assert_eq!(genoa(|forgery| forgery.report[3] = 1), Err(fault.into()));
}

#[test]
fn a_firmware_version_in_the_certificate_that_differs_in_one_component_is_refused() {
    for product in AmdProduct::ALL {
        for (id, at) in tcb_components(product) {
            let mut forgery = Forgery::of(product);
            forgery.replace_extension(id, extension(id, &integer(tcb(product)[at] - 1)));
            assert_eq!(forgery.verify(), for_another("firmware version"), "{product} {id}");
            let mut forgery = Forgery::of(product);
            forgery.report[0x180 + at] += 1;
            assert_eq!(forgery.verify(), for_another("firmware version"), "{product} {id}");
        }
    }
}

#[test]
fn a_chip_id_other_than_the_hardware_id_is_refused() {
    for product in AmdProduct::ALL {
        for at in [0x1a0, 0x1a7, 0x1a8, 0x1df] {
            let mut forgery = Forgery::of(product);
            forgery.report[at] ^= 1;
            assert_eq!(forgery.verify(), for_another("chip"), "{product} {at:#x}");
        }
        let mut masked = Forgery::of(product);
        masked.report[0x1a0..0x1e0].fill(0);
        assert_eq!(masked.verify(), for_another("chip"), "{product}");
    }
}

#[test]
fn the_hardware_id_may_be_raw_or_an_octet_string_and_of_no_other_length() {
    for (product, length) in [(AmdProduct::Milan, 64), (AmdProduct::Genoa, 64), (AmdProduct::Turin, 8)] {
        let id = "1.3.6.1.4.1.3704.1.4";
        let mut forgery = Forgery::of(product);
        forgery.replace_extension(id, wrapped_chip_id(&vec![0xc1; length]));
        assert!(forgery.verify().is_ok(), "{product}");
        for content in
            [vec![], vec![0xc1; length - 1], vec![0xc1; length + 1], vec![0xc1; length + 2], vec![0xc1; 72 - length]]
        {
            let mut forgery = Forgery::of(product);
            forgery.replace_extension(id, extension(id, &content));
            assert_invalid(forgery.verify(), VEK);
        }
    }
}

#[test]
fn a_vlek_where_the_report_names_a_vcek_and_the_reverse_are_refused() {
    let mut forgery = Forgery::with_vlek(AmdProduct::Genoa);
    forgery.report[0x48] = 0;
    assert_eq!(forgery.verify(), for_another("kind of signing key"));
    assert_eq!(genoa(|forgery| forgery.report[0x48] = 1 << 2), for_another("kind of signing key"));
}

#[test]
fn signing_keys_of_unknown_kind_are_refused() {
    for kind in 2..=7 {
        let fault = EvidenceFault::Unsupported { field: "SIGNING_KEY", found: kind.into() };
        assert_eq!(genoa(|forgery| forgery.report[0x48] = kind << 2), Err(fault.into()));
    }
}

#[test]
fn a_vcek_issued_by_the_intermediate_for_vleks_and_the_reverse_are_refused() {
    for (mut forgery, wrong) in [
        (Forgery::of(AmdProduct::Genoa), "SIMULATED SEV-VLEK-Genoa"),
        (Forgery::with_vlek(AmdProduct::Genoa), "SIMULATED SEV-Genoa"),
        (Forgery::of(AmdProduct::Genoa), "SIMULATED SEV-Milan"),
    ] {
        wrong.clone_into(&mut forgery.ask.subject);
        wrong.clone_into(&mut forgery.vek.issuer);
        assert_eq!(forgery.verify(), for_another("product or kind of signing key"));
    }
}

#[test]
fn a_certificate_of_any_other_name_is_refused() {
    for subject in ["SEV-VCEK2", "SEV-VCE", "sev-vcek", "", "SIMULATED SIMULATED SEV-VCEK"] {
        assert_invalid(genoa(|forgery| subject.clone_into(&mut forgery.vek.subject)), VEK);
    }
}

#[test]
fn a_cpu_of_another_product_than_the_certificates_is_refused() {
    for cpu in [[0x19, 0x01, 1], [0x1a, 0x02, 1]] {
        let result = genoa(|forgery| forgery.report[0x188..0x18b].copy_from_slice(&cpu));
        assert_eq!(result, for_another("product"));
    }
}

#[test]
fn an_unknown_cpu_is_refused() {
    let result = genoa(|forgery| forgery.report[0x188..0x18b].copy_from_slice(&[0x1b, 0x02, 3]));
    let field = "CPU family, model, stepping";
    assert_eq!(result, Err(EvidenceFault::Unsupported { field, found: 0x1b_0203 }.into()));
}

#[test]
fn privilege_levels_beyond_3_do_not_exist() {
    for level in 0..=3 {
        let claims = genoa(|forgery| forgery.report[0x30] = level).unwrap();
        assert!(matches!(claims.code, Code::Snp(code) if code.vmpl == level));
    }
    let fault = EvidenceFault::Unsupported { field: "VMPL", found: 4 };
    assert_eq!(genoa(|forgery| forgery.report[0x30] = 4), Err(fault.into()));
    let fault = EvidenceFault::Unsupported { field: "VMPL", found: 0x100 };
    assert_eq!(genoa(|forgery| forgery.report[0x31] = 1), Err(fault.into()));
}

#[test]
fn a_policy_without_its_constant_bit_is_refused() {
    assert_eq!(genoa(|forgery| forgery.report[0x0a] = 0b01), Err(EvidenceFault::Attribute("POLICY bit 17").into()));
}

#[test]
fn another_signature_algorithm_is_refused() {
    for algorithm in [0, 2, 255] {
        let fault = EvidenceFault::Unsupported { field: "SIGNATURE_ALGO", found: algorithm.into() };
        assert_eq!(genoa(|forgery| forgery.report[0x34] = algorithm), Err(fault.into()));
    }
}

#[test]
fn debug_migration_and_a_masked_chip_key_are_stated_in_the_claims() {
    let claims = genoa(|forgery| forgery.report[0x0a] |= 1 << 3).unwrap();
    assert!(claims.debug);
    let claims = genoa(|forgery| forgery.report[0x0a] |= 1 << 2).unwrap();
    assert!(!claims.debug);
    assert!(matches!(claims.code, Code::Snp(code) if code.policy & 1 << 18 != 0));
    let claims = genoa(|forgery| forgery.report[0x48] |= 0b10).unwrap();
    assert!(matches!(claims.platform, Platform::Amd(platform) if platform.mask_chip_key));
}

#[test]
fn a_signature_by_another_key_is_refused() {
    let forgery = Forgery::of(AmdProduct::Genoa);
    let certified = EcKey::p384();
    let vek = Content { key: certified.public(), ..forgery.vek.clone() };
    let result = forgery.sign_with(&EcKey::p384(), &vek).verify();
    assert_eq!(result, Err(EvidenceFault::Signature("SEV-SNP report").into()));
}

#[test]
fn a_key_on_another_curve_is_refused() {
    let forgery = Forgery::of(AmdProduct::Genoa);
    let key = EcKey::p256();
    let vek = Content { key: key.public(), ..forgery.vek.clone() };
    assert_invalid(forgery.sign_with(&key, &vek).verify(), VEK);
}

#[test]
fn padding_of_the_signature_that_is_not_zero_is_refused() {
    let forged = Forgery::of(AmdProduct::Genoa).sign();
    for at in [0x2a0 + 48, S - 1, S + 48, S + 71, 0x330, 1183] {
        let mut report = forged.report.clone();
        report[at] = 1;
        let result = Forged { report, ..forged.clone() }.verify();
        assert_eq!(result, Err(EvidenceFault::Malformed("padding of the SEV-SNP signature").into()), "{at:#x}");
    }
}

#[test]
fn r_or_s_of_zero_or_not_below_the_group_order_is_refused() {
    let order = alloy_primitives::hex!(
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973"
    );
    let forged = Forgery::of(AmdProduct::Genoa).sign();
    for at in [0x2a0, S] {
        for number in [[0; 48], order, [0xff; 48]] {
            let mut report = forged.report.clone();
            for (to, from) in report[at..].iter_mut().zip(number.iter().rev()) {
                *to = *from;
            }
            let result = Forged { report, ..forged.clone() }.verify();
            assert_eq!(result, Err(EvidenceFault::Signature("SEV-SNP report").into()));
        }
    }
}

#[test]
fn every_certificate_is_accepted_until_its_last_second_and_not_after() {
    let expired = |what, valid_until, change: fn(&mut Forgery, u64)| {
        assert!(genoa(|forgery| change(forgery, NOW.0)).is_ok(), "{what} in its last second");
        let fault = EndorsementFault::Stale { what, valid_until: UnixSeconds(valid_until), now: NOW };
        assert_eq!(genoa(|forgery| change(forgery, valid_until)), Err(fault.into()));
    };
    expired(VEK, NOW.0 - 1, |forgery, end| forgery.vek.dates.1 = end);
    expired(INTERMEDIATE, NOW.0 - 1, |forgery, end| forgery.ask.dates.1 = end);
    expired(ROOT, NOW.0 - 1, |forgery, end| forgery.ark.dates.1 = end);
}

#[test]
fn every_certificate_is_accepted_from_its_first_second_and_not_before() {
    let future = |what, valid_from, change: fn(&mut Forgery, u64)| {
        assert!(genoa(|forgery| change(forgery, NOW.0)).is_ok(), "{what} in its first second");
        let fault = EndorsementFault::NotYetValid { what, valid_from: UnixSeconds(valid_from), now: NOW };
        assert_eq!(genoa(|forgery| change(forgery, valid_from)), Err(fault.into()));
    };
    future(VEK, NOW.0 + 1, |forgery, begin| forgery.vek.dates.0 = begin);
    future(INTERMEDIATE, NOW.0 + 1, |forgery, begin| forgery.ask.dates.0 = begin);
    future(ROOT, NOW.0 + 1, |forgery, begin| forgery.ark.dates.0 = begin);
}

#[test]
fn the_first_end_on_the_path_limits_the_validity() {
    for change in [
        (|forgery, end| forgery.vek.dates.1 = end) as fn(&mut Forgery, u64),
        |forgery, end| forgery.ask.dates.1 = end,
        |forgery, end| forgery.ark.dates.1 = end,
        |forgery, end| {
            forgery.revocations = Some(Revocations { next_update: end, ..forgery.empty_revocations() });
        },
    ] {
        let claims = genoa(|forgery| change(forgery, NOW.0 + 5)).unwrap();
        assert_eq!(claims.endorsed.valid_until, UnixSeconds(NOW.0 + 5));
    }
}

#[test]
fn an_intermediate_in_the_place_of_the_leaf_is_refused() {
    let mut forged = Forgery::of(AmdProduct::Genoa).sign();
    forged.vek.clone_from(&forged.ask);
    assert_invalid(forged.verify(), VEK);
    let may_issue = genoa(|forgery| forgery.vek.extensions.insert(0, certificate_authority(None)));
    assert_invalid(may_issue, "AMD certificate chain");
}

#[test]
fn an_intermediate_that_may_not_issue_is_refused() {
    let not_an_authority = genoa(|forgery| forgery.ask.extensions = vec![signs_certificates_and_lists()]);
    assert_invalid(not_an_authority, "AMD certificate chain");
    assert_invalid(genoa(|forgery| forgery.ask.extensions.clear()), "AMD certificate chain");
}

#[test]
fn a_leaf_signed_by_another_authority_is_refused() {
    assert_invalid(genoa(|forgery| forgery.vek_signed_by_root = true), "AMD certificate chain");
    let elsewhere = genoa(|forgery| "SIMULATED SEV-Siena".clone_into(&mut forgery.vek.issuer));
    assert_eq!(elsewhere, Err(EndorsementFault::UnknownRoot(VEK).into()));
}

#[test]
fn a_certificate_limited_to_another_purpose_is_refused() {
    let tls_client = element(0x30, &[&super::x509::oid("1.3.6.1.5.5.7.3.2")]);
    let result = genoa(|forgery| forgery.vek.extensions.push(extension("2.5.29.37", &tls_client)));
    assert_invalid(result, "AMD certificate chain");
}

#[test]
fn a_certificate_lacking_or_repeating_an_extension_is_refused() {
    for product in AmdProduct::ALL {
        let mut ids = vec!["1.3.6.1.4.1.3704.1.2", "1.3.6.1.4.1.3704.1.4"];
        ids.extend(tcb_components(product).iter().map(|(id, _)| *id));
        for id in ids {
            let mut forgery = Forgery::of(product);
            forgery.replace_extension(id, vec![]);
            assert_invalid(forgery.verify(), VEK);
            let mut forgery = Forgery::of(product);
            forgery.vek.extensions.push(extension(id, &integer(1)));
            assert_invalid(forgery.verify(), VEK);
        }
        let mut forgery = Forgery::with_vlek(product);
        forgery.replace_extension("1.3.6.1.4.1.3704.1.5", vec![]);
        assert_invalid(forgery.verify(), VEK);
    }
}

#[test]
fn firmware_versions_that_are_not_one_byte_in_der_are_refused() {
    let id = "1.3.6.1.4.1.3704.1.3.3";
    for content in [&[2, 2, 1, 17][..], &[2, 2, 0, 17], &[2, 1, 0x91], &[2, 1, 17, 0], &[4, 1, 17], &[2, 0], &[]] {
        assert_invalid(genoa(|forgery| forgery.replace_extension(id, extension(id, content))), VEK);
    }
}

#[test]
fn products_that_are_not_known_are_refused() {
    let id = "1.3.6.1.4.1.3704.1.2";
    for name in ["Venice-A0", "genoa", "", "-Genoa", "Genoa2"] {
        let content = element(0x16, &[name.as_bytes()]);
        assert_invalid(genoa(|forgery| forgery.replace_extension(id, extension(id, &content))), VEK);
    }
}

/// A Genoa forgery with a revocation list after `change`, verified.
fn with_list(change: impl FnOnce(&mut Revocations)) -> Result<Claims, VerifyError> {
    genoa(|forgery| {
        let mut list = forgery.empty_revocations();
        change(&mut list);
        forgery.revocations = Some(list);
    })
}

#[test]
fn the_claims_say_whether_a_revocation_list_was_consulted() {
    assert_eq!(genoa(|_| {}).unwrap().endorsed.revocation, Revocation::NotChecked);
    assert_eq!(with_list(|_| {}).unwrap().endorsed.revocation, Revocation::Checked);
    let of_others = with_list(|list| list.serials = vec![1, 3, 200]).unwrap();
    assert_eq!(of_others.endorsed.revocation, Revocation::Checked);
}

#[test]
fn a_revoked_intermediate_is_refused_for_good() {
    let refusal = with_list(|list| list.serials = vec![1, 2]).unwrap_err();
    assert_eq!(refusal, EvidenceFault::Chain("the issuer of VCEK or VLEK is revoked".to_owned()).into());
    assert!(!refusal.is_retryable());
}

#[test]
fn an_expired_revocation_list_is_refused_and_worth_a_retry() {
    assert!(with_list(|list| list.next_update = NOW.0 + 1).is_ok());
    let refusal = with_list(|list| list.next_update = NOW.0).unwrap_err();
    assert_eq!(refusal, EndorsementFault::Stale { what: CRL, valid_until: NOW, now: NOW }.into());
    assert!(refusal.is_retryable());
}

#[test]
fn a_revocation_list_from_the_future_is_refused() {
    assert!(with_list(|list| list.this_update = NOW.0).is_ok());
    let fault = EndorsementFault::NotYetValid { what: CRL, valid_from: UnixSeconds(NOW.0 + 1), now: NOW };
    assert_eq!(with_list(|list| list.this_update = NOW.0 + 1), Err(fault.into()));
}

#[test]
fn a_revocation_list_of_another_issuer_is_refused() {
    let result = with_list(|list| "SIMULATED ARK-Milan".clone_into(&mut list.issuer));
    assert_eq!(result, for_another("root: the revocation list has another issuer"));
}

#[test]
fn a_revocation_list_signed_by_another_key_is_refused() {
    assert_invalid(with_list(|list| list.signed_by_root = false), CRL);
}

#[test]
fn a_revocation_list_that_covers_only_some_certificates_is_refused() {
    assert_invalid(with_list(|list| list.partial = true), CRL);
}

#[test]
fn a_damaged_revocation_list_is_refused() {
    let mut forgery = Forgery::of(AmdProduct::Genoa);
    forgery.revocations = Some(forgery.empty_revocations());
    let forged = forgery.sign();
    let list = forged.crl.clone().unwrap();
    let with = |crl: &[u8]| Forged { crl: Some(crl.to_vec()), ..forged.clone() }.verify();
    for length in 0..list.len() {
        assert_invalid(with(&list[..length]), CRL);
    }
    assert_invalid(with(&[list.as_slice(), &[0]].concat()), CRL);
    assert_every_bit_flip_is_refused(&list, |list| with(list).is_ok());
}

#[test]
fn every_single_bit_flip_of_a_forged_report_is_refused() {
    for forgery in [Forgery::of(AmdProduct::Turin), Forgery::with_vlek(AmdProduct::Milan)] {
        let forged = forgery.sign();
        assert_every_bit_flip_is_refused(&forged.report, |report| {
            Forged { report: report.to_vec(), ..forged.clone() }.verify().is_ok()
        });
    }
}
