//! `strongroom-devnet fund`: money for an account, on a network that is up.

use alloy_primitives::{Address, U256};
use clap::Args;
use strongroom_devnet::Devnet;
use strongroom_devnet::whole::POCKET_MONEY;

/// What an account has for gas afterwards, in wei: 1,000 coins.
const WEI: u128 = 1_000_000_000_000_000_000_000;

#[derive(Args)]
pub(crate) struct Fund {
    /// The account
    account: Address,
    /// The node
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8545")]
    rpc: String,
    /// The PoCo contracts on that node
    #[arg(long, value_name = "ADDRESS")]
    hub: Address,
}

impl Fund {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let chain = Devnet::attach(&self.rpc, self.hub).await?.chain()?;
        chain.give(self.account, U256::from(POCKET_MONEY)).await?;
        chain.node.set_balance(self.account, U256::from(WEI)).await?;
        println!("{} has 1000 RLC more, and 1000 coins.", self.account);
        Ok(())
    }
}
