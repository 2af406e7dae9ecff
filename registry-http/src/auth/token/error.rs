//! [`TokenError`]: why a token is not believed.

use thiserror::Error;

/// Why a token is not believed. For the log; clients are told `invalid_token`. It holds nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// It is not a JSON Web Signature in the compact form, with a header and claims such as this expects.
    #[error("expected a JSON Web Token, found another form")]
    Malformed,
    /// It is signed by an algorithm that is not known or not let, or not signed at all.
    #[error("it is signed by an algorithm that is not among those that are taken")]
    Algorithm,
    /// It names no key, or none that is trusted.
    #[error("it names no key that is trusted, nor brings certificates that lead to one")]
    Key,
    /// It is not signed with the key it names.
    #[error("its signature is wrong")]
    Signature,
    /// `typ` says that it serves to something else: to fetch others, or not to.
    #[error("it serves to something else")]
    Use,
    /// `iss` is not who is expected.
    #[error("it is from another issuer")]
    Issuer,
    /// `aud` is not this service.
    #[error("it is for another service")]
    Audience,
    /// `exp` is past, or there is none.
    #[error("it has expired")]
    Expired,
    /// `nbf` is to come.
    #[error("it is not good yet")]
    NotYet,
}
