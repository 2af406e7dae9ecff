//! Repository names, and the keys made of them.

use registry_store::layout::RepositoryLayout;
use registry_store::name::{MAX_NAME_LENGTH, RepositoryName, is_name_component};

/// The bytes are a list of names, one a line.
pub fn name(data: &[u8]) {
    let texts = data.split(|&b| b == b'\n').flat_map(std::str::from_utf8);
    let names: Vec<RepositoryName> = texts.filter_map(parsed).collect();
    for pair in names.windows(2) {
        is_ordered(&pair[0], &pair[1]);
    }
}

fn parsed(text: &str) -> Option<RepositoryName> {
    let parsed = text.parse::<RepositoryName>();
    let is_one = text.len() <= MAX_NAME_LENGTH && text.split('/').all(is_name_component);
    assert_eq!(parsed.is_ok(), is_one, "a name is of components: {text:?}");
    let name = parsed.ok()?;
    assert_eq!(name.as_str(), text, "what parses prints the same");
    assert_eq!(name.to_string(), text);
    assert_eq!(name.components().collect::<Vec<_>>().join("/"), text);

    // Safe as a path, and never taken for one of the directories that are not repositories.
    for component in name.components() {
        assert!(!component.is_empty() && !component.starts_with(['.', '_', '-']), "{text:?}");
    }
    let root = RepositoryLayout::new(&name).root().to_string();
    assert!(root.ends_with(&format!("/{text}")), "{root}");
    Some(name)
}

/// As if `/` were the lowest character; so a name comes before those nested below it.
fn is_ordered(a: &RepositoryName, b: &RepositoryName) {
    let as_if = |name: &RepositoryName| name.as_str().replace('/', "\0");
    assert_eq!(a.cmp(b), as_if(a).cmp(&as_if(b)), "{a} and {b}");
    assert_eq!(a.cmp(b), b.cmp(a).reverse());
    assert_eq!(a == b, a.as_str() == b.as_str());
}
