//! `strongroom-devnet demo`: owners keep their secrets, on a network of its own, with every step shown. Values of secrets are
//! random and never shown.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use alloy_primitives::{Address, hex};
use anyhow::{Context, ensure};
use clap::{Args, ValueHint};
use strongroom_devnet::anvil::{AnvilOptions, Mining};
use strongroom_devnet::home::{ALREADY_EXISTS, DONE, Home, NOT_FOUND, REFUSED};
use strongroom_devnet::programs::beside_this_program;
use strongroom_devnet::resources::{App, Dataset};
use strongroom_devnet::sms::{Sms, SmsOptions};
use strongroom_devnet::{Devnet, Options, development_accounts};

use crate::interrupt::Interrupt;

/// Name of the requester's secret.
const REQUESTER_SECRET: &str = "database-password";

#[derive(Args)]
pub(crate) struct Demo {
    /// Leave the network and the service up until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Folder with the programs strongroom and strongroom-sms [default: the one of this program]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    programs: Option<PathBuf>,
}

/// Prints what happens, with the time since the beginning.
struct Teller(Instant);

impl Teller {
    fn tell(&self, what: impl Display) {
        println!("{:7.2} s  {what}", self.0.elapsed().as_secs_f64());
    }
}

/// A secret that the demonstration pushes.
struct Secret {
    /// The first word of its commands.
    noun: &'static str,
    /// What identifies it: an address, or a name.
    subject: String,
    /// The wallet that may push it.
    wallet: &'static str,
    /// The address of that wallet.
    owner: Address,
    value: String,
}

/// The people of the demonstration.
struct People {
    developer: Address,
    data_owner: Address,
    requester: Address,
}

impl Demo {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let teller = Teller(Instant::now());
        println!("Strongroom on a local network: owners store their secrets, and nobody else does.\n");
        let program = |name: &str| match &self.programs {
            Some(folder) => Ok(folder.join(name)),
            None => beside_this_program(name),
        };
        let (strongroom, strongroom_sms) = (program("strongroom")?, program("strongroom-sms")?);
        let temporary = tempfile::tempdir().context("no temporary folder could be made")?;
        let folder = |name: &str| -> anyhow::Result<PathBuf> {
            let folder = temporary.path().join(name);
            std::fs::create_dir(&folder).context("no temporary folder could be made")?;
            Ok(folder)
        };

        let mut network = start_network(&teller).await?;
        let mut sms = Sms::start(&network, SmsOptions::new(strongroom_sms, folder("service")?))?;
        network.set_sms_url(sms.url());
        teller.tell(format_args!("strongroom-sms answers at {}; it has checked chain id and hub", sms.url()));

        let home = Home::new(strongroom, folder("home")?)?;
        home.use_network(&network, sms.url())?;
        let people = create_people(&teller, &home)?;
        let (app, dataset) = deploy(&teller, &network, &people).await?;
        let secrets = secrets(app, dataset, &people)?;

        for secret in &secrets {
            push(&teller, &home, secret)?;
        }
        push_result_key(&teller, &home, people.requester)?;
        let refused = show_refusals(&teller, &home, app)?;

        sms.restart()?;
        network.set_sms_url(sms.url());
        home.use_network(&network, sms.url())?;
        teller.tell("the service was killed (kill -9) and started again on the same files");
        for secret in &secrets {
            home.run_to(DONE, &secret.check(), b"")?;
        }
        home.run_to(DONE, &["result", "check-encryption-key", &people.requester.to_string()], b"")?;
        teller.tell("all three secrets and the result key are still there");
        let files = find_leaks(&sms, &secrets)?;
        teller.tell(format_args!("no value is in plain text in any of its {files} files, nor in its log"));

        println!("\n{network}");
        println!("Three secrets and a result key were pushed by their owners and found by everybody who asked;");
        println!("a stranger was told: {refused}.");
        if self.keep {
            keep_up(&home).await?;
        }
        Ok(())
    }
}

async fn start_network(teller: &Teller) -> anyhow::Result<Devnet> {
    teller.tell("starting the chain; the first time, npm fetches anvil and the PoCo contracts");
    // Stock clients wait for a next block, so some come without transactions too.
    let chain = AnvilOptions { mining: Mining::Mixed(Duration::from_secs(1)), ..AnvilOptions::default() };
    let network = Devnet::start(Options { chain, ..Options::default() }).await?;
    let (id, hub) = (network.deployment().chain_id, network.deployment().hub);
    teller.tell(format_args!("chain {id} runs at {}, with PoCo 6.1.0 deployed and read back", network.rpc_url()));
    teller.tell(format_args!("  its hub is {hub}"));
    Ok(network)
}

fn create_people(teller: &Teller, home: &Home) -> anyhow::Result<People> {
    let create = |name: &str| -> anyhow::Result<Address> {
        let address = home.create_wallet(name)?;
        teller.tell(format_args!("strongroom wallet create {name}: {address}"));
        Ok(address)
    };
    let people =
        People { developer: create("developer")?, data_owner: create("data-owner")?, requester: create("requester")? };
    create("stranger")?;
    Ok(people)
}

async fn deploy(teller: &Teller, network: &Devnet, people: &People) -> anyhow::Result<(Address, Address)> {
    let chain = network.chain()?;
    let payer = development_accounts()[1].signer();
    let app = chain.create_app_for(&payer, people.developer, &App::named("demo-app")).await?;
    teller.tell(format_args!("app {app} is registered on chain; the developer owns it"));
    let dataset = chain.create_dataset_for(&payer, people.data_owner, &Dataset::named("demo-dataset")).await?;
    teller.tell(format_args!("dataset {dataset} is registered on chain; the data owner owns it"));
    Ok((app, dataset))
}

fn secrets(app: Address, dataset: Address, people: &People) -> anyhow::Result<[Secret; 3]> {
    let secret = |noun, subject, wallet, owner| -> anyhow::Result<Secret> {
        Ok(Secret { noun, subject, wallet, owner, value: random_value()? })
    };
    Ok([
        secret("app", app.to_string(), "developer", people.developer)?,
        secret("requester", REQUESTER_SECRET.to_owned(), "requester", people.requester)?,
        secret("dataset", dataset.to_string(), "data-owner", people.data_owner)?,
    ])
}

fn random_value() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the system gave no random bytes")?;
    Ok(hex::encode(bytes))
}

impl Secret {
    fn check(&self) -> Vec<&str> {
        // Names need no owner here: a requester looks at its own.
        let wallet: &[&str] = if self.noun == "requester" { &["--wallet", self.wallet] } else { &[] };
        [&[self.noun, "check-secret", &self.subject], wallet].concat()
    }

    fn push(&self) -> [&str; 5] {
        [self.noun, "push-secret", &self.subject, "--wallet", self.wallet]
    }
}

fn push(teller: &Teller, home: &Home, secret: &Secret) -> anyhow::Result<()> {
    let Secret { noun, subject, wallet, owner, .. } = secret;
    home.run_to(NOT_FOUND, &secret.check(), b"")?;
    teller.tell(format_args!("strongroom {noun} check-secret {subject}: is not there"));
    let answer = home.run_to(DONE, &secret.push(), secret.value.as_bytes())?;
    let signed_by: Address = serde_json::from_value(answer["wallet"].clone()).context("the answer names no wallet")?;
    ensure!(signed_by == *owner, "{signed_by} signed, not {owner}");
    teller.tell(format_args!("strongroom {noun} push-secret {subject} --wallet {wallet}: stored"));
    home.run_to(DONE, &secret.check(), b"")?;
    teller.tell(format_args!("strongroom {noun} check-secret {subject}: is there"));
    Ok(())
}

fn push_result_key(teller: &Teller, home: &Home, requester: Address) -> anyhow::Result<()> {
    home.run_to(DONE, &["result", "push-encryption-key", "--wallet", "requester"], b"")?;
    teller.tell("strongroom result push-encryption-key --wallet requester: a new RSA-4096 pair, public key stored");
    home.run_to(DONE, &["result", "check-encryption-key", &requester.to_string()], b"")?;
    teller.tell(format_args!("strongroom result check-encryption-key {requester}: is there"));
    Ok(())
}

/// Gives the words of the refusal.
fn show_refusals(teller: &Teller, home: &Home, app: Address) -> anyhow::Result<String> {
    let app = app.to_string();
    let push = |wallet| -> anyhow::Result<_> {
        let command = ["app", "push-secret", &app, "--wallet", wallet];
        Ok(home.run(&command, random_value()?.as_bytes())?)
    };
    let stranger = push("stranger")?;
    ensure!(stranger.code == REFUSED, "a stranger was not refused: {}", stranger.json);
    teller.tell(format_args!("strongroom app push-secret {app} --wallet stranger: {}", stranger.message()));
    let again = push("developer")?;
    ensure!(again.code == ALREADY_EXISTS, "a secret was overwritten: {}", again.json);
    teller.tell(format_args!("strongroom app push-secret {app} --wallet developer, again: {}", again.message()));
    Ok(stranger.message().to_owned())
}

/// Looks for the values in all that the service wrote, and tells how many files there are.
fn find_leaks(sms: &Sms, secrets: &[Secret]) -> anyhow::Result<usize> {
    let folder = &sms.options().folder;
    let mut written = contents(folder).context("reading the files of the service")?;
    let files = written.len();
    ensure!(files > 0, "the service has written no file");
    written.push((Path::new("the log").to_owned(), sms.log().into_bytes()));
    for (path, content) in &written {
        for secret in secrets {
            let raw = hex::decode(&secret.value).context("values are hexadecimal")?;
            let leaked = [secret.value.as_bytes(), &raw].iter().any(|needle| contains(content, needle));
            ensure!(!leaked, "the value of the secret of {} is in {}", secret.subject, path.display());
        }
    }
    Ok(files)
}

/// The files of a folder.
fn contents(folder: &Path) -> std::io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let content = std::fs::read(&path)?;
        files.push((path, content));
    }
    Ok(files)
}

fn contains(content: &[u8], needle: &[u8]) -> bool {
    content.windows(needle.len()).any(|window| window == needle)
}

async fn keep_up(home: &Home) -> anyhow::Result<()> {
    let mut interrupt = Interrupt::new()?;
    println!("\nTo go on by hand, as one of these people, with the program strongroom:");
    for (name, value) in home.surroundings() {
        println!("  export {name}={}", value.display());
    }
    println!("\nEverything stays up. Ctrl-C stops it.");
    interrupt.wait().await;
    println!("\nStopping.");
    Ok(())
}
