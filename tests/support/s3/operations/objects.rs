//! Objects, one at a time, and deletion of many.

use std::ops::Range;

use http::StatusCode;
use md5::{Digest as _, Md5};

use super::{Context, quoted};
use crate::s3::checksum::{Checksum, Kind};
use crate::s3::conditions;
use crate::s3::dates;
use crate::s3::error::S3Error;
use crate::s3::operation::Operation;
use crate::s3::options::Honour;
use crate::s3::payload::Payload;
use crate::s3::reply::Reply;
use crate::s3::request::Request;
use crate::s3::state::{Attributes, Object};
use crate::s3::xml::{Element, Node, read};

/// The most keys that one request deletes.
const MOST_DELETED: usize = 1000;

pub(super) fn put(context: &mut Context<'_>, payload: &Payload) -> Result<Reply, S3Error> {
    let Context { request, state, .. } = context;
    let attributes = Attributes::of(request)?;
    let existing = state.bucket(&request.bucket)?.objects.get(&request.key);
    let honour = context.options.conditional_writes.put;
    conditions::for_write(request, honour, existing.map(AsRef::as_ref))?;
    let checksum = payload.checksum.clone();
    let object = Object {
        content: payload.content.clone(),
        etag: etag(payload.md5, &attributes, state.writes),
        modified: context.now,
        attributes,
        checksum: checksum.map(|(algorithm, value)| Checksum {
            algorithm,
            value,
            kind: Kind::FullObject,
        }),
        write: 0,
    };
    let object = state.write(&request.bucket, &request.key, Some(object))?;
    let reply = Reply::empty(StatusCode::OK).with("etag", quoted(&object.etag));
    Ok(with_checksum(with_encryption(reply, &object.attributes), &object))
}

/// GET, and HEAD, which has the same head.
pub(super) fn get(context: &mut Context<'_>) -> Result<Reply, S3Error> {
    let request = context.request;
    let object = context.state.object(&request.bucket, &request.key)?;
    let reply = |status| described(Reply::empty(status), &object);
    if !conditions::for_read(request, &object)? {
        return Ok(reply(StatusCode::NOT_MODIFIED));
    }
    let size = object.content.len();
    let range = request.header("range").map(|range| wanted(range, size)).transpose()?.flatten();
    let mut reply = match &range {
        Some(range) => {
            let (first, last) = (range.start, range.end - 1);
            reply(StatusCode::PARTIAL_CONTENT)
                .with("content-range", format!("bytes {first}-{last}/{size}"))
        }
        None => reply(StatusCode::OK),
    };
    if range.is_none()
        && request
            .header("x-amz-checksum-mode")
            .is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"))
    {
        reply = with_checksum(reply, &object);
    }
    let range = range.unwrap_or(0..size);
    reply.length = Some(range.end - range.start);
    reply = with_overrides(reply, request);
    if request.operation == Operation::GetObject {
        reply.body = object.content.slice(range);
    }
    Ok(reply)
}

pub(super) fn delete(context: &mut Context<'_>) -> Result<Reply, S3Error> {
    let Context { request, state, .. } = context;
    let existing = state.bucket(&request.bucket)?.objects.get(&request.key);
    let honour = context.options.conditional_writes.delete;
    conditions::for_write(request, honour, existing.map(AsRef::as_ref))?;
    if existing.is_some() {
        state.write(&request.bucket, &request.key, None)?;
    }
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

pub(super) fn delete_batch(context: &mut Context<'_>, payload: &Payload) -> Result<Reply, S3Error> {
    context.state.bucket(&context.request.bucket)?;
    if !payload.is_vouched_for {
        let message = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*";
        return Err(S3Error::invalid_request(message));
    }
    let batch = read(&payload.content.to_bytes()).filter(|batch| batch.name == "Delete");
    let batch = batch.ok_or_else(S3Error::malformed_xml)?;
    let count = batch.all("Object").count();
    if count == 0 || count > MOST_DELETED {
        return Err(S3Error::malformed_xml());
    }
    let is_quiet = batch.get("Quiet").is_some_and(|quiet| quiet == "true");
    let mut result = Element::result("DeleteResult");
    for object in batch.all("Object") {
        let key = object.all("Key").next().map(|key| key.text.as_str());
        let key = key.ok_or_else(S3Error::malformed_xml)?;
        match delete_one(context, key, object) {
            Ok(()) if is_quiet => {}
            Ok(()) => {
                result.child("Deleted", |deleted| {
                    deleted.text("Key", key);
                });
            }
            Err(error) => {
                result.child("Error", |refused| {
                    refused
                        .text("Key", key)
                        .text("Code", error.code)
                        .text("Message", &error.message);
                });
            }
        }
    }
    Ok(Reply::document(&result))
}

fn delete_one(context: &mut Context<'_>, key: &str, wanted: &Node) -> Result<(), S3Error> {
    let bucket = &context.request.bucket;
    let plan = context.faults.of_request(context.server, Operation::DeleteOfBatch, bucket, key);
    if let Some(failure) = plan.refusal() {
        return Err(failure.error());
    }
    if wanted.get("VersionId").is_some() {
        return Err(S3Error::not_implemented("versions"));
    }
    let existing = context.state.bucket(bucket)?.objects.get(key);
    if let Some(etag) = wanted.get("ETag") {
        match (context.options.conditional_writes.delete, existing) {
            (Honour::Ignored, _) => {}
            (Honour::Refused, _) => return Err(S3Error::header_not_implemented("ETag")),
            (Honour::Honoured, None) => return Err(S3Error::no_such_key(key)),
            (Honour::Honoured, Some(existing)) if conditions::names(etag, &existing.etag) => {}
            (Honour::Honoured, Some(_)) => return Err(S3Error::precondition_failed("If-Match")),
        }
    }
    if existing.is_some() {
        context.state.write(bucket, key, None)?;
    }
    match plan.denial() {
        Some(failure) => Err(failure.error()),
        None => Ok(()),
    }
}

/// The ETag of what is put in one piece: the MD5 of its bytes, but where the encryption hides that.
pub(super) fn etag(md5: [u8; 16], attributes: &Attributes, salt: u64) -> String {
    if !attributes.hides_md5() {
        return hex::encode(md5);
    }
    let mut hidden = Md5::new();
    hidden.update(md5);
    hidden.update(salt.to_be_bytes());
    hex::encode(hidden.finalize())
}

/// What the answer to a write tells of the encryption.
pub(super) fn with_encryption(reply: Reply, attributes: &Attributes) -> Reply {
    let told = attributes.0.iter().filter(|(name, _)| {
        name.starts_with("x-amz-server-side-encryption") && !name.ends_with("-context")
    });
    told.fold(reply, |reply, (name, value)| reply.with(name, value))
}

pub(super) fn with_checksum(reply: Reply, object: &Object) -> Reply {
    match &object.checksum {
        Some(checksum) => reply
            .with(checksum.algorithm.header(), &checksum.value)
            .with("x-amz-checksum-type", checksum.kind.name()),
        None => reply,
    }
}

/// What a read tells of an object.
fn described(reply: Reply, object: &Object) -> Reply {
    let silent = ["x-amz-acl", "x-amz-tagging", "x-amz-server-side-encryption-context"];
    let told = object.attributes.0.iter().filter(|(name, value)| {
        let is_default = *name == "x-amz-storage-class" && *value == "STANDARD";
        !silent.contains(&name.as_str()) && !is_default
    });
    let reply = told.fold(reply, |reply, (name, value)| reply.with(name, value));
    let has_type = object.attributes.get("content-type").is_some();
    reply
        .maybe("content-type", (!has_type).then_some("binary/octet-stream"))
        .with("etag", quoted(&object.etag))
        .with("last-modified", dates::http(object.modified))
        .with("accept-ranges", "bytes")
}

/// `response-content-type` and the like, which take the place of what is stored.
fn with_overrides(mut reply: Reply, request: &Request) -> Reply {
    for (parameter, value) in &request.query {
        if let Some(name) = parameter.strip_prefix("response-") {
            reply.headers.retain(|(header, _)| header != name);
            reply = reply.with(name, value);
        }
    }
    reply
}

/// The bytes that a `Range` asks for. `None` is all of them: where it is not of the grammar, and where it is several.
fn wanted(range: &str, size: u64) -> Result<Option<Range<u64>>, S3Error> {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Ok(None);
    };
    let range_of = |first: u64, last: u64| first..last.saturating_add(1).min(size);
    let wanted = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first > last => return Ok(None),
        (Ok(first), Ok(last)) => range_of(first, last),
        (Ok(first), Err(_)) if last.trim().is_empty() => first..size,
        (Err(_), Ok(suffix)) if first.trim().is_empty() => size.saturating_sub(suffix)..size,
        _ => return Ok(None),
    };
    if wanted.start >= size {
        return Err(S3Error::new(416, "InvalidRange", "The requested range is not satisfiable")
            .with("RangeRequested", range)
            .with("ActualObjectSize", size));
    }
    Ok(Some(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_bounded_open_or_a_suffix() {
        for (range, size, expected) in [
            ("bytes=2-4", 10, Some(2..5)),
            ("bytes=2-", 10, Some(2..10)),
            ("bytes=-3", 10, Some(7..10)),
            ("bytes=-30", 10, Some(0..10)),
            ("bytes=2-40", 10, Some(2..10)),
            ("bytes=0-18446744073709551615", 10, Some(0..10)),
        ] {
            assert_eq!(wanted(range, size).unwrap(), expected, "{range}");
        }
    }

    #[test]
    fn a_range_that_is_none_or_several_is_passed_over() {
        for range in ["bytes=4-2", "bytes=0-1,3-4", "bytes=a-b", "lines=1-2", "bytes=-", ""] {
            assert_eq!(wanted(range, 10).unwrap(), None, "{range}");
        }
    }

    #[test]
    fn a_range_without_a_byte_is_not_satisfiable() {
        for (range, size) in
            [("bytes=10-", 10), ("bytes=10-12", 10), ("bytes=-0", 10), ("bytes=-1", 0)]
        {
            assert_eq!(wanted(range, size).unwrap_err().status, 416, "{range} of {size}");
        }
    }
}
