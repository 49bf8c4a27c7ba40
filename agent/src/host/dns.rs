//! Names as the kubelet resolves them: /etc/hosts, then the name servers of /etc/resolv.conf (Go's own resolver; the kubelet is built
//! without libc's). Asked directly, so that "no such name", "the server answers with an error" and "no server answers" are three things,
//! and so that a dead name server costs no thread.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::Host;
use super::files::{ReadError, os_words};

/// glibc and Go ask no more servers than this.
const SERVER_LIMIT: usize = 3;
/// The longest wait for one server.
const PER_SERVER: Duration = Duration::from_secs(1);
/// No answer over UDP without EDNS is longer.
const MESSAGE_LIMIT: usize = 512;
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;

/// How a name did not resolve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// A server says that there is no such name, or that it has no address.
    NotFound,
    /// A server answers with an error, or cannot be reached.
    Failure,
    /// No server answered in time.
    Timeout,
}

/// A name that did not resolve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct NameError {
    /// In which way.
    pub how: How,
    /// What each server said.
    pub words: String,
}

/// /etc/resolv.conf, as far as it matters (resolv.conf(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvConf {
    /// nameserver lines.
    pub servers: Vec<String>,
    search: Vec<String>,
    ndots: usize,
}

impl Host {
    /// /etc/resolv.conf.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn resolv_conf(&self) -> Result<ResolvConf, ReadError> {
        Ok(parse_resolv_conf(&self.read_text("/etc/resolv.conf")?))
    }

    /// The addresses of a host name.
    ///
    /// # Errors
    /// How and why it does not resolve.
    pub async fn lookup(&self, name: &str, patience: Duration) -> Result<Vec<IpAddr>, NameError> {
        let until = Instant::now() + patience;
        let found = self.read_text("/etc/hosts").map(|hosts| in_hosts(&hosts, name)).unwrap_or_default();
        if !found.is_empty() {
            return Ok(found);
        }
        let conf = match self.resolv_conf() {
            Ok(conf) => conf,
            // resolv.conf(5): without the file the server on this machine is asked.
            Err(error) if error.is_absence() => parse_resolv_conf(""),
            Err(error) => return Err(NameError { how: How::Failure, words: error.sentence() }),
        };
        match ask_all(&conf, name, until).await {
            Ok(addresses) => Ok(addresses),
            Err(error) => self.second_opinion(name, until).await.ok_or(error),
        }
    }

    /// libc knows sources that are asked nowhere above (myhostname, mdns, LDAP): a name that it resolves does resolve. Only on the agent's
    /// own root, as it reads the agent's files, and only one call at a time, as it may take long to give up.
    async fn second_opinion(&self, name: &str, until: Instant) -> Option<Vec<IpAddr>> {
        static ONE_AT_A_TIME: Semaphore = Semaphore::const_new(1);
        if self.root() != Path::new("/") {
            return None;
        }
        let permit = ONE_AT_A_TIME.try_acquire().ok()?;
        let name = name.to_owned();
        let asking = tokio::task::spawn_blocking(move || {
            let found = std::net::ToSocketAddrs::to_socket_addrs(&(name.as_str(), 0))
                .map(|all| all.map(|address| address.ip()).collect::<Vec<_>>());
            drop(permit);
            found
        });
        let found = timeout_at(until, asking).await.ok()?.ok()?.ok()?;
        (!found.is_empty()).then_some(found)
    }
}

fn parse_resolv_conf(text: &str) -> ResolvConf {
    let mut conf = ResolvConf { servers: Vec::new(), search: Vec::new(), ndots: 1 };
    for line in text.lines().filter(|line| !line.starts_with(['#', ';'])) {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => conf.servers.extend(words.next().map(str::to_owned)),
            Some("search" | "domain") => conf.search = words.map(|domain| domain.trim_end_matches('.').to_owned()).collect(),
            Some("options") => {
                let ndots = words.find_map(|option| option.strip_prefix("ndots:")?.parse::<usize>().ok());
                conf.ndots = ndots.map_or(conf.ndots, |ndots| ndots.min(15));
            }
            _ => {}
        }
    }
    conf
}

/// `address name alias...`
fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    let wanted = name.trim_end_matches('.');
    let mut found = Vec::new();
    for line in hosts.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse().ok()) else { continue };
        if words.any(|word| word.trim_end_matches('.').eq_ignore_ascii_case(wanted)) {
            found.push(address);
        }
    }
    found
}

/// The names to ask for, in order: with enough dots the name itself comes first, else the search domains do.
fn candidates(conf: &ResolvConf, name: &str) -> Vec<String> {
    if let Some(rooted) = name.strip_suffix('.') {
        return vec![rooted.to_owned()];
    }
    let searched = conf.search.iter().filter(|domain| !domain.is_empty()).map(|domain| format!("{name}.{domain}"));
    if name.matches('.').count() >= conf.ndots {
        std::iter::once(name.to_owned()).chain(searched).collect()
    } else {
        searched.chain(std::iter::once(name.to_owned())).collect()
    }
}

async fn ask_all(conf: &ResolvConf, name: &str, until: Instant) -> Result<Vec<IpAddr>, NameError> {
    let mut worst: Option<NameError> = None;
    for candidate in candidates(conf, name) {
        match ask_servers(conf, &candidate, until).await {
            Ok(addresses) => return Ok(addresses),
            // The first name is the one that matters to people; a search domain's timeout would hide its "no such host".
            Err(error) => {
                worst.get_or_insert(error);
            }
        }
        if Instant::now() >= until {
            break;
        }
    }
    Err(worst.unwrap_or(NameError { how: How::Timeout, words: "no time was left to ask".to_owned() }))
}

async fn ask_servers(conf: &ResolvConf, name: &str, until: Instant) -> Result<Vec<IpAddr>, NameError> {
    let local = ["127.0.0.1".to_owned()];
    let servers = if conf.servers.is_empty() { &local[..] } else { &conf.servers };
    let servers = &servers[..servers.len().min(SERVER_LIMIT)];
    let mut errors: Vec<NameError> = Vec::new();
    for (asked, server) in servers.iter().enumerate() {
        let left = until.saturating_duration_since(Instant::now());
        let share = (left / u32::try_from(servers.len() - asked).unwrap_or(1)).min(PER_SERVER);
        match ask(server, name, Instant::now() + share).await {
            Ok(addresses) => return Ok(addresses),
            Err(error) => {
                let sure = error.how == How::NotFound;
                errors.push(error);
                // Resolvers go on to the next server after an error or silence, not after an answer.
                if sure {
                    break;
                }
            }
        }
    }
    let how = errors.iter().map(|error| error.how).min().unwrap_or(How::Timeout);
    let words = errors.into_iter().map(|error| error.words).collect::<Vec<_>>().join("; ");
    Err(NameError { how, words })
}

async fn ask(server: &str, name: &str, until: Instant) -> Result<Vec<IpAddr>, NameError> {
    let words = |words: &dyn fmt::Display| format!("lookup {name} on {server}: {words}");
    match timeout_at(until, exchange(server, name)).await {
        Err(_) => Err(NameError { how: How::Timeout, words: words(&"no answer") }),
        Ok(Err(error)) => Err(NameError { how: How::Failure, words: words(&os_words(&error)) }),
        Ok(Ok(answers)) => {
            let mut addresses = Vec::new();
            let mut failure = None;
            for answer in answers {
                match answer {
                    Ok(found) => addresses.extend(found),
                    Err(code) => failure = Some(code),
                }
            }
            match failure {
                _ if !addresses.is_empty() => Ok(addresses),
                Some(code) => Err(NameError { how: code.how(), words: words(&code) }),
                None => Err(NameError { how: How::NotFound, words: words(&"the name has no address") }),
            }
        }
    }
}

/// An answer code other than success (RFC 1035, 4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Code(u8);

impl Code {
    fn how(self) -> How {
        if self.0 == 3 { How::NotFound } else { How::Failure }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("the server calls the question malformed (FORMERR)"),
            2 => f.write_str("the server failed (SERVFAIL)"),
            3 => f.write_str("no such host (NXDOMAIN)"),
            5 => f.write_str("the server refuses to answer (REFUSED)"),
            other => write!(f, "the server answers with code {other}"),
        }
    }
}

type Answer = Result<Vec<IpAddr>, Code>;

/// Asks for both kinds of address at once and waits for both answers.
async fn exchange(server: &str, name: &str) -> std::io::Result<[Answer; 2]> {
    let address: IpAddr = server.split('%').next().unwrap_or(server).parse().map_err(|_| std::io::Error::other("not an address"))?;
    exchange_with(SocketAddr::new(address, 53), name).await
}

async fn exchange_with(server: SocketAddr, name: &str) -> std::io::Result<[Answer; 2]> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    let id: u16 = rand::random();
    let kinds = [(id, TYPE_A), (id.wrapping_add(1), TYPE_AAAA)];
    for (id, kind) in kinds {
        let question = question(id, name, kind).ok_or_else(|| std::io::Error::other("not a name that DNS can carry"))?;
        socket.send(&question).await?;
    }
    let mut answers: [Option<Answer>; 2] = [None, None];
    let mut message = [0; MESSAGE_LIMIT];
    loop {
        if let [Some(a), Some(aaaa)] = answers {
            return Ok([a, aaaa]);
        }
        let length = socket.recv(&mut message).await?;
        // What is no answer to one of the two questions is somebody else's noise.
        for (slot, (id, _)) in answers.iter_mut().zip(kinds) {
            if let Some(answer) = parse_answer(&message[..length], id) {
                slot.get_or_insert(answer);
            }
        }
    }
}

fn question(id: u16, name: &str, kind: u16) -> Option<Vec<u8>> {
    let mut message = Vec::with_capacity(64);
    message.extend_from_slice(&id.to_be_bytes());
    // Recursion desired; one question.
    message.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        message.push(length);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    (name.len() <= 253).then_some(message)
}

fn parse_answer(message: &[u8], id: u16) -> Option<Answer> {
    let word = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let is_response = message.get(2)? & 0x80 != 0;
    if word(0)? != id || !is_response {
        return None;
    }
    let code = message.get(3)? & 0x0f;
    if code != 0 {
        return Some(Err(Code(code)));
    }
    let (questions, records) = (word(4)?, word(6)?);
    let mut at = 12;
    for _ in 0..questions {
        at = after_name(message, at)? + 4;
    }
    let mut found = Vec::new();
    for _ in 0..records {
        let Some(start) = after_name(message, at) else { break };
        let (Some(kind), Some(length)) = (word(start), word(start + 8)) else { break };
        let data = start + 10;
        at = data + usize::from(length);
        let Some(bytes) = message.get(data..at) else { break };
        match kind {
            TYPE_A => found.extend(<[u8; 4]>::try_from(bytes).ok().map(IpAddr::from)),
            TYPE_AAAA => found.extend(<[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)),
            _ => {}
        }
    }
    Some(Ok(found))
}

/// Where the thing after a name begins: labels up to an empty one or to a pointer, which is never followed.
fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = *message.get(at)?;
        match length {
            0 => return Some(at + 1),
            0xc0.. => return Some(at + 2),
            1..=63 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

/// For the fuzzer: an answer, and the files that say whom to ask.
#[doc(hidden)]
pub fn fuzz_answer(bytes: &[u8]) {
    if let Some(id) = bytes.first_chunk::<2>() {
        let _ = parse_answer(bytes, u16::from_be_bytes(*id));
    }
    let text = String::from_utf8_lossy(bytes);
    let conf = parse_resolv_conf(&text);
    let _ = (in_hosts(&text, "api.example.org"), candidates(&conf, "api"));
    if let Some(question) = question(7, &text, TYPE_A) {
        assert!(question.len() <= 12 + 255 + 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name server that answers every question with this code and these addresses.
    async fn server(code: u8, addresses: &'static [[u8; 4]]) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut question = [0; 512];
            while let Ok((length, peer)) = socket.recv_from(&mut question).await {
                let is_a = question[length - 3] == 1;
                let mut answer = question[..length].to_vec();
                answer[2] = 0x81;
                answer[3] = 0x80 | code;
                let addresses = if is_a { addresses } else { &[] };
                answer[7] = u8::try_from(addresses.len()).unwrap();
                for address in addresses {
                    answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
                    answer.extend_from_slice(address);
                }
                socket.send_to(b"noise", peer).await.unwrap();
                socket.send_to(&answer, peer).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn addresses_and_codes_come_from_the_server() {
        let found = exchange_with(server(0, &[[192, 0, 2, 7], [192, 0, 2, 8]]).await, "api.example.com").await.unwrap();
        assert_eq!(found, [Ok(vec!["192.0.2.7".parse().unwrap(), "192.0.2.8".parse().unwrap()]), Ok(vec![])]);
        let none = exchange_with(server(3, &[]).await, "api.example.com").await.unwrap();
        assert_eq!(none, [Err(Code(3)), Err(Code(3))]);
        assert_eq!((Code(3).how(), Code(2).how(), Code(5).how()), (How::NotFound, How::Failure, How::Failure));
    }

    #[tokio::test]
    async fn a_name_in_the_hosts_file_is_asked_of_nobody() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::fs::write(root.path().join("etc/hosts"), "# x\n192.0.2.1 other\n192.0.2.9\tAPI.example.com api # comment api2\n").unwrap();
        let host = Host::new(root.path());
        assert_eq!(host.lookup("api.example.com", Duration::from_secs(1)).await.unwrap(), ["192.0.2.9".parse::<IpAddr>().unwrap()]);
        // Without a resolv.conf the local server would be asked, where nobody answers on this machine or says no.
        assert!(host.lookup("api2", Duration::from_millis(50)).await.is_err());
    }

    #[tokio::test]
    async fn silence_is_a_timeout() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let asking = exchange_with(silent.local_addr().unwrap(), "x");
        assert!(tokio::time::timeout(Duration::from_millis(30), asking).await.is_err());
    }

    #[tokio::test]
    async fn this_machine_knows_itself() {
        assert!(!Host::new("/").lookup("localhost", Duration::from_secs(5)).await.unwrap().is_empty());
    }

    #[test]
    fn resolv_conf_says_servers_and_search() {
        let conf = parse_resolv_conf(
            "; x\nnameserver 192.0.2.53\nnameserver 2001:db8::1%eth0\nsearch a.example. b.example\noptions timeout:1 ndots:2\n",
        );
        assert_eq!(conf.servers, ["192.0.2.53", "2001:db8::1%eth0"]);
        assert_eq!(candidates(&conf, "api.x"), ["api.x.a.example", "api.x.b.example", "api.x"]);
        assert_eq!(candidates(&conf, "api.x.y"), ["api.x.y", "api.x.y.a.example", "api.x.y.b.example"]);
        assert_eq!(candidates(&conf, "api."), ["api"]);
    }

    #[test]
    fn hostile_answers_end_quietly() {
        let question = question(7, "a.b", TYPE_A).unwrap();
        let mut answer = question.clone();
        (answer[2], answer[7]) = (0x80, 255);
        assert_eq!(parse_answer(&answer, 7), Some(Ok(vec![])));
        assert_eq!(parse_answer(&answer, 8), None, "another question's answer");
        assert_eq!(parse_answer(&question, 7), None, "a question is no answer");
        for end in 0..answer.len() {
            parse_answer(&answer[..end], 7);
        }
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 1]);
        assert_eq!(parse_answer(&answer, 7), Some(Ok(vec![])));
        assert_eq!(parse_answer(&[0, 7, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0x50], 7), None);
    }

    #[test]
    fn names_that_dns_cannot_carry_are_refused() {
        for name in ["", "a..b", &"x".repeat(64), &"x.".repeat(130)] {
            assert_eq!(question(1, name, TYPE_A), None, "{name}");
        }
    }
}
