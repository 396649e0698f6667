//! Deal parameters and enclave configurations: what a person means, and the text that stands on chain for it.

use super::random::Random;
use super::scenario::Code;

/// Names of requester secrets that can exist. The last has as many characters as a name may have.
pub(super) const NAMES: [&str; 4] =
    ["a", "A", "b-2_C", "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"];
/// Names that cannot: none, another alphabet, white space, one character too many.
const NO_NAMES: [&str; 4] = ["", "é", "a b", "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"];
/// Indexes as the network's services agree on: Java integers above zero, in plain digits.
const NUMBERS: [&str; 4] = ["1", "2", "10", "2147483647"];
/// Indexes that Java does not read as such an integer, or of which there is a shorter spelling.
const NO_NUMBERS: [&str; 10] = ["0", "01", "+1", "-1", "1.0", "", "x", " 1", "2147483648", "4294967296"];
/// Input files with the names under which they are saved (vector A14).
pub(super) const FILES: [(&str, &str); 2] = [
    ("http://host/file1", "0xd4afc5e514196a391d04174cee09ff53688ba2aa987e208ec3936a0f4c4d9f4f"),
    ("http://host/file2", "0x4dc95e75e7b08d87fb30e270ca6d4390db107258f3f580088f45fce6ee39ec3f"),
];

/// One requester secret of a deal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wanted {
    pub(super) index: String,
    pub(super) name: String,
}

impl Wanted {
    pub(super) fn has_plain_index(&self) -> bool {
        NUMBERS.contains(&self.index.as_str())
    }

    pub(super) fn has_possible_name(&self) -> bool {
        NAMES.contains(&self.name.as_str())
    }
}

/// What a deal asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Meaning {
    /// Places in [`FILES`].
    pub(super) files: Vec<usize>,
    pub(super) encryption: bool,
    pub(super) provider: Option<String>,
    pub(super) proxy: Option<String>,
    /// Sorted by index.
    pub(super) secrets: Vec<Wanted>,
    pub(super) bulk: bool,
}

/// A parameter text. It means nothing when it asks for protection and cannot be understood.
#[derive(Clone, Debug)]
pub(super) struct ParamsText {
    pub(super) text: String,
    pub(super) meaning: Option<Meaning>,
}

impl ParamsText {
    /// Whether no check of parameters has anything to say against it.
    pub(super) fn is_plain(&self) -> bool {
        self.meaning.as_ref().is_some_and(|meaning| {
            meaning.secrets.iter().all(|wanted| wanted.has_plain_index() && wanted.has_possible_name())
        })
    }

    pub(super) fn random(random: &mut Random) -> Self {
        if random.one_in(10) { Self::odd(random) } else { Draft::default().with_members(random).finish(random) }
    }

    /// Texts that are no object of parameters.
    fn odd(random: &mut Random) -> Self {
        let (text, meaning) = random.pick(&[
            ("", true),
            ("x y --flag", true),
            ("42", true),
            ("null", true),
            ("{", true),
            ("[\"iexec_args\"]", true),
            ("{\"iexec_secrets\":{\"1\":\"a\"", false),
            ("[\"iexec_result_encryption\"]", false),
            ("iexec_result_encryption", false),
        ]);
        Self { text: text.to_owned(), meaning: meaning.then(Meaning::default) }
    }
}

/// A text in the making.
#[derive(Default)]
struct Draft {
    members: Vec<String>,
    meaning: Meaning,
    /// A member has a value that it cannot have.
    wrong: bool,
    /// The text speaks of encryption or secrets.
    protects: bool,
}

impl Draft {
    fn with_members(mut self, random: &mut Random) -> Self {
        if random.one_in(2) {
            let value = random.pick(&["\"x y\"", "7", "true", "null"]);
            self.say("iexec_args", value);
        }
        self.with_files(random).with_storage(random).with_encryption(random).with_secrets(random).with_rest(random)
    }

    fn say(&mut self, name: &str, value: &str) {
        self.members.push(format!("\"{name}\":{value}"));
    }

    fn with_files(mut self, random: &mut Random) -> Self {
        let (value, files): (_, &[usize]) = random.pick(&[
            ("", &[][..]),
            ("", &[]),
            ("null", &[]),
            ("[]", &[]),
            ("[\"http://host/file1\"]", &[0]),
            ("[\"http://host/file2\",\"http://host/file1\"]", &[1, 0]),
        ]);
        self.meaning.files = files.to_vec();
        if !value.is_empty() {
            self.say("iexec_input_files", value);
        }
        if random.one_in(60) {
            self.say("iexec_input_files", "\"http://host/file1\"");
            self.wrong = true;
        }
        self
    }

    fn with_storage(mut self, random: &mut Random) -> Self {
        let (value, provider) = random.pick(&[
            ("", None),
            ("null", None),
            ("\"ipfs\"", Some("ipfs")),
            ("\"dropbox\"", Some("dropbox")),
            ("\"Dropbox\"", Some("Dropbox")),
            ("\"\"", Some("")),
        ]);
        self.meaning.provider = provider.map(str::to_owned);
        if !value.is_empty() {
            self.say("iexec_result_storage_provider", value);
        }
        let (value, proxy) = random.pick(&[
            ("", None),
            ("", None),
            ("null", None),
            ("\"https://p\"", Some("https://p")),
            ("\"\"", Some("")),
        ]);
        self.meaning.proxy = proxy.map(str::to_owned);
        if !value.is_empty() {
            self.say("iexec_result_storage_proxy", value);
        }
        self
    }

    fn with_encryption(mut self, random: &mut Random) -> Self {
        let (value, encryption) = random.pick(&[
            ("", Some(false)),
            ("true", Some(true)),
            ("true", Some(true)),
            ("\"true\"", Some(true)),
            ("false", Some(false)),
            ("\"false\"", Some(false)),
            ("null", Some(false)),
        ]);
        let (value, encryption) = if random.one_in(30) {
            random.pick(&[("\"yes\"", None), ("1", None), ("[]", None)])
        } else {
            (value, encryption)
        };
        self.meaning.encryption = encryption.unwrap_or_default();
        self.wrong |= encryption.is_none();
        if !value.is_empty() {
            self.protects = true;
            self.say("iexec_result_encryption", value);
        }
        self
    }

    fn with_secrets(mut self, random: &mut Random) -> Self {
        if random.one_in(3) {
            return self;
        }
        self.protects = true;
        if random.one_in(30) {
            let value = random.pick(&["[]", "\"a\"", "{\"1\":{}}", "{\"1\":null}"]);
            self.wrong = true;
            self.say("iexec_secrets", value);
            return self;
        }
        let mut secrets: Vec<Wanted> = Vec::new();
        for _ in 0..random.below(4) {
            let index = if random.one_in(12) { random.pick(&NO_NUMBERS) } else { random.pick(&NUMBERS) };
            let name = if random.one_in(12) { random.pick(&NO_NAMES) } else { random.pick(&NAMES) };
            if secrets.iter().all(|wanted| wanted.index != index) {
                secrets.push(Wanted { index: index.to_owned(), name: name.to_owned() });
            }
        }
        let entries: Vec<_> = secrets.iter().map(|Wanted { index, name }| format!("\"{index}\":\"{name}\"")).collect();
        self.say("iexec_secrets", &format!("{{{}}}", entries.join(",")));
        secrets.sort();
        self.meaning.secrets = secrets;
        self
    }

    fn with_rest(mut self, random: &mut Random) -> Self {
        if random.one_in(4) {
            let (value, bulk) = random.pick(&[("\"Qm\"", true), ("7", true), ("\" \"", false), ("\"\"", false)]);
            self.meaning.bulk = bulk;
            self.say("bulk_cid", value);
        }
        if random.one_in(8) {
            self.say("iexec_developer_logger", "true");
        }
        self
    }

    fn finish(mut self, random: &mut Random) -> ParamsText {
        if !self.wrong {
            let turned = random.below(self.members.len() + 1);
            self.members.rotate_left(turned);
        }
        let end = random.pick(&["", "", " trailing"]);
        let text = format!("{{{}}}{end}", self.members.join(","));
        let meaning = match (self.wrong, self.protects) {
            (false, _) => Some(self.meaning),
            (true, false) => Some(Meaning::default()),
            (true, true) => None,
        };
        ParamsText { text, meaning }
    }
}

/// Why an SGX app has no usable configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    Unreadable,
    Invalid,
}

/// The `mrenclave` bytes of an app, and the code they name.
#[derive(Clone, Debug)]
pub(super) struct ConfigText {
    pub(super) text: String,
    pub(super) meaning: Result<Code, Unusable>,
}

/// Usable configurations of each code and framework, and every way not to be one.
pub(super) fn configs() -> Vec<ConfigText> {
    let mut configs = Vec::new();
    for code in 0..3 {
        let print = format!("{code:02x}").repeat(32);
        for text in [
            format!(
                r#"{{"framework":"SCONE","version":"v5","entrypoint":"/app","heapSize":1,"fingerprint":"{print}"}}"#
            ),
            format!(
                r#"{{"provider":"SCONE","version":"v5","entrypoint":"/app","heapSize":1,"fingerprint":"0x{print}"}}"#
            ),
            format!(r#"{{"framework":"GRAMINE","version":"v0","fingerprint":"{print}"}}"#),
        ] {
            configs.push(ConfigText { text, meaning: Ok(code) });
        }
    }
    let print = "01".repeat(32);
    for text in [
        String::new(),
        "[]".to_owned(),
        "v5|/app|1|01".to_owned(),
        format!(r#"{{"framework":"scone","version":"v5","entrypoint":"/app","heapSize":1,"fingerprint":"{print}"}}"#),
        format!(
            r#"{{"framework":"SCONE","version":"v5","entrypoint":"/app","heapSize":"big","fingerprint":"{print}"}}"#
        ),
        format!(
            r#"{{"framework":"SCONE","version":"v5","entrypoint":"/app","heapSize":1,"fingerprint":"{print}","x":1}}"#
        ),
    ] {
        configs.push(ConfigText { text, meaning: Err(Unusable::Unreadable) });
    }
    for text in [
        format!(r#"{{"framework":"SCONE","version":"v5","entrypoint":"","heapSize":1,"fingerprint":"{print}"}}"#),
        format!(r#"{{"framework":"SCONE","version":"v5","entrypoint":"/app","heapSize":0,"fingerprint":"{print}"}}"#),
        format!(r#"{{"framework":"GRAMINE","version":"v0","fingerprint":"{}"}}"#, &print[2..]),
        r#"{"framework":"GRAMINE","version":"v0"}"#.to_owned(),
    ] {
        configs.push(ConfigText { text, meaning: Err(Unusable::Invalid) });
    }
    configs
}
