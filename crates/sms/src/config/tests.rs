use std::collections::{BTreeSet, HashMap};

use super::*;

const MINIMAL: &str = "[chain]\nendpoints = [\"http://localhost:8545\"]\n";

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    Config::from_text(text, Path::new("test.toml"), |name| variables.get(name).map(ToString::to_string))
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn sample() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/strongroom-sms.toml")).unwrap()
}

/// Dotted paths of all keys of a table. Arrays of tables count as one key.
fn paths(table: &toml::Table, prefix: &str) -> BTreeSet<String> {
    table
        .iter()
        .flat_map(|(name, value)| match value {
            toml::Value::Table(inner) => paths(inner, &format!("{prefix}{name}.")),
            _ => BTreeSet::from([format!("{prefix}{name}")]),
        })
        .collect()
}

#[test]
fn the_sample_file_shows_every_key_with_its_default() {
    let config = read(&sample(), &[]).unwrap();
    let shown = paths(&sample().parse().unwrap(), "");
    assert_eq!(shown, KEYS.iter().map(|key| key.path.to_owned()).collect());

    let mut expected = Config::default();
    expected.chain.endpoints = vec!["https://arb1.arbitrum.io/rpc".parse().unwrap()];
    expected.chain.hub = expected.chain.hub();
    expected.tee.pipelines = config.tee.pipelines.clone();
    assert_eq!(format!("{config:?}"), format!("{expected:?}"));
    assert_eq!(config.chain.endpoints, expected.chain.endpoints);
}

#[test]
fn every_field_of_the_settings_is_in_the_list_of_keys() {
    // The parser itself tells the fields it knows.
    let tables = KEYS.iter().map(|key| key.path.split_once('.').unwrap().0).collect::<BTreeSet<_>>();
    assert_eq!(fields_told_by(&read("zzz = 1", &[]).unwrap_err()), tables.iter().map(ToString::to_string).collect());
    for table in tables {
        let expected = KEYS
            .iter()
            .filter_map(|key| key.path.split_once('.').filter(|(outer, _)| *outer == table))
            .map(|(_, field)| field.to_owned())
            .collect();
        assert_eq!(fields_told_by(&read(&format!("[{table}]\nzzz = 1"), &[]).unwrap_err()), expected, "{table}");
    }
}

fn fields_told_by(problems: &[String]) -> BTreeSet<String> {
    // unknown field `zzz`, expected one of `a`, `b` (or: expected `a`)
    problems[0].split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (text, expected) in [
        ("[chain]\nendpoints = [\"x\"]\n", "test.toml:2: relative URL without a base"),
        ("[server]\nport = 70000\n", "test.toml:2: invalid value: integer `70000`, expected u16"),
        ("\n[server]\nprot = 1\n", "test.toml:3: unknown field `prot`"),
        ("[chain]\nhub = \"0x12\"\n", "test.toml:2: address is not 40 hex digits; check that it was copied whole"),
        ("[server\n", "test.toml:1: "),
        ("", "test.toml: chain.endpoints names no JSON-RPC endpoint"),
        ("[server]\n\n[chain]\nid = 5\n", "test.toml:3: chain.endpoints names no JSON-RPC endpoint"),
        ("[chain]\nendpoints = [\n\"ftp://x\"]\n", "test.toml:2: chain.endpoints holds an address that is neither"),
        (&format!("{MINIMAL}id = 5\n"), "test.toml:1: chain.hub is needed for this chain id"),
        (&format!("{MINIMAL}quorum = 2\n"), "test.toml:3: chain.quorum asks more endpoints to agree than there are"),
        (&format!("{MINIMAL}[tls]\nkey = \"x\"\n"), "test.toml:3: tls needs both certificate and key, or neither"),
        (&format!("{MINIMAL}[tee]\nframework = \"scone\"\n"), "test.toml:3: tee.las_image is needed"),
        (&format!("{MINIMAL}[log]\nfilter = \"a=b=c\"\n"), "test.toml:4: log.filter is not understood"),
    ] {
        let problems = read(text, &[]).unwrap_err();
        assert!(problems[0].starts_with(expected), "{text:?} gave {problems:?}");
    }
}

#[test]
fn several_pipelines_are_for_other_frameworks_than_tdx() {
    let stage = "{ image = \"i\", fingerprint = \"f\", entrypoint = \"e\", heap_size_bytes = 1 }";
    let pipeline = |version| format!("{{ version = \"{version}\", pre_compute = {stage}, post_compute = {stage} }}");
    let text = |framework, versions: [&'static str; 2]| {
        let pipelines = versions.map(pipeline).join(", ");
        format!("{MINIMAL}[tee]\nframework = \"{framework}\"\npipelines = [{pipelines}]\n")
    };
    assert_eq!(read(&text("gramine", ["a", "b"]), &[]).unwrap().tee.pipelines.len(), 2);
    assert!(read(&text("gramine", ["a", "a"]), &[]).unwrap_err()[0].contains("same version twice"));
    assert!(read(&text("tdx", ["a", "b"]), &[]).unwrap_err()[0].contains("one entry only"));
}

#[test]
fn the_environment_wins_over_the_file_and_the_new_name_over_the_old() {
    let config = read(
        &format!("[server]\nport = 1\n{MINIMAL}"),
        &[
            ("IEXEC_SMS_PORT", "2"),
            ("STRONGROOM_SERVER_PORT", "3"),
            ("IEXEC_CHAIN_ID", "134"),
            ("IEXEC_HUB_ADDRESS", "0x3eca1B216A7DF1C7689aEb259fFB83ADFB894E7f"),
            ("IEXEC_BLOCKCHAIN_NODE_ADDRESS", "https://bellecour.iex.ec"),
            ("IEXEC_SMS_ADMIN_API_KEY", "12345"),
            ("STRONGROOM_SERVER_TRUSTED_PROXIES", "10.0.0.1, 10.0.0.2"),
            ("STRONGROOM_RATE_LIMIT_ENABLED", "false"),
            ("STRONGROOM_LOG_FORMAT", "json"),
            ("STRONGROOM_TEE_PIPELINES", "[]"),
        ],
    )
    .unwrap();
    assert_eq!(config.server.port, 3);
    assert_eq!(config.chain.id.get(), 134);
    assert_eq!(config.chain.hub().unwrap().to_checksum(None), "0x3eca1B216A7DF1C7689aEb259fFB83ADFB894E7f");
    assert_eq!(config.chain.endpoints[0].as_str(), "https://bellecour.iex.ec/");
    assert!(config.admin.api_key.matches(b"12345"));
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert!(!config.rate_limit.enabled);
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn what_is_wrong_in_the_environment_is_told_with_the_variable() {
    for (variable, value, expected) in [
        ("STRONGROOM_SERVER_PORT", "x", "environment variable STRONGROOM_SERVER_PORT: is not a TOML value"),
        ("IEXEC_SMS_PORT", "70000", "environment variable IEXEC_SMS_PORT: invalid value: integer `70000`"),
        ("STRONGROOM_CHAIN_HUB", "0x1", "environment variable STRONGROOM_CHAIN_HUB: address is not 40 hex digits"),
        ("STRONGROOM_SERVER_PORT", "1\nx = 2", "environment variable STRONGROOM_SERVER_PORT: is not one TOML value"),
    ] {
        let problems = read(MINIMAL, &[(variable, value)]).unwrap_err();
        assert!(problems[0].starts_with(expected), "{problems:?}");
    }
}

#[test]
fn the_api_key_is_in_no_message_and_no_debug_form() {
    let config = read(&format!("{MINIMAL}[admin]\napi_key = \"open-sesame\"\n"), &[]).unwrap();
    assert!(!format!("{config:?}").contains("sesame"));
    for text in ["api_key = 987654321", "api_key = 98765.4321", "api_key = open-sesame", "api_key = \"open-sesame"] {
        let problems = read(&format!("{MINIMAL}[admin]\n{text}\n"), &[]).unwrap_err().join("\n");
        assert!(problems.starts_with("test.toml:4: "), "{problems}");
        assert!(!problems.contains("sesame") && !problems.contains("9876"), "{problems}");
    }
}

#[test]
fn a_blank_api_key_is_none() {
    for (text, blank) in [("", true), ("  ", true), ("x", false)] {
        assert_eq!(ApiKey::new(text.to_owned()).is_blank(), blank);
    }
}

#[test]
fn a_provisioner_needs_all_that_makes_it_safe() {
    let stage = "{ image = \"i\", fingerprint = \"f\", entrypoint = \"e\", heap_size_bytes = 1 }";
    let pipeline = format!("pipelines = [{{ version = \"v\", pre_compute = {stage}, post_compute = {stage} }}]");
    let text = |framework: &str, keeper: &str| {
        let las = if framework == "scone" { "las_image = \"l\"\n" } else { "" };
        format!("{MINIMAL}[tee]\nframework = \"{framework}\"\n{las}{pipeline}\n[provisioner]\n{keeper}")
    };
    let scone = "kind = \"scone\"\nurl = \"https://cas\"\nenclave_address = \"cas:18765\"\nca_certificate = \"/ca\"\n\
                 attestation_servers = [\"https://maa\"]\n";
    let gramine = "kind = \"gramine\"\nurl = \"https://sps\"\nenclave_address = \"sps:4433\"\nca_certificate = \"/ca\"\n\
                   login = \"l\"\npassword = \"own\"\n";
    assert!(read(&text("scone", scone), &[]).is_ok());
    assert!(read(&text("gramine", gramine), &[]).is_ok());
    for (framework, keeper, without, expected) in [
        ("tdx", scone, "", "provisioner.kind is for another framework"),
        ("scone", scone, "url = \"https://cas\"\n", "provisioner.url is needed"),
        ("scone", scone, "enclave_address = \"cas:18765\"\n", "provisioner.enclave_address is needed"),
        ("scone", scone, "ca_certificate = \"/ca\"\n", "provisioner.ca_certificate is needed"),
        ("scone", scone, "attestation_servers = [\"https://maa\"]\n", "provisioner.attestation_servers names none"),
        ("gramine", gramine, "login = \"l\"\n", "provisioner.login is needed"),
        ("gramine", gramine, "password = \"own\"\n", "provisioner.password is needed"),
    ] {
        let problems = read(&text(framework, &keeper.replace(without, "")), &[]).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:?}");
    }
    for plain in [scone.replace("https://cas", "http://cas"), scone.replace("https://maa", "http://maa")] {
        let problems = read(&text("scone", &plain), &[]).unwrap_err();
        assert!(problems[0].contains("https"), "{problems:?}");
        assert!(read(&text("scone", &format!("{plain}danger_plain_http = true\n")), &[]).is_ok());
    }
    let problems = read(&text("scone", &format!("{scone}client_key = \"/k\"\n")), &[]).unwrap_err();
    assert!(problems[0].contains("belong together"), "{problems:?}");
    assert!(read(&format!("{MINIMAL}[provisioner]\nkind = \"tdx\"\n"), &[]).unwrap_err().len() >= 4);
}
