//! Which verified evidence is good enough: rules as data, so that they can be versioned, hashed, logged and replayed.
//!
//! A [`Policy`] is read from configuration; what a text does not mention has the production default. [`Policy::evaluate`]
//! answers with [`Accepted`], or with the first rule that fails and a reason an operator can act on; whoever sent the evidence
//! gets neither. [`Policy::verdicts`] lists all rules, for inspection.
//!
//! Which *code* may run is not in here: that is a [`Measurement`](crate::Measurement), per application.
//!
//! Two policies merge with [`Policy::stricter_of`]: what passes the result passes both. That is how an owner's rules join the
//! operator's.

mod evaluate;
mod merge;
mod rules;

pub use self::evaluate::{Accepted, PolicyRefusal, Rule};
pub use self::rules::{
    AmdRules, Floor, IntelRules, NitroRules, ParsePlatformIdError, PlatformId, Policy, PolicyHash, PolicyVersion,
    TdAttribute,
};

#[cfg(test)]
mod tests;
