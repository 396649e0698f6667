//! Keeps the beginning of a stream and counts the rest: a full pipe would stop the app, an unlimited log would fill the machine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::Output;

/// A stream that is being read in the background.
pub(crate) struct Drain {
    task: JoinHandle<()>,
    output: Arc<Mutex<Output>>,
}

impl Drain {
    /// Starts to read `stream` to its end, however long it is. A read error ends it like an end of file.
    pub(crate) fn start(mut stream: impl AsyncRead + Unpin + Send + 'static, keep_bytes: usize) -> Self {
        let output = Arc::new(Mutex::new(Output::default()));
        let shared = Arc::clone(&output);
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; 32 << 10];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                shared.lock().unwrap_or_else(PoisonError::into_inner).add(&buffer[..read], keep_bytes);
            }
        });
        Self { task, output }
    }

    /// What was read when the stream ends, or after `patience`: an app can send its end of the pipe through a socket to somebody
    /// who lives on, and the stream then does not end with the app.
    pub(crate) async fn finish(mut self, patience: Duration) -> Output {
        if timeout(patience, &mut self.task).await.is_err() {
            self.task.abort();
        }
        std::mem::take(&mut *self.output.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Output {
    /// Counts `bytes`, and keeps them as long as fewer than `keep_bytes` are kept.
    pub(crate) fn add(&mut self, bytes: &[u8], keep_bytes: usize) {
        let room = keep_bytes.saturating_sub(self.first.len());
        self.first.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.total_bytes += bytes.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    const FOR_EVER: Duration = Duration::from_hours(1);

    #[tokio::test]
    async fn the_first_bytes_are_kept_and_all_are_counted() {
        let output = Drain::start(std::io::Cursor::new(vec![7; 100_000]), 10).finish(FOR_EVER).await;
        assert_eq!(output, Output { first: vec![7; 10], total_bytes: 100_000 });
        let output = Drain::start(&b"abc"[..], 10).finish(FOR_EVER).await;
        assert_eq!(output, Output { first: b"abc".to_vec(), total_bytes: 3 });
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_somebody_holds_open_is_given_up() {
        let (mut theirs, ours) = tokio::io::duplex(100);
        let drain = Drain::start(ours, 10);
        theirs.write_all(b"abc").await.unwrap();
        assert_eq!(drain.finish(FOR_EVER).await, Output { first: b"abc".to_vec(), total_bytes: 3 });
        drop(theirs);
    }
}
