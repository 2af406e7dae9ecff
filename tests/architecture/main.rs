//! What the source may import and call.
