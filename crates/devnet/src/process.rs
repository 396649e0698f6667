//! Child processes that live no longer than their owner: killed when dropped, and also when the owner itself is
//! killed. What they print is kept for error messages and for tests.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// How many lines of output are kept; older ones are forgotten.
const LINES_KEPT: usize = 4096;

/// Pause between two looks whether a process has ended.
const END_PAUSE: Duration = Duration::from_millis(5);

/// Why a process could not be started, waited for or ended.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The system refused to start it.
    #[error("could not start {name}; check that the program is installed and may be executed")]
    Start {
        /// What the process is called in messages.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It ended before it printed what was waited for.
    #[error("{name} ended too early; it printed:\n{output}")]
    Ended {
        /// What the process is called in messages.
        name: String,
        /// Its last lines.
        output: String,
    },
    /// It did not end in good order.
    #[error("{name} was asked to end and did not do so in good order")]
    End {
        /// What the process is called in messages.
        name: String,
        /// How it ended, or what the system said.
        #[source]
        source: io::Error,
    },
    /// It runs but did not print what was waited for.
    #[error("{name} was not ready after {} s; it printed:\n{output}", patience.as_secs())]
    NotReady {
        /// What the process is called in messages.
        name: String,
        /// How long it was waited for.
        patience: Duration,
        /// Its last lines.
        output: String,
    },
}

/// A child process owned by this value. Dropping it kills the process and waits for its end.
///
/// A second, tiny process (the leash) reads from a pipe that only we hold open, and kills the child when that pipe
/// closes: so the child also ends when its owner is killed and no destructor runs.
#[derive(Debug)]
pub struct OwnedProcess {
    name: String,
    child: Child,
    leash: Option<Child>,
    output: Arc<Output>,
}

#[derive(Debug, Default)]
struct Output {
    state: Mutex<Printed>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Printed {
    lines: VecDeque<String>,
    streams_closed: u8,
}

impl OwnedProcess {
    /// Starts `command` with no standard input and both output streams captured. It gets a process group of its own, so that
    /// Ctrl-C in a terminal reaches only the owner, who decides in which order things stop.
    pub fn start(name: &str, mut command: Command) -> Result<Self, ProcessError> {
        let failed = |source| ProcessError::Start { name: name.to_owned(), source };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        let output = Arc::new(Output::default());
        capture(child.stdout.take(), &output);
        capture(child.stderr.take(), &output);
        let mut process = Self { name: name.to_owned(), child, leash: None, output };
        process.leash = Some(leash(process.child.id()).map_err(failed)?);
        Ok(process)
    }

    /// Waits until the process has printed a line for which `found` returns something, and gives that. Lines printed
    /// before the call count too. Blocks the thread.
    pub fn wait_for_line<T>(
        &self,
        patience: Duration,
        mut found: impl FnMut(&str) -> Option<T>,
    ) -> Result<T, ProcessError> {
        let deadline = Instant::now() + patience;
        let mut printed = self.output.lock();
        loop {
            if let Some(value) = printed.lines.iter().find_map(|line| found(line)) {
                return Ok(value);
            }
            if printed.streams_closed == 2 {
                let output = printed.text();
                return Err(ProcessError::Ended { name: self.name.clone(), output });
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let output = printed.text();
                return Err(ProcessError::NotReady { name: self.name.clone(), patience, output });
            }
            printed = self.output.changed.wait_timeout(printed, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What the process has printed so far on both streams, oldest line first; at most the last 4096 lines.
    pub fn output(&self) -> String {
        self.output.lock().text()
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, or `None` while it runs.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.ended(), Ok(None))
    }

    /// Stops the process where it is (SIGSTOP), as a machine that hangs: who asks it something gets no answer.
    pub fn freeze(&mut self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen process go on.
    pub fn thaw(&mut self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&mut self, signal: Signal) -> io::Result<()> {
        // While it runs its number belongs to nobody else.
        let running = self.child.try_wait()?.is_none().then_some(&self.child).map(Pid::from_child);
        let gone = || io::Error::new(io::ErrorKind::NotFound, "the process has ended");
        Ok(rustix::process::kill_process(running.ok_or_else(gone)?, signal)?)
    }

    /// Asks the process to end (SIGTERM) and waits until it has, with success. Blocks the thread.
    pub fn end(&mut self, patience: Duration) -> Result<(), ProcessError> {
        let failed = |name: &str, source| ProcessError::End { name: name.to_owned(), source };
        self.signal(Signal::TERM).map_err(|source| failed(&self.name, source))?;
        let deadline = Instant::now() + patience;
        let status = loop {
            match self.child.try_wait().map_err(|source| failed(&self.name, source))? {
                Some(status) => break status,
                None if Instant::now() > deadline => {
                    return Err(failed(&self.name, io::Error::from(io::ErrorKind::TimedOut)));
                }
                None => thread::sleep(END_PAUSE),
            }
        };
        // The leash must not outlive it: its number may soon belong to somebody else.
        self.kill();
        if status.success() { Ok(()) } else { Err(failed(&self.name, io::Error::other(status.to_string()))) }
    }

    /// Kills the process (SIGKILL) and waits for its end; it stays dead.
    pub fn kill(&mut self) {
        // The leash goes first: once the child is reaped, its number may belong to somebody else.
        if let Some(mut leash) = self.leash.take() {
            let _ = leash.kill();
            let _ = leash.wait();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for OwnedProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Output {
    fn lock(&self) -> std::sync::MutexGuard<'_, Printed> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Printed {
    fn text(&self) -> String {
        self.lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

fn capture(stream: Option<impl Read + Send + 'static>, output: &Arc<Output>) {
    let output = Arc::clone(output);
    thread::spawn(move || {
        let mut lines = stream.map(|stream| BufReader::new(stream).split(b'\n'));
        while let Some(Ok(line)) = lines.as_mut().and_then(Iterator::next) {
            let mut printed = output.lock();
            if printed.lines.len() == LINES_KEPT {
                printed.lines.pop_front();
            }
            printed.lines.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
            output.changed.notify_all();
        }
        output.lock().streams_closed += 1;
        output.changed.notify_all();
    });
}

fn leash(id: u32) -> io::Result<Child> {
    Command::new("sh")
        .args(["-c", r#"read -r _; kill -9 "$1" 2>/dev/null"#, "leash", &id.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_line_that_is_waited_for_is_found_on_either_stream() {
        let process = OwnedProcess::start("talker", shell("echo one; echo port 42 >&2; sleep 60")).unwrap();
        let port =
            process.wait_for_line(Duration::from_secs(10), |line| line.strip_prefix("port ")?.parse::<u16>().ok());
        assert_eq!(port.unwrap(), 42);
    }

    #[test]
    fn a_process_that_ends_too_early_is_reported_with_what_it_said() {
        let process = OwnedProcess::start("talker", shell("echo address in use >&2; exit 1")).unwrap();
        let error = process.wait_for_line(Duration::from_secs(10), |_| None::<()>).unwrap_err();
        assert!(matches!(error, ProcessError::Ended { ref output, .. } if output == "address in use"), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = OwnedProcess::start("ghost", Command::new("/nonexistent/ghost")).unwrap_err();
        assert!(error.to_string().starts_with("could not start ghost"));
    }

    #[test]
    fn a_process_that_is_asked_to_end_may_tidy_up_and_one_that_fails_in_that_is_reported() {
        let patience = Duration::from_secs(10);
        for (code, ends_well) in [(0, true), (3, false)] {
            let script = format!("trap 'echo tidied up; exit {code}' TERM; echo ready; while :; do sleep 0.01; done");
            let mut process = OwnedProcess::start("tidy", shell(&script)).unwrap();
            process.wait_for_line(patience, |line| (line == "ready").then_some(())).unwrap();
            assert_eq!(process.end(patience).is_ok(), ends_well);
            process.wait_for_line(patience, |line| (line == "tidied up").then_some(())).unwrap();
            assert!(process.end(patience).is_err(), "it has ended");
        }
    }

    #[test]
    fn a_process_ends_when_it_is_dropped_and_when_its_owner_only_lets_go_of_the_pipe() {
        let process = OwnedProcess::start("sleeper", shell("echo ready; exec sleep 60")).unwrap();
        process.wait_for_line(Duration::from_secs(10), |line| (line == "ready").then_some(())).unwrap();
        let id = process.id();
        drop(process);
        assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());

        let mut process = OwnedProcess::start("sleeper", shell("exec sleep 60")).unwrap();
        // What happens to the pipe when the owner is killed:
        drop(process.leash.as_mut().unwrap().stdin.take());
        assert!(!process.child.wait().unwrap().success());
    }
}
