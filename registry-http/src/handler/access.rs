//! What a request needs to be allowed to do, and asking whether it is.

use http::request::Parts;
use registry_store::digest::Digest;
use registry_store::name::RepositoryName;

use crate::auth::{Access, Action, Actor, Authorizer, Denial};
use crate::endpoint::{Endpoint, StartUpload};
use crate::error::Failure;

/// Asks whether the request may go on. What comes back is what it may do: a mount may have become a session.
pub(super) async fn authorize(
    authorizer: &dyn Authorizer,
    head: &Parts,
    endpoint: Endpoint,
) -> Result<(Endpoint, Actor), Failure> {
    let endpoint = named_mounts_only(endpoint);
    let Some(needed) = needed(&endpoint) else {
        return Ok((endpoint, Actor::anonymous()));
    };
    let refused = match authorizer.authorize(head, &needed).await {
        Ok(actor) => return Ok((endpoint, actor)),
        Err(refused) if is_verdict(&refused) => refused,
        Err(unknown) => return Err(Failure::of_denial(unknown, needed)),
    };
    let Endpoint::StartUpload { name, start: StartUpload::Mount { digest, .. } } = endpoint else {
        return Err(Failure::of_denial(refused, needed));
    };
    let of_target = both(&name);
    if of_target == needed {
        return Err(Failure::of_denial(refused, needed));
    }
    match authorizer.authorize(head, &of_target).await {
        Ok(actor) => Ok((declined(name, &digest), actor)),
        // Who may not read the source has to get more for the target, and can: without that it would give up.
        Err(again @ Denial::Unauthorized { .. }) if matches!(refused, Denial::Denied) => {
            Err(Failure::of_denial(again, of_target))
        }
        Err(again) if is_verdict(&again) => Err(Failure::of_denial(refused, needed)),
        Err(unknown) => Err(Failure::of_denial(unknown, needed)),
    }
}

/// What a request needs; `None` if nobody is asked. The table stands in [`crate::auth`].
fn needed(endpoint: &Endpoint) -> Option<Vec<Access>> {
    Some(match endpoint {
        Endpoint::Options { .. } | Endpoint::Root => return None,
        Endpoint::Base => Vec::new(),
        Endpoint::Catalog { .. } => vec![Access::Catalog],
        Endpoint::ListTags { name, .. }
        | Endpoint::ListReferrers { name, .. }
        | Endpoint::GetBlob { name, .. }
        | Endpoint::GetManifest { name, .. } => vec![to(Action::Pull, name)],
        Endpoint::PutManifest { name, .. } => both(name),
        Endpoint::StartUpload { name, start } => {
            let mut needed = both(name);
            match start {
                StartUpload::Mount { from: Some(from), .. } if from != name => {
                    needed.push(to(Action::Pull, from));
                }
                StartUpload::Mount { .. } | StartUpload::Session(_) | StartUpload::Whole(_) => {}
            }
            needed
        }
        Endpoint::UploadStatus(target)
        | Endpoint::AppendUpload(target)
        | Endpoint::CommitUpload(target, _) => both(&target.name),
        Endpoint::CancelUpload(target) => vec![to(Action::Push, &target.name)],
        Endpoint::DeleteBlob { name, .. } | Endpoint::DeleteManifest { name, .. } => {
            vec![to(Action::Delete, name)]
        }
    })
}

fn both(name: &RepositoryName) -> Vec<Access> {
    vec![to(Action::Pull, name), to(Action::Push, name)]
}

fn to(action: Action, name: &RepositoryName) -> Access {
    Access::Repository { name: name.clone(), action }
}

/// Is this a judgement on what was asked for? If not, to ask for less is to ask in vain.
fn is_verdict(denial: &Denial) -> bool {
    match denial {
        Denial::Unauthorized { .. } | Denial::Denied => true,
        Denial::TooManyRequests { .. } | Denial::Unavailable { .. } => false,
    }
}

/// A mount from anywhere would give away what the client may not read.
fn named_mounts_only(endpoint: Endpoint) -> Endpoint {
    match endpoint {
        Endpoint::StartUpload { name, start: StartUpload::Mount { digest, from: None } } => {
            declined(name, &digest)
        }
        endpoint => endpoint,
    }
}

/// What a mount that cannot be is (end-11).
fn declined(name: RepositoryName, digest: &Digest) -> Endpoint {
    Endpoint::StartUpload { name, start: StartUpload::Session(digest.algorithm()) }
}
