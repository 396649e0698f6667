//! What was found, for people. Every value stands on one line of its own, whatever characters the evidence put into it.

use jiff::Timestamp;
use strongroom_attest::claims::{
    AmdPlatform, AmdSigningKey, AmdTcb, Claims, Code, IntelPlatform, IntelTcb, MeasuredEvent, MeasuredLog, NitroCode,
    Platform, Revocation, SgxCode, SgxType, SnpCode, SnpTcb, Tcb, TdxCode,
};
use strongroom_attest::inspect::StatedMachine;
use strongroom_attest::policy::PlatformId;
use strongroom_attest::{EvidenceKind, TrustDomain};
use strongroom_protocol::UnixSeconds;

use super::bits::{SGX_ATTRIBUTES, SNP_PLATFORM_INFO, SNP_POLICY, TD_ATTRIBUTES, named};
use super::{Approval, Binding, Inspection, Outcome};

/// Room for the names of values; longer ones of events push their value to the right.
const LABEL_WIDTH: usize = 19;

/// A heading with named values below it.
struct Section {
    heading: String,
    rows: Vec<(String, String)>,
}

impl Section {
    fn new(heading: impl Into<String>) -> Self {
        Self { heading: heading.into(), rows: Vec::new() }
    }

    fn row(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.rows.push((name.into(), value.into()));
        self
    }

    fn row_if_some(self, name: &str, value: Option<String>) -> Self {
        match value {
            Some(value) => self.row(name, value),
            None => self,
        }
    }
}

impl Inspection {
    /// Lines, the last without its line break.
    pub(crate) fn text(&self) -> String {
        let mut sections = vec![self.result()];
        if let Ok(claims) = &self.claims {
            sections.push(trust(claims));
            sections.push(code("Code", &claims.code, claims.debug));
            sections.extend(log("Event log", &claims.code));
            sections.push(machine(claims));
            sections.push(tcb(claims));
        } else {
            let heading = |what: &str| format!("{what}: what it says of itself, NOT VERIFIED");
            sections.push(code(&heading("Code"), &self.stated.code, self.stated.debug));
            sections.extend(log(&heading("Event log"), &self.stated.code));
            sections.push(stated_machine(&heading("Machine"), &self.stated.machine));
        }
        sections.push(self.identity());
        sections.push(self.rules());
        let mut lines = vec![self.title()];
        if self.simulated {
            lines.push(
                "*** SIMULATED: made by a simulator. No hardware stands behind it; it protects nothing. ***".to_owned(),
            );
        }
        for Section { heading, rows } in sections {
            lines.push(String::new());
            lines.push(one_line(&heading));
            lines.extend(
                rows.iter().map(|(name, value)| format!("  {:<LABEL_WIDTH$} {}", one_line(name), one_line(value))),
            );
        }
        lines.join("\n")
    }

    fn title(&self) -> String {
        let version = self.stated.version;
        let what = match self.evidence.kind() {
            EvidenceKind::Sgx => format!("Intel SGX quote, version {version}"),
            EvidenceKind::Tdx => format!("Intel TDX quote, version {version}"),
            EvidenceKind::Snp => format!("AMD SEV-SNP report, version {version}"),
            EvidenceKind::Nitro => "AWS Nitro attestation document".to_owned(),
        };
        let log = match (self.evidence.kind(), self.evidence.event_log()) {
            (EvidenceKind::Tdx, Some(log)) => format!(", with an event log of {} bytes", log.len()),
            (EvidenceKind::Tdx, None) => ", without an event log".to_owned(),
            _ => String::new(),
        };
        format!("{what}, {} bytes{log}", self.evidence.document().len())
    }

    fn result(&self) -> Section {
        let because = |word: &str| match self.outcome.reason() {
            Some(reason) => format!("{word}: {}: {}", reason.check, reason.message),
            None => word.to_owned(),
        };
        let outcome = match (&self.outcome, self.binding) {
            (Outcome::Accepted, Binding::NotChecked) => {
                "ACCEPTED by the policy, whatever it was made for (see binding)".to_owned()
            }
            (Outcome::Accepted, _) => "ACCEPTED".to_owned(),
            (Outcome::Refused(_), _) => because("REFUSED"),
            (Outcome::Undecided(_), _) => because("UNDECIDED"),
        };
        let authentic = match &self.claims {
            Ok(_) => "yes".to_owned(),
            Err(fault) => format!("NO: {fault}"),
        };
        let binding = match self.binding {
            Binding::NotChecked => "NOT CHECKED: without --report-data nobody knows what it was made for",
            Binding::NotProven { .. } => "NOT PROVEN: what is not authentic was made for nothing",
            Binding::Matches => "the report data is the expected one",
            Binding::Differs { .. } => "DIFFERS: made for another session, key or purpose",
        };
        let expected = match self.binding {
            Binding::Differs { expected } | Binding::NotProven { expected } => Some(hex::encode(expected)),
            Binding::NotChecked | Binding::Matches => None,
        };
        Section::new("Result")
            .row("outcome", outcome)
            .row("authentic", authentic)
            .row("binding", binding)
            .row("report data", hex::encode(self.stated.report_data))
            .row_if_some("expected", expected)
            .row_if_some("event log", self.event_log_fault.as_ref().map(|fault| format!("BAD: {fault}")))
            .row_if_some("made at", self.stated.made_at.map(date))
            .row("judged at", date(self.at))
    }

    fn identity(&self) -> Section {
        let (id, text) = match (&self.measurement, &self.claims) {
            (Some(measurement), _) => (measurement.id().to_string(), Some(measurement.to_string())),
            (None, Ok(_)) => ("none: code in debug mode must not be registered".to_owned(), None),
            (None, Err(_)) => ("none: not authentic".to_owned(), None),
        };
        let image = self.image.as_ref();
        let approved = image.and_then(|image| match &image.approval {
            Approval::NotAsked => None,
            Approval::Absent => Some("NO: not in the list for this machine's shape (RTMR0)".to_owned()),
            Approval::As(name) => Some(format!("yes, as {name}")),
        });
        Section::new("Measurement, as an application would register it")
            .row("id", id)
            .row_if_some("text", text)
            .row_if_some("image", image.map(|image| image.id.to_string()))
            .row_if_some("image approved", approved)
    }

    fn rules(&self) -> Section {
        let mut section = Section::new(format!("Rules of the policy {}", self.policy));
        if self.verdicts.is_empty() {
            return section.row("none judged", "what is not authentic is not judged");
        }
        for (rule, verdict) in &self.verdicts {
            let verdict = match verdict {
                Ok(()) => "passed".to_owned(),
                Err(reason) => format!("FAILED: {reason}"),
            };
            section = section.row(rule.as_str(), verdict);
        }
        section
    }
}

fn trust(claims: &Claims) -> Section {
    let domain = match &claims.trust_domain {
        TrustDomain::Production => "production: the root is a vendor's".to_owned(),
        domain @ TrustDomain::Development(_) => format!("{domain}: SIMULATED, the root is a simulator's"),
    };
    let endorsed = &claims.endorsed;
    let fetched_at = if endorsed.fetched_at == UnixSeconds(0) {
        "not known; say it with --fetched-at".to_owned()
    } else {
        date(endorsed.fetched_at)
    };
    let revocation = match endorsed.revocation {
        Revocation::Checked => "lists consulted",
        Revocation::NotChecked => "NOT CHECKED: no list",
    };
    Section::new("Trust")
        .row("trust domain", domain)
        .row("root", claims.root.to_string())
        .row("valid until", date(endorsed.valid_until))
        .row("endorsements", format!("sha256:{}", hex::encode(endorsed.digest)))
        .row("fetched at", fetched_at)
        .row("revocation", revocation)
}

fn code(heading: &str, code: &Code, debug: bool) -> Section {
    let debug = if debug { "YES: its memory can be read from outside" } else { "no" };
    let section = Section::new(heading).row("debug", debug);
    match code {
        Code::Sgx(code) => sgx(section, code),
        Code::Tdx(code) => tdx(section, code),
        Code::Snp(code) => snp(section, code),
        Code::Nitro(code) => nitro(section, code),
    }
}

fn sgx(section: Section, code: &SgxCode) -> Section {
    section
        .row("mrenclave", hex::encode(code.mrenclave))
        .row("mrsigner", hex::encode(code.mrsigner))
        .row("isvprodid", code.isv_prod_id.to_string())
        .row("isvsvn", code.isv_svn.to_string())
        .row("attributes", named(code.attributes, SGX_ATTRIBUTES))
        .row("xfrm", format!("{:#018x}", code.xfrm))
        .row("miscselect", format!("{:#010x}", code.misc_select))
        .row("configid", hex::encode(code.config_id))
        .row("configsvn", code.config_svn.to_string())
        .row("isvextprodid", hex::encode(code.isv_ext_prod_id))
        .row("isvfamilyid", hex::encode(code.isv_family_id))
}

fn tdx(section: Section, code: &TdxCode) -> Section {
    let mut section = section.row("mrtd", hex::encode(code.mrtd));
    for (index, register) in code.rtmrs.iter().enumerate() {
        section = section.row(format!("rtmr{index}"), hex::encode(register));
    }
    section
        .row("mrconfigid", hex::encode(code.mr_config_id))
        .row("mrowner", hex::encode(code.mr_owner))
        .row("mrownerconfig", hex::encode(code.mr_owner_config))
        .row("mrseam", hex::encode(code.mr_seam))
        .row("module svn", code.module_svn.to_string())
        .row("attributes", named(code.attributes, TD_ATTRIBUTES))
        .row("xfam", format!("{:#018x}", code.xfam))
}

fn snp(section: Section, code: &SnpCode) -> Section {
    let [abi_minor, abi_major, ..] = code.policy.to_le_bytes();
    let policy = named(code.policy & !0xffff, SNP_POLICY);
    let flags = policy.split_once(' ').map_or("", |(_, flags)| flags);
    section
        .row("measurement", hex::encode(code.measurement))
        .row("host data", hex::encode(code.host_data))
        .row("policy", format!("{:#018x} {flags}, interface {abi_major}.{abi_minor} or later", code.policy))
        .row("vmpl", code.vmpl.to_string())
        .row("guest svn", code.guest_svn.to_string())
        .row("id key digest", hex::encode(code.id_key_digest))
        .row("author key digest", hex::encode(code.author_key_digest))
        .row("family id", hex::encode(code.family_id))
        .row("image id", hex::encode(code.image_id))
}

fn nitro(section: Section, code: &NitroCode) -> Section {
    let meaning = |index| match index {
        0 => " image",
        1 => " kernel",
        2 => " application",
        3 => " parent's role",
        4 => " parent",
        8 => " signer",
        _ => "",
    };
    let mut section = section;
    let mut unused = Vec::new();
    for (index, value) in &code.pcrs {
        if value.is_zero() && *index > 2 {
            unused.push(index.to_string());
        } else {
            section = section.row(format!("pcr{index}{}", meaning(*index)), hex::encode(value));
        }
    }
    section
        .row_if_some("zero", (!unused.is_empty()).then(|| format!("pcr{}", unused.join(", pcr"))))
        .row_if_some("public key", code.public_key.as_ref().map(hex::encode))
        .row_if_some("nonce", code.nonce.as_ref().map(hex::encode))
}

/// Only a log that explains all registers is shown: of another one nothing is known.
fn log(heading: &str, code: &Code) -> Option<Section> {
    let Code::Tdx(code) = code else { return None };
    let MeasuredLog { boot, application, .. } = code.log.as_ref()?;
    let mut section = Section::new(format!(
        "{heading}; it explains the registers with {} events until system-ready and {} of the application",
        boot.len(),
        application.len()
    ));
    for event in boot {
        section = section.row(&event.name, payload(event));
    }
    for event in application {
        section = section.row(format!("> {}", event.name), payload(event));
    }
    Some(section)
}

fn payload(event: &MeasuredEvent) -> String {
    let readable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let hex = hex::encode(&event.payload);
    match str::from_utf8(&event.payload) {
        Ok("") => "(empty)".to_owned(),
        Ok(text) if event.payload.iter().all(readable) => format!("{hex} ({text})"),
        _ => hex,
    }
}

fn machine(claims: &Claims) -> Section {
    let section = Section::new("Machine");
    match &claims.platform {
        Platform::Intel(intel) => intel_machine(section, intel),
        Platform::Amd(amd) => amd_machine(section, amd),
        Platform::Nitro { module_id } => {
            let parent = match &claims.code {
                Code::Nitro(code) => code.pcrs.get(&4).map(|pcr4| PlatformId::AwsInstance(*pcr4).to_string()),
                Code::Sgx(_) | Code::Tdx(_) | Code::Snp(_) => None,
            };
            section.row("module id", module_id).row_if_some("platform id", parent)
        }
    }
}

fn intel_machine(section: Section, intel: &IntelPlatform) -> Section {
    let told = |flag: Option<bool>| match flag {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not told",
    };
    let memory = match intel.sgx_type {
        SgxType::Standard => "encryption with an integrity tree (standard)",
        SgxType::Scalable => "encryption only (scalable)",
        SgxType::ScalableWithIntegrity => "encryption with integrity codes (scalable with integrity)",
    };
    section
        .row("platform id", PlatformId::IntelPpid(intel.ppid).to_string())
        .row_if_some("instance", intel.instance_id.map(|id| PlatformId::IntelInstance(id).to_string()))
        .row("fmspc", hex::encode(intel.fmspc))
        .row("pce id, svn", format!("{}, {}", hex::encode(intel.pce_id), intel.pce_svn))
        .row("cpu svn", hex::encode(intel.cpu_svn))
        .row("memory", memory)
        .row("dynamic platform", told(intel.dynamic_platform))
        .row("cached keys", told(intel.cached_keys))
        .row("multithreading", told(intel.smt_enabled))
}

fn amd_machine(section: Section, amd: &AmdPlatform) -> Section {
    let key = match &amd.signing_key {
        AmdSigningKey::Vcek => "the chip's (VCEK)".to_owned(),
        AmdSigningKey::Vlek { csp_id } => format!("the provider's (VLEK of {csp_id})"),
    };
    section
        .row("product", amd.product.to_string())
        .row("platform id", PlatformId::AmdChip(amd.chip_id).to_string())
        .row("signing key", key)
        .row("platform info", named(amd.platform_info, SNP_PLATFORM_INFO))
        .row("chip key hidden", if amd.mask_chip_key { "YES" } else { "no" })
}

fn stated_machine(heading: &str, machine: &StatedMachine) -> Section {
    let section = Section::new(heading);
    match machine {
        StatedMachine::Intel { ppid, fmspc } => {
            section.row("platform id", PlatformId::IntelPpid(*ppid).to_string()).row("fmspc", hex::encode(fmspc))
        }
        StatedMachine::Amd { product, chip_id } => section
            .row("product", product.map_or_else(|| "not told".to_owned(), |product| product.to_string()))
            .row("platform id", PlatformId::AmdChip(*chip_id).to_string()),
        StatedMachine::Nitro { module_id } => section.row("module id", module_id),
    }
}

fn tcb(claims: &Claims) -> Section {
    let section = Section::new("How current the machine is");
    match &claims.tcb {
        Tcb::Intel(IntelTcb { status, advisories, evaluation_number, date: since }) => section
            .row("status", status.as_str())
            .row("advisories", if advisories.is_empty() { "none".to_owned() } else { advisories.join(", ") })
            .row("evaluation number", evaluation_number.to_string())
            .row("level of", date(*since)),
        Tcb::Amd(AmdTcb { reported, committed, current, launch }) => section
            .row("reported", components(*reported))
            .row("committed", components(*committed))
            .row("current", components(*current))
            .row("launch", components(*launch)),
        Tcb::NotApplicable => section.row("status", "not told by Amazon"),
    }
}

fn components(tcb: SnpTcb) -> String {
    let SnpTcb { fmc, bootloader, tee, snp, microcode } = tcb;
    format!("fmc {fmc}, bootloader {bootloader}, tee {tee}, snp {snp}, microcode {microcode}")
}

/// As RFC 3339 in UTC; a time beyond what that can say as seconds since 1970.
fn date(time: UnixSeconds) -> String {
    let known = i64::try_from(time.0).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    known.map_or_else(|| format!("{time} seconds after 1970"), |time| time.to_string())
}

/// Evidence cannot write lines of its own, nor move the cursor.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_evidence_stays_on_its_line() {
        assert_eq!(one_line("i-1\n  outcome  ACCEPTED\u{1b}[2J"), "i-1\u{fffd}  outcome  ACCEPTED\u{fffd}[2J");
    }

    #[test]
    fn payloads_that_are_text_are_shown_as_text_too() {
        let event = |payload: &[u8]| payload_of(payload.to_vec());
        assert_eq!(event(b""), "(empty)");
        assert_eq!(event(b"none 1"), "6e6f6e652031 (none 1)");
        assert_eq!(event(b"a\nb"), "610a62");
        assert_eq!(event(&[0xff]), "ff");
    }

    fn payload_of(payload: Vec<u8>) -> String {
        super::payload(&MeasuredEvent { name: "name".to_owned(), payload })
    }

    #[test]
    fn times_beyond_the_calendar_are_still_told() {
        assert_eq!(date(UnixSeconds(0)), "1970-01-01T00:00:00Z");
        assert_eq!(date(UnixSeconds(u64::MAX)), "18446744073709551615 seconds after 1970");
    }
}
