//! The chapter on attacks names the tests that hold what it says; none of them may go missing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by unwrapping it")]

use std::{fs, path::Path};

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

#[test]
fn every_test_that_the_chapter_on_attacks_names_exists() {
    let chapter = fs::read_to_string("src/manual/attacks.rs").unwrap();
    let mut text = String::new();
    sources(Path::new("tests"), &mut text);
    sources(Path::new("src"), &mut text);
    let names: Vec<&str> = chapter
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| code.matches('_').count() > 2 || code.starts_with("Test"))
        .filter(|code| code.chars().all(|character| character.is_alphanumeric() || character == '_'))
        .collect();
    assert!(names.len() > 50, "{} names", names.len());
    for name in names {
        let defined = text.contains(&format!("fn {name}(")) || text.contains(&format!("func {name}("));
        assert!(defined, "the chapter names `{name}`, which no source defines");
    }
}
