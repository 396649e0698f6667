//! What evidence must have been made for: the 64 bytes of report data that the verifier expects.
//!
//! How those bytes come about (SHA-512 over a labelled, length-prefixed transcript of nonce, deployment, session and key) is
//! said in `strongroom-protocol`, so that guest and service share one definition. Here they are only compared.

use std::fmt;

use alloy_primitives::FixedBytes;

/// The report data that fresh evidence for this very session and key must carry, 64 bytes.
///
/// A required argument of [`verify`](crate::verify()): evidence that is authentic but was made for something else proves
/// nothing. SGX, TDX and SEV-SNP carry it in their report data field, a Nitro document in `user_data`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ExpectedBinding([u8; 64]);

impl ExpectedBinding {
    /// Expects exactly these 64 bytes. Compute them from what the verifier itself knows; bytes taken from the evidence under
    /// test would make the check say nothing.
    pub const fn new(report_data: [u8; 64]) -> Self {
        Self(report_data)
    }

    /// Whether `found` is what was expected.
    pub(crate) fn matches(&self, found: &FixedBytes<64>) -> bool {
        found.0 == self.0
    }
}

impl fmt::Debug for ExpectedBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExpectedBinding({})", hex::encode(self.0))
    }
}
