//! What the supervisor and its two helpers say to each other over one socket, their standard input.
//!
//! The supervisor speaks first: one byte per step ([`ENTERED`], [`MAPPED`]), then the [`Spec`], then [`GO`].
//! The helpers answer with a [`Word`] per line. The end of the socket means that the other side is gone.

use std::io::{self, Read, Write};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use serde::{Deserialize, Serialize};

use crate::{Bind, Refusal, Scratch};

/// The outer helper is in its control groups and may unshare.
pub(super) const ENTERED: u8 = b'e';
/// The ids of the new user namespace are mapped.
pub(super) const MAPPED: u8 = b'm';
/// The first process may become the guest.
pub(super) const GO: u8 = b'g';

/// What the inner helper makes of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Spec {
    pub(super) name: String,
    pub(super) root: std::path::PathBuf,
    pub(super) argv: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) binds: Vec<Bind>,
    pub(super) scratch: Vec<Scratch>,
    pub(super) limits: ProcessLimits,
    /// Only one id is mapped: the supervisor is an ordinary user and cannot change groups.
    pub(super) single_id: bool,
}

/// Limits that a process carries itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ProcessLimits {
    pub(super) open_files: u64,
    pub(super) file_bytes: u64,
    pub(super) processes: u64,
    /// Only where no control group limits memory.
    pub(super) address_space_bytes: Option<u64>,
    /// Only where no control group limits the processor.
    pub(super) cpu_seconds: Option<u64>,
}

/// What a helper says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Word {
    /// The outer helper is in new namespaces and waits for its id maps.
    Unshared,
    /// Everything is in place; the inner helper waits for [`GO`].
    Ready,
    /// A step failed; nothing of the task ran.
    Failed(Refusal),
    /// The first process ended.
    Ended { code: Option<i32>, signal: Option<i32>, cpu_milliseconds: u64 },
}

/// A helper's end of the socket.
pub(super) struct Control(UnixStream);

impl Control {
    /// The socket that the supervisor put at standard input.
    pub(super) fn from_stdin() -> io::Result<Self> {
        Ok(Self(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?)))
    }

    pub(super) fn say(&self, word: &Word) -> io::Result<()> {
        let mut line = serde_json::to_vec(word)?;
        line.push(b'\n');
        (&self.0).write_all(&line)
    }

    /// Waits for one byte and checks that it is the expected one. Reads nothing beyond it: the rest may be for another helper.
    pub(super) fn expect(&self, wanted: u8) -> io::Result<()> {
        let mut byte = [0];
        (&self.0).read_exact(&mut byte)?;
        if byte[0] == wanted { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// Reads the [`Spec`].
    pub(super) fn spec(&self) -> io::Result<Spec> {
        let mut length = [0; 4];
        (&self.0).read_exact(&mut length)?;
        let mut text = vec![0; u32::from_be_bytes(length) as usize];
        (&self.0).read_exact(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    pub(super) fn socket(&self) -> &UnixStream {
        &self.0
    }
}

/// A [`Spec`] as [`Control::spec`] reads it: its length in 4 big-endian bytes, then JSON.
pub(super) fn encode(spec: &Spec) -> io::Result<Vec<u8>> {
    let text = serde_json::to_vec(spec)?;
    let length = u32::try_from(text.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    Ok([&length.to_be_bytes()[..], &text].concat())
}
