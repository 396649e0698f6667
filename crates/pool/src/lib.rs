//! Scheduler and worker of one workerpool, as a library for tests and tools.
