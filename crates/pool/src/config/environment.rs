//! The environment laid over the file. Which keys there are, and of which type, says the sample file.

use super::{Config, ConfigError, SAMPLE};

/// Dotted path and sample value of every key.
fn keys() -> Vec<(String, toml::Value)> {
    fn collect(prefix: &str, table: toml::Table, keys: &mut Vec<(String, toml::Value)>) {
        for (name, value) in table {
            let path = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            match value {
                toml::Value::Table(inner) => collect(&path, inner, keys),
                value => keys.push((path, value)),
            }
        }
    }
    let mut keys = Vec::new();
    // A test parses the sample.
    collect("", SAMPLE.parse().unwrap_or_default(), &mut keys);
    keys
}

/// The variable that replaces the setting with this dotted path.
pub fn variable_of(path: &str) -> String {
    format!("STRONGROOM_POOL_{}", path.to_uppercase().replace('.', "_"))
}

/// The variables, one per line, for `--help`.
pub fn describe_environment() -> String {
    let variables: Vec<_> = keys().iter().map(|(path, _)| format!("  {}  {path}", variable_of(path))).collect();
    variables.join("\n")
}

/// Puts the value of each variable that is set in the place of its key.
pub(super) fn overlay(
    mut table: toml::Table,
    variables: impl Fn(&str) -> Option<String>,
) -> Result<toml::Table, ConfigError> {
    for (path, sample) in keys() {
        let variable = variable_of(&path);
        let Some(text) = variables(&variable) else { continue };
        let wrong = |message: String| ConfigError::Environment { variable: variable.clone(), message };
        let value = value_like(&sample, &text).map_err(wrong)?;
        let mut alone = toml::Table::new();
        put(&mut alone, &path, value.clone());
        alone.try_into::<Config>().map_err(|error| wrong(error.message().to_owned()))?;
        put(&mut table, &path, value);
    }
    Ok(table)
}

fn value_like(sample: &toml::Value, text: &str) -> Result<toml::Value, String> {
    Ok(match sample {
        toml::Value::Integer(_) => toml::Value::Integer(text.trim().parse().map_err(|_| "is not a number")?),
        toml::Value::Boolean(_) => toml::Value::Boolean(text.trim().parse().map_err(|_| "is neither true nor false")?),
        toml::Value::Array(_) => toml::Value::Array(
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(|part| part.to_owned().into()).collect(),
        ),
        _ => toml::Value::String(text.to_owned()),
    })
}

/// Sets the dotted `path`; what stands at a table's name is a table, as the file was accepted before.
fn put(table: &mut toml::Table, path: &str, value: toml::Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((outer, inner)) => {
            let entry = table.entry(outer.to_owned()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let Some(nested) = entry.as_table_mut() {
                put(nested, inner, value);
            }
        }
    }
}
