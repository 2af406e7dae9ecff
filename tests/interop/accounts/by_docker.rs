//! What accounts may do by docker, which keeps no password where there is a token service, and takes a registry of this
//! machine without knowing who vouches for it.

use std::fs;

use registry_tests::peers::{Context, Docker};

use super::team::{Team, Way};

#[test]
fn docker_logs_in_pushes_and_pulls_and_a_reader_does_not_push() {
    let docker = Docker::start();
    let context = Context::new("CMD [\"/bin/busybox\", \"true\"]\n");
    let path = context.path().display().to_string();
    for way in [Way::Password, Way::Token] {
        let team = Team::new(way);
        let registry = team.address().to_string();
        let log_in = |account: &str, password: &str| {
            let (user, password) =
                (format!("--username={account}"), format!("--password={password}"));
            docker.try_run(&["login", &user, &password, &registry]).success
        };
        let build = |repository: &str| {
            let name = format!("{registry}/{repository}:it");
            docker.run(&["build", "--quiet", "--tag", &name, &path]);
            name
        };
        let push = |name: &str| docker.try_run(&["push", name]).success;
        let pull = |name: &str| docker.try_run(&["pull", name]).success;
        let [own, public, other] = ["api/app", "public/app", "zoo/app"].map(build);

        assert!(!push(&own) && !log_in("api-push", "wrong"));
        assert!(log_in("api-push", "secret"));
        assert!(push(&own) && push(&public) && !push(&other));
        assert!(log_in("zoo-push", "secret") && push(&other));
        assert!(log_in("api", "secret"));
        let kept = fs::read_to_string(docker.path(".docker/config.json")).unwrap();
        assert_eq!(kept.contains("identitytoken"), way == Way::Token, "{kept}");
        docker.run(&["image", "prune", "--all", "--force"]);
        assert!(pull(&own) && pull(&public) && !pull(&other));
        assert!(!push(&own) && !push(&public));
        docker.run(&["logout", &registry]);
        docker.run(&["image", "prune", "--all", "--force"]);
        // By a password alone docker does not ask for what everybody may pull: it has been asked for one.
        assert_eq!((pull(&public), pull(&own)), (way == Way::Token, false));
    }
}
