use super::*;

fn read(text: &str) -> Result<Vec<HookConfig>, String> {
    serde_saphyr::from_str(text).map_err(|error| {
        let line = error.location().map_or(0, |at| at.line());
        format!("{line}: {}", error.without_snippet())
    })
}

#[test]
fn every_kind_is_read_as_the_manual_writes_it() {
    let all = read(
        "
- {name: ops, webhook: {url: 'https://h/x', secretFile: /s, format: cloudevents, headersFile: /h, caFile: /ca}}
- {name: am, alertmanager: {url: 'http://127.0.0.1:9093'}}
- {name: chat, slack: {urlFile: /slack.url}}
- {name: teams, teams: {urlFile: /teams.url}}
- {name: pager, pagerduty: {routingKeyFile: /key, url: 'https://events.pagerduty.com/v2/enqueue'}}
- {name: genie, opsgenie: {apiKeyFile: /key, responders: [{team: ops}, {user: a@example.org}]}}
- {name: mail, email: {smtp: 'smtp://mail.example.org', from: nodewhy@example.org, to: ['Ops <ops@example.org>'], usernameFile: /u, passwordFile: /p}}
- {name: script, exec: {command: [/usr/local/bin/page, --urgent], timeout: 20s}}
",
    )
    .expect("good");
    let words: Vec<&str> = all.iter().map(|hook| hook.kind.word()).collect();
    assert_eq!(words, ["webhook", "alertmanager", "slack", "teams", "pagerduty", "opsgenie", "email", "exec"]);
    let HookKind::Email(mail) = &all[6].kind else { panic!("a mail") };
    assert_eq!((mail.smtp.port, mail.smtp.security), (587, value::SmtpSecurity::StartTls));
    let HookKind::Exec(exec) = &all[7].kind else { panic!("a command") };
    assert_eq!(exec.timeout, Duration::from_secs(20));
    let HookKind::Opsgenie(genie) = &all[5].kind else { panic!("Opsgenie") };
    assert_eq!(genie.url.join("v2/alerts").as_str(), "https://api.opsgenie.com/v2/alerts");
}

#[test]
fn what_is_wrong_is_told_where_it_stands() {
    for (text, says) in [
        ("- {name: a}", "hook a: says not what it is"),
        ("- {name: a, slack: {urlFile: /u}, teams: {urlFile: /u}}", "is slack and teams"),
        ("- {name: 'a b', slack: {urlFile: /u}}", "1 to 63"),
        ("- {slack: {urlFile: /u}}", "name"),
        ("- {name: a, slak: {urlFile: /u}}", "slak"),
        ("- {name: a, slack: {url: 'https://hooks.slack.com/x'}}", "url"),
        ("- {name: a, slack: {urlFile: 'https://hooks.slack.com/x'}}", "a file that holds the URL: the URL is a secret"),
        ("- {name: a, webhook: {url: 'ftp://h'}}", "http:// or https://"),
        ("- {name: a, webhook: {url: 'https://me:pw@h/'}}", "headersFile"),
        ("- {name: a, webhook: {url: 'https://h', format: xml}}", "xml"),
        ("- {name: a, pagerduty: {routingKey: x}}", "routingKey"),
        ("- {name: a, opsgenie: {apiKeyFile: /k, responders: [{group: x}]}}", "group"),
        ("- {name: a, email: {smtp: 'http://h', from: a@b.c, to: [a@b.c]}}", "smtp://HOST"),
        ("- {name: a, email: {smtp: 'smtp://h', from: nobody, to: [a@b.c]}}", "`nobody` is no mail address"),
        ("- {name: a, email: {smtp: 'smtp://h', from: a@b.c, to: []}}", "one receiver"),
        ("- {name: a, email: {smtp: 'smtp://h', from: a@b.c, to: [a@b.c], usernameFile: /u}}", "go together"),
        ("- {name: a, exec: {command: []}}", "PROGRAM"),
        ("- {name: a, exec: {command: [page]}}", "absolute path"),
        ("- {name: a, exec: {command: [/page], timeout: 1h}}", "1s to 10m"),
    ] {
        let error = read(&format!("\n\n{text}\n")).expect_err(text);
        assert!(error.starts_with("3: ") && error.contains(says), "{text}: {error}");
    }
}

#[test]
fn a_url_shows_no_more_than_its_host() {
    let url: HttpUrl = "https://hooks.slack.com/services/T0/B0/secret?sig=secret".parse().expect("a URL");
    assert_eq!(format!("{url} {url:?}"), "https://hooks.slack.com/... https://hooks.slack.com/...");
    let error = "htps://h/secret".parse::<HttpUrl>().expect_err("refused");
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn a_mail_server_is_spoken_to_in_plain_on_this_machine_alone() {
    for (text, port, security) in [
        ("smtp://mail.example.org", 587, value::SmtpSecurity::StartTls),
        ("smtp://127.0.0.1:2525", 2525, value::SmtpSecurity::Loopback),
        ("smtp://[::1]", 25, value::SmtpSecurity::Loopback),
        ("smtp://localhost", 25, value::SmtpSecurity::Loopback),
        ("smtps://10.0.0.1", 465, value::SmtpSecurity::Tls),
    ] {
        let server: SmtpServer = text.parse().expect(text);
        assert_eq!((server.port, server.security), (port, security), "{text}");
    }
    for text in ["smtp://me:pw@h", "smtp://h/x", "mail.example.org:587", "smtp://"] {
        text.parse::<SmtpServer>().expect_err(text);
    }
}

#[test]
fn the_addresses_of_the_services_are_urls() {
    assert_eq!(value::pagerduty().url().path(), "/v2/enqueue");
    assert_eq!(value::opsgenie().url().host_str(), Some("api.opsgenie.com"));
}
