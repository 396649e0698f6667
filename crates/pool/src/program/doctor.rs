//! Says what this machine and these settings can run, what not, and the command that mends it. Changes nothing.

use std::fmt;
use std::path::Path;

use alloy_primitives::U256;
use strongroom_client::Service as SmsClient;
use strongroom_poco::{AssetKind, Chain};
use strongroom_protocol::Address;
use strongroom_runtime::probe::{probe, real_tee_device};

use crate::program::backend;
use crate::program::service::{Keys, Passwords};
use strongroom_pool::config::{Config, RuntimeKind};
use strongroom_pool::lifecycle::Role;
use strongroom_pool::outside::{Services as _, with_causes};
use strongroom_pool::runner::folder;
use strongroom_pool::services::HttpServices;

/// Nobody may overlook it.
pub(crate) const BANNER: &str = "\
**********************************************************************
*  SIMULATED ENCLAVES. No hardware stands behind them, nothing that  *
*  a task keeps in memory is protected. For development only.        *
**********************************************************************";

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// As it should be.
    Good,
    /// Works, with less than it could.
    Weak,
    /// The pool cannot run tasks like this.
    Fatal,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What.
    pub(crate) subject: String,
    /// How it is.
    pub(crate) severity: Severity,
    /// What was found.
    pub(crate) found: String,
    /// What mends it; empty when nothing needs to be mended.
    pub(crate) remedy: String,
}

impl Finding {
    fn good(subject: &str, found: impl Into<String>) -> Self {
        let (subject, found) = (subject.to_owned(), found.into());
        Self { subject, severity: Severity::Good, found, remedy: String::new() }
    }

    fn bad(severity: Severity, subject: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { subject: subject.to_owned(), severity, found: found.into(), remedy: remedy.into() }
    }

    fn fatal(subject: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::bad(Severity::Fatal, subject, found, remedy)
    }

    /// Whether tasks cannot run.
    pub(crate) fn is_fatal(&self) -> bool {
        self.severity == Severity::Fatal
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.severity {
            Severity::Good => "ok  ",
            Severity::Weak => "weak",
            Severity::Fatal => "BAD ",
        };
        write!(f, "{mark}  {}: {}", self.subject, self.found)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "\n      mend: {}", self.remedy) }
    }
}

/// Looks at everything that `roles` need.
pub(crate) async fn examine(config: &Config, roles: &[Role], passwords: Passwords) -> Vec<Finding> {
    let mut findings = Vec::new();
    let chain = chain(config, &mut findings).await;
    sms(config, &mut findings).await;
    proxy(config, &mut findings).await;
    match Keys::open(config, roles, passwords) {
        Ok(keys) => {
            if let Some(owner) = &keys.owner {
                findings.push(Finding::good("owner's wallet", owner.address().to_string()));
            }
            findings.push(Finding::good("worker's wallet", keys.worker_address.to_string()));
            if let Some(chain) = &chain {
                accounts(config, chain, &keys, &mut findings).await;
            }
        }
        Err(error) => findings.push(Finding::fatal("wallets", format!("{error:#}"), "name wallet files and passwords")),
    }
    if roles.contains(&Role::Worker) {
        findings.extend(machine(config));
    }
    findings
}

async fn chain(config: &Config, findings: &mut Vec<Finding>) -> Option<Chain> {
    let built = config.chain().map_err(|error| with_causes(&error));
    let chain = match built.and_then(|chain| Chain::new(chain).map_err(|error| with_causes(&error))) {
        Ok(chain) => chain,
        Err(error) => {
            findings.push(Finding::fatal("chain", error, "set chain.endpoints, chain.id and chain.hub"));
            return None;
        }
    };
    match chain.check().await {
        Ok(()) => {
            findings.push(Finding::good("chain", format!("chain {} with the PoCo hub", config.chain.id)));
            Some(chain)
        }
        Err(error) => {
            findings.push(Finding::fatal(
                "chain",
                with_causes(&error),
                "check chain.endpoints, chain.id and chain.hub",
            ));
            None
        }
    }
}

async fn sms(config: &Config, findings: &mut Vec<Finding>) {
    let remedy = "check sms.url, and that the service runs";
    let url = match config.sms_url() {
        Ok(url) => url,
        Err(error) => return findings.push(Finding::fatal("SMS", error.to_string(), "set sms.url")),
    };
    let framework = match HttpServices::new(url.clone()) {
        Ok(services) => services.framework().await.map_err(|error| error.to_string()),
        Err(error) => Err(with_causes(&error)),
    };
    let frameworks = config.frameworks().unwrap_or_default();
    findings.push(match framework {
        Ok(served) if frameworks.contains(&served) => Finding::good("SMS", format!("serves {served}")),
        Ok(served) => Finding::fatal(
            "SMS",
            format!("serves {served}, which pool.frameworks does not name"),
            "change pool.frameworks",
        ),
        Err(error) => Finding::fatal("SMS", error, remedy),
    });
    let identity = match SmsClient::new(url) {
        Ok(client) => client.identity().await.map_err(|error| with_causes(&error)),
        Err(error) => Err(with_causes(&error)),
    };
    findings.push(match identity {
        Ok(identity) if identity.chain_id == config.chain.id => {
            Finding::good("SMS identity", format!("{} (pin it with sms.key_id)", identity.key_id))
        }
        Ok(identity) => {
            Finding::fatal("SMS identity", format!("serves chain {}", identity.chain_id), "use the SMS of this chain")
        }
        Err(error) => Finding::fatal("SMS identity", error, remedy),
    });
}

async fn proxy(config: &Config, findings: &mut Vec<Finding>) {
    let Some(proxy) = &config.results.proxy else {
        let remedy = "set results.proxy";
        return findings.push(Finding::bad(Severity::Weak, "result proxy", "none: only callbacks and Dropbox", remedy));
    };
    let mut url = proxy.clone();
    url.set_path("/version");
    let answered = match reqwest::Client::builder().no_proxy().build() {
        Ok(client) => client.get(url).timeout(std::time::Duration::from_secs(10)).send().await,
        Err(error) => Err(error),
    };
    findings.push(match answered {
        // Proxies without this page are proxies all the same.
        Ok(answer) if !answer.status().is_server_error() => Finding::good("result proxy", "answers"),
        Ok(answer) => Finding::fatal("result proxy", format!("status {}", answer.status()), "look at its log"),
        Err(error) => Finding::fatal("result proxy", with_causes(&error.without_url()), "check results.proxy"),
    });
}

async fn accounts(config: &Config, chain: &Chain, keys: &Keys, findings: &mut Vec<Finding>) {
    if let (Some(owner), Ok(pool)) = (&keys.owner, config.workerpool()) {
        findings.push(match chain.asset_owner(AssetKind::Workerpool, pool).await {
            Ok(Some(found)) if found == owner.address() => Finding::good("workerpool", format!("{pool} is ours")),
            Ok(Some(found)) => {
                let remedy = format!("use the wallet of {found}, or another pool.address");
                Finding::fatal("workerpool", format!("{pool} belongs to {found}"), remedy)
            }
            Ok(None) => Finding::fatal("workerpool", format!("{pool} is not registered"), "check pool.address"),
            Err(error) => Finding::fatal("workerpool", with_causes(&error), "check chain.endpoints"),
        });
        findings.push(match chain.money(owner.address()).await {
            Ok(account) if account.stake.is_zero() => Finding::bad(
                Severity::Weak,
                "stake",
                format!("none free, {} nRLC locked", account.locked),
                "deposit RLC: a pool must hold 30 % of the price of what it sells (nothing for orders at price 0)",
            ),
            Ok(account) => Finding::good("stake", format!("{} nRLC free, {} locked", account.stake, account.locked)),
            Err(error) => Finding::fatal("stake", with_causes(&error), "check chain.endpoints"),
        });
        gas(chain, "owner's gas", owner.address(), findings).await;
    }
    gas(chain, "worker's gas", keys.worker_address, findings).await;
}

async fn gas(chain: &Chain, subject: &str, wallet: Address, findings: &mut Vec<Finding>) {
    findings.push(match chain.coin_balance(wallet).await {
        Ok(balance) if balance.is_zero() => {
            Finding::fatal(subject, "none", format!("send some of the chain's coin to {wallet}"))
        }
        Ok(balance) => Finding::good(subject, format!("{} gwei", balance / U256::from(1_000_000_000))),
        Err(error) => Finding::fatal(subject, with_causes(&error), "check chain.endpoints"),
    });
}

/// Looks at what enclaves need of this machine. Blocks for some milliseconds.
pub(crate) fn machine(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    file("guest", &config.runtime.guest, "install strongroom-guest and set runtime.guest", &mut findings);
    if let Some(simulator) = &config.runtime.native.simulator {
        file("simulator", simulator, "install strongroom-simulator, or unset runtime.native.simulator", &mut findings);
        let found = "enclaves are SIMULATED: nothing in them is protected";
        findings.push(Finding::bad(Severity::Weak, "evidence", found, "run on confidential hardware"));
        if let Some(device) = real_tee_device() {
            let found = format!("{} exists, and the simulator refuses to take its place", device.display());
            findings.push(Finding::fatal("evidence", found, "unset runtime.native.simulator"));
        }
    } else if config.runtime.kind == RuntimeKind::Tdx {
        findings.push(Finding::good("evidence", "comes from the machines that the launcher starts"));
    } else if real_tee_device().is_none() {
        let found = "this machine has no confidential hardware that a guest could ask for evidence";
        findings.push(Finding::fatal("evidence", found, "for development set runtime.native.simulator"));
    }
    findings.extend(probe(&backend::places(config)).into_iter().map(|probed| {
        let remedy = probed.remedy.unwrap_or_default();
        match (probed.ok, probed.needed) {
            (true, _) => Finding::good(probed.what, probed.why),
            (false, true) => Finding::fatal(probed.what, probed.why, remedy),
            (false, false) => Finding::bad(Severity::Weak, probed.what, probed.why, remedy),
        }
    }));
    if let Err(error) = folder::examine(&config.pool.runs) {
        findings.push(Finding::fatal("runs", with_causes(&error), "name an empty folder in pool.runs"));
    }
    // Sockets of relays are in there.
    let path = config.pool.runs.join("x".repeat(folder::NAME_CHARS)).join("relay/999.sock");
    if path.as_os_str().len() > 107 {
        let found = format!("{} is too long for Unix sockets", config.pool.runs.display());
        findings.push(Finding::fatal("runs", found, "choose a shorter pool.runs"));
    }
    findings
}

fn file(subject: &str, path: &Path, remedy: &str, findings: &mut Vec<Finding>) {
    findings.push(if path.is_file() {
        Finding::good(subject, path.display().to_string())
    } else {
        Finding::fatal(subject, format!("there is no {}", path.display()), remedy)
    });
}
