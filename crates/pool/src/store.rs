//! What the pool remembers across restarts: how far the chain was read, and every task with its state, in one SQLite file.
//! Holds no secret: keys are in wallet files, tokens are asked for again. What a function has returned survives `kill -9`.
//!
//! Scheduler and worker may be two processes that share the file. A change of state names the state it starts from, so of
//! two who want to make the same change one is told that it is too late.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use strongroom_protocol::{Address, B256, DealId, TaskId, UnixSeconds};

use crate::cause::Failure;
use crate::lifecycle::{self, Event, Misplaced, Role, State};
use crate::task::{Change, Computed, Facts, Logs, Task};

/// How long a writer waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Version of the tables below.
const SCHEMA_VERSION: i64 = 1;
const SCHEMA: &str = "
    CREATE TABLE identity (id INTEGER PRIMARY KEY CHECK (id = 0), chain INTEGER NOT NULL, hub BLOB NOT NULL, pool BLOB NOT NULL) STRICT;
    CREATE TABLE cursor (id INTEGER PRIMARY KEY CHECK (id = 0), block INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
    CREATE TABLE tasks (
        task BLOB PRIMARY KEY,
        deal BLOB NOT NULL,
        number INTEGER NOT NULL,
        state TEXT NOT NULL,
        contribution_deadline INTEGER NOT NULL,
        final_deadline INTEGER NOT NULL,
        facts TEXT NOT NULL,
        computed TEXT,
        reported TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX tasks_by_state ON tasks (state, contribution_deadline);
    CREATE TABLE history (
        task BLOB NOT NULL,
        number INTEGER NOT NULL,
        state TEXT NOT NULL,
        time INTEGER NOT NULL,
        PRIMARY KEY (task, number)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE logs (task BLOB PRIMARY KEY, stdout TEXT NOT NULL, stderr TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE results (task BLOB PRIMARY KEY, link TEXT NOT NULL) STRICT, WITHOUT ROWID;
";

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite or the disk.
    #[error("the pool's state cannot be read or written; check the disk and the permissions of the file")]
    Database(#[from] rusqlite::Error),
    /// A stored value is not what we wrote.
    #[error("the pool's state is damaged ({what}); restore the file from a backup, or remove it to start afresh")]
    Damaged {
        /// Which value.
        what: &'static str,
    },
    /// The file belongs to another pool or chain.
    #[error("the state file is of another pool or chain (chain {chain}, pool {pool}); name another file in pool.state")]
    OtherPool {
        /// Its chain.
        chain: i64,
        /// Its pool.
        pool: String,
    },
    /// The file was written by another version.
    #[error("the state file has schema {found}, this program knows {SCHEMA_VERSION}; use the program that wrote it")]
    OtherSchema {
        /// What it has.
        found: i64,
    },
    /// No such task.
    #[error("task {0} is not known to this pool")]
    NoTask(TaskId),
    /// Somebody else moved the task on.
    #[error("task {task} is not {expected} any more but {found}")]
    Moved {
        /// The task.
        task: TaskId,
        /// Where it was thought to be.
        expected: State,
        /// Where it is.
        found: State,
    },
    /// A bug.
    #[error(transparent)]
    Misplaced(#[from] Misplaced),
    /// The program is shutting down.
    #[error("the state was closed")]
    Closed,
}

/// Up to where the chain was read: every notice up to this block, and no other, is in the tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Height of the last block that was read.
    pub block: u64,
    /// Its hash.
    pub hash: B256,
}

/// A task that was found in a deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: TaskId,
    /// Its deal.
    pub deal: DealId,
    /// Its index in the request.
    pub index: u64,
    /// After this second nobody can contribute.
    pub contribution_deadline: UnixSeconds,
    /// From this second on it can be claimed.
    pub final_deadline: UnixSeconds,
}

/// What is written together with a change of state.
#[derive(Clone, Debug, Default)]
pub struct Note {
    /// Facts to keep; those that are absent stay as they are.
    pub facts: FactsLearned,
    /// Link to the result, to show.
    pub link: Option<String>,
}

/// Facts that an action found out.
#[derive(Clone, Debug, Default)]
pub struct FactsLearned {
    /// See [`Facts::challenge`].
    pub challenge: Option<Address>,
    /// See [`Facts::authorization`].
    pub authorization: Option<String>,
    /// See [`Facts::session`].
    pub session: Option<String>,
    /// See [`Facts::failure`].
    pub failure: Option<Failure>,
    /// See [`Facts::exit_code`].
    pub exit_code: Option<i32>,
}

/// A task with what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// The task.
    pub task: Task,
    /// The states that it went through, the present one last.
    pub changes: Vec<Change>,
    /// Link to its result.
    pub link: Option<String>,
}

/// A handle to the state; clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    connection: Arc<Mutex<Connection>>,
}

impl Store {
    /// Opens or makes the file for the pool `pool` of the hub `hub` on `chain_id`. Blocks.
    pub fn open(path: &Path, chain_id: u64, hub: Address, pool: Address) -> Result<Self, StoreError> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if found == 0 {
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            transaction.execute(
                "INSERT INTO identity VALUES (0, ?1, ?2, ?3)",
                params![chain_id.cast_signed(), hub.as_slice(), pool.as_slice()],
            )?;
        } else if found != SCHEMA_VERSION {
            return Err(StoreError::OtherSchema { found });
        }
        let (chain, its_hub, its_pool): (i64, Vec<u8>, Vec<u8>) =
            transaction.query_row("SELECT chain, hub, pool FROM identity", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        if (chain, its_hub.as_slice(), its_pool.as_slice()) != (chain_id.cast_signed(), hub.as_slice(), pool.as_slice())
        {
            return Err(StoreError::OtherPool { chain, pool: format!("0x{}", hex::encode(its_pool)) });
        }
        transaction.commit()?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    /// Up to where the chain was read; `None` before the first time.
    pub async fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        self.with(|connection| {
            let found = connection
                .query_row("SELECT block, hash FROM cursor", [], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            found
                .map(|(block, hash): (i64, Vec<u8>)| {
                    let hash =
                        B256::try_from(hash.as_slice()).map_err(|_| StoreError::Damaged { what: "hash of a block" })?;
                    Ok(Cursor { block: block.cast_unsigned(), hash })
                })
                .transpose()
        })
        .await
    }

    /// Takes in the tasks of the deals up to `cursor`, in one transaction with the cursor: none is lost, none is taken in
    /// twice. Gives the number of new ones.
    pub async fn take_in(&self, found: Vec<Found>, cursor: Cursor, now: UnixSeconds) -> Result<usize, StoreError> {
        self.with(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut new = 0;
            for task in found {
                let added = transaction.execute(
                    "INSERT OR IGNORE INTO tasks VALUES (?1, ?2, ?3, ?4, ?5, ?6, '{}', NULL, '[]')",
                    params![
                        task.id.as_bytes(),
                        task.deal.as_bytes(),
                        task.index.cast_signed(),
                        State::Received.name(),
                        task.contribution_deadline.0.cast_signed(),
                        task.final_deadline.0.cast_signed(),
                    ],
                )?;
                if added == 1 {
                    write_history(&transaction, task.id, State::Received, now)?;
                    new += 1;
                }
            }
            transaction.execute(
                "INSERT INTO cursor VALUES (0, ?1, ?2) ON CONFLICT DO UPDATE SET block = ?1, hash = ?2",
                params![cursor.block.cast_signed(), cursor.hash.as_slice()],
            )?;
            transaction.commit()?;
            Ok(new)
        })
        .await
    }

    /// One task.
    pub async fn task(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        self.with(move |connection| read(connection, id)).await
    }

    /// The tasks that `role` has to move on, the most urgent first. Those that only wait for their final deadline are left out
    /// until it is past.
    pub async fn to_do(&self, role: Role, now: UnixSeconds) -> Result<Vec<TaskId>, StoreError> {
        self.with(move |connection| {
            let mut found = Vec::new();
            for state in State::ALL.into_iter().filter(|state| state.role() == Some(role)) {
                let not_before = if state == State::Stuck { now.0.cast_signed() } else { i64::MAX };
                let mut query = connection.prepare_cached(
                    "SELECT task, contribution_deadline FROM tasks WHERE state = ?1 AND final_deadline <= ?2",
                )?;
                let rows = query.query_map(params![state.name(), not_before], |row| {
                    Ok((row.get::<_, i64>(1)?, row.get::<_, Vec<u8>>(0)?))
                })?;
                for row in rows {
                    let (deadline, id) = row?;
                    found.push((deadline, id_of(&id)?));
                }
            }
            found.sort();
            Ok(found.into_iter().map(|(_, id)| id).collect())
        })
        .await
    }

    /// How many tasks are in each state.
    pub async fn counts(&self) -> Result<Vec<(State, u64)>, StoreError> {
        self.with(|connection| {
            let mut counts = Vec::new();
            for state in State::ALL {
                let count: i64 = connection
                    .prepare_cached("SELECT count(*) FROM tasks WHERE state = ?1")?
                    .query_row([state.name()], |row| row.get(0))?;
                counts.push((state, count.cast_unsigned()));
            }
            Ok(counts)
        })
        .await
    }

    /// Moves a task that is in `from` on by `event`, with what was learned. Gives the task as it is then.
    pub async fn advance(
        &self,
        id: TaskId,
        from: State,
        event: Event,
        note: Note,
        now: UnixSeconds,
    ) -> Result<Task, StoreError> {
        self.with(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut task = read(&transaction, id)?.ok_or(StoreError::NoTask(id))?;
            if task.state != from {
                return Err(StoreError::Moved { task: id, expected: from, found: task.state });
            }
            task.state = lifecycle::step(from, event)?.0;
            learn(&mut task, event, note.facts);
            transaction.execute(
                "UPDATE tasks SET state = ?2, facts = ?3, reported = ?4 WHERE task = ?1",
                params![id.as_bytes(), task.state.name(), json(&task.facts)?, json(&task.reported)?],
            )?;
            if let Some(link) = note.link {
                transaction.execute("INSERT OR REPLACE INTO results VALUES (?1, ?2)", params![id.as_bytes(), link])?;
            }
            write_history(&transaction, id, task.state, now)?;
            transaction.commit()?;
            Ok(task)
        })
        .await
    }

    /// Keeps what the enclave of a running task delivered. False if it is not running or has delivered before.
    pub async fn deliver(&self, id: TaskId, computed: Computed) -> Result<bool, StoreError> {
        self.with(move |connection| {
            let changed = connection.execute(
                "UPDATE tasks SET computed = ?2 WHERE task = ?1 AND state = ?3 AND computed IS NULL",
                params![id.as_bytes(), json(&computed)?, State::Running.name()],
            )?;
            Ok(changed == 1)
        })
        .await
    }

    /// Keeps what a stage of a running task reported. False if something was reported before.
    pub async fn report(&self, id: TaskId, failures: Vec<Failure>) -> Result<bool, StoreError> {
        self.with(move |connection| {
            let changed = connection.execute(
                "UPDATE tasks SET reported = ?2 WHERE task = ?1 AND state = ?3 AND reported = '[]'",
                params![id.as_bytes(), json(&failures)?, State::Running.name()],
            )?;
            Ok(changed == 1)
        })
        .await
    }

    /// Keeps what an app said, in place of what it said before.
    pub async fn keep_logs(&self, id: TaskId, logs: Logs) -> Result<(), StoreError> {
        self.with(move |connection| {
            connection.execute(
                "INSERT OR REPLACE INTO logs VALUES (?1, ?2, ?3)",
                params![id.as_bytes(), logs.stdout, logs.stderr],
            )?;
            Ok(())
        })
        .await
    }

    /// What an app said.
    pub async fn logs(&self, id: TaskId) -> Result<Option<Logs>, StoreError> {
        self.with(move |connection| {
            let logs = connection
                .query_row("SELECT stdout, stderr FROM logs WHERE task = ?1", [id.as_bytes()], |row| {
                    Ok(Logs { stdout: row.get(0)?, stderr: row.get(1)? })
                })
                .optional()?;
            Ok(logs)
        })
        .await
    }

    /// Forgets what was said by apps of tasks whose final deadline lies before `before`.
    pub async fn forget_logs(&self, before: UnixSeconds) -> Result<usize, StoreError> {
        self.with(move |connection| {
            let forgotten = connection.execute(
                "DELETE FROM logs WHERE task IN (SELECT task FROM tasks WHERE final_deadline < ?1)",
                [before.0.cast_signed()],
            )?;
            Ok(forgotten)
        })
        .await
    }

    /// A task with its course, all at one moment: nobody moves it on between one part and the next.
    pub async fn course(&self, id: TaskId) -> Result<Option<Course>, StoreError> {
        self.with(move |connection| {
            let moment = connection.transaction()?;
            let Some(task) = read(&moment, id)? else { return Ok(None) };
            let mut query = moment.prepare_cached("SELECT state, time FROM history WHERE task = ?1 ORDER BY number")?;
            let rows = query.query_map([id.as_bytes()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
            let mut changes = Vec::new();
            for row in rows {
                let (state, time) = row?;
                changes.push(Change { state: state_of(&state)?, time: UnixSeconds(time.cast_unsigned()) });
            }
            let link = moment
                .query_row("SELECT link FROM results WHERE task = ?1", [id.as_bytes()], |row| row.get(0))
                .optional()?;
            Ok(Some(Course { task, changes, link }))
        })
        .await
    }

    /// Runs `action` where it may block.
    async fn with<T: Send + 'static>(
        &self,
        action: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = Arc::clone(&self.connection);
        let acted =
            tokio::task::spawn_blocking(move || action(&mut connection.lock().unwrap_or_else(PoisonError::into_inner)));
        acted.await.map_err(|_| StoreError::Closed)?
    }
}

/// What an event changes besides the state.
fn learn(task: &mut Task, event: Event, learned: FactsLearned) {
    let Facts { challenge, authorization, session, failure, exit_code, attempts } = &mut task.facts;
    learned.challenge.map(|value| challenge.replace(value));
    learned.authorization.map(|value| authorization.replace(value));
    learned.session.map(|value| session.replace(value));
    learned.failure.map(|value| failure.replace(value));
    learned.exit_code.map(|value| exit_code.replace(value));
    match event {
        Event::Prepared => *attempts += 1,
        // What the enclave that is gone reported says nothing about the next one.
        Event::Interrupted => task.reported.clear(),
        _ => {}
    }
}

fn write_history(transaction: &Transaction<'_>, id: TaskId, state: State, now: UnixSeconds) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO history SELECT ?1, count(*), ?2, ?3 FROM history WHERE task = ?1",
        params![id.as_bytes(), state.name(), now.0.cast_signed()],
    )?;
    Ok(())
}

fn read(connection: &Connection, id: TaskId) -> Result<Option<Task>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT deal, number, state, contribution_deadline, final_deadline, facts, computed, reported
         FROM tasks WHERE task = ?1",
    )?;
    let mut rows = query.query([id.as_bytes()])?;
    rows.next()?.map(|row| task_of(id, row)).transpose()
}

fn task_of(id: TaskId, row: &Row<'_>) -> Result<Task, StoreError> {
    let deal: Vec<u8> = row.get(0)?;
    let deal = B256::try_from(deal.as_slice()).map_err(|_| StoreError::Damaged { what: "id of a deal" })?;
    let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let damaged = |what| move |_: serde_json::Error| StoreError::Damaged { what };
    let computed: Option<String> = row.get(6)?;
    Ok(Task {
        id,
        deal: deal.into(),
        index: number(1)?,
        state: state_of(&row.get::<_, String>(2)?)?,
        contribution_deadline: UnixSeconds(number(3)?),
        final_deadline: UnixSeconds(number(4)?),
        facts: serde_json::from_str(&row.get::<_, String>(5)?).map_err(damaged("facts"))?,
        computed: computed.map(|text| serde_json::from_str(&text)).transpose().map_err(damaged("result"))?,
        reported: serde_json::from_str(&row.get::<_, String>(7)?).map_err(damaged("reports"))?,
    })
}

fn id_of(bytes: &[u8]) -> Result<TaskId, StoreError> {
    B256::try_from(bytes).map(TaskId::from).map_err(|_| StoreError::Damaged { what: "id of a task" })
}

fn state_of(name: &str) -> Result<State, StoreError> {
    State::from_name(name).ok_or(StoreError::Damaged { what: "state" })
}

fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Damaged { what: "value in memory" })
}

#[cfg(test)]
mod tests;
