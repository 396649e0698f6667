//! Content ids of IPFS, and the ids that `ipfs add` gives to a file.
//!
//! A file is cut into pieces of 262,144 bytes; up to 174 pieces (or nodes) hang below one node, level by level, up to a single root.
//! Version 0: every piece is a UnixFS node (dag-pb). Version 1 as `ipfs add --cid-version=1`: pieces are raw bytes. The hash is SHA-256.
//!
//! Sources: multiformats CID, IPLD dag-pb, UnixFS; compared with the reference implementation in `testdata/`.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::reading::fill;

/// Bytes of a piece.
const PIECE_BYTES: usize = 262_144;
/// Pieces or nodes below one node.
const LINKS: usize = 174;
const DAG_PB: u8 = 0x70;
const RAW: u8 = 0x55;
/// sha2-256, 32 bytes.
const MULTIHASH: [u8; 2] = [0x12, 0x20];

/// How an id is written and what it hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// Version 0: the multihash of a dag-pb node.
    V0,
    /// Version 1, dag-pb.
    Node,
    /// Version 1, raw bytes.
    Raw,
}

/// A content id: SHA-256 of a dag-pb node or of raw bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cid {
    kind: Kind,
    hash: [u8; 32],
}

/// The text is no content id that we understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseCidError {
    /// Neither `Qm…` nor a multibase text.
    #[error("not a content id; it is Qm and 44 more characters, or begins with b, z or f")]
    NotACid,
    /// Another hash, codec or version.
    #[error("content id uses another hash, codec or version; only SHA-256 of dag-pb or raw content is understood")]
    NotUnderstood,
}

/// How `ipfs add` was told to make ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddAs {
    /// Version 0, the default of `ipfs add`.
    V0,
    /// Version 1 with raw pieces.
    V1,
}

impl Cid {
    /// The id that `ipfs add` gives to what `content` holds. Fails when it cannot be read.
    pub fn of(mut content: impl Read, how: AddAs) -> io::Result<Self> {
        let mut level = Vec::new();
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let length = fill(&mut content, &mut piece)?;
            if length > 0 || level.is_empty() {
                level.push(how.leaf(&piece[..length]));
            }
            if length < PIECE_BYTES {
                break;
            }
        }
        while level.len() > 1 {
            level = level.chunks(LINKS).map(|below| how.node(below)).collect();
        }
        Ok(level[0].cid)
    }

    /// Whether `content` is what this id names: a block of this hash, or a file that `ipfs add` gives this id to.
    pub fn matches(&self, content: &[u8]) -> bool {
        let sha256 = || <[u8; 32]>::from(Sha256::digest(content));
        let added = |how| Self::of(content, how).is_ok_and(|cid| cid.hash == self.hash);
        match self.kind {
            Kind::Raw => sha256() == self.hash,
            Kind::V0 => added(AddAs::V0),
            // The same hash as in version 0, or a tree of raw pieces.
            Kind::Node => added(AddAs::V1) || added(AddAs::V0),
        }
    }

    /// The ways of adding that could have given this id.
    pub fn ways(&self) -> &'static [AddAs] {
        match self.kind {
            Kind::V0 => &[AddAs::V0],
            Kind::Raw => &[AddAs::V1],
            Kind::Node => &[AddAs::V1, AddAs::V0],
        }
    }

    /// Whether both name the same content: the hash counts, not the version it is written in.
    pub fn same_content(&self, other: &Self) -> bool {
        self.hash == other.hash && (self.kind == Kind::Raw) == (other.kind == Kind::Raw)
    }

    /// The bytes of the id, as links hold them.
    fn to_bytes(self) -> Vec<u8> {
        let codec: &[u8] = match self.kind {
            Kind::V0 => &[],
            Kind::Node => &[1, DAG_PB],
            Kind::Raw => &[1, RAW],
        };
        [codec, &MULTIHASH, &self.hash].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, ParseCidError> {
        let (kind, multihash) = match bytes {
            [1, DAG_PB, rest @ ..] => (Kind::Node, rest),
            [1, RAW, rest @ ..] => (Kind::Raw, rest),
            [0x12, ..] => (Kind::V0, bytes),
            _ => return Err(ParseCidError::NotUnderstood),
        };
        let hash = multihash.strip_prefix(&MULTIHASH).ok_or(ParseCidError::NotUnderstood)?;
        Ok(Self { kind, hash: hash.try_into().map_err(|_| ParseCidError::NotUnderstood)? })
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.to_bytes();
        match self.kind {
            Kind::V0 => f.write_str(&bs58::encode(bytes).into_string()),
            Kind::Node | Kind::Raw => write!(f, "b{}", base32(&bytes)),
        }
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cid({self})")
    }
}

impl FromStr for Cid {
    type Err = ParseCidError;

    fn from_str(text: &str) -> Result<Self, ParseCidError> {
        if text.len() == 46 && text.starts_with("Qm") {
            let bytes = bs58::decode(text).into_vec().map_err(|_| ParseCidError::NotACid)?;
            return Self::from_bytes(&bytes);
        }
        // An id of ours has 36 bytes: 59 characters at most in any of these bases but 72 digits of hex.
        let bytes = match text.split_at_checked(1) {
            Some((_, rest)) if rest.len() > 72 => None,
            Some(("b", rest)) => from_base32(rest),
            Some(("z", rest)) => bs58::decode(rest).into_vec().ok(),
            Some(("f", rest)) => hex::decode(rest).ok(),
            _ => None,
        };
        match Self::from_bytes(&bytes.ok_or(ParseCidError::NotACid)?)? {
            Self { kind: Kind::V0, .. } => Err(ParseCidError::NotUnderstood),
            cid => Ok(cid),
        }
    }
}

/// A piece or node with what its parent must know.
struct Part {
    cid: Cid,
    /// Bytes of the file below.
    file_bytes: u64,
    /// Bytes of all blocks below, this one included.
    block_bytes: u64,
}

impl AddAs {
    fn leaf(self, piece: &[u8]) -> Part {
        let file_bytes = piece.len() as u64;
        match self {
            Self::V1 => {
                let cid = Cid { kind: Kind::Raw, hash: Sha256::digest(piece).into() };
                Part { cid, file_bytes, block_bytes: file_bytes }
            }
            Self::V0 => self.part(&[], Some(piece), &[]),
        }
    }

    fn node(self, below: &[Part]) -> Part {
        let sizes: Vec<u64> = below.iter().map(|part| part.file_bytes).collect();
        self.part(below, None, &sizes)
    }

    /// A dag-pb node: links (field 2) of hash (1), empty name (2) and size (3), then (field 1) UnixFS data: type 2 (1), bytes (2), file size
    /// (3), sizes of the pieces (4).
    fn part(self, below: &[Part], bytes: Option<&[u8]>, sizes: &[u64]) -> Part {
        let file_bytes = bytes.map_or_else(|| sizes.iter().sum(), |bytes| bytes.len() as u64);
        let mut unixfs = vec![0x08, 2];
        if let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) {
            push_bytes(&mut unixfs, 0x12, bytes);
        }
        push_number(&mut unixfs, 0x18, file_bytes);
        for size in sizes {
            push_number(&mut unixfs, 0x20, *size);
        }
        let mut node = Vec::with_capacity(unixfs.len() + 56 * below.len() + 8);
        for part in below {
            let mut link = Vec::with_capacity(56);
            push_bytes(&mut link, 0x0a, &part.cid.to_bytes());
            push_bytes(&mut link, 0x12, b"");
            push_number(&mut link, 0x18, part.block_bytes);
            push_bytes(&mut node, 0x12, &link);
        }
        push_bytes(&mut node, 0x0a, &unixfs);
        let kind = if self == Self::V0 { Kind::V0 } else { Kind::Node };
        let block_bytes = node.len() as u64 + below.iter().map(|part| part.block_bytes).sum::<u64>();
        Part { cid: Cid { kind, hash: Sha256::digest(&node).into() }, file_bytes, block_bytes }
    }
}

fn push_number(message: &mut Vec<u8>, tag: u8, number: u64) {
    message.push(tag);
    push_varint(message, number);
}

fn push_bytes(message: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    push_number(message, tag, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

fn push_varint(message: &mut Vec<u8>, mut number: u64) {
    while let low @ 0x80.. = number {
        message.push(low.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    message.push(number.to_le_bytes()[0]);
}

/// RFC 4648 §6 in lower case, without padding, as multibase `b` has it.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

fn base32(bytes: &[u8]) -> String {
    let bit = |index: usize| bytes.get(index / 8).is_some_and(|byte| byte >> (7 - index % 8) & 1 == 1);
    (0..bytes.len() * 8)
        .step_by(5)
        .map(|from| char::from(BASE32[(from..from + 5).fold(0, |value, index| value << 1 | usize::from(bit(index)))]))
        .collect()
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let mut bits = Vec::with_capacity(text.len() * 5);
    for digit in text.bytes() {
        let value = BASE32.iter().position(|known| *known == digit)?;
        bits.extend((0..5).rev().map(|index| value >> index & 1 == 1));
    }
    // What is left over is less than a byte and zero.
    let whole = bits.len() / 8 * 8;
    if bits.len() - whole >= 5 || bits[whole..].contains(&true) {
        return None;
    }
    Some(bits[..whole].chunks(8).map(|byte| byte.iter().fold(0, |value, bit| value << 1 | u8::from(*bit))).collect())
}

#[cfg(test)]
mod tests;
