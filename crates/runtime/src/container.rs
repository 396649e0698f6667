//! Containers through the API of Docker or Podman: for SGX hosts, whose devices are handed in, and for machines without
//! namespaces of their own for us. The engine is as trusted as the pool itself; what runs is proven by evidence all the same.
//!
//! The image is imported once from its verified and unpacked root, never pulled by the engine. Files there belong to root, and
//! what the image says about running it is taken from the launch.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models::{
    ContainerCreateBody, ContainerState, DeviceMapping, HostConfig, HostConfigLogConfig, Mount, MountType,
    ResourcesUlimits,
};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, CreateImageOptionsBuilder,
    RemoveContainerOptionsBuilder, TagImageOptionsBuilder, WaitContainerOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker, body_stream};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::{Exit, Launch, Output, Reason, Refusal};

/// Seconds that the engine may take for one answer.
const ANSWER_SECONDS: u64 = 120;
/// Pause after the engine stopped answering about a container that still runs.
const WAIT_AGAIN: Duration = Duration::from_millis(200);
/// Only the first process may look in there, as in the native sandbox: by its privilege, not by its user.
const OWN: &str = "/.strongroom";
/// Of imported images. Another one when they are packed in another way: engines keep them.
const TAG: &str = "root-2";
/// What the guest needs to start the app under another user.
const KEPT: [&str; 5] = ["CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETUID"];

/// Settings of the container back end.
#[derive(Clone, Debug)]
pub struct ContainerSettings {
    /// Unix socket of the engine.
    pub socket: PathBuf,
    /// Devices handed to every container: `/dev/sgx_enclave` and `/dev/sgx_provision` on SGX hosts.
    pub devices: Vec<PathBuf>,
    /// The engine's runtime, where it is not the default one.
    pub runtime: Option<String>,
}

impl Default for ContainerSettings {
    fn default() -> Self {
        Self { socket: "/var/run/docker.sock".into(), devices: Vec::new(), runtime: None }
    }
}

/// The back end of containers.
#[derive(Clone, Debug)]
pub struct Container {
    docker: Docker,
    settings: ContainerSettings,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
#[error("the container engine at `{}` does not answer; start it: `systemctl enable --now podman.socket`, or docker", socket.display())]
pub struct NoEngine {
    /// Where it should be.
    pub socket: PathBuf,
    /// Why.
    #[source]
    pub source: Box<bollard::errors::Error>,
}

impl Container {
    /// Connects to the engine and agrees on a version of its API.
    pub async fn connect(settings: ContainerSettings) -> Result<Self, NoEngine> {
        let failed = |source| NoEngine { socket: settings.socket.clone(), source: Box::new(source) };
        let path = settings.socket.to_string_lossy();
        let docker = Docker::connect_with_unix(&path, ANSWER_SECONDS, API_DEFAULT_VERSION).map_err(failed)?;
        let docker = docker.negotiate_version().await.map_err(failed)?;
        Ok(Self { docker, settings })
    }

    /// Runs one task. When the future is dropped, the container is killed and removed in the background.
    pub(crate) async fn run(&self, launch: &Launch) -> Exit {
        let (alive, cancelled) = oneshot::channel::<()>();
        let (own, launch) = (self.clone(), launch.clone());
        let supervised = tokio::spawn(async move { own.supervise(&launch, cancelled).await });
        let exit = supervised.await;
        drop(alive);
        exit.unwrap_or_else(|error| Exit::refused("supervisor", error))
    }

    async fn supervise(&self, launch: &Launch, cancelled: oneshot::Receiver<()>) -> Exit {
        let name = format!("strongroom-{}", launch.name);
        // One that a killed pool left: the name is the task's.
        self.remove(&name).await;
        let exit = match self.create(launch, &name).await {
            Ok(()) => self.watch(launch, &name, cancelled).await.unwrap_or_else(|refusal| refused(&refusal)),
            Err(refusal) => refused(&refusal),
        };
        self.remove(&name).await;
        exit
    }

    /// Ends and removes a container, if there is one.
    async fn remove(&self, name: &str) {
        let remove = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match self.docker.remove_container(name, Some(remove)).await {
            Ok(()) | Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {}
            Err(error) => tracing::warn!(name, %error, "a container could not be removed; remove it by hand"),
        }
    }

    async fn create(&self, launch: &Launch, name: &str) -> Result<(), Refusal> {
        // An engine would make a missing one, as an empty folder on the host.
        if let Some(bind) = launch.binds.iter().find(|bind| !bind.source.exists()) {
            return Err(refusal("mounts", format!("`{}` does not exist", bind.source.display())));
        }
        let image = self.image(launch).await?;
        let (program, arguments) = launch.argv.split_first().ok_or_else(|| refusal("launch", "there is no program"))?;
        let body = ContainerCreateBody {
            image: Some(image),
            entrypoint: Some(vec![program.clone()]),
            cmd: Some(arguments.to_vec()),
            env: Some(launch.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            user: Some("0:0".to_owned()),
            working_dir: Some("/".to_owned()),
            hostname: Some(launch.name.clone()),
            network_disabled: Some(true),
            host_config: Some(self.host_config(launch)),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        self.docker.create_container(Some(options), body).await.map_err(|error| refusal("create", error))?;
        Ok(())
    }

    fn host_config(&self, launch: &Launch) -> HostConfig {
        let limits = &launch.limits;
        let memory = i64::try_from(limits.memory_bytes).unwrap_or(i64::MAX);
        // Without these an engine tries to raise its own limits, which fails inside a container.
        let ulimit = |name: &str, value: u64| {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            ResourcesUlimits { name: Some(name.to_owned()), soft: Some(value), hard: Some(value) }
        };
        let bind = |bind: &crate::Bind| Mount {
            typ: Some(MountType::BIND),
            source: Some(bind.source.to_string_lossy().into_owned()),
            target: Some(bind.target.to_string_lossy().into_owned()),
            read_only: Some(true),
            ..Mount::default()
        };
        let device = |path: &PathBuf| {
            let path = Some(path.to_string_lossy().into_owned());
            DeviceMapping {
                path_on_host: path.clone(),
                path_in_container: path,
                cgroup_permissions: Some("rw".to_owned()),
            }
        };
        let mut scratch: HashMap<String, String> = HashMap::from([
            (OWN.to_owned(), "size=1m,mode=0000,ro".to_owned()),
            ("/tmp".to_owned(), "size=64m,mode=1777".to_owned()),
            ("/run".to_owned(), "size=16m,mode=0755".to_owned()),
        ]);
        scratch.extend(launch.scratch.iter().map(|one| {
            let options = format!("size={},mode={:04o},exec,nosuid,nodev", one.size_bytes, one.mode);
            (one.target.to_string_lossy().into_owned(), options)
        }));
        HostConfig {
            network_mode: Some("none".to_owned()),
            memory: Some(memory),
            memory_swap: Some(memory),
            pids_limit: Some(limits.processes.into()),
            nano_cpus: Some(i64::from(limits.cpu_milli) * 1_000_000),
            readonly_rootfs: Some(true),
            cap_drop: Some(vec!["ALL".to_owned()]),
            cap_add: Some(KEPT.map(str::to_owned).to_vec()),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            ipc_mode: Some("private".to_owned()),
            tmpfs: Some(scratch),
            mounts: Some(launch.binds.iter().map(bind).collect()),
            devices: Some(self.settings.devices.iter().map(device).collect()),
            ulimits: Some(vec![
                ulimit("nofile", limits.open_files.into()),
                ulimit("nproc", limits.processes.into()),
                ulimit("fsize", limits.file_bytes),
                ulimit("core", 0),
            ]),
            // We keep the first bytes ourselves; the engine's log would fill the disk.
            log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
            runtime: self.settings.runtime.clone(),
            ..HostConfig::default()
        }
    }

    /// The id of the image in the engine, imported when it is not there yet.
    async fn image(&self, launch: &Launch) -> Result<String, Refusal> {
        let repository = format!("localhost/strongroom/{}", launch.image.config_digest.hex());
        let name = format!("{repository}:{TAG}");
        if let Ok(found) = self.docker.inspect_image(&name).await
            && let Some(id) = found.id
        {
            return Ok(id);
        }
        let options = CreateImageOptionsBuilder::new().from_src("-").build();
        let (tar, packed) = packed(launch.image.root.clone());
        let mut answers = Box::pin(self.docker.create_image(Some(options), Some(body_stream(tar)), None));
        let mut id = None;
        while let Some(answer) = answers.next().await {
            // The last word is the id: `sha256:…` from Docker, bare digits from Podman.
            id = answer.map_err(|error| refusal("import", error))?.status.or(id);
        }
        packed.await.map_err(|error| refusal("import", error))?.map_err(|error| refusal("import", error))?;
        let id = id.ok_or_else(|| refusal("import", "the engine does not name the image"))?;
        let tag = TagImageOptionsBuilder::new().repo(&repository).tag(TAG).build();
        self.docker.tag_image(&id, Some(tag)).await.map_err(|error| refusal("import", error))?;
        Ok(id)
    }

    async fn watch(&self, launch: &Launch, name: &str, cancelled: oneshot::Receiver<()>) -> Result<Exit, Refusal> {
        let attach = AttachContainerOptionsBuilder::new().stdout(true).stderr(true).stream(true).build();
        let attached =
            self.docker.attach_container(name, Some(attach)).await.map_err(|error| refusal("attach", error))?;
        let keep = launch.limits.log_bytes;
        let logs = tokio::spawn(collect(attached.output, keep));
        self.docker.start_container(name, None).await.map_err(|error| refusal("start", error))?;
        let in_time = tokio::select! {
            ended = timeout(launch.limits.deadline, self.ended(name)) => ended.ok(),
            _ = cancelled => None,
        };
        let reason = if let Some(ended) = in_time {
            reason(&ended?)
        } else {
            // Already ended is as good.
            let _ = self.docker.kill_container(name, None).await;
            if timeout(Duration::from_secs(ANSWER_SECONDS), self.ended(name)).await.is_err() {
                tracing::error!(name, "the engine does not kill a container whose time is over");
            }
            Reason::Deadline
        };
        // The engine ends the stream with the container.
        let logs = timeout(Duration::from_secs(ANSWER_SECONDS), logs).await;
        let (stdout, stderr) = logs.ok().and_then(Result::ok).unwrap_or_default();
        Ok(Exit { reason, stdout, stderr, peak_memory_bytes: None, cpu_time: None })
    }

    /// Waits until the container has ended, and says how. A lost connection is not its end.
    async fn ended(&self, name: &str) -> Result<ContainerState, Refusal> {
        loop {
            let mut waiting = Box::pin(self.docker.wait_container(name, None::<WaitContainerOptions>));
            while waiting.next().await.is_some_and(|answer| answer.is_ok()) {}
            let found = self.docker.inspect_container(name, None).await.map_err(|error| refusal("end", error))?;
            let state = found.state.ok_or_else(|| refusal("end", "the engine does not say how the container ended"))?;
            if state.running != Some(true) {
                return Ok(state);
            }
            tokio::time::sleep(WAIT_AGAIN).await;
        }
    }
}

async fn collect(
    mut output: impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Unpin,
    keep: usize,
) -> (Output, Output) {
    let (mut stdout, mut stderr) = (Output::default(), Output::default());
    while let Some(Ok(piece)) = output.next().await {
        let (to, bytes) = match piece {
            LogOutput::StdErr { message } => (&mut stderr, message),
            LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
                (&mut stdout, message)
            }
        };
        to.add(&bytes, keep);
    }
    (stdout, stderr)
}

fn reason(state: &ContainerState) -> Reason {
    match state.exit_code.and_then(|code| i32::try_from(code).ok()) {
        None => Reason::Refused(refusal("end", "the engine does not say how the container ended")),
        Some(0) => Reason::Exited(0),
        _ if state.oom_killed == Some(true) => Reason::OutOfMemory,
        // Shells and engines write a signal like this; a program that exits so by itself cannot be told apart.
        Some(code @ 129..=192) => Reason::Signalled(code - 128),
        Some(code) => Reason::Exited(code),
    }
}

/// A tar of a folder, made while it is read. The second part is its end: whether all could be read.
fn packed(folder: PathBuf) -> (impl Stream<Item = Bytes> + Send + 'static, tokio::task::JoinHandle<io::Result<()>>) {
    let (sender, receiver) = mpsc::channel::<Bytes>(16);
    let packing = tokio::task::spawn_blocking(move || pack(&folder, Pieces(sender)));
    let pieces =
        stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|piece| (piece, receiver)) });
    (pieces, packing)
}

fn pack(folder: &Path, pieces: Pieces) -> io::Result<()> {
    let mut tar = tar::Builder::new(io::BufWriter::with_capacity(256 << 10, pieces));
    tar.follow_symlinks(false);
    tar.mode(tar::HeaderMode::Deterministic);
    tar.append_dir(".", folder)?;
    let guests = Path::new(OWN.trim_start_matches('/'));
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = PathBuf::from(entry.file_name());
        if name == guests {
            continue;
        }
        if entry.file_type()?.is_dir() {
            tar.append_dir_all(&name, entry.path())?;
        } else {
            tar.append_path_with_name(entry.path(), &name)?;
        }
    }
    closed_folder(&mut tar, guests)?;
    tar.into_inner()?.flush()
}

/// Adds an empty folder without permissions. Engines that fill a memory file system from the image give it those of the folder there,
/// whatever the mount says.
fn closed_folder(tar: &mut tar::Builder<impl Write>, path: &Path) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0);
    header.set_size(0);
    header.set_uid(0);
    header.set_gid(0);
    tar.append_data(&mut header, path, io::empty())
}

/// Sends what is written piece by piece.
struct Pieces(mpsc::Sender<Bytes>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.blocking_send(Bytes::copy_from_slice(bytes)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn refusal(step: &str, cause: impl std::fmt::Display) -> Refusal {
    Refusal { step: step.to_owned(), cause: cause.to_string() }
}

fn refused(refusal: &Refusal) -> Exit {
    Exit::refused(&refusal.step, &refusal.cause)
}
