//! [`Policy`]: who may do what in which repositories; [`PolicyAuthorizer`]: asked of each request.
//!
//! A rule allows; none forbids. What nobody is allowed by any rule is not done. Rules are of
//!
//! * whom ([`Who`]): a user, the holder of a client's certificate, the subject of a token of another service, or all
//!   who are known;
//! * where ([`Place`]): a repository, all below a prefix, or everywhere;
//! * what ([`Rights`]): letters, `R` pull, `W` push, `D` delete, `S` being listed in the catalog, `M` manage.
//!
//! Rules can be replaced while they are asked: [`CurrentPolicy`].
//!
//! ```
//! use std::sync::Arc;
//!
//! use registry_http::Options;
//! use registry_http::auth::credentials::Credentials;
//! use registry_http::auth::htpasswd::Htpasswd;
//! use registry_http::auth::policy::{Policy, PolicyAuthorizer, Rule, Who};
//! use registry_store::options::SystemRandom;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let file = directory.path().join("htpasswd");
//! # std::fs::write(&file, "")?;
//! let policy = Policy::new([
//!     Rule { who: vec![Who::Everybody], places: vec!["public/**".parse()?], may: "R".parse()? },
//!     Rule { who: vec!["user:builder".parse()?], places: vec!["**".parse()?], may: "RW".parse()? },
//! ]);
//! let users = Arc::new(Htpasswd::open(&file, &SystemRandom)?);
//! let authorizer = PolicyAuthorizer::new(policy, Credentials::none().with_users(users)).with_basic("my registry")?;
//! let options = Options { authorizer: Some(Arc::new(authorizer)), ..Options::default() };
//! # Ok(())
//! # }
//! ```

mod authorizer;
mod current;
mod rights;
mod who;

use super::{Access, Action};

pub use self::authorizer::PolicyAuthorizer;
pub use self::current::CurrentPolicy;
pub use self::rights::{NoRights, Right, Rights};
pub use self::who::{Field, Name, Nobody, Who};
pub use super::place::{NoPlace, Place};
pub use super::principal::Principal;

/// Rules. The default has none, and allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    rules: Vec<Rule>,
}

/// Allows each of some to do something in each of some places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whom.
    pub who: Vec<Who>,
    /// Where.
    pub places: Vec<Place>,
    /// What.
    pub may: Rights,
}

impl Policy {
    /// Of these rules.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self { rules: rules.into_iter().collect() }
    }

    /// The rules, as they were given.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Where the repositories are that the catalog lists for somebody.
    pub fn listed_for(&self, who: &Principal) -> Vec<Place> {
        let rules = self.rules.iter().filter(|rule| rule.may.has(Right::Search));
        let rules = rules.filter(|rule| rule.who.iter().any(|one| one.is(who)));
        rules.flat_map(|rule| rule.places.iter().cloned()).collect()
    }

    /// Whether any rule allows this.
    pub fn allows(&self, who: &Principal, access: &Access) -> bool {
        self.rules.iter().any(|rule| {
            let (right, is_there) = match access {
                Access::Catalog => (Right::Search, !rule.places.is_empty()),
                Access::Repository { name, action } => {
                    let right = match action {
                        Action::Pull => Right::Pull,
                        Action::Push => Right::Push,
                        Action::Delete => Right::Delete,
                    };
                    (right, rule.places.iter().any(|place| place.has(name)))
                }
            };
            is_there && rule.may.has(right) && rule.who.iter().any(|one| one.is(who))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(who: &str, place: &str, may: &str) -> Rule {
        let who = if who == "everybody" { Who::Everybody } else { who.parse().unwrap() };
        Rule { who: vec![who], places: vec![place.parse().unwrap()], may: may.parse().unwrap() }
    }

    #[test]
    fn what_any_rule_allows_is_allowed_and_nothing_else() {
        let policy = Policy::new([
            rule("everybody", "public/**", "R"),
            rule("user:puller", "app/**", "RS"),
            rule("user:pusher", "app/**", "R"),
            rule("user:pusher", "app/**", "W"),
            rule("user:root", "**", "RWDSM"),
            rule("*", "shared", "R"),
        ]);
        let access = |words: &str| {
            let (action, name) = words.split_once(' ').unwrap();
            let action = match action {
                "R" => Action::Pull,
                "W" => Action::Push,
                "D" => Action::Delete,
                _ => return Access::Catalog,
            };
            Access::Repository { name: name.parse().unwrap(), action }
        };
        let all = [
            "R app/a",
            "W app/a",
            "D app/a",
            "R app",
            "R public/x",
            "W public/x",
            "R shared",
            "R zoo",
            "S -",
        ];
        for (who, may) in [
            ("", &["R public/x"][..]),
            ("stranger", &["R public/x", "R shared"]),
            ("puller", &["R app/a", "R public/x", "R shared", "S -"]),
            ("pusher", &["R app/a", "W app/a", "R public/x", "R shared"]),
            ("root", &all),
        ] {
            let principal = match who {
                "" => Principal::Anonymous,
                name => Principal::User(name.to_owned()),
            };
            for words in all {
                let expected = may.contains(&words);
                assert_eq!(policy.allows(&principal, &access(words)), expected, "{who}: {words}");
            }
            assert!(!Policy::default().allows(&principal, &access("R app/a")));
            let listed = policy.listed_for(&principal);
            let expected: &[&str] = match who {
                "puller" => &["app/**"],
                "root" => &["**"],
                _ => &[],
            };
            assert_eq!(listed.iter().map(Place::to_string).collect::<Vec<_>>(), expected, "{who}");
        }
    }
}
