//! Real quotes in wrong company: other binding, tag, root, endorsements, structure.

use strongroom_attest::endorsements::{Endorsements, IntelEndorsements, IntelParts, IntelTee};
use strongroom_attest::{
    EndorsementFault, Evidence, EvidenceFault, EvidenceKind, ExpectedBinding, TrustAnchors, VerifyError, verify,
};
use strongroom_protocol::UnixSeconds;

use crate::fixtures::{Fixture, GOOD, SGX, TDX_V4, TDX_V5};

fn with_parts(fixture: Fixture, change: impl FnOnce(&mut IntelParts)) -> Result<(), VerifyError> {
    let mut parts = fixture.parts();
    change(&mut parts);
    let endorsements = Endorsements::Intel(IntelEndorsements::new(parts, fixture.now)?);
    fixture.verify_with(&fixture.quote(), &endorsements, fixture.now).map(drop)
}

fn with_quote(fixture: Fixture, change: impl FnOnce(&mut Vec<u8>)) -> Result<(), VerifyError> {
    let mut quote = fixture.quote();
    change(&mut quote);
    fixture.verify_with(&quote, &fixture.endorsements(), fixture.now).map(drop)
}

#[test]
fn evidence_made_for_other_report_data_is_refused() {
    for fixture in GOOD {
        let evidence = Evidence::new(fixture.kind, fixture.quote()).unwrap();
        let mut off_by_a_bit = [0; 64];
        off_by_a_bit.copy_from_slice(&fixture.verify().unwrap().report_data[..]);
        off_by_a_bit[63] ^= 1;
        for expected in [[0; 64], [0xff; 64], off_by_a_bit] {
            let binding = ExpectedBinding::new(expected);
            let verified =
                verify(&evidence, &fixture.endorsements(), &binding, &TrustAnchors::production(), fixture.now);
            assert_eq!(verified, Err(EvidenceFault::Binding.into()), "{}", fixture.name);
        }
    }
}

#[test]
fn evidence_under_another_tag_is_refused() {
    for (fixture, tag) in [(SGX, EvidenceKind::Tdx), (TDX_V4, EvidenceKind::Sgx), (TDX_V5, EvidenceKind::Sgx)] {
        let other = Fixture { kind: tag, ..fixture };
        assert_eq!(other.verify(), Err(EvidenceFault::WrongKind { kind: tag }.into()), "{}", fixture.name);
    }
    let as_nitro = Evidence::new(EvidenceKind::Nitro, SGX.quote()).unwrap();
    let anchors = TrustAnchors::production();
    assert!(matches!(
        verify(&as_nitro, &Endorsements::NotNeeded, &SGX.binding(), &anchors, SGX.now),
        Err(VerifyError::Evidence(_))
    ));
}

#[test]
fn evidence_without_endorsements_of_its_vendor_is_refused_as_retryable() {
    for fixture in GOOD {
        let verified = fixture.verify_with(&fixture.quote(), &Endorsements::NotNeeded, fixture.now);
        assert_eq!(verified, Err(EndorsementFault::Missing("Intel endorsements").into()));
    }
}

#[test]
fn endorsements_for_the_other_kind_of_enclave_are_refused() {
    let cross = |fixture: Fixture, other: Fixture| {
        fixture.verify_with(&fixture.quote(), &other.endorsements(), fixture.now).unwrap_err()
    };
    let expected = VerifyError::from(EndorsementFault::ForAnother("kind of enclave"));
    assert_eq!(cross(SGX, TDX_V4), expected);
    assert_eq!(cross(TDX_V4, SGX), expected);
}

#[test]
fn endorsements_that_pair_the_texts_of_both_kinds_of_enclave_are_refused() {
    // TDX TCB info beside the identity of the SGX quoting enclave: each part is authentic.
    let refused = with_parts(TDX_V4, |parts| {
        let sgx = SGX.parts();
        parts.qe_identity = sgx.qe_identity;
        parts.qe_identity_signature = sgx.qe_identity_signature;
    });
    assert!(matches!(refused, Err(VerifyError::Evidence(EvidenceFault::Rejected(_)))), "{refused:?}");
}

#[test]
fn endorsements_for_another_authority_or_platform_are_refused_as_retryable() {
    let sgx = SGX.parts();
    let refused = with_parts(TDX_V4, |parts| parts.pck_crl = sgx.pck_crl.clone());
    assert!(refused.unwrap_err().is_retryable());
    let refused = with_parts(TDX_V4, |parts| {
        parts.pck_crl = sgx.pck_crl.clone();
        parts.pck_crl_issuer_chain = sgx.pck_crl_issuer_chain.clone();
    });
    assert_eq!(refused, Err(EndorsementFault::ForAnother("certificate authority").into()));
    let outdated = crate::fixtures::TDX_OUTDATED;
    let now = outdated.now;
    let refused = TDX_V5.verify_with(&TDX_V5.quote(), &outdated.endorsements(), now);
    assert_eq!(refused, Err(EndorsementFault::ForAnother("platform (FMSPC)").into()));
}

#[test]
fn endorsements_changed_by_one_byte_are_refused_as_retryable() {
    type Change = fn(&mut IntelParts);
    let changes: [(&str, Change); 7] = [
        ("TCB info", |parts| {
            parts.tcb_info = parts.tcb_info.replace("\"tcbEvaluationDataNumber\":17", "\"tcbEvaluationDataNumber\":18");
        }),
        ("QE identity", |parts| parts.qe_identity = parts.qe_identity.replace("\"isvsvn\":", "\"isvsvn\": ")),
        ("TCB info", |parts| parts.tcb_info_signature[5] ^= 1),
        ("QE identity", |parts| parts.qe_identity_signature[40] ^= 1),
        ("root revocation list", |parts| flip_last(&mut parts.root_ca_crl)),
        ("PCK revocation list", |parts| flip_last(&mut parts.pck_crl)),
        ("TCB info", |parts| parts.tcb_info_signature.truncate(63)),
    ];
    for fixture in [SGX, TDX_V4] {
        for (part, change) in changes {
            let refused = with_parts(fixture, change);
            let Err(VerifyError::Endorsements(EndorsementFault::Invalid { what, .. })) = refused else {
                panic!("{} with changed {part}: {refused:?}", fixture.name)
            };
            assert_eq!(what, part, "{}", fixture.name);
        }
    }
}

fn flip_last(bytes: &mut [u8]) {
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
}

#[test]
fn endorsements_that_are_not_in_their_format_are_refused_before_use() {
    let changes: [fn(&mut IntelParts); 9] = [
        |parts| parts.tcb_info.truncate(100),
        |parts| parts.qe_identity = "{}".into(),
        |parts| parts.tcb_info = parts.tcb_info.replace("\"UpToDate\"", "\"Splendid\""),
        |parts| parts.tcb_info = parts.tcb_info.replace("\"nextUpdate\":\"20", "\"nextUpdate\":\"x20"),
        |parts| parts.root_ca_crl.clear(),
        |parts| parts.pck_crl.truncate(20),
        |parts| parts.tcb_info_issuer_chain.clear(),
        |parts| parts.qe_identity_issuer_chain = parts.qe_identity_issuer_chain.repeat(4),
        |parts| parts.pck_crl_issuer_chain = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".into(),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut parts = TDX_V4.parts();
        change(&mut parts);
        let refused = IntelEndorsements::new(parts, TDX_V4.now);
        assert!(matches!(refused, Err(EndorsementFault::Invalid { .. })), "change {index}: {refused:?}");
    }
}

#[test]
fn a_collateral_file_is_read_only_whole() {
    let json = TDX_V4.collateral_json();
    for cut in (0..json.len() - 1).step_by(97) {
        assert!(IntelParts::from_json(&json[..cut]).is_err(), "cut at {cut}");
    }
    let mut long = json;
    long.resize(3 * 1024 * 1024, b' ');
    assert!(matches!(IntelParts::from_json(&long), Err(EndorsementFault::TooLarge { .. })));
}

#[test]
fn endorsements_say_what_they_are_for() {
    let set = IntelEndorsements::new(TDX_V4.parts(), UnixSeconds(5)).unwrap();
    assert_eq!((set.tee(), set.evaluation_number(), set.fetched_at()), (IntelTee::Tdx, 17, UnixSeconds(5)));
    assert_eq!(hex::encode(set.fmspc()), "b0c06f000000");
    assert_eq!((set.crl_numbers().root, set.crl_numbers().pck), (1, 1));
    assert_eq!(set.valid_until(), UnixSeconds(1_752_919_234));
}

#[test]
fn quotes_relabelled_to_another_version_type_or_algorithm_are_refused() {
    let set = |offset: usize, bytes: &'static [u8]| {
        move |quote: &mut Vec<u8>| quote[offset..offset + bytes.len()].copy_from_slice(bytes)
    };
    let unsupported = |field, found| VerifyError::from(EvidenceFault::Unsupported { field, found });
    let version = |version| VerifyError::from(EvidenceFault::UnsupportedVersion { what: "quote", version });
    for (fixture, found) in [(SGX, 4), (SGX, 5), (TDX_V4, 3), (TDX_V5, 3), (SGX, 0), (TDX_V4, 6)] {
        let refused = with_quote(fixture, |quote| quote[0] = u8::try_from(found).unwrap());
        assert_eq!(refused, Err(version(found)), "{}", fixture.name);
    }
    for fixture in [TDX_V4, TDX_V5] {
        let relabelled = if fixture.name == TDX_V4.name { 5 } else { 4 };
        assert!(with_quote(fixture, |quote| quote[0] = relabelled).is_err(), "{}", fixture.name);
        assert_eq!(with_quote(fixture, set(4, &[0])), Err(version(if relabelled == 5 { 4 } else { 5 })));
    }
    for fixture in GOOD {
        assert_eq!(with_quote(fixture, set(2, &[3])), Err(unsupported("attestation key type", 3)));
        assert_eq!(with_quote(fixture, set(4, &[0x82])), Err(unsupported("TEE type", 0x82)));
        assert_eq!(with_quote(fixture, set(12, &[0])), Err(EvidenceFault::Malformed("quoting enclave vendor").into()));
    }
    assert_eq!(with_quote(SGX, set(1046, &[6])), Err(unsupported("certification data type", 6)));
    assert_eq!(with_quote(TDX_V4, set(764, &[5])), Err(unsupported("certification data type", 5)));
    assert_eq!(with_quote(TDX_V4, set(1252, &[4])), Err(unsupported("certification data type", 4)));
    assert_eq!(with_quote(TDX_V5, set(48, &[1])), Err(unsupported("quote body type", 1)));
    assert_eq!(with_quote(TDX_V5, set(48, &[3])), Err(EvidenceFault::Malformed("quote body size").into()));
}

#[test]
fn every_length_field_must_be_exact() {
    // Offsets of the length fields in each quote, with their width.
    let fields = [
        (SGX, vec![(432, 4), (1012, 2), (1048, 4)]),
        (TDX_V4, vec![(632, 4), (766, 4), (1218, 2), (1254, 4)]),
        (TDX_V5, vec![(50, 4), (939, 4), (1073, 4), (1525, 2), (1561, 4)]),
    ];
    for (fixture, fields) in fields {
        for (offset, width) in fields {
            let quote = fixture.quote();
            let mut bytes = [0; 4];
            bytes[..width].copy_from_slice(&quote[offset..offset + width]);
            let value = u32::from_le_bytes(bytes);
            for wrong in [value.wrapping_sub(1), value + 1, 0, u32::MAX, value + 0x100] {
                let refused = with_quote(fixture, |quote| {
                    quote[offset..offset + width].copy_from_slice(&wrong.to_le_bytes()[..width]);
                });
                assert!(matches!(refused, Err(VerifyError::Evidence(_))), "{} at {offset}: {wrong}", fixture.name);
            }
        }
    }
}

#[test]
fn an_attestation_key_put_in_by_somebody_else_is_refused() {
    // The signature of the quoting enclave's report still holds; the key in its report data is another.
    let refused = with_quote(SGX, |quote| quote[500..564].copy_from_slice(&[4; 64]));
    assert_eq!(refused, Err(EvidenceFault::Signature("attestation key").into()));
    let refused = with_quote(SGX, |quote| quote[1014] ^= 1);
    assert_eq!(refused, Err(EvidenceFault::Signature("attestation key").into()));
    let refused = with_quote(SGX, |quote| quote[564] ^= 1);
    assert_eq!(refused, Err(EvidenceFault::Signature("quoting enclave's report").into()));
    let refused = with_quote(SGX, |quote| quote[112] ^= 1);
    assert_eq!(refused, Err(EvidenceFault::Signature("quote").into()));
}

#[test]
fn an_event_log_that_does_not_explain_the_registers_is_refused() {
    for (log, part) in [("[]", "RTMR0"), ("{}", "JSON"), ("", "JSON")] {
        let evidence = Evidence::new(EvidenceKind::Tdx, TDX_V4.quote()).unwrap();
        let evidence = evidence.with_event_log(log.as_bytes().to_vec()).unwrap();
        let verified =
            verify(&evidence, &TDX_V4.endorsements(), &TDX_V4.binding(), &TrustAnchors::production(), TDX_V4.now);
        let Err(VerifyError::Evidence(EvidenceFault::EventLog(fault))) = verified else { panic!("{verified:?}") };
        assert!(fault.to_string().contains(part), "{fault}");
    }
}

#[test]
fn oversized_and_absurd_quotes_are_refused_before_parsing() {
    assert!(matches!(
        Evidence::new(EvidenceKind::Tdx, vec![4; 10 * 1024 * 1024]),
        Err(EvidenceFault::TooLarge { what: "tdx", .. })
    ));
    for fixture in GOOD {
        for filler in [0, 4, 0xff] {
            let garbage = vec![filler; 16 * 1024];
            let refused = fixture.verify_with(&garbage, &fixture.endorsements(), fixture.now);
            assert!(matches!(refused, Err(VerifyError::Evidence(_))), "{filler}: {refused:?}");
        }
    }
}
