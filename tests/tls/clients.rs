//! What is asked of clients.

use registry_http::serve::tls::{ClientAuth, TlsOptions};
use registry_tests::certificates::{Authority, Identity, Wanted};

use crate::served::{Files, Served};
use registry_tests::tls_client::{ONLY_12, ONLY_13};

/// What a client that shows something is told: its name, that it is nobody, or nothing, as there is no TLS.
type Told = Option<&'static str>;

/// A client of each kind.
struct Clients {
    authority: Authority,
    shown: [Option<Identity>; 5],
}

const KINDS: [&str; 5] =
    ["no certificate", "a good one", "of another authority", "one that ran out", "a server's"];

impl Clients {
    fn new() -> Self {
        let authority = Authority::new("clients");
        let alice = Wanted::client("alice");
        let shown = [
            None,
            Some(authority.issue(&alice)),
            Some(Authority::new("clients").issue(&alice)),
            Some(authority.issue(&alice.clone().expired())),
            Some(authority.issue(&Wanted::server())),
        ];
        Self { authority, shown }
    }
}

/// Asks with each kind of certificate, in both versions.
async fn each_is_told(mode: impl Fn(&Files, &Authority) -> ClientAuth, expected: [Told; 5]) {
    let (files, clients) = (Files::new(), Clients::new());
    let auth = mode(&files, &clients.authority);
    let served = Served::with(TlsOptions { clients: auth.clone(), ..files.options() }).await;
    for ((shown, expected), kind) in clients.shown.iter().zip(expected).zip(KINDS) {
        for versions in [ONLY_12, ONLY_13] {
            let client = files.client().speaks(versions);
            let client = match shown {
                Some(identity) => client.is(identity),
                None => client,
            };
            let told = client.ask(served.address).await.ok();
            let told = told.as_deref().map(|told| told.rsplit_once(": ").unwrap().1);
            assert_eq!(told, expected, "{auth:?}: {kind}");
        }
    }
}

const NOBODY: Told = Some("nobody");
const ALICE: Told = Some("alice []");

#[tokio::test]
async fn nothing_is_asked_for_unless_it_is_said() {
    each_is_told(|_, _| ClientAuth::None, [NOBODY; 5]).await;
}

#[tokio::test]
async fn a_certificate_that_is_only_requested_says_nothing() {
    each_is_told(|_, _| ClientAuth::Request, [NOBODY; 5]).await;
}

#[tokio::test]
async fn any_certificate_opens_the_door_where_any_does_and_says_nothing() {
    let expected = [None, NOBODY, NOBODY, NOBODY, NOBODY];
    each_is_told(|_, _| ClientAuth::RequireAny, expected).await;
}

/// Whoever shows a certificate has its key, even where nobody asks who made it.
#[tokio::test]
async fn somebody_else_s_certificate_opens_no_door() {
    let (files, clients) = (Files::new(), Authority::new("clients"));
    let [alice, mallory] = ["alice", "mallory"].map(|name| clients.issue(&Wanted::client(name)));
    let stolen = Identity { key: mallory.key, ..alice };
    let authorities = files.authority_of_clients(&clients);
    for auth in [
        ClientAuth::Request,
        ClientAuth::RequireAny,
        ClientAuth::VerifyIfGiven(authorities.clone()),
        ClientAuth::Require(authorities),
    ] {
        let served = Served::with(TlsOptions { clients: auth.clone(), ..files.options() }).await;
        for versions in [ONLY_12, ONLY_13] {
            let client = files.client().speaks(versions).is(&stolen);
            let told = client.ask(served.address).await;
            assert!(told.is_err(), "{auth:?}: {told:?}");
        }
    }
}

#[tokio::test]
async fn one_that_is_given_is_verified_where_it_need_not_be() {
    let mode = |files: &Files, authority: &Authority| {
        ClientAuth::VerifyIfGiven(files.authority_of_clients(authority))
    };
    each_is_told(mode, [NOBODY, ALICE, None, None, None]).await;
}

#[tokio::test]
async fn one_that_is_required_is_verified() {
    let mode = |files: &Files, authority: &Authority| {
        ClientAuth::Require(files.authority_of_clients(authority))
    };
    each_is_told(mode, [None, ALICE, None, None, None]).await;
}

#[tokio::test]
async fn all_names_of_a_verified_certificate_are_told_over_http_2_too() {
    let (files, authority) = (Files::new(), Authority::new("clients"));
    let clients = ClientAuth::Require(files.authority_of_clients(&authority));
    let served = Served::with(TlsOptions { clients, ..files.options() }).await;
    let wanted = Wanted::client("build bot").also_called("bot.ci", "bot@ci", "spiffe://ci/bot");
    let client = files.client().is(&authority.issue(&wanted)).offers(&["h2"]);
    let told = client.ask(served.address).await.unwrap();
    assert_eq!(told, "HTTP/2.0 over TLS from 127.0.0.1: build bot [bot.ci bot@ci spiffe://ci/bot]");
}
