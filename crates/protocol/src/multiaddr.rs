//! Locations of apps and datasets: on chain they are bytes, either text or a binary multiaddr.

/// varint of protocol code 421 (`p2p`, once `ipfs`), then varint length 34 of a SHA-256 multihash.
const IPFS_HEADER: [u8; 3] = [0xa5, 0x03, 34];
/// Header of a SHA-256 multihash: function 0x12, 32 bytes.
const SHA256_MULTIHASH: [u8; 2] = [0x12, 32];

/// The location as text. A binary multiaddr of protocol 421 prints as `/ipfs/<base58 multihash>` (not `/p2p/…`), since
/// readers append it to a gateway's address; everything else is text already and bytes that are not UTF-8 are replaced.
pub fn location_text(bytes: &[u8]) -> String {
    match bytes.strip_prefix(&IPFS_HEADER) {
        Some(multihash) if multihash.len() == 34 && multihash.starts_with(&SHA256_MULTIHASH) => {
            format!("/ipfs/{}", bs58::encode(multihash).into_string())
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a16_binary_and_text_locations() {
        for (bytes, expected) in [
            (
                "a5032212205d008f22f8f878fd58473a634cc73d41049fc0d19b81002eaae221ac5a446a3e",
                "/ipfs/QmUbh7ugQ9WVprTVYjzrCS4d9cCy73zUz4MMchsrqzzu1w",
            ),
            (
                "a5032212205b772aed60b3af5181cf2c1c2ef5c87c58a436c7a9e5e9cdb499816e0f3b1711",
                "/ipfs/QmUVhChbLFiuzNK1g2GsWyWEiad7SXPqARnWzGumgziwEp",
            ),
        ] {
            assert_eq!(location_text(&hex::decode(bytes).unwrap()), expected);
        }
        for text in ["https://example.org/file", "docker.io/acme/app:1.0", ""] {
            assert_eq!(location_text(text.as_bytes()), text);
        }
    }

    #[test]
    fn bytes_that_only_begin_like_a_multiaddr_stay_text() {
        assert!(!location_text(&[0xa5, 0x03, 34, 0x12, 32, 1]).starts_with("/ipfs/"));
        assert!(!location_text(&[&IPFS_HEADER[..], &[0; 34]].concat()).starts_with("/ipfs/"));
    }
}
