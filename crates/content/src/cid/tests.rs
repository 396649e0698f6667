use super::*;
use proptest::prelude::*;

const VECTORS: &str = include_str!("../../testdata/cids.txt");

fn file(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index * 31 + (index >> 16) * 7).to_le_bytes()[0]).collect()
}

#[test]
fn files_get_the_ids_that_the_reference_implementation_gives_them() {
    let lines = VECTORS.lines().filter(|line| !line.starts_with('#'));
    let mut seen = 0;
    for line in lines {
        let [size, v0, v1] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let content = file(size.parse().unwrap());
        assert_eq!(Cid::of(&content[..], AddAs::V0).unwrap().to_string(), v0, "{size} bytes");
        assert_eq!(Cid::of(&content[..], AddAs::V1).unwrap().to_string(), v1, "{size} bytes");
        for id in [v0, v1] {
            let id: Cid = id.parse().unwrap();
            if content.len() < 2_000_000 {
                assert!(id.matches(&content), "{id}");
                assert!(!id.matches(&[&content[..], b"x"].concat()), "{id}");
            }
        }
        seen += 1;
    }
    assert_eq!(seen, 9);
}

#[test]
fn ids_are_read_in_the_bases_that_people_write() {
    let v1: Cid = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e".parse().unwrap();
    assert!(v1.matches(b"hello world"));
    let hex = format!("f{}", hex::encode(v1.to_bytes()));
    let base58 = format!("z{}", bs58::encode(v1.to_bytes()).into_string());
    for text in [hex, base58] {
        assert_eq!(text.parse(), Ok(v1), "{text}");
    }
    let v0: Cid = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse().unwrap();
    let same = Cid { kind: Kind::Node, ..v0 };
    assert!(v0.same_content(&same) && same.matches(b"") && same.to_string().starts_with("bafybei"));
}

#[test]
fn what_is_no_id_or_of_another_kind_is_refused() {
    for (text, error) in [
        ("", ParseCidError::NotACid),
        ("Qm", ParseCidError::NotACid),
        ("QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1Aw0H", ParseCidError::NotACid),
        ("bAFKREI", ParseCidError::NotACid),
        ("éa", ParseCidError::NotACid),
        // A key of libp2p, and SHA-512.
        ("bafzaajaiaejcbzdibmxyzdjbbehgvizh6g5tikvy47mshdy6gwbruvgwvd24seje", ParseCidError::NotUnderstood),
        ("f01551340aa", ParseCidError::NotUnderstood),
        ("f1220aa", ParseCidError::NotUnderstood),
    ] {
        assert_eq!(text.parse::<Cid>(), Err(error), "{text}");
    }
}

proptest! {
    #[test]
    fn ids_survive_text(hash: [u8; 32], kind in prop_oneof![Just(Kind::V0), Just(Kind::Node), Just(Kind::Raw)]) {
        let cid = Cid { kind, hash };
        prop_assert_eq!(cid.to_string().parse(), Ok(cid));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text: String) {
        let _ = text.parse::<Cid>();
    }
}
