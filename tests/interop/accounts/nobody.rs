//! Who has not logged in, and who gives a wrong password: the second does not count as the first, who may pull what
//! everybody may.

use registry_tests::peers::{Podman, Skopeo};

use super::in_each_way;
use super::team::{Team, Way};

in_each_way! {
    a_wrong_password_is_refused_even_what_everybody_may
}

fn a_wrong_password_is_refused_even_what_everybody_may(way: Way) {
    let team = Team::new(way);
    let given = |account| team.given(account).display().to_string();
    let (skopeo, podman) = (Skopeo::new(), Podman::new());
    let image = format!("{}/public/app:it", team.address());
    let name = format!("docker://{image}");
    let source = format!("oci:{}:it", team.images().display());
    let pusher = ["--dest-cert-dir", &given(Some("api-push")), "--dest-creds=api-push:secret"];
    skopeo.run(&[&["copy"], &pusher[..], &[&source, &name]].concat());

    let given = given(None);
    for credentials in [&[][..], &["--creds=api:secret"], &["--creds=api:wrong"]] {
        // Where no password counts clients are asked for none.
        let is_let_in = way == Way::Certificate || !credentials.contains(&"--creds=api:wrong");
        let inspect = [&["inspect", "--cert-dir", &given], credentials, &[&name]].concat();
        let said = skopeo.try_run(&inspect);
        assert_eq!(said.success, is_let_in, "{credentials:?} {}", said.errors);
        let given = format!("--cert-dir={given}");
        let pull = [&["pull", "--quiet", "--arch=amd64", &given], credentials, &[&image]].concat();
        let said = podman.try_run(&pull);
        assert_eq!(said.success, is_let_in, "{credentials:?} {}", said.errors);
    }
}
