//! Standard Webhooks 1.0: identity, time and signatures of a request (spec/standard-webhooks.md of standard-webhooks/standard-webhooks).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::{digest, hmac};

/// A secret by which requests are signed. Never shown.
pub(super) struct Secret(hmac::Key);

/// The secrets of a file: one a line, `whsec_` and base64. With several, for the time of a change, a request has a signature of each.
pub(super) fn secrets(text: &str) -> Result<Vec<Secret>, String> {
    let mut all = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')) {
        let line = line.trim();
        let key = BASE64_STANDARD.decode(line.strip_prefix("whsec_").unwrap_or(line)).ok().filter(|key| !key.is_empty());
        let Some(key) = key else {
            return Err(format!(
                "line {}: has to be whsec_ and base64 of 24 to 64 random bytes (head -c 32 /dev/urandom | base64)",
                index + 1
            ));
        };
        all.push(Secret(hmac::Key::new(hmac::HMAC_SHA256, &key)));
    }
    if all.is_empty() { Err("there is no secret in it".to_owned()) } else { Ok(all) }
}

/// `webhook-signature`: one of each secret.
pub(super) fn signature(secrets: &[Secret], id: &str, second: i64, body: &[u8]) -> String {
    let one = |secret: &Secret| {
        let mut context = hmac::Context::with_key(&secret.0);
        context.update(format!("{id}.{second}.").as_bytes());
        context.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
    };
    secrets.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// The message's identity without a character that means something to somebody: of its key, the last part of which is a number.
pub(super) fn id(key: &str) -> String {
    let plain = key.replace('/', "-");
    if !plain.is_empty() && plain.len() <= 128 && plain.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_') {
        plain
    } else {
        hash(key)
    }
}

/// SHA-256 in hex.
pub(super) fn hash(text: &str) -> String {
    digest::digest(&digest::SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published in the tests of the standard's libraries: tests/fixtures/formats/standard-webhooks.md.
    const PUBLISHED: [(&str, &str, i64, &str, &str); 2] = [
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
    ];

    #[test]
    fn signatures_are_those_that_the_standard_publishes() {
        for (secret, id, second, body, wanted) in PUBLISHED {
            let keys = secrets(secret).expect("a secret");
            assert_eq!(signature(&keys, id, second, body.as_bytes()), wanted);
        }
    }

    #[test]
    fn several_secrets_make_several_signatures() {
        let [(first, id, second, body, wanted), (other, ..)] = PUBLISHED;
        let keys = secrets(&format!("# new\n{other}\n\n{first}\n")).expect("secrets");
        let signed = signature(&keys, id, second, body.as_bytes());
        let parts: Vec<&str> = signed.split(' ').collect();
        assert!(parts.len() == 2 && parts[1] == wanted && parts[0] != wanted, "{signed}");
    }

    #[test]
    fn a_bad_secret_is_told_by_its_line_and_not_shown() {
        for text in ["", "# nothing\n", "whsec_!!!", "whsec_"] {
            let error = secrets(text).err().expect("refused");
            assert!(!error.contains("!!!"), "{error}");
        }
        assert!(secrets("whsec_AAAA\nx y\n").err().expect("refused").starts_with("line 2:"));
    }

    #[test]
    fn an_identity_has_nothing_in_it_that_ends_it() {
        assert_eq!(id("i-17/3"), "i-17-3");
        assert_eq!(id("a.b/1").len(), 64);
        assert_ne!(id("a.b/1"), id("a.b/2"));
    }
}
