//! The arguments of an app, split from the one text of a deal as the workers of the network have always split it (Maven
//! `translateCommandline`): at spaces; single and double quotes group and vanish; nothing is escaped or expanded. Pure.

/// The text has a quotation mark that nothing closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the arguments have a quotation mark without its partner; sign a request with balanced quotation marks")]
pub(crate) struct UnbalancedQuotes;

/// Splits `text`.
pub(crate) fn split(text: &str) -> Result<Vec<String>, UnbalancedQuotes> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut was_quoted = false;
    for character in text.chars() {
        match (quote, character) {
            (Some(open), character) if open == character => {
                quote = None;
                was_quoted = true;
            }
            (Some(_), character) => word.push(character),
            (None, '\'' | '"') => quote = Some(character),
            (None, ' ') => {
                if was_quoted || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                was_quoted = false;
            }
            (None, character) => {
                word.push(character);
                was_quoted = false;
            }
        }
    }
    if quote.is_some() {
        return Err(UnbalancedQuotes);
    }
    if was_quoted || !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_split_as_workers_always_did() {
        for (text, words) in [
            ("", vec![]),
            ("  ", vec![]),
            ("a b", vec!["a", "b"]),
            (" a   b ", vec!["a", "b"]),
            ("'a b' c", vec!["a b", "c"]),
            (r#"--name="it's me" x"#, vec!["--name=it's me", "x"]),
            ("a '' b", vec!["a", "", "b"]),
            (r"a\ b $HOME", vec![r"a\", "b", "$HOME"]),
            ("a\tb", vec!["a\tb"]),
        ] {
            assert_eq!(split(text).unwrap(), words, "{text:?}");
        }
    }

    #[test]
    fn an_open_quotation_mark_is_an_error() {
        assert_eq!(split("a 'b"), Err(UnbalancedQuotes));
        assert_eq!(split("a \"b'"), Err(UnbalancedQuotes));
    }
}
