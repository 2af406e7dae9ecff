//! [`Method`]: the methods of `Backend` and `Staged` that a wrapper can see.

/// A method of `Backend` or `Staged` that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is named as the method it stands for")]
pub enum Method {
    Head,
    Read,
    PutAll,
    Point,
    Settle,
    SettleAll,
    Delete,
    DeleteIf,
    DeleteTree,
    Quarantine,
    List,
    ListChildren,
    ListChildrenWith,
    ListPlaces,
    Stage,
    ExpireStaged,
    Lock,
    SignedUrl,
    Append,
    Persist,
    Note,
    Rewind,
    ReadBack,
    Promote,
    Discard,
}
