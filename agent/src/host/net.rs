//! Plain HTTP to the node's own services.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::files::os_words;

/// No answer is read further than this.
const ANSWER_LIMIT: usize = 16 << 10;

/// An HTTP answer.
#[derive(Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Status code.
    pub status: u16,
    /// Body, as far as it was read.
    pub body: String,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The connection was not made.
    #[error("connect")]
    Connect(#[source] io::Error),
    /// The time was up before an answer came.
    #[error("no answer within {} ms", after.as_millis())]
    NoAnswer {
        /// How long was waited.
        after: Duration,
    },
    /// The connection broke.
    #[error("talk")]
    Talk(#[source] io::Error),
    /// What came is not HTTP.
    #[error("what answers does not speak HTTP")]
    NotHttp,
}

impl HttpError {
    /// In one line.
    pub fn sentence(&self) -> String {
        match self {
            Self::Connect(source) | Self::Talk(source) => format!("{self}: {}", os_words(source)),
            Self::NoAnswer { .. } | Self::NotHttp => self.to_string(),
        }
    }
}

/// One GET on a connection of its own. A client library would keep more state for this than the whole rest of the check.
pub async fn http_get(address: &str, port: u16, path: &str, patience: Duration) -> Result<HttpAnswer, HttpError> {
    match timeout(patience, talk(address, port, path)).await {
        Ok(answer) => answer,
        Err(_) => Err(HttpError::NoAnswer { after: patience }),
    }
}

async fn talk(address: &str, port: u16, path: &str) -> Result<HttpAnswer, HttpError> {
    let mut stream = TcpStream::connect((address, port)).await.map_err(HttpError::Connect)?;
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: nodewhy-agent\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(HttpError::Talk)?;
    let mut answer = Vec::new();
    let mut piece = [0; 2048];
    while !is_whole(&answer) && answer.len() < ANSWER_LIMIT {
        match stream.read(&mut piece).await {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&piece[..read]),
            // What came before a reset is an answer all the same.
            Err(_) if parse(&answer).is_some() => break,
            Err(error) => return Err(HttpError::Talk(error)),
        }
    }
    parse(&answer).ok_or(HttpError::NotHttp)
}

fn is_whole(answer: &[u8]) -> bool {
    let Some((head, body)) = split(answer) else { return false };
    content_length(head).is_some_and(|length| body.len() >= length)
}

fn split(answer: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some((&answer[..end], &answer[end + 4..]))
}

fn content_length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    let value = head.lines().find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length")))?.1;
    value.trim().parse().ok()
}

fn parse(answer: &[u8]) -> Option<HttpAnswer> {
    let (head, body) = split(answer)?;
    let status = std::str::from_utf8(head).ok()?.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    Some(HttpAnswer { status, body: String::from_utf8_lossy(body).into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_parsed_and_what_is_none_is_not() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(parse(whole), Some(HttpAnswer { status: 200, body: "ok".into() }));
        assert!(is_whole(whole));
        assert!(!is_whole(&whole[..whole.len() - 1]));
        for hostile in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.\r\n\r\n",
            b"HTTP/1.1 x\r\n\r\n",
            b"HTTP/1.1 2\xff0\r\n\r\n",
            b"\x16\x03\x01\r\n\r\n",
        ] {
            assert_eq!(parse(hostile), None, "{hostile:?}");
        }
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        });
        let answer = http_get("127.0.0.1", port, "/healthz", Duration::from_secs(10)).await.unwrap();
        assert!(answer.body.len() <= ANSWER_LIMIT + 2048);
    }
}
