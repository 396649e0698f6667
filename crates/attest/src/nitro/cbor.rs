//! CBOR (RFC 8949) read item by item, where the caller knows what must stand there.
//!
//! Only what signed documents use: definite lengths, each number in its shortest form. A general decoder builds a tree of
//! whatever it finds before anything can be refused, which lets a stranger's 16 kB of small items cost a millisecond; here the
//! first item that is not the expected one ends the reading. Nothing is copied, and lengths are never trusted for memory.

/// Bytes not read yet. Every method answers nothing when another kind of item comes next or the bytes end within it; what is
/// left is then of no use.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

const UNSIGNED: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const NULL: u8 = 0xf6;

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn unsigned(&mut self) -> Option<u64> {
        self.head(UNSIGNED)
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.head(BYTES)?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = self.head(TEXT)?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    /// The number of items that follow.
    pub(super) fn array(&mut self) -> Option<u64> {
        self.head(ARRAY)
    }

    /// The number of entries that follow, each a name and a value.
    pub(super) fn map(&mut self) -> Option<u64> {
        self.head(MAP)
    }

    /// Reads a null if one comes next.
    pub(super) fn null(&mut self) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[NULL])?;
        Some(())
    }

    /// The number in the head of an item of this major type: a value, a length or a count.
    fn head(&mut self, major: u8) -> Option<u64> {
        let (first, rest) = self.rest.split_first()?;
        if first >> 5 != major {
            return None;
        }
        self.rest = rest;
        match first & 0b1_1111 {
            short @ 0..=23 => Some(short.into()),
            24 => self.number::<1>(24),
            25 => self.number::<2>(1 << 8),
            26 => self.number::<4>(1 << 16),
            27 => self.number::<8>(1 << 32),
            // 31 is a length that is told later, the others mean nothing.
            _ => None,
        }
    }

    /// A big-endian number of N bytes, which would not fit in fewer if it is at least `shortest`.
    fn number<const N: usize>(&mut self, shortest: u64) -> Option<u64> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        let number = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        (number >= shortest).then_some(number)
    }

    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use ciborium::Value;
    use proptest::prelude::*;

    use super::*;

    fn written(value: &Value) -> Vec<u8> {
        let mut bytes = vec![];
        ciborium::into_writer(value, &mut bytes).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn numbers_bytes_and_texts_are_read_as_another_library_writes_them(
            number: u64,
            small in 0..1000_u64,
            bytes: Vec<u8>,
            text: String,
        ) {
            for number in [number, small] {
                prop_assert_eq!(Reader::new(&written(&number.into())).unsigned(), Some(number));
            }
            let written_bytes = written(&Value::Bytes(bytes.clone()));
            prop_assert_eq!(Reader::new(&written_bytes).bytes(), Some(bytes.as_slice()));
            let written_text = written(&Value::Text(text.clone()));
            prop_assert_eq!(Reader::new(&written_text).text(), Some(text.as_str()));
        }

        #[test]
        fn whatever_is_read_is_written_back_to_the_same_bytes(
            input in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let consumed = |reader: &Reader<'_>| input.len() - reader.rest().len();
            let mut reader = Reader::new(&input);
            if let Some(number) = reader.unsigned() {
                prop_assert_eq!(written(&number.into()), &input[..consumed(&reader)]);
            }
            let mut reader = Reader::new(&input);
            if let Some(bytes) = reader.bytes() {
                prop_assert_eq!(written(&Value::Bytes(bytes.to_vec())), &input[..consumed(&reader)]);
            }
            let mut reader = Reader::new(&input);
            if let Some(text) = reader.text() {
                prop_assert_eq!(written(&Value::Text(text.to_owned())), &input[..consumed(&reader)]);
            }
        }
    }

    #[test]
    fn each_number_has_one_form() {
        for bytes in [&[0x17][..], &[0x18, 0x18], &[0x19, 1, 0], &[0x1a, 0, 1, 0, 0], &[0x1b, 0, 0, 0, 1, 0, 0, 0, 0]] {
            assert!(Reader::new(bytes).unsigned().is_some(), "{bytes:x?}");
        }
        for bytes in [
            &[0x18, 0x17][..],
            &[0x19, 0, 0xff],
            &[0x1a, 0, 0, 0xff, 0xff],
            &[0x1b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
            &[0x1c],
            &[0x1f],
            &[],
            &[0x18],
            &[0x1b, 0, 0, 0, 1],
        ] {
            assert_eq!(Reader::new(bytes).unsigned(), None, "{bytes:x?}");
        }
    }

    #[test]
    fn lengths_beyond_the_end_and_indefinite_ones_are_refused() {
        for bytes in [&[0x41][..], &[0x5f, 0x41, 0, 0xff], &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]] {
            assert_eq!(Reader::new(bytes).bytes(), None, "{bytes:x?}");
        }
        assert_eq!(Reader::new(&[0x9f]).array(), None);
        assert_eq!(Reader::new(&[0xbf]).map(), None);
        assert_eq!(Reader::new(&[0x62, 0xff, 0xfe]).text(), None);
    }
}
