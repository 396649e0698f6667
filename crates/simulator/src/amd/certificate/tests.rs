//! How the committed certificates were made.

use super::*;
use crate::amd::{ASK_SERIAL, ASVK_SERIAL};
use crate::pki::REVOCATION_URL;

/// Serial number of the roots.
const ARK_SERIAL: u64 = 0x0D5E_0101;

const SUBJECT_KEY_ID: [u64; 4] = [2, 5, 29, 14];
const KEY_USAGE: [u64; 4] = [2, 5, 29, 15];
const BASIC_CONSTRAINTS: [u64; 4] = [2, 5, 29, 19];
const CRL_DISTRIBUTION_POINTS: [u64; 4] = [2, 5, 29, 31];

#[test]
fn the_certificates_next_to_the_source_are_those_that_their_keys_make() {
    let made = files(&RsaKey::root(), &RsaKey::issuing());
    let kept = AmdProduct::ALL.into_iter().flat_map(|product| {
        [root(product), Intermediate::Ask(product).certificate(), Intermediate::Asvk(product).certificate()]
    });
    for ((name, made), kept) in made.iter().zip(kept) {
        assert!(made == kept, "{name}");
    }
}

/// The certificate of a root or intermediate, made from the keys.
fn authority(issuer: &str, subject: &str, serial: u64, path_length: u8, key: &RsaKey, issuing_key: &RsaKey) -> Vec<u8> {
    let public = key.public();
    let tbs = Certificate { serial, issuer, subject, valid: Validity::ALWAYS, key: &public };
    tbs.signed(issuing_key, |extensions| {
        let key_id = key_id(&public);
        let own = construct_der(|writer| writer.write_bytes(&key_id));
        extension(extensions, &SUBJECT_KEY_ID, false, &own);
        extension(extensions, &AUTHORITY_KEY_ID, false, &authority_key_id(&self::key_id(&issuing_key.public())));
        let constraints = construct_der(|writer| {
            writer.write_sequence(|constraints| {
                constraints.next().write_bool(true);
                constraints.next().write_u8(path_length);
            });
        });
        extension(extensions, &BASIC_CONSTRAINTS, true, &constraints);
        // Bits 5 and 6: keyCertSign, cRLSign.
        extension(extensions, &KEY_USAGE, true, &construct_der(|writer| writer.write_bitvec_bytes(&[0b110], 7)));
        extension(extensions, &CRL_DISTRIBUTION_POINTS, false, &distribution_points());
    })
}

/// The certificate files, by name, made from the keys.
fn files(root_key: &RsaKey, issuing_key: &RsaKey) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for product in AmdProduct::ALL {
        let root = root_name(product);
        let name = product.as_str().to_lowercase();
        files.push((format!("ark-{name}.der"), authority(&root, &root, ARK_SERIAL, 1, root_key, root_key)));
        for (kind, serial, intermediate) in
            [("ask", ASK_SERIAL, Intermediate::Ask(product)), ("asvk", ASVK_SERIAL, Intermediate::Asvk(product))]
        {
            let certificate = authority(&root, &intermediate.name(), serial, 0, issuing_key, root_key);
            files.push((format!("{kind}-{name}.der"), certificate));
        }
    }
    files
}

fn distribution_points() -> Vec<u8> {
    construct_der(|writer| {
        writer.write_sequence(|points| {
            points.next().write_sequence(|point| {
                point.next().write_tagged(Tag::context(0), |writer| {
                    writer.write_tagged_implicit(Tag::context(0), |writer| {
                        writer.write_sequence(|names| {
                            names.next().write_tagged_implicit(Tag::context(6), |writer| {
                                writer.write_ia5_string(REVOCATION_URL);
                            });
                        });
                    });
                });
            });
        });
    })
}
