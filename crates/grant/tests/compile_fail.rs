//! A forgotten step of a release does not compile: the proofs on the way from evidence to grant cannot be made by hand, taken
//! from something weaker, or used twice.
//!
//! After a change of compiler or of these types: `TRYBUILD=overwrite cargo test -p strongroom-grant --test compile_fail`, and
//! read the difference.

#[test]
fn proofs_cannot_be_forged_skipped_or_used_twice() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
