//! Uploads in parts, from their beginning to what becomes of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use md5::{Digest as _, Md5};

use super::objects::with_encryption;
use super::{Context, quoted};
use crate::s3::checksum::{self, Algorithm, Checksum, Kind};
use crate::s3::conditions;
use crate::s3::content::Content;
use crate::s3::error::S3Error;
use crate::s3::options::CompletedAgain;
use crate::s3::payload::Payload;
use crate::s3::reply::Reply;
use crate::s3::request::{Request, host};
use crate::s3::state::{Attributes, Bucket, Completed, Object, Part, Upload};
use crate::s3::xml::{Element, read};

/// The highest number of a part.
const MOST_PARTS: u32 = 10_000;

pub(super) fn create(context: &mut Context<'_>) -> Result<Reply, S3Error> {
    let Context { request, state, .. } = context;
    let attributes = Attributes::of(request)?;
    let checksum = wanted_checksum(request)?;
    state.writes += 1;
    // Ids are in the order in which they were given, as the list of uploads is.
    let mut id = Md5::new();
    id.update(&request.key);
    id.update(state.writes.to_be_bytes());
    let id = format!("{:012x}{}", state.writes, hex::encode(id.finalize()));
    let upload = Upload {
        begun: context.now,
        attributes,
        checksum,
        parts: std::collections::BTreeMap::new(),
    };
    let mut reply = with_encryption(Reply::empty(StatusCode::OK), &upload.attributes);
    if let Some((algorithm, kind)) = checksum {
        reply = reply
            .with("x-amz-checksum-algorithm", algorithm.name())
            .with("x-amz-checksum-type", kind.name());
    }
    state.bucket(&request.bucket)?.uploads.insert((request.key.clone(), id.clone()), upload);
    let mut result = Element::result("InitiateMultipartUploadResult");
    result.text("Bucket", &request.bucket).text("Key", &request.key).text("UploadId", id);
    let document = Reply::document(&result);
    Ok(Reply { headers: [reply.headers, document.headers].concat(), ..document })
}

pub(super) fn part(context: &mut Context<'_>, payload: &Payload) -> Result<Reply, S3Error> {
    let number = part_number(context.request)?;
    let part = Part {
        content: payload.content.clone(),
        md5: payload.md5,
        modified: context.now,
        checksum: payload.checksum.clone(),
    };
    let checksum = part.checksum.clone();
    let reply = put_part(context, number, part, Reply::empty(StatusCode::OK))?;
    Ok(match checksum {
        Some((algorithm, value)) => reply.with(algorithm.header(), value),
        None => reply,
    })
}

/// Puts a part into its upload, and tells its ETag and encryption.
pub(super) fn put_part(
    context: &mut Context<'_>,
    number: u32,
    mut part: Part,
    reply: Reply,
) -> Result<Reply, S3Error> {
    let request = context.request;
    context.state.writes += 1;
    let salt = context.state.writes;
    let id = request.required("uploadId")?;
    let upload = context.state.bucket(&request.bucket)?.upload(&request.key, id)?;
    if let Some((expected, kind)) = upload.checksum {
        let actual = part.checksum.as_ref().map(|(algorithm, _)| *algorithm);
        let is_missing = actual.is_none() && kind == Kind::Composite;
        if is_missing || actual.is_some_and(|actual| actual != expected) {
            return Err(S3Error::invalid_request(format!(
                "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                expected.name(),
                actual.map_or("null", Algorithm::name),
            )));
        }
    }
    if upload.attributes.hides_md5() {
        let hidden = super::objects::etag(part.md5, &upload.attributes, salt);
        hex::decode_to_slice(hidden, &mut part.md5).expect("an ETag in hex");
    }
    let reply = with_encryption(reply.with("etag", quoted(&part.etag())), &upload.attributes);
    upload.parts.insert(number, part);
    Ok(reply)
}

/// The number of the part that a request is about.
pub(super) fn part_number(request: &Request) -> Result<u32, S3Error> {
    let number = request.required("partNumber")?;
    let message = format!("Part number must be an integer between 1 and {MOST_PARTS}, inclusive");
    let valid = number.parse().ok().filter(|number| (1..=MOST_PARTS).contains(number));
    valid.ok_or_else(|| S3Error::invalid_argument("partNumber", number, message))
}

/// Parts are looked at before the condition, and nothing is changed unless all of it holds: an upload that was
/// refused can be completed again.
pub(super) fn complete(context: &mut Context<'_>, payload: &Payload) -> Result<Reply, S3Error> {
    let request = context.request;
    let id = request.required("uploadId")?;
    let asked = asked_parts(payload)?;
    let bucket = context.state.bucket(&request.bucket)?;
    let etags = || asked.iter().map(|part| (part.number, part.etag.clone())).collect::<Vec<_>>();
    let again = bucket.completed.get(id).filter(|completed| {
        context.options.completed_again == CompletedAgain::Same
            && completed.key == request.key
            && completed.parts == etags()
    });
    if let Some(completed) = again {
        return Ok(completion(request, &completed.object));
    }
    let upload = bucket.upload(&request.key, id)?;
    let parts = matching_parts(upload, &asked, context.options.smallest_part)?;
    let object = compose(upload, &parts);
    check_whole(request, &object, upload)?;
    let honour = context.options.conditional_writes.complete;
    conditions::for_write(request, honour, bucket.objects.get(&request.key).map(AsRef::as_ref))?;
    bucket.uploads.remove(&(request.key.clone(), id.to_owned()));
    let object = context.state.write(&request.bucket, &request.key, Some(object))?;
    let completed = Completed { key: request.key.clone(), parts: etags(), object: object.clone() };
    context.state.bucket(&request.bucket)?.completed.insert(id.to_owned(), completed);
    Ok(completion(request, &object))
}

pub(super) fn abort(context: &mut Context<'_>) -> Result<Reply, S3Error> {
    let request = context.request;
    let id = request.required("uploadId")?;
    let bucket = context.state.bucket(&request.bucket)?;
    bucket.upload(&request.key, id)?;
    bucket.uploads.remove(&(request.key.clone(), id.to_owned()));
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

impl Bucket {
    pub(super) fn upload(&mut self, key: &str, id: &str) -> Result<&mut Upload, S3Error> {
        let upload = self.uploads.get_mut(&(key.to_owned(), id.to_owned()));
        upload.ok_or_else(|| S3Error::no_such_upload(id))
    }
}

/// A part as a completion names it.
struct Asked {
    number: u32,
    etag: String,
    checksum: Option<(Algorithm, String)>,
}

fn asked_parts(payload: &Payload) -> Result<Vec<Asked>, S3Error> {
    let document = read(&payload.content.to_bytes());
    let document = document.filter(|document| document.name == "CompleteMultipartUpload");
    let document = document.ok_or_else(S3Error::malformed_xml)?;
    let parts: Option<Vec<Asked>> = document
        .all("Part")
        .map(|part| {
            let checksums = Algorithm::ALL.into_iter();
            let mut checksums = checksums.filter_map(|algorithm| {
                Some((algorithm, part.get(algorithm.element())?.to_owned()))
            });
            Some(Asked {
                number: part.get("PartNumber")?.parse().ok()?,
                etag: part.get("ETag")?.trim_matches('"').to_owned(),
                checksum: checksums.next(),
            })
        })
        .collect();
    let parts = parts.filter(|parts| !parts.is_empty()).ok_or_else(S3Error::malformed_xml)?;
    if parts.windows(2).any(|pair| pair[0].number >= pair[1].number) {
        let message =
            "The list of parts was not in ascending order. Parts must be ordered by part number.";
        return Err(S3Error::new(400, "InvalidPartOrder", message));
    }
    Ok(parts)
}

fn matching_parts(upload: &Upload, asked: &[Asked], smallest: u64) -> Result<Vec<Part>, S3Error> {
    let mut parts = Vec::new();
    for asked in asked {
        let part = upload.parts.get(&asked.number).filter(|part| {
            part.etag() == asked.etag
                && (asked.checksum.is_none() || asked.checksum == part.checksum)
        });
        let Some(part) = part else {
            let message = "One or more of the specified parts could not be found. The part may not have been \
                           uploaded, or the specified entity tag may not match the part's entity tag.";
            return Err(S3Error::new(400, "InvalidPart", message)
                .with("PartNumber", asked.number)
                .with("ETag", &asked.etag));
        };
        if upload.checksum.is_some_and(|(_, kind)| kind == Kind::Composite)
            && asked.checksum.is_none()
        {
            let message = "The upload was created using a checksum. The complete request must include the checksum \
                           for each part.";
            return Err(S3Error::invalid_request(message));
        }
        parts.push(part.clone());
    }
    let but_last = &parts[..parts.len() - 1];
    if let Some((part, asked)) =
        but_last.iter().zip(asked).find(|(part, _)| part.content.len() < smallest)
    {
        let message = "Your proposed upload is smaller than the minimum allowed size";
        return Err(S3Error::new(400, "EntityTooSmall", message)
            .with("ProposedSize", part.content.len())
            .with("MinSizeAllowed", smallest)
            .with("PartNumber", asked.number)
            .with("ETag", part.etag()));
    }
    Ok(parts)
}

/// The object is as old as the upload: its time is that of the beginning.
fn compose(upload: &Upload, parts: &[Part]) -> Object {
    let (mut content, mut md5) = (Content::new(), Md5::new());
    for part in parts {
        content.append(&part.content);
        md5.update(part.md5);
    }
    let etag = format!("{}-{}", hex::encode(md5.finalize()), parts.len());
    let checksum = upload.checksum.map(|(algorithm, kind)| Checksum {
        algorithm,
        value: match kind {
            Kind::FullObject => of_content(algorithm, &content),
            Kind::Composite => of_checksums(algorithm, parts),
        },
        kind,
    });
    let (modified, attributes) = (upload.begun, upload.attributes.clone());
    Object { content, etag, modified, attributes, checksum, write: 0 }
}

/// The checksum of all bytes.
pub(super) fn of_content(algorithm: Algorithm, content: &Content) -> String {
    let pieces: Vec<_> = content.clone().into_pieces().collect();
    checksum::of(algorithm, pieces.iter().map(AsRef::as_ref))
}

/// The checksum of the checksums of the parts.
fn of_checksums(algorithm: Algorithm, parts: &[Part]) -> String {
    let checksums: Vec<Vec<u8>> =
        parts.iter().filter_map(|part| STANDARD.decode(&part.checksum.as_ref()?.1).ok()).collect();
    let of_all = checksum::of(algorithm, checksums.iter().map(Vec::as_slice));
    format!("{of_all}-{}", parts.len())
}

/// What a completion says of the whole object.
fn check_whole(request: &Request, object: &Object, upload: &Upload) -> Result<(), S3Error> {
    let size = request.header("x-amz-mp-object-size").and_then(|size| size.parse::<u64>().ok());
    if size.is_some_and(|size| size != object.content.len()) {
        let message =
            "The provided 'x-amz-mp-object-size' header does not match what was computed.";
        return Err(S3Error::invalid_request(message));
    }
    for algorithm in Algorithm::ALL {
        let Some(expected) = request.header(algorithm.header()) else { continue };
        let actual = match (&object.checksum, upload.checksum) {
            (Some(checksum), Some((of, _))) if of == algorithm => checksum.value.clone(),
            _ => of_content(algorithm, &object.content),
        };
        if actual != expected {
            let message = format!(
                "The {} you specified did not match the calculated checksum.",
                algorithm.name()
            );
            return Err(S3Error::new(400, "BadDigest", message));
        }
    }
    Ok(())
}

fn completion(request: &Request, object: &Object) -> Reply {
    let mut result = Element::result("CompleteMultipartUploadResult");
    let location = format!("http://{}{}", host(&request.head), request.head.uri.path());
    result
        .text("Location", location)
        .text("Bucket", &request.bucket)
        .text("Key", &request.key)
        .text("ETag", quoted(&object.etag));
    if let Some(checksum) = &object.checksum {
        result
            .text(checksum.algorithm.element(), &checksum.value)
            .text("ChecksumType", checksum.kind.name());
    }
    with_encryption(Reply::document(&result), &object.attributes)
}

/// The checksum that an upload is to have, by the algorithm and what it is of. SHA256 can only be of checksums,
/// CRC64NVME only of the bytes; the others are of the checksums unless it is said otherwise.
fn wanted_checksum(request: &Request) -> Result<Option<(Algorithm, Kind)>, S3Error> {
    let Some(name) = request.header("x-amz-checksum-algorithm") else { return Ok(None) };
    let Some(algorithm) = Algorithm::named(name) else {
        return Err(S3Error::not_implemented(&format!("checksum {name}")));
    };
    let by_default = if algorithm == Algorithm::Crc64nvme { "FULL_OBJECT" } else { "COMPOSITE" };
    match (request.header("x-amz-checksum-type").unwrap_or(by_default), algorithm) {
        ("FULL_OBJECT", Algorithm::Crc64nvme | Algorithm::Crc32 | Algorithm::Crc32c) => {
            Ok(Some((algorithm, Kind::FullObject)))
        }
        ("COMPOSITE", Algorithm::Crc32 | Algorithm::Crc32c | Algorithm::Sha256) => {
            Ok(Some((algorithm, Kind::Composite)))
        }
        (kind, _) => Err(S3Error::invalid_request(format!(
            "The {kind} checksum type cannot be used with the {name} checksum algorithm."
        ))),
    }
}
