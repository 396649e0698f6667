//! Canonical bytes and text of measurements. Both are driven by one table per kind, so they cannot disagree about fields or
//! order.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use alloy_primitives::{B256, FixedBytes};

use super::descriptor::{
    Descriptor, InvalidMeasurement, Masked, Measurement, NitroMeasurement, SgxMeasurement, SnpMeasurement,
    TdxImageMeasurement, TdxMeasurement,
};
use super::images::OsImageId;

const MAGIC: &[u8; 8] = b"SMSMEAS1";
/// Longest text: kind 3 with all its fields is about 1,100 characters.
const MAX_TEXT_BYTES: usize = 2048;

/// How a field is written as bytes and as text.
#[derive(Clone, Copy)]
enum Form {
    /// So many bytes; hex.
    Bytes(usize),
    /// So many bytes or none; hex or the word.
    Optional(usize, &'static str),
    /// Two bytes big-endian or none; decimal or the word.
    OptionalProduct(&'static str),
    /// Value and mask, eight bytes each.
    Masked,
    /// Eight bytes; `0x` and 16 digits.
    Bits,
    /// One byte; decimal.
    Small,
}

type Field = (&'static str, Form);

/// Kind number, name and fields of every kind.
const KINDS: [(u8, &str, &[Field]); 5] = [
    (
        1,
        "sgx",
        &[
            ("mrenclave", Form::Bytes(32)),
            ("mrsigner", Form::Optional(32, "any")),
            ("isvprodid", Form::OptionalProduct("any")),
            ("attributes", Form::Masked),
            ("configid", Form::Optional(64, "none")),
        ],
    ),
    (
        2,
        "tdx-image",
        &[
            ("os-image", Form::Bytes(32)),
            ("compose-hash", Form::Bytes(32)),
            ("mrconfigid", Form::Bytes(48)),
            ("mrowner", Form::Bytes(48)),
            ("mrownerconfig", Form::Bytes(48)),
            ("attributes", Form::Masked),
            ("xfam", Form::Bits),
        ],
    ),
    (
        3,
        "tdx",
        &[
            ("mrtd", Form::Bytes(48)),
            ("rtmr0", Form::Bytes(48)),
            ("rtmr1", Form::Bytes(48)),
            ("rtmr2", Form::Bytes(48)),
            ("rtmr3", Form::Bytes(48)),
            ("mrconfigid", Form::Bytes(48)),
            ("mrowner", Form::Bytes(48)),
            ("mrownerconfig", Form::Bytes(48)),
            ("attributes", Form::Masked),
            ("xfam", Form::Bits),
        ],
    ),
    (
        4,
        "snp",
        &[
            ("measurement", Form::Bytes(48)),
            ("host-data", Form::Bytes(32)),
            ("policy", Form::Masked),
            ("id-key-digest", Form::Optional(48, "any")),
            ("vmpl", Form::Small),
        ],
    ),
    (
        5,
        "nitro",
        &[
            ("pcr0", Form::Bytes(48)),
            ("pcr1", Form::Bytes(48)),
            ("pcr2", Form::Bytes(48)),
            ("pcr8", Form::Optional(48, "any")),
        ],
    ),
];

/// Why bytes or text are no measurement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseMeasurementError {
    /// The bytes do not begin with `SMSMEAS1`.
    #[error("the bytes are not a measurement")]
    NoMagic,
    /// A kind number or name that is not known.
    #[error("the kind of measurement is unknown; use sgx, tdx-image, tdx, snp or nitro")]
    UnknownKind,
    /// The bytes end early, or a field has a length its kind does not allow.
    #[error("field {0} has a wrong length")]
    Length(&'static str),
    /// Bytes or members after the last field.
    #[error("there is something after the last field")]
    Trailing,
    /// A member is absent or not in its place.
    #[error("field {0} is missing; write the fields as kind,name=value,… in their order")]
    Missing(&'static str),
    /// A value is not written as its field calls for.
    #[error("field {0} is malformed; hex is lower-case, numbers have no leading zeros")]
    Value(&'static str),
    /// Longer than any measurement.
    #[error("the text is too long for a measurement")]
    TooLong,
    /// Well formed but not valid.
    #[error(transparent)]
    Invalid(#[from] InvalidMeasurement),
}

impl Measurement {
    /// The canonical bytes, whose keccak-256 is the id.
    pub fn to_canonical(&self) -> Vec<u8> {
        let (kind, values) = to_values(self.descriptor());
        let mut bytes = MAGIC.to_vec();
        bytes.push(kind);
        for value in values {
            let length = u16::try_from(value.len()).expect("the longest field has 64 bytes");
            bytes.extend(length.to_be_bytes());
            bytes.extend(value);
        }
        bytes
    }

    /// Reads canonical bytes. Every measurement has exactly one such form; all others are refused.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, ParseMeasurementError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(ParseMeasurementError::NoMagic)?;
        let (kind, mut rest) = rest.split_first().ok_or(ParseMeasurementError::UnknownKind)?;
        let (kind, _, fields) =
            KINDS.iter().find(|(number, ..)| number == kind).ok_or(ParseMeasurementError::UnknownKind)?;
        let mut values = Vec::with_capacity(fields.len());
        for (name, form) in *fields {
            let wrong = ParseMeasurementError::Length(name);
            let (length, after) = rest.split_at_checked(2).ok_or(wrong.clone())?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            let (value, after) = after.split_at_checked(length).ok_or(wrong.clone())?;
            if !form.allows(value.len()) {
                return Err(wrong);
            }
            values.push(value.to_vec());
            rest = after;
        }
        if !rest.is_empty() {
            return Err(ParseMeasurementError::Trailing);
        }
        Ok(Self::new(from_values(*kind, &values)?)?)
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, values) = to_values(self.descriptor());
        let (_, name, fields) = &KINDS[usize::from(kind) - 1];
        f.write_str(name)?;
        for ((name, form), value) in fields.iter().zip(values) {
            write!(f, ",{name}={}", form.to_text(&value))?;
        }
        Ok(())
    }
}

impl FromStr for Measurement {
    type Err = ParseMeasurementError;

    /// Reads what `Display` writes, and the legacy form of 64 hex digits: an MRENCLAVE.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(ParseMeasurementError::TooLong);
        }
        let mut legacy = [0; 32];
        if text.len() == 64 && hex::decode_to_slice(text, &mut legacy).is_ok() {
            return Ok(Self::legacy_sgx(B256::from(legacy)));
        }
        let mut members = text.split(',');
        let name = members.next().unwrap_or_default();
        let (kind, _, fields) =
            KINDS.iter().find(|(_, known, _)| *known == name).ok_or(ParseMeasurementError::UnknownKind)?;
        let mut values = Vec::with_capacity(fields.len());
        for (name, form) in *fields {
            let member = members.next().and_then(|member| member.split_once('='));
            let (_, value) = member.filter(|(found, _)| found == name).ok_or(ParseMeasurementError::Missing(name))?;
            values.push(form.parse(value).ok_or(ParseMeasurementError::Value(name))?);
        }
        if members.next().is_some() {
            return Err(ParseMeasurementError::Trailing);
        }
        Ok(Self::new(from_values(*kind, &values)?)?)
    }
}

impl Form {
    const fn allows(self, length: usize) -> bool {
        match self {
            Self::Bytes(size) => length == size,
            Self::Optional(size, _) => length == size || length == 0,
            Self::OptionalProduct(_) => length == 2 || length == 0,
            Self::Masked => length == 16,
            Self::Bits => length == 8,
            Self::Small => length == 1,
        }
    }

    fn to_text(self, bytes: &[u8]) -> String {
        match self {
            Self::Optional(_, absent) | Self::OptionalProduct(absent) if bytes.is_empty() => absent.to_owned(),
            Self::Bytes(_) | Self::Optional(..) => hex::encode(bytes),
            Self::OptionalProduct(_) => {
                bytes.iter().fold(0_u16, |number, byte| number << 8 | u16::from(*byte)).to_string()
            }
            Self::Masked => {
                let mut text = String::new();
                for (separator, half) in ["", "/"].iter().zip(bytes.chunks(8)) {
                    write!(text, "{separator}{:#018x}", little_endian(half)).expect("a string takes everything");
                }
                text
            }
            Self::Bits => format!("{:#018x}", little_endian(bytes)),
            Self::Small => little_endian(bytes).to_string(),
        }
    }

    /// The one reading of a text that [`Form::to_text`] could have written.
    fn parse(self, text: &str) -> Option<Vec<u8>> {
        let bytes = match self {
            Self::Optional(_, absent) | Self::OptionalProduct(absent) if text == absent => Vec::new(),
            Self::Bytes(_) | Self::Optional(..) => hex::decode(text).ok()?,
            Self::OptionalProduct(_) => text.parse::<u16>().ok()?.to_be_bytes().to_vec(),
            Self::Masked => {
                let (value, mask) = text.split_once('/')?;
                [parse_bits(value)?, parse_bits(mask)?].concat()
            }
            Self::Bits => parse_bits(text)?.to_vec(),
            Self::Small => vec![text.parse().ok()?],
        };
        (self.allows(bytes.len()) && self.to_text(&bytes) == text).then_some(bytes)
    }
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn parse_bits(text: &str) -> Option<[u8; 8]> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok().map(u64::to_le_bytes)
}

/// Kind and field values in the order of [`KINDS`].
fn to_values(descriptor: &Descriptor) -> (u8, Vec<Vec<u8>>) {
    let masked = |masked: Masked| [masked.value.to_le_bytes(), masked.mask.to_le_bytes()].concat();
    match descriptor {
        Descriptor::Sgx(sgx) => (
            1,
            vec![
                sgx.mrenclave.to_vec(),
                sgx.mrsigner.map(|it| it.to_vec()).unwrap_or_default(),
                sgx.isv_prod_id.map(|it| it.to_be_bytes().to_vec()).unwrap_or_default(),
                masked(sgx.attributes),
                sgx.config_id.map(|it| it.to_vec()).unwrap_or_default(),
            ],
        ),
        Descriptor::TdxImage(tdx) => (
            2,
            vec![
                tdx.os_image.as_bytes().to_vec(),
                tdx.compose_hash.to_vec(),
                tdx.mr_config_id.to_vec(),
                tdx.mr_owner.to_vec(),
                tdx.mr_owner_config.to_vec(),
                masked(tdx.attributes),
                tdx.xfam.to_le_bytes().to_vec(),
            ],
        ),
        Descriptor::Tdx(tdx) => {
            let mut values = vec![tdx.mrtd.to_vec()];
            values.extend(tdx.rtmrs.iter().map(|it| it.to_vec()));
            values.extend([tdx.mr_config_id.to_vec(), tdx.mr_owner.to_vec(), tdx.mr_owner_config.to_vec()]);
            values.extend([masked(tdx.attributes), tdx.xfam.to_le_bytes().to_vec()]);
            (3, values)
        }
        Descriptor::Snp(snp) => (
            4,
            vec![
                snp.measurement.to_vec(),
                snp.host_data.to_vec(),
                masked(snp.policy),
                snp.id_key_digest.map(|it| it.to_vec()).unwrap_or_default(),
                vec![snp.vmpl],
            ],
        ),
        Descriptor::Nitro(nitro) => (
            5,
            vec![
                nitro.pcr0.to_vec(),
                nitro.pcr1.to_vec(),
                nitro.pcr2.to_vec(),
                nitro.pcr8.map(|it| it.to_vec()).unwrap_or_default(),
            ],
        ),
    }
}

/// The descriptor with these field values, whose lengths were checked against [`KINDS`].
fn from_values(kind: u8, values: &[Vec<u8>]) -> Result<Descriptor, ParseMeasurementError> {
    let mut values = Values(values.iter());
    Ok(match kind {
        1 => Descriptor::Sgx(SgxMeasurement {
            mrenclave: values.fixed()?,
            mrsigner: values.optional()?,
            isv_prod_id: values.optional::<2>()?.map(|it| u16::from_be_bytes(it.0)),
            attributes: values.masked()?,
            config_id: values.optional()?,
        }),
        2 => Descriptor::TdxImage(TdxImageMeasurement {
            os_image: OsImageId::from(values.fixed()?),
            compose_hash: values.fixed()?,
            mr_config_id: values.fixed()?,
            mr_owner: values.fixed()?,
            mr_owner_config: values.fixed()?,
            attributes: values.masked()?,
            xfam: values.bits()?,
        }),
        3 => Descriptor::Tdx(TdxMeasurement {
            mrtd: values.fixed()?,
            rtmrs: [values.fixed()?, values.fixed()?, values.fixed()?, values.fixed()?],
            mr_config_id: values.fixed()?,
            mr_owner: values.fixed()?,
            mr_owner_config: values.fixed()?,
            attributes: values.masked()?,
            xfam: values.bits()?,
        }),
        4 => Descriptor::Snp(SnpMeasurement {
            measurement: values.fixed()?,
            host_data: values.fixed()?,
            policy: values.masked()?,
            id_key_digest: values.optional()?,
            vmpl: values.fixed::<1>()?[0],
        }),
        5 => Descriptor::Nitro(NitroMeasurement {
            pcr0: values.fixed()?,
            pcr1: values.fixed()?,
            pcr2: values.fixed()?,
            pcr8: values.optional()?,
        }),
        _ => return Err(ParseMeasurementError::UnknownKind),
    })
}

/// Field values still to be taken, in order.
struct Values<'a>(std::slice::Iter<'a, Vec<u8>>);

impl Values<'_> {
    fn fixed<const N: usize>(&mut self) -> Result<FixedBytes<N>, ParseMeasurementError> {
        let value = self.0.next().map(Vec::as_slice).unwrap_or_default();
        FixedBytes::try_from(value).map_err(|_| ParseMeasurementError::Length("value"))
    }

    fn optional<const N: usize>(&mut self) -> Result<Option<FixedBytes<N>>, ParseMeasurementError> {
        if self.0.as_slice().first().is_some_and(Vec::is_empty) {
            self.0.next();
            return Ok(None);
        }
        self.fixed().map(Some)
    }

    fn masked(&mut self) -> Result<Masked, ParseMeasurementError> {
        let both: FixedBytes<16> = self.fixed()?;
        Ok(Masked { value: little_endian(&both[..8]), mask: little_endian(&both[8..]) })
    }

    fn bits(&mut self) -> Result<u64, ParseMeasurementError> {
        Ok(little_endian(self.fixed::<8>()?.as_slice()))
    }
}
