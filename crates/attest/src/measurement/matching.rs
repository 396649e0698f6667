//! Whether verified code is the code a descriptor names, and which descriptor names the code that was verified.

use std::fmt;

use alloy_primitives::FixedBytes;

use super::descriptor::{
    Descriptor, Masked, Measurement, NitroMeasurement, SgxMeasurement, SnpMeasurement, TdxImageMeasurement,
    TdxMeasurement,
};
use super::images::{ApprovedImages, OsImageId};
use crate::claims::{Claims, Code, NitroCode, SgxCode, SnpCode, TdxCode};

/// The first field in which code differs from its descriptor. Both values are public.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {found}, expected {expected}")]
pub struct Mismatch {
    /// Name of the field as in the text form.
    pub field: &'static str,
    /// What the descriptor says.
    pub expected: String,
    /// What the evidence says.
    pub found: String,
}

impl Measurement {
    /// Whether the verified code is the one named here; otherwise the first field that differs.
    ///
    /// `images` are consulted for kind 2 only: the image must be the one named *and* approved for the machine's shape.
    pub fn matches(&self, claims: &Claims, images: &ApprovedImages) -> Result<(), Mismatch> {
        match (self.descriptor(), &claims.code) {
            (Descriptor::Sgx(wanted), Code::Sgx(code)) => match_sgx(wanted, code),
            (Descriptor::TdxImage(wanted), Code::Tdx(code)) => match_tdx_image(wanted, code, images),
            (Descriptor::Tdx(wanted), Code::Tdx(code)) => match_tdx(wanted, code),
            (Descriptor::Snp(wanted), Code::Snp(code)) => match_snp(wanted, code),
            (Descriptor::Nitro(wanted), Code::Nitro(code)) => match_nitro(wanted, code),
            (wanted, _) => Err(Mismatch {
                field: "kind",
                expected: match wanted {
                    Descriptor::Sgx(_) => "sgx",
                    Descriptor::TdxImage(_) | Descriptor::Tdx(_) => "tdx",
                    Descriptor::Snp(_) => "snp",
                    Descriptor::Nitro(_) => "nitro",
                }
                .to_owned(),
                found: claims.kind.to_string(),
            }),
        }
    }

    /// The strictest descriptor of the verified code: nothing is "any", every mask is full. What a developer registers after
    /// looking at a first run. Kind 2 for a TD with an event log, kind 3 for one without.
    ///
    /// `None` for code that must not be registered: in debug mode.
    pub fn of(claims: &Claims) -> Option<Self> {
        let descriptor = match &claims.code {
            Code::Sgx(code) => Descriptor::Sgx(SgxMeasurement {
                mrenclave: code.mrenclave,
                mrsigner: Some(code.mrsigner),
                isv_prod_id: Some(code.isv_prod_id),
                attributes: Masked::exactly(code.attributes),
                config_id: (!code.config_id.is_zero()).then_some(code.config_id),
            }),
            Code::Tdx(code) => match &code.log {
                Some(log) => Descriptor::TdxImage(TdxImageMeasurement {
                    os_image: OsImageId::of(code),
                    compose_hash: log.compose_hash,
                    mr_config_id: code.mr_config_id,
                    mr_owner: code.mr_owner,
                    mr_owner_config: code.mr_owner_config,
                    attributes: Masked::exactly(code.attributes),
                    xfam: code.xfam,
                }),
                None => Descriptor::Tdx(TdxMeasurement {
                    mrtd: code.mrtd,
                    rtmrs: code.rtmrs,
                    mr_config_id: code.mr_config_id,
                    mr_owner: code.mr_owner,
                    mr_owner_config: code.mr_owner_config,
                    attributes: Masked::exactly(code.attributes),
                    xfam: code.xfam,
                }),
            },
            Code::Snp(code) => Descriptor::Snp(SnpMeasurement {
                measurement: code.measurement,
                host_data: code.host_data,
                policy: Masked::exactly(code.policy),
                id_key_digest: Some(code.id_key_digest),
                vmpl: code.vmpl,
            }),
            Code::Nitro(code) => {
                let pcr = |index| code.pcrs.get(&index).copied().unwrap_or_default();
                let pcr8 = code.pcrs.get(&8).copied();
                Descriptor::Nitro(NitroMeasurement { pcr0: pcr(0), pcr1: pcr(1), pcr2: pcr(2), pcr8 })
            }
        };
        Self::new(descriptor).ok().filter(|_| !claims.debug)
    }
}

fn match_sgx(wanted: &SgxMeasurement, code: &SgxCode) -> Result<(), Mismatch> {
    equal("mrenclave", &wanted.mrenclave, &code.mrenclave)?;
    equal_if_some("mrsigner", wanted.mrsigner.as_ref(), &code.mrsigner)?;
    if let Some(expected) = wanted.isv_prod_id.filter(|expected| *expected != code.isv_prod_id) {
        return differ("isvprodid", expected, code.isv_prod_id);
    }
    masked("attributes", wanted.attributes, code.attributes)?;
    equal("configid", &wanted.config_id.unwrap_or_default(), &code.config_id)
}

fn match_tdx_image(wanted: &TdxImageMeasurement, code: &TdxCode, images: &ApprovedImages) -> Result<(), Mismatch> {
    let found = OsImageId::of(code);
    if found != wanted.os_image {
        return differ("os-image", wanted.os_image, found);
    }
    if images.find(code).is_none() {
        return differ("os-image", "one approved here for this RTMR0", format!("{found} with RTMR0 {}", code.rtmrs[0]));
    }
    let Some(log) = &code.log else {
        return differ("compose-hash", format!("{:#x}", wanted.compose_hash), "no event log");
    };
    equal("compose-hash", &wanted.compose_hash, &log.compose_hash)?;
    equal("mrconfigid", &wanted.mr_config_id, &code.mr_config_id)?;
    equal("mrowner", &wanted.mr_owner, &code.mr_owner)?;
    equal("mrownerconfig", &wanted.mr_owner_config, &code.mr_owner_config)?;
    masked("attributes", wanted.attributes, code.attributes)?;
    bits("xfam", wanted.xfam, code.xfam)
}

fn match_tdx(wanted: &TdxMeasurement, code: &TdxCode) -> Result<(), Mismatch> {
    equal("mrtd", &wanted.mrtd, &code.mrtd)?;
    let names = ["rtmr0", "rtmr1", "rtmr2", "rtmr3"];
    for (name, (wanted, found)) in names.into_iter().zip(wanted.rtmrs.iter().zip(&code.rtmrs)) {
        equal(name, wanted, found)?;
    }
    equal("mrconfigid", &wanted.mr_config_id, &code.mr_config_id)?;
    equal("mrowner", &wanted.mr_owner, &code.mr_owner)?;
    equal("mrownerconfig", &wanted.mr_owner_config, &code.mr_owner_config)?;
    masked("attributes", wanted.attributes, code.attributes)?;
    bits("xfam", wanted.xfam, code.xfam)
}

fn match_snp(wanted: &SnpMeasurement, code: &SnpCode) -> Result<(), Mismatch> {
    equal("measurement", &wanted.measurement, &code.measurement)?;
    equal("host-data", &wanted.host_data, &code.host_data)?;
    masked("policy", wanted.policy, code.policy)?;
    equal_if_some("id-key-digest", wanted.id_key_digest.as_ref(), &code.id_key_digest)?;
    if wanted.vmpl != code.vmpl {
        return differ("vmpl", wanted.vmpl, code.vmpl);
    }
    Ok(())
}

fn match_nitro(wanted: &NitroMeasurement, code: &NitroCode) -> Result<(), Mismatch> {
    let expected = [("pcr0", 0, Some(wanted.pcr0)), ("pcr1", 1, Some(wanted.pcr1)), ("pcr2", 2, Some(wanted.pcr2))];
    for (name, index, expected) in expected.into_iter().chain([("pcr8", 8, wanted.pcr8)]) {
        let Some(expected) = expected else { continue };
        match code.pcrs.get(&index) {
            Some(found) => equal(name, &expected, found)?,
            None => return differ(name, format!("{expected:#x}"), "absent"),
        }
    }
    Ok(())
}

fn equal<const N: usize>(field: &'static str, expected: &FixedBytes<N>, found: &FixedBytes<N>) -> Result<(), Mismatch> {
    if expected == found { Ok(()) } else { differ(field, format!("{expected:#x}"), format!("{found:#x}")) }
}

fn equal_if_some<const N: usize>(
    field: &'static str,
    expected: Option<&FixedBytes<N>>,
    found: &FixedBytes<N>,
) -> Result<(), Mismatch> {
    expected.map_or(Ok(()), |expected| equal(field, expected, found))
}

fn masked(field: &'static str, expected: Masked, found: u64) -> Result<(), Mismatch> {
    if expected.admits(found) { Ok(()) } else { differ(field, expected, format!("{found:#018x}")) }
}

fn bits(field: &'static str, expected: u64, found: u64) -> Result<(), Mismatch> {
    if expected == found { Ok(()) } else { differ(field, format!("{expected:#018x}"), format!("{found:#018x}")) }
}

fn differ(field: &'static str, expected: impl fmt::Display, found: impl fmt::Display) -> Result<(), Mismatch> {
    Err(Mismatch { field, expected: expected.to_string(), found: found.to_string() })
}

#[cfg(test)]
mod tests;
