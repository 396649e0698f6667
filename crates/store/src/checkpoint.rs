//! Moves the write-ahead log into the database file, off the path of the callers.
//!
//! Commits never checkpoint. A thread of its own copies what is committed so far (PASSIVE: it waits for nobody and
//! nobody waits for it). SQLite starts the log anew only when every frame of it was copied at the moment a commit
//! begins, which never happens by itself under steady load; so when the log is long, this thread first copies nearly all
//! of it and then asks the writer to copy the short rest between two commits.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::connection;

/// Pages of log (4 KiB each) that are worth a checkpoint.
const DUE_PAGES: i32 = 1_024;
/// A log of more pages than this is started anew with the help of the writer.
const LONG_PAGES: i64 = 8 * 1_024;
/// So few pages that the writer may copy them between two commits: a few milliseconds.
const SHORT_REST_PAGES: i64 = 512;

/// The writer's side: says when the log has grown, hears when to help.
pub(crate) struct Nudge {
    wake: SyncSender<()>,
    help_wanted: Arc<AtomicBool>,
}

/// Makes the link between the writer and the thread of this module.
pub(crate) fn link() -> (Nudge, Sleeper) {
    let (wake, woken) = sync_channel(1);
    let help_wanted = Arc::new(AtomicBool::new(false));
    (Nudge { wake, help_wanted: Arc::clone(&help_wanted) }, Sleeper { woken, help_wanted })
}

impl Nudge {
    /// What to call after each commit with the length of the log in pages.
    pub(crate) fn on_commit(&self) -> impl FnMut(i32) + Send + 'static + use<> {
        let wake = self.wake.clone();
        let mut told_at = 0;
        move |log_pages| {
            // A shorter log than before was started anew.
            told_at = told_at.min(log_pages);
            if log_pages - told_at >= DUE_PAGES {
                told_at = log_pages;
                // A full channel means that the thread is told already.
                let _ = wake.try_send(());
            }
        }
    }

    /// Called by the writer between two commits.
    pub(crate) fn help(&self, connection: &Connection) {
        if self.help_wanted.swap(false, Ordering::AcqRel)
            && let Err(error) = passive(connection)
        {
            tracing::warn!(error = %error, "the writer could not finish a checkpoint; it will be tried again");
        }
    }
}

/// The thread's side.
pub(crate) struct Sleeper {
    woken: Receiver<()>,
    help_wanted: Arc<AtomicBool>,
}

impl Sleeper {
    /// Starts the thread. It ends when the writer is gone.
    pub(crate) fn start(self, path: &Path) -> std::io::Result<JoinHandle<()>> {
        let path = path.to_owned();
        std::thread::Builder::new().name("store-checkpoint".to_owned()).spawn(move || {
            let mut connection = None;
            while self.woken.recv().is_ok() {
                let outcome = match connection.take() {
                    Some(connection) => Ok(connection),
                    None => connection::open_reader(&path),
                };
                match outcome.and_then(|open| self.checkpoint(&open).map(|()| open)) {
                    Ok(open) => connection = Some(open),
                    Err(error) => {
                        tracing::warn!(error = %error, "a checkpoint failed; it will be tried again after later commits");
                    }
                }
            }
        })
    }

    fn checkpoint(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut progress = passive(connection)?;
        if progress.log_pages < LONG_PAGES {
            return Ok(());
        }
        // Each round copies what was committed during the one before, and is shorter.
        for _ in 0..4 {
            if progress.log_pages - progress.copied_pages <= SHORT_REST_PAGES {
                break;
            }
            progress = passive(connection)?;
        }
        self.help_wanted.store(true, Ordering::Release);
        Ok(())
    }
}

/// What a checkpoint reached.
struct Progress {
    log_pages: i64,
    copied_pages: i64,
}

fn passive(connection: &Connection) -> rusqlite::Result<Progress> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok(Progress { log_pages: row.get(1)?, copied_pages: row.get(2)? })
    })
}
