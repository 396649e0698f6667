//! Keys and passwords of the settings: never printed, compared in constant time, kept out of the messages of the parser.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use subtle::ConstantTimeEq;

/// What `X-API-KEY` must hold, or a password. A blank one is none.
#[derive(Clone, Default)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// Takes the text as it is.
    pub fn new(text: String) -> Self {
        Self(text.into())
    }

    /// Whether no key was set.
    pub fn is_blank(&self) -> bool {
        self.0.expose_secret().trim().is_empty()
    }

    /// The text itself, for whom it is meant.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether `sent` is the key, in time that depends only on the lengths.
    pub fn matches(&self, sent: &[u8]) -> bool {
        self.0.expose_secret().as_bytes().ct_eq(sent).into()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

impl<'de> Deserialize<'de> for ApiKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Refuses other types itself: the default messages would print the value.
        struct Text;

        impl Visitor<'_> for Text {
            type Value = ApiKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text in quotes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ApiKey, E> {
                Ok(ApiKey::new(text.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<ApiKey, E> {
                Err(E::custom("the key must be a text in quotes"))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<ApiKey, E> {
                Err(E::custom("the key must be a text in quotes"))
            }
        }

        deserializer.deserialize_str(Text)
    }
}
