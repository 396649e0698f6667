//! The life of a task in this pool, as a table: in which state, after which event, the task is in which state next. Pure.
//!
//! ```text
//! Received ─► Initializing ─► Authorizing ─► Ready ─► Starting ─► Running ─► Settling ─► Completed
//!     │            │               │           ▲ │        │          │ │         │
//!     │            │               │           └─┼────────┼─ restart ┘ │         │
//!     └────────────┴───────────────┴─────────────┴────────┴────────────┴─────────┴─► Stuck ─► Claiming ─► Failed
//! ```
//!
//! A state is written down before what it is about is done, and left only after that was seen to be done. So after a crash
//! the state says what was perhaps done, and doing it again begins with a look whether it was: nothing happens twice.

use std::fmt;

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Found in a deal of our pool.
    Received,
    /// Worth its gas: `initialize` is to be sent, or was.
    Initializing,
    /// Active on chain: enclave challenge, authorization and dry run are to be had from the SMS.
    Authorizing,
    /// A worker may take it as soon as it has room.
    Ready,
    /// Taken: storage token, session and image are to be had.
    Starting,
    /// The enclave is to be started, or was.
    Running,
    /// There is a result: `contributeAndFinalize` is to be sent, or was.
    Settling,
    /// Paid. The end.
    Completed,
    /// Given up with a reason; its money is locked until the final deadline is past.
    Stuck,
    /// Past its final deadline: `claim` is to be sent, or was.
    Claiming,
    /// Failed on chain, the requester has the money back. The end.
    Failed,
}

/// Which half of the pool moves a task on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Holds the key of the pool's owner; talks to the chain and the SMS.
    Scheduler,
    /// Holds the key of the worker; runs enclaves.
    Worker,
}

/// What happened to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Nothing speaks against the deal.
    Accepted,
    /// The task is active on chain.
    Initialized,
    /// Challenge and authorization are there, and the SMS has what the task needs.
    Authorized,
    /// A worker has room for it.
    Taken,
    /// Session and image are there.
    Prepared,
    /// The enclave delivered a signed result.
    Computed,
    /// The enclave is gone without a result because the pool was stopped; another try is allowed.
    Interrupted,
    /// The task is completed on chain.
    Settled,
    /// It cannot be done; the reason is kept beside.
    GivenUp,
    /// The final deadline is past.
    Expired,
    /// The task is failed on chain.
    Claimed,
    /// Its deal is not on chain any more, so no money of it is locked.
    Vanished,
}

/// What has to be done about a task in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Judge the deal before gas is spent.
    Judge,
    /// Make the task active on chain.
    Initialize,
    /// Get challenge, authorization and the SMS's opinion.
    Authorize,
    /// Have the image at hand, then wait for a place.
    AwaitRoom,
    /// Get token, session and image.
    Prepare,
    /// Run the enclave.
    Run,
    /// Have the result finalised and paid.
    Settle,
    /// Wait for the final deadline.
    AwaitDeadline,
    /// Have the requester paid back.
    Claim,
    /// Nothing any more.
    Rest,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 11] = [
        Self::Received,
        Self::Initializing,
        Self::Authorizing,
        Self::Ready,
        Self::Starting,
        Self::Running,
        Self::Settling,
        Self::Completed,
        Self::Stuck,
        Self::Claiming,
        Self::Failed,
    ];

    /// The word under which it is stored; never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Initializing => "initializing",
            Self::Authorizing => "authorizing",
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Settling => "settling",
            Self::Completed => "completed",
            Self::Stuck => "stuck",
            Self::Claiming => "claiming",
            Self::Failed => "failed",
        }
    }

    /// Reads the stored word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// What has to be done.
    pub fn action(self) -> Action {
        match self {
            Self::Received => Action::Judge,
            Self::Initializing => Action::Initialize,
            Self::Authorizing => Action::Authorize,
            Self::Ready => Action::AwaitRoom,
            Self::Starting => Action::Prepare,
            Self::Running => Action::Run,
            Self::Settling => Action::Settle,
            Self::Stuck => Action::AwaitDeadline,
            Self::Claiming => Action::Claim,
            Self::Completed | Self::Failed => Action::Rest,
        }
    }

    /// Who does it; nobody at the end.
    pub fn role(self) -> Option<Role> {
        match self {
            Self::Received | Self::Initializing | Self::Authorizing | Self::Stuck | Self::Claiming => {
                Some(Role::Scheduler)
            }
            Self::Ready | Self::Starting | Self::Running | Self::Settling => Some(Role::Worker),
            Self::Completed | Self::Failed => None,
        }
    }

    /// Whether the task is over.
    pub fn is_final(self) -> bool {
        self.role().is_none()
    }

    /// Whether something may still be done so that the task gets a result.
    pub fn is_hopeful(self) -> bool {
        !matches!(self, Self::Completed | Self::Stuck | Self::Claiming | Self::Failed)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 12] = [
        Self::Accepted,
        Self::Initialized,
        Self::Authorized,
        Self::Taken,
        Self::Prepared,
        Self::Computed,
        Self::Interrupted,
        Self::Settled,
        Self::GivenUp,
        Self::Expired,
        Self::Claimed,
        Self::Vanished,
    ];
}

/// An event that cannot happen in a state: a mistake of ours, never of a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a task that is {state} cannot be {event:?}; this is a bug, please report it")]
pub struct Misplaced {
    /// The state.
    pub state: State,
    /// The event.
    pub event: Event,
}

/// The table.
pub fn step(state: State, event: Event) -> Result<(State, Action), Misplaced> {
    let next = match (state, event) {
        // Whatever we think: what the chain says holds.
        (state, Event::Settled) if !state.is_final() => State::Completed,
        (state, Event::Claimed) if !state.is_final() => State::Failed,
        (State::Stuck, Event::Expired) => State::Claiming,
        (State::Claiming, Event::Vanished) => State::Failed,
        (state, Event::GivenUp) if state.is_hopeful() => State::Stuck,
        (State::Received, Event::Accepted) => State::Initializing,
        (State::Initializing, Event::Initialized) => State::Authorizing,
        // Back after an interruption.
        (State::Authorizing, Event::Authorized) | (State::Running, Event::Interrupted) => State::Ready,
        (State::Ready, Event::Taken) => State::Starting,
        (State::Starting, Event::Prepared) => State::Running,
        (State::Running, Event::Computed) => State::Settling,
        (state, event) => return Err(Misplaced { state, event }),
    };
    Ok((next, next.action()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn following(state: State) -> Vec<(Event, State)> {
        Event::ALL.into_iter().filter_map(|event| Some((event, step(state, event).ok()?.0))).collect()
    }

    #[test]
    fn the_way_of_a_task_that_goes_well() {
        let events = [
            Event::Accepted,
            Event::Initialized,
            Event::Authorized,
            Event::Taken,
            Event::Prepared,
            Event::Computed,
            Event::Settled,
        ];
        let mut state = State::Received;
        for event in events {
            state = step(state, event).unwrap().0;
        }
        assert_eq!(state, State::Completed);
    }

    #[test]
    fn every_state_is_reached_and_from_every_state_an_end_is_reached() {
        let reachable = |from: State| {
            let mut seen = HashSet::from([from]);
            let mut todo = vec![from];
            while let Some(state) = todo.pop() {
                todo.extend(following(state).into_iter().map(|(_, next)| next).filter(|next| seen.insert(*next)));
            }
            seen
        };
        assert_eq!(reachable(State::Received).len(), State::ALL.len());
        for state in State::ALL {
            assert!(reachable(state).contains(&State::Failed) || state == State::Completed, "{state}");
            assert!(reachable(state).iter().any(|end| end.is_final()), "{state}");
        }
    }

    #[test]
    fn an_end_is_never_left() {
        for state in State::ALL.into_iter().filter(|state| state.is_final()) {
            assert_eq!(following(state), [], "{state}");
            assert_eq!(state.action(), Action::Rest);
        }
    }

    #[test]
    fn only_an_interrupted_run_goes_back() {
        let rank = |state: State| State::ALL.iter().position(|other| *other == state);
        for state in State::ALL {
            for (event, next) in following(state) {
                assert_eq!(
                    rank(next) < rank(state),
                    event == Event::Interrupted
                        || rank(next) == rank(State::Completed) && rank(state) > rank(State::Completed),
                    "{state} after {event:?} is {next}"
                );
            }
        }
    }

    #[test]
    fn nothing_is_settled_that_was_given_up_unless_the_chain_says_so() {
        for state in [State::Stuck, State::Claiming] {
            let after: HashSet<_> = following(state).into_iter().map(|(event, _)| event).collect();
            let ends = [Event::Settled, Event::Claimed, Event::Expired, Event::Vanished];
            assert!(after.is_subset(&HashSet::from(ends)), "{state}");
        }
    }

    #[test]
    fn states_are_stored_under_names_of_their_own() {
        for state in State::ALL {
            assert_eq!(State::from_name(state.name()), Some(state));
        }
    }
}
