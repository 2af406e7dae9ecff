//! Conditions: whether a request holds of what is there.

use super::error::S3Error;
use super::options::Honour;
use super::request::Request;
use super::state::Object;

/// Whether a write may happen.
///
/// `If-None-Match` takes `*` alone. `If-Match` on what is not there is 404, as AWS has it.
pub(super) fn for_write(
    request: &Request,
    honour: Honour,
    existing: Option<&Object>,
) -> Result<(), S3Error> {
    let (matches, differs) = (request.header("if-match"), request.header("if-none-match"));
    let condition = if matches.is_some() { "If-Match" } else { "If-None-Match" };
    match honour {
        _ if matches.is_none() && differs.is_none() => return Ok(()),
        Honour::Ignored => return Ok(()),
        Honour::Refused => return Err(S3Error::header_not_implemented(condition)),
        Honour::Honoured if differs.is_some_and(|differs| differs != "*") => {
            return Err(S3Error::header_not_implemented("If-None-Match"));
        }
        Honour::Honoured => {}
    }
    if differs.is_some() && existing.is_some() {
        return Err(S3Error::precondition_failed("If-None-Match"));
    }
    let Some(etags) = matches else { return Ok(()) };
    let Some(existing) = existing else { return Err(S3Error::no_such_key(&request.key)) };
    if names(etags, &existing.etag) {
        Ok(())
    } else {
        Err(S3Error::precondition_failed("If-Match"))
    }
}

/// Whether an object is to be read: `false` if the client has it already.
pub(super) fn for_read(request: &Request, object: &Object) -> Result<bool, S3Error> {
    if request.header("if-match").is_some_and(|etags| !names(etags, &object.etag)) {
        return Err(S3Error::precondition_failed("If-Match"));
    }
    Ok(request.header("if-none-match").is_none_or(|etags| !names(etags, &object.etag)))
}

/// Whether the source of a copy is as it was thought to be.
pub(super) fn for_source(request: &Request, source: &Object) -> Result<(), S3Error> {
    let matches = request.header("x-amz-copy-source-if-match");
    if matches.is_some_and(|etags| !names(etags, &source.etag)) {
        return Err(S3Error::precondition_failed("x-amz-copy-source-If-Match"));
    }
    let differs = request.header("x-amz-copy-source-if-none-match");
    if differs.is_some_and(|etags| names(etags, &source.etag)) {
        return Err(S3Error::precondition_failed("x-amz-copy-source-If-None-Match"));
    }
    Ok(())
}

/// Whether a list of ETags, quoted or not, names this one.
pub(super) fn names(etags: &str, etag: &str) -> bool {
    etags
        .split(',')
        .map(|named| named.trim().trim_matches('"'))
        .any(|named| named == "*" || named == etag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::request::tests::request;

    fn object() -> Object {
        Object { etag: "e".to_owned(), ..Object::of_nothing() }
    }

    #[test]
    fn a_write_is_held_against_what_is_there() {
        let there = object();
        for (header, value, there, expected) in [
            ("if-none-match", "*", None, None),
            ("if-none-match", "*", Some(&there), Some("PreconditionFailed")),
            ("if-none-match", "\"x\"", None, Some("NotImplemented")),
            ("if-match", "\"e\"", Some(&there), None),
            ("if-match", "e", Some(&there), None),
            ("if-match", "*", Some(&there), None),
            ("if-match", "\"x\"", Some(&there), Some("PreconditionFailed")),
            ("if-match", "\"e\"", None, Some("NoSuchKey")),
        ] {
            let request = request("PUT", "/b/k", &[(header, value)]);
            let honoured = for_write(&request, Honour::Honoured, there);
            assert_eq!(honoured.err().map(|error| error.code), expected, "{header}: {value}");
            assert!(for_write(&request, Honour::Ignored, there).is_ok());
            let refused = for_write(&request, Honour::Refused, there).unwrap_err();
            assert_eq!(refused.status, 501);
        }
    }

    #[test]
    fn a_write_without_a_condition_is_never_refused() {
        let request = request("PUT", "/b/k", &[]);
        assert!(for_write(&request, Honour::Refused, Some(&object())).is_ok());
    }

    #[test]
    fn a_read_may_be_refused_or_not_needed() {
        let read = |header: &str, value: &str| {
            for_read(&request("GET", "/b/k", &[(header, value)]), &object())
                .map_err(|error| error.code)
        };
        assert_eq!(read("if-match", "\"x\", \"e\""), Ok(true));
        assert_eq!(read("if-match", "\"x\""), Err("PreconditionFailed"));
        assert_eq!(read("if-none-match", "\"x\""), Ok(true));
        assert_eq!(read("if-none-match", "\"e\""), Ok(false));
    }
}
