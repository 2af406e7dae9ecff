//! [`Fixture`]: a registry with something in it, and the names of what is in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use registry_http::{Options, RegistryService, service};
use registry_store::backend::{Backend, BackendExt as _, Key, PutMode};
use registry_store::digest::{Algorithm, Digest};
use registry_store::layout::{self, RepositoryLayout};
use registry_store::manifest::{MAX_MANIFEST_SIZE, Manifest};
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use registry_tests::documents::{
    descriptor, image, image_document, index, manifest, push_manifest,
};
use registry_tests::world::{World, push, push_as};
use serde_json::{Value, json};

/// The content of the blob `{hello}`.
const HELLO: &[u8] = b"hello world";
/// The content of every config here.
const CONFIG: &[u8] = b"{}";
/// A digest of an algorithm that no registry here computes.
const FOREIGN: &str = "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

/// A manifest such as nobody accepts any more, and Distribution 2.x stored.
const SCHEMA_1: &str = r#"{"schemaVersion":1,"name":"app","tag":"old","architecture":"amd64","fsLayers":[],"history":[]}"#;

/// A registry with the repositories `app`, `app/tools` and `zoo`.
pub(crate) struct Fixture {
    pub(crate) world: World,
    names: BTreeMap<String, String>,
}

impl Fixture {
    /// On memory.
    pub(crate) async fn new() -> Self {
        Self::on(World::memory()).await
    }

    pub(crate) async fn on(world: World) -> Self {
        let mut fixture = Self { world, names: BTreeMap::new() };
        fixture.fill().await;
        fixture
    }

    pub(crate) fn service(&self, options: Options) -> RegistryService {
        service(self.world.store.clone(), options)
    }

    /// The same through another backend.
    pub(crate) fn service_over(
        &self,
        backend: Arc<dyn Backend>,
        options: Options,
    ) -> RegistryService {
        service(Store::new(backend, StoreOptions::default()), options)
    }

    /// Does to the storage what no request can: what another program, or a fault, did before the case begins.
    pub(crate) async fn beforehand(&self, text: &str) {
        let app = RepositoryLayout::new(self.world.repository("app").name());
        let hello = Digest::sha256(HELLO);
        match text {
            "the data of {hello} is gone" => self.remove(layout::blob(&hello)).await,
            "the data of {hello} was emptied" => self.write(layout::blob(&hello), "").await,
            "the data of {hello} was cut short" => self.write(layout::blob(&hello), "hel").await,
            "the link of {hello} in app was emptied" => {
                self.write(app.layer_link(&hello), "").await;
            }
            "the data of {image} was emptied" => {
                let image: Digest = self.names["{image}"].parse().expect("a digest");
                self.write(layout::blob(&image), "").await;
            }
            "the tag v9 of app has a history and no current link" => {
                let tag = "v9".parse().expect("a tag");
                self.write(app.tag_index_link(&tag, &hello), &hello.to_string()).await;
            }
            "Distribution 2 left a manifest of schema 1 in app, tagged old" => {
                let (digest, tag) = (Digest::sha256(SCHEMA_1.as_bytes()), "old".parse());
                let tag = tag.expect("a tag");
                self.write(layout::blob(&digest), SCHEMA_1).await;
                for link in [
                    app.revision_link(&digest),
                    app.tag_index_link(&tag, &digest),
                    app.tag_current_link(&tag),
                ] {
                    self.write(link, &digest.to_string()).await;
                }
            }
            _ => unreachable!("{text:?} is known neither as an option nor as something done"),
        }
    }

    async fn write(&self, key: Key, content: &str) {
        let bytes = Bytes::copy_from_slice(content.as_bytes());
        self.world.backend.put(&key, bytes, PutMode::Overwrite).await.expect("room");
    }

    async fn remove(&self, key: Key) {
        self.world.backend.delete(&[key]).await.expect("it can be removed");
    }

    /// Puts what is named in braces into a text.
    pub(crate) fn fill_in(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (name, value) in &self.names {
            filled = filled.replace(name, value);
        }
        filled
    }

    pub(crate) fn name(&mut self, name: &str, value: &(impl ToString + ?Sized)) {
        self.names.insert(format!("{{{name}}}"), value.to_string());
    }

    async fn fill(&mut self) {
        let app = self.world.repository("app");
        push(&self.world.repository("app/tools"), b"a tool").await;
        push(&self.world.repository("zoo"), HELLO).await;
        let hello = push(&app, HELLO).await;
        self.name("hello", &hello);
        self.name("hello512", &push_as(&app, Algorithm::Sha512, HELLO).await);
        self.name("nothing", &push(&app, b"").await);
        self.name("config", &push(&app, CONFIG).await);
        self.name("tool", &Digest::sha256(b"a tool"));
        self.name("missing", &Digest::sha256(b"never pushed"));
        self.name("abcdef", &Digest::sha256(b"abcdef"));
        self.name("abcdef512", &Digest::of(Algorithm::Sha512, b"abcdef"));

        let pushed = image(CONFIG, &[HELLO]);
        push_manifest(&app, &pushed, &["v1", "v2"]).await;
        self.manifest("image", &pushed);
        let all = index(&[&pushed]);
        push_manifest(&app, &all, &["all"]).await;
        self.manifest("index", &all);
        for name in ["signature", "sbom"] {
            let referrer = manifest(&referrer(name, &pushed));
            push_manifest(&app, &referrer, &[]).await;
            self.manifest(name, &referrer);
        }
        self.not_pushed();
    }

    /// Manifests for requests to push.
    fn not_pushed(&mut self) {
        self.manifest("other", &image(CONFIG, &[]));
        let orphan = image(b"no such config", &[HELLO, b"no such layer"]);
        self.manifest("orphan", &orphan);
        self.name("no-config", &Digest::sha256(b"no such config"));
        self.name("no-layer", &Digest::sha256(b"no such layer"));
        let about_nothing = referrer("about-nothing", &orphan);
        self.manifest("about-orphan", &manifest(&about_nothing));
        let mut about_foreign = referrer("about-foreign", &orphan);
        about_foreign["subject"]["digest"] = json!(FOREIGN);
        self.manifest("about-foreign", &manifest(&about_foreign));
        self.name("foreign", FOREIGN);
        let docker = image_document(CONFIG, &[]).to_string();
        let docker = docker.replace("oci.image.manifest.v1", "docker.distribution.manifest.v2");
        self.name("docker.json", &docker);
        self.name("schema1.json", SCHEMA_1);
        self.name("schema1", &Digest::sha256(SCHEMA_1.as_bytes()));
        self.name("a*255", &"a".repeat(255));
        self.name("a*256", &"a".repeat(256));
        self.name("a*129", &"a".repeat(129));
        self.name("too-large", &" ".repeat(MAX_MANIFEST_SIZE + 1));
    }

    fn manifest(&mut self, name: &str, manifest: &Manifest) {
        let text = std::str::from_utf8(manifest.bytes()).expect("JSON is UTF-8");
        self.name(name, &manifest.digest(Algorithm::Sha256));
        self.name(&format!("{name}.hex"), &manifest.digest(Algorithm::Sha256).hex());
        self.name(&format!("{name}512"), &manifest.digest(Algorithm::Sha512));
        self.name(&format!("{name}.json"), &text);
        self.name(&format!("{name}.size"), &text.len());
    }
}

/// A manifest of the artifact type `application/vnd.example.<name>` whose subject is another.
fn referrer(name: &str, subject: &Manifest) -> Value {
    let mut document = image_document(CONFIG, &[]);
    let digest = subject.digest(Algorithm::Sha256);
    let subject = descriptor(subject.media_type().as_str(), &digest, subject.bytes().len());
    document["subject"] = subject;
    document["artifactType"] = json!(format!("application/vnd.example.{name}"));
    document["annotations"] = json!({"of": name});
    document
}
