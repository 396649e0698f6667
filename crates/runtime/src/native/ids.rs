//! Which users of the host the users of a sandbox are. As root every sandbox has a block of its own; an ordinary user can only
//! map itself.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Ids that one sandbox has.
const BLOCK: u32 = 65_536;

/// Hands out blocks of ids.
#[derive(Clone, Debug)]
pub(super) struct Ids {
    first: u32,
    used: Arc<Mutex<BTreeSet<u32>>>,
}

/// The ids of one sandbox; free again when dropped.
#[derive(Debug)]
pub(super) enum Mapping {
    /// Ids 0 to 65535 of the sandbox are `first` and following of the host.
    Block { first: u32, slot: u32, of: Ids },
    /// Id 0 of the sandbox is the supervisor's own user and group.
    Single { uid: u32, gid: u32 },
}

impl Ids {
    pub(super) fn starting_at(first: u32) -> Self {
        Self { first, used: Arc::default() }
    }

    /// A block that no other sandbox of this supervisor has; `None` when all are taken.
    pub(super) fn block(&self) -> Option<Mapping> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = (u32::MAX - self.first) / BLOCK;
        let slot = (0..slots).find(|slot| !used.contains(slot))?;
        used.insert(slot);
        Some(Mapping::Block { first: self.first + slot * BLOCK, slot, of: self.clone() })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if let Self::Block { slot, of, .. } = self {
            of.used.lock().unwrap_or_else(PoisonError::into_inner).remove(slot);
        }
    }
}

impl Mapping {
    pub(super) fn is_single(&self) -> bool {
        matches!(self, Self::Single { .. })
    }

    /// Tells the kernel about the ids of the user namespace that process `pid` is in.
    pub(super) fn write(&self, pid: u32) -> io::Result<()> {
        let write = |file: &str, text: String| fs::write(format!("/proc/{pid}/{file}"), text);
        match self {
            Self::Block { first, .. } => {
                write("uid_map", format!("0 {first} {BLOCK}"))?;
                write("gid_map", format!("0 {first} {BLOCK}"))
            }
            Self::Single { uid, gid } => {
                write("setgroups", "deny".to_owned())?;
                write("uid_map", format!("0 {uid} 1"))?;
                write("gid_map", format!("0 {gid} 1"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_overlap_and_are_used_again() {
        let ids = Ids::starting_at(1_000_000);
        let first_of = |mapping: &Mapping| match mapping {
            Mapping::Block { first, .. } => *first,
            Mapping::Single { .. } => unreachable!(),
        };
        let (one, two) = (ids.block().unwrap(), ids.block().unwrap());
        assert_eq!((first_of(&one), first_of(&two)), (1_000_000, 1_065_536));
        drop(one);
        assert_eq!(first_of(&ids.block().unwrap()), 1_000_000);
        assert!(Ids::starting_at(u32::MAX - 10).block().is_none());
    }
}
