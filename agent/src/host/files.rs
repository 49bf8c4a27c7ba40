//! Files of the node: read whole, bounded, with symlinks resolved inside the root.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use nodewhy_diagnosis::{Missing, MissingKind};

use super::Host;

/// No file that a check reads is larger; one that is, is refused and not cut.
pub const FILE_LIMIT: u64 = 4 << 20;

/// As many symlinks as the kernel follows in one path (path_resolution(7)).
const SYMLINK_LIMIT: usize = 40;

/// A look at a file or directory that failed. The path is the node's, without the root.
#[derive(Debug, thiserror::Error)]
#[error("{did} {}", path.display())]
pub struct ReadError {
    /// What was tried: `open`, `read`, `list`.
    pub did: &'static str,
    /// On what, as the node names it.
    pub path: PathBuf,
    /// What happened.
    pub source: io::Error,
}

impl ReadError {
    /// There is no such file or directory, as opposed to one that cannot be read.
    pub fn is_absence(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
    }

    /// The failure in one line: `open /etc/fstab: Permission denied`.
    pub fn sentence(&self) -> String {
        format!("{self}: {}", os_words(&self.source))
    }
}

impl From<ReadError> for Missing {
    fn from(error: ReadError) -> Self {
        Self::from(&error)
    }
}

impl From<&ReadError> for Missing {
    fn from(error: &ReadError) -> Self {
        let why = error.sentence();
        match error.source.kind() {
            io::ErrorKind::PermissionDenied => Missing::new(MissingKind::Denied, why)
                .hint("run the agent as root, or give it CAP_DAC_READ_SEARCH (the shipped unit and DaemonSet do)"),
            _ => Missing::new(MissingKind::Failed, why),
        }
    }
}

/// The system's words for an error, without the number that Rust adds.
pub fn os_words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

impl Host {
    /// Whether there is a node at all where it is said to be mounted; the error says what is there instead.
    pub fn root_is_there(&self) -> Result<(), ReadError> {
        let failed = |source| ReadError { did: "look into", path: self.root().to_owned(), source };
        match fs::metadata(self.root()).map_err(failed)?.is_dir() {
            true => Ok(()),
            false => Err(failed(io::ErrorKind::NotADirectory.into())),
        }
    }

    /// Where an absolute path of the node leads to, every symlink followed inside the root.
    pub fn resolve(&self, absolute: impl AsRef<Path>) -> Result<PathBuf, ReadError> {
        let path = absolute.as_ref();
        if self.root() == Path::new("/") {
            return Ok(self.path(path));
        }
        resolve_in(self.root(), path).map_err(|source| ReadError { did: "open", path: path.to_owned(), source })
    }

    /// A path of the node with every symlink in it followed, still as the node names it.
    pub fn canonical(&self, absolute: impl AsRef<Path>) -> Result<PathBuf, ReadError> {
        let path = absolute.as_ref();
        let failed = |source| ReadError { did: "resolve", path: path.to_owned(), source };
        let real = self.resolve(path)?;
        if self.root() == Path::new("/") {
            return fs::canonicalize(real).map_err(failed);
        }
        let inside = real.strip_prefix(self.root()).map_err(|_| failed(io::Error::other("it leads out of the root")))?;
        Ok(Path::new("/").join(inside))
    }

    /// A file's bytes.
    pub fn read(&self, absolute: impl AsRef<Path>) -> Result<Vec<u8>, ReadError> {
        let path = absolute.as_ref();
        let failed = |did| move |source| ReadError { did, path: path.to_owned(), source };
        let real = self.resolve(path)?;
        // Without O_NONBLOCK the open of a FIFO somebody put there would wait for its writer for ever.
        let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(real).map_err(failed("open"))?;
        let mut bytes = Vec::new();
        file.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(failed("read"))?;
        if bytes.len() as u64 > FILE_LIMIT {
            return Err(failed("read")(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {} MiB", FILE_LIMIT >> 20))));
        }
        Ok(bytes)
    }

    /// A file's text; bytes that are not UTF-8 are replaced.
    pub fn read_text(&self, absolute: impl AsRef<Path>) -> Result<String, ReadError> {
        let bytes = self.read(absolute)?;
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// A file's first line, without white space around it.
    pub fn read_line(&self, absolute: impl AsRef<Path>) -> Result<String, ReadError> {
        Ok(self.read_text(absolute)?.lines().next().unwrap_or_default().trim().to_owned())
    }

    /// Names in a directory, sorted; names that are not UTF-8 are left out.
    pub fn list(&self, absolute: impl AsRef<Path>) -> Result<Vec<String>, ReadError> {
        let path = absolute.as_ref();
        let failed = |source| ReadError { did: "list", path: path.to_owned(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(self.resolve(path)?).map_err(failed)? {
            names.extend(entry.map_err(failed)?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    /// What a path leads to.
    pub fn stat(&self, absolute: impl AsRef<Path>) -> Result<Metadata, ReadError> {
        let path = absolute.as_ref();
        fs::metadata(self.resolve(path)?).map_err(|source| ReadError { did: "stat", path: path.to_owned(), source })
    }

    /// Whether a path leads to anything. A directory that cannot be searched is an error, not a no.
    pub fn exists(&self, absolute: impl AsRef<Path>) -> Result<bool, ReadError> {
        match self.stat(absolute) {
            Ok(_) => Ok(true),
            Err(error) if error.is_absence() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What a symlink says, not followed.
    pub fn read_link(&self, absolute: impl AsRef<Path>) -> Result<PathBuf, ReadError> {
        let path = absolute.as_ref();
        fs::read_link(self.path(path)).map_err(|source| ReadError { did: "readlink", path: path.to_owned(), source })
    }
}

fn resolve_in(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut inside = PathBuf::new();
    let mut left: VecDeque<OsString> = VecDeque::new();
    push_front(&mut left, path);
    let mut symlinks = 0;
    while let Some(name) = left.pop_front() {
        if name == ".." {
            inside.pop();
            continue;
        }
        let here = root.join(&inside).join(&name);
        if !fs::symlink_metadata(&here)?.is_symlink() {
            inside.push(name);
            continue;
        }
        symlinks += 1;
        if symlinks > SYMLINK_LIMIT {
            return Err(io::Error::from_raw_os_error(nix::libc::ELOOP));
        }
        let target = fs::read_link(&here)?;
        if target.is_absolute() {
            inside.clear();
        }
        push_front(&mut left, &target);
    }
    Ok(root.join(inside))
}

fn push_front(left: &mut VecDeque<OsString>, path: &Path) {
    for part in path.components().rev() {
        match part {
            Component::Normal(name) => left.push_front(name.to_owned()),
            Component::ParentDir => left.push_front("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn node() -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        (root, host)
    }

    #[test]
    fn an_absolute_symlink_stays_inside_the_root() {
        let (root, host) = node();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::create_dir_all(root.path().join("run")).unwrap();
        fs::write(root.path().join("run/resolv.conf"), "nameserver 192.0.2.1\n").unwrap();
        symlink("/run/resolv.conf", root.path().join("etc/resolv.conf")).unwrap();
        symlink("../../../../run/resolv.conf", root.path().join("etc/dotted")).unwrap();
        assert_eq!(host.read_line("/etc/resolv.conf").unwrap(), "nameserver 192.0.2.1");
        assert_eq!(host.read_line("/etc/dotted").unwrap(), "nameserver 192.0.2.1");
    }

    #[test]
    fn a_symlink_to_a_file_only_the_agent_has_is_absent() {
        let (root, host) = node();
        symlink("/etc/passwd", root.path().join("secret")).unwrap();
        assert!(host.read("/secret").unwrap_err().is_absence());
    }

    #[test]
    fn a_symlink_loop_is_an_error_and_not_an_absence() {
        let (root, host) = node();
        symlink("/b", root.path().join("a")).unwrap();
        symlink("/a", root.path().join("b")).unwrap();
        assert!(!host.read("/a").unwrap_err().is_absence());
        assert!(host.exists("/a").is_err());
    }

    #[test]
    fn a_fifo_does_not_hang_the_reader() {
        let (root, host) = node();
        nix::unistd::mkfifo(&root.path().join("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(host.read("/fifo").unwrap(), b"");
    }

    #[test]
    fn a_file_beyond_the_limit_is_refused() {
        let (root, host) = node();
        fs::File::create(root.path().join("big")).unwrap().set_len(FILE_LIMIT + 1).unwrap();
        let missing = Missing::from(host.read("/big").unwrap_err());
        assert_eq!((missing.kind, missing.why.as_str()), (MissingKind::Failed, "read /big: larger than 4 MiB"));
    }

    #[test]
    fn a_refused_open_is_denied_with_a_hint() {
        let error = ReadError { did: "open", path: "/etc/kubernetes/kubelet.conf".into(), source: io::Error::from_raw_os_error(13) };
        let missing = Missing::from(error);
        assert_eq!(missing.kind, MissingKind::Denied);
        assert_eq!(missing.why, "open /etc/kubernetes/kubelet.conf: Permission denied");
        assert!(missing.hint.is_some());
    }
}
