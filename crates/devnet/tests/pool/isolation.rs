//! What a hostile app reaches through the whole way of a bought task: nothing of the machine, of its guest, of other tasks, of the network.
//! The sandbox has its own tests; here is shown that a task is really run in it, with nothing bound into it that leads out.

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use alloy_primitives::{Address, B256};
use axum::Router;
use axum::http::header::LOCATION;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse as _;
use rustix::io::Errno;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::journeys::GOOD;
use crate::scene::{ACTIVE, COMPLETED, Order, Scene};
use crate::watching::until;

pub(crate) const HOSTILE: &str = env!("CARGO_BIN_EXE_strongroom-devnet-acts");

/// An act that works outside and must be refused inside, for one of these reasons.
struct Act {
    inside: String,
    /// The same act where it works; `None` where it would do harm or there is nothing like it.
    outside: Option<String>,
    refused_with: &'static [Errno],
}

fn act(act: impl Into<String>, refused_with: &'static [Errno]) -> Act {
    let act = act.into();
    Act { outside: Some(act.clone()), inside: act, refused_with }
}

fn only_inside(act: impl Into<String>, refused_with: &'static [Errno]) -> Act {
    Act { outside: None, inside: act.into(), refused_with }
}

fn instead(act: impl Into<String>, outside: impl Into<String>, refused_with: &'static [Errno]) -> Act {
    Act { outside: Some(outside.into()), inside: act.into(), refused_with }
}

/// Arguments of a deal.
pub(crate) fn arguments<'a>(acts: impl IntoIterator<Item = &'a str>) -> String {
    json!({ "iexec_args": acts.into_iter().collect::<Vec<_>>().join(" ") }).to_string()
}

/// The report of the same program outside of any enclave.
fn report_outside(acts: &[&str]) -> String {
    let out = tempfile::tempdir().unwrap();
    let status = Command::new(HOSTILE).args(acts).env("IEXEC_OUT", out.path()).status().unwrap();
    assert!(status.success());
    fs::read_to_string(out.path().join("report.txt")).unwrap()
}

/// Something of the host that an app must not reach. Ends with the value.
struct Bait {
    tcp: TcpListener,
    udp: UdpSocket,
    unix: UnixListener,
    hidden: UnixListener,
    process: Child,
    folder: tempfile::TempDir,
    hidden_name: String,
}

impl Drop for Bait {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Bait {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hidden_name = format!("strongroom-bait-{}", std::process::id());
        let bait = Self {
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            unix: UnixListener::bind(folder.path().join("bait.sock")).unwrap(),
            hidden: UnixListener::bind_addr(&SocketAddr::from_abstract_name(&hidden_name).unwrap()).unwrap(),
            process: Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap(),
            folder,
            hidden_name,
        };
        bait.tcp.set_nonblocking(true).unwrap();
        bait.udp.set_nonblocking(true).unwrap();
        bait.unix.set_nonblocking(true).unwrap();
        bait.hidden.set_nonblocking(true).unwrap();
        bait
    }

    fn assert_untouched(&self) {
        let mut buffer = [0; 16];
        let outcomes = [
            self.tcp.accept().map(drop),
            self.udp.recv(&mut buffer).map(drop),
            self.unix.accept().map(drop),
            self.hidden.accept().map(drop),
        ];
        for outcome in outcomes {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::WouldBlock, "somebody came");
        }
    }

    fn acts(&self, scene: &Scene) -> Vec<Act> {
        let kept = |path: &str| scene.folder().join(path).display().to_string();
        let (tcp, udp) = (self.tcp.local_addr().unwrap(), self.udp.local_addr().unwrap());
        let (sleeper, pool) = (self.process.id(), scene.pool.process_id());
        let service = scene.sms.url().strip_prefix("http://").unwrap();
        let store = scene.store.url();
        let store = store.strip_prefix("http://").unwrap();
        let mut acts = Vec::new();
        // Files of the host, by their path and through the first process.
        for file in ["pool/worker.json", "pool/password", "pool/pool.db", "pool/strongroom-pool.toml", "sms/root.key"] {
            acts.push(act(format!("open={}", kept(file)), &[Errno::NOENT]));
            let through = |process: u32| format!("open=/proc/{process}/root{}", kept(file));
            acts.push(instead(through(1), through(sleeper), &[Errno::ACCESS, Errno::NOENT]));
        }
        // Folders of runs, this one's and those of others.
        acts.push(act(format!("list={}", kept("pool/r")), &[Errno::NOENT]));
        // The guest, its memory, its files, its ways out.
        for file in ["environ", "mem", "maps", "auxv"] {
            acts.push(instead(
                format!("open=/proc/1/{file}"),
                format!("open=/proc/{sleeper}/{file}"),
                &[Errno::ACCESS],
            ));
        }
        acts.push(instead("list=/proc/1/fd", format!("list=/proc/{sleeper}/fd"), &[Errno::ACCESS]));
        acts.push(only_inside("list=/.strongroom", &[Errno::ACCESS]));
        for socket in ["relay/w.sock", "relay/0.sock", "relay/1.sock", "evidence.sock"] {
            acts.push(only_inside(format!("connect-unix=/.strongroom/{socket}"), &[Errno::ACCESS]));
        }
        acts.push(instead("signal=1", format!("signal={sleeper}"), &[Errno::PERM]));
        acts.push(instead("trace=1", format!("trace={sleeper}"), &[Errno::PERM]));
        acts.push(instead("read-memory=1", format!("read-memory={sleeper}"), &[Errno::PERM]));
        // Processes of the host.
        acts.push(act(format!("signal={pool}"), &[Errno::SRCH]));
        acts.push(act(format!("signal={sleeper}"), &[Errno::SRCH]));
        // The network and sockets of the host, also where the guest itself may go.
        for address in [tcp.to_string(), service.to_owned(), store.to_owned()] {
            acts.push(act(format!("connect-tcp={address}"), &[Errno::PERM]));
        }
        acts.push(act(format!("send-udp={udp}"), &[Errno::PERM]));
        acts.push(act(format!("connect-unix={}", self.folder.path().join("bait.sock").display()), &[Errno::NOENT]));
        acts.push(act(format!("connect-abstract={}", self.hidden_name), &[Errno::CONNREFUSED, Errno::PERM]));
        // More than an app's user may do.
        acts.push(only_inside("mount=/tmp", &[Errno::PERM]));
        acts.push(act("unshare", &[Errno::PERM]));
        acts.push(only_inside("become-root", &[Errno::PERM]));
        acts.push(only_inside("write=/proc/sys/kernel/core_pattern", &[Errno::ACCESS, Errno::ROFS, Errno::PERM]));
        acts.push(only_inside("write=/written", &[Errno::ACCESS, Errno::ROFS]));
        acts
    }
}

/// Whether the enclave that plants `name` has planted it.
fn is_planted(name: &str) -> bool {
    let wanted = format!("plant={name}");
    fs::read_dir("/proc").unwrap().flatten().any(|process| {
        let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(&wanted) && process.path().join("root/tmp").join(name).exists()
    })
}

async fn hostile_app(scene: &Scene, name: &str, script: &str) -> Address {
    scene.app_with(name, script, |image| image.host_program(Path::new(HOSTILE), "/bin/hostile").map(drop)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_app_reaches_nothing_outside_of_its_task() {
    let scene = Scene::new().await;
    let bait = Bait::new();
    let app = hostile_app(&scene, "hostile", "exec /bin/hostile \"$@\"").await;

    // Another task, which is at work all the time and has something to hide.
    let planted = format!("neighbour-{}", std::process::id());
    let (plant, find) = (format!("plant={planted}"), format!("find={planted}"));
    let params = arguments([&plant, "wait=290"]);
    let neighbour = scene.buy(Order { params: &params, ..Order::of(app) }).await[0];
    until("the neighbour has planted its file", || is_planted(&planted)).await;

    let acts = bait.acts(&scene);
    let inside = acts.iter().map(|act| act.inside.as_str());
    let params = arguments(inside.chain([find.as_str(), "environment", "descriptors", "processes"]));
    let task = scene.buy(Order { params: &params, callback: false, ..Order::of(app) }).await[0];
    let model = scene.end(task).await;
    assert_eq!(model["currentStatus"], "COMPLETED", "{model:#}\n{}", scene.pool.log());
    let report = scene.result_file(task, "report.txt").await;
    for act in &acts {
        let is_refused = |error: &Errno| report.contains(&format!("{} REFUSED {}\n", act.inside, error.raw_os_error()));
        assert!(act.refused_with.iter().any(is_refused), "{} must be refused: {report}", act.inside);
    }
    bait.assert_untouched();

    // What it can see is its own.
    let seen = |what: &str| -> Vec<String> {
        let lines = report.lines().filter_map(|line| line.strip_prefix(what)?.strip_prefix(' '));
        lines.map(str::to_owned).collect()
    };
    for name in seen("environment") {
        // The shell of the script tells the app its folder.
        let is_public = ["PATH", "PWD"].contains(&name.as_str()) || name.starts_with("IEXEC_");
        let is_for_others = ["KEY", "TOKEN", "SIGN"].iter().any(|word| name.contains(word));
        assert!(is_public && !is_for_others, "{name}");
    }
    assert!(!seen("environment").is_empty());
    for target in seen("descriptor") {
        assert!(target == "/dev/null" || target.starts_with("pipe:"), "{target}");
    }
    let processes = seen("process");
    assert!(processes.len() <= 2, "the guest and the app: {processes:?}");

    // Its neighbour was there to be found.
    assert!(is_planted(&planted));
    assert!(report.contains(&format!("{find} REFUSED {}\n", Errno::NOENT.raw_os_error())), "{report}");
    scene.until(neighbour, |model| model["currentStatus"] == "RUNNING").await;

    // What it claimed about its result counts for nothing.
    let on_chain = scene.network.chain().unwrap().task(task).await.unwrap();
    assert_eq!(on_chain.status, COMPLETED);
    assert_eq!(on_chain.resultDigest, B256::from_slice(&Sha256::digest(&report)));
    scene.completes_once(task).await;

    // Outside all of it works: it was refused, not impossible.
    let outside: Vec<_> = acts.iter().filter_map(|act| act.outside.as_deref()).collect();
    let report = report_outside(&outside);
    for act in outside {
        assert!(report.contains(&format!("{act} DONE\n")), "{act} must work outside: {report}");
    }
}

/// So that not to find a neighbour's file means something.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_finds_what_is_its_own() {
    let scene = Scene::shared().await;
    let app = hostile_app(&scene, "own", "exec /bin/hostile \"$@\"").await;
    let params = arguments(["plant=own-file", "find=own-file"]);
    let task = scene.buy(Order { params: &params, callback: false, ..Order::of(app) }).await[0];
    scene.completes_once(task).await;
    assert_eq!(scene.result_file(task, "report.txt").await, "plant=own-file DONE\nfind=own-file DONE\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_insists_on_the_network_fails_and_others_go_on() {
    let scene = Scene::shared().await;
    let bait = Bait::new();
    let script = "/bin/hostile \"$@\"\ngrep -q DONE $IEXEC_OUT/report.txt || exit 5";
    let app = hostile_app(&scene, "insists", script).await;
    let neighbour = scene.app("beside", &format!("sleep 1\n{GOOD}")).await;
    let params = arguments([format!("connect-tcp={}", bait.tcp.local_addr().unwrap()).as_str()]);
    let others = scene.buy(Order { tasks: 2, ..Order::of(neighbour) }).await;
    let task = scene.buy(Order { params: &params, callback: false, ..Order::of(app) }).await[0];
    let model = scene.end(task).await;
    assert_eq!(model["cause"], "APP_COMPUTE_FAILED", "{model:#}\n{}", scene.pool.log());
    assert!(model["message"].as_str().unwrap().contains("exit code 5"), "{model:#}");
    assert_eq!(scene.on_chain(task).await.0, ACTIVE);
    bait.assert_untouched();
    for other in others {
        scene.completes_once(other).await;
    }
}

/// A server that a deal may name, how often it was visited, and where it sends its visitors.
struct Server {
    url: String,
    visits: Arc<AtomicUsize>,
}

impl Server {
    async fn start(leads_to: Option<String>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let visits = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&visits);
        let answer = move |_: Uri| {
            count.fetch_add(1, Ordering::SeqCst);
            let leads_to = leads_to.clone();
            async move {
                match leads_to {
                    Some(elsewhere) => (StatusCode::FOUND, [(LOCATION, elsewhere)]).into_response(),
                    None => "an input".into_response(),
                }
            }
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await.unwrap() });
        Self { url, visits }
    }

    fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }
}

fn with_input(url: &str) -> String {
    json!({ "iexec_input_files": [format!("{url}/input")] }).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enclave_goes_where_its_deal_says_and_not_where_it_is_sent_from_there() {
    let scene = Scene::shared().await;
    let app = scene.app("inputs", GOOD).await;
    let elsewhere = Server::start(None).await;
    let named = Server::start(Some(format!("{}/input", elsewhere.url))).await;
    let params = with_input(&named.url);
    let task = scene.buy(Order { params: &params, ..Order::of(app) }).await[0];
    let model = scene.end(task).await;
    assert_eq!(model["cause"], "PRE_COMPUTE_INPUT_FILE_DOWNLOAD_FAILED", "{model:#}\n{}", scene.pool.log());
    let message = model["message"].as_str().unwrap();
    assert!(message.contains(&elsewhere.url) && message.contains("not among the places"), "{message}");
    assert_eq!((named.visits(), elsewhere.visits()), (1, 0));

    let params = with_input(&elsewhere.url);
    let task = scene.buy(Order { params: &params, ..Order::of(app) }).await[0];
    scene.completes_once(task).await;
    assert_eq!(elsewhere.visits(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_does_not_send_an_enclave_into_the_pools_own_network() {
    let mut scene = Scene::new().await;
    scene.change_pool(|settings| settings["relay"]["danger_allow_private_destinations"] = false.into());
    let app = scene.app("inputs", GOOD).await;
    let private = Server::start(None).await;
    let params = with_input(&private.url);
    let task = scene.buy(Order { params: &params, ..Order::of(app) }).await[0];
    let model = scene.end(task).await;
    assert_eq!(model["cause"], "PRE_COMPUTE_INPUT_FILE_DOWNLOAD_FAILED", "{model:#}\n{}", scene.pool.log());
    assert_eq!(private.visits(), 0);
    assert_eq!(scene.on_chain(task).await.0, ACTIVE);

    // What the operator named is private here too, and allowed.
    let cid = scene.store.files().add(b"an input", strongroom_content::cid::AddAs::V0).unwrap();
    let params = json!({ "iexec_input_files": [format!("{}/ipfs/{cid}", scene.store.url())] }).to_string();
    let task = scene.buy(Order { params: &params, ..Order::of(app) }).await[0];
    scene.completes_once(task).await;
}
