//! What each account may do at the door itself: what clients ask for in no other way is refused there too.

use registry_store::digest::Digest;
use registry_tests::peers::Curl;
use serde_json::Value;

use super::in_each_way;
use super::team::{Team, Way};

in_each_way! {
    who_may_only_read_is_refused_all_else
    a_mount_from_a_project_that_he_may_not_see_does_not_happen
}

const LAYER: &str = "a layer of zoo";

/// Somebody with curl and with what his token is for, if he has one.
struct Somebody {
    curl: Curl,
    registry: String,
}

impl Somebody {
    fn new(team: &Team, account: Option<&str>, scope: &str) -> Self {
        let given = team.given(account);
        let [ca, certificate, key] =
            ["ca.crt", "client.cert", "client.key"].map(|it| given.join(it).display().to_string());
        let registry = format!("https://{}", team.address());
        let user = account.map(|account| format!("{account}:secret"));
        let curl = match (team.way, &user) {
            (Way::Certificate, Some(_)) => {
                Curl::new(&["--cacert", &ca, "--cert", &certificate, "--key", &key])
            }
            (Way::Password, Some(user)) => Curl::new(&["--cacert", &ca, "--user", user]),
            (Way::Password | Way::Certificate, None) => Curl::new(&["--cacert", &ca]),
            (Way::Token, user) => {
                let mut asks = vec!["--cacert", &ca];
                asks.extend(user.iter().flat_map(|user| ["--user", user]));
                let url = format!("{registry}/token?service=registry&scope={scope}");
                let (status, answer) = Curl::new(&asks).ask("GET", &url, &[]);
                assert_eq!(status, 200, "{answer}");
                let answer: Value = serde_json::from_str(&answer).unwrap();
                let token = answer["token"].as_str().unwrap();
                Curl::new(&["--cacert", &ca, "--header", &format!("Authorization: Bearer {token}")])
            }
        };
        Self { curl, registry }
    }

    fn ask(&self, request: &str) -> (u16, String) {
        let (method, path) = request.split_once(' ').unwrap();
        self.curl.ask(method, &format!("{}{path}", self.registry), &[])
    }

    fn status(&self, request: &str) -> u16 {
        self.ask(request).0
    }

    /// Pushes a layer in one request, and returns its digest.
    fn push(&self, repository: &str) -> Digest {
        let digest = Digest::sha256(LAYER.as_bytes());
        let url = format!("{}/v2/{repository}/blobs/uploads/?digest={digest}", self.registry);
        let octets = "Content-Type: application/octet-stream";
        let flags = ["--header", octets, "--data-binary", LAYER];
        assert_eq!(self.curl.ask("POST", &url, &flags).0, 201);
        digest
    }
}

const ALL: &str =
    "repository:api/app:pull,push,delete+repository:zoo/app:pull,push,delete+registry:catalog:*";

fn who_may_only_read_is_refused_all_else(way: Way) {
    let team = Team::new(way);
    let admin = Somebody::new(&team, Some("admin"), ALL);
    let digest = admin.push("api/app");
    admin.push("zoo/app");
    let requests = [
        "GET /v2/_catalog".to_owned(),
        "POST /v2/api/app/blobs/uploads/".to_owned(),
        format!("POST /v2/api/app/blobs/uploads/?mount={digest}&from=zoo/app"),
        "PUT /v2/api/app/manifests/1".to_owned(),
        format!("DELETE /v2/api/app/blobs/{digest}"),
        format!("DELETE /v2/api/app/manifests/{digest}"),
        "DELETE /v2/api/app/manifests/1".to_owned(),
        "GET /v2/zoo/app/tags/list".to_owned(),
        "GET /v2/zoo/app/manifests/1".to_owned(),
        format!("GET /v2/zoo/app/blobs/{digest}"),
        format!("GET /v2/zoo/app/referrers/{digest}"),
        format!("DELETE /v2/zoo/app/blobs/{digest}"),
    ];
    let own = format!("GET /v2/api/app/blobs/{digest}");
    let reader = Somebody::new(&team, Some("api"), ALL);
    assert_eq!(reader.ask(&own), (200, LAYER.to_owned()));
    for request in &requests {
        assert_eq!(reader.status(request), 403, "{request}");
        // Nor is he told whether it is there: he is told what he asked for.
        let elsewhere = request.replace("zoo/app", "zoo/none");
        let (status, told) = reader.ask(&elsewhere);
        let told = told.replace("zoo/none", "zoo/app");
        assert_eq!(reader.ask(request), (status, told), "{request}");
    }
    // Who could say who he is is asked to.
    let refused = if way == Way::Certificate { 403 } else { 401 };
    let nobody = Somebody::new(&team, None, ALL);
    for request in requests.iter().chain([&own]) {
        assert_eq!(nobody.status(request), refused, "{request}");
    }
    assert_eq!(admin.ask(&own), (200, LAYER.to_owned()));
    let (status, names) = admin.ask("GET /v2/_catalog");
    assert_eq!((status, names.trim()), (200, r#"{"repositories":["api/app","zoo/app"]}"#));
}

fn a_mount_from_a_project_that_he_may_not_see_does_not_happen(way: Way) {
    let team = Team::new(way);
    let owner = Somebody::new(&team, Some("zoo-push"), "repository:zoo/app:pull,push");
    let digest = owner.push("zoo/app");
    let mount = format!("POST /v2/api/app/blobs/uploads/?mount={digest}&from=zoo/app");
    let there = format!("HEAD /v2/api/app/blobs/{digest}");
    let pusher = Somebody::new(&team, Some("api-push"), ALL);
    assert_eq!((pusher.status(&mount), pusher.status(&there)), (202, 404));
    let admin = Somebody::new(&team, Some("admin"), ALL);
    assert_eq!((admin.status(&mount), pusher.status(&there)), (201, 200));
}
