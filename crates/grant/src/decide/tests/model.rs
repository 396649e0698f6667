//! The judgement a second time, as a table written from the network's documents and our design, over names instead of bytes.
//! It shares vocabulary with the code (identifiers, refusals), no parser, hash, signature or control flow.

use std::collections::BTreeMap;

use alloy_primitives::U256;
use strongroom_protocol::bundle::Stage;
use strongroom_protocol::snapshot::TaskStatus;
use strongroom_protocol::{Framework, SecretId, UnixSeconds};

use super::scenario::{
    DROPBOX_TOKEN, INDEXES, LOCATIONS, Measured, Order, PROXY_ADDRESS, PROXY_TOKEN, RESULT_KEY, Scenario, Signed,
    TaskName, Who, World,
};
use super::texts::{FILES, Meaning, Unusable};
use crate::facts::SecretVersion;
use crate::refusal::Refusal;

/// Why a check fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// This refusal, with all its details.
    Is(Refusal),
    /// A refusal with this code; its words are those of a parser.
    Coded(&'static str),
}

impl Reason {
    pub(super) fn is(&self, refusal: &Refusal) -> bool {
        match self {
            Self::Is(expected) => expected == refusal,
            Self::Coded(code) => *code == refusal.code(),
        }
    }
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        Self::Is(refusal)
    }
}

/// Where the value of a variable comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Stored { id: SecretId, version: SecretVersion, trimmed: bool },
    ChallengeKey,
}

pub(super) type Variables = BTreeMap<(Stage, String), Value>;
pub(super) type Outcome = (&'static str, Option<Reason>);

fn unless(holds: bool, refusal: Refusal) -> Option<Reason> {
    (!holds).then(|| refusal.into())
}

fn framework(s: &Scenario) -> Option<Framework> {
    [(0b0011, Framework::Scone), (0b0101, Framework::Gramine), (0b1001, Framework::Tdx)]
        .into_iter()
        .find_map(|(low, framework)| (s.tag_low == low).then_some(framework))
}

/// Every check of a session, in the order in which clients are told.
pub(super) fn session_checks(world: &World, s: &Scenario) -> Vec<Outcome> {
    vec![
        ("the task is active", unless(s.status == TaskStatus::Active, Refusal::TaskNotActive { found: s.status })),
        ("the task belongs to the deal", unless(of_deal(s), Refusal::TaskNotOfDeal)),
        (
            "the tag asks for exactly one framework",
            unless(framework(s).is_some(), Refusal::NoFramework { tag: World::tag(s) }),
        ),
        ("the workerpool owner authorised this worker and challenge", authorised(world, s)),
        (
            "contributions are open",
            unless(
                s.time() < s.contribution_deadline,
                Refusal::ContributionClosed {
                    deadline: UnixSeconds(s.contribution_deadline),
                    now: UnixSeconds(s.time()),
                },
            ),
        ),
        (
            "the final deadline is ahead",
            unless(
                s.time() < s.final_deadline,
                Refusal::FinalDeadlinePassed { deadline: UnixSeconds(s.final_deadline), now: UnixSeconds(s.time()) },
            ),
        ),
        ("the session is for this task and not over", session(s)),
        (
            "the enclave challenge is the one made here",
            unless(s.challenge == s.derived, Refusal::ForeignChallenge { found: World::challenge(s.challenge) }),
        ),
        ("app and dataset are those of the deal", assets(s)),
        ("the deal's parameters are understood", params(world, s)),
        ("indexes and names of requester secrets are canonical", requester_secrets(world, s)),
        ("every order of the bulk slice serves the deal", bulk(world, s)),
        ("an SGX app has an enclave configuration", sgx_configuration(world, s)),
        ("the secrets that the deal involves are stored", missing(world, s).map(Reason::from)),
    ]
}

/// Every further check of a release, in order.
pub(super) fn release_checks(world: &World, s: &Scenario) -> Vec<Outcome> {
    vec![
        ("the request is about this session and its evidence", bound(s)),
        ("the enclave is not in debug mode", unless(!s.debug, Refusal::DebugEnclave)),
        (
            "the platform meets the operator's policy",
            unless(s.meets_policy, Refusal::PolicyNotMet { reason: World::policy_refusal().to_string() }),
        ),
        ("the evidence is of the platform that the deal asks for", platform(s)),
        ("the enclave runs the app of the chain", app(world, s)),
    ]
}

/// PoCo: the id of a task is made of deal and index, and a deal has `bot_size` tasks from `bot_first` on.
fn of_deal(s: &Scenario) -> bool {
    let index = u128::from(INDEXES[s.task_index]);
    let (first, size) = (u128::from(s.bot_first), u128::from(s.bot_size));
    s.task == TaskName { deal: s.task_deal, index: s.task_index }
        && s.task_deal == s.deal
        && (first..first + size).contains(&index)
}

/// sms-api §3.4, §3.5: the owner of the workerpool in the deal, over worker, task and challenge.
fn authorised(world: &World, s: &Scenario) -> Option<Reason> {
    let needed = Signed { by: s.pool_owner, worker: s.worker, task: s.task, challenge: s.challenge };
    unless(s.signed == Some(needed), Refusal::NotAuthorisedByPool { owner: world.address(s.pool_owner) })
}

fn session(s: &Scenario) -> Option<Reason> {
    if s.session.task != s.task {
        return Some(Refusal::ForeignSession.into());
    }
    let (expired, now) = (UnixSeconds(s.expires), UnixSeconds(s.time()));
    unless(s.time() <= s.expires, Refusal::SessionExpired { expired, now })
}

fn assets(s: &Scenario) -> Option<Reason> {
    if s.deal_app != s.shown_app {
        return Some(Refusal::ForeignApp { found: World::app(s.shown_app) }.into());
    }
    unless(s.deal_dataset == s.shown_dataset, Refusal::ForeignDataset)
}

fn meaning<'a>(world: &'a World, s: &Scenario) -> Option<&'a Meaning> {
    world.params[s.params].0.meaning.as_ref()
}

const NOT_UNDERSTOOD: Reason = Reason::Coded("params-not-understood");

fn params(world: &World, s: &Scenario) -> Option<Reason> {
    meaning(world, s).is_none().then_some(NOT_UNDERSTOOD)
}

/// sms-api §4.6 with design §8: what was delivered empty there is refused here, and so is an order with a price.
fn bulk(world: &World, s: &Scenario) -> Option<Reason> {
    let Some(meaning) = meaning(world, s) else { return Some(NOT_UNDERSTOOD) };
    let refusal = |order: &Order| -> Option<Refusal> {
        let dataset = World::dataset(order.named);
        if order.shown != Some(order.named) || LOCATIONS[order.location].1.trim().is_empty() {
            Some(Refusal::BulkDatasetUnknown { dataset })
        } else if let Some(reason) = order.hub_says {
            Some(Refusal::BulkOrderIncompatible { dataset, reason: reason.to_owned() })
        } else if order.volume < 9_007_199_254_740_990 {
            Some(Refusal::BulkOrderLimited { dataset, volume: U256::from(order.volume) })
        } else if order.price > 0 {
            Some(Refusal::BulkOrderPriced { dataset, price: U256::from(order.price) })
        } else {
            None
        }
    };
    match &s.slice {
        None => Some(Reason::Coded("bulk-unreadable")),
        Some(orders) if meaning.bulk == orders.is_empty() => Some(Reason::Coded("bulk-unreadable")),
        Some(orders) => orders.iter().find_map(refusal).map(Reason::from),
    }
}

fn orders(s: &Scenario) -> &[Order] {
    s.slice.as_deref().unwrap_or_default()
}

fn requester_secrets(world: &World, s: &Scenario) -> Option<Reason> {
    let Some(meaning) = meaning(world, s) else { return Some(NOT_UNDERSTOOD) };
    meaning.secrets.iter().find_map(|wanted| {
        if !wanted.has_plain_index() {
            Some(Refusal::IndexNotCanonical { index: wanted.index.clone() }.into())
        } else if !wanted.has_possible_name() {
            Some(Refusal::NameNotCanonical { name: wanted.name.clone() }.into())
        } else {
            None
        }
    })
}

fn unusable(world: &World, s: &Scenario) -> Option<Reason> {
    match world.configs[s.config].meaning {
        Ok(_) => None,
        Err(Unusable::Unreadable) => Some(Reason::Coded("no-enclave-config")),
        Err(Unusable::Invalid) => Some(Reason::Coded("invalid-enclave-config")),
    }
}

fn sgx_configuration(world: &World, s: &Scenario) -> Option<Reason> {
    match framework(s) {
        Some(Framework::Scone | Framework::Gramine) => unusable(world, s),
        Some(Framework::Tdx) | None => None,
    }
}

/// The dataset that pre-compute fetches: a dataset without a location is as good as none (sms-api §4.2).
fn fetched(s: &Scenario) -> Option<u8> {
    s.shown_dataset.filter(|_| !LOCATIONS[s.location].1.trim().is_empty())
}

fn account(world: &World, who: Who, name: &str) -> SecretId {
    SecretId::Account { owner: world.address(who), name: name.parse().unwrap() }
}

fn requester_secret(world: &World, s: &Scenario, name: &str) -> SecretId {
    SecretId::Requester { owner: world.address(s.requester), name: name.parse().unwrap() }
}

/// The order of sms-api §4.4: dataset (8), app (9), encryption and storage (10).
fn missing(world: &World, s: &Scenario) -> Option<Refusal> {
    let meaning = meaning(world, s)?;
    let absent = |id: &SecretId| world.version(s, id).is_none();
    if let Some(number) = fetched(s) {
        let dataset = World::dataset(number);
        if absent(&SecretId::Dataset(dataset)) {
            return Some(Refusal::DatasetKeyMissing { dataset });
        }
    }
    let dataset = orders(s).iter().map(|order| World::dataset(order.named)).find(|d| absent(&SecretId::Dataset(*d)));
    if let Some(dataset) = dataset {
        return Some(Refusal::DatasetKeyMissing { dataset });
    }
    for wanted in meaning.secrets.iter().filter(|wanted| wanted.has_possible_name()) {
        if absent(&requester_secret(world, s, &wanted.name)) {
            let requester = world.address(s.requester);
            return Some(Refusal::RequesterSecretMissing { requester, name: wanted.name.clone() });
        }
    }
    if meaning.encryption && absent(&account(world, s.beneficiary, RESULT_KEY)) {
        return Some(Refusal::ResultKeyMissing { beneficiary: world.address(s.beneficiary) });
    }
    if s.callback {
        return None;
    }
    if meaning.provider.as_deref() == Some("dropbox") {
        let token = account(world, s.requester, DROPBOX_TOKEN);
        return absent(&token).then(|| Refusal::StorageTokenMissing { owner: world.address(s.requester) });
    }
    let tokens = [s.worker, s.requester].map(|who| account(world, who, PROXY_TOKEN));
    tokens.iter().all(absent).then(|| Refusal::StorageTokenMissing { owner: world.address(s.worker) })
}

fn bound(s: &Scenario) -> Option<Reason> {
    if s.asked.session != s.session {
        return Some(Refusal::BoundToOtherSession.into());
    }
    unless(s.evidenced == Some(s.asked), Refusal::NotBound)
}

fn platform(s: &Scenario) -> Option<Reason> {
    let Some(asked) = framework(s) else { return Some(Refusal::NoFramework { tag: World::tag(s) }.into()) };
    let served: &[Framework] = match s.measured {
        Measured::Sgx(_) => &[Framework::Scone, Framework::Gramine],
        Measured::Tdx { .. } => &[Framework::Tdx],
        Measured::Snp | Measured::Nitro => &[],
    };
    unless(served.contains(&asked), Refusal::OtherPlatform { asked })
}

/// design §4, identity of code. The zero word names no code.
fn app(world: &World, s: &Scenario) -> Option<Reason> {
    let other = |found: Option<u8>, expected| Refusal::OtherApp {
        found: found.map(World::code),
        expected: World::code(expected),
    };
    match (s.measured, world.configs[s.config].meaning) {
        (Measured::Sgx(_), Err(_)) => unusable(world, s),
        (Measured::Sgx(found), Ok(print)) => unless(found == print && print != 0, other(Some(found), print)),
        (Measured::Tdx { image, approved: false, .. }, _) => {
            Some(Refusal::ImageNotApproved { found: World::image(image).into() }.into())
        }
        (Measured::Tdx { app, approved: true, .. }, _) => {
            unless(s.checksum != 0 && app == Some(s.checksum), other(app, s.checksum))
        }
        (Measured::Snp | Measured::Nitro, _) => Some(other(None, s.checksum).into()),
    }
}

/// The variables of sms-api §4.5 for a task that passes every check.
pub(super) fn variables(world: &World, s: &Scenario) -> Variables {
    let meaning = meaning(world, s).expect("only asked for a task that passes every check");
    let mut table = Table { world, s, rows: Variables::new() };
    if fetched(s).is_some() || !meaning.files.is_empty() || meaning.bulk {
        table.pre_compute(meaning);
    }
    table.app(meaning);
    table.post_compute(meaning);
    table.rows
}

/// What a release leaves of them: an SGX measurement vouches for the app alone.
pub(super) fn released(world: &World, s: &Scenario) -> Variables {
    let mut all = variables(world, s);
    if framework(s) != Some(Framework::Tdx) {
        all.retain(|(stage, _), _| *stage == Stage::App);
    }
    all
}

struct Table<'a> {
    world: &'a World,
    s: &'a Scenario,
    rows: Variables,
}

impl Table<'_> {
    fn row(&mut self, stage: Stage, name: &str, value: Value) {
        let before = self.rows.insert((stage, name.to_owned()), value);
        assert!(before.is_none(), "{name} stands once in the tables");
    }

    fn text(&mut self, stage: Stage, name: &str, text: &str) {
        self.row(stage, name, Value::Text(text.to_owned()));
    }

    fn stored(&self, id: SecretId, trimmed: bool) -> Option<Value> {
        self.world.version(self.s, &id).map(|version| Value::Stored { id, version, trimmed })
    }

    fn trimmed(&self, who: Who, name: &str) -> Option<Value> {
        self.stored(account(self.world, who, name), true)
    }

    fn task(&mut self, stage: Stage) {
        let (deal, index) = (World::deal_id(self.s.deal).to_string(), INDEXES[self.s.task_index].to_string());
        self.text(stage, "IEXEC_DEAL_ID", &deal);
        self.text(stage, "IEXEC_TASK_INDEX", &index);
        self.text(stage, "IEXEC_TASK_ID", &self.world.task_id(self.s.task).to_string());
    }

    fn files(&mut self, stage: Stage, meaning: &Meaning) {
        self.text(stage, "IEXEC_INPUT_FILES_NUMBER", &meaning.files.len().to_string());
        if !meaning.files.is_empty() {
            self.text(stage, "IEXEC_INPUT_FILES_FOLDER", "/iexec_in");
        }
        for (place, file) in meaning.files.iter().enumerate() {
            let ((url, name), number) = (FILES[*file], place + 1);
            match stage {
                Stage::PreCompute => self.text(stage, &format!("IEXEC_INPUT_FILE_URL_{number}"), url),
                Stage::App => self.text(stage, &format!("IEXEC_INPUT_FILE_NAME_{number}"), name),
                Stage::PostCompute => unreachable!("has no input files"),
            }
        }
    }

    fn signing(&mut self, stage: Stage) {
        self.text(stage, "SIGN_WORKER_ADDRESS", self.world.address_text(self.s.worker));
        self.row(stage, "SIGN_TEE_CHALLENGE_PRIVATE_KEY", Value::ChallengeKey);
    }

    fn pre_compute(&mut self, meaning: &Meaning) {
        let stage = Stage::PreCompute;
        self.text(stage, "IEXEC_PRE_COMPUTE_OUT", "/iexec_in");
        self.task(stage);
        self.files(stage, meaning);
        self.slice(stage);
        self.signing(stage);
        let required = if fetched(self.s).is_some() { "true" } else { "false" };
        self.text(stage, "IS_DATASET_REQUIRED", required);
        if let Some(number) = fetched(self.s) {
            let key = self.stored(SecretId::Dataset(World::dataset(number)), false).expect("checked before");
            self.row(stage, "IEXEC_DATASET_KEY", key);
            self.text(stage, "IEXEC_DATASET_URL", LOCATIONS[self.s.location].1);
            self.text(stage, "IEXEC_DATASET_FILENAME", &dataset_text(Some(number)));
            self.text(stage, "IEXEC_DATASET_CHECKSUM", &format!("0x{}", "55".repeat(32)));
        }
    }

    fn slice(&mut self, stage: Stage) {
        let orders = orders(self.s);
        if !orders.is_empty() {
            self.text(stage, "IEXEC_BULK_SLICE_SIZE", &orders.len().to_string());
        }
        for (number, order) in (1..).zip(orders) {
            let name = |what: &str| format!("IEXEC_DATASET_{number}_{what}");
            self.text(stage, &name("FILENAME"), &World::order_name(order));
            if stage == Stage::PreCompute {
                let key = self.stored(SecretId::Dataset(World::dataset(order.named)), false).expect("checked before");
                self.row(stage, &name("KEY"), key);
                self.text(stage, &name("URL"), LOCATIONS[order.location].1);
                self.text(stage, &name("CHECKSUM"), &format!("0x{}", "66".repeat(32)));
            }
        }
    }

    fn app(&mut self, meaning: &Meaning) {
        let stage = Stage::App;
        self.slice(stage);
        self.task(stage);
        self.files(stage, meaning);
        self.text(stage, "IEXEC_IN", "/iexec_in");
        self.text(stage, "IEXEC_OUT", "/iexec_out");
        self.text(stage, "IEXEC_BOT_SIZE", &self.s.bot_size.to_string());
        self.text(stage, "IEXEC_BOT_FIRST_INDEX", &self.s.bot_first.to_string());
        self.text(stage, "IEXEC_BOT_TASK_INDEX", &INDEXES[self.s.task_index].to_string());
        self.text(stage, "IEXEC_DATASET_ADDRESS", &dataset_text(self.s.deal_dataset));
        self.text(stage, "IEXEC_DATASET_FILENAME", &dataset_text(self.s.deal_dataset));
        if let Some(secret) = self.stored(SecretId::App(World::app(self.s.deal_app)), false) {
            self.row(stage, "IEXEC_APP_DEVELOPER_SECRET", secret.clone());
            self.row(stage, "IEXEC_APP_DEVELOPER_SECRET_1", secret);
        }
        for wanted in &meaning.secrets {
            let id = requester_secret(self.world, self.s, &wanted.name);
            let secret = self.stored(id, false).expect("checked before");
            self.row(stage, &format!("IEXEC_REQUESTER_SECRET_{}", wanted.index), secret);
        }
    }

    fn post_compute(&mut self, meaning: &Meaning) {
        let stage = Stage::PostCompute;
        let (s, empty) = (self.s, Value::Text(String::new()));
        self.text(stage, "RESULT_ENCRYPTION", if meaning.encryption { "true" } else { "false" });
        let key = if meaning.encryption { self.trimmed(s.beneficiary, RESULT_KEY) } else { None };
        self.row(stage, "RESULT_ENCRYPTION_PUBLIC_KEY", key.unwrap_or(empty.clone()));
        self.text(stage, "RESULT_STORAGE_CALLBACK", if s.callback { "true" } else { "false" });
        // The tables know a null for a provider that was not named, which no variable can be; consumers take any provider but
        // Dropbox for IPFS and an empty one for missing.
        let provider = meaning.provider.as_deref().unwrap_or("ipfs");
        let (provider, proxy, token) = if s.callback {
            ("", None, None)
        } else if provider == "dropbox" {
            let proxy = meaning.proxy.clone().map(Value::Text);
            (provider, proxy, self.trimmed(s.requester, DROPBOX_TOKEN))
        } else {
            let proxy = meaning.proxy.clone().map(Value::Text).or_else(|| self.trimmed(s.pool_owner, PROXY_ADDRESS));
            let token = self.trimmed(s.worker, PROXY_TOKEN).or_else(|| self.trimmed(s.requester, PROXY_TOKEN));
            (provider, proxy, token)
        };
        self.text(stage, "RESULT_STORAGE_PROVIDER", provider);
        self.row(stage, "RESULT_STORAGE_PROXY", proxy.unwrap_or(empty.clone()));
        self.row(stage, "RESULT_STORAGE_TOKEN", token.unwrap_or(empty));
        self.text(stage, "IEXEC_TASK_ID", &self.world.task_id(s.task).to_string());
        self.signing(stage);
    }
}

fn dataset_text(number: Option<u8>) -> String {
    format!("0x{}", number.map_or("00".repeat(20), |number| format!("{:02x}", 0xd0 + number).repeat(20)))
}
