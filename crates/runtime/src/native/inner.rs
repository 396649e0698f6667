//! The inner helper: the first process of the sandbox, until it becomes the guest. The order of its steps matters.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use rustix::process::{Gid, Signal, Uid, set_parent_process_death_signal};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::wire::{Control, GO, Spec, Word};
use super::{confine, mounts, step};
use crate::Refusal;

pub(super) fn run() -> ExitCode {
    let Ok(control) = Control::from_stdin() else { return ExitCode::FAILURE };
    let refusal = become_guest(&control);
    // When nobody listens any more there is nobody to tell.
    let _ = control.say(&Word::Failed(refusal));
    ExitCode::FAILURE
}

/// Returns only when something failed.
fn become_guest(control: &Control) -> Refusal {
    match prepare(control) {
        Ok(mut guest) => {
            let error = guest.exec();
            let program = guest.get_program().to_string_lossy();
            let cause = format!(
                "`{program}` cannot be executed ({error}); it must exist inside the image or be bound into it, be executable for \
                 all users, and find its interpreter and libraries in the image"
            );
            Refusal { step: "exec".to_owned(), cause }
        }
        Err(refusal) => refusal,
    }
}

fn prepare(control: &Control) -> Result<Command, Refusal> {
    let spec = step("supervisor", control.spec())?;
    let made = mounts::make(&spec)?;
    step("user", become_root_of_the_sandbox(spec.single_id))?;
    step("host name", rustix::system::sethostname(spec.name.as_bytes()))?;
    mounts::attach(&made, &spec)?;
    mounts::enter()?;
    let null = step("standard input", File::open("/dev/null"))?;
    step("standard input", rustix::stdio::dup2_stdin(&null))?;

    step("limits", confine::limit(&spec.limits))?;
    close_fds::set_fds_cloexec(3, &[]);
    step("capabilities", confine::drop_capabilities())?;
    // Changing credentials cleared it, and only from here on they stay as they are.
    step("death signal", set_parent_process_death_signal(Some(Signal::KILL)))?;
    // Had our parent died before that, the supervisor would know and not answer.
    step("supervisor", control.say(&Word::Ready))?;
    step("supervisor", control.expect(GO))?;

    confine::restrict_files(&spec)?;
    confine::restrict_syscalls()?;
    Ok(guest(&spec))
}

fn become_root_of_the_sandbox(single_id: bool) -> rustix::io::Result<()> {
    if !single_id {
        set_thread_groups(&[])?;
    }
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)
}

fn guest(spec: &Spec) -> Command {
    let (program, arguments) = spec.argv.split_first().expect("the supervisor checked that there is a program");
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(spec.environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/");
    command
}
