//! Everything that the documents name exists: tests, files, reasons and deviations.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by unwrapping it")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use aa_redirect::proto::{Deviation, ErrorReason};

/// Every source under `folder`, one after the other.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_dir() && !path.ends_with("node_modules") && !path.ends_with("target") {
            sources(&path, text);
        } else if matches!(extension, Some("rs" | "go")) {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

/// The text of a chapter, such as `attacks`.
fn chapter(name: &str) -> String {
    fs::read_to_string(format!("docs/{name}.md")).unwrap()
}

/// The texts between backticks.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The names that `name` gives for the numbers from 1 on, without `prefix`.
fn enum_names(prefix: &str, name: impl Fn(i32) -> Option<&'static str>) -> Vec<&'static str> {
    (1..).map_while(name).map(|name| name.strip_prefix(prefix).unwrap()).collect()
}

/// The targets of the links of a document, both `[text](target)` and `[name]: target`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    let named = text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: ").map(|(_, target)| target));
    inline.chain(named)
}

/// README, the documents beside it, and the chapters.
fn documents() -> Vec<PathBuf> {
    let files = [Path::new("."), Path::new("docs")]
        .into_iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

#[test]
fn every_test_that_the_chapter_on_attacks_names_exists() {
    let chapter = chapter("attacks");
    let mut text = String::new();
    sources(Path::new("tests"), &mut text);
    sources(Path::new("src"), &mut text);
    let names: Vec<&str> = code_spans(&chapter)
        .filter(|code| code.matches('_').count() > 2 || code.starts_with("Test"))
        .filter(|code| code.chars().all(|character| character.is_alphanumeric() || character == '_'))
        .collect();
    assert!(names.len() > 50, "{} names", names.len());
    for name in names {
        let defined = text.contains(&format!("fn {name}(")) || text.contains(&format!("func {name}("));
        assert!(defined, "the chapter names `{name}`, which no source defines");
    }
}

#[test]
fn every_link_of_a_document_leads_to_a_file() {
    let mut followed = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for target in links(&text).filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let path = target.split('#').next().unwrap();
            assert!(document.with_file_name(path).exists(), "{}: {target} leads nowhere", document.display());
            followed += 1;
        }
    }
    assert!(followed > 20, "{followed} links");
}

#[test]
fn the_chapter_on_errors_has_a_row_for_every_reason() {
    let chapter = chapter("errors");
    let reasons = enum_names("ERROR_REASON_", |number| Some(ErrorReason::try_from(number).ok()?.as_str_name()));
    assert!(reasons.len() > 17, "{reasons:?}");
    for reason in reasons {
        assert!(chapter.contains(&format!("\n| `{reason}` | ")), "{reason} has no row");
    }
}

#[test]
fn the_chapter_on_interop_has_a_row_for_every_deviation() {
    let chapter = chapter("interop");
    let deviations = enum_names("DEVIATION_", |number| Some(Deviation::try_from(number).ok()?.as_str_name()));
    assert!(deviations.len() > 12, "{deviations:?}");
    for deviation in deviations {
        assert!(chapter.contains(&format!("\n| `{deviation}` | ")), "{deviation} has no row");
    }
}

#[test]
fn the_readme_can_be_read_in_a_minute() {
    assert!(fs::read_to_string("README.md").unwrap().lines().count() <= 200);
}
