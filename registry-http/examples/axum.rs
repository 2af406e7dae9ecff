//! A registry beside a route of one's own, in one axum router: everybody may pull, who knows the password may push.
//!
//! ```text
//! cargo run -p registry-http --example axum
//! curl http://127.0.0.1:5000/hello
//! curl http://127.0.0.1:5000/v2/_catalog
//! curl -u root:secret -X POST http://127.0.0.1:5000/v2/app/blobs/uploads/ -i
//! ```

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::routing::get;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use http::request::Parts;
use registry_http::auth::{Access, Action, Actor, Authorizer, Denial};
use registry_http::{Options, service};
use registry_store::backend::MemoryBackend;
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use tokio::net::TcpListener;

/// `root:secret`, as a browser and docker send it.
const ROOT: &str = "Basic cm9vdDpzZWNyZXQ=";

/// Who may do what.
#[derive(Debug)]
struct OnePassword;

#[async_trait]
impl Authorizer for OnePassword {
    async fn authorize(&self, head: &Parts, needed: &[Access]) -> Result<Actor, Denial> {
        if head.headers.get(AUTHORIZATION).is_some_and(|given| given == ROOT) {
            return Ok(Actor::named("root"));
        }
        let reads = |access: &Access| match access {
            Access::Repository { action, .. } => *action == Action::Pull,
            Access::Catalog => true,
        };
        // `GET /v2/` needs nothing, and is where docker learns that there is a password to ask for.
        if !needed.is_empty() && needed.iter().all(reads) {
            return Ok(Actor::anonymous());
        }
        let challenge = HeaderValue::from_static("Basic realm=\"registry\"");
        Err(Denial::Unauthorized { challenges: vec![challenge] })
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let backend = Arc::new(MemoryBackend::new());
    let store = Store::new(backend, StoreOptions::default());

    // Expires uploads that were never finished. A service of its own would stop it when it stops.
    let maintenance = store.clone();
    tokio::spawn(async move { maintenance.maintenance().await });

    let options = Options { authorizer: Some(Arc::new(OnePassword)), ..Options::default() };
    let app = Router::new()
        .route("/hello", get(|| async { "hello" }))
        .fallback_service(service(store, options));
    let listener = TcpListener::bind("127.0.0.1:5000").await?;
    axum::serve(listener, app).await
}
