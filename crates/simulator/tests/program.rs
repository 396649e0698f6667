//! The program as a pool starts it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

#[test]
fn a_simulator_ends_with_its_input_when_it_was_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    let mut program = Command::new(env!("CARGO_BIN_EXE_strongroom-simulator"));
    program.args(["serve", "--until-input-ends", "--socket"]).arg(&socket);
    let mut simulator = program.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    while UnixStream::connect(&socket).is_err() {
        assert!(simulator.try_wait().unwrap().is_none(), "it ended at once");
        std::thread::yield_now();
    }
    // What happens to the pipe when its owner is killed.
    drop(simulator.stdin.take());
    assert!(simulator.wait().unwrap().success());
    assert!(!socket.exists());
}
