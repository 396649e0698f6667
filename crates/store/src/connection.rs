//! Opening SQLite connections with the settings on which durability and privacy depend.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

/// How long a connection waits for another process that holds the lock it needs.
const BUSY: Duration = Duration::from_secs(5);

/// Opens an existing file for reading and writing, changing nothing yet.
pub(crate) fn open_untouched(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE,
    )?;
    connection.busy_timeout(BUSY)?;
    // A changed schema must not call functions with side effects; nothing but ciphertext goes to temporary storage, and
    // even that stays in memory.
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(32);
    // A plan does not depend on the values that are bound: else each new value has its statement prepared anew.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// The settings of the one connection that writes.
pub(crate) fn prepare_writer(connection: &Connection) -> rusqlite::Result<()> {
    prepare_reader(connection)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Deleted keys are overwritten, not only forgotten.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "cache_size", -16 * 1024)?;
    // After a burst the log shrinks to this many bytes once it is reused.
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)
}

/// The settings of every connection: write-ahead log, synced at each commit, never checkpointed by a commit.
pub(crate) fn prepare_reader(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))
}

/// Opens a connection for queries, or for a checkpoint.
pub(crate) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open_untouched(path)?;
    prepare_reader(&connection)?;
    Ok(connection)
}
