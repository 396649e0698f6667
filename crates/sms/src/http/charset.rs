//! Character sets of bodies. The value of a secret is text: it is signed and stored as UTF-8 whatever it was sent as.

use axum::http::HeaderValue;
use zeroize::{Zeroize as _, Zeroizing};

/// A character set that bodies may be sent in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    Utf8,
    Ascii,
    Latin1,
    /// With a byte order mark, else big-endian.
    Utf16,
    Utf16Be,
    Utf16Le,
}

/// The bytes are not text in that character set.
#[derive(Debug, PartialEq)]
pub(super) struct Undecodable;

/// The character set that the content type names, UTF-8 if it names none or is absent. None if the content type is
/// malformed or its character set unknown. The media type itself does not matter: every body is taken as it is.
pub(super) fn charset_of(content_type: Option<&HeaderValue>) -> Option<Charset> {
    let Some(content_type) = content_type else { return Some(Charset::Utf8) };
    let mut parts = content_type.to_str().ok()?.split(';').map(str::trim);
    let (kind, subkind) = parts.next()?.split_once('/')?;
    if kind.is_empty() || subkind.is_empty() {
        return None;
    }
    let mut charset = Charset::Utf8;
    for parameter in parts.filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("charset") {
            charset = named(value.trim().trim_matches('"'))?;
        }
    }
    Some(charset)
}

fn named(name: &str) -> Option<Charset> {
    Some(match name.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" => Charset::Utf8,
        "us-ascii" | "ascii" => Charset::Ascii,
        "iso-8859-1" | "iso8859-1" | "latin1" => Charset::Latin1,
        "utf-16" | "utf16" => Charset::Utf16,
        "utf-16be" => Charset::Utf16Be,
        "utf-16le" => Charset::Utf16Le,
        _ => return None,
    })
}

impl Charset {
    /// The most bytes that a text of `utf8_bytes` can take in this character set.
    pub(super) fn most_bytes_of(self, utf8_bytes: usize) -> usize {
        match self {
            Self::Utf8 | Self::Ascii | Self::Latin1 => utf8_bytes,
            Self::Utf16 | Self::Utf16Be | Self::Utf16Le => 2 * utf8_bytes + 2,
        }
    }

    /// The text in UTF-8. No unwiped copy of the bytes is left behind.
    pub(super) fn to_utf8(self, mut bytes: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, Undecodable> {
        match self {
            Self::Utf8 => {
                std::str::from_utf8(&bytes).map_err(|_| Undecodable)?;
                Ok(std::mem::take(&mut *bytes))
            }
            Self::Ascii if bytes.is_ascii() => Ok(std::mem::take(&mut *bytes)),
            Self::Ascii => Err(Undecodable),
            Self::Latin1 => collect(2 * bytes.len(), bytes.iter().map(|byte| Ok(char::from(*byte)))),
            Self::Utf16 => match bytes.get(..2) {
                Some([0xff, 0xfe]) => utf16(&bytes[2..], u16::from_le_bytes),
                Some([0xfe, 0xff]) => utf16(&bytes[2..], u16::from_be_bytes),
                _ => utf16(&bytes, u16::from_be_bytes),
            },
            Self::Utf16Be => utf16(&bytes, u16::from_be_bytes),
            Self::Utf16Le => utf16(&bytes, u16::from_le_bytes),
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Vec<u8>, Undecodable> {
    let pairs = bytes.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err(Undecodable);
    }
    let units = pairs.map(|pair| unit([pair[0], pair[1]]));
    // Three bytes of UTF-8 for every unit of UTF-16 is the most there can be.
    collect(3 * (bytes.len() / 2), char::decode_utf16(units).map(|decoded| decoded.map_err(|_| Undecodable)))
}

fn collect(
    most_bytes: usize,
    characters: impl Iterator<Item = Result<char, Undecodable>>,
) -> Result<Vec<u8>, Undecodable> {
    let mut text = Zeroizing::new(Vec::with_capacity(most_bytes));
    let mut encoded = [0; 4];
    for character in characters {
        text.extend_from_slice(character?.encode_utf8(&mut encoded).as_bytes());
    }
    encoded.zeroize();
    Ok(std::mem::take(&mut *text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Charset; 6] =
        [Charset::Utf8, Charset::Ascii, Charset::Latin1, Charset::Utf16, Charset::Utf16Be, Charset::Utf16Le];

    fn decoded(charset: Charset, bytes: &[u8]) -> Result<String, Undecodable> {
        charset.to_utf8(Zeroizing::new(bytes.to_vec())).map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn the_character_set_is_utf_8_unless_the_content_type_says_otherwise() {
        for (content_type, expected) in [
            ("text/plain", Some(Charset::Utf8)),
            ("application/json", Some(Charset::Utf8)),
            ("application/json; profile=x", Some(Charset::Utf8)),
            ("text/plain;charset=ISO-8859-1", Some(Charset::Latin1)),
            ("text/plain; Charset=\"utf-16le\"", Some(Charset::Utf16Le)),
            ("text/plain;charset=klingon", None),
            ("text", None),
            ("/plain", None),
            ("text/plain;charset", None),
        ] {
            assert_eq!(charset_of(Some(&HeaderValue::from_static(content_type))), expected, "{content_type}");
        }
        assert_eq!(charset_of(None), Some(Charset::Utf8));
    }

    #[test]
    fn each_character_set_gives_the_same_text() {
        for (charset, bytes) in [
            (Charset::Utf8, b"a\xc3\xa9".as_slice()),
            (Charset::Latin1, b"a\xe9"),
            (Charset::Utf16, b"\xfe\xff\0a\0\xe9"),
            (Charset::Utf16, b"\xff\xfea\0\xe9\0"),
            (Charset::Utf16, b"\0a\0\xe9"),
            (Charset::Utf16Be, b"\0a\0\xe9"),
            (Charset::Utf16Le, b"a\0\xe9\0"),
        ] {
            assert_eq!(decoded(charset, bytes), Ok("aé".to_owned()), "{charset:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_and_not_replaced() {
        for (charset, bytes) in [
            (Charset::Utf8, b"\xff".as_slice()),
            (Charset::Utf8, b"\xc3"),
            (Charset::Ascii, b"\xe9"),
            (Charset::Utf16Be, b"\0a\0"),
            (Charset::Utf16Le, b"\x00\xd8"),
        ] {
            assert_eq!(decoded(charset, bytes), Err(Undecodable), "{charset:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoders_panic(bytes: Vec<u8>) {
            for charset in ALL {
                if let Ok(text) = charset.to_utf8(Zeroizing::new(bytes.clone())) {
                    prop_assert!(std::str::from_utf8(&text).is_ok());
                }
            }
        }

        #[test]
        fn every_text_survives_utf_16(text in ".*") {
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            prop_assert!(big.len() <= Charset::Utf16Be.most_bytes_of(text.len()));
            prop_assert_eq!(decoded(Charset::Utf16Be, &big), Ok(text.clone()));
            prop_assert_eq!(decoded(Charset::Utf16Le, &little), Ok(text));
        }
    }
}
