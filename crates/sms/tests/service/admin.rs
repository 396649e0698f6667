//! `/admin`: backups, for whoever has the key.

use std::path::{Path, PathBuf};

use strongroom_protocol::challenge;
use strongroom_sms::config::ApiKey;

use super::raw_http::{Answer, Request};
use super::running::{Running, framework_json, signed, value, wallet};

async fn with_key(key: &str) -> Running {
    let key = ApiKey::new(key.to_owned());
    let running = Running::start_with(|config| {
        config.rate_limit.enabled = false;
        config.admin.api_key = key;
    })
    .await;
    std::fs::create_dir_all(backup_folder(&running).join("store")).unwrap();
    running
}

fn backup_folder(running: &Running) -> PathBuf {
    running.folder.path().join("backup")
}

/// A folder as the routes name it.
fn id(folder: &Path) -> String {
    hex::encode(folder.as_os_str().as_encoded_bytes())
}

async fn admin(running: &Running, method: &str, target: &str) -> Answer {
    running.send(&Request::new(method, target).header("X-API-KEY", "open-sesame")).await
}

async fn push(running: &Running, name: &str) -> u16 {
    let owner = wallet(1).address();
    let signature = signed(&wallet(1), challenge::push_account_secret(owner, name, &value("x")));
    let target = format!("/secrets/web2?ownerAddress={owner}&secretName={name}");
    running.send(&Request::new("POST", &target).header("Authorization", &signature).body("x")).await.status
}

async fn exists(running: &Running, name: &str) -> bool {
    let owner = wallet(1).address();
    running.head(&format!("/secrets/web2?ownerAddress={owner}&secretName={name}")).await == 204
}

#[tokio::test]
async fn without_a_configured_key_nobody_gets_in() {
    let running = with_key("  ").await;
    for path in ["/admin/backup", "/admin/nowhere", "/admin"] {
        running.send(&Request::new("POST", path).header("X-API-KEY", "  ")).await.assert(
            403,
            "This endpoint is disabled.",
            path,
        );
    }
}

#[tokio::test]
async fn only_the_key_lets_in() {
    let running = with_key("open-sesame").await;
    for key in [None, Some(""), Some("open-sesam"), Some("open-sesame2"), Some("OPEN-SESAME")] {
        let mut request = Request::new("POST", "/admin/backup");
        if let Some(key) = key {
            request = request.header("X-API-KEY", key);
        }
        running.send(&request).await.assert(401, "You are not authorized to access this endpoint.", "wrong key");
    }
    admin(&running, "POST", "/admin/backup").await.assert(201, "", "the key");
    admin(&running, "POST", "/admin/nowhere").await.assert(
        404,
        &framework_json(404, "Not Found", "/admin/nowhere"),
        "route",
    );
}

#[tokio::test]
async fn a_backup_is_made_copied_restored_and_deleted() {
    let running = with_key("open-sesame").await;
    let store = id(&backup_folder(&running).join("store"));
    assert_eq!(push(&running, "before").await, 204);
    for again in [false, true] {
        admin(&running, "POST", "/admin/backup").await.assert(201, "", &format!("backup, again: {again}"));
    }
    let replicate = format!("/admin/{store}/replicate-backup?fileName=monday.db");
    admin(&running, "POST", &replicate).await.assert(200, "", "replicate");
    admin(&running, "POST", &replicate).await.assert(500, "", "the destination exists");
    assert_eq!(push(&running, "after").await, 204);

    let copy = format!("/admin/{store}/copy-to/{store}?sourceFileName=monday.db&destinationFileName=tuesday.db");
    admin(&running, "POST", &copy).await.assert(200, "", "copy");
    admin(&running, "DELETE", &format!("/admin/{store}/delete-backup?fileName=monday.db"))
        .await
        .assert(200, "", "delete");
    admin(&running, "DELETE", &format!("/admin/{store}/delete-backup?fileName=monday.db"))
        .await
        .assert(500, "", "gone");

    assert!(exists(&running, "after").await);
    let restore = |name: &str| format!("/admin/{store}/restore-backup?fileName={name}");
    admin(&running, "POST", &restore("monday.db")).await.assert(404, "", "no such backup");
    admin(&running, "POST", &restore("tuesday.db")).await.assert(200, "", "restore");
    assert!(exists(&running, "before").await);
    assert!(!exists(&running, "after").await);
    assert_eq!(push(&running, "after").await, 204, "the restored store takes writes");
    assert_eq!(push(&running, "before").await, 409);
}

#[tokio::test]
async fn a_file_that_is_no_backup_leaves_the_store_as_it_is() {
    let running = with_key("open-sesame").await;
    let folder = backup_folder(&running).join("store");
    std::fs::write(folder.join("fake.db"), "no database").unwrap();
    assert_eq!(push(&running, "kept").await, 204);
    let restore = format!("/admin/{}/restore-backup?fileName=fake.db", id(&folder));
    admin(&running, "POST", &restore).await.assert(500, "", "no backup");
    assert!(exists(&running, "kept").await);
    assert_eq!(push(&running, "another").await, 204);
}

#[tokio::test]
async fn copies_have_the_name_of_the_source_unless_another_is_given() {
    let running = with_key("open-sesame").await;
    let (from, to) = (backup_folder(&running).join("store"), backup_folder(&running).join("other"));
    std::fs::create_dir(&to).unwrap();
    std::fs::write(from.join("a"), "content").unwrap();
    let copy = format!("/admin/{}/copy-to/{}?sourceFileName=a", id(&from), id(&to));
    admin(&running, "POST", &copy).await.assert(200, "", "copy");
    assert_eq!(std::fs::read_to_string(to.join("a")).unwrap(), "content");
}

#[tokio::test]
async fn nothing_outside_of_the_backup_folder_is_touched() {
    let running = with_key("open-sesame").await;
    let inside = backup_folder(&running).join("store");
    let outside = running.folder.path().join("backup-of-others");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("theirs"), "theirs").unwrap();
    std::os::unix::fs::symlink(&outside, inside.join("linked")).unwrap();
    std::os::unix::fs::symlink(outside.join("theirs"), inside.join("link")).unwrap();
    admin(&running, "POST", "/admin/backup").await.assert(201, "", "backup");

    let (inside, outside, linked) = (id(&inside), id(&outside), id(&backup_folder(&running).join("store/linked")));
    for (method, target, status) in [
        ("POST", format!("/admin/{outside}/replicate-backup?fileName=mine"), 500),
        ("POST", format!("/admin/{linked}/replicate-backup?fileName=mine"), 500),
        ("POST", format!("/admin/{inside}/replicate-backup?fileName=../../backup-of-others/mine"), 500),
        ("POST", format!("/admin/{inside}/replicate-backup?fileName=.."), 500),
        ("POST", format!("/admin/{inside}/replicate-backup?fileName=a%2Fb"), 500),
        ("DELETE", format!("/admin/{outside}/delete-backup?fileName=theirs"), 500),
        ("DELETE", format!("/admin/{inside}/delete-backup?fileName=link"), 500),
        ("POST", format!("/admin/{inside}/restore-backup?fileName=link"), 404),
        ("POST", format!("/admin/{outside}/copy-to/{inside}?sourceFileName=theirs"), 500),
        ("POST", format!("/admin/{inside}/copy-to/{inside}?sourceFileName=link&destinationFileName=x"), 404),
    ] {
        admin(&running, method, &target).await.assert(status, "", &target);
    }
    let found: Vec<_> = std::fs::read_dir(running.folder.path().join("backup-of-others")).unwrap().collect();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_by_the_status() {
    let running = with_key("open-sesame").await;
    let store = id(&backup_folder(&running).join("store"));
    let missing = id(&backup_folder(&running).join("missing"));
    let framework = |path: String| framework_json(400, "Bad Request", &path);
    for (method, target, status, body) in [
        (
            "POST",
            format!("/admin/{store}/replicate-backup"),
            400,
            framework(format!("/admin/{store}/replicate-backup")),
        ),
        ("POST", format!("/admin/{store}/restore-backup"), 400, framework(format!("/admin/{store}/restore-backup"))),
        ("DELETE", format!("/admin/{store}/delete-backup"), 400, framework(format!("/admin/{store}/delete-backup"))),
        ("POST", format!("/admin/{store}/copy-to/{store}"), 400, framework(format!("/admin/{store}/copy-to/{store}"))),
        ("POST", format!("/admin/{store}/replicate-backup?fileName=+"), 400, String::new()),
        ("POST", "/admin/%20/replicate-backup?fileName=a".to_owned(), 400, String::new()),
        ("POST", format!("/admin/{missing}/replicate-backup?fileName=a"), 404, String::new()),
        ("POST", "/admin/xyz/replicate-backup?fileName=a".to_owned(), 500, String::new()),
        ("POST", "/admin/abc/replicate-backup?fileName=a".to_owned(), 500, String::new()),
        ("POST", format!("/admin/{store}/replicate-backup?fileName=a"), 404, String::new()),
        ("POST", format!("/admin/{store}/copy-to/{missing}?sourceFileName=a"), 404, String::new()),
        ("POST", format!("/admin/{store}/copy-to/{store}?sourceFileName=a"), 404, String::new()),
    ] {
        admin(&running, method, &target).await.assert(status, &body, &target);
    }
}
