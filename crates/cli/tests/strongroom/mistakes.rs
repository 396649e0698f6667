//! The most likely mistakes, as a person sees them: what was typed, what the command says. Each names the cause and the next
//! command. `golden/mistakes.txt` has them all.

use std::fmt::Write as _;

use expect_test::expect_file;
use strongroom_poco::orders::{DatasetOrder, WorkerpoolOrder};

use crate::home::ASSET;
use crate::stage::{APP, DATASET, POOL, Stage, me, nobody, owner, text};
use crate::stand_in_sms::Scripted;

/// What is typed, on its stage, and why it is a mistake.
struct Mistake {
    title: &'static str,
    stage: Stage,
    command: String,
    value: &'static str,
}

fn mistake(title: &'static str, command: impl Into<String>, prepare: impl FnOnce(&Stage)) -> Mistake {
    let stage = Stage::new();
    prepare(&stage);
    Mistake { title, stage, command: command.into(), value: "" }
}

fn pushing(title: &'static str, command: impl Into<String>, prepare: impl FnOnce(&Stage)) -> Mistake {
    Mistake { value: "a value", ..mistake(title, command, prepare) }
}

/// Everybody has offered, and the accounts are filled.
fn ready(stage: &Stage) {
    stage.offer_all(9);
    stage.chain.world().stakes.extend([(me(), 400), (owner().address(), 60)]);
}

fn mistakes() -> Vec<Mistake> {
    let (app, dataset, pool) = (text(APP), text(DATASET), text(POOL));
    let typo = app.replacen('a', "b", 1);
    let nothing = |_: &Stage| ();
    vec![
        pushing("the wrong wallet", format!("dataset grant {dataset} --app {app}"), nothing),
        pushing("a wallet that is not there", format!("app push-secret {app} --wallet bob"), nothing),
        mistake("a wrong password", "account deposit 5", |stage| {
            stage.home.write("password", "not the password\n");
            stage.chain.world().rlc.insert(me(), 5);
        }),
        mistake("no gas", "account deposit 5", |stage| {
            stage.chain.world().rlc.insert(me(), 5);
            stage.chain.world().without_gas.push(me());
            stage.chain.world().refusal = "insufficient funds for gas * price + value";
        }),
        mistake("no RLC in the wallet", "account deposit 1 RLC", nothing),
        mistake("no RLC at the hub", format!("task buy {app}"), |stage| stage.offer_all(9)),
        mistake("the wrong chain", "account balance", |stage| stage.chain.world().chain_id = Some(1)),
        mistake("a chain that does not exist", format!("app show {app} --chain mainnet"), nothing),
        mistake("no node", "account balance", |stage| stage.describe(&nobody(), &stage.market.url())),
        pushing("no SMS", format!("app push-secret {app} --sms {}", nobody()), nothing),
        pushing("an SMS in trouble", "requester push-secret key --retries 0", |stage| {
            stage.sms.next(Scripted::Status(503, "", String::new()));
        }),
        pushing("a secret that is there already", "requester push-secret key", |stage| {
            stage.home.sign("another value", &["requester", "push-secret", "key"]).ends_with(0);
        }),
        mistake("a typo in an address", format!("task buy {typo} --dry-run"), nothing),
        mistake("an address of something else", format!("app show {ASSET}"), nothing),
        mistake("a file that is not there", "dataset encrypt table.csv", nothing),
        mistake("a file that is not encrypted", "dataset deploy --name table --file table.csv --upload", |stage| {
            stage.home.write("table.csv", "name,value\nanna,7\nbert,9\n");
        }),
        mistake("nothing granted", format!("task buy {app} --dataset {dataset} --dry-run"), |stage| {
            ready(stage);
            stage.market.withdraw::<DatasetOrder>();
        }),
        mistake("an order that is used up", format!("task buy {app} --volume 99 --dry-run"), ready),
        mistake("a secret nobody pushed", format!("task buy {app} --secret 1=api-key --dry-run"), ready),
        mistake("a result nobody could encrypt", format!("task buy {app} --encrypt-result --dry-run"), ready),
        mistake("a pool that offers nothing", format!("task buy {app} --workerpool {pool} --dry-run"), |stage| {
            ready(stage);
            stage.market.withdraw::<WorkerpoolOrder>();
        }),
        mistake("a word that is no command", "task run", nothing),
        mistake("a word of another command line", format!("app run {app}"), nothing),
    ]
}

#[test]
fn what_is_said_to_the_most_likely_mistakes_is_as_written_down() {
    let mut actual = String::new();
    for Mistake { title, stage, command, value } in mistakes() {
        let words: Vec<&str> = command.split(' ').collect();
        let signs = !["balance", "show", "encrypt", "--dry-run", "run"].iter().any(|word| words.contains(word));
        let ran = if signs { stage.home.sign(value, &words) } else { stage.home.run(&words) };
        assert_ne!(ran.code, 0, "{title}: {ran:?}");
        let said = stage.home.stable(&format!("{}{}", ran.stdout, ran.stderr));
        writeln!(actual, "# {title}\n$ strongroom {}\n{said}[{}]\n", stage.home.stable(&command), ran.code).unwrap();
    }
    expect_file!["golden/mistakes.txt"].assert_eq(&actual);
}
