//! What a hook would be sent, for people: without its secrets, and without reading the files that hold them.

use jiff::Timestamp;
use serde_json::Value;

use super::exec::Run;
use super::files::Files;
use super::hook::{AHEAD, Hook};
use super::parcel::{Parcel, Post};
use super::text::lines;
use crate::message::Message;
use crate::policy::hooks::HookKind;

impl Hook {
    /// What it would be sent for a message.
    ///
    /// # Errors
    /// Why nothing could be, in words.
    pub fn preview(&self, message: &Message, now: Timestamp) -> Result<String, String> {
        let body = match self.parcel(Files::Named, message, None, now, AHEAD)? {
            Parcel::Post(post) => self.show_post(&post),
            Parcel::Mail(mail) => {
                let text = self.templates().render(message).text;
                format!("to {}\n{}\n{text}\n(and the same as HTML)\n", self.place(), lines(&mail.headers().to_string()).trim_end())
            }
            Parcel::Run(run) => self.show_run(&run),
        };
        let (name, kind) = (self.name(), self.kind().word());
        Ok(format!("--- hook {name} ({kind}), {}: {}\n{body}", message.event.word(), message.key))
    }

    fn show_post(&self, post: &Post) -> String {
        let to = match self.kind() {
            // What stands behind the host may be a secret.
            HookKind::Slack(_) | HookKind::Teams(_) | HookKind::Webhook(_) => self.place(),
            _ => post.url.to_string(),
        };
        let mut all = vec![format!("POST {to}"), format!("content-type: {}", post.content_type)];
        for (name, value) in &post.headers {
            let value = if value.is_sensitive() { "(secret)" } else { value.to_str().unwrap_or("(bytes)") };
            all.push(format!("{name}: {value}"));
        }
        let (headers, secret) = match self.kind() {
            HookKind::Webhook(hook) => (&hook.headers_file, &hook.secret_file),
            HookKind::Alertmanager(hook) => (&hook.headers_file, &None),
            _ => (&None, &None),
        };
        all.extend(headers.iter().map(|path| format!("(and the headers in {})", path.display())));
        all.extend(secret.iter().map(|path| format!("(and webhook-id, -timestamp, -signature, by the secrets in {})", path.display())));
        format!("{}\n\n{}\n", all.join("\n"), pretty(&post.body))
    }

    fn show_run(&self, run: &Run) -> String {
        let HookKind::Exec(exec) = self.kind() else { return String::new() };
        let environment: Vec<String> = run.environment.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        format!("run {:?}\n{}\n\n{}\n", exec.command, environment.join("\n"), pretty(&run.input))
    }
}

fn pretty(body: &[u8]) -> String {
    let body = serde_json::from_slice::<Value>(body).ok();
    body.and_then(|body| serde_json::to_string_pretty(&body).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hooks::example;
    use crate::hooks::template::Templates;
    use crate::policy::HookConfig;

    #[test]
    fn every_kind_is_shown_without_its_secrets_and_without_its_files() {
        for (kind, says) in [
            ("webhook: {url: 'https://h/secret', secretFile: /none/s, headersFile: /none/h}", "(and the headers in /none/h)"),
            ("alertmanager: {url: 'http://am:9093'}", "POST http://am:9093/api/v2/alerts\n"),
            ("slack: {urlFile: /none/url}", "POST the URL in /none/url\n"),
            ("teams: {urlFile: /none/url}", "AdaptiveCard"),
            ("pagerduty: {routingKeyFile: /none/key}", "\"routing_key\": \"(routingKeyFile /none/key)\""),
            ("opsgenie: {apiKeyFile: /none/key}", "authorization: (secret)\n"),
            (
                "email: {smtp: 'smtp://mail.example.org', from: n@example.org, to: [ops@example.org]}",
                "to smtp://mail.example.org:587\nFrom: n@example.org\n",
            ),
            (
                "exec: {command: [/usr/local/bin/page, --urgent]}",
                "run [\"/usr/local/bin/page\", \"--urgent\"]\nNODEWHY_KEY=\"example-fleet/1\"\n",
            ),
        ] {
            let config: HookConfig = serde_saphyr::from_str(&format!("{{name: x, {kind}}}")).expect(kind);
            let hook = Hook::new(&config, Templates::default());
            let shown = hook.preview(&example::fleet(Timestamp::UNIX_EPOCH), Timestamp::UNIX_EPOCH).expect(kind);
            assert!(shown.contains(says) && !shown.contains("/secret"), "{kind}: {shown}");
            // A mail's subject is folded.
            assert!(shown.replace("\n ", " ").contains("unreachable from 498 of 500 nodes"), "{kind}: {shown}");
        }
    }
}
