//! Programs no one here wrote.

mod distribution;
mod skopeo;
