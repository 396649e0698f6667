//! Requests and answers as bytes on a connection, so that tests see exactly what clients see.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A request to be sent on its own connection.
#[derive(Clone)]
pub(crate) struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    /// Target as it stands on the request line: path and query, encoded by the test.
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            head: format!("{method} {target} HTTP/1.1\r\nHost: sms.test\r\nConnection: close\r\n"),
            body: Vec::new(),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.head.extend([name, ": ", value, "\r\n"]);
        self
    }

    /// Adds the body and its length.
    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        let length = self.body.len().to_string();
        self.header("Content-Length", &length)
    }

    /// Adds the body as one chunk (none if it is empty), its length unannounced.
    pub(crate) fn chunked(mut self, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        if !body.is_empty() {
            self.body = [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat();
        }
        self.body.extend_from_slice(b"0\r\n\r\n");
        self.header("Transfer-Encoding", "chunked")
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), b"\r\n", &self.body].concat()
    }

    pub(crate) async fn send(&self, to: SocketAddr) -> Answer {
        self.try_send(to).await.expect("the service answers")
    }

    /// None if no whole answer came back.
    pub(crate) async fn try_send(&self, to: SocketAddr) -> Option<Answer> {
        let mut stream = TcpStream::connect(to).await.ok()?;
        let mut bytes = Vec::new();
        let request = self.to_bytes();
        let (mut read, mut write) = stream.split();
        // The service may answer and close before it has read everything.
        let (_, _) = tokio::join!(write.write_all(&request), read.read_to_end(&mut bytes));
        bytes.windows(4).any(|window| window == b"\r\n\r\n").then(|| Answer::parse(&bytes))
    }
}

/// What came back.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, without `date` and `connection`.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).expect("answers are text");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .filter(|(name, _)| name != "date" && name != "connection")
            .collect();
        Self { status, headers, body: body.to_owned() }
    }

    /// The values of a header, joined as HTTP allows.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> =
            self.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    #[track_caller]
    pub(crate) fn assert(&self, status: u16, body: &str, what: &str) {
        assert_eq!((self.status, self.body.as_str()), (status, body), "{what}: {self:?}");
    }
}
