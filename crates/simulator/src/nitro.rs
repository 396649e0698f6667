//! The simulated AWS Nitro: documents that carry their own certificates, root first.

use std::collections::BTreeMap;

use ciborium::Value;
use coset::{CborSerializable as _, CoseSign1Builder, HeaderBuilder, iana};
use sha2::{Digest as _, Sha384};
use strongroom_protocol::UnixSeconds;

use crate::dates::Validity;
use crate::keys::P384Key;
use crate::pki::{Authority, Role, Subject};

/// How long the certificate of a document lives, in seconds: three hours.
const LEAF_LIFETIME: u64 = 3 * 3600;

/// A Nitro enclave and its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NitroMeasured {
    /// Registers by index, each 48 bytes in a genuine document: 0 image, 1 kernel, 2 application, 3 role, 4 instance, 8 signer.
    pub pcrs: BTreeMap<u8, Vec<u8>>,
    /// Instance and enclave.
    pub module_id: String,
    /// `digest`: what the registers are made with.
    pub digest: String,
    /// When the document is made.
    pub made_at: UnixSeconds,
    /// Dates of the certificate whose key signs; `None` stands for three hours from `made_at`.
    pub leaf_valid: Option<Validity>,
    /// `public_key`, chosen by the enclave.
    pub public_key: Option<Vec<u8>>,
    /// `nonce`, chosen by the enclave.
    pub nonce: Option<Vec<u8>>,
    /// Algorithm in the protected header.
    pub algorithm: iana::Algorithm,
}

impl NitroMeasured {
    /// An enclave that is not in debug mode and asks for a document at `made_at`.
    pub fn at(made_at: UnixSeconds) -> Self {
        let mut pcrs: BTreeMap<u8, Vec<u8>> = (0..16).map(|index| (index, vec![0; 48])).collect();
        for (index, what) in [(0, "image"), (1, "kernel"), (2, "application"), (3, "role"), (4, "instance")] {
            pcrs.insert(index, Sha384::digest(format!("SIMULATED {what}")).to_vec());
        }
        Self {
            pcrs,
            module_id: "i-simulated0000000-enc0000000000000000".to_owned(),
            digest: "SHA384".to_owned(),
            made_at,
            leaf_valid: None,
            public_key: None,
            nonce: None,
            algorithm: iana::Algorithm::ES384,
        }
    }

    /// The same enclave in debug mode: registers 0 to 2 are zero.
    #[must_use]
    pub fn debug(mut self) -> Self {
        for index in 0..3 {
            self.pcrs.insert(index, vec![0; 48]);
        }
        self
    }
}

/// All keys of the simulated AWS and of its enclaves.
pub(crate) struct NitroAuthority {
    root: Authority<P384Key>,
    region: Authority<P384Key>,
    instance: Authority<P384Key>,
    enclave_key: P384Key,
}

impl NitroAuthority {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        let subject = |name, serial, path_length| Subject {
            name,
            serial,
            valid: Validity::ALWAYS,
            role: Role::Authority { path_length },
            extensions: vec![],
        };
        let key = |label| P384Key::derive(seed, label);
        let root = Authority::root(subject("SIMULATED aws.nitro-enclaves", 0x0D5E_0201, 2), key("nitro root"));
        let region = subject("SIMULATED nowhere-1.aws.nitro-enclaves", 0x0D5E_0202, 1);
        let region = Authority::below(&root, region, key("nitro region"));
        let instance = subject("SIMULATED i-simulated0000000.aws.nitro-enclaves", 0x0D5E_0203, 0);
        let instance = Authority::below(&region, instance, key("nitro instance"));
        Self { root, region, instance, enclave_key: key("nitro enclave") }
    }

    /// The root certificate, DER.
    pub(crate) fn root_der(&self) -> &[u8] {
        &self.root.certificate
    }

    /// A signed document: COSE_Sign1 without tag.
    pub(crate) fn document(&self, measured: &NitroMeasured, user_data: &[u8]) -> Vec<u8> {
        let made_at = measured.made_at;
        let subject = Subject {
            name: "SIMULATED i-simulated0000000-enc0000000000000000.nowhere-1.aws",
            serial: made_at.0,
            valid: measured
                .leaf_valid
                .unwrap_or(Validity { from: made_at, until: UnixSeconds(made_at.0.saturating_add(LEAF_LIFETIME)) }),
            role: Role::Signer,
            extensions: vec![],
        };
        let certificate = self.instance.certify(subject, &self.enclave_key);
        let bundle = [&self.root, &self.region, &self.instance];
        let bundle = bundle.map(|authority| Value::Bytes(authority.certificate.clone())).to_vec();
        let pcrs = measured.pcrs.iter().map(|(index, value)| (Value::from(*index), Value::Bytes(value.clone())));
        let optional = |bytes: &Option<Vec<u8>>| bytes.clone().map_or(Value::Null, Value::Bytes);
        let payload = Value::Map(vec![
            (text("module_id"), text(&measured.module_id)),
            (text("digest"), text(&measured.digest)),
            (text("timestamp"), Value::from(made_at.0.saturating_mul(1000))),
            (text("pcrs"), Value::Map(pcrs.collect())),
            (text("certificate"), Value::Bytes(certificate)),
            (text("cabundle"), Value::Array(bundle)),
            (text("public_key"), optional(&measured.public_key)),
            (text("user_data"), Value::Bytes(user_data.to_vec())),
            (text("nonce"), optional(&measured.nonce)),
        ]);
        let payload = payload.to_vec().expect("a map of texts, numbers and bytes always encodes");
        CoseSign1Builder::new()
            .protected(HeaderBuilder::new().algorithm(measured.algorithm).build())
            .payload(payload)
            .create_signature(&[], |message| self.enclave_key.sign_raw(message).to_vec())
            .build()
            .to_vec()
            .expect("a complete message always encodes")
    }
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}
