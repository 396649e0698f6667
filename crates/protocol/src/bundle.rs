//! What a release delivers, as bytes: for each stage its variables and files, nothing else.
//!
//! Layout, all numbers big-endian: `1` (version, u8) ‖ count (u32) ‖ per item: stage (u8: 1 pre-compute, 2 app, 3
//! post-compute) ‖ form (u8: 1 variable, 2 secret) ‖ name length (u16) ‖ name (UTF-8) ‖ value length (u32) ‖ value.
//! A secret is handed over as a file in memory whose path stands in `<name>_FILE`, and as variable `<name>` too when the
//! value can be one ([`fits_environment`]).

use std::fmt;

use zeroize::Zeroizing;

use crate::secret::{MAX_SECRET_BYTES, SecretValue};

const VERSION: u8 = 1;
/// More items than any session has: stages × (fixed variables + datasets of a bulk slice × 4).
const MAX_ITEMS: u32 = 4096;

/// The programs that an enclave runs for a task, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Stage {
    /// Fetches and opens inputs.
    PreCompute = 1,
    /// The developer's program.
    App = 2,
    /// Closes and delivers the result.
    PostCompute = 3,
}

impl Stage {
    /// The service name that session storages and workers know.
    pub fn service_name(self) -> &'static str {
        match self {
            Self::PreCompute => "pre-compute",
            Self::App => "app",
            Self::PostCompute => "post-compute",
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        [Self::PreCompute, Self::App, Self::PostCompute].into_iter().find(|stage| *stage as u8 == number)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.service_name())
    }
}

/// How a value reaches its stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Form {
    /// As an environment variable.
    Variable = 1,
    /// As a read-only file in memory whose path stands in `<name>_FILE`, and as a variable when the value fits.
    Secret = 2,
}

/// Whether `name=value` can be one environment string of Linux: at most 128 KiB with its end (`MAX_ARG_STRLEN`), no NUL.
pub fn fits_environment(name: &str, value: &[u8]) -> bool {
    name.len() + 1 + value.len() < 128 * 1024 && !value.contains(&0)
}

/// One value for one stage.
#[derive(Debug)]
pub struct Item {
    /// Who gets it.
    pub stage: Stage,
    /// As what.
    pub form: Form,
    /// Name of the variable.
    pub name: String,
    /// The value.
    pub value: SecretValue,
}

/// Why bytes are not a bundle. The enclave gets these only from a service that broke its own format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Another version of the format.
    #[error("bundle has version {found}, this guest reads version 1; update the guest")]
    UnknownVersion {
        /// The version byte.
        found: u8,
    },
    /// Ends early, has bytes left over, or a field is out of its range.
    #[error("bundle is malformed: {0}; update the guest or the service so that both speak the same version")]
    Malformed(&'static str),
}

/// Writes `items` in order.
///
/// # Panics
/// Never for items made by a decision: names are shorter than 64 KiB and values than 4 GiB by construction.
pub fn encode(items: &[Item]) -> Zeroizing<Vec<u8>> {
    let size: usize = items.iter().map(|item| 8 + item.name.len() + item.value.expose_secret().len()).sum();
    let mut bytes = Zeroizing::new(Vec::with_capacity(5 + size));
    bytes.push(VERSION);
    bytes.extend_from_slice(&u32::try_from(items.len()).expect("a bundle has a few items").to_be_bytes());
    for item in items {
        let value = item.value.expose_secret();
        bytes.push(item.stage as u8);
        bytes.push(item.form as u8);
        bytes.extend_from_slice(&u16::try_from(item.name.len()).expect("names are short").to_be_bytes());
        bytes.extend_from_slice(item.name.as_bytes());
        bytes.extend_from_slice(&u32::try_from(value.len()).expect("values are at most 4 MiB").to_be_bytes());
        bytes.extend_from_slice(value);
    }
    bytes
}

/// Reads what [`encode`] wrote.
pub fn decode(bytes: &[u8]) -> Result<Vec<Item>, DecodeError> {
    let mut rest = Reader(bytes);
    let [version] = rest.array("no version")?;
    if version != VERSION {
        return Err(DecodeError::UnknownVersion { found: version });
    }
    let count = u32::from_be_bytes(rest.array("no count")?);
    if count > MAX_ITEMS {
        return Err(DecodeError::Malformed("more items than a session has"));
    }
    let mut items = Vec::new();
    for _ in 0..count {
        let [stage, form] = rest.array("item ends early")?;
        let stage = Stage::from_number(stage).ok_or(DecodeError::Malformed("unknown stage"))?;
        let form = [Form::Variable, Form::Secret]
            .into_iter()
            .find(|known| *known as u8 == form)
            .ok_or(DecodeError::Malformed("unknown form"))?;
        let name_length = u16::from_be_bytes(rest.array("item ends early")?);
        let name = std::str::from_utf8(rest.take(usize::from(name_length), "name ends early")?)
            .map_err(|_| DecodeError::Malformed("name is not UTF-8"))?
            .to_owned();
        let value_length = u32::from_be_bytes(rest.array("item ends early")?) as usize;
        if value_length > MAX_SECRET_BYTES {
            return Err(DecodeError::Malformed("value is larger than a secret may be"));
        }
        let value = SecretValue::new(rest.take(value_length, "value ends early")?.to_vec())
            .map_err(|_| DecodeError::Malformed("value is larger than a secret may be"))?;
        items.push(Item { stage, form, name, value });
    }
    if rest.0.is_empty() { Ok(items) } else { Err(DecodeError::Malformed("bytes after the last item")) }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize, otherwise: &'static str) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(DecodeError::Malformed(otherwise))?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self, otherwise: &'static str) -> Result<[u8; N], DecodeError> {
        let (head, tail) = self.0.split_first_chunk().ok_or(DecodeError::Malformed(otherwise))?;
        self.0 = tail;
        Ok(*head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn item(stage: Stage, form: Form, name: &str, value: &[u8]) -> Item {
        Item { stage, form, name: name.to_owned(), value: SecretValue::new(value.to_vec()).unwrap() }
    }

    #[test]
    fn a_bundle_has_its_documented_bytes() {
        let bytes = encode(&[
            item(Stage::App, Form::Variable, "A", b"xy"),
            item(Stage::PostCompute, Form::Secret, "B_NAME", b""),
        ]);
        let expected = [
            &[1, 0, 0, 0, 2][..],
            &[2, 1, 0, 1, b'A', 0, 0, 0, 2, b'x', b'y'],
            &[3, 2, 0, 6],
            b"B_NAME",
            &[0, 0, 0, 0],
        ]
        .concat();
        assert_eq!(bytes.as_slice(), expected);
    }

    #[test]
    fn an_environment_string_is_at_most_128_kib_and_has_no_nul() {
        let longest = 128 * 1024 - "NAME=".len() - 1;
        assert!(fits_environment("NAME", &vec![b'x'; longest]));
        assert!(!fits_environment("NAME", &vec![b'x'; longest + 1]));
        assert!(!fits_environment("NAME", b"a\0b"));
    }

    #[test]
    fn malformed_bundles_are_refused() {
        let good = encode(&[item(Stage::App, Form::Variable, "A", b"xy")]);
        for length in 0..good.len() {
            assert!(matches!(decode(&good[..length]), Err(DecodeError::Malformed(_))), "{length} bytes");
        }
        let with = |index: usize, byte: u8| {
            let mut changed = good.to_vec();
            changed[index] = byte;
            decode(&changed).map(|_| ())
        };
        assert_eq!(with(0, 2), Err(DecodeError::UnknownVersion { found: 2 }));
        assert_eq!(with(1, 1), Err(DecodeError::Malformed("more items than a session has")));
        assert_eq!(with(5, 0), Err(DecodeError::Malformed("unknown stage")));
        assert_eq!(with(6, 3), Err(DecodeError::Malformed("unknown form")));
        assert_eq!(with(9, 0xff), Err(DecodeError::Malformed("name is not UTF-8")));
        assert_eq!(with(10, 0xff), Err(DecodeError::Malformed("value is larger than a secret may be")));
        let longer = [good.as_slice(), &[0]].concat();
        assert!(matches!(decode(&longer), Err(DecodeError::Malformed("bytes after the last item"))));
    }

    proptest! {
        #[test]
        fn bundles_survive_a_round_trip(
            items in proptest::collection::vec((1..=3_u8, any::<bool>(), "[A-Z_0-9]{1,40}", any::<Vec<u8>>()), 0..8)
        ) {
            let items: Vec<Item> = items
                .into_iter()
                .map(|(stage, secret, name, value)| {
                    let form = if secret { Form::Secret } else { Form::Variable };
                    item(Stage::from_number(stage).unwrap(), form, &name, &value)
                })
                .collect();
            let read = decode(&encode(&items)).unwrap();
            prop_assert_eq!(read.len(), items.len());
            for (a, b) in read.iter().zip(&items) {
                prop_assert_eq!((a.stage, a.form, &a.name), (b.stage, b.form, &b.name));
                prop_assert!(a.value.constant_time_eq(&b.value));
            }
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
