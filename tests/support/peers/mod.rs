//! Programs no one here wrote, as Debian or their authors package them: one of a kind in each file, with its own home.

mod buildah;
mod containers;
mod context;
mod curl;
mod distribution;
mod docker;
mod garage;
mod haproxy;
mod moto;
mod podman;
mod program;
mod py_jwt;
mod shared;
mod skopeo;

pub use buildah::Buildah;
pub use containers::Containers;
pub use context::Context;
pub use curl::Curl;
pub use distribution::Distribution;
pub use docker::Docker;
pub use garage::Garage;
pub use haproxy::Haproxy;
pub use moto::Moto;
pub use podman::Podman;
pub use program::Said;
pub use py_jwt::PyJwt;
pub use skopeo::Skopeo;
