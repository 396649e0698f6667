use super::*;

const PASSWORD: &str = "correct horse battery staple";
const FRESH: Freshness = Freshness { salt: [0x11; 32], iv: [0x22; 16], id: [0x33; 16] };

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32]).unwrap()
}

fn cheap() -> ScryptCost {
    "1024".parse().unwrap()
}

fn fixture(text: &str) -> Keystore {
    Keystore::from_json(text.as_bytes()).unwrap()
}

#[test]
fn the_same_salt_and_vector_give_the_same_bytes_as_ethers() {
    let theirs = fixture(include_str!("../testdata/keystores/ethers-small.json"));
    let ours = Keystore::encrypt(&key(), PASSWORD, cheap(), &FRESH);
    assert_eq!(ours.to_json(), theirs.to_json());
}

#[test]
fn wallets_of_ethers_open_at_their_standard_cost() {
    let wallet = fixture(include_str!("../testdata/keystores/ethers-standard.json"));
    assert_eq!(wallet.decrypt(PASSWORD).unwrap().address(), key().address());
}

#[test]
fn passwords_are_normalised_as_ethers_does() {
    let wallet = fixture(include_str!("../testdata/keystores/ethers-unicode.json"));
    for spelling in ["pässwörd\u{212b}", "pässwörd\u{c5}", "pa\u{308}sswo\u{308}rdA\u{30a}"] {
        assert_eq!(wallet.decrypt(spelling).unwrap().address(), key().address(), "{spelling}");
    }
}

#[test]
fn passwords_that_geth_did_not_normalise_open_too() {
    let raw = "A\u{30a}";
    let params = scrypt::Params::new(10, 8, 1, 32).unwrap();
    let derived = scrypt_key(raw, &FRESH.salt, &params);
    let mut ciphertext = key().expose_secret();
    apply_cipher(&derived, &FRESH.iv, ciphertext.as_mut());
    let mut wallet = Keystore::encrypt(&key(), raw, cheap(), &FRESH);
    wallet.crypto.ciphertext = hex::encode(ciphertext.as_ref());
    wallet.crypto.mac = hex::encode(mac(&derived, ciphertext.as_ref()));
    assert_eq!(wallet.decrypt(raw).unwrap().address(), key().address());
    assert!(matches!(wallet.decrypt("\u{c5}"), Err(KeystoreError::WrongPassword)));
}

#[test]
fn the_pbkdf2_example_of_the_specification_opens() {
    let wallet = fixture(include_str!("../testdata/keystores/pbkdf2-test-vector.json"));
    assert_eq!(wallet.claimed_address(), None);
    let expected = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
    assert_eq!(hex::encode(wallet.decrypt("testpassword").unwrap().expose_secret().as_ref()), expected);
}

#[test]
fn a_wallet_survives_a_round_trip_through_its_file() {
    let text = Keystore::encrypt(&key(), "", cheap(), &FRESH).to_json();
    assert_eq!(fixture(&text).decrypt("").unwrap().address(), key().address());
}

#[test]
fn a_wrong_password_is_told_from_a_damaged_file() {
    let wallet = Keystore::encrypt(&key(), PASSWORD, cheap(), &FRESH);
    assert!(matches!(wallet.decrypt("wrong"), Err(KeystoreError::WrongPassword)));

    let mut changed = Keystore::encrypt(&key(), PASSWORD, cheap(), &FRESH);
    changed.crypto.ciphertext.replace_range(..2, "00");
    assert!(matches!(changed.decrypt(PASSWORD), Err(KeystoreError::WrongPassword)));

    let mut renamed = Keystore::encrypt(&key(), PASSWORD, cheap(), &FRESH);
    renamed.address = Some("5050a4f4b3f9338c3472dcc01a87c76a144b3c9c".to_owned());
    assert!(matches!(renamed.decrypt(PASSWORD), Err(KeystoreError::Damaged)));
}

#[test]
fn what_is_no_wallet_of_version_3_is_refused_with_its_reason() {
    let good = Keystore::encrypt(&key(), PASSWORD, cheap(), &FRESH).to_json();
    let open = |text: String| Keystore::from_json(text.as_bytes()).and_then(|wallet| wallet.decrypt(PASSWORD));
    assert!(matches!(open("{}".into()), Err(KeystoreError::NotAKeystore(_))));
    assert!(matches!(open("0x0101".into()), Err(KeystoreError::NotAKeystore(_))));
    assert!(matches!(open(r#"{"version":1}"#.into()), Err(KeystoreError::WrongVersion { found: 1 })));
    assert!(matches!(open(r#"{"version":3}"#.into()), Err(KeystoreError::NotAKeystore(_))));
    assert!(matches!(open(good.replace("\"scrypt\"", "\"argon2\"")), Err(KeystoreError::NotAKeystore(_))));
    for (from, to) in [
        ("aes-128-ctr", "aes-128-cbc"),
        ("\"dklen\": 32", "\"dklen\": 64"),
        ("\"n\": 1024", "\"n\": 1000"),
        ("\"r\": 8", "\"r\": 0"),
        (&"22".repeat(16), "22"),
        (&"11".repeat(32), "zz"),
    ] {
        let refused = open(good.replace(from, to));
        assert!(matches!(refused, Err(KeystoreError::Unsupported { .. })), "{from} → {to}: {refused:?}");
    }
}

#[test]
fn a_file_cannot_make_us_work_without_bound() {
    let good = Keystore::encrypt(&key(), PASSWORD, cheap(), &FRESH).to_json();
    for (from, to) in
        [("\"n\": 1024", "\"n\": 2097152"), ("\"r\": 8", "\"r\": 4294967295"), ("\"p\": 1", "\"p\": 4294967295")]
    {
        let refused = fixture(&good.replace(from, to)).decrypt(PASSWORD);
        assert!(matches!(refused, Err(KeystoreError::TooCostly)), "{from} → {to}: {refused:?}");
    }
    let slow = include_str!("../testdata/keystores/pbkdf2-test-vector.json").replace("262144", "4294967295");
    assert!(matches!(fixture(&slow).decrypt(PASSWORD), Err(KeystoreError::TooCostly)));
}

#[test]
fn the_cost_is_a_power_of_two_in_a_sane_range() {
    assert_eq!("131072".parse(), Ok(ScryptCost::STANDARD));
    for text in ["", "0", "512", "1000", "2097152", "-1024", "17"] {
        assert_eq!(text.parse::<ScryptCost>(), Err(ParseScryptCostError), "{text}");
    }
}
