//! A real document at its pinned time, value for value, and just outside its dates.

use std::collections::BTreeMap;

use alloy_primitives::{Bytes, FixedBytes, hex};
use strongroom_attest::claims::{Code, Endorsed, NitroCode, Platform, Revocation, Tcb};
use strongroom_attest::{
    Claims, EndorsementFault, Endorsements, Evidence, EvidenceFault, EvidenceKind, ExpectedBinding, TrustAnchors,
    TrustDomain, VerifyError, verify,
};
use strongroom_protocol::UnixSeconds;

pub(crate) const DOCUMENT: &[u8] = include_bytes!("../../testdata/nitro/document.cose");

/// When the document was made.
pub(crate) const NOW: UnixSeconds = UnixSeconds(1_736_179_625);

/// Dates of the signing certificate, the shortest of the chain.
const VALID_FROM: UnixSeconds = UnixSeconds(1_736_179_622);
const VALID_UNTIL: UnixSeconds = UnixSeconds(1_736_190_425);

/// Verifies `document`, which states no `user_data`: its report data is all zeros.
pub(crate) fn verify_document(document: &[u8], now: UnixSeconds) -> Result<Claims, VerifyError> {
    let evidence = Evidence::new(EvidenceKind::Nitro, document.to_vec()).map_err(VerifyError::Evidence)?;
    let binding = ExpectedBinding::new([0; 64]);
    verify(&evidence, &Endorsements::NotNeeded, &binding, &TrustAnchors::production(), now)
        .map(|verified| verified.claims().clone())
}

#[test]
fn the_fixture_is_the_one_whose_origin_is_noted() {
    let digest = hex!("19b71700ef369a55ad201e09843c7cfcbaecd2a07917e77cafa42fb227d582b7");
    assert_eq!(ring::digest::digest(&ring::digest::SHA256, DOCUMENT).as_ref(), digest);
}

#[test]
fn a_real_document_verifies_with_exactly_its_values() {
    let claims = verify_document(DOCUMENT, NOW).unwrap();
    assert_eq!((claims.kind, claims.version), (EvidenceKind::Nitro, 1));
    assert_eq!(claims.trust_domain, TrustDomain::Production);
    assert_eq!(
        claims.root.to_string(),
        "certificate-sha256:641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"
    );
    assert_eq!(claims.report_data, FixedBytes::ZERO);
    assert!(!claims.debug);
    let mut pcrs: BTreeMap<u8, FixedBytes<48>> = (0..16).map(|index| (index, FixedBytes::ZERO)).collect();
    for (index, value) in [
        (0, hex!("8bb159f202bb95d6d4d98e0e103918246cea734f1d57cd263e4fd56075ed53f6fa8c68854817a32749a241e11874c26b")),
        (1, hex!("3b4a7e1b5f13c5a1000b3ed32ef8995ee13e9876329f9bc72650b918329ef9cf4e2e4d1e1e37375dab0ba56ba0974d03")),
        (2, hex!("f4e86b12ad3df5f9fea962ff706c23ee190b463740a32f1a679a3cd1070a7731ddd83328fe3db5e8143ea94344b6fb95")),
        (3, hex!("957daeb0196a044bd93133dc03d41017db77bacb95d21c410906f0207960f63e86d08a5a5160bdacf30a8297154eaeaa")),
        (4, hex!("5ecf4fb14c100ccc62999e094c99819ce9e51dd7c9497602d1cdf68b98cba25c153406046d9f9096f9d059211c7cbca3")),
    ] {
        pcrs.insert(index, value.into());
    }
    // An RSA key of 2,048 bits, DER.
    let public_key: Bytes = hex!(
        "30820122300d06092a864886f70d01010105000382010f003082010a0282010100df9cc4f481b35fb92fe6d85c8f8b345719826687bd185d"
        "4c15fbc14f764042783ac1a8037ed83ffc7f682ff51110c9a188655e7eec0a656ded4842935712eebbff0da09101b6130c9bacebea9c979b"
        "03157c773eb9ab4849eb7867b402ee31ece38347a96fc55fe72b3c90ad55779ff22c79c03addf04ed8dc57c5e6619c2e8156df9ea31f9cf2"
        "10fdcdfab005638375c5cb29bb9fb4a409eb211879271caf78747df25073c145d48d9b83ddeda6a6770bbff5acd1fe32e685c8e01825661e"
        "1cc82665c9266f1796f7ee27fb136d5d161733d5fa3d2af671e18443755e8be9da418407ebfb4bd139e0986e15be7bf68783add87c4829f0"
        "3939b4e4d2012636f30203010001"
    )
    .into();
    assert_eq!(claims.code, Code::Nitro(NitroCode { pcrs, public_key: Some(public_key), nonce: None }));
    assert_eq!(claims.platform, Platform::Nitro { module_id: "i-0bee92034f3d60691-enc01943c5eaab3ad6a".to_owned() });
    assert_eq!(claims.tcb, Tcb::NotApplicable);
    let digest = hex!("7c54a6a363461178bd93c5db4aff1f7ca4c8b9b4124a079890b3dc023fe1d75c").into();
    let revocation = Revocation::NotChecked;
    assert_eq!(claims.endorsed, Endorsed { digest, fetched_at: NOW, valid_until: VALID_UNTIL, revocation });
    assert_eq!((claims.made_at, claims.verified_at), (Some(NOW), NOW));
}

#[test]
fn a_real_document_verifies_in_the_first_and_last_second_of_its_certificate_and_not_one_beyond() {
    assert!(verify_document(DOCUMENT, VALID_FROM).is_ok());
    assert!(verify_document(DOCUMENT, VALID_UNTIL).is_ok());
    for (now, reason) in [
        (VALID_FROM.0 - 1, "a certificate is not valid before 1736179622, and it is 1736179621"),
        (VALID_UNTIL.0 + 1, "a certificate expired at 1736190425, before 1736190426"),
    ] {
        assert_eq!(verify_document(DOCUMENT, UnixSeconds(now)), Err(EvidenceFault::Chain(reason.to_owned()).into()));
    }
}

#[test]
fn a_real_document_made_without_user_data_is_refused_where_some_is_expected() {
    let evidence = Evidence::new(EvidenceKind::Nitro, DOCUMENT.to_vec()).unwrap();
    let binding = ExpectedBinding::new([1; 64]);
    let result = verify(&evidence, &Endorsements::NotNeeded, &binding, &TrustAnchors::production(), NOW);
    assert_eq!(result, Err(EvidenceFault::Binding.into()));
}

#[test]
fn endorsements_of_another_vendor_are_refused() {
    let evidence = Evidence::new(EvidenceKind::Nitro, DOCUMENT.to_vec()).unwrap();
    let amd = strongroom_attest::endorsements::AmdEndorsements::new(vec![], vec![], None, NOW).unwrap();
    let binding = ExpectedBinding::new([0; 64]);
    let result = verify(&evidence, &Endorsements::Amd(amd), &binding, &TrustAnchors::production(), NOW);
    assert_eq!(result, Err(EndorsementFault::ForAnother("kind of evidence").into()));
}

#[test]
fn a_document_under_the_tag_of_another_kind_is_refused() {
    for kind in [EvidenceKind::Sgx, EvidenceKind::Tdx] {
        let evidence = Evidence::new(kind, DOCUMENT.to_vec()).unwrap();
        let binding = ExpectedBinding::new([0; 64]);
        assert!(verify(&evidence, &Endorsements::NotNeeded, &binding, &TrustAnchors::production(), NOW).is_err());
    }
}
