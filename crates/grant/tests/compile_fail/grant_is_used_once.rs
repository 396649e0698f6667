//! One decision, one record: a grant moves into its record, and there is no second of it.

use strongroom_grant::Grant;

fn record(_: Grant) {}

fn twice(grant: Grant) {
    record(grant);
    record(grant);
}

fn copied(grant: &Grant) -> Grant {
    grant.clone()
}

fn main() {}
