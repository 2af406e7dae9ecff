//! Has every item of the checklist a test?

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use super::registry::IN_A_DIRECTORY;

/// How many items there are.
const COUNT: u32 = 103;
/// Those that are out of scope.
const OUT: [u32; 4] = [11, 98, 99, 100];

/// A line of `checklist.txt`, and the one below it if that says `out:`.
struct Item {
    number: u32,
    marks: String,
    sentence: String,
    is_out: bool,
}

#[test]
fn every_item_in_scope_has_a_test_and_every_test_an_item() {
    let items = checklist(include_str!("checklist.txt"));
    let tests = listed(&[]);
    let tested = numbers(&tests);
    assert!(listed(&["--ignored"]).is_empty(), "a test that does not run proves nothing");
    let complaints = complaints(&items, &tested);
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn the_checklist_has_every_number_once_and_leaves_out_what_is_known_here() {
    let items = checklist(include_str!("checklist.txt"));
    assert!(items.iter().map(|item| item.number).eq(1..=COUNT));
    let out: Vec<u32> = items.iter().filter(|item| item.is_out).map(|item| item.number).collect();
    assert_eq!(out, OUT, "nothing is left out that was not meant to be");
    for Item { number, marks, sentence, .. } in &items {
        assert!(marks == "-" || marks.chars().all(|mark| "MSYh".contains(mark)), "{number}");
        assert!(sentence.ends_with('.'), "{number}");
    }
}

/// They run on memory one by one; here all of them once more.
#[test]
fn every_item_holds_on_a_directory_too() {
    let mut again = Command::new(std::env::current_exe().expect("a program knows where it is"));
    again.args(["oci::", "--skip", "oci::coverage::"]).env(IN_A_DIRECTORY, "1");
    let output = again.output().expect("this program can be started again");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("oci::tags::item_086"), "no item was played:\n{told}");
}

#[test]
fn an_item_without_a_test_and_a_test_without_an_item_are_told() {
    let items = checklist("1 M One.\n2 S Two.\n3 Y Three.\n  out: why not.\n4 h Four.\n");
    let tests = ["oci::a::item_001_holds", "oci::b::item_003_holds", "oci::b::item_009_holds"];
    let tests: Vec<_> = tests.into_iter().chain(["oci::b::item_4_holds"]).map(Into::into).collect();
    let complaints = complaints(&items, &numbers(&tests));
    let about: Vec<_> = complaints.iter().filter_map(|text| text.split(": ").next()).collect();
    assert_eq!(
        about,
        [
            "oci::b::item_4_holds",
            "item 2",
            "item 4",
            "oci::b::item_003_holds",
            "oci::b::item_009_holds"
        ]
    );
}

fn checklist(text: &str) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("out: ") {
            items.last_mut().expect("`out:` stands below an item").is_out = true;
            continue;
        }
        let mut words = line.split_whitespace();
        let Some(number) = words.next().and_then(|word| word.parse().ok()) else { continue };
        let marks = words.next().expect("an item has marks").to_owned();
        let sentence = words.collect::<Vec<_>>().join(" ");
        items.push(Item { number, marks, sentence, is_out: false });
    }
    items
}

/// The names of the tests in this program, as it lists them itself.
fn listed(arguments: &[&str]) -> Vec<String> {
    let program = std::env::current_exe().expect("a program knows where it is");
    let listing = ["--list", "--format", "terse"];
    let output = Command::new(program).args(listing).args(arguments).output();
    let output = output.expect("this program can be started again");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("names are text");
    let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
    names.filter(|name| name.contains("oci::")).map(ToOwned::to_owned).collect()
}

/// The tests of each item; those below `None` name no item.
fn numbers(tests: &[String]) -> BTreeMap<Option<u32>, Vec<&String>> {
    let mut numbers: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for test in tests.iter().filter(|test| !test.starts_with("oci::coverage::")) {
        numbers.entry(number(test)).or_default().push(test);
    }
    numbers
}

/// The number in `item_NNN_<sentence>`.
fn number(test: &str) -> Option<u32> {
    let (_, name) = test.rsplit_once("::")?;
    let (number, _sentence) = name.strip_prefix("item_")?.split_once('_')?;
    if number.len() == 3 { number.parse().ok() } else { None }
}

fn complaints(items: &[Item], tested: &BTreeMap<Option<u32>, Vec<&String>>) -> Vec<String> {
    let nameless = tested.get(&None).into_iter().flatten();
    let mut complaints: Vec<String> =
        nameless.map(|test| format!("{test}: is not called item_NNN_<sentence>")).collect();
    let in_scope: BTreeSet<u32> =
        items.iter().filter(|item| !item.is_out).map(|item| item.number).collect();
    for item in items.iter().filter(|item| in_scope.contains(&item.number)) {
        if !tested.contains_key(&Some(item.number)) {
            complaints.push(format!("item {}: has no test: {}", item.number, item.sentence));
        }
    }
    for (number, tests) in tested {
        if number.is_some_and(|number| !in_scope.contains(&number)) {
            let strange =
                |test| format!("{test}: its item is out of scope, or not in the checklist");
            complaints.extend(tests.iter().map(strange));
        }
    }
    complaints
}
