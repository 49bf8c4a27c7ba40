use std::path::Path;

use super::*;
use crate::config::Config;

/// An admin's directory and the agent's own.
struct Place {
    directory: tempfile::TempDir,
}

const CAUSE: &str = "
code: my-cause
title: A title
layer: kernel
severity: warning
signs: [{log: {from: [kernel], match: 'my fault', quiet_for: 10m}}]
message: m
docs: {meaning: m}
";

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(directory.path().join("state")).expect("made");
        std::fs::create_dir(directory.path().join("causes.d")).expect("made");
        Self { directory }
    }

    fn config(&self) -> Config {
        let at = |name: &str| self.directory.path().join(name);
        Config { causes_dir: at("causes.d"), state_dir: at("state"), ..Config::default() }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join("causes.d").join(name), text).expect("written");
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.directory.path().join("causes.d").join(name)).expect("removed");
    }

    fn shelf(&self) -> Shelf {
        Shelf::open(&self.config())
    }
}

fn titled<'a>(loaded: &'a Loaded, code: &str) -> Option<&'a str> {
    loaded.catalogue.cause(code).map(|cause| cause.title.as_str())
}

fn built_in() -> usize {
    nodewhy_causes::catalogue().causes().len()
}

#[test]
fn without_a_directory_of_its_own_it_is_the_built_in_one() {
    let loaded = Shelf::open(&Config { causes_dir: "/no/such/directory".into(), ..Config::default() }).load();
    let codes = |catalogue: &Catalogue| catalogue.causes().iter().map(|cause| cause.code.clone()).collect::<Vec<_>>();
    assert_eq!(codes(&loaded.catalogue), codes(nodewhy_causes::catalogue()));
    assert!(loaded.refused.is_empty() && loaded.origins.is_empty());
}

#[test]
fn a_broken_file_is_refused_alone_with_its_place() {
    let place = Place::new();
    place.write("broken.yaml", "code: broken\nlayer: [\n");
    place.write("good.yaml", CAUSE);
    place.write("README.txt", "not a cause");
    let loaded = place.shelf().load();
    assert_eq!(loaded.catalogue.causes().len(), built_in() + 1);
    assert_eq!(loaded.refused.len(), 1, "{:?}", loaded.refused);
    assert!(loaded.refused[0].to_string().contains("broken.yaml:"), "{:?}", loaded.refused);
    assert_eq!(loaded.origin("my-cause").to_string(), place.directory.path().join("causes.d/good.yaml").display().to_string());
}

#[test]
fn a_file_that_turns_bad_keeps_its_last_good_version_in_force_also_over_a_restart() {
    let place = Place::new();
    place.write("my.yaml", CAUSE);
    let mut shelf = place.shelf();
    assert!(shelf.load().refused.is_empty());
    shelf.keep();
    place.write("my.yaml", "code: my-cause\ntitle: ''\n");
    for mut shelf in [shelf, place.shelf()] {
        let loaded = shelf.load();
        assert_eq!(titled(&loaded, "my-cause"), Some("A title"));
        let refused = &loaded.refused[0];
        assert!(refused.kept && refused.line > 0 && refused.to_string().contains("last good version"), "{refused}");
        assert!(loaded.origin("my-cause").to_string().contains("last good version"));
        assert!(loaded.unknown().next().is_some_and(|unknown| unknown.what.contains("my.yaml:")));
    }
    let mut shelf = place.shelf();
    place.write("my.yaml", &CAUSE.replace("A title", "Another"));
    assert_eq!(titled(&shelf.load(), "my-cause"), Some("Another"));
    place.remove("my.yaml");
    let loaded = shelf.load();
    assert!(loaded.refused.is_empty() && loaded.catalogue.cause("my-cause").is_none());
}

#[test]
fn a_file_replaces_the_built_in_one_of_its_name_or_code_but_not_while_it_is_bad() {
    let (name, text) = nodewhy_causes::files().iter().find(|(name, _)| *name == "swap-enabled.yaml").expect("built in");
    let changed: String =
        text.lines().map(|line| if line.starts_with("title:") { "title: Changed\n".to_owned() } else { format!("{line}\n") }).collect();
    for file in [name, "of-another-name.yaml"] {
        let place = Place::new();
        place.write(file, &changed);
        let mut shelf = place.shelf();
        let loaded = shelf.load();
        assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
        assert_eq!((titled(&loaded, "swap-enabled"), loaded.catalogue.causes().len()), (Some("Changed"), built_in()));
        assert!(loaded.origin("swap-enabled").replaces_built_in);
        place.write(file, "code: swap-enabled\n");
        let loaded = place.shelf().load();
        assert_ne!(titled(&loaded, "swap-enabled"), Some("Changed"));
        assert_eq!((loaded.refused.len(), loaded.catalogue.causes().len()), (1, built_in()));
    }
}

#[test]
fn a_cause_of_another_code_in_a_built_in_files_place_takes_nothing_else_with_it() {
    let place = Place::new();
    place.write("kubelet-down.yaml", CAUSE);
    let loaded = place.shelf().load();
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    assert_eq!(loaded.catalogue.causes().len(), built_in());
    assert!(loaded.catalogue.cause("kubelet-down").is_none());
}

#[test]
fn a_circle_is_closed_by_the_own_file_and_not_by_a_built_in_one() {
    let place = Place::new();
    let kubelet_down = nodewhy_causes::files().iter().find(|(name, _)| *name == "kubelet-down.yaml").expect("built in").1;
    let circle: String = kubelet_down
        .lines()
        .map(|line| if line.starts_with("explains:") { "explains: [swap-enabled]\n".to_owned() } else { format!("{line}\n") })
        .collect();
    let circle = if circle.contains("explains: [swap-enabled]") { circle } else { format!("{circle}explains: [swap-enabled]\n") };
    place.write("mine.yaml", &circle);
    let loaded = place.shelf().load();
    assert_eq!((loaded.refused.len(), loaded.catalogue.causes().len()), (1, built_in()), "{:?}", loaded.refused);
    assert!(loaded.refused[0].file.ends_with("mine.yaml"));
}

#[test]
fn what_only_monitors_can_hear_cannot_be_listened_to() {
    let (_, refused) = lint(&[("x.yaml".to_owned(), CAUSE.replace("[kernel]", "[monitor]"))]);
    assert!(refused.len() == 1 && refused[0].problem.contains("monitor"), "{refused:?}");
}

#[test]
fn a_directory_that_cannot_be_read_removes_nothing() {
    let place = Place::new();
    place.write("my.yaml", CAUSE);
    let mut shelf = place.shelf();
    shelf.load();
    std::fs::remove_dir_all(place.directory.path().join("causes.d")).expect("removed");
    std::fs::write(Path::new(place.directory.path()).join("causes.d"), "no directory").expect("written");
    let loaded = shelf.load();
    assert_eq!(titled(&loaded, "my-cause"), Some("A title"));
    assert!(loaded.refused[0].kept, "{:?}", loaded.refused);
}
