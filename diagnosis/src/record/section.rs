//! `==> kubelet <==`: how `minikube logs` and `tail FILE FILE` say whose lines follow.

use super::Source;
use super::odd::speaker_of_file;

/// What follows such a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Section<'a> {
    /// A program's lines; an empty name: nobody knows whose.
    Of(&'a str),
    /// Tables and words about the cluster: no log.
    NoLog,
}

/// The section that a line begins.
pub(super) fn begins(text: &str) -> Option<Section<'_>> {
    // minikube pkg/minikube/logs/logs.go: names of programs, with a container's id in brackets, and of what is no log of the node.
    const NO_LOG: [&str; 7] = ["describe nodes", "container status", "Audit", "Last Start", "kernel", "network settings", "minikube"];
    let name = text.strip_prefix("==> ")?.trim_end().strip_suffix(" <==")?;
    let name = name.split(" [").next().unwrap_or(name).trim();
    if name.contains(['/', '.']) {
        let speaker = speaker_of_file(name);
        return Some(Section::Of(if Source::of(speaker) == Source::Other { "" } else { speaker }));
    }
    Some(match name {
        name if NO_LOG.contains(&name) => Section::NoLog,
        "dmesg" => Section::Of("kernel"),
        "Docker" => Section::Of("docker"),
        name => Section::Of(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_files_and_tables_are_told_apart() {
        for (line, want) in [
            ("==> kubelet <==", Some(Section::Of("kubelet"))),
            ("==> kube-apiserver [3c9d] <==", Some(Section::Of("kube-apiserver"))),
            ("==> dmesg <==", Some(Section::Of("kernel"))),
            ("==> describe nodes <==", Some(Section::NoLog)),
            ("==> /var/log/kubelet.log <==", Some(Section::Of("kubelet"))),
            ("==> /var/log/messages <==", Some(Section::Of(""))),
            ("==> half", None),
            ("==>  <==", Some(Section::Of(""))),
            ("kubelet", None),
        ] {
            assert_eq!(begins(line), want, "{line}");
        }
    }
}
