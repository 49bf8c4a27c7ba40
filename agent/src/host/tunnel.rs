//! A way through an HTTP proxy (RFC 9110 9.3.6, CONNECT), as Go's net/http makes one for https.

use futures_util::FutureExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::api::{StepError, tcp_failure};
use super::files::os_words;

/// Longest head of a proxy's answer.
const HEAD_LIMIT: usize = 16 << 10;

/// Asks the proxy at the other end for a way to `authority`.
///
/// # Errors
/// How it failed: `proxy-status`, `timed-out`, or a word for TCP.
pub async fn open(stream: &mut TcpStream, authority: &str, until: Instant) -> Result<(), StepError> {
    match timeout_at(until, ask(stream, authority)).await {
        Ok(Ok(status)) if (200..300).contains(&status.0) => Ok(()),
        Ok(Ok((_, line))) => {
            Err(StepError { how: Some("proxy-status"), words: format!("the proxy answers CONNECT {authority} with {line}") })
        }
        Ok(Err(error)) => {
            Err(StepError { how: Some(word(&error)), words: format!("CONNECT {authority} through the proxy: {}", os_words(&error)) })
        }
        Err(_) => Err(StepError { how: Some("timed-out"), words: format!("CONNECT {authority} through the proxy: no answer in time") }),
    }
}

fn word(error: &std::io::Error) -> &'static str {
    match tcp_failure(error) {
        "no-route" => "reset",
        other => other,
    }
}

/// Status and status line of the answer.
async fn ask(stream: &mut TcpStream, authority: &str) -> std::io::Result<(u16, String)> {
    stream.write_all(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: nodewhy-agent\r\n\r\n").as_bytes()).await?;
    status(&head(stream).await?)
}

/// Read byte by byte: what comes after the head is the other end's.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_LIMIT {
            return Err(std::io::Error::other("the head of the answer has no end"));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

fn status(head: &[u8]) -> std::io::Result<(u16, String)> {
    let text = String::from_utf8_lossy(head);
    let first = text.lines().next().unwrap_or_default();
    // However many blanks there are, the status is among what is told.
    let words = first.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let line: String = words.chars().filter(|c| !c.is_control()).take(200).collect();
    let status = code(first).ok_or_else(|| std::io::Error::other(format!("the answer is not HTTP: {line}")))?;
    Ok((status, line))
}

/// Three digits after the version, as Go's http.ReadResponse wants them.
fn code(line: &str) -> Option<u16> {
    let (version, rest) = line.split_once(' ')?;
    let minor = version.strip_prefix("HTTP/1.")?;
    let code = rest.trim_start_matches(' ').split(' ').next()?;
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(minor, 1) && digits(code, 3) { code.parse().ok() } else { None }
}

/// For the fuzzer: an answer, and what comes after it.
#[doc(hidden)]
pub fn fuzz_answer(bytes: &[u8]) {
    let mut rest = bytes;
    let Some(read) = head(&mut rest).now_or_never() else { panic!("bytes at hand were waited for") };
    let Ok(read) = read else { return assert!(bytes.len() >= HEAD_LIMIT || rest.is_empty()) };
    assert!(read.len() <= HEAD_LIMIT && [&read, rest].concat() == bytes, "what is not the proxy's was taken");
    match status(&read) {
        Err(error) => assert!(error.to_string().chars().count() <= 300),
        Ok((code, line)) => {
            assert!(line.starts_with("HTTP/1.") && line.contains(&format!(" {code:03}")) && code <= 999, "{code}: {line}");
            assert!(line.chars().count() <= 200 && !line.contains(char::is_control), "{line:?}");
        }
    }
}
