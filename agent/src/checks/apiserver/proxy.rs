//! Which proxy the kubelet goes through: proxy-url of its kubeconfig (client-go 1.19 and later), else the rules of
//! golang.org/x/net/http/httpproxy, which net/http and so client-go follow, over the kubelet's environment.

use std::net::IpAddr;

use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Missing, MissingKind};

use crate::checks::Look;
use crate::checks::kubeconfig::Kubeconfig;
use crate::checks::support::{failed, needs};

/// An HTTP proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::checks) struct Proxy {
    pub(in crate::checks) host: String,
    pub(in crate::checks) port: u16,
}

impl std::fmt::Display for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}", crate::host::api::authority(&self.host, self.port))
    }
}

/// What lies between the kubelet and its API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    Direct,
    Through(Proxy),
    /// The kubelet's environment cannot be seen: a direct way that fails proves nothing.
    Unknown(Missing),
}

/// # Errors
/// There is a proxy that the agent cannot go through.
pub(super) fn way(look: &Look, config: &Kubeconfig) -> Result<Way, Missing> {
    if let Some(url) = &config.proxy {
        return through(url, config);
    }
    let url = match needs(look, fact::KUBELET_ENVIRONMENT_HTTPS_PROXY) {
        Ok(url) => url,
        Err(why) if matches!(why.kind, MissingKind::NotApplicable | MissingKind::NotYet) => return Ok(Way::Direct),
        Err(why) => return Ok(Way::Unknown(why)),
    };
    let except = look.known.known(fact::KUBELET_ENVIRONMENT_NO_PROXY).unwrap_or_default();
    if is_excepted(&except, &config.host, config.port) { Ok(Way::Direct) } else { through(&url, config) }
}

fn through(url: &str, config: &Kubeconfig) -> Result<Way, Missing> {
    let cannot = |why: &str| failed(format!("the kubelet reaches its API server through the proxy {}, {why}", without_user(url)));
    let proxy = parse(url).map_err(cannot)?;
    if config.tls_server_name.as_ref().is_some_and(|name| *name != config.host) {
        return Err(cannot("with a tls-server-name of its own, which the agent does not follow"));
    }
    Ok(Way::Through(proxy))
}

/// `http://host:port`; `host:port` alone is taken for that (parseProxy).
pub(in crate::checks) fn parse(url: &str) -> Result<Proxy, &'static str> {
    let rest = match url.split_once("://") {
        Some(("http", rest)) => rest,
        Some(("https" | "socks5" | "socks5h", _)) => return Err("whose protocol the agent does not speak"),
        _ => url,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("which wants a password; the agent sends none");
    }
    let (host, port) = match (split_port(authority), authority.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))) {
        (Some((host, port)), _) => (host, port.parse().map_err(|_| "which is no address")?),
        (None, Some(host)) => (host, 80),
        (None, None) => (authority, 80),
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control() || "[]".contains(c)) {
        return Err("which is no address");
    }
    Ok(Proxy { host: host.to_owned(), port })
}

/// A proxy's address as it may be shown. A password may have `/`, `#` or `://` in it that should have been escaped: whatever is before the
/// last `@` is hidden.
pub(in crate::checks) fn without_user(url: &str) -> String {
    let Some(at) = url.rfind('@') else { return url.to_owned() };
    let plain = |scheme: &str| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let scheme = url.find("://").filter(|end| *end < at && plain(&url[..*end])).map_or("", |end| &url[..end + 3]);
    format!("{scheme}***@{}", &url[at + 1..])
}

/// useProxy, the other way round.
pub(in crate::checks) fn is_excepted(except: &str, host: &str, port: u16) -> bool {
    let address = host.parse::<IpAddr>().ok();
    if host == "localhost" || address.is_some_and(|address| plain(address).is_loopback()) {
        return true;
    }
    let host = host.to_lowercase();
    except.split(',').map(|entry| entry.trim().to_lowercase()).any(|entry| matches(&entry, &host, address, port))
}

fn matches(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some((network, bits)) = network(entry) {
        return address.is_some_and(|address| within(plain(address), network, bits));
    }
    let (name, of_port) = match split_port(entry) {
        Some((name, of_port)) => (name, of_port),
        None => (entry, ""),
    };
    if name.is_empty() || !(of_port.is_empty() || of_port == port.to_string()) {
        return false;
    }
    if let Ok(excepted) = name.parse::<IpAddr>() {
        return address.is_some_and(|address| plain(address) == plain(excepted));
    }
    // A name means itself and what is beneath it; one with a dot before it only what is beneath.
    let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
    match name.strip_prefix('.') {
        Some(_) => host.ends_with(name),
        None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
    }
}

/// net.SplitHostPort; `None` where there is no port, as with a bare IPv6 address.
fn split_port(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        return Some((host, port.strip_prefix(':')?));
    }
    let (host, port) = text.rsplit_once(':')?;
    (!host.contains(':')).then_some((host, port))
}

fn network(entry: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = entry.split_once('/')?;
    let (address, bits): (IpAddr, u32) = (address.parse().ok()?, bits.parse().ok()?);
    match (address, address.to_canonical()) {
        // ::ffff:10.0.0.0/104 is 10.0.0.0/8 (net.IPNet.Contains); a wider one has no IPv4 address in it.
        (IpAddr::V6(_), v4 @ IpAddr::V4(_)) if (96..=128).contains(&bits) => Some((v4, bits - 96)),
        (IpAddr::V4(_), _) => (bits <= 32).then_some((address, bits)),
        (IpAddr::V6(_), _) => (bits <= 128).then_some((address, bits)),
    }
}

fn within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (a.to_bits() ^ n.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0,
        (IpAddr::V6(a), IpAddr::V6(n)) => (a.to_bits() ^ n.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0,
        _ => false,
    }
}

/// Go takes ::ffff:10.0.0.1 for 10.0.0.1.
fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_gos() {
        let host = "api.prod.example.net";
        for except in ["*", "api.prod.example.net", "example.net", ".example.net", "*.prod.example.net", "x, EXAMPLE.net:6443 ,"] {
            assert!(is_excepted(except, host, 6443), "{except}");
        }
        for except in
            ["", "ample.net", ".api.prod.example.net", "*api.prod.example.net", "example.net:443", "10.0.0.0/8", ":6443", "/", "[", "::"]
        {
            assert!(!is_excepted(except, host, 6443), "{except}");
        }
        for except in ["10.1.2.3", "10.0.0.0/8", "10.1.2.3:6443", "0.0.0.0/0", "::ffff:10.1.2.3", "::ffff:10.0.0.0/104"] {
            assert!(is_excepted(except, "10.1.2.3", 6443), "{except}");
        }
        for except in ["10.1.2.4", "10.1.2.3:443", "10.1.2.4/32", "10.1.2.0/33", "::ffff:10.0.0.0/95", "2001:db8::/32"] {
            assert!(!is_excepted(except, "10.1.2.3", 6443), "{except}");
        }
        assert!(is_excepted("2001:db8::/32", "2001:db8::7", 6443));
        assert!(is_excepted("[2001:db8::7]:6443", "2001:db8::7", 6443));
        assert!(is_excepted("", "127.0.0.1", 6443) && is_excepted("", "::1", 6443) && is_excepted("", "localhost", 6443));
    }

    #[test]
    fn proxies_are_parsed_and_the_unusable_refused() {
        let proxy = |host: &str, port| Ok(Proxy { host: host.into(), port });
        assert_eq!(parse("http://proxy.example:3128/"), proxy("proxy.example", 3128));
        assert_eq!(parse("proxy.example:3128"), proxy("proxy.example", 3128));
        assert_eq!(parse("http://[2001:db8::1]"), proxy("2001:db8::1", 80));
        assert_eq!(parse("10.0.0.9"), proxy("10.0.0.9", 80));
        for bad in [
            "https://proxy:3128",
            "socks5://proxy:1080",
            "http://user:secret@proxy:3128",
            "http://",
            "http://x:port",
            "a b",
            "[::1",
            "http://[x]y]:1",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(without_user("http://user:secret@proxy:3128/x"), "http://***@proxy:3128/x");
        assert_eq!(without_user("user:secret@proxy:3128"), "***@proxy:3128");
        assert_eq!(without_user("http://proxy:3128"), "http://proxy:3128");
        assert_eq!(without_user("http://user:sec/r#t@proxy:3128"), "http://***@proxy:3128", "a password that should have been escaped");
        assert_eq!(without_user("user:x@y://secret@proxy"), "***@proxy");
    }
}
