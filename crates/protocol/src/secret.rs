//! The confidential values themselves, and what identifies each of them.

use std::fmt;

use alloy_primitives::Address;
use secrecy::{ExposeSecret, SecretBox};
use subtle::ConstantTimeEq;

use crate::names::{AccountSecretName, RequesterSecretName};

/// Largest secret, in bytes: 4096 kB, as the documentation of the network promises.
pub const MAX_SECRET_BYTES: usize = 4096 * 1024;

/// The value is longer than [`MAX_SECRET_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("secret is larger than {MAX_SECRET_BYTES} bytes; encrypt large data as a dataset and push its key instead")]
pub struct SecretTooLarge;

/// A confidential value of at most [`MAX_SECRET_BYTES`] bytes. It wipes itself when dropped, prints nothing, and cannot
/// be cloned, serialised or compared with `==`. [`Self::expose_secret`] is the only way in.
pub struct SecretValue(SecretBox<[u8]>);

impl SecretValue {
    /// Takes over `bytes`; the given allocation becomes the value, no copy is left behind when it has no spare capacity.
    pub fn new(bytes: Vec<u8>) -> Result<Self, SecretTooLarge> {
        let bytes = zeroize::Zeroizing::new(bytes);
        if bytes.len() > MAX_SECRET_BYTES {
            return Err(SecretTooLarge);
        }
        // `into_boxed_slice` of a vector with spare capacity reallocates and frees the old block unwiped;
        // copying into an exact box and wiping the vector leaves nothing.
        Ok(Self(SecretBox::new(bytes.as_slice().into())))
    }

    /// The plain bytes. Search for this name to audit every use.
    pub fn expose_secret(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// Whether two values are equal, in time that depends only on their lengths.
    pub fn constant_time_eq(&self, other: &Self) -> bool {
        self.expose_secret().ct_eq(other.expose_secret()).into()
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(..)")
    }
}

/// The four kinds of secret. The discriminants are part of the storage format and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SecretKind {
    /// The developer's secret, one per app, given to every run of it.
    App = 1,
    /// A requester's named secret, given to the apps the requester chooses per deal.
    Requester = 2,
    /// The decryption key of a dataset (iExec: "web3").
    Dataset = 3,
    /// A named secret of an account (iExec: "web2"): result key, storage tokens. The only kind that can be replaced.
    Account = 4,
}

impl SecretKind {
    /// Every kind, in the order of the discriminants.
    pub const ALL: [Self; 4] = [Self::App, Self::Requester, Self::Dataset, Self::Account];

    /// Whether an existing secret of this kind can be replaced by its owner.
    pub fn is_updatable(self) -> bool {
        matches!(self, Self::Account)
    }
}

impl fmt::Display for SecretKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::App => "app",
            Self::Requester => "requester",
            Self::Dataset => "dataset",
            Self::Account => "account",
        })
    }
}

/// Identifies one stored secret on one chain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretId {
    /// The developer's secret of this app.
    App(Address),
    /// The secret that `owner`, a requester, calls `name`.
    Requester {
        /// The requester's wallet.
        owner: Address,
        /// The name, case-sensitive.
        name: RequesterSecretName,
    },
    /// The key of this dataset.
    Dataset(Address),
    /// The secret that `owner` keeps under `name`.
    Account {
        /// The account's wallet.
        owner: Address,
        /// The name, folded to lower case.
        name: AccountSecretName,
    },
}

impl SecretId {
    /// Which kind of secret this names.
    pub fn kind(&self) -> SecretKind {
        match self {
            Self::App(_) => SecretKind::App,
            Self::Requester { .. } => SecretKind::Requester,
            Self::Dataset(_) => SecretKind::Dataset,
            Self::Account { .. } => SecretKind::Account,
        }
    }

    /// The address in the secret's identity: the app, the dataset, or the wallet that owns the name.
    pub fn address(&self) -> Address {
        match self {
            Self::App(address) | Self::Dataset(address) => *address,
            Self::Requester { owner, .. } | Self::Account { owner, .. } => *owner,
        }
    }

    /// The name, for the kinds that have one, else the empty text.
    pub fn name(&self) -> &str {
        match self {
            Self::App(_) | Self::Dataset(_) => "",
            Self::Requester { name, .. } => name.as_str(),
            Self::Account { name, .. } => name.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_may_be_as_large_as_promised_and_no_larger() {
        assert!(SecretValue::new(vec![b'x'; MAX_SECRET_BYTES]).is_ok());
        assert_eq!(SecretValue::new(vec![b'x'; MAX_SECRET_BYTES + 1]).unwrap_err(), SecretTooLarge);
    }

    #[test]
    fn a_secret_prints_nothing_of_itself() {
        let secret = SecretValue::new(b"hunter2".to_vec()).unwrap();
        assert_eq!(format!("{secret:?}"), "SecretValue(..)");
        assert_eq!(secret.expose_secret(), b"hunter2");
    }

    #[test]
    fn secrets_compare_in_constant_time_by_content() {
        let value = |bytes: &[u8]| SecretValue::new(bytes.to_vec()).unwrap();
        assert!(value(b"a").constant_time_eq(&value(b"a")));
        assert!(!value(b"a").constant_time_eq(&value(b"b")));
        assert!(!value(b"a").constant_time_eq(&value(b"ab")));
    }

    #[test]
    fn only_account_secrets_can_be_replaced() {
        let updatable: Vec<_> = SecretKind::ALL.into_iter().filter(|kind| kind.is_updatable()).collect();
        assert_eq!(updatable, [SecretKind::Account]);
    }
}
