//! `silence`: what nobody wants to hear of for a while.

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::render::{escape, moment, span};
use nodewhy_proto::v1 as pb;
use serde::Serialize;

use crate::client::Collector;
use crate::output::Output;
use crate::table::table;

#[derive(Debug, Subcommand)]
pub(crate) enum SilenceCommand {
    /// Tell nothing of what matches, for a while. What is still wrong when it ends is told then.
    #[command(after_help = "Keys: node, cause, severity, layer, kind, label.NAME; `*` stands for any text.
Keys go together; values of one key (given again, or with commas between) are alternatives.
What was told as open is told as over all the same.

Examples:
  kubectl nodewhy silence add 'node=edge-*' --for 2h --comment 'cable works'
  kubectl nodewhy silence add cause=swap-enabled label.zone=eu-1a,eu-1b
  kubectl nodewhy silence add node=worker-7 --until 2026-12-01T06:00:00+01:00")]
    Add(AddArgs),
    /// Silences in force, and those to come.
    #[command(after_help = "Example:\n  kubectl nodewhy silence list --all")]
    List {
        /// Also those that are over.
        #[arg(long)]
        all: bool,
    },
    /// End a silence now: what is still wrong is told.
    #[command(after_help = "Example:\n  kubectl nodewhy silence expire sil-0a1b2c3d")]
    Expire {
        /// Which: `silence list` names it.
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// KEY=VALUE: what is silenced.
    #[arg(required = true, value_name = "MATCHER")]
    matchers: Vec<String>,
    /// How long, like 30m, 2h or 3d; 1h if nothing is said.
    #[arg(long = "for", value_name = "TIME", value_parser = lasts)]
    lasts: Option<SignedDuration>,
    /// Until when: a time with Z or an offset, like 2026-12-01T06:00:00Z.
    #[arg(long, value_name = "TIME", conflicts_with = "lasts")]
    until: Option<Timestamp>,
    /// Why, for those who wonder.
    #[arg(long, default_value = "", hide_default_value = true)]
    comment: String,
    /// Who you are.
    #[arg(long, env = "USER", hide_env_values = true, default_value = "", hide_default_value = true, value_name = "NAME")]
    by: String,
}

fn lasts(word: &str) -> Result<SignedDuration, String> {
    // Days are no unit of an exact time for the parser; here one is 24 h.
    let days =
        word.strip_suffix('d').and_then(|days| days.parse::<u32>().ok()).map(|days| SignedDuration::from_hours(i64::from(days) * 24));
    let read = days.or_else(|| word.parse().ok()).filter(|lasts| lasts.is_positive());
    read.ok_or_else(|| "has to be like 30m, 2h or 3d".to_owned())
}

/// Field names are the JSON contract.
#[derive(Debug, Serialize)]
struct Silence {
    id: String,
    matchers: Vec<String>,
    comment: String,
    created_by: String,
    starts_at: Timestamp,
    ends_at: Timestamp,
}

impl Silence {
    fn new(silence: Option<pb::Silence>) -> anyhow::Result<Self> {
        let silence = silence.context("the collector's answer holds no silence")?;
        let time =
            |at: Option<_>, what| anyhow::Ok(nodewhy_wire::time_from_wire(at.with_context(|| format!("a silence without {what}"))?)?);
        Ok(Self {
            starts_at: time(silence.starts_at, "a start")?,
            ends_at: time(silence.ends_at, "an end")?,
            id: silence.id,
            matchers: silence.matchers,
            comment: silence.comment,
            created_by: silence.created_by,
        })
    }

    fn state(&self, now: Timestamp) -> String {
        match self {
            _ if self.ends_at <= now => "over".to_owned(),
            _ if self.starts_at > now => format!("in {}", span(self.starts_at.duration_since(now))),
            _ => format!("{} more", span(self.ends_at.duration_since(now))),
        }
    }
}

pub(crate) async fn run(collector: &mut Collector, command: SilenceCommand, output: &Output) -> anyhow::Result<u8> {
    match command {
        SilenceCommand::Add(args) => add(collector, args, output).await,
        SilenceCommand::List { all } => list(collector, all, output).await,
        SilenceCommand::Expire { id } => expire(collector, id, output).await,
    }
}

async fn add(collector: &mut Collector, args: AddArgs, output: &Output) -> anyhow::Result<u8> {
    let now = Timestamp::now();
    let ends_at = match (args.lasts, args.until) {
        (Some(lasts), _) => Some(now.checked_add(lasts).context("--for: that is too long")?),
        (None, Some(until)) if until <= now => bail!("--until {until}: that is over already"),
        (None, until) => until,
    };
    let silence = pb::Silence {
        matchers: args.matchers,
        comment: args.comment,
        created_by: args.by,
        ends_at: ends_at.map(nodewhy_wire::time_to_wire),
        ..pb::Silence::default()
    };
    let answer = collector.alerts.add_silence(pb::AddSilenceRequest { silence: Some(silence) }).await;
    let silence = Silence::new(collector.answer("silence", answer)?.silence)?;
    output.answer(&silence, |_| {
        let (id, what) = (escape(&silence.id), silence.matchers.join(" "));
        format!(
            "{id}: nothing is told of {} until {}. To end it: kubectl nodewhy silence expire {id}\n",
            escape(&what),
            moment(silence.ends_at)
        )
    })?;
    Ok(0)
}

async fn list(collector: &mut Collector, all: bool, output: &Output) -> anyhow::Result<u8> {
    let answer = collector.alerts.list_silences(pb::ListSilencesRequest { all }).await;
    let found = collector.answer("list of silences", answer)?.silences.into_iter().map(Some).map(Silence::new);
    let found = found.collect::<anyhow::Result<Vec<_>>>()?;
    let now = Timestamp::now();
    let row = |silence: &Silence| {
        [&*silence.id, &*silence.state(now), &moment(silence.ends_at), &silence.created_by, &silence.matchers.join(" "), &silence.comment]
            .map(|cell| escape(cell).into_owned())
            .to_vec()
    };
    output.answer(&found, |_| match found.is_empty() {
        true => "No silence.\n".to_owned(),
        false => table(&["ID", "STATE", "UNTIL", "BY", "MATCHERS", "COMMENT"], &found.iter().map(row).collect::<Vec<_>>()),
    })?;
    Ok(0)
}

async fn expire(collector: &mut Collector, id: String, output: &Output) -> anyhow::Result<u8> {
    let answer = collector.alerts.expire_silence(pb::ExpireSilenceRequest { id: id.clone() }).await;
    let pb::ExpireSilenceResponse { silence, was_over } = collector.answer(&format!("silence {id}"), answer)?;
    let silence = Silence::new(silence)?;
    output.answer(&silence, |_| {
        let (id, at) = (escape(&silence.id), moment(silence.ends_at));
        match was_over {
            true => format!("{id} was over already, since {at}: nothing has changed.\n"),
            false => format!("{id} is over since {at}; what is still wrong is told, unless another silence or maintenance is about it.\n"),
        }
    })?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::lasts;

    #[test]
    fn a_time_is_read_as_people_write_it() {
        for (word, hours) in [("2h", 2.0), ("90m", 1.5), ("3d", 72.0), ("1h 30m", 1.5)] {
            assert_eq!(lasts(word).map(|time| time.as_secs_f64() / 3600.0), Ok(hours), "{word}");
        }
        for word in ["", "2", "-2h", "0s", "d", "tomorrow"] {
            assert!(lasts(word).is_err(), "{word}");
        }
    }
}
