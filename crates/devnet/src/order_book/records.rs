//! What the book keeps: orders with what is left of them, deals, and up to where the chain was read. SQLite.

use std::path::Path;

use alloy_primitives::{Address, B256};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde_json::{Value, json};
use strongroom_poco::notices::Cursor;
use strongroom_protocol::address::checksummed;

use super::order::{AnyOrder, Kind};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS orders (
        hash BLOB PRIMARY KEY, kind TEXT NOT NULL, signer BLOB NOT NULL,
        app BLOB NOT NULL, dataset BLOB NOT NULL, workerpool BLOB NOT NULL, requester BLOB NOT NULL, beneficiary BLOB NOT NULL,
        category INTEGER NOT NULL, trust INTEGER NOT NULL, price INTEGER NOT NULL, stake_per_task BLOB NOT NULL, tag BLOB NOT NULL,
        volume INTEGER NOT NULL, remaining INTEGER NOT NULL, status TEXT NOT NULL, published INTEGER NOT NULL, body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS open_orders ON orders (kind, status, price, published, hash);
    CREATE INDEX IF NOT EXISTS orders_of_signer ON orders (signer, status);
    CREATE TABLE IF NOT EXISTS deals (
        id BLOB PRIMARY KEY, block INTEGER NOT NULL, requester BLOB NOT NULL, beneficiary BLOB NOT NULL, category INTEGER NOT NULL,
        app BLOB NOT NULL, dataset BLOB NOT NULL, workerpool BLOB NOT NULL,
        app_owner BLOB NOT NULL, dataset_owner BLOB NOT NULL, workerpool_owner BLOB NOT NULL,
        app_hash BLOB NOT NULL, dataset_hash BLOB NOT NULL, workerpool_hash BLOB NOT NULL, request_hash BLOB NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS newest_deals ON deals (block DESC);
    CREATE TABLE IF NOT EXISTS cursor (one INTEGER PRIMARY KEY CHECK (one = 0), block INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
";

/// How an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Open,
    /// Its volume is used up.
    Filled,
    /// Its owner revoked it on chain.
    Canceled,
    /// Its signer no longer owns the resource, or cannot pay.
    Dead,
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Filled => "filled",
            Self::Canceled => "canceled",
            Self::Dead => "dead",
        }
    }
}

/// An order as the book tells of it.
#[derive(Clone, Debug)]
pub(super) struct Published {
    pub(super) hash: B256,
    pub(super) kind: String,
    pub(super) signer: Address,
    pub(super) tag: B256,
    pub(super) volume: u64,
    pub(super) remaining: u64,
    pub(super) stake_per_task: alloy_primitives::U256,
    pub(super) status: String,
    /// When it was published, in milliseconds since 1970.
    pub(super) since_ms: i64,
    pub(super) body: Value,
}

pub(super) const COLUMNS: &str = "hash, kind, signer, tag, volume, remaining, stake_per_task, status, published, body";

impl Published {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            hash: B256::from(row.get::<_, [u8; 32]>(0)?),
            kind: row.get(1)?,
            signer: Address::from(row.get::<_, [u8; 20]>(2)?),
            tag: B256::from(row.get::<_, [u8; 32]>(3)?),
            volume: row.get::<_, i64>(4)?.cast_unsigned(),
            remaining: row.get::<_, i64>(5)?.cast_unsigned(),
            stake_per_task: alloy_primitives::U256::from_be_bytes(row.get::<_, [u8; 32]>(6)?),
            status: row.get(7)?,
            since_ms: row.get(8)?,
            body: serde_json::from_str(&row.get::<_, String>(9)?).unwrap_or(Value::Null),
        })
    }

    /// The members that every answer about an order has.
    pub(super) fn to_json(&self, chain_id: u64) -> Value {
        json!({
            "orderHash": self.hash,
            "chainId": chain_id,
            "order": self.body,
            "signer": checksummed(&self.signer),
            "remaining": self.remaining,
            "status": self.status,
            "publicationTimestamp": jiff::Timestamp::from_millisecond(self.since_ms).unwrap_or_default().to_string(),
        })
    }

    /// Whether its signer's free stake covers what is left of it.
    pub(super) fn is_covered_by(&self, stake: alloy_primitives::U256) -> bool {
        stake >= self.stake_per_task.saturating_mul(alloy_primitives::U256::from(self.remaining))
    }
}

/// A deal, with the columns it is found by.
#[derive(Clone, Debug)]
pub(super) struct DealRecord {
    pub(super) id: B256,
    pub(super) block: u64,
    pub(super) requester: Address,
    pub(super) beneficiary: Address,
    pub(super) category: u64,
    /// App, dataset, workerpool: address and owner.
    pub(super) resources: [(Address, Address); 3],
    /// Of app, dataset, workerpool and request order.
    pub(super) hashes: [B256; 4],
    pub(super) body: Value,
}

/// What a look at the chain says about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) order: B256,
    pub(super) remaining: u64,
    pub(super) status: Status,
}

/// What one range of blocks changes, in one transaction.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) deals: Vec<DealRecord>,
    pub(super) standings: Vec<Standing>,
    pub(super) cursor: Option<Cursor>,
}

/// The file.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) connection: Connection,
}

impl Records {
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection })
    }

    pub(super) fn cursor(&self) -> rusqlite::Result<Option<Cursor>> {
        let read = |row: &Row<'_>| {
            let (block, hash): (i64, [u8; 32]) = (row.get(0)?, row.get(1)?);
            Ok(Cursor { block: block.cast_unsigned(), hash: hash.into() })
        };
        self.connection.query_row("SELECT block, hash FROM cursor", [], read).optional()
    }

    /// Keeps a new order, in place of a dead one with the same hash.
    pub(super) fn publish(
        &self,
        order: &AnyOrder,
        signer: Address,
        remaining: u64,
        now_ms: i64,
    ) -> rusqlite::Result<()> {
        self.connection.execute(
            "INSERT OR REPLACE INTO orders VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,'open',?16,?17)",
            params![
                order.hash.as_slice(),
                order.kind.word(),
                signer.as_slice(),
                order.app.as_slice(),
                order.dataset.as_slice(),
                order.workerpool.as_slice(),
                order.requester.as_slice(),
                order.beneficiary.as_slice(),
                order.category.cast_signed(),
                order.trust.cast_signed(),
                order.price.cast_signed(),
                order.stake_per_task.to_be_bytes::<32>(),
                order.tag.as_slice(),
                order.volume.cast_signed(),
                remaining.cast_signed(),
                now_ms,
                order.body.to_string(),
            ],
        )?;
        Ok(())
    }

    pub(super) fn order(&self, kind: Kind, hash: B256) -> rusqlite::Result<Option<Published>> {
        let sql = format!("SELECT {COLUMNS} FROM orders WHERE hash = ?1 AND kind = ?2");
        self.connection.query_row(&sql, params![hash.as_slice(), kind.word()], Published::read).optional()
    }

    /// Orders that `condition` holds for, with one address in it.
    fn orders_where(&self, condition: &str, address: Address) -> rusqlite::Result<Vec<Published>> {
        let mut statement =
            self.connection.prepare_cached(&format!("SELECT {COLUMNS} FROM orders WHERE {condition}"))?;
        statement.query_map([address.as_slice()], Published::read)?.collect()
    }

    /// The open orders that somebody signed, oldest first.
    pub(super) fn open_of_signer(&self, signer: Address) -> rusqlite::Result<Vec<Published>> {
        self.orders_where("signer = ?1 AND status = 'open' ORDER BY published, rowid", signer)
    }

    /// The open orders of a kind that somebody signed about a resource (or about himself), oldest first.
    pub(super) fn open_about(&self, kind: Kind, subject: Address, signer: Address) -> rusqlite::Result<Vec<Published>> {
        let found = self.open_of_signer(signer)?;
        let is_about = |order: &Published| {
            order.kind == kind.word() && order.body[kind.subject()].as_str() == Some(&checksummed(&subject))
        };
        Ok(found.into_iter().filter(is_about).collect())
    }

    /// All orders that are not dead: those whose standing the chain can change.
    pub(super) fn alive(&self) -> rusqlite::Result<Vec<Published>> {
        self.orders_where("status <> 'dead' AND signer <> ?1", Address::ZERO)
    }

    pub(super) fn by_hash(&self, hash: B256) -> rusqlite::Result<Option<Published>> {
        let sql = format!("SELECT {COLUMNS} FROM orders WHERE hash = ?1");
        self.connection.query_row(&sql, [hash.as_slice()], Published::read).optional()
    }

    pub(super) fn unpublish(&self, hash: B256) -> rusqlite::Result<()> {
        self.connection.execute("DELETE FROM orders WHERE hash = ?1", [hash.as_slice()])?;
        Ok(())
    }

    /// Applies what a range of blocks changes, with the cursor, or nothing.
    pub(super) fn apply(&mut self, changes: &Changes) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for deal in &changes.deals {
            insert_deal(&transaction, deal)?;
        }
        for standing in &changes.standings {
            transaction.execute(
                "UPDATE orders SET remaining = ?2, status = ?3 WHERE hash = ?1",
                params![standing.order.as_slice(), standing.remaining.cast_signed(), standing.status.word()],
            )?;
        }
        if let Some(cursor) = changes.cursor {
            transaction.execute(
                "INSERT OR REPLACE INTO cursor VALUES (0, ?1, ?2)",
                params![cursor.block.cast_signed(), cursor.hash.as_slice()],
            )?;
        }
        transaction.commit()
    }

    /// Forgets deals from a block on: a reorganisation may have undone them. Those that still are will be read again.
    pub(super) fn forget_deals_from(&self, block: u64) -> rusqlite::Result<()> {
        self.connection.execute("DELETE FROM deals WHERE block >= ?1", [block.cast_signed()])?;
        Ok(())
    }
}

fn insert_deal(transaction: &Transaction<'_>, deal: &DealRecord) -> rusqlite::Result<()> {
    let [app, dataset, workerpool] = &deal.resources;
    let [app_hash, dataset_hash, workerpool_hash, request_hash] = &deal.hashes;
    transaction.execute(
        "INSERT OR REPLACE INTO deals VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)",
        params![
            deal.id.as_slice(),
            deal.block.cast_signed(),
            deal.requester.as_slice(),
            deal.beneficiary.as_slice(),
            deal.category.cast_signed(),
            app.0.as_slice(),
            dataset.0.as_slice(),
            workerpool.0.as_slice(),
            app.1.as_slice(),
            dataset.1.as_slice(),
            workerpool.1.as_slice(),
            app_hash.as_slice(),
            dataset_hash.as_slice(),
            workerpool_hash.as_slice(),
            request_hash.as_slice(),
            deal.body.to_string(),
        ],
    )?;
    Ok(())
}
