use super::*;

const REGISTRY: B256 = B256::with_last_byte(0x4e);
const YES: B256 = B256::with_last_byte(1);

fn reading(answers: [Option<B256>; 4]) -> Reading {
    Reading { chain_id: 1, answers: answers.into_iter().map(|word| word.map(|word| word.to_vec())).collect() }
}

#[test]
fn the_owner_is_whom_the_registry_names() {
    let owner = Address::repeat_byte(7);
    for (size, has_code) in [(0, false), (23, true)] {
        let found = reading([Some(REGISTRY), Some(YES), Some(owner.into_word()), Some(B256::with_last_byte(size))]);
        assert_eq!(read_owner(&found).unwrap(), Some(Owner { address: owner, has_code }));
    }
}

#[test]
fn an_asset_that_the_registry_does_not_know_has_no_owner() {
    assert_eq!(read_owner(&reading([Some(REGISTRY), Some(B256::ZERO), None, Some(B256::ZERO)])).unwrap(), None);
}

#[test]
fn answers_that_poco_cannot_give_are_trouble_and_not_absence() {
    let owner = Some(Address::repeat_byte(7).into_word());
    for impossible in [
        [None, Some(B256::ZERO), None, Some(B256::ZERO)], // the hub has no registry
        [Some(REGISTRY), None, None, Some(B256::ZERO)],   // the registry does not answer
        [Some(REGISTRY), None, owner, Some(B256::ZERO)],  // nor does it say that it is registered
        [Some(REGISTRY), Some(YES), None, Some(B256::ZERO)], // registered, but nobody's
        [Some(REGISTRY), Some(YES), Some(B256::ZERO), Some(B256::ZERO)],
        [Some(REGISTRY), Some(YES), Some(B256::repeat_byte(7)), Some(B256::ZERO)], // no address
        [Some(REGISTRY), Some(B256::with_last_byte(2)), owner, Some(B256::ZERO)],  // no boolean
        [Some(REGISTRY), Some(YES), owner, None],
    ] {
        let error = read_owner(&reading(impossible)).unwrap_err();
        assert!(matches!(error, ChainError::Impossible { .. }), "{impossible:?}");
    }
    let nothing = Reading { chain_id: 1, answers: vec![] };
    assert!(matches!(read_owner(&nothing), Err(ChainError::Impossible { .. })));
}

fn block(number: u64, fork: u8) -> Block {
    Block { number, hash: B256::from([fork; 32]), time: strongroom_protocol::UnixSeconds(number) }
}

const KEY: Key = (AssetKind::App, Address::repeat_byte(1));

#[test]
fn what_was_read_at_one_block_is_read_again_at_the_next() {
    let cache = OwnerCache::default();
    assert!(matches!(cache.find(&block(5, 5), KEY), Found::ToRead(..)));
    assert!(matches!(cache.find(&block(5, 5), KEY), Found::Pending(_)));
    assert!(matches!(cache.find(&block(5, 5), (AssetKind::Dataset, KEY.1)), Found::ToRead(..)), "kinds are apart");
    assert!(matches!(cache.find(&block(5, 6), KEY), Found::ToRead(..)), "another block of the same height");
    assert!(matches!(cache.find(&block(6, 7), KEY), Found::ToRead(..)));
    assert!(matches!(cache.find(&block(5, 6), KEY), Found::ToRead(..)), "an older block is read");
    assert!(matches!(cache.find(&block(6, 7), KEY), Found::Pending(_)), "and does not empty the cache");
}

#[test]
fn what_could_not_be_read_is_forgotten() {
    let cache = OwnerCache::default();
    assert!(matches!(cache.find(&block(5, 5), KEY), Found::ToRead(..)));
    cache.forget(&block(4, 4), KEY);
    assert!(matches!(cache.find(&block(5, 5), KEY), Found::Pending(_)));
    cache.forget(&block(5, 5), KEY);
    assert!(matches!(cache.find(&block(5, 5), KEY), Found::ToRead(..)));
}

#[test]
fn the_cache_is_bounded() {
    let cache = OwnerCache::default();
    for number in 0..3 * CAPACITY as u64 {
        let _ = cache.find(&block(5, 5), (AssetKind::App, Address::left_padding_from(&number.to_be_bytes())));
        assert!(cache.state.lock().unwrap().owners.len() <= CAPACITY);
    }
}
