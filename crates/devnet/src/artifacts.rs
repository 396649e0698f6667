//! The compiled PoCo contracts, as the published package has them: code, interface, and the places where the address of
//! a library goes.

use std::collections::BTreeMap;
use std::io;

use alloy::json_abi::JsonAbi;
use alloy_primitives::{Address, Bytes, FixedBytes, hex};
use serde::Deserialize;

use crate::npm::{Cache, FetchError, POCO, for_each_file};

/// The only contracts that are taken from the records of a public deployment, because the package has them nowhere
/// else. The other records there are of another build, already linked for that chain.
const ONLY_IN_DEPLOYMENTS: [&str; 5] = ["DiamondCutFacet", "DiamondLoupeFacet", "OwnershipFacet", "DiamondInit", "RLC"];

/// Why a contract cannot be made ready for deployment.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The package could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The package has no such contract, or has it in another shape.
    #[error("the package @iexec/poco has no usable contract {0}")]
    Missing(String),
    /// The code is not hexadecimal once it is linked: a library is missing.
    #[error("the code of {0} is not hexadecimal after linking")]
    Code(String),
}

/// All contracts of the package by name.
#[derive(Debug)]
pub struct Artifacts {
    contracts: BTreeMap<String, Artifact>,
}

/// One compiled contract, as Hardhat writes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    #[serde(default)]
    contract_name: String,
    #[serde(default)]
    abi: JsonAbi,
    bytecode: String,
    /// file → library → places, in bytes from the beginning of the code
    #[serde(default)]
    link_references: BTreeMap<String, BTreeMap<String, Vec<LinkReference>>>,
}

#[derive(Debug, Deserialize)]
struct LinkReference {
    start: usize,
    length: usize,
}

impl Artifacts {
    /// Reads the contracts of `@iexec/poco` 6.1.0. Blocks the thread.
    pub fn of_poco(cache: &Cache) -> Result<Self, ArtifactError> {
        let tarball = cache.tarball(&POCO)?;
        let mut contracts = BTreeMap::new();
        for_each_file(&POCO, &tarball, |path, content| {
            let Some(name) = contract_of(path) else { return Ok(()) };
            let mut artifact: Artifact =
                serde_json::from_reader(content).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            artifact.contract_name.clone_from(&name);
            contracts.insert(name, artifact);
            Ok(())
        })?;
        Ok(Self { contracts })
    }

    /// The contract of this name.
    pub fn contract(&self, name: &str) -> Result<&Artifact, ArtifactError> {
        self.contracts.get(name).ok_or_else(|| ArtifactError::Missing(name.to_owned()))
    }
}

/// The name of the contract that a file of the package describes, if it is one that we take.
fn contract_of(path: &str) -> Option<String> {
    if let Some(name) = path.strip_prefix("deployments/arbitrumSepolia/") {
        let name = name.strip_suffix(".json")?;
        return ONLY_IN_DEPLOYMENTS.contains(&name).then(|| name.to_owned());
    }
    let inner = path.strip_prefix("artifacts/contracts/")?;
    if inner.starts_with("tools/") {
        return None; // contracts for the tests of PoCo itself
    }
    let (_, file) = inner.rsplit_once(".sol/")?;
    Some(file.strip_suffix(".json")?.to_owned())
}

impl Artifact {
    /// The code that creates the contract, linked with these libraries, followed by the encoded arguments of the constructor.
    pub fn creation_code(&self, libraries: &[(&str, Address)], arguments: &[u8]) -> Result<Bytes, ArtifactError> {
        let bad = || ArtifactError::Code(self.contract_name.clone());
        let mut digits = self.bytecode.strip_prefix("0x").ok_or_else(bad)?.to_owned();
        for (name, places) in self.link_references.values().flatten() {
            let Some((_, address)) = libraries.iter().find(|(library, _)| library == name) else {
                return Err(bad());
            };
            for place in places {
                let range = 2 * place.start..2 * (place.start + place.length);
                if digits.get(range.clone()).is_none() {
                    return Err(bad());
                }
                digits.replace_range(range, &hex::encode(address));
            }
        }
        let mut code = hex::decode(digits).map_err(|_| bad())?;
        code.extend_from_slice(arguments);
        Ok(code.into())
    }

    /// The selectors under which a diamond must know this facet: one for each function, `0x00000000` for `receive` and
    /// `0xffffffff` for `fallback`, through which the diamond of PoCo routes its own.
    pub fn selectors(&self) -> Vec<FixedBytes<4>> {
        let mut selectors: Vec<_> = self.abi.functions().map(alloy::json_abi::Function::selector).collect();
        if self.abi.receive.is_some() {
            selectors.push(FixedBytes([0x00; 4]));
        }
        if self.abi.fallback.is_some() {
            selectors.push(FixedBytes([0xff; 4]));
        }
        selectors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifacts() -> Artifacts {
        Artifacts::of_poco(&Cache::of_user().unwrap()).unwrap()
    }

    #[test]
    fn the_escrow_facet_takes_over_receive_and_fallback() {
        let selectors = artifacts().contract("IexecEscrowTokenFacet").unwrap().selectors();
        assert!(selectors.contains(&FixedBytes([0x00; 4])));
        assert!(selectors.contains(&FixedBytes([0xff; 4])));
    }

    #[test]
    fn code_with_a_library_is_refused_until_it_is_linked() {
        let artifacts = artifacts();
        let facet = artifacts.contract("IexecPoco1Facet").unwrap();
        assert!(matches!(facet.creation_code(&[], &[]), Err(ArtifactError::Code(_))));
        let library = Address::repeat_byte(0xab);
        let code = facet.creation_code(&[("IexecLibOrders_v5", library)], &[]).unwrap();
        assert!(code.windows(20).any(|window| window == library.as_slice()));
    }

    #[test]
    fn a_contract_that_is_not_there_is_named() {
        let error = artifacts().contract("IexecPoco9Facet").unwrap_err();
        assert_eq!(error.to_string(), "the package @iexec/poco has no usable contract IexecPoco9Facet");
    }
}
