//! How the client of S3 is made: where it is, who we are, and that it tries nothing again by itself.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, Credentials, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};

use super::options::{S3Credentials, S3Options};
use crate::backend::{Error, ErrorKind, Result};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(3);

/// The clients for an options' endpoint, and for the one that clients of ours are sent to.
///
/// Its own retries are off: whether a request may still be under way is something that only who sends it can know
/// (see [`Doubt`](super::fault::Doubt)). Bodies are signed with their SHA-256, by which the server
/// finds what the way there has altered; further checksums are sent only where S3 asks for them, because not every
/// server knows them.
pub(super) async fn clients(options: &S3Options) -> Result<(Client, Client)> {
    let builder = match (&options.credentials, &options.region) {
        (Some(_), Some(_)) => Builder::new().behavior_version(BehaviorVersion::latest()),
        // Something is to be found: by the usual chain.
        _ => Builder::from(&from_environment().await),
    };
    let mut builder = builder
        .http_client(http_client())
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).build())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .force_path_style(options.path_style);
    if let Some(region) = &options.region {
        builder = builder.region(Region::new(region.clone()));
    }
    if let Some(credentials) = &options.credentials {
        builder = builder.credentials_provider(fixed(credentials));
    }
    if options.accelerate {
        builder = builder.accelerate(true);
    }
    if options.dual_stack {
        builder = builder.use_dual_stack(true);
    }
    if options.fips {
        builder = builder.use_fips(true);
    }
    let at = |builder: Builder, endpoint: &Option<String>| match endpoint {
        Some(endpoint) => builder.endpoint_url(endpoint),
        None => builder,
    };
    let own = at(builder.clone(), &options.endpoint).build();
    if own.region().is_none() {
        let expected = "expected a region, in the options, the environment, the profile or the \
                        instance's metadata; found none";
        return Err(Error::new(ErrorKind::Unsupported, "open").because(expected));
    }
    let public = options.public_endpoint.as_ref().or(options.endpoint.as_ref()).cloned();
    let public = at(builder, &public).build();
    Ok((Client::from_conf(own), Client::from_conf(public)))
}

async fn from_environment() -> aws_config::SdkConfig {
    aws_config::defaults(BehaviorVersion::latest()).http_client(http_client()).load().await
}

fn http_client() -> aws_sdk_s3::config::SharedHttpClient {
    let provider = tls::Provider::Rustls(CryptoMode::Ring);
    aws_smithy_http_client::Builder::new().tls_provider(provider).build_https()
}

fn fixed(given: &S3Credentials) -> Credentials {
    Credentials::new(
        &given.access_key,
        &given.secret_key,
        given.session_token.clone(),
        None,
        "configuration",
    )
}
