//! The stock SDK works with our network as with a public one.

mod support;

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::Address;
use serde_json::{Value, json};
use strongroom_devnet::development_accounts;
use strongroom_devnet::sdk::{SdkError, SdkVersion};
use support::{context, devnet, sdk};

/// A signer with the `index`th development account.
fn account(index: usize) -> PrivateKeySigner {
    development_accounts()[index].signer()
}

#[tokio::test]
async fn both_versions_of_the_library_deploy_and_transfer_resources() {
    let devnet = devnet().await;
    let chain = devnet.chain().unwrap();
    let owner = development_accounts()[1].address;
    let other = development_accounts()[2].address;
    for version in [SdkVersion::V9, SdkVersion::V8] {
        let mut session = sdk().session(version, &context(&devnet, None, &account(1))).unwrap();
        let app = session.deploy_app(&format!("app-{version:?}"), Value::Null).unwrap();
        let dataset = session.deploy_dataset(&format!("dataset-{version:?}")).unwrap();
        let workerpool = session.deploy_workerpool(&format!("workerpool-{version:?}")).unwrap();
        let registries = &chain.deployment;
        assert_eq!(chain.owner_of(registries.app_registry, app).await.unwrap(), owner);
        assert_eq!(chain.owner_of(registries.dataset_registry, dataset).await.unwrap(), owner);
        assert_eq!(chain.owner_of(registries.workerpool_registry, workerpool).await.unwrap(), owner);
        session.transfer_app(app, other).unwrap();
        session.transfer_dataset(dataset, other).unwrap();
        assert_eq!(chain.owner_of(registries.app_registry, app).await.unwrap(), other);
        assert_eq!(chain.owner_of(registries.dataset_registry, dataset).await.unwrap(), other);
    }
}

#[tokio::test]
async fn an_error_of_the_library_comes_back_in_its_own_words() {
    let devnet = devnet().await;
    let mut session = sdk().session(SdkVersion::V9, &context(&devnet, None, &account(1))).unwrap();
    let error = session.push_app_secret(Address::repeat_byte(1), "value").unwrap_err();
    assert!(
        matches!(&error, SdkError::Refused(message) if message.contains("smsURL option not set")),
        "unexpected error: {error}"
    );
}

#[tokio::test]
async fn the_command_line_deploys_an_app_with_a_wallet_from_its_keystore() {
    let devnet = devnet().await;
    let folder = tempfile::tempdir().unwrap();
    let command_line = sdk().command_line(folder.path(), &context(&devnet, None, &account(3))).unwrap();
    let owner = development_accounts()[3].address;
    let app = json!({
        "owner": owner,
        "name": "cli-app",
        "type": "DOCKER",
        "multiaddr": "registry.example/cli-app:1",
        "checksum": format!("0x{}", "15".repeat(32)),
    });
    command_line.write("iexec.json", &json!({ "app": app })).unwrap();
    let deployed = command_line.run_with_wallet(&["app", "deploy"]).unwrap();
    let address: Address = serde_json::from_value(deployed["address"].clone()).unwrap();
    let chain = devnet.chain().unwrap();
    assert_eq!(chain.owner_of(chain.deployment.app_registry, address).await.unwrap(), owner);

    let again = command_line.run_with_wallet(&["app", "deploy"]).unwrap_err();
    assert!(matches!(again, SdkError::Refused(_)), "unexpected error: {again}");
}
