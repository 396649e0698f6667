//! `strongroom-pool`: scheduler and worker of one workerpool.

fn main() {}
