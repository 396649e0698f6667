use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::test_server::{Answer, Server};

async fn fetch(urls: &[Url]) -> (Result<usize, FetchError>, Vec<u8>) {
    let (to, mut from) = mpsc::channel::<Bytes>(64);
    let sources = Sources { way: &Way::Network, gateways: &[] };
    let collect = async {
        let mut bytes = Vec::new();
        while let Some(chunk) = from.recv().await {
            bytes.extend_from_slice(&chunk);
        }
        bytes
    };
    tokio::join!(sources.fetch(urls, to), collect)
}

fn url(server: &Server, path: &str) -> Url {
    format!("{}{path}", server.url).parse().unwrap()
}

fn part_of(content: &[u8], range: Option<&str>) -> Answer {
    let Some(from) = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok())
    else {
        return Answer::ok(content);
    };
    Answer {
        status: 206,
        headers: vec![("content-range", format!("bytes {from}-{}/{}", content.len() - 1, content.len()))],
        ..Answer::ok(&content[from..])
    }
}

#[tokio::test]
async fn a_download_that_breaks_goes_on_where_it_stopped() {
    let content: Vec<u8> = (0..200_000_u32).map(|index| index.to_le_bytes()[0]).collect();
    for ranges in [true, false] {
        let whole = content.clone();
        let first = AtomicUsize::new(0);
        let server = Server::start(move |request| {
            let answer = part_of(&whole, request.range.as_deref().filter(|_| ranges));
            let cut = (first.fetch_add(1, Ordering::SeqCst) == 0).then_some(70_000);
            Answer { cut, ..answer }
        })
        .await;
        let (outcome, bytes) = fetch(&[url(&server, "/file")]).await;
        outcome.unwrap();
        assert!(bytes == content, "each byte once, in order (ranges: {ranges})");
        assert_eq!(server.asked().len(), 2);
    }
}

#[tokio::test]
async fn another_gateway_is_asked_when_one_does_not_have_it() {
    let empty = Server::start(|_| Answer::status(404)).await;
    let full = Server::start(|_| Answer::ok("content")).await;
    let (outcome, bytes) = fetch(&[url(&empty, "/ipfs/x"), url(&full, "/ipfs/x")]).await;
    assert_eq!(outcome.unwrap(), 1, "the second gave it");
    assert_eq!(bytes, b"content");
    assert_eq!(empty.asked().len(), 1, "404 stays 404");
}

#[tokio::test]
async fn redirects_are_followed_but_not_for_ever() {
    let server = Server::start(|request| match request.path.as_str() {
        "/there" => Answer::ok("here"),
        path => Answer {
            status: 302,
            headers: vec![("location", if path == "/once" { "/there".to_owned() } else { "/loop".to_owned() })],
            ..Answer::ok("")
        },
    })
    .await;
    let (outcome, bytes) = fetch(&[url(&server, "/once")]).await;
    outcome.unwrap();
    assert_eq!(bytes, b"here");
    let (outcome, _) = fetch(&[url(&server, "/loop")]).await;
    assert!(matches!(outcome, Err(FetchError::Redirects { .. })), "{outcome:?}");
}

#[tokio::test]
async fn what_is_refused_and_what_is_another_part_is_told() {
    let refusing = Server::start(|_| Answer::status(403)).await;
    let (outcome, _) = fetch(&[url(&refusing, "/x")]).await;
    assert!(matches!(outcome, Err(FetchError::Status { status: 403, .. })), "{outcome:?}");
    let lying = Server::start(|request| match &request.range {
        None => Answer { cut: Some(3), ..Answer::ok("abcdef") },
        Some(_) => {
            Answer { status: 206, headers: vec![("content-range", "bytes 0-5/6".to_owned())], ..Answer::ok("abcdef") }
        }
    })
    .await;
    let (outcome, _) = fetch(&[url(&lying, "/x")]).await;
    assert!(matches!(outcome, Err(FetchError::OtherPart { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_file_that_no_gateway_has_is_told_with_what_each_said() {
    let refusing = [Server::start(|_| Answer::status(403)).await, Server::start(|_| Answer::status(404)).await];
    let (outcome, bytes) = fetch(&refusing.each_ref().map(|server| url(server, "/ipfs/x"))).await;
    let told = outcome.unwrap_err().to_string();
    assert!(told.contains("status 403; ") && told.contains("status 404"), "{told}");
    assert!(bytes.is_empty());
}

#[tokio::test]
async fn a_file_in_parts_of_two_gateways_counts_as_the_first_ones() {
    let breaking = Server::start(|request| match &request.range {
        None => Answer { cut: Some(3), ..Answer::ok("abcdef") },
        Some(_) => Answer::status(404),
    })
    .await;
    let whole = Server::start(|request| part_of(b"abcdef", request.range.as_deref())).await;
    let missing = Server::start(|_| Answer::status(404)).await;
    let (outcome, bytes) = fetch(&[url(&missing, "/ipfs/x"), url(&breaking, "/ipfs/x"), url(&whole, "/ipfs/x")]).await;
    assert_eq!((outcome.unwrap(), &bytes[..]), (1, &b"abcdef"[..]));
}

#[test]
fn locations_lead_to_their_addresses() {
    let gateways: [Url; 2] = ["http://a.example".parse().unwrap(), "http://b.example/x/".parse().unwrap()];
    let id = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";
    for prefix in ["/ipfs/", "/p2p/"] {
        let (urls, cid) = resolve(&format!("{prefix}{id}"), &gateways).unwrap();
        let texts: Vec<_> = urls.iter().map(Url::as_str).collect();
        assert_eq!(texts, [format!("http://a.example/ipfs/{id}"), format!("http://b.example/x/ipfs/{id}")]);
        assert!(cid.is_some());
    }
    assert!(resolve(&format!("/ipfs/{id}/below"), &gateways).unwrap().1.is_none(), "a path below is other content");
    assert_eq!(resolve("https://c.example/f", &gateways).unwrap().0[0].as_str(), "https://c.example/f");
    for (bad, gateways) in [("", &gateways[..]), ("ftp://x/y", &gateways), ("/ipfs/nothing", &gateways)] {
        assert!(matches!(resolve(bad, gateways), Err(FetchError::Location(_))), "{bad}");
    }
    assert!(matches!(resolve(&format!("/ipfs/{id}"), &[]), Err(FetchError::NoGateway)));
}
