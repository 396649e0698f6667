//! The operating-system images that an operator approves for TDX guests.
//!
//! An image is named by what does not depend on the machine's shape: firmware (MRTD), kernel (RTMR1), command line and initrd
//! (RTMR2). RTMR0 varies with memory, CPUs and ACPI tables, so an image lists the values that are its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use alloy_primitives::{B256, FixedBytes, keccak256};
use serde::{Deserialize, Serialize};

use crate::claims::TdxCode;

/// keccak-256(MRTD ‖ RTMR1 ‖ RTMR2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OsImageId(B256);

impl OsImageId {
    /// The image a TD runs, approved or not.
    pub fn of(code: &TdxCode) -> Self {
        Self::from_registers(&code.mrtd, &code.rtmrs[1], &code.rtmrs[2])
    }

    /// The id of an image with these registers.
    pub fn from_registers(mrtd: &FixedBytes<48>, rtmr1: &FixedBytes<48>, rtmr2: &FixedBytes<48>) -> Self {
        Self(keccak256([mrtd.as_slice(), rtmr1.as_slice(), rtmr2.as_slice()].concat()))
    }

    /// The id as 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0.0
    }
}

impl From<B256> for OsImageId {
    fn from(id: B256) -> Self {
        Self(id)
    }
}

impl fmt::Display for OsImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for OsImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OsImageId({self})")
    }
}

/// An image an operator approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovedImage {
    /// What people call it.
    pub name: String,
    /// MRTD.
    pub mrtd: FixedBytes<48>,
    /// The values of RTMR0 that belong to machine shapes the image may run on.
    pub rtmr0: BTreeSet<FixedBytes<48>>,
    /// RTMR1.
    pub rtmr1: FixedBytes<48>,
    /// RTMR2.
    pub rtmr2: FixedBytes<48>,
}

/// The images an operator approved, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovedImages(BTreeMap<OsImageId, ApprovedImage>);

impl ApprovedImages {
    /// The image a TD runs, if it is approved for the TD's RTMR0 too.
    pub fn find(&self, code: &TdxCode) -> Option<&ApprovedImage> {
        self.0.get(&OsImageId::of(code)).filter(|image| image.rtmr0.contains(&code.rtmrs[0]))
    }

    /// The images, ordered by id.
    pub fn images(&self) -> impl Iterator<Item = &ApprovedImage> {
        self.0.values()
    }

    /// Whether nothing is approved.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<ApprovedImage> for ApprovedImages {
    /// Images with the same registers become one that admits the RTMR0 values of both.
    fn from_iter<I: IntoIterator<Item = ApprovedImage>>(images: I) -> Self {
        let mut approved = BTreeMap::<OsImageId, ApprovedImage>::new();
        for image in images {
            let id = OsImageId::from_registers(&image.mrtd, &image.rtmr1, &image.rtmr2);
            if let Some(known) = approved.get_mut(&id) {
                known.rtmr0.extend(image.rtmr0);
            } else {
                approved.insert(id, image);
            }
        }
        Self(approved)
    }
}
