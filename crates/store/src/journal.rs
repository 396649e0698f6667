//! The journal: entries chained by hash, only ever appended to, in the transaction of what they record.

use rusqlite::{Connection, OptionalExtension, params};
use strongroom_protocol::record::{Outcome, Record};
use strongroom_protocol::snapshot::Block;
use strongroom_protocol::transcript::{Deployment, Transcript};
use strongroom_protocol::{Address, B256, SessionId, TaskId, UnixSeconds};

use crate::error::StoreError;
use crate::sessions::task_column;
use crate::store::Store;

/// All of an entry but its place in the chain.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) time: UnixSeconds,
    pub(crate) deployment: Deployment,
    pub(crate) block: Block,
    pub(crate) session: SessionId,
    pub(crate) worker: Address,
    pub(crate) transcript: [u8; 32],
    pub(crate) enclave: String,
    pub(crate) outcome: Outcome,
}

impl Draft {
    pub(crate) fn new(
        transcript: &Transcript,
        time: UnixSeconds,
        block: Block,
        worker: Address,
        enclave: String,
        outcome: Outcome,
    ) -> Self {
        let (deployment, session) = (transcript.deployment, transcript.session);
        Self { time, deployment, block, session, worker, transcript: transcript.digest(), enclave, outcome }
    }
}

impl Store {
    /// The journal entries of a task, oldest first.
    pub async fn journal(&self, task: TaskId) -> Result<Vec<Record>, StoreError> {
        let read = move |connection: &Connection| {
            let mut statement =
                connection.prepare_cached("SELECT hash, entry FROM journal WHERE task = ?1 ORDER BY sequence")?;
            let mut rows = statement.query([task_column(task)])?;
            let mut records = Vec::new();
            while let Some(row) = rows.next()? {
                records.push(checked(row.get(0)?, row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)?);
            }
            Ok(records)
        };
        self.inner.readers.read(read).await
    }

    /// Reads the whole journal and checks that every entry is the one its successor names. Gives the number of entries and
    /// the hash of the last.
    pub async fn verify_journal(&self) -> Result<(u64, B256), StoreError> {
        let verify = |connection: &Connection| {
            let mut statement = connection.prepare_cached("SELECT hash, entry FROM journal ORDER BY sequence")?;
            let mut rows = statement.query([])?;
            let (mut entries, mut last) = (0, B256::ZERO);
            while let Some(row) = rows.next()? {
                let record = checked(row.get(0)?, row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)?;
                entries += 1;
                if record.previous != last || record.sequence != entries {
                    return Err(StoreError::Damaged("the journal is not one chain"));
                }
                last = record.hash();
            }
            Ok((entries, last))
        };
        self.inner.readers.read(verify).await
    }
}

fn checked(hash: [u8; 32], entry: &[u8]) -> Result<Record, StoreError> {
    let record = Record::from_bytes(entry).map_err(|_| StoreError::Damaged("a journal entry is malformed"))?;
    if record.hash() != B256::from(hash) {
        return Err(StoreError::Damaged("a journal entry does not have its hash"));
    }
    Ok(record)
}

/// Appends an entry behind the last one.
pub(crate) fn append(transaction: &Connection, draft: &Draft) -> rusqlite::Result<Record> {
    let last = transaction
        .prepare_cached("SELECT sequence, hash FROM journal ORDER BY sequence DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?)))
        .optional()?;
    let (sequence, previous) = last.map_or((1, B256::ZERO), |(sequence, hash)| (sequence + 1, B256::from(hash)));
    let record = Record {
        sequence: sequence.unsigned_abs(),
        previous,
        time: draft.time,
        deployment: draft.deployment,
        block: draft.block,
        session: draft.session,
        worker: draft.worker,
        transcript: draft.transcript,
        enclave: draft.enclave.clone(),
        outcome: draft.outcome.clone(),
    };
    transaction
        .prepare_cached("INSERT INTO journal (sequence, task, hash, entry) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![sequence, task_column(draft.session.task()), record.hash().0, record.to_bytes()])?;
    Ok(record)
}

/// The entry at `sequence`.
pub(crate) fn entry(connection: &Connection, sequence: i64) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .prepare_cached("SELECT entry FROM journal WHERE sequence = ?1")?
        .query_row([sequence], |row| row.get(0))
        .optional()
}
