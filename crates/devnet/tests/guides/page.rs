//! A guide as commands and what they print. Pure.

/// Commands of a guide, and what it says they print.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) commands: String,
    pub(crate) expected: Option<String>,
    /// How the last of the commands ends.
    pub(crate) exit_code: u8,
}

/// Blocks fenced as `sh`, or `sh exits CODE`, each with the block fenced as `text` directly below it. Other blocks are for eyes only.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = page.lines();
    // Whether the line before ended a block of commands.
    let mut below_commands = false;
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else {
            below_commands = false;
            continue;
        };
        let content: String = lines.by_ref().take_while(|line| *line != "```").flat_map(|line| [line, "\n"]).collect();
        let exit_code =
            if kind == "sh" { Some(0) } else { kind.strip_prefix("sh exits ").map(|code| code.parse().unwrap()) };
        if let Some(exit_code) = exit_code {
            blocks.push(Block { commands: content, expected: None, exit_code });
        } else if let Some(last) = blocks.last_mut().filter(|_| kind == "text" && below_commands) {
            last.expected = Some(content);
        }
        below_commands = exit_code.is_some();
    }
    blocks
}

/// Whether a text is as expected, where `…` stands for anything.
pub(crate) fn is_like(text: &str, expected: &str) -> bool {
    let (text, expected) = (text.trim_end(), expected.trim_end());
    let mut parts = expected.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[test]
fn a_page_is_taken_apart() {
    let page = "# Title\n```console\n$ no\n```\n```sh\necho a\necho b\n```\n```text\na\nb\n```\nwords\n\n```sh exits 3\nc\n```\n\n```text\nlater\n```\n";
    let block = |commands: &str, expected: Option<&str>, exit_code| {
        let (commands, expected) = (commands.to_owned(), expected.map(str::to_owned));
        Block { commands, expected, exit_code }
    };
    assert_eq!(blocks(page), [block("echo a\necho b\n", Some("a\nb\n"), 0), block("c\n", None, 3)]);
}

#[test]
fn dots_stand_for_anything_and_nothing_else_does() {
    for (text, expected, like) in [
        ("a\nb\n", "a\nb", true),
        ("a\nb", "a\nc", false),
        ("app 0x12\n", "app 0x…", true),
        ("app 0x12 more", "app 0x…2", false),
        ("x\ny\nz", "…\nz", true),
        ("x\ny\nz", "x…z…z", false),
        ("ab", "a…ab", false),
        ("", "…", true),
    ] {
        assert_eq!(is_like(text, expected), like, "{text:?} {expected:?}");
    }
}
