//! The keys of an open store: the root key, the two keys that never change, and the epoch keys, which another process
//! may rotate while this one runs. Wrapped in the database, unwrapped here, never elsewhere.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use ring::hkdf;
use ring::hmac;
use ring::rand::SystemRandom;
use rusqlite::{Connection, OptionalExtension, params};
use strongroom_protocol::Signature;
use zeroize::Zeroizing;

use crate::envelope::{Binding, DoesNotOpen, Epoch, EpochKey, NoRandomness, WrappedKey, WrappingKey};
use crate::error::StoreError;
use crate::root_key::RootKey;

const DERIVATION: &str = "derivation";
const SPENT_SIGNATURES: &str = "spent-signatures";

/// Bytes of the tag that stands for a spent signature.
pub(crate) type SpentTag = [u8; 32];

/// Why the keys of a database cannot be had.
#[derive(Debug)]
pub(crate) enum LoadError {
    Database(rusqlite::Error),
    Randomness,
    WrongChain { found: String },
    WrongRootKey,
    Damaged(&'static str),
}

impl From<rusqlite::Error> for LoadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<NoRandomness> for LoadError {
    fn from(_: NoRandomness) -> Self {
        Self::Randomness
    }
}

/// See the module.
pub(crate) struct Keys {
    pub(crate) chain_id: u64,
    pub(crate) random: SystemRandom,
    root: RootKey,
    derivation: hkdf::Prk,
    spent_signatures: hmac::Key,
    epochs: RwLock<Epochs>,
}

struct Epochs {
    current: Arc<EpochKey>,
    all: BTreeMap<Epoch, Arc<EpochKey>>,
}

/// Makes the keys of a new database. Runs in the transaction that makes its tables.
pub(crate) fn create(
    connection: &Connection,
    root: &RootKey,
    chain_id: u64,
    random: &SystemRandom,
) -> Result<(), LoadError> {
    connection.execute("INSERT INTO store (only_row, chain_id) VALUES (1, ?1)", [chain_id.to_string()])?;
    for purpose in [DERIVATION, SPENT_SIGNATURES] {
        let (_, wrapped) = root.0.generate(&fixed_key_aad(purpose, chain_id), random)?;
        connection
            .execute("INSERT INTO fixed_keys (purpose, wrapped_key) VALUES (?1, ?2)", params![purpose, wrapped])?;
    }
    let (_, wrapped) = root.0.generate(&epoch_key_aad(Epoch(1), chain_id), random)?;
    connection.execute("INSERT INTO epochs (epoch, wrapped_key) VALUES (1, ?1)", [wrapped])?;
    Ok(())
}

impl Keys {
    /// Unwraps the keys of a database, all of them: a root key that does not fit is noticed here, not at the first use.
    pub(crate) fn load(
        connection: &Connection,
        root: RootKey,
        chain_id: u64,
        random: &SystemRandom,
    ) -> Result<Self, LoadError> {
        let found: Option<String> =
            connection.query_row("SELECT chain_id FROM store", [], |row| row.get(0)).optional()?;
        match found {
            None => return Err(LoadError::Damaged("the chain is missing")),
            Some(found) if found != chain_id.to_string() => return Err(LoadError::WrongChain { found }),
            Some(_) => {}
        }
        let derivation = fixed_key(connection, &root, DERIVATION, chain_id)?
            .ok_or(LoadError::Damaged("the derivation key is missing"))?;
        let spent_signatures = fixed_key(connection, &root, SPENT_SIGNATURES, chain_id)?
            .ok_or(LoadError::Damaged("the key of spent signatures is missing"))?;
        let (derivation, spent_signatures) = match (derivation, spent_signatures) {
            (Ok(derivation), Ok(spent)) => (derivation, spent),
            (Err(DoesNotOpen), Err(DoesNotOpen)) => return Err(LoadError::WrongRootKey),
            (Err(DoesNotOpen), Ok(_)) => return Err(LoadError::Damaged("the derivation key does not open")),
            (Ok(_), Err(DoesNotOpen)) => return Err(LoadError::Damaged("the key of spent signatures does not open")),
        };
        let epochs = load_epochs(connection, &root, chain_id)?;
        Ok(Self {
            chain_id,
            random: random.clone(),
            root,
            derivation: hkdf::Salt::new(hkdf::HKDF_SHA256, b"strongroom/store/derivation/v1").extract(&*derivation),
            spent_signatures: hmac::Key::new(hmac::HMAC_SHA256, &*spent_signatures),
            epochs: RwLock::new(epochs),
        })
    }

    /// The epoch key under which new versions are sealed.
    pub(crate) fn current_epoch(&self) -> Arc<EpochKey> {
        Arc::clone(&self.epochs.read().unwrap_or_else(PoisonError::into_inner).current)
    }

    /// The key of an epoch named by a row that `connection` just read; asks the database when another process made it.
    pub(crate) fn epoch(&self, epoch: Epoch, connection: &Connection) -> Result<Option<Arc<EpochKey>>, StoreError> {
        let known =
            |keys: &Self| keys.epochs.read().unwrap_or_else(PoisonError::into_inner).all.get(&epoch).map(Arc::clone);
        if let Some(key) = known(self) {
            return Ok(Some(key));
        }
        self.reload_epochs(connection)?;
        Ok(known(self))
    }

    /// Learns the epochs that `connection` sees.
    pub(crate) fn reload_epochs(&self, connection: &Connection) -> Result<(), StoreError> {
        let epochs = load_epochs(connection, &self.root, self.chain_id).map_err(|error| match error {
            LoadError::Database(cause) => StoreError::from(cause),
            LoadError::Randomness => StoreError::Randomness,
            LoadError::Damaged(what) => StoreError::Damaged(what),
            LoadError::WrongChain { .. } | LoadError::WrongRootKey => StoreError::Damaged("an epoch key does not open"),
        })?;
        let mut known = self.epochs.write().unwrap_or_else(PoisonError::into_inner);
        // Added, never taken away: `connection` may look at a state from before the last rotation. The key of an epoch
        // never changes, and one that is retired opens nothing.
        known.all.extend(epochs.all);
        if epochs.current.epoch > known.current.epoch {
            known.current = epochs.current;
        }
        Ok(())
    }

    /// A fresh wrapped key for the epoch `epoch`.
    pub(crate) fn new_epoch_key(&self, epoch: Epoch) -> Result<WrappedKey, NoRandomness> {
        Ok(self.root.0.generate(&epoch_key_aad(epoch, self.chain_id), &self.random)?.1)
    }

    /// What is remembered of a signature that wrote the secret at `place` (its version does not matter). Signature and
    /// plain hash would let a thief of the database test guesses of the value, because the signature is over the value.
    pub(crate) fn spent_tag(&self, place: &Binding<'_>, signature: &Signature) -> SpentTag {
        let mut context = hmac::Context::with_key(&self.spent_signatures);
        context.update(&[place.kind]);
        context.update(place.address.as_slice());
        context.update(&signature.to_bytes());
        context.update(place.name.as_bytes());
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    /// See [`crate::Store::derive_key`].
    pub(crate) fn derive(&self, label: &str, context: &[u8]) -> Zeroizing<[u8; 32]> {
        let length = u32::try_from(label.len()).unwrap_or(u32::MAX).to_be_bytes();
        let chain_id = self.chain_id.to_be_bytes();
        let info = [&length, label.as_bytes(), &chain_id, context];
        let mut key = Zeroizing::new([0; 32]);
        self.derivation
            .expand(&info, hkdf::HKDF_SHA256)
            .and_then(|expanded| expanded.fill(key.as_mut()))
            .expect("HKDF-SHA-256 gives up to 8160 bytes");
        key
    }
}

fn fixed_key_aad(purpose: &str, chain_id: u64) -> Vec<u8> {
    let mut aad = b"strongroom/store/fixed-key/v1\0".to_vec();
    aad.extend_from_slice(&chain_id.to_be_bytes());
    aad.extend_from_slice(purpose.as_bytes());
    aad
}

fn epoch_key_aad(epoch: Epoch, chain_id: u64) -> Vec<u8> {
    let mut aad = b"strongroom/store/epoch-key/v1\0".to_vec();
    aad.extend_from_slice(&chain_id.to_be_bytes());
    aad.extend_from_slice(&epoch.0.to_be_bytes());
    aad
}

type Unwrapped = Result<Zeroizing<[u8; 32]>, DoesNotOpen>;

fn fixed_key(
    connection: &Connection,
    root: &RootKey,
    purpose: &str,
    chain_id: u64,
) -> rusqlite::Result<Option<Unwrapped>> {
    connection
        .query_row("SELECT wrapped_key FROM fixed_keys WHERE purpose = ?1", [purpose], |row| {
            Ok(root.0.unwrap(row.get_ref(0)?.as_blob()?, &fixed_key_aad(purpose, chain_id)))
        })
        .optional()
}

fn load_epochs(connection: &Connection, root: &RootKey, chain_id: u64) -> Result<Epochs, LoadError> {
    let mut statement = connection.prepare_cached("SELECT epoch, wrapped_key FROM epochs ORDER BY epoch")?;
    let mut rows = statement.query([])?;
    let mut all = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let epoch = Epoch(row.get(0)?);
        let wrapped = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        let key = root
            .0
            .unwrap(wrapped, &epoch_key_aad(epoch, chain_id))
            .map_err(|DoesNotOpen| LoadError::Damaged("an epoch key does not open"))?;
        all.insert(epoch, Arc::new(EpochKey { epoch, key: WrappingKey::new(&key) }));
    }
    let current = all.last_key_value().ok_or(LoadError::Damaged("there is no epoch key"))?.1;
    Ok(Epochs { current: Arc::clone(current), all })
}
