//! The enclave of a decision comes from verified evidence, whole.

use strongroom_grant::Enclave;
use strongroom_grant::enclave::Identity;

fn forged(identity: Identity, genuine: Enclave) -> Enclave {
    Enclave { identity, ..genuine }
}

fn main() {}
