//! Exact values, exact windows.

use strongroom_attest::claims::{Code, IntelPlatform, IntelTcb, IntelTcbStatus, Platform, SgxType, Tcb};
use strongroom_attest::measurement::ApprovedImages;
use strongroom_attest::{EndorsementFault, EvidenceFault, EvidenceKind, Measurement, Policy, TrustDomain, VerifyError};
use strongroom_protocol::UnixSeconds;

use crate::fixtures::{GOOD, SGX, TDX_OUTDATED, TDX_V4, TDX_V5, read};

const INTEL_ROOT: &str = "key-sha384:46e403bd34f05a3f2817ab9badcaacc7ffc98e0f261008cd30dae936cace18d5\
                          dcf58eef31463613de1570d516200993";

#[test]
fn the_fixtures_are_the_ones_their_origin_names() {
    let origin = String::from_utf8(read("ORIGIN.md")).unwrap();
    let mut checked = 0;
    for line in origin.lines().filter(|line| line.starts_with("| `")) {
        let mut quoted = line.split('`').skip(1).step_by(2);
        let (file, expected) = (quoted.next().unwrap(), quoted.last().unwrap());
        let digest = ring::digest::digest(&ring::digest::SHA256, &read(file));
        assert_eq!(hex::encode(digest), expected, "{file}");
        checked += 1;
    }
    assert_eq!(checked, 8);
}

#[test]
fn the_sgx_quote_proves_exactly_this() {
    let claims = SGX.verify().unwrap();
    assert_eq!((claims.kind, claims.version, claims.debug), (EvidenceKind::Sgx, 3, false));
    assert_eq!(claims.trust_domain, TrustDomain::Production);
    assert_eq!(claims.root.to_string(), INTEL_ROOT);
    assert!(claims.report_data.starts_with(b"Hello, world!\0"));
    let Code::Sgx(code) = &claims.code else { panic!("not SGX: {:?}", claims.code) };
    assert_eq!(hex::encode(code.mrenclave), "33d8736db756ed4997e04ba358d27833188f1932ff7b1d156904d3f560452fbb");
    assert_eq!(hex::encode(code.mrsigner), "815f42f11cf64430c30bab7816ba596a1da0130c3b028b673133a66cf9a3e0e6");
    assert_eq!((code.isv_prod_id, code.isv_svn, code.attributes, code.xfrm), (0, 0, 0x05, 0xe7));
    assert!(code.config_id.is_zero());
    assert_eq!(
        claims.tcb,
        Tcb::Intel(IntelTcb {
            status: IntelTcbStatus::ConfigurationAndSWHardeningNeeded,
            advisories: vec!["INTEL-SA-00289".into(), "INTEL-SA-00615".into()],
            evaluation_number: 17,
            date: UnixSeconds(1_710_288_000),
        })
    );
    let Platform::Intel(platform) = &claims.platform else { panic!("not Intel: {:?}", claims.platform) };
    assert_eq!(
        platform,
        &IntelPlatform {
            ppid: "0xd04ec06d4e6d92dc90d0ad3cf5ee2ddf".parse().unwrap(),
            instance_id: None,
            fmspc: "0x00a067110000".parse().unwrap(),
            pce_id: "0x0000".parse().unwrap(),
            pce_svn: 13,
            cpu_svn: "0x0b0b0202ff0100000000000000000000".parse().unwrap(),
            sgx_type: SgxType::Standard,
            // The Processor CA does not say.
            dynamic_platform: None,
            cached_keys: None,
            smt_enabled: None,
        }
    );
    assert_eq!(claims.endorsed.valid_until, UnixSeconds(1_752_919_278));
    assert_eq!(claims.verified_at, SGX.now);
}

#[test]
fn the_tdx_version_4_quote_proves_exactly_this() {
    let claims = TDX_V4.verify().unwrap();
    assert_eq!((claims.kind, claims.version, claims.debug), (EvidenceKind::Tdx, 4, false));
    assert_eq!(claims.root.to_string(), INTEL_ROOT);
    let Code::Tdx(code) = &claims.code else { panic!("not TDX: {:?}", claims.code) };
    assert_eq!(
        hex::encode(code.mrtd),
        "91eb2b44d141d4ece09f0c75c2c53d247a3c68edd7fafe8a3520c942a604a407de03ae6dc5f87f27428b2538873118b7"
    );
    assert!(code.rtmrs[3].is_zero());
    assert_eq!((code.attributes, code.xfam, code.module_svn), (0x1000_0000, 0x602e7, 6));
    let Tcb::Intel(tcb) = &claims.tcb else { panic!("not Intel: {:?}", claims.tcb) };
    assert_eq!((tcb.status, tcb.advisories.len(), tcb.evaluation_number), (IntelTcbStatus::UpToDate, 0, 17));
    let Platform::Intel(platform) = &claims.platform else { panic!("not Intel: {:?}", claims.platform) };
    assert_eq!(hex::encode(platform.fmspc), "b0c06f000000");
    let flags = (platform.dynamic_platform, platform.cached_keys, platform.smt_enabled);
    assert_eq!(flags, (Some(true), Some(true), Some(true)));
}

#[test]
fn the_tdx_version_5_quote_proves_exactly_this() {
    let claims = TDX_V5.verify().unwrap();
    assert_eq!((claims.kind, claims.version, claims.debug), (EvidenceKind::Tdx, 5, false));
    assert_eq!(claims.root.to_string(), INTEL_ROOT);
    let Code::Tdx(code) = &claims.code else { panic!("not TDX: {:?}", claims.code) };
    assert_eq!(
        hex::encode(code.mrtd),
        "2a674327c50218dba880066b349b8d559d749ed68dce33fd651c184a877d084b07a9e583767a7ad5da13ed91deec2b70"
    );
    let Tcb::Intel(tcb) = &claims.tcb else { panic!("not Intel: {:?}", claims.tcb) };
    assert_eq!((tcb.status, tcb.advisories.len(), tcb.evaluation_number), (IntelTcbStatus::UpToDate, 0, 20));
}

#[test]
fn a_platform_below_all_tcb_levels_is_refused() {
    assert_eq!(TDX_OUTDATED.verify(), Err(EvidenceFault::Rejected("No matching TCB level found".to_owned()).into()));
}

#[test]
fn each_fixture_verifies_within_its_window_and_not_one_second_outside() {
    // First and last second in which every part of the collateral is valid, and the part that is the reason.
    let windows = [
        (SGX, 1_750_330_571, "TCB info", 1_752_919_278, "QE identity"),
        (TDX_V4, 1_750_329_147, "QE identity", 1_752_919_234, "PCK revocation list"),
        (TDX_V5, 1_791_419_306, "PCK revocation list", 1_794_008_711, "QE identity"),
    ];
    for (fixture, first, first_part, last, last_part) in windows {
        let at = |now| fixture.verify_with(&fixture.quote(), &fixture.endorsements(), UnixSeconds(now));
        for now in [first, last] {
            assert_eq!(at(now).unwrap().verified_at, UnixSeconds(now), "{} at {now}", fixture.name);
        }
        let early = EndorsementFault::NotYetValid {
            what: first_part,
            valid_from: UnixSeconds(first),
            now: UnixSeconds(first - 1),
        };
        assert_eq!(at(first - 1), Err(early.into()), "{}", fixture.name);
        let late =
            EndorsementFault::Stale { what: last_part, valid_until: UnixSeconds(last), now: UnixSeconds(last + 1) };
        assert_eq!(at(last + 1), Err(VerifyError::from(late)), "{}", fixture.name);
        for now in [0, u64::MAX] {
            assert!(at(now).unwrap_err().is_retryable(), "{} at {now}", fixture.name);
        }
    }
}

#[test]
fn collateral_is_in_order_by_itself_only_within_its_window() {
    use strongroom_attest::TrustAnchors;
    use strongroom_attest::endorsements::IntelEndorsements;
    for fixture in GOOD {
        let set = IntelEndorsements::new(fixture.parts(), fixture.now).unwrap();
        let anchors = TrustAnchors::production();
        assert_eq!(set.check(&anchors, fixture.now), Ok(()));
        assert_eq!(set.check(&anchors, set.valid_until()), Ok(()));
        let after = UnixSeconds(set.valid_until().0 + 1);
        assert!(matches!(set.check(&anchors, after), Err(EndorsementFault::Stale { .. })), "{}", fixture.name);
    }
}

#[test]
fn the_measurement_of_a_first_run_matches_that_run_and_no_other() {
    let images = ApprovedImages::default();
    let runs = GOOD.map(|fixture| fixture.verify().unwrap());
    for (index, run) in runs.iter().enumerate() {
        let measurement = Measurement::of(run).unwrap();
        assert_eq!(measurement.to_string().parse(), Ok(measurement.clone()));
        for (other, claims) in runs.iter().enumerate() {
            let matched = measurement.matches(claims, &images);
            assert_eq!(matched.is_ok(), index == other, "{matched:?}");
        }
    }
    let legacy =
        Measurement::legacy_sgx("0x33d8736db756ed4997e04ba358d27833188f1932ff7b1d156904d3f560452fbb".parse().unwrap());
    assert_eq!(legacy.matches(&runs[0], &images), Ok(()));
}

#[test]
fn the_production_policy_takes_the_tdx_quotes_and_says_what_is_wrong_with_the_sgx_one() {
    use strongroom_attest::{Evidence, TrustAnchors, verify};
    for fixture in GOOD {
        let evidence = Evidence::new(fixture.kind, fixture.quote()).unwrap();
        let verified =
            verify(&evidence, &fixture.endorsements(), &fixture.binding(), &TrustAnchors::production(), fixture.now)
                .unwrap();
        let judged = Policy::production().evaluate(&verified).map(|_| ()).map_err(|refusal| refusal.to_string());
        let expected = match fixture.kind {
            EvidenceKind::Sgx => Err(
                "tcb-status: ConfigurationAndSWHardeningNeeded: change the platform's BIOS settings as the advisories say"
                    .to_owned(),
            ),
            _ => Ok(()),
        };
        assert_eq!(judged, expected, "{}", fixture.name);
    }
}
