//! What a kubelet serves: its API port (TLS, nothing without a client certificate) and /healthz.

use std::net::TcpListener as StdListener;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::settings::Settings;
use crate::voice::say;

/// Serves the kubelet's API with a certificate of its own making, as kubelets do that are given none.
pub(crate) fn kubelet_port(listener: StdListener) {
    let Some((listener, acceptor)) = listen(listener) else { return };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                answer(&mut stream, "401 Unauthorized", "Unauthorized").await;
            });
        }
    });
}

fn listen(listener: StdListener) -> Option<(TcpListener, TlsAcceptor)> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).ok()?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let tls = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).ok()?;
    listener.set_nonblocking(true).ok()?;
    Some((TcpListener::from_std(listener).ok()?, TlsAcceptor::from(Arc::new(tls))))
}

/// Serves /healthz. Its port being taken is no reason for a kubelet to end.
pub(crate) fn healthz(settings: &Settings) {
    let address = format!("{}:{}", settings.config.healthz_bind_address, settings.config.healthz_port);
    if settings.config.healthz_port == 0 {
        return;
    }
    tokio::spawn(async move {
        let listener = match TcpListener::bind(&address).await {
            Ok(listener) => listener,
            Err(_) => {
                return say(
                    'E',
                    &format!(
                        "server.go:1012] \"Failed to start healthz server\" err=\"listen tcp {address}: bind: address already in use\""
                    ),
                );
            }
        };
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move { answer(&mut stream, "200 OK", "ok").await });
        }
    });
}

/// One answer, whatever is asked, as Go's net/http words it.
async fn answer(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), status: &str, body: &str) {
    let mut asked = Vec::new();
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") && asked.len() < 16 * 1024 {
        match stream.read_buf(&mut asked).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // A client that has gone away misses its answer.
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    let _ = stream.shutdown().await;
}
