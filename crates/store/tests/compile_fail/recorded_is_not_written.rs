//! Only the store makes a record, after it is durable.

use strongroom_grant::Plan;
use strongroom_store::Recorded;

fn forged(plan: Plan, genuine: Recorded) -> Recorded {
    Recorded { plan, ..genuine }
}

fn main() {}
