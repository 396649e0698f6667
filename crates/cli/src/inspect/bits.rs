//! The names of bits, so that people need no manual beside the output.

/// ATTRIBUTES of an SGX enclave.
pub(super) const SGX_ATTRIBUTES: &[(u32, &str)] = &[
    (0, "INIT"),
    (1, "DEBUG"),
    (2, "MODE64BIT"),
    (4, "PROVISION_KEY"),
    (5, "EINITTOKEN_KEY"),
    (6, "CET"),
    (7, "KSS"),
    (10, "AEX_NOTIFY"),
];

/// TDATTRIBUTES of a TD.
pub(super) const TD_ATTRIBUTES: &[(u32, &str)] = &[
    (0, "DEBUG"),
    (4, "HGS_PLUS_PROF"),
    (5, "PERF_PROF"),
    (6, "PMT_PROF"),
    (16, "ICSSD"),
    (17, "SERVTD_EXT"),
    (27, "LASS"),
    (28, "SEPT_VE_DISABLE"),
    (29, "MIGRATABLE"),
    (30, "PKS"),
    (31, "KL"),
    (62, "TPA"),
    (63, "PERFMON"),
];

/// POLICY of an SNP guest, above the version of the firmware interface in its low 16 bits.
pub(super) const SNP_POLICY: &[(u32, &str)] = &[
    (16, "SMT"),
    (17, "RESERVED_ONE"),
    (18, "MIGRATE_MA"),
    (19, "DEBUG"),
    (20, "SINGLE_SOCKET"),
    (21, "CXL_ALLOW"),
    (22, "MEM_AES_256_XTS"),
    (23, "RAPL_DIS"),
    (24, "CIPHERTEXT_HIDING"),
    (25, "PAGE_SWAP_DISABLE"),
];

/// PLATFORM_INFO of an SNP report.
pub(super) const SNP_PLATFORM_INFO: &[(u32, &str)] = &[
    (0, "SMT"),
    (1, "TSME"),
    (2, "ECC"),
    (3, "RAPL_DIS"),
    (4, "CIPHERTEXT_HIDING"),
    (5, "ALIAS_CHECK_COMPLETE"),
    (7, "TIO"),
];

/// The bits that are set, by name or number: `0x0000000010000000 (SEPT_VE_DISABLE)`.
pub(super) fn named(bits: u64, names: &[(u32, &str)]) -> String {
    let set = (0..u64::BITS).filter(|bit| bits & (1 << bit) != 0);
    let words: Vec<String> = set
        .map(|bit| match names.iter().find(|(of, _)| *of == bit) {
            Some((_, name)) => (*name).to_owned(),
            None => format!("bit {bit}"),
        })
        .collect();
    let words = if words.is_empty() { "none".to_owned() } else { words.join(", ") };
    format!("{bits:#018x} ({words})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_bits_are_named_and_unknown_ones_numbered() {
        assert_eq!(named(0x1000_0000, TD_ATTRIBUTES), "0x0000000010000000 (SEPT_VE_DISABLE)");
        assert_eq!(named(0b1101, SGX_ATTRIBUTES), "0x000000000000000d (INIT, MODE64BIT, bit 3)");
        assert_eq!(named(1 << 63, SGX_ATTRIBUTES), "0x8000000000000000 (bit 63)");
        assert_eq!(named(0, SNP_POLICY), "0x0000000000000000 (none)");
    }
}
