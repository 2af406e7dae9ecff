//! Links: small objects that hold a digest.
//!
//! A link is the digest's text, without a newline. What a link stands for is given by where it is
//! ([`layout`](crate::layout)); its content may be of another algorithm than its path: Distribution links a blob that
//! was pushed by its sha512 under that name, with the sha256 it keeps the bytes by as content. Another digest of the
//! same algorithm is other content: only a tag's link may hold any.

use bytes::Bytes;

use crate::backend::{BackendExt as _, DeleteIf, Key, PointIf, Pointed, Put, PutMode};
use crate::digest::Digest;
use crate::error::Result;
use crate::shared::Shared;

/// More than the longest digest's text; what is longer is no link.
const LIMIT: u64 = 256;

/// The digest that a tag's link holds. A link that is empty or holds no digest is damaged: it is reported, and as good
/// as not there.
pub(crate) async fn read(shared: &Shared, key: &Key) -> Result<Option<Digest>> {
    Ok(look(shared, key, |_| true).await?.digest())
}

/// The digest that the bytes of `digest` are kept under, as a link that stands for it has it. One that holds another
/// of the same algorithm is damaged too.
pub(crate) async fn read_for(
    shared: &Shared,
    key: &Key,
    digest: &Digest,
) -> Result<Option<Digest>> {
    Ok(look(shared, key, |found| may_stand_for(found, digest)).await?.digest())
}

/// Is what is where a link should be one, to `of` if that is given? `None` if nothing is there.
pub(crate) async fn is_good(
    shared: &Shared,
    key: &Key,
    of: Option<&Digest>,
) -> Result<Option<bool>> {
    let may_hold = |found: &Digest| of.is_none_or(|digest| may_stand_for(found, digest));
    Ok(match look(shared, key, may_hold).await? {
        Found::Nothing => None,
        Found::Damaged => Some(false),
        Found::Digest(_) => Some(true),
    })
}

fn may_stand_for(found: &Digest, digest: &Digest) -> bool {
    found == digest || found.algorithm() != digest.algorithm()
}

/// What a link to `digest` holds.
fn content(digest: &Digest) -> Bytes {
    digest.to_string().into()
}

/// Makes `key` a link to `digest` that is durable on return; one that is there already is kept if it is good. Tells
/// whether there was one, good or not.
///
/// Order: create without overwriting; where something was there, read it; if it was not this link, replace it, else see
/// to it that what was read is durable. A crash leaves the old link or the new one.
pub(crate) async fn write(shared: &Shared, key: &Key, digest: &Digest) -> Result<Put> {
    let content = content(digest);
    let put = shared.backend.put(key, content.clone(), PutMode::Create).await?;
    if put == Put::Kept {
        replace_unless_good(shared, key, digest).await?;
    }
    Ok(put)
}

/// Makes `key` a link to `digest`, durable on return, whatever it pointed at if `condition` says no other, and looks
/// whether the link `target` that it relies on is there. One effect, by rename on a filesystem.
pub(crate) async fn point(
    shared: &Shared,
    key: &Key,
    digest: &Digest,
    target: &Key,
    condition: PointIf,
) -> Result<Pointed> {
    Ok(shared.backend.point(key, content(digest), target, condition).await?)
}

/// What is where a link is or should be, to compare with later.
pub(crate) async fn read_raw(shared: &Shared, key: &Key) -> Result<Option<Bytes>> {
    Ok(shared.backend.read_small(key, LIMIT).await?)
}

/// Deletes the link `key` if it is one to `digest`; where `only_if_gone`, only if the link `target` that it relies on is not
/// there. Says whether it did.
pub(crate) async fn delete_if(
    shared: &Shared,
    key: &Key,
    digest: &Digest,
    target: Key,
    only_if_gone: bool,
) -> Result<bool> {
    let condition = DeleteIf { holds: content(digest), target, only_if_gone };
    Ok(shared.backend.delete_if(key, condition).await?)
}

/// Replaces the link `key` unless it is one to `digest`.
async fn replace_unless_good(shared: &Shared, key: &Key, digest: &Digest) -> Result<()> {
    let found = look(shared, key, |found| may_stand_for(found, digest)).await?;
    if let Found::Digest(found) = &found
        && found == digest
    {
        // Another may have healed it since the put made durable what it kept.
        if !shared.backend.medium().visible_is_durable {
            shared.backend.settle(std::slice::from_ref(key)).await?;
        }
        return Ok(());
    }
    shared.backend.put(key, content(digest), PutMode::Overwrite).await?;
    if matches!(found, Found::Damaged) {
        shared.damage.healed(key);
    }
    Ok(())
}

/// What is where a link should be.
enum Found {
    Nothing,
    Damaged,
    Digest(Digest),
}

impl Found {
    fn digest(self) -> Option<Digest> {
        match self {
            Self::Digest(digest) => Some(digest),
            Self::Nothing | Self::Damaged => None,
        }
    }
}

async fn look(shared: &Shared, key: &Key, may_hold: impl Fn(&Digest) -> bool) -> Result<Found> {
    let Some(bytes) = shared.backend.read_small(key, LIMIT).await? else {
        return Ok(Found::Nothing);
    };
    let digest = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok());
    Ok(match digest.filter(may_hold) {
        Some(digest) => Found::Digest(digest),
        None => {
            shared.damage.link(key);
            Found::Damaged
        }
    })
}
