//! `nodewhy-collector hooks test NAME`.

use anyhow::bail;
use jiff::Timestamp;

use super::{exit, output, wait_for};
use crate::config::Config;
use crate::hooks::Hook;
use crate::hooks::template::Templates;
use crate::message::Message;

pub(super) fn test(config: &Config, name: &str) -> anyhow::Result<u8> {
    let policy = super::policy_of(config)?;
    let Some(hook) = policy.hook(name) else {
        let known: Vec<&str> = policy.hook_names().collect();
        let known = if known.is_empty() { "there are none".to_owned() } else { format!("there are: {}", known.join(", ")) };
        bail!("no hook of the name {name} in the policy; {known}");
    };
    let hook = Hook::new(hook, Templates::new(policy.templates.title.as_deref(), policy.templates.text.as_deref())?);
    let message = Message::test(Timestamp::now());
    Ok(match wait_for(async { Ok(hook.try_out(&message).await) })? {
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
