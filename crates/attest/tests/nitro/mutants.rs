//! Small changes of a real document: none is accepted. Larger, deterministic ones: none makes the decoders panic.

use strongroom_attest::{EvidenceFault, VerifyError};

use super::mutation::{Mutator, assert_every_bit_flip_is_refused};
use super::real::{DOCUMENT, NOW, verify_document};

#[test]
fn every_single_bit_flip_of_a_real_document_is_refused() {
    assert_every_bit_flip_is_refused(DOCUMENT, |document| verify_document(document, NOW).is_ok());
}

#[test]
fn a_document_cut_short_at_any_length_is_refused() {
    for length in 0..DOCUMENT.len() {
        let refusal = verify_document(&DOCUMENT[..length], NOW).unwrap_err();
        assert!(
            matches!(refusal, VerifyError::Evidence(EvidenceFault::Malformed(_) | EvidenceFault::Empty)),
            "{length} bytes: {refusal}"
        );
    }
}

#[test]
fn a_document_with_bytes_after_it_is_refused() {
    for trailing in [0, 1, 0xf6, 0xff] {
        let longer = [DOCUMENT, &[trailing]].concat();
        assert_eq!(verify_document(&longer, NOW), Err(EvidenceFault::TrailingBytes("Nitro message").into()));
    }
}

#[test]
fn heavily_changed_documents_are_refused_without_a_panic() {
    let mut mutator = Mutator::from_seed(8);
    for _ in 0..8_000 {
        assert!(verify_document(&mutator.mutate(DOCUMENT), NOW).is_err());
    }
}
