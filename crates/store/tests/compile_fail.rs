//! The last steps of a release cannot be forgotten: what is not recorded does not open, and a record opens once.
//!
//! After a change of compiler or of these types: `TRYBUILD=overwrite cargo test -p strongroom-store --test compile_fail`, and
//! read the difference.

#[test]
fn records_cannot_be_forged_skipped_or_used_twice() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
