//! Whose evidence may open the secrets of a database: hardware's, or one simulator's. Fixed while it is empty, so that secrets
//! pushed for production never reach a simulated enclave, whatever is configured later.

use rusqlite::Connection;
use strongroom_grant::TrustDomain;

use crate::error::StoreError;
use crate::store::Store;

/// Why a database cannot serve a trust domain.
#[derive(Debug, thiserror::Error)]
pub enum TrustDomainError {
    /// It holds secrets or records of another one.
    #[error("the database belongs to the trust domain {found}, not {asked}; use another database, secrets do not move")]
    Other {
        /// What it belongs to.
        found: String,
        /// What was asked for.
        asked: String,
    },
    /// Could not find out or could not write.
    #[error(transparent)]
    Trouble(#[from] StoreError),
}

impl Store {
    /// Declares whose evidence opens the secrets of this store. A database that holds nothing takes any; from then on only
    /// the same. A new database is for production.
    pub async fn settle_trust_domain(&self, domain: &TrustDomain) -> Result<(), TrustDomainError> {
        let asked = domain.to_string();
        let wanted = asked.clone();
        let room = self.inner.writer.room_for(0).await?;
        let settle = move |transaction: &Connection| {
            let found = of_store(transaction)?;
            if found == wanted || !is_empty(transaction)? {
                return Ok(found);
            }
            transaction.execute("UPDATE store SET trust_domain = ?1", [&wanted])?;
            Ok(wanted.clone())
        };
        let found = self.inner.writer.write(room, settle).await?;
        if found == asked { Ok(()) } else { Err(TrustDomainError::Other { found, asked }) }
    }
}

/// The domain of the database, as text.
pub(crate) fn of_store(connection: &Connection) -> rusqlite::Result<String> {
    connection.prepare_cached("SELECT trust_domain FROM store")?.query_row([], |row| row.get(0))
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    let held = "SELECT EXISTS (SELECT 1 FROM secret_versions) OR EXISTS (SELECT 1 FROM journal)";
    connection.query_row(held, [], |row| row.get::<_, bool>(0)).map(|held| !held)
}
