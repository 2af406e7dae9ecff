//! What a token service is asked: the fields of a query or a form, and scopes.

use percent_encoding::percent_decode_str;
use registry_store::name::RepositoryName;

use super::{Granted, Kind};
use crate::auth::policy::Policy;
use crate::auth::principal::Principal;
use crate::auth::{Access, Action};

/// The most scopes that one token can be asked for; what comes behind is passed over. A mount needs two.
const SCOPES_MAX: usize = 100;

/// Fields of `application/x-www-form-urlencoded`: a query has that form too, as clients make it.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn parse(text: &str) -> Self {
        let decode = |text: &str| {
            let spaced = text.replace('+', " ");
            percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(pairs.map(|(name, value)| (decode(name), decode(value))).collect())
    }

    /// The first value of a field; an empty one is none.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let same = move |(key, value): &&(String, String)| key == name && !value.is_empty();
        self.0.iter().filter(same).map(|(_, value)| value.as_str())
    }

    /// What of that which is asked for the policy allows: each `scope`, of which a field may hold several with spaces
    /// between. What is not allowed, not known or not understood is left out, and never an error: clients ask for
    /// more than they need, and are told when they use it.
    pub(super) fn granted(&self, policy: &Policy, who: &Principal) -> Vec<Granted> {
        let scopes = self.all("scope").flat_map(str::split_whitespace).take(SCOPES_MAX);
        let mut granted: Vec<Granted> = Vec::new();
        for one in scopes.filter_map(|scope| of_scope(scope, policy, who)) {
            match granted.iter_mut().find(|it| it.kind == one.kind && it.name == one.name) {
                Some(same) => {
                    let news = one.actions.into_iter().filter(|it| !same.actions.contains(it));
                    let news: Vec<&str> = news.collect();
                    same.actions.extend(news);
                }
                None => granted.push(one),
            }
        }
        granted
    }
}

/// `repository:NAME:ACTION,ACTION`, or `registry:catalog:*`. `*` is every action. A class, as in `repository(plugin)`, is
/// passed over; nothing but a repository has one.
fn of_scope(scope: &str, policy: &Policy, who: &Principal) -> Option<Granted> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    let asks = |action: &str| actions.split(',').any(|asked| asked == action || asked == "*");
    let (kind, actions): (_, Vec<&'static str>) = match kind_of(kind)? {
        kind @ Kind::Repository => {
            let repository: RepositoryName = name.parse().ok()?;
            let all = [(Action::Pull, "pull"), (Action::Push, "push"), (Action::Delete, "delete")];
            let is_allowed = |action| {
                policy.allows(who, &Access::Repository { name: repository.clone(), action })
            };
            let granted =
                all.into_iter().filter(|(action, word)| asks(word) && is_allowed(*action));
            (kind, granted.map(|(_, word)| word).collect())
        }
        kind @ Kind::Registry if name == "catalog" => {
            let is_allowed = asks("*") && policy.allows(who, &Access::Catalog);
            (kind, is_allowed.then_some("*").into_iter().collect())
        }
        Kind::Registry => return None,
    };
    (!actions.is_empty()).then(|| Granted { kind, name: name.to_owned(), actions })
}

fn kind_of(text: &str) -> Option<Kind> {
    match text.split_once('(') {
        None if text == "repository" => Some(Kind::Repository),
        None if text == "registry" => Some(Kind::Registry),
        Some(("repository", class)) => {
            let class = class.strip_suffix(')')?;
            let is_class = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            (!class.is_empty() && class.bytes().all(is_class)).then_some(Kind::Repository)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::policy::Rule;

    fn granted(query: &str) -> String {
        let rule = |place: &str, may: &str| Rule {
            who: vec!["user:ann".parse().unwrap()],
            places: vec![place.parse().unwrap()],
            may: may.parse().unwrap(),
        };
        let policy = Policy::new([rule("app/**", "RW"), rule("all", "RWD"), rule("**", "S")]);
        let ann = Principal::User("ann".to_owned());
        super::super::scope_of(&Fields::parse(query).granted(&policy, &ann))
    }

    #[test]
    fn what_is_granted_is_what_is_asked_for_and_allowed() {
        for (query, expected) in [
            ("", ""),
            ("scope=", ""),
            ("scope=repository:app/x:pull", "repository:app/x:pull"),
            ("scope=repository%3Aapp%2Fx%3Apush%2Cpull", "repository:app/x:pull,push"),
            ("scope=repository:app/x:*", "repository:app/x:pull,push"),
            ("scope=repository:app/x:delete", ""),
            ("scope=repository:all:pull,*", "repository:all:pull,push,delete"),
            ("scope=repository:zoo:pull", ""),
            ("scope=repository:app:pull", ""),
            ("scope=repository:**:pull", ""),
            ("scope=repository:app/**:pull", ""),
            ("scope=repository:app/x:PULL", ""),
            ("scope=repository:app/x", ""),
            ("scope=registry:catalog:*", "registry:catalog:*"),
            ("scope=registry:catalog:pull", ""),
            ("scope=registry:all:*", ""),
            ("scope=repository:catalog:*", ""),
            ("scope=repository(plugin):app/x:pull", "repository:app/x:pull"),
            ("scope=repository(x):catalog:*", ""),
            ("scope=registry(x):catalog:*", ""),
            ("scope=registry(:catalog:*", ""),
            ("scope=registry():catalog:*", ""),
            ("scope=registry(repository):catalog:*", ""),
            ("scope=repository():app/x:pull", ""),
            ("scope=repository(:app/x:pull", ""),
            ("scope=repository(a)(b):app/x:pull", ""),
            ("scope=repository(a)b:app/x:pull", ""),
            ("scope=repository(A):app/x:pull", ""),
            ("scope=(x):app/x:pull", ""),
            ("scope=a:b:c&scope=:::&scope=x", ""),
            (
                "service=s&scope=repository:app/x:pull+repository:zoo:pull%20repository:app/y:pull",
                "repository:app/x:pull repository:app/y:pull",
            ),
            (
                "scope=repository:app/x:pull&scope=repository:app/x:pull,push",
                "repository:app/x:pull,push",
            ),
        ] {
            assert_eq!(granted(query), expected, "{query}");
        }
    }

    #[test]
    fn a_token_is_for_so_many_repositories_and_no_more() {
        let query: String =
            (0..=SCOPES_MAX).map(|n| format!("scope=repository:app/{n}:pull&")).collect();
        assert_eq!(granted(&query).split(' ').count(), SCOPES_MAX);
    }
}
