//! Takes confidential things from the outside: the value of a secret, a wallet's password, a private key. From a file,
//! from standard input or from a hidden prompt; never from an argument, which other users of the machine could see.
//!
//! Buffers wipe themselves. They are allocated once, so that growing leaves no copies behind.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use strongroom_protocol::SecretValue;
use strongroom_protocol::secret::{MAX_SECRET_BYTES, SecretTooLarge};
use zeroize::Zeroizing;

use crate::arguments::PasswordSource;

/// Longest password or private key file, in bytes: a wallet file fits.
const MAX_SHORT_BYTES: usize = 64 * 1024;

/// Why a confidential thing could not be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretInputError {
    /// The file or standard input cannot be read.
    #[error("cannot read {what}")]
    Unreadable {
        /// The file, or "standard input".
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The prompt failed.
    #[error("cannot ask on the terminal")]
    Prompt(#[source] io::Error),
    /// There is nobody to ask.
    #[error("there is no terminal to ask for {what} on")]
    NoTerminal {
        /// What would have been asked.
        what: &'static str,
    },
    /// Two things were to come from standard input.
    #[error("{first} and {second} cannot both come from standard input")]
    StandardInputTwice {
        /// The one.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A value or key was typed as an argument.
    #[error("{what} must not be an argument: other users of this machine and your shell's history can see it")]
    Misplaced {
        /// What was typed.
        what: &'static str,
    },
    /// More than [`MAX_SECRET_BYTES`].
    #[error(transparent)]
    TooLarge(SecretTooLarge),
    /// A password or private key that is too long to be one.
    #[error("{what} is too long to be one")]
    TooLong {
        /// What it was to be.
        what: &'static str,
    },
    /// Not UTF-8. The service takes secrets as text, and a stock one would change other bytes.
    #[error("{what} is not UTF-8 text")]
    NotText {
        /// What it was to be.
        what: &'static str,
    },
    /// Nothing but white space. A stock service would store an empty text, for good.
    #[error("the secret is empty")]
    Blank,
    /// No character at all.
    #[error("the password is empty")]
    EmptyPassword,
    /// A new password, typed twice, differently.
    #[error("the two passwords differ")]
    PasswordsDiffer,
}

/// Where something confidential comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    File(PathBuf),
    StandardInput,
    Prompt,
}

impl Source {
    /// What `--from-file` and the terminal say: a file, standard input (`-`, or when it is no terminal), else a prompt.
    fn chosen(from_file: Option<&Path>) -> Self {
        match from_file {
            Some(path) if path == Path::new("-") => Self::StandardInput,
            Some(path) => Self::File(path.to_owned()),
            None if io::stdin().is_terminal() => Self::Prompt,
            None => Self::StandardInput,
        }
    }

    /// The source of `what`, which must not be standard input when the password already comes from there.
    pub(crate) fn beside_password(
        what: &'static str,
        from_file: Option<&Path>,
        password: &PasswordSource,
    ) -> Result<Self, SecretInputError> {
        let source = Self::chosen(from_file);
        if source == Self::StandardInput && password.password_stdin {
            return Err(SecretInputError::StandardInputTwice { first: what, second: "the password" });
        }
        Ok(source)
    }
}

/// A secret's value, and whether its last byte is a line break (which is often not meant).
#[derive(Debug)]
pub(crate) struct SecretInput {
    pub(crate) value: SecretValue,
    pub(crate) ends_with_line_break: bool,
}

/// Reads the value of a secret. From a file or standard input byte for byte, less one final line break when `trim` says
/// so; what is typed at the prompt ends before the line break.
pub(crate) fn read_value(source: &Source, trim: bool) -> Result<SecretInput, SecretInputError> {
    // Two more than allowed: the value may be as large as allowed before its final CR LF is dropped.
    let mut bytes = match source {
        Source::File(path) => read_file(path, MAX_SECRET_BYTES + 2)?,
        Source::StandardInput => read_standard_input(MAX_SECRET_BYTES + 2)?,
        Source::Prompt => ask("the secret", "Secret (not shown): ")?,
    };
    if trim {
        drop_line_break(&mut bytes);
    }
    if bytes.len() > MAX_SECRET_BYTES {
        return Err(SecretInputError::TooLarge(SecretTooLarge));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| SecretInputError::NotText { what: "the secret" })?;
    if text.trim().is_empty() {
        return Err(SecretInputError::Blank);
    }
    let ends_with_line_break = bytes.last() == Some(&b'\n');
    let value = SecretValue::new(std::mem::take(&mut *bytes)).map_err(SecretInputError::TooLarge)?;
    Ok(SecretInput { value, ends_with_line_break })
}

/// Reads the password of an existing wallet.
pub(crate) fn read_password(source: &PasswordSource, prompt: &str) -> Result<Zeroizing<String>, SecretInputError> {
    match given_password(source)? {
        Some(password) => Ok(password),
        None => text_of("the password", &ask("the password", prompt)?),
    }
}

/// Reads the password of a new wallet; at a prompt it is asked twice. An empty one is refused.
pub(crate) fn read_new_password(source: &PasswordSource) -> Result<Zeroizing<String>, SecretInputError> {
    let password = if let Some(password) = given_password(source)? {
        password
    } else {
        let first = ask("the password", "New password (not shown): ")?;
        let second = ask("the password", "The same again: ")?;
        if *first != *second {
            return Err(SecretInputError::PasswordsDiffer);
        }
        text_of("the password", &first)?
    };
    if password.is_empty() {
        return Err(SecretInputError::EmptyPassword);
    }
    Ok(password)
}

/// Reads a private key or a wallet file, to be imported.
pub(crate) fn read_private_key(source: &Source) -> Result<Zeroizing<String>, SecretInputError> {
    const WHAT: &str = "the private key";
    let bytes = match source {
        Source::File(path) => read_file(path, MAX_SHORT_BYTES)?,
        Source::StandardInput => read_standard_input(MAX_SHORT_BYTES)?,
        Source::Prompt => ask(WHAT, "Private key (not shown): ")?,
    };
    short(WHAT, &bytes)
}

/// Fails when something confidential was typed as an argument. It is not repeated.
pub(crate) fn refuse_misplaced(what: &'static str, misplaced: &[std::ffi::OsString]) -> Result<(), SecretInputError> {
    if misplaced.is_empty() { Ok(()) } else { Err(SecretInputError::Misplaced { what }) }
}

fn given_password(source: &PasswordSource) -> Result<Option<Zeroizing<String>>, SecretInputError> {
    let mut bytes = match (&source.password_file, source.password_stdin) {
        (_, true) => read_standard_input(MAX_SHORT_BYTES)?,
        (Some(path), false) => read_file(path, MAX_SHORT_BYTES)?,
        (None, false) => return Ok(None),
    };
    drop_line_break(&mut bytes);
    short("the password", &bytes).map(Some)
}

fn short(what: &'static str, bytes: &[u8]) -> Result<Zeroizing<String>, SecretInputError> {
    if bytes.len() > MAX_SHORT_BYTES {
        return Err(SecretInputError::TooLong { what });
    }
    text_of(what, bytes)
}

fn text_of(what: &'static str, bytes: &[u8]) -> Result<Zeroizing<String>, SecretInputError> {
    let text = std::str::from_utf8(bytes).map_err(|_| SecretInputError::NotText { what })?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn drop_line_break(bytes: &mut Vec<u8>) {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
}

/// Asks on the terminal without showing what is typed. Only when a person seems to be there: under cron or in a pipeline
/// a question would wait for ever.
fn ask(what: &'static str, prompt: &str) -> Result<Zeroizing<Vec<u8>>, SecretInputError> {
    if !io::stdin().is_terminal() && !io::stderr().is_terminal() {
        return Err(SecretInputError::NoTerminal { what });
    }
    let typed = rpassword::prompt_password(prompt).map_err(SecretInputError::Prompt)?;
    Ok(Zeroizing::new(typed.into_bytes()))
}

fn read_file(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, SecretInputError> {
    let unreadable = |source| SecretInputError::Unreadable { what: path.display().to_string(), source };
    read_at_most(most, &mut File::open(path).map_err(unreadable)?).map_err(unreadable)
}

fn read_standard_input(most: usize) -> Result<Zeroizing<Vec<u8>>, SecretInputError> {
    read_at_most(most, &mut io::stdin().lock())
        .map_err(|source| SecretInputError::Unreadable { what: "standard input".to_owned(), source })
}

/// Reads everything, or one byte more than `most` if there is more.
fn read_at_most(most: usize, input: &mut impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(vec![0; most + 1]);
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(content: &[u8]) -> (tempfile::NamedTempFile, Source) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let source = Source::File(file.path().to_owned());
        (file, source)
    }

    fn value(content: &[u8], trim: bool) -> Result<Vec<u8>, SecretInputError> {
        let (_file, source) = file(content);
        read_value(&source, trim).map(|input| input.value.expose_secret().to_vec())
    }

    #[test]
    fn a_file_is_taken_byte_for_byte_unless_one_line_break_is_to_go() {
        for (content, trimmed) in
            [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a\r", "a\r"), (" a ", " a "), ("\na", "\na")]
        {
            assert_eq!(value(content.as_bytes(), false).unwrap(), content.as_bytes(), "{content:?}");
            assert_eq!(value(content.as_bytes(), true).unwrap(), trimmed.as_bytes(), "{content:?}");
        }
    }

    #[test]
    fn a_final_line_break_that_stays_is_reported() {
        for (content, trim, expected) in [("a\n", false, true), ("a\n", true, false), ("a", false, false)] {
            let (_file, source) = file(content.as_bytes());
            assert_eq!(read_value(&source, trim).unwrap().ends_with_line_break, expected, "{content:?}");
        }
    }

    #[test]
    fn a_value_may_be_as_large_as_promised_and_no_larger() {
        let largest = vec![b'x'; MAX_SECRET_BYTES];
        assert_eq!(value(&largest, false).unwrap().len(), MAX_SECRET_BYTES);
        let with_break = [largest.as_slice(), b"\r\n"].concat();
        assert_eq!(value(&with_break, true).unwrap().len(), MAX_SECRET_BYTES);
        assert!(matches!(value(&with_break, false), Err(SecretInputError::TooLarge(_))));
        assert!(matches!(value(&vec![b'x'; MAX_SECRET_BYTES * 2], true), Err(SecretInputError::TooLarge(_))));
    }

    #[test]
    fn what_a_service_would_change_or_lose_is_refused() {
        assert!(matches!(value(b"a\xff", false), Err(SecretInputError::NotText { .. })));
        for blank in ["", " ", "\n", "\t \r\n"] {
            assert!(matches!(value(blank.as_bytes(), false), Err(SecretInputError::Blank)), "{blank:?}");
        }
    }

    #[test]
    fn a_password_file_loses_one_line_break_and_nothing_else() {
        for (content, expected) in [("p", "p"), ("p\n", "p"), ("p\r\n", "p"), (" p \n\n", " p \n")] {
            let (file, _) = file(content.as_bytes());
            let source = PasswordSource { password_file: Some(file.path().to_owned()), password_stdin: false };
            assert_eq!(read_password(&source, "").unwrap().as_str(), expected, "{content:?}");
        }
    }

    #[test]
    fn passwords_are_bounded_text_and_new_ones_are_not_empty() {
        let read = |content: &[u8]| {
            let (file, _) = file(content);
            let source = PasswordSource { password_file: Some(file.path().to_owned()), password_stdin: false };
            read_new_password(&source)
        };
        assert!(matches!(read(b"\n"), Err(SecretInputError::EmptyPassword)));
        assert!(matches!(read(b"\xff"), Err(SecretInputError::NotText { .. })));
        assert!(matches!(read(&vec![b'x'; MAX_SHORT_BYTES + 1]), Err(SecretInputError::TooLong { .. })));
    }

    #[test]
    fn standard_input_gives_one_thing_only() {
        let password = PasswordSource { password_file: None, password_stdin: true };
        let taken = Source::beside_password("the secret", Some(Path::new("-")), &password);
        assert!(matches!(taken, Err(SecretInputError::StandardInputTwice { .. })));
        let file = Source::beside_password("the secret", Some(Path::new("f")), &password);
        assert_eq!(file.unwrap(), Source::File("f".into()));
    }
}
