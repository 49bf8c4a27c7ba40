//! `nodewhy-collector hooks preview`: what hooks would be sent, without sending it.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use jiff::Timestamp;

use super::{Settings, exit, output};
use crate::hooks::template::Templates;
use crate::hooks::{Hook, example};
use crate::message::Message;
use crate::policy::Policy;

pub(super) const EXAMPLES: &str = "\
Examples:
  nodewhy-collector hooks preview                            what every hook would be sent for example incidents
  nodewhy-collector hooks preview --policy alerts.yaml --hook chat
  nodewhy-collector hooks preview --hook chat --message message.json    a message as a webhook gets it

Nothing is sent, and the files that hold secrets are not read. Exit codes: 0 shown, 3 the policy or the message cannot be used.";

#[derive(Debug, Args)]
pub(super) struct Preview {
    /// The policy, instead of the configuration's
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// This hook alone
    #[arg(long, value_name = "NAME")]
    hook: Option<String>,
    /// A message's JSON instead of the examples; `-` is standard input
    #[arg(long, value_name = "FILE")]
    message: Option<PathBuf>,
}

impl Preview {
    pub(super) fn run(self, settings: Settings, now: Timestamp) -> anyhow::Result<u8> {
        let policy = self.policy(settings)?;
        let messages = self.messages(now)?;
        let templates = Templates::new(policy.templates.title.as_deref(), policy.templates.text.as_deref())?;
        let wanted = |name: &str| self.hook.as_deref().is_none_or(|hook| hook == name);
        let hooks: Vec<_> = policy.hooks.iter().filter(|hook| wanted(&hook.name)).collect();
        if hooks.is_empty() {
            let known: Vec<&str> = policy.hook_names().collect();
            let known = if known.is_empty() { "there are none".to_owned() } else { format!("there are: {}", known.join(", ")) };
            bail!("there is no such hook in the policy; {known}");
        }
        for config in hooks {
            let hook = Hook::new(config, templates.clone());
            for message in &messages {
                let shown = hook.preview(message, now).map_err(|words| anyhow!("hook {}: {words}", config.name))?;
                output::line(&shown);
            }
        }
        Ok(exit::DONE)
    }

    fn policy(&self, settings: Settings) -> anyhow::Result<Policy> {
        let Some(path) = &self.policy else { return super::policy_of(&settings.config()?) };
        let bytes = super::policy::bytes(path)?;
        let told = |problems: Vec<crate::policy::PolicyError>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        Policy::from_bytes(path, &bytes).map_err(|problems| anyhow!(told(problems)))
    }

    fn messages(&self, now: Timestamp) -> anyhow::Result<Vec<Message>> {
        let Some(path) = &self.message else { return Ok(vec![example::node(now), example::resolved(now), example::fleet(now)]) };
        let bytes = super::policy::bytes(path)?;
        let message = serde_json::from_slice(&bytes).with_context(|| format!("{}: it is no message as webhooks get it", path.display()))?;
        Ok(vec![message])
    }
}
