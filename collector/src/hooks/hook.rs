//! A hook: from a message to what is sent, and sending it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;

use super::alertmanager::{self, Alert, Labels};
use super::deliver::{Blame, Failure};
use super::files::{self, Files};
use super::http::Http;
use super::parcel::{Parcel, Post};
use super::receivers::Receivers;
use super::template::Templates;
use super::webhook::To;
use super::{email, exec, opsgenie, pagerduty, slack, teams, text, webhook};
use crate::message::Message;
use crate::policy::hooks::{Format, HookConfig, HookKind};

/// Bytes of a message's JSON: 64 KiB pass everywhere (CloudEvents 1.0.2, "Size limits"), with what is around it.
const LONGEST: usize = 60_000;
/// How far ahead the end of an open alert is put.
pub(super) const AHEAD: Duration = Duration::from_secs(600);

/// One hook, ready to be called. Its files are read at every call.
#[derive(Debug)]
pub struct Hook {
    name: Arc<str>,
    kind: HookKind,
    templates: Templates,
    http: Arc<Http>,
    mails: Receivers,
}

impl Hook {
    /// A hook of a configuration.
    pub fn new(config: &HookConfig, templates: Templates) -> Arc<Self> {
        let ca_file = match &config.kind {
            HookKind::Webhook(hook) => &hook.ca_file,
            HookKind::Alertmanager(hook) => &hook.ca_file,
            HookKind::Slack(hook) | HookKind::Teams(hook) => &hook.ca_file,
            HookKind::PagerDuty(hook) => &hook.ca_file,
            HookKind::Opsgenie(hook) => &hook.ca_file,
            HookKind::Email(_) | HookKind::Exec(_) => &None,
        };
        let http = Http::new(ca_file.clone());
        Arc::new(Self { name: config.name.as_str().into(), kind: config.kind.clone(), templates, http, mails: Receivers::default() })
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it is.
    pub fn kind(&self) -> &HookKind {
        &self.kind
    }

    /// Where it is, without what may be secret.
    pub fn place(&self) -> String {
        match &self.kind {
            HookKind::Webhook(hook) => hook.url.to_string(),
            HookKind::Alertmanager(hook) => hook.url.to_string(),
            HookKind::Slack(hook) | HookKind::Teams(hook) => format!("the URL in {}", hook.url_file.display()),
            HookKind::PagerDuty(hook) => hook.url.to_string(),
            HookKind::Opsgenie(hook) => hook.url.to_string(),
            HookKind::Email(hook) => hook.smtp.to_string(),
            HookKind::Exec(hook) => hook.command.first().cloned().unwrap_or_default(),
        }
    }

    /// Whether it knows an incident by labels, which then have to stay.
    pub(super) fn keeps_labels(&self) -> bool {
        match &self.kind {
            HookKind::Alertmanager(_) => true,
            HookKind::Webhook(hook) => hook.format == Format::Alertmanager,
            _ => false,
        }
    }

    /// Whether it forgets what it does not hear of again.
    pub(super) fn forgets(&self) -> bool {
        matches!(self.kind, HookKind::Alertmanager(_))
    }

    /// Looks whether a message could be sent now: its files, certificates and templates.
    ///
    /// # Errors
    /// What is missing, in words.
    pub fn check(&self) -> Result<(), String> {
        match (self.parcel(Files::Read, &super::example::node(Timestamp::now()), None, Timestamp::now(), AHEAD)?, &self.kind) {
            (Parcel::Post(post), _) => self.http.try_out(post.url.scheme() == "https"),
            (Parcel::Mail(_), HookKind::Email(to)) => email::try_out(to, &access(to)?),
            (Parcel::Mail(_) | Parcel::Run(_), _) => Ok(()),
        }
    }

    /// Sends one message now, past the outbox.
    ///
    /// # Errors
    /// What the hook said, or why it could not be asked.
    pub async fn try_out(self: &Arc<Self>, message: &Message) -> Result<(), String> {
        self.send(message.clone(), None, AHEAD).await.map(drop).map_err(|failure| failure.words)
    }

    /// Sends a message; gives the labels by which the hook knows the incident now, if it does.
    pub(super) async fn send(self: &Arc<Self>, message: Message, kept: Option<Labels>, ahead: Duration) -> Result<Option<Labels>, Failure> {
        let (hook, key) = (self.clone(), message.key.clone());
        // Files are read.
        let work = move || {
            let now = Timestamp::now();
            let labels = hook.keeps_labels().then(|| alertmanager::alerts(&message, kept.as_ref(), now, ahead).pop()).flatten();
            hook.parcel(Files::Read, &message, kept.as_ref(), now, ahead).map(|parcel| (parcel, labels.map(|alert| alert.labels)))
        };
        let ready = tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string());
        let (parcel, labels) = ready.and_then(|ready| ready).map_err(|words| Failure { words, blame: Blame::Away })?;
        match (parcel, &self.kind) {
            (Parcel::Post(post), kind) => heard(kind, &self.http.clone().post(post).await?)?,
            (Parcel::Mail(mail), HookKind::Email(to)) => {
                let (to_files, to) = (to.clone(), to.clone());
                let access = tokio::task::spawn_blocking(move || access(&to_files)).await.map_err(|error| error.to_string());
                let access = access.and_then(|access| access).map_err(|words| Failure { words, blame: Blame::Away })?;
                let mut have = self.mails.take(&key);
                let sent = email::send(&to, access, *mail, &mut have).await;
                if sent.is_err() && !have.is_empty() {
                    self.mails.keep(key, have);
                }
                sent?;
            }
            (Parcel::Run(run), HookKind::Exec(command)) => exec::execute(command, run).await?,
            (Parcel::Mail(_) | Parcel::Run(_), _) => {}
        }
        Ok(labels)
    }

    /// Posts alerts to an Alertmanager again.
    pub(super) async fn post_again(&self, alerts: Vec<Alert>) -> Result<(), Failure> {
        let HookKind::Alertmanager(hook) = self.kind.clone() else { return Ok(()) };
        let work = move || {
            let mut post = Post::json(hook.url.join("api/v2/alerts"), &alerts)?;
            post.headers.extend(Files::Read.headers(hook.headers_file.as_deref())?);
            Ok(post)
        };
        let ready = tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string());
        let post = ready.and_then(|ready: Result<Post, String>| ready).map_err(|words| Failure { words, blame: Blame::Away })?;
        self.http.clone().post(post).await.map(drop)
    }

    /// The words that it uses.
    pub(super) fn templates(&self) -> &Templates {
        &self.templates
    }

    /// What is sent for a message.
    pub(super) fn parcel(
        &self,
        files: Files,
        message: &Message,
        kept: Option<&Labels>,
        now: Timestamp,
        ahead: Duration,
    ) -> Result<Parcel, String> {
        let message = &text::shorten(message, LONGEST);
        let texts = || self.templates.render(message);
        let post = match &self.kind {
            HookKind::Webhook(hook) => {
                let secrets = files.secrets(hook.secret_file.as_deref())?;
                let to = To { hook: &self.name, url: hook.url.url().clone(), format: hook.format, secrets: &secrets };
                let mut post = webhook::request(to, message, kept, now)?;
                post.headers.extend(files.headers(hook.headers_file.as_deref())?);
                post
            }
            HookKind::Alertmanager(hook) => {
                let alerts = alertmanager::alerts(message, kept, now, ahead);
                let mut post = Post::json(hook.url.join("api/v2/alerts"), &alerts)?;
                post.headers.extend(files.headers(hook.headers_file.as_deref())?);
                post
            }
            HookKind::Slack(hook) => Post::json(files.url("urlFile", &hook.url_file)?, &slack::body(message, &texts()))?,
            HookKind::Teams(hook) => Post::json(files.url("urlFile", &hook.url_file)?, &teams::body(message, &texts()))?,
            HookKind::PagerDuty(hook) => {
                let key = files.line("routingKeyFile", &hook.routing_key_file)?;
                Post::json(Url::clone(hook.url.url()), &pagerduty::body(message, &texts(), &key))?
            }
            HookKind::Opsgenie(hook) => {
                let key = files.line("apiKeyFile", &hook.api_key_file)?;
                opsgenie::request(hook, message, &texts(), &key)?
            }
            HookKind::Email(hook) => return Ok(Parcel::Mail(Box::new(email::mail(hook, message, &texts())?))),
            HookKind::Exec(_) => return Ok(Parcel::Run(exec::run(message, &texts())?)),
        };
        Ok(Parcel::Post(post))
    }
}

/// What some say although their status is that of success.
fn heard(kind: &HookKind, body: &str) -> Result<(), Failure> {
    let body = body.trim();
    match kind {
        // Slack's documentation: `ok`, and nothing else, means that it is posted.
        HookKind::Slack(_) if body != "ok" => {
            Err(Failure { words: format!("it answered `{}` instead of `ok`", text::one_line(body)), blame: Blame::Refused })
        }
        // The old connectors put the error of the service behind them into the text.
        HookKind::Teams(_) if body.contains("HTTP error") => Err(Failure { words: text::one_line(body), blame: Blame::Trouble }),
        _ => Ok(()),
    }
}

fn access(to: &crate::policy::hooks::Email) -> Result<email::Access, String> {
    let credentials = match (&to.username_file, &to.password_file) {
        (Some(user), Some(password)) => Some((files::line("usernameFile", user)?, files::line("passwordFile", password)?)),
        _ => None,
    };
    let ca = to.ca_file.as_ref().map(|path| files::text("caFile", path).map(String::into_bytes)).transpose()?;
    Ok(email::Access { credentials, ca })
}
