//! What a transaction offers for its gas, and what its replacement does.

use crate::chain::Chain;
use crate::error::ChainError;
use crate::transaction_rpc::{BaseFee, GasPrice};

/// A replacement must offer at least an eighth more; nodes refuse it otherwise.
const RAISE_PERCENT: u128 = 125;

/// What a transaction offers for gas.
#[derive(Clone, Copy, Debug)]
pub(super) enum Offer {
    /// EIP-1559.
    Market { most: u128, tip: u128 },
    /// A chain without base fee.
    Flat { price: u128 },
}

impl Chain {
    /// The most that one unit of gas may cost, as a wallet would offer it now, in wei. Never 0.
    pub async fn gas_price(&self) -> Result<u128, ChainError> {
        Ok(Offer::now(self).await?.most())
    }
}

impl Offer {
    pub(super) async fn now(chain: &Chain) -> Result<Self, ChainError> {
        let base = chain.ask_one(&BaseFee).await?;
        let price = chain.ask_one(&GasPrice).await?;
        Ok(match base {
            // The base fee grows by an eighth with each full block: twice it lasts six.
            Some(base) => {
                let tip = price.saturating_sub(base);
                Self::Market { most: base.saturating_mul(2).saturating_add(tip).max(1), tip }
            }
            None => Self::Flat { price: price.max(1) },
        })
    }

    pub(super) fn most(self) -> u128 {
        match self {
            Self::Market { most, .. } => most,
            Self::Flat { price } => price,
        }
    }

    pub(super) fn raised(self) -> Self {
        let raise = |fee: u128| fee.saturating_mul(RAISE_PERCENT) / 100 + 1;
        match self {
            Self::Market { most, tip } => Self::Market { most: raise(most), tip: raise(tip) },
            Self::Flat { price } => Self::Flat { price: raise(price) },
        }
    }
}
