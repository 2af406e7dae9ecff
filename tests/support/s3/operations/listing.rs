//! ListObjectsV2: what is in a bucket, page by page.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Context, behind, common_prefix, quoted};
use crate::s3::checksum::{self, Algorithm};
use crate::s3::dates;
use crate::s3::error::S3Error;
use crate::s3::reply::Reply;
use crate::s3::state::{Bucket, Object};
use crate::s3::xml::Element;

type Objects = BTreeMap<String, Arc<Object>>;

/// What is listed.
struct Wanted<'r> {
    prefix: &'r str,
    delimiter: Option<&'r str>,
    /// Names up to this one are left out.
    after: String,
    /// Whether a common prefix up to `after` is listed if it has keys after it.
    returns_to_prefixes: bool,
}

/// One entry of a listing; a common prefix counts like a key.
#[derive(Debug)]
enum Entry {
    Object(String, Arc<Object>),
    Prefix(String),
}

pub(super) fn objects(context: &mut Context<'_>) -> Result<Reply, S3Error> {
    let request = context.request;
    let (limit, encode) = (context.page("max-keys")?, context.encoding()?);
    let token = request.parameter("continuation-token");
    let start_after = request.parameter("start-after");
    let after = match token {
        Some(token) => of_token(token)?,
        None => start_after.unwrap_or_default().to_owned(),
    };
    let wanted = Wanted {
        prefix: request.parameter("prefix").unwrap_or_default(),
        delimiter: request.parameter("delimiter"),
        after,
        returns_to_prefixes: context.options.listing.returns_to_prefixes && token.is_none(),
    };
    let writes = context.state.writes;
    let bucket = context.state.bucket(&request.bucket)?;
    let seen = seen(bucket, writes, context.options.listing.writes_behind);
    let (entries, is_truncated) = if context.options.listing.ordered {
        page(&seen, &wanted, limit)
    } else {
        disordered_page(&seen, wanted, token.is_some(), limit)
    };
    let next = entries.last().filter(|_| is_truncated).map(|last| to_token(last.name()));
    let mut result = Element::result("ListBucketResult");
    result
        .text("Name", &request.bucket)
        .text("Prefix", encode(request.parameter("prefix").unwrap_or_default()))
        .maybe("StartAfter", start_after.map(encode))
        .maybe("ContinuationToken", token)
        .maybe("NextContinuationToken", next)
        .text("KeyCount", entries.len())
        .text("MaxKeys", limit)
        .maybe("Delimiter", request.parameter("delimiter").map(encode))
        .maybe("EncodingType", request.parameter("encoding-type"))
        .text("IsTruncated", is_truncated);
    for entry in &entries {
        entry.write(&mut result, encode);
    }
    Ok(Reply::document(&result))
}

/// The objects that a listing sees, which may lag so many writes behind.
fn seen(bucket: &Bucket, writes: u64, behind: u64) -> Cow<'_, Objects> {
    if behind == 0 {
        return Cow::Borrowed(&bucket.objects);
    }
    let horizon = writes.saturating_sub(behind);
    let now = bucket.objects.iter().map(|(key, object)| (key, object, u64::MAX));
    let then = bucket.gone.iter().map(|gone| (&gone.key, &gone.object, gone.write));
    let seen = then.chain(now).filter(|(_, object, gone)| (object.write..*gone).contains(&horizon));
    Cow::Owned(seen.map(|(key, object, _)| (key.clone(), Arc::clone(object))).collect())
}

/// The next entries, in the order of their bytes, and whether there are more.
fn page(objects: &Objects, wanted: &Wanted<'_>, limit: usize) -> (Vec<Entry>, bool) {
    let mut entries = Vec::new();
    let mut from = if wanted.after.as_str() < wanted.prefix {
        Bound::Included(wanted.prefix.to_owned())
    } else {
        Bound::Excluded(wanted.after.clone())
    };
    loop {
        let range = (from.as_ref().map(String::as_str), Bound::Unbounded);
        let next = objects.range::<str, _>(range).next();
        let Some((key, object)) = next.filter(|(key, _)| key.starts_with(wanted.prefix)) else {
            return (entries, false);
        };
        let entry = match common_prefix(key, wanted.prefix, wanted.delimiter) {
            Some(common) => Entry::Prefix(common.to_owned()),
            None => Entry::Object(key.clone(), Arc::clone(object)),
        };
        from = match &entry {
            Entry::Object(key, _) => Bound::Excluded(key.clone()),
            Entry::Prefix(common) => match behind(common) {
                Some(behind) => Bound::Included(behind),
                None => Bound::Excluded(key.clone()),
            },
        };
        if entry.name() <= wanted.after.as_str() && !wanted.returns_to_prefixes {
            continue;
        }
        if entries.len() >= limit {
            // A page of nothing says that there is nothing more, whatever there is.
            return (entries, limit > 0);
        }
        entries.push(entry);
    }
}

/// The same in an order that has no meaning, but is always the same.
fn disordered_page(
    objects: &Objects,
    mut wanted: Wanted<'_>,
    goes_on: bool,
    limit: usize,
) -> (Vec<Entry>, bool) {
    let last = goes_on.then(|| std::mem::take(&mut wanted.after));
    let rank = |name: &str| checksum::of(Algorithm::Crc32c, [name.as_bytes()]);
    let (mut entries, _) = page(objects, &wanted, usize::MAX);
    entries.sort_by_cached_key(|entry| rank(entry.name()));
    if let Some(last) = last {
        entries.retain(|entry| rank(entry.name()) > rank(&last));
    }
    let is_truncated = limit > 0 && entries.len() > limit;
    entries.truncate(limit);
    (entries, is_truncated)
}

impl Entry {
    fn name(&self) -> &str {
        match self {
            Self::Object(name, _) | Self::Prefix(name) => name,
        }
    }

    fn write(&self, result: &mut Element, encode: fn(&str) -> String) {
        let name = encode(self.name());
        match self {
            Self::Object(_, object) => result.child("Contents", |contents| {
                contents
                    .text("Key", name)
                    .text("LastModified", dates::iso(object.modified))
                    .text("ETag", quoted(&object.etag));
                if let Some(checksum) = &object.checksum {
                    contents
                        .text("ChecksumAlgorithm", checksum.algorithm.name())
                        .text("ChecksumType", checksum.kind.name());
                }
                contents
                    .text("Size", object.content.len())
                    .text("StorageClass", object.attributes.storage_class());
            }),
            Self::Prefix(_) => result.child("CommonPrefixes", |prefixes| {
                prefixes.text("Prefix", name);
            }),
        };
    }
}

/// The name that a page ended with, so that no client reads anything into it.
fn to_token(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("after:{name}"))
}

fn of_token(token: &str) -> Result<String, S3Error> {
    let name = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        text.strip_prefix("after:").map(str::to_owned)
    };
    let message = "The continuation token provided is incorrect";
    name().ok_or_else(|| S3Error::invalid_argument("continuation-token", token, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &[&str] = &["a", "b/1", "b/2", "b0", "c/d/e", "c/f", "ä"];

    fn objects() -> Objects {
        KEYS.iter().map(|key| ((*key).to_owned(), Arc::new(Object::of_nothing()))).collect()
    }

    fn wanted<'r>(prefix: &'r str, delimiter: Option<&'r str>, after: &str) -> Wanted<'r> {
        Wanted { prefix, delimiter, after: after.to_owned(), returns_to_prefixes: false }
    }

    fn names(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(Entry::name).collect()
    }

    #[test]
    fn keys_are_rolled_up_at_the_delimiter() {
        let objects = objects();
        let all = |wanted| names(&page(&objects, &wanted, 100).0).join(" ");
        assert_eq!(all(wanted("", None, "")), KEYS.join(" "));
        assert_eq!(all(wanted("", Some("/"), "")), "a b/ b0 c/ ä");
        assert_eq!(all(wanted("c/", Some("/"), "")), "c/d/ c/f");
        assert_eq!(all(wanted("b", None, "b/1")), "b/2 b0");
        assert_eq!(all(wanted("x", None, "")), "");
    }

    #[test]
    fn pages_of_any_size_go_on_where_the_last_ended() {
        let objects = objects();
        for size in 1..8 {
            let (mut all, mut after) = (Vec::new(), String::new());
            loop {
                let (entries, is_truncated) = page(&objects, &wanted("", Some("/"), &after), size);
                all.extend(entries.iter().map(|entry| entry.name().to_owned()));
                if !is_truncated {
                    break;
                }
                after = all.last().unwrap().clone();
            }
            assert_eq!(all, ["a", "b/", "b0", "c/", "ä"], "pages of {size}");
        }
    }

    #[test]
    fn a_start_within_a_common_prefix_leaves_it_out_or_not() {
        let objects = objects();
        let inside = wanted("", Some("/"), "b/1");
        assert_eq!(names(&page(&objects, &inside, 9).0), ["b0", "c/", "ä"]);
        let returning = Wanted { returns_to_prefixes: true, ..inside };
        assert_eq!(names(&page(&objects, &returning, 9).0), ["b/", "b0", "c/", "ä"]);
    }

    #[test]
    fn an_order_without_a_meaning_still_pages_over_all() {
        let objects = objects();
        let (mut all, mut after, mut goes_on) = (Vec::new(), String::new(), false);
        loop {
            let wanted = wanted("", None, &after);
            let (entries, is_truncated) = disordered_page(&objects, wanted, goes_on, 2);
            all.extend(entries.iter().map(|entry| entry.name().to_owned()));
            if !is_truncated {
                break;
            }
            (after, goes_on) = (all.last().unwrap().clone(), true);
        }
        assert_ne!(all, KEYS);
        all.sort();
        assert_eq!(all, KEYS);
    }

    #[test]
    fn a_token_is_taken_back_and_no_other_text_is() {
        assert_eq!(of_token(&to_token("ä/")).unwrap(), "ä/");
        assert_eq!(of_token("what").unwrap_err().code, "InvalidArgument");
    }
}
