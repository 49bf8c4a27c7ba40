//! Signatures, looked at by another implementation of the standard.

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use nodewhy_collector::hooks::Hook;
use nodewhy_collector::hooks::template::Templates;
use serde_json::{Value, json};

use super::receiver::{Got, Receiver};
use super::{hook, install_provider, installed, messages};
use crate::support::write;

const FIRST: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// What the other implementation says against a request; nothing if it is genuine.
fn against(given: &Value) -> Option<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/standard_webhooks.py");
    let mut child = Command::new("/usr/bin/python3").arg(script).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    child.stdin.take().expect("a pipe").write_all(given.to_string().as_bytes()).expect("read");
    let output = child.wait_with_output().expect("it ends");
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

fn given(got: &Got, secret: &str) -> Value {
    let headers: serde_json::Map<String, Value> =
        ["webhook-id", "webhook-timestamp", "webhook-signature"].iter().map(|name| ((*name).to_owned(), got.header(name).into())).collect();
    json!({"secret": secret, "headers": headers, "body": BASE64_STANDARD.encode(&got.body)})
}

#[tokio::test]
async fn another_implementation_takes_the_signatures_and_none_of_what_was_changed() {
    if !installed("/usr/bin/python3", "python3") {
        return;
    }
    install_provider();
    let receiver = Receiver::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    for format in ["nodewhy", "cloudevents", "alertmanager"] {
        let secret = write(dir.path(), "secret", &format!("{FIRST}\n"));
        let hook = Hook::new(
            &hook(&format!("webhook: {{url: '{}', secretFile: {}, format: {format}}}", receiver.url(), secret.display())),
            Templates::default(),
        );
        for (name, message) in messages::all().into_iter().filter(|(name, _)| !name.contains("huge")) {
            hook.try_out(&message).await.expect("taken");
            let genuine = given(receiver.taken().last().expect("it came"), FIRST);
            assert_eq!(against(&genuine), None, "{name}");
        }
        let message = messages::about("i-1", 1);
        hook.try_out(&message).await.expect("taken");
        let got = receiver.taken().pop().expect("it came");
        assert_eq!(got.header("webhook-id"), "i-1-1");
        assert!(against(&given(&got, OTHER)).expect("refused").contains("no signature fits"));
        let mut changed = given(&got, FIRST);
        changed["body"] = BASE64_STANDARD.encode(b"{}").into();
        assert!(against(&changed).expect("refused").contains("no signature fits"));
        // The secret is being changed: both are signed with, and the hook was not made anew.
        write(dir.path(), "secret", &format!("{OTHER}\n{FIRST}\n"));
        hook.try_out(&message).await.expect("taken");
        let again = receiver.taken().pop().expect("it came");
        assert_eq!((against(&given(&again, FIRST)), against(&given(&again, OTHER))), (None, None));
        assert_eq!(again.header("webhook-id"), got.header("webhook-id"), "the same message");
    }
}

#[test]
fn the_other_implementation_knows_the_published_signatures() {
    if !installed("/usr/bin/python3", "python3") {
        return;
    }
    for (secret, id, second, body, signature) in [
        (FIRST, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        (
            OTHER,
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            "1649367553",
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
    ] {
        let headers = json!({"webhook-id": id, "webhook-timestamp": second, "webhook-signature": signature});
        let now: i64 = second.parse().expect("a number");
        let given = json!({"secret": secret, "headers": headers, "body": BASE64_STANDARD.encode(body), "now": now});
        assert_eq!(against(&given), None);
    }
}
