//! Golden vectors: deterministic (RFC 6979) signatures made with ethers 6.17.0 and seen on the wire from the stock SDK.

use alloy_primitives::{address, b256};

use super::*;
use crate::address::parse_any_case;
use crate::ids::DealId;
use crate::signature::{SigningKey, eip191_digest};

const APP: Address = address!("abcdefabcdefabcdefabcdefabcdefabcdefabcd");
const DATASET: Address = address!("1234567890123456789012345678901234567890");

fn key(byte: u8) -> SigningKey {
    SigningKey::from_bytes(&[byte; 32]).unwrap()
}

fn owner() -> SigningKey {
    key(1)
}

fn value(text: &str) -> SecretValue {
    SecretValue::new(text.as_bytes().to_vec()).unwrap()
}

fn task() -> TaskId {
    TaskId::of(DealId::from(B256::repeat_byte(0x22)), 0)
}

#[track_caller]
fn assert_signed(signer: &SigningKey, challenge: B256, signature: &str) {
    assert_eq!(signer.sign(challenge).to_string(), signature);
    assert_eq!(signature.parse::<crate::Signature>().unwrap().recover(challenge).unwrap(), signer.address());
}

#[test]
fn the_domain_is_the_hash_of_its_text() {
    assert_eq!(keccak256("IEXEC_SMS_DOMAIN"), DOMAIN);
}

#[test]
fn the_actors_of_the_vectors_have_their_addresses() {
    for (byte, expected) in [
        (1, "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1"),
        (2, "0x5050A4F4b3f9338C3472dcC01A87C76A144b3c9c"),
        (3, "0x3325a78425F17a7E487Eb5666b2bFd93aBb06c70"),
        (4, "0xc48B812bB43401392c037381AcA934F4069C0517"),
    ] {
        assert_eq!(key(byte).address(), parse_any_case(expected).unwrap());
    }
}

#[test]
fn a1_app_secret() {
    let challenge = push_app_secret(APP, &value("app-secret"));
    assert_eq!(challenge, b256!("aa799365186839fd95065456f76f334b949a32058c5339bd94f419ec3cc7c430"));
    assert_eq!(eip191_digest(challenge), b256!("51e0240bec14539532c086e99c14da1620184765d5a153be8e0fbe60610a05dd"));
    assert_signed(
        &owner(),
        challenge,
        "0xedf0cff6431f1fd6a68143ac3b1b4b6730a2567ab0c01314e7264214c55122eb7becfffdc82d68d927920d06fac782c6c37ef0238d03e7042281cb21c6103ddf1c",
    );
}

#[test]
fn a2_requester_secret_beyond_ascii() {
    let challenge = push_requester_secret(owner().address(), "my-secret_1", &value("s3cr3t é"));
    assert_eq!(challenge, b256!("b6e50bfd6118809ddb0ae3416a2bb1d11e904cc4a9db8e0bc5d9df70cc478663"));
    assert_eq!(eip191_digest(challenge), b256!("37b62ea588ee4e24b2b19c4dbf92cd2f2f6bcce9635901cf5ed3071bcdfef5c1"));
    assert_signed(
        &owner(),
        challenge,
        "0x0f04bb3ee51182f0dc5a11d68787bf17927542853f1cbd36f7186ba882751ad4375096b13d2dcb133a721357f97fea9ef8a122e887b33d59f49e5f33b73db6d11b",
    );
}

#[test]
fn a3_dataset_secret() {
    let challenge = push_dataset_secret(DATASET, &value("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="));
    assert_eq!(challenge, b256!("bb184c50c37738880dc101ad9435f74be980e498e96a38c15354fcccddad554a"));
    assert_eq!(eip191_digest(challenge), b256!("69901df94747e8d4791f720670890d44d8094a52758452b5e41ae8ad7ca6356d"));
    assert_signed(
        &owner(),
        challenge,
        "0x0ac3d025e9f66dd10fafb4898917e19a3516553184b351722bede920f8a68df2648f9ecb2c25d6800a7a1388f6ea25c7db68ee2a2db586d6b587acd3db24f7b81b",
    );
}

#[test]
fn a4_to_a8_account_secrets() {
    struct Vector {
        signer: u8,
        name: &'static str,
        value: &'static str,
        challenge: B256,
        signature: &'static str,
    }
    let vectors = [
        Vector {
            signer: 1,
            name: AccountSecretName::DROPBOX_TOKEN,
            value: "dbx-token",
            challenge: b256!("db6e3f3f990d132a8520b5a93f17cd33388a3e60cb3f8ffbd5865776d5a6dfa2"),
            signature: "0xb6efa6613f76136ff970496ddb51e5724ada1d07aaa11ad9e9ac252ca28c41af6a85369fc89daf6d5cf1e3f5f46bd150cafcc988fe75044b6111a15cd7af0e2f1b",
        },
        Vector {
            signer: 1,
            name: AccountSecretName::DROPBOX_TOKEN,
            value: "dbx-token2",
            challenge: b256!("a8b02f453b8c2f78113c3b9c2e997ba8532eb8addb9768d49504df2212c3a7af"),
            signature: "0xe9303b2008f17af47147ebfea9a5beea1555838270b67c20693c2ee2f611f5ca34d0935107984b3bf668d7cdc0b0701c00e084012a3dc2ef532d9e0fab498c1f1c",
        },
        Vector {
            signer: 1,
            name: AccountSecretName::RESULT_ENCRYPTION_KEY,
            value: "LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0KTUZ3d0RRWUoKLS0tLS1FTkQgUFVCTElDIEtFWS0tLS0t",
            challenge: b256!("f383b5bf949e4236dbfb1e99181e881a6359e77c602c2be70c3c54dc135c1e83"),
            signature: "0xac3185be770a5af7e3df2a5eb1527750c1640144e5622b5a6a91340f2769ff6a249b8d87e3028f43d87cadfe0d41c79a5d6cc0610126a4ca106a06e4b753a9ab1c",
        },
        Vector {
            signer: 2,
            name: AccountSecretName::RESULT_PROXY_URL,
            value: "https://result.example.org",
            challenge: b256!("82edd635fa0f9311b1a366a05a34c35ce6aaca054ad5ce0ab5a30714a7b6a9d3"),
            signature: "0x3f5e31467e0d37e9085f176e0fd978009af5c406dec756cc0aebc48c24750e245bdf01692b47a24580fb1c5ee755fb3298192c0177929bfad13d2b5df556ae5b1b",
        },
        Vector {
            signer: 3,
            name: AccountSecretName::RESULT_PROXY_TOKEN,
            value: "eyJhbGciOiJIUzI1NiJ9.e30.x",
            challenge: b256!("92294cf1968540ad3100b3762aaeab3ed31cbc26963052d74226e9ce38abaa00"),
            signature: "0xa184186df13ff62780277b3471460c8c0c7ea7a5c76cfba156d88979f97874035b8d6d8d00ea0c250bbe4eed154cd81ae023579a0fe88d74910f037fb332d54f1b",
        },
    ];
    for vector in vectors {
        let signer = key(vector.signer);
        let challenge = push_account_secret(signer.address(), vector.name, &value(vector.value));
        assert_eq!(challenge, vector.challenge, "{} = {}", vector.name, vector.value);
        assert_signed(&signer, challenge, vector.signature);
    }
}

#[test]
fn a10_enclave_challenge_request() {
    let challenge = enclave_challenge_request(task());
    assert_eq!(challenge, b256!("673d36cb27edb5358d964cee8fbe9b5391d86930b6cf4eb0997a07d72c7b25bc"));
    assert_eq!(eip191_digest(challenge), b256!("fe6c0e2dc4b30130243a9d5028f836c37a620493eda0e953a05ba44fb989ee47"));
    assert_signed(
        &key(2),
        challenge,
        "0xd669f624643903733f803817cb1a7aa9041b8e5df90eec0681d760ff62004bdb746e21fb97ae3696d577785de3cb17664fc0a2aa7d1243fa146418ac8f564b1f1b",
    );
}

#[test]
fn a11_authorization_of_worker_and_pool() {
    let challenge = workerpool_authorization(key(3).address(), task(), key(4).address());
    assert_eq!(challenge, b256!("99797f92eaed5f5650554457c7b75b00959eae3fdeb8d91d7778d54e87d63e41"));
    assert_eq!(eip191_digest(challenge), b256!("4e3c368630906c817a58ca259fb3e0b2730c883d4cd1dd38b5bc3fd4991b0325"));
    assert_signed(
        &key(2),
        challenge,
        "0xdf2e61afa987d93900e32afbb778ce9f9103f4503b100833ca6dc86674f905f01502a7f7f693277169210b2462ab7cfaccd2ee8e06d693c36a756edffc728cdd1b",
    );
    assert_signed(
        &key(3),
        challenge,
        "0x412da7a5933a93b64fffa60aa2f02220cbc810875718b335edb3295aa99dfcfd3a26b42f4b0e36909abe450a5b61aa60696fd3e388256cd02af35f2b9d986cd61c",
    );
}

#[test]
fn a_whole_id_gives_the_challenge_of_its_kind() {
    let owner = owner().address();
    let secret = value("v");
    let account = SecretId::Account { owner, name: "Mixed-Case".parse().unwrap() };
    assert_eq!(push(&SecretId::App(APP), None, &secret), push_app_secret(APP, &secret));
    assert_eq!(push(&SecretId::Dataset(DATASET), None, &secret), push_dataset_secret(DATASET, &secret));
    assert_eq!(push(&account, Some("Mixed-Case"), &secret), push_account_secret(owner, "Mixed-Case", &secret));
    assert_eq!(push(&account, Some("other"), &secret), push_account_secret(owner, "mixed-case", &secret));
    let requester = SecretId::Requester { owner, name: "Key_1".parse().unwrap() };
    assert_eq!(push(&requester, None, &secret), push_requester_secret(owner, "Key_1", &secret));
}

#[test]
fn each_part_of_a_request_for_the_journal_counts() {
    let deployment = Deployment { chain_id: 1, hub: APP, sms: DATASET };
    let original = read_journal(deployment, task(), UnixSeconds(5));
    let others = [
        read_journal(Deployment { chain_id: 2, ..deployment }, task(), UnixSeconds(5)),
        read_journal(Deployment { hub: DATASET, ..deployment }, task(), UnixSeconds(5)),
        read_journal(Deployment { sms: APP, ..deployment }, task(), UnixSeconds(5)),
        read_journal(deployment, TaskId::from(B256::ZERO), UnixSeconds(5)),
        read_journal(deployment, task(), UnixSeconds(6)),
    ];
    for other in others {
        assert_ne!(other, original);
    }
}

#[test]
fn a13_golden_values_of_the_old_service() {
    assert_eq!(c1(&[], "0", &value("")), b256!("31991eefc2731228bdd25dbc5a242722eda3869f9b06536dbd96a774e5228509"));
    assert_eq!(
        c2(&[0x01, 0x23], &value("ghijk")),
        b256!("8d0b92aaf96f66f172d7615b81f257ebdece2278b7da6c60127cad45852eaaf6")
    );
}
