//! systemd's signals about a few units.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use futures_util::stream::{BoxStream, SelectAll, StreamExt as _};
use zbus::message::Message;
use zbus::{MatchRule, MessageStream, Variant};

use super::{BusError, CALL_TIMEOUT, Host, MANAGER, MANAGER_PATH, PROPERTIES, SYSTEMD, UnitStatus, malformed};

/// Signals of one unit come in bursts of a handful; a full queue would hold back the whole connection.
const QUEUE: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");

/// What a signal says.
#[derive(Debug)]
pub enum Change {
    /// Properties of the unit at this index changed; the message carries them.
    Unit(usize, Message),
    /// A unit was loaded or unloaded, or a job of it ended: read it again.
    Reread,
    /// Unit files changed: find the units again.
    Refind,
}

/// A subscription; ends when the connection does.
pub struct Signals {
    stream: SelectAll<BoxStream<'static, Change>>,
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signals").finish_non_exhaustive()
    }
}

impl Signals {
    /// The next change; `None` when the connection has ended.
    pub async fn next(&mut self) -> Option<Change> {
        self.stream.next().await
    }
}

impl Host {
    /// Subscribes to the changes of these units. What happened before this returns has to be read.
    pub async fn unit_signals(&self, units: &[&UnitStatus]) -> Result<Signals, BusError> {
        // systemd sends signals only while somebody is subscribed.
        if let Err(error) = self.manager_call("Subscribe", "", &()).await
            && !error.to_string().contains("AlreadySubscribed")
        {
            return Err(error);
        }
        let connection = self.bus().await?;
        let mut stream: SelectAll<BoxStream<'static, Change>> = SelectAll::new();
        let add = async |rule: Result<MatchRule<'static>, zbus::Error>| -> Result<MessageStream, BusError> {
            let rule = rule.map_err(|error| malformed("AddMatch", error))?;
            let subscribing = MessageStream::for_match_rule(rule, &connection, Some(QUEUE));
            match tokio::time::timeout(CALL_TIMEOUT, subscribing).await {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) => Err(malformed("AddMatch", error)),
                Err(_) => Err(BusError::Timeout { what: "AddMatch".to_owned(), after: CALL_TIMEOUT }),
            }
        };
        for (index, unit) in units.iter().enumerate() {
            let signals = add(rule(PROPERTIES, "PropertiesChanged", &unit.path, None)).await?;
            let changes = signals.filter_map(move |message| async move { Some(Change::Unit(index, message.ok()?)) });
            stream.push(changes.boxed());
            for (member, position) in [("UnitNew", 0), ("UnitRemoved", 0), ("JobRemoved", 2)] {
                let signals = add(rule(MANAGER, member, MANAGER_PATH, Some((position, &unit.name)))).await?;
                stream.push(signals.filter_map(async |message| message.ok().map(|_| Change::Reread)).boxed());
            }
        }
        for member in ["UnitFilesChanged", "Reloading"] {
            let signals = add(rule(MANAGER, member, MANAGER_PATH, None)).await?;
            stream.push(signals.filter_map(async |message| message.ok().map(|_| Change::Refind)).boxed());
        }
        // The others never end by themselves: zbus ends a stream when its connection ends, and so does SelectAll only when all have.
        Ok(Signals { stream })
    }

    /// Takes the properties that a signal carries over into the unit's state. Returns whether anything of interest changed.
    pub fn apply_change(&self, status: &mut UnitStatus, message: &Message) -> bool {
        let body = message.body();
        let Ok((_, changed, _)) = body.deserialize::<(&str, HashMap<&str, Variant<'_>>, Vec<&str>)>() else { return false };
        let before = status.clone();
        status.apply(&changed);
        self.remember_exit(status);
        *status != before
    }
}

fn rule(interface: &'static str, member: &'static str, path: &str, arg: Option<(u8, &str)>) -> Result<MatchRule<'static>, zbus::Error> {
    let mut rule = MatchRule::builder()
        .msg_type(zbus::message::Type::Signal)
        .sender(SYSTEMD)
        .interface(interface)
        .member(member)
        .path(path.to_owned());
    if let Some((index, value)) = arg {
        rule = rule.arg(index, value.to_owned());
    }
    rule.build()
}
