//! `strongroom evidence inspect` on the real fixtures of `strongroom-attest` at their times, and on a simulated one.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::home::{Home, Ran};

/// A real document, how it is judged, and where its report data is.
struct Fixture {
    name: &'static str,
    document: &'static str,
    endorsements: Option<&'static str>,
    at: &'static str,
    report_data: Option<usize>,
}

const SGX: Fixture = Fixture {
    name: "sgx",
    document: "intel/sgx_quote.bin",
    endorsements: Some("intel/sgx_quote_collateral.json"),
    at: "1752900000",
    report_data: Some(48 + 320),
};
const TDX: Fixture = Fixture {
    name: "tdx-v4",
    document: "intel/tdx_quote.bin",
    endorsements: Some("intel/tdx_quote_collateral.json"),
    at: "2025-07-19T04:40:00Z",
    report_data: Some(48 + 520),
};
const TDX_V5: Fixture = Fixture {
    name: "tdx-v5",
    document: "intel/tdx_quote_td15ex.bin",
    endorsements: Some("intel/tdx_quote_td15ex_collateral.json"),
    at: "1793900000",
    report_data: Some(54 + 520),
};
const TDX_OUTDATED: Fixture = Fixture {
    name: "tdx-outdated",
    document: "intel/tdx_quote_outdated.bin",
    endorsements: Some("intel/tdx_quote_outdated_collateral.json"),
    at: "1771500000",
    report_data: Some(54 + 520),
};
/// The certificates of all chips lie in the folder; those of this one are found.
const SNP: Fixture = Fixture {
    name: "snp",
    document: "snp/milan_report.bin",
    endorsements: Some("snp"),
    at: "1740000000",
    report_data: Some(0x50),
};
/// Its report data is `user_data`, which is absent: zeros.
const NITRO: Fixture =
    Fixture { name: "nitro", document: "nitro/document.cose", endorsements: None, at: "1736179625", report_data: None };

impl Fixture {
    fn report_data(&self) -> String {
        let document = fs::read(real(self.document)).unwrap();
        hex::encode(self.report_data.map_or([0; 64].as_slice(), |at| &document[at..at + 64]))
    }

    /// With everything that it needs to be judged, and `more`.
    fn inspect(&self, more: &[&str]) -> Ran {
        let report_data = self.report_data();
        self.inspect_unbound(&[&["--report-data", &report_data], more].concat())
    }

    fn inspect_unbound(&self, more: &[&str]) -> Ran {
        self.inspect_undated(&[&["--fetched-at", self.at], more].concat())
    }

    fn inspect_undated(&self, more: &[&str]) -> Ran {
        let endorsements = self.endorsements.map(real);
        let mut arguments = vec!["--at", self.at];
        if let Some(endorsements) = &endorsements {
            arguments.extend(["--endorsements", endorsements]);
        }
        inspect(&Home::new(), &real(self.document), &[&arguments, more].concat())
    }
}

fn inspect(home: &Home, file: &str, more: &[&str]) -> Ran {
    home.run(&[&["evidence", "inspect", file], more].concat())
}

/// A fixture of `strongroom-attest`.
fn real(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../attest/testdata", name].iter().collect();
    path.to_str().unwrap().to_owned()
}

/// See ORIGIN.md there.
fn simulated(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "testdata/simulated", name].iter().collect();
    path.to_str().unwrap().to_owned()
}

/// When the simulated endorsements are current.
const SIMULATED_AT: &str = "1790000000";

fn inspect_simulated(more: &[&str]) -> Ran {
    let endorsements = simulated("tdx-endorsements.json");
    let given = ["--endorsements", &endorsements, "--at", SIMULATED_AT, "--fetched-at", SIMULATED_AT];
    inspect(&Home::new(), &simulated("tdx.json"), &[&given, more].concat())
}

fn is_as_written_down(file: &str, actual: &str, same: impl FnOnce(&str) -> bool) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/strongroom/golden/evidence").join(file);
    if !same(&fs::read_to_string(&golden).unwrap_or_default()) {
        let found = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
        fs::write(&found, actual).unwrap();
        panic!("{file} has changed; if that is meant, copy {} to {}", found.display(), golden.display());
    }
}

fn says(name: &str, ran: &Ran) {
    is_as_written_down(&format!("{name}.txt"), &ran.stdout, |golden| golden == ran.stdout);
}

/// Compared as values: the order of members is no promise.
fn answers(name: &str, ran: &Ran) {
    let answer = ran.json();
    let pretty = serde_json::to_string_pretty(&answer).unwrap() + "\n";
    is_as_written_down(&format!("{name}.json"), &pretty, |golden| {
        serde_json::from_str::<Value>(golden).ok() == Some(answer)
    });
}

fn tells(ran: &Ran, part: &str) {
    assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
}

#[test]
fn every_real_document_is_told_and_judged_as_written_down() {
    // The SGX machine is not configured as Intel advises, the SNP product has no floor by default, the last one is too old.
    for (fixture, code) in [(SGX, 3), (TDX, 0), (TDX_V5, 0), (SNP, 3), (NITRO, 0), (TDX_OUTDATED, 3)] {
        says(fixture.name, fixture.inspect(&[]).ends_with(code));
        answers(fixture.name, fixture.inspect(&["--json"]).ends_with(code));
    }
}

#[test]
fn without_report_data_the_binding_is_not_checked_and_that_is_said() {
    for (fixture, code) in [(SGX, 3), (TDX, 0), (SNP, 3), (NITRO, 0)] {
        tells(fixture.inspect_unbound(&[]).ends_with(code), "NOT CHECKED: without --report-data");
        let answer = fixture.inspect_unbound(&["--json"]).ends_with(code).json();
        let found = format!("0x{}", fixture.report_data());
        let expected = json!({ "checked": false, "matches": null, "expected": null, "found": found });
        assert_eq!(answer["binding"], expected, "{}", fixture.name);
        assert_eq!(answer["authentic"], true);
    }
    tells(&TDX.inspect_unbound(&[]), "ACCEPTED by the policy, whatever it was made for");
}

#[test]
fn evidence_made_for_other_report_data_is_refused_though_authentic() {
    let other = "ab".repeat(64);
    for fixture in [TDX, NITRO] {
        let ran = fixture.inspect_unbound(&["--report-data", &other]);
        tells(ran.ends_with(3), "REFUSED: binding: the evidence was made for another session, key or purpose");
        tells(&ran, &format!("expected            {other}"));
        let answer = fixture.inspect_unbound(&["--report-data", &other, "--json"]).ends_with(3).json();
        assert_eq!((&answer["authentic"], &answer["binding"]["matches"]), (&true.into(), &false.into()));
        assert_eq!((&answer["reason"]["check"], &answer["reason"]["retryable"]), (&"binding".into(), &false.into()));
    }
}

#[test]
fn without_endorsements_nothing_is_decided_and_what_is_shown_is_called_unverified() {
    for (fixture, vendor) in [(SGX, "Intel"), (TDX, "Intel"), (SNP, "AMD")] {
        let document = real(fixture.document);
        let ran = inspect(&Home::new(), &document, &["--at", fixture.at]);
        tells(ran.ends_with(1), &format!("UNDECIDED: endorsements: {vendor} endorsements are needed"));
        tells(&ran, "NOT VERIFIED");
        let answer = inspect(&Home::new(), &document, &["--at", fixture.at, "--json"]).ends_with(1).json();
        assert_eq!((&answer["outcome"], &answer["authentic"]), (&"undecided".into(), &false.into()));
        assert_eq!(answer["reason"]["retryable"], true);
        for absent in ["claims", "measurement"] {
            assert_eq!(answer[absent], Value::Null, "{absent}");
        }
        assert_eq!(answer["policy"]["verdicts"], Value::Null);
        assert_eq!(answer["stated"]["report_data"], format!("0x{}", fixture.report_data()));
    }
}

#[test]
fn one_second_outside_the_dates_nothing_is_decided() {
    let at = |fixture: &Fixture, at: &str| {
        let endorsements = real(fixture.endorsements.unwrap());
        inspect(&Home::new(), &real(fixture.document), &["--endorsements", &endorsements, "--at", at])
    };
    for (fixture, last, after, part) in [
        (TDX, "1752919234", "1752919235", "the PCK revocation list expired at 1752919234, before 1752919235"),
        (SNP, "1901474623", "1901474624", "the VCEK or VLEK certificate expired at 1901474623, before 1901474624"),
    ] {
        tells(&at(&fixture, last), "authentic           yes");
        tells(at(&fixture, after).ends_with(1), &format!("UNDECIDED: endorsements: {part}"));
    }
    // A Nitro document brings its own certificates, so waiting for others does not help.
    let document = real(NITRO.document);
    tells(
        inspect(&Home::new(), &document, &["--at", "1736190426"]).ends_with(3),
        "REFUSED: evidence: the certificate chain",
    );
}

#[test]
fn endorsements_count_as_fetched_when_they_were_issued_unless_somebody_says_when() {
    let ran = TDX.inspect_undated(&[]);
    tells(ran.ends_with(3), "REFUSED: endorsement-age: the endorsements were fetched");
    let home = Home::new();
    let mut set: Value = serde_json::from_slice(&fs::read(real(TDX.endorsements.unwrap())).unwrap()).unwrap();
    set["fetched_at"] = 1_752_800_000.into();
    let dated = home.write("dated.json", &set.to_string());
    let document = real(TDX.document);
    let ran = inspect(&home, &document, &["--endorsements", &dated, "--at", TDX.at]);
    tells(ran.ends_with(0), "fetched at          2025-07-18T00:53:20Z");
    // AMD's certificates do not say.
    tells(SNP.inspect_undated(&[]).ends_with(3), "fetched at          not known");
}

#[test]
fn the_files_that_fit_are_found_in_a_folder() {
    let home = Home::new();
    let folder = home.path("folder");
    fs::create_dir(&folder).unwrap();
    for fixture in [&SGX, &TDX, &TDX_V5] {
        let name = fixture.endorsements.unwrap();
        fs::copy(real(name), folder.join(Path::new(name).file_name().unwrap())).unwrap();
    }
    for name in ["milan_vcek.der", "milan_ask.der", "turin_vcek.der", "turin_ask.der"] {
        fs::copy(real(&format!("snp/{name}")), folder.join(name)).unwrap();
    }
    fs::write(folder.join("README.md"), "not read").unwrap();
    for fixture in [SGX, TDX, TDX_V5, SNP] {
        let given = ["--endorsements", folder.to_str().unwrap(), "--at", fixture.at];
        tells(&inspect(&home, &real(fixture.document), &given), "authentic           yes");
    }
}

#[test]
fn certificates_of_amd_may_come_as_pem_or_as_the_services_file() {
    let home = Home::new();
    let [vcek, ask] = ["snp/milan_vcek.der", "snp/milan_ask.der"].map(|name| fs::read(real(name)).unwrap());
    let pem = |der: &Vec<u8>| {
        let text = BASE64.encode(der);
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    };
    let chain = home.write("chain.pem", &(pem(&ask) + &pem(&vcek)));
    let set = json!({ "vek": hex::encode(&vcek), "intermediate": hex::encode(&ask), "crl": null, "fetched_at": 1_740_000_000 });
    let set = home.write("vcek-Milan.json", &set.to_string());
    for file in [&chain, &set] {
        let ran = inspect(&home, &real(SNP.document), &["--endorsements", file, "--at", SNP.at]);
        tells(&ran, "authentic           yes");
    }
    let ran = inspect(&home, &real(SNP.document), &["--endorsements", &set, "--at", SNP.at]);
    tells(&ran, "fetched at          2025-02-19T21:20:00Z");
}

#[test]
fn endorsements_for_another_platform_or_vendor_decide_nothing() {
    let given = |name| ["--endorsements".to_owned(), real(name), "--at".to_owned(), "1752900000".to_owned()];
    let inspect = |document, endorsements| {
        let given = given(endorsements);
        inspect(&Home::new(), &real(document), &given.each_ref().map(String::as_str))
    };
    let ran = inspect(TDX.document, "intel/sgx_quote_collateral.json");
    tells(ran.ends_with(1), "the endorsements are for another kind of enclave");
    let ran = inspect(TDX.document, "intel/tdx_quote_outdated_collateral.json");
    tells(ran.ends_with(1), "UNDECIDED: endorsements: ");
    tells(inspect(TDX.document, "snp").ends_with(1), "Intel endorsements are needed");
    tells(inspect(SNP.document, "intel/sgx_quote_collateral.json").ends_with(1), "AMD endorsements are needed");
}

#[test]
fn other_rules_give_another_answer() {
    let home = Home::new();
    let milan = "version = 1\ndanger_without_revocation = true\n[amd]\nreport_versions = [2]\n[amd.floors.Milan]\n\
                 minimum = { bootloader = 3, tee = 0, snp = 8, microcode = 115 }\nbulletin = 'AMD-SB-0000'\n";
    let milan = home.write("milan.toml", milan);
    tells(SNP.inspect(&["--policy", &milan]).ends_with(0), "outcome             ACCEPTED\n");
    let sgx =
        json!({ "version": 1, "intel": { "danger_configuration_needed": true, "advisories": ["INTEL-SA-00289"] } });
    let sgx = home.write("sgx.json", &sgx.to_string());
    tells(SGX.inspect(&["--policy", &sgx]).ends_with(3), "REFUSED: advisories: INTEL-SA-00615 applies");
    let elsewhere = "version = 1\nplatforms = ['intel-ppid:00000000000000000000000000000000']\n";
    let elsewhere = home.write("elsewhere.toml", elsewhere);
    tells(TDX.inspect(&["--policy", &elsewhere]).ends_with(3), "REFUSED: platform: the machine [intel-ppid:");
}

#[test]
fn an_image_is_judged_where_a_list_is_given() {
    let home = Home::new();
    let code = &TDX.inspect(&["--json"]).json()["claims"]["code"]["tdx"];
    let image = json!({
        "name": "the image", "mrtd": code["mrtd"], "rtmr0": [code["rtmrs"][0]], "rtmr1": code["rtmrs"][1],
        "rtmr2": code["rtmrs"][2],
    });
    let list = home.write("images.json", &json!({ "images": [image] }).to_string());
    tells(TDX.inspect(&["--images", &list]).ends_with(0), "image approved      yes, as the image");
    let answer = TDX.inspect(&["--images", &list, "--json"]).json();
    assert_eq!((&answer["image"]["approved"], &answer["image"]["name"]), (&true.into(), &"the image".into()));

    let zeros = "0".repeat(96);
    let other = format!("[[images]]\nname = 'x'\nmrtd = '{zeros}'\nrtmr0 = []\nrtmr1 = '{zeros}'\nrtmr2 = '{zeros}'\n");
    let other = home.write("other.toml", &other);
    tells(TDX.inspect(&["--images", &other]).ends_with(3), "REFUSED: image: the image 0x");
    assert_eq!(TDX.inspect(&["--images", &other, "--json"]).ends_with(3).json()["image"]["approved"], false);
    assert_eq!(TDX.inspect(&["--json"]).json()["image"]["approved"], Value::Null);
}

#[test]
fn simulated_evidence_is_refused_and_called_by_its_name() {
    says("simulated-tdx", inspect_simulated(&[]).ends_with(3));
    answers("simulated-tdx", inspect_simulated(&["--json"]).ends_with(3));
    // No policy opens the door: there is no root.
    let policy = Home::new();
    let policy = policy.write("policy.toml", "version = 1\ndanger_development = '*'\n");
    let ran = inspect_simulated(&["--policy", &policy]);
    tells(ran.ends_with(3), "REFUSED: endorsements: the TCB info chain does not lead to a configured root");
}

#[cfg(not(feature = "development-anchors"))]
#[test]
fn a_build_for_production_knows_no_further_roots() {
    let root = simulated("intel.der");
    let ran = inspect_simulated(&["--root", &root]);
    assert!(ran.ends_with(2).stderr.contains("unexpected argument '--root'"), "{ran:?}");
}

#[cfg(feature = "development-anchors")]
#[test]
fn a_development_build_takes_a_simulators_root_and_still_needs_a_policy_that_does() {
    let root = simulated("intel.der");
    let ran = inspect_simulated(&["--root", &root]);
    tells(ran.ends_with(3), "REFUSED: trust-domain: development:simulator is simulated evidence");
    tells(&ran, "*** SIMULATED");
    let home = Home::new();
    let policy = home.write("policy.toml", "version = 1\ndanger_development = 'simulator'\n");
    let ran = inspect_simulated(&["--root", &root, "--policy", &policy]);
    tells(ran.ends_with(0), "*** SIMULATED");
    tells(&ran, "development:simulator: SIMULATED");
    let misnamed = home.write("root.der", "");
    inspect_simulated(&["--root", &misnamed]).ends_with(6);
}

#[test]
fn an_event_log_that_does_not_explain_the_registers_is_refused() {
    let home = Home::new();
    let log = home.write("log.json", "[]");
    let ran = TDX.inspect(&["--event-log", &log]);
    tells(ran.ends_with(3), "REFUSED: evidence: the event log is not acceptable: the events do not lead to RTMR0");
    tells(&ran, "event log           BAD: the events do not lead to RTMR0 of the quote");
    let error = SGX.inspect(&["--event-log", &log, "--json"]).ends_with(6).error();
    assert_eq!(error["causes"], json!(["sgx evidence has no event log"]));
    let endorsements = simulated("tdx-endorsements.json");
    let given = ["--endorsements", &endorsements, "--event-log", &log];
    let ran = inspect(&home, &simulated("tdx.json"), &given);
    assert!(ran.ends_with(6).stderr.contains("already has an event log"), "{ran:?}");
}

#[test]
fn what_is_no_evidence_is_an_error_that_says_why() {
    let home = Home::new();
    let quote = fs::read(real(TDX.document)).unwrap();
    let cut = |length| {
        let path = home.path(&format!("cut-{length}"));
        fs::write(&path, &quote[..length]).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let envelope = |kind: &str, document: &[u8]| {
        home.write(kind, &json!({ "kind": kind, "document": BASE64.encode(document) }).to_string())
    };
    for (file, more, message, cause) in [
        (home.path("absent").to_str().unwrap().to_owned(), &[][..], "cannot read", "No such file"),
        (home.write("empty", ""), &[], "is neither an evidence envelope nor", ""),
        (home.write("hex", &hex::encode(&quote)), &[], "is neither an evidence envelope nor", ""),
        (home.write("huge", &" ".repeat(3_000_000)), &[], "larger than", ""),
        (cut(1_000), &[], "not well-formed tdx evidence", "cut short"),
        (cut(47), &[], "not well-formed tdx evidence", "cut short"),
        (cut(7), &[], "is neither an evidence envelope nor", ""),
        (cut(7), &["--kind", "tdx"], "not well-formed tdx evidence", "cut short"),
        (real(TDX.document), &["--kind", "sgx"], "not well-formed sgx evidence", "not sgx evidence as its tag says"),
        (real(SNP.document), &["--kind", "nitro"], "not well-formed nitro evidence", "not COSE_Sign1"),
        (real(NITRO.document), &["--kind", "snp"], "not well-formed snp evidence", "more than the 1184 allowed"),
        (envelope("sgx", &quote), &[], "not well-formed sgx evidence", "not sgx evidence as its tag says"),
        (envelope("tdx", &quote), &["--kind", "sgx"], "says that it is tdx evidence, and --kind says sgx", ""),
        (envelope("tpm", &quote), &[], "not well-formed enveloped evidence", "use sgx, tdx, snp or nitro"),
        (home.write("cut.json", r#"{"kind":"tdx","#), &[], "not well-formed enveloped evidence", "malformed"),
    ] {
        let ran = inspect(&home, &file, &[&["--json"], more].concat());
        let error = ran.ends_with(6).error();
        assert!(error["message"].as_str().unwrap().contains(message), "{file} {more:?}: {error}");
        assert!(error["causes"].to_string().contains(cause), "{file} {more:?}: {error}");
        assert!(error["remedy"].is_string(), "{error}");
    }
    tells(inspect(&home, &envelope("tdx", &quote), &["--kind", "tdx"]).ends_with(1), "Intel TDX quote, version 4");
}

#[test]
fn files_that_are_not_what_they_should_be_are_named() {
    let home = Home::new();
    let folder = home.path("folder");
    fs::create_dir(&folder).unwrap();
    fs::copy(real("snp/milan_vcek.der"), folder.join("vcek.der")).unwrap();
    let lonely = folder.to_str().unwrap();
    let nothing = home.write("nothing.txt", "nothing");
    let wrong = home.write("wrong.json", r#"{"tcb_info": 7}"#);
    let half = home.write("half.json", r#"{"pck_crl": ""}"#);
    let key = home.write("key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let policy = home.write("policy.toml", "version = 1\nkind = ['sgx']\n");
    let future = home.write("future.json", r#"{"version": 2}"#);
    let images = home.write("images.toml", "[[images]]\nname = 'x'\n");
    for (option, file, message) in [
        ("--endorsements", lonely, "not a VCEK or VLEK with the one that issued it"),
        ("--endorsements", &nothing, "is not a set of endorsements"),
        ("--endorsements", &wrong, "is not a set of endorsements"),
        ("--endorsements", &half, "cannot be used"),
        ("--endorsements", &key, "is not a set of endorsements"),
        ("--endorsements", "absent", "cannot read"),
        ("--policy", &policy, "is not a policy"),
        ("--policy", &future, "is not a policy"),
        ("--images", &images, "is not a list of approved images"),
        ("--event-log", "absent", "cannot read"),
    ] {
        let error = inspect(&home, &real(TDX.document), &[option, file, "--json"]).ends_with(6).error();
        let named = error["message"].as_str().unwrap();
        assert!(named.contains(message) && named.contains(file), "{option} {file}: {error}");
    }
    let error = inspect(&home, &real(TDX.document), &["--policy", &policy]).ends_with(6).stderr.clone();
    assert!(error.contains("line 2") && error.contains("kind"), "{error}");
}

#[test]
fn words_that_mean_nothing_are_usage_errors() {
    for more in [["--kind", "tpm"], ["--at", "yesterday"], ["--report-data", "abcd"], ["--fetched-at", "-1"]] {
        TDX.inspect_undated(&more).ends_with(2);
    }
}

#[test]
fn neither_settings_nor_wallets_are_touched() {
    let home = Home::new();
    home.write("config/strongroom/config.toml", "this is not TOML");
    inspect(&home, &real(NITRO.document), &["--at", NITRO.at]).ends_with(0);
    assert!(!home.path("data").exists());
}
