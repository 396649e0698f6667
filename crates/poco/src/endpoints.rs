//! Several nodes as one: they replace each other when one fails, or have to agree when the operator trusts none alone.

use std::cmp::Reverse;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use strongroom_protocol::snapshot::Block;
use tokio::task::JoinSet;
use tokio::time::Instant;
use url::Url;

use crate::config::{ChainConfig, ChainConfigError};
use crate::error::{ChainError, EndpointError, Fault};
use crate::rpc::{self, BlockAt, ChainId, Node, Question};

/// Wait before an endpoint is asked again: this, doubled with each round, ...
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// ... up to this; each wait is a random part between half and all of it.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long an endpoint that failed comes last, doubled with each failure in a row ...
const FIRST_PENALTY: Duration = Duration::from_millis(500);
/// ... up to this.
const LONGEST_PENALTY: Duration = Duration::from_secs(30);

/// How an endpoint has been doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointHealth {
    /// Scheme, host and port.
    pub endpoint: String,
    /// Failed attempts since the last answer.
    pub failures_in_a_row: u32,
}

#[derive(Debug)]
struct Endpoint {
    node: Node,
    chain_id: u64,
    health: Mutex<Health>,
}

#[derive(Debug, Clone, Copy)]
struct Health {
    failures: u32,
    last_until: Instant,
    /// It has told its chain id since it last failed. Without that, an endpoint of another chain that came up late could
    /// name a block of a height that ours will not reach for years.
    on_our_chain: bool,
}

impl Endpoint {
    /// Asks once and remembers how it went.
    async fn ask<Q: Question>(&self, question: &Q) -> Result<Q::Answer, EndpointError> {
        let answer = match self.must_be_on_our_chain().await {
            Ok(()) => self.node.ask(question).await,
            Err(fault) => Err(fault),
        };
        let mut health = self.locked();
        match &answer {
            Ok(_) => *health = Health { failures: 0, on_our_chain: true, ..*health },
            // A refusal shows that the node is there; being behind passes.
            Err(Fault::Refused { .. } | Fault::Behind { .. }) => health.failures = 0,
            Err(_) => {
                let penalty = doubled(FIRST_PENALTY, health.failures, LONGEST_PENALTY);
                *health = Health {
                    failures: health.failures.saturating_add(1),
                    last_until: Instant::now() + penalty,
                    on_our_chain: false,
                };
            }
        }
        drop(health);
        answer.map_err(|fault| EndpointError { endpoint: self.node.label.clone(), fault })
    }

    async fn must_be_on_our_chain(&self) -> Result<(), Fault> {
        if self.locked().on_our_chain {
            return Ok(());
        }
        match self.node.ask(&ChainId).await? {
            found if found == self.chain_id => Ok(()),
            found => Err(Fault::OtherChain { expected: self.chain_id, found }),
        }
    }

    async fn ask_patiently<Q: Question>(&self, question: &Q, retries: u32) -> Result<Q::Answer, EndpointError> {
        let mut attempt = 0;
        loop {
            match self.ask(question).await {
                Err(_) if attempt < retries => pause(attempt).await,
                outcome => return outcome,
            }
            attempt += 1;
        }
    }

    fn locked(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << times.min(16)).min(longest)
}

async fn pause(round: u32) {
    let longest = doubled(FIRST_PAUSE, round, LONGEST_PAUSE);
    tokio::time::sleep(longest.mul_f64(rand::random_range(0.5..=1.0))).await;
}

/// All endpoints of the configuration.
#[derive(Debug)]
pub(crate) struct Endpoints {
    all: Vec<Arc<Endpoint>>,
    quorum: NonZeroUsize,
    retries: u32,
}

impl Endpoints {
    pub(crate) fn new(config: &ChainConfig) -> Result<Self, ChainConfigError> {
        let client = rpc::client(&config.endpoints, config.timeout)?;
        let endpoint = |url: &Url| {
            let node = Node::new(client.clone(), url.clone(), config.timeout);
            let health = Mutex::new(Health { failures: 0, last_until: Instant::now(), on_our_chain: false });
            Arc::new(Endpoint { node, chain_id: config.chain_id, health })
        };
        Ok(Self {
            all: config.endpoints.iter().map(endpoint).collect(),
            quorum: config.quorum,
            retries: config.retries,
        })
    }

    pub(crate) fn health(&self) -> Vec<EndpointHealth> {
        let health = |endpoint: &Arc<Endpoint>| EndpointHealth {
            endpoint: endpoint.node.label.clone(),
            failures_in_a_row: endpoint.locked().failures,
        };
        self.all.iter().map(health).collect()
    }

    /// The answer of any endpoint, or the one that a quorum of them gives.
    pub(crate) async fn ask<Q: Question>(&self, question: &Q) -> Result<Q::Answer, ChainError> {
        if self.quorum == NonZeroUsize::MIN { self.ask_any(question).await } else { self.ask_quorum(question).await }
    }

    /// The newest block, or of several that endpoints name, the newest that a quorum of them has reached.
    pub(crate) async fn newest_block(&self, at_least: u64) -> Result<Block, ChainError> {
        let newest = BlockAt { number: None, at_least };
        if self.quorum == NonZeroUsize::MIN {
            return self.ask_any(&newest).await;
        }
        match self.votes(&newest).await {
            Votes::Agreed(block) => Ok(block),
            Votes::Split { answers: mut blocks, last_error } => {
                blocks.sort_unstable_by_key(|block| Reverse(block.number));
                match (blocks.get(self.quorum.get() - 1), last_error) {
                    (Some(reached), _) => self.ask_quorum(&BlockAt { number: Some(reached.number), at_least }).await,
                    (None, Some(last)) => Err(last),
                    (None, None) => Err(ChainError::Disagreement),
                }
            }
        }
    }

    /// Every endpoint's answer to `question`, in the order of the configuration.
    pub(crate) async fn ask_each<Q: Question>(&self, question: &Q) -> Vec<Result<Q::Answer, EndpointError>> {
        let mut asked = self.ask_all(question);
        let mut answers = Vec::with_capacity(self.all.len());
        while let Some(Ok(answer)) = asked.join_next().await {
            answers.push(answer);
        }
        answers.sort_unstable_by_key(|(index, _)| *index);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    pub(crate) fn quorum(&self) -> usize {
        self.quorum.get()
    }

    /// Tries endpoints one after another, those that lately failed last, until one answers.
    pub(crate) async fn ask_any<Q: Question>(&self, question: &Q) -> Result<Q::Answer, ChainError> {
        let mut order: Vec<&Endpoint> = self.all.iter().map(AsRef::as_ref).collect();
        let now = Instant::now();
        order.sort_by_key(|endpoint| {
            let health = *endpoint.locked();
            (health.failures > 0 && health.last_until > now).then_some(health.last_until)
        });
        let mut attempt = 0;
        loop {
            let endpoint = order[attempt as usize % order.len()];
            match endpoint.ask(question).await {
                Ok(answer) => return Ok(answer),
                Err(error) if attempt >= self.retries => return Err(ChainError::Unanswered { last: Arc::new(error) }),
                Err(error) => tracing::debug!(
                    error = &error.fault as &dyn std::error::Error,
                    endpoint = error.endpoint,
                    "asking again"
                ),
            }
            attempt += 1;
            let rounds = attempt / u32::try_from(order.len()).unwrap_or(u32::MAX);
            if (attempt as usize).is_multiple_of(order.len()) {
                pause(rounds - 1).await;
            }
        }
    }

    async fn ask_quorum<Q: Question>(&self, question: &Q) -> Result<Q::Answer, ChainError> {
        match self.votes(question).await {
            Votes::Agreed(answer) => Ok(answer),
            Votes::Split { answers, last_error } => match last_error {
                // With those that did not answer a quorum could have come together: nobody is known to be wrong.
                Some(error) if answers.windows(2).all(|pair| pair[0] == pair[1]) => Err(error),
                _ => Err(ChainError::Disagreement),
            },
        }
    }

    /// Asks all endpoints at once and stops when a quorum of them has given the same answer.
    async fn votes<Q: Question>(&self, question: &Q) -> Votes<Q::Answer> {
        let mut asked = self.ask_all(question);
        let mut answers: Vec<Q::Answer> = Vec::with_capacity(self.all.len());
        let mut last_error = None;
        while let Some(outcome) = asked.join_next().await {
            match outcome {
                Ok((_, Ok(answer))) => {
                    answers.push(answer.clone());
                    if answers.iter().filter(|other| **other == answer).count() >= self.quorum.get() {
                        return Votes::Agreed(answer);
                    }
                }
                Ok((_, Err(error))) => last_error = Some(ChainError::Unanswered { last: Arc::new(error) }),
                Err(_) => last_error = Some(ChainError::Interrupted),
            }
        }
        Votes::Split { answers, last_error }
    }

    fn ask_all<Q: Question>(&self, question: &Q) -> JoinSet<(usize, Result<Q::Answer, EndpointError>)> {
        let mut asked = JoinSet::new();
        for (index, endpoint) in self.all.iter().enumerate() {
            let (endpoint, question, retries) = (Arc::clone(endpoint), question.clone(), self.retries);
            asked.spawn(async move { (index, endpoint.ask_patiently(&question, retries).await) });
        }
        asked
    }
}

/// What several endpoints answered.
enum Votes<A> {
    /// A quorum gave this answer.
    Agreed(A),
    /// No answer came often enough.
    Split {
        /// All that came.
        answers: Vec<A>,
        /// How the last endpoint failed that gave none.
        last_error: Option<ChainError>,
    },
}
