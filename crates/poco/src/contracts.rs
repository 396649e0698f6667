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

    // Texts that anybody may have written are declared as bytes, which are encoded alike: the contracts do not ask for UTF-8.
    struct DealAsset { address pointer; address owner; uint256 price; }
    struct Deal {
        DealAsset app;
        DealAsset dataset;
        DealAsset workerpool;
        uint256 trust;
        uint256 category;
        bytes32 tag;
        address requester;
        address beneficiary;
        address callback;
        bytes params;
        uint256 startTime;
        uint256 botFirst;
        uint256 botSize;
        uint256 workerStake;
        uint256 schedulerRewardRatio;
        address sponsor;
    }
    function viewDeal(bytes32 id) external view returns (Deal deal);

    struct Task {
        uint8 status;
        bytes32 dealid;
        uint256 idx;
        uint256 timeref;
        uint256 contributionDeadline;
        uint256 revealDeadline;
        uint256 finalDeadline;
        bytes32 consensusValue;
        uint256 revealCounter;
        uint256 winnerCounter;
        address[] contributors;
        bytes32 resultDigest;
        bytes results;
        uint256 resultsTimestamp;
        bytes resultsCallback;
    }
    function viewTask(bytes32 id) external view returns (Task task);

    struct Category { bytes name; bytes description; uint256 workClockTimeRef; }
    function viewCategory(uint256 number) external view returns (Category category);

    struct App { address owner; bytes name; bytes kind; bytes multiaddr; bytes32 checksum; bytes mrenclave; }
    function viewApp(address app) external view returns (App app);

    struct Dataset { address owner; bytes name; bytes multiaddr; bytes32 checksum; }
    function viewDataset(address dataset) external view returns (Dataset dataset);

    struct Workerpool { address owner; bytes description; uint256 workerStakeRatio; uint256 schedulerRewardRatio; }
    function viewWorkerpool(address workerpool) external view returns (Workerpool workerpool);

    // Orders of a bulk slice. The text of the reason is declared as bytes, like all texts here.
    struct DatasetOrder {
        address dataset;
        uint256 datasetprice;
        uint256 volume;
        bytes32 tag;
        address apprestrict;
        address workerpoolrestrict;
        address requesterrestrict;
        bytes32 salt;
        bytes sign;
    }
    function assertDatasetDealCompatibility(DatasetOrder order, bytes32 deal) external view;

    // The registries: ERC-721, where the number of a token is the address of the resource.
    function isRegistered(address entry) external view returns (bool registered);
    function ownerOf(uint256 tokenId) external view returns (address owner);

    // Contracts that own things.
    function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4 magic);
}
