//! The S3 servers that no one here wrote are there: each starts, answers, and ends.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::SystemTime;

use http::Request;
use registry_tests::peers::{Garage, Moto};
use registry_tests::plain_http::{request, send};
use registry_tests::s3::options::Credentials;
use registry_tests::s3::signature::signer::Signer;

const OCTETS: &str = "application/octet-stream";

/// The target of a request that a key signs.
fn presigned(
    [access_key, secret_key, region]: [&str; 3],
    address: SocketAddr,
    method: &str,
    target: &str,
) -> String {
    let credentials = Credentials {
        access_key: access_key.to_owned(),
        secret_key: secret_key.to_owned(),
        session_token: None,
    };
    let signer = Signer { credentials, region: region.to_owned(), now: SystemTime::now() };
    let request = Request::builder().method(method).uri(target).header("host", address.to_string());
    signer.presign(&request.body(()).unwrap().into_parts().0, 60)
}

#[test]
fn moto_keeps_what_is_put_in_a_bucket_and_ends() {
    let moto = Moto::start();
    let address = moto.address();
    assert_eq!(moto.endpoint(), format!("http://127.0.0.1:{}", address.port()));
    let key = [moto.access_key(), moto.secret_key(), moto.region()];
    let get = |target: &str| request(address, "GET", &presigned(key, address, "GET", target));
    assert_eq!(get("/one/key").status, 404);
    moto.create_bucket("one");
    moto.create_bucket("other");
    let put = presigned(key, address, "PUT", "/one/key");
    assert_eq!(send(address, "PUT", &put, OCTETS, b"content").status, 200);
    assert_eq!(get("/one/key").body, b"content");
    assert_eq!(get("/other/key").status, 404);
    drop(moto);
    assert!(TcpStream::connect(address).is_err(), "nothing listens there any more");
}

#[test]
fn garage_keeps_what_its_key_signs_in_its_bucket_and_ends() {
    let garage = Garage::start();
    let address = garage.address();
    assert_eq!(garage.endpoint(), format!("http://{address}"));
    let key = [garage.access_key(), garage.secret_key(), garage.region()];
    let (object, listing) =
        (format!("/{}/key", garage.bucket()), format!("/{}?list-type=2", garage.bucket()));
    let put = presigned(key, address, "PUT", &object);
    assert_eq!(send(address, "PUT", &put, OCTETS, b"content").status, 200);
    let get = |target: &str| request(address, "GET", &presigned(key, address, "GET", target));
    assert_eq!(get(&object).body, b"content");
    assert!(String::from_utf8_lossy(&get(&listing).body).contains("<Key>key</Key>"));
    let wrong = [garage.access_key(), &garage.secret_key().replace('0', "1"), garage.region()];
    let forged = presigned(wrong, address, "GET", &object);
    assert_eq!(request(address, "GET", &forged).status, 403);
    drop(garage);
    assert!(TcpStream::connect(address).is_err(), "nothing listens there any more");
}

#[test]
fn tests_that_run_at_the_same_time_share_a_server_of_each_kind() {
    let (moto, garage) = (Moto::shared(), Garage::shared());
    assert!(Arc::ptr_eq(&moto, &Moto::shared()));
    assert!(Arc::ptr_eq(&garage, &Garage::shared()));
}
