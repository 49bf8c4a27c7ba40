//! A way through an HTTP proxy (RFC 9110 9.3.6, CONNECT), as Go's net/http makes one for https.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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

/// Status and status line of the answer. Read byte by byte: what comes after the head is the other end's.
async fn ask(stream: &mut TcpStream, authority: &str) -> std::io::Result<(u16, String)> {
    stream.write_all(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: nodewhy-agent\r\n\r\n").as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_LIMIT {
            return Err(std::io::Error::other("the head of the answer has no end"));
        }
        head.push(stream.read_u8().await?);
    }
    let line: String =
        String::from_utf8_lossy(&head).lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("the answer is not HTTP: {line}")))?;
    Ok((status, line))
}
