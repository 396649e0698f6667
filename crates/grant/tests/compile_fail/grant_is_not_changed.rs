//! Nothing in a grant can be changed, and there is no empty one to begin with.

use strongroom_grant::{Grant, Plan};

fn with_plan(mut genuine: Grant, plan: Plan) -> Grant {
    genuine.plan = plan;
    genuine
}

fn of_nothing() -> Grant {
    Grant::default()
}

fn main() {}
