//! To which origins a task's enclave may connect: the SMS, the result storage, and where its inputs are. Pure.

use std::collections::BTreeSet;

use strongroom_client::origin;
use strongroom_protocol::deal_params::DealParams;
use strongroom_protocol::multiaddr::location_text;
use url::Url;

use crate::outside::DealView;
use crate::result_place::ResultPlace;

/// Where requesters' own storage is.
const DROPBOX: &str = "https://content.dropboxapi.com";

/// What the configuration lets enclaves reach.
pub(super) struct Reach<'a> {
    pub(super) sms: &'a Url,
    pub(super) proxy: Option<&'a Url>,
    pub(super) gateways: &'a [Url],
    /// Where the datasets of the task's bulk slice are.
    pub(super) bulk: &'a [String],
}

/// An origin, and who named it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// Scheme, host and port, such as `https://gateway.example:443`.
    pub origin: String,
    /// Whether the operator named it; else a deal did, whom nobody trusts.
    pub is_configured: bool,
}

/// The origins of a task, each once.
pub(super) fn origins_of(view: &DealView, params: &DealParams, reach: &Reach<'_>) -> Vec<Origin> {
    let mut configured: BTreeSet<String> = [reach.sms].into_iter().chain(reach.gateways).filter_map(origin).collect();
    let mut named = BTreeSet::new();
    match ResultPlace::of(view, params, reach.proxy) {
        Ok(ResultPlace::Proxy(proxy)) => configured.extend(origin(proxy)),
        Ok(ResultPlace::Dropbox) => configured.extend(origin_of(DROPBOX)),
        // A result that could go nowhere makes no task.
        Ok(ResultPlace::Callback(_)) | Err(_) => {}
    }
    named.extend(params.input_files.iter().filter_map(|file| origin_of(file)));
    named.extend(view.dataset.iter().filter_map(|dataset| origin_of(&location_text(&dataset.multiaddr))));
    named.extend(reach.bulk.iter().filter_map(|location| origin_of(location)));
    let configured_ones = configured.iter().map(|origin| Origin { origin: origin.clone(), is_configured: true });
    let named_ones =
        named.difference(&configured).map(|origin| Origin { origin: origin.clone(), is_configured: false });
    configured_ones.chain(named_ones).collect()
}

fn origin_of(text: &str) -> Option<String> {
    origin(&text.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use strongroom_protocol::snapshot::Dataset;
    use strongroom_protocol::{Address, B256};

    use super::*;
    use crate::test_support::deal_view;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn of(params: &str, dataset: Option<&str>) -> Vec<(String, bool)> {
        let mut view = deal_view(params);
        view.dataset = dataset.map(|location| Dataset {
            address: Address::repeat_byte(1),
            owner: Address::repeat_byte(2),
            multiaddr: location.as_bytes().to_vec(),
            checksum: B256::ZERO,
        });
        let (sms, proxy, gateways) =
            (url("http://sms.example:13300/x"), url("https://proxy.example"), [url("https://ipfs.example")]);
        let bulk = ["/ipfs/QmY".to_owned(), "https://bulk.example/1".to_owned()];
        let reach = Reach {
            sms: &sms,
            proxy: Some(&proxy),
            gateways: &gateways,
            bulk: if params.contains("bulk") { &bulk } else { &[] },
        };
        let params = DealParams::parse(params).unwrap();
        origins_of(&view, &params, &reach).into_iter().map(|one| (one.origin, one.is_configured)).collect()
    }

    #[test]
    fn a_plain_task_reaches_sms_gateways_and_result_proxy() {
        let expected = [
            ("http://sms.example:13300", true),
            ("https://ipfs.example:443", true),
            ("https://proxy.example:443", true),
        ];
        assert_eq!(of("{}", Some("/ipfs/QmX")), expected.map(|(origin, ours)| (origin.to_owned(), ours)));
    }

    #[test]
    fn what_a_deal_names_is_reached_too_and_marked_as_such() {
        let params = r#"{"iexec_input_files":["http://a.example/1","http://a.example/2","https://proxy.example/x"],
                        "iexec_result_storage_proxy":"https://own.example"}"#; // which is refused elsewhere
        let origins = of(params, Some("https://data.example:8443/file"));
        for named in ["http://a.example:80", "https://data.example:8443"] {
            assert!(origins.contains(&(named.to_owned(), false)), "{origins:?}");
        }
        assert!(!origins.iter().any(|(origin, _)| origin.contains("own.example")), "a token of ours would go there");
        assert_eq!(origins.iter().filter(|(origin, _)| origin == "http://a.example:80").count(), 1);
    }

    #[test]
    fn datasets_of_a_bulk_slice_are_reached_where_they_are() {
        let origins = of(r#"{"bulk_cid":"QmBulk"}"#, None);
        assert!(origins.contains(&("https://bulk.example:443".to_owned(), false)), "{origins:?}");
    }

    #[test]
    fn results_for_dropbox_go_there() {
        let origins = of(r#"{"iexec_result_storage_provider":"dropbox"}"#, None);
        assert!(origins.contains(&("https://content.dropboxapi.com:443".to_owned(), true)));
        assert!(!origins.iter().any(|(origin, _)| origin.contains("proxy")));
    }
}
