//! What each account may do by skopeo.

use registry_tests::image::blobs_of;
use registry_tests::peers::{Said, Skopeo};

use super::in_each_way;
use super::team::{Team, Way};

in_each_way! {
    each_account_may_do_what_its_rules_allow
}

/// Somebody with skopeo.
struct Somebody<'t> {
    team: &'t Team,
    skopeo: Skopeo,
    given: String,
}

impl<'t> Somebody<'t> {
    /// Logged in, if it is an account.
    fn new(team: &'t Team, account: Option<&str>) -> Self {
        let given = team.given(account).to_str().unwrap().to_owned();
        let this = Self { team, skopeo: Skopeo::new(), given };
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
        self.skopeo.try_run(&["login", "--cert-dir", &self.given, &user, &password, &registry])
    }

    fn name(&self, repository: &str) -> String {
        format!("docker://{}/{repository}", self.team.address())
    }

    fn pushes(&self, repository: &str) -> bool {
        let source = format!("oci:{}:it", self.team.images().display());
        let name = self.name(&format!("{repository}:it"));
        self.skopeo.try_run(&["copy", "--dest-cert-dir", &self.given, &source, &name]).success
    }

    fn pulls(&self, repository: &str) -> bool {
        let (back, name) = (self.skopeo.path("back"), self.name(&format!("{repository}:it")));
        let back_as = format!("oci:{}:it", back.display());
        let said = self.skopeo.try_run(&["copy", "--src-cert-dir", &self.given, &name, &back_as]);
        let is_there = said.success && blobs_of(&back) == blobs_of(&self.team.images());
        assert_eq!(is_there, said.success);
        // The next pull is a cold one.
        let _ = std::fs::remove_dir_all(back);
        is_there
    }

    fn deletes(&self, repository: &str) -> bool {
        let name = self.name(&format!("{repository}:it"));
        self.skopeo.try_run(&["delete", "--cert-dir", &self.given, &name]).success
    }

    /// Sees that an image is there, and which tags are.
    fn sees(&self, repository: &str) -> bool {
        let (name, image) = (self.name(repository), self.name(&format!("{repository}:it")));
        let inspected = self.skopeo.try_run(&["inspect", "--cert-dir", &self.given, &image]);
        let listed = self.skopeo.try_run(&["list-tags", "--cert-dir", &self.given, &name]);
        assert_eq!(inspected.success, listed.success, "{}{}", inspected.errors, listed.errors);
        assert!(!listed.success || String::from_utf8_lossy(&listed.output).contains("\"it\""));
        listed.success
    }
}

fn each_account_may_do_what_its_rules_allow(way: Way) {
    let team = Team::new(way);
    let somebody = |account| Somebody::new(&team, account);
    assert!(somebody(Some("zoo-push")).pushes("zoo/app"));

    let pusher = somebody(Some("api-push"));
    for own in ["api/app", "public/app"] {
        assert!(pusher.pushes(own) && pusher.sees(own) && pusher.pulls(own), "{own}");
    }
    let reader = somebody(Some("api"));
    for own in ["api/app", "public/app"] {
        assert!(reader.sees(own) && reader.pulls(own), "{own}");
        assert!(!reader.pushes(own) && !reader.deletes(own), "{own}");
    }
    assert!(!reader.pushes("api/new") && !pusher.sees("api/new"));
    let nobody = somebody(None);
    assert!(nobody.sees("public/app") && nobody.pulls("public/app"));
    assert!(!nobody.sees("api/app") && !nobody.pulls("api/app") && !nobody.pushes("public/app"));
    for one in [&pusher, &reader, &nobody] {
        assert!(!one.sees("zoo/app") && !one.pulls("zoo/app"));
        assert!(!one.pushes("zoo/app") && !one.pushes("zoo/new") && !one.deletes("zoo/app"));
    }

    let admin = somebody(Some("admin"));
    for there in ["api/app", "public/app", "zoo/app"] {
        assert!(admin.pulls(there), "{there}");
    }
    assert!(!admin.sees("zoo/new"), "what was refused left nothing");
    assert!(pusher.deletes("api/app") && !reader.pulls("api/app"));
}
