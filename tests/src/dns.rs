//! A **stand-in** for the cluster's name server: answers one name, or says that there is no such name.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

const HEADER_BYTES: usize = 12;
const NO_ERROR: u8 = 0;
const NAME_ERROR: u8 = 3;
/// Seconds that an answer may be kept: none, so that a change is seen at once.
const TTL: [u8; 4] = [0, 0, 0, 0];

/// The name server.
#[derive(Debug)]
pub struct Dns {
    knows: Arc<AtomicBool>,
    serving: JoinHandle<()>,
}

impl Dns {
    /// Serves at port 53 of an address, and knows one name.
    ///
    /// # Errors
    /// The port cannot be had.
    pub async fn start(address: Ipv4Addr, name: &str, answer: Ipv4Addr) -> Result<Self> {
        let at = SocketAddr::from((address, 53));
        let socket = UdpSocket::bind(at).await.with_context(|| format!("cannot serve names at {at}"))?;
        let knows = Arc::new(AtomicBool::new(true));
        let serving = tokio::spawn(serve(socket, name.to_ascii_lowercase(), answer, Arc::clone(&knows)));
        Ok(Self { knows, serving })
    }

    /// Knows the name from now on, or says NXDOMAIN.
    pub fn know(&self, knows: bool) {
        self.knows.store(knows, Ordering::Relaxed);
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(socket: UdpSocket, name: String, answer: Ipv4Addr, knows: Arc<AtomicBool>) {
    let mut buffer = [0; 512];
    // An ICMP error for an earlier answer is reported by the next receive, and is no reason to stop.
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(reply) = reply(&buffer[..length], &name, answer, knows.load(Ordering::Relaxed)) {
            let _ = socket.send_to(&reply, peer).await;
        }
    }
}

/// The reply to a query with one question (RFC 1035 section 4); `None` for anything else.
fn reply(query: &[u8], name: &str, answer: Ipv4Addr, knows: bool) -> Option<Vec<u8>> {
    let (asked, end) = asked_name(query)?;
    let kind = query.get(end..end + 2)?;
    let found = knows && asked == name;
    let is_address = found && kind == [0, 1];
    let mut reply = query.get(..2)?.to_vec();
    // A response, recursion available; authority and additional sections stay empty.
    reply.extend([0x81, 0x80 | if found { NO_ERROR } else { NAME_ERROR }, 0, 1, 0, u8::from(is_address), 0, 0, 0, 0]);
    reply.extend(query.get(HEADER_BYTES..end + 4)?);
    if is_address {
        // The name by a pointer to the question, type A, class IN.
        reply.extend([0xc0, HEADER_BYTES as u8, 0, 1, 0, 1]);
        reply.extend(TTL);
        reply.extend([0, 4]);
        reply.extend(answer.octets());
    }
    Some(reply)
}

/// The name asked for and where it ends.
fn asked_name(query: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = HEADER_BYTES;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03api\x04test\x00\x00\x01\x00\x01";

    #[test]
    fn a_known_name_has_its_address() {
        let reply = reply(QUERY, "api.test", Ipv4Addr::new(198, 18, 0, 1), true).unwrap();
        assert_eq!(reply[3] & 0xf, NO_ERROR);
        assert!(reply.ends_with(&[0, 4, 198, 18, 0, 1]));
    }

    #[test]
    fn a_forgotten_name_is_nxdomain() {
        assert_eq!(reply(QUERY, "api.test", Ipv4Addr::LOCALHOST, false).unwrap()[3] & 0xf, NAME_ERROR);
    }

    #[test]
    fn a_cut_query_has_no_reply() {
        for end in 0..QUERY.len() {
            assert_eq!(reply(&QUERY[..end], "api.test", Ipv4Addr::LOCALHOST, true), None, "{end}");
        }
    }
}
