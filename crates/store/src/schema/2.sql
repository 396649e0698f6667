-- Whose evidence opens the secrets of this database: 'production' (hardware) or 'development:<simulator>'. Set once, while it
-- is empty.
ALTER TABLE store ADD COLUMN trust_domain TEXT NOT NULL DEFAULT 'production';

-- Permissions for one worker to start one task. A new session of the same task and worker replaces the old one. `release`
-- and `transcript` are set by the one release of the session.
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    task BLOB NOT NULL CHECK (length(task) = 32),
    worker BLOB NOT NULL CHECK (length(worker) = 20),
    enclave_challenge BLOB NOT NULL CHECK (length(enclave_challenge) = 20),
    pool_signature BLOB NOT NULL CHECK (length(pool_signature) = 65),
    expires INTEGER NOT NULL,
    release INTEGER REFERENCES journal (sequence),
    transcript BLOB,
    UNIQUE (task, worker)
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_expiry ON sessions (expires);

-- Nonces that were used, kept until they would be void anyhow.
CREATE TABLE spent_nonces (
    nonce BLOB PRIMARY KEY CHECK (length(nonce) = 32),
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_nonces_by_expiry ON spent_nonces (expires);

-- The journal: only ever appended to. `hash` is the SHA-256 of `entry`, which holds the hash of the entry before.
CREATE TABLE journal (
    sequence INTEGER PRIMARY KEY,
    task BLOB NOT NULL CHECK (length(task) = 32),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    entry BLOB NOT NULL
) STRICT;
CREATE INDEX journal_by_task ON journal (task);
CREATE TRIGGER journal_is_not_changed BEFORE UPDATE ON journal BEGIN
    SELECT raise(ABORT, 'the journal is only appended to');
END;
CREATE TRIGGER journal_is_not_shortened BEFORE DELETE ON journal BEGIN
    SELECT raise(ABORT, 'the journal is only appended to');
END;
