//! Intel's provisioning certification service, version 4, and caches of it.

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::value::RawValue;
use strongroom_attest::endorsements::{IntelParts, IntelTee};
use strongroom_attest::platform::PckAuthority;

use crate::download::{Download, FetchError};
use crate::settings::Settings;

/// Fetches the four documents of one platform at once.
pub(crate) async fn fetch(
    http: &reqwest::Client,
    settings: &Settings,
    tee: IntelTee,
    fmspc: &[u8; 6],
    authority: PckAuthority,
) -> Result<IntelParts, FetchError> {
    let base = settings.intel.as_ref().ok_or(FetchError::NoSource)?.as_str().trim_end_matches('/');
    let tee = match tee {
        IntelTee::Sgx => "sgx",
        IntelTee::Tdx => "tdx",
    };
    let get = |url| Download::get(http, url, settings.timeout);
    let pck_crl = format!("{base}/sgx/certification/v4/pckcrl?ca={}&encoding=der", authority.as_str());
    let tcb = format!("{base}/{tee}/certification/v4/tcb?fmspc={}&update=standard", hex::encode_upper(fmspc));
    let identity = format!("{base}/{tee}/certification/v4/qe/identity?update=standard");
    let root_crl = match &settings.intel_root_crl {
        Some(url) => url.to_string(),
        None => format!("{base}/sgx/certification/v4/rootcacrl"),
    };
    let (pck_crl, tcb, identity, root_crl) = tokio::try_join!(get(pck_crl), get(tcb), get(identity), get(root_crl))?;

    let tcb_info: TcbAnswer<'_> = serde_json::from_slice(&tcb.body).map_err(|_| tcb.malformed("TCB info"))?;
    let qe_identity: IdentityAnswer<'_> =
        serde_json::from_slice(&identity.body).map_err(|_| identity.malformed("a QE identity"))?;
    Ok(IntelParts {
        pck_crl_issuer_chain: issuer_chain(&pck_crl, &["sgx-pck-crl-issuer-chain"])?,
        root_ca_crl: der_or_hex(root_crl)?,
        tcb_info_issuer_chain: issuer_chain(&tcb, &["tcb-info-issuer-chain", "sgx-tcb-info-issuer-chain"])?,
        tcb_info: tcb_info.tcb_info.get().to_owned(),
        tcb_info_signature: hex::decode(tcb_info.signature).map_err(|_| tcb.malformed("signed TCB info"))?,
        qe_identity_issuer_chain: issuer_chain(&identity, &["sgx-enclave-identity-issuer-chain"])?,
        qe_identity: qe_identity.enclave_identity.get().to_owned(),
        qe_identity_signature: hex::decode(qe_identity.signature)
            .map_err(|_| identity.malformed("a signed QE identity"))?,
        pck_crl: pck_crl.body,
    })
}

/// The inner text is kept as received: the signature is over exactly that.
#[derive(Deserialize)]
struct TcbAnswer<'a> {
    #[serde(borrow, rename = "tcbInfo")]
    tcb_info: &'a RawValue,
    signature: &'a str,
}

#[derive(Deserialize)]
struct IdentityAnswer<'a> {
    #[serde(borrow, rename = "enclaveIdentity")]
    enclave_identity: &'a RawValue,
    signature: &'a str,
}

/// PEM from the first of these headers that is there.
fn issuer_chain(answer: &Download, names: &[&str]) -> Result<String, FetchError> {
    let value = names.iter().find_map(|name| answer.headers.get(*name)).and_then(|value| value.to_str().ok());
    let decoded = value.map(|value| percent_decode_str(value).decode_utf8());
    match decoded {
        Some(Ok(chain)) => Ok(chain.into_owned()),
        _ => Err(answer.malformed("a document with its issuer chain")),
    }
}

/// Caches give the root's list as hex text, Intel's distribution point as DER.
fn der_or_hex(answer: Download) -> Result<Vec<u8>, FetchError> {
    if answer.body.first() == Some(&0x30) && !answer.body.is_ascii() {
        return Ok(answer.body);
    }
    hex::decode(answer.body.trim_ascii()).map_err(|_| answer.malformed("a revocation list"))
}
