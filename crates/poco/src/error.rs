//! What can go wrong when the chain is asked. None of these says anything about what is on the chain: "not registered" and
//! "no such task" are answers, not errors.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::Address;

use crate::reader::NotAReading;

/// We could not find out. Always worth a retry (503), never a "no". Names no endpoint: that is in the source, for the log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChainError {
    /// Every attempt on every endpoint failed; `last` is how the last one did.
    #[error("the chain could not be read; try again shortly")]
    Unanswered {
        /// How the last attempt failed.
        #[source]
        last: Arc<EndpointError>,
    },
    /// Endpoints gave different answers to the same question about the same block, and not enough of them the same one.
    #[error("chain endpoints disagree; one of them is wrong")]
    Disagreement,
    /// The contracts answered something that PoCo cannot answer.
    #[error("the contracts gave an impossible answer ({what}); is the hub the right one?")]
    Impossible {
        /// What was wrong with it.
        what: &'static str,
    },
    /// The newest block known is older than the configuration allows.
    #[error("the newest block known is {} s old, more than the {} s allowed", age.as_secs(), limit.as_secs())]
    StaleHead {
        /// Its age.
        age: Duration,
        /// The configured limit.
        limit: Duration,
    },
    /// The program is shutting down.
    #[error("the read was interrupted")]
    Interrupted,
}

impl ChainError {
    /// Whether a newer block may change this: nodes refuse to read a block that a reorganisation removed.
    pub(crate) fn may_pass_with_a_newer_block(&self) -> bool {
        match self {
            Self::Unanswered { last } => matches!(last.fault, Fault::Refused { .. }),
            Self::StaleHead { .. } => true,
            Self::Disagreement | Self::Impossible { .. } | Self::Interrupted => false,
        }
    }
}

/// How one attempt on one endpoint failed. For the log of the operator.
#[derive(Debug, thiserror::Error)]
#[error("chain endpoint {endpoint} failed")]
pub struct EndpointError {
    /// Scheme, host and port; never the path, which may hold a key.
    pub endpoint: String,
    /// What happened.
    #[source]
    pub fault: Fault,
}

/// What happened to one question.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No answer in time.
    #[error("no answer within {} ms", limit.as_millis())]
    TimedOut {
        /// The configured time-out.
        limit: Duration,
    },
    /// No connection, or it broke.
    #[error("the connection failed")]
    Connection(#[source] reqwest::Error),
    /// Another HTTP status than 200.
    #[error("HTTP status {0}")]
    Status(u16),
    /// The answer is larger than anything we ask for.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The most we read.
        limit: usize,
    },
    /// The answer is not JSON.
    #[error("the answer is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// The answer is JSON but no JSON-RPC answer to our question.
    #[error("the answer is not the JSON-RPC answer to our question")]
    NotRpc,
    /// The node answered with an error.
    #[error("the node refused: {message:?} (code {code})")]
    Refused {
        /// JSON-RPC error code.
        code: i64,
        /// Its message, at most 200 characters.
        message: String,
    },
    /// The result has not the form it must have.
    #[error("the result is not {expected}")]
    Unreadable {
        /// What it should be.
        expected: &'static str,
    },
    /// The result of a contract read is not what our program returns.
    #[error(transparent)]
    NotAReading(#[from] NotAReading),
    /// The endpoint is on another chain.
    #[error("the endpoint is on chain {found}, not {expected}")]
    OtherChain {
        /// The configured chain.
        expected: u64,
        /// The endpoint's.
        found: u64,
    },
    /// The endpoint knows less than was known before; heights never go back.
    #[error("the endpoint's newest block is {found} but {known} was seen before")]
    Behind {
        /// Height of the endpoint.
        found: u64,
        /// Height seen before.
        known: u64,
    },
}

/// Why [`crate::Chain::check`] did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CheckError {
    /// An endpoint is on another chain. Fatal: the configuration is wrong.
    #[error("{endpoint} is on chain {found}, but the configuration says {expected}")]
    WrongChain {
        /// Scheme, host and port.
        endpoint: String,
        /// The configured chain.
        expected: u64,
        /// The endpoint's.
        found: u64,
    },
    /// The configured hub is not a PoCo hub of this chain. Fatal: the configuration is wrong.
    #[error("{hub} is not the PoCo hub of this chain: {reason}")]
    WrongHub {
        /// The configured address.
        hub: Address,
        /// What was found.
        reason: String,
    },
    /// Could not find out; worth a retry.
    #[error(transparent)]
    Unreachable(#[from] ChainError),
}

impl CheckError {
    /// Whether another try may succeed without a change of the configuration.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}
