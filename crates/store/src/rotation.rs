//! Changes the epoch key while the store is in use: data keys are wrapped anew, values are not touched. Old epoch keys
//! are deleted when nothing uses them.
//!
//! Each step is a transaction, and what is left to do is exactly what the tables say: an interrupted rotation is
//! continued by the next one, from wherever it was. It may run in another process than the service.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use crate::envelope::{self, Binding, Epoch, EpochKey, NoRandomness, WrappedKey};
use crate::error::StoreError;
use crate::keys::Keys;
use crate::secrets;
use crate::store::Store;

/// Data keys per transaction: a millisecond or two between the pushes.
const BATCH_ROWS: u32 = 256;

/// How far a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationProgress {
    /// Data keys that were wrapped anew.
    pub rewrapped: u64,
    /// Data keys that were under old epochs when the rotation began or continued.
    pub total: u64,
}

/// What a rotation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RotationReport {
    /// Data keys that were wrapped anew.
    pub rewrapped: u64,
    /// Data keys that do not open and stay under their old epoch, whose key is kept for that reason.
    pub unreadable: u64,
    /// Whether an interrupted rotation was continued instead of beginning one.
    pub continued: bool,
    /// Old epoch keys that were deleted.
    pub retired: u64,
}

impl Store {
    /// Moves all data keys to a new epoch key, or finishes an interrupted move. Pushes go on meanwhile. Stop it by
    /// dropping the future or killing the process; nothing is lost.
    pub async fn rotate_epoch(
        &self,
        mut progress: impl FnMut(RotationProgress) + Send,
    ) -> Result<RotationReport, StoreError> {
        let mut report = RotationReport::default();
        let begun = self.begin_rotation(Unfinished::Continue).await?;
        self.move_to_newest(&mut report, &mut progress).await?;
        report.continued = begun == Begun::Continued && report.rewrapped > 0;
        if begun == Begun::Continued && report.rewrapped == 0 {
            // Nothing but data keys that do not open was left of the old rotation: this is a new one.
            report = RotationReport { retired: report.retired, ..RotationReport::default() };
            self.begin_rotation(Unfinished::Ignore).await?;
            self.move_to_newest(&mut report, &mut progress).await?;
        }
        Ok(report)
    }

    /// Adds an epoch, unless there is an unfinished rotation to continue, and uses the newest one from here on.
    async fn begin_rotation(&self, unfinished: Unfinished) -> Result<Begun, StoreError> {
        let keys = Arc::clone(&self.inner.keys);
        let room = self.inner.writer.room_for(0).await?;
        let begun = self.inner.writer.write(room, move |transaction| begin(transaction, &keys, unfinished)).await??;
        self.reload_epochs().await?;
        Ok(begun)
    }

    async fn move_to_newest(
        &self,
        report: &mut RotationReport,
        progress: &mut (impl FnMut(RotationProgress) + Send),
    ) -> Result<(), StoreError> {
        let to = self.inner.keys.current_epoch();
        let newest = to.epoch;
        let old = self.inner.readers.read(move |connection| old_epochs(connection, newest)).await?;
        let mut rewrapped = 0;
        for epoch in &old.epochs {
            loop {
                let pass = self.pass(*epoch, &to, rewrapped, old.data_keys, progress).await?;
                rewrapped += pass.rewrapped;
                // A push that was sealed before the rotation began may have come in behind this pass: look again.
                if pass.rewrapped == 0 {
                    report.unreadable += pass.unreadable;
                    break;
                }
            }
            let epoch = *epoch;
            let room = self.inner.writer.room_for(0).await?;
            let retired = self.inner.writer.write(room, move |transaction| retire(transaction, epoch)).await?;
            report.retired += u64::from(retired);
        }
        report.rewrapped += rewrapped;
        self.reload_epochs().await
    }

    /// Goes once through the data keys of one old epoch.
    async fn pass(
        &self,
        from: Epoch,
        to: &Arc<EpochKey>,
        before: u64,
        total: u64,
        progress: &mut (impl FnMut(RotationProgress) + Send),
    ) -> Result<Pass, StoreError> {
        let mut pass = Pass::default();
        let mut last_row = 0;
        loop {
            let (keys, newer) = (Arc::clone(&self.inner.keys), Arc::clone(to));
            let batch = move |connection: &Connection| rewrap_batch(connection, &keys, from, &newer, last_row);
            let batch = self.inner.readers.read(batch).await?;
            let Some(last) = batch.last_row else { return Ok(pass) };
            last_row = last;
            pass.unreadable += batch.unreadable;
            let newer = to.epoch;
            let room = self.inner.writer.room_for(batch.rewrapped.len() * envelope::WRAPPED_KEY_BYTES).await?;
            let update = move |transaction: &Connection| store_batch(transaction, &batch.rewrapped, from, newer);
            pass.rewrapped += self.inner.writer.write(room, update).await?;
            progress(RotationProgress { rewrapped: before + pass.rewrapped, total });
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unfinished {
    Continue,
    Ignore,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    New,
    Continued,
}

struct OldEpochs {
    epochs: Vec<Epoch>,
    data_keys: u64,
}

#[derive(Default)]
struct Pass {
    rewrapped: u64,
    unreadable: u64,
}

struct Batch {
    rewrapped: Vec<(i64, WrappedKey)>,
    unreadable: u64,
    /// `None` after the last row.
    last_row: Option<i64>,
}

fn begin(
    transaction: &Connection,
    keys: &Keys,
    unfinished: Unfinished,
) -> rusqlite::Result<Result<Begun, NoRandomness>> {
    let epochs: i64 = transaction.query_row("SELECT count(*) FROM epochs", [], |row| row.get(0))?;
    if epochs > 1 && unfinished == Unfinished::Continue {
        return Ok(Ok(Begun::Continued));
    }
    let last: Option<i64> = transaction
        .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'epochs'", [], |row| row.get(0))
        .optional()?;
    let epoch = Epoch(last.unwrap_or(0) + 1);
    let wrapped = match keys.new_epoch_key(epoch) {
        Ok(wrapped) => wrapped,
        Err(none) => return Ok(Err(none)),
    };
    transaction.execute("INSERT INTO epochs (epoch, wrapped_key) VALUES (?1, ?2)", params![epoch.0, wrapped])?;
    Ok(Ok(Begun::New))
}

fn old_epochs(connection: &Connection, newest: Epoch) -> Result<OldEpochs, StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let epochs = transaction
        .prepare_cached("SELECT epoch FROM epochs WHERE epoch < ?1 ORDER BY epoch")?
        .query_map([newest.0], |row| Ok(Epoch(row.get(0)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let data_keys: i64 = transaction
        .prepare_cached("SELECT count(*) FROM data_keys WHERE epoch < ?1")?
        .query_row([newest.0], |row| row.get(0))?;
    Ok(OldEpochs { epochs, data_keys: data_keys.unsigned_abs() })
}

fn rewrap_batch(
    connection: &Connection,
    keys: &Keys,
    from: Epoch,
    to: &EpochKey,
    after: i64,
) -> Result<Batch, StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let mut batch = Batch { rewrapped: Vec::new(), unreadable: 0, last_row: None };
    // Another process may have finished with this epoch and deleted its key.
    let Some(from_key) = keys.epoch(from, &transaction)? else { return Ok(batch) };
    let mut statement = transaction.prepare_cached(
        "SELECT k.version_id, k.wrapped_key, v.kind, v.address, v.name, v.version
         FROM data_keys k JOIN secret_versions v ON v.id = k.version_id
         WHERE k.epoch = ?1 AND k.version_id > ?2 ORDER BY k.version_id LIMIT ?3",
    )?;
    let mut rows = statement.query(params![from.0, after, BATCH_ROWS])?;
    while let Some(row) = rows.next()? {
        let number = row.get(0)?;
        batch.last_row = Some(number);
        let name: String = row.get(4)?;
        let place = Binding {
            chain_id: keys.chain_id,
            kind: row.get(2)?,
            address: secrets::address_column(row, 3)?,
            name: &name,
            version: row.get(5)?,
        };
        let wrapped = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        match envelope::rewrap(wrapped, &place, &from_key, to, &keys.random)? {
            Ok(wrapped) => batch.rewrapped.push((number, wrapped)),
            Err(envelope::DoesNotOpen) => batch.unreadable += 1,
        }
    }
    Ok(batch)
}

/// Returns how many data keys moved; one that another process moved first is not touched again.
fn store_batch(
    transaction: &Connection,
    rewrapped: &[(i64, WrappedKey)],
    from: Epoch,
    to: Epoch,
) -> rusqlite::Result<u64> {
    let mut statement = transaction
        .prepare_cached("UPDATE data_keys SET epoch = ?1, wrapped_key = ?2 WHERE version_id = ?3 AND epoch = ?4")?;
    let mut moved = 0;
    for (row, wrapped) in rewrapped {
        moved += statement.execute(params![to.0, wrapped, row, from.0])? as u64;
    }
    Ok(moved)
}

fn retire(transaction: &Connection, epoch: Epoch) -> rusqlite::Result<bool> {
    let deleted = transaction.execute(
        "DELETE FROM epochs WHERE epoch = ?1 AND NOT EXISTS (SELECT 1 FROM data_keys WHERE epoch = ?1)",
        [epoch.0],
    )?;
    Ok(deleted > 0)
}
