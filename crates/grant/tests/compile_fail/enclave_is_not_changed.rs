//! What was proven of an enclave stays as it is.

use strongroom_grant::Enclave;

fn without_debug(mut genuine: Enclave) -> Enclave {
    genuine.debug = false;
    genuine
}

fn main() {}
