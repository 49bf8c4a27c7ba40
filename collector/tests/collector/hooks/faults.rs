//! A receiver that fails in every way there is, and a collector that is killed meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nodewhy_collector::hooks::Timing;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::delivery::{QUICK, Room, order, webhook};
use super::messages::about;
use super::receiver::{Answer, Receiver, status};
use crate::support::until;

/// Between the collector and the receiver: some connections are cut before the request, some behind it, when nobody knows whether it arrived.
async fn unreliable(to: std::net::SocketAddr) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let turn = Arc::new(AtomicU64::new(0));
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(pass(stream, to, turn.fetch_add(1, Ordering::Relaxed)));
        }
    });
    address
}

async fn pass(mut client: TcpStream, to: std::net::SocketAddr, turn: u64) {
    if turn % 5 == 1 {
        return;
    }
    let mut server = TcpStream::connect(to).await.expect("it listens");
    let mut bytes = [0; 64 * 1024];
    for exchange in 0.. {
        let Ok(some) = client.read(&mut bytes).await else { return };
        if some == 0 || server.write_all(&bytes[..some]).await.is_err() {
            return;
        }
        let Ok(some) = server.read(&mut bytes).await else { return };
        // The answer is lost.
        if (turn + exchange) % 4 == 3 || some == 0 || client.write_all(&bytes[..some]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn every_message_arrives_in_order_whatever_the_receiver_does() {
    let mut room = Room::new(Timing { back_off: (Duration::from_millis(1), Duration::from_millis(4)), ..QUICK });
    let receiver = Receiver::start().await;
    let mut turn = 0;
    receiver.answer(move |_| {
        turn += 1;
        match turn % 7 {
            1 => status(500),
            2 => status(503),
            3 => Answer { retry_after: Some("0"), ..status(429) },
            4 => status(408),
            5 => status(404),
            _ => status(200),
        }
    });
    let between = unreliable(receiver.address).await;
    room.set(&[("ops", &format!("webhook: {{url: 'http://{between}'}}"))]);
    let (incidents, numbers) = (12, 6);
    let mut all = Vec::new();
    for number in 1..=numbers {
        all.extend((0..incidents).map(|n| about(&format!("i{n}"), number)));
    }
    room.tell("ops", &all).await;
    until("all are delivered", async || (room.counts("ops").delivered >= u64::from(incidents * numbers)).then_some(())).await;
    let keys: Vec<String> = receiver.taken().iter().map(|got| got.message().key).collect();
    let order = order(&keys);
    assert_eq!(order.len(), incidents as usize);
    for (incident, heard) in order {
        assert_eq!(heard, (1..=numbers).collect::<Vec<_>>(), "{incident}");
    }
    assert!(room.counts("ops").failed > 0);
}

#[tokio::test]
async fn what_was_not_delivered_is_delivered_by_the_next_collector() {
    let receiver = Receiver::start().await;
    let mut turn = 0;
    receiver.answer(move |_| {
        turn += 1;
        if turn > 5 { status(503) } else { status(200) }
    });
    let mut room = Room::new(QUICK);
    room.set(&[("ops", &webhook(&receiver))]);
    let all: Vec<_> = (1..=10).map(|number| about("a", number)).collect();
    room.tell("ops", &all).await;
    until("half of it came", async || (room.counts("ops").delivered == 5 && room.counts("ops").failed > 0).then_some(())).await;
    let dir = room.dir;
    drop((room.deliveries, room.store));
    receiver.answer(|_| status(200));
    let store =
        until("the store is free", async || nodewhy_collector::store::Store::open(dir.path(), crate::support::quiet()).ok()).await.store;
    let mut deliveries = nodewhy_collector::hooks::Deliveries::new(store, QUICK);
    deliveries.set(&super::hooks(&[("ops", &webhook(&receiver))]), &nodewhy_collector::hooks::template::Templates::default());
    let keys = receiver.keys(10).await;
    assert_eq!(order(&keys)["a"], (1..=10).collect::<Vec<_>>());
}
