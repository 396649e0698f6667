//! Forged documents with a chain of their own, every part of which a test can make wrong.

use ciborium::Value;
use coset::{CborSerializable as _, CoseSign1, CoseSign1Builder, Header, HeaderBuilder, iana};
use strongroom_attest::anchors::DevelopmentAnchors;
use strongroom_attest::{
    Claims, Endorsements, Evidence, EvidenceKind, ExpectedBinding, TrustAnchors, Verified, VerifyError, verify,
};
use strongroom_protocol::UnixSeconds;

use super::x509::{Content, EcKey, certificate_authority, signs_certificates_and_lists};

pub(crate) const NOW: UnixSeconds = UnixSeconds(1_790_000_000);
pub(crate) const REPORT_DATA: [u8; 64] = [0x5a; 64];
pub(crate) const MODULE_ID: &str = "i-1234567890abcdef0-enc1234567890abcd";

/// Positions in the chain. The leaf signs the document.
pub(crate) const ROOT: usize = 0;
pub(crate) const INSTANCE: usize = 3;
pub(crate) const LEAF: usize = 4;

/// The entries of the payload's map.
pub(crate) type Fields = Vec<(Value, Value)>;

/// Everything that goes into document and chain. [`Forgery::new`] makes one that is accepted.
pub(crate) struct Forgery {
    /// Root, region, zone, instance, leaf. Each is signed with the key before its own; the root with its own.
    pub(crate) chain: Vec<(Content, EcKey)>,
    /// Which certificates, by position, the bundle holds.
    pub(crate) bundle: Vec<usize>,
    /// Whose key, by position, signs the document.
    pub(crate) signer: usize,
    pub(crate) protected: Header,
    pub(crate) unprotected: Header,
    /// Stands right after the map, within the payload.
    pub(crate) after_map: Vec<u8>,
}

/// A signed forgery.
pub(crate) struct Forged {
    pub(crate) message: CoseSign1,
    /// Roots with which it is accepted.
    pub(crate) anchors: TrustAnchors,
}

impl Forgery {
    pub(crate) fn new() -> Self {
        let name = |position: usize| format!("SIMULATED aws.nitro-enclaves {position}");
        let chain = (ROOT..=LEAF).map(|position| {
            let key = EcKey::p384();
            let below = u8::try_from(LEAF - position).expect("there are few");
            let authority = || vec![certificate_authority(below.checked_sub(1)), signs_certificates_and_lists()];
            let content = Content {
                serial: below + 1,
                issuer: name(position.saturating_sub(1)),
                subject: name(position),
                dates: (NOW.0 - 3_600, NOW.0 + 3_600),
                key: key.public(),
                extensions: if position == LEAF { vec![] } else { authority() },
            };
            (content, key)
        });
        Self {
            chain: chain.collect(),
            bundle: (ROOT..LEAF).collect(),
            signer: LEAF,
            protected: HeaderBuilder::new().algorithm(iana::Algorithm::ES384).build(),
            unprotected: Header::default(),
            after_map: vec![],
        }
    }

    /// Puts another key on the certificate at `position`.
    pub(crate) fn replace_key(&mut self, position: usize, key: EcKey) {
        self.chain[position].0.key = key.public();
        self.chain[position].1 = key;
    }

    pub(crate) fn sign(&self) -> Forged {
        self.sign_with(|_| {})
    }

    /// Signs everything, with the payload's map after `change`.
    pub(crate) fn sign_with(&self, change: impl FnOnce(&mut Fields)) -> Forged {
        let certificates: Vec<Vec<u8>> = self
            .chain
            .iter()
            .enumerate()
            .map(|(position, (content, _))| content.signed_by(&self.chain[position.saturating_sub(1)].1))
            .collect();
        let bundle = self.bundle.iter().map(|position| Value::Bytes(certificates[*position].clone())).collect();
        let pcrs = (0..16_u8).map(|index| (index.into(), Value::Bytes(vec![index + 1; 48]))).collect();
        let mut fields = [
            ("module_id", MODULE_ID.into()),
            ("digest", "SHA384".into()),
            ("timestamp", (NOW.0 * 1_000 + 999).into()),
            ("pcrs", Value::Map(pcrs)),
            ("certificate", Value::Bytes(certificates[LEAF].clone())),
            ("cabundle", Value::Array(bundle)),
            ("public_key", Value::Bytes(vec![0xb0; 1024])),
            ("user_data", Value::Bytes(REPORT_DATA.to_vec())),
            ("nonce", Value::Bytes(vec![0xb1; 32])),
        ]
        .map(|(name, value)| (name.into(), value))
        .to_vec();
        change(&mut fields);
        let mut payload = vec![];
        ciborium::into_writer(&Value::Map(fields), &mut payload).expect("memory takes everything");
        payload.extend(&self.after_map);
        let message = CoseSign1Builder::new()
            .protected(self.protected.clone())
            .unprotected(self.unprotected.clone())
            .payload(payload)
            .create_signature(&[], |message| self.chain[self.signer].1.sign_fixed(message))
            .build();
        let anchors = TrustAnchors::with_development(DevelopmentAnchors {
            name: "forge".to_owned(),
            intel_root: None,
            amd_roots: vec![],
            aws_root: Some(certificates[ROOT].clone()),
        });
        Forged { message, anchors }
    }
}

impl Forged {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.message.clone().to_vec().expect("a message has bytes")
    }

    pub(crate) fn verify(&self) -> Result<Claims, VerifyError> {
        self.verify_bytes(&self.bytes())
    }

    pub(crate) fn verified(&self) -> Result<Verified, VerifyError> {
        verified_under(&self.bytes(), &self.anchors)
    }

    /// Verifies other bytes under this forgery's root.
    pub(crate) fn verify_bytes(&self, document: &[u8]) -> Result<Claims, VerifyError> {
        verify_under(document, &self.anchors)
    }
}

pub(crate) fn verify_under(document: &[u8], anchors: &TrustAnchors) -> Result<Claims, VerifyError> {
    verified_under(document, anchors).map(|verified| verified.claims().clone())
}

fn verified_under(document: &[u8], anchors: &TrustAnchors) -> Result<Verified, VerifyError> {
    let evidence = Evidence::new(EvidenceKind::Nitro, document.to_vec())?;
    let binding = ExpectedBinding::new(REPORT_DATA);
    verify(&evidence, &Endorsements::NotNeeded, &binding, anchors, NOW)
}

/// The value of the field `name`.
pub(crate) fn field<'a>(fields: &'a mut Fields, name: &str) -> &'a mut Value {
    fields.iter_mut().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value).expect("it is there")
}

/// Removes the field `name`.
pub(crate) fn remove(fields: &mut Fields, name: &str) {
    fields.retain(|(key, _)| key.as_text() != Some(name));
}
