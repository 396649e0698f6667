//! The roots that evidence may lead to, and what a root says about everything below it.
//!
//! [`TrustAnchors::production`] holds the vendors' roots, compiled in and pinned by SHA-256, and nothing can be added to it.
//! Roots of simulators enter only through [`TrustAnchors::with_development`], which exists under the cargo feature
//! `development-anchors` alone. Which trust domain evidence belongs to follows from the root that verified it, never from the
//! evidence.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use alloy_primitives::{B256, FixedBytes};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Families of AMD processors; each has its own root (ARK).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AmdProduct {
    /// EPYC 7003.
    Milan,
    /// EPYC 9004, with Bergamo and Siena.
    Genoa,
    /// EPYC 9005.
    Turin,
}

impl AmdProduct {
    /// All products, for tables and tests.
    pub const ALL: [Self; 3] = [Self::Milan, Self::Genoa, Self::Turin];

    /// The product's name as AMD writes it in certificates and key-server paths.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Milan => "Milan",
            Self::Genoa => "Genoa",
            Self::Turin => "Turin",
        }
    }
}

impl fmt::Display for AmdProduct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for AmdProduct {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AmdProduct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A name that is none of AMD's products.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown AMD product; use Milan, Genoa or Turin")]
pub struct UnknownProduct;

impl FromStr for AmdProduct {
    type Err = UnknownProduct;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|product| product.as_str() == text).ok_or(UnknownProduct)
    }
}

/// Who stands behind the evidence: a hardware vendor, or somebody's simulator. Written `production` or `development:<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrustDomain {
    /// The root is a vendor's, so there is hardware.
    Production,
    /// The root is a simulator's with this name; there is no hardware and no protection at all.
    Development(String),
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Production => f.write_str("production"),
            Self::Development(name) => write!(f, "development:{name}"),
        }
    }
}

impl Serialize for TrustDomain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Names a root, so that records can say which one was trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RootId {
    /// Intel: SHA-384 of the root's uncompressed public key point.
    KeySha384(FixedBytes<48>),
    /// AMD and AWS: SHA-256 of the root certificate.
    CertificateSha256(B256),
}

impl fmt::Display for RootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeySha384(digest) => write!(f, "key-sha384:{}", hex::encode(digest)),
            Self::CertificateSha256(digest) => write!(f, "certificate-sha256:{}", hex::encode(digest)),
        }
    }
}

impl Serialize for RootId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One trusted root certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// The certificate, DER.
    pub(crate) certificate: Cow<'static, [u8]>,
    /// What everything below it belongs to.
    pub(crate) domain: TrustDomain,
}

impl Anchor {
    const fn vendor(certificate: &'static [u8]) -> Self {
        Self { certificate: Cow::Borrowed(certificate), domain: TrustDomain::Production }
    }

    /// SHA-256 of the certificate.
    pub(crate) fn fingerprint(&self) -> B256 {
        sha256(&self.certificate)
    }
}

/// The roots a verifier believes.
#[cfg_attr(
    not(feature = "development-anchors"),
    doc = "\nWithout the feature `development-anchors` there is no way to add one:\n\n```compile_fail,E0432\nuse strongroom_attest::anchors::DevelopmentAnchors;\n```"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustAnchors {
    intel: Vec<Anchor>,
    amd: Vec<(AmdProduct, Anchor)>,
    aws: Vec<Anchor>,
}

impl TrustAnchors {
    /// The vendors' roots (see `roots/ORIGIN.md`), and no way to add another.
    pub fn production() -> Self {
        Self {
            intel: vec![Anchor::vendor(INTEL_ROOT)],
            amd: vec![
                (AmdProduct::Milan, Anchor::vendor(AMD_MILAN_ROOT)),
                (AmdProduct::Genoa, Anchor::vendor(AMD_GENOA_ROOT)),
                (AmdProduct::Turin, Anchor::vendor(AMD_TURIN_ROOT)),
            ],
            aws: vec![Anchor::vendor(AWS_ROOT)],
        }
    }

    /// The vendors' roots and, beside them, those of a simulator. What verifies under the latter is marked
    /// [`TrustDomain::Development`], which a production policy refuses.
    #[cfg(feature = "development-anchors")]
    pub fn with_development(development: DevelopmentAnchors) -> Self {
        let mut anchors = Self::production();
        let domain = TrustDomain::Development(development.name);
        let anchor = |certificate: Vec<u8>| Anchor { certificate: Cow::Owned(certificate), domain: domain.clone() };
        anchors.intel.extend(development.intel_root.map(&anchor));
        anchors.amd.extend(development.amd_roots.into_iter().map(|(product, root)| (product, anchor(root))));
        anchors.aws.extend(development.aws_root.map(&anchor));
        anchors
    }

    /// Whether all roots are vendors'. A production configuration refuses to start when this is false.
    pub fn is_production_only(&self) -> bool {
        let amd = self.amd.iter().map(|(_, anchor)| anchor);
        self.intel.iter().chain(amd).chain(&self.aws).all(|anchor| anchor.domain == TrustDomain::Production)
    }

    /// Roots for SGX and TDX.
    pub(crate) fn intel(&self) -> &[Anchor] {
        &self.intel
    }

    /// Roots for SEV-SNP on this product.
    pub(crate) fn amd(&self, product: AmdProduct) -> impl Iterator<Item = &Anchor> {
        self.amd.iter().filter(move |(of, _)| *of == product).map(|(_, anchor)| anchor)
    }

    /// Roots for Nitro.
    pub(crate) fn aws(&self) -> &[Anchor] {
        &self.aws
    }
}

/// The roots of one simulator.
#[cfg(feature = "development-anchors")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevelopmentAnchors {
    /// Name of the simulation, shown in every claim and record.
    pub name: String,
    /// Root of simulated SGX and TDX, DER.
    pub intel_root: Option<Vec<u8>>,
    /// Roots of simulated SEV-SNP by product, DER.
    pub amd_roots: Vec<(AmdProduct, Vec<u8>)>,
    /// Root of simulated Nitro, DER.
    pub aws_root: Option<Vec<u8>>,
}

/// SHA-256 through the same library that checks the signatures.
pub(crate) fn sha256(data: &[u8]) -> B256 {
    B256::from_slice(ring::digest::digest(&ring::digest::SHA256, data).as_ref())
}

const INTEL_ROOT: &[u8] = include_bytes!("../roots/intel-sgx-root-ca.der");
const AMD_MILAN_ROOT: &[u8] = include_bytes!("../roots/amd-ark-milan.der");
const AMD_GENOA_ROOT: &[u8] = include_bytes!("../roots/amd-ark-genoa.der");
const AMD_TURIN_ROOT: &[u8] = include_bytes!("../roots/amd-ark-turin.der");
const AWS_ROOT: &[u8] = include_bytes!("../roots/aws-nitro-enclaves-g1.der");

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of every production root: Intel, AMD Milan, Genoa, Turin, AWS.
    const PINS: [&str; 5] = [
        "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3",
        "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd",
        "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1",
        "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a",
        "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b",
    ];

    #[test]
    fn the_production_roots_are_exactly_the_pinned_ones() {
        let anchors = TrustAnchors::production();
        let found: Vec<String> = anchors
            .intel
            .iter()
            .chain(anchors.amd.iter().map(|(_, anchor)| anchor))
            .chain(&anchors.aws)
            .map(|anchor| hex::encode(anchor.fingerprint()))
            .collect();
        assert_eq!(found, PINS);
        assert!(anchors.is_production_only());
    }

    #[cfg(feature = "development-anchors")]
    #[test]
    fn a_development_root_is_never_mistaken_for_a_production_one() {
        for development in [
            DevelopmentAnchors { intel_root: Some(vec![1]), ..no_roots() },
            DevelopmentAnchors { amd_roots: vec![(AmdProduct::Turin, vec![1])], ..no_roots() },
            DevelopmentAnchors { aws_root: Some(vec![1]), ..no_roots() },
        ] {
            assert!(!TrustAnchors::with_development(development).is_production_only());
        }
        assert!(TrustAnchors::with_development(no_roots()).is_production_only());
    }

    #[cfg(feature = "development-anchors")]
    fn no_roots() -> DevelopmentAnchors {
        DevelopmentAnchors { name: "test".into(), intel_root: None, amd_roots: vec![], aws_root: None }
    }
}
