//! The parts of the PoCo 6.1.0 contracts (and of the standards below them) that the local network calls, in Solidity.

#![allow(missing_docs, clippy::too_many_arguments)] // generated from the Solidity below, which is the documentation

use alloy_sol_types::sol;

sol! {
    /// A facet and what happens to its selectors in a diamond; action 0 adds them.
    #[derive(Debug)]
    struct FacetCut {
        address facetAddress;
        uint8 action;
        bytes4[] functionSelectors;
    }

    struct DiamondArgs {
        address owner;
        address init;
        bytes initCalldata;
    }

    /// Not a function of any contract: it has the argument list of the constructor of `Diamond`.
    function constructDiamond(FacetCut[] cuts, DiamondArgs args);

    function init();

    interface Diamond {
        struct Facet {
            address facetAddress;
            bytes4[] functionSelectors;
        }
        function diamondCut(FacetCut[] cuts, address init, bytes data);
        function facets() returns (Facet[] facets_);
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Domain {
        string name;
        string version;
        uint256 chainId;
        address verifyingContract;
    }

    interface Hub {
        function configure(
            address token, string name, string symbol, uint8 decimals,
            address appRegistry, address datasetRegistry, address workerpoolRegistry, address previous
        );
        function createCategory(string name, string description, uint256 workClockTimeRef) returns (uint256);
        function token() returns (address);
        function owner() returns (address);
        function appregistry() returns (address);
        function datasetregistry() returns (address);
        function workerpoolregistry() returns (address);
        function countCategory() returns (uint256);
        function domain() returns (Domain);
        function eip712domain_separator() returns (bytes32);
        function callbackgas() returns (uint256);

        function deposit(uint256 amount) returns (bool);
        function matchOrders(AppOrder app, DatasetOrder dataset, WorkerpoolOrder workerpool, RequestOrder request)
            returns (bytes32);
        event OrdersMatched(
            bytes32 dealid, bytes32 appHash, bytes32 datasetHash, bytes32 workerpoolHash, bytes32 requestHash, uint256 volume
        );

        function verifySignature(address identity, bytes32 hash, bytes signature) returns (bool);
        function viewCategory(uint256 id) returns (Category);
        function viewDeal(bytes32 deal) returns (Deal);
        function viewTask(bytes32 task) returns (Task);
        function initialize(bytes32 deal, uint256 index) returns (bytes32);
        function claim(bytes32 task);
        function contribute(
            bytes32 task, bytes32 resultHash, bytes32 resultSeal, address enclaveChallenge, bytes enclaveSign,
            bytes authorizationSign
        );
        function contributeAndFinalize(
            bytes32 task, bytes32 resultDigest, bytes results, bytes resultsCallback, address enclaveChallenge,
            bytes enclaveSign, bytes authorizationSign
        );
        function reveal(bytes32 task, bytes32 resultDigest);
        function finalize(bytes32 task, bytes results, bytes resultsCallback);

        event TaskInitialize(bytes32 indexed taskid, address indexed workerpool);
        event TaskContribute(bytes32 indexed taskid, address indexed worker, bytes32 hash);
        event TaskFinalize(bytes32 indexed taskid, bytes results);
        event TaskClaimed(bytes32 indexed taskid);
    }

    interface Registry {
        function initialize(address previous);
        function setBaseURI(string uri);
        function isRegistered(address entry) returns (bool);
        function ownerOf(uint256 tokenId) returns (address);
        function safeTransferFrom(address from, address to, uint256 tokenId);
        event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);

        function createApp(
            address owner, string name, string kind, bytes multiaddr, bytes32 checksum, bytes mrenclave
        ) returns (address);
        function createDataset(address owner, string name, bytes multiaddr, bytes32 checksum) returns (address);
        function createWorkerpool(address owner, string description) returns (address);
    }

    interface Rlc {
        function approve(address spender, uint256 amount) returns (bool);
        function transfer(address to, uint256 amount) returns (bool);
        function balanceOf(address owner) returns (uint256);
    }

    #[derive(Debug)]
    struct Category {
        string name;
        string description;
        uint256 workClockTimeRef;
    }

    #[derive(Debug)]
    struct Resource {
        address pointer;
        address owner;
        uint256 price;
    }

    #[derive(Debug)]
    struct Deal {
        Resource app;
        Resource dataset;
        Resource workerpool;
        uint256 trust;
        uint256 category;
        bytes32 tag;
        address requester;
        address beneficiary;
        address callback;
        string params;
        uint256 startTime;
        uint256 botFirst;
        uint256 botSize;
        uint256 workerStake;
        uint256 schedulerRewardRatio;
        address sponsor;
    }

    /// Status: 0 unset, 1 active, 2 revealing, 3 completed, 4 failed.
    #[derive(Debug)]
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

    #[derive(Debug, Default)]
    struct AppOrder {
        address app;
        uint256 appprice;
        uint256 volume;
        bytes32 tag;
        address datasetrestrict;
        address workerpoolrestrict;
        address requesterrestrict;
        bytes32 salt;
        bytes sign;
    }

    #[derive(Debug, Default)]
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

    #[derive(Debug, Default)]
    struct WorkerpoolOrder {
        address workerpool;
        uint256 workerpoolprice;
        uint256 volume;
        bytes32 tag;
        uint256 category;
        uint256 trust;
        address apprestrict;
        address datasetrestrict;
        address requesterrestrict;
        bytes32 salt;
        bytes sign;
    }

    #[derive(Debug, Default)]
    struct RequestOrder {
        address app;
        uint256 appmaxprice;
        address dataset;
        uint256 datasetmaxprice;
        address workerpool;
        uint256 workerpoolmaxprice;
        address requester;
        uint256 volume;
        bytes32 tag;
        uint256 category;
        uint256 trust;
        address beneficiary;
        address callback;
        string params;
        bytes32 salt;
        bytes sign;
    }
}

/// The orders as they are signed: the same fields without the signature. The names are part of what is signed (EIP-712).
pub mod unsigned {
    use alloy_sol_types::sol;

    sol! {
        #[derive(Debug, Default)]
        struct AppOrder {
            address app;
            uint256 appprice;
            uint256 volume;
            bytes32 tag;
            address datasetrestrict;
            address workerpoolrestrict;
            address requesterrestrict;
            bytes32 salt;
        }

        #[derive(Debug, Default)]
        struct DatasetOrder {
            address dataset;
            uint256 datasetprice;
            uint256 volume;
            bytes32 tag;
            address apprestrict;
            address workerpoolrestrict;
            address requesterrestrict;
            bytes32 salt;
        }

        #[derive(Debug, Default)]
        struct WorkerpoolOrder {
            address workerpool;
            uint256 workerpoolprice;
            uint256 volume;
            bytes32 tag;
            uint256 category;
            uint256 trust;
            address apprestrict;
            address datasetrestrict;
            address requesterrestrict;
            bytes32 salt;
        }

        #[derive(Debug, Default)]
        struct RequestOrder {
            address app;
            uint256 appmaxprice;
            address dataset;
            uint256 datasetmaxprice;
            address workerpool;
            uint256 workerpoolmaxprice;
            address requester;
            uint256 volume;
            bytes32 tag;
            uint256 category;
            uint256 trust;
            address beneficiary;
            address callback;
            string params;
            bytes32 salt;
        }
    }
}
