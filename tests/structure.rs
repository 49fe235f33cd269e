//! The arrows between the modules of `src` are those of the table in `docs/architecture.md`, and `src/lib.rs` has the
//! same: any other arrow fails.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by unwrapping it")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Stands for every module in a set of arrows.
const EVERYTHING: &str = "everything";

/// Functions of more lines than this do not fit a screen.
const SCREEN: usize = 60;

/// Every source below `folder`, except tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_test = path.file_stem().is_some_and(|name| name == "tests");
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
            found.push(path);
        }
    }
}

/// The code of a file, without its unit tests and comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    // Code that is compiled only for tests may use other modules.
    let mut kept = Vec::new();
    let mut test_only = false;
    for line in lines {
        if !test_only {
            kept.push(line);
        }
        test_only = line.trim() == "#[cfg(test)]";
    }
    kept.join("\n")
}

/// The module of `src` that a file belongs to.
fn module(path: &Path) -> String {
    let first = path.strip_prefix("src").unwrap().iter().next().unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules of this crate that `code` names behind `crate::`, in a path or in a group.
fn used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == '$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            used.extend(names_of(group));
        } else {
            used.extend(first_name(rest));
        }
    }
    used
}

/// The first name of each path of a group, up to the brace that closes it.
fn names_of(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut start = 0;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.extend(first_name(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.extend(first_name(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    names
}

fn first_name(path: &str) -> Option<String> {
    let path = path.trim_start();
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
    (end > 0).then(|| path[..end].to_owned())
}

/// The arrows of the tables in `text` whose rows name modules: for each module, those that it may use.
fn arrows(text: &str, modules: &BTreeSet<String>) -> BTreeMap<String, BTreeSet<String>> {
    let named = |cell: &str| -> BTreeSet<String> {
        let words = cell.split(|c: char| !c.is_alphanumeric()).map(str::to_owned);
        words.filter(|word| modules.contains(word) || word == EVERYTHING).collect()
    };
    let mut arrows = BTreeMap::new();
    for row in text.lines().filter_map(|line| line.trim_start_matches("//! ").strip_prefix("| ")) {
        let cells: Vec<&str> = row.trim_end_matches([' ', '|']).split(" | ").collect();
        if let [users, .., used] = cells[..]
            && (used.starts_with("nothing of ours") || !named(used).is_empty())
        {
            arrows.extend(named(users).into_iter().map(|user| (user, named(used))));
        }
    }
    arrows
}

/// The part of `docs/architecture.md` about arrows.
fn chapter() -> String {
    let text = fs::read_to_string("docs/architecture.md").unwrap();
    let (_, rest) = text.split_once("## Which module may use which").unwrap();
    rest.split("## ").next().unwrap().to_owned()
}

#[test]
fn every_arrow_between_modules_is_one_of_the_architecture() {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    files.retain(|path| !matches!(&*module(path), "lib" | "main"));
    let modules: BTreeSet<String> = files.iter().map(|path| module(path)).collect();
    let allowed = arrows(&chapter(), &modules);
    assert_eq!(allowed, arrows(&fs::read_to_string("src/lib.rs").unwrap(), &modules));
    let mut found = 0;
    for path in files {
        let from = module(&path);
        let allowed = allowed.get(&*from).unwrap_or_else(|| panic!("{from} has no line in the architecture"));
        for to in used(&code(&path)) {
            let fits = to == from || allowed.contains(EVERYTHING) || allowed.contains(&*to);
            assert!(fits, "{} uses {to}, and {from} may not", path.display());
            found += usize::from(to != from);
        }
    }
    assert!(found > 50, "the arrows were found: {found}");
}

#[test]
fn an_arrow_is_found_in_a_path_and_in_a_group() {
    let code =
        "use crate::{\n    codec::{self, url::Leg},\n    keys::KdfPool, proto,\n};\nfn f() -> crate::memory::Memory {}";
    assert_eq!(used(code).into_iter().collect::<Vec<_>>(), ["codec", "keys", "memory", "proto"]);
}

/// The files of the crate that a file imports: `super::` and `crate::` paths, as far as they name files.
fn imports(path: &Path, files: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let module = path.with_extension("");
    let parent = module.parent().unwrap().to_owned();
    for name in used(&code(path).replace("super::", "crate::")) {
        let sibling = parent.join(&name).with_extension("rs");
        if files.contains(&sibling) && sibling != path {
            found.insert(sibling);
        }
    }
    found
}

#[test]
fn no_two_files_of_a_module_import_each_other() {
    let mut all = Vec::new();
    sources(Path::new("src"), &mut all);
    let files: BTreeSet<PathBuf> = all.into_iter().filter(|path| module(path) != "lib").collect();
    for path in &files {
        for imported in imports(path, &files) {
            let back = imports(&imported, &files).contains(path);
            assert!(!back, "{} and {} import each other", path.display(), imported.display());
        }
    }
}

#[test]
fn every_function_fits_a_screen() {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    let mut functions = 0;
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let start = line.trim_start();
            if ![
                "fn ",
                "pub fn ",
                "async fn ",
                "pub async fn ",
                "pub(super) fn ",
                "pub(crate) fn ",
                "pub(super) async fn ",
            ]
            .iter()
            .any(|begin| start.starts_with(begin))
            {
                continue;
            }
            let indent = line.len() - start.len();
            let close = format!("{}}}", " ".repeat(indent));
            if let Some(length) = lines[at..].iter().position(|line| *line == close) {
                functions += 1;
                assert!(length < SCREEN, "{}:{} has {length} lines", path.display(), at + 1);
            }
        }
    }
    assert!(functions > 300, "the functions were found: {functions}");
}
