//! [`Failure`]: what became of a request that did not succeed, and what a caller of the backend is told of it.

use std::error::Error as StdError;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId as _;

use crate::backend::{Error, ErrorKind, Key};

/// A request that did not succeed.
#[derive(Debug)]
pub(super) struct Failure {
    operation: &'static str,
    cause: Cause,
    /// What may have become of its tries.
    pub(super) doubt: Doubt,
    source: Box<dyn StdError + Send + Sync>,
}

/// What may have become of a request that was not answered with success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doubt {
    /// It was not done.
    None,
    /// It may have been done; it is over.
    Done,
    /// It may have been done, or may yet be: no answer came.
    Later,
}

/// Why it did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// There is no such object, and the server says so.
    NoSuchKey,
    /// There is no such upload.
    NoSuchUpload,
    /// A condition does not hold.
    Condition,
    /// No byte of the range exists.
    Range,
    /// Not allowed.
    Denied,
    /// No room.
    Full,
    /// The server does not do such a thing.
    Unsupported,
    /// It asks for fewer requests.
    Throttled,
    /// It does not answer, or says that it cannot now.
    Unavailable,
    /// It says that it is done, in words that cannot be read.
    Unreadable,
    /// It says what is not foreseen.
    Other,
}

impl Cause {
    /// May the same request succeed later?
    pub(super) const fn is_passing(self) -> bool {
        matches!(self, Self::Throttled | Self::Unavailable)
    }
}

/// What a single try of a request came to.
pub(super) struct Tried {
    pub(super) cause: Cause,
    pub(super) doubt: Doubt,
    pub(super) source: Box<dyn StdError + Send + Sync>,
}

impl Tried {
    /// A try without an answer in its time.
    pub(super) fn timed_out() -> Self {
        Self {
            cause: Cause::Unavailable,
            doubt: Doubt::Later,
            source: "no answer within the time for one".into(),
        }
    }

    /// One of several objects was not deleted.
    pub(super) fn of_one_deletion(failed: &aws_sdk_s3::types::Error) -> Self {
        let cause = judge(200, failed.code());
        let [key, code, message] = [failed.key(), failed.code(), failed.message()]
            .map(|part| part.unwrap_or("nothing is said"));
        Self { cause, doubt: Doubt::Done, source: format!("{key}: {code}: {message}").into() }
    }

    #[expect(clippy::needless_pass_by_value, reason = "what maps errors hands them over")]
    pub(super) fn of<E>(error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let (cause, doubt) = match &error {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                let cause = judge(status, answer.err().code());
                // A server that says that it failed may have failed behind the deed.
                let is_uncertain = matches!(cause, Cause::Unavailable | Cause::Unreadable);
                let doubt = if is_uncertain { Doubt::Done } else { Doubt::None };
                (cause, doubt)
            }
            // It could not be read to its end, whatever it was going to say.
            SdkError::ResponseError(_) => (Cause::Unavailable, Doubt::Done),
            SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) => {
                (Cause::Unavailable, Doubt::Later)
            }
            _ => (Cause::Other, Doubt::None),
        };
        Self { cause, doubt, source: in_words(&error).into() }
    }
}

/// What the server said, or why it said nothing: in one line, without the headers of its answer.
fn in_words<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let SdkError::ServiceError(answer) = error else {
        let causes = std::iter::successors(Some(error as &dyn StdError), |error| (*error).source());
        return causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    };
    let mut words = format!("the server answers {}", answer.raw().status().as_u16());
    let meta = answer.err().meta();
    for (before, part) in
        [(" ", meta.code()), (": ", meta.message()), (", request ", meta.request_id())]
    {
        if let Some(part) = part {
            words = words + before + part;
        }
    }
    words
}

/// What a status with a code means. Answers to HEAD have no body; of those the code is `NotFound`.
fn judge(status: u16, code: Option<&str>) -> Cause {
    match (status, code.unwrap_or_default()) {
        (_, "NoSuchUpload") => Cause::NoSuchUpload,
        (_, "NoSuchKey") | (404, "NotFound") => Cause::NoSuchKey,
        // Such as a bucket that is not there, or a proxy that says so: no word on the object.
        (404, _) => Cause::Unavailable,
        (412 | 304, _) => Cause::Condition,
        (416, _) => Cause::Range,
        (429, _) | (_, "SlowDown" | "SlowDownRead" | "SlowDownWrite" | "TooManyRequests") => {
            Cause::Throttled
        }
        (507, _) | (_, "InsufficientStorage" | "XMinioStorageFull" | "QuotaExceeded") => {
            Cause::Full
        }
        (501 | 405, _) => Cause::Unsupported,
        // 409: two conditional requests met, and it tells neither what came of it.
        (409, _) | (_, "RequestTimeout" | "InternalError") => Cause::Unavailable,
        (401 | 403, _)
        | (_, "AccessDenied" | "ExpiredToken" | "InvalidToken" | "AuthorizationHeaderMalformed") => {
            Cause::Denied
        }
        (500.., _) => Cause::Unavailable,
        (200..300, "") => Cause::Unreadable,
        _ => Cause::Other,
    }
}

impl Failure {
    pub(super) fn new(operation: &'static str, tried: Tried, doubt: Doubt) -> Self {
        Self { operation, cause: tried.cause, doubt, source: tried.source }
    }

    /// What was asked for is not there to be asked for.
    pub(super) fn here(operation: &'static str, cause: Cause, source: String) -> Self {
        Self { operation, cause, doubt: Doubt::None, source: source.into() }
    }

    /// The runtime ended before the answer came.
    pub(super) fn cut(
        operation: &'static str,
        error: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { operation, cause: Cause::Unavailable, doubt: Doubt::Later, source: error.into() }
    }

    #[cfg(test)]
    pub(super) const fn cause(&self) -> Cause {
        self.cause
    }

    /// The same of a request that changes nothing, whatever becomes of it.
    pub(super) fn of_a_look(self) -> Self {
        Self { doubt: Doubt::None, ..self }
    }

    /// The same of a look for the bucket: if it is not there, that is no word on any object.
    pub(super) fn of_the_bucket(self) -> Self {
        let is_gone = self.is(Cause::NoSuchKey);
        Self { cause: if is_gone { Cause::Unavailable } else { self.cause }, ..self }
    }

    /// May it have been done all the same?
    pub(super) fn is_uncertain(&self) -> bool {
        self.doubt > Doubt::None
    }

    pub(super) fn is(&self, cause: Cause) -> bool {
        self.cause == cause
    }

    /// What a caller of the backend is told.
    pub(super) fn at(self, key: &Key) -> Error {
        self.into_error().at(key)
    }

    /// The same, where it is of the bucket as a whole.
    pub(super) fn of_bucket(self, name: &str) -> Error {
        let reason = format!("the bucket `{name}`: {}", self.source);
        Error::new(self.kind(), self.operation).because(reason)
    }

    /// The same, where it is of no one key.
    pub(super) fn into_error(self) -> Error {
        Error::new(self.kind(), self.operation).because(self.source)
    }

    const fn kind(&self) -> ErrorKind {
        match self.cause {
            Cause::NoSuchKey => ErrorKind::NotFound,
            Cause::Range => ErrorKind::RangeNotSatisfiable,
            Cause::Denied => ErrorKind::Denied,
            Cause::Full => ErrorKind::Full,
            Cause::Unsupported => ErrorKind::Unsupported,
            Cause::Throttled | Cause::Unavailable => ErrorKind::Unavailable,
            Cause::NoSuchUpload | Cause::Condition | Cause::Unreadable | Cause::Other => {
                ErrorKind::Io
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_that_is_said_not_to_be_there_is_not_found() {
        assert_eq!(judge(404, Some("NoSuchKey")), Cause::NoSuchKey);
        assert_eq!(judge(404, Some("NotFound")), Cause::NoSuchKey);
        for code in ["NoSuchBucket", "SomethingElse", ""] {
            assert_eq!(judge(404, Some(code)), Cause::Unavailable, "{code}");
        }
    }

    #[test]
    fn what_may_pass_is_tried_again_and_nothing_else() {
        for (status, code) in [
            (500, "InternalError"),
            (200, "InternalError"),
            (503, "SlowDown"),
            (503, "ServiceUnavailable"),
            (502, ""),
            (429, "TooManyRequests"),
            (400, "RequestTimeout"),
            (409, "ConditionalRequestConflict"),
        ] {
            assert!(judge(status, Some(code)).is_passing(), "{status} {code}");
        }
        for (status, code) in [
            (400, "InvalidArgument"),
            (403, "AccessDenied"),
            (404, "NoSuchKey"),
            (412, "PreconditionFailed"),
            (416, "InvalidRange"),
            (501, "NotImplemented"),
            (507, "InsufficientStorage"),
        ] {
            assert!(!judge(status, Some(code)).is_passing(), "{status} {code}");
        }
    }
}
