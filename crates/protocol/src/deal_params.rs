//! The parameters of a deal: the JSON text that a requester signed, read as the design says and not as the old service did.
//!
//! The old parser took the whole text as the app's arguments as soon as one member was unknown or had a wrong type, and so
//! silently dropped encryption and secrets. Here unknown members are ignored; text that asks for encryption or secrets and
//! cannot be understood is an error; other text that is no object of parameters is the app's arguments, as before.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

const ARGS: &str = "iexec_args";
const INPUT_FILES: &str = "iexec_input_files";
const RESULT_ENCRYPTION: &str = "iexec_result_encryption";
const STORAGE_PROVIDER: &str = "iexec_result_storage_provider";
const STORAGE_PROXY: &str = "iexec_result_storage_proxy";
const SECRETS: &str = "iexec_secrets";
const BULK_CID: &str = "bulk_cid";
const KNOWN: [&str; 7] = [ARGS, INPUT_FILES, RESULT_ENCRYPTION, STORAGE_PROVIDER, STORAGE_PROXY, SECRETS, BULK_CID];

/// What a deal asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DealParams {
    /// Command line of the app.
    pub args: Option<String>,
    /// URLs to fetch for the app, in order.
    pub input_files: Vec<String>,
    /// Whether the result is encrypted for the beneficiary.
    pub result_encryption: bool,
    /// Where the result goes: `ipfs`, `dropbox`; nothing was said when absent.
    pub storage_provider: Option<String>,
    /// Result proxy that replaces the pool's.
    pub storage_proxy: Option<String>,
    /// Requester secrets by the index text under which the app sees them. Indexes and names are not judged here.
    pub secrets: BTreeMap<String, String>,
    /// Content id of the list of dataset lists, when one deal processes many datasets.
    pub bulk_cid: Option<String>,
}

/// How the old service would have read the same text, for reports to people who move over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegacyReading {
    /// The same way.
    Same,
    /// The whole text as the app's arguments, without encryption and secrets.
    WholeTextAsArguments {
        /// What its parser stumbled over.
        because: String,
    },
    /// Not at all: the text is `null`.
    NoTask,
}

/// The text asks for result encryption or secrets, but cannot be understood; guessing would drop protection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("deal parameters ask for encryption or secrets but cannot be understood: {reason}; sign a new request order")]
pub struct DealParamsError {
    reason: String,
}

impl DealParams {
    /// Reads the `params` text of a deal.
    pub fn parse(text: &str) -> Result<Self, DealParamsError> {
        Self::parse_with_report(text).map(|(params, _)| params)
    }

    /// As [`Self::parse`], and says what the old service would have made of the text.
    pub fn parse_with_report(text: &str) -> Result<(Self, LegacyReading), DealParamsError> {
        let read = first_value(text).and_then(|value| match value {
            Value::Object(members) => Ok(Some(members)),
            Value::Null => Ok(None),
            _ => Err("not a JSON object".to_owned()),
        });
        let because = match read {
            Ok(None) => return Ok((Self::default(), LegacyReading::NoTask)),
            Ok(Some(members)) => match Self::from_members(&members) {
                Ok(params) => return Ok((params, legacy_reading_of(&members))),
                Err(reason) => reason,
            },
            Err(reason) => reason,
        };
        if [RESULT_ENCRYPTION, SECRETS].iter().any(|name| text.contains(name)) {
            return Err(DealParamsError { reason: because });
        }
        let whole = Self { args: Some(text.to_owned()), ..Self::default() };
        Ok((whole, LegacyReading::WholeTextAsArguments { because }))
    }

    fn from_members(members: &Map<String, Value>) -> Result<Self, String> {
        let text = |name: &str| member(members, name).map_or(Ok(None), |value| as_text(name, value).map(Some));
        let input_files = match member(members, INPUT_FILES) {
            None => Vec::new(),
            Some(Value::Array(files)) => {
                files.iter().map(|file| as_text(INPUT_FILES, file)).collect::<Result<_, _>>()?
            }
            Some(_) => return Err(format!("{INPUT_FILES} is not a list of URLs")),
        };
        let secrets = match member(members, SECRETS) {
            None => BTreeMap::new(),
            Some(Value::Object(secrets)) => secrets
                .iter()
                .map(|(index, name)| Ok((index.clone(), as_text(SECRETS, name)?)))
                .collect::<Result<_, String>>()?,
            Some(_) => return Err(format!("{SECRETS} is not an object of index and name")),
        };
        let result_encryption = match member(members, RESULT_ENCRYPTION) {
            None => false,
            Some(Value::Bool(wanted)) => *wanted,
            Some(Value::String(word)) if word == "true" => true,
            Some(Value::String(word)) if word == "false" => false,
            Some(_) => return Err(format!("{RESULT_ENCRYPTION} is neither true nor false")),
        };
        Ok(Self {
            args: text(ARGS)?,
            input_files,
            result_encryption,
            storage_provider: text(STORAGE_PROVIDER)?,
            storage_proxy: text(STORAGE_PROXY)?,
            secrets,
            bulk_cid: text(BULK_CID)?.filter(|cid| !cid.trim().is_empty()),
        })
    }
}

/// The first JSON value of the text; what follows it is ignored, as the old parser did.
fn first_value(text: &str) -> Result<Value, String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(format!("not JSON: {error}")),
        None => Err("not JSON: empty text".to_owned()),
    }
}

/// A member that is there and not `null`.
fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.get(name).filter(|value| !value.is_null())
}

/// Text, or a number or truth value written as text, as the old parser coerced them.
fn as_text(name: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(word) => Ok(word.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(format!("{name} is not a text")),
    }
}

fn legacy_reading_of(members: &Map<String, Value>) -> LegacyReading {
    match members.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        Some(unknown) => LegacyReading::WholeTextAsArguments { because: format!("unknown member {unknown}") },
        None => LegacyReading::Same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secrets(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(index, name)| ((*index).to_owned(), (*name).to_owned())).collect()
    }

    #[test]
    fn the_text_of_the_stock_sdk_is_read_whole() {
        let text = r#"{"iexec_secrets":{"1":"name-a"},"iexec_result_storage_provider":"ipfs","iexec_result_encryption":true,"iexec_input_files":["https://a.b/c"],"iexec_args":"x y"}"#;
        let expected = DealParams {
            args: Some("x y".into()),
            input_files: vec!["https://a.b/c".into()],
            result_encryption: true,
            storage_provider: Some("ipfs".into()),
            storage_proxy: None,
            secrets: secrets(&[("1", "name-a")]),
            bulk_cid: None,
        };
        assert_eq!(DealParams::parse_with_report(text), Ok((expected, LegacyReading::Same)));
    }

    #[test]
    fn an_unknown_member_no_longer_drops_encryption_and_secrets() {
        let text = r#"{"iexec_secrets":{"1":"a"},"iexec_result_encryption":true,"iexec_developer_logger":true}"#;
        let (params, legacy) = DealParams::parse_with_report(text).unwrap();
        assert!(params.result_encryption);
        assert_eq!(params.secrets, secrets(&[("1", "a")]));
        assert_eq!(
            legacy,
            LegacyReading::WholeTextAsArguments { because: "unknown member iexec_developer_logger".into() }
        );
    }

    #[test]
    fn text_that_asks_for_protection_and_cannot_be_understood_is_refused() {
        for text in [
            r#"{"iexec_result_encryption":"yes"}"#,
            r#"{"iexec_result_encryption":1}"#,
            r#"{"iexec_secrets":["a"]}"#,
            r#"{"iexec_secrets":{"1":{"name":"a"}}}"#,
            r#"{"iexec_secrets":{"1":"a"},"iexec_input_files":"https://a.b/c"}"#,
            r#"{"iexec_secrets":{"1":"a""#,
            r#"["iexec_result_encryption"]"#,
        ] {
            assert!(DealParams::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn other_text_is_the_arguments_of_the_app_as_before() {
        for text in ["", "x y --flag", "42", r#"{"iexec_args":["a"]}"#, r#"{"iexec_input_files":"u"}"#, "{"] {
            let (params, legacy) = DealParams::parse_with_report(text).unwrap();
            assert_eq!(params, DealParams { args: Some(text.into()), ..DealParams::default() }, "{text}");
            assert!(matches!(legacy, LegacyReading::WholeTextAsArguments { .. }), "{text}");
        }
    }

    #[test]
    fn the_leniencies_of_the_old_parser_are_kept() {
        let text = r#" {"iexec_args":7,"iexec_args":null,"iexec_result_encryption":"true","iexec_input_files":null,"bulk_cid":" "} trailing"#;
        let expected = DealParams { result_encryption: true, ..DealParams::default() };
        assert_eq!(DealParams::parse(text), Ok(expected));
        assert_eq!(DealParams::parse(r#"{"iexec_args":7}"#).unwrap().args.as_deref(), Some("7"));
        assert_eq!(DealParams::parse_with_report("null"), Ok((DealParams::default(), LegacyReading::NoTask)));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = DealParams::parse_with_report(&text);
        }
    }
}
