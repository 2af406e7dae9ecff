//! [`Htpasswd`]: users and the hashes of their passwords, in Apache's file.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::Arc;
use std::thread::available_parallelism;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bcrypt::HashParts;
use futures::FutureExt as _;
use http::request::Parts;
use registry_store::error::BodyError;
use registry_store::options::Random;
use ring::digest::{SHA256, digest};
use thiserror::Error;
use tokio::task::spawn_blocking;
use tracing::warn;

use super::Actor;
use super::basic::basic_credentials;
use super::credentials::Users as KnownUsers;
use super::identity::{Identifier, Identity, has_credentials};
use super::reloaded::{FileError, Reloaded};
use super::together::Together;
use super::turns::Turns;
use super::verified::{Mark, Verified};
use crate::peer::Peer;

const WHAT: &str = "the htpasswd file";

/// What an unknown user costs where the file has no hash to go by: bcrypt's default in Go, which Distribution takes.
const DEFAULT_COST: u32 = 10;

/// The greatest cost that is verified with; twice as much work for each: 18 is some ten seconds.
const GREATEST_COST: u32 = 18;

/// The users of a file that `htpasswd -B` makes. Cheap to clone, the clones remember together.
///
/// A line is `name:hash`; those that are empty or begin with `#` are passed over. Only hashes of bcrypt count, as in
/// Distribution: other users are told of when the file is read, and never let in. Of two lines for one user the last
/// counts. A password counts to its 72nd byte, as bcrypt has it.
///
/// * The file is looked at for every request and read again when it has changed; one that can no longer be read or
///   understood leaves the last good one in force, which is an error in the log.
/// * A password that was right is not verified again until it has not been used for 10 minutes, as long as the user's
///   hash is the same.
/// * An unknown user costs as much as a wrong password: as much as a bcrypt of the greatest cost in the file, whatever
///   the cost of a user's own hash is.
/// * A password that is being verified is verified once, however many requests show it meanwhile.
/// * bcrypt runs on blocking threads, on at most half of the processors at a time. 256 different passwords may wait, each
///   for 5 s; one more is told to come again. Those that wait have their turns by address, one of each after the other, and
///   the address that most of them are from makes room for others. So wrong passwords take a part of the processors, and
///   make those wait whose passwords were not right lately: of the same address for as long as there are any, of another for
///   a turn or two.
#[derive(Clone)]
pub struct Htpasswd {
    users: Reloaded<Users>,
    verified: Arc<Verified>,
    under_way: Together<Mark, Result<bool, Unverified>>,
    turns: Turns,
}

/// What is to be verified.
struct Shown {
    password: String,
    hash: String,
    greatest: u32,
    mark: Mark,
    /// There is a user of that name.
    is_known: bool,
}

/// Why that cannot be told.
#[derive(Clone, Copy, Debug)]
enum Unverified {
    Busy,
    Stopped,
}

impl From<Unverified> for HtpasswdError {
    fn from(why: Unverified) -> Self {
        match why {
            Unverified::Busy => Self::Busy,
            Unverified::Stopped => Self::Stopped,
        }
    }
}

/// Why users cannot be looked up. It holds no name, password or hash.
#[derive(Debug, Error)]
pub enum HtpasswdError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Too many passwords wait to be verified.
    #[error("too many passwords wait to be verified")]
    Busy,
    /// A password could not be verified because the program ends.
    #[error("a password could not be verified: the runtime has stopped")]
    Stopped,
}

impl Htpasswd {
    /// Reads the file. `random` makes the key under which passwords that were right are remembered.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or has a line that is no `name:hash`.
    pub fn open(path: impl Into<PathBuf>, random: &dyn Random) -> Result<Self, HtpasswdError> {
        let users = Reloaded::open(WHAT, path, Users::parse)?;
        let processors = available_parallelism().map_or(1, usize::from);
        Ok(Self {
            users,
            verified: Arc::new(Verified::new(random)),
            under_way: Together::new(),
            turns: Turns::new(processors.div_ceil(2)),
        })
    }

    /// Is there such a user, and is this his password? `peer` is who asks, if that is known.
    ///
    /// # Errors
    ///
    /// If too many wait for that already, or its turn does not come soon, or the runtime ends meanwhile.
    pub async fn verify(
        &self,
        peer: Option<&Peer>,
        name: &str,
        password: &str,
    ) -> Result<bool, HtpasswdError> {
        let users = self.users.current().await;
        let known = users.hashes.get(name);
        let hash = known.unwrap_or(&users.decoy);
        let mark = self.verified.mark(name, password, hash);
        if known.is_some() && self.verified.holds(&mark) {
            return Ok(true);
        }
        let verifying = self.under_way.ask(mark, || {
            let (password, hash, greatest) = (password.to_owned(), hash.clone(), users.greatest);
            let shown = Shown { password, hash, greatest, mark, is_known: known.is_some() };
            self.clone().find_out(peer.copied(), shown).boxed()
        });
        Ok(verifying.await?)
    }

    async fn find_out(self, peer: Option<Peer>, shown: Shown) -> Result<bool, Unverified> {
        let Shown { password, hash, greatest, mark, is_known } = shown;
        // It may have been found out since it was looked for.
        if is_known && self.verified.holds(&mark) {
            return Ok(true);
        }
        let turn = self.turns.take(peer.as_ref()).await.ok_or(Unverified::Busy)?;
        let verifying = spawn_blocking(move || {
            // The turn ends when the work does, not when nobody waits for it any more.
            let _turn = turn;
            verify_at_greatest_cost(&password, &hash, greatest)
        });
        let is_right = verifying.await.map_err(|_| Unverified::Stopped)? && is_known;
        if is_right {
            self.verified.remember(mark);
        }
        Ok(is_right)
    }
}

#[async_trait]
impl KnownUsers for Htpasswd {
    async fn is_right(&self, head: &Parts, name: &str, password: &str) -> Result<bool, BodyError> {
        Ok(self.verify(head.extensions.get(), name, password).await?)
    }

    /// SHA-256 of the user's hash, whose salt is known to nobody else: no password can be tried against it.
    async fn mark(&self, name: &str) -> Result<Option<String>, BodyError> {
        let users = self.users.current().await;
        let hash = users.hashes.get(name);
        Ok(hash.map(|hash| BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, hash.as_bytes()))))
    }
}

#[async_trait]
impl Identifier for Htpasswd {
    async fn identify(&self, head: &Parts) -> Result<Identity, BodyError> {
        let Some(given) = basic_credentials(head) else {
            let nothing = !has_credentials(head);
            return Ok(if nothing { Identity::Anonymous } else { Identity::Refused });
        };
        let is_right = self.verify(head.extensions.get(), &given.name, &given.password).await?;
        Ok(if is_right { Identity::Known(Actor::named(given.name)) } else { Identity::Refused })
    }
}

impl fmt::Debug for Htpasswd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Htpasswd(..)")
    }
}

/// Verifies a password, and where it is wrong spends what is left to the greatest cost: it doubles with each number, so
/// one of each between adds up to that. Nobody learns from the time it takes who is a user.
fn verify_at_greatest_cost(password: &str, hash: &str, greatest: u32) -> bool {
    // Hashes were looked at when the file was read.
    let is_right = bcrypt::verify(password, hash).unwrap_or(false);
    if !is_right {
        for cost in costs_left(hash, greatest) {
            let _ = bcrypt::verify(password, &decoy(cost));
        }
    }
    is_right
}

/// What is left to spend when a hash was verified.
fn costs_left(hash: &str, greatest: u32) -> Range<u32> {
    cost(hash).unwrap_or(greatest)..greatest
}

/// The file's users.
struct Users {
    /// By name; each a hash that bcrypt understands.
    hashes: HashMap<String, String>,
    /// Verified for who is unknown. Nobody has its password.
    decoy: String,
    greatest: u32,
}

impl Users {
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = 1 + bytes[..error.valid_up_to()].iter().filter(|it| **it == b'\n').count();
            format!("line {line}: expected text in UTF-8, found bytes that are none")
        })?;
        let mut hashes = HashMap::new();
        let mut greatest = None;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, hash) = line.split_once(':').ok_or_else(|| {
                format!(
                    "line {number}: expected a line of the form name:hash, found none with a colon"
                )
            })?;
            match cost(hash) {
                Some(cost) => {
                    greatest = greatest.max(Some(cost));
                    hashes.insert(name.to_owned(), hash.to_owned());
                }
                None => {
                    warn!(
                        "{WHAT}, line {number}: this user cannot log in; expected a hash of bcrypt of a cost from 4 to \
                         {GREATEST_COST}, as htpasswd -B makes it, found another"
                    );
                    hashes.remove(name);
                }
            }
        }
        let greatest = greatest.unwrap_or(DEFAULT_COST);
        Ok(Self { hashes, decoy: decoy(greatest), greatest })
    }
}

/// What a hash costs, if it is one of bcrypt that can be verified in bearable time.
fn cost(hash: &str) -> Option<u32> {
    let cost = HashParts::from_str(hash).ok()?.get_cost();
    (4..=GREATEST_COST).contains(&cost).then_some(cost)
}

/// A hash of that cost that no password is known for.
fn decoy(cost: u32) -> String {
    format!("$2b${cost:02}${:.<22}{:.<31}", "", "")
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test changes the file as an operator does")]
mod tests {
    use std::path::Path;
    use std::{fs, iter};

    use futures::future::join_all;
    use http::Request;
    use http::header::AUTHORIZATION;
    use registry_store::options::SystemRandom;
    use tempfile::TempDir;
    use tokio::time::Instant;

    use super::super::turns::PATIENCE;
    use super::*;

    /// Of `secret`, made by libxcrypt.
    const SECRET: &str = "$2b$04$BeUDnQxBbQWPcN2EzgO0f.vo1OUzMiyDsHn1b1GcuFYxS48KJR/XW";

    fn hash(password: &str) -> String {
        bcrypt::hash_with_salt(password, 4, [7; 16])
            .unwrap()
            .format_for_version(bcrypt::Version::TwoY)
    }

    fn file(text: &str) -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("htpasswd");
        fs::write(&path, text).unwrap();
        (directory, path)
    }

    fn open(path: &Path) -> Htpasswd {
        Htpasswd::open(path, &SystemRandom).unwrap()
    }

    async fn is_right(users: &Htpasswd, name: &str, password: &str) -> bool {
        users.verify(None, name, password).await.unwrap()
    }

    #[tokio::test]
    async fn who_is_in_the_file_is_known_by_his_password_and_nobody_else() {
        let text = format!("# people\n\n  ann:{}  \nbob:{}\n", hash("secret"), hash("other"));
        let (_directory, path) = file(&text);
        let users = open(&path);
        for _ in 0..2 {
            assert!(is_right(&users, "ann", "secret").await);
            assert!(is_right(&users, "bob", "other").await);
            for (name, password) in [
                ("ann", "other"),
                ("ann", ""),
                ("bob", "secret"),
                ("carl", "secret"),
                ("", ""),
                ("# people", ""),
            ] {
                assert!(!is_right(&users, name, password).await, "{name} {password}");
            }
        }
    }

    #[tokio::test]
    async fn hashes_of_every_version_that_programs_make_are_taken() {
        let versions = ["2a", "2b", "2y"].map(|it| SECRET.replacen("2b", it, 1));
        let lines = versions.iter().enumerate().map(|(n, hash)| format!("u{n}:{hash}\r\n"));
        let (_directory, path) = file(&lines.collect::<String>());
        let users = open(&path);
        for name in ["u0", "u1", "u2"] {
            assert!(is_right(&users, name, "secret").await, "{name}");
            assert!(!is_right(&users, name, "secret ").await, "{name}");
        }
    }

    #[tokio::test]
    async fn a_changed_password_and_a_removed_user_take_effect_at_once() {
        let (_directory, path) = file(&format!("ann:{}\nbob:{SECRET}\n", hash("old")));
        let users = open(&path);
        assert!(is_right(&users, "ann", "old").await && is_right(&users, "bob", "secret").await);
        fs::write(&path, format!("ann:{}\n", hash("new"))).unwrap();
        assert!(!is_right(&users, "ann", "old").await);
        assert!(is_right(&users, "ann", "new").await);
        assert!(!is_right(&users, "bob", "secret").await);
    }

    #[tokio::test]
    async fn what_was_right_is_remembered_and_nothing_else() {
        let (_directory, path) = file(&format!("ann:{SECRET}\n"));
        let users = open(&path);
        let holds = |name: &str, password: &str, hash: &str| {
            users.verified.holds(&users.verified.mark(name, password, hash))
        };
        let decoy = decoy(4);
        assert!(is_right(&users, "ann", "secret").await);
        assert!(!is_right(&users, "ann", "wrong").await);
        assert!(!is_right(&users, "bob", "secret").await);
        assert!(holds("ann", "secret", SECRET));
        assert!(!holds("ann", "wrong", SECRET));
        assert!(!holds("bob", "secret", &decoy) && !holds("bob", "secret", SECRET));
        // Though it were remembered, who is unknown stays so.
        users.verified.remember(users.verified.mark("bob", "secret", &decoy));
        assert!(!is_right(&users, "bob", "secret").await);
    }

    #[test]
    fn who_is_unknown_costs_the_greatest_of_the_file() {
        let costs = |text: &str| cost(&Users::parse(text.as_bytes()).unwrap().decoy);
        let twelve = SECRET.replacen("$04$", "$12$", 1);
        assert_eq!(costs(&format!("a:{SECRET}\nb:{twelve}\nc:{SECRET}\n")), Some(12));
        assert_eq!(costs(&format!("a:{SECRET}\n")), Some(4));
        assert_eq!(costs(""), Some(DEFAULT_COST));
        // It is a hash that is verified for as long as any other.
        assert!(!bcrypt::verify("secret", &decoy(4)).unwrap());
    }

    #[test]
    fn a_wrong_password_costs_the_greatest_of_the_file_whoever_it_is_said_to_be_of() {
        let work = |hash: &str| {
            let own = 1_u64 << cost(hash).unwrap();
            own + costs_left(hash, 12).map(|cost| 1_u64 << cost).sum::<u64>()
        };
        let twelve = SECRET.replacen("$04$", "$12$", 1);
        assert_eq!([work(SECRET), work(&twelve), work(&decoy(12))], [1 << 12; 3]);
    }

    fn peer(address: &str) -> Peer {
        Peer::Tcp(address.parse().unwrap())
    }

    /// As behind a proxy, when the program has just begun.
    #[tokio::test]
    async fn a_right_password_is_right_however_often_it_is_shown_at_once_from_one_address() {
        for (times, address) in
            [(40, "192.0.2.1:1"), (300, "192.0.2.1:1"), (300, "[2001:db8::1]:1")]
        {
            let (_directory, path) = file(&format!("ann:{SECRET}\n"));
            let (users, peer) = (open(&path), peer(address));
            let all = (0..times).map(|_| users.verify(Some(&peer), "ann", "secret"));
            for outcome in join_all(all).await {
                assert!(outcome.unwrap());
            }
        }
    }

    #[tokio::test]
    async fn so_are_those_of_many_users_behind_one_address() {
        let names: Vec<_> = (0..60).map(|at| format!("user{at}")).collect();
        let lines: String = names.iter().map(|name| format!("{name}:{SECRET}\n")).collect();
        let (_directory, path) = file(&lines);
        let (users, peer) = (open(&path), peer("192.0.2.1:1"));
        let all = names.iter().map(|name| users.verify(Some(&peer), name, "secret"));
        for outcome in join_all(all).await {
            assert!(outcome.unwrap());
        }
    }

    #[tokio::test]
    async fn who_guesses_passwords_keeps_nobody_of_another_address_out() {
        let (_directory, path) = file(&format!("ann:{SECRET}\nbob:{SECRET}\n"));
        let users = open(&path);
        let (guesser, other) = (peer("192.0.2.1:1"), peer("192.0.2.2:1"));
        let guesses: Vec<_> = (0..600).map(|at| format!("guess {at}")).collect();
        let guessing =
            join_all(guesses.iter().map(|guess| users.verify(Some(&guesser), "ann", guess)));
        let right = join_all((0..40).map(|at| {
            users.verify(Some(&other), if at % 2 == 0 { "ann" } else { "bob" }, "secret")
        }));
        // The guesses are there first.
        let (guessed, right) = tokio::join!(guessing, right);
        assert!(right.into_iter().all(|outcome| outcome.unwrap()));
        let busy = |outcome: &&Result<bool, _>| matches!(outcome, Err(HtpasswdError::Busy));
        assert!(guessed.iter().filter(busy).count() > 0, "they do not all wait");
        assert!(!guessed.iter().any(|outcome| matches!(outcome, Ok(true))));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_his_turn_is_told_to_come_again_after_a_while() {
        let (_directory, path) = file(&format!("ann:{SECRET}\nbob:{SECRET}\n"));
        let users = open(&path);
        assert!(is_right(&users, "bob", "secret").await);
        let turns: Vec<_> =
            iter::from_fn(|| users.turns.take(None).now_or_never().flatten()).collect();
        let begun = Instant::now();
        let refused = users.verify(None, "ann", "secret").await;
        assert!(matches!(refused, Err(HtpasswdError::Busy)), "{refused:?}");
        assert!(begun.elapsed() >= PATIENCE);
        // Who was right just now does not wait.
        assert!(is_right(&users, "bob", "secret").await);
        drop(turns);
        assert!(is_right(&users, "ann", "secret").await);
    }

    #[tokio::test]
    async fn a_user_whose_hash_is_not_of_bcrypt_is_nobody() {
        let others = ["", "secret", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "$apr1$x$y"];
        for other in others
            .map(str::to_owned)
            .into_iter()
            .chain(["03", "19"].map(|cost| SECRET.replacen("04", cost, 1)))
        {
            let (_directory, path) = file(&format!("ann:{SECRET}\nann:{other}\nbob:{SECRET}\n"));
            let users = open(&path);
            assert!(!is_right(&users, "ann", "secret").await, "{other}: the last line counts");
            assert!(!is_right(&users, "ann", &other).await);
            assert!(is_right(&users, "bob", "secret").await);
        }
    }

    #[test]
    fn a_line_without_a_colon_is_an_error_that_shows_nothing_of_it() {
        let (_directory, path) = file("ann:x\n\nhunter2\n");
        let error = Htpasswd::open(&path, &SystemRandom).unwrap_err();
        let expected = "line 3: expected a line of the form name:hash, found none with a colon";
        assert_eq!(error.to_string(), format!("the htpasswd file {}: {expected}", path.display()));
        assert!(!format!("{error:?}").contains("hunter2"));
        let bytes = Users::parse(b"ann:x\nbob:\xff\n").err().unwrap();
        assert_eq!(bytes, "line 2: expected text in UTF-8, found bytes that are none");
    }

    #[tokio::test]
    async fn a_file_that_went_bad_leaves_its_users() {
        let (_directory, path) = file(&format!("ann:{SECRET}\n"));
        let users = open(&path);
        fs::write(&path, "hunter2").unwrap();
        assert!(is_right(&users, "ann", "secret").await);
        fs::remove_file(&path).unwrap();
        assert!(is_right(&users, "ann", "secret").await);
        fs::write(&path, "bob:x\n").unwrap();
        assert!(!is_right(&users, "ann", "secret").await);
    }

    #[tokio::test]
    async fn a_request_is_whose_credentials_it_brings() {
        let (_directory, path) = file(&format!("Aladdin:{}\n", hash("open sesame")));
        let users = open(&path);
        let known = Identity::Known(Actor::named("Aladdin"));
        for (given, identity) in [
            (None, Identity::Anonymous),
            (Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), known),
            (Some("Basic QWxhZGRpbjpvcGVu"), Identity::Refused),
            (Some("Basic !"), Identity::Refused),
            (Some("Bearer token"), Identity::Refused),
        ] {
            let mut request = Request::get("/");
            if let Some(given) = given {
                request = request.header(AUTHORIZATION, given);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(users.identify(&head).await.unwrap(), identity, "{given:?}");
        }
    }

    #[tokio::test]
    async fn it_does_not_show_itself() {
        let (_directory, path) = file(&format!("ann:{SECRET}\n"));
        assert_eq!(format!("{:?}", open(&path)), "Htpasswd(..)");
    }
}
