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
