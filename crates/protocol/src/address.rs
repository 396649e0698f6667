//! Chain addresses between text and bytes. People get the EIP-55 checksum checked; machines that write any letter case
//! (scheduler and worker write lower case) are understood too.

use alloy_primitives::Address;

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ParseAddressError {
    /// The text does not start with `0x`.
    #[error("address lacks the 0x prefix; write it as 0x and 40 hex digits")]
    NoPrefix,
    /// What follows `0x` is not 40 hexadecimal digits.
    #[error("address is not 40 hex digits; check that it was copied whole")]
    NotHex(#[source] hex::FromHexError),
    /// Upper and lower case are mixed, and not as EIP-55 prescribes: one of the digits is probably wrong.
    #[error(
        "address has a wrong EIP-55 checksum; a digit is mistyped, copy it again (the digits given would be {expected})"
    )]
    Checksum {
        /// The checksummed form of the digits that were given.
        expected: String,
    },
}

/// Reads `0x` and 40 hex digits in any letter case, as URLs of the service carry them.
pub fn parse_any_case(text: &str) -> Result<Address, ParseAddressError> {
    let digits = text.strip_prefix("0x").ok_or(ParseAddressError::NoPrefix)?;
    let mut bytes = [0; 20];
    hex::decode_to_slice(digits, &mut bytes).map_err(ParseAddressError::NotHex)?;
    Ok(Address::from(bytes))
}

/// Reads an address typed or pasted by a person: all lower, all upper, or the exact EIP-55 form.
pub fn parse_checked(text: &str) -> Result<Address, ParseAddressError> {
    let address = parse_any_case(text)?;
    let digits = &text[2..];
    let mixed = digits.contains(|c: char| c.is_ascii_lowercase()) && digits.contains(|c: char| c.is_ascii_uppercase());
    let expected = checksummed(&address);
    if mixed && expected != text {
        return Err(ParseAddressError::Checksum { expected });
    }
    Ok(address)
}

/// The EIP-55 form, for people and for the enclave variable `SIGN_WORKER_ADDRESS`.
pub fn checksummed(address: &Address) -> String {
    address.to_checksum(None)
}

/// `0x` and 40 lower-case digits: the form of storage keys and of most enclave variables.
pub fn lower_case(address: &Address) -> String {
    format!("0x{}", hex::encode(address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHECKSUMMED: &str = "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1";

    #[test]
    fn any_letter_case_is_read_from_machines() {
        let expected = parse_any_case(CHECKSUMMED).unwrap();
        for text in [CHECKSUMMED.to_lowercase(), format!("0x{}", CHECKSUMMED[2..].to_uppercase())] {
            assert_eq!(parse_any_case(&text), Ok(expected), "{text}");
            assert_eq!(parse_checked(&text), Ok(expected), "{text}");
        }
        assert_eq!(checksummed(&expected), CHECKSUMMED);
        assert_eq!(lower_case(&expected), CHECKSUMMED.to_lowercase());
    }

    #[test]
    fn a_mistyped_checksum_is_refused_from_people_and_the_right_one_is_shown() {
        let mistyped = CHECKSUMMED.replace("1a6", "1A6");
        let error = parse_checked(&mistyped).unwrap_err();
        assert_eq!(error, ParseAddressError::Checksum { expected: CHECKSUMMED.to_owned() });
        assert!(error.to_string().contains(CHECKSUMMED));
        assert!(parse_any_case(&mistyped).is_ok());
    }

    #[test]
    fn malformed_addresses_say_what_is_wrong() {
        assert_eq!(parse_any_case(&CHECKSUMMED[2..]), Err(ParseAddressError::NoPrefix));
        assert_eq!(parse_any_case("0X1a642f0e3c3af545e7acbd38b07251b3990914f1"), Err(ParseAddressError::NoPrefix));
        for text in ["0x", "0x1a", &format!("{CHECKSUMMED}00"), "0xzz642f0e3c3af545e7acbd38b07251b3990914f1", "0xé"] {
            assert!(matches!(parse_any_case(text), Err(ParseAddressError::NotHex(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn addresses_survive_a_round_trip(bytes: [u8; 20]) {
            let address = Address::from(bytes);
            prop_assert_eq!(parse_checked(&checksummed(&address)), Ok(address));
            prop_assert_eq!(parse_checked(&lower_case(&address)), Ok(address));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = parse_checked(&text);
        }
    }
}
