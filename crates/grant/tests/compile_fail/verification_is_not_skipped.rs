//! Neither evidence nor claims become the enclave of a decision; only what was verified does.

use strongroom_attest::measurement::ApprovedImages;
use strongroom_attest::{Claims, Evidence, Policy};
use strongroom_grant::Enclave;

fn of_evidence(evidence: &Evidence, policy: &Policy, approved: &ApprovedImages) -> Enclave {
    Enclave::of(evidence, policy, approved)
}

fn of_claims(claims: &Claims, policy: &Policy, approved: &ApprovedImages) -> Enclave {
    Enclave::of(claims, policy, approved)
}

fn main() {}
