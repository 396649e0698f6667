//! Stores and looks up secrets: who may write, and in which order things are checked. The order is a promise: clients are
//! told the first check that fails. No HTTP here.

use std::time::Instant;

use strongroom_poco::AssetKind;
use strongroom_protocol::names::ParseRequesterSecretNameError;
use strongroom_protocol::{
    AccountSecretName, Address, B256, RequesterSecretName, SecretId, SecretValue, Signature, address, challenge,
};
use strongroom_store::{InsertError, ReplaceError, Replaced, StoreError};
use tracing::Span;

use crate::Sms;
use crate::owners::ReadOwnersError;
use crate::rate_limit::RetryAfter;
use crate::vault::VaultClosed;

/// Why a secret was not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushError {
    /// The signature is malformed, the address is malformed, or the signature is not by the owner of the address.
    #[error("the signature is not by the owner")]
    NotByOwner,
    /// The wallet signed more writes than one client may.
    #[error("the wallet has used up its allowance of writes")]
    TooManyWrites(RetryAfter),
    /// The name breaks the rule of requester secrets.
    #[error(transparent)]
    BadRequesterName(#[from] ParseRequesterSecretNameError),
    /// The name is empty or too long for an account secret.
    #[error("the name of the account secret is empty or too long")]
    BadAccountName,
    /// There is one already.
    #[error("the secret already exists")]
    AlreadyExists,
    /// There is none to replace.
    #[error("there is no such secret to replace")]
    NothingToReplace,
    /// The signature belongs to a value that was replaced since; it cannot come back.
    #[error("the signature belongs to a value that was replaced")]
    Replayed,
    /// The chain could not be asked.
    #[error(transparent)]
    Owners(#[from] ReadOwnersError),
    /// The store is being replaced from a backup.
    #[error(transparent)]
    Closed(#[from] VaultClosed),
    /// The store is in trouble; whether the secret was written is not known.
    #[error(transparent)]
    Store(StoreError),
}

/// Why it is not known whether a secret exists.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookUpError {
    /// The store is being replaced from a backup.
    #[error(transparent)]
    Closed(#[from] VaultClosed),
    /// The store is in trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A request to store a value: texts as they were sent, not yet believed.
pub(crate) struct Push<'a> {
    /// Address of the app, the dataset, the requester or the account.
    pub(crate) address: &'a str,
    /// The header `Authorization`.
    pub(crate) signature: &'a [u8],
    /// The decoded body, untrimmed, as it was signed.
    pub(crate) value: SecretValue,
}

/// A signature that was checked: nothing is written without one.
struct Authorized {
    signature: Signature,
    challenge: B256,
}

impl Sms {
    /// Stores the one secret of an app, for the app's owner on chain.
    pub(crate) async fn push_app_secret(&self, push: Push<'_>) -> Result<(), PushError> {
        let app = parse_address(push.address)?;
        let challenge = challenge::push_app_secret(app, &push.value);
        let authorized = self.authorize_owner(AssetKind::App, app, challenge, push.signature).await?;
        self.insert(SecretId::App(app), push.value, &authorized).await
    }

    /// Stores the key of a dataset, for the dataset's owner on chain.
    pub(crate) async fn push_dataset_secret(&self, push: Push<'_>) -> Result<(), PushError> {
        let dataset = parse_address(push.address)?;
        let challenge = challenge::push_dataset_secret(dataset, &push.value);
        let authorized = self.authorize_owner(AssetKind::Dataset, dataset, challenge, push.signature).await?;
        self.insert(SecretId::Dataset(dataset), push.value, &authorized).await
    }

    /// Stores a named secret of a requester, for that wallet. The name is judged after the signature.
    pub(crate) async fn push_requester_secret(&self, name: &str, push: Push<'_>) -> Result<(), PushError> {
        let owner = parse_address(push.address)?;
        let challenge = challenge::push_requester_secret(owner, name, &push.value);
        let authorized = authorize_wallet(owner, challenge, push.signature)?;
        let name = name.parse::<RequesterSecretName>()?;
        self.insert(SecretId::Requester { owner, name }, push.value, &authorized).await
    }

    /// Stores a named secret of an account, for that wallet. The name is signed as sent and stored in lower case.
    pub(crate) async fn push_account_secret(&self, name: &str, push: Push<'_>) -> Result<(), PushError> {
        let (id, authorized) = authorize_account(name, &push)?;
        self.insert(id, push.value, &authorized).await
    }

    /// Replaces a named secret of an account. The signed text is the same as for storing it, so a signature whose value was
    /// replaced is refused for ever.
    pub(crate) async fn replace_account_secret(&self, name: &str, push: Push<'_>) -> Result<(), PushError> {
        let (id, authorized) = authorize_account(name, &push)?;
        self.admit_client(&authorized)?;
        record(&id);
        let store = self.vault.store()?;
        let replaced = store.replace(id, stored_form(push.value), authorized.signature).await;
        self.note_store(!matches!(replaced, Err(ReplaceError::Trouble(_))));
        match replaced {
            Ok(Replaced::Updated | Replaced::Unchanged) => Ok(()),
            Err(ReplaceError::NotFound) => Err(PushError::NothingToReplace),
            Err(ReplaceError::Replayed) => Err(PushError::Replayed),
            Err(ReplaceError::NotUpdatable) => Err(PushError::AlreadyExists),
            Err(ReplaceError::Trouble(error)) => Err(PushError::Store(error)),
        }
    }

    /// Whether an app has its secret. An address that is none has no secret.
    pub(crate) async fn app_secret_exists(&self, app: &str) -> Result<bool, LookUpError> {
        self.exists(address::parse_any_case(app).ok().map(SecretId::App)).await
    }

    /// Whether a dataset has its key.
    pub(crate) async fn dataset_secret_exists(&self, dataset: &str) -> Result<bool, LookUpError> {
        self.exists(address::parse_any_case(dataset).ok().map(SecretId::Dataset)).await
    }

    /// Whether a requester has a secret of that name.
    pub(crate) async fn requester_secret_exists(
        &self,
        owner: &str,
        name: RequesterSecretName,
    ) -> Result<bool, LookUpError> {
        let owner = address::parse_any_case(owner).ok();
        self.exists(owner.map(|owner| SecretId::Requester { owner, name })).await
    }

    /// Whether an account has a secret of that name, in any letter case. A name that cannot be stored is absent.
    pub(crate) async fn account_secret_exists(&self, owner: &str, name: &str) -> Result<bool, LookUpError> {
        let id = match (address::parse_any_case(owner), name.parse::<AccountSecretName>()) {
            (Ok(owner), Ok(name)) => Some(SecretId::Account { owner, name }),
            _ => None,
        };
        self.exists(id).await
    }

    async fn exists(&self, id: Option<SecretId>) -> Result<bool, LookUpError> {
        let Some(id) = id else { return Ok(false) };
        record(&id);
        Ok(self.vault.store()?.exists(&id).await?)
    }

    async fn authorize_owner(
        &self,
        kind: AssetKind,
        asset: Address,
        challenge: B256,
        signature: &[u8],
    ) -> Result<Authorized, PushError> {
        let signature = parse_signature(signature)?;
        if !self.owners.owner_signed(kind, asset, challenge, &signature).await? {
            return Err(PushError::NotByOwner);
        }
        Ok(Authorized { signature, challenge })
    }

    async fn insert(&self, id: SecretId, value: SecretValue, authorized: &Authorized) -> Result<(), PushError> {
        self.admit_client(authorized)?;
        record(&id);
        let kind = id.kind();
        let store = self.vault.store()?;
        let inserted = store.insert(id, stored_form(value), authorized.signature).await;
        self.note_store(!matches!(inserted, Err(InsertError::Trouble(_))));
        match inserted {
            Ok(()) => {
                self.metrics.count_added(kind);
                Ok(())
            }
            Err(InsertError::AlreadyExists) => Err(PushError::AlreadyExists),
            Err(InsertError::Trouble(error)) => Err(PushError::Store(error)),
        }
    }

    /// Counts a write of the wallet that signed it. For a contract owner that is the wallet behind the signature.
    fn admit_client(&self, authorized: &Authorized) -> Result<(), PushError> {
        let (Some(limiter), Ok(client)) = (&self.limits.client, authorized.signature.recover(authorized.challenge))
        else {
            return Ok(());
        };
        limiter.admit(client, Instant::now()).map_err(PushError::TooManyWrites)
    }
}

fn authorize_account(name: &str, push: &Push<'_>) -> Result<(SecretId, Authorized), PushError> {
    let owner = parse_address(push.address)?;
    let challenge = challenge::push_account_secret(owner, name, &push.value);
    let authorized = authorize_wallet(owner, challenge, push.signature)?;
    let name = name.parse::<AccountSecretName>().map_err(|_| PushError::BadAccountName)?;
    Ok((SecretId::Account { owner, name }, authorized))
}

fn authorize_wallet(wallet: Address, challenge: B256, signature: &[u8]) -> Result<Authorized, PushError> {
    let signature = parse_signature(signature)?;
    if !signature.is_by(wallet, challenge) {
        return Err(PushError::NotByOwner);
    }
    Ok(Authorized { signature, challenge })
}

/// No signature fits an address that is none.
fn parse_address(text: &str) -> Result<Address, PushError> {
    address::parse_any_case(text).map_err(|_| PushError::NotByOwner)
}

fn parse_signature(text: &[u8]) -> Result<Signature, PushError> {
    let text = std::str::from_utf8(text).map_err(|_| PushError::NotByOwner)?;
    text.parse().map_err(|_| PushError::NotByOwner)
}

/// A value made only of white space is kept as the empty value, as the old service did.
fn stored_form(value: SecretValue) -> SecretValue {
    let blank = std::str::from_utf8(value.expose_secret()).is_ok_and(|text| text.chars().all(is_java_whitespace));
    if blank { SecretValue::new(Vec::new()).expect("the empty value is not too large") } else { value }
}

/// `Character.isWhitespace` of Java, which differs from Unicode's property in a few characters.
fn is_java_whitespace(character: char) -> bool {
    match character {
        '\u{1c}'..='\u{1f}' => true,
        '\u{85}' | '\u{a0}' | '\u{2007}' | '\u{202f}' => false,
        other => other.is_whitespace(),
    }
}

/// Names the secret in the span of the request. Its name is left out: people put things into names.
fn record(id: &SecretId) {
    Span::current().record("kind", tracing::field::display(id.kind()));
    Span::current().record("address", tracing::field::display(id.address()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_value_is_kept_as_the_empty_one_and_no_other_value_is_touched() {
        let kept = |text: &str| {
            let value = SecretValue::new(text.as_bytes().to_vec()).unwrap();
            String::from_utf8(stored_form(value).expose_secret().to_vec()).unwrap()
        };
        for blank in ["", " ", "\r\n\t", "\u{2003}\u{1f}"] {
            assert_eq!(kept(blank), "", "{blank:?}");
        }
        for value in [" a ", "\u{a0}", "\u{202f}", "a\n"] {
            assert_eq!(kept(value), value, "{value:?}");
        }
    }
}
