//! The supervisor's side of one run: groups, helper, id maps, time, output, end.

use std::io::{self, BufRead as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::cgroup::{Controller, Group};
use super::ids::Mapping;
use super::wire::{ENTERED, GO, MAPPED, ProcessLimits, Spec, Word, encode};
use super::{Native, OUTER, step};
use crate::output::Drain;
use crate::{Exit, Launch, Output, Reason, Refusal};

/// What is left in the pipes when everything inside is dead is read in a moment; longer, and somebody else holds them.
const REST_OF_OUTPUT: Duration = Duration::from_secs(10);

/// Runs one task. When the future is dropped, everything inside is killed and cleared away in the background.
pub(crate) async fn run(native: &Native, launch: &Launch) -> Exit {
    let (alive, cancelled) = oneshot::channel::<()>();
    let supervised = tokio::spawn(supervise(native.clone(), launch.clone(), cancelled));
    let exit = supervised.await;
    drop(alive);
    exit.unwrap_or_else(|error| Exit::refused("supervisor", error))
}

async fn supervise(native: Native, launch: Launch, cancelled: oneshot::Receiver<()>) -> Exit {
    let Some(mapping) = native.mapping() else {
        return Exit::refused(
            "user",
            "no user ids are left for another sandbox; run fewer at a time or lower `first_id`",
        );
    };
    let group = match native.hierarchy.group_in_turn(&launch.name, &launch.limits).await {
        Ok(group) => group,
        Err(error) => return Exit::refused("control groups", error),
    };
    let exit = match Sandbox::spawn(&native, &launch, &group) {
        Ok(sandbox) => sandbox.run(&native, &launch, &mapping, &group, cancelled).await,
        Err(refusal) => Exit::refused(&refusal.step, refusal.cause),
    };
    group.remove().await;
    exit
}

/// A started outer helper.
struct Sandbox {
    helper: Child,
    pid: u32,
    words: Lines<BufReader<OwnedReadHalf>>,
    orders: OwnedWriteHalf,
}

/// What ended the run, before the accounts are read.
enum End {
    Helper(Word),
    Deadline,
    Cancelled,
    /// The helper died without a word.
    Lost,
}

impl Sandbox {
    fn spawn(native: &Native, launch: &Launch, group: &Group) -> Result<Self, Refusal> {
        let (ours, theirs) = step("supervisor", StdUnixStream::pair())?;
        let helper = Command::new(&native.helper)
            .arg(OUTER)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let helper = step("supervisor", helper)?;
        let pid = step("supervisor", helper.id().ok_or("the helper of the sandbox ended at once"))?;
        tracing::debug!(run = launch.name, pid, "the helper of a sandbox started");
        step("control groups", group.enter(pid))?;
        step("supervisor", ours.set_nonblocking(true))?;
        let (words, orders) = step("supervisor", UnixStream::from_std(ours))?.into_split();
        Ok(Self { helper, pid, words: BufReader::new(words).lines(), orders })
    }

    async fn run(
        mut self,
        native: &Native,
        launch: &Launch,
        mapping: &Mapping,
        group: &Group,
        cancelled: oneshot::Receiver<()>,
    ) -> Exit {
        let keep = launch.limits.log_bytes;
        let stdout = self.helper.stdout.take().map(|stream| Drain::start(stream, keep));
        let stderr = self.helper.stderr.take().map(|stream| Drain::start(stream, keep));
        let spec = spec_of(native, launch, mapping);
        let end = tokio::select! {
            ended = timeout(launch.limits.deadline, self.converse(&spec, mapping)) => match ended {
                Ok(end) => end,
                Err(_) => End::Deadline,
            },
            _ = cancelled => End::Cancelled,
        };
        self.stop(group).await;
        let cpu_of_helper = match &end {
            End::Helper(Word::Ended { cpu_milliseconds, .. }) => Some(Duration::from_millis(*cpu_milliseconds)),
            _ => None,
        };
        Exit {
            reason: reason(end, group),
            stdout: collected(stdout).await,
            stderr: collected(stderr).await,
            peak_memory_bytes: group.peak_memory_bytes(),
            cpu_time: group.cpu_time().or(cpu_of_helper),
        }
    }

    /// Leads the helpers through the start and waits for the end.
    async fn converse(&mut self, spec: &Spec, mapping: &Mapping) -> End {
        match self.lead(spec, mapping).await {
            Ok(word) => End::Helper(word),
            Err(LeadError::Lost) => End::Lost,
            Err(LeadError::Refused(refusal)) => End::Helper(Word::Failed(refusal)),
        }
    }

    async fn lead(&mut self, spec: &Spec, mapping: &Mapping) -> Result<Word, LeadError> {
        self.orders.write_all(&[ENTERED]).await?;
        match self.word().await? {
            Word::Unshared => {}
            Word::Failed(refusal) => return Err(LeadError::Refused(about_namespaces(refusal))),
            other => return Ok(other),
        }
        mapping.write(self.pid).map_err(|error| LeadError::Refused(about_maps(&error)))?;
        self.orders.write_all(&[MAPPED]).await?;
        self.orders.write_all(&encode(spec)?).await?;
        let Word::Ready = self.expect_ready().await? else { unreachable!("only `Ready` is let through") };
        self.orders.write_all(&[GO]).await?;
        self.word().await
    }

    async fn expect_ready(&mut self) -> Result<Word, LeadError> {
        match self.word().await? {
            Word::Ready => Ok(Word::Ready),
            Word::Failed(refusal) => Err(LeadError::Refused(refusal)),
            Word::Ended { .. } | Word::Unshared => Err(LeadError::Lost),
        }
    }

    async fn word(&mut self) -> Result<Word, LeadError> {
        let line = self.words.next_line().await?.ok_or(LeadError::Lost)?;
        serde_json::from_str(&line).map_err(|_| LeadError::Lost)
    }

    /// Kills whatever still runs inside and waits for the helper.
    async fn stop(self, group: &Group) {
        // The helper kills the first process when its socket closes.
        drop((self.words, self.orders));
        group.kill();
        let mut helper = self.helper;
        if let Err(error) = helper.wait().await {
            tracing::error!(%error, "the end of a sandbox's helper could not be awaited");
        }
    }
}

/// Why the start did not get to its end.
enum LeadError {
    Lost,
    Refused(Refusal),
}

impl From<io::Error> for LeadError {
    fn from(_: io::Error) -> Self {
        Self::Lost
    }
}

/// Starts an outer helper, lets it unshare, and lets it go again.
pub(super) fn try_namespaces(helper: &Path) -> Result<(), Refusal> {
    let (mut ours, theirs) = step("supervisor", StdUnixStream::pair())?;
    let helper = std::process::Command::new(helper)
        .arg(OUTER)
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut helper = step("supervisor", helper)?;
    let asked = ours.write_all(&[ENTERED]);
    let mut line = String::new();
    let heard = asked.and_then(|()| io::BufReader::new(&ours).read_line(&mut line));
    drop(ours);
    step("supervisor", helper.wait())?;
    step("supervisor", heard)?;
    match serde_json::from_str(&line) {
        Ok(Word::Unshared) => Ok(()),
        Ok(Word::Failed(refusal)) => Err(refusal),
        _ => Err(Refusal {
            step: "supervisor".to_owned(),
            cause: "the program does not start the helper first".to_owned(),
        }),
    }
}

async fn collected(stream: Option<Drain>) -> Output {
    match stream {
        Some(drain) => drain.finish(REST_OF_OUTPUT).await,
        None => Output::default(),
    }
}

fn reason(end: End, group: &Group) -> Reason {
    match end {
        End::Deadline => Reason::Deadline,
        End::Helper(Word::Failed(refusal)) => Reason::Refused(refusal),
        End::Helper(Word::Ended { code: Some(0), .. }) => Reason::Exited(0),
        _ if group.ran_out_of_memory() => Reason::OutOfMemory,
        End::Helper(Word::Ended { code: Some(code), .. }) => Reason::Exited(code),
        End::Helper(Word::Ended { signal: Some(signal), .. }) => Reason::Signalled(signal),
        // Nobody waits for the answer after a cancellation.
        End::Cancelled | End::Lost | End::Helper(_) => Reason::Signalled(libc::SIGKILL),
    }
}

fn spec_of(native: &Native, launch: &Launch, mapping: &Mapping) -> Spec {
    let limits = &launch.limits;
    let without = |controller| !native.hierarchy.limits(controller);
    let cpu_seconds =
        limits.deadline.as_secs().saturating_mul(u64::from(limits.cpu_milli.div_ceil(1000))).saturating_add(1);
    Spec {
        name: launch.name.clone(),
        root: launch.image.root.clone(),
        argv: launch.argv.clone(),
        environment: launch.environment.clone(),
        binds: launch.binds.clone(),
        scratch: launch.scratch.clone(),
        limits: ProcessLimits {
            open_files: limits.open_files.into(),
            file_bytes: limits.file_bytes,
            processes: limits.processes.into(),
            address_space_bytes: without(Controller::Memory).then_some(limits.memory_bytes),
            cpu_seconds: without(Controller::Cpu).then_some(cpu_seconds),
        },
        single_id: mapping.is_single(),
    }
}

fn about_namespaces(refusal: Refusal) -> Refusal {
    let cause = format!(
        "{}; allow user namespaces: `sysctl -w user.max_user_namespaces=16384`, and on Ubuntu \
         `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`",
        refusal.cause
    );
    Refusal { cause, ..refusal }
}

fn about_maps(error: &io::Error) -> Refusal {
    let cause = format!(
        "the ids of the sandbox cannot be mapped ({error}); as root, `first_id` must lie within the ids that \
         /proc/self/uid_map gives this process"
    );
    Refusal { step: "user".to_owned(), cause }
}
