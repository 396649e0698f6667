//! The formats of what goes into and comes out of an enclave: encrypted datasets, result digests, archives, encrypted results,
//! content ids. Pure: readers and writers are arguments; no disk, network or clock of its own.
