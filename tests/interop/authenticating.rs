//! Clients log in with a password; tokens that PyJWT makes are taken, and those that it makes wrong are not.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use registry_tests::image::{Layout, blobs_of};
use registry_tests::peers::{Distribution, Podman, PyJwt, Skopeo};
use registry_tests::plain_http::{answer, connect};
use registry_tests::registry_process::RegistryProcess;
use tempfile::TempDir;

/// `ann` with the password `secret`, by libxcrypt.
const ANN: &str = "ann:$2b$04$BeUDnQxBbQWPcN2EzgO0f.vo1OUzMiyDsHn1b1GcuFYxS48KJR/XW\n";

const PASSWORDS: &str = "version: 0.1
storage: {filesystem: {rootdirectory: DIRECTORY/data}}
http: {addr: '127.0.0.1:0', secret: s}
auth: {htpasswd: {realm: the realm, path: DIRECTORY/htpasswd}}
";

const TOKENS: &str = "version: 0.1
storage: {filesystem: {rootdirectory: DIRECTORY/data}}
http: {addr: '127.0.0.1:0', secret: s}
auth:
  token:
    realm: https://auth.example.com/token
    service: registry
    issuer: issuer
    rootcertbundle: DIRECTORY/bundle.crt
    jwks: DIRECTORY/keys.json
";

/// Prints the expected status, what is asked for, what it is, and the token.
const SCRIPT: &str = r#"
import base64, datetime, hashlib, json, time
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

def certificate(key, by=None):
    name = lambda text: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
    now = datetime.datetime.now(datetime.timezone.utc)
    signer, issuer = by or (key, "root")
    how = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return (x509.CertificateBuilder().subject_name(name("leaf" if by else "root")).issuer_name(name(issuer))
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .sign(signer, how))

def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)

def x5c(*certificates):
    return {"x5c": [base64.b64encode(it.public_bytes(serialization.Encoding.DER)).decode() for it in certificates]}

def libtrust(key):
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    text = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode()
    return {"kid": ":".join(text[at:at + 4] for at in range(0, 48, 4))}

keys = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
for same in ["RS384", "RS512", "PS256", "PS384", "PS512"]:
    keys[same] = keys["RS256"]
roots = {name: certificate(keys[name]) for name in ["RS256", "ES256", "ES384", "ES512", "EdDSA"]}
with open("bundle.crt", "wb") as bundle:
    for root in roots.values():
        bundle.write(pem(root))
own = ec.generate_private_key(ec.SECP256R1())
with open("keys.json", "w") as file:
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(own.public_key()))
    json.dump({"keys": [dict(public, kid="own", use="sig", alg="ES256")]}, file)

now = int(time.time())
good = {"iss": "issuer", "aud": "registry", "sub": "ann", "nbf": now, "iat": now, "exp": now + 300, "jti": "1",
    "access": [{"type": "repository", "name": "app", "actions": ["pull", "push"]}]}

def tell(status, request, what, key, algorithm, header, **claims):
    whole = {name: value for name, value in dict(good, **claims).items() if value is not None}
    print(status, request, what, jwt.encode(whole, key, algorithm=algorithm, headers=header))

PUSH = "POST:/v2/app/blobs/uploads/"
for name, key in keys.items():
    tell(202, PUSH, name + "-by-id", key, name, libtrust(key))
for name in roots:
    tell(202, PUSH, name + "-by-certificate", keys[name], name, x5c(roots[name]))
leaf = ec.generate_private_key(ec.SECP256R1())
for name in ["RS256", "ES256", "EdDSA"]:
    chain = x5c(certificate(leaf, by=(keys[name], "root")), roots[name])
    tell(202, PUSH, "leaf-of-" + name, leaf, "ES256", chain)
tell(202, PUSH, "in-the-set", own, "ES256", {"kid": "own"})
es, kid = keys["ES256"], libtrust(keys["ES256"])
tell(202, PUSH, "one-of-many-audiences", es, "ES256", kid, aud=["x", "registry"])
tell(202, PUSH, "just-expired", es, "ES256", kid, exp=now - 30)
tell(202, PUSH, "soon", es, "ES256", kid, nbf=now + 30)
tell(202, PUSH, "wildcard", es, "ES256", kid, access=[{"type": "repository", "name": "app", "actions": ["*"]}])
tell(401, PUSH, "expired", es, "ES256", kid, exp=now - 120)
tell(401, PUSH, "endless", es, "ES256", kid, exp=None)
tell(401, PUSH, "future", es, "ES256", kid, nbf=now + 600)
tell(401, PUSH, "other-audience", es, "ES256", kid, aud="another")
tell(401, PUSH, "other-issuer", es, "ES256", kid, iss="another")
tell(401, PUSH, "no-access", es, "ES256", kid, access=None)
tell(401, PUSH, "pull-only", es, "ES256", kid, access=[{"type": "repository", "name": "app", "actions": ["pull"]}])
tell(401, PUSH, "other-repository", es, "ES256", kid, access=[{"type": "repository", "name": "zoo", "actions": ["*"]}])
tell(401, "GET:/v2/_catalog", "catalog-by-repository", es, "ES256", kid)
tell(200, "GET:/v2/_catalog", "catalog", es, "ES256", kid,
    access=[{"type": "registry", "name": "catalog", "actions": ["*"]}])
tell(200, "GET:/v2/", "no-access-needed", es, "ES256", kid, access=[])
other = ec.generate_private_key(ec.SECP256R1())
tell(401, PUSH, "other-key", other, "ES256", kid)
tell(401, PUSH, "other-key-in-header", other, "ES256",
    {"jwk": json.loads(jwt.algorithms.ECAlgorithm.to_jwk(other.public_key()))})
tell(401, PUSH, "other-certificate", other, "ES256", x5c(certificate(other)))
tell(401, PUSH, "other-under-a-good-certificate", other, "ES256", x5c(roots["ES256"]))
tell(401, PUSH, "unknown-id", es, "ES256", {"kid": "unknown"})
tell(401, PUSH, "no-id", es, "ES256", {})
tell(401, PUSH, "unsigned", None, "none", kid)

# PyJWT refuses to sign with a public key as a secret: its base class is asked.
public = roots["RS256"].public_key()
secrets = [
    pem(roots["RS256"]),
    public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
]
import hmac
part = lambda value: base64.urlsafe_b64encode(value).rstrip(b"=")
for at, secret in enumerate(secrets):
    header = dict(libtrust(keys["RS256"]), alg="HS256", typ="JWT")
    signed = part(json.dumps(header).encode()) + b"." + part(json.dumps(good).encode())
    signature = part(hmac.new(secret, signed, hashlib.sha256).digest())
    print(401, PUSH, "HS256-with-the-public-key-" + str(at), (signed + b"." + signature).decode())
"#;

fn configured(directory: &TempDir, text: &str) -> RegistryProcess {
    let path = directory.path().to_str().unwrap();
    let file = directory.path().join("config.yml");
    fs::write(&file, text.replace("DIRECTORY", path)).unwrap();
    RegistryProcess::configured(&file, &[])
}

/// The status, and the challenge if there is one.
fn ask(address: SocketAddr, method: &str, target: &str, token: &str) -> (u16, String) {
    let mut stream = connect(address);
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    )
    .unwrap();
    let answer = answer(&mut stream, true);
    let challenge = answer.header("www-authenticate").unwrap_or_default().to_owned();
    (answer.status, challenge)
}

#[test]
fn tokens_of_py_jwt_are_taken_if_they_are_good_and_refused_if_they_are_not() {
    let directory = TempDir::new().unwrap();
    let tokens = PyJwt::lines(SCRIPT, directory.path());
    let registry = configured(&directory, TOKENS);
    assert!(tokens.len() >= 40, "{}", tokens.len());
    for line in tokens {
        let [status, request, what, token] = &line[..] else { panic!("{line:?}") };
        let (method, target) = request.split_once(':').unwrap();
        let (found, challenge) = ask(registry.address(), method, target, token);
        assert_eq!(found.to_string(), *status, "{what}: {challenge}");
        if found == 401 {
            let scoped = ["no-access", "pull-only", "other-repository", "catalog-by-repository"];
            let error = if scoped.contains(&what.as_str()) {
                "insufficient_scope"
            } else {
                "invalid_token"
            };
            assert!(challenge.ends_with(&format!(",error=\"{error}\"")), "{what}: {challenge}");
        }
    }
}

/// What a client has to be able to do with a password, and not without.
fn skopeo_with(registry: &str, images: &Path) {
    let skopeo = Skopeo::new();
    let source = format!("oci:{}:it", images.display());
    let target = format!("docker://{registry}/app:it");
    let push = ["copy", "--dest-tls-verify=false", &source, &target];
    let back = skopeo.path("back");
    let back_as = format!("oci:{}:it", back.display());
    let pull = ["copy", "--src-tls-verify=false", &target, &back_as];
    let login = |password| {
        let password = format!("--password={password}");
        skopeo.try_run(&["login", "--tls-verify=false", "--username=ann", &password, registry])
    };

    assert!(!skopeo.try_run(&push).success);
    assert!(!login("wrong").success);
    let said = login("secret");
    assert!(said.success, "{}", said.errors);
    skopeo.run(&push);
    skopeo.run(&pull);
    assert_eq!(blobs_of(&back), blobs_of(images));
    skopeo.run(&["delete", "--tls-verify=false", &target]);
    skopeo.run(&push);
    skopeo.run(&["logout", "--tls-verify=false", registry]);
    assert!(!skopeo.try_run(&pull).success);
}

#[test]
fn skopeo_logs_in_with_a_password_and_pushes_pulls_and_deletes() {
    let (directory, images) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    Layout::create(images.path()).add_image("it", "amd64");
    fs::write(directory.path().join("htpasswd"), ANN).unwrap();
    let text = PASSWORDS.replace("}}\nhttp", "}, delete: {enabled: true}}\nhttp");
    let registry = configured(&directory, &text);
    skopeo_with(&registry.address().to_string(), images.path());
    drop(registry);
    // The same file and the same users at Distribution, which proves the test.
    let distribution = Distribution::configured(&directory.path().join("config.yml"), &[]);
    skopeo_with(&distribution.address().to_string(), images.path());
}

#[test]
fn podman_logs_in_with_a_password_and_pulls() {
    let (directory, images) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    Layout::create(images.path()).add_image("it", "amd64");
    fs::write(directory.path().join("htpasswd"), ANN).unwrap();
    let process = configured(&directory, PASSWORDS);
    let registry = process.address().to_string();
    let skopeo = Skopeo::new();
    let (source, target) =
        (format!("oci:{}:it", images.path().display()), format!("docker://{registry}/app:it"));
    skopeo.run(&["copy", "--dest-tls-verify=false", "--dest-creds=ann:secret", &source, &target]);

    let podman = Podman::new();
    let name = format!("{registry}/app:it");
    let pull = ["pull", "--quiet", "--tls-verify=false", "--arch=amd64", &name];
    assert!(!podman.try_run(&pull).success);
    let login = ["login", "--tls-verify=false", "--username=ann", "--password=secret", &registry];
    podman.run(&login);
    podman.run(&pull);
}
