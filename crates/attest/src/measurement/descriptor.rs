//! The descriptors and what makes one valid.

use std::fmt;

use alloy_primitives::{B256, FixedBytes, keccak256};

use super::images::OsImageId;

/// DEBUG in SGX ATTRIBUTES.
const SGX_DEBUG: u64 = 1 << 1;
/// The bits of TDATTRIBUTES that make a TD untrusted: DEBUG and profiling.
const TDX_UNTRUSTED: u64 = 0xff;
/// DEBUG in the SNP guest policy.
const SNP_DEBUG: u64 = 1 << 19;

/// keccak-256 of a descriptor's canonical bytes: what fits into one word on chain. The whole descriptor must be published
/// too, since the id alone cannot be audited.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeasurementId(B256);

impl MeasurementId {
    /// The id as 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0.0
    }
}

impl From<B256> for MeasurementId {
    fn from(id: B256) -> Self {
        Self(id)
    }
}

impl fmt::Display for MeasurementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for MeasurementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MeasurementId({self})")
    }
}

/// A valid descriptor of code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Measurement(Descriptor);

/// The descriptors, by kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Descriptor {
    /// Kind 1.
    Sgx(SgxMeasurement),
    /// Kind 2: an approved operating-system image running an application named by its compose file.
    TdxImage(TdxImageMeasurement),
    /// Kind 3: fixed registers, for images without an event log.
    Tdx(TdxMeasurement),
    /// Kind 4.
    Snp(SnpMeasurement),
    /// Kind 5.
    Nitro(NitroMeasurement),
}

/// An SGX enclave.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SgxMeasurement {
    /// Measurement of the enclave.
    pub mrenclave: B256,
    /// Its signer; any if absent.
    pub mrsigner: Option<B256>,
    /// Its signer's product number; any if absent.
    pub isv_prod_id: Option<u16>,
    /// ATTRIBUTES flags.
    pub attributes: Masked,
    /// CONFIGID; must be zero if absent.
    pub config_id: Option<FixedBytes<64>>,
}

/// An application on an approved TDX image.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TdxImageMeasurement {
    /// Which image; see [`ApprovedImages`](super::ApprovedImages).
    pub os_image: OsImageId,
    /// SHA-256 of the compose file, from the verified event log.
    pub compose_hash: B256,
    /// MRCONFIGID.
    pub mr_config_id: FixedBytes<48>,
    /// MROWNER.
    pub mr_owner: FixedBytes<48>,
    /// MROWNERCONFIG.
    pub mr_owner_config: FixedBytes<48>,
    /// TDATTRIBUTES.
    pub attributes: Masked,
    /// XFAM.
    pub xfam: u64,
}

/// A TD whose registers are all fixed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TdxMeasurement {
    /// MRTD.
    pub mrtd: FixedBytes<48>,
    /// RTMR0 to RTMR3.
    pub rtmrs: [FixedBytes<48>; 4],
    /// MRCONFIGID.
    pub mr_config_id: FixedBytes<48>,
    /// MROWNER.
    pub mr_owner: FixedBytes<48>,
    /// MROWNERCONFIG.
    pub mr_owner_config: FixedBytes<48>,
    /// TDATTRIBUTES.
    pub attributes: Masked,
    /// XFAM.
    pub xfam: u64,
}

/// An SNP guest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SnpMeasurement {
    /// Launch measurement.
    pub measurement: FixedBytes<48>,
    /// HOST_DATA; names the application when the launch measurement is that of a generic image.
    pub host_data: B256,
    /// Guest policy.
    pub policy: Masked,
    /// Digest of the ID key; any if absent.
    pub id_key_digest: Option<FixedBytes<48>>,
    /// Privilege level.
    pub vmpl: u8,
}

/// A Nitro enclave.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NitroMeasurement {
    /// The image.
    pub pcr0: FixedBytes<48>,
    /// Kernel and boot.
    pub pcr1: FixedBytes<48>,
    /// Application.
    pub pcr2: FixedBytes<48>,
    /// The certificate that signed the image; any if absent.
    pub pcr8: Option<FixedBytes<48>>,
}

/// A number of which some bits must have a given value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Masked {
    /// The value of the bits that count; others are zero.
    pub value: u64,
    /// The bits that count.
    pub mask: u64,
}

impl Masked {
    /// All bits must be as in `value`.
    pub const fn exactly(value: u64) -> Self {
        Self { value, mask: u64::MAX }
    }

    /// Whether `found` has the value where it counts.
    pub const fn admits(self, found: u64) -> bool {
        found & self.mask == self.value
    }
}

impl fmt::Display for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}/{:#018x}", self.value, self.mask)
    }
}

/// A descriptor that must not be registered or matched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMeasurement {
    /// It asks for an enclave whose memory can be read from outside.
    #[error("the measurement asks for debug mode")]
    Debug,
    /// A value has bits outside its mask: it could never match, or had two texts.
    #[error("{0} has bits outside its mask")]
    OutsideMask(&'static str),
}

impl Measurement {
    /// Takes a descriptor if it is valid.
    pub fn new(descriptor: Descriptor) -> Result<Self, InvalidMeasurement> {
        let (name, masked, debug) = match &descriptor {
            Descriptor::Sgx(sgx) => ("attributes", sgx.attributes, SGX_DEBUG),
            Descriptor::TdxImage(tdx) => ("attributes", tdx.attributes, TDX_UNTRUSTED),
            Descriptor::Tdx(tdx) => ("attributes", tdx.attributes, TDX_UNTRUSTED),
            Descriptor::Snp(snp) => ("policy", snp.policy, SNP_DEBUG),
            // A Nitro enclave in debug mode has zeros in the registers that name its code.
            Descriptor::Nitro(nitro) => {
                let zero = [nitro.pcr0, nitro.pcr1, nitro.pcr2].iter().all(FixedBytes::is_zero);
                return if zero { Err(InvalidMeasurement::Debug) } else { Ok(Self(descriptor)) };
            }
        };
        if masked.value & !masked.mask != 0 {
            return Err(InvalidMeasurement::OutsideMask(name));
        }
        if masked.value & debug != 0 {
            return Err(InvalidMeasurement::Debug);
        }
        Ok(Self(descriptor))
    }

    /// What existing iExec applications store on chain: only an MRENCLAVE. Any signer and product, INIT and MODE64BIT set,
    /// the rest of the low eight flags (DEBUG among them) clear, no CONFIGID.
    pub fn legacy_sgx(mrenclave: B256) -> Self {
        Self(Descriptor::Sgx(SgxMeasurement {
            mrenclave,
            mrsigner: None,
            isv_prod_id: None,
            attributes: Masked { value: 0x05, mask: 0xff },
            config_id: None,
        }))
    }

    /// The descriptor.
    pub fn descriptor(&self) -> &Descriptor {
        &self.0
    }

    /// keccak-256 of [`Measurement::to_canonical`].
    pub fn id(&self) -> MeasurementId {
        MeasurementId(keccak256(self.to_canonical()))
    }
}
