//! AMD's key distribution service. It limits how often it may be asked, so a chip's certificate is fetched once and kept: it
//! never changes for the same firmware. Only the root's revocation list is fetched again.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use strongroom_attest::AmdProduct;
use strongroom_attest::claims::SnpTcb;
use strongroom_attest::endorsements::AmdEndorsements;

use crate::download::{Download, FetchError};
use crate::settings::Settings;

/// The certificates and the list of one chip.
pub(crate) struct AmdParts {
    pub(crate) vek: Vec<u8>,
    pub(crate) intermediate: Vec<u8>,
    pub(crate) crl: Vec<u8>,
}

/// Fetches what is not already at hand.
pub(crate) async fn fetch(
    http: &reqwest::Client,
    settings: &Settings,
    product: AmdProduct,
    chip_id: &[u8; 64],
    tcb: &SnpTcb,
    at_hand: Option<&AmdEndorsements>,
) -> Result<AmdParts, FetchError> {
    let base = settings.amd.as_ref().ok_or(FetchError::NoSource)?.as_str().trim_end_matches('/');
    if *chip_id == [0; 64] {
        // The platform hides its id: nobody can name its certificate.
        return Err(FetchError::NoSource);
    }
    let get = |url| Download::get(http, url, settings.timeout);
    let crl = get(format!("{base}/vcek/v1/{product}/crl"));
    if let Some(at_hand) = at_hand {
        let (vek, intermediate) = (at_hand.vek().to_vec(), at_hand.intermediate().to_vec());
        return Ok(AmdParts { vek, intermediate, crl: crl.await?.body });
    }
    let used = if product == AmdProduct::Turin { &chip_id[..8] } else { &chip_id[..] };
    let fmc = if product == AmdProduct::Turin { format!("&fmcSPL={:02}", tcb.fmc) } else { String::new() };
    let vcek = format!(
        "{base}/vcek/v1/{product}/{}?blSPL={:02}&teeSPL={:02}&snpSPL={:02}&ucodeSPL={:02}{fmc}",
        hex::encode(used),
        tcb.bootloader,
        tcb.tee,
        tcb.snp,
        tcb.microcode
    );
    let chain = get(format!("{base}/vcek/v1/{product}/cert_chain"));
    let (vcek, chain, crl) = tokio::try_join!(get(vcek), chain, crl)?;
    // Intermediate first, root after it; the root that counts is the configured one.
    let intermediate = CertificateDer::pem_slice_iter(&chain.body).next();
    match intermediate {
        Some(Ok(intermediate)) => Ok(AmdParts { vek: vcek.body, intermediate: intermediate.to_vec(), crl: crl.body }),
        _ => Err(chain.malformed("a PEM chain")),
    }
}
