//! What the stand-in says of incidents, silences, hooks and messages.

use nodewhy_proto::v1::alert_service_server::AlertService;
use nodewhy_proto::v1::*;
use tonic::{Request, Response, Status};

use super::{Answer, Fake, at, swap};

/// One of a rack with more nodes than are named, one alone that is over, one that waits for the first; newest first.
fn incidents() -> Vec<Incident> {
    let told = |hook: &str, event: &str, number| Told {
        hook: hook.into(),
        event: event.into(),
        at: at("2026-11-22T00:55:00Z"),
        number,
        delivery: if hook == "pager" { "waiting" } else { "taken" }.into(),
    };
    let rack = Incident {
        id: "inc-3".into(),
        kind: "label".into(),
        title: "Swap is on on 60 of 60 nodes with rack=r7\u{1b}[2J".into(),
        severity: Severity::Critical.into(),
        opened_at: at("2026-11-22T00:54:50Z"),
        flapping: true,
        nodes: (1..=60).map(|n| format!("worker-{n}")).collect(),
        shared_name: "rack".into(),
        shared_value: "r7".into(),
        node: "worker-1".into(),
        cause: Some(swap()),
        told: vec![told("chat", "updated", 3), told("pager", "opened", 1)],
        ..Incident::default()
    };
    let held = Incident {
        id: "inc-2".into(),
        kind: "node".into(),
        title: "other-1: Title of swap-enabled".into(),
        flapping: false,
        nodes: vec!["other-1".into()],
        node: "other-1".into(),
        held_by: "inc-3".into(),
        quiet: "in maintenance: kernel\u{1b}[2J".into(),
        shared_name: String::new(),
        told: Vec::new(),
        ..rack.clone()
    };
    let over = Incident {
        id: "inc-1".into(),
        severity: Severity::Warning.into(),
        closed_at: at("2026-11-22T01:10:00Z"),
        ended_by: "absent: swap.devices.size() == 0".into(),
        held_by: String::new(),
        quiet: String::new(),
        told: vec![told("pager", "resolved", 2)],
        ..held.clone()
    };
    vec![rack, held, over]
}

fn silence() -> Silence {
    Silence {
        id: "sil-0a1b2c3d".into(),
        matchers: vec!["node=edge-*".into(), "label.zone=eu-1a,eu-1b".into()],
        comment: "cable works".into(),
        created_by: "alice".into(),
        starts_at: at("2026-11-22T00:00:00Z"),
        ends_at: at("2126-11-22T00:00:00Z"),
    }
}

#[tonic::async_trait]
impl AlertService for Fake {
    async fn list_incidents(&self, request: Request<ListIncidentsRequest>) -> Answer<ListIncidentsResponse> {
        let request = request.into_inner();
        let mut found: Vec<_> = incidents().into_iter().filter(|one| !(request.open_only && one.closed_at.is_some())).collect();
        // One a page, whatever was asked for: a server may give fewer.
        let from: usize = request.page_token.parse().unwrap_or(0);
        let next_page_token = if from + 1 < found.len() { (from + 1).to_string() } else { String::new() };
        Ok(Response::new(ListIncidentsResponse { incidents: found.drain(from..=from).collect(), next_page_token }))
    }

    async fn get_incident(&self, request: Request<GetIncidentRequest>) -> Answer<GetIncidentResponse> {
        let id = request.into_inner().id;
        let incident = incidents().into_iter().find(|one| one.id == id);
        let none = || Status::not_found(format!("there is no incident {id}: see `kubectl nodewhy incidents`"));
        Ok(Response::new(GetIncidentResponse { incident: Some(incident.ok_or_else(none)?) }))
    }

    /// Says what it understood.
    async fn add_silence(&self, request: Request<AddSilenceRequest>) -> Answer<AddSilenceResponse> {
        let said = request.into_inner().silence.expect("there");
        if said.matchers.iter().any(|matcher| matcher.starts_with("zone=")) {
            return Err(Status::invalid_argument("silence: there is no key `zone`"));
        }
        let defaults = silence();
        let ends_at = said.ends_at.or_else(|| at("2026-11-22T02:00:00Z"));
        Ok(Response::new(AddSilenceResponse { silence: Some(Silence { id: defaults.id, starts_at: defaults.starts_at, ends_at, ..said }) }))
    }

    async fn list_silences(&self, request: Request<ListSilencesRequest>) -> Answer<ListSilencesResponse> {
        let over = Silence { id: "sil-1".into(), ends_at: at("2026-11-22T01:00:00Z"), ..silence() };
        let silences = if request.into_inner().all { vec![silence(), over] } else { vec![silence()] };
        Ok(Response::new(ListSilencesResponse { silences: if self.well { Vec::new() } else { silences } }))
    }

    async fn expire_silence(&self, request: Request<ExpireSilenceRequest>) -> Answer<ExpireSilenceResponse> {
        if request.into_inner().id != silence().id {
            return Err(Status::not_found("there is no silence sil-9: see `kubectl nodewhy silence list`"));
        }
        Ok(Response::new(ExpireSilenceResponse {
            silence: Some(Silence { ends_at: at("2026-11-22T01:00:00Z"), ..silence() }),
            was_over: false,
        }))
    }

    async fn list_hooks(&self, _request: Request<ListHooksRequest>) -> Answer<ListHooksResponse> {
        let chat = Hook { name: "chat".into(), kind: "slack".into(), delivered: 7, ..Hook::default() };
        let pager = Hook {
            name: "pager".into(),
            kind: "pagerduty".into(),
            waiting: 2,
            oldest_waiting: at("2026-11-22T00:55:00Z"),
            dead: 1,
            failing_since: at("2026-11-22T00:56:00Z"),
            last_error: "connection refused\u{1b}[2J".into(),
            ..Hook::default()
        };
        let hooks = if self.well { vec![chat] } else { vec![chat, pager] };
        let policy_problems = if self.well { Vec::new() } else { vec!["alerts.yaml:3:5: there is no key `rutes`".into()] };
        Ok(Response::new(ListHooksResponse { hooks, policy_problems, policy_since: at("2026-11-22T00:00:00Z") }))
    }

    async fn list_messages(&self, request: Request<ListMessagesRequest>) -> Answer<ListMessagesResponse> {
        let request = request.into_inner();
        let message = |hook: &str, key: &str| QueuedMessage {
            hook: hook.into(),
            key: key.into(),
            event: "opened".into(),
            title: "worker-1: Title of swap-enabled".into(),
            made_at: at("2026-11-22T00:55:00Z"),
            attempts: 4,
            last_error: "503 Service Unavailable".into(),
            dead_at: if request.dead { at("2026-11-23T00:55:00Z") } else { None },
        };
        let all = [message("pager", "inc-3/1"), message("chat", "inc-3/3")];
        let messages = all.into_iter().filter(|message| request.hook.is_empty() || message.hook == request.hook);
        let messages = messages.take(request.page_size as usize).collect();
        Ok(Response::new(ListMessagesResponse { messages: if self.well { Vec::new() } else { messages } }))
    }

    async fn resend_messages(&self, request: Request<ResendMessagesRequest>) -> Answer<ResendMessagesResponse> {
        let ResendMessagesRequest { key, hook } = request.into_inner();
        let resent = match (&*key, &*hook) {
            _ if self.well => 0,
            ("", "") => 2,
            ("inc-3/1", "" | "pager") | ("", "pager") => 1,
            _ => 0,
        };
        // Of one an incident is over, of another it is open again.
        let (over, open_again) = (u64::from(key == "inc-4/1"), u64::from(key == "inc-4/2"));
        Ok(Response::new(ResendMessagesResponse { resent, over, open_again }))
    }
}
