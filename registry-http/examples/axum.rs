//! A registry beside a route of one's own, in one axum router.
//!
//! ```text
//! cargo run -p registry-http --example axum
//! curl http://127.0.0.1:5000/hello
//! curl http://127.0.0.1:5000/v2/_catalog
//! ```

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use registry_http::{Options, service};
use registry_store::backend::MemoryBackend;
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let backend = Arc::new(MemoryBackend::new());
    let store = Store::new(backend, StoreOptions::default());

    // Expires uploads that were never finished. A service of its own would stop it when it stops.
    let maintenance = store.clone();
    tokio::spawn(async move { maintenance.maintenance().await });

    let app = Router::new()
        .route("/hello", get(|| async { "hello" }))
        .fallback_service(service(store, Options::default()));
    let listener = TcpListener::bind("127.0.0.1:5000").await?;
    axum::serve(listener, app).await
}
