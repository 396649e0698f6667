//! Nothing in a record can be changed, and there is no empty one to begin with.

use strongroom_grant::Plan;
use strongroom_store::Recorded;

fn with_plan(mut genuine: Recorded, plan: Plan) -> Recorded {
    genuine.plan = plan;
    genuine
}

fn of_nothing() -> Recorded {
    Recorded::default()
}

fn main() {}
