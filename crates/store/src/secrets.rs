//! The rows of secrets: statements and nothing else. Sealing happened before, decisions about replays are made here
//! because only inside the transaction the answer is final.

use rusqlite::{Connection, OptionalExtension, params};
use strongroom_protocol::{Address, SecretId, SecretKind};

use crate::envelope::{Binding, Epoch, SealedValue};
use crate::keys::SpentTag;

/// How many secrets of each kind are stored. Versions of one secret count once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecretCounts {
    /// Secrets of apps.
    pub app: u64,
    /// Named secrets of requesters.
    pub requester: u64,
    /// Keys of datasets.
    pub dataset: u64,
    /// Named secrets of accounts.
    pub account: u64,
}

impl SecretCounts {
    /// The count of one kind.
    pub fn of(&self, kind: SecretKind) -> u64 {
        match kind {
            SecretKind::App => self.app,
            SecretKind::Requester => self.requester,
            SecretKind::Dataset => self.dataset,
            SecretKind::Account => self.account,
        }
    }

    fn slot(&mut self, kind: SecretKind) -> &mut u64 {
        match kind {
            SecretKind::App => &mut self.app,
            SecretKind::Requester => &mut self.requester,
            SecretKind::Dataset => &mut self.dataset,
            SecretKind::Account => &mut self.account,
        }
    }
}

/// What a replacement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// The value is a new version now.
    Updated,
    /// The current version has this very value already.
    Unchanged,
}

/// Outcome of [`insert_first`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    Stored,
    AlreadyExists,
    /// The epoch under which the value was sealed was rotated away in the meantime: seal again.
    EpochGone,
}

/// Outcome of [`insert_next`] and [`spend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Stored,
    /// Another version or another use of the signature was committed first: look again.
    Overtaken,
    EpochGone,
}

/// One version as it is stored.
pub(crate) struct StoredVersion {
    pub(crate) row: i64,
    pub(crate) version: u32,
    pub(crate) epoch: Epoch,
    pub(crate) wrapped_key: Vec<u8>,
    pub(crate) ciphertext: Vec<u8>,
}

/// Adds the first version of a secret. `tag` is given for the kinds that can be replaced.
pub(crate) fn insert_first(
    transaction: &Connection,
    place: &Binding<'_>,
    sealed: &SealedValue,
    tag: Option<&SpentTag>,
) -> rusqlite::Result<Inserted> {
    if !epoch_exists(transaction, sealed.epoch)? {
        return Ok(Inserted::EpochGone);
    }
    let Some(row) = insert_version(transaction, place, sealed)? else {
        return Ok(Inserted::AlreadyExists);
    };
    if let Some(tag) = tag {
        insert_tag(transaction, tag, row)?;
    }
    transaction
        .prepare_cached("UPDATE secret_counts SET secrets = secrets + 1 WHERE kind = ?1")?
        .execute([place.kind])?;
    Ok(Inserted::Stored)
}

/// Adds the version that follows `place.version - 1`, unless something else was committed since the caller looked.
pub(crate) fn insert_next(
    transaction: &Connection,
    place: &Binding<'_>,
    sealed: &SealedValue,
    tag: &SpentTag,
) -> rusqlite::Result<Written> {
    if !epoch_exists(transaction, sealed.epoch)? {
        return Ok(Written::EpochGone);
    }
    if is_spent(transaction, tag)? {
        return Ok(Written::Overtaken);
    }
    let Some(row) = insert_version(transaction, place, sealed)? else {
        return Ok(Written::Overtaken);
    };
    insert_tag(transaction, tag, row)?;
    Ok(Written::Stored)
}

/// Remembers a signature over the value that the current version `row` holds already. Otherwise it could bring this
/// value back after the next replacement.
pub(crate) fn spend(
    transaction: &Connection,
    place: &Binding<'_>,
    row: i64,
    tag: &SpentTag,
) -> rusqlite::Result<Written> {
    if latest_row(transaction, place)? != Some(row) {
        return Ok(Written::Overtaken);
    }
    insert_tag(transaction, tag, row)?;
    Ok(Written::Stored)
}

pub(crate) fn exists(connection: &Connection, id: &SecretId) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM secret_versions WHERE kind = ?1 AND address = ?2 AND name = ?3 LIMIT 1")?
        .exists(params![id.kind() as u8, id.address().as_slice(), id.name()])
}

pub(crate) fn is_spent(connection: &Connection, tag: &SpentTag) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM spent_signatures WHERE tag = ?1")?.exists([tag])
}

/// The newest version of a secret.
pub(crate) fn latest(connection: &Connection, place: &Binding<'_>) -> rusqlite::Result<Option<StoredVersion>> {
    connection
        .prepare_cached(
            "SELECT v.id, v.version, k.epoch, k.wrapped_key, v.ciphertext
             FROM secret_versions v LEFT JOIN data_keys k ON k.version_id = v.id
             WHERE v.kind = ?1 AND v.address = ?2 AND v.name = ?3 ORDER BY v.version DESC LIMIT 1",
        )?
        .query_row(params![place.kind, place.address.as_slice(), place.name], stored_version)
        .optional()
}

/// The version `place.version` of a secret.
pub(crate) fn version(connection: &Connection, place: &Binding<'_>) -> rusqlite::Result<Option<StoredVersion>> {
    connection
        .prepare_cached(
            "SELECT v.id, v.version, k.epoch, k.wrapped_key, v.ciphertext
             FROM secret_versions v LEFT JOIN data_keys k ON k.version_id = v.id
             WHERE v.kind = ?1 AND v.address = ?2 AND v.name = ?3 AND v.version = ?4",
        )?
        .query_row(params![place.kind, place.address.as_slice(), place.name, place.version], stored_version)
        .optional()
}

/// The number of the newest version of a secret.
pub(crate) fn latest_version(connection: &Connection, place: &Binding<'_>) -> rusqlite::Result<Option<u32>> {
    connection
        .prepare_cached("SELECT max(version) FROM secret_versions WHERE kind = ?1 AND address = ?2 AND name = ?3")?
        .query_row(params![place.kind, place.address.as_slice(), place.name], |row| row.get(0))
}

fn stored_version(row: &rusqlite::Row<'_>) -> rusqlite::Result<StoredVersion> {
    Ok(StoredVersion {
        row: row.get(0)?,
        version: row.get(1)?,
        // A missing data key opens nothing, like a wrong one; no epoch is numbered 0.
        epoch: Epoch(row.get::<_, Option<i64>>(2)?.unwrap_or(0)),
        wrapped_key: row.get::<_, Option<Vec<u8>>>(3)?.unwrap_or_default(),
        ciphertext: row.get(4)?,
    })
}

pub(crate) fn counts(connection: &Connection) -> rusqlite::Result<SecretCounts> {
    by_kind(connection, "SELECT kind, secrets FROM secret_counts")
}

/// The same numbers as [`counts`], counted: reads the whole index.
pub(crate) fn recount(connection: &Connection) -> rusqlite::Result<SecretCounts> {
    by_kind(connection, "SELECT kind, count(*) FROM secret_versions WHERE version = 1 GROUP BY kind")
}

/// The address in a column; rows that hold anything else were not written by this program.
pub(crate) fn address_column(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Address> {
    row.get::<_, [u8; 20]>(column).map(Address::from)
}

fn by_kind(connection: &Connection, query: &str) -> rusqlite::Result<SecretCounts> {
    let mut counts = SecretCounts::default();
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let kind: u8 = row.get(0)?;
        if let Some(kind) = SecretKind::ALL.into_iter().find(|known| *known as u8 == kind) {
            *counts.slot(kind) = row.get::<_, i64>(1)?.unsigned_abs();
        }
    }
    Ok(counts)
}

fn epoch_exists(transaction: &Connection, epoch: Epoch) -> rusqlite::Result<bool> {
    transaction.prepare_cached("SELECT 1 FROM epochs WHERE epoch = ?1")?.exists([epoch.0])
}

fn latest_row(transaction: &Connection, place: &Binding<'_>) -> rusqlite::Result<Option<i64>> {
    transaction
        .prepare_cached(
            "SELECT id FROM secret_versions WHERE kind = ?1 AND address = ?2 AND name = ?3 ORDER BY version DESC LIMIT 1",
        )?
        .query_row(params![place.kind, place.address.as_slice(), place.name], |row| row.get(0))
        .optional()
}

/// `None` when the version exists already; nothing was written then.
fn insert_version(
    transaction: &Connection,
    place: &Binding<'_>,
    sealed: &SealedValue,
) -> rusqlite::Result<Option<i64>> {
    let inserted = transaction
        .prepare_cached(
            "INSERT INTO secret_versions (kind, address, name, version, ciphertext) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (kind, address, name, version) DO NOTHING",
        )?
        .execute(params![place.kind, place.address.as_slice(), place.name, place.version, sealed.ciphertext])?;
    if inserted == 0 {
        return Ok(None);
    }
    let row = transaction.last_insert_rowid();
    transaction
        .prepare_cached("INSERT INTO data_keys (version_id, epoch, wrapped_key) VALUES (?1, ?2, ?3)")?
        .execute(params![row, sealed.epoch.0, sealed.wrapped_key])?;
    Ok(Some(row))
}

fn insert_tag(transaction: &Connection, tag: &SpentTag, row: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT INTO spent_signatures (tag, version_id) VALUES (?1, ?2) ON CONFLICT (tag) DO NOTHING")?
        .execute(params![tag, row])?;
    Ok(())
}
