-- The one row that says whose database this is. The chain id is decimal text, because it has 64 bits without sign.
CREATE TABLE store (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    chain_id TEXT NOT NULL
) STRICT;

-- Keys that never change, wrapped by the root key: 'derivation' (keys that are computed, not stored) and
-- 'spent-signatures' (the HMAC key of the table of that name).
CREATE TABLE fixed_keys (
    purpose TEXT PRIMARY KEY,
    wrapped_key BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys that wrap data keys, themselves wrapped by the root key. The newest is in use; two rows mean that a rotation is
-- under way or was interrupted. Numbers are never used twice.
CREATE TABLE epochs (
    epoch INTEGER PRIMARY KEY AUTOINCREMENT,
    wrapped_key BLOB NOT NULL
) STRICT;

-- Every version of every secret. `id` grows, so inserts append here and touch one random page, that of the index.
CREATE TABLE secret_versions (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 4),
    address BLOB NOT NULL CHECK (length(address) = 20),
    name TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version BETWEEN 1 AND 4294967295),
    ciphertext BLOB NOT NULL,
    UNIQUE (kind, address, name, version)
) STRICT;

-- The wrapped data key of each version: apart from the ciphertext, so that a rotation rewrites 60 bytes, not 4 MiB.
CREATE TABLE data_keys (
    version_id INTEGER PRIMARY KEY REFERENCES secret_versions (id),
    epoch INTEGER NOT NULL REFERENCES epochs (epoch),
    wrapped_key BLOB NOT NULL
) STRICT;
CREATE INDEX data_keys_by_epoch ON data_keys (epoch);

-- HMAC-SHA-256 of every signature that wrote an updatable secret, so that an old request cannot undo a change.
CREATE TABLE spent_signatures (
    tag BLOB PRIMARY KEY,
    version_id INTEGER NOT NULL REFERENCES secret_versions (id)
) STRICT, WITHOUT ROWID;

-- How many secrets of each kind there are, moved in the transaction that adds one: nobody has to count at start-up.
CREATE TABLE secret_counts (
    kind INTEGER PRIMARY KEY CHECK (kind BETWEEN 1 AND 4),
    secrets INTEGER NOT NULL CHECK (secrets >= 0)
) STRICT;
INSERT INTO secret_counts (kind, secrets) VALUES (1, 0), (2, 0), (3, 0), (4, 0);
