//! Which stage gets which variable: exactly the sets that the network's guests and apps know.
//! A plan carries public text and the names of secrets, never a secret.

use sha2::{Digest, Sha256};
use strongroom_protocol::address::{checksummed, lower_case};
use strongroom_protocol::bundle::Stage;
use strongroom_protocol::deal_params::DealParams;
use strongroom_protocol::multiaddr::location_text;
use strongroom_protocol::snapshot::TaskSnapshot;
use strongroom_protocol::{Address, SecretId, SecretKind};

use crate::facts::{SecretVersion, StoredSecrets, TaskFacts};
use crate::needs::{Need, fetched_dataset, needs};

const IN: &str = "/iexec_in";
const OUT: &str = "/iexec_out";

/// Where the value of a variable comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Public: it follows from the chain.
    Public(String),
    /// A stored secret, delivered exactly as pushed.
    Secret(SecretId, SecretVersion),
    /// A stored account secret without the white space around it, as the old service delivered these.
    TrimmedSecret(SecretId, SecretVersion),
    /// The private key of the task's enclave challenge, as `0x` and 64 hex digits.
    ChallengeKey,
}

/// One variable of one stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedItem {
    /// Who gets it.
    pub stage: Stage,
    /// Name of the variable.
    pub name: String,
    /// Where its value comes from.
    pub source: Source,
}

/// All variables of all stages of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In stage order.
    pub items: Vec<PlannedItem>,
}

impl Plan {
    /// The stored secrets that the plan opens, each once, in order.
    pub fn secrets(&self) -> Vec<(SecretId, SecretVersion)> {
        let mut secrets: Vec<_> = self
            .items
            .iter()
            .filter_map(|item| match &item.source {
                Source::Secret(id, version) | Source::TrimmedSecret(id, version) => Some((id.clone(), *version)),
                Source::Public(_) | Source::ChallengeKey => None,
            })
            .collect();
        secrets.sort();
        secrets.dedup();
        secrets
    }

    /// The same plan with the secrets of an earlier record of the same release: in their versions of then, and without those
    /// that were not there yet. An account secret of the record stands in for one of the same name that has come since.
    #[must_use]
    pub fn with_versions(mut self, recorded: &StoredSecrets) -> Self {
        let same_name = |id: &SecretId| {
            let stands_in = |then: &&SecretId| then.kind() == SecretKind::Account && then.name() == id.name();
            recorded.iter().find(|(then, _)| stands_in(then))
        };
        self.items.retain_mut(|item| match &mut item.source {
            Source::Secret(id, version) => match recorded.get(id) {
                Some(then) => {
                    *version = *then;
                    true
                }
                None => false,
            },
            Source::TrimmedSecret(id, _) => {
                item.source = same_name(id).map_or_else(
                    || Source::Public(String::new()),
                    |(then, version)| Source::TrimmedSecret(then.clone(), *version),
                );
                true
            }
            Source::Public(_) | Source::ChallengeKey => true,
        });
        self
    }

    /// Only the variables of `stages`.
    #[must_use]
    pub fn for_stages(mut self, stages: &[Stage]) -> Self {
        self.items.retain(|item| stages.contains(&item.stage));
        self
    }

    fn public(&mut self, stage: Stage, name: impl Into<String>, value: &(impl ToString + ?Sized)) {
        self.push(stage, name, Source::Public(value.to_string()));
    }

    fn push(&mut self, stage: Stage, name: impl Into<String>, source: Source) {
        self.items.push(PlannedItem { stage, name: name.into(), source });
    }
}

/// Plans the variables of a task whose checks all passed.
pub(crate) fn plan(facts: &TaskFacts, params: &DealParams) -> Plan {
    let mut plan = Plan::default();
    let met = met_needs(facts, params);
    if fetched_dataset(&facts.chain).is_some() || !params.input_files.is_empty() || !facts.bulk_datasets().is_empty() {
        pre_compute(&mut plan, facts, params, &met);
    }
    app(&mut plan, facts, params, &met);
    post_compute(&mut plan, facts, params, &met);
    plan
}

/// Each need with the secret that meets it.
fn met_needs(facts: &TaskFacts, params: &DealParams) -> Vec<(Need, SecretId, SecretVersion)> {
    needs(&facts.chain, params, facts.bulk_datasets(), facts.session.worker)
        .into_iter()
        .filter_map(|need| {
            let (id, version) = first_stored(&need, &facts.stored)?;
            Some((need, id, version))
        })
        .collect()
}

fn first_stored(need: &Need, stored: &StoredSecrets) -> Option<(SecretId, SecretVersion)> {
    need.candidates().iter().find_map(|id| Some((id.clone(), *stored.get(id)?)))
}

fn task_variables(plan: &mut Plan, stage: Stage, chain: &TaskSnapshot) {
    plan.public(stage, "IEXEC_DEAL_ID", &chain.deal.id);
    plan.public(stage, "IEXEC_TASK_INDEX", &chain.task.index);
    plan.public(stage, "IEXEC_TASK_ID", &chain.task.id);
}

fn input_file_count(plan: &mut Plan, stage: Stage, params: &DealParams) {
    plan.public(stage, "IEXEC_INPUT_FILES_NUMBER", &params.input_files.len());
    if !params.input_files.is_empty() {
        plan.public(stage, "IEXEC_INPUT_FILES_FOLDER", IN);
    }
}

fn bulk_size(plan: &mut Plan, stage: Stage, facts: &TaskFacts) {
    if !facts.bulk_datasets().is_empty() {
        plan.public(stage, "IEXEC_BULK_SLICE_SIZE", &facts.bulk_datasets().len());
    }
}

fn signing_variables(plan: &mut Plan, stage: Stage, worker: Address) {
    plan.public(stage, "SIGN_WORKER_ADDRESS", &checksummed(&worker));
    plan.push(stage, "SIGN_TEE_CHALLENGE_PRIVATE_KEY", Source::ChallengeKey);
}

fn pre_compute(plan: &mut Plan, facts: &TaskFacts, params: &DealParams, met: &[(Need, SecretId, SecretVersion)]) {
    let stage = Stage::PreCompute;
    plan.public(stage, "IEXEC_PRE_COMPUTE_OUT", IN);
    plan.public(stage, "IS_DATASET_REQUIRED", &fetched_dataset(&facts.chain).is_some());
    task_variables(plan, stage, &facts.chain);
    input_file_count(plan, stage, params);
    for (number, url) in (1..).zip(&params.input_files) {
        plan.public(stage, format!("IEXEC_INPUT_FILE_URL_{number}"), url);
    }
    if let Some(dataset) = fetched_dataset(&facts.chain) {
        for (need, id, version) in met {
            if matches!(need, Need::DatasetKey(_)) {
                plan.push(stage, "IEXEC_DATASET_KEY", Source::Secret(id.clone(), *version));
            }
        }
        plan.public(stage, "IEXEC_DATASET_URL", &location_text(&dataset.multiaddr));
        plan.public(stage, "IEXEC_DATASET_FILENAME", &lower_case(&dataset.address));
        plan.public(stage, "IEXEC_DATASET_CHECKSUM", &dataset.checksum);
    }
    bulk_size(plan, stage, facts);
    for (number, order) in (1..).zip(facts.bulk_datasets()) {
        let Some(dataset) = &order.dataset else { continue };
        plan.public(stage, format!("IEXEC_DATASET_{number}_URL"), &location_text(&dataset.multiaddr));
        plan.public(stage, format!("IEXEC_DATASET_{number}_CHECKSUM"), &dataset.checksum);
        plan.public(stage, format!("IEXEC_DATASET_{number}_FILENAME"), &order.name);
    }
    for (need, id, version) in met {
        if let Need::BulkKey { number, .. } = need {
            plan.push(stage, format!("IEXEC_DATASET_{number}_KEY"), Source::Secret(id.clone(), *version));
        }
    }
    signing_variables(plan, stage, facts.session.worker);
}

fn app(plan: &mut Plan, facts: &TaskFacts, params: &DealParams, met: &[(Need, SecretId, SecretVersion)]) {
    let (stage, chain) = (Stage::App, &facts.chain);
    let dataset = lower_case(&chain.dataset.as_ref().map_or(Address::ZERO, |dataset| dataset.address));
    task_variables(plan, stage, chain);
    plan.public(stage, "IEXEC_IN", IN);
    plan.public(stage, "IEXEC_OUT", OUT);
    plan.public(stage, "IEXEC_BOT_SIZE", &chain.deal.bot_size);
    plan.public(stage, "IEXEC_BOT_FIRST_INDEX", &chain.deal.bot_first);
    plan.public(stage, "IEXEC_BOT_TASK_INDEX", &chain.task.index);
    plan.public(stage, "IEXEC_DATASET_ADDRESS", &dataset);
    plan.public(stage, "IEXEC_DATASET_FILENAME", &dataset);
    input_file_count(plan, stage, params);
    for (number, url) in (1..).zip(&params.input_files) {
        plan.public(stage, format!("IEXEC_INPUT_FILE_NAME_{number}"), &input_file_name(url));
    }
    bulk_size(plan, stage, facts);
    for (number, order) in (1..).zip(facts.bulk_datasets()) {
        plan.public(stage, format!("IEXEC_DATASET_{number}_FILENAME"), &order.name);
    }
    for (need, id, version) in met {
        let source = Source::Secret(id.clone(), *version);
        match need {
            Need::AppSecret(_) => {
                plan.push(stage, "IEXEC_APP_DEVELOPER_SECRET", source.clone());
                plan.push(stage, "IEXEC_APP_DEVELOPER_SECRET_1", source);
            }
            Need::RequesterSecret { index, .. } => {
                plan.push(stage, format!("IEXEC_REQUESTER_SECRET_{index}"), source);
            }
            Need::DatasetKey(_)
            | Need::BulkKey { .. }
            | Need::ResultKey(_)
            | Need::StorageToken(_)
            | Need::ProxyUrl(_) => {}
        }
    }
}

/// The name under which an input file is saved: `0x` and the SHA-256 of its URL in hex.
pub fn input_file_name(url: &str) -> String {
    format!("0x{}", hex::encode(Sha256::digest(url)))
}

fn post_compute(plan: &mut Plan, facts: &TaskFacts, params: &DealParams, met: &[(Need, SecretId, SecretVersion)]) {
    let stage = Stage::PostCompute;
    let callback = facts.chain.deal.callback.is_some();
    let secret_or_empty = |wanted: fn(&Need) -> bool| {
        let found = met.iter().find(|(need, ..)| wanted(need));
        found.map_or_else(
            || Source::Public(String::new()),
            |(_, id, version)| Source::TrimmedSecret(id.clone(), *version),
        )
    };
    plan.public(stage, "RESULT_ENCRYPTION", &params.result_encryption);
    plan.push(stage, "RESULT_ENCRYPTION_PUBLIC_KEY", secret_or_empty(|need| matches!(need, Need::ResultKey(_))));
    plan.public(stage, "RESULT_STORAGE_CALLBACK", &callback);
    let provider = if callback { "" } else { params.storage_provider.as_deref().unwrap_or("ipfs") };
    plan.public(stage, "RESULT_STORAGE_PROVIDER", provider);
    let proxy = match &params.storage_proxy {
        Some(proxy) if !callback => Source::Public(proxy.clone()),
        _ => secret_or_empty(|need| matches!(need, Need::ProxyUrl(_))),
    };
    plan.push(stage, "RESULT_STORAGE_PROXY", proxy);
    plan.push(stage, "RESULT_STORAGE_TOKEN", secret_or_empty(|need| matches!(need, Need::StorageToken(_))));
    plan.public(stage, "IEXEC_TASK_ID", &facts.chain.task.id);
    signing_variables(plan, stage, facts.session.worker);
}
