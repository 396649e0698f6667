//! The environment laid over the file: every key has a variable, and the names operators of the old service have set
//! keep working.

use super::Config;
use super::problem::ConfigError;

/// How the text of a variable becomes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Taken as it is.
    Text,
    /// A number or `true`/`false`.
    Literal,
    /// Texts separated by commas.
    List,
    /// A TOML array, written inline.
    Toml,
}

/// One setting: where it stands in the file and which variable replaces it.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Dotted path in the file.
    pub path: &'static str,
    /// Variable of the old service with the same meaning, if it had one.
    pub old_variable: Option<&'static str>,
    /// One line for `--help`.
    pub meaning: &'static str,
    form: Form,
}

impl Key {
    const fn new(path: &'static str, form: Form, meaning: &'static str) -> Self {
        Self { path, old_variable: None, meaning, form }
    }

    const fn formerly(self, old_variable: &'static str) -> Self {
        Self { old_variable: Some(old_variable), ..self }
    }

    /// `STRONGROOM_` and the path in capitals with `_` for `.`.
    pub fn variable(&self) -> String {
        format!("STRONGROOM_{}", self.path.to_uppercase().replace('.', "_"))
    }
}

/// Every setting, in the order of the sample file.
pub const KEYS: &[Key] = &[
    Key::new("server.address", Form::Text, "interface to listen on"),
    Key::new("server.port", Form::Literal, "port to listen on").formerly("IEXEC_SMS_PORT"),
    Key::new("server.max_connections", Form::Literal, "connections served at once"),
    Key::new("server.max_connections_per_peer", Form::Literal, "connections of one peer served at once"),
    Key::new("server.header_timeout_ms", Form::Literal, "longest wait for the head of a request"),
    Key::new("server.body_timeout_ms", Form::Literal, "longest wait for the body of a request"),
    Key::new("server.request_timeout_ms", Form::Literal, "longest time spent on a request"),
    Key::new("server.max_large_bodies", Form::Literal, "bodies above 16 KiB in memory at once"),
    Key::new("server.shutdown_grace_ms", Form::Literal, "how long a stopping service waits for running requests"),
    Key::new("server.trusted_proxies", Form::List, "reverse proxies whose X-Forwarded-For is believed"),
    Key::new("tls.certificate", Form::Text, "certificate chain (PEM); with tls.key, serves TLS"),
    Key::new("tls.key", Form::Text, "private key (PEM)"),
    Key::new("tls.reload_ms", Form::Literal, "how often changed certificate files are looked for"),
    Key::new("chain.endpoints", Form::List, "JSON-RPC endpoints; required").formerly("IEXEC_BLOCKCHAIN_NODE_ADDRESS"),
    Key::new("chain.quorum", Form::Literal, "how many endpoints must agree"),
    Key::new("chain.id", Form::Literal, "chain id").formerly("IEXEC_CHAIN_ID"),
    Key::new("chain.hub", Form::Text, "address of the PoCo hub").formerly("IEXEC_HUB_ADDRESS"),
    Key::new("chain.timeout_ms", Form::Literal, "longest wait for one answer of a node"),
    Key::new("chain.retries", Form::Literal, "how often a failed read is repeated"),
    Key::new("chain.head_refresh_ms", Form::Literal, "how often the newest block is looked up"),
    Key::new(
        "chain.max_block_age_ms",
        Form::Literal,
        "age of the newest block that counts as out of reach; 0 for none",
    ),
    Key::new("store.path", Form::Text, "database file"),
    Key::new("store.root_key_file", Form::Text, "root key file, created with a new database"),
    Key::new("store.root_key_credential", Form::Text, "read-only root key file, such as a systemd credential"),
    Key::new("rate_limit.enabled", Form::Literal, "false serves every request of everybody"),
    Key::new("rate_limit.peer_per_second", Form::Literal, "requests per second of one peer address"),
    Key::new("rate_limit.peer_burst", Form::Literal, "requests at once of one peer address"),
    Key::new("rate_limit.client_per_second", Form::Literal, "writes per second signed by one wallet"),
    Key::new("rate_limit.client_burst", Form::Literal, "writes at once signed by one wallet"),
    Key::new("rate_limit.remembered", Form::Literal, "peers and clients remembered at once"),
    Key::new("admin.api_key", Form::Text, "value of X-API-KEY; empty disables /admin")
        .formerly("IEXEC_SMS_ADMIN_API_KEY"),
    Key::new("admin.backup_folder", Form::Text, "folder of all backups"),
    Key::new("attestation.public_url", Form::Text, "where guests reach this service"),
    Key::new("attestation.policy_file", Form::Text, "rules for platforms (TOML); default the production rules"),
    Key::new("attestation.images_file", Form::Text, "approved images of TDX guests (TOML)"),
    Key::new("attestation.endorsements_folder", Form::Text, "folder in which endorsements are kept"),
    Key::new("attestation.intel_service", Form::Text, "Intel's provisioning certification service or a cache of it"),
    Key::new("attestation.intel_root_crl", Form::Text, "revocation list of Intel's root"),
    Key::new("attestation.amd_service", Form::Text, "AMD's key distribution service or a mirror of it"),
    Key::new(
        "attestation.danger_simulator_roots",
        Form::Text,
        "folder with the roots of a simulator, for development only",
    ),
    Key::new("attestation.threads", Form::Literal, "verifications at a time; 0 for one per processor"),
    Key::new("tee.framework", Form::Text, "tdx, scone or gramine"),
    Key::new("tee.las_image", Form::Text, "image of SCONE's local attestation service"),
    Key::new("tee.pipelines", Form::Toml, "pre- and post-compute programs, as an inline TOML array"),
    Key::new("provisioner.kind", Form::Text, "attested (this service), scone, gramine or tdx"),
    Key::new("provisioner.url", Form::Text, "where the secret provisioner takes sessions"),
    Key::new("provisioner.enclave_address", Form::Text, "where enclaves reach the secret provisioner"),
    Key::new("provisioner.ca_certificate", Form::Text, "the only certificates (PEM) believed for provisioner.url"),
    Key::new("provisioner.client_certificate", Form::Text, "certificate (PEM) shown to the secret provisioner"),
    Key::new("provisioner.client_key", Form::Text, "private key (PEM) of provisioner.client_certificate"),
    Key::new("provisioner.login", Form::Text, "name at Gramine's server").formerly("IEXEC_GRAMINE_SPS_WEB_LOGIN"),
    Key::new("provisioner.password", Form::Text, "password at Gramine's server")
        .formerly("IEXEC_GRAMINE_SPS_WEB_PASSWORD"),
    Key::new("provisioner.timeout_ms", Form::Literal, "longest wait for the secret provisioner"),
    Key::new("provisioner.attestation_mode", Form::Text, "SCONE: maa or hardware")
        .formerly("TEE_SCONE_ATTESTATION_MODE"),
    Key::new("provisioner.attestation_servers", Form::List, "SCONE: attestation servers, one of which must answer"),
    Key::new("provisioner.tolerated_insecure_options", Form::List, "SCONE: insecure options that are tolerated")
        .formerly("IEXEC_SCONE_TOLERATED_INSECURE_OPTIONS"),
    Key::new("provisioner.ignored_advisories", Form::List, "SCONE: advisories of Intel that are ignored")
        .formerly("IEXEC_IGNORED_SGX_ADVISORIES"),
    Key::new("provisioner.danger_plain_http", Form::Literal, "reach the secret provisioner without TLS"),
    Key::new("content.ipfs_gateway", Form::Text, "IPFS gateway for lists of datasets").formerly("IPFS_GATEWAY_URL"),
    Key::new("content.timeout_ms", Form::Literal, "longest wait for the IPFS gateway"),
    Key::new("metrics.refresh_ms", Form::Literal, "how often stored secrets are counted"),
    Key::new("log.format", Form::Text, "plain or json"),
    Key::new("log.filter", Form::Text, "what is logged, such as info or warn,strongroom_sms=debug"),
];

/// The variables and their meanings, one per line, for `--help`.
pub fn describe_environment() -> String {
    let width = KEYS.iter().map(|key| key.variable().len()).max().unwrap_or_default();
    let mut lines = Vec::new();
    for key in KEYS {
        let old = key.old_variable.map(|old| format!(" (also {old})")).unwrap_or_default();
        lines.push(format!("  {:width$}  {}{old}", key.variable(), key.meaning));
    }
    lines.push(format!("  {:width$}  the root key itself, 64 hex digits, instead of a file", "STRONGROOM_ROOT_KEY"));
    lines.join("\n")
}

/// The file with the environment laid over it.
pub(super) struct Overlaid {
    pub(super) table: toml::Table,
    /// Variables that were used.
    pub(super) variables: Vec<String>,
}

/// Puts the value of each variable that is set in the place of its key. Each is checked on its own first, so that a
/// mistake is reported with the variable's name.
pub(super) fn overlay(
    mut table: toml::Table,
    variables: impl Fn(&str) -> Option<String>,
) -> Result<Overlaid, Vec<ConfigError>> {
    let mut used = Vec::new();
    let mut problems = Vec::new();
    for key in KEYS {
        let candidates = std::iter::once(key.variable()).chain(key.old_variable.map(str::to_owned));
        let Some((variable, text)) = candidates.into_iter().find_map(|name| Some((name.clone(), variables(&name)?)))
        else {
            continue;
        };
        match value_of(key.form, &text).and_then(|value| accepted_alone(key.path, value)) {
            Ok(value) => {
                put(&mut table, key.path, value);
                used.push(variable);
            }
            Err(message) => problems.push(ConfigError::Environment { variable, message }),
        }
    }
    if problems.is_empty() { Ok(Overlaid { table, variables: used }) } else { Err(problems) }
}

fn value_of(form: Form, text: &str) -> Result<toml::Value, String> {
    let literal = |text: &str| {
        let mut table: toml::Table = format!("value = {text}").parse().map_err(|_| "is not a TOML value".to_owned())?;
        match (table.len(), table.remove("value")) {
            (1, Some(value)) => Ok(value),
            _ => Err("is not one TOML value".to_owned()),
        }
    };
    match form {
        Form::Text => Ok(toml::Value::String(text.to_owned())),
        Form::Literal => match literal(text.trim())? {
            value @ (toml::Value::Integer(_) | toml::Value::Boolean(_)) => Ok(value),
            _ => Err("is neither a number nor true or false".to_owned()),
        },
        Form::List => Ok(toml::Value::Array(
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(|part| part.to_owned().into()).collect(),
        )),
        Form::Toml => literal(text),
    }
}

fn accepted_alone(path: &str, value: toml::Value) -> Result<toml::Value, String> {
    let mut alone = toml::Table::new();
    put(&mut alone, path, value.clone());
    alone.try_into::<Config>().map_err(|error| error.message().replace('\n', "; "))?;
    Ok(value)
}

/// Sets the dotted `path`. The file was accepted before, so what stands at a table's name is a table.
fn put(table: &mut toml::Table, path: &str, value: toml::Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((outer, inner)) => {
            let entry = table.entry(outer.to_owned()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let Some(nested) = entry.as_table_mut() {
                put(nested, inner, value);
            }
        }
    }
}
