//! The kubelet's own /healthz and the state of its process.

use std::time::Duration;

use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};

use super::support::{all_missing, failed, needs, no_kubelet, not_applicable};
use super::{Check, Look, Looking, Stage};
use crate::host::net::{self, HttpError};

const REPORTS: &[&str] = &["kubelet.healthz", "kubelet.process"];

/// The check.
pub(super) const CHECK: Check = Check {
    name: "kubelet-healthz",
    about: "whether the kubelet answers on its health port, and whether its process is stopped",
    stage: Stage::Look,
    period: Duration::from_secs(5),
    deadline: Duration::from_secs(3),
    reports: REPORTS,
    look,
};

fn look(look: Look) -> Looking {
    Box::pin(async move {
        if let Some(why) = no_kubelet(&look) {
            return all_missing(REPORTS, look.began_at, &why);
        }
        let mut facts = Facts::new();
        facts.put(fact::KUBELET_PROCESS_STATE, look.began_at, process_state(&look));
        match endpoint(&look) {
            Ok((address, port)) => ask(&look, &address, port, &mut facts).await,
            Err(why) => facts.miss_under("kubelet.healthz", look.began_at, &why),
        }
        facts
    })
}

/// /proc is read in place: it never waits for a disk.
fn process_state(look: &Look) -> Result<String, Missing> {
    let pid = needs(look, fact::KUBELET_UNIT_MAIN_PID)?;
    if pid == 0 {
        return Err(not_applicable("no kubelet process runs"));
    }
    match look.host.process_state(pid) {
        Ok(Some(letter)) => Ok(letter.to_string()),
        Ok(None) => Err(failed(format!("/proc/{pid}/stat is not in the form of proc(5)"))),
        Err(error) if error.is_absence() => Err(not_applicable(format!("process {pid} has ended"))),
        Err(error) => Err(error.into()),
    }
}

fn endpoint(look: &Look) -> Result<(String, u16), Missing> {
    let port = needs(look, fact::KUBELET_CONFIG_HEALTHZ_PORT)?;
    if port == 0 {
        return Err(not_applicable("the kubelet serves no /healthz: healthzPort is 0"));
    }
    let port = u16::try_from(port).map_err(|_| failed(format!("healthzPort {port} is not a port")))?;
    Ok((needs(look, fact::KUBELET_CONFIG_HEALTHZ_ADDRESS)?, port))
}

async fn ask(look: &Look, address: &str, port: u16, facts: &mut Facts) {
    // Less than the deadline, so that a kubelet that hangs is told from a look that does.
    let patience = look.deadline.mul_f32(0.8).min(Duration::from_secs(2));
    let (state, words) = match net::http_get(address, port, "/healthz", patience).await {
        Ok(answer) if answer.status == 200 => ("ok", None),
        Ok(answer) => ("unhealthy", Some(format!("HTTP {}: {}", answer.status, answer.body.lines().next().unwrap_or_default()))),
        Err(HttpError::Connect(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => ("refused", None),
        Err(HttpError::NoAnswer { .. }) => ("timeout", None),
        Err(error) => ("error", Some(error.sentence())),
    };
    facts.set(fact::KUBELET_HEALTHZ_STATE, look.began_at, state.to_owned());
    let body = words.ok_or_else(|| not_applicable(format!("/healthz is {state}")));
    facts.put(fact::KUBELET_HEALTHZ_BODY, look.began_at, body);
}

#[cfg(test)]
mod tests {
    use nodewhy_diagnosis::MissingKind;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::checks::testing::Node;

    fn node(port: u16) -> Node {
        Node::new()
            .known(fact::NODE_IS_KUBERNETES, true)
            .known(fact::KUBELET_CONFIG_HEALTHZ_PORT, i64::from(port))
            .known(fact::KUBELET_CONFIG_HEALTHZ_ADDRESS, "127.0.0.1".to_owned())
            .known(fact::KUBELET_UNIT_MAIN_PID, 0)
    }

    async fn state_with(answer: &'static [u8]) -> (String, Option<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = node(listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 512];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /healthz HTTP/1.1\r\n"));
            stream.write_all(answer).await.unwrap();
        });
        let facts = node.look_async(&CHECK).await;
        (facts.known(fact::KUBELET_HEALTHZ_STATE).unwrap(), facts.known(fact::KUBELET_HEALTHZ_BODY))
    }

    #[tokio::test]
    async fn a_healthy_kubelet_answers_ok() {
        assert_eq!(state_with(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await, ("ok".into(), None));
    }

    #[tokio::test]
    async fn an_unhealthy_kubelet_is_quoted() {
        let answer = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 26\r\n\r\n[-]syncloop failed\nsecond\n";
        assert_eq!(state_with(answer).await, ("unhealthy".into(), Some("HTTP 500: [-]syncloop failed".into())));
    }

    #[tokio::test]
    async fn garbage_is_an_error_and_no_health() {
        assert_eq!(state_with(b"\xff\xfe\x00 SSH-2.0\r\n\r\n").await.0, "error");
    }

    #[tokio::test]
    async fn a_hung_kubelet_times_out_before_the_deadline() {
        // Accepted by the kernel's backlog and never answered, as with a stopped process.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = node(listener.local_addr().unwrap().port()).deadline(Duration::from_millis(300));
        let began = std::time::Instant::now();
        let facts = node.look_async(&CHECK).await;
        assert_eq!(facts.known(fact::KUBELET_HEALTHZ_STATE).unwrap(), "timeout");
        assert!(began.elapsed() < Duration::from_millis(300));
    }

    #[tokio::test]
    async fn nobody_listening_is_refused() {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let facts = node(port).look_async(&CHECK).await;
        assert_eq!(facts.known(fact::KUBELET_HEALTHZ_STATE).unwrap(), "refused");
    }

    #[test]
    fn a_port_of_zero_and_a_host_without_kubelet_have_nothing_to_ask() {
        let off = node(0).look(&CHECK);
        assert_eq!(off.value("kubelet.healthz.state").unwrap_err().kind, MissingKind::NotApplicable);
        let none = Node::new().known(fact::NODE_IS_KUBERNETES, false).look(&CHECK);
        assert_eq!(none.value("kubelet.healthz.state").unwrap_err().kind, MissingKind::NotApplicable);
        assert_eq!(none.value("kubelet.process.state").unwrap_err().kind, MissingKind::NotApplicable);
    }

    #[test]
    fn an_unknown_port_is_not_guessed() {
        let facts = Node::new().known(fact::NODE_IS_KUBERNETES, true).look(&CHECK);
        assert_eq!(facts.value("kubelet.healthz.state").unwrap_err().kind, MissingKind::NotYet);
    }

    #[test]
    fn a_stopped_process_is_told_by_its_letter() {
        let node = node(0).known(fact::KUBELET_UNIT_MAIN_PID, 42).file("/proc/42/stat", "42 (kubelet) T 1 42 42\n");
        assert_eq!(node.look(&CHECK).known(fact::KUBELET_PROCESS_STATE).unwrap(), "T");
        let gone = Node::new().known(fact::NODE_IS_KUBERNETES, true).known(fact::KUBELET_UNIT_MAIN_PID, 42).look(&CHECK);
        assert_eq!(gone.value("kubelet.process.state").unwrap_err().kind, MissingKind::NotApplicable);
    }
}
