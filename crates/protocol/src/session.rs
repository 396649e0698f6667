//! Sessions: the permission for one worker to start one task.

use std::fmt;
use std::str::FromStr;

use alloy_primitives::Address;

use crate::ids::TaskId;
use crate::signature::Signature;
use crate::time::UnixSeconds;

/// The text is not a session id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a session id; it is 10 letters or digits, 0000, and the task id (0x and 64 hex digits): 80 characters")]
pub struct ParseSessionIdError;

/// Identifies a session: 10 random characters of `[A-Za-z0-9]`, `0000`, and the task id; 80 characters, as the old
/// service made them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    nonce: [u8; Self::NONCE_CHARS],
    task: TaskId,
}

impl SessionId {
    const NONCE_CHARS: usize = 10;
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    /// Makes the id of a session of `task` from random bytes. 62 does not divide 256: the first letters are slightly
    /// likelier, which leaves more than 59 bits of chance in the ten characters.
    pub fn from_random(random: [u8; Self::NONCE_CHARS], task: TaskId) -> Self {
        Self { nonce: random.map(|byte| Self::ALPHABET[usize::from(byte) % Self::ALPHABET.len()]), task }
    }

    /// The task this session is for.
    pub fn task(&self) -> TaskId {
        self.task
    }
}

impl FromStr for SessionId {
    type Err = ParseSessionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (head, task) = text.split_at_checked(Self::NONCE_CHARS + 4).ok_or(ParseSessionIdError)?;
        let (nonce, zeros) = head.split_at(Self::NONCE_CHARS);
        if zeros != "0000" || !nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(ParseSessionIdError);
        }
        let nonce = nonce.as_bytes().try_into().map_err(|_| ParseSessionIdError)?;
        Ok(Self { nonce, task: task.parse().map_err(|_| ParseSessionIdError)? })
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.nonce {
            write!(f, "{}", char::from(byte))?;
        }
        write!(f, "0000{}", self.task)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The permission for one worker to start one task. It names all that a release must match, and carries no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id; names the task.
    pub id: SessionId,
    /// The worker that asked for it.
    pub worker: Address,
    /// The address of the task's enclave-challenge key, as the pool owner signed it.
    pub enclave_challenge: Address,
    /// The pool owner's signature over worker, task and enclave challenge. The hub takes the same one.
    pub pool_signature: Signature,
    /// The task's final deadline: the last second in which the session serves.
    pub expires: UnixSeconds,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    #[test]
    fn session_ids_have_the_form_of_the_old_service() {
        let task = TaskId::from(B256::repeat_byte(0x3c));
        let id = SessionId::from_random([0, 9, 10, 35, 36, 61, 62, 255, 1, 2], task);
        let text = id.to_string();
        assert_eq!(text, format!("09AZaz07120000{task}"));
        assert_eq!(text.len(), 80);
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(id.task(), task);
    }

    #[test]
    fn malformed_session_ids_are_refused() {
        let task = TaskId::from(B256::repeat_byte(0x3c));
        let good = format!("AbCdEf01230000{task}");
        assert!(good.parse::<SessionId>().is_ok());
        for wrong in [
            good[1..].to_owned(),
            format!("{good}0"),
            good.replace("0000", "0001"),
            good.replace("AbC", "A-C"),
            good.replace("AbCd", "éé"),
            good.replace("0x", "0X"),
            String::new(),
        ] {
            assert_eq!(wrong.parse::<SessionId>(), Err(ParseSessionIdError), "{wrong}");
        }
    }
}
