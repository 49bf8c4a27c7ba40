//! What strangers send is refused, counted, and hurts nobody.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use nodewhy_proto::v1 as pb;
use nodewhy_proto::v1::attach_request::Message as Say;
use tonic::Code;

use crate::support::agent::{Agent, closes, hello, opens};
use crate::support::{Collector, DEADLINE};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Sends bytes and waits until the other side has closed.
fn send(collector: &Collector, bytes: &[u8]) {
    let mut socket = TcpStream::connect(collector.address).expect("it listens");
    socket.set_read_timeout(Some(DEADLINE)).expect("a socket option");
    // It may be closed before all was sent.
    socket.write_all(bytes).ok();
    socket.shutdown(Shutdown::Write).ok();
    let mut answer = Vec::new();
    if let Err(error) = socket.take(1 << 20).read_to_end(&mut answer) {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "the connection is still open");
    }
}

#[tokio::test]
async fn bytes_that_are_no_grpc_are_refused_and_the_rest_goes_on() {
    let collector = Collector::start("");
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    agent.report(opens("worker-1", 1, "swap-enabled")).await;
    let noise: Vec<u8> = (0_u32..1 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let huge_frame = [PREFACE, b"\xff\xff\xff\x00\x00\x00\x00\x00\x00"].concat();
    let broken_headers =
        [PREFACE, b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", b"\x00\x00\x04\x01\x05\x00\x00\x00\x01\xff\xff\xff\xff"].concat();
    for bytes in [
        &noise[..],
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0",
        b"",
        &PREFACE[..10],
        &[PREFACE, &noise[..]].concat(),
        &huge_frame,
        &broken_headers,
    ] {
        send(&collector, bytes);
    }
    agent.report(closes("worker-1", 2, "swap-enabled")).await;
    assert_eq!(collector.nodes().await.len(), 1);
    let log = collector.log();
    assert!(log.contains("bytes on the port that are no gRPC") && log.contains("count"), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn a_stream_without_a_good_hello_is_refused_with_the_reason() {
    let collector = Collector::start("");
    for (wrong, says) in [
        (pb::Hello::default(), "is no name of a node"),
        (pb::Hello { node: "../../etc".into(), ..hello("x") }, "is no name of a node"),
        (pb::Hello { node: "x".repeat(1000), ..hello("x") }, "is no name of a node"),
        (pb::Hello { spool_id: String::new(), ..hello("x") }, "spool_id"),
    ] {
        let status = Agent::attach(collector.channel().await, wrong).await.err().expect("refused");
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(says), "{status}");
    }
    assert!(collector.nodes().await.is_empty());
}

#[tokio::test]
async fn a_message_beyond_the_bound_ends_its_stream_alone() {
    let collector = Collector::start("");
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    let mut other = Agent::attach(collector.channel().await, hello("worker-2")).await.expect("welcome");
    let mut huge = opens("worker-1", 1, "swap-enabled");
    huge.diagnosis.as_mut().expect("there").causes[0].message = "x".repeat(5 << 20);
    agent.say(Say::Report(huge)).await;
    assert_eq!(agent.end().await.code(), Code::OutOfRange);
    other.report(opens("worker-2", 1, "swap-enabled")).await;
    assert!(collector.log().contains("a message of an agent cannot be read"), "{}", collector.log());
}

#[tokio::test]
async fn a_text_beyond_its_bound_is_refused_and_acknowledged_so_that_it_does_not_come_for_ever() {
    let collector = Collector::start("");
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    let mut long = opens("worker-1", 1, "swap-enabled");
    long.diagnosis.as_mut().expect("there").causes[0].message = "x".repeat(1 << 20);
    agent.report(long).await;
    let why = collector.node("worker-1").await.diagnosis.expect("there").unknown.remove(0).why;
    assert!(why.contains("message is too large"), "{why}");
    assert!(collector.log().contains("the content of a report cannot be read"));
}

#[tokio::test]
async fn a_connection_that_says_nothing_holds_nobody_up() {
    let collector = Collector::start("");
    let _silent: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(collector.address).expect("it listens")).collect();
    let attached = Agent::attach(collector.channel().await, hello("worker-1"));
    tokio::time::timeout(Duration::from_secs(10), attached).await.expect("at once").expect("welcome");
}
