//! The functions of the PoCo contracts that we call, as their ABI has them (package `@iexec/poco` 6.1.0), and ERC-1271.

use alloy_sol_types::sol;

sol! {
    #![sol(abi = false)]

    // The hub.
    function appregistry() external view returns (address registry);
    function datasetregistry() external view returns (address registry);
    function workerpoolregistry() external view returns (address registry);

    struct Domain { string name; string version; uint256 chainId; address verifyingContract; }
    function domain() external view returns (Domain domain);

    // The registries: ERC-721, where the number of a token is the address of the resource.
    function isRegistered(address entry) external view returns (bool registered);
    function ownerOf(uint256 tokenId) external view returns (address owner);

    // Contracts that own things.
    function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4 magic);
}
