//! Decides whether a task is worth its gas, before any is spent. Pure.

use std::collections::BTreeSet;

use alloy_primitives::U256;
use strongroom_protocol::deal_params::DealParams;
use strongroom_protocol::enclave_config::EnclaveConfig;
use strongroom_protocol::multiaddr::location_text;
use strongroom_protocol::{Address, Framework, UnixSeconds};
use url::Url;

use crate::cause::{Cause, Failure};
use crate::command_line;
use crate::outside::DealView;
use crate::result_place::ResultPlace;

/// What this pool does.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The pool.
    pub workerpool: Address,
    /// Whose signature the hub takes: the owner of our key.
    pub owner: Address,
    /// Frameworks that run here.
    pub frameworks: BTreeSet<Framework>,
    /// Where results go.
    pub proxy: Option<Url>,
    /// Seconds that must be left until the contribution deadline, over and above one full run.
    pub margin_seconds: u64,
}

/// What a deal asks for, once it was judged.
pub fn params_of(view: &DealView) -> Result<DealParams, Failure> {
    DealParams::parse(&view.deal.params)
        .map_err(|error| Failure::new(Cause::TASK_DESCRIPTION_INVALID, error.to_string()))
}

/// Judges a task of `view`. The order of the checks is a promise: the first that fails is told.
pub fn judge(view: &DealView, offer: &Offer, now: UnixSeconds) -> Result<(), Failure> {
    let no = |cause, message: String| Err(Failure::new(cause, message));
    let deal = &view.deal;
    if deal.workerpool.address != offer.workerpool || deal.workerpool.owner != offer.owner {
        let message = format!("the deal is for {} of {}, not ours", deal.workerpool.address, deal.workerpool.owner);
        return no(Cause::WORKERPOOL_AUTHORIZATION_NOT_FOUND, message);
    }
    let Some(framework) = deal.tag.framework().filter(|framework| offer.frameworks.contains(framework)) else {
        return no(Cause::TEE_NOT_SUPPORTED, format!("tag {} asks for no framework that runs here", deal.tag));
    };
    if deal.tag.0[..31].iter().any(|byte| *byte != 0) || deal.tag.0[31] & 0xf0 != 0 {
        return no(Cause::TEE_NOT_SUPPORTED, format!("tag {} asks for more than an enclave", deal.tag));
    }
    if deal.trust > U256::from(1) {
        return no(Cause::TRUST_NOT_1, format!("trust {} needs several workers, here is one", deal.trust));
    }
    if view.category_seconds == 0 {
        return no(Cause::TASK_DESCRIPTION_INVALID, format!("category {} does not exist", deal.category));
    }
    let needed = view.category_seconds.saturating_add(offer.margin_seconds);
    if now.0.saturating_add(needed) > view.contribution_deadline().0 {
        let left = view.contribution_deadline().0.saturating_sub(now.0);
        return no(Cause::CONTRIBUTION_TIMEOUT, format!("{left} s are left to contribute, a run may take {needed} s"));
    }
    let params = params_of(view)?;
    judge_params(&params)?;
    ResultPlace::of(view, &params, offer.proxy.as_ref())?;
    if location_text(&view.app.multiaddr).trim().is_empty() {
        return no(Cause::TASK_DESCRIPTION_INVALID, format!("app {} names no image", view.app.address));
    }
    if framework.is_sgx() {
        EnclaveConfig::parse(&view.app.mrenclave).map_err(|error| {
            Failure::new(Cause::TEE_SESSION_GENERATION_APP_COMPUTE_INVALID_ENCLAVE_CONFIG, error.to_string())
        })?;
    } else if view.app.checksum.is_zero() {
        return no(Cause::TASK_DESCRIPTION_INVALID, format!("app {} has no checksum", view.app.address));
    }
    Ok(())
}

fn judge_params(params: &DealParams) -> Result<(), Failure> {
    let no = |message: String| Err(Failure::new(Cause::TASK_DESCRIPTION_INVALID, message));
    if let Err(error) = command_line::split(params.args.as_deref().unwrap_or_default()) {
        return no(error.to_string());
    }
    let is_web = |text: &str| text.parse::<Url>().is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if let Some(file) = params.input_files.iter().find(|file| !is_web(file)) {
        return no(format!("input file {file:?} is not at an http or https address"));
    }
    match params.storage_provider.as_deref() {
        None | Some("" | "ipfs" | "dropbox") => Ok(()),
        Some(other) => no(format!("results cannot be stored at {other:?}, only at ipfs or dropbox")),
    }
}

#[cfg(test)]
mod tests;
