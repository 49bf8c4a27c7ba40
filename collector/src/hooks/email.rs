//! A mail over SMTP. Mails about one incident belong to one thread.

use std::time::{Duration, SystemTime};

use lettre::address::{Address, Envelope};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::{AsyncSmtpTransport, Error};
use lettre::{AsyncTransport as _, Message as Mail, Tokio1Executor};

use super::deliver::{Blame, Failure};
use super::receivers::Have;
use super::sign::id;
use super::template::Texts;
use super::text::{cut_bytes, html, link, more, one_line};
use super::words;
use crate::message::Message;
use crate::policy::hooks::{Email, SmtpSecurity};

/// How long one step of a mail may take, and the whole of it.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(30));

/// What the mail's files hold.
#[derive(Default)]
pub(super) struct Access {
    pub(super) credentials: Option<(String, String)>,
    /// PEM.
    pub(super) ca: Option<Vec<u8>>,
}

/// The mail of a message.
pub(super) fn mail(to: &Email, message: &Message, texts: &Texts) -> Result<Mail, String> {
    let domain = to.from.0.email.domain();
    let identity = |key: &str| format!("<{}@{domain}>", id(key));
    let first = identity(&format!("{}/1", message.incident));
    let subject = cut_bytes(&one_line(&format!("[nodewhy] {}", texts.title)), 250, "…");
    let mut builder = Mail::builder().from(to.from.0.clone()).subject(subject).message_id(Some(identity(&message.key)));
    builder = builder.date(SystemTime::from(message.at));
    if message.number > 1 {
        builder = builder.in_reply_to(first.clone()).references(first);
    }
    for receiver in &to.to {
        builder = builder.to(receiver.0.clone());
    }
    let plain = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(format!("{}\n", texts.text));
    let rich = SinglePart::builder().header(ContentType::TEXT_HTML).body(page(message, texts));
    let parts = MultiPart::alternative().singlepart(plain).singlepart(rich);
    let mut mail = builder.multipart(parts).map_err(|error| format!("the mail cannot be written: {error}"))?;
    // RFC 3834: nobody's holiday answers it.
    for (name, value) in [("Auto-Submitted", "auto-generated".to_owned()), ("X-Nodewhy-Key", header(&message.key))] {
        if let Ok(name) = HeaderName::new_from_ascii(name.to_owned()) {
            mail.headers_mut().insert_raw(HeaderValue::new(name, value));
        }
    }
    Ok(mail)
}

fn header(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).take(255).collect()
}

/// A small page: no pictures, no scripts, nothing that is fetched.
fn page(message: &Message, texts: &Texts) -> String {
    let colour = match (message.resolved_at.is_some(), words::severity(message.severity)) {
        (true, _) => "#2e7d32",
        (_, "critical") => "#c62828",
        (_, "warning") => "#ef6c00",
        _ => "#616161",
    };
    let link = link(message.page.as_deref()).map(|page| format!("<p><a href=\"{0}\">{0}</a></p>", html(&page))).unwrap_or_default();
    let text = cut_bytes(&texts.text, 50_000, &more(message));
    format!(
        "<!doctype html>\n<html><body>\n<h3 style=\"border-left: 6px solid {colour}; padding-left: 8px\">{}</h3>\n\
         <pre style=\"white-space: pre-wrap\">{}</pre>\n{link}\n</body></html>\n",
        html(&texts.title),
        html(&text)
    )
}

/// Looks whether the server could be spoken to as configured, without asking it.
pub(super) fn try_out(to: &Email, access: &Access) -> Result<(), String> {
    tls(to, access.ca.as_deref()).map(drop)
}

/// Brings a mail to the server, for all who do not have it yet; `have` grows by those who do then.
pub(super) async fn send(to: &Email, access: Access, mail: Mail, have: &mut Have) -> Result<(), Failure> {
    let server = &to.smtp;
    let refused = |words: String| Failure { words, blame: Blame::Away };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host.as_str()).port(server.port);
    builder = builder.timeout(Some(PATIENCE.0)).tls(tls(to, access.ca.as_deref()).map_err(refused)?);
    if let Some((user, password)) = access.credentials {
        builder = builder.credentials(Credentials::new(user, password));
    }
    let (server, mail) = (Server { to, transport: builder.build() }, mail.formatted());
    let left: Vec<Address> = to.to.iter().map(|one| one.0.email.clone()).filter(|one| !have.contains(&one.to_string())).collect();
    if left.len() > 1 {
        match server.bring(&mail, left.clone()).await {
            Ok(()) => return Ok(()),
            Err((failure, false)) => return Err(failure),
            Err(_) => {}
        }
    }
    server.bring_each(&mail, left, have).await
}

struct Server<'a> {
    to: &'a Email,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl Server<'_> {
    /// One mail for these. With a failure: whether the server said so, and not that it could not be asked.
    async fn bring(&self, mail: &[u8], receivers: Vec<Address>) -> Result<(), (Failure, bool)> {
        let server = &self.to.smtp;
        let envelope = Envelope::new(Some(self.to.from.0.email.clone()), receivers);
        let envelope = envelope.map_err(|error| (Failure { words: format!("{server}: {error}"), blame: Blame::Refused }, false))?;
        match tokio::time::timeout(PATIENCE.1, self.transport.send_raw(&envelope, mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                let words = format!("{server}: {}", super::http::chain(&error));
                Err((Failure { words, blame: blame(&error) }, error.is_permanent() || error.is_transient()))
            }
            Err(_) => Err((Failure { words: format!("{server}: no end of it within {:?}", PATIENCE.1), blame: Blame::Trouble }, false)),
        }
    }

    /// A mail for each. Those whom the server will never take are left out, if anybody at all has it.
    async fn bring_each(&self, mail: &[u8], receivers: Vec<Address>, have: &mut Have) -> Result<(), Failure> {
        let (mut never, mut not_now) = (Vec::new(), None);
        for receiver in receivers {
            match self.bring(mail, vec![receiver.clone()]).await {
                Ok(()) => drop(have.insert(receiver.to_string())),
                Err((failure, _)) if failure.blame == Blame::Refused => never.push((receiver, failure)),
                Err((failure, answered)) => {
                    not_now = Some(failure);
                    if !answered {
                        break;
                    }
                }
            }
        }
        match (not_now, never.pop()) {
            (Some(failure), _) => Err(failure),
            (None, Some((_, failure))) if have.is_empty() => Err(failure),
            (None, last) => {
                for (receiver, failure) in never.iter().chain(&last) {
                    tracing::warn!(%receiver, "a mail is not taken for one of its receivers, the others have it: {}", failure.words);
                }
                Ok(())
            }
        }
    }
}

fn tls(to: &Email, ca: Option<&[u8]>) -> Result<Tls, String> {
    if to.smtp.security == SmtpSecurity::Loopback && ca.is_none() {
        return Ok(Tls::None);
    }
    let mut parameters = TlsParameters::builder(to.smtp.host.clone());
    if let Some(pem) = ca {
        let certificate = Certificate::from_pem(pem).map_err(|error| format!("caFile cannot be used: {error}"))?;
        parameters = parameters.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    let parameters = parameters.build_rustls().map_err(|error| format!("TLS cannot be set up: {}", super::http::chain(&error)))?;
    Ok(if to.smtp.security == SmtpSecurity::Tls { Tls::Wrapper(parameters) } else { Tls::Required(parameters) })
}

/// 5xx: never this mail; 4xx: not now; without an answer nobody is there.
fn blame(error: &Error) -> Blame {
    if error.is_permanent() {
        Blame::Refused
    } else if error.is_transient() || error.is_timeout() {
        Blame::Trouble
    } else {
        Blame::Away
    }
}
