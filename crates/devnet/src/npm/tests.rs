use std::os::unix::fs::PermissionsExt;
use std::thread;

use super::*;

/// A cache in a folder of its own whose npm is a shell script.
fn cache_with_npm_script(folder: &Path, script: &str) -> Cache {
    let npm = folder.join("npm-for-test");
    fs::write(&npm, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&npm, fs::Permissions::from_mode(0o755)).unwrap();
    Cache::new(folder.join("cache")).with_npm(npm)
}

#[test]
fn the_contracts_are_fetched_once_and_then_come_from_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path());
    let fetched = cache.tarball(&POCO).unwrap();
    assert_eq!(fetched.len(), 435_888);
    let offline = cache.with_npm("/nonexistent/npm");
    assert_eq!(offline.tarball(&POCO).unwrap(), fetched);
}

#[test]
fn a_damaged_file_in_the_cache_is_not_used_but_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path());
    cache.tarball(&POCO).unwrap();
    let path = folder.path().join("iexec-poco-6.1.0.tgz");
    let mut bytes = fs::read(&path).unwrap();
    bytes[1000] ^= 1;
    fs::write(&path, &bytes).unwrap();

    let offline = cache.clone().with_npm("/nonexistent/npm");
    assert!(matches!(offline.tarball(&POCO), Err(FetchError::NpmMissing { .. })));
    assert_eq!(digest(&cache.tarball(&POCO).unwrap()), POCO.sha512);
    assert_eq!(digest(&fs::read(&path).unwrap()), POCO.sha512);
}

#[test]
fn another_file_under_the_right_name_is_refused_and_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let cache = cache_with_npm_script(folder.path(), "echo forged > iexec-poco-6.1.0.tgz");
    let error = cache.tarball(&POCO).unwrap_err();
    assert!(matches!(error, FetchError::WrongDigest { .. }), "{error}");
    assert!(!cache.folder().join("iexec-poco-6.1.0.tgz").exists());
}

#[test]
fn a_missing_npm_is_named_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let error = Cache::new(folder.path()).with_npm("/nonexistent/npm").tarball(&POCO).unwrap_err();
    assert_eq!(
        error.to_string(),
        "npm was not found as `/nonexistent/npm`; install Node.js 20 or later, which brings npm"
    );
}

#[test]
fn a_registry_that_cannot_be_reached_is_reported_with_what_npm_said() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing listens on the discard port.
    let script = r#"exec npm "$@" --registry=http://127.0.0.1:9/ --fetch-retries=0 --cache="$PWD/npm-cache""#;
    let cache = cache_with_npm_script(folder.path(), script);
    let error = cache.tarball(&POCO).unwrap_err();
    assert!(matches!(&error, FetchError::NpmFailed { .. }), "{error}");
    assert!(error.to_string().contains("check that the npm registry can be reached"), "{error}");
    assert!(error.to_string().contains("ECONNREFUSED"), "{error}");
}

#[test]
fn many_at_once_fetch_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"echo run >> "$(dirname "$0")/runs"; exec npm "$@""#;
    let cache = cache_with_npm_script(folder.path(), script);
    thread::scope(|scope| {
        let fetchers: Vec<_> = (0..4).map(|_| scope.spawn(|| cache.tarball(&POCO).unwrap())).collect();
        for fetcher in fetchers {
            assert_eq!(fetcher.join().unwrap().len(), 435_888);
        }
    });
    assert_eq!(fs::read_to_string(folder.path().join("runs")).unwrap(), "run\n");
}

#[test]
fn a_file_that_the_package_lacks_is_named() {
    let tarball = Cache::of_user().unwrap().tarball(&POCO).unwrap();
    let error = file_in(&POCO, &tarball, "bin/poco").unwrap_err();
    assert_eq!(error.to_string(), "@iexec/poco has no file bin/poco");
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn a_program_in_the_cache_that_is_not_the_expected_one_is_never_run() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path()).with_npm("/nonexistent/npm");
    let (package, _) = ANVIL_LINUX_AMD64;
    fs::write(folder.path().join(package.file_stem()), "#!/bin/sh\n").unwrap();
    assert!(matches!(cache.anvil(), Err(FetchError::NpmMissing { .. })));
}
