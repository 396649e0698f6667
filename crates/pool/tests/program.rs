//! The program as operators call it.

#![allow(clippy::unwrap_used, reason = "its helpers may unwrap like a test")]

use std::path::Path;
use std::process::{Command, Output};

use strongroom_keystore::{Freshness, Keystore};
use strongroom_protocol::SigningKey;

fn pool(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom-pool"));
    command.args(arguments).env_clear().envs(variables.iter().copied());
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Nobody listens at port 1.
const NOWHERE: [(&str, &str); 5] = [
    ("STRONGROOM_POOL_POOL_ADDRESS", "0x0000000000000000000000000000000000000033"),
    ("STRONGROOM_POOL_CHAIN_ENDPOINTS", "http://127.0.0.1:1"),
    ("STRONGROOM_POOL_CHAIN_RETRIES", "0"),
    ("STRONGROOM_POOL_SMS_URL", "http://127.0.0.1:1"),
    ("STRONGROOM_POOL_RUNTIME_GUEST", "/nonexistent/guest"),
];

fn wallet(folder: &Path) -> String {
    let key = SigningKey::from_bytes(&[3; 32]).unwrap();
    let fresh = Freshness { salt: [1; 32], iv: [2; 16], id: [3; 16] };
    let file = folder.join("wallet.json");
    std::fs::write(&file, Keystore::encrypt(&key, "sesame", "1024".parse().unwrap(), &fresh).to_json()).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn settings_that_are_missing_are_named_with_exit_code_3() {
    let output = pool(&["check"], &[]);
    assert_eq!(output.status.code(), Some(3));
    for key in ["pool.address", "chain.endpoints", "sms.url"] {
        assert!(said(&output).contains(key), "{key}: {}", said(&output));
    }
}

#[test]
fn files_that_are_missing_and_addresses_of_another_kind_are_named_by_the_check_of_the_half_that_needs_them() {
    let folder = tempfile::tempdir().unwrap();
    let wallet = wallet(folder.path());
    let mut variables = NOWHERE.to_vec();
    variables.extend([
        ("STRONGROOM_POOL_SCHEDULER_KEYSTORE", wallet.as_str()),
        ("STRONGROOM_POOL_WORKER_KEYSTORE", &wallet),
        ("STRONGROOM_POOL_RUNTIME_GUEST", &wallet),
        ("STRONGROOM_POOL_IMAGES_SOURCES", folder.path().to_str().unwrap()),
        ("STRONGROOM_POOL_RESULTS_GATEWAYS", "https://gateway.example"),
    ]);
    let output = pool(&["check"], &variables);
    assert_eq!((output.status.code(), said(&output).trim()), (Some(0), "the settings are fine"));
    let missing = "/nonexistent/thing";
    for (variable, value, key, halves) in [
        ("STRONGROOM_POOL_SCHEDULER_KEYSTORE", missing, "scheduler.keystore", &["scheduler"][..]),
        ("STRONGROOM_POOL_SCHEDULER_PASSWORD_FILE", missing, "scheduler.password_file", &["scheduler"]),
        ("STRONGROOM_POOL_WORKER_KEYSTORE", missing, "worker.keystore", &["scheduler", "worker"]),
        ("STRONGROOM_POOL_WORKER_PASSWORD_FILE", missing, "worker.password_file", &["worker"]),
        ("STRONGROOM_POOL_RUNTIME_GUEST", missing, "runtime.guest", &["worker"]),
        ("STRONGROOM_POOL_RUNTIME_NATIVE_SIMULATOR", missing, "runtime.native.simulator", &["worker"]),
        ("STRONGROOM_POOL_IMAGES_SOURCES", missing, "images.sources", &["worker"]),
        ("STRONGROOM_POOL_RESULTS_GATEWAYS", "ipfs://gateway.example", "results.gateways", &["scheduler", "worker"]),
        ("STRONGROOM_POOL_RESULTS_PROXY", "ftp://proxy.example", "results.proxy", &["scheduler", "worker"]),
    ] {
        let changed = variables.iter().copied().filter(|(name, _)| *name != variable);
        let changed: Vec<_> = changed.chain([(variable, value)]).collect();
        for half in ["scheduler", "worker"] {
            let output = pool(&["check", "--role", half], &changed);
            let (code, text) = (output.status.code(), said(&output));
            if halves.contains(&half) {
                assert_eq!(code, Some(3), "{key}, {half}: {text}");
                assert!(text.starts_with(&format!("setting {key}: ")) && text.lines().count() == 1, "{text}");
            } else {
                assert_eq!(code, Some(0), "{key}, {half}: {text}");
            }
        }
    }
}

#[test]
fn a_pool_that_can_run_no_enclaves_takes_no_deals_and_says_what_the_doctor_says() {
    let folder = tempfile::tempdir().unwrap();
    let precious = folder.path().join("precious");
    std::fs::write(&precious, "kept").unwrap();
    let state = folder.path().join("state/pool.db");
    let mut variables = NOWHERE.to_vec();
    variables.extend([
        ("STRONGROOM_POOL_POOL_STATE", state.to_str().unwrap()),
        ("STRONGROOM_POOL_POOL_RUNS", folder.path().to_str().unwrap()),
    ]);
    let doctor = said(&pool(&["doctor"], &variables));
    for command in [&["run"][..], &["run", "--role", "worker"]] {
        let output = pool(command, &variables);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(3), "{text}");
        for subject in ["BAD   guest: ", "BAD   runs: "] {
            let line = text.lines().find(|line| line.starts_with(subject));
            assert!(line.is_some_and(|line| doctor.contains(line)), "{subject}: {text}");
        }
        assert!(!text.contains("BAD   chain"), "what may come back is waited for: {text}");
    }
    assert!(!state.exists());
    assert_eq!(std::fs::read_to_string(precious).unwrap(), "kept");
}

#[test]
fn an_unreadable_settings_file_is_named() {
    let output = pool(&["--config", "/nonexistent/pool.toml", "run"], &[]);
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains("/nonexistent/pool.toml"), "{}", said(&output));
}

#[test]
fn help_lists_every_variable() {
    let help = said(&pool(&["--help"], &[]));
    for variable in
        ["STRONGROOM_POOL_SMS_URL", "STRONGROOM_POOL_RUNTIME_NATIVE_SIMULATOR", "STRONGROOM_POOL_LOG_FILTER"]
    {
        assert!(help.contains(variable), "{variable}");
    }
}

#[test]
fn the_doctor_finds_everything_that_is_wrong_and_says_what_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let wallet = wallet(folder.path());
    let mut variables = NOWHERE.to_vec();
    variables.extend([
        ("STRONGROOM_POOL_SCHEDULER_KEYSTORE", wallet.as_str()),
        ("STRONGROOM_POOL_WORKER_KEYSTORE", &wallet),
        ("STRONGROOM_POOL_SCHEDULER_PASSWORD", "sesame"),
        ("STRONGROOM_POOL_WORKER_PASSWORD", "sesame"),
        ("STRONGROOM_POOL_RESULTS_PROXY", "http://127.0.0.1:1"),
        ("STRONGROOM_POOL_RUNTIME_NATIVE_SIMULATOR", "/nonexistent/simulator"),
    ]);
    let output = pool(&["doctor"], &variables);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for bad in ["BAD   chain", "BAD   SMS", "BAD   result proxy", "BAD   guest", "BAD   simulator", "SIMULATED"] {
        assert!(text.contains(bad), "{bad}: {text}");
    }
    assert!(text.contains("ok    owner's wallet") && text.contains("mend: "), "{text}");
    assert!(!text.contains("sesame"), "{text}");
}

#[test]
fn a_wallet_without_a_password_is_asked_for_by_the_names_of_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let wallet = wallet(folder.path());
    let state = folder.path().join("pool.db");
    let mut variables = NOWHERE.to_vec();
    variables.extend([
        ("STRONGROOM_POOL_SCHEDULER_KEYSTORE", wallet.as_str()),
        ("STRONGROOM_POOL_POOL_STATE", state.to_str().unwrap()),
    ]);
    let output = pool(&["run", "--role", "scheduler"], &variables);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("scheduler.password_file") && text.contains("STRONGROOM_POOL_SCHEDULER_PASSWORD"), "{text}");
}

#[test]
fn the_entry_for_the_service_follows_from_the_guest_program() {
    let folder = tempfile::tempdir().unwrap();
    let entry = |content: &str| {
        let guest = folder.path().join("guest");
        std::fs::write(&guest, content).unwrap();
        let output = pool(&["simulated-image", guest.to_str().unwrap()], &[]);
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let one = entry("one");
    assert!(one.starts_with("[[images]]\nname = \"simulated\"\nmrtd = \""), "{one}");
    assert_eq!(one, entry("one"));
    assert_ne!(one, entry("two"));
}
