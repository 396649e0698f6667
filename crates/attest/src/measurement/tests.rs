use proptest::prelude::*;

use super::*;
use alloy_primitives::{B256, FixedBytes};

fn arbitrary_measurement() -> impl Strategy<Value = Measurement> {
    let masked = |forbidden: u64| {
        (any::<u64>(), any::<u64>()).prop_map(move |(value, mask)| Masked { value: value & mask & !forbidden, mask })
    };
    let b32 = || any::<[u8; 32]>().prop_map(B256::from);
    let b48 = || {
        prop::array::uniform32(any::<u8>()).prop_map(|bytes| {
            let mut all = [0; 48];
            all[..32].copy_from_slice(&bytes);
            all[32..].copy_from_slice(&bytes[..16]);
            FixedBytes::from(all)
        })
    };
    let b64 = prop::array::uniform32(any::<u8>()).prop_map(|bytes| {
        let mut all = [7; 64];
        all[..32].copy_from_slice(&bytes);
        FixedBytes::from(all)
    });
    prop_oneof![
        (b32(), prop::option::of(b32()), any::<Option<u16>>(), masked(1 << 1), prop::option::of(b64)).prop_map(
            |(mrenclave, mrsigner, isv_prod_id, attributes, config_id)| {
                Descriptor::Sgx(SgxMeasurement { mrenclave, mrsigner, isv_prod_id, attributes, config_id })
            }
        ),
        (b32(), b32(), [b48(), b48(), b48()], masked(0xff), any::<u64>()).prop_map(
            |(os_image, compose_hash, [mr_config_id, mr_owner, mr_owner_config], attributes, xfam)| {
                let os_image = OsImageId::from(os_image);
                Descriptor::TdxImage(TdxImageMeasurement {
                    os_image,
                    compose_hash,
                    mr_config_id,
                    mr_owner,
                    mr_owner_config,
                    attributes,
                    xfam,
                })
            }
        ),
        (b48(), [b48(), b48(), b48(), b48()], [b48(), b48(), b48()], masked(0xff), any::<u64>()).prop_map(
            |(mrtd, rtmrs, [mr_config_id, mr_owner, mr_owner_config], attributes, xfam)| {
                Descriptor::Tdx(TdxMeasurement {
                    mrtd,
                    rtmrs,
                    mr_config_id,
                    mr_owner,
                    mr_owner_config,
                    attributes,
                    xfam,
                })
            }
        ),
        (b48(), b32(), masked(1 << 19), prop::option::of(b48()), any::<u8>()).prop_map(
            |(measurement, host_data, policy, id_key_digest, vmpl)| {
                Descriptor::Snp(SnpMeasurement { measurement, host_data, policy, id_key_digest, vmpl })
            }
        ),
        (b48(), b48(), b48(), prop::option::of(b48()))
            .prop_map(|(pcr0, pcr1, pcr2, pcr8)| { Descriptor::Nitro(NitroMeasurement { pcr0, pcr1, pcr2, pcr8 }) }),
    ]
    .prop_filter_map("a measurement in debug mode", |descriptor| Measurement::new(descriptor).ok())
}

proptest! {
    #[test]
    fn measurements_survive_both_round_trips(measurement in arbitrary_measurement()) {
        prop_assert_eq!(Measurement::from_canonical(&measurement.to_canonical()), Ok(measurement.clone()));
        prop_assert_eq!(measurement.to_string().parse(), Ok(measurement));
    }

    #[test]
    fn any_bytes_that_parse_are_the_canonical_ones(mut bytes: Vec<u8>, kind in 0_u8..7, measurement in arbitrary_measurement()) {
        let mut prefixed = b"SMSMEAS1".to_vec();
        prefixed.push(kind);
        prefixed.append(&mut bytes);
        if let Ok(parsed) = Measurement::from_canonical(&prefixed) {
            prop_assert_eq!(parsed.to_canonical(), prefixed);
        }
        let canonical = measurement.to_canonical();
        for cut in 0..canonical.len() {
            prop_assert!(Measurement::from_canonical(&canonical[..cut]).is_err(), "cut at {}", cut);
        }
    }

    #[test]
    fn any_text_that_parses_is_the_one_text(text in "(sgx|nitro|snp)?[,=a-z0-9x/]{0,80}") {
        if let Ok(parsed) = text.parse::<Measurement>() {
            prop_assert!(parsed.to_string() == text || text.len() == 64);
        }
    }
}

fn legacy() -> Measurement {
    Measurement::legacy_sgx(B256::repeat_byte(0xab))
}

#[test]
fn the_legacy_form_is_64_hex_digits_of_an_mrenclave() {
    assert_eq!("ab".repeat(32).parse(), Ok(legacy()));
    assert_eq!("AB".repeat(32).parse(), Ok(legacy()));
    assert_eq!("ab".repeat(31).parse::<Measurement>(), Err(ParseMeasurementError::UnknownKind));
    assert_eq!(
        legacy().to_string(),
        format!(
            "sgx,mrenclave={},mrsigner=any,isvprodid=any,attributes=0x0000000000000005/0x00000000000000ff,configid=none",
            "ab".repeat(32)
        )
    );
}

#[test]
fn canonical_bytes_and_id_have_their_published_values() {
    // "SMSMEAS1", kind 1, MRENCLAVE, no MRSIGNER, no ISVPRODID, flags and mask little-endian, no CONFIGID.
    let expected =
        format!("534d534d45415331 01 0020{} 0000 0000 0010 0500000000000000 ff00000000000000 0000", "ab".repeat(32))
            .replace(' ', "");
    assert_eq!(hex::encode(legacy().to_canonical()), expected);
    assert_eq!(legacy().id().to_string(), "0x4409c5ee64b566e3d1c617a25e52b645e52a58afdd70aa64e5a94a406d729497");
}

#[test]
fn a_descriptor_that_asks_for_debug_mode_is_refused_in_every_form() {
    let Descriptor::Sgx(sgx) = legacy().descriptor().clone() else { panic!("the legacy form is SGX") };
    let debug = Descriptor::Sgx(SgxMeasurement { attributes: Masked { value: 0x07, mask: 0xff }, ..sgx });
    assert_eq!(Measurement::new(debug), Err(InvalidMeasurement::Debug));
    let text = legacy().to_string().replace("0x0000000000000005/", "0x0000000000000007/");
    assert_eq!(text.parse::<Measurement>(), Err(InvalidMeasurement::Debug.into()));
    let mut bytes = legacy().to_canonical();
    let flags = bytes.iter().position(|&byte| byte == 5).unwrap();
    bytes[flags] = 7;
    assert_eq!(Measurement::from_canonical(&bytes), Err(InvalidMeasurement::Debug.into()));

    let zero = FixedBytes::ZERO;
    let nitro = NitroMeasurement { pcr0: zero, pcr1: zero, pcr2: zero, pcr8: None };
    assert_eq!(Measurement::new(Descriptor::Nitro(nitro)), Err(InvalidMeasurement::Debug));
    let snp = SnpMeasurement {
        measurement: zero,
        host_data: B256::ZERO,
        policy: Masked::exactly(1 << 19),
        id_key_digest: None,
        vmpl: 0,
    };
    assert_eq!(Measurement::new(Descriptor::Snp(snp)), Err(InvalidMeasurement::Debug));
}

#[test]
fn a_value_outside_its_mask_is_refused() {
    let text = legacy().to_string().replace("0x0000000000000005/", "0x0000000000000105/");
    assert_eq!(text.parse::<Measurement>(), Err(InvalidMeasurement::OutsideMask("attributes").into()));
}

#[test]
fn a_measurement_has_one_text_only() {
    let text = format!("nitro,pcr0={0},pcr1={0},pcr2={0},pcr8=any", "0a".repeat(48));
    assert_eq!(text.parse::<Measurement>().unwrap().to_string(), text);
    for (other, error) in [
        (text.replace("0a", "0A"), ParseMeasurementError::Value("pcr0")),
        (text.replace(",pcr8=any", ""), ParseMeasurementError::Missing("pcr8")),
        (text.replace("any", "none"), ParseMeasurementError::Value("pcr8")),
        (text.replace("pcr1", "pcr3"), ParseMeasurementError::Missing("pcr1")),
        (format!("{text},pcr8=any"), ParseMeasurementError::Trailing),
        (text.replace("nitro", "tpm"), ParseMeasurementError::UnknownKind),
        (" ".repeat(5000), ParseMeasurementError::TooLong),
    ] {
        assert_eq!(other.parse::<Measurement>(), Err(error), "{other}");
    }
}

#[test]
fn equal_bytes_of_another_kind_are_another_measurement() {
    let mut bytes = legacy().to_canonical();
    for kind in [0, 2, 3, 4, 5, 6] {
        bytes[8] = kind;
        assert!(Measurement::from_canonical(&bytes).is_err(), "kind {kind}");
    }
}
