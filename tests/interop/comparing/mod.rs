//! The same requests to Debian's Distribution and to ours, with the same configuration: statuses, headers, bodies.
//!
//! What differs has to stand in `differences.txt`, with the reason; what stands there has to be so.

mod deployments;
mod differences;
mod script;
mod transcript;

use registry_tests::peers::Distribution;
use registry_tests::registry_process::RegistryProcess;
use tempfile::TempDir;

use self::deployments::Deployment;
use self::differences::{Difference, Explanation};
use self::transcript::Transcript;

/// What either program answered, from an empty directory on.
fn played(deployment: &Deployment, ours: bool) -> Vec<Transcript> {
    let place = TempDir::new().unwrap();
    let (file, variables) = deployment.write(place.path());
    let play = |more: &[(&str, &str)], script: &[script::Step]| {
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(a, b)| (*a, b.as_str())).chain(more.iter().copied()).collect();
        // Either is killed when it has answered.
        if ours {
            let registry = RegistryProcess::configured(&file, &variables);
            script::play(script, registry.address(), deployment)
        } else {
            let distribution = Distribution::configured(&file, &variables);
            script::play(script, distribution.address(), deployment)
        }
    };
    if deployment.filled {
        // As a map, since only so does Distribution 2.8 take it.
        play(&[("REGISTRY_STORAGE_MAINTENANCE_READONLY", "{enabled: false}")], &script::filling());
    }
    play(&[], &script::steps())
}

#[test]
fn the_same_requests_are_answered_alike_or_the_difference_is_explained() {
    let explanations = differences::explanations();
    let mut occurred = vec![false; explanations.len()];
    let mut unexplained = Vec::new();
    for deployment in deployments::all() {
        let (theirs, ours) = (played(&deployment, false), played(&deployment, true));
        assert_eq!(theirs.len(), ours.len());
        for difference in differences::between(deployment.name, &theirs, &ours) {
            let mut is_explained = false;
            for (explanation, occurred) in explanations.iter().zip(&mut occurred) {
                if explanation.explains(&difference) {
                    (is_explained, *occurred) = (true, true);
                }
            }
            if !is_explained {
                unexplained.push(difference);
            }
        }
    }
    let stale: Vec<&Explanation> =
        explanations.iter().zip(&occurred).filter(|(_, it)| !**it).map(|(it, _)| it).collect();
    let lines =
        |all: &[Difference]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(
        unexplained.is_empty() && stale.is_empty(),
        "differences that differences.txt does not explain:\n{}\nexplanations of what does not differ:\n{stale:#?}",
        lines(&unexplained)
    );
}

#[test]
fn what_differs_is_seen_and_what_explains_nothing_too() {
    let one = |status: &str| {
        let fields = [("status".to_owned(), status.to_owned())].into();
        vec![Transcript { step: "a step".to_owned(), fields }]
    };
    let [difference] = &differences::between("place", &one("200"), &one("404"))[..] else {
        panic!("one field differs");
    };
    assert_eq!(difference.to_string(), "  place | a step | status | 200 | 404");
    assert!(differences::between("place", &one("200"), &one("200")).is_empty());
    let explanation = |row: &str| Explanation::parse("why", row);
    assert!(explanation("* | a * | status | 200 | *").explains(difference));
    assert!(!explanation("* | a * | status | 201 | *").explains(difference));
    assert!(!explanation("other | a step | status | 200 | 404").explains(difference));
}
