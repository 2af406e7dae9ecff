//! What is asked of a bucket itself.

use http::StatusCode;

use super::Context;
use crate::s3::error::S3Error;
use crate::s3::reply::Reply;
use crate::s3::xml::Element;

pub(super) fn head(context: &mut Context<'_>) -> Result<Reply, S3Error> {
    context.state.bucket(&context.request.bucket)?;
    let reply = Reply::empty(StatusCode::OK);
    Ok(reply.with("x-amz-bucket-region", &context.options.region))
}

/// The oldest region is told by an empty element.
pub(super) fn location(context: &mut Context<'_>) -> Result<Reply, S3Error> {
    context.state.bucket(&context.request.bucket)?;
    let mut root = Element::result("LocationConstraint");
    if context.options.region != "us-east-1" {
        root.content(&context.options.region);
    }
    Ok(Reply::document(&root))
}
