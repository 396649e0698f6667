//! The key servers of the simulated vendors: HTTP in the shape of Intel's provisioning certification service (or a cache of
//! it) and of AMD's key distribution service, with faults that a test can switch on.
//!
//! | Route | Answer |
//! | --- | --- |
//! | `/sgx/certification/v4/pckcrl?ca=platform\|processor&encoding=der` | DER; header `SGX-PCK-CRL-Issuer-Chain` |
//! | `/sgx/certification/v4/rootcacrl` | DER as hex text, as caches give it |
//! | `/{sgx,tdx}/certification/v4/tcb?fmspc=…` | JSON; header `TCB-Info-Issuer-Chain` |
//! | `/{sgx,tdx}/certification/v4/qe/identity` | JSON; header `SGX-Enclave-Identity-Issuer-Chain` |
//! | `/vcek/v1/{product}/{chip id}?blSPL=…&teeSPL=…&snpSPL=…&ucodeSPL=…[&fmcSPL=…]` | DER |
//! | `/vcek/v1/{product}/cert_chain` | PEM: intermediate, root |
//! | `/vcek/v1/{product}/crl` | DER |

use std::collections::HashMap;
use std::future::{Future, pending};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use strongroom_attest::claims::SnpTcb;
use strongroom_attest::{AmdProduct, Endorsements, EvidenceKind};
use strongroom_protocol::UnixSeconds;
use tokio::net::TcpListener;

use crate::pki::pem;
use crate::{AmdMachine, AmdStatements, IntelStatements, Simulator, connections};

/// One of the documents served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Document {
    /// Revocation list of a PCK authority.
    PckCrl,
    /// Revocation list of the simulated Intel root.
    RootCrl,
    /// TCB info.
    TcbInfo,
    /// Identity of the quoting enclave.
    QeIdentity,
    /// A chip's certificate.
    Vcek,
    /// Intermediate and root of a product.
    AmdChain,
    /// Revocation list of an AMD root.
    AmdCrl,
}

/// What goes wrong with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An empty answer with this status.
    Status(u16),
    /// The signature, or the last byte of DER, has one bit flipped.
    WrongSignature,
    /// Only the first third of the body, announced as all of it.
    Truncated,
    /// Sixteen megabytes instead of the body.
    Oversized,
    /// No answer while the connection lasts.
    Silence,
}

/// The state of the key servers.
pub struct VendorService {
    simulator: Simulator,
    intel: Mutex<IntelStatements>,
    amd: Mutex<AmdStatements>,
    faults: Mutex<HashMap<Document, Fault>>,
    requests: Mutex<Vec<String>>,
}

impl VendorService {
    /// Servers of `simulator`, whose statements are current at `now`.
    pub fn new(simulator: Simulator, now: UnixSeconds) -> Self {
        Self {
            simulator,
            intel: Mutex::new(IntelStatements::current_at(now)),
            amd: Mutex::new(AmdStatements::current_at(now)),
            faults: Mutex::default(),
            requests: Mutex::default(),
        }
    }

    /// Says something else about Intel machines from now on.
    pub fn say_of_intel(&self, statements: IntelStatements) {
        *lock(&self.intel) = statements;
    }

    /// Says something else about AMD machines from now on.
    pub fn say_of_amd(&self, statements: AmdStatements) {
        *lock(&self.amd) = statements;
    }

    /// Switches a fault on, or off with `None`.
    pub fn set_fault(&self, document: Document, fault: Option<Fault>) {
        match fault {
            Some(fault) => lock(&self.faults).insert(document, fault),
            None => lock(&self.faults).remove(&document),
        };
    }

    /// Path and query of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.requests).clone()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let target = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
        lock(&self.requests).push(target);
        let Some(Answer { document, mut body, issuer_chain }) = self.find(request.uri().path(), &query(&request))
        else {
            return status(StatusCode::NOT_FOUND);
        };
        let fault = lock(&self.faults).get(&document).copied();
        match fault {
            None => (),
            Some(Fault::Status(code)) => {
                return status(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
            }
            Some(Fault::WrongSignature) => flip_signature(&mut body),
            Some(Fault::Truncated) => body.truncate(body.len() / 3),
            Some(Fault::Oversized) => body = vec![b' '; 16 << 20],
            Some(Fault::Silence) => return pending().await,
        }
        let mut response = Response::new(Full::new(Bytes::from(body)));
        if let Some((name, chain)) = issuer_chain {
            let encoded = utf8_percent_encode(&chain, NON_ALPHANUMERIC).to_string();
            let encoded = HeaderValue::from_str(&encoded).expect("percent-encoded text is ASCII");
            response.headers_mut().insert(HeaderName::from_static(name), encoded);
        }
        response
    }

    fn find(&self, path: &str, query: &HashMap<&str, &str>) -> Option<Answer> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match parts.as_slice() {
            ["sgx", "certification", "v4", "pckcrl"] => self.pck_crl(query),
            ["sgx", "certification", "v4", "rootcacrl"] => {
                let parts = self.simulator.intel_parts(EvidenceKind::Tdx, &lock(&self.intel));
                Some(Answer::new(Document::RootCrl, hex::encode(parts.root_ca_crl).into_bytes()))
            }
            [tee, "certification", "v4", rest @ ..] => self.intel_judgement(tee.parse().ok()?, rest, query),
            ["vcek", "v1", product, "cert_chain"] => self.amd_chain(product.parse().ok()?),
            ["vcek", "v1", product, "crl"] => {
                let endorsements = self.amd_endorsements(&AmdMachine::of(product.parse().ok()?))?;
                Some(Answer::new(Document::AmdCrl, endorsements.crl()?.to_vec()))
            }
            ["vcek", "v1", product, chip_id] => self.vcek(product.parse().ok()?, chip_id, query),
            _ => None,
        }
    }

    fn pck_crl(&self, query: &HashMap<&str, &str>) -> Option<Answer> {
        let mut statements = lock(&self.intel).clone();
        statements.pck_ca = match *query.get("ca")? {
            "platform" => crate::intel::PckCa::Platform,
            "processor" => crate::intel::PckCa::Processor,
            _ => return None,
        };
        let parts = self.simulator.intel_parts(EvidenceKind::Tdx, &statements);
        let chain = Some(("sgx-pck-crl-issuer-chain", parts.pck_crl_issuer_chain));
        Some(Answer { document: Document::PckCrl, body: parts.pck_crl, issuer_chain: chain })
    }

    fn intel_judgement(&self, kind: EvidenceKind, rest: &[&str], query: &HashMap<&str, &str>) -> Option<Answer> {
        let statements = lock(&self.intel).clone();
        let parts = self.simulator.intel_parts(kind, &statements);
        match rest {
            ["tcb"] if query.get("fmspc")?.eq_ignore_ascii_case(&hex::encode(statements.fmspc)) => Some(Answer {
                document: Document::TcbInfo,
                body: signed_json("tcbInfo", &parts.tcb_info, &parts.tcb_info_signature),
                issuer_chain: Some(("tcb-info-issuer-chain", parts.tcb_info_issuer_chain)),
            }),
            ["qe", "identity"] => Some(Answer {
                document: Document::QeIdentity,
                body: signed_json("enclaveIdentity", &parts.qe_identity, &parts.qe_identity_signature),
                issuer_chain: Some(("sgx-enclave-identity-issuer-chain", parts.qe_identity_issuer_chain)),
            }),
            _ => None,
        }
    }

    fn vcek(&self, product: AmdProduct, chip_id: &str, query: &HashMap<&str, &str>) -> Option<Answer> {
        let version = |name| query.get(name).and_then(|text| text.parse::<u8>().ok());
        let reported = SnpTcb {
            fmc: if product == AmdProduct::Turin { version("fmcSPL")? } else { 0 },
            bootloader: version("blSPL")?,
            tee: version("teeSPL")?,
            snp: version("snpSPL")?,
            microcode: version("ucodeSPL")?,
        };
        let mut machine = AmdMachine { reported, chip_id: [0; 64], ..AmdMachine::of(product) };
        let used = if product == AmdProduct::Turin { 8 } else { 64 };
        hex::decode_to_slice(chip_id, &mut machine.chip_id[..used]).ok()?;
        Some(Answer::new(Document::Vcek, self.amd_endorsements(&machine)?.vek().to_vec()))
    }

    fn amd_chain(&self, product: AmdProduct) -> Option<Answer> {
        let endorsements = self.amd_endorsements(&AmdMachine::of(product))?;
        let roots = self.simulator.development_anchors().amd_roots;
        let (_, root) = roots.into_iter().find(|(of, _)| *of == product)?;
        let chain = pem(&[endorsements.intermediate(), &root]);
        Some(Answer::new(Document::AmdChain, chain.into_bytes()))
    }

    fn amd_endorsements(&self, machine: &AmdMachine) -> Option<strongroom_attest::endorsements::AmdEndorsements> {
        let statements = lock(&self.amd).clone();
        match self.simulator.amd_endorsements_of(machine, &statements, UnixSeconds(0)) {
            Ok(Endorsements::Amd(amd)) => Some(amd),
            _ => None,
        }
    }
}

/// Serves on `listener` until `stop` completes, then finishes requests under way.
///
/// Fails only if accepting fails. Stopping waits for answers that a [`Fault::Silence`] withholds, as long as their clients do.
pub async fn serve(
    listener: TcpListener,
    service: Arc<VendorService>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    tracing::warn!("SIMULATED key servers: what they say is true of no machine");
    let answer = move |request| {
        let service = Arc::clone(&service);
        async move { service.answer(request).await }
    };
    connections::serve(listener, answer, stop).await
}

struct Answer {
    document: Document,
    body: Vec<u8>,
    /// Name of the header and its PEM.
    issuer_chain: Option<(&'static str, String)>,
}

impl Answer {
    fn new(document: Document, body: Vec<u8>) -> Self {
        Self { document, body, issuer_chain: None }
    }
}

/// The inner text as it was signed, not written anew.
fn signed_json(member: &str, text: &str, signature: &[u8]) -> Vec<u8> {
    format!(r#"{{"{member}":{text},"signature":"{}"}}"#, hex::encode(signature)).into_bytes()
}

/// The signature is the last thing in every document: hex digits before `"}`, or the last bytes of DER.
fn flip_signature(body: &mut [u8]) {
    let from_end = if body.ends_with(b"\"}") { 3 } else { 1 };
    if let Some(byte) = body.len().checked_sub(from_end).and_then(|at| body.get_mut(at)) {
        // Keeps hex digits hex digits.
        *byte = match *byte {
            b'0' => b'1',
            digit if digit.is_ascii_hexdigit() => b'0',
            other => other ^ 1,
        };
    }
}

fn query(request: &Request<Incoming>) -> HashMap<&str, &str> {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').filter_map(|pair| pair.split_once('=')).collect()
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
