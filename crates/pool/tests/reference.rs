//! `docs/reference/pool-settings.md` says what the sample file says, which holds the defaults of the types.
//! `UPDATE_EXPECT=1 cargo test -p strongroom-pool --test reference` writes it anew.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::fmt::Write as _;

use expect_test::expect_file;
use strongroom_pool::config::{SAMPLE, variable_of};

const HEAD: &str = "<!-- Written by `UPDATE_EXPECT=1 cargo test -p strongroom-pool --test reference`. -->
# Settings of strongroom-pool

In the file, a table per part before the last dot, as in the [sample file](../strongroom-pool.toml). A variable replaces the file;
lists are separated by commas there. What has no meaning here says all in its name; durations in `_ms` are milliseconds.
";

#[test]
fn the_settings_page_has_every_setting() {
    let mut page = HEAD.to_owned();
    let (mut table, mut meaning) = ("", Vec::new());
    for line in SAMPLE.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            meaning.push(comment);
        } else if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            table = name;
            meaning.clear();
            write!(page, "\n## `{table}`\n\n| Setting | Variable | Default | Meaning |\n| --- | --- | --- | --- |\n")
                .unwrap();
        } else if let Some((key, value)) = line.split_once(" = ") {
            let meaning = std::mem::take(&mut meaning).join(" ");
            let default = if meaning.starts_with("Required") { String::new() } else { format!("`{value}`") };
            let path = format!("{table}.{key}");
            let cell = meaning.replace('|', "\\|");
            writeln!(page, "| `{path}` | `{}` | {default} | {cell} |", variable_of(&path)).unwrap();
        } else {
            meaning.clear();
        }
    }
    expect_file!["../../../docs/reference/pool-settings.md"].assert_eq(&page);
}
