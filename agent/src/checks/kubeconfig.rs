//! The kubelet's kubeconfig: which server, which authority, which credentials.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};
use serde::Deserialize;

use super::apiserver::proxy::without_user;
use super::kubelet::config::yaml_complaint;
use super::support::{blocking, miss_all, needs, no_kubelet, not_applicable};
use super::{Check, Look, Stage};
use crate::host::{Host, ReadError};

const REPORTS: &[&str] = &["kubelet.kubeconfig.exists", "kubelet.kubeconfig.valid", "kubelet.kubeconfig.error"];

/// The check.
pub(super) const CHECK: Check = Check {
    name: "kubeconfig",
    about: "whether the kubelet's kubeconfig is there and names a server",
    stage: Stage::Look,
    period: Duration::from_secs(10),
    deadline: Duration::from_secs(2),
    reports: REPORTS,
    look: |look| blocking(look, REPORTS, look_at),
};

fn look_at(look: &Look, facts: &mut Facts) {
    let at = look.began_at;
    let path = match no_kubelet(look).map_or_else(|| needs(look, fact::KUBELET_KUBECONFIG_PATH), Err) {
        Ok(path) => path,
        Err(why) => return miss_all(facts, REPORTS, at, &why),
    };
    let nothing = not_applicable("there is no file that could be valid");
    let (exists, valid, error) = match load(&look.host, &path) {
        Ok(_) => (Ok(true), Ok(true), Err(not_applicable("it is valid"))),
        Err(LoadError::Invalid(words)) => (Ok(true), Ok(false), Ok(words)),
        Err(LoadError::Read(error)) if error.is_absence() => (Ok(false), Err(nothing.clone()), Err(nothing)),
        Err(LoadError::Read(error)) => {
            let why = Missing::from(&error);
            (look.host.exists(&path).map_err(Missing::from), Err(why.clone()), Err(why))
        }
    };
    facts.put(fact::KUBELET_KUBECONFIG_EXISTS, at, exists);
    facts.put(fact::KUBELET_KUBECONFIG_VALID, at, valid);
    facts.put(fact::KUBELET_KUBECONFIG_ERROR, at, error);
}

/// Why there is no kubeconfig to be had.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// The file cannot be read.
    Read(ReadError),
    /// It is not a kubeconfig, or names no server: `file: words`.
    Invalid(String),
}

impl LoadError {
    /// As the reason of facts that needed it.
    pub(crate) fn missing(&self) -> Missing {
        match self {
            Self::Read(error) => error.into(),
            Self::Invalid(words) => super::support::failed(words.clone()),
        }
    }
}

/// Bytes that a kubeconfig holds itself or names a file for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Material {
    /// In the kubeconfig, decoded.
    Inline(Vec<u8>),
    /// In a file.
    File(PathBuf),
}

impl Material {
    /// The bytes.
    pub(crate) fn read(&self, host: &Host) -> Result<Vec<u8>, ReadError> {
        match self {
            Self::Inline(bytes) => Ok(bytes.clone()),
            Self::File(path) => host.read(path),
        }
    }

    /// The file it is in: its own, or the kubeconfig.
    pub(crate) fn path<'a>(&'a self, kubeconfig: &'a str) -> &'a Path {
        match self {
            Self::Inline(_) => Path::new(kubeconfig),
            Self::File(path) => path,
        }
    }
}

/// How the kubelet says who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// By certificate and key.
    Certificate { certificate: Material, key: Material },
    /// By a bearer token.
    Token(Material),
    /// By what a program prints (EKS), which an agent that executes nothing cannot have.
    Exec(String),
    /// Not at all.
    Anonymous,
}

/// What the current context says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kubeconfig {
    pub(crate) path: String,
    /// As written, without a password.
    pub(crate) server: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) authority: Option<Material>,
    /// Name that the server's certificate is held against, if another than the host's.
    pub(crate) tls_server_name: Option<String>,
    pub(crate) skips_verification: bool,
    pub(crate) proxy: Option<String>,
    pub(crate) credentials: Credentials,
}

#[derive(Deserialize)]
struct File {
    #[serde(rename = "current-context", default)]
    current_context: Option<String>,
    #[serde(default)]
    contexts: Option<Vec<NamedContext>>,
    #[serde(default)]
    clusters: Option<Vec<NamedCluster>>,
    #[serde(default)]
    users: Option<Vec<NamedUser>>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    #[serde(default)]
    context: Context,
}

#[derive(Deserialize, Default)]
struct Context {
    #[serde(default)]
    cluster: String,
    #[serde(default)]
    user: String,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    #[serde(default)]
    cluster: Cluster,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct Cluster {
    server: String,
    certificate_authority: Option<String>,
    certificate_authority_data: Option<String>,
    tls_server_name: Option<String>,
    insecure_skip_tls_verify: bool,
    proxy_url: Option<String>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    #[serde(default)]
    user: User,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct User {
    client_certificate: Option<String>,
    client_certificate_data: Option<String>,
    client_key: Option<String>,
    client_key_data: Option<String>,
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<String>,
    exec: Option<Exec>,
}

#[derive(Deserialize)]
struct Exec {
    #[serde(default)]
    command: String,
}

/// Reads a kubeconfig.
pub(crate) fn load(host: &Host, path: &str) -> Result<Kubeconfig, LoadError> {
    let text = host.read_text(path).map_err(LoadError::Read)?;
    parse(path, &text).map_err(LoadError::Invalid)
}

pub(super) fn parse(path: &str, text: &str) -> Result<Kubeconfig, String> {
    if text.trim().is_empty() {
        return Err(format!("{path}: the file is empty"));
    }
    let options = serde_saphyr::options! { duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins };
    let file: File = serde_saphyr::from_str_with_options(text, options).map_err(|error| yaml_complaint(path, &error))?;
    let current = file.current_context.filter(|name| !name.is_empty()).ok_or_else(|| format!("{path}: current-context is not set"))?;
    let contexts = file.contexts.unwrap_or_default();
    let context = contexts.into_iter().find(|context| context.name == current).map(|context| context.context);
    let context = context.ok_or_else(|| format!("{path}: there is no context {current}, which current-context names"))?;
    let clusters = file.clusters.unwrap_or_default();
    let cluster = clusters.into_iter().find(|cluster| cluster.name == context.cluster).map(|cluster| cluster.cluster);
    let cluster = cluster.ok_or_else(|| format!("{path}: there is no cluster {:?}, which context {current} names", context.cluster))?;
    let users = file.users.unwrap_or_default();
    let user = users.into_iter().find(|user| user.name == context.user).map(|user| user.user).unwrap_or_default();
    let (host, port) = split_server(&cluster.server)
        .ok_or_else(|| format!("{path}: server {:?} is not an https:// address", without_user(&cluster.server)))?;
    let reader = Reader { path };
    Ok(Kubeconfig {
        path: path.to_owned(),
        authority: reader.material("certificate-authority", cluster.certificate_authority_data, cluster.certificate_authority)?,
        server: without_user(&cluster.server),
        host,
        port,
        tls_server_name: cluster.tls_server_name.filter(|name| !name.is_empty()),
        skips_verification: cluster.insecure_skip_tls_verify,
        proxy: cluster.proxy_url.filter(|url| !url.is_empty()),
        credentials: reader.credentials(user)?,
    })
}

struct Reader<'a> {
    path: &'a str,
}

impl Reader<'_> {
    /// Data before file, as clientcmd has it; a file's path is meant from the kubeconfig's directory.
    fn material(&self, what: &str, data: Option<String>, file: Option<String>) -> Result<Option<Material>, String> {
        if let Some(data) = data.filter(|data| !data.is_empty()) {
            let compact: String = data.split_whitespace().collect();
            let bytes = base64::engine::general_purpose::STANDARD.decode(compact);
            return bytes
                .map(|bytes| Some(Material::Inline(bytes)))
                .map_err(|error| format!("{}: {what}-data is not base64: {error}", self.path));
        }
        let dir = Path::new(self.path).parent().unwrap_or(Path::new("/"));
        Ok(file.filter(|file| !file.is_empty()).map(|file| Material::File(dir.join(file))))
    }

    fn credentials(&self, user: User) -> Result<Credentials, String> {
        let certificate = self.material("client-certificate", user.client_certificate_data, user.client_certificate)?;
        let key = self.material("client-key", user.client_key_data, user.client_key)?;
        Ok(match (certificate, key) {
            (Some(certificate), Some(key)) => Credentials::Certificate { certificate, key },
            _ => match (user.token.filter(|token| !token.is_empty()), user.token_file, user.exec) {
                (_, Some(file), _) => Credentials::Token(Material::File(file.into())),
                (Some(token), None, _) => Credentials::Token(Material::Inline(token.into_bytes())),
                (None, None, Some(exec)) => Credentials::Exec(exec.command),
                (None, None, None) => Credentials::Anonymous,
            },
        })
    }
}

/// Host and port of `https://[user[:password]@]host[:port][/path]`: client-go reads it with net/url, which takes a user.
fn split_server(server: &str) -> Option<(String, u16)> {
    let authority = server.strip_prefix("https://")?.split('/').next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = port.map_or(Ok(443), str::parse).ok()?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use nodewhy_diagnosis::MissingKind;

    use super::*;
    use crate::checks::testing::Node;

    const PATH: &str = "/etc/kubernetes/kubelet.conf";
    const KUBEADM: &str = "apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: UEVN
    server: https://k8s-api.example.net:6443
  name: default-cluster
contexts:
- context:
    cluster: default-cluster
    namespace: default
    user: default-auth
  name: default-context
current-context: default-context
kind: Config
preferences: {}
users:
- name: default-auth
  user:
    client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem
    client-key: /var/lib/kubelet/pki/kubelet-client-current.pem
";

    fn facts(text: &str) -> Facts {
        Node::new().file(PATH, text).known(fact::KUBELET_KUBECONFIG_PATH, PATH.to_owned()).look(&CHECK)
    }

    #[test]
    fn a_kubeadm_kubeconfig_is_understood() {
        let config = parse(PATH, KUBEADM).unwrap();
        assert_eq!((config.host.as_str(), config.port), ("k8s-api.example.net", 6443));
        assert_eq!(config.authority, Some(Material::Inline(b"PEM".to_vec())));
        let current = Material::File("/var/lib/kubelet/pki/kubelet-client-current.pem".into());
        assert_eq!(config.credentials, Credentials::Certificate { certificate: current.clone(), key: current });
        assert_eq!(facts(KUBEADM).known(fact::KUBELET_KUBECONFIG_VALID), Some(true));
    }

    #[test]
    fn relative_files_and_other_credentials_are_understood() {
        let user = KUBEADM.find("    client-certificate").unwrap();
        let with = |user_lines: &str| parse(PATH, &format!("{}{user_lines}", &KUBEADM[..user])).unwrap().credentials;
        let pair = with("    client-certificate: pki/c.pem\n    client-key-data: S0VZ\n");
        let certificate = Material::File("/etc/kubernetes/pki/c.pem".into());
        assert_eq!(pair, Credentials::Certificate { certificate, key: Material::Inline(b"KEY".to_vec()) });
        assert_eq!(with("    token: abc\n"), Credentials::Token(Material::Inline(b"abc".to_vec())));
        assert_eq!(with("    exec:\n      command: aws\n      args: [eks, get-token]\n"), Credentials::Exec("aws".into()));
        assert_eq!(with("    username: x\n"), Credentials::Anonymous);
    }

    #[test]
    fn servers_are_split() {
        assert_eq!(split_server("https://10.0.0.1:6443"), Some(("10.0.0.1".into(), 6443)));
        assert_eq!(split_server("https://[2001:db8::1]:6443/path"), Some(("2001:db8::1".into(), 6443)));
        assert_eq!(split_server("https://api.example"), Some(("api.example".into(), 443)));
        for bad in ["", "http://x:1", "https://", "https://:6443", "https://x:port", "https://x:99999", "https://[::1"] {
            assert_eq!(split_server(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_password_in_the_server_is_told_to_nobody() {
        let of = |server: &str| parse(PATH, &KUBEADM.replace("https://k8s-api.example.net:6443", server));
        let config = of("https://me:secret@10.0.0.1:6443").unwrap();
        assert_eq!((config.host.as_str(), config.port, config.server.as_str()), ("10.0.0.1", 6443, "https://***@10.0.0.1:6443"));
        let error = of("http://me:secret@10.0.0.1").unwrap_err();
        assert!(error.contains("***@10.0.0.1") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn what_names_no_server_is_invalid_with_the_reason() {
        for (text, words) in [
            ("", ": the file is empty"),
            ("apiVersion: v1\nkind: Config\n", ": current-context is not set"),
            ("current-context: a\n", ": there is no context a, which current-context names"),
            ("current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\n", ": there is no cluster \"c\", which context a names"),
            (&KUBEADM.replace("https://", "ftp://"), ": server \"ftp://k8s-api.example.net:6443\" is not an https:// address"),
            (&KUBEADM.replace("UEVN", "_*_"), ": certificate-authority-data is not base64"),
            ("clusters: [", ":1:"),
            ("clusters: 3\n", ":1:"),
            ("\u{0}", ":1:"),
        ] {
            let told = facts(text).known(fact::KUBELET_KUBECONFIG_ERROR).unwrap();
            assert!(told.starts_with(&format!("{PATH}{words}")), "{text:?}: {told}");
        }
    }

    #[test]
    fn an_absent_file_is_absent_and_a_standalone_kubelet_has_none() {
        let absent = Node::new().known(fact::KUBELET_KUBECONFIG_PATH, PATH.to_owned()).look(&CHECK);
        assert_eq!(absent.known(fact::KUBELET_KUBECONFIG_EXISTS), Some(false));
        assert_eq!(absent.value("kubelet.kubeconfig.valid").unwrap_err().kind, MissingKind::NotApplicable);
        let none = Node::new().known(fact::NODE_IS_KUBERNETES, false).look(&CHECK);
        assert_eq!(none.value("kubelet.kubeconfig.exists").unwrap_err().kind, MissingKind::NotApplicable);
    }
}
