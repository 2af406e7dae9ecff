//! Programs no one here wrote.
