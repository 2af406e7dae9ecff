//! [`Page`]: a bounded part of an ordered listing.

/// Consecutive items of an ordered listing.
///
/// The next page begins after the last item of this one; no cursor outlives a page, so a listing goes on
/// correctly whatever was added or removed between two pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// There are items behind the last of these.
    pub more: bool,
}

impl<T> Page<T> {
    /// A page of nothing, with nothing behind it.
    pub const fn empty() -> Self {
        Self { items: Vec::new(), more: false }
    }

    /// The first `limit` of `items`, which are ordered; `more` if any are left.
    pub fn cut(items: impl IntoIterator<Item = T>, limit: usize) -> Self {
        let mut items = items.into_iter();
        let page: Vec<T> = items.by_ref().take(limit).collect();
        // A page of nothing has no last item to go on from, so nothing can be behind it.
        let more = limit > 0 && items.next().is_some();
        Self { items: page, more }
    }

    /// The item the next page begins after, if there is one.
    pub fn next_after(&self) -> Option<&T> {
        if self.more { self.items.last() } else { None }
    }
}
