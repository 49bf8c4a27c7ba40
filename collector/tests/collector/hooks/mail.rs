//! Mails through a real server (Debian's exim4-daemon-light), read by Python's own library.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nodewhy_collector::hooks::Hook;
use nodewhy_collector::hooks::template::Templates;
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

use super::messages::{about, all, end_of};
use super::{hook, install_provider, installed};
use crate::support::{until, write};

const PROGRAM: &str = "/usr/sbin/exim4";

struct Exim {
    dir: TempDir,
    port: u16,
    child: Child,
}

impl Drop for Exim {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Exim {
    async fn start() -> Option<Self> {
        if !installed(PROGRAM, "exim4-daemon-light") || !installed("/usr/bin/python3", "python3") {
            return None;
        }
        if !nix::unistd::geteuid().is_root() {
            // Exim lets its administrators alone start it as a server.
            assert!(std::env::var_os("CI").is_none(), "tests of mails have to run as root");
            std::io::Write::write_all(&mut std::io::stderr(), b"skipped: Exim is started as a server by root alone\n").ok();
            return None;
        }
        install_provider();
        let dir = tempfile::tempdir().expect("a directory");
        // Exim gives up root for a configuration of somebody else's, and writes as a user of its own.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).expect("set");
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("names").self_signed(&key);
        write(dir.path(), "cert.pem", &certificate.expect("signed").pem());
        let secret = write(dir.path(), "key.pem", &key.serialize_pem());
        std::fs::set_permissions(secret, std::fs::Permissions::from_mode(0o644)).expect("set");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        let config = write(dir.path(), "exim.conf", &configuration(dir.path(), port));
        let mut command = Command::new(PROGRAM);
        command.arg("-C").arg(config).args(["-bdf", "-q1h"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("it starts");
        until("Exim listens", async || std::net::TcpStream::connect(("127.0.0.1", port)).ok().map(drop)).await;
        Some(Self { dir, port, child })
    }

    fn kind(&self, to: &str, more: &str) -> String {
        format!("email: {{smtp: 'smtp://127.0.0.1:{}', from: 'nodewhy <nodewhy@example.org>', to: ['{to}']{more}}}", self.port)
    }

    async fn send(&self, kind: &str, message: &nodewhy_collector::message::Message) -> Result<(), String> {
        Hook::new(&hook(kind), Templates::default()).try_out(message).await
    }

    /// The mails that arrived, once there are so many, as Python reads them.
    async fn mails(&self, count: usize) -> Vec<Value> {
        let path = self.dir.path().join("mbox");
        until(&format!("{count} mails"), async || Some(read(&path)).filter(|mails| mails.len() >= count)).await
    }
}

fn configuration(dir: &Path, port: u16) -> String {
    let dir = dir.display();
    format!(
        "spool_directory = {dir}/spool\nlog_file_path = {dir}/log.%s\npid_file_path = {dir}/pid\nprimary_hostname = mail.example.org\n\
         keep_environment =\nlocal_interfaces = 127.0.0.1\ndaemon_smtp_ports = {port}\nmessage_size_limit = 10M\n\
         tls_advertise_hosts = *\ntls_certificate = {dir}/cert.pem\ntls_privatekey = {dir}/key.pem\nauth_advertise_hosts = *\n\
         acl_smtp_rcpt = acl_rcpt\nbegin acl\nacl_rcpt:\n  deny local_parts = nobody\n       message = no such user here\n  \
         defer local_parts = later\n  deny local_parts = known\n       !authenticated = *\n       message = who are you\n  accept\n\
         begin routers\nall:\n  driver = accept\n  transport = file\n\
         begin transports\nfile:\n  driver = appendfile\n  file = {dir}/mbox\n  user = Debian-exim\n\
         begin retry\n* * F,1h,1m\nbegin authenticators\nplain:\n  driver = plaintext\n  public_name = PLAIN\n  server_prompts = :\n  \
         server_condition = ${{if and{{{{eq{{$auth2}}{{me}}}}{{eq{{$auth3}}{{pass:word}}}}}}}}\n  server_set_id = $auth2\n"
    )
}

/// What Python's standard library makes of a mailbox.
fn read(path: &Path) -> Vec<Value> {
    let script = r#"
import json, mailbox, sys
from email import policy, message_from_bytes
mails = []
for one in mailbox.mbox(sys.argv[1]):
    mail = message_from_bytes(one.as_bytes(), policy=policy.default)
    parts = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
    mails.append({"headers": {name.lower(): str(value) for name, value in mail.items()}, "parts": parts, "defects": [str(d) for d in mail.defects]})
print(json.dumps(mails))
"#;
    let output = Command::new("/usr/bin/python3").args(["-c", script]).arg(path).output().expect("it runs");
    if !path.exists() {
        return Vec::new();
    }
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test]
async fn a_server_of_this_machine_gets_mails_that_belong_together() {
    let Some(exim) = Exim::start().await else { return };
    let kind = exim.kind("Operations <ops@example.org>", "");
    exim.send(&kind, &about("i-1", 1)).await.expect("taken");
    exim.send(&kind, &end_of("i-1", 2)).await.expect("taken");
    let mails = exim.mails(2).await;
    let find =
        |subject: &str| mails.iter().find(|mail| mail["headers"]["subject"] == subject).unwrap_or_else(|| panic!("{subject}: {mails:#?}"));
    let title = "worker-1: Swap is on and the kubelet refuses to run with it";
    let (open, over) = (find(&format!("[nodewhy] {title}")), find(&format!("[nodewhy] Over: {title}")));
    assert_eq!(
        (&open["headers"]["message-id"], &over["headers"]["references"]),
        (&"<i-1-1@example.org>".into(), &"<i-1-1@example.org>".into())
    );
    assert_eq!(over["headers"]["in-reply-to"], "<i-1-1@example.org>");
    assert!(open["headers"].get("references").is_none());
    assert_eq!((&open["headers"]["auto-submitted"], &open["headers"]["x-nodewhy-key"]), (&"auto-generated".into(), &"i-1/1".into()));
    assert_eq!(
        (&open["headers"]["from"], &open["headers"]["to"]),
        (&"nodewhy <nodewhy@example.org>".into(), &"Operations <ops@example.org>".into())
    );
    let plain = open["parts"]["text/plain"].as_str().expect("text");
    assert!(
        plain.contains("Do first: Turn swap off now: swapoff -a\n") && plain.contains("More: kubectl nodewhy why worker-1\n"),
        "{plain}"
    );
    assert!(open["parts"]["text/html"].as_str().expect("text").contains("<h3"), "{open:#}");
}

#[tokio::test]
async fn foreign_text_is_no_header_and_no_html() {
    let Some(exim) = Exim::start().await else { return };
    let kind = exim.kind("ops@example.org", "");
    let all = all();
    for (name, message) in &all {
        exim.send(&kind, message).await.unwrap_or_else(|words| panic!("{name}: {words}"));
    }
    for mail in exim.mails(all.len()).await {
        let known = [
            "from",
            "to",
            "subject",
            "message-id",
            "date",
            "in-reply-to",
            "references",
            "auto-submitted",
            "x-nodewhy-key",
            "mime-version",
            "content-type",
            "return-path",
            "envelope-to",
            "delivery-date",
            "received",
        ];
        let headers = mail["headers"].as_object().expect("headers");
        assert!(headers.keys().all(|name| known.contains(&name.as_str())), "{headers:#?}");
        assert_eq!(mail["defects"], Value::Array(Vec::new()), "{headers:#?}");
        assert!(headers["subject"].as_str().expect("text").chars().count() <= 250);
        let html = mail["parts"]["text/html"].as_str().expect("text");
        assert!(!html.contains("<b>") && !html.contains("<!channel>") && html.len() < 400_000, "{html:.2000}");
    }
}

#[tokio::test]
async fn a_server_is_known_by_its_certificate_and_knows_us_by_a_password() {
    let Some(exim) = Exim::start().await else { return };
    let file = |name: &str, text: &str| write(exim.dir.path(), name, text).display().to_string();
    let (user, password) = (file("user", "me\n"), file("password", "pass:word\n"));
    let ca = exim.dir.path().join("cert.pem").display().to_string();
    let access = format!(", caFile: {ca}, usernameFile: {user}, passwordFile: {password}");
    exim.send(&exim.kind("known@example.org", &access), &about("i-1", 1)).await.expect("taken");
    exim.mails(1).await;
    let stranger = exim.send(&exim.kind("known@example.org", ""), &about("i-1", 1)).await.expect_err("refused");
    assert!(stranger.contains("who are you"), "{stranger}");
    file("password", "guessed\n");
    let wrong = exim.send(&exim.kind("known@example.org", &access), &about("i-1", 1)).await.expect_err("refused");
    assert!(wrong.contains("535") || wrong.to_lowercase().contains("authentic"), "{wrong}");
    assert!(!wrong.contains("guessed"), "{wrong}");
    let other = CertificateParams::new(vec!["localhost".to_owned()]).expect("names").self_signed(&KeyPair::generate().expect("a key"));
    let other = file("other.pem", &other.expect("signed").pem());
    let error =
        exim.send(&exim.kind("ops@example.org", &format!(", caFile: {other}")), &about("i-1", 1)).await.expect_err("another server");
    assert!(error.to_lowercase().contains("certificate"), "{error}");
}

#[tokio::test]
async fn what_the_server_says_is_told() {
    let Some(exim) = Exim::start().await else { return };
    let no = exim.send(&exim.kind("nobody@example.org", ""), &about("i-1", 1)).await.expect_err("refused");
    assert!(no.contains("no such user here"), "{no}");
    exim.send(&exim.kind("later@example.org", ""), &about("i-1", 1)).await.expect_err("not now");
    let away = "email: {smtp: 'smtp://127.0.0.1:9', from: a@example.org, to: [b@example.org]}";
    let error = exim.send(away, &about("i-1", 1)).await.expect_err("nobody is there");
    assert!(error.contains("smtp://127.0.0.1:9: "), "{error}");
}

#[tokio::test]
async fn a_receiver_whom_the_server_does_not_take_keeps_no_other_from_being_told_and_none_is_told_twice() {
    let Some(exim) = Exim::start().await else { return };
    let left = exim.kind("nobody@example.org', 'ops@example.org", "");
    exim.send(&left, &about("i-1", 1)).await.expect("one is told");
    exim.mails(1).await;
    let late = Hook::new(&hook(&exim.kind("later@example.org', 'ops@example.org', 'dev@example.org", "")), Templates::default());
    for _ in 0..3 {
        late.try_out(&about("i-2", 1)).await.expect_err("one is told later");
    }
    exim.send(&exim.kind("ops@example.org", ""), &about("i-3", 1)).await.expect("taken");
    let of = |mails: &[Value], key: &str| mails.iter().filter(|mail| mail["headers"]["x-nodewhy-key"] == key).count();
    let mails = until("the last mail", async || Some(exim.mails(4).await).filter(|mails| of(mails, "i-3/1") == 1)).await;
    assert_eq!((of(&mails, "i-1/1"), of(&mails, "i-2/1")), (1, 2));
}
