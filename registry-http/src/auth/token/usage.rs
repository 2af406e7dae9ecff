//! [`Use`]: what a token serves to.

/// What a token serves to. It says so itself (`typ`, RFC 7515 §4.1.9), so that one is never taken for the other, whatever
/// the names of services and issuers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::auth) enum Use {
    /// To do something in a registry. Tokens of other services do not say so, or as each likes.
    Access,
    /// To fetch others.
    Refresh,
}

const REFRESH: &str = "refresh+jwt";

impl Use {
    /// What a token of ours says.
    pub(in crate::auth) const fn typ(self) -> &'static str {
        match self {
            Self::Access => "JWT",
            Self::Refresh => REFRESH,
        }
    }

    /// What a token that says this serves to. A media type has no case, and its `application/` may be left out.
    pub(super) fn of(typ: Option<&str>) -> Self {
        let typ = typ.unwrap_or_default().to_ascii_lowercase();
        if typ.strip_prefix("application/").unwrap_or(&typ) == REFRESH {
            Self::Refresh
        } else {
            Self::Access
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_serves_to_what_it_says() {
        for (typ, expected) in [
            (None, Use::Access),
            (Some(""), Use::Access),
            (Some("JWT"), Use::Access),
            (Some("at+jwt"), Use::Access),
            (Some("refresh+jwt"), Use::Refresh),
            (Some("Application/Refresh+JWT"), Use::Refresh),
        ] {
            assert_eq!(Use::of(typ), expected, "{typ:?}");
        }
        for it in [Use::Access, Use::Refresh] {
            assert_eq!(Use::of(Some(it.typ())), it);
        }
    }
}
