//! The one thread that writes, and group commit: while one transaction is being synced to the disk, callers queue up;
//! the next transaction takes all of them. Each caller is answered after the commit that holds its change.
//!
//! An [`Operation`] is a closure over the open transaction; whatever it returns goes to its caller once the change is
//! durable. When an operation fails, the whole transaction is rolled back and each of its operations runs again in a
//! transaction of its own, so that one caller's trouble is not another's. When the commit itself fails nobody's change
//! is acknowledged.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::checkpoint::{self, Nudge};
use crate::error::StoreError;

/// Operations in one transaction, at most.
const BATCH_OPERATIONS: usize = 512;
/// Operations that may wait in the queue.
const QUEUE_OPERATIONS: usize = 4_096;
/// Payload that may wait, in KiB: callers beyond it wait before they seal, so that memory stays bounded.
const QUEUE_KIB: usize = 64 * 1_024;
/// Payload after which a batch takes no further operation, in KiB.
const BATCH_KIB: u32 = 8 * 1_024;

/// The handle of the writing thread. Dropping it ends the thread after the queue is worked off.
pub(crate) struct Writer {
    queue: mpsc::Sender<Command>,
    room: Arc<Semaphore>,
}

/// Room in the queue for a payload; given back when the operation is answered.
pub(crate) struct Room {
    permit: OwnedSemaphorePermit,
    kib: u32,
}

enum Command {
    Write(Box<dyn Operation>),
    /// Take no further command, finish those in the queue, then answer and end.
    Close(oneshot::Sender<()>),
    /// Lets a test put a fault into the connection.
    #[cfg(test)]
    Configure(Box<dyn FnOnce(&mut Connection) + Send>),
}

/// What the thread knows of an operation. May be applied twice, never after an `Ok` that was committed.
trait Operation: Send {
    fn kib(&self) -> u32;
    fn apply(&mut self, transaction: &Connection) -> Result<(), rusqlite::Error>;
    fn answer(self: Box<Self>, durable: Result<(), StoreError>);
}

struct Pending<F, T> {
    change: F,
    result: Option<T>,
    caller: oneshot::Sender<Result<T, StoreError>>,
    room: Room,
}

impl<F, T> Operation for Pending<F, T>
where
    F: FnMut(&Connection) -> Result<T, rusqlite::Error> + Send,
    T: Send,
{
    fn kib(&self) -> u32 {
        self.room.kib
    }

    fn apply(&mut self, transaction: &Connection) -> Result<(), rusqlite::Error> {
        self.result = None;
        self.result = Some((self.change)(transaction)?);
        Ok(())
    }

    fn answer(self: Box<Self>, durable: Result<(), StoreError>) {
        let Self { result, caller, room, .. } = *self;
        drop(room.permit);
        // A caller that went away does not undo its change.
        let _ = caller.send(durable.and_then(|()| result.ok_or(StoreError::Interrupted)));
    }
}

impl Writer {
    /// Takes over the connection and starts the writing and the checkpointing thread.
    pub(crate) fn start(connection: Connection, path: &Path) -> std::io::Result<(Self, [JoinHandle<()>; 2])> {
        let (queue, commands) = mpsc::channel(QUEUE_OPERATIONS);
        let (nudge, sleeper) = checkpoint::link();
        let checkpointer = sleeper.start(path)?;
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || Thread { connection, commands, nudge }.run())?;
        Ok((Self { queue, room: Arc::new(Semaphore::new(QUEUE_KIB)) }, [writer, checkpointer]))
    }

    /// Waits until the queue has room for `bytes` of payload.
    pub(crate) async fn room_for(&self, bytes: usize) -> Result<Room, StoreError> {
        let kib = u32::try_from((bytes / 1024 + 1).min(QUEUE_KIB)).expect("the queue holds less than 4 TiB");
        let permit = Arc::clone(&self.room).acquire_many_owned(kib).await.map_err(|_| StoreError::Closed)?;
        Ok(Room { permit, kib })
    }

    /// Runs `change` in a transaction together with other callers' and returns its result after the commit. A `change`
    /// that returns `Ok` has all its writes committed, so one that refuses must refuse before it writes.
    ///
    /// Once queued the change is made even if the caller stops waiting.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        room: Room,
        change: impl FnMut(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (caller, answered) = oneshot::channel();
        let pending = Pending { change, result: None, caller, room };
        self.queue.send(Command::Write(Box::new(pending))).await.map_err(|_| StoreError::Closed)?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Finishes what is queued and ends the thread. Changes that come later are refused.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Command::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }

    /// Runs `configure` on the writing connection, after everything queued so far.
    #[cfg(test)]
    pub(crate) async fn configure(&self, configure: impl FnOnce(&mut Connection) + Send + 'static) {
        assert!(self.queue.send(Command::Configure(Box::new(configure))).await.is_ok());
        let room = self.room_for(0).await.unwrap();
        // Fails when the fault does its work already; either way the thread has passed the command.
        let _ = self.write(room, |_| Ok(())).await;
    }
}

/// What the writing thread owns.
struct Thread {
    connection: Connection,
    commands: mpsc::Receiver<Command>,
    nudge: Nudge,
}

/// Where a transaction failed.
enum Failure {
    /// Before or at the commit: the operations are not to blame, or none in particular.
    Transaction(rusqlite::Error),
    /// In one of the operations.
    Operation(rusqlite::Error),
}

impl Thread {
    fn run(mut self) {
        let mut on_commit = self.nudge.on_commit();
        let hooked = self.connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            on_commit(pages);
            Ok(())
        }));
        if let Err(error) = hooked {
            tracing::error!(error = %error, "the store cannot watch its log; it will not write");
            return;
        }
        let mut closing = None;
        while let Some(command) = self.commands.blocking_recv() {
            let mut batch = Vec::new();
            let mut kib = 0;
            let mut next = Some(command);
            while let Some(command) = next.take() {
                match command {
                    Command::Write(operation) => {
                        kib += operation.kib();
                        batch.push(operation);
                    }
                    Command::Close(done) => {
                        self.commands.close();
                        closing = Some(done);
                    }
                    #[cfg(test)]
                    Command::Configure(configure) => {
                        self.commit(std::mem::take(&mut batch));
                        configure(&mut self.connection);
                    }
                }
                if batch.len() < BATCH_OPERATIONS && kib < BATCH_KIB {
                    next = self.commands.try_recv().ok();
                }
            }
            self.commit(batch);
            self.nudge.help(&self.connection);
        }
        drop(self);
        if let Some(done) = closing {
            let _ = done.send(());
        }
    }

    /// Makes the changes of `batch` durable and answers each of its callers exactly once.
    fn commit(&mut self, mut batch: Vec<Box<dyn Operation>>) {
        if batch.is_empty() {
            return;
        }
        match self.attempt(&mut batch) {
            Ok(()) => {
                for operation in batch {
                    operation.answer(Ok(()));
                }
            }
            Err(Failure::Operation(_)) if batch.len() > 1 => {
                for operation in batch {
                    self.commit(vec![operation]);
                }
            }
            Err(Failure::Operation(error) | Failure::Transaction(error)) => {
                let error = StoreError::from(error);
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    operations = batch.len(),
                    "a transaction failed; nothing of it was acknowledged"
                );
                for operation in batch {
                    operation.answer(Err(error.clone()));
                }
            }
        }
    }

    fn attempt(&mut self, batch: &mut [Box<dyn Operation>]) -> Result<(), Failure> {
        self.roll_back_rest().map_err(Failure::Transaction)?;
        let outcome = self.transact(batch);
        if outcome.is_err() {
            // Already told to be trouble; if this fails too, the next attempt begins with it.
            let _ = self.roll_back_rest();
        }
        outcome
    }

    fn transact(&mut self, batch: &mut [Box<dyn Operation>]) -> Result<(), Failure> {
        // Dropped without commit, the transaction is rolled back.
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(Failure::Transaction)?;
        for operation in batch {
            operation.apply(&transaction).map_err(Failure::Operation)?;
        }
        transaction.commit().map_err(Failure::Transaction)
    }

    /// Ends a transaction whose roll-back failed like the transaction itself. It would hold the lock for ever.
    fn roll_back_rest(&self) -> rusqlite::Result<()> {
        if self.connection.is_autocommit() { Ok(()) } else { self.connection.execute_batch("ROLLBACK") }
    }
}
