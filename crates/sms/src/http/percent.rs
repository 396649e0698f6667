//! Percent-encoded texts of paths and queries.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Whether the HTTP layer of the old service lets a path through: well-formed escapes of UTF-8, and no escape that hides
/// a separator or a zero byte.
pub(super) fn is_acceptable_path(path: &str) -> bool {
    let hidden = |hex: &str| ["2f", "5c", "00"].iter().any(|escape| hex.eq_ignore_ascii_case(escape));
    is_well_escaped(path)
        && path.split('%').skip(1).all(|rest| !rest.get(..2).is_some_and(hidden))
        && percent_decode_str(path).decode_utf8().is_ok()
}

/// The value of a query parameter, decoded; none if it is absent. Values of one name are joined with commas, and what is
/// not well escaped is left out, both as the old service did.
pub(super) fn query_parameter(query: Option<&str>, name: &str) -> Option<String> {
    let values: Vec<Cow<'_, str>> = query?
        .split('&')
        .filter(|pair| is_well_escaped(pair))
        .flat_map(|pair| url::form_urlencoded::parse(pair.as_bytes()))
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value)
        .collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn is_well_escaped(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|rest| rest.get(..2).is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_that_hide_separators_or_are_malformed_are_refused_in_paths() {
        for path in ["/apps/0x1/secrets", "/requesters/a%20b", "/a%C3%A9", "/%252F"] {
            assert!(is_acceptable_path(path), "{path}");
        }
        for path in ["/a%2Fb", "/a%2fb", "/a%5Cb", "/a%00", "/a%zz", "/a%2", "/a%", "/a%ff", "/%é"] {
            assert!(!is_acceptable_path(path), "{path}");
        }
    }

    #[test]
    fn query_parameters_are_decoded_joined_and_dropped_as_before() {
        for (query, expected) in [
            ("a=1", Some("1")),
            ("b=2&a=x+y%C3%A9", Some("x yé")),
            ("a=1&a=2", Some("1,2")),
            ("a=", Some("")),
            ("a", Some("")),
            ("a=%zz", None),
            ("b=1", None),
            ("A=1", None),
            ("", None),
        ] {
            assert_eq!(query_parameter(Some(query), "a").as_deref(), expected, "{query}");
        }
        assert_eq!(query_parameter(None, "a"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in ".*", name in ".*") {
            let _ = is_acceptable_path(&text);
            let _ = query_parameter(Some(&text), &name);
        }

        #[test]
        fn whatever_was_encoded_is_decoded(value in ".*", name in "[a-zA-Z]{1,20}") {
            let query = url::form_urlencoded::Serializer::new(String::new()).append_pair(&name, &value).finish();
            prop_assert_eq!(query_parameter(Some(&query), &name), Some(value));
        }
    }
}
