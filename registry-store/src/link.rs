//! Links: small objects that hold a digest.
//!
//! A link is the digest's text, without a newline. What a link stands for is given by where it is
//! ([`layout`](crate::layout)); its content may differ from its path: Distribution links a blob that was pushed
//! by its sha512 under that name, with the sha256 it keeps the bytes by as content.

use bytes::Bytes;

use crate::backend::{BackendExt as _, Key, Put, PutMode};
use crate::digest::Digest;
use crate::error::Result;
use crate::shared::Shared;

/// More than the longest digest's text; what is longer is no link.
const LIMIT: u64 = 256;

/// The digest a link holds. A link that is empty or holds no digest is damaged: it is reported, and as good as
/// not there.
pub(crate) async fn read(shared: &Shared, key: &Key) -> Result<Option<Digest>> {
    Ok(match look(shared, key).await? {
        Found::Digest(digest) => Some(digest),
        Found::Nothing | Found::Damaged => None,
    })
}

/// What a link to `digest` holds.
fn content(digest: &Digest) -> Bytes {
    digest.to_string().into()
}

/// Makes `key` a link to `digest` that is durable on return; one that is there already is kept if it is good.
///
/// Order: create without overwriting; where something was there, read it; if it was not this link, replace it.
/// A crash leaves the old link or the new one.
pub(crate) async fn write(shared: &Shared, key: &Key, digest: &Digest) -> Result<()> {
    let content = content(digest);
    if shared.backend.put(key, content.clone(), PutMode::Create).await? == Put::Kept {
        replace_unless_good(shared, key, digest).await?;
    }
    Ok(())
}

/// Makes `key` a link to `digest`, durable on return, whatever it pointed at. One effect, by rename.
pub(crate) async fn replace(shared: &Shared, key: &Key, digest: &Digest) -> Result<()> {
    shared.backend.put(key, content(digest), PutMode::Overwrite).await?;
    Ok(())
}

/// Replaces the link `key` unless it is one to `digest`.
async fn replace_unless_good(shared: &Shared, key: &Key, digest: &Digest) -> Result<()> {
    let found = look(shared, key).await?;
    if let Found::Digest(found) = &found
        && found == digest
    {
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

async fn look(shared: &Shared, key: &Key) -> Result<Found> {
    let Some(bytes) = shared.backend.read_small(key, LIMIT).await? else {
        return Ok(Found::Nothing);
    };
    Ok(match std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok()) {
        Some(digest) => Found::Digest(digest),
        None => {
            shared.damage.link(key);
            Found::Damaged
        }
    })
}
