//! The network on this machine, with a program that stands in for it.

use crate::home::Home;

#[test]
fn without_its_program_the_network_does_not_start_and_says_where_it_was_looked_for() {
    let home = Home::new();
    let error = home.run(&["devnet", "up", "--program", "nothing", "--json"]).ends_with(4).error();
    assert!(error["remedy"].as_str().unwrap().contains("strongroom-devnet"), "{error}");
    home.run(&["devnet", "down", "--json"]).ends_with(4).error();
    home.run(&["devnet", "logs", "--json"]).ends_with(4).error();
    assert_eq!(home.run(&["devnet", "status", "--json"]).ends_with(4).json()["up"], false);
}

#[cfg(unix)]
#[test]
fn the_last_words_of_a_network_that_does_not_come_up_are_told() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let program = home.write("program", "#!/bin/sh\necho \"$1 $2\"\necho no room >&2\nexit 1\n");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = home.run(&["devnet", "up", "--program", &program, "--json"]).ends_with(1).error();
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("up --data") && message.contains("no room"), "{error}");
    let logs = home.run(&["devnet", "logs", "-n", "1", "--json"]).ends_with(0).json();
    assert_eq!(logs["lines"], serde_json::json!(["no room"]));
    assert!(!home.path("config").exists(), "it is not used");
}

#[cfg(unix)]
#[test]
fn the_network_that_came_up_is_the_one_in_use() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    // Ends by itself: it is no strongroom-devnet, so that `down` leaves it alone.
    let program = home.write(
        "program",
        "#!/bin/sh\ncat > \"$3/new\" <<E\n{ \"pid\": $$, \"chain_id\": 7, \"hub\": \"0x5fc8d32690cc91d4c39d9d3abcbd16989f875707\",\n\"rpc\": \"http://127.0.0.1:1\", \"sms\": \"http://127.0.0.1:2\", \"market\": \"http://127.0.0.1:3\" }\nE\nmv \"$3/new\" \"$3/network.json\"\nsleep 2\n",
    );
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let answer = home.run(&["devnet", "up", "--program", &program, "--json"]).ends_with(0).json();
    assert_eq!((&answer["up"], &answer["chain_id"]), (&true.into(), &7.into()));
    let chain = home.run(&["chain", "show", "--json"]).ends_with(0).json();
    assert_eq!((&chain["chain"]["name"], &chain["chain"]["market"]), (&"devnet".into(), &"http://127.0.0.1:3/".into()));
    let error = home.run(&["devnet", "down", "--json"]);
    assert!([3, 4].contains(&error.code), "{error:?}");
}
