//! Each rule, by a forgery that breaks this one alone.

use ciborium::Value;
use coset::{Header, HeaderBuilder, iana};
use strongroom_attest::claims::{Claims, Code, NitroCode, Platform};
use strongroom_attest::{EvidenceFault, EvidenceKind, TrustAnchors, TrustDomain, VerifyError};
use strongroom_protocol::UnixSeconds;

use super::forge::{Fields, Forgery, INSTANCE, LEAF, MODULE_ID, NOW, REPORT_DATA, ROOT, field, remove, verify_under};
use super::mutation::assert_every_bit_flip_is_refused;
use super::x509::{EcKey, certificate_authority, element, extension, oid, signs_certificates_and_lists};

/// A forgery after `change`, verified.
fn forged(change: impl FnOnce(&mut Forgery)) -> Result<Claims, VerifyError> {
    let mut forgery = Forgery::new();
    change(&mut forgery);
    forgery.sign().verify()
}

/// A forgery with its payload after `change`, verified.
fn with_payload(change: impl FnOnce(&mut Fields)) -> Result<Claims, VerifyError> {
    Forgery::new().sign_with(change).verify()
}

fn malformed(what: &'static str) -> Result<Claims, VerifyError> {
    Err(EvidenceFault::Malformed(what).into())
}

#[track_caller]
fn assert_chain_refused(result: Result<Claims, VerifyError>, expected: &str) {
    match result {
        Err(VerifyError::Evidence(EvidenceFault::Chain(reason))) => {
            assert!(reason.contains(expected), "expected {expected}, found {reason}");
        }
        other => panic!("expected that the chain is refused, found {other:?}"),
    }
}

fn code(claims: Claims) -> NitroCode {
    let Code::Nitro(code) = claims.code else { panic!("the code is Nitro's") };
    code
}

#[test]
fn a_forged_document_verifies_under_its_development_root() {
    let claims = forged(|_| {}).unwrap();
    assert_eq!(claims.trust_domain, TrustDomain::Development("forge".to_owned()));
    assert_eq!((claims.kind, claims.report_data.0, claims.debug), (EvidenceKind::Nitro, REPORT_DATA, false));
    assert_eq!((claims.made_at, claims.verified_at), (Some(NOW), NOW));
    assert_eq!(claims.endorsed.valid_until, UnixSeconds(NOW.0 + 3_600));
    assert_eq!(claims.platform, Platform::Nitro { module_id: MODULE_ID.to_owned() });
    let code = code(claims);
    assert_eq!(code.pcrs.len(), 16);
    assert!(code.pcrs.iter().all(|(index, value)| value.0 == [index + 1; 48]));
    assert_eq!(code.public_key.unwrap(), vec![0xb0; 1024]);
    assert_eq!(code.nonce.unwrap(), vec![0xb1; 32]);
}

#[test]
fn production_roots_refuse_forged_documents() {
    let document = Forgery::new().sign().bytes();
    assert_chain_refused(verify_under(&document, &TrustAnchors::production()), "root is not one of the configured");
}

#[test]
fn a_root_of_the_same_name_and_another_key_is_refused() {
    let (forged, other) = (Forgery::new().sign(), Forgery::new().sign());
    assert_chain_refused(verify_under(&forged.bytes(), &other.anchors), "root is not one of the configured");
}

#[test]
fn a_chain_whose_root_alone_is_genuine_is_refused() {
    // The names fit and the root is the configured one, but it never signed what follows.
    let genuine = Forgery::new().sign();
    let mut root = Value::Null;
    let forgery = Forgery::new();
    let payload = ciborium::from_reader(genuine.message.payload.as_deref().unwrap()).unwrap();
    if let Value::Map(mut fields) = payload {
        root = field(&mut fields, "cabundle").as_array().unwrap()[ROOT].clone();
    }
    let forged = forgery.sign_with(|fields| {
        field(fields, "cabundle").as_array_mut().unwrap()[ROOT] = root;
    });
    assert_chain_refused(verify_under(&forged.bytes(), &genuine.anchors), "InvalidSignatureForPublicKey");
}

#[test]
fn any_algorithm_but_es384_is_refused() {
    let what = "protected header of the Nitro message: only ES384 is accepted";
    for algorithm in [iana::Algorithm::ES256, iana::Algorithm::ES512, iana::Algorithm::HMAC_256_256] {
        let header = HeaderBuilder::new().algorithm(algorithm).build();
        assert_eq!(forged(|forgery| forgery.protected = header), malformed(what));
    }
    assert_eq!(forged(|forgery| forgery.protected = Header::default()), malformed(what));
    let header = HeaderBuilder::new().algorithm(iana::Algorithm::ES384).key_id(vec![1]).build();
    assert_eq!(forged(|forgery| forgery.protected = header), malformed(what));
}

#[test]
fn an_unprotected_header_is_refused() {
    let what = "unprotected header of the Nitro message: it must be empty";
    for header in [
        HeaderBuilder::new().key_id(vec![1]).build(),
        HeaderBuilder::new().algorithm(iana::Algorithm::ES384).build(),
        HeaderBuilder::new().value(99, Value::Null).build(),
    ] {
        assert_eq!(forged(|forgery| forgery.unprotected = header), malformed(what));
    }
}

#[test]
fn the_tag_of_the_message_may_stand_once_but_not_twice() {
    let forged = Forgery::new().sign();
    let untagged = forged.bytes();
    assert!(forged.verify_bytes(&[&[0xd2], untagged.as_slice()].concat()).is_ok());
    for tags in [&[0xd2, 0xd2][..], &[0xd1], &[0xd8, 18], &[0xd2, 0xd8, 18]] {
        let result = forged.verify_bytes(&[tags, &untagged].concat());
        assert_eq!(result, malformed("Nitro message: it is not COSE_Sign1"));
    }
}

#[test]
fn a_bundle_in_another_order_is_refused() {
    for bundle in [vec![0, 2, 1, 3], vec![0, 1, 3, 2], vec![0, 3, 2, 1]] {
        assert_chain_refused(forged(|forgery| forgery.bundle = bundle), "not in order");
    }
    for bundle in [vec![3, 2, 1, 0], vec![1, 0, 2, 3], vec![1, 2, 3]] {
        assert_chain_refused(forged(|forgery| forgery.bundle = bundle), "root is not one of the configured");
    }
}

#[test]
fn a_bundle_with_a_gap_or_a_certificate_too_many_is_refused() {
    for bundle in [vec![0, 1, 2], vec![0, 1, 3], vec![0], vec![0, 1, 1, 2, 3], vec![0, 1, 2, 3, 4]] {
        assert_chain_refused(forged(|forgery| forgery.bundle = bundle), "not in order");
    }
    assert_chain_refused(forged(|forgery| forgery.bundle = vec![0, 0, 1, 2, 3]), "beside the path");
}

#[test]
fn more_than_six_certificates_and_none_at_all_are_refused_before_any_is_read() {
    for bundle in [vec![0, 0, 0, 1, 2, 3], vec![0; 25], vec![]] {
        assert_eq!(forged(|forgery| forgery.bundle = bundle), malformed("cabundle of the Nitro document"));
    }
}

#[test]
fn a_document_signed_by_another_key_is_refused() {
    for signer in [ROOT, INSTANCE] {
        let result = forged(|forgery| forgery.signer = signer);
        assert_eq!(result, Err(EvidenceFault::Signature("Nitro document").into()));
    }
}

#[test]
fn an_authority_in_the_place_of_the_leaf_is_refused() {
    let result = forged(|forgery| {
        forgery.chain[LEAF].0.extensions = vec![certificate_authority(None), signs_certificates_and_lists()];
    });
    assert_chain_refused(result, "CaUsedAsEndEntity");
}

#[test]
fn a_leaf_that_issues_another_is_refused() {
    let result = forged(|forgery| forgery.chain[INSTANCE].0.extensions.clear());
    assert_chain_refused(result, "EndEntityUsedAsCa");
}

#[test]
fn a_path_longer_than_an_authority_allows_is_refused() {
    let result = forged(|forgery| {
        forgery.chain[1].0.extensions = vec![certificate_authority(Some(1)), signs_certificates_and_lists()];
    });
    assert_chain_refused(result, "PathLenConstraintViolated");
}

#[test]
fn p256_anywhere_below_the_root_is_refused() {
    let leaf = forged(|forgery| {
        forgery.replace_key(LEAF, EcKey::p256());
        forgery.signer = INSTANCE;
    });
    assert_chain_refused(leaf, "not on P-384");
    assert_chain_refused(
        forged(|forgery| forgery.replace_key(INSTANCE, EcKey::p256())),
        "UnsupportedSignatureAlgorithm",
    );
}

#[test]
fn a_certificate_limited_to_another_purpose_is_refused() {
    let tls_client = element(0x30, &[&oid("1.3.6.1.5.5.7.3.2")]);
    let result = forged(|forgery| forgery.chain[LEAF].0.extensions.push(extension("2.5.29.37", &tls_client)));
    assert_chain_refused(result, "RequiredEkuNotFound");
}

#[test]
fn every_certificate_is_accepted_within_its_dates_and_not_one_second_beyond() {
    for position in ROOT..=LEAF {
        assert!(forged(|forgery| forgery.chain[position].0.dates = (NOW.0, NOW.0)).is_ok(), "{position}");
        let expired = forged(|forgery| forgery.chain[position].0.dates.1 = NOW.0 - 1);
        assert_chain_refused(expired, "a certificate expired at 1789999999");
        let future = forged(|forgery| forgery.chain[position].0.dates.0 = NOW.0 + 1);
        assert_chain_refused(future, "a certificate is not valid before 1790000001");
        let claims = forged(|forgery| forgery.chain[position].0.dates.1 = NOW.0 + 5).unwrap();
        assert_eq!(claims.endorsed.valid_until, UnixSeconds(NOW.0 + 5));
    }
}

#[test]
fn a_signature_of_any_other_length_is_refused() {
    for length in [0, 95, 97, 104] {
        let mut forged = Forgery::new().sign();
        forged.message.signature.resize(length, 1);
        assert_eq!(forged.verify(), malformed("signature of the Nitro message"));
    }
}

#[test]
fn r_or_s_of_zero_or_not_below_the_group_order_is_refused() {
    let order = alloy_primitives::hex!(
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973"
    );
    for at in [0, 48] {
        for number in [[0; 48], order, [0xff; 48]] {
            let mut forged = Forgery::new().sign();
            forged.message.signature[at..at + 48].copy_from_slice(&number);
            assert_eq!(forged.verify(), Err(EvidenceFault::Signature("Nitro document").into()));
        }
    }
}

#[test]
fn a_message_without_payload_is_refused() {
    let mut forged = Forgery::new().sign();
    forged.message.payload = None;
    assert_eq!(forged.verify(), malformed("payload of the Nitro message"));
}

#[test]
fn bytes_after_the_message_or_within_the_payload_after_its_map_are_refused() {
    let forgery = Forgery::new().sign();
    let longer = [forgery.bytes().as_slice(), &[0]].concat();
    assert_eq!(forgery.verify_bytes(&longer), Err(EvidenceFault::TrailingBytes("Nitro message").into()));
    let result = forged(|forgery| forgery.after_map = vec![0]);
    assert_eq!(result, Err(EvidenceFault::TrailingBytes("Nitro document").into()));
}

#[test]
fn a_field_that_is_missing_repeated_or_unknown_is_refused() {
    for name in ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"] {
        let missing = with_payload(|fields| remove(fields, name));
        assert_eq!(missing, malformed("Nitro document: a field is missing"), "{name}");
        let repeated = with_payload(|fields| {
            let value = field(fields, name).clone();
            fields.push((name.into(), value));
        });
        assert_eq!(repeated, malformed("Nitro document: a field occurs twice"));
    }
    let unknown = with_payload(|fields| fields.push(("extra".into(), Value::Null)));
    assert_eq!(unknown, malformed("Nitro document: unknown field"));
    let number = with_payload(|fields| fields.push((1.into(), Value::Null)));
    assert_eq!(number, malformed("Nitro document: a name is not text"));
}

#[test]
fn a_document_of_nitro_tpm_is_refused() {
    let result = with_payload(|fields| {
        let pcrs = field(fields, "pcrs").clone();
        remove(fields, "pcrs");
        fields.push(("nitrotpm_pcrs".into(), pcrs));
    });
    assert_eq!(result, malformed("Nitro document: unknown field"));
}

#[test]
fn fields_of_the_wrong_type_are_refused() {
    for name in
        ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle", "public_key", "user_data", "nonce"]
    {
        for wrong in [Value::Bool(true), Value::Float(1.0), Value::Tag(18, Box::new(Value::Null)), (-1).into()] {
            assert!(with_payload(|fields| *field(fields, name) = wrong).is_err(), "{name}");
        }
    }
    assert_eq!(
        with_payload(|fields| *field(fields, "module_id") = "".into()),
        malformed("module_id of the Nitro document")
    );
    assert_eq!(
        with_payload(|fields| *field(fields, "digest") = "SHA256".into()),
        malformed("digest of the Nitro document: only SHA384 is accepted")
    );
    assert_eq!(
        with_payload(|fields| *field(fields, "timestamp") = 0.into()),
        malformed("timestamp of the Nitro document")
    );
}

#[test]
fn registers_that_are_missing_misnumbered_repeated_or_of_another_size_are_refused() {
    let with_pcrs = |change: &dyn Fn(&mut Fields)| {
        with_payload(|fields| change(field(fields, "pcrs").as_map_mut().expect("registers are a map")))
    };
    let what = "pcrs of the Nitro document";
    for index in 0..=2_u8 {
        assert_eq!(with_pcrs(&|pcrs| pcrs.retain(|(key, _)| *key != index.into())), malformed(what), "{index}");
    }
    assert_eq!(with_pcrs(&Vec::clear), malformed(what));
    for size in [0, 32, 47, 49, 64] {
        assert_eq!(with_pcrs(&|pcrs| pcrs[8].1 = Value::Bytes(vec![9; size])), malformed(what), "{size} bytes");
    }
    for index in [32.into(), 255.into(), 256.into(), (-1).into(), Value::Text("8".to_owned())] {
        assert_eq!(with_pcrs(&|pcrs| pcrs[8].0 = index.clone()), malformed(what), "{index:?}");
    }
    assert_eq!(with_pcrs(&|pcrs| pcrs[8].0 = 9.into()), malformed(what));
    let all = with_pcrs(&|pcrs| pcrs.extend((16..32_u8).map(|index| (index.into(), Value::Bytes(vec![1; 48])))));
    assert_eq!(code(all.unwrap()).pcrs.len(), 32);
}

#[test]
fn a_document_of_a_debug_enclave_verifies_and_says_so() {
    let with_zeros = |indices: &[usize]| {
        let claims = with_payload(|fields| {
            let pcrs = field(fields, "pcrs").as_map_mut().expect("registers are a map");
            for index in indices {
                pcrs[*index].1 = Value::Bytes(vec![0; 48]);
            }
        });
        claims.unwrap().debug
    };
    assert!(with_zeros(&[0, 1, 2]));
    for indices in [&[0, 1][..], &[0, 2], &[1, 2], &[3, 4, 8]] {
        assert!(!with_zeros(indices), "{indices:?}");
    }
}

#[test]
fn the_time_of_an_old_document_is_stated_for_the_policy_to_judge() {
    let claims = with_payload(|fields| *field(fields, "timestamp") = 1_700_000_000_001_u64.into()).unwrap();
    assert_eq!(claims.made_at, Some(UnixSeconds(1_700_000_000)));
}

#[test]
fn user_data_fills_report_data_from_the_front_and_more_than_64_bytes_are_refused() {
    let verified = |user_data: Option<Value>| {
        with_payload(|fields| match user_data {
            Some(value) => *field(fields, "user_data") = value,
            None => remove(fields, "user_data"),
        })
    };
    for other in [Some(Value::Null), None, Some(Value::Bytes(vec![])), Some(Value::Bytes(vec![0x5a; 63]))] {
        assert_eq!(verified(other), Err(EvidenceFault::Binding.into()));
    }
    for length in [65, 1024] {
        let fault = EvidenceFault::Unsupported { field: "length of user_data", found: length as u64 };
        assert_eq!(verified(Some(Value::Bytes(vec![0x5a; length]))), Err(fault.into()));
    }
    let what = "user_data of the Nitro document";
    assert_eq!(verified(Some(Value::Bytes(vec![0x5a; 1025]))), malformed(what));
    assert_eq!(verified(Some(Value::Text("text".to_owned()))), malformed(what));
}

#[test]
fn key_and_nonce_may_be_null_or_absent_and_no_longer_than_1024_bytes() {
    for name in ["public_key", "nonce"] {
        assert!(with_payload(|fields| *field(fields, name) = Value::Null).is_ok());
        assert!(with_payload(|fields| remove(fields, name)).is_ok());
        assert!(with_payload(|fields| *field(fields, name) = Value::Bytes(vec![7; 1024])).is_ok());
        assert!(with_payload(|fields| *field(fields, name) = Value::Bytes(vec![7; 1025])).is_err());
    }
}

#[test]
fn nesting_and_lengths_that_the_document_cannot_have_are_refused_at_once() {
    let forged = Forgery::new().sign();
    for bomb in [
        vec![0x81; 16 * 1024],
        vec![0xa1; 16 * 1024],
        vec![0xd2; 16 * 1024],
        vec![0x9f; 16 * 1024],
        vec![0x5f; 16 * 1024],
        [&[0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0, 0x5b][..], &[0xff; 8]].concat(),
        [&[0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xbb][..], &[0xff; 8]].concat(),
        [&[0x9b][..], &[0xff; 8]].concat(),
        [&[0x84, 0x44, 0xa1, 0x01, 0x38, 0x22][..], &[0x81; 10_000]].concat(),
    ] {
        let result = forged.verify_bytes(&bomb);
        assert!(matches!(result, Err(VerifyError::Evidence(EvidenceFault::Malformed(_)))), "{result:?}");
    }
    let nested = (0..100).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    let result = with_payload(|fields| *field(fields, "nonce") = nested);
    assert_eq!(result, malformed("nonce of the Nitro document"));
}

#[test]
fn every_single_bit_flip_of_a_forged_document_is_refused() {
    // Without the key, which fills a kilobyte, there is less to flip.
    let forged = Forgery::new().sign_with(|fields| *field(fields, "public_key") = Value::Null);
    assert_every_bit_flip_is_refused(&forged.bytes(), |document| forged.verify_bytes(document).is_ok());
}
