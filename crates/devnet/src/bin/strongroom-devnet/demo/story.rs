//! The story, step by step.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, hex};
use anyhow::{Context, ensure};
use serde_json::json;
use strongroom_content::cid::AddAs;
use strongroom_content::dataset::{self, DatasetKey};
use strongroom_devnet::Devnet;
use strongroom_devnet::development_accounts;
use strongroom_devnet::home::{ALREADY_EXISTS, DONE, Home, REFUSED};
use strongroom_devnet::whole::{POOL_OWNER, WholeNetwork};
use strongroom_oci::ImageBuilder;
use strongroom_poco::calls::{NewApp, NewDataset};
use strongroom_protocol::TaskId;

use super::market::{DATASET_PRICE, Market, POOL_PRICE, Wanted};
use super::{Teller, Who, result};

/// Accounts of the local chain by what they do; the first has all RLC.
pub(super) const BANK: usize = 0;
pub(super) const DEVELOPER: usize = 1;
pub(super) const DATA_OWNER: usize = 2;
pub(super) const REQUESTER: usize = 3;
/// How long the task may take. It needs about a second; a loaded machine needs more.
const PATIENCE: Duration = Duration::from_mins(2);
const ROWS: usize = 100_000;

/// What the enclave runs. It tells what it was given without telling any of it.
const APP: &str = r#"#!/bin/sh
set -e
given() { eval "value=\$$1"; if [ -n "$value" ]; then echo "$2: opened"; else echo "$2: not here"; fi; }
{
  given IEXEC_APP_DEVELOPER_SECRET "the developer's secret"
  given IEXEC_REQUESTER_SECRET_1 "the requester's first secret"
  given IEXEC_REQUESTER_SECRET_2 "the requester's second secret"
  given IEXEC_DATASET_KEY "the key of the dataset"
  given SIGN_TEE_CHALLENGE_PRIVATE_KEY "the key that signs the result"
  awk -F, 'NR > 1 { rows++; sum += $3 } END { printf "rows of the dataset: %d, mean of its values: %.2f\n", rows, sum / rows }' \
    "$IEXEC_IN/$IEXEC_DATASET_FILENAME"
} > "$IEXEC_OUT/result.txt"
printf '{"deterministic-output-path":"%s/result.txt"}' "$IEXEC_OUT" > "$IEXEC_OUT/computed.json"
"#;

pub(crate) struct Stage<'a> {
    pub(crate) network: &'a Devnet,
    pub(crate) whole: &'a WholeNetwork,
    pub(crate) home: &'a Home,
    pub(crate) folder: &'a Path,
}

impl Stage<'_> {
    pub(crate) async fn play(&self, teller: &mut Teller) -> anyhow::Result<String> {
        let market = Market::open(self.network).await?;
        for (name, account) in [("developer", DEVELOPER), ("data-owner", DATA_OWNER), ("requester", REQUESTER)] {
            self.home.import_wallet(name, &development_accounts()[account].signer())?;
        }
        self.home.create_wallet("stranger")?;
        market.fund(BANK, REQUESTER, 5 * (DATASET_PRICE + POOL_PRICE)).await?;
        market.fund(BANK, POOL_OWNER, 5 * POOL_PRICE).await?;
        teller.tell(
            Who::Network,
            "developer, data owner and requester have wallets; requester and pool have RLC at the hub",
        );

        // The developer.
        let (app, image) = self.deploy_app(&market, "demo-app").await?;
        teller.tell(
            Who::Developer,
            format_args!("app {app} is on chain; its checksum is the digest of its image, {image:#x}"),
        );
        let mut values = vec![self.push(teller, Who::Developer, "developer", "app", &app.to_string(), None)?];
        let stranger = self.home.run(&["app", "push-secret", &app.to_string(), "--wallet", "stranger"], b"x")?;
        ensure!([REFUSED, ALREADY_EXISTS].contains(&stranger.code), "a stranger was not refused: {}", stranger.json);
        teller.refused(Who::Network, format_args!("a stranger pushes a secret for the app: {}", stranger.message()));

        // The data owner.
        let (dataset, key) = self.deploy_dataset(&market, teller).await?;
        values.push(self.push(teller, Who::DataOwner, "data-owner", "dataset", &dataset.to_string(), Some(key))?);
        let grant = market.grant(DATA_OWNER, dataset, app)?;
        let price = DATASET_PRICE / 1_000_000_000;
        teller.tell(
            Who::DataOwner,
            format_args!("grants the dataset to this app alone, for {price} RLC a task (a signed order)"),
        );

        // The requester.
        for name in ["one", "two"] {
            values.push(self.push(teller, Who::Requester, "requester", "requester", name, None)?);
        }
        self.home.run_to(DONE, &["result", "push-encryption-key", "--wallet", "requester"], b"")?;
        teller.tell(Who::Requester, "strongroom result push-encryption-key: results come back under a new RSA key");
        let params = json!({
            "iexec_secrets": { "1": "one", "2": "two" },
            "iexec_result_encryption": true,
            "iexec_result_storage_provider": "ipfs",
        });
        let wanted = Wanted { app, dataset: &grant, workerpool: self.whole.workerpool, params: params.to_string() };
        let orders = market.orders(&wanted, DEVELOPER, POOL_OWNER, REQUESTER)?;
        let deal = market.buy(REQUESTER, &orders).await?;
        let task = TaskId::of(deal, 0);
        teller.tell(Who::Requester, format_args!("buys one task: deal {deal}"));
        self.until_settled(task, teller).await?;
        let money = market.chain.money(development_accounts()[DATA_OWNER].address).await?;
        teller.tell(Who::DataOwner, format_args!("was paid {} nRLC", money.stake));

        let cid = result::place(&market.chain.task_results(task).await?)?;
        let password = std::fs::read_to_string(self.home.folder().join("password"))?;
        let text = result::open(self.whole.store.files(), cid, self.home.folder(), &password, "result.txt")?;
        teller.tell(Who::Requester, format_args!("decrypts the result /ipfs/{cid}:"));
        for line in text.lines() {
            println!("                          | {line}");
        }
        ensure!(text.matches(": opened").count() == 3, "the app did not get exactly its own secrets: {text}");

        let refusals = self.show_refusals(&market, teller, &wanted, image).await?;
        let files = self.find_leaks(&values)?;
        teller.tell(
            Who::Network,
            format_args!(
                "no value is in plain text in any of the {files} files of service, pool and storage, nor in their logs"
            ),
        );
        Ok(summary(task, &text, &refusals))
    }

    /// Pushes a value with `strongroom`, a random one if none is given; gives it, to look for it later.
    fn push(
        &self,
        teller: &mut Teller,
        who: Who,
        wallet: &str,
        noun: &str,
        subject: &str,
        value: Option<String>,
    ) -> anyhow::Result<String> {
        let value = if let Some(value) = value {
            value
        } else {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes).context("the system gave no random bytes")?;
            hex::encode(bytes)
        };
        let command = [noun, "push-secret", subject, "--wallet", wallet];
        self.home.run_to(DONE, &command, value.as_bytes())?;
        teller.tell(who, format_args!("strongroom {}: stored", command.join(" ")));
        Ok(value)
    }

    pub(super) async fn deploy_app(&self, market: &Market, name: &str) -> anyhow::Result<(Address, B256)> {
        let mut image = ImageBuilder::default();
        image.host_shell().context("the image of the app")?;
        image.file("/app.sh", format!("{APP}# {name}\n"), true)?.entrypoint(["/bin/sh", "/app.sh"]);
        let digest = B256::from(*image.write_layout(&self.whole.images, name)?.as_bytes());
        Ok((self.register(market, name, digest).await?, digest))
    }

    pub(super) async fn register(&self, market: &Market, name: &str, checksum: B256) -> anyhow::Result<Address> {
        let app = NewApp {
            name: name.to_owned(),
            kind: "DOCKER".to_owned(),
            multiaddr: format!("local/{name}:1").into_bytes().into(),
            checksum,
            mrenclave: Vec::new().into(),
        };
        market.create_app(DEVELOPER, app).await
    }

    /// Encrypts a table of a few megabytes, stores it, registers it. Gives the key as text.
    async fn deploy_dataset(&self, market: &Market, teller: &mut Teller) -> anyhow::Result<(Address, String)> {
        let mut table = String::from("id,city,value\n");
        for row in 0..ROWS {
            let city = ["Lyon", "Bern", "Graz", "Turin"][row % 4];
            let _ = writeln!(table, "{row},{city},{}.{:02}", row * 37 % 1000, row % 100);
        }
        let (mut key, mut iv) = ([0; 32], [0; 16]);
        getrandom::fill(&mut key).and_then(|()| getrandom::fill(&mut iv)).context("the system gave no random bytes")?;
        let key = DatasetKey::from_random(key);
        let mut file = Vec::new();
        let checksum = dataset::encrypt(&key, iv, table.as_bytes(), &mut file)?;
        let cid = self.whole.store.files().add(&file, AddAs::V0)?;
        teller.tell(
            Who::DataOwner,
            format_args!("encrypts a table of {ROWS} rows ({} kB) and stores it as /ipfs/{cid}", file.len() / 1000),
        );
        let multiaddr = format!("/ipfs/{cid}").into_bytes().into();
        let dataset = NewDataset { name: "demo-table".to_owned(), multiaddr, checksum };
        let dataset = market.create_dataset(DATA_OWNER, dataset).await?;
        teller.tell(
            Who::DataOwner,
            format_args!("dataset {dataset} is on chain, with the SHA-256 of the encrypted file"),
        );
        Ok((dataset, key.expose_text().to_string()))
    }

    /// Tells each state that the pool reports, until the task is over.
    async fn until_settled(&self, task: TaskId, teller: &mut Teller) -> anyhow::Result<()> {
        let model = self.until_over(task, |state| teller.tell(Who::Pool, format_args!("task is {state}"))).await?;
        ensure!(model["currentStatus"] == "COMPLETED", "the task failed: {model:#}\n{}", self.whole.pool.log());
        teller.tell(Who::Pool, "the result is settled on the real contracts, and everybody is paid");
        Ok(())
    }

    pub(super) async fn until_over(
        &self,
        task: TaskId,
        mut saw: impl FnMut(&str),
    ) -> anyhow::Result<serde_json::Value> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let begun = Instant::now();
        let mut last = String::new();
        loop {
            let answer = http.get(format!("{}/tasks/{task}", self.whole.pool.url())).send().await;
            if let Ok(answer) = answer
                && let Ok(model) = answer.json::<serde_json::Value>().await
                && let Some(state) = model["currentStatus"].as_str()
            {
                if state != last {
                    saw(state);
                    state.clone_into(&mut last);
                }
                if matches!(state, "COMPLETED" | "FAILED") {
                    return Ok(model);
                }
            }
            ensure!(begun.elapsed() < PATIENCE, "the task did not end; the pool says:\n{}", self.whole.pool.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Looks for the values in everything that was written, and tells how many files there are.
    fn find_leaks(&self, values: &[String]) -> anyhow::Result<usize> {
        let mut written = Vec::new();
        for folder in ["sms", "pool", "content"] {
            contents(&self.folder.join(folder), &mut written)?;
        }
        let files = written.len();
        ensure!(files > 3, "the programs have written hardly anything");
        written.push(("the service's log".to_owned(), self.whole.sms.log().into_bytes()));
        written.push(("the pool's log".to_owned(), self.whole.pool.log().into_bytes()));
        for (name, content) in &written {
            for value in values {
                let leaked = content.windows(value.len()).any(|window| window == value.as_bytes());
                ensure!(!leaked, "a value is in {name}");
            }
        }
        Ok(files)
    }
}

fn contents(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            // Unpacked images are the developer's own files.
            if entry.file_name() != "images" {
                contents(&entry.path(), found)?;
            }
        } else if kind.is_file() {
            found.push((entry.path().display().to_string(), std::fs::read(entry.path())?));
        }
    }
    Ok(())
}

fn summary(task: TaskId, result: &str, refusals: &[String]) -> String {
    let mut text = format!("Task {task} ran in its (simulated) enclave and was paid. Its result says:\n");
    for line in result.lines() {
        let _ = writeln!(text, "  {line}");
    }
    text.push_str("What was refused:\n");
    for reason in refusals {
        let _ = writeln!(text, "  {reason}");
    }
    text
}
