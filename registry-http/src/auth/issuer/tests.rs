//! What tokens hold, and for how long they are believed.

use std::sync::Mutex;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::Request;
use registry_store::options::SystemRandom;

use super::*;
use crate::auth::credentials::Users;
use crate::auth::policy::{Policy, PolicyAuthorizer, Rule};
use crate::auth::token::TokenError;
use crate::auth::{Access, Action, Authorizer as _, Denial};
use crate::peer::ClientCertificate;

/// A clock that a test sets.
#[derive(Debug)]
struct Hand(Mutex<u64>);

impl Clock for Hand {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(*self.0.lock().unwrap())
    }
}

/// `ann`, whose password can be changed.
#[derive(Debug)]
struct Ann(Mutex<Option<String>>);

#[async_trait::async_trait]
impl Users for Ann {
    async fn is_right(&self, _: &Parts, name: &str, password: &str) -> Result<bool, BodyError> {
        Ok(name == "ann" && self.0.lock().unwrap().as_deref() == Some(password))
    }

    async fn mark(&self, name: &str) -> Result<Option<String>, BodyError> {
        let password = self.0.lock().unwrap().clone();
        Ok(password.filter(|_| name == "ann").map(|it| format!("mark of {it}")))
    }
}

const NOW: u64 = 1_800_000_000;

fn service() -> (Arc<Hand>, Arc<Ann>, TokenService) {
    service_of(&SigningKey::generate().unwrap(), "us", "registry")
}

fn service_of(pem: &str, name: &str, of: &str) -> (Arc<Hand>, Arc<Ann>, TokenService) {
    let clock = Arc::new(Hand(Mutex::new(NOW)));
    let ann = Arc::new(Ann(Mutex::new(Some("secret".to_owned()))));
    let options = StoreOptions {
        clock: Arc::<Hand>::clone(&clock),
        random: Arc::new(SystemRandom),
        ..StoreOptions::default()
    };
    let key = SigningKey::from_pem(pem.as_bytes()).unwrap();
    let issuer = Issuer::new(key, name, of, &options);
    let policy = Policy::new([Rule {
        who: vec!["user:ann".parse().unwrap()],
        places: vec!["app".parse().unwrap()],
        may: "R".parse().unwrap(),
    }]);
    let credentials = Credentials::none().with_users(Arc::<Ann>::clone(&ann));
    (clock, ann, TokenService::new(issuer, credentials, policy))
}

async fn form(service: &TokenService, form: &str) -> Result<Value, NoToken> {
    let (head, ()) = Request::post("/token").body(()).unwrap().into_parts();
    service.by_form(&head, form.as_bytes()).await.map(|made| made.answer)
}

const LOGIN: &str =
    "grant_type=password&username=ann&password=secret&access_type=offline&client_id=t";

#[tokio::test]
async fn a_token_says_whose_it_is_for_whom_and_for_how_long() {
    let (_, _, service) = service();
    let scoped = format!("{LOGIN}&service=registry&scope=repository:app:pull,push");
    let answer = form(&service, &scoped).await.unwrap();
    assert_eq!(answer["token"], answer["access_token"]);
    assert_eq!((&answer["expires_in"], &answer["token_type"]), (&json!(300), &json!("Bearer")));
    assert_eq!(answer["issued_at"], "2027-01-15T08:00:00Z");
    assert_eq!(answer["scope"], "repository:app:pull");
    let decoded = |part: &str| -> Value {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let token = answer["token"].as_str().unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": service.issuer.key.id()});
    assert_eq!(decoded(parts[0]), header);
    let mut claims = decoded(parts[1]);
    assert_eq!(claims["jti"].as_str().map(str::len), Some(32));
    claims.as_object_mut().unwrap().remove("jti");
    let access = json!([{"type": "repository", "name": "app", "actions": ["pull"]}]);
    assert_eq!(
        claims,
        json!({
            "iss": "us", "sub": "ann", "aud": "registry", "holder": {"user": "ann"}, "access": access,
            "iat": NOW, "nbf": NOW, "exp": NOW + 300,
        })
    );
}

#[tokio::test]
async fn a_token_is_believed_until_it_has_expired() {
    let (clock, _, service) = service();
    let answer = form(&service, LOGIN).await.unwrap();
    let token = answer["token"].as_str().unwrap();
    let verifier = service.verifier();
    for (later, verdict) in [(0, Ok(())), (360, Ok(())), (361, Err(TokenError::Expired))] {
        *clock.0.lock().unwrap() = NOW + later;
        assert_eq!(verifier.verify(token).await.map(drop), verdict, "{later}");
    }
}

#[tokio::test]
async fn a_refresh_token_serves_until_the_password_changes_the_user_goes_or_it_expires() {
    let (clock, ann, service) = service();
    let answer = form(&service, LOGIN).await.unwrap();
    let refresh = answer["refresh_token"].as_str().unwrap();
    let again =
        format!("grant_type=refresh_token&refresh_token={refresh}&scope=repository:app:pull");
    let fetched = form(&service, &again).await.unwrap();
    assert_eq!(fetched["scope"], "repository:app:pull");
    assert_eq!(fetched["refresh_token"], Value::Null);
    // The one does not do for the other.
    assert_eq!(service.verifier().verify(refresh).await, Err(TokenError::Use));
    let access = answer["token"].as_str().unwrap();
    let with_access = format!("grant_type=refresh_token&refresh_token={access}");
    assert!(matches!(form(&service, &with_access).await, Err(NoToken::Credentials)));

    *ann.0.lock().unwrap() = Some("other".to_owned());
    assert!(matches!(form(&service, &again).await, Err(NoToken::Credentials)));
    *ann.0.lock().unwrap() = None;
    assert!(matches!(form(&service, &again).await, Err(NoToken::Credentials)));
    *ann.0.lock().unwrap() = Some("secret".to_owned());
    assert!(form(&service, &again).await.is_ok());
    *clock.0.lock().unwrap() = NOW + 30 * 24 * 3600 + 61;
    assert!(matches!(form(&service, &again).await, Err(NoToken::Credentials)));
}

#[tokio::test]
async fn who_is_not_known_by_password_gets_nothing_to_fetch_tokens_with() {
    let (_, _, service) = service();
    let request =
        Request::get("/token?offline_token=true&scope=repository:app:pull").body(()).unwrap();
    let answer = service.by_query(&request.into_parts().0).await.unwrap().answer;
    assert_eq!((&answer["refresh_token"], &answer["scope"]), (&Value::Null, &json!("")));
    for (bad, what) in [
        ("grant_type=password&username=ann&password=wrong", "credentials"),
        ("grant_type=password&username=bob&password=secret", "credentials"),
        ("grant_type=password&username=ann", "credentials"),
        ("grant_type=refresh_token&refresh_token=x.y.z", "credentials"),
        ("grant_type=client_credentials", "grant type"),
        ("username=ann&password=secret", "request"),
        ("grant_type=password", "request"),
        ("grant_type=password&username=ann&password=secret&service=other", "request"),
    ] {
        let found = match form(&service, bad).await.unwrap_err() {
            NoToken::Credentials => "credentials",
            NoToken::GrantType => "grant type",
            NoToken::Request(_) => "request",
            NoToken::Unavailable(_) => "unavailable",
        };
        assert_eq!(found, what, "{bad}");
    }
}

/// Whether who has `token` may pull `app` by it, and whose repositories the catalog lists for him.
async fn may_pull(authorizer: &PolicyAuthorizer, token: &str) -> Result<String, Denial> {
    let head = Request::get("/v2/app/tags/list").header("authorization", format!("Bearer {token}"));
    let pull = Access::Repository { name: "app".parse().unwrap(), action: Action::Pull };
    let head = head.body(()).unwrap().into_parts().0;
    let actor = authorizer.authorize(&head, &[pull, Access::Catalog]).await?;
    Ok(actor.sees().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

#[tokio::test]
async fn what_a_token_lets_do_is_cut_to_the_rules_that_count_when_it_is_used() {
    let key = SigningKey::from_pem(SigningKey::generate().unwrap().as_bytes()).unwrap();
    let issuer = Issuer::new(key, "us", "registry", &StoreOptions::default());
    let policy = |who: &[&str]| {
        let who = who.iter().map(|who| who.parse().unwrap()).collect();
        let (places, may) = (vec!["app".parse().unwrap()], "RS".parse().unwrap());
        Policy::new([Rule { who, places, may }])
    };
    let both = policy(&["user:ann", "certificate:CN=builder"]);
    let current = CurrentPolicy::from(both.clone());
    let ann = Arc::new(Ann(Mutex::new(Some("secret".to_owned()))));
    let credentials = Credentials::none().with_users(ann).with_certificates();
    let service = TokenService::new(issuer, credentials.clone(), current.clone());
    let authorizer = PolicyAuthorizer::new(current.clone(), credentials)
        .with_own_tokens(service.verifier(), service.challenge());

    let scopes = "scope=repository:app:pull&scope=registry:catalog:*";
    let query = format!("/token?{scopes}");
    let builder = ClientCertificate {
        common_name: Some("builder".to_owned()),
        ..ClientCertificate::default()
    };
    let asked = Request::get(query).extension(builder).body(()).unwrap().into_parts().0;
    let of_builder = service.by_query(&asked).await.unwrap().answer;
    let of_ann = form(&service, &format!("{LOGIN}&{scopes}")).await.unwrap();
    let [of_builder, of_ann] =
        [of_builder, of_ann].map(|it| it["token"].as_str().unwrap().to_owned());
    assert_eq!(may_pull(&authorizer, &of_builder).await.unwrap(), "app");
    assert_eq!(may_pull(&authorizer, &of_ann).await.unwrap(), "app");

    current.set(policy(&["user:ann"]));
    let refused = may_pull(&authorizer, &of_builder).await;
    assert!(matches!(refused, Err(Denial::Denied)), "{refused:?}");
    assert!(may_pull(&authorizer, &of_ann).await.is_ok());
    current.set(policy(&["certificate:CN=builder"]));
    assert!(may_pull(&authorizer, &of_builder).await.is_ok());
    let refused = may_pull(&authorizer, &of_ann).await;
    assert!(matches!(refused, Err(Denial::Denied)), "{refused:?}");
    current.set(both);
    assert!(may_pull(&authorizer, &of_builder).await.is_ok());
}

/// What `service` answers to a token in place of a password.
async fn refreshed(service: &TokenService, token: &str) -> Result<Value, NoToken> {
    form(service, &format!("grant_type=refresh_token&refresh_token={token}")).await
}

#[tokio::test]
async fn no_choice_of_names_makes_a_token_serve_to_something_else() {
    let pem = SigningKey::generate().unwrap();
    let service = |name: &str, of: &str| service_of(&pem, name, of).2;
    let (registry, collides) = (service("us", "registry"), service("us", "refresh registry"));
    let login = form(&registry, LOGIN).await.unwrap();
    let access = form(&collides, LOGIN).await.unwrap();
    let refresh = login["refresh_token"].as_str().unwrap();
    let access = access["token"].as_str().unwrap();
    assert_eq!(collides.verifier().verify(refresh).await, Err(TokenError::Use));
    assert!(collides.verifier().verify(access).await.is_ok());
    // With all that a token to fetch others with says, but that it is one.
    let ann = Principal::User("ann".to_owned());
    let now = collides.issuer.clock.now();
    let marked = json!({ "mark": "mark of secret" });
    let forged = collides.issuer.token(Use::Access, &ann, now, marked).unwrap();
    assert!(matches!(refreshed(&registry, &forged).await, Err(NoToken::Credentials)));
    assert!(refreshed(&registry, refresh).await.is_ok());
}

#[tokio::test]
async fn a_refresh_token_serves_one_service_of_one_issuer_though_others_have_the_key() {
    let pem = SigningKey::generate().unwrap();
    let service = |name: &str, of: &str| service_of(&pem, name, of).2;
    let ours = service("us", "registry");
    for (other, is_taken) in [
        (service("us", "registry"), true),
        (service("us", "other"), false),
        (service("them", "registry"), false),
    ] {
        let login = form(&other, LOGIN).await.unwrap();
        let taken = refreshed(&ours, login["refresh_token"].as_str().unwrap()).await;
        assert_eq!(taken.is_ok(), is_taken);
    }
}

#[tokio::test]
async fn a_refresh_token_is_a_user_s_and_nobody_else_s_though_his_name_is_the_same() {
    let (_, _, service) = service();
    let now = service.issuer.clock.now();
    let certificate =
        ClientCertificate { common_name: Some("ann".to_owned()), ..ClientCertificate::default() };
    for (who, is_taken) in [
        (Principal::User("ann".to_owned()), true),
        (Principal::Certificate(Box::new(certificate)), false),
        (Principal::Subject("ann".to_owned()), false),
        (Principal::Anonymous, false),
    ] {
        let marked = json!({ "mark": "mark of secret" });
        let token = service.issuer.token(Use::Refresh, &who, now, marked).unwrap();
        assert_eq!(refreshed(&service, &token).await.is_ok(), is_taken, "{who:?}");
    }
    let unmarked =
        service.issuer.token(Use::Refresh, &Principal::User("ann".to_owned()), now, json!({}));
    assert!(refreshed(&service, &unmarked.unwrap()).await.is_err());
}

#[tokio::test]
async fn a_token_for_another_service_is_not_asked_for_here_by_get_either() {
    let (_, _, service) = service();
    let ask = async |query: &str| {
        let request = Request::get(format!("/token?{query}")).body(()).unwrap();
        service.by_query(&request.into_parts().0).await
    };
    assert!(ask("service=registry").await.is_ok());
    assert!(ask("").await.is_ok());
    assert!(matches!(ask("service=other").await, Err(NoToken::Request(_))));
}
