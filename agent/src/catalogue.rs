//! The catalogue as this agent uses it: the built-in causes and those of the admin's own directory.

use std::collections::BTreeMap;
use std::path::Path;

use nodewhy_diagnosis::Catalogue;

/// Larger than any cause; a log dropped into the directory by mistake is not read into memory.
const MAX_FILE_BYTES: u64 = 256 << 10;
const MAX_FILES: usize = 1000;

/// A catalogue, and what had to be left out of it.
#[derive(Debug)]
pub struct Loaded {
    /// All causes that are good.
    pub catalogue: Catalogue,
    /// Files that are refused, each with its line and the reason.
    pub refused: Vec<String>,
}

/// Loads the built-in causes and those of `own`. A file there replaces the built-in one of its name; a bad one is refused alone. No such
/// directory is no error.
pub fn load(own: &Path) -> Loaded {
    let mut files: BTreeMap<String, (String, String)> =
        nodewhy_causes::files().iter().map(|(name, text)| ((*name).to_owned(), ((*name).to_owned(), (*text).to_owned()))).collect();
    let (own_files, mut refused) = read_directory(own);
    files.extend(own_files);
    let (catalogue, errors) = Catalogue::load(files.values().map(|(name, text)| (name.as_str(), text.as_str())));
    refused.extend(errors.iter().map(ToString::to_string));
    Loaded { catalogue, refused }
}

/// Checks files alone beside the built-in causes; what is wrong with them.
pub fn lint(files: &[(String, String)]) -> Vec<String> {
    let names: Vec<&str> = files.iter().map(|(path, _)| base(path)).collect();
    let built_in = nodewhy_causes::files().iter().filter(|(name, _)| !names.contains(name)).copied();
    let own = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let (_, errors) = Catalogue::load(built_in.chain(own));
    errors.iter().filter(|error| files.iter().any(|(name, _)| *name == error.file)).map(ToString::to_string).collect()
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

type Files = BTreeMap<String, (String, String)>;

fn read_directory(directory: &Path) -> (Files, Vec<String>) {
    let (mut files, mut refused) = (Files::new(), Vec::new());
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return (files, refused),
        Err(error) => return (files, vec![format!("{}: cannot read the directory of own causes: {error}", directory.display())]),
    };
    let yaml = |path: &Path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| yaml(path)) {
        if files.len() == MAX_FILES {
            refused.push(format!("{}: more than {MAX_FILES} files; the rest is not read", directory.display()));
            break;
        }
        let full = path.display().to_string();
        match read(&path) {
            Ok(text) => {
                files.insert(base(&full).to_owned(), (full, text));
            }
            Err(why) => refused.push(format!("{full}: {why}")),
        }
    }
    (files, refused)
}

/// One file's text, bounded.
///
/// # Errors
/// What happened, in words.
pub fn read(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| format!("cannot read it: {error}"))?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("{size} bytes are too many for a cause (at most {MAX_FILE_BYTES})"));
    }
    std::fs::read_to_string(path).map_err(|error| format!("cannot read it: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Causes and refusals with these files beside the built-in ones, less what the built-in ones give alone.
    fn beside_built_in(files: &[(&str, &str)]) -> (Loaded, usize, Vec<String>) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).expect("written");
        }
        let loaded = load(directory.path());
        let refused = loaded.refused.iter().filter(|why| why.contains(&*directory.path().to_string_lossy())).cloned().collect();
        let causes = loaded.catalogue.causes().len();
        (loaded, causes, refused)
    }

    #[test]
    fn without_a_directory_of_its_own_it_is_the_built_in_one() {
        let loaded = load(Path::new("/no/such/directory"));
        let codes = |catalogue: &Catalogue| catalogue.causes().iter().map(|cause| cause.code.clone()).collect::<Vec<_>>();
        assert_eq!(codes(&loaded.catalogue), codes(nodewhy_causes::catalogue()));
    }

    #[test]
    fn a_broken_file_is_refused_alone_with_its_place() {
        let (_, causes, refused) = beside_built_in(&[("broken.yaml", "code: broken\nlayer: [\n"), ("README.txt", "not a cause")]);
        assert_eq!(causes, nodewhy_causes::catalogue().causes().len());
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(refused[0].contains("broken.yaml:"), "{refused:?}");
    }

    #[test]
    fn a_file_replaces_the_built_in_one_of_its_name() {
        let (name, text) = nodewhy_causes::files()[0];
        let changed: String = text
            .lines()
            .map(|line| if line.starts_with("title:") { "title: Another title\n".to_owned() } else { format!("{line}\n") })
            .collect();
        let (loaded, causes, refused) = beside_built_in(&[(name, &changed)]);
        assert_eq!(refused, Vec::<String>::new());
        assert_eq!(causes, nodewhy_causes::catalogue().causes().len());
        assert_eq!(loaded.catalogue.causes().iter().filter(|cause| cause.title == "Another title").count(), 1);
    }
}
