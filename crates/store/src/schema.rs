//! Tables and their migrations. The version is SQLite's `user_version`; `application_id` tells our files from others.
//!
//! A migration that was released is never changed: another one is appended.

use rusqlite::Connection;

/// `application_id` of our databases: the text `STRG`.
pub(crate) const APPLICATION_ID: i32 = 0x5354_5247;

/// Newest schema that this program knows.
pub(crate) const VERSION: u32 = 2;

/// What turns schema `n` into schema `n + 1`, from the empty file on.
const MIGRATIONS: [&str; VERSION as usize] = [include_str!("schema/1.sql"), include_str!("schema/2.sql")];

/// What a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No table was ever made in it.
    Empty,
    /// A database of ours with this schema version, not newer than [`VERSION`].
    Store(u32),
    /// A database of ours that a newer program wrote.
    Newer(u32),
    /// Something else.
    Foreign,
}

/// Looks without changing anything.
pub(crate) fn find(connection: &Connection) -> rusqlite::Result<Found> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let looked = (|| {
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((tables, number("application_id")?, number("user_version")?))
    })();
    match looked {
        Ok((0, 0, 0)) => Ok(Found::Empty),
        Ok((_, APPLICATION_ID, version)) => Ok(match u32::try_from(version) {
            Ok(version @ 1..=VERSION) => Found::Store(version),
            Ok(version) if version > VERSION => Found::Newer(version),
            _ => Found::Foreign,
        }),
        Ok(_) => Ok(Found::Foreign),
        Err(error) if rusqlite::Error::sqlite_error_code(&error) == Some(rusqlite::ErrorCode::NotADatabase) => {
            Ok(Found::Foreign)
        }
        Err(error) => Err(error),
    }
}

/// Brings a database from schema `from` (0: empty) to [`VERSION`]. Runs inside the caller's transaction, so that a
/// crash leaves the old schema whole.
pub(crate) fn migrate(connection: &Connection, from: u32) -> rusqlite::Result<()> {
    for step in &MIGRATIONS[from as usize..] {
        connection.execute_batch(step)?;
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(connection: &Connection) -> Vec<(String, String)> {
        let mut statement = connection
            .prepare(
                "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY 1",
            )
            .unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_database_of_any_older_schema_becomes_what_a_new_one_is() {
        let new = Connection::open_in_memory().unwrap();
        assert_eq!(find(&new).unwrap(), Found::Empty);
        migrate(&new, 0).unwrap();
        assert_eq!(find(&new).unwrap(), Found::Store(VERSION));
        for older in 1..VERSION {
            let old = Connection::open_in_memory().unwrap();
            for step in &MIGRATIONS[..older as usize] {
                old.execute_batch(step).unwrap();
            }
            old.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
            old.pragma_update(None, "user_version", older).unwrap();
            assert_eq!(find(&old).unwrap(), Found::Store(older));
            migrate(&old, older).unwrap();
            assert_eq!(find(&old).unwrap(), Found::Store(VERSION), "from {older}");
            assert_eq!(tables(&old), tables(&new), "from {older}");
        }
    }

    #[test]
    fn files_are_told_apart_without_changing_them() {
        for (statements, expected) in [
            ("", Found::Empty),
            ("CREATE TABLE other (name TEXT)", Found::Foreign),
            ("PRAGMA user_version = 1", Found::Foreign),
            ("PRAGMA application_id = 1; PRAGMA user_version = 1", Found::Foreign),
            ("PRAGMA application_id = 1398035015", Found::Foreign),
            ("PRAGMA application_id = 1398035015; PRAGMA user_version = -1", Found::Foreign),
            ("PRAGMA application_id = 1398035015; PRAGMA user_version = 1", Found::Store(1)),
            ("PRAGMA application_id = 1398035015; PRAGMA user_version = 1000", Found::Newer(1000)),
        ] {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch(statements).unwrap();
            assert_eq!(find(&connection).unwrap(), expected, "{statements}");
        }
    }
}
