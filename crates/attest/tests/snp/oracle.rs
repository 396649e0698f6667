//! The crate `sev` as a second opinion. It verifies a re-encoded copy of what it parsed, so it lets bytes pass that it does not
//! keep; nothing else may differ.

use sev::certs::snp::{Certificate, Chain, Verifiable as _, ca};
use sev::firmware::guest::AttestationReport;
use sev::firmware::host::TcbVersion;
use sev::parser::Decoder as _;
use strongroom_attest::claims::{Claims, Code, Platform, SnpTcb, Tcb};

use super::real::{MILAN_ASK, MILAN_REPORT, MILAN_VCEK, NOW, verify_report};

const MILAN_ARK: &[u8] = include_bytes!("../../roots/amd-ark-milan.der");

fn read(report: &[u8]) -> Option<AttestationReport> {
    AttestationReport::decode(&mut &*report, ()).ok()
}

fn chain(ark: &[u8], ask: &[u8], vek: &[u8]) -> Chain {
    let certificate = |der| Certificate::from_der(der).expect("it is a certificate");
    Chain { ca: ca::Chain { ark: certificate(ark), ask: certificate(ask) }, vek: certificate(vek) }
}

#[track_caller]
fn assert_same_values(claims: &Claims, report: &AttestationReport) {
    let (Code::Snp(code), Platform::Amd(platform), Tcb::Amd(tcb)) = (&claims.code, &claims.platform, &claims.tcb)
    else {
        panic!("the claims are SNP's")
    };
    let same = |ours: SnpTcb, theirs: TcbVersion| {
        let theirs = SnpTcb {
            fmc: theirs.fmc.unwrap_or(0),
            bootloader: theirs.bootloader,
            tee: theirs.tee,
            snp: theirs.snp,
            microcode: theirs.microcode,
        };
        assert_eq!(ours, theirs);
    };
    same(tcb.reported, report.reported_tcb);
    same(tcb.current, report.current_tcb);
    same(tcb.committed, report.committed_tcb);
    same(tcb.launch, report.launch_tcb);
    assert_eq!((u32::from(claims.version), code.guest_svn), (report.version, report.guest_svn));
    assert_eq!((code.policy, u32::from(code.vmpl)), (report.policy.into(), report.vmpl));
    assert_eq!((code.family_id.0, code.image_id.0), (report.family_id, report.image_id));
    assert_eq!((code.measurement.0, code.host_data.0), (report.measurement, report.host_data));
    assert_eq!((code.id_key_digest.0, code.author_key_digest.0), (report.id_key_digest, report.author_key_digest));
    assert_eq!((claims.report_data.0, platform.chip_id.0), (report.report_data, report.chip_id));
    assert_eq!(claims.debug, report.policy.debug_allowed());
    assert_eq!(platform.mask_chip_key, report.key_info.mask_chip_key());
}

#[test]
fn both_accept_a_real_report_and_read_the_same_values() {
    let report = read(MILAN_REPORT).unwrap();
    (&chain(MILAN_ARK, MILAN_ASK, MILAN_VCEK), &report).verify().unwrap();
    assert_same_values(&verify_report(MILAN_REPORT, MILAN_VCEK, MILAN_ASK, NOW).unwrap(), &report);
}

#[test]
fn of_the_changed_bytes_that_we_refuse_the_other_accepts_only_those_it_does_not_keep() {
    let vek = Certificate::from_der(MILAN_VCEK).unwrap();
    let accepted: Vec<usize> = (0..MILAN_REPORT.len())
        .filter(|at| {
            let mut mutant = MILAN_REPORT.to_vec();
            mutant[*at] ^= 1;
            read(&mutant).is_some_and(|report| (&vek, &report).verify().is_ok())
        })
        .collect();
    let reserved_in_tcb = [0x38, 0x180, 0x1e0, 0x1f0].into_iter().flat_map(|at| at + 2..at + 6);
    let padding_of_signature = (0x2d0..0x2e8).chain(0x318..0x4a0);
    assert_eq!(accepted, reserved_in_tcb.chain(padding_of_signature).collect::<Vec<_>>());
}

#[cfg(feature = "development-anchors")]
#[test]
fn both_accept_forged_reports_of_every_product_and_read_the_same_values() {
    use super::forge::Forgery;
    use strongroom_attest::AmdProduct;

    for product in AmdProduct::ALL {
        for forgery in [Forgery::of(product), Forgery::with_vlek(product)] {
            for version in [3, 5] {
                let mut forgery = forgery.clone();
                forgery.report[0] = version;
                let forged = forgery.sign();
                let report = read(&forged.report).unwrap();
                (&chain(&forged.ark, &forged.ask, &forged.vek), &report).verify().unwrap();
                assert_same_values(&forged.verify().unwrap(), &report);
            }
        }
    }
}
