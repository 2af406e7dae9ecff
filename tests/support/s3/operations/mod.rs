//! The operations, one function each: what it is asked, what it does, what it answers.
//!
//! Each runs alone, from what it looks at to what it changes: what S3 does atomically is atomic here.

mod buckets;
mod copying;
mod listing;
mod multipart;
mod objects;
mod uploads;

use std::time::SystemTime;

use super::error::S3Error;
use super::faults::Faults;
use super::operation::Operation;
use super::options::S3Options;
use super::payload::Payload;
use super::reply::Reply;
use super::request::Request;
use super::state::State;

/// What an operation has to do with.
pub(super) struct Context<'c> {
    pub(super) options: &'c S3Options,
    pub(super) faults: &'c Faults,
    pub(super) server: usize,
    pub(super) state: &'c mut State,
    pub(super) request: &'c Request,
    pub(super) now: SystemTime,
}

/// Does what a request asks for.
pub(super) fn perform(mut context: Context<'_>, payload: &Payload) -> Result<Reply, S3Error> {
    let context = &mut context;
    match context.request.operation {
        Operation::HeadBucket => buckets::head(context),
        Operation::GetBucketLocation => buckets::location(context),
        Operation::ListObjectsV2 => listing::objects(context),
        Operation::ListMultipartUploads => uploads::list(context),
        Operation::PutObject => objects::put(context, payload),
        Operation::GetObject | Operation::HeadObject => objects::get(context),
        Operation::DeleteObject => objects::delete(context),
        Operation::DeleteObjects => objects::delete_batch(context, payload),
        Operation::CopyObject => copying::object(context),
        Operation::CreateMultipartUpload => multipart::create(context),
        Operation::UploadPart => multipart::part(context, payload),
        Operation::UploadPartCopy => copying::part(context),
        Operation::CompleteMultipartUpload => multipart::complete(context, payload),
        Operation::AbortMultipartUpload => multipart::abort(context),
        Operation::ListParts => uploads::parts(context),
        Operation::DeleteOfBatch | Operation::Unknown => {
            let line = format!("{} {}", context.request.head.method, context.request.head.uri);
            Err(S3Error::not_implemented(&line))
        }
    }
}

impl Context<'_> {
    /// How many entries a page has, by the parameter that says so.
    fn page(&self, parameter: &str) -> Result<usize, S3Error> {
        let Some(asked) = self.request.parameter(parameter) else { return Ok(self.options.page) };
        let message = format!("Argument {parameter} must be an integer between 0 and 2147483647");
        match asked.parse::<u32>() {
            Ok(asked) => Ok(self.options.page.min(usize::try_from(asked).unwrap_or(usize::MAX))),
            Err(_) => Err(S3Error::invalid_argument(parameter, asked, message)),
        }
    }

    /// How names are written in a listing.
    fn encoding(&self) -> Result<fn(&str) -> String, S3Error> {
        match self.request.parameter("encoding-type") {
            None => Ok(str::to_owned),
            Some("url") => Ok(super::xml::url_encoded),
            Some(other) => {
                let message = "Invalid Encoding Method specified in Request";
                Err(S3Error::invalid_argument("encoding-type", other, message))
            }
        }
    }
}

/// An ETag as headers and documents have it.
fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// The first key that does not begin so, and comes after all that do.
fn behind(prefix: &str) -> Option<String> {
    let mut behind = prefix.to_owned();
    while let Some(last) = behind.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            behind.push(next);
            return Some(behind);
        }
    }
    None
}

/// The part of a key up to the first delimiter behind the prefix.
fn common_prefix<'k>(key: &'k str, prefix: &str, delimiter: Option<&str>) -> Option<&'k str> {
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty())?;
    let at = key[prefix.len()..].find(delimiter)?;
    Some(&key[..prefix.len() + at + delimiter.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_prefix_is_the_first_key_without_it() {
        assert_eq!(behind("a/").as_deref(), Some("a0"));
        assert_eq!(behind("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(behind("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(behind("\u{10ffff}"), None);
    }

    #[test]
    fn a_common_prefix_ends_with_the_first_delimiter_behind_the_prefix() {
        assert_eq!(common_prefix("a/b/c", "", Some("/")), Some("a/"));
        assert_eq!(common_prefix("a/b/c", "a/", Some("/")), Some("a/b/"));
        assert_eq!(common_prefix("a/b", "a/", Some("/")), None);
        assert_eq!(common_prefix("a/b", "", None), None);
        assert_eq!(common_prefix("a/b", "", Some("")), None);
    }
}
