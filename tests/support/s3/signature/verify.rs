//! [`verify`]: whether a request is signed by who may ask.

use std::time::{Duration, SystemTime};

use super::canonical;
use crate::s3::dates;
use crate::s3::error::S3Error;
use crate::s3::options::Credentials;
use crate::s3::request::Request;

/// How far the clock of a client may be off.
const SKEW: Duration = Duration::from_mins(15);

/// The longest that an address may be valid, in seconds.
const LONGEST: u64 = 7 * 24 * 3600;

/// Who made a request, with what its chunks are verified by.
#[derive(Clone, Debug)]
pub(in crate::s3) struct Identity {
    key: Vec<u8>,
    timestamp: String,
    scope: String,
    signature: String,
}

impl Identity {
    /// Whether a chunk, by the hash of its bytes, is signed by it. Each signature covers the one before.
    pub(in crate::s3) fn signed_chunk(&mut self, hash: &str, signature: &str) -> bool {
        let text = canonical::chunk_to_sign(&self.timestamp, &self.scope, &self.signature, hash);
        self.signed(&text, signature)
    }

    /// Whether the trailers, by their lines, are signed by it.
    pub(in crate::s3) fn signed_trailers(&mut self, lines: &str, signature: &str) -> bool {
        let hash = canonical::sha256(lines.as_bytes());
        let text = canonical::trailer_to_sign(&self.timestamp, &self.scope, &self.signature, &hash);
        self.signed(&text, signature)
    }

    fn signed(&mut self, text: &str, signature: &str) -> bool {
        self.signature = canonical::sign(&self.key, text);
        self.signature == signature
    }
}

/// What a request says of its signature.
struct Claim {
    credential: String,
    signed_headers: Vec<String>,
    signature: String,
    timestamp: String,
    token: Option<String>,
    /// For how many seconds, if it is an address that was signed for others.
    expires: Option<u64>,
    /// The hash of the body, or what stands for it.
    payload: String,
}

/// Who made a request.
///
/// # Errors
///
/// Those of S3, if it is nobody who may, or not now.
pub(in crate::s3) fn verify(
    request: &Request,
    credentials: &Credentials,
    region: &str,
    now: SystemTime,
) -> Result<Identity, S3Error> {
    let claim = match request.header("authorization") {
        Some(authorization) => Claim::of_header(request, authorization)?,
        None if request.parameter("X-Amz-Signature").is_some() => Claim::of_address(request)?,
        None => return Err(S3Error::access_denied("Access Denied")),
    };
    let scope = canonical::scope(&claim.timestamp, region);
    let Some((access_key, claimed_scope)) = claim.credential.split_once('/') else {
        return Err(claim.malformed("the Credential is mal-formed"));
    };
    if access_key != credentials.access_key {
        let message = "The AWS Access Key Id you provided does not exist in our records.";
        return Err(
            S3Error::new(403, "InvalidAccessKeyId", message).with("AWSAccessKeyId", access_key)
        );
    }
    if claimed_scope != scope {
        let message = format!("the scope '{claimed_scope}' is wrong; expecting '{scope}'");
        return Err(claim.malformed(&message).with("Region", region));
    }
    if claim.token != credentials.session_token {
        let message = "The provided token is malformed or otherwise invalid.";
        return Err(S3Error::new(400, "InvalidToken", message));
    }
    claim.check_time(now)?;
    claim.check_headers(request)?;
    let query: Vec<(String, String)> =
        request.query.iter().filter(|(name, _)| name != "X-Amz-Signature").cloned().collect();
    let canonical =
        canonical::request(&request.head, &query, &claim.signed_headers, &claim.payload);
    let to_sign = canonical::to_sign(&claim.timestamp, &scope, &canonical);
    let key = canonical::key(&credentials.secret_key, &scope);
    if canonical::sign(&key, &to_sign) != claim.signature {
        let message = "The request signature we calculated does not match the signature you provided. Check your \
                       key and signing method.";
        return Err(S3Error::new(403, "SignatureDoesNotMatch", message)
            .with("StringToSign", to_sign)
            .with("CanonicalRequest", canonical));
    }
    Ok(Identity { key, timestamp: claim.timestamp, scope, signature: claim.signature })
}

impl Claim {
    /// `Authorization: AWS4-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…`
    fn of_header(request: &Request, authorization: &str) -> Result<Self, S3Error> {
        let malformed = |what: &str| {
            let message = format!("The authorization header is malformed; {what}.");
            S3Error::new(400, "AuthorizationHeaderMalformed", message)
        };
        let Some(fields) = authorization.strip_prefix("AWS4-HMAC-SHA256") else {
            return Err(S3Error::invalid_request(
                "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
            ));
        };
        let field = |name: &str| {
            let fields = fields.split(',').filter_map(|field| field.trim().split_once('='));
            let found = fields.into_iter().find(|(found, _)| *found == name);
            found
                .map(|(_, value)| value.to_owned())
                .ok_or_else(|| malformed(&format!("{name} is missing")))
        };
        let Some(payload) = request.header("x-amz-content-sha256") else {
            let message = "Missing required header for this request: x-amz-content-sha256";
            return Err(S3Error::invalid_request(message));
        };
        let Some(timestamp) = request.header("x-amz-date") else {
            let message = "AWS authentication requires a valid Date or x-amz-date header";
            return Err(S3Error::access_denied(message));
        };
        Ok(Self {
            credential: field("Credential")?,
            signed_headers: split(&field("SignedHeaders")?),
            signature: field("Signature")?,
            timestamp: timestamp.to_owned(),
            token: request.header("x-amz-security-token").map(str::to_owned),
            expires: None,
            payload: payload.to_owned(),
        })
    }

    /// `?X-Amz-Algorithm=…&X-Amz-Credential=…&X-Amz-Date=…&X-Amz-Expires=…&X-Amz-SignedHeaders=…&X-Amz-Signature=…`
    fn of_address(request: &Request) -> Result<Self, S3Error> {
        let bad = |message: &str| S3Error::new(400, "AuthorizationQueryParametersError", message);
        let parameter = |name: &str| {
            let message = format!("Query-string authentication requires {name}");
            request.parameter(name).map(str::to_owned).ok_or_else(|| bad(&message))
        };
        if parameter("X-Amz-Algorithm")? != "AWS4-HMAC-SHA256" {
            return Err(bad("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
        }
        let Ok(expires) = parameter("X-Amz-Expires")?.parse::<u64>() else {
            return Err(bad("X-Amz-Expires should be a number"));
        };
        if expires > LONGEST {
            return Err(bad("X-Amz-Expires must be less than a week (in seconds)"));
        }
        let payload = request.header("x-amz-content-sha256").unwrap_or("UNSIGNED-PAYLOAD");
        Ok(Self {
            credential: parameter("X-Amz-Credential")?,
            signed_headers: split(&parameter("X-Amz-SignedHeaders")?),
            signature: parameter("X-Amz-Signature")?,
            timestamp: parameter("X-Amz-Date")?,
            token: request.parameter("X-Amz-Security-Token").map(str::to_owned),
            expires: Some(expires),
            payload: payload.to_owned(),
        })
    }

    fn malformed(&self, what: &str) -> S3Error {
        let code = match self.expires {
            Some(_) => "AuthorizationQueryParametersError",
            None => "AuthorizationHeaderMalformed",
        };
        S3Error::new(400, code, format!("The authorization is malformed; {what}"))
    }

    fn check_time(&self, now: SystemTime) -> Result<(), S3Error> {
        let Some(signed) = dates::parse_basic(&self.timestamp) else {
            return Err(S3Error::access_denied(
                "AWS authentication requires a valid Date or x-amz-date header",
            ));
        };
        let is_early = signed > now + SKEW;
        match self.expires {
            Some(_) if is_early => Err(S3Error::access_denied("Request is not valid yet")),
            Some(expires) if now > signed + Duration::from_secs(expires) => {
                Err(S3Error::access_denied("Request has expired")
                    .with("X-Amz-Expires", expires)
                    .with("ServerTime", dates::iso(now)))
            }
            None if is_early || now > signed + SKEW => {
                let message =
                    "The difference between the request time and the current time is too large.";
                Err(S3Error::new(403, "RequestTimeTooSkewed", message)
                    .with("RequestTime", &self.timestamp)
                    .with("ServerTime", dates::iso(now))
                    .with("MaxAllowedSkewMilliseconds", SKEW.as_millis()))
            }
            _ => Ok(()),
        }
    }

    /// The host, and all that is of S3, has to be signed.
    fn check_headers(&self, request: &Request) -> Result<(), S3Error> {
        let names = request.head.headers.keys().map(http::HeaderName::as_str);
        let needed = names.filter(|name| *name == "host" || name.starts_with("x-amz-"));
        let unsigned: Vec<&str> = needed
            .filter(|name| !self.signed_headers.iter().any(|signed| signed == name))
            .collect();
        if unsigned.is_empty() {
            return Ok(());
        }
        let message = "There were headers present in the request which were not signed";
        Err(S3Error::access_denied(message).with("HeadersNotSigned", unsigned.join(", ")))
    }
}

fn split(names: &str) -> Vec<String> {
    names.split(';').map(str::to_ascii_lowercase).collect()
}
