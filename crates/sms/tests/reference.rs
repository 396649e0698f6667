//! `docs/reference/sms-settings.md` and `http-api.md` say what the code says.
//! `UPDATE_EXPECT=1 cargo test -p strongroom-sms --test reference` writes them anew.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::fmt::Write as _;

use expect_test::expect_file;
use serde_json::Value;
use strongroom_sms::config::KEYS;

const OPENAPI: &str = include_str!("../src/http/openapi.json");
const GENERATED: &str = "<!-- Written by `UPDATE_EXPECT=1 cargo test -p strongroom-sms --test reference`. -->\n";

/// A cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[test]
fn the_settings_page_has_every_setting() {
    let mut page = format!("{GENERATED}# Settings of strongroom-sms\n\n");
    page.push_str(
        "In the file, a table per part before the dot; defaults stand in the\n[sample file](../strongroom-sms.toml).\n",
    );
    page.push_str("A variable replaces the file; names of the old service are read when the new one is not set.\n\n");
    page.push_str("| Setting | Variable | Old variable | Meaning |\n| --- | --- | --- | --- |\n");
    for key in KEYS {
        let old = key.old_variable.map_or_else(String::new, |name| format!("`{name}`"));
        writeln!(page, "| `{}` | `{}` | {old} | {} |", key.path, key.variable(), cell(key.meaning)).unwrap();
    }
    expect_file!["../../../docs/reference/sms-settings.md"].assert_eq(&page);
}

#[test]
fn the_http_page_has_every_route() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut page = format!("{GENERATED}# HTTP interface of strongroom-sms\n\n");
    page.push_str("The service itself shows this as OpenAPI at `/v3/api-docs` and as a page at `/swagger-ui`. What `/v1/releases` carries is in\n");
    page.push_str("[release-protocol.md](release-protocol.md).\n");
    for tag in document["tags"].as_array().unwrap() {
        let tag = tag["name"].as_str().unwrap();
        writeln!(page, "\n## {tag}").unwrap();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                if operation["tags"][0] == tag {
                    page.push_str(&operation_text(&document, method, path, operation));
                }
            }
        }
    }
    expect_file!["../../../docs/reference/http-api.md"].assert_eq(&page);
}

/// A part of the document, through a reference to its components if it is one.
fn resolved<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    part["$ref"].as_str().map_or(part, |link| document.pointer(link.trim_start_matches('#')).unwrap())
}

fn operation_text(document: &Value, method: &str, path: &str, operation: &Value) -> String {
    let mut text = format!("\n### `{} {path}`\n\n{}.\n", method.to_uppercase(), operation["summary"].as_str().unwrap());
    if let Some(description) = operation["description"].as_str() {
        writeln!(text, "{description}").unwrap();
    }
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !parameters.is_empty() {
        text.push_str("\n| Parameter | In | Meaning |\n| --- | --- | --- |\n");
        for parameter in parameters.iter().map(|parameter| resolved(document, parameter)) {
            let word = |member: &str| parameter[member].as_str().unwrap_or_default();
            writeln!(text, "| `{}` | {} | {} |", word("name"), word("in"), cell(word("description"))).unwrap();
        }
    }
    text.push_str("\n| Status | Meaning |\n| --- | --- |\n");
    let mut answers: Vec<_> = operation["responses"].as_object().unwrap().iter().collect();
    answers.sort_by_key(|(status, _)| *status);
    for (status, answer) in answers {
        let meaning = resolved(document, answer)["description"].as_str().unwrap_or_default();
        writeln!(text, "| {status} | {} |", cell(meaning)).unwrap();
    }
    text
}
