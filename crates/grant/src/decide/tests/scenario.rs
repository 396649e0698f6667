//! Small worlds: everything that a decision depends on, by name instead of by bytes. [`World::facts`] turns the names into the
//! bytes that `decide` sees; the model judges the names, so it needs no hashes, signatures or parsers of ours.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use strongroom_attest::policy::{PolicyHash, Rule};
use strongroom_attest::{EvidenceKind, Policy, PolicyRefusal, TrustDomain};
use strongroom_protocol::address::checksummed;
use strongroom_protocol::challenge::workerpool_authorization;
use strongroom_protocol::deal_params::DealParams;
use strongroom_protocol::sealing::EnclaveKey;
use strongroom_protocol::session::SessionId;
use strongroom_protocol::snapshot::{
    App, Block, BulkDataset, Dataset, Deal, DealAsset, Task, TaskSnapshot, TaskStatus,
};
use strongroom_protocol::transcript::{Deployment, Nonce, Transcript};
use strongroom_protocol::{DealId, SecretId, Session, Signature, SigningKey, Tag, TaskId, UnixSeconds};

use super::random::Random;
use super::texts::{ConfigText, NAMES, ParamsText, configs};
use crate::enclave::{Enclave, Identity};
use crate::facts::{Facts, SecretVersion, StoredSecrets, TaskFacts};

/// Task indexes that occur, the largest included.
pub(super) const INDEXES: [u64; 4] = [0, 1, 2, u64::MAX];
/// The beneficiary's key for encrypted results.
pub(super) const RESULT_KEY: &str = "iexec-result-encryption-public-key";
/// A requester's token for Dropbox.
pub(super) const DROPBOX_TOKEN: &str = "iexec-result-dropbox-token";
/// A worker's or requester's token for the result proxy.
pub(super) const PROXY_TOKEN: &str = "iexec-result-iexec-ipfs-token";
/// Where a pool wants results.
pub(super) const PROXY_ADDRESS: &str = "iexec-result-iexec-result-proxy-url";
/// Locations of datasets: bytes on chain as hex, and the text that pre-compute gets (the second is vector A16).
pub(super) const LOCATIONS: [(&str, &str); 4] = [
    ("68747470733a2f2f6578616d706c652e6f72672f66696c65", "https://example.org/file"),
    (
        "a5032212205d008f22f8f878fd58473a634cc73d41049fc0d19b81002eaae221ac5a446a3e",
        "/ipfs/QmUbh7ugQ9WVprTVYjzrCS4d9cCy73zUz4MMchsrqzzu1w",
    ),
    ("", ""),
    ("20", " "),
];
/// How many parameter texts a world knows.
const PARAMS_TEXTS: usize = 4_000;

/// The people of the small worlds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    Requester,
    Beneficiary,
    PoolOwner,
    Worker,
    Stranger,
}

impl Who {
    pub(super) const ALL: [Self; 5] =
        [Self::Requester, Self::Beneficiary, Self::PoolOwner, Self::Worker, Self::Stranger];
}

/// A task by what its id is made from: number of the deal, place of the index in [`INDEXES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TaskName {
    pub(super) deal: u8,
    pub(super) index: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SessionName {
    pub(super) nonce: u8,
    pub(super) task: TaskName,
}

/// What the pool owner, or somebody else, signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) by: Who,
    pub(super) worker: Who,
    pub(super) task: TaskName,
    pub(super) challenge: u8,
}

/// What a request is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) nonce: u8,
    pub(super) chain: u8,
    pub(super) hub: u8,
    pub(super) service: u8,
    pub(super) session: SessionName,
    pub(super) key: u8,
}

/// A digest of code; 0 is the all-zero word, which names no code.
pub(super) type Code = u8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measured {
    Sgx(Code),
    Tdx { image: u8, approved: bool, app: Option<Code> },
    Snp,
    Nitro,
}

/// One dataset order of a bulk slice, and what the chain says about it.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) named: u8,
    /// The dataset that the chain shows there.
    pub(super) shown: Option<u8>,
    /// Place in [`LOCATIONS`].
    pub(super) location: usize,
    /// Whether the order writes the address in capitals.
    pub(super) capitals: bool,
    pub(super) price: u8,
    pub(super) volume: u64,
    /// What the hub says against it.
    pub(super) hub_says: Option<&'static str>,
}

/// One case: what the chain shows, what the session says, what the request and its evidence say, what is stored.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "what the world is like, not choices that somebody makes together")]
pub(super) struct Scenario {
    pub(super) status: TaskStatus,
    pub(super) task: TaskName,
    pub(super) task_deal: u8,
    pub(super) task_index: usize,
    pub(super) deal: u8,
    pub(super) bot_first: u64,
    pub(super) bot_size: u64,
    pub(super) contribution_deadline: u64,
    pub(super) final_deadline: u64,
    pub(super) expires: u64,
    pub(super) clock: u64,
    pub(super) block_time: u64,
    pub(super) tag_low: u8,
    pub(super) tag_rest: u8,
    pub(super) pool_owner: Who,
    pub(super) pool_owner_now: Who,
    pub(super) deal_app: u8,
    pub(super) shown_app: u8,
    pub(super) deal_dataset: Option<u8>,
    pub(super) shown_dataset: Option<u8>,
    pub(super) location: usize,
    pub(super) requester: Who,
    pub(super) beneficiary: Who,
    pub(super) callback: bool,
    pub(super) params: usize,
    /// The orders of the bulk slice; `None` when the list cannot be read.
    pub(super) slice: Option<Vec<Order>>,
    pub(super) checksum: Code,
    pub(super) config: usize,
    pub(super) session: SessionName,
    pub(super) worker: Who,
    pub(super) challenge: u8,
    pub(super) derived: u8,
    /// `None`: a signature from which no key can be recovered.
    pub(super) signed: Option<Signed>,
    /// One bit for each of [`World::secrets`]; their versions are their places plus one, plus `later`.
    pub(super) stored: u64,
    pub(super) later: u32,
    pub(super) asked: Bound,
    /// `None`: report data that belongs to no request.
    pub(super) evidenced: Option<Bound>,
    pub(super) measured: Measured,
    pub(super) debug: bool,
    /// Which root vouches for the evidence; whether that is good enough is the policy's to say.
    pub(super) simulated: bool,
    pub(super) meets_policy: bool,
}

impl Scenario {
    /// The time of the judgement.
    pub(super) fn time(&self) -> u64 {
        if self.clock > self.block_time { self.clock } else { self.block_time }
    }
}

/// The bytes behind the names. Made once: signing and hashing for each case would take most of the time.
pub(super) struct World {
    keys: Vec<SigningKey>,
    people: Vec<(Address, String)>,
    tasks: [[TaskId; INDEXES.len()]; 2],
    signatures: BTreeMap<[u8; 5], Signature>,
    unrecoverable: Signature,
    pub(super) secrets: Vec<SecretId>,
    places: BTreeMap<SecretId, usize>,
    pub(super) params: Vec<(ParamsText, Result<DealParams, strongroom_protocol::deal_params::DealParamsError>)>,
    pub(super) configs: Vec<ConfigText>,
    policy: PolicyHash,
}

impl World {
    pub(super) fn new() -> Self {
        let keys: Vec<_> = (1..=5).map(|byte| SigningKey::from_bytes(&[byte; 32]).unwrap()).collect();
        let mut random = Random::new(0x7e57);
        let params = (0..PARAMS_TEXTS)
            .map(|_| {
                let text = ParamsText::random(&mut random);
                let parsed = DealParams::parse(&text.text);
                (text, parsed)
            })
            .collect();
        let mut bytes = keys[0].sign(B256::ZERO).to_bytes();
        // x = 5 is on no point of secp256k1.
        bytes[..32].copy_from_slice(B256::with_last_byte(5).as_slice());
        let people = keys.iter().map(|key| (key.address(), checksummed(&key.address()))).collect();
        let mut world = Self {
            keys,
            people,
            tasks: [0, 1].map(|deal| INDEXES.map(|index| TaskId::of(Self::deal_id(deal), index))),
            signatures: BTreeMap::new(),
            unrecoverable: Signature::from_bytes(&bytes).unwrap(),
            secrets: Vec::new(),
            places: BTreeMap::new(),
            params,
            configs: configs(),
            policy: Policy::unrestricted().hash(),
        };
        world.sign_all();
        world.name_secrets();
        world
    }

    fn sign_all(&mut self) {
        for by in Who::ALL {
            for worker in [Who::Worker, Who::Stranger] {
                for deal in 0..2 {
                    for index in 0..INDEXES.len() {
                        for challenge in 0..2 {
                            let signed = Signed { by, worker, task: TaskName { deal, index }, challenge };
                            let hash = workerpool_authorization(
                                self.address(worker),
                                self.task_id(signed.task),
                                Self::challenge(challenge),
                            );
                            self.signatures.insert(place_of(signed), self.keys[by as usize].sign(hash));
                        }
                    }
                }
            }
        }
    }

    fn name_secrets(&mut self) {
        for number in 0..2 {
            self.secrets.push(SecretId::App(Self::app(number)));
            self.secrets.push(SecretId::Dataset(Self::dataset(number)));
        }
        for owner in [Who::Requester, Who::Stranger] {
            for name in NAMES {
                self.secrets.push(SecretId::Requester { owner: self.address(owner), name: name.parse().unwrap() });
            }
        }
        for owner in Who::ALL {
            for name in [RESULT_KEY, DROPBOX_TOKEN, PROXY_TOKEN, PROXY_ADDRESS] {
                self.secrets.push(SecretId::Account { owner: self.address(owner), name: name.parse().unwrap() });
            }
        }
        assert!(self.secrets.len() < 64, "one bit of a scenario for each");
        self.places = self.secrets.iter().cloned().zip(0..).collect();
    }

    /// The version in which a secret is stored, if it is.
    pub(super) fn version(&self, scenario: &Scenario, id: &SecretId) -> Option<SecretVersion> {
        let place = self.places.get(id)?;
        (scenario.stored & (1 << place) != 0).then(|| version_at(*place, scenario.later))
    }

    fn stored(&self, scenario: &Scenario) -> StoredSecrets {
        let places = 0..self.secrets.len();
        places
            .filter(|place| scenario.stored & (1 << place) != 0)
            .map(|place| (self.secrets[place].clone(), version_at(place, scenario.later)))
            .collect()
    }

    pub(super) fn address(&self, who: Who) -> Address {
        self.people[who as usize].0
    }

    /// With the checksum of EIP-55.
    pub(super) fn address_text(&self, who: Who) -> &str {
        &self.people[who as usize].1
    }

    pub(super) fn app(number: u8) -> Address {
        Address::repeat_byte(0xa0 + number)
    }

    pub(super) fn dataset(number: u8) -> Address {
        Address::repeat_byte(0xd0 + number)
    }

    pub(super) fn challenge(number: u8) -> Address {
        Address::repeat_byte(0xc0 + number)
    }

    pub(super) fn code(code: Code) -> B256 {
        B256::repeat_byte(code)
    }

    pub(super) fn image(number: u8) -> B256 {
        B256::repeat_byte(0x60 + number)
    }

    pub(super) fn deal_id(number: u8) -> DealId {
        DealId::from(B256::repeat_byte(0x22 + number))
    }

    pub(super) fn task_id(&self, task: TaskName) -> TaskId {
        self.tasks[usize::from(task.deal)][task.index]
    }

    pub(super) fn session_id(&self, session: SessionName) -> SessionId {
        SessionId::from_random([session.nonce; 10], self.task_id(session.task))
    }

    pub(super) fn transcript(&self, bound: Bound) -> Transcript {
        Transcript {
            nonce: Nonce([bound.nonce; 32]),
            deployment: Deployment {
                chain_id: u64::from(bound.chain),
                hub: Address::repeat_byte(bound.hub),
                sms: Address::repeat_byte(bound.service),
            },
            session: self.session_id(bound.session),
            key: EnclaveKey::from_bytes([bound.key; 32]),
        }
    }

    pub(super) fn tag(scenario: &Scenario) -> Tag {
        let mut tag = B256::repeat_byte(scenario.tag_rest);
        tag[31] = scenario.tag_rest << 4 | scenario.tag_low;
        Tag(tag)
    }

    pub(super) fn block(scenario: &Scenario) -> Block {
        Block { number: 7, hash: B256::repeat_byte(7), time: UnixSeconds(scenario.block_time) }
    }

    pub(super) fn identity(scenario: &Scenario) -> Identity {
        match scenario.measured {
            Measured::Sgx(code) => Identity::Sgx { mrenclave: Self::code(code) },
            Measured::Tdx { image, approved, app } => {
                Identity::Tdx { image: Self::image(image).into(), approved, app_image: app.map(Self::code) }
            }
            Measured::Snp => Identity::Other(EvidenceKind::Snp),
            Measured::Nitro => Identity::Other(EvidenceKind::Nitro),
        }
    }

    pub(super) fn trust_domain(scenario: &Scenario) -> TrustDomain {
        if scenario.simulated { TrustDomain::Development("simulator".to_owned()) } else { TrustDomain::Production }
    }

    /// What a refusal of the policy says.
    pub(super) fn policy_refusal() -> PolicyRefusal {
        PolicyRefusal { rule: Rule::TcbStatus, reason: "OutOfDate".to_owned() }
    }

    /// The bytes that `decide` sees.
    pub(super) fn facts(&self, scenario: &Scenario) -> Facts {
        let report_data = scenario.evidenced.map_or([0; 64], |bound| self.transcript(bound).report_data());
        let policy = if scenario.meets_policy { Ok(self.policy) } else { Err(Self::policy_refusal()) };
        Facts {
            task: self.task_facts(scenario),
            transcript: self.transcript(scenario.asked),
            enclave: Enclave {
                identity: Self::identity(scenario),
                debug: scenario.debug,
                report_data,
                trust_domain: Self::trust_domain(scenario),
                policy,
            },
        }
    }

    fn task_facts(&self, scenario: &Scenario) -> TaskFacts {
        let session = Session {
            id: self.session_id(scenario.session),
            worker: self.address(scenario.worker),
            enclave_challenge: Self::challenge(scenario.challenge),
            pool_signature: scenario.signed.map_or(self.unrecoverable, |signed| self.signatures[&place_of(signed)]),
            expires: UnixSeconds(scenario.expires),
        };
        TaskFacts {
            chain: self.snapshot(scenario),
            params: self.params[scenario.params].1.clone(),
            bulk: Self::bulk(scenario),
            session,
            derived_challenge: Self::challenge(scenario.derived),
            stored: self.stored(scenario),
            now: UnixSeconds(scenario.clock),
        }
    }

    /// The dataset's address as the order writes it.
    pub(super) fn order_name(order: &Order) -> String {
        let digits = format!("{:02x}", 0xd0 + order.named).repeat(20);
        format!("0x{}", if order.capitals { digits.to_uppercase() } else { digits })
    }

    fn bulk(scenario: &Scenario) -> Result<Vec<BulkDataset>, String> {
        let orders = scenario.slice.as_ref().ok_or("the list is cut short")?;
        let dataset = |order: &Order, number: u8| Dataset {
            address: Self::dataset(number),
            owner: Address::repeat_byte(1),
            multiaddr: alloy_primitives::hex::decode(LOCATIONS[order.location].0).unwrap(),
            checksum: B256::repeat_byte(0x66),
        };
        let read = |order: &Order| BulkDataset {
            name: Self::order_name(order),
            address: Self::dataset(order.named),
            price: U256::from(order.price),
            volume: U256::from(order.volume),
            dataset: order.shown.map(|number| dataset(order, number)),
            compatible: order.hub_says.map_or(Ok(()), |reason| Err(reason.to_owned())),
        };
        Ok(orders.iter().map(read).collect())
    }

    fn snapshot(&self, scenario: &Scenario) -> TaskSnapshot {
        let asset = |address, owner| DealAsset { address, owner, price: U256::ZERO };
        let requester = self.address(scenario.requester);
        TaskSnapshot {
            block: Self::block(scenario),
            task: Task {
                id: self.task_id(scenario.task),
                status: scenario.status,
                deal: Self::deal_id(scenario.task_deal),
                index: INDEXES[scenario.task_index],
                contribution_deadline: UnixSeconds(scenario.contribution_deadline),
                final_deadline: UnixSeconds(scenario.final_deadline),
            },
            deal: Deal {
                id: Self::deal_id(scenario.deal),
                app: asset(Self::app(scenario.deal_app), requester),
                dataset: scenario.deal_dataset.map(|number| asset(Self::dataset(number), requester)),
                workerpool: asset(Address::repeat_byte(9), self.address(scenario.pool_owner)),
                trust: U256::ONE,
                category: U256::ZERO,
                tag: Self::tag(scenario),
                requester,
                beneficiary: self.address(scenario.beneficiary),
                callback: scenario.callback.then_some(Address::repeat_byte(6)),
                params: self.params[scenario.params].0.text.clone(),
                start_time: UnixSeconds(0),
                bot_first: scenario.bot_first,
                bot_size: scenario.bot_size,
            },
            category_seconds: 300,
            app: App {
                address: Self::app(scenario.shown_app),
                owner: requester,
                multiaddr: b"docker.io/acme/app:1.0".to_vec(),
                checksum: Self::code(scenario.checksum),
                mrenclave: self.configs[scenario.config].text.clone().into_bytes(),
            },
            dataset: scenario.shown_dataset.map(|number| Dataset {
                address: Self::dataset(number),
                owner: requester,
                multiaddr: alloy_primitives::hex::decode(LOCATIONS[scenario.location].0).unwrap(),
                checksum: B256::repeat_byte(0x55),
            }),
            workerpool_owner: self.address(scenario.pool_owner_now),
        }
    }
}

fn version_at(place: usize, later: u32) -> SecretVersion {
    SecretVersion(u32::try_from(place).unwrap() + 1 + later)
}

fn place_of(signed: Signed) -> [u8; 5] {
    let Signed { by, worker, task, challenge } = signed;
    [by as u8, worker as u8, task.deal, u8::try_from(task.index).unwrap(), challenge]
}
