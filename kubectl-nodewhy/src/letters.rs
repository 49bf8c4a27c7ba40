//! `alerts`: messages that wait for hooks, those that were given up, and sending these again.

use anyhow::bail;
use clap::Subcommand;
use jiff::Timestamp;
use nodewhy_diagnosis::render::{escape, moment};
use nodewhy_proto::v1 as pb;
use serde::Serialize;

use crate::client::Collector;
use crate::output::Output;
use crate::table::table;

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// Messages that wait for hooks, the oldest first; or those that were given up, the newest first.
    #[command(after_help = "Examples:
  kubectl nodewhy alerts list                      what waits, and why
  kubectl nodewhy alerts list --dead --hook pager  what pager was never told")]
    List {
        /// Of this hook alone.
        #[arg(long, value_name = "NAME")]
        hook: Option<String>,
        /// Those that were given up: refused for a day, or too many.
        #[arg(long)]
        dead: bool,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Send messages that were given up again: one, all of a hook, or all.
    #[command(after_help = "Examples:
  kubectl nodewhy alerts resend inc-7f3a-12/1 --hook pager
  kubectl nodewhy alerts resend                    all that were given up")]
    Resend {
        /// Which: `alerts list --dead` names it. Left out: all.
        key: Option<String>,
        /// To this hook alone.
        #[arg(long, value_name = "NAME")]
        hook: Option<String>,
    },
}

/// Field names are the JSON contract.
#[derive(Debug, Serialize)]
struct Letter {
    hook: String,
    key: String,
    event: String,
    title: String,
    made_at: Option<Timestamp>,
    attempts: u32,
    last_error: Option<String>,
    dead_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct Resent {
    resent: u64,
    over: u64,
    open_again: u64,
}

impl Resent {
    /// What was left out, and why: a line each.
    fn left_out(&self) -> String {
        let (of_one, of_many) = ("message is left out", "messages are left out");
        let line = |many: u64, why: &str| match many {
            0 => String::new(),
            1 => format!("1 {of_one}: {why}\n"),
            many => format!("{many} {of_many}: {why}\n"),
        };
        let over = line(self.over, "the hook was told that the incident is over, and nothing would close what would be opened there");
        over + &line(self.open_again, "it would tell the hook that an incident is over which is open again")
    }
}

impl Letter {
    fn new(message: pb::QueuedMessage) -> anyhow::Result<Self> {
        let time = |at: Option<_>| at.map(nodewhy_wire::time_from_wire).transpose();
        Ok(Self {
            made_at: time(message.made_at)?,
            dead_at: time(message.dead_at)?,
            hook: message.hook,
            key: message.key,
            event: message.event,
            title: message.title,
            attempts: message.attempts,
            last_error: Some(message.last_error).filter(|words| !words.is_empty()),
        })
    }
}

pub(crate) async fn run(collector: &mut Collector, command: AlertsCommand, output: &Output) -> anyhow::Result<u8> {
    match command {
        AlertsCommand::List { hook, dead, limit } => list(collector, hook.unwrap_or_default(), dead, limit, output).await,
        AlertsCommand::Resend { key, hook } => resend(collector, key, hook, output).await,
    }
}

async fn list(collector: &mut Collector, hook: String, dead: bool, limit: u32, output: &Output) -> anyhow::Result<u8> {
    let answer = collector.alerts.list_messages(pb::ListMessagesRequest { hook, dead, page_size: limit }).await;
    let found = collector.answer("list of messages", answer)?.messages.into_iter().map(Letter::new);
    let found = found.collect::<anyhow::Result<Vec<_>>>()?;
    output.answer(&found, |_| text(&found, dead, found.len() >= limit as usize))?;
    Ok(0)
}

fn text(found: &[Letter], dead: bool, perhaps_more: bool) -> String {
    if found.is_empty() {
        return if dead { "No message was given up.\n" } else { "No message waits.\n" }.to_owned();
    }
    let row = |letter: &Letter| {
        let at = if dead { letter.dead_at } else { letter.made_at };
        let (at, tries) = (at.map_or("-".to_owned(), moment), letter.attempts.to_string());
        let words = letter.last_error.as_deref().unwrap_or("-");
        [&*letter.hook, &letter.key, &letter.event, &at, &tries, &letter.title, words].map(|cell| escape(cell).into_owned()).to_vec()
    };
    let head = ["HOOK", "KEY", "EVENT", if dead { "GIVEN UP" } else { "MADE" }, "ATTEMPTS", "TITLE", "LAST WORDS"];
    let mut out = table(&head, &found.iter().map(row).collect::<Vec<_>>());
    if perhaps_more {
        out.push_str(&format!("No more than {} are shown: --limit, or `kubectl nodewhy hooks` for how many there are.\n", found.len()));
    }
    out
}

async fn resend(collector: &mut Collector, key: Option<String>, hook: Option<String>, output: &Output) -> anyhow::Result<u8> {
    let request = pb::ResendMessagesRequest { key: key.clone().unwrap_or_default(), hook: hook.clone().unwrap_or_default() };
    let answer = collector.alerts.resend_messages(request).await;
    let pb::ResendMessagesResponse { resent, over, open_again } = collector.answer("messages", answer)?;
    let answer = Resent { resent, over, open_again };
    let left_out = answer.left_out();
    if let Some(key) = key.filter(|_| resent == 0) {
        let of = hook.map(|hook| format!(" of hook {hook}")).unwrap_or_default();
        if !left_out.is_empty() {
            bail!("message {key}{of} is not sent again: {}", left_out.trim_end());
        }
        bail!("message {key}{of}: none of this key was given up; `kubectl nodewhy alerts list --dead` names those that were");
    }
    let sent = match resent {
        0 if left_out.is_empty() => "No message was given up: there is nothing to send again.\n".to_owned(),
        0 => "No message is sent again.\n".to_owned(),
        1 => "1 message is sent again; `kubectl nodewhy alerts list` shows it while it waits.\n".to_owned(),
        many => format!("{many} messages are sent again; `kubectl nodewhy alerts list` shows those that wait.\n"),
    };
    output.answer(&answer, |_| sent + &left_out)?;
    Ok(0)
}
