//! Images made here: small, always the same, in the OCI image layout.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use registry_store::digest::Digest;
use serde_json::{Value, json};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const PLAIN_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A directory in the OCI image layout that is being filled.
#[derive(Debug)]
pub struct Layout {
    directory: PathBuf,
    roots: Vec<Value>,
}

impl Layout {
    /// An empty one in `directory`, which is made.
    pub fn create(directory: &Path) -> Self {
        fs::create_dir_all(directory.join("blobs/sha256")).expect("the directory can be made");
        fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)
            .expect("the directory can be written");
        let layout = Self { directory: directory.to_owned(), roots: Vec::new() };
        layout.write_index();
        layout
    }

    /// Adds an image for `architecture` under `tag`: two layers, the first the same for every architecture.
    /// Returns its digest.
    pub fn add_image(&mut self, tag: &str, architecture: &str) -> Digest {
        let image = self.image(architecture);
        self.root(tag, image)
    }

    /// Adds an image with one layer of so many bytes that nothing compresses, and a few. Returns its digest.
    pub fn add_large_image(&mut self, tag: &str, bytes: usize) -> Digest {
        let tar = tar(&[("noise", noise(bytes))]);
        let layer = self.blob(PLAIN_LAYER, &tar);
        let image = self.image_of("amd64", &[tar], &[layer]);
        self.root(tag, image)
    }

    /// Adds an index of one image for each of `architectures` under `tag`. Returns its digest.
    pub fn add_index(&mut self, tag: &str, architectures: &[&str]) -> Digest {
        let images: Vec<Value> = architectures.iter().map(|name| self.image(name)).collect();
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": images });
        let index = self.blob(INDEX, &serde_json::to_vec(&index).expect("it is JSON"));
        self.root(tag, index)
    }

    fn root(&mut self, tag: &str, mut descriptor: Value) -> Digest {
        let digest = descriptor["digest"].as_str().expect("a descriptor has a digest");
        let digest = digest.parse().expect("it was made from a digest");
        descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        self.roots.push(descriptor);
        self.write_index();
        digest
    }

    fn write_index(&self) {
        let index = json!({ "schemaVersion": 2, "manifests": self.roots });
        fs::write(self.directory.join("index.json"), index.to_string())
            .expect("the directory can be written");
    }

    /// The descriptor of an image, with its platform.
    fn image(&self, architecture: &str) -> Value {
        let layers = [
            tar(&[("etc/motd", b"the same everywhere\n".to_vec()), ("data", noise(3 << 20))]),
            tar(&[("etc/architecture", architecture.as_bytes().to_vec())]),
        ];
        let blobs: Vec<Value> = layers.iter().map(|tar| self.blob(LAYER, &gzip(tar))).collect();
        self.image_of(architecture, &layers, &blobs)
    }

    /// The descriptor of an image of these layers, of which `blobs` are the descriptors.
    fn image_of(&self, architecture: &str, layers: &[Vec<u8>], blobs: &[Value]) -> Value {
        let diff_ids: Vec<String> =
            layers.iter().map(|tar| Digest::sha256(tar).to_string()).collect();
        let config = json!({
            "created": "2000-01-01T00:00:00Z",
            "architecture": architecture,
            "os": "linux",
            "config": { "Cmd": ["/bin/true"], "Labels": { "made-by": "tests" } },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": diff_ids.iter().map(|_| json!({ "created_by": "tests" })).collect::<Vec<_>>(),
        });
        let config = self.blob(CONFIG, &serde_json::to_vec(&config).expect("it is JSON"));
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": blobs,
        });
        let mut image = self.blob(MANIFEST, &serde_json::to_vec(&manifest).expect("it is JSON"));
        image["platform"] = json!({ "architecture": architecture, "os": "linux" });
        image
    }

    fn blob(&self, media_type: &str, content: &[u8]) -> Value {
        let digest = Digest::sha256(content);
        fs::write(self.directory.join("blobs/sha256").join(digest.hex()), content)
            .expect("the directory can be written");
        json!({ "mediaType": media_type, "digest": digest.to_string(), "size": content.len() })
    }
}

/// The digests of all blobs of a layout, each checked against its content.
pub fn blobs_of(layout: &Path) -> BTreeSet<Digest> {
    fs::read_dir(layout.join("blobs/sha256"))
        .expect("a layout has blobs")
        .map(|entry| {
            let entry = entry.expect("the directory can be read");
            let digest = Digest::sha256(&fs::read(entry.path()).expect("a blob can be read"));
            assert_eq!(
                entry.file_name().to_string_lossy(),
                digest.hex(),
                "a blob is what its name says"
            );
            digest
        })
        .collect()
}

/// A tar archive of plain files, in the format of POSIX.1-1988.
fn tar(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    const BLOCK: usize = 512;
    let mut archive = Vec::new();
    for (path, content) in files {
        let mut header = [0; BLOCK];
        let mut put =
            |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
        put(0, path);
        put(100, "0000644\0"); // mode
        put(108, "0000000\0"); // owner
        put(116, "0000000\0"); // group
        put(124, &format!("{:011o}\0", content.len()));
        put(136, "00000000000\0"); // time of last change
        put(148, "        "); // the checksum counts itself as spaces
        put(156, "0"); // a plain file
        put(257, "ustar\x0000");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend_from_slice(&header);
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    archive
}

/// `content` as a gzip file of stored blocks (RFC 1952, RFC 1951 §3.2.4): the same bytes with every library.
fn gzip(content: &[u8]) -> Vec<u8> {
    const LONGEST: usize = 0xffff;
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut blocks = content.chunks(LONGEST).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).expect("a block is at most that long");
        file.push(u8::from(blocks.peek().is_none()));
        file.extend_from_slice(&length.to_le_bytes());
        file.extend_from_slice(&(!length).to_le_bytes());
        file.extend_from_slice(block);
    }
    let length = u32::try_from(content.len()).expect("layers made here are small");
    file.extend_from_slice(&crc32(content).to_le_bytes());
    file.extend_from_slice(&length.to_le_bytes());
    file
}

fn crc32(content: &[u8]) -> u32 {
    !content.iter().fold(!0, |crc: u32, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// Bytes without a pattern, always the same.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
