//! One network and one service for all the tests of a file, which bring people of their own: starting and deploying takes
//! longer than most of the tests.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::U256;
use strongroom_devnet::home::Home;
use strongroom_devnet::sdk::{CommandLine, SdkError, SdkVersion, Session};
use strongroom_devnet::sms::{Sms, SmsOptions};
use strongroom_devnet::{Chain, Devnet};
use tempfile::TempDir;

use super::{context, devnet, program, sdk};

/// A network, the service for it, and the folder of its data.
pub(crate) struct Stage {
    pub(crate) network: Devnet,
    pub(crate) sms: Sms,
    _folder: TempDir,
}

impl Stage {
    /// The one that other tests use at this moment, else a new one. It ends with the last test that holds it.
    pub(crate) fn shared() -> Arc<Self> {
        static CURRENT: Mutex<Weak<Stage>> = Mutex::new(Weak::new());
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stage) = current.upgrade() {
            return stage;
        }
        let stage = Arc::new(Self::new());
        *current = Arc::downgrade(&stage);
        stage
    }

    /// One that nobody else uses.
    pub(crate) fn new() -> Self {
        let network = block_on(devnet());
        let folder = tempfile::tempdir().unwrap();
        let options = SmsOptions::new(program("strongroom-sms", "strongroom-sms"), folder.path());
        let sms = Sms::start(&network, options).unwrap();
        Self { network, sms, _folder: folder }
    }

    /// Somebody with money whom no other test knows.
    pub(crate) fn person(&self) -> PrivateKeySigner {
        let person = PrivateKeySigner::random();
        let coins = U256::from(100) * U256::from(10).pow(U256::from(18));
        block_on(async { self.network.chain().unwrap().node.set_balance(person.address(), coins).await.unwrap() });
        person
    }

    /// Does something on the chain.
    pub(crate) fn on_chain<T>(&self, action: impl AsyncFnOnce(Chain) -> T) -> T {
        block_on(async { action(self.network.chain().unwrap()).await })
    }

    /// A process with the library of this version, which works for `person`.
    pub(crate) fn session(&self, version: SdkVersion, person: &PrivateKeySigner) -> Session {
        sdk().session(version, &context(&self.network, Some(self.sms.url()), person)).unwrap()
    }

    /// The stock command line of `person`, and its folder.
    pub(crate) fn iexec(&self, person: &PrivateKeySigner) -> (CommandLine, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let context = context(&self.network, Some(self.sms.url()), person);
        (sdk().command_line(folder.path(), &context).unwrap(), folder)
    }

    /// A home in which `strongroom` works for these people; the addresses tell their wallets apart.
    pub(crate) fn home<const N: usize>(&self, people: [&PrivateKeySigner; N]) -> (Home, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(program("strongroom-cli", "strongroom"), folder.path()).unwrap();
        home.use_network(&self.network, self.sms.url()).unwrap();
        for (number, person) in people.into_iter().enumerate() {
            let address = home.import_wallet(&format!("person-{number}"), person).unwrap();
            assert_eq!(address, person.address());
        }
        (home, folder)
    }
}

/// Asserts that the SDK refused with a message that contains `expected`.
#[track_caller]
pub(crate) fn assert_refused<T: std::fmt::Debug>(outcome: Result<T, SdkError>, expected: &str) {
    match outcome {
        Err(SdkError::Refused(message)) => assert!(message.contains(expected), "refused otherwise: {message}"),
        other => panic!("not refused: {other:?}"),
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
