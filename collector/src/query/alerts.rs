//! AlertService: incidents, silences, hooks and what waits for them.

use jiff::{SignedDuration, Timestamp};
use nodewhy_proto::v1 as pb;
use nodewhy_proto::v1::alert_service_server::AlertService;
use nodewhy_wire::{cause_to_wire, severity_to_wire, time_from_wire, time_to_wire};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::{Query, failed, size};
use crate::alerts::{Board, about_hook};
use crate::message::Message;
use crate::policy::{Loaded, Match, Silence, matching::word, parse_matchers};
use crate::server::Scope;
use crate::store::{Letter, Resent, StoredIncident, Undelivered, Which};

/// Incidents, or messages, on a page: if not said, and at most.
const PAGE: (u32, u32) = (100, 1000);
/// A silence without an end lasts so long.
const USUAL: SignedDuration = SignedDuration::from_hours(1);

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Alerts {
    /// Who may ask, and what is known.
    pub query: Query,
    /// The policy in force.
    pub policy: watch::Receiver<Loaded>,
    /// How the hooks are.
    pub board: Board,
}

impl Alerts {
    /// Who may ask about all nodes may ask here, and may silence.
    fn allow<T>(&self, request: &Request<T>) -> Result<(), Status> {
        match self.query.scope(request)? {
            Scope::All => Ok(()),
            Scope::Only(_) => Err(Status::permission_denied("this certificate is a node's own and may not ask about alerts")),
        }
    }

    async fn silence_of(&self, id: &str) -> Result<Silence, Status> {
        let all = self.query.store.silences(true, Timestamp::now()).await.map_err(failed)?;
        let found = all.into_iter().find(|silence| silence.id == id);
        found.ok_or_else(|| Status::not_found(format!("there is no silence {}: see `kubectl nodewhy silence list`", super::shown(id))))
    }
}

#[tonic::async_trait]
impl AlertService for Alerts {
    async fn list_incidents(&self, request: Request<pb::ListIncidentsRequest>) -> Result<Response<pb::ListIncidentsResponse>, Status> {
        self.allow(&request)?;
        let pb::ListIncidentsRequest { open_only, page_size, page_token } = request.into_inner();
        let size = size(page_size, PAGE);
        let before = if page_token.is_empty() { None } else { Some(page_token.parse().map_err(|_| super::bad_token())?) };
        let mut found = self.query.store.incidents(open_only, before, size + 1).await.map_err(failed)?;
        let more = found.len() > size as usize;
        found.truncate(size as usize);
        let next_page_token = found.last().filter(|_| more).map(|last| last.number.to_string()).unwrap_or_default();
        let undelivered = self.query.store.undelivered().await.map_err(failed)?;
        let incidents = found.into_iter().map(|one| incident(one, &undelivered)).collect();
        Ok(Response::new(pb::ListIncidentsResponse { incidents, next_page_token }))
    }

    async fn get_incident(&self, request: Request<pb::GetIncidentRequest>) -> Result<Response<pb::GetIncidentResponse>, Status> {
        self.allow(&request)?;
        let id = request.into_inner().id;
        let found = self.query.store.incident(id.clone()).await.map_err(failed)?;
        let found = found
            .ok_or_else(|| Status::not_found(format!("there is no incident {}: see `kubectl nodewhy incidents`", super::shown(&id))))?;
        let undelivered = self.query.store.undelivered().await.map_err(failed)?;
        Ok(Response::new(pb::GetIncidentResponse { incident: Some(incident(found, &undelivered)) }))
    }

    async fn add_silence(&self, request: Request<pb::AddSilenceRequest>) -> Result<Response<pb::AddSilenceResponse>, Status> {
        self.allow(&request)?;
        let wrong = |problem: String| Status::invalid_argument(format!("silence: {problem}"));
        let said = request.into_inner().silence.ok_or_else(|| wrong("it is missing".to_owned()))?;
        let now = Timestamp::now();
        let time = |at: Option<_>| at.map(time_from_wire).transpose().map_err(|error| wrong(error.to_string()));
        let starts_at = time(said.starts_at)?.unwrap_or(now);
        let ends_at = time(said.ends_at)?.unwrap_or_else(|| starts_at.checked_add(USUAL).unwrap_or(Timestamp::MAX));
        let matches = parse_matchers(&said.matchers).map_err(wrong)?;
        let id = format!("sil-{:08x}", rand::random::<u32>());
        let silence = Silence { id, matches, comment: said.comment, created_by: said.created_by, starts_at, ends_at };
        silence.validate().map_err(wrong)?;
        if silence.ends_at <= now {
            return Err(wrong(format!("it would be over already ({})", silence.ends_at)));
        }
        self.query.store.silence(silence.clone()).await.map_err(failed)?;
        tracing::info!(id = silence.id, by = silence.created_by, until = %silence.ends_at, "silenced: {}", matchers(&silence.matches).join(" "));
        Ok(Response::new(pb::AddSilenceResponse { silence: Some(silence_to_wire(silence)) }))
    }

    async fn list_silences(&self, request: Request<pb::ListSilencesRequest>) -> Result<Response<pb::ListSilencesResponse>, Status> {
        self.allow(&request)?;
        let silences = self.query.store.silences(request.into_inner().all, Timestamp::now()).await.map_err(failed)?;
        Ok(Response::new(pb::ListSilencesResponse { silences: silences.into_iter().map(silence_to_wire).collect() }))
    }

    async fn expire_silence(&self, request: Request<pb::ExpireSilenceRequest>) -> Result<Response<pb::ExpireSilenceResponse>, Status> {
        self.allow(&request)?;
        let mut silence = self.silence_of(&request.into_inner().id).await?;
        let now = Timestamp::now();
        let was_over = silence.ends_at <= now;
        if !was_over {
            silence.ends_at = now;
            silence.starts_at = silence.starts_at.min(now);
            self.query.store.silence(silence.clone()).await.map_err(failed)?;
            tracing::info!(id = silence.id, "the silence is ended");
        }
        Ok(Response::new(pb::ExpireSilenceResponse { silence: Some(silence_to_wire(silence)), was_over }))
    }

    async fn list_hooks(&self, request: Request<pb::ListHooksRequest>) -> Result<Response<pb::ListHooksResponse>, Status> {
        self.allow(&request)?;
        let loaded = self.policy.borrow().clone();
        let backlog = self.query.store.letter_backlog().await.map_err(failed)?;
        let states = self.board.states();
        let hooks = loaded.policy.hooks.iter().map(|hook| {
            let counts = states.iter().find(|state| *state.name == *hook.name).map(|state| state.counts()).unwrap_or_default();
            let waits = backlog.iter().find(|one| *one.hook == *hook.name);
            pb::Hook {
                name: hook.name.to_string(),
                kind: hook.kind.word().to_owned(),
                waiting: waits.map_or(0, |one| one.waiting),
                oldest_waiting: waits.and_then(|one| one.oldest).map(time_to_wire),
                dead: waits.map_or(0, |one| one.dead),
                delivered: counts.delivered,
                failing_since: counts.failing_since.map(time_to_wire),
                last_error: counts.last_error.filter(|_| counts.failing_since.is_some()).unwrap_or_default(),
            }
        });
        let problems = loaded.problem.iter().flat_map(|problems| problems.iter()).map(ToString::to_string);
        Ok(Response::new(pb::ListHooksResponse {
            hooks: hooks.collect(),
            policy_problems: problems.collect(),
            policy_since: Some(time_to_wire(loaded.since)),
        }))
    }

    async fn list_messages(&self, request: Request<pb::ListMessagesRequest>) -> Result<Response<pb::ListMessagesResponse>, Status> {
        self.allow(&request)?;
        let pb::ListMessagesRequest { hook, dead, page_size } = request.into_inner();
        let which = Which { hook: given(hook), key: None };
        let found = self.query.store.letters(which, dead, size(page_size, PAGE)).await.map_err(failed)?;
        let states = self.board.states();
        // One that was not tried, or found nobody, waits for the reason for which its hook takes nothing.
        let of_hook = |hook: &str| {
            let counts = states.iter().find(|state| *state.name == *hook)?.counts();
            counts.last_error.filter(|_| counts.failing_since.is_some())
        };
        let messages = found.into_iter().map(|letter| {
            let error = letter.error.clone().or_else(|| of_hook(&letter.hook));
            queued(Letter { error, ..letter })
        });
        Ok(Response::new(pb::ListMessagesResponse { messages: messages.collect() }))
    }

    async fn resend_messages(&self, request: Request<pb::ResendMessagesRequest>) -> Result<Response<pb::ResendMessagesResponse>, Status> {
        self.allow(&request)?;
        let pb::ResendMessagesRequest { key, hook } = request.into_inner();
        let which = Which { hook: given(hook), key: given(key) };
        if let Some(hook) = &which.hook {
            let backlog = self.query.store.letter_backlog().await.map_err(failed)?;
            if self.policy.borrow().policy.hook(hook).is_none() && backlog.iter().all(|one| one.hook != *hook) {
                return Err(Status::not_found(format!("there is no hook {}: see `kubectl nodewhy hooks`", super::shown(hook))));
            }
        }
        let Resent { resent, over, open_again } = self.query.store.resend_letters(which).await.map_err(failed)?;
        Ok(Response::new(pb::ResendMessagesResponse { resent: resent as u64, over: over as u64, open_again: open_again as u64 }))
    }
}

fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn incident(one: StoredIncident, undelivered: &[Undelivered]) -> pb::Incident {
    let StoredIncident { title, incident, closed_at, .. } = one;
    let nodes = if incident.members.is_empty() { incident.ever.iter().collect() } else { incident.nodes() };
    let nodes = nodes.into_iter().map(ToString::to_string).collect();
    // A hook that takes nothing is not told so.
    let about = about_hook(&incident).map(str::to_owned);
    let delivery = |hook: &str| {
        let of = || undelivered.iter().filter(|one| one.incident == incident.id && one.hook == hook);
        match (of().any(|one| !one.dead), of().next()) {
            (true, _) => "waiting",
            (false, Some(_)) => "dead",
            (false, None) => "taken",
        }
    };
    let told = incident.told.iter().filter(|(hook, _)| Some(&***hook) != about.as_deref()).map(|(hook, told)| pb::Told {
        hook: hook.to_string(),
        event: told.event.word().to_owned(),
        at: Some(time_to_wire(told.at)),
        number: told.number,
        delivery: delivery(hook).to_owned(),
    });
    let (shared_name, shared_value) = incident.shared.clone().map(|shared| (shared.name, shared.value)).unwrap_or_default();
    pb::Incident {
        kind: word(&incident.kind),
        title,
        severity: severity_to_wire(incident.worst),
        opened_at: Some(time_to_wire(incident.opened_at)),
        closed_at: closed_at.map(time_to_wire),
        ended_by: incident.ended.as_ref().filter(|_| closed_at.is_some()).map(|(_, reason)| reason.clone()).unwrap_or_default(),
        flapping: incident.flapping,
        nodes,
        shared_name,
        shared_value,
        told: told.collect(),
        node: incident.first.0.clone(),
        cause: Some(cause_to_wire(&incident.first.1)),
        held_by: incident.held_by.clone().unwrap_or_default(),
        merged_into: incident.merged_into.clone().unwrap_or_default(),
        quiet: incident.quiet.clone().unwrap_or_default(),
        id: incident.id,
    }
}

fn silence_to_wire(silence: Silence) -> pb::Silence {
    pb::Silence {
        matchers: matchers(&silence.matches),
        id: silence.id,
        comment: silence.comment,
        created_by: silence.created_by,
        starts_at: Some(time_to_wire(silence.starts_at)),
        ends_at: Some(time_to_wire(silence.ends_at)),
    }
}

/// As they were said.
fn matchers(matches: &Match) -> Vec<String> {
    fn of<T>(key: &str, values: &[T], text: impl Fn(&T) -> String) -> Option<String> {
        (!values.is_empty()).then(|| format!("{key}={}", values.iter().map(text).collect::<Vec<_>>().join(",")))
    }
    let labels = matches.labels.iter().filter_map(|(name, values)| of(&format!("label.{name}"), values, |glob| glob.as_str().to_owned()));
    [
        of("node", &matches.node, |glob| glob.as_str().to_owned()),
        of("cause", &matches.cause, |glob| glob.as_str().to_owned()),
        of("severity", &matches.severity, word),
        of("layer", &matches.layer, word),
        of("kind", &matches.kind, word),
    ]
    .into_iter()
    .flatten()
    .chain(labels)
    .collect()
}

fn queued(letter: Letter) -> pb::QueuedMessage {
    let message = serde_json::from_str::<Message>(&letter.message).ok();
    pb::QueuedMessage {
        hook: letter.hook,
        key: letter.key,
        event: message.as_ref().map(|message| message.event.word().to_owned()).unwrap_or_default(),
        title: message.map(|message| message.title).unwrap_or_default(),
        made_at: Some(time_to_wire(letter.created_at)),
        attempts: letter.attempts,
        last_error: letter.error.unwrap_or_default(),
        dead_at: letter.dead_at.map(time_to_wire),
    }
}
