//! The files of `specification/`, read: what is asked in each case, and what is expected.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use registry_http::{Locations, Options};
use registry_store::backend::ErrorKind;

use crate::gate::Gate;

/// A file of the table.
pub(crate) struct Page {
    pub(crate) name: String,
    /// What stands outside of the cases.
    pub(crate) prose: Vec<String>,
    pub(crate) cases: Vec<Case>,
}

/// A sentence of the specification, and the requests that show it.
pub(crate) struct Case {
    /// Which file, line and sentence.
    pub(crate) title: String,
    pub(crate) options: Options,
    /// What was done to the storage beforehand.
    pub(crate) beforehand: Vec<String>,
    /// How the first call of each request to the storage fails.
    pub(crate) fault: Option<ErrorKind>,
    pub(crate) exchanges: Vec<Exchange>,
}

/// A request and what is expected of its answer, both as lines.
#[derive(Default)]
pub(crate) struct Exchange {
    pub(crate) request: Vec<String>,
    pub(crate) expected: Vec<String>,
}

/// All files, by name.
pub(crate) fn pages() -> Vec<Page> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("http/specification");
    let entries = fs::read_dir(directory).expect("the specification is a directory");
    let paths = entries.map(|entry| entry.expect("an entry that can be read").path());
    let mut pages: Vec<Page> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| {
            let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
            Page::parse(name, &fs::read_to_string(path).expect("a file of text"))
        })
        .collect();
    pages.sort_by(|a, b| a.name.cmp(&b.name));
    pages
}

impl Page {
    fn parse(name: String, text: &str) -> Self {
        let mut page = Self { name, prose: Vec::new(), cases: Vec::new() };
        let mut in_prose = true;
        for (number, line) in text.lines().enumerate() {
            if let Some(title) = line.strip_prefix("# ") {
                in_prose = false;
                let title = format!("{}, line {}: {title}", page.name, number + 1);
                page.cases.push(Case::new(title));
            } else if in_prose || line.starts_with("## ") {
                in_prose = true;
                page.prose.push(line.to_owned());
            } else {
                let case = page.cases.last_mut().expect("prose goes before the first case");
                assert!(case.take(line), "{}, line {}: what is {line:?}?", page.name, number + 1);
            }
        }
        page
    }
}

impl Case {
    fn new(title: String) -> Self {
        Self {
            title,
            options: Options::default(),
            beforehand: Vec::new(),
            fault: None,
            exchanges: Vec::new(),
        }
    }

    /// `false` if the line is of no meaning here.
    fn take(&mut self, line: &str) -> bool {
        let (mark, rest) = line.split_at(line.len().min(1));
        let rest = rest.strip_prefix(' ').unwrap_or(rest).to_owned();
        match (mark, self.exchanges.last_mut()) {
            ("@", _) => self.circumstance(rest),
            (">", Some(last)) if last.expected.is_empty() => last.request.push(rest),
            (">", _) => {
                self.exchanges.push(Exchange { request: vec![rest], expected: Vec::new() });
            }
            ("<", Some(last)) => last.expected.push(rest),
            _ => return line.trim().is_empty(),
        }
        true
    }

    /// An option of the registry; or else what was done to its storage.
    fn circumstance(&mut self, text: String) {
        let options = &mut self.options;
        match text.as_str() {
            "deletion is off" => options.delete = false,
            "read-only" => options.read_only = true,
            "no mounts from anywhere" => options.mount_from_anywhere = false,
            "at most 2 tags on a page" => options.tags_max = 2,
            "at most 1 repository on a page" => options.catalog_max = 1,
            "at most 2 repositories on a page" => options.catalog_max = 2,
            "2 repositories on a page by default" => options.catalog_default = 2,
            "at most 1 referrer on a page" => options.referrers_max = 1,
            "locations as the request" => options.locations = Locations::FromRequest,
            "locations under https://one.example/registry" => {
                options.locations = Locations::Under("https://one.example/registry".to_owned());
            }
            "paths begin with /registry" => "/registry".clone_into(&mut options.path_prefix),
            "a password is needed" => options.authorizer = Some(Arc::new(Gate::Password)),
            "nobody may do anything" => options.authorizer = Some(Arc::new(Gate::Closed)),
            "nobody may touch zoo" => options.authorizer = Some(Arc::new(Gate::NotTheZoo)),
            "everybody asks too often" => options.authorizer = Some(Arc::new(Gate::TooOften)),
            "who may do what cannot be told" => {
                options.authorizer = Some(Arc::new(Gate::OutOfReach));
            }
            "the storage is full" => self.fault = Some(ErrorKind::Full),
            "the storage is busy" => self.fault = Some(ErrorKind::Busy),
            "the storage is out of reach" => self.fault = Some(ErrorKind::Unavailable),
            "the storage is broken" => self.fault = Some(ErrorKind::Io),
            _ => self.beforehand.push(text),
        }
    }
}
