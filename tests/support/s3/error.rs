//! [`S3Error`]: what S3 refuses with.

use http::StatusCode;

use super::xml::Element;

/// What S3 refuses with.
#[derive(Clone, Debug)]
pub(super) struct S3Error {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// Elements that only this error has.
    pub(super) details: Vec<(&'static str, String)>,
}

impl S3Error {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).expect("a status of the source");
        Self { status, code, message: message.into(), details: Vec::new() }
    }

    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts are written alike")]
    pub(super) fn with(mut self, element: &'static str, text: impl ToString) -> Self {
        self.details.push((element, text.to_string()));
        self
    }

    /// The body, but for a HEAD, which has none.
    pub(super) fn to_xml(&self, resource: &str, request_id: &str) -> String {
        let mut error = Element::root("Error");
        error.text("Code", self.code).text("Message", &self.message);
        for (element, text) in &self.details {
            error.text(element, text);
        }
        error.text("Resource", resource).text("RequestId", request_id).text("HostId", "test");
        error.document()
    }

    pub(super) fn no_such_bucket(name: &str) -> Self {
        Self::new(404, "NoSuchBucket", "The specified bucket does not exist")
            .with("BucketName", name)
    }

    pub(super) fn no_such_key(key: &str) -> Self {
        Self::new(404, "NoSuchKey", "The specified key does not exist.").with("Key", key)
    }

    pub(super) fn no_such_upload(id: &str) -> Self {
        let message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have \
                       been aborted or completed.";
        Self::new(404, "NoSuchUpload", message).with("UploadId", id)
    }

    pub(super) fn precondition_failed(condition: &str) -> Self {
        let message = "At least one of the pre-conditions you specified did not hold";
        Self::new(412, "PreconditionFailed", message).with("Condition", condition)
    }

    pub(super) fn invalid_argument(name: &str, value: &str, message: impl Into<String>) -> Self {
        Self::new(400, "InvalidArgument", message)
            .with("ArgumentName", name)
            .with("ArgumentValue", value)
    }

    pub(super) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidRequest", message)
    }

    pub(super) fn malformed_xml() -> Self {
        let message = "The XML you provided was not well-formed or did not validate against our published schema";
        Self::new(400, "MalformedXML", message)
    }

    pub(super) fn header_not_implemented(header: &str) -> Self {
        let message = "A header you provided implies functionality that is not implemented";
        Self::new(501, "NotImplemented", message).with("Header", header)
    }

    pub(super) fn not_implemented(what: &str) -> Self {
        Self::new(501, "NotImplemented", format!("This S3 is for tests and has no {what}."))
    }

    pub(super) fn access_denied(message: &str) -> Self {
        Self::new(403, "AccessDenied", message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_a_document_with_code_message_and_request() {
        let xml = S3Error::no_such_key("a<b").to_xml("/bucket/a<b", "7");
        for part in
            ["<Error><Code>NoSuchKey</Code>", "<Key>a&lt;b</Key>", "<RequestId>7</RequestId>"]
        {
            assert!(xml.contains(part), "{part} in {xml}");
        }
    }
}
