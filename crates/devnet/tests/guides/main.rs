//! The guides, done word by word: every block of commands in them runs, in order, as its reader would type it, and says what the
//! guide says.

#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "../support/mod.rs"]
mod support;

mod page;
mod scene;

use scene::{Network, Person, free_port};

/// Where the guide of operators puts the pool's API.
const POOL_PORT: &str = "13001";
/// Where the guide of operators puts their service.
const SMS_PORT: &str = "13301";

#[test]
fn developer_owner_and_requester_get_from_nothing_to_a_paid_task_by_their_guides_and_audit_it() {
    let network = Network::start();
    let developer = Person::follows("app-developer", &network, &[], &[]);
    let app = developer.variable("APP");
    let owner = Person::follows("data-owner", &network, &[("APP", &app)], &[]);
    let dataset = owner.variable("DATASET");
    let requester = Person::follows("requester", &network, &[("APP", &app), ("DATASET", &dataset)], &[]);
    assert!(requester.file("result/result.txt").contains("dataset: 25 bytes"));
    // Who has a part in a task can check what was released for it.
    requester.reads("auditor", &network, &[("TASK", &requester.variable("TASK"))], &[]);
    // The owner's key opened the file inside, and nobody else has it.
    assert!(!requester.has_file_with("anna,7"));
    for (person, secret) in [(&developer, "the key of an API"), (&requester, "my token")] {
        assert!(!person.has_file_with(secret), "{secret} was removed, and is in no file of the programs");
    }
}

#[test]
fn an_operator_gets_from_nothing_to_a_pool_that_is_paid_by_the_guide() {
    let network = Network::start();
    let port = free_port();
    let operator = Person::follows("pool-operator", &network, &[], &[(POOL_PORT, &port)]);
    assert!(operator.file("result/result.txt").contains("Hello, operator!"));
}

#[test]
fn an_operator_of_a_service_practises_backup_and_restore_by_the_guide() {
    let network = Network::start();
    let port = free_port();
    let operator = Person::follows("sms-operator", &network, &[], &[(SMS_PORT, &port)]);
    for secret in ["before the backup", "after the backup"] {
        // The shell keeps no history, so nothing but the service has seen them.
        assert!(!operator.has_file_with(secret), "{secret} is in a file");
    }
}
