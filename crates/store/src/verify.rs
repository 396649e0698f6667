//! Opens every stored version, looks at none of the values, and tells which do not open.

use std::sync::Arc;

use rusqlite::{Connection, Row, params};
use strongroom_protocol::{Address, SecretKind};

use crate::envelope::{self, Binding, Epoch};
use crate::error::StoreError;
use crate::keys::Keys;
use crate::secrets;
use crate::store::Store;

/// Rows per query. Between queries the log can be checkpointed; one value at a time is in memory.
const CHUNK_ROWS: u32 = 256;
/// Unreadable versions that are named one by one.
const NAMED: usize = 100;

/// Outcome of [`Store::verify`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Versions that open with the keys of this store, in the place where they are.
    pub opened: u64,
    /// Versions that do not: changed, moved, damaged, or without their keys.
    pub unreadable: u64,
    /// The first hundred of those that do not.
    pub examples: Vec<UnreadableVersion>,
    /// Whether the kept counts equal the counted rows.
    pub counts_agree: bool,
}

impl VerifyReport {
    /// Nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.unreadable == 0 && self.counts_agree
    }
}

/// A version that does not open. Its identity is what the row claims, which may be the lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableVersion {
    /// Number of the row in `secret_versions`.
    pub row: i64,
    /// What the row says it is; `None` when not even that is readable.
    pub claims: Option<ClaimedIdentity>,
}

/// What a row says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedIdentity {
    /// The kind.
    pub kind: SecretKind,
    /// The app, the dataset or the owner.
    pub address: Address,
    /// The name, empty for kinds that have none.
    pub name: String,
    /// Number of the version, from 1.
    pub version: u32,
}

impl Store {
    /// Opens every version of every secret and discards it, in small steps beside the running service. Versions that are
    /// stored meanwhile may or may not be included.
    pub async fn verify(&self) -> Result<VerifyReport, StoreError> {
        let mut report = VerifyReport::default();
        let mut last_row = 0;
        loop {
            let keys = Arc::clone(&self.inner.keys);
            let chunk = self.inner.readers.read(move |connection| read_chunk(connection, &keys, last_row)).await?;
            report.opened += chunk.opened;
            report.unreadable += chunk.unreadable.len() as u64;
            let room = NAMED - report.examples.len();
            report.examples.extend(chunk.unreadable.into_iter().take(room));
            match chunk.last_row {
                Some(row) => last_row = row,
                None => break,
            }
        }
        report.counts_agree = self
            .inner
            .readers
            .read(|connection| {
                let transaction = connection.unchecked_transaction()?;
                Ok(secrets::counts(&transaction)? == secrets::recount(&transaction)?)
            })
            .await?;
        Ok(report)
    }
}

struct Chunk {
    opened: u64,
    unreadable: Vec<UnreadableVersion>,
    /// `None` after the last row.
    last_row: Option<i64>,
}

fn read_chunk(connection: &Connection, keys: &Keys, after: i64) -> Result<Chunk, StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let mut statement = transaction.prepare_cached(
        "SELECT v.id, v.kind, v.address, v.name, v.version, v.ciphertext, k.epoch, k.wrapped_key
         FROM secret_versions v LEFT JOIN data_keys k ON k.version_id = v.id
         WHERE v.id > ?1 ORDER BY v.id LIMIT ?2",
    )?;
    let mut rows = statement.query(params![after, CHUNK_ROWS])?;
    let mut chunk = Chunk { opened: 0, unreadable: Vec::new(), last_row: None };
    while let Some(row) = rows.next()? {
        let number = row.get(0)?;
        chunk.last_row = Some(number);
        let claims = claimed(row);
        let opens = match &claims {
            Some(claims) => opens(row, claims, keys, &transaction)?,
            None => false,
        };
        if opens {
            chunk.opened += 1;
        } else {
            chunk.unreadable.push(UnreadableVersion { row: number, claims });
        }
    }
    Ok(chunk)
}

/// `None` when a column holds what this program never writes; trouble while reading shows at the next row.
fn claimed(row: &Row<'_>) -> Option<ClaimedIdentity> {
    let kind: u8 = row.get(1).ok()?;
    Some(ClaimedIdentity {
        kind: SecretKind::ALL.into_iter().find(|known| *known as u8 == kind)?,
        address: secrets::address_column(row, 2).ok()?,
        name: row.get(3).ok()?,
        version: row.get(4).ok()?,
    })
}

fn opens(row: &Row<'_>, claims: &ClaimedIdentity, keys: &Keys, connection: &Connection) -> Result<bool, StoreError> {
    let place = Binding {
        chain_id: keys.chain_id,
        kind: claims.kind as u8,
        address: claims.address,
        name: &claims.name,
        version: claims.version,
    };
    let Some(epoch) = row.get::<_, Option<i64>>(6)? else { return Ok(false) };
    let Some(epoch_key) = keys.epoch(Epoch(epoch), connection)? else { return Ok(false) };
    let (Ok(wrapped_key), Ok(ciphertext)) = (row.get_ref(7)?.as_blob(), row.get_ref(5)?.as_blob()) else {
        return Ok(false);
    };
    Ok(envelope::open(wrapped_key, ciphertext, &place, &epoch_key).is_ok())
}
