//! The memory backend.

/// Keeps everything in memory.
#[derive(Debug)]
pub struct MemoryBackend;
