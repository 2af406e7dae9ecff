//! Copies inside of S3: of an object, and of a range of one into a part.

use std::ops::Range;
use std::sync::Arc;

use http::StatusCode;
use md5::{Digest as _, Md5};
use percent_encoding::percent_decode_str;

use super::multipart::{of_content, part_number, put_part};
use super::objects::{etag, with_encryption};
use super::{Context, quoted};
use crate::s3::checksum::{Algorithm, Checksum, Kind};
use crate::s3::conditions;
use crate::s3::content::Content;
use crate::s3::dates;
use crate::s3::error::S3Error;
use crate::s3::reply::Reply;
use crate::s3::request::Request;
use crate::s3::state::{Attributes, Object, Part};
use crate::s3::xml::Element;

/// What describes an object goes with it; how it is kept is said anew.
pub(super) fn object(context: &mut Context<'_>) -> Result<Reply, S3Error> {
    let request = context.request;
    let said = Attributes::of(request)?;
    context.state.bucket(&request.bucket)?;
    let source = source(context)?;
    check_size(source.content.len(), context.options.largest_copy)?;
    let replaces = match request.header("x-amz-metadata-directive") {
        None | Some("COPY") => false,
        Some("REPLACE") => true,
        Some(other) => {
            let message = "Unknown metadata directive.";
            return Err(S3Error::invalid_argument("x-amz-metadata-directive", other, message));
        }
    };
    let attributes = if replaces { said.clone() } else { kept(&source.attributes, &said) };
    let target = context.state.bucket(&request.bucket)?.objects.get(&request.key);
    if target.is_some_and(|target| Arc::ptr_eq(target, &source))
        && said == Attributes::default()
        && !replaces
    {
        let message = "This copy request is illegal because it is trying to copy an object to itself without changing \
                       the object's metadata, storage class, website redirect location or encryption attributes.";
        return Err(S3Error::invalid_request(message));
    }
    let honour = context.options.conditional_writes.copy;
    conditions::for_write(request, honour, target.map(AsRef::as_ref))?;
    let copy = Object {
        content: source.content.clone(),
        etag: etag(md5(&source.content), &attributes, context.state.writes),
        modified: context.now,
        attributes,
        checksum: checksum(request, &source)?,
        write: 0,
    };
    let copy = context.state.write(&request.bucket, &request.key, Some(copy))?;
    let mut result = Element::result("CopyObjectResult");
    result.text("ETag", quoted(&copy.etag)).text("LastModified", dates::iso(copy.modified));
    if let Some(checksum) = &copy.checksum {
        result
            .text(checksum.algorithm.element(), &checksum.value)
            .text("ChecksumType", checksum.kind.name());
    }
    Ok(with_encryption(Reply::document(&result), &copy.attributes))
}

pub(super) fn part(context: &mut Context<'_>) -> Result<Reply, S3Error> {
    let request = context.request;
    let number = part_number(request)?;
    let id = request.required("uploadId")?;
    let wanted = context.state.bucket(&request.bucket)?.upload(&request.key, id)?.checksum;
    let source = source(context)?;
    let content = match request.header("x-amz-copy-source-range") {
        Some(range) => source.content.slice(range_of(range, source.content.len())?),
        None => source.content.clone(),
    };
    check_size(content.len(), context.options.largest_copy)?;
    let checksum = wanted.map(|(algorithm, _)| (algorithm, of_content(algorithm, &content)));
    let part =
        Part { md5: md5(&content), content, modified: context.now, checksum: checksum.clone() };
    let put = put_part(context, number, part, Reply::empty(StatusCode::OK))?;
    let (etags, headers): (Vec<_>, Vec<_>) =
        put.headers.into_iter().partition(|(name, _)| name == "etag");
    let mut result = Element::result("CopyPartResult");
    for (_, etag) in etags {
        result.text("ETag", etag);
    }
    result.text("LastModified", dates::iso(context.now));
    if let Some((algorithm, value)) = checksum {
        result.text(algorithm.element(), value);
    }
    let document = Reply::document(&result);
    Ok(Reply { headers: [document.headers, headers].concat(), ..document })
}

/// The object that is copied, if it is as it was thought to be.
fn source(context: &mut Context<'_>) -> Result<Arc<Object>, S3Error> {
    let request = context.request;
    let named = request.header("x-amz-copy-source").unwrap_or_default();
    if named.contains("?versionId=") {
        return Err(S3Error::not_implemented("versions"));
    }
    let decoded = percent_decode_str(named).decode_utf8_lossy();
    let decoded = decoded.strip_prefix('/').unwrap_or(&decoded);
    let Some((bucket, key)) = decoded.split_once('/').filter(|(_, key)| !key.is_empty()) else {
        let message = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey";
        return Err(S3Error::invalid_argument("x-amz-copy-source", named, message));
    };
    let source = context.state.object(bucket, key)?;
    conditions::for_source(request, &source)?;
    Ok(source)
}

fn check_size(size: u64, largest: u64) -> Result<(), S3Error> {
    let message = || {
        format!(
            "The specified copy source is larger than the maximum allowable size for a copy source: {largest}"
        )
    };
    if size > largest { Err(S3Error::invalid_request(message())) } else { Ok(()) }
}

/// `bytes=first-last`, both given and both inside.
fn range_of(range: &str, size: u64) -> Result<Range<u64>, S3Error> {
    let bounds = || {
        let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?))
    };
    let invalid =
        |message: String| S3Error::invalid_argument("x-amz-copy-source-range", range, message);
    let Some((first, last)) = bounds().filter(|(first, last)| first <= last) else {
        let message = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last \
                       are the zero-based offsets of the first and last bytes to copy";
        return Err(invalid(message.to_owned()));
    };
    if last >= size {
        return Err(invalid(format!(
            "Range specified is not valid for source object of size: {size}"
        )));
    }
    Ok(first..last + 1)
}

/// The attributes of a source that a copy has too, beside those that were said.
fn kept(source: &Attributes, said: &Attributes) -> Attributes {
    let anew = |name: &str| {
        name == "x-amz-acl"
            || name == "x-amz-storage-class"
            || name.starts_with("x-amz-server-side-encryption")
    };
    let of_source = source.0.iter().filter(|(name, _)| !anew(name));
    let of_request = said.0.iter().filter(|(name, _)| anew(name));
    Attributes(
        of_source.chain(of_request).map(|(name, value)| (name.clone(), value.clone())).collect(),
    )
}

/// A copy has the checksum that is asked for, or the one of its source, always of its bytes.
fn checksum(request: &Request, source: &Object) -> Result<Option<Checksum>, S3Error> {
    let algorithm = match request.header("x-amz-checksum-algorithm") {
        Some(name) => {
            let algorithm = Algorithm::named(name);
            Some(algorithm.ok_or_else(|| S3Error::not_implemented(&format!("checksum {name}")))?)
        }
        None => source.checksum.as_ref().map(|checksum| checksum.algorithm),
    };
    Ok(algorithm.map(|algorithm| Checksum {
        algorithm,
        value: of_content(algorithm, &source.content),
        kind: Kind::FullObject,
    }))
}

fn md5(content: &Content) -> [u8; 16] {
    let mut md5 = Md5::new();
    content.clone().into_pieces().for_each(|piece| md5.update(&piece));
    md5.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_a_source_lies_inside_of_it() {
        assert_eq!(range_of("bytes=0-9", 10).unwrap(), 0..10);
        for range in ["bytes=0-10", "bytes=3-2", "bytes=3-", "bytes=-3", "0-1", ""] {
            assert_eq!(range_of(range, 10).unwrap_err().code, "InvalidArgument", "{range}");
        }
    }

    #[test]
    fn how_an_object_is_kept_does_not_go_with_it() {
        let attributes = |pairs: &[(&str, &str)]| {
            Attributes(
                pairs
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect(),
            )
        };
        let source = attributes(&[("content-type", "a/b"), ("x-amz-storage-class", "GLACIER")]);
        let said =
            attributes(&[("content-type", "c/d"), ("x-amz-server-side-encryption", "AES256")]);
        let expected =
            attributes(&[("content-type", "a/b"), ("x-amz-server-side-encryption", "AES256")]);
        assert_eq!(kept(&source, &said), expected);
    }
}
