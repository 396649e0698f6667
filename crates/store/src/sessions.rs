//! Sessions: permissions for one worker to start one task, one per task and worker.

use rusqlite::{Connection, OptionalExtension, Row, params};
use strongroom_protocol::{Address, B256, Session, SessionId, Signature, TaskId, UnixSeconds};

use crate::error::StoreError;
use crate::store::Store;

impl Store {
    /// Keeps a session, durable when this returns. It replaces the session of the same task and worker, whose id serves no
    /// longer; the journal of what that one released stays.
    pub async fn put_session(&self, session: Session) -> Result<(), StoreError> {
        let room = self.inner.writer.room_for(0).await?;
        self.inner.writer.write(room, move |transaction| put(transaction, &session)).await
    }

    /// The session under this id, if it is there. Whether it is over is for the decision to say.
    pub async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.inner.readers.read(move |connection| Ok(find(connection, id)?.map(|stored| stored.session))).await
    }

    /// Forgets sessions and spent nonces whose time is over at `now`. The journal is never shortened.
    pub async fn forget_expired(&self, now: UnixSeconds) -> Result<(), StoreError> {
        let room = self.inner.writer.room_for(0).await?;
        let now = seconds(now);
        let forget = move |transaction: &Connection| {
            transaction.prepare_cached("DELETE FROM sessions WHERE expires < ?1")?.execute([now])?;
            transaction.prepare_cached("DELETE FROM spent_nonces WHERE expires < ?1")?.execute([now])?;
            Ok(())
        };
        self.inner.writer.write(room, forget).await
    }
}

/// A session as it is stored.
pub(crate) struct StoredSession {
    pub(crate) session: Session,
    /// Sequence of the record of its one release, and what that release was bound to.
    pub(crate) released: Option<(i64, [u8; 32])>,
}

fn put(transaction: &Connection, session: &Session) -> rusqlite::Result<()> {
    let task = session.id.task();
    transaction
        .prepare_cached("DELETE FROM sessions WHERE task = ?1 AND worker = ?2")?
        .execute(params![task.as_bytes(), session.worker.as_slice()])?;
    transaction
        .prepare_cached(
            "INSERT INTO sessions (id, task, worker, enclave_challenge, pool_signature, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            session.id.to_string(),
            task.as_bytes(),
            session.worker.as_slice(),
            session.enclave_challenge.as_slice(),
            session.pool_signature.to_bytes(),
            seconds(session.expires),
        ])?;
    Ok(())
}

pub(crate) fn find(connection: &Connection, id: SessionId) -> rusqlite::Result<Option<StoredSession>> {
    connection
        .prepare_cached(
            "SELECT worker, enclave_challenge, pool_signature, expires, release, transcript FROM sessions WHERE id = ?1",
        )?
        .query_row([id.to_string()], |row| read(row, id))
        .optional()
}

fn read(row: &Row<'_>, id: SessionId) -> rusqlite::Result<StoredSession> {
    let signature: [u8; 65] = row.get(2)?;
    let pool_signature = Signature::from_bytes(&signature)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Blob, Box::new(error)))?;
    let release: Option<i64> = row.get(4)?;
    let transcript: Option<[u8; 32]> = row.get(5)?;
    let session = Session {
        id,
        worker: Address::from(row.get::<_, [u8; 20]>(0)?),
        enclave_challenge: Address::from(row.get::<_, [u8; 20]>(1)?),
        pool_signature,
        expires: UnixSeconds(row.get::<_, i64>(3)?.unsigned_abs()),
    };
    Ok(StoredSession { session, released: release.zip(transcript) })
}

/// Marks the one release of a session.
pub(crate) fn mark_released(
    transaction: &Connection,
    id: SessionId,
    sequence: i64,
    transcript: &[u8; 32],
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("UPDATE sessions SET release = ?2, transcript = ?3 WHERE id = ?1 AND release IS NULL")?
        .execute(params![id.to_string(), sequence, transcript])?;
    Ok(())
}

/// Spends a nonce; `false` when it was spent before.
pub(crate) fn spend_nonce(transaction: &Connection, nonce: &[u8; 32], expires: UnixSeconds) -> rusqlite::Result<bool> {
    let spent = transaction
        .prepare_cached("INSERT INTO spent_nonces (nonce, expires) VALUES (?1, ?2) ON CONFLICT (nonce) DO NOTHING")?
        .execute(params![nonce, seconds(expires)])?;
    Ok(spent == 1)
}

/// SQLite's integers have a sign; times beyond 2^63 are all "never".
fn seconds(time: UnixSeconds) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

/// For rows that are found by task.
pub(crate) fn task_column(task: TaskId) -> [u8; 32] {
    B256::from(task).0
}
