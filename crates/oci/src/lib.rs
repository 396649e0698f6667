//! OCI images as untrusted bytes: every digest is checked, every size is bounded, nothing leaves the folder it is unpacked into.
