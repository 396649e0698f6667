//! Envelope encryption: what turns a value and an identity into bytes for the database, and back. Pure except for the
//! random bytes, which come from the generator that is passed in.
//!
//! Every version of every secret is sealed under a fresh data key; the data key is wrapped by an epoch key, epoch keys
//! and the two fixed keys are wrapped by the root key. All of it is AES-256-GCM (NIST SP 800-38D) with a random 96-bit
//! nonce, laid out as nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes).
//!
//! The associated data names what the bytes are and where they belong ([`Binding`]), so bytes that were moved to
//! another row, version, key slot or chain do not open.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use strongroom_protocol::{Address, SecretId, SecretValue};
use zeroize::Zeroizing;

/// Bytes that sealing adds to a value: nonce and tag.
pub(crate) const OVERHEAD_BYTES: usize = NONCE_LEN + 16;
/// A wrapped key: 32 bytes and the overhead.
pub(crate) const WRAPPED_KEY_BYTES: usize = 32 + OVERHEAD_BYTES;

/// A wrapped 32-byte key.
pub(crate) type WrappedKey = [u8; WRAPPED_KEY_BYTES];

/// The operating system gives no random bytes.
#[derive(Debug)]
pub(crate) struct NoRandomness;

/// The bytes were not made by this key for this place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DoesNotOpen;

/// Number of an epoch key, as the database counts them from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Epoch(pub(crate) i64);

/// Where a stored value belongs (rule 8 of the design): chain, kind, owner or contract, name, version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding<'a> {
    pub(crate) chain_id: u64,
    pub(crate) kind: u8,
    pub(crate) address: Address,
    pub(crate) name: &'a str,
    pub(crate) version: u32,
}

impl<'a> Binding<'a> {
    pub(crate) fn new(chain_id: u64, id: &'a SecretId, version: u32) -> Self {
        Self { chain_id, kind: id.kind() as u8, address: id.address(), name: id.name(), version }
    }

    /// Appends chain id (8 bytes) ‖ kind (1) ‖ address (20) ‖ version (4) ‖ name, numbers big-endian. The name has no
    /// length prefix because it is last.
    fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.chain_id.to_be_bytes());
        bytes.push(self.kind);
        bytes.extend_from_slice(self.address.as_slice());
        bytes.extend_from_slice(&self.version.to_be_bytes());
        bytes.extend_from_slice(self.name.as_bytes());
    }

    fn of_value(&self) -> Vec<u8> {
        let mut aad = b"strongroom/store/value/v1\0".to_vec();
        self.append_to(&mut aad);
        aad
    }

    /// Also names the epoch, so that a data key cannot be filed under another one.
    fn of_data_key(&self, epoch: Epoch) -> Vec<u8> {
        let mut aad = b"strongroom/store/data-key/v1\0".to_vec();
        aad.extend_from_slice(&epoch.0.to_be_bytes());
        self.append_to(&mut aad);
        aad
    }
}

/// An AES-256-GCM key that wraps other keys. `ring` keeps the expanded key for as long as this value lives.
pub(crate) struct WrappingKey(LessSafeKey);

impl WrappingKey {
    pub(crate) fn new(bytes: &[u8; 32]) -> Self {
        Self(cipher(bytes))
    }

    /// Makes a fresh key and wraps it.
    pub(crate) fn generate(
        &self,
        aad: &[u8],
        random: &SystemRandom,
    ) -> Result<(Zeroizing<[u8; 32]>, WrappedKey), NoRandomness> {
        let mut key = Zeroizing::new([0; 32]);
        random.fill(key.as_mut()).map_err(|_| NoRandomness)?;
        let wrapped = self.wrap(&key, aad, random)?;
        Ok((key, wrapped))
    }

    pub(crate) fn wrap(&self, key: &[u8; 32], aad: &[u8], random: &SystemRandom) -> Result<WrappedKey, NoRandomness> {
        let mut wrapped = [0; WRAPPED_KEY_BYTES];
        random.fill(&mut wrapped[..NONCE_LEN]).map_err(|_| NoRandomness)?;
        wrapped[NONCE_LEN..NONCE_LEN + 32].copy_from_slice(key);
        seal_in_place(&self.0, aad, &mut wrapped);
        Ok(wrapped)
    }

    pub(crate) fn unwrap(&self, wrapped: &[u8], aad: &[u8]) -> Result<Zeroizing<[u8; 32]>, DoesNotOpen> {
        let mut bytes = Zeroizing::new(<WrappedKey>::try_from(wrapped).map_err(|_| DoesNotOpen)?);
        let plain = open_in_place(&self.0, aad, bytes.as_mut())?;
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(plain);
        Ok(key)
    }
}

/// The key of one epoch: wraps data keys.
pub(crate) struct EpochKey {
    pub(crate) epoch: Epoch,
    pub(crate) key: WrappingKey,
}

/// One version of a secret as the database keeps it.
pub(crate) struct SealedValue {
    pub(crate) epoch: Epoch,
    pub(crate) wrapped_key: WrappedKey,
    pub(crate) ciphertext: Vec<u8>,
}

/// Seals `value` under a fresh data key for the place `binding`.
pub(crate) fn seal(
    value: &SecretValue,
    binding: &Binding<'_>,
    epoch_key: &EpochKey,
    random: &SystemRandom,
) -> Result<SealedValue, NoRandomness> {
    let (data_key, wrapped_key) = epoch_key.key.generate(&binding.of_data_key(epoch_key.epoch), random)?;
    let plain = value.expose_secret();
    let mut ciphertext = vec![0; plain.len() + OVERHEAD_BYTES];
    random.fill(&mut ciphertext[..NONCE_LEN]).map_err(|_| NoRandomness)?;
    ciphertext[NONCE_LEN..NONCE_LEN + plain.len()].copy_from_slice(plain);
    seal_in_place(&cipher(&data_key), &binding.of_value(), &mut ciphertext);
    Ok(SealedValue { epoch: epoch_key.epoch, wrapped_key, ciphertext })
}

/// Opens what [`seal`] made for the same `binding` under the same epoch key. Wipes its intermediate buffers.
pub(crate) fn open(
    wrapped_key: &[u8],
    ciphertext: &[u8],
    binding: &Binding<'_>,
    epoch_key: &EpochKey,
) -> Result<SecretValue, DoesNotOpen> {
    let data_key = epoch_key.key.unwrap(wrapped_key, &binding.of_data_key(epoch_key.epoch))?;
    let mut bytes = Zeroizing::new(ciphertext.to_vec());
    let plain = open_in_place(&cipher(&data_key), &binding.of_value(), &mut bytes)?;
    SecretValue::new(plain.to_vec()).map_err(|_| DoesNotOpen)
}

/// Wraps the data key of a version anew, from one epoch to another. The value itself is not touched.
pub(crate) fn rewrap(
    wrapped_key: &[u8],
    binding: &Binding<'_>,
    from: &EpochKey,
    to: &EpochKey,
    random: &SystemRandom,
) -> Result<Result<WrappedKey, DoesNotOpen>, NoRandomness> {
    match from.key.unwrap(wrapped_key, &binding.of_data_key(from.epoch)) {
        Ok(data_key) => to.key.wrap(&data_key, &binding.of_data_key(to.epoch), random).map(Ok),
        Err(refused) => Ok(Err(refused)),
    }
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("AES-256 takes 32 bytes"))
}

/// `bytes` holds nonce ‖ plaintext ‖ 16 bytes of room; afterwards nonce ‖ ciphertext ‖ tag.
fn seal_in_place(key: &LessSafeKey, aad: &[u8], bytes: &mut [u8]) {
    let (nonce, rest) = bytes.split_at_mut(NONCE_LEN);
    let (text, room) = rest.split_at_mut(rest.len() - 16);
    let nonce = Nonce::try_assume_unique_for_key(nonce).expect("the slice was cut to the length of a nonce");
    // The bound of AES-GCM is 64 GiB; values are at most 4 MiB.
    let tag = key
        .seal_in_place_separate_tag(nonce, Aad::from(aad), text)
        .expect("a value of a few megabytes is within the bounds of AES-GCM");
    room.copy_from_slice(tag.as_ref());
}

/// The inverse of [`seal_in_place`]; the plaintext is a part of `bytes`.
fn open_in_place<'b>(key: &LessSafeKey, aad: &[u8], bytes: &'b mut [u8]) -> Result<&'b mut [u8], DoesNotOpen> {
    if bytes.len() < OVERHEAD_BYTES {
        return Err(DoesNotOpen);
    }
    let (nonce, rest) = bytes.split_at_mut(NONCE_LEN);
    let nonce = Nonce::try_assume_unique_for_key(nonce).expect("the slice was cut to the length of a nonce");
    key.open_in_place(nonce, Aad::from(aad), rest).map_err(|_| DoesNotOpen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use strongroom_protocol::RequesterSecretName;

    fn epoch_key(epoch: i64, byte: u8) -> EpochKey {
        EpochKey { epoch: Epoch(epoch), key: WrappingKey::new(&[byte; 32]) }
    }

    fn value(bytes: &[u8]) -> SecretValue {
        SecretValue::new(bytes.to_vec()).unwrap()
    }

    const PLACE: Binding<'static> =
        Binding { chain_id: 134, kind: 2, address: Address::repeat_byte(7), name: "name", version: 3 };

    #[test]
    fn a_value_opens_in_its_place_and_nowhere_else() {
        let random = SystemRandom::new();
        let key = epoch_key(1, 9);
        let sealed = seal(&value(b"hunter2"), &PLACE, &key, &random).unwrap();
        let open_at = |place: &Binding<'_>, key: &EpochKey| open(&sealed.wrapped_key, &sealed.ciphertext, place, key);
        assert_eq!(open_at(&PLACE, &key).unwrap().expose_secret(), b"hunter2");
        for elsewhere in [
            Binding { chain_id: 135, ..PLACE },
            Binding { kind: 4, ..PLACE },
            Binding { address: Address::repeat_byte(8), ..PLACE },
            Binding { name: "nam", ..PLACE },
            Binding { name: "", ..PLACE },
            Binding { version: 4, ..PLACE },
        ] {
            assert_eq!(open_at(&elsewhere, &key).unwrap_err(), DoesNotOpen, "{elsewhere:?}");
        }
        assert_eq!(open_at(&PLACE, &epoch_key(2, 9)).unwrap_err(), DoesNotOpen);
        assert_eq!(open_at(&PLACE, &epoch_key(1, 8)).unwrap_err(), DoesNotOpen);
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let random = SystemRandom::new();
        let key = epoch_key(1, 9);
        let sealed = seal(&value(b"hunter2"), &PLACE, &key, &random).unwrap();
        for index in 0..sealed.ciphertext.len() {
            let mut changed = sealed.ciphertext.clone();
            changed[index] ^= 1;
            assert!(open(&sealed.wrapped_key, &changed, &PLACE, &key).is_err(), "ciphertext byte {index}");
            assert!(open(&sealed.wrapped_key, &sealed.ciphertext[..index], &PLACE, &key).is_err(), "cut at {index}");
        }
        for index in 0..WRAPPED_KEY_BYTES {
            let mut changed = sealed.wrapped_key;
            changed[index] ^= 1;
            assert!(open(&changed, &sealed.ciphertext, &PLACE, &key).is_err(), "key byte {index}");
            assert!(open(&changed[..index], &sealed.ciphertext, &PLACE, &key).is_err(), "key cut at {index}");
        }
    }

    #[test]
    fn a_data_key_of_one_version_does_not_open_another_sealed_for_the_same_place() {
        let random = SystemRandom::new();
        let key = epoch_key(1, 9);
        let first = seal(&value(b"one"), &PLACE, &key, &random).unwrap();
        let second = seal(&value(b"one"), &PLACE, &key, &random).unwrap();
        assert_ne!(first.ciphertext, second.ciphertext);
        assert!(open(&first.wrapped_key, &second.ciphertext, &PLACE, &key).is_err());
    }

    #[test]
    fn a_rewrapped_data_key_opens_in_the_new_epoch_only() {
        let random = SystemRandom::new();
        let (old, new) = (epoch_key(1, 1), epoch_key(2, 2));
        let sealed = seal(&value(b"hunter2"), &PLACE, &old, &random).unwrap();
        let moved = rewrap(&sealed.wrapped_key, &PLACE, &old, &new, &random).unwrap().unwrap();
        assert_eq!(open(&moved, &sealed.ciphertext, &PLACE, &new).unwrap().expose_secret(), b"hunter2");
        assert!(open(&moved, &sealed.ciphertext, &PLACE, &old).is_err());
        let elsewhere = Binding { version: 4, ..PLACE };
        assert_eq!(rewrap(&sealed.wrapped_key, &elsewhere, &old, &new, &random).unwrap(), Err(DoesNotOpen));
    }

    proptest! {
        #[test]
        fn values_survive_a_round_trip(bytes: Vec<u8>, address: [u8; 20], version: u32, name in "[0-9A-Za-z_-]{1,64}") {
            let random = SystemRandom::new();
            let key = epoch_key(1, 9);
            let id = SecretId::Requester {
                owner: Address::from(address),
                name: name.parse::<RequesterSecretName>().unwrap(),
            };
            let place = Binding::new(1, &id, version);
            let sealed = seal(&value(&bytes), &place, &key, &random).unwrap();
            let opened = open(&sealed.wrapped_key, &sealed.ciphertext, &place, &key).unwrap();
            prop_assert_eq!(opened.expose_secret(), bytes.as_slice());
        }
    }
}
