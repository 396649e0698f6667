use strongroom_content::cid::AddAs;

use super::*;
use crate::test_server::{Answer, Server};
use crate::values::values;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const PLAIN: &[u8] = b"some very useful data";

/// The encrypted file and its checksum as text.
fn encrypted() -> (Vec<u8>, String) {
    let mut file = Vec::new();
    let checksum =
        dataset::encrypt(&DatasetKey::from_text(KEY.as_bytes()).unwrap(), [7; 16], PLAIN, &mut file).unwrap();
    (file, format!("{checksum:#x}"))
}

async fn server() -> Server {
    Server::start(|request| match request.path.as_str() {
        "/data" => Answer::ok(encrypted().0),
        "/input" => Answer::ok("an input"),
        path if path.starts_with("/ipfs/") => Answer::ok("an input"),
        _ => Answer::status(404),
    })
    .await
}

struct Run {
    folder: tempfile::TempDir,
    outcome: Result<(), Vec<StageFailure>>,
}

impl Run {
    fn causes(&self) -> Vec<&'static str> {
        self.outcome.as_ref().unwrap_err().iter().map(|failure| failure.cause).collect()
    }
}

/// Runs the stage with the values of a good dataset, changed by `changes`.
async fn run_with(server: &Server, changes: &[(&str, &str)]) -> Run {
    run_at(server, &[server], changes).await
}

/// As [`run_with`], with these gateways.
async fn run_at(server: &Server, gateways: &[&Server], changes: &[(&str, &str)]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}/data", server.url);
    let checksum = encrypted().1;
    let mut entries = vec![
        ("IEXEC_PRE_COMPUTE_OUT", folder.path().to_str().unwrap()),
        ("IS_DATASET_REQUIRED", "true"),
        ("IEXEC_DATASET_URL", &url),
        ("IEXEC_DATASET_CHECKSUM", &checksum),
        ("IEXEC_DATASET_FILENAME", "0xdata"),
        ("IEXEC_DATASET_KEY", KEY),
        ("IEXEC_INPUT_FILES_NUMBER", "0"),
    ];
    entries.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    entries.extend_from_slice(changes);
    let gateways: Vec<Url> = gateways.iter().map(|gateway| gateway.url.parse().unwrap()).collect();
    let outcome = run(&values(&entries), &Way::Network, &gateways).await;
    Run { folder, outcome }
}

#[tokio::test]
async fn datasets_and_inputs_arrive_checked_and_open() {
    let server = server().await;
    let url = format!("{}/input", server.url);
    let run = run_with(&server, &[("IEXEC_INPUT_FILES_NUMBER", "1"), ("IEXEC_INPUT_FILE_URL_1", &url)]).await;
    run.outcome.unwrap();
    assert_eq!(std::fs::read(run.folder.path().join("0xdata")).unwrap(), PLAIN);
    let name = format!("0x{}", hex::encode(Sha256::digest(&url)));
    assert_eq!(std::fs::read(run.folder.path().join(name)).unwrap(), b"an input");
}

#[tokio::test]
async fn all_datasets_of_a_list_arrive() {
    let server = server().await;
    let (url, checksum) = (format!("{}/data", server.url), encrypted().1);
    let numbered: Vec<(String, &str)> = (1..=2)
        .flat_map(|number| {
            let name = |suffix| format!("IEXEC_DATASET_{number}_{suffix}");
            let file = if number == 1 { "0xone" } else { "0xtwo" };
            [(name("URL"), url.as_str()), (name("CHECKSUM"), &checksum), (name("FILENAME"), file), (name("KEY"), KEY)]
        })
        .collect();
    let mut changes: Vec<(&str, &str)> = numbered.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    changes.extend([("IS_DATASET_REQUIRED", "false"), ("IEXEC_BULK_SLICE_SIZE", "2")]);
    let run = run_with(&server, &changes).await;
    run.outcome.unwrap();
    for file in ["0xone", "0xtwo"] {
        assert_eq!(std::fs::read(run.folder.path().join(file)).unwrap(), PLAIN);
    }
}

#[tokio::test]
async fn each_cause_has_its_word_and_leaves_nothing_behind() {
    let server = server().await;
    let missing = format!("{}/nothing", server.url);
    let other_key = "ubA6H9emVPJT91/flYAmnKHC0phSV3cfuqsLxQfgow0=";
    let id = Cid::of(&b"other content"[..], AddAs::V0).unwrap();
    let ipfs = format!("/ipfs/{id}");
    let zeros = format!("0x{}", "00".repeat(32));
    let cases: [(&[(&str, &str)], &str); 15] = [
        (&[("IEXEC_PRE_COMPUTE_OUT", "")], "PRE_COMPUTE_OUTPUT_PATH_MISSING"),
        (&[("IEXEC_PRE_COMPUTE_OUT", "/nonexistent/folder")], "PRE_COMPUTE_OUTPUT_FOLDER_NOT_FOUND"),
        (&[("IEXEC_DATASET_URL", "")], "PRE_COMPUTE_DATASET_URL_MISSING"),
        (&[("IEXEC_DATASET_CHECKSUM", "")], "PRE_COMPUTE_DATASET_CHECKSUM_MISSING"),
        (&[("IEXEC_DATASET_FILENAME", "")], "PRE_COMPUTE_DATASET_FILENAME_MISSING"),
        (&[("IEXEC_DATASET_FILENAME", "../x")], "PRE_COMPUTE_DATASET_FILENAME_MISSING"),
        (&[("IEXEC_DATASET_KEY", "")], "PRE_COMPUTE_DATASET_KEY_MISSING"),
        (&[("IEXEC_DATASET_KEY", "no key")], "PRE_COMPUTE_DATASET_DECRYPTION_FAILED"),
        (&[("IEXEC_DATASET_KEY", other_key)], "PRE_COMPUTE_DATASET_DECRYPTION_FAILED"),
        (&[("IEXEC_DATASET_CHECKSUM", &zeros)], "PRE_COMPUTE_INVALID_DATASET_CHECKSUM"),
        (&[("IEXEC_DATASET_URL", &missing)], "PRE_COMPUTE_DATASET_DOWNLOAD_FAILED"),
        (&[("IEXEC_DATASET_URL", "nowhere")], "PRE_COMPUTE_DATASET_DOWNLOAD_FAILED"),
        (&[("IEXEC_INPUT_FILES_NUMBER", "1")], "PRE_COMPUTE_AT_LEAST_ONE_INPUT_FILE_URL_MISSING"),
        (
            &[("IEXEC_INPUT_FILES_NUMBER", "1"), ("IEXEC_INPUT_FILE_URL_1", &missing)],
            "PRE_COMPUTE_INPUT_FILE_DOWNLOAD_FAILED",
        ),
        (
            &[("IEXEC_INPUT_FILES_NUMBER", "1"), ("IEXEC_INPUT_FILE_URL_1", &ipfs)],
            "PRE_COMPUTE_INPUT_FILE_DOWNLOAD_FAILED",
        ),
    ];
    for (changes, cause) in cases {
        let run = run_with(&server, changes).await;
        assert_eq!(run.causes(), [cause], "{changes:?}: {:?}", run.outcome);
        let left: Vec<_> =
            std::fs::read_dir(run.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(
            left.iter().all(|name| name == "0xdata") && (left.is_empty() || cause.contains("INPUT_FILE")),
            "{left:?}"
        );
        for failure in run.outcome.unwrap_err() {
            assert!(!failure.message.contains(KEY) && !failure.message.contains(other_key), "{failure}");
        }
    }
}

#[tokio::test]
async fn all_failures_are_told_at_once() {
    let server = server().await;
    let changes = [("IEXEC_DATASET_KEY", ""), ("IEXEC_INPUT_FILES_NUMBER", "2")];
    let run = run_with(&server, &changes).await;
    assert_eq!(run.causes().len(), 3, "{:?}", run.outcome);
}

/// Says that all is well, and sends something else.
async fn bad_gateway() -> Server {
    Server::start(|_| Answer::ok("<html>Too many requests, please come back later</html>")).await
}

/// Has the encrypted dataset under any id, and an input file under its own.
async fn good_gateway(input: Cid) -> Server {
    let input = format!("/ipfs/{input}");
    Server::start(move |request| if request.path == input { Answer::ok("an input") } else { Answer::ok(encrypted().0) })
        .await
}

#[tokio::test]
async fn what_a_bad_gateway_sends_in_place_of_a_file_is_asked_of_the_next() {
    let input = Cid::of(&b"an input"[..], AddAs::V0).unwrap();
    let (bad, good) = (bad_gateway().await, good_gateway(input).await);
    let (dataset, input) =
        (format!("/ipfs/{}", Cid::of(&encrypted().0[..], AddAs::V0).unwrap()), format!("/ipfs/{input}"));
    let changes = [
        ("IEXEC_DATASET_URL", dataset.as_str()),
        ("IEXEC_INPUT_FILES_NUMBER", "1"),
        ("IEXEC_INPUT_FILE_URL_1", input.as_str()),
    ];
    let run = run_at(&good, &[&bad, &bad, &good], &changes).await;
    run.outcome.unwrap();
    assert_eq!(std::fs::read(run.folder.path().join("0xdata")).unwrap(), PLAIN);
    let name = format!("0x{}", hex::encode(Sha256::digest(&input)));
    assert_eq!(std::fs::read(run.folder.path().join(name)).unwrap(), b"an input");
    assert_eq!((bad.asked().len(), good.asked().len()), (4, 2), "each once for each file");
}

#[tokio::test]
async fn a_file_that_every_gateway_has_wrong_fails_with_what_each_sent() {
    let (bad, missing) = (bad_gateway().await, Server::start(|_| Answer::status(404)).await);
    let input = format!("/ipfs/{}", Cid::of(&b"an input"[..], AddAs::V0).unwrap());
    let changes = [
        ("IEXEC_DATASET_URL", input.as_str()),
        ("IEXEC_INPUT_FILES_NUMBER", "1"),
        ("IEXEC_INPUT_FILE_URL_1", input.as_str()),
    ];
    let run = run_at(&bad, &[&bad, &missing], &changes).await;
    assert_eq!(run.causes(), ["PRE_COMPUTE_INVALID_DATASET_CHECKSUM", "PRE_COMPUTE_INPUT_FILE_DOWNLOAD_FAILED"]);
    assert_eq!(std::fs::read_dir(run.folder.path()).unwrap().count(), 0);
    for failure in run.outcome.unwrap_err() {
        let told = failure.to_string();
        assert!(told.contains("what 127.0.0.1 gave is another file") && told.contains("status 404"), "{told}");
    }
}
