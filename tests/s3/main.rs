//! The S3 of the tests does what S3 does.
