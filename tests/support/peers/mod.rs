//! Programs no one here wrote, as Debian packages them: one of a kind in each file, with a home of its own.

mod buildah;
mod containers;
mod context;
mod distribution;
mod docker;
mod podman;
mod program;
mod skopeo;

pub use buildah::Buildah;
pub use containers::Containers;
pub use context::Context;
pub use distribution::Distribution;
pub use docker::Docker;
pub use podman::Podman;
pub use program::Said;
pub use skopeo::Skopeo;
