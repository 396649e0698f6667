//! The formats of what goes into and comes out of an enclave, as the network's existing programs read and write them.
//!
//! - [`dataset`]: encrypted dataset files. [`mod@digest`]: checksums and the digest of a result.
//! - [`computed`]: `computed.json`. [`archive`]: the archive of a result. [`result`]: its encryption for the beneficiary.
//! - [`cid`]: content ids of IPFS.
//!
//! Pure: readers, writers and randomness are arguments; no disk, network or clock of its own, and memory that does not grow with files.

pub mod archive;
mod cbc_stream;
pub mod cid;
pub mod computed;
pub mod dataset;
pub mod digest;
mod reading;
pub mod result;
