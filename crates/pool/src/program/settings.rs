//! What is wrong with the settings, as far as it can be seen without the network: values that cannot be used, and files that they
//! name and that are not there.

use std::path::Path;

use strongroom_pool::config::{Config, ConfigError};
use strongroom_pool::lifecycle::Role;
use url::Url;

/// Everything that keeps `roles` from working, in the order of the settings.
pub(crate) fn problems(config: &Config, roles: &[Role]) -> Vec<ConfigError> {
    let mut problems: Vec<_> = [
        config.workerpool().map(drop),
        config.chain().map(drop),
        config.sms_url().map(drop),
        config.frameworks().map(drop),
    ]
    .into_iter()
    .filter_map(Result::err)
    .collect();
    let (scheduler, worker) = (roles.contains(&Role::Scheduler), roles.contains(&Role::Worker));
    problems.extend(addresses(config));
    problems.extend(files(config, scheduler, worker).into_iter().filter_map(|(key, path)| missing_file(key, path)));
    if worker {
        problems.extend(config.images.sources.iter().filter_map(|source| {
            let error = std::fs::metadata(source).err()?;
            Some(unusable("images.sources", format!("{}: {error}", source.display())))
        }));
    }
    problems
}

/// Addresses that nothing can be fetched from. They are not repeated: there may be keys in them.
fn addresses(config: &Config) -> Vec<ConfigError> {
    let is_web = |url: &Url| matches!(url.scheme(), "http" | "https");
    let no_web = |what: &str| format!("{what} is no http or https address");
    let mut problems = Vec::new();
    if config.sms.url.as_ref().is_some_and(|url| !is_web(url)) {
        problems.push(unusable("sms.url", no_web("it")));
    }
    if config.results.proxy.as_ref().is_some_and(|url| !is_web(url)) {
        problems.push(unusable("results.proxy", no_web("it")));
    }
    let gateways = config.results.gateways.iter().zip(1..).filter(|(url, _)| !is_web(url));
    problems.extend(gateways.map(|(_, number)| unusable("results.gateways", no_web(&format!("number {number}")))));
    problems
}

/// The files that must be there, by the settings that name them.
fn files(config: &Config, scheduler: bool, worker: bool) -> Vec<(&'static str, &Path)> {
    let mut files: Vec<(_, &Path)> = Vec::new();
    if scheduler {
        files.push(("scheduler.keystore", &config.scheduler.keystore));
        files.extend(config.scheduler.password_file.iter().map(|file| ("scheduler.password_file", file.as_path())));
    }
    // Where only the scheduler runs, the file says whose tasks they are, unless a setting does.
    if worker || config.scheduler.worker.is_none() {
        files.push(("worker.keystore", &config.worker.keystore));
    }
    if worker {
        files.extend(config.worker.password_file.iter().map(|file| ("worker.password_file", file.as_path())));
        files.push(("runtime.guest", &config.runtime.guest));
        files.extend(config.runtime.native.simulator.iter().map(|file| ("runtime.native.simulator", file.as_path())));
    }
    files
}

fn missing_file(key: &'static str, path: &Path) -> Option<ConfigError> {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(about) if about.is_file() => None,
        Ok(_) => Some(unusable(key, format!("{shown} is no file"))),
        Err(error) => Some(unusable(key, format!("{shown}: {error}"))),
    }
}

fn unusable(key: &'static str, message: String) -> ConfigError {
    ConfigError::Setting { key, message }
}
