//! What code is meant to run, in a form that can be put on chain, compared by a person and matched against claims.
//!
//! A [`Measurement`] is a descriptor of one of five kinds. Its canonical bytes are `SMSMEAS1` ‖ kind (1 byte) ‖ for each field
//! in order: length (2 bytes, big-endian) ‖ bytes; its id is keccak-256 of those. Numbers inside fields are little-endian as
//! in the vendors' reports, except ISVPRODID, which is big-endian. An empty optional field means "any" or, for CONFIGID,
//! "none".
//!
//! | Kind | Fields in order, with their sizes |
//! | --- | --- |
//! | 1 `sgx` | mrenclave 32, mrsigner 32 or any, isvprodid 2 or any, attributes value 8 ‖ mask 8, configid 64 or none |
//! | 2 `tdx-image` | os-image 32, compose-hash 32, mrconfigid 48, mrowner 48, mrownerconfig 48, attributes 8 ‖ 8, xfam 8 |
//! | 3 `tdx` | mrtd 48, rtmr0 48, rtmr1 48, rtmr2 48, rtmr3 48, mrconfigid 48, mrowner 48, mrownerconfig 48, attributes 8 ‖ 8, xfam 8 |
//! | 4 `snp` | measurement 48, host-data 32, policy 8 ‖ 8, id-key-digest 48 or any, vmpl 1 |
//! | 5 `nitro` | pcr0 48, pcr1 48, pcr2 48, pcr8 48 or any |
//!
//! The text form names every field: `nitro,pcr0=…,pcr1=…,pcr2=…,pcr8=any`. Bytes are lower-case hex, numbers decimal, pairs of
//! value and mask `0x…/0x…` of 16 digits each. One descriptor has one text, so two people can compare them letter by letter.
//!
//! Versions and TCB are policy, not identity: they are not in here. A descriptor that asks for debug mode is refused.

mod codec;
mod descriptor;
mod images;
mod matching;

pub use self::codec::ParseMeasurementError;
pub use self::descriptor::{
    Descriptor, InvalidMeasurement, Masked, Measurement, MeasurementId, NitroMeasurement, SgxMeasurement,
    SnpMeasurement, TdxImageMeasurement, TdxMeasurement,
};
pub use self::images::{ApprovedImage, ApprovedImages, OsImageId};
pub use self::matching::Mismatch;

#[cfg(test)]
mod tests;
