//! Runs tasks in enclaves: image, evidence, way out, callbacks, and the launch itself, one folder for each run. Everything that
//! is made for a run ends with it, also when the run is dropped.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use strongroom_oci::UnpackedImage;
use strongroom_protocol::Address;
use strongroom_protocol::deal_params::DealParams;
use strongroom_runtime::{Bind, Exit, Launch, Limits, Reason, Runtime, Scratch};
use tokio::net::UnixListener;
use tracing::{info, warn};
use url::Url;

use crate::callbacks::Callbacks;
use crate::cause::Cause;
use crate::command_line;
use crate::judge;
use crate::outside::{Asked, Clock, DealView, Ended, HowEnded, Ledger, OutsideError, Run, RunTasks, with_causes};
use crate::store::Store;
use crate::task::Logs;

use self::folder::{NAME_CHARS, NAME_PREFIX, RunFolder, RunsFolder};
use self::images::Images;
use self::origins::{Reach, origins_of};
use self::simulated::SimulatedEvidence;

mod bulk;
pub mod folder;
pub mod images;
pub(crate) mod origins;
pub mod simulated;

const GUEST: &str = "/.strongroom/guest";
const EVIDENCE: &str = "/.strongroom/evidence.sock";
const RELAY: &str = "/.strongroom/relay";
const MIB: u64 = 1 << 20;

/// How enclaves are run here.
#[derive(Clone, Debug)]
pub struct EnclaveSettings {
    /// Chain id.
    pub chain_id: u64,
    /// The PoCo hub.
    pub hub: Address,
    /// The SMS.
    pub sms: Url,
    /// Address of its identity key.
    pub sms_key_id: Address,
    /// The result proxy, when the deal names none.
    pub proxy: Option<Url>,
    /// IPFS gateways.
    pub gateways: Vec<Url>,
    /// The guest program on this machine.
    pub guest: PathBuf,
    /// The simulator's program, for development.
    pub simulator: Option<PathBuf>,
    /// What one enclave may use; its deadline is the deal's.
    pub limits: Limits,
    /// Memory for inputs, in bytes.
    pub input_bytes: u64,
    /// Memory for results, in bytes.
    pub output_bytes: u64,
    /// Whether deals may name private addresses.
    pub danger_allow_private_destinations: bool,
}

/// Runs enclaves on this machine.
pub struct Enclaves {
    settings: EnclaveSettings,
    runs: RunsFolder,
    store: Store,
    ledger: Arc<dyn Ledger>,
    images: Images,
    runtime: Runtime,
    clock: Clock,
}

/// What is made for one run and ends with it.
struct Surroundings {
    folder: RunFolder,
    evidence: Option<SimulatedEvidence>,
    _relay: crate::relay::Relay,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Surroundings {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Enclaves {
    /// Runs with `runtime`; what tasks deliver goes to `store`.
    pub fn new(
        settings: EnclaveSettings,
        runs: RunsFolder,
        store: Store,
        ledger: Arc<dyn Ledger>,
        images: Images,
        runtime: Runtime,
        clock: Clock,
    ) -> Self {
        Self { settings, runs, store, ledger, images, runtime, clock }
    }

    async fn surroundings(
        &self,
        run: &Run,
        params: &DealParams,
        command: &[String],
    ) -> Result<Surroundings, OutsideError> {
        let folder = self.runs.fresh(&name_of(run)[..NAME_CHARS]);
        let folder = folder.map_err(|(path, error)| in_folder(&path, &error))?;
        let bulk = match params.bulk_cid.as_deref() {
            Some(cid) => bulk::locations(&self.settings.gateways, cid, run.index, self.ledger.as_ref()).await?,
            None => Vec::new(),
        };
        let origins = origins_of(
            &run.deal,
            params,
            &Reach {
                sms: &self.settings.sms,
                proxy: self.settings.proxy.as_ref(),
                gateways: &self.settings.gateways,
                bulk: &bulk,
            },
        );
        let callbacks_socket = folder.0.join("worker.sock");
        let listener = UnixListener::bind(&callbacks_socket).map_err(|error| in_folder(&callbacks_socket, &error))?;
        let callbacks = Callbacks {
            store: self.store.clone(),
            task: run.task,
            worker: run.worker,
            challenge: run.challenge,
            has_callback: run.deal.deal.callback.is_some(),
        };
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, callbacks.router()).await {
                warn!(%error, "callbacks of a task are not served any more");
            }
        });
        let relay_folder = folder.0.join("relay");
        let relay = crate::relay::Relay::start(
            &relay_folder,
            &origins,
            &callbacks_socket,
            self.settings.danger_allow_private_destinations,
        );
        let relay = relay.map_err(|error| OutsideError::trouble(&error))?;
        let mut surroundings = Surroundings { folder, evidence: None, _relay: relay, serving };
        if let Some(simulator) = &self.settings.simulator {
            let guest = &self.settings.guest;
            let image = run.deal.app.checksum;
            let started = SimulatedEvidence::start(simulator, &surroundings.folder.0, guest, image, command).await;
            surroundings.evidence = Some(started.map_err(|error| OutsideError::trouble(&error))?);
        }
        Ok(surroundings)
    }

    fn launch(
        &self,
        run: &Run,
        image: UnpackedImage,
        command: &[String],
        surroundings: &Surroundings,
    ) -> Result<Launch, OutsideError> {
        let environment = self.environment(run, &image, surroundings.evidence.is_some())?;
        let bind = |source: &Path, target: &str| Bind { source: source.to_owned(), target: target.into() };
        let mut binds = vec![bind(&self.settings.guest, GUEST), bind(&surroundings.folder.0.join("relay"), RELAY)];
        if let Some(evidence) = &surroundings.evidence {
            binds.push(bind(&evidence.socket, EVIDENCE));
        }
        let scratch = |target: &str, size_bytes, mode| Scratch { target: target.into(), size_bytes, mode };
        let mut argv = vec![GUEST.to_owned(), "task".to_owned(), "--".to_owned()];
        argv.extend(command.iter().cloned());
        Ok(Launch {
            name: name_of(run),
            environment,
            image,
            argv,
            binds,
            scratch: vec![
                scratch("/iexec_in", self.settings.input_bytes, 0o755),
                scratch("/iexec_out", self.settings.output_bytes, 0o755),
                scratch("/tmp", 64 * MIB, 0o1777),
                scratch("/run", MIB, 0o755),
            ],
            limits: Limits { deadline: self.time_for(run), ..self.settings.limits.clone() },
        })
    }

    /// Inputs, app and result may each take as long as the category says, as ever, but all end when nobody can contribute any
    /// more. The guest itself ends an app that takes longer.
    fn time_for(&self, run: &Run) -> Duration {
        let left = run.deal.contribution_deadline().0.saturating_sub(self.clock.now().0);
        let stages = run.deal.category_seconds.saturating_mul(3);
        Duration::from_secs(stages.min(left).max(1))
    }

    fn environment(
        &self,
        run: &Run,
        image: &UnpackedImage,
        simulated: bool,
    ) -> Result<Vec<(String, String)>, OutsideError> {
        let settings = &self.settings;
        let gateways: Vec<_> = settings.gateways.iter().map(|url| url.as_str().trim_end_matches('/')).collect();
        let mut variables = vec![
            ("STRONGROOM_SMS_URL", settings.sms.to_string()),
            ("STRONGROOM_SMS_KEY_ID", settings.sms_key_id.to_string()),
            ("STRONGROOM_CHAIN_ID", settings.chain_id.to_string()),
            ("STRONGROOM_HUB", settings.hub.to_string()),
            ("STRONGROOM_SESSION", run.session.clone()),
            ("STRONGROOM_RELAY", RELAY.to_owned()),
            ("STRONGROOM_IPFS_GATEWAYS", gateways.join(",")),
            ("STRONGROOM_APP_SECONDS", run.deal.category_seconds.to_string()),
            ("STRONGROOM_APP_ENV", serde_json::json!(image.config.env).to_string()),
            ("STRONGROOM_APP_WORKDIR", image.config.working_dir.clone()),
        ];
        if simulated {
            variables.push(("STRONGROOM_EVIDENCE_SOCKET", EVIDENCE.to_owned()));
        }
        // Without a word of the image the guest takes a user without privileges.
        if !image.config.user.is_empty() {
            let user = image.user();
            let user =
                user.map_err(|error| OutsideError::refused(Cause::APP_IMAGE_DOWNLOAD_FAILED, with_causes(&error)))?;
            variables.push(("STRONGROOM_APP_USER", format!("{}:{}", user.uid, user.gid)));
        }
        Ok(variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    async fn run_to_the_end(&self, run: Run) -> Result<Ended, OutsideError> {
        let params = judge::params_of(&run.deal).map_err(OutsideError::Refused)?;
        let arguments = command_line::split(params.args.as_deref().unwrap_or_default())
            .map_err(|error| OutsideError::refused(Cause::TASK_DESCRIPTION_INVALID, error.to_string()))?;
        let image = self.images.of(&run.deal.app).await?;
        let command = image.config.command(&arguments);
        if command.is_empty() {
            let message = "the image names no program to start and the deal no arguments";
            return Err(OutsideError::refused(Cause::TASK_DESCRIPTION_INVALID, message));
        }
        let surroundings = self.surroundings(&run, &params, &command).await?;
        let launch = self.launch(&run, image, &command, &surroundings)?;
        let simulated = surroundings.evidence.is_some();
        info!(task = %run.task, simulated, seconds = launch.limits.deadline.as_secs(), "enclave starts");
        let exit = self.runtime.run(&launch).await;
        info!(
            task = %run.task, simulated, ended = ?exit.reason,
            peak_memory_bytes = exit.peak_memory_bytes, cpu_ms = exit.cpu_time.map(|time| time.as_millis()),
            "enclave ended"
        );
        drop(surroundings);
        Ok(ended(&exit))
    }

    /// Removes what runs of an earlier life of the pool left behind.
    pub fn tidy_up(&self) -> std::io::Result<()> {
        for name in self.runs.left()? {
            self.runtime.remove_left(&name);
            self.runs.remove(&name)?;
        }
        self.runs.remove_launches()
    }
}

impl RunTasks for Enclaves {
    fn fetch<'a>(&'a self, deal: &'a DealView) -> Asked<'a, ()> {
        Box::pin(async move { self.images.of(&deal.app).await.map(drop) })
    }

    fn run(&self, run: Run) -> Asked<'_, Ended> {
        Box::pin(self.run_to_the_end(run))
    }
}

fn ended(exit: &Exit) -> Ended {
    let how = match &exit.reason {
        Reason::Exited(code) => HowEnded::Exited(*code),
        Reason::Signalled(signal) => HowEnded::Signalled(*signal),
        Reason::OutOfMemory => HowEnded::OutOfMemory,
        Reason::Deadline => HowEnded::Deadline,
        Reason::Refused(refusal) => HowEnded::NotStarted(refusal.to_string()),
    };
    Ended { how, logs: Logs { stdout: exit.stdout.escaped(), stderr: exit.stderr.escaped() } }
}

/// Names a run: unique on this machine, and short, as Unix sockets are in a folder of this name.
fn name_of(run: &Run) -> String {
    let task = run.task.to_string();
    format!("{NAME_PREFIX}{}", &task[2..])[..64].to_owned()
}

fn in_folder(path: &Path, error: &std::io::Error) -> OutsideError {
    OutsideError::Trouble(format!("{}: {}", path.display(), with_causes(error)))
}
