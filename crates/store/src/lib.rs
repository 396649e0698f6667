//! Keeps secrets, policies, counters and the journal: encrypted, versioned, in one transaction.
