//! What runs enclaves, from the settings.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use strongroom_pool::config::{Config, RuntimeKind};
use strongroom_pool::runner::folder::launches;
use strongroom_runtime::probe::{Backend, Places};
use strongroom_runtime::{Native, NativeSettings, Runtime, Tdx, TdxSettings};

/// The one that is configured, ready to launch.
pub(crate) async fn start(config: &Config) -> anyhow::Result<Runtime> {
    Ok(match config.runtime.kind {
        RuntimeKind::Native => Runtime::Native(Native::new(NativeSettings::default())),
        RuntimeKind::Tdx => {
            let launcher = &config.runtime.tdx.launcher;
            ensure!(!launcher.is_empty(), "setting runtime.tdx.launcher: name the launcher's program");
            let folder = launches(&config.pool.runs);
            std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
            Runtime::Tdx(tdx(config))
        }
        RuntimeKind::Container => container(config).await?,
    })
}

/// Where a probe has to look for what is configured.
pub(crate) fn places(config: &Config) -> Places {
    let usual = Places::default();
    let runtime = &config.runtime;
    match runtime.kind {
        RuntimeKind::Native => usual,
        RuntimeKind::Container => {
            Places { backend: Backend::Container, container_sockets: vec![runtime.container.socket.clone()], ..usual }
        }
        RuntimeKind::Tdx => Places { backend: Backend::Tdx, tdx: Some(tdx(config)), ..usual },
    }
}

fn tdx(config: &Config) -> Tdx {
    Tdx::new(TdxSettings {
        command: config.runtime.tdx.launcher.clone(),
        folder: launches(&config.pool.runs),
        grace: Duration::from_millis(config.runtime.tdx.grace_ms),
    })
}

#[cfg(feature = "container")]
async fn container(config: &Config) -> anyhow::Result<Runtime> {
    let container = &config.runtime.container;
    let settings = strongroom_runtime::ContainerSettings {
        socket: container.socket.clone(),
        devices: container.devices.clone(),
        runtime: Some(container.runtime.clone()).filter(|runtime| !runtime.is_empty()),
    };
    Ok(Runtime::Container(strongroom_runtime::Container::connect(settings).await?))
}

#[cfg(not(feature = "container"))]
async fn container(_config: &Config) -> anyhow::Result<Runtime> {
    anyhow::bail!("setting runtime.kind: this program was built without the feature container; use native or tdx")
}

#[cfg(test)]
mod tests {
    use strongroom_runtime::probe::probe;

    use super::*;

    fn needed(settings: &str) -> Vec<(&'static str, bool, String)> {
        let config: Config = toml::from_str(settings).unwrap();
        let needed = probe(&places(&config)).into_iter().filter(|finding| finding.needed);
        needed.map(|finding| (finding.what, finding.ok, finding.why)).collect()
    }

    #[test]
    fn only_what_the_configured_back_end_needs_is_needed_and_it_is_looked_for_where_it_is_configured() {
        let containers = needed("[runtime]\nkind = 'container'\n[runtime.container]\nsocket = '/not/there.sock'");
        assert_eq!(containers.len(), 1);
        assert_eq!((containers[0].0, containers[0].1), ("containers", false));
        let machines = needed("[runtime]\nkind = 'tdx'\n[runtime.tdx]\nlauncher = ['/bin/sh', '{launch}']");
        assert_eq!(machines, [("launcher of confidential machines", true, "`/bin/sh` can be started".to_owned())]);
        let machines = needed("[runtime]\nkind = 'tdx'");
        assert_eq!(machines, [("launcher of confidential machines", false, "none is configured".to_owned())]);
        assert!(needed("").iter().any(|(what, ..)| *what == "user namespaces"));
    }
}
