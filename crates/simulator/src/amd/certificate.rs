//! Certificates and revocation lists in AMD's form: RSASSA-PSS with SHA-384 and salts of 48 bytes, its parameters written out
//! with NULL and trailer field, which certificate builders do not do.
//!
//! Roots and intermediates are files next to the source; a test makes them anew from the keys and compares.

use rsa::Pss;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::EncodePublicKey as _;
use rsa::rand_core::{CryptoRng, RngCore, impls};
use sha2::{Digest as _, Sha256, Sha384};
use strongroom_attest::AmdProduct;
use strongroom_attest::claims::SnpTcb;
use yasna::models::{GeneralizedTime, ObjectIdentifier, UTCTime};
use yasna::{DERWriter, DERWriterSeq, Tag, construct_der};

use super::AmdRevocations;
use crate::dates::{Validity, date_time};
use crate::pki::ORGANISATION;

const COMMON_NAME: [u64; 4] = [2, 5, 4, 3];
const ORGANISATION_NAME: [u64; 4] = [2, 5, 4, 10];
const CRL_NUMBER: [u64; 4] = [2, 5, 29, 20];
const CRL_REASON: [u64; 4] = [2, 5, 29, 21];
const AUTHORITY_KEY_ID: [u64; 4] = [2, 5, 29, 35];
const EC_PUBLIC_KEY: [u64; 6] = [1, 2, 840, 10045, 2, 1];
const SECP384R1: [u64; 5] = [1, 3, 132, 0, 34];
const RSASSA_PSS: [u64; 7] = [1, 2, 840, 113_549, 1, 1, 10];
const MGF1: [u64; 7] = [1, 2, 840, 113_549, 1, 1, 8];
const SHA384: [u64; 9] = [2, 16, 840, 1, 101, 3, 4, 2, 2];
/// AMD's arc; `.1` structure version, `.2` product, `.3` firmware versions, `.4` hardware id, `.5` cloud provider.
const AMD: [u64; 8] = [1, 3, 6, 1, 4, 1, 3704, 1];

/// An RSA key of the simulated AMD.
pub(crate) struct RsaKey(rsa::RsaPrivateKey);

impl RsaKey {
    /// The key of all roots.
    pub(crate) fn root() -> Self {
        Self::read(include_bytes!("../../keys/simulated-ark.pkcs1"))
    }

    /// The key of all intermediates.
    pub(crate) fn issuing() -> Self {
        Self::read(include_bytes!("../../keys/simulated-ask.pkcs1"))
    }

    fn read(pkcs1: &[u8]) -> Self {
        Self(rsa::RsaPrivateKey::from_pkcs1_der(pkcs1).expect("the file next to the source is a key"))
    }

    /// PSS with a salt that follows from the message, so that signatures can be made again.
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let digest = Sha384::digest(message);
        let mut salt = SaltOf(Sha384::new().chain_update(b"SIMULATED salt").chain_update(digest).finalize().into(), 0);
        self.0
            .sign_with_rng(&mut salt, Pss::new_with_salt::<rsa::sha2::Sha384>(48), &digest)
            .expect("the digest has the length of SHA-384 and the key is large enough")
    }

    fn public(&self) -> Vec<u8> {
        let public = self.0.to_public_key().to_public_key_der().expect("an RSA key always encodes");
        public.into_vec()
    }
}

/// A stream that begins with 48 given bytes: the salt. What follows only blinds the computation.
struct SaltOf([u8; 48], usize);

impl RngCore for SaltOf {
    fn next_u32(&mut self) -> u32 {
        impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.1 == self.0.len() {
                self.0 = Sha384::digest(self.0).into();
                self.1 = 0;
            }
            *byte = self.0[self.1];
            self.1 += 1;
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

/// Claimed so that the signer takes it; the keys are public, so nothing here needs to be unpredictable.
impl CryptoRng for SaltOf {}

/// Who certifies the keys that sign reports.
#[derive(Clone, Copy)]
pub(crate) enum Intermediate {
    /// Of chips.
    Ask(AmdProduct),
    /// Of cloud providers.
    Asvk(AmdProduct),
}

impl Intermediate {
    /// The certificate, DER.
    pub(crate) fn certificate(self) -> &'static [u8] {
        match self {
            Self::Ask(AmdProduct::Milan) => include_bytes!("../../keys/ask-milan.der"),
            Self::Ask(AmdProduct::Genoa) => include_bytes!("../../keys/ask-genoa.der"),
            Self::Ask(AmdProduct::Turin) => include_bytes!("../../keys/ask-turin.der"),
            Self::Asvk(AmdProduct::Milan) => include_bytes!("../../keys/asvk-milan.der"),
            Self::Asvk(AmdProduct::Genoa) => include_bytes!("../../keys/asvk-genoa.der"),
            Self::Asvk(AmdProduct::Turin) => include_bytes!("../../keys/asvk-turin.der"),
        }
    }

    fn name(self) -> String {
        match self {
            Self::Ask(product) => format!("SIMULATED SEV-{product}"),
            Self::Asvk(product) => format!("SIMULATED SEV-VLEK-{product}"),
        }
    }
}

/// The root certificate of a product, DER.
pub(crate) fn root(product: AmdProduct) -> &'static [u8] {
    match product {
        AmdProduct::Milan => include_bytes!("../../keys/ark-milan.der"),
        AmdProduct::Genoa => include_bytes!("../../keys/ark-genoa.der"),
        AmdProduct::Turin => include_bytes!("../../keys/ark-turin.der"),
    }
}

fn root_name(product: AmdProduct) -> String {
    format!("SIMULATED ARK-{product}")
}

/// What a VCEK or VLEK certificate says.
pub(crate) struct Vek<'a> {
    pub(crate) product: AmdProduct,
    pub(crate) tcb: SnpTcb,
    pub(crate) chip_id: [u8; 64],
    pub(crate) csp_id: Option<&'a str>,
    pub(crate) valid: Validity,
}

/// The certificate of the key (an uncompressed point of P-384) that signs reports, DER.
pub(crate) fn vek(vek: &Vek<'_>, issuer: Intermediate, point: &[u8], issuing_key: &RsaKey) -> Vec<u8> {
    let key = construct_der(|writer| {
        writer.write_sequence(|key| {
            key.next().write_sequence(|algorithm| {
                algorithm.next().write_oid(&ObjectIdentifier::from_slice(&EC_PUBLIC_KEY));
                algorithm.next().write_oid(&ObjectIdentifier::from_slice(&SECP384R1));
            });
            key.next().write_bitvec_bytes(point, point.len() * 8);
        });
    });
    let name = if vek.csp_id.is_some() { "SIMULATED SEV-VLEK" } else { "SIMULATED SEV-VCEK" };
    // AMD gives all of them the serial number 0.
    let tbs = Certificate { serial: 0, issuer: &issuer.name(), subject: name, valid: vek.valid, key: &key };
    tbs.signed(issuing_key, |extensions| {
        let amd = |suffix: &[u64]| [AMD.as_slice(), suffix].concat();
        let version = |value: u8| construct_der(|writer| writer.write_u8(value));
        extension(extensions, &amd(&[1]), false, &version(u8::from(vek.csp_id.is_some())));
        let stepping = if vek.product == AmdProduct::Milan { "B0" } else { "B1" };
        let product = construct_der(|writer| writer.write_ia5_string(&format!("{}-{stepping}", vek.product)));
        extension(extensions, &amd(&[2]), false, &product);
        let SnpTcb { fmc, bootloader, tee, snp, microcode } = vek.tcb;
        for (component, value) in [(1, bootloader), (2, tee), (3, snp), (8, microcode)] {
            extension(extensions, &amd(&[3, component]), false, &version(value));
        }
        if vek.product == AmdProduct::Turin {
            extension(extensions, &amd(&[3, 9]), false, &version(fmc));
        }
        match (vek.csp_id, vek.product) {
            (Some(csp_id), _) => {
                extension(extensions, &amd(&[5]), false, &construct_der(|writer| writer.write_ia5_string(csp_id)));
            }
            (None, AmdProduct::Turin) => extension(extensions, &amd(&[4]), false, &vek.chip_id[..8]),
            (None, _) => extension(extensions, &amd(&[4]), false, &vek.chip_id),
        }
    })
}

/// The root's list of revoked serial numbers, DER.
pub(crate) fn revocation_list(product: AmdProduct, list: &AmdRevocations, root_key: &RsaKey) -> Vec<u8> {
    let tbs = construct_der(|writer| {
        writer.write_sequence(|tbs| {
            tbs.next().write_u8(1);
            write_pss(tbs.next());
            write_name(tbs.next(), &root_name(product));
            write_time(tbs.next(), list.valid.from);
            write_time(tbs.next(), list.valid.until);
            if !list.revoked.is_empty() {
                tbs.next().write_sequence(|entries| {
                    for serial in &list.revoked {
                        entries.next().write_sequence(|entry| {
                            entry.next().write_u64(*serial);
                            write_time(entry.next(), list.valid.from);
                            entry.next().write_sequence(|extensions| {
                                // keyCompromise
                                extension(
                                    extensions,
                                    &CRL_REASON,
                                    false,
                                    &construct_der(|writer| writer.write_enum(1)),
                                );
                            });
                        });
                    }
                });
            }
            tbs.next().write_tagged(Tag::context(0), |writer| {
                writer.write_sequence(|extensions| {
                    let issuer = key_id(&root_key.public());
                    extension(extensions, &AUTHORITY_KEY_ID, false, &authority_key_id(&issuer));
                    extension(extensions, &CRL_NUMBER, false, &construct_der(|writer| writer.write_u64(list.number)));
                });
            });
        });
    });
    signed(&tbs, root_key)
}

struct Certificate<'a> {
    serial: u64,
    issuer: &'a str,
    subject: &'a str,
    valid: Validity,
    /// SubjectPublicKeyInfo, DER.
    key: &'a [u8],
}

impl Certificate<'_> {
    fn signed(&self, issuing_key: &RsaKey, write_extensions: impl FnOnce(&mut DERWriterSeq<'_>)) -> Vec<u8> {
        let tbs = construct_der(|writer| {
            writer.write_sequence(|tbs| {
                tbs.next().write_tagged(Tag::context(0), |version| version.write_u8(2));
                tbs.next().write_u64(self.serial);
                write_pss(tbs.next());
                write_name(tbs.next(), self.issuer);
                tbs.next().write_sequence(|validity| {
                    write_time(validity.next(), self.valid.from);
                    write_time(validity.next(), self.valid.until);
                });
                write_name(tbs.next(), self.subject);
                tbs.next().write_der(self.key);
                tbs.next().write_tagged(Tag::context(3), |writer| writer.write_sequence(write_extensions));
            });
        });
        signed(&tbs, issuing_key)
    }
}

/// SEQUENCE { to be signed, algorithm, signature }.
fn signed(tbs: &[u8], key: &RsaKey) -> Vec<u8> {
    let signature = key.sign(tbs);
    construct_der(|writer| {
        writer.write_sequence(|signed| {
            signed.next().write_der(tbs);
            write_pss(signed.next());
            signed.next().write_bitvec_bytes(&signature, signature.len() * 8);
        });
    })
}

/// { id-RSASSA-PSS, { [0] SHA-384 with NULL, [1] MGF1 over the same, [2] 48, [3] 1 } }.
fn write_pss(writer: DERWriter<'_>) {
    let write_hash = |writer: DERWriter<'_>| {
        writer.write_sequence(|hash| {
            hash.next().write_oid(&ObjectIdentifier::from_slice(&SHA384));
            hash.next().write_null();
        });
    };
    writer.write_sequence(|algorithm| {
        algorithm.next().write_oid(&ObjectIdentifier::from_slice(&RSASSA_PSS));
        algorithm.next().write_sequence(|parameters| {
            parameters.next().write_tagged(Tag::context(0), write_hash);
            parameters.next().write_tagged(Tag::context(1), |writer| {
                writer.write_sequence(|mask| {
                    mask.next().write_oid(&ObjectIdentifier::from_slice(&MGF1));
                    write_hash(mask.next());
                });
            });
            parameters.next().write_tagged(Tag::context(2), |writer| writer.write_u8(48));
            parameters.next().write_tagged(Tag::context(3), |writer| writer.write_u8(1));
        });
    });
}

fn write_name(writer: DERWriter<'_>, common_name: &str) {
    writer.write_sequence(|name| {
        for (kind, value) in [(COMMON_NAME, common_name), (ORGANISATION_NAME, ORGANISATION)] {
            name.next().write_set_of(|set| {
                set.next().write_sequence(|attribute| {
                    attribute.next().write_oid(&ObjectIdentifier::from_slice(&kind));
                    attribute.next().write_utf8_string(value);
                });
            });
        }
    });
}

/// UTCTime until 2049, as RFC 5280 demands.
fn write_time(writer: DERWriter<'_>, at: strongroom_protocol::UnixSeconds) {
    let at = date_time(at);
    if at.year() < 2050 {
        writer.write_utctime(&UTCTime::from_datetime(at));
    } else {
        writer.write_generalized_time(&GeneralizedTime::from_datetime(at));
    }
}

fn extension(extensions: &mut DERWriterSeq<'_>, id: &[u64], critical: bool, content: &[u8]) {
    extensions.next().write_sequence(|extension| {
        extension.next().write_oid(&ObjectIdentifier::from_slice(id));
        if critical {
            extension.next().write_bool(true);
        }
        extension.next().write_bytes(content);
    });
}

fn key_id(public_key: &[u8]) -> Vec<u8> {
    Sha256::digest(public_key)[..20].to_vec()
}

fn authority_key_id(key_id: &[u8]) -> Vec<u8> {
    construct_der(|writer| {
        writer.write_sequence(|id| {
            id.next().write_tagged_implicit(Tag::context(0), |writer| writer.write_bytes(key_id));
        });
    })
}

#[cfg(test)]
mod tests;
