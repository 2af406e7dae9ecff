//! What each account may do by podman.

use std::fs;

use registry_tests::image::Layout;
use registry_tests::peers::{Podman, Said};
use serde_json::{Value, json};

use super::in_each_way;
use super::team::{Team, Way};

in_each_way! {
    each_account_may_do_what_its_rules_allow
}

/// Somebody with podman, and an image in its storage.
struct Somebody<'t> {
    team: &'t Team,
    podman: Podman,
    given: String,
    image: String,
}

impl<'t> Somebody<'t> {
    /// Logged in, if it is an account.
    fn new(team: &'t Team, account: Option<&str>) -> Self {
        let (podman, given) = (Podman::new(), team.given(account));
        // `podman search` knows no `--cert-dir`.
        let usual = podman.path(&format!(".config/containers/certs.d/{}", team.address()));
        fs::create_dir_all(&usual).unwrap();
        for entry in fs::read_dir(&given).unwrap().map(Result::unwrap) {
            fs::copy(entry.path(), usual.join(entry.file_name())).unwrap();
        }
        // From where podman runs: the path becomes a name, which takes no capital letters.
        Layout::create(&podman.path("images")).add_image("it", "amd64");
        let image = podman.line(&["pull", "--quiet", "--arch=amd64", "oci:images:it"]);
        let given = format!("--cert-dir={}", given.display());
        let this = Self { team, podman, given, image };
        if let Some(account) = account {
            // Who shows a certificate is asked for no password.
            assert_eq!(this.log_in(account, "wrong").success, team.way == Way::Certificate);
            let said = this.log_in(account, "secret");
            assert!(said.success, "{}", said.errors);
        }
        this
    }

    fn log_in(&self, account: &str, password: &str) -> Said {
        let (user, password) = (format!("--username={account}"), format!("--password={password}"));
        let registry = self.team.address().to_string();
        self.podman.try_run(&["login", &self.given, &user, &password, &registry])
    }

    fn name(&self, repository: &str) -> String {
        format!("{}/{repository}", self.team.address())
    }

    fn pushes(&self, repository: &str) -> bool {
        let name = self.name(&format!("{repository}:it"));
        self.podman.try_run(&["push", "--quiet", &self.given, &self.image, &name]).success
    }

    /// By its digest: what is pulled has the id of what was pushed.
    fn pulls(&self, repository: &str) -> bool {
        let name = self.name(&format!("{repository}:it"));
        let pull = ["pull", "--quiet", &self.given, "--arch=amd64", &name];
        let said = self.podman.try_run(&pull);
        assert!(!said.success || String::from_utf8_lossy(&said.output).trim() == self.image);
        said.success
    }

    fn lists(&self, repository: &str) -> bool {
        let found = self.search(&["--list-tags"], repository);
        assert!(found.iter().all(|one| one["Tags"] == json!(["it"])), "{found:?}");
        !found.is_empty()
    }

    /// The names of repositories with this in them.
    fn finds(&self, term: &str) -> Vec<String> {
        let found = self.search(&[], term);
        let mut names: Vec<String> =
            found.iter().map(|one| one["Name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// One that is refused may end well, and has found nothing.
    fn search(&self, flags: &[&str], term: &str) -> Vec<Value> {
        let term = self.name(term);
        let said = self.podman.try_run(&[&["search", "--format=json"], flags, &[&term]].concat());
        serde_json::from_slice(&said.output).unwrap_or_default()
    }
}

fn each_account_may_do_what_its_rules_allow(way: Way) {
    let team = Team::new(way);
    let somebody = |account| Somebody::new(&team, account);
    assert!(somebody(Some("zoo-push")).pushes("zoo/app"));

    let pusher = somebody(Some("api-push"));
    for own in ["api/app", "public/app"] {
        assert!(pusher.pushes(own) && pusher.lists(own) && pusher.pulls(own), "{own}");
    }
    let reader = somebody(Some("api"));
    for own in ["api/app", "public/app"] {
        assert!(reader.lists(own) && reader.pulls(own) && !reader.pushes(own), "{own}");
    }
    assert!(!reader.pushes("api/new") && !pusher.lists("api/new"));
    let nobody = somebody(None);
    assert!(nobody.lists("public/app") && nobody.pulls("public/app"));
    assert!(!nobody.lists("api/app") && !nobody.pulls("api/app") && !nobody.pushes("public/app"));
    for one in [&pusher, &reader, &nobody] {
        assert!(!one.lists("zoo/app") && !one.pulls("zoo/app"));
        assert!(!one.pushes("zoo/app") && !one.pushes("zoo/new"));
        assert!(one.finds("app").is_empty());
    }
    let all = ["api/app", "public/app", "zoo/app"].map(|name| pusher.name(name));
    assert_eq!(somebody(Some("admin")).finds("app"), all);
}
