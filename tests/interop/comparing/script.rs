//! The requests: every kind that a client makes, and mistakes of each kind.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;

use registry_store::digest::Digest;
use registry_tests::documents::{image_document, index, manifest};
use registry_tests::plain_http::{Answer, answer, connect};

use super::deployments::{Deployment, Who};
use super::transcript::Transcript;

const HELLO: &str = "hello world";
const TOOL: &str = "a tool";
const CONFIG: &str = "{}";

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A request, and what is kept of its answer.
pub(super) struct Step {
    name: &'static str,
    who: Who,
    method: &'static str,
    /// With `{name}` for what was kept.
    target: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    keep: Option<&'static str>,
}

fn step(name: &'static str, method: &'static str, target: impl Into<String>) -> Step {
    let target = target.into();
    Step { name, who: Who::Owner, method, target, headers: vec![], body: vec![], keep: None }
}

impl Step {
    fn by(self, who: Who) -> Self {
        Self { who, ..self }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn bytes(self, body: impl Into<Vec<u8>>) -> Self {
        let whole = Self { body: body.into(), ..self };
        whole.with("Content-Type", "application/octet-stream")
    }

    fn document(self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        let whole = Self { body: body.into(), ..self };
        whole.with("Content-Type", kind)
    }

    /// Keeps `Location` under this name.
    fn keep(self, name: &'static str) -> Self {
        Self { keep: Some(name), ..self }
    }
}

fn digest(content: &str) -> Digest {
    Digest::sha256(content.as_bytes())
}

fn image() -> String {
    image_document(CONFIG.as_bytes(), &[HELLO.as_bytes()]).to_string()
}

fn docker() -> String {
    let document = image_document(CONFIG.as_bytes(), &[HELLO.as_bytes()]).to_string();
    document
        .replace(OCI, DOCKER)
        .replace("vnd.oci.image.config.v1+json", "vnd.docker.container.image.v1+json")
        .replace("vnd.oci.image.layer.v1.tar", "vnd.docker.image.rootfs.diff.tar.gzip")
}

fn absent() -> Digest {
    digest("nobody has pushed it")
}

/// All of it, in order.
pub(super) fn steps() -> Vec<Step> {
    let parts = [
        outside(),
        nothing_there(),
        uploads(),
        mistaken_uploads(),
        mounts(),
        blobs(),
        pushes(),
        mistaken_pushes(),
        manifests(),
        listings(),
        rights(),
        deletes(),
    ];
    parts.into_iter().flatten().collect()
}

/// What leaves something to be read, and nothing begun.
pub(super) fn filling() -> Vec<Step> {
    [uploads(), pushes()].into_iter().flatten().collect()
}

fn outside() -> Vec<Step> {
    vec![
        step("the root", "GET", "/").by(Who::Nobody),
        step("the base", "GET", "/v2/"),
        step("the base by HEAD", "HEAD", "/v2/"),
        step("the base without its slash", "GET", "/v2"),
        step("the base by OPTIONS", "OPTIONS", "/v2/"),
        step("the base by POST", "POST", "/v2/"),
        step("the base by nobody", "GET", "/v2/").by(Who::Nobody),
        step("the base by an impostor", "GET", "/v2/").by(Who::Impostor),
        step("no route", "GET", "/v2/app/nothing"),
        step("no route outside", "GET", "/nothing"),
    ]
}

fn nothing_there() -> Vec<Step> {
    let none = absent();
    vec![
        step("tags of nothing", "GET", "/v2/none/tags/list").by(Who::Owner),
        step("a blob of nothing", "GET", format!("/v2/other/blobs/{none}")),
        step("a blob of nothing by HEAD", "HEAD", format!("/v2/other/blobs/{none}")),
        step("a blob by a bad digest", "GET", "/v2/other/blobs/sha256:abc"),
        step("a blob by no digest", "GET", "/v2/other/blobs/nothing"),
        step("a manifest of nothing", "GET", "/v2/other/manifests/latest").with("Accept", OCI),
        step("a manifest of nothing by HEAD", "HEAD", "/v2/other/manifests/latest"),
        step("a manifest by an absent digest", "GET", format!("/v2/other/manifests/{none}")),
        step("a name in capitals", "GET", "/v2/APP/tags/list"),
        step(
            "an upload of nobody",
            "GET",
            "/v2/app/blobs/uploads/00000000-0000-4000-8000-000000000000",
        ),
    ]
}

/// Pushes the three blobs, in three ways.
fn uploads() -> Vec<Step> {
    vec![
        step("an upload", "POST", "/v2/app/blobs/uploads/").bytes("").keep("a"),
        step("its status", "GET", "{a}"),
        step("all in its end", "PUT", format!("{{a}}&digest={}", digest(HELLO))).bytes(HELLO),
        step("an upload in chunks", "POST", "/v2/app/blobs/uploads/").bytes("").keep("b"),
        step("a first chunk", "PATCH", "{b}").bytes("a ").with("Content-Range", "0-1").keep("b"),
        step("the status after a chunk", "GET", "{b}").keep("b"),
        step("a second chunk", "PATCH", "{b}").bytes("to").with("Content-Range", "2-3").keep("b"),
        step("the end with the last chunk", "PUT", format!("{{b}}&digest={}", digest(TOOL)))
            .bytes("ol")
            .with("Content-Range", "4-5"),
        step("an upload streamed", "POST", "/v2/app/blobs/uploads/").bytes("").keep("c"),
        step("a stream", "PATCH", "{c}").bytes(CONFIG).keep("c"),
        step("an end without content", "PUT", format!("{{c}}&digest={}", digest(CONFIG))).bytes(""),
        step("the same blob again", "POST", "/v2/app/blobs/uploads/").bytes("").keep("d"),
        step("and its end", "PUT", format!("{{d}}&digest={}", digest(HELLO))).bytes(HELLO),
    ]
}

fn mistaken_uploads() -> Vec<Step> {
    let hello = digest(HELLO);
    vec![
        step("a whole blob in one POST", "POST", format!("/v2/app/blobs/uploads/?digest={hello}"))
            .bytes(HELLO),
        step("an upload to end wrongly", "POST", "/v2/app/blobs/uploads/").bytes("").keep("e"),
        step("an end without a digest", "PUT", "{e}").bytes(""),
        step("an end with a bad digest", "PUT", "{e}&digest=sha256:abc").bytes(""),
        step("an end with another digest", "PUT", format!("{{e}}&digest={}", absent()))
            .bytes(HELLO),
        step("an upload to cancel", "POST", "/v2/app/blobs/uploads/").bytes("").keep("f"),
        step("its cancellation", "DELETE", "{f}"),
        step("its status afterwards", "GET", "{f}"),
        step("a chunk afterwards", "PATCH", "{f}").bytes("x"),
        step("an end afterwards", "PUT", format!("{{f}}&digest={hello}")).bytes(HELLO),
        step("an upload for a wrong offset", "POST", "/v2/app/blobs/uploads/").bytes("").keep("g"),
        step("its chunk", "PATCH", "{g}").bytes("abc").keep("h"),
        step("the chunk at the old address", "PATCH", "{g}").bytes("abc"),
        step("an upload for a wrong type", "POST", "/v2/app/blobs/uploads/").bytes("").keep("i"),
        step("a chunk of a wrong type", "PATCH", "{i}").document("text/plain", "abc"),
        step("an upload with a bad range", "POST", "/v2/app/blobs/uploads/").bytes("").keep("j"),
        step("a chunk out of order", "PATCH", "{j}").bytes("abc").with("Content-Range", "7-9"),
    ]
}

fn mounts() -> Vec<Step> {
    let (hello, none) = (digest(HELLO), absent());
    let url = |query: String| format!("/v2/other/blobs/uploads/?{query}");
    vec![
        step("a mount", "POST", url(format!("mount={hello}&from=app"))).bytes(""),
        step("what was mounted", "HEAD", format!("/v2/other/blobs/{hello}")),
        step("a mount of what is not there", "POST", url(format!("mount={none}&from=app")))
            .bytes(""),
        step("a mount of a bad digest", "POST", url("mount=sha256:abc&from=app".to_owned()))
            .bytes(""),
        step("a mount from a bad name", "POST", url(format!("mount={hello}&from=APP"))).bytes(""),
        step("a mount from nowhere", "POST", url(format!("mount={}", digest(TOOL)))).bytes(""),
    ]
}

fn blobs() -> Vec<Step> {
    let hello = digest(HELLO);
    let blob = |name, method| step(name, method, format!("/v2/app/blobs/{hello}"));
    let get = |name, header, value: &str| blob(name, "GET").with(header, value);
    vec![
        blob("a blob", "GET"),
        blob("a blob by HEAD", "HEAD"),
        get("a range", "Range", "bytes=0-4"),
        get("an open range", "Range", "bytes=6-"),
        get("the last bytes", "Range", "bytes=-5"),
        get("a range beyond", "Range", "bytes=11-"),
        get("a range of no form", "Range", "bytes=x"),
        get("two ranges", "Range", "bytes=0-1,3-4"),
        blob("a range by HEAD", "HEAD").with("Range", "bytes=0-4"),
        get("a blob that is known", "If-None-Match", &format!("\"{hello}\"")),
        get("a range if it is the same", "If-Range", &format!("\"{hello}\""))
            .with("Range", "bytes=0-4"),
        get("a blob not compressed", "Accept-Encoding", "identity"),
        blob("a blob by PUT", "PUT").bytes(HELLO),
    ]
}

fn pushes() -> Vec<Step> {
    let (image, docker) = (image(), docker());
    let index = index(&[&manifest(&image_document(CONFIG.as_bytes(), &[HELLO.as_bytes()]))]);
    let by_digest = format!("/v2/app/manifests/{}", digest(&image));
    vec![
        step("an image", "PUT", "/v2/app/manifests/v1").document(OCI, image.clone()),
        step("an image again", "PUT", "/v2/app/manifests/v2").document(OCI, image.clone()),
        step("an image by its digest", "PUT", by_digest).document(OCI, image),
        step("an image of docker", "PUT", "/v2/app/manifests/docker").document(DOCKER, docker),
        step("an index", "PUT", "/v2/app/manifests/all").document(INDEX, index.bytes().to_vec()),
    ]
}

fn mistaken_pushes() -> Vec<Step> {
    let orphan = image_document(b"no such config", &[HELLO.as_bytes()]);
    let childless = index(&[&manifest(&orphan)]).bytes().to_vec();
    let put = |name, target: &str| step(name, "PUT", format!("/v2/app/manifests/{target}"));
    vec![
        put("an image without its config", "bad").document(OCI, orphan.to_string()),
        put("an index without its image", "bad").document(INDEX, childless),
        put("what is no JSON", "bad").document(OCI, "{"),
        put("an empty document", "bad").document(OCI, "{}"),
        put("an unknown type", "bad").document("application/vnd.example", image()),
        put("no type", "bad").document("", image()),
        put("a docker type for an OCI document", "bad").document(DOCKER, image()),
        put("an image by another digest", &absent().to_string()).document(OCI, image()),
        put("an image by a bad digest", "sha256:abc").document(OCI, image()),
        put("a tag of no form", ".bad").document(OCI, image()),
        step("a manifest by POST", "POST", "/v2/app/manifests/v1").document(OCI, image()),
    ]
}

fn manifests() -> Vec<Step> {
    let by_digest = format!("/v2/app/manifests/{}", digest(&image()));
    let get =
        |name, method, target: &str| step(name, method, format!("/v2/app/manifests/{target}"));
    vec![
        get("an image by tag", "GET", "v1").with("Accept", OCI),
        get("an image by tag and HEAD", "HEAD", "v1").with("Accept", OCI),
        step("an image by digest", "GET", &*by_digest).with("Accept", OCI),
        step("an image by digest and HEAD", "HEAD", &*by_digest).with("Accept", OCI),
        get("an image without Accept", "GET", "v1"),
        get("an image that is known", "GET", "v1")
            .with("Accept", OCI)
            .with("If-None-Match", format!("\"{}\"", digest(&image()))),
        get("an image of docker by tag", "GET", "docker").with("Accept", DOCKER),
        get("an index by tag", "GET", "all").with("Accept", INDEX),
        get("an index without Accept", "GET", "all").with("Accept", OCI),
        get("an unknown tag", "GET", "v9").with("Accept", OCI),
        get("an unknown tag by HEAD", "HEAD", "v9").with("Accept", OCI),
        get("an unknown digest", "GET", &absent().to_string()).with("Accept", OCI),
        get("a layer as a manifest", "GET", &digest(HELLO).to_string()).with("Accept", OCI),
        step("a manifest as a blob", "GET", format!("/v2/app/blobs/{}", digest(&image()))),
        step("referrers", "GET", format!("/v2/app/referrers/{}", digest(&image()))),
    ]
}

fn listings() -> Vec<Step> {
    vec![
        step("tags", "GET", "/v2/app/tags/list"),
        step("tags of a repository without", "GET", "/v2/other/tags/list"),
        step("a page of tags", "GET", "/v2/app/tags/list?n=1"),
        step("tags by no number", "GET", "/v2/app/tags/list?n=x"),
        step("the catalog", "GET", "/v2/_catalog"),
        step("a page of the catalog", "GET", "/v2/_catalog?n=1"),
        step("the page behind it", "GET", "/v2/_catalog?n=1&last=app"),
        step("the catalog by no number", "GET", "/v2/_catalog?n=x"),
        step("no entries of the catalog", "GET", "/v2/_catalog?n=0"),
        step("too many entries of the catalog", "GET", "/v2/_catalog?n=5000"),
        step("a thousand entries of the catalog", "GET", "/v2/_catalog?n=1000"),
    ]
}

/// What others may do.
fn rights() -> Vec<Step> {
    let hello = digest(HELLO);
    let mount = format!("/v2/other/blobs/uploads/?mount={hello}&from=app");
    vec![
        step("a pull by nobody", "GET", "/v2/app/manifests/v1").by(Who::Nobody).with("Accept", OCI),
        step("a push by nobody", "POST", "/v2/app/blobs/uploads/").by(Who::Nobody).bytes(""),
        step("a mount by nobody", "POST", mount).by(Who::Nobody).bytes(""),
        step("the catalog by nobody", "GET", "/v2/_catalog").by(Who::Nobody),
        step("a delete by nobody", "DELETE", format!("/v2/app/blobs/{}", absent())).by(Who::Nobody),
        step("a pull by a reader", "GET", "/v2/app/manifests/v1")
            .by(Who::Reader)
            .with("Accept", OCI),
        step("a push by a reader", "POST", "/v2/app/blobs/uploads/").by(Who::Reader).bytes(""),
        step("another's tags by a reader", "GET", "/v2/other/tags/list").by(Who::Reader),
        step("a pull by an impostor", "GET", "/v2/app/manifests/v1")
            .by(Who::Impostor)
            .with("Accept", OCI),
    ]
}

fn deletes() -> Vec<Step> {
    let (hello, image) = (digest(HELLO), digest(&image()));
    let blob = |name, method| step(name, method, format!("/v2/app/blobs/{hello}"));
    let manifest = |name, method| step(name, method, format!("/v2/app/manifests/{image}"));
    vec![
        step("a tag's deletion", "DELETE", "/v2/app/manifests/v2"),
        manifest("a manifest's deletion", "DELETE"),
        manifest("a manifest that was deleted", "GET").with("Accept", OCI),
        step("its tag", "GET", "/v2/app/manifests/v1").with("Accept", OCI),
        manifest("its deletion again", "DELETE"),
        blob("a blob's deletion", "DELETE"),
        blob("a blob that was deleted", "GET"),
        blob("its deletion once more", "DELETE"),
        step("it in the other repository", "HEAD", format!("/v2/other/blobs/{hello}")),
        step("a deletion by a bad digest", "DELETE", "/v2/app/blobs/sha256:abc"),
        step("the tags that are left", "GET", "/v2/app/tags/list"),
        step("the catalog that is left", "GET", "/v2/_catalog"),
    ]
}

/// Asks one after the other.
pub(super) fn play(
    steps: &[Step],
    address: SocketAddr,
    deployment: &Deployment,
) -> Vec<Transcript> {
    let mut kept: BTreeMap<&str, String> = BTreeMap::new();
    let mut transcripts = Vec::new();
    for step in steps {
        let mut target = step.target.clone();
        for (name, value) in &kept {
            target = target.replace(&format!("{{{name}}}"), value);
        }
        if target.starts_with('{') {
            // What it goes on with was refused: there is nothing to ask.
            target = format!("/v2/app/blobs/uploads/00000000-0000-4000-8000-000000000000?{target}");
        }
        let answer =
            ask(address, step, &path(&target, deployment), deployment.authorization(step.who));
        if let (Some(name), Some(location)) = (step.keep, answer.header("location")) {
            kept.insert(name, location.to_owned());
        }
        transcripts.push(Transcript::of(step.name, &answer, address));
    }
    transcripts
}

/// The path of a URL, or of what the script says, behind the prefix.
fn path(target: &str, deployment: &Deployment) -> String {
    let path = match target.split_once("://") {
        Some((_, behind)) => &behind[behind.find('/').expect("a URL with a path")..],
        None => target,
    };
    match path.strip_prefix("/v2") {
        Some(_) => format!("{}{path}", deployment.prefix),
        None => path.to_owned(),
    }
}

fn ask(address: SocketAddr, step: &Step, target: &str, authorization: Option<String>) -> Answer {
    let target = target.replace(['{', '}'], "");
    let mut head = format!("{} {target} HTTP/1.1\r\nHost: {address}\r\n", step.method);
    head.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n", step.body.len()));
    let authorization = authorization.map(|value| ("Authorization", value));
    for (name, value) in step.headers.iter().cloned().chain(authorization) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut stream = connect(address);
    // A server that refuses a body may close before it has read all of it; its answer tells.
    let _ = stream.write_all(&[head.as_bytes(), &step.body].concat());
    answer(&mut stream, step.method != "HEAD")
}
