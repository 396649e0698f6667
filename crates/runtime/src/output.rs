//! Keeps the beginning of a stream and counts the rest: a full pipe would stop the app, an unlimited log would fill the machine.

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::Output;

/// Reads `stream` to its end, however long it is. A read error ends it like an end of file: what was read so far counts.
pub(crate) async fn drain(mut stream: impl AsyncRead + Unpin, keep_bytes: usize) -> Output {
    let mut output = Output::default();
    let mut buffer = vec![0; 32 << 10];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        output.add(&buffer[..read], keep_bytes);
    }
    output
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
    use super::*;

    #[tokio::test]
    async fn the_first_bytes_are_kept_and_all_are_counted() {
        let output = drain(&vec![7; 100_000][..], 10).await;
        assert_eq!(output, Output { first: vec![7; 10], total_bytes: 100_000 });
        assert_eq!(drain(&b"abc"[..], 10).await, Output { first: b"abc".to_vec(), total_bytes: 3 });
    }
}
