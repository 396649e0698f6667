use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::*;

const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn counting() -> [u8; 32] {
    std::array::from_fn(|index| u8::try_from(index).unwrap())
}

#[test]
fn a_key_is_written_in_hex_or_base64_with_or_without_padding_and_white_space() {
    for text in [HEX, &HEX.to_uppercase(), BASE64, &BASE64[..43], &format!(" {HEX}\r\n"), &format!("{BASE64}\n")] {
        assert_eq!(*parse(text.as_bytes()).unwrap(), counting(), "{text:?}");
    }
}

#[test]
fn what_is_not_a_key_is_refused_and_not_repeated() {
    let cut = &HEX[..62];
    let long = format!("{HEX}00");
    let prefixed = format!("0x{HEX}");
    let wrong = HEX.replace('a', "g");
    let odd = BASE64.replace('A', "?");
    for text in ["", " ", cut, &long, &prefixed, &wrong, &odd, &BASE64[..42], &counting_as_text()] {
        let error = parse(text.as_bytes()).unwrap_err();
        assert!(matches!(error, RootKeyError::Malformed), "{text:?}");
        assert!(text.len() < 8 || !error.to_string().contains(&text[..8]));
    }
}

/// 32 raw bytes look like half a key in hex to whoever copies them: not accepted.
fn counting_as_text() -> String {
    "0123456789abcdef0123456789abcdef".to_owned()
}

#[test]
fn a_new_key_file_is_private_and_read_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys/root.key");
    let random = SystemRandom::new();
    let source = RootKeySource::File(path.clone());
    let first = source.load(IfMissing::Create, &random).unwrap();
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
    assert_eq!(path.parent().unwrap().metadata().unwrap().mode() & 0o777, 0o700);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");

    let second = source.load(IfMissing::Refuse, &random).unwrap();
    let wrapped = first.0.wrap(&[5; 32], b"aad", &random).unwrap();
    assert_eq!(*second.0.unwrap(&wrapped, b"aad").unwrap(), [5; 32]);
}

#[test]
fn a_key_that_another_process_just_made_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    std::fs::write(&path, HEX).unwrap();
    create(&path, &SystemRandom::new()).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), HEX);
}

#[test]
fn a_missing_key_is_made_only_when_there_is_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    let random = SystemRandom::new();
    let refused = RootKeySource::File(path.clone()).load(IfMissing::Refuse, &random);
    assert!(matches!(refused, Err(RootKeyError::Missing { .. })));
    assert!(!path.exists());
    for if_missing in [IfMissing::Create, IfMissing::Refuse] {
        let refused = RootKeySource::Credential(path.clone()).load(if_missing, &random);
        assert!(matches!(refused, Err(RootKeyError::NoCredential { .. })));
        assert!(!path.exists(), "a credential is never made here");
    }
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    std::fs::write(&path, HEX).unwrap();
    let random = SystemRandom::new();
    for (mode, file_accepted, credential_accepted) in [
        (0o400, true, true),
        (0o600, true, true),
        (0o700, true, true),
        (0o440, false, true),
        (0o640, false, true),
        (0o660, false, false),
        (0o604, false, false),
        (0o644, false, false),
        (0o601, false, false),
    ] {
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let file = RootKeySource::File(path.clone()).load(IfMissing::Create, &random);
        assert_eq!(file.is_ok(), file_accepted, "file with mode {mode:o}");
        assert!(file_accepted || matches!(file, Err(RootKeyError::TooOpen { .. })));
        let credential = RootKeySource::Credential(path.clone()).load(IfMissing::Create, &random);
        assert_eq!(credential.is_ok(), credential_accepted, "credential with mode {mode:o}");
    }
}

#[test]
fn a_folder_is_not_a_key_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
    let source = RootKeySource::File(folder.path().to_owned());
    assert!(matches!(
        source.load(IfMissing::Create, &SystemRandom::new()),
        Err(RootKeyError::NotAFile { .. } | RootKeyError::File { .. })
    ));
}

#[test]
fn the_key_of_the_environment_is_the_same_key() {
    let random = SystemRandom::new();
    let text = |text: &str| RootKeySource::Env(SecretValue::new(text.as_bytes().to_vec()).unwrap());
    let (hex, base64) = (text(HEX), text(BASE64));
    assert_eq!(format!("{hex:?}"), "Env(SecretValue(..))");
    let wrapped = hex.load(IfMissing::Refuse, &random).unwrap().0.wrap(&[5; 32], b"aad", &random).unwrap();
    let opened = base64.load(IfMissing::Refuse, &random).unwrap().0.unwrap(&wrapped, b"aad");
    assert_eq!(*opened.unwrap(), [5; 32]);
}
