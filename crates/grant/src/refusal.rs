//! The reasons why not. Each is its own variant with its own words, and says what would mend it.

use alloy_primitives::{Address, B256, U256};
use strongroom_attest::measurement::OsImageId;
use strongroom_protocol::snapshot::TaskStatus;
use strongroom_protocol::{Framework, Tag, UnixSeconds};

/// Why no secret is released. Definite: asking again without a change gives the same answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The task was not initialised, or is over.
    #[error("task is {found:?} on chain, not active")]
    TaskNotActive {
        /// Its status at the block.
        found: TaskStatus,
    },
    /// The task does not belong to the deal, by id or by index.
    #[error("task does not belong to the deal it names")]
    TaskNotOfDeal,
    /// Nobody can contribute a result any more.
    #[error("contributions closed at {deadline}; now is {now}")]
    ContributionClosed {
        /// The task's contribution deadline.
        deadline: UnixSeconds,
        /// Time of the judgement.
        now: UnixSeconds,
    },
    /// Anybody can claim the task as failed.
    #[error("final deadline passed at {deadline}; now is {now}")]
    FinalDeadlinePassed {
        /// The task's final deadline.
        deadline: UnixSeconds,
        /// Time of the judgement.
        now: UnixSeconds,
    },
    /// The tag does not ask for an enclave, or for none or several frameworks.
    #[error("tag {tag} does not ask for exactly one enclave framework")]
    NoFramework {
        /// The deal's tag.
        tag: Tag,
    },
    /// The pool owner of the deal did not sign for this worker and challenge.
    #[error("authorization is not signed by {owner}, who owned the workerpool when the deal was made")]
    NotAuthorisedByPool {
        /// Owner of the workerpool in the deal.
        owner: Address,
    },
    /// The enclave challenge is not the one this service gives for the task.
    #[error("enclave challenge {found} is not the one this service made for the task")]
    ForeignChallenge {
        /// The challenge in the authorization.
        found: Address,
    },
    /// The session names another task.
    #[error("session is for another task")]
    ForeignSession,
    /// The session is over.
    #[error("session expired at {expired}; now is {now}")]
    SessionExpired {
        /// Its last second.
        expired: UnixSeconds,
        /// Time of the judgement.
        now: UnixSeconds,
    },
    /// The request is about another session than the facts.
    #[error("request is bound to another session")]
    BoundToOtherSession,
    /// The evidence carries other report data than the request's transcript.
    #[error("evidence was not made for this request")]
    NotBound,
    /// The deal's parameters ask for protection and cannot be understood.
    #[error("{0}")]
    ParamsNotUnderstood(String),
    /// A requester secret has an index that is not 1, 2, 3, … in plain digits.
    #[error("index {index:?} of a requester secret is not a plain positive number")]
    IndexNotCanonical {
        /// The index text of the deal.
        index: String,
    },
    /// A requester secret has a name that cannot exist.
    #[error("{name:?} cannot be the name of a requester secret")]
    NameNotCanonical {
        /// The name text of the deal.
        name: String,
    },
    /// The app that the chain shows is not the deal's.
    #[error("app {found} is not the app of the deal")]
    ForeignApp {
        /// The app in the facts.
        found: Address,
    },
    /// The dataset that the chain shows is not the deal's.
    #[error("dataset is not the one of the deal")]
    ForeignDataset,
    /// The list of datasets that the deal names cannot be read, ever.
    #[error("list of datasets cannot be read: {0}")]
    BulkUnreadable(String),
    /// An order of the bulk slice names no dataset, or one that cannot be fetched.
    #[error("{dataset} in the list of datasets is no dataset with a location")]
    BulkDatasetUnknown {
        /// What the order names.
        dataset: Address,
    },
    /// The hub finds an order of the bulk slice revoked, used up, not signed by the owner, or restricted to others.
    #[error("order for dataset {dataset} in the list does not serve the deal: {reason}")]
    BulkOrderIncompatible {
        /// The dataset.
        dataset: Address,
        /// What the hub says.
        reason: String,
    },
    /// An order of the bulk slice is good for few uses only; nothing on chain would count them.
    #[error("order for dataset {dataset} in the list is limited to {volume} uses, which nobody would count")]
    BulkOrderLimited {
        /// The dataset.
        dataset: Address,
        /// Uses that the order allows.
        volume: U256,
    },
    /// An order of the bulk slice has a price, which nobody would pay.
    #[error("order for dataset {dataset} in the list has a price of {price} nRLC, which nobody would pay")]
    BulkOrderPriced {
        /// The dataset.
        dataset: Address,
        /// The price.
        price: U256,
    },
    /// The memory of the enclave can be read from outside.
    #[error("enclave runs in debug mode")]
    DebugEnclave,
    /// The operator's rules do not accept the platform. The reason is for the operator; callers learn no more than this.
    #[error("platform of the enclave does not meet the operator's policy")]
    PolicyNotMet {
        /// The first rule that failed, and why.
        reason: String,
    },
    /// The evidence is of another kind than the deal asks for.
    #[error("deal asks for {asked}, evidence is of another kind")]
    OtherPlatform {
        /// The framework of the deal's tag.
        asked: Framework,
    },
    /// The image of the confidential VM is not approved.
    #[error("guest image {found} is not in the list of approved images")]
    ImageNotApproved {
        /// The image that was measured.
        found: OsImageId,
    },
    /// The enclave runs another app than the chain names.
    #[error("enclave runs {}, the chain names {expected}", found.map_or_else(|| "no measured app".to_owned(), |found| found.to_string()))]
    OtherApp {
        /// What was measured.
        found: Option<B256>,
        /// Checksum (TDX) or fingerprint (SGX) on chain.
        expected: B256,
    },
    /// An SGX app without a usable enclave configuration.
    #[error("{0}")]
    NoEnclaveConfig(String),
    /// An SGX app whose configuration is unusable.
    #[error("{0}")]
    InvalidEnclaveConfig(String),
    /// The deal's dataset has no key here.
    #[error("key of dataset {dataset} is not stored")]
    DatasetKeyMissing {
        /// The dataset.
        dataset: Address,
    },
    /// A requester secret that the deal names is not stored.
    #[error("requester secret {name:?} of {requester} is not stored")]
    RequesterSecretMissing {
        /// Who bought.
        requester: Address,
        /// The secret's name.
        name: String,
    },
    /// The result shall be encrypted, and the beneficiary has no key here.
    #[error("result encryption key of beneficiary {beneficiary} is not stored")]
    ResultKeyMissing {
        /// For whom the result is.
        beneficiary: Address,
    },
    /// No token lets the enclave upload the result.
    #[error("no result storage token is stored for {owner}")]
    StorageTokenMissing {
        /// Whose token it would be.
        owner: Address,
    },
}

impl Refusal {
    /// A stable word for machines and records.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TaskNotActive { .. } => "task-not-active",
            Self::TaskNotOfDeal => "task-not-of-deal",
            Self::ContributionClosed { .. } => "contribution-closed",
            Self::FinalDeadlinePassed { .. } => "final-deadline-passed",
            Self::NoFramework { .. } => "no-framework",
            Self::NotAuthorisedByPool { .. } => "not-authorised-by-pool",
            Self::ForeignChallenge { .. } => "foreign-challenge",
            Self::ForeignSession => "foreign-session",
            Self::SessionExpired { .. } => "session-expired",
            Self::BoundToOtherSession => "bound-to-other-session",
            Self::NotBound => "not-bound",
            Self::ParamsNotUnderstood(_) => "params-not-understood",
            Self::IndexNotCanonical { .. } => "index-not-canonical",
            Self::NameNotCanonical { .. } => "name-not-canonical",
            Self::ForeignApp { .. } => "foreign-app",
            Self::ForeignDataset => "foreign-dataset",
            Self::BulkUnreadable(_) => "bulk-unreadable",
            Self::BulkDatasetUnknown { .. } => "bulk-dataset-unknown",
            Self::BulkOrderIncompatible { .. } => "bulk-order-incompatible",
            Self::BulkOrderLimited { .. } => "bulk-order-limited",
            Self::BulkOrderPriced { .. } => "bulk-order-priced",
            Self::DebugEnclave => "debug-enclave",
            Self::PolicyNotMet { .. } => "policy-not-met",
            Self::OtherPlatform { .. } => "other-platform",
            Self::ImageNotApproved { .. } => "image-not-approved",
            Self::OtherApp { .. } => "other-app",
            Self::NoEnclaveConfig(_) => "no-enclave-config",
            Self::InvalidEnclaveConfig(_) => "invalid-enclave-config",
            Self::DatasetKeyMissing { .. } => "dataset-key-missing",
            Self::RequesterSecretMissing { .. } => "requester-secret-missing",
            Self::ResultKeyMissing { .. } => "result-key-missing",
            Self::StorageTokenMissing { .. } => "storage-token-missing",
        }
    }

    /// What mends it, for the person who reads an explanation.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::TaskNotActive { found: TaskStatus::Unset } => "initialize the task on the hub, then ask again",
            Self::TaskNotActive { .. } | Self::ContributionClosed { .. } | Self::FinalDeadlinePassed { .. } => {
                "the task is over; buy a new execution"
            }
            Self::TaskNotOfDeal => "check task id, deal id and index",
            Self::NoFramework { .. } => "sign a request order whose tag has the enclave bit and one framework bit",
            Self::NotAuthorisedByPool { .. } => {
                "have the workerpool owner of the deal sign for this worker and challenge"
            }
            Self::ForeignChallenge { .. } => "ask this service for the task's enclave challenge and authorise that one",
            Self::ForeignSession | Self::SessionExpired { .. } | Self::BoundToOtherSession => {
                "ask for a new session and attest for it"
            }
            Self::NotBound => "make fresh evidence over the transcript of this request",
            Self::ParamsNotUnderstood(_) | Self::IndexNotCanonical { .. } | Self::NameNotCanonical { .. } => {
                "buy again with corrected parameters"
            }
            Self::ForeignApp { .. } | Self::ForeignDataset => "report this to the operator: facts are inconsistent",
            Self::BulkUnreadable(_) | Self::BulkDatasetUnknown { .. } => {
                "prepare the list of datasets anew and buy again with it"
            }
            Self::BulkOrderIncompatible { .. } => {
                "ask the dataset's owner for an order that serves app, pool and requester"
            }
            Self::BulkOrderLimited { .. } | Self::BulkOrderPriced { .. } => {
                "ask the dataset's owner for an order at price 0 and of volume 9007199254740991, or buy the dataset in a deal of its own"
            }
            Self::DebugEnclave => "run the production build of the enclave",
            Self::PolicyNotMet { .. } => "update the platform, or ask the operator which rule failed",
            Self::OtherPlatform { .. } => "run the task in the kind of enclave that the deal's tag asks for",
            Self::ImageNotApproved { .. } => "use a guest image from the operator's approved list",
            Self::OtherApp { .. } => "run exactly the image or enclave that the app's contract names",
            Self::NoEnclaveConfig(_) | Self::InvalidEnclaveConfig(_) => {
                "deploy the app again with its enclave configuration"
            }
            Self::DatasetKeyMissing { .. } => "the dataset's owner pushes its key: strongroom dataset push-secret",
            Self::RequesterSecretMissing { .. } => "the requester pushes the secret: strongroom requester push-secret",
            Self::ResultKeyMissing { .. } => "the beneficiary pushes a key: strongroom result push-encryption-key",
            Self::StorageTokenMissing { .. } => {
                "the worker pushes its result-proxy token, or the requester a storage token"
            }
        }
    }
}
