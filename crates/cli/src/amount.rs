//! Amounts of RLC as people write them: in nRLC unless they say otherwise, as the iexec CLI has it.

use std::fmt;
use std::str::FromStr;

use alloy_primitives::U256;

/// nRLC in one RLC have this many digits after the point.
const DECIMALS: usize = 9;

/// An amount in nRLC. Written as `1.5 RLC` or `100 nRLC`; a number alone is in nRLC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Amount(pub(crate) U256);

/// The text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseAmountError {
    /// Not a number.
    #[error("an amount is a number with an optional unit, such as 100, `100 nRLC` or `1.5 RLC`")]
    NotANumber,
    /// Another unit.
    #[error("the unit of an amount is nRLC or RLC")]
    Unit,
    /// A part of a nRLC.
    #[error("a nRLC has no parts, and a RLC has 9 digits after the point")]
    TooFine,
    /// Beyond what the chain can count.
    #[error("the amount is larger than all there is")]
    TooLarge,
}

impl FromStr for Amount {
    type Err = ParseAmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let decimals = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "nrlc" => 0,
            "rlc" => DECIMALS,
            _ => return Err(ParseAmountError::Unit),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || part.contains('.') || (part.is_empty() && number.contains('.')) {
            return Err(ParseAmountError::NotANumber);
        }
        if part.len() > decimals {
            return Err(ParseAmountError::TooFine);
        }
        let digits = format!("{whole}{part:0<decimals$}");
        U256::from_str_radix(&digits, 10).map(Self).map_err(|_| ParseAmountError::TooLarge)
    }
}

impl fmt::Display for Amount {
    /// In nRLC up to a thousandth of a RLC, in RLC from there on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        if digits.len() <= DECIMALS - 3 {
            return write!(f, "{digits} nRLC");
        }
        let digits = format!("{digits:0>width$}", width = DECIMALS + 1);
        let (whole, part) = digits.split_at(digits.len() - DECIMALS);
        match part.trim_end_matches('0') {
            "" => write!(f, "{whole} RLC"),
            part => write!(f, "{whole}.{part} RLC"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, nano) in [
            ("0", 0),
            ("100", 100),
            ("100 nRLC", 100),
            ("100nrlc", 100),
            ("1 RLC", 1_000_000_000),
            ("1.5 RLC", 1_500_000_000),
            ("0.000000001RLC", 1),
            (" 2 rlc ", 2_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Amount(U256::from(nano))), "{text}");
        }
        for (text, error) in [
            ("", ParseAmountError::NotANumber),
            ("RLC", ParseAmountError::NotANumber),
            ("1.", ParseAmountError::NotANumber),
            ("1.5.2 RLC", ParseAmountError::NotANumber),
            ("-1", ParseAmountError::Unit),
            ("1 ETH", ParseAmountError::Unit),
            ("1.5", ParseAmountError::TooFine),
            ("0.0000000001 RLC", ParseAmountError::TooFine),
        ] {
            assert_eq!(text.parse::<Amount>(), Err(error), "{text}");
        }
        assert_eq!("9".repeat(80).parse::<Amount>(), Err(ParseAmountError::TooLarge));
    }

    #[test]
    fn amounts_are_shown_in_the_unit_that_reads_best() {
        for (nano, text) in [
            (0, "0 nRLC"),
            (999_999, "999999 nRLC"),
            (1_000_000, "0.001 RLC"),
            (1_500_000_000, "1.5 RLC"),
            (2_000_000_000, "2 RLC"),
        ] {
            assert_eq!(Amount(U256::from(nano)).to_string(), text);
        }
    }
}
