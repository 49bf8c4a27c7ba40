//! `nodewhy-collector hooks test NAME`.

use anyhow::bail;
use jiff::Timestamp;

use super::{exit, output, wait_for};
use crate::alerts::{Deliverer, Message, Timing};
use crate::config::Config;

pub(super) fn test(config: &Config, name: &str) -> anyhow::Result<u8> {
    let Some((kind, hook)) = config.alerts.hooks().find(|(_, hook)| hook.name == name) else {
        let known: Vec<&str> = config.alerts.hooks().map(|(_, hook)| &*hook.name).collect();
        let known = if known.is_empty() { "there are none".to_owned() } else { format!("there are: {}", known.join(", ")) };
        bail!("no hook of the name {name} in the configuration; {known}");
    };
    let deliverer = Deliverer::new(kind, hook, Timing::default())?;
    let message = Message::test(Timestamp::now());
    Ok(match wait_for(async { Ok(deliverer.try_out(&message).await) })? {
        Ok(()) => {
            output::line(&format!("hook {name}: taken (key {})", message.key));
            exit::DONE
        }
        Err(words) => {
            output::line(&format!("hook {name}: not taken: {words}"));
            exit::NO
        }
    })
}
