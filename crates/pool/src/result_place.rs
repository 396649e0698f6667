//! Where the result of a task goes. Pure.
//!
//! A worker has one token for result proxies, an account secret that the SMS gives every enclave of this worker's. So there is one proxy: with
//! the proxy that a stranger's deal names, the enclave would hand him that token, and the token that he gives would replace it for all
//! others. The stock SDK does not let requesters name a proxy since its version 9.

use strongroom_protocol::Address;
use strongroom_protocol::deal_params::DealParams;
use url::Url;

use crate::cause::{Cause, Failure};
use crate::outside::DealView;

/// Where a result goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultPlace<'a> {
    /// To this contract, on chain.
    Callback(Address),
    /// To the requester's own storage.
    Dropbox,
    /// To the result proxy of this pool.
    Proxy(&'a Url),
}

impl<'a> ResultPlace<'a> {
    /// The place of a deal's results, where `ours` is the proxy of this pool.
    pub fn of(view: &DealView, params: &DealParams, ours: Option<&'a Url>) -> Result<Self, Failure> {
        if let Some(callback) = view.deal.callback {
            return Ok(Self::Callback(callback));
        }
        if params.storage_provider.as_deref() == Some("dropbox") {
            return Ok(Self::Dropbox);
        }
        let Some(ours) = ours else {
            let cause = Cause::TEE_SESSION_GENERATION_POST_COMPUTE_GET_STORAGE_TOKENS_FAILED;
            return Err(Failure::new(cause, "no result proxy is configured; set results.proxy"));
        };
        match params.storage_proxy.as_deref() {
            Some(named) if !is_same(named, ours) => {
                let message = format!("the deal names result proxy {named:?}; this pool delivers to {ours} only");
                Err(Failure::new(Cause::TASK_DESCRIPTION_INVALID, message))
            }
            _ => Ok(Self::Proxy(ours)),
        }
    }
}

/// Whether a text is this address, a slash at the end apart.
fn is_same(named: &str, ours: &Url) -> bool {
    let bare = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
    named.parse().is_ok_and(|named| bare(&named) == bare(ours))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::deal_view;

    fn place_of(params: &str, ours: Option<&str>, change: impl FnOnce(&mut DealView)) -> Result<String, Failure> {
        let mut view = deal_view(params);
        view.deal.callback = None;
        change(&mut view);
        let ours: Option<Url> = ours.map(|url| url.parse().unwrap());
        let params = DealParams::parse(params).unwrap();
        ResultPlace::of(&view, &params, ours.as_ref()).map(|place| format!("{place:?}"))
    }

    #[test]
    fn a_deal_may_name_our_own_proxy_and_no_other() {
        let ours = Some("https://proxy.example");
        let named = |url: &str| format!(r#"{{"iexec_result_storage_proxy":"{url}"}}"#);
        for params in ["{}".to_owned(), named("https://proxy.example"), named("https://Proxy.example:443/")] {
            let place = place_of(&params, ours, |_| ()).unwrap();
            assert!(place.starts_with("Proxy("), "{params}: {place}");
        }
        for other in ["https://proxy.example.org", "http://proxy.example", "https://proxy.example/other", "proxy"] {
            let failure = place_of(&named(other), ours, |_| ()).unwrap_err();
            assert_eq!(failure.cause, Cause::TASK_DESCRIPTION_INVALID);
            assert!(failure.message.contains("delivers to https://proxy.example/ only"), "{failure}");
        }
    }

    #[test]
    fn callbacks_and_dropbox_need_no_proxy_and_everything_else_does() {
        let dropbox = r#"{"iexec_result_storage_provider":"dropbox"}"#;
        assert_eq!(place_of(dropbox, None, |_| ()).unwrap(), "Dropbox");
        let callback = |view: &mut DealView| view.deal.callback = Some(Address::repeat_byte(7));
        let place = place_of("{}", None, callback).unwrap();
        assert_eq!(place, format!("{:?}", ResultPlace::Callback(Address::repeat_byte(7))));
        let failure = place_of("{}", None, |_| ()).unwrap_err();
        assert!(failure.message.contains("set results.proxy"), "{failure}");
    }
}
