//! Identifiers of PoCo: deals and their tasks.

use std::fmt;
use std::str::FromStr;

use alloy_primitives::{B256, keccak256};

/// Why a text is not a task or deal id.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ParseIdError {
    /// The text does not start with `0x`.
    #[error("id lacks the 0x prefix; write it as 0x and 64 hex digits")]
    NoPrefix,
    /// What follows `0x` is not 64 hexadecimal digits.
    #[error("id is not 64 hex digits; check that it was copied whole")]
    NotHex(#[source] hex::FromHexError),
}

fn parse_bytes32(text: &str) -> Result<[u8; 32], ParseIdError> {
    let digits = text.strip_prefix("0x").ok_or(ParseIdError::NoPrefix)?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits, &mut bytes).map_err(ParseIdError::NotHex)?;
    Ok(bytes)
}

/// Identifies a deal: the hash that the hub gave when it matched the orders. Written as `0x` and 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DealId([u8; 32]);

/// Identifies a task: keccak256(deal id ‖ task index as 32 big-endian bytes). Written as `0x` and 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId([u8; 32]);

impl TaskId {
    /// The id of task `index` of `deal` (PoCo `IexecPoco2Facet.initialize`).
    pub fn of(deal: DealId, index: u64) -> Self {
        let mut preimage = [0; 64];
        preimage[..32].copy_from_slice(&deal.0);
        preimage[56..].copy_from_slice(&index.to_be_bytes());
        Self(keccak256(preimage).0)
    }
}

macro_rules! bytes32_id {
    ($name:ident) => {
        impl $name {
            /// The 32 bytes, as the contracts know them.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl From<B256> for $name {
            fn from(word: B256) -> Self {
                Self(word.0)
            }
        }

        impl From<$name> for B256 {
            fn from(id: $name) -> Self {
                Self(id.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse_bytes32(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "0x{}", hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

bytes32_id!(DealId);
bytes32_id!(TaskId);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn task_ids_are_the_hash_of_deal_and_index() {
        let deal = DealId([0x22; 32]);
        for (index, expected) in [
            (0, "0x3ce992a2ff7a827e1758bb768873236a5a08de2ac7550ad6d6e12be43dde299e"),
            (1, "0xd8a476a5b2ffa7d12731d803890cdeffb943dde25de674979a32d3454fcb7654"),
        ] {
            assert_eq!(TaskId::of(deal, index).to_string(), expected);
        }
    }

    #[test]
    fn malformed_ids_say_what_is_wrong() {
        assert_eq!("22".repeat(32).parse::<DealId>(), Err(ParseIdError::NoPrefix));
        assert!(matches!("0x22".parse::<TaskId>(), Err(ParseIdError::NotHex(_))));
        assert!(matches!(format!("0x{}zz", "22".repeat(31)).parse::<TaskId>(), Err(ParseIdError::NotHex(_))));
    }

    proptest! {
        #[test]
        fn task_ids_survive_a_round_trip(bytes: [u8; 32]) {
            prop_assert_eq!(format!("0x{}", hex::encode(bytes)).parse(), Ok(TaskId(bytes)));
            prop_assert_eq!(TaskId(bytes).to_string().parse(), Ok(TaskId(bytes)));
        }
    }
}
