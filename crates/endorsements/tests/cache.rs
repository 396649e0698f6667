//! The cache against key servers of simulated vendors, well and badly behaved.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::time::Duration;

use strongroom_attest::{Evidence, ExpectedBinding, PlatformKey, TrustAnchors, verify};
use strongroom_endorsements::{EndorsementCache, FetchError, RefreshError, Settings};
use strongroom_protocol::UnixSeconds;
use strongroom_simulator::intel::TcbSigner;
use strongroom_simulator::vendors::{self, Document, Fault, VendorService};
use strongroom_simulator::{
    AmdMachine, AmdStatements, IntelMachine, IntelStatements, NitroMeasured, SgxMeasured, Simulator, SnpMeasured,
    TdxMeasured,
};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

const NOW: UnixSeconds = UnixSeconds(1_790_000_000);
const DAY: u64 = 86_400;

fn simulator() -> Simulator {
    Simulator::from_seed([7; 32])
}

fn tdx() -> Evidence {
    simulator().tdx(&TdxMeasured::default(), [0; 64]).evidence().unwrap()
}

fn tdx_of(fmspc: [u8; 6]) -> Evidence {
    let machine = IntelMachine { fmspc, ..IntelMachine::default() };
    simulator().tdx_on(&machine, &TdxMeasured::default(), [0; 64]).evidence().unwrap()
}

fn later(seconds: u64) -> UnixSeconds {
    UnixSeconds(NOW.0 + seconds)
}

/// Key servers on a free port.
struct Vendors {
    service: Arc<VendorService>,
    url: String,
    stop: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Vendors {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let service = Arc::new(VendorService::new(simulator(), NOW));
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(vendors::serve(listener, Arc::clone(&service), async {
            let _ = stopped.await;
        }));
        Self { service, url, stop, server }
    }

    fn settings(&self) -> Settings {
        Settings {
            intel: Some(self.url.parse().unwrap()),
            amd: Some(self.url.parse().unwrap()),
            timeout: Duration::from_mins(1),
            ..Settings::default()
        }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.server.await.unwrap().unwrap();
    }
}

fn http() -> reqwest::Client {
    // The second test in the process finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn open(settings: Settings) -> EndorsementCache {
    EndorsementCache::open(settings, simulator().anchors(), http(), NOW).unwrap()
}

/// Fetches what is due and expects that there was exactly one platform.
async fn refresh_one(cache: &EndorsementCache, now: UnixSeconds) -> Result<(), RefreshError> {
    let mut outcomes = cache.refresh_due(now).await;
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0).1
}

/// A cache that has looked for `evidence` once, without success.
fn asked_for(settings: Settings, evidence: &Evidence) -> EndorsementCache {
    let cache = open(settings);
    assert!(cache.find(evidence, NOW).is_none());
    cache
}

#[tokio::test]
async fn the_platform_of_first_evidence_is_fetched_and_its_next_evidence_verifies() {
    let vendors = Vendors::start().await;
    let simulator = simulator();
    let machine = AmdMachine::default();
    let turin = AmdMachine::of(strongroom_attest::AmdProduct::Turin);
    for simulated in [
        simulator.tdx(&TdxMeasured::default(), [0; 64]),
        simulator.sgx(&SgxMeasured::default(), [0; 64]),
        simulator.snp_on(&machine, &SnpMeasured::default(), [0; 64]),
        simulator.snp_on(&turin, &SnpMeasured::default(), [0; 64]),
    ] {
        let evidence = simulated.evidence().unwrap();
        let cache = asked_for(vendors.settings(), &evidence);
        refresh_one(&cache, NOW).await.unwrap();
        let found = cache.find(&evidence, NOW).unwrap();
        let binding = ExpectedBinding::new([0; 64]);
        verify(&evidence, &found, &binding, &simulator.anchors(), NOW).unwrap();
        assert!(cache.refresh_due(NOW).await.is_empty(), "nothing is due twice");
    }
    vendors.stop().await;
}

#[tokio::test]
async fn evidence_that_needs_no_endorsements_or_makes_no_sense_is_not_taken_up() {
    let cache = open(Settings::default());
    let nitro = simulator().nitro(&NitroMeasured::at(NOW), &[0; 64]).evidence().unwrap();
    let garbage = Evidence::new(strongroom_attest::EvidenceKind::Tdx, vec![1; 5000]).unwrap();
    for evidence in [nitro, garbage] {
        assert!(cache.find(&evidence, NOW).is_none());
    }
    assert!(cache.status().is_empty());
}

#[tokio::test]
async fn platforms_named_in_advance_are_fetched_before_any_evidence() {
    let vendors = Vendors::start().await;
    let cache = open(vendors.settings());
    cache.expect(PlatformKey::of_evidence(&tdx()).unwrap());
    refresh_one(&cache, NOW).await.unwrap();
    assert!(cache.find(&tdx(), NOW).is_some());
    vendors.stop().await;
}

#[tokio::test]
async fn two_refreshes_at_once_ask_for_every_document_once() {
    let vendors = Vendors::start().await;
    let cache = asked_for(vendors.settings(), &tdx());
    let (one, other) = tokio::join!(cache.refresh_due(NOW), cache.refresh_due(NOW));
    assert_eq!(one.len() + other.len(), 1);
    let mut requests = vendors.service.requests();
    requests.sort();
    assert_eq!(
        requests,
        [
            "/sgx/certification/v4/pckcrl?ca=platform&encoding=der",
            "/sgx/certification/v4/rootcacrl",
            "/tdx/certification/v4/qe/identity?update=standard",
            "/tdx/certification/v4/tcb?fmspc=DEF0514D0000&update=standard",
        ]
    );
    vendors.stop().await;
}

#[tokio::test]
async fn a_refresh_that_is_abandoned_can_be_taken_up_again() {
    let vendors = Vendors::start().await;
    vendors.service.set_fault(Document::TcbInfo, Some(Fault::Silence));
    let cache = asked_for(vendors.settings(), &tdx());
    let service = Arc::clone(&vendors.service);
    let asked = async {
        while service.requests().len() < 4 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = cache.refresh_due(NOW) => panic!("there is no answer"),
        () = asked => (),
    }
    vendors.service.set_fault(Document::TcbInfo, None);
    refresh_one(&cache, NOW).await.unwrap();
    vendors.stop().await;
}

#[tokio::test]
async fn every_fault_of_every_document_is_refused_and_the_set_at_hand_stays() {
    let vendors = Vendors::start().await;
    for document in [Document::PckCrl, Document::RootCrl, Document::TcbInfo, Document::QeIdentity] {
        for fault in [Fault::Status(500), Fault::Status(404), Fault::WrongSignature, Fault::Truncated, Fault::Oversized]
        {
            let cache = asked_for(vendors.settings(), &tdx());
            refresh_one(&cache, NOW).await.unwrap();
            let at_hand = cache.find(&tdx(), NOW).unwrap();

            vendors.service.set_fault(document, Some(fault));
            refresh_one(&cache, later(2 * DAY)).await.unwrap_err();
            assert_eq!(cache.find(&tdx(), later(2 * DAY)), Some(at_hand), "{document:?} {fault:?}");
            let status = &cache.status()[0];
            assert_eq!(status.failures, 1);
            assert!(status.last_error.is_some());

            vendors.service.set_fault(document, None);
            assert!(cache.refresh_due(later(2 * DAY)).await.is_empty(), "a failure is not repeated at once");
            refresh_one(&cache, later(2 * DAY + 3600)).await.unwrap();
            assert_eq!(cache.status()[0].failures, 0);
        }
    }
    vendors.stop().await;
}

#[tokio::test]
async fn every_fault_of_amds_documents_is_refused() {
    let vendors = Vendors::start().await;
    let evidence = simulator().snp(&SnpMeasured::default(), [0; 64]).evidence().unwrap();
    for document in [Document::Vcek, Document::AmdChain, Document::AmdCrl] {
        for fault in [Fault::Status(429), Fault::Truncated, Fault::Oversized] {
            vendors.service.set_fault(document, Some(fault));
            let cache = asked_for(vendors.settings(), &evidence);
            refresh_one(&cache, NOW).await.unwrap_err();
            assert!(cache.find(&evidence, NOW).is_none(), "{document:?} {fault:?}");
        }
        vendors.service.set_fault(document, None);
    }
    for document in [Document::Vcek, Document::AmdCrl] {
        vendors.service.set_fault(document, Some(Fault::WrongSignature));
        let cache = asked_for(vendors.settings(), &evidence);
        assert!(matches!(refresh_one(&cache, NOW).await, Err(RefreshError::Refused(_))), "{document:?}");
        vendors.service.set_fault(document, None);
    }
    vendors.stop().await;
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let vendors = Vendors::start().await;
    vendors.service.set_fault(Document::QeIdentity, Some(Fault::Silence));
    let settings = Settings { timeout: Duration::from_millis(50), ..vendors.settings() };
    let cache = asked_for(settings, &tdx());
    let refused = refresh_one(&cache, NOW).await;
    assert!(matches!(refused, Err(RefreshError::Fetch(FetchError::Unreachable { .. }))), "{refused:?}");
    drop(cache);
    vendors.stop().await;
}

#[tokio::test]
async fn what_does_not_lead_to_a_configured_root_is_never_at_hand() {
    let vendors = Vendors::start().await;
    let cache = EndorsementCache::open(vendors.settings(), TrustAnchors::production(), http(), NOW).unwrap();
    assert!(cache.find(&tdx(), NOW).is_none());
    assert!(matches!(refresh_one(&cache, NOW).await, Err(RefreshError::Refused(_))));
    assert!(cache.find(&tdx(), NOW).is_none());
    let forged = IntelStatements { signer: TcbSigner::Forged, ..IntelStatements::current_at(NOW) };
    vendors.service.say_of_intel(forged);
    let cache = asked_for(vendors.settings(), &tdx());
    assert!(matches!(refresh_one(&cache, NOW).await, Err(RefreshError::Refused(_))));
    vendors.stop().await;
}

#[tokio::test]
async fn numbers_never_fall() {
    let vendors = Vendors::start().await;
    let current = IntelStatements { crl_number: 5, ..IntelStatements::current_at(NOW) };
    vendors.service.say_of_intel(current.clone());
    let cache = asked_for(vendors.settings(), &tdx());
    refresh_one(&cache, NOW).await.unwrap();
    for (hours, older) in [
        IntelStatements { evaluation_number: 16, ..current.clone() },
        IntelStatements { qe_evaluation_number: 16, ..current.clone() },
        IntelStatements { crl_number: 4, ..current.clone() },
    ]
    .into_iter()
    .enumerate()
    {
        vendors.service.say_of_intel(older);
        let refused = refresh_one(&cache, later(2 * DAY + 7200 * hours as u64)).await;
        assert!(matches!(refused, Err(RefreshError::Older { .. })), "{refused:?}");
    }
    vendors.service.say_of_intel(IntelStatements { evaluation_number: 18, crl_number: 6, ..current });
    refresh_one(&cache, later(3 * DAY)).await.unwrap();
    vendors.stop().await;
}

#[tokio::test]
async fn a_set_is_refreshed_while_it_is_valid_and_not_handed_out_when_it_is_too_old() {
    let vendors = Vendors::start().await;
    let settings = vendors.settings();
    let cache = asked_for(settings.clone(), &tdx());
    refresh_one(&cache, NOW).await.unwrap();
    assert!(cache.refresh_due(later(DAY / 2)).await.is_empty());
    vendors.service.set_fault(Document::TcbInfo, Some(Fault::Status(500)));
    refresh_one(&cache, later(DAY)).await.unwrap_err();
    let max_age = settings.max_age.as_secs();
    assert!(cache.find(&tdx(), later(max_age)).is_some());
    assert!(cache.find(&tdx(), later(max_age + 1)).is_none());
    vendors.stop().await;
}

#[tokio::test]
async fn a_chips_certificate_is_fetched_once_and_its_revocation_list_again() {
    let vendors = Vendors::start().await;
    let evidence = simulator().snp(&SnpMeasured::default(), [0; 64]).evidence().unwrap();
    let cache = asked_for(vendors.settings(), &evidence);
    refresh_one(&cache, NOW).await.unwrap();
    assert_eq!(vendors.service.requests().len(), 3);
    vendors.service.say_of_amd(AmdStatements::current_at(later(DAY)));
    refresh_one(&cache, later(DAY)).await.unwrap();
    let requests = vendors.service.requests();
    assert_eq!(requests[3..], ["/vcek/v1/Genoa/crl"]);
    assert_eq!(cache.status()[0].fetched_at, Some(later(DAY)));
    vendors.stop().await;
}

#[tokio::test]
async fn made_up_platforms_are_bounded_in_number_and_rate_and_push_out_none_that_exists() {
    let vendors = Vendors::start().await;
    let settings = Settings { max_platforms: 3, new_platforms_per_minute: 2, ..vendors.settings() };
    let cache = asked_for(settings, &tdx());
    refresh_one(&cache, NOW).await.unwrap();
    assert!(cache.find(&tdx_of([1; 6]), NOW).is_none());
    assert!(cache.find(&tdx_of([2; 6]), NOW).is_none());
    assert_eq!(cache.status().len(), 2, "two in the first minute");
    assert!(cache.find(&tdx_of([2; 6]), later(60)).is_none());
    assert_eq!(cache.status().len(), 3);
    assert!(cache.find(&tdx_of([3; 6]), later(120)).is_none());
    assert_eq!(cache.status().len(), 3, "nothing is dropped before it was asked for");
    for (_, outcome) in cache.refresh_due(later(120)).await {
        outcome.unwrap_err();
    }
    for made_up in 3..20 {
        assert!(cache.find(&tdx_of([made_up; 6]), later(120 + 60 * u64::from(made_up))).is_none());
        for (_, outcome) in cache.refresh_due(later(120 + 60 * u64::from(made_up))).await {
            outcome.unwrap_err();
        }
    }
    assert_eq!(cache.status().len(), 3);
    assert!(cache.find(&tdx(), later(2000)).is_some(), "what exists stays");
    vendors.stop().await;
}

#[tokio::test]
async fn sets_on_disk_serve_the_next_run_without_network() {
    let vendors = Vendors::start().await;
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { folder: Some(folder.path().join("kept")), ..vendors.settings() };
    let snp = simulator().snp(&SnpMeasured::default(), [0; 64]).evidence().unwrap();
    let cache = open(settings.clone());
    for evidence in [&tdx(), &snp] {
        assert!(cache.find(evidence, NOW).is_none());
    }
    for (_, outcome) in cache.refresh_due(NOW).await {
        outcome.unwrap();
    }
    let found = [cache.find(&tdx(), NOW), cache.find(&snp, NOW)];
    vendors.stop().await;

    let offline = Settings { intel: None, amd: None, ..settings };
    let again = open(offline);
    assert_eq!([again.find(&tdx(), NOW), again.find(&snp, NOW)], found);
    assert!(found.iter().all(Option::is_some));
}

#[tokio::test]
async fn damaged_foreign_and_stale_files_are_left_out() {
    let vendors = Vendors::start().await;
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { folder: Some(folder.path().to_owned()), ..vendors.settings() };
    let cache = asked_for(settings.clone(), &tdx());
    refresh_one(&cache, NOW).await.unwrap();
    vendors.stop().await;
    let path = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let good = std::fs::read_to_string(&path).unwrap();

    for damaged in [String::new(), "{}".to_owned(), good[..good.len() / 2].to_owned(), good.replace("17", "18")] {
        std::fs::write(&path, damaged).unwrap();
        assert!(open(settings.clone()).find(&tdx(), NOW).is_none());
    }
    std::fs::write(&path, &good).unwrap();
    assert!(open(settings.clone()).find(&tdx(), NOW).is_some());
    let months_later = EndorsementCache::open(settings, simulator().anchors(), http(), later(60 * DAY)).unwrap();
    assert!(months_later.find(&tdx(), later(60 * DAY)).is_none());
}

#[tokio::test]
async fn a_bundle_is_imported_where_there_is_no_network() {
    let folder = tempfile::tempdir().unwrap();
    let parts = simulator().intel_parts(strongroom_attest::EvidenceKind::Tdx, &IntelStatements::current_at(NOW));
    let json = serde_json::json!({
        "pck_crl_issuer_chain": parts.pck_crl_issuer_chain,
        "root_ca_crl": hex::encode(parts.root_ca_crl),
        "pck_crl": hex::encode(parts.pck_crl),
        "tcb_info_issuer_chain": parts.tcb_info_issuer_chain,
        "tcb_info": parts.tcb_info,
        "tcb_info_signature": hex::encode(parts.tcb_info_signature),
        "qe_identity_issuer_chain": parts.qe_identity_issuer_chain,
        "qe_identity": parts.qe_identity,
        "qe_identity_signature": hex::encode(parts.qe_identity_signature),
    });
    std::fs::write(folder.path().join("tdx.json"), json.to_string()).unwrap();
    std::fs::write(folder.path().join("README"), "not a set").unwrap();
    let cache = open(Settings::default());
    assert_eq!(cache.import(folder.path(), NOW).unwrap(), 1);
    assert!(cache.find(&tdx(), NOW).is_some());
    // Without a date of fetching it counts as fetched when it was issued, a day before.
    assert_eq!(cache.status()[0].fetched_at, Some(UnixSeconds(NOW.0 - DAY)));
    std::fs::write(folder.path().join("a-damaged.json"), "{}").unwrap();
    assert!(cache.import(folder.path(), NOW).is_err());
}

#[tokio::test]
async fn without_addresses_nothing_is_fetched_and_nothing_repeated() {
    let cache = asked_for(Settings::default(), &tdx());
    assert!(matches!(refresh_one(&cache, NOW).await, Err(RefreshError::Fetch(FetchError::NoSource))));
    assert!(cache.refresh_due(later(365 * DAY)).await.is_empty());
}

#[tokio::test]
async fn running_fetches_what_evidence_names_and_stops_when_told() {
    let vendors = Vendors::start().await;
    let cache = Arc::new(open(vendors.settings()));
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn({
        let cache = Arc::clone(&cache);
        async move {
            cache
                .run(|| NOW, async {
                    let _ = stopped.await;
                })
                .await;
        }
    });
    while cache.find(&tdx(), NOW).is_none() {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    running.await.unwrap();
    vendors.stop().await;
}
