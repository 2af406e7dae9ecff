//! [`Request`]: what a request asks for, and of what.

use http::Method;
use http::request::Parts;
use percent_encoding::percent_decode_str;

use super::error::S3Error;
use super::operation::Operation;

/// The head of a request, understood.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) operation: Operation,
    pub(super) bucket: String,
    /// Empty if it is about the bucket.
    pub(super) key: String,
    /// Decoded, in the order they came.
    pub(super) query: Vec<(String, String)>,
    pub(super) head: Parts,
    /// What is wrong with it before anything is looked up.
    pub(super) problem: Option<S3Error>,
}

/// The longest key, in bytes.
const LONGEST_KEY: usize = 1024;

impl Request {
    pub(super) fn new(head: Parts, domain: &str) -> Self {
        let query = query(head.uri.query().unwrap_or_default());
        let path = percent_decode_str(head.uri.path()).decode_utf8();
        let mut problem = path
            .is_err()
            .then(|| S3Error::new(400, "InvalidURI", "Couldn't parse the specified URI."));
        let path = path.unwrap_or_default().strip_prefix('/').unwrap_or_default().to_owned();
        let (bucket, key) = match bucket_of_host(&head, domain) {
            Some(bucket) => (bucket, path),
            None => match path.split_once('/') {
                Some((bucket, key)) => (bucket.to_owned(), key.to_owned()),
                None => (path, String::new()),
            },
        };
        if key.len() > LONGEST_KEY {
            let error = S3Error::new(400, "KeyTooLongError", "Your key is too long");
            problem = Some(error.with("Size", key.len()).with("MaxSizeAllowed", LONGEST_KEY));
        }
        let mut request = Self { operation: Operation::Unknown, bucket, key, query, head, problem };
        request.operation = request.operation();
        request
    }

    /// A header; `None` too if it is not text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok().map(str::trim)
    }

    /// A parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that has to be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, S3Error> {
        let missing =
            || S3Error::invalid_request(format!("This request needs the parameter {name}"));
        self.parameter(name).ok_or_else(missing)
    }

    /// Path and bucket, as errors name them.
    pub(super) fn resource(&self) -> String {
        format!("/{}/{}", self.bucket, self.key)
    }

    /// Anything that is asked for and not known is refused, never passed over: an answer that leaves something out
    /// would teach a client wrong things.
    fn operation(&self) -> Operation {
        let has = |name| self.parameter(name).is_some();
        let is_copy = self.head.headers.contains_key("x-amz-copy-source");
        let candidate = match (&self.head.method, self.key.is_empty()) {
            _ if self.bucket.is_empty() => Operation::Unknown,
            (&Method::HEAD, true) => Operation::HeadBucket,
            (&Method::GET, true) if has("location") => Operation::GetBucketLocation,
            (&Method::GET, true) if has("uploads") => Operation::ListMultipartUploads,
            (&Method::GET, true) if self.parameter("list-type") == Some("2") => {
                Operation::ListObjectsV2
            }
            (&Method::POST, true) if has("delete") => Operation::DeleteObjects,
            (&Method::PUT, false) if has("uploadId") && is_copy => Operation::UploadPartCopy,
            (&Method::PUT, false) if has("uploadId") => Operation::UploadPart,
            (&Method::PUT, false) if is_copy => Operation::CopyObject,
            (&Method::PUT, false) => Operation::PutObject,
            (&Method::GET, false) if has("uploadId") => Operation::ListParts,
            (&Method::GET, false) => Operation::GetObject,
            (&Method::HEAD, false) => Operation::HeadObject,
            (&Method::DELETE, false) if has("uploadId") => Operation::AbortMultipartUpload,
            (&Method::DELETE, false) => Operation::DeleteObject,
            (&Method::POST, false) if has("uploads") => Operation::CreateMultipartUpload,
            (&Method::POST, false) if has("uploadId") => Operation::CompleteMultipartUpload,
            _ => Operation::Unknown,
        };
        let known = |name: &str| {
            let of_any = name == "x-id" || name.to_ascii_lowercase().starts_with("x-amz-");
            of_any || candidate.parameters().contains(&name)
        };
        if self.query.iter().all(|(name, _)| known(name)) { candidate } else { Operation::Unknown }
    }
}

/// The bucket of `bucket.domain`.
fn bucket_of_host(head: &Parts, domain: &str) -> Option<String> {
    let host = host(head);
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let bucket = name.strip_suffix(domain)?.strip_suffix('.')?;
    Some(bucket.to_owned())
}

/// The host that a request names; empty if it names none.
pub(super) fn host(head: &Parts) -> &str {
    let header = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    header.or_else(|| head.uri.authority().map(http::uri::Authority::as_str)).unwrap_or_default()
}

/// The parameters of a query, decoded.
pub(super) fn query(text: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A request without a body.
    pub(in crate::s3) fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> Request {
        let mut builder = http::Request::builder().method(method).uri(target);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        Request::new(builder.body(()).unwrap().into_parts().0, "s3.test")
    }

    #[test]
    fn a_bucket_is_in_the_path_or_in_the_host() {
        for (host, target, bucket, key) in [
            ("127.0.0.1:9000", "/b/a/c", "b", "a/c"),
            ("127.0.0.1:9000", "/b", "b", ""),
            ("127.0.0.1:9000", "/b//a", "b", "/a"),
            ("s3.test", "/b/%C3%A9%2F+", "b", "é/+"),
            ("b.s3.test:80", "/a/c", "b", "a/c"),
            ("b.c.s3.test", "/", "b.c", ""),
        ] {
            let request = request("GET", target, &[("host", host)]);
            assert_eq!((request.bucket.as_str(), request.key.as_str()), (bucket, key));
        }
    }

    #[test]
    fn each_operation_is_told_by_method_place_and_parameters() {
        let copy = [("x-amz-copy-source", "b/k")];
        for (method, target, headers, operation) in [
            ("HEAD", "/b", &[][..], Operation::HeadBucket),
            ("GET", "/b?location", &[], Operation::GetBucketLocation),
            ("GET", "/b/?list-type=2&prefix=a", &[], Operation::ListObjectsV2),
            ("GET", "/b/?uploads", &[], Operation::ListMultipartUploads),
            ("POST", "/b/?delete", &[], Operation::DeleteObjects),
            ("PUT", "/b/k?x-id=PutObject", &[], Operation::PutObject),
            ("PUT", "/b/k", &copy, Operation::CopyObject),
            ("PUT", "/b/k?partNumber=1&uploadId=u", &[], Operation::UploadPart),
            ("PUT", "/b/k?partNumber=1&uploadId=u", &copy, Operation::UploadPartCopy),
            ("GET", "/b/k?X-Amz-Signature=s", &[], Operation::GetObject),
            ("GET", "/b/k?uploadId=u", &[], Operation::ListParts),
            ("HEAD", "/b/k", &[], Operation::HeadObject),
            ("DELETE", "/b/k", &[], Operation::DeleteObject),
            ("DELETE", "/b/k?uploadId=u", &[], Operation::AbortMultipartUpload),
            ("POST", "/b/k?uploads", &[], Operation::CreateMultipartUpload),
            ("POST", "/b/k?uploadId=u", &[], Operation::CompleteMultipartUpload),
        ] {
            assert_eq!(request(method, target, headers).operation, operation, "{method} {target}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_passed_over() {
        for (method, target) in [
            ("GET", "/"),
            ("GET", "/b"),
            ("GET", "/b?acl"),
            ("PUT", "/b"),
            ("GET", "/b/k?versionId=1"),
            ("PUT", "/b/k?tagging"),
            ("GET", "/b?list-type=2&marker=x"),
            ("POST", "/b/k"),
        ] {
            assert_eq!(
                request(method, target, &[]).operation,
                Operation::Unknown,
                "{method} {target}"
            );
        }
    }

    #[test]
    fn a_key_is_text_of_no_more_than_1024_bytes() {
        let problem =
            |target: &str| request("GET", target, &[]).problem.map(|problem| problem.code);
        assert_eq!(problem("/b/%ff"), Some("InvalidURI"));
        assert_eq!(problem(&format!("/b/{}", "k".repeat(1024))), None);
        assert_eq!(problem(&format!("/b/{}", "k".repeat(1025))), Some("KeyTooLongError"));
    }
}
