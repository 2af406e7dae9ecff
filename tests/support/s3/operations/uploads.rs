//! What is there of uploads in parts: ListMultipartUploads and ListParts.

use super::{Context, common_prefix, quoted};
use crate::s3::dates;
use crate::s3::error::S3Error;
use crate::s3::reply::Reply;
use crate::s3::state::Upload;
use crate::s3::xml::Element;

/// One entry of a list of uploads; a common prefix counts like an upload.
enum Entry<'u> {
    Upload(&'u str, &'u str, &'u Upload),
    Prefix(&'u str),
}

pub(super) fn list(context: &mut Context<'_>) -> Result<Reply, S3Error> {
    let request = context.request;
    let (limit, encode) = (context.page("max-uploads")?, context.encoding()?);
    let prefix = request.parameter("prefix").unwrap_or_default();
    let delimiter = request.parameter("delimiter");
    let key_marker = request.parameter("key-marker").unwrap_or_default();
    // Without a key the id means nothing.
    let id_marker = request.parameter("upload-id-marker").filter(|_| !key_marker.is_empty());
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let mut is_truncated = false;
    for ((key, id), upload) in &context.state.bucket(&request.bucket)?.uploads {
        if !key.starts_with(prefix) {
            continue;
        }
        let common = common_prefix(key, prefix, delimiter);
        let is_behind = match (common, id_marker) {
            (None, Some(marker)) if key == key_marker => id.as_str() > marker,
            _ => common.unwrap_or(key) > key_marker,
        };
        let is_known = matches!((entries.last(), common), (Some(Entry::Prefix(last)), Some(common)) if *last == common);
        if !is_behind || is_known {
            continue;
        }
        if entries.len() == limit {
            is_truncated = limit > 0;
            break;
        }
        entries.push(common.map_or(Entry::Upload(key, id, upload), Entry::Prefix));
    }
    let mut result = Element::result("ListMultipartUploadsResult");
    result
        .text("Bucket", &request.bucket)
        .text("KeyMarker", encode(key_marker))
        .text("UploadIdMarker", id_marker.unwrap_or_default());
    if let Some(last) = entries.last().filter(|_| is_truncated) {
        let (key, id) = match last {
            Entry::Upload(key, id, _) => (*key, *id),
            Entry::Prefix(prefix) => (*prefix, ""),
        };
        result.text("NextKeyMarker", encode(key)).text("NextUploadIdMarker", id);
    }
    result
        .text("Prefix", encode(prefix))
        .maybe("Delimiter", delimiter.map(encode))
        .maybe("EncodingType", request.parameter("encoding-type"))
        .text("MaxUploads", limit)
        .text("IsTruncated", is_truncated);
    entries.iter().for_each(|entry| entry.write(&mut result, encode));
    Ok(Reply::document(&result))
}

impl Entry<'_> {
    fn write(&self, result: &mut Element, encode: fn(&str) -> String) {
        match self {
            Self::Upload(key, id, upload) => result.child("Upload", |element| {
                element.text("Key", encode(key)).text("UploadId", id);
                who(element);
                element
                    .text("StorageClass", upload.attributes.storage_class())
                    .text("Initiated", dates::iso(upload.begun));
                if let Some((algorithm, kind)) = upload.checksum {
                    element
                        .text("ChecksumAlgorithm", algorithm.name())
                        .text("ChecksumType", kind.name());
                }
            }),
            Self::Prefix(prefix) => result.child("CommonPrefixes", |prefixes| {
                prefixes.text("Prefix", encode(prefix));
            }),
        };
    }
}

pub(super) fn parts(context: &mut Context<'_>) -> Result<Reply, S3Error> {
    let request = context.request;
    let (limit, encode) = (context.page("max-parts")?, context.encoding()?);
    let marker = request.parameter("part-number-marker").unwrap_or("0");
    let Ok(after) = marker.parse::<u32>() else {
        let message = "Argument part-number-marker must be an integer between 0 and 2147483647";
        return Err(S3Error::invalid_argument("part-number-marker", marker, message));
    };
    let id = request.required("uploadId")?;
    let upload = context.state.bucket(&request.bucket)?.upload(&request.key, id)?;
    let mut behind = upload.parts.range(after.saturating_add(1)..);
    let page: Vec<_> = behind.by_ref().take(limit).collect();
    let is_truncated = limit > 0 && behind.next().is_some();
    let mut result = Element::result("ListPartsResult");
    result
        .text("Bucket", &request.bucket)
        .text("Key", encode(&request.key))
        .maybe("EncodingType", request.parameter("encoding-type"))
        .text("UploadId", id);
    who(&mut result);
    result
        .text("StorageClass", upload.attributes.storage_class())
        .text("PartNumberMarker", after)
        .maybe("NextPartNumberMarker", page.last().map(|(number, _)| **number))
        .text("MaxParts", limit)
        .text("IsTruncated", is_truncated);
    if let Some((algorithm, kind)) = upload.checksum {
        result.text("ChecksumAlgorithm", algorithm.name()).text("ChecksumType", kind.name());
    }
    for (number, part) in page {
        result.child("Part", |element| {
            element
                .text("PartNumber", number)
                .text("LastModified", dates::iso(part.modified))
                .text("ETag", quoted(&part.etag()))
                .text("Size", part.content.len());
            if let Some((algorithm, value)) = &part.checksum {
                element.text(algorithm.element(), value);
            }
        });
    }
    Ok(Reply::document(&result))
}

/// Who began it: always the same.
fn who(element: &mut Element) {
    for name in ["Initiator", "Owner"] {
        element.child(name, |who| {
            who.text("ID", "tests").text("DisplayName", "tests");
        });
    }
}
