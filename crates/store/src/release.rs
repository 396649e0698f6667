//! Record, then open: a grant becomes a durable record, and only a [`Recorded`] opens secrets.
//!
//! The record, the spent nonce and the mark on the session are one transaction. The same request again (same transcript, so
//! same key) finds its record and is served once more from it; any other request of that session is refused.

use std::collections::BTreeMap;

use rusqlite::Connection;
use strongroom_grant::{Grant, Plan, Refusal, SecretVersion, StoredSecrets};
use strongroom_protocol::record::{Outcome, Record};
use strongroom_protocol::release::Receipt;
use strongroom_protocol::snapshot::Block;
use strongroom_protocol::transcript::Transcript;
use strongroom_protocol::{Address, SecretId, SecretValue, UnixSeconds};

use crate::envelope::{self, Binding};
use crate::error::StoreError;
use crate::journal::{self, Draft};
use crate::secrets;
use crate::sessions;
use crate::store::Store;
use crate::trust_domain;

/// Proof that a grant is durable in the journal. Only [`Store::record`] makes one; opening consumes it.
#[derive(Debug)]
pub struct Recorded {
    receipt: Receipt,
    transcript: Transcript,
    plan: Plan,
}

impl Recorded {
    /// Names the journal entry.
    pub fn receipt(&self) -> Receipt {
        self.receipt
    }

    /// What the release is bound to.
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }
}

/// The secrets of one release, open. They wipe themselves.
#[derive(Debug)]
pub struct Opened {
    /// Names the journal entry.
    pub receipt: Receipt,
    /// What the release is bound to.
    pub transcript: Transcript,
    /// Which variables, from which secrets.
    pub plan: Plan,
    /// The values of the plan's secrets.
    pub values: BTreeMap<SecretId, SecretValue>,
}

/// Why a grant was not recorded. Nothing was opened.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The session is not there: it never was, is over, or was replaced.
    #[error("there is no such session; ask for a new one")]
    NoSession,
    /// The session released its secrets to another key.
    #[error("the session released its secrets to another enclave key; ask for a new session")]
    SessionUsed,
    /// The nonce was used.
    #[error("the nonce was used before; ask for a new one and attest again")]
    NonceSpent,
    /// The evidence is of another trust domain than the secrets: simulated evidence for production secrets, say.
    #[error("the secrets of this store are not for enclaves of this trust domain")]
    OtherTrustDomain,
    /// Could not find out or could not write.
    #[error(transparent)]
    Trouble(#[from] StoreError),
}

impl RecordError {
    /// A stable word for machines and records; none when nothing was decided.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::NoSession => Some("no-session"),
            Self::SessionUsed => Some("session-used"),
            Self::NonceSpent => Some("nonce-spent"),
            Self::OtherTrustDomain => Some("other-trust-domain"),
            Self::Trouble(_) => None,
        }
    }
}

enum Appended {
    New(Box<Record>),
    Again(Vec<u8>),
    Refused(RecordError),
}

/// A refusal after authentic evidence, for the journal.
#[derive(Debug)]
pub struct Refused<'a> {
    /// What the request was bound to.
    pub transcript: &'a Transcript,
    /// The block at which the chain was read.
    pub block: Block,
    /// The worker of the session.
    pub worker: Address,
    /// What the enclave proved to be, as text.
    pub enclave: String,
    /// Why not.
    pub refusal: &'a Refusal,
}

impl Store {
    /// Which of `ids` exist, and in which newest version. All are looked up in one state of the database.
    pub async fn versions(&self, ids: Vec<SecretId>) -> Result<StoredSecrets, StoreError> {
        let chain_id = self.inner.keys.chain_id;
        let look = move |connection: &Connection| {
            let transaction = connection.unchecked_transaction()?;
            let mut stored = StoredSecrets::new();
            for id in ids {
                if let Some(version) = secrets::latest_version(&transaction, &Binding::new(chain_id, &id, 0))? {
                    stored.insert(id, SecretVersion(version));
                }
            }
            Ok(stored)
        };
        self.inner.readers.read(look).await
    }

    /// Makes a grant durable: journal entry, spent nonce and mark on the session in one transaction. `nonce_expires` is
    /// when the nonce would be void anyhow. A grant that cannot be recorded (the session is gone or served another key, the
    /// nonce was spent) leaves an entry that says so, one for each request however often it is repeated.
    pub async fn record(
        &self,
        grant: Grant,
        nonce_expires: UnixSeconds,
        now: UnixSeconds,
    ) -> Result<Recorded, RecordError> {
        let transcript = grant.transcript().clone();
        let granted = grant.plan().secrets().into_iter().map(|(id, version)| (id, u64::from(version.0))).collect();
        let identity = grant.identity().to_string();
        let draft = Draft::new(&transcript, now, grant.block(), grant.worker(), identity, Outcome::Granted(granted));
        let nonce = transcript.nonce.0;
        let domain = grant.trust_domain().to_string();
        let room = self.inner.writer.room_for(0).await?;
        let record = move |transaction: &Connection| append(transaction, &draft, &domain, &nonce, nonce_expires);
        let (record, plan) = match self.inner.writer.write(room, record).await? {
            Appended::New(record) => (*record, grant.plan().clone()),
            Appended::Again(entry) => {
                let record =
                    Record::from_bytes(&entry).map_err(|_| StoreError::Damaged("a journal entry is malformed"))?;
                let versions = recorded_versions(&record)?;
                (record, grant.plan().clone().with_versions(&versions))
            }
            Appended::Refused(reason) => return Err(reason),
        };
        let receipt = Receipt { sequence: record.sequence, record: record.hash() };
        Ok(Recorded { receipt, transcript, plan })
    }

    /// Writes a refusal after authentic evidence into the journal and spends its nonce. A request whose nonce was spent
    /// before leaves no second entry.
    pub async fn record_refusal(
        &self,
        refused: Refused<'_>,
        nonce_expires: UnixSeconds,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        let outcome = Outcome::Refused(refused.refusal.code().to_owned());
        let draft = Draft::new(refused.transcript, now, refused.block, refused.worker, refused.enclave, outcome);
        let nonce = refused.transcript.nonce.0;
        let room = self.inner.writer.room_for(0).await?;
        let record = move |transaction: &Connection| {
            if sessions::spend_nonce(transaction, &nonce, nonce_expires)? {
                journal::append(transaction, &draft)?;
            }
            Ok(())
        };
        self.inner.writer.write(room, record).await
    }

    /// Opens exactly the secrets of a record, in the versions it names.
    pub async fn open_recorded(&self, recorded: Recorded) -> Result<Opened, StoreError> {
        let keys = std::sync::Arc::clone(&self.inner.keys);
        let open = move |connection: &Connection| {
            let transaction = connection.unchecked_transaction()?;
            let Recorded { receipt, transcript, plan } = recorded;
            let mut values = BTreeMap::new();
            for (id, SecretVersion(version)) in plan.secrets() {
                let place = Binding::new(keys.chain_id, &id, version);
                let stored = secrets::version(&transaction, &place)?;
                let opened = match &stored {
                    Some(stored) => keys
                        .epoch(stored.epoch, &transaction)?
                        .and_then(|key| envelope::open(&stored.wrapped_key, &stored.ciphertext, &place, &key).ok()),
                    None => None,
                };
                let value = opened.ok_or_else(|| StoreError::DoesNotOpen {
                    kind: id.kind().to_string(),
                    address: strongroom_protocol::address::lower_case(&id.address()),
                    version,
                })?;
                values.insert(id, value);
            }
            Ok(Opened { receipt, transcript, plan, values })
        };
        self.inner.readers.read(open).await
    }
}

fn append(
    transaction: &Connection,
    draft: &Draft,
    domain: &str,
    nonce: &[u8; 32],
    nonce_expires: UnixSeconds,
) -> rusqlite::Result<Appended> {
    let refused = |reason: RecordError| {
        // Requests are told apart by their transcript. It is a hash like the nonces and remembered like one.
        if sessions::spend_nonce(transaction, &draft.transcript, nonce_expires)? {
            let outcome = Outcome::Refused(reason.code().unwrap_or_default().to_owned());
            journal::append(transaction, &Draft { outcome, ..draft.clone() })?;
        }
        Ok(Appended::Refused(reason))
    };
    if trust_domain::of_store(transaction)? != domain {
        return refused(RecordError::OtherTrustDomain);
    }
    let Some(stored) = sessions::find(transaction, draft.session)? else {
        return refused(RecordError::NoSession);
    };
    if let Some((sequence, transcript)) = stored.released {
        let entry = if transcript == draft.transcript { journal::entry(transaction, sequence)? } else { None };
        return entry.map_or_else(|| refused(RecordError::SessionUsed), |entry| Ok(Appended::Again(entry)));
    }
    if !sessions::spend_nonce(transaction, nonce, nonce_expires)? {
        return refused(RecordError::NonceSpent);
    }
    let record = journal::append(transaction, draft)?;
    let sequence = i64::try_from(record.sequence).unwrap_or(i64::MAX);
    sessions::mark_released(transaction, draft.session, sequence, &draft.transcript)?;
    Ok(Appended::New(Box::new(record)))
}

fn recorded_versions(record: &Record) -> Result<StoredSecrets, StoreError> {
    let damaged = || StoreError::Damaged("the record of a release says something else");
    let Outcome::Granted(secrets) = &record.outcome else { return Err(damaged()) };
    secrets
        .iter()
        .map(|(id, version)| Ok((id.clone(), SecretVersion(u32::try_from(*version).map_err(|_| damaged())?))))
        .collect()
}
