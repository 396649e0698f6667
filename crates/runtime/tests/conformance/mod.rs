//! One suite for every back end that this machine has: whatever runs a launch must honour all of it.

#![allow(dead_code, clippy::unwrap_used, reason = "test support; each back end has its part")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use crate::support::{bind, launch, shell};
use strongroom_runtime::{Launch, Reason, Runtime};

async fn exit_codes_and_output_are_reported(runtime: &Runtime) {
    for code in [0, 3, 78] {
        let exit = runtime.run(&shell(&format!("echo out; echo err >&2; exit {code}"))).await;
        assert_eq!(exit.reason, Reason::Exited(code), "{exit:?}");
        assert_eq!((&*exit.stdout.first, &*exit.stderr.first), (&b"out\n"[..], &b"err\n"[..]));
        assert_eq!((exit.stdout.total_bytes, exit.stderr.total_bytes), (4, 4));
    }
}

async fn arguments_arrive_as_they_are(runtime: &Runtime) {
    let exit = runtime.run(&launch(["/bin/printf", "%s|", "a b", "", "$HOME", "'\"\\", "é\n"])).await;
    assert_eq!(exit.stdout.escaped(), "a b||$HOME|'\"\\|é\n|", "{exit:?}");
}

async fn the_environment_arrives_as_it_is(runtime: &Runtime) {
    let mut launch = shell("echo \"$TWO\"; echo \"${CARGO_MANIFEST_DIR-unset}\"");
    launch.environment.push(("TWO".to_owned(), "a=b\n c".to_owned()));
    let exit = runtime.run(&launch).await;
    assert_eq!(exit.stdout.escaped(), "a=b\n c\nunset\n", "{exit:?}");
}

async fn files_are_handed_in_and_cannot_be_changed(runtime: &Runtime) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input");
    fs::write(&file, "from the host\n").unwrap();
    for path in [folder.path(), &file] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let mut launch =
        shell("cat /.strongroom/a/file /.strongroom/folder/input; echo x 2>/dev/null > /.strongroom/a/file || echo no");
    launch.binds = vec![bind(&file, "/.strongroom/a/file"), bind(folder.path(), "/.strongroom/folder")];
    // A shell ends at a redirection that fails unless it is in a shell of its own.
    launch.argv[2] = launch.argv[2]
        .replace("echo x 2>/dev/null > /.strongroom/a/file", "(echo x > /.strongroom/a/file) 2>/dev/null");
    let exit = runtime.run(&launch).await;
    assert_eq!(exit.stdout.escaped(), "from the host\nfrom the host\nno\n", "{exit:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "from the host\n");
}

async fn scratch_can_be_written_and_the_root_cannot(runtime: &Runtime) {
    let exit = runtime
        .run(&shell("echo kept > /iexec_out/a && cat /iexec_out/a; (echo x > /x) 2>/dev/null || echo read-only"))
        .await;
    assert_eq!(exit.stdout.escaped(), "kept\nread-only\n", "{exit:?}");
    let again = runtime.run(&shell("ls /iexec_out | wc -l")).await;
    assert_eq!(again.stdout.escaped().trim(), "0", "nothing is kept between runs");
}

async fn the_deadline_is_kept(runtime: &Runtime) {
    let mut launch = shell("echo started; while :; do :; done");
    launch.limits.deadline = Duration::from_secs(3);
    let exit = runtime.run(&launch).await;
    assert_eq!(exit.reason, Reason::Deadline);
    assert_eq!(exit.stdout.escaped(), "started\n");
}

pub(crate) async fn the_memory_limit_is_kept(runtime: &Runtime) {
    assert_eq!(runtime.run(&allocates_too_much()).await.reason, Reason::OutOfMemory);
}

pub(crate) fn allocates_too_much() -> Launch {
    let mut launch = launch(["/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=400M", "count=1"]);
    launch.limits.memory_bytes = 64 << 20;
    launch
}

async fn logs_are_cut(runtime: &Runtime) {
    let mut launch = shell("yes | head -c 3000000");
    launch.limits.log_bytes = 100;
    let exit = runtime.run(&launch).await;
    assert_eq!((exit.stdout.first.len(), exit.stdout.total_bytes), (100, 3_000_000), "{:?}", exit.reason);
}

async fn there_is_no_network(runtime: &Runtime) {
    let exit = runtime.run(&shell("tail -n +3 /proc/net/dev | grep -vc ' *lo:'; exit 0")).await;
    assert_eq!(exit.stdout.escaped().trim(), "0", "{exit:?}");
}

async fn what_cannot_be_started_is_refused_with_the_cause(runtime: &Runtime) {
    for program in ["/bin/not-there", "/etc/passwd"] {
        let Reason::Refused(refusal) = runtime.run(&launch([program])).await.reason else {
            panic!("{program} cannot be started")
        };
        assert!(refusal.to_string().contains(program), "{refusal}");
    }
    let mut without_source = shell("true");
    without_source.binds = vec![bind("/not/there", "/.strongroom/x")];
    assert!(matches!(runtime.run(&without_source).await.reason, Reason::Refused(_)));
    for broken in [launch(["relative"]), launch(Vec::<String>::new())] {
        assert!(matches!(runtime.run(&broken).await.reason, Reason::Refused(_)));
    }
    let mut bad_name = shell("true");
    bad_name.name.insert_str(0, "../");
    assert!(matches!(runtime.run(&bad_name).await.reason, Reason::Refused(_)));
}

pub(crate) async fn all(runtime: &Runtime) {
    exit_codes_and_output_are_reported(runtime).await;
    arguments_arrive_as_they_are(runtime).await;
    the_environment_arrives_as_it_is(runtime).await;
    files_are_handed_in_and_cannot_be_changed(runtime).await;
    scratch_can_be_written_and_the_root_cannot(runtime).await;
    the_deadline_is_kept(runtime).await;
    logs_are_cut(runtime).await;
    there_is_no_network(runtime).await;
    what_cannot_be_started_is_refused_with_the_cause(runtime).await;
}
