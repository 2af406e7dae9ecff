//! [`Claims`]: what a token says, and whether it is said to us and now.

use std::time::SystemTime;

use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};

use super::error::TokenError;
use super::holder::Holder;
use crate::auth::principal::Principal;
use crate::auth::{Access, Action};

/// How many seconds the clock of the issuer may be off, as in Distribution.
const LEEWAY: i64 = 60;

/// What an issuer says of whoever has the token. Members that are not here are passed over.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Claims {
    #[serde(default)]
    iss: Option<String>,
    #[serde(default)]
    aud: Option<Audience>,
    #[serde(default, deserialize_with = "seconds")]
    exp: Option<i64>,
    #[serde(default, deserialize_with = "seconds")]
    nbf: Option<i64>,
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    access: Option<Vec<Granted>>,
    /// In our tokens a [`Holder`]: by what the policy knows who has it. Other issuers say by this name what they like.
    #[serde(default)]
    holder: Option<Value>,
    /// In our tokens that others are fetched with, a string: what stood for the user's password.
    #[serde(default)]
    mark: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Granted {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    actions: Option<Vec<String>>,
}

impl Claims {
    /// Who has the token; `None` if it names nobody.
    pub fn subject(&self) -> Option<&str> {
        self.sub.as_deref().filter(|name| !name.is_empty())
    }

    /// Whom the policy is asked of, if we have made the token. `None` if it does not say so as those of ours do.
    pub(in crate::auth) fn holder(&self) -> Option<Principal> {
        match (&self.holder, self.subject()) {
            (Some(holder), _) => Holder::deserialize(holder).ok().map(Principal::from),
            (None, None) => Some(Principal::Anonymous),
            (None, Some(_)) => None,
        }
    }

    /// What stood for the user's password when the token was made, if it is one that others are fetched with.
    pub(in crate::auth) fn mark(&self) -> Option<&str> {
        self.mark.as_ref()?.as_str()
    }

    /// Whether the token lets do this. `*` is every action.
    pub fn grants(&self, access: &Access) -> bool {
        let (kind, name, action) = match access {
            Access::Catalog => ("registry", "catalog", "*"),
            Access::Repository { name, action } => {
                let action = match action {
                    Action::Pull => "pull",
                    Action::Push => "push",
                    Action::Delete => "delete",
                };
                ("repository", name.as_str(), action)
            }
        };
        self.access.iter().flatten().any(|granted| {
            let mut actions = granted.actions.iter().flatten();
            granted.kind == kind
                && granted.name == name
                && actions.any(|granted| granted == action || granted == "*")
        })
    }

    /// Is it from this issuer, for this service, and good now?
    pub(super) fn check(
        &self,
        issuer: &str,
        service: &str,
        now: SystemTime,
    ) -> Result<(), TokenError> {
        if self.iss.as_deref() != Some(issuer) {
            return Err(TokenError::Issuer);
        }
        let is_ours = match &self.aud {
            None => false,
            Some(Audience::One(one)) => one == service,
            Some(Audience::Many(many)) => many.iter().any(|one| one == service),
        };
        if !is_ours {
            return Err(TokenError::Audience);
        }
        let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        // Without it Distribution reads 1970.
        let expires = self.exp.ok_or(TokenError::Expired)?;
        if now > expires.saturating_add(LEEWAY) {
            return Err(TokenError::Expired);
        }
        match self.nbf {
            Some(begins) if now < begins.saturating_sub(LEEWAY) => Err(TokenError::NotYet),
            _ => Ok(()),
        }
    }
}

/// A NumericDate (RFC 7519 §2), which may have a fraction.
fn seconds<'de, D: Deserializer<'de>>(number: D) -> Result<Option<i64>, D::Error> {
    let number = Option::<Number>::deserialize(number)?;
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, as is meant")]
    let whole = |number: Number| number.as_i64().or_else(|| Some(number.as_f64()? as i64));
    Ok(number.and_then(whole))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn check(claims: Value) -> Result<(), TokenError> {
        let claims: Claims = serde_json::from_value(claims).map_err(|_| TokenError::Malformed)?;
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs());
        claims.check("issuer", "registry", now)
    }

    #[test]
    fn a_token_is_good_from_one_issuer_for_one_service_for_a_while() {
        let good = json!({"iss": "issuer", "aud": "registry", "exp": NOW + 300, "nbf": NOW});
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            check(claims)
        };
        assert_eq!(check(good.clone()), Ok(()));
        for (name, value, verdict) in [
            ("iss", json!("other"), Err(TokenError::Issuer)),
            ("iss", json!(""), Err(TokenError::Issuer)),
            ("iss", json!(null), Err(TokenError::Issuer)),
            ("iss", json!(["issuer"]), Err(TokenError::Malformed)),
            ("aud", json!(["other", "registry"]), Ok(())),
            ("aud", json!(["other"]), Err(TokenError::Audience)),
            ("aud", json!([]), Err(TokenError::Audience)),
            ("aud", json!("registry "), Err(TokenError::Audience)),
            ("aud", json!(null), Err(TokenError::Audience)),
            ("aud", json!(5), Err(TokenError::Malformed)),
            // A minute's leeway at either end.
            ("exp", json!(NOW - 60), Ok(())),
            ("exp", json!(NOW - 61), Err(TokenError::Expired)),
            ("exp", json!(NOW as f64 - 60.0), Ok(())),
            ("exp", json!(1e300), Ok(())),
            ("exp", json!(u64::MAX), Ok(())),
            ("exp", json!(-1), Err(TokenError::Expired)),
            ("exp", json!(0), Err(TokenError::Expired)),
            ("exp", json!(null), Err(TokenError::Expired)),
            ("exp", json!("2100"), Err(TokenError::Malformed)),
            ("nbf", json!(NOW + 60), Ok(())),
            ("nbf", json!(NOW + 61), Err(TokenError::NotYet)),
            ("nbf", json!(i64::MIN), Ok(())),
            ("nbf", json!(null), Ok(())),
            ("access", json!(null), Ok(())),
            ("access", json!("all"), Err(TokenError::Malformed)),
            ("sub", json!(5), Err(TokenError::Malformed)),
            ("jti", json!({"any": "thing"}), Ok(())),
            // Ours by these names are others' by them.
            ("holder", json!("did:example:ann"), Ok(())),
            ("holder", json!({"user": 7}), Ok(())),
            ("holder", json!(null), Ok(())),
            ("mark", json!(7), Ok(())),
            ("mark", json!({"any": "thing"}), Ok(())),
        ] {
            assert_eq!(with(name, value.clone()), verdict, "{name}: {value}");
        }
    }

    #[test]
    fn what_is_granted_is_of_one_type_name_and_action() {
        let grants = |access: Value, wanted: &Access| {
            serde_json::from_value::<Claims>(json!({ "access": access })).unwrap().grants(wanted)
        };
        let to = |action| Access::Repository { name: "a/b".parse().unwrap(), action };
        let one = |kind: &str, name: &str, actions: Value| json!([{"type": kind, "name": name, "actions": actions}]);
        let pull = one("repository", "a/b", json!(["pull"]));
        assert!(grants(pull.clone(), &to(Action::Pull)));
        assert!(!grants(pull.clone(), &to(Action::Push)));
        assert!(!grants(pull, &Access::Catalog));
        let all = one("repository", "a/b", json!(["*"]));
        for action in [Action::Pull, Action::Push, Action::Delete] {
            assert!(grants(all.clone(), &to(action)));
        }
        for not in [
            one("repository", "a", json!(["*"])),
            one("repository", "*", json!(["*"])),
            one("registry", "a/b", json!(["*"])),
            one("repository", "a/b", json!([])),
            one("repository", "a/b", json!(null)),
            json!([{}]),
            json!([]),
            json!(null),
        ] {
            assert!(!grants(not.clone(), &to(Action::Pull)), "{not}");
        }
        assert!(grants(one("registry", "catalog", json!(["*"])), &Access::Catalog));
        assert!(!grants(one("registry", "catalog", json!(["pull"])), &Access::Catalog));
        assert!(!grants(one("repository", "catalog", json!(["*"])), &Access::Catalog));
    }

    #[test]
    fn whom_the_policy_is_asked_of_is_read_in_our_form_alone() {
        let read = |claims: Value| {
            let claims: Claims = serde_json::from_value(claims).unwrap();
            (claims.holder(), claims.mark().map(str::to_owned))
        };
        let ann = Principal::User("ann".to_owned());
        let (holder, mark) = read(json!({"sub": "ann", "holder": {"user": "ann"}, "mark": "m"}));
        assert_eq!((holder, mark.as_deref()), (Some(ann), Some("m")));
        assert_eq!(read(json!({"sub": "ann"})), (None, None));
        assert_eq!(read(json!({})), (Some(Principal::Anonymous), None));
        // Not nobody in particular, who may do what everybody may: it is none of ours.
        for holder in
            [json!("did:example:ann"), json!({"user": 7}), json!({"other": "x"}), json!([])]
        {
            assert_eq!(read(json!({"holder": holder, "mark": 7})), (None, None));
        }
    }

    #[test]
    fn who_has_a_token_may_be_nobody() {
        let subject = |claims: Value| {
            serde_json::from_value::<Claims>(claims).unwrap().subject().map(str::to_owned)
        };
        assert_eq!(subject(json!({"sub": "ann"})).as_deref(), Some("ann"));
        assert_eq!(subject(json!({"sub": ""})), None);
        assert_eq!(subject(json!({})), None);
    }
}
