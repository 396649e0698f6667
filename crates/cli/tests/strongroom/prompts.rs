//! What a person at a terminal sees, on a pseudo-terminal: hidden prompts, questions, and how far something long is.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{Read, Write};
use std::process::Child;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::home::{ADDRESS, CANARY, Home, PASSWORD, Ran};
use crate::stage::{Stage, me};
use crate::stand_in_sms::StandInSms;

/// A person at a terminal.
struct Person {
    terminal: File,
    child: Child,
    seen: String,
}

impl Person {
    /// `setsid --ctty` makes the pseudo-terminal the one that the command's questions go to.
    fn runs(home: &Home, arguments: &[&str]) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        tcsetwinsize(&terminal, Winsize { ws_row: 50, ws_col: 150, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let side = || File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let child = home
            .command("setsid")
            .env("TERM", "xterm")
            .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_strongroom")])
            .args(arguments)
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .unwrap();
        Self { terminal: terminal.into(), child, seen: String::new() }
    }

    /// Waits for the question, and until typing is hidden, then types.
    fn answers(&mut self, question: &str, answer: &str) -> &mut Self {
        while !self.seen.contains(question) {
            assert!(self.sees_more(), "no question {question:?}: {}", self.seen);
        }
        self.seen.clear();
        while tcgetattr(&self.terminal).unwrap().local_modes.contains(LocalModes::ECHO) {
            std::thread::yield_now();
        }
        self.terminal.write_all(format!("{answer}\n").as_bytes()).unwrap();
        self
    }

    /// Waits for a question whose answer is shown, then types.
    fn says(&mut self, question: &str, answer: &str) -> &mut Self {
        while !self.seen.contains(question) {
            assert!(self.sees_more(), "no question {question:?}: {}", self.seen);
        }
        self.seen.clear();
        self.terminal.write_all(format!("{answer}\n").as_bytes()).unwrap();
        self
    }

    fn sees_more(&mut self) -> bool {
        let mut buffer = [0; 1024];
        match self.terminal.read(&mut buffer) {
            Ok(0) | Err(_) => false, // the other side is closed
            Ok(read) => {
                self.seen += &String::from_utf8_lossy(&buffer[..read]);
                let seen = Ran { code: 0, stdout: self.seen.clone(), stderr: String::new() };
                seen.leaks_nothing();
                true
            }
        }
    }

    fn ends_with(&mut self, code: i32) {
        while self.sees_more() {}
        assert_eq!(self.child.wait().unwrap().code(), Some(code), "{}", self.seen);
    }
}

#[test]
fn a_secret_and_a_password_can_be_typed_unseen_and_end_before_the_line_break() {
    let sms = StandInSms::start();
    let home = Home::ready_for(&sms);
    let mut person = Person::runs(&home, &["requester", "push-secret", "typed"]);
    person
        .answers("Secret (not shown): ", CANARY)
        .answers("Password of wallet me (not shown): ", PASSWORD)
        .ends_with(0);
    assert_eq!(sms.stored(&format!("/requesters/{ADDRESS}/secrets/typed")).as_deref(), Some(CANARY));
}

#[test]
fn a_person_is_asked_before_something_is_sent_unless_they_said_yes() {
    let stage = Stage::new();
    stage.chain.world().rlc.insert(me(), 5);
    stage.chain.world().refusal = "sent";
    let deposit = ["account", "deposit", "5"];
    for (answer, code, word) in [("n", 3, "nothing was sent"), ("", 3, "nothing was sent"), ("y", 3, "sent")] {
        let mut person = Person::runs(&stage.home, &deposit);
        person.answers("Password of wallet me (not shown): ", PASSWORD);
        person.says("Pay 5 nRLC into the account at the hub? [y/N]", answer).ends_with(code);
        assert!(person.seen.contains(word), "{answer}: {}", person.seen);
        assert_eq!(person.seen.contains("refused by the contract"), answer == "y", "{}", person.seen);
    }
    let mut person = Person::runs(&stage.home, &[&deposit[..], &["--yes"]].concat());
    person.answers("Password of wallet me (not shown): ", PASSWORD).ends_with(3);
    assert!(!person.seen.contains("[y/N]") && person.seen.contains("refused by the contract"), "{}", person.seen);
}

#[test]
fn a_new_password_is_asked_twice() {
    let home = Home::new();
    let create = ["wallet", "create", "typed", "--scrypt-n", "1024"];
    let mut person = Person::runs(&home, &create);
    person.answers("New password (not shown): ", PASSWORD).answers("The same again: ", "another").ends_with(7);
    assert!(!home.wallets().exists());
    let mut person = Person::runs(&home, &create);
    person.answers("New password (not shown): ", PASSWORD).answers("The same again: ", PASSWORD).ends_with(0);
    assert!(home.wallets().join("typed.json").is_file());
}

#[test]
fn a_person_sees_how_far_the_encryption_of_a_file_is_and_a_script_does_not() {
    let home = Home::new();
    home.write("table.csv", &"x".repeat(3 << 20));
    let mut person = Person::runs(&home, &["dataset", "encrypt", "table.csv"]);
    person.ends_with(0);
    assert!(person.seen.contains("Encrypting: ") && person.seen.contains(" of 3.00 MiB ("), "{:?}", person.seen);
    home.write("other.csv", "x");
    assert_eq!(home.run(&["dataset", "encrypt", "other.csv"]).ends_with(0).stderr, "");
}
