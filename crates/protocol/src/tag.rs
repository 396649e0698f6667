//! The tag of a deal: which kind of enclave the buyer asked for.

use std::fmt;

use alloy_primitives::B256;

/// How an enclave program is built and measured (bits 1 to 3 of a tag). What iExec calls the "TEE framework".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Framework {
    /// SGX through SCONE.
    Scone,
    /// SGX through Gramine.
    Gramine,
    /// A whole confidential VM: TDX.
    Tdx,
}

impl Framework {
    /// Every framework, in the order of their tag bits.
    pub const ALL: [Self; 3] = [Self::Scone, Self::Gramine, Self::Tdx];

    /// The name in URLs, configuration and answers: `SCONE`, `GRAMINE`, `TDX`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scone => "SCONE",
            Self::Gramine => "GRAMINE",
            Self::Tdx => "TDX",
        }
    }

    /// Whether the enclave is an SGX enclave with one measurement per program.
    pub fn is_sgx(self) -> bool {
        matches!(self, Self::Scone | Self::Gramine)
    }

    /// Reads a name in any letter case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|framework| framework.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Framework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The 32-byte tag of a deal, a bit field. Bit 0 (lowest of the last byte): an enclave is required; bits 1, 2, 3: SCONE,
/// Gramine, TDX; bit 8: GPU. The contracts do not check that the bits make sense together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag(pub B256);

impl Tag {
    /// The framework of the tag, when bit 0 and exactly one of the bits 1 to 3 are set.
    pub fn framework(&self) -> Option<Framework> {
        match self.0[31] & 0x0f {
            0b0011 => Some(Framework::Scone),
            0b0101 => Some(Framework::Gramine),
            0b1001 => Some(Framework::Tdx),
            _ => None,
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_enclave_bit_with_exactly_one_framework_names_a_framework() {
        for low in 0..=255_u8 {
            let mut word = B256::repeat_byte(0);
            word[31] = low;
            let expected = match low & 0x0f {
                3 => Some(Framework::Scone),
                5 => Some(Framework::Gramine),
                9 => Some(Framework::Tdx),
                _ => None,
            };
            assert_eq!(Tag(word).framework(), expected, "low byte {low:#04x}");
        }
    }

    #[test]
    fn other_bits_do_not_change_the_framework() {
        let mut word = B256::repeat_byte(0xff);
        word[31] = 0xf9;
        assert_eq!(Tag(word).framework(), Some(Framework::Tdx));
    }

    #[test]
    fn framework_names_are_read_in_any_letter_case() {
        for framework in Framework::ALL {
            assert_eq!(Framework::from_name(&framework.name().to_lowercase()), Some(framework));
        }
        assert_eq!(Framework::from_name("sgx"), None);
    }
}
