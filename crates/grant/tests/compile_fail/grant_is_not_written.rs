//! Only `decide` makes a grant.

use strongroom_grant::Grant;
use strongroom_protocol::transcript::Transcript;

fn forged(transcript: Transcript, genuine: Grant) -> Grant {
    Grant { transcript, ..genuine }
}

fn main() {}
