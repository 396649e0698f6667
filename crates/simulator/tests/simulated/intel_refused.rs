//! What the verifier must refuse of Intel evidence, each rule broken alone on otherwise flawless simulated evidence.

use std::sync::LazyLock;

use strongroom_attest::claims::{Claims, IntelTcb, IntelTcbStatus, Tcb};
use strongroom_attest::error::EventLogFault;
use strongroom_attest::{EndorsementFault, EvidenceFault, ExpectedBinding, VerifyError, verify};
use strongroom_protocol::UnixSeconds;
use strongroom_simulator::dates::Validity;
use strongroom_simulator::intel::{
    IntelDates, PLATFORM_CA_SERIAL, PckCa, PckChain, QuotingEnclave, TCB_SIGNING_SERIAL, TcbSigner,
};
use strongroom_simulator::{
    AppIdentity, IntelMachine, IntelStatements, RuntimeEvent, SgxMeasured, SimulatedEvidence, Simulator,
    SimulatorSettings, TdxFormat, TdxMeasured,
};

use crate::corpus::NOW;

const REPORT_DATA: [u8; 64] = [0x33; 64];
const HOUR: u64 = 3600;

/// One attempt: everything that can be wrong, all of it right by default.
struct Attempt {
    settings: SimulatorSettings,
    machine: IntelMachine,
    statements: IntelStatements,
    now: UnixSeconds,
}

impl Default for Attempt {
    fn default() -> Self {
        Self {
            settings: SimulatorSettings { seed: [7; 32], ..SimulatorSettings::default() },
            machine: IntelMachine::default(),
            statements: IntelStatements::current_at(NOW),
            now: NOW,
        }
    }
}

/// Most attempts share one simulator, whose keys are made once.
fn with_simulator<T>(settings: &SimulatorSettings, attempt: impl FnOnce(&Simulator) -> T) -> T {
    static SHARED: LazyLock<Simulator> = LazyLock::new(|| Simulator::new(Attempt::default().settings));
    if *settings == Attempt::default().settings { attempt(&SHARED) } else { attempt(&Simulator::new(settings.clone())) }
}

impl Attempt {
    fn tdx(&self, measured: &TdxMeasured) -> Result<Claims, VerifyError> {
        with_simulator(&self.settings, |simulator| {
            self.judge(simulator, &simulator.tdx_on(&self.machine, measured, REPORT_DATA))
        })
    }

    fn sgx(&self, measured: &SgxMeasured) -> Result<Claims, VerifyError> {
        with_simulator(&self.settings, |simulator| {
            self.judge(simulator, &simulator.sgx_on(&self.machine, measured, REPORT_DATA))
        })
    }

    /// A TDX quote and an SGX quote that differ from flawless ones only in `self`; the two verdicts must agree.
    fn both(&self) -> Result<Claims, VerifyError> {
        let tdx = self.tdx(&TdxMeasured::default());
        let sgx = self.sgx(&SgxMeasured::default());
        assert_eq!(tdx.as_ref().err(), sgx.as_ref().err());
        tdx
    }

    fn judge(&self, simulator: &Simulator, evidence: &SimulatedEvidence) -> Result<Claims, VerifyError> {
        let endorsements = simulator.intel_endorsements_of(evidence.kind, &self.statements, self.now)?;
        let evidence = evidence.evidence().unwrap();
        let binding = ExpectedBinding::new(REPORT_DATA);
        verify(&evidence, &endorsements, &binding, &simulator.anchors(), self.now)
            .map(|verified| verified.claims().clone())
    }
}

fn statements(change: impl FnOnce(&mut IntelStatements)) -> Attempt {
    let mut attempt = Attempt::default();
    change(&mut attempt.statements);
    attempt
}

fn machine(change: impl FnOnce(&mut IntelMachine)) -> Attempt {
    let mut attempt = Attempt::default();
    change(&mut attempt.machine);
    attempt
}

fn tcb(claims: &Claims) -> &IntelTcb {
    match &claims.tcb {
        Tcb::Intel(tcb) => tcb,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_bad_evidence(verdict: Result<Claims, VerifyError>, part_of_message: &str) {
    let error = verdict.unwrap_err();
    assert!(matches!(error, VerifyError::Evidence(_)), "{error:?}");
    assert!(error.to_string().contains(part_of_message), "{error}");
}

#[track_caller]
fn assert_bad_endorsements(verdict: Result<Claims, VerifyError>, part_of_message: &str) {
    let error = verdict.unwrap_err();
    assert!(matches!(error, VerifyError::Endorsements(_)), "{error:?}");
    assert!(error.to_string().contains(part_of_message), "{error}");
}

// --- debug and attributes ---

#[test]
fn an_enclave_in_debug_mode_is_refused() {
    let measured = SgxMeasured { attributes: 0x07, ..SgxMeasured::default() };
    assert_eq!(Attempt::default().sgx(&measured), Err(EvidenceFault::Debug.into()));
}

#[test]
fn a_trust_domain_in_debug_or_profiling_mode_is_refused() {
    for bit in [0, 4, 5, 6] {
        for format in TdxFormat::ALL {
            let attributes = 1 << 28 | 1 << bit;
            let measured = TdxMeasured { format, attributes, ..TdxMeasured::default() };
            assert_eq!(Attempt::default().tdx(&measured), Err(EvidenceFault::Debug.into()), "bit {bit} {format:?}");
        }
    }
}

#[test]
fn a_quoting_enclave_in_debug_mode_is_refused() {
    let quoting = QuotingEnclave { attributes: 0x13, ..QuotingEnclave::default() };
    assert_eq!(machine(|machine| machine.quoting = quoting).both(), Err(EvidenceFault::Debug.into()));
}

#[test]
fn an_enclave_that_is_not_initialised_or_may_ask_for_platform_keys_is_refused() {
    for (attributes, name) in [(0x04, "INIT"), (0x01, "MODE64BIT"), (0x15, "PROVISION_KEY"), (0x25, "EINITTOKEN_KEY")] {
        let measured = SgxMeasured { attributes, ..SgxMeasured::default() };
        assert_eq!(Attempt::default().sgx(&measured), Err(EvidenceFault::Attribute(name).into()), "{name}");
    }
}

#[test]
fn a_trust_domain_without_sept_ve_disable_is_refused() {
    let measured = TdxMeasured { attributes: 0, ..TdxMeasured::default() };
    assert_bad_evidence(Attempt::default().tdx(&measured), "SEPT_VE_DISABLE");
}

#[test]
fn a_trust_domain_that_can_migrate_or_be_extended_by_a_service_is_refused() {
    for (bit, name) in [(29, "migration"), (17, "SERVTD_EXT")] {
        let measured = TdxMeasured { attributes: 1 << 28 | 1 << bit, ..TdxMeasured::default() };
        assert_bad_evidence(Attempt::default().tdx(&measured), name);
    }
}

#[test]
fn a_trust_domain_with_reserved_attributes_is_refused() {
    for bit in (1..=3).chain(7..=15).chain(23..=26).chain(32..=61) {
        let measured = TdxMeasured { attributes: 1 << 28 | 1 << bit, ..TdxMeasured::default() };
        assert_bad_evidence(Attempt::default().tdx(&measured), "verification failed");
    }
}

#[test]
fn attributes_that_depend_on_the_use_are_stated_for_the_policy_to_judge() {
    for bit in [30, 63] {
        let measured = TdxMeasured { attributes: 1 << 28 | 1 << bit, ..TdxMeasured::default() };
        assert!(Attempt::default().tdx(&measured).is_ok(), "bit {bit}");
    }
}

#[test]
fn a_trust_domain_bound_to_a_service_is_refused() {
    let measured = TdxMeasured { format: TdxFormat::V5Td15, mr_service_td: [1; 48], ..TdxMeasured::default() };
    assert_bad_evidence(Attempt::default().tdx(&measured), "service TD");
}

#[test]
fn a_tdx_module_that_intel_did_not_sign_is_refused() {
    for measured in [
        TdxMeasured { mr_signer_seam: [1; 48], ..TdxMeasured::default() },
        TdxMeasured { seam_attributes: 1, ..TdxMeasured::default() },
    ] {
        assert_bad_evidence(Attempt::default().tdx(&measured), "module");
    }
}

// --- structure of the quote ---

#[test]
fn a_quote_of_another_version_type_algorithm_or_vendor_is_refused() {
    let quotes = [
        QuotingEnclave { quote_version: Some(2), ..QuotingEnclave::default() },
        QuotingEnclave { quote_version: Some(6), ..QuotingEnclave::default() },
        QuotingEnclave { tee_type: Some(1), ..QuotingEnclave::default() },
        QuotingEnclave { key_type: 3, ..QuotingEnclave::default() },
        QuotingEnclave { vendor_id: [0; 16], ..QuotingEnclave::default() },
        QuotingEnclave { certification_type: 1, ..QuotingEnclave::default() },
        QuotingEnclave { auth_data: vec![], ..QuotingEnclave::default() },
        QuotingEnclave { auth_data: vec![0; 33], ..QuotingEnclave::default() },
    ];
    for quoting in quotes {
        let verdict = machine(|machine| machine.quoting = quoting.clone()).both();
        assert!(matches!(verdict, Err(VerifyError::Evidence(_))), "{quoting:?}: {verdict:?}");
    }
}

#[test]
fn a_quote_signed_under_the_label_of_the_other_kind_is_refused() {
    let sgx_as_tdx = QuotingEnclave { tee_type: Some(0x81), ..QuotingEnclave::default() };
    let verdict = machine(|machine| machine.quoting = sgx_as_tdx).sgx(&SgxMeasured::default());
    assert!(matches!(verdict, Err(VerifyError::Evidence(_))), "{verdict:?}");
    let tdx_as_sgx = QuotingEnclave { tee_type: Some(0), ..QuotingEnclave::default() };
    let verdict = machine(|machine| machine.quoting = tdx_as_sgx).tdx(&TdxMeasured::default());
    assert!(matches!(verdict, Err(VerifyError::Evidence(_))), "{verdict:?}");
}

#[test]
fn the_outer_certification_type_must_be_a_qe_report_although_the_library_ignores_it() {
    for outer in [5, 7] {
        let quoting = QuotingEnclave { outer_certification_type: outer, ..QuotingEnclave::default() };
        let verdict = machine(|machine| machine.quoting = quoting).tdx(&TdxMeasured::default());
        let field = "certification data type";
        assert_eq!(verdict, Err(EvidenceFault::Unsupported { field, found: outer.into() }.into()));
    }
}

#[test]
fn other_authentication_data_of_the_quoting_enclave_is_accepted_when_it_is_bound() {
    let quoting = QuotingEnclave { auth_data: vec![9; 32], ..QuotingEnclave::default() };
    assert!(machine(|machine| machine.quoting = quoting).both().is_ok());
}

#[test]
fn a_quoting_enclave_by_another_signer_or_of_another_product_is_refused() {
    let by_another = QuotingEnclave { mr_signer: [1; 32], ..QuotingEnclave::default() };
    assert_bad_evidence(machine(|machine| machine.quoting = by_another).both(), "verification failed");
    // The quoting enclave of SGX for a trust domain.
    let product = QuotingEnclave { isv_prod_id: Some(1), ..QuotingEnclave::default() };
    let verdict = machine(|machine| machine.quoting = product).tdx(&TdxMeasured::default());
    assert_bad_evidence(verdict, "ISVPRODID");
}

// --- certificates ---

#[test]
fn a_chain_that_the_root_does_not_stand_behind_is_refused() {
    for chain in [PckChain::ForgedAuthority, PckChain::AuthorityAsLeaf, PckChain::IssuedByTcbSigning] {
        let verdict = machine(|machine| machine.pck_chain = chain).both();
        assert!(verdict.is_err(), "{chain:?}");
    }
}

#[test]
fn a_chain_stuffed_with_certificates_is_refused() {
    assert!(machine(|machine| machine.pck_chain = PckChain::Padded(7)).both().is_err());
}

#[test]
fn a_pck_certificate_counts_within_its_dates_and_not_one_second_beyond() {
    let valid = Validity { from: UnixSeconds(NOW.0 - HOUR), until: UnixSeconds(NOW.0 + HOUR) };
    for (now, accepted) in
        [(valid.from.0 - 1, false), (valid.from.0, true), (valid.until.0, true), (valid.until.0 + 1, false)]
    {
        let attempt = Attempt { now: UnixSeconds(now), ..machine(|machine| machine.pck_valid = valid) };
        assert_eq!(attempt.both().is_ok(), accepted, "at second {now}");
    }
}

#[test]
fn every_authority_counts_within_its_dates_and_not_one_second_beyond() {
    let valid = Validity { from: UnixSeconds(NOW.0 - HOUR), until: UnixSeconds(NOW.0 + HOUR) };
    for dates in [
        IntelDates { pck_ca: valid, ..IntelDates::default() },
        IntelDates { tcb_signing: valid, ..IntelDates::default() },
        IntelDates { root: valid, ..IntelDates::default() },
    ] {
        for (now, accepted) in
            [(valid.from.0 - 1, false), (valid.from.0, true), (valid.until.0, true), (valid.until.0 + 1, false)]
        {
            let settings = SimulatorSettings { intel_dates: dates, ..Attempt::default().settings };
            let verdict = Attempt { settings, now: UnixSeconds(now), ..Attempt::default() }.both();
            assert_eq!(verdict.is_ok(), accepted, "{dates:?} at second {now}: {verdict:?}");
        }
    }
}

#[test]
fn tcb_info_that_the_tcb_signer_did_not_sign_is_refused_and_worth_a_retry() {
    for signer in [TcbSigner::PckKey, TcbSigner::Forged, TcbSigner::BelowPlatformCa] {
        let verdict = statements(|statements| statements.signer = signer).both();
        assert!(matches!(verdict, Err(VerifyError::Endorsements(_))), "{signer:?}: {verdict:?}");
    }
}

// --- revocation ---

#[test]
fn a_revoked_machine_is_refused() {
    let serial = IntelMachine::default().pck_serial;
    assert_bad_evidence(statements(|statements| statements.revoked_pck = vec![1, serial]).both(), "CertRevoked");
    assert!(statements(|statements| statements.revoked_pck = vec![1, serial + 1]).both().is_ok());
}

#[test]
fn a_revoked_authority_is_refused() {
    for serial in [PLATFORM_CA_SERIAL, TCB_SIGNING_SERIAL] {
        assert!(statements(|statements| statements.revoked_by_root = vec![serial]).both().is_err(), "{serial:#x}");
    }
}

#[test]
fn a_revocation_list_counts_within_its_dates_and_not_beyond() {
    let valid = Validity { from: UnixSeconds(NOW.0 - HOUR), until: UnixSeconds(NOW.0 + HOUR) };
    // At the second of its next update a list has expired.
    for (now, accepted) in
        [(valid.from.0 - 1, false), (valid.from.0, true), (valid.until.0 - 1, true), (valid.until.0, false)]
    {
        let now = UnixSeconds(now);
        let pck = Attempt { now, ..statements(|statements| statements.pck_crl_valid = valid) };
        assert_eq!(pck.both().is_ok(), accepted, "PCK list at second {now}");
        let root = Attempt { now, ..statements(|statements| statements.root_crl_valid = valid) };
        assert_eq!(root.both().is_ok(), accepted, "root list at second {now}");
    }
}

#[test]
fn the_list_of_another_authority_does_not_serve() {
    let verdict = statements(|statements| statements.pck_ca = PckCa::Processor).both();
    assert_eq!(verdict, Err(EndorsementFault::ForAnother("certificate authority").into()));
    let mut attempt = statements(|statements| statements.pck_ca = PckCa::Processor);
    attempt.machine.pck_ca = PckCa::Processor;
    assert!(attempt.both().is_ok());
}

// --- TCB info and identity ---

#[test]
fn tcb_info_and_identity_count_within_their_dates_and_not_one_second_beyond() {
    let valid = Validity { from: UnixSeconds(NOW.0 - HOUR), until: UnixSeconds(NOW.0 + HOUR) };
    for (now, accepted) in
        [(valid.from.0 - 1, false), (valid.from.0, true), (valid.until.0, true), (valid.until.0 + 1, false)]
    {
        let now = UnixSeconds(now);
        let tcb_info = Attempt { now, ..statements(|statements| statements.tcb_info_valid = valid) }.both();
        let identity = Attempt { now, ..statements(|statements| statements.qe_identity_valid = valid) }.both();
        for verdict in [tcb_info, identity] {
            assert_eq!(verdict.is_ok(), accepted, "at second {now}: {verdict:?}");
            if let Err(error) = verdict {
                assert!(error.is_retryable(), "{error}");
            }
        }
    }
}

#[test]
fn endorsements_for_another_platform_do_not_serve() {
    let verdict = statements(|statements| statements.fmspc = [1; 6]).both();
    assert_eq!(verdict, Err(EndorsementFault::ForAnother("platform (FMSPC)").into()));
}

#[test]
fn endorsements_for_another_pce_do_not_serve_although_the_library_takes_them() {
    let verdict = statements(|statements| statements.pce_id = [0, 1]).both();
    assert_eq!(verdict, Err(EndorsementFault::ForAnother("PCE id").into()));
}

#[test]
fn a_status_that_intel_does_not_use_is_refused_before_use() {
    let unknown =
        || Attempt { statements: IntelStatements::current_at(NOW).with_status("Perfect", &[]), ..Attempt::default() };
    assert_bad_endorsements(unknown().tdx(&TdxMeasured::default()), "TCB info");
    assert_bad_endorsements(unknown().sgx(&SgxMeasured::default()), "TCB info");
}

#[test]
fn an_identity_for_another_quoting_enclave_is_refused() {
    assert_bad_evidence(statements(|statements| statements.qe_mr_signer = [1; 32]).both(), "MRSIGNER");
}

#[test]
fn the_claims_carry_the_lower_evaluation_number() {
    for (tcb_info, identity) in [(12, 17), (17, 12)] {
        let attempt = statements(|statements| {
            statements.evaluation_number = tcb_info;
            statements.qe_evaluation_number = identity;
        });
        assert_eq!(tcb(&attempt.both().unwrap()).evaluation_number, 12);
    }
}

// --- TCB levels ---

#[test]
fn every_status_of_the_platform_reaches_the_claims_except_revoked() {
    for status in IntelTcbStatus::ALL {
        let statements = IntelStatements::current_at(NOW).with_status(status.as_str(), &["INTEL-SA-00615"]);
        let verdict = Attempt { statements, ..Attempt::default() }.both();
        if status.as_str().starts_with("TDRelaunch") {
            // Follows from two levels; Intel never writes it into one.
            assert!(verdict.is_err(), "{status}");
        } else {
            let claims = verdict.unwrap();
            assert_eq!(tcb(&claims).status, status);
            assert_eq!(tcb(&claims).advisories, ["INTEL-SA-00615"]);
        }
    }
    let statements = IntelStatements::current_at(NOW).with_status("Revoked", &[]);
    assert!(Attempt { statements, ..Attempt::default() }.both().is_err());
}

#[test]
fn a_machine_one_level_down_is_out_of_date_with_the_advisories_of_that_level() {
    for attempt in [
        machine(|machine| machine.cpu_svn[0] -= 1),
        machine(|machine| machine.pce_svn -= 1),
        machine(|machine| machine.quoting.isv_svn = 7),
    ] {
        let claims = attempt.both().unwrap();
        assert_eq!(tcb(&claims).status, IntelTcbStatus::OutOfDate);
        assert_eq!(tcb(&claims).advisories, ["INTEL-SA-00960"]);
    }
}

#[test]
fn a_machine_below_all_levels_is_refused() {
    for attempt in [
        machine(|machine| machine.cpu_svn[2] = 0),
        machine(|machine| machine.pce_svn = 1),
        machine(|machine| machine.quoting.isv_svn = 5),
    ] {
        assert!(attempt.both().is_err());
    }
}

#[test]
fn an_old_tdx_module_is_out_of_date_and_an_unknown_one_refused() {
    let module = |svn: u8, major: u8| {
        let mut measured = TdxMeasured::default();
        measured.tee_tcb_svn[..2].copy_from_slice(&[svn, major]);
        Attempt::default().tdx(&measured)
    };
    assert_eq!(tcb(&module(5, 1).unwrap()).status, IntelTcbStatus::UpToDate);
    assert_eq!(tcb(&module(4, 1).unwrap()).status, IntelTcbStatus::OutOfDate);
    assert!(module(3, 1).is_err(), "below all levels of the module");
    assert!(module(0, 1).is_err(), "no version");
    assert_bad_evidence(module(5, 2), "TDX_02");
}

#[test]
fn a_module_without_identity_is_refused() {
    let verdict = statements(|statements| statements.module_levels.clear()).tdx(&TdxMeasured::default());
    assert!(verdict.is_err());
}

#[test]
fn a_trust_domain_that_was_updated_while_it_ran_is_advised_to_relaunch() {
    let mut measured = TdxMeasured { format: TdxFormat::V5Td15, ..TdxMeasured::default() };
    measured.tee_tcb_svn[0] = 4;
    let claims = Attempt::default().tdx(&measured).unwrap();
    assert_eq!(tcb(&claims).status, IntelTcbStatus::TDRelaunchAdvised);
    assert_eq!(tcb(&claims).advisories, ["INTEL-SA-00960"]);
}

// --- event log ---

fn with_log(change: impl FnOnce(&mut Vec<serde_json::Value>)) -> Result<Claims, VerifyError> {
    let attempt = Attempt::default();
    let simulator = Simulator::new(attempt.settings.clone());
    let mut measured = TdxMeasured::default();
    measured.log.extend(RuntimeEvent::new("first", [1]));
    measured.log.extend(RuntimeEvent::new("second", [2]));
    let mut evidence = simulator.tdx(&measured, REPORT_DATA);
    let mut log = serde_json::from_str(evidence.event_log.as_deref().unwrap()).unwrap();
    change(&mut log);
    evidence.event_log = Some(serde_json::Value::Array(log).to_string());
    attempt.judge(&simulator, &evidence)
}

fn event_log_fault(verdict: Result<Claims, VerifyError>) -> EventLogFault {
    match verdict {
        Err(VerifyError::Evidence(EvidenceFault::EventLog(fault))) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_log_with_an_event_removed_added_repeated_or_moved_is_refused() {
    assert!(with_log(|_| ()).is_ok());
    for register in 0..3 {
        let fault = event_log_fault(with_log(|log| drop(log.remove(register))));
        assert!(matches!(fault, EventLogFault::Replay { .. }), "{fault}");
    }
    let last = |log: &Vec<serde_json::Value>| log.len() - 1;
    for verdict in [
        with_log(|log| drop(log.pop())),
        with_log(|log| log.push(log[last(log)].clone())),
        with_log(|log| {
            let end = last(log);
            log.swap(end, end - 1);
        }),
    ] {
        assert_eq!(event_log_fault(verdict), EventLogFault::Replay { register: 3 });
    }
}

#[test]
fn a_payload_or_name_changed_under_its_digest_is_refused() {
    for (member, value) in [("event_payload", "03"), ("event", "third")] {
        let fault = event_log_fault(with_log(|log| {
            let end = log.len() - 1;
            log[end][member] = value.into();
        }));
        assert!(matches!(fault, EventLogFault::Digest { .. }), "{fault}");
    }
}

#[test]
fn the_log_of_another_quote_is_refused() {
    let attempt = Attempt::default();
    let simulator = Simulator::new(attempt.settings.clone());
    let other = TdxMeasured::of_app(&AppIdentity { compose_hash: [1; 32], ..AppIdentity::default() });
    let mut evidence = simulator.tdx(&TdxMeasured::default(), REPORT_DATA);
    evidence.event_log = simulator.tdx(&other, REPORT_DATA).event_log;
    let fault = event_log_fault(attempt.judge(&simulator, &evidence));
    assert_eq!(fault, EventLogFault::Replay { register: 3 });
}

/// Events that were measured as they stand, so that only the rules about them can refuse.
fn measured_events(change: impl FnOnce(&mut Vec<RuntimeEvent>)) -> Result<Claims, VerifyError> {
    let mut measured = TdxMeasured::default();
    change(&mut measured.log.runtime);
    Attempt::default().tdx(&measured)
}

#[test]
fn an_application_cannot_pose_as_the_platform() {
    for name in ["compose-hash", "app-id", "system-ready", "init-script-hash"] {
        let verdict = measured_events(|events| events.push(RuntimeEvent::new(name, [0; 32])));
        assert_eq!(event_log_fault(verdict), EventLogFault::Reserved(name.to_owned()));
    }
}

#[test]
fn a_name_that_makes_the_digest_ambiguous_is_refused() {
    for name in ["a:b", "", "a b", "ä"] {
        let fault = event_log_fault(measured_events(|events| events.push(RuntimeEvent::new(name, [1]))));
        assert!(matches!(fault, EventLogFault::Name { .. }), "{name:?}: {fault}");
    }
}

#[test]
fn a_boot_without_its_events_or_with_one_twice_is_refused() {
    for name in
        ["system-preparing", "app-id", "compose-hash", "instance-id", "boot-mr-done", "key-provider", "system-ready"]
    {
        let verdict = measured_events(|events| events.retain(|event| event.name != name));
        assert_eq!(event_log_fault(verdict), EventLogFault::Missing(name));
        if name != "system-ready" {
            let verdict = measured_events(|events| {
                let at = events.iter().position(|event| event.name == name).unwrap();
                events.insert(at, events[at].clone());
            });
            assert_eq!(event_log_fault(verdict), EventLogFault::Repeated(name.to_owned()));
        }
    }
}
